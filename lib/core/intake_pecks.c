/* Pecks, what answers them, and the grants that they carry. */
#include "intake_parts.h"

#include "binary_data.h"
#include "wire/gossip.pb-c.h"

/* A longer chain of an issuer, or another one, that is known here: the one in the grant is not its
 * last word. */
static bool is_outgrown(struct intake *intake, const struct grant *grant)
{
    bool found = false;

    intake_enter(intake);
    for (size_t i = 0; i < grant->count && !found; i++) {
        struct bytes held = keyring_chain(intake->settings.keyring, &grant->blocks[i].issuer);
        size_t count = held.data ? chain_count(held) : 0, named = chain_count(grant->chains[i]);
        struct id last = count == named ? chain_last(held) : (struct id){0};
        struct id last_named = chain_last(grant->chains[i]);

        found = count > named || (count == named && !id_equal(&last, &last_named));
    }
    intake_leave(intake);
    return found;
}

void intake_open_grant(struct intake *intake, struct bytes wire, struct arena *arena,
                       struct opened_grant *opened)
{
    struct grant *grant = arena_take(arena, sizeof *grant);

    *opened = (struct opened_grant){.verdict = GRANT_TOO_LARGE};
    if (!grant)
        return;
    opened->verdict = grant_open(wire, arena, grant, NULL);
    if (opened->verdict != GRANT_OK)
        return;
    intake->alone += grant->count;
    if (is_outgrown(intake, grant))
        opened->verdict = GRANT_RETIRED_KEY;
    else
        opened->grant = grant;
}

enum intake_verdict intake_open_peck(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                     struct arena *arena, struct event *event, struct id *name,
                                     char reason[REASON_SIZE])
{
    Duck__PeckFrame *frame = intake_unpack(&duck__peck_frame__descriptor, body, arena);
    struct envelope envelope;
    struct period period;
    struct signer signer;
    struct bytes under;
    enum intake_verdict verdict;
    enum peck_verdict form;

    if (!frame)
        return INTAKE_MALFORMED;
    event->peck.wire = borrowed(frame->peck);
    chain_split(borrowed(frame->chain), &event->peck.chain, &under);
    event->peck.partials = frame->partials;
    event->peck.cancelled = frame->cancelled;
    verdict = intake_parse_envelope(event->peck.wire, ENVELOPE_PECK, arena, &envelope, reason);
    if (verdict != INTAKE_TAKEN)
        return verdict;
    *name = id_of(&envelope.hash);
    verdict = under.size > 0
                  ? intake_check_under(intake, &envelope, event->peck.chain, under, wall_ms, arena,
                                       &signer, &period, &event->peck.context, reason)
                  : intake_check_dated(intake, &envelope, event->peck.chain, wall_ms, arena,
                                       &signer, &period, reason);
    if (verdict != INTAKE_TAKEN)
        return verdict;
    form = peck_parse_named(envelope.body, &envelope.hash, arena, &event->peck.peck);
    if (form != PECK_OK) {
        intake_say(reason, "%s", peck_verdict_text(form));
        return INTAKE_BAD_BODY;
    }
    if (!bytes_equal(event->peck.peck.network, intake->settings.network))
        return INTAKE_OTHER_NETWORK;
    if (event->peck.peck.expires_ms <= wall_ms ||
        event->peck.peck.created_ms > wall_ms + CLOCK_SKEW_MAX_MS)
        return INTAKE_EXPIRED;
    if (!id_equal(&signer.id, &event->peck.peck.from) || signer.kind != IDENTITY_DUCKLING)
        return INTAKE_WRONG_SIGNER;
    if (!intake_within(&period, event->peck.peck.created_ms))
        return INTAKE_RETIRED_KEY;
    event->peck.retired = period.is_over;
    if (event->peck.peck.grant.size > 0)
        intake_open_grant(intake, event->peck.peck.grant, arena, &event->peck.grant);
    event->kind = EVENT_PECK;
    return INTAKE_TAKEN;
}

