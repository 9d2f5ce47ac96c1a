/* Webhooks: where one's events are delivered. The courier carries out what changes them, on its own
 * thread; the result is kept in the exchange, which wakes when it is done. A beak key sees and makes
 * webhooks of its own duckling alone. */
#include "route_webhooks.h"

#include "form.h"

#include <sodium.h>
#include <stdio.h>

struct errand {
    struct exchange *exchange;
    struct webhook_result result;
    bool is_queue_full;
};

struct id webhooks_only(const struct exchange *exchange)
{
    static const struct id all;

    return exchange->access.kind == ACCESS_BEAK_KEY ? exchange->access.duckling : all;
}

/* ---- how a webhook is told ---- */

static json_t *view_kinds(uint32_t kinds)
{
    json_t *list = json_array();

    for (unsigned i = 1; i < HAPPENINGS; i++)
        if (kinds >> i & 1)
            json_array_append_new(list, json_string(happening_name((enum happening)i)));
    return list;
}

static json_t *view_filter(const struct webhook_filter *filter)
{
    json_t *object = json_object();
    char text[ID_TEXT_SIZE];

    if (!id_is_zero(&filter->duckling))
        reply_word(object, "duckling_id", id_text(ID_DUCKLING, &filter->duckling, text));
    reply_word(object, "action", filter->action);
    if (filter->least_tier)
        reply_number(object, "tier_min", filter->least_tier);
    return object;
}

static json_t *view_webhook(const struct gate_webhook *row, const char *public_key)
{
    static const char *const states[] = {"on", "off", "gone"};
    json_t *object = json_object();

    reply_word(object, "webhook_id", row->name);
    reply_word(object, "url", row->url);
    json_object_set_new(object, "events", view_kinds(row->filter.kinds));
    json_object_set_new(object, "filter", view_filter(&row->filter));
    json_object_set_new(object, "enabled", json_boolean(row->state == WEBHOOK_ON));
    reply_word(object, "state", states[row->state]);
    reply_number(object, "waiting", row->waiting);
    reply_number(object, "dropped", row->dropped);
    reply_date(object, "created_at", row->created_ms);
    if (row->old_until_ms > gateway_wall_ms())
        reply_date(object, "previous_secret_until", row->old_until_ms);
    reply_word(object, "public_key", public_key);
    return object;
}

/* ---- errands ---- */

static void keep_and_wake(void *context, const struct webhook_result *result)
{
    struct errand *errand = context;

    errand->result = *result;
    exchange_wake(errand->exchange);
}

static unsigned status_of(enum courier_verdict verdict)
{
    switch (verdict) {
    case COURIER_TAKEN:
        return 200;
    case COURIER_NOT_FOUND:
        return 404;
    case COURIER_TOO_MANY:
    case COURIER_IS_OFF:
    case COURIER_IS_WAITING:
        return 409;
    case COURIER_FULL:
    case COURIER_FAULT:
        return 503;
    }
    return 500;
}

const struct webhook_result *webhooks_result(struct exchange *exchange)
{
    const struct errand *errand = exchange->work;
    enum courier_verdict verdict = errand->is_queue_full ? COURIER_FULL : errand->result.verdict;
    struct problem problem;

    if (verdict == COURIER_TAKEN)
        return &errand->result;
    problem = problem_make(status_of(verdict), courier_verdict_code(verdict), "%s",
                           courier_verdict_text(verdict));
    if (problem.status == 503)
        problem.retry_after_s = 5;
    exchange_refuse(exchange, &problem);
    return NULL;
}

struct webhook_order *webhooks_order(struct exchange *exchange, enum webhook_order_kind kind)
{
    struct webhook_order *order = arena_take(&exchange->arena, sizeof *order);

    *order = (struct webhook_order){.kind = kind,
                                    .operator_id = exchange->access.operator_id,
                                    .only = webhooks_only(exchange),
                                    .is_on = true};
    if (exchange->match.id.size < sizeof order->name && exchange->match.id.size > 0)
        memcpy(order->name, exchange->match.id.data, exchange->match.id.size);
    return order;
}

void webhooks_give(struct exchange *exchange, const struct webhook_order *order,
                   exchange_then *then)
{
    struct errand *errand = arena_take(&exchange->arena, sizeof *errand);

    *errand = (struct errand){.exchange = exchange};
    exchange->work = errand;
    exchange_park(exchange, 0, then);
    if (courier_order(exchange->gateway->courier, order, keep_and_wake, errand))
        return;
    errand->is_queue_full = true;
    exchange_wake(exchange);
}

