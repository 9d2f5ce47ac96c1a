/* Answers: what each of them carries, and in which form. */
#include "accept.h"
#include "exchange_inside.h"
#include "json_write.h"
#include "pages.h"
#include "probe.h"
#include "strict_json.h"
#include "wire/local.pb-c.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <zlib.h>

#define ZIPPED_MIN 1024u /* bytes; what is smaller is one packet anyway */
#define ZIP_LEVEL 1      /* of what is compressed anew for each answer */

/* Pages bring nothing from elsewhere, send nothing elsewhere, and stand in no frame. */
#define PAGE_POLICY(STYLES)                                                                        \
    "default-src 'none'; script-src 'self'; style-src " STYLES "; img-src 'self' data:; "          \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static void set_header(struct MHD_Response *response, const char *name, const char *value)
{
    MHD_add_response_header(response, name, value);
}

const char *exchange_header(const struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->inside->connection, MHD_HEADER_KIND, name);
}

void exchange_say_header(struct exchange *exchange, const char *name, const char *value)
{
    exchange->inside->said_name = name;
    exchange->inside->said_value = exchange_copy(exchange, bytes_of_text(value));
}

/* Who stores answers must know what they depend on (RFC 9110, section 12.5.5). */
static void set_vary(struct exchange *exchange, struct MHD_Response *response)
{
    bool by_origin = exchange->gateway->hosts.origin_count > 0;
    bool by_form = exchange->inside->is_negotiated;

    if (by_origin && by_form)
        set_header(response, MHD_HTTP_HEADER_VARY, "Origin, Accept-Encoding");
    else if (by_origin || by_form)
        set_header(response, MHD_HTTP_HEADER_VARY, by_form ? "Accept-Encoding" : "Origin");
}

/* A page of a listed Origin may read the answer, and those of its headers that say something. */
static void set_origin(struct exchange *exchange, struct MHD_Response *response)
{
    char origin[256];

    if (!guard_origin_is_listed(&exchange->gateway->hosts, &exchange->headers) ||
        exchange->headers.origin.size >= sizeof origin)
        return;
    snprintf(origin, sizeof origin, "%.*s", (int)exchange->headers.origin.size,
             (const char *)exchange->headers.origin.data);
    set_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    set_header(
        response, "Access-Control-Expose-Headers",
        "ETag, Idempotent-Replayed, Link, RateLimit, RateLimit-Policy, Retry-After, traceparent, "
        "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id");
}

void exchange_give(struct exchange *exchange, unsigned status, struct MHD_Response *response)
{
    struct exchange_inside *inside = exchange->inside;
    char id[EXCHANGE_ID_SIZE];

    if (!response)
        return; /* no memory: the library ends a connection that gets no answer */
    if (!MHD_get_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL))
        set_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    set_header(response, "X-Content-Type-Options", "nosniff");
    set_header(response, "X-Request-Id", exchange_request_id(exchange, id));
    if (inside->trace[0])
        set_header(response, "traceparent", inside->trace);
    if (inside->said_name)
        set_header(response, inside->said_name, inside->said_value);
    set_origin(exchange, response);
    set_vary(exchange, response);
    charge_headers(&exchange->charge, response);
    if (inside->closes || exchange_is_stopping())
        set_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (inside->response)
        MHD_destroy_response(inside->response);
    inside->response = response;
    inside->status = status;
}

/* ---- forms ---- */

