#include "withdrawal.h"

#include "binary_data.h"
#include "wire/voucher.pb-c.h"

const char *withdrawal_verdict_text(enum withdrawal_verdict verdict)
{
    switch (verdict) {
    case WITHDRAWAL_OK:
        return "fine";
    case WITHDRAWAL_NONE:
        return "the record takes no voucher back";
    case WITHDRAWAL_MALFORMED:
        return "the withdrawal has a field that is missing or of a wrong length";
    case WITHDRAWAL_TOO_LARGE:
        return "the withdrawal, or the operator's certificates with it, is too large for a record";
    case WITHDRAWAL_NO_OPERATOR:
        return "the withdrawal's signer is no operator with certificates that hold";
    case WITHDRAWAL_BAD_SIGNATURE:
        return "the withdrawal is not signed with the operator's key of that time";
    case WITHDRAWAL_MISPLACED:
        return "the withdrawal was signed for another record";
    }
    return "";
}

static enum withdrawal_verdict parse(struct bytes body, struct arena *arena,
                                     struct withdrawal *withdrawal)
{
    Duck__WithdrawalBody *message =
        duck__withdrawal_body__unpack(arena_protobuf_allocator(arena), body.size, body.data);

    if (!message || message->base.n_unknown_fields > 0 ||
        !id_from_bytes(borrowed(message->operator_), &withdrawal->operator_id) ||
        !id_from_bytes(borrowed(message->subject), &withdrawal->subject) ||
        !id_from_bytes(borrowed(message->carrier), &withdrawal->carrier) || message->until_ms == 0)
        return WITHDRAWAL_MALFORMED;
    withdrawal->network = borrowed(message->network);
    withdrawal->until_ms = message->until_ms;
    return WITHDRAWAL_OK;
}

static bool is_for(const struct withdrawal *withdrawal, const struct record *record,
                   const struct revocation_content *content)
{
    return bytes_equal(withdrawal->network, record->network) &&
           id_equal(&withdrawal->carrier, &record->owner) &&
           withdrawal->until_ms == content->revoked_at_ms;
}

enum withdrawal_verdict withdrawal_read(const struct record *record, struct arena *arena,
                                        struct withdrawal *withdrawal)
{
    struct revocation_content content;
    struct envelope envelope;
    struct withdrawal parsed;
    struct chain chain;
    struct public_key key;

    if (record->kind != RECORD_REVOCATION ||
        revocation_content_parse(record->content, arena, &content) != RECORD_OK ||
        content.withdrawal.size == 0)
        return WITHDRAWAL_NONE;
    if (content.withdrawal.size > WITHDRAWAL_SIZE_MAX)
        return WITHDRAWAL_TOO_LARGE;
    if (envelope_parse(content.withdrawal, ENVELOPE_WITHDRAWAL, arena, &envelope) !=
            ENVELOPE_TAKEN ||
        parse(envelope.body, arena, &parsed) != WITHDRAWAL_OK)
        return WITHDRAWAL_MALFORMED;
    if (!is_for(&parsed, record, &content))
        return WITHDRAWAL_MISPLACED;
    if (chain_open(content.chain, arena, &chain) != CERTIFICATE_TAKEN ||
        chain.kind != IDENTITY_OPERATOR || !id_equal(&chain.identity, &parsed.operator_id) ||
        !id_equal(&envelope.signer, &parsed.operator_id))
        return WITHDRAWAL_NO_OPERATOR;
    if (chain_key_at(&chain, parsed.until_ms, &key) != CERTIFICATE_TAKEN ||
        envelope_verify(&envelope, &key, NULL) != ENVELOPE_TAKEN)
        return WITHDRAWAL_BAD_SIGNATURE;
    *withdrawal = parsed;
    return WITHDRAWAL_OK;
}

enum withdrawal_verdict withdrawal_open(struct bytes wire, struct bytes chain_wire,
                                        struct arena *arena, struct record *record,
                                        struct withdrawal *withdrawal)
{
    struct envelope envelope;
    struct record parsed;
    struct chain chain;
    struct public_key key;
    enum withdrawal_verdict verdict;

