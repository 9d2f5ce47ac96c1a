#include "core/dice.h"
#include "delivery_queue.h"

#include <check.h>
#include <stdlib.h>

#define SOME 64u

static struct delivery_queue *queue;

static void setup(void)
{
    const struct delivery_queue_settings settings = {
        .max = 1000, .at_once = 8, .at_once_host = 2, .at_once_operator = 4};

    queue = delivery_queue_new(&settings);
}

static void teardown(void)
{
    delivery_queue_free(queue);
}

static bool add(uint64_t delivery, uint64_t webhook, uint64_t host, uint64_t due_ms)
{
    const struct queued_delivery added = {.delivery = delivery,
                                          .webhook = webhook,
                                          .operator_id = webhook / 100,
                                          .host = host,
                                          .due_ms = due_ms};

    return delivery_queue_add(queue, &added);
}

/* 0: none. */
static uint64_t next(uint64_t now_ms)
{
    struct queued_delivery delivery;

    return delivery_queue_next(queue, now_ms, &delivery) ? delivery.delivery : 0;
}

START_TEST(nothing_goes_before_it_is_due_and_then_the_earliest_first)
{
    add(1, 100, 1, 30);
    add(2, 100, 1, 10);
    add(3, 100, 1, 20);
    ck_assert_uint_eq(delivery_queue_wake_at_ms(queue), 10);
    ck_assert_uint_eq(next(9), 0);
    ck_assert_uint_eq(next(10), 2);
    ck_assert_uint_eq(delivery_queue_wake_at_ms(queue), 20);
    ck_assert_uint_eq(next(25), 3);
    delivery_queue_back(queue, 2, DELIVERY_WENT_WELL, UINT64_MAX);
    delivery_queue_back(queue, 3, DELIVERY_WENT_WELL, UINT64_MAX);
    ck_assert_uint_eq(next(29), 0);
    ck_assert_uint_eq(next(30), 1);
    ck_assert_uint_eq(delivery_queue_wake_at_ms(queue), UINT64_MAX);
    ck_assert_uint_eq(delivery_queue_count(queue), 1);
}
END_TEST

START_TEST(a_host_gets_so_many_at_once_and_others_go_on)
{
    for (uint64_t i = 1; i <= 10; i++)
        add(i, 100, 1, 0);
    add(11, 200, 2, 0);
    ck_assert_uint_ne(next(0), 0);
    ck_assert_uint_ne(next(0), 0);
    ck_assert_uint_ne(next(0), 0); /* 11 is among the three: host 1 has two */
    ck_assert_uint_eq(next(0), 0);
    ck_assert_uint_eq(delivery_queue_under_way(queue), 3);
    delivery_queue_back(queue, 1, DELIVERY_WENT_WELL, UINT64_MAX);
    ck_assert_uint_eq(next(0), 3);
}
END_TEST

START_TEST(a_host_that_fails_gets_one_at_a_time_until_it_does_not)
{
    for (uint64_t i = 1; i <= 10; i++)
        add(i, 100, 1, 0);
    ck_assert_uint_eq(next(0), 1);
    ck_assert_uint_eq(next(0), 2);
    delivery_queue_back(queue, 1, DELIVERY_WENT_BADLY, 1000);
    delivery_queue_back(queue, 2, DELIVERY_WENT_BADLY, 1000);
    ck_assert_uint_eq(next(0), 3);
    ck_assert_uint_eq(next(0), 0);
    delivery_queue_back(queue, 3, DELIVERY_WENT_WELL, UINT64_MAX);
    ck_assert_uint_eq(next(0), 4);
    ck_assert_uint_eq(next(0), 5);
    ck_assert_uint_eq(next(0), 0);
}
END_TEST

START_TEST(what_was_not_tried_says_nothing_of_its_host)
{
    add(1, 100, 1, 0);
    add(2, 100, 1, 0);
    add(3, 100, 1, 0);
    ck_assert_uint_eq(next(0), 1);
    delivery_queue_back(queue, 1, DELIVERY_WENT_BADLY, UINT64_MAX);
    ck_assert_uint_eq(next(0), 2);
    delivery_queue_back(queue, 2, DELIVERY_SAID_NOTHING, 0);
    ck_assert_uint_eq(next(0), 3);
    ck_assert_uint_eq(next(0), 0);
}
END_TEST

