/* peck_owner: for which duckling does a session decide about a peck?
 *
 * A beak key acts for its own, and a session for the one that it names. A session that names none
 * acts for that of its ducklings which the peck comes from or goes to: who approves in a browser
 * has the peck before them, not the duckling's id. */
#ifndef DUCK_GATE_PECK_OWNER_H
#define DUCK_GATE_PECK_OWNER_H

#include "exchange.h"

enum peck_end { PECK_END_SENDER, PECK_END_TARGET, PECK_END_ANY };

/* `then` runs with exchange->acting set to that end's duckling. Not found: 404. */
void peck_owner_find(struct exchange *exchange, const char *peck_id, enum peck_end end,
                     bool in_body, exchange_then *then);

/* An order about one peck. Whose duckling has no such peck hears the same whether somebody else's on
 * this node has it, had it, or nobody. `peck_id` NULL: an order about several. */
void peck_owner_call(struct exchange *exchange, struct Duck__Request *request, int expected,
                     const char *peck_id, exchange_then *then);

#endif
