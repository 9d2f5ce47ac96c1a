/* effect: everything the agent can ask for. Carried out in order, but for one rule: all that is
 * kept (EFFECT_KEEP_…, EFFECT_DROP_…) in a turn is committed before anything of that turn is sent,
 * replied or told. So what must be on disk before a peer may hear of it is. A PeckFrame alone may
 * leave sooner: it promises nothing, and who ordered it hears only after the commit. Not so under an
 * idempotency key: if the node dies before the commit, the same order makes another peck, and both
 * would arrive. */
#ifndef DUCK_CORE_EFFECT_H
#define DUCK_CORE_EFFECT_H

#include "event.h"
#include "gossip.h"
#include "noise.h"
#include "perch.h"

enum effect_kind {
    /* Keep on disk. */
    EFFECT_KEEP_DUCKLING,
    EFFECT_KEEP_KEY,     /* of a duckling that is kept: `duckling` with chain, seed and sealed_next alone; of
                            the node the chain */
    EFFECT_KEEP_PROFILE, /* of a duckling that is kept: `duckling` without its chain and seeds */
    EFFECT_KEEP_CONTEXT, /* of a duckling that is kept: issued, issued anew, or revoked */
    EFFECT_DROP_CONTEXT, /* that is over, and makes room */
    EFFECT_KEEP_PECK,
    EFFECT_KEEP_STATE,
    EFFECT_KEEP_RECEIPT,
    EFFECT_KEEP_PARTIAL,
    EFFECT_KEEP_BOND,
    EFFECT_DROP_BOND,
    EFFECT_KEEP_COUNT, /* of a bond: what was used of it, or the rounds of a thread */
    EFFECT_KEEP_GRANT, /* what was used or revoked; also where no row changed, for the audit log */
    EFFECT_DROP_GRANT, /* of a block whose time is over */
    EFFECT_KEEP_RECORD,
    EFFECT_DROP_RECORD,
    EFFECT_KEEP_PROOF,
    EFFECT_KEEP_PIN,
    EFFECT_KEEP_VOUCHER,
    EFFECT_KEEP_TRUST,
    EFFECT_DROP_TRUST,
    EFFECT_KEEP_TIER, /* of a duckling that lives here, as it was told: the node's own, see node/tiers.h */
    EFFECT_KEEP_PRE_KEY,
    EFFECT_DROP_PRE_KEY,
    EFFECT_KEEP_PERCHED, /* for a node that is away */
    EFFECT_DROP_PERCHED,
    EFFECT_KEEP_DEPOSIT, /* one of our pecks is held there */
    EFFECT_KEEP_LOBSTER, /* a step of it, see `lobster` */
    EFFECT_DROP_LOBSTER,
    EFFECT_KEEP_CAUGHT_UP, /* another node was heard since this one was restored */
    EFFECT_KEEP_OUTGROWN,  /* of a duckling that lives here: its key was rotated elsewhere */
    EFFECT_KEEP_COUNTERS,
    /* To other nodes. */
    EFFECT_SEND,
    EFFECT_SEND_PECK,
    EFFECT_SEND_RECEIPTS,
    EFFECT_SEND_RECORDS,
    EFFECT_DEPOSIT,      /* a stored peck, sealed, to a perch: see deposit_pack in frame.h */
    EFFECT_SEND_PERCHED, /* what is held for a node, to it */
    EFFECT_DIAL,
    EFFECT_INTRODUCE,
    EFFECT_HANG_UP,
    /* To the local API. */
    EFFECT_REPLY,
    EFFECT_PECK_CHANGED,
    EFFECT_PARTIAL_CAME, /* or was said: one more is kept */
    EFFECT_BOND_CHANGED,
    EFFECT_RECORD_CHANGED,
    EFFECT_MEMBER_CHANGED,
    EFFECT_TIER_CHANGED,
    EFFECT_WANTED,       /* something more waits for a signature: `wanted` without its body */
    /* To this process: end, as if it had been told to. */
    EFFECT_STOP,
    EFFECT_OUTGROWN, /* this node's key was rotated elsewhere: keep the chain that shows it, and end */
    /* To the log. */
    EFFECT_LOG,
};

