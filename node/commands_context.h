/* commands_context: contexts, as `ducknode certificate` issues and shows them. */
#ifndef DUCK_NODE_COMMANDS_CONTEXT_H
#define DUCK_NODE_COMMANDS_CONTEXT_H

#include "commands.h"

int context_issue(struct call *call);

/* Those that an answer tells of, if its duckling lives here: lines for people; or into `object`, as `contexts`. */
struct Duck__CertificateAnswer;
void context_print(const struct Duck__CertificateAnswer *answer, json_t *object);

#endif
