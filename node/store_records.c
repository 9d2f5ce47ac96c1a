/* Records as they came: kept, dropped, read again.
 *
 * Measured by tests/bench/bench_cache.c (a million ducklings of three capabilities, a name and a bio
 * of 15 words; turns of 512): 23 us of processor time a record, 800 bytes on the disk; a restart
 * reads a million in 0.7 s. */
#include "core/contradiction.h"
#include "log.h"
#include "store_internal.h"

#define SIDE_MEMORY (2 * PARSE_BUDGET(RECORD_SIZE_MAX))

/* ---- bytes ---- */

static sqlite3_stmt *prepare_wire(struct store *store, int64_t number)
{
    sqlite3_stmt *statement = store_prepare(&store->directory, STATEMENT_WIRE_READ,
                                            "SELECT wire FROM record_wire WHERE number = ?1");

    sqlite3_bind_int64(statement, 1, number);
    return statement;
}

bool store_read_held(struct store *store, int64_t number, struct record *record)
{
    sqlite3_stmt *statement = prepare_wire(store, number);
    struct bytes wire = {0};
    struct envelope envelope;

    while (store_next_row(&store->directory, statement))
        wire = arena_copy(&store->arena, store_column_bytes(statement, 0));
    return wire.data &&
           envelope_parse(wire, ENVELOPE_RECORD, &store->arena, &envelope) == ENVELOPE_TAKEN &&
           record_parse(envelope.body, &store->arena, record) == RECORD_OK;
}

/* ---- numbers ---- */

/* Which hash has which number. Read where it is first needed; a restore fills it in passing. */
static int load_numbers(struct store *store)
{
    struct store_connection *connection = &store->directory;
    sqlite3_stmt *statement = NULL;
    int result;

    if (store->numbers.is_loaded)
        return 0;
    result = sqlite3_prepare_v2(connection->database, "SELECT number, hash FROM record", -1,
                                &statement, NULL);
    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "numbers");
    record_numbers_free(&store->numbers);
    connection->fault = 0;
    while (store_next_row(connection, statement)) {
        struct bytes hash = store_column_bytes(statement, 1);

        if (hash.size == HASH_SIZE)
            record_numbers_add(&store->numbers, (const struct hash *)(const void *)hash.data,
                               sqlite3_column_int64(statement, 0));
    }
    sqlite3_finalize(statement);
    store->numbers.is_loaded = connection->fault == 0;
    return connection->fault;
}

static void change_number(struct store *store, const struct held_record *held,
                          const struct hash *hash, int64_t number)
{
    if (!store->numbers.is_loaded)
        return;
    if (held->number)
        record_numbers_drop(&store->numbers, &held->hash, held->number);
    if (hash)
        record_numbers_add(&store->numbers, hash, number);
}

/* The owner's record of this kind and key, and the lowest number that is free. */
static void find_held(struct store *store, int64_t identity, const struct record *record,
                      struct held_record *held, int64_t *number)
{
    sqlite3_stmt *statement = store_prepare(&store->directory, STATEMENT_RECORDS_OF_OWNER,
                                            "SELECT number, hash, kind, key, flags FROM record "
                                            "WHERE number BETWEEN ?1 AND ?2 ORDER BY number");
    int64_t first = identity * STORE_RECORDS_OF_IDENTITY;

    *number = first;
    sqlite3_bind_int64(statement, 1, first);
    sqlite3_bind_int64(statement, 2, first + STORE_RECORDS_OF_IDENTITY - 1);
    while (store_next_row(&store->directory, statement)) {
        int64_t at = sqlite3_column_int64(statement, 0);
        struct bytes hash = store_column_bytes(statement, 1);

        *number += *number == at && !held->number;
        if (store_column_number(statement, 2) != record->kind || hash.size != HASH_SIZE ||
            !bytes_equal(store_column_bytes(statement, 3), record->key))
            continue;
        held->number = *number = at;
        held->kind = record->kind;
        held->deleted = sqlite3_column_int(statement, 4) & STORE_DELETED;
        memcpy(held->hash.bytes, hash.data, HASH_SIZE);
    }
}

/* ---- keeping ---- */

