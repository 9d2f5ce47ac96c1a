/* Foxes: nodes with keys of their own that keep no rule but the transport's, which ends the link of
 * who breaks it. What they may not achieve are the laws. A fox that saw records has them to change
 * and to say again. */
#include "pond_parts.h"

#include "core/introduction.h"

#define STEP_MIN_MS 100u
#define STEP_MAX_MS 1500u
#define SEEN_MAX 64u
#define FLOOD_RECORDS 24u /* of one owner: more than any may have */
#define LINKS_WANTED 3u

struct seen {
    struct bytes wire, chain;
};

struct hostile {
    unsigned habits;
    uint32_t victim;
    struct seen seen[SEEN_MAX];
    size_t seen_count;
    struct arena memory; /* of what it saw, and of its ducklings' chains */
};

struct author {
    struct id id;
    const struct identity_key *key;
    struct bytes chain;
};

void hostile_born(struct pond *pond, struct pond_node *node)
{
    struct dice *dice = &pond->hostile_dice;

    node->hostile = memory_take(sizeof *node->hostile);
    arena_init(&node->hostile->memory, 16 * MIB);
    for (unsigned habit = 1; habit < HABIT_ALL; habit <<= 1)
        if ((pond->wish.habits & habit) && (pond->wish.steady || dice_below(dice, 2)))
            node->hostile->habits |= habit;
    node->hostile->victim = (uint32_t)dice_below(dice, pond->wish.nodes);
    plan(pond, between(dice, 1500, 5000) * MS_US,
         (struct happening){.kind = HAPPENING_HOSTILE, .node = node->index});
}

void hostile_free(struct hostile *hostile)
{
    if (!hostile)
        return;
    arena_free(&hostile->memory);
    memory_give_back(hostile);
}

static struct author self(const struct pond_node *node)
{
    return (struct author){.id = node->id, .key = node->key, .chain = node->chain};
}

/* ---- records of its own making ---- */

static uint64_t now_wall_ms(const struct pond *pond)
{
    return POND_BORN_MS + pond->now_us / MS_US;
}

/* Signed by `author`, whatever owner it names. */
static struct bytes make_record(struct pond *pond, const struct author *author,
                                const struct id *owner, enum record_kind kind, struct bytes key,
                                struct bytes content, uint64_t version_ms, struct arena *arena)
{
    struct record record = {.network = bytes_of_text(POND_NETWORK),
                            .owner = *owner,
                            .kind = kind,
                            .key = key,
                            .version = {.ms = version_ms},
                            .not_after_ms = now_wall_ms(pond) + RECORD_LIFE_MS,
                            .content = content};
    struct bytes body;

    if (record_pack(&record, arena, &body) != RECORD_OK)
        assert(!"a fox makes records whose form holds");
    return envelope_seal(ENVELOPE_RECORD, &author->id, author->key, body, arena, NULL);
}

static struct bytes node_record(struct pond *pond, struct pond_node *node,
                                const struct author *author, const struct id *owner,
                                struct arena *arena)
{
    struct node_content content = {.address_count = 1,
                                   .session_not_after_ms = POND_BORN_MS + SESSION_KEY_LIFE_MS,
                                   .software = bytes_of_text("fox"),
                                   .display_name = bytes_of_text(node->name)};

    content.addresses[0] = bytes_of_text(node->address);
    memset(content.session_key, 7, sizeof content.session_key);
    return make_record(pond, author, owner, RECORD_NODE, bytes_of(NULL, 0),
                       node_content_pack(&content, arena), now_wall_ms(pond), arena);
}

/* Of a kind that nobody interprets: keys and contents are its own affair. */
static struct bytes skill(struct pond *pond, const struct author *author, const char *key,
                          const char *text, uint64_t version_ms, struct arena *arena)
{
    return make_record(pond, author, &author->id, RECORD_SKILL,
                       arena_copy(arena, bytes_of_text(key)), bytes_of_text(text), version_ms,
                       arena);
}

static void introduce(struct pond *pond, struct pond_node *node)
{
    struct author author = self(node);
    struct bytes introduction;
    struct arena arena;

    arena_init(&arena, MIB);
    introduction =
        introduction_pack(node->chain, node_record(pond, node, &author, &node->id, &arena), &arena);
    node->introduction =
        bytes_of(memory_copy(introduction.data, introduction.size), introduction.size);
    arena_free(&arena);
}

