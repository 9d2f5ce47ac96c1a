/* Pecks out of this node: agent_send_peck judges and packs one, agent_sign_pecks signs all of the turn and sends.
 * What comes in: agent_arrivals.c. */
#include "agent_parts.h"

void agent_tell_changed(struct effects *effects, enum box box, const struct id *duckling,
                        const struct id *with, const struct id *peck, enum peck_state state,
                        uint64_t at_ms)
{
    struct effect *effect = effects_add(effects, EFFECT_PECK_CHANGED);

    effect->changed.box = box;
    effect->changed.duckling = *duckling;
    effect->changed.with = *with;
    effect->changed.peck = *peck;
    effect->changed.state = state;
    effect->changed.at_ms = at_ms;
}

void agent_tell_ready(const struct tray_entry *entry, const struct moment *at,
                      struct effects *effects)
{
    agent_tell_changed(effects, BOX_IN, &entry->to, &entry->from, &entry->peck, entry->state,
                       at->wall_ms);
    effects->list[effects->count - 1].changed.place = TRAY_READY;
    effects->list[effects->count - 1].changed.action = arena_copy(&effects->arena, entry->action);
}

struct effect *agent_keep_peck(struct effects *effects, enum box box, const struct peck *peck,
                               enum peck_state state, uint64_t at_ms)
{
    struct effect *effect = effects_add(effects, EFFECT_KEEP_PECK);

    effect->peck.box = box;
    effect->peck.id = peck->id;
    effect->peck.hash = peck->hash;
    effect->peck.from = peck->from;
    effect->peck.to = peck->to;
    effect->peck.kind = peck->kind;
    effect->peck.state = state;
    effect->peck.created_ms = peck->created_ms;
    effect->peck.expires_ms = peck->expires_ms;
    effect->peck.at_ms = at_ms;
    effect->peck.action = peck->action;
    effect->peck.named_thread = peck->thread;
    return effect;
}

/* ---- an order becomes a peck ---- */

static enum refusal_code judge_target(const struct agent *agent, const struct peck *peck,
                                      const struct moment *at, struct arena *arena,
                                      const char **message, const char **field)
{
    const struct directory_entry *entry;

    *field = "to";
    if (id_equal(&peck->from, &peck->to)) {
        *message = "a duckling cannot peck itself";
        return REFUSAL_MALFORMED;
    }
    *message = agent_revoked_text(agent, "this duckling", &peck->to, arena);
    if (*message)
        return REFUSAL_UNKNOWN_TARGET;
    entry = directory_find(agent->directory, &peck->to, RECORD_DUCKLING);
    if (!entry || entry->deleted) {
        *message = "the directory knows no duckling of this id";
        return REFUSAL_UNKNOWN_TARGET;
    }
    *message = agent_revoked_text(agent, "the node of this duckling", &entry->host, arena);
    if (*message)
        return REFUSAL_UNKNOWN_TARGET;
    if (directory_quarantined(agent->directory, &peck->to, at->wall_ms)) {
        *message = "this duckling gave one version to two records: it is left out for a day";
        return REFUSAL_UNKNOWN_TARGET;
    }
    if (!entry->accepts_pecks && peck->grant.size == 0 &&
        !bonds_cover(agent->bonds, &peck->from, &peck->to, peck->action, at->wall_ms)) {
        *message = "this duckling accepts no pecks";
        return REFUSAL_PECKS_REFUSED;
    }
    return REFUSAL_NONE;
}

static enum refusal_code code_of(enum peck_verdict verdict, const char **field)
{
    switch (verdict) {
    case PECK_OK:
        return REFUSAL_NONE;
    case PECK_PAYLOAD_TOO_LARGE:
        *field = "payload";
        return REFUSAL_TOO_LARGE;
    case PECK_BAD_NAME:
        *field = "action";
        return REFUSAL_MALFORMED;
    case PECK_BAD_TEXT:
        *field = "message";
        return REFUSAL_MALFORMED;
    case PECK_BAD_TIMES:
        *field = "expires_in";
        return REFUSAL_MALFORMED;
    case PECK_TO_SELF:
        *field = "to";
        return REFUSAL_MALFORMED;
    case PECK_MALFORMED:
    case PECK_OTHER_NETWORK:
        *field = "";
        return REFUSAL_MALFORMED;
    }
    return REFUSAL_MALFORMED;
}

