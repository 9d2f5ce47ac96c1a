/* Pecks, their states and their receipts.
 *
 * A peck goes into two tables at its number: what changes, and what never does. A receipt goes to
 * the number of its peck. So whatever a turn does to recent pecks, it does at the end of a table. */
#include "core/envelope.h"
#include "log.h"
#include "store_internal.h"

int64_t store_name_number(const uint8_t *hash)
{
    uint64_t number = 0;

    for (int i = 0; i < 8; i++)
        number = number << 8 | hash[i];
    return (int64_t)number;
}

/* ---- finding ---- */

static int64_t find_in_generation(struct store *store, int64_t generation, const struct id *peck,
                                  enum box box)
{
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_PECK_FIND,
                      "SELECT seq FROM peck INDEXED BY peck_by_name WHERE filed = ?1 AND name = ?2 "
                      "AND substr(hash, 1, 20) = ?3 AND box = ?4");
    int64_t seq = 0;

    sqlite3_bind_int64(statement, 1, generation);
    sqlite3_bind_int64(statement, 2, store_name_number(peck->bytes));
    store_bind_id(statement, 3, peck);
    sqlite3_bind_int(statement, 4, (int)box);
    while (store_next_row(&store->connection, statement))
        seq = sqlite3_column_int64(statement, 0);
    return seq;
}

static int64_t find_filed(struct store *store, const struct id *peck, enum box box)
{
    int64_t name = store_name_number(peck->bytes), seq = 0, i = store->generation + 1;

    while (!seq && !store->connection.fault &&
           (i = name_filter_next(&store->filed_names, i, name)) > 0)
        seq = find_in_generation(store, i, peck, box);
    return seq;
}

int64_t store_find_peck(struct store *store, const struct id *peck, enum box box)
{
    int64_t seq = recent_find(&store->recent, peck, box);

    store->connection.fault = 0;
    return seq ? seq : find_filed(store, peck, box);
}

/* What could not be looked up must not be taken for not held: it would be kept twice. */
static void stop_at_a_fault(struct store *store)
{
    store->connection.is_io_broken |= store->connection.fault != 0;
}

bool store_knows_peck(struct store *store, const struct id *peck, enum peck_state *state)
{
    int64_t seq = store_find_peck(store, peck, BOX_IN);
    sqlite3_stmt *statement;

    stop_at_a_fault(store);
    if (!seq)
        return false;
    statement = store_prepare(&store->connection, STATEMENT_PECK_READ_STATE,
                              "SELECT state FROM peck WHERE seq = ?1");
    sqlite3_bind_int64(statement, 1, seq);
    while (store_next_row(&store->connection, statement))
        *state = (enum peck_state)sqlite3_column_int(statement, 0);
    stop_at_a_fault(store);
    return true;
}

static int64_t find_key_in_generation(struct store *store, int64_t generation, int64_t name,
                                      const struct id *from, struct bytes key)
{
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_KEY_FIND,
                      "SELECT p.seq FROM peck p INDEXED BY peck_by_key CROSS JOIN identity i "
                      "ON i.number = p.duckling WHERE p.filed = ?1 AND p.key_name = ?2 "
                      "AND p.idempotency_key = ?3 AND i.id = ?4");
    int64_t seq = 0;

    sqlite3_bind_int64(statement, 1, generation);
    sqlite3_bind_int64(statement, 2, name);
    store_bind_bytes(statement, 3, key);
    store_bind_id(statement, 4, from);
    while (store_next_row(&store->connection, statement))
        seq = sqlite3_column_int64(statement, 0);
    return seq;
}

static int64_t find_key(struct store *store, const struct id *from, struct bytes key)
{
    struct id hashed = recent_key_name(from, key);
    int64_t name = store_name_number(hashed.bytes);
    int64_t seq = recent_find(&store->recent, &hashed, RECENT_KEY), i = store->generation + 1;

    store->connection.fault = 0;
    while (!seq && !store->connection.fault &&
           (i = name_filter_next(&store->filed_keys, i, name)) > 0)
        seq = find_key_in_generation(store, i, name, from, key);
    return seq;
}

