/* agent_parts: what the agent's own files share. Nobody else includes it. */
#ifndef DUCK_CORE_AGENT_PARTS_H
#define DUCK_CORE_AGENT_PARTS_H

#include "agent.h"
#include "bond.h"
#include "collecting.h"
#include "context.h"
#include "deposits.h"
#include "directory.h"
#include "gossip.h"
#include "grants.h"
#include "idtable.h"
#include "intake.h"
#include "introduction.h"
#include "news.h"
#include "outbox.h"
#include "perch.h"
#include "prekeys.h"
#include "repair.h"
#include "sealed.h"
#include "tray.h"

/* A duckling that lives here. */
struct duckling {
    struct id id;
    struct identity_key *key;     /* NULL: it keeps its own, and signs elsewhere */
    struct {                      /* then: what its chain says */
        struct public_key key;
        uint64_t from_ms, until_ms; /* wall */
    } speaks;
    struct version dated;         /* then: the newest of what was made for it here, or is known of it. Its owner can date
                                     things ahead, elsewhere: so they move the versions of nobody else */
    struct held_wanted *wanted;   /* the oldest first */
    size_t wanted_count, wanted_records, wanted_unasked; /* of them: receipts that no order asked for */
    size_t wanted_bytes;
    struct bytes chain;           /* owned */
    struct arena profile_memory;
    struct order_profile profile; /* in profile_memory */
    struct held_voucher {
        struct id operator_id;
        uint64_t not_after_ms;    /* wall */
        struct bytes wire, chain; /* owned */
    } vouchers[DUCKLING_VOUCHERS_MAX];
    size_t voucher_count;
    struct held_context {
        struct arena memory;      /* of what `context` points to */
        struct context context;
        struct identity_key *key; /* NULL: it is revoked */
        uint64_t revoked_ms;      /* wall; 0: it is not */
    } *contexts[CONTEXTS_PER_DUCKLING_MAX]; /* owned; in order of their making */
    size_t context_count;
    uint64_t pulse_ms;            /* wall */
    uint64_t refresh_at_ms;       /* steady: its record is published again */
    struct version adopted;       /* of the record whose profile it took over, while the agent catches up */
    bool outgrown;                /* its key was rotated elsewhere: it says nothing any more */
};

/* What this turn says and agent_settle signs. Everything they point to lives in the turn's effects
 * or events. */
struct unsigned_peck {
    struct peck peck;
    struct bytes body;
    struct bytes made;   /* signed outside, packed; .data NULL: not */
    struct duckling *from;
    uint64_t ticket;
    struct bytes thread; /* that it belongs to */
    struct sender_rank rank;
    struct opened_grant grant;
    const struct held_context *under; /* NULL: the main key signs */
};

struct unsigned_receipt {
    struct receipt receipt;
    struct bytes body;
    struct hash hash;        /* of the body, once it is packed: the receipt's name */
    struct bytes made;       /* signed outside, packed; .data NULL: not */
    struct duckling *signer; /* NULL: the node */
    struct id node;          /* where the peck came from, or its sender's host */
    uint64_t ticket;         /* of the order that it answers; 0: none */
    struct id bond;          /* that the order made or changed; zero: none */
    struct partials partials; /* of a partial one: with it */
    bool is_about_terms;     /* of a bond that was made long ago: the request is done */
};

/* What this turn took, so that its first round needs no store. Borrows from the turn. */
struct fresh {
    struct hash hash;
    struct bytes wire, chain;
};

/* An audit of ours that a neighbour compares with. */
struct served_audit {
    struct audit *audit; /* NULL: none */
    struct id peer;
    uint32_t session;
    bool is_made; /* and the neighbour was told */
    uint8_t nonce[AUDIT_NONCE_SIZE];
    uint64_t until_ms;
    struct quota *turns; /* how often each neighbour may ask for one: it costs us as much as the set */
};

/* Which node answered first at an address that was joined without an id. */
struct pin {
    char address[ADDRESS_MAX + 1];
    struct id node;
    struct id told; /* the operator was told that this one answers there instead */
};

/* A link, and how many certificates its other end had when it came up. */
struct linked_under {
    struct idtable_node node;
    size_t certificates;
};