/* The store cannot see what this very turn sends, so it is looked through here. */
static const struct unsigned_peck *find_in_turn(const struct agent *agent, const struct peck *peck)
{
    for (size_t i = 0; i < agent->peck_count; i++)
        if (!id_is_zero(&peck->id) && id_equal(&agent->pecks[i].peck.id, &peck->id))
            return &agent->pecks[i]; /* the same bytes, signed outside */
    if (peck->idempotency_key.size == 0)
        return NULL;
    for (size_t i = 0; i < agent->peck_count; i++)
        if (id_equal(&agent->pecks[i].peck.from, &peck->from) &&
            bytes_equal(agent->pecks[i].peck.idempotency_key, peck->idempotency_key))
            return &agent->pecks[i];
    return NULL;
}

static enum refusal_code replay_in_turn(const struct unsigned_peck *earlier,
                                        const struct order *order, struct effects *effects,
                                        const char **message, const char **field)
{
    uint64_t life_ms = order->expires_in_ms ? order->expires_in_ms : PECK_LIFE_MS;
    struct effect *effect;

    if (!peck_same_content(&earlier->peck, &order->send) ||
        !context_is_meant(earlier->under ? &earlier->under->context : NULL, order->context) ||
        earlier->peck.expires_ms - earlier->peck.created_ms != life_ms) {
        *message = "this idempotency key named another peck before";
        *field = "idempotency_key";
        return REFUSAL_KEY_REUSED;
    }
    effect = effects_add(effects, EFFECT_REPLY);
    effect->reply.ticket = order->ticket;
    effect->reply.duckling = earlier->peck.from;
    effect->reply.peck = earlier->peck.id;
    effect->reply.box = BOX_OUT;
    effect->reply.state = PECK_QUEUED;
    effect->reply.replayed = true;
    return REFUSAL_NONE;
}

/* What its target's node would refuse, as far as this one can tell. */
static enum refusal_code judge_own_grant(const struct agent *agent, const struct order *order,
                                         const struct moment *at, const char **message,
                                         const char **field)
{
    enum grant_verdict verdict;

    if (order->send.grant.size == 0 ||
        (!agent_is_revocation(&order->send) &&
         bonds_cover(agent->bonds, &order->send.from, &order->send.to, order->send.action,
                     at->wall_ms)))
        return REFUSAL_NONE;
    verdict = agent_judge_grant(agent, &order->send, &order->grant, at);
    *message = grant_verdict_text(verdict);
    *field = "grant";
    return verdict == GRANT_OK ? REFUSAL_NONE : REFUSAL_GRANT;
}

static struct id covering_bond(const struct agent *agent, const struct peck *peck,
                               const struct moment *at)
{
    const struct bond *bond = NULL;

    if (peck->kind == PECK_ACTION)
        bond = bonds_cover(agent->bonds, &peck->from, &peck->to, peck->action, at->wall_ms);
    return bond ? bond->id : (struct id){0};
}

/* Dates it, and packs it. */
static enum peck_verdict make(struct agent *agent, const struct order *order,
                              const struct moment *at, struct effects *effects, struct peck *peck,
                              struct bytes *body)
{
    if (order->made) {
        *body = order->made->body;
        return PECK_OK;
    }
    peck->network = agent->settings.network;
    peck->created_ms = at->wall_ms;
    peck->expires_ms = at->wall_ms + (order->expires_in_ms ? order->expires_in_ms : PECK_LIFE_MS);
    dice_fill(&agent->dice, peck->nonce, sizeof peck->nonce);
    return peck_pack(peck, &effects->arena, body);
}

/* May it be sent at all, as far as this node can tell? */
static bool judge(struct agent *agent, const struct order *order, const struct peck *peck,
                  const struct duckling *from, const struct moment *at, struct effects *effects,
                  struct order_refusal *refusal)
{
    if (!agent_judge_made(agent, order, from, at, refusal))
        return false;
    refusal->code =
        judge_target(agent, peck, at, &effects->arena, &refusal->message, &refusal->field);
    if (refusal->code == REFUSAL_NONE)
        refusal->code = judge_own_grant(agent, order, at, &refusal->message, &refusal->field);
    return refusal->code == REFUSAL_NONE;
}

