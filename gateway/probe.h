/* probe: the answer to GET /beak/, made once a second and not once a request. */
#ifndef DUCK_GATE_PROBE_H
#define DUCK_GATE_PROBE_H

#include <stdbool.h>

struct MHD_Connection;
struct node_status;
struct probe;

struct probe *probe_new(void);
void probe_free(struct probe *probe); /* NULL is fine */
void probe_refresh(struct probe *probe, const struct node_status *status);

/* Queues the answer as it stands. False: the connection does not take it. */
bool probe_answer(struct probe *probe, struct MHD_Connection *connection);

#endif
