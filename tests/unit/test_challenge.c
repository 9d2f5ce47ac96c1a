#include "challenge.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>

#define NOW 1774051200000ull

static struct challenges *challenges;
static uint8_t challenge[CHALLENGE_SIZE];

static void setup(void)
{
    ck_assert_int_ge(sodium_init(), 0);
    challenges = challenges_new();
    challenges_make(challenges, "sign in", NOW, challenge);
}

static void teardown(void)
{
    challenges_free(challenges);
}

static enum challenge_verdict spend(const char *purpose, uint64_t now_ms)
{
    return challenges_spend(challenges, purpose, bytes_of(challenge, sizeof challenge), now_ms);
}

START_TEST(a_challenge_is_good_once)
{
    struct bytes bytes = bytes_of(challenge, sizeof challenge);

    ck_assert_int_eq(challenges_judge(challenges, "sign in", bytes, NOW), CHALLENGE_TAKEN);
    ck_assert_int_eq(challenges_judge(challenges, "sign in", bytes, NOW), CHALLENGE_TAKEN);
    ck_assert_int_eq(spend("sign in", NOW), CHALLENGE_TAKEN);
    ck_assert_int_eq(spend("sign in", NOW), CHALLENGE_SPENT);
    ck_assert_int_eq(challenges_judge(challenges, "sign in", bytes, NOW), CHALLENGE_SPENT);
}
END_TEST

START_TEST(a_challenge_ends_after_five_minutes)
{
    ck_assert_int_eq(spend("sign in", NOW + CHALLENGE_LIFE_MS), CHALLENGE_OVER);
    ck_assert_int_eq(spend("sign in", NOW + CHALLENGE_LIFE_MS - 1), CHALLENGE_TAKEN);
}
END_TEST

START_TEST(a_challenge_is_foreign_to_other_purposes)
{
    ck_assert_int_eq(spend("sign i", NOW), CHALLENGE_FOREIGN);
    ck_assert_int_eq(spend("passkey of 1", NOW), CHALLENGE_FOREIGN);
}
END_TEST

START_TEST(a_challenge_with_a_turned_bit_is_foreign)
{
    for (size_t i = 0; i < sizeof challenge * 8; i++) {
        challenge[i / 8] ^= (uint8_t)(1u << i % 8);
        ck_assert_int_eq(spend("sign in", NOW), CHALLENGE_FOREIGN);
        challenge[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    ck_assert_int_eq(
        challenges_judge(challenges, "sign in", bytes_of(challenge, sizeof challenge - 1), NOW),
        CHALLENGE_FOREIGN);
    ck_assert_int_eq(spend("sign in", NOW), CHALLENGE_TAKEN);
}
END_TEST

START_TEST(a_challenge_of_another_process_is_foreign)
{
    struct challenges *others = challenges_new();

    challenges_make(others, "sign in", NOW, challenge);
    ck_assert_int_eq(spend("sign in", NOW), CHALLENGE_FOREIGN);
    challenges_free(others);
}
END_TEST

/* Spent late in one stretch of five minutes, tried again early in the next but one look away. */
START_TEST(what_was_spent_stays_spent_as_long_as_it_lives)
{
    uint8_t late[CHALLENGE_SIZE], other[CHALLENGE_SIZE];
    uint64_t at = NOW + CHALLENGE_LIFE_MS - 2;

    ck_assert_int_eq(spend("sign in", NOW), CHALLENGE_TAKEN);
    challenges_make(challenges, "sign in", at, late);
    ck_assert_int_eq(challenges_spend(challenges, "sign in", bytes_of(late, sizeof late), at),
                     CHALLENGE_TAKEN);
    ck_assert_int_eq(spend("sign in", at), CHALLENGE_SPENT);
    for (uint64_t now = at; now < at + CHALLENGE_LIFE_MS; now += CHALLENGE_LIFE_MS / 50) {
        challenges_make(challenges, "sign in", now, other);
        ck_assert_int_eq(
            challenges_spend(challenges, "sign in", bytes_of(other, sizeof other), now),
            CHALLENGE_TAKEN);
        ck_assert_int_eq(challenges_spend(challenges, "sign in", bytes_of(late, sizeof late), now),
                         CHALLENGE_SPENT);
    }
}
END_TEST

START_TEST(more_than_there_is_room_for_are_not_taken)
{
    for (int i = 0; i < CHALLENGES_SPENT_MAX; i++) {
        challenges_make(challenges, "sign in", NOW, challenge);
        ck_assert_int_eq(spend("sign in", NOW), CHALLENGE_TAKEN);
    }
    challenges_make(challenges, "sign in", NOW, challenge);
    ck_assert_int_eq(spend("sign in", NOW), CHALLENGE_FULL);
    challenges_make(challenges, "sign in", NOW + CHALLENGE_LIFE_MS, challenge);
    ck_assert_int_eq(spend("sign in", NOW + CHALLENGE_LIFE_MS), CHALLENGE_TAKEN);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("challenge");
    Suite *suite = suite_create("challenge");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_challenge_is_good_once);
    tcase_add_test(tests, a_challenge_ends_after_five_minutes);
    tcase_add_test(tests, a_challenge_is_foreign_to_other_purposes);
    tcase_add_test(tests, a_challenge_with_a_turned_bit_is_foreign);
    tcase_add_test(tests, a_challenge_of_another_process_is_foreign);
    tcase_add_test(tests, what_was_spent_stays_spent_as_long_as_it_lives);
    tcase_add_test(tests, more_than_there_is_room_for_are_not_taken);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
