/* Pecks: out of this node, into it, and what both sides say about them.
 *
 * A peck goes out: agent_send_peck packs it, agent_sign_pecks signs all of the turn and sends. It
 * comes in: agent_receive_peck judges it (default deny), the store keeps it, and the `taken`
 * receipt that agent_sign_receipts makes leaves only after that commit. */
#include "agent_parts.h"
#include "tier.h"

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

static struct id covering_bond(const struct agent *agent, const struct peck *peck,
                               const struct moment *at)
{
    const struct bond *bond = NULL;

    if (peck->kind == PECK_ACTION)
        bond = bonds_cover(agent->bonds, &peck->from, &peck->to, peck->action, at->wall_ms);
    return bond ? bond->id : (struct id){0};
}

void agent_send_peck(struct agent *agent, const struct order *order, const struct moment *at,
                     struct effects *effects, struct order_refusal *refusal)
{
    struct unsigned_peck *unsigned_peck;
    const struct unsigned_peck *earlier;
    struct peck peck = order->send;
    struct bytes thread = agent_thread_of(&peck, order->held.thread);
    struct outbox_entry entry = {0};
    enum peck_verdict verdict;
    struct bytes body;

    earlier = find_in_turn(agent, &peck);
    if (earlier) {
        refusal->code = replay_in_turn(earlier, order, effects, &refusal->message, &refusal->field);
        return;
    }
    refusal->code = judge_target(agent, &peck, at, &refusal->message, &refusal->field);
    if (refusal->code != REFUSAL_NONE ||
        !agent_judge_round(agent, &peck, thread, at, effects, refusal))
        return;
    peck.network = agent->settings.network;
    peck.created_ms = at->wall_ms;
    peck.expires_ms = at->wall_ms + (order->expires_in_ms ? order->expires_in_ms : PECK_LIFE_MS);
    dice_fill(&agent->dice, peck.nonce, sizeof peck.nonce);
    verdict = peck_pack(&peck, &effects->arena, &body);
    if (verdict != PECK_OK) {
        refusal->message = peck_verdict_text(verdict);
        refusal->code = code_of(verdict, &refusal->field);
        return;
    }
    entry.peck = peck.id;
    entry.hash = peck.hash;
    entry.from = peck.from;
    entry.to = peck.to;
    entry.kind = peck.kind;
    entry.state = PECK_QUEUED;
    entry.bond = covering_bond(agent, &peck, at);
    entry.expires_ms = peck.expires_ms;
    entry.next_send_ms = MOMENT_NEVER; /* the turn's end sends it */
    entry.conversation = outbox_conversation(&peck.from, &peck.to, thread);
    if (!outbox_add(agent->outbox, &entry)) {
        refusal->message = "too many pecks of this node await their receipts";
        refusal->code = REFUSAL_BUSY;
        return;
    }
    if (!agent_hosted(agent, &peck.to)) /* else it counts where it is received */
        agent_count_peck(agent, &peck, thread, at, effects);
    agent->pecks =
        agent_grow(agent->pecks, agent->peck_count, &agent->peck_capacity, sizeof *agent->pecks);
    unsigned_peck = &agent->pecks[agent->peck_count++];
    *unsigned_peck = (struct unsigned_peck){
        .peck = peck,
        .body = body,
        .from = agent_hosted(agent, &peck.from),
        .ticket = order->ticket,
        .thread = thread,
        .rank = order->rank,
    };
}

/* To a duckling of this very node. */
static void receive_here(struct agent *agent, const struct unsigned_peck *sent, struct bytes wire,
                         const struct moment *at, struct effects *effects)
{
    struct event event = {.kind = EVENT_PECK, .at = *at, .node = agent->node};

    event.peck.peck = sent->peck;
    event.peck.wire = wire;
    event.peck.chain = sent->from->chain;
    event.peck.thread = sent->thread;
    event.peck.rank = sent->rank;
    agent_receive_peck(agent, &event, effects);
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
    effect->peck.thread = sent->thread;
    effect->peck.named_thread = peck->thread;
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
    effect->reply.thread = peck->thread;
    agent_tell_changed(effects, BOX_OUT, &peck->from, &peck->to, &peck->id, effect->reply.state,
                       at->wall_ms);
    if (is_linked) {
        agent_send(&host, FRAME_PECK, frame_pack_peck(sent->from->chain, wire, &effects->arena),
                   effects);
        effects->list[effects->count - 1].send.waits =
            peck->idempotency_key.size > 0 || agent->key_is_new;
    } else if (is_here)
        receive_here(agent, sent, wire, at, effects);
}

