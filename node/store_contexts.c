/* Contexts: those of ducklings that live here, with their keys, and what pecks came or went under. */
#include "log.h"
#include "store_internal.h"

#include <sodium.h>

int store_keep_context(struct store *store, const struct effect *effect)
{
    const struct kept_context *kept = effect->context;
    int64_t duckling = store_number_identity(store, &kept->duckling, bytes_of(NULL, 0));
    uint8_t sealed[SEALED_SEED_SIZE];
    sqlite3_stmt *statement;

    if (!duckling)
        return store->connection.fault;
    statement = store_prepare(&store->connection, STATEMENT_CONTEXT_KEEP,
                              "INSERT INTO context (carrier, duckling, wire, seed, revoked_ms) "
                              "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (carrier) DO UPDATE "
                              "SET wire = ?3, seed = ?4, revoked_ms = ?5");
    store_bind_id(statement, 1, &kept->carrier);
    sqlite3_bind_int64(statement, 2, duckling);
    store_bind_bytes(statement, 3, kept->wire);
    if (kept->revoked_ms > 0) {
        sqlite3_bind_null(statement, 4);
    } else {
        store_seal_context_key(store, &kept->carrier, kept->seed, sealed);
        store_bind_bytes(statement, 4, bytes_of(sealed, sizeof sealed));
    }
    store_bind_number(statement, 5, kept->revoked_ms);
    return store_run(&store->connection, statement);
}

int store_drop_context(struct store *store, const struct effect *effect)
{
    sqlite3_stmt *statement = store_prepare(&store->connection, STATEMENT_CONTEXT_DROP,
                                            "DELETE FROM context WHERE carrier = ?1");

    store_bind_id(statement, 1, &effect->context->carrier);
    return store_run(&store->connection, statement);
}

static bool read_kept(struct store *store, sqlite3_stmt *statement, struct kept_context *kept)
{
    if (!store_column_id(statement, 0, &kept->carrier) ||
        !store_column_id(statement, 1, &kept->duckling))
        return false;
    kept->wire = store_column_bytes(statement, 2);
    kept->revoked_ms = store_column_number(statement, 4);
    return kept->revoked_ms > 0 ||
           store_unseal_context_key(store, &kept->carrier, store_column_bytes(statement, 3),
                                    kept->seed);
}

/* In order of their making. */
int store_restore_contexts(struct store *store, const struct restoring *restoring)
{
    struct store_connection *connection = &store->connection;
    sqlite3_stmt *statement = NULL;
    int result =
        sqlite3_prepare_v2(connection->database,
                           "SELECT c.carrier, i.id, c.wire, c.seed, c.revoked_ms FROM context c "
                           "JOIN identity i ON i.number = c.duckling ORDER BY c.number",
                           -1, &statement, NULL);
    bool is_readable = true;

    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "context");
    connection->fault = 0;
    while (is_readable && store_next_row(connection, statement)) {
        struct event event = {.kind = EVENT_RESTORED_CONTEXT, .at = *restoring->at};

        is_readable = read_kept(store, statement, &event.context);
        if (is_readable)
            restoring->give(restoring->context, &event);
        sodium_memzero(&event, sizeof event);
    }
    sqlite3_finalize(statement);
    if (is_readable)
        return connection->fault;
    log_write(LOG_ERROR, "store",
              "a context's key does not open: the key file is another one, "
              "or the database was changed");
    return FAULT_CORRUPT;
}

/* ---- what pecks were signed under ---- */

int store_keep_shown(struct store *store, int64_t seq, const struct context *context)
{
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_SHOWN_ADD,
                      "INSERT INTO shown_context (id, carrier, not_after_ms, wire) "
                      "VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING");
    int fault;

    store_bind_id(statement, 1, &context->id);
    store_bind_id(statement, 2, &context->carrier);
    store_bind_number(statement, 3, context->not_after_ms);
    store_bind_bytes(statement, 4, context->wire);
    fault = store_run(&store->connection, statement);
    if (fault)
        return fault;
    statement = store_prepare(&store->connection, STATEMENT_PECK_CONTEXT_ADD,
                              "INSERT INTO peck_context (seq, shown) "
                              "SELECT ?1, number FROM shown_context WHERE id = ?2");
    sqlite3_bind_int64(statement, 1, seq);
    store_bind_id(statement, 2, &context->id);
    return store_run(&store->connection, statement);
}

/* ---- for questions ---- */

size_t store_view_contexts(struct store_reader *reader, const struct id *duckling,
                           struct arena *arena, struct stored_context *contexts, size_t max)
{
    sqlite3_stmt *statement =
        store_prepare(&reader->connection, STATEMENT_VIEW_CONTEXTS,
                      "SELECT c.wire, c.revoked_ms FROM context c JOIN identity i ON "
                      "i.number = c.duckling WHERE i.id = ?1 ORDER BY c.number LIMIT ?2");
    size_t count = 0;

    store_bind_id(statement, 1, duckling);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)max);
    while (store_next_row(&reader->connection, statement)) {
        struct bytes wire = arena_copy(arena, store_column_bytes(statement, 0));

        if (count < max && context_read(wire, arena, &contexts[count].context) == CONTEXT_OK)
            contexts[count++].revoked_ms = store_column_number(statement, 1);
    }
    return count;
}
