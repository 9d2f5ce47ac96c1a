/* The runner, against a node that is made up here: a socket on which the test reads what is ordered
 * and says what it likes. The runner is a process of its own, as it is beside a node. */
#include "handler_runner.h"

#include "client/duck_client.h"
#include "client/local_frames.h"
#include "clock.h"
#include "core/bytes.h"
#include "folder.h"
#include "wire/local.pb-c.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define DUCKLING "dkl_aeaqcaibaeaqcaibaeaqcaibaeaqcaib"
#define SOON_MS 20000

static struct handler_table table;
static struct folder folder;
static int listener, node;
static pid_t runner;
static struct local_buffer in;
static Duck__Request *asked;
static bool may_take; /* takes may come before what is awaited: they wait for ever */

/* ---- what is left ---- */

static bool is_marked(const char *process)
{
    char path[64], words[4096];
    FILE *file;
    size_t size;

    snprintf(path, sizeof path, "/proc/%.20s/cmdline", process);
    file = fopen(path, "re");
    if (!file)
        return false;
    size = fread(words, 1, sizeof words, file);
    fclose(file);
    return memmem(words, size, folder.path, strlen(folder.path)) != NULL;
}

/* Every program here, and all that it starts, has the test's folder in its arguments. */
static size_t marked(void)
{
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    size_t count = 0;

    ck_assert_ptr_nonnull(processes);
    while ((entry = readdir(processes)))
        count += entry->d_name[0] >= '0' && entry->d_name[0] <= '9' && is_marked(entry->d_name);
    closedir(processes);
    return count;
}

static bool become(size_t wanted)
{
    uint64_t until_ms = clock_now_ms() + SOON_MS;

    while (marked() != wanted && clock_now_ms() < until_ms)
        poll(NULL, 0, 5);
    return marked() == wanted;
}

/* ---- the node ---- */

