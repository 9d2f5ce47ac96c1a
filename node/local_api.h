/* local_api: the node's side of proto/local.proto, on an nng ipc:// stream of mode 0600.
 *
 * A question is answered by reader threads from read-only connections and never meets the loop; an
 * order becomes a message in the inbox, and its reply comes back as an effect. Waits (send, peck,
 * take) and followers live here: bounded, with one sweep for their deadlines. */
#ifndef DUCK_NODE_LOCAL_API_H
#define DUCK_NODE_LOCAL_API_H

#include "core/agent.h"
#include "fault.h"
#include "inbox.h"
#include "roster.h"
#include "transport.h"

#define LOCAL_CLIENTS_MAX 64u
#define LOCAL_REQUESTS_MAX 4096u          /* in flight of one client */
#define LOCAL_FRAME_MAX (1u * MIB)
#define LOCAL_SEND_QUEUE_MAX (8u * MIB)   /* bytes of one client; events beyond it are dropped and counted */
#define LOCAL_FOLLOWS_MAX 1024u           /* of one client */
#define LOCAL_PAGE_MAX 200u               /* items of one list; 0 asks for LOCAL_PAGE */
#define LOCAL_PAGE 50u
#define LOCAL_PAGE_BYTES (2u * MIB)       /* a page ends early above it */
#define LOCAL_TAKE_MAX 200u               /* pecks of one take; 0 asks for LOCAL_TAKE */
#define LOCAL_TAKE 10u
#define LOCAL_ACK_MAX 200u                /* pecks of one acknowledgement */
#define LOCAL_FILTER_MAX 64u              /* scopes that a take wants, and that it does not want */
#define LOCAL_HANDLERS_MAX 64u            /* that a runner reports */

struct local_api;

/* What the node around the agent counts. */
struct local_figures {
    uint64_t inbox_messages;
    uint64_t refused[INTAKE_VERDICTS];
};

struct local_api_settings {
    const char *socket_path;
    const char *store_path;               /* for the readers */
    struct inbox *inbox;
    struct transport *transport;          /* for peers; may be NULL in tests */
    struct roster *roster;                /* the same */
    struct id node;
    struct bytes network, node_chain, display_name;
    const char *version, *gateway_url;    /* no gateway: empty */
    const char *gateway_url_file;         /* while it is there, its line is the URL; NULL: none */
    const char *const *listening;         /* "tcp://host:port", for status */
    size_t listening_count;
    size_t readers;                       /* threads: 1 or 2 */
    /* Status figures, kept by the loop; called on readers. */
    void (*figures)(void *context, struct agent_figures *figures, struct local_figures *node);
    bool (*gateway_is_up)(void *context);
    void (*stop)(void *context);          /* StopOrder */
    void *context;
};

int local_api_open(struct local_api **opened, const struct local_api_settings *settings);
void local_api_close(struct local_api *api); /* NULL is fine */

/* Called by the loop once a turn, after the commit: EFFECT_REPLY, _PECK_CHANGED, _BOND_CHANGED, _RECORD_CHANGED,
 * _MEMBER_CHANGED and _TIER_CHANGED are told, others passed over. Copies what it keeps. */
void local_api_perform(struct local_api *api, const struct effect *effects, size_t count);
void local_api_flush(struct local_api *api); /* once a turn: sends what was queued */

/* From the loop's thread: would an event of this duckling be heard? And how many have begun to follow so
 * far; the inbox is poked for each. */
bool local_api_is_followed(struct local_api *api, const struct id *duckling);
uint64_t local_api_follows_begun(const struct local_api *api);

/* From any thread: a link came up or went. Told to those who follow the whole node. */
void local_api_link_changed(struct local_api *api, const struct id *node, bool up);

#endif
