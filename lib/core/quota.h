/* quota: how much each neighbour may make us look at: a token bucket for each of them.
 *
 * Bounded: at its size the neighbour that was idle longest is forgotten, and begins with a full
 * bucket when it comes again. Not thread-safe. */
#ifndef DUCK_CORE_QUOTA_H
#define DUCK_CORE_QUOTA_H

#include "id.h"

struct quota;

struct quota *quota_new(size_t neighbours_max, uint64_t per_s, uint64_t burst);
void quota_free(struct quota *quota); /* NULL is fine */

/* Takes `amount` from the neighbour's bucket. False, and nothing is taken: there is not enough. A
 * clock that was set back fills no bucket. */
bool quota_take(struct quota *quota, const struct id *neighbour, uint64_t amount, uint64_t now_ms);

/* Puts back what was taken for something that then did not happen. */
void quota_give_back(struct quota *quota, const struct id *neighbour, uint64_t amount, uint64_t now_ms);

#endif
