#include "folder.h"
#include "gate_fault.h"
#include "letters.h"

static struct folder folder;
static char problem[LETTERS_PROBLEM_SIZE];
static const struct letter_values values = {.code = "123456", .minutes = 15};

static void setup(void)
{
    folder = folder_make();
    problem[0] = '\0';
}

static void teardown(void)
{
    folder_remove(&folder);
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(folder_file(&folder, name), "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static int open_own(struct letters **letters)
{
    return letters_open(letters, folder.path, "https://duck.example", problem);
}

START_TEST(every_letter_is_built_in_and_only_some_have_a_code)
{
    static const bool has_code[LETTER_KINDS] = {
        [LETTER_HATCH] = true, [LETTER_RESET] = true, [LETTER_NEWSLETTER] = true};
    struct letters *letters = NULL;
    struct letter_text text;

    ck_assert_int_eq(letters_open(&letters, NULL, NULL, problem), 0);
    for (int kind = 0; kind < LETTER_KINDS; kind++) {
        letters_write(letters, (enum letter_kind)kind, &values, &text);
        ck_assert_uint_gt(strlen(text.subject), 10);
        ck_assert_uint_gt(strlen(text.text), 40);
        ck_assert_int_eq(strstr(text.text, "\nYour code: 123456\n") != NULL, has_code[kind]);
        ck_assert_int_eq(strstr(text.text, "123456") != NULL, has_code[kind]);
        ck_assert_ptr_null(strchr(text.text, '{'));
        ck_assert_ptr_null(strchr(text.subject, '\n'));
    }
    letters_close(letters);
}
END_TEST

START_TEST(a_file_of_the_operator_takes_the_place_of_one)
{
    struct letters *letters = NULL;
    struct letter_text text;

    put("hatch.txt", "Subject: {code} for you\n\nAt {url}: {code}, {minutes} minutes. \xc3\xbc\n");
    put("notes", "no letter, and let be");
    ck_assert_int_eq(open_own(&letters), 0);
    letters_write(letters, LETTER_HATCH, &values, &text);
    ck_assert_str_eq(text.subject, "123456 for you");
    ck_assert_str_eq(text.text, "At https://duck.example: 123456, 15 minutes. \xc3\xbc\n");
    letters_write(letters, LETTER_RESET, &values, &text);
    ck_assert_ptr_nonnull(strstr(text.text, "new password"));
    letters_close(letters);
}
END_TEST

static const struct {
    const char *name, *text, *says;
} bad[] = {
    {"hatch.txt", "", "must be"},
    {"hatch.txt", "Your code: {code}\n", "must be"},
    {"hatch.txt", "Subject: one line\nYour code: {code}\n", "must be"},
    {"hatch.txt", "Subject: hello\n\nno code\n", "{code} is missing"},
    {"hatch.txt", "Subject: {code}\n\nonly in the subject\n", "{code} is missing"},
    {"hatch.txt", "Subject: hello\n\n{code} {name}\n", "must be"},
    {"hatch.txt", "Subject: hello\n\n{code} {code\n", "must be"},
    {"hatch.txt", "Subject: gr\xc3\xbc\xc3\x9f\n\n{code}\n", "ASCII"},
    {"hatch.txt", "Subject: a\rBcc: x@y\n\n{code}\n", "ASCII"},
    {"hatch.txt", "Subject: \n\n{code}\n", "empty"},
    {"hatch.txt", "Subject: hello\n\n{code} \xff\n", "UTF-8"},
    {"hatch.txt", "Subject: hello\n\n{code} \a\n", "UTF-8"},
    {"locked.txt", "Subject: hello\n\n{code}\n", "must be"},
    {"hatched.txt", "Subject: hello\n\n{code}\n", "there is no letter hatched.txt"},
};

START_TEST(a_template_that_is_no_good_is_refused)
{
    struct letters *letters = NULL;

    put(bad[_i].name, bad[_i].text);
    ck_assert_int_eq(open_own(&letters), GATE_FAULT_CONFIG);
    ck_assert_msg(strstr(problem, bad[_i].says), "%s", problem);
    ck_assert_ptr_nonnull(strstr(problem, bad[_i].name));
    ck_assert_ptr_null(letters);
}
END_TEST

START_TEST(a_template_may_be_as_long_as_a_letter_and_no_longer)
{
    char text[LETTER_TEXT_MAX + 64] = "Subject: hello\n\n{code}";
    size_t start = strlen(text);
    struct letters *letters = NULL;

    memset(text + start, 'x', LETTER_TEXT_MAX - 6); /* the code has six digits */
    put("hatch.txt", text);
    ck_assert_int_eq(open_own(&letters), 0);
    letters_close(letters);
    letters = NULL;
    strcat(text, "x");
    put("hatch.txt", text);
    ck_assert_int_eq(open_own(&letters), GATE_FAULT_CONFIG);
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_refused)
{
    struct letters *letters = NULL;

    ck_assert_int_eq(letters_open(&letters, folder_file(&folder, "none"), NULL, problem),
                     GATE_FAULT_CONFIG);
    ck_assert_ptr_nonnull(strstr(problem, "cannot be read"));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("letters");
    Suite *suite = suite_create("letters");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, every_letter_is_built_in_and_only_some_have_a_code);
    tcase_add_test(tests, a_file_of_the_operator_takes_the_place_of_one);
    tcase_add_loop_test(tests, a_template_that_is_no_good_is_refused, 0,
                        (int)(sizeof bad / sizeof *bad));
    tcase_add_test(tests, a_template_may_be_as_long_as_a_letter_and_no_longer);
    tcase_add_test(tests, a_folder_that_is_not_there_is_refused);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
