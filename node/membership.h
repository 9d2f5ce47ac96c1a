/* membership: the word of an operator that this node belongs to a closed fleet, as `ducknode operator sign NODE --out FILE`
 * writes it. It is no secret. */
#ifndef DUCK_NODE_MEMBERSHIP_H
#define DUCK_NODE_MEMBERSHIP_H

#include "core/fleet.h"

#include <pthread.h>

struct membership {
    struct arena memory;
    pthread_mutex_t lock;                /* of what the fleet knows of withdrawals */
    struct fleet fleet;                  /* whom this node takes for a member */
    struct bytes voucher, voucher_chain; /* of this node; empty: it shows none */
    uint64_t not_after_ms;               /* of that */
};

/* All takes less than this, so that it fits into a node record. */
#define MEMBERSHIP_SIZE_MAX 1024u

void membership_init(struct membership *membership);
void membership_free(struct membership *membership);

/* Of the file: form and signature. False: `problem` says why, in a sentence. */
bool membership_read(struct membership *membership, const char *path, char problem[256]);

/* Is it this node's, and of an operator of the fleet? NULL: yes, or nothing is asked. */
const char *membership_lacks(const struct membership *membership, const struct id *node,
                             struct bytes network, uint64_t wall_ms);

/* What the store knows of withdrawals of the fleet's operators, so that nobody has to say it again. NULL: an open
 * network. A fault. */
struct store;
int membership_recall(const struct fleet *fleet, struct store *store, uint64_t wall_ms);

#endif
