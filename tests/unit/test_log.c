#include "log.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* stderr goes to a file that has no name any more. */
struct catch
{
    int file, stderr_before;
};

static struct catch catch_begin(void)
{
    char path[] = "/tmp/duck-test-log-XXXXXX";
    struct catch caught;

    caught.file = mkstemp(path);
    ck_assert_int_ge(caught.file, 0);
    unlink(path);
    fflush(stderr);
    caught.stderr_before = dup(STDERR_FILENO);
    dup2(caught.file, STDERR_FILENO);
    return caught;
}

static const char *catch_end(struct catch *caught)
{
    static char text[1 << 20];
    ssize_t size = pread(caught->file, text, sizeof text - 1, 0);

    dup2(caught->stderr_before, STDERR_FILENO);
    close(caught->stderr_before);
    close(caught->file);
    ck_assert_int_ge(size, 0);
    text[size] = 0;
    return text;
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;

    while ((text = strstr(text, part))) {
        text += strlen(part);
        count++;
    }
    return count;
}

START_TEST(a_line_has_date_level_part_and_text)
{
    struct catch caught = catch_begin();
    const char *text;
    unsigned year, rest;

    log_configure(LOG_TEXT, LOG_INFO);
    log_write(LOG_WARNING, "store", "disk at %d %%", 93);
    text = catch_end(&caught);
    ck_assert_int_eq(sscanf(text, "%u-%u-", &year, &rest), 2);
    ck_assert_uint_ge(year, 2024);
    ck_assert_str_eq(strchr(text, 'Z'), "Z warning store: disk at 93 %\n");
}
END_TEST

START_TEST(what_is_less_than_the_least_level_is_left_out)
{
    struct catch caught = catch_begin();

    log_configure(LOG_TEXT, LOG_WARNING);
    log_write(LOG_INFO, "loop", "quiet");
    log_write(LOG_ERROR, "loop", "loud");
    ck_assert_uint_eq(count_of(catch_end(&caught), "\n"), 1);
}
END_TEST

START_TEST(json_lines_escape_what_json_must)
{
    struct catch caught = catch_begin();
    const char *text;

    log_configure(LOG_JSON, LOG_INFO);
    log_write(LOG_INFO, "link", "he said \"\\o/\"\nand\x01 left");
    text = catch_end(&caught);
    ck_assert_ptr_nonnull(strstr(text, "\"level\":\"info\",\"part\":\"link\",\"text\":"
                                       "\"he said \\\"\\\\o/\\\"\\u000aand\\u0001 left\"}\n"));
    ck_assert_uint_eq(count_of(text, "\n"), 1);
}
END_TEST

/* A name that a stranger chose must not be able to write a line of its own. */
START_TEST(a_text_line_cannot_be_broken)
{
    struct catch caught = catch_begin();
    const char *text;

    log_configure(LOG_TEXT, LOG_INFO);
    log_write(LOG_INFO, "link", "name\n2026-01-01T00:00:00.000Z info all is well\x1b[2J");
    text = catch_end(&caught);
    ck_assert_uint_eq(count_of(text, "\n"), 1);
    ck_assert_ptr_null(strchr(text, '\x1b'));
}
END_TEST

START_TEST(bytes_that_are_no_text_become_question_marks)
{
    struct catch caught = catch_begin();

    log_configure(LOG_JSON, LOG_INFO);
    log_write(LOG_INFO, "link", "\xff\xfe.");
    ck_assert_ptr_nonnull(strstr(catch_end(&caught), "\"text\":\"??.\""));
}
END_TEST

START_TEST(marks_that_turn_a_line_round_become_question_marks)
{
    struct catch caught = catch_begin();
    const char *text;

    log_configure(LOG_TEXT, LOG_INFO);
    log_write(LOG_INFO, "link", "Zo\xc3\xab");
    log_write(LOG_INFO, "link", "is revoked: \xe2\x80\xaetxet");
    text = catch_end(&caught);
    ck_assert_ptr_nonnull(strstr(text, "Zo\xc3\xab\n"));
    ck_assert_ptr_nonnull(strstr(text, "is revoked: ???txet\n"));
}
END_TEST

