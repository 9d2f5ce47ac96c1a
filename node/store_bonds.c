/* Bonds, their terms, and what is used of them: counted in place, a row for a bond, one for a thread.
 * What is used survives when the terms change. */
#include "store_internal.h"

/* ---- keeping ---- */

static void bind_terms(sqlite3_stmt *statement, const struct bond *bond, struct arena *arena)
{
    const struct bond_terms *terms = &bond->terms;

    store_bind_number(statement, 7, terms->per_minute);
    store_bind_number(statement, 8, terms->per_day);
    store_bind_number(statement, 9, terms->budget);
    store_bind_number(statement, 10, terms->rounds);
    store_bind_number(statement, 11, terms->cool_down_ms);
    store_bind_number(statement, 12, terms->muted_until_ms);
    store_bind_bytes(statement, 13,
                     store_join_lines(terms->stop_words, terms->stop_word_count, arena));
    store_bind_number(statement, 14, bond->terms_ms);
}

int store_keep_bond(struct store *store, const struct effect *effect)
{
    const struct bond *bond = effect->bond;
    struct bytes none = bytes_of(NULL, 0);
    int64_t requester = store_number_identity(store, &bond->requester, none);
    int64_t approver = requester ? store_number_identity(store, &bond->approver, none) : 0;
    sqlite3_stmt *statement;

    if (!approver)
        return store->connection.fault;
    statement = store_prepare(
        &store->connection, STATEMENT_BOND_ADD,
        "INSERT INTO bond (id, requester, approver, scopes, made_ms, not_after_ms, per_minute, "
        "per_day, budget, rounds, cool_down_ms, muted_until_ms, stop_words, terms_ms) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) "
        "ON CONFLICT (id) DO UPDATE SET requester = ?2, approver = ?3, scopes = ?4, made_ms = ?5, "
        "not_after_ms = ?6, per_minute = ?7, per_day = ?8, budget = ?9, rounds = ?10, "
        "cool_down_ms = ?11, muted_until_ms = ?12, stop_words = ?13, terms_ms = ?14");
    arena_reset(&store->arena);
    store_bind_id(statement, 1, &bond->id);
    sqlite3_bind_int64(statement, 2, requester);
    sqlite3_bind_int64(statement, 3, approver);
    store_bind_bytes(statement, 4,
                     store_join_lines(bond->scopes, bond->scope_count, &store->arena));
    store_bind_number(statement, 5, bond->made_ms);
    store_bind_number(statement, 6, bond->not_after_ms);
    bind_terms(statement, bond, &store->arena);
    return store_run(&store->connection, statement);
}

int store_drop_bond(struct store *store, const struct effect *effect)
{
    sqlite3_stmt *statement = store_prepare(&store->connection, STATEMENT_BOND_THREADS_DROP,
                                            "DELETE FROM bond_thread WHERE bond = ?1");
    int fault;

    store_bind_id(statement, 1, &effect->bond->id);
    fault = store_run(&store->connection, statement);
    if (fault)
        return fault;
    statement =
        store_prepare(&store->connection, STATEMENT_BOND_DROP, "DELETE FROM bond WHERE id = ?1");
    store_bind_id(statement, 1, &effect->bond->id);
    return store_run(&store->connection, statement);
}

static int keep_thread(struct store *store, const struct bond_count *count)
{
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_BOND_THREAD,
                      "INSERT INTO bond_thread (bond, place, name, rounds, used_ms) "
                      "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (bond, place) DO UPDATE "
                      "SET name = ?3, rounds = ?4, used_ms = ?5");

    store_bind_id(statement, 1, &count->bond);
    store_bind_number(statement, 2, count->place);
    store_bind_bytes(statement, 3, bytes_of(count->thread.name, BOND_THREAD_NAME_SIZE));
    store_bind_number(statement, 4, count->thread.rounds);
    store_bind_number(statement, 5, count->thread.used_ms);
    return store_run(&store->connection, statement);
}

