/* route_partials: the agent's side of answers that come in parts; the asker's is a route. */
#ifndef DUCK_GATE_ROUTE_PARTIALS_H
#define DUCK_GATE_ROUTE_PARTIALS_H

#include "exchange.h"

/* `partial` of the body, with `number`: of a peck that exchange->acting received. */
void partials_answer(struct exchange *exchange);

#endif
