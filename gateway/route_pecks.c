/* Pecks: sent, looked up, taken from the inbox, answered. */
#include "client/duck_client.h"
#include "client/duck_grant.h"
#include "core/binary_data.h"
#include "core/peck.h"
#include "exchange.h"
#include "form.h"
#include "peck_owner.h"
#include "route_partials.h"
#include "route_signatures.h"
#include "view.h"
#include "wire/local.pb-c.h"

#define LIST_MAX 200u
#define TAKE_MAX 200u
#define STATES_MAX 10u /* there are no more */
#define CURSOR_MAX 512u
#define GIVE_BACK_MS 5000u

/* ---- sending ---- */

static bool read_target(struct exchange *exchange, Duck__SendOrder *order)
{
    const char *target = NULL, *other = NULL;

    if (!form_id(exchange, "target", FORM_OPTIONAL, ID_DUCKLING, &target) ||
        !form_id(exchange, "target_duckling_id", FORM_OPTIONAL, ID_DUCKLING, &other))
        return false;
    if (!target == !other) {
        form_refuse(exchange, target ? "bad_member" : "missing_member", "target",
                    "name one target, as target or as target_duckling_id");
        return false;
    }
    order->to = (char *)(target ? target : other);
    return true;
}

static bool read_action(struct exchange *exchange, Duck__SendOrder *order)
{
    struct bytes payload = bytes_of_text("{}");
    const char *action = NULL;

    if (!form_text(exchange, "action", FORM_REQUIRED, PECK_ACTION_MAX, &action))
        return false;
    if (form_has(exchange, "scopes") || form_has(exchange, "message")) {
        form_refuse(exchange, "bad_member", form_has(exchange, "scopes") ? "scopes" : "message",
                    "an action has a payload; scopes and message belong to a bond request");
        return false;
    }
    form_json(exchange, "payload", &payload);
    if (payload.size > PECK_PAYLOAD_MAX) {
        exchange_say_no(exchange, 413, "too_large", "payload", "a payload is at most %u bytes",
                        PECK_PAYLOAD_MAX);
        return false;
    }
    order->kind = PECK_ACTION;
    order->action = lent_bytes(action);
    order->payload = lent(payload);
    return true;
}

/* What bytes can show is shown at once; the rest is for the nodes to say. */
static bool read_grant(struct exchange *exchange, Duck__SendOrder *order)
{
    const char *text = NULL, *problem;
    struct duck_grant *grant;
    const void *data;
    size_t size;

    if (!form_text(exchange, "grant", FORM_OPTIONAL, DUCK_GRANT_TEXT_MAX, &text))
        return false;
    if (!text)
        return true;
    if (order->kind != PECK_ACTION) {
        form_refuse(exchange, "bad_member", "grant",
                    "a grant allows actions; a request for a bond carries none");
        return false;
    }
    grant = duck_grant_open(text, &problem);
    if (!grant) {
        form_refuse(exchange, "bad_member", "grant", "%s", problem);
        return false;
    }
    data = duck_grant_bytes(grant, &size);
    order->grant = lent(arena_copy(&exchange->arena, bytes_of(data, size)));
    duck_grant_free(grant);
    return true;
}

static bool read_context(struct exchange *exchange, Duck__SendOrder *order)
{
    const char *text = NULL;

    if (!form_text(exchange, "context", FORM_OPTIONAL, NAME_MAX_BYTES, &text))
        return false;
    if (text && *text && order->kind != PECK_ACTION) {
        form_refuse(exchange, "bad_member", "context",
                    "only actions are pecked under a context; a request for a bond is not");
        return false;
    }
    order->context = lent_bytes(text);
    return true;
}

