/* listeners: who is told events as they happen (GET /beak/events, server-sent events, HTML Living
 * Standard, section 9.2).
 *
 * A listener keeps a place in the store's events and nothing else, so one that is slow, or that comes
 * back with the id of the last event that it had, costs no memory and misses nothing that is still
 * kept. Without news its connection is suspended; a comment goes out now and then, so that whoever
 * went away is noticed, and whoever has no bearer any more hears no more. */
#ifndef DUCK_GATE_LISTENERS_H
#define DUCK_GATE_LISTENERS_H

#include "exchange.h"
#include "gate_events.h"

#define LISTENERS_MAX 1536u
#define LISTENERS_PER_OPERATOR_MAX 1024u
#define LISTENER_BEAT_MS 15000u  /* between two comments */
#define LISTENER_RETRY_MS 3000u  /* a client waits so long before it comes back */

struct listeners;

/* Of a store that accounts_open has seen to. */
int listeners_open(struct listeners **opened, const char *store_path);
void listeners_close(struct listeners *listeners); /* NULL is fine; all have ended */

/* An operator's listeners have something to look for. From any thread. */
void listeners_tell(struct listeners *listeners, uint64_t operator_id);
/* Lets those whose time has come say their comment. From any thread. */
void listeners_beat(struct listeners *listeners, uint64_t now_ms);
/* Each ends its stream; there will be no more. From any thread. */
void listeners_end_all(struct listeners *listeners);
size_t listeners_count(struct listeners *listeners);

/* The exchange is answered with a stream of the events that `filter` lets through, beginning after
 * `last_id` (NULL: with what happens from now on). On the server's thread. */
void listeners_add(struct listeners *listeners, struct exchange *exchange,
                   const struct gate_event_filter *filter, const char *last_id);

#endif
