/* The courier between a real store and real receivers on loopback, on a made-up clock. */
#include "courier.h"
#include "courier_bed.h"
#include "delivery_schedule.h"
#include "folder.h"
#include "hook_receiver.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>

#define START_MS 1700000000000ull
#define CALLS_MAX 512

struct seen {
    char path[32], id[48], timestamp[24], signatures[WEBHOOK_SIGNATURES_SIZE], body[512], hex[80];
    unsigned status;
};

static struct folder folder;
static struct courier_bed bed;
static struct hook_receiver receiver;
static struct courier *courier;
static struct allow_list allowed;
static _Atomic uint64_t clock_ms;
static uint64_t owner;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct seen seen[CALLS_MAX];
static size_t seen_count;
static unsigned (*decide)(const struct hook_call *call);
static bool is_held; /* calls wait for an answer, while */
static size_t held_count;
static _Atomic size_t complaints;

/* A name whose servers do not answer: the C library asks for as long as it likes. */
static bool is_stuck;      /* while */
static size_t stuck_count; /* threads of names that are */
static pthread_mutex_t stuck_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t stuck_changed = PTHREAD_COND_INITIALIZER;

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    if (name && !strcmp(name, "stuck.example")) {
        pthread_mutex_lock(&stuck_lock);
        stuck_count++;
        pthread_cond_broadcast(&stuck_changed);
        while (is_stuck)
            pthread_cond_wait(&stuck_changed, &stuck_lock);
        stuck_count--;
        pthread_cond_broadcast(&stuck_changed);
        pthread_mutex_unlock(&stuck_lock);
        return EAI_AGAIN;
    }
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(name, service, hints, found);
}

static uint64_t now(void *context)
{
    (void)context;
    return atomic_load(&clock_ms);
}

static unsigned answer(void *context, const struct hook_call *call)
{
    struct seen *at;
    unsigned status;

    (void)context;
    pthread_mutex_lock(&lock);
    held_count++;
    pthread_cond_broadcast(&changed);
    while (is_held)
        pthread_cond_wait(&changed, &lock);
    status = decide ? decide(call) : 204;
    ck_assert_uint_lt(seen_count, CALLS_MAX);
    at = &seen[seen_count++];
    snprintf(at->path, sizeof at->path, "%s", call->path);
    snprintf(at->id, sizeof at->id, "%s", call->id);
    snprintf(at->timestamp, sizeof at->timestamp, "%s", call->timestamp);
    snprintf(at->signatures, sizeof at->signatures, "%s", call->signatures);
    snprintf(at->body, sizeof at->body, "%s", call->body);
    snprintf(at->hex, sizeof at->hex, "%s", call->hex);
    at->status = status;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return status;
}

static void complain(void *context, const char *text)
{
    (void)context;
    ck_assert_ptr_null(strstr(text, "http")); /* a URL may hold a secret */
    atomic_fetch_add(&complaints, 1);
}

static void open_courier(void)
{
    const struct courier_settings settings = {.store_path = bed.store_path,
                                              .key_path = bed.key_path,
                                              .allowed = &allowed,
                                              .wall_ms = now,
                                              .trouble = complain,
                                              .look_every_ms = 5};

    ck_assert_int_eq(courier_open(&courier, &settings), 0);
}

static void setup(void)
{
    folder = folder_make();
    courier_bed_make(&bed, folder.path);
    owner = courier_bed_operator(&bed, "owner@example.com");
    atomic_store(&clock_ms, START_MS);
    allowed = (struct allow_list){.count = 0};
    ck_assert(allow_list_add(&allowed, "127.0.0.1/32"));
    receiver = (struct hook_receiver){.answer = answer};
    decide = NULL;
    seen_count = held_count = 0;
    is_held = is_stuck = false;
    atomic_store(&complaints, 0);
    ck_assert(hook_receiver_open(&receiver));
    open_courier();
}

static void teardown(void)
{
    courier_close(courier);
    hook_receiver_close(&receiver);
    gate_store_close(bed.store);
    folder_remove(&folder);
}

static const char *url_of(const char *path)
{
    static char url[128];

    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", receiver.port, path);
    return url;
}

static void await_calls(size_t count)
{
    pthread_mutex_lock(&lock);
    while (seen_count < count)
        pthread_cond_wait(&changed, &lock); /* the test's own time is bounded */
    pthread_mutex_unlock(&lock);
}

