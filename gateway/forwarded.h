/* forwarded: who calls, where a proxy stands in between.
 *
 * Only a proxy that the operator named is believed, and only in the one header that the operator
 * says it sets: the other comes through a proxy as the client wrote it. Each proxy appends the
 * address that it saw, so the list is read from its end: the first address that is no trusted
 * proxy's is the caller's. What stands before it, the caller may have made up. */
#ifndef DUCK_GATE_FORWARDED_H
#define DUCK_GATE_FORWARDED_H

#include "allow_list.h"
#include "core/bytes.h"

#define FORWARDED_LINES_MAX 4  /* of one request; lines before the last four are not looked at */
#define FORWARDED_ADDRESS_SIZE 46 /* INET6_ADDRSTRLEN */
#define FORWARDED_PREFIX_SIZE 8

enum forwarded_header {
    FORWARDED_X_FORWARDED_FOR, /* "192.0.2.7, 10.0.0.1" */
    FORWARDED_FORWARDED,       /* RFC 7239: for=192.0.2.7;proto=https, for="[2001:db8::1]:80" */
};

struct forwarded_trust {
    struct allow_list proxies; /* addresses and prefixes; none: nobody is believed */
    enum forwarded_header header;
};

/* Lines in the order in which they came; the last FORWARDED_LINES_MAX. */
struct forwarded_lines {
    struct bytes list[FORWARDED_LINES_MAX];
    size_t count;
};
void forwarded_add(struct forwarded_lines *lines, struct bytes line);

bool forwarded_is_listed(const struct allow_list *list, const char *address);

/* The caller's address, as text in one spelling. `peer` is whom the connection comes from; what
 * is no address ends the way back, and the last one that was is taken. Returns `address`. */
const char *forwarded_caller(const struct forwarded_trust *trust, const char *peer,
                             const struct forwarded_lines *lines,
                             char address[FORWARDED_ADDRESS_SIZE]);

/* Whoever shares it is counted together: IPv4 /24, IPv6 /56 (what one customer of an access
 * network is given: RFC 6177, section 2). Returns its size; 0: this is no address. */
size_t forwarded_prefix(const char *address, uint8_t prefix[FORWARDED_PREFIX_SIZE]);

bool forwarded_is_loopback(const char *address);

#endif
