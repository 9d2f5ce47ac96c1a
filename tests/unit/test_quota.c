/* Buckets of neighbours, and hashes that were seen. */
#include "core/quota.h"
#include "core/seen.h"

#include <check.h>

static struct id neighbour(uint8_t number)
{
    return (struct id){{number}};
}

START_TEST(a_bucket_is_full_at_first_and_fills_again_with_time)
{
    struct quota *quota = quota_new(4, 100, 500);
    struct id alice = neighbour(1);

    ck_assert(quota_take(quota, &alice, 500, 1000));
    ck_assert(!quota_take(quota, &alice, 1, 1000));
    ck_assert(!quota_take(quota, &alice, 101, 2000)); /* one second is a hundred */
    ck_assert(quota_take(quota, &alice, 100, 2000));
    ck_assert(!quota_take(quota, &alice, 501, 100000)); /* never more than the burst */
    ck_assert(quota_take(quota, &alice, 500, 100000));
    quota_free(quota);
}
END_TEST

START_TEST(small_steps_of_time_add_up)
{
    struct quota *quota = quota_new(4, 10, 1);
    struct id alice = neighbour(1);

    ck_assert(quota_take(quota, &alice, 1, 0));
    for (uint64_t now_ms = 1; now_ms < 100; now_ms++)
        ck_assert(!quota_take(quota, &alice, 1, now_ms));
    ck_assert(quota_take(quota, &alice, 1, 100));
    quota_free(quota);
}
END_TEST

START_TEST(neighbours_do_not_share_a_bucket)
{
    struct quota *quota = quota_new(4, 1, 10);
    struct id alice = neighbour(1), bob = neighbour(2);

    ck_assert(quota_take(quota, &alice, 10, 0));
    ck_assert(!quota_take(quota, &alice, 1, 0));
    ck_assert(quota_take(quota, &bob, 10, 0));
    quota_free(quota);
}
END_TEST

START_TEST(a_clock_that_is_set_back_fills_nothing)
{
    struct quota *quota = quota_new(4, 100, 100);
    struct id alice = neighbour(1);

    ck_assert(quota_take(quota, &alice, 100, 10000));
    ck_assert(!quota_take(quota, &alice, 1, 0));
    ck_assert(quota_take(quota, &alice, 100, 1000)); /* but it goes on from there */
    quota_free(quota);
}
END_TEST

START_TEST(a_full_table_forgets_who_was_idle_longest)
{
    struct quota *quota = quota_new(2, 1, 10);
    struct id alice = neighbour(1), bob = neighbour(2), carol = neighbour(3);

    ck_assert(quota_take(quota, &alice, 10, 0));
    ck_assert(quota_take(quota, &bob, 10, 5000));
    ck_assert(quota_take(quota, &carol, 10, 5001));
    ck_assert(!quota_take(quota, &bob, 10, 5002));
    ck_assert(quota_take(quota, &alice, 10, 5003)); /* was forgotten */
    quota_free(quota);
}
END_TEST

START_TEST(what_was_seen_is_known_until_another_takes_its_place)
{
    struct seen *seen = seen_new(16);
    struct hash first = {{1, 2, 3}}, same_place = {{1, 2, 4}}, other = {{2}};

    ck_assert(!seen_has(seen, &first));
    seen_note(seen, &first);
    seen_note(seen, &other);
    ck_assert(seen_has(seen, &first));
    ck_assert(!seen_has(seen, &same_place));
    seen_note(seen, &same_place);
    ck_assert(!seen_has(seen, &first));
    ck_assert(seen_has(seen, &other));
    seen_free(seen);
}
END_TEST

START_TEST(what_is_given_back_is_there_again_and_never_more_than_a_bucket_holds)
{
    struct quota *quota = quota_new(4, 1, 10);
    struct id neighbour = {{1}};

    ck_assert(quota_take(quota, &neighbour, 10, 1000));
    quota_give_back(quota, &neighbour, 4, 1000);
    ck_assert(!quota_take(quota, &neighbour, 5, 1000));
    ck_assert(quota_take(quota, &neighbour, 4, 1000));
    quota_give_back(quota, &neighbour, UINT64_MAX, 1000);
    ck_assert(!quota_take(quota, &neighbour, 11, 1000));
    ck_assert(quota_take(quota, &neighbour, 10, 1000));
    quota_free(quota);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quota");
    TCase *tests = tcase_create("quota");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tests, a_bucket_is_full_at_first_and_fills_again_with_time);
    tcase_add_test(tests, small_steps_of_time_add_up);
    tcase_add_test(tests, neighbours_do_not_share_a_bucket);
    tcase_add_test(tests, a_clock_that_is_set_back_fills_nothing);
    tcase_add_test(tests, a_full_table_forgets_who_was_idle_longest);
    tcase_add_test(tests, what_was_seen_is_known_until_another_takes_its_place);
    tcase_add_test(tests, what_is_given_back_is_there_again_and_never_more_than_a_bucket_holds);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
