/* Readers: questions of the local API, each on a connection of the thread that asks.
 *
 * A question of several statements is one read transaction, so that it sees one moment. Pecks that
 * are not filed are remembered by name, and looked through for a list; the others are found by an
 * index, one generation after the other from the newest; the filters decide which index, and INDEXED BY makes a plan that would scan the
 * table an error instead. */
#include "log.h"
#include "store_internal.h"

#include <stdio.h>
#include <sys/stat.h>

#define LIST_MAX 1024 /* rows of one list, whatever is asked for */

int store_reader_open(struct store_reader **opened, const char *path)
{
    struct store_reader *reader = memory_take(sizeof *reader);
    int fault = store_connect(&reader->connection, path, false);

    reader->directory_path = store_directory_path(path);
    if (fault) {
        store_reader_close(reader);
        return fault;
    }
    *opened = reader;
    return 0;
}

static void leave_directory(struct store_reader *reader)
{
    store_search_close_words(reader);
    store_disconnect(&reader->directory);
    reader->inode = 0;
}

void store_reader_close(struct store_reader *reader)
{
    if (!reader)
        return;
    leave_directory(reader);
    store_disconnect(&reader->connection);
    recent_free(&reader->recent);
    memory_give_back(reader->directory_path);
    memory_give_back(reader);
}

/* The writer may have made it anew meanwhile: then this is another file. */
bool store_reader_has_directory(struct store_reader *reader)
{
    struct stat status;

    if (stat(reader->directory_path, &status) != 0) {
        leave_directory(reader);
        return false;
    }
    if (reader->directory.database && reader->inode == (uint64_t)status.st_ino &&
        !reader->directory.is_io_broken)
        return true;
    leave_directory(reader);
    if (store_connect(&reader->directory, reader->directory_path, false) ||
        !store_search_open_words(reader)) {
        leave_directory(reader);
        return false;
    }
    reader->inode = (uint64_t)status.st_ino;
    return true;
}

bool store_reader_begin(struct store_connection *connection)
{
    return store_run(connection, store_prepare(connection, STATEMENT_BEGIN, "BEGIN")) == 0;
}

void store_reader_end(struct store_connection *connection)
{
    store_run(connection, store_prepare(connection, STATEMENT_COMMIT, "COMMIT"));
}

/* ---- one peck ---- */

static int64_t newest_generation(struct store_reader *reader)
{
    sqlite3_stmt *statement = store_prepare(&reader->connection, STATEMENT_VIEW_GENERATION,
                                            "SELECT generation FROM node");
    int64_t generation = 0;

    while (store_next_row(&reader->connection, statement))
        generation = sqlite3_column_int64(statement, 0);
    return generation;
}

/* In before out, when both are asked for. */
static int64_t find_among(struct store_reader *reader, sqlite3_stmt *statement,
                          const struct id *peck, int box)
{
    int64_t seq = 0;
    int best = 0;

    sqlite3_bind_int64(statement, 1, store_name_number(peck->bytes));
    store_bind_id(statement, 2, peck);
    while (store_next_row(&reader->connection, statement)) {
        int found = sqlite3_column_int(statement, 1);

        if ((box && found != box) || (best && found > best))
            continue;
        best = found;
        seq = sqlite3_column_int64(statement, 0);
    }
    return seq;
}

int64_t store_reader_find_peck(struct store_reader *reader, const struct id *peck, int box)
{
    int64_t seq = store_reader_find_recent(reader, peck, box);
    sqlite3_stmt *statement;

    for (int64_t i = seq ? 0 : newest_generation(reader); i > 0 && !seq; i--) {
        statement = store_prepare(&reader->connection, STATEMENT_VIEW_FIND,
                                  "SELECT seq, box FROM peck INDEXED BY peck_by_name "
                                  "WHERE filed = ?3 AND name = ?1 AND substr(hash, 1, 20) = ?2");
        sqlite3_bind_int64(statement, 3, i);
        seq = find_among(reader, statement, peck, box);
    }
    return seq;
}

static bool parse_peck(struct bytes wire, struct arena *arena, struct peck *peck)
{
    struct envelope envelope;

    return wire.data && envelope_parse(wire, ENVELOPE_PECK, arena, &envelope) == ENVELOPE_TAKEN &&
           peck_parse(envelope.body, arena, peck) == PECK_OK;
}

