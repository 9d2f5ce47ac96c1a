/* Who asked for the newsletter, and who confirmed. */
#include "gate_statements.h"

static void read_subscriber(sqlite3_stmt *statement, struct gate_subscriber *row)
{
    gate_text(statement, 0, row->lookup, sizeof row->lookup);
    gate_text(statement, 1, row->email, sizeof row->email);
    row->asked_ms = gate_number(statement, 2);
    row->confirmed_ms = gate_number(statement, 3);
}

int gate_subscriber_find(struct gate_store *store, const char *lookup, struct gate_subscriber *row,
                         bool *found)
{
    sqlite3_stmt *statement = gate_statement(
        store, "SELECT lookup, email, asked_ms, confirmed_ms FROM newsletter WHERE lookup = ?1");
    int fault;

    gate_bind_text(statement, 1, lookup);
    fault = gate_row(store, statement, found);
    if (!*found)
        return fault;
    read_subscriber(statement, row);
    gate_done(statement);
    return 0;
}

int gate_subscriber_ask(struct gate_store *store, const struct gate_subscriber *row)
{
    sqlite3_stmt *statement =
        gate_statement(store, "INSERT INTO newsletter (lookup, email, asked_ms) VALUES (?1, ?2, ?3)"
                              " ON CONFLICT (lookup) DO UPDATE SET asked_ms = ?3");

    gate_bind_text(statement, 1, row->lookup);
    gate_bind_text(statement, 2, row->email);
    gate_bind_number(statement, 3, row->asked_ms);
    return gate_run(store, statement);
}

int gate_subscriber_confirm(struct gate_store *store, const char *lookup, uint64_t confirmed_ms)
{
    sqlite3_stmt *statement = gate_statement(
        store, "UPDATE newsletter SET confirmed_ms = ?2 WHERE lookup = ?1 AND confirmed_ms = 0");

    gate_bind_text(statement, 1, lookup);
    gate_bind_number(statement, 2, confirmed_ms);
    return gate_run(store, statement);
}

int gate_subscriber_drop(struct gate_store *store, const char *lookup)
{
    sqlite3_stmt *statement = gate_statement(store, "DELETE FROM newsletter WHERE lookup = ?1");

    gate_bind_text(statement, 1, lookup);
    return gate_run(store, statement);
}

int gate_subscribers_count(struct gate_store *store, uint64_t *count)
{
    sqlite3_stmt *statement = gate_statement(store, "SELECT count(*) FROM newsletter");
    bool found;
    int fault = gate_row(store, statement, &found);

    *count = found ? gate_number(statement, 0) : 0;
    if (found)
        gate_done(statement);
    return fault;
}

int gate_subscribers_each(struct gate_store *store,
                          void (*tell)(void *context, const struct gate_subscriber *row),
                          void *context)
{
    sqlite3_stmt *statement =
        gate_statement(store, "SELECT lookup, email, asked_ms, confirmed_ms FROM newsletter"
                              " WHERE confirmed_ms > 0 ORDER BY confirmed_ms, lookup");
    struct gate_subscriber row;
    bool found;
    int fault;

    for (fault = gate_row(store, statement, &found); found;
         fault = gate_row(store, statement, &found)) {
        read_subscriber(statement, &row);
        tell(context, &row);
    }
    return fault;
}
