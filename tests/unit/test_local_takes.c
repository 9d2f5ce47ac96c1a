/* Pecks that agents take over the local API, and the runner of handlers. */
#include "local_rig.h"

/* ---- taking ---- */

static struct id in_tray[LOCAL_TAKE_MAX];
static size_t in_tray_count;

/* Hands out all that is in `in_tray`, as far as the order goes. */
static void hand_out(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    (void)told;
    pthread_mutex_lock(&rig.lock);
    effect.reply.box = BOX_IN;
    effect.reply.taken_count = in_tray_count < order->limit ? in_tray_count : order->limit;
    effect.reply.taken = in_tray + in_tray_count - effect.reply.taken_count;
    tell(&effect);
    in_tray_count -= effect.reply.taken_count;
    pthread_mutex_unlock(&rig.lock);
}

static void put_into_tray(const struct id *peck)
{
    pthread_mutex_lock(&rig.lock);
    in_tray[in_tray_count++] = *peck;
    pthread_mutex_unlock(&rig.lock);
}

START_TEST(what_was_taken_comes_with_its_payload)
{
    struct peck_wish wish = {.payload_size = 100};
    struct duck_answer *answer;
    struct duck_item item;

    for (int i = 0; i < 3; i++) {
        struct effect kept = bed_receive(&rig.bed, PECK_TAKEN, &wish);

        put_into_tray(&kept.peck.id);
    }
    start(hand_out);
    answer = duck_take(rig.duck, bob, 2, 0, 0);
    ck_assert_uint_eq(duck_count(answer), 2);
    ck_assert(duck_item(answer, 1, &item));
    ck_assert_str_eq(item.action, "data.read");
    ck_assert_uint_eq(strlen(item.payload), 102);
    duck_answer_free(answer);
    answer = duck_take(rig.duck, bob, 0, 0, 0);
    ck_assert_uint_eq(duck_count(answer), 1);
    duck_answer_free(answer);
}
END_TEST

/* One peck stands for all two hundred: the bytes are what counts, 50 MiB of them. */
START_TEST(two_hundred_pecks_of_the_largest_kind_are_taken_at_once)
{
    struct peck_wish wish = {.payload_size = PECK_PAYLOAD_MAX - 2};
    struct effect kept = bed_receive(&rig.bed, PECK_TAKEN, &wish);
    struct duck_answer *answer;
    struct duck_item item;

    for (unsigned i = 0; i < LOCAL_TAKE_MAX; i++)
        put_into_tray(&kept.peck.id);
    start(hand_out);
    answer = duck_take(rig.duck, bob, LOCAL_TAKE_MAX, 20000, 0);
    ck_assert_str_eq(duck_code(answer), "");
    ck_assert_uint_eq(duck_count(answer), LOCAL_TAKE_MAX);
    ck_assert(duck_item(answer, LOCAL_TAKE_MAX - 1, &item));
    ck_assert_uint_eq(strlen(item.payload), PECK_PAYLOAD_MAX);
    duck_answer_free(answer);
}
END_TEST

START_TEST(a_take_that_waits_orders_again_when_a_peck_is_ready)
{
    struct peck_wish wish = {0};
    struct asked asked = ASKED_INIT;
    struct effect kept, effect;
    struct seen_order again;

    start(hand_out);
    call_take(&asked, 3, 20000);
    await_order(1);
    effect = change_of(BOX_IN, &(struct id){{7}}, PECK_PENDING); /* not for the agent yet */
    tell_now(&effect);
    kept = bed_receive(&rig.bed, PECK_TAKEN, &wish);
    put_into_tray(&kept.peck.id);
    effect = ready(&kept.peck.id);
    tell_now(&effect);
    ck_assert_uint_eq(await_reply(&asked, 1)->pecks->n_pecks, 1);
    again = await_order(2);
    ck_assert_int_eq(again.kind, ORDER_TAKE);
    ck_assert_uint_eq(again.limit, 3);
    ck_assert_uint_eq(again.lease_ms, 5000);
    ck_assert(id_equal(&again.duckling, &rig.bed.bob.id));
    ck_assert_uint_eq(rig.order_count, 2);
    duck_reply_free(asked.reply);
}
END_TEST

