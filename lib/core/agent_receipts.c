/* Receipts: what both sides say about a peck, signed, and how one that was sent ends.
 *
 * What a turn says is gathered (agent_say…) and signed at its end, in batches by signer; it leaves
 * after the commit that keeps it. What comes in moves the peck on, never back. */
#include "agent_parts.h"

#include <assert.h>
#include <stdio.h>

static struct effect *last(struct effects *effects)
{
    return &effects->list[effects->count - 1];
}

/* ---- out ---- */

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
    event.receipt.hash = said->hash;
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
    struct bytes chain = arena_copy(&effects->arena, said->signer ? said->signer->chain
                                                                  : agent->settings.node_chain);
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
    effect->receipt.hash = said->hash;
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

/* Of one that keeps its own key: it is signed already, or waits until it is. */
static void say_outside(struct agent *agent, size_t index, const struct moment *at,
                        struct effects *effects)
{
    struct unsigned_receipt said = agent->receipts[index];

    if (said.made.data)
        dispatch_receipt(agent, &said, said.made, at, effects);
    else
        agent_want_receipt(agent, &said, at, effects);
}

void agent_take_signed_receipt(struct agent *agent, struct unsigned_receipt *said,
                               struct bytes wire, const struct moment *at, struct effects *effects)
{
    dispatch_receipt(agent, said, wire, at, effects);
}

static void sign_receipts(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct bytes bodies[BATCH_ITEMS_MAX], wires[BATCH_ITEMS_MAX];
    struct hash hashes[BATCH_ITEMS_MAX];
    size_t members[BATCH_ITEMS_MAX];
    size_t batch_max = agent->settings.sign_alone ? 1 : BATCH_ITEMS_MAX;

    for (size_t i = 0; i < agent->receipt_count; i++) {
        struct unsigned_receipt *said = &agent->receipts[i];

        if (receipt_pack(&said->receipt, &effects->arena, &said->body) != RECEIPT_OK)
            assert(!"what a receipt says was judged before");
        said->hash = envelope_hash(ENVELOPE_RECEIPT, said->body);
    }
    for (size_t first = 0; first < agent->receipt_count; first++) {
        struct duckling *signer = agent->receipts[first].signer;
        size_t count = 0;

        if (!agent->receipts[first].body.data)
            continue; /* went with an earlier batch */
        if (signer && !signer->key) {
            say_outside(agent, first, at, effects);
            continue;
        }
        for (size_t i = first; i < agent->receipt_count && count < batch_max; i++) {
            if (agent->receipts[i].signer != signer || !agent->receipts[i].body.data)
                continue;
            bodies[count] = agent->receipts[i].body;
            hashes[count] = agent->receipts[i].hash;
            agent->receipts[i].body.data = NULL;
            members[count++] = i;
        }
        envelope_seal_batch(ENVELOPE_RECEIPT, signer ? &signer->id : &agent->node,
                            signer ? signer->key : agent->settings.node_key, bodies, hashes, count,
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

/* ---- in ---- */

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

/* What it says, and what has become of its peck. */
static void keep_receipt(const struct event *event, const struct outbox_entry *entry,
                         struct effects *effects)
{
    const struct receipt *receipt = &event->receipt.receipt;
    struct effect *effect;

    effect = effects_add(effects, EFFECT_KEEP_RECEIPT);
    effect->receipt.box = BOX_OUT;
    effect->receipt.peck = entry->peck;
    effect->receipt.duckling = entry->from;
    effect->receipt.with = entry->to;
    effect->receipt.kind = receipt->kind;
    effect->receipt.state = receipt->state;
    effect->receipt.at_ms = receipt->at_ms;
    effect->receipt.signer = event->receipt.signer;
    effect->receipt.hash = event->receipt.hash;
    effect->receipt.wire = event->receipt.wire;
    effect->receipt.chain = event->receipt.chain;
    effect = effects_add(effects, EFFECT_KEEP_STATE);
    effect->state.box = BOX_OUT;
    effect->state.peck = entry->peck;
    effect->state.duckling = entry->from;
    effect->state.with = entry->to;
    effect->state.state = receipt->state;
    effect->state.attempt = entry->attempts;
    effect->state.by_receipt = true;
    effect->state.at_ms = event->at.wall_ms;
    agent_tell_changed(effects, BOX_OUT, &entry->from, &entry->to, &entry->peck, receipt->state,
                       event->at.wall_ms);
    effect = last(effects);
    effect->changed.receipt = event->receipt.wire;
    effect->changed.receipt_chain = event->receipt.chain;
    effect->changed.receipt_kind = receipt->kind;
    effect->changed.receipt_signer = event->receipt.signer;
    effect->changed.result = receipt->result;
    effect->changed.problem = receipt->problem;
    effect->changed.charged = receipt->charged;
}

void agent_receive_receipt(struct agent *agent, const struct event *event, struct effects *effects)
{
    const struct receipt *receipt = &event->receipt.receipt;
    struct id peck = id_of(&receipt->peck);
    struct outbox_entry *found = outbox_find(agent->outbox, &peck);
    struct outbox_entry entry;
    char text[ID_TEXT_SIZE];
    const char *wrong = judge_key(agent, event);

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
    keep_receipt(event, &entry, effects);
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

void agent_end_sent(struct agent *agent, const struct outbox_entry *entry,
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
        agent_end_sent(agent, entry, &taken_back, &event->at, effects);
        return;
    }
    snprintf(problem, sizeof problem, "refused by the target's node (%.*s): %.*s", (int)code.size,
             (const char *)code.data, (int)reason.size, (const char *)reason.data);
    ending.problem =
        arena_copy(&effects->arena, bytes_cut(bytes_of_text(problem), RECEIPT_PROBLEM_MAX));
    ending.refusal = arena_copy(&effects->arena, code);
    agent_end_sent(agent, entry, &ending, &event->at, effects);
}
