/* store_internal: what the store's own files share. Nobody else includes it. */
#ifndef DUCK_NODE_STORE_INTERNAL_H
#define DUCK_NODE_STORE_INTERNAL_H

#include "store.h"

#include <sqlite3.h>
#include <stdatomic.h>

#define STORE_VERSION 15
#define STORE_DIRECTORY_VERSION 5 /* another one is made anew */
#define STORE_APPLICATION_ID 0x6475636b           /* "duck" */
#define STORE_DIRECTORY_APPLICATION_ID 0x64756364 /* "ducd" */
#define STORE_BUSY_MS 5000              /* for the one lock that readers and writer share */
#define STORE_WRITER_CACHE_KIB 2048
#define STORE_READER_CACHE_KIB 512
#define STORE_CHECKPOINT_PAGES 2048 /* 8 MiB of log, then it is carried over… */
#define STORE_REST_PAGES 128        /* …beside the turns, until so many are left, which one of them begins with… */
#define STORE_LOG_PAGES_MAX 8192    /* …or with however many, when the log is as long as that */
#define STORE_FILE_AT 4096          /* pecks that are not filed: then they are */
#define STORE_WIRES_IN_ROW_MAX 32   /* wires that share a row */
#define STORE_WIRES_ROW_MAX 16384   /* bytes of such a row */
#define STORE_WIRE_SHARED_MAX 4096  /* bytes of a wire; a longer one has a row of its own */
#define STORE_IDENTITY_SLOTS 4096   /* identities whose number is remembered */
#define STORE_FRESH_MAX 16384u /* identities that are not filed; beyond it some are */
#define STORE_FILED_AT_ONCE 1024u
#define STORE_RECORDS_OF_IDENTITY 32 /* numbers; an owner may have RECORDS_PER_OWNER_MAX */
#define STORE_AUDIT_CUTS_AT_ONCE 16    /* checkpoints that pruning goes on by in one turn */
#define STORE_AUDIT_LOOKED_AT_MAX 1024 /* pages, for one answer */
#define SEALED_SEED_SIZE (24 + SEED_SIZE + 16)
#define STORE_KEYS 4                 /* see struct store */
#define SEALED_NEXT_SIZE (SEED_SIZE + 48) /* for somebody else: crypto_box_seal */

