/* Vouchers of operators for ducklings that live here, the operators that this node trusts, and what
 * both prove of an identity: the evidence of tier.h. */
#include "store_internal.h"

/* ---- keeping ---- */

int store_keep_voucher(struct store *store, const struct effect *effect)
{
    const struct kept_voucher *kept = effect->voucher;
    int64_t duckling = store_number_identity(store, &kept->duckling, bytes_of(NULL, 0));
    sqlite3_stmt *statement;

    if (!duckling)
        return store->connection.fault;
    statement = store_prepare(&store->connection, STATEMENT_VOUCHER_KEEP,
                              "INSERT INTO voucher (duckling, operator, not_after_ms, wire, chain) "
                              "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (duckling, operator) DO "
                              "UPDATE SET not_after_ms = ?3, wire = ?4, chain = ?5");
    sqlite3_bind_int64(statement, 1, duckling);
    store_bind_id(statement, 2, &kept->operator_id);
    store_bind_number(statement, 3, kept->not_after_ms);
    store_bind_bytes(statement, 4, kept->wire);
    store_bind_bytes(statement, 5, kept->chain);
    return store_run(&store->connection, statement);
}

int store_keep_trust(struct store *store, const struct effect *effect)
{
    const struct kept_trust *kept = effect->trust;
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_TRUST_KEEP,
                      "INSERT INTO trust (operator, domain, until_ms) VALUES (?1, ?2, ?3) "
                      "ON CONFLICT (operator) DO UPDATE SET domain = ?2, until_ms = ?3");

    store_bind_id(statement, 1, &kept->operator_id);
    sqlite3_bind_text(statement, 2, kept->domain.size ? (const char *)kept->domain.data : "",
                      (int)kept->domain.size, SQLITE_STATIC);
    if (kept->until_ms == MOMENT_NEVER)
        sqlite3_bind_null(statement, 3);
    else
        store_bind_number(statement, 3, kept->until_ms);
    return store_run(&store->connection, statement);
}

int store_drop_trust(struct store *store, const struct effect *effect)
{
    sqlite3_stmt *statement = store_prepare(&store->connection, STATEMENT_TRUST_DROP,
                                            "DELETE FROM trust WHERE operator = ?1");

    store_bind_id(statement, 1, &effect->trust->operator_id);
    return store_run(&store->connection, statement);
}

/* Those that have ended are left behind, and go. */
int store_restore_vouchers(struct store *store, const struct restoring *restoring)
{
    struct store_connection *connection = &store->connection;
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(connection->database,
                                    "SELECT i.id, v.operator, v.not_after_ms, v.wire, v.chain "
                                    "FROM voucher v JOIN identity i ON i.number = v.duckling "
                                    "WHERE v.not_after_ms > ?1",
                                    -1, &statement, NULL);

    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "voucher");
    connection->fault = 0;
    store_bind_number(statement, 1, restoring->at->wall_ms);
    while (store_next_row(connection, statement)) {
        struct event event = {.kind = EVENT_RESTORED_VOUCHER, .at = *restoring->at};

        store_column_id(statement, 0, &event.voucher.duckling);
        store_column_id(statement, 1, &event.voucher.operator_id);
        event.voucher.not_after_ms = store_column_number(statement, 2);
        event.voucher.wire = store_column_bytes(statement, 3);
        event.voucher.chain = store_column_bytes(statement, 4);
        restoring->give(restoring->context, &event);
    }
    sqlite3_finalize(statement);
    return connection->fault;
}

/* What was verified when it came; what is replaced or goes takes its row with it. */
int store_replace_withdrawn(struct store *store, bool was_revocation, int64_t number,
                            const struct withdrawn *withdrawn)
{
    sqlite3_stmt *statement;
    int fault = 0;

    if (was_revocation) {
        statement = store_prepare(&store->directory, STATEMENT_WITHDRAWN_DROP,
                                  "DELETE FROM withdrawn WHERE record = ?1");
        sqlite3_bind_int64(statement, 1, number);
        fault = store_run(&store->directory, statement);
    }
    if (fault || !withdrawn || withdrawn->until_ms == 0)
        return fault;
    statement = store_prepare(&store->directory, STATEMENT_WITHDRAWN_ADD,
                              "INSERT OR REPLACE INTO withdrawn (record, operator, subject, "
                              "until_ms) VALUES (?1, ?2, ?3, ?4)");
    sqlite3_bind_int64(statement, 1, number);
    store_bind_id(statement, 2, &withdrawn->operator_id);
    store_bind_id(statement, 3, &withdrawn->subject);
    store_bind_number(statement, 4, withdrawn->until_ms);
    return store_run(&store->directory, statement);
}

