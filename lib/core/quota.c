/* Buckets stand in the order of ids: neighbours are few, and a search in an order costs the same
 * whatever ids they chose. */
#include "quota.h"

#include <assert.h>

struct bucket {
    struct id neighbour;
    uint64_t amount, filled_ms;
};

struct quota {
    size_t max, count, capacity;
    uint64_t per_s, burst;
    struct bucket *buckets;
};

struct quota *quota_new(size_t neighbours_max, uint64_t per_s, uint64_t burst)
{
    struct quota *quota = memory_take(sizeof *quota);

    assert(neighbours_max > 0 && per_s > 0);
    quota->max = neighbours_max;
    quota->per_s = per_s;
    quota->burst = burst;
    return quota;
}

void quota_free(struct quota *quota)
{
    if (!quota)
        return;
    memory_give_back(quota->buckets);
    memory_give_back(quota);
}

static size_t seek(const struct quota *quota, const struct id *neighbour)
{
    size_t low = 0, high = quota->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (id_compare(&quota->buckets[middle].neighbour, neighbour) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void forget_idle(struct quota *quota)
{
    size_t idle = 0;

    for (size_t i = 1; i < quota->count; i++)
        if (quota->buckets[i].filled_ms < quota->buckets[idle].filled_ms)
            idle = i;
    quota->count--;
    memmove(quota->buckets + idle, quota->buckets + idle + 1,
            (quota->count - idle) * sizeof *quota->buckets);
}

static struct bucket *bucket_of(struct quota *quota, const struct id *neighbour, uint64_t now_ms)
{
    size_t at = seek(quota, neighbour);

    if (at < quota->count && id_equal(&quota->buckets[at].neighbour, neighbour))
        return &quota->buckets[at];
    if (quota->count == quota->max) {
        forget_idle(quota);
        at = seek(quota, neighbour);
    }
    if (quota->count == quota->capacity) {
        quota->capacity = quota->capacity ? quota->capacity * 2 : 8;
        quota->buckets = memory_resize(quota->buckets, quota->capacity * sizeof *quota->buckets);
    }
    memmove(quota->buckets + at + 1, quota->buckets + at,
            (quota->count - at) * sizeof *quota->buckets);
    quota->count++;
    quota->buckets[at] =
        (struct bucket){.neighbour = *neighbour, .amount = quota->burst, .filled_ms = now_ms};
    return &quota->buckets[at];
}

static void fill(const struct quota *quota, struct bucket *bucket, uint64_t now_ms)
{
    uint64_t passed_ms = now_ms > bucket->filled_ms ? now_ms - bucket->filled_ms : 0;
    uint64_t most_ms = quota->burst * 1000 / quota->per_s + 1;
    uint64_t drops = (passed_ms < most_ms ? passed_ms : most_ms) * quota->per_s / 1000;

    if (drops == 0 && now_ms >= bucket->filled_ms)
        return; /* the time goes on counting */
    bucket->filled_ms = now_ms;
    bucket->amount = bucket->amount + drops < quota->burst ? bucket->amount + drops : quota->burst;
}

bool quota_take(struct quota *quota, const struct id *neighbour, uint64_t amount, uint64_t now_ms)
{
    struct bucket *bucket = bucket_of(quota, neighbour, now_ms);

    fill(quota, bucket, now_ms);
    if (bucket->amount < amount)
        return false;
    bucket->amount -= amount;
    return true;
}

void quota_give_back(struct quota *quota, const struct id *neighbour, uint64_t amount,
                     uint64_t now_ms)
{
    struct bucket *bucket = bucket_of(quota, neighbour, now_ms);

    bucket->amount =
        quota->burst - bucket->amount > amount ? bucket->amount + amount : quota->burst;
}
