/* Runs of real programs, /bin/sh most of them. Time is made up where it decides: a program that
 * hangs waits on its standard input, or for a signal, and is told that its time is over. */
#include "handler_run.h"

#include "clock.h"
#include "core/peck.h"
#include "folder.h"
#include "handler_keeper.h"
#include "handler_peck.h"
#include "handler_strays.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define BEGAN_MS 1000u

static struct handler_table table;
static struct handler *handler;
static struct handler_run *run;
static struct handler_said said;
static uint64_t now_ms;

static void set(const char *key, const char *value)
{
    const char *wrong = handler_set(&table, "test", key, value);

    ck_assert_msg(wrong == NULL, "%s", wrong);
    handler = &table.list[0];
}

static void set_up(void)
{
    table.count = 0;
    run = NULL;
    now_ms = BEGAN_MS;
    set("argv", "/bin/true");
    signal(SIGPIPE, SIG_IGN);
}

static void tear_down(void)
{
    handler_run_free(run);
    run = NULL;
}

static struct bytes input_of(const char *text)
{
    return bytes_of(memory_copy(text, strlen(text) + 1), strlen(text));
}

static enum handler_start start(const char *input, int *error)
{
    static char one[] = "ONE=1", path[] = "PATH=" HANDLER_PATH;
    char *const environment[] = {one, path, NULL};

    return handler_run_start(&run, handler, input_of(input), environment, now_ms, error);
}

static void begin(const char *script, const char *input)
{
    char argv[HANDLER_TEXT_SIZE];
    int error = 0;

    snprintf(argv, sizeof argv, "/bin/sh -c \"%s\"", script);
    set("argv", argv);
    ck_assert_int_eq(start(input, &error), HANDLER_STARTED);
}

/* Moves its bytes until it has ended. */
static bool has_ended(bool wait)
{
    siginfo_t ended = {.si_pid = 0};

    ck_assert_int_eq(
        waitid(P_PID, (id_t)handler_run_pid(run), &ended, WEXITED | WNOWAIT | (wait ? 0 : WNOHANG)),
        0);
    return ended.si_pid != 0;
}

static void judge(void)
{
    int status;

    handler_run_ended(run, now_ms);
    ck_assert_int_eq(waitpid(handler_run_pid(run), &status, 0), handler_run_pid(run));
    handler_run_judge(run, status, &said);
}

static void finish(void)
{
    struct pollfd fds[HANDLER_RUN_FDS];

    while (!has_ended(false)) {
        handler_run_fds(run, fds);
        poll(fds, HANDLER_RUN_FDS, 20);
        handler_run_move(run, now_ms);
    }
    judge();
}

static void expect_failure(const char *part)
{
    finish();
    ck_assert_int_eq(said.end, HANDLER_FAILED);
    ck_assert_msg(strstr(said.problem, part) != NULL, "%s", said.problem);
}

/* Waits until the program has said a line on its standard output, without reading the rest. */
static void await_line(void)
{
    struct pollfd fds[HANDLER_RUN_FDS];

    handler_run_fds(run, fds);
    ck_assert_int_eq(poll(&fds[1], 1, 20000), 1);
}

START_TEST(it_answers_with_what_it_prints)
{
    begin("read line; echo; echo $line; echo", "{\"a\": 1}\n");
    finish();
    ck_assert_int_eq(said.end, HANDLER_ANSWERED);
    ck_assert(bytes_equal(said.result, bytes_of_text("{\"a\": 1}")));
}
END_TEST

START_TEST(it_has_the_environment_that_it_is_given_and_no_other_descriptor)
{
    int open_here = open("/dev/null", O_RDONLY); /* not O_CLOEXEC */

    ck_assert_int_gt(open_here, 3);
    setenv("SECRET", "1", 1);
    /* 3 is the folder that ls itself reads */
    begin("test $ONE = 1 && test -z $SECRET && test $(pwd) = / && test $(umask) = 0077 && "
          "ls /proc/self/fd | tr '\\n' , | sed 's/^/[/;s/,$/]/'",
          "");
    finish();
    close(open_here);
    ck_assert_msg(said.end == HANDLER_ANSWERED, "%s", said.problem);
    ck_assert(bytes_equal(said.result, bytes_of_text("[0,1,2,3]")));
}
END_TEST

START_TEST(each_bad_end_has_its_reason)
{
    static const struct {
        const char *script, *reason;
    } ends[] = {
        {"exit 1", "the handler ended with status 1"},
        {"echo no such city; exit 2", "no such city"},
        {"printf '\\377'; exit 2", "the handler ended with status 2"},
        {"kill -SEGV $$", "ended by signal 11 (Segmentation fault)"},
        {"kill -KILL $$", "ended by signal 9"},
        {":", "the handler printed nothing"},
        {"echo hello", "it is not JSON"},
        {"echo 1 2", "it is not JSON"},
        {"printf '1\\0'", "not UTF-8"},
    };

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        begin(ends[i].script, "{}");
        expect_failure(ends[i].reason);
        handler_run_free(run);
        run = NULL;
    }
}
END_TEST

