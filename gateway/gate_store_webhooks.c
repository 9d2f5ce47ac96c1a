/* Webhooks, deliveries and attempts. */
#include "gate_events.h"
#include "gate_statements.h"

/* ---- webhooks ---- */

#define WEBHOOK_COLUMNS                                                                            \
    "webhook, name, operator_id, url, kinds, duckling, action, least_tier, secret, old_secret,"    \
    " old_until_ms, state, waiting, dropped, created_ms"

static size_t duckling_size(const struct gate_webhook *row)
{
    return id_is_zero(&row->filter.duckling) ? 0 : ID_SIZE;
}

static size_t old_secret_size(const struct gate_webhook *row)
{
    return row->old_until_ms ? sizeof row->old_secret : 0;
}

int gate_webhook_add(struct gate_store *store, struct gate_webhook *row)
{
    sqlite3_stmt *statement = gate_statement(
        store, "INSERT INTO webhooks (name, operator_id, url, kinds, duckling, action, least_tier,"
               " secret, old_secret, old_until_ms, state, created_ms)"
               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, x'', 0, ?9, ?10)");
    int fault;

    gate_bind_text(statement, 1, row->name);
    gate_bind_number(statement, 2, row->operator_id);
    gate_bind_text(statement, 3, row->url);
    gate_bind_number(statement, 4, row->filter.kinds);
    gate_bind_bytes(statement, 5, row->filter.duckling.bytes, duckling_size(row));
    gate_bind_text(statement, 6, row->filter.action);
    gate_bind_number(statement, 7, row->filter.least_tier);
    gate_bind_bytes(statement, 8, row->secret, sizeof row->secret);
    gate_bind_number(statement, 9, row->state);
    gate_bind_number(statement, 10, row->created_ms);
    fault = gate_run(store, statement);
    row->webhook = (uint64_t)sqlite3_last_insert_rowid(store->database);
    return fault;
}

int gate_webhook_set(struct gate_store *store, const struct gate_webhook *row)
{
    sqlite3_stmt *statement = gate_statement(
        store, "UPDATE webhooks SET url = ?2, kinds = ?3, duckling = ?4, action = ?5,"
               " least_tier = ?6, secret = ?7, old_secret = ?8, old_until_ms = ?9, state = ?10"
               " WHERE webhook = ?1");

    gate_bind_number(statement, 1, row->webhook);
    gate_bind_text(statement, 2, row->url);
    gate_bind_number(statement, 3, row->filter.kinds);
    gate_bind_bytes(statement, 4, row->filter.duckling.bytes, duckling_size(row));
    gate_bind_text(statement, 5, row->filter.action);
    gate_bind_number(statement, 6, row->filter.least_tier);
    gate_bind_bytes(statement, 7, row->secret, sizeof row->secret);
    gate_bind_bytes(statement, 8, row->old_secret, old_secret_size(row));
    gate_bind_number(statement, 9, row->old_until_ms);
    gate_bind_number(statement, 10, row->state);
    return gate_run(store, statement);
}

int gate_webhook_drop(struct gate_store *store, uint64_t webhook)
{
    sqlite3_stmt *statement = gate_statement(store, "DELETE FROM webhooks WHERE webhook = ?1");

    gate_bind_number(statement, 1, webhook);
    return gate_run(store, statement);
}

static int read_webhook(struct gate_store *store, sqlite3_stmt *statement, struct gate_webhook *row,
                        bool *found)
{
    int fault = gate_row(store, statement, found);
    bool is_whole;

    if (!*found)
        return fault;
    *row = (struct gate_webhook){.webhook = gate_number(statement, 0),
                                 .operator_id = gate_number(statement, 2),
                                 .old_until_ms = gate_number(statement, 10),
                                 .state = (enum webhook_state)gate_number(statement, 11),
                                 .waiting = gate_number(statement, 12),
                                 .dropped = gate_number(statement, 13),
                                 .created_ms = gate_number(statement, 14)};
    gate_text(statement, 1, row->name, sizeof row->name);
    gate_text(statement, 3, row->url, sizeof row->url);
    row->filter.kinds = (uint32_t)gate_number(statement, 4);
    gate_bytes(statement, 5, row->filter.duckling.bytes, ID_SIZE); /* or empty: any */
    gate_text(statement, 6, row->filter.action, sizeof row->filter.action);
    row->filter.least_tier = (unsigned)gate_number(statement, 7);
    is_whole =
        gate_bytes(statement, 8, row->secret, sizeof row->secret) &&
        (!row->old_until_ms || gate_bytes(statement, 9, row->old_secret, sizeof row->old_secret));
    gate_done(statement);
    return is_whole ? 0 : GATE_FAULT_CORRUPT;
}

