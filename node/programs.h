/* programs: what a node starts beside itself: the gateway, and the process that runs handlers. */
#ifndef DUCK_NODE_PROGRAMS_H
#define DUCK_NODE_PROGRAMS_H

#include "options.h"
#include "supervisor.h"

#define GATEWAY_URL_FILE "%s/gateway/url" /* in the state folder */

/* Nothing, and 0, when it is not configured. */
int programs_start_gateway(const struct options *options, struct supervisor **supervisor);

/* A process of its own runs the operator's programs: the node holds keys and threads, and never forks. It
 * reads the same file; flags are handed on. Nothing, and 0, without handlers. */
int programs_start_handlers(const struct options *options, struct supervisor **supervisor);

/* Would the gateway take what the configuration says of it? Asks the gateway, which says why not. */
bool programs_check_gateway(const struct options *options);

#endif