/* What the store says of the newest delivery of a webhook, once it says `state` and `attempts`. */
static struct gate_delivery await_delivery(uint64_t webhook, enum delivery_state state,
                                           unsigned attempts)
{
    struct timespec pause = {.tv_nsec = 2000000};
    struct gate_delivery row = {.delivery = 0};
    bool found = false;

    for (;;) {
        ck_assert_int_eq(gate_delivery_next(bed.store, webhook, -1, 0, true, &row, &found), 0);
        if (found && row.state == state && row.attempt >= attempts)
            return row;
        nanosleep(&pause, NULL);
    }
}

static void happen(void)
{
    courier_bed_event(&bed, owner, atomic_load(&clock_ms));
    courier_wake(courier);
}

START_TEST(what_happens_is_delivered_once_with_its_headers)
{
    uint64_t hook = courier_bed_webhook(&bed, owner, url_of("/hook"));
    struct gate_delivery row;

    happen();
    await_calls(1);
    row = await_delivery(hook, DELIVERY_DELIVERED, 1);
    ck_assert_str_eq(seen[0].id, row.event);
    ck_assert_str_eq(seen[0].timestamp, "1700000000");
    ck_assert_int_eq(strncmp(seen[0].signatures, "v1,", 3), 0);
    ck_assert_int_eq(strncmp(seen[0].hex, "sha256=", 7), 0);
    ck_assert_ptr_nonnull(strstr(seen[0].body, row.event));
    ck_assert_uint_eq(row.ended_ms, START_MS);
    ck_assert_uint_eq(seen_count, 1);
}
END_TEST

static unsigned always_500(const struct hook_call *call)
{
    (void)call;
    return 500;
}

/* The whole schedule, from the first attempt to the last, as the receiver sees it. */
START_TEST(each_attempt_is_made_when_the_schedule_says_and_the_last_ends_it)
{
    uint64_t hook = courier_bed_webhook(&bed, owner, url_of("/hook"));
    struct gate_delivery row;

    decide = always_500;
    happen();
    for (unsigned attempt = 1; attempt < DELIVERY_ATTEMPTS_MAX; attempt++) {
        uint64_t wait_ms = delivery_wait_ms(attempt + 1), at_ms = atomic_load(&clock_ms);

        row = await_delivery(hook, DELIVERY_WAITING, attempt);
        ck_assert_uint_ge(row.due_ms, at_ms + wait_ms);
        ck_assert_uint_le(row.due_ms, at_ms + wait_ms + wait_ms / DELIVERY_JITTER_PART);
        ck_assert_uint_eq(seen_count, attempt);
        atomic_store(&clock_ms, row.due_ms);
    }
    row = await_delivery(hook, DELIVERY_GIVEN_UP, DELIVERY_ATTEMPTS_MAX);
    ck_assert_uint_eq(seen_count, DELIVERY_ATTEMPTS_MAX);
    for (size_t i = 0; i < seen_count; i++)
        ck_assert_str_eq(seen[i].id, row.event);
    ck_assert_str_ne(seen[0].timestamp, seen[9].timestamp);
}
END_TEST

START_TEST(retry_after_is_honoured)
{
    uint64_t hook = courier_bed_webhook(&bed, owner, url_of("/hook"));
    struct gate_delivery row;

    decide = always_500;
    receiver.retry_after = "7200";
    happen();
    row = await_delivery(hook, DELIVERY_WAITING, 1);
    ck_assert_uint_ge(row.due_ms, START_MS + 7200000);
}
END_TEST

START_TEST(what_was_waiting_when_the_process_ended_goes_out_after_it)
{
    uint64_t hook = courier_bed_webhook(&bed, owner, url_of("/hook"));
    struct gate_delivery row;
    char id[48];

    decide = always_500;
    happen();
    row = await_delivery(hook, DELIVERY_WAITING, 1);
    snprintf(id, sizeof id, "%s", row.event);
    courier_close(courier);
    decide = NULL;
    atomic_store(&clock_ms, row.due_ms);
    open_courier();
    row = await_delivery(hook, DELIVERY_DELIVERED, 2);
    ck_assert_str_eq(seen[1].id, id);
}
END_TEST

static unsigned redirect(const struct hook_call *call)
{
    return strcmp(call->path, "/hook") ? 200 : 308;
}

START_TEST(a_redirect_is_not_followed)
{
    uint64_t hook = courier_bed_webhook(&bed, owner, url_of("/hook"));

    decide = redirect;
    happen();
    await_delivery(hook, DELIVERY_WAITING, 1);
    ck_assert_uint_eq(seen_count, 1);
}
END_TEST

static unsigned fine(const struct hook_call *call)
{
    (void)call;
    return 200;
}

