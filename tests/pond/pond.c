#include "pond.h"

#include "pond_parts.h"

#include <malloc.h>

#define LOOK_US (1000 * MS_US)
#define BIRTHS_US (1000 * MS_US) /* all nodes of a pond start within so long */

static void plan_births(struct pond *pond)
{
    uint64_t within_us = pond->wish.story ? 0 : BIRTHS_US;

    for (uint32_t i = 0; i < pond->count; i++)
        plan(pond, dice_below(&pond->life_dice, within_us + 1),
             (struct happening){.kind = HAPPENING_START, .node = i});
}

/* Each kind of chance has dice of its own, so that a change of one leaves the others as they fell. */
static void seed_dice(struct pond *pond)
{
    uint64_t seed = pond->wish.seed * 4;

    dice_init_number(&pond->network_dice, seed);
    dice_init_number(&pond->fault_dice, seed + 1);
    dice_init_number(&pond->life_dice, seed + 2);
    dice_init_number(&pond->hostile_dice, seed + 3);
}

struct pond *pond_new(const struct pond_wish *wish)
{
    static const uint8_t pool_seed[RECORD_POOL_SEED_SIZE] = {1};
    struct pond *pond = memory_take(sizeof *pond);

    /* Tables of agents are large and mostly untouched: fresh pages are zero and cost nothing. */
    mallopt(M_MMAP_THRESHOLD, MIB);
    pond->wish = *wish;
    pond->count = wish->nodes + wish->hostile;
    pond->torn_node = NOBODY;
    pond->sums.agreed_at_ms = MOMENT_NEVER;
    pond->lines = memory_take(LINES_KEPT * sizeof *pond->lines);
    pond->nodes = memory_take(pond->count * sizeof *pond->nodes);
    pond->cuts.side = memory_take(pond->count);
    idtable_init(&pond->by_id);
    idtable_init(&pond->pairs);
    idtable_init(&pond->watched);
    effects_init(&pond->effects);
    seed_dice(pond);
    faults_draw(pond);
    pond->frames = frames_new(pond);
    pond->records = records_new();
    pond->record_pool = record_pool_new(pool_seed);
    pond->life = life_new();
    pond->grants = grants_of_pond_new();
    pond->lobsters = lobsters_of_pond_new();
    pond->contexts = contexts_of_pond_new();
    pond->operators = operators_new(wish->seed);
    for (uint32_t i = 0; i < pond->count; i++)
        node_born(pond, i, i >= wish->nodes);
    plan_births(pond);
    plan(pond, LOOK_US, (struct happening){.kind = HAPPENING_LOOK});
    if (wish->ducklings || wish->pecks)
        plan(pond, 2 * BIRTHS_US, (struct happening){.kind = HAPPENING_LIFE});
    return pond;
}

static void drop(struct happening *happening)
{
    if (happening->kind == HAPPENING_FRAME)
        frame_drop(happening->frame);
    else if (happening->kind == HAPPENING_DIALLED)
        memory_give_back(happening->dial);
}

void pond_free(struct pond *pond)
{
    struct happening happening;

    if (!pond)
        return;
    while (queue_take(&pond->queue, UINT64_MAX, &happening))
        drop(&happening);
    for (size_t i = 0; i < pond->count; i++)
        node_free(&pond->nodes[i]);
    network_free(pond);
    for (size_t i = 0; i < pond->change_count; i++)
        memory_give_back(pond->changes[i].hops);
    memory_give_back(pond->changes);
    memory_give_back(pond->nodes);
    memory_give_back(pond->members);
    memory_give_back(pond->cuts.side);
    memory_give_back(pond->queue.heap);
    life_free(pond->life);
    grants_of_pond_free(pond->grants);
    lobsters_of_pond_free(pond->lobsters);
    contexts_of_pond_free(pond->contexts);
    operators_free(pond->operators);
    frames_free(pond->frames);
    records_free(pond->records);
    record_pool_free(pond->record_pool);
    effects_free(&pond->effects);
    idtable_free(&pond->by_id);
    idtable_free(&pond->watched);
    trace_free(pond);
    memory_give_back(pond);
}

static void look(struct pond *pond)
{
    char why[256];

    laws_look(pond);
    if (pond->sums.agreed_at_ms == MOMENT_NEVER && pond->now_us > 2 * BIRTHS_US &&
        pond_agrees(pond, why))
        pond->sums.agreed_at_ms = pond->now_us / MS_US;
    plan(pond, LOOK_US, (struct happening){.kind = HAPPENING_LOOK});
}

