/* What others wrote, as the command line shows it. */
#include "show.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* A peck's payload that clears the screen, turns the line round, and forges a line below itself. */
#define HOSTILE                                                                                    \
    "a\x1b[2J\x7f\xc2\x9b"                                                                         \
    "31m\xe2\x80\xae"                                                                              \
    "b\n  result    {}\tc"

static void expect(void (*show)(FILE *file, struct bytes text), const char *text,
                   const char *expected)
{
    char *shown = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&shown, &size);

    ck_assert_ptr_nonnull(file);
    show(file, bytes_of_text(text));
    fclose(file);
    ck_assert_str_eq(shown, expected);
    free(shown);
}

START_TEST(a_line_stays_one_line_and_steers_no_terminal)
{
    expect(show_line, HOSTILE, "a\\u001b[2J\\u007f\\u009b31m\\u202eb   result    {} c");
}
END_TEST

START_TEST(further_lines_are_deeper_than_any_label)
{
    expect(show_lines, HOSTILE,
           "a\\u001b[2J\\u007f\\u009b31m\\u202eb\n              result    {} c");
}
END_TEST

START_TEST(json_keeps_its_lines_and_its_meaning)
{
    expect(show_json, "{\n  \"a\": \"\xc2\x9b\xe2\x81\xa6\"\n}",
           "{\n  \"a\": \"\\u009b\\u2066\"\n}");
}
END_TEST

START_TEST(a_word_for_a_column_has_an_end)
{
    char word[SHOW_WORD_SIZE], longest[512];

    ck_assert_str_eq(show_word(bytes_of_text("Zo\xc3\xab\xe2\x80\xaex"), word),
                     "Zo\xc3\xab\\u202ex");
    ck_assert_str_eq(show_word(bytes_of_text(""), word), "");
    memset(longest, 0x1b, sizeof longest);
    ck_assert_uint_lt(strlen(show_word(bytes_of(longest, sizeof longest), word)), SHOW_WORD_SIZE);
    ck_assert_uint_eq(strlen(word) % 6, 0); /* cut between two */
}
END_TEST

START_TEST(what_is_seen_as_it_is_is_not_touched)
{
    expect(show_line, "Zo\xc3\xab \xd7\x90\xd7\x91 \xf0\x9f\xa6\x86",
           "Zo\xc3\xab \xd7\x90\xd7\x91 \xf0\x9f\xa6\x86");
    expect(show_line, "", "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("show");
    TCase *tests = tcase_create("show");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, a_line_stays_one_line_and_steers_no_terminal);
    tcase_add_test(tests, further_lines_are_deeper_than_any_label);
    tcase_add_test(tests, json_keeps_its_lines_and_its_meaning);
    tcase_add_test(tests, a_word_for_a_column_has_an_end);
    tcase_add_test(tests, what_is_seen_as_it_is_is_not_touched);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
