/* gossip_parts: what the files of gossip share. Nobody else includes it.
 *
 *   gossip.c            members: who is known, and what is asked about them
 *   gossip_dial.c       seeds, whom to dial and when
 *   gossip_links.c      links, which are chosen, on whom to hang up
 *   gossip_probe.c      probes and the own health
 *   gossip_suspicion.c  accusations, and what state they bring a member to
 *
 * A member that is alive and no more is 24 bytes; whoever is linked, dialled, sought, accused, dead
 * or gone has a `peer` beside it. */
#ifndef DUCK_CORE_GOSSIP_PARTS_H
#define DUCK_CORE_GOSSIP_PARTS_H

#include "gossip.h"

#include <sodium.h>

#define NOBODY UINT32_MAX

struct member {
    struct id node;
    uint32_t peer; /* index + 1; 0: alive, recorded, unlinked */
};

struct accuser {
    struct id node;
    struct version version;
};

struct suspicion {
    uint64_t began_ms, ends_ms;
    uint64_t acked_ms;      /* by a probe of ours since; 0: not */
    uint64_t doubt_ms;      /* of a dead one: when the accusation is said again; MOMENT_NEVER */
    unsigned doubts;        /* so often it was */
    bool is_unsure;         /* many accuse, and it is said again all the same */
    struct accuser accusers[GOSSIP_ACCUSERS];
    size_t count;
    struct version version; /* the highest that is accused: wire and chain are of that one */
    struct version held;    /* of the accused's record, here: who accuses a newer one does not convict */
    uint8_t *owned;         /* wire, then chain */
    size_t wire_size, chain_size;
};

struct peer {
    uint32_t member; /* NOBODY: this slot is free */
    uint32_t next_free;
    uint32_t attempts;
    uint8_t state;         /* enum gossip_state */
    bool recorded;         /* a node record is held */
    bool linked, dialled_here;
    bool chosen;           /* one of the links that we picked */
    bool hanging;          /* we hung up; it is not down yet */
    bool dialling, seed;
    bool sought;           /* a seed that has not answered yet */
    bool comes_back;       /* of one that left: it said that it stops for a while */
    bool met;              /* was linked */
    bool wanted;           /* by pecks */
    bool urgent;           /* a probe waits for the link */
    bool probed;           /* in this round */
    bool passing;          /* a link that was dialled to probe it for another */
    uint64_t due_ms;       /* not dialled before; MOMENT_NEVER: not for its own sake */
    uint64_t dialled_ms;   /* the last try; 0: there was none, or it had no address yet */
    uint64_t lost_ms;      /* when its link broke, and none came since; 0: none did */
    uint64_t up_ms;        /* of the link */
    uint64_t used_ms;      /* when a link was of use last; while hanging: since when */
    uint64_t compared_ms;  /* what it holds with what we hold */
    uint64_t wanted_until_ms;
    struct suspicion *suspicion;
};

struct seed {
    struct id node;     /* zero: whoever answers */
    char *address;      /* owned */
    bool dialling;
    uint32_t attempts;
    uint64_t due_ms; /* of one without an id */
};

struct attempt {
    bool used, for_choice, away, met;
    uint32_t peer, seed; /* one of them NOBODY */
    uint64_t address;    /* hash */
    uint64_t until_ms;
};

enum probe_stage { PROBE_FREE, PROBE_DIRECT, PROBE_DIALLING, PROBE_INDIRECT };

struct probe {
    enum probe_stage stage;
    struct id target;
    uint32_t nonce;
    uint64_t began_ms, due_ms;
    bool again;            /* it was said twice */
    struct id helpers[GOSSIP_HELPERS];
    bool nacked[GOSSIP_HELPERS];
    size_t helper_count;
};

struct relay {
    bool used, nacked;
    struct id from, target;
    uint32_t nonce, own_nonce;
    uint64_t nack_ms, end_ms;
};

struct queued {
    struct gossip_output output;
    uint8_t *owned; /* behind wire and chain */
};

struct gossip {
    struct gossip_settings settings;
    struct dice dice;
    uint8_t key[crypto_shorthash_KEYBYTES]; /* ids can be ground; where they fall cannot */

    struct member *members;
    uint32_t count, capacity;
    uint32_t *slots; /* open addressing by id: index + 1 */
    size_t slot_count;
    struct peer *peers;
    uint32_t peer_slots, peer_capacity, free_peer;
    size_t not_live; /* of the members */

    uint32_t *links; /* peers */
    size_t link_count, link_capacity;
    struct seed *seeds;
    size_t seed_count;
    struct attempt attempts[GOSSIP_DIALS_MAX];
    size_t dials;
    uint64_t away_dial_ms[2]; /* no member that is away is dialled before; [1]: that was linked */
    uint64_t trade_ms;     /* when a chosen link is traded; 0: not begun */
    bool trading;
    uint64_t dial_wake_ms; /* no dial is due before */
    uint64_t grew_ms;      /* when a member was new last… */
    uint32_t counted;      /* …after so many */

