#include "repeats.h"
#include "strict_json.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define NOW_MS 1000ull

static struct repeats *repeats;

static void set_up(void)
{
    repeats = repeats_new();
}

static void tear_down(void)
{
    repeats_free(repeats);
}

static struct repeats_name name_of(const char *place, const char *content)
{
    struct repeats_name name;

    repeats_name(repeats, bytes_of_text(place), bytes_of_text(content), &name);
    return name;
}

static enum repeats_verdict ask(const char *place, const char *content, uint64_t now_ms)
{
    struct repeats_name name = name_of(place, content);
    unsigned status = 0;
    char *text = NULL;
    enum repeats_verdict verdict = repeats_ask(repeats, &name, now_ms, &status, &text);

    strict_json_forget(text);
    return verdict;
}

static void keep(const char *place, const char *content, const char *text)
{
    struct repeats_name name = name_of(place, content);

    repeats_keep(repeats, &name, 201, text);
}

START_TEST(a_repeated_request_has_the_same_answer)
{
    struct repeats_name name = name_of("a", "x");
    unsigned status = 0;
    char *text = NULL;

    ck_assert_int_eq(ask("a", "x", NOW_MS), REPEATS_NEW);
    keep("a", "x", "{\"n\":1}");
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(repeats_ask(repeats, &name, NOW_MS, &status, &text), REPEATS_KNOWN);
        ck_assert_uint_eq(status, 201);
        ck_assert_str_eq(text, "{\"n\":1}");
        strict_json_forget(text);
    }
    ck_assert_int_eq(ask("b", "x", NOW_MS), REPEATS_NEW);
}
END_TEST

START_TEST(the_same_key_with_other_content_is_told_so)
{
    ck_assert_int_eq(ask("a", "x", NOW_MS), REPEATS_NEW);
    ck_assert_int_eq(ask("a", "y", NOW_MS), REPEATS_OTHER);
    keep("a", "x", "{}");
    ck_assert_int_eq(ask("a", "y", NOW_MS), REPEATS_OTHER);
}
END_TEST

START_TEST(a_second_request_does_not_run_beside_the_first)
{
    struct repeats_name name = name_of("a", "x");

    ck_assert_int_eq(ask("a", "x", NOW_MS), REPEATS_NEW);
    ck_assert_int_eq(ask("a", "x", NOW_MS), REPEATS_UNDER_WAY);
    ck_assert_int_eq(ask("a", "x", NOW_MS + ANSWER_LIFE_MS), REPEATS_UNDER_WAY);
    repeats_forget(repeats, &name); /* it failed: the next may try */
    ck_assert_int_eq(ask("a", "x", NOW_MS), REPEATS_NEW);
}
END_TEST

START_TEST(an_answer_is_kept_for_its_time)
{
    ck_assert_int_eq(ask("a", "x", NOW_MS), REPEATS_NEW);
    keep("a", "x", "{}");
    ck_assert_int_eq(ask("a", "x", NOW_MS + ANSWER_LIFE_MS - 1), REPEATS_KNOWN);
    ck_assert_int_eq(ask("a", "x", NOW_MS + ANSWER_LIFE_MS), REPEATS_NEW);
}
END_TEST

START_TEST(an_answer_that_is_too_long_is_not_kept)
{
    char *text = memory_take(ANSWER_SIZE_MAX + 2);

    memset(text, 'a', ANSWER_SIZE_MAX);
    ck_assert_int_eq(ask("a", "x", NOW_MS), REPEATS_NEW);
    keep("a", "x", text);
    ck_assert_int_eq(ask("a", "x", NOW_MS), REPEATS_KNOWN);
    text[ANSWER_SIZE_MAX] = 'a';
    ck_assert_int_eq(ask("b", "x", NOW_MS), REPEATS_NEW);
    keep("b", "x", text);
    ck_assert_int_eq(ask("b", "x", NOW_MS), REPEATS_NEW);
    memory_give_back(text);
}
END_TEST

START_TEST(the_oldest_goes_for_one_more_but_nothing_that_is_under_way)
{
    char place[16];

    ck_assert_int_eq(ask("first", "x", NOW_MS), REPEATS_NEW); /* stays under way */
    for (int i = 1; i < REPEATS_MAX; i++) {
        snprintf(place, sizeof place, "%d", i);
        ck_assert_int_eq(ask(place, "x", NOW_MS), REPEATS_NEW);
        keep(place, "x", "{}");
    }
    ck_assert_int_eq(ask("1", "x", NOW_MS), REPEATS_KNOWN);
    ck_assert_int_eq(ask("one more", "x", NOW_MS), REPEATS_NEW);
    ck_assert_int_eq(ask("first", "x", NOW_MS), REPEATS_UNDER_WAY);
    ck_assert_int_eq(ask("2", "x", NOW_MS), REPEATS_KNOWN);
    ck_assert_int_eq(ask("1", "x", NOW_MS), REPEATS_NEW);
}
END_TEST

START_TEST(more_than_it_holds_are_not_under_way)
{
    char place[16];

    for (int i = 0; i < REPEATS_MAX; i++) {
        snprintf(place, sizeof place, "%d", i);
        ck_assert_int_eq(ask(place, "x", NOW_MS), REPEATS_NEW);
    }
    ck_assert_int_eq(ask("one more", "x", NOW_MS), REPEATS_FULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("repeats");
    TCase *tests = tcase_create("repeats");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_repeated_request_has_the_same_answer);
    tcase_add_test(tests, the_same_key_with_other_content_is_told_so);
    tcase_add_test(tests, a_second_request_does_not_run_beside_the_first);
    tcase_add_test(tests, an_answer_is_kept_for_its_time);
    tcase_add_test(tests, an_answer_that_is_too_long_is_not_kept);
    tcase_add_test(tests, the_oldest_goes_for_one_more_but_nothing_that_is_under_way);
    tcase_add_test(tests, more_than_it_holds_are_not_under_way);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
