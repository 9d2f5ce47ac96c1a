/* exchange: one request and its answer, as a handler sees them.
 *
 * A handler runs on the server's thread and ends in one of three ways: it answers, it refuses, or
 * it parks: something elsewhere (the node, the accounts) will wake the exchange, and `then` goes
 * on, again on the server's thread. So handlers need no locks. While an exchange is parked, nobody
 * but the one who will wake it touches it.
 *
 *     void route_pulse(struct exchange *exchange)
 *     {
 *         …
 *         exchange_call(exchange, &request, DUCK__REPLY__ANSWER_DONE, 0, pulsed);
 *     }
 */
#ifndef DUCK_GATE_EXCHANGE_H
#define DUCK_GATE_EXCHANGE_H

#include "accounts.h"
#include "charge.h"
#include "gateway.h"
#include "reply.h"
#include "routes.h"

#define BODY_MAX (512u * 1024u)      /* bytes; a payload of PECK_PAYLOAD_MAX fits in */
#define EXCHANGE_QUERY_MAX 16        /* members */
#define EXCHANGE_ID_SIZE 20          /* "req_", 15 characters, NUL */
#define EXCHANGE_WAIT_MAX_S 30       /* of a long poll */

struct exchange;
struct page;
struct Duck__Request;
struct Duck__Reply;
typedef void exchange_then(struct exchange *exchange);

struct exchange_member {
    const char *name, *value;
};

struct exchange {
    struct gateway *gateway;
    const char *method, *path; /* the path as it was sent, without the query */
    struct route_match match;
    struct guard_headers headers;
    const char *address;     /* of the caller, as text: see forwarded.h */
    struct charge charge;
    json_t *body;            /* an object; NULL: the route takes none */
    struct bytes body_text;  /* what it was read from */
    struct exchange_member query[EXCHANGE_QUERY_MAX];
    size_t query_count;
    bool has_access;
    struct access access;
    struct arena arena;          /* for as long as the exchange lives; wiped after it */
    struct Duck__Reply *reply;   /* the node's last; good, and of the expected kind, in `then` */
    void *work;                  /* the handler's own, from the arena */
    const char *doubted_peck;    /* peck_owner's: whose is it? */
    /* Runs where `then` or its answer came to nothing: the caller is gone, or may not have it any
     * more. Undoes what the node's reply stands for; NULL: nothing. */
    exchange_then *give_back;
    /* Runs once, in the place of `then`, when the node says no: to say it in other words. NULL: the
     * node's are told. */
    exchange_then *refused;
    json_t *draft;               /* an answer that grows over several calls; given back with it */
    struct id acting;            /* see exchange_acting */
    char acting_text[ID_TEXT_SIZE];
    struct exchange_inside *inside; /* the server's */
};

/* ---- endings ---- */
void exchange_answer(struct exchange *exchange, unsigned status, json_t *body); /* takes body */
/* 200, with a strong ETag over its bytes, which are copied; who has them already is told 304. Of a GET. */
void exchange_answer_tagged(struct exchange *exchange, const char *type, struct bytes text);
void exchange_answer_entity(struct exchange *exchange, json_t *body); /* as JSON; takes body */
char *exchange_dump(json_t *body); /* takes body; for strict_json_forget */
void exchange_answer_text(struct exchange *exchange, unsigned status, const char *type,
                          struct bytes text); /* copied */
void exchange_answer_page(struct exchange *exchange, const struct page *page);
/* A header of the answer that is given next. */
void exchange_say_header(struct exchange *exchange, const char *name, const char *value);
void exchange_answer_empty(struct exchange *exchange, unsigned status);
void exchange_answer_probe(struct exchange *exchange);
void exchange_refuse(struct exchange *exchange, const struct problem *problem);
void exchange_refuse_as_node(struct exchange *exchange); /* what its last reply says */
void exchange_say_no(struct exchange *exchange, unsigned status, const char *code,
                     const char *field, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* The reply must be of kind `expected` (Duck__Reply__AnswerCase); all else is told to the client
 * and `then` does not run. `wait_ms` is what the order itself waits for. */
void exchange_call(struct exchange *exchange, struct Duck__Request *request, int expected,
                   uint64_t wait_ms, exchange_then *then);

/* The same for what does not depend on who asks, and may be asked by many at once (questions.h): `make`
 * writes the body, once for all of them, as JSON for strict_json_forget. An answer may be so old as `most_ms`, if it
 * is not older than what was ordered here last; 0: no older than the request. */
typedef char *exchange_make(const struct Duck__Reply *reply);
void exchange_call_shared(struct exchange *exchange, struct Duck__Request *request, int expected,
                          uint64_t most_ms, exchange_make *make);

/* The two halves of it, for what is not one call. Park first, then start what will wake. */
void exchange_park(struct exchange *exchange, uint64_t wait_ms, exchange_then *then);
void exchange_wake(struct exchange *exchange); /* from any thread, once; the last touch */

/* An answer that goes on: `next` is called on the server's thread whenever the client takes more. It
 * writes up to `size` bytes and returns how many; or it calls exchange_stream_rest and returns
 * STREAM_RESTS until exchange_wake, which must not come before (one lock over both); or it returns
 * STREAM_ENDS. A client that takes nothing of what is there for STREAM_READ_MS is cut. `ended` runs
 * once, also when the client went away. */
#define STREAM_RESTS 0
#define STREAM_ENDS (-1)
#define STREAM_READ_MS 30000u
typedef long exchange_stream_next(struct exchange *exchange, char *room, size_t size);
void exchange_answer_stream(struct exchange *exchange, const char *type,
                            exchange_stream_next *next, exchange_then *ended);
void exchange_stream_rest(struct exchange *exchange);
bool exchange_may_still(struct exchange *exchange); /* is its bearer still good? */

/* ---- beginnings ---- */

/* Which duckling acts: a beak key's own; for a session the one named (`duckling_id` in the query
 * or, with `in_body`, in the body), else the operator's first. False: refused. */
bool exchange_acting(struct exchange *exchange, bool in_body);
bool exchange_names_duckling(struct exchange *exchange, bool in_body); /* is one named? */
bool exchange_owns(struct exchange *exchange, const struct id *duckling);

const char *exchange_header(const struct exchange *exchange, const char *name); /* NULL: absent */
/* Whose bearer came with it; looked up once. */
enum access_verdict exchange_bearer(struct exchange *exchange);

const char *exchange_trace(const struct exchange *exchange); /* traceparent as it came, or "" */
const char *exchange_copy(struct exchange *exchange, struct bytes text); /* with NUL */

/* ---- the server's side ---- */
enum exchange_step { EXCHANGE_GOES_ON, EXCHANGE_ENDS };

struct MHD_Connection;
struct connection_slot;

void exchange_prepare(void); /* once, before the first */
struct exchange *exchange_new(struct gateway *gateway, struct connection_slot *slot);
void exchange_free(struct exchange *exchange); /* NULL is fine */

enum exchange_step exchange_begin(struct exchange *exchange, struct MHD_Connection *connection,
                                  const char *method, const char *path);
enum exchange_step exchange_take_body(struct exchange *exchange, struct bytes part);
enum exchange_step exchange_go_on(struct exchange *exchange); /* the body is whole, or it was woken */
void exchange_finish(struct exchange *exchange, bool is_sent); /* or given up; ready for the next */

/* Exchanges that began and did not finish; with `parked`, only those. */
size_t exchange_count(bool parked);
/* From now on requests are told to go elsewhere, and connections end with their answers. */
void exchange_stop_all(void);

#endif
