/* The rules. Where things stand is in holdings.c (what is held), marks.c (what ended) and proofs.c
 * (who equivocated); what is known of a record is in record_pool.c. */
#include "directory.h"

#include "holdings.h"
#include "idtable.h"
#include "marks.h"

#include <assert.h>
#include <stdlib.h>

_Static_assert(DIRECTORY_SEED_SIZE == BUCKETS_KEY_SIZE, "the seed is the key");

struct directory {
    size_t records_max;
    struct record_pool *pool;
    struct holdings *held;
    struct marks *marks;
    struct proofs *proofs;
    size_t kinds[RECORD_SKILL + 1];
    struct idtable contradicted; /* struct contradicted */
    struct metrics_content total;
};

/* Of whom a revocation that is held proves it. */
struct contradicted {
    struct idtable_node by_id;
    size_t proofs;
};

/* An offer on its way through the rules. */
struct offer {
    const struct record *record;
    bool is_restored;
    uint64_t wall_ms;
    struct directory_outcome *outcome;
};

struct directory *directory_new(const struct directory_settings *settings)
{
    struct directory *directory = memory_take(sizeof *directory);

    assert(settings->pool);
    directory->records_max = settings->records_max ? settings->records_max : DIRECTORY_MAX;
    directory->pool = settings->pool;
    directory->held = holdings_new(settings->seed);
    idtable_init(&directory->contradicted);
    directory->marks =
        marks_new(settings->marks_max ? settings->marks_max : MARKS_MAX, settings->seed);
    directory->proofs =
        proofs_new(settings->proofs_max ? settings->proofs_max : PROOFS_MAX, settings->seed);
    return directory;
}

void directory_free(struct directory *directory)
{
    if (!directory)
        return;
    for (size_t i = 0; i < holdings_count(directory->held); i++)
        record_pool_give_back(directory->pool, holdings_at(directory->held, (uint32_t)i));
    holdings_free(directory->held);
    idtable_free(&directory->contradicted);
    marks_free(directory->marks);
    proofs_free(directory->proofs);
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
    case DIRECTORY_BEHIND:
        return "not newer than what was held until it ended";
    case DIRECTORY_QUOTA:
        return "its owner has as many newer records as an identity may have";
    case DIRECTORY_FULL:
        return "the directory is full";
    case DIRECTORY_REVOKED:
        return "its owner is revoked";
    case DIRECTORY_EQUIVOCATION:
        return "its owner gave the same version to another record";
    case DIRECTORY_VERDICTS:
        break;
    }
    return "";
}

const char *directory_verdict_name(enum directory_verdict verdict)
{
    static const char *const names[DIRECTORY_VERDICTS] = {
        "taken", "same", "older", "behind", "quota", "full", "revoked", "equivocation"};

    return verdict < DIRECTORY_VERDICTS ? names[verdict] : "";
}

/* ---- looking up ---- */

static uint32_t find(const struct directory *directory, const struct id *owner, uint32_t kind,
                     struct bytes key)
{
    uint32_t number = holdings_of(directory->held, owner, HOLDINGS_NONE);

    while (number != HOLDINGS_NONE) {
        const struct directory_entry *entry = holdings_at(directory->held, number);

        if (entry->kind == kind && bytes_equal(directory_entry_key(entry), key))
            break;
        number = holdings_of(directory->held, owner, number);
    }
    return number;
}

const struct directory_entry *directory_find_key(const struct directory *directory,
                                                 const struct id *owner, uint32_t kind,
                                                 struct bytes key)
{
    uint32_t number = find(directory, owner, kind, key);

    return number != HOLDINGS_NONE ? holdings_at(directory->held, number) : NULL;
}

const struct directory_entry *directory_find(const struct directory *directory,
                                             const struct id *owner, uint32_t kind)
{
    return directory_find_key(directory, owner, kind, bytes_of(NULL, 0));
}

size_t directory_count_of(const struct directory *directory, const struct id *owner)
{
    uint32_t number = HOLDINGS_NONE;
    size_t count = 0;

    while ((number = holdings_of(directory->held, owner, number)) != HOLDINGS_NONE)
        count++;
    return count;
}

bool directory_contradicted(const struct directory *directory, const struct id *owner)
{
    return directory->contradicted.count > 0 && idtable_find(&directory->contradicted, owner);
}