static bool read_scopes(struct exchange *exchange, ProtobufCBinaryData **scopes, size_t *count,
                        bool *are_given)
{
    const char **texts;

    if (!form_texts(exchange, "scopes", PECK_SCOPES_MAX, PECK_ACTION_MAX, &texts, count, are_given))
        return false;
    *scopes = arena_take(&exchange->arena, (*count + 1) * sizeof **scopes);
    for (size_t i = 0; i < *count; i++)
        (*scopes)[i] = lent_bytes(texts[i]);
    return true;
}

static bool read_bond_request(struct exchange *exchange, Duck__SendOrder *order)
{
    const char *type = NULL, *message = NULL;
    bool are_given;

    if (form_has(exchange, "payload")) {
        form_refuse(exchange, "bad_member", "payload",
                    "a bond request has a message; a payload belongs to an action");
        return false;
    }
    if (!read_scopes(exchange, &order->scopes, &order->n_scopes, &are_given) ||
        !form_text(exchange, "peck_type", are_given ? FORM_OPTIONAL : FORM_REQUIRED,
                   PECK_ACTION_MAX, &type) ||
        !form_text(exchange, "message", FORM_OPTIONAL, PECK_MESSAGE_MAX, &message))
        return false;
    if (type && are_given) {
        form_refuse(exchange, "bad_member", "scopes", "either peck_type or scopes, not both");
        return false;
    }
    if (type) {
        order->scopes[0] = lent_bytes(type); /* there is room for one more than the list has */
        order->n_scopes = 1;
    }
    order->kind = PECK_BOND_REQUEST;
    order->message = lent_bytes(message);
    return true;
}

static bool read_rest(struct exchange *exchange, Duck__SendOrder *order)
{
    struct bytes key = exchange->headers.idempotency_key;
    const char *thread = NULL, *reply_to = "";
    uint64_t expires_in_s = 0;

    if (!form_text(exchange, "thread", FORM_OPTIONAL, PECK_THREAD_MAX, &thread) ||
        !form_id(exchange, "reply_to", FORM_OPTIONAL, ID_PECK, &reply_to) ||
        !form_integer(exchange, "expires_in", 1, PECK_LIFE_MAX_MS / 1000, &expires_in_s) ||
        !form_wait(exchange, &order->wait_ms))
        return false;
    order->thread = lent_bytes(thread);
    order->reply_to = (char *)reply_to;
    order->expires_in_ms = expires_in_s * 1000;
    order->idempotency_key = lent(key);
    order->trace = lent_bytes(exchange_trace(exchange));
    order->wait_for = order->wait_ms ? DUCK__WAIT_FOR__WAIT_DONE : DUCK__WAIT_FOR__WAIT_QUEUED;
    return true;
}

static void tell_sent(struct exchange *exchange)
{
    const Duck__PeckView *peck = exchange->reply->peck;

    exchange_answer(exchange, view_peck_is_done(peck) ? 200 : 202, view_peck(peck, VIEW_WHOLE));
}

static void send_order(struct exchange *exchange, Duck__SendOrder *order)
{
    Duck__Request request = DUCK__REQUEST__INIT;

    request.order_case = DUCK__REQUEST__ORDER_SEND;
    request.send = order;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_PECK, order->wait_ms, tell_sent);
}

void route_peck(struct exchange *exchange)
{
    Duck__SendOrder order = DUCK__SEND_ORDER__INIT;
    bool is_action = form_has(exchange, "action"), is_bond = form_has(exchange, "peck_type");

    if (form_has(exchange, "signed")) {
        if (made_of_body(exchange, &order))
            send_order(exchange, &order);
        return;
    }
    if (is_action && is_bond) {
        form_refuse(exchange, "bad_member", "peck_type",
                    "a peck has an action, or it asks for a bond of a peck_type");
        return;
    }
    is_bond = is_bond || (!is_action && form_has(exchange, "scopes"));
    if (!exchange_acting(exchange, true) || !read_target(exchange, &order) ||
        !(is_bond ? read_bond_request(exchange, &order) : read_action(exchange, &order)) ||
        !read_grant(exchange, &order) || !read_context(exchange, &order) ||
        !read_rest(exchange, &order))
        return;
    order.from = exchange->acting_text;
    send_order(exchange, &order);
}