static void read_receipts(struct store_reader *reader, int64_t seq, struct arena *arena,
                          struct stored_peck *view)
{
    sqlite3_stmt *statement =
        store_prepare(&reader->connection, STATEMENT_RECEIPTS_READ, store_receipts_sql);

    sqlite3_bind_int64(statement, 1, seq);
    while (store_next_row(&reader->connection, statement)) {
        struct stored_receipt receipt = {
            .kind = (enum receipt_kind)sqlite3_column_int(statement, 0),
            .state = (enum peck_state)sqlite3_column_int(statement, 1),
            .at_ms = store_column_number(statement, 2),
            .wire = store_column_wire(statement, 5, sqlite3_column_int64(statement, 4), arena),
            .chain = arena_copy(arena, store_column_bytes(statement, 6)),
        };

        if (store_column_id(statement, 3, &receipt.signer) && receipt.wire.data &&
            receipt.chain.data && view->receipt_count < 2)
            view->receipts[view->receipt_count++] = receipt;
    }
}

#define STATE_BIT(state) (1u << (state))
#define OPEN_STATES                                                                                \
    (STATE_BIT(PECK_QUEUED) | STATE_BIT(PECK_SENT) | STATE_BIT(PECK_TAKEN) |                       \
     STATE_BIT(PECK_PENDING) | STATE_BIT(PECK_APPROVED))
#define FAILED_STATES                                                                              \
    (STATE_BIT(PECK_DENIED) | STATE_BIT(PECK_FAILED) | STATE_BIT(PECK_EXPIRED) |                   \
     STATE_BIT(PECK_CANCELLED))

static void read_ending(struct store_reader *reader, int64_t seq, struct arena *arena,
                        struct stored_peck *view)
{
    sqlite3_stmt *statement =
        store_prepare(&reader->connection, STATEMENT_VIEW_ENDING,
                      "SELECT problem, refusal, retry_after_ms FROM ending WHERE seq = ?1");

    sqlite3_bind_int64(statement, 1, seq);
    while (store_next_row(&reader->connection, statement)) {
        view->problem = arena_copy(arena, store_column_bytes(statement, 0));
        view->refusal = arena_copy(arena, store_column_bytes(statement, 1));
        view->retry_after_ms = store_column_number(statement, 2);
        if (!view->problem.data || !view->refusal.data)
            view->problem.size = view->refusal.size = 0;
    }
}

static void read_deposits(struct store_reader *reader, int64_t seq, struct stored_peck *view)
{
    sqlite3_stmt *statement =
        store_prepare(&reader->connection, STATEMENT_VIEW_DEPOSITS,
                      "SELECT perch FROM deposit WHERE seq = ?1 ORDER BY at_ms, perch");

    sqlite3_bind_int64(statement, 1, seq);
    while (store_next_row(&reader->connection, statement))
        if (view->held_count < PERCHES_PER_PECK &&
            store_column_id(statement, 0, &view->held_by[view->held_count]))
            view->held_count++;
}

/* NULL: there is none. */
static const struct context *read_context(struct bytes wire, struct arena *arena)
{
    struct context *context = wire.size > 0 ? arena_take(arena, sizeof *context) : NULL;

    return context && context_read(arena_copy(arena, wire), arena, context) == CONTEXT_OK ? context
                                                                                          : NULL;
}

static bool read_peck(struct store_reader *reader, int64_t seq, const struct id *duckling,
                      struct arena *arena, struct stored_peck *view)
{
    sqlite3_stmt *statement = store_prepare(
        &reader->connection, STATEMENT_VIEW_PECK,
        "SELECT p.box, p.state, p.place, p.attempt, p.changed_ms, p.lease_until_ms, i.chain, "
        "d.id, s.wire, w.seq, w.count, w.wire FROM peck p JOIN " STORE_WIRES_OF_PECK
        " JOIN identity d ON d.number = p.duckling JOIN identity i "
        "ON i.number = CASE p.box WHEN 2 THEN p.duckling ELSE p.other END "
        "LEFT JOIN peck_context c ON c.seq = p.seq LEFT JOIN shown_context s "
        "ON s.number = c.shown WHERE p.seq = ?1");
    bool is_held = false;

