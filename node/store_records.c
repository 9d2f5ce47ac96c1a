/* The directory on disk: records as they came, and beside those of ducklings what searches need:
 * their host, their capabilities, their words; beside attestations of bonds, who and whom. */
#include "log.h"
#include "store_internal.h"

#include <stdio.h>

#define SIDE_MEMORY (2 * PARSE_BUDGET(RECORD_SIZE_MAX))

/* ---- what searches need ---- */

static int drop_sides(struct store *store, int64_t number)
{
    static const struct {
        enum statement which;
        const char *sql;
    } drops[] = {
        {STATEMENT_CAPABILITY_DROP, "DELETE FROM capability WHERE record = ?1"},
        {STATEMENT_TEXT_DROP, "DELETE FROM duckling_text WHERE rowid = ?1"},
        {STATEMENT_BONDED_DROP, "DELETE FROM bonded WHERE record = ?1"},
    };
    int fault = 0;

    for (size_t i = 0; i < sizeof drops / sizeof *drops && !fault; i++) {
        sqlite3_stmt *statement = store_prepare(&store->connection, drops[i].which, drops[i].sql);

        sqlite3_bind_int64(statement, 1, number);
        fault = store_run(&store->connection, statement);
    }
    return fault;
}

static void bind_text(sqlite3_stmt *statement, int index, struct bytes text)
{
    sqlite3_bind_text64(statement, index, text.size ? (const char *)text.data : "", text.size,
                        SQLITE_STATIC, SQLITE_UTF8);
}

/* A refreshed record mostly says what the one before said; then nothing is to be done. */
static bool is_same_text(struct store *store, int64_t number,
                         const struct duckling_content *content, struct bytes capabilities)
{
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_TEXT_READ,
                      "SELECT display_name, bio, capabilities FROM duckling_text WHERE rowid = ?1");
    bool is_same = false;

    sqlite3_bind_int64(statement, 1, number);
    while (store_next_row(&store->connection, statement))
        is_same = bytes_equal(store_column_bytes(statement, 0), content->display_name) &&
                  bytes_equal(store_column_bytes(statement, 1), content->bio) &&
                  bytes_equal(store_column_bytes(statement, 2), capabilities);
    return is_same;
}

static int add_capabilities(struct store *store, int64_t number, const struct id *owner,
                            const struct duckling_content *content)
{
    sqlite3_stmt *statement = store_prepare(
        &store->connection, STATEMENT_CAPABILITY_ADD,
        "INSERT INTO capability (name, owner, record) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING");
    int fault = 0;

    for (size_t i = 0; i < content->capability_count && !fault; i++) {
        bind_text(statement, 1, content->capabilities[i]);
        store_bind_id(statement, 2, owner);
        sqlite3_bind_int64(statement, 3, number);
        fault = store_run(&store->connection, statement);
    }
    return fault;
}

static int keep_duckling_sides(struct store *store, int64_t number, const struct id *owner,
                               const struct duckling_content *content)
{
    struct bytes capabilities =
        store_join_lines(content->capabilities, content->capability_count, &store->arena);
    sqlite3_stmt *statement;
    int fault;

    if (is_same_text(store, number, content, capabilities) || store->connection.fault)
        return store->connection.fault;
    fault = drop_sides(store, number);
    if (!fault)
        fault = add_capabilities(store, number, owner, content);
    if (fault)
        return fault;
    statement = store_prepare(&store->connection, STATEMENT_TEXT_ADD,
                              "INSERT INTO duckling_text (rowid, display_name, bio, capabilities) "
                              "VALUES (?1, ?2, ?3, ?4)");
    sqlite3_bind_int64(statement, 1, number);
    bind_text(statement, 2, content->display_name);
    bind_text(statement, 3, content->bio);
    bind_text(statement, 4, capabilities);
    return store_run(&store->connection, statement);
}

static int keep_attestation_sides(struct store *store, int64_t number, const struct record *record)
{
    struct attestation_content content;
    sqlite3_stmt *statement;
    int fault = drop_sides(store, number);

    if (fault || record->deleted ||
        attestation_content_parse(record->content, &store->arena, &content) != RECORD_OK ||
        !bytes_equal(content.claim, bytes_of_text("bonded")))
        return fault;
    statement = store_prepare(
        &store->connection, STATEMENT_BONDED_ADD,
        "INSERT INTO bonded (owner, subject, not_after_ms, record) VALUES (?1, ?2, ?3, ?4) "
        "ON CONFLICT (owner, subject) DO UPDATE SET not_after_ms = ?3, record = ?4");
    store_bind_id(statement, 1, &record->owner);
    store_bind_id(statement, 2, &content.subject);
    store_bind_number(statement, 3, record->not_after_ms);
    sqlite3_bind_int64(statement, 4, number);
    return store_run(&store->connection, statement);
}

/* ---- keeping ---- */

