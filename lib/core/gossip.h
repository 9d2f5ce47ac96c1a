/* gossip: who is in the network, as far as this node can tell; whom to be linked with; who is alive.
 *
 * A member is a node whose node record is known (or a seed, or whoever is linked). Links form an
 * overlay: few nodes are all linked with one another (FULL_MESH_NODES_MAX), once nobody new has
 * come for GOSSIP_MESH_AFTER_MS; of more, and until then, each dials LINKS_CHOSEN members chosen by
 * chance, accepts what others dial, and now and then trades one of its own for another. Over the links members are probed as in SWIM (Das, Gupta, Motivala, DSN
 * 2002), with the own health, the suspicion that shrinks with each accuser, and the word to the
 * accused first of Lifeguard (Dadgar, Phillips, Currey, DSN 2018). Nobody's verdict travels: what
 * travels are signed accusations (accusation.h), counted by distinct accuser, each against one
 * version of the accused's node record, which must be held for it to convict; a newer record, or a
 * handshake, refutes.
 *
 * No clock, no socket, no dice of its own: time and a seed come in, decisions are polled. A member
 * that is merely alive costs GOSSIP_MEMBER_BYTES_MAX; its addresses and key stay with the caller and are
 * asked for when it is to be dialled. Everything is bounded: members by `nodes_max`, links closed
 * above ACTIVE_LINKS_MAX, dials, probes, accusations and answers by the limits below. */
#ifndef DUCK_CORE_GOSSIP_H
#define DUCK_CORE_GOSSIP_H

#include "dice.h"
#include "id.h"
#include "limits.h"
#include "moment.h"

/* Dialling. */
#define GOSSIP_DIALS_MAX 16u                     /* at once */
#define GOSSIP_MESH_AFTER_MS 500ull              /* nobody new came for so long: few are all linked */
#define GOSSIP_AWAY_DIALS_MAX 4u                 /* of them, to members that are dead or whose link broke */
#define GOSSIP_AWAY_STRANGERS_MAX 2u             /* of those, to some that were never linked */
#define GOSSIP_AWAY_EVERY_MS SECOND_MS           /* those are dialled no oftener: all that were linked, all that were not */
#define GOSSIP_DOUBT_FIRST_MS (2 * SECOND_MS)    /* after a verdict of few it is said again, if nothing came… */
#define GOSSIP_DOUBTS_MAX 6u                     /* …each time after twice as long, so often: 2 min */
#define GOSSIP_UNSURE_MAX 4u                     /* so many verdicts of many are doubted at once, by who is not well itself */
#define GOSSIP_DEAD_LINK_MS (5 * SECOND_MS)      /* the link of a member that is dead so long is hung up */
#define GOSSIP_AWAY_DIALS_PER_AGE 32u            /* each is dialled every 32nd of the time that it is away, at least */
#define GOSSIP_SEEDS_MAX 64u                     /* addresses that the operator named */
#define GOSSIP_ANSWER_WITHIN_MS (20 * SECOND_MS) /* then a dial that nobody spoke of again is over */
#define GOSSIP_SETTLED_MS (30 * SECOND_MS)       /* a link that held so long ends the back-off */
#define GOSSIP_REDIAL_MS MINUTE_MS               /* a new record makes us dial a node no oftener */
#define GOSSIP_WANTED_MS (2 * RESEND_MAX_MS)     /* after the last gossip_want */
#define GOSSIP_LOST_JITTER_MS 100u               /* a link that broke is dialled within this */
/* Links. */
#define GOSSIP_SPARE_MS MINUTE_MS                /* of no use for so long: a spare link closes */
#define GOSSIP_YOUNG_MS (10 * SECOND_MS)         /* a link too many closes no sooner; one made to probe for another then */
#define GOSSIP_TRADE_MS (4 * MINUTE_MS)          /* at most; a chosen link is traded for another */
#define GOSSIP_HANG_UP_WITHIN_MS (20 * SECOND_MS) /* then a link that did not go down counts again */
/* Probing. */
#define GOSSIP_PROBE_EVERY_MS SECOND_MS          /* times 1 + own health, as the next */
#define GOSSIP_PROBE_AGAIN_MS 250ull             /* no ack by then: the probe is said once more */
#define GOSSIP_PROBE_TIMEOUT_MS 500ull           /* then others are asked */
#define GOSSIP_NACK_MS 400ull                    /* who probes for another says so when nothing came */
#define GOSSIP_HELPERS 3u                        /* that are asked to probe, too */
#define GOSSIP_PROBES_MAX 8u                     /* of our own, at once */
#define GOSSIP_RELAYS_MAX 16u                    /* for others, at once */
#define GOSSIP_RELAYS_PER_MEMBER_MAX 4u          /* for one other */
#define GOSSIP_HEALTH_MAX 8u                     /* Lifeguard's: 0 is well */
#define GOSSIP_PAUSED_MS 500ull                  /* a planned wake was missed by more: we were paused */
#define GOSSIP_ANSWERS_MAX 64u                   /* acks and nacks between two polls; more are dropped */
/* Suspicion. */
#define GOSSIP_ACCUSERS 3u                       /* so many make it as short as it gets */
#define GOSSIP_SUSPICION_MIN_MS 1500ull          /* times max(1, log10 N) */
#define GOSSIP_SUSPICION_MAX_TIMES 4u            /* of that, with one accuser */
#define GOSSIP_ACCUSED_PER_MEMBER_MAX ACTIVE_LINKS_MAX /* whom one accuser can have under suspicion */
#define GOSSIP_ACCUSATIONS_SEEN 256u             /* remembered, so that each is passed on once */
#define GOSSIP_REFUTE_EVERY_MS SECOND_MS         /* at most so often */
#define GOSSIP_HEAL_SHARE 8u                     /* of the living: so many of the dead … */
#define GOSSIP_HEAL_MIN 2u                       /* … and no fewer than these … */
#define GOSSIP_HEAL_WITHIN_MS (5 * SECOND_MS)    /* … are alive again within so long: a cut has healed */
#define GOSSIP_HEAL_EVERY_MS (30 * SECOND_MS)    /* at most so often */

