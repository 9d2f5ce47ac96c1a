#include "handler_run.h"

#include "core/json_text.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_STEP (64u * KIB)
#define MOVES_MAX 16 /* reads of one stream in one go: others want their turn */

enum phase { RUNS, IS_ASKED_TO_END, IS_KILLED, HAS_ENDED };

struct handler_run {
    const struct handler *handler;
    pid_t pid;
    int in, out, error; /* our ends; -1: closed */
    struct bytes input; /* owned */
    size_t input_sent;
    uint8_t *output; /* output_max_bytes and one more, by which a flood shows */
    size_t output_size;
    char line[HANDLER_LOG_LINE_MAX + 1];
    size_t line_size;
    uint64_t logged_bytes, hidden_bytes, second_ms;
    unsigned lines_this_second;
    enum phase phase;
    bool timed_out, flooded, dropped;
    uint64_t wake_at_ms; /* steady: of this phase's end */
};

/* ---- the child, between fork and exec ---- */

static void limit(int resource, uint64_t value)
{
    struct rlimit wanted = {value, value}, had;

    if (getrlimit((__rlimit_resource_t)resource, &had) == 0 && had.rlim_max < value)
        wanted.rlim_cur = wanted.rlim_max = had.rlim_max;
    setrlimit((__rlimit_resource_t)resource, &wanted);
}

static void set_limits(const struct handler *handler)
{
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, HANDLER_DESCRIPTORS_MAX);
    if (handler->memory_max_mib)
        limit(RLIMIT_AS, (uint64_t)handler->memory_max_mib * MIB);
    if (handler->cpu_max_s)
        limit(RLIMIT_CPU, handler->cpu_max_s);
    if (handler->processes_max)
        limit(RLIMIT_NPROC, handler->processes_max);
}

static void set_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL); /* fails for the few that cannot be changed */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

struct child {
    int in, out, error, report; /* `report` closes by exec; else errno is written to it */
    pid_t parent;
};

static void __attribute__((noreturn))
become(const struct handler *handler, char *const *environment, const struct child *child)
{
    char *argv[HANDLER_WORDS_MAX + 1];
    int wrong;

    handler_argv(handler, argv);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (getppid() != child->parent)
        _exit(127); /* it died before we asked to be told */
    /* All four are above 2: 0, 1 and 2 are open in whoever runs handlers. */
    if (dup2(child->in, 0) < 0 || dup2(child->out, 1) < 0 || dup2(child->error, 2) < 0 ||
        chdir("/") != 0)
        _exit(127);
    if (child->report != 3) {
        dup2(child->report, 3);
        fcntl(3, F_SETFD, FD_CLOEXEC);
    }
    close_range(4, ~0u, 0);
    umask(0077);
    set_limits(handler);
    set_signals();
    execve(argv[0], argv, environment);
    wrong = errno;
    if (write(3, &wrong, sizeof wrong) < 0)
        _exit(126);
    _exit(127);
}

/* ---- starting ---- */

static void close_one(int *file)
{
    if (*file >= 0)
        close(*file);
    *file = -1;
}

static void close_all(int files[8])
{
    for (int i = 0; i < 8; i++)
        close_one(&files[i]);
}

/* Pipes of 4 pairs: in, out, error, report; [read, write] each. */
static bool open_pipes(int files[8])
{
    for (int i = 0; i < 8; i++)
        files[i] = -1;
    for (int i = 0; i < 4; i++)
        if (pipe2(&files[2 * i], O_CLOEXEC) != 0) {
            close_all(files);
            return false;
        }
    return true;
}

/* Returns what execve said: 0 when the program runs. Ends with the child's exec, so it is short. */
static int read_report(int report)
{
    int error = 0;
    ssize_t size;

    do
        size = read(report, &error, sizeof error);
    while (size < 0 && errno == EINTR);
    return size == (ssize_t)sizeof error ? error : 0;
}

static pid_t spawn(const struct handler *handler, char *const *environment, int files[8])
{
    struct child child = {files[0], files[3], files[5], files[7], getpid()};
    pid_t pid = fork();

    if (pid == 0)
        become(handler, environment, &child);
    if (pid > 0)
        setpgid(pid, pid); /* both do it, so that it holds whoever is first */
    return pid;
}

static struct handler_run *run_new(const struct handler *handler, struct bytes input, pid_t pid,
                                   int files[8], uint64_t now_ms)
{
    struct handler_run *run = memory_take(sizeof *run);

    run->handler = handler;
    run->input = input;
    run->pid = pid;
    run->in = files[1];
    run->out = files[2];
    run->error = files[4];
    files[1] = files[2] = files[4] = -1;
    fcntl(run->in, F_SETFL, O_NONBLOCK);
    fcntl(run->out, F_SETFL, O_NONBLOCK);
    fcntl(run->error, F_SETFL, O_NONBLOCK);
    run->wake_at_ms = now_ms + handler->timeout_ms;
    return run;
}

