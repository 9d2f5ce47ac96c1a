/* perch: what this node holds for others that are away, without its bytes, which the store has.
 *
 * Bounded by PERCH_BYTES_MAX in all and PERCH_OWNER_BYTES_MAX for one owner, each entry counting for
 * PERCH_ENTRY_BYTES_MIN at least, and in time by the date that came with it. Where there is no more
 * room, whoever brought most makes it: of the depositor that has most there (of the whole, or of
 * what is for that owner) the newest go, as long as it has more than the newcomer would. So nobody who
 * has less than an even share is ever driven out, and who fills a perch fills his own share.
 *
 * No clock, no disk: entries that are to be dropped are told. */
#ifndef DUCK_CORE_PERCH_H
#define DUCK_CORE_PERCH_H

#include "id.h"
#include "limits.h"
#include "moment.h"

struct perch;

struct perch_entry {
    struct id name, owner, from; /* from: the node that brought it */
    uint64_t number;             /* in order of arrival, from 1 */
    uint64_t not_after_ms;       /* wall */
    size_t size;                 /* bytes, of what is sealed */
};

struct perch_settings {
    size_t bytes_max;            /* 0: PERCH_BYTES_MAX */
    size_t owner_bytes_max;      /* 0: PERCH_OWNER_BYTES_MAX */
};

enum perch_verdict {
    PERCH_HELD,
    PERCH_KNOWN,      /* it is held already, by that name */
    PERCH_TOO_LARGE,  /* PERCH_SEALED_MAX, or nothing at all */
    PERCH_EXPIRED,    /* its time is over, or longer than PECK_LIFE_MAX_MS */
    PERCH_FULL,       /* and nobody there has more than who brings it would */
};
const char *perch_verdict_code(enum perch_verdict verdict); /* as in a DepositedFrame; "" when it is held */

struct perch *perch_new(const struct perch_settings *settings);
void perch_free(struct perch *perch); /* NULL is fine */

/* `entry->number` is set when it is held. `evicted` gets the numbers of those that made room, at most
 * PERCH_EVICTED_MAX; unless it is held, none. */
enum perch_verdict perch_offer(struct perch *perch, struct perch_entry *entry, uint64_t wall_ms,
                               uint64_t *evicted, size_t *evicted_count);
void perch_restore(struct perch *perch, const struct perch_entry *entry); /* in order of their numbers */

/* The next of `owner` with a number above `after`; false: none. */
bool perch_next(const struct perch *perch, const struct id *owner, uint64_t after,
                struct perch_entry *entry);

/* Its owner has it. False: no such entry. */
bool perch_settle(struct perch *perch, const struct id *owner, const struct id *name,
                  uint64_t *number);
bool perch_poll_expired(struct perch *perch, uint64_t wall_ms, uint64_t *number); /* and forgets it */
uint64_t perch_wake_at_ms(const struct perch *perch, const struct moment *at); /* steady */

size_t perch_count(const struct perch *perch);
size_t perch_bytes(const struct perch *perch);  /* as they are, sealed */
size_t perch_owners(const struct perch *perch); /* for whom something is held */

#endif
