#include "handler_job.h"

#include "handler_runner.h"

#include <stdio.h>

#define AGAIN_MS 500u /* after the node had no room for an answer */

struct handler_job *handler_job_new(size_t handler, const char *peck_id, uint64_t now_ms)
{
    struct handler_job *job = memory_take(sizeof *job);

    job->handler = handler;
    snprintf(job->peck_id, sizeof job->peck_id, "%s", peck_id);
    job->answer_at_ms = MOMENT_NEVER;
    job->renew_at_ms = now_ms + HANDLER_RENEW_MS;
    return job;
}

void handler_job_free(struct handler_job *job)
{
    if (!job)
        return;
    handler_run_free(job->run);
    memory_give_back((void *)(uintptr_t)job->result.data);
    memory_give_back(job);
}

void handler_job_fail(struct handler_job *job, const char *problem, uint64_t now_ms)
{
    job->failed = true;
    snprintf(job->problem, sizeof job->problem, "%s", problem);
    job->answer_at_ms = now_ms;
}

enum handler_end handler_job_reaped(struct handler_job *job, int status, uint64_t now_ms)
{
    struct handler_said said;

    handler_run_judge(job->run, status, &said);
    if (said.end == HANDLER_ANSWERED) {
        job->result = bytes_of(memory_copy(said.result.data, said.result.size), said.result.size);
        job->answer_at_ms = now_ms;
    } else if (said.end != HANDLER_DROPPED) {
        handler_job_fail(job, said.problem, now_ms);
    }
    handler_run_free(job->run);
    job->run = NULL;
    return said.end;
}

void handler_job_order(struct handler_job *job, struct handler_link *link, const char *duckling,
                       uint64_t *next_id, uint64_t now_ms)
{
    if (!job->answer_id && job->answer_at_ms <= now_ms) {
        job->answer_id = (*next_id)++;
        job->answer_at_ms = MOMENT_NEVER;
        handler_order_answer(link, job->answer_id, duckling, job->peck_id, job->result,
                             job->failed ? job->problem : NULL);
    }
    if (!job->is_lost && !job->renew_id && job->renew_at_ms <= now_ms) {
        job->renew_id = (*next_id)++;
        job->renew_at_ms = now_ms + HANDLER_RENEW_MS;
        handler_order_renew(link, job->renew_id, duckling, job->peck_id, HANDLER_LEASE_MS);
    }
}

uint64_t handler_job_wake_at_ms(const struct handler_job *job)
{
    uint64_t wake_ms = job->answer_id ? MOMENT_NEVER : job->answer_at_ms;

    if (!job->is_lost && !job->renew_id && job->renew_at_ms < wake_ms)
        wake_ms = job->renew_at_ms;
    if (job->run && handler_run_wake_at_ms(job->run) < wake_ms)
        wake_ms = handler_run_wake_at_ms(job->run);
    return wake_ms;
}

/* The node is in a hurry or its disk is full; everything else will not change. */
static bool is_worth_another_try(const char *code)
{
    return strcmp(code, "busy") == 0 || strcmp(code, "store_failed") == 0;
}

static void lose(struct handler_job *job, uint64_t now_ms)
{
    job->is_lost = true;
    if (job->run)
        handler_run_drop(job->run, now_ms);
}

bool handler_job_hears(struct handler_job *job, uint64_t id, const char *code, uint64_t now_ms,
                       bool *over)
{
    *over = false;
    if (id == job->answer_id) {
        job->answer_id = 0;
        *over = !is_worth_another_try(code);
        job->is_lost = *over && *code;
        job->answer_at_ms = now_ms + AGAIN_MS;
        return true;
    }
    if (id != job->renew_id)
        return false;
    job->renew_id = 0;
    if (*code && !is_worth_another_try(code) && !job->answer_id)
        lose(job, now_ms);
    return true;
}
