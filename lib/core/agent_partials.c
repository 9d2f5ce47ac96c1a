/* Answers that come in parts. Each part is a receipt of its own, signed by the target, kept at both
 * ends, and numbered; the `done` receipt says how many there were and commits to them.
 *
 * Nobody acknowledges them one by one. Links keep the order, so parts are missing only after a link
 * broke or was full; the sender of the peck keeps a part only when it is the next one, and repeats
 * its peck, with the number of those that it holds, when it sees a gap or when the link is up again.
 * A `done` receipt is not taken before all parts are: so whoever has the answer has them all. */
#include "agent_parts.h"

/* ---- said here ---- */

void agent_say_partial(struct agent *agent, const struct tray_entry *entry,
                       const struct order *order, const struct moment *at, struct effects *effects)
{
    struct tray_entry copy = *entry;
    struct unsigned_receipt *receipt =
        agent_say(agent, &copy, RECEIPT_PARTIAL, copy.state, at, order->ticket);

    partials_add(&copy.partials, order->result);
    receipt->signer = agent_hosted(agent, &copy.to);
    receipt->receipt.number = copy.partials.count;
    receipt->receipt.result = order->result;
    receipt->partials = copy.partials;
    if (!agent_find_host(agent, &copy.from, &receipt->node))
        receipt->node = (struct id){0}; /* it asks when it is back */
    if (!agent_await_signature(agent, order, copy.expires_ms, at, effects))
        tray_add_partial(agent->tray, &copy.peck, order->result, at->now_ms + LEASE_MS);
}

static void keep_partial(const struct receipt *receipt, enum box box,
                         const struct partials *partials, struct bytes wire, struct bytes chain,
                         struct effects *effects)
{
    struct effect *effect = effects_add(effects, EFFECT_KEEP_PARTIAL), *came;

    effect->partial.box = box;
    effect->partial.peck = id_of(&receipt->peck);
    effect->partial.duckling = box == BOX_IN ? receipt->to : receipt->from;
    effect->partial.with = box == BOX_IN ? receipt->from : receipt->to;
    effect->partial.signer = receipt->to;
    effect->partial.at_ms = receipt->at_ms;
    effect->partial.partials = *partials;
    came = effects_add(effects, EFFECT_PARTIAL_CAME);
    effect = &effects->list[effects->count - 2]; /* the list may have moved */
    came->partial = effect->partial;
    effect->partial.wire = wire;
    effect->partial.chain = chain;
}

void agent_dispatch_partial(struct agent *agent, const struct unsigned_receipt *said,
                            struct bytes wire, const struct moment *at, struct effects *effects)
{
    struct bytes chain = arena_copy(&effects->arena, said->signer->chain);
    struct effect *effect;

    keep_partial(&said->receipt, BOX_IN, &said->partials, wire, chain, effects);
    effect = effects_add(effects, EFFECT_REPLY);
    effect->reply.ticket = said->ticket;
    effect->reply.duckling = said->receipt.to;
    effect->reply.peck = id_of(&said->receipt.peck);
    effect->reply.box = BOX_IN;
    effect->reply.state = said->receipt.state;
    effect->reply.number = said->receipt.number;
    if (id_equal(&said->node, &agent->node)) {
        struct event event = {.kind = EVENT_PARTIAL, .at = *at, .node = agent->node};

        event.receipt.receipt = said->receipt;
        event.receipt.signer = said->signer->id;
        event.receipt.signer_kind = IDENTITY_DUCKLING;
        event.receipt.wire = wire;
        event.receipt.chain = chain;
        agent_receive_partial(agent, &event, effects);
    } else if (!id_is_zero(&said->node)) {
        agent_send(&said->node, FRAME_PARTIAL, frame_pack_partial(chain, wire, &effects->arena),
                   effects);
    }
}

/* ---- heard ---- */

static const char *judge(const struct outbox_entry *entry, const struct receipt *receipt)
{
    if (!hash_equal(&receipt->peck, &entry->hash) || !id_equal(&receipt->from, &entry->from) ||
        !id_equal(&receipt->to, &entry->to))
        return "it is about another peck";
    return entry->kind == PECK_ACTION ? NULL : "a bond request has no partial answers";
}

/* Only the next one must find room. */
static const char *judge_room(const struct outbox_entry *entry, const struct receipt *receipt)
{
    enum partials_verdict room = partials_judge(&entry->partials, receipt->result.size);

    if (receipt->number != entry->partials.count + 1 || room == PARTIALS_ROOM)
        return NULL;
    return partials_verdict_text(room);
}

/* Late ones, of a peck that is done or was never sent from here, are let be: what is done has all
 * that count. Intake knows that whom it names as the target signed; anybody could, in its own name. */
void agent_receive_partial(struct agent *agent, const struct event *event, struct effects *effects)
{
    const struct receipt *receipt = &event->receipt.receipt;
    struct id peck = id_of(&receipt->peck);
    struct outbox_entry *entry = outbox_find(agent->outbox, &peck);
    char text[ID_TEXT_SIZE];
    const char *wrong;

    if (!entry || receipt->number <= entry->partials.count)
        return;
    wrong = judge(entry, receipt);
    if (!wrong && event->receipt.retired &&
        !agent_still_says(agent, &event->receipt.signer, event->receipt.signer_kind, &event->node))
        wrong = "its signer's key was retired since, and another brings it";
    if (!wrong)
        wrong = judge_room(entry, receipt);
    if (wrong) {
        agent->receipts_refused++;
        agent_log(effects, LOG_WARNING, "a partial answer to %s is refused: %s",
                  id_text(ID_PECK, &peck, text), wrong);
        return;
    }
    if (receipt->number > entry->partials.count + 1) {
        outbox_miss_partials(agent->outbox, &peck, event->at.now_ms);
        return;
    }
    outbox_add_partial(agent->outbox, &peck, receipt->result);
    keep_partial(receipt, BOX_OUT, &entry->partials, event->receipt.wire, event->receipt.chain,
                 effects);
}

enum partials_match agent_match_partials(const struct outbox_entry *entry,
                                         const struct receipt *done)
{
    if (done->partials > entry->partials.count)
        return PARTIALS_MISSING;
    if (done->partials < entry->partials.count ||
        !hash_equal(&done->partials_hash, &entry->partials.hash))
        return PARTIALS_DIFFER;
    return PARTIALS_MATCH;
}
