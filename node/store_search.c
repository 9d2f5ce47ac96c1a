/* Searches of the directory. No search walks a table: each follows one ordered list of numbers (a
 * word, a capability, a host, or all records from a place on), looks at what is there, and ends when
 * its page is full or enough was looked at.
 */
#include "log.h"
#include "store_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define HOST_TAG_SIZE (1 + 2 * ID_SIZE)

/* ---- a search ---- */

/* What is followed. */
enum source { SOURCE_OWNER, SOURCE_WORDS, SOURCE_TAGS, SOURCE_ALL };

struct search {
    struct store_reader *reader;
    const struct directory_filter *filter;
    enum source source;
    struct match words, tags;
    bool has_words, has_tags;
    bool by_beginning;   /* of a capability, shared by too many to spell out: each record is read */
    bool has_quarantine; /* anybody is in it */
    struct arena scratch; /* of one candidate */
    sqlite3_stmt *numbers;
};

static void tag_of_host(const struct id *host, char tag[HOST_TAG_SIZE + 1])
{
    tag[0] = '@';
    for (size_t i = 0; i < ID_SIZE; i++)
        snprintf(tag + 1 + 2 * i, 3, "%02x", host->bytes[i]);
}

/* False: nothing can match. */
static bool plan_capability(struct search *search, struct bytes capability)
{
    bool is_beginning = capability.data[capability.size - 1] == '*';
    char text[NAME_MAX_BYTES + 1] = "";
    size_t before = search->tags.size;

    capability.size -= is_beginning;
    if (capability.size > NAME_MAX_BYTES || (capability.size && !bytes_are_name(capability)))
        return false;
    memcpy(text, capability.data, capability.size);
    search->has_tags = true;
    if (!is_beginning) {
        match_append(&search->tags, "\"", text, "\"");
        return true;
    }
    if (capability.size > 0) {
        size_t count = match_beginning(search->reader, true, text, &search->tags);

        if (count <= SEARCH_ENDINGS_MAX)
            return count > 0;
    }
    search->tags.size = before;
    search->tags.text[before] = 0;
    search->has_tags = false;
    search->by_beginning = true;
    return true;
}

/* False: nothing can match. */
static bool plan(struct search *search)
{
    const struct directory_filter *filter = search->filter;
    char host[HOST_TAG_SIZE + 1];

    if (filter->capability.size > 0 && !plan_capability(search, filter->capability))
        return false;
    if (!id_is_zero(&filter->host)) {
        tag_of_host(&filter->host, host);
        match_append(&search->tags, search->has_tags ? " AND \"" : "\"", host, "\"");
        search->has_tags = true;
    }
    search->has_words = filter->text.size > 0;
    if (search->has_words && !match_words(search->reader, filter->text, &search->words))
        return false;
    if (!id_is_zero(&filter->duckling))
        search->source = SOURCE_OWNER;
    else if (search->has_words)
        search->source = SOURCE_WORDS;
    else
        search->source = search->has_tags ? SOURCE_TAGS : SOURCE_ALL;
    return true;
}

static void bind_match(sqlite3_stmt *statement, int index, const struct match *match)
{
    sqlite3_bind_text(statement, index, match->text, (int)match->size, SQLITE_STATIC);
}

/* Numbers of records, rising. */
static void follow(struct search *search)
{
    static const struct {
        enum statement which;
        const char *sql;
    } sources[] = {
        [SOURCE_OWNER] = {STATEMENT_SEARCH_OWNER,
                          "SELECT r.number FROM (SELECT number FROM identity_fresh WHERE name = ?2 "
                          "UNION ALL SELECT number FROM identity_filed WHERE name = ?2) n "
                          "CROSS JOIN record r ON r.number BETWEEN 32 * n.number AND "
                          "32 * n.number + 31 WHERE r.owner = ?3 AND r.kind = 2 AND r.number > ?1"},
        [SOURCE_WORDS] = {STATEMENT_SEARCH_WORDS, "SELECT rowid FROM word WHERE word MATCH ?2 "
                                                  "AND rowid > ?1 ORDER BY rowid"},
        [SOURCE_TAGS] = {STATEMENT_SEARCH_TAGS, "SELECT rowid FROM tag WHERE tag MATCH ?2 "
                                                "AND rowid > ?1 ORDER BY rowid"},
        [SOURCE_ALL] = {STATEMENT_SEARCH_ALL,
                        "SELECT number FROM record WHERE number > ?1 ORDER BY number"},
    };
    const struct directory_filter *filter = search->filter;
    sqlite3_stmt *statement = store_prepare(
        &search->reader->directory, sources[search->source].which, sources[search->source].sql);

    store_bind_number(statement, 1, filter->after);
    if (search->source == SOURCE_OWNER) {
        sqlite3_bind_int64(statement, 2, store_name_number(filter->duckling.bytes));
        store_bind_id(statement, 3, &filter->duckling);
    } else if (search->source != SOURCE_ALL) {
        bind_match(statement, 2, search->source == SOURCE_WORDS ? &search->words : &search->tags);
    }
    search->numbers = statement;
}

