/* One thread, one poll(2). A turn: order what is due, wait, hear the node, move the programs' bytes,
 * reap who ended. */
#include "client/duck_client.h"
#include "clock.h"
#include "fault.h"
#include "handler_keeper.h"
#include "handler_runner_parts.h"
#include "handler_strays.h"
#include "log.h"
#include "wire/local.pb-c.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static void remove_job(struct runner *runner, size_t index)
{
    struct handler_job *job = runner->jobs[index];

    if (job->is_lost) {
        log_write(LOG_WARNING, "handler", "%s: %s is no longer its to answer",
                  handler_of(runner, job)->name, job->peck_id);
        runner->answerers[job->handler].figures.lost++;
        runner->changed = true;
    }
    runner->jobs[index] = runner->jobs[--runner->job_count];
    handler_job_free(job);
}

/* ---- what the node says ---- */

static void hear(struct runner *runner, const Duck__Reply *reply)
{
    bool is_problem = reply->answer_case == DUCK__REPLY__ANSWER_PROBLEM, over;

    if (reply->id == runner->report_id)
        runner->report_id = 0;
    if (handler_take(runner, reply))
        return;
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
    runner->strays_at_ms =
        count > 0 || found > 0 ? clock_now_ms() + HANDLER_STRAYS_MS : MOMENT_NEVER;
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
    handler_count_end(runner, job, end);
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
    handler_strays_end();
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
        handler_order_takes(runner, now_ms);
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
        if (!handler_is_run(&table->list[i]))
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

static int run_all(const void *context)
{
    const struct handler_runner_settings *settings = context;
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

int handler_runner_run(const struct handler_runner_settings *settings)
{
    return handler_keeper_run(run_all, settings);
}
