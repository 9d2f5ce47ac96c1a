/* pecktable: entries by peck id, and two heaps of deadlines over them: what outbox and tray share.
 *
 * An entry is the owner's struct, which begins with a struct pecktable_node. Entries do not move.
 * Everything is O(log n). */
#ifndef DUCK_CORE_PECKTABLE_H
#define DUCK_CORE_PECKTABLE_H

#include "id.h"
#include "moment.h"

enum pecktable_clock { PECKTABLE_STEADY, PECKTABLE_WALL, PECKTABLE_CLOCKS };

struct pecktable_node {
    struct pecktable_node *next;         /* in its bucket */
    struct id peck;
    uint64_t due_ms[PECKTABLE_CLOCKS];   /* MOMENT_NEVER: in no heap */
    size_t place[PECKTABLE_CLOCKS];      /* in its heap, from 1; 0: in none */
};

struct pecktable {
    size_t max, count, slots;            /* slots: a power of two */
    struct pecktable_node **buckets;
    struct pecktable_node **heaps[PECKTABLE_CLOCKS];
    size_t heap_count[PECKTABLE_CLOCKS], heap_capacity[PECKTABLE_CLOCKS];
};

void pecktable_init(struct pecktable *table, size_t max);
void pecktable_free(struct pecktable *table); /* and all entries */

/* Takes an entry from memory_take with `peck` set; false: full, or there already (the entry is the
 * caller's to free). */
bool pecktable_add(struct pecktable *table, struct pecktable_node *node);
void pecktable_remove(struct pecktable *table, struct pecktable_node *node); /* frees it */
struct pecktable_node *pecktable_find(const struct pecktable *table, const struct id *peck);

/* Sets or, with MOMENT_NEVER, clears a deadline. */
void pecktable_set_due(struct pecktable *table, struct pecktable_node *node,
                       enum pecktable_clock clock, uint64_t due_ms);
/* The entry with the earliest deadline, or NULL. */
struct pecktable_node *pecktable_first(const struct pecktable *table, enum pecktable_clock clock);

/* Steady time of the earliest deadline of either clock. */
uint64_t pecktable_wake_at_ms(const struct pecktable *table, const struct moment *at);

#endif
