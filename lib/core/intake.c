/* In this order: size and form of the envelope, the signer's certificates, the signature over the
 * bytes as they came, and only then what those bytes say. A chain that was verified before costs
 * a lookup; a batch whose root was verified costs a few hashes. */
#include "intake.h"

#include "binary_data.h"
#include "wire/gossip.pb-c.h"

#include <protobuf-c/protobuf-c.h>
#include <stdarg.h>
#include <stdio.h>

#define REASON_SIZE 160
#define FRAME_TAGS_MAX 16u /* of two fields and their lengths */

struct intake {
    struct intake_settings settings;
    struct batch_roots *roots;
    _Atomic uint64_t alone; /* signatures checked that were of one thing; read from other threads */
};

struct intake *intake_new(const struct intake_settings *settings)
{
    struct intake *intake = memory_take(sizeof *intake);

    intake->settings = *settings;
    intake->settings.network.data = memory_copy(settings->network.data, settings->network.size);
    intake->roots = batch_roots_new(BATCH_ROOTS_MAX);
    return intake;
}

void intake_free(struct intake *intake)
{
    if (!intake)
        return;
    batch_roots_free(intake->roots);
    memory_give_back((void *)(uintptr_t)intake->settings.network.data);
    memory_give_back(intake);
}

uint64_t intake_signature_checks(const struct intake *intake)
{
    return intake->alone + batch_roots_added(intake->roots);
}

const char *intake_verdict_text(enum intake_verdict verdict)
{
    switch (verdict) {
    case INTAKE_TAKEN:
        return "taken";
    case INTAKE_UNKNOWN_KIND:
        return "a frame of an unknown kind";
    case INTAKE_MALFORMED:
        return "not a well-formed frame";
    case INTAKE_BAD_ENVELOPE:
        return "not a well-formed envelope";
    case INTAKE_BAD_CHAIN:
        return "the signer's certificates do not hold";
    case INTAKE_BAD_SIGNATURE:
        return "the signature does not hold";
    case INTAKE_WRONG_SIGNER:
        return "signed by another than it names";
    case INTAKE_BAD_BODY:
        return "what is signed is not well-formed";
    case INTAKE_OTHER_NETWORK:
        return "made for another network";
    case INTAKE_EXPIRED:
        return "its time is over, or not yet come";
    case INTAKE_UNKNOWN_SIGNER:
        return "its signer's certificates are not known";
    case INTAKE_CONTRADICTED:
        return "the signer's certificates contradict those that are held";
    }
    return "";
}

const char *intake_verdict_code(enum intake_verdict verdict)
{
    switch (verdict) {
    case INTAKE_TAKEN:
        return "taken";
    case INTAKE_UNKNOWN_KIND:
        return "unknown_kind";
    case INTAKE_MALFORMED:
    case INTAKE_BAD_ENVELOPE:
    case INTAKE_BAD_BODY:
        return "malformed";
    case INTAKE_BAD_CHAIN:
        return "bad_certificate";
    case INTAKE_BAD_SIGNATURE:
        return "bad_signature";
    case INTAKE_WRONG_SIGNER:
        return "wrong_signer";
    case INTAKE_OTHER_NETWORK:
        return "other_network";
    case INTAKE_EXPIRED:
        return "expired";
    case INTAKE_UNKNOWN_SIGNER:
        return "unknown_signer";
    case INTAKE_CONTRADICTED:
        return "contradicted";
    }
    return "";
}

