/* The store: the writer's turns, and how its databases are opened.
 *
 * What a peck costs is decided by how many pages a turn dirties: each goes to the log (4 KiB, a
 * checksum, two writes) and later to the database. So signed things are appended, and the indexes
 * are, too, because they are brought up to date some thousand pecks at a time: see store_recent.c
 * and schema/node_1.sql. Measured by tests/bench/bench_store.c (peck, receipt and state of each;
 * envelopes of 600 and 400 bytes; synchronous=FULL; turns of 64), us of processor time a peck:
 *
 *     pecks before                      0    100,000    1,000,000
 *     indexed by generation            10         11           12
 *     and wires in shared rows          6          7            6
 *     in one index, by the thousand    13         14           28
 *     an unknown peck is asked for    0.6        0.9            5
 *
 * The disk's sync comes on top: 200 us a turn when nobody else writes, so 3 a peck here. A turn of
 * one takes 230 to 260 us by the clock, 100 of them the processor's. The longest turns (a
 * checkpoint, a filing) take 16 to 32 ms.
 *
 * A turn's transaction begins with the first thing that it keeps. Housekeeping (the checkpoint, the
 * filing) comes right before that, so that it never stands between a commit and the receipts that
 * wait for it. In a node most of a checkpoint is done by another thread (store_carry): with 1,024
 * pecks under way or with large payloads some 15 to 25 % of all time was one node waiting for the
 * other one's; what is left of it takes 1 to 4 ms. */
#include "log.h"
#include "node_1.sql.h"
#include "node_10.sql.h"
#include "node_11.sql.h"
#include "node_12.sql.h"
#include "node_13.sql.h"
#include "node_14.sql.h"
#include "node_15.sql.h"
#include "node_2.sql.h"
#include "node_3.sql.h"
#include "node_4.sql.h"
#include "node_5.sql.h"
#include "node_6.sql.h"
#include "node_7.sql.h"
#include "node_8.sql.h"
#include "node_9.sql.h"
#include "store_internal.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>

/* migrations[n] makes version n + 1 of version n. A released one is never changed. */
static const char *const migrations[STORE_VERSION] = {
    schema_node_1,  schema_node_2,  schema_node_3,  schema_node_4,  schema_node_5,
    schema_node_6,  schema_node_7,  schema_node_8,  schema_node_9,  schema_node_10,
    schema_node_11, schema_node_12, schema_node_13, schema_node_14, schema_node_15};

/* ---- opening ---- */

static int apply(struct store *store, int64_t version)
{
    struct store_connection *connection = &store->connection;
    char sql[128];
    int fault = store_execute(connection, "BEGIN IMMEDIATE");

    if (!fault)
        fault = store_execute(connection, migrations[version]);
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d; PRAGMA application_id = %d; COMMIT",
             (int)version + 1, STORE_APPLICATION_ID);
    if (!fault)
        fault = store_execute(connection, sql);
    return fault;
}

static int migrate(struct store *store)
{
    struct store_connection *connection = &store->connection;
    int64_t version = 0, application = 0, tables = 0;
    int fault = store_read_number(connection, "PRAGMA user_version", &version);

    if (!fault)
        fault = store_read_number(connection, "PRAGMA application_id", &application);
    if (!fault)
        fault = store_read_number(connection, "SELECT count(*) FROM sqlite_schema", &tables);
    if (fault)
        return fault;
    if (application != STORE_APPLICATION_ID && (version != 0 || application != 0 || tables != 0)) {
        log_write(LOG_ERROR, "store", "this database is not a node's");
        return FAULT_CORRUPT;
    }
    if (version > STORE_VERSION) {
        log_write(LOG_ERROR, "store", "the database is of version %lld, this release knows %d",
                  (long long)version, STORE_VERSION);
        return FAULT_STORE_NEWER;
    }
    while (!fault && version < STORE_VERSION)
        fault = apply(store, version++);
    return fault;
}

static int add_node(struct store *store)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(
        store->connection.database,
        "INSERT INTO node VALUES (1, ?1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)", -1, &statement,
        NULL);
    int fault;

    if (result != SQLITE_OK)
        return store_note_fault(&store->connection, result, "node");
    store_bind_id(statement, 1, &store->node);
    store->connection.fault = 0;
    fault = store_run(&store->connection, statement);
    sqlite3_finalize(statement);
    return fault;
}