int gate_webhook_get(struct gate_store *store, uint64_t webhook, struct gate_webhook *row,
                     bool *found)
{
    sqlite3_stmt *statement =
        gate_statement(store, "SELECT " WEBHOOK_COLUMNS " FROM webhooks WHERE webhook = ?1");

    gate_bind_number(statement, 1, webhook);
    return read_webhook(store, statement, row, found);
}

int gate_webhook_find(struct gate_store *store, uint64_t operator_id, const char *name,
                      struct gate_webhook *row, bool *found)
{
    sqlite3_stmt *statement = gate_statement(
        store, "SELECT " WEBHOOK_COLUMNS " FROM webhooks WHERE name = ?1 AND operator_id = ?2");

    gate_bind_text(statement, 1, name);
    gate_bind_number(statement, 2, operator_id);
    return read_webhook(store, statement, row, found);
}

int gate_webhook_next(struct gate_store *store, uint64_t operator_id, uint64_t after,
                      struct gate_webhook *row, bool *found)
{
    sqlite3_stmt *statement =
        gate_statement(store, "SELECT " WEBHOOK_COLUMNS " FROM webhooks WHERE operator_id = ?1"
                              " AND webhook > ?2 ORDER BY webhook LIMIT 1");

    gate_bind_number(statement, 1, operator_id);
    gate_bind_number(statement, 2, after);
    return read_webhook(store, statement, row, found);
}

static int read_one(struct gate_store *store, sqlite3_stmt *statement, uint64_t *number)
{
    bool found;
    int fault = gate_row(store, statement, &found);

    if (!found)
        return fault ? fault : GATE_FAULT_CORRUPT;
    *number = gate_number(statement, 0);
    gate_done(statement);
    return 0;
}

int gate_webhooks_count(struct gate_store *store, uint64_t operator_id, uint64_t *count)
{
    sqlite3_stmt *statement =
        gate_statement(store, "SELECT count(*) FROM webhooks WHERE operator_id = ?1");

    gate_bind_number(statement, 1, operator_id);
    return read_one(store, statement, count);
}

int gate_webhooks_tier(struct gate_store *store, uint64_t operator_id, unsigned *tier)
{
    sqlite3_stmt *statement = gate_statement(
        store, "SELECT coalesce(max(least_tier), 0) FROM webhooks WHERE operator_id = ?1");
    uint64_t highest = 0;
    int fault;

    gate_bind_number(statement, 1, operator_id);
    fault = read_one(store, statement, &highest);
    *tier = (unsigned)highest;
    return fault;
}

/* ---- deliveries ---- */

#define DELIVERY_COLUMNS                                                                           \
    "delivery, webhook, event, kind, state, attempt, round, due_ms, created_ms, ended_ms"

static int count_waiting(struct gate_store *store, uint64_t webhook, bool is_more)
{
    sqlite3_stmt *statement = gate_statement(
        store, "UPDATE webhooks SET waiting = max(0, waiting + ?2) WHERE webhook = ?1");

    gate_bind_number(statement, 1, webhook);
    sqlite3_bind_int(statement, 2, is_more ? 1 : -1);
    return gate_run(store, statement);
}