/* Of the others, by a node that was away. */
struct hearing {
    bool is_due;       /* nobody was heard since it was… */
    bool by_stranger;  /* …but nodes that it had not known before; or… */
    bool by_one;       /* …this one that it had */
    bool some_lost;    /* of what waited for it */
    bool is_late;      /* that nobody answers was said */
    struct id by;
    uint64_t until_ms; /* steady: another one is waited for; or, while nobody was heard and there is a link: then that is
                          said. 0: there is no link yet */
    struct id *known;  /* the nodes that it knew when it went away */
    size_t known_count;
};

struct agent {
    struct agent_settings settings; /* with memory of our own behind its pointers */
    struct arena memory;
    struct id node;
    struct dice dice;
    struct record_pool *record_pool; /* its own; NULL: settings.record_pool */
    struct directory *directory;
    struct gossip *gossip;
    struct bonds *bonds;
    struct grants *grants;
    struct outbox *outbox;
    struct tray *tray;

    struct duckling **hosted; /* open addressing by id; NULL: free */
    size_t hosted_count, hosted_slots;
    int64_t date_ahead_ms;    /* of the steady clock */
    uint64_t turns;           /* that were settled */
    size_t wanted_bytes;      /* of all that waits for signatures */
    uint64_t wanted_number;   /* of the last */
    uint64_t wanted_until_ms; /* wall: not after the first of them ends */
    size_t context_count; /* of all that live here */

    struct metrics_content counters;
    bool counters_changed, metrics_changed, started;
    bool key_is_new;             /* of somebody here, in this turn */
    bool catching_up;            /* restored, and no other node was heard yet… */
    unsigned heard_sets;         /* …but these sets of one: bit (set - 1) */
    bool turned_away;            /* …and pecks came meanwhile that cannot be judged yet */
    struct hearing hearing;
    bool outgrown;               /* this node's key was rotated elsewhere: it does nothing any more */
    uint64_t metrics_at_ms;      /* steady: not published before */
    uint64_t node_refresh_at_ms; /* steady */
    uint64_t ducklings_refresh_at_ms; /* steady: not later than any duckling's */
    struct version last_version; /* of anything published here */

    struct unsigned_peck *pecks;
    size_t peck_count, peck_capacity;
    struct unsigned_receipt *receipts;
    size_t receipt_count, receipt_capacity;
    struct news *news;
    struct fresh *fresh;
    size_t fresh_count, fresh_capacity;

    struct recordset *sets[RECORD_SETS]; /* of what is held; [set - 1] */
    struct repair *repairs[RECORD_SETS];
    struct served_audit audits[RECORD_SETS];
    struct reconcile *responder;
    struct set_watch {
        uint64_t sum;          /* the last that was looked at */
        uint64_t since_ms;     /* it has stayed */
        uint64_t suggested_ms; /* a repair, by sums that differ */
    } watches[RECORD_SETS];
    uint64_t ask_sets_ms; /* when a neighbour may be asked that was not compared with for long */

    uint64_t pecks_refused, receipts_refused, records_refused;
    uint64_t records_by_verdict[DIRECTORY_VERDICTS];

    struct pin *pins; /* the oldest first; at most GOSSIP_SEEDS_MAX */
    size_t pin_count, pin_capacity;

    struct perch *perch;         /* what is held here for others */
    struct deposits *deposits;   /* what of ours is held elsewhere */
    size_t brought;              /* in this turn */
    struct collecting *collecting;
    struct prekeys *prekeys;
    struct id perches[NODE_PERCHES_MAX]; /* that our record names */
    size_t perch_count;
    uint64_t choose_perches_ms;  /* steady; MOMENT_NEVER: they are named */
    struct seen *perched_refused; /* for good; ids as the beginnings of hashes */
    uint64_t perched_opened, perched_junk;

    uint64_t contradictions_from_ms; /* steady: a minute in which… */
    size_t contradictions_told;   /* …so many proofs were made */
    bool looks_for_revoked;       /* a life began: see agent_heed_revocations */
    struct offered_record *lost_revocations; /* said here, and not in the directory; in `memory` */
    size_t lost_revocation_count, lost_revocation_capacity;

    struct lobsters *lobsters;   /* binds of ducklings that live here; NULL: none */
    struct idtable linked;       /* struct linked_under: links that were introduced */

    struct arena contact_memory; /* of the contact that gossip asked for last */
    bool leaving;                /* ORDER_LEAVE was carried out */
    bool stopping;               /* ORDER_STOP was */
    bool filling;                /* what is offered comes by a first fill */
};

