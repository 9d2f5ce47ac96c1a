#include "core/json_text.h"

#include <check.h>
#include <stdlib.h>

static enum json_text_verdict judge(const char *text)
{
    struct bytes value;

    return json_text_check(bytes_of_text(text), &value);
}

static void expect(enum json_text_verdict verdict, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(judge(texts[i]) == verdict, "%s: %s", texts[i],
                      json_text_verdict_text(judge(texts[i])));
}
#define EXPECT(verdict, ...)                                                                       \
    do {                                                                                           \
        static const char *const texts[] = {__VA_ARGS__};                                          \
        expect(verdict, texts, sizeof texts / sizeof *texts);                                      \
    } while (0)

START_TEST(every_kind_of_value_is_json)
{
    EXPECT(JSON_TEXT_OK, "{}", "[]", "0", "-0", "1.5", "1e5", "1E+5", "-1.25e-3", "\"\"", "true",
           "false", "null", " [ 1 , {\"a\" : [ ] , \"b\":{}} ]\n", "\"\\u00e9\\n\\/\\\\\"",
           "\"\\ud83e\\udd86\"", "\"\xf0\x9f\xa6\x86\"", "[[],[[]],{}]", "{\"\":0}", "\"\x7f\"");
}
END_TEST

START_TEST(what_is_not_json_is_refused)
{
    EXPECT(JSON_TEXT_MALFORMED, "{", "}", "[", "]", "[1", "[1,", "[1,]", "[,1]", "{\"a\"}",
           "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:1}", "[1 2]", "01", "-", "-a", "+1", ".5", "1.",
           "1e", "1e+", "tru", "truex", "nul", "NaN", "Infinity", "'a'", "\"", "\"a", "\"\\",
           "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "{} {}", "{}x", "[}", "{]", "\"a\nb\"",
           "\"a\tb\"", "{}, \"from\":\"dkl_\"", "[1]]", "// a\n1", "\"\\ud83e\\uZZZZ\"");
}
END_TEST

START_TEST(nothing_and_blanks_are_empty)
{
    struct bytes value;

    EXPECT(JSON_TEXT_EMPTY, "", " ", "\n\t\r ");
    ck_assert_int_eq(json_text_check(bytes_of(NULL, 0), &value), JSON_TEXT_EMPTY);
}
END_TEST

START_TEST(what_no_text_can_hold_is_refused)
{
    struct bytes value;

    EXPECT(JSON_TEXT_BAD_ESCAPE, "\"\\u0000\"", "\"\\ud83e\"", "\"\\ud83ex\"", "\"\\ud83e\\n\"",
           "\"\\udd86\"", "\"\\ud83e\\ud83e\"");
    EXPECT(JSON_TEXT_NOT_UTF8, "\"\xff\"", "\"\xc3\"", "\"\xed\xa0\x80\"", "\x01");
    ck_assert_int_eq(json_text_check(bytes_of("\"a\0b\"", 5), &value), JSON_TEXT_NOT_UTF8);
}
END_TEST

START_TEST(numbers_keep_their_digits)
{
    EXPECT(JSON_TEXT_OK, "9223372036854775807", "-9223372036854775808", "1e307", "0.1e307",
           "123456789012345678901234567890.5", "1e-99999999999999999999", "9.9e307");
    EXPECT(JSON_TEXT_BAD_NUMBER, "9223372036854775808", "-9223372036854775809",
           "99999999999999999999999", "1e308", "0.1e308", "1e99999999999999999999", "-1e400");
}
END_TEST

START_TEST(it_may_be_nested_64_deep_and_no_deeper)
{
    char text[400] = "";
    const char *const pairs[][3] = {{"[", "1", "]"}, {"{\"a\":", "[]", "}"}};

    for (size_t kind = 0; kind < 2; kind++)
        for (int depth = 63; depth <= 65; depth++) {
            int inner = kind == 1 ? depth - 1 : depth; /* its value is a container too */
            char *long_text = calloc(1, 4096);

            for (int i = 0; i < inner; i++)
                strcat(long_text, pairs[kind][0]);
            strcat(long_text, pairs[kind][1]);
            for (int i = 0; i < inner; i++)
                strcat(long_text, pairs[kind][2]);
            ck_assert_int_eq(judge(long_text),
                             depth <= JSON_TEXT_DEPTH_MAX ? JSON_TEXT_OK : JSON_TEXT_TOO_DEEP);
            free(long_text);
        }
    memset(text, '[', sizeof text - 1);
    ck_assert_int_eq(judge(text), JSON_TEXT_TOO_DEEP);
}
END_TEST

START_TEST(containers_of_both_kinds_close_as_they_were_opened)
{
    EXPECT(JSON_TEXT_OK, "[{\"a\":[{\"b\":[]}]}]", "{\"a\":[{},[],{\"b\":1}],\"c\":{}}");
    EXPECT(JSON_TEXT_MALFORMED, "[{\"a\":[{\"b\":[]}}]]", "{\"a\":[}]", "[{\"a\":1],}");
}
END_TEST

START_TEST(blanks_around_it_are_no_part_of_the_value)
{
    struct bytes value;

    ck_assert_int_eq(json_text_check(bytes_of_text(" \n{\"a\": 1}\n\n"), &value), JSON_TEXT_OK);
    ck_assert(bytes_equal(value, bytes_of_text("{\"a\": 1}")));
    ck_assert_int_eq(json_text_check(bytes_of_text("7"), &value), JSON_TEXT_OK);
    ck_assert(bytes_equal(value, bytes_of_text("7")));
}
END_TEST

START_TEST(every_verdict_has_a_sentence)
{
    for (int i = JSON_TEXT_OK; i <= JSON_TEXT_BAD_NUMBER; i++)
        ck_assert_uint_gt(strlen(json_text_verdict_text((enum json_text_verdict)i)), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json_text");
    TCase *cases = tcase_create("json_text");
    SRunner *runner;
    int failed;

    tcase_add_test(cases, every_kind_of_value_is_json);
    tcase_add_test(cases, what_is_not_json_is_refused);
    tcase_add_test(cases, nothing_and_blanks_are_empty);
    tcase_add_test(cases, what_no_text_can_hold_is_refused);
    tcase_add_test(cases, numbers_keep_their_digits);
    tcase_add_test(cases, it_may_be_nested_64_deep_and_no_deeper);
    tcase_add_test(cases, containers_of_both_kinds_close_as_they_were_opened);
    tcase_add_test(cases, blanks_around_it_are_no_part_of_the_value);
    tcase_add_test(cases, every_verdict_has_a_sentence);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
