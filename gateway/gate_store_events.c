/* The feed, events, and what is dropped of them. */
#include "gate_events.h"
#include "gate_statements.h"

#include <stdlib.h>

#define TIDY_AT_ONCE 2000u /* rows: a transaction of the others waits for this one */

/* ---- the feed ---- */

int gate_feed_get(struct gate_store *store, struct gate_feed *feed)
{
    sqlite3_stmt *statement = gate_statement(store, "SELECT name, node, entry FROM feed");
    bool found, whole = false;
    int fault = gate_row(store, statement, &found);

    if (found) {
        whole = gate_bytes(statement, 0, feed->name, sizeof feed->name);
        gate_text(statement, 1, feed->node, sizeof feed->node);
        feed->entry = gate_number(statement, 2);
        gate_done(statement);
    }
    return fault ? fault : whole ? 0 : GATE_FAULT_CORRUPT;
}

int gate_feed_set(struct gate_store *store, const char *node, uint64_t entry)
{
    sqlite3_stmt *statement = gate_statement(store, "UPDATE feed SET node = ?1, entry = ?2");

    gate_bind_text(statement, 1, node);
    gate_bind_number(statement, 2, entry);
    return gate_run(store, statement);
}

int gate_tier_get(struct gate_store *store, const struct id *duckling, unsigned *tier, bool *found)
{
    sqlite3_stmt *statement = gate_statement(store, "SELECT tier FROM tiers WHERE duckling = ?1");
    int fault;

    gate_bind_bytes(statement, 1, duckling->bytes, ID_SIZE);
    fault = gate_row(store, statement, found);
    if (*found) {
        *tier = (unsigned)gate_number(statement, 0);
        gate_done(statement);
    }
    return fault;
}

int gate_tier_set(struct gate_store *store, const struct id *duckling, unsigned tier)
{
    sqlite3_stmt *statement =
        gate_statement(store, "INSERT INTO tiers (duckling, tier) VALUES (?1, ?2)"
                              " ON CONFLICT (duckling) DO UPDATE SET tier = ?2");

    gate_bind_bytes(statement, 1, duckling->bytes, ID_SIZE);
    gate_bind_number(statement, 2, tier);
    return gate_run(store, statement);
}

int gate_duckling_next(struct gate_store *store, uint64_t *number, struct gate_duckling *row,
                       bool *found)
{
    sqlite3_stmt *statement =
        gate_statement(store, "SELECT number, duckling, operator_id FROM ducklings"
                              " WHERE number > ?1 ORDER BY number LIMIT 1");
    bool whole = true;
    int fault;

    gate_bind_number(statement, 1, *number);
    fault = gate_row(store, statement, found);
    if (*found) {
        *number = gate_number(statement, 0);
        whole = gate_bytes(statement, 1, row->duckling.bytes, ID_SIZE);
        row->operator_id = gate_number(statement, 2);
        gate_done(statement);
    }
    return fault ? fault : whole ? 0 : GATE_FAULT_CORRUPT;
}

/* ---- events ---- */

static int add_event(struct gate_store *store, struct gate_event *event)
{
    sqlite3_stmt *statement =
        gate_statement(store, "INSERT INTO events (operator_id, duckling, kind, at_ms, data)"
                              " VALUES (?1, ?2, ?3, ?4, ?5)");
    int fault;

    gate_bind_number(statement, 1, event->operator_id);
    gate_bind_bytes(statement, 2, event->duckling.bytes, ID_SIZE);
    gate_bind_number(statement, 3, event->happening);
    gate_bind_number(statement, 4, event->at_ms);
    gate_bind_text(statement, 5, event->data);
    fault = gate_run(store, statement);
    event->number = (uint64_t)sqlite3_last_insert_rowid(store->database);
    return fault;
}

static int count_waiting(struct gate_store *store, const char *text, uint64_t operator_id,
                         uint64_t *count)
{
    sqlite3_stmt *statement = gate_statement(store, text);
    bool found;
    int fault;

    gate_bind_number(statement, 1, operator_id);
    fault = gate_row(store, statement, &found);
    if (!found)
        return fault ? fault : GATE_FAULT_CORRUPT;
    *count = gate_number(statement, 0);
    gate_done(statement);
    return 0;
}

