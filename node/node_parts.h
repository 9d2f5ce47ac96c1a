/* node_parts: what node.c and its parts share. Nobody else includes it. */
#ifndef DUCK_NODE_NODE_PARTS_H
#define DUCK_NODE_NODE_PARTS_H

#include "core/intake.h"
#include "inbox.h"
#include "keyfile.h"
#include "local_api.h"
#include "loop.h"
#include "membership.h"
#include "options.h"
#include "store.h"
#include "supervisor.h"
#include "transport.h"

#include <pthread.h>
#include <stdatomic.h>

#define WORKERS 2u /* signature checks: the dear part of a peck */

struct node {
    const struct options *options;
    char name[NAME_MAX_BYTES + 1]; /* as configured, or else as certified */
    int lock;                      /* of the state folder */
    struct keyfile *keyfile;
    uint8_t seal_key[SEAL_KEY_SIZE]; /* for next keys of ducklings */
    struct identity_key *key;
    struct bytes chain; /* owned */
    struct id id;
    struct membership membership;
    struct noise_pair session_pair;
    uint64_t session_not_after_ms;
    char store_path[OPTIONS_PATH_SIZE + 16];
    struct store *store;
    struct inbox *inbox;
    struct roster *roster;
    struct transport *transport;
    struct loop *loop;
    struct local_api *api;
    pthread_mutex_t api_lock; /* of `api`: links come and go before it is there and after it is gone */
    struct supervisor *supervisor;         /* of the gateway */
    struct supervisor *handler_supervisor; /* of what runs handlers */
    struct keyring *keyring;
    struct seen *seen, *held_good;
    atomic_uint_fast64_t frames_over_quota;
    struct quota *news_quota, *asked_quota; /* under the keyring's lock, too */
    pthread_mutex_t keyring_lock;
    struct intake *intakes[WORKERS + 1]; /* the last: the loop's */
    char gateway_url[OPTIONS_URL_SIZE + 8];
    char gateway_url_file[OPTIONS_PATH_SIZE + 16]; /* the gateway writes it; it knows its port */
    char listening[NODE_ADDRESSES_MAX][OPTIONS_ADDRESS_SIZE]; /* "tcp://host:port" */
    pthread_t loop_thread;
    bool loop_runs;
    int loop_fault;
    atomic_bool outgrown; /* the network says that node.key was rotated elsewhere */
};

/* ---- who this node is (node_identity.c); each logs its fault ---- */

int node_open_identity(struct node *node);
int node_open_membership(struct node *node); /* of the fleet that the configuration names, if one */
void node_make_session_key(struct node *node);

/* For the loop: the chain that a rotation made, and the key that a duckling's owner left to this node. Their
 * `context` is the node. */
int node_keep_chain(void *context, struct bytes chain);
bool node_open_next(void *context, struct bytes sealed, struct order *order, struct arena *arena);

/* ---- what links bring (node_links.c) ---- */

void node_open_intakes(struct node *node);
int node_open_transport(struct node *node);

#endif
