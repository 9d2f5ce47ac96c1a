/* store: node.db, what nobody else has (pecks, bonds, keys, counters), and directory.db beside it,
 * what gossip brought and can bring again.
 *
 * SQLite in WAL mode: what a turn keeps is one transaction. A commit (synchronous=NORMAL) survives
 * the end of the process; store_sync then makes all commits before it survive a power cut, which
 * together is synchronous=FULL in two steps, so that the second can be left out or can overlap
 * with the next turn. The writer belongs to the loop's thread. Readers are separate read-only connections, one for
 * each thread that asks. Tables: node/schema/. Fault semantics: after a failed turn everything of
 * it is rolled back; an I/O error other than a full disk stops the process (the loop's decision).
 *
 * Seeds of hosted ducklings are sealed with XChaCha20-Poly1305 under keys derived from the key
 * file; live and next seeds under different ones; the row's id is the associated data. */
#ifndef DUCK_NODE_STORE_H
#define DUCK_NODE_STORE_H

#include "core/agent.h"
#include "core/audit_log.h"
#include "core/tier.h"
#include "fault.h"

struct store;
struct store_reader;

struct store_settings {
    const char *path;              /* of node.db; created 0600 */
    const uint8_t *storage_key;    /* 32 bytes, borrowed for the call: subkeys are derived */
    struct id node;                /* whose it is; another node's file is FAULT_CORRUPT */
    const struct identity_key *node_key; /* borrowed until store_close: signs checkpoints of the audit
                                            log; NULL: none are made */
    struct bytes node_chain, network;    /* borrowed for the call */
    const uint8_t *seal_key;             /* for which next keys of ducklings are sealed, see keyfile.h; NULL: they
                                            are sealed for this node itself */
    uint64_t restored_ms;                /* wall: when a backup was put here; 0: it was not, or that is heeded already */
    bool alone;                          /* …and no other node is waited for, see store_is_catching_up */
};

/* The next key of a duckling that hatched before there was a seal_key; false: this node cannot open it. */
bool store_open_next_seed(struct store *store, const struct id *duckling, uint8_t seed[SEED_SIZE],
                          struct bytes *sealed); /* NULL, or what is there instead; until the next call */

/* Every chain of more than one certificate, from both databases: what must not be forgotten, see keyring.h. */
int store_each_rotated(struct store *store, void (*give)(void *context, struct bytes chain),
                       void *context);

/* What a backup brought back may be old. The first store_open after it (settings.restored_ms), in one transaction:
 * what is numbered goes on above all that an earlier life of this node can have used (RESTORED_PER_MS numbers for each
 * millisecond of the date); versions are above the date; pecks on their way are taken back, for what came of them is not
 * known; received ones that are open go, for whoever still waits says them again; the audit log says that it happened.
 *
 * Then it catches up: until another node was heard, nothing is said for its ducklings. */
bool store_is_catching_up(const struct store *store);
uint64_t store_restored_ms(const struct store *store); /* wall: when a backup was put here last; 0: none was */

/* A consistent copy of node.db, taken while a node writes there, for a backup: without pre-keys and without what is
 * held for others. `*file` is open, at its beginning, and has no name; 0600. `scratch` is a name for a moment. */
int store_snapshot(const char *path, const char *scratch, int *file, uint64_t *size);

int store_open(struct store **opened, const struct store_settings *settings);
void store_close(struct store *store); /* NULL is fine; checkpoints */

/* Everything an agent needs to go on, as events; `give` is called for each, in the order of
 * enum event_kind, then `counters` and `version_floor` are set. */
int store_restore(struct store *store, const struct moment *at,
                  void (*give)(void *context, const struct event *event), void *context,
                  struct metrics_content *counters, struct version *version_floor);

/* One turn. store_keep carries out one EFFECT_KEEP_… or EFFECT_DROP_…; others are ignored. */
int store_begin(struct store *store);
int store_keep(struct store *store, const struct effect *effect);
int store_commit(struct store *store); /* FAULT_DISK_FULL: rolled back, go on; else: see above */
void store_roll_back(struct store *store);

