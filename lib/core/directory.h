/* directory: which record of each (owner, kind, key) counts, and whose.
 *
 * Holds what decides (versions, hashes, who hosts whom, counters), not the records' bytes: those are
 * in the store; of node records the content too. No I/O, no time of its own.
 *
 * What is held is a function of the records that were offered, in whatever order they came, so that
 * all nodes agree (as long as the directory is not full):
 *   - A revocation outranks every other record of its owner. Of two the one that ends later is held,
 *     ties by version, then by hash.
 *   - Else of each (owner, kind, key) the newest version, ties by hash.
 *   - Of an owner the RECORDS_PER_OWNER_MAX newest of these. (A sum of bytes cannot be the bound: what
 *     a shrinking record frees would depend on what came before. 17 records have 68 KiB at most.)
 *   - Of an identity whose certificates contradict each other, by a proof that is held (contradiction.h),
 *     nothing is.
 *   - What ended does not come back: see marks.h. Dates are judged before: record_judge_dates.
 * Two records of one version (equivocation) are a proof against their owner, who is quarantined: its
 * records are replaced and relayed as ever, but who searches or routes leaves them out.
 * A full directory takes nobody new, and the last tenth of its places are not for strangers: owners
 * without a live node record here, and without a duckling at a node that has one.
 *
 * At a million records an offer takes a few microseconds; see tests/bench/bench_directory.c. */
#ifndef DUCK_CORE_DIRECTORY_H
#define DUCK_CORE_DIRECTORY_H

#include "proofs.h"
#include "record_pool.h"

#define DIRECTORY_SEED_SIZE 16

struct directory;

struct directory_settings {
    size_t records_max, marks_max, proofs_max; /* 0: DIRECTORY_MAX, MARKS_MAX, PROOFS_MAX */
    uint8_t seed[DIRECTORY_SEED_SIZE];         /* secret: places of ids come from it */
    struct record_pool *pool;                  /* borrowed, outlives the directory */
};

enum directory_verdict {
    DIRECTORY_TAKEN,        /* held now: store it, pass it on */
    DIRECTORY_SAME,         /* held already */
    DIRECTORY_OLDER,        /* a newer one is held */
    DIRECTORY_BEHIND,       /* one as new or newer was held, and ended */
    DIRECTORY_QUOTA,        /* its owner has RECORDS_PER_OWNER_MAX that are newer */
    DIRECTORY_FULL,         /* no place for it, or none for a stranger */
    DIRECTORY_REVOKED,      /* its owner is revoked */
    DIRECTORY_EQUIVOCATION, /* another record of its version is held, or was until now: see `taken` */
    DIRECTORY_VERDICTS,     /* how many there are */
};

/* A record that is held no longer. */
struct directory_drop {
    struct hash hash;
    struct version version;
    uint32_t kind;
    uint64_t mark_until_ms; /* wall; keep a mark of it so long (directory_restore_mark); 0: none */
};

#define DIRECTORY_DROPS_MAX (2 * RECORDS_PER_OWNER_MAX) /* of a revocation's owner, and of whom it proves contradicted */
struct directory_outcome {
    bool taken;                     /* held now; so it is after DIRECTORY_TAKEN */
    bool proven;                    /* an equivocation not known before: keep both envelopes */
    struct hash other;              /* of an equivocation: the record that was held before the offer */
    struct directory_drop replaced; /* of the same name; its hash is zero when there was none */
    size_t dropped_count;           /* and further ones: by the owner's quota, by a revocation */
    struct directory_drop dropped[DIRECTORY_DROPS_MAX];
};

struct directory *directory_new(const struct directory_settings *settings);
void directory_free(struct directory *directory); /* NULL is fine */

const char *directory_verdict_text(enum directory_verdict verdict);
const char *directory_verdict_name(enum directory_verdict verdict); /* "taken", "same", … */

/* `record` was verified, its dates too. */
enum directory_verdict directory_offer(struct directory *directory, const struct record *record,
                                       uint64_t wall_ms, struct directory_outcome *outcome);

/* What the store kept, in any order: the same, but the reserve is not asked. A mark is known by what
 * it was left for, a proof by its hashes. */
enum directory_verdict directory_restore(struct directory *directory, const struct record *record,
                                         uint64_t wall_ms, struct directory_outcome *outcome);
void directory_restore_mark(struct directory *directory, const struct id *owner, uint32_t kind,
                            struct bytes key, struct version version);
void directory_restore_proof(struct directory *directory, const struct directory_proof *proof);

/* Lets go of all that the owner dated before `before_ms` but its revocation: it was signed with a key that is tried no
 * more (keyring.h), so who does not hold it already could not take it any more. Leaves no mark. */
size_t directory_void(struct directory *directory, const struct id *owner, uint64_t before_ms,
                      struct directory_drop drops[RECORDS_PER_OWNER_MAX]);

/* Lets go of one record of the owner, with an empty key, as if it had ended. False: none is held. */
bool directory_drop(struct directory *directory, const struct id *owner, uint32_t kind, uint64_t wall_ms,
                    struct directory_drop *dropped);

/* The entry of (owner, kind) with an empty key, or NULL. Borrowed until the next change. */
const struct directory_entry *directory_find(const struct directory *directory,
                                             const struct id *owner, uint32_t kind);

/* And with any key. */
const struct directory_entry *directory_find_key(const struct directory *directory,
                                                 const struct id *owner, uint32_t kind,
                                                 struct bytes key);
size_t directory_count_of(const struct directory *directory, const struct id *owner); /* entries */

/* Is a proof held that it has two certificates of one number? Then nothing else of it is, and it counts as
 * revoked. So all who hold the proof hold the same, whichever of its certificates came first. */
bool directory_contradicted(const struct directory *directory, const struct id *owner);
size_t directory_contradicted_count(const struct directory *directory);
bool directory_revoked(const struct directory *directory, const struct id *owner);
bool directory_quarantined(const struct directory *directory, const struct id *owner,
                           uint64_t wall_ms);

/* Forgets what ended before `wall_ms`, at most `max` entries a call, and marks that are over. */
size_t directory_expire(struct directory *directory, uint64_t wall_ms, struct directory_drop *drops,
                        size_t max);
uint64_t directory_next_expiry_ms(const struct directory *directory); /* wall; MOMENT_NEVER */

/* All entries by number, below directory_count; live node records first, below
 * directory_node_count. A number is good until the next change. */
size_t directory_count(const struct directory *directory);
const struct directory_entry *directory_at(const struct directory *directory, size_t index);
size_t directory_node_count(const struct directory *directory);
const struct directory_entry *directory_node_at(const struct directory *directory, size_t index);
size_t directory_count_kind(const struct directory *directory, uint32_t kind); /* not deleted */

/* The packed NodeContent of a live node record; .data NULL when there is none. Borrowed until the
 * next change. */
struct bytes directory_node_content(const struct directory *directory, const struct id *node);

/* Sums of all metrics records held that are not deleted, and how many there are (`nodes` may be NULL). */
void directory_metrics(const struct directory *directory, struct metrics_content *total,
                       size_t *nodes);

size_t directory_mark_count(const struct directory *directory);
size_t directory_proof_count(const struct directory *directory);
const struct directory_proof *directory_proof_at(const struct directory *directory, size_t index);

/* Bytes of its own: without the pool, which several may share (record_pool_memory). */
size_t directory_memory(const struct directory *directory);

#endif
