/* The life of a request. Everything here runs on the server's thread but exchange_wake. */
#include "exchange.h"

#include "client/duck_client.h"
#include "connections.h"
#include "core/limits.h"
#include "gate_log.h"
#include "strict_json.h"
#include "wire/local.pb-c.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <poll.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#define HEADER_MS 3000u      /* from the connection to the end of the first header */
#define BODY_MS 10000u       /* from the header to the end of the body */
#define REQUEST_MS 30000u    /* the whole, what it waits for excepted */
#define KEEP_ALIVE_MS 30000u /* from an answer to the next header */
#define DROPPED_BODY_MAX                                                                           \
    (4u * BODY_MAX) /* of a body that is refused anyway; then the line is cut */
#define ARENA_BUDGET (4u * 1024u * 1024u)
#define ARENA_KEPT_MAX (16u * 1024u) /* bytes that a connection keeps between requests */
#define BEARER_MAX 256u              /* bytes of a credential */

enum exchange_state {
    EXCHANGE_IDLE,    /* between requests */
    EXCHANGE_READING, /* its body */
    EXCHANGE_HANDLED, /* a handler has run */
};

struct exchange_inside {
    struct connection_slot *slot;
    struct MHD_Connection *connection;
    enum exchange_state state;
    bool is_parked, waits, is_queued, closes;
    unsigned status;
    struct MHD_Response *response; /* made, not queued yet */
    exchange_then *then;
    int expected; /* of the node's next reply; -1: parked for something else */
    uint8_t *body;
    size_t body_size, body_room, body_dropped;
    bool is_refused;   /* an answer is ready before the body has ended */
    bool is_keyed;     /* its answer is to be kept under `keyed` */
    bool is_looked_up; /* the bearer: see exchange_bearer */
    enum access_verdict bearer;
    struct forwarded_lines forwarded;
    struct repeats_name keyed;
    struct timespec began;
    uint64_t began_ms, number;
    char trace[PECK_TRACE_SIZE + 1];
};

static _Atomic size_t under_way, parked;
static _Atomic bool is_stopping;
static _Atomic uint64_t numbers; /* in sixteens: see request_id */
static uint64_t first_number;    /* so that ids of two lives of the gateway differ */

void exchange_prepare(void)
{
    randombytes_buf(&first_number, sizeof first_number);
}

size_t exchange_count(bool only_parked)
{
    return atomic_load(only_parked ? &parked : &under_way);
}

void exchange_stop_all(void)
{
    atomic_store(&is_stopping, true);
}

static const char *request_id(const struct exchange *exchange, char text[EXCHANGE_ID_SIZE])
{
    snprintf(text, EXCHANGE_ID_SIZE, "req_%015" PRIx64,
             (first_number + exchange->inside->number) >> 4);
    return text;
}

/* ---- answers ---- */

static void set_header(struct MHD_Response *response, const char *name, const char *value)
{
    MHD_add_response_header(response, name, value);
}

static void give_response(struct exchange *exchange, unsigned status, struct MHD_Response *response)
{
    struct exchange_inside *inside = exchange->inside;
    char id[EXCHANGE_ID_SIZE], origin[256];

    if (!response)
        return; /* no memory: the library ends a connection that gets no answer */
    set_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    set_header(response, "X-Content-Type-Options", "nosniff");
    set_header(response, "X-Request-Id", request_id(exchange, id));
    if (inside->trace[0])
        set_header(response, "traceparent", inside->trace);
    if (guard_origin_is_listed(&exchange->gateway->hosts, &exchange->headers) &&
        exchange->headers.origin.size < sizeof origin) {
        snprintf(origin, sizeof origin, "%.*s", (int)exchange->headers.origin.size,
                 (const char *)exchange->headers.origin.data);
        set_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        set_header(response, MHD_HTTP_HEADER_VARY, "Origin");
    }
    charge_headers(&exchange->charge, response);
    if (inside->closes || atomic_load(&is_stopping))
        set_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (inside->response)
        MHD_destroy_response(inside->response);
    inside->response = response;
    inside->status = status;
}

