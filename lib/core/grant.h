/* grant: a duckling's leave to peck it, as a token that is narrowed offline.
 *
 * A chain of signed blocks. The first is signed by the root, the duckling that may be pecked; each
 * further one by the holder of the block before. Whoever checks a grant takes what all of its blocks
 * allow, so a block can only take away: actions, uses, time, depth. The wire: proto/grant.proto.
 *
 * A block is good for as long as its issuer has the key that signed it: whoever rotates a key makes
 * its grants anew. So a thief of a retired key can grant nothing. */
#ifndef DUCK_CORE_GRANT_H
#define DUCK_CORE_GRANT_H

#include "certificate.h"

struct grant_block {
    struct id id;                 /* made from the hash */
    struct hash hash;
    struct bytes network;
    struct hash parent;           /* zero in the first */
    struct id issuer, holder;
    struct bytes scopes[GRANT_SCOPES_MAX];
    size_t scope_count;
    uint64_t uses;                /* pecks; 0: no limit of its own */
    uint32_t further;             /* blocks that may follow */
    uint64_t issued_ms, not_after_ms; /* Unix time */
    uint8_t nonce[8];
};

struct grant {
    struct grant_block blocks[GRANT_BLOCKS_MAX];
    struct bytes wires[GRANT_BLOCKS_MAX];  /* packed Envelope of each */
    struct bytes chains[GRANT_BLOCKS_MAX]; /* packed Chain of each issuer */
    size_t count;                          /* at least 1 */
    struct bytes wire;                     /* the whole, as it came */
};

enum grant_verdict {
    GRANT_OK,
    /* What is wrong with it, whoever shows it. */
    GRANT_MALFORMED,      /* a field missing or of a wrong length, or unknown */
    GRANT_TOO_LARGE,      /* GRANT_SIZE_MAX */
    GRANT_TOO_DEEP,       /* GRANT_BLOCKS_MAX, or more blocks than one of them lets follow */
    GRANT_BAD_SCOPE,      /* none, more than GRANT_SCOPES_MAX, or outside the alphabet */
    GRANT_BAD_TIMES,      /* ends before it begins, or lives longer than GRANT_LIFE_MAX_MS */
    GRANT_NOT_LINKED,     /* a block does not name the one before, or is of another network */
    GRANT_WRONG_SIGNER,   /* a block is not signed by the holder of the one before */
    GRANT_NO_ISSUER,      /* an issuer's certificates do not hold, or are no duckling's */
    GRANT_RETIRED_KEY,    /* a block was signed with a key that its issuer has replaced */
    GRANT_BAD_SIGNATURE,
    /* Why it does not allow this. */
    GRANT_OTHER_NETWORK,
    GRANT_OTHER_TARGET,   /* the root is another */
    GRANT_OTHER_HOLDER,   /* the last block's holder is another */
    GRANT_COVERS_NOT,     /* one of its blocks leaves the action out */
    GRANT_NOT_YET,
    GRANT_ENDED,
    GRANT_REVOKED,        /* one of its blocks: see grants.h, as the two below */
    GRANT_SPENT,          /* one of its blocks has no uses left */
    GRANT_NO_ROOM,        /* the root's node counts too many blocks already */
    GRANT_BEFORE_RESTORE, /* the root's node was restored since, and may have forgotten a revocation */
    /* Why it cannot be narrowed so. */
    GRANT_WIDER,          /* the new block says more than the grant allows */
};

/* A peck of this action that carries a grant revokes the grant's last block; its sender must be that
 * block's issuer. The root's node carries it out: no agent hears of it. */
#define GRANT_REVOKE_ACTION "grant.revoke"

const char *grant_verdict_text(enum grant_verdict verdict);
const char *grant_verdict_name(enum grant_verdict verdict); /* "malformed", …; for programs, and stable */

/* What a block says; grant_make and grant_narrow sign it. */
struct grant_wish {
    struct bytes network;
    struct id issuer;
    const struct identity_key *key; /* the last of `chain` */
    struct bytes chain;             /* packed Chain of the issuer */
    struct id holder;
    struct bytes scopes[GRANT_SCOPES_MAX];
    size_t scope_count;
    uint64_t uses;
    uint32_t further;
    uint64_t issued_ms, not_after_ms;
    uint8_t nonce[8];               /* by chance */
};

/* The first block. The packed grant is in `arena`; on refusal wire->data is NULL. What was made is
 * opened before it is given out: a key that is not the chain's is GRANT_BAD_SIGNATURE. */
enum grant_verdict grant_make(const struct grant_wish *wish, struct arena *arena,
                              struct bytes *wire);

/* One block more, signed by the last holder, without anybody else. Refuses what would gain nothing:
 * a scope, an end or a depth beyond what the grant allows, more uses than a block before has. */
enum grant_verdict grant_narrow(struct bytes wire, const struct grant_wish *wish,
                                struct arena *arena, struct bytes *narrowed);

/* Parses, and verifies all that bytes can show: form, links, certificates, signatures. Offline, and at
 * no time in particular. `*grant` borrows from `arena`; written only when it holds. `*at` (may be
 * NULL) becomes the number of the block that does not, from 0. */
enum grant_verdict grant_open(struct bytes wire, struct arena *arena, struct grant *grant,
                              size_t *at);

/* The same, up to its block `count` - 1. .data NULL: the arena's budget. */
struct bytes grant_cut(const struct grant *grant, size_t count, struct arena *arena);

/* What somebody wants to do under a grant that was opened. */
struct grant_use {
    struct bytes network;
    struct id from, to;
    struct bytes action;
    uint64_t wall_ms;
};

/* Do all of its blocks allow it? Revocations and uses are not known here: see grants.h. */
enum grant_verdict grant_allows(const struct grant *grant, const struct grant_use *use);

/* What all blocks of a grant allow, for people to read. */
#define GRANT_REACH_SCOPES_MAX (GRANT_BLOCKS_MAX * GRANT_SCOPES_MAX)
struct grant_reach {
    struct bytes scopes[GRANT_REACH_SCOPES_MAX]; /* none: nothing is allowed */
    size_t scope_count;
    uint64_t uses;                /* of the block that has the fewest; 0: no limit */
    uint32_t further;
    uint64_t not_before_ms, not_after_ms;
};
void grant_reach(const struct grant *grant, struct grant_reach *reach);

#endif