int store_keep_count(struct store *store, const struct effect *effect)
{
    const struct bond_count *count = &effect->count;
    sqlite3_stmt *statement;

    if (count->is_thread)
        return keep_thread(store, count);
    statement =
        store_prepare(&store->connection, STATEMENT_BOND_USE,
                      "UPDATE bond SET day = ?2, used_today = ?3, spent = ?4 WHERE id = ?1");
    store_bind_id(statement, 1, &count->bond);
    store_bind_number(statement, 2, count->use.day);
    store_bind_number(statement, 3, count->use.used_today);
    store_bind_number(statement, 4, count->use.spent);
    return store_run(&store->connection, statement);
}

/* ---- reading ---- */

static void read_terms(sqlite3_stmt *statement, struct bond_terms *terms)
{
    terms->per_minute = (uint32_t)store_column_number(statement, 6);
    terms->per_day = (uint32_t)store_column_number(statement, 7);
    terms->budget = store_column_number(statement, 8);
    terms->rounds = (uint32_t)store_column_number(statement, 9);
    terms->cool_down_ms = store_column_number(statement, 10);
    terms->muted_until_ms = store_column_number(statement, 11);
}

void store_read_bond(sqlite3_stmt *statement, struct bond *bond)
{
    memset(bond, 0, sizeof *bond);
    store_column_id(statement, 0, &bond->id);
    store_column_id(statement, 1, &bond->requester);
    store_column_id(statement, 2, &bond->approver);
    bond->scope_count =
        store_split_lines(store_column_bytes(statement, 3), bond->scopes, PECK_SCOPES_MAX);
    bond->made_ms = store_column_number(statement, 4);
    bond->not_after_ms = store_column_number(statement, 5);
    read_terms(statement, &bond->terms);
    bond->terms.stop_word_count = store_split_lines(store_column_bytes(statement, 12),
                                                    bond->terms.stop_words, BOND_STOP_WORDS_MAX);
    bond->terms_ms = store_column_number(statement, 13);
    bond->use.day = store_column_number(statement, 14);
    bond->use.used_today = store_column_number(statement, 15);
    bond->use.spent = store_column_number(statement, 16);
}

/* ---- restoring ---- */

int store_restore_bonds(struct store *store, const struct restoring *restoring)
{
    struct store_connection *connection = &store->connection;
    sqlite3_stmt *statement = NULL;
    int result =
        sqlite3_prepare_v2(connection->database,
                           "SELECT " STORE_BOND_COLUMNS " FROM bond b "
                           "JOIN identity r ON r.number = b.requester "
                           "JOIN identity a ON a.number = b.approver ORDER BY b.made_ms, b.id",
                           -1, &statement, NULL);

    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "bonds");
    connection->fault = 0;
    while (store_next_row(connection, statement)) {
        struct event event = {.kind = EVENT_RESTORED_BOND, .at = *restoring->at};

        store_read_bond(statement, &event.bond);
        restoring->give(restoring->context, &event);
    }
    sqlite3_finalize(statement);
    return connection->fault;
}

int store_restore_threads(struct store *store, const struct restoring *restoring)
{
    struct store_connection *connection = &store->connection;
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(connection->database,
                                    "SELECT bond, place, name, rounds, used_ms FROM bond_thread",
                                    -1, &statement, NULL);

    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "threads");
    connection->fault = 0;
    while (store_next_row(connection, statement)) {
        struct event event = {.kind = EVENT_RESTORED_THREAD, .at = *restoring->at};
        struct bytes name = store_column_bytes(statement, 2);

        if (!store_column_id(statement, 0, &event.thread.bond) ||
            name.size != BOND_THREAD_NAME_SIZE)
            continue;
        event.thread.is_thread = true;
        event.thread.place = (size_t)store_column_number(statement, 1);
        memcpy(event.thread.thread.name, name.data, name.size);
        event.thread.thread.rounds = (uint32_t)store_column_number(statement, 3);
        event.thread.thread.used_ms = store_column_number(statement, 4);
        restoring->give(restoring->context, &event);
    }
    sqlite3_finalize(statement);
    return connection->fault;
}
