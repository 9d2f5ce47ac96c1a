/* The directory, and what a duckling says of itself in it. */
#include "client/duck_client.h"
#include "core/binary_data.h"
#include "core/limits.h"
#include "exchange.h"
#include "form.h"
#include "route_signatures.h"
#include "view.h"
#include "wire/local.pb-c.h"

#define LIST_MAX 200u
#define TEXT_MAX 256u
#define CURSOR_MAX 512u
#define TIER_MAX 3u
#define ALIVE_WITHIN_MAX_S (30u * 24 * 3600)

/* ---- searching ---- */

static char *write_entries(const Duck__Reply *reply)
{
    const Duck__DirectoryList *found = reply->directory;
    json_t *object = json_object(), *list = json_array();

    for (size_t i = 0; i < found->n_entries; i++)
        json_array_append_new(list, view_entry(found->entries[i]));
    json_object_set_new(object, "ducklings", list);
    reply_word(object, "next_cursor", found->next_cursor);
    return exchange_dump(object);
}

/* "T1" or "1". */
static bool read_tier(struct exchange *exchange, uint32_t *tier)
{
    const char *text = NULL;

    if (!query_text(exchange, "tier_min", 8, &text))
        return false;
    if (!text)
        return true;
    text += *text == 'T';
    if (text[0] < '0' || text[0] > '0' + (char)TIER_MAX || text[1]) {
        form_refuse(exchange, "bad_member", "tier_min", "tier_min is T0 to T%u", TIER_MAX);
        return false;
    }
    *tier = (uint32_t)(text[0] - '0');
    return true;
}

void route_directory(struct exchange *exchange)
{
    Duck__DirectoryQuery query = DUCK__DIRECTORY_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    const char *capability = "", *text = "", *host = "", *cursor = "";
    uint64_t alive_within_s = 0, limit = 0;

    if (!query_text(exchange, "capability", NAME_MAX_BYTES, &capability) ||
        !query_text(exchange, "q", TEXT_MAX, &text) || !read_tier(exchange, &query.tier_min) ||
        !query_integer(exchange, "alive_within", 1, ALIVE_WITHIN_MAX_S, &alive_within_s) ||
        !query_id(exchange, "host", ID_NODE, &host) ||
        !query_text(exchange, "cursor", CURSOR_MAX, &cursor) ||
        !query_integer(exchange, "limit", 1, LIST_MAX, &limit))
        return;
    query.capability = (char *)capability;
    query.text = (char *)text;
    query.host = (char *)host;
    query.cursor = (char *)cursor;
    query.alive_within_ms = alive_within_s * 1000;
    query.limit = (uint32_t)limit;
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    exchange_call_shared(exchange, &request, DUCK__REPLY__ANSWER_DIRECTORY, 0, write_entries);
}

/* NULL after it was said that there is none. */
static json_t *found_entry(struct exchange *exchange)
{
    const Duck__DirectoryList *found = exchange->reply->directory;

    if (found->n_entries > 0)
        return view_entry(found->entries[0]);
    exchange_say_no(exchange, 404, "not_found", NULL,
                    "the directory of this node has no such duckling");
    return NULL;
}

static void tell_entry(struct exchange *exchange)
{
    json_t *entry = found_entry(exchange);

    if (entry)
        exchange_answer_entity(exchange, entry);
}

static void tell_profile(struct exchange *exchange)
{
    json_t *entry = found_entry(exchange);

    if (entry)
        exchange_answer(exchange, 200, entry);
}

static void ask_for_entry(struct exchange *exchange, const char *duckling, exchange_then *tell)
{
    Duck__DirectoryQuery query = DUCK__DIRECTORY_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.duckling = (char *)duckling;
    query.limit = 1;
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_DIRECTORY, 0, tell);
}

void route_directory_get(struct exchange *exchange)
{
    if (form_is_id(ID_DUCKLING, exchange->match.id))
        ask_for_entry(exchange, exchange_copy(exchange, exchange->match.id), tell_entry);
    else
        exchange_say_no(exchange, 404, "not_found", NULL, "this is not the id of a duckling");
}

/* ---- what a duckling says of itself ---- */

static void profile_is_set(struct exchange *exchange)
{
    if (!told_to_sign(exchange))
        ask_for_entry(exchange, exchange->acting_text, tell_profile);
}

static bool read_profile(struct exchange *exchange, Duck__ProfileOrder *order)
{
    const char *name = NULL, *bio = NULL, **capabilities = NULL;
    bool accepts = false, are_given;

    if (!form_text(exchange, "display_name", FORM_OPTIONAL, NAME_MAX_BYTES, &name) ||
        !form_text(exchange, "bio", FORM_OPTIONAL, BIO_MAX, &bio) ||
        !form_texts(exchange, "capabilities", DUCKLING_CAPABILITIES_MAX, NAME_MAX_BYTES,
                    &capabilities, &order->n_capabilities, &are_given) ||
        !form_bool(exchange, "accepts_pecks", &accepts))
        return false;
    order->set_display_name = name != NULL;
    order->display_name = lent_bytes(name ? name : "");
    order->set_bio = bio != NULL;
    order->bio = lent_bytes(bio ? bio : "");
    order->set_capabilities = are_given;
    order->capabilities =
        arena_take(&exchange->arena, (order->n_capabilities + 1) * sizeof *order->capabilities);
    for (size_t i = 0; i < order->n_capabilities; i++)
        order->capabilities[i] = lent_bytes(capabilities[i]);
    order->set_accepts_pecks = form_has(exchange, "accepts_pecks");
    order->accepts_pecks = accepts;
    return true;
}

void route_profile(struct exchange *exchange)
{
    Duck__ProfileOrder order = DUCK__PROFILE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    if (!exchange_acting(exchange, true) || !read_profile(exchange, &order))
        return;
    order.duckling = exchange->acting_text;
    request.order_case = DUCK__REQUEST__ORDER_PROFILE;
    request.profile = &order;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_DONE, 0, profile_is_set);
}

static void tell_pulse(struct exchange *exchange)
{
    json_t *object = json_object();

    reply_word(object, "duckling_id", exchange->acting_text);
    reply_word(object, "status", "alive");
    reply_date(object, "seen_at", gateway_wall_ms());
    exchange_answer(exchange, 200, object);
}

void route_pulse(struct exchange *exchange)
{
    Duck__PulseOrder order = DUCK__PULSE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    if (!exchange_acting(exchange, true))
        return;
    order.duckling = exchange->acting_text;
    request.order_case = DUCK__REQUEST__ORDER_PULSE;
    request.pulse = &order;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_DONE, 0, tell_pulse);
}
