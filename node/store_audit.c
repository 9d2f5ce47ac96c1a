/* The audit log: what a turn keeps of pecks and bonds becomes one page (or some), written in the
 * turn's own transaction, so that the log says neither more nor less than what was kept.
 *
 * A page costs a row for a whole turn. Checkpoints are signed at most once in AUDIT_CHECKPOINT_MS:
 * with the page that comes then, or when the loop finds that the last pages wait for one. */
#include "log.h"
#include "store_internal.h"

/* ---- what is noted ---- */

static struct bytes detail_of(struct store_audit *audit, struct bytes text)
{
    if (text.size > AUDIT_DETAIL_MAX)
        text.size = AUDIT_DETAIL_MAX;
    return arena_copy(&audit->memory, text);
}

/* What a bond, or a request for one, lets the other end do: one scope a line. */
static struct bytes scopes_of(struct store_audit *audit, const struct bytes *scopes, size_t count)
{
    return detail_of(audit, store_join_lines(scopes, count, &audit->memory));
}

static struct id hosted_end(const struct bond *bond, bool of_requester)
{
    return of_requester ? bond->requester : bond->approver;
}

static void note_hatch(const struct effect *effect, struct audit_entry *entry)
{
    entry->kind = AUDIT_HATCHED;
    entry->at_ms = effect->duckling->pulse_ms;
    entry->duckling = entry->subject = effect->duckling->id;
    entry->signed_hash = hash_of(effect->duckling->chain);
}

static void note_peck(struct store_audit *audit, const struct effect *effect,
                      struct audit_entry *entry)
{
    bool is_out = effect->peck.box == BOX_OUT;

    entry->kind = is_out ? AUDIT_PECK_SENT : AUDIT_PECK_RECEIVED;
    entry->at_ms = effect->peck.at_ms;
    entry->duckling = is_out ? effect->peck.from : effect->peck.to;
    entry->with = is_out ? effect->peck.to : effect->peck.from;
    entry->subject = effect->peck.id;
    entry->state = effect->peck.state;
    entry->signed_hash = effect->peck.hash;
    entry->detail =
        detail_of(audit, effect->peck.kind == PECK_ACTION ? effect->peck.action
                                                          : bytes_of_text("bond request"));
}

static void note_receipt(const struct effect *effect, struct audit_entry *entry)
{
    entry->kind = effect->receipt.box == BOX_IN ? AUDIT_RECEIPT_MADE : AUDIT_RECEIPT_CAME;
    entry->at_ms = effect->receipt.at_ms;
    entry->duckling = effect->receipt.duckling;
    entry->with = effect->receipt.with;
    entry->subject = effect->receipt.peck;
    entry->state = effect->receipt.state;
    entry->signed_hash = effect->receipt.hash;
}

/* Most changes of state come with the receipt that causes them, and are noted with it. */
static bool note_state(struct store_audit *audit, const struct effect *effect,
                       struct audit_entry *entry)
{
    enum peck_state state = effect->state.state;

    if (effect->state.box == BOX_OUT) {
        if (effect->state.by_receipt ||
            (effect->state.problem.size == 0 && state != PECK_CANCELLED && state != PECK_EXPIRED))
            return false;
        entry->kind = AUDIT_PECK_ENDED;
        entry->detail = detail_of(audit, effect->state.problem);
    } else if (effect->state.place == TRAY_LEASED) {
        entry->kind = AUDIT_HANDED_OUT;
    } else if (effect->state.place == TRAY_WITH_AGENT && effect->state.attempt > 0) {
        entry->kind = AUDIT_ACKNOWLEDGED;
    } else if (effect->state.place == TRAY_READY && effect->state.attempt > 0) {
        entry->kind = AUDIT_GIVEN_BACK;
    } else {
        return false;
    }
    entry->at_ms = effect->state.at_ms;
    entry->duckling = effect->state.duckling;
    entry->with = effect->state.with;
    entry->subject = effect->state.peck;
    entry->state = state;
    entry->attempt = effect->state.attempt;
    return true;
}

