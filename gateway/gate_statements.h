/* gate_statements: what the gate_store files share: prepared statements of one connection.
 *
 * A statement is prepared once and known by its text's address, so texts are string literals.
 * Binding to or stepping NULL is refused by SQLite itself, so only the last call is looked at. */
#ifndef DUCK_GATE_STATEMENTS_H
#define DUCK_GATE_STATEMENTS_H

#include "gate_store.h"

#include <sqlite3.h>

#define GATE_STATEMENTS_MAX 160

struct gate_store {
    sqlite3 *database;
    struct {
        const char *text;
        sqlite3_stmt *statement;
    } statements[GATE_STATEMENTS_MAX];
    size_t statement_count;
    char complaint[160];
};

sqlite3_stmt *gate_statement(struct gate_store *store, const char *text);
void gate_bind_number(sqlite3_stmt *statement, int index, uint64_t number);
void gate_bind_text(sqlite3_stmt *statement, int index, const char *text);
void gate_bind_bytes(sqlite3_stmt *statement, int index, const void *data, size_t size);
int gate_run(struct gate_store *store, sqlite3_stmt *statement); /* no rows expected */

/* The next row; read its columns, then go on until none is found, or call gate_done. */
int gate_row(struct gate_store *store, sqlite3_stmt *statement, bool *found);
void gate_done(sqlite3_stmt *statement);
uint64_t gate_number(sqlite3_stmt *statement, int column);
void gate_text(sqlite3_stmt *statement, int column, char *text, size_t size);
bool gate_bytes(sqlite3_stmt *statement, int column, void *data, size_t size); /* exactly so many */

#endif
