/* tiers: what this node takes its own ducklings for, and the events that say so when it changes.
 *
 * A tier is computed from evidence (lib/core/tier.h, store_weigh_hosted). It is weighed anew when
 * something came or went that it may rest on, and when the first piece of it ends: never all of them
 * at once. What was told last is kept, so each change is told once, also after a restart; one that
 * nobody follows waits for the first who does, and what changed and changed back is nothing to tell.
 * Nor is what went with a directory that had to be made anew, until it is back or could not be any more.
 *
 * Belongs to the loop's thread. */
#ifndef DUCK_NODE_TIERS_H
#define DUCK_NODE_TIERS_H

#include "store.h"

#define TIERS_AT_ONCE 256u                  /* ducklings weighed in one turn: some 20 us each */
#define TIERS_AT_START_MS (5 * SECOND_MS)   /* what gossip brings in that time is no change */

struct tiers;

struct tiers *tiers_new(struct store *store);
void tiers_free(struct tiers *tiers); /* NULL is fine */

/* As the store has them; at the start, and after a turn that was undone. */
int tiers_restore(struct tiers *tiers);
void tiers_rest(struct tiers *tiers, uint64_t until_ms); /* steady: nothing is weighed before */

/* Of each effect that was kept: whose tier may it change? */
void tiers_note(struct tiers *tiers, const struct effect *effect);

/* Somebody follows who did not before. */
void tiers_may_be_heard(struct tiers *tiers);

/* After the agent has settled, in the same turn: adds EFFECT_KEEP_TIER and EFFECT_TIER_CHANGED.
 * Returns a fault when something could not be read. */
struct tiers_turn {
    const struct moment *at;
    bool (*is_followed)(void *context, const struct id *duckling);
    void *context;
    struct effects *effects;
};
int tiers_settle(struct tiers *tiers, const struct tiers_turn *turn);
uint64_t tiers_wake_at_ms(const struct tiers *tiers, const struct moment *at); /* steady */
bool tiers_some_are_unheard(const struct tiers *tiers);

#endif
