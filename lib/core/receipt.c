#include "receipt.h"

#include "binary_data.h"
#include "wire/receipt.pb-c.h"

const char *receipt_verdict_text(enum receipt_verdict verdict)
{
    switch (verdict) {
    case RECEIPT_OK:
        return "fine";
    case RECEIPT_MALFORMED:
        return "the receipt has a field that is missing or of a wrong length";
    case RECEIPT_TOO_LARGE:
        return "a result is at most 262144 bytes, a problem at most 1024";
    case RECEIPT_BAD_STATE:
        return "the receipt says a state that its kind cannot say";
    case RECEIPT_BAD_TEXT:
        return "the receipt's problem is not text, or a scope is not a name";
    case RECEIPT_BAD_TERMS:
        return "the receipt names terms that no bond can have, or an answer that costs too much";
    }
    return "";
}

const char *receipt_kind_name(enum receipt_kind kind)
{
    return kind == RECEIPT_TAKEN ? "taken" : kind == RECEIPT_DONE ? "done" : "";
}

static bool can_say(enum receipt_kind kind, enum peck_state state)
{
    switch (state) {
    case PECK_TAKEN:
    case PECK_PENDING:
        return kind == RECEIPT_TAKEN;
    case PECK_APPROVED:
        return true;
    case PECK_DENIED:
    case PECK_ANSWERED:
    case PECK_FAILED:
    case PECK_EXPIRED:
        return kind == RECEIPT_DONE;
    case PECK_QUEUED:
    case PECK_SENT:
    case PECK_CANCELLED:
        return false;
    }
    return false;
}

static bool has_problem(enum peck_state state)
{
    return state == PECK_DENIED || state == PECK_FAILED || state == PECK_EXPIRED;
}

static enum receipt_verdict judge_bond(const struct receipt *receipt)
{
    const char *field;

    if (receipt->scope_count == 0 || receipt->bond_not_after_ms <= receipt->at_ms)
        return RECEIPT_MALFORMED;
    for (size_t i = 0; i < receipt->scope_count; i++)
        if (!peck_scope_is_valid(receipt->scopes[i]))
            return RECEIPT_BAD_TEXT;
    return bond_terms_judge(&receipt->terms, &field) ? RECEIPT_BAD_TERMS : RECEIPT_OK;
}

static enum receipt_verdict judge(const struct receipt *receipt)
{
    bool makes_bond = receipt->kind == RECEIPT_DONE && receipt->state == PECK_APPROVED;

    if (receipt->network.size == 0 || receipt->network.size > NETWORK_ID_MAX ||
        receipt->at_ms == 0 || receipt->scope_count > PECK_SCOPES_MAX)
        return RECEIPT_MALFORMED;
    if (receipt->kind != RECEIPT_TAKEN && receipt->kind != RECEIPT_DONE)
        return RECEIPT_MALFORMED;
    if (!can_say(receipt->kind, receipt->state))
        return RECEIPT_BAD_STATE;
    if (receipt->result.size > PECK_PAYLOAD_MAX || receipt->problem.size > RECEIPT_PROBLEM_MAX)
        return RECEIPT_TOO_LARGE;
    if (receipt->result.size > 0 && receipt->state != PECK_ANSWERED)
        return RECEIPT_MALFORMED;
    if (receipt->problem.size > 0 && !has_problem(receipt->state))
        return RECEIPT_MALFORMED;
    if (receipt->result.size > 0 && !bytes_may_be_json(receipt->result))
        return RECEIPT_BAD_TEXT;
    if (!bytes_are_text(receipt->problem, true))
        return RECEIPT_BAD_TEXT;
    if (receipt->charged > 0 && receipt->state != PECK_ANSWERED)
        return RECEIPT_MALFORMED;
    if (receipt->charged > ANSWER_CHARGE_MAX)
        return RECEIPT_BAD_TERMS;
    if (makes_bond)
        return judge_bond(receipt);
    if (receipt->scope_count > 0 || receipt->bond_not_after_ms > 0 ||
        !bond_terms_are_none(&receipt->terms))
        return RECEIPT_MALFORMED;
    return RECEIPT_OK;
}

