#include "core/bond_meter.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define NOON_MS (1790000000000ull / DAY_MS * DAY_MS + DAY_MS / 2)

static struct bond_meter meter;
static struct bond_terms terms;
static struct moment at;
static uint64_t retry_ms;

static void set_up(void)
{
    meter = (struct bond_meter){0};
    terms = (struct bond_terms){0};
    at = (struct moment){.now_ms = 5000, .wall_ms = NOON_MS};
}

static void tear_down(void)
{
    bond_meter_end(&meter);
}

static enum bond_verdict judge_in(const char *payload, const char *thread)
{
    return bond_meter_judge(&meter, &terms, bytes_of_text(payload), bytes_of_text(thread), &at,
                            &retry_ms);
}

static enum bond_verdict judge(void)
{
    return judge_in("{}", "");
}

/* Judged, and counted when it is admitted. */
static enum bond_verdict act(void)
{
    enum bond_verdict verdict = judge();

    if (verdict == BOND_ADMITS)
        bond_meter_count_action(&meter, &terms, at.wall_ms);
    return verdict;
}

static bool play(const char *thread)
{
    return bond_meter_count_round(&meter, &terms, bytes_of_text(thread), at.wall_ms);
}

static void pass(uint64_t ms)
{
    at.now_ms += ms;
    at.wall_ms += ms;
}

START_TEST(without_limits_everything_goes_through_and_nothing_is_counted)
{
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(judge_in("{}", "t"), BOND_ADMITS);
        bond_meter_count_action(&meter, &terms, at.wall_ms);
        ck_assert(!play("t"));
    }
    ck_assert(!meter.use_changed && !meter.threads_changed && !meter.threads);
}
END_TEST

START_TEST(so_many_a_minute_go_through_at_once_and_then_evenly)
{
    terms.per_minute = 6;
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(act(), BOND_ADMITS);
    ck_assert_int_eq(act(), BOND_RATE);
    ck_assert_uint_eq(retry_ms, 10 * SECOND_MS);
    pass(retry_ms - 1);
    ck_assert_int_eq(act(), BOND_RATE);
    ck_assert_uint_eq(retry_ms, 1);
    pass(1);
    ck_assert_int_eq(act(), BOND_ADMITS);
    ck_assert_int_eq(act(), BOND_RATE);
    pass(MINUTE_MS);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(act(), BOND_ADMITS);
    ck_assert_int_eq(act(), BOND_RATE);
}
END_TEST

START_TEST(the_largest_rate_is_counted_exactly)
{
    terms.per_minute = BOND_PER_MINUTE_MAX;
    for (unsigned i = 0; i < BOND_PER_MINUTE_MAX; i++)
        ck_assert_int_eq(judge(), BOND_ADMITS);
    ck_assert_int_eq(judge(), BOND_RATE);
    ck_assert_uint_eq(retry_ms, 1);
    pass(1);
    ck_assert_int_eq(judge(), BOND_ADMITS);
    ck_assert_int_eq(judge(), BOND_RATE);
}
END_TEST

START_TEST(a_try_that_fails_for_another_reason_uses_up_the_rate)
{
    terms.per_minute = 2;
    terms.stop_words[0] = bytes_of_text("no");
    terms.stop_word_count = 1;
    ck_assert_int_eq(judge_in("NO", ""), BOND_STOP_WORD);
    ck_assert_int_eq(judge_in("NO", ""), BOND_STOP_WORD);
    ck_assert_int_eq(judge_in("yes", ""), BOND_RATE);
}
END_TEST

START_TEST(a_day_ends_at_midnight_of_utc)
{
    terms.per_day = 3;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(act(), BOND_ADMITS);
    ck_assert_int_eq(act(), BOND_DAILY);
    ck_assert_uint_eq(retry_ms, DAY_MS / 2);
    ck_assert(meter.use_changed);
    ck_assert_uint_eq(meter.use.used_today, 3);
    pass(retry_ms - 1);
    ck_assert_int_eq(act(), BOND_DAILY);
    pass(1);
    ck_assert_int_eq(act(), BOND_ADMITS);
    ck_assert_uint_eq(meter.use.used_today, 1);
}
END_TEST

START_TEST(a_clock_that_leapt_and_came_back_locks_nobody_out)
{
    terms.per_day = 1;
    at.wall_ms += 1000 * DAY_MS;
    ck_assert_int_eq(act(), BOND_ADMITS);
    at.wall_ms -= 1000 * DAY_MS;
    ck_assert_int_eq(act(), BOND_ADMITS);
    ck_assert_int_eq(act(), BOND_DAILY);
    terms = (struct bond_terms){.rounds = 1, .cool_down_ms = HOUR_MS};
    at.wall_ms += 1000 * DAY_MS;
    ck_assert(play("t"));
    at.wall_ms -= 1000 * DAY_MS;
    ck_assert_int_eq(judge_in("", "t"), BOND_ADMITS);
}
END_TEST