    memset(view, 0, sizeof *view);
    sqlite3_bind_int64(statement, 1, seq);
    while (store_next_row(&reader->connection, statement)) {
        struct id owner;

        view->box = (enum box)sqlite3_column_int(statement, 0);
        view->state = (enum peck_state)sqlite3_column_int(statement, 1);
        view->place = (enum tray_place)sqlite3_column_int(statement, 2);
        view->attempt = (uint32_t)store_column_number(statement, 3);
        view->changed_ms = store_column_number(statement, 4);
        view->lease_until_ms = store_column_number(statement, 5);
        view->wire = store_column_peck_wire(statement, 9, seq, arena);
        view->chain = arena_copy(arena, store_column_bytes(statement, 6));
        view->context = read_context(store_column_bytes(statement, 8), arena);
        view->sequence = (uint64_t)seq;
        is_held = store_column_id(statement, 7, &owner) &&
                  (id_is_zero(duckling) || id_equal(duckling, &owner)) && view->chain.data &&
                  parse_peck(view->wire, arena, &view->peck);
    }
    if (is_held)
        read_receipts(reader, seq, arena, view);
    if (is_held && view->box == BOX_OUT &&
        STATE_BIT(view->state) & (STATE_BIT(PECK_QUEUED) | STATE_BIT(PECK_SENT)))
        read_deposits(reader, seq, view);
    if (is_held && view->box == BOX_OUT && STATE_BIT(view->state) & FAILED_STATES)
        read_ending(reader, seq, arena, view);
    return is_held;
}

bool store_view_peck(struct store_reader *reader, const struct id *peck, int box,
                     const struct id *duckling, struct arena *arena, struct stored_peck *view)
{
    bool is_held = false;
    int64_t seq;

    if (!store_reader_begin(&reader->connection))
        return false;
    seq = store_reader_find_peck(reader, peck, box);
    if (seq)
        is_held = read_peck(reader, seq, duckling, arena, view);
    /* Between two ducklings of this node there are both, and either may ask. */
    if (seq && !is_held && box == 0) {
        seq = store_reader_find_peck(reader, peck, BOX_OUT);
        is_held = seq && read_peck(reader, seq, duckling, arena, view);
    }
    store_reader_end(&reader->connection);
    return is_held;
}

/* ---- lists of pecks ---- */

/* What a list's statement is made of; its number among them. */
struct list_plan {
    bool is_filed, by_duckling, by_other, by_box, by_thread;
    enum { STATES_ALL, STATES_OPEN, STATES_FAILED, STATES_MIXED } states;
};

static struct list_plan plan_list(const struct pecks_filter *filter, bool is_filed)
{
    struct list_plan plan = {
        .is_filed = is_filed,
        .by_duckling = !id_is_zero(&filter->duckling),
        .by_other = !id_is_zero(&filter->with),
        .by_box = filter->box != 0,
        .by_thread = filter->thread.size != 0,
    };

    if (filter->states == 0)
        plan.states = STATES_ALL;
    else if (!(filter->states & ~OPEN_STATES))
        plan.states = STATES_OPEN;
    else if (!(filter->states & ~FAILED_STATES))
        plan.states = STATES_FAILED;
    else
        plan.states = STATES_MIXED;
    return plan;
}

static int number_of(const struct list_plan *plan)
{
    return plan->is_filed | plan->by_duckling << 1 | plan->by_other << 2 | plan->by_box << 3 |
           plan->by_thread << 4 | (int)plan->states << 5;
}

static const char *source_of(const struct list_plan *plan)
{
    if (!plan->is_filed)
        return "NOT INDEXED WHERE seq > (SELECT filed_through FROM node)";
    if (plan->by_thread)
        return "INDEXED BY peck_by_thread WHERE filed = ?8";
    if (plan->states == STATES_OPEN)
        return "INDEXED BY peck_open WHERE filed = ?8";
    if (plan->states == STATES_FAILED)
        return "INDEXED BY peck_failed WHERE filed = ?8";
    return "INDEXED BY peck_by_duckling WHERE filed = ?8";
}

