/* receipt: the receiver's signed statement about one peck. The wire: proto/receipt.proto. */
#ifndef DUCK_CORE_RECEIPT_H
#define DUCK_CORE_RECEIPT_H

#include "bond_terms.h"
#include "peck.h"

enum receipt_kind { RECEIPT_TAKEN = 1, RECEIPT_DONE = 2 };

struct receipt {
    struct bytes network;
    struct hash peck;
    struct id from, to; /* the peck's */
    enum receipt_kind kind;
    enum peck_state state;
    struct bytes result, problem;
    uint64_t at_ms;
    struct bytes scopes[PECK_SCOPES_MAX]; /* done, approved: of the bond that was made */
    size_t scope_count;
    uint64_t bond_not_after_ms;
    struct bond_terms terms;
    uint64_t charged;   /* answered: units; at most ANSWER_CHARGE_MAX */
};

enum receipt_verdict {
    RECEIPT_OK,
    RECEIPT_MALFORMED,
    RECEIPT_TOO_LARGE,   /* result over PECK_PAYLOAD_MAX, problem over RECEIPT_PROBLEM_MAX */
    RECEIPT_BAD_STATE,   /* a state that this kind cannot say */
    RECEIPT_BAD_TEXT,
    RECEIPT_BAD_TERMS,   /* of a bond: see bond_terms.h */
};

const char *receipt_verdict_text(enum receipt_verdict verdict);
const char *receipt_kind_name(enum receipt_kind kind);
enum receipt_verdict receipt_parse(struct bytes body, struct arena *arena, struct receipt *receipt);
enum receipt_verdict receipt_pack(const struct receipt *receipt, struct arena *arena,
                                  struct bytes *body);

#endif
