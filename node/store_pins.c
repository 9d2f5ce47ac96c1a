/* Which node answered first at an address that was joined without an id. */
#include "core/gossip.h"
#include "store_internal.h"

static int drop(struct store *store, struct bytes address)
{
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_PIN_DROP, "DELETE FROM pin WHERE address = ?1");

    store_bind_bytes(statement, 1, address);
    return store_run(&store->connection, statement);
}

static int drop_oldest(struct store *store)
{
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_PINS_END,
                      "DELETE FROM pin WHERE number <= (SELECT max(number) FROM pin) - ?1");

    sqlite3_bind_int64(statement, 1, GOSSIP_SEEDS_MAX);
    return store_run(&store->connection, statement);
}

int store_keep_pin(struct store *store, const struct effect *effect)
{
    sqlite3_stmt *statement;
    int fault = drop(store, effect->pin.address);

    if (fault || id_is_zero(&effect->pin.node))
        return fault;
    statement = store_prepare(&store->connection, STATEMENT_PIN_ADD,
                              "INSERT INTO pin (address, node) VALUES (?1, ?2)");
    store_bind_bytes(statement, 1, effect->pin.address);
    store_bind_id(statement, 2, &effect->pin.node);
    fault = store_run(&store->connection, statement);
    return fault ? fault : drop_oldest(store);
}

int store_restore_pins(struct store *store, const struct restoring *restoring)
{
    struct store_connection *connection = &store->connection;
    sqlite3_stmt *statement = NULL;
    int result =
        sqlite3_prepare_v2(connection->database, "SELECT address, node FROM pin ORDER BY number",
                           -1, &statement, NULL);

    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "pins");
    connection->fault = 0;
    while (store_next_row(connection, statement)) {
        struct event event = {.kind = EVENT_RESTORED_PIN, .at = *restoring->at};

        event.pin.address = store_column_bytes(statement, 0);
        if (store_column_id(statement, 1, &event.pin.node))
            restoring->give(restoring->context, &event);
    }
    sqlite3_finalize(statement);
    return connection->fault;
}
