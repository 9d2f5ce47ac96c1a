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

void identity_key_replace(struct identity_key *key, const uint8_t seed[SEED_SIZE])
{
    struct public_key ignored;

    crypto_sign_seed_keypair(ignored.bytes, key->secret, seed);
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

/* Checking R's order by itself costs as much as the rest of a verification. A libsodium that
 * computes S*B - h*A and compares its encoding with R does it on the way: A was admitted, so what
 * it computes is of prime order, and nothing else is equal to it. One that multiplies by the
 * cofactor does not. Which of the two this is, identity_self_test finds out; until then R is
 * checked. */
static bool verifying_checks_r;

bool identity_verify(const struct public_key *key, const struct signature *signature,
                     struct bytes message)
{
    /* R is the signature's first half. */
    return (verifying_checks_r || crypto_core_ed25519_is_valid_point(signature->bytes) == 1) &&
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

/* RFC 8032, section 5.1.6, by hand: with R as it must be, or with the point of order 2 added to it
 * and everything else to match. The second holds where the cofactor is multiplied in. */
static struct signature sign_by_hand(const uint8_t seed[SEED_SIZE], const struct public_key *public,
                                     struct bytes message, bool mixed)
{
    uint8_t wide[crypto_hash_sha512_BYTES], a[32], r[32], h[32], plain[PUBLIC_KEY_SIZE];
    crypto_hash_sha512_state state;
    struct signature signature;

    crypto_hash_sha512(wide, seed, SEED_SIZE);
    wide[0] &= 248;
    wide[31] = (uint8_t)((wide[31] & 63) | 64);
    memset(wide + 32, 0, 32);
    crypto_core_ed25519_scalar_reduce(a, wide);
    crypto_hash_sha512(wide, message.data, message.size);
    crypto_core_ed25519_scalar_reduce(r, wide);
    if (crypto_scalarmult_ed25519_base_noclamp(plain, r) != 0)
        memset(plain, 0, sizeof plain);
    memcpy(signature.bytes, plain, sizeof plain);
    if (mixed)
        mix(signature.bytes, plain);
    crypto_hash_sha512_init(&state);
    crypto_hash_sha512_update(&state, signature.bytes, PUBLIC_KEY_SIZE);
    crypto_hash_sha512_update(&state, public->bytes, PUBLIC_KEY_SIZE);
    crypto_hash_sha512_update(&state, message.data, message.size);
    crypto_hash_sha512_final(&state, wide);
    crypto_core_ed25519_scalar_reduce(h, wide);
    crypto_core_ed25519_scalar_mul(h, h, a);
    crypto_core_ed25519_scalar_add(signature.bytes + 32, h, r);
    return signature;
}

bool identity_self_test(void)
{
    static const uint8_t seed[SEED_SIZE] = {1};
    struct bytes message = bytes_of_text("a message");
    struct signature signature, changed;
    struct public_key public, mixed;
    struct identity_key *key;
    bool good;

    verifying_checks_r = false;
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
    changed = sign_by_hand(seed, &public, message, false);
    good = good && identity_verify(&public, &changed, message);
    changed = sign_by_hand(seed, &public, message, true);
    good = good && !identity_verify(&public, &changed, message);
    verifying_checks_r = good && crypto_sign_verify_detached(changed.bytes, message.data,
                                                             message.size, public.bytes) != 0;
    return good && !identity_verify(&public, &changed, message);
}
