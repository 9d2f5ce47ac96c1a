/* courier_parts: what the courier's files share. courier.c has the thread and what waits,
 * courier_attempts.c the attempts, courier_orders.c the orders and reads. */
#ifndef DUCK_GATE_COURIER_PARTS_H
#define DUCK_GATE_COURIER_PARTS_H

#include "core/dice.h"
#include "courier.h"
#include "delivery_queue.h"

#include <pthread.h>
#include <stdatomic.h>

#define COURIER_AFTER_A_FAULT_MS 5000u /* what the store did not take is tried again */

struct transfer; /* an attempt */

struct queued_order {
    struct queued_order *next;
    struct webhook_order order;
    courier_done *done;
    void *context;
    struct webhook_result result;
};

struct courier {
    struct courier_settings settings;
    struct allow_list allowed;
    struct call_ports ports;
    char *ca_file;
    struct gate_key key;

    /* the courier's thread */
    struct gate_store *store;
    uint8_t name[EVENT_NAME_SIZE]; /* of the store */
    struct delivery_queue *queue;
    struct dice dice;
    void *multi;            /* CURLM */
    struct transfer *transfers, *ended;
    uint64_t loaded;        /* deliveries up to there are in the queue, if they wait */
    bool has_doubts;        /* about that, after a fault: all is read again, at: */
    uint64_t settle_at_ms;  /* steady */
    uint64_t tidy_at_ms;
    struct gate_webhook *known; /* the webhook that was read last */

    pthread_t thread;
    pthread_mutex_t lock;   /* of what follows */
    struct queued_order *first, **last;
    size_t order_count;
    bool is_running, is_ending;

    pthread_mutex_t reader_lock; /* of what follows */
    struct gate_store *reader;

    _Atomic uint64_t waiting, under_way, delivered, failed, given_up;
};

uint64_t courier_wall_ms(const struct courier *courier);
void courier_complain(const struct courier *courier, const char *what, int fault);

/* The thread's: carries out one order; its result is then in it. */
void courier_carry_out(struct courier *courier, struct queued_order *order);

/* The thread's: puts what waits of a webhook into the queue. Nothing of it may be there. */
int courier_load_webhook(struct courier *courier, const struct gate_webhook *webhook);
void courier_queue(struct courier *courier, const struct gate_webhook *webhook,
                   const struct gate_delivery *row);
/* `*row` NULL: it is gone. For the next call. */
int courier_find_webhook(struct courier *courier, uint64_t webhook, const struct gate_webhook **row);

/* ---- attempts; all the thread's ---- */
bool courier_is_under_way(const struct courier *courier, uint64_t delivery);
void courier_start_due(struct courier *courier);
void courier_end_transfers(struct courier *courier); /* those that libcurl says are over */
/* Keeps what the ended ones came to, in one transaction. True: there were some. */
bool courier_keep_ended(struct courier *courier);
void courier_drop_transfers(struct courier *courier);

#endif