START_TEST(of_two_that_wait_one_is_woken_for_each_peck)
{
    struct peck_wish wish = {0};
    struct asked asked = ASKED_INIT;

    start(hand_out);
    call_take(&asked, 1, 20000);
    call_take(&asked, 1, 20000);
    await_order(2);
    for (unsigned i = 1; i <= 2; i++) {
        struct effect kept = bed_receive(&rig.bed, PECK_TAKEN, &wish), effect;

        put_into_tray(&kept.peck.id);
        effect = ready(&kept.peck.id);
        tell_now(&effect);
        ck_assert_uint_eq(await_reply(&asked, i)->pecks->n_pecks, 1);
        ck_assert_uint_eq(await_order(2 + i).kind, ORDER_TAKE);
        ck_assert_uint_eq(rig.order_count, 2 + i);
    }
    duck_reply_free(asked.reply);
}
END_TEST

static void call_take_of(struct asked *asked, const char *action, const char *but_not)
{
    ProtobufCBinaryData wanted = {strlen(action), (uint8_t *)(uintptr_t)action};
    ProtobufCBinaryData unwanted = {strlen(but_not), (uint8_t *)(uintptr_t)but_not};
    Duck__TakeOrder take = DUCK__TAKE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    take.duckling = bob;
    take.limit = 1;
    take.wait_ms = 20000;
    take.actions = &wanted;
    take.n_actions = 1;
    take.but_not = &unwanted;
    take.n_but_not = *but_not != 0;
    request.order_case = DUCK__REQUEST__ORDER_TAKE;
    request.take = &take;
    duck_call(rig.duck, &request, 60000, keep_reply, asked);
}

START_TEST(who_waits_for_other_actions_is_not_woken)
{
    struct peck_wish wish = {0};
    struct asked waits = ASKED_INIT, takes = ASKED_INIT;
    struct effect kept, effect;
    struct seen_order again;

    start(hand_out);
    call_take_of(&waits, "data.*", "data.read");
    await_order(1);
    call_take_of(&takes, "data.read", "");
    await_order(2);
    kept = bed_receive(&rig.bed, PECK_TAKEN, &wish);
    put_into_tray(&kept.peck.id);
    effect = ready(&kept.peck.id);
    effect.changed.action = bytes_of_text("data.read");
    tell_now(&effect);
    ck_assert_uint_eq(await_reply(&takes, 1)->pecks->n_pecks, 1);
    again = await_order(3);
    ck_assert_str_eq(again.wants, "data.read"); /* what it waits for is asked for again */
    put_into_tray(&kept.peck.id);
    effect.changed.action = bytes_of_text("data.list");
    tell_now(&effect);
    ck_assert_uint_eq(await_reply(&waits, 1)->pecks->n_pecks, 1);
    again = await_order(4);
    ck_assert_str_eq(again.wants, "data.*");
    ck_assert_str_eq(again.but_not, "data.read");
    duck_reply_free(waits.reply);
    duck_reply_free(takes.reply);
}
END_TEST

/* ---- handlers ---- */

static Duck__Reply *ask_handlers(struct duck *duck)
{
    Duck__HandlersQuery query = DUCK__HANDLERS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    request.order_case = DUCK__REQUEST__ORDER_HANDLERS;
    request.handlers = &query;
    return duck_call_wait(duck, &request, 0);
}

static Duck__Reply *report_handlers(struct duck *duck, size_t count, uint32_t running)
{
    Duck__HandlerView view = DUCK__HANDLER_VIEW__INIT, *views[LOCAL_HANDLERS_MAX + 1];
    Duck__HandlersReport report = DUCK__HANDLERS_REPORT__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    view.name = (char *)"weather";
    view.running = running;
    view.answered = 7;
    for (size_t i = 0; i < count; i++)
        views[i] = &view;
    report.handlers = views;
    report.n_handlers = count;
    request.order_case = DUCK__REQUEST__ORDER_HANDLERS_REPORT;
    request.handlers_report = &report;
    return duck_call_wait(duck, &request, 0);
}

