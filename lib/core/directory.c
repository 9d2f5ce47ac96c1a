/* Entries stand in two sorted arrays, by (owner, kind, key) and by hash for digests, and in a heap
 * by their end. Not in hash tables: ids can be ground until they meet in one bucket, a search in an
 * order costs the same whatever strangers choose. A change moves memory: to replace a record takes
 * 20 us at DIRECTORY_MAX, beside a signature check of 90 us. */
#include "directory.h"

#include <assert.h>

#define CAPACITY_MIN 64u

struct held {
    struct directory_entry entry;
    struct bytes key;               /* owned */
    struct bytes content;           /* owned; of a node record */
    struct metrics_content metrics; /* of a metrics record */
    size_t place;                   /* in the heap, from 1 */
};

struct directory {
    size_t max, count, capacity;
    struct held **by_name, **by_hash, **by_end; /* by_end: a heap, from 1 */
    size_t kinds[RECORD_SKILL + 1];
    struct metrics_content total;
};

struct directory *directory_new(size_t records_max)
{
    struct directory *directory = memory_take(sizeof *directory);

    directory->max = records_max;
    return directory;
}

static void held_free(struct held *held)
{
    memory_give_back((void *)(uintptr_t)held->key.data);
    memory_give_back((void *)(uintptr_t)held->content.data);
    memory_give_back(held);
}

void directory_free(struct directory *directory)
{
    if (!directory)
        return;
    for (size_t i = 0; i < directory->count; i++)
        held_free(directory->by_hash[i]);
    memory_give_back(directory->by_name);
    memory_give_back(directory->by_hash);
    memory_give_back(directory->by_end);
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

/* ---- by name, by hash ---- */

struct name {
    struct id owner;
    uint32_t kind;
    struct bytes key;
};

static struct name name_of(const struct held *held)
{
    return (struct name){held->entry.owner, held->entry.kind, held->key};
}

static int compare_names(const struct held *held, const struct name *name)
{
    int order = id_compare(&held->entry.owner, &name->owner);

    if (order != 0)
        return order;
    if (held->entry.kind != name->kind)
        return held->entry.kind < name->kind ? -1 : 1;
    if (held->key.size != name->key.size)
        return held->key.size < name->key.size ? -1 : 1;
    return name->key.size > 0 ? memcmp(held->key.data, name->key.data, name->key.size) : 0;
}

/* Where the first entry stands whose name is not below `name`. */
static size_t seek_name(const struct directory *directory, const struct name *name)
{
    size_t low = 0, high = directory->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_names(directory->by_name[middle], name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t seek_hash(const struct directory *directory, const struct hash *hash)
{
    size_t low = 0, high = directory->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(directory->by_hash[middle]->entry.hash.bytes, hash->bytes, HASH_SIZE) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct held *find(const struct directory *directory, const struct id *owner, uint32_t kind,
                         struct bytes key)
{
    struct name name = {*owner, kind, key};
    size_t at = seek_name(directory, &name);

    if (at == directory->count || compare_names(directory->by_name[at], &name) != 0)
        return NULL;
    return directory->by_name[at];
}

static size_t count_of_owner(const struct directory *directory, const struct id *owner)
{
    struct name least = {*owner, 0, bytes_of(NULL, 0)};
    size_t first = seek_name(directory, &least), at = first;

    while (at < directory->count && id_equal(&directory->by_name[at]->entry.owner, owner))
        at++;
    return at - first;
}

static void put_in(struct held **list, size_t count, size_t at, struct held *held)
{
    memmove(list + at + 1, list + at, (count - at) * sizeof *list);
    list[at] = held;
}

static void pull_out(struct held **list, size_t count, size_t at, const struct held *held)
{
    assert(at < count && list[at] == held);
    memmove(list + at, list + at + 1, (count - at - 1) * sizeof *list);
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
    directory->by_end[place] = held;
    held->place = place;
}

static void settle(struct directory *directory, struct held *held, size_t count)
{
    size_t place = held->place;

    while (place > 1 && ends_earlier(held, directory->by_end[place / 2])) {
        put(directory, place, directory->by_end[place / 2]);
        place /= 2;
    }
    while (place * 2 <= count) {
        size_t child = place * 2;

        if (child < count && ends_earlier(directory->by_end[child + 1], directory->by_end[child]))
            child++;
        if (!ends_earlier(directory->by_end[child], held))
            break;
        put(directory, place, directory->by_end[child]);
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

static void grow(struct directory *directory)
{
    size_t capacity = directory->capacity ? directory->capacity * 2 : CAPACITY_MIN;

    directory->by_name = memory_resize(directory->by_name, capacity * sizeof(struct held *));
    directory->by_hash = memory_resize(directory->by_hash, capacity * sizeof(struct held *));
    directory->by_end = memory_resize(directory->by_end, (capacity + 1) * sizeof(struct held *));
    directory->capacity = capacity;
}

static void insert(struct directory *directory, struct held *held)
{
    struct name name = name_of(held);

    if (directory->count == directory->capacity)
        grow(directory);
    put_in(directory->by_name, directory->count, seek_name(directory, &name), held);
    put_in(directory->by_hash, directory->count, seek_hash(directory, &held->entry.hash), held);
    directory->count++;
    put(directory, directory->count, held);
    settle(directory, held, directory->count);
    count_kind(directory, held, true);
}

static void take_out(struct directory *directory, struct held *held)
{
    struct held *last = directory->by_end[directory->count];
    struct name name = name_of(held);
    size_t place = held->place;

    count_kind(directory, held, false);
    pull_out(directory->by_name, directory->count, seek_name(directory, &name), held);
    pull_out(directory->by_hash, directory->count, seek_hash(directory, &held->entry.hash), held);
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
    if (record->kind == RECORD_NODE)
        held->content = bytes_of(memory_copy(record->content.data, record->content.size),
                                 record->content.size);
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

struct bytes directory_node_content(const struct directory *directory, const struct id *node)
{
    const struct held *held = find(directory, node, RECORD_NODE, bytes_of(NULL, 0));

    return held ? held->content : bytes_of(NULL, 0);
}

size_t directory_expire(struct directory *directory, uint64_t wall_ms, struct hash *hashes,
                        size_t max)
{
    size_t count = 0;

    while (count < max && directory->count > 0 &&
           directory->by_end[1]->entry.not_after_ms <= wall_ms) {
        hashes[count++] = directory->by_end[1]->entry.hash;
        take_out(directory, directory->by_end[1]);
    }
    return count;
}

uint64_t directory_next_expiry_ms(const struct directory *directory)
{
    return directory->count > 0 ? directory->by_end[1]->entry.not_after_ms : MOMENT_NEVER;
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
    size_t at = seek_hash(directory, first), count = 0;

    memset(last->bytes, 0xFF, HASH_SIZE);
    for (; at < directory->count && count < max; at++)
        memcpy(prefixes[count++], directory->by_hash[at]->entry.hash.bytes, 8);
    if (at < directory->count)
        *last = directory->by_hash[at - 1]->entry.hash;
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

    for (size_t at = seek_hash(directory, first); at < directory->count && found < max; at++) {
        const struct hash *hash = &directory->by_hash[at]->entry.hash;

        if (memcmp(hash->bytes, last->bytes, HASH_SIZE) > 0)
            break;
        if (!is_listed(prefixes, count, hash))
            hashes[found++] = *hash;
    }
    return found;
}
