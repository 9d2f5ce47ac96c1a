/* call_guard: one request of libcurl goes only where this gateway may call, see public_address.h.
 *
 * The address that is really connected to is judged, at the last moment before anything is sent:
 * so what a name resolved to before, and how an address is written, does not matter. Without TLS,
 * and at ports that are not listed, only what the allow list has is called. */
#ifndef DUCK_GATE_CALL_GUARD_H
#define DUCK_GATE_CALL_GUARD_H

#include "allow_list.h"

#define CALL_PORTS_MAX 16u

struct call_ports {
    unsigned list[CALL_PORTS_MAX];
    size_t count; /* 0: any */
};

struct call_guard {
    const struct allow_list *allowed; /* NULL: none */
    const struct call_ports *ports;   /* NULL: any */
    bool allow_private;               /* addresses that are not public, too */

    bool has_allowed_name, is_plain; /* of the URL */
    bool is_private, is_in_clear, is_at_other_port; /* refused, because */
};

/* What the URL says that its address does not; then the options of `curl`, a CURL easy handle. The
 * guard must live as long as the handle's transfer. No redirects, no proxy, no other protocols. */
void call_guard_set(struct call_guard *guard, void *curl, const char *url);

/* Why the URL itself says that it will be refused, for people; NULL: it does not. What a name
 * resolves to is not asked. */
const char *call_guard_forbids(const struct call_guard *guard, const char *url);

/* Why it was refused, for people; NULL: it was not. */
const char *call_guard_problem(const struct call_guard *guard);

#endif
