/* Orders about webhooks, each in a transaction, and what is read of them. */
#include "courier_parts.h"

#include <curl/curl.h>
#include <sodium.h>
#include <stdlib.h>

const char *courier_verdict_text(enum courier_verdict verdict)
{
    switch (verdict) {
    case COURIER_TAKEN:
        return "taken";
    case COURIER_NOT_FOUND:
        return "there is no such thing of yours";
    case COURIER_TOO_MANY:
        return "an operator has at most 16 webhooks";
    case COURIER_IS_OFF:
        return "this webhook is off: PATCH it with enabled true first";
    case COURIER_IS_WAITING:
        return "this delivery is on its way already";
    case COURIER_FULL:
        return "too much waits to be delivered";
    case COURIER_FAULT:
        return "the gateway's store does not answer";
    }
    return "unknown verdict";
}

const char *courier_verdict_code(enum courier_verdict verdict)
{
    switch (verdict) {
    case COURIER_TAKEN:
        return "taken";
    case COURIER_NOT_FOUND:
        return "not_found";
    case COURIER_TOO_MANY:
        return "too_many_webhooks";
    case COURIER_IS_OFF:
        return "webhook_off";
    case COURIER_IS_WAITING:
        return "conflict";
    case COURIER_FULL:
        return "busy";
    case COURIER_FAULT:
        return "store_failed";
    }
    return "unknown";
}

bool courier_order(struct courier *courier, const struct webhook_order *order, courier_done *done,
                   void *context)
{
    struct queued_order *queued = memory_take(sizeof *queued);
    bool is_taken;

    queued->order = *order;
    queued->done = done;
    queued->context = context;
    pthread_mutex_lock(&courier->lock);
    is_taken = !courier->is_ending && courier->order_count < COURIER_ORDERS_MAX;
    if (is_taken) {
        *courier->last = queued;
        courier->last = &queued->next;
        courier->order_count++;
    }
    pthread_mutex_unlock(&courier->lock);
    if (is_taken)
        curl_multi_wakeup(courier->multi);
    else
        memory_give_back(queued);
    return is_taken;
}

/* ---- webhooks ---- */

static void show_secret(struct courier *courier, const uint8_t secret[WEBHOOK_SECRET_SIZE],
                        struct webhook_result *result)
{
    webhook_secret_text(secret, result->secret);
    webhook_public_text(&courier->key, result->webhook.name, result->public_key);
}

static int add_webhook(struct courier *courier, const struct webhook_order *order,
                       struct webhook_result *result)
{
    struct gate_webhook *row = &result->webhook;
    uint8_t secret[WEBHOOK_SECRET_SIZE];
    uint64_t count;
    int fault = gate_webhooks_count(courier->store, order->operator_id, &count);

    if (fault || count >= WEBHOOKS_PER_OPERATOR_MAX) {
        result->verdict = COURIER_TOO_MANY;
        return fault;
    }
    webhook_name_make(row->name);
    row->operator_id = order->operator_id;
    memcpy(row->url, order->url, sizeof row->url);
    row->filter = order->filter;
    row->state = order->is_on ? WEBHOOK_ON : WEBHOOK_OFF;
    row->created_ms = courier_wall_ms(courier);
    webhook_secret_make(secret);
    webhook_seal(&courier->key, row->name, secret, row->secret);
    show_secret(courier, secret, result);
    sodium_memzero(secret, sizeof secret);
    return gate_webhook_add(courier->store, row);
}

static int change_webhook(struct courier *courier, const struct webhook_order *order,
                          struct webhook_result *result)
{
    struct gate_webhook *row = &result->webhook;
    uint32_t kinds = row->filter.kinds;
    bool was_on = row->state == WEBHOOK_ON;
    int fault;

    if (order->named & WEBHOOK_URL)
        memcpy(row->url, order->url, sizeof row->url);
    if (order->named & WEBHOOK_FILTER)
        row->filter = order->filter;
    row->filter.kinds = order->named & WEBHOOK_KINDS ? order->filter.kinds : kinds;
    if (order->named & WEBHOOK_STATE)
        row->state = order->is_on ? WEBHOOK_ON : WEBHOOK_OFF;
    fault = gate_webhook_set(courier->store, row);
    if (was_on && row->state != WEBHOOK_ON)
        delivery_queue_drop(courier->queue, row->webhook);
    else if (!fault && !was_on && row->state == WEBHOOK_ON)
        fault = courier_load_webhook(courier, row);
    return fault;
}

