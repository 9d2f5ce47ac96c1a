/* One thread, one poll(2). A turn: order what is due, wait, hear the node, move the programs' bytes,
 * reap who ended. */
#include "handler_runner.h"

#include "client/duck_client.h"
#include "clock.h"
#include "fault.h"
#include "handler_job.h"
#include "handler_peck.h"
#include "handler_strays.h"
#include "log.h"
#include "wire/local.pb-c.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAUSE_MS 1000u        /* of a handler, after this machine or the node had no room for it */
#define LONG_PAUSE_MS 30000u  /* after the node said what will not change soon */
#define STRAYS_EVERY_MS 1000u /* while programs run */

struct answerer {
    struct handler_figures figures;
    uint64_t take_id; /* on the way; 0: none */
    uint64_t rests_until_ms;
    bool has_complained;
};

struct runner {
    const struct handler_table *table;
    uint32_t at_once;
    struct handler_link *link;
    int signals;
    uint64_t next_id, report_id, report_at_ms, strays_at_ms, stop_at_ms;
    bool stopping, node_lost, changed, strays_unseen;
    struct answerer answerers[HANDLERS_MAX];
    struct handler_job *jobs[HANDLERS_AT_ONCE_MAX];
    size_t job_count;
};

/* ---- jobs ---- */

static const struct handler *handler_of(const struct runner *runner, const struct handler_job *job)
{
    return &runner->table->list[job->handler];
}

static void add_job(struct runner *runner, struct handler_job *job)
{
    runner->jobs[runner->job_count++] = job;
}

static void remove_job(struct runner *runner, size_t index)
{
    struct handler_job *job = runner->jobs[index];

    if (job->is_lost) {
        log_write(LOG_WARNING, "handler", "%s: %s is no longer its to answer",
                  handler_of(runner, job)->name, job->peck_id);
        runner->answerers[job->handler].figures.lost++;
    }
    runner->jobs[index] = runner->jobs[--runner->job_count];
    handler_job_free(job);
}

static void count_end(struct runner *runner, const struct handler_job *job, enum handler_end end)
{
    struct handler_figures *figures = &runner->answerers[job->handler].figures;

    runner->changed = true;
    figures->answered += end == HANDLER_ANSWERED;
    figures->failed += end == HANDLER_FAILED;
    figures->timed_out += end == HANDLER_TIMED_OUT;
    if (end == HANDLER_FAILED || end == HANDLER_TIMED_OUT)
        log_write(LOG_WARNING, "handler", "%s: %s fails: %s", handler_of(runner, job)->name,
                  job->peck_id, job->problem);
}

static void fail_unstarted(struct runner *runner, struct handler_job *job, const char *problem)
{
    handler_job_fail(job, problem, clock_now_ms());
    count_end(runner, job, HANDLER_FAILED);
    add_job(runner, job);
}

/* ---- starting ---- */

static struct bytes bytes_in(ProtobufCBinaryData data)
{
    return bytes_of(data.data, data.len);
}

static struct handler_peck read_peck(const struct handler *handler, const Duck__PeckView *view)
{
    return (struct handler_peck){
        .handler = handler->name,
        .peck_id = view->peck_id,
        .from = view->from,
        .to = view->to,
        .reply_to = view->reply_to,
        .action = bytes_in(view->action),
        .thread = bytes_in(view->thread),
        .trace = bytes_in(view->trace),
        .payload = bytes_in(view->payload),
        .created_ms = view->created_ms,
        .expires_ms = view->expires_ms,
        .attempt = view->attempt,
    };
}

static void give_back(struct runner *runner, size_t handler, const char *peck_id)
{
    handler_order_give_back(runner->link, runner->next_id++, runner->table->list[handler].duckling,
                            &peck_id, 1);
}

static void run_program(struct runner *runner, struct handler_job *job,
                        const struct handler_peck *peck, struct bytes line)
{
    struct answerer *answerer = &runner->answerers[job->handler];
    struct handler_environment environment;
    char problem[128];
    int error = 0;

    handler_peck_environment(peck, &environment);
    switch (handler_run_start(&job->run, handler_of(runner, job), line, environment.list,
                              clock_now_ms(), &error)) {
    case HANDLER_STARTED:
        answerer->figures.running++;
        if (runner->strays_at_ms == MOMENT_NEVER)
            runner->strays_at_ms = clock_now_ms() + STRAYS_EVERY_MS;
        add_job(runner, job);
        break;
    case HANDLER_NO_PROGRAM:
        log_write(LOG_ERROR, "handler", "%s: cannot execute %s: %s", handler_of(runner, job)->name,
                  handler_of(runner, job)->words, strerror(error));
        snprintf(problem, sizeof problem, "the handler's program cannot be started: %s",
                 strerror(error));
        fail_unstarted(runner, job, problem);
        break;
    case HANDLER_NO_ROOM:
        log_write(LOG_ERROR, "handler", "%s: cannot start a process: %s",
                  handler_of(runner, job)->name, strerror(error));
        give_back(runner, job->handler, job->peck_id);
        answerer->rests_until_ms = clock_now_ms() + PAUSE_MS;
        handler_job_free(job);
        break;
    }
}

