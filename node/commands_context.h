/* commands_context: contexts, as `ducknode certificate` issues and shows them. */
#ifndef DUCK_NODE_COMMANDS_CONTEXT_H
#define DUCK_NODE_COMMANDS_CONTEXT_H

#include "commands.h"

int context_issue(struct call *call);

/* Those of a duckling of this node: lines for people; or into `object`, as `contexts`. Who lives elsewhere has none
 * that are known here. */
int context_print(struct call *call, const char *duckling, json_t *object);

#endif
