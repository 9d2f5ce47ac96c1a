/* event_feed: what the node did becomes events of the operators whose ducklings it was done to.
 *
 * One thread reads the node's audit log on from where it was read last. The events of a stretch of
 * it and the place are kept in one transaction: whichever process ends when, each entry becomes an
 * event once, under one id. Hatches and rotated keys are not in the log as the operator's: the
 * accounts keep those events with what they do (gate_event_keep). Tiers are computed, not done: they
 * are asked for now and then, and compared with what was told last. */
#ifndef DUCK_GATE_EVENT_FEED_H
#define DUCK_GATE_EVENT_FEED_H

#include <stdint.h>

#define FEED_ENTRIES_AT_ONCE 200u
#define FEED_WAIT_MS 10000u    /* the node answers when there is something, or after it */
#define FEED_REST_MS 1000u     /* without the node */
#define FEED_GATHER_MS 20u     /* between two stretches: under load they are long */
#define FEED_UNKEPT_MAX 5000u  /* entries without events, until the place is kept nevertheless */
#define FEED_TIERS_EACH_MS 10000u
#define FEED_TIERS_SOON_MS 1000u   /* after a bond was made or ended */
#define FEED_TIERS_AT_ONCE 500u /* ducklings */

struct event_feed;
struct node_link;

struct event_feed_settings {
    const char *store_path; /* that accounts_open has seen to */
    struct node_link *node;
    void (*told)(void *context, uint64_t operator_id); /* there are new events; the feed's thread */
    void *context;
};

int event_feed_open(struct event_feed **opened, const struct event_feed_settings *settings);
void event_feed_close(struct event_feed *feed); /* NULL is fine; after node_link_shut */

#endif