static void read_terms(const Duck__ReceiptBody *message, struct bond_terms *terms)
{
    terms->per_minute = message->bond_per_minute;
    terms->per_day = message->bond_per_day;
    terms->budget = message->bond_budget;
    terms->rounds = message->bond_rounds;
    terms->cool_down_ms = message->bond_cool_down_ms;
    terms->muted_until_ms = message->bond_muted_until_ms;
    terms->stop_word_count = message->n_bond_stop_words;
    for (size_t i = 0; i < message->n_bond_stop_words; i++)
        terms->stop_words[i] = borrowed(message->bond_stop_words[i]);
}

/* `stop_words` are for the message to point to. */
static void write_terms(const struct bond_terms *terms, Duck__ReceiptBody *message,
                        ProtobufCBinaryData stop_words[BOND_STOP_WORDS_MAX])
{
    message->bond_per_minute = terms->per_minute;
    message->bond_per_day = terms->per_day;
    message->bond_budget = terms->budget;
    message->bond_rounds = terms->rounds;
    message->bond_cool_down_ms = terms->cool_down_ms;
    message->bond_muted_until_ms = terms->muted_until_ms;
    for (size_t i = 0; i < terms->stop_word_count; i++)
        stop_words[i] = lent(terms->stop_words[i]);
    message->n_bond_stop_words = terms->stop_word_count;
    message->bond_stop_words = stop_words;
}

enum receipt_verdict receipt_parse(struct bytes body, struct arena *arena, struct receipt *receipt)
{
    struct receipt parsed = {0};
    Duck__ReceiptBody *message;
    enum receipt_verdict verdict;

    if (body.size > RECEIPT_BODY_MAX)
        return RECEIPT_TOO_LARGE;
    message = duck__receipt_body__unpack(arena_protobuf_allocator(arena), body.size, body.data);
    if (!message || message->peck.len != HASH_SIZE ||
        !id_from_bytes(borrowed(message->from), &parsed.from) ||
        !id_from_bytes(borrowed(message->to), &parsed.to) || message->n_scopes > PECK_SCOPES_MAX ||
        message->n_bond_stop_words > BOND_STOP_WORDS_MAX || message->state > PECK_CANCELLED)
        return RECEIPT_MALFORMED;
    memcpy(parsed.peck.bytes, message->peck.data, HASH_SIZE);
    parsed.network = borrowed(message->network);
    parsed.kind = (enum receipt_kind)message->kind;
    parsed.state = (enum peck_state)message->state;
    parsed.result = borrowed(message->result);
    parsed.problem = borrowed(message->problem);
    parsed.at_ms = message->at_ms;
    parsed.scope_count = message->n_scopes;
    for (size_t i = 0; i < message->n_scopes; i++)
        parsed.scopes[i] = borrowed(message->scopes[i]);
    parsed.bond_not_after_ms = message->bond_not_after_ms;
    read_terms(message, &parsed.terms);
    parsed.charged = message->charged;
    verdict = judge(&parsed);
    if (verdict == RECEIPT_OK)
        *receipt = parsed;
    return verdict;
}

enum receipt_verdict receipt_pack(const struct receipt *receipt, struct arena *arena,
                                  struct bytes *body)
{
    Duck__ReceiptBody message = DUCK__RECEIPT_BODY__INIT;
    ProtobufCBinaryData scopes[PECK_SCOPES_MAX], stop_words[BOND_STOP_WORDS_MAX];
    enum receipt_verdict verdict = judge(receipt);
    uint8_t *data;

    *body = bytes_of(NULL, 0);
    if (verdict != RECEIPT_OK)
        return verdict;
    message.network = lent(receipt->network);
    message.peck = lent(bytes_of(receipt->peck.bytes, HASH_SIZE));
    message.from = lent(id_bytes(&receipt->from));
    message.to = lent(id_bytes(&receipt->to));
    message.kind = (uint32_t)receipt->kind;
    message.state = (uint32_t)receipt->state;
    message.result = lent(receipt->result);
    message.problem = lent(receipt->problem);
    message.at_ms = receipt->at_ms;
    for (size_t i = 0; i < receipt->scope_count; i++)
        scopes[i] = lent(receipt->scopes[i]);
    message.n_scopes = receipt->scope_count;
    message.scopes = scopes;
    message.bond_not_after_ms = receipt->bond_not_after_ms;
    write_terms(&receipt->terms, &message, stop_words);
    message.charged = receipt->charged;
    data = arena_take(arena, duck__receipt_body__get_packed_size(&message));
    if (!data)
        return RECEIPT_TOO_LARGE;
    *body = bytes_of(data, duck__receipt_body__pack(&message, data));
    return RECEIPT_OK;
}
