/* The parts of `ducknode doctor`: commands_doctor.c looks at the host and the node's files, doctor_running.c at what answers. */
#ifndef DUCK_NODE_DOCTOR_PARTS_H
#define DUCK_NODE_DOCTOR_PARTS_H

#include "commands.h"

enum finding { FINDING_OK, FINDING_WARN, FINDING_FAIL };

struct Duck__Reply;

struct doctor {
    struct call *call;
    json_t *checks;             /* with --json; or NULL */
    size_t counts[3];           /* by finding */
    struct Duck__Reply *status; /* of the running node; NULL: it does not answer, or was not asked */
};

/* A line. `help`: what to do about it; not said of what is ok. */
void doctor_say(struct doctor *doctor, const char *name, enum finding finding, const char *help, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

void doctor_ask(struct doctor *doctor); /* all that needs a connection; waits for each at most 2 s, for the node 10 s */

#endif