static int write_record(struct store *store, const struct offered_record *item,
                        const struct id *host, int64_t *number)
{
    const struct record *record = &item->record;
    sqlite3_stmt *statement = store_prepare(
        &store->connection, STATEMENT_RECORD_KEEP,
        "INSERT INTO record (name, hash, owner, kind, key, version_ms, version_count, "
        "not_after_ms, deleted, host, wire) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) "
        "ON CONFLICT (owner, kind, key) DO UPDATE SET name = ?1, hash = ?2, version_ms = ?6, "
        "version_count = ?7, not_after_ms = ?8, deleted = ?9, host = ?10, wire = ?11 "
        "RETURNING number");

    sqlite3_bind_int64(statement, 1, store_name_number(record->hash.bytes));
    sqlite3_bind_blob(statement, 2, record->hash.bytes, HASH_SIZE, SQLITE_STATIC);
    store_bind_id(statement, 3, &record->owner);
    store_bind_number(statement, 4, record->kind);
    store_bind_bytes(statement, 5, record->key);
    store_bind_number(statement, 6, record->version.ms);
    store_bind_number(statement, 7, record->version.count);
    store_bind_number(statement, 8, record->not_after_ms);
    sqlite3_bind_int(statement, 9, record->deleted);
    if (host)
        store_bind_id(statement, 10, host);
    else
        sqlite3_bind_null(statement, 10);
    store_bind_bytes(statement, 11, item->wire);
    while (store_next_row(&store->connection, statement))
        *number = sqlite3_column_int64(statement, 0);
    return store->connection.fault;
}

int store_keep_record(struct store *store, const struct effect *effect)
{
    const struct record *record = &effect->record.item.record;
    struct duckling_content content;
    bool is_duckling;
    int64_t number = 0;
    int fault = 0;

    if (!store_number_identity(store, &record->owner, effect->record.item.chain, false))
        return store->connection.fault;
    arena_reset(&store->arena);
    is_duckling = record->kind == RECORD_DUCKLING && !record->deleted &&
                  duckling_content_parse(record->content, &store->arena, &content) == RECORD_OK;
    fault = write_record(store, &effect->record.item, is_duckling ? &content.host : NULL, &number);
    if (!fault && is_duckling)
        fault = keep_duckling_sides(store, number, &record->owner, &content);
    else if (!fault && record->kind == RECORD_ATTESTATION)
        fault = keep_attestation_sides(store, number, record);
    else if (!fault && record->kind == RECORD_DUCKLING)
        fault = drop_sides(store, number);
    if (!fault && effect->record.own)
        fault = store_keep_floor(store, record->version);
    return fault;
}

/* By hash: one that was replaced meanwhile is not there, and its successor stays. */
int store_drop_record(struct store *store, const struct effect *effect)
{
    const struct hash *hash = &effect->record.dropped;
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_RECORD_FIND,
                      "SELECT number, owner FROM record WHERE name = ?1 AND hash = ?2");
    struct id owner = {0};
    int64_t number = 0;
    int fault;

    sqlite3_bind_int64(statement, 1, store_name_number(hash->bytes));
    sqlite3_bind_blob(statement, 2, hash->bytes, HASH_SIZE, SQLITE_STATIC);
    while (store_next_row(&store->connection, statement)) {
        number = sqlite3_column_int64(statement, 0);
        store_column_id(statement, 1, &owner);
    }
    if (!number)
        return store->connection.fault;
    fault = drop_sides(store, number);
    if (fault)
        return fault;
    statement = store_prepare(&store->connection, STATEMENT_RECORD_DROP,
                              "DELETE FROM record WHERE number = ?1");
    sqlite3_bind_int64(statement, 1, number);
    fault = store_run(&store->connection, statement);
    return fault ? fault : store_drop_idle_identity(store, &owner);
}

/* ---- reading ---- */

int store_read_records(struct store *store, const struct hash *hashes, size_t count,
                       struct arena *arena, struct bytes *wires, struct bytes *chains,
                       size_t *found)
{
    sqlite3_stmt *statement = store_prepare(&store->connection, STATEMENT_RECORD_READ,
                                            "SELECT r.wire, i.chain FROM record r JOIN identity i "
                                            "ON i.id = r.owner WHERE r.name = ?1 AND r.hash = ?2");

    *found = 0;
    for (size_t i = 0; i < count && !store->connection.fault; i++) {
        sqlite3_bind_int64(statement, 1, store_name_number(hashes[i].bytes));
        sqlite3_bind_blob(statement, 2, hashes[i].bytes, HASH_SIZE, SQLITE_STATIC);
        while (store_next_row(&store->connection, statement)) {
            struct bytes wire = arena_copy(arena, store_column_bytes(statement, 0));
            struct bytes chain = arena_copy(arena, store_column_bytes(statement, 1));

            if (!wire.data || !chain.data)
                continue; /* the arena is full: the next digest asks again */
            wires[*found] = wire;
            chains[(*found)++] = chain;
        }
    }
    return store->connection.fault;
}

int store_restore_records(struct store *store, const struct restoring *restoring)
{
    struct store_connection *connection = &store->connection;
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(connection->database,
                                    "SELECT r.wire, i.chain FROM record r JOIN identity i "
                                    "ON i.id = r.owner ORDER BY r.number",
                                    -1, &statement, NULL);
    struct arena arena;

    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "records");
    connection->fault = 0;
    arena_init(&arena, SIDE_MEMORY);
    while (store_next_row(connection, statement)) {
        struct event event = {.kind = EVENT_RESTORED_RECORD, .at = *restoring->at};
        struct envelope envelope;

        arena_reset(&arena);
        event.restored.wire = store_column_bytes(statement, 0);
        event.restored.chain = store_column_bytes(statement, 1);
        if (envelope_parse(event.restored.wire, ENVELOPE_RECORD, &arena, &envelope) ==
                ENVELOPE_TAKEN &&
            record_parse(envelope.body, &arena, &event.restored.record) == RECORD_OK)
            restoring->give(restoring->context, &event);
        else
            log_write(LOG_WARNING, "store", "a stored record does not parse: left out");
    }
    arena_free(&arena);
    sqlite3_finalize(statement);
    return connection->fault;
}