int gate_delivery_add(struct gate_store *store, struct gate_delivery *row, const char *body)
{
    sqlite3_stmt *statement = gate_statement(
        store, "INSERT INTO deliveries (webhook, event, kind, body, state, attempt, round, due_ms,"
               " created_ms, ended_ms) VALUES (?1, ?2, ?3, ?4, 0, 0, 0, ?5, ?6, 0)");
    int fault;

    gate_bind_number(statement, 1, row->webhook);
    gate_bind_text(statement, 2, row->event);
    gate_bind_number(statement, 3, row->happening);
    gate_bind_text(statement, 4, body);
    gate_bind_number(statement, 5, row->due_ms);
    gate_bind_number(statement, 6, row->created_ms);
    fault = gate_run(store, statement);
    row->delivery = (uint64_t)sqlite3_last_insert_rowid(store->database);
    return fault ? fault : count_waiting(store, row->webhook, true);
}

static int read_delivery(struct gate_store *store, sqlite3_stmt *statement,
                         struct gate_delivery *row, bool *found)
{
    int fault = gate_row(store, statement, found);

    if (!*found)
        return fault;
    *row = (struct gate_delivery){.delivery = gate_number(statement, 0),
                                  .webhook = gate_number(statement, 1),
                                  .happening = (enum happening)gate_number(statement, 3),
                                  .state = (enum delivery_state)gate_number(statement, 4),
                                  .attempt = (unsigned)gate_number(statement, 5),
                                  .round = (unsigned)gate_number(statement, 6),
                                  .due_ms = gate_number(statement, 7),
                                  .created_ms = gate_number(statement, 8),
                                  .ended_ms = gate_number(statement, 9)};
    gate_text(statement, 2, row->event, sizeof row->event);
    gate_done(statement);
    return 0;
}

int gate_delivery_get(struct gate_store *store, uint64_t delivery, struct gate_delivery *row,
                      bool *found)
{
    sqlite3_stmt *statement =
        gate_statement(store, "SELECT " DELIVERY_COLUMNS " FROM deliveries WHERE delivery = ?1");

    gate_bind_number(statement, 1, delivery);
    return read_delivery(store, statement, row, found);
}

int gate_delivery_body(struct gate_store *store, uint64_t delivery, char **body)
{
    sqlite3_stmt *statement =
        gate_statement(store, "SELECT body FROM deliveries WHERE delivery = ?1");
    bool found;
    int fault;

    *body = NULL;
    gate_bind_number(statement, 1, delivery);
    fault = gate_row(store, statement, &found);
    if (found) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);

        *body = text ? memory_copy(text, strlen(text) + 1) : NULL;
        gate_done(statement);
    }
    return fault;
}

/* One text for each question: each is one walk along an index. */
static const char *question_of(uint64_t webhook, int state, bool newest_first)
{
    if (webhook == 0)
        return "SELECT " DELIVERY_COLUMNS " FROM deliveries WHERE delivery > ?3 AND ?1 = 0"
               " AND state = ?2 ORDER BY delivery LIMIT 1";
    if (newest_first)
        return state < 0 ? "SELECT " DELIVERY_COLUMNS " FROM deliveries WHERE webhook = ?1"
                           " AND ?2 < 0 AND delivery < ?3 ORDER BY delivery DESC LIMIT 1"
                         : "SELECT " DELIVERY_COLUMNS " FROM deliveries WHERE webhook = ?1"
                           " AND state = ?2 AND delivery < ?3 ORDER BY delivery DESC LIMIT 1";
    return "SELECT " DELIVERY_COLUMNS " FROM deliveries WHERE webhook = ?1 AND state = ?2"
           " AND delivery > ?3 ORDER BY delivery LIMIT 1";
}

int gate_delivery_next(struct gate_store *store, uint64_t webhook, int state, uint64_t after,
                       bool newest_first, struct gate_delivery *row, bool *found)
{
    sqlite3_stmt *statement = gate_statement(store, question_of(webhook, state, newest_first));

    gate_bind_number(statement, 1, webhook);
    sqlite3_bind_int(statement, 2, state);
    gate_bind_number(statement, 3, newest_first && after == 0 ? INT64_MAX : after);
    return read_delivery(store, statement, row, found);
}

