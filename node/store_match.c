/* What is asked of FTS5: words as it splits them, and beginnings of words.
 *
 * FTS5 merges whole lists for a beginning ("dat*") before it gives the first number: 50 ms where
 * 300,000 records match. So a beginning is first spelled out, from its index of terms, and asked
 * for as alternatives, which are followed side by side. */
#include "store_internal.h"

#include <stdio.h>

#define WORDS_MAX 16  /* of a text search; the rest is ignored */
#define TEXT_MAX 1024 /* bytes of a text search */
#define TERM_MAX 128  /* bytes of a word; a longer one finds nothing */

/* ---- words, as FTS5 splits them ---- */

static fts5_api *find_fts5(sqlite3 *database)
{
    sqlite3_stmt *statement = NULL;
    fts5_api *api = NULL;

    if (sqlite3_prepare_v2(database, "SELECT fts5(?1)", -1, &statement, NULL) != SQLITE_OK)
        return NULL;
    sqlite3_bind_pointer(statement, 1, (void *)&api, "fts5_api_ptr", NULL);
    sqlite3_step(statement);
    sqlite3_finalize(statement);
    return api;
}

bool store_search_open_words(struct store_reader *reader)
{
    const char *options[] = {"remove_diacritics", "2"}; /* as in schema/directory_5.sql */
    fts5_api *api = find_fts5(reader->directory.database);
    fts5_tokenizer *words = memory_take(sizeof *words);
    Fts5Tokenizer *made = NULL;
    void *context = NULL;

    reader->tokenizer_class = words;
    if (!api || api->xFindTokenizer(api, "unicode61", &context, words) != SQLITE_OK ||
        words->xCreate(context, options, 2, &made) != SQLITE_OK)
        return false;
    reader->tokenizer = made;
    return true;
}

void store_search_close_words(struct store_reader *reader)
{
    fts5_tokenizer *words = reader->tokenizer_class;

    if (reader->tokenizer)
        words->xDelete(reader->tokenizer);
    memory_give_back(words);
    reader->tokenizer = reader->tokenizer_class = NULL;
}

struct term {
    char text[TERM_MAX + 1];
    bool is_beginning; /* the last of what stood without a space */
};

struct terms {
    struct term list[WORDS_MAX];
    size_t count;
    bool is_too_long; /* one is: nothing matches */
};

static int take_term(void *context, int flags, const char *text, int size, int begin, int end)
{
    struct terms *terms = context;

    (void)flags;
    (void)begin;
    (void)end;
    if (terms->count == WORDS_MAX)
        return SQLITE_OK;
    if (size > TERM_MAX) {
        terms->is_too_long = true;
        return SQLITE_OK;
    }
    memcpy(terms->list[terms->count].text, text, (size_t)size);
    terms->list[terms->count++].text[size] = 0;
    return SQLITE_OK;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* "weather.fore" is the word weather and the beginning fore. */
static void split_words(struct store_reader *reader, struct bytes text, struct terms *terms)
{
    const fts5_tokenizer *words = reader->tokenizer_class;
    size_t first = 0, at;

    if (text.size > TEXT_MAX)
        text.size = TEXT_MAX;
    for (at = 0; at <= text.size; at++) {
        size_t before = terms->count;

        if (at < text.size && !is_space(text.data[at]))
            continue;
        words->xTokenize(reader->tokenizer, terms, FTS5_TOKENIZE_QUERY,
                         (const char *)text.data + first, (int)(at - first), take_term);
        if (terms->count > before)
            terms->list[terms->count - 1].is_beginning = true;
        first = at + 1;
    }
}

/* ---- what is asked of FTS5 ---- */

void match_append(struct match *match, const char *before, const char *term, const char *behind)
{
    int size = snprintf(match->text + match->size, sizeof match->text - match->size, "%s%s%s",
                        before, term, behind);

    if (size < 0 || (size_t)size >= sizeof match->text - match->size) {
        match->text[match->size] = 0;
        match->is_full = true;
        return;
    }
    match->size += (size_t)size;
}

/* The first term at or after `from`, that begins with `beginning`; `term` has room for TERM_MAX + 1.
 * False: there is none. */
static bool next_term(struct store_reader *reader, bool is_tag, const char *from,
                      const char *beginning, char *term)
{
    sqlite3_stmt *statement =
        is_tag ? store_prepare(&reader->directory, STATEMENT_TERM_TAG,
                               "SELECT term FROM tag_term WHERE term >= ?1 LIMIT 1")
               : store_prepare(&reader->directory, STATEMENT_TERM_WORD,
                               "SELECT term FROM word_term WHERE term >= ?1 LIMIT 1");
    size_t size = strlen(beginning);
    bool is_found = false;

    sqlite3_bind_text(statement, 1, from, -1, SQLITE_STATIC);
    while (store_next_row(&reader->directory, statement)) {
        struct bytes found = store_column_bytes(statement, 0);

        is_found = found.size >= size && found.size <= TERM_MAX &&
                   memcmp(found.data, beginning, size) == 0;
        if (is_found) {
            memcpy(term, found.data, found.size);
            term[found.size] = 0;
        }
    }
    return is_found;
}

size_t match_beginning(struct store_reader *reader, bool is_tag, const char *beginning,
                       struct match *match)
{
    char term[TERM_MAX + 1], from[TERM_MAX + 2];
    size_t count = 0;

    snprintf(from, sizeof from, "%s", beginning);
    while (count <= SEARCH_ENDINGS_MAX && !match->is_full &&
           next_term(reader, is_tag, from, beginning, term)) {
        if (count++ < SEARCH_ENDINGS_MAX)
            match_append(match, count == 1 ? "(\"" : " OR \"", term, "\"");
        snprintf(from, sizeof from, "%s\x01", term); /* right behind it: below any letter */
    }
    if (count > 0)
        match_append(match, ")", "", "");
    return count;
}

bool match_words(struct store_reader *reader, struct bytes text, struct match *match)
{
    struct terms terms = {.count = 0};

    split_words(reader, text, &terms);
    if (terms.count == 0 || terms.is_too_long)
        return false;
    for (size_t i = 0; i < terms.count; i++) {
        if (i > 0)
            match_append(match, " AND ", "", "");
        if (!terms.list[i].is_beginning)
            match_append(match, "\"", terms.list[i].text, "\"");
        else if (match_beginning(reader, false, terms.list[i].text, match) == 0)
            return false;
    }
    return !match->is_full;
}