#define GOSSIP_MEMBER_BYTES_MAX 48u              /* of a known, unlinked, live member */

struct gossip;

/* Where a member is reached, as its node record says. */
struct gossip_contact {
    struct bytes addresses[NODE_ADDRESSES_MAX]; /* borrowed until the next call */
    size_t address_count;
    uint8_t session_key[32];
};

struct gossip_settings {
    struct id self;
    size_t nodes_max;
    uint8_t dice_seed[DICE_SEED_SIZE];
    /* False: no record of this node is held. */
    bool (*contact)(void *context, const struct id *node, struct gossip_contact *contact);
    void *context;
};

struct gossip *gossip_new(const struct gossip_settings *settings);
void gossip_free(struct gossip *gossip); /* NULL is fine */

/* ---- what is told ---- */

/* A seed: "host:port", and perhaps the id that must answer there; its address stands before those
 * of its record. It is dialled until it answered once; then it has an id (gossip_answered), and a seed with
 * an id is a member like others, that is never forgotten. False: no address, or no room. */
bool gossip_add_seed(struct gossip *gossip, struct bytes address, const struct id *node);

/* A dial to whoever answers was answered, by `node`: the seed has its id from now on. False: no such
 * seed is without one. gossip_unname_seed takes it off again. */
bool gossip_answered(struct gossip *gossip, struct bytes address, const struct id *node);
void gossip_unname_seed(struct gossip *gossip, struct bytes address, const struct id *node);

/* A node record newer than any before: the member is alive, accusations of older versions are void.
 * gossip_leave: its record says that it left, or stopped and will be back: then it is dialled as one that
 * is dead, seldom but for ever, so that two that stopped together meet again. gossip_forget: its record ended. False: table full. */
bool gossip_learn(struct gossip *gossip, const struct id *node, struct version version);
bool gossip_leave(struct gossip *gossip, const struct id *node, bool comes_back);
void gossip_forget(struct gossip *gossip, const struct id *node);

/* A finished handshake is proof of life. Down `goodbye`: ended on purpose by either end; else the member
 * is dialled at once, and probed through others if that fails. */
void gossip_link_up(struct gossip *gossip, const struct id *node, bool dialled_here,
                    uint64_t now_ms);
void gossip_link_down(struct gossip *gossip, const struct id *node, bool goodbye, uint64_t now_ms);
/* As gossip_poll_dial gave them. */
void gossip_dial_failed(struct gossip *gossip, const struct id *node, struct bytes address,
                        uint64_t now_ms);
void gossip_want(struct gossip *gossip, const struct id *node, uint64_t now_ms); /* pecks are for it */

/* Frames of a linked member. */
void gossip_take_probe(struct gossip *gossip, const struct id *from, uint32_t nonce,
                       uint64_t now_ms);
void gossip_take_ack(struct gossip *gossip, const struct id *from, uint32_t nonce,
                     uint64_t now_ms);
void gossip_take_request(struct gossip *gossip, const struct id *from, uint32_t nonce,
                         const struct id *target, uint64_t now_ms);
void gossip_take_nack(struct gossip *gossip, const struct id *from, uint32_t nonce);

/* An accusation whose signature and dates hold; ours as well, once it is signed. */
struct gossip_accusation {
    struct id accuser, accused;
    struct version version; /* of the accused's node record */
    struct hash hash;       /* names the accusation */
    struct bytes wire, chain;
};

enum gossip_verdict {
    GOSSIP_COUNTED,   /* new: pass it on, once */
    GOSSIP_ACCUSES_US,/* GOSSIP_REFUTE follows */
    GOSSIP_KNOWN,     /* heard before, or this accuser was */
    GOSSIP_STALE,     /* a newer record of the accused is held */
    GOSSIP_ENOUGH,    /* the accused is dead or gone, or has GOSSIP_ACCUSERS: nothing changes */
    GOSSIP_STRANGER,  /* the accuser is no live member */
    GOSSIP_UNKNOWN,   /* the accused is no member with a record */
    GOSSIP_TOO_MANY,  /* this accuser has GOSSIP_ACCUSED_PER_MEMBER_MAX under suspicion */
};
const char *gossip_verdict_text(enum gossip_verdict verdict);