    struct probe probes[GOSSIP_PROBES_MAX];
    struct relay relays[GOSSIP_RELAYS_MAX];
    uint64_t tick_ms;    /* the next probe */
    uint64_t planned_ms; /* when the last turn wanted to be woken */

    uint64_t suspicion_wake_ms;
    uint64_t *seen; /* hashes of accusations, a ring */
    size_t seen_next;
    uint64_t refuted_ms, refute_ms; /* the last; the one that is due, MOMENT_NEVER */
    struct version refute_version;
    size_t revived;                 /* members that were dead and are alive, since the last look */
    size_t unsure_count;            /* verdicts of many that are said again */
    size_t heal_count;              /* and within the time that began at… */
    uint64_t heal_began_ms, healed_ms; /* the last time that it was said; 0: never */

    struct queued *queue;
    size_t queue_first, queue_count, queue_capacity, answers;
    uint8_t *lent; /* of the output that was polled last */
    struct gossip_figures figures;
};

/* ---- gossip.c ---- */
uint32_t gossip_member_index(const struct gossip *gossip, const struct id *node); /* NOBODY */
struct peer *gossip_peer(struct gossip *gossip, uint32_t member); /* makes one if need be */
struct peer *gossip_peer_of(const struct gossip *gossip, const struct id *node); /* NULL: none */
uint32_t gossip_add(struct gossip *gossip, const struct id *node, bool before_strangers);
void gossip_drop(struct gossip *gossip, uint32_t member);
void gossip_settle_peer(struct gossip *gossip, struct peer *peer); /* frees what says nothing more */
void gossip_set_state(struct gossip *gossip, struct peer *peer, enum gossip_state state);
void gossip_set_recorded(struct gossip *gossip, struct peer *peer, bool recorded);
bool gossip_is_live(const struct peer *peer);
struct gossip_output *gossip_say(struct gossip *gossip, enum gossip_output_kind kind,
                                 const struct id *node);
static inline const struct id *gossip_id(const struct gossip *gossip, const struct peer *peer)
{
    return &gossip->members[peer->member].node;
}
uint64_t gossip_hash(const struct gossip *gossip, struct bytes bytes);
void gossip_notice_pause(struct gossip *gossip, uint64_t now_ms); /* before anything of the turn is believed */

/* ---- gossip_links.c ---- */
void gossip_hang_up(struct gossip *gossip, struct peer *peer, const char *reason, uint64_t now_ms);
bool gossip_is_mesh(const struct gossip *gossip);
bool gossip_is_short_of_chosen(const struct gossip *gossip);
void gossip_tidy_links(struct gossip *gossip, uint64_t now_ms);

/* ---- gossip_dial.c ---- */
struct peer *gossip_peer_for(struct gossip *gossip, const struct id *node); /* NULL: no room */
void gossip_end_attempt(struct gossip *gossip, struct peer *peer);
void gossip_plan_dial(struct gossip *gossip, struct peer *peer, uint64_t at_ms);
void gossip_plan_again(struct gossip *gossip, struct peer *peer, uint64_t now_ms); /* back-off */
void gossip_try_seeds_again(struct gossip *gossip, uint64_t now_ms);
void gossip_extend_dials(struct gossip *gossip, uint64_t by_ms);

/* ---- gossip_probe.c ---- */
void gossip_probe(struct gossip *gossip, const struct peer *peer, enum probe_stage stage,
                  uint64_t now_ms);
void gossip_probe_linked(struct gossip *gossip, const struct id *node);
void gossip_probe_unreached(struct gossip *gossip, const struct peer *peer, uint64_t now_ms);
void gossip_probe_turn(struct gossip *gossip, uint64_t now_ms);
void gossip_void_probes(struct gossip *gossip);
void gossip_void_probe(struct gossip *gossip, const struct id *target);
uint64_t gossip_probe_wake_ms(const struct gossip *gossip);
void gossip_worsen(struct gossip *gossip, uint32_t by);

/* ---- gossip_suspicion.c ---- */
void gossip_clear_suspicion(struct gossip *gossip, struct peer *peer);
void gossip_suspicion_learn(struct gossip *gossip, struct peer *peer, struct version version);
void gossip_proof_of_life(struct gossip *gossip, struct peer *peer);
bool gossip_is_accused_by(const struct peer *peer, const struct id *accuser);
void gossip_suspicion_turn(struct gossip *gossip, uint64_t now_ms);
void gossip_suspicion_wait(struct gossip *gossip, uint64_t now_ms);

#endif