bool store_find_idempotent(struct store *store, const struct id *from, struct bytes key,
                           struct id *peck, struct hash *hash, enum peck_state *state)
{
    int64_t seq = key.size ? find_key(store, from, key) : 0;
    sqlite3_stmt *statement;
    bool is_found = false;

    if (key.size)
        stop_at_a_fault(store);
    if (!seq)
        return false;
    statement = store_prepare(&store->connection, STATEMENT_PECK_HASH,
                              "SELECT hash, state FROM peck WHERE seq = ?1");
    sqlite3_bind_int64(statement, 1, seq);
    while (store_next_row(&store->connection, statement)) {
        struct bytes stored = store_column_bytes(statement, 0);

        if (stored.size != HASH_SIZE)
            continue;
        memcpy(hash->bytes, stored.data, HASH_SIZE);
        *peck = id_of(hash);
        *state = (enum peck_state)sqlite3_column_int(statement, 1);
        is_found = true;
    }
    stop_at_a_fault(store);
    return is_found;
}

/* ---- threads ---- */

/* Who names none is the first of one of its own name. */
static struct bytes thread_of(sqlite3_stmt *statement, const struct id *peck, struct arena *arena)
{
    struct bytes thread = store_column_bytes(statement, 0);
    char text[ID_TEXT_SIZE];

    return arena_copy(arena, thread.size ? thread : bytes_of_text(id_text(ID_PECK, peck, text)));
}

struct bytes store_find_thread(struct store *store, const struct id *peck, const struct id *one,
                               const struct id *other, struct arena *arena)
{
    int64_t seq = store_find_peck(store, peck, BOX_IN);
    struct bytes thread = {0};
    sqlite3_stmt *statement;

    if (!seq)
        seq = store_find_peck(store, peck, BOX_OUT);
    if (!seq)
        return thread;
    statement = store_prepare(
        &store->connection, STATEMENT_THREAD_FIND,
        "SELECT coalesce(p.conversation, p.thread), d.id, o.id FROM peck p JOIN identity d "
        "ON d.number = p.duckling JOIN identity o ON o.number = p.other "
        "WHERE p.seq = ?1");
    sqlite3_bind_int64(statement, 1, seq);
    while (store_next_row(&store->connection, statement)) {
        struct id here, there;

        if (store_column_id(statement, 1, &here) && store_column_id(statement, 2, &there) &&
            ((id_equal(&here, one) && id_equal(&there, other)) ||
             (id_equal(&here, other) && id_equal(&there, one))))
            thread = thread_of(statement, peck, arena);
    }
    return thread;
}

/* ---- keeping ---- */

static void bind_or_null(sqlite3_stmt *statement, int index, struct bytes bytes)
{
    if (bytes.size)
        store_bind_bytes(statement, index, bytes);
    else
        sqlite3_bind_null(statement, index);
}