int store_read_withdrawn(struct store *store, const struct id *operator_id, size_t max,
                         void (*give)(void *context, const struct withdrawn *withdrawn),
                         void *context)
{
    struct store_connection *connection = &store->directory;
    sqlite3_stmt *statement =
        store_prepare(connection, STATEMENT_WITHDRAWN_READ,
                      "SELECT subject, until_ms FROM withdrawn WHERE operator = ?1 "
                      "ORDER BY until_ms DESC LIMIT ?2");

    store_bind_id(statement, 1, operator_id);
    store_bind_number(statement, 2, max);
    while (store_next_row(connection, statement)) {
        struct withdrawn withdrawn = {.operator_id = *operator_id,
                                      .until_ms = store_column_number(statement, 1)};

        if (store_column_id(statement, 0, &withdrawn.subject))
            give(context, &withdrawn);
    }
    return connection->fault;
}

/* ---- what it proves ---- */

static bool is_trusted(struct store_connection *node, const struct id *operator_id,
                       uint64_t wall_ms, uint64_t *until_ms)
{
    sqlite3_stmt *statement = store_prepare(
        node, STATEMENT_TRUST_FIND,
        "SELECT until_ms FROM trust WHERE operator = ?1 AND coalesce(until_ms, ?2 + 1) > ?2");
    bool is_found = false;

    *until_ms = MOMENT_NEVER;
    store_bind_id(statement, 1, operator_id);
    store_bind_number(statement, 2, wall_ms);
    while (store_next_row(node, statement)) {
        is_found = true;
        if (sqlite3_column_type(statement, 0) != SQLITE_NULL)
            *until_ms = store_column_number(statement, 0);
    }
    return is_found;
}

static bool is_revoked(struct store_connection *directory, const struct id *identity)
{
    sqlite3_stmt *statement = store_prepare(
        directory, STATEMENT_TIER_REVOKED,
        "SELECT 1 FROM identity_fresh f JOIN identity i USING (number) JOIN record r "
        "ON r.number BETWEEN 32 * i.number AND 32 * i.number + 31 WHERE f.name = ?1 "
        "AND i.id = ?2 AND r.kind = 4 UNION ALL SELECT 1 FROM identity_filed f JOIN "
        "identity i USING (number) JOIN record r ON r.number BETWEEN 32 * i.number AND "
        "32 * i.number + 31 WHERE f.name = ?1 AND i.id = ?2 AND r.kind = 4");
    bool is_found = false;

    sqlite3_bind_int64(statement, 1, store_name_number(identity->bytes));
    store_bind_id(statement, 2, identity);
    while (store_next_row(directory, statement))
        is_found = true;
    return is_found;
}

/* Where it is weighed, and what there is to find out. */
struct scales {
    struct store_connection *node, *directory;
    const struct id *duckling;
    uint64_t wall_ms;
    int fault;
    struct tier_ground ground;
    struct withdrawn *withdrawn; /* where it is asked for */
    size_t withdrawn_count, withdrawn_max;
};

static void note_fault(struct scales *scales)
{
    if (!scales->fault)
        scales->fault = scales->node->fault ? scales->node->fault : scales->directory->fault;
}

static void note_end(struct scales *scales, uint64_t until_ms)
{
    if (until_ms < scales->ground.until_ms)
        scales->ground.until_ms = until_ms;
}

/* Until when vouchers of the operator for the duckling are void; 0: none is. */
static uint64_t find_withdrawn(struct scales *scales, const struct id *operator_id,
                               bool *is_crowded)
{
    sqlite3_stmt *statement = store_prepare(
        scales->directory, STATEMENT_TIER_WITHDRAWN,
        "SELECT (SELECT until_ms FROM withdrawn WHERE operator = ?1 AND subject = ?2 "
        "ORDER BY until_ms DESC LIMIT 1), (SELECT count(*) FROM (SELECT 1 FROM withdrawn "
        "WHERE operator = ?1 LIMIT ?3))");
    uint64_t until_ms = 0;

    *is_crowded = false;
    store_bind_id(statement, 1, operator_id);
    store_bind_id(statement, 2, scales->duckling);
    store_bind_number(statement, 3, WITHDRAWALS_PER_OPERATOR_MAX + 1);
    while (store_next_row(scales->directory, statement)) {
        if (sqlite3_column_type(statement, 0) != SQLITE_NULL)
            until_ms = store_column_number(statement, 0);
        *is_crowded = store_column_number(statement, 1) > WITHDRAWALS_PER_OPERATOR_MAX;
    }
    return until_ms;
}

