/* receipt: the receiver's signed statement about one peck. The wire: proto/receipt.proto. */
#ifndef DUCK_CORE_RECEIPT_H
#define DUCK_CORE_RECEIPT_H

#include "bond_terms.h"
#include "partials.h"
#include "peck.h"

enum receipt_kind { RECEIPT_TAKEN = 1, RECEIPT_DONE = 2, RECEIPT_PARTIAL = 3 };

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
    uint32_t number;    /* partial: from 1 */
    uint32_t partials;  /* done: so many there were… */
    struct hash partials_hash; /* …and what they said, see partials.h; zero: none */
};

enum receipt_verdict {
    RECEIPT_OK,
    RECEIPT_MALFORMED,
    RECEIPT_TOO_LARGE,   /* result over PECK_PAYLOAD_MAX, of a partial one over PARTIAL_SIZE_MAX, problem
                            over RECEIPT_PROBLEM_MAX */
    RECEIPT_BAD_STATE,   /* a state that this kind cannot say */
    RECEIPT_BAD_TEXT,
    RECEIPT_BAD_TERMS,   /* of a bond: see bond_terms.h */
    RECEIPT_BAD_NUMBER,  /* of a partial answer, or how many there were */
};

const char *receipt_verdict_text(enum receipt_verdict verdict);
const char *receipt_kind_name(enum receipt_kind kind);
enum receipt_verdict receipt_parse(struct bytes body, struct arena *arena, struct receipt *receipt);
enum receipt_verdict receipt_pack(const struct receipt *receipt, struct arena *arena,
                                  struct bytes *body);

#endif
