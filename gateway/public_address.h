/* public_address: which addresses a request to a stranger's host may be sent to.
 *
 * Whoever names a host for this gateway to call must not reach what only this machine or its network
 * can: so the address that is really connected to is looked at, not the name. Not public: everything
 * in the IANA special-purpose registries (RFC 6890) that is not reachable from everywhere, multicast,
 * and IPv6 addresses that carry such an IPv4 address inside. */
#ifndef DUCK_GATE_PUBLIC_ADDRESS_H
#define DUCK_GATE_PUBLIC_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

bool address_is_public(const struct sockaddr *address); /* false for families but IPv4 and IPv6 */

#endif