static void note_bond(struct store_audit *audit, const struct effect *effect,
                      struct audit_entry *entry)
{
    const struct bond *bond = effect->bond;
    bool is_made = effect->kind == EFFECT_KEEP_BOND;

    entry->kind = is_made ? AUDIT_BOND_MADE : AUDIT_BOND_ENDED;
    entry->at_ms = audit->at_ms;
    entry->duckling = hosted_end(bond, false);
    entry->with = hosted_end(bond, true);
    entry->subject = bond->id;
    if (is_made)
        entry->detail = scopes_of(audit, bond->scopes, bond->scope_count);
    else
        entry->detail = detail_of(audit, effect->bond_reason);
}

/* Renewals, and what was never shown, are no steps. */
static bool note_lobster(struct store_audit *audit, const struct effect *effect,
                         struct audit_entry *entry)
{
    const struct lobster *lobster = effect->lobster.lobster;
    bool is_over = effect->kind == EFFECT_DROP_LOBSTER;

    if (!effect->lobster.why || id_is_zero(&lobster->id))
        return false;
    if (is_over)
        entry->kind = AUDIT_LOBSTER_ENDED;
    else
        entry->kind = lobster->state == LOBSTER_LIVE ? AUDIT_LOBSTER_LIVE : AUDIT_LOBSTER_CONFIRMED;
    entry->at_ms = audit->at_ms;
    entry->duckling = lobster->here;
    entry->with = lobster->there;
    entry->subject = lobster->id;
    if (is_over)
        entry->detail = detail_of(audit, bytes_of_text(effect->lobster.why));
    return true;
}

static void note_revocation(struct store *store, const struct effect *effect,
                            struct audit_entry *entry)
{
    struct store_audit *audit = &store->audit;
    const struct record *record = &effect->record.item.record;
    struct revocation_content content = {0};
    struct arena arena;

    arena_init(&arena, PARSE_BUDGET(RECORD_SIZE_MAX));
    if (revocation_content_parse(record->content, &arena, &content) == RECORD_OK)
        entry->detail = detail_of(audit, content.reason);
    arena_free(&arena);
    entry->kind = AUDIT_REVOKED;
    entry->at_ms = audit->at_ms;
    entry->signed_hash = record->hash;
    if (!id_equal(&record->owner, &store->node))
        entry->duckling = entry->subject = record->owner;
}

static void note_grant(struct store_audit *audit, const struct effect *effect,
                       struct audit_entry *entry)
{
    const struct grant_change *change = effect->grant;
    char block[ID_TEXT_SIZE];

    entry->kind = change->is_revocation ? AUDIT_GRANT_REVOKED : AUDIT_GRANT_USED;
    entry->at_ms = change->at_ms;
    entry->duckling = change->root;
    entry->with = change->with;
    entry->subject = change->is_revocation ? change->block : change->peck;
    if (!change->is_revocation)
        entry->detail = detail_of(audit, bytes_of_text(id_text(ID_GRANT, &change->block, block)));
}

/* Of the node or a duckling; what ends a context is noted with the context. */
static bool is_own_revocation(const struct effect *effect)
{
    const struct offered_record *item = &effect->record.item;
    struct arena arena;
    struct chain chain;
    bool is_context;

    if (effect->kind != EFFECT_KEEP_RECORD || !effect->record.own ||
        item->record.kind != RECORD_REVOCATION)
        return false;
    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    is_context =
        chain_read(item->chain, &item->record.owner, &arena, &chain) == CERTIFICATE_TAKEN &&
        chain.kind == IDENTITY_OPERATOR;
    arena_free(&arena);
    return !is_context;
}

