/* What foxes say of others and of what they hold: in probes, accusations, comparisons, fetches. */
#include "hostile_parts.h"

#define NOISE_HASHES 64u
#define AHEAD_MAX_MS (4 * MINUTE_MS) /* of versions that nobody published; later ones are refused */

static const uint8_t all_equal[] = {0x61};
static const uint8_t nothing_held[] = {0x61, 0, 0, 2, 0};

/* ---- accusations ---- */

static struct version lied_version(struct pond *pond, const struct pond_node *accused)
{
    const struct owner *owner = records_owner(pond->records, &accused->id);
    struct version version = owner->node_version;

    switch (dice_below(&pond->hostile_dice, 4)) {
    case 0:
        version.count++;
        break;
    case 1:
        version.ms += between(&pond->hostile_dice, 1, AHEAD_MAX_MS);
        break;
    case 2:
        version.ms -= between(&pond->hostile_dice, 1, MINUTE_MS);
        break;
    default:
        break;
    }
    return version;
}

/* To one neighbour, or to all of them but the accused, which would refute. */
void fox_accuse(struct pond *pond, struct pond_node *node, const struct id *to, struct arena *arena)
{
    const struct pond_node *accused = fox_any_healthy(pond);
    struct accusation said = {.network = bytes_of_text(POND_NETWORK),
                              .accuser = node->id,
                              .accused = accused->id,
                              .version = lied_version(pond, accused),
                              .made_ms = fox_wall_ms(pond)};
    struct bytes body, frame;

    said.not_after_ms = said.made_ms + ACCUSATION_LIFE_MS;
    if (accusation_pack(&said, arena, &body) != ACCUSATION_OK)
        return; /* the accused has published nothing yet */
    frame = frame_pack_accusation(
        node->chain, envelope_seal(ENVELOPE_ACCUSATION, &node->id, node->key, body, arena, NULL),
        arena);
    if (dice_below(&pond->hostile_dice, 2)) {
        fox_send(pond, node, to, FRAME_ACCUSATION, frame);
        return;
    }
    for (size_t i = 0; i < node->link_count; i++) {
        const struct link *link = node->links[i];
        uint32_t other = link->nodes[link->nodes[0] == node->index];

        if (other != accused->index)
            fox_send(pond, node, &pond->nodes[other].id, FRAME_ACCUSATION, frame);
    }
}

/* ---- what nobody asked for ---- */

/* In probes: sums of nothing, acks that nobody asked for. In repair: empty lists, lists of hashes
 * that nobody holds, noise, and no records for what is fetched. */
void fox_lie(struct pond *pond, struct pond_node *node, const struct id *to, struct arena *arena)
{
    uint8_t noise[6 + NOISE_HASHES * HASH_SIZE];
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
        fox_send(pond, node, to, noise[51] & 1 ? FRAME_PROBE : FRAME_PROBE_ACK,
                 frame_pack_probe((uint32_t)sums[0], sums, arena));
        return;
    case 1:
        event.reconcile.message = bytes_of(nothing_held, sizeof nothing_held);
        break;
    case 2:
        memcpy(noise, "\x61\x00\x00\x02\x40", 5);
        event.reconcile.message = bytes_of(noise, 5 + NOISE_HASHES * HASH_SIZE);
        break;
    case 3:
        event.reconcile.message = bytes_of(noise, sizeof noise);
        break;
    default:
        answer.session = event.reconcile.session | 1;
        fox_send(pond, node, to, FRAME_FETCHED, frame_pack_fetched(&answer, NULL, NULL, 0, arena));
        return;
    }
    fox_send(pond, node, to, FRAME_RECONCILE, frame_pack_reconcile(&event, arena));
}

/* ---- answers ---- */

/* Its sums are the asker's own: nothing is to be repaired. Or they are noise: something always is. */
static void answer_probe(struct pond *pond, struct pond_node *node, const struct event *event,
                         struct arena *arena)
{
    uint64_t sums[2] = {event->probe.sums[0], event->probe.sums[1]};

