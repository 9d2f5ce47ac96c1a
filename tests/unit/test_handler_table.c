#include "handler_table.h"

#include "folder.h"
#include "options.h"

#include <check.h>
#include <stdlib.h>
#include <sys/stat.h>

#define DUCKLING "dkl_aeaqcaibaeaqcaibaeaqcaibaeaqcaib"
#define OTHER "dkl_aiaqcaibaeaqcaibaeaqcaibaeaqcaib"

static struct handler_table table;
static struct folder folder;

static void set_up(void)
{
    table.count = 0;
    folder = folder_make();
}

static void tear_down(void)
{
    folder_remove(&folder);
}

static void set(const char *name, const char *key, const char *value)
{
    const char *wrong = handler_set(&table, name, key, value);

    ck_assert_msg(wrong == NULL, "%s = %s: %s", key, value, wrong);
}

static void refused(const char *name, const char *key, const char *value, const char *part)
{
    const char *wrong = handler_set(&table, name, key, value);

    ck_assert_msg(wrong && strstr(wrong, part), "%s = %s: %s", key, value, wrong ? wrong : "taken");
}

static void add(const char *name, const char *duckling, const char *action)
{
    set(name, "duckling", duckling);
    set(name, "action", action);
    set(name, "argv", "/bin/true");
}

static void judged(const char *part)
{
    char problem[HANDLER_PROBLEM_SIZE] = "";
    bool holds = handler_table_judge(&table, problem);

    ck_assert_msg(part ? !holds && strstr(problem, part) : holds, "%s", problem);
}

START_TEST(what_is_not_said_has_a_default)
{
    add("a", DUCKLING, "*");
    ck_assert_str_eq(table.list[0].action, "*");
    ck_assert_uint_eq(table.list[0].timeout_ms, HANDLER_TIMEOUT_MS);
    ck_assert_uint_eq(table.list[0].output_max_bytes, PECK_PAYLOAD_MAX);
    ck_assert_uint_eq(table.list[0].at_once, HANDLER_AT_ONCE);
    ck_assert_uint_eq(table.list[0].memory_max_mib, 0);
    judged(NULL);
}
END_TEST

START_TEST(each_number_has_its_bounds)
{
    static const struct {
        const char *key, *least, *most, *below, *above;
    } numbers[] = {
        {"timeout_ms", "100", "3000000", "99", "3000001"},
        {"output_max_bytes", "1", "262144", "0", "262145"},
        {"at_once", "1", "64", "0", "65"},
        {"memory_max_mib", "0", "1048576", "-1", "1048577"},
        {"cpu_max_s", "0", "1000000", "x", "1000001"},
        {"processes_max", "0", "1000000", "", "4294967296"},
    };

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        set("a", numbers[i].key, numbers[i].least);
        set("a", numbers[i].key, numbers[i].most);
        refused("a", numbers[i].key, numbers[i].below, "it is ");
        refused("a", numbers[i].key, numbers[i].above, "it is ");
    }
    ck_assert_uint_eq(table.list[0].timeout_ms, 3000000);
    ck_assert_uint_eq(table.list[0].processes_max, 1000000);
    refused("a", "timeout", "5", "no such key");
}
END_TEST

START_TEST(ducklings_actions_and_names_are_read_strictly)
{
    refused("a", "duckling", "dkl_", "id of a duckling");
    refused("a", "duckling", "nod_aeaqcaibaeaqcaibaeaqcaibaeaqcaib", "id of a duckling");
    refused("a", "action", "da*", "a name like");
    refused("a", "action", "", "a name like");
    refused("a", "action", "Data", "a name like");
    set("a", "action", "data.*");
    refused("", "action", "*", "a handler's name");
    refused("A", "action", "*", "a handler's name");
    refused("a b", "action", "*", "a handler's name");
    set("12345678901234567890123456789012", "action", "*");
    refused("123456789012345678901234567890123", "action", "*", "a handler's name");
}
END_TEST

