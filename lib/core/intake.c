/* In this order: size and form of the envelope, the signer's certificates, the signature over the
 * bytes as they came, and only then what those bytes say. A chain that was verified before costs
 * a lookup; a batch whose root was verified costs a few hashes. */
#include "intake_parts.h"

#include <stdarg.h>
#include <stdio.h>

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
    case INTAKE_NO_MEMBER:
        return "of a node that does not belong to this fleet";
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
    case INTAKE_NO_MEMBER:
        return "no_member";
    }
    return "";
}

void intake_say(char reason[REASON_SIZE], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, REASON_SIZE, format, arguments);
    va_end(arguments);
}

void intake_enter(struct intake *intake)
{
    if (intake->settings.enter)
        intake->settings.enter(intake->settings.context);
}

void intake_leave(struct intake *intake)
{
    if (intake->settings.leave)
        intake->settings.leave(intake->settings.context);
}

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

enum intake_verdict intake_find_signer(struct intake *intake, struct bytes chain, uint64_t at_ms,
                                       struct arena *arena, struct signer *signer,
                                       enum certificate_verdict *why)
{
    struct keyring *ring = intake->settings.keyring;
    const struct hash *hash = hash_chain(intake, chain);
    enum keyring_verdict held;
    struct chain opened;

    *why = CERTIFICATE_TAKEN;
    intake_enter(intake);
    held =
        keyring_find(ring, hash, at_ms, &signer->id, &signer->kind, &signer->key, &signer->dates);
    intake_leave(intake);
    if (held == KEYRING_UNKNOWN) {
        /* The dear part is outside the lock: of each certificate its key and its signature. */
        *why = chain_open(chain, arena, &opened);
        if (*why != CERTIFICATE_TAKEN)
            return INTAKE_BAD_CHAIN;
        intake_enter(intake);
        held = keyring_keep(ring, &opened);
        if (held == KEYRING_CONTRADICTED)
            note_contradiction(intake, keyring_chain(ring, &opened.identity), chain);
        if (held == KEYRING_TAKEN)
            held = keyring_find(ring, hash, at_ms, &signer->id, &signer->kind, &signer->key,
                                &signer->dates);
        intake_leave(intake);
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
    enum intake_verdict verdict = intake_find_signer(intake, chain, at_ms, arena, &found, &why);

    if (verdict == INTAKE_TAKEN) {
        *signer = found.id;
        *kind = found.kind;
        *key = found.key;
    }
    return verdict;
}

struct bytes intake_known_chain(struct intake *intake, struct bytes chain, struct arena *arena)
{
    struct bytes known = bytes_of(NULL, 0), held;
    struct arena scratch;
    struct chain opened;

    arena_init(&scratch, PARSE_BUDGET(CHAIN_SIZE_MAX));
    if (chain_open(chain, &scratch, &opened) == CERTIFICATE_TAKEN) {
        intake_enter(intake);
        held = keyring_chain(intake->settings.keyring, &opened.identity);
        if (held.data)
            known = arena_copy(arena, held);
        intake_leave(intake);
    }
    arena_free(&scratch);
    return known;
}

/* The signature of an envelope whose body nobody has read yet, by the chain that came with it. So
 * the body's date cannot choose the key: it is the key that speaks now, or within the skew that
 * clocks may have. */
enum intake_verdict intake_name_signer(struct intake *intake, const struct envelope *envelope,
                                       struct bytes chain, uint64_t wall_ms, struct arena *arena,
                                       struct signer *signer, char reason[REASON_SIZE])
{
    enum certificate_verdict why;
    enum intake_verdict verdict =
        intake_find_signer(intake, chain, wall_ms + CLOCK_SKEW_MAX_MS, arena, signer, &why);

    if (verdict != INTAKE_TAKEN) {
        intake_say(reason, "%s: %s", intake_verdict_text(verdict), certificate_verdict_text(why));
        return verdict;
    }
    if (!id_equal(&signer->id, &envelope->signer)) {
        intake_say(reason, "the envelope names another signer than its certificates");
        return INTAKE_WRONG_SIGNER;
    }
    return INTAKE_TAKEN;
}

enum intake_verdict intake_verify(struct intake *intake, const struct envelope *envelope,
                                  const struct public_key *key, char reason[REASON_SIZE])
{
    enum envelope_verdict sealed;

    intake->alone += envelope->batch.size == 0;
    sealed = envelope_verify(envelope, key, intake->roots);
    if (sealed == ENVELOPE_TAKEN)
        return INTAKE_TAKEN;
    intake_say(reason, "%s", envelope_verdict_text(sealed));
    return INTAKE_BAD_SIGNATURE;
}

const struct period intake_always = {.until_ms = UINT64_MAX};

bool intake_within(const struct period *period, uint64_t ms)
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
#if PECK_LIFE_MAX_MS > RECORD_LIFE_MAX_MS
#error "a retired key is tried as long as records live"
#endif

enum intake_verdict intake_try_retired(struct intake *intake, const struct envelope *envelope,
                                       uint64_t wall_ms, const struct signer *signer,
                                       struct period *period, char reason[REASON_SIZE])
{
    struct retired_key keys[KEYRING_RETIRED_MAX];
    uint64_t older_until_ms;
    size_t count;

