/* rate: how often each caller called, and whether it may once more.
 *
 * The generic cell rate algorithm (GCRA) in its form of virtual scheduling: ITU-T I.371, annex A;
 * ATM Forum AF-TM-0121, section 4.4.2. One number for each caller: when its quota is whole again. A
 * quota of N a minute is N calls at once, and then one each 60/N seconds. A refused call costs
 * nothing.
 *
 * The table is bounded, and forgetting must not be a way to a fresh quota. Who is whole again is
 * forgotten first: nothing is lost by that. Where nobody is, a newcomer takes over the place of the
 * least indebted, with its debt, as in the space-saving sketch (Metwally, Agrawal, El Abbadi: Efficient
 * computation of frequent and top-k elements in data streams, ICDT 2005): what is left of its quota,
 * when the forgotten one returns, is never more than it would have been.
 *
 * No clock and no lock of its own. */
#ifndef DUCK_GATE_RATE_H
#define DUCK_GATE_RATE_H

#include "core/bytes.h"

#define RATES_KEY_SIZE 16 /* crypto_shorthash_KEYBYTES */
#define RATES_PLACES 8    /* where a caller may stand; `entries_max` is a multiple of it */

struct rates;

struct rate_answer {
    bool is_taken;
    uint32_t remaining;      /* calls that would be taken right now */
    uint64_t whole_at_us;    /* when all of the quota is there again */
    uint64_t retry_after_us; /* of a refused call; else 0 */
};

/* `key` is chance: without it nobody knows which callers share places. 16 bytes an entry. */
struct rates *rates_new(size_t entries_max, const uint8_t key[RATES_KEY_SIZE]);
void rates_free(struct rates *rates); /* NULL is fine */

/* Charges one call to `caller`. `per_minute` is 1 to RATE_PER_MINUTE_MAX; `now_us` does not run
 * backwards. */
struct rate_answer rates_take(struct rates *rates, struct bytes caller, uint32_t per_minute,
                              uint64_t now_us);

#endif
