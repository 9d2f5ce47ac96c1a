/* Records as they came, and beside those of ducklings what searches need: their host, their
 * capabilities, their words; beside attestations of bonds, who and whom.
 *
 * Measured by tests/bench/bench_cache.c (ducklings of three capabilities, a name and a bio of 15
 * words; turns of 512), us of processor time a record. */
#include "log.h"
#include "store_internal.h"

#include <stdio.h>

#define SIDE_MEMORY (2 * PARSE_BUDGET(RECORD_SIZE_MAX))
#define HOST_TAG_SIZE (1 + 2 * ID_SIZE)

/* A record that is held, with its bytes where they are needed. */
struct held_record {
    int64_t number; /* 0: none */
    struct hash hash;
    uint32_t kind;
    bool deleted;
};

/* ---- what searches need ---- */

/* Of a duckling: what stands in `tag` and in `word`. Empty: it is not to be found. */
struct sides {
    struct bytes tags, words;
};

static struct bytes join_tags(struct bytes capabilities, const struct id *host, struct arena *arena)
{
    size_t size = capabilities.size + 1 + HOST_TAG_SIZE;
    char *tags = arena_take(arena, size + 1);

    if (!tags)
        return bytes_of(NULL, 0);
    snprintf(tags, size + 1, "%.*s\n@", (int)capabilities.size, (const char *)capabilities.data);
    for (size_t i = 0; i < ID_SIZE; i++)
        snprintf(tags + capabilities.size + 2 + 2 * i, 3, "%02x", host->bytes[i]);
    return bytes_of(tags, size);
}

static struct bytes join_words(const struct duckling_content *content, struct bytes capabilities,
                               struct arena *arena)
{
    struct bytes lines[] = {content->display_name, content->bio, capabilities};

    return store_join_lines(lines, 3, arena);
}

static struct sides sides_of(const struct record *record, struct arena *arena)
{
    struct duckling_content content;
    struct sides sides = {0};
    struct bytes capabilities;

    if (record->kind != RECORD_DUCKLING || record->deleted ||
        duckling_content_parse(record->content, arena, &content) != RECORD_OK)
        return sides;
    capabilities = store_join_lines(content.capabilities, content.capability_count, arena);
    sides.tags = join_tags(capabilities, &content.host, arena);
    sides.words = join_words(&content, capabilities, arena);
    return sides;
}

static int write_words(struct store *store, enum statement which, const char *sql, int64_t number,
                       struct bytes words)
{
    sqlite3_stmt *statement = store_prepare(&store->directory, which, sql);

    sqlite3_bind_int64(statement, 1, number);
    sqlite3_bind_text64(statement, 2, words.size ? (const char *)words.data : "", words.size,
                        SQLITE_STATIC, SQLITE_UTF8);
    return store_run(&store->directory, statement);
}

/* A refreshed record mostly says what the one before said; then nothing is to be done. A word that
 * is taken out has to be named: the tables hold no text. */
static int change_sides(struct store *store, int64_t number, const struct sides *old,
                        const struct sides *new)
{
    int fault = 0;

    if (old->tags.size > 0 && !bytes_equal(old->tags, new->tags))
        fault = write_words(store, STATEMENT_TAG_DROP,
                            "INSERT INTO tag (tag, rowid, tags) VALUES ('delete', ?1, ?2)", number,
                            old->tags);
    if (!fault && old->words.size > 0 && !bytes_equal(old->words, new->words))
        fault = write_words(store, STATEMENT_WORD_DROP,
                            "INSERT INTO word (word, rowid, words) VALUES ('delete', ?1, ?2)",
                            number, old->words);
    if (!fault && new->tags.size > 0 && !bytes_equal(old->tags, new->tags))
        fault = write_words(store, STATEMENT_TAG_ADD,
                            "INSERT INTO tag (rowid, tags) VALUES (?1, ?2)", number, new->tags);
    if (!fault && new->words.size > 0 && !bytes_equal(old->words, new->words))
        fault = write_words(store, STATEMENT_WORD_ADD,
                            "INSERT INTO word (rowid, words) VALUES (?1, ?2)", number, new->words);
    return fault;
}

/* Whom the record says to be bonded with its owner, or which operator to vouch for it. */
static bool read_bonded(const struct record *record, struct arena *arena, struct id *subject)
{
    struct attestation_content content;

    if (record->kind != RECORD_ATTESTATION || record->deleted ||
        attestation_content_parse(record->content, arena, &content) != RECORD_OK ||
        (!bytes_equal(content.claim, bytes_of_text(CLAIM_BONDED)) &&
         !bytes_equal(content.claim, bytes_of_text(CLAIM_OPERATOR_VERIFIED))))
        return false;
    *subject = content.subject;
    return true;
}