    intake_enter(intake);
    count = keyring_retired(intake->settings.keyring, &signer->id, keys, &older_until_ms);
    intake_leave(intake);
    for (size_t i = 0; i < count && keys[i].until_ms + RECORD_LIFE_MAX_MS > wall_ms; i++) {
        intake->alone += envelope->batch.size == 0;
        if (envelope_verify(envelope, &keys[i].key, intake->roots) != ENVELOPE_TAKEN)
            continue;
        *period = (struct period){true, keys[i].from_ms, keys[i].until_ms};
        return INTAKE_TAKEN;
    }
    if (older_until_ms + RECORD_LIFE_MAX_MS <= wall_ms)
        return INTAKE_BAD_SIGNATURE;
    intake_say(reason, "%s, or with none of its signer's", intake_verdict_text(INTAKE_RETIRED_KEY));
    return INTAKE_RETIRED_KEY;
}

enum intake_verdict intake_check_signature(struct intake *intake, const struct envelope *envelope,
                                           struct bytes chain, uint64_t wall_ms,
                                           struct arena *arena, struct signer *signer,
                                           char reason[REASON_SIZE])
{
    enum intake_verdict verdict =
        intake_name_signer(intake, envelope, chain, wall_ms, arena, signer, reason);

    return verdict == INTAKE_TAKEN ? intake_verify(intake, envelope, &signer->key, reason)
                                   : verdict;
}

/* Of a peck or a receipt: its date, which is read later, must be within `*period`. */
enum intake_verdict intake_check_dated(struct intake *intake, const struct envelope *envelope,
                                       struct bytes chain, uint64_t wall_ms, struct arena *arena,
                                       struct signer *signer, struct period *period,
                                       char reason[REASON_SIZE])
{
    enum intake_verdict verdict =
        intake_check_signature(intake, envelope, chain, wall_ms, arena, signer, reason);

    *period = intake_always;
    if (verdict == INTAKE_BAD_SIGNATURE)
        verdict = intake_try_retired(intake, envelope, wall_ms, signer, period, reason);
    return verdict;
}

enum intake_verdict intake_parse_envelope(struct bytes wire, enum envelope_type type,
                                          struct arena *arena, struct envelope *envelope,
                                          char reason[REASON_SIZE])
{
    enum envelope_verdict verdict = envelope_parse(wire, type, arena, envelope);

    if (verdict == ENVELOPE_TAKEN)
        return INTAKE_TAKEN;
    intake_say(reason, "%s", envelope_verdict_text(verdict));
    return INTAKE_BAD_ENVELOPE;
}

void *intake_unpack(const ProtobufCMessageDescriptor *descriptor, struct bytes body,
                    struct arena *arena)
{
    return protobuf_c_message_unpack(descriptor, arena_protobuf_allocator(arena), body.size,
                                     body.data);
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
    intake_enter(intake);
    admits = quota_take(quota, node, size, wall_ms);
    intake_leave(intake);
    return admits;
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
        verdict = intake_open_peck(intake, body, wall_ms, arena, event, peck, reason);
        break;
    case FRAME_RECEIPT:
        verdict = intake_open_receipt(intake, body, wall_ms, arena, event, reason);
        break;
    case FRAME_PARTIAL:
        verdict = intake_open_partial(intake, body, wall_ms, arena, event, reason);
        break;
    case FRAME_REFUSAL:
        verdict = intake_open_refusal(body, arena, event);
        break;
    case FRAME_RECONCILE:
        verdict = intake_open_reconcile(body, arena, event);
        break;
    case FRAME_FETCH:
        verdict = intake_open_fetch(body, arena, event);
        break;
    case FRAME_FETCHED:
        verdict = intake_open_fetched(intake, body, wall_ms, arena, event, refused, reason);
        break;
    case FRAME_RECORDS:
        verdict = intake_open_records(intake, body, wall_ms, arena, event, refused, reason);
        break;
    case FRAME_PROBE:
        verdict = intake_open_probe(body, EVENT_PROBE, arena, event);
        break;
    case FRAME_PROBE_ACK:
        verdict = intake_open_probe(body, EVENT_PROBE_ACK, arena, event);
        break;
    case FRAME_PROBE_REQUEST:
        verdict = intake_open_probe_request(body, arena, event);
        break;
    case FRAME_PROBE_NACK:
        verdict = intake_open_probe_nack(body, arena, event);
        break;
    case FRAME_ACCUSATION:
        verdict = intake_open_accusation(intake, body, wall_ms, arena, event, reason);
        break;
    case FRAME_DEPOSIT:
        verdict = intake_open_deposit(body, arena, event);
        break;
    case FRAME_DEPOSITED:
        verdict = intake_open_deposited(body, arena, event);
        break;
    case FRAME_COLLECT:
        verdict = intake_open_collect(body, arena, event);
        break;
    case FRAME_HELD:
        verdict = intake_open_held(body, arena, event);
        break;
    case FRAME_SETTLED:
        verdict = intake_open_settled(body, arena, event);
        break;
    case FRAME_LOBSTER:
        verdict = intake_open_lobster(intake, body, wall_ms, arena, event, reason);
        break;
    case FRAME_PING:
    case FRAME_PONG:
    case FRAME_BUNDLE:
    case FRAME_GOODBYE:
        break;
    }
    if (verdict != INTAKE_TAKEN && *refused == 0)
        intake->refused[verdict]++; /* records are counted one by one */
    if (verdict != INTAKE_TAKEN && reason[0] == 0)
        intake_say(reason, "%s", intake_verdict_text(verdict));
    return verdict;
}
