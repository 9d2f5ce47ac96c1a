/* What the store knows of a message, for the agent, which has no store. */
#include "loop_parts.h"

#include <stdio.h>

/* A stored peck, parsed into the loop's scratch, and the chain that it came with. */
static bool read_shown(struct loop *loop, enum box box, const struct id *id, struct peck *peck,
                       struct bytes *chain)
{
    struct envelope envelope;
    struct bytes wire;

    arena_reset(&loop->scratch);
    return store_read_peck(loop->settings.store, box, id, &loop->scratch, &wire, chain) == 0 &&
           wire.size > 0 &&
           envelope_parse(wire, ENVELOPE_PECK, &loop->scratch, &envelope) == ENVELOPE_TAKEN &&
           peck_parse(envelope.body, &loop->scratch, peck) == PECK_OK;
}

static bool read_peck(struct loop *loop, enum box box, const struct id *id, struct peck *peck)
{
    struct bytes chain;

    return read_shown(loop, box, id, peck, &chain);
}

/* Was it pecked under the context that this names, or under none where it names none? */
static bool is_under(struct loop *loop, struct bytes shown, struct bytes said)
{
    struct bytes chain, wire;
    struct context context;

    chain_split(shown, &chain, &wire);
    if (wire.size == 0)
        return context_is_meant(NULL, said);
    return context_read(wire, &loop->scratch, &context) == CONTEXT_OK &&
           context_is_meant(&context, said);
}

/* What a reply without a thread joins, before it is compared with what was sent before. */
static void find_thread(struct loop *loop, struct message *message)
{
    struct order *order = message->order;

    if (id_is_zero(&order->send.reply_to))
        return;
    order->held.thread = store_find_thread(loop->settings.store, &order->send.reply_to,
                                           &order->send.from, &order->send.to, &message->arena);
    if (!order->made) /* what is signed says what it says */
        order_join_thread(order);
}

static void find_earlier(struct loop *loop, struct order *order)
{
    struct bytes chain;
    struct hash hash;
    struct peck peck;

    if (order->made && read_peck(loop, BOX_OUT, &order->send.id, &peck)) {
        order->held.found = order->held.same_content = true;
        order->held.peck = peck.id;
        order->held.state = PECK_QUEUED; /* at least: a reader tells more */
        return;
    }
    if (order->send.idempotency_key.size == 0 ||
        !store_find_idempotent(loop->settings.store, &order->send.from, order->send.idempotency_key,
                               &order->held.peck, &hash, &order->held.state) ||
        !read_shown(loop, BOX_OUT, &order->held.peck, &peck, &chain))
        return;
    order->held.found = true;
    order->held.same_content = peck_same_content(&peck, &order->send) &&
                               is_under(loop, chain, order->context) &&
                               peck.expires_ms - peck.created_ms ==
                                   (order->expires_in_ms ? order->expires_in_ms : PECK_LIFE_MS);
}

static void find_asked(struct loop *loop, struct message *message)
{
    struct order *order = message->order;
    struct bytes *scopes;
    struct peck peck;

    if (!read_peck(loop, BOX_IN, &order->peck, &peck))
        return;
    order->held.found = true;
    order->held.expires_ms = peck.expires_ms;
    if (order->scope_count > 0 || peck.kind != PECK_BOND_REQUEST)
        return;
    scopes = arena_take(&message->arena, sizeof *scopes * PECK_SCOPES_MAX);
    if (!scopes)
        return;
    for (size_t i = 0; i < peck.scope_count; i++)
        scopes[i] = arena_copy(&message->arena, peck.scopes[i]);
    order->scopes = scopes;
    order->scope_count = peck.scope_count;
}

static void rank(struct loop *loop, struct message *message, const struct id *from,
                 struct sender_rank *rank)
{
    struct tier_evidence evidence;
    char missing[128] = "";

    store_weigh(loop->settings.store, from, message->event.at.wall_ms, &evidence);
    evidence.certificate_holds = true; /* or the signature would not have held */
    rank->tier = tier_of(&evidence);
    for (size_t i = 0; i < TIER_PIECES; i++)
        if (!tier_has_piece(&evidence, i))
            snprintf(missing + strlen(missing), sizeof missing - strlen(missing), "%s%s",
                     *missing ? ", " : "", tier_piece_name(i));
    rank->missing =
        (const char *)arena_copy(&message->arena, bytes_of(missing, strlen(missing) + 1)).data;
}

/* Only where somebody asks for it: a few reads for each peck. */
static void rank_sender(struct loop *loop, struct message *message, const struct id *from,
                        const struct id *to, struct sender_rank *found)
{
    if (agent_judges_by_tier(loop->agent, to))
        rank(loop, message, from, found);
}

static void rank_ends(struct loop *loop, struct message *message)
{
    struct order *order = message->order;

    if (order->lobster != LOBSTER_BEGIN && order->lobster != LOBSTER_CONFIRM)
        return;
    rank(loop, message, &order->duckling, &order->own_rank);
    rank(loop, message, &order->with, &order->rank);
}

/* What an answer costs is counted by the action that was asked for. */
static void find_answered(struct loop *loop, struct message *message)
{
    struct order *order = message->order;
    struct peck peck;

    order->held.found = store_knows_peck(loop->settings.store, &order->peck, &order->held.state);
    if (order->charge > 0 && read_peck(loop, BOX_IN, &order->peck, &peck))
        order->held.action = arena_copy(&message->arena, peck.action);
}