/* Its name, and of one that is issued its scopes: one a line. */
static bool note_context(struct store_audit *audit, const struct effect *effect,
                         struct audit_entry *entry)
{
    const struct kept_context *kept = effect->context;
    struct bytes lines[1 + CERTIFICATE_SCOPES_MAX];
    struct context context;
    struct arena arena;
    bool is_noted;

    arena_init(&arena, PARSE_BUDGET(CONTEXT_SIZE_MAX));
    is_noted = kept->why && context_read(kept->wire, &arena, &context) == CONTEXT_OK;
    if (is_noted) {
        entry->kind = kept->revoked_ms > 0 ? AUDIT_CONTEXT_REVOKED : AUDIT_CONTEXT_ISSUED;
        entry->at_ms = audit->at_ms;
        entry->duckling = kept->duckling;
        entry->subject = kept->id;
        entry->signed_hash = context.hash;
        lines[0] = context.name;
        memcpy(lines + 1, context.scopes, context.scope_count * sizeof *lines);
        entry->detail = scopes_of(audit, lines, kept->revoked_ms > 0 ? 1 : 1 + context.scope_count);
    }
    arena_free(&arena);
    return is_noted;
}

static void note_shown(struct store_audit *audit, const struct effect *effect,
                       struct audit_entry *entry)
{
    char id[ID_TEXT_SIZE];

    note_peck(audit, effect, entry);
    entry->kind = AUDIT_CONTEXT_SHOWN;
    entry->state = 0;
    entry->signed_hash = effect->peck.context->hash;
    entry->detail =
        detail_of(audit, bytes_of_text(id_text(ID_CERTIFICATE, &effect->peck.context->id, id)));
}

/* False: it is nothing that the log tells of. */
static bool note(struct store *store, const struct effect *effect, struct audit_entry *entry)
{
    struct store_audit *audit = &store->audit;

    *entry = (struct audit_entry){0};
    if (effect->kind == EFFECT_KEEP_DUCKLING)
        note_hatch(effect, entry);
    else if (effect->kind == EFFECT_KEEP_PECK)
        note_peck(audit, effect, entry);
    else if (effect->kind == EFFECT_KEEP_RECEIPT)
        note_receipt(effect, entry);
    else if (effect->kind == EFFECT_KEEP_BOND || effect->kind == EFFECT_DROP_BOND)
        note_bond(audit, effect, entry);
    else if (effect->kind == EFFECT_KEEP_GRANT)
        note_grant(audit, effect, entry);
    else if (is_own_revocation(effect))
        note_revocation(store, effect, entry);
    else if (effect->kind == EFFECT_KEEP_CONTEXT)
        return note_context(audit, effect, entry);
    else if (effect->kind == EFFECT_KEEP_LOBSTER || effect->kind == EFFECT_DROP_LOBSTER)
        return note_lobster(audit, effect, entry);
    else
        return effect->kind == EFFECT_KEEP_STATE && note_state(audit, effect, entry);
    return true;
}

/* ---- pages ---- */

static int add_page(struct store *store, uint64_t first, struct bytes body)
{
    sqlite3_stmt *statement = store_prepare(&store->connection, STATEMENT_AUDIT_PAGE_ADD,
                                            "INSERT INTO audit_page (first, body) VALUES (?1, ?2)");

    store_bind_number(statement, 1, first);
    store_bind_bytes(statement, 2, body);
    return store_run(&store->connection, statement);
}

static int close_page(struct store *store)
{
    struct store_audit *audit = &store->audit;
    struct audit_page page = {
        .node = store->node,
        .number = audit->head.page + 1,
        .first = audit->head.entries + 1,
        .previous = audit->head.hash,
        .at_ms = audit->at_ms,
        .entries = audit->entries,
        .count = audit->count,
    };
    struct bytes body;
    int fault;

    if (audit->count == 0)
        return 0;
    audit->count = 0;
    if (audit_page_pack(&page, &audit->memory, &body) != AUDIT_OK) {
        log_write(LOG_ERROR, "store", "a page of the audit log does not hold");
        return FAULT_STORE;
    }
    fault = add_page(store, page.first, body);
    if (fault)
        return fault;
    audit->head.page = page.number;
    audit->head.entries += page.count;
    audit->head.hash = audit_page_hash(body);
    audit->head.at_ms = page.at_ms;
    arena_reset(&audit->memory);
    return 0;
}

