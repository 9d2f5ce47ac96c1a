/* Identities of the directory: who signed what is in it, with their chains.
 *
 * Found by the first 8 bytes of their id. Those are random, so a new one goes into a tree of at most
 * STORE_FRESH_MAX rows, which stays in the cache, and from there into the large one a slice of the
 * order at a time: at a million identities a page of it then takes three new rows, not one. */
#include "store_internal.h"

/* ---- by name ---- */

int64_t store_owner_find(struct store *store, const struct id *id, size_t *chain_size)
{
    sqlite3_stmt *statement = store_prepare(
        &store->directory, STATEMENT_OWNER_FIND,
        "SELECT i.number, length(i.chain) FROM (SELECT number FROM identity_fresh WHERE name = ?1 "
        "UNION ALL SELECT number FROM identity_filed WHERE name = ?1) n CROSS JOIN identity i "
        "ON i.number = n.number WHERE i.id = ?2");
    int64_t number = 0;

    sqlite3_bind_int64(statement, 1, store_name_number(id->bytes));
    store_bind_id(statement, 2, id);
    while (store_next_row(&store->directory, statement)) {
        number = sqlite3_column_int64(statement, 0);
        *chain_size = (size_t)store_column_number(statement, 1);
    }
    return number;
}

static int add_name(struct store *store, const struct id *id, int64_t number)
{
    sqlite3_stmt *statement =
        store_prepare(&store->directory, STATEMENT_OWNER_NAME_ADD,
                      "INSERT INTO identity_fresh (name, number) VALUES (?1, ?2)");

    sqlite3_bind_int64(statement, 1, store_name_number(id->bytes));
    sqlite3_bind_int64(statement, 2, number);
    store->fresh++;
    return store_run(&store->directory, statement);
}

static int drop_name(struct store *store, enum statement which, const char *sql,
                     const struct id *id, int64_t number)
{
    sqlite3_stmt *statement = store_prepare(&store->directory, which, sql);

    sqlite3_bind_int64(statement, 1, store_name_number(id->bytes));
    sqlite3_bind_int64(statement, 2, number);
    return store_run(&store->directory, statement);
}

/* ---- filing ---- */

/* Where the slice that begins at `file_from` ends; false: with the last one. */
static bool find_end(struct store *store, int64_t *end)
{
    sqlite3_stmt *statement = store_prepare(
        &store->directory, STATEMENT_FILE_END,
        "SELECT name FROM identity_fresh WHERE name >= ?1 ORDER BY name LIMIT 1 OFFSET ?2");
    bool is_cut = false;

    sqlite3_bind_int64(statement, 1, store->file_from);
    sqlite3_bind_int64(statement, 2, STORE_FILED_AT_ONCE);
    while (store_next_row(&store->directory, statement)) {
        *end = sqlite3_column_int64(statement, 0);
        is_cut = true;
    }
    return is_cut;
}

static int file_slice(struct store *store)
{
    static const struct {
        enum statement which;
        const char *sql;
    } steps[] = {
        {STATEMENT_FILE_OWNERS, "INSERT INTO identity_filed SELECT name, number FROM "
                                "identity_fresh WHERE name >= ?1 AND (?3 OR name < ?2) "
                                "ORDER BY name, number"},
        {STATEMENT_FILE_DONE, "DELETE FROM identity_fresh WHERE name >= ?1 AND (?3 OR name < ?2)"},
    };
    int64_t end = INT64_MAX;
    bool is_last = !find_end(store, &end);
    int fault = store->directory.fault;

    for (size_t i = 0; i < sizeof steps / sizeof *steps && !fault; i++) {
        sqlite3_stmt *statement = store_prepare(&store->directory, steps[i].which, steps[i].sql);

        sqlite3_bind_int64(statement, 1, store->file_from);
        sqlite3_bind_int64(statement, 2, end);
        sqlite3_bind_int(statement, 3, is_last);
        fault = store_run(&store->directory, statement);
    }
    if (!fault)
        store->fresh -= sqlite3_changes(store->directory.database);
    store->file_from = is_last ? INT64_MIN : end;
    return fault;
}

int store_owners_file(struct store *store)
{
    int fault = 0;

    while (!fault && store->fresh > STORE_FRESH_MAX)
        fault = file_slice(store);
    return fault;
}

/* ---- in and out ---- */

/* Most chains are one certificate, which has the identity's own id: nothing to take apart. */
static bool has_one_certificate(struct bytes chain)
{
    size_t size = 0, at = 1;
    int shift = 0;

    if (chain.size < 2 || chain.data[0] != 0x0a) /* field 1, length-delimited */
        return false;
    do {
        size |= (size_t)(chain.data[at] & 0x7f) << shift;
        shift += 7;
    } while (chain.data[at++] & 0x80 && at < chain.size && shift < 28);
    return size == chain.size - at;
}

static int keep_certificates(struct store *store, int64_t number, struct bytes chain)
{
    return has_one_certificate(chain)
               ? 0
               : store_keep_certificates(store, &store->directory, number, chain);
}

static int64_t add(struct store *store, const struct id *id, struct bytes chain)
{
    sqlite3_stmt *statement = store_prepare(&store->directory, STATEMENT_OWNER_ADD,
                                            "INSERT INTO identity (id, chain) VALUES (?1, ?2)");
    int64_t number;

    store_bind_id(statement, 1, id);
    store_bind_bytes(statement, 2, chain);
    if (store_run(&store->directory, statement))
        return 0;
    number = sqlite3_last_insert_rowid(store->directory.database);
    return add_name(store, id, number) || keep_certificates(store, number, chain) ? 0 : number;
}

static int lengthen(struct store *store, int64_t number, struct bytes chain)
{
    sqlite3_stmt *statement = store_prepare(&store->directory, STATEMENT_OWNER_CHANGE,
                                            "UPDATE identity SET chain = ?2 WHERE number = ?1");
    int fault;

    sqlite3_bind_int64(statement, 1, number);
    store_bind_bytes(statement, 2, chain);
    fault = store_run(&store->directory, statement);
    return fault ? fault : keep_certificates(store, number, chain);
}

int64_t store_owner_keep(struct store *store, const struct id *id, struct bytes chain, bool *is_new)
{
    size_t held = 0;
    int64_t number = store_owner_find(store, id, &held);

    *is_new = number == 0;
    if (store->directory.fault)
        return 0;
    if (*is_new)
        return add(store, id, chain);
    return chain.size > held && lengthen(store, number, chain) ? 0 : number;
}

int store_owner_drop(struct store *store, int64_t number, const struct id *id)
{
    sqlite3_stmt *statement = store_prepare(&store->directory, STATEMENT_OWNER_DROP,
                                            "DELETE FROM identity WHERE number = ?1");
    int fault;

    sqlite3_bind_int64(statement, 1, number);
    fault = store_run(&store->directory, statement);
    if (!fault)
        fault = drop_name(store, STATEMENT_OWNER_FRESH_DROP,
                          "DELETE FROM identity_fresh WHERE name = ?1 AND number = ?2", id, number);
    if (!fault && sqlite3_changes(store->directory.database) > 0)
        store->fresh--;
    else if (!fault)
        fault = drop_name(store, STATEMENT_OWNER_FILED_DROP,
                          "DELETE FROM identity_filed WHERE name = ?1 AND number = ?2", id, number);
    if (fault)
        return fault;
    statement = store_prepare(&store->directory, STATEMENT_CERTIFICATES_DROP,
                              "DELETE FROM certificate WHERE identity = ?1");
    sqlite3_bind_int64(statement, 1, number);
    return store_run(&store->directory, statement);
}
