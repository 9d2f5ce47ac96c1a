/* withdrawal: an operator takes back what it said of one duckling: every voucher of its for the duckling
 * that was issued up to a date is void, whoever still carries it. A newer voucher counts again.
 * One of a node of a closed fleet the same way (fleet.h). The wire: proto/voucher.proto, proto/record.proto.
 *
 * It travels as the revocation of an identity that was made for it alone, and whose key nobody has
 * afterwards: so it lives as long as the longest voucher, outranks, is told first, cannot be replaced
 * or deleted by whoever gets the operator's key, and needs no operator that is online to renew it. Nodes
 * that know nothing of withdrawals hold and pass on a revocation like another. */
#ifndef DUCK_CORE_WITHDRAWAL_H
#define DUCK_CORE_WITHDRAWAL_H

#include "certificate.h"
#include "record.h"

struct withdrawal {
    struct bytes network;
    struct id operator_id;
    struct id subject;      /* the duckling, or the node */
    struct id carrier;      /* owner of the record that says it: nobody else can repeat it */
    uint64_t until_ms;      /* Unix time: vouchers issued then or before are void */
};

/* What is left of one that was verified. */
struct withdrawn {
    struct id operator_id, subject; /* zero: nothing */
    uint64_t until_ms;              /* those issued then or before */
};

enum withdrawal_verdict {
    WITHDRAWAL_OK,
    WITHDRAWAL_NONE,          /* a revocation, or another record, that takes no voucher back */
    WITHDRAWAL_MALFORMED,     /* a field missing or of a wrong length */
    WITHDRAWAL_TOO_LARGE,     /* WITHDRAWAL_SIZE_MAX; or the operator's certificates do not fit */
    WITHDRAWAL_NO_OPERATOR,   /* its signer's certificates do not hold, or are no operator's */
    WITHDRAWAL_BAD_SIGNATURE, /* not of the operator's key at that date */
    WITHDRAWAL_MISPLACED,     /* the record is another one than it was signed for */
};

const char *withdrawal_verdict_text(enum withdrawal_verdict verdict);

/* What a record takes back that was itself verified: parses and verifies the operator's word in it.
 * Borrows from record and `arena`; written only when it is OK. */
enum withdrawal_verdict withdrawal_read(const struct record *record, struct arena *arena,
                                        struct withdrawal *withdrawal);

/* The same of a packed envelope, with the packed Chain of its owner: verifies both. */
enum withdrawal_verdict withdrawal_open(struct bytes wire, struct bytes chain, struct arena *arena,
                                        struct record *record, struct withdrawal *withdrawal);

struct withdrawal_wish {
    struct bytes network;
    struct id operator_id;
    const struct identity_key *operator_key;
    struct bytes operator_chain;
    struct id subject;
    uint64_t until_ms; /* now */
    const uint8_t (*seeds)[SEED_SIZE]; /* two, of chance; wiped by the caller */
};

/* Makes the record and its owner's chain, in `arena`. */
enum withdrawal_verdict withdrawal_make(const struct withdrawal_wish *wish, struct arena *arena,
                                        struct bytes *wire, struct bytes *chain);

#endif