/* Statements are prepared at their first use and kept. */
enum statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    /* identities */
    STATEMENT_IDENTITY_FIND,
    STATEMENT_IDENTITY_ADD,
    STATEMENT_IDENTITY_CHANGE,
    STATEMENT_CERTIFICATE_ADD,
    STATEMENT_HOSTED_ADD,
    STATEMENT_HOSTED_KEY,
    STATEMENT_HOSTED_NEXT,
    STATEMENT_HOSTED_OUTGROWN,
    STATEMENT_CAUGHT_UP,
    STATEMENT_PROFILE_CHANGE,
    STATEMENT_BOND_ADD,
    STATEMENT_BOND_DROP,
    STATEMENT_BOND_USE,
    STATEMENT_BOND_THREAD,
    STATEMENT_BOND_THREADS_DROP,
    STATEMENT_GRANT_KEEP,
    STATEMENT_GRANT_DROP,
    STATEMENT_CONTEXT_KEEP,
    STATEMENT_CONTEXT_DROP,
    STATEMENT_SHOWN_ADD,
    STATEMENT_PECK_CONTEXT_ADD,
    STATEMENT_COUNTERS,
    STATEMENT_FLOOR,
    STATEMENT_PIN_ADD,
    STATEMENT_PIN_DROP,
    STATEMENT_PINS_END,
    /* pecks */
    STATEMENT_PECK_ADD,
    STATEMENT_PECK_WIRE_ADD,
    STATEMENT_PECK_STATE,
    STATEMENT_PECK_FIND,
    STATEMENT_PECK_READ_STATE,
    STATEMENT_PECK_READ,
    STATEMENT_TAKEN_ADD,
    STATEMENT_DONE_ADD,
    STATEMENT_RECEIPT_WIRES_ADD,
    STATEMENT_RECEIPTS_READ,
    STATEMENT_ENDING_ADD,
    STATEMENT_PARTIAL_ADD,
    STATEMENT_PARTIALS_READ,
    STATEMENT_PARTIALS_NEXT,
    STATEMENT_PARTIALS_DROP,
    STATEMENT_THREAD_FIND,
    STATEMENT_KEY_FIND,
    STATEMENT_PECK_HASH,
    STATEMENT_FILE,
    STATEMENT_FILED_THROUGH,
    /* perches */
    STATEMENT_REVOCATION_ADD,
    STATEMENT_PRE_KEY_ADD,
    STATEMENT_PRE_KEY_WIPE,
    STATEMENT_PRE_KEY_DROP,
    STATEMENT_PERCHED_ADD,
    STATEMENT_PERCHED_DROP,
    STATEMENT_PERCHED_READ,
    STATEMENT_DEPOSIT_ADD,
    /* lobster binds */
    STATEMENT_LOBSTER_KEEP,
    STATEMENT_LOBSTER_DROP,
    STATEMENT_BOUND_ADD,
    STATEMENT_BOUND_DROP,
    STATEMENT_TIER_BOUND,
    /* audit log */
    STATEMENT_AUDIT_PAGE_ADD,
    STATEMENT_AUDIT_CHECKPOINT_ADD,
    STATEMENT_AUDIT_CUT,
    STATEMENT_AUDIT_PAGES_DROP,
    STATEMENT_AUDIT_CHECKPOINTS_DROP,
    STATEMENT_AUDIT_SIGNER,
    STATEMENT_AUDIT_LAST,
    STATEMENT_AUDIT_LAST_CHECKPOINT,
    /* vouchers */
    STATEMENT_VOUCHER_KEEP,
    STATEMENT_TRUST_KEEP,
    STATEMENT_TRUST_DROP,
    STATEMENT_TRUST_FIND,
    STATEMENT_TIER_REVOKED,
    STATEMENT_TIER_VOUCHERS,
    STATEMENT_TIER_WITHDRAWN,
    STATEMENT_TIER_STANDS,
    STATEMENT_WITHDRAWN_ADD,
    STATEMENT_WITHDRAWN_DROP,
    STATEMENT_TIER_BONDED,
    STATEMENT_TIER_HOST,
    STATEMENT_TIER_KEEP,
    STATEMENT_TIERS_TOLD,
    STATEMENT_WITHDRAWN_READ,
    /* records */
    STATEMENT_OWNER_FIND,
    STATEMENT_OWNER_ADD,
    STATEMENT_OWNER_CHANGE,
    STATEMENT_OWNER_DROP,
    STATEMENT_OWNER_NAME_ADD,
    STATEMENT_OWNER_FRESH_DROP,
    STATEMENT_OWNER_FILED_DROP,
    STATEMENT_CERTIFICATES_DROP,
    STATEMENT_FILE_END,
    STATEMENT_FILE_OWNERS,
    STATEMENT_FILE_DONE,
    STATEMENT_RECORDS_OF_OWNER,
    STATEMENT_RECORD_ADD,
    STATEMENT_RECORD_DROP,
    STATEMENT_RECORD_NAME,
    STATEMENT_WIRE_ADD,
    STATEMENT_WIRE_READ,
    STATEMENT_WIRE_DROP,
    STATEMENT_TAG_ADD,
    STATEMENT_TAG_DROP,
    STATEMENT_WORD_ADD,
    STATEMENT_WORD_DROP,
    STATEMENT_BONDED_ADD,
    STATEMENT_BONDED_DROP,
    STATEMENT_RECORD_READ,
    STATEMENT_READ_BEGIN,
    STATEMENT_MARK_KEEP,
    STATEMENT_MARKS_END,
    STATEMENT_PROOF_KEEP,
    STATEMENT_PROOFS_END,
    STATEMENT_QUARANTINE_KEEP,
    STATEMENT_QUARANTINES_END,
    /* views */
    STATEMENT_VIEW_GENERATION,
    STATEMENT_VIEW_RECENT,
    STATEMENT_VIEW_FILED_THROUGH,
    STATEMENT_VIEW_FIND,
    STATEMENT_VIEW_PECK,
    STATEMENT_VIEW_ENDING,
    STATEMENT_VIEW_DEPOSITS,
    STATEMENT_VIEW_PARTIALS_HEAD,
    STATEMENT_VIEW_PARTIALS,
    STATEMENT_VIEW_NUMBER,
    STATEMENT_VIEW_BONDS,
    STATEMENT_VIEW_GRANTS,
    STATEMENT_VIEW_CONTEXTS,
    STATEMENT_VIEW_BOND,
    STATEMENT_VIEW_CHAIN,
    STATEMENT_VIEW_REVOCATION,
    STATEMENT_CONTRADICTED_ADD,
    STATEMENT_CONTRADICTED_HAS,
    STATEMENT_CONTRADICTED_DROP,
    STATEMENT_VIEW_CONTRADICTED,
    STATEMENT_VIEW_IS_CONTRADICTED,
    STATEMENT_VIEW_NEXT,
    STATEMENT_VIEW_LIVE,
    STATEMENT_VIEW_CERTIFICATE,
    STATEMENT_VIEW_HAS_CERTIFICATE,
    STATEMENT_VIEW_NODE,
    STATEMENT_VIEW_HOSTED,
    STATEMENT_VIEW_OWN_KEY,
    STATEMENT_VIEW_TRUST,
    STATEMENT_VIEW_AUDIT,
    STATEMENT_VIEW_AUDIT_NEWS,
    STATEMENT_VIEW_AUDIT_NEWEST,
    STATEMENT_VIEW_AUDIT_PAGES,
    STATEMENT_VIEW_AUDIT_CHECKPOINTS,
    STATEMENT_VIEW_AUDIT_SIGNER,
    STATEMENT_SEARCH_OWNER,
    STATEMENT_SEARCH_TAGS,
    STATEMENT_SEARCH_WORDS,
    STATEMENT_SEARCH_ALL,
    STATEMENT_SEARCH_RECORD,
    STATEMENT_SEARCH_TAG,
    STATEMENT_SEARCH_WORD,
    STATEMENT_SEARCH_BONDED,
    STATEMENT_SEARCH_QUARANTINE,
    STATEMENT_SEARCH_REVOKED,
    STATEMENT_SEARCH_BYTES,
    STATEMENT_TERM_TAG,
    STATEMENT_TERM_WORD,
    STATEMENT_VIEW_PECKS,
    STATEMENT_VIEW_PECKS_LAST = STATEMENT_VIEW_PECKS + 127,
    STATEMENT_COUNT,
};