static int write_bonded(struct store *store, enum statement which, const char *sql,
                        const struct record *record, int64_t number)
{
    sqlite3_stmt *statement;
    struct id subject;

    if (!read_bonded(record, &store->arena, &subject))
        return 0;
    statement = store_prepare(&store->directory, which, sql);
    store_bind_id(statement, 1, &record->owner);
    store_bind_id(statement, 2, &subject);
    sqlite3_bind_int64(statement, 3, number);
    if (which == STATEMENT_BONDED_ADD)
        store_bind_number(statement, 4, record->not_after_ms);
    return store_run(&store->directory, statement);
}

static sqlite3_stmt *prepare_wire(struct store *store, int64_t number)
{
    sqlite3_stmt *statement = store_prepare(&store->directory, STATEMENT_WIRE_READ,
                                            "SELECT wire FROM record_wire WHERE number = ?1");

    sqlite3_bind_int64(statement, 1, number);
    return statement;
}

/* The record at `number`, parsed into the store's arena. False: it is not there, or not whole. */
static bool read_held(struct store *store, int64_t number, struct record *record)
{
    sqlite3_stmt *statement = prepare_wire(store, number);
    struct bytes wire = {0};
    struct envelope envelope;

    while (store_next_row(&store->directory, statement))
        wire = arena_copy(&store->arena, store_column_bytes(statement, 0));
    return wire.data &&
           envelope_parse(wire, ENVELOPE_RECORD, &store->arena, &envelope) == ENVELOPE_TAKEN &&
           record_parse(envelope.body, &store->arena, record) == RECORD_OK;
}

/* `new` NULL: the record goes. */
static int replace_sides(struct store *store, const struct held_record *held, int64_t number,
                         const struct record *new)
{
    struct record old;
    struct sides before = {0}, after = {0};
    int fault = 0;

    arena_reset(&store->arena);
    if (held->number && !held->deleted &&
        (held->kind == RECORD_DUCKLING || held->kind == RECORD_ATTESTATION) &&
        read_held(store, number, &old)) {
        before = sides_of(&old, &store->arena);
        fault = write_bonded(store, STATEMENT_BONDED_DROP,
                             "DELETE FROM bonded WHERE owner = ?1 AND subject = ?2 AND record = ?3",
                             &old, number);
    }
    if (!fault)
        fault = store->directory.fault;
    if (!fault && new) {
        after = sides_of(new, &store->arena);
        fault = write_bonded(store, STATEMENT_BONDED_ADD,
                             "INSERT OR REPLACE INTO bonded (owner, subject, record, not_after_ms) "
                             "VALUES (?1, ?2, ?3, ?4)",
                             new, number);
    }
    return fault ? fault : change_sides(store, number, &before, &after);
}

/* ---- numbers ---- */

/* Which hash has which number. Read where it is first needed; a restore fills it in passing. */
static int load_numbers(struct store *store)
{
    struct store_connection *connection = &store->directory;
    sqlite3_stmt *statement = NULL;
    int result;

    if (store->numbers.is_loaded)
        return 0;
    result = sqlite3_prepare_v2(connection->database, "SELECT number, hash FROM record", -1,
                                &statement, NULL);
    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "numbers");
    record_numbers_free(&store->numbers);
    connection->fault = 0;
    while (store_next_row(connection, statement)) {
        struct bytes hash = store_column_bytes(statement, 1);

        if (hash.size == HASH_SIZE)
            record_numbers_add(&store->numbers, (const struct hash *)(const void *)hash.data,
                               sqlite3_column_int64(statement, 0));
    }
    sqlite3_finalize(statement);
    store->numbers.is_loaded = connection->fault == 0;
    return connection->fault;
}

static void change_number(struct store *store, const struct held_record *held,
                          const struct hash *hash, int64_t number)
{
    if (!store->numbers.is_loaded)
        return;
    if (held->number)
        record_numbers_drop(&store->numbers, &held->hash, held->number);
    if (hash)
        record_numbers_add(&store->numbers, hash, number);
}