static bool queue(struct agent *agent, const struct unsigned_peck *unsigned_peck,
                  const struct moment *at, struct order_refusal *refusal)
{
    const struct peck *peck = &unsigned_peck->peck;
    struct outbox_entry entry = {
        .peck = peck->id,
        .hash = peck->hash,
        .from = peck->from,
        .to = peck->to,
        .kind = peck->kind,
        .state = PECK_QUEUED,
        .bond = covering_bond(agent, peck, at),
        .expires_ms = peck->expires_ms,
        .next_send_ms = MOMENT_NEVER, /* the turn's end sends it */
        .conversation = outbox_conversation(&peck->from, &peck->to, unsigned_peck->thread),
    };

    if (unsigned_peck->under)
        entry.context = unsigned_peck->under->context.carrier;
    if (outbox_add(agent->outbox, &entry))
        return true;
    refusal->message = "too many pecks of this node await their receipts";
    refusal->code = REFUSAL_BUSY;
    return false;
}

void agent_send_peck(struct agent *agent, const struct order *order, const struct moment *at,
                     struct effects *effects, struct order_refusal *refusal)
{
    struct unsigned_peck sent = {.peck = order->send,
                                 .from = agent_hosted(agent, &order->send.from),
                                 .ticket = order->ticket,
                                 .thread = agent_thread_of(&order->send, order->held.thread),
                                 .rank = order->rank,
                                 .grant = order->grant};
    const struct unsigned_peck *earlier = find_in_turn(agent, &sent.peck);
    enum peck_verdict verdict;

    if (earlier) {
        refusal->code = replay_in_turn(earlier, order, effects, &refusal->message, &refusal->field);
        return;
    }
    if (!judge(agent, order, &sent.peck, sent.from, at, effects, refusal))
        return;
    if (!order->made)
        sent.peck.created_ms = at->wall_ms;
    if (!agent_find_context(agent, order, &sent.peck, at, effects, &sent.under, refusal) ||
        !agent_judge_round(agent, &sent.peck, sent.thread, at, effects, refusal))
        return;
    verdict = make(agent, order, at, effects, &sent.peck, &sent.body);
    if (verdict != PECK_OK) {
        refusal->message = peck_verdict_text(verdict);
        refusal->code = code_of(verdict, &refusal->field);
        return;
    }
    if (!queue(agent, &sent, at, refusal))
        return;
    if (!agent_lives_here(agent, &sent.peck.to)) /* else it counts where it is received */
        agent_count_peck(agent, &sent.peck, sent.thread, at, effects);
    if (order->made)
        sent.made = envelope_pack_signed(ENVELOPE_PECK, &sent.peck.from, sent.body,
                                         &order->made->signature, &effects->arena);
    agent->pecks =
        agent_grow(agent->pecks, agent->peck_count, &agent->peck_capacity, sizeof *agent->pecks);
    agent->pecks[agent->peck_count++] = sent;
}

/* ---- at the turn's end it is signed, and goes ---- */

/* To a duckling of this very node. */
static void receive_here(struct agent *agent, const struct unsigned_peck *sent, struct bytes wire,
                         const struct context *context, const struct moment *at,
                         struct effects *effects)
{
    struct event event = {.kind = EVENT_PECK, .at = *at, .node = agent->node};

    event.peck.peck = sent->peck;
    event.peck.wire = wire;
    event.peck.chain = arena_copy(&effects->arena, sent->from->chain);
    event.peck.context = context;
    event.peck.thread = sent->thread;
    event.peck.rank = sent->rank;
    event.peck.grant = sent->grant;
    agent_receive_peck(agent, &event, effects);
}