static sqlite3_stmt *prepare_list(struct store_reader *reader, const struct list_plan *plan)
{
    static const char *const states[] = {
        [STATES_ALL] = "",
        [STATES_OPEN] = " AND state < 6 AND (?6 >> state) & 1",
        [STATES_FAILED] = " AND state > 5 AND state <> 7 AND (?6 >> state) & 1",
        [STATES_MIXED] = " AND (?6 >> state) & 1",
    };
    char sql[512];

    snprintf(
        sql, sizeof sql,
        "SELECT seq FROM peck %s AND seq < ?1 AND seq > ?9%s%s%s%s%s ORDER BY seq DESC LIMIT ?7",
        source_of(plan), plan->by_duckling ? " AND duckling = ?2" : "",
        plan->by_other ? " AND other = ?3" : "", plan->by_box ? " AND box = ?4" : "",
        plan->by_thread ? " AND thread = ?5" : "", states[plan->states]);
    return store_prepare(&reader->connection,
                         (enum statement)(STATEMENT_VIEW_PECKS + number_of(plan)), sql);
}

/* 0: nobody that we know. */
static int64_t number_of_identity(struct store_reader *reader, const struct id *id)
{
    sqlite3_stmt *statement = store_prepare(&reader->connection, STATEMENT_VIEW_NUMBER,
                                            "SELECT number FROM identity WHERE id = ?1");
    int64_t number = 0;

    store_bind_id(statement, 1, id);
    while (store_next_row(&reader->connection, statement))
        number = sqlite3_column_int64(statement, 0);
    return number;
}

struct list {
    const struct pecks_filter *filter;
    int64_t duckling, other;
    int64_t seqs[LIST_MAX];
    size_t count, limit;
};

/* `generation` 0: what is not filed. */
static void list_part(struct store_reader *reader, struct list *list, int64_t generation)
{
    const struct pecks_filter *filter = list->filter;
    struct list_plan plan = plan_list(filter, generation > 0);
    sqlite3_stmt *statement = prepare_list(reader, &plan);

    store_bind_number(statement, 1,
                      filter->before && filter->before < INT64_MAX ? filter->before : INT64_MAX);
    if (plan.by_duckling)
        sqlite3_bind_int64(statement, 2, list->duckling);
    if (plan.by_other)
        sqlite3_bind_int64(statement, 3, list->other);
    if (plan.by_box)
        sqlite3_bind_int(statement, 4, filter->box);
    if (plan.by_thread)
        store_bind_bytes(statement, 5, filter->thread);
    if (plan.states != STATES_ALL)
        sqlite3_bind_int64(statement, 6, filter->states);
    sqlite3_bind_int64(statement, 7, (sqlite3_int64)(list->limit - list->count));
    if (plan.is_filed)
        sqlite3_bind_int64(statement, 8, generation);
    store_bind_number(statement, 9, filter->after < INT64_MAX ? filter->after : INT64_MAX);
    while (store_next_row(&reader->connection, statement))
        if (list->count < list->limit)
            list->seqs[list->count++] = sqlite3_column_int64(statement, 0);
}

static void fill_list(struct store_reader *reader, struct list *list)
{
    bool is_known = true;

    if (!id_is_zero(&list->filter->duckling)) {
        list->duckling = number_of_identity(reader, &list->filter->duckling);
        is_known = list->duckling != 0;
    }
    if (!id_is_zero(&list->filter->with)) {
        list->other = number_of_identity(reader, &list->filter->with);
        is_known = is_known && list->other != 0;
    }
    if (!is_known)
        return;
    list_part(reader, list, 0);
    for (int64_t i = newest_generation(reader); i > 0 && list->count < list->limit; i--)
        list_part(reader, list, i);
}

size_t store_view_pecks(struct store_reader *reader, const struct pecks_filter *filter,
                        struct arena *arena, struct stored_peck *views)
{
    struct list list = {.filter = filter,
                        .limit = filter->limit < LIST_MAX ? filter->limit : LIST_MAX};
    static const struct id anyone;
    size_t count = 0;

    if (list.limit == 0 || !store_reader_begin(&reader->connection))
        return 0;
    fill_list(reader, &list);
    /* In order and without a gap, or a cursor would step over what the arena had no room for. */
    while (count < list.count && read_peck(reader, list.seqs[count], &anyone, arena, &views[count]))
        count++;
    store_reader_end(&reader->connection);
    return count;
}

/* ---- bonds ---- */

/* False: the arena is full. */
static bool copy_bond(sqlite3_stmt *statement, struct arena *arena, struct bond *bond)
{
    struct bytes scopes = arena_copy(arena, store_column_bytes(statement, 3));
    struct bytes stop_words = arena_copy(arena, store_column_bytes(statement, 12));

    if (!scopes.data || !stop_words.data)
        return false;
    store_read_bond(statement, bond);
    store_split_lines(scopes, bond->scopes, PECK_SCOPES_MAX);
    store_split_lines(stop_words, bond->terms.stop_words, BOND_STOP_WORDS_MAX);
    return true;
}

