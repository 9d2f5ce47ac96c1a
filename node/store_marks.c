/* What outlives a record: how high its version had come, and proof that its owner signed two of
 * one version. */
#include "clock.h"
#include "log.h"
#include "store_internal.h"

/* ---- marks ---- */

/* Whose time is over goes when the next one comes. */
static int drop_ended(struct store *store, enum statement which, const char *sql)
{
    sqlite3_stmt *statement = store_prepare(&store->directory, which, sql);

    store_bind_number(statement, 1, clock_wall_ms());
    return store_run(&store->directory, statement);
}

int store_keep_mark(struct store *store, int64_t number, uint64_t until_ms)
{
    sqlite3_stmt *statement = store_prepare(
        &store->directory, STATEMENT_MARK_KEEP,
        "INSERT INTO mark (owner, kind, key, version_ms, version_count, until_ms) "
        "SELECT owner, kind, key, version_ms, version_count, ?2 FROM record WHERE number = ?1 "
        "ON CONFLICT (owner, kind, key) DO UPDATE SET version_ms = excluded.version_ms, "
        "version_count = excluded.version_count, until_ms = excluded.until_ms "
        "WHERE (version_ms, version_count) < (excluded.version_ms, excluded.version_count)");
    int fault;

    if (until_ms == 0)
        return 0;
    sqlite3_bind_int64(statement, 1, number);
    store_bind_number(statement, 2, until_ms);
    fault = store_run(&store->directory, statement);
    return fault ? fault
                 : drop_ended(store, STATEMENT_MARKS_END, "DELETE FROM mark WHERE until_ms <= ?1");
}

int store_restore_marks(struct store *store, const struct restoring *restoring)
{
    struct store_connection *connection = &store->directory;
    sqlite3_stmt *statement = NULL;
    int result;

    if (!connection->database)
        return 0; /* no room to make it anew */
    result = sqlite3_prepare_v2(connection->database,
                                "SELECT owner, kind, key, version_ms, version_count, until_ms "
                                "FROM mark WHERE until_ms > ?1",
                                -1, &statement, NULL);
    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "marks");
    store_bind_number(statement, 1, restoring->at->wall_ms);
    connection->fault = 0;
    while (store_next_row(connection, statement)) {
        struct event event = {.kind = EVENT_RESTORED_MARK, .at = *restoring->at};

        if (!store_column_id(statement, 0, &event.mark.owner))
            continue;
        event.mark.kind = (uint32_t)store_column_number(statement, 1);
        event.mark.key = store_column_bytes(statement, 2);
        event.mark.version.ms = store_column_number(statement, 3);
        event.mark.version.count = (uint32_t)store_column_number(statement, 4);
        event.mark.until_ms = store_column_number(statement, 5);
        restoring->give(restoring->context, &event);
    }
    sqlite3_finalize(statement);
    return connection->fault;
}

/* ---- proofs ---- */

static int keep_quarantine(struct store *store, const struct id *owner, uint64_t until_ms)
{
    sqlite3_stmt *statement =
        store_prepare(&store->directory, STATEMENT_QUARANTINE_KEEP,
                      "INSERT INTO quarantine (owner, until_ms) VALUES (?1, ?2) "
                      "ON CONFLICT (owner) DO UPDATE SET until_ms = max(until_ms, ?2)");
    int fault;

    store_bind_id(statement, 1, owner);
    store_bind_number(statement, 2, until_ms);
    fault = store_run(&store->directory, statement);
    return fault ? fault
                 : drop_ended(store, STATEMENT_QUARANTINES_END,
                              "DELETE FROM quarantine WHERE until_ms <= ?1");
}

/* The newest of an owner counts; the oldest of all go. */
static int write_proof(struct store *store, const struct id *owner, struct bytes first,
                       struct bytes second)
{
    sqlite3_stmt *statement =
        store_prepare(&store->directory, STATEMENT_PROOF_KEEP,
                      "INSERT OR REPLACE INTO proof (owner, first, second) VALUES (?1, ?2, ?3)");
    int fault;

    store_bind_id(statement, 1, owner);
    store_bind_bytes(statement, 2, first);
    store_bind_bytes(statement, 3, second);
    fault = store_run(&store->directory, statement);
    if (fault)
        return fault;
    statement = store_prepare(&store->directory, STATEMENT_PROOFS_END,
                              "DELETE FROM proof WHERE number <= "
                              "(SELECT max(number) FROM proof) - ?1");
    sqlite3_bind_int64(statement, 1, PROOFS_MAX);
    return store_run(&store->directory, statement);
}

int store_keep_proof(struct store *store, const struct effect *effect)
{
    struct bytes second = effect->proof.wires[1];
    int fault = 0;

    arena_reset(&store->arena);
    if (second.size == 0)
        fault = store_find_wire(store, &effect->proof.other, &store->arena, &second);
    if (fault)
        return fault;
    if (second.size > 0)
        fault = write_proof(store, &effect->proof.owner, effect->proof.wires[0], second);
    else
        log_write(LOG_WARNING, "store", "of a proof one record is not held: it is not kept");
    if (!fault && effect->proof.quarantine_until_ms > 0)
        fault = keep_quarantine(store, &effect->proof.owner, effect->proof.quarantine_until_ms);
    return fault;
}

static bool parse_proof(struct bytes wire, struct arena *arena, struct record *record)
{
    struct envelope envelope;

    return envelope_parse(wire, ENVELOPE_RECORD, arena, &envelope) == ENVELOPE_TAKEN &&
           record_parse(envelope.body, arena, record) == RECORD_OK;
}

static void restore_proof(struct store *store, sqlite3_stmt *statement,
                          const struct restoring *restoring)
{
    struct event event = {.kind = EVENT_RESTORED_PROOF, .at = *restoring->at};
    struct record first, second;
    bool is_first_lesser;

    arena_reset(&store->arena);
    if (!store_column_id(statement, 0, &event.proof.owner) ||
        !parse_proof(store_column_bytes(statement, 1), &store->arena, &first) ||
        !parse_proof(store_column_bytes(statement, 2), &store->arena, &second)) {
        log_write(LOG_WARNING, "store", "a stored proof does not parse: left out");
        return;
    }
    is_first_lesser = memcmp(first.hash.bytes, second.hash.bytes, HASH_SIZE) < 0;
    event.proof.kind = first.kind;
    event.proof.version = first.version;
    event.proof.lesser = is_first_lesser ? first.hash : second.hash;
    event.proof.greater = is_first_lesser ? second.hash : first.hash;
    event.proof.until_ms = store_column_number(statement, 3);
    restoring->give(restoring->context, &event);
}

int store_restore_proofs(struct store *store, const struct restoring *restoring)
{
    struct store_connection *connection = &store->directory;
    sqlite3_stmt *statement = NULL;
    int result;

    if (!connection->database)
        return 0; /* no room to make it anew */
    result = sqlite3_prepare_v2(connection->database,
                                "SELECT p.owner, p.first, p.second, coalesce(q.until_ms, 0) "
                                "FROM proof p LEFT JOIN quarantine q ON q.owner = p.owner "
                                "ORDER BY p.number",
                                -1, &statement, NULL);
    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "proofs");
    connection->fault = 0;
    while (store_next_row(connection, statement))
        restore_proof(store, statement, restoring);
    sqlite3_finalize(statement);
    return connection->fault;
}
