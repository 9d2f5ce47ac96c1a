/* deadlines: numbered things in the order of their ends. A heap of four branches (Williams 1964;
 * Johnson 1975), which touches fewer cache lines than one of two.
 *
 * It holds the numbers only; the things are their owner's, who tells which ends earlier and keeps
 * for each where in here it stands. */
#ifndef DUCK_CORE_DEADLINES_H
#define DUCK_CORE_DEADLINES_H

#include "bytes.h"

struct deadlines {
    uint32_t *numbers;
    size_t count, capacity;
    void *owner; /* given to both */
    bool (*ends_earlier)(const void *owner, uint32_t left, uint32_t right);
    void (*stands)(void *owner, uint32_t number, uint32_t place);
};

void deadlines_free(struct deadlines *deadlines); /* what it took; not the struct */

void deadlines_add(struct deadlines *deadlines, uint32_t number);
void deadlines_remove(struct deadlines *deadlines, uint32_t place);
void deadlines_settle(struct deadlines *deadlines, uint32_t place); /* its end has changed */

/* The thing that stands at `place` is from now on called `number`. */
void deadlines_rename(struct deadlines *deadlines, uint32_t place, uint32_t number);

#endif
