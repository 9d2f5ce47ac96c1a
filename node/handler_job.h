/* handler_job: one peck that a handler took, until the node has its answer.
 *
 * It runs, or it has ended and its answer is on the way: an answer that the node had no room for is
 * given again. All that time its lease is renewed. */
#ifndef DUCK_NODE_HANDLER_JOB_H
#define DUCK_NODE_HANDLER_JOB_H

#include "handler_orders.h"
#include "handler_run.h"

#define HANDLER_PECK_ID_SIZE 64u

struct handler_job {
    size_t handler;               /* its index in the table */
    char peck_id[HANDLER_PECK_ID_SIZE];
    struct handler_run *run;      /* NULL: it has ended */
    bool failed, is_lost;         /* is_lost: the peck is no longer ours, there is nobody to answer */
    struct bytes result;          /* owned; when it ended and did not fail */
    char problem[RECEIPT_PROBLEM_MAX + 1];
    uint64_t answer_id, renew_id; /* requests on the way; 0: none */
    uint64_t answer_at_ms;        /* steady: when to give the answer (again) */
    uint64_t renew_at_ms;
};

struct handler_job *handler_job_new(size_t handler, const char *peck_id, uint64_t now_ms);
void handler_job_free(struct handler_job *job);

void handler_job_fail(struct handler_job *job, const char *problem, uint64_t now_ms);
/* Its process was reaped. The job answers, unless there is nothing to say. */
enum handler_end handler_job_reaped(struct handler_job *job, int status, uint64_t now_ms);

/* Gives orders that are due; `next_id` counts up. */
void handler_job_order(struct handler_job *job, struct handler_link *link, const char *duckling,
                       uint64_t *next_id, uint64_t now_ms);
uint64_t handler_job_wake_at_ms(const struct handler_job *job);

/* A reply to one of its requests; false: to none. `code` is the problem's, or "". `*over`: the job is
 * done, one way or the other. */
bool handler_job_hears(struct handler_job *job, uint64_t id, const char *code, uint64_t now_ms, bool *over);

#endif
