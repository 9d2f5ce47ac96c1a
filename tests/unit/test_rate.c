#include "rate.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define SECOND_US 1000000u
#define MINUTE_US (60u * SECOND_US)
#define MORNING_US (1000u * (uint64_t)SECOND_US) /* some moment */

static const uint8_t key[RATES_KEY_SIZE] = "a key for tests";

static struct rate_answer take(struct rates *rates, const char *caller, uint32_t per_minute,
                               uint64_t now_us)
{
    return rates_take(rates, bytes_of_text(caller), per_minute, now_us);
}

START_TEST(a_quota_may_be_used_at_once_and_not_one_call_more)
{
    struct rates *rates = rates_new(64, key);
    struct rate_answer answer;

    for (uint32_t i = 0; i < 10; i++) {
        answer = take(rates, "ann", 10, MORNING_US);
        ck_assert(answer.is_taken);
        ck_assert_uint_eq(answer.remaining, 9 - i);
        ck_assert_uint_eq(answer.whole_at_us, MORNING_US + (i + 1) * 6 * SECOND_US);
        ck_assert_uint_eq(answer.retry_after_us, 0);
    }
    answer = take(rates, "ann", 10, MORNING_US);
    ck_assert(!answer.is_taken);
    ck_assert_uint_eq(answer.remaining, 0);
    ck_assert_uint_eq(answer.whole_at_us, MORNING_US + MINUTE_US);
    ck_assert_uint_eq(answer.retry_after_us, 6 * SECOND_US);
    rates_free(rates);
}
END_TEST

START_TEST(who_waits_as_told_is_taken_and_a_moment_earlier_is_not)
{
    struct rates *rates = rates_new(64, key);

    for (int i = 0; i < 3; i++)
        ck_assert(take(rates, "ann", 3, MORNING_US).is_taken);
    ck_assert(!take(rates, "ann", 3, MORNING_US + 20 * SECOND_US - 1).is_taken);
    ck_assert(take(rates, "ann", 3, MORNING_US + 20 * SECOND_US).is_taken);
    ck_assert(!take(rates, "ann", 3, MORNING_US + 20 * SECOND_US).is_taken);
    rates_free(rates);
}
END_TEST

START_TEST(a_refused_call_costs_nothing)
{
    struct rates *rates = rates_new(64, key);

    for (int i = 0; i < 5; i++)
        take(rates, "ann", 5, MORNING_US);
    for (int i = 0; i < 1000; i++)
        ck_assert(!take(rates, "ann", 5, MORNING_US + SECOND_US).is_taken);
    ck_assert(take(rates, "ann", 5, MORNING_US + 12 * SECOND_US).is_taken);
    rates_free(rates);
}
END_TEST

START_TEST(after_a_minute_the_quota_is_whole_and_no_more_than_that)
{
    struct rates *rates = rates_new(64, key);

    for (int i = 0; i < 5; i++)
        take(rates, "ann", 5, MORNING_US);
    for (uint32_t i = 0; i < 5; i++)
        ck_assert_uint_eq(take(rates, "ann", 5, MORNING_US + 60u * MINUTE_US).remaining, 4 - i);
    ck_assert(!take(rates, "ann", 5, MORNING_US + 60u * MINUTE_US).is_taken);
    rates_free(rates);
}
END_TEST

START_TEST(callers_do_not_use_up_one_another)
{
    struct rates *rates = rates_new(64, key);

    for (int i = 0; i < 4; i++)
        take(rates, "ann", 3, MORNING_US);
    ck_assert(!take(rates, "ann", 3, MORNING_US).is_taken);
    ck_assert_uint_eq(take(rates, "ben", 3, MORNING_US).remaining, 2);
    rates_free(rates);
}
END_TEST

START_TEST(the_largest_quota_counts_to_its_last_call)
{
    struct rates *rates = rates_new(64, key);

    uint32_t taken = 0;

    for (uint32_t i = 0; i < 1000000; i++)
        taken += take(rates, "ann", 1000000, MORNING_US).is_taken;
    ck_assert_uint_eq(taken, 1000000);
    ck_assert(!take(rates, "ann", 1000000, MORNING_US).is_taken);
    ck_assert_uint_eq(take(rates, "ann", 1000000, MORNING_US).retry_after_us, 60);
    rates_free(rates);
}
END_TEST