struct store_connection {
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    int fault; /* of the last call that failed */
    bool is_io_broken;
};

/* ---- store_connection.c ---- */
int store_connect(struct store_connection *connection, const char *path, bool is_writer);
int store_make_file(const char *path);
int store_read_number(struct store_connection *connection, const char *sql, int64_t *number);
void store_disconnect(struct store_connection *connection);

/* NULL when it cannot be prepared; the functions below then give the fault. Bound values are
 * borrowed until the statement is run again. */
sqlite3_stmt *store_prepare(struct store_connection *connection, enum statement which,
                            const char *sql);
void store_bind_bytes(sqlite3_stmt *statement, int index, struct bytes bytes);
void store_bind_id(sqlite3_stmt *statement, int index, const struct id *id);
void store_bind_number(sqlite3_stmt *statement, int index, uint64_t number);
struct bytes store_column_bytes(sqlite3_stmt *statement, int index);
bool store_column_id(sqlite3_stmt *statement, int index, struct id *id);
uint64_t store_column_number(sqlite3_stmt *statement, int index);

/* False at the end and on a fault; the statement is then reset. `connection->fault` tells. */
bool store_next_row(struct store_connection *connection, sqlite3_stmt *statement);
int store_run(struct store_connection *connection, sqlite3_stmt *statement);
int store_execute(struct store_connection *connection, const char *sql);
int store_note_fault(struct store_connection *connection, int result, const char *what);

/* ---- store_recent.c: pecks that are not filed ---- */

enum { RECENT_KEY = 3 }; /* a box for idempotency keys: their name is the hash of sender and key */

struct recent_entry {
    struct id name;
    uint32_t box;
    int64_t seq;
};

/* Open addressing over a list in order of arrival, so that a turn can be taken back. */
struct recent {
    struct recent_entry *entries;
    uint32_t *slots; /* index in entries and one; 0: free */
    size_t count, capacity, slot_count;
};

void recent_free(struct recent *recent);
void recent_add(struct recent *recent, const struct id *name, uint32_t box, int64_t seq);
int64_t recent_find(const struct recent *recent, const struct id *name, uint32_t box); /* 0: no */
void recent_cut(struct recent *recent, size_t count);    /* forgets what came after */
void recent_forget(struct recent *recent, size_t count); /* forgets the first ones */
struct id recent_key_name(const struct id *from, struct bytes key);

