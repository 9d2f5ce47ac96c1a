/* The date goes on while the steady clock stands still: the host slept, or its clock was set right. */
#define PECKS_MAX 512
#include "two_agents.h"

static struct pond *pond;
static struct id duck, friend; /* of alice, of bob */

static void set_up(void)
{
    pond = pond_new();
    duck = hatch(pond, &pond->alice, 10);
    friend = hatch(pond, &pond->bob, 20);
    bond(pond, &duck, &friend);
    tick(pond, 1000);
}

static void tear_down(void)
{
    pond_free(pond);
}

static uint64_t said_ms(const struct id *owner, uint32_t kind)
{
    const struct node *alice = &pond->alice;
    uint64_t newest_ms = 0;

    for (size_t i = 0; i < alice->record_count; i++)
        if (id_equal(&alice->records[i].record.owner, owner) &&
            alice->records[i].record.kind == kind &&
            alice->records[i].record.version.ms > newest_ms)
            newest_ms = alice->records[i].record.version.ms;
    return newest_ms;
}

static void pass_a_minute(void)
{
    for (int i = 0; i < 61; i++)
        tick(pond, SECOND_MS);
}

START_TEST(what_ended_while_the_host_slept_is_said_anew)
{
    struct order send = action(&friend, &duck);
    uint64_t woken_ms;

    ck_assert_int_eq(order(pond, &pond->bob, &send)->code, REFUSAL_NONE);
    pond->at.wall_ms += RECORD_LIFE_MS + DAY_MS;
    woken_ms = pond->at.wall_ms;
    pass_a_minute();
    ck_assert_uint_ge(said_ms(&pond->alice.id, RECORD_NODE), woken_ms);
    ck_assert_uint_ge(said_ms(&duck, RECORD_DUCKLING), woken_ms);
    ck_assert_uint_ge(said_ms(&duck, RECORD_ATTESTATION), woken_ms);
    ck_assert_int_eq(order(pond, &pond->bob, &send)->code, REFUSAL_NONE);
}
END_TEST

START_TEST(what_is_young_is_not_said_anew_for_a_clock_that_was_set_right)
{
    uint64_t said[] = {said_ms(&duck, RECORD_DUCKLING), said_ms(&duck, RECORD_ATTESTATION)};

    pond->at.wall_ms += 2 * CLOCK_LEAP_MS;
    pass_a_minute();
    pond->at.wall_ms -= 3 * CLOCK_LEAP_MS; /* nor for one that is put back, and on again */
    pass_a_minute();
    pond->at.wall_ms += CLOCK_LEAP_MS - 1;
    pass_a_minute();
    ck_assert_uint_eq(said_ms(&duck, RECORD_DUCKLING), said[0]);
    ck_assert_uint_eq(said_ms(&duck, RECORD_ATTESTATION), said[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_leap");
    TCase *tests = tcase_create("leaps");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_ended_while_the_host_slept_is_said_anew);
    tcase_add_test(tests, what_is_young_is_not_said_anew_for_a_clock_that_was_set_right);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
