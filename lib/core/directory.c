/* Entries stand in two hash tables, by (owner, kind, key) and by owner, in an array sorted by
 * hash for digests, and in a heap by their end. The sorted array moves memory on a change: at
 * DIRECTORY_MAX that is a copy of 200 KiB on average, some 10 us. */
#include "directory.h"

#include <assert.h>

#define SLOTS_MIN 64u

struct held {
    struct directory_entry entry;
    struct bytes key;               /* owned */
    struct metrics_content metrics; /* of a metrics record */
    struct held *next, *next_of_owner;
    size_t place; /* in the heap, from 1 */
};

struct directory {
    size_t max, count, slots; /* slots: a power of two */
    struct held **by_name, **by_owner;
    struct held **sorted, **heap;
    size_t capacity;
    size_t kinds[RECORD_SKILL + 1];
    struct metrics_content total;
};

struct directory *directory_new(size_t records_max)
{
    struct directory *directory = memory_take(sizeof *directory);

    directory->max = records_max;
    directory->slots = SLOTS_MIN;
    directory->by_name = memory_take(directory->slots * sizeof *directory->by_name);
    directory->by_owner = memory_take(directory->slots * sizeof *directory->by_owner);
    return directory;
}

static void held_free(struct held *held)
{
    memory_give_back((void *)(uintptr_t)held->key.data);
    memory_give_back(held);
}

void directory_free(struct directory *directory)
{
    if (!directory)
        return;
    for (size_t i = 0; i < directory->count; i++)
        held_free(directory->sorted[i]);
    memory_give_back(directory->by_name);
    memory_give_back(directory->by_owner);
    memory_give_back(directory->sorted);
    memory_give_back(directory->heap);
    memory_give_back(directory);
}

const char *directory_verdict_text(enum directory_verdict verdict)
{
    switch (verdict) {
    case DIRECTORY_TAKEN:
        return "taken";
    case DIRECTORY_SAME:
        return "held already";
    case DIRECTORY_OLDER:
        return "older than what is held";
    case DIRECTORY_QUOTA:
        return "its owner has as many records as an identity may have";
    case DIRECTORY_FULL:
        return "the directory is full";
    }
    return "";
}

/* ---- by name ---- */

static uint64_t owner_key(const struct id *owner)
{
    uint64_t key;

    memcpy(&key, owner->bytes, sizeof key);
    return key;
}

/* Owners are hashes; kind and key are the owner's choice and only shift within his own records. */
static uint64_t name_key(const struct id *owner, uint32_t kind, struct bytes key)
{
    uint64_t mixed = owner_key(owner) ^ (uint64_t)kind * 0x9E3779B97F4A7C15u;

    for (size_t i = 0; i < key.size; i++)
        mixed = (mixed ^ key.data[i]) * 0x100000001B3u;
    return mixed;
}

static struct held *find(const struct directory *directory, const struct id *owner, uint32_t kind,
                         struct bytes key)
{
    uint64_t name = name_key(owner, kind, key);
    struct held *held = directory->by_name[name & (directory->slots - 1)];

    while (held && !(id_equal(&held->entry.owner, owner) && held->entry.kind == kind &&
                     bytes_equal(held->key, key)))
        held = held->next;
    return held;
}

static size_t count_of_owner(const struct directory *directory, const struct id *owner)
{
    size_t count = 0;

    for (const struct held *held = directory->by_owner[owner_key(owner) & (directory->slots - 1)];
         held; held = held->next_of_owner)
        if (id_equal(&held->entry.owner, owner))
            count++;
    return count;
}

static void link_names(struct directory *directory, struct held *held)
{
    const struct directory_entry *entry = &held->entry;
    uint64_t name = name_key(&entry->owner, entry->kind, held->key);
    struct held **by_name = &directory->by_name[name & (directory->slots - 1)];
    struct held **by_owner =
        &directory->by_owner[owner_key(&entry->owner) & (directory->slots - 1)];

    held->next = *by_name;
    *by_name = held;
    held->next_of_owner = *by_owner;
    *by_owner = held;
}

static void unlink_names(struct directory *directory, struct held *held)
{
    const struct directory_entry *entry = &held->entry;
    uint64_t name = name_key(&entry->owner, entry->kind, held->key);
    struct held **link = &directory->by_name[name & (directory->slots - 1)];

    while (*link != held)
        link = &(*link)->next;
    *link = held->next;
    link = &directory->by_owner[owner_key(&entry->owner) & (directory->slots - 1)];
    while (*link != held)
        link = &(*link)->next_of_owner;
    *link = held->next_of_owner;
}

