#include "holdings.h"

#include "deadlines.h"

#include <assert.h>

struct held {
    const struct directory_entry *entry;
    uint32_t next;  /* in the bucket of its owner */
    uint32_t place; /* among the deadlines */
};

struct holdings {
    uint8_t key[BUCKETS_KEY_SIZE];
    struct held *list;
    uint32_t *buckets; /* by owner: an identity has few records, so a bucket is short */
    size_t count, nodes, capacity;
    size_t bucket_count, bucket_capacity;
    struct deadlines deadlines;
};

static bool ends_earlier(const void *owner, uint32_t left, uint32_t right)
{
    const struct holdings *holdings = owner;
    const struct directory_entry *one = holdings->list[left].entry;
    const struct directory_entry *other = holdings->list[right].entry;

    if (one->not_after_ms != other->not_after_ms)
        return one->not_after_ms < other->not_after_ms;
    return memcmp(one->hash.bytes, other->hash.bytes, HASH_SIZE) < 0;
}

static void stands(void *owner, uint32_t number, uint32_t place)
{
    ((struct holdings *)owner)->list[number].place = place;
}

struct holdings *holdings_new(const uint8_t key[BUCKETS_KEY_SIZE])
{
    struct holdings *holdings = memory_take(sizeof *holdings);

    memcpy(holdings->key, key, sizeof holdings->key);
    holdings->deadlines.owner = holdings;
    holdings->deadlines.ends_earlier = ends_earlier;
    holdings->deadlines.stands = stands;
    return holdings;
}

void holdings_free(struct holdings *holdings)
{
    if (!holdings)
        return;
    deadlines_free(&holdings->deadlines);
    memory_give_back(holdings->list);
    memory_give_back(holdings->buckets);
    memory_give_back(holdings);
}

size_t holdings_count(const struct holdings *holdings)
{
    return holdings->count;
}

size_t holdings_nodes(const struct holdings *holdings)
{
    return holdings->nodes;
}

const struct directory_entry *holdings_at(const struct holdings *holdings, uint32_t number)
{
    assert(number < holdings->count);
    return holdings->list[number].entry;
}

uint32_t holdings_soonest(const struct holdings *holdings)
{
    return holdings->count > 0 ? holdings->deadlines.numbers[0] : HOLDINGS_NONE;
}

size_t holdings_memory(const struct holdings *holdings)
{
    return sizeof *holdings + holdings->capacity * sizeof *holdings->list +
           holdings->bucket_capacity * sizeof *holdings->buckets +
           holdings->deadlines.capacity * sizeof *holdings->deadlines.numbers;
}

/* ---- by owner ---- */

static uint32_t *bucket_of(const struct holdings *holdings, const struct id *owner)
{
    uint64_t hash = buckets_hash(holdings->key, id_bytes(owner));

    return &holdings->buckets[buckets_at(hash, holdings->bucket_count)];
}

static void add_bucket(struct holdings *holdings)
{
    size_t added = holdings->bucket_count;
    uint32_t *link;

    if (added == holdings->bucket_capacity) {
        holdings->bucket_capacity = buckets_more(added);
        holdings->buckets =
            memory_resize(holdings->buckets, holdings->bucket_capacity * sizeof *holdings->buckets);
    }
    holdings->buckets[added] = HOLDINGS_NONE;
    holdings->bucket_count++;
    if (added == 0)
        return;
    link = &holdings->buckets[buckets_split(added)];
    while (*link != HOLDINGS_NONE) {
        uint32_t number = *link;
        struct held *held = &holdings->list[number];

        if (bucket_of(holdings, &held->entry->owner) != &holdings->buckets[added]) {
            link = &held->next;
            continue;
        }
        *link = held->next;
        held->next = holdings->buckets[added];
        holdings->buckets[added] = number;
    }
}

/* What leads to `number`. */
static uint32_t *link_to(struct holdings *holdings, uint32_t number)
{
    uint32_t *link = bucket_of(holdings, &holdings->list[number].entry->owner);

    while (*link != number) {
        assert(*link != HOLDINGS_NONE);
        link = &holdings->list[*link].next;
    }
    return link;
}

uint32_t holdings_of(const struct holdings *holdings, const struct id *owner, uint32_t before)
{
    uint32_t number = HOLDINGS_NONE;

    if (before != HOLDINGS_NONE)
        number = holdings->list[before].next;
    else if (holdings->bucket_count > 0)
        number = *bucket_of(holdings, owner);
    while (number != HOLDINGS_NONE && !id_equal(&holdings->list[number].entry->owner, owner))
        number = holdings->list[number].next;
    return number;
}

/* ---- in and out ---- */

static bool is_live_node(const struct directory_entry *entry)
{
    return entry->kind == RECORD_NODE && !entry->deleted;
}

static void move(struct holdings *holdings, size_t from, size_t to)
{
    if (from == to)
        return;
    *link_to(holdings, (uint32_t)from) = (uint32_t)to;
    holdings->list[to] = holdings->list[from];
    deadlines_rename(&holdings->deadlines, holdings->list[to].place, (uint32_t)to);
}

void holdings_add(struct holdings *holdings, const struct directory_entry *entry)
{
    size_t number = holdings->count;
    uint32_t *bucket;

    assert(holdings->count < HOLDINGS_NONE);
    if (holdings->count == holdings->capacity) {
        holdings->capacity = buckets_more(holdings->capacity);
        holdings->list = memory_resize(holdings->list, holdings->capacity * sizeof *holdings->list);
    }
    if (holdings->bucket_count <= holdings->count)
        add_bucket(holdings);
    if (is_live_node(entry)) {
        number = holdings->nodes++;
        move(holdings, number, holdings->count);
    }
    holdings->count++;
    bucket = bucket_of(holdings, &entry->owner);
    holdings->list[number] = (struct held){.entry = entry, .next = *bucket};
    *bucket = (uint32_t)number;
    deadlines_add(&holdings->deadlines, (uint32_t)number);
}

void holdings_remove(struct holdings *holdings, uint32_t number)
{
    size_t hole = number;

    assert(number < holdings->count);
    *link_to(holdings, number) = holdings->list[number].next;
    deadlines_remove(&holdings->deadlines, holdings->list[number].place);
    if (hole < holdings->nodes) {
        holdings->nodes--;
        move(holdings, holdings->nodes, hole);
        hole = holdings->nodes;
    }
    holdings->count--;
    move(holdings, holdings->count, hole);
}

void holdings_replace(struct holdings *holdings, uint32_t number,
                      const struct directory_entry *entry)
{
    struct held *held = &holdings->list[number];

    assert(number < holdings->count && id_equal(&held->entry->owner, &entry->owner));
    if (is_live_node(held->entry) != is_live_node(entry)) {
        holdings_remove(holdings, number);
        holdings_add(holdings, entry);
        return;
    }
    held->entry = entry;
    deadlines_settle(&holdings->deadlines, held->place);
}