/* Which generations may hold a name. A name sets four bits of 65,536, each in a word of 64 bits,
 * one for each generation of a group: so four words tell of 64 generations at once. A generation of
 * 4,096 says yes to one in 400 that it does not hold. 2 bytes of memory for each filed peck. */
struct name_filter {
    uint64_t **groups; /* NULL: holds none */
    size_t count;
};

void name_filter_free(struct name_filter *filter);
void name_filter_add(struct name_filter *filter, int64_t generation, int64_t name);

/* The newest below `generation` that may hold it; 0: none. */
int64_t name_filter_next(const struct name_filter *filter, int64_t generation, int64_t name);

/* ---- store_wires.c: wires that share a row ---- */

/* A row in the making; zeroed, it is empty. */
struct wires {
    uint8_t row[STORE_WIRES_ROW_MAX], last[STORE_WIRE_SHARED_MAX]; /* last: the latest, as it came */
    size_t size, count, last_size;
};

void wires_clear(struct wires *wires);
bool wires_have_room(const struct wires *wires, struct bytes wire);
void wires_add(struct wires *wires, struct bytes wire); /* for which there is room */
/* False: the row is not whole. `place` is counted from 0. */
bool wires_read(struct bytes row, size_t place, struct arena *arena, struct bytes *wire);

struct kept_receipt {
    int64_t seq, signer; /* numbers of the peck, and of the identity */
    enum receipt_kind kind;
    enum peck_state state;
    uint64_t at_ms;
};

/* ---- the writer ---- */

struct identity_slot {
    struct id id;
    int64_t number; /* 0: free */
    size_t chain_size;
};

/* Which number has the record of a hash: 24 bits that stand for the hash and 40 of the number in
 * each slot, so whoever looks reads the record and compares. */
struct record_numbers {
    uint64_t *slots; /* 0: free */
    size_t count, slot_count;
    uint8_t key[16];
    bool is_loaded; /* all records of the store are in it */
};

void record_numbers_free(struct record_numbers *numbers);
void record_numbers_add(struct record_numbers *numbers, const struct hash *hash, int64_t number);
void record_numbers_drop(struct record_numbers *numbers, const struct hash *hash, int64_t number);

/* The next candidate of `hash`, or 0. `*at` begins as 0. */
int64_t record_numbers_next(const struct record_numbers *numbers, const struct hash *hash,
                            size_t *at);

/* How far the audit log has come. */
struct audit_head {
    uint64_t page, entries, at_ms;
    struct hash hash;                /* of the last page */
    uint64_t signed_page, signed_ms; /* by the last checkpoint */
};

struct store_audit {
    const struct identity_key *key;  /* NULL: no checkpoints are made */
    struct bytes network;            /* in kept */
    struct arena kept, memory;       /* memory: of the open page */
    struct audit_entry entries[AUDIT_PAGE_ENTRIES_MAX]; /* of the open page */
    size_t count;
    uint64_t at_ms;                  /* the latest date that was noted */
    struct audit_head head, head_at_begin;
};

struct store {
    struct store_connection connection;
    uint8_t *keys; /* in guarded memory: of live seeds, of next seeds, of pre-keys */
    uint8_t seal_key[32]; /* for next seeds instead… */
    bool has_seal_key;    /* …where there is one */
    bool catching_up;     /* since it was restored */
    uint64_t restored_ms; /* wall; 0: it was not */
    struct id node;

    bool in_turn, has_begun;
    int turn_fault;
    size_t recent_at_begin, filing; /* entries of `recent` at the begin; of them filed in it */
    size_t recent_filed; /* the first ones of `recent`: the generation that was filed last */
    int log_pages;                  /* of the write-ahead log, after the last commit */
    sqlite3_file *log;              /* the write-ahead log, as SQLite opened it */
    atomic_bool sync_failed;        /* on whichever thread */
    struct store_connection beside; /* from the first store_begin_carrying on: belongs to who carries */
    atomic_bool is_carrying, carrying_failed;
    atomic_int carried_pages;       /* of the log, since it began anew */

    int64_t last_seq, last_seq_at_begin, filed_through, generation;
    struct recent recent;
    struct name_filter filed_names, filed_keys;
    struct identity_slot identities[STORE_IDENTITY_SLOTS];
    size_t identity_count;
    struct arena arena; /* for one call */
    struct store_audit audit;

