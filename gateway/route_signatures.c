/* Ducklings that keep their own keys: what waits for their signatures, and pecks that they have signed. */
#include "route_signatures.h"
#include "core/binary_data.h"
#include "core/peck.h"
#include "exchange.h"
#include "form.h"
#include "wire/local.pb-c.h"

#define NUMBER_MAX ((1ull << 53) - 1) /* that every reader of JSON reads */

/* ---- what waits ---- */

static bool read_type(const char *text, enum envelope_type *type)
{
    static const enum envelope_type types[] = {ENVELOPE_RECORD, ENVELOPE_RECEIPT};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(text, envelope_type_name(types[i]))) {
            *type = types[i];
            return true;
        }
    return false;
}

static json_t *view_wanted(const Duck__WantedView *wanted)
{
    struct bytes body = borrowed(wanted->body);
    json_t *object = json_object();
    enum envelope_type type;
    struct arena arena;

    reply_word(object, "id", wanted->id);
    reply_number(object, "number", wanted->number);
    reply_word(object, "type", wanted->type);
    reply_word(object, "why", wanted->why);
    reply_word(object, "peck_id", wanted->peck_id);
    reply_date(object, "asked_at", wanted->asked_ms);
    reply_date(object, "until", wanted->until_ms);
    reply_base64(object, "body", body);
    if (!read_type(wanted->type, &type))
        return object; /* of a later node: who signs it knows how */
    arena_init(&arena, body.size + KIB);
    reply_base64(object, "to_sign", envelope_to_sign(type, body, &arena));
    arena_free(&arena);
    return object;
}

static void tell_wanted(struct exchange *exchange)
{
    const Duck__WantedList *found = exchange->reply->wanted;
    json_t *object = json_object(), *list = json_array();

    for (size_t i = 0; i < found->n_wanted; i++)
        json_array_append_new(list, view_wanted(found->wanted[i]));
    json_object_set_new(object, "signatures", list);
    exchange_answer(exchange, 200, object);
}

void route_signatures(struct exchange *exchange)
{
    Duck__WantedQuery query = DUCK__WANTED_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    if (!exchange_acting(exchange, false) || !query_wait(exchange, &query.wait_ms) ||
        !query_integer(exchange, "after", 0, NUMBER_MAX, &query.after))
        return;
    query.duckling = exchange->acting_text;
    request.order_case = DUCK__REQUEST__ORDER_WANTED;
    request.wanted = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_WANTED, query.wait_ms, tell_wanted);
}

static void tell_signed(struct exchange *exchange)
{
    json_t *object = json_object();

    reply_word(object, "status", "signed");
    reply_word(object, "peck_status", exchange->reply->done->state);
    exchange_answer(exchange, 200, object);
}

void route_sign(struct exchange *exchange)
{
    Duck__SignOrder order = DUCK__SIGN_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct bytes signature = {0};
    const char *id = NULL;

    if (!exchange_acting(exchange, true) ||
        !form_id(exchange, "id", FORM_REQUIRED, ID_WANTED, &id) ||
        !form_base64(exchange, "signature", FORM_REQUIRED, SIGNATURE_SIZE, &signature))
        return;
    if (signature.size != SIGNATURE_SIZE) {
        form_refuse(exchange, "bad_member", "signature", "a signature is %u bytes, in base64",
                    SIGNATURE_SIZE);
        return;
    }
    order.duckling = exchange->acting_text;
    order.id = (char *)id;
    order.signature = lent(signature);
    request.order_case = DUCK__REQUEST__ORDER_SIGN;
    request.sign = &order;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_DONE, 0, tell_signed);
}

bool told_to_sign(struct exchange *exchange)
{
    const char *waits_for = exchange->reply->done->waits_for;
    json_t *object;

    if (!*waits_for)
        return false;
    object = json_object();
    reply_word(object, "duckling_id", exchange->acting_text);
    reply_word(object, "status", "to_sign");
    reply_word(object, "waits_for", waits_for);
    exchange_answer(exchange, 202, object);
    return true;
}

/* ---- pecks that were signed elsewhere ---- */

static bool stands_alone(struct exchange *exchange)
{
    static const char *const others[] = {
        "target", "target_duckling_id", "action",     "payload", "peck_type", "scopes", "message",
        "thread", "reply_to",           "expires_in", "grant",   "context"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (form_has(exchange, others[i])) {
            form_refuse(exchange, "bad_member", others[i],
                        "what is signed says all of the peck: name nothing else beside it");
            return false;
        }
    return true;
}

/* What it says of itself must be what the call says. The node judges all the rest. */
static const char *judge(const struct exchange *exchange, struct bytes wire, struct arena *arena)
{
    struct bytes key = exchange->headers.idempotency_key;
    struct envelope envelope;
    struct peck peck;
    enum envelope_verdict verdict = envelope_parse(wire, ENVELOPE_PECK, arena, &envelope);
    enum peck_verdict form;

    if (verdict != ENVELOPE_TAKEN)
        return envelope_verdict_text(verdict);
    form = peck_parse_named(envelope.body, &envelope.hash, arena, &peck);
    if (form != PECK_OK)
        return peck_verdict_text(form);
    if (!id_equal(&peck.from, &exchange->acting))
        return "another duckling made this peck";
    if (key.data && !bytes_equal(key, peck.idempotency_key))
        return "the Idempotency-Key is not the one that is signed with the peck";
    return NULL;
}

bool made_of_body(struct exchange *exchange, Duck__SendOrder *order)
{
    struct bytes wire = {0};
    struct arena arena;
    const char *wrong;

    if (!exchange_acting(exchange, true) ||
        !form_base64(exchange, "signed", FORM_REQUIRED, envelope_size_max(ENVELOPE_PECK), &wire) ||
        !stands_alone(exchange) || !form_wait(exchange, &order->wait_ms))
        return false;
    arena_init(&arena, PARSE_BUDGET(wire.size));
    wrong = judge(exchange, wire, &arena);
    arena_free(&arena);
    if (wrong) {
        form_refuse(exchange, "bad_member", "signed", "%s", wrong);
        return false;
    }
    order->from = exchange->acting_text;
    order->made = lent(wire);
    order->wait_for = order->wait_ms ? DUCK__WAIT_FOR__WAIT_DONE : DUCK__WAIT_FOR__WAIT_QUEUED;
    return true;
}
