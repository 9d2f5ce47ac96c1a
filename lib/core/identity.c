#include "identity.h"

#include <sodium.h>

_Static_assert(SEED_SIZE == crypto_sign_SEEDBYTES, "an identity's seed is Ed25519's");
_Static_assert(PUBLIC_KEY_SIZE == crypto_sign_PUBLICKEYBYTES, "so is its key");
_Static_assert(SIGNATURE_SIZE == crypto_sign_BYTES, "and its signature");

struct identity_key {
    uint8_t secret[crypto_sign_SECRETKEYBYTES]; /* seed, then public key */
};

struct identity_key *identity_key_new(const uint8_t seed[SEED_SIZE])
{
    struct identity_key *key = sodium_malloc(sizeof *key);
    struct public_key ignored;

    if (!key)
        memory_ran_out(); /* guarded memory ends before the rest: mappings are counted */
    crypto_sign_seed_keypair(ignored.bytes, key->secret, seed);
    return key;
}

void identity_key_free(struct identity_key *key)
{
    sodium_free(key); /* wipes; NULL is fine */
}

struct public_key identity_key_public(const struct identity_key *key)
{
    struct public_key public;

    crypto_sign_ed25519_sk_to_pk(public.bytes, key->secret);
    return public;
}

void identity_key_seed(const struct identity_key *key, uint8_t seed[SEED_SIZE])
{
    crypto_sign_ed25519_sk_to_seed(seed, key->secret);
}

struct signature identity_sign(const struct identity_key *key, struct bytes message)
{
    struct signature signature;

    crypto_sign_detached(signature.bytes, NULL, message.data, message.size, key->secret);
    return signature;
}

bool identity_admit(const struct public_key *key)
{
    return crypto_core_ed25519_is_valid_point(key->bytes) == 1;
}

bool identity_verify(const struct public_key *key, const struct signature *signature,
                     struct bytes message)
{
    /* R is the signature's first half. */
    return crypto_core_ed25519_is_valid_point(signature->bytes) == 1 &&
           crypto_sign_verify_detached(signature->bytes, message.data, message.size, key->bytes) ==
               0;
}

struct hash identity_key_hash(const struct public_key *key)
{
    return hash_of(bytes_of(key->bytes, PUBLIC_KEY_SIZE));
}

/* A point of mixed order: the base point plus the point of order 2, (0, -1). */
static void mix(uint8_t point[PUBLIC_KEY_SIZE], const uint8_t prime[PUBLIC_KEY_SIZE])
{
    uint8_t order_two[PUBLIC_KEY_SIZE];

    memset(order_two, 0xFF, sizeof order_two);
    order_two[0] = 0xEC; /* 2^255 - 20, that is -1 */
    order_two[31] = 0x7F;
    if (crypto_core_ed25519_add(point, prime, order_two) != 0)
        memset(point, 0, PUBLIC_KEY_SIZE);
}

bool identity_self_test(void)
{
    static const uint8_t seed[SEED_SIZE] = {1};
    struct bytes message = bytes_of_text("a message");
    struct signature signature, changed;
    struct public_key public, mixed;
    struct identity_key *key;
    bool good;

    if (sodium_init() < 0)
        return false;
    key = identity_key_new(seed);
    public = identity_key_public(key);
    signature = identity_sign(key, message);
    identity_key_free(key);

    good = identity_admit(&public) && identity_verify(&public, &signature, message);
    changed = signature;
    changed.bytes[40] ^= 1;
    good = good && !identity_verify(&public, &changed, message);
    mix(mixed.bytes, public.bytes);
    good = good && !identity_admit(&mixed);
    changed = signature;
    mix(changed.bytes, signature.bytes);
    return good && !identity_verify(&public, &changed, message);
}
