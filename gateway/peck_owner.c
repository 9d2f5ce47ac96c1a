#include "peck_owner.h"

#include "client/duck_client.h"
#include "wire/local.pb-c.h"

struct search {
    enum peck_end end;
    exchange_then *then;
};

static void say_unknown(struct exchange *exchange)
{
    exchange_say_no(exchange, 404, "not_found", "peck_id", "no duckling of yours has this peck");
}

static bool owns(struct exchange *exchange, const char *text)
{
    struct id duckling;

    if (!id_parse(ID_DUCKLING, bytes_of_text(text), &duckling) ||
        !exchange_owns(exchange, &duckling))
        return false;
    exchange->acting = duckling;
    id_text(ID_DUCKLING, &duckling, exchange->acting_text);
    return true;
}

static void doubt(struct exchange *exchange)
{
    const char *code = exchange->reply->problem->code;

    if (!strcmp(code, "not_found") || !strcmp(code, "not_allowed"))
        say_unknown(exchange);
    else
        exchange_refuse_as_node(exchange);
}

static void choose(struct exchange *exchange)
{
    const struct search *search = exchange->work;
    const Duck__PeckView *peck = exchange->reply->peck;

    if ((search->end != PECK_END_SENDER && owns(exchange, peck->to)) ||
        (search->end != PECK_END_TARGET && owns(exchange, peck->from)))
        search->then(exchange);
    else
        say_unknown(exchange);
}

void peck_owner_find(struct exchange *exchange, const char *peck_id, enum peck_end end,
                     bool in_body, exchange_then *then)
{
    Duck__PeckQuery query = DUCK__PECK_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct search *search;

    if (exchange->access.kind == ACCESS_BEAK_KEY || exchange_names_duckling(exchange, in_body)) {
        if (exchange_acting(exchange, in_body))
            then(exchange);
        return;
    }
    search = arena_take(&exchange->arena, sizeof *search);
    *search = (struct search){end, then};
    exchange->work = search;
    query.peck_id = (char *)peck_id;
    request.order_case = DUCK__REQUEST__ORDER_PECK;
    request.peck = &query;
    exchange->refused = doubt;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_PECK, 0, choose);
}

/* ---- orders ---- */

struct conflict {
    struct problem problem; /* the order's; its words are copies */
};

static void tell_conflict(struct exchange *exchange)
{
    const struct conflict *conflict = exchange->work;

    exchange_refuse(exchange, &conflict->problem);
}

/* "It is done" is for those who may know of it. */
static void look_whose(struct exchange *exchange)
{
    const Duck__Problem *said = exchange->reply->problem;
    struct conflict *conflict = arena_take(&exchange->arena, sizeof *conflict);
    Duck__PeckQuery query = DUCK__PECK_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    conflict->problem = problem_of_node(said->code, said->message,
                                        exchange_copy(exchange, bytes_of_text(said->field)));
    query.peck_id = (char *)exchange->doubted_peck;
    query.duckling = exchange->acting_text;
    exchange->work = conflict;
    request.order_case = DUCK__REQUEST__ORDER_PECK;
    request.peck = &query;
    exchange->refused = doubt;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_PECK, 0, tell_conflict);
}

static void doubt_order(struct exchange *exchange)
{
    if (exchange->doubted_peck && !strcmp(exchange->reply->problem->code, "conflict"))
        look_whose(exchange);
    else
        doubt(exchange);
}

void peck_owner_call(struct exchange *exchange, Duck__Request *request, int expected,
                     const char *peck_id, exchange_then *then)
{
    exchange->doubted_peck = peck_id;
    exchange->refused = doubt_order;
    exchange_call(exchange, request, expected, 0, then);
}
