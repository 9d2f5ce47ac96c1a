/* pecktable: entries by peck id, and heaps over them: what outbox and tray share.
 *
 * An entry is the owner's struct, which begins with a struct pecktable_node. Entries do not move.
 * Everything is O(log n). */
#ifndef DUCK_CORE_PECKTABLE_H
#define DUCK_CORE_PECKTABLE_H

#include "idtable.h"
#include "moment.h"

/* An entry can stand in one heap of each kind. */
enum pecktable_heap_kind {
    PECKTABLE_STEADY, /* by a deadline of the steady clock; the table has one */
    PECKTABLE_WALL,   /* by a date; the table has one */
    PECKTABLE_QUEUE,  /* by rank; the owner has as many as it likes */
    PECKTABLE_HEAPS,
};

struct pecktable_node {
    struct idtable_node by_id;       /* its id is the peck's */
    uint64_t arrival;                /* counts up; of two with one key the elder is first */
    uint64_t key[PECKTABLE_HEAPS];
    size_t place[PECKTABLE_HEAPS];   /* in its heap, from 1; 0: in none */
};

struct pecktable_heap {
    enum pecktable_heap_kind kind;
    struct pecktable_node **nodes;   /* from 1 */
    size_t count, capacity;
};

struct pecktable {
    struct idtable by_id;
    size_t max;
    uint64_t arrivals;
    struct pecktable_heap steady, wall;
};

void pecktable_init(struct pecktable *table, size_t max);
void pecktable_free(struct pecktable *table); /* and all entries */
size_t pecktable_count(const struct pecktable *table);

/* Gives an entry from memory_take; false: full, or there already (it is the caller's to free). */
bool pecktable_add(struct pecktable *table, const struct id *peck, struct pecktable_node *node);
/* Frees it. The caller has taken it out of its own queues. */
void pecktable_remove(struct pecktable *table, struct pecktable_node *node);
struct pecktable_node *pecktable_find(const struct pecktable *table, const struct id *peck);

/* Sets or, with MOMENT_NEVER, clears a deadline. */
void pecktable_set_due(struct pecktable *table, struct pecktable_node *node, uint64_t now_ms);
void pecktable_set_expiry(struct pecktable *table, struct pecktable_node *node, uint64_t wall_ms);

/* The entry whose deadline came first, if it has come; else NULL. */
struct pecktable_node *pecktable_due(const struct pecktable *table, uint64_t now_ms);
struct pecktable_node *pecktable_expired(const struct pecktable *table, uint64_t wall_ms);

/* Steady time of the earliest deadline of either clock. */
uint64_t pecktable_wake_at_ms(const struct pecktable *table, const struct moment *at);

/* A queue: entries of one table by rank, of one rank in order of arrival, however late they join it. */
void pecktable_queue_init(struct pecktable_heap *queue);
void pecktable_queue_free(struct pecktable_heap *queue); /* not the entries */
void pecktable_queue_join(struct pecktable_heap *queue, struct pecktable_node *node, uint64_t rank);
void pecktable_queue_leave(struct pecktable_heap *queue, struct pecktable_node *node);
struct pecktable_node *pecktable_queue_first(const struct pecktable_heap *queue); /* or NULL */

#endif