/* The owner's record of this kind and key, and the lowest number that is free. */
static void find_held(struct store *store, int64_t identity, const struct record *record,
                      struct held_record *held, int64_t *number)
{
    sqlite3_stmt *statement = store_prepare(&store->directory, STATEMENT_RECORDS_OF_OWNER,
                                            "SELECT number, hash, kind, key, flags FROM record "
                                            "WHERE number BETWEEN ?1 AND ?2 ORDER BY number");
    int64_t first = identity * STORE_RECORDS_OF_IDENTITY;

    *number = first;
    sqlite3_bind_int64(statement, 1, first);
    sqlite3_bind_int64(statement, 2, first + STORE_RECORDS_OF_IDENTITY - 1);
    while (store_next_row(&store->directory, statement)) {
        int64_t at = sqlite3_column_int64(statement, 0);
        struct bytes hash = store_column_bytes(statement, 1);

        *number += *number == at && !held->number;
        if (store_column_number(statement, 2) != record->kind || hash.size != HASH_SIZE ||
            !bytes_equal(store_column_bytes(statement, 3), record->key))
            continue;
        held->number = *number = at;
        held->kind = record->kind;
        held->deleted = sqlite3_column_int(statement, 4) & STORE_DELETED;
        memcpy(held->hash.bytes, hash.data, HASH_SIZE);
    }
}

/* ---- keeping ---- */

