/* pond: N whole agents in one thread, on one made-up clock, network and disk.
 *
 * What a node does around its agent (node/loop.c, perform.c, transport.c, store.c) is done here on
 * made-up time; the agents, intake, signatures and records are the real ones. One seed gives one
 * pond, to the byte: pond_trace_hash of two runs with the same wish is the same.
 *
 * Laws are checked while it runs; the first broken one stops the pond, and pond_broken says which,
 * when, what came before, and how to see it again. Method: deterministic simulation with swarm
 * testing (Groce et al., 2012). */
#ifndef DUCK_TESTS_POND_H
#define DUCK_TESTS_POND_H

#include "core/agent.h"

#include <stdio.h>

enum fault {                     /* bits of pond_wish.faults */
    FAULT_LOSS = 1 << 0,         /* a frame that a full queue did not take */
    FAULT_DELAY = 1 << 1,        /* slow links, and links of different speed */
    FAULT_DUPLICATE = 1 << 2,    /* a frame comes twice */
    FAULT_PARTITION = 1 << 3,    /* two groups, one node alone; both ways or one */
    FAULT_CLOG = 1 << 4,         /* all that goes to or from a node takes seconds */
    FAULT_PAUSE = 1 << 5,        /* a node stands still for 1 to 30 s, then gets all at once */
    FAULT_CRASH = 1 << 6,        /* the process ends, also in the middle of a turn, and starts again */
    FAULT_POWER = 1 << 7,        /* the machine ends: what was not synced may be gone, links stay half open */
    FAULT_CLOCK = 1 << 8,        /* wall clocks differ by up to 2 min, and jump */
    FAULT_DISK = 1 << 9,         /* no turn can be kept for a while */
    FAULT_SLOW = 1 << 10,        /* turns take a while, so that messages gather */
    FAULT_ALL = (1 << 11) - 1,
};

enum habit {                     /* bits of pond_wish.habits: what hostile nodes do */
    HABIT_FORGE = 1 << 0,        /* changed records; records of others, signed by oneself */
    HABIT_REPLAY = 1 << 1,       /* old versions, old pecks, old receipts */
    HABIT_EQUIVOCATE = 1 << 2,   /* two records of one version, one to each half */
    HABIT_FLOOD = 1 << 3,        /* records, identities, frames without sense */
    HABIT_ECLIPSE = 1 << 4,      /* surround one victim, tell it of made-up nodes, withhold all others */
    HABIT_LIE = 1 << 5,          /* in probes, comparisons and fetches: too little, too much, nothing true */
    HABIT_ACCUSE = 1 << 6,       /* whoever answers; of versions old, held, and never published */
    HABIT_FLY = 1 << 7,          /* records that end soon, and then older ones of their name */
    HABIT_PECK = 1 << 8,         /* pecks without a bond, beyond it, after it, in others' names, again */
    HABIT_REVOKE = 1 << 9,       /* hatches, and revokes when all know it: no offence, but its way is followed */
    HABIT_CONTRADICT = 1 << 10,  /* rotates a duckling's key twice, and tells one half this and the other half that */
    HABIT_ALL = ((1 << 9) - 1) | HABIT_CONTRADICT,
};

struct pond_wish {
    uint64_t seed;
    size_t nodes, hostile, ducklings;
    unsigned faults, habits;     /* which may be drawn; the seed draws which are, and how often */
    uint32_t loss_ppm;           /* of frames, always; beside what the faults draw */
    uint32_t latency_us;         /* one way, of the middle link; 0: 10 ms */
    uint32_t changes_per_minute; /* of tracked changes of records, in the whole pond */
    bool pecks;                  /* ducklings ask, approve, take and answer, while faults go on */
    bool perches;                /* all hold pecks for who is away, and choose who holds theirs */
    bool siege;                  /* all hostile nodes are around the first node */
    bool steady;                 /* faults are as wished, not drawn: all that are named happen */
    bool trace;                  /* every line to `out` */
    bool story;                  /* lines are kept for pond_story, with what each node learns */
    FILE *out;                   /* of `trace`; NULL: stdout */
    size_t seeds_known;          /* how many others each node is told of at birth; 0: one or two */
};

