/* deposits: which perches our pecks for nodes that are away were brought to, and which hold them.
 *
 * A deposit's name is a hash of the peck's whole hash and the perch: the same whenever it is brought
 * again, another at each perch; who does not know the peck cannot make a peck of it. */
#ifndef DUCK_CORE_DEPOSITS_H
#define DUCK_CORE_DEPOSITS_H

#include "id.h"
#include "limits.h"

struct deposits;

struct deposits *deposits_new(size_t pecks_max);
void deposits_free(struct deposits *deposits); /* NULL is fine */

struct id deposit_name(const struct hash *peck, const struct id *perch);

/* Is this peck to be brought to that perch now? Not when it holds it, was asked within
 * DEPOSIT_ANSWER_MS, refused within DEPOSIT_REFUSED_MS, when PERCHES_PER_PECK others have it, or there
 * are too many. When yes, it counts as asked. */
bool deposits_bring(struct deposits *deposits, const struct hash *peck, const struct id *perch,
                    uint64_t now_ms);

/* The perch says so. False: nothing changes by it (it was not asked, or is known to hold it). */
bool deposits_answer(struct deposits *deposits, const struct id *name, const struct id *perch,
                     bool is_held, uint64_t now_ms, struct id *peck);

/* Of an earlier life: it is held there. */
void deposits_restore(struct deposits *deposits, const struct hash *peck, const struct id *perch);
void deposits_forget(struct deposits *deposits, const struct id *peck);

size_t deposits_held_by(const struct deposits *deposits, const struct id *peck,
                        struct id perches[PERCHES_PER_PECK]);
size_t deposits_count(const struct deposits *deposits); /* pecks that were brought to some perch */

#endif