static enum vouching weigh_voucher(struct scales *scales, const struct id *operator_id,
                                   uint64_t issued_ms, uint64_t *until_ms, uint64_t *withdrawn_ms)
{
    uint64_t trusted_until_ms;
    bool is_crowded;

    if (!is_trusted(scales->node, operator_id, scales->wall_ms, &trusted_until_ms))
        return VOUCHING_UNTRUSTED;
    if (is_revoked(scales->directory, operator_id))
        return VOUCHING_REVOKED;
    *withdrawn_ms = find_withdrawn(scales, operator_id, &is_crowded);
    if (issued_ms <= *withdrawn_ms)
        return VOUCHING_WITHDRAWN;
    if (is_crowded)
        return VOUCHING_CROWDED;
    if (trusted_until_ms < *until_ms)
        *until_ms = trusted_until_ms;
    return VOUCHING_GOOD;
}

static void note_withdrawn(struct scales *scales, const struct id *operator_id, uint64_t at_ms)
{
    struct withdrawn withdrawn = {*operator_id, *scales->duckling, at_ms};

    scales->ground.withdrawn = withdrawn;
    if (scales->withdrawn_count < scales->withdrawn_max)
        scales->withdrawn[scales->withdrawn_count++] = withdrawn;
}

/* Of several the best counts, and of the good the one that lives longest. */
static void weigh_vouchers(struct scales *scales)
{
    sqlite3_stmt *statement = store_prepare(scales->directory, STATEMENT_TIER_VOUCHERS,
                                            "SELECT subject, not_after_ms, issued_ms FROM bonded "
                                            "WHERE owner = ?1 AND not_after_ms > ?2 "
                                            "AND issued_ms IS NOT NULL");
    uint64_t good_until_ms = 0, withdrawn_ms = 0;
    struct id operator_id;

    store_bind_id(statement, 1, scales->duckling);
    store_bind_number(statement, 2, scales->wall_ms);
    while (store_next_row(scales->directory, statement)) {
        uint64_t until_ms = store_column_number(statement, 1);
        enum vouching vouching;

        if (!store_column_id(statement, 0, &operator_id))
            continue;
        vouching = weigh_voucher(scales, &operator_id, store_column_number(statement, 2), &until_ms,
                                 &withdrawn_ms);
        note_fault(scales);
        if (vouching == VOUCHING_WITHDRAWN)
            note_withdrawn(scales, &operator_id, withdrawn_ms);
        if (vouching > scales->ground.vouching)
            scales->ground.vouching = vouching;
        if (vouching == VOUCHING_GOOD && until_ms > good_until_ms)
            good_until_ms = until_ms;
        if (scales->ground.operator_count < RECORDS_PER_OWNER_MAX)
            scales->ground.operators[scales->ground.operator_count++] = operator_id;
    }
    note_fault(scales);
    if (scales->ground.vouching == VOUCHING_GOOD)
        note_end(scales, good_until_ms);
}

static bool weigh_bonds(struct scales *scales)
{
    sqlite3_stmt *statement =
        store_prepare(scales->directory, STATEMENT_TIER_BONDED,
                      "SELECT one.subject, min(one.not_after_ms, other.not_after_ms) AS until_ms "
                      "FROM bonded one JOIN bonded other ON other.owner = one.subject "
                      "AND other.subject = one.owner WHERE one.owner = ?1 "
                      "AND one.not_after_ms > ?2 AND other.not_after_ms > ?2 "
                      "ORDER BY until_ms DESC LIMIT 1");
    bool is_found = false;

    store_bind_id(statement, 1, scales->duckling);
    store_bind_number(statement, 2, scales->wall_ms);
    while (store_next_row(scales->directory, statement)) {
        is_found = store_column_id(statement, 0, &scales->ground.bonded_with);
        note_end(scales, store_column_number(statement, 1));
    }
    note_fault(scales);
    return is_found;
}