struct pond;

struct pond *pond_new(const struct pond_wish *wish);
void pond_free(struct pond *pond); /* NULL is fine */

/* Goes on for so long. False when a law is broken: now, or before. */
bool pond_run(struct pond *pond, uint64_t ms);
uint64_t pond_now_ms(const struct pond *pond);

/* Faults begin with pond_begin_faults; pond_end_faults heals all: paths, clocks, disks, and who was
 * down starts. From then on no order is given; hostile nodes go on. */
void pond_begin_faults(struct pond *pond);
void pond_end_faults(struct pond *pond);

void pond_begin_changes(struct pond *pond); /* those of pond_wish.changes_per_minute */

/* All healthy nodes hold the same records; `*why` says what differs. */
bool pond_agrees(struct pond *pond, char why[256]);

/* Each healthy node holds all others for alive. */
bool pond_sees_all(struct pond *pond, char why[256]);

/* Runs until all healthy nodes hold what each of them says of itself and its ducklings, while hostile
 * nodes go on; then these rest, and it runs until both of the above, at most so long. Else a law is
 * broken. */
bool pond_run_until_agreed(struct pond *pond, uint64_t ms);

/* By the first broken law: a text of several lines; NULL: none. */
const char *pond_broken(const struct pond *pond);
uint64_t pond_trace_hash(const struct pond *pond);

/* ---- for stories: single nodes, by their place from 0 ---- */

#define ALICE 0u
#define BOB 1u
#define CAROL 2u

void pond_stop(struct pond *pond, size_t node, bool power_cut);
void pond_start(struct pond *pond, size_t node);
void pond_pause(struct pond *pond, size_t node, uint64_t ms);
void pond_split(struct pond *pond, const size_t *side, size_t count, bool one_way);
void pond_cut_off(struct pond *pond, size_t node, const size_t *from, size_t count); /* but from no others */
void pond_heal(struct pond *pond);
void pond_hatch(struct pond *pond, size_t node, const char *name);
void pond_rename(struct pond *pond, size_t node, const char *name); /* its first duckling */
size_t pond_records(const struct pond *pond, size_t node);
size_t pond_links(const struct pond *pond, size_t node);
struct version pond_version(const struct pond *pond, size_t holder, size_t owner); /* of a node record */
void pond_vouch(struct pond *pond, size_t node); /* an operator, for its first duckling */
void pond_withdraw(struct pond *pond, size_t node, size_t owner); /* that, by way of `node` */
size_t pond_vouched(struct pond *pond, size_t node); /* vouchers that count there */
const char *pond_story(struct pond *pond); /* lines since the last call, or since the pond began */
/* A record of `owner` as `liar` would change it comes to `node` over their link. */
void pond_forge(struct pond *pond, size_t liar, size_t owner, size_t node);
uint64_t pond_refused(const struct pond *pond, size_t node); /* frames whose intake said no */

/* ---- for stories of who is away ---- */

#define POND_THREADS_MAX 256u

size_t pond_perches(struct pond *pond, size_t owner, size_t perches[NODE_PERCHES_MAX]); /* that its record names */
void pond_let_perch_lie(struct pond *pond, size_t node); /* from now on: drops, changes, doubles, turns round */
void pond_peck(struct pond *pond, size_t from, size_t duckling, size_t to, const char *thread,
               uint64_t expires_in_ms); /* an action, of that duckling to the first of `to`'s */
size_t pond_perched(const struct pond *pond, size_t node); /* that it holds for others */

