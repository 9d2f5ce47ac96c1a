/* Blocks of grants that were used or revoked: a row each, as lib/core/grants.h has it. */
#include "store_internal.h"

#define COLUMNS "id, first, root, issuer, holder, uses, used, revoked_ms, not_after_ms"

static int keep_row(struct store *store, const struct grant_row *row)
{
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_GRANT_KEEP,
                      "INSERT INTO grant_block (" COLUMNS ") "
                      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
                      "ON CONFLICT (id) DO UPDATE SET used = ?7, revoked_ms = ?8");

    store_bind_id(statement, 1, &row->block);
    store_bind_id(statement, 2, &row->first);
    store_bind_id(statement, 3, &row->root);
    store_bind_id(statement, 4, &row->issuer);
    store_bind_id(statement, 5, &row->holder);
    store_bind_number(statement, 6, row->uses);
    store_bind_number(statement, 7, row->used);
    store_bind_number(statement, 8, row->revoked_ms);
    store_bind_number(statement, 9, row->not_after_ms);
    return store_run(&store->connection, statement);
}

int store_keep_grant(struct store *store, const struct effect *effect)
{
    const struct grant_change *change = effect->grant;
    int fault = 0;

    for (size_t i = 0; i < change->row_count && !fault; i++)
        fault = keep_row(store, &change->rows[i]);
    return fault;
}

int store_drop_grant(struct store *store, const struct effect *effect)
{
    sqlite3_stmt *statement = store_prepare(&store->connection, STATEMENT_GRANT_DROP,
                                            "DELETE FROM grant_block WHERE id = ?1");

    store_bind_id(statement, 1, &effect->dropped_grant);
    return store_run(&store->connection, statement);
}

static bool read_row(sqlite3_stmt *statement, struct grant_row *row)
{
    *row = (struct grant_row){.uses = store_column_number(statement, 5),
                              .used = store_column_number(statement, 6),
                              .revoked_ms = store_column_number(statement, 7),
                              .not_after_ms = store_column_number(statement, 8)};
    return store_column_id(statement, 0, &row->block) &&
           store_column_id(statement, 1, &row->first) &&
           store_column_id(statement, 2, &row->root) &&
           store_column_id(statement, 3, &row->issuer) &&
           store_column_id(statement, 4, &row->holder);
}

int store_restore_grants(struct store *store, const struct restoring *restoring)
{
    struct store_connection *connection = &store->connection;
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(connection->database, "SELECT " COLUMNS " FROM grant_block", -1,
                                    &statement, NULL);

    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "grants");
    connection->fault = 0;
    while (store_next_row(connection, statement)) {
        struct event event = {.kind = EVENT_RESTORED_GRANT, .at = *restoring->at};

        if (read_row(statement, &event.grant))
            restoring->give(restoring->context, &event);
    }
    sqlite3_finalize(statement);
    return connection->fault;
}

size_t store_view_grants(struct store_reader *reader, const struct id *root,
                         const struct grant_row *after, struct grant_row *rows, size_t max)
{
    sqlite3_stmt *statement =
        store_prepare(&reader->connection, STATEMENT_VIEW_GRANTS,
                      "SELECT " COLUMNS " FROM grant_block WHERE (?1 IS NULL OR root = ?1) "
                      "AND (not_after_ms, id) > (?2, ?3) ORDER BY not_after_ms, id LIMIT ?4");
    size_t count = 0;

    if (id_is_zero(root))
        sqlite3_bind_null(statement, 1);
    else
        store_bind_id(statement, 1, root);
    store_bind_number(statement, 2, after->not_after_ms);
    store_bind_id(statement, 3, &after->block);
    sqlite3_bind_int64(statement, 4, (sqlite3_int64)max);
    while (store_next_row(&reader->connection, statement))
        if (count < max && read_row(statement, &rows[count]))
            count++;
    return count;
}
