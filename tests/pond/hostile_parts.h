/* hostile_parts: what the files of the foxes share. Nobody else includes it.
 *
 *   hostile.c          births, links, what a fox does next, what it hears
 *   hostile_records.c  records: forged, replayed, doubled, too many, fleeting
 *   hostile_words.c    probes, accusations, comparisons and fetches
 *   hostile_pecks.c    pecks and receipts */
#ifndef DUCK_TESTS_HOSTILE_PARTS_H
#define DUCK_TESTS_HOSTILE_PARTS_H

#include "pond_parts.h"

#define SEEN_MAX 64u
#define FLIES_MAX 8u
#define PECKS_MAX 16u

struct author {
    struct id id;
    struct identity_key *key;
    struct bytes chain;
};

struct seen {
    struct bytes wire, chain;
};

/* Two records of one name: the newer one ends soon, the older one much later. */
struct fly {
    struct bytes older, newer;
    uint64_t ends_ms; /* wall */
};

struct hostile {
    unsigned habits;
    uint32_t victim;
    struct author duck, flier; /* keys and chains of its own; made when it first lives */
    struct author leaver;      /* that it will revoke; no key: nobody */
    uint64_t leaver_told_ms;   /* wall */
    struct author twin;        /* whose key it will rotate in two ways; no key: nobody */
    struct identity_key *twin_next;
    uint64_t twin_told_ms;     /* wall */
    size_t twins;
    struct seen seen[SEEN_MAX];
    size_t seen_count;
    struct fly flies[FLIES_MAX];
    size_t fly_next;
    struct bytes pecks[PECKS_MAX]; /* that it sent, to send them again */
    size_t peck_next;
    struct id friend; /* whom it asked for a bond last */
    uint32_t friend_host;
    struct arena memory; /* of what it saw */
    struct arena own;    /* of its identities, flies and pecks; bounded by what they replace */
};

static inline uint64_t fox_wall_ms(const struct pond *pond)
{
    return POND_BORN_MS + pond->now_us / MS_US;
}

/* ---- hostile.c ---- */
struct author fox_author(const struct pond_node *node);
struct author fox_hatch(struct pond *pond, struct pond_node *node, enum identity_kind kind,
                        struct arena *arena);
/* The hash of the key that its certificate commits to. */
struct author fox_hatch_promising(struct pond *pond, struct pond_node *node,
                                  enum identity_kind kind, const struct hash *promise,
                                  struct arena *arena);
void fox_send(struct pond *pond, struct pond_node *node, const struct id *to, uint8_t kind,
              struct bytes body);
const struct seen *fox_any_seen(struct pond *pond, const struct hostile *hostile);
struct pond_node *fox_any_healthy(struct pond *pond);

/* ---- hostile_records.c ---- */
struct bytes fox_node_record(struct pond *pond, struct pond_node *node, const struct author *author,
                             const struct id *owner, struct arena *arena);
void fox_send_record(struct pond *pond, struct pond_node *node, const struct id *to,
                     struct bytes chain, struct bytes wire, struct arena *arena);
struct bytes fox_duckling_record(struct pond *pond, struct pond_node *node,
                                 const struct author *author, struct arena *arena);
struct bytes fox_attestation(struct pond *pond, const struct author *author,
                             const struct id *subject, struct arena *arena);
void fox_forge(struct pond *pond, struct pond_node *node, const struct id *to, struct arena *arena);
void fox_replay(struct pond *pond, struct pond_node *node, const struct id *to,
                struct arena *arena);
void fox_equivocate(struct pond *pond, struct pond_node *node, struct arena *arena);
void fox_flood(struct pond *pond, struct pond_node *node, const struct id *to, struct arena *arena);
void fox_let_fly(struct pond *pond, struct pond_node *node, const struct id *to,
                 struct arena *arena);
void fox_revoke(struct pond *pond, struct pond_node *node, const struct id *to,
                struct arena *arena);
void fox_contradict(struct pond *pond, struct pond_node *node, const struct id *to,
                    struct arena *arena);
void fox_crowd(struct pond *pond, struct pond_node *node, const struct id *to, struct arena *arena);

/* ---- hostile_words.c ---- */
void fox_lie(struct pond *pond, struct pond_node *node, const struct id *to, struct arena *arena);
void fox_accuse(struct pond *pond, struct pond_node *node, const struct id *to,
                struct arena *arena);
void fox_hear_words(struct pond *pond, struct pond_node *node, const struct event *event);

/* ---- hostile_pecks.c ---- */
void fox_peck(struct pond *pond, struct pond_node *node, struct arena *arena);
void fox_hear_peck(struct pond *pond, struct pond_node *node, const struct event *event);

#endif
