/* Letters that wait to be sent, sealed: they hold codes. */
#include "gate_statements.h"

int gate_letter_add(struct gate_store *store, const char *lookup, const struct gate_letter *row)
{
    sqlite3_stmt *statement =
        gate_statement(store, "INSERT INTO letters (lookup, sealed, tries, next_ms, ends_ms)"
                              " VALUES (?1, ?2, ?3, ?4, ?5)");

    gate_bind_text(statement, 1, lookup);
    gate_bind_bytes(statement, 2, row->sealed, row->size);
    gate_bind_number(statement, 3, row->tries);
    gate_bind_number(statement, 4, row->next_ms);
    gate_bind_number(statement, 5, row->ends_ms);
    return gate_run(store, statement);
}

int gate_letter_next(struct gate_store *store, struct gate_letter *row, bool *found)
{
    sqlite3_stmt *statement =
        gate_statement(store, "SELECT number, sealed, tries, next_ms, ends_ms FROM letters"
                              " ORDER BY next_ms, number LIMIT 1");
    int fault = gate_row(store, statement, found);
    size_t size;

    if (!*found)
        return fault;
    row->number = gate_number(statement, 0);
    size = (size_t)sqlite3_column_bytes(statement, 1);
    row->size = size <= sizeof row->sealed ? size : 0; /* 0 opens as nothing */
    if (row->size)
        memcpy(row->sealed, sqlite3_column_blob(statement, 1), row->size);
    row->tries = gate_number(statement, 2);
    row->next_ms = gate_number(statement, 3);
    row->ends_ms = gate_number(statement, 4);
    gate_done(statement);
    return 0;
}

int gate_letter_put_off(struct gate_store *store, uint64_t number, uint64_t tries, uint64_t next_ms)
{
    sqlite3_stmt *statement =
        gate_statement(store, "UPDATE letters SET tries = ?2, next_ms = ?3 WHERE number = ?1");

    gate_bind_number(statement, 1, number);
    gate_bind_number(statement, 2, tries);
    gate_bind_number(statement, 3, next_ms);
    return gate_run(store, statement);
}

int gate_letter_drop(struct gate_store *store, uint64_t number)
{
    sqlite3_stmt *statement = gate_statement(store, "DELETE FROM letters WHERE number = ?1");

    gate_bind_number(statement, 1, number);
    return gate_run(store, statement);
}

int gate_letters_drop(struct gate_store *store, const char *lookup)
{
    sqlite3_stmt *statement = gate_statement(store, "DELETE FROM letters WHERE lookup = ?1");

    gate_bind_text(statement, 1, lookup);
    return gate_run(store, statement);
}

int gate_letters_count(struct gate_store *store, const char *lookup, uint64_t *count)
{
    sqlite3_stmt *statement =
        gate_statement(store, lookup ? "SELECT count(*) FROM letters WHERE lookup = ?1"
                                     : "SELECT count(*) FROM letters");
    bool found;
    int fault;

    if (lookup)
        gate_bind_text(statement, 1, lookup);
    fault = gate_row(store, statement, &found);
    *count = found ? gate_number(statement, 0) : 0;
    if (found)
        gate_done(statement);
    return fault;
}
