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

static void bind_mark(sqlite3_stmt *statement, const struct record *record)
{
    store_bind_id(statement, 1, &record->owner);
    store_bind_number(statement, 2, record->kind);
    store_bind_bytes(statement, 3, record->key);
}

static int keep_mark(struct store *store, const struct record *record, uint64_t until_ms)
{
    sqlite3_stmt *statement = store_prepare(
        &store->directory, STATEMENT_MARK_KEEP,
        "INSERT INTO mark (owner, kind, key, version_ms, version_count, until_ms) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (owner, kind, key) DO UPDATE SET "
        "version_ms = ?4, version_count = ?5, until_ms = ?6 "
        "WHERE (version_ms, version_count) <= (?4, ?5)");

    bind_mark(statement, record);
    store_bind_number(statement, 4, record->version.ms);
    store_bind_number(statement, 5, record->version.count);
    store_bind_number(statement, 6, until_ms);
    if (store_run(&store->directory, statement))
        return store->directory.fault;
    return drop_ended(store, STATEMENT_MARKS_END, "DELETE FROM mark WHERE until_ms <= ?1");
}

int store_keep_mark(struct store *store, const struct effect *effect)
{
    const struct record *record = &effect->record.item.record;
    sqlite3_stmt *statement;

    if (id_is_zero(&record->owner))
        return 0;
    if (effect->record.mark_until_ms > 0)
        return keep_mark(store, record, effect->record.mark_until_ms);
    statement = store_prepare(&store->directory, STATEMENT_MARK_DROP,
                              "DELETE FROM mark WHERE owner = ?1 AND kind = ?2 AND key = ?3");
    bind_mark(statement, record);
    return store_run(&store->directory, statement);
}

int store_restore_marks(struct store *store, const struct restoring *restoring)
{
    struct store_connection *connection = &store->directory;
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(connection->database,
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

    store_bind_id(statement, 1, owner);
    store_bind_number(statement, 2, until_ms);
    if (store_run(&store->directory, statement))
        return store->directory.fault;
    return drop_ended(store, STATEMENT_QUARANTINES_END,
                      "DELETE FROM quarantine WHERE until_ms <= ?1");
}

static int write_proof(struct store *store, const struct effect *effect,
                       const struct record *record)
{
    sqlite3_stmt *statement = store_prepare(&store->directory, STATEMENT_PROOF_KEEP,
                                            "INSERT INTO proof (owner, kind, key, first, second) "
                                            "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING");
    int fault;

    store_bind_id(statement, 1, &effect->proof.owner);
    store_bind_number(statement, 2, record->kind);
    store_bind_bytes(statement, 3, record->key);
    store_bind_bytes(statement, 4, effect->proof.wires[0]);
    store_bind_bytes(statement, 5, effect->proof.wires[1]);
    fault = store_run(&store->directory, statement);
    if (fault)
        return fault;
    statement = store_prepare(&store->directory, STATEMENT_PROOFS_END,
                              "DELETE FROM proof WHERE number <= "
                              "(SELECT max(number) FROM proof) - ?1");
    sqlite3_bind_int64(statement, 1, STORE_PROOFS_MAX);
    return store_run(&store->directory, statement);
}

/* One for each record is proof enough. */
int store_keep_proof(struct store *store, const struct effect *effect)
{
    struct envelope envelope;
    struct record record;
    int fault = 0;

    arena_reset(&store->arena);
    if (envelope_parse(effect->proof.wires[0], ENVELOPE_RECORD, &store->arena, &envelope) ==
            ENVELOPE_TAKEN &&
        record_parse(envelope.body, &store->arena, &record) == RECORD_OK)
        fault = write_proof(store, effect, &record);
    else
        log_write(LOG_WARNING, "store", "a proof whose records do not parse is left out");
    if (!fault && effect->proof.quarantine_until_ms > 0)
        fault = keep_quarantine(store, &effect->proof.owner, effect->proof.quarantine_until_ms);
    return fault;
}
