/* agent: the one place where the core's machines meet.
 *
 * A turn is: agent_step for each event that has come, then agent_settle once; then the effects are
 * carried out. agent_settle signs what the turn sends: one signature for all pecks of one
 * duckling, one for all receipts of the node.
 *
 * When a turn cannot be kept (the disk is full), its effects are not carried out, this agent is
 * freed, and another is born from what the store holds: so memory and disk cannot differ.
 *
 * No clock, no socket, no file, no chance of its own: same settings and events, same effects. */
#ifndef DUCK_CORE_AGENT_H
#define DUCK_CORE_AGENT_H

#include "directory.h"
#include "effect.h"
#include "fleet.h"
#include "recordset.h"

struct agent;

struct agent_settings {
    struct bytes network;                  /* network id, 1 to NETWORK_ID_MAX bytes */
    const struct identity_key *node_key;   /* borrowed for the agent's life */
    struct bytes node_chain;               /* packed Chain */
    struct bytes display_name;
    struct bytes software;
    const struct bytes *addresses;         /* where others reach us, "host:port" */
    size_t address_count;
    uint8_t session_key[32];               /* public half of the sessions' static key */
    uint64_t session_not_after_ms;
    uint8_t dice_seed[DICE_SEED_SIZE];
    size_t records_max;                    /* in the directory; 0: DIRECTORY_MAX */
    struct record_pool *record_pool;       /* shared with other agents, outlives them; NULL: its own */
    bool sign_alone;                       /* every peck and receipt its own signature: to measure */
    bool bond_own;                         /* ducklings of one node may peck one another unasked */
    const struct id *perches;              /* that hold pecks for this node while it is away… */
    size_t perch_count;                    /* …at most NODE_PERCHES_MAX; 0: none, unless… */
    bool choose_perches;                   /* …they are chosen among living neighbours */
    bool catching_up;                      /* restored from a backup: says nothing for its ducklings before it has
                                              heard another node, see agent_restored.c */
    uint64_t restored_ms;                  /* wall: when a backup was put here; grants that ducklings of this node made
                                              before do not count any more. 0: none was */
    const struct fleet *fleet;             /* borrowed; NULL: the network is open */
    struct bytes voucher, voucher_chain;   /* of this node, for a closed fleet (fleet.h); empty: none */
    uint64_t voucher_not_after_ms;
    bool is_perch;                         /* it holds pecks for nodes that name it */
    struct perch_settings perch;           /* how much */
};

struct intake;

/* An EVENT_HELD, before agent_step: what is under the seal is judged as if it had come over a link, and
 * makes an EVENT_PECK of it. Else `held.wrong` says why it could not. `arena` lives as long as the event. */
void agent_open_held(struct agent *agent, struct intake *intake, struct event *event,
                     struct arena *arena);

struct agent *agent_new(const struct agent_settings *settings);
void agent_free(struct agent *agent); /* NULL is fine */

/* Before what came is looked at: did the host sleep meanwhile? */
void agent_notice_time(struct agent *agent, const struct moment *at);

/* Must this wait until the node has heard who was revoked while it was away (agent_hearing.c)? Asked before agent_step;
 * again when a turn has ended. What is under a signature is opened anew then, because a key may be known to be
 * retired by now. agent_note_lost: something that waited was dropped. */
bool agent_hears_first(const struct agent *agent, const struct event *event);
void agent_note_lost(struct agent *agent);

void agent_step(struct agent *agent, const struct event *event, struct effects *effects);
/* Signs what the events so far let say, before the turn's end: where each has a signature of its own, nothing is gained by
 * waiting for more. */
void agent_sign(struct agent *agent, const struct moment *at, struct effects *effects);
void agent_settle(struct agent *agent, const struct moment *at, struct effects *effects);
uint64_t agent_wake_at_ms(const struct agent *agent, const struct moment *at); /* steady; MOMENT_NEVER */

/* Must the sender's tier be known before a peck for this duckling is judged? It sets a least tier, or
 * has open actions. */
bool agent_judges_by_tier(const struct agent *agent, const struct id *duckling);

/* A new session key (rotated every 7 days) or other addresses: publishes a new node record. */
void agent_set_session_key(struct agent *agent, const uint8_t session_key[32],
                           uint64_t not_after_ms, const struct moment *at, struct effects *effects);

/* What is held of a set; nodes that hold the same records have the same. */
struct agent_set {
    uint64_t records;
    uint8_t fingerprint[RECORDSET_PRINT_SIZE]; /* see recordset_fingerprint */
};

/* A rotation of the node itself: `*longer`, in `arena`, is its chain with the certificate of the key that
 * `order` brings. False: `*refusal` says why not. The chain must be kept, and settings.node_key be that
 * key (identity_key_replace), before agent_step takes the order with it and `is_kept`. */
bool agent_lengthen_node_chain(const struct agent *agent, const struct order *order,
                               const struct moment *at, struct arena *arena, struct bytes *longer,
                               struct order_refusal *refusal);

/* For status answers; read from the loop's thread only. */
struct agent_figures {
    size_t links, nodes, records, hosted, outbox, tray, bonds;
    struct metrics_content counters;
    struct metrics_content total; /* sums over all nodes whose counters are known */
    struct agent_set sets[RECORD_SETS]; /* [set - 1] */
    uint64_t held_back; /* frames, until this node has heard another one; by the loop */
    uint64_t pecks_refused, receipts_refused, records_refused;
    uint64_t records_by_verdict[DIRECTORY_VERDICTS]; /* how offers from other nodes ended */
    size_t proofs;            /* owners that gave one version to two records */
    size_t contradicted;      /* identities with two certificates of one number, by proofs that are held */
    size_t live_nodes;                 /* members that are alive or suspect, with this node */
    struct gossip_figures membership;  /* probes, accusations, own health */
    struct id perches[NODE_PERCHES_MAX]; /* that hold for this node */
    size_t perch_count;
    bool is_perch;
    size_t perched, perched_bytes, perched_owners; /* held for others */
    size_t deposited;          /* pecks of ours that were brought to perches */
    uint64_t perched_opened, perched_junk; /* that perches held for this node; of no use */
    bool restoring;            /* the store is still being read: filled in by who does it */
    bool undone;               /* the last turn could not be kept, nor any since: filled in by who undid it */
    uint64_t signature_checks; /* by the intakes: filled in by who runs them */
    uint64_t turns_undone, undoing_ms; /* turns that could not be kept: filled in by who undid them */
};
void agent_figures(const struct agent *agent, struct agent_figures *figures);

/* Who is there, as far as this node can tell: for status answers, from the loop's thread only (others
 * order ORDER_MEMBERS). Returns how many were written; this node is not among them. */
struct agent_member {
    struct id node;
    enum gossip_state state;
    struct version version;     /* of its node record; zero: none is held */
    bool linked, dialled_here, seed;
    uint32_t accusers;          /* distinct */
    uint64_t suspicion_ends_ms; /* Unix time; 0: not suspected */
    uint32_t attempts;          /* to dial it, that failed in a row */
    uint64_t next_dial_ms;      /* Unix time; 0: none is planned */
};
size_t agent_member_count(const struct agent *agent);
size_t agent_members(const struct agent *agent, const struct moment *at,
                     struct agent_member *members, size_t max);

#endif
