/* In this order: size and form of the envelope, the signer's certificates, the signature over the
 * bytes as they came, and only then what those bytes say. A chain that was verified before costs
 * a lookup; a batch whose root was verified costs a few hashes. */
#include "intake.h"

#include "binary_data.h"
#include "contradiction.h"
#include "voucher.h"
#include "wire/gossip.pb-c.h"
#include "withdrawal.h"

#include <protobuf-c/protobuf-c.h>
#include <stdarg.h>
#include <stdio.h>

#define REASON_SIZE 160
#define WITHDRAWAL_BUDGET PARSE_BUDGET(4 * RECORD_SIZE_MAX) /* bytes: a record, and chains in it */

struct intake {
    struct intake_settings settings;
    struct batch_roots *roots;
    uint8_t last_chain[CHAIN_SIZE_MAX]; /* the next thing is mostly of the same signer… */
    size_t last_size;                   /* 0: none */
    struct hash last_hash;              /* …and then its chain is not hashed again */
    _Atomic uint64_t alone; /* signatures checked that were of one thing; read from other threads */
    uint64_t refused[INTAKE_VERDICTS];
    struct bytes held, contradicting; /* owned: two chains of one identity; empty: none were met */
};

struct intake *intake_new(const struct intake_settings *settings)
{
    struct intake *intake = memory_take(sizeof *intake);

    intake->settings = *settings;
    intake->settings.network.data = memory_copy(settings->network.data, settings->network.size);
    intake->roots = batch_roots_new(BATCH_ROOTS_MAX);
    return intake;
}

static void forget_contradiction(struct intake *intake)
{
    memory_give_back((void *)(uintptr_t)intake->held.data);
    memory_give_back((void *)(uintptr_t)intake->contradicting.data);
    intake->held = intake->contradicting = bytes_of(NULL, 0);
}

/* The first of a frame: who sends more of them will meet us again. */
static void note_contradiction(struct intake *intake, struct bytes held, struct bytes contradicting)
{
    if (intake->held.size > 0 || held.size == 0)
        return;
    intake->held = bytes_of(memory_copy(held.data, held.size), held.size);
    intake->contradicting =
        bytes_of(memory_copy(contradicting.data, contradicting.size), contradicting.size);
}

bool intake_contradiction(const struct intake *intake, struct bytes *one, struct bytes *other)
{
    *one = intake->held;
    *other = intake->contradicting;
    return intake->held.size > 0;
}

void intake_free(struct intake *intake)
{
    if (!intake)
        return;
    batch_roots_free(intake->roots);
    forget_contradiction(intake);
    memory_give_back((void *)(uintptr_t)intake->settings.network.data);
    memory_give_back(intake);
}

uint64_t intake_signature_checks(const struct intake *intake)
{
    return intake->alone + batch_roots_added(intake->roots);
}

