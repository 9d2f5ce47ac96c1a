/* route_passkeys: passkeys as browsers write them down (PublicKeyCredential.toJSON(), W3C Web
 * Authentication, Level 3, section 5.1). */
#ifndef DUCK_GATE_ROUTE_PASSKEYS_H
#define DUCK_GATE_ROUTE_PASSKEYS_H

#include "account_passkeys.h"
#include "exchange.h"

/* The member "passkey" of the body, from the exchange's arena. False: refused. */
bool passkey_of_body(struct exchange *exchange, enum passkey_use use, struct passkey_said *said);

json_t *passkeys_view(struct exchange *exchange);
json_t *sessions_view(struct exchange *exchange); /* route_sessions.c */

#endif