static void begin(struct runner *runner, size_t handler, const Duck__PeckView *view)
{
    struct handler_peck peck = read_peck(&runner->table->list[handler], view);
    struct handler_job *job = handler_job_new(handler, view->peck_id, clock_now_ms());
    enum json_text_verdict verdict;
    struct bytes line;
    char problem[128];

    runner->answerers[handler].figures.taken++;
    runner->changed = true;
    if (view->attempt > HANDLER_ATTEMPTS_MAX) {
        snprintf(problem, sizeof problem, "its handler was cut off %u times",
                 (unsigned)view->attempt - 1);
        fail_unstarted(runner, job, problem);
        return;
    }
    verdict = handler_peck_line(&peck, &line);
    if (verdict == JSON_TEXT_OK) {
        run_program(runner, job, &peck, line);
        return;
    }
    snprintf(problem, sizeof problem, "the payload is no JSON for a handler: %s",
             json_text_verdict_text(verdict));
    fail_unstarted(runner, job, problem);
}

/* ---- taking ---- */

/* Jobs that only await the node's word take no place of a program, but one in the list. */
static size_t room(const struct runner *runner)
{
    return runner->at_once - runner->job_count;
}

static size_t room_of(const struct runner *runner, size_t handler)
{
    uint32_t at_once = runner->table->list[handler].at_once;
    uint32_t running = runner->answerers[handler].figures.running;
    size_t left = running < at_once ? at_once - running : 0;

    return left < room(runner) ? left : room(runner);
}

static void order_takes(struct runner *runner, uint64_t now_ms)
{
    for (size_t i = 0; i < runner->table->count; i++) {
        struct answerer *answerer = &runner->answerers[i];
        size_t limit = room_of(runner, i);

        if (runner->table->list[i].word_count == 0 || answerer->take_id || limit == 0 ||
            answerer->rests_until_ms > now_ms)
            continue;
        answerer->take_id = runner->next_id++;
        handler_order_take(runner->link, answerer->take_id, runner->table, i, (uint32_t)limit,
                           HANDLER_LEASE_MS);
    }
}

static void refuse_take(struct runner *runner, size_t handler, const Duck__Problem *problem)
{
    struct answerer *answerer = &runner->answerers[handler];
    bool passes = strcmp(problem->code, "busy") == 0 || strcmp(problem->code, "store_failed") == 0;

    answerer->rests_until_ms = clock_now_ms() + (passes ? PAUSE_MS : LONG_PAUSE_MS);
    if (!answerer->has_complained)
        log_write(LOG_WARNING, "handler", "%s gets no pecks: %s", runner->table->list[handler].name,
                  problem->message);
    answerer->has_complained = true;
}

/* Others may have filled the room meanwhile: then the peck waits in the inbox. */
static void take(struct runner *runner, size_t handler, const Duck__Reply *reply)
{
    runner->answerers[handler].take_id = 0;
    if (reply->answer_case == DUCK__REPLY__ANSWER_PROBLEM) {
        refuse_take(runner, handler, reply->problem);
        return;
    }
    if (reply->answer_case != DUCK__REPLY__ANSWER_PECKS)
        return;
    runner->answerers[handler].has_complained = false;
    for (size_t i = 0; i < reply->pecks->n_pecks; i++) {
        const Duck__PeckView *view = reply->pecks->pecks[i];

        if (room_of(runner, handler) == 0 || runner->stopping)
            give_back(runner, handler, view->peck_id);
        else
            begin(runner, handler, view);
    }
}

/* ---- what the node says ---- */

static void hear(struct runner *runner, const Duck__Reply *reply)
{
    bool is_problem = reply->answer_case == DUCK__REPLY__ANSWER_PROBLEM, over;

    if (reply->id == runner->report_id)
        runner->report_id = 0;
    for (size_t i = 0; i < runner->table->count; i++)
        if (runner->answerers[i].take_id == reply->id) {
            take(runner, i, reply);
            return;
        }
    for (size_t i = 0; i < runner->job_count; i++) {
        if (!handler_job_hears(runner->jobs[i], reply->id, is_problem ? reply->problem->code : "",
                               clock_now_ms(), &over))
            continue;
        if (over)
            remove_job(runner, i);
        return;
    }
}

