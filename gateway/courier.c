#include "courier_parts.h"

#include "delivery_schedule.h"
#include "gateway.h"

#include <curl/curl.h>
#include <sodium.h>
#include <stdio.h>

#define LOOK_EVERY_MS 1000u
#define TIDY_EVERY_MS (60 * 1000ull)
#define LOAD_AT_ONCE 2000u /* deliveries between two looks at transfers */
#define CONNECTIONS_KEPT 64L

uint64_t courier_wall_ms(const struct courier *courier)
{
    return courier->settings.wall_ms ? courier->settings.wall_ms(courier->settings.context)
                                     : gateway_wall_ms();
}

void courier_complain(const struct courier *courier, const char *what, int fault)
{
    char text[160];

    if (!courier->settings.trouble)
        return;
    snprintf(text, sizeof text, "webhooks: %s: %s", what, gate_fault_text(fault));
    courier->settings.trouble(courier->settings.context, text);
}

/* ---- what waits ---- */

int courier_find_webhook(struct courier *courier, uint64_t webhook, const struct gate_webhook **row)
{
    bool found = false;
    int fault = gate_webhook_get(courier->store, webhook, courier->known, &found);

    *row = found && !fault ? courier->known : NULL;
    return fault;
}

void courier_queue(struct courier *courier, const struct gate_webhook *webhook,
                   const struct gate_delivery *row)
{
    struct queued_delivery queued = {.delivery = row->delivery,
                                     .webhook = row->webhook,
                                     .operator_id = webhook->operator_id,
                                     .due_ms = row->due_ms};
    uint64_t latest_ms = courier_wall_ms(courier) + 2 * DELIVERY_RETRY_AFTER_MAX_MS;

    if (webhook_url_judge(webhook->url, &queued.host) != WEBHOOK_URL_GOOD)
        return;
    if (queued.due_ms > latest_ms) /* the clock was wrong when that was said */
        queued.due_ms = latest_ms;
    if (!delivery_queue_add(courier->queue, &queued)) /* the store lets no more wait */
        courier->has_doubts = true;
}

static int load_next(struct courier *courier, bool *found)
{
    const struct gate_webhook *webhook = courier->known;
    struct gate_delivery row;
    int fault = gate_delivery_next(courier->store, 0, DELIVERY_WAITING, courier->loaded, false,
                                   &row, found);

    if (!fault && *found && webhook->webhook != row.webhook)
        fault = courier_find_webhook(courier, row.webhook, &webhook);
    if (fault || !*found)
        return fault;
    if (webhook && webhook->state == WEBHOOK_ON && !courier_is_under_way(courier, row.delivery))
        courier_queue(courier, webhook, &row);
    courier->loaded = row.delivery;
    return 0;
}

/* What was added since. True: there is more. */
static bool load_new(struct courier *courier)
{
    bool found = true;
    int fault = 0;

    if (courier->has_doubts && gateway_now_ms() >= courier->settle_at_ms) {
        delivery_queue_drop_all(courier->queue);
        courier->loaded = 0;
        courier->has_doubts = false;
        courier->settle_at_ms = gateway_now_ms() + COURIER_AFTER_A_FAULT_MS;
    }
    for (unsigned i = 0; i < LOAD_AT_ONCE && found && !fault; i++)
        fault = load_next(courier, &found);
    courier->known->webhook = 0; /* it may be changed meanwhile */
    if (fault)
        courier_complain(courier, gate_store_complaint(courier->store), fault);
    return !fault && found;
}

int courier_load_webhook(struct courier *courier, const struct gate_webhook *webhook)
{
    struct gate_delivery row = {.delivery = 0};
    bool found = true;
    int fault = 0;

    while (found && !fault) {
        fault = gate_delivery_next(courier->store, webhook->webhook, DELIVERY_WAITING, row.delivery,
                                   false, &row, &found);
        if (!fault && found && row.delivery <= courier->loaded &&
            !courier_is_under_way(courier, row.delivery))
            courier_queue(courier, webhook, &row);
    }
    return fault;
}

/* ---- the thread ---- */

static struct queued_order *take_orders(struct courier *courier, bool *is_ending)
{
    struct queued_order *first;

    pthread_mutex_lock(&courier->lock);
    first = courier->first;
    courier->first = NULL;
    courier->last = &courier->first;
    *is_ending = courier->is_ending;
    pthread_mutex_unlock(&courier->lock);
    return first;
}

static void carry_out_orders(struct courier *courier, struct queued_order *first)
{
    struct queued_order *next;

    for (struct queued_order *at = first; at; at = next) {
        next = at->next;
        courier_carry_out(courier, at);
        at->done(at->context, &at->result);
        sodium_memzero(&at->result, sizeof at->result);
        memory_give_back(at);
        pthread_mutex_lock(&courier->lock);
        courier->order_count--;
        pthread_mutex_unlock(&courier->lock);
    }
}