size_t directory_contradicted_count(const struct directory *directory)
{
    return directory->contradicted.count;
}

bool directory_revoked(const struct directory *directory, const struct id *owner)
{
    return directory->kinds[RECORD_REVOCATION] > 0 &&
           (directory_contradicted(directory, owner) ||
            directory_find(directory, owner, RECORD_REVOCATION) != NULL);
}

bool directory_quarantined(const struct directory *directory, const struct id *owner,
                           uint64_t wall_ms)
{
    const struct directory_proof *proof = proofs_find(directory->proofs, owner);

    return proof && wall_ms < proof->until_ms;
}

static bool is_known_node(const struct directory *directory, const struct id *id)
{
    const struct directory_entry *entry = directory_find(directory, id, RECORD_NODE);

    return entry && !entry->deleted;
}

static bool is_known_duckling(const struct directory *directory,
                              const struct directory_entry *entry)
{
    return entry && entry->kind == RECORD_DUCKLING && !entry->deleted &&
           is_known_node(directory, &entry->host);
}

struct bytes directory_node_content(const struct directory *directory, const struct id *node)
{
    const struct directory_entry *entry = directory_find(directory, node, RECORD_NODE);

    return entry && !entry->deleted ? directory_entry_content(entry) : bytes_of(NULL, 0);
}

/* ---- in and out ---- */

static void count_metrics(struct directory *directory, const struct directory_entry *entry,
                          bool add)
{
    struct metrics_content *total = &directory->total, metrics;
    uint64_t sign = add ? 1 : UINT64_MAX; /* modulo 2^64 what was added is taken off again */

    directory_entry_metrics(entry, &metrics);
    total->ducklings += sign * metrics.ducklings;
    total->birth_certificates += sign * metrics.birth_certificates;
    total->connections += sign * metrics.connections;
    total->eggs += sign * metrics.eggs;
    total->space_ducks += sign * metrics.space_ducks;
    total->pecks += sign * metrics.pecks;
    total->pageviews += sign * metrics.pageviews;
}

static void count_proof(struct directory *directory, const struct id *id, bool add)
{
    struct contradicted *one = (struct contradicted *)idtable_find(&directory->contradicted, id);

    if (!one) {
        assert(add);
        one = memory_take(sizeof *one);
        one->by_id.id = *id;
        idtable_add(&directory->contradicted, &one->by_id);
    }
    one->proofs += add ? 1 : SIZE_MAX;
    if (one->proofs > 0)
        return;
    idtable_remove(&directory->contradicted, &one->by_id);
    memory_give_back(one);
}

static void count_in(struct directory *directory, const struct directory_entry *entry, bool add)
{
    if (entry->deleted)
        return;
    if (entry->kind <= RECORD_SKILL)
        directory->kinds[entry->kind] += add ? 1 : SIZE_MAX;
    if (entry->kind == RECORD_METRICS)
        count_metrics(directory, entry, add);
    if (entry->kind == RECORD_REVOCATION && !id_is_zero(&entry->host))
        count_proof(directory, &entry->host, add);
}

static struct directory_drop drop_of(const struct directory_entry *entry)
{
    return (struct directory_drop){
        .hash = entry->hash, .version = entry->version, .kind = entry->kind};
}

static void let_go(struct directory *directory, const struct directory_entry *entry)
{
    count_in(directory, entry, false);
    record_pool_give_back(directory->pool, entry);
}

static void drop(struct directory *directory, uint32_t number, struct directory_outcome *outcome)
{
    const struct directory_entry *entry = holdings_at(directory->held, number);

    assert(outcome->dropped_count < DIRECTORY_DROPS_MAX);
    outcome->dropped[outcome->dropped_count++] = drop_of(entry);
    holdings_remove(directory->held, number);
    let_go(directory, entry);
}

static enum directory_verdict add(struct directory *directory, const struct offer *offer)
{
    const struct directory_entry *entry = record_pool_take(directory->pool, offer->record);

    holdings_add(directory->held, entry);
    count_in(directory, entry, true);
    offer->outcome->taken = true;
    return DIRECTORY_TAKEN;
}

static enum directory_verdict replace(struct directory *directory, uint32_t number,
                                      const struct offer *offer)
{
    const struct directory_entry *old = holdings_at(directory->held, number);
    const struct directory_entry *entry = record_pool_take(directory->pool, offer->record);

    holdings_replace(directory->held, number, entry);
    count_in(directory, entry, true);
    offer->outcome->replaced = drop_of(old);
    offer->outcome->taken = true;
    let_go(directory, old);
    return DIRECTORY_TAKEN;
}

