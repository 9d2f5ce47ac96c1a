/* One attempt to deliver: begun, ended, and what it came to kept. */
#include "courier_parts.h"

#include "delivery_schedule.h"
#include "gateway.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#define CONNECTION_LIFE_S 60L

/* One attempt under way. */
struct transfer {
    struct transfer *next;
    CURL *curl;
    struct curl_slist *headers;
    struct call_guard guard;
    struct gate_delivery row;
    struct gate_attempt attempt;
    char *body;
    uint64_t began_ms; /* steady */
    size_t answer_size;
    bool is_answer_cut, has_answer;
    uint64_t retry_after_ms;
};

bool courier_is_under_way(const struct courier *courier, uint64_t delivery)
{
    for (const struct transfer *at = courier->transfers; at; at = at->next)
        if (at->row.delivery == delivery)
            return true;
    return false;
}

/* ---- the beginning ---- */

static size_t drop_answer(char *data, size_t one, size_t count, void *context)
{
    struct transfer *transfer = context;

    (void)data;
    transfer->answer_size += one * count;
    transfer->is_answer_cut = transfer->answer_size > COURIER_ANSWER_MAX;
    return transfer->is_answer_cut ? 0 : one * count;
}

static void add_header(struct transfer *transfer, const char *name, const char *value)
{
    char line[WEBHOOK_SIGNATURES_SIZE + 64];

    snprintf(line, sizeof line, "%s%s%s", name, *value ? ": " : ":", value);
    transfer->headers = curl_slist_append(transfer->headers, line);
}

static bool sign(const struct courier *courier, const struct gate_webhook *webhook,
                 struct transfer *transfer)
{
    uint8_t secret[WEBHOOK_SECRET_SIZE], old_secret[WEBHOOK_SECRET_SIZE];
    char signatures[WEBHOOK_SIGNATURES_SIZE], hex[WEBHOOK_HEX_SIZE], time[24];
    uint64_t now_ms = courier_wall_ms(courier);
    bool has_old = webhook->old_until_ms > now_ms &&
                   webhook_unseal(&courier->key, webhook->name, webhook->old_secret, old_secret);
    struct webhook_signing signing = {.key = &courier->key,
                                      .name = webhook->name,
                                      .secret = secret,
                                      .old_secret = has_old ? old_secret : NULL,
                                      .id = transfer->row.event,
                                      .at_s = now_ms / 1000,
                                      .body = transfer->body};

    if (!webhook_unseal(&courier->key, webhook->name, webhook->secret, secret))
        return false;
    webhook_sign(&signing, signatures, hex);
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(old_secret, sizeof old_secret);
    snprintf(time, sizeof time, "%" PRIu64, signing.at_s);
    add_header(transfer, "Content-Type", "application/json");
    add_header(transfer, "Expect", "");
    add_header(transfer, "webhook-id", transfer->row.event);
    add_header(transfer, "webhook-timestamp", time);
    add_header(transfer, "webhook-signature", signatures);
    add_header(transfer, "X-Space-Duck-Event", happening_name(transfer->row.happening));
    add_header(transfer, "X-Space-Duck-Signature", hex);
    return true;
}

static void set_options(const struct courier *courier, const struct gate_webhook *webhook,
                        struct transfer *transfer)
{
    CURL *curl = transfer->curl;

    call_guard_set(&transfer->guard, curl, webhook->url);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(transfer->body));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, transfer->body);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, COURIER_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, COURIER_CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_MAXAGE_CONN, CONNECTION_LIFE_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_PRIVATE, transfer);
    if (courier->ca_file)
        curl_easy_setopt(curl, CURLOPT_CAINFO, courier->ca_file);
}

static void transfer_free(struct transfer *transfer)
{
    if (transfer->curl)
        curl_easy_cleanup(transfer->curl);
    curl_slist_free_all(transfer->headers);
    memory_give_back(transfer->body);
    memory_give_back(transfer);
}

enum start {
    START_DONE,
    START_NEVER,  /* its webhook is gone or off, or it has ended */
    START_LATER,  /* the store, or memory */
    START_FAILED, /* and that is an attempt */
};

