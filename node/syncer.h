/* syncer: puts committed turns on the disk while the loop is at the next one. */
#ifndef DUCK_NODE_SYNCER_H
#define DUCK_NODE_SYNCER_H

#include "inbox.h"
#include "store.h"

struct syncer;

struct syncer *syncer_new(struct store *store, struct inbox *inbox); /* both are borrowed */
void syncer_free(struct syncer *syncer); /* NULL is fine; waits for a sync that is under way */

/* Begins to sync what is committed; when done, the inbox is poked. One at a time. */
void syncer_begin(struct syncer *syncer);
bool syncer_is_done(struct syncer *syncer); /* nothing is under way */
int syncer_wait(struct syncer *syncer);     /* for what was begun: its fault */

#endif
