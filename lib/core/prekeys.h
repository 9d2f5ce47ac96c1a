/* prekeys: the keys that pecks for this node are sealed to while it is away.
 *
 * One a day, published in the node record. The secret is kept for PRE_KEY_KEPT_MS, so that whatever
 * was sealed to it can be opened until its time is over; then it is wiped, and what a perch may have
 * copied can be opened by nobody any more. */
#ifndef DUCK_CORE_PREKEYS_H
#define DUCK_CORE_PREKEYS_H

#include "limits.h"
#include "moment.h"
#include "noise.h"

#define PRE_KEY_HINT_SIZE 8 /* bytes of a public key, by which it is found */

struct pre_key {
    struct noise_pair pair;
    uint64_t made_ms; /* wall */
};

struct prekeys;

struct prekeys *prekeys_new(void);
void prekeys_free(struct prekeys *prekeys); /* NULL is fine; wipes */

/* The oldest gives way at PRE_KEYS_MAX. False: it is there already. */
bool prekeys_add(struct prekeys *prekeys, const uint8_t secret[NOISE_KEY_SIZE], uint64_t made_ms);

size_t prekeys_count(const struct prekeys *prekeys);
const struct pre_key *prekeys_newest(const struct prekeys *prekeys); /* NULL: none */
const struct pre_key *prekeys_find(const struct prekeys *prekeys,
                                   const uint8_t hint[PRE_KEY_HINT_SIZE]); /* or NULL */

/* Is it time for another? Also when the newest is of the future: the clock was set back. */
bool prekeys_are_due(const struct prekeys *prekeys, uint64_t wall_ms);

/* Wipes the next one whose time is over, and says which it was; false: none. */
bool prekeys_forget_next(struct prekeys *prekeys, uint64_t wall_ms, uint8_t public[NOISE_KEY_SIZE]);
uint64_t prekeys_next_ms(const struct prekeys *prekeys); /* wall: of either of the above; MOMENT_NEVER */

#endif
