/* workers: a few threads that do what must not be done where it falls due.
 *
 * A piece of work belongs to one thing (a link, a dial) and never runs twice at once: given while
 * it runs, it runs once more afterwards; given while it waits, nothing changes. Each run goes to
 * the back of the queue, so that a busy thing does not starve the others. */
#ifndef DUCK_NODE_WORKERS_H
#define DUCK_NODE_WORKERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define WORKERS_MAX 8u

struct workers;

struct work {
    struct work *next;
    atomic_int state;
    void (*run)(struct work *work, size_t worker);
    /* After the last run for one workers_give that returned true; may free the work. */
    void (*rest)(struct work *work);
};

struct workers *workers_new(size_t count); /* NULL: no threads to be had */
void workers_free(struct workers *workers); /* runs what waits, then ends; NULL is fine */

void work_init(struct work *work, void (*run)(struct work *work, size_t worker),
               void (*rest)(struct work *work));

/* True when the work did not wait or run already: then a `rest` will follow. So whoever holds a
 * reference for the queue takes it before the call and drops it when this says false. */
bool workers_give(struct workers *workers, struct work *work);

#endif
