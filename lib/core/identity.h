/* identity: Ed25519 keys (RFC 8032) under one strict rule.
 *
 * Implementations disagree about signatures whose key or whose R has a small-order part, and such
 * a signature could split the network. So a public key is admitted only when it is a point of
 * prime order, and R must be one too; then all rules in use agree. */
#ifndef DUCK_CORE_IDENTITY_H
#define DUCK_CORE_IDENTITY_H

#include "bytes.h"
#include "id.h"

#define SEED_SIZE 32
#define PUBLIC_KEY_SIZE 32
#define SIGNATURE_SIZE 64

struct public_key {
    uint8_t bytes[PUBLIC_KEY_SIZE];
};

struct signature {
    uint8_t bytes[SIGNATURE_SIZE];
};

/* A secret key in guarded memory (sodium_malloc), never copied out but by identity_key_seed. */
struct identity_key;

/* `seed` is copied; the caller wipes its own. Never NULL. */
struct identity_key *identity_key_new(const uint8_t seed[SEED_SIZE]);
void identity_key_replace(struct identity_key *key, const uint8_t seed[SEED_SIZE]); /* after a rotation */
void identity_key_free(struct identity_key *key); /* NULL is fine; wipes */
struct public_key identity_key_public(const struct identity_key *key);
void identity_key_seed(const struct identity_key *key, uint8_t seed[SEED_SIZE]);
struct signature identity_sign(const struct identity_key *key, struct bytes message);

/* True when the key is a canonical point of prime order. 39 us: once per identity. */
bool identity_admit(const struct public_key *key);

/* The key must have been admitted. Checks R's order and the signature. */
bool identity_verify(const struct public_key *key, const struct signature *signature,
                     struct bytes message);

struct hash identity_key_hash(const struct public_key *key); /* for certificates: BLAKE2b-256 */

/* sodium_init, then one good signature, one bit turned, one mixed-order key and one torsion R.
 * False: this libsodium judges otherwise, and the node must not run. */
bool identity_self_test(void);

#endif
