/* Lobster binds over REST: what one operator does of it. A beak key may look: that two operators compared what
 * they read out, only they can say. */
#include "core/limits.h"
#include "errand.h"
#include "exchange.h"
#include "form.h"
#include "wire/local.pb-c.h"

/* ---- how one stands ---- */

/* What it waits for, of the two ends. */
static json_t *missing_of(const Duck__LobsterView *lobster)
{
    json_t *missing = json_array();

    if (!strcmp(lobster->state, "offered"))
        json_array_append_new(missing, json_string("answer"));
    else if (!strcmp(lobster->state, "answered"))
        json_array_append_new(missing, json_string("nonce"));
    else if (!strcmp(lobster->state, "shown"))
        json_array_append_new(missing, json_string("own_confirmation"));
    if (strcmp(lobster->state, "live") != 0 && !lobster->confirmed_there)
        json_array_append_new(missing, json_string("other_confirmation"));
    return missing;
}

static json_t *view_lobster(const Duck__LobsterView *lobster)
{
    json_t *object = json_object();

    reply_word(object, "duckling_id", lobster->duckling);
    reply_word(object, "with", lobster->with);
    reply_word(object, "status", lobster->state);
    json_object_set_new(object, "began_here", json_boolean(lobster->began_here));
    reply_word(object, "string", lobster->string);
    reply_word(object, "bond_id", lobster->bond_id);
    reply_number(object, "lease", lobster->lease_ms / 1000);
    reply_date(object, "ends_at", lobster->until_ms);
    json_object_set_new(object, "missing", missing_of(lobster));
    return object;
}

static void tell_list(struct exchange *exchange)
{
    const Duck__LobsterList *found = exchange->reply->lobsters;
    json_t *object = json_object(), *list = json_array();

    for (size_t i = 0; i < found->n_lobsters; i++)
        json_array_append_new(list, view_lobster(found->lobsters[i]));
    json_object_set_new(object, "lobsters", list);
    exchange_answer(exchange, 200, object);
}

static void tell_one_as(struct exchange *exchange, unsigned status)
{
    const Duck__LobsterList *found = exchange->reply->lobsters;

    if (found->n_lobsters > 0)
        exchange_answer(exchange, status, view_lobster(found->lobsters[0]));
    else
        exchange_say_no(exchange, 404, "not_found", NULL,
                        "there is no lobster bind between the two");
}

static void tell_one(struct exchange *exchange)
{
    tell_one_as(exchange, 200);
}

static void tell_begun(struct exchange *exchange)
{
    tell_one_as(exchange, 201);
}

/* ---- asked ---- */

static void ask(struct exchange *exchange, Duck__LobsterWish wish, Duck__LobsterOrder *order,
                exchange_then *then)
{
    Duck__Request request = DUCK__REQUEST__INIT;

    order->wish = wish;
    order->duckling = exchange->acting_text;
    request.order_case = DUCK__REQUEST__ORDER_LOBSTER;
    request.lobster = order;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_LOBSTERS, 0, then);
}

void route_lobsters(struct exchange *exchange)
{
    Duck__LobsterOrder order = DUCK__LOBSTER_ORDER__INIT;

    if (exchange_acting(exchange, false))
        ask(exchange, DUCK__LOBSTER_WISH__LOBSTERS_LIST, &order, tell_list);
}

void route_lobster_get(struct exchange *exchange)
{
    Duck__LobsterOrder order = DUCK__LOBSTER_ORDER__INIT;

    if (!form_is_id(ID_DUCKLING, exchange->match.id)) {
        exchange_say_no(exchange, 404, "not_found", NULL, "this is not the id of a duckling");
        return;
    }
    if (!exchange_acting(exchange, false))
        return;
    order.with = (char *)exchange_copy(exchange, exchange->match.id);
    ask(exchange, DUCK__LOBSTER_WISH__LOBSTERS_LIST, &order, tell_one);
}

/* ---- ordered ---- */

/* Who orders, for which of the operator's ducklings, and with whom. */
static bool read_order(struct exchange *exchange, Duck__LobsterOrder *order)
{
    const char *with = NULL;

    if (!errand_needs_session(exchange) ||
        !form_id(exchange, "with", FORM_REQUIRED, ID_DUCKLING, &with) ||
        !exchange_acting(exchange, true))
        return false;
    order->with = (char *)(uintptr_t)with;
    return true;
}

void route_lobster_begin(struct exchange *exchange)
{
    Duck__LobsterOrder order = DUCK__LOBSTER_ORDER__INIT;
    uint64_t lease_s = 0; /* as the node has it */

    if (!read_order(exchange, &order) ||
        !form_integer(exchange, "lease", LOBSTER_LEASE_MIN_MS / 1000, LOBSTER_LEASE_MAX_MS / 1000,
                      &lease_s))
        return;
    order.lease_ms = lease_s * 1000;
    ask(exchange, DUCK__LOBSTER_WISH__LOBSTER_BEGIN, &order, tell_begun);
}

/* Another string is no everyday conflict: it may be somebody who stands in between. */
static void confirmation_was_refused(struct exchange *exchange)
{
    const Duck__Problem *problem = exchange->reply->problem;

    if (!strcmp(problem->code, "conflict") && !strcmp(problem->field, "string"))
        exchange_say_no(exchange, 409, "string_differs", "string", "%s", problem->message);
    else
        exchange_refuse_as_node(exchange);
}

void route_lobster_confirm(struct exchange *exchange)
{
    Duck__LobsterOrder order = DUCK__LOBSTER_ORDER__INIT;
    const char *string = NULL;

    if (!read_order(exchange, &order) ||
        !form_text(exchange, "string", FORM_REQUIRED, NAME_MAX_BYTES, &string))
        return;
    order.string = (char *)(uintptr_t)string;
    exchange->refused = confirmation_was_refused;
    ask(exchange, DUCK__LOBSTER_WISH__LOBSTER_CONFIRM, &order, tell_one);
}

static void tell_broken(struct exchange *exchange)
{
    json_t *object = json_object();

    reply_word(object, "duckling_id", exchange->acting_text);
    reply_word(object, "with", exchange->work);
    reply_word(object, "status", "ended");
    exchange_answer(exchange, 200, object);
}

void route_lobster_break(struct exchange *exchange)
{
    Duck__LobsterOrder order = DUCK__LOBSTER_ORDER__INIT;

    if (!read_order(exchange, &order))
        return;
    exchange->work = order.with;
    ask(exchange, DUCK__LOBSTER_WISH__LOBSTER_BREAK, &order, tell_broken);
}
