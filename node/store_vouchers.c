/* Vouchers of operators for ducklings that live here, the operators that this node trusts, and what
 * both prove of an identity: the evidence of tier.h. */
#include "store_internal.h"

/* ---- keeping ---- */

int store_keep_voucher(struct store *store, const struct effect *effect)
{
    const struct kept_voucher *kept = effect->voucher;
    int64_t duckling = store_number_identity(store, &kept->duckling, bytes_of(NULL, 0));
    sqlite3_stmt *statement;

    if (!duckling)
        return store->connection.fault;
    statement = store_prepare(&store->connection, STATEMENT_VOUCHER_KEEP,
                              "INSERT INTO voucher (duckling, operator, not_after_ms, wire, chain) "
                              "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (duckling, operator) DO "
                              "UPDATE SET not_after_ms = ?3, wire = ?4, chain = ?5");
    sqlite3_bind_int64(statement, 1, duckling);
    store_bind_id(statement, 2, &kept->operator_id);
    store_bind_number(statement, 3, kept->not_after_ms);
    store_bind_bytes(statement, 4, kept->wire);
    store_bind_bytes(statement, 5, kept->chain);
    return store_run(&store->connection, statement);
}

int store_keep_trust(struct store *store, const struct effect *effect)
{
    const struct kept_trust *kept = effect->trust;
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_TRUST_KEEP,
                      "INSERT INTO trust (operator, domain, until_ms) VALUES (?1, ?2, ?3) "
                      "ON CONFLICT (operator) DO UPDATE SET domain = ?2, until_ms = ?3");

    store_bind_id(statement, 1, &kept->operator_id);
    sqlite3_bind_text(statement, 2, kept->domain.size ? (const char *)kept->domain.data : "",
                      (int)kept->domain.size, SQLITE_STATIC);
    if (kept->until_ms == MOMENT_NEVER)
        sqlite3_bind_null(statement, 3);
    else
        store_bind_number(statement, 3, kept->until_ms);
    return store_run(&store->connection, statement);
}

int store_drop_trust(struct store *store, const struct effect *effect)
{
    sqlite3_stmt *statement = store_prepare(&store->connection, STATEMENT_TRUST_DROP,
                                            "DELETE FROM trust WHERE operator = ?1");

    store_bind_id(statement, 1, &effect->trust->operator_id);
    return store_run(&store->connection, statement);
}

/* Those that have ended are left behind, and go. */
int store_restore_vouchers(struct store *store, const struct restoring *restoring)
{
    struct store_connection *connection = &store->connection;
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(connection->database,
                                    "SELECT i.id, v.operator, v.not_after_ms, v.wire, v.chain "
                                    "FROM voucher v JOIN identity i ON i.number = v.duckling "
                                    "WHERE v.not_after_ms > ?1",
                                    -1, &statement, NULL);

    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "voucher");
    connection->fault = 0;
    store_bind_number(statement, 1, restoring->at->wall_ms);
    while (store_next_row(connection, statement)) {
        struct event event = {.kind = EVENT_RESTORED_VOUCHER, .at = *restoring->at};

        store_column_id(statement, 0, &event.voucher.duckling);
        store_column_id(statement, 1, &event.voucher.operator_id);
        event.voucher.not_after_ms = store_column_number(statement, 2);
        event.voucher.wire = store_column_bytes(statement, 3);
        event.voucher.chain = store_column_bytes(statement, 4);
        restoring->give(restoring->context, &event);
    }
    sqlite3_finalize(statement);
    return connection->fault;
}

/* ---- what it proves ---- */

static bool is_trusted(struct store_connection *node, const struct id *operator_id,
                       uint64_t wall_ms)
{
    sqlite3_stmt *statement = store_prepare(
        node, STATEMENT_TRUST_FIND,
        "SELECT 1 FROM trust WHERE operator = ?1 AND coalesce(until_ms, ?2 + 1) > ?2");
    bool is_found = false;

    store_bind_id(statement, 1, operator_id);
    store_bind_number(statement, 2, wall_ms);
    while (store_next_row(node, statement))
        is_found = true;
    return is_found;
}