/* `key_name` is NULL when there is no idempotency key. */
static int add_peck(struct store *store, const struct effect *effect, int64_t seq, int64_t from,
                    int64_t to, const struct id *key_name)
{
    sqlite3_stmt *statement = store_prepare(
        &store->connection, STATEMENT_PECK_ADD,
        "INSERT INTO peck (seq, name, hash, box, duckling, other, kind, state, place, attempt, "
        "expires_ms, changed_ms, lease_until_ms, thread, idempotency_key, key_name, conversation) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 0, ?13, ?14, ?15, ?16)");
    struct bytes named = effect->peck.named_thread, thread = effect->peck.thread;
    bool is_out = effect->peck.box == BOX_OUT;

    sqlite3_bind_int64(statement, 1, seq);
    sqlite3_bind_int64(statement, 2, store_name_number(effect->peck.hash.bytes));
    sqlite3_bind_blob(statement, 3, effect->peck.hash.bytes, HASH_SIZE, SQLITE_STATIC);
    sqlite3_bind_int(statement, 4, (int)effect->peck.box);
    sqlite3_bind_int64(statement, 5, is_out ? from : to);
    sqlite3_bind_int64(statement, 6, is_out ? to : from);
    sqlite3_bind_int(statement, 7, (int)effect->peck.kind);
    sqlite3_bind_int(statement, 8, (int)effect->peck.state);
    sqlite3_bind_int(statement, 9,
                     is_out || effect->peck.state == PECK_PENDING ? TRAY_WAITING : TRAY_READY);
    sqlite3_bind_int(statement, 10, is_out && effect->peck.state == PECK_SENT);
    store_bind_number(statement, 11, effect->peck.expires_ms);
    store_bind_number(statement, 12, effect->peck.at_ms);
    bind_or_null(statement, 13, named.size ? named : thread);
    bind_or_null(statement, 14, key_name ? effect->peck.idempotency_key : bytes_of(NULL, 0));
    if (key_name)
        sqlite3_bind_int64(statement, 15, store_name_number(key_name->bytes));
    else
        sqlite3_bind_null(statement, 15);
    bind_or_null(statement, 16,
                 named.size && !bytes_equal(named, thread) ? thread : bytes_of(NULL, 0));
    return store_run(&store->connection, statement);
}

/* The first one stands: a peck that is held is not kept again. Of received ones store_knows_peck was
 * asked before the turn, so only what may have come since is looked through. */
int store_keep_peck(struct store *store, const struct effect *effect)
{
    struct bytes key = effect->peck.idempotency_key;
    bool has_key = effect->peck.box == BOX_OUT && key.size > 0;
    struct id name = {0};
    int64_t seq = store->last_seq + 1, from, to;
    int fault;

    if (recent_find(&store->recent, &effect->peck.id, effect->peck.box))
        return 0;
    from = store_number_identity(store, &effect->peck.from, effect->peck.chain);
    to = from ? store_number_identity(store, &effect->peck.to, bytes_of(NULL, 0)) : 0;
    if (!to)
        return store->connection.fault;
    if (has_key)
        name = recent_key_name(&effect->peck.from, key);
    fault = add_peck(store, effect, seq, from, to, has_key ? &name : NULL);
    if (!fault)
        fault = store_keep_peck_wire(store, seq, effect->peck.wire);
    if (!fault && effect->peck.context)
        fault = store_keep_shown(store, seq, effect->peck.context);
    if (fault)
        return fault;
    store->last_seq = seq;
    recent_add(&store->recent, &effect->peck.id, effect->peck.box, seq);
    if (has_key)
        recent_add(&store->recent, &name, RECENT_KEY, seq);
    return 0;
}

/* Zero when there is no such peck: the log says so, and the turn goes on. */
static int64_t find_kept(struct store *store, const struct id *peck, enum box box, const char *what)
{
    int64_t seq = store_find_peck(store, peck, box);
    char text[ID_TEXT_SIZE];

    if (!seq && !store->connection.fault)
        log_write(LOG_ERROR, "store", "%s of %s, which is not held", what,
                  id_text(ID_PECK, peck, text));
    return seq;
}

static int add_ending(struct store *store, int64_t seq, const struct effect *effect)
{
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_ENDING_ADD,
                      "INSERT INTO ending (seq, problem, refusal, retry_after_ms) "
                      "VALUES (?1, ?2, ?3, ?4) ON CONFLICT (seq) DO NOTHING");

    sqlite3_bind_int64(statement, 1, seq);
    store_bind_bytes(statement, 2, effect->state.problem);
    store_bind_bytes(statement, 3, effect->state.refusal);
    store_bind_number(statement, 4, effect->state.retry_after_ms);
    return store_run(&store->connection, statement);
}

