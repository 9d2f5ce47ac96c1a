/* handler_orders: what the runner of handlers says to the node, each as one request of the local
 * API. All are queued in the link; `id` names the reply. */
#ifndef DUCK_NODE_HANDLER_ORDERS_H
#define DUCK_NODE_HANDLER_ORDERS_H

#include "handler_link.h"
#include "handler_table.h"

#include <stdint.h>

#define HANDLER_TAKE_WAIT_MS 20000u

/* How it goes with one handler. */
struct handler_figures {
    uint32_t running;
    uint64_t taken, answered, failed, timed_out, lost;
};

void handler_order_take(struct handler_link *link, uint64_t id, const struct handler_table *table,
                        size_t index, uint32_t limit, uint32_t lease_ms);
/* `problem` NULL: answered with `result`. */
void handler_order_answer(struct handler_link *link, uint64_t id, const char *duckling, const char *peck_id,
                          struct bytes result, const char *problem);
void handler_order_renew(struct handler_link *link, uint64_t id, const char *duckling, const char *peck_id,
                         uint32_t lease_ms);
void handler_order_give_back(struct handler_link *link, uint64_t id, const char *duckling,
                             const char *const *peck_ids, size_t count);
void handler_order_report(struct handler_link *link, uint64_t id, const struct handler_table *table,
                          const struct handler_figures *figures);

#endif
