/* Who calls, and for which duckling. */
#include "exchange_inside.h"

#include <sodium.h>
#include <stdio.h>
#include <strings.h>

#define BEARER_MAX 256u /* bytes of a credential */

enum access_verdict exchange_bearer(struct exchange *exchange)
{
    struct exchange_inside *inside = exchange->inside;
    struct bytes header = exchange->headers.authorization;
    char bearer[BEARER_MAX + 1];

    if (inside->is_looked_up)
        return inside->bearer;
    inside->is_looked_up = true;
    inside->bearer = ACCESS_MALFORMED;

    if (header.size > 7 && header.size - 7 <= BEARER_MAX &&
        !strncasecmp((const char *)header.data, "Bearer ", 7)) {
        memcpy(bearer, header.data + 7, header.size - 7);
        bearer[header.size - 7] = 0;
        inside->bearer = access_find(exchange->gateway->accounts, bearer, &exchange->access);
        sodium_memzero(bearer, sizeof bearer);
    }
    return inside->bearer;
}

bool exchange_find_bearer(struct exchange *exchange)
{
    enum access_verdict verdict = exchange_bearer(exchange);

    exchange->has_access = verdict == ACCESS_TAKEN;
    switch (verdict) {
    case ACCESS_TAKEN:
        return true;
    case ACCESS_MALFORMED:
        exchange_say_no(exchange, 401, "bad_bearer", NULL, "%s", access_verdict_text(verdict));
        return false;
    case ACCESS_UNKNOWN:
        exchange_say_no(exchange, 401, "unknown_bearer", NULL, "%s", access_verdict_text(verdict));
        return false;
    case ACCESS_EXPIRED:
        exchange_say_no(exchange, 401, "session_expired", NULL, "%s", access_verdict_text(verdict));
        return false;
    case ACCESS_FAULT:
        exchange_say_no(exchange, 503, "store_failed", NULL, "%s", access_verdict_text(verdict));
        return false;
    }
    return false;
}

bool exchange_may_still(struct exchange *exchange)
{
    exchange->inside->is_looked_up = false; /* it may have ended since */
    return exchange_find_bearer(exchange);
}

bool exchange_check_access(struct exchange *exchange)
{
    const struct route *route = exchange->match.route;
    bool is_given = exchange->headers.authorization.data;

    if (route->who == ROUTE_ALL || (route->who == ROUTE_EITHER && !is_given))
        return true;
    if (!is_given) {
        exchange_say_no(exchange, 401, "no_bearer", NULL,
                        "this needs Authorization: Bearer with a %s",
                        route->who == ROUTE_BEAK_KEY ? "beak key" : "session token or a beak key");
        return false;
    }
    if (!exchange_find_bearer(exchange))
        return false;
    if (route->who == ROUTE_BEAK_KEY && exchange->access.kind != ACCESS_BEAK_KEY) {
        exchange_say_no(exchange, 403, "beak_key_needed", NULL,
                        "only a duckling itself, by its beak key, may do this");
        return false;
    }
    return true;
}

bool exchange_owns(struct exchange *exchange, const struct id *duckling)
{
    if (exchange->access.kind == ACCESS_BEAK_KEY)
        return id_equal(duckling, &exchange->access.duckling);
    return accounts_owns(exchange->gateway->accounts, exchange->access.operator_id, duckling);
}

static const char *asked_duckling(const struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->query_count; i++)
        if (!strcmp(exchange->query[i].name, "duckling_id"))
            return exchange->query[i].value;
    return NULL;
}

static const char *named_duckling(struct exchange *exchange, bool in_body)
{
    const char *asked = asked_duckling(exchange);

    if (asked || !in_body)
        return asked;
    return json_string_value(json_object_get(exchange->body, "duckling_id"));
}

/* Whose is meant, when the query names one and the body another? */
static bool names_two(const struct exchange *exchange)
{
    const json_t *told = json_object_get(exchange->body, "duckling_id");
    const char *asked = asked_duckling(exchange);

    return asked && told && !json_is_null(told) &&
           !(json_is_string(told) && !strcmp(asked, json_string_value(told)));
}

bool exchange_names_duckling(struct exchange *exchange, bool in_body)
{
    return named_duckling(exchange, in_body) ||
           (in_body && json_object_get(exchange->body, "duckling_id"));
}

bool exchange_acting(struct exchange *exchange, bool in_body)
{
    const char *named = named_duckling(exchange, in_body);
    struct id duckling = exchange->access.duckling;

    if (in_body && names_two(exchange)) {
        exchange_say_no(exchange, 400, "malformed", "duckling_id",
                        "duckling_id stands in the query and in the body, and differs");
        return false;
    }
    if (exchange_names_duckling(exchange, in_body) &&
        (!named || !id_parse(ID_DUCKLING, bytes_of_text(named), &duckling) ||
         id_is_zero(&duckling))) {
        exchange_say_no(exchange, 422, "bad_member", "duckling_id",
                        "duckling_id is not the id of a duckling");
        return false;
    }
    if (id_is_zero(&duckling)) {
        exchange_say_no(exchange, 409, "no_duckling", NULL,
                        "this operator has no duckling yet: POST /beak/hatch makes one");
        return false;
    }
    if (named && !exchange_owns(exchange, &duckling)) {
        bool is_key = exchange->access.kind == ACCESS_BEAK_KEY;

        exchange_say_no(exchange, is_key ? 403 : 404, is_key ? "not_allowed" : "not_found",
                        "duckling_id",
                        is_key ? "a beak key acts for its own duckling only"
                               : "this operator has no such duckling");
        return false;
    }
    exchange->acting = duckling;
    id_text(ID_DUCKLING, &duckling, exchange->acting_text);
    return true;
}