/* ---- equivocation ---- */

static enum directory_verdict note_equivocation(struct directory *directory, uint32_t number,
                                                const struct offer *offer)
{
    const struct directory_entry *held = holdings_at(directory->held, number);
    const struct record *record = offer->record;
    bool is_greater = memcmp(record->hash.bytes, held->hash.bytes, HASH_SIZE) > 0;
    struct directory_proof proof = {
        .owner = record->owner,
        .kind = record->kind,
        .version = record->version,
        .lesser = is_greater ? held->hash : record->hash,
        .greater = is_greater ? record->hash : held->hash,
        .until_ms = offer->wall_ms + QUARANTINE_MS,
    };

    offer->outcome->other = held->hash;
    offer->outcome->proven = proofs_add(directory->proofs, &proof);
    if (is_greater)
        replace(directory, number, offer);
    return DIRECTORY_EQUIVOCATION;
}

/* ---- newcomers ---- */

static bool is_stranger(const struct directory *directory, const struct record *record)
{
    struct duckling_content content;
    struct arena arena;
    bool is_hosted = false;

    if (is_known_node(directory, &record->owner) ||
        is_known_duckling(directory, directory_find(directory, &record->owner, RECORD_DUCKLING)))
        return false;
    if (record->kind != RECORD_DUCKLING || record->deleted)
        return true;
    arena_init(&arena, PARSE_BUDGET(record->content.size));
    is_hosted = duckling_content_parse(record->content, &arena, &content) == RECORD_OK &&
                is_known_node(directory, &content.host);
    arena_free(&arena);
    return !is_hosted;
}

static bool has_place(const struct directory *directory, const struct offer *offer)
{
    size_t count = holdings_count(directory->held), max = directory->records_max;

    if (count < max - DIRECTORY_RESERVE(max))
        return true;
    return count < max && (offer->is_restored || !is_stranger(directory, offer->record));
}

/* How many records the owner has, and which of them is the oldest. */
static size_t count_of_owner(const struct directory *directory, const struct id *owner,
                             uint32_t *oldest)
{
    uint32_t number = holdings_of(directory->held, owner, HOLDINGS_NONE);
    size_t count = 0;

    *oldest = number;
    for (; number != HOLDINGS_NONE; number = holdings_of(directory->held, owner, number)) {
        const struct directory_entry *entry = holdings_at(directory->held, number);
        const struct directory_entry *least = holdings_at(directory->held, *oldest);

        if (record_is_newer(least->version, &least->hash, entry->version, &entry->hash))
            *oldest = number;
        count++;
    }
    return count;
}

/* The newest win. So the threshold only rises, and who came first does not matter: what was put out
 * would be put out again. It leaves no mark, or it could not return when there is room once more. */
static enum directory_verdict offer_newcomer(struct directory *directory, const struct offer *offer)
{
    const struct record *record = offer->record;
    const struct directory_entry *least;
    uint32_t oldest;

    if (marks_stop(directory->marks, &record->owner, record->kind, record->key, record->version))
        return DIRECTORY_BEHIND;
    if (count_of_owner(directory, &record->owner, &oldest) < RECORDS_PER_OWNER_MAX)
        return has_place(directory, offer) ? add(directory, offer) : DIRECTORY_FULL;
    least = holdings_at(directory->held, oldest);
    if (!record_is_newer(record->version, &record->hash, least->version, &least->hash))
        return DIRECTORY_QUOTA;
    drop(directory, oldest, offer->outcome);
    return add(directory, offer);
}

/* ---- revocation ---- */

static bool outranks(const struct record *record, const struct directory_entry *held)
{
    if (record->not_after_ms != held->not_after_ms)
        return record->not_after_ms > held->not_after_ms;
    return record_is_newer(record->version, &record->hash, held->version, &held->hash);
}

/* A revocation lives for a year, and identities cost nothing: of owners of whom nothing else is held
 * only so many are, else the table could be filled for that year. */