static char *dump(json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);

    json_decref(body);
    return text;
}

/* Keeps `text`. */
static struct MHD_Response *make_response(char *text, const char *type)
{
    struct MHD_Response *response;

    if (!text)
        return NULL;
    response =
        MHD_create_response_from_buffer_with_free_callback(strlen(text), text, strict_json_forget);
    if (response)
        set_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    else
        strict_json_forget(text);
    return response;
}

void exchange_answer(struct exchange *exchange, unsigned status, json_t *body)
{
    struct exchange_inside *inside = exchange->inside;
    char *text = dump(body);

    if (inside->is_keyed && text && status < 300) {
        inside->is_keyed = false;
        repeats_keep(exchange->gateway->repeats, &inside->keyed, status, text);
    }
    give_response(exchange, status, make_response(text, "application/json"));
}

void exchange_answer_text(struct exchange *exchange, unsigned status, const char *type,
                          struct bytes text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        text.size, (void *)(uintptr_t)text.data, MHD_RESPMEM_MUST_COPY);

    if (response)
        set_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    give_response(exchange, status, response);
}

void exchange_answer_empty(struct exchange *exchange, unsigned status)
{
    give_response(exchange, status, MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT));
}

void exchange_answer_probe(struct exchange *exchange)
{
    struct exchange_inside *inside = exchange->inside;

    inside->is_queued = probe_answer(exchange->gateway->probe, inside->connection);
    inside->status = MHD_HTTP_OK;
}

void exchange_refuse(struct exchange *exchange, const struct problem *problem)
{
    char id[EXCHANGE_ID_SIZE], instance[320], seconds[16];
    struct MHD_Response *response;

    snprintf(instance, sizeof instance, "%.256s#%s", exchange->path, request_id(exchange, id));
    response = make_response(dump(reply_problem(problem, instance)), "application/problem+json");
    if (response && problem->allow)
        set_header(response, MHD_HTTP_HEADER_ALLOW, problem->allow);
    if (response && problem->status == 401)
        set_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"beak\"");
    if (response && problem->retry_after_s) {
        snprintf(seconds, sizeof seconds, "%u", problem->retry_after_s);
        set_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
    give_response(exchange, problem->status, response);
}

void exchange_say_no(struct exchange *exchange, unsigned status, const char *code,
                     const char *field, const char *format, ...)
{
    struct problem problem = {.status = status, .code = code, .field = field};
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(problem.detail, sizeof problem.detail, format, arguments);
    va_end(arguments);
    exchange_refuse(exchange, &problem);
}

/* ---- parking ---- */

void exchange_park(struct exchange *exchange, uint64_t wait_ms, exchange_then *then)
{
    struct exchange_inside *inside = exchange->inside;

    inside->then = then;
    inside->expected = -1;
    inside->is_parked = true;
    inside->waits = wait_ms > 0;
    atomic_fetch_add(&parked, 1);
    connection_deadline(inside->slot, inside->began_ms + REQUEST_MS + wait_ms);
    MHD_suspend_connection(inside->connection);
}

void exchange_wake(struct exchange *exchange)
{
    MHD_resume_connection(exchange->inside->connection);
}

static void replied(void *context, Duck__Reply *reply)
{
    struct exchange *exchange = context;

    exchange->reply = reply;
    exchange_wake(exchange);
}

static void forget_reply(struct exchange *exchange)
{
    if (exchange->reply)
        duck_reply_free(exchange->reply);
    exchange->reply = NULL;
}

void exchange_call(struct exchange *exchange, struct Duck__Request *request, int expected,
                   uint64_t wait_ms, exchange_then *then)
{
    forget_reply(exchange);
    exchange_park(exchange, wait_ms, then);
    exchange->inside->expected = expected;
    node_link_call(exchange->gateway->node, request, wait_ms + 5000, replied, exchange);
}

