/* limiter: which limits are in force, who has used how much of them, and of which tier who is.
 *
 * What is published is changed by the configuration, and that by a file of the state folder which
 * `ducknode limits set` writes: words of rate_table.h, one a line, '#' begins a comment. Strangers and
 * bearers have tables of their own, so that no number of addresses crowds out whoever has a key.
 * Thread-safe. */
#ifndef DUCK_GATE_LIMITER_H
#define DUCK_GATE_LIMITER_H

#include "core/id.h"
#include "core/rate_table.h"
#include "rate.h"

#define LIMITER_STRANGERS_MAX 32768 /* address prefixes at once, for each class; 16 bytes each */
#define LIMITER_BEARERS_MAX 32768   /* bearers and classes at once */
#define LIMITER_TIERS_MAX 4096      /* ducklings whose tier is remembered */
#define LIMITER_TIER_FRESH_MS 30000 /* then the node is asked again */
#define LIMITER_TIER_STALE_MS 600000 /* so long it counts if the node does not say */
#define LIMITER_NAME_MAX 32         /* bytes of a caller's name */

struct limiter;

struct limiter_answer {
    enum rate_class class;
    uint32_t tier;
    uint32_t limit;     /* calls a minute; 0: there is no limit, and nothing was counted */
    uint32_t tier_more; /* the lowest that has more; 0: none */
    struct rate_answer rate;
};

/* `set_path`: that file; NULL: none. */
struct limiter *limiter_new(const struct rate_table *configured, const char *set_path);
void limiter_free(struct limiter *limiter); /* NULL is fine */

/* Reads the file if it changed since. One that is not understood, or cannot be read, is told to the
 * log, and what was in force stays so: at the start, what is configured. */
void limiter_reload(struct limiter *limiter);
void limiter_table(struct limiter *limiter, struct rate_table *table); /* what is in force */
bool limiter_has_limits(struct limiter *limiter, enum rate_class class); /* for any tier */

struct limiter_caller {
    bool is_stranger;
    struct bytes name; /* at most LIMITER_NAME_MAX bytes: a prefix, a duckling, an operator */
    uint32_t tier;
};
struct limiter_answer limiter_take(struct limiter *limiter, enum rate_class class,
                                   const struct limiter_caller *caller, uint64_t now_us);
uint64_t limiter_refused(struct limiter *limiter, enum rate_class class); /* since the start */

/* ---- tiers ---- */
enum limiter_memory {
    LIMITER_FRESH,
    LIMITER_STALE, /* to be used if nothing better is had */
    LIMITER_FORGOTTEN,
};
enum limiter_memory limiter_tier(struct limiter *limiter, const struct id *duckling,
                                 uint64_t now_ms, uint32_t *tier);
void limiter_note_tier(struct limiter *limiter, const struct id *duckling, uint32_t tier,
                       uint64_t now_ms);

#endif