static void say(char reason[REASON_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(char reason[REASON_SIZE], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, REASON_SIZE, format, arguments);
    va_end(arguments);
}

static void enter(struct intake *intake)
{
    if (intake->settings.enter)
        intake->settings.enter(intake->settings.context);
}

static void leave(struct intake *intake)
{
    if (intake->settings.leave)
        intake->settings.leave(intake->settings.context);
}

/* What a signed thing's signer must be. */
struct signer {
    struct id id;
    enum identity_kind kind;
    struct public_key key;
    enum certificate_verdict dates;
};

static enum intake_verdict find_signer(struct intake *intake, struct bytes chain, uint64_t at_ms,
                                       struct arena *arena, struct signer *signer,
                                       enum certificate_verdict *why)
{
    struct keyring *ring = intake->settings.keyring;
    enum keyring_verdict held;
    struct chain opened;

    *why = CERTIFICATE_TAKEN;
    enter(intake);
    held =
        keyring_find(ring, chain, at_ms, &signer->id, &signer->kind, &signer->key, &signer->dates);
    leave(intake);
    if (held == KEYRING_UNKNOWN) {
        /* The dear part is outside the lock: four checks of points and a signature each. */
        *why = chain_open(chain, arena, &opened);
        if (*why != CERTIFICATE_TAKEN)
            return INTAKE_BAD_CHAIN;
        enter(intake);
        held = keyring_keep(ring, &opened);
        if (held == KEYRING_TAKEN)
            held = keyring_find(ring, chain, at_ms, &signer->id, &signer->kind, &signer->key,
                                &signer->dates);
        leave(intake);
    }
    if (held == KEYRING_CONTRADICTED)
        return INTAKE_CONTRADICTED;
    *why = signer->dates;
    if (held != KEYRING_TAKEN || signer->dates != CERTIFICATE_TAKEN)
        return INTAKE_BAD_CHAIN;
    return INTAKE_TAKEN;
}

enum intake_verdict intake_signer(struct intake *intake, struct bytes chain, uint64_t at_ms,
                                  struct arena *arena, struct id *signer, enum identity_kind *kind,
                                  struct public_key *key)
{
    struct signer found;
    enum certificate_verdict why;
    enum intake_verdict verdict = find_signer(intake, chain, at_ms, arena, &found, &why);

    if (verdict == INTAKE_TAKEN) {
        *signer = found.id;
        *kind = found.kind;
        *key = found.key;
    }
    return verdict;
}

/* The signature of an envelope whose body nobody has read yet, by the chain that came with it. So
 * the body's date cannot choose the key: it is the key that speaks now, or within the skew that
 * clocks may have. */
static enum intake_verdict check_signature(struct intake *intake, const struct envelope *envelope,
                                           struct bytes chain, uint64_t wall_ms,
                                           struct arena *arena, struct signer *signer,
                                           char reason[REASON_SIZE])
{
    enum certificate_verdict why;
    enum envelope_verdict sealed;
    enum intake_verdict verdict =
        find_signer(intake, chain, wall_ms + CLOCK_SKEW_MAX_MS, arena, signer, &why);

    if (verdict != INTAKE_TAKEN) {
        say(reason, "%s: %s", intake_verdict_text(verdict), certificate_verdict_text(why));
        return verdict;
    }
    if (!id_equal(&signer->id, &envelope->signer)) {
        say(reason, "the envelope names another signer than its certificates");
        return INTAKE_WRONG_SIGNER;
    }
    intake->alone += envelope->batch.size == 0;
    sealed = envelope_verify(envelope, &signer->key, intake->roots);
    if (sealed != ENVELOPE_TAKEN) {
        say(reason, "%s", envelope_verdict_text(sealed));
        return INTAKE_BAD_SIGNATURE;
    }
    return INTAKE_TAKEN;
}

static enum intake_verdict parse_envelope(struct bytes wire, enum envelope_type type,
                                          struct arena *arena, struct envelope *envelope,
                                          char reason[REASON_SIZE])
{
    enum envelope_verdict verdict = envelope_parse(wire, type, arena, envelope);

    if (verdict == ENVELOPE_TAKEN)
        return INTAKE_TAKEN;
    say(reason, "%s", envelope_verdict_text(verdict));
    return INTAKE_BAD_ENVELOPE;
}

static void *unpack(const ProtobufCMessageDescriptor *descriptor, struct bytes body,
                    struct arena *arena)
{
    return protobuf_c_message_unpack(descriptor, arena_protobuf_allocator(arena), body.size,
                                     body.data);
}

static enum intake_verdict open_peck(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                     struct arena *arena, struct event *event, struct id *name,
                                     char reason[REASON_SIZE])
{
    Duck__PeckFrame *frame = unpack(&duck__peck_frame__descriptor, body, arena);
    struct envelope envelope;
    struct signer signer;
    enum intake_verdict verdict;
    enum peck_verdict form;

    if (!frame)
        return INTAKE_MALFORMED;
    event->peck.wire = borrowed(frame->peck);
    event->peck.chain = borrowed(frame->chain);
    verdict = parse_envelope(event->peck.wire, ENVELOPE_PECK, arena, &envelope, reason);
    if (verdict != INTAKE_TAKEN)
        return verdict;
    *name = id_of(&envelope.hash);
    verdict =
        check_signature(intake, &envelope, event->peck.chain, wall_ms, arena, &signer, reason);
    if (verdict != INTAKE_TAKEN)
        return verdict;
    form = peck_parse(envelope.body, arena, &event->peck.peck);
    if (form != PECK_OK) {
        say(reason, "%s", peck_verdict_text(form));
        return INTAKE_BAD_BODY;
    }
    if (!bytes_equal(event->peck.peck.network, intake->settings.network))
        return INTAKE_OTHER_NETWORK;
    if (event->peck.peck.expires_ms <= wall_ms ||
        event->peck.peck.created_ms > wall_ms + CLOCK_SKEW_MAX_MS)
        return INTAKE_EXPIRED;
    if (!id_equal(&signer.id, &event->peck.peck.from) || signer.kind != IDENTITY_DUCKLING)
        return INTAKE_WRONG_SIGNER;
    event->kind = EVENT_PECK;
    return INTAKE_TAKEN;
}

static enum intake_verdict open_receipt(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                        struct arena *arena, struct event *event,
                                        char reason[REASON_SIZE])
{
    Duck__ReceiptFrame *frame = unpack(&duck__receipt_frame__descriptor, body, arena);
    struct receipt *receipt = &event->receipt.receipt;
    struct envelope envelope;
    struct signer signer;
    enum intake_verdict verdict;
    enum receipt_verdict form;

    if (!frame)
        return INTAKE_MALFORMED;
    event->receipt.wire = borrowed(frame->receipt);
    event->receipt.chain = borrowed(frame->chain);
    verdict = parse_envelope(event->receipt.wire, ENVELOPE_RECEIPT, arena, &envelope, reason);
    if (verdict != INTAKE_TAKEN)
        return verdict;
    verdict =
        check_signature(intake, &envelope, event->receipt.chain, wall_ms, arena, &signer, reason);
    if (verdict != INTAKE_TAKEN)
        return verdict;
    form = receipt_parse(envelope.body, arena, receipt);
    if (form != RECEIPT_OK) {
        say(reason, "%s", receipt_verdict_text(form));
        return INTAKE_BAD_BODY;
    }
    if (!bytes_equal(receipt->network, intake->settings.network))
        return INTAKE_OTHER_NETWORK;
    if (receipt->at_ms > wall_ms + CLOCK_SKEW_MAX_MS)
        return INTAKE_EXPIRED;
    /* `done` is the target's own word; `taken` is its node's, which the agent knows. */
    if (receipt->kind == RECEIPT_DONE && !id_equal(&signer.id, &receipt->to))
        return INTAKE_WRONG_SIGNER;
    if (receipt->kind == RECEIPT_TAKEN && signer.kind != IDENTITY_NODE)
        return INTAKE_WRONG_SIGNER;
    event->receipt.signer = signer.id;
    event->receipt.signer_kind = signer.kind;
    event->kind = EVENT_RECEIPT;
    return INTAKE_TAKEN;
}

static enum intake_verdict open_refusal(struct bytes body, struct arena *arena, struct event *event)
{
    Duck__RefusalFrame *frame = unpack(&duck__refusal_frame__descriptor, body, arena);

    if (!frame || !id_from_bytes(borrowed(frame->peck), &event->refusal.peck))
        return INTAKE_MALFORMED;
    event->refusal.code = borrowed(frame->code);
    event->refusal.reason = borrowed(frame->reason);
    event->refusal.final = frame->final;
    if (!bytes_are_name(event->refusal.code) || event->refusal.code.size > NAME_MAX_BYTES ||
        event->refusal.reason.size > RECEIPT_PROBLEM_MAX ||
        !bytes_are_text(event->refusal.reason, false))
        return INTAKE_BAD_BODY;
    event->kind = EVENT_REFUSAL;
    return INTAKE_TAKEN;
}

static enum intake_verdict open_digest(struct bytes body, struct arena *arena, struct event *event)
{
    Duck__DigestFrame *frame = unpack(&duck__digest_frame__descriptor, body, arena);

    if (!frame || frame->first.len != HASH_SIZE || frame->last.len != HASH_SIZE ||
        frame->hashes.len % 8 != 0 || frame->hashes.len / 8 > DIGEST_HASHES_PER_FRAME_MAX)
        return INTAKE_MALFORMED;
    memcpy(event->digest.first.bytes, frame->first.data, HASH_SIZE);
    memcpy(event->digest.last.bytes, frame->last.data, HASH_SIZE);
    event->digest.prefixes = (const uint8_t(*)[8])frame->hashes.data;
    event->digest.count = frame->hashes.len / 8;
    event->kind = EVENT_DIGEST;
    return INTAKE_TAKEN;
}

static enum intake_verdict open_record(struct intake *intake, const Duck__RecordItem *item,
                                       uint64_t wall_ms, struct arena *arena,
                                       struct offered_record *offered, char reason[REASON_SIZE])
{
    struct envelope envelope;
    struct signer signer;
    enum intake_verdict verdict;
    enum record_verdict form;

    offered->wire = borrowed(item->record);
    offered->chain = borrowed(item->chain);
    verdict = parse_envelope(offered->wire, ENVELOPE_RECORD, arena, &envelope, reason);
    if (verdict != INTAKE_TAKEN)
        return verdict;
    verdict = check_signature(intake, &envelope, offered->chain, wall_ms, arena, &signer, reason);
    if (verdict != INTAKE_TAKEN)
        return verdict;
    form = record_parse(envelope.body, arena, &offered->record);
    if (form != RECORD_OK) {
        say(reason, "%s", record_verdict_text(form));
        return INTAKE_BAD_BODY;
    }
    if (!bytes_equal(offered->record.network, intake->settings.network))
        return INTAKE_OTHER_NETWORK;
    if (!id_equal(&envelope.signer, &offered->record.owner))
        return INTAKE_WRONG_SIGNER;
    form = record_judge_dates(&offered->record, wall_ms);
    if (form != RECORD_OK) {
        say(reason, "%s", record_verdict_text(form));
        return INTAKE_EXPIRED;
    }
    if ((offered->record.kind == RECORD_NODE || offered->record.kind == RECORD_METRICS) &&
        signer.kind != IDENTITY_NODE)
        return INTAKE_WRONG_SIGNER;
    if (offered->record.kind == RECORD_DUCKLING && signer.kind != IDENTITY_DUCKLING)
        return INTAKE_WRONG_SIGNER;
    return INTAKE_TAKEN;
}

static enum intake_verdict open_records(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                        struct arena *arena, struct event *event, size_t *refused,
                                        char reason[REASON_SIZE])
{
    Duck__RecordsFrame *frame = unpack(&duck__records_frame__descriptor, body, arena);
    enum intake_verdict first = INTAKE_MALFORMED;
    char why[REASON_SIZE] = "";
    struct offered_record *items;
    size_t count = 0;

    if (!frame || frame->n_items == 0 || frame->n_items > RECORDS_PER_FRAME_MAX)
        return INTAKE_MALFORMED;
    items = arena_take(arena, frame->n_items * sizeof *items);
    if (!items)
        return INTAKE_MALFORMED;
    for (size_t i = 0; i < frame->n_items; i++) {
        enum intake_verdict verdict =
            open_record(intake, frame->items[i], wall_ms, arena, &items[count], why);

        if (verdict == INTAKE_TAKEN) {
            count++;
            continue;
        }
        if ((*refused)++ == 0) {
            first = verdict;
            say(reason, "%s", why[0] ? why : intake_verdict_text(verdict));
        }
    }
    event->kind = EVENT_RECORDS;
    event->records.items = items;
    event->records.count = count;
    return count ? INTAKE_TAKEN : first;
}

static enum intake_verdict open_probe(struct bytes body, enum event_kind kind, struct arena *arena,
                                      struct event *event)
{
    Duck__ProbeFrame *frame = unpack(&duck__probe_frame__descriptor, body, arena);

    if (!frame)
        return INTAKE_MALFORMED;
    event->probe.nonce = frame->nonce;
    event->probe.sums[0] = frame->directory_sum;
    event->probe.sums[1] = frame->metrics_sum;
    event->kind = kind;
    return INTAKE_TAKEN;
}

static enum intake_verdict open_probe_request(struct bytes body, struct arena *arena,
                                              struct event *event)
{
    Duck__ProbeRequestFrame *frame = unpack(&duck__probe_request_frame__descriptor, body, arena);

    if (!frame || !id_from_bytes(borrowed(frame->target), &event->probe.target))
        return INTAKE_MALFORMED;
    event->probe.nonce = frame->nonce;
    event->kind = EVENT_PROBE_REQUEST;
    return INTAKE_TAKEN;
}

static enum intake_verdict open_probe_nack(struct bytes body, struct arena *arena,
                                           struct event *event)
{
    Duck__ProbeNackFrame *frame = unpack(&duck__probe_nack_frame__descriptor, body, arena);

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
    enter(intake);
    *chain = arena_copy(arena, keyring_chain(intake->settings.keyring, signer));
    leave(intake);
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
        return find_signer(intake, chain, wall_ms + CLOCK_SKEW_MAX_MS, arena, signer, &why);
    verdict = check_signature(intake, envelope, chain, wall_ms, arena, signer, reason);
    if (verdict == INTAKE_TAKEN && envelope->batch.size == 0) {
        batch_roots_add(intake->roots, &entry);
        intake->alone--; /* it is counted among what was added */
    }
    return verdict;
}

static enum intake_verdict open_accusation(struct intake *intake, struct bytes body,
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
    frame = unpack(&duck__accusation_frame__descriptor, body, arena);
    if (!frame)
        return INTAKE_MALFORMED;
    event->accusation.wire = borrowed(frame->accusation);
    event->accusation.chain = borrowed(frame->chain);
    verdict = parse_envelope(event->accusation.wire, ENVELOPE_ACCUSATION, arena, &envelope, reason);
    if (verdict == INTAKE_TAKEN)
        verdict = find_chain(intake, &envelope.signer, arena, &event->accusation.chain);
    if (verdict == INTAKE_TAKEN)
        verdict = check_once(intake, event->accusation.wire, &envelope, event->accusation.chain,
                             wall_ms, arena, &signer, reason);
    if (verdict != INTAKE_TAKEN)
        return verdict;
    form = accusation_parse(envelope.body, arena, accusation);
    if (form != ACCUSATION_OK) {
        say(reason, "%s", accusation_verdict_text(form));
        return INTAKE_BAD_BODY;
    }
    if (!bytes_equal(accusation->network, intake->settings.network))
        return INTAKE_OTHER_NETWORK;
    if (!id_equal(&signer.id, &accusation->accuser) || signer.kind != IDENTITY_NODE)
        return INTAKE_WRONG_SIGNER;
    form = accusation_judge_dates(accusation, wall_ms);
    if (form == ACCUSATION_FROM_FUTURE) {
        say(reason, "%s", accusation_verdict_text(form));
        return INTAKE_EXPIRED;
    }
    event->accusation.expired = form == ACCUSATION_EXPIRED;
    event->accusation.hash = envelope.hash;
    event->kind = EVENT_ACCUSATION;
    return INTAKE_TAKEN;
}

enum intake_verdict intake_open(struct intake *intake, enum frame_kind kind, struct bytes body,
                                uint64_t wall_ms, struct arena *arena, struct event *event,
                                struct id *peck, size_t *refused, char reason[REASON_SIZE])
{
    enum intake_verdict verdict = INTAKE_UNKNOWN_KIND;

    reason[0] = 0;
    *refused = 0;
    memset(peck, 0, sizeof *peck);
    memset(event, 0, sizeof *event);
    switch (kind) {
    case FRAME_PECK:
        verdict = open_peck(intake, body, wall_ms, arena, event, peck, reason);
        break;
    case FRAME_RECEIPT:
        verdict = open_receipt(intake, body, wall_ms, arena, event, reason);
        break;
    case FRAME_REFUSAL:
        verdict = open_refusal(body, arena, event);
        break;
    case FRAME_DIGEST:
        verdict = open_digest(body, arena, event);
        break;
    case FRAME_RECORDS:
        verdict = open_records(intake, body, wall_ms, arena, event, refused, reason);
        break;
    case FRAME_PROBE:
        verdict = open_probe(body, EVENT_PROBE, arena, event);
        break;
    case FRAME_PROBE_ACK:
        verdict = open_probe(body, EVENT_PROBE_ACK, arena, event);
        break;
    case FRAME_PROBE_REQUEST:
        verdict = open_probe_request(body, arena, event);
        break;
    case FRAME_PROBE_NACK:
        verdict = open_probe_nack(body, arena, event);
        break;
    case FRAME_ACCUSATION:
        verdict = open_accusation(intake, body, wall_ms, arena, event, reason);
        break;
    case FRAME_PING:
    case FRAME_PONG:
    case FRAME_GOODBYE:
        break;
    }
    if (verdict != INTAKE_TAKEN && reason[0] == 0)
        say(reason, "%s", intake_verdict_text(verdict));
    return verdict;
}

/* ---- packing ---- */

static struct bytes pack(const ProtobufCMessage *message, struct arena *arena)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *data = arena_take(arena, size ? size : 1);

    if (!data)
        return bytes_of(NULL, 0);
    protobuf_c_message_pack(message, data);
    return bytes_of(data, size);
}

