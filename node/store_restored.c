/* What a backup brought back: see store.h. One transaction at the first opening, so that it happens once,
 * whenever the process ends. */
#include "log.h"
#include "store_internal.h"

#include <inttypes.h>
#include <stdio.h>

/* Pecks that are open, as store_restore_pecks reads them. */
#define IS_OPEN "state < 6 AND NOT (state = 5 AND kind = 2)"

static const char *const sql[] = {
    /* Whoever still waits for one of these says it again, and then it is taken anew. Who does not has its
     * answer, and it must not be handed out a second time. */
    "CREATE TEMP TABLE gone AS SELECT seq FROM peck WHERE box = 1 AND " IS_OPEN,
    "DELETE FROM taken_receipt WHERE seq IN (SELECT seq FROM gone)",
    "DELETE FROM partial WHERE seq IN (SELECT seq FROM gone)",
    "DELETE FROM peck WHERE seq IN (SELECT seq FROM gone)", "DROP TABLE gone",
    /* A row of wires stays as long as one of them is of something. */
    "DELETE FROM receipt_wires WHERE number NOT IN "
    "(SELECT wires FROM taken_receipt UNION SELECT wires FROM done_receipt)",
    "DELETE FROM peck_wire AS w WHERE NOT EXISTS "
    "(SELECT 1 FROM peck WHERE seq >= w.seq AND seq < w.seq + max(w.count, 1))",
    /* What was on its way is taken back: its target's node then says what it answered meanwhile, or that it never
     * took it. One that was taken there is known there for good. Between two ducklings of this node nobody
     * knows any more. */
    "UPDATE peck SET state = 2, attempt = max(attempt, 1), cancelling = 1 WHERE box = 2 AND state "
    "< 3",
    "UPDATE peck SET cancelling = 1 WHERE box = 2 AND " IS_OPEN
    " AND other IN (SELECT identity FROM hosted)",
    "UPDATE peck SET filed = (SELECT generation + 1 FROM node) WHERE filed IS NULL",
    "DELETE FROM pre_key", "DELETE FROM perched", "DELETE FROM deposit",
    "DELETE FROM lobster", /* it opens at the other end within a lease */
};

static int set_row(struct store *store, const struct store_settings *settings)
{
    uint64_t numbers = settings->restored_ms * RESTORED_PER_MS;
    char text[512];

    snprintf(text, sizeof text,
             "UPDATE node SET floor_count = CASE WHEN floor_ms < %" PRIu64
             " THEN 0 ELSE floor_count END, floor_ms = max(floor_ms, %" PRIu64
             "), filed_through = max(filed_through, %" PRIu64
             ", (SELECT coalesce(max(seq), 0) FROM peck)), generation = generation + 1, "
             "restored_ms = %" PRIu64 ", catching_up = %d",
             settings->restored_ms, settings->restored_ms, numbers, settings->restored_ms,
             !settings->alone);
    return store_execute(&store->connection, text);
}

static int be_restored(struct store *store, const struct store_settings *settings)
{
    struct store_connection *connection = &store->connection;
    int fault = store_execute(connection, "BEGIN IMMEDIATE");

    for (size_t i = 0; i < sizeof sql / sizeof *sql && !fault; i++)
        fault = store_execute(connection, sql[i]);
    if (!fault)
        fault = set_row(store, settings);
    if (!fault)
        fault = store_audit_note_restore(store, settings->restored_ms);
    if (!fault)
        fault = store_execute(connection, "COMMIT");
    if (fault && !sqlite3_get_autocommit(connection->database))
        sqlite3_exec(connection->database, "ROLLBACK", NULL, NULL, NULL);
    if (!fault)
        log_write(
            LOG_WARNING, "store",
            "this node was restored from a backup: what it sent since may be on its way, and is "
            "taken back");
    return fault;
}

static int read_row(struct store *store, int64_t *restored_ms)
{
    int64_t catching_up = 0;
    int fault = store_read_number(&store->connection, "SELECT restored_ms FROM node", restored_ms);

    if (!fault)
        fault = store_read_number(&store->connection, "SELECT filed_through FROM node",
                                  &store->filed_through);
    if (!fault)
        fault = store_read_number(&store->connection, "SELECT generation FROM node",
                                  &store->generation);
    if (!fault)
        fault = store_read_number(&store->connection, "SELECT catching_up FROM node", &catching_up);
    store->catching_up = catching_up != 0;
    store->restored_ms = (uint64_t)*restored_ms;
    return fault;
}

int store_heed_restore(struct store *store, const struct store_settings *settings)
{
    int64_t restored_ms = 0;
    int fault = read_row(store, &restored_ms);

    if (fault || settings->restored_ms == 0 || (uint64_t)restored_ms == settings->restored_ms)
        return fault;
    fault = be_restored(store, settings);
    return fault ? fault : read_row(store, &restored_ms);
}

bool store_is_catching_up(const struct store *store)
{
    return store->catching_up;
}

uint64_t store_restored_ms(const struct store *store)
{
    return store->restored_ms;
}

uint64_t store_view_restored_ms(struct store_reader *reader)
{
    int64_t restored_ms = 0;
    int fault =
        store_read_number(&reader->connection, "SELECT restored_ms FROM node", &restored_ms);

    return fault ? 0 : (uint64_t)restored_ms;
}

int store_keep_caught_up(struct store *store, const struct effect *effect)
{
    (void)effect;
    store->catching_up = false;
    return store_run(&store->connection, store_prepare(&store->connection, STATEMENT_CAUGHT_UP,
                                                       "UPDATE node SET catching_up = 0"));
}

int store_keep_outgrown(struct store *store, const struct effect *effect)
{
    sqlite3_stmt *statement = store_prepare(&store->connection, STATEMENT_HOSTED_OUTGROWN,
                                            "UPDATE hosted SET outgrown = 1 WHERE identity = "
                                            "(SELECT number FROM identity WHERE id = ?1)");

    store_bind_id(statement, 1, &effect->outgrown.duckling);
    return store_run(&store->connection, statement);
}