static void sign_pecks(struct agent *agent, const struct moment *at, struct effects *effects)
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

/* Most turns say nothing, and what a batch takes of the stack is cleared. */
void agent_sign_pecks(struct agent *agent, const struct moment *at, struct effects *effects)
{
    if (agent->peck_count > 0)
        sign_pecks(agent, at, effects);
}

/* ---- in ---- */

static void refuse(struct agent *agent, const struct event *received,
                   const struct peck_refusal *refusal, struct effects *effects)
{
    const struct id *peck = &received->peck.peck.id;
    char text[ID_TEXT_SIZE];
    struct event event = {.kind = EVENT_REFUSAL, .at = received->at, .node = agent->node};

    agent->pecks_refused++;
    agent_log(effects, LOG_INFO, "%s is refused: %s", id_text(ID_PECK, peck, text),
              refusal->reason);
    if (!id_equal(&received->node, &agent->node)) {
        agent_send(&received->node, FRAME_REFUSAL,
                   frame_pack_refusal(peck, refusal->code, refusal->reason, refusal->final,
                                      refusal->retry_after_ms, &effects->arena),
                   effects);
        return;
    }
    event.refusal.peck = *peck;
    event.refusal.code = bytes_of_text(refusal->code);
    event.refusal.reason = bytes_of_text(refusal->reason);
    event.refusal.final = refusal->final;
    event.refusal.retry_after_ms = refusal->retry_after_ms;
    agent_receive_refusal(agent, &event, effects);
}

static void refuse_for_good(struct agent *agent, const struct event *received, const char *code,
                            const char *reason, struct effects *effects)
{
    struct peck_refusal refusal = {.code = code, .reason = reason, .final = true};

    refuse(agent, received, &refusal, effects);
}

bool agent_judges_by_tier(const struct agent *agent, const struct id *id)
{
    const struct duckling *duckling = agent_hosted(agent, id);

    return duckling &&
           (duckling->profile.least_tier > 0 || duckling->profile.open_action_count > 0);
}

static bool is_open(const struct duckling *target, struct bytes action)
{
    for (size_t i = 0; i < target->profile.open_action_count; i++)
        if (peck_scope_covers(target->profile.open_actions[i], action))
            return true;
    return false;
}

/* Default deny: only a bond that covers the action lets it run unasked, or the target's owner, who
 * opened it to all of a tier. */
static enum peck_state first_state(const struct agent *agent, const struct duckling *target,
                                   const struct peck *peck, const struct bond_decision *decision,
                                   const struct sender_rank *rank)
{
    if (peck->kind != PECK_ACTION)
        return PECK_PENDING;
    if (decision->verdict == BOND_ADMITS)
        return PECK_TAKEN;
    if (agent->settings.bond_own && agent_hosted(agent, &peck->from))
        return PECK_TAKEN;
    if (rank->missing && rank->tier >= (int)target->profile.least_tier &&
        is_open(target, peck->action))
        return PECK_TAKEN;
    return PECK_PENDING;
}

static void refuse_by_tier(struct agent *agent, const struct event *event,
                           const struct duckling *target, struct effects *effects)
{
    const struct sender_rank *rank = &event->peck.rank;
    char reason[256];

    snprintf(reason, sizeof reason,
             "its target takes pecks from %s on; its sender is %s, and lacks %s",
             tier_name((int)target->profile.least_tier), tier_name(rank->tier),
             rank->missing ? rank->missing : "what would prove it");
    refuse_for_good(agent, event, "tier_too_low", reason, effects);
}