/* ---- one candidate ---- */

struct candidate {
    struct id owner, host;
    struct hash hash;
    bool bonded;
};

static bool has_row(struct store_reader *reader, sqlite3_stmt *statement)
{
    bool is_there = false;

    while (store_next_row(&reader->directory, statement))
        is_there = true;
    return is_there;
}

static bool is_matched(struct search *search, enum statement which, const char *sql,
                       const struct match *match, int64_t number)
{
    sqlite3_stmt *statement = store_prepare(&search->reader->directory, which, sql);

    bind_match(statement, 1, match);
    sqlite3_bind_int64(statement, 2, number);
    return has_row(search->reader, statement);
}

static bool is_bonded(struct search *search, const struct id *owner)
{
    sqlite3_stmt *statement =
        store_prepare(&search->reader->directory, STATEMENT_SEARCH_BONDED,
                      "SELECT 1 FROM bonded one JOIN bonded other ON other.owner = one.subject "
                      "AND other.subject = one.owner WHERE one.owner = ?1 "
                      "AND one.not_after_ms > ?2 AND other.not_after_ms > ?2 LIMIT 1");

    store_bind_id(statement, 1, owner);
    store_bind_number(statement, 2, search->filter->wall_ms);
    return has_row(search->reader, statement);
}

static bool is_barred(struct search *search, int64_t number, const struct id *owner)
{
    int64_t first = number - number % STORE_RECORDS_OF_IDENTITY;
    sqlite3_stmt *statement =
        store_prepare(&search->reader->directory, STATEMENT_SEARCH_REVOKED,
                      "SELECT 1 FROM record WHERE number BETWEEN ?1 AND ?2 AND kind = 4 "
                      "AND flags & 1 = 0 LIMIT 1");

    sqlite3_bind_int64(statement, 1, first);
    sqlite3_bind_int64(statement, 2, first + STORE_RECORDS_OF_IDENTITY - 1);
    if (has_row(search->reader, statement))
        return true;
    if (!search->has_quarantine)
        return false;
    statement = store_prepare(&search->reader->directory, STATEMENT_SEARCH_QUARANTINE,
                              "SELECT 1 FROM quarantine WHERE owner = ?1 AND until_ms > ?2");
    store_bind_id(statement, 1, owner);
    store_bind_number(statement, 2, search->filter->wall_ms);
    return has_row(search->reader, statement);
}

static int compare_hosts(const void *left, const void *right)
{
    return id_compare(left, right);
}

static bool is_dead(const struct directory_filter *filter, const struct id *host)
{
    return filter->dead_host_count > 0 && bsearch(host, filter->dead_hosts, filter->dead_host_count,
                                                  sizeof *host, compare_hosts) != NULL;
}

/* What the record's head says; `*found` is written when it passes. */
static bool passes_head(struct search *search, int64_t number, struct candidate *found)
{
    const struct directory_filter *filter = search->filter;
    sqlite3_stmt *statement = store_prepare(
        &search->reader->directory, STATEMENT_SEARCH_RECORD,
        "SELECT owner, host, hash FROM record WHERE number = ?1 AND kind = 2 AND flags & 1 = 0 "
        "AND not_after_ms > ?2 AND version_ms >= ?3");
    bool passes = false;

    sqlite3_bind_int64(statement, 1, number);
    store_bind_number(statement, 2, filter->wall_ms);
    store_bind_number(statement, 3, filter->seen_since_ms);
    while (store_next_row(&search->reader->directory, statement)) {
        struct bytes hash = store_column_bytes(statement, 2);

        passes = store_column_id(statement, 0, &found->owner) &&
                 store_column_id(statement, 1, &found->host) && hash.size == HASH_SIZE &&
                 !is_dead(filter, &found->host);
        if (passes)
            memcpy(found->hash.bytes, hash.data, HASH_SIZE);
    }
    return passes;
}

static bool has_capability(const struct directory_filter *filter,
                           const struct duckling_content *content)
{
    struct bytes wanted = filter->capability;
    bool is_beginning = wanted.size > 0 && wanted.data[wanted.size - 1] == '*';

    wanted.size -= is_beginning;
    for (size_t i = 0; i < content->capability_count; i++) {
        struct bytes capability = content->capabilities[i];

        if (is_beginning && capability.size > wanted.size)
            capability.size = wanted.size;
        if (bytes_equal(capability, wanted))
            return true;
    }
    return false;
}

