#include "core/partials.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct bytes filled(size_t size)
{
    static uint8_t data[PARTIAL_SIZE_MAX + 1];

    memset(data, 'x', sizeof data);
    return bytes_of(data, size);
}

START_TEST(both_ends_that_count_the_same_have_the_same_hash)
{
    struct partials here = {0}, there = {0};

    partials_add(&here, bytes_of_text("1"));
    partials_add(&here, bytes_of_text("2"));
    partials_add(&there, bytes_of_text("1"));
    ck_assert(!hash_equal(&here.hash, &there.hash));
    partials_add(&there, bytes_of_text("2"));
    ck_assert(hash_equal(&here.hash, &there.hash));
    ck_assert_uint_eq(here.count, 2);
    ck_assert_uint_eq(here.bytes, 2);
}
END_TEST

START_TEST(another_order_or_another_cut_is_another_hash)
{
    struct partials straight = {0}, swapped = {0}, whole = {0};

    partials_add(&straight, bytes_of_text("1"));
    partials_add(&straight, bytes_of_text("2"));
    partials_add(&swapped, bytes_of_text("2"));
    partials_add(&swapped, bytes_of_text("1"));
    partials_add(&whole, bytes_of_text("12"));
    ck_assert(!hash_equal(&straight.hash, &swapped.hash));
    ck_assert(!hash_equal(&straight.hash, &whole.hash));
}
END_TEST

START_TEST(a_part_of_the_largest_size_fits_and_one_byte_more_does_not)
{
    struct partials none = {0};

    ck_assert_int_eq(partials_judge(&none, 0), PARTIALS_EMPTY);
    ck_assert_int_eq(partials_judge(&none, 1), PARTIALS_ROOM);
    ck_assert_int_eq(partials_judge(&none, PARTIAL_SIZE_MAX), PARTIALS_ROOM);
    ck_assert_int_eq(partials_judge(&none, PARTIAL_SIZE_MAX + 1), PARTIALS_TOO_LARGE);
}
END_TEST

START_TEST(so_many_parts_fit_and_not_one_more)
{
    struct partials partials = {0};

    while (partials.count < PARTIALS_MAX) {
        ck_assert_int_eq(partials_judge(&partials, 1), PARTIALS_ROOM);
        partials_add(&partials, bytes_of_text("1"));
    }
    ck_assert_int_eq(partials_judge(&partials, 1), PARTIALS_TOO_MANY);
}
END_TEST

START_TEST(so_many_bytes_fit_in_all_and_not_one_more)
{
    struct partials partials = {0};

    while (partials.bytes < PARTIALS_BYTES_MAX - PARTIAL_SIZE_MAX)
        partials_add(&partials, filled(PARTIAL_SIZE_MAX));
    partials_add(&partials, filled(PARTIAL_SIZE_MAX - 1));
    ck_assert_int_eq(partials_judge(&partials, 2), PARTIALS_TOO_MUCH);
    ck_assert_int_eq(partials_judge(&partials, 1), PARTIALS_ROOM);
    partials_add(&partials, bytes_of_text("1"));
    ck_assert_uint_eq(partials.bytes, PARTIALS_BYTES_MAX);
    ck_assert_int_eq(partials_judge(&partials, 1), PARTIALS_TOO_MUCH);
}
END_TEST

START_TEST(every_refusal_has_its_own_sentence)
{
    for (int i = PARTIALS_ROOM; i <= PARTIALS_TOO_MUCH; i++)
        for (int j = i + 1; j <= PARTIALS_TOO_MUCH; j++)
            ck_assert_str_ne(partials_verdict_text((enum partials_verdict)i),
                             partials_verdict_text((enum partials_verdict)j));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("partials");
    TCase *counting = tcase_create("counting");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(counting, both_ends_that_count_the_same_have_the_same_hash);
    tcase_add_test(counting, another_order_or_another_cut_is_another_hash);
    tcase_add_test(counting, a_part_of_the_largest_size_fits_and_one_byte_more_does_not);
    tcase_add_test(counting, so_many_parts_fit_and_not_one_more);
    tcase_add_test(counting, so_many_bytes_fit_in_all_and_not_one_more);
    tcase_add_test(counting, every_refusal_has_its_own_sentence);
    suite_add_tcase(suite, counting);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
