/* Answers that come in parts: kept at both ends, sent again from here, read as they come. */
#include "store_internal.h"

int store_keep_partial(struct store *store, const struct effect *effect)
{
    const struct partials *partials = &effect->partial.partials;
    int64_t seq = store_find_peck(store, &effect->partial.peck, effect->partial.box);
    sqlite3_stmt *statement;

    /* The chain is kept with the identity: a receipt alone does not prove its signer. */
    if (!seq || !store_number_identity(store, &effect->partial.signer, effect->partial.chain))
        return store->connection.fault;
    statement = store_prepare(&store->connection, STATEMENT_PARTIAL_ADD,
                              "INSERT INTO partial (seq, number, at_ms, total, running, wire) "
                              "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING");
    sqlite3_bind_int64(statement, 1, seq);
    store_bind_number(statement, 2, partials->count);
    store_bind_number(statement, 3, effect->partial.at_ms);
    store_bind_number(statement, 4, partials->bytes);
    sqlite3_bind_blob(statement, 5, partials->hash.bytes, HASH_SIZE, SQLITE_STATIC);
    store_bind_bytes(statement, 6, effect->partial.wire);
    return store_run(&store->connection, statement);
}

void store_column_partials(sqlite3_stmt *statement, int column, struct partials *partials)
{
    struct bytes running = store_column_bytes(statement, column + 2);

    *partials = (struct partials){0};
    if (running.size != HASH_SIZE) /* NULL: there were none */
        return;
    partials->count = (uint32_t)store_column_number(statement, column);
    partials->bytes = (uint32_t)store_column_number(statement, column + 1);
    memcpy(partials->hash.bytes, running.data, HASH_SIZE);
}

int store_read_partials(struct store *store, const struct id *peck, uint32_t after,
                        struct arena *arena, struct bytes wires[STORE_PARTIALS_AT_ONCE],
                        struct bytes *chain, size_t *count)
{
    int64_t seq = store_find_peck(store, peck, BOX_IN);
    sqlite3_stmt *statement;

    *count = 0;
    if (!seq)
        return store->connection.fault;
    statement = store_prepare(
        &store->connection, STATEMENT_PARTIALS_READ,
        "SELECT x.wire, i.chain FROM partial x JOIN peck p ON p.seq = x.seq JOIN identity i "
        "ON i.number = p.duckling WHERE x.seq = ?1 AND x.number > ?2 ORDER BY x.number LIMIT ?3");
    sqlite3_bind_int64(statement, 1, seq);
    store_bind_number(statement, 2, after);
    sqlite3_bind_int(statement, 3, STORE_PARTIALS_AT_ONCE);
    while (store_next_row(&store->connection, statement)) {
        if (*count == 0)
            *chain = arena_copy(arena, store_column_bytes(statement, 1));
        wires[*count] = arena_copy(arena, store_column_bytes(statement, 0));
        if (wires[*count].data && chain->data)
            ++*count;
    }
    return store->connection.fault;
}

/* ---- pruning ---- */

/* The next peck that has parts, from `place` on. 0: there is none. */
static uint64_t next_with_parts(struct store *store, uint64_t place, uint64_t before_ms,
                                bool *is_old)
{
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_PARTIALS_NEXT,
                      "SELECT seq, state, kind, expires_ms FROM peck WHERE seq = "
                      "(SELECT seq FROM partial WHERE seq >= ?1 ORDER BY seq, number LIMIT 1)");
    uint64_t found = 0;

    store_bind_number(statement, 1, place);
    while (store_next_row(&store->connection, statement)) {
        found = store_column_number(statement, 0);
        *is_old = peck_state_is_done((enum peck_state)sqlite3_column_int(statement, 1),
                                     (enum peck_kind)sqlite3_column_int(statement, 2)) &&
                  store_column_number(statement, 3) < before_ms;
    }
    return found;
}

static int drop_parts(struct store *store, uint64_t seq)
{
    sqlite3_stmt *statement = store_prepare(&store->connection, STATEMENT_PARTIALS_DROP,
                                            "DELETE FROM partial WHERE seq = ?1");

    store_bind_number(statement, 1, seq);
    return store_run(&store->connection, statement);
}

