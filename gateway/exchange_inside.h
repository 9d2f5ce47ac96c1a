/* exchange_inside: what the parts of the exchange share; nobody else includes it. */
#ifndef DUCK_GATE_EXCHANGE_INSIDE_H
#define DUCK_GATE_EXCHANGE_INSIDE_H

#include "exchange.h"

#include "connections.h"
#include "core/limits.h"

#include <microhttpd.h>
#include <time.h>

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
    bool is_negotiated; /* the answer has a compressed form, too */
    unsigned status;
    struct MHD_Response *response; /* made, not queued yet */
    exchange_then *then;
    exchange_stream_next *next; /* of a stream */
    exchange_then *ended;       /* runs when a stream has ended, however it did; NULL: nothing */
    struct told *told;   /* the reply is its */
    bool is_taken;       /* that */
    exchange_make *make; /* its text */
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
    const char *said_name, *said_value; /* see exchange_say_header */
};

/* ---- exchange.c ---- */
const char *exchange_request_id(const struct exchange *exchange, char text[EXCHANGE_ID_SIZE]);
bool exchange_is_stopping(void);
void exchange_park_only(struct exchange *exchange); /* until exchange_wake; sets no deadline */
void exchange_unpark(struct exchange *exchange);    /* it was woken, or had not been parked */

/* ---- exchange_answer.c ---- */

/* What every answer carries is added here. Takes the response; NULL: no memory, the connection
 * ends. */
void exchange_give(struct exchange *exchange, unsigned status, struct MHD_Response *response);
void exchange_answer_told(struct exchange *exchange);
void exchange_answer_options(struct exchange *exchange);
void exchange_answer_again(struct exchange *exchange, unsigned status, char *text); /* keeps text */

/* ---- exchange_caller.c: false: refused ---- */
bool exchange_find_bearer(struct exchange *exchange);
bool exchange_check_access(struct exchange *exchange); /* what the route asks for */

/* ---- exchange_request.c ---- */
void exchange_take_trace(struct exchange *exchange);
bool exchange_read_query(struct exchange *exchange); /* false: refused */
bool exchange_read_body(struct exchange *exchange);  /* the same */
bool exchange_has_body(const struct exchange *exchange);
bool exchange_body_is_json(struct bytes content_type);
void exchange_refuse_large(struct exchange *exchange);

/* ---- exchange_repeat.c ---- */

/* False: it was answered, as before or by a refusal. True: it is new, or has no key. */
bool exchange_is_new(struct exchange *exchange);

#endif
