/* Pecks: out of this node, and into it.
 *
 * A peck goes out: agent_send_peck packs it, agent_sign_pecks signs all of the turn and sends. It
 * comes in: agent_receive_peck judges it (default deny), the store keeps it, and the `taken`
 * receipt that agent_sign_receipts makes (agent_receipts.c) leaves only after that commit. */
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

void agent_tell_ready(const struct tray_entry *entry, const struct moment *at,
                      struct effects *effects)
{
    agent_tell_changed(effects, BOX_IN, &entry->to, &entry->from, &entry->peck, entry->state,
                       at->wall_ms);
    effects->list[effects->count - 1].changed.place = TRAY_READY;
    effects->list[effects->count - 1].changed.action = arena_copy(&effects->arena, entry->action);
}

/* ---- out ---- */

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

void agent_send_peck(struct agent *agent, const struct order *order, const struct moment *at,
                     struct effects *effects, struct order_refusal *refusal)
{
    struct duckling *from = agent_hosted(agent, &order->send.from);
    struct unsigned_peck *unsigned_peck;
    const struct unsigned_peck *earlier;
    struct peck peck = order->send;
    struct bytes thread = agent_thread_of(&peck, order->held.thread);
    struct outbox_entry entry = {0};
    const struct held_context *under;
    enum peck_verdict verdict;
    struct bytes body;

    earlier = find_in_turn(agent, &peck);
    if (earlier) {
        refusal->code = replay_in_turn(earlier, order, effects, &refusal->message, &refusal->field);
        return;
    }
    if (!agent_judge_made(agent, order, from, at, refusal))
        return;
    refusal->code =
        judge_target(agent, &peck, at, &effects->arena, &refusal->message, &refusal->field);
    if (refusal->code == REFUSAL_NONE)
        refusal->code = judge_own_grant(agent, order, at, &refusal->message, &refusal->field);
    if (!order->made)
        peck.created_ms = at->wall_ms;
    if (refusal->code != REFUSAL_NONE ||
        !agent_find_context(agent, order, &peck, at, effects, &under, refusal) ||
        !agent_judge_round(agent, &peck, thread, at, effects, refusal))
        return;
    verdict = make(agent, order, at, effects, &peck, &body);
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
    if (under)
        entry.context = under->context.carrier;
    if (!outbox_add(agent->outbox, &entry)) {
        refusal->message = "too many pecks of this node await their receipts";
        refusal->code = REFUSAL_BUSY;
        return;
    }
    if (!agent_lives_here(agent, &peck.to)) /* else it counts where it is received */
        agent_count_peck(agent, &peck, thread, at, effects);
    agent->pecks =
        agent_grow(agent->pecks, agent->peck_count, &agent->peck_capacity, sizeof *agent->pecks);
    unsigned_peck = &agent->pecks[agent->peck_count++];
    *unsigned_peck = (struct unsigned_peck){
        .peck = peck,
        .body = body,
        .made = order->made ? envelope_pack_signed(ENVELOPE_PECK, &peck.from, body,
                                                   &order->made->signature, &effects->arena)
                            : bytes_of(NULL, 0),
        .from = from,
        .ticket = order->ticket,
        .thread = thread,
        .rank = order->rank,
        .grant = order->grant,
        .under = under,
    };
}

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

/* A peck is signed: keep it, answer the order, and let it go if there is a way. */
static void dispatch(struct agent *agent, const struct unsigned_peck *sent, struct bytes wire,
                     const struct moment *at, struct effects *effects)
{
    const struct context *context =
        sent->under ? agent_copy_context(&sent->under->context, &effects->arena) : NULL;
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
    effect->peck.chain = arena_copy(&effects->arena, sent->from->chain);
    effect->peck.context = context;

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
        struct bytes chain = chain_with_context(
            sent->from->chain, context ? context->wire : bytes_of(NULL, 0), &effects->arena);

        agent_send(&host, FRAME_PECK, frame_pack_peck(chain, wire, &effects->arena), effects);
        effects->list[effects->count - 1].send.waits =
            peck->idempotency_key.size > 0 || agent->key_is_new;
    } else if (is_here)
        receive_here(agent, sent, wire, context, at, effects);
}

static void sign_pecks(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct bytes bodies[BATCH_ITEMS_MAX], wires[BATCH_ITEMS_MAX];
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
            agent->pecks[i].body.data = NULL;
            members[count++] = i;
        }
        envelope_seal_batch(ENVELOPE_PECK, &from->id, under ? under->key : from->key, bodies, count,
                            &effects->arena, wires);
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

/* Default deny: only a bond that covers the action lets it run unasked, a grant that allows it, or the target's owner, who
 * opened it to all of a tier. */
