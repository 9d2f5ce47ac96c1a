/* route_webhooks: what the routes of webhooks and of their deliveries share. */
#ifndef DUCK_GATE_ROUTE_WEBHOOKS_H
#define DUCK_GATE_ROUTE_WEBHOOKS_H

#include "courier.h"
#include "exchange.h"

/* Whose webhooks the caller may see: zero: all of the operator's. */
struct id webhooks_only(const struct exchange *exchange);

/* All that the caller may see; NULL: the store cannot be read. */
json_t *webhooks_view(struct exchange *exchange);

/* The path's, if the caller may see it. False: refused. */
bool webhooks_find(struct exchange *exchange, struct gate_webhook *row);
void webhooks_refuse_fault(struct exchange *exchange);

/* An order about the path's webhook, by the caller; in the exchange's arena. */
struct webhook_order *webhooks_order(struct exchange *exchange, enum webhook_order_kind kind);
/* Parks: `then` runs when it is carried out, and finds the result; NULL: refused. */
void webhooks_give(struct exchange *exchange, const struct webhook_order *order,
                   exchange_then *then);
const struct webhook_result *webhooks_result(struct exchange *exchange);

#endif
