/* What a request says: its trace, its query, its body. */
#include "exchange_inside.h"
#include "strict_json.h"

#include <strings.h>

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* traceparent of W3C Trace Context, section 3.2.2: version, trace, span, flags. */
void exchange_take_trace(struct exchange *exchange)
{
    struct bytes header = exchange->headers.traceparent;
    static const char shape[] = "00-00000000000000000000000000000000-0000000000000000-00";

    if (header.size != PECK_TRACE_SIZE)
        return;
    for (size_t i = 0; i < header.size; i++)
        if (shape[i] == '-' ? header.data[i] != '-'
                            : (hex_digit((char)header.data[i]) < 0 || header.data[i] < '0' ||
                               (header.data[i] >= 'A' && header.data[i] <= 'F')))
            return;
    memcpy(exchange->inside->trace, header.data, header.size);
    exchange->inside->trace[header.size] = 0;
}

const char *exchange_trace(const struct exchange *exchange)
{
    return exchange->inside->trace;
}

const char *exchange_copy(struct exchange *exchange, struct bytes text)
{
    char *copy = arena_take(&exchange->arena, text.size + 1);

    /* The budget is over what a body and a query can hold. */
    if (!copy)
        return "";
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    return copy;
}

/* ---- the query ---- */

/* NULL: %00, a broken escape, or no UTF-8. A '+' has been made a blank by the library. */
static const char *decode(struct exchange *exchange, struct bytes text)
{
    char *decoded = arena_take(&exchange->arena, text.size + 1);
    size_t size = 0;

    for (size_t i = 0; decoded && i < text.size; i++) {
        int byte = text.data[i];

        if (byte == '%') {
            int high = i + 2 < text.size ? hex_digit((char)text.data[i + 1]) : -1;
            int low = i + 2 < text.size ? hex_digit((char)text.data[i + 2]) : -1;

            if (high < 0 || low < 0)
                return NULL;
            byte = high * 16 + low;
            i += 2;
        }
        decoded[size++] = (char)byte;
    }
    if (!decoded || !bytes_are_text(bytes_of(decoded, size), false))
        return NULL;
    decoded[size] = 0;
    return decoded;
}

static enum MHD_Result take_query_member(void *context, enum MHD_ValueKind kind, const char *name,
                                         size_t name_size, const char *value, size_t value_size)
{
    struct exchange *exchange = context;
    struct exchange_member member = {decode(exchange, bytes_of(name, name_size)),
                                     decode(exchange, bytes_of(value, value ? value_size : 0))};

    (void)kind;
    if (!member.name || !member.value) {
        exchange_say_no(exchange, 400, "malformed", NULL, "the query is not understood");
        return MHD_NO;
    }
    if (!route_names(exchange->match.route->query, bytes_of_text(member.name))) {
        exchange_say_no(exchange, 422, "unknown_member", member.name,
                        "the query of this path has no member of that name");
        return MHD_NO;
    }
    for (size_t i = 0; i < exchange->query_count; i++)
        if (!strcmp(exchange->query[i].name, member.name)) {
            exchange_say_no(exchange, 400, "malformed", member.name,
                            "a member stands twice in the query");
            return MHD_NO;
        }
    exchange->query[exchange->query_count++] = member; /* no row names more than fit */
    return MHD_YES;
}

bool exchange_read_query(struct exchange *exchange)
{
    MHD_get_connection_values_n(exchange->inside->connection, MHD_GET_ARGUMENT_KIND,
                                take_query_member, exchange);
    return !exchange->inside->response;
}

/* ---- the body ---- */

bool exchange_body_is_json(struct bytes type)
{
    static const char json[] = "application/json";
    size_t size = sizeof json - 1;
    const char *rest;

    if (!type.data)
        return true; /* what else would it be */
    rest = (const char *)type.data + size;
    if (type.size < size || strncasecmp((const char *)type.data, json, size))
        return false;
    if (type.size == size)
        return true;
    while (*rest == ' ' || *rest == ';')
        rest++;
    return !*rest || !strcasecmp(rest, "charset=utf-8") || !strcasecmp(rest, "charset=\"utf-8\"");
}

bool exchange_read_body(struct exchange *exchange)
{
    struct exchange_inside *inside = exchange->inside;
    char problem[STRICT_JSON_PROBLEM_SIZE];
    struct bytes member = bytes_of(NULL, 0);
    const char *name;
    json_t *value;

    exchange->body_text = bytes_of(inside->body, inside->body_size);
    exchange->body = inside->body_size
                         ? strict_json_read_members(exchange->body_text, problem, &member)
                         : json_object();
    if (!exchange->body) {
        bool is_known = member.data && route_names(exchange->match.route->members, member);

        exchange_say_no(exchange, 400, "malformed",
                        is_known ? exchange_copy(exchange, member) : NULL, "%s", problem);
        return false;
    }
    if (!json_is_object(exchange->body)) {
        exchange_say_no(exchange, 400, "malformed", NULL, "the body must be a JSON object");
        return false;
    }
    json_object_foreach(exchange->body, name, value)
    {
        if (!route_names(exchange->match.route->members, bytes_of_text(name))) {
            exchange_say_no(exchange, 422, "unknown_member", name,
                            "the body of this path has no member of that name");
            return false;
        }
    }
    return true;
}

void exchange_refuse_large(struct exchange *exchange)
{
    exchange->inside->closes = true;
    if (exchange->match.route && charge_refusal(exchange))
        return;
    exchange_say_no(exchange, 413, "too_large", NULL, "a body may have at most %u bytes", BODY_MAX);
}

bool exchange_has_body(const struct exchange *exchange)
{
    return exchange->headers.transfer_encoding.data || guard_content_length(&exchange->headers) > 0;
}