struct bytes frame_pack_peck(struct bytes chain, struct bytes peck, struct arena *arena)
{
    Duck__PeckFrame frame = DUCK__PECK_FRAME__INIT;

    frame.chain = lent(chain);
    frame.peck = lent(peck);
    return pack(&frame.base, arena);
}

struct bytes frame_pack_receipt(struct bytes chain, struct bytes receipt, struct arena *arena)
{
    Duck__ReceiptFrame frame = DUCK__RECEIPT_FRAME__INIT;

    frame.chain = lent(chain);
    frame.receipt = lent(receipt);
    return pack(&frame.base, arena);
}

struct bytes frame_pack_refusal(const struct id *peck, const char *code, const char *reason,
                                bool final, struct arena *arena)
{
    Duck__RefusalFrame frame = DUCK__REFUSAL_FRAME__INIT;

    frame.peck = lent(id_bytes(peck));
    frame.code = lent(bytes_of_text(code));
    frame.reason = lent(bytes_of_text(reason));
    frame.final = final;
    return pack(&frame.base, arena);
}

struct bytes frame_pack_probe(uint32_t nonce, const uint64_t sums[2], struct arena *arena)
{
    Duck__ProbeFrame frame = DUCK__PROBE_FRAME__INIT;

    frame.nonce = nonce;
    frame.directory_sum = sums[0];
    frame.metrics_sum = sums[1];
    return pack(&frame.base, arena);
}

