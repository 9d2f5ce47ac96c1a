/* Pecks: out of this node, into it, and what both sides say about them.
 *
 * A peck goes out: agent_send_peck packs it, agent_sign_pecks signs all of the turn and sends. It
 * comes in: agent_receive_peck judges it (default deny), the store keeps it, and the `taken`
 * receipt that agent_sign_receipts makes leaves only after that commit. */
#include "agent_parts.h"

#include <assert.h>
#include <stdio.h>

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

static struct effect *last(struct effects *effects)
{
    return &effects->list[effects->count - 1];
}

void agent_tell_ready(const struct tray_entry *entry, const struct moment *at,
                      struct effects *effects)
{
    agent_tell_changed(effects, BOX_IN, &entry->to, &entry->from, &entry->peck, entry->state,
                       at->wall_ms);
    last(effects)->changed.place = TRAY_READY;
    last(effects)->changed.action = arena_copy(&effects->arena, entry->action);
}

/* ---- out ---- */

static enum refusal_code judge_target(const struct agent *agent, const struct peck *peck,
                                      const struct moment *at, const char **message,
                                      const char **field)
{
    const struct directory_entry *entry;

    *field = "to";
    if (id_equal(&peck->from, &peck->to)) {
        *message = "a duckling cannot peck itself";
        return REFUSAL_MALFORMED;
    }
    entry = directory_find(agent->directory, &peck->to, RECORD_DUCKLING);
    if (!entry || entry->deleted) {
        *message = "the directory knows no duckling of this id";
        return REFUSAL_UNKNOWN_TARGET;
    }
    if (directory_quarantined(agent->directory, &peck->to, at->wall_ms)) {
        *message = "this duckling gave one version to two records: it is left out for a day";
        return REFUSAL_UNKNOWN_TARGET;
    }
    if (!entry->accepts_pecks &&
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

enum refusal_code agent_send_peck(struct agent *agent, const struct order *order,
                                  const struct moment *at, struct effects *effects,
                                  const char **message, const char **field)
{
    struct unsigned_peck *unsigned_peck;
    const struct unsigned_peck *earlier;
    struct peck peck = order->send;
    struct outbox_entry entry = {0};
    enum peck_verdict verdict;
    enum refusal_code code;
    struct bytes body;

    earlier = find_in_turn(agent, &peck);
    if (earlier)
        return replay_in_turn(earlier, order, effects, message, field);
    code = judge_target(agent, &peck, at, message, field);
    if (code != REFUSAL_NONE)
        return code;
    peck.network = agent->settings.network;
    peck.created_ms = at->wall_ms;
    peck.expires_ms = at->wall_ms + (order->expires_in_ms ? order->expires_in_ms : PECK_LIFE_MS);
    dice_fill(&agent->dice, peck.nonce, sizeof peck.nonce);
    verdict = peck_pack(&peck, &effects->arena, &body);
    if (verdict != PECK_OK) {
        *message = peck_verdict_text(verdict);
        return code_of(verdict, field);
    }
    entry.peck = peck.id;
    entry.hash = peck.hash;
    entry.from = peck.from;
    entry.to = peck.to;
    entry.kind = peck.kind;
    entry.state = PECK_QUEUED;
    entry.expires_ms = peck.expires_ms;
    entry.next_send_ms = MOMENT_NEVER; /* the turn's end sends it */
    if (!outbox_add(agent->outbox, &entry)) {
        *message = "too many pecks of this node await their receipts";
        *field = "";
        return REFUSAL_BUSY;
    }
    agent->pecks =
        agent_grow(agent->pecks, agent->peck_count, &agent->peck_capacity, sizeof *agent->pecks);
    unsigned_peck = &agent->pecks[agent->peck_count++];
    *unsigned_peck = (struct unsigned_peck){
        .peck = peck,
        .body = body,
        .from = agent_hosted(agent, &peck.from),
        .ticket = order->ticket,
    };
    return REFUSAL_NONE;
}

/* A peck is signed: keep it, answer the order, and let it go if there is a way. */
static void dispatch(struct agent *agent, const struct unsigned_peck *sent, struct bytes wire,
                     const struct moment *at, struct effects *effects)
{
    const struct peck *peck = &sent->peck;
    struct id host = {0};
    bool is_here = false, is_linked = false;
    struct effect *effect;

    if (agent_find_host(agent, &peck->to, &host)) {
        is_here = id_equal(&host, &agent->node);
        is_linked = !is_here && gossip_is_linked(agent->gossip, &host);
        if (!is_here)
            gossip_want(agent->gossip, &host, at->now_ms);
    }
    effect = effects_add(effects, EFFECT_KEEP_PECK);
    effect->peck.box = BOX_OUT;
    effect->peck.id = peck->id;
    effect->peck.hash = peck->hash;
    effect->peck.from = peck->from;
    effect->peck.to = peck->to;
    effect->peck.kind = peck->kind;
    effect->peck.state = is_here || is_linked ? PECK_SENT : PECK_QUEUED;
    effect->peck.created_ms = peck->created_ms;
    effect->peck.expires_ms = peck->expires_ms;
    effect->peck.at_ms = at->wall_ms;
    effect->peck.action = peck->action;
    effect->peck.thread = peck->thread;
    effect->peck.idempotency_key = peck->idempotency_key;
    effect->peck.wire = wire;
    effect->peck.chain = sent->from->chain;

    outbox_sent(agent->outbox, &peck->id, at->now_ms);
    if (is_here || is_linked)
        outbox_set_state(agent->outbox, &peck->id, PECK_SENT);
    effect = effects_add(effects, EFFECT_REPLY);
    effect->reply.ticket = sent->ticket;
    effect->reply.duckling = peck->from;
    effect->reply.peck = peck->id;
    effect->reply.box = BOX_OUT;
    effect->reply.state = is_here || is_linked ? PECK_SENT : PECK_QUEUED;
    agent_tell_changed(effects, BOX_OUT, &peck->from, &peck->to, &peck->id, effect->reply.state,
                       at->wall_ms);
    if (is_linked)
        agent_send(&host, FRAME_PECK, frame_pack_peck(sent->from->chain, wire, &effects->arena),
                   effects);
    else if (is_here)
        agent_receive_peck(agent, &agent->node, peck, wire, sent->from->chain, at, effects);
}

void agent_sign_pecks(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct bytes bodies[BATCH_ITEMS_MAX], wires[BATCH_ITEMS_MAX];
    size_t members[BATCH_ITEMS_MAX];
    size_t batch_max = agent->settings.sign_alone ? 1 : BATCH_ITEMS_MAX;

    for (size_t first = 0; first < agent->peck_count; first++) {
        struct duckling *from = agent->pecks[first].from;
        size_t count = 0;

        if (!agent->pecks[first].body.data)
            continue; /* went with an earlier batch */
        for (size_t i = first; i < agent->peck_count && count < batch_max; i++) {
            if (agent->pecks[i].from != from || !agent->pecks[i].body.data)
                continue;
            bodies[count] = agent->pecks[i].body;
            agent->pecks[i].body.data = NULL;
            members[count++] = i;
        }
        envelope_seal_batch(ENVELOPE_PECK, &from->id, from->key, bodies, count, &effects->arena,
                            wires);
        for (size_t i = 0; i < count; i++)
            dispatch(agent, &agent->pecks[members[i]], wires[i], at, effects);
    }
    agent->peck_count = 0;
}

/* ---- in ---- */

static void refuse(struct agent *agent, const struct id *node, const struct id *peck,
                   const char *code, const char *reason, bool final, const struct moment *at,
                   struct effects *effects)
{
    char text[ID_TEXT_SIZE];

    agent->pecks_refused++;
    agent_log(effects, LOG_INFO, "%s is refused: %s", id_text(ID_PECK, peck, text), reason);
    if (id_equal(node, &agent->node))
        agent_receive_refusal(agent, node, peck, bytes_of_text(code), bytes_of_text(reason), final,
                              at, effects);
    else
        agent_send(node, FRAME_REFUSAL,
                   frame_pack_refusal(peck, code, reason, final, &effects->arena), effects);
}

/* Default deny: only a bond that covers the action lets it run unasked. */
static enum peck_state first_state(const struct agent *agent, const struct peck *peck,
                                   const struct moment *at)
{
    if (peck->kind != PECK_ACTION)
        return PECK_PENDING;
    if (bonds_cover(agent->bonds, &peck->from, &peck->to, peck->action, at->wall_ms))
        return PECK_TAKEN;
    if (agent->settings.bond_own && agent_hosted(agent, &peck->from))
        return PECK_TAKEN;
    return PECK_PENDING;
}

void agent_receive_peck(struct agent *agent, const struct id *node, const struct peck *peck,
                        struct bytes wire, struct bytes chain, const struct moment *at,
                        struct effects *effects)
{
    struct duckling *target = agent_hosted(agent, &peck->to);
    struct tray_entry entry = {0};
    enum tray_verdict room;
    struct effect *effect;

    if (!target) {
        refuse(agent, node, &peck->id, "not_hosted_here", "its target does not live on this node",
               true, at, effects);
        return;
    }
    if (peck->expires_ms <= at->wall_ms) {
        refuse(agent, node, &peck->id, "expired", "its time is over", true, at, effects);
        return;
    }
    entry.state = first_state(agent, peck, at);
    if (entry.state == PECK_PENDING && !target->profile.accepts_pecks) {
        refuse(agent, node, &peck->id, "pecks_refused", "its target accepts no pecks", true, at,
               effects);
        return;
    }
    entry.peck = peck->id;
    entry.hash = peck->hash;
    entry.from = peck->from;
    entry.to = peck->to;
    entry.kind = peck->kind;
    entry.action = peck->action;
    entry.place = entry.state == PECK_PENDING ? TRAY_WAITING : TRAY_READY;
    entry.expires_ms = peck->expires_ms;
    if (entry.place == TRAY_WAITING && entry.expires_ms > at->wall_ms + PECK_APPROVAL_MS)
        entry.expires_ms = at->wall_ms + PECK_APPROVAL_MS;
    room = tray_add(agent->tray, &entry);
    if (room != TRAY_TAKEN) {
        refuse(agent, node, &peck->id, "busy", tray_verdict_text(room), false, at, effects);
        return;
    }
    effect = effects_add(effects, EFFECT_KEEP_PECK);
    effect->peck.box = BOX_IN;
    effect->peck.id = peck->id;
    effect->peck.hash = peck->hash;
    effect->peck.from = peck->from;
    effect->peck.to = peck->to;
    effect->peck.kind = peck->kind;
    effect->peck.state = entry.state;
    effect->peck.created_ms = peck->created_ms;
    effect->peck.expires_ms = peck->expires_ms;
    effect->peck.at_ms = at->wall_ms;
    effect->peck.action = peck->action;
    effect->peck.thread = peck->thread;
    effect->peck.wire = wire;
    effect->peck.chain = chain;
    agent->counters.pecks++;
    agent->counters_changed = agent->metrics_changed = true;
    agent_say_taken(agent, &entry, node, entry.state, at, 0, effects);
}

/* ---- receipts out ---- */

static struct unsigned_receipt *say(struct agent *agent, const struct tray_entry *entry,
                                    enum receipt_kind kind, enum peck_state state,
                                    const struct moment *at, uint64_t ticket)
{
    struct unsigned_receipt *receipt;

    agent->receipts = agent_grow(agent->receipts, agent->receipt_count, &agent->receipt_capacity,
                                 sizeof *agent->receipts);
    receipt = &agent->receipts[agent->receipt_count++];
    memset(receipt, 0, sizeof *receipt);
    receipt->ticket = ticket;
    receipt->receipt.network = agent->settings.network;
    receipt->receipt.peck = entry->hash;
    receipt->receipt.from = entry->from;
    receipt->receipt.to = entry->to;
    receipt->receipt.kind = kind;
    receipt->receipt.state = state;
    receipt->receipt.at_ms = at->wall_ms;
    return receipt;
}

void agent_say_taken(struct agent *agent, const struct tray_entry *entry, const struct id *node,
                     enum peck_state state, const struct moment *at, uint64_t ticket,
                     struct effects *effects)
{
    struct unsigned_receipt *receipt = say(agent, entry, RECEIPT_TAKEN, state, at, ticket);

    (void)effects;
    receipt->node = *node;
}

struct unsigned_receipt *agent_say_done(struct agent *agent, const struct tray_entry *entry,
                                        enum peck_state state, struct bytes result,
                                        struct bytes problem, const struct moment *at,
                                        uint64_t ticket, struct effects *effects)
{
    struct duckling *target = agent_hosted(agent, &entry->to);
    struct unsigned_receipt *receipt = say(agent, entry, RECEIPT_DONE, state, at, ticket);

    (void)effects;
    assert(target);
    receipt->signer = target;
    receipt->receipt.result = result;
    receipt->receipt.problem = problem;
    /* A sender whose host is not known or not linked asks again when it is back. */
    if (!agent_find_host(agent, &entry->from, &receipt->node))
        receipt->node = (struct id){0};
    return receipt;
}

static void receive_own_receipt(struct agent *agent, const struct unsigned_receipt *said,
                                struct bytes wire, struct bytes chain, const struct id *signer,
                                const struct moment *at, struct effects *effects)
{
    struct event event = {.kind = EVENT_RECEIPT, .at = *at, .node = agent->node};

    event.receipt.receipt = said->receipt;
    event.receipt.signer = *signer;
    event.receipt.signer_kind = said->signer ? IDENTITY_DUCKLING : IDENTITY_NODE;
    event.receipt.wire = wire;
    event.receipt.chain = chain;
    agent_receive_receipt(agent, &event, effects);
}

/* A receipt is signed: keep it beside the peck, tell who waits here, and let it go. */
static void dispatch_receipt(struct agent *agent, const struct unsigned_receipt *said,
                             struct bytes wire, const struct moment *at, struct effects *effects)
{
    const struct receipt *receipt = &said->receipt;
    const struct id *signer = said->signer ? &said->signer->id : &agent->node;
    struct bytes chain = said->signer ? said->signer->chain : agent->settings.node_chain;
    struct id peck = id_of(&receipt->peck);
    struct effect *effect = effects_add(effects, EFFECT_KEEP_RECEIPT);
    const struct tray_entry *open;

    effect->receipt.box = BOX_IN;
    effect->receipt.peck = peck;
    effect->receipt.kind = receipt->kind;
    effect->receipt.state = receipt->state;
    effect->receipt.at_ms = receipt->at_ms;
    effect->receipt.signer = *signer;
    effect->receipt.wire = wire;
    effect->receipt.chain = chain;
    if (receipt->kind == RECEIPT_DONE) {
        effect = effects_add(effects, EFFECT_KEEP_STATE);
        effect->state.box = BOX_IN;
        effect->state.peck = peck;
        effect->state.state = receipt->state;
        effect->state.place = TRAY_WITH_AGENT;
        effect->state.at_ms = receipt->at_ms;
    }
    agent_tell_changed(effects, BOX_IN, &receipt->to, &receipt->from, &peck, receipt->state,
                       receipt->at_ms);
    effect = last(effects);
    effect->changed.place = receipt->state == PECK_PENDING ? TRAY_WAITING : TRAY_READY;
    open = tray_find(agent->tray, &peck);
    if (open)
        effect->changed.action = arena_copy(&effects->arena, open->action);
    effect->changed.receipt = wire;
    effect->changed.receipt_chain = chain;
    effect->changed.receipt_kind = receipt->kind;
    effect->changed.receipt_signer = *signer;
    effect->changed.result = receipt->result;
    effect->changed.problem = receipt->problem;
    if (said->ticket) {
        effect = effects_add(effects, EFFECT_REPLY);
        effect->reply.ticket = said->ticket;
        effect->reply.duckling = receipt->to;
        effect->reply.peck = peck;
        effect->reply.box = BOX_IN;
        effect->reply.state = receipt->state;
        effect->reply.bond = said->bond;
    }
    if (id_equal(&said->node, &agent->node))
        receive_own_receipt(agent, said, wire, chain, signer, at, effects);
    else if (!id_is_zero(&said->node))
        agent_send(&said->node, FRAME_RECEIPT, frame_pack_receipt(chain, wire, &effects->arena),
                   effects);
}

void agent_sign_receipts(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct bytes bodies[BATCH_ITEMS_MAX], wires[BATCH_ITEMS_MAX];
    size_t members[BATCH_ITEMS_MAX];
    size_t batch_max = agent->settings.sign_alone ? 1 : BATCH_ITEMS_MAX;

    for (size_t i = 0; i < agent->receipt_count; i++)
        if (receipt_pack(&agent->receipts[i].receipt, &effects->arena, &agent->receipts[i].body) !=
            RECEIPT_OK)
            assert(!"what a receipt says was judged before");
    for (size_t first = 0; first < agent->receipt_count; first++) {
        struct duckling *signer = agent->receipts[first].signer;
        size_t count = 0;

        if (!agent->receipts[first].body.data)
            continue; /* went with an earlier batch */
        for (size_t i = first; i < agent->receipt_count && count < batch_max; i++) {
            if (agent->receipts[i].signer != signer || !agent->receipts[i].body.data)
                continue;
            bodies[count] = agent->receipts[i].body;
            agent->receipts[i].body.data = NULL;
            members[count++] = i;
        }
        envelope_seal_batch(ENVELOPE_RECEIPT, signer ? &signer->id : &agent->node,
                            signer ? signer->key : agent->settings.node_key, bodies, count,
                            &effects->arena, wires);
        for (size_t i = 0; i < count; i++)
            dispatch_receipt(agent, &agent->receipts[members[i]], wires[i], at, effects);
    }
    agent->receipt_count = 0;
}

/* ---- receipts in ---- */

/* How far a state is along; a receipt never leads back. */
static int progress(enum peck_state state)
{
    switch (state) {
    case PECK_QUEUED:
        return 0;
    case PECK_SENT:
        return 1;
    case PECK_PENDING:
        return 2;
    case PECK_TAKEN:
    case PECK_APPROVED:
        return 3;
    case PECK_DENIED:
    case PECK_ANSWERED:
    case PECK_FAILED:
    case PECK_EXPIRED:
    case PECK_CANCELLED:
        return 4;
    }
    return 0;
}

static const char *judge_receipt(const struct agent *agent, const struct outbox_entry *entry,
                                 const struct event *event)
{
    const struct receipt *receipt = &event->receipt.receipt;
    struct id host;

    if (!hash_equal(&receipt->peck, &entry->hash) || !id_equal(&receipt->from, &entry->from) ||
        !id_equal(&receipt->to, &entry->to))
        return "it is about another peck";
    if (receipt->kind == RECEIPT_TAKEN &&
        (!agent_find_host(agent, &entry->to, &host) || !id_equal(&host, &event->receipt.signer)))
        return "its signer is not the target's node";
    if (receipt->kind == RECEIPT_DONE && receipt->state == PECK_APPROVED &&
        entry->kind != PECK_BOND_REQUEST)
        return "an action is not done by approval";
    return NULL;
}

static void keep_made_bond(struct agent *agent, const struct outbox_entry *entry,
                           const struct receipt *receipt, const struct moment *at,
                           struct effects *effects)
{
    struct bond *bond = arena_take(&effects->arena, sizeof *bond);
    struct duckling *requester = agent_hosted(agent, &entry->from);
    struct effect *effect;

    assert(bond);
    memset(bond, 0, sizeof *bond);
    bond->id = entry->peck;
    bond->requester = entry->from;
    bond->approver = entry->to;
    bond->made_ms = receipt->at_ms;
    bond->not_after_ms = receipt->bond_not_after_ms;
    bond->scope_count = receipt->scope_count;
    memcpy(bond->scopes, receipt->scopes, sizeof bond->scopes);
    if (!bonds_find(agent->bonds, &bond->id)) { /* between ducklings of one node it is there */
        if (!bonds_add(agent->bonds, bond)) {
            agent_log(effects, LOG_ERROR, "a bond was approved, but this node can hold no more");
            return;
        }
        effects_add(effects, EFFECT_KEEP_BOND)->bond = bond;
    }
    if (requester)
        agent_publish_bonded(agent, requester, bond, at, effects);
    effect = effects_add(effects, EFFECT_BOND_CHANGED);
    effect->bond_changed.made = true;
    effect->bond_changed.bond = bond->id;
    effect->bond_changed.duckling = bond->requester;
    effect->bond_changed.with = bond->approver;
}

void agent_receive_receipt(struct agent *agent, const struct event *event, struct effects *effects)
{
    const struct receipt *receipt = &event->receipt.receipt;
    struct id peck = id_of(&receipt->peck);
    struct outbox_entry *found = outbox_find(agent->outbox, &peck);
    struct outbox_entry entry;
    struct effect *effect;
    char text[ID_TEXT_SIZE];
    const char *wrong;

    if (!found)
        return; /* it is done: a receipt came twice */
    entry = *found;
    wrong = judge_receipt(agent, &entry, event);
    if (wrong) {
        agent->receipts_refused++;
        agent_log(effects, LOG_WARNING, "a receipt for %s is refused: %s",
                  id_text(ID_PECK, &peck, text), wrong);
        return;
    }
    if (progress(receipt->state) <= progress(entry.state) && receipt->kind == RECEIPT_TAKEN)
        return;
    effect = effects_add(effects, EFFECT_KEEP_RECEIPT);
    effect->receipt.box = BOX_OUT;
    effect->receipt.peck = peck;
    effect->receipt.kind = receipt->kind;
    effect->receipt.state = receipt->state;
    effect->receipt.at_ms = receipt->at_ms;
    effect->receipt.signer = event->receipt.signer;
    effect->receipt.wire = event->receipt.wire;
    effect->receipt.chain = event->receipt.chain;
    effect = effects_add(effects, EFFECT_KEEP_STATE);
    effect->state.box = BOX_OUT;
    effect->state.peck = peck;
    effect->state.state = receipt->state;
    effect->state.attempt = entry.attempts;
    effect->state.at_ms = event->at.wall_ms;
    agent_tell_changed(effects, BOX_OUT, &entry.from, &entry.to, &peck, receipt->state,
                       event->at.wall_ms);
    effect = last(effects);
    effect->changed.receipt = event->receipt.wire;
    effect->changed.receipt_chain = event->receipt.chain;
    effect->changed.receipt_kind = receipt->kind;
    effect->changed.receipt_signer = event->receipt.signer;
    effect->changed.result = receipt->result;
    effect->changed.problem = receipt->problem;
    if (receipt->kind == RECEIPT_TAKEN) {
        outbox_set_state(agent->outbox, &peck, receipt->state);
        return;
    }
    outbox_remove(agent->outbox, &peck);
    if (receipt->state == PECK_APPROVED)
        keep_made_bond(agent, &entry, receipt, &event->at, effects);
}

/* A peck ends here without a receipt: refused for good, or its time is over. */
static void end_sent(struct agent *agent, const struct outbox_entry *entry, enum peck_state state,
                     struct bytes problem, const struct moment *at, struct effects *effects)
{
    struct outbox_entry copy = *entry;
    struct effect *effect = effects_add(effects, EFFECT_KEEP_STATE);

    effect->state.box = BOX_OUT;
    effect->state.peck = copy.peck;
    effect->state.state = state;
    effect->state.attempt = copy.attempts;
    effect->state.at_ms = at->wall_ms;
    effect->state.problem = problem;
    agent_tell_changed(effects, BOX_OUT, &copy.from, &copy.to, &copy.peck, state, at->wall_ms);
    last(effects)->changed.problem = problem;
    outbox_remove(agent->outbox, &copy.peck);
}

void agent_receive_refusal(struct agent *agent, const struct id *node, const struct id *peck,
                           struct bytes code, struct bytes reason, bool final,
                           const struct moment *at, struct effects *effects)
{
    const struct outbox_entry *entry = outbox_find(agent->outbox, peck);
    char text[ID_TEXT_SIZE], problem[RECEIPT_PROBLEM_MAX];
    struct id host;

    if (!entry || !agent_find_host(agent, &entry->to, &host) || !id_equal(&host, node))
        return; /* not sent there: whoever says so has no word in it */
    if (entry->state != PECK_QUEUED && entry->state != PECK_SENT)
        return; /* a signed receipt outranks an unsigned refusal */
    agent_log(effects, final ? LOG_WARNING : LOG_INFO, "%s was refused by the target's node: %.*s",
              id_text(ID_PECK, peck, text), (int)code.size, (const char *)code.data);
    if (!final)
        return; /* the outbox tries again */
    snprintf(problem, sizeof problem, "refused by the target's node (%.*s): %.*s", (int)code.size,
             (const char *)code.data, (int)reason.size, (const char *)reason.data);
    end_sent(agent, entry, PECK_FAILED, arena_copy(&effects->arena, bytes_of_text(problem)), at,
             effects);
}

/* ---- time ---- */

static void resend(struct agent *agent, const struct outbox_entry *entry, const struct moment *at,
                   struct effects *effects)
{
    struct outbox_entry copy = *entry;
    struct id host;

    outbox_sent(agent->outbox, &copy.peck, at->now_ms);
    if (!agent_find_host(agent, &copy.to, &host))
        return;
    if (!id_equal(&host, &agent->node)) {
        gossip_want(agent->gossip, &host, at->now_ms);
        if (!gossip_is_linked(agent->gossip, &host))
            return;
    }
    if (copy.state == PECK_QUEUED) {
        struct effect *effect = effects_add(effects, EFFECT_KEEP_STATE);

        effect->state.box = BOX_OUT;
        effect->state.peck = copy.peck;
        effect->state.state = PECK_SENT;
        effect->state.attempt = copy.attempts + 1;
        effect->state.at_ms = at->wall_ms;
        outbox_set_state(agent->outbox, &copy.peck, PECK_SENT);
        agent_tell_changed(effects, BOX_OUT, &copy.from, &copy.to, &copy.peck, PECK_SENT,
                           at->wall_ms);
    }
    struct effect *effect = effects_add(effects, EFFECT_SEND_PECK);

    effect->send_stored.node = host;
    effect->send_stored.peck = copy.peck;
}

static void expire_received(struct agent *agent, const struct tray_entry *entry,
                            const struct moment *at, struct effects *effects)
{
    struct tray_entry copy = *entry;
    const char *why = copy.place == TRAY_WAITING ? "its owner did not decide in time"
                                                 : "its agent did not answer in time";

    agent_say_done(agent, &copy, PECK_EXPIRED, bytes_of(NULL, 0), bytes_of_text(why), at, 0,
                   effects);
    tray_remove(agent->tray, &copy.peck);
}

void agent_resend_and_expire(struct agent *agent, const struct moment *at, struct effects *effects)
{
    const struct outbox_entry *sent;
    const struct tray_entry *received;

    while ((sent = outbox_poll_expired(agent->outbox, at->wall_ms)))
        end_sent(agent, sent, PECK_EXPIRED,
                 bytes_of_text("no final receipt came before its time was over"), at, effects);
    for (int i = 0; i < RESENDS_PER_TURN_MAX && (sent = outbox_poll_due(agent->outbox, at->now_ms));
         i++)
        resend(agent, sent, at, effects);
    while ((received = tray_poll_expired(agent->tray, at->wall_ms)))
        expire_received(agent, received, at, effects);
    while ((received = tray_poll_lease_over(agent->tray, at->now_ms)))
        agent_tell_ready(received, at, effects);
}
