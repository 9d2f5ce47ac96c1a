/* introduction: a node, provably: its certificates and its node record.
 *
 * What two nodes hand each other in a handshake, and what a key notice is. The wire:
 * proto/session.proto. */
#ifndef DUCK_CORE_INTRODUCTION_H
#define DUCK_CORE_INTRODUCTION_H

#include "certificate.h"
#include "record.h"

#define INTRODUCTION_SIZE_MAX (CHAIN_SIZE_MAX + RECORD_SIZE_MAX + 16u) /* packed: both and tags */

struct introduction {
    struct id node;
    struct chain chain;
    struct record record;
    struct node_content content;
    struct bytes record_wire; /* packed Envelope */
    struct bytes wire;        /* packed Introduction */
};

enum introduction_verdict {
    INTRODUCTION_TAKEN,
    INTRODUCTION_MALFORMED,      /* over INTRODUCTION_SIZE_MAX, not a protobuf, unknown fields */
    INTRODUCTION_BAD_CHAIN,
    INTRODUCTION_NOT_A_NODE,
    INTRODUCTION_BAD_RECORD,     /* envelope, signature, kind, owner or content */
    INTRODUCTION_OTHER_NETWORK,
    INTRODUCTION_EXPIRED,        /* the record, or its session key */
};

const char *introduction_verdict_text(enum introduction_verdict verdict);
struct bytes introduction_pack(struct bytes chain, struct bytes record, struct arena *arena);

/* Verifies everything; `*introduction` borrows from `arena`, which gets a copy of `wire`. */
enum introduction_verdict introduction_open(struct bytes wire, struct bytes network,
                                            uint64_t wall_ms, struct arena *arena,
                                            struct introduction *introduction);

#endif
