/* event: everything the agent can be told. All pointers are borrowed for the call. */
#ifndef DUCK_CORE_EVENT_H
#define DUCK_CORE_EVENT_H

#include "accusation.h"
#include "audit.h"
#include "bond.h"
#include "certificate.h"
#include "context.h"
#include "grants.h"
#include "lobster.h"
#include "moment.h"
#include "noise.h"
#include "outbox.h"
#include "peck.h"
#include "perch.h"
#include "proofs.h"
#include "receipt.h"
#include "record.h"
#include "tray.h"
#include "withdrawal.h"

enum event_kind {
    /* What the store held, once, before EVENT_START. */
    EVENT_RESTORED_DUCKLING,
    EVENT_RESTORED_CONTEXT, /* of a duckling that was restored before */
    EVENT_RESTORED_BOND,
    EVENT_RESTORED_THREAD, /* of a bond that was restored before */
    EVENT_RESTORED_GRANT,  /* what was used or revoked of a block */
    EVENT_RESTORED_RECORD,
    EVENT_RESTORED_MARK,
    EVENT_RESTORED_PROOF,
    EVENT_RESTORED_SENT,
    EVENT_RESTORED_RECEIVED,
    EVENT_RESTORED_VOUCHER,
    EVENT_RESTORED_PIN,
    EVENT_RESTORED_PRE_KEY,
    EVENT_RESTORED_PERCHED,
    EVENT_RESTORED_DEPOSIT, /* after the pecks */
    EVENT_RESTORED_REVOCATION, /* said here, after the records; kept beside the directory, which may be lost */
    EVENT_RESTORED_LOBSTER, /* after the ducklings */
    EVENT_START,
    EVENT_RESUME, /* instead of EVENT_START: the same process, after a turn that could not be kept */
    /* Links. */
    EVENT_LINK_UP,
    EVENT_LINK_DOWN,
    EVENT_DIAL_FAILED,
    EVENT_ANSWERED, /* a dial to whoever answers, or by another node than the one that was dialled */
    /* Frames: parsed and verified by intake before they get here. */
    EVENT_PECK,
    EVENT_RECEIPT,
    EVENT_PARTIAL,
    EVENT_REFUSAL,
    EVENT_RECORDS,
    EVENT_PROBE,
    EVENT_PROBE_ACK,
    EVENT_PROBE_REQUEST,
    EVENT_PROBE_NACK,
    EVENT_ACCUSATION,
    EVENT_CONTRADICTION, /* met in whatever came: `node` is who brought the second chain */
    EVENT_RECONCILE,
    EVENT_FETCH,
    EVENT_FETCHED,
    EVENT_DEPOSIT,
    EVENT_DEPOSITED,
    EVENT_COLLECT,
    EVENT_HELD, /* agent_open_held makes an EVENT_PECK of it, if it can */
    EVENT_SETTLED,
    EVENT_LOBSTER,
    /* The local API. */
    EVENT_ORDER,
    /* Nothing but time. */
    EVENT_TICK,
};

enum order_kind {
    ORDER_HATCH,
    ORDER_PROFILE,
    ORDER_SEND,
    ORDER_TAKE,
    ORDER_ACK,
    ORDER_GIVE_BACK,
    ORDER_RENEW,
    ORDER_ANSWER,
    ORDER_PARTIAL, /* one part of an answer */
    ORDER_APPROVE,
    ORDER_DENY,
    ORDER_CANCEL,
    ORDER_UNPECK,
    ORDER_JOIN,
    ORDER_COUNT,
    ORDER_PULSE,
    ORDER_LEAVE,   /* say that this node leaves the network, then stop */
    ORDER_STOP,    /* say that it is away for a while, then stop; nobody waits for a reply */
    ORDER_VOUCH,   /* publish what an operator signed about a duckling */
    ORDER_TRUST,   /* an operator, or no longer */
    ORDER_WITHDRAW, /* tell the network that an operator took vouchers back */
    ORDER_MEMBERS, /* who is there, as far as this node can tell */
    ORDER_BOND,    /* the approver changes a bond's terms, scopes or end */
    ORDER_REVOKE_GRANT, /* the last block of one, by its root, that lives here; others go by peck, see agent_grants.c */
    ORDER_LOBSTER, /* a lobster bind: one step of its operator, or which there are */
    ORDER_ROTATE,  /* the key that was promised takes over, of a duckling that lives here or of the node */
    ORDER_REVOKE,  /* a duckling that lives here, the node, or whom a certificate speaks for; or a bond */
    ORDER_MAKE_GRANT, /* a first block, or one more of a grant that its sender holds */
    ORDER_WANTED,  /* what waits for the signature of a duckling that keeps its own key */
    ORDER_SIGN,    /* here is one */
    ORDER_ISSUE,   /* a further certificate of a duckling that lives here: see context.h */
    ORDER_EXPORT,  /* the newest certificate of a duckling that lives here, or of the node, as a JWS: see jose.h */
};