/* Every few MiB what the log holds is carried over into the database, some 10 ms, at the beginning of a turn. Who has
 * another thread for it asks after each commit: true: store_carry is to be called there, and turns go on meanwhile. One
 * of those that follow has little left to do. */
bool store_begin_carrying(struct store *store);
int store_carry(struct store *store);

/* The audit log: what is kept of pecks and bonds is noted in the same transaction. Checkpoints come
 * with the turns; when no turn comes, the loop makes one at this date (wall; MOMENT_NEVER: nothing
 * waits to be signed) with store_keep_checkpoint, in a turn. */
void store_audit_at(struct store *store, uint64_t wall_ms); /* the date of the turn */
uint64_t store_audit_due_ms(const struct store *store);
int store_keep_checkpoint(struct store *store, uint64_t wall_ms);

/* In a turn: cuts off what is older, up to a checkpoint, which is signed anew to stand for it. */
int store_prune_audit(struct store *store, uint64_t before_ms, bool *is_done);

/* In a turn: drops the parts of answers to pecks that are done and whose time was over before this. Looks at
 * STORE_PARTIALS_LOOKS pecks with parts from `*place` on, which moves on (0: from the first), and drops those of
 * STORE_PARTIALS_CUTS at most, all of one at once. */
int store_prune_partials(struct store *store, uint64_t before_ms, uint64_t *place, bool *is_done);

/* What the directory and this node's trust prove of a duckling, as the store holds it now; whether its
 * certificates hold is for who has them to say. Sees the open turn. After a fault nothing is proved. */
int store_weigh(struct store *store, const struct id *duckling, uint64_t wall_ms,
                struct tier_evidence *evidence);

/* The same of one that lives here, and what it rests on. */
enum vouching {              /* the best that is said of it by operators */
    VOUCHING_NONE,           /* nobody's word lives */
    VOUCHING_UNTRUSTED,      /* of operators that this node does not trust, or no longer */
    VOUCHING_REVOKED,        /* of one whose key is revoked */
    VOUCHING_WITHDRAWN,      /* of one that took it back */
    VOUCHING_CROWDED,        /* of one that took back more than WITHDRAWALS_PER_OPERATOR_MAX */
    VOUCHING_GOOD,
};
struct tier_ground {
    uint64_t until_ms;       /* wall: then the first piece ends that now counts; MOMENT_NEVER */
    unsigned unproven;       /* pieces (tier.h) that are not there, and may only not have come back: the directory is
                                younger than records live, and this node's own end of them stands */
    struct id bonded_with;   /* whose word for the bond lives longest; zero: nobody's */
    struct id bound_with;    /* the same of a lobster bind */
    enum vouching vouching;
    struct withdrawn withdrawn; /* when it is that: whose voucher, and when it was taken back */
    struct id operators[RECORDS_PER_OWNER_MAX]; /* whose vouchers live, counted or not */
    size_t operator_count;
};
int store_weigh_hosted(struct store *store, const struct id *duckling, uint64_t wall_ms,
                       struct tier_evidence *evidence, struct tier_ground *ground);

/* Ducklings that live here, and the tier that was told of each. */
struct told_tier {
    struct id duckling;
    bool is_told;
    int tier;
    unsigned pieces;
};
/* What this operator took back, the newest first, at most `max`. */
int store_read_withdrawn(struct store *store, const struct id *operator_id, size_t max,
                         void (*give)(void *context, const struct withdrawn *withdrawn), void *context);

int store_read_told_tiers(struct store *store,
                          void (*give)(void *context, const struct told_tier *told), void *context);

/* Puts all that is committed on the disk. From any thread, while the loop begins another turn; one
 * call at a time. FAULT_STORE: a sync failed, and nobody knows what the disk holds. */
