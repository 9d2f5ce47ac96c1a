/* All that is kept of one operator: to be told, and to be erased. */
#include "account_erasure.h"
#include "gate_statements.h"

static int count_live(struct gate_store *store, const char *text, const char *lookup,
                      uint64_t now_ms, uint64_t *count)
{
    sqlite3_stmt *statement = gate_statement(store, text);
    bool found;
    int fault;

    gate_bind_text(statement, 1, lookup);
    gate_bind_number(statement, 2, now_ms);
    fault = gate_row(store, statement, &found);
    *count = found ? gate_number(statement, 0) : 0;
    if (found)
        gate_done(statement);
    return fault;
}

int gate_store_about(struct gate_store *store, uint64_t operator_id, uint64_t now_ms,
                     struct accounts_operator *about, bool *found)
{
    struct gate_subscriber subscriber = {.confirmed_ms = 0};
    struct gate_operator row;
    bool has_asked;
    int fault = gate_operator_get(store, operator_id, &row, found);

    if (fault || !*found)
        return fault;
    *about = (struct accounts_operator){.created_ms = row.created_ms,
                                        .failures = row.failures,
                                        .has_password = row.password_hash[0]};
    memcpy(about->email, row.email, sizeof about->email);
    fault = gate_subscriber_find(store, row.lookup, &subscriber, &has_asked);
    about->newsletter_ms = !fault && has_asked ? subscriber.confirmed_ms : 0;
    if (!fault)
        fault = count_live(store, "SELECT count(*) FROM eggs WHERE lookup = ?1 AND expires_ms > ?2",
                           row.lookup, now_ms, &about->eggs);
    if (!fault)
        fault =
            count_live(store, "SELECT count(*) FROM codes WHERE lookup = ?1 AND expires_ms > ?2",
                       row.lookup, now_ms, &about->codes);
    return fault;
}

static int drop_of_address(struct gate_store *store, const char *text, const char *lookup)
{
    sqlite3_stmt *statement = gate_statement(store, text);

    gate_bind_text(statement, 1, lookup);
    return gate_run(store, statement);
}

static int drop_of_operator(struct gate_store *store, const char *text, uint64_t operator_id)
{
    sqlite3_stmt *statement = gate_statement(store, text);

    gate_bind_number(statement, 1, operator_id);
    return gate_run(store, statement);
}

/* Tables of later versions go with the operator: they reference it ON DELETE CASCADE. */
int gate_operator_erase(struct gate_store *store, const struct gate_operator *row)
{
    int fault = drop_of_address(store, "DELETE FROM eggs WHERE lookup = ?1", row->lookup);

    if (!fault)
        fault = drop_of_address(store, "DELETE FROM codes WHERE lookup = ?1", row->lookup);
    if (!fault)
        fault = drop_of_address(store, "DELETE FROM mailed WHERE lookup = ?1", row->lookup);
    if (!fault)
        fault = gate_subscriber_drop(store, row->lookup);
    if (!fault)
        fault = gate_letters_drop(store, row->lookup);
    if (!fault)
        fault =
            drop_of_operator(store, "DELETE FROM bearers WHERE operator_id = ?1", row->operator_id);
    if (!fault)
        fault = drop_of_operator(store, "DELETE FROM ducklings WHERE operator_id = ?1",
                                 row->operator_id);
    if (!fault)
        fault = drop_of_operator(store, "DELETE FROM operators WHERE operator_id = ?1",
                                 row->operator_id);
    return fault;
}