static int drop_webhook(struct courier *courier, struct webhook_result *result)
{
    delivery_queue_drop(courier->queue, result->webhook.webhook);
    return gate_webhook_drop(courier->store, result->webhook.webhook);
}

static int rotate_secret(struct courier *courier, const struct webhook_order *order,
                         struct webhook_result *result)
{
    struct gate_webhook *row = &result->webhook;
    uint8_t secret[WEBHOOK_SECRET_SIZE];

    memcpy(row->old_secret, row->secret, sizeof row->old_secret);
    row->old_until_ms =
        order->overlap_s ? courier_wall_ms(courier) + order->overlap_s * 1000ull : 0;
    webhook_secret_make(secret);
    webhook_seal(&courier->key, row->name, secret, row->secret);
    show_secret(courier, secret, result);
    sodium_memzero(secret, sizeof secret);
    return gate_webhook_set(courier->store, row);
}

/* ---- deliveries by hand ---- */

static void name_sample(char event[EVENT_ID_SIZE + 8])
{
    uint8_t bytes[16];

    randombytes_buf(bytes, sizeof bytes);
    memcpy(event, "evt_test", 8);
    base32_encode(bytes_of(bytes, sizeof bytes), event + 8);
}

static int send_sample(struct courier *courier, const struct webhook_order *order,
                       struct webhook_result *result)
{
    struct gate_delivery *row = &result->delivery;
    char duckling[ID_TEXT_SIZE], *data, *body;
    bool is_room = false;
    int fault = gate_webhook_has_room(courier->store, &result->webhook, &is_room);

    if (fault || result->webhook.state != WEBHOOK_ON || !is_room) {
        result->verdict = result->webhook.state != WEBHOOK_ON ? COURIER_IS_OFF : COURIER_FULL;
        return fault;
    }
    row->webhook = result->webhook.webhook;
    row->happening = order->sample;
    row->due_ms = row->created_ms = courier_wall_ms(courier);
    name_sample(row->event);
    data = happening_sample(order->sample, id_text(ID_DUCKLING, &order->sample_duckling, duckling));
    body = event_body(row->event, order->sample, row->created_ms, data);
    fault = gate_delivery_add(courier->store, row, body);
    free(body);
    free(data);
    return fault; /* load_new finds it */
}

static int send_again(struct courier *courier, const struct webhook_order *order,
                      struct webhook_result *result)
{
    bool found = false, is_room = false;
    int fault = gate_delivery_get(courier->store, order->delivery, &result->delivery, &found);

    if (!fault)
        fault = gate_webhook_has_room(courier->store, &result->webhook, &is_room);
    if (fault)
        return fault;
    if (!found || result->delivery.webhook != result->webhook.webhook)
        result->verdict = COURIER_NOT_FOUND;
    else if (result->webhook.state != WEBHOOK_ON)
        result->verdict = COURIER_IS_OFF;
    else if (result->delivery.state == DELIVERY_WAITING ||
             courier_is_under_way(courier, order->delivery))
        result->verdict = COURIER_IS_WAITING;
    else if (!is_room)
        result->verdict = COURIER_FULL;
    if (result->verdict != COURIER_TAKEN)
        return 0;
    fault = gate_delivery_again(courier->store, &result->delivery, courier_wall_ms(courier));
    result->delivery.state = DELIVERY_WAITING;
    result->delivery.round = result->delivery.attempt;
    result->delivery.due_ms = courier_wall_ms(courier);
    result->delivery.ended_ms = 0;
    return fault;
}

/* ---- all ---- */

static int carry_out(struct courier *courier, const struct webhook_order *order,
                     struct webhook_result *result)
{
    bool found = true;
    int fault;