/* What `event` has of it: wire and chain. */
static enum intake_verdict check_receipt(struct intake *intake, uint64_t wall_ms,
                                         struct arena *arena, struct event *event,
                                         char reason[REASON_SIZE])
{
    struct receipt *receipt = &event->receipt.receipt;
    struct envelope envelope;
    struct period period;
    struct signer signer;
    enum intake_verdict verdict;
    enum receipt_verdict form;

    verdict =
        intake_parse_envelope(event->receipt.wire, ENVELOPE_RECEIPT, arena, &envelope, reason);
    if (verdict != INTAKE_TAKEN)
        return verdict;
    verdict = intake_check_dated(intake, &envelope, event->receipt.chain, wall_ms, arena, &signer,
                                 &period, reason);
    if (verdict != INTAKE_TAKEN)
        return verdict;
    form = receipt_parse(envelope.body, arena, receipt);
    if (form != RECEIPT_OK) {
        intake_say(reason, "%s", receipt_verdict_text(form));
        return INTAKE_BAD_BODY;
    }
    if (!bytes_equal(receipt->network, intake->settings.network))
        return INTAKE_OTHER_NETWORK;
    if (receipt->at_ms > wall_ms + CLOCK_SKEW_MAX_MS)
        return INTAKE_EXPIRED;
    /* `done` and `partial` are the target's own word; `taken` is its node's, which the agent knows. */
    if (receipt->kind != RECEIPT_TAKEN && !id_equal(&signer.id, &receipt->to))
        return INTAKE_WRONG_SIGNER;
    if (receipt->kind == RECEIPT_TAKEN && signer.kind != IDENTITY_NODE)
        return INTAKE_WRONG_SIGNER;
    if (!intake_within(&period, receipt->at_ms))
        return INTAKE_RETIRED_KEY;
    event->receipt.retired = period.is_over;
    event->receipt.hash = envelope.hash;
    event->receipt.signer = signer.id;
    event->receipt.signer_kind = signer.kind;
    return INTAKE_TAKEN;
}

/* Each frame carries its own kind of receipt, and no other. */
static enum intake_verdict open_word(struct intake *intake, enum event_kind kind, uint64_t wall_ms,
                                     struct arena *arena, struct event *event,
                                     char reason[REASON_SIZE])
{
    enum intake_verdict verdict = check_receipt(intake, wall_ms, arena, event, reason);
    bool is_partial = event->receipt.receipt.kind == RECEIPT_PARTIAL;

    event->kind = kind;
    return verdict == INTAKE_TAKEN && is_partial != (kind == EVENT_PARTIAL) ? INTAKE_BAD_BODY
                                                                            : verdict;
}

enum intake_verdict intake_open_receipt(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                        struct arena *arena, struct event *event,
                                        char reason[REASON_SIZE])
{
    Duck__ReceiptFrame *frame = intake_unpack(&duck__receipt_frame__descriptor, body, arena);

    if (!frame)
        return INTAKE_MALFORMED;
    event->receipt.wire = borrowed(frame->receipt);
    event->receipt.chain = borrowed(frame->chain);
    return open_word(intake, EVENT_RECEIPT, wall_ms, arena, event, reason);
}

enum intake_verdict intake_open_partial(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                        struct arena *arena, struct event *event,
                                        char reason[REASON_SIZE])
{
    Duck__PartialFrame *frame = intake_unpack(&duck__partial_frame__descriptor, body, arena);

    if (!frame)
        return INTAKE_MALFORMED;
    event->receipt.wire = borrowed(frame->receipt);
    event->receipt.chain = borrowed(frame->chain);
    return open_word(intake, EVENT_PARTIAL, wall_ms, arena, event, reason);
}

enum intake_verdict intake_open_refusal(struct bytes body, struct arena *arena, struct event *event)
{
    Duck__RefusalFrame *frame = intake_unpack(&duck__refusal_frame__descriptor, body, arena);

    if (!frame || !id_from_bytes(borrowed(frame->peck), &event->refusal.peck))
        return INTAKE_MALFORMED;
    event->refusal.code = borrowed(frame->code);
    event->refusal.reason = borrowed(frame->reason);
    event->refusal.final = frame->final;
    event->refusal.retry_after_ms = frame->retry_after_ms;
    if (!bytes_are_name(event->refusal.code) || event->refusal.code.size > NAME_MAX_BYTES ||
        event->refusal.reason.size > RECEIPT_PROBLEM_MAX ||
        event->refusal.retry_after_ms > MUTE_LATEST_MS ||
        !bytes_are_text(event->refusal.reason, false))
        return INTAKE_BAD_BODY;
    event->kind = EVENT_REFUSAL;
    return INTAKE_TAKEN;
}
