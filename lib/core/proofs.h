/* proofs: owners that gave one version of one name to two records: a stolen key, a node that runs
 * twice, or a liar.
 *
 * A proof is the hashes of both; whoever has both envelopes can show it to anybody. Its owner is
 * quarantined for QUARANTINE_MS. One proof an owner; when there are too many the oldest goes.
 * Belongs to directory.c. */
#ifndef DUCK_CORE_PROOFS_H
#define DUCK_CORE_PROOFS_H

#include "buckets.h"
#include "record.h"

struct directory_proof {
    struct id owner;
    uint32_t kind;
    struct version version;
    struct hash lesser, greater; /* in the order of their bytes */
    uint64_t until_ms;           /* wall: the end of the quarantine */
};

struct proofs;

struct proofs *proofs_new(size_t proofs_max, const uint8_t key[BUCKETS_KEY_SIZE]);
void proofs_free(struct proofs *proofs); /* NULL is fine */

/* False when this pair is known: to repeat it does not prolong the quarantine. */
bool proofs_add(struct proofs *proofs, const struct directory_proof *proof);

const struct directory_proof *proofs_find(const struct proofs *proofs, const struct id *owner);
const struct directory_proof *proofs_at(const struct proofs *proofs, size_t index);
size_t proofs_count(const struct proofs *proofs);

#endif
