/* supervisor: keeps a program running beside the node, as a process of its own: the gateway, and
 * what runs handlers.
 *
 * A program that ends is started again, after 100 ms doubling to 30 s; one that ran for a minute
 * starts the count anew. A crash of the node leaves it running: the gateway then answers that the
 * node is away, and the node's next life replaces it; what runs handlers ends by itself. */
#ifndef DUCK_NODE_SUPERVISOR_H
#define DUCK_NODE_SUPERVISOR_H

#include "fault.h"

#include <stdbool.h>

#define SUPERVISED_ARGUMENTS_MAX 256

struct supervisor;

/* `arguments` (NULL at the end, the program first) are copied; `name` is a constant, for the log;
 * `pid_file` names the running one, so that a later life finds and ends it. NULL: it ends by itself. */
int supervisor_start(struct supervisor **started, const char *name, const char *const *arguments, const char *pid_file);
/* Ends the program (SIGTERM, after 5 s SIGKILL) and the watching thread. NULL is fine. */
void supervisor_stop(struct supervisor *supervisor);
/* Hands a signal on to the program, if it runs. NULL is fine. */
void supervisor_signal(struct supervisor *supervisor, int number);
bool supervisor_is_up(struct supervisor *supervisor); /* false for NULL */

#endif