/* Who closes its side while it waits has given up. A suspended connection is not looked at by the
 * library, so this is asked when it is woken. */
static bool caller_is_gone(const struct exchange *exchange)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->inside->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd watched = {.fd = info->connect_fd, .events = POLLRDHUP};

    return poll(&watched, 1, 0) > 0 && (watched.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void give_back(struct exchange *exchange)
{
    exchange_then *undo = exchange->give_back;

    exchange->give_back = NULL;
    if (undo && exchange->reply && (int)exchange->reply->answer_case == exchange->inside->expected)
        undo(exchange);
}

void exchange_refuse_as_node(struct exchange *exchange)
{
    const Duck__Reply *reply = exchange->reply;
    struct problem problem;

    if (reply->answer_case == DUCK__REPLY__ANSWER_PROBLEM) {
        problem =
            problem_of_node(reply->problem->code, reply->problem->message, reply->problem->field);
        if (reply->problem->retry_after_ms)
            problem.retry_after_s = reply_seconds(reply->problem->retry_after_ms);
    } else {
        problem = problem_of_node("protocol", "the node answers what was not asked", NULL);
    }
    exchange_refuse(exchange, &problem);
}

/* True when `then` may run. */
static bool reply_is_expected(struct exchange *exchange)
{
    const Duck__Reply *reply = exchange->reply;
    exchange_then *refused = exchange->refused;

    exchange->refused = NULL;
    if (exchange->inside->expected < 0 || (int)reply->answer_case == exchange->inside->expected)
        return true;
    if (refused && reply->answer_case == DUCK__REPLY__ANSWER_PROBLEM)
        refused(exchange);
    else
        exchange_refuse_as_node(exchange);
    return false;
}

/* ---- who calls ---- */

enum access_verdict exchange_bearer(struct exchange *exchange)
{
    struct exchange_inside *inside = exchange->inside;
    struct bytes header = exchange->headers.authorization;
    char bearer[BEARER_MAX + 1];

    if (inside->is_looked_up)
        return inside->bearer;
    inside->is_looked_up = true;
    inside->bearer = ACCESS_MALFORMED;

    if (header.size > 7 && header.size - 7 <= BEARER_MAX &&
        !strncasecmp((const char *)header.data, "Bearer ", 7)) {
        memcpy(bearer, header.data + 7, header.size - 7);
        bearer[header.size - 7] = 0;
        inside->bearer = access_find(exchange->gateway->accounts, bearer, &exchange->access);
        sodium_memzero(bearer, sizeof bearer);
    }
    return inside->bearer;
}

static bool find_bearer(struct exchange *exchange)
{
    enum access_verdict verdict = exchange_bearer(exchange);

    exchange->has_access = verdict == ACCESS_TAKEN;
    switch (verdict) {
    case ACCESS_TAKEN:
        return true;
    case ACCESS_MALFORMED:
        exchange_say_no(exchange, 401, "bad_bearer", NULL, "%s", access_verdict_text(verdict));
        return false;
    case ACCESS_UNKNOWN:
        exchange_say_no(exchange, 401, "unknown_bearer", NULL, "%s", access_verdict_text(verdict));
        return false;
    case ACCESS_EXPIRED:
        exchange_say_no(exchange, 401, "session_expired", NULL, "%s", access_verdict_text(verdict));
        return false;
    case ACCESS_FAULT:
        exchange_say_no(exchange, 503, "store_failed", NULL, "%s", access_verdict_text(verdict));
        return false;
    }
    return false;
}

static bool check_access(struct exchange *exchange)
{
    const struct route *route = exchange->match.route;
    bool is_given = exchange->headers.authorization.data;

    if (route->who == ROUTE_ALL || (route->who == ROUTE_EITHER && !is_given))
        return true;
    if (!is_given) {
        exchange_say_no(exchange, 401, "no_bearer", NULL,
                        "this needs Authorization: Bearer with a %s",
                        route->who == ROUTE_BEAK_KEY ? "beak key" : "session token or a beak key");
        return false;
    }
    if (!find_bearer(exchange))
        return false;
    if (route->who == ROUTE_BEAK_KEY && exchange->access.kind != ACCESS_BEAK_KEY) {
        exchange_say_no(exchange, 403, "beak_key_needed", NULL,
                        "only a duckling itself, by its beak key, may do this");
        return false;
    }
    return true;
}

bool exchange_owns(struct exchange *exchange, const struct id *duckling)
{
    if (exchange->access.kind == ACCESS_BEAK_KEY)
        return id_equal(duckling, &exchange->access.duckling);
    return accounts_owns(exchange->gateway->accounts, exchange->access.operator_id, duckling);
}

static const char *named_duckling(struct exchange *exchange, bool in_body)
{
    for (size_t i = 0; i < exchange->query_count; i++)
        if (!strcmp(exchange->query[i].name, "duckling_id"))
            return exchange->query[i].value;
    return in_body ? json_string_value(json_object_get(exchange->body, "duckling_id")) : NULL;
}

bool exchange_names_duckling(struct exchange *exchange, bool in_body)
{
    return named_duckling(exchange, in_body) ||
           (in_body && json_object_get(exchange->body, "duckling_id"));
}

bool exchange_acting(struct exchange *exchange, bool in_body)
{
    const char *named = named_duckling(exchange, in_body);
    struct id duckling = exchange->access.duckling;

    if (exchange_names_duckling(exchange, in_body) &&
        (!named || !id_parse(ID_DUCKLING, bytes_of_text(named), &duckling) ||
         id_is_zero(&duckling))) {
        exchange_say_no(exchange, 422, "bad_member", "duckling_id",
                        "duckling_id is not the id of a duckling");
        return false;
    }
    if (id_is_zero(&duckling)) {
        exchange_say_no(exchange, 409, "no_duckling", NULL,
                        "this operator has no duckling yet: POST /beak/hatch makes one");
        return false;
    }
    if (named && !exchange_owns(exchange, &duckling)) {
        bool is_key = exchange->access.kind == ACCESS_BEAK_KEY;

        exchange_say_no(exchange, is_key ? 403 : 404, is_key ? "not_allowed" : "not_found",
                        "duckling_id",
                        is_key ? "a beak key acts for its own duckling only"
                               : "this operator has no such duckling");
        return false;
    }
    exchange->acting = duckling;
    id_text(ID_DUCKLING, &duckling, exchange->acting_text);
    return true;
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

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

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

static bool read_query(struct exchange *exchange)
{
    MHD_get_connection_values_n(exchange->inside->connection, MHD_GET_ARGUMENT_KIND,
                                take_query_member, exchange);
    return !exchange->inside->response;
}

/* ---- the body ---- */

static bool type_is_json(struct bytes type)
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

static bool read_body(struct exchange *exchange)
{
    struct exchange_inside *inside = exchange->inside;
    char problem[STRICT_JSON_PROBLEM_SIZE];
    const char *name;
    json_t *value;

    exchange->body_text = bytes_of(inside->body, inside->body_size);
    exchange->body =
        inside->body_size ? strict_json_read(exchange->body_text, problem) : json_object();
    if (!exchange->body) {
        exchange_say_no(exchange, 400, "malformed", NULL, "%s", problem);
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

static void refuse_large(struct exchange *exchange)
{
    exchange->inside->closes = true;
    if (exchange->match.route && charge_refusal(exchange))
        return;
    exchange_say_no(exchange, 413, "too_large", NULL, "a body may have at most %u bytes", BODY_MAX);
}

static bool has_body(const struct exchange *exchange)
{
    return exchange->headers.transfer_encoding.data || guard_content_length(&exchange->headers) > 0;
}

enum exchange_step exchange_take_body(struct exchange *exchange, struct bytes part)
{
    struct exchange_inside *inside = exchange->inside;

    if (!inside->is_refused && inside->body_size + part.size > BODY_MAX) {
        refuse_large(exchange); /* a chunked one: no length told before */
        inside->is_refused = true;
    }
    if (inside->is_refused) {
        /* An answer now would be lost on a client that still writes: take it all, up to a point. */
        inside->body_dropped += part.size;
        return inside->body_dropped > DROPPED_BODY_MAX ? EXCHANGE_ENDS : EXCHANGE_GOES_ON;
    }
    if (inside->body_size + part.size > inside->body_room) {
        uint64_t told = guard_content_length(&exchange->headers);
        size_t room = inside->body_room * 2 + part.size;

        inside->body_room = told > room ? (size_t)told : room;
        inside->body = memory_resize(inside->body, inside->body_room);
    }
    memcpy(inside->body + inside->body_size, part.data, part.size);
    inside->body_size += part.size;
    return EXCHANGE_GOES_ON;
}

/* ---- the way of a request ---- */

static const char *forwarding_header(const struct exchange *exchange)
{
    return exchange->gateway->trust.header == FORWARDED_FORWARDED ? "Forwarded" : "X-Forwarded-For";
}

static enum MHD_Result see_header(void *context, enum MHD_ValueKind kind, const char *name,
                                  size_t name_size, const char *value, size_t value_size)
{
    struct exchange *exchange = context;

    (void)kind;
    if (!guard_see(&exchange->headers, bytes_of(name, name_size), bytes_of(value, value_size)))
        return MHD_NO;
    if (exchange->gateway->trust.proxies.count > 0 &&
        name_size == strlen(forwarding_header(exchange)) &&
        !strncasecmp(name, forwarding_header(exchange), name_size))
        forwarded_add(&exchange->inside->forwarded, bytes_of(value, value_size));
    return MHD_YES;
}

static void find_caller(struct exchange *exchange)
{
    const char *peer = connection_address(exchange->inside->slot);
    char caller[FORWARDED_ADDRESS_SIZE];

    exchange->address = peer;
    if (exchange->inside->forwarded.count > 0)
        exchange->address = exchange_copy(
            exchange, bytes_of_text(forwarded_caller(&exchange->gateway->trust, peer,
                                                     &exchange->inside->forwarded, caller)));
}

/* traceparent of W3C Trace Context, section 3.2.2: version, trace, span, flags. */
static void take_trace(struct exchange *exchange)
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

static void answer_options(struct exchange *exchange)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);

    if (response) {
        set_header(response, MHD_HTTP_HEADER_ALLOW, exchange->match.allow);
        if (guard_origin_is_listed(&exchange->gateway->hosts, &exchange->headers)) {
            set_header(response, "Access-Control-Allow-Methods", exchange->match.allow);
            set_header(response, "Access-Control-Allow-Headers",
                       "Authorization, Content-Type, Idempotency-Key, traceparent");
            set_header(response, "Access-Control-Max-Age", "600");
        }
    }
    give_response(exchange, MHD_HTTP_NO_CONTENT, response);
}

static void find_route(struct exchange *exchange)
{
    struct problem problem;

    switch (routes_find(exchange->method, exchange->path, &exchange->match)) {
    case ROUTE_FOUND:
        break;
    case ROUTE_NO_SUCH_PATH:
        exchange_say_no(exchange, 404, "no_such_path", NULL, "nothing is served at this path");
        break;
    case ROUTE_OTHER_METHOD:
        problem =
            problem_make(405, "method_not_allowed", "this path takes %s", exchange->match.allow);
        problem.allow = exchange->match.allow;
        exchange_refuse(exchange, &problem);
        break;
    case ROUTE_OPTIONS:
        answer_options(exchange);
        break;
    }
}

/* What can be said before the body is read, cheapest first. */
static void judge_header(struct exchange *exchange)
{
    enum guard_verdict place = guard_place(&exchange->gateway->hosts, &exchange->headers);
    const struct route *route;

    if (place == GUARD_FOREIGN_HOST) {
        exchange_say_no(exchange, 421, "foreign_host", NULL, "%s", guard_verdict_text(place));
        return;
    }
    if (place == GUARD_FOREIGN_ORIGIN) {
        exchange_say_no(exchange, 403, "foreign_origin", NULL, "%s", guard_verdict_text(place));
        return;
    }
    find_route(exchange);
    route = exchange->match.route;
    if (!route)
        return;
    if (!has_body(exchange))
        return;
    if (!route->members && !charge_refusal(exchange))
        exchange_say_no(exchange, 400, "malformed", NULL, "this request takes no body");
    else if (route->members && !type_is_json(exchange->headers.content_type) &&
             !charge_refusal(exchange))
        exchange_say_no(exchange, 415, "not_json", NULL,
                        "the body must be application/json in UTF-8");
}

static enum exchange_step queue(struct exchange *exchange)
{
    struct exchange_inside *inside = exchange->inside;
    bool is_queued;

    if (inside->is_queued)
        return EXCHANGE_GOES_ON;
    if (!inside->response)
        return EXCHANGE_ENDS;
    is_queued = MHD_queue_response(inside->connection, inside->status, inside->response) == MHD_YES;
    MHD_destroy_response(inside->response);
    inside->response = NULL;
    inside->is_queued = is_queued;
    return is_queued ? EXCHANGE_GOES_ON : EXCHANGE_ENDS;
}

static void start(struct exchange *exchange, struct MHD_Connection *connection, const char *method,
                  const char *path)
{
    struct exchange_inside *inside = exchange->inside;

    inside->connection = connection;
    inside->state = EXCHANGE_READING;
    inside->began_ms = gateway_now_ms();
    inside->number = atomic_fetch_add_explicit(&numbers, 16, memory_order_relaxed);
    clock_gettime(CLOCK_MONOTONIC, &inside->began);
    atomic_fetch_add_explicit(&under_way, 1, memory_order_relaxed);
    exchange->method = method;
    exchange->path = path;
    exchange->headers = (struct guard_headers){.verdict = GUARD_TAKEN};
}

enum exchange_step exchange_begin(struct exchange *exchange, struct MHD_Connection *connection,
                                  const char *method, const char *path)
{
    struct exchange_inside *inside = exchange->inside;

    start(exchange, connection, method, path);
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, see_header, exchange);
    find_caller(exchange);
    if (guard_judge(&exchange->headers, path) != GUARD_TAKEN) {
        /* Where this request ends is in doubt, so nothing after it on this connection is read. */
        inside->closes = true;
        exchange_say_no(exchange, 400, "malformed", NULL, "%s",
                        guard_verdict_text(exchange->headers.verdict));
        return queue(exchange);
    }
    if (guard_content_length(&exchange->headers) > BODY_MAX) {
        find_route(exchange);
        refuse_large(exchange);
        return queue(exchange);
    }
    if (exchange->headers.traceparent.data)
        take_trace(exchange);
    connection_deadline(inside->slot,
                        inside->began_ms + (has_body(exchange) ? BODY_MS : REQUEST_MS));
    judge_header(exchange);
    inside->is_refused = inside->response;
    /* Not answered here even when refused: an answer at the library's first call ends the
     * connection, and the rest of the body would be read as the next request. */
    return EXCHANGE_GOES_ON;
}

/* ---- repeated requests ---- */

static bool key_is_well_formed(struct exchange *exchange)
{
    struct bytes key = exchange->headers.idempotency_key;
    bool is_good = key.size > 0 && key.size <= PECK_IDEMPOTENCY_KEY_MAX;

    for (size_t i = 0; i < key.size; i++)
        is_good = is_good && key.data[i] >= 0x20 && key.data[i] <= 0x7e;
    if (!is_good)
        exchange_say_no(exchange, 422, "bad_member", "Idempotency-Key",
                        "the key is 1 to %d characters of printable ASCII",
                        PECK_IDEMPOTENCY_KEY_MAX);
    return is_good;
}

/* A key is its caller's own: a bearer's, else the address's. */
static void name_request(struct exchange *exchange, struct repeats_name *name)
{
    const struct access *access = &exchange->access;
    struct bytes key = exchange->headers.idempotency_key;
    char who[ID_TEXT_SIZE + 32], place[512];
    char duckling[ID_TEXT_SIZE];
    json_t *content = json_array();
    char *text;

    if (exchange->has_access)
        snprintf(who, sizeof who, "%d %" PRIu64 " %s", access->kind, access->operator_id,
                 access->kind == ACCESS_BEAK_KEY ? id_text(ID_DUCKLING, &access->duckling, duckling)
                                                 : "");
    else
        snprintf(who, sizeof who, "%s", exchange->address);
    snprintf(place, sizeof place, "%s\n%s\n%.*s", who, exchange->match.route->path, (int)key.size,
             (const char *)key.data);
    for (size_t i = 0; i < exchange->query_count; i++)
        json_array_append_new(content,
                              json_pack("[ss]", exchange->query[i].name, exchange->query[i].value));
    json_array_append_new(
        content, json_stringn((const char *)exchange->body_text.data, exchange->body_text.size));
    text = dump(content);
    repeats_name(exchange->gateway->repeats, bytes_of_text(place), bytes_of_text(text ? text : ""),
                 name);
    strict_json_forget(text);
}

static void answer_again(struct exchange *exchange, unsigned status, char *text)
{
    struct MHD_Response *response = make_response(text, "application/json");

    if (response)
        set_header(response, "Idempotent-Replayed", "true");
    give_response(exchange, status, response);
}

/* True: the request is new, or has no key. */
static bool is_new(struct exchange *exchange)
{
    struct exchange_inside *inside = exchange->inside;
    enum route_trait trait = exchange->match.route->trait;
    unsigned status = 0;
    char *text = NULL;

    if (!exchange->headers.idempotency_key.data ||
        (trait != ROUTE_CREATES && trait != ROUTE_NODE_CREATES))
        return true;
    if (!key_is_well_formed(exchange))
        return false;
    if (trait == ROUTE_NODE_CREATES)
        return true;
    name_request(exchange, &inside->keyed);
    switch (
        repeats_ask(exchange->gateway->repeats, &inside->keyed, gateway_now_ms(), &status, &text)) {
    case REPEATS_NEW:
        inside->is_keyed = true;
        return true;
    case REPEATS_KNOWN:
        answer_again(exchange, status, text);
        break;
    case REPEATS_OTHER:
        exchange_say_no(exchange, 422, "idempotency_key_reused", "Idempotency-Key",
                        "this key named another request before");
        break;
    case REPEATS_UNDER_WAY:
        exchange_say_no(exchange, 409, "conflict", "Idempotency-Key",
                        "the request of this key is not answered yet");
        break;
    case REPEATS_FULL:
        exchange_say_no(exchange, 503, "busy", NULL, "too many requests with keys at once");
        break;
    }
    return false;
}

static void serve(struct exchange *exchange)
{
    if (check_access(exchange) && read_query(exchange) &&
        (!exchange->match.route->members || read_body(exchange)) && is_new(exchange))
        exchange->match.route->handle(exchange);
}

static void handle(struct exchange *exchange)
{
    struct exchange_inside *inside = exchange->inside;

    connection_deadline(inside->slot, inside->began_ms + REQUEST_MS);
    if (inside->is_refused)
        return;
    if (atomic_load_explicit(&is_stopping, memory_order_relaxed)) {
        struct problem problem = problem_of_node("unreachable", "the gateway is stopping", NULL);

        exchange_refuse(exchange, &problem);
        return;
    }
    charge_request(exchange, serve);
}

enum exchange_step exchange_go_on(struct exchange *exchange)
{
    struct exchange_inside *inside = exchange->inside;

    if (inside->state == EXCHANGE_READING) {
        inside->state = EXCHANGE_HANDLED;
        handle(exchange);
    } else if (inside->is_parked) {
        exchange_then *then = inside->then;

        inside->is_parked = false;
        atomic_fetch_sub(&parked, 1);
        /* A key may have ended while its poll waited: it gets nothing any more. */
        inside->is_looked_up &= !inside->waits;
        if (inside->waits && exchange->has_access && !find_bearer(exchange))
            give_back(exchange);
        else if (inside->waits && exchange->give_back && caller_is_gone(exchange))
            return EXCHANGE_ENDS;
        else if (reply_is_expected(exchange))
            then(exchange);
    }
    /* Parked (again): from here on it belongs to whoever wakes it. `is_parked` is this thread's. */
    return inside->is_parked ? EXCHANGE_GOES_ON : queue(exchange);
}

static void log_request(struct exchange *exchange)
{
    const struct exchange_inside *inside = exchange->inside;
    bool is_quiet = exchange->match.route && exchange->match.route->trait == ROUTE_QUIET &&
                    inside->status < 400;
    enum gate_log_level level = is_quiet ? GATE_LOG_DEBUG : GATE_LOG_INFO;
    struct gate_log_request line = {.method = exchange->method, .path = exchange->path};
    char id[EXCHANGE_ID_SIZE];
    struct timespec now;

    if (!gate_log_shows(level))
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    line.id = request_id(exchange, id);
    line.address = exchange->address;
    line.status = inside->is_queued ? inside->status : 0;
    line.took_us = (uint64_t)(now.tv_sec - inside->began.tv_sec) * 1000000 +
                   (uint64_t)(now.tv_nsec / 1000) - (uint64_t)(inside->began.tv_nsec / 1000);
    gate_log_access(level, &line);
}

void exchange_finish(struct exchange *exchange, bool is_sent)
{
    struct exchange_inside *inside = exchange->inside;
    bool is_large;

    if (inside->state == EXCHANGE_IDLE)
        return;
    log_request(exchange);
    if (inside->is_parked)
        atomic_fetch_sub(&parked, 1);
    if (!is_sent)
        give_back(exchange);
    exchange->give_back = exchange->refused = NULL;
    if (inside->is_keyed) /* nothing came of it: whoever repeats it may try again */
        repeats_forget(exchange->gateway->repeats, &inside->keyed);
    if (inside->response)
        MHD_destroy_response(inside->response);
    if (inside->body) {
        sodium_memzero(inside->body, inside->body_size);
        memory_give_back(inside->body);
    }
    json_decref(exchange->body);
    json_decref(exchange->draft);
    forget_reply(exchange);
    is_large = exchange->arena.taken > ARENA_KEPT_MAX;
    arena_wipe(&exchange->arena);
    if (is_large)
        arena_free(&exchange->arena);
    exchange->body = exchange->draft = NULL;
    exchange->body_text = bytes_of(NULL, 0);
    exchange->query_count = 0;
    exchange->has_access = false;
    exchange->charge.is_made = false;
    exchange->work = NULL;
    exchange->match.route = NULL;
    *inside = (struct exchange_inside){.slot = inside->slot};
    atomic_fetch_sub_explicit(&under_way, 1, memory_order_relaxed);
    connection_deadline(inside->slot, gateway_now_ms() + KEEP_ALIVE_MS);
}

struct exchange *exchange_new(struct gateway *gateway, struct connection_slot *slot)
{
    struct exchange *exchange = memory_take(sizeof *exchange);

    exchange->gateway = gateway;
    exchange->inside = memory_take(sizeof *exchange->inside);
    exchange->inside->slot = slot;
    arena_init(&exchange->arena, ARENA_BUDGET);
    return exchange;
}

void exchange_free(struct exchange *exchange)
{
    if (!exchange)
        return;
    exchange_finish(exchange, false);
    arena_free(&exchange->arena);
    memory_give_back(exchange->inside);
    memory_give_back(exchange);
}
