/* connections: who is connected, and until when each may take.
 *
 * The library's own timeout counts silence only, so one byte a second keeps a connection for ever.
 * Here each has a deadline: for its header, its body, the whole request. A sweep shuts down the
 * sockets of those that are late, and the library then ends them as if the client had. */
#ifndef DUCK_GATE_CONNECTIONS_H
#define DUCK_GATE_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONNECTIONS_MAX 2048
#define CONNECTIONS_PER_ADDRESS_MAX 32 /* of one IPv4 address or IPv6 /64; not of loopback */
#define CONNECTION_ADDRESS_SIZE 46     /* INET6_ADDRSTRLEN */

struct sockaddr;
struct connections;
struct connection_slot;

struct connections *connections_new(unsigned per_address_max, unsigned per_loopback_max);
void connections_free(struct connections *connections); /* NULL is fine */

/* May one more come from there? */
bool connections_admit(struct connections *connections, const struct sockaddr *address);

/* The socket stays its owner's, who calls connections_end before it is closed. NULL: full. */
struct connection_slot *connections_begin(struct connections *connections, int socket,
                                          const struct sockaddr *address, uint64_t deadline_ms);
void connections_end(struct connections *connections, struct connection_slot *slot);

void connection_deadline(struct connection_slot *slot, uint64_t at_ms);
const char *connection_address(const struct connection_slot *slot); /* as text, without port */
void connection_keep(struct connection_slot *slot, void *thing);    /* for the owner */
void *connection_kept(const struct connection_slot *slot);

/* Shuts down whoever is late. Returns how many. */
size_t connections_sweep(struct connections *connections, uint64_t now_ms);
size_t connections_count(struct connections *connections);

#endif