START_TEST(a_quota_that_changes_counts_what_was_used)
{
    struct rates *rates = rates_new(64, key);

    for (int i = 0; i < 10; i++)
        take(rates, "ann", 10, MORNING_US); /* all of it: a minute's worth */
    ck_assert(!take(rates, "ann", 300, MORNING_US).is_taken);
    ck_assert_uint_eq(take(rates, "ann", 300, MORNING_US + 30 * SECOND_US).remaining, 149);
    ck_assert(!take(rates, "ann", 1, MORNING_US + 31 * SECOND_US).is_taken);
    rates_free(rates);
}
END_TEST

/* ---- a full table ---- */

static const char *name_of(unsigned number, char name[16])
{
    snprintf(name, 16, "caller %u", number);
    return name;
}

START_TEST(who_is_whole_again_makes_room)
{
    struct rates *rates = rates_new(RATES_PLACES, key);
    char name[16];

    for (unsigned i = 0; i < RATES_PLACES; i++)
        take(rates, name_of(i, name), 5, MORNING_US);
    ck_assert_uint_eq(take(rates, "newcomer", 5, MORNING_US + 12 * SECOND_US).remaining, 4);
    rates_free(rates);
}
END_TEST

START_TEST(who_finds_no_room_takes_over_the_least_debt)
{
    struct rates *rates = rates_new(RATES_PLACES, key);
    char name[16];

    for (unsigned i = 0; i < RATES_PLACES; i++)
        for (unsigned j = 0; j < 2 + i; j++)
            take(rates, name_of(i, name), 60, MORNING_US);
    ck_assert_uint_eq(take(rates, "newcomer", 60, MORNING_US).remaining, 60 - 2 - 1);
    rates_free(rates);
}
END_TEST

/* Whatever others do, nobody gets more than its quota: at once, and then evenly. */
START_TEST(no_number_of_others_gives_anybody_a_fresh_quota)
{
    static unsigned taken[40];
    struct rates *rates = rates_new(2 * RATES_PLACES, key);
    uint64_t now_us = MORNING_US;
    unsigned dice = (unsigned)_i + 1, all = 0, too_many = 0;
    char name[16];

    memset(taken, 0, sizeof taken);
    for (int i = 0; i < 200000; i++) {
        unsigned who = (dice = dice * 1664525u + 1013904223u) >> 16;

        now_us += (dice >> 8) % 4000;
        who = who % 3 ? who % 5 : who % 40; /* some call more often than others */
        taken[who] += take(rates, name_of(who, name), 6, now_us).is_taken;
        too_many += taken[who] > 6 + (now_us - MORNING_US) / (10 * SECOND_US);
    }
    ck_assert_uint_eq(too_many, 0);
    for (size_t i = 0; i < 40; i++)
        all += taken[i];
    ck_assert_uint_gt(all, 2 * RATES_PLACES * 6); /* and the table does not lock them out */
    rates_free(rates);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rate");
    TCase *one = tcase_create("one"), *full = tcase_create("full");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(one, a_quota_may_be_used_at_once_and_not_one_call_more);
    tcase_add_test(one, who_waits_as_told_is_taken_and_a_moment_earlier_is_not);
    tcase_add_test(one, a_refused_call_costs_nothing);
    tcase_add_test(one, after_a_minute_the_quota_is_whole_and_no_more_than_that);
    tcase_add_test(one, callers_do_not_use_up_one_another);
    tcase_add_test(one, the_largest_quota_counts_to_its_last_call);
    tcase_add_test(one, a_quota_that_changes_counts_what_was_used);
    suite_add_tcase(suite, one);
    tcase_add_test(full, who_is_whole_again_makes_room);
    tcase_add_test(full, who_finds_no_room_takes_over_the_least_debt);
    tcase_add_loop_test(full, no_number_of_others_gives_anybody_a_fresh_quota, 0, 8);
    suite_add_tcase(suite, full);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