static void hear_all(struct runner *runner)
{
    bool lost = !handler_link_move(runner->link), garbled;
    Duck__Reply *reply;

    while ((reply = handler_link_next(runner->link, &garbled))) {
        if (reply->id != 0)
            hear(runner, reply);
        duck_reply_free(reply);
    }
    runner->node_lost = lost || garbled;
}

/* ---- processes ---- */

static void kill_strays(struct runner *runner)
{
    pid_t groups[HANDLERS_AT_ONCE_MAX];
    size_t count = 0;
    long found;

    for (size_t i = 0; i < runner->job_count; i++)
        if (runner->jobs[i]->run)
            groups[count++] = handler_run_pid(runner->jobs[i]->run);
    found = handler_strays_kill(groups, count);
    if (found < 0 && !runner->strays_unseen)
        log_write(LOG_WARNING, "handler",
                  "this kernel does not tell children: processes that leave their group live on");
    runner->strays_unseen = found < 0;
    runner->strays_at_ms = count > 0 || found > 0 ? clock_now_ms() + STRAYS_EVERY_MS : MOMENT_NEVER;
}

static size_t job_of_process(const struct runner *runner, pid_t pid)
{
    size_t i = 0;

    while (i < runner->job_count &&
           (!runner->jobs[i]->run || handler_run_pid(runner->jobs[i]->run) != pid))
        i++;
    return i;
}

/* On purpose: when the node stops, what was cut off is ready again a second after its start. */
static void release(struct runner *runner, const struct handler_job *job)
{
    handler_order_renew(runner->link, runner->next_id++, handler_of(runner, job)->duckling,
                        job->peck_id, (uint32_t)LEASE_MIN_MS);
}

static void end_job(struct runner *runner, size_t index, int status)
{
    struct handler_job *job = runner->jobs[index];
    enum handler_end end = handler_job_reaped(job, status, clock_now_ms());

    runner->answerers[job->handler].figures.running--;
    count_end(runner, job, end);
    if (end != HANDLER_DROPPED)
        return;
    if (!job->is_lost && !runner->node_lost)
        release(runner, job);
    remove_job(runner, index);
}

/* Ended children are looked at before they are reaped: until then their number, and so their
 * group's, is nobody else's. Strays are reaped too. */
static void reap(struct runner *runner)
{
    siginfo_t ended = {.si_pid = 0};
    bool any = false;
    int status;

    while (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid != 0) {
        size_t index = job_of_process(runner, ended.si_pid);

        if (index < runner->job_count)
            handler_run_ended(runner->jobs[index]->run, clock_now_ms());
        if (waitpid(ended.si_pid, &status, 0) == ended.si_pid && index < runner->job_count)
            end_job(runner, index, status);
        any = true;
        ended.si_pid = 0;
    }
    if (any)
        kill_strays(runner);
}

static void move_programs(struct runner *runner, uint64_t now_ms)
{
    for (size_t i = 0; i < runner->job_count; i++)
        if (runner->jobs[i]->run)
            handler_run_move(runner->jobs[i]->run, now_ms);
}

/* ---- stopping ---- */

static void stop(struct runner *runner, uint64_t now_ms)
{
    runner->stopping = true;
    runner->stop_at_ms = now_ms + HANDLER_STOP_MS;
    for (size_t i = 0; i < runner->job_count; i++)
        if (runner->jobs[i]->run)
            handler_run_drop(runner->jobs[i]->run, now_ms);
}

static void hear_signals(struct runner *runner)
{
    struct signalfd_siginfo signal;

    while (read(runner->signals, &signal, sizeof signal) == sizeof signal)
        if ((signal.ssi_signo == SIGTERM || signal.ssi_signo == SIGINT) && !runner->stopping)
            stop(runner, clock_now_ms());
    reap(runner);
}

/* Nothing that was started outlives this process. */
static void kill_everything(struct runner *runner)
{
    for (size_t i = 0; i < runner->job_count; i++)
        if (runner->jobs[i]->run)
            handler_run_ended(runner->jobs[i]->run, clock_now_ms());
    while (handler_strays_kill(NULL, 0) > 0)
        waitpid(-1, NULL, 0); /* whoever is left was sent SIGKILL */
}

/* ---- turns ---- */

static void order_report(struct runner *runner, uint64_t now_ms)
{
    struct handler_figures figures[HANDLERS_MAX];

    if (!runner->changed || runner->report_id || runner->report_at_ms > now_ms)
        return;
    for (size_t i = 0; i < runner->table->count; i++)
        figures[i] = runner->answerers[i].figures;
    runner->changed = false;
    runner->report_id = runner->next_id++;
    runner->report_at_ms = now_ms + HANDLER_REPORT_MS;
    handler_order_report(runner->link, runner->report_id, runner->table, figures);
}

