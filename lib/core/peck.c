#include "peck.h"

#include "binary_data.h"
#include "wire/peck.pb-c.h"

const char *peck_verdict_text(enum peck_verdict verdict)
{
    switch (verdict) {
    case PECK_OK:
        return "fine";
    case PECK_MALFORMED:
        return "the peck has a field that is missing or of a wrong length";
    case PECK_PAYLOAD_TOO_LARGE:
        return "a payload is at most 262144 bytes";
    case PECK_BAD_NAME:
        return "an action is 1 to 128 of a-z, 0-9, '_', '.', '-'; a scope may end in '*'";
    case PECK_BAD_TEXT:
        return "a payload is UTF-8, a message at most 1024 bytes of it, a thread at most 64 of "
               "printable ASCII";
    case PECK_BAD_TIMES:
        return "a peck lives from 1 ms to 7 days";
    case PECK_OTHER_NETWORK:
        return "the peck is made for another network";
    case PECK_TO_SELF:
        return "a duckling cannot peck itself";
    }
    return "";
}

static const char *const state_names[] = {
    [PECK_QUEUED] = "queued",       [PECK_SENT] = "sent",         [PECK_TAKEN] = "taken",
    [PECK_PENDING] = "pending",     [PECK_APPROVED] = "approved", [PECK_DENIED] = "denied",
    [PECK_ANSWERED] = "answered",   [PECK_FAILED] = "failed",     [PECK_EXPIRED] = "expired",
    [PECK_CANCELLED] = "cancelled",
};

const char *peck_state_name(enum peck_state state)
{
    if (state < PECK_QUEUED || state > PECK_CANCELLED)
        return "";
    return state_names[state];
}

bool peck_state_parse(struct bytes name, enum peck_state *state)
{
    for (int i = PECK_QUEUED; i <= PECK_CANCELLED; i++)
        if (bytes_equal(name, bytes_of_text(state_names[i]))) {
            *state = (enum peck_state)i;
            return true;
        }
    return false;
}

bool peck_state_is_done(enum peck_state state, enum peck_kind kind)
{
    return state >= PECK_DENIED || (state == PECK_APPROVED && kind == PECK_BOND_REQUEST);
}

/* ---- scopes ---- */

bool peck_scope_is_valid(struct bytes scope)
{
    struct bytes name = scope;

    if (scope.size == 0 || scope.size > PECK_ACTION_MAX)
        return false;
    if (name.data[name.size - 1] == '*') {
        name.size--;
        if (name.size > 0 && name.data[name.size - 1] != '.')
            return false; /* "*" or "data.*", not "da*" */
    }
    return bytes_are_name(name);
}

bool peck_scope_covers(struct bytes scope, struct bytes action)
{
    if (scope.size > 0 && scope.data[scope.size - 1] == '*')
        return action.size >= scope.size && memcmp(scope.data, action.data, scope.size - 1) == 0;
    return bytes_equal(scope, action);
}

/* ---- judging ---- */

static bool is_printable(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7E)
            return false;
    return true;
}

static enum peck_verdict judge_action(const struct peck *peck)
{
    if (peck->scope_count > 0 || peck->message.size > 0)
        return PECK_MALFORMED;
    if (peck->action.size == 0 || peck->action.size > PECK_ACTION_MAX ||
        !bytes_are_name(peck->action))
        return PECK_BAD_NAME;
    if (peck->payload.size > PECK_PAYLOAD_MAX)
        return PECK_PAYLOAD_TOO_LARGE;
    if (peck->payload.size == 0)
        return PECK_MALFORMED;
    return bytes_may_be_json(peck->payload) ? PECK_OK : PECK_BAD_TEXT;
}

static enum peck_verdict judge_bond_request(const struct peck *peck)
{
    if (peck->action.size > 0 || peck->payload.size > 0 || peck->scope_count == 0 ||
        peck->grant.size > 0)
        return PECK_MALFORMED;
    for (size_t i = 0; i < peck->scope_count; i++)
        if (!peck_scope_is_valid(peck->scopes[i]))
            return PECK_BAD_NAME;
    if (peck->message.size > PECK_MESSAGE_MAX || !bytes_are_text(peck->message, true))
        return PECK_BAD_TEXT;
    return PECK_OK;
}

static enum peck_verdict judge(const struct peck *peck)
{
    enum peck_verdict verdict;

    if (peck->network.size == 0 || peck->network.size > NETWORK_ID_MAX ||
        peck->grant.size > GRANT_SIZE_MAX ||
        peck->idempotency_key.size > PECK_IDEMPOTENCY_KEY_MAX ||
        (peck->trace.size != 0 && peck->trace.size != PECK_TRACE_SIZE))
        return PECK_MALFORMED;
    verdict = peck->kind == PECK_ACTION ? judge_action(peck) : judge_bond_request(peck);
    if (verdict != PECK_OK)
        return verdict;
    if (peck->thread.size > PECK_THREAD_MAX || !is_printable(peck->thread) ||
        !is_printable(peck->trace) || !is_printable(peck->idempotency_key))
        return PECK_BAD_TEXT;
    if (peck->created_ms == 0 || peck->expires_ms <= peck->created_ms ||
        peck->expires_ms - peck->created_ms > PECK_LIFE_MAX_MS)
        return PECK_BAD_TIMES;
    if (id_equal(&peck->from, &peck->to))
        return PECK_TO_SELF;
    return PECK_OK;
}

