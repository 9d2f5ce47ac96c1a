/* voucher: an operator's signed word that it answers for a duckling, or that a domain is its own.
 * The wire: proto/voucher.proto.
 *
 * It says nothing about trust: whom a reader trusts is the reader's own business, see tier.h. */
#ifndef DUCK_CORE_VOUCHER_H
#define DUCK_CORE_VOUCHER_H

#include "certificate.h"

struct voucher {
    struct bytes network;
    struct id operator_id;
    struct id subject;      /* a duckling, or a node of a closed fleet; zero: it is about a domain */
    struct bytes domain;    /* empty: it is about a duckling */
    uint64_t issued_ms, not_after_ms; /* Unix time */
};

enum voucher_verdict {
    VOUCHER_OK,
    VOUCHER_MALFORMED,      /* a field missing or of a wrong length, or both a duckling and a domain */
    VOUCHER_TOO_LARGE,      /* VOUCHER_SIZE_MAX */
    VOUCHER_BAD_DOMAIN,     /* not a lower-case host name with a dot in it */
    VOUCHER_BAD_TIMES,      /* ends before it begins, or lives longer than VOUCHER_LIFE_MAX_MS */
    VOUCHER_NO_OPERATOR,    /* its signer's certificates do not hold, or are no operator's */
    VOUCHER_BAD_SIGNATURE,  /* not of the operator's key at the date of issue */
};

const char *voucher_verdict_text(enum voucher_verdict verdict);

/* Form only. What is parsed borrows from `arena`. */
enum voucher_verdict voucher_parse(struct bytes body, struct arena *arena, struct voucher *voucher);
enum voucher_verdict voucher_pack(const struct voucher *voucher, struct arena *arena,
                                  struct bytes *body);

/* Parses and verifies a packed envelope with the packed Chain of its operator. */
enum voucher_verdict voucher_open(struct bytes wire, struct bytes chain, struct arena *arena,
                                  struct voucher *voucher);

bool domain_is_valid(struct bytes domain);

#endif
