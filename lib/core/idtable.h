/* idtable: things by id. A chained hash table that grows on demand.
 *
 * A thing is the owner's struct, from memory_take, which begins with a struct idtable_node. Things
 * do not move. */
#ifndef DUCK_CORE_IDTABLE_H
#define DUCK_CORE_IDTABLE_H

#include "id.h"

struct idtable_node {
    struct idtable_node *next; /* in its bucket */
    struct id id;
};

struct idtable {
    struct idtable_node **buckets;
    size_t count, slots; /* slots: a power of two */
};

void idtable_init(struct idtable *table);
void idtable_free(struct idtable *table); /* and all things in it */

struct idtable_node *idtable_find(const struct idtable *table, const struct id *id);
void idtable_add(struct idtable *table, struct idtable_node *node); /* its id is not in there */
void idtable_remove(struct idtable *table, struct idtable_node *node); /* does not free it */

/* All of them, in an order of the table's own: first NULL, then the one before. */
struct idtable_node *idtable_next(const struct idtable *table, const struct idtable_node *node);

#endif