START_TEST(a_reason_of_1024_bytes_is_told_and_a_longer_one_is_not)
{
    begin("head -c 1024 /dev/zero | tr '\\0' x; exit 1", "");
    expect_failure("xxxx");
    ck_assert_uint_eq(strlen(said.problem), RECEIPT_PROBLEM_MAX);
    handler_run_free(run);
    begin("head -c 1025 /dev/zero | tr '\\0' x; exit 1", "");
    expect_failure("status 1");
}
END_TEST

START_TEST(output_has_a_cap)
{
    set("output_max_bytes", "1000");
    begin("head -c 1000 /dev/zero | tr '\\0' 1", "");
    expect_failure("out of range"); /* it was read to the end, and is too long a number */
    handler_run_free(run);
    begin("head -c 1001 /dev/zero | tr '\\0' 1; read more", "");
    expect_failure("printed more than 1000 bytes");
    handler_run_free(run);
    begin("exec cat /dev/zero", "");
    expect_failure("printed more than 1000 bytes");
}
END_TEST

START_TEST(a_program_need_not_read_what_it_is_given)
{
    char *much = calloc(1, PECK_PAYLOAD_MAX + 1);

    memset(much, 'x', PECK_PAYLOAD_MAX);
    begin("exec <&-; echo 7", much);
    finish();
    ck_assert_int_eq(said.end, HANDLER_ANSWERED);
    handler_run_free(run);
    begin("cat > /dev/null; echo 8", much);
    finish();
    ck_assert_int_eq(said.end, HANDLER_ANSWERED);
    ck_assert(bytes_equal(said.result, bytes_of_text("8")));
    free(much);
}
END_TEST

START_TEST(standard_error_is_no_answer_and_holds_nobody_up)
{
    begin("head -c 3000000 /dev/zero | tr '\\0' '\\n' >&2; head -c 100000 /dev/zero >&2; echo 1",
          "");
    finish();
    ck_assert_int_eq(said.end, HANDLER_ANSWERED);
}
END_TEST

START_TEST(after_its_time_it_is_asked_to_end_and_then_made_to)
{
    set("timeout_ms", "5000");
    begin("trap '' TERM; echo ready; tail -f /dev/null", "");
    await_line();
    ck_assert_uint_eq(handler_run_wake_at_ms(run), BEGAN_MS + 5000);
    handler_run_move(run, BEGAN_MS + 4999);
    ck_assert_uint_eq(handler_run_wake_at_ms(run), BEGAN_MS + 5000);
    handler_run_move(run, BEGAN_MS + 5000);
    ck_assert_uint_eq(handler_run_wake_at_ms(run), BEGAN_MS + 5000 + HANDLER_GRACE_MS);
    ck_assert(!has_ended(false)); /* it is deaf */
    handler_run_move(run, BEGAN_MS + 5000 + HANDLER_GRACE_MS);
    ck_assert_uint_eq(handler_run_wake_at_ms(run), MOMENT_NEVER);
    has_ended(true);
    judge();
    ck_assert_int_eq(said.end, HANDLER_TIMED_OUT);
    ck_assert_str_eq(said.problem, "the handler did not answer within 5000 ms");
}
END_TEST

/* A program's process leads its group, and may leave it all the same: for one of its child's. */
START_TEST(one_that_left_its_group_is_ended_too)
{
    begin(
        "exec perl -e 'if (!($child = fork)) { setpgrp(0, 0); sleep; } 1 until setpgrp(0, $child); "
        "$SIG{TERM} = sub {}; $| = 1; print 1; sleep while 1'",
        "");
    await_line();
    ck_assert_int_ne(getpgid(handler_run_pid(run)), handler_run_pid(run));
    now_ms += handler->timeout_ms;
    handler_run_move(run, now_ms);
    now_ms += HANDLER_GRACE_MS;
    handler_run_move(run, now_ms);
    finish();
    ck_assert_int_eq(said.end, HANDLER_TIMED_OUT);
}
END_TEST

START_TEST(one_that_hears_ends_when_it_is_asked_and_is_late_all_the_same)
{
    begin("trap 'echo 1; exit 0' TERM; tail -f /dev/null & echo; wait", "");
    await_line();
    handler_run_move(run, BEGAN_MS + HANDLER_TIMEOUT_MS);
    has_ended(true);
    judge();
    ck_assert_int_eq(said.end, HANDLER_TIMED_OUT);
}
END_TEST

