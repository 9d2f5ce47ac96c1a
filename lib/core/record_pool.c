#include "record_pool.h"

#include "buckets.h"

#include <assert.h>

#define ALLOCATION(size) (((size) + 8 + 15) / 16 * 16) /* as the common allocators round */

_Static_assert(RECORD_POOL_SEED_SIZE == BUCKETS_KEY_SIZE, "the seed is the key");
_Static_assert(RECORD_KEY_MAX <= UINT8_MAX && RECORD_SIZE_MAX <= UINT16_MAX, "sizes fit");

struct pooled {
    struct pooled *next; /* in its bucket */
    uint32_t holders;
    uint16_t content_size;
    uint8_t key_size;
    struct directory_entry entry;
    uint8_t tail
        []; /* key; then the content of a node or a revocation, the counters of a metrics record */
};

struct record_pool {
    uint8_t key[BUCKETS_KEY_SIZE];
    struct pooled **buckets;
    size_t bucket_count, capacity;
    size_t count, taken; /* taken: bytes */
};

struct record_pool *record_pool_new(const uint8_t seed[RECORD_POOL_SEED_SIZE])
{
    struct record_pool *pool = memory_take(sizeof *pool);

    memcpy(pool->key, seed, sizeof pool->key);
    return pool;
}

void record_pool_free(struct record_pool *pool)
{
    if (!pool)
        return;
    assert(pool->count == 0);
    memory_give_back(pool->buckets);
    memory_give_back(pool);
}

size_t record_pool_count(const struct record_pool *pool)
{
    return pool->count;
}

size_t record_pool_memory(const struct record_pool *pool)
{
    return sizeof *pool + pool->capacity * sizeof *pool->buckets + pool->taken;
}

/* ---- buckets ---- */

static uint64_t hash_of_pooled(const struct record_pool *pool, const struct hash *hash)
{
    return buckets_hash(pool->key, bytes_of(hash->bytes, HASH_SIZE));
}

static struct pooled **bucket_of(const struct record_pool *pool, const struct hash *hash)
{
    return &pool->buckets[buckets_at(hash_of_pooled(pool, hash), pool->bucket_count)];
}

static void add_bucket(struct record_pool *pool)
{
    size_t added = pool->bucket_count;
    struct pooled **link;

    if (added == pool->capacity) {
        pool->capacity = buckets_more(pool->capacity);
        pool->buckets = memory_resize(pool->buckets, pool->capacity * sizeof(struct pooled *));
    }
    pool->buckets[added] = NULL;
    pool->bucket_count++;
    if (added == 0)
        return;
    link = &pool->buckets[buckets_split(added)];
    while (*link) {
        struct pooled *pooled = *link;

        if (bucket_of(pool, &pooled->entry.hash) != &pool->buckets[added]) {
            link = &pooled->next;
            continue;
        }
        *link = pooled->next;
        pooled->next = pool->buckets[added];
        pool->buckets[added] = pooled;
    }
}

static struct pooled *find(const struct record_pool *pool, const struct hash *hash)
{
    struct pooled *pooled = pool->bucket_count > 0 ? *bucket_of(pool, hash) : NULL;

    while (pooled && !hash_equal(&pooled->entry.hash, hash))
        pooled = pooled->next;
    return pooled;
}

/* ---- entries ---- */

static size_t tail_size(const struct pooled *pooled)
{
    bool counts = pooled->entry.kind == RECORD_METRICS && !pooled->entry.deleted;

    return (size_t)pooled->key_size + pooled->content_size +
           (counts ? sizeof(struct metrics_content) : 0);
}

/* The record was verified, so its content parses. */
static void read_duckling(struct directory_entry *entry, const struct record *record)
{
    struct duckling_content duckling;
    struct arena arena;

    arena_init(&arena, PARSE_BUDGET(record->content.size));
    if (duckling_content_parse(record->content, &arena, &duckling) == RECORD_OK) {
        entry->host = duckling.host;
        entry->accepts_pecks = duckling.accepts_pecks;
    }
    arena_free(&arena);
}

static struct pooled *make(const struct record *record)
{
    bool keeps_content =
        (record->kind == RECORD_NODE && !record->deleted) ||
        (record->kind == RECORD_REVOCATION && record->content.size <= REVOCATION_CONTENT_KEPT_MAX);
    struct pooled head = {
        .key_size = (uint8_t)record->key.size,
        .content_size = keeps_content ? (uint16_t)record->content.size : 0,
        .entry = {.hash = record->hash,
                  .owner = record->owner,
                  .host = record->contradicted,
                  .kind = record->kind,
                  .deleted = record->deleted,
                  .version = record->version,
                  .not_after_ms = record->not_after_ms},
    };
    struct metrics_content metrics = {0};
    struct pooled *pooled;

    assert(record->key.size <= RECORD_KEY_MAX && record->content.size <= RECORD_SIZE_MAX);
    if (record->kind == RECORD_DUCKLING && !record->deleted)
        read_duckling(&head.entry, record);
    pooled = memory_take(sizeof head + tail_size(&head));
    *pooled = head;
    if (head.key_size > 0)
        memcpy(pooled->tail, record->key.data, head.key_size);
    if (head.content_size > 0)
        memcpy(pooled->tail + head.key_size, record->content.data, head.content_size);
    if (record->kind == RECORD_METRICS && !record->deleted) {
        metrics_content_parse(record->content, &metrics);
        memcpy(pooled->tail + head.key_size, &metrics, sizeof metrics);
    }
    return pooled;
}

const struct directory_entry *record_pool_take(struct record_pool *pool,
                                               const struct record *record)
{
    struct pooled *pooled = find(pool, &record->hash), **bucket;

    if (!pooled) {
        if (pool->bucket_count <= pool->count)
            add_bucket(pool);
        pooled = make(record);
        bucket = bucket_of(pool, &record->hash);
        pooled->next = *bucket;
        *bucket = pooled;
        pool->count++;
        pool->taken += ALLOCATION(sizeof *pooled + tail_size(pooled));
    }
    pooled->holders++;
    return &pooled->entry;
}

static const struct pooled *pooled_of(const struct directory_entry *entry)
{
    return (const struct pooled *)((const uint8_t *)entry - offsetof(struct pooled, entry));
}

void record_pool_give_back(struct record_pool *pool, const struct directory_entry *entry)
{
    struct pooled **link = bucket_of(pool, &entry->hash), *pooled;

    while (*link && &(*link)->entry != entry)
        link = &(*link)->next;
    pooled = *link;
    assert(pooled);
    if (--pooled->holders > 0)
        return;
    *link = pooled->next;
    pool->count--;
    pool->taken -= ALLOCATION(sizeof *pooled + tail_size(pooled));
    memory_give_back(pooled);
}

struct bytes directory_entry_key(const struct directory_entry *entry)
{
    const struct pooled *pooled = pooled_of(entry);

    return bytes_of(pooled->tail, pooled->key_size);
}

struct bytes directory_entry_content(const struct directory_entry *entry)
{
    const struct pooled *pooled = pooled_of(entry);

    return bytes_of(pooled->tail + pooled->key_size, pooled->content_size);
}

void directory_entry_metrics(const struct directory_entry *entry, struct metrics_content *metrics)
{
    const struct pooled *pooled = pooled_of(entry);

    memset(metrics, 0, sizeof *metrics);
    if (entry->kind == RECORD_METRICS && !entry->deleted)
        memcpy(metrics, pooled->tail + pooled->key_size, sizeof *metrics);
}
