/* record: a signed, versioned, expiring statement in the directory. The wire: proto/record.proto. */
#ifndef DUCK_CORE_RECORD_H
#define DUCK_CORE_RECORD_H

#include "envelope.h"
#include "limits.h"
#include "moment.h"

enum record_kind {
    RECORD_NODE = 1,
    RECORD_DUCKLING = 2,
    RECORD_METRICS = 3,
    RECORD_REVOCATION = 4,
    RECORD_ATTESTATION = 5,
    RECORD_SKILL = 6,
};

/* Sets that are reconciled each by itself: metrics turn over in minutes. */
enum record_set { RECORD_SET_DIRECTORY = 1, RECORD_SET_METRICS = 2 };
#define RECORD_SETS 2

enum record_set record_set_of(uint32_t kind);

struct record {
    struct hash hash;       /* set by record_parse and record_pack */
    struct bytes network;
    struct id owner;
    uint32_t kind;          /* one of record_kind; others are relayed, never interpreted */
    struct bytes key;
    struct version version;
    uint64_t not_after_ms;
    bool deleted;
    struct bytes content;
    struct id contradicted; /* of a revocation: whom it proves to be, by who verified it; zero: nobody */
};

struct node_content {
    struct bytes addresses[NODE_ADDRESSES_MAX];
    size_t address_count;
    uint8_t session_key[32];
    uint64_t session_not_after_ms;
    struct bytes software, display_name;
    struct id perches[NODE_PERCHES_MAX]; /* nodes that hold pecks for this one */
    size_t perch_count;
    bool away;              /* stopped on purpose: not here until a newer record says so */
    bool has_pre_key, is_perch;
    uint8_t pre_key[32];    /* see sealed.h */
    struct bytes voucher, voucher_chain; /* see fleet.h; empty: it shows none */
};

struct duckling_content {
    struct id host;
    struct bytes display_name, bio;
    struct bytes capabilities[DUCKLING_CAPABILITIES_MAX];
    size_t capability_count;
    bool accepts_pecks;
    uint32_t least_tier;
    struct bytes open_actions[DUCKLING_OPEN_ACTIONS_MAX];
    size_t open_action_count;
};

struct metrics_content {
    uint64_t ducklings, birth_certificates, connections, eggs, space_ducks, pecks, pageviews;
};

struct revocation_content {
    struct id subject;      /* now always the owner */
    struct bytes reason;
    uint64_t revoked_at_ms; /* not after the record's version */
    struct bytes withdrawal, chain; /* mostly empty; see withdrawal.h */
    bool has_contradicted;          /* mostly not; see contradiction.h */
    struct id contradicted;
    struct bytes trunk, branch;
};

#define CLAIM_BONDED "bonded"
#define CLAIM_LOBSTER "lobster-bind"
#define CLAIM_OPERATOR_VERIFIED "operator-verified"

struct attestation_content {
    struct id subject;
    struct bytes claim, proof; /* proof: see proto/record.proto */
    struct bytes chain;        /* of the proof's signer; empty: it has none */
};

enum record_verdict {
    RECORD_OK,
    RECORD_MALFORMED,
    RECORD_TOO_LARGE,      /* RECORD_SIZE_MAX, for the envelope */
    RECORD_OTHER_NETWORK,
    RECORD_WRONG_SIGNER,   /* envelope's signer is not `owner` */
    RECORD_BAD_CONTENT,    /* its kind's content does not hold together */
    RECORD_BAD_TIMES,      /* ends before it begins, or lives longer than RECORD_LIFE_MAX_MS; a
                              revocation: not from REVOCATION_LIFE_MIN_MS to REVOCATION_LIFE_MAX_MS */
    RECORD_EXPIRED,
    RECORD_FROM_FUTURE,    /* version more than CLOCK_SKEW_MAX_MS ahead of us */
};

const char *record_verdict_text(enum record_verdict verdict);
const char *record_kind_name(uint32_t kind); /* "node", …, "unknown" */

/* Form and content only. Fields borrow from `arena`. */
enum record_verdict record_parse(struct bytes body, struct arena *arena, struct record *record);
enum record_verdict record_pack(struct record *record, struct arena *arena, struct bytes *body);

/* Expired, or from the future? */
enum record_verdict record_judge_dates(const struct record *record, uint64_t wall_ms);

/* Newer version wins; ties by hash, so that all nodes choose alike. Not of revocations: of those the
 * one that ends later wins, or a thief could end one by a shorter one (see directory.h). */
bool record_is_newer(struct version version, const struct hash *hash, struct version held_version,
                     const struct hash *held_hash);

/* "host:port": a name, an IPv4 address or an IPv6 address in brackets; a port from 1. What a node
 * record may name, so whoever configures an address can ask first. */
bool node_address_is_valid(struct bytes address);

enum record_verdict node_content_parse(struct bytes content, struct arena *arena, struct node_content *node);
struct bytes node_content_pack(const struct node_content *node, struct arena *arena);
enum record_verdict duckling_content_parse(struct bytes content, struct arena *arena,
                                           struct duckling_content *duckling);
struct bytes duckling_content_pack(const struct duckling_content *duckling, struct arena *arena);
enum record_verdict metrics_content_parse(struct bytes content, struct metrics_content *metrics);
struct bytes metrics_content_pack(const struct metrics_content *metrics, struct arena *arena);
enum record_verdict revocation_content_parse(struct bytes content, struct arena *arena,
                                             struct revocation_content *revocation);
struct bytes revocation_content_pack(const struct revocation_content *revocation,
                                     struct arena *arena);
enum record_verdict attestation_content_parse(struct bytes content, struct arena *arena,
                                              struct attestation_content *attestation);
struct bytes attestation_content_pack(const struct attestation_content *attestation,
                                      struct arena *arena);

#endif