enum frame_kind { /* inner frames, proto/gossip.proto */
    FRAME_PECK = 1,
    FRAME_RECEIPT = 2,
    FRAME_REFUSAL = 3,
    FRAME_RECORDS = 5,
    FRAME_PING = 6,
    FRAME_PONG = 7,
    FRAME_PROBE = 8,
    FRAME_PROBE_ACK = 9,
    FRAME_PROBE_REQUEST = 10,
    FRAME_PROBE_NACK = 11,
    FRAME_ACCUSATION = 12,
    FRAME_GOODBYE = 18, /* the transport's, as 6 and 7 */
    FRAME_RECONCILE = 13,
    FRAME_FETCH = 14,
    FRAME_FETCHED = 15,
    FRAME_PARTIAL = 16,
    FRAME_DEPOSIT = 20, /* perches */
    FRAME_DEPOSITED = 21,
    FRAME_COLLECT = 22,
    FRAME_HELD = 23,
    FRAME_SETTLED = 24,
    FRAME_LOBSTER = 25,
    FRAME_BUNDLE = 26, /* the transport's: several of the others */
};

enum box { BOX_IN = 1, BOX_OUT = 2 };

enum log_level { LOG_ERROR = 3, LOG_WARNING = 4, LOG_INFO = 6, LOG_DEBUG = 7 }; /* syslog's */

/* Why an order was not carried out: stable, see lib/client/duck_client.h. */
enum refusal_code {
    REFUSAL_NONE,
    REFUSAL_MALFORMED,         /* "malformed": field says which */
    REFUSAL_TOO_LARGE,         /* "too_large" */
    REFUSAL_NOT_FOUND,         /* "not_found" */
    REFUSAL_NOT_HOSTED,        /* "not_hosted_here": the duckling lives elsewhere, or nowhere */
    REFUSAL_UNKNOWN_TARGET,    /* "unknown_target": the directory does not know it */
    REFUSAL_NOT_ALLOWED,       /* "not_allowed": another duckling's peck */
    REFUSAL_CONFLICT,          /* "conflict": not in a state for this */
    REFUSAL_KEY_REUSED,        /* "idempotency_key_reused": with other content */
    REFUSAL_BUSY,              /* "busy": a table is full; try later */
    REFUSAL_EXPIRED,           /* "expired" */
    REFUSAL_PECKS_REFUSED,     /* "pecks_refused": the target accepts none */
    REFUSAL_BOND_ROUNDS,       /* "bond_rounds": the thread has had all its rounds */
    REFUSAL_BOND_COOLING_DOWN, /* "bond_cooling_down": the same, for a while */
    REFUSAL_GRANT,             /* "grant_refused": it does not allow this; the message says why */
    REFUSAL_OWN_KEY,           /* "own_key": only the duckling itself can sign this, and its key is not here */
    REFUSAL_CONTEXT,           /* "context_refused": the context does not allow this; the message says why */
    REFUSAL_STORE,             /* "store_failed": nothing was kept (disk full, …) */
};
const char *refusal_code_name(enum refusal_code code);

/* Why an order is refused; code REFUSAL_NONE: it is not. */
struct order_refusal {
    enum refusal_code code;
    const char *message, *field;
    uint64_t retry_after_ms;
};

/* What a FetchedFrame says beside its records. */
struct fetch_answer {
    uint32_t session;
    enum record_set set;
    bool is_last, has_next;
    struct stamp next;
};
struct agent_member;

/* A peck of ours for a node that is away. Keys are secret: in the effects' arena, which is wiped. */
struct deposit {
    struct bytes network;
    struct id perch, owner, name;
    struct id peck;                          /* that the store has, from BOX_OUT */
    struct id after;                         /* see sealed.h */
    uint64_t not_after_ms, after_until_ms;
    uint8_t owner_key[NOISE_KEY_SIZE], sealer[NOISE_KEY_SIZE], ephemeral[NOISE_KEY_SIZE];
};

/* What goes out for one CollectFrame. */
struct perched_portion {
    struct id owner;
    const struct perch_entry *entries;
    size_t count;
    bool has_more;
};

enum bond_change {
    BOND_ENDED,
    BOND_MADE,
    BOND_TERMS_CHANGED, /* or its scopes, or its end; by the approver */
    BOND_LIMITED,       /* a limit was reached or refuses; at most once in BOND_TELL_EVERY_MS each */
};