bool webhooks_find(struct exchange *exchange, struct gate_webhook *row)
{
    char name[WEBHOOK_NAME_SIZE] = "";
    struct id only = webhooks_only(exchange);
    bool found = false;
    int fault;

    if (exchange->match.id.size < sizeof name)
        memcpy(name, exchange->match.id.data, exchange->match.id.size);
    fault = courier_webhook(exchange->gateway->courier, exchange->access.operator_id, name, row,
                            &found);
    if (fault)
        webhooks_refuse_fault(exchange);
    else if (!found || !webhook_is_for(&row->filter, &only))
        exchange_say_no(exchange, 404, "not_found", NULL, "you have no webhook of this id");
    return !fault && found && webhook_is_for(&row->filter, &only);
}

void webhooks_refuse_fault(struct exchange *exchange)
{
    struct problem problem =
        problem_make(503, "store_failed", "the gateway's store does not answer");

    problem.retry_after_s = 5;
    exchange_refuse(exchange, &problem);
}

/* ---- members of a body ---- */

static bool read_url(struct exchange *exchange, enum form_need need, struct webhook_order *order)
{
    const char *url = NULL, *forbidden;
    enum webhook_url_verdict verdict;
    uint64_t host;

    if (!form_text(exchange, "url", need, WEBHOOK_URL_MAX, &url))
        return false;
    if (!url)
        return true;
    verdict = webhook_url_judge(url, &host);
    forbidden = verdict == WEBHOOK_URL_GOOD ? courier_forbids(exchange->gateway->courier, url)
                                            : webhook_url_text(verdict);
    if (forbidden) {
        form_refuse(exchange, "bad_member", "url", "url is refused: %s", forbidden);
        return false;
    }
    snprintf(order->url, sizeof order->url, "%s", url);
    order->named |= WEBHOOK_URL;
    return true;
}

static bool read_events(struct exchange *exchange, enum form_need need, struct webhook_order *order)
{
    const char **names = NULL;
    bool is_given = false;
    size_t count = 0;

    if (!form_texts(exchange, "events", HAPPENINGS, 32, &names, &count, &is_given))
        return false;
    if (!is_given && need == FORM_OPTIONAL)
        return true;
    if (count == 0) {
        form_refuse(exchange, is_given ? "bad_member" : "missing_member", "events",
                    "events must name at least one event");
        return false;
    }
    order->filter.kinds = 0;
    for (size_t i = 0; i < count; i++) {
        enum happening happening;

        if (!happening_find(bytes_of_text(names[i]), &happening)) {
            form_refuse(exchange, "bad_member", "events", "there are no events of that name");
            return false;
        }
        order->filter.kinds |= 1u << happening;
    }
    order->named |= WEBHOOK_KINDS;
    return true;
}

static bool refuse_filter(struct exchange *exchange, const char *why)
{
    form_refuse(exchange, "bad_member", "filter", "%s", why);
    return false;
}

static bool read_filter_duckling(struct exchange *exchange, const json_t *value,
                                 struct webhook_filter *filter)
{
    const char *text = json_string_value(value);

    if (!text || !id_parse(ID_DUCKLING, bytes_of_text(text), &filter->duckling) ||
        id_is_zero(&filter->duckling))
        return refuse_filter(exchange, "filter.duckling_id is not the id of a duckling");
    if (!exchange_owns(exchange, &filter->duckling))
        return refuse_filter(exchange, "filter.duckling_id is no duckling of yours");
    return true;
}

/* An action, or a pattern of them as in the scopes of a bond. */
static bool read_filter_action(struct exchange *exchange, const json_t *value,
                               struct webhook_filter *filter)
{
    const char *text = json_string_value(value);
    size_t size = text ? strlen(text) : 0;
    size_t stem = size > 0 && text[size - 1] == '*' ? size - 1 : size;

    if (size == 0 || size > WEBHOOK_ACTION_MAX || filter->action[0] ||
        (stem > 0 && !bytes_are_name(bytes_of(text, stem))) ||
        (stem > 0 && stem < size && text[stem - 1] != '.'))
        return refuse_filter(exchange, "filter.action (or filter.peck_type, one of them) must be "
                                       "an action, \"data.*\" or \"*\"");
    memcpy(filter->action, text, size);
    return true;
}

static bool read_filter_tier(struct exchange *exchange, const json_t *value,
                             struct webhook_filter *filter)
{
    json_int_t tier = json_integer_value(value);

    if (!json_is_integer(value) || tier < 0 || tier > 3)
        return refuse_filter(exchange, "filter.tier_min must be a whole number from 0 to 3");
    filter->least_tier = (unsigned)tier;
    return true;
}

static bool read_filter_member(struct exchange *exchange, const char *name, const json_t *value,
                               struct webhook_filter *filter)
{
    if (!strcmp(name, "duckling_id"))
        return read_filter_duckling(exchange, value, filter);
    if (!strcmp(name, "action") || !strcmp(name, "peck_type"))
        return read_filter_action(exchange, value, filter);
    if (!strcmp(name, "tier_min"))
        return read_filter_tier(exchange, value, filter);
    form_refuse(exchange, "unknown_member", "filter",
                "a filter has duckling_id, action or peck_type, and tier_min");
    return false;
}

