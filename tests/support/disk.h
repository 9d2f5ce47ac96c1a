/* disk: a folder on a disk whose power can be cut, and of which any call can fail.
 *
 * Stands between the program, with all its libraries (SQLite's own file calls too), and the kernel: disk.c defines
 * the C library's file calls. Calls for files right in the watched folder are carried out, and what was written but
 * not synced is remembered beside what a sync has put on the disk. Names are as POSIX has them: made,
 * moved and dropped ones are on the disk when the folder was synced, and not before. Files are not synced really.
 *
 * One folder at a time, one thread. */
#ifndef DUCK_TESTS_DISK_H
#define DUCK_TESTS_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void disk_watch(const char *folder); /* what is in it is on the disk */
void disk_leave(void);

/* `at_sync` is called as a sync begins, before it has put anything on the disk. */
void disk_at_sync(void (*at_sync)(void *context), void *context); /* NULL: nothing is */
size_t disk_syncs(void);                                          /* begun since disk_watch */

/* Makes `folder`, which is there and empty, what the watched one would be after a power cut now. Of each
 * thing that was not synced the seed decides: it is there or not, a write also in part, by sectors of 512 bytes
 * or by pages of 4 KiB, and not in the order in which things were done. */
void disk_cut(const char *folder, uint64_t seed);

/* The `call`th call from now fails with this errno, once; 0: none will. */
void disk_fail(size_t call, int cause);
/* The `call`th unlocking of a file from now fails, once; 0: none will. It is no call of those above: what is unlocked
 * was locked, and that needs neither disk nor memory; but a network's file system may fail it. */
void disk_fail_unlock(size_t call);
size_t disk_calls(void);           /* that could have failed since disk_fail */
const char *disk_failed_call(void); /* its name; NULL: none failed since disk_fail */

#endif