int store_sync(struct store *store);
bool store_is_io_broken(const struct store *store); /* a sync or read failed: stop acknowledging */

/* What this node holds for another, sealed. Empty, and no fault: it is not held any more. */
int store_read_perched(struct store *store, uint64_t number, struct arena *arena,
                       struct bytes *sealed);

/* Is a received peck held, and in which state? Sees the open turn. What cannot be looked up is not held, as
 * far as this call can say: then the store is broken, and nothing more is kept. The next one is like it. */
bool store_knows_peck(struct store *store, const struct id *peck, enum peck_state *state);

/* Was a peck sent under this idempotency key by `from` before? Sees the open turn. */
bool store_find_idempotent(struct store *store, const struct id *from, struct bytes key,
                           struct id *peck, struct hash *hash, enum peck_state *state);

/* The thread of a peck between `one` and `other`, as order.held (event.h) has it; .data NULL: there is
 * no such peck, or the arena is full. Sees the open turn. */
struct bytes store_find_thread(struct store *store, const struct id *peck, const struct id *one,
                               const struct id *other, struct arena *arena);

/* Stored bytes for EFFECT_SEND_PECK, _RECEIPTS and _RECORDS; in `arena`. Counts may be 0. */
int store_read_peck(struct store *store, enum box box, const struct id *peck, struct arena *arena,
                    struct bytes *wire, struct bytes *chain); /* chain: as it travels, see chain_split */
int store_read_receipts(struct store *store, enum box box, const struct id *peck,
                        struct arena *arena, struct bytes wires[2], struct bytes chains[2],
                        size_t *count);
/* Of a received peck those after number `after`, in order; ask on until none come. */
#define STORE_PARTIALS_AT_ONCE 32u
#define STORE_PARTIALS_LOOKS 256u
#define STORE_PARTIALS_CUTS 8u /* of a MiB each at most */
int store_read_partials(struct store *store, const struct id *peck, uint32_t after,
                        struct arena *arena, struct bytes wires[STORE_PARTIALS_AT_ONCE],
                        struct bytes *chain, size_t *count);
int store_read_records(struct store *store, const struct hash *hashes, size_t count,
                       struct arena *arena, struct bytes *wires, struct bytes *chains,
                       size_t *found);

/* ---- readers: for questions of the local API; each belongs to one thread ---- */

int store_reader_open(struct store_reader **opened, const char *path);
void store_reader_close(struct store_reader *reader); /* NULL is fine */

struct stored_receipt {
    enum receipt_kind kind;
    enum peck_state state;
    uint64_t at_ms;
    struct id signer;
    struct bytes wire, chain;
};

struct stored_peck {
    enum box box;
    struct peck peck;              /* parsed from the wire */
    enum peck_state state;
    enum tray_place place;
    uint32_t attempt;
    uint64_t changed_ms, lease_until_ms; /* wall */
    struct bytes wire, chain;
    const struct context *context; /* that it was signed under; NULL: none */
    struct bytes problem;          /* why it failed, where no receipt says so… */
    struct bytes refusal;          /* …by its code, and when to try again; 0: not said */
    uint64_t retry_after_ms;
    struct id held_by[PERCHES_PER_PECK]; /* sent, not taken: perches of its target's node */
    size_t held_count;
    struct stored_receipt receipts[2];
    size_t receipt_count;
    uint64_t sequence;             /* of its row: what cursors are made of */
};

/* `box` 0: whichever there is, in before out. False: not held, or not `duckling`'s (zero: any). */
bool store_view_peck(struct store_reader *reader, const struct id *peck, int box,
                     const struct id *duckling, struct arena *arena, struct stored_peck *view);

/* Answers that come in parts. What is told is of one moment: of a peck that is done all of them are
 * held, and `held` is how many there were. */
