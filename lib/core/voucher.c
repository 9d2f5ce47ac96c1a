#include "voucher.h"

#include "binary_data.h"
#include "wire/voucher.pb-c.h"

#define LABEL_MAX 63 /* bytes, RFC 1035, section 2.3.4 */

const char *voucher_verdict_text(enum voucher_verdict verdict)
{
    switch (verdict) {
    case VOUCHER_OK:
        return "fine";
    case VOUCHER_MALFORMED:
        return "the voucher has a field that is missing or of a wrong length";
    case VOUCHER_TOO_LARGE:
        return "a voucher is at most 1024 bytes";
    case VOUCHER_BAD_DOMAIN:
        return "the voucher's domain is no lower-case host name";
    case VOUCHER_BAD_TIMES:
        return "the voucher ends before it begins, or lives longer than 90 days";
    case VOUCHER_NO_OPERATOR:
        return "the voucher's signer is no operator with certificates that hold";
    case VOUCHER_BAD_SIGNATURE:
        return "the voucher is not signed with the operator's key of that time";
    }
    return "";
}

/* RFC 1123, section 2.1, in lower case; with a dot, so that no name of a local network passes. */
bool domain_is_valid(struct bytes domain)
{
    size_t label = 0, dots = 0;

    if (domain.size == 0 || domain.size > VOUCHER_DOMAIN_MAX)
        return false;
    for (size_t i = 0; i < domain.size; i++) {
        char c = (char)domain.data[i];
        bool is_end = i + 1 == domain.size || domain.data[i + 1] == '.';

        if (c == '.') {
            if (label == 0)
                return false;
            dots++;
            label = 0;
            continue;
        }
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              (c == '-' && label > 0 && !is_end)) ||
            ++label > LABEL_MAX)
            return false;
    }
    return dots > 0 && label > 0;
}

static enum voucher_verdict judge(const struct voucher *voucher)
{
    if (voucher->network.size == 0 || voucher->network.size > NETWORK_ID_MAX ||
        id_is_zero(&voucher->operator_id) || voucher->issued_ms == 0 ||
        id_is_zero(&voucher->subject) == (voucher->domain.size == 0))
        return VOUCHER_MALFORMED;
    if (voucher->domain.size > 0 && !domain_is_valid(voucher->domain))
        return VOUCHER_BAD_DOMAIN;
    if (voucher->not_after_ms <= voucher->issued_ms ||
        voucher->not_after_ms - voucher->issued_ms > VOUCHER_LIFE_MAX_MS)
        return VOUCHER_BAD_TIMES;
    return VOUCHER_OK;
}

enum voucher_verdict voucher_parse(struct bytes body, struct arena *arena, struct voucher *voucher)
{
    struct voucher parsed = {0};
    Duck__VoucherBody *message;
    enum voucher_verdict verdict;

    if (body.size > VOUCHER_SIZE_MAX)
        return VOUCHER_TOO_LARGE;
    message = duck__voucher_body__unpack(arena_protobuf_allocator(arena), body.size, body.data);
    if (!message || message->base.n_unknown_fields > 0 ||
        !id_from_bytes(borrowed(message->operator_), &parsed.operator_id) ||
        (message->subject.len > 0 && !id_from_bytes(borrowed(message->subject), &parsed.subject)))
        return VOUCHER_MALFORMED;
    parsed.network = borrowed(message->network);
    parsed.domain = borrowed(message->domain);
    parsed.issued_ms = message->issued_ms;
    parsed.not_after_ms = message->not_after_ms;
    verdict = judge(&parsed);
    if (verdict == VOUCHER_OK)
        *voucher = parsed;
    return verdict;
}

enum voucher_verdict voucher_pack(const struct voucher *voucher, struct arena *arena,
                                  struct bytes *body)
{
    Duck__VoucherBody message = DUCK__VOUCHER_BODY__INIT;
    enum voucher_verdict verdict = judge(voucher);
    uint8_t *data;

    *body = bytes_of(NULL, 0);
    if (verdict != VOUCHER_OK)
        return verdict;
    message.network = lent(voucher->network);
    message.operator_ = lent(id_bytes(&voucher->operator_id));
    if (!id_is_zero(&voucher->subject))
        message.subject = lent(id_bytes(&voucher->subject));
    message.domain = lent(voucher->domain);
    message.issued_ms = voucher->issued_ms;
    message.not_after_ms = voucher->not_after_ms;
    data = arena_take(arena, duck__voucher_body__get_packed_size(&message));
    if (!data)
        return VOUCHER_TOO_LARGE;
    *body = bytes_of(data, duck__voucher_body__pack(&message, data));
    return VOUCHER_OK;
}

enum voucher_verdict voucher_open(struct bytes wire, struct bytes chain_wire, struct arena *arena,
                                  struct voucher *voucher)
{
    struct envelope envelope;
    struct voucher parsed;
    struct chain chain;
    struct public_key key;
    enum voucher_verdict verdict;

    if (wire.size > VOUCHER_SIZE_MAX)
        return VOUCHER_TOO_LARGE;
    if (envelope_parse(wire, ENVELOPE_VOUCHER, arena, &envelope) != ENVELOPE_TAKEN)
        return VOUCHER_MALFORMED;
    verdict = voucher_parse(envelope.body, arena, &parsed);
    if (verdict != VOUCHER_OK)
        return verdict;
    if (chain_open(chain_wire, arena, &chain) != CERTIFICATE_TAKEN ||
        chain.kind != IDENTITY_OPERATOR || !id_equal(&chain.identity, &parsed.operator_id) ||
        !id_equal(&envelope.signer, &parsed.operator_id))
        return VOUCHER_NO_OPERATOR;
    if (chain_key_at(&chain, parsed.issued_ms, &key) != CERTIFICATE_TAKEN ||
        envelope_verify(&envelope, &key, NULL) != ENVELOPE_TAKEN)
        return VOUCHER_BAD_SIGNATURE;
    *voucher = parsed;
    return VOUCHER_OK;
}
