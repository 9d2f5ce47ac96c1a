/* charge: counts a request against its caller's limit, see limiter.h.
 *
 * A beak key is counted by its duckling, a session by its operator; both have the tier that the
 * node computes of the duckling (of a session: the operator's first). Whoever has no good bearer is
 * counted by address prefix, as T0.
 *
 * Each answer of a class with limits says so in two families of headers: X-RateLimit-Limit,
 * -Remaining, -Reset (Unix seconds), and RateLimit, RateLimit-Policy
 * (draft-ietf-httpapi-ratelimit-headers-10; `t` is seconds from now). */
#ifndef DUCK_GATE_CHARGE_H
#define DUCK_GATE_CHARGE_H

#include "limiter.h"

struct exchange;
struct MHD_Response;

struct charge {
    bool is_made;
    struct limiter_answer answer;
    uint64_t now_us;
};

/* Goes on with `then`, perhaps after the node was asked for a tier; or refuses with 429. */
void charge_request(struct exchange *exchange, void (*then)(struct exchange *exchange));

/* For a request that is refused anyway. True: it was one too many, and that was answered. */
bool charge_refusal(struct exchange *exchange);

void charge_headers(const struct charge *charge, struct MHD_Response *response);

#endif
