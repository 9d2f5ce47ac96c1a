/* account_sessions: the sessions that an operator has open. See accounts.h for orders and `done`. */
#ifndef DUCK_GATE_ACCOUNT_SESSIONS_H
#define DUCK_GATE_ACCOUNT_SESSIONS_H

#include "accounts.h"

struct accounts_session {
    uint64_t session; /* its number, as in struct access */
    enum access_way way;
    uint64_t began_ms, used_ms; /* to the minute */
    uint64_t ends_ms;           /* if it is not used any more */
};

/* Those that are not over, the newest first, at most `max`. Returns how many. */
size_t accounts_sessions(struct accounts *accounts, uint64_t operator_id,
                         struct accounts_session *sessions, size_t max);

/* NOT_FOUND: this operator has no such session. */
bool accounts_end_session(struct accounts *accounts, uint64_t operator_id, uint64_t session,
                          accounts_done *done, void *context);

/* All of the operator's but this one. */
bool accounts_end_others(struct accounts *accounts, uint64_t operator_id, uint64_t session,
                         accounts_done *done, void *context);

#endif