START_TEST(an_answer_that_is_too_long_is_not_read_to_its_end_and_counts_by_its_status)
{
    static char text[COURIER_ANSWER_MAX * 4];
    uint64_t hook = courier_bed_webhook(&bed, owner, url_of("/hook"));

    memset(text, 'a', sizeof text - 1);
    receiver.text = text;
    decide = fine; /* 204 has no body */
    happen();
    await_delivery(hook, DELIVERY_DELIVERED, 1);
}
END_TEST

START_TEST(what_is_not_allowed_is_not_called)
{
    char url[64];
    uint64_t hook, named;
    struct gate_delivery row;
    struct gate_attempt log;
    size_t count;

    snprintf(url, sizeof url, "http://127.0.0.3:%u/", receiver.port);
    hook = courier_bed_webhook(&bed, owner, url);
    snprintf(url, sizeof url, "http://[::ffff:127.0.0.3]:%u/", receiver.port);
    named = courier_bed_webhook(&bed, owner, url);
    happen();
    row = await_delivery(hook, DELIVERY_WAITING, 1);
    ck_assert_int_eq(gate_attempts(bed.store, row.delivery, &log, 1, &count), 0);
    ck_assert_uint_eq(log.status, 0);
    ck_assert_str_eq(log.problem, "its address is not a public one");
    row = await_delivery(named, DELIVERY_WAITING, 1);
    ck_assert_int_eq(gate_attempts(bed.store, row.delivery, &log, 1, &count), 0);
    ck_assert_str_eq(log.problem, "its address is not a public one");
    ck_assert_uint_eq(seen_count, 0);
}
END_TEST

START_TEST(a_secret_that_cannot_be_read_is_a_failure_that_says_so)
{
    struct gate_delivery row;
    struct gate_attempt log;
    uint64_t hook;
    size_t count;

    bed.key.bytes[0] ^= 1; /* of another gateway.key */
    hook = courier_bed_webhook(&bed, owner, url_of("/hook"));
    happen();
    row = await_delivery(hook, DELIVERY_WAITING, 1);
    ck_assert_uint_ge(row.due_ms, START_MS + 5000);
    ck_assert_int_eq(gate_attempts(bed.store, row.delivery, &log, 1, &count), 0);
    ck_assert_str_eq(log.problem, "its secret cannot be read any more: rotate it");
    ck_assert_uint_eq(log.status, 0);
    ck_assert_uint_eq(seen_count, 0);
    ck_assert_uint_eq(atomic_load(&complaints), 1);
}
END_TEST

/* ---- orders ---- */

struct waiter {
    struct webhook_result result;
    bool is_done;
};