    /* of the open turn */
    struct wires peck_wires, receipt_wires;
    int64_t wires_first; /* number of the peck whose wire is the first of peck_wires */
    struct kept_receipt receipts[STORE_WIRES_IN_ROW_MAX]; /* whose wires are in receipt_wires */

    /* directory.db */
    struct store_connection directory;
    char *directory_path;
    bool directory_begun, directory_lost; /* lost: it cannot be made anew */
    int64_t directory_made_ms; /* wall */
    int directory_log_pages;
    int64_t fresh, fresh_at_begin; /* rows of identity_fresh */
    int64_t file_from;             /* the name from which on identities are filed next */
    struct record_numbers numbers;
};

struct store_reader {
    struct store_connection connection, directory;
    char *directory_path;
    uint64_t inode; /* of the directory.db that is open: the writer may have made it anew */
    void *tokenizer, *tokenizer_class; /* of `word`, from FTS5 */
    struct recent recent; /* what was not filed when it was looked for; some of it is, by now */
    int64_t recent_seq;   /* the last that was seen */
};

/* ---- store.c ---- */
int store_begin_node(struct store *store); /* a transaction of node.db in the open turn */
int store_note_turn_fault(struct store *store, int fault); /* undoes the turn; gives the fault back */
/* Of the store's keys the one of this number, from the storage key. */
void store_derive_key(uint8_t *key, uint64_t which, const uint8_t *storage_key);

/* ---- store_audit.c ---- */
int store_audit_open(struct store *store, const struct store_settings *settings);
void store_audit_free(struct store *store);
void store_audit_begin(struct store *store);
int store_audit_note(struct store *store, const struct effect *effect); /* that was kept */
int store_audit_close(struct store *store); /* before the commit: the open page is written */
void store_audit_undo(struct store *store);
int store_audit_keep_signer(struct store *store, struct bytes chain);

/* Notes that this node was restored, under numbers that none of an earlier life had, and signs it. */
int store_audit_note_restore(struct store *store, uint64_t wall_ms);

/* ---- store_restored.c ---- */
int store_heed_restore(struct store *store, const struct store_settings *settings);
int store_keep_caught_up(struct store *store, const struct effect *effect);
int store_keep_outgrown(struct store *store, const struct effect *effect);

struct restoring;

/* ---- store_vouchers.c ---- */
int store_keep_voucher(struct store *store, const struct effect *effect);
int store_keep_trust(struct store *store, const struct effect *effect);
int store_drop_trust(struct store *store, const struct effect *effect);
int store_keep_tier(struct store *store, const struct effect *effect);
int store_replace_withdrawn(struct store *store, bool was_revocation, int64_t number,
                            const struct withdrawn *withdrawn);
int store_restore_vouchers(struct store *store, const struct restoring *restoring);

/* ---- store_recent.c ---- */
int store_load_recent(struct store *store);
int store_file_recent(struct store *store);      /* into the open turn… */
void store_recent_is_filed(struct store *store); /* …which is committed */
/* In a transaction. Its number; 0: not among them, or a fault, which the connection tells. */
int64_t store_reader_find_recent(struct store_reader *reader, const struct id *peck, int box);

/* ---- store_identities.c ---- */

/* The identity's number, 0 on a fault. Its chain is kept when it is longer than the one held. */
int64_t store_number_identity(struct store *store, const struct id *id, struct bytes chain);
int store_keep_certificates(struct store *store, struct store_connection *connection,
                            int64_t identity, struct bytes wire);
void store_forget_numbers(struct store *store); /* they may have been taken back */
int store_keep_duckling(struct store *store, const struct effect *effect);
int store_keep_key(struct store *store, const struct effect *effect);
int store_keep_profile(struct store *store, const struct effect *effect);
int store_keep_counters(struct store *store, const struct effect *effect);
int store_keep_floor(struct store *store, struct version version);

struct restoring {
    const struct moment *at;
    void (*give)(void *context, const struct event *event);
    void *context;
};
int store_restore_ducklings(struct store *store, const struct restoring *restoring);
/* Texts in one column, a line each. */
struct bytes store_join_lines(const struct bytes *lines, size_t count, struct arena *arena);
size_t store_split_lines(struct bytes joined, struct bytes *lines, size_t max);