    if (!(node->hostile->habits & HABIT_ECLIPSE) && dice_below(&pond->hostile_dice, 2))
        dice_fill(&pond->hostile_dice, sums, sizeof sums);
    fox_send(pond, node, &event->node, FRAME_PROBE_ACK,
             frame_pack_probe(event->probe.nonce, sums, arena));
}

/* Of another: it answered, it did not, or not a word; without having asked it. */
static void answer_request(struct pond *pond, struct pond_node *node, const struct event *event,
                           struct arena *arena)
{
    static const uint64_t sums[2];
    uint64_t which = node->hostile->habits & HABIT_LIE ? dice_below(&pond->hostile_dice, 3) : 1;

    if (which == 0)
        fox_send(pond, node, &event->node, FRAME_PROBE_ACK,
                 frame_pack_probe(event->probe.nonce, sums, arena));
    else if (which == 1)
        fox_send(pond, node, &event->node, FRAME_PROBE_NACK,
                 frame_pack_probe_nack(event->probe.nonce, arena));
}

/* A fingerprint that never fits makes a session without end; a list of what nobody holds, fetches
 * that bring nothing; and "equal" ends it before anything was found. */
static void answer_comparison(struct pond *pond, struct pond_node *node, const struct event *event,
                              struct arena *arena)
{
    uint8_t noise[6 + NOISE_HASHES * HASH_SIZE];
    struct event answer = *event;
    uint64_t which = node->hostile->habits & HABIT_LIE ? dice_below(&pond->hostile_dice, 5) : 0;

    dice_fill(&pond->hostile_dice, noise, sizeof noise);
    answer.reconcile.is_answer = true;
    switch (which) {
    case 0:
        answer.reconcile.message = bytes_of(all_equal, sizeof all_equal);
        break;
    case 1:
        memcpy(noise, "\x61\x00\x00\x01", 4);
        answer.reconcile.message = bytes_of(noise, 4 + RECORDSET_PRINT_SIZE);
        break;
    case 2:
        memcpy(noise, "\x61\x00\x00\x02\x40", 5);
        answer.reconcile.message = bytes_of(noise, 5 + NOISE_HASHES * HASH_SIZE);
        break;
    case 3:
        answer.reconcile.message = bytes_of(nothing_held, sizeof nothing_held);
        break;
    default: /* as it came: the asker is asked */
        break;
    }
    fox_send(pond, node, &event->node, FRAME_RECONCILE, frame_pack_reconcile(&answer, arena));
}

/* Nothing, and more to come; nothing, and that was all; or something else. A stream goes on for
 * ever. */
static void answer_fetch(struct pond *pond, struct pond_node *node, const struct event *event,
                         struct arena *arena)
{
    struct fetch_answer answer = {.session = event->fetch.session, .set = event->fetch.set};
    const struct seen *seen = fox_any_seen(pond, node->hostile);
    bool brings = seen && dice_below(&pond->hostile_dice, 2);

    answer.is_last = dice_below(&pond->hostile_dice, 2);
    answer.has_next = event->fetch.stream && answer.is_last;
    answer.next = event->fetch.after;
    answer.next.at_s++;
    fox_send(pond, node, &event->node, FRAME_FETCHED,
             frame_pack_fetched(&answer, brings ? &seen->chain : NULL, brings ? &seen->wire : NULL,
                                brings, arena));
}

/* Who does nothing of the kind does not answer at all, and is taken for dead. */
void fox_hear_words(struct pond *pond, struct pond_node *node, const struct event *event)
{
    struct arena arena;

    if (!(node->hostile->habits & (HABIT_LIE | HABIT_ECLIPSE)))
        return;
    arena_init(&arena, MIB);
    if (event->kind == EVENT_PROBE)
        answer_probe(pond, node, event, &arena);
    else if (event->kind == EVENT_PROBE_REQUEST)
        answer_request(pond, node, event, &arena);
    else if (event->kind == EVENT_RECONCILE && !event->reconcile.is_answer)
        answer_comparison(pond, node, event, &arena);
    else if (event->kind == EVENT_FETCH)
        answer_fetch(pond, node, event, &arena);
    arena_free(&arena);
}
