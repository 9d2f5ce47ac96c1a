/* route_signatures: pecks that a duckling has signed itself, for the route that sends pecks. */
#ifndef DUCK_GATE_ROUTE_SIGNATURES_H
#define DUCK_GATE_ROUTE_SIGNATURES_H

#include <stdbool.h>

struct exchange;
struct Duck__SendOrder;

/* The body has `signed`: the order is that peck. False: the exchange is refused. */
bool made_of_body(struct exchange *exchange, struct Duck__SendOrder *order);

/* Nothing of what was ordered is published before the duckling has signed it: then the exchange is answered so. */
bool told_to_sign(struct exchange *exchange);

#endif