int store_keep_state(struct store *store, const struct effect *effect)
{
    int64_t seq = find_kept(store, &effect->state.peck, effect->state.box, "a state");
    sqlite3_stmt *statement;
    int fault;

    if (!seq)
        return store->connection.fault;
    statement =
        store_prepare(&store->connection, STATEMENT_PECK_STATE,
                      "UPDATE peck SET state = ?2, place = ?3, attempt = max(attempt, ?4), "
                      "lease_until_ms = ?5, changed_ms = ?6, cancelling = max(cancelling, ?7) "
                      "WHERE seq = ?1");
    sqlite3_bind_int64(statement, 1, seq);
    sqlite3_bind_int(statement, 2, (int)effect->state.state);
    sqlite3_bind_int(statement, 3, (int)effect->state.place);
    store_bind_number(statement, 4, effect->state.attempt);
    store_bind_number(statement, 5, effect->state.lease_until_ms);
    store_bind_number(statement, 6, effect->state.at_ms);
    sqlite3_bind_int(statement, 7, effect->state.cancelling);
    fault = store_run(&store->connection, statement);
    if (!fault && effect->state.problem.size > 0)
        fault = add_ending(store, seq, effect);
    return fault;
}

int store_keep_receipt(struct store *store, const struct effect *effect)
{
    struct kept_receipt receipt = {.kind = effect->receipt.kind,
                                   .state = effect->receipt.state,
                                   .at_ms = effect->receipt.at_ms};

    receipt.seq = find_kept(store, &effect->receipt.peck, effect->receipt.box, "a receipt");
    if (receipt.seq)
        receipt.signer =
            store_number_identity(store, &effect->receipt.signer, effect->receipt.chain);
    if (!receipt.signer)
        return store->connection.fault;
    return store_keep_receipt_wire(store, &receipt, effect->receipt.wire);
}

/* ---- reading ---- */

/* What the open turn has kept is looked for in the tables, too. */
static int close_wires(struct store *store)
{
    return store->has_begun ? store_note_turn_fault(store, store_close_wires(store)) : 0;
}

int store_read_peck(struct store *store, enum box box, const struct id *peck, struct arena *arena,
                    struct bytes *wire, struct bytes *chain)
{
    int64_t seq = store_find_peck(store, peck, box);
    sqlite3_stmt *statement;
    int fault;

    *wire = *chain = bytes_of(NULL, 0);
    if (!seq)
        return store->connection.fault;
    fault = close_wires(store);
    if (fault)
        return fault;
    statement = store_prepare(
        &store->connection, STATEMENT_PECK_READ,
        "SELECT w.seq, w.count, w.wire, i.chain, s.wire FROM peck p JOIN " STORE_WIRES_OF_PECK
        " JOIN identity i ON i.number = CASE p.box WHEN 2 THEN p.duckling ELSE p.other END "
        "LEFT JOIN peck_context c ON c.seq = p.seq LEFT JOIN shown_context s "
        "ON s.number = c.shown WHERE p.seq = ?1");
    sqlite3_bind_int64(statement, 1, seq);
    while (store_next_row(&store->connection, statement)) {
        *wire = store_column_peck_wire(statement, 0, seq, arena);
        *chain = chain_with_context(arena_copy(arena, store_column_bytes(statement, 3)),
                                    arena_copy(arena, store_column_bytes(statement, 4)), arena);
    }
    if (!wire->data || !chain->data)
        wire->size = chain->size = 0; /* the arena is too small: as if it were not held */
    return store->connection.fault;
}

const char store_receipts_sql[] =
    "SELECT 1, t.state, t.at_ms, i.id, t.place, coalesce(w.wires, t.wire), i.chain "
    "FROM taken_receipt t JOIN identity i ON i.number = t.signer "
    "LEFT JOIN receipt_wires w ON w.number = t.wires WHERE t.seq = ?1 UNION ALL "
    "SELECT 2, d.state, d.at_ms, i.id, d.place, coalesce(w.wires, d.wire), i.chain "
    "FROM done_receipt d JOIN identity i ON i.number = d.signer "
    "LEFT JOIN receipt_wires w ON w.number = d.wires WHERE d.seq = ?1";