static void send_record(struct pond *pond, struct pond_node *node, const struct id *to,
                        struct bytes chain, struct bytes wire, struct arena *arena)
{
    network_send(pond, node, to, FRAME_RECORDS, frame_pack_records(&chain, &wire, 1, arena));
}

/* ---- habits ---- */

static const struct seen *any_seen(struct pond *pond, const struct hostile *hostile)
{
    return hostile->seen_count
               ? &hostile->seen[dice_below(&pond->hostile_dice, hostile->seen_count)]
               : NULL;
}

static struct bytes turn_a_bit(struct pond *pond, struct bytes wire, struct arena *arena)
{
    uint8_t *copy = (uint8_t *)(uintptr_t)arena_copy(arena, wire).data;

    copy[dice_below(&pond->hostile_dice, wire.size)] ^=
        (uint8_t)(1u << dice_below(&pond->hostile_dice, 8));
    return bytes_of(copy, wire.size);
}

static void forge(struct pond *pond, struct pond_node *node, const struct id *to,
                  struct arena *arena)
{
    const struct seen *seen = any_seen(pond, node->hostile);
    const struct id *owner = &pond->nodes[dice_below(&pond->hostile_dice, pond->wish.nodes)].id;
    struct author author = self(node);

    switch (dice_below(&pond->hostile_dice, 3)) {
    case 0:
        if (seen)
            send_record(pond, node, to, seen->chain, turn_a_bit(pond, seen->wire, arena), arena);
        break;
    case 1:
        send_record(pond, node, to, node->chain, node_record(pond, node, &author, owner, arena),
                    arena);
        break;
    default:
        if (seen)
            send_record(pond, node, to, seen->chain, node_record(pond, node, &author, owner, arena),
                        arena);
        break;
    }
}

static void replay(struct pond *pond, struct pond_node *node, const struct id *to,
                   struct arena *arena)
{
    const struct seen *seen = any_seen(pond, node->hostile);

    if (seen)
        send_record(pond, node, to, seen->chain, seen->wire, arena);
}

static void equivocate(struct pond *pond, struct pond_node *node, struct arena *arena)
{
    struct author author = self(node);
    uint64_t version_ms = now_wall_ms(pond);
    struct bytes two[2] = {
        skill(pond, &author, "two", "white", version_ms, arena),
        skill(pond, &author, "two", "black", version_ms, arena),
    };

    for (size_t i = 0; i < node->link_count; i++) {
        const struct link *link = node->links[i];
        uint32_t other = link->nodes[link->nodes[0] == node->index];

        send_record(pond, node, &pond->nodes[other].id, node->chain, two[other % 2], arena);
    }
}

static void flood_identity(struct pond *pond, struct pond_node *node, const struct id *to,
                           struct arena *arena)
{
    struct certificate_wish wish = {.kind = IDENTITY_DUCKLING,
                                    .display_name = bytes_of_text("nobody"),
                                    .issued_ms = POND_BORN_MS - HOUR_MS,
                                    .not_after_ms = POND_BORN_MS + CERTIFICATE_LIFE_MS};
    struct duckling_content content = {.host = node->id, .display_name = bytes_of_text("nobody")};
    struct author author;
    struct identity_key *key;
    struct bytes certificate;
    uint8_t seed[SEED_SIZE];

    dice_fill(&pond->hostile_dice, seed, sizeof seed);
    key = identity_key_new(seed);
    certificate = certificate_make(&wish, key, arena, &author.id);
    author.key = key;
    author.chain = chain_pack(&certificate, 1, arena);
    records_add_owner(pond->records, &author.id, node->index, true);
    send_record(pond, node, to, author.chain,
                make_record(pond, &author, &author.id, RECORD_DUCKLING, bytes_of(NULL, 0),
                            duckling_content_pack(&content, arena), now_wall_ms(pond), arena),
                arena);
    identity_key_free(key);
}

static void flood(struct pond *pond, struct pond_node *node, const struct id *to,
                  struct arena *arena)
{
    struct author author = self(node);
    uint8_t noise[300];
    char key[24];