/* The request that made the bond: its hash is what the terms are said about. */
static void find_request(struct loop *loop, struct order *order)
{
    struct peck peck;

    order->held.found = read_peck(loop, BOX_IN, &order->bond, &peck);
    if (order->held.found)
        order->held.hash = peck.hash;
}

/* The node's own: what counts of it is done before the agent hears, because the key is in a file and
 * not in the store. If this turn is undone, the next agent is born with the new key all the same. */
static void rotate_node_key(struct loop *loop, struct message *message)
{
    struct order *order = message->order;
    struct order_refusal refusal;
    struct bytes longer;
    struct arena arena;

    arena_init(&arena, 4 * CHAIN_SIZE_MAX);
    if (loop->settings.keep_chain &&
        agent_lengthen_node_chain(loop->agent, order, &message->event.at, &arena, &longer,
                                  &refusal) &&
        loop->settings.keep_chain(loop->settings.context, longer) == 0) {
        identity_key_replace(loop->settings.node_key, order->seeds[0]);
        memory_give_back((void *)(uintptr_t)loop->node_chain.data);
        loop->node_chain = bytes_of(memory_copy(longer.data, longer.size), longer.size);
        loop->settings.agent.node_chain = order->chain = loop->node_chain;
        order->is_kept = true;
    }
    arena_free(&arena);
}

static void find_next_key(struct loop *loop, struct message *message)
{
    static const uint8_t none[SEED_SIZE];
    struct order *order = message->order;
    bool is_node = id_equal(&order->duckling, &loop->settings.node), is_opened = false;
    struct bytes sealed = {0};

    if (is_node && order->kind == ORDER_ROTATE)
        rotate_node_key(loop, message);
    else if (!is_node && memcmp(order->seeds[0], none, SEED_SIZE) == 0)
        is_opened =
            store_open_next_seed(loop->settings.store, &order->duckling, order->seeds[0], &sealed);
    if (order->by_node && loop->settings.open_next && (is_opened || sealed.size > 0))
        order->is_opened = loop->settings.open_next(
            loop->settings.context, is_opened ? bytes_of(NULL, 0) : sealed, order, &message->arena);
}

/* The keys that signed it are compared with those that are known here. */
static void open_grant(struct loop *loop, struct message *message)
{
    struct order *order = message->order;

    if (order->send.grant.size > 0 && loop->settings.intake)
        intake_open_grant(loop->settings.intake, order->send.grant, &message->arena, &order->grant);
}

static void look_up_order(struct loop *loop, struct message *message)
{
    struct order *order = message->order;
    struct peck peck;

    if (order->kind == ORDER_HATCH && order->chain.size > 0 && loop->settings.intake)
        order->held.chain =
            intake_known_chain(loop->settings.intake, order->chain, &message->arena);
    if (order->kind == ORDER_SEND || order->kind == ORDER_REVOKE_GRANT ||
        order->kind == ORDER_MAKE_GRANT)
        open_grant(loop, message);
    if (order->kind == ORDER_SEND) {
        find_thread(loop, message);
        find_earlier(loop, order);
        rank_sender(loop, message, &order->send.from, &order->send.to, &order->rank);
    } else if (order->kind == ORDER_APPROVE) {
        find_asked(loop, message);
    } else if (order->kind == ORDER_ANSWER) {
        find_answered(loop, message);
    } else if (order->kind == ORDER_DENY || order->kind == ORDER_PARTIAL) {
        order->held.found =
            store_knows_peck(loop->settings.store, &order->peck, &order->held.state);
    } else if (order->kind == ORDER_CANCEL) {
        order->held.found = read_peck(loop, BOX_OUT, &order->peck, &peck);
    } else if (order->kind == ORDER_BOND) {
        find_request(loop, order);
    } else if (order->kind == ORDER_LOBSTER) {
        rank_ends(loop, message);
    } else if (order->kind == ORDER_ROTATE || (order->kind == ORDER_REVOKE && order->by_next_key)) {
        find_next_key(loop, message);
    }
}

/* Of a peck that a perch held: the one that it waits for. */
static void find_before(struct loop *loop, struct perched *perched)
{
    enum peck_state state;

    perched->after_known = !id_is_zero(&perched->after) &&
                           store_knows_peck(loop->settings.store, &perched->after, &state);
}

void loop_look_up(struct loop *loop, struct message *message)
{
    struct event *event = &message->event;
    const struct peck *peck = &event->peck.peck;

    if (event->kind == EVENT_HELD && loop->settings.intake)
        agent_open_held(loop->agent, loop->settings.intake, event, &message->arena);

    if (event->kind == EVENT_ORDER)
        look_up_order(loop, message);
    if (event->kind != EVENT_PECK)
        return;
    event->peck.known = store_knows_peck(loop->settings.store, &peck->id, &event->peck.known_state);
    if (event->peck.perched)
        find_before(loop, event->peck.perched);
    if (!event->peck.known && !id_is_zero(&peck->reply_to))
        event->peck.thread = store_find_thread(loop->settings.store, &peck->reply_to, &peck->from,
                                               &peck->to, &message->arena);
    if (!event->peck.known)
        rank_sender(loop, message, &peck->from, &peck->to, &event->peck.rank);
}
