/* buckets: where a hash falls in a table that grows by one bucket at a time: linear hashing (Litwin,
 * "Linear hashing: a new tool for file and table addressing", 1980). No insertion pays for all, and
 * there are as many buckets as things.
 *
 * Strangers choose ids, keys and (with patience) hashes, so what is hashed into a bucket goes through
 * SipHash-2-4 under a secret key first. */
#ifndef DUCK_CORE_BUCKETS_H
#define DUCK_CORE_BUCKETS_H

#include "bytes.h"

#include <sodium.h>

#define BUCKETS_KEY_SIZE crypto_shorthash_KEYBYTES

static inline uint64_t buckets_hash(const uint8_t key[BUCKETS_KEY_SIZE], struct bytes bytes)
{
    uint64_t hash;

    crypto_shorthash((uint8_t *)&hash, bytes.data, bytes.size, key);
    return hash;
}

/* The largest power of two that is not above `count`; count > 0. */
static inline size_t buckets_level(size_t count)
{
    return (size_t)1 << (63 - __builtin_clzll((unsigned long long)count));
}

/* The bucket of `hash` while there are `count`; count > 0. */
static inline size_t buckets_at(uint64_t hash, size_t count)
{
    size_t level = buckets_level(count), at = (size_t)hash & (2 * level - 1);

    return at < count ? at : at - level;
}

/* When bucket number `count` is added: the one whose things now fall into either. count > 0. */
static inline size_t buckets_split(size_t count)
{
    return count - buckets_level(count);
}

/* How many to make room for when `capacity` are used up: a quarter more. */
static inline size_t buckets_more(size_t capacity)
{
    return capacity + capacity / 4 + 16;
}

#endif
