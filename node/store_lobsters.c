/* Lobster binds of ducklings that live here: a row each, changed in place. */
#include "store_internal.h"

int store_keep_lobster(struct store *store, const struct effect *effect)
{
    const struct lobster *lobster = effect->lobster.lobster;
    struct bytes none = bytes_of(NULL, 0);
    int64_t here = store_number_identity(store, &lobster->here, none);
    int64_t there = here ? store_number_identity(store, &lobster->there, none) : 0;
    sqlite3_stmt *statement;

    if (!there)
        return store->connection.fault;
    statement = store_prepare(
        &store->connection, STATEMENT_LOBSTER_KEEP,
        "INSERT OR REPLACE INTO lobster (here, there, began_here, state, session, nonce, "
        "other_nonce, commitment, certificate_here, certificate_there, lease_ms, id, until_ms, "
        "here_until_ms, there_until_ms) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)");
    sqlite3_bind_int64(statement, 1, here);
    sqlite3_bind_int64(statement, 2, there);
    sqlite3_bind_int(statement, 3, lobster->began_here);
    sqlite3_bind_int(statement, 4, (int)lobster->state);
    store_bind_bytes(statement, 5, bytes_of(lobster->session, LOBSTER_SESSION_SIZE));
    store_bind_bytes(statement, 6, bytes_of(lobster->nonce, LOBSTER_NONCE_SIZE));
    store_bind_bytes(statement, 7, bytes_of(lobster->other_nonce, LOBSTER_NONCE_SIZE));
    store_bind_bytes(statement, 8, bytes_of(lobster->commitment.bytes, HASH_SIZE));
    store_bind_id(statement, 9, &lobster->certificate_here);
    store_bind_id(statement, 10, &lobster->certificate_there);
    store_bind_number(statement, 11, lobster->lease_ms);
    store_bind_id(statement, 12, &lobster->id);
    store_bind_number(statement, 13, lobster->until_ms);
    store_bind_number(statement, 14, lobster->here_until_ms);
    store_bind_number(statement, 15, lobster->there_until_ms);
    return store_run(&store->connection, statement);
}

int store_drop_lobster(struct store *store, const struct effect *effect)
{
    const struct lobster *lobster = effect->lobster.lobster;
    sqlite3_stmt *statement = store_prepare(
        &store->connection, STATEMENT_LOBSTER_DROP,
        "DELETE FROM lobster WHERE here = (SELECT number FROM identity WHERE id = ?1) "
        "AND there = (SELECT number FROM identity WHERE id = ?2)");

    store_bind_id(statement, 1, &lobster->here);
    store_bind_id(statement, 2, &lobster->there);
    return store_run(&store->connection, statement);
}

static void copy_sized(sqlite3_stmt *statement, int column, uint8_t *copy, size_t size)
{
    struct bytes stored = store_column_bytes(statement, column);

    if (stored.size == size)
        memcpy(copy, stored.data, size);
}

int store_restore_lobsters(struct store *store, const struct restoring *restoring)
{
    struct store_connection *connection = &store->connection;
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(
        connection->database,
        "SELECT h.id, t.id, l.began_here, l.state, l.session, l.nonce, l.other_nonce, "
        "l.commitment, "
        "l.certificate_here, l.certificate_there, l.lease_ms, l.id, l.until_ms, l.here_until_ms, "
        "l.there_until_ms FROM lobster l JOIN identity h ON h.number = l.here "
        "JOIN identity t ON t.number = l.there ORDER BY l.here, l.there",
        -1, &statement, NULL);

    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "lobster");
    connection->fault = 0;
    while (store_next_row(connection, statement)) {
        struct event event = {.kind = EVENT_RESTORED_LOBSTER, .at = *restoring->at};
        struct lobster *lobster = &event.lobster;

        *lobster = (struct lobster){0};
        store_column_id(statement, 0, &lobster->here);
        store_column_id(statement, 1, &lobster->there);
        lobster->began_here = sqlite3_column_int(statement, 2) != 0;
        lobster->state = (enum lobster_state)sqlite3_column_int(statement, 3);
        copy_sized(statement, 4, lobster->session, LOBSTER_SESSION_SIZE);
        copy_sized(statement, 5, lobster->nonce, LOBSTER_NONCE_SIZE);
        copy_sized(statement, 6, lobster->other_nonce, LOBSTER_NONCE_SIZE);
        copy_sized(statement, 7, lobster->commitment.bytes, HASH_SIZE);
        store_column_id(statement, 8, &lobster->certificate_here);
        store_column_id(statement, 9, &lobster->certificate_there);
        lobster->lease_ms = store_column_number(statement, 10);
        store_column_id(statement, 11, &lobster->id);
        lobster->until_ms = store_column_number(statement, 12);
        lobster->here_until_ms = store_column_number(statement, 13);
        lobster->there_until_ms = store_column_number(statement, 14);
        restoring->give(restoring->context, &event);
    }
    sqlite3_finalize(statement);
    return connection->fault;
}