START_TEST(an_action_costs_1_and_what_its_answer_charges)
{
    terms.budget = 10;
    ck_assert_int_eq(act(), BOND_ADMITS);
    bond_meter_charge(&meter, &terms, 7);
    ck_assert_uint_eq(meter.use.spent, 8);
    ck_assert_int_eq(act(), BOND_ADMITS);
    ck_assert_int_eq(act(), BOND_ADMITS);
    ck_assert_int_eq(act(), BOND_BUDGET);
    ck_assert_uint_eq(retry_ms, 0);
    terms.budget = 11;
    ck_assert_int_eq(act(), BOND_ADMITS);
    bond_meter_charge(&meter, &terms, 1000); /* the last one may cost more than was left */
    ck_assert_int_eq(act(), BOND_BUDGET);
    terms.budget = 0;
    bond_meter_charge(&meter, &terms, 5); /* is not counted where there is none */
    ck_assert_uint_eq(meter.use.spent, 1011);
}
END_TEST

START_TEST(what_is_spent_does_not_run_over)
{
    terms.budget = BOND_BUDGET_MAX;
    bond_meter_charge(&meter, &terms, UINT64_MAX);
    ck_assert_int_eq(judge(), BOND_BUDGET);
    bond_meter_charge(&meter, &terms, UINT64_MAX);
    ck_assert_uint_eq(meter.use.spent, INT64_MAX);
}
END_TEST

START_TEST(a_muted_bond_lets_nothing_through_until_its_time)
{
    terms.muted_until_ms = at.wall_ms + 100;
    ck_assert_int_eq(judge(), BOND_MUTED);
    ck_assert_uint_eq(retry_ms, 100);
    pass(99);
    ck_assert_int_eq(judge(), BOND_MUTED);
    pass(1);
    ck_assert_int_eq(judge(), BOND_ADMITS);
}
END_TEST

START_TEST(a_thread_has_its_rounds_and_no_more)
{
    terms.rounds = 3;
    ck_assert(!play("t"));
    ck_assert(!play("t"));
    ck_assert_int_eq(judge_in("", "t"), BOND_ADMITS);
    ck_assert(play("t")); /* that was the last */
    ck_assert_int_eq(judge_in("", "t"), BOND_ROUNDS);
    ck_assert_uint_eq(retry_ms, 0);
    ck_assert(!play("t")); /* told once */
    ck_assert_int_eq(judge_in("", "other"), BOND_ADMITS);
    ck_assert_int_eq(judge_in("", ""), BOND_ADMITS);
    pass(DAY_MS);
    ck_assert_int_eq(judge_in("", "t"), BOND_ROUNDS);
    terms.rounds = 5; /* the approver allows more */
    ck_assert_int_eq(judge_in("", "t"), BOND_ADMITS);
    ck_assert(play("t"));
}
END_TEST

START_TEST(the_most_rounds_can_be_had_and_are_told_once)
{
    terms.rounds = BOND_ROUNDS_MAX;
    for (unsigned i = 1; i < BOND_ROUNDS_MAX; i++)
        ck_assert(!play("t"));
    ck_assert_int_eq(judge_in("", "t"), BOND_ADMITS);
    ck_assert(play("t"));
    ck_assert_int_eq(judge_in("", "t"), BOND_ROUNDS);
    ck_assert(!play("t"));
}
END_TEST

START_TEST(a_thread_that_rested_begins_anew)
{
    terms.rounds = 2;
    terms.cool_down_ms = 1000;
    play("t");
    pass(500);
    play("t");
    ck_assert_int_eq(judge_in("", "t"), BOND_COOLING_DOWN);
    ck_assert_uint_eq(retry_ms, 1000);
    pass(999);
    ck_assert_int_eq(judge_in("", "t"), BOND_COOLING_DOWN);
    ck_assert_uint_eq(retry_ms, 1);
    pass(1);
    ck_assert_int_eq(judge_in("", "t"), BOND_ADMITS);
    ck_assert(!play("t"));
    ck_assert_int_eq(judge_in("", "t"), BOND_ADMITS);
    ck_assert(play("t"));
    ck_assert_int_eq(judge_in("", "t"), BOND_COOLING_DOWN);
}
END_TEST

static const char *thread_name(unsigned number)
{
    static char name[16];

    snprintf(name, sizeof name, "thread %u", number);
    return name;
}

