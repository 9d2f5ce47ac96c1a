/* delivery_queue: which delivery goes out next.
 *
 * What is due waits in its webhook's line; lines take turns. A webhook's line stands still while
 * its host, or its operator, has as many deliveries under way as it may: so a receiver that does
 * not answer holds up nobody but those who share it. A host whose last delivery failed, or took long,
 * gets one at a time until one succeeds, and all such hosts together at most half of what may be under
 * way: the other half is for receivers that work. No clock of its own; all memory is bounded by `max`. */
#ifndef DUCK_GATE_DELIVERY_QUEUE_H
#define DUCK_GATE_DELIVERY_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct delivery_queue;

struct delivery_queue_settings {
    size_t max;              /* deliveries that wait or are under way */
    size_t at_once;          /* under way in all */
    size_t at_once_host;
    size_t at_once_operator;
};

struct queued_delivery {
    uint64_t delivery, webhook, operator_id;
    uint64_t host;   /* names it: a hash */
    uint64_t due_ms;
};

struct delivery_queue *delivery_queue_new(const struct delivery_queue_settings *settings);
void delivery_queue_free(struct delivery_queue *queue); /* NULL is fine */

/* False: it is full. A delivery must not be in it yet. */
bool delivery_queue_add(struct delivery_queue *queue, const struct queued_delivery *added);

/* Takes the next one that is due and may go: it is under way. False: none. */
bool delivery_queue_next(struct delivery_queue *queue, uint64_t now_ms,
                         struct queued_delivery *next);

/* It is under way no more; what it came to says how its host is treated from now on. `due_ms`
 * UINT64_MAX: it has ended; else it waits again. */
enum delivery_end {
    DELIVERY_WENT_WELL,
    DELIVERY_WENT_BADLY, /* it failed, or took long */
    DELIVERY_SAID_NOTHING, /* it was not tried */
};
void delivery_queue_back(struct delivery_queue *queue, uint64_t delivery, enum delivery_end end,
                         uint64_t due_ms);

/* Forgets what waits of a webhook; what is under way comes back as usual. */
void delivery_queue_drop(struct delivery_queue *queue, uint64_t webhook);
void delivery_queue_drop_all(struct delivery_queue *queue); /* the same, of all webhooks */

/* When the next one is due; UINT64_MAX: none waits. What is due but may not go is no reason to
 * wake: something must come back first. */
uint64_t delivery_queue_wake_at_ms(const struct delivery_queue *queue);
size_t delivery_queue_count(const struct delivery_queue *queue);    /* in all */
size_t delivery_queue_under_way(const struct delivery_queue *queue);

#endif