/* Both ends say it of each other, and of the same bind. */
static bool weigh_binds(struct scales *scales)
{
    sqlite3_stmt *statement =
        store_prepare(scales->directory, STATEMENT_TIER_BOUND,
                      "SELECT one.subject, min(one.not_after_ms, other.not_after_ms) AS until_ms "
                      "FROM bound one JOIN bound other ON other.owner = one.subject "
                      "AND other.subject = one.owner AND other.proof = one.proof "
                      "WHERE one.owner = ?1 AND one.not_after_ms > ?2 "
                      "AND other.not_after_ms > ?2 ORDER BY until_ms DESC LIMIT 1");
    bool is_found = false;

    store_bind_id(statement, 1, scales->duckling);
    store_bind_number(statement, 2, scales->wall_ms);
    while (store_next_row(scales->directory, statement)) {
        is_found = store_column_id(statement, 0, &scales->ground.bound_with);
        note_end(scales, store_column_number(statement, 1));
    }
    note_fault(scales);
    return is_found;
}

static bool weigh_host(struct scales *scales, int64_t identity)
{
    sqlite3_stmt *statement =
        store_prepare(scales->directory, STATEMENT_TIER_HOST,
                      "SELECT not_after_ms FROM record WHERE number BETWEEN ?1 AND ?2 "
                      "AND kind = 2 AND host IS NOT NULL AND not_after_ms > ?3");
    bool is_found = false;

    sqlite3_bind_int64(statement, 1, identity * STORE_RECORDS_OF_IDENTITY);
    sqlite3_bind_int64(statement, 2,
                       identity * STORE_RECORDS_OF_IDENTITY + STORE_RECORDS_OF_IDENTITY - 1);
    store_bind_number(statement, 3, scales->wall_ms);
    while (store_next_row(scales->directory, statement)) {
        is_found = true;
        note_end(scales, store_column_number(statement, 0));
    }
    note_fault(scales);
    return is_found;
}

/* Does this node's own end stand: a bond that nobody ended, a voucher that it publishes? (Its own record is
 * published at each start.) */
static unsigned find_standing(struct scales *scales)
{
    sqlite3_stmt *statement = store_prepare(
        scales->node, STATEMENT_TIER_STANDS,
        "SELECT EXISTS (SELECT 1 FROM bond b WHERE b.requester = i.number AND b.not_after_ms > ?2) "
        "OR EXISTS (SELECT 1 FROM bond b WHERE b.approver = i.number AND b.not_after_ms > ?2), "
        "EXISTS (SELECT 1 FROM voucher v WHERE v.duckling = i.number AND v.not_after_ms > ?2) "
        "FROM identity i WHERE i.id = ?1");
    unsigned standing = 0;

    store_bind_id(statement, 1, scales->duckling);
    store_bind_number(statement, 2, scales->wall_ms);
    while (store_next_row(scales->node, statement)) {
        standing |= sqlite3_column_int(statement, 0) ? 1u << TIER_PIECE_BONDED : 0;
        standing |= sqlite3_column_int(statement, 1) ? 1u << TIER_PIECE_VOUCHED : 0;
    }
    note_fault(scales);
    return standing;
}

/* A directory that was made anew has not heard of all yet, for as long as records live that it may have had. What
 * it does not have is no proof; what it has, that an operator is revoked or took back, is. */
static unsigned find_unproven(struct scales *scales, const struct store *store,
                              const struct tier_evidence *evidence)
{
    uint64_t whole_ms = (uint64_t)store->directory_made_ms + RECORD_LIFE_MS;
    unsigned unproven;

    if (scales->wall_ms >= whole_ms)
        return 0;
    unproven = find_standing(scales) & ~tier_pieces(evidence);
    if (scales->ground.vouching != VOUCHING_NONE)
        unproven &= ~(1u << TIER_PIECE_VOUCHED);
    if (unproven)
        note_end(scales, whole_ms);
    return unproven;
}

int store_weigh_hosted(struct store *store, const struct id *duckling, uint64_t wall_ms,
                       struct tier_evidence *evidence, struct tier_ground *ground)
{
    struct scales scales = {.node = &store->connection,
                            .directory = &store->directory,
                            .duckling = duckling,
                            .wall_ms = wall_ms,
                            .ground = {.until_ms = MOMENT_NEVER}};
    size_t chain_size;
    int64_t identity;

    *evidence = (struct tier_evidence){0};
    *ground = scales.ground;
    store->connection.fault = store->directory.fault = 0;
    identity = store_owner_find(store, duckling, &chain_size);
    note_fault(&scales);
    if (!scales.fault && is_revoked(&store->directory, duckling))
        return 0;
    note_fault(&scales);
    if (scales.fault)
        return scales.fault;
    evidence->certificate_holds = true; /* it was made here */
    evidence->is_hosted = identity && weigh_host(&scales, identity);
    evidence->is_bonded = identity && weigh_bonds(&scales);
    if (identity)
        weigh_vouchers(&scales);
    evidence->is_vouched = scales.ground.vouching == VOUCHING_GOOD;
    evidence->is_bound = evidence->is_vouched && weigh_binds(&scales);
    if (!scales.fault)
        scales.ground.unproven = find_unproven(&scales, store, evidence);
    if (scales.fault)
        *evidence = (struct tier_evidence){0};
    else
        *ground = scales.ground;
    return scales.fault;
}

