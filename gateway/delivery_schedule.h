/* delivery_schedule: when a delivery is tried, and when it is given up.
 *
 * At once, then 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h after the attempt before
 * (the schedule of Standard Webhooks 1.0, "Retries"), each with up to a tenth more, so that what
 * failed together does not come back together. A receiver may ask for more time (Retry-After), not
 * for less, and for a day at most. No clock and no dice of its own. */
#ifndef DUCK_GATE_DELIVERY_SCHEDULE_H
#define DUCK_GATE_DELIVERY_SCHEDULE_H

#include "core/dice.h"

#define DELIVERY_ATTEMPTS_MAX 10u
#define DELIVERY_JITTER_PART 10u /* at most a tenth of the wait more */
#define DELIVERY_RETRY_AFTER_MAX_MS (24 * 60 * 60 * 1000ull)

/* What an attempt came to. */
struct delivery_outcome {
    unsigned status;         /* of the answer; 0: there was none */
    uint64_t retry_after_ms; /* that it asked for; 0: none */
};

enum delivery_verdict {
    DELIVERY_DONE,  /* an answer of 200 to 299 */
    DELIVERY_AGAIN, /* at *due_ms */
    DELIVERY_DEAD,  /* that was the last attempt */
    DELIVERY_GONE,  /* 410: the receiver wants no more of this webhook */
};

/* `attempt`: how many were made, this one included. Redirects are failures like any other. */
enum delivery_verdict delivery_judge(unsigned attempt, const struct delivery_outcome *outcome,
                                     uint64_t now_ms, struct dice *dice, uint64_t *due_ms);

/* The wait before attempt `attempt` (from 1), without what is added by chance. */
uint64_t delivery_wait_ms(unsigned attempt);

#endif
