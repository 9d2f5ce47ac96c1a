#include "tiers.h"

#include "core/deadlines.h"
#include "core/idtable.h"

#include <stdio.h>
#include <time.h>

#define REASON_SIZE 512
#define WHY_SIZE 128
#define NO_PLACE UINT32_MAX

/* A duckling that lives here. */
struct watched {
    struct idtable_node node;
    uint32_t number, place; /* in the list; among the deadlines, or NO_PLACE */
    bool is_told, is_kept;  /* `told` and `pieces` mean something; the store has them */
    int told;
    unsigned pieces;
    bool is_due, is_unheard;
    uint64_t until_ms; /* wall: weighed again then */
    struct tier_ground ground;
};

struct tiers {
    struct store *store;
    struct idtable table;
    struct watched **list; /* by number */
    size_t count, capacity;
    uint32_t *due; /* numbers; as many places as the list has */
    size_t due_count, unheard;
    struct deadlines deadlines;
    uint64_t rests_until_ms; /* steady */
};

static bool ends_earlier(const void *owner, uint32_t left, uint32_t right)
{
    const struct tiers *tiers = owner;

    return tiers->list[left]->until_ms < tiers->list[right]->until_ms;
}

static void stands(void *owner, uint32_t number, uint32_t place)
{
    const struct tiers *tiers = owner;

    tiers->list[number]->place = place;
}

static void begin(struct tiers *tiers)
{
    idtable_init(&tiers->table);
    tiers->count = tiers->due_count = tiers->unheard = 0;
    tiers->deadlines =
        (struct deadlines){.owner = tiers, .ends_earlier = ends_earlier, .stands = stands};
}

static void end(struct tiers *tiers)
{
    idtable_free(&tiers->table);
    deadlines_free(&tiers->deadlines);
}

struct tiers *tiers_new(struct store *store)
{
    struct tiers *tiers = memory_take(sizeof *tiers);

    tiers->store = store;
    begin(tiers);
    return tiers;
}

void tiers_free(struct tiers *tiers)
{
    if (!tiers)
        return;
    end(tiers);
    memory_give_back(tiers->list);
    memory_give_back(tiers->due);
    memory_give_back(tiers);
}

/* ---- who is to be weighed ---- */

static struct watched *find(const struct tiers *tiers, const struct id *duckling)
{
    return (struct watched *)idtable_find(&tiers->table, duckling);
}

static void mark(struct tiers *tiers, struct watched *watched)
{
    if (watched->is_due)
        return;
    watched->is_due = true;
    tiers->due[tiers->due_count++] = watched->number;
}

static void mark_all(struct tiers *tiers)
{
    for (size_t i = 0; i < tiers->count; i++)
        mark(tiers, tiers->list[i]);
}

static struct watched *add(struct tiers *tiers, const struct id *duckling)
{
    struct watched *watched = memory_take(sizeof *watched);

    if (tiers->count == tiers->capacity) {
        tiers->capacity = tiers->capacity ? 2 * tiers->capacity : 16;
        tiers->list = memory_resize(tiers->list, tiers->capacity * sizeof(struct watched *));
        tiers->due = memory_resize(tiers->due, tiers->capacity * sizeof *tiers->due);
    }
    watched->node.id = *duckling;
    watched->number = (uint32_t)tiers->count;
    watched->place = NO_PLACE;
    tiers->list[tiers->count++] = watched;
    idtable_add(&tiers->table, &watched->node);
    mark(tiers, watched);
    return watched;
}

static void restore(void *context, const struct told_tier *told)
{
    struct watched *watched = add(context, &told->duckling);

    watched->is_told = watched->is_kept = told->is_told;
    watched->told = told->tier;
    watched->pieces = told->pieces;
}

int tiers_restore(struct tiers *tiers)
{
    end(tiers);
    begin(tiers);
    return store_read_told_tiers(tiers->store, restore, tiers);
}

void tiers_rest(struct tiers *tiers, uint64_t until_ms)
{
    tiers->rests_until_ms = until_ms;
}

void tiers_may_be_heard(struct tiers *tiers)
{
    for (size_t i = 0; i < tiers->count && tiers->unheard > 0; i++)
        if (tiers->list[i]->is_unheard)
            mark(tiers, tiers->list[i]);
}

bool tiers_some_are_unheard(const struct tiers *tiers)
{
    return tiers->unheard > 0;
}

/* ---- what is kept ---- */

static bool rests_on(const struct watched *watched, const struct id *other)
{
    if (id_equal(&watched->ground.bonded_with, other) ||
        id_equal(&watched->ground.bound_with, other))
        return true;
    for (size_t i = 0; i < watched->ground.operator_count; i++)
        if (id_equal(&watched->ground.operators[i], other))
            return true;
    return false;
}