static void take_result(void *context, const struct webhook_result *result)
{
    struct waiter *waiter = context;

    pthread_mutex_lock(&lock);
    waiter->result = *result;
    waiter->is_done = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static struct webhook_result give(const struct webhook_order *order)
{
    struct waiter waiter = {.is_done = false};

    ck_assert(courier_order(courier, order, take_result, &waiter));
    pthread_mutex_lock(&lock);
    while (!waiter.is_done)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return waiter.result;
}

static struct webhook_order order_of(enum webhook_order_kind kind,
                                     const struct webhook_result *webhook)
{
    struct webhook_order order = {.kind = kind, .operator_id = owner, .is_on = true};

    if (webhook)
        memcpy(order.name, webhook->webhook.name, sizeof order.name);
    return order;
}

static struct webhook_result add(const char *path)
{
    struct webhook_order order = order_of(WEBHOOK_ADD, NULL);

    snprintf(order.url, sizeof order.url, "%s", url_of(path));
    order.filter.kinds = HAPPENINGS_ALL;
    return give(&order);
}

START_TEST(sixteen_webhooks_are_an_operators_and_not_one_more)
{
    for (unsigned i = 0; i < WEBHOOKS_PER_OPERATOR_MAX; i++)
        ck_assert_int_eq(add("/hook").verdict, COURIER_TAKEN);
    ck_assert_int_eq(add("/hook").verdict, COURIER_TOO_MANY);
}
END_TEST

START_TEST(only_its_operator_finds_a_webhook)
{
    struct webhook_result added = add("/hook");
    struct webhook_order order = order_of(WEBHOOK_DROP, &added);

    order.operator_id = courier_bed_operator(&bed, "other@example.com");
    ck_assert_int_eq(give(&order).verdict, COURIER_NOT_FOUND);
    order.operator_id = owner;
    order.only.bytes[0] = 1; /* a beak key, of a duckling that it is not of */
    ck_assert_int_eq(give(&order).verdict, COURIER_NOT_FOUND);
    order = order_of(WEBHOOK_DROP, &added);
    ck_assert_int_eq(give(&order).verdict, COURIER_TAKEN);
    ck_assert_int_eq(give(&order).verdict, COURIER_NOT_FOUND);
}
END_TEST

START_TEST(a_secret_that_was_replaced_signs_until_its_time_is_over)
{
    struct webhook_result added = add("/hook");
    struct webhook_order order = order_of(WEBHOOK_ROTATE, &added),
                         test = order_of(WEBHOOK_TEST, &added);
    struct webhook_result rotated;

    order.overlap_s = 60;
    test.sample = HAPPENED_PECK;
    rotated = give(&order);
    ck_assert_int_eq(rotated.verdict, COURIER_TAKEN);
    ck_assert_str_ne(rotated.secret, added.secret);
    ck_assert_int_eq(give(&test).verdict, COURIER_TAKEN);
    await_calls(1);
    ck_assert_ptr_nonnull(strstr(seen[0].signatures + 3, " v1,"));
    atomic_fetch_add(&clock_ms, 60000);
    ck_assert_int_eq(give(&test).verdict, COURIER_TAKEN);
    await_calls(2);
    ck_assert_ptr_null(strstr(seen[1].signatures + 3, " v1,"));
}
END_TEST

START_TEST(a_webhook_that_is_off_keeps_what_waits_and_goes_on_when_it_is_on)
{
    struct webhook_result added = add("/hook");
    struct webhook_order change = order_of(WEBHOOK_CHANGE, &added),
                         test = order_of(WEBHOOK_TEST, &added);
    struct gate_delivery row;

    decide = always_500;
    happen();
    row = await_delivery(added.webhook.webhook, DELIVERY_WAITING, 1);
    change.named = WEBHOOK_STATE;
    change.is_on = false;
    ck_assert_int_eq(give(&change).verdict, COURIER_TAKEN);
    ck_assert_int_eq(give(&test).verdict, COURIER_IS_OFF);
    decide = NULL;
    atomic_store(&clock_ms, row.due_ms);
    change.is_on = true;
    ck_assert_int_eq(give(&change).verdict, COURIER_TAKEN);
    await_delivery(added.webhook.webhook, DELIVERY_DELIVERED, 2);
    ck_assert_uint_eq(seen_count, 2);
}
END_TEST

static unsigned gone(const struct hook_call *call)
{
    (void)call;
    return 410;
}

START_TEST(one_that_is_gone_is_off_and_what_was_given_up_can_be_sent_again)
{
    struct webhook_result added = add("/hook");
    struct webhook_order again = order_of(WEBHOOK_RESEND, &added),
                         change = order_of(WEBHOOK_CHANGE, &added);
    struct gate_delivery row;
    struct webhook_result result;

    decide = gone;
    happen();
    row = await_delivery(added.webhook.webhook, DELIVERY_GIVEN_UP, 1);
    again.delivery = row.delivery;
    ck_assert_int_eq(give(&again).verdict, COURIER_IS_OFF);
    change.named = WEBHOOK_STATE;
    decide = NULL;
    result = give(&change);
    ck_assert_int_eq(result.webhook.state, WEBHOOK_ON);
    ck_assert_int_eq(give(&again).verdict, COURIER_TAKEN);
    row = await_delivery(added.webhook.webhook, DELIVERY_DELIVERED, 2);
    ck_assert_str_eq(seen[0].id, seen[1].id);
    again.delivery = row.delivery + 1;
    ck_assert_int_eq(give(&again).verdict, COURIER_NOT_FOUND);
}
END_TEST

static void hold(void)
{
    pthread_mutex_lock(&lock);
    is_held = true;
    pthread_mutex_unlock(&lock);
}

static void await_held(void)
{
    pthread_mutex_lock(&lock);
    while (held_count == 0)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void let_go(void)
{
    pthread_mutex_lock(&lock);
    is_held = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

START_TEST(a_webhook_that_is_dropped_while_it_is_called_takes_nothing_with_it)
{
    struct webhook_result dropped = add("/dropped"), other = add("/other");
    struct webhook_order drop = order_of(WEBHOOK_DROP, &dropped);

    hold();
    happen();
    await_held();
    ck_assert_int_eq(give(&drop).verdict, COURIER_TAKEN);
    let_go();
    await_delivery(other.webhook.webhook, DELIVERY_DELIVERED, 1);
    await_calls(2);
    happen();
    await_calls(3);
    ck_assert_str_eq(seen[2].path, "/other");
    ck_assert_uint_eq(atomic_load(&complaints), 0);
}
END_TEST

static unsigned gone_first(const struct hook_call *call)
{
    (void)call;
    return seen_count == 0 ? 410 : 500;
}

START_TEST(what_was_under_way_to_one_that_is_gone_waits_no_more)
{
    struct webhook_result added = add("/hook");
    struct gate_webhook row;
    struct gate_delivery delivery;
    uint64_t after = 0;
    bool found = true;

    decide = gone_first;
    hold();
    happen();
    happen();
    await_held();
    let_go();
    await_calls(2);
    for (int i = 0; i < 2; i++) {
        do
            ck_assert_int_eq(gate_delivery_next(bed.store, added.webhook.webhook, DELIVERY_GIVEN_UP,
                                                after, false, &delivery, &found),
                             0);
        while (!found || delivery.attempt != 1);
        after = delivery.delivery;
    }
    ck_assert_int_eq(gate_webhook_get(bed.store, added.webhook.webhook, &row, &found), 0);
    ck_assert_int_eq(row.state, WEBHOOK_GONE);
    ck_assert_uint_eq(row.waiting, 0);
}
END_TEST

static void await_stuck(size_t count)
{
    pthread_mutex_lock(&stuck_lock);
    while (stuck_count != count)
        pthread_cond_wait(&stuck_changed, &stuck_lock);
    pthread_mutex_unlock(&stuck_lock);
}

/* Its transfer is ended at its time, and nobody waits for the thread that still asks. */
START_TEST(a_name_that_nobody_answers_for_holds_up_nothing)
{
    uint64_t hook = courier_bed_webhook(&bed, owner, "https://stuck.example/"), well;

    is_stuck = true;
    courier_close(courier);
    open_courier();
    happen();
    await_stuck(1);
    courier_close(courier); /* while it asks */
    open_courier();
    await_stuck(2);
    await_delivery(hook, DELIVERY_WAITING, 1); /* COURIER_CONNECT_MS later */
    well = courier_bed_webhook(&bed, owner, url_of("/hook"));
    happen();
    await_delivery(well, DELIVERY_DELIVERED, 1);
    pthread_mutex_lock(&stuck_lock);
    is_stuck = false;
    pthread_cond_broadcast(&stuck_changed);
    pthread_mutex_unlock(&stuck_lock);
    await_stuck(0);
}
END_TEST

START_TEST(what_is_sent_again_has_the_whole_schedule_before_it)
{
    struct webhook_result added = add("/hook");
    struct webhook_order again = order_of(WEBHOOK_RESEND, &added);
    struct gate_delivery row;

    happen();
    row = await_delivery(added.webhook.webhook, DELIVERY_DELIVERED, 1);
    decide = always_500;
    again.delivery = row.delivery;
    ck_assert_int_eq(give(&again).verdict, COURIER_TAKEN);
    row = await_delivery(added.webhook.webhook, DELIVERY_WAITING, 2);
    ck_assert_uint_ge(row.due_ms, START_MS + 5000);
    ck_assert_uint_le(row.due_ms, START_MS + 5500);
    ck_assert_int_eq(give(&again).verdict, COURIER_IS_WAITING);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("courier");
    Suite *suite = suite_create("courier");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 40);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_happens_is_delivered_once_with_its_headers);
    tcase_add_test(tests, each_attempt_is_made_when_the_schedule_says_and_the_last_ends_it);
    tcase_add_test(tests, retry_after_is_honoured);
    tcase_add_test(tests, what_was_waiting_when_the_process_ended_goes_out_after_it);
    tcase_add_test(tests, a_redirect_is_not_followed);
    tcase_add_test(tests,
                   an_answer_that_is_too_long_is_not_read_to_its_end_and_counts_by_its_status);
    tcase_add_test(tests, what_is_not_allowed_is_not_called);
    tcase_add_test(tests, sixteen_webhooks_are_an_operators_and_not_one_more);
    tcase_add_test(tests, only_its_operator_finds_a_webhook);
    tcase_add_test(tests, a_secret_that_was_replaced_signs_until_its_time_is_over);
    tcase_add_test(tests, a_webhook_that_is_off_keeps_what_waits_and_goes_on_when_it_is_on);
    tcase_add_test(tests, one_that_is_gone_is_off_and_what_was_given_up_can_be_sent_again);
    tcase_add_test(tests, a_secret_that_cannot_be_read_is_a_failure_that_says_so);
    tcase_add_test(tests, a_webhook_that_is_dropped_while_it_is_called_takes_nothing_with_it);
    tcase_add_test(tests, what_was_under_way_to_one_that_is_gone_waits_no_more);
    tcase_add_test(tests, what_is_sent_again_has_the_whole_schedule_before_it);
    tcase_add_test(tests, a_name_that_nobody_answers_for_holds_up_nothing);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