/* A power cut may have torn what the disk called written. */
static int check_after_unclean_stop(struct store *store)
{
    sqlite3_stmt *statement = NULL;
    const char *verdict = "no answer";
    bool is_sound = false;
    int result = sqlite3_prepare_v2(store->connection.database, "PRAGMA quick_check(1)", -1,
                                    &statement, NULL);

    if (result != SQLITE_OK)
        return store_note_fault(&store->connection, result, "quick_check");
    log_write(LOG_INFO, "store", "the last stop was not in order: checking the database");
    store->connection.fault = 0;
    if (store_next_row(&store->connection, statement)) {
        verdict = (const char *)sqlite3_column_text(statement, 0);
        is_sound = verdict && strcmp(verdict, "ok") == 0;
        if (!is_sound)
            log_write(LOG_ERROR, "store", "quick_check: %s", verdict ? verdict : "");
    }
    sqlite3_finalize(statement);
    if (store->connection.fault)
        return store->connection.fault;
    return is_sound ? 0 : FAULT_CORRUPT;
}

static int check_node(struct store *store)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(store->connection.database,
                                    "SELECT node, closed, filed_through, generation FROM node", -1,
                                    &statement, NULL);
    bool is_new = true, is_ours = true, was_closed = true;
    int fault = 0;

    if (result != SQLITE_OK)
        return store_note_fault(&store->connection, result, "node");
    store->connection.fault = 0;
    if (store_next_row(&store->connection, statement)) {
        struct id node = {0};

        is_new = false;
        is_ours = store_column_id(statement, 0, &node) && id_equal(&node, &store->node);
        was_closed = sqlite3_column_int(statement, 1);
        store->filed_through = sqlite3_column_int64(statement, 2);
        store->generation = sqlite3_column_int64(statement, 3);
    }
    sqlite3_finalize(statement);
    fault = store->connection.fault;
    if (!fault && !is_ours) {
        log_write(LOG_ERROR, "store", "the database belongs to another node");
        return FAULT_CORRUPT;
    }
    if (!fault && is_new)
        return add_node(store);
    if (!fault && !was_closed)
        fault = check_after_unclean_stop(store);
    return fault;
}

void store_derive_key(uint8_t *key, uint64_t which, const uint8_t *storage_key)
{
    crypto_kdf_derive_from_key(key, crypto_aead_xchacha20poly1305_ietf_KEYBYTES, which + 1,
                               "duckseed", storage_key);
}

static void derive_keys(struct store *store, const uint8_t *storage_key)
{
    store->keys = sodium_malloc(STORE_KEYS * crypto_aead_xchacha20poly1305_ietf_KEYBYTES);
    assert(store->keys);
    for (uint64_t i = 0; i < STORE_KEYS; i++)
        store_derive_key(store->keys + i * crypto_aead_xchacha20poly1305_ietf_KEYBYTES, i,
                         storage_key);
}

static int remember_log_pages(void *context, sqlite3 *database, const char *name, int pages)
{
    struct store *store = context;

    (void)database;
    (void)name;
    store->log_pages = pages;
    return SQLITE_OK;
}

int store_open(struct store **opened, const struct store_settings *settings)
{
    struct store *store = memory_take(sizeof *store);
    int fault = store_make_file(settings->path);

    store->node = settings->node;
    store->directory_path = store_directory_path(settings->path);
    arena_init(&store->arena, CHAIN_SIZE_MAX + PARSE_BUDGET(CHAIN_SIZE_MAX));
    derive_keys(store, settings->storage_key);
    store->has_seal_key = settings->seal_key;
    if (store->has_seal_key)
        memcpy(store->seal_key, settings->seal_key, sizeof store->seal_key);
    if (!fault)
        fault = store_connect(&store->connection, settings->path, true);
    if (!fault)
        fault = migrate(store);
    if (!fault)
        fault = check_node(store);
    if (!fault)
        fault = store_execute(&store->connection, "UPDATE node SET closed = 0");
    if (!fault)
        fault = store_audit_open(store, settings);
    if (!fault)
        fault = store_heed_restore(store, settings);
    if (!fault)
        fault = store_load_recent(store);
    if (!fault)
        fault = store_directory_open(store);
    if (fault) {
        store->turn_fault = fault; /* nothing is marked as closed in order */
        store_close(store);
        return fault;
    }
    sqlite3_wal_hook(store->connection.database, remember_log_pages, store);
    sqlite3_file_control(store->connection.database, NULL, SQLITE_FCNTL_JOURNAL_POINTER,
                         &store->log);
    fault = store_sync(store); /* the first sync of a new log syncs its folder, too */
    if (fault) {
        store_close(store);
        return fault;
    }
    *opened = store;
    return 0;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    store_roll_back(store);
    store_disconnect(&store->beside);
    store_directory_close(store, !store->turn_fault);
    if (store->connection.database && !store->turn_fault && !store_is_io_broken(store) &&
        !store_execute(&store->connection, "UPDATE node SET closed = 1"))
        sqlite3_wal_checkpoint_v2(store->connection.database, NULL, SQLITE_CHECKPOINT_TRUNCATE,
                                  NULL, NULL);
    store_disconnect(&store->connection);
    sodium_free(store->keys);
    record_numbers_free(&store->numbers);
    memory_give_back(store->directory_path);
    recent_free(&store->recent);
    name_filter_free(&store->filed_names);
    name_filter_free(&store->filed_keys);
    arena_free(&store->arena);
    store_audit_free(store);
    memory_give_back(store);
}

