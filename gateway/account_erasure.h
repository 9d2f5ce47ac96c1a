/* account_erasure: what is kept of an operator, and its end. See accounts.h for orders and `done`. */
#ifndef DUCK_GATE_ACCOUNT_ERASURE_H
#define DUCK_GATE_ACCOUNT_ERASURE_H

#include "accounts.h"

struct accounts_operator {
    char email[EMAIL_MAX + 1];
    uint64_t created_ms, failures; /* in a row */
    bool has_password;
    uint64_t newsletter_ms;   /* confirmed then; 0: not */
    uint64_t eggs, codes;     /* live */
    uint64_t letters_waiting; /* for the mail server */
};
bool accounts_about(struct accounts *accounts, uint64_t operator_id,
                    struct accounts_operator *about); /* false: no such operator, or a fault */

/* Everything this gateway keeps of the operator, the address included: account, ducklings, keys, sessions,
 * passkeys, eggs, codes, newsletter, letters. When TAKEN none of it is left in the bytes of the database.
 * `ducklings` is how many of them the node was told to let go: FAULT when that is not all of them. */
bool accounts_erase(struct accounts *accounts, uint64_t operator_id, uint64_t ducklings,
                    accounts_done *done, void *context);

#endif
