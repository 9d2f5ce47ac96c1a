/* peck: a signed message from one duckling to another. The wire: proto/peck.proto. */
#ifndef DUCK_CORE_PECK_H
#define DUCK_CORE_PECK_H

#include "envelope.h"
#include "limits.h"

enum peck_kind { PECK_ACTION = 1, PECK_BOND_REQUEST = 2 };

/* What has become of a peck. The numbers are stored and signed: never change one. */
enum peck_state {
    PECK_QUEUED = 1,    /* out: durable here, not sent */
    PECK_SENT = 2,      /* out: on its way, no receipt */
    PECK_TAKEN = 3,     /* durable at the target's node, for the agent */
    PECK_PENDING = 4,   /* durable there, waits for the owner */
    PECK_APPROVED = 5,  /* by the owner; a bond request is then done, an action goes to the agent */
    PECK_DENIED = 6,    /* done: by the owner, or refused by the target's node */
    PECK_ANSWERED = 7,  /* done: result */
    PECK_FAILED = 8,    /* done: problem */
    PECK_EXPIRED = 9,   /* done: nobody took, approved or answered it in time */
    PECK_CANCELLED = 10,/* done: by the sender */
};

struct peck {
    struct id id;      /* made from the hash */
    struct hash hash;
    struct bytes network;
    struct id from, to;
    enum peck_kind kind;
    struct bytes action, payload;
    struct bytes scopes[PECK_SCOPES_MAX];
    size_t scope_count;
    struct bytes message;
    struct bytes thread;
    struct id reply_to; /* zero: none */
    uint64_t created_ms, expires_ms;
    struct bytes idempotency_key;
    uint8_t nonce[8];
    struct bytes trace;
    struct bytes grant; /* packed; not opened here, see grant.h */
};

enum peck_verdict {
    PECK_OK,
    PECK_MALFORMED,        /* not a protobuf, or a field missing or of a wrong length */
    PECK_PAYLOAD_TOO_LARGE, /* or the body as a whole: PECK_BODY_MAX */
    PECK_BAD_NAME,         /* action or scope outside the alphabet */
    PECK_BAD_TEXT,         /* message, thread, trace or key not text; payload not UTF-8 */
    PECK_BAD_TIMES,        /* ends before it begins, or lives longer than PECK_LIFE_MAX_MS */
    PECK_OTHER_NETWORK,
    PECK_TO_SELF,
};

const char *peck_verdict_text(enum peck_verdict verdict);
const char *peck_state_name(enum peck_state state);             /* "queued", … */
bool peck_state_parse(struct bytes name, enum peck_state *state);
bool peck_state_is_done(enum peck_state state, enum peck_kind kind); /* approved: done for a bond request */

/* Checks everything but the network, dates against a clock, and the signature. Fields borrow from
 * `arena`. hash and id are of the body. */
enum peck_verdict peck_parse(struct bytes body, struct arena *arena, struct peck *peck);

/* The same, of a body whose envelope was parsed: its hash is known. */
enum peck_verdict peck_parse_named(struct bytes body, const struct hash *hash, struct arena *arena,
                                   struct peck *peck);

/* Packs a body; hash, id of *peck are set. The same checks as peck_parse come first; on refusal
 * body->data is NULL. */
enum peck_verdict peck_pack(struct peck *peck, struct arena *arena, struct bytes *body);

/* Would these two say the same, but for when and by which nonce? For idempotency keys. */
bool peck_same_content(const struct peck *left, const struct peck *right);

/* Does `scope` ("data.read", "data.*", "*") cover `action`? */
bool peck_scope_covers(struct bytes scope, struct bytes action);
bool peck_scope_is_valid(struct bytes scope);

#endif
