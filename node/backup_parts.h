/* backup_parts: what the files of backups share. Nobody else includes it. */
#ifndef DUCK_NODE_BACKUP_PARTS_H
#define DUCK_NODE_BACKUP_PARTS_H

#include "backup_files.h"
#include "core/certificate.h"

#define PATH_SIZE (OPTIONS_PATH_SIZE + 64)
#define ABOUT "about"
#define KEPT_FILES 7u

struct kept_file {
    const char *name; /* in the backup and in the state folder */
    bool is_needed;
};

/* In the order in which they are put in their places: the key last. */
extern const struct kept_file backup_kept_files[KEPT_FILES];
int backup_find_file(const char *name); /* its number; -1: no backup has it */

/* `problem` says why; gives the fault back. */
int backup_say(char problem[BACKUP_PROBLEM_SIZE], int fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int backup_fault_of(int number); /* of errno */

bool backup_read_about(const char *text, struct backup_about *about);
enum certificate_verdict backup_read_identity(struct bytes wire, struct id *node);

/* `bytes->data` is owned, for backup_forget; NULL when there is no such file; a link is refused. */
int backup_read_file(const char *path, struct bytes *bytes);
void backup_forget(struct bytes *bytes); /* wiped */

bool backup_is_there(const char *folder, const char *name);
int backup_sync_folder(const char *path);

#endif
