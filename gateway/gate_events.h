/* gate_events: events, webhooks and deliveries as gateway.db keeps them; see schema/gateway_4.sql.
 *
 * An event and its deliveries are kept in the transaction that makes it happen, or in the one that
 * notes how far the node's log was read: so each is there once, under one id, whenever either
 * process ends. Functions return a fault, as in gate_store.h. */
#ifndef DUCK_GATE_EVENTS_H
#define DUCK_GATE_EVENTS_H

#include "gate_store.h"
#include "webhook.h"

#define EVENTS_PER_OPERATOR_MAX 10000u
#define EVENTS_MAX 500000u
#define EVENT_LIFE_MS (7 * 24 * 60 * 60 * 1000ull)
#define EVENT_DATA_MAX 16384u /* bytes */

#define WEBHOOKS_PER_OPERATOR_MAX 16u
#define WEBHOOK_WAITING_MAX 10000u  /* deliveries of one webhook; one more event is not told to it */
#define OPERATOR_WAITING_MAX 40000u /* of all webhooks of an operator */
#define DELIVERIES_WAITING_MAX 200000u /* of all; from there on only those with fewer than: */
#define WEBHOOK_WAITING_SURE 100u   /* have room, up to: */
#define DELIVERIES_HELD_MAX 300000u /* of all */
#define ATTEMPTS_KEPT_MAX 20u       /* of a delivery: two rounds */
#define DELIVERIES_KEPT_MAX 1000u   /* of a webhook, that were delivered */
#define DEAD_KEPT_MAX 1000u         /* of a webhook, that were given up */
#define DELIVERY_LIFE_MS (30 * 24 * 60 * 60 * 1000ull) /* after its end */

struct gate_event {
    uint64_t number;          /* set when it is kept */
    uint64_t operator_id;
    struct id duckling;
    enum happening happening;
    uint64_t at_ms;
    const char *data;         /* JSON, at most EVENT_DATA_MAX bytes; of a found one: for the store's next call */
    const char *action;       /* for filters; "": none */
    unsigned tier;            /* the same: of the other end */
};

/* ---- the feed ---- */
struct gate_feed {
    uint8_t name[EVENT_NAME_SIZE];
    char node[ID_TEXT_SIZE]; /* "": none yet */
    uint64_t entry;
};
int gate_feed_get(struct gate_store *store, struct gate_feed *feed);
int gate_feed_set(struct gate_store *store, const char *node, uint64_t entry);
int gate_tier_get(struct gate_store *store, const struct id *duckling, unsigned *tier, bool *found);
int gate_tier_set(struct gate_store *store, const struct id *duckling, unsigned tier);
/* The duckling that was hatched next after `*number`; moves it on. */
int gate_duckling_next(struct gate_store *store, uint64_t *number, struct gate_duckling *row,
                       bool *found);

/* ---- events ---- */
/* Within a transaction. Sets its number, and adds its deliveries. */
int gate_event_keep(struct gate_store *store, const uint8_t name[EVENT_NAME_SIZE],
                    struct gate_event *event);
struct gate_event_filter {
    uint64_t operator_id;
    struct id duckling; /* zero: any */
    uint32_t kinds;
};
/* The first above `after`, which the filter lets through. */
int gate_event_next(struct gate_store *store, const struct gate_event_filter *filter,
                    uint64_t after, struct gate_event *event, bool *found);
/* `*last`: of the newest of all. `*cut`: events of the operator up to there were dropped. */
int gate_events_ends(struct gate_store *store, uint64_t operator_id, uint64_t *last, uint64_t *cut);
/* Drops what is too old or too much of events and deliveries; some at a time. */
int gate_events_tidy(struct gate_store *store, uint64_t now_ms, bool *is_done);

/* ---- webhooks ---- */
struct gate_webhook {
    uint64_t webhook, operator_id;
    char name[WEBHOOK_NAME_SIZE];
    char url[WEBHOOK_URL_MAX + 1];
    struct webhook_filter filter;
    uint8_t secret[WEBHOOK_SEALED_SIZE], old_secret[WEBHOOK_SEALED_SIZE];
    uint64_t old_until_ms; /* 0: there is no old secret */
    enum webhook_state state;
    uint64_t waiting, dropped, created_ms;
};
int gate_webhook_add(struct gate_store *store, struct gate_webhook *row); /* sets its number */
int gate_webhook_set(struct gate_store *store, const struct gate_webhook *row);
int gate_webhook_drop(struct gate_store *store, uint64_t webhook);
int gate_webhook_get(struct gate_store *store, uint64_t webhook, struct gate_webhook *row,
                     bool *found);
int gate_webhook_find(struct gate_store *store, uint64_t operator_id, const char *name,
                      struct gate_webhook *row, bool *found);
/* The next of an operator above number `after`. */
int gate_webhook_next(struct gate_store *store, uint64_t operator_id, uint64_t after,
                      struct gate_webhook *row, bool *found);
/* For one more delivery? */
int gate_webhook_has_room(struct gate_store *store, const struct gate_webhook *webhook, bool *is_room);
int gate_webhooks_count(struct gate_store *store, uint64_t operator_id, uint64_t *count);
/* The highest tier that a webhook of the operator asks of the other end. */
int gate_webhooks_tier(struct gate_store *store, uint64_t operator_id, unsigned *tier);

/* ---- deliveries ---- */
enum delivery_state { DELIVERY_WAITING, DELIVERY_DELIVERED, DELIVERY_GIVEN_UP };
struct gate_delivery {
    uint64_t delivery, webhook;
    char event[EVENT_ID_SIZE + 8];
    enum happening happening;
    enum delivery_state state;
    unsigned attempt, round; /* how many were made; before the present round of them */
    uint64_t due_ms, created_ms, ended_ms;
};
struct gate_attempt {
    unsigned attempt;
    uint64_t at_ms, took_ms;
    unsigned status;   /* 0: no answer */
    char problem[96];
};
/* Within a transaction; counts it as waiting. */
int gate_delivery_add(struct gate_store *store, struct gate_delivery *row, const char *body);
int gate_delivery_get(struct gate_store *store, uint64_t delivery, struct gate_delivery *row,
                      bool *found);
/* For memory_give_back; NULL: none. */
int gate_delivery_body(struct gate_store *store, uint64_t delivery, char **body);
/* Of a webhook (0: of all), in this state (-1: any): the next above `after`, or with `newest_first` below
 * it (0: from the newest). */
int gate_delivery_next(struct gate_store *store, uint64_t webhook, int state, uint64_t after,
                       bool newest_first, struct gate_delivery *row, bool *found);
/* Within a transaction: notes an attempt, and what it came to. `before`: its state until then. */
int gate_delivery_attempted(struct gate_store *store, const struct gate_delivery *row,
                            enum delivery_state before, const struct gate_attempt *attempt);
/* Within a transaction: it waits anew, for a whole round of attempts. */
int gate_delivery_again(struct gate_store *store, const struct gate_delivery *row, uint64_t due_ms);
/* Within a transaction: all that wait of a webhook are given up. */
int gate_deliveries_give_up(struct gate_store *store, uint64_t webhook, uint64_t now_ms);
/* Up to `max`, in their order. */
int gate_attempts(struct gate_store *store, uint64_t delivery, struct gate_attempt *attempts,
                  size_t max, size_t *count);

#endif
