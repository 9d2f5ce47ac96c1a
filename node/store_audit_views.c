/* The audit log as readers see it: entries that match, what is new, and the pages as they were signed. */
#include "store_internal.h"

static bool matches(const struct audit_filter *filter, const struct audit_entry *entry)
{
    return (id_is_zero(&filter->duckling) || id_equal(&filter->duckling, &entry->duckling) ||
            id_equal(&filter->duckling, &entry->with)) &&
           (id_is_zero(&filter->subject) || id_equal(&filter->subject, &entry->subject));
}

/* From its end on, at most what there is room for. Returns the number of the last entry that was
 * looked at. */
static uint64_t look_through(const struct audit_filter *filter, const struct audit_page *page,
                             struct arena *arena, struct stored_audit_entry *entries, size_t *count)
{
    size_t i = page->count;

    while (i > 0 && *count < filter->limit) {
        const struct audit_entry *entry = &page->entries[--i];
        struct stored_audit_entry *found = &entries[*count];

        if (filter->before > 0 && page->first + i >= filter->before)
            continue;
        if (!matches(filter, entry))
            continue;
        found->number = page->first + i;
        found->entry = *entry;
        found->entry.detail = arena_copy(arena, entry->detail);
        ++*count;
    }
    return page->first + i;
}

size_t store_view_audit(struct store_reader *reader, const struct audit_filter *filter,
                        struct arena *arena, struct stored_audit_entry *entries, uint64_t *next)
{
    sqlite3_stmt *statement =
        store_prepare(&reader->connection, STATEMENT_VIEW_AUDIT,
                      "SELECT body FROM audit_page WHERE first < ?1 ORDER BY first DESC LIMIT ?2");
    struct audit_page page;
    struct arena memory;
    size_t count = 0;

    *next = 0;
    arena_init(&memory, PARSE_BUDGET(AUDIT_PAGE_SIZE_MAX));
    reader->connection.fault = 0;
    store_bind_number(statement, 1, filter->before ? filter->before : INT64_MAX);
    sqlite3_bind_int(statement, 2, STORE_AUDIT_LOOKED_AT_MAX);
    while (count < filter->limit && store_next_row(&reader->connection, statement)) {
        arena_reset(&memory);
        if (audit_page_parse(store_column_bytes(statement, 0), &memory, &page) == AUDIT_OK)
            *next = look_through(filter, &page, arena, entries, &count);
    }
    sqlite3_reset(statement);
    if (*next == 1)
        *next = 0; /* that was the first of all */
    arena_free(&memory);
    return count;
}

/* False: what it points to has no room any more. */
static bool take_news(const struct audit_page *page, uint64_t after, size_t limit,
                      struct arena *arena, struct stored_audit_entry *entries, size_t *count)
{
    for (size_t i = 0; i < page->count && *count < limit; i++) {
        struct stored_audit_entry *found = &entries[*count];

        if (page->first + i <= after)
            continue;
        found->number = page->first + i;
        found->entry = page->entries[i];
        found->entry.detail = arena_copy(arena, page->entries[i].detail);
        if (page->entries[i].detail.size > 0 && !found->entry.detail.data)
            return false; /* the rest is asked for next */
        ++*count;
    }
    return *count < limit;
}

static uint64_t newest_entry(struct store_reader *reader, struct arena *memory)
{
    sqlite3_stmt *statement =
        store_prepare(&reader->connection, STATEMENT_VIEW_AUDIT_NEWEST,
                      "SELECT body FROM audit_page ORDER BY first DESC LIMIT 1");
    struct audit_page page;
    uint64_t newest = 0;

    while (store_next_row(&reader->connection, statement)) {
        arena_reset(memory);
        if (audit_page_parse(store_column_bytes(statement, 0), memory, &page) == AUDIT_OK)
            newest = page.first + page.count - 1;
    }
    return newest;
}

/* The page that `after` is in begins at or below it. */
size_t store_view_audit_news(struct store_reader *reader, uint64_t after, size_t limit,
                             struct arena *arena, struct stored_audit_entry *entries,
                             uint64_t *last)
{
    sqlite3_stmt *statement =
        store_prepare(&reader->connection, STATEMENT_VIEW_AUDIT_NEWS,
                      "SELECT body FROM audit_page WHERE first >= coalesce((SELECT max(first) FROM "
                      "audit_page WHERE first <= ?1), 0) ORDER BY first");
    struct audit_page page;
    struct arena memory;
    size_t count = 0;
    bool goes_on = true;

    arena_init(&memory, PARSE_BUDGET(AUDIT_PAGE_SIZE_MAX));
    reader->connection.fault = 0;
    *last = newest_entry(reader, &memory);
    store_bind_number(statement, 1, after);
    while (goes_on && store_next_row(&reader->connection, statement)) {
        arena_reset(&memory);
        if (audit_page_parse(store_column_bytes(statement, 0), &memory, &page) == AUDIT_OK)
            goes_on = take_news(&page, after, limit, arena, entries, &count);
    }
    sqlite3_reset(statement);
    arena_free(&memory);
    return count;
}

/* Of rows that are a number and bytes. What the arena has no room for is asked for next. */
static size_t read_on(struct store_reader *reader, sqlite3_stmt *statement, uint64_t after,
                      size_t max, struct arena *arena, struct bytes *bytes, uint64_t *last)
{
    size_t count = 0;

    reader->connection.fault = 0;
    store_bind_number(statement, 1, after);
    sqlite3_bind_int64(statement, 2, (int64_t)max);
    while (count < max && store_next_row(&reader->connection, statement)) {
        bytes[count] = arena_copy(arena, store_column_bytes(statement, 1));
        if (!bytes[count].data)
            break;
        *last = store_column_number(statement, 0);
        count++;
    }
    sqlite3_reset(statement);
    return count;
}

size_t store_view_audit_pages(struct store_reader *reader, uint64_t after, size_t max,
                              struct arena *arena, struct bytes *bodies, uint64_t *last)
{
    sqlite3_stmt *statement = store_prepare(
        &reader->connection, STATEMENT_VIEW_AUDIT_PAGES,
        "SELECT first, body FROM audit_page WHERE first > ?1 ORDER BY first LIMIT ?2");

    return read_on(reader, statement, after, max, arena, bodies, last);
}

size_t store_view_audit_checkpoints(struct store_reader *reader, uint64_t after, size_t max,
                                    struct arena *arena, struct bytes *wires, uint64_t *last)
{
    sqlite3_stmt *statement = store_prepare(
        &reader->connection, STATEMENT_VIEW_AUDIT_CHECKPOINTS,
        "SELECT page, wire FROM audit_checkpoint WHERE page > ?1 ORDER BY page LIMIT ?2");

    return read_on(reader, statement, after, max, arena, wires, last);
}

struct bytes store_view_audit_signer(struct store_reader *reader, struct arena *arena)
{
    sqlite3_stmt *statement = store_prepare(&reader->connection, STATEMENT_VIEW_AUDIT_SIGNER,
                                            "SELECT chain FROM audit_signer");
    struct bytes chain = bytes_of(NULL, 0);

    reader->connection.fault = 0;
    while (store_next_row(&reader->connection, statement))
        chain = arena_copy(arena, store_column_bytes(statement, 0));
    return chain;
}
