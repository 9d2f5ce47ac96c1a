/* context: a further key of a duckling, for one purpose: with a name, scopes and an end of its own, signed by
 * the duckling's main key. The wire: proto/certificate.proto, ContextBody.
 *
 * A peck that is signed by it is admitted for what its scopes cover and nothing else; bonds, limits,
 * grants and tiers judge as always besides, so a context can only take away. It is good for as long as
 * the main key that issued it speaks: a thief of a retired key can issue none. */
#ifndef DUCK_CORE_CONTEXT_H
#define DUCK_CORE_CONTEXT_H

#include "certificate.h"
#include "peck.h"

struct context {
    struct hash hash;             /* its crt_ id is id_of(hash) */
    struct id id;
    struct id identity;           /* the duckling */
    struct bytes name;
    struct public_key public_key;
    struct bytes scopes[CERTIFICATE_SCOPES_MAX];
    size_t scope_count;
    uint64_t issued_ms, not_after_ms;
    struct hash certificate;      /* of the main chain, under which it was issued */
    struct id carrier;            /* the identity whose revocation ends it */
    struct bytes wire;            /* the packed envelope */
};

enum context_verdict {
    CONTEXT_OK,
    /* What is wrong with it, whoever shows it. */
    CONTEXT_BAD_ENVELOPE,
    CONTEXT_MALFORMED,      /* a field missing, too long, out of range */
    CONTEXT_BAD_TIMES,      /* ends before it begins, lives longer than CONTEXT_LIFE_MAX_MS, or is older than its certificate */
    CONTEXT_KEY_REFUSED,    /* public key not a point of prime order */
    CONTEXT_OTHER_IDENTITY, /* of another than the chain that it travels with, or of no duckling */
    CONTEXT_NOT_ISSUED,     /* the chain has no certificate that it names */
    CONTEXT_BAD_SIGNATURE,  /* not by the key of that certificate */
    /* Why a peck is not admitted under it. */
    CONTEXT_REPLACED,       /* the key that issued it was replaced since */
    CONTEXT_NO_ACTION,      /* only actions are pecked under a context */
    CONTEXT_NO_REVOKING,    /* …and a grant is taken back by the main key alone */
    CONTEXT_COVERS_NOT,
    CONTEXT_NOT_YET,
    CONTEXT_ENDED,
    CONTEXT_REVOKED,
};

const char *context_verdict_text(enum context_verdict verdict);

/* A sentence for whoever pecked: which context, and what it does not cover. In `arena`, or a constant. */
const char *context_refusal_text(enum context_verdict verdict, const struct context *context,
                                 const struct peck *peck, struct arena *arena);

/* ---- reading ---- */

/* Form alone: nothing is proven. `*context` borrows from `wire` and `arena`; written only when it is CONTEXT_OK. */
enum context_verdict context_read(struct bytes wire, struct arena *arena, struct context *context);

/* And that the duckling of `chain`, which was verified, issued it: by `*issuer` (may be NULL), one of its
 * certificates. Whether that one's key speaks still is for who asks. */
enum context_verdict context_open(struct bytes wire, const struct chain *chain, struct arena *arena,
                                  struct context *context, const struct certificate **issuer);

/* May this peck, which was signed by its key, be admitted at that time? CONTEXT_OK or one of the second kind;
 * what a directory knows (CONTEXT_REVOKED) or a keyring (CONTEXT_REPLACED) is not asked. */
enum context_verdict context_judge(const struct context *context, const struct peck *peck,
                                   uint64_t wall_ms);

/* Is it called this: by its name, or its crt_ id as text? Of NULL: is nothing called. */
bool context_is_called(const struct context *context, struct bytes called);

/* Is it what somebody means who says this: its name, or its id as text? NULL is what is meant by nothing. */
bool context_is_meant(const struct context *context, struct bytes said);

/* ---- making ---- */

struct context_wish {
    struct id identity;
    struct bytes name;
    struct public_key public_key;
    const struct bytes *scopes;
    size_t scope_count;
    uint64_t issued_ms, not_after_ms;
    struct hash certificate;
};

/* Signs it with the main key. What was made is read before it is given out: `*wire` is .data NULL where the wish makes no
 * context. */
enum context_verdict context_make(const struct context_wish *wish, const struct identity_key *main_key,
                                  struct arena *arena, struct bytes *wire);

/* The record that ends it for good, and its owner's chain, signed by the context's own key. .data NULL: the reason is none. */
void context_revoke(const struct context *context, const struct identity_key *key,
                    struct bytes network, struct bytes reason, uint64_t wall_ms,
                    struct arena *arena, struct bytes *wire, struct bytes *chain);

#endif