static void forget(struct bytes input)
{
    memory_give_back((void *)(uintptr_t)input.data);
}

enum handler_start handler_run_start(struct handler_run **started, const struct handler *handler,
                                     struct bytes input, char *const *environment, uint64_t now_ms,
                                     int *error)
{
    int files[8];
    pid_t pid = -1;

    if (open_pipes(files))
        pid = spawn(handler, environment, files);
    if (pid < 0) {
        *error = errno;
        close_all(files);
        forget(input);
        return HANDLER_NO_ROOM;
    }
    close_one(&files[0]);
    close_one(&files[3]);
    close_one(&files[5]);
    close_one(&files[7]);
    *error = read_report(files[6]);
    if (*error) {
        waitpid(pid, NULL, 0);
        close_all(files);
        forget(input);
        return *error == EAGAIN || *error == ENOMEM ? HANDLER_NO_ROOM : HANDLER_NO_PROGRAM;
    }
    *started = run_new(handler, input, pid, files, now_ms);
    close_all(files);
    return HANDLER_STARTED;
}

/* To the group, and to the program itself: it may have moved to another group of its session. Until it
 * is reaped both numbers are nobody else's. */
static void signal_all(const struct handler_run *run, int number)
{
    kill(-run->pid, number);
    if (number == SIGKILL || getpgid(run->pid) != run->pid)
        kill(run->pid, number);
}

void handler_run_free(struct handler_run *run)
{
    if (!run)
        return;
    if (run->phase != HAS_ENDED)
        signal_all(run, SIGKILL);
    close_one(&run->in);
    close_one(&run->out);
    close_one(&run->error);
    forget(run->input);
    memory_give_back(run->output);
    memory_give_back(run);
}

pid_t handler_run_pid(const struct handler_run *run)
{
    return run->pid;
}

/* ---- standard error ---- */

static void say_line(struct handler_run *run, uint64_t now_ms)
{
    if (run->line_size == 0)
        return;
    run->line[run->line_size] = 0;
    if (now_ms - run->second_ms >= SECOND_MS) {
        run->second_ms = now_ms;
        run->lines_this_second = 0;
    }
    if (run->logged_bytes + run->line_size > HANDLER_LOG_MAX ||
        run->lines_this_second >= HANDLER_LOG_LINES_PER_S) {
        run->hidden_bytes += run->line_size;
    } else {
        run->lines_this_second++;
        run->logged_bytes += run->line_size;
        log_write(LOG_INFO, "handler", "%s[%d]: %s", run->handler->name, (int)run->pid, run->line);
    }
    run->line_size = 0;
}

static void take_words(struct handler_run *run, const char *words, size_t size, uint64_t now_ms)
{
    for (size_t i = 0; i < size; i++) {
        if (words[i] == '\n' || run->line_size == HANDLER_LOG_LINE_MAX)
            say_line(run, now_ms);
        if (words[i] != '\n')
            run->line[run->line_size++] = words[i] ? words[i] : '?';
    }
}

static void end_words(struct handler_run *run, uint64_t now_ms)
{
    say_line(run, now_ms);
    if (run->hidden_bytes > 0)
        log_write(LOG_WARNING, "handler", "%s[%d]: %llu bytes more on standard error",
                  run->handler->name, (int)run->pid, (unsigned long long)run->hidden_bytes);
    run->hidden_bytes = 0;
}

/* ---- moving bytes ---- */

static bool would_wait(ssize_t size)
{
    return size < 0 && (errno == EAGAIN || errno == EINTR);
}

/* A program need not read what it is given. */
static void send_input(struct handler_run *run)
{
    while (run->in >= 0) {
        ssize_t sent = 0;

        if (run->input_sent < run->input.size)
            sent = write(run->in, run->input.data + run->input_sent,
                         run->input.size - run->input_sent);
        if (would_wait(sent))
            return;
        run->input_sent += sent > 0 ? (size_t)sent : 0;
        if (sent < 0 || run->input_sent == run->input.size)
            close_one(&run->in);
    }
}

static void read_output(struct handler_run *run)
{
    size_t capacity = (size_t)run->handler->output_max_bytes + 1;

    if (run->out >= 0 && !run->output)
        run->output = memory_take(capacity);
    while (run->out >= 0 && run->output_size < capacity) {
        ssize_t size = read(run->out, run->output + run->output_size, capacity - run->output_size);

        if (would_wait(size))
            return;
        if (size <= 0)
            close_one(&run->out);
        else
            run->output_size += (size_t)size;
    }
    run->flooded = run->output_size == capacity;
}

/* Read on even when nothing of it is logged: a program must not wait for its own complaints. */
static void read_words(struct handler_run *run, uint64_t now_ms)
{
    static char words[READ_STEP];

    for (int i = 0; i < MOVES_MAX && run->error >= 0; i++) {
        ssize_t size = read(run->error, words, sizeof words);

        if (would_wait(size))
            return;
        if (size <= 0)
            close_one(&run->error);
        else
            take_words(run, words, (size_t)size, now_ms);
    }
}