/* ---- turns ---- */

int store_begin(struct store *store)
{
    assert(!store->in_turn);
    store->in_turn = true;
    store->has_begun = false;
    store->turn_fault = 0;
    return 0;
}

/* Passive: takes what no reader is in the way of; the rest is taken the next time. A full disk may
 * keep the log for a while, and a broken one is the end. */
static void checkpoint(struct store *store)
{
    int result = sqlite3_wal_checkpoint_v2(store->connection.database, NULL,
                                           SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

    store->log_pages = 0;
    store->carried_pages = 0;
    if (result != SQLITE_OK && result != SQLITE_BUSY)
        store_note_fault(&store->connection, result, "checkpoint");
}

static bool is_little_left(const struct store *store)
{
    return store->log_pages - store->carried_pages <= STORE_REST_PAGES ||
           store->log_pages >= STORE_LOG_PAGES_MAX;
}

bool store_begin_carrying(struct store *store)
{
    struct store_connection *beside = &store->beside;

    if (store->log_pages < STORE_CHECKPOINT_PAGES || store->is_carrying || is_little_left(store))
        return false;
    if (!beside->database &&
        store_connect(beside, sqlite3_db_filename(store->connection.database, NULL), true)) {
        store_disconnect(beside);
        return false; /* the next turn does it all */
    }
    store->is_carrying = true;
    return true;
}

/* Passive, so it is in no turn's way; what turns add meanwhile is left. The log begins anew only when a turn begins and
 * nothing is left in it. */
int store_carry(struct store *store)
{
    struct store_connection *beside = &store->beside;
    int carried = 0, fault = 0;
    int result = sqlite3_wal_checkpoint_v2(beside->database, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL,
                                           &carried);

    if (result == SQLITE_OK)
        store->carried_pages = carried;
    else if (result != SQLITE_BUSY)
        fault = store_note_fault(beside, result, "checkpoint");
    store->carrying_failed = beside->is_io_broken;
    store->is_carrying = false;
    return fault;
}

/* Nobody carries it over beside the turns, or there it was done as far as it can be. */
static bool must_checkpoint(const struct store *store)
{
    return store->log_pages >= STORE_CHECKPOINT_PAGES && !store->is_carrying &&
           (store->carried_pages == 0 || is_little_left(store));
}

/* After a fault SQLite may have rolled back on its own; then there is nothing left to undo. */
static void undo_turn(struct store *store)
{
    if (!sqlite3_get_autocommit(store->connection.database))
        sqlite3_exec(store->connection.database, "ROLLBACK", NULL, NULL, NULL);
    if (store->has_begun) {
        recent_cut(&store->recent, store->recent_at_begin);
        store->last_seq = store->last_seq_at_begin;
        store_audit_undo(store);
        store_forget_numbers(store);
        store_forget_wires(store);
    }
    store->has_begun = false;
    store->filing = 0;
    store_directory_undo(store);
}

static int begin_transaction(struct store *store)
{
    struct store_connection *connection = &store->connection;
    int fault;

    if (must_checkpoint(store))
        checkpoint(store);
    if (store_is_io_broken(store))
        return FAULT_STORE;
    fault = store_run(connection, store_prepare(connection, STATEMENT_BEGIN, "BEGIN IMMEDIATE"));
    if (fault)
        return fault;
    store->has_begun = true;
    store->recent_at_begin = store->recent.count;
    store->last_seq_at_begin = store->last_seq;
    store_audit_begin(store);
    store->filing = 0;
    if (store->recent.count - store->recent_filed >= STORE_FILE_AT)
        fault = store_file_recent(store);
    return fault;
}

typedef int (*keeper)(struct store *store, const struct effect *effect);

static keeper keeper_of(enum effect_kind kind)
{
    static const keeper keepers[] = {
        [EFFECT_KEEP_DUCKLING] = store_keep_duckling,
        [EFFECT_KEEP_PROFILE] = store_keep_profile,
        [EFFECT_KEEP_PECK] = store_keep_peck,
        [EFFECT_KEEP_STATE] = store_keep_state,
        [EFFECT_KEEP_RECEIPT] = store_keep_receipt,
        [EFFECT_KEEP_BOND] = store_keep_bond,
        [EFFECT_DROP_BOND] = store_drop_bond,
        [EFFECT_KEEP_RECORD] = store_keep_record,
        [EFFECT_DROP_RECORD] = store_drop_record,
        [EFFECT_KEEP_PROOF] = store_keep_proof,
        [EFFECT_KEEP_PIN] = store_keep_pin,
        [EFFECT_KEEP_COUNTERS] = store_keep_counters,
        [EFFECT_KEEP_COUNT] = store_keep_count,
        [EFFECT_KEEP_VOUCHER] = store_keep_voucher,
        [EFFECT_KEEP_TRUST] = store_keep_trust,
        [EFFECT_DROP_TRUST] = store_drop_trust,
        [EFFECT_KEEP_PARTIAL] = store_keep_partial,
        [EFFECT_KEEP_TIER] = store_keep_tier,
        [EFFECT_KEEP_KEY] = store_keep_key,
        [EFFECT_KEEP_PRE_KEY] = store_keep_pre_key,
        [EFFECT_DROP_PRE_KEY] = store_drop_pre_key,
        [EFFECT_KEEP_PERCHED] = store_keep_perched,
        [EFFECT_DROP_PERCHED] = store_drop_perched,
        [EFFECT_KEEP_DEPOSIT] = store_keep_deposit,
        [EFFECT_KEEP_CONTEXT] = store_keep_context,
        [EFFECT_DROP_CONTEXT] = store_drop_context,
        [EFFECT_KEEP_GRANT] = store_keep_grant,
        [EFFECT_DROP_GRANT] = store_drop_grant,
        [EFFECT_KEEP_LOBSTER] = store_keep_lobster,
        [EFFECT_DROP_LOBSTER] = store_drop_lobster,
        [EFFECT_KEEP_CAUGHT_UP] = store_keep_caught_up,
        [EFFECT_KEEP_OUTGROWN] = store_keep_outgrown,
    };

    return (size_t)kind < sizeof keepers / sizeof *keepers ? keepers[kind] : NULL;
}

static bool is_of_directory(const struct effect *effect)
{
    return effect->kind == EFFECT_KEEP_RECORD || effect->kind == EFFECT_DROP_RECORD ||
           effect->kind == EFFECT_KEEP_PROOF;
}

/* Of our own records the version is kept where it is not lost. */
static bool is_of_node(const struct effect *effect)
{
    return !is_of_directory(effect) || (effect->kind == EFFECT_KEEP_RECORD && effect->record.own);
}

int store_keep(struct store *store, const struct effect *effect)
{
    keeper keep = keeper_of(effect->kind);

    assert(store->in_turn);
    if (!keep)
        return 0;
    if (!store->turn_fault && is_of_directory(effect) && !store->directory_begun)
        store->turn_fault = store_directory_begin(store);
    if (!store->turn_fault && !store->has_begun && is_of_node(effect))
        store->turn_fault = begin_transaction(store);
    if (!store->turn_fault)
        store->turn_fault = keep(store, effect);
    if (!store->turn_fault && is_of_node(effect))
        store->turn_fault = store_audit_note(store, effect);
    if (store->turn_fault)
        undo_turn(store); /* at once: of a turn nothing or all */
    return store->turn_fault;
}

int store_begin_node(struct store *store)
{
    assert(store->in_turn);
    if (!store->turn_fault && !store->has_begun)
        store->turn_fault = begin_transaction(store);
    return store->turn_fault;
}

int store_note_turn_fault(struct store *store, int fault)
{
    if (fault) {
        store->turn_fault = fault;
        undo_turn(store);
    }
    return fault;
}

/* The directory first. What it has beyond node.db, when that cannot be kept, is true all the same:
 * others signed it. */
int store_commit(struct store *store)
{
    struct store_connection *connection = &store->connection;

    assert(store->in_turn);
    if (!store->turn_fault && store->has_begun)
        store->turn_fault = store_close_wires(store);
    if (!store->turn_fault && store->has_begun)
        store->turn_fault = store_audit_close(store);
    if (!store->turn_fault)
        store->turn_fault = store_directory_commit(store);
    if (!store->turn_fault && store->has_begun)
        store->turn_fault =
            store_run(connection, store_prepare(connection, STATEMENT_COMMIT, "COMMIT"));
    if (store->turn_fault)
        undo_turn(store);
    if (store->has_begun && store->filing)
        store_recent_is_filed(store);
    store->in_turn = false;
    store->has_begun = false;
    return store->turn_fault;
}

/* The sync that synchronous=FULL would make: SQLite's own, of its log, through its VFS. */
int store_sync(struct store *store)
{
    sqlite3_file *log = store->log;
    int result = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);

    if (result == SQLITE_OK)
        return 0;
    store->sync_failed = true;
    log_write(LOG_ERROR, "store", "a sync of the log failed (%d)", result);
    return FAULT_STORE;
}