static struct tray_entry entry_of(const struct peck *peck, enum peck_state state,
                                  const struct moment *at)
{
    struct tray_entry entry = {.peck = peck->id,
                               .hash = peck->hash,
                               .from = peck->from,
                               .to = peck->to,
                               .kind = peck->kind,
                               .action = peck->action,
                               .state = state,
                               .expires_ms = peck->expires_ms};

    entry.place = state == PECK_PENDING ? TRAY_WAITING : TRAY_READY;
    if (entry.place == TRAY_WAITING && entry.expires_ms > at->wall_ms + PECK_APPROVAL_MS)
        entry.expires_ms = at->wall_ms + PECK_APPROVAL_MS;
    return entry;
}

static void keep_received(const struct event *event, enum peck_state state, struct bytes thread,
                          struct effects *effects)
{
    const struct peck *peck = &event->peck.peck;
    struct effect *effect = effects_add(effects, EFFECT_KEEP_PECK);

    effect->peck.box = BOX_IN;
    effect->peck.id = peck->id;
    effect->peck.hash = peck->hash;
    effect->peck.from = peck->from;
    effect->peck.to = peck->to;
    effect->peck.kind = peck->kind;
    effect->peck.state = state;
    effect->peck.created_ms = peck->created_ms;
    effect->peck.expires_ms = peck->expires_ms;
    effect->peck.at_ms = event->at.wall_ms;
    effect->peck.action = peck->action;
    effect->peck.thread = thread;
    effect->peck.named_thread = peck->thread;
    effect->peck.wire = event->peck.wire;
    effect->peck.chain = event->peck.chain;
}

bool agent_receive_peck(struct agent *agent, const struct event *event, struct effects *effects)
{
    const struct peck *peck = &event->peck.peck;
    const struct moment *at = &event->at;
    struct duckling *target = agent_hosted(agent, &peck->to);
    struct bytes thread = agent_thread_of(peck, event->peck.thread);
    struct peck_refusal refusal = {0};
    struct bond_decision decision;
    struct tray_entry entry;
    enum tray_verdict room;

    if (!target) {
        refuse_for_good(agent, event, "not_hosted_here", "its target does not live on this node",
                        effects);
        return true;
    }
    if (event->peck.cancelled) {
        refuse_for_good(agent, event, "cancelled", "its sender took it back", effects);
        return true;
    }
    if (peck->expires_ms <= at->wall_ms) {
        refuse_for_good(agent, event, "expired", "its time is over", effects);
        return true;
    }
    if (event->peck.retired &&
        !agent_still_says(agent, &peck->from, IDENTITY_DUCKLING, &event->node)) {
        refuse_for_good(agent, event, "retired_key", "its sender's key was retired since", effects);
        return true;
    }
    decision = agent_admit_action(agent, peck, thread, at, effects, &refusal);
    if (refusal.code) {
        refuse(agent, event, &refusal, effects);
        return refusal.final;
    }
    entry = entry_of(peck, first_state(agent, target, peck, &decision, &event->peck.rank), at);
    if (entry.state == PECK_PENDING && target->profile.least_tier > 0 &&
        event->peck.rank.tier < (int)target->profile.least_tier) {
        refuse_by_tier(agent, event, target, effects);
        return true;
    }
    if (entry.state == PECK_PENDING && !target->profile.accepts_pecks) {
        refuse_for_good(agent, event, "pecks_refused", "its target accepts no pecks", effects);
        return true;
    }
    room = tray_add(agent->tray, &entry);
    if (room != TRAY_TAKEN) {
        refusal = (struct peck_refusal){.code = "busy", .reason = tray_verdict_text(room)};
        refuse(agent, event, &refusal, effects);
        return refusal.final;
    }
    if (decision.verdict == BOND_ADMITS)
        bonds_count_action(agent->bonds, &decision.bond->id, at->wall_ms);
    agent_count_peck(agent, peck, thread, at, effects);
    keep_received(event, entry.state, thread, effects);
    agent->counters.pecks++;
    agent->counters_changed = agent->metrics_changed = true;
    agent_say_taken(agent, &entry, &event->node, entry.state, at, 0, effects);
    return true;
}

/* ---- receipts out ---- */

struct unsigned_receipt *agent_say(struct agent *agent, const struct tray_entry *entry,
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
    struct unsigned_receipt *receipt = agent_say(agent, entry, RECEIPT_TAKEN, state, at, ticket);

    (void)effects;
    receipt->node = *node;
}