/* `held` is the version of the accused's node record as it is held here. */
enum gossip_verdict gossip_take_accusation(struct gossip *gossip,
                                           const struct gossip_accusation *accusation,
                                           struct version held, uint64_t now_ms);

/* Whom an accusation that was counted is passed on to: the accused first, if it is linked; then of
 * our own all links, of another's `budget` of them, by chance. */
size_t gossip_pass_on(struct gossip *gossip, const struct gossip_accusation *accusation,
                      const struct id *from, size_t budget, struct id *nodes, size_t max);

/* ---- what is decided ---- */

enum gossip_state { GOSSIP_ALIVE, GOSSIP_SUSPECT, GOSSIP_DEAD, GOSSIP_LEFT };
#define GOSSIP_STATES 4u
const char *gossip_state_name(enum gossip_state state); /* "alive", … */

enum gossip_output_kind {
    GOSSIP_SEND_PROBE,   /* to node: nonce */
    GOSSIP_SEND_ACK,
    GOSSIP_SEND_NACK,
    GOSSIP_SEND_REQUEST, /* to node: nonce, target */
    GOSSIP_SEND_ACCUSED, /* to node, which is alive: wire, chain of an accusation that it should refute */
    GOSSIP_HANG_UP,      /* on node, for `reason` */
    GOSSIP_ACCUSE,       /* node: sign it, then gossip_take_accusation */
    GOSSIP_ACCUSE_AGAIN, /* node, which is dead here: sign it, and pass it on */
    GOSSIP_REFUTE,       /* publish the own node record anew, above `version` */
    GOSSIP_HEALED,       /* a cut healed: this node may be dead on its other side, and says its record anew */
    GOSSIP_CHANGED,      /* node has another state now, or is new */
};

struct gossip_output {
    enum gossip_output_kind kind;
    struct id node, target;
    uint32_t nonce;
    enum gossip_state state;
    struct version version;
    struct bytes wire, chain; /* borrowed until the next call */
    const char *reason;
};

struct gossip_dial {
    struct id node; /* zero: whoever answers */
    char address[ADDRESS_MAX + 1];
    bool session_key_known;
    uint8_t session_key[32];
};

/* To be called until they say false, once a turn: what time has brought is decided in here. */
bool gossip_poll(struct gossip *gossip, uint64_t now_ms, struct gossip_output *output);
bool gossip_poll_dial(struct gossip *gossip, uint64_t now_ms, struct gossip_dial *dial);
uint64_t gossip_wake_at_ms(const struct gossip *gossip); /* MOMENT_NEVER: nothing planned */

/* ---- questions ---- */

struct gossip_member {
    struct id node;
    enum gossip_state state;
    bool recorded, linked, dialled_here, dialling, seed, wanted, chosen;
    uint32_t accusers;           /* distinct */
    uint64_t suspicion_ends_ms;  /* steady; 0: not suspected */
    uint32_t attempts;           /* that failed in a row */
    uint64_t next_dial_ms;       /* steady; MOMENT_NEVER: none planned */
};

struct gossip_figures {
    uint64_t probes_sent, probes_acked, probes_failed;
    uint64_t accusations_made, accusations_heard, accusations_refused;
    uint64_t refutations;        /* of accusations of this node */
    uint64_t false_alarms;       /* accused by this node, and refuted */
    uint64_t pauses, answers_dropped;
    uint32_t health;
};

bool gossip_is_linked(const struct gossip *gossip, const struct id *node);
size_t gossip_links(const struct gossip *gossip);
size_t gossip_linked(const struct gossip *gossip, struct id *nodes, size_t max);
bool gossip_draw_link(struct gossip *gossip, const struct id *except, struct id *node); /* by chance; false: none */

/* What is held was compared with `node`'s. The second: the neighbour with whom that is longest ago, if it is
 * SUMS_LINK_MS. Probes compare too, but go to members, and those may be many, or made up by somebody. */
void gossip_note_compared(struct gossip *gossip, const struct id *node, uint64_t now_ms);
bool gossip_uncompared(const struct gossip *gossip, uint64_t now_ms, struct id *node);

size_t gossip_count(const struct gossip *gossip); /* members */
size_t gossip_live(const struct gossip *gossip);  /* alive or suspect, with a record; without this node */
void gossip_at(const struct gossip *gossip, size_t index, struct gossip_member *member); /* below count */
bool gossip_find(const struct gossip *gossip, const struct id *node, struct gossip_member *member);
void gossip_figures(const struct gossip *gossip, struct gossip_figures *figures);
size_t gossip_memory_bytes(const struct gossip *gossip); /* all that it holds */

/* How long a member that `accusers` of `nodes` nodes accuse is suspected. */
uint64_t gossip_suspicion_ms(size_t nodes, size_t accusers);

#endif