bool store_view_bond(struct store_reader *reader, const struct id *id, struct arena *arena,
                     struct bond *bond)
{
    sqlite3_stmt *statement = store_prepare(
        &reader->connection, STATEMENT_VIEW_BOND,
        "SELECT " STORE_BOND_COLUMNS " FROM bond b JOIN identity r ON r.number = b.requester "
        "JOIN identity a ON a.number = b.approver WHERE b.id = ?1");
    bool is_held = false;

    store_bind_id(statement, 1, id);
    while (store_next_row(&reader->connection, statement))
        is_held = copy_bond(statement, arena, bond);
    return is_held;
}

size_t store_view_bonds(struct store_reader *reader, const struct id *duckling, struct arena *arena,
                        struct bond *bonds, size_t max)
{
    sqlite3_stmt *statement = store_prepare(
        &reader->connection, STATEMENT_VIEW_BONDS,
        "SELECT " STORE_BOND_COLUMNS " FROM bond b JOIN identity r ON r.number = b.requester "
        "JOIN identity a ON a.number = b.approver WHERE ?1 IS NULL OR b.id IN "
        "(SELECT x.id FROM bond x JOIN identity i ON i.number = x.requester WHERE i.id = ?1 "
        "UNION SELECT x.id FROM bond x JOIN identity i ON i.number = x.approver WHERE i.id = ?1) "
        "ORDER BY b.made_ms, b.id LIMIT ?2");
    size_t count = 0;

    if (id_is_zero(duckling))
        sqlite3_bind_null(statement, 1);
    else
        store_bind_id(statement, 1, duckling);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)max);
    while (store_next_row(&reader->connection, statement)) {
        if (count < max && copy_bond(statement, arena, &bonds[count]))
            count++;
    }
    return count;
}

/* ---- identities ---- */

static struct bytes copy_one(struct store_connection *connection, sqlite3_stmt *statement,
                             struct arena *arena)
{
    struct bytes bytes = {0};

    while (store_next_row(connection, statement))
        if (sqlite3_column_type(statement, 0) == SQLITE_BLOB)
            bytes = arena_copy(arena, store_column_bytes(statement, 0));
    return bytes;
}

#define OWNER                                                                                      \
    "(SELECT number FROM identity_fresh WHERE name = ?1 UNION ALL "                                \
    "SELECT number FROM identity_filed WHERE name = ?1) n CROSS JOIN identity i "                  \
    "ON i.number = n.number AND i.id = ?2"

static sqlite3_stmt *prepare_of_owner(struct store_reader *reader, enum statement which,
                                      const char *sql, const struct id *owner)
{
    sqlite3_stmt *statement = store_prepare(&reader->directory, which, sql);

    sqlite3_bind_int64(statement, 1, store_name_number(owner->bytes));
    store_bind_id(statement, 2, owner);
    return statement;
}

static struct bytes longer(struct bytes left, struct bytes right)
{
    return left.size >= right.size ? left : right;
}

/* A chain that pecks need is in node.db, one that came with a record in directory.db; in both, and
 * one of them may have heard of a rotation first. */
struct bytes store_view_chain(struct store_reader *reader, const struct id *identity,
                              struct arena *arena)
{
    sqlite3_stmt *statement = store_prepare(&reader->connection, STATEMENT_VIEW_CHAIN,
                                            "SELECT chain FROM identity WHERE id = ?1");
    struct bytes chain;

    store_bind_id(statement, 1, identity);
    chain = copy_one(&reader->connection, statement, arena);
    if (!store_reader_has_directory(reader))
        return chain;
    statement =
        prepare_of_owner(reader, STATEMENT_VIEW_CHAIN, "SELECT i.chain FROM " OWNER, identity);
    return longer(chain, copy_one(&reader->directory, statement, arena));
}

struct bytes store_view_next_key(struct store_reader *reader, const struct id *duckling,
                                 struct arena *arena)
{
    sqlite3_stmt *statement =
        store_prepare(&reader->connection, STATEMENT_VIEW_NEXT,
                      "SELECT h.next_seed FROM hosted h JOIN identity i ON i.number = h.identity "
                      "WHERE i.id = ?1");
    struct bytes sealed;