START_TEST(a_program_is_words_and_quotes_keep_blanks)
{
    char *argv[HANDLER_WORDS_MAX + 1], long_line[HANDLER_TEXT_SIZE + 1] = "/bin/sh ";

    set("a", "argv", "  /bin/sh -c \"echo \"x  \"\" a\"b c\"d ");
    handler_argv(&table.list[0], argv);
    ck_assert_str_eq(argv[0], "/bin/sh");
    ck_assert_str_eq(argv[1], "-c");
    ck_assert_str_eq(argv[2], "echo x");
    ck_assert_str_eq(argv[3], "");
    ck_assert_str_eq(argv[4], "ab cd");
    ck_assert_ptr_null(argv[5]);
    refused("a", "argv", "sh", "absolute path");
    refused("a", "argv", "", "absolute path");
    refused("a", "argv", "\"\" /bin/sh", "absolute path");
    refused("a", "argv", "/bin/sh \"open", "quote");
    refused("a", "argv", "/bin/sh \x01", "UTF-8");
    for (size_t i = 1; i < HANDLER_WORDS_MAX; i++)
        strcat(long_line, "x ");
    set("a", "argv", long_line);
    ck_assert_uint_eq(table.list[0].word_count, HANDLER_WORDS_MAX);
    refused("a", "argv", strcat(long_line, "x"), "more than 32 words");
    memset(long_line, 'x', HANDLER_TEXT_SIZE - 1);
    long_line[0] = '/';
    long_line[HANDLER_TEXT_SIZE - 1] = 0;
    set("a", "argv", long_line);
    long_line[HANDLER_TEXT_SIZE - 1] = 'x';
    refused("a", "argv", long_line, "too long");
}
END_TEST

START_TEST(a_url_is_one)
{
    char long_line[HANDLER_TEXT_SIZE + 1];

    set("a", "url", "https://example.com/hook?x=1");
    set("a", "url", "http://127.0.0.1:8080/");
    refused("a", "url", "https://", "URL");
    refused("a", "url", "ftp://example.com", "URL");
    refused("a", "url", "https://a b", "URL");
    memset(long_line, 'x', HANDLER_TEXT_SIZE - 1);
    memcpy(long_line, "http://", 7);
    long_line[HANDLER_TEXT_SIZE - 1] = 0;
    set("a", "url", long_line);
    long_line[HANDLER_TEXT_SIZE - 1] = 'x';
    long_line[HANDLER_TEXT_SIZE] = 0;
    refused("a", "url", long_line, "too long");
}
END_TEST

START_TEST(there_are_at_most_32_handlers)
{
    char name[16];

    for (unsigned i = 0; i < HANDLERS_MAX; i++) {
        snprintf(name, sizeof name, "h%u", i);
        set(name, "action", "*");
    }
    set("h0", "action", "data.read");
    refused("one-more", "action", "*", "more than 32");
}
END_TEST

START_TEST(a_handler_needs_a_duckling_and_either_a_program_or_a_url)
{
    set("a", "action", "*");
    judged("no duckling");
    set("a", "duckling", DUCKLING);
    judged("neither");
    set("a", "argv", "/bin/true");
    judged(NULL);
    set("a", "url", "https://example.com");
    judged("both");
}
END_TEST

START_TEST(two_handlers_do_not_answer_the_same)
{
    add("a", DUCKLING, "data.*");
    add("b", OTHER, "data.*");
    add("c", DUCKLING, "data.read");
    judged(NULL);
    add("d", DUCKLING, "data.*");
    judged("[handler d]: another handler");
}
END_TEST

START_TEST(the_one_that_covers_less_is_left_its_share)
{
    const char *actions[HANDLERS_MAX];

    add("every", DUCKLING, "*");
    add("data", DUCKLING, "data.*");
    add("read", DUCKLING, "data.read");
    add("others", OTHER, "data.write");
    ck_assert_uint_eq(handler_but_not(&table, 0, actions), 2);
    ck_assert_str_eq(actions[0], "data.*");
    ck_assert_str_eq(actions[1], "data.read");
    ck_assert_uint_eq(handler_but_not(&table, 1, actions), 1);
    ck_assert_str_eq(actions[0], "data.read");
    ck_assert_uint_eq(handler_but_not(&table, 2, actions), 0);
    ck_assert_uint_eq(handler_but_not(&table, 3, actions), 0);
}
END_TEST

/* ---- programs ---- */

static void make_program(const char *name, mode_t mode)
{
    const char *path = folder_file(&folder, name);
    FILE *file = fopen(path, "we");

    fputs("#!/bin/sh\n", file);
    fclose(file);
    chmod(path, mode);
    set("a", "duckling", DUCKLING);
    set("a", "argv", path);
}

static void programs_judged(const char *part)
{
    char problem[HANDLER_PROBLEM_SIZE] = "";
    bool hold = handler_table_judge_programs(&table, problem);

    ck_assert_msg(part ? !hold && strstr(problem, part) : hold, "%s", problem);
}