enum lobster_wish { LOBSTERS_LIST, LOBSTER_BEGIN, LOBSTER_CONFIRM, LOBSTER_BREAK };

struct order_profile {
    bool set_display_name, set_bio, set_capabilities, set_accepts_pecks, set_least_tier,
        set_open_actions;
    struct bytes display_name, bio;
    struct bytes capabilities[DUCKLING_CAPABILITIES_MAX];
    size_t capability_count;
    bool accepts_pecks;
    uint32_t least_tier;         /* who is below it pecks only under a bond */
    struct bytes open_actions[DUCKLING_OPEN_ACTIONS_MAX]; /* scopes that need no bond */
    size_t open_action_count;
};

/* What the directory proves of a sender: see tier.h. */
struct sender_rank {
    int tier;                    /* or TIER_NONE */
    const char *missing;         /* for the tiers above: names with commas between; NULL: not looked up */
};

/* A grant that came with a peck or an order, and what the intake found of it. */
struct opened_grant {
    const struct grant *grant;   /* NULL: none, or it does not hold */
    enum grant_verdict verdict;
};

struct order {
    uint64_t ticket;             /* names the reply */
    enum order_kind kind;
    struct id duckling;          /* who orders; zero where it may be left out */
    struct id with;              /* unpeck: the other end; zero: by bond. lobster: the other end. make grant: its holder */
    struct id peck;              /* answer, partial, approve, deny, cancel */
    struct id bond;              /* unpeck, bond, revoke */
    struct id certificate;       /* revoke: the one that speaks for whom is to be revoked, or a context; with `duckling`
                                    only a context of that one */
    uint8_t seeds[2][SEED_SIZE]; /* hatch: of the live key and of the next, from the system's dice; issue: the first */
    struct bytes context;        /* issue: its name; send: that or its crt_ id as text; empty: the main key signs */
    struct order_profile profile;/* hatch, profile */
    bool unsaid;                 /* profile: it is kept, and not published */
    struct peck send;            /* send: from, to, kind, action, payload, scopes, message, thread,
                                    reply_to, idempotency_key, trace, grant; revoke grant, make grant: grant */
    uint64_t expires_in_ms;      /* send; 0: the default */
    uint32_t limit;              /* take, members */
    uint64_t lease_ms;           /* take, renew; lobster: begin */
    enum lobster_wish lobster;   /* lobster */
    struct bytes string;         /* lobster: confirm, as the other operator said it */
    struct sender_rank own_rank; /* lobster: of `duckling`; `rank` is of `with` */
    struct tray_filter filter;   /* take */
    const struct id *pecks;      /* ack, give back, renew */
    size_t peck_count;
    bool failed;                 /* answer */
    uint64_t charge;             /* answer: units that it costs the asker's bond, if that has a budget */
    struct bytes result, problem;/* answer; partial: result is its payload; deny: problem is the reason */
    uint32_t number;             /* partial: which this is; 0: the next */
    const struct bytes *scopes;  /* approve; of a bond request: what was asked, when none are named.
                                    bond: none: as they are. make grant: none: those of send.grant. issue */
    size_t scope_count;
    uint64_t uses;               /* make grant */
    uint32_t further;            /* make grant */
    uint64_t not_after_ms;       /* approve, trust, make grant, issue: 0: the default; bond: 0: as it is */
    struct bond_terms terms;     /* approve, bond: those that… */
    unsigned terms_set;          /* …this names (enum bond_term); the rest by default, or as it is */
    struct bytes voucher, chain; /* vouch, trust: of the operator, packed Envelope and Chain; withdraw: the
                                    record, and the chain of its owner; hatch, rotate: of a duckling that
                                    keeps its own key, or empty */
    const struct envelope *made; /* send: signed outside; `send` is its body. NULL: the node makes it */
    struct id wanted;            /* sign */
    uint64_t after;              /* wanted: numbers above it */
    struct signature signature;  /* sign */
    struct bytes signed_body;    /* answer, partial, approve, deny, bond, again: what `signature` is of; .data NULL: not
                                    signed yet. See agent_wanted.c */
    struct bytes domain;         /* trust: that the voucher was fetched from; or empty */
    struct id operator_id;       /* trust, without a domain */
    bool forget;                 /* trust: no longer */
    struct bytes address;        /* join: "host:port" */
    struct id node;              /* join: who must answer there, or zero */
    bool anew;                   /* join: whatever node was pinned to the address, it is asked again */
    struct hash next_key_hash;   /* rotate: what the new certificate promises; seeds[0] is the key that takes over */
    struct bytes sealed_next;    /* rotate, of a duckling: the next key, for the store, which cannot open it */
    struct bytes reason;         /* revoke */
    bool by_next_key;            /* revoke, of a duckling: seeds[0] is the key that was promised, and signs */
    bool by_node, is_opened;     /* rotate, of a duckling: the node is to open its next key, and could */
    bool is_kept;                /* rotate, of the node: `chain` is its new one; see agent_lengthen_node_chain */
    int64_t eggs;                /* count */
    uint64_t pageviews;
    struct opened_grant grant;   /* send, revoke grant, make grant: send.grant, opened */
    struct sender_rank rank;     /* send, to one that lives here: where agent_judges_by_tier */
    struct {                     /* send: a peck of the same idempotency key; answer, partial, approve, deny,
                                    cancel: the peck itself; bond: the request. What the store holds of it */
        bool found, same_content;
        struct id peck;
        struct hash hash;        /* bond */
        enum peck_state state;
        uint64_t expires_ms;     /* approve: the peck's own end */
        struct bytes action;     /* answer that charges */
        struct bytes chain;      /* hatch with a chain: the longest that is known of its identity, packed; or empty */
        struct bytes thread;     /* send: of the peck between these two that it replies to; a peck that
                                    names none is the first of one that has its id as text. Who names
                                    none in a reply has this one, see order_join_thread */
    } held;
};

