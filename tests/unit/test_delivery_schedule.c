#include "delivery_schedule.h"

#include <check.h>
#include <stdlib.h>

#define NOW_MS 1700000000000ull

static struct dice dice;

static void setup(void)
{
    dice_init_number(&dice, 7);
}

static enum delivery_verdict judge(unsigned attempt, unsigned status, uint64_t retry_after_ms,
                                   uint64_t *wait_ms)
{
    struct delivery_outcome outcome = {status, retry_after_ms};
    uint64_t due_ms = NOW_MS;
    enum delivery_verdict verdict = delivery_judge(attempt, &outcome, NOW_MS, &dice, &due_ms);

    *wait_ms = due_ms - NOW_MS;
    return verdict;
}

START_TEST(any_2xx_ends_it_and_nothing_else_does)
{
    static const unsigned failures[] = {0, 100, 199, 300, 301, 307, 400, 404, 429, 500, 503, 599};
    uint64_t wait_ms;

    ck_assert_int_eq(judge(1, 200, 0, &wait_ms), DELIVERY_DONE);
    ck_assert_int_eq(judge(10, 204, 0, &wait_ms), DELIVERY_DONE);
    ck_assert_int_eq(judge(1, 299, 0, &wait_ms), DELIVERY_DONE);
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        ck_assert_int_eq(judge(1, failures[i], 0, &wait_ms), DELIVERY_AGAIN);
}
END_TEST

START_TEST(waits_are_those_of_the_schedule_with_up_to_a_tenth_more)
{
    static const uint64_t seconds[] = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400};
    uint64_t wait_ms, longest = 0;

    ck_assert_uint_eq(delivery_wait_ms(1), 0);
    for (unsigned attempt = 1; attempt < DELIVERY_ATTEMPTS_MAX; attempt++)
        for (int i = 0; i < 200; i++) {
            uint64_t least = seconds[attempt - 1] * 1000;

            ck_assert_int_eq(judge(attempt, 500, 0, &wait_ms), DELIVERY_AGAIN);
            ck_assert_uint_ge(wait_ms, least);
            ck_assert_uint_le(wait_ms, least + least / DELIVERY_JITTER_PART);
            longest = wait_ms > least + least / 20 ? wait_ms : longest;
        }
    ck_assert_uint_gt(longest, 0); /* chance there is */
}
END_TEST

START_TEST(the_tenth_failure_is_the_last)
{
    uint64_t wait_ms;

    ck_assert_int_eq(judge(DELIVERY_ATTEMPTS_MAX - 1, 0, 0, &wait_ms), DELIVERY_AGAIN);
    ck_assert_int_eq(judge(DELIVERY_ATTEMPTS_MAX, 0, 0, &wait_ms), DELIVERY_DEAD);
}
END_TEST

START_TEST(gone_is_gone_at_any_attempt)
{
    uint64_t wait_ms;

    ck_assert_int_eq(judge(1, 410, 60000, &wait_ms), DELIVERY_GONE);
    ck_assert_int_eq(judge(DELIVERY_ATTEMPTS_MAX, 410, 0, &wait_ms), DELIVERY_GONE);
}
END_TEST

START_TEST(a_receiver_gets_more_time_but_not_less_and_a_day_at_most)
{
    uint64_t wait_ms;

    judge(1, 503, 60000, &wait_ms);
    ck_assert_uint_ge(wait_ms, 60000);
    judge(2, 429, 1000, &wait_ms);
    ck_assert_uint_ge(wait_ms, 300000);
    judge(1, 503, UINT64_MAX, &wait_ms);
    ck_assert_uint_ge(wait_ms, DELIVERY_RETRY_AFTER_MAX_MS);
    ck_assert_uint_le(wait_ms, DELIVERY_RETRY_AFTER_MAX_MS / 10 * 11);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("delivery_schedule");
    Suite *suite = suite_create("delivery_schedule");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, any_2xx_ends_it_and_nothing_else_does);
    tcase_add_test(tests, waits_are_those_of_the_schedule_with_up_to_a_tenth_more);
    tcase_add_test(tests, the_tenth_failure_is_the_last);
    tcase_add_test(tests, gone_is_gone_at_any_attempt);
    tcase_add_test(tests, a_receiver_gets_more_time_but_not_less_and_a_day_at_most);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
