/* Foxes: nodes with keys of their own that keep no rule but the transport's, which ends the link of
 * who breaks it. What they may not achieve are the laws. A fox that saw records has them to change
 * and to say again. */
#include "hostile_parts.h"

#include "core/introduction.h"

#define STEP_MIN_MS 100u
#define STEP_MAX_MS 1500u
#define LINKS_WANTED 3u
#define SIEGE_STEP_TIMES 8u /* a crowd of foxes does as much as a few */

void hostile_born(struct pond *pond, struct pond_node *node)
{
    struct dice *dice = &pond->hostile_dice;

    node->hostile = memory_take(sizeof *node->hostile);
    arena_init(&node->hostile->memory, 16 * MIB);
    arena_init(&node->hostile->own, 16 * MIB);
    for (unsigned habit = 1; habit <= HABIT_CONTRADICT; habit <<= 1)
        if ((pond->wish.habits & habit) && (pond->wish.steady || dice_below(dice, 2)))
            node->hostile->habits |= habit;
    node->hostile->victim = (uint32_t)dice_below(dice, pond->wish.nodes);
    if (pond->wish.siege && (pond->wish.habits & HABIT_ECLIPSE)) {
        node->hostile->habits |= HABIT_ECLIPSE;
        node->hostile->victim = 0;
    }
    plan(pond, between(dice, 1500, 5000) * MS_US,
         (struct happening){.kind = HAPPENING_HOSTILE, .node = node->index});
}

void hostile_free(struct hostile *hostile)
{
    if (!hostile)
        return;
    arena_free(&hostile->memory);
    arena_free(&hostile->own);
    identity_key_free(hostile->duck.key);
    identity_key_free(hostile->flier.key);
    identity_key_free(hostile->leaver.key);
    identity_key_free(hostile->twin.key);
    identity_key_free(hostile->twin_next);
    memory_give_back(hostile);
}

/* ---- who it is ---- */

struct author fox_author(const struct pond_node *node)
{
    return (struct author){.id = node->id, .key = node->key, .chain = node->chain};
}

/* The key is the caller's to free. */
struct author fox_hatch_promising(struct pond *pond, struct pond_node *node,
                                  enum identity_kind kind, const struct hash *promise,
                                  struct arena *arena)
{
    struct certificate_wish wish = {.kind = kind,
                                    .next_key_hash = *promise,
                                    .display_name = bytes_of_text("nobody"),
                                    .issued_ms = POND_BORN_MS - HOUR_MS,
                                    .not_after_ms = POND_BORN_MS + CERTIFICATE_LIFE_MS};
    struct author author;
    struct bytes certificate;
    uint8_t seed[SEED_SIZE];

    dice_fill(&pond->hostile_dice, seed, sizeof seed);
    author.key = identity_key_new(seed);
    certificate = certificate_make(&wish, author.key, arena, &author.id);
    author.chain = chain_pack(&certificate, 1, arena);
    records_add_owner(pond->records, &author.id, node->index, true);
    return author;
}

struct author fox_hatch(struct pond *pond, struct pond_node *node, enum identity_kind kind,
                        struct arena *arena)
{
    static const struct hash none;

    return fox_hatch_promising(pond, node, kind, &none, arena);
}

static void introduce(struct pond *pond, struct pond_node *node)
{
    struct hostile *hostile = node->hostile;
    struct author author = fox_author(node);
    struct bytes introduction;
    struct arena arena;

    hostile->duck = fox_hatch(pond, node, IDENTITY_DUCKLING, &hostile->own);
    hostile->flier = fox_hatch(pond, node, IDENTITY_DUCKLING, &hostile->own);
    records_owner(pond->records, &hostile->flier.id)->fleeting = true;
    arena_init(&arena, MIB);
    introduction = introduction_pack(
        node->chain, fox_node_record(pond, node, &author, &node->id, &arena), &arena);
    node->introduction =
        bytes_of(memory_copy(introduction.data, introduction.size), introduction.size);
    arena_free(&arena);
}

void fox_send(struct pond *pond, struct pond_node *node, const struct id *to, uint8_t kind,
              struct bytes body)
{
    network_send(pond, node, to, kind, body);
}

const struct seen *fox_any_seen(struct pond *pond, const struct hostile *hostile)
{
    return hostile->seen_count
               ? &hostile->seen[dice_below(&pond->hostile_dice, hostile->seen_count)]
               : NULL;
}

struct pond_node *fox_any_healthy(struct pond *pond)
{
    return &pond->nodes[dice_below(&pond->hostile_dice, pond->wish.nodes)];
}

bool hostile_any_duck(struct pond *pond, struct dice *dice, struct id *duck)
{
    const struct pond_node *node;

    if (pond->wish.hostile == 0)
        return false;
    node = &pond->nodes[pond->wish.nodes + dice_below(dice, pond->wish.hostile)];
    *duck = node->hostile->duck.id;
    return node->hostile->duck.key != NULL;
}

/* ---- what it does ---- */

static struct pond_node *other_end(struct pond *pond, const struct pond_node *node,
                                   const struct link *link)
{
    return &pond->nodes[link->nodes[link->nodes[0] == node->index]];
}