int store_weigh(struct store *store, const struct id *duckling, uint64_t wall_ms,
                struct tier_evidence *evidence)
{
    struct tier_ground ground;
    int fault = store_weigh_hosted(store, duckling, wall_ms, evidence, &ground);

    evidence->certificate_holds = false;
    return fault;
}

/* ---- what was told of it ---- */

int store_keep_tier(struct store *store, const struct effect *effect)
{
    int64_t number = store_number_identity(store, &effect->tier.duckling, bytes_of(NULL, 0));
    sqlite3_stmt *statement;

    if (!number)
        return store->connection.fault;
    statement =
        store_prepare(&store->connection, STATEMENT_TIER_KEEP,
                      "UPDATE hosted SET told_tier = ?2, told_pieces = ?3 WHERE identity = ?1");
    sqlite3_bind_int64(statement, 1, number);
    sqlite3_bind_int(statement, 2, effect->tier.tier);
    store_bind_number(statement, 3, effect->tier.pieces);
    return store_run(&store->connection, statement);
}

int store_read_told_tiers(struct store *store,
                          void (*give)(void *context, const struct told_tier *told), void *context)
{
    struct store_connection *connection = &store->connection;
    sqlite3_stmt *statement =
        store_prepare(connection, STATEMENT_TIERS_TOLD,
                      "SELECT i.id, h.told_tier, h.told_pieces FROM hosted h JOIN identity i "
                      "ON i.number = h.identity ORDER BY h.identity");

    while (store_next_row(connection, statement)) {
        struct told_tier told = {.is_told = sqlite3_column_type(statement, 1) != SQLITE_NULL,
                                 .tier = sqlite3_column_int(statement, 1),
                                 .pieces = (unsigned)store_column_number(statement, 2)};

        if (store_column_id(statement, 0, &told.duckling))
            give(context, &told);
    }
    return connection->fault;
}

/* ---- readers ---- */

bool store_view_vouched(struct store_reader *reader, const struct id *duckling, uint64_t wall_ms)
{
    struct scales scales = {.node = &reader->connection,
                            .directory = &reader->directory,
                            .duckling = duckling,
                            .wall_ms = wall_ms};

    if (!store_reader_has_directory(reader))
        return false;
    weigh_vouchers(&scales);
    return !scales.fault && scales.ground.vouching == VOUCHING_GOOD;
}

bool store_view_bound(struct store_reader *reader, const struct id *duckling, uint64_t wall_ms)
{
    struct scales scales = {.node = &reader->connection,
                            .directory = &reader->directory,
                            .duckling = duckling,
                            .wall_ms = wall_ms};

    return store_reader_has_directory(reader) && weigh_binds(&scales) && !scales.fault;
}

size_t store_view_withdrawn(struct store_reader *reader, const struct id *duckling,
                            uint64_t wall_ms, struct withdrawn *withdrawn, size_t max)
{
    struct scales scales = {.node = &reader->connection,
                            .directory = &reader->directory,
                            .duckling = duckling,
                            .wall_ms = wall_ms,
                            .withdrawn = withdrawn,
                            .withdrawn_max = max};

    if (!store_reader_has_directory(reader))
        return 0;
    weigh_vouchers(&scales);
    return scales.fault ? 0 : scales.withdrawn_count;
}

size_t store_view_trust(struct store_reader *reader, struct arena *arena,
                        struct kept_trust *trusted, size_t max)
{
    sqlite3_stmt *statement =
        store_prepare(&reader->connection, STATEMENT_VIEW_TRUST,
                      "SELECT operator, domain, until_ms FROM trust ORDER BY domain, operator");
    size_t count = 0;

    reader->connection.fault = 0;
    while (store_next_row(&reader->connection, statement)) {
        if (count == max)
            continue;
        store_column_id(statement, 0, &trusted[count].operator_id);
        trusted[count].domain = arena_copy(arena, store_column_bytes(statement, 1));
        trusted[count].until_ms = sqlite3_column_type(statement, 2) == SQLITE_NULL
                                      ? MOMENT_NEVER
                                      : store_column_number(statement, 2);
        count++;
    }
    return count;
}