static void reply_sent(const struct unsigned_peck *sent, enum peck_state state,
                       const struct moment *at, struct effects *effects)
{
    const struct peck *peck = &sent->peck;
    struct effect *effect = effects_add(effects, EFFECT_REPLY);

    effect->reply.ticket = sent->ticket;
    effect->reply.duckling = peck->from;
    effect->reply.peck = peck->id;
    effect->reply.box = BOX_OUT;
    effect->reply.state = state;
    effect->reply.thread = peck->thread;
    agent_tell_changed(effects, BOX_OUT, &peck->from, &peck->to, &peck->id, state, at->wall_ms);
}

/* A peck is signed: keep it, answer the order, and let it go if there is a way. */
static void dispatch(struct agent *agent, const struct unsigned_peck *sent, struct bytes wire,
                     const struct moment *at, struct effects *effects)
{
    const struct context *context =
        sent->under ? agent_copy_context(&sent->under->context, &effects->arena) : NULL;
    const struct peck *peck = &sent->peck;
    struct id host = {0};
    bool is_here = false, is_linked = false;
    enum peck_state state;
    struct effect *kept;

    if (agent_find_host(agent, &peck->to, &host)) {
        is_here = id_equal(&host, &agent->node);
        is_linked = !is_here && gossip_is_linked(agent->gossip, &host);
        if (!is_here)
            gossip_want(agent->gossip, &host, at->now_ms);
    }
    state = is_here || is_linked ? PECK_SENT : PECK_QUEUED;
    kept = agent_keep_peck(effects, BOX_OUT, peck, state, at->wall_ms);
    kept->peck.thread = sent->thread;
    kept->peck.idempotency_key = peck->idempotency_key;
    kept->peck.wire = wire;
    kept->peck.chain = arena_copy(&effects->arena, sent->from->chain);
    kept->peck.context = context;

    outbox_sent(agent->outbox, &peck->id, at->now_ms);
    if (state == PECK_SENT)
        outbox_set_state(agent->outbox, &peck->id, PECK_SENT);
    reply_sent(sent, state, at, effects);
    if (is_linked) {
        struct bytes chain = chain_with_context(
            sent->from->chain, context ? context->wire : bytes_of(NULL, 0), &effects->arena);

        agent_send(&host, FRAME_PECK, frame_pack_peck(chain, wire, &effects->arena), effects);
        effects->list[effects->count - 1].send.waits =
            peck->idempotency_key.size > 0 || agent->key_is_new;
    } else if (is_here) {
        receive_here(agent, sent, wire, context, at, effects);
    }
}

static void sign_pecks(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct bytes bodies[BATCH_ITEMS_MAX], wires[BATCH_ITEMS_MAX];
    struct hash hashes[BATCH_ITEMS_MAX];
    size_t members[BATCH_ITEMS_MAX];
    size_t batch_max = agent->settings.sign_alone ? 1 : BATCH_ITEMS_MAX;

    for (size_t first = 0; first < agent->peck_count; first++) {
        const struct held_context *under = agent->pecks[first].under;
        struct duckling *from = agent->pecks[first].from;
        size_t count = 0;

        if (!agent->pecks[first].body.data)
            continue; /* went with an earlier batch */
        if (agent->pecks[first].made.data) {
            struct unsigned_peck sent = agent->pecks[first];

            dispatch(agent, &sent, sent.made, at, effects);
            continue;
        }
        for (size_t i = first; i < agent->peck_count && count < batch_max; i++) {
            if (agent->pecks[i].from != from || agent->pecks[i].under != under ||
                !agent->pecks[i].body.data)
                continue;
            bodies[count] = agent->pecks[i].body;
            hashes[count] = agent->pecks[i].peck.hash;
            agent->pecks[i].body.data = NULL;
            members[count++] = i;
        }
        envelope_seal_batch(ENVELOPE_PECK, &from->id, under ? under->key : from->key, bodies,
                            hashes, count, &effects->arena, wires);
        for (size_t i = 0; i < count; i++)
            dispatch(agent, &agent->pecks[members[i]], wires[i], at, effects);
    }
    agent->peck_count = 0;
}

/* Most turns say nothing, and what a batch takes of the stack is cleared. */
void agent_sign_pecks(struct agent *agent, const struct moment *at, struct effects *effects)
{
    if (agent->peck_count > 0)
        sign_pecks(agent, at, effects);
}