/* ---- store_lobsters.c ---- */
int store_keep_lobster(struct store *store, const struct effect *effect);
int store_drop_lobster(struct store *store, const struct effect *effect);
int store_restore_lobsters(struct store *store, const struct restoring *restoring);

/* ---- store_pins.c ---- */
int store_keep_pin(struct store *store, const struct effect *effect);
int store_restore_pins(struct store *store, const struct restoring *restoring);

/* ---- store_perched.c ---- */
int store_keep_pre_key(struct store *store, const struct effect *effect);
int store_drop_pre_key(struct store *store, const struct effect *effect);
int store_keep_perched(struct store *store, const struct effect *effect);
int store_drop_perched(struct store *store, const struct effect *effect);
int store_keep_deposit(struct store *store, const struct effect *effect);
int store_restore_perches(struct store *store, const struct restoring *restoring); /* after the pecks */

/* ---- store_revocations.c ---- */
int store_keep_revocation(struct store *store, const struct offered_record *item); /* said here */
int store_restore_revocations(struct store *store, const struct restoring *restoring); /* after the records */
bool store_has_contradicted(struct store *store, int64_t number); /* kept with the record */
int store_replace_contradicted(struct store *store, bool was_revocation, int64_t number,
                               const struct id *identity); /* NULL, zero: nobody */

/* ---- store_identities.c: as seeds are sealed ---- */
void store_seal_pre_key(const struct store *store, const uint8_t *public, const uint8_t *secret,
                        uint8_t sealed[SEALED_SEED_SIZE]);
bool store_unseal_pre_key(const struct store *store, const uint8_t *public, struct bytes sealed,
                          uint8_t *secret);
void store_seal_context_key(const struct store *store, const struct id *carrier, const uint8_t *seed,
                            uint8_t sealed[SEALED_SEED_SIZE]);
bool store_unseal_context_key(const struct store *store, const struct id *carrier,
                              struct bytes sealed, uint8_t *seed);

/* ---- store_bonds.c ---- */
int store_keep_bond(struct store *store, const struct effect *effect);
int store_drop_bond(struct store *store, const struct effect *effect);
int store_keep_count(struct store *store, const struct effect *effect);
int store_restore_bonds(struct store *store, const struct restoring *restoring);
int store_restore_threads(struct store *store, const struct restoring *restoring);
void store_read_bond(sqlite3_stmt *statement, struct bond *bond); /* borrows from the row */
#define STORE_BOND_COLUMNS                                                                         \
    "b.id, r.id, a.id, b.scopes, b.made_ms, b.not_after_ms, b.per_minute, b.per_day, b.budget, "  \
    "b.rounds, b.cool_down_ms, b.muted_until_ms, b.stop_words, b.terms_ms, b.day, b.used_today, "  \
    "b.spent"

/* ---- store_contexts.c ---- */
int store_keep_context(struct store *store, const struct effect *effect);
int store_drop_context(struct store *store, const struct effect *effect);
int store_restore_contexts(struct store *store, const struct restoring *restoring);
int store_keep_shown(struct store *store, int64_t seq, const struct context *context);

/* ---- store_grants.c ---- */
int store_keep_grant(struct store *store, const struct effect *effect);
int store_drop_grant(struct store *store, const struct effect *effect);
int store_restore_grants(struct store *store, const struct restoring *restoring);

/* ---- store_pecks.c ---- */
int store_keep_peck(struct store *store, const struct effect *effect);
int store_keep_state(struct store *store, const struct effect *effect);
int store_keep_receipt(struct store *store, const struct effect *effect);
int store_restore_pecks(struct store *store, enum box box, const struct restoring *restoring);
int64_t store_name_number(const uint8_t *hash); /* what the columns `name` hold */
extern const char store_receipts_sql[];

int64_t store_find_peck(struct store *store, const struct id *peck,
                        enum box box); /* its number; 0: not held, or a fault, which the connection tells */

/* ---- store_wires.c ---- */
int store_keep_peck_wire(struct store *store, int64_t seq, struct bytes wire);
int store_keep_receipt_wire(struct store *store, const struct kept_receipt *receipt,
                            struct bytes wire);
int store_close_wires(struct store *store); /* whatever the open turn has kept is in the tables */
void store_forget_wires(struct store *store);
/* Copied into the arena; no data: it cannot be read, or the arena is full. `place` 0: as it came. */
struct bytes store_column_wire(sqlite3_stmt *statement, int column, int64_t place,
                               struct arena *arena);
