/* handler_runner_parts: what the files of the runner share. Nobody else includes it. */
#ifndef DUCK_NODE_HANDLER_RUNNER_PARTS_H
#define DUCK_NODE_HANDLER_RUNNER_PARTS_H

#include "handler_job.h"
#include "handler_runner.h"

#define HANDLER_STRAYS_MS 1000u /* between looks for strays, while programs run */

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

static inline const struct handler *handler_of(const struct runner *runner, const struct handler_job *job)
{
    return &runner->table->list[job->handler];
}

static inline bool handler_is_run(const struct handler *handler)
{
    return handler->word_count > 0 || handler->call;
}

/* ---- handler_takes.c: pecks that are taken, and begun ---- */

void handler_order_takes(struct runner *runner, uint64_t now_ms);
bool handler_take(struct runner *runner, const struct Duck__Reply *reply); /* false: it answers no take */
void handler_count_end(struct runner *runner, const struct handler_job *job, enum handler_end end);

#endif
