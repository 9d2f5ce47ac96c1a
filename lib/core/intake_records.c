/* Records, told or fetched: each item by itself. */
#include "intake_parts.h"

#include "binary_data.h"
#include "contradiction.h"
#include "voucher.h"
#include "wire/gossip.pb-c.h"
#include "withdrawal.h"

#define WITHDRAWAL_BUDGET PARSE_BUDGET(4 * RECORD_SIZE_MAX) /* bytes: a record, and chains in it */

static bool was_seen(struct intake *intake, const struct seen *seen, const struct hash *hash)
{
    bool was;

    if (!seen)
        return false;
    intake_enter(intake);
    was = seen_has(seen, hash);
    intake_leave(intake);
    return was;
}

static void note_seen(struct intake *intake, struct seen *seen, const struct hash *hash)
{
    if (!seen)
        return;
    intake_enter(intake);
    seen_note(seen, hash);
    intake_leave(intake);
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
    verdict = intake_verify(intake, envelope, key, reason);
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
        intake_name_signer(intake, envelope, chain, wall_ms, arena, signer, reason);

    *period = intake_always;
    if (verdict == INTAKE_TAKEN)
        verdict = verify_once(intake, wire, envelope, &signer->key, reason);
    if (verdict == INTAKE_BAD_SIGNATURE)
        verdict = intake_try_retired(intake, envelope, wall_ms, signer, period, reason);
    return verdict;
}

static bool is_of(const struct period *period, const struct record *record)
{
    return intake_within(period, record->version.ms) &&
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
        intake_say(reason, "%s", voucher_verdict_text(verdict));
        return INTAKE_BAD_BODY;
    }
    if (!id_equal(&voucher.operator_id, &content.subject) ||
        !id_equal(&voucher.subject, &record->owner) ||
        !bytes_equal(voucher.network, record->network) ||
        record->not_after_ms > voucher.not_after_ms) {
        intake_say(reason,
                   "the voucher is another operator's, for another duckling, or ends before the "
                   "record");
        return INTAKE_BAD_BODY;
    }
    return INTAKE_TAKEN;
}

/* Other records need no such look: whoever lives at a node that is none is reached by nobody. */
static enum intake_verdict check_member(const struct intake *intake, const struct record *record,
                                        uint64_t wall_ms, struct arena *arena,
                                        char reason[REASON_SIZE])
{
    enum fleet_verdict verdict;
    struct node_content content;

    if (!intake->settings.fleet || record->kind != RECORD_NODE || record->deleted)
        return INTAKE_TAKEN;
    if (node_content_parse(record->content, arena, &content) != RECORD_OK)
        return INTAKE_BAD_BODY;
    verdict = fleet_judge(intake->settings.fleet, record, &content, wall_ms);
    if (verdict == FLEET_MEMBER)
        return INTAKE_TAKEN;
    intake_say(reason, "%s", fleet_verdict_text(verdict));
    return INTAKE_NO_MEMBER;
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
    verdict = intake_parse_envelope(offered->wire, ENVELOPE_RECORD, arena, &envelope, reason);
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
        intake_say(reason, "%s", record_verdict_text(form));
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
        intake_say(reason, "%s", record_verdict_text(form));
        return INTAKE_EXPIRED;
    }
    if ((offered->record.kind == RECORD_NODE || offered->record.kind == RECORD_METRICS) &&
        signer.kind != IDENTITY_NODE)
        return INTAKE_WRONG_SIGNER;
    if (offered->record.kind == RECORD_DUCKLING && signer.kind != IDENTITY_DUCKLING)
        return INTAKE_WRONG_SIGNER;
    verdict = check_attestation(&offered->record, arena, reason);
    if (verdict == INTAKE_TAKEN)
        verdict = check_member(intake, &offered->record, wall_ms, arena, reason);
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
            intake_say(reason, "%s", why[0] ? why : intake_verdict_text(verdict));
        }
    }
    return opened;
}

enum intake_verdict intake_open_records(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                        struct arena *arena, struct event *event, size_t *refused,
                                        char reason[REASON_SIZE])
{
    Duck__RecordsFrame *frame = intake_unpack(&duck__records_frame__descriptor, body, arena);
    enum intake_verdict first;

    if (!frame || frame->n_items == 0 || frame->n_items > RECORDS_PER_FRAME_MAX)
        return INTAKE_MALFORMED;
    event->records.items = open_items(intake, frame->items, frame->n_items, true, wall_ms, arena,
                                      &event->records.count, refused, &first, reason);
    event->kind = EVENT_RECORDS;
    return event->records.count ? INTAKE_TAKEN : first;
}

/* One in which nothing holds is still an answer: it may be the last. */
enum intake_verdict intake_open_fetched(struct intake *intake, struct bytes body, uint64_t wall_ms,
                                        struct arena *arena, struct event *event, size_t *refused,
                                        char reason[REASON_SIZE])
{
    Duck__FetchedFrame *frame = intake_unpack(&duck__fetched_frame__descriptor, body, arena);
    enum intake_verdict first;

    if (!frame || !intake_is_set(frame->set) || frame->n_items > FETCH_HASHES_PER_FRAME_MAX)
        return INTAKE_MALFORMED;
    event->fetched.has_next = frame->next_hash.len != 0;
    if (event->fetched.has_next &&
        !intake_read_hash(borrowed(frame->next_hash), &event->fetched.next.hash))
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
