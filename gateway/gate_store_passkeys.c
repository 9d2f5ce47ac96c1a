/* Passkeys: the public keys of operators' authenticators, and how often each was used. */
#include "gate_statements.h"

int gate_passkey_add(struct gate_store *store, const struct gate_passkey *row)
{
    sqlite3_stmt *statement = gate_statement(
        store,
        "INSERT INTO passkeys (lookup, credential, operator_id, algorithm, public_key, counter,"
        " name, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");

    gate_bind_number(statement, 1, row->lookup);
    gate_bind_bytes(statement, 2, row->key.credential, row->key.credential_size);
    gate_bind_number(statement, 3, row->operator_id);
    sqlite3_bind_int(statement, 4, row->key.algorithm);
    gate_bind_bytes(statement, 5, row->key.key, row->key.key_size);
    gate_bind_number(statement, 6, row->key.counter);
    gate_bind_text(statement, 7, row->name);
    gate_bind_number(statement, 8, row->created_ms);
    return gate_run(store, statement);
}

static size_t read_bytes(sqlite3_stmt *statement, int column, uint8_t *data, size_t room)
{
    const void *found = sqlite3_column_blob(statement, column);
    size_t size = (size_t)sqlite3_column_bytes(statement, column);

    if (!found || size > room)
        return 0;
    memcpy(data, found, size);
    return size;
}

int gate_passkey_find(struct gate_store *store, uint64_t lookup, struct gate_passkey *row,
                      bool *found)
{
    sqlite3_stmt *statement = gate_statement(
        store, "SELECT credential, operator_id, algorithm, public_key, counter, name, created_ms"
               " FROM passkeys WHERE lookup = ?1");
    int fault;

    gate_bind_number(statement, 1, lookup);
    fault = gate_row(store, statement, found);
    if (!*found)
        return fault;
    *row = (struct gate_passkey){.lookup = lookup};
    row->key.credential_size =
        read_bytes(statement, 0, row->key.credential, sizeof row->key.credential);
    row->operator_id = gate_number(statement, 1);
    row->key.algorithm = sqlite3_column_int(statement, 2);
    row->key.key_size = read_bytes(statement, 3, row->key.key, sizeof row->key.key);
    row->key.counter = (uint32_t)gate_number(statement, 4);
    gate_text(statement, 5, row->name, sizeof row->name);
    row->created_ms = gate_number(statement, 6);
    gate_done(statement);
    return row->key.credential_size && row->key.key_size ? 0 : GATE_FAULT_CORRUPT;
}

int gate_passkey_used(struct gate_store *store, uint64_t lookup, uint64_t counter, uint64_t used_ms)
{
    sqlite3_stmt *statement =
        gate_statement(store, "UPDATE passkeys SET counter = ?2, used_ms = ?3 WHERE lookup = ?1");

    gate_bind_number(statement, 1, lookup);
    gate_bind_number(statement, 2, counter);
    gate_bind_number(statement, 3, used_ms);
    return gate_run(store, statement);
}

int gate_passkey_drop(struct gate_store *store, uint64_t operator_id, uint64_t lookup,
                      uint64_t *dropped)
{
    sqlite3_stmt *statement =
        gate_statement(store, "DELETE FROM passkeys WHERE operator_id = ?1 AND lookup = ?2");
    int fault;

    gate_bind_number(statement, 1, operator_id);
    gate_bind_number(statement, 2, lookup);
    fault = gate_run(store, statement);
    *dropped = fault ? 0 : (uint64_t)sqlite3_changes64(store->database);
    return fault;
}

int gate_passkeys_list(struct gate_store *store, uint64_t operator_id,
                       struct accounts_passkey *passkeys, size_t max, size_t *count)
{
    sqlite3_stmt *statement =
        gate_statement(store, "SELECT lookup, credential, name, created_ms, used_ms FROM passkeys"
                              " WHERE operator_id = ?1 ORDER BY created_ms, lookup LIMIT ?2");
    bool found;
    int fault;

    *count = 0;
    gate_bind_number(statement, 1, operator_id);
    gate_bind_number(statement, 2, max);
    for (fault = gate_row(store, statement, &found); found;
         fault = gate_row(store, statement, &found)) {
        struct accounts_passkey *passkey = &passkeys[(*count)++];

        passkey->passkey = gate_number(statement, 0);
        passkey->credential_size =
            read_bytes(statement, 1, passkey->credential, sizeof passkey->credential);
        gate_text(statement, 2, passkey->name, sizeof passkey->name);
        passkey->created_ms = gate_number(statement, 3);
        passkey->used_ms = gate_number(statement, 4);
    }
    return fault;
}