/* Nobody who fills the store keeps the others' deliveries from it. */
int gate_webhook_has_room(struct gate_store *store, const struct gate_webhook *webhook,
                          bool *is_room)
{
    uint64_t of_operator = 0, of_all = 0;
    int fault = count_waiting(store, "SELECT total(waiting) FROM webhooks WHERE operator_id = ?1",
                              webhook->operator_id, &of_operator);

    if (!fault)
        fault =
            count_waiting(store, "SELECT total(waiting) FROM webhooks WHERE waiting > 0 AND ?1 > 0",
                          webhook->operator_id, &of_all);
    *is_room = webhook->waiting < WEBHOOK_WAITING_MAX && of_operator < OPERATOR_WAITING_MAX &&
               of_all < (webhook->waiting < WEBHOOK_WAITING_SURE ? DELIVERIES_HELD_MAX
                                                                 : DELIVERIES_WAITING_MAX);
    return fault;
}

static int count_dropped(struct gate_store *store, uint64_t webhook)
{
    sqlite3_stmt *statement =
        gate_statement(store, "UPDATE webhooks SET dropped = dropped + 1 WHERE webhook = ?1");

    gate_bind_number(statement, 1, webhook);
    return gate_run(store, statement);
}

static int deliver_to(struct gate_store *store, const struct gate_webhook *webhook,
                      const char *event_id, const struct gate_event *event)
{
    struct gate_delivery row = {.webhook = webhook->webhook,
                                .happening = event->happening,
                                .due_ms = event->at_ms,
                                .created_ms = event->at_ms};
    bool is_room;
    char *body;
    int fault = gate_webhook_has_room(store, webhook, &is_room);

    if (fault || !is_room)
        return fault ? fault : count_dropped(store, webhook->webhook);
    body = event_body(event_id, event->happening, event->at_ms, event->data);
    if (!body)
        return GATE_FAULT_STORE;
    memcpy(row.event, event_id, EVENT_ID_SIZE);
    fault = gate_delivery_add(store, &row, body);
    free(body);
    return fault;
}

int gate_event_keep(struct gate_store *store, const uint8_t name[EVENT_NAME_SIZE],
                    struct gate_event *event)
{
    const struct webhook_subject subject = {event->happening, event->duckling, event->action,
                                            event->tier};
    struct gate_webhook *webhook = memory_take(sizeof *webhook);
    char event_id[EVENT_ID_SIZE];
    bool found = true;
    int fault = add_event(store, event);

    event_id_text(name, event->number, event_id);
    while (!fault && found) {
        fault = gate_webhook_next(store, event->operator_id, webhook->webhook, webhook, &found);
        if (!fault && found && webhook->state == WEBHOOK_ON &&
            webhook_wants(&webhook->filter, &subject))
            fault = deliver_to(store, webhook, event_id, event);
    }
    memory_give_back(webhook);
    return fault;
}

int gate_event_next(struct gate_store *store, const struct gate_event_filter *filter,
                    uint64_t after, struct gate_event *event, bool *found)
{
    sqlite3_stmt *statement = gate_statement(
        store, "SELECT number, duckling, kind, at_ms, data FROM events WHERE operator_id = ?1"
               " AND number > ?2 AND (?3 >> kind & 1) AND (?4 = zeroblob(20) OR duckling = ?4)"
               " ORDER BY number LIMIT 1");
    static _Thread_local char data[EVENT_DATA_MAX + 1];
    bool whole = true;
    int fault;

    gate_bind_number(statement, 1, filter->operator_id);
    gate_bind_number(statement, 2, after);
    gate_bind_number(statement, 3, filter->kinds);
    gate_bind_bytes(statement, 4, filter->duckling.bytes, ID_SIZE);
    fault = gate_row(store, statement, found);
    if (!*found)
        return fault;
    *event = (struct gate_event){.number = gate_number(statement, 0),
                                 .operator_id = filter->operator_id,
                                 .happening = (enum happening)gate_number(statement, 2),
                                 .at_ms = gate_number(statement, 3),
                                 .data = data,
                                 .action = ""};
    whole = gate_bytes(statement, 1, event->duckling.bytes, ID_SIZE);
    gate_text(statement, 4, data, sizeof data);
    gate_done(statement);
    return whole ? 0 : GATE_FAULT_CORRUPT;
}

int gate_events_ends(struct gate_store *store, uint64_t operator_id, uint64_t *last, uint64_t *cut)
{
    int fault =
        count_waiting(store,
                      "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)"
                      " WHERE ?1 > 0",
                      operator_id, last);

    if (!fault)
        fault = count_waiting(store,
                              "SELECT coalesce((SELECT number FROM event_cuts"
                              " WHERE operator_id = ?1), 0)",
                              operator_id, cut);
    return fault;
}

/* ---- what is dropped ---- */

static int note_cuts(struct gate_store *store, const char *text, uint64_t bound)
{
    sqlite3_stmt *statement = gate_statement(store, text);

    gate_bind_number(statement, 1, bound);
    gate_bind_number(statement, 2, TIDY_AT_ONCE);
    return gate_run(store, statement);
}