void store_roll_back(struct store *store)
{
    if (store->in_turn)
        undo_turn(store);
    store->in_turn = false;
}

bool store_is_io_broken(const struct store *store)
{
    return store->connection.is_io_broken || store->sync_failed || store->carrying_failed ||
           store->directory_lost;
}

/* ---- restoring ---- */

static int read_node(struct store *store, struct metrics_content *counters,
                     struct version *version_floor)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(
        store->connection.database,
        "SELECT floor_ms, floor_count, ducklings, birth_certificates, connections, eggs, "
        "space_ducks, pecks, pageviews FROM node",
        -1, &statement, NULL);

    if (result != SQLITE_OK)
        return store_note_fault(&store->connection, result, "node");
    store->connection.fault = 0;
    if (store_next_row(&store->connection, statement)) {
        version_floor->ms = store_column_number(statement, 0);
        version_floor->count = (uint32_t)store_column_number(statement, 1);
        counters->ducklings = store_column_number(statement, 2);
        counters->birth_certificates = store_column_number(statement, 3);
        counters->connections = store_column_number(statement, 4);
        counters->eggs = store_column_number(statement, 5);
        counters->space_ducks = store_column_number(statement, 6);
        counters->pecks = store_column_number(statement, 7);
        counters->pageviews = store_column_number(statement, 8);
    }
    sqlite3_finalize(statement);
    return store->connection.fault;
}

