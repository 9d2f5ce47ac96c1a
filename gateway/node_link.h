/* node_link: the way to the node, and what is known of it.
 *
 * The node may be away: the gateway starts without one, tells everybody so, and goes on when it
 * comes back. A thread asks for its status every second, so that a probe costs the node nothing,
 * and brings it the gateway's own counters: eggs and page views. */
#ifndef DUCK_GATE_NODE_LINK_H
#define DUCK_GATE_NODE_LINK_H

#include "core/id.h"

#define NODE_POLL_MS 1000
#define NODE_PARTS_MAX 8
#define NODE_OWN_PART "accounts" /* and events, letters, webhooks: what the gateway keeps */
#define NODE_RECOUNT_MS 30000 /* the node's number of eggs is compared with ours this often */

struct accounts;
struct node_link;
struct Duck__Request;
struct Duck__Reply;

struct node_part {
    char name[24], status[16], reason[160];
};

struct node_status {
    bool is_up;
    char node_id[ID_TEXT_SIZE], version[32], network[36], display_name[68];
    uint64_t asked_ms; /* Unix time of this status */
    uint64_t started_ms, links, known_nodes, records, hosted, outbox, inbox;
    struct node_part parts[NODE_PARTS_MAX + 1]; /* the last is the gateway's own: see NODE_OWN_PART */
    size_t part_count;
};

struct node_link_settings {
    const char *socket;        /* NULL: the default of this user */
    struct accounts *accounts; /* for the number of eggs, and for whether anything can be kept */
    void (*refreshed)(void *context, const struct node_status *status); /* every second */
    void *context;
};

struct node_link *node_link_open(const struct node_link_settings *settings);

/* Ends waiting calls with "unreachable"; calls after it end so at once. */
void node_link_shut(struct node_link *link);
void node_link_close(struct node_link *link); /* NULL is fine */

/* See duck_call: `done` owns the reply, and may be called before this returns. */
void node_link_call(struct node_link *link, struct Duck__Request *request, uint64_t timeout_ms,
                    void (*done)(void *context, struct Duck__Reply *reply), void *context);

/* How often something was ordered that may change what the node says, or was answered: the same number twice, and
 * nobody who used this gateway changed anything in between. */
uint64_t node_link_orders(struct node_link *link);

void node_link_status(struct node_link *link, struct node_status *status);
bool node_link_is_up(struct node_link *link);
void node_link_count_pageview(struct node_link *link);

/* "operational", "degraded" or "outage": the worst of the parts, and of the node's being there. */
const char *node_status_word(const struct node_status *status);

#endif