/* ---- looking ---- */

static void tell_pecks(struct exchange *exchange)
{
    exchange_answer(exchange, 200, view_pecks(exchange->reply->pecks));
}

static bool read_box(struct exchange *exchange, uint32_t *box)
{
    const char *text = NULL;

    if (!query_text(exchange, "box", 8, &text))
        return false;
    if (text && strcmp(text, "in") && strcmp(text, "out")) {
        form_refuse(exchange, "bad_member", "box", "box is in or out");
        return false;
    }
    *box = !text ? 0 : !strcmp(text, "in") ? 1 : 2;
    return true;
}

/* "pending,approved": one or more states. */
static bool read_states(struct exchange *exchange, Duck__PecksQuery *query)
{
    const char *text = NULL;
    char **states = arena_take(&exchange->arena, STATES_MAX * sizeof *states);

    if (!query_text(exchange, "state", 128, &text))
        return false;
    query->states = states;
    while (text && *text) {
        size_t size = strcspn(text, ",");
        enum peck_state state;

        if (query->n_states == STATES_MAX || !peck_state_parse(bytes_of(text, size), &state)) {
            form_refuse(exchange, "bad_member", "state",
                        "state is one or more of queued, sent, taken, pending, approved, denied, "
                        "answered, failed, expired, cancelled, with commas between");
            return false;
        }
        states[query->n_states++] = (char *)peck_state_name(state);
        text += size;
        text += *text == ',';
    }
    return true;
}

void route_pecks(struct exchange *exchange)
{
    Duck__PecksQuery query = DUCK__PECKS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    const char *with = "", *thread = "", *cursor = "", *after = "";
    uint64_t limit = 0;

    if (!exchange_acting(exchange, false) || !read_box(exchange, &query.box) ||
        !read_states(exchange, &query) || !query_id(exchange, "with", ID_DUCKLING, &with) ||
        !query_text(exchange, "thread", PECK_THREAD_MAX, &thread) ||
        !query_id(exchange, "after", ID_PECK, &after) ||
        !query_text(exchange, "cursor", CURSOR_MAX, &cursor) ||
        !query_integer(exchange, "limit", 1, LIST_MAX, &limit))
        return;
    query.duckling = exchange->acting_text;
    query.after = (char *)after;
    query.with = (char *)with;
    query.thread = (char *)thread;
    query.cursor = (char *)cursor;
    query.limit = (uint32_t)limit;
    request.order_case = DUCK__REQUEST__ORDER_PECKS;
    request.pecks = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_PECKS, 0, tell_pecks);
}

static void tell_peck(struct exchange *exchange)
{
    exchange_answer(exchange, 200, view_peck(exchange->reply->peck, VIEW_WHOLE));
}

static void get_peck(struct exchange *exchange)
{
    Duck__PeckQuery query = DUCK__PECK_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    if (!query_wait(exchange, &query.wait_ms))
        return;
    query.peck_id = (char *)exchange_copy(exchange, exchange->match.id);
    query.duckling = exchange->acting_text;
    query.wait_for = query.wait_ms ? DUCK__WAIT_FOR__WAIT_DONE : DUCK__WAIT_FOR__WAIT_QUEUED;
    request.order_case = DUCK__REQUEST__ORDER_PECK;
    request.peck = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_PECK, query.wait_ms, tell_peck);
}

void route_peck_get(struct exchange *exchange)
{
    if (!form_is_id(ID_PECK, exchange->match.id)) {
        exchange_say_no(exchange, 404, "not_found", NULL, "this is not the id of a peck");
        return;
    }
    peck_owner_find(exchange, exchange_copy(exchange, exchange->match.id), PECK_END_ANY, false,
                    get_peck);
}

/* ---- the agent's side ---- */