int store_restore(struct store *store, const struct moment *at,
                  void (*give)(void *context, const struct event *event), void *context,
                  struct metrics_content *counters, struct version *version_floor)
{
    struct restoring restoring = {.at = at, .give = give, .context = context};
    int fault = store_restore_ducklings(store, &restoring);

    if (!fault)
        fault = store_restore_contexts(store, &restoring);
    if (!fault)
        fault = store_restore_bonds(store, &restoring);
    if (!fault)
        fault = store_restore_pins(store, &restoring);
    if (!fault)
        fault = store_restore_threads(store, &restoring);
    if (!fault)
        fault = store_restore_grants(store, &restoring);
    if (!fault)
        fault = store_restore_records(store, &restoring);
    if (!fault)
        fault = store_restore_revocations(store, &restoring);
    if (!fault)
        fault = store_restore_marks(store, &restoring);
    if (!fault)
        fault = store_restore_proofs(store, &restoring);
    if (!fault)
        fault = store_restore_pecks(store, BOX_OUT, &restoring);
    if (!fault)
        fault = store_restore_pecks(store, BOX_IN, &restoring);
    if (!fault)
        fault = store_restore_perches(store, &restoring);
    if (!fault)
        fault = store_restore_vouchers(store, &restoring);
    if (!fault)
        fault = store_restore_lobsters(store, &restoring);
    if (!fault)
        fault = read_node(store, counters, version_floor);
    if (fault)
        store_directory_undo(store); /* a damaged one is made anew */
    return fault;
}
