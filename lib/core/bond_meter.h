/* bond_meter: what was used under one bond, and whether its terms allow more.
 *
 * Days and cool-downs are measured by the date, the rate by the steady clock. What must survive a
 * restart (struct bond_use, the threads) is marked as changed, for whoever keeps it; the rate begins
 * anew. Only what the terms limit is counted: a bond without limits costs nothing. */
#ifndef DUCK_CORE_BOND_METER_H
#define DUCK_CORE_BOND_METER_H

#include "bond_terms.h"
#include "moment.h"

enum bond_verdict {
    BOND_ADMITS,
    BOND_COVERS_NOT,   /* no bond covers the action by its scopes */
    BOND_MUTED,
    BOND_RATE,
    BOND_DAILY,
    BOND_BUDGET,
    BOND_ROUNDS,       /* the thread has had its rounds, for good */
    BOND_COOLING_DOWN, /* the same, for a while */
    BOND_STOP_WORD,
    BOND_VERDICTS,
};

const char *bond_verdict_code(enum bond_verdict verdict); /* "bond_rate", …; stable */
const char *bond_verdict_text(enum bond_verdict verdict);

struct bond_use {
    uint64_t day;        /* of UTC since 1970, of… */
    uint64_t used_today; /* actions */
    uint64_t spent;      /* units, of the budget */
};

#define BOND_THREAD_NAME_SIZE 16u

struct bond_thread {
    uint8_t name[BOND_THREAD_NAME_SIZE]; /* begin of the hash of what the pecks call it */
    uint32_t rounds;
    uint64_t used_ms; /* wall: its last round */
};

struct bond_meter {
    struct bond_use use;
    uint64_t rate_due_us;        /* steady: GCRA's theoretical arrival time */
    struct bond_thread *threads; /* owned; BOND_THREADS_MAX at most */
    size_t thread_count;
    bool use_changed;
    uint32_t threads_changed;    /* bit: its place */
    uint64_t tell_at_ms[BOND_VERDICTS]; /* steady: of this it is not told again before */
};

void bond_meter_end(struct bond_meter *meter); /* frees what it owns */

/* Would this action go through? A try uses up its part of the rate, even if it then fails for another
 * reason: judging costs. `*retry_after_ms` 0: no use, or not known. */
enum bond_verdict bond_meter_judge(struct bond_meter *meter, const struct bond_terms *terms,
                                   struct bytes payload, struct bytes thread,
                                   const struct moment *at, uint64_t *retry_after_ms);

/* The same, of nothing but the rounds: what the requester's own node looks at. */
enum bond_verdict bond_meter_judge_rounds(const struct bond_meter *meter,
                                          const struct bond_terms *terms, struct bytes thread,
                                          uint64_t wall_ms, uint64_t *retry_after_ms);

void bond_meter_count_action(struct bond_meter *meter, const struct bond_terms *terms,
                             uint64_t wall_ms);
void bond_meter_charge(struct bond_meter *meter, const struct bond_terms *terms, uint64_t units);

/* True: that was the last round, and it was not the last before. The thread that was used least
 * lately makes room, one with rounds left first: a thread that is over is not forgotten for others'
 * sake. */
bool bond_meter_count_round(struct bond_meter *meter, const struct bond_terms *terms,
                            struct bytes thread, uint64_t wall_ms);

void bond_meter_restore_thread(struct bond_meter *meter, size_t place,
                               const struct bond_thread *thread);

#endif