struct bytes frame_pack_probe_request(uint32_t nonce, const struct id *target, struct arena *arena)
{
    Duck__ProbeRequestFrame frame = DUCK__PROBE_REQUEST_FRAME__INIT;

    frame.nonce = nonce;
    frame.target = lent(id_bytes(target));
    return pack(&frame.base, arena);
}

struct bytes frame_pack_probe_nack(uint32_t nonce, struct arena *arena)
{
    Duck__ProbeNackFrame frame = DUCK__PROBE_NACK_FRAME__INIT;

    frame.nonce = nonce;
    return pack(&frame.base, arena);
}

struct bytes frame_pack_accusation(struct bytes chain, struct bytes accusation, struct arena *arena)
{
    Duck__AccusationFrame frame = DUCK__ACCUSATION_FRAME__INIT;

    frame.chain = lent(chain);
    frame.accusation = lent(accusation);
    return pack(&frame.base, arena);
}

struct bytes frame_pack_digest(const struct hash *first, const struct hash *last,
                               const uint8_t (*prefixes)[8], size_t count, struct arena *arena)
{
    Duck__DigestFrame frame = DUCK__DIGEST_FRAME__INIT;

    frame.first = lent(bytes_of(first->bytes, HASH_SIZE));
    frame.last = lent(bytes_of(last->bytes, HASH_SIZE));
    frame.hashes = lent(bytes_of(prefixes, count * 8));
    return pack(&frame.base, arena);
}

struct bytes frame_pack_records(const struct bytes *chains, const struct bytes *records,
                                size_t count, struct arena *arena)
{
    Duck__RecordsFrame frame = DUCK__RECORDS_FRAME__INIT;
    Duck__RecordItem *items = arena_take(arena, count * sizeof *items + 1);
    Duck__RecordItem **pointers = arena_take(arena, count * sizeof *pointers + 1);

    if (!items || !pointers)
        return bytes_of(NULL, 0);
    for (size_t i = 0; i < count; i++) {
        duck__record_item__init(&items[i]);
        items[i].chain = lent(chains[i]);
        items[i].record = lent(records[i]);
        pointers[i] = &items[i];
    }
    frame.n_items = count;
    frame.items = pointers;
    return pack(&frame.base, arena);
}
