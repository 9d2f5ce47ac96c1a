/* hashsum: hashes added up as little-endian numbers modulo 2^256. What was added can be taken away
 * again, so the sum of a run is the difference of two. It is no secure hash of a set: see audit.h. */
#ifndef DUCK_CORE_HASHSUM_H
#define DUCK_CORE_HASHSUM_H

#include "id.h"

#include <endian.h>

#define HASHSUM_LIMBS 4u

struct hashsum {
    uint64_t limbs[HASHSUM_LIMBS]; /* the least first */
};

static inline struct hashsum hashsum_of(const struct hash *hash)
{
    struct hashsum sum;

    memcpy(sum.limbs, hash->bytes, HASH_SIZE);
    for (unsigned i = 0; i < HASHSUM_LIMBS; i++)
        sum.limbs[i] = le64toh(sum.limbs[i]);
    return sum;
}

static inline void hashsum_write(const struct hashsum *sum, uint8_t bytes[HASH_SIZE])
{
    struct hashsum little = *sum;

    for (unsigned i = 0; i < HASHSUM_LIMBS; i++)
        little.limbs[i] = htole64(little.limbs[i]);
    memcpy(bytes, little.limbs, HASH_SIZE);
}

static inline void hashsum_add(struct hashsum *sum, const struct hashsum *other)
{
    bool carry = false;

    for (unsigned i = 0; i < HASHSUM_LIMBS; i++) {
        bool over = __builtin_add_overflow(sum->limbs[i], carry, &sum->limbs[i]);
        carry = __builtin_add_overflow(sum->limbs[i], other->limbs[i], &sum->limbs[i]) || over;
    }
}

static inline void hashsum_subtract(struct hashsum *sum, const struct hashsum *other)
{
    bool borrow = false;

    for (unsigned i = 0; i < HASHSUM_LIMBS; i++) {
        bool under = __builtin_sub_overflow(sum->limbs[i], borrow, &sum->limbs[i]);
        borrow = __builtin_sub_overflow(sum->limbs[i], other->limbs[i], &sum->limbs[i]) || under;
    }
}

#endif