START_TEST(a_program_is_there_executable_and_its_owners_to_change)
{
    make_program("good", 0755);
    programs_judged(NULL);
    make_program("no-x", 0644);
    programs_judged("not executable");
    make_program("open", 0757);
    programs_judged("everybody may change it");
    set("a", "argv", folder_file(&folder, "nothing"));
    programs_judged("No such file");
    set("a", "argv", folder.path);
    programs_judged("it is no file");
    make_program("good", 0755);
    chmod(folder.path, 0777);
    programs_judged("another program into its folder");
    chmod(folder.path, 01777);
    programs_judged(NULL);
    set("a", "argv", "/bin/true");
    programs_judged(NULL);
}
END_TEST

/* ---- the file ---- */

START_TEST(what_is_printed_reads_back_to_the_same)
{
    static struct options first, second;
    const char *path = folder_file(&folder, "a.conf"), *again = folder_file(&folder, "b.conf");
    struct options_problem problem;
    FILE *file = fopen(path, "we");

    fputs("[node]\nstate_dir = /tmp/s\nhandlers_at_once = 7\n"
          "[handler one]\nduckling = " DUCKLING "\naction = data.*\n"
          "argv = /bin/echo \"a  b\" c \"\" \"x;y\"\ntimeout_ms = 500\n"
          "[handler two]\nduckling = " OTHER "\nurl = https://example.com/a\n",
          file);
    fclose(file);
    options_default(&first);
    options_default(&second);
    ck_assert_msg(options_read_file(&first, path, &problem), "%s", problem.text);
    ck_assert_msg(options_settle(&first, &problem), "%s", problem.text);
    file = fopen(again, "we");
    options_print(&first, file);
    fclose(file);
    ck_assert_msg(options_read_file(&second, again, &problem), "%s", problem.text);
    ck_assert_uint_eq(second.handlers_at_once, 7);
    ck_assert_mem_eq(&first.handlers, &second.handlers, sizeof first.handlers);
}
END_TEST

static void file_refused(const char *text, const char *part)
{
    static struct options options;
    const char *path = folder_file(&folder, "bad.conf");
    struct options_problem problem;
    FILE *file = fopen(path, "we");
    bool holds;

    fputs(text, file);
    fclose(file);
    options_default(&options);
    holds = options_read_file(&options, path, &problem) && options_settle(&options, &problem);
    ck_assert_msg(!holds && strstr(problem.text, part), "%s", holds ? "taken" : problem.text);
}

START_TEST(a_file_is_refused_by_the_line_that_is_wrong)
{
    file_refused("[handler a]\naction = *\ncolour = red\n", "bad.conf:3: [handler a] colour = red");
    file_refused("[handler ]\naction = *\n", "a handler's name is 1 to 32");
    file_refused("[handler a]\nduckling = " DUCKLING "\n", "neither argv nor url");
    file_refused("[handlers]\naction = *\n", "there is no section [handlers]");
    file_refused("[node]\nhandlers_at_once = 0\n", "it is 1 to 256");
    file_refused("[node]\nhandlers_at_once = 257\n", "it is 1 to 256");
}
END_TEST

START_TEST(a_url_stands_behind_the_words_of_who_calls_it)
{
    static const char *const caller[] = {"/bin/duckgate", "--call-handler", NULL};
    char *argv[HANDLER_WORDS_MAX + 1];
    struct handler handler = {.url = "https://example.com"};

    handler_argv(&handler, argv);
    ck_assert_ptr_null(argv[0]);
    handler.call = caller;
    handler_argv(&handler, argv);
    ck_assert_str_eq(argv[0], "/bin/duckgate");
    ck_assert_str_eq(argv[1], "--call-handler");
    ck_assert_str_eq(argv[2], "https://example.com");
    ck_assert_ptr_null(argv[3]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handler_table");
    TCase *cases = tcase_create("handler_table");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, what_is_not_said_has_a_default);
    tcase_add_test(cases, each_number_has_its_bounds);
    tcase_add_test(cases, ducklings_actions_and_names_are_read_strictly);
    tcase_add_test(cases, a_program_is_words_and_quotes_keep_blanks);
    tcase_add_test(cases, a_url_is_one);
    tcase_add_test(cases, there_are_at_most_32_handlers);
    tcase_add_test(cases, a_handler_needs_a_duckling_and_either_a_program_or_a_url);
    tcase_add_test(cases, two_handlers_do_not_answer_the_same);
    tcase_add_test(cases, the_one_that_covers_less_is_left_its_share);
    tcase_add_test(cases, a_program_is_there_executable_and_its_owners_to_change);
    tcase_add_test(cases, what_is_printed_reads_back_to_the_same);
    tcase_add_test(cases, a_url_stands_behind_the_words_of_who_calls_it);
    tcase_add_test(cases, a_file_is_refused_by_the_line_that_is_wrong);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
