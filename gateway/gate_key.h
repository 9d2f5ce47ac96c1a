/* gate_key: the gateway's one secret, and the hashes it keys.
 *
 * Codes and bearers are looked up by these hashes: who reads gateway.db alone can use none of
 * them, and cannot try the million codes there are. */
#ifndef DUCK_GATE_KEY_H
#define DUCK_GATE_KEY_H

#include "core/bytes.h"
#include "gate_fault.h"

#define GATE_KEY_SIZE 32
#define GATE_HASH_SIZE 32
#define GATE_SEAL_MORE 40 /* bytes that sealing adds */

struct gate_key {
    uint8_t bytes[GATE_KEY_SIZE];
};

/* Reads the key file, or makes it: 0600, ours, regular, not a link. */
int gate_key_open(const char *path, struct gate_key *key);
void gate_key_wipe(struct gate_key *key);

/* Two texts never run into one another: each goes in with its length. `purpose` keeps hashes of
 * different things apart. */
void gate_key_hash(const struct gate_key *key, const char *purpose, const char *owner,
                   const char *secret, uint8_t hash[GATE_HASH_SIZE]);

/* What must be read again, so a hash would not do: sealed under a key of its purpose (XChaCha20-Poly1305).
 * `sealed` has room for plain.size + GATE_SEAL_MORE, `plain` for sealed.size - GATE_SEAL_MORE. */
void gate_key_seal(const struct gate_key *key, const char *purpose, struct bytes plain,
                   uint8_t *sealed);
bool gate_key_unseal(const struct gate_key *key, const char *purpose, struct bytes sealed,
                     uint8_t *plain); /* false: not sealed by this, or changed since */

#endif