    if (wire.size > RECORD_SIZE_MAX)
        return WITHDRAWAL_TOO_LARGE;
    if (envelope_parse(wire, ENVELOPE_RECORD, arena, &envelope) != ENVELOPE_TAKEN ||
        record_parse(envelope.body, arena, &parsed) != RECORD_OK)
        return WITHDRAWAL_MALFORMED;
    if (chain_open(chain_wire, arena, &chain) != CERTIFICATE_TAKEN ||
        !id_equal(&chain.identity, &parsed.owner) || !id_equal(&envelope.signer, &parsed.owner) ||
        chain_key_at(&chain, parsed.version.ms, &key) != CERTIFICATE_TAKEN ||
        envelope_verify(&envelope, &key, NULL) != ENVELOPE_TAKEN)
        return WITHDRAWAL_BAD_SIGNATURE;
    verdict = withdrawal_read(&parsed, arena, withdrawal);
    if (verdict == WITHDRAWAL_OK)
        *record = parsed;
    return verdict;
}

/* ---- making one ---- */

/* The identity that carries it: born to be revoked. */
static struct bytes make_carrier(const struct withdrawal_wish *wish, const struct identity_key *key,
                                 struct arena *arena, struct id *carrier)
{
    struct identity_key *next = identity_key_new(wish->seeds[1]);
    struct public_key next_public = identity_key_public(next);
    struct certificate_wish birth = {
        .kind = IDENTITY_OPERATOR,
        .display_name = bytes_of_text("withdrawal"),
        .issued_ms = wish->until_ms,
        .not_after_ms = wish->until_ms + CERTIFICATE_LIFE_MS,
        .next_key_hash = identity_key_hash(&next_public),
    };
    struct bytes certificate = certificate_make(&birth, key, arena, carrier);

    identity_key_free(next);
    return chain_pack(&certificate, 1, arena);
}

static struct bytes sign_word(const struct withdrawal_wish *wish, const struct id *carrier,
                              struct arena *arena)
{
    Duck__WithdrawalBody message = DUCK__WITHDRAWAL_BODY__INIT;
    uint8_t *data;

    message.network = lent(wish->network);
    message.operator_ = lent(id_bytes(&wish->operator_id));
    message.subject = lent(id_bytes(&wish->subject));
    message.carrier = lent(id_bytes(carrier));
    message.until_ms = wish->until_ms;
    data = arena_take(arena, duck__withdrawal_body__get_packed_size(&message));
    if (!data)
        return bytes_of(NULL, 0);
    return envelope_seal(ENVELOPE_WITHDRAWAL, &wish->operator_id, wish->operator_key,
                         bytes_of(data, duck__withdrawal_body__pack(&message, data)), arena, NULL);
}

enum withdrawal_verdict withdrawal_make(const struct withdrawal_wish *wish, struct arena *arena,
                                        struct bytes *wire, struct bytes *chain)
{
    struct identity_key *key = identity_key_new(wish->seeds[0]);
    struct record record = {.network = wish->network,
                            .kind = RECORD_REVOCATION,
                            .version = {wish->until_ms, 0},
                            .not_after_ms = wish->until_ms + WITHDRAWAL_LIFE_MS};
    struct revocation_content content = {.reason = bytes_of_text("takes vouchers back"),
                                         .revoked_at_ms = wish->until_ms,
                                         .chain = wish->operator_chain};
    enum record_verdict form;
    struct bytes body;

    *wire = bytes_of(NULL, 0);
    *chain = make_carrier(wish, key, arena, &record.owner);
    content.subject = record.owner;
    content.withdrawal = sign_word(wish, &record.owner, arena);
    record.content = revocation_content_pack(&content, arena);
    form = record.content.data ? record_pack(&record, arena, &body) : RECORD_TOO_LARGE;
    if (form == RECORD_OK)
        *wire = envelope_seal(ENVELOPE_RECORD, &record.owner, key, body, arena, NULL);
    identity_key_free(key);
    if (form == RECORD_OK)
        return WITHDRAWAL_OK;
    return form == RECORD_TOO_LARGE ? WITHDRAWAL_TOO_LARGE : WITHDRAWAL_MALFORMED;
}