static void mark_who_rest_on(struct tiers *tiers, const struct id *other)
{
    for (size_t i = 0; i < tiers->count; i++)
        if (rests_on(tiers->list[i], other))
            mark(tiers, tiers->list[i]);
}

/* The key of an attestation is claim ":" subject, also of one that is deleted. */
static void mark_subject(struct tiers *tiers, struct bytes key)
{
    const uint8_t *colon = key.size > 0 ? memchr(key.data, ':', key.size) : NULL;
    struct watched *watched;
    struct id subject;

    if (!colon ||
        !id_parse(ID_DUCKLING, bytes_of(colon + 1, key.size - (size_t)(colon - key.data) - 1),
                  &subject))
        return;
    watched = find(tiers, &subject);
    if (watched)
        mark(tiers, watched);
}

static void note_record(struct tiers *tiers, const struct effect *effect)
{
    const struct record *record = &effect->record.item.record;
    struct watched *watched = find(tiers, &record->owner);

    if (watched)
        mark(tiers, watched);
    if (record->kind == RECORD_ATTESTATION)
        mark_subject(tiers, record->key);
    if (effect->record.item.withdrawn.until_ms > 0)
        mark_who_rest_on(tiers, &effect->record.item.withdrawn.operator_id);
    if (record->kind == RECORD_REVOCATION || effect->record.puts_out)
        mark_who_rest_on(tiers, &record->owner);
}

/* It begins as T0: whatever comes before it is first weighed is a change. */
static void note_hatched(struct tiers *tiers, const struct id *duckling)
{
    static const struct tier_evidence evidence = {.certificate_holds = true, .is_hosted = true};
    struct watched *watched;

    if (find(tiers, duckling))
        return;
    watched = add(tiers, duckling);
    watched->is_told = true;
    watched->told = tier_of(&evidence);
    watched->pieces = tier_pieces(&evidence);
}

void tiers_note(struct tiers *tiers, const struct effect *effect)
{
    if (effect->kind == EFFECT_KEEP_DUCKLING)
        note_hatched(tiers, &effect->duckling->id);
    else if (effect->kind == EFFECT_KEEP_RECORD)
        note_record(tiers, effect);
    else if (effect->kind == EFFECT_KEEP_TRUST || effect->kind == EFFECT_DROP_TRUST ||
             (effect->kind == EFFECT_DROP_RECORD &&
              effect->record.dropped_kind == RECORD_REVOCATION))
        mark_all(tiers); /* by the owner's word, or once in a year */
}

/* ---- weighing ---- */

static void say_withdrawn(const struct withdrawn *withdrawn, char text[WHY_SIZE])
{
    time_t at = (time_t)(withdrawn->until_ms / SECOND_MS);
    char operator_id[ID_TEXT_SIZE], date[32] = "";
    struct tm parts;

    if (gmtime_r(&at, &parts))
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &parts);
    snprintf(text, WHY_SIZE, "its voucher by %s was taken back on %s",
             id_text(ID_OPERATOR, &withdrawn->operator_id, operator_id), date);
}

static const char *why_not_vouched(const struct tier_ground *ground, char text[WHY_SIZE])
{
    switch (ground->vouching) {
    case VOUCHING_NONE:
        return "no voucher lives";
    case VOUCHING_UNTRUSTED:
        return "its operator is not trusted here";
    case VOUCHING_REVOKED:
        return "its operator's key is revoked";
    case VOUCHING_WITHDRAWN:
        say_withdrawn(&ground->withdrawn, text);
        return text;
    case VOUCHING_CROWDED:
        return "its operator took back more vouchers than are counted";
    case VOUCHING_GOOD:
        break;
    }
    return "";
}

/* What the tier rested on when it was told, and what it rests on now. */
static const char *reason_of(const struct watched *watched, unsigned pieces,
                             const struct tier_ground *ground, struct arena *arena)
{
    char text[REASON_SIZE] = "", why[WHY_SIZE];

    for (size_t i = 0; i < TIER_PIECES; i++) {
        bool was = watched->pieces & (1u << i), is = pieces & (1u << i);
        const char *name = tier_piece_name(i);
        bool is_vouching = strcmp(name, CLAIM_OPERATOR_VERIFIED) == 0;
        size_t size = strlen(text);

        if (was != is)
            snprintf(text + size, sizeof text - size, "%s%s %s%s%s", size ? ", " : "", name,
                     is ? "gained" : "lost", !is && is_vouching ? ": " : "",
                     !is && is_vouching ? why_not_vouched(ground, why) : "");
    }
    return (const char *)arena_copy(arena, bytes_of(text, strlen(text) + 1)).data;
}

