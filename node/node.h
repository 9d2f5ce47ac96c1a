/* node: one ducknode from start to stop: wiring, top to bottom. */
#ifndef DUCK_NODE_NODE_H
#define DUCK_NODE_NODE_H

#include "options.h"

/* Runs until SIGTERM, SIGINT, or a StopOrder. The process's exit status: 0 after a clean stop, 1
 * after a fault that the log names. */
int node_run(const struct options *options);

#endif
