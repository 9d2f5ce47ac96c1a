/* A chain under one lock. Both conditions are signalled only when somebody waits: at full speed
 * nobody does, and a give costs no system call; and after the lock was let go, or who wakes would
 * sleep again at once. */
#include "inbox.h"

#include "clock.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <time.h>

struct inbox {
    pthread_mutex_t lock;
    pthread_cond_t something, room;
    bool taker_waits, closed, poked;
    bool givers_waiting; /* some do, since the last take */
    size_t least;        /* how many messages who waits for them wants */
    struct message *first, **end;
    size_t messages, bytes;
    uint64_t left_at_us; /* since when a message waits for company; 0: none does */
};

struct message *message_new(size_t budget)
{
    struct message *message = memory_take(sizeof *message);

    arena_init(&message->arena, budget);
    return message;
}

void message_free(struct message *message)
{
    if (!message)
        return;
    if (message->forget_seeds) {
        arena_wipe(&message->arena);
        arena_free(&message->arena);
        sodium_memzero(message, sizeof *message);
    } else {
        arena_free(&message->arena);
    }
    memory_give_back(message);
}

struct inbox *inbox_new(void)
{
    struct inbox *inbox = memory_take(sizeof *inbox);
    pthread_condattr_t steady;

    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&inbox->lock, NULL);
    pthread_cond_init(&inbox->something, &steady);
    pthread_cond_init(&inbox->room, NULL);
    pthread_condattr_destroy(&steady);
    inbox->end = &inbox->first;
    return inbox;
}

void inbox_free(struct inbox *inbox)
{
    struct message *message;

    if (!inbox)
        return;
    while ((message = inbox->first)) {
        inbox->first = message->next;
        message_free(message);
    }
    pthread_cond_destroy(&inbox->room);
    pthread_cond_destroy(&inbox->something);
    pthread_mutex_destroy(&inbox->lock);
    memory_give_back(inbox);
}

/* A message larger than all of INBOX_BYTES_MAX still passes when it is alone: else it would wait
 * for ever. */
static bool has_room(const struct inbox *inbox, size_t size)
{
    return inbox->messages == 0 ||
           (inbox->messages < INBOX_MESSAGES_MAX && inbox->bytes + size <= INBOX_BYTES_MAX);
}

/* Under the lock. Who takes is let sleep while the message may still get company. */
static bool may_sleep(struct inbox *inbox)
{
    uint64_t now_us = clock_now_us();

    if (!inbox->left_at_us)
        inbox->left_at_us = now_us;
    return now_us - inbox->left_at_us < INBOX_COMPANY_US;
}

/* Under the lock. */
static bool must_wake(struct inbox *inbox, bool leaves)
{
    if (!inbox->taker_waits || (leaves && may_sleep(inbox)))
        return false;
    if (inbox->messages < inbox->least && !inbox->givers_waiting && !inbox->poked)
        return false;
    inbox->taker_waits = false; /* once is enough */
    return true;
}

static int give(struct inbox *inbox, struct message *message, bool wait, bool leaves)
{
    bool wakes = false;
    int fault = 0;

    if (!message->size)
        message->size = sizeof *message + message->arena.taken;
    message->next = NULL;

    pthread_mutex_lock(&inbox->lock);
    while (wait && !inbox->closed && !has_room(inbox, message->size)) {
        inbox->givers_waiting = true;
        if (must_wake(inbox, false)) /* company enough for what was left */
            pthread_cond_signal(&inbox->something);
        pthread_cond_wait(&inbox->room, &inbox->lock);
    }
    if (inbox->closed)
        fault = FAULT_CLOSED;
    else if (!has_room(inbox, message->size))
        fault = FAULT_BUSY;
    if (!fault) {
        *inbox->end = message;
        inbox->end = &message->next;
        inbox->messages++;
        inbox->bytes += message->size;
        wakes = must_wake(inbox, leaves);
    }
    pthread_mutex_unlock(&inbox->lock);

    if (wakes)
        pthread_cond_signal(&inbox->something);
    if (fault)
        message_free(message);
    return fault;
}

int inbox_give(struct inbox *inbox, struct message *message)
{
    return give(inbox, message, true, false);
}