static enum start read_due(struct courier *courier, struct transfer *transfer, uint64_t delivery,
                           const struct gate_webhook **webhook)
{
    bool found = false;
    int fault = gate_delivery_get(courier->store, delivery, &transfer->row, &found);

    if (!fault && (!found || transfer->row.state != DELIVERY_WAITING))
        return START_NEVER;
    if (!fault)
        fault = gate_delivery_body(courier->store, delivery, &transfer->body);
    if (!fault)
        fault = courier_find_webhook(courier, transfer->row.webhook, webhook);
    if (fault) {
        courier_complain(courier, gate_store_complaint(courier->store), fault);
        return START_LATER;
    }
    return transfer->body && *webhook && (*webhook)->state == WEBHOOK_ON ? START_DONE : START_NEVER;
}

static enum start prepare(struct courier *courier, struct transfer *transfer, uint64_t delivery)
{
    const struct gate_webhook *webhook;
    enum start start = read_due(courier, transfer, delivery, &webhook);

    if (start != START_DONE)
        return start;
    transfer->attempt.attempt = transfer->row.attempt + 1;
    transfer->attempt.at_ms = courier_wall_ms(courier);
    transfer->began_ms = gateway_now_ms();
    if (!sign(courier, webhook, transfer)) {
        courier_complain(courier, "a secret does not open with gateway.key", GATE_FAULT_CORRUPT);
        snprintf(transfer->attempt.problem, sizeof transfer->attempt.problem,
                 "its secret cannot be read any more: rotate it");
        return START_FAILED;
    }
    transfer->curl = curl_easy_init();
    if (!transfer->curl)
        return START_LATER;
    transfer->guard = (struct call_guard){.allowed = &courier->allowed, .ports = &courier->ports};
    set_options(courier, webhook, transfer);
    return curl_multi_add_handle(courier->multi, transfer->curl) == CURLM_OK ? START_DONE
                                                                             : START_LATER;
}

static void start_one(struct courier *courier, uint64_t delivery)
{
    struct transfer *transfer = memory_take(sizeof *transfer);
    struct transfer **list = &courier->transfers;
    enum start start = prepare(courier, transfer, delivery);
    uint64_t later_ms = courier_wall_ms(courier) + COURIER_AFTER_A_FAULT_MS;

    switch (start) {
    case START_FAILED:
        list = &courier->ended;
        /* fall through */
    case START_DONE:
        transfer->next = *list;
        *list = transfer;
        return;
    case START_NEVER:
    case START_LATER:
        break;
    }
    delivery_queue_back(courier->queue, delivery, DELIVERY_SAID_NOTHING,
                        start == START_LATER ? later_ms : UINT64_MAX);
    transfer_free(transfer);
}

void courier_start_due(struct courier *courier)
{
    struct queued_delivery next;

    while (delivery_queue_next(courier->queue, courier_wall_ms(courier), &next))
        start_one(courier, next.delivery);
}

/* ---- the end ---- */

static void note_answer(struct transfer *transfer, CURLcode code)
{
    const char *problem = call_guard_problem(&transfer->guard);
    curl_off_t retry_after_s = 0;
    long status = 0;

    transfer->attempt.took_ms = gateway_now_ms() - transfer->began_ms;
    transfer->has_answer = code == CURLE_OK || transfer->is_answer_cut;
    if (transfer->has_answer) {
        curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(transfer->curl, CURLINFO_RETRY_AFTER, &retry_after_s);
    } else {
        snprintf(transfer->attempt.problem, sizeof transfer->attempt.problem, "%s",
                 problem ? problem : curl_easy_strerror(code));
    }
    transfer->attempt.status = (unsigned)status;
    if (retry_after_s > 0)
        transfer->retry_after_ms = retry_after_s > (curl_off_t)(DELIVERY_RETRY_AFTER_MAX_MS / 1000)
                                       ? DELIVERY_RETRY_AFTER_MAX_MS
                                       : (uint64_t)retry_after_s * 1000;
}

static void end_transfer(struct courier *courier, struct transfer *transfer, CURLcode code)
{
    struct transfer **at = &courier->transfers;

    while (*at != transfer)
        at = &(*at)->next;
    *at = transfer->next;
    note_answer(transfer, code);
    curl_multi_remove_handle(courier->multi, transfer->curl);
    transfer->next = courier->ended;
    courier->ended = transfer;
}

void courier_end_transfers(struct courier *courier)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(courier->multi, &left))) {
        struct transfer *transfer = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        end_transfer(courier, transfer, message->data.result);
    }
}

static int turn_off(struct courier *courier, uint64_t webhook, uint64_t now_ms)
{
    const struct gate_webhook *found;
    struct gate_webhook *row;
    int fault = courier_find_webhook(courier, webhook, &found);

    if (fault || !found)
        return fault;
    row = memory_copy(found, sizeof *found);
    row->state = WEBHOOK_GONE;
    fault = gate_webhook_set(courier->store, row);
    memory_give_back(row);
    return fault ? fault : gate_deliveries_give_up(courier->store, webhook, now_ms);
}