void store_audit_at(struct store *store, uint64_t wall_ms)
{
    store->audit.at_ms = wall_ms;
}

static int add_entry(struct store *store, const struct audit_entry *entry)
{
    struct store_audit *audit = &store->audit;

    audit->entries[audit->count++] = *entry;
    return audit->count == AUDIT_PAGE_ENTRIES_MAX ? close_page(store) : 0;
}

int store_audit_note(struct store *store, const struct effect *effect)
{
    struct audit_entry entry;
    int fault;

    if (!note(store, effect, &entry))
        return 0;
    fault = add_entry(store, &entry);
    if (fault || effect->kind != EFFECT_KEEP_PECK || !effect->peck.context)
        return fault;
    entry = (struct audit_entry){0};
    note_shown(&store->audit, effect, &entry);
    return add_entry(store, &entry);
}

/* ---- checkpoints ---- */

static int add_checkpoint(struct store *store, const struct audit_checkpoint *checkpoint)
{
    struct store_audit *audit = &store->audit;
    sqlite3_stmt *statement;
    struct bytes body, wire;

    if (audit_checkpoint_pack(checkpoint, &store->arena, &body) != AUDIT_OK) {
        log_write(LOG_ERROR, "store", "a checkpoint of the audit log does not hold");
        return FAULT_STORE;
    }
    wire = envelope_seal(ENVELOPE_AUDIT, &store->node, audit->key, body, &store->arena, NULL);
    statement = store_prepare(&store->connection, STATEMENT_AUDIT_CHECKPOINT_ADD,
                              "INSERT INTO audit_checkpoint (page, wire) VALUES (?1, ?2) "
                              "ON CONFLICT (page) DO UPDATE SET wire = ?2");
    store_bind_number(statement, 1, checkpoint->page);
    store_bind_bytes(statement, 2, wire);
    return store_run(&store->connection, statement);
}

static int keep_checkpoint(struct store *store, uint64_t at_ms)
{
    struct store_audit *audit = &store->audit;
    struct audit_checkpoint checkpoint = {
        .network = audit->network,
        .node = store->node,
        .page = audit->head.page,
        .page_hash = audit->head.hash,
        .entries = audit->head.entries,
        .at_ms = at_ms,
    };
    int fault;

    arena_reset(&store->arena);
    fault = add_checkpoint(store, &checkpoint);
    if (fault)
        return fault;
    audit->head.signed_page = checkpoint.page;
    audit->head.signed_ms = at_ms;
    return 0;
}

uint64_t store_audit_due_ms(const struct store *store)
{
    const struct audit_head *head = &store->audit.head;

    if (!store->audit.key || head->page == head->signed_page)
        return MOMENT_NEVER;
    return head->at_ms + AUDIT_CHECKPOINT_MS;
}

int store_audit_close(struct store *store)
{
    struct store_audit *audit = &store->audit;
    int fault = close_page(store);

    if (!fault && audit->key && audit->head.page > audit->head.signed_page &&
        audit->head.at_ms >= audit->head.signed_ms + AUDIT_CHECKPOINT_MS)
        fault = keep_checkpoint(store, audit->head.at_ms);
    return fault;
}

int store_keep_checkpoint(struct store *store, uint64_t wall_ms)
{
    int fault = store_begin_node(store);

    if (!fault)
        fault = close_page(store);
    if (!fault && store->audit.head.page > store->audit.head.signed_page)
        fault = keep_checkpoint(store, wall_ms);
    return store_note_turn_fault(store, fault);
}

/* ---- restored ---- */

