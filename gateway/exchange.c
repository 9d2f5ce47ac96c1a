/* The life of a request. Everything here runs on the server's thread but exchange_wake. */
#include "exchange_inside.h"

#include "client/duck_client.h"
#include "gate_log.h"
#include "wire/local.pb-c.h"

#include <poll.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>

#define HEADER_MS 3000u      /* from the connection to the end of the first header */
#define BODY_MS 10000u       /* from the header to the end of the body */
#define REQUEST_MS 30000u    /* the whole, what it waits for excepted */
#define KEEP_ALIVE_MS 30000u /* from an answer to the next header */
#define DROPPED_BODY_MAX                                                                           \
    (4u * BODY_MAX) /* of a body that is refused anyway; then the line is cut */
#define ARENA_BUDGET (4u * 1024u * 1024u)
#define ARENA_KEPT_MAX (16u * 1024u) /* bytes that a connection keeps between requests */

static _Atomic size_t under_way, parked;
static _Atomic bool is_stopping;
static _Atomic uint64_t numbers; /* in sixteens: see exchange_request_id */
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

bool exchange_is_stopping(void)
{
    return atomic_load_explicit(&is_stopping, memory_order_relaxed);
}

const char *exchange_request_id(const struct exchange *exchange, char text[EXCHANGE_ID_SIZE])
{
    uint64_t number = (first_number + exchange->inside->number) >> 4;

    memcpy(text, "req_", 4);
    for (size_t at = EXCHANGE_ID_SIZE - 2; at >= 4; at--, number >>= 4)
        text[at] = "0123456789abcdef"[number & 15];
    text[EXCHANGE_ID_SIZE - 1] = 0;
    return text;
}

/* ---- parking ---- */

void exchange_park_only(struct exchange *exchange)
{
    exchange->inside->is_parked = true;
    atomic_fetch_add(&parked, 1);
    MHD_suspend_connection(exchange->inside->connection);
}

void exchange_unpark(struct exchange *exchange)
{
    if (exchange->inside->is_parked)
        atomic_fetch_sub(&parked, 1);
    exchange->inside->is_parked = false;
}

void exchange_park(struct exchange *exchange, uint64_t wait_ms, exchange_then *then)
{
    struct exchange_inside *inside = exchange->inside;

    inside->then = then;
    inside->expected = -1;
    inside->waits = wait_ms > 0;
    connection_deadline(inside->slot, inside->began_ms + REQUEST_MS + wait_ms);
    exchange_park_only(exchange);
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

static void take_told(struct exchange *exchange)
{
    if (exchange->inside->told && !exchange->inside->is_taken)
        told_take(exchange->inside->told);
    exchange->inside->is_taken = exchange->inside->told;
}

static void forget_reply(struct exchange *exchange)
{
    take_told(exchange);
    if (exchange->inside->told)
        told_give_back(exchange->inside->told);
    else if (exchange->reply)
        duck_reply_free(exchange->reply);
    exchange->inside->told = NULL;
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

static void was_told(void *context, struct told *told)
{
    struct exchange *exchange = context;

    exchange->inside->told = told;
    exchange->inside->is_taken = false;
    exchange->reply = told_reply(told);
    exchange_wake(exchange);
}

static bool answer_lately(struct exchange *exchange, struct Duck__Request *request,
                          uint64_t most_ms)
{
    struct told *told =
        questions_lately(exchange->gateway->questions, exchange->gateway->node, request, most_ms);

    if (!told)
        return false;
    exchange->inside->told = told;
    exchange->reply = told_reply(told);
    exchange_answer_told(exchange);
    return true;
}

void exchange_call_shared(struct exchange *exchange, struct Duck__Request *request, int expected,
                          uint64_t most_ms, exchange_make *make)
{
    forget_reply(exchange);
    exchange->inside->make = make;
    if (most_ms > 0 && answer_lately(exchange, request, most_ms))
        return;
    exchange_park(exchange, 0, exchange_answer_told);
    exchange->inside->expected = expected;
    questions_ask(exchange->gateway->questions, exchange->gateway->node, request, was_told,
                  exchange);
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

/* ---- the body ---- */

enum exchange_step exchange_take_body(struct exchange *exchange, struct bytes part)
{
    struct exchange_inside *inside = exchange->inside;

    if (!inside->is_refused && inside->body_size + part.size > BODY_MAX) {
        exchange_refuse_large(exchange); /* a chunked one: no length told before */
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

static void find_route(struct exchange *exchange)
{
    struct problem problem;

    switch (routes_find(exchange->method, exchange->path, &exchange->match)) {
    case ROUTE_FOUND:
        break;
    case ROUTE_NO_SUCH_PATH:
        exchange_say_no(exchange, 404, "no_such_path", NULL,
                        "nothing is served at this path: /openapi.json has what is");
        break;
    case ROUTE_OTHER_METHOD:
        problem =
            problem_make(405, "method_not_allowed", "this path takes %s", exchange->match.allow);
        problem.allow = exchange->match.allow;
        exchange_refuse(exchange, &problem);
        break;
    case ROUTE_OPTIONS:
        exchange_answer_options(exchange);
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
    if (!exchange_has_body(exchange))
        return;
    if (!route->members && !charge_refusal(exchange))
        exchange_say_no(exchange, 400, "malformed", NULL, "this request takes no body");
    else if (route->members && !exchange_body_is_json(exchange->headers.content_type) &&
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
        exchange_refuse_large(exchange);
        return queue(exchange);
    }
    if (exchange->headers.traceparent.data)
        exchange_take_trace(exchange);
    connection_deadline(inside->slot,
                        inside->began_ms + (exchange_has_body(exchange) ? BODY_MS : REQUEST_MS));
    judge_header(exchange);
    inside->is_refused = inside->response;
    /* Not answered here even when refused: an answer at the library's first call ends the
     * connection, and the rest of the body would be read as the next request. */
    return EXCHANGE_GOES_ON;
}

static void serve(struct exchange *exchange)
{
    if (exchange_check_access(exchange) && exchange_read_query(exchange) &&
        (!exchange->match.route->members || exchange_read_body(exchange)) &&
        exchange_is_new(exchange))
        exchange->match.route->handle(exchange);
}

static void handle(struct exchange *exchange)
{
    struct exchange_inside *inside = exchange->inside;

    connection_deadline(inside->slot, inside->began_ms + REQUEST_MS);
    if (inside->is_refused)
        return;
    if (exchange_is_stopping()) {
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

        exchange_unpark(exchange);
        take_told(exchange);
        /* A key may have ended while its poll waited: it gets nothing any more. */
        inside->is_looked_up &= !inside->waits;
        if (inside->waits && exchange->has_access && !exchange_find_bearer(exchange))
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
    line.id = exchange_request_id(exchange, id);
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
    exchange_unpark(exchange);
    if (inside->ended)
        inside->ended(exchange);
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
