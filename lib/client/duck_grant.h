/* duck_grant: leave to peck a duckling, made, narrowed and verified without a node.
 *
 *     struct duck_holder *me = duck_holder_open("me.key", NULL);      // ducknode grant key dkl_… --out me.key
 *     const char *scopes[] = {"data.read"};
 *     struct duck_grant_wish wish = {.holder = helper, .scopes = scopes, .scope_count = 1, .uses = 3};
 *     struct duck_grant *narrower = duck_grant_narrow(me, text, &wish, &problem);
 *     if (narrower) puts(duck_grant_text(narrower));                  // for the helper, by any way
 *
 * A grant is a chain of signed blocks: the first is signed by the duckling that may be pecked, each
 * further one by the holder of the block before. It allows what all of its blocks allow, so nobody can
 * hand on more than it has. It is no secret: only its last holder can use it. What only the node of the
 * duckling that may be pecked knows, is whether a block was revoked, and how often it was used.
 *
 * As text a grant is base64url without padding, at most DUCK_GRANT_TEXT_MAX characters. Conventions as
 * in duck_client.h; `problem` may be NULL and gets a static sentence. No call waits, none needs a
 * connection; each object is for one thread at a time. The wire: proto/grant.proto. */
#ifndef DUCK_GRANT_H
#define DUCK_GRANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DUCK_GRANT_TEXT_MAX 8192u
#define DUCK_SEED_SIZE 32u

/* ---- who signs ---- */

/* A duckling's key, in guarded memory, and its certificates. */
struct duck_holder;

/* Reads what `ducknode grant key` wrote: a file that is the caller's and nobody else's to read. NULL: not. */
struct duck_holder *duck_holder_open(const char *path, const char **problem);
/* Of a seed (copied; the caller wipes its own) and a packed Chain whose last key is the seed's. */
struct duck_holder *duck_holder_new(const uint8_t seed[DUCK_SEED_SIZE], const void *chain, size_t chain_size,
                                    const char **problem);
void duck_holder_free(struct duck_holder *holder); /* NULL is fine; wipes */
const char *duck_holder_id(const struct duck_holder *holder);
/* Its certificates, a packed Chain: public. */
const void *duck_holder_chain(const struct duck_holder *holder, size_t *size);
/* The first of them alone, packed likewise: what hatches it, also when its key was replaced since. */
const void *duck_holder_first(const struct duck_holder *holder, size_t *size);
/* Writes such a file, 0600; one that is there is left alone. 0, or -1. */
int duck_holder_save(const struct duck_holder *holder, const char *path, const char **problem);

/* ---- making ---- */

struct duck_grant;

struct duck_grant_wish {
    const char *network;        /* make: whose; NULL: "duck". narrow: the grant's, whatever stands here */
    const char *holder;         /* "dkl_…": who may use the new block, and hand it on */
    const char *const *scopes;  /* 1 to 8, as those of a bond: "data.read", "data.*", "*"; narrow: none
                                   are those that the grant has */
    size_t scope_count;
    uint64_t uses;              /* pecks under this block and all after it; 0: no limit of its own */
    unsigned further;           /* how often it may be handed on, at most 7; 0: not */
    uint64_t not_after_ms;      /* 0: make: a day from now; narrow: as the grant */
};

/* Signed by `issuer`, the duckling that may be pecked. NULL: `*problem`. */
struct duck_grant *duck_grant_make(const struct duck_holder *issuer, const struct duck_grant_wish *wish,
                                   const char **problem);
/* One block more, signed by the grant's holder. What would gain nothing, because the grant does not
 * allow it, is refused. */
struct duck_grant *duck_grant_narrow(const struct duck_holder *holder, const char *grant,
                                     const struct duck_grant_wish *wish, const char **problem);
void duck_grant_free(struct duck_grant *grant); /* NULL is fine */

/* ---- verifying ---- */

/* Checks all that bytes can show: form, links, certificates, signatures. NULL: it does not hold. Line
 * ends and blanks around the text are passed over. */
struct duck_grant *duck_grant_open(const char *text, const char **problem);
const char *duck_grant_text(const struct duck_grant *grant);
/* The packed Grant, as orders of the local API carry it. */
const void *duck_grant_bytes(const struct duck_grant *grant, size_t *size);
const char *duck_grant_network(const struct duck_grant *grant);

/* Would it let `from` peck `to` with this action at `wall_ms` (0: now)? False: `*problem`. */
bool duck_grant_allows(const struct duck_grant *grant, const char *from, const char *to, const char *action,
                       uint64_t wall_ms, const char **problem);

struct duck_grant_part {
    const char *id;             /* "grt_…", of the block; of the whole: of its last block */
    const char *issuer, *holder; /* of the whole: who may be pecked, and by whom */
    const char *const *scopes;  /* of the whole: what all blocks cover; may be none */
    size_t scope_count;
    uint64_t uses;              /* 0: no limit */
    unsigned further;
    uint64_t issued_ms, not_after_ms;
};

/* Block `number`, from 0. False: there are not so many. */
bool duck_grant_block(const struct duck_grant *grant, size_t number, struct duck_grant_part *part);
/* What all blocks together allow. */
void duck_grant_whole(const struct duck_grant *grant, struct duck_grant_part *part);

#ifdef __cplusplus
}
#endif

#endif
