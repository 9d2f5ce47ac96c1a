/* One's entries of the node's audit log, newest first, as JSON or as CSV (RFC 4180).
 *
 * The node's log is of all that live there: of an entry that names a duckling only as the other end
 * nothing is told, but of bonds, which are of both. */
#include "accept.h"
#include "client/duck_client.h"
#include "core/audit_log.h"
#include "core/binary_data.h"
#include "form.h"
#include "wire/local.pb-c.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#define PAGE_DEFAULT 50
#define PAGE_MAX 200
#define CALLS_MAX 16u /* of the node, for one page: it may be short, and go on */
#define LINK_SIZE 512

enum form { FORM_JSON, FORM_CSV };

struct look {
    enum form form;
    const char *kind, *subject, *since_text, *until_text;
    uint64_t since_ms, until_ms, limit;
    char cursor[24];
    unsigned calls;
    bool is_over; /* what is left is older than asked for */
};

/* ---- what is asked ---- */

static bool read_kind(struct exchange *exchange, struct look *look)
{
    if (!query_text(exchange, "kind", 32, &look->kind))
        return false;
    if (!look->kind)
        return true;
    for (int kind = 1; kind < AUDIT_KINDS; kind++)
        if (!strcmp(look->kind, audit_kind_name((enum audit_kind)kind)))
            return true;
    form_refuse(exchange, "bad_member", "kind", "there are no entries of that kind");
    return false;
}

static bool read_date(struct exchange *exchange, const char *name, const char **text, uint64_t *ms)
{
    if (!query_text(exchange, name, 32, text))
        return false;
    if (!*text || reply_parse_time(*text, ms))
        return true;
    form_refuse(exchange, "bad_member", name, "%s must be a time as 2026-03-21T10:00:00Z", name);
    return false;
}

static bool read_subject(struct exchange *exchange, struct look *look)
{
    if (!query_text(exchange, "subject", ID_TEXT_SIZE, &look->subject))
        return false;
    if (!look->subject || form_is_id(ID_PECK, bytes_of_text(look->subject)) ||
        form_is_id(ID_BOND, bytes_of_text(look->subject)) ||
        form_is_id(ID_CERTIFICATE, bytes_of_text(look->subject)))
        return true;
    form_refuse(exchange, "bad_member", "subject",
                "subject must be the id of a peck, of a bond or of a context");
    return false;
}

static bool read_format(struct exchange *exchange, struct look *look)
{
    static const char *const types[] = {"application/json", "text/csv"};
    const char *format = NULL;
    size_t liked;

    if (!query_text(exchange, "format", 8, &format))
        return false;
    if (format && strcmp(format, "json") != 0 && strcmp(format, "csv") != 0) {
        form_refuse(exchange, "bad_member", "format", "format is json or csv");
        return false;
    }
    liked = accept_type(exchange_header(exchange, "Accept"), types, 2);
    look->form = format ? (strcmp(format, "csv") ? FORM_JSON : FORM_CSV)
                        : (liked == 1 ? FORM_CSV : FORM_JSON);
    return true;
}

static bool read_cursor(struct exchange *exchange, struct look *look)
{
    const char *cursor = "";

    if (!query_text(exchange, "cursor", sizeof look->cursor - 1, &cursor))
        return false;
    if (strspn(cursor, "0123456789") != strlen(cursor)) {
        form_refuse(exchange, "bad_member", "cursor", "this is no cursor of this list");
        return false;
    }
    snprintf(look->cursor, sizeof look->cursor, "%s", cursor);
    return true;
}

/* ---- what is told ---- */

static bool is_told(const struct look *look, const char *acting, const Duck__AuditView *entry)
{
    bool is_of_bond = !strcmp(entry->kind, audit_kind_name(AUDIT_BOND_MADE)) ||
                      !strcmp(entry->kind, audit_kind_name(AUDIT_BOND_ENDED));

    return (is_of_bond || !strcmp(entry->duckling, acting)) &&
           (!look->kind || !strcmp(look->kind, entry->kind)) &&
           (!look->until_ms || entry->at_ms < look->until_ms);
}

static json_t *view_entry(const Duck__AuditView *entry)
{
    json_t *object = json_object();
    char hash[2 * HASH_SIZE + 1] = "";

    reply_number(object, "number", entry->number);
    reply_date(object, "at", entry->at_ms);
    reply_word(object, "kind", entry->kind);
    reply_word(object, "duckling_id", entry->duckling);
    reply_word(object, "with", entry->with);
    reply_word(object, "subject", entry->subject);
    reply_word(object, "state", entry->state);
    reply_text(object, "detail", borrowed(entry->detail));
    if (entry->attempt)
        reply_number(object, "attempt", entry->attempt);
    if (entry->signed_hash.len == HASH_SIZE)
        reply_word(object, "signed_hash",
                   sodium_bin2hex(hash, sizeof hash, entry->signed_hash.data, HASH_SIZE));
    return object;
}

static const char *const columns[] = {"number",  "at",    "kind",   "duckling_id", "with",
                                      "subject", "state", "detail", "attempt",     "signed_hash"};
#define COLUMN_COUNT (sizeof columns / sizeof columns[0])

/* The longest cell is a detail whose every character is doubled. */
#define AUDIT_LINE_MAX (2 * AUDIT_DETAIL_MAX + 512)