static void set_up(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    table.count = 0;
    folder = folder_make();
    node = runner = -1;
    in = (struct local_buffer){0};
    asked = NULL;
    may_take = false;
    snprintf(address.sun_path, sizeof address.sun_path, "%s/api", folder.path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
}

static void tear_down(void)
{
    if (asked)
        duck__request__free_unpacked(asked, NULL);
    if (node >= 0)
        close(node);
    close(listener);
    if (runner > 0) {
        kill(runner, SIGTERM);
        waitpid(runner, NULL, 0);
    }
    ck_assert_uint_eq(marked(), 0);
    local_buffer_free(&in);
    folder_remove(&folder);
}

static void set(const char *name, const char *key, const char *value)
{
    const char *wrong = handler_set(&table, name, key, value);

    ck_assert_msg(wrong == NULL, "%s", wrong);
}

static void add(const char *name, const char *action, const char *script)
{
    char argv[HANDLER_TEXT_SIZE];

    snprintf(argv, sizeof argv, "/bin/sh -c \"%s\" sh %s", script, folder.path);
    set(name, "duckling", DUCKLING);
    set(name, "action", action);
    set(name, "argv", argv);
}

static void start(uint32_t at_once)
{
    const char *path = folder_file(&folder, "api");

    runner = fork();
    if (runner == 0) {
        struct handler_runner_settings settings = {
            .table = &table, .socket_path = path, .at_once = at_once};

        signal(SIGTERM, SIG_DFL); /* check's own handler ends the whole group */
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        exit(handler_runner_run(&settings));
    }
    node = accept(listener, NULL, NULL);
    ck_assert_int_ge(node, 0);
}

static bool next_frame(struct bytes *frame)
{
    return local_buffer_next(&in, LOCAL_REQUEST_MAX, frame) == LOCAL_FRAME_TAKEN;
}

static void read_more(void)
{
    struct pollfd readable = {.fd = node, .events = POLLIN};
    ssize_t size;

    ck_assert_msg(poll(&readable, 1, SOON_MS) == 1, "the runner says nothing");
    size = recv(node, local_buffer_room(&in, 65536), 65536, 0);
    ck_assert_int_gt(size, 0);
    in.end += (size_t)size;
}

static void say(Duck__Reply *reply)
{
    struct local_buffer out = {0};

    reply->id = asked->id;
    local_buffer_append(&out, reply);
    /* A runner that ends does not wait for what it is told. */
    ck_assert(send(node, out.data, out.end, MSG_NOSIGNAL) == (ssize_t)out.end || errno == EPIPE);
    local_buffer_free(&out);
}

static void say_done(void)
{
    Duck__Done done = DUCK__DONE__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    reply.answer_case = DUCK__REPLY__ANSWER_DONE;
    reply.done = &done;
    say(&reply);
}

static void refuse(const char *code)
{
    Duck__Problem problem = DUCK__PROBLEM__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    problem.code = (char *)(uintptr_t)code;
    reply.answer_case = DUCK__REPLY__ANSWER_PROBLEM;
    reply.problem = &problem;
    say(&reply);
}

/* The next order of this kind; reports and renewals before it are answered with Done. */
static Duck__Request *await(Duck__Request__OrderCase wanted)
{
    for (;;) {
        struct bytes frame;

        while (!next_frame(&frame))
            read_more();
        if (asked)
            duck__request__free_unpacked(asked, NULL);
        asked = duck__request__unpack(NULL, frame.size, frame.data);
        ck_assert_ptr_nonnull(asked);
        ck_assert_uint_ne(asked->id, 0);
        if (asked->order_case == wanted)
            return asked;
        if (asked->order_case == DUCK__REQUEST__ORDER_HANDLERS_REPORT ||
            asked->order_case == DUCK__REQUEST__ORDER_RENEW)
            say_done();
        else if (!may_take || asked->order_case != DUCK__REQUEST__ORDER_TAKE)
            ck_abort_msg("order %d comes before %d", (int)asked->order_case, (int)wanted);
    }
}

/* Answers the take that was asked last. */
static void hand_out(size_t count, uint32_t attempt, const char *payload)
{
    Duck__PeckView views[8], *list[8];
    Duck__PeckList pecks = DUCK__PECK_LIST__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;
    char ids[8][32];

    for (size_t i = 0; i < count; i++) {
        duck__peck_view__init(&views[i]);
        snprintf(ids[i], sizeof ids[i], "pck_%zu", i);
        views[i].peck_id = ids[i];
        views[i].from = (char *)(uintptr_t) "dkl_a";
        views[i].to = (char *)(uintptr_t)DUCKLING;
        views[i].attempt = attempt;
        views[i].action = (ProtobufCBinaryData){4, (uint8_t *)(uintptr_t) "work"};
        views[i].payload = (ProtobufCBinaryData){strlen(payload), (uint8_t *)(uintptr_t)payload};
        list[i] = &views[i];
    }
    pecks.pecks = list;
    pecks.n_pecks = count;
    reply.answer_case = DUCK__REPLY__ANSWER_PECKS;
    reply.pecks = &pecks;
    say(&reply);
}

static void expect_answer(const char *peck, const char *result, const char *problem)
{
    const Duck__AnswerOrder *answer = await(DUCK__REQUEST__ORDER_ANSWER)->answer;

    ck_assert_str_eq(answer->peck_id, peck);
    ck_assert_str_eq(answer->duckling, DUCKLING);
    ck_assert_msg(answer->failed == (problem != NULL), "%.*s", (int)answer->problem.len,
                  (const char *)answer->problem.data);
    if (problem)
        ck_assert_msg(memmem(answer->problem.data, answer->problem.len, problem, strlen(problem)) !=
                          NULL,
                      "%.*s", (int)answer->problem.len, (const char *)answer->problem.data);
    else
        ck_assert(
            bytes_equal(bytes_of(answer->result.data, answer->result.len), bytes_of_text(result)));
}

static int end_status(void)
{
    int status = 0;

    ck_assert_int_eq(waitpid(runner, &status, 0), runner);
    runner = -1;
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static pid_t await_note(const char *name)
{
    const char *path = folder_file(&folder, name);
    uint64_t until_ms = clock_now_ms() + SOON_MS;
    int pid = 0;

    while (pid == 0 && clock_now_ms() < until_ms) {
        FILE *file = fopen(path, "re");

        if (file && fscanf(file, "%d", &pid) != 1)
            pid = 0;
        if (file)
            fclose(file);
        else
            poll(NULL, 0, 5);
    }
    ck_assert_int_ne(pid, 0);
    return pid;
}

/* ---- tests ---- */

START_TEST(it_takes_for_each_program_what_no_closer_one_covers)
{
    const Duck__TakeOrder *take;

    add("every", "*", "echo 1");
    add("data", "data.*", "echo 1");
    set("web", "duckling", DUCKLING);
    set("web", "action", "web.*");
    set("web", "url", "https://example.com");
    set("every", "at_once", "3");
    start(8);
    take = await(DUCK__REQUEST__ORDER_TAKE)->take;
    ck_assert_str_eq(take->duckling, DUCKLING);
    ck_assert_uint_eq(take->limit, 3);
    ck_assert_uint_eq(take->lease_ms, HANDLER_LEASE_MS);
    ck_assert_uint_gt(take->wait_ms, 0);
    ck_assert_uint_eq(take->n_actions, 1);
    ck_assert_mem_eq(take->actions[0].data, "*", 1);
    ck_assert_uint_eq(take->n_but_not, 2);
    ck_assert_mem_eq(take->but_not[0].data, "data.*", 6);
    ck_assert_mem_eq(take->but_not[1].data, "web.*", 5);
    take = await(DUCK__REQUEST__ORDER_TAKE)->take;
    ck_assert_mem_eq(take->actions[0].data, "data.*", 6);
    ck_assert_uint_eq(take->n_but_not, 0);
    hand_out(0, 0, ""); /* nothing came in time: it asks again */
    take = await(DUCK__REQUEST__ORDER_TAKE)->take;
    ck_assert_mem_eq(take->actions[0].data, "data.*", 6);
}
END_TEST

START_TEST(what_a_program_prints_is_given_as_its_answer_until_the_node_takes_it)
{
    add("work", "*", "cat > /dev/null; echo '[1]'");
    start(1);
    await(DUCK__REQUEST__ORDER_TAKE);
    hand_out(1, 1, "{}");
    expect_answer("pck_0", "[1]", NULL);
    refuse("busy");
    expect_answer("pck_0", "[1]", NULL);
    refuse("store_failed");
    expect_answer("pck_0", "[1]", NULL);
    say_done();
    await(DUCK__REQUEST__ORDER_TAKE);
}
END_TEST

START_TEST(an_answer_that_comes_too_late_is_counted_as_lost)
{
    const Duck__HandlersReport *report;

    add("work", "*", "echo 1");
    set("work", "at_once", "1");
    start(1);
    await(DUCK__REQUEST__ORDER_TAKE);
    hand_out(1, 1, "{}");
    await(DUCK__REQUEST__ORDER_ANSWER);
    refuse("conflict");
    await(DUCK__REQUEST__ORDER_TAKE);
    do
        report = await(DUCK__REQUEST__ORDER_HANDLERS_REPORT)->handlers_report;
    while (report->handlers[0]->lost == 0 && (say_done(), true));
    ck_assert_uint_eq(report->handlers[0]->taken, 1);
    ck_assert_uint_eq(report->handlers[0]->answered, 1);
    ck_assert_uint_eq(report->handlers[0]->lost, 1);
    ck_assert_uint_eq(report->handlers[0]->running, 0);
}
END_TEST

START_TEST(a_lease_is_renewed_and_who_lost_it_is_ended)
{
    const Duck__RenewOrder *renew;
    pid_t program;

    add("work", "*", "echo $$ > $1/pid; tail -qf /dev/null $1/-");
    set("work", "at_once", "1");
    start(1);
    await(DUCK__REQUEST__ORDER_TAKE);
    hand_out(1, 1, "{}");
    program = await_note("pid");
    for (int i = 0; i < 2; i++) {
        renew = await(DUCK__REQUEST__ORDER_RENEW)->renew;
        ck_assert_uint_eq(renew->n_peck_ids, 1);
        ck_assert_str_eq(renew->peck_ids[0], "pck_0");
        ck_assert_uint_eq(renew->lease_ms, HANDLER_LEASE_MS);
        if (i == 0)
            refuse("busy"); /* that says nothing about the lease */
    }
    ck_assert_int_eq(kill(program, 0), 0);
    refuse("not_found");
    await(DUCK__REQUEST__ORDER_TAKE); /* its place is free */
    ck_assert_int_ne(kill(program, 0), 0);
}
END_TEST

START_TEST(what_there_is_no_room_for_goes_back_to_the_inbox)
{
    const Duck__GiveBackOrder *back;

    add("one", "one", "tail -qf /dev/null $1/-");
    add("two", "two", "tail -qf /dev/null $1/-");
    start(2);
    await(DUCK__REQUEST__ORDER_TAKE);
    hand_out(2, 1, "{}");             /* all there is room for */
    await(DUCK__REQUEST__ORDER_TAKE); /* asked before: two more */
    ck_assert_mem_eq(asked->take->actions[0].data, "two", 3);
    hand_out(1, 1, "{}");
    back = await(DUCK__REQUEST__ORDER_GIVE_BACK)->give_back;
    ck_assert_str_eq(back->duckling, DUCKLING);
    ck_assert_uint_eq(back->n_peck_ids, 1);
    ck_assert_str_eq(back->peck_ids[0], "pck_0");
}
END_TEST

START_TEST(a_payload_that_is_no_json_fails)
{
    add("work", "*", "echo 1");
    start(1);
    await(DUCK__REQUEST__ORDER_TAKE);
    hand_out(1, 1, "{} {}");
    expect_answer("pck_0", NULL, "no JSON for a handler");
}
END_TEST

START_TEST(a_program_that_is_not_there_fails_each_peck_and_harms_no_other)
{
    add("gone", "gone", "");
    set("gone", "argv", "/nonexistent/program");
    add("work", "work", "echo 1");
    start(8);
    await(DUCK__REQUEST__ORDER_TAKE);
    hand_out(2, 1, "{}");
    await(DUCK__REQUEST__ORDER_TAKE);
    ck_assert_mem_eq(asked->take->actions[0].data, "work", 4);
    hand_out(1, 1, "{}");
    may_take = true;
    expect_answer("pck_0", NULL, "No such file or directory");
    say_done();
    expect_answer("pck_1", NULL, "No such file or directory");
    say_done();
    expect_answer("pck_0", "1", NULL);
}
END_TEST

START_TEST(a_peck_that_cut_off_its_handler_five_times_fails_unrun)
{
    add("work", "*", "echo 1");
    set("work", "at_once", "1");
    start(1);
    await(DUCK__REQUEST__ORDER_TAKE);
    hand_out(1, HANDLER_ATTEMPTS_MAX, "{}");
    expect_answer("pck_0", "1", NULL);
    say_done();
    await(DUCK__REQUEST__ORDER_TAKE);
    hand_out(1, HANDLER_ATTEMPTS_MAX + 1, "{}");
    expect_answer("pck_0", NULL, "cut off 5 times");
}
END_TEST

START_TEST(told_to_end_it_ends_its_programs_and_gives_their_pecks_a_second)
{
    pid_t program;

    add("work", "*", "echo $$ > $1/pid; tail -qf /dev/null $1/-");
    start(1);
    await(DUCK__REQUEST__ORDER_TAKE);
    hand_out(1, 1, "{}");
    program = await_note("pid");
    kill(runner, SIGTERM);
    while (await(DUCK__REQUEST__ORDER_RENEW)->renew->lease_ms != LEASE_MIN_MS)
        say_done();
    ck_assert_str_eq(asked->renew->peck_ids[0], "pck_0");
    ck_assert_int_eq(end_status(), 0);
    ck_assert_int_ne(kill(program, 0), 0);
}
END_TEST

START_TEST(without_its_node_it_kills_everything_and_ends)
{
    pid_t program, daemon;

    add("work", "*",
        "setsid sh -c 'echo $$ > '$1'/daemon; tail -qf /dev/null '$1'/-' & "
        "trap '' TERM; while ! test -s $1/daemon; do :; done; echo $$ > $1/pid; "
        "tail -qf /dev/null $1/-");
    start(1);
    await(DUCK__REQUEST__ORDER_TAKE);
    hand_out(1, 1, "{}");
    program = await_note("pid");
    daemon = await_note("daemon");
    close(node);
    node = -1;
    ck_assert_int_eq(end_status(), 1);
    ck_assert_int_ne(kill(program, 0), 0);
    ck_assert_int_ne(kill(daemon, 0), 0);
}
END_TEST

/* Leaves behind: a deaf daemon with a child of its own, and an orphan that keeps the pipes open. */
#define LEAVE_BEHIND                                                                               \
    "trap '' TERM; setsid sh -c 'echo $$ > '$1'/daemon; tail -qf /dev/null '$1'/-; :' & "          \
    "(tail -qf /dev/null $1/- &); while ! test -s $1/daemon; do :; done; "
#define LEFT_BEHIND 3

START_TEST(what_a_program_leaves_behind_ends_with_it_however_it_ends)
{
    static const struct {
        const char *script, *result, *problem;
    } ends[] = {
        {LEAVE_BEHIND "echo 1", "1", NULL},
        {LEAVE_BEHIND "exit 3", NULL, "status 3"},
        {LEAVE_BEHIND "kill -KILL $$", NULL, "signal 9"},
        {LEAVE_BEHIND "yes $1", NULL, "printed more than"},
        {LEAVE_BEHIND "yes $1 >&2", NULL, "did not answer within 300 ms"},
        {LEAVE_BEHIND "tail -qf /dev/null $1/-; :", NULL, "did not answer within 300 ms"},
    };

    add("work", "*", ends[_i].script);
    set("work", "timeout_ms", ends[_i].problem ? "300" : "20000");
    may_take = true;
    start(1);
    await(DUCK__REQUEST__ORDER_TAKE);
    hand_out(1, 1, "{}");
    expect_answer("pck_0", ends[_i].result, ends[_i].problem);
    say_done();
    ck_assert_msg(become(0), "%zu are left", marked());
}
END_TEST

static void start_what_leaves_behind(void)
{
    add("work", "*", LEAVE_BEHIND "echo $$ > $1/pid; tail -qf /dev/null $1/-; :");
    start(1);
    await(DUCK__REQUEST__ORDER_TAKE);
    hand_out(1, 1, "{}");
    await_note("pid");
    ck_assert(become(LEFT_BEHIND + 2));
}

START_TEST(a_runner_that_is_killed_leaves_nothing_behind)
{
    char path[64];
    FILE *children;
    int kept = 0;

    start_what_leaves_behind();
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)runner, (int)runner);
    children = fopen(path, "re");
    ck_assert_ptr_nonnull(children);
    ck_assert_int_eq(fscanf(children, "%d", &kept), 1);
    fclose(children);
    kill(kept, SIGKILL);
    ck_assert_int_eq(end_status(), 1);
    ck_assert_uint_eq(marked(), 0); /* when the keeper has ended nobody is left */
}
END_TEST

