/* directory: the newest record of each (owner, kind, key).
 *
 * Holds what decides (versions, hashes, who hosts whom, counters), not the records' bytes: those
 * are in the store. Single machine, no I/O. */
#ifndef DUCK_CORE_DIRECTORY_H
#define DUCK_CORE_DIRECTORY_H

#include "record.h"

struct directory;

enum directory_verdict {
    DIRECTORY_TAKEN,        /* newer than what was held: store it, pass it on */
    DIRECTORY_SAME,         /* held already */
    DIRECTORY_OLDER,        /* a newer one is held */
    DIRECTORY_QUOTA,        /* its owner has RECORDS_PER_OWNER_MAX */
    DIRECTORY_FULL,
};

struct directory_entry {
    struct hash hash;
    struct id owner;
    uint32_t kind;
    struct version version;
    uint64_t not_after_ms;
    bool deleted;
    struct id host;                 /* of a duckling record */
    bool accepts_pecks;             /* of a duckling record */
};

struct directory *directory_new(size_t records_max);
void directory_free(struct directory *directory); /* NULL is fine */

const char *directory_verdict_text(enum directory_verdict verdict);

/* `record` was verified. When a record is replaced, `*replaced` is the old one's hash, else zero. */
enum directory_verdict directory_offer(struct directory *directory, const struct record *record,
                                       struct hash *replaced);

/* The entry of (owner, kind) with an empty key, or NULL. Borrowed until the next change. */
const struct directory_entry *directory_find(const struct directory *directory,
                                             const struct id *owner, uint32_t kind);

/* The packed NodeContent of a node's record, borrowed until the next change; .data NULL: no record is held,
 * or it says that the node left. */
struct bytes directory_node_content(const struct directory *directory, const struct id *node);

/* Forgets what ended before `wall_ms`, at most `max` entries a call; their hashes go to `hashes`. */
size_t directory_expire(struct directory *directory, uint64_t wall_ms, struct hash *hashes,
                        size_t max);
uint64_t directory_next_expiry_ms(const struct directory *directory); /* wall; MOMENT_NEVER */

size_t directory_count(const struct directory *directory);
size_t directory_count_kind(const struct directory *directory, uint32_t kind);

/* Sums of all metrics records held, and how many there are. */
void directory_metrics(const struct directory *directory, struct metrics_content *total,
                       size_t *nodes);

/* One page of a digest: first 8 bytes of each hash in [*first, …], sorted, at most `max`; `*last` is
 * where the page ends (all ones at the end). Returns how many. */
size_t directory_digest(const struct directory *directory, const struct hash *first,
                        struct hash *last, uint8_t (*prefixes)[8], size_t max);

/* Which held records lie in [first, last] and are not in `prefixes` (sorted, `count` of them)? */
size_t directory_lacking(const struct directory *directory, const struct hash *first,
                         const struct hash *last, const uint8_t (*prefixes)[8], size_t count,
                         struct hash *hashes, size_t max);

#endif
