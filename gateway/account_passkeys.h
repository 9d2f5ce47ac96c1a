/* account_passkeys: passkeys of operators, beside or in the place of passwords. See passkey.h for what they
 * are, accounts.h for orders and `done`. A lock for too many failures does not concern them: nobody guesses
 * a signature. */
#ifndef DUCK_GATE_ACCOUNT_PASSKEYS_H
#define DUCK_GATE_ACCOUNT_PASSKEYS_H

#include "accounts.h"
#include "challenge.h"

#define PASSKEYS_PER_OPERATOR_MAX 20
#define PASSKEY_NAME_MAX 64 /* bytes */
#define PASSKEY_USER_SIZE 16 /* bytes of the handle by which authenticators know an operator; says nothing */

/* To be answered by an authenticator: once, within CHALLENGE_LIFE_MS. `operator_id` 0: to sign in. */
void accounts_passkey_challenge(struct accounts *accounts, uint64_t operator_id,
                                uint8_t challenge[CHALLENGE_SIZE]);
void accounts_passkey_user(struct accounts *accounts, uint64_t operator_id,
                           uint8_t handle[PASSKEY_USER_SIZE]);
const struct passkey_place *accounts_passkey_place(const struct accounts *accounts);

/* What an authenticator said; borrowed for the call. */
struct passkey_said {
    struct bytes credential, client_data;
    struct bytes attestation;                           /* to register */
    struct bytes authenticator_data, signature, handle; /* to sign in; handle: empty when not said */
};

/* BAD_PASSKEY with a reason, PASSKEY_KNOWN, PASSKEYS_FULL; BUSY when too many challenges were answered.
 * TAKEN: result.passkey, and the operator is told by mail. */
bool accounts_add_passkey(struct accounts *accounts, uint64_t operator_id, const char *name,
                          const struct passkey_said *said, accounts_done *done, void *context);

/* As accounts_auth; BAD_PASSKEY with a reason. */
bool accounts_auth_by_passkey(struct accounts *accounts, const struct passkey_said *said,
                              accounts_done *done, void *context);

bool accounts_drop_passkey(struct accounts *accounts, uint64_t operator_id, uint64_t passkey,
                           accounts_done *done, void *context);

struct accounts_passkey {
    uint64_t passkey; /* its number */
    char name[PASSKEY_NAME_MAX + 1];
    uint8_t credential[PASSKEY_CREDENTIAL_MAX];
    size_t credential_size;
    uint64_t created_ms, used_ms; /* used: 0, never */
};

/* Oldest first, at most `max`. Returns how many. */
size_t accounts_passkeys(struct accounts *accounts, uint64_t operator_id,
                         struct accounts_passkey *passkeys, size_t max);

#endif
