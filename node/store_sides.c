/* What searches need beside the records: of ducklings their host, their capabilities, their words; of
 * attestations of bonds and lobster binds, who and whom. */
#include "core/voucher.h"
#include "store_internal.h"

#include <stdio.h>

#define HOST_TAG_SIZE (1 + 2 * ID_SIZE)

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

/* Whom the record says to be bonded with its owner, or to vouch for it. */
static bool read_bonded(const struct record *record, struct arena *arena, struct id *subject,
                        uint64_t *issued_ms)
{
    struct attestation_content content;
    struct envelope envelope;
    struct voucher voucher;

    if (record->kind != RECORD_ATTESTATION || record->deleted ||
        attestation_content_parse(record->content, arena, &content) != RECORD_OK)
        return false;
    *subject = content.subject;
    *issued_ms = 0;
    if (bytes_equal(content.claim, bytes_of_text(CLAIM_BONDED)))
        return true;
    if (!bytes_equal(content.claim, bytes_of_text(CLAIM_OPERATOR_VERIFIED)) ||
        envelope_parse(content.proof, ENVELOPE_VOUCHER, arena, &envelope) != ENVELOPE_TAKEN ||
        voucher_parse(envelope.body, arena, &voucher) != VOUCHER_OK)
        return false;
    *issued_ms = voucher.issued_ms;
    return true;
}

static bool read_bound(const struct record *record, struct arena *arena,
                       struct attestation_content *content)
{
    return record->kind == RECORD_ATTESTATION && !record->deleted &&
           attestation_content_parse(record->content, arena, content) == RECORD_OK &&
           bytes_equal(content->claim, bytes_of_text(CLAIM_LOBSTER));
}

static int drop_bound(struct store *store, const struct record *record, int64_t number)
{
    struct attestation_content content;
    sqlite3_stmt *statement;

    if (!read_bound(record, &store->arena, &content))
        return 0;
    statement =
        store_prepare(&store->directory, STATEMENT_BOUND_DROP,
                      "DELETE FROM bound WHERE owner = ?1 AND subject = ?2 AND record = ?3");
    store_bind_id(statement, 1, &record->owner);
    store_bind_id(statement, 2, &content.subject);
    sqlite3_bind_int64(statement, 3, number);
    return store_run(&store->directory, statement);
}

static int add_bound(struct store *store, const struct record *record, int64_t number)
{
    struct attestation_content content;
    sqlite3_stmt *statement;

    if (!read_bound(record, &store->arena, &content))
        return 0;
    statement = store_prepare(&store->directory, STATEMENT_BOUND_ADD,
                              "INSERT OR REPLACE INTO bound (owner, subject, record, not_after_ms, "
                              "proof) VALUES (?1, ?2, ?3, ?4, ?5)");
    store_bind_id(statement, 1, &record->owner);
    store_bind_id(statement, 2, &content.subject);
    sqlite3_bind_int64(statement, 3, number);
    store_bind_number(statement, 4, record->not_after_ms);
    store_bind_bytes(statement, 5, content.proof);
    return store_run(&store->directory, statement);
}

static int write_bonded(struct store *store, enum statement which, const char *sql,
                        const struct record *record, int64_t number)
{
    sqlite3_stmt *statement;
    struct id subject;
    uint64_t issued_ms;

    if (!read_bonded(record, &store->arena, &subject, &issued_ms))
        return 0;
    statement = store_prepare(&store->directory, which, sql);
    store_bind_id(statement, 1, &record->owner);
    store_bind_id(statement, 2, &subject);
    sqlite3_bind_int64(statement, 3, number);
    if (which == STATEMENT_BONDED_ADD) {
        store_bind_number(statement, 4, record->not_after_ms);
        if (issued_ms > 0)
            store_bind_number(statement, 5, issued_ms);
        else
            sqlite3_bind_null(statement, 5);
    }
    return store_run(&store->directory, statement);
}

int store_replace_sides(struct store *store, const struct held_record *held, int64_t number,
                        const struct record *new)
{
    struct record old;
    struct sides before = {0}, after = {0};
    int fault = 0;

    arena_reset(&store->arena);
    if (held->number && !held->deleted &&
        (held->kind == RECORD_DUCKLING || held->kind == RECORD_ATTESTATION) &&
        store_read_held(store, number, &old)) {
        before = sides_of(&old, &store->arena);
        fault = write_bonded(store, STATEMENT_BONDED_DROP,
                             "DELETE FROM bonded WHERE owner = ?1 AND subject = ?2 AND record = ?3",
                             &old, number);
        if (!fault)
            fault = drop_bound(store, &old, number);
    }
    if (!fault)
        fault = store->directory.fault;
    if (!fault && new) {
        after = sides_of(new, &store->arena);
        fault = write_bonded(store, STATEMENT_BONDED_ADD,
                             "INSERT OR REPLACE INTO bonded (owner, subject, record, not_after_ms, "
                             "issued_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
                             new, number);
        if (!fault)
            fault = add_bound(store, new, number);
    }
    return fault ? fault : change_sides(store, number, &before, &after);
}
