/* Records that are held anywhere in the pond, once each; a node's store is a set of their numbers. */
#include "pond_parts.h"

#include "core/contradiction.h"

#include <sodium.h>

struct records {
    struct idtable by_hash, owners, names;
    size_t name_count;
    struct pooled **list;
    size_t count, capacity;
    struct arena memory;
};

struct records *records_new(void)
{
    struct records *records = memory_take(sizeof *records);

    idtable_init(&records->by_hash);
    idtable_init(&records->owners);
    idtable_init(&records->names);
    arena_init(&records->memory, SIZE_MAX);
    return records;
}

void records_free(struct records *records)
{
    for (size_t i = 0; i < records->count; i++)
        opened_drop(records->list[i]->opened);
    idtable_free(&records->by_hash);
    idtable_free(&records->owners);
    idtable_free(&records->names);
    memory_give_back(records->list);
    arena_free(&records->memory);
    memory_give_back(records);
}

struct owner *records_owner(struct records *records, const struct id *id)
{
    return (struct owner *)idtable_find(&records->owners, id);
}

struct owner *records_add_owner(struct records *records, const struct id *id, uint32_t node,
                                bool hostile)
{
    struct owner *owner = records_owner(records, id);

    if (owner)
        return owner;
    owner = memory_take(sizeof *owner);
    owner->by_id.id = *id;
    owner->node = node;
    owner->hostile = hostile;
    idtable_add(&records->owners, &owner->by_id);
    return owner;
}

struct pooled *records_find(const struct records *records, const struct hash *hash)
{
    struct id id = id_of(hash);

    return (struct pooled *)idtable_find(&records->by_hash, &id);
}

struct pooled *records_at(const struct records *records, uint32_t number)
{
    return records->list[number];
}

/* The chain of an owner is the same in all its records, unless it was rotated. */
static struct bytes hold_chain(struct records *records, struct owner *owner, struct bytes chain)
{
    if (owner && bytes_equal(owner->chain, chain))
        return owner->chain;
    chain = arena_copy(&records->memory, chain);
    if (owner)
        owner->chain = chain;
    return chain;
}

struct name {
    struct idtable_node by_id;
    uint32_t number;
};

static uint32_t name_of(struct records *records, const struct record *record)
{
    crypto_generichash_state state;
    struct name *name;
    struct id id;

    crypto_generichash_init(&state, NULL, 0, ID_SIZE);
    crypto_generichash_update(&state, record->owner.bytes, ID_SIZE);
    crypto_generichash_update(&state, (const uint8_t *)&record->kind, sizeof record->kind);
    crypto_generichash_update(&state, record->key.data, record->key.size);
    crypto_generichash_final(&state, id.bytes, ID_SIZE);
    name = (struct name *)idtable_find(&records->names, &id);
    if (name)
        return name->number;
    name = memory_take(sizeof *name);
    name->by_id.id = id;
    name->number = (uint32_t)records->name_count++;
    idtable_add(&records->names, &name->by_id);
    return name->number;
}

size_t records_count(const struct records *records)
{
    return records->count;
}

size_t records_names(const struct records *records)
{
    return records->name_count;
}

/* As a store does, whose reader has nothing but the bytes. */
static void read_contradicted(struct record *record, struct bytes chain)
{
    struct arena arena;

    if (record->kind != RECORD_REVOCATION || !contradiction_carries(chain))
        return;
    arena_init(&arena, PARSE_BUDGET(4 * RECORD_SIZE_MAX));
    if (contradiction_read(record, &arena, &record->contradicted) != CONTRADICTION_PROVEN)
        record->contradicted = (struct id){0};
    arena_free(&arena);
}

const struct record *records_parse(struct records *records, struct pooled *pooled)
{
    struct record *record;
    struct envelope envelope;

    if (pooled->parsed)
        return pooled->parsed;
    record = arena_take(&records->memory, sizeof *record);
    if (envelope_parse(pooled->wire, ENVELOPE_RECORD, &records->memory, &envelope) !=
            ENVELOPE_TAKEN ||
        record_parse(envelope.body, &records->memory, record) != RECORD_OK)
        assert(!"a record that was taken parses");
    read_contradicted(record, pooled->chain);
    pooled->parsed = record;
    return record;
}

