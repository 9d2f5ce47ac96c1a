/* JSON is written as the library writes it, to the byte. */
#include "json_write.h"
#include "strict_json.h"

#include <check.h>
#include <stdint.h>
#include <string.h>

static void expect_same(json_t *value)
{
    char *expected = json_dumps(value, JSON_COMPACT), *text = json_write(value);

    ck_assert_ptr_nonnull(expected);
    ck_assert_str_eq(text, expected);
    strict_json_forget(text);
    strict_json_forget(expected);
    json_decref(value);
}

START_TEST(values_of_each_kind_are_written_in_their_order)
{
    json_t *inner = json_pack("{s:s, s:i, s:I, s:b, s:b, s:n}", "z", "last first", "a", -1, "large",
                              (json_int_t)INT64_MAX, "yes", 1, "no", 0, "none");

    json_object_set_new(inner, "least", json_integer(INT64_MIN));
    json_object_set_new(inner, "real", json_real(0.1));
    json_object_set_new(inner, "small", json_real(-1e-300));
    json_object_set_new(inner, "whole", json_real(3));
    expect_same(json_pack("{s:o, s:[], s:{}, s:[s, [i], {s:i}], s:s}", "inner", inner, "no items",
                          "no members", "list", "one", 2, "three", 3, "", ""));
    expect_same(json_array());
    expect_same(json_object());
}
END_TEST

START_TEST(every_character_is_escaped_as_the_library_does)
{
    json_t *list = json_array(), *names = json_object();

    for (int byte = 1; byte < 0x80; byte++) {
        char text[8] = {'a', (char)byte, 'b', (char)byte};

        json_array_append_new(list, json_string(text));
        json_object_set_new(names, text, json_string(text + 1));
    }
    json_array_append_new(list, json_string("äöü €𝄞 \xe2\x80\xa8"));
    json_array_append_new(list, json_stringn("a\0b", 3));
    json_array_append_new(list, names);
    expect_same(list);
}
END_TEST

START_TEST(a_long_text_and_a_deep_one_are_whole)
{
    static char text[100001];
    json_t *value = json_integer(1);

    memset(text, '/', sizeof text - 1);
    text[50000] = '"';
    for (int i = 0; i < STRICT_JSON_DEPTH_MAX; i++)
        value = json_pack("{s:[o]}", "in", value);
    expect_same(json_pack("[s, o, s]", text, value, text));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json_write");
    TCase *tests = tcase_create("json_write");
    SRunner *runner = srunner_create(suite);
    int failed;

    strict_json_prepare();
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, values_of_each_kind_are_written_in_their_order);
    tcase_add_test(tests, every_character_is_escaped_as_the_library_does);
    tcase_add_test(tests, a_long_text_and_a_deep_one_are_whole);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
