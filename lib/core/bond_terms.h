/* bond_terms: what the approver of a bond allows the requester, beside the scopes and the end.
 *
 * A value: it remembers nothing. Zero is "no limit" everywhere. The requester is told the terms in
 * the signed receipt that makes the bond (proto/receipt.proto), and holds itself to the rounds; the
 * approver's node enforces all of them, whatever the requester says (bond_meter.h counts). */
#ifndef DUCK_CORE_BOND_TERMS_H
#define DUCK_CORE_BOND_TERMS_H

#include "bytes.h"
#include "limits.h"

struct bond_terms {
    uint32_t per_minute;     /* actions: so many at once, then evenly; at most BOND_PER_MINUTE_MAX */
    uint32_t per_day;        /* actions, in a day of UTC; at most BOND_PER_DAY_MAX */
    uint64_t budget;         /* units, over the bond's life; at most BOND_BUDGET_MAX */
    uint32_t rounds;         /* pecks of either to the other in one thread; at most BOND_ROUNDS_MAX */
    uint64_t cool_down_ms;   /* after its last round a thread rests, then begins anew; at most
                                BOND_COOL_DOWN_MAX_MS; 0: it is over for good */
    uint64_t muted_until_ms; /* wall */
    struct bytes stop_words[BOND_STOP_WORDS_MAX]; /* bytes that a payload may not hold, in capitals
                                                     or not; each one line of text, 1 to
                                                     BOND_STOP_WORD_MAX bytes */
    size_t stop_word_count;
};

/* Which of them are named by whoever sets them. */
enum bond_term {
    BOND_TERM_PER_MINUTE = 1 << 0,
    BOND_TERM_PER_DAY = 1 << 1,
    BOND_TERM_BUDGET = 1 << 2,
    BOND_TERM_ROUNDS = 1 << 3,
    BOND_TERM_COOL_DOWN = 1 << 4,
    BOND_TERM_MUTED_UNTIL = 1 << 5,
    BOND_TERM_STOP_WORDS = 1 << 6,
};

/* What a bond has when its approver names nothing: two that answer each other for ever stop. */
struct bond_terms bond_terms_default(void);

/* `terms`, but where `set` (of enum bond_term) names one, that of `wish`. */
struct bond_terms bond_terms_change(const struct bond_terms *terms, const struct bond_terms *wish,
                                    unsigned set);

/* NULL when they hold; else what is wrong, and in which member. */
const char *bond_terms_judge(const struct bond_terms *terms, const char **field);

bool bond_terms_are_none(const struct bond_terms *terms);

/* Does `word` occur in `payload`, ASCII letters in capitals or not? Bytes are compared as they came:
 * what JSON escapes is another text. Takes one step a byte, whatever both hold (shift-and; Baeza-Yates
 * and Gonnet, 1992), because whoever chose the payload would choose the slowest. */
bool bond_stop_word_occurs(struct bytes word, struct bytes payload);

#endif
