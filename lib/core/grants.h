/* grants: what the node of a root knows of blocks that their bytes do not say: how often they were
 * used, and which were revoked. For grants see grant.h.
 *
 * A block has a row here once it was revoked, or used if it limits its uses. So one that has no limit
 * costs nothing. Bounded: in all, for each root and for each first block, so that who fills its own share
 * keeps no other grant from being used or revoked; and the less, the further down the block is, so that no holder can fill
 * what those before it need to revoke. A row outlives its block by GRANT_KEPT_MS. */
#ifndef DUCK_CORE_GRANTS_H
#define DUCK_CORE_GRANTS_H

#include "grant.h"

struct grant_row {
    struct id block;
    struct id first;         /* the grant's first block */
    struct id root, issuer, holder;
    uint64_t uses, used;     /* pecks; uses 0: no limit */
    uint64_t revoked_ms;     /* wall; 0: it was not */
    uint64_t not_after_ms;   /* wall: of the block */
};

/* What became of a grant, with the rows that it changed. */
struct grant_change {
    bool is_revocation;
    struct id root, with;    /* with: the holder who pecks, or the issuer who revokes */
    struct id block;         /* revoked; else the last */
    struct id peck;          /* that came; zero: of an order of this node */
    uint64_t at_ms;          /* wall */
    struct grant_row rows[GRANT_BLOCKS_MAX];
    size_t row_count;
};

struct grants;

struct grants_limits {
    size_t rows, rows_per_root, rows_per_grant; /* see limits.h */
};
extern const struct grants_limits grants_limits_default;

struct grants *grants_new(const struct grants_limits *limits);
void grants_free(struct grants *grants); /* NULL is fine */
size_t grants_count(const struct grants *grants);
const struct grant_row *grants_find(const struct grants *grants, const struct id *block);
bool grants_restore(struct grants *grants, const struct grant_row *row); /* false: full */

/* GRANT_OK, GRANT_REVOKED, GRANT_SPENT or GRANT_NO_ROOM. */
enum grant_verdict grants_judge(const struct grants *grants, const struct grant *grant);

/* One use of a grant that was judged so; `change` gets the rows. */
void grants_use(struct grants *grants, const struct grant *grant, struct grant_change *change);

/* Revokes block `number` of it, from 0. The root's own revocations have room when others' have not; a root that has
 * few rows, also when others of this node have many. GRANT_OK (also when it was before; then no rows) or GRANT_NO_ROOM. */
enum grant_verdict grants_revoke(struct grants *grants, const struct grant *grant, size_t number,
                                 bool by_root, uint64_t wall_ms, struct grant_change *change);

/* Forgets rows whose time is over: at most `max`, whose ids it writes. */
size_t grants_over(struct grants *grants, uint64_t wall_ms, struct id *blocks, size_t max);

#endif