static bool may_revoke(const struct directory *directory, const struct offer *offer)
{
    size_t revocations = directory->kinds[RECORD_REVOCATION];

    if (holdings_of(directory->held, &offer->record->owner, HOLDINGS_NONE) != HOLDINGS_NONE ||
        holdings_of(directory->held, &offer->record->contradicted, HOLDINGS_NONE) != HOLDINGS_NONE)
        return true;
    return (offer->is_restored || revocations < REVOCATIONS_HELD_MAX(directory->records_max)) &&
           has_place(directory, offer);
}

static void drop_all_of(struct directory *directory, const struct id *owner,
                        struct directory_outcome *outcome)
{
    uint32_t number;

    while ((number = holdings_of(directory->held, owner, HOLDINGS_NONE)) != HOLDINGS_NONE)
        drop(directory, number, outcome);
}

/* A proof lets go of all of whom it is about, revocations too: under the other chain nobody takes those. */
static enum directory_verdict hold_revocation(struct directory *directory, uint32_t number,
                                              const struct offer *offer)
{
    if (!id_is_zero(&offer->record->contradicted))
        drop_all_of(directory, &offer->record->contradicted, offer->outcome);
    if (number == HOLDINGS_NONE)
        return add(directory, offer);
    return replace(directory,
                   find(directory, &offer->record->owner, RECORD_REVOCATION, offer->record->key),
                   offer);
}

/* What it drops leaves no mark: nothing that was said before a revocation outlives it. */
static enum directory_verdict offer_revocation(struct directory *directory,
                                               const struct offer *offer)
{
    const struct record *record = offer->record;
    uint32_t number = find(directory, &record->owner, RECORD_REVOCATION, record->key);

    if (number != HOLDINGS_NONE) {
        const struct directory_entry *held = holdings_at(directory->held, number);

        if (hash_equal(&held->hash, &record->hash))
            return DIRECTORY_SAME;
        return outranks(record, held) ? hold_revocation(directory, number, offer) : DIRECTORY_OLDER;
    }
    if (!may_revoke(directory, offer))
        return DIRECTORY_FULL;
    drop_all_of(directory, &record->owner, offer->outcome);
    return hold_revocation(directory, HOLDINGS_NONE, offer);
}

/* ---- offers ---- */

static enum directory_verdict judge(struct directory *directory, const struct offer *offer)
{
    const struct record *record = offer->record;
    const struct directory_entry *held;
    uint32_t number;
    int order;

    if (directory_contradicted(directory, &record->owner))
        return DIRECTORY_REVOKED;
    if (record->kind == RECORD_REVOCATION)
        return offer_revocation(directory, offer);
    if (directory_revoked(directory, &record->owner))
        return DIRECTORY_REVOKED;
    number = find(directory, &record->owner, record->kind, record->key);
    if (number == HOLDINGS_NONE)
        return offer_newcomer(directory, offer);
    held = holdings_at(directory->held, number);
    if (hash_equal(&held->hash, &record->hash))
        return DIRECTORY_SAME;
    order = version_compare(record->version, held->version);
    if (order == 0)
        return note_equivocation(directory, number, offer);
    return order > 0 ? replace(directory, number, offer) : DIRECTORY_OLDER;
}

static void clear(struct directory_outcome *outcome)
{
    outcome->taken = outcome->proven = false;
    memset(&outcome->other, 0, sizeof outcome->other);
    memset(&outcome->replaced, 0, sizeof outcome->replaced);
    outcome->dropped_count = 0;
}

enum directory_verdict directory_offer(struct directory *directory, const struct record *record,
                                       uint64_t wall_ms, struct directory_outcome *outcome)
{
    struct offer offer = {.record = record, .wall_ms = wall_ms, .outcome = outcome};

    clear(outcome);
    return judge(directory, &offer);
}

enum directory_verdict directory_restore(struct directory *directory, const struct record *record,
                                         uint64_t wall_ms, struct directory_outcome *outcome)
{
    struct offer offer = {
        .record = record, .is_restored = true, .wall_ms = wall_ms, .outcome = outcome};

    clear(outcome);
    return judge(directory, &offer);
}

void directory_restore_mark(struct directory *directory, const struct id *owner, uint32_t kind,
                            struct bytes key, struct version version)
{
    marks_raise(directory->marks, owner, kind, key, version);
}

void directory_restore_proof(struct directory *directory, const struct directory_proof *proof)
{
    proofs_add(directory->proofs, proof);
}

/* ---- ends ---- */