    switch (dice_below(&pond->hostile_dice, 3)) {
    case 0:
        for (uint64_t i = 0; i < FLOOD_RECORDS; i++) {
            snprintf(key, sizeof key, "k%llu",
                     (unsigned long long)dice_below(&pond->hostile_dice, 2ull * FLOOD_RECORDS));
            send_record(pond, node, to, node->chain,
                        skill(pond, &author, key, "noise", now_wall_ms(pond), arena), arena);
        }
        break;
    case 1:
        flood_identity(pond, node, to, arena);
        break;
    default:
        dice_fill(&pond->hostile_dice, noise, sizeof noise);
        network_send(pond, node, to, noise[0],
                     bytes_of(noise, dice_below(&pond->hostile_dice, 301)));
        break;
    }
}

/* In probes: sums of nothing, acks that nobody asked for. In repair: empty lists, lists of hashes
 * that nobody holds, noise, and no records for what is fetched. */
static void lie(struct pond *pond, struct pond_node *node, const struct id *to, struct arena *arena)
{
    static const uint8_t nothing[] = {0x61, 0, 0, 2, 0};
    uint8_t noise[6 + 64 * HASH_SIZE];
    struct event event = {0};
    struct fetch_answer answer = {.set = RECORD_SET_DIRECTORY, .is_last = true};
    uint64_t sums[2];

    dice_fill(&pond->hostile_dice, noise, sizeof noise);
    memcpy(sums, noise + 6, sizeof sums);
    event.reconcile.set = RECORD_SET_DIRECTORY;
    memcpy(&event.reconcile.session, noise + 40, sizeof event.reconcile.session);
    event.reconcile.is_answer = noise[50] & 1;
    switch (dice_below(&pond->hostile_dice, 5)) {
    case 0:
        network_send(pond, node, to, noise[51] & 1 ? FRAME_PROBE : FRAME_PROBE_ACK,
                     frame_pack_probe((uint32_t)sums[0], sums, arena));
        return;
    case 1:
        event.reconcile.message = bytes_of(nothing, sizeof nothing);
        break;
    case 2:
        memcpy(noise, "\x61\x00\x00\x02\x40", 5);
        event.reconcile.message = bytes_of(noise, 5 + 64 * HASH_SIZE);
        break;
    case 3:
        event.reconcile.message = bytes_of(noise, sizeof noise);
        break;
    default:
        answer.session = event.reconcile.session | 1;
        network_send(pond, node, to, FRAME_FETCHED,
                     frame_pack_fetched(&answer, NULL, NULL, 0, arena));
        return;
    }
    network_send(pond, node, to, FRAME_RECONCILE, frame_pack_reconcile(&event, arena));
}

static void misbehave(struct pond *pond, struct pond_node *node, const struct link *link)
{
    const struct id *to = &pond->nodes[link->nodes[link->nodes[0] == node->index]].id;
    unsigned habit = 1u << dice_below(&pond->hostile_dice, 6);
    struct arena arena;

    if (!(node->hostile->habits & habit))
        return;
    arena_init(&arena, MIB);
    if (habit == HABIT_FORGE)
        forge(pond, node, to, &arena);
    else if (habit == HABIT_REPLAY)
        replay(pond, node, to, &arena);
    else if (habit == HABIT_EQUIVOCATE)
        equivocate(pond, node, &arena);
    else if (habit == HABIT_FLOOD)
        flood(pond, node, to, &arena);
    else if (habit == HABIT_LIE)
        lie(pond, node, to, &arena);
    arena_free(&arena);
}

void hostile_step(struct pond *pond, struct pond_node *node)
{
    struct hostile *hostile = node->hostile;

    if (pond->hostile_rest)
        return;
    plan(pond, between(&pond->hostile_dice, STEP_MIN_MS, STEP_MAX_MS) * MS_US,
         (struct happening){.kind = HAPPENING_HOSTILE, .node = node->index});
    if (!node->up)
        return;
    if (node->introduction.size == 0)
        introduce(pond, node);
    if (node->link_count < LINKS_WANTED)
        network_dial_to(pond, node,
                        hostile->habits & HABIT_ECLIPSE
                            ? hostile->victim
                            : (uint32_t)dice_below(&pond->hostile_dice, pond->wish.nodes));
    if (node->link_count > 0)
        misbehave(pond, node, node->links[dice_below(&pond->hostile_dice, node->link_count)]);
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
    if (!event || event->kind != EVENT_RECORDS || pond->hostile_rest)
        return;
    for (size_t i = 0; i < event->records.count; i++)
        remember(pond, node->hostile, &event->records.items[i]);
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
        send_record(pond, node, &pond->nodes[to].id, record->chain, wire, &arena);
    }
    arena_free(&arena);
}