START_TEST(a_keeper_that_is_killed_leaves_nothing_behind)
{
    start_what_leaves_behind();
    kill(runner, SIGKILL);
    waitpid(runner, NULL, 0);
    runner = -1;
    ck_assert_msg(become(0), "%zu are left", marked());
}
END_TEST

START_TEST(a_node_that_speaks_otherwise_is_no_node)
{
    add("work", "*", "echo 1");
    start(1);
    await(DUCK__REQUEST__ORDER_TAKE);
    ck_assert_int_eq(send(node, "\xff\xff\xff\xff", 4, MSG_NOSIGNAL), 4);
    ck_assert_int_eq(end_status(), 1);
}
END_TEST

START_TEST(without_a_node_it_says_so)
{
    struct handler_runner_settings settings = {
        .table = &table, .socket_path = folder_file(&folder, "nobody"), .at_once = 1};

    ck_assert_int_eq(handler_runner_run(&settings), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handler_runner");
    TCase *cases = tcase_create("handler_runner");
    SRunner *checks;
    int failed;

    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, it_takes_for_each_program_what_no_closer_one_covers);
    tcase_add_test(cases, what_a_program_prints_is_given_as_its_answer_until_the_node_takes_it);
    tcase_add_test(cases, an_answer_that_comes_too_late_is_counted_as_lost);
    tcase_add_test(cases, a_lease_is_renewed_and_who_lost_it_is_ended);
    tcase_add_test(cases, what_there_is_no_room_for_goes_back_to_the_inbox);
    tcase_add_test(cases, a_payload_that_is_no_json_fails);
    tcase_add_test(cases, a_program_that_is_not_there_fails_each_peck_and_harms_no_other);
    tcase_add_test(cases, a_peck_that_cut_off_its_handler_five_times_fails_unrun);
    tcase_add_test(cases, told_to_end_it_ends_its_programs_and_gives_their_pecks_a_second);
    tcase_add_test(cases, without_its_node_it_kills_everything_and_ends);
    tcase_add_loop_test(cases, what_a_program_leaves_behind_ends_with_it_however_it_ends, 0, 6);
    tcase_add_test(cases, a_runner_that_is_killed_leaves_nothing_behind);
    tcase_add_test(cases, a_keeper_that_is_killed_leaves_nothing_behind);
    tcase_add_test(cases, a_node_that_speaks_otherwise_is_no_node);
    tcase_add_test(cases, without_a_node_it_says_so);
    suite_add_tcase(suite, cases);
    checks = srunner_create(suite);
    srunner_run_all(checks, CK_NORMAL);
    failed = srunner_ntests_failed(checks);
    srunner_free(checks);
    return failed ? 1 : 0;
}