/* What a spreadsheet would compute is led by an apostrophe: a peer chose the action. */
static size_t put_cell(char *line, const char *text)
{
    size_t size = 0;

    line[size++] = '"';
    if (strchr("=+-@\t\r", *text) && *text)
        line[size++] = '\'';
    for (; *text; text++) {
        if (*text == '"')
            line[size++] = '"';
        line[size++] = *text == '\n' ? ' ' : *text;
    }
    line[size++] = '"';
    return size;
}

static size_t put_line(char *line, const json_t *entry)
{
    size_t size = 0;

    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        const json_t *value = entry ? json_object_get(entry, columns[i]) : NULL;

        if (i > 0)
            line[size++] = ',';
        if (json_is_integer(value))
            size +=
                (size_t)sprintf(line + size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        else if (!entry)
            size += (size_t)sprintf(line + size, "%s", columns[i]);
        else if (value)
            size += put_cell(line + size, json_string_value(value));
    }
    line[size++] = '\r';
    line[size++] = '\n';
    return size;
}

static void answer_csv(struct exchange *exchange)
{
    size_t count = json_array_size(exchange->draft), size = 0;
    char *text = memory_take((count + 1) * AUDIT_LINE_MAX);

    size = put_line(text, NULL);
    for (size_t i = 0; i < count; i++)
        size += put_line(text + size, json_array_get(exchange->draft, i));
    exchange_answer_text(exchange, 200, "text/csv; charset=utf-8; header=present",
                         bytes_of(text, size));
    memory_give_back(text);
}

static size_t put_link(char *link, size_t at, const char *name, const char *value)
{
    if (value)
        at += (size_t)snprintf(link + at, LINK_SIZE - at, "%s%s=%s", at ? "&" : "", name, value);
    return at;
}

/* RFC 8288: CSV has no place for the cursor. All values are of letters that need no escapes. */
static void say_next(struct exchange *exchange, const struct look *look)
{
    char query[LINK_SIZE] = "", link[LINK_SIZE + 64], limit[24];
    size_t at = put_link(query, 0, "format", "csv");

    snprintf(limit, sizeof limit, "%" PRIu64, look->limit);
    at = put_link(query, at, "kind", look->kind);
    at = put_link(query, at, "subject", look->subject);
    at = put_link(query, at, "since", look->since_text);
    at = put_link(query, at, "until", look->until_text);
    at = put_link(query, at, "duckling_id", exchange->acting_text);
    at = put_link(query, at, "limit", limit);
    put_link(query, at, "cursor", look->cursor);
    snprintf(link, sizeof link, "</beak/audit?%s>; rel=\"next\"", query);
    exchange_say_header(exchange, "Link", link);
}

static void answer_page(struct exchange *exchange, const struct look *look)
{
    json_t *object;

    if (look->form == FORM_CSV) {
        if (look->cursor[0])
            say_next(exchange, look);
        answer_csv(exchange);
        return;
    }
    object = json_object();
    json_object_set(object, "entries", exchange->draft);
    reply_word(object, "next_cursor", look->cursor);
    exchange_answer(exchange, 200, object);
}

/* ---- page by page of the node's ---- */

static void look_on(struct exchange *exchange);

static void take_page(struct exchange *exchange)
{
    const Duck__AuditList *list = exchange->reply->audit;
    struct look *look = exchange->work;

    for (size_t i = 0; i < list->n_entries && !look->is_over; i++) {
        look->is_over = list->entries[i]->at_ms < look->since_ms;
        if (!look->is_over && is_told(look, exchange->acting_text, list->entries[i]))
            json_array_append_new(exchange->draft, view_entry(list->entries[i]));
    }
    snprintf(look->cursor, sizeof look->cursor, "%s", look->is_over ? "" : list->next_cursor);
    if (look->cursor[0] && json_array_size(exchange->draft) < look->limit &&
        ++look->calls < CALLS_MAX)
        look_on(exchange);
    else
        answer_page(exchange, look);
}

static void look_on(struct exchange *exchange)
{
    Duck__AuditQuery query = DUCK__AUDIT_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct look *look = exchange->work;

    query.duckling = exchange->acting_text;
    query.subject = (char *)(look->subject ? look->subject : "");
    query.cursor = look->cursor;
    query.limit = (uint32_t)(look->limit - json_array_size(exchange->draft));
    request.order_case = DUCK__REQUEST__ORDER_AUDIT;
    request.audit = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_AUDIT, 0, take_page);
}

void route_audit(struct exchange *exchange)
{
    struct look *look = arena_take(&exchange->arena, sizeof *look);

    *look = (struct look){.limit = PAGE_DEFAULT};
    if (!read_kind(exchange, look) || !read_subject(exchange, look) ||
        !read_date(exchange, "since", &look->since_text, &look->since_ms) ||
        !read_date(exchange, "until", &look->until_text, &look->until_ms) ||
        !read_format(exchange, look) || !read_cursor(exchange, look) ||
        !query_integer(exchange, "limit", 1, PAGE_MAX, &look->limit) ||
        !exchange_acting(exchange, false))
        return;
    exchange->work = look;
    exchange->draft = json_array();
    look_on(exchange);
}
