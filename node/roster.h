/* roster: the members as the loop's last turn left them, for whoever asks from another thread.
 *
 * The loop brings it up to date after each turn that may have changed a member. Sorted by id, so that one member is found without looking at the others. */
#ifndef DUCK_NODE_ROSTER_H
#define DUCK_NODE_ROSTER_H

#include "core/agent.h"

struct roster;

struct roster_entry {
    struct agent_member member;
    uint64_t changed_ms; /* wall: when its state became what it is; 0: before this process began */
};

struct roster *roster_new(void);
void roster_free(struct roster *roster); /* NULL is fine */

/* Takes the place of what was there; `members` is sorted in place and copied. */
void roster_update(struct roster *roster, struct agent_member *members, size_t count,
                   uint64_t wall_ms);

/* From any thread. */
bool roster_find(struct roster *roster, const struct id *node, struct roster_entry *entry);
size_t roster_copy(struct roster *roster, struct roster_entry *entries, size_t max);
size_t roster_count(struct roster *roster);
size_t roster_gone(struct roster *roster, struct id *nodes, size_t max); /* dead or left; sorted */
void roster_counts(struct roster *roster, size_t counts[GOSSIP_STATES]);

#endif
