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
enum keyfile_owner { KEYFILE_NODE, KEYFILE_OPERATOR, KEYFILE_DUCKLINGS };
#define SEAL_KEY_SIZE 32

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
/* ---- rotation ----
 *
 * What stands: node.key has the key that node.chain names last, node.next.key the one that it promises.
 * First the new ones are written beside them, as node.key.new and node.next.key.new; then the longer chain takes the
 * place of the old one, which is the step that counts; then they take theirs. Whatever is cut off in
 * between, either key of the chain's is there: keyfile_open and keyfile_open_next are followed by a look whether
 * it is the right one, and if not, by keyfile_take_new. */
int keyfile_prepare(enum keyfile_owner owner, const char *folder, const struct keyfile *keyfile,
                    struct bytes passphrase);
int keyfile_prepare_next(enum keyfile_owner owner, const char *folder,
                         const uint8_t next_seed[SEED_SIZE], struct bytes passphrase);
/* FAULT_FILE when nothing was prepared. After it node.key is the new one. */
int keyfile_commit(enum keyfile_owner owner, const char *folder, struct bytes chain);
/* Puts what was prepared in its place; FAULT_FILE when there is nothing. */
int keyfile_take_new(enum keyfile_owner owner, const char *folder, bool is_next);
int keyfile_open_new(enum keyfile_owner owner, const char *folder, struct bytes passphrase,
                     struct keyfile *keyfile);
int keyfile_open_next_new(enum keyfile_owner owner, const char *folder, struct bytes passphrase,
                          uint8_t next_seed[SEED_SIZE]);

/* ---- the next keys of ducklings ----
 *
 * They are sealed (crypto_box_seal) for ducklings.next.pub as soon as they are made, and stand so in node.db: the
 * node itself cannot open them. Who rotates a duckling opens them with ducklings.next.key, which is sealed like
 * node.next.key and may be kept elsewhere. */
int keyfile_create_seal(const char *folder, struct bytes passphrase); /* FAULT_BUSY: it is there */
int keyfile_read_seal(const char *folder, uint8_t public_key[SEAL_KEY_SIZE]); /* FAULT_FILE: it is not there */
int keyfile_open_seal(const char *folder, struct bytes passphrase, uint8_t public_key[SEAL_KEY_SIZE],
                      uint8_t secret_key[SEAL_KEY_SIZE]);

/* Is node.next.key, where it is here at all, for nobody else? Not opened: FAULT_PERMISSIONS. */
int keyfile_check_next(enum keyfile_owner owner, const char *folder);
bool keyfile_is_sealed(enum keyfile_owner owner, const char *folder);

#endif