START_TEST(one_that_is_dropped_has_nothing_to_say)
{
    begin("echo 1; tail -f /dev/null", "");
    await_line();
    handler_run_drop(run, now_ms);
    has_ended(true);
    judge();
    ck_assert_int_eq(said.end, HANDLER_DROPPED);
}
END_TEST

static bool is_gone(pid_t pid)
{
    return kill(pid, 0) != 0 && errno == ESRCH;
}

/* Reads "PID\n" from a file that a script wrote. */
static pid_t noted(const char *path)
{
    FILE *file = fopen(path, "re");
    int pid = 0;

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%d", &pid), 1);
    fclose(file);
    return pid;
}

START_TEST(its_whole_group_ends_with_it)
{
    struct folder folder = folder_make();
    char script[600];
    pid_t left;

    ck_assert(handler_strays_adopt());
    snprintf(script, sizeof script, "tail -f /dev/null & echo $! > %s/pid; echo 1", folder.path);
    begin(script, "");
    finish();
    ck_assert_int_eq(said.end, HANDLER_ANSWERED);
    left = noted(folder_file(&folder, "pid"));
    ck_assert_int_eq(waitpid(left, NULL, 0), left); /* ours now, and killed */
    folder_remove(&folder);
}
END_TEST

START_TEST(who_leaves_the_group_and_its_parent_is_a_stray)
{
    struct folder folder = folder_make();
    char script[800];
    pid_t left, group;
    int status;

    ck_assert(handler_strays_adopt());
    snprintf(script, sizeof script,
             "setsid sh -c 'echo $$ > %s/stray; tail -f /dev/null' & "
             "(tail -f /dev/null & echo $! > %s/orphan); "
             "while ! test -s %s/stray; do :; done; echo 1; cat",
             folder.path, folder.path, folder.path);
    begin(script, "");
    await_line();
    group = handler_run_pid(run);
    /* While it runs: the orphan is in its group and is let be, the other still has its parent. */
    ck_assert_int_eq(handler_strays_kill(&group, 1), 1);
    ck_assert_int_eq(kill(noted(folder_file(&folder, "orphan")), 0), 0);
    ck_assert_int_eq(kill(noted(folder_file(&folder, "stray")), 0), 0);
    handler_run_move(run, now_ms); /* its input ends, and so does it */
    finish();
    ck_assert_int_eq(said.end, HANDLER_ANSWERED);
    while (handler_strays_kill(NULL, 0) > 0) {
        left = waitpid(-1, &status, 0);
        ck_assert_int_gt(left, 0);
        ck_assert_int_eq(WTERMSIG(status), SIGKILL);
    }
    ck_assert(is_gone(noted(folder_file(&folder, "orphan"))));
    ck_assert(is_gone(noted(folder_file(&folder, "stray"))));
    folder_remove(&folder);
}
END_TEST

START_TEST(a_program_that_cannot_be_executed_is_told_from_a_machine_that_is_full)
{
    struct rlimit was, few = {0};
    int error = 0;

    set("argv", "/nonexistent/program");
    ck_assert_int_eq(start("{}", &error), HANDLER_NO_PROGRAM);
    ck_assert_int_eq(error, ENOENT);
    set("argv", "/etc/passwd");
    ck_assert_int_eq(start("{}", &error), HANDLER_NO_PROGRAM);
    ck_assert_int_eq(error, EACCES);
    set("argv", "/bin/true");
    getrlimit(RLIMIT_NOFILE, &was);
    few = was;
    few.rlim_cur = 7;
    setrlimit(RLIMIT_NOFILE, &few);
    ck_assert_int_eq(start("{}", &error), HANDLER_NO_ROOM);
    ck_assert_int_eq(error, EMFILE);
    setrlimit(RLIMIT_NOFILE, &was);
    ck_assert_ptr_null(run);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left behind */
}
END_TEST

START_TEST(limits_hold)
{
    set("cpu_max_s", "1");
    begin("ulimit -t; ulimit -c; ulimit -n", "");
    finish();
    ck_assert_int_eq(said.end, HANDLER_FAILED); /* three numbers are no JSON */
    handler_run_free(run);
    begin("test $(ulimit -t) = 1 && test $(ulimit -c) = 0 && test $(ulimit -n) = 256 && echo 1",
          "");
    finish();
    ck_assert_int_eq(said.end, HANDLER_ANSWERED);
}
END_TEST

/* ---- what it gets ---- */

static struct handler_peck a_peck(const char *payload)
{
    return (struct handler_peck){.handler = "test",
                                 .peck_id = "pck_a",
                                 .from = "dkl_a",
                                 .to = "dkl_b",
                                 .reply_to = "",
                                 .action = bytes_of_text("data.read"),
                                 .thread = bytes_of_text("a \"\\ thread"),
                                 .payload = bytes_of_text(payload),
                                 .created_ms = 5,
                                 .expires_ms = 18446744073709551615ull,
                                 .attempt = 3};
}