int store_read_receipts(struct store *store, enum box box, const struct id *peck,
                        struct arena *arena, struct bytes wires[2], struct bytes chains[2],
                        size_t *count)
{
    int64_t seq = store_find_peck(store, peck, box);
    sqlite3_stmt *statement;
    int fault;

    *count = 0;
    if (!seq)
        return store->connection.fault;
    fault = close_wires(store);
    if (fault)
        return fault;
    statement = store_prepare(&store->connection, STATEMENT_RECEIPTS_READ, store_receipts_sql);
    sqlite3_bind_int64(statement, 1, seq);
    while (store_next_row(&store->connection, statement)) {
        wires[*count] = store_column_wire(statement, 5, sqlite3_column_int64(statement, 4), arena);
        chains[*count] = arena_copy(arena, store_column_bytes(statement, 6));
        if (*count < 2 && wires[*count].data && chains[*count].data)
            ++*count;
    }
    return store->connection.fault;
}

/* ---- restoring ---- */

/* Leases are kept as dates and counted by the steady clock, which began anew: what is left of one
 * is measured now. A date that leapt must not make it longer than any lease is. */
static uint64_t lease_until_ms(uint64_t wall_ms, const struct moment *at)
{
    uint64_t left_ms = wall_ms > at->wall_ms ? wall_ms - at->wall_ms : 0;

    return at->now_ms + (left_ms < LEASE_MAX_MS ? left_ms : LEASE_MAX_MS);
}

#define PARTIALS_COLUMN 9
#define CANCELLING_COLUMN 12
#define SEQ_COLUMN 13
#define WIRE_COLUMN 14
#define THREAD_COLUMN 17
#define CONTEXT_COLUMN 18

static void read_sent(sqlite3_stmt *statement, const struct moment *at, struct outbox_entry *entry)
{
    entry->state = (enum peck_state)sqlite3_column_int(statement, 4);
    entry->kind = (enum peck_kind)sqlite3_column_int(statement, 3);
    entry->expires_ms = store_column_number(statement, 7);
    entry->attempts = (uint32_t)store_column_number(statement, 6);
    store_column_partials(statement, PARTIALS_COLUMN, &entry->partials);
    entry->cancelling = sqlite3_column_int(statement, CANCELLING_COLUMN) != 0;
    store_column_id(statement, CONTEXT_COLUMN, &entry->context); /* stays zero: none */
    entry->next_send_ms =
        entry->state == PECK_QUEUED || entry->state == PECK_SENT || entry->cancelling
            ? at->now_ms
            : MOMENT_NEVER;
}

static void read_received(sqlite3_stmt *statement, const struct moment *at,
                          struct tray_entry *entry)
{
    entry->state = (enum peck_state)sqlite3_column_int(statement, 4);
    entry->kind = (enum peck_kind)sqlite3_column_int(statement, 3);
    entry->place = (enum tray_place)sqlite3_column_int(statement, 5);
    entry->expires_ms = store_column_number(statement, 7);
    entry->attempt = (uint32_t)store_column_number(statement, 6);
    store_column_partials(statement, PARTIALS_COLUMN, &entry->partials);
    if (entry->place == TRAY_LEASED)
        entry->lease_until_ms = lease_until_ms(store_column_number(statement, 8), at);
    if (store_column_id(statement, CONTEXT_COLUMN, &entry->context) &&
        entry->place == TRAY_WAITING &&
        entry->expires_ms > store_column_number(statement, CONTEXT_COLUMN + 1))
        entry->expires_ms = store_column_number(statement, CONTEXT_COLUMN + 1);
}

/* The action stands in what was signed and nowhere else. What cannot be read is of no action: then
 * only who takes everything gets it. */
