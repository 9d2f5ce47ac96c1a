/* Beak keys and sessions. */
#include "gate_statements.h"

#include <sodium.h>

static uint64_t lookup_of(const uint8_t hash[GATE_HASH_SIZE])
{
    uint64_t lookup = 0;

    for (size_t i = 0; i < sizeof lookup; i++)
        lookup = lookup << 8 | hash[i];
    return lookup;
}

int gate_bearer_add(struct gate_store *store, const struct gate_bearer *row)
{
    sqlite3_stmt *statement = gate_statement(
        store, "INSERT INTO bearers (lookup, hash, kind, operator_id, duckling, masked, created_ms,"
               " used_ms, ends_ms, way) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    size_t duckling_size = row->kind == ACCESS_BEAK_KEY ? ID_SIZE : 0;

    gate_bind_number(statement, 1, lookup_of(row->hash));
    gate_bind_bytes(statement, 2, row->hash, sizeof row->hash);
    gate_bind_number(statement, 3, row->kind);
    gate_bind_number(statement, 4, row->operator_id);
    gate_bind_bytes(statement, 5, row->duckling.bytes, duckling_size);
    gate_bind_text(statement, 6, row->masked);
    gate_bind_number(statement, 7, row->created_ms);
    gate_bind_number(statement, 8, row->used_ms);
    gate_bind_number(statement, 9, row->ends_ms);
    gate_bind_number(statement, 10, row->way);
    return gate_run(store, statement);
}

static bool read_bearer(sqlite3_stmt *statement, struct gate_bearer *row)
{
    *row =
        (struct gate_bearer){.kind = gate_number(statement, 1) ? ACCESS_BEAK_KEY : ACCESS_SESSION};
    row->operator_id = gate_number(statement, 2);
    gate_text(statement, 4, row->masked, sizeof row->masked);
    row->created_ms = gate_number(statement, 5);
    row->used_ms = gate_number(statement, 6);
    row->ends_ms = gate_number(statement, 7);
    row->way = gate_number(statement, 8) ? ACCESS_BY_PASSKEY : ACCESS_BY_PASSWORD;
    row->lookup = gate_number(statement, 9);
    /* A session's operator may have no duckling yet: the zero id stands. */
    return gate_bytes(statement, 0, row->hash, sizeof row->hash) &&
           (gate_bytes(statement, 3, row->duckling.bytes, ID_SIZE) || row->kind == ACCESS_SESSION);
}

/* The index finds by eight bytes; the rest is compared in constant time. Nobody outside knows
 * which hash a guess would have, so the search itself tells nothing. */
int gate_bearer_find(struct gate_store *store, const uint8_t hash[GATE_HASH_SIZE],
                     struct gate_bearer *row, bool *found)
{
    sqlite3_stmt *statement = gate_statement(
        store, "SELECT hash, kind, operator_id, CASE kind WHEN 1 THEN duckling ELSE (SELECT"
               " d.duckling FROM ducklings d WHERE d.operator_id = bearers.operator_id"
               " ORDER BY d.number LIMIT 1) END, masked, created_ms, used_ms, ends_ms, way, lookup"
               " FROM bearers WHERE lookup = ?1");
    struct gate_bearer candidate;
    int fault;

    gate_bind_number(statement, 1, lookup_of(hash));
    for (fault = gate_row(store, statement, found); *found;
         fault = gate_row(store, statement, found)) {
        bool whole = read_bearer(statement, &candidate);
        if (sodium_memcmp(candidate.hash, hash, GATE_HASH_SIZE) != 0)
            continue;
        gate_done(statement);
        *row = candidate;
        return whole ? 0 : GATE_FAULT_CORRUPT;
    }
    return fault;
}

int gate_bearer_touch(struct gate_store *store, const uint8_t hash[GATE_HASH_SIZE],
                      uint64_t used_ms)
{
    sqlite3_stmt *statement = gate_statement(
        store, "UPDATE bearers SET used_ms = max(used_ms, ?3) WHERE lookup = ?1 AND hash = ?2");

    gate_bind_number(statement, 1, lookup_of(hash));
    gate_bind_bytes(statement, 2, hash, GATE_HASH_SIZE);
    gate_bind_number(statement, 3, used_ms);
    return gate_run(store, statement);
}

int gate_bearer_drop(struct gate_store *store, const uint8_t hash[GATE_HASH_SIZE])
{
    sqlite3_stmt *statement =
        gate_statement(store, "DELETE FROM bearers WHERE lookup = ?1 AND hash = ?2");

    gate_bind_number(statement, 1, lookup_of(hash));
    gate_bind_bytes(statement, 2, hash, GATE_HASH_SIZE);
    return gate_run(store, statement);
}

int gate_beak_key_drop(struct gate_store *store, const struct id *duckling)
{
    sqlite3_stmt *statement =
        gate_statement(store, "DELETE FROM bearers WHERE kind = 1 AND duckling = ?1");

    gate_bind_bytes(statement, 1, duckling->bytes, ID_SIZE);
    return gate_run(store, statement);
}

int gate_sessions_drop(struct gate_store *store, uint64_t operator_id)
{
    sqlite3_stmt *statement =
        gate_statement(store, "DELETE FROM bearers WHERE operator_id = ?1 AND kind = 0");

    gate_bind_number(statement, 1, operator_id);
    return gate_run(store, statement);
}

int gate_sessions_thin(struct gate_store *store, uint64_t operator_id, uint64_t keep)
{
    sqlite3_stmt *statement =
        gate_statement(store, "DELETE FROM bearers WHERE rowid IN (SELECT rowid FROM bearers"
                              " WHERE operator_id = ?1 AND kind = 0"
                              " ORDER BY used_ms DESC, rowid DESC LIMIT -1 OFFSET ?2)");

    gate_bind_number(statement, 1, operator_id);
    gate_bind_number(statement, 2, keep);
    return gate_run(store, statement);
}

int gate_sessions_list(struct gate_store *store, uint64_t operator_id, struct gate_bearer *rows,
                       size_t max, size_t *count)
{
    sqlite3_stmt *statement = gate_statement(
        store,
        "SELECT hash, kind, operator_id, duckling, masked, created_ms, used_ms, ends_ms, way,"
        " lookup FROM bearers WHERE operator_id = ?1 AND kind = 0"
        " ORDER BY created_ms DESC, rowid DESC LIMIT ?2");
    bool found, whole = true;
    int fault;

    *count = 0;
    gate_bind_number(statement, 1, operator_id);
    gate_bind_number(statement, 2, max);
    for (fault = gate_row(store, statement, &found); found;
         fault = gate_row(store, statement, &found))
        whole = read_bearer(statement, &rows[(*count)++]) && whole;
    return fault ? fault : whole ? 0 : GATE_FAULT_CORRUPT;
}

int gate_session_end(struct gate_store *store, uint64_t operator_id, uint64_t lookup,
                     uint64_t *ended)
{
    sqlite3_stmt *statement = gate_statement(
        store, "DELETE FROM bearers WHERE operator_id = ?1 AND kind = 0 AND lookup = ?2");
    int fault;

    gate_bind_number(statement, 1, operator_id);
    gate_bind_number(statement, 2, lookup);
    fault = gate_run(store, statement);
    *ended = fault ? 0 : (uint64_t)sqlite3_changes64(store->database);
    return fault;
}

int gate_sessions_end_others(struct gate_store *store, uint64_t operator_id, uint64_t lookup)
{
    sqlite3_stmt *statement = gate_statement(
        store, "DELETE FROM bearers WHERE operator_id = ?1 AND kind = 0 AND lookup <> ?2");

    gate_bind_number(statement, 1, operator_id);
    gate_bind_number(statement, 2, lookup);
    return gate_run(store, statement);
}