static void forget_reply(void *context, Duck__Reply *reply)
{
    (void)context;
    duck_reply_free(reply);
}

/* The next poll gets them at once, not when their lease is over. */
static void give_back_taken(struct exchange *exchange)
{
    const Duck__PeckList *taken = exchange->reply->pecks;
    Duck__GiveBackOrder order = DUCK__GIVE_BACK_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.peck_ids = arena_take(&exchange->arena, (taken->n_pecks + 1) * sizeof *order.peck_ids);
    if (taken->n_pecks == 0 || !order.peck_ids)
        return;
    for (size_t i = 0; i < taken->n_pecks; i++)
        order.peck_ids[order.n_peck_ids++] = taken->pecks[i]->peck_id;
    order.duckling = exchange->acting_text;
    request.order_case = DUCK__REQUEST__ORDER_GIVE_BACK;
    request.give_back = &order;
    node_link_call(exchange->gateway->node, &request, GIVE_BACK_MS, forget_reply, NULL);
}

void route_inbox(struct exchange *exchange)
{
    Duck__TakeOrder order = DUCK__TAKE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    uint64_t limit = 0, lease_s = 0;

    if (!exchange_acting(exchange, false) || !query_wait(exchange, &order.wait_ms) ||
        !query_integer(exchange, "limit", 1, TAKE_MAX, &limit) ||
        !query_integer(exchange, "lease", LEASE_MIN_MS / 1000, LEASE_MAX_MS / 1000, &lease_s))
        return;
    order.duckling = exchange->acting_text;
    order.limit = (uint32_t)limit;
    order.lease_ms = lease_s * 1000;
    request.order_case = DUCK__REQUEST__ORDER_TAKE;
    request.take = &order;
    exchange->give_back = give_back_taken;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_PECKS, order.wait_ms, tell_pecks);
}

static void tell_acknowledged(struct exchange *exchange)
{
    json_t *object = json_object();

    reply_word(object, "status", "acknowledged");
    exchange_answer(exchange, 200, object);
}

void route_ack(struct exchange *exchange)
{
    Duck__AckOrder order = DUCK__ACK_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    const char **pecks = NULL, *one = NULL;
    bool are_given;

    if (!exchange_acting(exchange, false) ||
        !form_texts(exchange, "peck_ids", TAKE_MAX, ID_TEXT_SIZE, &pecks, &order.n_peck_ids,
                    &are_given) ||
        !form_id(exchange, "peck_id", FORM_OPTIONAL, ID_PECK, &one))
        return;
    if (!are_given && one) {
        pecks = &one;
        order.n_peck_ids = 1;
    }
    if ((are_given && one) || order.n_peck_ids == 0) {
        form_refuse(exchange, "missing_member", "peck_ids", "name 1 to %u pecks in peck_ids",
                    TAKE_MAX);
        return;
    }
    for (size_t i = 0; i < order.n_peck_ids; i++)
        if (!form_is_id(ID_PECK, bytes_of_text(pecks[i]))) {
            form_refuse(exchange, "bad_member", "peck_ids", "peck_ids holds what is no peck's id");
            return;
        }
    order.duckling = exchange->acting_text;
    order.peck_ids = (char **)pecks;
    request.order_case = DUCK__REQUEST__ORDER_ACK;
    request.ack = &order;
    peck_owner_call(exchange, &request, DUCK__REPLY__ANSWER_DONE, NULL, tell_acknowledged);
}

static const char *peck_of_body(struct exchange *exchange)
{
    const char *peck_id = NULL;

    return form_id(exchange, "peck_id", FORM_REQUIRED, ID_PECK, &peck_id) ? peck_id : NULL;
}

static void tell_draft(struct exchange *exchange)
{
    exchange_answer(exchange, 200, json_incref(exchange->draft));
}

/* The order tells what became of the peck; the whole of it is in the node's store. What was answered
 * stays so, should that not be told. */
