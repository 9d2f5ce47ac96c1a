/* What is taken from the inbox, and how much: no more than there is room for, so what waits waits in
 * the inbox, where it is safe. */
#include "clock.h"
#include "core/binary_data.h"
#include "handler_peck.h"
#include "handler_runner_parts.h"
#include "log.h"
#include "wire/local.pb-c.h"

#include <stdio.h>

#define PAUSE_MS 1000u       /* of a handler, after this machine or the node had no room for it */
#define LONG_PAUSE_MS 30000u /* after the node said what will not change soon */

/* ---- jobs ---- */

static void add_job(struct runner *runner, struct handler_job *job)
{
    runner->jobs[runner->job_count++] = job;
}

void handler_count_end(struct runner *runner, const struct handler_job *job, enum handler_end end)
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
    handler_count_end(runner, job, HANDLER_FAILED);
    add_job(runner, job);
}

/* ---- starting ---- */

static struct handler_peck read_peck(const struct handler *handler, const Duck__PeckView *view)
{
    return (struct handler_peck){
        .handler = handler->name,
        .peck_id = view->peck_id,
        .from = view->from,
        .to = view->to,
        .reply_to = view->reply_to,
        .action = borrowed(view->action),
        .thread = borrowed(view->thread),
        .trace = borrowed(view->trace),
        .payload = borrowed(view->payload),
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
            runner->strays_at_ms = clock_now_ms() + HANDLER_STRAYS_MS;
        add_job(runner, job);
        break;
    case HANDLER_NO_PROGRAM:
        log_write(LOG_ERROR, "handler", "%s: cannot execute %s: %s", handler_of(runner, job)->name,
                  handler_of(runner, job)->word_count ? handler_of(runner, job)->words
                                                      : handler_of(runner, job)->call[0],
                  strerror(error));
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

void handler_order_takes(struct runner *runner, uint64_t now_ms)
{
    for (size_t i = 0; i < runner->table->count; i++) {
        struct answerer *answerer = &runner->answerers[i];
        size_t limit = room_of(runner, i);

        if (!handler_is_run(&runner->table->list[i]) || answerer->take_id || limit == 0 ||
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

bool handler_take(struct runner *runner, const Duck__Reply *reply)
{
    for (size_t i = 0; i < runner->table->count; i++)
        if (runner->answerers[i].take_id == reply->id) {
            take(runner, i, reply);
            return true;
        }
    return false;
}
