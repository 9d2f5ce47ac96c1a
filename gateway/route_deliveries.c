/* What was delivered to a webhook, what waits, and what was given up. */
#include "delivery_schedule.h"
#include "form.h"
#include "route_webhooks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE_DEFAULT 50
#define PAGE_MAX 200
#define DELIVERY_PREFIX "dlv_"
#define CURSOR_MAX 20u /* digits */

static const char *const states[] = {"waiting", "delivered", "dead"};

static bool read_number(const char *text, uint64_t *number)
{
    char *end;

    if (*text < '1' || *text > '9' || strlen(text) > CURSOR_MAX - 1)
        return false;
    *number = strtoull(text, &end, 10);
    return !*end;
}

static json_t *view_attempt(const struct gate_attempt *attempt)
{
    json_t *object = json_object();

    reply_number(object, "attempt", attempt->attempt);
    reply_date(object, "at", attempt->at_ms);
    reply_number(object, "took_ms", attempt->took_ms);
    if (attempt->status)
        reply_number(object, "status", attempt->status);
    reply_word(object, "error", attempt->problem);
    return object;
}

static json_t *view_delivery(const struct gate_delivery *row)
{
    json_t *object = json_object();
    char text[32];

    snprintf(text, sizeof text, DELIVERY_PREFIX "%" PRIu64, row->delivery);
    reply_word(object, "delivery_id", text);
    reply_word(object, "event_id", row->event);
    reply_word(object, "event", happening_name(row->happening));
    reply_word(object, "state", states[row->state]);
    reply_number(object, "attempts", row->attempt);
    if (row->state == DELIVERY_WAITING)
        reply_date(object, "next_attempt_at", row->due_ms);
    reply_date(object, "created_at", row->created_ms);
    reply_date(object, "ended_at", row->ended_ms);
    return object;
}

/* Newest first, as the deliveries are. */
static int put_log(struct exchange *exchange, uint64_t delivery, json_t *object)
{
    struct gate_attempt attempts[ATTEMPTS_KEPT_MAX];
    json_t *log = json_array();
    size_t count;
    int fault = courier_attempts(exchange->gateway->courier, delivery, attempts,
                                 sizeof attempts / sizeof attempts[0], &count);

    for (size_t i = 0; i < count && !fault; i++)
        json_array_append_new(log, view_attempt(&attempts[i]));
    json_object_set_new(object, "log", log);
    return fault;
}

static void put_cursor(json_t *object, uint64_t last)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, last);
    reply_word(object, "next_cursor", text);
}

static int put_page(struct exchange *exchange, uint64_t webhook, int state, uint64_t before,
                    uint64_t limit, json_t *object)
{
    json_t *list = json_array();
    struct gate_delivery row;
    uint64_t last = before;
    bool found = true;
    int fault = 0;

    while (found && !fault && json_array_size(list) <= limit) {
        fault =
            courier_delivery_next(exchange->gateway->courier, webhook, state, last, &row, &found);
        if (fault || !found)
            break;
        if (json_array_size(list) == limit) {
            put_cursor(object, last);
            break;
        }
        last = row.delivery;
        json_array_append_new(list, view_delivery(&row));
        fault = put_log(exchange, row.delivery, json_array_get(list, json_array_size(list) - 1));
    }
    json_object_set_new(object, "deliveries", list);
    return fault;
}

static void list_deliveries(struct exchange *exchange, int state)
{
    struct gate_webhook *row = arena_take(&exchange->arena, sizeof *row);
    uint64_t limit = PAGE_DEFAULT, before = 0;
    const char *cursor = NULL;
    json_t *object;

    if (!query_integer(exchange, "limit", 1, PAGE_MAX, &limit) ||
        !query_text(exchange, "cursor", CURSOR_MAX, &cursor) || !webhooks_find(exchange, row))
        return;
    if (cursor && !read_number(cursor, &before)) {
        form_refuse(exchange, "bad_member", "cursor", "this is no cursor of this list");
        return;
    }
    object = json_object();
    if (put_page(exchange, row->webhook, state, before, limit, object)) {
        json_decref(object);
        webhooks_refuse_fault(exchange);
        return;
    }
    exchange_answer(exchange, 200, object);
}

void route_deliveries(struct exchange *exchange)
{
    const char *name = NULL;

    if (!query_text(exchange, "state", 16, &name))
        return;
    if (!name) {
        list_deliveries(exchange, -1);
        return;
    }
    for (int state = 0; state < 3; state++)
        if (!strcmp(name, states[state])) {
            list_deliveries(exchange, state);
            return;
        }
    form_refuse(exchange, "bad_member", "state", "state is waiting, delivered or dead");
}

void route_dead(struct exchange *exchange)
{
    list_deliveries(exchange, DELIVERY_GIVEN_UP);
}

/* ---- by hand ---- */

static void tell_sent(struct exchange *exchange)
{
    const struct webhook_result *result = webhooks_result(exchange);

    if (result)
        exchange_answer(exchange, 202, view_delivery(&result->delivery));
}

void route_delivery_resend(struct exchange *exchange)
{
    struct webhook_order *order = webhooks_order(exchange, WEBHOOK_RESEND);
    const char *text = exchange_copy(exchange, exchange->match.second_id);

    if (strncmp(text, DELIVERY_PREFIX, strlen(DELIVERY_PREFIX)) != 0 ||
        !read_number(text + strlen(DELIVERY_PREFIX), &order->delivery)) {
        exchange_say_no(exchange, 404, "not_found", NULL, "this is not the id of a delivery");
        return;
    }
    webhooks_give(exchange, order, tell_sent);
}

/* The first event that the webhook is for, unless another is named. */
static bool choose_sample(struct exchange *exchange, const struct gate_webhook *row,
                          enum happening *sample)
{
    const char *name = NULL;

    if (!form_text(exchange, "event", FORM_OPTIONAL, 32, &name))
        return false;
    if (name && !happening_find(bytes_of_text(name), sample)) {
        form_refuse(exchange, "bad_member", "event", "there is no event of that name");
        return false;
    }
    for (unsigned i = 1; i < HAPPENINGS && !name; i++)
        if (row->filter.kinds >> i & 1) {
            *sample = (enum happening)i;
            break;
        }
    return true;
}

void route_webhook_test(struct exchange *exchange)
{
    struct webhook_order *order = webhooks_order(exchange, WEBHOOK_TEST);
    struct gate_webhook *row = arena_take(&exchange->arena, sizeof *row);

    if (!webhooks_find(exchange, row) || !choose_sample(exchange, row, &order->sample))
        return;
    order->sample_duckling =
        id_is_zero(&row->filter.duckling) ? exchange->access.duckling : row->filter.duckling;
    webhooks_give(exchange, order, tell_sent);
}