/* A log that has no page yet begins behind an anchor, as one whose first pages were cut off. */
static int keep_begin(struct store *store, uint64_t wall_ms)
{
    struct store_audit *audit = &store->audit;
    struct audit_checkpoint anchor = {
        .network = audit->network,
        .node = store->node,
        .page = audit->head.page,
        .page_hash = audit->head.hash,
        .entries = audit->head.entries,
        .at_ms = wall_ms,
        .is_anchor = true,
    };

    arena_reset(&store->arena);
    return add_checkpoint(store, &anchor);
}

int store_audit_note_restore(struct store *store, uint64_t wall_ms)
{
    struct store_audit *audit = &store->audit;
    uint64_t below = wall_ms * RESTORED_PER_MS;
    bool is_empty = audit->head.page == 0;
    int fault = 0;

    if (!audit->key)
        return 0;
    store_audit_begin(store);
    if (audit->head.page < below)
        audit->head.page = below;
    if (audit->head.entries < below)
        audit->head.entries = below;
    if (is_empty) {
        audit->head.hash = hash_of(id_bytes(&store->node));
        fault = keep_begin(store, wall_ms);
    }
    audit->at_ms = wall_ms;
    audit->entries[audit->count++] = (struct audit_entry){
        .kind = AUDIT_RESTORED, .at_ms = wall_ms, .duckling = store->node, .subject = store->node};
    if (!fault)
        fault = close_page(store);
    if (!fault)
        fault = keep_checkpoint(store, wall_ms);
    if (fault)
        store_audit_undo(store);
    return fault;
}

/* ---- pruning ---- */

/* The oldest checkpoint but the anchor, if it is old enough. In the store's arena. */
static bool find_cut(struct store *store, uint64_t before_ms, struct audit_checkpoint *checkpoint)
{
    sqlite3_stmt *statement = store_prepare(
        &store->connection, STATEMENT_AUDIT_CUT,
        "SELECT wire FROM audit_checkpoint WHERE EXISTS (SELECT 1 FROM audit_page WHERE first = 1) "
        "OR page > (SELECT min(page) FROM audit_checkpoint) ORDER BY page LIMIT 1");
    struct envelope envelope;
    bool is_found = false;

    while (store_next_row(&store->connection, statement))
        is_found = envelope_parse(store_column_bytes(statement, 0), ENVELOPE_AUDIT, &store->arena,
                                  &envelope) == ENVELOPE_TAKEN &&
                   audit_checkpoint_parse(envelope.body, &store->arena, checkpoint) == AUDIT_OK &&
                   checkpoint->at_ms < before_ms;
    return is_found;
}

/* The checkpoint becomes the anchor of what is left. */
static int cut_off(struct store *store, struct audit_checkpoint *checkpoint)
{
    sqlite3_stmt *statement = store_prepare(&store->connection, STATEMENT_AUDIT_PAGES_DROP,
                                            "DELETE FROM audit_page WHERE first <= ?1");
    int fault;

    store_bind_number(statement, 1, checkpoint->entries);
    fault = store_run(&store->connection, statement);
    checkpoint->is_anchor = true;
    if (!fault)
        fault = add_checkpoint(store, checkpoint);
    if (fault)
        return fault;
    statement = store_prepare(&store->connection, STATEMENT_AUDIT_CHECKPOINTS_DROP,
                              "DELETE FROM audit_checkpoint WHERE page < ?1");
    store_bind_number(statement, 1, checkpoint->page);
    return store_run(&store->connection, statement);
}

int store_prune_audit(struct store *store, uint64_t before_ms, bool *is_done)
{
    struct audit_checkpoint checkpoint;
    int fault = store_begin_node(store);

    *is_done = !store->audit.key; /* only who can sign may cut off */
    for (int i = 0; i < STORE_AUDIT_CUTS_AT_ONCE && !fault && !*is_done; i++) {
        arena_reset(&store->arena);
        *is_done = !find_cut(store, before_ms, &checkpoint);
        fault = store->connection.fault;
        if (!fault && !*is_done)
            fault = cut_off(store, &checkpoint);
    }
    return store_note_turn_fault(store, fault);
}