static bool is_revoked(struct store_connection *directory, const struct id *identity)
{
    sqlite3_stmt *statement = store_prepare(
        directory, STATEMENT_TIER_REVOKED,
        "SELECT 1 FROM identity_fresh f JOIN identity i USING (number) JOIN record r "
        "ON r.number BETWEEN 32 * i.number AND 32 * i.number + 31 WHERE f.name = ?1 "
        "AND i.id = ?2 AND r.kind = 4 UNION ALL SELECT 1 FROM identity_filed f JOIN "
        "identity i USING (number) JOIN record r ON r.number BETWEEN 32 * i.number AND "
        "32 * i.number + 31 WHERE f.name = ?1 AND i.id = ?2 AND r.kind = 4");
    bool is_found = false;

    sqlite3_bind_int64(statement, 1, store_name_number(identity->bytes));
    store_bind_id(statement, 2, identity);
    while (store_next_row(directory, statement))
        is_found = true;
    return is_found;
}

/* Its attestations stand in `bonded`, whoever they are about: ids of operators and of ducklings do not
 * meet. */
static bool is_vouched(struct store_connection *node, struct store_connection *directory,
                       const struct id *duckling, uint64_t wall_ms)
{
    sqlite3_stmt *statement =
        store_prepare(directory, STATEMENT_TIER_VOUCHERS,
                      "SELECT subject FROM bonded WHERE owner = ?1 AND not_after_ms > ?2");
    bool is_found = false;
    struct id subject;

    store_bind_id(statement, 1, duckling);
    store_bind_number(statement, 2, wall_ms);
    while (store_next_row(directory, statement))
        if (!is_found && store_column_id(statement, 0, &subject))
            is_found = is_trusted(node, &subject, wall_ms) && !is_revoked(directory, &subject);
    return is_found;
}

static bool is_bonded(struct store_connection *directory, const struct id *duckling,
                      uint64_t wall_ms)
{
    sqlite3_stmt *statement = store_prepare(
        directory, STATEMENT_TIER_BONDED,
        "SELECT 1 FROM bonded one JOIN bonded other ON other.owner = one.subject "
        "AND other.subject = one.owner WHERE one.owner = ?1 AND one.not_after_ms > ?2 "
        "AND other.not_after_ms > ?2 LIMIT 1");
    bool is_found = false;

    store_bind_id(statement, 1, duckling);
    store_bind_number(statement, 2, wall_ms);
    while (store_next_row(directory, statement))
        is_found = true;
    return is_found;
}

static bool has_host(struct store_connection *directory, int64_t identity, uint64_t wall_ms)
{
    sqlite3_stmt *statement =
        store_prepare(directory, STATEMENT_TIER_HOST,
                      "SELECT 1 FROM record WHERE number BETWEEN ?1 AND ?2 AND kind = 2 "
                      "AND host IS NOT NULL AND not_after_ms > ?3");
    bool is_found = false;

    sqlite3_bind_int64(statement, 1, identity * STORE_RECORDS_OF_IDENTITY);
    sqlite3_bind_int64(statement, 2,
                       identity * STORE_RECORDS_OF_IDENTITY + STORE_RECORDS_OF_IDENTITY - 1);
    store_bind_number(statement, 3, wall_ms);
    while (store_next_row(directory, statement))
        is_found = true;
    return is_found;
}

void store_weigh(struct store *store, const struct id *duckling, uint64_t wall_ms,
                 struct tier_evidence *evidence)
{
    size_t chain_size;
    int64_t identity = store_owner_find(store, duckling, &chain_size);

    *evidence = (struct tier_evidence){0};
    if (!identity || is_revoked(&store->directory, duckling))
        return;
    evidence->is_hosted = has_host(&store->directory, identity, wall_ms);
    evidence->is_bonded = is_bonded(&store->directory, duckling, wall_ms);
    evidence->is_vouched = is_vouched(&store->connection, &store->directory, duckling, wall_ms);
}

/* ---- readers ---- */

bool store_view_vouched(struct store_reader *reader, const struct id *duckling, uint64_t wall_ms)
{
    return store_reader_has_directory(reader) &&
           is_vouched(&reader->connection, &reader->directory, duckling, wall_ms);
}

size_t store_view_trust(struct store_reader *reader, struct arena *arena,
                        struct kept_trust *trusted, size_t max)
{
    sqlite3_stmt *statement =
        store_prepare(&reader->connection, STATEMENT_VIEW_TRUST,
                      "SELECT operator, domain, until_ms FROM trust ORDER BY domain, operator");
    size_t count = 0;

    reader->connection.fault = 0;
    while (store_next_row(&reader->connection, statement)) {
        if (count == max)
            continue;
        store_column_id(statement, 0, &trusted[count].operator_id);
        trusted[count].domain = arena_copy(arena, store_column_bytes(statement, 1));
        trusted[count].until_ms = sqlite3_column_type(statement, 2) == SQLITE_NULL
                                      ? MOMENT_NEVER
                                      : store_column_number(statement, 2);
        count++;
    }
    return count;
}