static unsigned any_habit(struct pond *pond, const struct hostile *hostile)
{
    unsigned rest = hostile->habits;

    for (uint64_t skip = dice_below(&pond->hostile_dice, (uint64_t)__builtin_popcount(rest)); skip;
         skip--)
        rest &= rest - 1;
    return rest & -rest;
}

static void misbehave(struct pond *pond, struct pond_node *node, const struct id *to)
{
    unsigned habit = any_habit(pond, node->hostile);
    struct arena arena;

    arena_init(&arena, MIB);
    if (habit == HABIT_FORGE)
        fox_forge(pond, node, to, &arena);
    else if (habit == HABIT_REPLAY)
        fox_replay(pond, node, to, &arena);
    else if (habit == HABIT_EQUIVOCATE)
        fox_equivocate(pond, node, &arena);
    else if (habit == HABIT_FLOOD)
        fox_flood(pond, node, to, &arena);
    else if (habit == HABIT_LIE)
        fox_lie(pond, node, to, &arena);
    else if (habit == HABIT_ACCUSE)
        fox_accuse(pond, node, to, &arena);
    else if (habit == HABIT_FLY)
        fox_let_fly(pond, node, to, &arena);
    else if (habit == HABIT_PECK)
        fox_peck(pond, node, &arena);
    else if (habit == HABIT_REVOKE)
        fox_revoke(pond, node, to, &arena);
    else if (habit == HABIT_CONTRADICT)
        fox_contradict(pond, node, to, &arena);
    else
        fox_crowd(pond, node, &pond->nodes[node->hostile->victim].id, &arena);
    arena_free(&arena);
}

static bool is_linked(const struct pond_node *node, uint32_t to)
{
    for (size_t i = 0; i < node->link_count; i++)
        if (node->links[i]->nodes[0] == to || node->links[i]->nodes[1] == to)
            return true;
    return false;
}

/* Around its victim it leaves no gap. */
static void dial(struct pond *pond, struct pond_node *node)
{
    const struct hostile *hostile = node->hostile;

    if ((hostile->habits & HABIT_ECLIPSE) && !is_linked(node, hostile->victim))
        network_dial_to(pond, node, hostile->victim);
    else if (node->link_count < LINKS_WANTED && !pond->wish.siege)
        network_dial_to(pond, node, fox_any_healthy(pond)->index);
}

void hostile_step(struct pond *pond, struct pond_node *node)
{
    const struct hostile *hostile = node->hostile;
    uint64_t times = pond->wish.siege ? SIEGE_STEP_TIMES : 1;

    if (pond->hostile_rest)
        return;
    plan(pond, times * between(&pond->hostile_dice, STEP_MIN_MS, STEP_MAX_MS) * MS_US,
         (struct happening){.kind = HAPPENING_HOSTILE, .node = node->index});
    if (!node->up)
        return;
    if (node->introduction.size == 0)
        introduce(pond, node);
    dial(pond, node);
    if (node->link_count > 0 && hostile->habits) {
        const struct link *link = node->links[dice_below(&pond->hostile_dice, node->link_count)];

        misbehave(pond, node, &other_end(pond, node, link)->id);
    }
}

/* ---- what it hears ---- */

static void remember(struct pond *pond, struct hostile *hostile, const struct offered_record *item)
{
    size_t i = hostile->seen_count < SEEN_MAX ? hostile->seen_count++ : SEEN_MAX;

    if (i == SEEN_MAX) { /* old ones are worth most: few make room */
        if (dice_below(&pond->hostile_dice, 16))
            return;
        i = dice_below(&pond->hostile_dice, SEEN_MAX);
    }
    hostile->seen[i].wire = arena_copy(&hostile->memory, item->wire);
    hostile->seen[i].chain = arena_copy(&hostile->memory, item->chain);
    if (!hostile->seen[i].chain.data)
        hostile->seen_count = 0; /* its memory is full: it begins anew */
    if (!hostile->seen[i].chain.data)
        arena_reset(&hostile->memory);
}

void hostile_hear(struct pond *pond, struct pond_node *node, const struct event *event,
                  const struct frame *frame)
{
    (void)frame;
    if (!event || pond->hostile_rest || node->introduction.size == 0)
        return;
    if (event->kind == EVENT_RECORDS)
        for (size_t i = 0; i < event->records.count; i++)
            remember(pond, node->hostile, &event->records.items[i]);
    else if (event->kind == EVENT_PECK)
        fox_hear_peck(pond, node, event);
    else
        fox_hear_words(pond, node, event);
}

/* ---- for stories ---- */

void pond_forge(struct pond *pond, size_t liar, size_t owner, size_t to)
{
    struct pond_node *node = &pond->nodes[liar];
    const struct held_set *set = &node->store.records;
    struct arena arena;

    arena_init(&arena, MIB);
    for (size_t i = 0; i < set->slot_count; i++) {
        const struct pooled *record =
            set->slots[i] ? records_at(pond->records, set->slots[i] - 1) : NULL;
        struct bytes wire;

        if (!record || record->kind != RECORD_NODE ||
            !id_equal(&record->owner, &pond->nodes[owner].id))
            continue;
        wire = arena_copy(&arena, record->wire);
        ((uint8_t *)(uintptr_t)wire.data)[wire.size - 1] ^= 1; /* of the signature */
        fox_send_record(pond, node, &pond->nodes[to].id, record->chain, wire, &arena);
    }
    arena_free(&arena);
}