int store_prune_partials(struct store *store, uint64_t before_ms, uint64_t *place, bool *is_done)
{
    int fault = store_begin_node(store);
    unsigned cuts = 0;

    *is_done = false;
    for (unsigned i = 0; i < STORE_PARTIALS_LOOKS && cuts < STORE_PARTIALS_CUTS && !fault; i++) {
        bool is_old = false;
        uint64_t seq = next_with_parts(store, *place, before_ms, &is_old);

        fault = store->connection.fault;
        *is_done = !fault && seq == 0;
        if (fault || *is_done)
            break;
        if (is_old)
            fault = drop_parts(store, seq);
        cuts += is_old;
        *place = seq + 1;
    }
    if (*is_done)
        *place = 0;
    return store_note_turn_fault(store, fault);
}

/* ---- readers ---- */

static bool read_head(struct store_reader *reader, int64_t seq, const struct id *duckling,
                      struct arena *arena, struct stored_partials *view)
{
    sqlite3_stmt *statement = store_prepare(
        &reader->connection, STATEMENT_VIEW_PARTIALS_HEAD,
        "SELECT d.id, p.state, p.kind, (SELECT max(number) FROM partial WHERE seq = ?1), t.chain "
        "FROM peck p JOIN identity d ON d.number = p.duckling JOIN identity t "
        "ON t.number = CASE p.box WHEN 2 THEN p.other ELSE p.duckling END WHERE p.seq = ?1");
    bool is_held = false;

    sqlite3_bind_int64(statement, 1, seq);
    while (store_next_row(&reader->connection, statement)) {
        struct id owner;

        view->state = (enum peck_state)sqlite3_column_int(statement, 1);
        view->kind = (enum peck_kind)sqlite3_column_int(statement, 2);
        view->held = (uint32_t)store_column_number(statement, 3);
        view->chain = arena_copy(arena, store_column_bytes(statement, 4));
        is_held = store_column_id(statement, 0, &owner) &&
                  (id_is_zero(duckling) || id_equal(duckling, &owner));
    }
    return is_held;
}

static void read_items(struct store_reader *reader, int64_t seq,
                       const struct partials_filter *filter, struct arena *arena,
                       struct stored_partials *view)
{
    sqlite3_stmt *statement = store_prepare(
        &reader->connection, STATEMENT_VIEW_PARTIALS,
        "SELECT number, at_ms, wire FROM partial WHERE seq = ?1 AND number > ?2 ORDER BY number "
        "LIMIT ?3");
    size_t limit = filter->limit < STORE_PARTIALS_PAGE ? filter->limit : STORE_PARTIALS_PAGE;

    sqlite3_bind_int64(statement, 1, seq);
    store_bind_number(statement, 2, filter->after);
    sqlite3_bind_int64(statement, 3, (int64_t)limit);
    while (store_next_row(&reader->connection, statement)) {
        struct stored_partial *item = &view->items[view->count];

        item->number = (uint32_t)store_column_number(statement, 0);
        item->at_ms = store_column_number(statement, 1);
        item->wire = arena_copy(arena, store_column_bytes(statement, 2));
        if (item->wire.data && view->count < STORE_PARTIALS_PAGE)
            view->count++;
    }
}

static bool view_of_box(struct store_reader *reader, const struct partials_filter *filter, int box,
                        struct arena *arena, struct stored_partials *view)
{
    int64_t seq = store_reader_find_peck(reader, &filter->peck, box);

    memset(view, 0, sizeof *view);
    if (!seq || !read_head(reader, seq, &filter->duckling, arena, view))
        return false;
    read_items(reader, seq, filter, arena, view);
    return true;
}

bool store_view_partials(struct store_reader *reader, const struct partials_filter *filter,
                         struct arena *arena, struct stored_partials *view)
{
    bool is_held;

    if (!store_reader_begin(&reader->connection))
        return false;
    is_held = view_of_box(reader, filter, filter->box, arena, view);
    if (!is_held && filter->box == 0) /* between two of this node there are both */
        is_held = view_of_box(reader, filter, BOX_OUT, arena, view);
    store_reader_end(&reader->connection);
    return is_held;
}