static enum delivery_verdict judge(struct courier *courier, struct transfer *transfer,
                                   uint64_t now_ms)
{
    struct delivery_outcome outcome = {transfer->attempt.status, transfer->retry_after_ms};
    struct gate_delivery *row = &transfer->row;
    enum delivery_verdict verdict;

    row->attempt++;
    verdict =
        delivery_judge(row->attempt - row->round, &outcome, now_ms, &courier->dice, &row->due_ms);
    if (verdict != DELIVERY_AGAIN)
        row->ended_ms = now_ms;
    if (verdict == DELIVERY_DONE)
        row->state = DELIVERY_DELIVERED;
    else if (verdict != DELIVERY_AGAIN)
        row->state = DELIVERY_GIVEN_UP;
    return verdict;
}

/* Meanwhile its webhook may have been dropped, or have answered another delivery with 410. */
static int keep_verdict(struct courier *courier, struct transfer *transfer)
{
    struct gate_delivery *row = &transfer->row, kept;
    uint64_t now_ms = courier_wall_ms(courier);
    enum delivery_verdict verdict = judge(courier, transfer, now_ms);
    bool found;
    int fault = gate_delivery_get(courier->store, row->delivery, &kept, &found);

    if (fault || !found) {
        row->state = DELIVERY_GIVEN_UP;
        return fault;
    }
    if (row->state == DELIVERY_WAITING && kept.state != DELIVERY_WAITING) {
        row->state = kept.state;
        row->ended_ms = kept.ended_ms;
    }
    fault = gate_delivery_attempted(courier->store, row, kept.state, &transfer->attempt);
    return !fault && verdict == DELIVERY_GONE ? turn_off(courier, row->webhook, now_ms) : fault;
}

static int keep_verdicts(struct courier *courier)
{
    int fault = gate_store_begin(courier->store);

    for (struct transfer *at = courier->ended; at && !fault; at = at->next)
        fault = keep_verdict(courier, at);
    if (!fault)
        fault = gate_store_commit(courier->store);
    if (fault) {
        courier_complain(courier, gate_store_complaint(courier->store), fault);
        gate_store_roll_back(courier->store);
    }
    return fault;
}

static void count_end(struct courier *courier, const struct transfer *transfer)
{
    bool is_delivered = transfer->row.state == DELIVERY_DELIVERED;

    atomic_fetch_add(is_delivered ? &courier->delivered : &courier->failed, 1);
    if (transfer->row.state == DELIVERY_GIVEN_UP)
        atomic_fetch_add(&courier->given_up, 1);
}

static enum delivery_end end_of(const struct transfer *transfer)
{
    bool is_good = transfer->attempt.status >= 200 && transfer->attempt.status < 300 &&
                   transfer->attempt.took_ms <= COURIER_SLOW_MS;

    if (!transfer->curl)
        return DELIVERY_SAID_NOTHING;
    return is_good ? DELIVERY_WENT_WELL : DELIVERY_WENT_BADLY;
}

/* One transaction for all that ended at once. What the store did not take was not: it is sent again
 * later, under the same id. */
bool courier_keep_ended(struct courier *courier)
{
    bool has_ended = courier->ended;
    int fault = courier->ended ? keep_verdicts(courier) : 0;
    struct transfer *next;

    for (struct transfer *at = courier->ended; at; at = next) {
        uint64_t due_ms = at->row.state == DELIVERY_WAITING ? at->row.due_ms : UINT64_MAX;

        next = at->next;
        if (fault)
            due_ms = courier_wall_ms(courier) + COURIER_AFTER_A_FAULT_MS;
        else
            count_end(courier, at);
        delivery_queue_back(courier->queue, at->row.delivery, end_of(at), due_ms);
        if (!fault && at->attempt.status == 410)
            delivery_queue_drop(courier->queue, at->row.webhook);
        transfer_free(at);
    }
    courier->ended = NULL;
    return has_ended;
}

void courier_drop_transfers(struct courier *courier)
{
    struct transfer *next;

    for (struct transfer *at = courier->transfers; at; at = next) {
        next = at->next;
        curl_multi_remove_handle(courier->multi, at->curl);
        transfer_free(at);
    }
    courier->transfers = NULL;
}