static void look_at_answered(struct exchange *exchange)
{
    Duck__PeckQuery query = DUCK__PECK_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    if (exchange->reply->peck->waits_for[0]) { /* nothing has become of it yet */
        exchange_answer(exchange, 202, view_peck(exchange->reply->peck, VIEW_WHOLE));
        return;
    }
    exchange->draft = view_peck(exchange->reply->peck, VIEW_WHOLE);
    query.peck_id = (char *)peck_of_body(exchange);
    query.duckling = exchange->acting_text;
    request.order_case = DUCK__REQUEST__ORDER_PECK;
    request.peck = &query;
    exchange->refused = tell_draft;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_PECK, 0, tell_peck);
}

static void answer_peck(struct exchange *exchange)
{
    Duck__AnswerOrder order = DUCK__ANSWER_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct bytes result = bytes_of_text("null");
    const char *problem = NULL;

    if (form_has(exchange, "number")) {
        form_refuse(exchange, "bad_member", "number", "only a partial answer has a number");
        return;
    }
    if (!form_text(exchange, "problem", FORM_OPTIONAL, RECEIPT_PROBLEM_MAX, &problem))
        return;
    if (problem && form_has(exchange, "result")) {
        form_refuse(exchange, "bad_member", "problem", "either a result or a problem, not both");
        return;
    }
    if (!problem && !json_object_get(exchange->body, "result")) {
        form_refuse(exchange, "missing_member", "result", "a result or a problem is needed");
        return;
    }
    form_json(exchange, "result", &result);
    if (!problem && result.size > PECK_PAYLOAD_MAX) {
        exchange_say_no(exchange, 413, "too_large", "result", "a result is at most %u bytes",
                        PECK_PAYLOAD_MAX);
        return;
    }
    if (!form_integer(exchange, "charge", 0, problem ? 0 : ANSWER_CHARGE_MAX, &order.charge))
        return;
    order.duckling = exchange->acting_text;
    order.peck_id = (char *)peck_of_body(exchange);
    order.failed = problem != NULL;
    if (problem)
        order.problem = lent_bytes(problem);
    else
        order.result = lent(result);
    request.order_case = DUCK__REQUEST__ORDER_ANSWER;
    request.answer = &order;
    peck_owner_call(exchange, &request, DUCK__REPLY__ANSWER_PECK, order.peck_id, look_at_answered);
}

void route_answer(struct exchange *exchange)
{
    const char *peck_id = peck_of_body(exchange);

    if (peck_id)
        peck_owner_find(exchange, peck_id, PECK_END_TARGET, true,
                        form_has(exchange, "partial") ? partials_answer : answer_peck);
}

static void tell_cancelled(struct exchange *exchange)
{
    const char *state = exchange->reply->done->state;
    bool is_over = !*state || !strcmp(state, peck_state_name(PECK_CANCELLED));
    json_t *object = json_object();

    reply_word(object, "peck_id", peck_of_body(exchange));
    reply_word(object, "status", is_over ? peck_state_name(PECK_CANCELLED) : state);
    if (!is_over)
        json_object_set_new(object, "cancelling", json_true()); /* its target's node is asked */
    exchange_answer(exchange, is_over ? 200 : 202, object);
}

static void cancel_peck(struct exchange *exchange)
{
    Duck__CancelOrder order = DUCK__CANCEL_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.duckling = exchange->acting_text;
    order.peck_id = (char *)peck_of_body(exchange);
    request.order_case = DUCK__REQUEST__ORDER_CANCEL;
    request.cancel = &order;
    peck_owner_call(exchange, &request, DUCK__REPLY__ANSWER_DONE, order.peck_id, tell_cancelled);
}

void route_cancel(struct exchange *exchange)
{
    const char *peck_id = peck_of_body(exchange);

    if (peck_id)
        peck_owner_find(exchange, peck_id, PECK_END_SENDER, true, cancel_peck);
}
