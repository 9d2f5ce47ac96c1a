/* withdrawals: what the operators of a closed fleet took back (withdrawal.h), for all who judge who is a member: the
 * handshakes, the intake and the agent (fleet.h). The agent adds what it hears.
 *
 * Of an operator that took back more than WITHDRAWALS_PER_OPERATOR_MAX nothing counts, until so many have ended that
 * all that is left is known: what is not known here must not make a member. */
#ifndef DUCK_CORE_WITHDRAWALS_H
#define DUCK_CORE_WITHDRAWALS_H

#include "withdrawal.h"

struct withdrawals;

struct withdrawals_settings {
    void (*enter)(void *context), (*leave)(void *context); /* around each call; NULL: not shared */
    void *context;
};

struct withdrawals *withdrawals_new(const struct withdrawals_settings *settings);
void withdrawals_free(struct withdrawals *withdrawals); /* NULL is fine */

/* That of an operator of the fleet, which was verified. */
void withdrawals_add(struct withdrawals *withdrawals, const struct withdrawn *withdrawn,
                     uint64_t wall_ms);

/* The operator's vouchers for it that were issued then or before are void; 0: none is; MOMENT_NEVER: all are, because
 * it took back too many. */
uint64_t withdrawals_until_ms(struct withdrawals *withdrawals, const struct id *operator_id,
                              const struct id *subject, uint64_t wall_ms);

/* Did anybody take something of it back? */
bool withdrawals_name(struct withdrawals *withdrawals, const struct id *subject);

#endif
