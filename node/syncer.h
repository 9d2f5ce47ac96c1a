/* syncer: does what takes the disk long, of turns that are committed, while the loop is at the next one. */
#ifndef DUCK_NODE_SYNCER_H
#define DUCK_NODE_SYNCER_H

#include "inbox.h"
#include "store.h"

struct syncer;

/* `work` is store_sync or store_carry; store and inbox are borrowed. */
struct syncer *syncer_new(int (*work)(struct store *store), struct store *store, struct inbox *inbox);
void syncer_free(struct syncer *syncer); /* NULL is fine; waits for what is under way */

/* Begins the work; when done, the inbox is poked. One at a time. */
void syncer_begin(struct syncer *syncer);
bool syncer_is_done(struct syncer *syncer); /* nothing is under way */
int syncer_wait(struct syncer *syncer);     /* for what was begun: its fault */

#endif