static void tidy(struct courier *courier)
{
    uint64_t now_ms = gateway_now_ms();
    bool is_done = true;
    int fault;

    if (now_ms < courier->tidy_at_ms)
        return;
    fault = gate_store_begin(courier->store);
    if (!fault)
        fault = gate_events_tidy(courier->store, courier_wall_ms(courier), &is_done);
    if (!fault)
        fault = gate_store_commit(courier->store);
    if (fault) {
        gate_store_roll_back(courier->store);
        courier_complain(courier, "what is over cannot be dropped", fault);
    }
    courier->tidy_at_ms = now_ms + (is_done ? TIDY_EVERY_MS : LOOK_EVERY_MS);
}

static int wait_of(const struct courier *courier, bool has_more)
{
    uint64_t wake_at_ms = delivery_queue_wake_at_ms(courier->queue);
    uint64_t now_ms = courier_wall_ms(courier);
    unsigned most =
        courier->settings.look_every_ms ? courier->settings.look_every_ms : LOOK_EVERY_MS;

    if (has_more || wake_at_ms <= now_ms)
        return 0;
    return wake_at_ms - now_ms < most ? (int)(wake_at_ms - now_ms) : (int)most;
}

static void *run(void *context)
{
    struct courier *courier = context;
    struct queued_order *orders;
    bool is_ending = false;

    while (!is_ending) {
        bool has_more;
        int running;

        orders = take_orders(courier, &is_ending);
        carry_out_orders(courier, orders);
        has_more = load_new(courier);
        if (!is_ending)
            courier_start_due(courier);
        curl_multi_perform(courier->multi, &running);
        courier_end_transfers(courier);
        has_more = courier_keep_ended(courier) || has_more;
        tidy(courier);
        atomic_store(&courier->waiting, delivery_queue_count(courier->queue));
        atomic_store(&courier->under_way, delivery_queue_under_way(courier->queue));
        if (!is_ending)
            curl_multi_poll(courier->multi, NULL, 0, wait_of(courier, has_more), NULL);
    }
    return NULL;
}

void courier_wake(struct courier *courier)
{
    curl_multi_wakeup(courier->multi);
}

/* ---- opening and closing ---- */

static int open_parts(struct courier *courier)
{
    static const struct delivery_queue_settings settings = {
        .max = DELIVERIES_HELD_MAX + COURIER_AT_ONCE,
        .at_once = COURIER_AT_ONCE,
        .at_once_host = COURIER_AT_ONCE_HOST,
        .at_once_operator = COURIER_AT_ONCE_OPERATOR,
    };
    uint8_t seed[DICE_SEED_SIZE];
    struct gate_feed feed;
    int fault = gate_key_open(courier->settings.key_path, &courier->key);

    if (!fault)
        fault = gate_store_open_writer(&courier->store, courier->settings.store_path);
    if (!fault)
        fault = gate_store_open_reader(&courier->reader, courier->settings.store_path);
    if (!fault)
        fault = gate_feed_get(courier->store, &feed);
    if (fault)
        return fault;
    memcpy(courier->name, feed.name, sizeof courier->name);
    randombytes_buf(seed, sizeof seed);
    dice_init(&courier->dice, seed);
    courier->queue = delivery_queue_new(&settings);
    courier->known = memory_take(sizeof *courier->known);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    courier->multi = curl_multi_init();
    if (!courier->multi)
        return GATE_FAULT_THREAD;
    curl_multi_setopt(courier->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
    return 0;
}

int courier_open(struct courier **opened, const struct courier_settings *settings)
{
    struct courier *courier = memory_take(sizeof *courier);
    int fault;

    courier->settings = *settings;
    if (settings->allowed)
        courier->allowed = *settings->allowed;
    if (settings->ports)
        courier->ports = *settings->ports;
    if (settings->ca_file && *settings->ca_file)
        courier->ca_file = memory_copy(settings->ca_file, strlen(settings->ca_file) + 1);
    courier->last = &courier->first;
    pthread_mutex_init(&courier->lock, NULL);
    pthread_mutex_init(&courier->reader_lock, NULL);
    fault = open_parts(courier);
    if (!fault && pthread_create(&courier->thread, NULL, run, courier) != 0)
        fault = GATE_FAULT_THREAD;
    courier->is_running = !fault;
    if (fault) {
        courier_close(courier);
        return fault;
    }
    *opened = courier;
    return 0;
}

static void end_thread(struct courier *courier)
{
    pthread_mutex_lock(&courier->lock);
    courier->is_ending = true;
    pthread_mutex_unlock(&courier->lock);
    curl_multi_wakeup(courier->multi);
    pthread_join(courier->thread, NULL);
}

void courier_close(struct courier *courier)
{
    if (!courier)
        return;
    if (courier->is_running)
        end_thread(courier);
    courier_drop_transfers(courier);
    if (courier->multi)
        curl_multi_cleanup(courier->multi);
    delivery_queue_free(courier->queue);
    memory_give_back(courier->known);
    memory_give_back(courier->ca_file);
    gate_store_close(courier->reader);
    gate_store_close(courier->store);
    gate_key_wipe(&courier->key);
    pthread_mutex_destroy(&courier->reader_lock);
    pthread_mutex_destroy(&courier->lock);
    memory_give_back(courier);
}