/* Whoever has many receivers that hang takes half of the places, and never the other half. */
START_TEST(hosts_that_fail_get_half_of_all_together)
{
    for (uint64_t host = 1; host <= 20; host++) {
        add(host, 100 * host, host, 0);
        ck_assert_uint_eq(next(0), host);
        delivery_queue_back(queue, host, DELIVERY_WENT_BADLY, 9);
    }
    for (uint64_t host = 1; host <= 4; host++)
        ck_assert_uint_eq(next(9), host);
    ck_assert_uint_eq(next(9), 0);
    add(50, 5000, 50, 0);
    ck_assert_uint_eq(next(9), 50);
    delivery_queue_back(queue, 1, DELIVERY_WENT_BADLY, UINT64_MAX);
    ck_assert_uint_eq(next(9), 5);
}
END_TEST

/* Hosts that failed once and are never called again take no room from those that fail now. */
START_TEST(a_great_number_of_hosts_that_fail_takes_no_more_than_its_room)
{
    for (uint64_t i = 1; i <= 600; i++) {
        add(2 * i, 100 * i, i, 0);
        add(2 * i + 1, 100 * i, i, 0);
        ck_assert_uint_eq(next(0), 2 * i);
        delivery_queue_back(queue, 2 * i, DELIVERY_WENT_BADLY, UINT64_MAX);
        ck_assert_uint_eq(next(0), 2 * i + 1);
        add(5000, 100 * i, i, 0);
        ck_assert_uint_eq(next(0), 0); /* it is known that it fails: one at a time */
        delivery_queue_back(queue, 2 * i + 1, DELIVERY_WENT_BADLY, UINT64_MAX);
        delivery_queue_drop(queue, 100 * i);
    }
    ck_assert_uint_eq(delivery_queue_count(queue), 0);
}
END_TEST

START_TEST(what_is_dropped_of_all_leaves_what_is_under_way)
{
    for (uint64_t i = 1; i <= 30; i++)
        add(i, 100 + i % 3, i % 3, i % 2 ? 0 : 100);
    ck_assert_uint_eq(next(0), 3);
    delivery_queue_drop_all(queue);
    ck_assert_uint_eq(delivery_queue_count(queue), 1);
    ck_assert_uint_eq(next(200), 0);
    delivery_queue_back(queue, 3, DELIVERY_WENT_WELL, 300);
    ck_assert_uint_eq(delivery_queue_wake_at_ms(queue), 300);
    ck_assert_uint_eq(next(300), 3);
}
END_TEST

START_TEST(an_operator_gets_so_many_at_once)
{
    for (uint64_t host = 1; host <= 4; host++) {
        add(2 * host, 100 + host, host, 0);
        add(2 * host + 1, 100 + host, host, 0);
    }
    add(50, 200, 50, 0);
    for (int i = 0; i < 5; i++)
        ck_assert_uint_ne(next(0), 0);
    ck_assert_uint_eq(next(0), 0); /* four of the first operator, and the one of the second */
}
END_TEST

START_TEST(lines_take_turns)
{
    for (uint64_t i = 0; i < 6; i++)
        add(100 + i, 100, 1, 0);
    for (uint64_t i = 0; i < 6; i++)
        add(200 + i, 200, 2, 0);
    ck_assert_uint_eq(next(0), 100);
    ck_assert_uint_eq(next(0), 200);
    ck_assert_uint_eq(next(0), 101);
    ck_assert_uint_eq(next(0), 201);
}
END_TEST

START_TEST(so_many_are_under_way_in_all)
{
    for (uint64_t i = 1; i <= 20; i++)
        add(i, 100 * i, i, 0);
    for (int i = 0; i < 8; i++)
        ck_assert_uint_ne(next(0), 0);
    ck_assert_uint_eq(next(0), 0);
}
END_TEST