static int write_head(struct store *store, const struct record *record, int64_t number)
{
    sqlite3_stmt *statement = store_prepare(
        &store->directory, STATEMENT_RECORD_ADD,
        "INSERT OR REPLACE INTO record (number, hash, owner, kind, key, version_ms, version_count, "
        "not_after_ms, flags, host) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    struct duckling_content content = {0};
    bool is_duckling =
        record->kind == RECORD_DUCKLING && !record->deleted &&
        duckling_content_parse(record->content, &store->arena, &content) == RECORD_OK;

    sqlite3_bind_int64(statement, 1, number);
    sqlite3_bind_blob(statement, 2, record->hash.bytes, HASH_SIZE, SQLITE_STATIC);
    store_bind_id(statement, 3, &record->owner);
    store_bind_number(statement, 4, record->kind);
    store_bind_bytes(statement, 5, record->key);
    store_bind_number(statement, 6, record->version.ms);
    store_bind_number(statement, 7, record->version.count);
    store_bind_number(statement, 8, record->not_after_ms);
    sqlite3_bind_int(statement, 9,
                     (record->deleted ? STORE_DELETED : 0) |
                         (content.accepts_pecks ? STORE_ACCEPTS_PECKS : 0));
    if (is_duckling)
        store_bind_id(statement, 10, &content.host);
    else
        sqlite3_bind_null(statement, 10);
    return store_run(&store->directory, statement);
}

static int write_wire(struct store *store, int64_t number, struct bytes wire)
{
    sqlite3_stmt *statement =
        store_prepare(&store->directory, STATEMENT_WIRE_ADD,
                      "INSERT OR REPLACE INTO record_wire (number, wire) VALUES (?1, ?2)");

    sqlite3_bind_int64(statement, 1, number);
    store_bind_bytes(statement, 2, wire);
    return store_run(&store->directory, statement);
}

/* More than its numbers no owner has: the directory takes RECORDS_PER_OWNER_MAX. */
_Static_assert(RECORDS_PER_OWNER_MAX < STORE_RECORDS_OF_IDENTITY, "one is free for what comes");

int store_keep_record(struct store *store, const struct effect *effect)
{
    const struct offered_record *item = &effect->record.item;
    const struct record *record = &item->record;
    struct held_record held = {0};
    bool is_new = false;
    int64_t identity, number;
    int fault;

    identity = store_owner_keep(store, &record->owner, item->chain, &is_new);
    number = identity * STORE_RECORDS_OF_IDENTITY;
    if (identity && !is_new)
        find_held(store, identity, record, &held, &number);
    if (!identity || store->directory.fault)
        return store->directory.fault;
    if (number >= (identity + 1) * STORE_RECORDS_OF_IDENTITY) {
        log_write(LOG_ERROR, "store", "an owner has more records than the directory takes");
        return 0;
    }
    fault = store_replace_sides(store, &held, number, record);
    if (!fault)
        fault = store_replace_withdrawn(store, held.number && held.kind == RECORD_REVOCATION,
                                        number, &item->withdrawn);
    if (!fault)
        fault = store_replace_contradicted(store, held.number && held.kind == RECORD_REVOCATION,
                                           number, &record->contradicted);
    if (!fault)
        fault = write_head(store, record, number);
    if (!fault)
        fault = write_wire(store, number, item->wire);
    if (!fault)
        change_number(store, &held, &record->hash, number);
    if (!fault && effect->record.dated_here)
        fault = store_keep_floor(store, record->version);
    if (!fault && effect->record.own && record->kind == RECORD_REVOCATION)
        fault = store_keep_revocation(store, item);
    return fault;
}

/* ---- dropping ---- */

static bool has_name(struct store *store, int64_t number, const struct hash *hash,
                     struct held_record *held, struct id *owner)
{
    sqlite3_stmt *statement =
        store_prepare(&store->directory, STATEMENT_RECORD_NAME,
                      "SELECT owner, kind, flags FROM record WHERE number = ?1 AND hash = ?2");
    bool is_it = false;

    sqlite3_bind_int64(statement, 1, number);
    sqlite3_bind_blob(statement, 2, hash->bytes, HASH_SIZE, SQLITE_STATIC);
    while (store_next_row(&store->directory, statement)) {
        is_it = store_column_id(statement, 0, owner);
        held->number = number;
        held->hash = *hash;
        held->kind = (uint32_t)store_column_number(statement, 1);
        held->deleted = sqlite3_column_int(statement, 2) & STORE_DELETED;
    }
    return is_it;
}

static bool find_hash(struct store *store, const struct hash *hash, struct held_record *held,
                      struct id *owner)
{
    size_t at = 0;
    int64_t number;

    if (load_numbers(store))
        return false;
    while ((number = record_numbers_next(&store->numbers, hash, &at)) > 0)
        if (has_name(store, number, hash, held, owner))
            return true;
    return false;
}

static int drop_rows(struct store *store, int64_t number)
{
    static const struct {
        enum statement which;
        const char *sql;
    } drops[] = {
        {STATEMENT_RECORD_DROP, "DELETE FROM record WHERE number = ?1"},
        {STATEMENT_WIRE_DROP, "DELETE FROM record_wire WHERE number = ?1"},
    };
    int fault = 0;

    for (size_t i = 0; i < sizeof drops / sizeof *drops && !fault; i++) {
        sqlite3_stmt *statement = store_prepare(&store->directory, drops[i].which, drops[i].sql);

        sqlite3_bind_int64(statement, 1, number);
        fault = store_run(&store->directory, statement);
    }
    return fault;
}

/* Whoever is known by records alone goes with the last one, or gossip could fill the disk. */
static int drop_idle_owner(struct store *store, int64_t identity, const struct id *owner)
{
    static const struct record none;
    struct held_record held = {0};
    int64_t number;

    find_held(store, identity, &none, &held, &number);
    if (store->directory.fault || number > identity * STORE_RECORDS_OF_IDENTITY)
        return store->directory.fault;
    return store_owner_drop(store, identity, owner);
}

/* By hash: one that was replaced meanwhile is not there, and its successor stays. */
int store_drop_record(struct store *store, const struct effect *effect)
{
    struct held_record held = {0};
    struct id owner;
    int fault;

    store->directory.fault = 0;
    if (!find_hash(store, &effect->record.dropped, &held, &owner))
        return store->directory.fault;
    fault = store_keep_mark(store, held.number, effect->record.mark_until_ms);
    if (!fault)
        fault = store_replace_sides(store, &held, held.number, NULL);
    if (!fault)
        fault = store_replace_withdrawn(store, held.kind == RECORD_REVOCATION, held.number, NULL);
    if (!fault)
        fault =
            store_replace_contradicted(store, held.kind == RECORD_REVOCATION, held.number, NULL);
    if (!fault)
        fault = drop_rows(store, held.number);
    if (fault)
        return fault;
    change_number(store, &held, NULL, 0);
    return drop_idle_owner(store, held.number / STORE_RECORDS_OF_IDENTITY, &owner);
}

/* ---- reading ---- */

int store_find_wire(struct store *store, const struct hash *hash, struct arena *arena,
                    struct bytes *wire)
{
    struct held_record held = {0};
    sqlite3_stmt *statement;
    struct id owner;

    *wire = bytes_of(NULL, 0);
    store->directory.fault = 0;
    if (!find_hash(store, hash, &held, &owner))
        return store->directory.fault;
    statement = prepare_wire(store, held.number);
    while (store_next_row(&store->directory, statement))
        *wire = arena_copy(arena, store_column_bytes(statement, 0));
    return store->directory.fault;
}

/* A disk may have turned a bit since. Whoever passed that on would be taken for a forger. */
static bool is_still(struct bytes wire, const struct hash *hash, struct arena *arena)
{
    struct envelope envelope;

    return envelope_parse(wire, ENVELOPE_RECORD, arena, &envelope) == ENVELOPE_TAKEN &&
           hash_equal(&envelope.hash, hash);
}

/* False: another record has this number. */
static bool read_at(struct store *store, int64_t number, const struct hash *hash,
                    struct arena *arena, struct bytes *wire, struct bytes *chain)
{
    sqlite3_stmt *statement =
        store_prepare(&store->directory, STATEMENT_RECORD_READ,
                      "SELECT w.wire, i.chain FROM record r CROSS JOIN record_wire w "
                      "ON w.number = r.number CROSS JOIN identity i ON i.number = r.number / 32 "
                      "WHERE r.number = ?1 AND r.hash = ?2");
    bool is_it = false;

    sqlite3_bind_int64(statement, 1, number);
    sqlite3_bind_blob(statement, 2, hash->bytes, HASH_SIZE, SQLITE_STATIC);
    while (store_next_row(&store->directory, statement)) {
        *wire = arena_copy(arena, store_column_bytes(statement, 0));
        *chain = arena_copy(arena, store_column_bytes(statement, 1));
        is_it = true;
    }
    return is_it;
}

static bool read_record(struct store *store, const struct hash *hash, struct arena *arena,
                        struct bytes *wire, struct bytes *chain)
{
    bool is_found = false;
    int64_t number;
    size_t at = 0;

    if (load_numbers(store))
        return false;
    while (!is_found && (number = record_numbers_next(&store->numbers, hash, &at)) > 0)
        is_found = read_at(store, number, hash, arena, wire, chain);
    if (!is_found || !wire->data || !chain->data)
        return false; /* not there; or the arena is full: who asked asks again */
    if (is_still(*wire, hash, arena))
        return true;
    log_write(LOG_ERROR, "store", "%s holds a record that is not what it was",
              store->directory_path);
    store->directory.is_io_broken = true; /* made anew with the next turn: the network has it all */
    return false;
}

/* In one transaction: else each record takes and drops SQLite's locks, which costs as much as
 * reading it. */
int store_read_records(struct store *store, const struct hash *hashes, size_t count,
                       struct arena *arena, struct bytes *wires, struct bytes *chains,
                       size_t *found)
{
    struct store_connection *connection = &store->directory;
    bool begun;

    *found = 0;
    connection->fault = 0;
    if (!connection->database)
        return 0;
    begun = count > 1 && sqlite3_get_autocommit(connection->database) &&
            !store_run(connection, store_prepare(connection, STATEMENT_READ_BEGIN, "BEGIN"));
    for (size_t i = 0; i < count && !connection->fault; i++)
        *found += read_record(store, &hashes[i], arena, &wires[*found], &chains[*found]);
    if (begun) {
        int fault = connection->fault;

        store_run(connection, store_prepare(connection, STATEMENT_COMMIT, "COMMIT"));
        connection->fault = fault ? fault : connection->fault;
    }
    return connection->fault;
}

/* ---- restoring ---- */

#define COLUMNS                                                                                    \
    "r.number, r.hash, r.owner, r.kind, r.key, r.version_ms, r.version_count, "                    \
    "r.not_after_ms, r.flags, r.host"

/* What the directory in memory needs of a duckling, without its words. */
static struct bytes brief_content(sqlite3_stmt *statement, int flags, struct arena *arena)
{
    struct duckling_content content = {
        .display_name = bytes_of_text("-"), /* there has to be one */
        .accepts_pecks = flags & STORE_ACCEPTS_PECKS,
    };

    if (!store_column_id(statement, 9, &content.host))
        return bytes_of(NULL, 0);
    return duckling_content_pack(&content, arena);
}

/* Its bytes are read where the content matters: addresses of nodes, their counters. */
static bool read_whole(struct store *store, int64_t number, struct record *record)
{
    arena_reset(&store->arena);
    return store_read_held(store, number, record);
}

/* Proven anew, if it was when it was kept: what its carrier's chain was is not looked at here. */
static void read_contradicted(struct store *store, int64_t number, struct record *record)
{
    struct arena arena;

    if (!store_has_contradicted(store, number))
        return;

    arena_init(&arena, PARSE_BUDGET(4 * RECORD_SIZE_MAX));
    if (contradiction_read(record, &arena, &record->contradicted) != CONTRADICTION_PROVEN)
        record->contradicted = (struct id){0};
    arena_free(&arena);
}

static void restore_record(struct store *store, sqlite3_stmt *statement,
                           const struct restoring *restoring, struct arena *arena)
{
    struct event event = {.kind = EVENT_RESTORED_RECORD, .at = *restoring->at};
    struct record *record = &event.restored.record;
    int64_t number = sqlite3_column_int64(statement, 0);
    struct bytes hash = store_column_bytes(statement, 1);
    int flags = sqlite3_column_int(statement, 8);

    record->kind = (uint32_t)store_column_number(statement, 3);
    if (hash.size != HASH_SIZE || !store_column_id(statement, 2, &record->owner))
        return;
    memcpy(record->hash.bytes, hash.data, HASH_SIZE);
    record_numbers_add(&store->numbers, &record->hash, number);
    record->key = store_column_bytes(statement, 4);
    record->version.ms = store_column_number(statement, 5);
    record->version.count = (uint32_t)store_column_number(statement, 6);
    record->not_after_ms = store_column_number(statement, 7);
    record->deleted = flags & STORE_DELETED;
    arena_reset(arena);
    if (record->deleted || record->kind == RECORD_DUCKLING)
        record->content =
            record->deleted ? bytes_of(NULL, 0) : brief_content(statement, flags, arena);
    else if ((record->kind == RECORD_NODE || record->kind == RECORD_METRICS ||
              record->kind == RECORD_REVOCATION) &&
             !read_whole(store, number, record)) {
        log_write(LOG_WARNING, "store", "a stored record does not parse: left out");
        return;
    }
    if (record->kind == RECORD_REVOCATION)
        read_contradicted(store, number, record);
    restoring->give(restoring->context, &event);
}

int store_restore_records(struct store *store, const struct restoring *restoring)
{
    struct store_connection *connection = &store->directory;
    sqlite3_stmt *statement = NULL;
    struct arena arena;
    int result;

    if (!connection->database)
        return 0; /* no room to make it anew: the network has what was in it */
    result = sqlite3_prepare_v2(connection->database,
                                "SELECT " COLUMNS " FROM record r ORDER BY r.number", -1,
                                &statement, NULL);
    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "records");
    record_numbers_free(&store->numbers);
    connection->fault = 0;
    arena_init(&arena, SIDE_MEMORY);
    while (store_next_row(connection, statement))
        restore_record(store, statement, restoring, &arena);
    arena_free(&arena);
    sqlite3_finalize(statement);
    store->numbers.is_loaded = connection->fault == 0;
    return connection->fault;
}