    store_bind_id(statement, 1, duckling);
    sealed = copy_one(&reader->connection, statement, arena);
    return sealed.size == SEALED_NEXT_SIZE || !sealed.data ? sealed : bytes_of(sealed.data, 0);
}

static struct bytes view_chain_of(struct store_connection *connection, const struct id *certificate,
                                  struct arena *arena)
{
    sqlite3_stmt *statement = store_prepare(connection, STATEMENT_VIEW_CERTIFICATE,
                                            "SELECT i.chain FROM certificate c JOIN identity i "
                                            "ON i.number = c.identity WHERE c.id = ?1");

    store_bind_id(statement, 1, certificate);
    return copy_one(connection, statement, arena);
}

/* Certificate 0 has the identity's own id. */
struct bytes store_view_chain_of_certificate(struct store_reader *reader,
                                             const struct id *certificate, struct arena *arena)
{
    struct bytes chain = store_view_chain(reader, certificate, arena);

    if (chain.data)
        return chain;
    chain = view_chain_of(&reader->connection, certificate, arena);
    if (!store_reader_has_directory(reader))
        return chain;
    return longer(chain, view_chain_of(&reader->directory, certificate, arena));
}

bool store_view_has_certificate(struct store_reader *reader, const struct id *owner,
                                const struct id *certificate)
{
    sqlite3_stmt *statement;
    bool has = false;

    if (!store_reader_has_directory(reader))
        return false;
    statement = store_prepare(&reader->directory, STATEMENT_VIEW_HAS_CERTIFICATE,
                              "SELECT 1 FROM certificate c CROSS JOIN identity i "
                              "ON i.number = c.identity WHERE c.id = ?1 AND i.id = ?2");
    store_bind_id(statement, 1, certificate);
    store_bind_id(statement, 2, owner);
    while (store_next_row(&reader->directory, statement))
        has = true;
    return has;
}

struct bytes store_view_node_record(struct store_reader *reader, const struct id *node,
                                    struct arena *arena)
{
    if (!store_reader_has_directory(reader))
        return bytes_of(NULL, 0);
    return copy_one(&reader->directory,
                    prepare_of_owner(reader, STATEMENT_VIEW_NODE,
                                     "SELECT w.wire FROM " OWNER " JOIN record r ON r.number "
                                     "BETWEEN 32 * i.number AND 32 * i.number + 31 "
                                     "AND r.kind = 1 AND r.key = x'' AND r.flags & 1 = 0 "
                                     "JOIN record_wire w ON w.number = r.number",
                                     node),
                    arena);
}

struct bytes store_view_revocation(struct store_reader *reader, const struct id *identity,
                                   struct arena *arena)
{
    if (!store_reader_has_directory(reader))
        return bytes_of(NULL, 0);
    return copy_one(&reader->directory,
                    prepare_of_owner(reader, STATEMENT_VIEW_REVOCATION,
                                     "SELECT w.wire FROM " OWNER " JOIN record r ON r.number "
                                     "BETWEEN 32 * i.number AND 32 * i.number + 31 "
                                     "AND r.kind = 4 JOIN record_wire w ON w.number = r.number",
                                     identity),
                    arena);
}

size_t store_view_hosted(struct store_reader *reader, struct id *ducklings, size_t max)
{
    sqlite3_stmt *statement =
        store_prepare(&reader->connection, STATEMENT_VIEW_HOSTED,
                      "SELECT i.id FROM hosted h JOIN identity i ON i.number = h.identity "
                      "ORDER BY h.identity LIMIT ?1");
    size_t count = 0;

    sqlite3_bind_int64(statement, 1, (sqlite3_int64)max);
    while (store_next_row(&reader->connection, statement))
        if (count < max && store_column_id(statement, 0, &ducklings[count]))
            count++;
    return count;
}

bool store_view_keeps_own_key(struct store_reader *reader, const struct id *duckling)
{
    sqlite3_stmt *statement =
        store_prepare(&reader->connection, STATEMENT_VIEW_OWN_KEY,
                      "SELECT 1 FROM identity i JOIN hosted h ON h.identity = i.number "
                      "WHERE i.id = ?1 AND coalesce(length(h.seed), 0) = 0");
    bool keeps = false;

    store_bind_id(statement, 1, duckling);
    while (store_next_row(&reader->connection, statement))
        keeps = true;
    return keeps;
}