static int set_delivery(struct gate_store *store, const struct gate_delivery *row)
{
    sqlite3_stmt *statement = gate_statement(
        store, "UPDATE deliveries SET state = ?2, attempt = ?3, round = ?4, due_ms = ?5,"
               " ended_ms = ?6 WHERE delivery = ?1");

    gate_bind_number(statement, 1, row->delivery);
    gate_bind_number(statement, 2, row->state);
    gate_bind_number(statement, 3, row->attempt);
    gate_bind_number(statement, 4, row->round);
    gate_bind_number(statement, 5, row->due_ms);
    gate_bind_number(statement, 6, row->ended_ms);
    return gate_run(store, statement);
}

static int add_attempt(struct gate_store *store, uint64_t delivery,
                       const struct gate_attempt *attempt)
{
    sqlite3_stmt *statement = gate_statement(
        store, "INSERT OR REPLACE INTO attempts (delivery, attempt, at_ms, took_ms, status,"
               " problem) VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
    int fault;

    gate_bind_number(statement, 1, delivery);
    gate_bind_number(statement, 2, attempt->attempt);
    gate_bind_number(statement, 3, attempt->at_ms);
    gate_bind_number(statement, 4, attempt->took_ms);
    gate_bind_number(statement, 5, attempt->status);
    gate_bind_text(statement, 6, attempt->problem);
    fault = gate_run(store, statement);
    if (fault || attempt->attempt <= ATTEMPTS_KEPT_MAX)
        return fault;
    statement = gate_statement(store, "DELETE FROM attempts WHERE delivery = ?1 AND attempt <= ?2");
    gate_bind_number(statement, 1, delivery);
    gate_bind_number(statement, 2, attempt->attempt - ATTEMPTS_KEPT_MAX);
    return gate_run(store, statement);
}

int gate_delivery_attempted(struct gate_store *store, const struct gate_delivery *row,
                            enum delivery_state before, const struct gate_attempt *attempt)
{
    int fault = set_delivery(store, row);

    if (!fault)
        fault = add_attempt(store, row->delivery, attempt);
    if (!fault && before == DELIVERY_WAITING && row->state != DELIVERY_WAITING)
        fault = count_waiting(store, row->webhook, false);
    return fault;
}

int gate_delivery_again(struct gate_store *store, const struct gate_delivery *row, uint64_t due_ms)
{
    struct gate_delivery again = *row;

    again.state = DELIVERY_WAITING;
    again.round = row->attempt;
    again.due_ms = due_ms;
    again.ended_ms = 0;
    if (row->state == DELIVERY_WAITING)
        return set_delivery(store, &again);
    return set_delivery(store, &again) || count_waiting(store, row->webhook, true);
}

int gate_deliveries_give_up(struct gate_store *store, uint64_t webhook, uint64_t now_ms)
{
    sqlite3_stmt *statement = gate_statement(store, "UPDATE deliveries SET state = 2, ended_ms = ?2"
                                                    " WHERE webhook = ?1 AND state = 0");
    int fault;

    gate_bind_number(statement, 1, webhook);
    gate_bind_number(statement, 2, now_ms);
    fault = gate_run(store, statement);
    if (fault)
        return fault;
    statement = gate_statement(store, "UPDATE webhooks SET waiting = 0 WHERE webhook = ?1");
    gate_bind_number(statement, 1, webhook);
    return gate_run(store, statement);
}

int gate_attempts(struct gate_store *store, uint64_t delivery, struct gate_attempt *attempts,
                  size_t max, size_t *count)
{
    sqlite3_stmt *statement =
        gate_statement(store, "SELECT attempt, at_ms, took_ms, status, problem FROM attempts"
                              " WHERE delivery = ?1 ORDER BY attempt DESC LIMIT ?2");
    bool found;
    int fault;

    *count = 0;
    gate_bind_number(statement, 1, delivery);
    gate_bind_number(statement, 2, max);
    for (fault = gate_row(store, statement, &found); found;
         fault = gate_row(store, statement, &found)) {
        struct gate_attempt *attempt = &attempts[(*count)++];

        *attempt = (struct gate_attempt){.attempt = (unsigned)gate_number(statement, 0),
                                         .at_ms = gate_number(statement, 1),
                                         .took_ms = gate_number(statement, 2),
                                         .status = (unsigned)gate_number(statement, 3)};
        gate_text(statement, 4, attempt->problem, sizeof attempt->problem);
    }
    return fault;
}