/* gzip (RFC 1952). NULL: it does not get smaller. */
static uint8_t *zip(struct bytes text, size_t *size)
{
    z_stream stream = {.next_in = (uint8_t *)(uintptr_t)text.data, .avail_in = (uInt)text.size};
    uint8_t *zipped;
    bool is_good;

    if (deflateInit2(&stream, ZIP_LEVEL, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return NULL;
    zipped = memory_take(text.size);
    stream.next_out = zipped;
    stream.avail_out = (uInt)text.size;
    is_good = deflate(&stream, Z_FINISH) == Z_STREAM_END;
    *size = stream.total_out;
    deflateEnd(&stream);
    if (!is_good) {
        memory_give_back(zipped);
        return NULL;
    }
    return zipped;
}

static bool takes_gzip(struct exchange *exchange, size_t size)
{
    exchange->inside->is_negotiated = size >= ZIPPED_MIN;
    return exchange->inside->is_negotiated &&
           accept_coding(exchange_header(exchange, MHD_HTTP_HEADER_ACCEPT_ENCODING), "gzip");
}

static struct MHD_Response *zipped_response(struct bytes text)
{
    size_t size;
    uint8_t *zipped = zip(text, &size);
    struct MHD_Response *response;

    if (!zipped)
        return NULL;
    response = MHD_create_response_from_buffer_with_free_callback(size, zipped, memory_give_back);
    if (response)
        set_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    else
        memory_give_back(zipped);
    return response;
}

char *exchange_dump(json_t *body)
{
    char *text = json_write(body);

    json_decref(body);
    return text;
}

/* Keeps `text`. */
static struct MHD_Response *make_response(struct exchange *exchange, char *text, const char *type)
{
    struct MHD_Response *response = NULL;

    if (!text)
        return NULL;
    if (takes_gzip(exchange, strlen(text)))
        response = zipped_response(bytes_of_text(text));
    if (response)
        strict_json_forget(text);
    else
        response = MHD_create_response_from_buffer_with_free_callback(strlen(text), text,
                                                                      strict_json_forget);
    if (response)
        set_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    else
        strict_json_forget(text);
    return response;
}

/* ---- what is there ---- */

void exchange_answer(struct exchange *exchange, unsigned status, json_t *body)
{
    struct exchange_inside *inside = exchange->inside;
    char *text = exchange_dump(body);

    if (inside->is_keyed && text && status < 300) {
        inside->is_keyed = false;
        repeats_keep(exchange->gateway->repeats, &inside->keyed, status, text);
    }
    exchange_give(exchange, status, make_response(exchange, text, "application/json"));
}

void exchange_answer_told(struct exchange *exchange)
{
    struct told *told = exchange->inside->told;
    struct bytes text = told_text(told, exchange->inside->make), form = {NULL, 0};
    struct MHD_Response *response;

    if (!text.data)
        return; /* no memory: the library ends a connection that gets no answer */
    if (takes_gzip(exchange, text.size))
        form = told_zipped(told, zip);
    text = form.data ? form : text;
    response = MHD_create_response_from_buffer_with_free_callback_cls(
        text.size, (void *)(uintptr_t)text.data, told_give_back, told_hold(told));
    if (!response) {
        told_give_back(told);
        return;
    }
    if (form.data)
        set_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    set_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    exchange_give(exchange, MHD_HTTP_OK, response);
}

void exchange_answer_again(struct exchange *exchange, unsigned status, char *text)
{
    struct MHD_Response *response = make_response(exchange, text, "application/json");

    if (response)
        set_header(response, "Idempotent-Replayed", "true");
    exchange_give(exchange, status, response);
}

static struct MHD_Response *text_response(struct exchange *exchange, const char *type,
                                          struct bytes text)
{
    struct MHD_Response *response = NULL;

    if (takes_gzip(exchange, text.size))
        response = zipped_response(text);
    if (!response)
        response = MHD_create_response_from_buffer(text.size, (void *)(uintptr_t)text.data,
                                                   MHD_RESPMEM_MUST_COPY);
    if (response)
        set_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    return response;
}

void exchange_answer_text(struct exchange *exchange, unsigned status, const char *type,
                          struct bytes text)
{
    exchange_give(exchange, status, text_response(exchange, type, text));
}

void exchange_answer_empty(struct exchange *exchange, unsigned status)
{
    exchange_give(exchange, status, MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT));
}

void exchange_answer_probe(struct exchange *exchange)
{
    struct exchange_inside *inside = exchange->inside;

    inside->is_queued = probe_answer(exchange->gateway->probe, inside->connection);
    inside->status = MHD_HTTP_OK;
}

/* ---- what a client may have already ---- */

#define TAG_HASH_SIZE 16u /* bytes of the hash: nobody gains by two answers of his with one tag */
#define TAG_SIZE (2 * TAG_HASH_SIZE + sizeof "-gzip")

static void set_tag(struct MHD_Response *response, const char *before, const char *tag)
{
    char header[64];

    snprintf(header, sizeof header, "%s\"%s\"", before, tag);
    set_header(response, MHD_HTTP_HEADER_ETAG, header);
    set_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache"); /* ask each time */
}

static void answer_known(struct exchange *exchange, const char *before, const char *tag)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);

    if (response)
        set_tag(response, before, tag);
    exchange_give(exchange, MHD_HTTP_NOT_MODIFIED, response);
}