static double counter_value(const char *name)
{
    Duck__MetricsQuery query = DUCK__METRICS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;
    double value = -1;

    request.order_case = DUCK__REQUEST__ORDER_METRICS;
    request.metrics = &query;
    reply = duck_call_wait(rig.duck, &request, 0);
    for (size_t i = 0; i < reply->metrics->n_counters; i++)
        if (strcmp(reply->metrics->counters[i]->name, name) == 0 && value < 0)
            value = reply->metrics->counters[i]->value;
    duck_reply_free(reply);
    return value;
}

START_TEST(what_the_runner_of_handlers_said_last_is_told)
{
    struct duck *runner = NULL;
    Duck__Reply *reply;
    bool running = true;

    start(NULL);
    reply = ask_handlers(rig.duck);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_HANDLERS);
    ck_assert_uint_eq(reply->handlers->n_handlers, 0);
    ck_assert(!reply->handlers->running);
    duck_reply_free(reply);

    ck_assert_int_eq(duck_connect(&runner, rig.socket, NULL), 0);
    reply = report_handlers(runner, 1, 2);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_DONE);
    duck_reply_free(reply);
    reply = report_handlers(runner, LOCAL_HANDLERS_MAX, 3);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_DONE);
    duck_reply_free(reply);
    reply = report_handlers(runner, LOCAL_HANDLERS_MAX + 1, 3);
    ck_assert_str_eq(reply->problem->code, "too_large");
    duck_reply_free(reply);
    reply = ask_handlers(rig.duck);
    ck_assert_uint_eq(reply->handlers->n_handlers, LOCAL_HANDLERS_MAX);
    ck_assert(reply->handlers->running);
    ck_assert_str_eq(reply->handlers->handlers[63]->name, "weather");
    ck_assert_uint_eq(reply->handlers->handlers[63]->running, 3);
    duck_reply_free(reply);
    ck_assert(counter_value("ducknode_handlers") == LOCAL_HANDLERS_MAX);
    ck_assert(counter_value("ducknode_handlers_running") == 3 * LOCAL_HANDLERS_MAX);
    ck_assert(counter_value("ducknode_handler_pecks_total") == 7 * LOCAL_HANDLERS_MAX);

    duck_close(runner);
    while (running) { /* the node hears of it a moment later */
        reply = ask_handlers(rig.duck);
        running = reply->handlers->running;
        ck_assert_uint_eq(reply->handlers->handlers[0]->running, running ? 3 : 0);
        ck_assert_uint_eq(reply->handlers->handlers[0]->answered, 7);
        duck_reply_free(reply);
    }
}
END_TEST

START_TEST(a_take_that_finds_another_was_quicker_goes_on_waiting)
{
    struct asked asked = ASKED_INIT;
    struct effect effect;

    start(hand_out);
    call_take(&asked, 1, 300);
    await_order(1);
    effect = ready(&(struct id){{7}});
    tell_now(&effect); /* but the tray is empty again */
    await_order(2);
    ck_assert_int_eq(await_reply(&asked, 1)->answer_case, DUCK__REPLY__ANSWER_PECKS);
    ck_assert_uint_eq(asked.reply->pecks->n_pecks, 0);
    duck_reply_free(asked.reply);
}
END_TEST

START_TEST(a_take_that_waits_in_vain_is_answered_with_nothing)
{
    uint64_t began_ms;
    struct duck_answer *answer;

    start(hand_out);
    began_ms = clock_now_ms();
    answer = duck_take(rig.duck, bob, 1, 80, 0);
    ck_assert(duck_ok(answer));
    ck_assert_uint_eq(duck_count(answer), 0);
    ck_assert_uint_ge(clock_now_ms() - began_ms, 79);
    duck_answer_free(answer);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, what_was_taken_comes_with_its_payload);
    tcase_add_test(tests, two_hundred_pecks_of_the_largest_kind_are_taken_at_once);
    tcase_add_test(tests, a_take_that_waits_orders_again_when_a_peck_is_ready);
    tcase_add_test(tests, of_two_that_wait_one_is_woken_for_each_peck);
    tcase_add_test(tests, who_waits_for_other_actions_is_not_woken);
    tcase_add_test(tests, what_the_runner_of_handlers_said_last_is_told);
    tcase_add_test(tests, a_take_that_finds_another_was_quicker_goes_on_waiting);
    tcase_add_test(tests, a_take_that_waits_in_vain_is_answered_with_nothing);
}

int main(void)
{
    return run_with_rig("local_takes", add_tests);
}