/* ---- agent.c ---- */
struct duckling *agent_hosted(const struct agent *agent, const struct id *id); /* NULL: elsewhere */
struct duckling *agent_host(struct agent *agent, const struct hosted *hosted); /* NULL: HOSTED_MAX */
bool agent_keep_profile(struct duckling *duckling, const struct order_profile *profile);
void agent_log(struct effects *effects, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void *agent_grow(void *list, size_t count, size_t *capacity, size_t size);

/* ---- agent_directory.c ---- */
/* What the owner of `chain` signed with keys that are tried no more is let go of. */
void agent_void_older(struct agent *agent, const struct chain *chain, struct effects *effects);
/* What we say in a record. */
struct statement {
    const struct duckling *by; /* NULL: the node */
    enum record_kind kind;
    struct bytes key, content;
    bool deleted;
    uint64_t life_ms;          /* 0: RECORD_LIFE_MS */
};
void agent_publish(struct agent *agent, const struct statement *statement, const struct moment *at,
                   struct effects *effects, struct bytes *wire);
void agent_publish_node(struct agent *agent, const struct moment *at, struct effects *effects);
void agent_publish_duckling(struct agent *agent, struct duckling *duckling,
                            const struct moment *at, struct effects *effects);
/* A record that this node signed in an earlier life, and does not hold now. */
enum directory_verdict agent_take_own(struct agent *agent, const struct offered_record *offered,
                                      const struct moment *at, struct effects *effects);
bool agent_has_metrics(const struct agent *agent);
void agent_publish_metrics(struct agent *agent, const struct moment *at, struct effects *effects);
void agent_publish_bonded(struct agent *agent, struct duckling *duckling, const struct bond *bond,
                          const struct moment *at, struct effects *effects);
void agent_restore_record(struct agent *agent, const struct offered_record *offered,
                          const struct moment *at);
/* Returns whether it was taken. */
bool agent_offer_record(struct agent *agent, const struct offered_record *offered,
                        const struct id *from, const struct moment *at, struct effects *effects);
void agent_refresh_records(struct agent *agent, const struct moment *at, struct effects *effects);
uint64_t agent_directory_wake_at_ms(const struct agent *agent, const struct moment *at);

/* ---- agent_news.c ---- */
void agent_add_news(struct agent *agent, const struct offered_record *offered,
                    const struct id *from, const struct moment *at);
void agent_spread_news(struct agent *agent, const struct moment *at, struct effects *effects);

/* ---- agent_repair.c ---- */
void agent_make_sets(struct agent *agent);
void agent_free_sets(struct agent *agent);
bool agent_drop_record(struct agent *agent, const struct id *owner, enum record_kind kind, const struct moment *at,
                       struct effects *effects); /* with an empty key */
void agent_note_stamp(struct agent *agent, uint32_t kind, struct version version,
                      const struct hash *hash, bool is_held);
uint64_t agent_set_sum(const struct agent *agent, enum record_set set); /* for probes; equal sets, equal sums */
void agent_compare_sums(struct agent *agent, const struct id *node,
                        const uint64_t sums[RECORD_SETS], const struct moment *at);
void agent_check_sets(struct agent *agent, const struct id *node, const struct moment *at);
void agent_take_reconcile(struct agent *agent, const struct event *event, struct effects *effects);
void agent_take_fetch(struct agent *agent, const struct event *event, struct effects *effects);
void agent_take_fetched(struct agent *agent, const struct event *event, struct effects *effects);
void agent_repair(struct agent *agent, const struct moment *at, struct effects *effects);
uint64_t agent_repair_wake_at_ms(const struct agent *agent);

/* ---- agent_links.c ---- */
void agent_link_up(struct agent *agent, const struct event *event, struct effects *effects);
void agent_link_down(struct agent *agent, const struct event *event, struct effects *effects);
void agent_hang_up(const struct id *node, const char *reason, struct effects *effects);
void agent_cut_off(const struct id *node, const char *reason, struct effects *effects); /* nothing that it sent is wanted */
void agent_dial(struct agent *agent, const struct moment *at, struct effects *effects);
void agent_send(const struct id *node, enum frame_kind kind, struct bytes body,
                struct effects *effects);
bool agent_find_host(const struct agent *agent, const struct id *duckling, struct id *node);
bool agent_lives_here(const struct agent *agent, const struct id *duckling);

/* ---- agent_bonds.c ---- */
/* False: this duckling has no such bond. `*ended`: it, or the first of them. */
bool agent_unpeck(struct agent *agent, const struct order *order, const struct moment *at,
                  struct effects *effects, struct id *ended);
/* By whichever end lives here; the audit log says why. False: there is no such bond. */
bool agent_revoke_bond(struct agent *agent, const struct id *bond, struct bytes reason,
                       const struct moment *at, struct effects *effects);
void agent_hear_of_bond(struct agent *agent, const struct record *record, struct effects *effects);
/* The node of `bond`'s other end has made a peck of `duckling` wait that this bond covers: it has the
 * bond no more. No such bond here: nothing is done. */
void agent_miss_bond(struct agent *agent, const struct id *bond, const struct id *duckling,
                     struct effects *effects);
/* The attestations of bonds that stand are published again as other records are. */
void agent_renew_bonded(struct agent *agent, const struct moment *at, struct effects *effects);
void agent_end_bonds_over(struct agent *agent, const struct moment *at, struct effects *effects);
uint64_t agent_bonds_wake_at_ms(const struct agent *agent, const struct moment *at);

/* ---- agent_limits.c ---- */
/* Why a peck is refused. Texts are constants, or live in the effects' arena. */
struct peck_refusal {
    const char *code, *reason;
    bool final;
    uint64_t retry_after_ms; /* 0: not said */
};

/* The conversation of a peck: that of the peck it replies to, where that is known here (`replied`,
 * which the store was asked for), whatever it says itself. Empty: none. */
struct bytes agent_thread_of(const struct peck *peck, struct bytes replied);

/* `*refusal` is written when a bond covers the action and does not admit it. */
struct bond_decision agent_admit_action(struct agent *agent, const struct peck *peck,
                                        struct bytes thread, const struct moment *at,
                                        struct effects *effects, struct peck_refusal *refusal);
void agent_count_peck(struct agent *agent, const struct peck *peck, struct bytes thread,
                      const struct moment *at, struct effects *effects);
/* False: `*refusal` says why. */
bool agent_judge_round(struct agent *agent, const struct peck *peck, struct bytes thread,
                       const struct moment *at, struct effects *effects,
                       struct order_refusal *refusal);
void agent_keep_counts(struct agent *agent, struct effects *effects);

struct bond *agent_copy_bond(const struct bond *bond, struct arena *arena);
void agent_say_terms(struct unsigned_receipt *said, const struct bond *bond);
/* `changed` is judged, and held under its id. False: nothing is signed that will answer the order. */
bool agent_change_bond(struct agent *agent, const struct order *order, const struct bond *changed,
                       const struct moment *at, struct effects *effects);
void agent_hear_terms(struct agent *agent, const struct event *event, struct effects *effects);
void agent_tell_terms(struct agent *agent, const struct id *node, struct effects *effects);

/* ---- agent_grants.c ---- */
bool agent_is_revocation(const struct peck *peck);
/* Is this peck allowed under its grant, as far as this node can tell? Where the target lives that is all
 * there is to know. Of a revocation: may its sender say it? */
enum grant_verdict agent_judge_grant(const struct agent *agent, const struct peck *peck,
                                     const struct opened_grant *opened, const struct moment *at);
void agent_use_grant(struct agent *agent, const struct peck *peck, const struct grant *grant,
                     const struct moment *at, struct effects *effects);
/* What an order asks for, signed by `duckling`. False: `*message`. */
bool agent_make_grant(struct agent *agent, const struct order *order, const struct duckling *duckling,
                      const struct moment *at, struct effects *effects, struct bytes *wire, const char **message);
/* The last block. GRANT_OK or GRANT_NO_ROOM. */
enum grant_verdict agent_revoke_grant(struct agent *agent, const struct peck *peck,
                                      const struct grant *grant, const struct moment *at,
                                      struct effects *effects);
enum refusal_code agent_revoke_own(struct agent *agent, const struct order *order,
                                   const struct moment *at, struct effects *effects,
                                   const char **message);
void agent_forget_grants(struct agent *agent, const struct moment *at, struct effects *effects);

/* ---- agent_contexts.c ---- */
void agent_restore_context(struct agent *agent, const struct kept_context *kept);
void agent_free_contexts(struct duckling *duckling);
/* False: `*refusal` says why. `*wire` and `*id`: what was issued, in the effects' arena. */
bool agent_issue_context(struct agent *agent, const struct order *order, struct duckling *duckling,
                         const struct moment *at, struct effects *effects,
                         struct order_refusal *refusal, struct bytes *wire, struct id *id);
/* The main key was rotated: those that are not over are issued anew, by the new one. */
void agent_renew_contexts(struct agent *agent, struct duckling *duckling, const struct moment *at,
                          struct effects *effects);
/* By its id. False: nobody who lives here holds it, or `*refusal` says why not. */
bool agent_holds_context(const struct agent *agent, const struct id *id);
bool agent_holds_carrier(const struct agent *agent, const struct id *carrier); /* the same, by what its revocation would be of */
bool agent_revoke_context(struct agent *agent, const struct order *order, const struct moment *at,
                          struct effects *effects, struct order_refusal *refusal);
/* A revocation of this identity was taken: is it of a context that is held here? */
void agent_heed_context_end(struct agent *agent, const struct id *carrier, const struct moment *at,
                            struct effects *effects);
/* The one that an order names for a peck, and may it be pecked under it? False: `*refusal` says why. `*under` is
 * NULL when none is named. */
bool agent_find_context(const struct agent *agent, const struct order *order,
                        const struct peck *peck, const struct moment *at, struct effects *effects,
                        const struct held_context **under, struct order_refusal *refusal);
/* CONTEXT_OK also where there is none. */
enum context_verdict agent_judge_context(const struct agent *agent, const struct context *context,
                                         const struct peck *peck, const struct moment *at);
/* In `arena`, whatever becomes of it; NULL: none. */
const struct context *agent_copy_context(const struct context *context, struct arena *arena);

/* ---- agent_vouchers.c ---- */
void agent_restore_voucher(struct agent *agent, const struct kept_voucher *kept);
void agent_free_vouchers(struct duckling *duckling);
void agent_publish_vouchers(struct agent *agent, struct duckling *duckling, const struct moment *at,
                            struct effects *effects);
enum refusal_code agent_vouch(struct agent *agent, const struct order *order,
                              struct duckling *duckling, const struct moment *at,
                              struct effects *effects, const char **message, const char **field);
enum refusal_code agent_trust(const struct agent *agent, const struct order *order,
                              const struct moment *at, struct effects *effects,
                              const char **message, const char **field);
enum refusal_code agent_withdraw(struct agent *agent, const struct order *order,
                                 const struct moment *at, struct effects *effects,
                                 const char **message, const char **field);

/* ---- agent_lobster.c ---- */
void agent_free_lobsters(struct agent *agent);
void agent_restore_lobster(struct agent *agent, const struct lobster *lobster);
/* `duckling` NULL: none is named, or it lives elsewhere. False: `*refusal` says why. */
bool agent_lobster(struct agent *agent, const struct order *order, const struct duckling *duckling,
                   const struct moment *at, struct effects *effects,
                   struct order_refusal *refusal);
/* Those that an order is about. */
const struct lobster *agent_list_lobsters(const struct agent *agent, const struct order *order,
                                          struct arena *arena, size_t *count);
void agent_take_lobster(struct agent *agent, const struct event *event, struct effects *effects);
void agent_hear_of_lobster(struct agent *agent, const struct offered_record *offered,
                           const struct moment *at, struct effects *effects);
void agent_look_at_lobsters(struct agent *agent); /* what they rest on has changed: in this turn */
void agent_settle_lobsters(struct agent *agent, const struct moment *at, struct effects *effects);
uint64_t agent_lobsters_wake_at_ms(const struct agent *agent, const struct moment *at);

/* ---- agent_membership.c ---- */
/* What its node record says; borrows from the agent until the next call. False: none is held. */
bool agent_find_node(const struct agent *agent, const struct id *node,
                     struct node_content *content);
bool agent_find_contact(void *agent, const struct id *node, struct gossip_contact *contact);
/* Of the fleet, as far as somebody's word was taken back. */
bool agent_is_member(const struct agent *agent, const struct id *node);
/* Who is no member any more is let go of. */
void agent_part_with(struct agent *agent, const struct id *node, const struct moment *at,
                     struct effects *effects);
void agent_heed_withdrawal(struct agent *agent, const struct withdrawn *withdrawn,
                           const struct moment *at, struct effects *effects);
void agent_take_probe(struct agent *agent, const struct event *event);
void agent_take_accusation(struct agent *agent, const struct event *event,
                           struct effects *effects);
/* Carries out what gossip decided. */
void agent_heed_gossip(struct agent *agent, const struct moment *at, struct effects *effects);
void agent_forget_expired(struct agent *agent); /* members whose node record has ended */
void agent_stop(struct agent *agent, const struct moment *at, struct effects *effects);
void agent_leave(struct agent *agent, const struct moment *at, struct effects *effects);

/* ---- agent_pins.c ---- */
void agent_restore_pin(struct agent *agent, struct bytes address, const struct id *node);
bool agent_join(struct agent *agent, const struct order *order, struct effects *effects); /* false: no room */
void agent_take_answer(struct agent *agent, const struct event *event, struct effects *effects);

/* ---- agent_cancel.c ---- */
/* Of a peck that the target's node has taken. */
void agent_ask_to_cancel(struct agent *agent, const struct outbox_entry *entry,
                         const struct moment *at, struct effects *effects);
/* An EVENT_PECK of a peck that is known here. */
void agent_receive_again(struct agent *agent, const struct event *event, struct effects *effects);

/* ---- agent_partials.c ---- */
/* Judged before; `order` has the payload and the ticket. */
void agent_say_partial(struct agent *agent, const struct tray_entry *entry,
                       const struct order *order, const struct moment *at,
                       struct effects *effects);
void agent_dispatch_partial(struct agent *agent, const struct unsigned_receipt *said,
                            struct bytes wire, const struct moment *at, struct effects *effects);
void agent_receive_partial(struct agent *agent, const struct event *event,
                           struct effects *effects);
/* Does what a `done` receipt says of partial answers fit what is held here? */
enum partials_match {
    PARTIALS_MATCH,
    PARTIALS_MISSING, /* some are still to come */
    PARTIALS_DIFFER,  /* its signer said others before */
};
enum partials_match agent_match_partials(const struct outbox_entry *entry,
                                         const struct receipt *done);

/* ---- agent_away.c: our pecks for nodes that are away, and ours that perches held ---- */
void agent_init_perches(struct agent *agent);
void agent_recall_perches(struct agent *agent); /* those that an earlier life chose */
/* Their node is not linked: to its perches, where it is away or cannot be reached. False: to none. */
bool agent_deposit(struct agent *agent, const struct outbox_entry *entry, const struct id *host,
                   const struct moment *at, struct effects *effects);
void agent_take_deposited(struct agent *agent, const struct event *event, struct effects *effects);
void agent_take_perched(struct agent *agent, const struct event *event, struct effects *effects);
void agent_take_held(struct agent *agent, const struct event *event, struct effects *effects);
void agent_settle_perches(struct agent *agent, const struct moment *at, struct effects *effects);
void agent_perches_link_up(struct agent *agent, const struct id *node, const struct moment *at);
uint64_t agent_perches_wake_at_ms(const struct agent *agent, const struct moment *at);

/* ---- agent_perch.c: what is held here for others ---- */
void agent_take_deposit(struct agent *agent, const struct event *event, struct effects *effects);
void agent_take_collect(struct agent *agent, const struct event *event, struct effects *effects);
void agent_take_settled(struct agent *agent, const struct event *event, struct effects *effects);
void agent_expire_perched(struct agent *agent, const struct moment *at, struct effects *effects);

/* ---- agent_orders.c ---- */
void agent_take_order(struct agent *agent, const struct order *order, const struct moment *at,
                      struct effects *effects);

/* ---- agent_own_key.c: ducklings that keep their own keys ---- */

/* What is made for it from now on is dated behind this. */
void agent_note_date(struct duckling *duckling, struct version version);
/* `chain` speaks for it from now on. False: it does not open. */
bool agent_speaks_by(struct duckling *duckling, struct bytes chain);
/* A peck that `from` orders: is it signed by who must sign it, and as its target's node will want it? False:
 * `*refusal` says why. */
bool agent_judge_made(const struct agent *agent, const struct order *order,
                      const struct duckling *from, const struct moment *at,
                      struct order_refusal *refusal);

/* ---- agent_wanted.c: what waits for their signatures ---- */

/* A record of the duckling, packed: it takes the place of one of the same kind and key that waits. */
void agent_want_record(struct agent *agent, struct duckling *duckling, const struct record *record,
                       struct bytes body, const struct moment *at, struct effects *effects);
/* A receipt that no order asked for. */
void agent_want_receipt(struct agent *agent, const struct unsigned_receipt *said,
                        const struct moment *at, struct effects *effects);
/* What an order says is in the last of the turn's receipts. True: it waits for its signature, which
 * answers the order, and nothing else is to be done; the order is carried out when that comes. */
bool agent_await_signature(struct agent *agent, const struct order *order, uint64_t until_ms,
                           const struct moment *at, struct effects *effects);
/* When it was asked to sign its entry in the directory, which waits; 0: none does. Wall. */
uint64_t agent_entry_wanted_ms(const struct duckling *duckling);
/* The record of this kind that waits; zero: none does. */
struct id agent_wanted_record(const struct duckling *duckling, enum record_kind kind);
void agent_forget_wanted(struct agent *agent, struct duckling *duckling);
/* After a rotation: what waits is dated anew. Records are said anew by others. */
void agent_want_anew(struct agent *agent, struct duckling *duckling, const struct moment *at,
                     struct effects *effects);
/* Somebody else brings a record of one that keeps its own key. */
void agent_hear_of_own_key(struct agent *agent, const struct offered_record *offered,
                           const struct moment *at, struct effects *effects); /* agent_rotation.c */
void agent_end_wanted(struct agent *agent, const struct moment *at);
uint64_t agent_wanted_wake_at_ms(const struct agent *agent, const struct moment *at);
void order_list_wanted(struct agent *agent, const struct order *order,
                       const struct duckling *duckling, struct effects *effects);
void order_sign(struct agent *agent, const struct order *order, struct duckling *duckling,
                const struct moment *at, struct effects *effects);
void agent_take_signed_receipt(struct agent *agent, struct unsigned_receipt *said,
                               struct bytes wire, const struct moment *at,
                               struct effects *effects); /* agent_receipts.c */

/* ---- agent_rotation.c ---- */
/* A duckling's key is replaced by that of seeds[0], which must be the promised one; a promise of zero
 * ends the chain. False: `*refusal` says why. */
bool agent_take_over(struct agent *agent, const struct order *order, struct duckling *duckling,
                     const struct moment *at, struct effects *effects,
                     struct order_refusal *refusal);
/* What is published from now on is dated behind the rotation that `chain` ends with, whatever the clock says. */
void agent_date_behind(struct agent *agent, const struct chain *chain);
/* `*chain`, in the effects' arena: the longer one. False: `*refusal` says why. */
bool agent_rotate(struct agent *agent, const struct order *order, const struct moment *at,
                  struct effects *effects, struct order_refusal *refusal, struct bytes *chain);
/* `*jws`, in the effects' arena: with a NUL that counts. False: `*refusal` says why. */
bool agent_export(const struct agent *agent, const struct order *order, struct effects *effects,
                  struct order_refusal *refusal, struct bytes *jws, struct id *certificate);
/* What was signed with a key that was retired since counts when it comes from the node that speaks for
 * its signer today: the signer itself, or the host of the duckling. A thief of the old key is not there. */
bool agent_still_says(const struct agent *agent, const struct id *signer, enum identity_kind kind,
                      const struct id *link);
/* False: it is hung up, and nobody hears of it. */
bool agent_note_link(struct agent *agent, const struct event *event, size_t certificates,
                     struct effects *effects);
void agent_forget_link(struct agent *agent, const struct id *node);
/* A record came under this chain: ends a link to its node that was introduced under a shorter one. */
void agent_end_outgrown(struct agent *agent, const struct id *node, struct bytes chain,
                        struct effects *effects);

/* ---- agent_contradiction.c ---- */
void agent_take_contradiction(struct agent *agent, const struct event *event,
                              struct effects *effects);

/* ---- agent_revoke.c ---- */
/* `*waits_for`: nothing is said before its duckling has signed this; zero: it is said. */
bool agent_revoke(struct agent *agent, const struct order *order, const struct moment *at,
                  struct effects *effects, struct order_refusal *refusal, struct id *waits_for);
/* A revocation was taken, by whom ever it was said: what is open with its owner ends. */
void agent_heed_revocation(struct agent *agent, const struct id *revoked, const struct moment *at,
                           struct effects *effects);
/* A proof was taken: the same, for whom it is about. */
void agent_heed_contradiction(struct agent *agent, const struct id *contradicted,
                              const struct moment *at, struct effects *effects);
/* The store has it though the directory may not: then it is taken again, and passed on. */
void agent_restore_revocation(struct agent *agent, const struct offered_record *offered);
void agent_say_lost_revocations(struct agent *agent, const struct moment *at,
                                struct effects *effects);
/* A life began: what its last one left open with somebody who is revoked, ends. */
void agent_heed_revocations(struct agent *agent, const struct moment *at, struct effects *effects);
/* "WHO is revoked: the reason", in `arena`; NULL: it is not. */
const char *agent_revoked_text(const struct agent *agent, const char *who, const struct id *id,
                               struct arena *arena);
bool agent_is_revoked(const struct agent *agent, const struct id *identity);

/* ---- agent_pecks.c ---- */
void agent_send_peck(struct agent *agent, const struct order *order, const struct moment *at,
                     struct effects *effects, struct order_refusal *refusal);
/* The EFFECT_KEEP_PECK of it, but for what only its side knows: thread, wire, chain, context, idempotency key. */
struct effect *agent_keep_peck(struct effects *effects, enum box box, const struct peck *peck,
                               enum peck_state state, uint64_t at_ms);
void agent_sign_pecks(struct agent *agent, const struct moment *at, struct effects *effects);
void agent_tell_changed(struct effects *effects, enum box box, const struct id *duckling,
                        const struct id *with, const struct id *peck, enum peck_state state,
                        uint64_t at_ms);
void agent_tell_ready(const struct tray_entry *entry, const struct moment *at,
                      struct effects *effects); /* for its agent, again */

/* ---- agent_arrivals.c ---- */
/* An EVENT_PECK of a peck that is not known here. False: it was refused, but may be taken later. */
bool agent_receive_peck(struct agent *agent, const struct event *event, struct effects *effects);

/* ---- agent_resend.c ---- */
void agent_resend_and_expire(struct agent *agent, const struct moment *at,
                             struct effects *effects);

/* ---- agent_receipts.c ---- */
struct unsigned_receipt *agent_say(struct agent *agent, const struct tray_entry *entry,
                                   enum receipt_kind kind, enum peck_state state,
                                   const struct moment *at, uint64_t ticket);
void agent_say_taken(struct agent *agent, const struct tray_entry *entry, const struct id *node,
                     enum peck_state state, const struct moment *at, uint64_t ticket,
                     struct effects *effects);
struct unsigned_receipt *agent_say_done(struct agent *agent, const struct tray_entry *entry,
                                        enum peck_state state, struct bytes result,
                                        struct bytes problem, const struct moment *at,
                                        uint64_t ticket, struct effects *effects);
void agent_sign_receipts(struct agent *agent, const struct moment *at, struct effects *effects);
void agent_receive_receipt(struct agent *agent, const struct event *event,
                           struct effects *effects);
void agent_receive_refusal(struct agent *agent, const struct event *event,
                           struct effects *effects);
/* A peck that was sent from here ends without a receipt: refused for good, its time is over, … */
struct ending {
    enum peck_state state;
    struct bytes problem, refusal; /* a sentence, and the code of whoever refused it */
    uint64_t retry_after_ms;
};
void agent_end_sent(struct agent *agent, const struct outbox_entry *entry,
                    const struct ending *ending, const struct moment *at, struct effects *effects);

/* ---- agent_hearing.c ---- */
void agent_begin_hearing(struct agent *agent); /* there was no link */
void agent_hear_soon(struct agent *agent, const struct id *node, const struct moment *at); /* it is linked now */
void agent_hear_all(struct agent *agent, const struct moment *at); /* the host slept: what was heard is old */
/* All that `from` holds of `set` is here. */
void agent_hear(struct agent *agent, enum record_set set, const struct id *from, const struct moment *at);
void agent_settle_hearing(struct agent *agent, const struct moment *at, struct effects *effects);
uint64_t agent_hearing_wake_at_ms(const struct agent *agent); /* steady */

/* ---- agent_restored.c ---- */

/* A record of ours, of an earlier life: takes over what is newer in it. */
void agent_adopt(struct agent *agent, const struct record *record, struct effects *effects);
void agent_note_heard(struct agent *agent, enum record_set set, const struct moment *at,
                      struct effects *effects);
/* True: it shows that the key of its owner, who lives here, is none any more. */
bool agent_heed_newer_key(struct agent *agent, const struct offered_record *offered, struct effects *effects);
void agent_tell_outgrown(struct agent *agent, const struct id *node, struct effects *effects);
bool agent_may_speak(const struct agent *agent, const struct order *order, struct order_refusal *refusal);
void agent_store_profile(struct duckling *duckling, struct effects *effects); /* agent_orders.c */

#endif