#define STORE_PARTIALS_PAGE 200u
struct partials_filter {
    struct id peck;
    struct id duckling;            /* whose view; zero: any */
    int box;                       /* 0: in before out */
    uint32_t after;                /* numbers above it */
    size_t limit;
};
struct stored_partial {
    uint32_t number;
    uint64_t at_ms;
    struct bytes wire;             /* the receipt, a packed Envelope */
};
struct stored_partials {
    enum peck_state state;
    enum peck_kind kind;
    uint32_t held;
    struct bytes chain;            /* of the target, who signed them */
    struct stored_partial items[STORE_PARTIALS_PAGE];
    size_t count;
};
/* False: the peck is not held, or not `duckling`'s. */
bool store_view_partials(struct store_reader *reader, const struct partials_filter *filter,
                         struct arena *arena, struct stored_partials *view);

struct pecks_filter {
    struct id duckling;            /* zero: all */
    struct id with;                /* zero: all */
    int box;                       /* 0: both */
    uint32_t states;               /* bit (1 << state); 0: all */
    struct bytes thread;           /* empty: all */
    uint64_t before;               /* rows with a lower sequence; 0: from the newest */
    uint64_t after;                /* …and with a higher one; 0: to the oldest */
    size_t limit;
};

/* Newest first. Returns how many were written to `views`. */
size_t store_view_pecks(struct store_reader *reader, const struct pecks_filter *filter,
                        struct arena *arena, struct stored_peck *views);

/* False: not held. */
bool store_view_bond(struct store_reader *reader, const struct id *id, struct arena *arena,
                     struct bond *bond);
size_t store_view_bonds(struct store_reader *reader, const struct id *duckling, struct arena *arena,
                        struct bond *bonds, size_t max);

/* Further certificates of a duckling that lives here, in order of their making. */
struct stored_context {
    struct context context;
    uint64_t revoked_ms;           /* wall; 0: it is not */
};
size_t store_view_contexts(struct store_reader *reader, const struct id *duckling,
                           struct arena *arena, struct stored_context *contexts, size_t max);

/* Blocks of grants by `root` (zero: by any duckling) that were used or revoked; who ends first comes first. */
/* Those that come after `not_after_ms` and `block` of `after`, in that order. */
size_t store_view_grants(struct store_reader *reader, const struct id *root,
                         const struct grant_row *after, struct grant_row *rows, size_t max);

/* Does an operator that this node trusts vouch for it? */
uint64_t store_view_restored_ms(struct store_reader *reader); /* as store_restored_ms */
bool store_view_vouched(struct store_reader *reader, const struct id *duckling, uint64_t wall_ms);
bool store_view_bound(struct store_reader *reader, const struct id *duckling, uint64_t wall_ms); /* a live lobster bind */
/* Vouchers that it carries, of operators that this node trusts, who took them back. */
size_t store_view_withdrawn(struct store_reader *reader, const struct id *duckling, uint64_t wall_ms,
                            struct withdrawn *withdrawn, size_t max);
size_t store_view_trust(struct store_reader *reader, struct arena *arena, struct kept_trust *trusted,
                        size_t max);

/* Newest first. `*next`: for `before`, to go on; 0: that was all. A page may be short, even empty, and
 * go on: so many pages of the log are looked at for one, and not more. */
struct audit_filter {
    struct id duckling;            /* either end; zero: all */
    struct id subject;             /* a peck, a bond; zero: all */
    uint64_t before;               /* entries of lower numbers; 0: from the newest */
    size_t limit;
};
struct stored_audit_entry {
    uint64_t number;
    struct audit_entry entry;
};
size_t store_view_audit(struct store_reader *reader, const struct audit_filter *filter,
                        struct arena *arena, struct stored_audit_entry *entries, uint64_t *next);

/* Oldest first: entries of numbers above `after`. `*last`: the number of the newest that there is. */
size_t store_view_audit_news(struct store_reader *reader, uint64_t after, size_t limit,
                             struct arena *arena, struct stored_audit_entry *entries,
                             uint64_t *last);

