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