/* A reply without a thread joins the one that it replies to. Before anything is compared with what was
 * sent. */
static inline void order_join_thread(struct order *order)
{
    if (order->send.thread.size == 0)
        order->send.thread = order->held.thread;
}

/* A duckling that lives here, as the store keeps it. Seeds are secret: the store seals them. */
struct hosted {
    struct id id;
    struct bytes chain;                    /* packed */
    uint8_t seed[SEED_SIZE], next_seed[SEED_SIZE]; /* next: of one that hatches */
    struct bytes sealed_next;              /* rotated: the next seed instead */
    struct order_profile profile;          /* as published */
    uint64_t pulse_ms;                     /* wall: last proof of life */
    bool outgrown;                         /* its key was rotated elsewhere */
    bool own_key;                          /* it keeps its own key: there are no seeds */
};

/* Something that only the key of its duckling can say, which this node has not. The wire is made here,
 * the signature elsewhere. */
struct wanted {
    struct id id;                          /* of the hash of type and body */
    struct id duckling;
    uint64_t number;                       /* grows; over restarts, too */
    enum envelope_type type;               /* ENVELOPE_RECORD, ENVELOPE_RECEIPT */
    struct bytes body;
    const char *why;                       /* a constant */
    struct id peck;                        /* that it is about; zero: none */
    uint64_t asked_ms, until_ms;           /* wall */
};

/* A further certificate of a duckling that lives here. The seed is secret: the store seals it. */
struct kept_context {
    struct id duckling;
    struct id carrier;                     /* names it, also after it was issued anew: see context.h */
    struct id id;                          /* crt_ */
    struct bytes wire;                     /* packed */
    uint8_t seed[SEED_SIZE];               /* zero: it is revoked, and has none */
    uint64_t revoked_ms;                   /* wall; 0: it is not */
    const char *why;                       /* for the audit log: a constant; NULL: nothing that it notes */
};

/* What an operator signed about a duckling that lives here. */
struct kept_voucher {
    struct id duckling, operator_id;
    uint64_t not_after_ms;                 /* wall */
    struct bytes wire, chain;              /* packed Envelope; of the operator, packed Chain */
};

/* An operator that this node trusts. */
struct kept_trust {
    struct id operator_id;
    struct bytes domain;                   /* that it has shown to be its own; empty: by the owner's word */
    uint64_t until_ms;                     /* wall; MOMENT_NEVER: until it is taken back */
};

/* One verified record with what is needed to store and relay it. */
struct offered_record {
    struct record record;
    struct bytes wire, chain;
    struct withdrawn withdrawn;
    bool only_seen; /* verified before under this hash, now not: says who holds it, no more */
};

/* A peck that a perch held, beside what its frame says. */
struct perched {
    struct id name;
    uint64_t number;
    bool is_last, has_more;
    struct id after;             /* see sealed.h… */
    uint64_t after_until_ms;
    bool after_known;            /* …and whether the store has it */
    uint8_t sealer[NOISE_KEY_SIZE];
};