/* A revocation leaves no mark: of two it is not the newer that is held. */
static void leave_mark(struct directory *directory, const struct directory_entry *entry,
                       uint64_t wall_ms, struct directory_drop *dropped)
{
    uint64_t until_ms = mark_until_ms(entry->version);

    if (entry->kind == RECORD_REVOCATION || until_ms <= wall_ms)
        return;
    marks_raise(directory->marks, &entry->owner, entry->kind, directory_entry_key(entry),
                entry->version);
    dropped->mark_until_ms = until_ms;
}

static uint32_t find_older(const struct directory *directory, const struct id *owner,
                           uint64_t before_ms)
{
    uint32_t number = HOLDINGS_NONE;

    while ((number = holdings_of(directory->held, owner, number)) != HOLDINGS_NONE) {
        const struct directory_entry *entry = holdings_at(directory->held, number);

        if (entry->version.ms < before_ms && entry->kind != RECORD_REVOCATION)
            return number;
    }
    return HOLDINGS_NONE;
}

size_t directory_void(struct directory *directory, const struct id *owner, uint64_t before_ms,
                      struct directory_drop drops[RECORDS_PER_OWNER_MAX])
{
    size_t count = 0;
    uint32_t number;

    while ((number = find_older(directory, owner, before_ms)) != HOLDINGS_NONE) {
        const struct directory_entry *entry = holdings_at(directory->held, number);

        assert(count < RECORDS_PER_OWNER_MAX);
        drops[count++] = drop_of(entry);
        holdings_remove(directory->held, number);
        let_go(directory, entry);
    }
    return count;
}

static void end_entry(struct directory *directory, uint32_t number, uint64_t wall_ms,
                      struct directory_drop *dropped)
{
    const struct directory_entry *entry = holdings_at(directory->held, number);

    *dropped = drop_of(entry);
    leave_mark(directory, entry, wall_ms, dropped);
    holdings_remove(directory->held, number);
    let_go(directory, entry);
}

bool directory_drop(struct directory *directory, const struct id *owner, uint32_t kind,
                    uint64_t wall_ms, struct directory_drop *dropped)
{
    uint32_t number = find(directory, owner, kind, bytes_of(NULL, 0));

    if (number == HOLDINGS_NONE)
        return false;
    end_entry(directory, number, wall_ms, dropped);
    return true;
}

size_t directory_expire(struct directory *directory, uint64_t wall_ms, struct directory_drop *drops,
                        size_t max)
{
    size_t count = 0;

    marks_expire(directory->marks, wall_ms);
    while (count < max && directory_next_expiry_ms(directory) <= wall_ms &&
           holdings_count(directory->held) > 0)
        end_entry(directory, holdings_soonest(directory->held), wall_ms, &drops[count++]);
    return count;
}

uint64_t directory_next_expiry_ms(const struct directory *directory)
{
    uint32_t number = holdings_soonest(directory->held);

    return number != HOLDINGS_NONE ? holdings_at(directory->held, number)->not_after_ms
                                   : MOMENT_NEVER;
}

/* ---- what there is ---- */

size_t directory_count(const struct directory *directory)
{
    return holdings_count(directory->held);
}

const struct directory_entry *directory_at(const struct directory *directory, size_t index)
{
    return holdings_at(directory->held, (uint32_t)index);
}

size_t directory_node_count(const struct directory *directory)
{
    return holdings_nodes(directory->held);
}

const struct directory_entry *directory_node_at(const struct directory *directory, size_t index)
{
    assert(index < holdings_nodes(directory->held));
    return holdings_at(directory->held, (uint32_t)index);
}

size_t directory_count_kind(const struct directory *directory, uint32_t kind)
{
    return kind <= RECORD_SKILL ? directory->kinds[kind] : 0;
}

void directory_metrics(const struct directory *directory, struct metrics_content *total,
                       size_t *nodes)
{
    *total = directory->total;
    if (nodes)
        *nodes = directory->kinds[RECORD_METRICS];
}

size_t directory_mark_count(const struct directory *directory)
{
    return marks_count(directory->marks);
}

size_t directory_proof_count(const struct directory *directory)
{
    return proofs_count(directory->proofs);
}

const struct directory_proof *directory_proof_at(const struct directory *directory, size_t index)
{
    return proofs_at(directory->proofs, index);
}

size_t directory_memory(const struct directory *directory)
{
    return sizeof *directory + holdings_memory(directory->held) + marks_memory(directory->marks);
}
