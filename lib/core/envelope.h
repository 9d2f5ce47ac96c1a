/* envelope: the outer form of every signed thing. The wire: proto/envelope.proto. */
#ifndef DUCK_CORE_ENVELOPE_H
#define DUCK_CORE_ENVELOPE_H

#include "batch.h"
#include "identity.h"

/* The closed list of what may be signed. A verifier is called with the one it expects. */
enum envelope_type {
    ENVELOPE_CERTIFICATE, /* "duck/certificate/1" */
    ENVELOPE_PECK,        /* "duck/peck/1" */
    ENVELOPE_RECEIPT,     /* "duck/receipt/1" */
    ENVELOPE_RECORD,      /* "duck/record/1" */
    ENVELOPE_ACCUSATION,  /* "duck/accusation/1" */
    ENVELOPE_AUDIT,       /* "duck/audit/1": a checkpoint of the audit log */
    ENVELOPE_VOUCHER,     /* "duck/voucher/1" */
    ENVELOPE_WITHDRAWAL,  /* "duck/withdrawal/1" */
    ENVELOPE_GRANT,       /* "duck/grant/1": a block of one */
    ENVELOPE_CONTEXT,     /* "duck/context/1": a further certificate */
    ENVELOPE_BATCH,       /* "duck/batch/1": only inside, as what a batch's signature is over */
    ENVELOPE_AUDIT_PAGE,  /* "duck/audit-page/1": only hashed */
};

enum envelope_verdict {
    ENVELOPE_TAKEN,
    ENVELOPE_TOO_LARGE,      /* over the size of its type: not even parsed */
    ENVELOPE_MALFORMED,      /* not a protobuf, or a field of a wrong length */
    ENVELOPE_UNKNOWN_FIELDS, /* a field that envelope.proto does not name */
    ENVELOPE_WRONG_TYPE,     /* signed as something else */
    ENVELOPE_BAD_PATH,       /* batch path does not fit its size and index */
    ENVELOPE_BAD_SIGNATURE,
};

struct envelope {
    enum envelope_type type;
    struct id signer;
    struct hash hash;   /* of (type, body): what names the thing */
    struct bytes body;
    struct signature signature;
    struct batch_path batch; /* .size 0: signed alone */
};

const char *envelope_type_name(enum envelope_type type);
const char *envelope_verdict_text(enum envelope_verdict verdict);
size_t envelope_size_max(enum envelope_type type); /* bytes, of the packed envelope */

/* hash = BLAKE2b-256(to_sign(type, body)). */
struct hash envelope_hash(enum envelope_type type, struct bytes body);

/* Parses; checks form, not truth. `*envelope` borrows from `arena`; written only when taken. */
enum envelope_verdict envelope_parse(struct bytes wire, enum envelope_type expected,
                                     struct arena *arena, struct envelope *envelope);

/* Is it signed by `key` (admitted before)? With `roots`, a batch whose root was verified before
 * costs no signature check, and a new one is remembered. `roots` may be NULL. */
enum envelope_verdict envelope_verify(const struct envelope *envelope, const struct public_key *key,
                                      struct batch_roots *roots);

/* Signs `body` alone. The packed envelope is taken from `arena`; `hash` (may be NULL) is its name. */
struct bytes envelope_seal(enum envelope_type type, const struct id *signer,
                           const struct identity_key *key, struct bytes body, struct arena *arena,
                           struct hash *hash);

/* The bytes that are signed, whole. .data NULL: the arena's budget. */
struct bytes envelope_to_sign(enum envelope_type type, struct bytes body, struct arena *arena);

/* Packs what was signed alone, elsewhere. Nothing is checked. */
struct bytes envelope_pack_signed(enum envelope_type type, const struct id *signer,
                                  struct bytes body, const struct signature *signature,
                                  struct arena *arena);

/* Signs `count` (1 to BATCH_ITEMS_MAX) bodies of one type with one signature. hashes[i] is bodies[i]'s
 * envelope_hash, which who makes a thing knows already; wires[i] is its packed envelope, in `arena`. A
 * single one is sealed alone. */
void envelope_seal_batch(enum envelope_type type, const struct id *signer,
                         const struct identity_key *key, const struct bytes *bodies,
                         const struct hash *hashes, size_t count, struct arena *arena,
                         struct bytes *wires);

#endif
