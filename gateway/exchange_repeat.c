/* Requests with an Idempotency-Key: new, or the same again? */
#include "exchange_inside.h"
#include "repeats.h"
#include "strict_json.h"

#include <inttypes.h>
#include <stdio.h>

static bool key_is_well_formed(struct exchange *exchange)
{
    struct bytes key = exchange->headers.idempotency_key;
    bool is_good = key.size > 0 && key.size <= PECK_IDEMPOTENCY_KEY_MAX;

    for (size_t i = 0; i < key.size; i++)
        is_good = is_good && key.data[i] >= 0x20 && key.data[i] <= 0x7e;
    if (!is_good)
        exchange_say_no(exchange, 422, "bad_member", "Idempotency-Key",
                        "the key is 1 to %d characters of printable ASCII",
                        PECK_IDEMPOTENCY_KEY_MAX);
    return is_good;
}

/* A key is its caller's own: a bearer's, else the address's. */
static void name_request(struct exchange *exchange, struct repeats_name *name)
{
    const struct access *access = &exchange->access;
    struct bytes key = exchange->headers.idempotency_key;
    char who[ID_TEXT_SIZE + 32], place[512];
    char duckling[ID_TEXT_SIZE];
    json_t *content = json_array();
    char *text;

    if (exchange->has_access)
        snprintf(who, sizeof who, "%d %" PRIu64 " %s", access->kind, access->operator_id,
                 access->kind == ACCESS_BEAK_KEY ? id_text(ID_DUCKLING, &access->duckling, duckling)
                                                 : "");
    else
        snprintf(who, sizeof who, "%s", connection_address(exchange->inside->slot));
    snprintf(place, sizeof place, "%s\n%s\n%.*s", who, exchange->match.route->path, (int)key.size,
             (const char *)key.data);
    for (size_t i = 0; i < exchange->query_count; i++)
        json_array_append_new(content,
                              json_pack("[ss]", exchange->query[i].name, exchange->query[i].value));
    json_array_append_new(
        content, json_stringn((const char *)exchange->body_text.data, exchange->body_text.size));
    text = json_dumps(content, JSON_COMPACT);
    json_decref(content);
    repeats_name(exchange->gateway->repeats, bytes_of_text(place), bytes_of_text(text ? text : ""),
                 name);
    strict_json_forget(text);
}

/* True: the request is new, or has no key. */
bool exchange_is_new(struct exchange *exchange)
{
    struct exchange_inside *inside = exchange->inside;
    enum route_trait trait = exchange->match.route->trait;
    unsigned status = 0;
    char *text = NULL;

    if (!exchange->headers.idempotency_key.data ||
        (trait != ROUTE_CREATES && trait != ROUTE_NODE_CREATES))
        return true;
    if (!key_is_well_formed(exchange))
        return false;
    if (trait == ROUTE_NODE_CREATES)
        return true;
    name_request(exchange, &inside->keyed);
    switch (
        repeats_ask(exchange->gateway->repeats, &inside->keyed, gateway_now_ms(), &status, &text)) {
    case REPEATS_NEW:
        inside->is_keyed = true;
        return true;
    case REPEATS_KNOWN:
        exchange_answer_again(exchange, status, text);
        break;
    case REPEATS_OTHER:
        exchange_say_no(exchange, 422, "idempotency_key_reused", "Idempotency-Key",
                        "this key named another request before");
        break;
    case REPEATS_UNDER_WAY:
        exchange_say_no(exchange, 409, "conflict", "Idempotency-Key",
                        "the request of this key is not answered yet");
        break;
    case REPEATS_FULL:
        exchange_say_no(exchange, 503, "busy", NULL, "too many requests with keys at once");
        break;
    }
    return false;
}
