/* courier: takes events to webhooks, and keeps the webhooks.
 *
 * One thread of its own, with libcurl's multi interface. The queue is on disk (gate_events.h): what
 * was to be delivered when the process ended is delivered after it, under the same id, at least
 * once. When each attempt is due decides delivery_schedule, which goes first delivery_queue, where
 * it may go call_guard.
 *
 * Orders are carried out on that thread, in turn: the call copies what it needs, `done` is called
 * exactly once there, with a result that is borrowed for the call and wiped after it. False: there
 * is no room, `done` is not called. */
#ifndef DUCK_GATE_COURIER_H
#define DUCK_GATE_COURIER_H

#include "call_guard.h"
#include "gate_events.h"

#define COURIER_AT_ONCE 64u          /* deliveries under way */
#define COURIER_AT_ONCE_HOST 4u      /* to one host and port; 1 while it fails */
#define COURIER_AT_ONCE_OPERATOR 16u
#define COURIER_TIMEOUT_MS 15000L    /* of one attempt: name, connection, request and answer */
#define COURIER_CONNECT_MS 10000L
#define COURIER_SLOW_MS 5000u         /* who takes longer is treated as who fails: one at a time */
#define COURIER_ANSWER_MAX (64u * 1024u) /* bytes; more is not read, and not needed */
#define COURIER_ORDERS_MAX 256u

struct courier;

struct courier_settings {
    const char *store_path; /* that accounts_open has seen to */
    const char *key_path;
    const struct allow_list *allowed; /* beside public addresses; copied */
    const struct call_ports *ports;   /* that may be called; copied; NULL: any */
    const char *ca_file;              /* NULL: the system's certificates */
    uint64_t (*wall_ms)(void *context); /* NULL: the system's clock */
    void (*trouble)(void *context, const char *text); /* a line for the log; NULL: none. Never a secret */
    void *context;
    unsigned look_every_ms;           /* at the clock, at least; 0: 1000. For made-up clocks */
};

int courier_open(struct courier **opened, const struct courier_settings *settings);
void courier_close(struct courier *courier); /* NULL is fine; what is under way is left undone */

/* Why this URL will never be called, for people; NULL: it may be. From any thread. */
const char *courier_forbids(const struct courier *courier, const char *url);

/* There may be something new to deliver. From any thread. */
void courier_wake(struct courier *courier);

/* ---- orders ---- */

enum courier_verdict {
    COURIER_TAKEN,
    COURIER_NOT_FOUND, /* 404: no such webhook of this operator, or no such delivery of it */
    COURIER_TOO_MANY,  /* 409: WEBHOOKS_PER_OPERATOR_MAX */
    COURIER_IS_OFF,    /* 409: nothing is sent to it */
    COURIER_IS_WAITING, /* 409: this delivery is on its way already */
    COURIER_FULL,      /* 503: too much waits to be delivered */
    COURIER_FAULT,     /* 503: the store did not take it */
};
const char *courier_verdict_text(enum courier_verdict verdict);
const char *courier_verdict_code(enum courier_verdict verdict);

enum webhook_order_kind {
    WEBHOOK_ADD,
    WEBHOOK_CHANGE, /* what `named` says */
    WEBHOOK_DROP,
    WEBHOOK_ROTATE, /* a new secret; the one before signs too for `overlap_s` */
    WEBHOOK_TEST,   /* a sample of `sample` goes out */
    WEBHOOK_RESEND, /* `delivery` anew, under the id that it has */
};
enum webhook_member { WEBHOOK_URL = 1, WEBHOOK_KINDS = 2, WEBHOOK_FILTER = 4, WEBHOOK_STATE = 8 };

struct webhook_order {
    enum webhook_order_kind kind;
    uint64_t operator_id;
    char name[WEBHOOK_NAME_SIZE];
    struct id only;  /* zero: any; else only a webhook of this duckling alone is found */
    unsigned named;
    char url[WEBHOOK_URL_MAX + 1];
    struct webhook_filter filter;
    bool is_on;
    uint32_t overlap_s;
    enum happening sample;
    struct id sample_duckling;
    uint64_t delivery;
};

struct webhook_result {
    enum courier_verdict verdict;
    struct gate_webhook webhook;
    char secret[WEBHOOK_SECRET_TEXT_SIZE]; /* of ADD and ROTATE; shown this once */
    char public_key[WEBHOOK_PUBLIC_TEXT_SIZE];
    struct gate_delivery delivery;         /* of TEST and RESEND */
};
typedef void courier_done(void *context, const struct webhook_result *result);

bool courier_order(struct courier *courier, const struct webhook_order *order, courier_done *done,
                   void *context);

/* ---- reads, from any thread ---- */

/* In the place of a callback for each row: false ends the walk. */
int courier_webhook(struct courier *courier, uint64_t operator_id, const char *name,
                    struct gate_webhook *row, bool *found);
int courier_webhook_next(struct courier *courier, uint64_t operator_id, uint64_t after,
                         struct gate_webhook *row, bool *found);
int courier_delivery_next(struct courier *courier, uint64_t webhook, int state, uint64_t before,
                          struct gate_delivery *row, bool *found);
int courier_attempts(struct courier *courier, uint64_t delivery, struct gate_attempt *attempts,
                     size_t max, size_t *count);
const char *courier_public_key(struct courier *courier, const char *name,
                               char text[WEBHOOK_PUBLIC_TEXT_SIZE]);

struct courier_figures {
    uint64_t waiting, under_way;                  /* now */
    uint64_t delivered, failed, given_up; /* since the start; failed: attempts */
};
void courier_figures(struct courier *courier, struct courier_figures *figures);

#endif
