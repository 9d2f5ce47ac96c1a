/* admission: who may connect, and how often: counts and token buckets by address.
 *
 * A fixed table, keyed by a secret: two addresses that fall on one slot share it, which only makes
 * the bounds a little narrower, and nobody can aim for another's slot. No memory is taken per
 * address, so a flood from many of them changes nothing. Not thread-safe. */
#ifndef DUCK_NODE_ADMISSION_H
#define DUCK_NODE_ADMISSION_H

#include "core/bytes.h"

struct admission;

struct admission_limits {
    uint32_t per_address_max;        /* connections of one address */
    uint32_t per_prefix_max;         /* of one /24 or /64 */
    uint32_t accepts_per_s, burst;   /* of one /32 or /64 */
    bool count_loopback;
};

/* IPv6, or IPv4 mapped into it (RFC 4291, section 2.5.5.2). */
struct admission_address {
    uint8_t bytes[16];
};

/* What admission_enter counted, to be given back by admission_leave. */
struct admission_place {
    bool counted;
    uint16_t address, prefix;
};

enum admission_verdict {
    ADMISSION_TAKEN,
    ADMISSION_TOO_OFTEN,
    ADMISSION_ADDRESS_FULL,
    ADMISSION_PREFIX_FULL,
};

struct admission *admission_new(const struct admission_limits *limits);
void admission_free(struct admission *admission); /* NULL is fine */

enum admission_verdict admission_enter(struct admission *admission,
                                       const struct admission_address *address, uint64_t now_ms,
                                       struct admission_place *place);
void admission_leave(struct admission *admission, const struct admission_place *place);

struct admission_address admission_address_ipv4(const uint8_t bytes[4]);

/* A bucket that holds `burst` and fills by `per_s`. */
struct token_bucket {
    uint64_t filled_ms;
    uint32_t used_milli; /* thousandths of a token that are gone; so a zeroed bucket is full */
};
bool token_bucket_take(struct token_bucket *bucket, uint32_t per_s, uint32_t burst,
                       uint64_t now_ms);

#endif
