/* moment: the two clocks, and versions.
 *
 * The core never asks the time. It comes in with every event, once: all of a turn happens at one
 * moment. */
#ifndef DUCK_CORE_MOMENT_H
#define DUCK_CORE_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

struct moment {
    uint64_t now_ms;  /* steady, from an arbitrary start: drives timers */
    uint64_t wall_ms; /* Unix time: judges expiry, stamps what is signed */
};

#define MOMENT_NEVER UINT64_MAX

/* A hybrid logical clock (Kulkarni et al., 2014): close to the date, never falling. */
struct version {
    uint64_t ms;
    uint32_t count;
};

/* <0, 0, >0 as `left` is older than, the same as, newer than `right`. */
int version_compare(struct version left, struct version right);

/* The version of the next thing said at `wall_ms`, after `last`. */
struct version version_next(struct version last, uint64_t wall_ms);

#endif