static void wake(struct pond *pond, struct pond_node *node, const struct happening *happening)
{
    if (!node->up || node->life != happening->life || node->armed_us != pond->now_us)
        return;
    node->armed_us = UINT64_MAX;
    if (node->wake_us <= pond->now_us)
        node_turn(pond, node);
    else
        node_arm(pond, node);
}

static void happen(struct pond *pond, const struct happening *happening)
{
    struct pond_node *node = &pond->nodes[happening->node];

    trace_mix(pond, happening->kind, happening->node);
    pond->sums.happenings++;
    switch ((enum happening_kind)happening->kind) {
    case HAPPENING_FRAME:
        network_arrive(pond, happening->link, happening->end, happening->epoch, happening->frame);
        break;
    case HAPPENING_LINK_UP:
        network_link_up(pond, happening->link, happening->end, happening->epoch);
        break;
    case HAPPENING_LINK_DOWN:
        network_link_down(pond, happening->link, happening->end, happening->epoch);
        break;
    case HAPPENING_SILENT:
        network_silent(pond, happening->link, happening->end, happening->epoch, happening->silence);
        break;
    case HAPPENING_DIALLED:
        network_dialled(pond, happening->dial);
        break;
    case HAPPENING_WAKE:
        wake(pond, node, happening);
        break;
    case HAPPENING_TURN:
        if (node->up && node->life == happening->life)
            node_turn(pond, node);
        break;
    case HAPPENING_START:
        node_start(pond, node);
        break;
    case HAPPENING_FAULTS:
        faults_step(pond);
        break;
    case HAPPENING_LIFE:
        life_step(pond);
        break;
    case HAPPENING_CHANGE:
        life_change(pond);
        break;
    case HAPPENING_HOSTILE:
        hostile_step(pond, node);
        break;
    case HAPPENING_LOOK:
        look(pond);
        break;
    }
}

bool pond_run(struct pond *pond, uint64_t ms)
{
    uint64_t until_us = pond->now_us + ms * MS_US;
    struct happening happening;

    while (!pond->broken && queue_take(&pond->queue, until_us, &happening)) {
        pond->now_us = happening.at_us;
        happen(pond, &happening);
    }
    if (!pond->broken)
        pond->now_us = until_us;
    return !pond->broken;
}

uint64_t pond_now_ms(const struct pond *pond)
{
    return pond->now_us / MS_US;
}

void pond_begin_changes(struct pond *pond)
{
    if (pond->wish.changes_per_minute)
        plan(pond, 0, (struct happening){.kind = HAPPENING_CHANGE});
}

bool pond_run_until_agreed(struct pond *pond, uint64_t ms)
{
    char why[256] = "";
    uint64_t until_ms;
    bool agrees;

    if (!pond->hostile_rest && pond->wish.hostile > 0 && !laws_healthy_are_heard(pond))
        return false;
    pond->hostile_rest = true;
    until_ms = pond_now_ms(pond) + ms;
    do {
        if (!pond_run(pond, SECOND_MS))
            return false;
        agrees = pond_agrees(pond, why);
        if (agrees && pond_sees_all(pond, why)) {
            laws_judge_tiers(pond);
            laws_judge_lobster_ends(pond);
            return !pond->broken;
        }
    } while (pond_now_ms(pond) < until_ms);
    law_broken(pond,
               agrees ? "after faults end, all healthy nodes see each other alive"
                      : "after faults end, all healthy nodes hold the same records",
               "not within %llu ms: %s", (unsigned long long)ms, why);
    return false;
}

/* ---- for stories ---- */

size_t pond_records(const struct pond *pond, size_t node)
{
    return pond->nodes[node].store.records.count;
}

size_t pond_links(const struct pond *pond, size_t node)
{
    return pond->nodes[node].link_count;
}

uint64_t pond_refused(const struct pond *pond, size_t node)
{
    return pond->nodes[node].refused;
}

struct version pond_version(const struct pond *pond, size_t holder, size_t owner)
{
    const struct held_set *set = &pond->nodes[holder].store.records;

    for (size_t i = 0; i < set->slot_count; i++) {
        const struct pooled *record =
            set->slots[i] ? records_at(pond->records, set->slots[i] - 1) : NULL;

        if (record && record->kind == RECORD_NODE &&
            id_equal(&record->owner, &pond->nodes[owner].id))
            return record->version;
    }
    return (struct version){0};
}