struct unsigned_receipt *agent_say_done(struct agent *agent, const struct tray_entry *entry,
                                        enum peck_state state, struct bytes result,
                                        struct bytes problem, const struct moment *at,
                                        uint64_t ticket, struct effects *effects)
{
    struct duckling *target = agent_hosted(agent, &entry->to);
    struct unsigned_receipt *receipt = agent_say(agent, entry, RECEIPT_DONE, state, at, ticket);

    (void)effects;
    assert(target);
    receipt->signer = target;
    receipt->receipt.result = result;
    receipt->receipt.problem = problem;
    receipt->receipt.partials = entry->partials.count;
    receipt->receipt.partials_hash = entry->partials.hash;
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

/* What the receipt says of the peck itself. */
static void move_received(const struct agent *agent, const struct unsigned_receipt *said,
                          const struct id *peck, const struct id *signer, struct bytes wire,
                          struct bytes chain, struct effects *effects)
{
    const struct tray_entry *open = tray_find(agent->tray, peck);
    const struct receipt *receipt = &said->receipt;
    struct effect *effect;

    if (receipt->kind == RECEIPT_DONE) {
        effect = effects_add(effects, EFFECT_KEEP_STATE);
        effect->state.box = BOX_IN;
        effect->state.peck = *peck;
        effect->state.duckling = receipt->to;
        effect->state.with = receipt->from;
        effect->state.state = receipt->state;
        effect->state.place = TRAY_WITH_AGENT;
        effect->state.at_ms = receipt->at_ms;
    }
    agent_tell_changed(effects, BOX_IN, &receipt->to, &receipt->from, peck, receipt->state,
                       receipt->at_ms);
    effect = last(effects);
    effect->changed.place = receipt->state == PECK_PENDING ? TRAY_WAITING : TRAY_READY;
    if (open)
        effect->changed.action = arena_copy(&effects->arena, open->action);
    effect->changed.receipt = wire;
    effect->changed.receipt_chain = chain;
    effect->changed.receipt_kind = receipt->kind;
    effect->changed.receipt_signer = *signer;
    effect->changed.result = receipt->result;
    effect->changed.problem = receipt->problem;
    effect->changed.charged = receipt->charged;
}

/* A receipt is signed: keep it beside the peck, tell who waits here, and let it go. */
static void dispatch_receipt(struct agent *agent, const struct unsigned_receipt *said,
                             struct bytes wire, const struct moment *at, struct effects *effects)
{
    const struct receipt *receipt = &said->receipt;
    const struct id *signer = said->signer ? &said->signer->id : &agent->node;
    struct bytes chain = said->signer ? said->signer->chain : agent->settings.node_chain;
    struct id peck = id_of(&receipt->peck);
    struct effect *effect;

    if (receipt->kind == RECEIPT_PARTIAL) {
        agent_dispatch_partial(agent, said, wire, at, effects);
        return;
    }
    effect = effects_add(effects, EFFECT_KEEP_RECEIPT);
    effect->receipt.box = BOX_IN;
    effect->receipt.peck = peck;
    effect->receipt.duckling = receipt->to;
    effect->receipt.with = receipt->from;
    effect->receipt.kind = receipt->kind;
    effect->receipt.state = receipt->state;
    effect->receipt.at_ms = receipt->at_ms;
    effect->receipt.signer = *signer;
    effect->receipt.wire = wire;
    effect->receipt.chain = chain;
    if (!said->is_about_terms)
        move_received(agent, said, &peck, signer, wire, chain, effects);
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

static void sign_receipts(struct agent *agent, const struct moment *at, struct effects *effects)
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

void agent_sign_receipts(struct agent *agent, const struct moment *at, struct effects *effects)
{
    if (agent->receipt_count > 0)
        sign_receipts(agent, at, effects);
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

static const char *judge_key(const struct agent *agent, const struct event *event)
{
    if (event->receipt.retired &&
        !agent_still_says(agent, &event->receipt.signer, event->receipt.signer_kind, &event->node))
        return "its signer's key was retired since, and another brings it";
    return NULL;
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
    if (receipt->state == PECK_CANCELLED && !entry->cancelling)
        return "nobody here took the peck back";
    if (receipt->kind == RECEIPT_DONE && agent_match_partials(entry, receipt) == PARTIALS_DIFFER)
        return "its signer gave other partial answers before";
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
    bond->terms = receipt->terms;
    bond->terms_ms = receipt->at_ms;
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
    effect->bond_changed.change = BOND_MADE;
    effect->bond_changed.bond = bond->id;
    effect->bond_changed.duckling = bond->requester;
    effect->bond_changed.with = bond->approver;
}

/* It is done. */
static void forget_sent(struct agent *agent, const struct id *peck)
{
    outbox_remove(agent->outbox, peck);
    deposits_forget(agent->deposits, peck);
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

    wrong = judge_key(agent, event);
    if (!found && !wrong) { /* it is done: a receipt came twice, or says a bond's terms anew */
        agent_hear_terms(agent, event, effects);
        return;
    }
    if (!wrong) {
        entry = *found;
        wrong = judge_receipt(agent, &entry, event);
    }
    if (wrong) {
        agent->receipts_refused++;
        agent_log(effects, LOG_WARNING, "a receipt for %s is refused: %s",
                  id_text(ID_PECK, &peck, text), wrong);
        return;
    }
    if (progress(receipt->state) <= progress(entry.state) && receipt->kind == RECEIPT_TAKEN)
        return;
    if (receipt->kind == RECEIPT_DONE &&
        agent_match_partials(&entry, receipt) == PARTIALS_MISSING) {
        outbox_miss_partials(agent->outbox, &peck, event->at.now_ms);
        return; /* it comes again, after them */
    }
    effect = effects_add(effects, EFFECT_KEEP_RECEIPT);
    effect->receipt.box = BOX_OUT;
    effect->receipt.peck = peck;
    effect->receipt.duckling = entry.from;
    effect->receipt.with = entry.to;
    effect->receipt.kind = receipt->kind;
    effect->receipt.state = receipt->state;
    effect->receipt.at_ms = receipt->at_ms;
    effect->receipt.signer = event->receipt.signer;
    effect->receipt.wire = event->receipt.wire;
    effect->receipt.chain = event->receipt.chain;
    effect = effects_add(effects, EFFECT_KEEP_STATE);
    effect->state.box = BOX_OUT;
    effect->state.peck = peck;
    effect->state.duckling = entry.from;
    effect->state.with = entry.to;
    effect->state.state = receipt->state;
    effect->state.attempt = entry.attempts;
    effect->state.by_receipt = true;
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
    effect->changed.charged = receipt->charged;
    if (receipt->kind == RECEIPT_TAKEN) {
        outbox_set_state(agent->outbox, &peck, receipt->state);
        if (receipt->state == PECK_PENDING)
            agent_miss_bond(agent, &entry.bond, &entry.from, effects);
        return;
    }
    forget_sent(agent, &peck);
    if (receipt->state == PECK_APPROVED)
        keep_made_bond(agent, &entry, receipt, &event->at, effects);
}

/* A peck ends here without a receipt: refused for good, or its time is over. */
struct ending {
    enum peck_state state;
    struct bytes problem, refusal; /* a sentence, and the code of whoever refused it */
    uint64_t retry_after_ms;
};

static void end_sent(struct agent *agent, const struct outbox_entry *entry,
                     const struct ending *ending, const struct moment *at, struct effects *effects)
{
    struct outbox_entry copy = *entry;
    struct effect *effect = effects_add(effects, EFFECT_KEEP_STATE);

    effect->state.box = BOX_OUT;
    effect->state.peck = copy.peck;
    effect->state.duckling = copy.from;
    effect->state.with = copy.to;
    effect->state.state = ending->state;
    effect->state.attempt = copy.attempts;
    effect->state.at_ms = at->wall_ms;
    effect->state.problem = ending->problem;
    effect->state.refusal = ending->refusal;
    effect->state.retry_after_ms = ending->retry_after_ms;
    agent_tell_changed(effects, BOX_OUT, &copy.from, &copy.to, &copy.peck, ending->state,
                       at->wall_ms);
    effect = last(effects);
    effect->changed.problem = ending->problem;
    effect->changed.refusal = ending->refusal;
    effect->changed.retry_after_ms = ending->retry_after_ms;
    forget_sent(agent, &copy.peck);
}

void agent_receive_refusal(struct agent *agent, const struct event *event, struct effects *effects)
{
    const struct id *peck = &event->refusal.peck;
    const struct outbox_entry *entry = outbox_find(agent->outbox, peck);
    struct bytes code = event->refusal.code, reason = event->refusal.reason;
    char text[ID_TEXT_SIZE], problem[RECEIPT_PROBLEM_MAX + NAME_MAX_BYTES + 64];
    struct ending ending = {.state = PECK_FAILED, .retry_after_ms = event->refusal.retry_after_ms};
    const struct ending taken_back = {
        .state = PECK_CANCELLED, .problem = bytes_of_text("its target's node had not taken it")};
    bool is_taken_back;
    struct id host;

    if (!entry || !agent_find_host(agent, &entry->to, &host) || !id_equal(&host, &event->node))
        return; /* not sent there: whoever says so has no word in it */
    if (entry->state != PECK_QUEUED && entry->state != PECK_SENT)
        return; /* a signed receipt outranks an unsigned refusal */
    is_taken_back =
        entry->cancelling && event->refusal.final && bytes_equal(code, bytes_of_text("cancelled"));
    agent_log(effects, event->refusal.final && !is_taken_back ? LOG_WARNING : LOG_INFO,
              "%s was refused by the target's node: %.*s", id_text(ID_PECK, peck, text),
              (int)code.size, (const char *)code.data);
    if (!event->refusal.final)
        return; /* the outbox tries again */
    if (is_taken_back) {
        end_sent(agent, entry, &taken_back, &event->at, effects);
        return;
    }
    snprintf(problem, sizeof problem, "refused by the target's node (%.*s): %.*s", (int)code.size,
             (const char *)code.data, (int)reason.size, (const char *)reason.data);
    ending.problem =
        arena_copy(&effects->arena, bytes_cut(bytes_of_text(problem), RECEIPT_PROBLEM_MAX));
    ending.refusal = arena_copy(&effects->arena, code);
    end_sent(agent, entry, &ending, &event->at, effects);
}

/* ---- time ---- */

static void note_sent(struct agent *agent, const struct outbox_entry *entry,
                      const struct moment *at, struct effects *effects)
{
    struct effect *effect;

    if (entry->state != PECK_QUEUED)
        return;
    effect = effects_add(effects, EFFECT_KEEP_STATE);
    effect->state.box = BOX_OUT;
    effect->state.peck = entry->peck;
    effect->state.duckling = entry->from;
    effect->state.with = entry->to;
    effect->state.state = PECK_SENT;
    effect->state.attempt = entry->attempts + 1;
    effect->state.at_ms = at->wall_ms;
    outbox_set_state(agent->outbox, &entry->peck, PECK_SENT);
    agent_tell_changed(effects, BOX_OUT, &entry->from, &entry->to, &entry->peck, PECK_SENT,
                       at->wall_ms);
}

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
        if (!gossip_is_linked(agent->gossip, &host)) {
            if (agent_deposit(agent, &copy, &host, at, effects))
                note_sent(agent, &copy, at, effects);
            return;
        }
    }
    note_sent(agent, &copy, at, effects);
    struct effect *effect = effects_add(effects, EFFECT_SEND_PECK);

    effect->send_stored.node = host;
    effect->send_stored.peck = copy.peck;
    effect->send_stored.partials = copy.partials.count;
    effect->send_stored.cancelled = copy.cancelling;
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
    const struct ending expired = {
        .state = PECK_EXPIRED,
        .problem = bytes_of_text("no final receipt came before its time was over")};
    const struct outbox_entry *sent;
    const struct tray_entry *received;

    while ((sent = outbox_poll_expired(agent->outbox, at->wall_ms)))
        end_sent(agent, sent, &expired, at, effects);
    agent->brought = 0;
    for (int i = 0; i < RESENDS_PER_TURN_MAX && agent->brought < DEPOSITS_PER_TURN_MAX &&
                    (sent = outbox_poll_due(agent->outbox, at->now_ms));
         i++)
        resend(agent, sent, at, effects);
    while ((received = tray_poll_expired(agent->tray, at->wall_ms)))
        expire_received(agent, received, at, effects);
    while ((received = tray_poll_lease_over(agent->tray, at->now_ms)))
        agent_tell_ready(received, at, effects);
}
