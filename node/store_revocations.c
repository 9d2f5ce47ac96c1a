/* What was revoked here is kept in node.db too: see schema/node_10.sql. */
#include "store_internal.h"

int store_keep_revocation(struct store *store, const struct offered_record *item)
{
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_REVOCATION_ADD,
                      "INSERT INTO revocation (owner, wire, chain) VALUES (?1, ?2, ?3) "
                      "ON CONFLICT DO NOTHING");

    store_bind_id(statement, 1, &item->record.owner);
    store_bind_bytes(statement, 2, item->wire);
    store_bind_bytes(statement, 3, item->chain);
    return store_run(&store->connection, statement);
}

static void give(const struct restoring *restoring, struct bytes wire, struct bytes chain)
{
    struct event event = {.kind = EVENT_RESTORED_REVOCATION, .at = *restoring->at};
    struct envelope envelope;
    struct arena arena;

    arena_init(&arena, 2 * PARSE_BUDGET(RECORD_SIZE_MAX));
    event.restored.wire = wire;
    event.restored.chain = chain;
    if (envelope_parse(wire, ENVELOPE_RECORD, &arena, &envelope) == ENVELOPE_TAKEN &&
        record_parse(envelope.body, &arena, &event.restored.record) == RECORD_OK &&
        event.restored.record.not_after_ms > restoring->at->wall_ms)
        restoring->give(restoring->context, &event);
    arena_free(&arena);
}

int store_restore_revocations(struct store *store, const struct restoring *restoring)
{
    struct store_connection *connection = &store->connection;
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(connection->database, "SELECT wire, chain FROM revocation", -1,
                                    &statement, NULL);

    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "revocation");
    connection->fault = 0;
    while (store_next_row(connection, statement))
        give(restoring, store_column_bytes(statement, 0), store_column_bytes(statement, 1));
    sqlite3_finalize(statement);
    return connection->fault;
}

/* ---- whom a revocation proves contradicted ---- */

int store_replace_contradicted(struct store *store, bool was_revocation, int64_t number,
                               const struct id *identity)
{
    sqlite3_stmt *statement;
    int fault = 0;

    if (was_revocation) {
        statement = store_prepare(&store->directory, STATEMENT_CONTRADICTED_DROP,
                                  "DELETE FROM contradicted WHERE record = ?1");
        sqlite3_bind_int64(statement, 1, number);
        fault = store_run(&store->directory, statement);
    }
    if (fault || !identity || id_is_zero(identity))
        return fault;
    statement =
        store_prepare(&store->directory, STATEMENT_CONTRADICTED_ADD,
                      "INSERT OR REPLACE INTO contradicted (record, identity) VALUES (?1, ?2)");
    sqlite3_bind_int64(statement, 1, number);
    store_bind_id(statement, 2, identity);
    return store_run(&store->directory, statement);
}

bool store_has_contradicted(struct store *store, int64_t number)
{
    sqlite3_stmt *statement = store_prepare(&store->directory, STATEMENT_CONTRADICTED_HAS,
                                            "SELECT 1 FROM contradicted WHERE record = ?1");
    bool has = false;

    sqlite3_bind_int64(statement, 1, number);
    while (store_next_row(&store->directory, statement))
        has = true;
    return has;
}

size_t store_view_contradicted(struct store_reader *reader, struct id *identities, size_t max)
{
    sqlite3_stmt *statement;
    size_t count = 0;

    if (!store_reader_has_directory(reader))
        return 0;
    statement =
        store_prepare(&reader->directory, STATEMENT_VIEW_CONTRADICTED,
                      "SELECT DISTINCT identity FROM contradicted ORDER BY identity LIMIT ?1");
    reader->directory.fault = 0;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)max);
    while (store_next_row(&reader->directory, statement))
        if (count < max && store_column_id(statement, 0, &identities[count]))
            count++;
    return count;
}

bool store_view_is_contradicted(struct store_reader *reader, const struct id *identity)
{
    sqlite3_stmt *statement;
    bool is_it = false;

    if (!store_reader_has_directory(reader))
        return false;
    statement = store_prepare(&reader->directory, STATEMENT_VIEW_IS_CONTRADICTED,
                              "SELECT 1 FROM contradicted WHERE identity = ?1 LIMIT 1");
    reader->directory.fault = 0;
    store_bind_id(statement, 1, identity);
    while (store_next_row(&reader->directory, statement))
        is_it = true;
    return is_it;
}