/* The same of the peck `seq`, from three columns: seq, count and wire of STORE_WIRES_OF_PECK. */
struct bytes store_column_peck_wire(sqlite3_stmt *statement, int column, int64_t seq,
                                    struct arena *arena);
#define STORE_WIRES_OF_PECK                                                                        \
    "peck_wire w ON w.seq = (SELECT max(seq) FROM peck_wire WHERE seq <= p.seq)"

/* ---- store_partials.c ---- */
int store_keep_partial(struct store *store, const struct effect *effect);
/* Of three columns: number, total and running of the last; NULL: none. */
void store_column_partials(sqlite3_stmt *statement, int column, struct partials *partials);

/* ---- store_views.c ---- */
int64_t store_reader_find_peck(struct store_reader *reader, const struct id *peck, int box); /* in a transaction; 0: not held */

/* ---- store_directory.c: directory.db, opened, made anew, written ---- */
#define STORE_DELETED 1 /* record.flags */
#define STORE_ACCEPTS_PECKS 2

char *store_directory_path(const char *store_path); /* beside it; owned by the caller */
int store_directory_open(struct store *store);
void store_directory_close(struct store *store, bool in_order);
int store_directory_begin(struct store *store);
int store_directory_commit(struct store *store);
void store_directory_undo(struct store *store); /* and a damaged file is made anew */

/* ---- store_owners.c: identities of the directory ---- */
int64_t store_owner_find(struct store *store, const struct id *id, size_t *chain_size); /* 0: none */
int64_t store_owner_keep(struct store *store, const struct id *id, struct bytes chain, bool *is_new);
int store_owner_drop(struct store *store, int64_t number, const struct id *id);
int store_owners_file(struct store *store);

/* ---- store_records.c ---- */

/* A record that is held, with its bytes where they are needed. */
struct held_record {
    int64_t number; /* 0: none */
    struct hash hash;
    uint32_t kind;
    bool deleted;
};

/* The record at `number`, parsed into the store's arena. False: it is not there, or not whole. */
bool store_read_held(struct store *store, int64_t number, struct record *record);
int store_keep_record(struct store *store, const struct effect *effect);
/* Empty, and no fault: it is not held, or the arena is full. */
int store_find_wire(struct store *store, const struct hash *hash, struct arena *arena,
                    struct bytes *wire);
int store_drop_record(struct store *store, const struct effect *effect);
int store_restore_records(struct store *store, const struct restoring *restoring);

/* ---- store_sides.c ---- */

/* From what `held` says, which is at `number` or nowhere, to what `new` says; NULL: it goes. */
int store_replace_sides(struct store *store, const struct held_record *held, int64_t number,
                        const struct record *new);

/* ---- store_marks.c: marks and proofs ---- */
int store_keep_mark(struct store *store, int64_t number, uint64_t until_ms); /* of that record */
int store_keep_proof(struct store *store, const struct effect *effect);
int store_restore_marks(struct store *store, const struct restoring *restoring);
int store_restore_proofs(struct store *store, const struct restoring *restoring);

/* ---- store_views.c ---- */
bool store_reader_begin(struct store_connection *connection);
void store_reader_end(struct store_connection *connection);

/* False: there is no directory.db to read at the moment. */
bool store_reader_has_directory(struct store_reader *reader);

/* ---- store_match.c ---- */
#define MATCH_MAX (16u * SEARCH_ENDINGS_MAX * 32u) /* bytes */

/* A query of FTS5 in the making. Terms are quoted, and no tokenizer leaves a quote in one. */
struct match {
    char text[MATCH_MAX];
    size_t size;
    bool is_full;
};

void match_append(struct match *match, const char *before, const char *term, const char *behind);

/* False: nothing can match. */
bool match_words(struct store_reader *reader, struct bytes text, struct match *match);

/* Spells out a beginning as alternatives: ("data" OR "dataset"). Returns how many there are,
 * SEARCH_ENDINGS_MAX + 1 when there are more than that; then the first ones stand there. */
size_t match_beginning(struct store_reader *reader, bool is_tag, const char *beginning,
                       struct match *match);

bool store_search_open_words(struct store_reader *reader); /* of a connection newly made */
void store_search_close_words(struct store_reader *reader);

#endif