/* ---- opening, and turns that never were ---- */

int store_audit_keep_signer(struct store *store, struct bytes chain)
{
    sqlite3_stmt *statement = store_prepare(&store->connection, STATEMENT_AUDIT_SIGNER,
                                            "INSERT INTO audit_signer VALUES (1, ?1) "
                                            "ON CONFLICT (one) DO UPDATE SET chain = ?1");

    store_bind_bytes(statement, 1, chain);
    return store_run(&store->connection, statement);
}

static int read_head(struct store *store)
{
    struct store_audit *audit = &store->audit;
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_AUDIT_LAST,
                      "SELECT body FROM audit_page ORDER BY first DESC LIMIT 1");
    struct audit_page page;

    while (store_next_row(&store->connection, statement)) {
        struct bytes body = store_column_bytes(statement, 0);

        if (audit_page_parse(body, &audit->memory, &page) != AUDIT_OK)
            return FAULT_CORRUPT;
        audit->head.page = page.number;
        audit->head.entries = page.first + page.count - 1;
        audit->head.hash = audit_page_hash(body);
        audit->head.at_ms = audit->at_ms = page.at_ms;
    }
    return store->connection.fault;
}

/* With no page left, what the last checkpoint says is all that there is. */
static int read_last_checkpoint(struct store *store)
{
    struct store_audit *audit = &store->audit;
    sqlite3_stmt *statement =
        store_prepare(&store->connection, STATEMENT_AUDIT_LAST_CHECKPOINT,
                      "SELECT wire FROM audit_checkpoint ORDER BY page DESC LIMIT 1");
    struct audit_checkpoint checkpoint;
    struct envelope envelope;

    while (store_next_row(&store->connection, statement)) {
        if (envelope_parse(store_column_bytes(statement, 0), ENVELOPE_AUDIT, &audit->memory,
                           &envelope) != ENVELOPE_TAKEN ||
            audit_checkpoint_parse(envelope.body, &audit->memory, &checkpoint) != AUDIT_OK)
            return FAULT_CORRUPT;
        audit->head.signed_page = checkpoint.page;
        audit->head.signed_ms = checkpoint.at_ms;
        if (audit->head.page > 0)
            continue;
        audit->head.page = checkpoint.page;
        audit->head.entries = checkpoint.entries;
        audit->head.hash = checkpoint.page_hash;
        audit->head.at_ms = audit->at_ms = checkpoint.at_ms;
    }
    return store->connection.fault;
}

int store_audit_open(struct store *store, const struct store_settings *settings)
{
    struct store_audit *audit = &store->audit;
    int fault;

    arena_init(&audit->memory, 16 * AUDIT_PAGE_SIZE_MAX);
    arena_init(&audit->kept, NETWORK_ID_MAX + 64);
    audit->key = settings->node_key;
    audit->network = arena_copy(&audit->kept, settings->network);
    store->connection.fault = 0;
    fault = read_head(store);
    if (!fault)
        fault = read_last_checkpoint(store);
    arena_reset(&audit->memory);
    if (fault == FAULT_CORRUPT)
        log_write(LOG_ERROR, "store", "the end of the audit log is damaged");
    if (!fault && audit->key)
        fault = store_audit_keep_signer(store, settings->node_chain);
    return fault;
}

void store_audit_free(struct store *store)
{
    arena_free(&store->audit.memory);
    arena_free(&store->audit.kept);
}

void store_audit_begin(struct store *store)
{
    store->audit.head_at_begin = store->audit.head;
    store->audit.count = 0;
}

void store_audit_undo(struct store *store)
{
    store->audit.head = store->audit.head_at_begin;
    store->audit.count = 0;
    arena_reset(&store->audit.memory);
}