void intake_count_refusals(const struct intake *intake, uint64_t refused[INTAKE_VERDICTS])
{
    for (size_t i = 0; i < INTAKE_VERDICTS; i++)
        refused[i] += intake->refused[i];
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
    case INTAKE_RETIRED_KEY:
        return "signed with a key that was retired";
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
    case INTAKE_RETIRED_KEY:
        return "retired_key";
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

static const struct hash *hash_chain(struct intake *intake, struct bytes chain)
{
    if (intake->last_size > 0 &&
        bytes_equal(chain, bytes_of(intake->last_chain, intake->last_size)))
        return &intake->last_hash;
    intake->last_hash = hash_of(chain);
    intake->last_size = chain.size <= CHAIN_SIZE_MAX ? chain.size : 0;
    if (intake->last_size > 0)
        memcpy(intake->last_chain, chain.data, chain.size);
    return &intake->last_hash;
}

static enum intake_verdict find_signer(struct intake *intake, struct bytes chain, uint64_t at_ms,
                                       struct arena *arena, struct signer *signer,
                                       enum certificate_verdict *why)
{
    struct keyring *ring = intake->settings.keyring;
    const struct hash *hash = hash_chain(intake, chain);
    enum keyring_verdict held;
    struct chain opened;

    *why = CERTIFICATE_TAKEN;
    enter(intake);
    held =
        keyring_find(ring, hash, at_ms, &signer->id, &signer->kind, &signer->key, &signer->dates);
    leave(intake);
    if (held == KEYRING_UNKNOWN) {
        /* The dear part is outside the lock: of each certificate its key and its signature. */
        *why = chain_open(chain, arena, &opened);
        if (*why != CERTIFICATE_TAKEN)
            return INTAKE_BAD_CHAIN;
        enter(intake);
        held = keyring_keep(ring, &opened);
        if (held == KEYRING_CONTRADICTED)
            note_contradiction(intake, keyring_chain(ring, &opened.identity), chain);
        if (held == KEYRING_TAKEN)
            held = keyring_find(ring, hash, at_ms, &signer->id, &signer->kind, &signer->key,
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
static enum intake_verdict name_signer(struct intake *intake, const struct envelope *envelope,
                                       struct bytes chain, uint64_t wall_ms, struct arena *arena,
                                       struct signer *signer, char reason[REASON_SIZE])
{
    enum certificate_verdict why;
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
    return INTAKE_TAKEN;
}

static enum intake_verdict verify(struct intake *intake, const struct envelope *envelope,
                                  const struct public_key *key, char reason[REASON_SIZE])
{
    enum envelope_verdict sealed;

    intake->alone += envelope->batch.size == 0;
    sealed = envelope_verify(envelope, key, intake->roots);
    if (sealed == ENVELOPE_TAKEN)
        return INTAKE_TAKEN;
    say(reason, "%s", envelope_verdict_text(sealed));
    return INTAKE_BAD_SIGNATURE;
}

/* When the key that signed spoke for its owner. */
struct period {
    bool is_over;
    uint64_t from_ms, until_ms;
};

static const struct period always = {.until_ms = UINT64_MAX};

static bool is_within(const struct period *period, uint64_t ms)
{
    return ms >= period->from_ms && ms < period->until_ms;
}

/* What was said before its signer's key was rotated stays true: of a record whoever held it and
 * whoever comes later would differ until it ends, and a peck that waits for its target's node would
 * never arrive. So keys that were retired no longer ago than such a thing can live are tried, too, and
 * its date must be of their time.
 *
 * A thief of such a key can date back. Of records whatever the owner said since is newer; but a
 * revocation outranks all and is kept for a year, so the key that speaks now must have signed it.
 * Pecks and receipts must come from the node that speaks for their signer: the agent looks at that.
 *
 * Not everybody hears of a rotation at once: to relay what was signed with a retired key is no
 * offence. */
_Static_assert(PECK_LIFE_MAX_MS <= RECORD_LIFE_MAX_MS, "a retired key is tried for so long");

static enum intake_verdict try_retired(struct intake *intake, const struct envelope *envelope,
                                       uint64_t wall_ms, const struct signer *signer,
                                       struct period *period, char reason[REASON_SIZE])
{
    struct retired_key keys[KEYRING_RETIRED_MAX];
    uint64_t older_until_ms;
    size_t count;

    enter(intake);
    count = keyring_retired(intake->settings.keyring, &signer->id, keys, &older_until_ms);
    leave(intake);
    for (size_t i = 0; i < count && keys[i].until_ms + RECORD_LIFE_MAX_MS > wall_ms; i++) {
        intake->alone += envelope->batch.size == 0;
        if (envelope_verify(envelope, &keys[i].key, intake->roots) != ENVELOPE_TAKEN)
            continue;
        *period = (struct period){true, keys[i].from_ms, keys[i].until_ms};
        return INTAKE_TAKEN;
    }
    if (older_until_ms + RECORD_LIFE_MAX_MS <= wall_ms)
        return INTAKE_BAD_SIGNATURE;
    say(reason, "%s, or with none of its signer's", intake_verdict_text(INTAKE_RETIRED_KEY));
    return INTAKE_RETIRED_KEY;
}

static enum intake_verdict check_signature(struct intake *intake, const struct envelope *envelope,
                                           struct bytes chain, uint64_t wall_ms,
                                           struct arena *arena, struct signer *signer,
                                           char reason[REASON_SIZE])
{
    enum intake_verdict verdict =
        name_signer(intake, envelope, chain, wall_ms, arena, signer, reason);

    return verdict == INTAKE_TAKEN ? verify(intake, envelope, &signer->key, reason) : verdict;
}

/* Of a peck or a receipt: its date, which is read later, must be within `*period`. */
static enum intake_verdict check_dated(struct intake *intake, const struct envelope *envelope,
                                       struct bytes chain, uint64_t wall_ms, struct arena *arena,
                                       struct signer *signer, struct period *period,
                                       char reason[REASON_SIZE])
{
    enum intake_verdict verdict =
        check_signature(intake, envelope, chain, wall_ms, arena, signer, reason);

    *period = always;
    if (verdict == INTAKE_BAD_SIGNATURE)
        verdict = try_retired(intake, envelope, wall_ms, signer, period, reason);
    return verdict;
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

/* A longer chain of an issuer, or another one, that is known here: the one in the grant is not its
 * last word. */
static bool is_outgrown(struct intake *intake, const struct grant *grant)
{
    bool found = false;

    enter(intake);
    for (size_t i = 0; i < grant->count && !found; i++) {
        struct bytes held = keyring_chain(intake->settings.keyring, &grant->blocks[i].issuer);
        size_t count = held.data ? chain_count(held) : 0, named = chain_count(grant->chains[i]);
        struct id last = count == named ? chain_last(held) : (struct id){0};
        struct id last_named = chain_last(grant->chains[i]);

        found = count > named || (count == named && !id_equal(&last, &last_named));
    }
    leave(intake);
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

static enum intake_verdict open_peck(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                     struct arena *arena, struct event *event, struct id *name,
                                     char reason[REASON_SIZE])
{
    Duck__PeckFrame *frame = unpack(&duck__peck_frame__descriptor, body, arena);
    struct envelope envelope;
    struct period period;
    struct signer signer;
    enum intake_verdict verdict;
    enum peck_verdict form;

    if (!frame)
        return INTAKE_MALFORMED;
    event->peck.wire = borrowed(frame->peck);
    event->peck.chain = borrowed(frame->chain);
    event->peck.partials = frame->partials;
    event->peck.cancelled = frame->cancelled;
    verdict = parse_envelope(event->peck.wire, ENVELOPE_PECK, arena, &envelope, reason);
    if (verdict != INTAKE_TAKEN)
        return verdict;
    *name = id_of(&envelope.hash);
    verdict =
        check_dated(intake, &envelope, event->peck.chain, wall_ms, arena, &signer, &period, reason);
    if (verdict != INTAKE_TAKEN)
        return verdict;
    form = peck_parse_named(envelope.body, &envelope.hash, arena, &event->peck.peck);
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
    if (!is_within(&period, event->peck.peck.created_ms))
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

    verdict = parse_envelope(event->receipt.wire, ENVELOPE_RECEIPT, arena, &envelope, reason);
    if (verdict != INTAKE_TAKEN)
        return verdict;
    verdict = check_dated(intake, &envelope, event->receipt.chain, wall_ms, arena, &signer, &period,
                          reason);
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
    /* `done` and `partial` are the target's own word; `taken` is its node's, which the agent knows. */
    if (receipt->kind != RECEIPT_TAKEN && !id_equal(&signer.id, &receipt->to))
        return INTAKE_WRONG_SIGNER;
    if (receipt->kind == RECEIPT_TAKEN && signer.kind != IDENTITY_NODE)
        return INTAKE_WRONG_SIGNER;
    if (!is_within(&period, receipt->at_ms))
        return INTAKE_RETIRED_KEY;
    event->receipt.retired = period.is_over;
    event->receipt.signer = signer.id;
    event->receipt.signer_kind = signer.kind;
    return INTAKE_TAKEN;
}

static enum intake_verdict open_receipt(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                        struct arena *arena, struct event *event,
                                        char reason[REASON_SIZE])
{
    Duck__ReceiptFrame *frame = unpack(&duck__receipt_frame__descriptor, body, arena);
    enum intake_verdict verdict;

    if (!frame)
        return INTAKE_MALFORMED;
    event->receipt.wire = borrowed(frame->receipt);
    event->receipt.chain = borrowed(frame->chain);
    verdict = check_receipt(intake, wall_ms, arena, event, reason);
    if (verdict == INTAKE_TAKEN && event->receipt.receipt.kind == RECEIPT_PARTIAL)
        return INTAKE_BAD_BODY;
    event->kind = EVENT_RECEIPT;
    return verdict;
}

static enum intake_verdict open_partial(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                        struct arena *arena, struct event *event,
                                        char reason[REASON_SIZE])
{
    Duck__PartialFrame *frame = unpack(&duck__partial_frame__descriptor, body, arena);
    enum intake_verdict verdict;

    if (!frame)
        return INTAKE_MALFORMED;
    event->receipt.wire = borrowed(frame->receipt);
    event->receipt.chain = borrowed(frame->chain);
    verdict = check_receipt(intake, wall_ms, arena, event, reason);
    if (verdict == INTAKE_TAKEN && event->receipt.receipt.kind != RECEIPT_PARTIAL)
        return INTAKE_BAD_BODY;
    event->kind = EVENT_PARTIAL;
    return verdict;
}

static enum intake_verdict open_refusal(struct bytes body, struct arena *arena, struct event *event)
{
    Duck__RefusalFrame *frame = unpack(&duck__refusal_frame__descriptor, body, arena);

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

static bool is_set(uint32_t set)
{
    return set == RECORD_SET_DIRECTORY || set == RECORD_SET_METRICS;
}

static bool read_hash(ProtobufCBinaryData bytes, struct hash *hash)
{
    if (bytes.len != HASH_SIZE)
        return false;
    memcpy(hash->bytes, bytes.data, HASH_SIZE);
    return true;
}

static enum intake_verdict open_reconcile(struct bytes body, struct arena *arena,
                                          struct event *event)
{
    Duck__ReconcileFrame *frame = unpack(&duck__reconcile_frame__descriptor, body, arena);

    if (!frame || !is_set(frame->set) ||
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

static enum intake_verdict open_fetch(struct bytes body, struct arena *arena, struct event *event)
{
    Duck__FetchFrame *frame = unpack(&duck__fetch_frame__descriptor, body, arena);

    if (!frame || !is_set(frame->set) || frame->hashes.len % HASH_SIZE != 0 ||
        frame->hashes.len / HASH_SIZE > FETCH_HASHES_PER_FRAME_MAX)
        return INTAKE_MALFORMED;
    if (frame->stream
            ? frame->hashes.len != 0 || !read_hash(frame->after_hash, &event->fetch.after.hash)
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

static bool was_seen(struct intake *intake, const struct seen *seen, const struct hash *hash)
{
    bool was;

    if (!seen)
        return false;
    enter(intake);
    was = seen_has(seen, hash);
    leave(intake);
    return was;
}

static void note_seen(struct intake *intake, struct seen *seen, const struct hash *hash)
{
    if (!seen)
        return;
    enter(intake);
    seen_note(seen, hash);
    leave(intake);
}

/* What is fetched was often told meanwhile, or the other way round. The same bytes under the same
 * key hold again. */
static enum intake_verdict verify_once(struct intake *intake, struct bytes wire,
                                       const struct envelope *envelope,
                                       const struct public_key *key, char reason[REASON_SIZE])
{
    struct hash parts[2] = {hash_of(wire), identity_key_hash(key)};
    struct hash entry = hash_of(bytes_of(parts, sizeof parts));
    enum intake_verdict verdict;

    if (was_seen(intake, intake->settings.held_good, &entry))
        return INTAKE_TAKEN;
    verdict = verify(intake, envelope, key, reason);
    if (verdict == INTAKE_TAKEN)
        note_seen(intake, intake->settings.held_good, &entry);
    return verdict;
}

static enum intake_verdict check_record(struct intake *intake, struct bytes wire,
                                        const struct envelope *envelope, struct bytes chain,
                                        uint64_t wall_ms, struct arena *arena,
                                        struct signer *signer, struct period *period,
                                        char reason[REASON_SIZE])
{
    enum intake_verdict verdict =
        name_signer(intake, envelope, chain, wall_ms, arena, signer, reason);

    *period = always;
    if (verdict == INTAKE_TAKEN)
        verdict = verify_once(intake, wire, envelope, &signer->key, reason);
    if (verdict == INTAKE_BAD_SIGNATURE)
        verdict = try_retired(intake, envelope, wall_ms, signer, period, reason);
    return verdict;
}

static bool is_of(const struct period *period, const struct record *record)
{
    return is_within(period, record->version.ms) &&
           !(period->is_over && record->kind == RECORD_REVOCATION);
}

/* A voucher is checked once, here: who reads the directory later need not. */
static enum intake_verdict check_attestation(const struct record *record, struct arena *arena,
                                             char reason[REASON_SIZE])
{
    struct attestation_content content;
    enum voucher_verdict verdict;
    struct voucher voucher;

    if (record->kind != RECORD_ATTESTATION || record->deleted ||
        attestation_content_parse(record->content, arena, &content) != RECORD_OK ||
        !bytes_equal(content.claim, bytes_of_text(CLAIM_OPERATOR_VERIFIED)))
        return INTAKE_TAKEN;
    verdict = voucher_open(content.proof, content.chain, arena, &voucher);
    if (verdict != VOUCHER_OK) {
        say(reason, "%s", voucher_verdict_text(verdict));
        return INTAKE_BAD_BODY;
    }
    if (!id_equal(&voucher.operator_id, &content.subject) ||
        !id_equal(&voucher.subject, &record->owner) ||
        !bytes_equal(voucher.network, record->network) ||
        record->not_after_ms > voucher.not_after_ms) {
        say(reason, "the voucher is another operator's, for another duckling, or ends before the "
                    "record");
        return INTAKE_BAD_BODY;
    }
    return INTAKE_TAKEN;
}

/* One that does not hold says nothing, and the revocation that it stands in is held all the same: so all
 * nodes hold the same, also those that know nothing of withdrawals. */
static struct withdrawn read_withdrawn(const struct record *record)
{
    struct withdrawal withdrawal;
    struct withdrawn withdrawn = {0};
    struct arena arena; /* its own: what else is in the frame must not leave too little of it */

    if (record->kind != RECORD_REVOCATION)
        return withdrawn;
    arena_init(&arena, WITHDRAWAL_BUDGET);
    if (withdrawal_read(record, &arena, &withdrawal) == WITHDRAWAL_OK)
        withdrawn =
            (struct withdrawn){withdrawal.operator_id, withdrawal.subject, withdrawal.until_ms};
    arena_free(&arena);
    return withdrawn;
}

/* As of withdrawals: what is not proven says nothing. */
static void read_contradicted(struct record *record, struct bytes chain)
{
    struct arena arena;

    if (record->kind != RECORD_REVOCATION)
        return;
    arena_init(&arena, WITHDRAWAL_BUDGET);
    if (!contradiction_carries(chain) ||
        contradiction_read(record, &arena, &record->contradicted) != CONTRADICTION_PROVEN)
        record->contradicted = (struct id){0};
    arena_free(&arena);
}

static enum intake_verdict open_record(struct intake *intake, const Duck__RecordItem *item,
                                       bool unasked, uint64_t wall_ms, struct arena *arena,
                                       struct offered_record *offered, char reason[REASON_SIZE])
{
    struct envelope envelope;
    struct period period;
    struct signer signer;
    enum intake_verdict verdict;
    enum record_verdict form;

    offered->only_seen = false;
    offered->withdrawn = (struct withdrawn){0};
    offered->wire = borrowed(item->record);
    offered->chain = borrowed(item->chain);
    verdict = parse_envelope(offered->wire, ENVELOPE_RECORD, arena, &envelope, reason);
    if (verdict != INTAKE_TAKEN)
        return verdict;
    /* A copy of what was verified lately is read, but its own signature is not looked at. */
    if (unasked && was_seen(intake, intake->settings.seen, &envelope.hash)) {
        offered->only_seen = true;
        return record_parse(envelope.body, arena, &offered->record) == RECORD_OK ? INTAKE_TAKEN
                                                                                 : INTAKE_BAD_BODY;
    }
    verdict = check_record(intake, offered->wire, &envelope, offered->chain, wall_ms, arena,
                           &signer, &period, reason);
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
    if (!is_of(&period, &offered->record))
        return INTAKE_RETIRED_KEY;
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
    verdict = check_attestation(&offered->record, arena, reason);
    if (verdict != INTAKE_TAKEN)
        return verdict;
    offered->withdrawn = read_withdrawn(&offered->record);
    read_contradicted(&offered->record, offered->chain);
    note_seen(intake, intake->settings.seen, &envelope.hash);
    return INTAKE_TAKEN;
}

/* Those that hold; `*first` is why the first of the others does not. */
static const struct offered_record *open_items(struct intake *intake, Duck__RecordItem **items,
                                               size_t item_count, bool unasked, uint64_t wall_ms,
                                               struct arena *arena, size_t *count, size_t *refused,
                                               enum intake_verdict *first, char reason[REASON_SIZE])
{
    struct offered_record *opened = arena_take(arena, (item_count + 1) * sizeof *opened);
    char why[REASON_SIZE] = "";

    *count = 0;
    *first = INTAKE_MALFORMED;
    for (size_t i = 0; opened && i < item_count; i++) {
        enum intake_verdict verdict =
            open_record(intake, items[i], unasked, wall_ms, arena, &opened[*count], why);

        if (verdict == INTAKE_TAKEN) {
            ++*count;
            continue;
        }
        intake->refused[verdict]++;
        if ((*refused)++ == 0) {
            *first = verdict;
            say(reason, "%s", why[0] ? why : intake_verdict_text(verdict));
        }
    }
    return opened;
}

static enum intake_verdict open_records(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                        struct arena *arena, struct event *event, size_t *refused,
                                        char reason[REASON_SIZE])
{
    Duck__RecordsFrame *frame = unpack(&duck__records_frame__descriptor, body, arena);
    enum intake_verdict first;

    if (!frame || frame->n_items == 0 || frame->n_items > RECORDS_PER_FRAME_MAX)
        return INTAKE_MALFORMED;
    event->records.items = open_items(intake, frame->items, frame->n_items, true, wall_ms, arena,
                                      &event->records.count, refused, &first, reason);
    event->kind = EVENT_RECORDS;
    return event->records.count ? INTAKE_TAKEN : first;
}

/* One in which nothing holds is still an answer: it may be the last. */
static enum intake_verdict open_fetched(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                        struct arena *arena, struct event *event, size_t *refused,
                                        char reason[REASON_SIZE])
{
    Duck__FetchedFrame *frame = unpack(&duck__fetched_frame__descriptor, body, arena);
    enum intake_verdict first;

    if (!frame || !is_set(frame->set) || frame->n_items > FETCH_HASHES_PER_FRAME_MAX)
        return INTAKE_MALFORMED;
    event->fetched.has_next = frame->next_hash.len != 0;
    if (event->fetched.has_next && !read_hash(frame->next_hash, &event->fetched.next.hash))
        return INTAKE_MALFORMED;
    event->fetched.items = open_items(intake, frame->items, frame->n_items, false, wall_ms, arena,
                                      &event->fetched.count, refused, &first, reason);
    event->fetched.offends = *refused > 0 && intake_verdict_offends(first);
    event->fetched.set = (enum record_set)frame->set;
    event->fetched.session = frame->session;
    event->fetched.is_last = frame->last;
    event->fetched.next.at_s = frame->next_s;
    event->kind = EVENT_FETCHED;
    return INTAKE_TAKEN;
}

bool intake_verdict_offends(enum intake_verdict verdict)
{
    return verdict == INTAKE_MALFORMED || verdict == INTAKE_BAD_ENVELOPE ||
           verdict == INTAKE_BAD_SIGNATURE || verdict == INTAKE_WRONG_SIGNER ||
           verdict == INTAKE_BAD_BODY;
}

bool intake_admits(struct intake *intake, const struct id *node, enum frame_kind kind, size_t size,
                   uint64_t wall_ms)
{
    struct quota *quota = NULL;
    bool admits;

    if (kind == FRAME_RECORDS)
        quota = intake->settings.news;
    else if (kind == FRAME_RECONCILE || kind == FRAME_FETCH || kind == FRAME_FETCHED ||
             (kind >= FRAME_DEPOSIT && kind <= FRAME_LOBSTER))
        quota = intake->settings.asked;
    /* A question of five bytes can have the largest answer. */
    if ((kind == FRAME_RECONCILE || kind == FRAME_FETCH) && size < RECONCILE_FRAME_MAX)
        size = RECONCILE_FRAME_MAX;
    if (kind == FRAME_COLLECT)
        size = COLLECT_BYTES;
    if (!quota)
        return true;
    enter(intake);
    admits = quota_take(quota, node, size, wall_ms);
    leave(intake);
    return admits;
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

/* ---- perches: what is under the seal is none of the intake's business ---- */

static enum intake_verdict open_deposit(struct bytes body, struct arena *arena, struct event *event)
{
    Duck__DepositFrame *frame = unpack(&duck__deposit_frame__descriptor, body, arena);

    if (!frame || frame->sealed.len == 0 ||
        !id_from_bytes(borrowed(frame->owner), &event->deposit.owner) ||
        !id_from_bytes(borrowed(frame->name), &event->deposit.name))
        return INTAKE_MALFORMED;
    event->deposit.not_after_ms = frame->not_after_ms;
    event->deposit.sealed = borrowed(frame->sealed);
    event->kind = EVENT_DEPOSIT;
    return INTAKE_TAKEN;
}

static enum intake_verdict open_deposited(struct bytes body, struct arena *arena,
                                          struct event *event)
{
    Duck__DepositedFrame *frame = unpack(&duck__deposited_frame__descriptor, body, arena);

    if (!frame || frame->code.len > NAME_MAX_BYTES || !bytes_are_name(borrowed(frame->code)) ||
        !id_from_bytes(borrowed(frame->name), &event->deposited.name))
        return INTAKE_MALFORMED;
    event->deposited.code = borrowed(frame->code);
    event->kind = EVENT_DEPOSITED;
    return INTAKE_TAKEN;
}

static enum intake_verdict open_collect(struct bytes body, struct arena *arena, struct event *event)
{
    Duck__CollectFrame *frame = unpack(&duck__collect_frame__descriptor, body, arena);

    if (!frame)
        return INTAKE_MALFORMED;
    event->collect.after = frame->after;
    event->kind = EVENT_COLLECT;
    return INTAKE_TAKEN;
}

static enum intake_verdict open_held(struct bytes body, struct arena *arena, struct event *event)
{
    Duck__HeldFrame *frame = unpack(&duck__held_frame__descriptor, body, arena);

    if (!frame ||
        (frame->sealed.len > 0 && !id_from_bytes(borrowed(frame->name), &event->held.name)))
        return INTAKE_MALFORMED;
    event->held.number = frame->number;
    event->held.sealed = borrowed(frame->sealed);
    event->held.is_last = frame->last;
    event->held.has_more = frame->more;
    event->kind = EVENT_HELD;
    return INTAKE_TAKEN;
}

static enum intake_verdict open_settled(struct bytes body, struct arena *arena, struct event *event)
{
    Duck__SettledFrame *frame = unpack(&duck__settled_frame__descriptor, body, arena);
    struct id *names;

    if (!frame || frame->n_names == 0 || frame->n_names > SETTLED_AT_ONCE)
        return INTAKE_MALFORMED;
    names = arena_take(arena, frame->n_names * sizeof *names);
    for (size_t i = 0; names && i < frame->n_names; i++)
        if (!id_from_bytes(borrowed(frame->names[i]), &names[i]))
            return INTAKE_MALFORMED;
    if (!names)
        return INTAKE_MALFORMED;
    event->settled.names = names;
    event->settled.count = frame->n_names;
    event->kind = EVENT_SETTLED;
    return INTAKE_TAKEN;
}

/* ---- lobster binds ---- */

static bool copy_sized(ProtobufCBinaryData data, size_t size, uint8_t *copy)
{
    if (data.len != size)
        return false;
    if (size > 0)
        memcpy(copy, data.data, size);
    return true;
}

static bool read_word(const Duck__LobsterFrame *frame, struct lobster_word *word)
{
    bool is_offer = frame->step == LOBSTER_OFFER;
    bool has_nonce = frame->step == LOBSTER_ANSWER || frame->step == LOBSTER_REVEAL;

    word->step = (enum lobster_step)frame->step;
    word->lease_ms = frame->lease_ms;
    word->code = borrowed(frame->code);
    return frame->step >= LOBSTER_OFFER && frame->step <= LOBSTER_NO &&
           id_from_bytes(borrowed(frame->from), &word->from) &&
           id_from_bytes(borrowed(frame->to), &word->to) &&
           copy_sized(frame->session, LOBSTER_SESSION_SIZE, word->session) &&
           copy_sized(frame->commitment, is_offer ? HASH_SIZE : 0, word->commitment.bytes) &&
           copy_sized(frame->nonce, has_nonce ? LOBSTER_NONCE_SIZE : 0, word->nonce) &&
           (is_offer
                ? frame->lease_ms >= LOBSTER_LEASE_MIN_MS && frame->lease_ms <= LOBSTER_LEASE_MAX_MS
                : frame->lease_ms == 0) &&
           word->code.size <= NAME_MAX_BYTES && bytes_are_name(word->code);
}

/* The certificates are what the string is made of: they hold, or nothing is said. */
static enum intake_verdict open_lobster(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                        struct arena *arena, struct event *event,
                                        char reason[REASON_SIZE])
{
    Duck__LobsterFrame *frame = unpack(&duck__lobster_frame__descriptor, body, arena);
    enum certificate_verdict why;
    enum intake_verdict verdict;
    struct signer from;
    bool has_chain;

    if (!frame || !read_word(frame, &event->word))
        return INTAKE_MALFORMED;
    has_chain = event->word.step == LOBSTER_OFFER || event->word.step == LOBSTER_ANSWER;
    if ((frame->chain.len > 0) != has_chain)
        return INTAKE_MALFORMED;
    event->kind = EVENT_LOBSTER;
    if (!has_chain)
        return INTAKE_TAKEN;
    verdict = find_signer(intake, borrowed(frame->chain), wall_ms, arena, &from, &why);
    if (verdict != INTAKE_TAKEN) {
        say(reason, "%s", certificate_verdict_text(why));
        return verdict;
    }
    if (from.kind != IDENTITY_DUCKLING || !id_equal(&from.id, &event->word.from))
        return INTAKE_WRONG_SIGNER;
    event->word.certificate = chain_last(borrowed(frame->chain));
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
    forget_contradiction(intake);
    switch (kind) {
    case FRAME_PECK:
        verdict = open_peck(intake, body, wall_ms, arena, event, peck, reason);
        break;
    case FRAME_RECEIPT:
        verdict = open_receipt(intake, body, wall_ms, arena, event, reason);
        break;
    case FRAME_PARTIAL:
        verdict = open_partial(intake, body, wall_ms, arena, event, reason);
        break;
    case FRAME_REFUSAL:
        verdict = open_refusal(body, arena, event);
        break;
    case FRAME_RECONCILE:
        verdict = open_reconcile(body, arena, event);
        break;
    case FRAME_FETCH:
        verdict = open_fetch(body, arena, event);
        break;
    case FRAME_FETCHED:
        verdict = open_fetched(intake, body, wall_ms, arena, event, refused, reason);
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
    case FRAME_DEPOSIT:
        verdict = open_deposit(body, arena, event);
        break;
    case FRAME_DEPOSITED:
        verdict = open_deposited(body, arena, event);
        break;
    case FRAME_COLLECT:
        verdict = open_collect(body, arena, event);
        break;
    case FRAME_HELD:
        verdict = open_held(body, arena, event);
        break;
    case FRAME_SETTLED:
        verdict = open_settled(body, arena, event);
        break;
    case FRAME_LOBSTER:
        verdict = open_lobster(intake, body, wall_ms, arena, event, reason);
        break;
    case FRAME_PING:
    case FRAME_PONG:
    case FRAME_GOODBYE:
        break;
    }
    if (verdict != INTAKE_TAKEN && *refused == 0)
        intake->refused[verdict]++; /* records are counted one by one */
    if (verdict != INTAKE_TAKEN && reason[0] == 0)
        say(reason, "%s", intake_verdict_text(verdict));
    return verdict;
}