int inbox_try_give(struct inbox *inbox, struct message *message)
{
    return give(inbox, message, false, false);
}

static struct timespec timespec_of(uint64_t steady_ms)
{
    return (struct timespec){.tv_sec = (time_t)(steady_ms / 1000),
                             .tv_nsec = (long)(steady_ms % 1000) * 1000000};
}

int inbox_leave(struct inbox *inbox, struct message *message)
{
    return give(inbox, message, true, true);
}

int inbox_try_leave(struct inbox *inbox, struct message *message)
{
    return give(inbox, message, false, true);
}

void inbox_wake(struct inbox *inbox)
{
    bool wakes;

    pthread_mutex_lock(&inbox->lock);
    wakes = inbox->first && must_wake(inbox, false);
    pthread_mutex_unlock(&inbox->lock);
    if (wakes)
        pthread_cond_signal(&inbox->something);
}

static bool has_enough(const struct inbox *inbox)
{
    return inbox->closed || inbox->poked ||
           (inbox->first && (inbox->messages >= inbox->least || inbox->givers_waiting));
}

static void wait_for_enough(struct inbox *inbox, uint64_t wake_at_ms)
{
    struct timespec until = timespec_of(wake_at_ms);
    int passed = 0;

    while (!has_enough(inbox) && passed != ETIMEDOUT) {
        inbox->taker_waits = true;
        if (wake_at_ms == MOMENT_NEVER)
            passed = pthread_cond_wait(&inbox->something, &inbox->lock);
        else
            passed = pthread_cond_timedwait(&inbox->something, &inbox->lock, &until);
    }
    inbox->taker_waits = inbox->poked = false;
}

struct message *inbox_take(struct inbox *inbox, uint64_t wake_at_ms, bool *closed)
{
    return inbox_take_many(inbox, 1, wake_at_ms, closed);
}

struct message *inbox_take_many(struct inbox *inbox, size_t least, uint64_t wake_at_ms,
                                bool *closed)
{
    struct message *chain, **end;
    size_t taken = 0;

    pthread_mutex_lock(&inbox->lock);
    inbox->least = least;
    wait_for_enough(inbox, wake_at_ms);
    chain = inbox->first;
    for (end = &inbox->first; *end && taken < TURN_MESSAGES_MAX; end = &(*end)->next) {
        inbox->bytes -= (*end)->size;
        taken++;
    }
    inbox->first = *end;
    *end = NULL;
    if (!inbox->first)
        inbox->end = &inbox->first;
    inbox->messages -= taken;
    inbox->left_at_us = 0;
    *closed = inbox->closed && !inbox->first && taken == 0;
    if (inbox->givers_waiting)
        pthread_cond_broadcast(&inbox->room);
    inbox->givers_waiting = false; /* who finds no room says so again */
    pthread_mutex_unlock(&inbox->lock);
    return taken ? chain : NULL;
}

void inbox_rest(struct inbox *inbox, uint64_t until_ms)
{
    struct timespec until = timespec_of(until_ms);
    int passed = 0;

    pthread_mutex_lock(&inbox->lock);
    while (!inbox->closed && passed != ETIMEDOUT)
        passed = pthread_cond_timedwait(&inbox->something, &inbox->lock, &until);
    pthread_mutex_unlock(&inbox->lock);
}

void inbox_poke(struct inbox *inbox)
{
    bool wakes;

    pthread_mutex_lock(&inbox->lock);
    inbox->poked = true;
    wakes = must_wake(inbox, false);
    pthread_mutex_unlock(&inbox->lock);
    if (wakes)
        pthread_cond_signal(&inbox->something);
}

void inbox_close(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    inbox->closed = true;
    pthread_cond_broadcast(&inbox->something);
    pthread_cond_broadcast(&inbox->room);
    pthread_mutex_unlock(&inbox->lock);
}

void inbox_figures(struct inbox *inbox, size_t *messages, size_t *bytes)
{
    pthread_mutex_lock(&inbox->lock);
    *messages = inbox->messages;
    *bytes = inbox->bytes;
    pthread_mutex_unlock(&inbox->lock);
}
