/* Answers that come in parts: said one by one, and read as they come. There is no stream of events here:
 * whoever reads asks for what is above the last number that it has, and waits. */
#include "route_partials.h"
#include "client/duck_client.h"
#include "core/binary_data.h"
#include "core/partials.h"
#include "exchange.h"
#include "form.h"
#include "peck_owner.h"
#include "wire/local.pb-c.h"

#define LIST_MAX 200u

static const char *peck_of_body(struct exchange *exchange)
{
    const char *peck_id = NULL;

    return form_id(exchange, "peck_id", FORM_REQUIRED, ID_PECK, &peck_id) ? peck_id : NULL;
}

/* ---- said ---- */

static void tell_number(struct exchange *exchange)
{
    const Duck__PartialView *partial = exchange->reply->partial;
    json_t *object = json_object();

    reply_word(object, "peck_id", peck_of_body(exchange));
    if (partial->waits_for[0])
        reply_word(object, "waits_for", partial->waits_for);
    else
        reply_number(object, "number", partial->number);
    exchange_answer(exchange, partial->waits_for[0] ? 202 : 200, object);
}

static bool stands_alone(struct exchange *exchange)
{
    static const char *const others[] = {"result", "problem", "charge"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (form_has(exchange, others[i])) {
            form_refuse(exchange, "bad_member", others[i],
                        "a partial answer stands alone: the whole one ends it");
            return false;
        }
    return true;
}

void partials_answer(struct exchange *exchange)
{
    Duck__PartialOrder order = DUCK__PARTIAL_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct bytes partial = {0};
    uint64_t number = 0;

    if (!stands_alone(exchange) || !form_integer(exchange, "number", 1, PARTIALS_MAX, &number))
        return;
    form_json(exchange, "partial", &partial);
    if (partial.size > PARTIAL_SIZE_MAX) {
        exchange_say_no(exchange, 413, "too_large", "partial",
                        "a partial answer is at most %u bytes", PARTIAL_SIZE_MAX);
        return;
    }
    order.duckling = exchange->acting_text;
    order.peck_id = (char *)peck_of_body(exchange);
    order.result = lent(partial);
    order.number = (uint32_t)number;
    request.order_case = DUCK__REQUEST__ORDER_PARTIAL;
    request.partial = &order;
    peck_owner_call(exchange, &request, DUCK__REPLY__ANSWER_PARTIAL, order.peck_id, tell_number);
}

/* ---- read ---- */

static json_t *view(const Duck__PartialView *partial)
{
    json_t *object = json_object();

    reply_number(object, "number", partial->number);
    reply_date(object, "at", partial->at_ms);
    reply_json(object, "partial", borrowed(partial->result));
    return object;
}

static void tell_partials(struct exchange *exchange)
{
    const Duck__PartialList *said = exchange->reply->partials;
    json_t *object = json_object(), *list = json_array();

    for (size_t i = 0; i < said->n_partials; i++)
        json_array_append_new(list, view(said->partials[i]));
    json_object_set_new(object, "partials", list);
    reply_number(object, "held", said->held);
    json_object_set_new(object, "done", json_boolean(said->is_done));
    reply_word(object, "status", said->state);
    exchange_answer(exchange, 200, object);
}

static void get_partials(struct exchange *exchange)
{
    Duck__PartialsQuery query = DUCK__PARTIALS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    uint64_t after = 0, limit = 0;

    if (!query_integer(exchange, "after", 0, PARTIALS_MAX, &after) ||
        !query_integer(exchange, "limit", 1, LIST_MAX, &limit) ||
        !query_wait(exchange, &query.wait_ms))
        return;
    query.peck_id = (char *)exchange_copy(exchange, exchange->match.id);
    query.duckling = exchange->acting_text;
    query.after = (uint32_t)after;
    query.limit = (uint32_t)limit;
    request.order_case = DUCK__REQUEST__ORDER_PARTIALS;
    request.partials = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_PARTIALS, query.wait_ms, tell_partials);
}

void route_partials(struct exchange *exchange)
{
    if (!form_is_id(ID_PECK, exchange->match.id)) {
        exchange_say_no(exchange, 404, "not_found", NULL, "this is not the id of a peck");
        return;
    }
    peck_owner_find(exchange, exchange_copy(exchange, exchange->match.id), PECK_END_ANY, false,
                    get_partials);
}