struct event {
    enum event_kind kind;
    struct moment at;
    struct id node; /* frames and links: the other end; zero: ourselves */
    union {
        struct {
            struct metrics_content counters;        /* of earlier lives */
            struct version version_floor;           /* nothing is published at or below it */
        } start;                                    /* start, resume */
        struct hosted duckling;                     /* restored */
        struct kept_voucher voucher;                /* restored */
        struct kept_context context;                /* restored */
        struct bond bond;                           /* restored */
        struct bond_count thread;                   /* restored */
        struct grant_row grant;                     /* restored */
        struct offered_record restored;             /* restored revocation, and restored record: of a node, metrics, a revocation whole;
                                                       of a duckling its host and whether it accepts
                                                       pecks; of others without content; no bytes */
        struct {
            struct id owner;
            uint32_t kind;
            struct bytes key;
            struct version version;                 /* nothing at or below it is taken… */
            uint64_t until_ms;                      /* …until then, wall */
        } mark;                                     /* restored */
        struct directory_proof proof;               /* restored */
        struct outbox_entry sent;                   /* restored */
        struct tray_entry received;                 /* restored */
        struct {
            struct bytes introduction;              /* of the other end, packed; may be empty */
            bool dialled_here;
            bool goodbye;                           /* down: ended on purpose, by either end */
            bool is_outgrown;                       /* up: a longer chain of the other end is known here, or one
                                                       that contradicts it (keyring_meet) */
        } link;
        struct {
            struct bytes address;
        } dial_failed;
        struct {
            struct bytes address;
            struct id wanted;                       /* zero: whoever answers, which is `node` */
        } answered;
        struct {
            struct bytes address;
            struct id node;
        } pin;                                      /* restored */
        struct {
            struct peck peck;
            struct bytes wire, chain;               /* chain: without… */
            const struct context *context;          /* …what it was signed under, verified; NULL: by the main key */
            uint32_t partials;                      /* of its answer, that the sender holds */
            bool cancelled;                         /* …and it takes the peck back */
            bool retired;                           /* signed in its time with a key that was rotated since: the
                                                       link must show that its sender still says it */
            bool known;                             /* the store has it: answer again, take nothing */
            enum peck_state known_state;
            struct bytes thread;                    /* of the peck that it replies to, as order.held */
            struct sender_rank rank;                /* where agent_judges_by_tier */
            struct opened_grant grant;              /* peck.grant */
            struct perched *perched;                /* NULL: it came over a link; else `node` is the perch */
        } peck;
        struct {
            struct receipt receipt;
            struct id signer;
            enum identity_kind signer_kind;
            bool retired;                           /* as of a peck */
            struct hash hash;                       /* its name */
            struct bytes wire, chain;
        } receipt;                                  /* and partial */
        struct {
            struct id peck;
            struct bytes code, reason;
            bool final;
            uint64_t retry_after_ms;                /* 0: not said */
        } refusal;
        struct {
            const struct offered_record *items;
            size_t count;
        } records;
        struct {
            uint32_t nonce;
            uint64_t sums[2];                       /* directory, metrics; of probe and ack */
            struct id target;                       /* of a request */
        } probe;
        struct {
            struct accusation accusation;
            struct hash hash;
            bool expired;                           /* good for nothing but to be refuted */
            struct bytes wire, chain;
        } accusation;
        struct {
            struct bytes one, other;                /* packed Chains, verified, of one identity */
        } contradiction;
        struct {
            enum record_set set;
            uint32_t session;
            bool is_answer, keyed;
            bool has_nonce;
            uint8_t nonce[AUDIT_NONCE_SIZE];
            struct bytes message;
        } reconcile;
        struct {
            enum record_set set;
            uint32_t session;
            bool keyed, stream;
            const struct hash *hashes;
            size_t count;
            struct stamp after;                     /* stream */
        } fetch;
        struct {
            enum record_set set;
            uint32_t session;
            const struct offered_record *items;
            size_t count;
            bool is_last, has_next;
            bool offends;                           /* some that came with it were forged or malformed */
            struct stamp next;
        } fetched;
        struct {
            uint8_t secret[NOISE_KEY_SIZE];
            uint64_t made_ms;
        } pre_key;                                  /* restored */
        struct perch_entry perched;                 /* restored */
        struct {
            struct id peck, perch;
        } kept_deposit;                             /* restored */
        struct {
            struct id owner, name;
            uint64_t not_after_ms;
            struct bytes sealed;
        } deposit;
        struct {
            struct id name;
            struct bytes code;                      /* empty: it is held */
        } deposited;
        struct {
            uint64_t after;
        } collect;
        struct {
            struct id name;
            uint64_t number;
            struct bytes sealed;                    /* empty: there is none */
            bool is_last, has_more;
            const char *wrong;                      /* why it could not be opened; NULL: not tried */
        } held;
        struct {
            const struct id *names;
            size_t count;
        } settled;
        struct lobster lobster;                     /* restored */
        struct lobster_word word;                   /* lobster */
        const struct order *order;
    };
};

#endif