START_TEST(so_many_threads_are_counted_and_then_the_least_lately_used_is_forgotten)
{
    terms.rounds = 2;
    for (unsigned i = 0; i < BOND_THREADS_MAX; i++) {
        play(thread_name(i));
        pass(1);
    }
    play(thread_name(0)); /* is over, and used lately */
    pass(1);
    ck_assert_uint_eq(meter.thread_count, BOND_THREADS_MAX);
    play(thread_name(BOND_THREADS_MAX)); /* in the place of thread 1 */
    ck_assert_uint_eq(meter.thread_count, BOND_THREADS_MAX);
    ck_assert_int_eq(judge_in("", thread_name(0)), BOND_ROUNDS);
    ck_assert(!play(thread_name(1))); /* begins anew, in the place of thread 2 */
    ck_assert(play(thread_name(3)));
}
END_TEST

/* Who opens one thread after another does not make the bond forget those that are over. */
START_TEST(threads_that_are_over_are_forgotten_last)
{
    terms.rounds = 2;
    for (int i = 0; i < 2; i++)
        play("over");
    for (unsigned i = 0; i < 10 * BOND_THREADS_MAX; i++) {
        pass(1);
        play(thread_name(i));
    }
    ck_assert_int_eq(judge_in("", "over"), BOND_ROUNDS);
}
END_TEST

START_TEST(threads_come_back_at_their_places)
{
    struct bond_thread kept;

    terms.rounds = 2;
    play("a");
    play("b");
    play("b");
    kept = meter.threads[1];
    bond_meter_end(&meter);
    bond_meter_restore_thread(&meter, 7, &kept);
    bond_meter_restore_thread(&meter, BOND_THREADS_MAX, &kept); /* no such place */
    ck_assert_uint_eq(meter.thread_count, 8);
    ck_assert_int_eq(judge_in("", "b"), BOND_ROUNDS);
    ck_assert_int_eq(judge_in("", "a"), BOND_ADMITS);
    bond_meter_restore_thread(&meter, BOND_THREADS_MAX - 1, &kept);
    ck_assert_uint_eq(meter.thread_count, BOND_THREADS_MAX);
}
END_TEST

START_TEST(a_payload_with_a_stop_word_is_refused)
{
    terms.stop_words[0] = bytes_of_text("password");
    terms.stop_words[1] = bytes_of_text("drop table");
    terms.stop_word_count = 2;
    ck_assert_int_eq(judge_in("{\"q\":\"weather\"}", ""), BOND_ADMITS);
    ck_assert_int_eq(judge_in("{\"q\":\"my PassWord is\"}", ""), BOND_STOP_WORD);
    ck_assert_int_eq(judge_in("{\"q\":\"; DROP TABLE users\"}", ""), BOND_STOP_WORD);
}
END_TEST

START_TEST(every_refusal_has_a_code_and_a_sentence)
{
    for (int verdict = BOND_MUTED; verdict < BOND_VERDICTS; verdict++) {
        ck_assert(bytes_are_name(bytes_of_text(bond_verdict_code(verdict))));
        ck_assert_uint_gt(strlen(bond_verdict_code(verdict)), 5);
        ck_assert_uint_gt(strlen(bond_verdict_text(verdict)), 10);
        for (int other = BOND_MUTED; other < verdict; other++)
            ck_assert_str_ne(bond_verdict_code(verdict), bond_verdict_code(other));
    }
    ck_assert_str_eq(bond_verdict_code(BOND_ADMITS), "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bond_meter");
    TCase *tests = tcase_create("meter");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, without_limits_everything_goes_through_and_nothing_is_counted);
    tcase_add_test(tests, so_many_a_minute_go_through_at_once_and_then_evenly);
    tcase_add_test(tests, the_largest_rate_is_counted_exactly);
    tcase_add_test(tests, a_try_that_fails_for_another_reason_uses_up_the_rate);
    tcase_add_test(tests, a_day_ends_at_midnight_of_utc);
    tcase_add_test(tests, a_clock_that_leapt_and_came_back_locks_nobody_out);
    tcase_add_test(tests, an_action_costs_1_and_what_its_answer_charges);
    tcase_add_test(tests, what_is_spent_does_not_run_over);
    tcase_add_test(tests, a_muted_bond_lets_nothing_through_until_its_time);
    tcase_add_test(tests, a_thread_has_its_rounds_and_no_more);
    tcase_add_test(tests, the_most_rounds_can_be_had_and_are_told_once);
    tcase_add_test(tests, a_thread_that_rested_begins_anew);
    tcase_add_test(tests, so_many_threads_are_counted_and_then_the_least_lately_used_is_forgotten);
    tcase_add_test(tests, threads_that_are_over_are_forgotten_last);
    tcase_add_test(tests, threads_come_back_at_their_places);
    tcase_add_test(tests, a_payload_with_a_stop_word_is_refused);
    tcase_add_test(tests, every_refusal_has_a_code_and_a_sentence);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
