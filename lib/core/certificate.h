/* certificate: who an identity is, and which key speaks for it at a given time.
 *
 * Pre-rotation as in KERI: certificate n commits to the hash of the key of certificate n + 1, and
 * each certificate is signed by the key that it names. The wire: proto/certificate.proto. */
#ifndef DUCK_CORE_CERTIFICATE_H
#define DUCK_CORE_CERTIFICATE_H

#include "envelope.h"
#include "limits.h"

enum identity_kind { IDENTITY_NODE = 1, IDENTITY_DUCKLING = 2, IDENTITY_OPERATOR = 3 };

struct certificate {
    enum identity_kind kind;
    struct id identity;           /* of certificate 0, the id that it makes */
    struct public_key public_key;
    struct hash next_key_hash;
    struct bytes display_name;
    struct bytes context;
    struct bytes scopes[CERTIFICATE_SCOPES_MAX];
    size_t scope_count;
    uint64_t issued_ms, not_after_ms;
    uint32_t sequence;
    struct hash previous;         /* zero in certificate 0 */
    struct hash hash;             /* its own; its crt_ id is id_of(hash) */
    struct bytes wire;            /* the packed envelope */
};

enum certificate_verdict {
    CERTIFICATE_TAKEN,
    CERTIFICATE_BAD_ENVELOPE,    /* see envelope_verdict in `struct chain` */
    CERTIFICATE_MALFORMED,       /* a field missing, too long, not text, out of range */
    CERTIFICATE_KEY_REFUSED,     /* public key not a point of prime order */
    CERTIFICATE_EMPTY,           /* a chain without certificates */
    CERTIFICATE_TOO_LONG,        /* CHAIN_SIZE_MAX */
    CERTIFICATE_OUT_OF_SEQUENCE, /* not 0, 1, 2, … */
    CERTIFICATE_NOT_LINKED,      /* `previous` is not the hash of the one before */
    CERTIFICATE_KEY_NOT_PROMISED,/* the one before committed to another key */
    CERTIFICATE_OTHER_IDENTITY,  /* id or kind or context differs from certificate 0's */
    CERTIFICATE_WRONG_SIGNER,    /* envelope names another signer */
    CERTIFICATE_BACK_IN_TIME,    /* issued before the one before, or ends before it begins */
    CERTIFICATE_NOT_YET,         /* asked for a time before certificate 0 */
    CERTIFICATE_EXPIRED,         /* the certificate of that time had ended */
    CERTIFICATE_UNDER_CONTEXT,   /* the chain carries a context, where only the main key speaks: see context.h */
};

struct chain {
    struct id identity;
    enum identity_kind kind;
    struct certificate *certificates; /* in the arena of chain_open */
    size_t count;
    struct bytes wire;                /* packed Chain, as it came */
};

const char *certificate_verdict_text(enum certificate_verdict verdict);

/* What a new certificate says. For a rotation, `previous` is the last certificate of the chain. */
struct certificate_wish {
    enum identity_kind kind;
    struct bytes display_name;
    struct bytes context;
    const struct bytes *scopes;
    size_t scope_count;
    uint64_t issued_ms, not_after_ms;
    struct hash next_key_hash;
    const struct certificate *previous; /* NULL: certificate 0 */
};

/* Makes and signs a certificate; the packed envelope is in `arena`. For a rotation `key` must be the promised key. */
struct bytes certificate_make(const struct certificate_wish *wish, const struct identity_key *key,
                              struct arena *arena, struct id *identity);

/* A chain that was opened, with one certificate more: `key` is the one that its last promised, `promise`
 * the hash of the one after. Says what the last one said. .data NULL: CHAIN_SIZE_MAX. */
struct bytes chain_lengthen(const struct chain *chain, const struct identity_key *key,
                            const struct hash *promise, uint64_t wall_ms, struct arena *arena);

/* Packs envelopes (certificate 0 first) into a Chain. */
struct bytes chain_pack(const struct bytes *certificates, size_t count, struct arena *arena);

/* Verifies a whole chain, offline, whatever its length up to CHAIN_SIZE_MAX. `*chain` borrows from `arena`
 * and is written only when taken; `wire` is copied. Dates are not judged here: see chain_key_at. */
enum certificate_verdict chain_open(struct bytes wire, struct arena *arena, struct chain *chain);

/* Reads the chain of `identity` that chain_open took before it was kept, from a place where nobody else
 * writes. Nothing is proven to a stranger: signatures are not checked, nor whether keys are points of
 * prime order, which is nearly all that opening costs (90 us a certificate). So: for showing, never to
 * be passed on as verified, and no signature is to be checked with a key from it.
 *
 * Whatever stands there, it ends with a verdict, and a bit that turned since is found wherever it
 * changes what is said: certificate 0 hashes to the identity, each other names the one before it by
 * hash. Left to the caller is that the last one is the one that was kept, when there are several; and
 * a signature that turned is found by whoever checks it. */
enum certificate_verdict chain_read(struct bytes wire, const struct id *identity, struct arena *arena,
                                    struct chain *chain);

/* A packed Chain as it travels, apart: itself, and the context (context.h) under which what it came with was signed; borrowed from `wire`. Whatever is not
 * put together as chain_with_context does it stays whole, and chain_open refuses it. */
void chain_split(struct bytes wire, struct bytes *chain, struct bytes *context);
/* .data NULL: the arena's budget. `context` may be empty. */
struct bytes chain_with_context(struct bytes chain, struct bytes context, struct arena *arena);

/* How many certificates a chain has that was verified before; 0: it is none. */
size_t chain_count(struct bytes wire);
struct id chain_last(struct bytes wire); /* the id of the last of them; zero */

/* Which key spoke for the identity at `wall_ms`? Certificate n speaks from its issue to the issue
 * of n + 1, and never after its own end. */
enum certificate_verdict chain_key_at(const struct chain *chain, uint64_t wall_ms,
                                      struct public_key *key);

/* The newest certificate that names `key`; NULL: none does. */
const struct certificate *chain_certificate_of(const struct chain *chain,
                                               const struct public_key *key);

/* Do two chains of one identity contradict each other (two certificates with one sequence)? */
bool chain_contradicts(const struct chain *left, const struct chain *right);

#endif
