/* What nodes ask of each other: probes, accusations, comparisons of what they hold. */
#include "intake_parts.h"

#include "binary_data.h"
#include "wire/gossip.pb-c.h"

bool intake_is_set(uint32_t set)
{
    return set == RECORD_SET_DIRECTORY || set == RECORD_SET_METRICS;
}

bool intake_read_hash(struct bytes bytes, struct hash *hash)
{
    if (bytes.size != HASH_SIZE)
        return false;
    memcpy(hash->bytes, bytes.data, HASH_SIZE);
    return true;
}

enum intake_verdict intake_open_reconcile(struct bytes body, struct arena *arena,
                                          struct event *event)
{
    Duck__ReconcileFrame *frame = intake_unpack(&duck__reconcile_frame__descriptor, body, arena);

    if (!frame || !intake_is_set(frame->set) ||
        (frame->nonce.len != 0 && frame->nonce.len != AUDIT_NONCE_SIZE) ||
        (frame->nonce.len != 0) == (frame->message.len != 0))
        return INTAKE_MALFORMED;
    event->reconcile.set = (enum record_set)frame->set;
    event->reconcile.session = frame->session;
    event->reconcile.is_answer = frame->answer;
    event->reconcile.keyed = frame->keyed;
    event->reconcile.has_nonce = frame->nonce.len != 0;
    if (event->reconcile.has_nonce)
        memcpy(event->reconcile.nonce, frame->nonce.data, AUDIT_NONCE_SIZE);
    event->reconcile.message = borrowed(frame->message);
    event->kind = EVENT_RECONCILE;
    return INTAKE_TAKEN;
}

enum intake_verdict intake_open_fetch(struct bytes body, struct arena *arena, struct event *event)
{
    Duck__FetchFrame *frame = intake_unpack(&duck__fetch_frame__descriptor, body, arena);

    if (!frame || !intake_is_set(frame->set) || frame->hashes.len % HASH_SIZE != 0 ||
        frame->hashes.len / HASH_SIZE > FETCH_HASHES_PER_FRAME_MAX)
        return INTAKE_MALFORMED;
    if (frame->stream ? frame->hashes.len != 0 ||
                            !intake_read_hash(borrowed(frame->after_hash), &event->fetch.after.hash)
                      : frame->hashes.len == 0)
        return INTAKE_MALFORMED;
    event->fetch.set = (enum record_set)frame->set;
    event->fetch.session = frame->session;
    event->fetch.keyed = frame->keyed;
    event->fetch.stream = frame->stream;
    event->fetch.hashes = (const struct hash *)(const void *)frame->hashes.data;
    event->fetch.count = frame->hashes.len / HASH_SIZE;
    event->fetch.after.at_s = frame->after_s;
    event->kind = EVENT_FETCH;
    return INTAKE_TAKEN;
}

enum intake_verdict intake_open_probe(struct bytes body, enum event_kind kind, struct arena *arena,
                                      struct event *event)
{
    Duck__ProbeFrame *frame = intake_unpack(&duck__probe_frame__descriptor, body, arena);

    if (!frame)
        return INTAKE_MALFORMED;
    event->probe.nonce = frame->nonce;
    event->probe.sums[0] = frame->directory_sum;
    event->probe.sums[1] = frame->metrics_sum;
    event->kind = kind;
    return INTAKE_TAKEN;
}

enum intake_verdict intake_open_probe_request(struct bytes body, struct arena *arena,
                                              struct event *event)
{
    Duck__ProbeRequestFrame *frame =
        intake_unpack(&duck__probe_request_frame__descriptor, body, arena);

    if (!frame || !id_from_bytes(borrowed(frame->target), &event->probe.target))
        return INTAKE_MALFORMED;
    event->probe.nonce = frame->nonce;
    event->kind = EVENT_PROBE_REQUEST;
    return INTAKE_TAKEN;
}

enum intake_verdict intake_open_probe_nack(struct bytes body, struct arena *arena,
                                           struct event *event)
{
    Duck__ProbeNackFrame *frame = intake_unpack(&duck__probe_nack_frame__descriptor, body, arena);