START_TEST(a_peck_is_one_json_object)
{
    struct handler_peck peck = a_peck(" {\"n\": 1}\n");
    struct bytes line, value;

    ck_assert_int_eq(handler_peck_line(&peck, &line), JSON_TEXT_OK);
    ck_assert(bytes_equal(
        line,
        bytes_of_text("{\"peck_id\":\"pck_a\",\"attempt\":3,\"from\":\"dkl_a\",\"to\":\"dkl_b\","
                      "\"action\":\"data.read\",\"thread\":\"a \\\"\\\\ thread\",\"reply_to\":\"\","
                      "\"trace\":\"\",\"created_ms\":5,\"expires_ms\":18446744073709551615,"
                      "\"payload\":{\"n\": 1}}\n")));
    memory_give_back((void *)(uintptr_t)line.data);
    peck.expires_ms = 6;
    ck_assert_int_eq(handler_peck_line(&peck, &line), JSON_TEXT_OK);
    ck_assert_int_eq(json_text_check(line, &value), JSON_TEXT_OK);
    memory_give_back((void *)(uintptr_t)line.data);
}
END_TEST

START_TEST(a_payload_cannot_say_who_it_is_from)
{
    struct handler_peck peck = a_peck("{}, \"from\":\"dkl_c\"");
    struct bytes line;

    ck_assert_int_eq(handler_peck_line(&peck, &line), JSON_TEXT_MALFORMED);
    peck.payload = bytes_of_text("");
    ck_assert_int_eq(handler_peck_line(&peck, &line), JSON_TEXT_EMPTY);
}
END_TEST

START_TEST(the_environment_holds_the_longest_of_everything)
{
    struct handler_peck peck = a_peck("{}");
    struct handler_environment environment;
    char action[PECK_ACTION_MAX + 1] = "", thread[PECK_THREAD_MAX + 1] = "";
    size_t count = 0;

    memset(action, 'a', PECK_ACTION_MAX);
    memset(thread, 't', PECK_THREAD_MAX);
    peck.action = bytes_of_text(action);
    peck.thread = bytes_of_text(thread);
    handler_peck_environment(&peck, &environment);
    while (environment.list[count])
        count++;
    ck_assert_uint_eq(count, HANDLER_ENVIRONMENT_MAX);
    ck_assert_str_eq(environment.list[0], "PATH=" HANDLER_PATH);
    ck_assert_str_eq(environment.list[3], "DUCK_ATTEMPT=3");
    ck_assert_str_eq(environment.list[6] + strlen("DUCK_ACTION="), action);
    ck_assert_str_eq(environment.list[7] + strlen("DUCK_THREAD="), thread);
}
END_TEST

static int run_all(const void *context)
{
    Suite *suite = suite_create("handler_run");
    TCase *cases = tcase_create("handler_run");
    SRunner *runner;
    int failed;

    (void)context;
    tcase_set_timeout(cases, 30);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, it_answers_with_what_it_prints);
    tcase_add_test(cases, it_has_the_environment_that_it_is_given_and_no_other_descriptor);
    tcase_add_test(cases, each_bad_end_has_its_reason);
    tcase_add_test(cases, a_reason_of_1024_bytes_is_told_and_a_longer_one_is_not);
    tcase_add_test(cases, output_has_a_cap);
    tcase_add_test(cases, a_program_need_not_read_what_it_is_given);
    tcase_add_test(cases, standard_error_is_no_answer_and_holds_nobody_up);
    tcase_add_test(cases, after_its_time_it_is_asked_to_end_and_then_made_to);
    tcase_add_test(cases, one_that_left_its_group_is_ended_too);
    tcase_add_test(cases, one_that_hears_ends_when_it_is_asked_and_is_late_all_the_same);
    tcase_add_test(cases, one_that_is_dropped_has_nothing_to_say);
    tcase_add_test(cases, its_whole_group_ends_with_it);
    tcase_add_test(cases, who_leaves_the_group_and_its_parent_is_a_stray);
    tcase_add_test(cases, a_program_that_cannot_be_executed_is_told_from_a_machine_that_is_full);
    tcase_add_test(cases, limits_hold);
    tcase_add_test(cases, a_peck_is_one_json_object);
    tcase_add_test(cases, a_payload_cannot_say_who_it_is_from);
    tcase_add_test(cases, the_environment_holds_the_longest_of_everything);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}

/* A test that fails leaves its programs to the keeper, who ends them. */
int main(void)
{
    return handler_keeper_run(run_all, NULL);
}
