#include "peck_owner.h"

#include "client/duck_client.h"
#include "wire/local.pb-c.h"

struct search {
    enum peck_end end;
    exchange_then *then;
};

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

static void choose(struct exchange *exchange)
{
    const struct search *search = exchange->work;
    const Duck__PeckView *peck = exchange->reply->peck;

    if ((search->end != PECK_END_SENDER && owns(exchange, peck->to)) ||
        (search->end != PECK_END_TARGET && owns(exchange, peck->from)))
        search->then(exchange);
    else
        exchange_say_no(exchange, 404, "not_found", "peck_id",
                        "none of this operator's ducklings has this peck");
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
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_PECK, 0, choose);
}