/* As it stands, oldest first: pages with first entries above `after`, checkpoints of pages above it.
 * `*last` is the next `after`; unchanged where nothing came. */
size_t store_view_audit_pages(struct store_reader *reader, uint64_t after, size_t max,
                              struct arena *arena, struct bytes *bodies, uint64_t *last);
size_t store_view_audit_checkpoints(struct store_reader *reader, uint64_t after, size_t max,
                                    struct arena *arena, struct bytes *wires, uint64_t *last);
struct bytes store_view_audit_signer(struct store_reader *reader, struct arena *arena); /* a Chain */

struct directory_filter {
    struct bytes capability;       /* exact, or a prefix ending in "*" */
    struct bytes text;             /* words, or beginnings of some, in name, bio, capabilities */
    struct id duckling, host;      /* zero: all */
    uint64_t seen_since_ms;        /* wall; 0: all */
    uint64_t wall_ms;              /* expired records are left out */
    bool bonded;                   /* only those that are, see stored_duckling */
    const struct id *dead_hosts;   /* whose ducklings are left out; in order of id_compare */
    size_t dead_host_count;
    uint64_t after;                /* page: the place where the one before ended; 0: from the first */
    size_t limit;
};

struct stored_duckling {
    struct record record;          /* parsed */
    struct duckling_content content;
    struct bytes wire, chain;
    bool bonded;                   /* holds a bond attestation of both ends, as far as is known here */
    uint64_t place;                /* what cursors are made of */
};

/* In the order in which their owners became known here. Returns how many; `*next` is where the next
 * page begins, 0 at the end. A page may be short, even empty, and go on: so many records are looked
 * at for one, and not more. Left out: whoever is in quarantine or has a revocation in the directory, and
 * records that are no longer what was kept (by their hash; their signatures were checked then).
 * Of the words that begin like one of `text` the first SEARCH_ENDINGS_MAX count, in their order. */
#define SEARCH_LOOKED_AT_MAX 2048u
#define SEARCH_ENDINGS_MAX 64u
size_t store_view_directory(struct store_reader *reader, const struct directory_filter *filter,
                            struct arena *arena, struct stored_duckling *ducklings, uint64_t *next);

/* The chain of an identity, or of the certificate with this id; .data NULL: not known. */
struct bytes store_view_chain(struct store_reader *reader, const struct id *identity,
                              struct arena *arena);
struct bytes store_view_chain_of_certificate(struct store_reader *reader, const struct id *certificate,
                                             struct arena *arena);
/* The record that revokes it, packed; .data NULL: none is held. */
struct bytes store_view_revocation(struct store_reader *reader, const struct id *identity,
                                   struct arena *arena);
/* Identities with two certificates of one number, by proofs that are held: at most `max`, in order. */
size_t store_view_contradicted(struct store_reader *reader, struct id *identities, size_t max);
bool store_view_is_contradicted(struct store_reader *reader, const struct id *identity);

/* Of a duckling that lives here: its next key, sealed (see keyfile.h); empty: for the node itself. .data NULL:
 * it does not live here. */
struct bytes store_view_next_key(struct store_reader *reader, const struct id *duckling,
                                 struct arena *arena);

/* Its key, opened with the storage key of node.key. False: it does not live here, or this is another node's. */
bool store_view_live_seed(struct store_reader *reader, const uint8_t *storage_key,
                          const struct id *duckling, uint8_t seed[SEED_SIZE]);

/* Is it one of those after the first of `owner`, in the chain that came with a record? */
bool store_view_has_certificate(struct store_reader *reader, const struct id *owner,
                                const struct id *certificate);

/* The node record of a node; .data NULL: none. */
struct bytes store_view_node_record(struct store_reader *reader, const struct id *node,
                                    struct arena *arena);

size_t store_view_hosted(struct store_reader *reader, struct id *ducklings, size_t max);
bool store_view_keeps_own_key(struct store_reader *reader, const struct id *duckling); /* of one that is hosted */

#endif
