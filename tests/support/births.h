/* births: identities for tests. Keys come from numbers, so every run has the same ones. */
#ifndef TESTS_SUPPORT_BIRTHS_H
#define TESTS_SUPPORT_BIRTHS_H

#include "core/certificate.h"

#include <check.h>

#define BORN_MS 1790000000000ull
#define ROTATED_EVERY_MS DAY_MS

static inline struct identity_key *birth_key(uint32_t number)
{
    uint8_t seed[SEED_SIZE] = {0};

    memcpy(seed, &number, sizeof number);
    return identity_key_new(seed);
}

static inline struct public_key birth_public_key(uint32_t number)
{
    struct identity_key *key = birth_key(number);
    struct public_key public = identity_key_public(key);

    identity_key_free(key);
    return public;
}

static inline struct hash birth_key_hash(uint32_t number)
{
    struct public_key public = birth_public_key(number);

    return identity_key_hash(&public);
}

/* Certificate n of an identity whose key n is birth_key(keys + n) and which promises that of
 * `next`; `*last` becomes what the one after it must follow. */
static inline struct bytes birth_certificate(enum identity_kind kind, uint32_t keys, uint32_t next,
                                             size_t n, struct certificate *last,
                                             struct arena *arena)
{
    struct identity_key *key = birth_key(keys + (uint32_t)n);
    struct certificate_wish wish = {
        .kind = kind,
        .display_name = bytes_of_text("duck"),
        .issued_ms = BORN_MS + n * ROTATED_EVERY_MS,
        .not_after_ms = BORN_MS + n * ROTATED_EVERY_MS + CERTIFICATE_LIFE_MS,
        .next_key_hash = birth_key_hash(next),
        .previous = n > 0 ? last : NULL,
    };
    struct envelope envelope;
    struct id identity;
    struct bytes wire = certificate_make(&wish, key, arena, &identity);

    identity_key_free(key);
    ck_assert_int_eq(envelope_parse(wire, ENVELOPE_CERTIFICATE, arena, &envelope), ENVELOPE_TAKEN);
    last->identity = identity;
    last->sequence = (uint32_t)n;
    last->hash = envelope.hash;
    last->next_key_hash = wish.next_key_hash;
    return wire;
}

/* A chain of `count` certificates, packed. Two with one `keys` and different counts agree. */
static inline struct bytes birth_chain(enum identity_kind kind, uint32_t keys, size_t count,
                                       struct arena *arena, struct id *identity)
{
    struct bytes *wires = arena_take(arena, count * sizeof *wires);
    struct certificate last = {0};

    ck_assert_ptr_nonnull(wires);
    for (size_t n = 0; n < count; n++)
        wires[n] = birth_certificate(kind, keys, keys + (uint32_t)n + 1, n, &last, arena);
    *identity = last.identity;
    return chain_pack(wires, count, arena);
}

#endif