static void name(struct peck *peck, const struct hash *hash)
{
    peck->hash = *hash;
    peck->id = id_of(hash);
}

/* ---- reading ---- */

static bool read_ids(const Duck__PeckBody *body, struct peck *peck)
{
    if (!id_from_bytes(borrowed(body->from), &peck->from) ||
        !id_from_bytes(borrowed(body->to), &peck->to) || body->nonce.len != sizeof peck->nonce)
        return false;
    memcpy(peck->nonce, body->nonce.data, sizeof peck->nonce);
    return body->reply_to.len == 0 || id_from_bytes(borrowed(body->reply_to), &peck->reply_to);
}

enum peck_verdict peck_parse_named(struct bytes body, const struct hash *hash, struct arena *arena,
                                   struct peck *peck)
{
    struct peck parsed = {0};
    Duck__PeckBody *message;
    enum peck_verdict verdict;

    if (body.size > PECK_BODY_MAX)
        return PECK_PAYLOAD_TOO_LARGE;
    message = duck__peck_body__unpack(arena_protobuf_allocator(arena), body.size, body.data);
    if (!message || !read_ids(message, &parsed) || message->n_scopes > PECK_SCOPES_MAX ||
        (message->kind != PECK_ACTION && message->kind != PECK_BOND_REQUEST))
        return PECK_MALFORMED;
    parsed.network = borrowed(message->network);
    parsed.kind = (enum peck_kind)message->kind;
    parsed.action = borrowed(message->action);
    parsed.payload = borrowed(message->payload);
    parsed.scope_count = message->n_scopes;
    for (size_t i = 0; i < message->n_scopes; i++)
        parsed.scopes[i] = borrowed(message->scopes[i]);
    parsed.message = borrowed(message->message);
    parsed.thread = borrowed(message->thread);
    parsed.created_ms = message->created_ms;
    parsed.expires_ms = message->expires_ms;
    parsed.idempotency_key = borrowed(message->idempotency_key);
    parsed.trace = borrowed(message->trace);
    parsed.grant = borrowed(message->grant);
    verdict = judge(&parsed);
    if (verdict != PECK_OK)
        return verdict;
    name(&parsed, hash);
    *peck = parsed;
    return PECK_OK;
}

enum peck_verdict peck_parse(struct bytes body, struct arena *arena, struct peck *peck)
{
    struct hash hash;

    if (body.size > PECK_BODY_MAX)
        return PECK_PAYLOAD_TOO_LARGE;
    hash = envelope_hash(ENVELOPE_PECK, body);
    return peck_parse_named(body, &hash, arena, peck);
}

/* ---- making ---- */

enum peck_verdict peck_pack(struct peck *peck, struct arena *arena, struct bytes *body)
{
    Duck__PeckBody message = DUCK__PECK_BODY__INIT;
    ProtobufCBinaryData scopes[PECK_SCOPES_MAX];
    enum peck_verdict verdict;
    struct hash hash;
    uint8_t *data;

    *body = bytes_of(NULL, 0);
    if (peck->scope_count > PECK_SCOPES_MAX ||
        (peck->kind != PECK_ACTION && peck->kind != PECK_BOND_REQUEST))
        return PECK_MALFORMED;
    verdict = judge(peck);
    if (verdict != PECK_OK)
        return verdict;
    message.network = lent(peck->network);
    message.from = lent(id_bytes(&peck->from));
    message.to = lent(id_bytes(&peck->to));
    message.kind = (uint32_t)peck->kind;
    message.action = lent(peck->action);
    message.payload = lent(peck->payload);
    for (size_t i = 0; i < peck->scope_count; i++)
        scopes[i] = lent(peck->scopes[i]);
    message.n_scopes = peck->scope_count;
    message.scopes = scopes;
    message.message = lent(peck->message);
    message.thread = lent(peck->thread);
    if (!id_is_zero(&peck->reply_to))
        message.reply_to = lent(id_bytes(&peck->reply_to));
    message.created_ms = peck->created_ms;
    message.expires_ms = peck->expires_ms;
    message.idempotency_key = lent(peck->idempotency_key);
    message.nonce = lent(bytes_of(peck->nonce, sizeof peck->nonce));
    message.trace = lent(peck->trace);
    message.grant = lent(peck->grant);
    data = arena_take(arena, duck__peck_body__get_packed_size(&message));
    if (!data)
        return PECK_MALFORMED;
    *body = bytes_of(data, duck__peck_body__pack(&message, data));
    hash = envelope_hash(ENVELOPE_PECK, *body);
    name(peck, &hash);
    return PECK_OK;
}

bool peck_same_content(const struct peck *left, const struct peck *right)
{
    if (!id_equal(&left->to, &right->to) || left->kind != right->kind ||
        left->scope_count != right->scope_count || !bytes_equal(left->action, right->action) ||
        !bytes_equal(left->payload, right->payload) ||
        !bytes_equal(left->message, right->message) || !bytes_equal(left->thread, right->thread) ||
        !bytes_equal(left->grant, right->grant) || !id_equal(&left->reply_to, &right->reply_to))
        return false;
    for (size_t i = 0; i < left->scope_count; i++)
        if (!bytes_equal(left->scopes[i], right->scopes[i]))
            return false;
    return true;
}
