/* fleet: who belongs to a network that is not open to all.
 *
 * A node of a closed fleet shows, in its node record, the voucher of an operator (voucher.h) whose subject it is; who is
 * of the same fleet links with nobody who shows none, and holds no node record without one. So whoever is to take part
 * needs the word of an operator, for 90 days at most, and nothing else: no shared secret, no list of nodes. The operator
 * can take its word back (withdrawal.h): whoever hears of that hangs up on the node, and lets go of its node record. */
#ifndef DUCK_CORE_FLEET_H
#define DUCK_CORE_FLEET_H

#include "record.h"
#include "withdrawals.h"

struct fleet {
    struct id operators[FLEET_OPERATORS_MAX]; /* the word of any of them will do */
    size_t count;                             /* 0: open to all */
    struct withdrawals *withdrawals;          /* of theirs; NULL: none is known of */
};

enum fleet_verdict {
    FLEET_MEMBER,
    FLEET_NO_VOUCHER,
    FLEET_BAD_VOUCHER,    /* it, or its operator's certificates, do not hold */
    FLEET_OTHER_OPERATOR,
    FLEET_OTHER_NODE,     /* it is about somebody else, or for another network */
    FLEET_OVER,           /* it has ended, or ends before the record does; or has not begun */
    FLEET_TAKEN_BACK,     /* its operator took it back, or more than are looked at */
};

const char *fleet_verdict_text(enum fleet_verdict verdict);

/* Of a node record that holds. NULL: an open network. */
enum fleet_verdict fleet_judge(const struct fleet *fleet, const struct record *record,
                               const struct node_content *content, uint64_t wall_ms);

/* A withdrawal that was verified: whoever it is about is to be judged anew. Others than of the fleet's operators say
 * nothing here. */
void fleet_take_back(const struct fleet *fleet, const struct withdrawn *withdrawn, uint64_t wall_ms);

/* Was a voucher for this node taken back? Then its node record, though it was taken once, is judged anew. */
bool fleet_doubts(const struct fleet *fleet, const struct id *node);

#endif
