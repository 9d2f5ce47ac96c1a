/* backup: some files as one, sealed with a passphrase.
 *
 *     magic       8  "DUCKBAK1"
 *     ops         8  argon2id, little-endian
 *     memory      8  argon2id, bytes, little-endian
 *     salt       16
 *     header     24  of the stream
 *     chunks         64 KiB each and 17 bytes more (secretstream, XChaCha20-Poly1305); the last one is shorter, or as
 *                    long, and says that it is the last. What stands before them is authenticated with the first.
 *     checksum   32  BLAKE2b-256 of all before: tells a torn file from a wrong passphrase
 *
 * In the chunks, one after the other: size of a name (2), the name, size of a file (8), the file; a name of no bytes at the
 * end. Numbers little-endian. What is cut off, changed or longer than it was is refused, before a byte of it is used. */
#ifndef DUCK_NODE_BACKUP_H
#define DUCK_NODE_BACKUP_H

#include "core/bytes.h"
#include "fault.h"

#define BACKUP_NAME_MAX 64u                        /* bytes of a file's name */
#define BACKUP_FILES_MAX 16u
#define BACKUP_FILE_MAX (1024ull * 1024 * MIB)     /* bytes of one of them: 1 TiB */

enum backup_verdict {
    BACKUP_TAKEN,
    BACKUP_NONE,        /* it does not begin as one */
    BACKUP_NEWER,       /* of a form that this release does not know */
    BACKUP_DAMAGED,     /* cut off, or bytes were turned */
    BACKUP_PASSPHRASE,  /* the passphrase is wrong */
    BACKUP_GREEDY,      /* it asks for more work or memory than any that was made */
    BACKUP_MALFORMED,   /* whole, but what is in it makes no sense */
};
const char *backup_verdict_text(enum backup_verdict verdict);

/* ---- making one ---- */

struct backup_writer;

/* Writes to `file`, which is borrowed. The passphrase is not empty. FAULT_CRYPTO: no memory to stretch it. */
int backup_writer_open(struct backup_writer **opened, int file, struct bytes passphrase);
int backup_write(struct backup_writer *writer, const char *name, struct bytes bytes);
int backup_write_file(struct backup_writer *writer, const char *name, int from, uint64_t size);
int backup_finish(struct backup_writer *writer); /* all of it is on the disk then */
void backup_writer_close(struct backup_writer *writer); /* NULL is fine; wipes */

/* ---- reading one ---- */

/* Where what is in it goes. `begin` is told of each file, `put` brings its bytes, in order; either may say no with a
 * FAULT_…, which ends it. */
struct backup_taker {
    int (*begin)(void *context, const char *name, uint64_t size);
    int (*put)(void *context, struct bytes bytes);
    int (*end)(void *context);
    void *context;
};

/* Reads it twice: whether it is whole, then what is in it. `*fault`: of this machine, or the taker's; the verdict is of
 * no account then. */
enum backup_verdict backup_read(int file, struct bytes passphrase, const struct backup_taker *taker,
                                int *fault);

#endif