static struct bytes read_action(struct bytes wire, struct arena *arena)
{
    struct envelope envelope;
    struct peck peck;

    if (envelope_parse(wire, ENVELOPE_PECK, arena, &envelope) == ENVELOPE_TAKEN &&
        peck_parse(envelope.body, arena, &peck) == PECK_OK)
        return peck.action;
    return bytes_of(NULL, 0);
}

static void give_open(sqlite3_stmt *statement, enum box box, struct arena *arena,
                      const struct restoring *restoring)
{
    struct event event = {.at = *restoring->at};
    struct bytes stored = store_column_bytes(statement, 0);
    struct id duckling, other;
    struct hash hash;

    if (stored.size != HASH_SIZE || !store_column_id(statement, 1, &duckling) ||
        !store_column_id(statement, 2, &other))
        return;
    memcpy(hash.bytes, stored.data, HASH_SIZE);
    if (box == BOX_OUT) {
        event.kind = EVENT_RESTORED_SENT;
        event.sent.peck = id_of(&hash);
        event.sent.hash = hash;
        event.sent.from = duckling;
        event.sent.to = other;
        read_sent(statement, restoring->at, &event.sent);
        event.sent.conversation = outbox_conversation(&event.sent.from, &event.sent.to,
                                                      store_column_bytes(statement, THREAD_COLUMN));
    } else {
        event.kind = EVENT_RESTORED_RECEIVED;
        event.received.peck = id_of(&hash);
        event.received.hash = hash;
        event.received.from = other;
        event.received.to = duckling;
        read_received(statement, restoring->at, &event.received);
        event.received.action =
            read_action(store_column_peck_wire(statement, WIRE_COLUMN,
                                               sqlite3_column_int64(statement, SEQ_COLUMN), arena),
                        arena);
    }
    restoring->give(restoring->context, &event);
    arena_reset(arena);
}

/* In order of arrival. Open: before `denied`, but for a bond request that was approved. */
int store_restore_pecks(struct store *store, enum box box, const struct restoring *restoring)
{
    struct store_connection *connection = &store->connection;
    sqlite3_stmt *statement = NULL;
    struct arena arena;
    int result = sqlite3_prepare_v2(
        connection->database,
        "SELECT p.hash, d.id, o.id, p.kind, p.state, p.place, p.attempt, p.expires_ms, "
        "p.lease_until_ms, x.number, x.total, x.running, p.cancelling, "
        "p.seq, w.seq, w.count, w.wire, coalesce(p.conversation, p.thread), s.carrier, "
        "s.not_after_ms "
        "FROM (SELECT seq FROM peck INDEXED BY peck_open WHERE filed IS NOT NULL "
        "AND state < 6 UNION ALL SELECT seq FROM peck NOT INDEXED WHERE seq > ?2 AND state < 6) q "
        "CROSS JOIN peck p ON p.seq = q.seq JOIN identity d ON d.number = p.duckling "
        "JOIN identity o ON o.number = p.other LEFT JOIN partial x ON x.seq = p.seq "
        "AND x.number = (SELECT max(number) FROM partial WHERE seq = p.seq) "
        "LEFT JOIN peck_context c ON c.seq = p.seq LEFT JOIN shown_context s "
        "ON s.number = c.shown LEFT JOIN " STORE_WIRES_OF_PECK
        " AND p.box = 1 WHERE p.box = ?1 AND NOT (p.state = 5 AND p.kind = 2) ORDER BY p.seq",
        -1, &statement, NULL);

    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "open pecks");
    connection->fault = 0;
    sqlite3_bind_int(statement, 1, (int)box);
    sqlite3_bind_int64(statement, 2, store->filed_through);
    arena_init(&arena, PARSE_BUDGET(PECK_BODY_MAX));
    while (store_next_row(connection, statement))
        give_open(statement, box, &arena, restoring);
    arena_free(&arena);
    sqlite3_finalize(statement);
    return connection->fault;
}