/* What `tag` would say of one record. To ask it costs three times as much as to read the record. */
static bool has_tags(struct search *search, int64_t number, const struct candidate *found)
{
    const struct directory_filter *filter = search->filter;
    struct duckling_content content;
    struct envelope envelope;
    sqlite3_stmt *statement;
    struct record record;
    bool has = false;

    if (!id_is_zero(&filter->host) && !id_equal(&filter->host, &found->host))
        return false;
    if (filter->capability.size == 0)
        return true;
    statement = store_prepare(&search->reader->directory, STATEMENT_SEARCH_TAG,
                              "SELECT wire FROM record_wire WHERE number = ?1");
    sqlite3_bind_int64(statement, 1, number);
    arena_reset(&search->scratch);
    while (store_next_row(&search->reader->directory, statement))
        has = envelope_parse(store_column_bytes(statement, 0), ENVELOPE_RECORD, &search->scratch,
                             &envelope) == ENVELOPE_TAKEN &&
              record_parse(envelope.body, &search->scratch, &record) == RECORD_OK &&
              duckling_content_parse(record.content, &search->scratch, &content) == RECORD_OK &&
              has_capability(filter, &content);
    return has;
}

static bool passes(struct search *search, int64_t number, struct candidate *found)
{
    if (!passes_head(search, number, found))
        return false;
    if (search->has_tags && search->source != SOURCE_TAGS && !has_tags(search, number, found))
        return false;
    if (search->has_words && search->source != SOURCE_WORDS &&
        !is_matched(search, STATEMENT_SEARCH_WORD,
                    "SELECT 1 FROM word WHERE word MATCH ?1 AND rowid = ?2", &search->words,
                    number))
        return false;
    if (is_barred(search, number, &found->owner))
        return false;
    found->bonded = is_bonded(search, &found->owner);
    return found->bonded || !search->filter->bonded;
}

/* ---- a page ---- */

/* False: the arena has no room for it, or it is not what was kept. */
static bool read_duckling(struct search *search, int64_t number, const struct candidate *found,
                          struct arena *arena, struct stored_duckling *duckling)
{
    sqlite3_stmt *statement =
        store_prepare(&search->reader->directory, STATEMENT_SEARCH_BYTES,
                      "SELECT w.wire, i.chain FROM record_wire w CROSS JOIN identity i "
                      "ON i.number = w.number / 32 WHERE w.number = ?1");
    struct envelope envelope;

    memset(duckling, 0, sizeof *duckling);
    sqlite3_bind_int64(statement, 1, number);
    while (store_next_row(&search->reader->directory, statement)) {
        duckling->wire = arena_copy(arena, store_column_bytes(statement, 0));
        duckling->chain = arena_copy(arena, store_column_bytes(statement, 1));
    }
    duckling->place = (uint64_t)number;
    duckling->bonded = found->bonded;
    return duckling->wire.data && duckling->chain.data &&
           envelope_parse(duckling->wire, ENVELOPE_RECORD, arena, &envelope) == ENVELOPE_TAKEN &&
           hash_equal(&envelope.hash, &found->hash) && id_equal(&envelope.signer, &found->owner) &&
           record_parse(envelope.body, arena, &duckling->record) == RECORD_OK &&
           id_equal(&duckling->record.owner, &found->owner) &&
           duckling_content_parse(duckling->record.content, arena, &duckling->content) == RECORD_OK;
}

static size_t fill_page(struct search *search, struct arena *arena,
                        struct stored_duckling *ducklings, uint64_t *next)
{
    const struct directory_filter *filter = search->filter;
    size_t count = 0, looked_at = 0, taken_before = arena->taken;
    uint64_t last = filter->after;

    while (store_next_row(&search->reader->directory, search->numbers)) {
        int64_t number = sqlite3_column_int64(search->numbers, 0);
        struct candidate found;

        *next = last;
        if (count == filter->limit || looked_at++ == SEARCH_LOOKED_AT_MAX)
            break;
        if (passes(search, number, &found)) {
            size_t taken = arena->taken;

            if (read_duckling(search, number, &found, arena, &ducklings[count])) {
                count += !search->by_beginning || has_capability(filter, &ducklings[count].content);
            } else if (taken > taken_before) {
                break; /* there is no room: the next page begins with it */
            }
        }
        last = (uint64_t)number;
        *next = 0;
    }
    sqlite3_reset(search->numbers);
    return count;
}

static bool is_anybody_in_quarantine(struct store_reader *reader)
{
    int64_t count = 0;

    store_read_number(&reader->directory, "SELECT EXISTS (SELECT 1 FROM quarantine)", &count);
    return count > 0;
}

size_t store_view_directory(struct store_reader *reader, const struct directory_filter *filter,
                            struct arena *arena, struct stored_duckling *ducklings, uint64_t *next)
{
    struct search *search;
    size_t count = 0;

    *next = 0;
    if (filter->limit == 0 || !store_reader_has_directory(reader) ||
        !store_reader_begin(&reader->directory))
        return 0;
    search = memory_take(sizeof *search);
    search->reader = reader;
    arena_init(&search->scratch, 2 * PARSE_BUDGET(RECORD_SIZE_MAX));
    search->filter = filter;
    search->has_quarantine = is_anybody_in_quarantine(reader);
    if (plan(search)) {
        follow(search);
        count = fill_page(search, arena, ducklings, next);
    }
    arena_free(&search->scratch);
    memory_give_back(search);
    store_reader_end(&reader->directory);
    return count;
}
