/* Perches: our pre-keys, what is held here for others, and where our pecks are held. */
#include "store_internal.h"

#include <sodium.h>

/* ---- pre-keys ---- */

int store_keep_pre_key(struct store *store, const struct effect *effect)
{
    uint8_t sealed[SEALED_SEED_SIZE];
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_PRE_KEY_ADD,
                      "INSERT INTO pre_key (public, secret, made_ms) VALUES (?1, ?2, ?3) "
                      "ON CONFLICT DO NOTHING");

    store_seal_pre_key(store, effect->pre_key.public, effect->pre_key.secret, sealed);
    store_bind_bytes(statement, 1, bytes_of(effect->pre_key.public, NOISE_KEY_SIZE));
    store_bind_bytes(statement, 2, bytes_of(sealed, sizeof sealed));
    store_bind_number(statement, 3, effect->pre_key.made_ms);
    return store_run(&store->connection, statement);
}

/* Over its bytes on the page first: a row that is only deleted stays in the file until another comes. */
int store_drop_pre_key(struct store *store, const struct effect *effect)
{
    struct bytes public = bytes_of(effect->pre_key.public, NOISE_KEY_SIZE);
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_PRE_KEY_WIPE,
                      "UPDATE pre_key SET secret = zeroblob(length(secret)) WHERE public = ?1");
    int fault;

    store_bind_bytes(statement, 1, public);
    fault = store_run(&store->connection, statement);
    if (fault)
        return fault;
    statement = store_prepare(&store->connection, STATEMENT_PRE_KEY_DROP,
                              "DELETE FROM pre_key WHERE public = ?1");
    store_bind_bytes(statement, 1, public);
    return store_run(&store->connection, statement);
}

static void give_pre_key(struct store *store, sqlite3_stmt *statement,
                         const struct restoring *restoring)
{
    struct event event = {.kind = EVENT_RESTORED_PRE_KEY, .at = *restoring->at};
    struct bytes public = store_column_bytes(statement, 0);

    event.pre_key.made_ms = store_column_number(statement, 2);
    if (public.size == NOISE_KEY_SIZE &&
        store_unseal_pre_key(store, public.data, store_column_bytes(statement, 1),
                             event.pre_key.secret))
        restoring->give(restoring->context, &event);
    sodium_memzero(&event, sizeof event);
}

/* ---- what is held for others ---- */

int store_keep_perched(struct store *store, const struct effect *effect)
{
    const struct perch_entry *entry = &effect->perched.entry;
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_PERCHED_ADD,
                      "INSERT INTO perched (number, name, owner, bringer, not_after_ms, sealed) "
                      "VALUES (?1, ?2, ?3, ?4, ?5, ?6)");

    store_bind_number(statement, 1, entry->number);
    store_bind_id(statement, 2, &entry->name);
    store_bind_id(statement, 3, &entry->owner);
    store_bind_id(statement, 4, &entry->from);
    store_bind_number(statement, 5, entry->not_after_ms);
    store_bind_bytes(statement, 6, effect->perched.sealed);
    return store_run(&store->connection, statement);
}

int store_drop_perched(struct store *store, const struct effect *effect)
{
    sqlite3_stmt *statement = store_prepare(&store->connection, STATEMENT_PERCHED_DROP,
                                            "DELETE FROM perched WHERE number = ?1");

    store_bind_number(statement, 1, effect->perched.entry.number);
    return store_run(&store->connection, statement);
}

int store_read_perched(struct store *store, uint64_t number, struct arena *arena,
                       struct bytes *sealed)
{
    sqlite3_stmt *statement = store_prepare(&store->connection, STATEMENT_PERCHED_READ,
                                            "SELECT sealed FROM perched WHERE number = ?1");

    *sealed = bytes_of(NULL, 0);
    store_bind_number(statement, 1, number);
    while (store_next_row(&store->connection, statement))
        *sealed = arena_copy(arena, store_column_bytes(statement, 0));
    if (!sealed->data)
        sealed->size = 0;
    return store->connection.fault;
}

static void give_perched(struct store *store, sqlite3_stmt *statement,
                         const struct restoring *restoring)
{
    struct event event = {.kind = EVENT_RESTORED_PERCHED, .at = *restoring->at};

    (void)store;
    event.perched.number = store_column_number(statement, 0);
    event.perched.not_after_ms = store_column_number(statement, 4);
    event.perched.size = (size_t)store_column_number(statement, 5);
    if (store_column_id(statement, 1, &event.perched.name) &&
        store_column_id(statement, 2, &event.perched.owner) &&
        store_column_id(statement, 3, &event.perched.from))
        restoring->give(restoring->context, &event);
}

/* ---- where ours are held ---- */

int store_keep_deposit(struct store *store, const struct effect *effect)
{
    int64_t seq = store_find_peck(store, &effect->kept_deposit.peck, BOX_OUT);
    sqlite3_stmt *statement;

    if (!seq)
        return store->connection.fault;
    statement = store_prepare(
        &store->connection, STATEMENT_DEPOSIT_ADD,
        "INSERT INTO deposit (seq, perch, at_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING");
    sqlite3_bind_int64(statement, 1, seq);
    store_bind_id(statement, 2, &effect->kept_deposit.perch);
    store_bind_number(statement, 3, effect->kept_deposit.at_ms);
    return store_run(&store->connection, statement);
}

static void give_deposit(struct store *store, sqlite3_stmt *statement,
                         const struct restoring *restoring)
{
    struct event event = {.kind = EVENT_RESTORED_DEPOSIT, .at = *restoring->at};
    struct bytes stored = store_column_bytes(statement, 0);
    struct hash hash;

    (void)store;
    if (stored.size != HASH_SIZE || !store_column_id(statement, 1, &event.kept_deposit.perch))
        return;
    memcpy(hash.bytes, stored.data, HASH_SIZE);
    event.kept_deposit.peck = id_of(&hash);
    restoring->give(restoring->context, &event);
}

/* ---- restoring ---- */

static int restore(struct store *store, const struct restoring *restoring, const char *sql,
                   void (*give)(struct store *store, sqlite3_stmt *statement,
                                const struct restoring *restoring))
{
    struct store_connection *connection = &store->connection;
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(connection->database, sql, -1, &statement, NULL);

    if (result != SQLITE_OK)
        return store_note_fault(connection, result, sql);
    connection->fault = 0;
    sqlite3_bind_int64(statement, 1, store->filed_through); /* where it is asked for */
    while (store_next_row(connection, statement))
        give(store, statement, restoring);
    sqlite3_finalize(statement);
    return connection->fault;
}

int store_restore_perches(struct store *store, const struct restoring *restoring)
{
    int fault =
        restore(store, restoring, "SELECT public, secret, made_ms FROM pre_key ORDER BY made_ms",
                give_pre_key);

    if (!fault)
        fault = restore(store, restoring,
                        "SELECT number, name, owner, bringer, not_after_ms, length(sealed) "
                        "FROM perched ORDER BY number",
                        give_perched);
    if (!fault)
        fault = restore(store, restoring,
                        "SELECT p.hash, d.perch FROM (SELECT seq FROM peck INDEXED BY peck_open "
                        "WHERE filed IS NOT NULL AND state < 6 UNION ALL SELECT seq FROM peck "
                        "NOT INDEXED WHERE seq > ?1 AND state < 6) q CROSS JOIN deposit d "
                        "ON d.seq = q.seq JOIN peck p ON p.seq = q.seq",
                        give_deposit);
    return fault;
}