static void widen(struct directory *directory)
{
    directory->slots *= 2;
    memory_give_back(directory->by_name);
    memory_give_back(directory->by_owner);
    directory->by_name = memory_take(directory->slots * sizeof *directory->by_name);
    directory->by_owner = memory_take(directory->slots * sizeof *directory->by_owner);
    for (size_t i = 0; i < directory->count; i++)
        link_names(directory, directory->sorted[i]);
}

/* ---- by hash ---- */

/* Where the first entry with a hash not below `hash` stands. */
static size_t lower_bound(const struct directory *directory, const struct hash *hash)
{
    size_t low = 0, high = directory->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(directory->sorted[middle]->entry.hash.bytes, hash->bytes, HASH_SIZE) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- by end ---- */

static bool ends_earlier(const struct held *left, const struct held *right)
{
    if (left->entry.not_after_ms != right->entry.not_after_ms)
        return left->entry.not_after_ms < right->entry.not_after_ms;
    return memcmp(left->entry.hash.bytes, right->entry.hash.bytes, HASH_SIZE) < 0;
}

static void put(struct directory *directory, size_t place, struct held *held)
{
    directory->heap[place] = held;
    held->place = place;
}

static void settle(struct directory *directory, struct held *held, size_t count)
{
    size_t place = held->place;

    while (place > 1 && ends_earlier(held, directory->heap[place / 2])) {
        put(directory, place, directory->heap[place / 2]);
        place /= 2;
    }
    while (place * 2 <= count) {
        size_t child = place * 2;

        if (child < count && ends_earlier(directory->heap[child + 1], directory->heap[child]))
            child++;
        if (!ends_earlier(directory->heap[child], held))
            break;
        put(directory, place, directory->heap[child]);
        place = child;
    }
    put(directory, place, held);
}

/* ---- in and out ---- */

static void count_metrics(struct directory *directory, const struct metrics_content *metrics,
                          bool add)
{
    struct metrics_content *total = &directory->total;
    uint64_t sign = add ? 1 : UINT64_MAX; /* modulo 2^64 what was added is taken off again */

    total->ducklings += sign * metrics->ducklings;
    total->birth_certificates += sign * metrics->birth_certificates;
    total->connections += sign * metrics->connections;
    total->eggs += sign * metrics->eggs;
    total->space_ducks += sign * metrics->space_ducks;
    total->pecks += sign * metrics->pecks;
    total->pageviews += sign * metrics->pageviews;
}

static void count_kind(struct directory *directory, const struct held *held, bool add)
{
    if (held->entry.deleted)
        return;
    if (held->entry.kind <= RECORD_SKILL)
        directory->kinds[held->entry.kind] += add ? 1 : SIZE_MAX;
    if (held->entry.kind == RECORD_METRICS)
        count_metrics(directory, &held->metrics, add);
}

static void insert(struct directory *directory, struct held *held)
{
    size_t at;

    if (directory->count >= directory->slots)
        widen(directory);
    if (directory->count + 2 > directory->capacity) {
        directory->capacity = directory->capacity ? directory->capacity * 2 : SLOTS_MIN;
        directory->sorted =
            memory_resize(directory->sorted, directory->capacity * sizeof *directory->sorted);
        directory->heap =
            memory_resize(directory->heap, (directory->capacity + 1) * sizeof *directory->heap);
    }
    at = lower_bound(directory, &held->entry.hash);
    memmove(directory->sorted + at + 1, directory->sorted + at,
            (directory->count - at) * sizeof *directory->sorted);
    directory->sorted[at] = held;
    directory->count++;
    link_names(directory, held);
    put(directory, directory->count, held);
    settle(directory, held, directory->count);
    count_kind(directory, held, true);
}

static void take_out(struct directory *directory, struct held *held)
{
    size_t at = lower_bound(directory, &held->entry.hash), place = held->place;
    struct held *last = directory->heap[directory->count];

    assert(directory->sorted[at] == held);
    count_kind(directory, held, false);
    unlink_names(directory, held);
    memmove(directory->sorted + at, directory->sorted + at + 1,
            (directory->count - at - 1) * sizeof *directory->sorted);
    directory->count--;
    if (last != held) {
        put(directory, place, last);
        settle(directory, last, directory->count);
    }
    held_free(held);
}

/* What the entry keeps of the content. The record was verified, so its content parses. */
static void read_content(struct held *held, const struct record *record)
{
    struct duckling_content duckling;
    struct arena arena;

    if (record->deleted)
        return;
    if (record->kind == RECORD_METRICS)
        metrics_content_parse(record->content, &held->metrics);
    if (record->kind != RECORD_DUCKLING)
        return;
    arena_init(&arena, PARSE_BUDGET(record->content.size));
    if (duckling_content_parse(record->content, &arena, &duckling) == RECORD_OK) {
        held->entry.host = duckling.host;
        held->entry.accepts_pecks = duckling.accepts_pecks;
    }
    arena_free(&arena);
}

enum directory_verdict directory_offer(struct directory *directory, const struct record *record,
                                       struct hash *replaced)
{
    struct held *old = find(directory, &record->owner, record->kind, record->key), *held;

    memset(replaced, 0, sizeof *replaced);
    if (old && hash_equal(&old->entry.hash, &record->hash))
        return DIRECTORY_SAME;
    if (old &&
        !record_is_newer(record->version, &record->hash, old->entry.version, &old->entry.hash))
        return DIRECTORY_OLDER;
    if (!old && count_of_owner(directory, &record->owner) >= RECORDS_PER_OWNER_MAX)
        return DIRECTORY_QUOTA;
    if (!old && directory->count >= directory->max)
        return DIRECTORY_FULL;
    held = memory_take(sizeof *held);
    held->entry.hash = record->hash;
    held->entry.owner = record->owner;
    held->entry.kind = record->kind;
    held->entry.version = record->version;
    held->entry.not_after_ms = record->not_after_ms;
    held->entry.deleted = record->deleted;
    held->key = bytes_of(memory_copy(record->key.data, record->key.size), record->key.size);
    read_content(held, record);
    if (old) {
        *replaced = old->entry.hash;
        take_out(directory, old);
    }
    insert(directory, held);
    return DIRECTORY_TAKEN;
}

const struct directory_entry *directory_find(const struct directory *directory,
                                             const struct id *owner, uint32_t kind)
{
    const struct held *held = find(directory, owner, kind, bytes_of(NULL, 0));

    return held ? &held->entry : NULL;
}

size_t directory_expire(struct directory *directory, uint64_t wall_ms, struct hash *hashes,
                        size_t max)
{
    size_t count = 0;

    while (count < max && directory->count > 0 &&
           directory->heap[1]->entry.not_after_ms <= wall_ms) {
        hashes[count++] = directory->heap[1]->entry.hash;
        take_out(directory, directory->heap[1]);
    }
    return count;
}

uint64_t directory_next_expiry_ms(const struct directory *directory)
{
    return directory->count > 0 ? directory->heap[1]->entry.not_after_ms : MOMENT_NEVER;
}

size_t directory_count(const struct directory *directory)
{
    return directory->count;
}

size_t directory_count_kind(const struct directory *directory, uint32_t kind)
{
    return kind <= RECORD_SKILL ? directory->kinds[kind] : 0;
}

void directory_metrics(const struct directory *directory, struct metrics_content *total,
                       size_t *nodes)
{
    *total = directory->total;
    *nodes = directory->kinds[RECORD_METRICS];
}

/* ---- digests ---- */

size_t directory_digest(const struct directory *directory, const struct hash *first,
                        struct hash *last, uint8_t (*prefixes)[8], size_t max)
{
    size_t at = lower_bound(directory, first), count = 0;

    memset(last->bytes, 0xFF, HASH_SIZE);
    for (; at < directory->count && count < max; at++)
        memcpy(prefixes[count++], directory->sorted[at]->entry.hash.bytes, 8);
    if (at < directory->count)
        *last = directory->sorted[at - 1]->entry.hash;
    return count;
}

static bool is_listed(const uint8_t (*prefixes)[8], size_t count, const struct hash *hash)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(prefixes[middle], hash->bytes, 8);

        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

size_t directory_lacking(const struct directory *directory, const struct hash *first,
                         const struct hash *last, const uint8_t (*prefixes)[8], size_t count,
                         struct hash *hashes, size_t max)
{
    size_t found = 0;

    for (size_t at = lower_bound(directory, first); at < directory->count && found < max; at++) {
        const struct hash *hash = &directory->sorted[at]->entry.hash;

        if (memcmp(hash->bytes, last->bytes, HASH_SIZE) > 0)
            break;
        if (!is_listed(prefixes, count, hash))
            hashes[found++] = *hash;
    }
    return found;
}
