/* Which number has the record of a hash. Hashes are random: in an index on the disk each new one
 * would dirty a page of its own. Eight bytes a slot, at most three of four are taken; whoever looks
 * compares the record that is at the number.
 *
 * What is told apart by 24 bits of a hash could be ground until many are alike, so they are those of
 * a hash under a key that nobody knows. */
#include "store_internal.h"

#include <assert.h>
#include <sodium.h>

#define SLOTS_MIN 256u
#define TAG_BITS 24
#define NUMBER_BITS 40
#define NUMBER_MASK ((1ull << NUMBER_BITS) - 1)

void record_numbers_free(struct record_numbers *numbers)
{
    memory_give_back(numbers->slots);
    memset(numbers, 0, sizeof *numbers);
}

static uint64_t tag_of(const struct record_numbers *numbers, const struct hash *hash)
{
    uint8_t out[crypto_shorthash_BYTES];
    uint64_t tag;

    crypto_shorthash(out, hash->bytes, HASH_SIZE, numbers->key);
    memcpy(&tag, out, sizeof tag);
    return tag >> NUMBER_BITS;
}

static size_t home_of(const struct record_numbers *numbers, uint64_t slot)
{
    return (size_t)((slot >> NUMBER_BITS) * numbers->slot_count >> TAG_BITS);
}

static size_t after(const struct record_numbers *numbers, size_t at)
{
    return (at + 1) & (numbers->slot_count - 1);
}

static void put(struct record_numbers *numbers, uint64_t slot)
{
    size_t at = home_of(numbers, slot);

    while (numbers->slots[at])
        at = after(numbers, at);
    numbers->slots[at] = slot;
}

static void widen(struct record_numbers *numbers)
{
    uint64_t *old = numbers->slots;
    size_t count = numbers->slot_count;

    if (count == 0)
        randombytes_buf(numbers->key, sizeof numbers->key);
    numbers->slot_count = count ? 2 * count : SLOTS_MIN;
    numbers->slots = memory_take(numbers->slot_count * sizeof *numbers->slots);
    for (size_t i = 0; i < count; i++)
        if (old[i])
            put(numbers, old[i]);
    memory_give_back(old);
}

void record_numbers_add(struct record_numbers *numbers, const struct hash *hash, int64_t number)
{
    assert(number > 0);
    if (4 * (numbers->count + 1) > 3 * numbers->slot_count)
        widen(numbers);
    put(numbers, tag_of(numbers, hash) << NUMBER_BITS | ((uint64_t)number & NUMBER_MASK));
    numbers->count++;
}

int64_t record_numbers_next(const struct record_numbers *numbers, const struct hash *hash,
                            size_t *at)
{
    uint64_t tag;

    if (numbers->slot_count == 0)
        return 0;
    tag = tag_of(numbers, hash);
    for (;; (*at)++) {
        size_t place = (home_of(numbers, tag << NUMBER_BITS) + *at) & (numbers->slot_count - 1);
        uint64_t slot = numbers->slots[place];

        if (!slot)
            return 0;
        if (slot >> NUMBER_BITS != tag)
            continue;
        (*at)++;
        return (int64_t)(slot & NUMBER_MASK);
    }
}

/* What stands behind the free slot moves up, unless it is at home between the two. */
static void close_gap(struct record_numbers *numbers, size_t gap)
{
    size_t mask = numbers->slot_count - 1;

    for (size_t at = after(numbers, gap); numbers->slots[at]; at = after(numbers, at)) {
        size_t home = home_of(numbers, numbers->slots[at]);

        if (((at - home) & mask) < ((at - gap) & mask))
            continue;
        numbers->slots[gap] = numbers->slots[at];
        gap = at;
    }
    numbers->slots[gap] = 0;
}

void record_numbers_drop(struct record_numbers *numbers, const struct hash *hash, int64_t number)
{
    uint64_t slot = (uint64_t)number & NUMBER_MASK;
    size_t at;

    if (numbers->slot_count == 0)
        return;
    slot |= tag_of(numbers, hash) << NUMBER_BITS;
    for (at = home_of(numbers, slot); numbers->slots[at] != slot; at = after(numbers, at))
        if (!numbers->slots[at])
            return;
    close_gap(numbers, at);
    numbers->count--;
}