START_TEST(a_long_text_is_cut_and_still_one_line)
{
    struct catch caught = catch_begin();
    char *longest = malloc(100001);
    const char *text;

    memset(longest, '\x01', 100000);
    longest[100000] = 0;
    log_configure(LOG_JSON, LOG_INFO);
    log_write(LOG_INFO, "link", "%s", longest);
    free(longest);
    text = catch_end(&caught);
    ck_assert_uint_eq(count_of(text, "\n"), 1);
    ck_assert_ptr_nonnull(strstr(text, "\"}\n"));
    ck_assert_uint_lt(strlen(text), 8000);
}
END_TEST

START_TEST(a_burst_of_one_text_is_counted)
{
    struct catch caught = catch_begin();
    const char *text;

    log_configure(LOG_TEXT, LOG_INFO);
    for (int i = 0; i < 1000; i++)
        log_write(LOG_INFO, "link", "refused");
    for (int i = 0; i < 200; i++) /* others push it out of the few texts that are watched */
        log_write(LOG_INFO, "link", "peck %d", i);
    text = catch_end(&caught);
    ck_assert_uint_eq(count_of(text, "refused\n"), 5);
    ck_assert_uint_eq(count_of(text, "refused (995 times more)\n"), 1);
}
END_TEST

START_TEST(different_texts_are_all_written)
{
    struct catch caught = catch_begin();

    log_configure(LOG_TEXT, LOG_INFO);
    for (int i = 0; i < 1000; i++)
        log_write(LOG_INFO, "link", "peck %d", i);
    ck_assert_uint_ge(count_of(catch_end(&caught), "peck"), 1000);
}
END_TEST

static void *write_lines(void *context)
{
    for (int i = 0; i < 500; i++)
        log_write(LOG_INFO, "thread", "begin %s %d end", (const char *)context, i);
    return NULL;
}

START_TEST(lines_of_two_threads_do_not_mix)
{
    struct catch caught = catch_begin();
    pthread_t left, right;
    const char *text;

    log_configure(LOG_TEXT, LOG_INFO);
    ck_assert_int_eq(pthread_create(&left, NULL, write_lines, "left"), 0);
    ck_assert_int_eq(pthread_create(&right, NULL, write_lines, "right"), 0);
    pthread_join(left, NULL);
    pthread_join(right, NULL);
    text = catch_end(&caught);
    ck_assert_uint_eq(count_of(text, "thread: begin "), 1000);
    ck_assert_uint_eq(count_of(text, " end\n"), 1000);
}
END_TEST

/* systemd names the journal's socket by device and inode. */
START_TEST(the_journal_gets_priorities)
{
    struct catch caught = catch_begin();
    struct stat status;
    char stream[64];

    ck_assert_int_eq(fstat(STDERR_FILENO, &status), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_configure(LOG_TEXT, LOG_INFO);
    log_write(LOG_ERROR, "store", "full");
    ck_assert_mem_eq(catch_end(&caught), "<3>", 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tests = tcase_create("log");
    SRunner *runner = srunner_create(suite);
    int failed;

    unsetenv("JOURNAL_STREAM");
    tcase_add_test(tests, a_line_has_date_level_part_and_text);
    tcase_add_test(tests, what_is_less_than_the_least_level_is_left_out);
    tcase_add_test(tests, json_lines_escape_what_json_must);
    tcase_add_test(tests, a_text_line_cannot_be_broken);
    tcase_add_test(tests, bytes_that_are_no_text_become_question_marks);
    tcase_add_test(tests, marks_that_turn_a_line_round_become_question_marks);
    tcase_add_test(tests, a_long_text_is_cut_and_still_one_line);
    tcase_add_test(tests, a_burst_of_one_text_is_counted);
    tcase_add_test(tests, different_texts_are_all_written);
    tcase_add_test(tests, lines_of_two_threads_do_not_mix);
    tcase_add_test(tests, the_journal_gets_priorities);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
