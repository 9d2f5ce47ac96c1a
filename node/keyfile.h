/* keyfile: the secrets of a node, or of an operator, at rest.
 *
 * node.key holds the live seed and the storage key; node.next.key holds the seed of the next key, apart, so that it can be
 * kept elsewhere. Format: magic "DUCKKEY1", flags, argon2id parameters, salt, nonce, secretbox
 * (XSalsa20-Poly1305) of the secrets. Without a passphrase the file itself is the secret: flags
 * say so, and the secrets stand in clear.
 *
 * Files are 0600, ours, regular, not links (O_NOFOLLOW, fstat), in a directory not writable by
 * others; written as temporary files, fsync, rename, fsync of the directory, the key last: where it stands, the next
 * one and the chain do too. What a power cut leaves of a creation the next one takes away. */
#ifndef DUCK_NODE_KEYFILE_H
#define DUCK_NODE_KEYFILE_H

#include "core/bytes.h"
#include "core/identity.h"
#include "fault.h"

#define STORAGE_KEY_SIZE 32

/* Whose: names the files, node.key or operator.key. */
enum keyfile_owner { KEYFILE_NODE, KEYFILE_OPERATOR };

struct keyfile {              /* in guarded memory: keyfile_new */
    uint8_t seed[SEED_SIZE];
    uint8_t storage_key[STORAGE_KEY_SIZE];
};

struct keyfile *keyfile_new(void);            /* sodium_malloc, zeroed */
void keyfile_free(struct keyfile *keyfile);   /* NULL is fine; wipes */

/* Writes `<folder>/node.key`, node.next.key and node.chain (packed). FAULT_BUSY when one is there already.
 * `passphrase` empty: unsealed. After a fault nothing of it is there. */
int keyfile_create(enum keyfile_owner owner, const char *folder, const struct keyfile *keyfile,
                   const uint8_t next_seed[SEED_SIZE], struct bytes passphrase,
                   struct bytes chain);

/* FAULT_PASSPHRASE: sealed, and the passphrase is wrong or missing. */
int keyfile_open(enum keyfile_owner owner, const char *folder, struct bytes passphrase,
                 struct keyfile *keyfile);
int keyfile_open_next(enum keyfile_owner owner, const char *folder, struct bytes passphrase,
                      uint8_t next_seed[SEED_SIZE]);
/* Is node.next.key, where it is here at all, for nobody else? Not opened: FAULT_PERMISSIONS. */
int keyfile_check_next(enum keyfile_owner owner, const char *folder);
bool keyfile_is_sealed(enum keyfile_owner owner, const char *folder);

#endif