static int drop_some(struct gate_store *store, const char *text, uint64_t bound, bool *is_done)
{
    sqlite3_stmt *statement = gate_statement(store, text);
    int fault;

    gate_bind_number(statement, 1, bound);
    gate_bind_number(statement, 2, TIDY_AT_ONCE);
    fault = gate_run(store, statement);
    *is_done = *is_done && sqlite3_changes(store->database) < (int)TIDY_AT_ONCE;
    return fault;
}

#define CUTS_OF(rows)                                                                              \
    "INSERT INTO event_cuts (operator_id, number)"                                                 \
    " SELECT operator_id, max(number) FROM events WHERE number IN (" rows ") GROUP BY operator_id" \
    " ON CONFLICT (operator_id) DO UPDATE SET number = max(number, excluded.number)"
#define DROP_OF(rows) "DELETE FROM events WHERE number IN (" rows ")"
#define OLD_ROWS "SELECT number FROM events WHERE at_ms < ?1 ORDER BY at_ms LIMIT ?2"
#define MANY_ROWS                                                                                  \
    "SELECT number FROM events ORDER BY number LIMIT"                                              \
    " min(?2, max(0, (SELECT count(*) FROM events) - ?1))"
/* Bounds are found once for each operator, and operators without events are not looked at. */
#define OPERATORS_ROWS                                                                             \
    "WITH RECURSIVE owners (id) AS (SELECT min(operator_id) FROM events UNION ALL"                 \
    " SELECT (SELECT min(operator_id) FROM events WHERE operator_id > id) FROM owners"             \
    " WHERE id IS NOT NULL), bounds (id, number) AS MATERIALIZED (SELECT id, (SELECT number"       \
    " FROM events WHERE operator_id = id ORDER BY number DESC LIMIT 1 OFFSET ?1) FROM owners)"     \
    " SELECT e.number FROM bounds b CROSS JOIN events e ON e.operator_id = b.id"                   \
    " AND e.number <= b.number WHERE b.number IS NOT NULL LIMIT ?2"

static int drop_events(struct gate_store *store, uint64_t now_ms, bool *is_done)
{
    uint64_t before_ms = now_ms > EVENT_LIFE_MS ? now_ms - EVENT_LIFE_MS : 0;
    int fault = note_cuts(store, CUTS_OF(OLD_ROWS), before_ms);

    if (!fault)
        fault = drop_some(store, DROP_OF(OLD_ROWS), before_ms, is_done);
    if (!fault)
        fault = note_cuts(store, CUTS_OF(OPERATORS_ROWS), EVENTS_PER_OPERATOR_MAX);
    if (!fault)
        fault = drop_some(store, DROP_OF(OPERATORS_ROWS), EVENTS_PER_OPERATOR_MAX, is_done);
    if (!fault)
        fault = note_cuts(store, CUTS_OF(MANY_ROWS), EVENTS_MAX);
    if (!fault)
        fault = drop_some(store, DROP_OF(MANY_ROWS), EVENTS_MAX, is_done);
    return fault;
}

#define ENDED_OVER(state)                                                                          \
    "DELETE FROM deliveries WHERE delivery IN (WITH bounds (id, delivery) AS MATERIALIZED"         \
    " (SELECT webhook, (SELECT delivery FROM deliveries d WHERE d.webhook = w.webhook AND"         \
    " state = " state " ORDER BY delivery DESC LIMIT 1 OFFSET ?1) FROM webhooks w)"                \
    " SELECT d.delivery FROM bounds b CROSS JOIN deliveries d ON d.webhook = b.id"                 \
    " AND d.state = " state " AND d.delivery <= b.delivery WHERE b.delivery IS NOT NULL LIMIT ?2)"

int gate_events_tidy(struct gate_store *store, uint64_t now_ms, bool *is_done)
{
    uint64_t before_ms = now_ms > DELIVERY_LIFE_MS ? now_ms - DELIVERY_LIFE_MS : 0;
    int fault;

    *is_done = true;
    fault = drop_events(store, now_ms, is_done);
    if (!fault)
        fault = drop_some(store, ENDED_OVER("1"), DELIVERIES_KEPT_MAX, is_done);
    if (!fault)
        fault = drop_some(store, ENDED_OVER("2"), DEAD_KEPT_MAX, is_done);
    if (!fault)
        fault = drop_some(store,
                          "DELETE FROM deliveries WHERE delivery IN (SELECT delivery FROM"
                          " deliveries WHERE state <> 0 AND ended_ms < ?1 LIMIT ?2)",
                          before_ms, is_done);
    return fault;
}
