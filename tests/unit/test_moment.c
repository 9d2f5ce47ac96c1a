#include "core/moment.h"

#include <check.h>
#include <stdlib.h>

START_TEST(the_later_millisecond_is_newer_then_the_higher_count)
{
    const struct version order[] = {{0, 0}, {0, UINT32_MAX}, {1, 0}, {1, 1}, {UINT64_MAX, 0}};

    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 5; j++) {
            int compared = version_compare(order[i], order[j]);

            ck_assert_int_eq((compared > 0) - (compared < 0), (i > j) - (i < j));
        }
}
END_TEST

START_TEST(a_version_follows_the_date)
{
    struct version next = version_next((struct version){1000, 7}, 2000);

    ck_assert_uint_eq(next.ms, 2000);
    ck_assert_uint_eq(next.count, 0);
}
END_TEST

START_TEST(within_one_millisecond_the_count_goes_up)
{
    struct version next = version_next((struct version){1000, 7}, 1000);

    ck_assert_uint_eq(next.ms, 1000);
    ck_assert_uint_eq(next.count, 8);
}
END_TEST

START_TEST(a_clock_that_falls_back_does_not_take_versions_with_it)
{
    struct version last = {5000, 0};

    for (uint64_t wall_ms = 4999; wall_ms > 4900; wall_ms--) {
        struct version next = version_next(last, wall_ms);

        ck_assert_int_gt(version_compare(next, last), 0);
        ck_assert_uint_eq(next.ms, 5000);
        last = next;
    }
}
END_TEST

START_TEST(a_full_count_borrows_the_next_millisecond)
{
    struct version last = {1000, UINT32_MAX}, next = version_next(last, 1000);

    ck_assert_int_gt(version_compare(next, last), 0);
    ck_assert_uint_eq(next.ms, 1001);
    ck_assert_uint_eq(next.count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("moment");
    TCase *tcase = tcase_create("moment");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, the_later_millisecond_is_newer_then_the_higher_count);
    tcase_add_test(tcase, a_version_follows_the_date);
    tcase_add_test(tcase, within_one_millisecond_the_count_goes_up);
    tcase_add_test(tcase, a_clock_that_falls_back_does_not_take_versions_with_it);
    tcase_add_test(tcase, a_full_count_borrows_the_next_millisecond);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
