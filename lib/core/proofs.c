#include "proofs.h"

#include <assert.h>

#define NONE UINT32_MAX

struct listed {
    struct directory_proof proof;
    uint32_t next; /* in its bucket */
};

struct proofs {
    uint8_t key[BUCKETS_KEY_SIZE];
    size_t max, count;
    size_t oldest;       /* once all are used */
    struct listed *list; /* both from the first proof on: most nodes never see one */
    uint32_t *buckets;   /* `max` of them */
};

struct proofs *proofs_new(size_t proofs_max, const uint8_t key[BUCKETS_KEY_SIZE])
{
    struct proofs *proofs = memory_take(sizeof *proofs);

    assert(proofs_max > 0 && proofs_max < NONE);
    memcpy(proofs->key, key, sizeof proofs->key);
    proofs->max = proofs_max;
    return proofs;
}

void proofs_free(struct proofs *proofs)
{
    if (!proofs)
        return;
    memory_give_back(proofs->list);
    memory_give_back(proofs->buckets);
    memory_give_back(proofs);
}

size_t proofs_count(const struct proofs *proofs)
{
    return proofs->count;
}

const struct directory_proof *proofs_at(const struct proofs *proofs, size_t index)
{
    assert(index < proofs->count);
    return &proofs->list[index].proof;
}

static uint32_t *bucket_of(const struct proofs *proofs, const struct id *owner)
{
    return &proofs->buckets[buckets_at(buckets_hash(proofs->key, id_bytes(owner)), proofs->max)];
}

static struct directory_proof *find(const struct proofs *proofs, const struct id *owner)
{
    uint32_t number = proofs->count > 0 ? *bucket_of(proofs, owner) : NONE;

    while (number != NONE && !id_equal(&proofs->list[number].proof.owner, owner))
        number = proofs->list[number].next;
    return number != NONE ? &proofs->list[number].proof : NULL;
}

const struct directory_proof *proofs_find(const struct proofs *proofs, const struct id *owner)
{
    return find(proofs, owner);
}

static void begin(struct proofs *proofs)
{
    proofs->list = memory_take(proofs->max * sizeof *proofs->list);
    proofs->buckets = memory_take(proofs->max * sizeof *proofs->buckets);
    memset(proofs->buckets, 0xFF, proofs->max * sizeof *proofs->buckets);
}

static uint32_t take_oldest(struct proofs *proofs)
{
    uint32_t number = (uint32_t)proofs->oldest;
    uint32_t *link = bucket_of(proofs, &proofs->list[number].proof.owner);

    while (*link != number)
        link = &proofs->list[*link].next;
    *link = proofs->list[number].next;
    proofs->oldest = proofs->oldest + 1 < proofs->max ? proofs->oldest + 1 : 0;
    return number;
}

bool proofs_add(struct proofs *proofs, const struct directory_proof *proof)
{
    struct directory_proof *known = find(proofs, &proof->owner);
    uint32_t number, *bucket;

    if (known) {
        if (hash_equal(&known->lesser, &proof->lesser) &&
            hash_equal(&known->greater, &proof->greater))
            return false;
        *known = *proof;
        return true;
    }
    if (!proofs->list)
        begin(proofs);
    number = proofs->count < proofs->max ? (uint32_t)proofs->count++ : take_oldest(proofs);
    bucket = bucket_of(proofs, &proof->owner);
    proofs->list[number] = (struct listed){*proof, *bucket};
    *bucket = number;
    return true;
}