struct effect {
    enum effect_kind kind;
    union {
        struct hosted *duckling;             /* keep: all of it, or the profile and pulse */
        struct {
            enum box box;
            struct id id;
            struct hash hash;
            struct id from, to;
            enum peck_kind kind;
            enum peck_state state;
            uint64_t created_ms, expires_ms, at_ms;
            struct bytes action, idempotency_key;
            struct bytes thread;             /* that it belongs to, whatever it says… */
            struct bytes named_thread;       /* …and what it says */
            struct bytes wire, chain;
            const struct context *context;   /* that it was signed under; NULL: none */
        } peck;
        struct {
            enum box box;
            struct id peck;
            struct id duckling, with;        /* duckling: the end that is hosted here */
            enum peck_state state;
            enum tray_place place;           /* BOX_IN */
            uint32_t attempt;
            uint64_t lease_until_ms;         /* wall; BOX_IN when leased */
            uint64_t at_ms;
            struct bytes problem;            /* BOX_OUT: why, where no receipt says it; else empty */
            struct bytes refusal;            /* and that by its code… */
            uint64_t retry_after_ms;         /* …and when to try again; 0: not said */
            bool by_receipt;                 /* BOX_OUT: one that came with this change says so, and is kept before it */
            bool cancelling;                 /* BOX_OUT: from now on its target is asked to end it */
        } state;
        struct {
            enum box box;
            struct id peck;
            struct id duckling, with;        /* as above */
            enum receipt_kind kind;
            enum peck_state state;
            uint64_t at_ms;
            struct id signer;
            struct hash hash;                /* the receipt's name: envelope_hash of its body */
            struct bytes wire, chain;
        } receipt;
        struct {
            enum box box;
            struct id peck;
            struct id duckling, with;        /* as above */
            struct id signer;                /* the peck's target */
            uint64_t at_ms;
            struct partials partials;        /* with this one, whose number is their count */
            struct bytes wire, chain;
        } partial;                           /* keep; came: without wire and chain */
        struct {
            struct id duckling;              /* keep */
            struct bytes chain;              /* of the node, packed */
        } outgrown;
        struct {
            struct bond *bond;               /* keep, drop; what was used of it is kept apart */
            struct bytes bond_reason;        /* drop: for the audit log; mostly empty */
        };
        struct bond_count count;
        const struct grant_change *grant;    /* keep */
        struct id dropped_grant;             /* drop: the block */
        struct kept_voucher *voucher;
        struct kept_context *context;        /* keep, drop */
        struct kept_trust *trust;            /* keep, drop */
        struct {
            struct offered_record item;
            struct hash replaced;            /* zero: none */
            struct hash dropped;             /* EFFECT_DROP_RECORD */
            uint64_t mark_until_ms;          /* EFFECT_DROP_RECORD: wall, see directory.h; 0: none */
            uint32_t dropped_kind;           /* EFFECT_DROP_RECORD */
            bool own;
            bool dated_here;                 /* by a key that is here: nothing is published at or below its version */
            bool puts_out;                   /* others of its owner, by the owner's quota or a revocation */
        } record;
        struct {
            struct bytes wires[2];           /* two records of one owner, kind, key and version… */
            struct hash other;               /* …the second may be empty: then it is this one, held */
            struct id owner;
            uint64_t quarantine_until_ms;    /* wall: its ducklings are not shown until then */
        } proof;
        struct {
            struct bytes address;
            struct id node;                  /* zero: it is pinned to none any more */
        } pin;
        struct metrics_content counters;     /* this node's, to survive a restart */
        struct {
            uint8_t secret[NOISE_KEY_SIZE];  /* keep; the store seals it */
            uint8_t public[NOISE_KEY_SIZE];
            uint64_t made_ms;                /* keep */
        } pre_key;
        struct {
            struct perch_entry entry;        /* drop: its number alone */
            struct bytes sealed;             /* keep */
        } perched;
        struct {
            struct id peck, perch;
            uint64_t at_ms;
        } kept_deposit;
        struct {
            struct lobster *lobster;
            const char *why;                 /* what happened, for the audit log; a constant; NULL: nothing that
                                                it notes */
        } lobster;
        const struct deposit *deposit;
        const struct perched_portion *portion; /* send perched */
        struct {
            struct id node;
            enum frame_kind kind;
            struct bytes body;
            bool waits;                      /* a peck that must be kept before it leaves: or one key might
                                                stand for two, or two chains for one rotation */
            bool gone;                       /* a peck that left while its commit was under way */
        } send;
        struct {
            struct id node;
            struct id peck;                  /* from BOX_OUT: PeckFrame; from BOX_IN: its receipts… */
            uint32_t partials;               /* …and partial answers after so many; BOX_OUT: so many are held… */
            bool cancelled;                  /* …and the sender takes it back */
        } send_stored;
        struct {
            struct id node;
            struct hash *hashes;
            size_t count;
            struct fetch_answer answer;      /* session 0: as news */
        } send_records;
        struct {
            struct id node;                  /* zero: whoever answers */
            struct bytes address;            /* "host:port" */
            bool session_key_known;
            uint8_t session_key[32];
        } dial;
        struct {
            struct bytes introduction;       /* ours, packed: for handshakes from now on */
        } introduce;
        struct {
            uint64_t ticket;
            enum refusal_code code;
            const char *message, *field;     /* when refused; in the effects' arena */
            uint64_t retry_after_ms;         /* when refused; 0: not said */
            struct id duckling, peck, bond, certificate;
            enum box box;                    /* of `peck` */
            enum peck_state state;
            uint32_t number;                 /* partial */
            bool replayed;                   /* the idempotency key named this earlier peck */
            struct bytes thread;             /* send: that it joined */
            struct bytes chain;              /* hatch, rotate */
            struct bytes context;            /* issue: packed */
            struct bytes grant;              /* make grant: packed */
            struct bytes jws;                /* export; a NUL ends it */
            const struct id *taken;          /* take: handed out, in order */
            size_t taken_count;
            const struct agent_member *members; /* members: see agent.h */
            size_t member_count;
            const struct lobster *lobsters;  /* lobster: those it is about */
            size_t lobster_count;
            struct bytes network;            /* lobster: what their strings are made with */
            struct id waits_for;             /* answer, partial, approve, deny, bond, profile, revoke: nothing is done before this
                                                is signed; zero: it is done */
            const struct wanted *wanted;     /* wanted: the oldest first */
            size_t wanted_count;
        } reply;
        struct {
            enum box box;
            struct id duckling, with, peck;  /* duckling: the end that is hosted here */
            enum peck_state state;
            enum tray_place place;
            struct bytes action;             /* of a received peck that is open */
            struct bytes receipt, receipt_chain; /* that caused it, if one did; packed Envelope, Chain */
            enum receipt_kind receipt_kind;
            struct id receipt_signer;
            uint64_t at_ms;
            struct bytes result, problem;    /* when done */
            struct bytes refusal;            /* as in `state` */
            uint64_t retry_after_ms;
            uint64_t charged;                /* answered: units */
        } changed;
        struct effect_bond {
            enum bond_change change;
            struct id bond, duckling, with;  /* duckling: the end that is hosted here */
            enum bond_verdict limit;         /* limited: which */
            struct id peck;                  /* limited: what reached it; zero where it was not made */
            struct bytes thread;             /* limited in rounds */
        } bond_changed;
        struct {
            struct id owner;
            uint32_t kind;
        } record_changed;
        struct {
            struct id node;
            enum gossip_state state;
        } member_changed;
        struct {
            struct id duckling;
            int before, tier;                /* or TIER_NONE; keep: `tier` */
            unsigned pieces;                 /* keep: bits of the evidence that it rests on, see tier.h */
            const char *reason;              /* changed: what came or went; in the effects' arena */
            uint64_t at_ms;                  /* changed */
        } tier;
        struct wanted wanted;
        struct {
            struct id node;
            const char *reason;              /* a constant */
            bool at_once;                    /* nothing that it sent is wanted */
        } hang_up;
        struct {
            enum log_level level;
            const char *text;                /* one line */
        } log;
    };
};

struct effects {
    struct arena arena; /* everything that effects point to; wiped with them */
    struct effect *list;
    size_t count, capacity;
};

void effects_init(struct effects *effects);
void effects_clear(struct effects *effects); /* wipes: hatching leaves seeds in here */
void effects_free(struct effects *effects);
struct effect *effects_add(struct effects *effects, enum effect_kind kind); /* zeroed otherwise */

#endif