    if (order->kind == WEBHOOK_ADD)
        return add_webhook(courier, order, result);
    fault = gate_webhook_find(courier->store, order->operator_id, order->name, &result->webhook,
                              &found);
    if (fault || !found || !webhook_is_for(&result->webhook.filter, &order->only)) {
        result->verdict = COURIER_NOT_FOUND;
        return fault;
    }
    webhook_public_text(&courier->key, result->webhook.name, result->public_key);
    switch (order->kind) {
    case WEBHOOK_CHANGE:
        return change_webhook(courier, order, result);
    case WEBHOOK_DROP:
        return drop_webhook(courier, result);
    case WEBHOOK_ROTATE:
        return rotate_secret(courier, order, result);
    case WEBHOOK_TEST:
        return send_sample(courier, order, result);
    case WEBHOOK_RESEND:
        return send_again(courier, order, result);
    case WEBHOOK_ADD:
        break;
    }
    return 0;
}

void courier_carry_out(struct courier *courier, struct queued_order *queued)
{
    struct webhook_result *result = &queued->result;
    int fault = gate_store_begin(courier->store);

    result->verdict = COURIER_TAKEN;
    if (!fault)
        fault = carry_out(courier, &queued->order, result);
    if (!fault)
        fault = gate_store_commit(courier->store);
    if (fault) {
        courier_complain(courier, gate_store_complaint(courier->store), fault);
        gate_store_roll_back(courier->store);
        result->verdict = COURIER_FAULT;
        courier->has_doubts = true; /* the queue may have heard of what was undone */
    }
    if (result->verdict != COURIER_TAKEN)
        sodium_memzero(result->secret, sizeof result->secret);
    else if (queued->order.kind == WEBHOOK_RESEND && result->delivery.delivery <= courier->loaded)
        courier_queue(courier, &result->webhook, &result->delivery);
}

const char *courier_forbids(const struct courier *courier, const char *url)
{
    const struct call_guard guard = {.allowed = &courier->allowed, .ports = &courier->ports};

    return call_guard_forbids(&guard, url);
}

/* ---- reads ---- */

int courier_webhook(struct courier *courier, uint64_t operator_id, const char *name,
                    struct gate_webhook *row, bool *found)
{
    int fault;

    pthread_mutex_lock(&courier->reader_lock);
    fault = gate_webhook_find(courier->reader, operator_id, name, row, found);
    pthread_mutex_unlock(&courier->reader_lock);
    return fault;
}

int courier_webhook_next(struct courier *courier, uint64_t operator_id, uint64_t after,
                         struct gate_webhook *row, bool *found)
{
    int fault;

    pthread_mutex_lock(&courier->reader_lock);
    fault = gate_webhook_next(courier->reader, operator_id, after, row, found);
    pthread_mutex_unlock(&courier->reader_lock);
    return fault;
}

int courier_delivery_next(struct courier *courier, uint64_t webhook, int state, uint64_t before,
                          struct gate_delivery *row, bool *found)
{
    int fault;

    pthread_mutex_lock(&courier->reader_lock);
    fault = gate_delivery_next(courier->reader, webhook, state, before, true, row, found);
    pthread_mutex_unlock(&courier->reader_lock);
    return fault;
}

int courier_attempts(struct courier *courier, uint64_t delivery, struct gate_attempt *attempts,
                     size_t max, size_t *count)
{
    int fault;

    pthread_mutex_lock(&courier->reader_lock);
    fault = gate_attempts(courier->reader, delivery, attempts, max, count);
    pthread_mutex_unlock(&courier->reader_lock);
    return fault;
}

const char *courier_public_key(struct courier *courier, const char *name,
                               char text[WEBHOOK_PUBLIC_TEXT_SIZE])
{
    return webhook_public_text(&courier->key, name, text);
}

void courier_figures(struct courier *courier, struct courier_figures *figures)
{
    *figures = (struct courier_figures){.waiting = atomic_load(&courier->waiting),
                                        .under_way = atomic_load(&courier->under_way),
                                        .delivered = atomic_load(&courier->delivered),
                                        .failed = atomic_load(&courier->failed),
                                        .given_up = atomic_load(&courier->given_up)};
}