static int write_head(struct store *store, const struct record *record, int64_t number)
{
    sqlite3_stmt *statement = store_prepare(
        &store->directory, STATEMENT_RECORD_ADD,
        "INSERT OR REPLACE INTO record (number, hash, owner, kind, key, version_ms, version_count, "
        "not_after_ms, flags, host) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    struct duckling_content content = {0};
    bool is_duckling =
        record->kind == RECORD_DUCKLING && !record->deleted &&
        duckling_content_parse(record->content, &store->arena, &content) == RECORD_OK;

    sqlite3_bind_int64(statement, 1, number);
    sqlite3_bind_blob(statement, 2, record->hash.bytes, HASH_SIZE, SQLITE_STATIC);
    store_bind_id(statement, 3, &record->owner);
    store_bind_number(statement, 4, record->kind);
    store_bind_bytes(statement, 5, record->key);
    store_bind_number(statement, 6, record->version.ms);
    store_bind_number(statement, 7, record->version.count);
    store_bind_number(statement, 8, record->not_after_ms);
    sqlite3_bind_int(statement, 9,
                     (record->deleted ? STORE_DELETED : 0) |
                         (content.accepts_pecks ? STORE_ACCEPTS_PECKS : 0));
    if (is_duckling)
        store_bind_id(statement, 10, &content.host);
    else
        sqlite3_bind_null(statement, 10);
    return store_run(&store->directory, statement);
}

static int write_wire(struct store *store, int64_t number, struct bytes wire)
{
    sqlite3_stmt *statement =
        store_prepare(&store->directory, STATEMENT_WIRE_ADD,
                      "INSERT OR REPLACE INTO record_wire (number, wire) VALUES (?1, ?2)");

    sqlite3_bind_int64(statement, 1, number);
    store_bind_bytes(statement, 2, wire);
    return store_run(&store->directory, statement);
}

/* More than its numbers no owner has: the directory takes RECORDS_PER_OWNER_MAX. */
_Static_assert(RECORDS_PER_OWNER_MAX < STORE_RECORDS_OF_IDENTITY, "one is free for what comes");

int store_keep_record(struct store *store, const struct effect *effect)
{
    const struct offered_record *item = &effect->record.item;
    const struct record *record = &item->record;
    struct held_record held = {0};
    bool is_new = false;
    int64_t identity, number;
    int fault;

    identity = store_owner_keep(store, &record->owner, item->chain, &is_new);
    number = identity * STORE_RECORDS_OF_IDENTITY;
    if (identity && !is_new)
        find_held(store, identity, record, &held, &number);
    if (!identity || store->directory.fault)
        return store->directory.fault;
    if (number >= (identity + 1) * STORE_RECORDS_OF_IDENTITY) {
        log_write(LOG_ERROR, "store", "an owner has more records than the directory takes");
        return 0;
    }
    fault = replace_sides(store, &held, number, record);
    if (!fault)
        fault = write_head(store, record, number);
    if (!fault)
        fault = write_wire(store, number, item->wire);
    if (!fault)
        change_number(store, &held, &record->hash, number);
    if (!fault && effect->record.own)
        fault = store_keep_floor(store, record->version);
    return fault;
}

/* ---- dropping ---- */

static bool has_name(struct store *store, int64_t number, const struct hash *hash,
                     struct held_record *held, struct id *owner)
{
    sqlite3_stmt *statement =
        store_prepare(&store->directory, STATEMENT_RECORD_NAME,
                      "SELECT owner, kind, flags FROM record WHERE number = ?1 AND hash = ?2");
    bool is_it = false;

    sqlite3_bind_int64(statement, 1, number);
    sqlite3_bind_blob(statement, 2, hash->bytes, HASH_SIZE, SQLITE_STATIC);
    while (store_next_row(&store->directory, statement)) {
        is_it = store_column_id(statement, 0, owner);
        held->number = number;
        held->hash = *hash;
        held->kind = (uint32_t)store_column_number(statement, 1);
        held->deleted = sqlite3_column_int(statement, 2) & STORE_DELETED;
    }
    return is_it;
}

static bool find_hash(struct store *store, const struct hash *hash, struct held_record *held,
                      struct id *owner)
{
    size_t at = 0;
    int64_t number;

    if (load_numbers(store))
        return false;
    while ((number = record_numbers_next(&store->numbers, hash, &at)) > 0)
        if (has_name(store, number, hash, held, owner))
            return true;
    return false;
}

static int drop_rows(struct store *store, int64_t number)
{
    static const struct {
        enum statement which;
        const char *sql;
    } drops[] = {
        {STATEMENT_RECORD_DROP, "DELETE FROM record WHERE number = ?1"},
        {STATEMENT_WIRE_DROP, "DELETE FROM record_wire WHERE number = ?1"},
    };
    int fault = 0;

    for (size_t i = 0; i < sizeof drops / sizeof *drops && !fault; i++) {
        sqlite3_stmt *statement = store_prepare(&store->directory, drops[i].which, drops[i].sql);

        sqlite3_bind_int64(statement, 1, number);
        fault = store_run(&store->directory, statement);
    }
    return fault;
}

/* Whoever is known by records alone goes with the last one, or gossip could fill the disk. */
static int drop_idle_owner(struct store *store, int64_t identity, const struct id *owner)
{
    static const struct record none;
    struct held_record held = {0};
    int64_t number;

    find_held(store, identity, &none, &held, &number);
    if (store->directory.fault || number > identity * STORE_RECORDS_OF_IDENTITY)
        return store->directory.fault;
    return store_owner_drop(store, identity, owner);
}

/* By hash: one that was replaced meanwhile is not there, and its successor stays. */
int store_drop_record(struct store *store, const struct effect *effect)
{
    struct held_record held = {0};
    struct id owner;
    int fault;

    store->directory.fault = 0;
    if (!find_hash(store, &effect->record.dropped, &held, &owner))
        return store->directory.fault;
    fault = store_keep_mark(store, held.number, effect->record.mark_until_ms);
    if (!fault)
        fault = replace_sides(store, &held, held.number, NULL);
    if (!fault)
        fault = drop_rows(store, held.number);
    if (fault)
        return fault;
    change_number(store, &held, NULL, 0);
    return drop_idle_owner(store, held.number / STORE_RECORDS_OF_IDENTITY, &owner);
}

/* ---- reading ---- */

int store_find_wire(struct store *store, const struct hash *hash, struct arena *arena,
                    struct bytes *wire)
{
    struct held_record held = {0};
    sqlite3_stmt *statement;
    struct id owner;

    *wire = bytes_of(NULL, 0);
    store->directory.fault = 0;
    if (!find_hash(store, hash, &held, &owner))
        return store->directory.fault;
    statement = prepare_wire(store, held.number);
    while (store_next_row(&store->directory, statement))
        *wire = arena_copy(arena, store_column_bytes(statement, 0));
    return store->directory.fault;
}

/* A disk may have turned a bit since. Whoever passed that on would be taken for a forger. */
static bool is_still(struct bytes wire, const struct hash *hash, struct arena *arena)
{
    struct envelope envelope;

    return envelope_parse(wire, ENVELOPE_RECORD, arena, &envelope) == ENVELOPE_TAKEN &&
           hash_equal(&envelope.hash, hash);
}

static bool read_record(struct store *store, const struct hash *hash, struct arena *arena,
                        struct bytes *wire, struct bytes *chain)
{
    sqlite3_stmt *statement;
    struct held_record held = {0};
    struct id owner;

    if (!find_hash(store, hash, &held, &owner))
        return false;
    statement = store_prepare(&store->directory, STATEMENT_RECORD_READ,
                              "SELECT w.wire, i.chain FROM record_wire w CROSS JOIN identity i "
                              "ON i.number = w.number / 32 WHERE w.number = ?1");
    sqlite3_bind_int64(statement, 1, held.number);
    *wire = *chain = bytes_of(NULL, 0);
    while (store_next_row(&store->directory, statement)) {
        *wire = arena_copy(arena, store_column_bytes(statement, 0));
        *chain = arena_copy(arena, store_column_bytes(statement, 1));
    }
    if (!wire->data || !chain->data)
        return false; /* the arena is full: who asked asks again */
    if (is_still(*wire, hash, arena))
        return true;
    log_write(LOG_ERROR, "store", "%s holds a record that is not what it was",
              store->directory_path);
    store->directory.is_io_broken = true; /* made anew with the next turn: the network has it all */
    return false;
}

int store_read_records(struct store *store, const struct hash *hashes, size_t count,
                       struct arena *arena, struct bytes *wires, struct bytes *chains,
                       size_t *found)
{
    *found = 0;
    store->directory.fault = 0;
    if (!store->directory.database)
        return 0;
    for (size_t i = 0; i < count && !store->directory.fault; i++)
        *found += read_record(store, &hashes[i], arena, &wires[*found], &chains[*found]);
    return store->directory.fault;
}

/* ---- restoring ---- */

#define COLUMNS                                                                                    \
    "r.number, r.hash, r.owner, r.kind, r.key, r.version_ms, r.version_count, "                    \
    "r.not_after_ms, r.flags, r.host"

/* What the directory in memory needs of a duckling, without its words. */
static struct bytes brief_content(sqlite3_stmt *statement, int flags, struct arena *arena)
{
    struct duckling_content content = {
        .display_name = bytes_of_text("-"), /* there has to be one */
        .accepts_pecks = flags & STORE_ACCEPTS_PECKS,
    };

    if (!store_column_id(statement, 9, &content.host))
        return bytes_of(NULL, 0);
    return duckling_content_pack(&content, arena);
}

/* Its bytes are read where the content matters: addresses of nodes, their counters. */
static bool read_whole(struct store *store, int64_t number, struct record *record)
{
    arena_reset(&store->arena);
    return read_held(store, number, record);
}

static void restore_record(struct store *store, sqlite3_stmt *statement,
                           const struct restoring *restoring, struct arena *arena)
{
    struct event event = {.kind = EVENT_RESTORED_RECORD, .at = *restoring->at};
    struct record *record = &event.restored.record;
    int64_t number = sqlite3_column_int64(statement, 0);
    struct bytes hash = store_column_bytes(statement, 1);
    int flags = sqlite3_column_int(statement, 8);

    record->kind = (uint32_t)store_column_number(statement, 3);
    if (hash.size != HASH_SIZE || !store_column_id(statement, 2, &record->owner))
        return;
    memcpy(record->hash.bytes, hash.data, HASH_SIZE);
    record_numbers_add(&store->numbers, &record->hash, number);
    record->key = store_column_bytes(statement, 4);
    record->version.ms = store_column_number(statement, 5);
    record->version.count = (uint32_t)store_column_number(statement, 6);
    record->not_after_ms = store_column_number(statement, 7);
    record->deleted = flags & STORE_DELETED;
    arena_reset(arena);
    if (record->deleted || record->kind == RECORD_DUCKLING)
        record->content =
            record->deleted ? bytes_of(NULL, 0) : brief_content(statement, flags, arena);
    else if ((record->kind == RECORD_NODE || record->kind == RECORD_METRICS) &&
             !read_whole(store, number, record)) {
        log_write(LOG_WARNING, "store", "a stored record does not parse: left out");
        return;
    }
    restoring->give(restoring->context, &event);
}

int store_restore_records(struct store *store, const struct restoring *restoring)
{
    struct store_connection *connection = &store->directory;
    sqlite3_stmt *statement = NULL;
    struct arena arena;
    int result;

    if (!connection->database)
        return 0; /* no room to make it anew: the network has what was in it */
    result = sqlite3_prepare_v2(connection->database,
                                "SELECT " COLUMNS " FROM record r ORDER BY r.number", -1,
                                &statement, NULL);
    if (result != SQLITE_OK)
        return store_note_fault(connection, result, "records");
    record_numbers_free(&store->numbers);
    connection->fault = 0;
    arena_init(&arena, SIDE_MEMORY);
    while (store_next_row(connection, statement))
        restore_record(store, statement, restoring, &arena);
    arena_free(&arena);
    sqlite3_finalize(statement);
    store->numbers.is_loaded = connection->fault == 0;
    return connection->fault;
}