static enum peck_state first_state(const struct agent *agent, const struct duckling *target,
                                   const struct peck *peck, const struct bond_decision *decision,
                                   bool is_granted, const struct sender_rank *rank)
{
    if (peck->kind != PECK_ACTION)
        return PECK_PENDING;
    if (decision->verdict == BOND_ADMITS || is_granted)
        return PECK_TAKEN;
    if (agent->settings.bond_own && agent_lives_here(agent, &peck->from))
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

static struct tray_entry entry_of(const struct peck *peck, const struct context *context,
                                  enum peck_state state, const struct moment *at)
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
    if (context)
        entry.context = context->carrier;
    if (context && entry.place == TRAY_WAITING && entry.expires_ms > context->not_after_ms)
        entry.expires_ms = context->not_after_ms; /* nobody approves it later */
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
    effect->peck.context = event->peck.context;
}

/* Whoever names a grant that does not allow the action hears so at once: no owner is asked. */
static bool refuse_by_grant(struct agent *agent, const struct event *event,
                            enum grant_verdict verdict, struct effects *effects)
{
    struct peck_refusal refusal = {.code = "grant_refused",
                                   .reason = grant_verdict_text(verdict),
                                   .final = verdict != GRANT_NO_ROOM};

    refuse(agent, event, &refusal, effects);
    return refusal.final;
}

/* Before anything is counted, or an owner asked: what its sender did not mean this key for is refused for good. */
static bool refuse_by_context(struct agent *agent, const struct event *event,
                              struct effects *effects)
{
    const struct context *context = event->peck.context;
    const struct peck *peck = &event->peck.peck;
    enum context_verdict verdict = agent_judge_context(agent, context, peck, &event->at);

    if (verdict == CONTEXT_OK)
        return false;
    refuse_for_good(agent, event, "context_refused",
                    context_refusal_text(verdict, context, peck, &effects->arena), effects);
    return true;
}

/* The node answers it in its target's name; no agent is asked. */
static bool take_revocation(struct agent *agent, const struct event *event, struct effects *effects)
{
    const struct peck *peck = &event->peck.peck;
    struct tray_entry entry = entry_of(peck, NULL, PECK_TAKEN, &event->at);
    enum grant_verdict verdict = agent_judge_grant(agent, peck, &event->peck.grant, &event->at);

    if (verdict == GRANT_OK)
        verdict = agent_revoke_grant(agent, peck, event->peck.grant.grant, &event->at, effects);
    if (verdict != GRANT_OK)
        return refuse_by_grant(agent, event, verdict, effects);
    keep_received(event, PECK_TAKEN, agent_thread_of(peck, event->peck.thread), effects);
    agent_say_done(agent, &entry, PECK_ANSWERED, bytes_of_text("{\"revoked\":true}"),
                   bytes_of(NULL, 0), &event->at, 0, effects)
        ->node = event->node;
    return true;
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
    const char *revoked;
    bool is_granted;

    if (!target || !agent_lives_here(agent, &peck->to)) {
        refuse_for_good(agent, event, "not_hosted_here", "its target does not live on this node",
                        effects);
        return true;
    }
    revoked = agent_revoked_text(agent, "its target", &peck->to, &effects->arena);
    if (!revoked)
        revoked = agent_revoked_text(agent, "its sender", &peck->from, &effects->arena);
    if (revoked) {
        refuse_for_good(agent, event, "revoked", revoked, effects);
        return true;
    }
    if (event->peck.cancelled) {
        refuse_for_good(agent, event, "cancelled", "its sender took it back", effects);
        return true;
    }
    if (target->outgrown) {
        refuse_for_good(agent, event, "retired_key", "its target's node has no key for it any more",
                        effects);
        return true;
    }
    if (event->peck.partials > 0) {
        refuse_for_good(
            agent, event, "answer_lost",
            "its target's node was restored from a backup, and lost the answer that it had "
            "begun to say",
            effects);
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
    if (refuse_by_context(agent, event, effects))
        return true;
    if (agent_is_revocation(peck))
        return take_revocation(agent, event, effects);
    decision = agent_admit_action(agent, peck, thread, at, effects, &refusal);
    if (refusal.code) {
        refuse(agent, event, &refusal, effects);
        return refusal.final;
    }
    is_granted = decision.verdict == BOND_COVERS_NOT && peck->grant.size > 0;
    if (is_granted) {
        enum grant_verdict verdict = agent_judge_grant(agent, peck, &event->peck.grant, at);

        if (verdict != GRANT_OK)
            return refuse_by_grant(agent, event, verdict, effects);
    }
    entry =
        entry_of(peck, event->peck.context,
                 first_state(agent, target, peck, &decision, is_granted, &event->peck.rank), at);
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
    if (is_granted)
        agent_use_grant(agent, peck, event->peck.grant.grant, at, effects);
    agent_count_peck(agent, peck, thread, at, effects);
    keep_received(event, entry.state, thread, effects);
    agent->counters.pecks++;
    agent->counters_changed = agent->metrics_changed = true;
    agent_say_taken(agent, &entry, &event->node, entry.state, at, 0, effects);
    return true;
}