static void order_all(struct runner *runner, uint64_t now_ms)
{
    if (!runner->stopping)
        order_takes(runner, now_ms);
    for (size_t i = 0; i < runner->job_count; i++)
        handler_job_order(runner->jobs[i], runner->link,
                          handler_of(runner, runner->jobs[i])->duckling, &runner->next_id, now_ms);
    order_report(runner, now_ms);
}

static uint64_t earlier(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

static uint64_t wake_at_ms(const struct runner *runner, uint64_t now_ms)
{
    uint64_t wake_ms = earlier(runner->strays_at_ms, runner->stop_at_ms);

    if (runner->changed && !runner->report_id)
        wake_ms = earlier(wake_ms, runner->report_at_ms);
    for (size_t i = 0; i < runner->job_count; i++)
        wake_ms = earlier(wake_ms, handler_job_wake_at_ms(runner->jobs[i]));
    for (size_t i = 0; i < runner->table->count && !runner->stopping; i++)
        if (runner->answerers[i].rests_until_ms > now_ms)
            wake_ms = earlier(wake_ms, runner->answerers[i].rests_until_ms);
    return wake_ms;
}

static void wait_for_something(struct runner *runner, uint64_t now_ms)
{
    struct pollfd fds[2 + HANDLERS_AT_ONCE_MAX * HANDLER_RUN_FDS];
    uint64_t wake_ms = wake_at_ms(runner, now_ms);
    nfds_t count = 0;
    int timeout = -1;

    fds[count++] = handler_link_fd(runner->link);
    fds[count++] = (struct pollfd){.fd = runner->signals, .events = POLLIN};
    for (size_t i = 0; i < runner->job_count; i++)
        if (runner->jobs[i]->run) {
            handler_run_fds(runner->jobs[i]->run, &fds[count]);
            count += HANDLER_RUN_FDS;
        }
    if (wake_ms != MOMENT_NEVER)
        timeout = wake_ms <= now_ms ? 0 : (int)earlier(wake_ms - now_ms, 60000);
    poll(fds, count, timeout);
}

static void turn(struct runner *runner)
{
    uint64_t now_ms = clock_now_ms();

    order_all(runner, now_ms);
    wait_for_something(runner, now_ms);
    hear_all(runner);
    now_ms = clock_now_ms();
    move_programs(runner, now_ms);
    hear_signals(runner);
    if (runner->strays_at_ms <= now_ms)
        kill_strays(runner);
}

/* Answers that were on their way have reached the node, and so has what releases the rest. */
static bool has_stopped(const struct runner *runner)
{
    return runner->stopping &&
           ((runner->job_count == 0 && handler_link_unsent(runner->link) == 0) ||
            clock_now_ms() >= runner->stop_at_ms);
}

/* ---- opening ---- */

static int open_signals(void)
{
    sigset_t heard;

    sigemptyset(&heard);
    sigaddset(&heard, SIGCHLD);
    sigaddset(&heard, SIGTERM);
    sigaddset(&heard, SIGINT);
    sigaddset(&heard, SIGHUP);
    sigprocmask(SIG_BLOCK, &heard, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &heard, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void say_what_is_not_run(const struct handler_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->list[i].word_count == 0)
            log_write(LOG_INFO, "handler", "%s is a URL: its pecks wait for who calls it",
                      table->list[i].name);
}

static int run(struct runner *runner)
{
    say_what_is_not_run(runner->table);
    log_write(LOG_INFO, "handler", "ready: %zu handlers", runner->table->count);
    while (!runner->node_lost && !has_stopped(runner))
        turn(runner);
    kill_everything(runner);
    if (runner->node_lost && !runner->stopping)
        log_write(LOG_WARNING, "handler", "the node is gone: everything was ended");
    while (runner->job_count > 0)
        handler_job_free(runner->jobs[--runner->job_count]);
    return runner->node_lost && !runner->stopping ? 1 : 0;
}

int handler_runner_run(const struct handler_runner_settings *settings)
{
    struct runner *runner = memory_take(sizeof *runner);
    int fault, status = 1;

    runner->table = settings->table;
    runner->at_once = settings->at_once;
    runner->next_id = 1;
    runner->changed = true;
    runner->strays_at_ms = runner->stop_at_ms = MOMENT_NEVER;
    runner->signals = open_signals();
    if (!handler_strays_adopt())
        log_write(LOG_WARNING, "handler", "processes that leave their parents will not be found");
    fault =
        runner->signals < 0 ? FAULT_FILE : handler_link_open(&runner->link, settings->socket_path);
    if (fault)
        log_write(LOG_ERROR, "handler", "cannot reach the node at %s: %s", settings->socket_path,
                  fault_text(fault));
    else
        status = run(runner);
    handler_link_close(runner->link);
    if (runner->signals >= 0)
        close(runner->signals);
    memory_give_back(runner);
    return status;
}
