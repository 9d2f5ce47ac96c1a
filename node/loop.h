/* loop: the one thread that decides.
 *
 * It takes what is in the inbox, steps the agent through it, keeps the turn in one transaction,
 * and only then lets it out: to other nodes, to the local API. While one turn waits for the disk the
 * next is decided as it comes, and ends when the disk is free again; so one sync serves many when there
 * is much to do. */
#ifndef DUCK_NODE_LOOP_H
#define DUCK_NODE_LOOP_H

#include "inbox.h"
#include "local_api.h"
#include "roster.h"
#include "store.h"
#include "transport.h"

struct loop;

struct loop_settings {
    struct agent_settings agent; /* dice_seed is the loop's business */
    struct id node;
    struct store *store;
    struct inbox *inbox;
    struct transport *transport;
    struct roster *roster;           /* kept up to date */
    uint64_t session_rotate_wall_ms; /* then the sessions' static key is replaced */
    uint64_t audit_life_ms;          /* older pages of the audit log are cut off; 0: none are */
    struct intake *intake;           /* the loop's own, for what is under a seal; NULL: perches are not used */
    struct identity_key *node_key;   /* the agent's, to be replaced when it is rotated */
    int (*keep_chain)(void *context, struct bytes chain); /* of the node, and the key that was prepared (keyfile.h);
                                                             NULL: the node cannot be rotated */
    /* Of a duckling whose next key is sealed, or lies in the store (`sealed` is empty: seeds[0] of the order is it then):
     * opens it, and makes the one after, for rotate.by_node. False: it cannot. NULL: nothing can. */
    bool (*open_next)(void *context, struct bytes sealed, struct order *order, struct arena *arena);
    void (*outgrown)(void *context, struct bytes chain); /* EFFECT_OUTGROWN; may be NULL */
    void (*stop)(void *context);     /* EFFECT_STOP: begins the node's orderly end; NULL: nothing does */
    void *context;
};

/* All pointers are borrowed for the loop's life, but for the agent's addresses and perches. */
int loop_new(struct loop **made, const struct loop_settings *settings);
void loop_free(struct loop *loop); /* NULL is fine */

/* Who gets replies and events; before loop_run, or never (tests). */
void loop_attach(struct loop *loop, struct local_api *api);

/* Restores the agent from the store, while what comes waits in the inbox and readers answer. Then
 * runs until the inbox is closed and empty: FAULT_NONE. A store that can no longer be trusted ends
 * it at once: FAULT_STORE; nothing was acknowledged that is not on disk. */
int loop_run(struct loop *loop);

/* From any thread. */
void loop_figures(struct loop *loop, struct agent_figures *figures);

#endif