    if (!frame)
        return INTAKE_MALFORMED;
    event->probe.nonce = frame->nonce;
    event->kind = EVENT_PROBE_NACK;
    return INTAKE_TAKEN;
}

/* The chain that came along, or the one that is held. */
static enum intake_verdict find_chain(struct intake *intake, const struct id *signer,
                                      struct arena *arena, struct bytes *chain)
{
    if (chain->size > 0)
        return INTAKE_TAKEN;
    intake_enter(intake);
    *chain = arena_copy(arena, keyring_chain(intake->settings.keyring, signer));
    intake_leave(intake);
    return chain->size > 0 ? INTAKE_TAKEN : INTAKE_UNKNOWN_SIGNER;
}

/* One accusation comes in over several links: its signature is checked once. */
static enum intake_verdict check_once(struct intake *intake, struct bytes wire,
                                      const struct envelope *envelope, struct bytes chain,
                                      uint64_t wall_ms, struct arena *arena, struct signer *signer,
                                      char reason[REASON_SIZE])
{
    struct hash parts[2] = {hash_of(wire), hash_of(chain)};
    struct hash entry = hash_of(bytes_of(parts, sizeof parts));
    enum certificate_verdict why;
    enum intake_verdict verdict;

    if (batch_roots_has(intake->roots, &entry))
        return intake_find_signer(intake, chain, wall_ms + CLOCK_SKEW_MAX_MS, arena, signer, &why);
    verdict = intake_check_signature(intake, envelope, chain, wall_ms, arena, signer, reason);
    if (verdict == INTAKE_TAKEN && envelope->batch.size == 0) {
        batch_roots_add(intake->roots, &entry);
        intake->alone--; /* it is counted among what was added */
    }
    return verdict;
}

enum intake_verdict intake_open_accusation(struct intake *intake, struct bytes body,
                                           uint64_t wall_ms, struct arena *arena,
                                           struct event *event, char reason[REASON_SIZE])
{
    struct accusation *accusation = &event->accusation.accusation;
    enum accusation_verdict form;
    Duck__AccusationFrame *frame;
    enum intake_verdict verdict;
    struct envelope envelope;
    struct signer signer;

    if (body.size > CHAIN_SIZE_MAX + ACCUSATION_SIZE_MAX + FRAME_TAGS_MAX)
        return INTAKE_MALFORMED;
    frame = intake_unpack(&duck__accusation_frame__descriptor, body, arena);
    if (!frame)
        return INTAKE_MALFORMED;
    event->accusation.wire = borrowed(frame->accusation);
    event->accusation.chain = borrowed(frame->chain);
    verdict = intake_parse_envelope(event->accusation.wire, ENVELOPE_ACCUSATION, arena, &envelope,
                                    reason);
    if (verdict == INTAKE_TAKEN)
        verdict = find_chain(intake, &envelope.signer, arena, &event->accusation.chain);
    if (verdict == INTAKE_TAKEN)
        verdict = check_once(intake, event->accusation.wire, &envelope, event->accusation.chain,
                             wall_ms, arena, &signer, reason);
    if (verdict != INTAKE_TAKEN)
        return verdict;
    form = accusation_parse(envelope.body, arena, accusation);
    if (form != ACCUSATION_OK) {
        intake_say(reason, "%s", accusation_verdict_text(form));
        return INTAKE_BAD_BODY;
    }
    if (!bytes_equal(accusation->network, intake->settings.network))
        return INTAKE_OTHER_NETWORK;
    if (!id_equal(&signer.id, &accusation->accuser) || signer.kind != IDENTITY_NODE)
        return INTAKE_WRONG_SIGNER;
    form = accusation_judge_dates(accusation, wall_ms);
    if (form == ACCUSATION_FROM_FUTURE) {
        intake_say(reason, "%s", accusation_verdict_text(form));
        return INTAKE_EXPIRED;
    }
    event->accusation.expired = form == ACCUSATION_EXPIRED;
    event->accusation.hash = envelope.hash;
    event->kind = EVENT_ACCUSATION;
    return INTAKE_TAKEN;
}