static bool read_filter(struct exchange *exchange, struct webhook_order *order)
{
    json_t *object = json_object_get(exchange->body, "filter"), *value;
    const char *name;

    order->filter.duckling = webhooks_only(exchange);
    if (!object || json_is_null(object))
        return true;
    if (!json_is_object(object))
        return refuse_filter(exchange, "filter must be an object");
    json_object_foreach(object, name, value)
    {
        if (!json_is_null(value) && !read_filter_member(exchange, name, value, &order->filter))
            return false;
    }
    order->named |= WEBHOOK_FILTER;
    return true;
}

static bool read_enabled(struct exchange *exchange, struct webhook_order *order)
{
    if (!form_bool(exchange, "enabled", &order->is_on))
        return false;
    if (form_has(exchange, "enabled"))
        order->named |= WEBHOOK_STATE;
    return true;
}

/* ---- the routes ---- */

json_t *webhooks_view(struct exchange *exchange)
{
    struct gate_webhook *row = arena_take(&exchange->arena, sizeof *row);
    struct id only = webhooks_only(exchange);
    json_t *list = json_array();
    char public_key[WEBHOOK_PUBLIC_TEXT_SIZE];
    bool found = true;
    int fault = 0;

    *row = (struct gate_webhook){.webhook = 0};
    while (found && !fault) {
        fault = courier_webhook_next(exchange->gateway->courier, exchange->access.operator_id,
                                     row->webhook, row, &found);
        if (found && !fault && webhook_is_for(&row->filter, &only))
            json_array_append_new(list,
                                  view_webhook(row, courier_public_key(exchange->gateway->courier,
                                                                       row->name, public_key)));
    }
    if (!fault)
        return list;
    json_decref(list);
    return NULL;
}

void route_webhooks(struct exchange *exchange)
{
    json_t *list = webhooks_view(exchange);

    if (list)
        exchange_answer(exchange, 200, json_pack("{s:o}", "webhooks", list));
    else
        webhooks_refuse_fault(exchange);
}

static void tell_with_secret(struct exchange *exchange, unsigned status)
{
    const struct webhook_result *result = webhooks_result(exchange);
    json_t *object;

    if (!result)
        return;
    object = view_webhook(&result->webhook, result->public_key);
    reply_word(object, "secret", result->secret);
    exchange_answer(exchange, status, object);
}

static void tell_added(struct exchange *exchange)
{
    tell_with_secret(exchange, 201);
}

void route_webhook_add(struct exchange *exchange)
{
    struct webhook_order *order = webhooks_order(exchange, WEBHOOK_ADD);

    if (read_url(exchange, FORM_REQUIRED, order) && read_events(exchange, FORM_REQUIRED, order) &&
        read_filter(exchange, order) && read_enabled(exchange, order))
        webhooks_give(exchange, order, tell_added);
}

void route_webhook_get(struct exchange *exchange)
{
    struct gate_webhook *row = arena_take(&exchange->arena, sizeof *row);
    char public_key[WEBHOOK_PUBLIC_TEXT_SIZE];

    if (webhooks_find(exchange, row))
        exchange_answer(exchange, 200,
                        view_webhook(row, courier_public_key(exchange->gateway->courier, row->name,
                                                             public_key)));
}

static void tell_changed(struct exchange *exchange)
{
    const struct webhook_result *result = webhooks_result(exchange);

    if (result)
        exchange_answer(exchange, 200, view_webhook(&result->webhook, result->public_key));
}

void route_webhook_patch(struct exchange *exchange)
{
    struct webhook_order *order = webhooks_order(exchange, WEBHOOK_CHANGE);

    if (!read_url(exchange, FORM_OPTIONAL, order) || !read_events(exchange, FORM_OPTIONAL, order) ||
        !read_filter(exchange, order) || !read_enabled(exchange, order))
        return;
    if (!order->named)
        form_refuse(exchange, "missing_member", "url", "name what is to change");
    else
        webhooks_give(exchange, order, tell_changed);
}

static void tell_dropped(struct exchange *exchange)
{
    if (webhooks_result(exchange))
        exchange_answer_empty(exchange, 204);
}

void route_webhook_drop(struct exchange *exchange)
{
    webhooks_give(exchange, webhooks_order(exchange, WEBHOOK_DROP), tell_dropped);
}

static void tell_rotated(struct exchange *exchange)
{
    tell_with_secret(exchange, 200);
}

void route_webhook_rotate(struct exchange *exchange)
{
    struct webhook_order *order = webhooks_order(exchange, WEBHOOK_ROTATE);
    uint64_t overlap_s = WEBHOOK_OVERLAP_S;

    if (!form_integer(exchange, "overlap", 0, WEBHOOK_OVERLAP_MAX_S, &overlap_s))
        return;
    order->overlap_s = (uint32_t)overlap_s;
    webhooks_give(exchange, order, tell_rotated);
}
