/* membership: the word of an operator that this node belongs to a closed fleet, as `ducknode operator sign NODE --out FILE`
 * writes it. It is no secret. */
#ifndef DUCK_NODE_MEMBERSHIP_H
#define DUCK_NODE_MEMBERSHIP_H

#include "core/fleet.h"

struct membership {
    struct arena memory;
    struct fleet fleet;                  /* whom this node takes for a member */
    struct bytes voucher, voucher_chain; /* of this node; empty: it shows none */
    uint64_t not_after_ms;               /* of that */
};

/* All takes less than this, so that it fits into a node record. */
#define MEMBERSHIP_SIZE_MAX 1024u

/* Of the file: form and signature. False: `problem` says why, in a sentence. */
bool membership_read(struct membership *membership, const char *path, char problem[256]);

/* Is it this node's, and of an operator of the fleet? NULL: yes, or nothing is asked. */
const char *membership_lacks(const struct membership *membership, const struct id *node,
                             struct bytes network, uint64_t wall_ms);
void membership_free(struct membership *membership);

#endif
