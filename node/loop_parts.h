/* loop_parts: what the loop's own files share. Nobody else includes it. */
#ifndef DUCK_NODE_LOOP_PARTS_H
#define DUCK_NODE_LOOP_PARTS_H

#include "loop.h"
#include "perform.h"

#include <pthread.h>

struct syncer;
struct tiers;

/* One turn, from the messages that it answers to what it does about them. */
struct turn {
    struct moment at;
    struct message *messages, *last;
    size_t message_count;
    struct effects effects; /* borrow from the messages */
    size_t kept, early;     /* effects looked through so far: to be kept; that may leave at once */
    bool begun;
    bool open;     /* a transaction is */
    bool promises; /* keeps what must be on disk before others hear of the turn */
    int fault;
};

struct joined {
    struct id node; /* zero: whoever answers */
    char address[ADDRESS_MAX + 1];
};

/* What waits until the agent has heard the others. */
struct held_back {
    struct message *first, *last;
    size_t count, bytes;
    bool some_lost;
};

struct loop {
    struct loop_settings settings;
    struct agent *agent; /* NULL until loop_run has read the store */
    struct bytes addresses[NODE_ADDRESSES_MAX];
    struct id perches[NODE_PERCHES_MAX];
    struct arena kept;     /* what they are in */
    struct message *start; /* the first turn's */
    struct turn turns[2];  /* one is decided while the other waits for its sync */
    struct turn *current;  /* takes what comes */
    struct turn *syncing;  /* the other one, or NULL */
    struct syncer *syncer, *carrier;
    struct tiers *tiers;
    uint64_t follows_begun; /* that tiers know of */
    struct effects unheard; /* of restoring: nobody carries them out */
    struct performer performer;
    struct held_back held_back;
    struct bytes node_chain; /* owned: after a rotation in this life */
    uint64_t prune_wall_ms;  /* when the audit log is looked through for what is old */
    uint64_t partials_wall_ms,
        partials_place; /* the same of parts of answers, and how far that is */
    struct arena scratch;
    bool disk_full, members_changed;
    unsigned small_turns; /* since the last large one, as far as it matters */
    uint64_t rest_until_ms; /* steady: after a turn that was undone */
    uint64_t turns_undone, undoing_ms;
    struct joined joined[GOSSIP_SEEDS_MAX]; /* joined again by each agent that is born */
    size_t joined_count;
    uint64_t roster_ms;   /* steady: when the roster was brought up to date */
    pthread_mutex_t lock; /* of figures */
    struct agent_figures figures;
};

/* Puts into the message what the store knows of it, before the agent decides: whether a peck was here before, its
 * thread, who may say what; and what only this process can open. */
void loop_look_up(struct loop *loop, struct message *message);

/* Keeps what must wait until the agent has heard the others; gives back the rest. And what need not wait any more. */
struct message *loop_hold_back(struct loop *loop, struct message *messages);
struct message *loop_let_go(struct loop *loop);

#endif
