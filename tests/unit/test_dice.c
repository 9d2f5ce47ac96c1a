#include "core/dice.h"

#include <check.h>
#include <stdlib.h>

/* RFC 8439, appendix A.1, test vectors 1 and 2: key and nonce of zeros, blocks 0 and 1. With a zero
 * nonce the RFC's cipher and the original one are the same. */
static const uint8_t zero_stream[128] = {
    0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28,
    0xbd, 0xd2, 0x19, 0xb8, 0xa0, 0x8d, 0xed, 0x1a, 0xa8, 0x36, 0xef, 0xcc, 0x8b, 0x77, 0x0d, 0xc7,
    0xda, 0x41, 0x59, 0x7c, 0x51, 0x57, 0x48, 0x8d, 0x77, 0x24, 0xe0, 0x3f, 0xb8, 0xd8, 0x4a, 0x37,
    0x6a, 0x43, 0xb8, 0xf4, 0x15, 0x18, 0xa1, 0x1c, 0xc3, 0x87, 0xb6, 0x69, 0xb2, 0xee, 0x65, 0x86,
    0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a, 0x98, 0xba, 0x97, 0x7c, 0x73, 0x2d, 0x08, 0x0d,
    0xcb, 0x0f, 0x29, 0xa0, 0x48, 0xe3, 0x65, 0x69, 0x12, 0xc6, 0x53, 0x3e, 0x32, 0xee, 0x7a, 0xed,
    0x29, 0xb7, 0x21, 0x76, 0x9c, 0xe6, 0x4e, 0x43, 0xd5, 0x71, 0x33, 0xb0, 0x74, 0xd8, 0x39, 0xd5,
    0x31, 0xed, 0x1f, 0x28, 0x51, 0x0a, 0xfb, 0x45, 0xac, 0xe1, 0x0a, 0x1f, 0x4b, 0x79, 0x4d, 0x6f,
};

START_TEST(the_stream_is_chacha20)
{
    uint8_t rolled[sizeof zero_stream];
    struct dice dice;

    dice_init_number(&dice, 0);
    dice_fill(&dice, rolled, sizeof rolled);
    ck_assert_mem_eq(rolled, zero_stream, sizeof rolled);
}
END_TEST

START_TEST(the_same_seed_rolls_the_same_in_whatever_pieces)
{
    uint8_t whole[2000], pieces[2000];
    struct dice one, other;

    dice_init_number(&one, 42);
    dice_init_number(&other, 42);
    dice_fill(&one, whole, sizeof whole);
    for (size_t at = 0, size = 1; at < sizeof pieces; at += size, size = size % 300 + 7) {
        if (size > sizeof pieces - at)
            size = sizeof pieces - at;
        dice_fill(&other, pieces + at, size);
    }
    ck_assert_mem_eq(whole, pieces, sizeof whole);
}
END_TEST

START_TEST(another_seed_rolls_otherwise)
{
    uint8_t rolled[2][32];
    struct dice dice;

    dice_init_number(&dice, 1);
    dice_fill(&dice, rolled[0], 32);
    dice_init_number(&dice, 1ull << 56);
    dice_fill(&dice, rolled[1], 32);
    ck_assert_mem_ne(rolled[0], rolled[1], 32);
}
END_TEST

START_TEST(the_stream_does_not_repeat_itself)
{
    uint8_t blocks[64][64];
    struct dice dice;

    dice_init_number(&dice, 3);
    dice_fill(&dice, blocks, sizeof blocks);
    for (size_t i = 0; i < 64; i++)
        for (size_t j = 0; j < i; j++)
            ck_assert_mem_ne(blocks[i], blocks[j], 64);
}
END_TEST

START_TEST(what_was_rolled_is_not_kept)
{
    uint8_t rolled[100];
    struct dice dice;

    dice_init_number(&dice, 4);
    dice_fill(&dice, rolled, sizeof rolled);
    for (size_t i = 0; i < sizeof rolled; i++)
        ck_assert_uint_eq(dice.pool[i], 0);
}
END_TEST

START_TEST(every_result_below_the_bound_comes_about_as_often)
{
    unsigned counts[6] = {0};
    struct dice dice;

    dice_init_number(&dice, 5);
    for (int i = 0; i < 60000; i++)
        counts[dice_below(&dice, 6)]++; /* out of bounds would be seen by the sanitizers */
    for (size_t i = 0; i < 6; i++) {
        ck_assert_uint_gt(counts[i], 9500); /* 5 standard deviations */
        ck_assert_uint_lt(counts[i], 10500);
    }
}
END_TEST

/* A plain remainder would give the lower third twice as often as the rest. */
START_TEST(a_bound_that_does_not_divide_is_not_biased)
{
    const uint64_t bound = 3ull << 62;
    unsigned low = 0;
    struct dice dice;

    dice_init_number(&dice, 6);
    for (int i = 0; i < 30000; i++) {
        uint64_t roll = dice_below(&dice, bound);

        ck_assert_uint_lt(roll, bound);
        low += roll < 1ull << 62;
    }
    ck_assert_uint_gt(low, 9500);
    ck_assert_uint_lt(low, 10500);
}
END_TEST

START_TEST(a_bound_of_one_leaves_no_choice)
{
    struct dice dice;

    dice_init_number(&dice, 7);
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(dice_below(&dice, 1), 0);
    ck_assert_uint_lt(dice_below(&dice, UINT64_MAX), UINT64_MAX);
}
END_TEST

START_TEST(jitter_is_of_the_upper_half)
{
    bool least = false, most = false;
    struct dice dice;

    dice_init_number(&dice, 8);
    for (int i = 0; i < 1000; i++) {
        uint64_t wait_ms = dice_jitter_ms(&dice, 10);

        ck_assert_uint_ge(wait_ms, 5);
        ck_assert_uint_le(wait_ms, 10);
        least |= wait_ms == 5;
        most |= wait_ms == 10;
    }
    ck_assert(least && most);
    ck_assert_uint_eq(dice_jitter_ms(&dice, 0), 0);
    ck_assert_uint_eq(dice_jitter_ms(&dice, 1) | 1, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dice");
    TCase *tcase = tcase_create("dice");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, the_stream_is_chacha20);
    tcase_add_test(tcase, the_same_seed_rolls_the_same_in_whatever_pieces);
    tcase_add_test(tcase, another_seed_rolls_otherwise);
    tcase_add_test(tcase, the_stream_does_not_repeat_itself);
    tcase_add_test(tcase, what_was_rolled_is_not_kept);
    tcase_add_test(tcase, every_result_below_the_bound_comes_about_as_often);
    tcase_add_test(tcase, a_bound_that_does_not_divide_is_not_biased);
    tcase_add_test(tcase, a_bound_of_one_leaves_no_choice);
    tcase_add_test(tcase, jitter_is_of_the_upper_half);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