static void set_unheard(struct tiers *tiers, struct watched *watched, bool is_unheard)
{
    tiers->unheard += is_unheard && !watched->is_unheard;
    tiers->unheard -= !is_unheard && watched->is_unheard;
    watched->is_unheard = is_unheard;
}

static void keep(struct watched *watched, int tier, unsigned pieces, struct effects *effects)
{
    struct effect *effect = effects_add(effects, EFFECT_KEEP_TIER);

    effect->tier.duckling = watched->node.id;
    effect->tier.tier = tier;
    effect->tier.pieces = pieces;
    watched->is_told = watched->is_kept = true;
    watched->told = tier;
    watched->pieces = pieces;
}

static void tell(struct watched *watched, int tier, unsigned pieces,
                 const struct tier_ground *ground, const struct tiers_turn *turn)
{
    struct effect *effect = effects_add(turn->effects, EFFECT_TIER_CHANGED);

    effect->tier.duckling = watched->node.id;
    effect->tier.before = watched->told;
    effect->tier.tier = tier;
    effect->tier.reason = reason_of(watched, pieces, ground, &turn->effects->arena);
    effect->tier.at_ms = turn->at->wall_ms;
    keep(watched, tier, pieces, turn->effects);
}

static void set_deadline(struct tiers *tiers, struct watched *watched, uint64_t until_ms)
{
    if (watched->place != NO_PLACE)
        deadlines_remove(&tiers->deadlines, watched->place);
    watched->place = NO_PLACE;
    watched->until_ms = until_ms;
    if (until_ms != MOMENT_NEVER)
        deadlines_add(&tiers->deadlines, watched->number);
}

/* What was lost with the directory and is not back yet is no change; the deadline looks again. */
static bool is_unproven_loss(const struct watched *watched, int tier, unsigned pieces,
                             const struct tier_ground *ground)
{
    return tier < watched->told && (watched->pieces & ~pieces & ground->unproven) != 0;
}

/* Of one of an earlier release nothing was kept: there is nothing to compare with, or to tell. */
static int weigh(struct tiers *tiers, struct watched *watched, const struct tiers_turn *turn)
{
    struct tier_evidence evidence;
    struct tier_ground ground;
    int fault =
        store_weigh_hosted(tiers->store, &watched->node.id, turn->at->wall_ms, &evidence, &ground);
    int tier = tier_of(&evidence);
    unsigned pieces = tier_pieces(&evidence);

    if (fault)
        return fault;
    watched->ground = ground;
    set_deadline(tiers, watched, ground.until_ms);
    if (!watched->is_told) {
        keep(watched, tier, pieces, turn->effects);
    } else if (tier == watched->told || is_unproven_loss(watched, tier, pieces, &ground)) {
        set_unheard(tiers, watched, false);
    } else if (turn->is_followed(turn->context, &watched->node.id)) {
        tell(watched, tier, pieces, &ground, turn);
        set_unheard(tiers, watched, false);
    } else {
        set_unheard(tiers, watched, true);
    }
    if (!watched->is_kept)
        keep(watched, watched->told, watched->pieces, turn->effects);
    return 0;
}

static void mark_ended(struct tiers *tiers, uint64_t wall_ms)
{
    while (tiers->deadlines.count > 0) {
        struct watched *first = tiers->list[tiers->deadlines.numbers[0]];

        if (first->until_ms > wall_ms)
            return;
        set_deadline(tiers, first, MOMENT_NEVER);
        mark(tiers, first);
    }
}

int tiers_settle(struct tiers *tiers, const struct tiers_turn *turn)
{
    int fault = 0;

    if (turn->at->now_ms < tiers->rests_until_ms)
        return 0;
    mark_ended(tiers, turn->at->wall_ms);
    for (size_t i = 0; i < TIERS_AT_ONCE && tiers->due_count > 0 && !fault; i++) {
        struct watched *watched = tiers->list[tiers->due[--tiers->due_count]];

        watched->is_due = false;
        fault = weigh(tiers, watched, turn);
    }
    return fault;
}

uint64_t tiers_wake_at_ms(const struct tiers *tiers, const struct moment *at)
{
    uint64_t wake_ms = MOMENT_NEVER;

    if (tiers->due_count > 0) {
        wake_ms = at->now_ms;
    } else if (tiers->deadlines.count > 0) {
        uint64_t until_ms = tiers->list[tiers->deadlines.numbers[0]]->until_ms;

        wake_ms = at->now_ms + (until_ms > at->wall_ms ? until_ms - at->wall_ms : 0);
    }
    return wake_ms < tiers->rests_until_ms ? tiers->rests_until_ms : wake_ms;
}