/* Strong (RFC 9110, section 8.8.1): each form has a tag of its own (section 8.8.3.3). That of the
 * compressed one is told by its name; its bytes follow from those that are hashed. */
void exchange_answer_tagged(struct exchange *exchange, const char *type, struct bytes text)
{
    const char *known = exchange_header(exchange, MHD_HTTP_HEADER_IF_NONE_MATCH);
    char plain[TAG_SIZE], zipped[TAG_SIZE];
    struct hash hash = hash_of(text);
    struct MHD_Response *response;

    sodium_bin2hex(plain, sizeof plain, hash.bytes, TAG_HASH_SIZE);
    snprintf(zipped, sizeof zipped, "%.*s-gzip", (int)(2 * TAG_HASH_SIZE), plain);
    if (accept_has_tag(known, plain) || accept_has_tag(known, zipped)) {
        takes_gzip(exchange, text.size); /* the same Vary as with it */
        answer_known(exchange, "", accept_has_tag(known, plain) ? plain : zipped);
        return;
    }
    response = text_response(exchange, type, text);
    if (response)
        set_tag(response, "",
                MHD_get_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING) ? zipped
                                                                                    : plain);
    exchange_give(exchange, MHD_HTTP_OK, response);
}

void exchange_answer_entity(struct exchange *exchange, json_t *body)
{
    char *text = exchange_dump(body);

    if (text) /* no memory: the library ends a connection that gets no answer */
        exchange_answer_tagged(exchange, "application/json", bytes_of_text(text));
    strict_json_forget(text);
}

void exchange_answer_page(struct exchange *exchange, const struct page *page)
{
    bool is_zipped = takes_gzip(exchange, page->plain.size);
    struct bytes bytes = is_zipped ? page->zipped : page->plain;
    struct MHD_Response *response;

    if (accept_has_tag(exchange_header(exchange, MHD_HTTP_HEADER_IF_NONE_MATCH), page->tag)) {
        answer_known(exchange, "W/", page->tag);
        return;
    }
    response = MHD_create_response_from_buffer(bytes.size, (void *)(uintptr_t)bytes.data,
                                               MHD_RESPMEM_PERSISTENT);
    if (response) {
        set_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, page->type);
        if (is_zipped)
            set_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
        set_tag(response, "W/", page->tag); /* weak: the compressed form has the same */
        if (!strncmp(page->type, "text/html", 9))
            set_header(response, "Content-Security-Policy",
                       page->is_styled ? PAGE_POLICY("'self' 'unsafe-inline'")
                                       : PAGE_POLICY("'self'"));
    }
    exchange_give(exchange, MHD_HTTP_OK, response);
}

/* ---- why not ---- */

void exchange_refuse(struct exchange *exchange, const struct problem *problem)
{
    char id[EXCHANGE_ID_SIZE], instance[320], seconds[16];
    struct MHD_Response *response;

    snprintf(instance, sizeof instance, "%.256s#%s", exchange->path,
             exchange_request_id(exchange, id));
    response = make_response(exchange, exchange_dump(reply_problem(problem, instance)),
                             "application/problem+json");
    if (response && problem->allow)
        set_header(response, MHD_HTTP_HEADER_ALLOW, problem->allow);
    if (response && problem->status == 401)
        set_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"beak\"");
    if (response && problem->retry_after_s) {
        snprintf(seconds, sizeof seconds, "%u", problem->retry_after_s);
        set_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    }
    exchange_give(exchange, problem->status, response);
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

/* ---- OPTIONS ---- */

void exchange_answer_options(struct exchange *exchange)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);

    if (response) {
        set_header(response, MHD_HTTP_HEADER_ALLOW, exchange->match.allow);
        if (guard_origin_is_listed(&exchange->gateway->hosts, &exchange->headers)) {
            set_header(response, "Access-Control-Allow-Methods", exchange->match.allow);
            set_header(response, "Access-Control-Allow-Headers",
                       "Authorization, Content-Type, Idempotency-Key, If-None-Match, "
                       "Last-Event-ID, traceparent");
            set_header(response, "Access-Control-Max-Age", "600");
        }
    }
    exchange_give(exchange, MHD_HTTP_NO_CONTENT, response);
}
