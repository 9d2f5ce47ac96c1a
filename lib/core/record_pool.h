/* record_pool: what is to be known of each record, once for all directories that hold it.
 *
 * An entry is a function of its record and never changes. A node has one directory and one pool; a
 * simulator has ten thousand directories that hold the same records. Not thread-safe. */
#ifndef DUCK_CORE_RECORD_POOL_H
#define DUCK_CORE_RECORD_POOL_H

#include "record.h"

#define RECORD_POOL_SEED_SIZE 16

struct record_pool;

struct directory_entry {
    struct hash hash;
    struct id owner;
    struct id host;     /* of a duckling record; of a revocation: whom it proves contradicted, or zero */
    uint32_t kind;
    bool deleted;
    bool accepts_pecks; /* of a duckling record */
    struct version version;
    uint64_t not_after_ms;
};

/* `seed`: secret; strangers who knew it could choose hashes that meet. */
struct record_pool *record_pool_new(const uint8_t seed[RECORD_POOL_SEED_SIZE]);
void record_pool_free(struct record_pool *pool); /* NULL is fine; every entry was given back */

/* The entry of a verified record, to be given back once for each time it was taken. */
const struct directory_entry *record_pool_take(struct record_pool *pool,
                                               const struct record *record);
void record_pool_give_back(struct record_pool *pool, const struct directory_entry *entry);

size_t record_pool_count(const struct record_pool *pool);
size_t record_pool_memory(const struct record_pool *pool); /* bytes, the allocator's own included */

/* Borrowed while the entry is held. The content is kept of node records that are not deleted,
 * and of revocations that take back no voucher. */
struct bytes directory_entry_key(const struct directory_entry *entry);
struct bytes directory_entry_content(const struct directory_entry *entry);
void directory_entry_metrics(const struct directory_entry *entry, struct metrics_content *metrics);

#endif