/* One that was signed in a turn that was undone, with a chain that is no more, may be signed again,
 * to the byte; its chain is another then. */
static struct pooled *follow_chain(struct records *records, struct pooled *pooled,
                                   struct bytes chain)
{
    if (bytes_equal(pooled->chain, chain))
        return pooled;
    pooled->chain = hold_chain(records, records_owner(records, &pooled->owner), chain);
    opened_drop(pooled->opened);
    pooled->opened = NULL;
    return pooled;
}

struct pooled *records_pool(struct records *records, const struct offered_record *item)
{
    const struct record *record = &item->record;
    const struct owner *owner = records_owner(records, &record->owner);
    struct pooled *pooled = records_find(records, &record->hash);

    if (pooled)
        return follow_chain(records, pooled, item->chain);
    if (records->count == records->capacity) {
        records->capacity = records->capacity ? records->capacity * 2 : 256;
        records->list = memory_resize(records->list, records->capacity * sizeof *records->list);
    }
    pooled = memory_take(sizeof *pooled);
    pooled->by_hash.id = id_of(&record->hash);
    pooled->hash = record->hash;
    pooled->owner = record->owner;
    pooled->kind = record->kind;
    pooled->name = name_of(records, record);
    pooled->fleeting = owner && owner->fleeting;
    pooled->version = record->version;
    pooled->not_after_ms = record->not_after_ms;
    pooled->wire = arena_copy(&records->memory, item->wire);
    pooled->chain = hold_chain(records, records_owner(records, &record->owner), item->chain);
    pooled->withdrawn = item->withdrawn;
    pooled->number = (uint32_t)records->count;
    records->list[records->count++] = pooled;
    idtable_add(&records->by_hash, &pooled->by_hash);
    return pooled;
}

/* ---- sets ---- */

static uint64_t word(const struct pooled *record, size_t which)
{
    uint64_t word;

    memcpy(&word, record->hash.bytes + which * sizeof word, sizeof word);
    return word;
}

void held_set_free(struct held_set *set)
{
    memory_give_back(set->slots);
    *set = (struct held_set){0};
}

static size_t find_slot(const struct held_set *set, const struct pooled *record)
{
    size_t i = word(record, 0) & (set->slot_count - 1);

    while (set->slots[i] && set->slots[i] != record->number + 1)
        i = (i + 1) & (set->slot_count - 1);
    return i;
}

bool held_set_has(const struct held_set *set, const struct pooled *record)
{
    return set->slot_count && set->slots[find_slot(set, record)];
}

static void widen(struct held_set *set, const struct records *records)
{
    uint32_t *old = set->slots;
    size_t count = set->slot_count;

    set->slot_count = count ? count * 2 : 16;
    set->slots = memory_take(set->slot_count * sizeof *set->slots);
    for (size_t i = 0; i < count; i++)
        if (old[i])
            set->slots[find_slot(set, records->list[old[i] - 1])] = old[i];
    memory_give_back(old);
}

void held_set_add(struct held_set *set, const struct records *records, const struct pooled *record)
{
    size_t i;

    if (4 * (set->count + 1) > 3 * set->slot_count)
        widen(set, records);
    i = find_slot(set, record);
    if (set->slots[i])
        return;
    set->slots[i] = record->number + 1;
    set->count++;
    if (record->fleeting)
        return;
    set->lasting++;
    set->sums[0] += word(record, 1);
    set->sums[1] += word(record, 2);
}

/* What stood behind the gap moves up, as far as it may. Knuth, volume 3, section 6.4, algorithm R. */
void held_set_remove(struct held_set *set, const struct records *records,
                     const struct pooled *record)
{
    size_t mask = set->slot_count - 1, gap;

    if (!held_set_has(set, record))
        return;
    gap = find_slot(set, record);
    set->slots[gap] = 0;
    set->count--;
    if (!record->fleeting) {
        set->lasting--;
        set->sums[0] -= word(record, 1);
        set->sums[1] -= word(record, 2);
    }
    for (size_t i = (gap + 1) & mask; set->slots[i]; i = (i + 1) & mask) {
        size_t home = word(records->list[set->slots[i] - 1], 0) & mask;

        if (((i - home) & mask) < ((i - gap) & mask))
            continue;
        set->slots[gap] = set->slots[i];
        set->slots[i] = 0;
        gap = i;
    }
}