START_TEST(it_takes_so_many_and_not_one_more)
{
    for (uint64_t i = 1; i <= 1000; i++)
        ck_assert(add(i, 100, 1, 5));
    ck_assert(!add(1001, 100, 1, 5));
    ck_assert_uint_eq(next(5), 1);
    ck_assert(!add(1001, 100, 1, 5)); /* what is under way counts */
    delivery_queue_back(queue, 1, DELIVERY_WENT_WELL, UINT64_MAX);
    ck_assert(add(1001, 100, 1, 5));
}
END_TEST

START_TEST(what_is_dropped_of_a_webhook_goes_and_the_rest_stays_in_order)
{
    for (uint64_t i = 1; i <= 30; i++)
        add(i, 100 + 100 * (i % 3), i % 3, i % 2 ? 0 : 100 - i);
    ck_assert_uint_ne(next(0), 0);
    delivery_queue_drop(queue, 200);
    for (uint64_t now_ms = 0, found; delivery_queue_count(queue) > 0;) {
        found = next(now_ms);
        if (!found) {
            ck_assert_uint_ne(delivery_queue_wake_at_ms(queue), UINT64_MAX);
            ck_assert_uint_gt(delivery_queue_wake_at_ms(queue), now_ms);
            now_ms = delivery_queue_wake_at_ms(queue);
            continue;
        }
        ck_assert_uint_ne(found % 3, 1);
        delivery_queue_back(queue, found, DELIVERY_WENT_WELL, UINT64_MAX);
        if (delivery_queue_under_way(queue) == 1 && delivery_queue_count(queue) == 1)
            break; /* the one that was under way at the drop */
    }
}
END_TEST

/* Against what is easy to believe: each goes out when it is due, and none is lost. */
START_TEST(whatever_happens_each_one_goes_out)
{
    bool is_done[SOME * 4] = {false};
    uint64_t under_way[8], now_ms = 0, added = 0;
    size_t count = 0, done = 0;
    struct dice dice;

    dice_init_number(&dice, 11);
    while (done < SOME * 4) {
        uint64_t found;

        if (added < SOME * 4 && dice_below(&dice, 2)) {
            uint64_t webhook = 100 + dice_below(&dice, 500);

            ck_assert(add(++added, webhook, webhook % 5, now_ms + dice_below(&dice, 50)));
        }
        found = next(now_ms);
        if (found)
            under_way[count++] = found;
        if (count > 0 && dice_below(&dice, 2)) {
            size_t at = dice_below(&dice, count);
            bool has_failed = dice_below(&dice, 3) == 0;

            delivery_queue_back(queue, under_way[at],
                                has_failed ? DELIVERY_WENT_BADLY : DELIVERY_WENT_WELL,
                                has_failed ? now_ms + dice_below(&dice, 90) : UINT64_MAX);
            if (!has_failed) {
                ck_assert(!is_done[under_way[at] - 1]);
                is_done[under_way[at] - 1] = true;
                done++;
            }
            under_way[at] = under_way[--count];
        }
        now_ms++;
        ck_assert_uint_lt(now_ms, 1000000);
    }
    ck_assert_uint_eq(delivery_queue_count(queue), 0);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("delivery_queue");
    Suite *suite = suite_create("delivery_queue");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, nothing_goes_before_it_is_due_and_then_the_earliest_first);
    tcase_add_test(tests, a_host_gets_so_many_at_once_and_others_go_on);
    tcase_add_test(tests, a_host_that_fails_gets_one_at_a_time_until_it_does_not);
    tcase_add_test(tests, what_was_not_tried_says_nothing_of_its_host);
    tcase_add_test(tests, hosts_that_fail_get_half_of_all_together);
    tcase_add_test(tests, a_great_number_of_hosts_that_fail_takes_no_more_than_its_room);
    tcase_add_test(tests, what_is_dropped_of_all_leaves_what_is_under_way);
    tcase_add_test(tests, an_operator_gets_so_many_at_once);
    tcase_add_test(tests, lines_take_turns);
    tcase_add_test(tests, so_many_are_under_way_in_all);
    tcase_add_test(tests, it_takes_so_many_and_not_one_more);
    tcase_add_test(tests, what_is_dropped_of_a_webhook_goes_and_the_rest_stays_in_order);
    tcase_add_test(tests, whatever_happens_each_one_goes_out);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
