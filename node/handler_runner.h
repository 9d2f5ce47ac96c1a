/* handler_runner: runs the operator's programs, in a process of its own (`ducknode run-handlers`).
 *
 * To the node it is one more agent on the local API: it takes pecks by action under a short lease,
 * renews it while a program runs, and answers. The node starts it, and starts it again should it
 * end. It holds no key; it forks, so it has one thread, and a keeper above it (handler_keeper.h).
 * When the node is gone it kills everything that it started and ends: a peck whose program was cut off is handed out again when its lease is
 * over, with a higher attempt. So a program may be started more than once for one peck; the first
 * receipt stands. */
#ifndef DUCK_NODE_HANDLER_RUNNER_H
#define DUCK_NODE_HANDLER_RUNNER_H

#include "handler_table.h"

#define HANDLERS_AT_ONCE 32u          /* programs in all; default */
#define HANDLERS_AT_ONCE_MAX 256u
#define HANDLER_LEASE_MS 15000u       /* so long after a crash a peck is handed out again */
#define HANDLER_RENEW_MS 5000u
#define HANDLER_ATTEMPTS_MAX 5u       /* cut off so often, a peck fails: it may be what cuts off */
#define HANDLER_REPORT_MS 200u        /* at most so often */
#define HANDLER_STOP_MS 4000u         /* for everything when the node stops; less than the supervisor waits */

struct handler_runner_settings {
    const struct handler_table *table;
    const char *socket_path;          /* of the node */
    uint32_t at_once;                 /* programs in all */
};

/* Until SIGTERM, SIGINT, or the node is gone. The exit status: 0 when it was told to end. */
int handler_runner_run(const struct handler_runner_settings *settings);

#endif