/* ---- ending ---- */

static void ask_to_end(struct handler_run *run, uint64_t now_ms)
{
    if (run->phase != RUNS)
        return;
    signal_all(run, SIGTERM);
    run->phase = IS_ASKED_TO_END;
    run->wake_at_ms = now_ms + HANDLER_GRACE_MS;
}

static void kill_now(struct handler_run *run)
{
    if (run->phase == HAS_ENDED)
        return;
    signal_all(run, SIGKILL);
    run->phase = IS_KILLED;
    run->wake_at_ms = MOMENT_NEVER;
}

void handler_run_drop(struct handler_run *run, uint64_t now_ms)
{
    run->dropped = true;
    ask_to_end(run, now_ms);
}

void handler_run_move(struct handler_run *run, uint64_t now_ms)
{
    send_input(run);
    read_output(run);
    read_words(run, now_ms);
    if (run->flooded)
        kill_now(run);
    if (now_ms < run->wake_at_ms)
        return;
    if (run->phase == RUNS) {
        run->timed_out = !run->dropped;
        ask_to_end(run, now_ms);
    } else if (run->phase == IS_ASKED_TO_END) {
        kill_now(run);
    }
}

void handler_run_fds(const struct handler_run *run, struct pollfd fds[HANDLER_RUN_FDS])
{
    fds[0] = (struct pollfd){.fd = run->in, .events = POLLOUT};
    fds[1] = (struct pollfd){.fd = run->flooded ? -1 : run->out, .events = POLLIN};
    fds[2] = (struct pollfd){.fd = run->error, .events = POLLIN};
}

uint64_t handler_run_wake_at_ms(const struct handler_run *run)
{
    return run->wake_at_ms;
}

void handler_run_ended(struct handler_run *run, uint64_t now_ms)
{
    send_input(run);
    read_output(run); /* what it said last is still in the pipe */
    read_words(run, now_ms);
    end_words(run, now_ms);
    signal_all(run, SIGKILL);
    run->phase = HAS_ENDED;
    run->wake_at_ms = MOMENT_NEVER;
    close_one(&run->in);
    close_one(&run->out);
    close_one(&run->error);
}

/* ---- judging ---- */

static void __attribute__((format(printf, 3, 4)))
refuse(struct handler_said *said, enum handler_end end, const char *format, ...)
{
    va_list arguments;

    said->end = end;
    va_start(arguments, format);
    vsnprintf(said->problem, sizeof said->problem, format, arguments);
    va_end(arguments);
}

/* What a program prints before it fails is its reason, if people can read it. */
static void judge_status(const struct handler_run *run, int status, struct handler_said *said)
{
    struct bytes text = bytes_of(run->output, run->output_size);

    while (text.size > 0 && strchr(" \t\r\n", text.data[text.size - 1]) && text.data[text.size - 1])
        text.size--;
    if (text.size > 0 && text.size <= RECEIPT_PROBLEM_MAX && bytes_are_text(text, true))
        refuse(said, HANDLER_FAILED, "%.*s", (int)text.size, (const char *)text.data);
    else
        refuse(said, HANDLER_FAILED, "the handler ended with status %d", WEXITSTATUS(status));
}

static void judge_output(const struct handler_run *run, struct handler_said *said)
{
    enum json_text_verdict verdict =
        json_text_check(bytes_of(run->output, run->output_size), &said->result);

    if (verdict == JSON_TEXT_OK)
        said->end = HANDLER_ANSWERED;
    else if (verdict == JSON_TEXT_EMPTY)
        refuse(said, HANDLER_FAILED, "the handler printed nothing");
    else
        refuse(said, HANDLER_FAILED, "what the handler printed is no answer: %s",
               json_text_verdict_text(verdict));
}

void handler_run_judge(const struct handler_run *run, int status, struct handler_said *said)
{
    *said = (struct handler_said){.end = HANDLER_DROPPED};
    if (run->flooded)
        refuse(said, HANDLER_FAILED, "the handler printed more than %u bytes",
               run->handler->output_max_bytes);
    else if (run->timed_out)
        refuse(said, HANDLER_TIMED_OUT, "the handler did not answer within %u ms",
               run->handler->timeout_ms);
    else if (run->dropped)
        said->end = HANDLER_DROPPED;
    else if (WIFSIGNALED(status))
        refuse(said, HANDLER_FAILED, "the handler was ended by signal %d (%s)", WTERMSIG(status),
               sigdescr_np(WTERMSIG(status)) ? sigdescr_np(WTERMSIG(status)) : "unknown");
    else if (WEXITSTATUS(status) != 0)
        judge_status(run, status, said);
    else
        judge_output(run, said);
}