struct pond_pecks {              /* of those that left a node */
    size_t sent, came, held, expired;
    size_t lost;                 /* did not come, and their sender was told nothing */
    size_t disordered;           /* came after a later one of their thread */
};
void pond_count_pecks(const struct pond *pond, size_t from, size_t to, struct pond_pecks *counts); /* adds */

/* ---- for stories of a stolen key: that of a node's first duckling ---- */

struct theft;
struct theft *pond_steal(struct pond *pond, size_t node);
void theft_free(struct theft *theft);
size_t pond_fooled(const struct pond *pond, const struct theft *theft); /* nodes that would take its pecks now */
/* Who has its next key too makes a second certificate of that number, and tells this node's neighbours. */
void pond_fork(struct pond *pond, size_t from, const struct theft *theft);
size_t pond_believers(const struct pond *pond, const struct theft *theft); /* nodes that hold anything of it */
bool theft_is_early_provable(struct pond *pond, size_t node, const struct theft *theft);
/* A peck under the stolen key to `to`'s first duckling, if the thief's node is linked with it. */
void pond_peck_as(struct pond *pond, size_t thief, struct theft *theft, size_t to);
size_t pond_taken_of(struct pond *pond, const struct theft *theft, size_t node); /* of its pecks, that are kept there */
void pond_revoke(struct pond *pond, size_t node);
void pond_rotate(struct pond *pond, size_t node);
void pond_rotate_as(struct pond *pond, size_t node, const struct theft *theft); /* by who has the live key */
size_t pond_certificates(struct pond *pond, size_t node);

/* ---- figures ---- */

struct pond_figures {
    size_t healthy, records_min, records_max;
    size_t degree_min, degree_max;
    double degree_mean;
    uint64_t frames, bytes, turns, happenings; /* bytes with the headers that a wire would add */
    double bytes_per_node_s_mean, bytes_per_node_s_max; /* since pond_figures_begin */
    size_t changes, changes_whole;             /* tracked; and held by every healthy node */
    double copies_mean;                        /* of one change, that one node got */
    uint64_t half_ms, most_ms, all_ms;         /* worst of the changes: until 50 %, 99.9 %, all hold it */
    double half_ms_mean, most_ms_mean, all_ms_mean;
    unsigned hops_max;
    uint64_t suspected, false_deaths, false_ms; /* nodes that were well, by nodes that were; and for how long dead */
    uint64_t held_dead_ms;                     /* the longest that one was held dead while both were well */
    uint64_t heard_ms;                         /* how long it took, after faults, with foxes about */
    uint64_t agreed_at_ms;                     /* when all agreed first, MOMENT_NEVER: not yet */
    uint64_t refused_frames, offences, lost, dials, dials_failed;
    uint64_t crashes, power_cuts, pauses, partitions, clogs, jumps, disks_full, duplicates;
    uint64_t pecks, handed_out, answered;
    uint64_t revoked;                          /* ducklings of honest nodes: so many orders */
    uint64_t partials, answers_in_parts, cancelled; /* as they came to whoever asked */
    uint64_t brought, collected;               /* pecks to perches; and from them, opened by their owners */
    uint64_t grants, grants_revoked, pecks_granted; /* revoked by a peck that was answered */
    uint64_t lobsters_live;      /* said so by the end that began it: anew after each renewal */
    uint64_t contexts, contexts_revoked;       /* issued, or issued anew */
    uint64_t pecks_under, pecks_under_stolen;  /* kept under one; whose key foxes have, so anybody may have said it */
    uint64_t fox_pecks, fox_pecks_covered, fox_pecks_handed_out; /* of hostile senders: kept; under a bond */
    uint64_t contradicted;                     /* identities in quarantine at the first node, in the end */
    uint64_t vouchers, vouchers_void;          /* held in the end; of these such as were taken back */
    uint64_t opened, opened_again;             /* frames whose intake ran; that a cache answered */
};
void pond_figures(struct pond *pond, struct pond_figures *figures);
void pond_figures_begin(struct pond *pond); /* rates are counted from here */

#endif
