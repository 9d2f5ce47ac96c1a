/* Lines under one lock. Both conditions are signalled only when somebody waits: at full speed
 * nobody does, and a give costs no system call; and after the lock was let go, or who wakes would
 * sleep again at once. */
#include "inbox.h"

#include "clock.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <time.h>

#define FIELDS_ROOM 1024u /* bytes: what the fields of a peck's messages take, beside its bytes */
#define SMALL_ROOM 256u
#define ROOM_MAX (256u * KIB) /* of what is larger the arena takes more when it is needed */

struct line {
    struct message *first, **end;
    size_t messages, bytes;
};

struct inbox_share {
    struct inbox *inbox;
    struct inbox_share *next, *previous; /* in the ring of those that hold something */
    struct line line;
};

struct inbox {
    pthread_mutex_t lock;
    pthread_cond_t something, room;
    bool taker_waits, closed, poked;
    bool givers_waiting; /* some do, since the last take */
    size_t messages;     /* in all lines */
    struct line common;
    struct inbox_share *turn;    /* whose message is taken next; NULL: all shares are empty */
    struct inbox_share orphans;  /* of programs that left */
    size_t shared, shared_bytes; /* in shares but the orphans' */
    uint64_t left_at_us;         /* since when a message waits for company; 0: none does */
};

struct message_with_order {
    struct message message;
    struct order order;
};

/* `size` bytes, and behind them the first `room` of the arena. */
static struct message *make(size_t size, size_t budget, size_t room)
{
    size_t room_size = room < ROOM_MAX ? room : ROOM_MAX;
    uint8_t *memory = memory_resize(NULL, size + room_size);
    struct message *message = (struct message *)(void *)memory;

    memset(memory, 0, size);
    arena_init_in(&message->arena, budget, memory + size, room_size);
    return message;
}

struct message *message_new(size_t budget)
{
    return make(sizeof(struct message), budget, SMALL_ROOM);
}

/* Frame, envelope and body are unpacked one after the other, and each copies its bytes. */
struct message *message_new_frame(size_t frame_size)
{
    return make(sizeof(struct message), PARSE_BUDGET(frame_size), FIELDS_ROOM + 3 * frame_size);
}

struct message *message_new_order(size_t budget, size_t frame_size)
{
    struct message *message =
        make(sizeof(struct message_with_order), budget, FIELDS_ROOM + frame_size);

    message->order = &((struct message_with_order *)message)->order;
    return message;
}

void message_free(struct message *message)
{
    if (!message)
        return;
    if (message->forget_seeds) {
        arena_wipe(&message->arena);
        arena_free(&message->arena);
        if (message->order)
            sodium_memzero(message->order, sizeof *message->order);
        sodium_memzero(message, sizeof *message);
    } else {
        arena_free(&message->arena);
    }
    memory_give_back(message);
}

/* ---- lines ---- */

static void line_init(struct line *line)
{
    *line = (struct line){.end = &line->first};
}

static void line_put(struct line *line, struct message *message)
{
    message->next = NULL;
    *line->end = message;
    line->end = &message->next;
    line->messages++;
    line->bytes += message->size;
}

static struct message *line_take(struct line *line)
{
    struct message *message = line->first;

    line->first = message->next;
    if (!line->first)
        line->end = &line->first;
    line->messages--;
    line->bytes -= message->size;
    return message;
}

static void line_free(struct line *line)
{
    while (line->first)
        message_free(line_take(line));
}

/* ---- shares ---- */

/* Both under the lock. Last in the ring is before the one whose turn it is. */
static void ring_join(struct inbox *inbox, struct inbox_share *share)
{
    if (!inbox->turn) {
        inbox->turn = share->next = share->previous = share;
        return;
    }
    share->next = inbox->turn;
    share->previous = inbox->turn->previous;
    share->previous->next = share->next->previous = share;
}

static void ring_leave(struct inbox *inbox, struct inbox_share *share)
{
    share->previous->next = share->next;
    share->next->previous = share->previous;
    if (inbox->turn == share)
        inbox->turn = share->next == share ? NULL : share->next;
}

static void share_put(struct inbox_share *share, struct message *message)
{
    struct inbox *inbox = share->inbox;

    if (!share->line.first)
        ring_join(inbox, share);
    line_put(&share->line, message);
    if (share == &inbox->orphans)
        return;
    inbox->shared++;
    inbox->shared_bytes += message->size;
}

static struct message *share_take(struct inbox_share *share)
{
    struct inbox *inbox = share->inbox;
    struct message *message = line_take(&share->line);

    if (!share->line.first)
        ring_leave(inbox, share);
    if (share != &inbox->orphans) {
        inbox->shared--;
        inbox->shared_bytes -= message->size;
    }
    return message;
}

struct inbox_share *inbox_share_new(struct inbox *inbox)
{
    struct inbox_share *share = memory_take(sizeof *share);

    share->inbox = inbox;
    line_init(&share->line);
    return share;
}

static bool has_room_for_orphan(const struct inbox *inbox, const struct message *message)
{
    const struct line *line = &inbox->orphans.line;

    return line->messages < INBOX_SHARES_MESSAGES / 2 &&
           line->bytes + message->size <= INBOX_SHARES_BYTES / 2;
}

void inbox_share_free(struct inbox_share *share)
{
    struct inbox *inbox;

    if (!share)
        return;
    inbox = share->inbox;
    pthread_mutex_lock(&inbox->lock);
    while (share->line.first) {
        struct message *message = share_take(share);

        if (has_room_for_orphan(inbox, message)) {
            share_put(&inbox->orphans, message);
        } else {
            inbox->messages--;
            message_free(message);
        }
    }
    pthread_mutex_unlock(&inbox->lock);
    memory_give_back(share);
}

/* ---- birth and end ---- */

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
    line_init(&inbox->common);
    inbox->orphans.inbox = inbox;
    line_init(&inbox->orphans.line);
    return inbox;
}

void inbox_free(struct inbox *inbox)
{
    if (!inbox)
        return;
    line_free(&inbox->common);
    line_free(&inbox->orphans.line);
    pthread_cond_destroy(&inbox->room);
    pthread_cond_destroy(&inbox->something);
    pthread_mutex_destroy(&inbox->lock);
    memory_give_back(inbox);
}

/* ---- giving ---- */

/* A message larger than all of INBOX_BYTES_MAX still passes when it is alone: else it would wait
 * for ever. */
static bool has_room(const struct inbox *inbox, size_t size)
{
    const struct line *line = &inbox->common;

    return line->messages == 0 ||
           (line->messages < INBOX_MESSAGES_MAX && line->bytes + size <= INBOX_BYTES_MAX);
}

/* A share may hold as much as is free (dynamic thresholds: Choudhury and Hahne, 1998): it follows how many share,
 * nobody has to be counted, and somebody who comes later finds room whoever floods. */
static bool share_has_room(const struct inbox_share *share, size_t size)
{
    const struct inbox *inbox = share->inbox;
    const struct line *line = &share->line;

    return line->messages == 0 || (line->messages + inbox->shared < INBOX_SHARES_MESSAGES &&
                                   line->bytes + size + inbox->shared_bytes <= INBOX_SHARES_BYTES);
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
    if (inbox->messages == 0 && !inbox->poked)
        return false;
    inbox->taker_waits = false; /* once is enough */
    return true;
}

static void measure(struct message *message)
{
    if (!message->size)
        message->size = sizeof *message + message->arena.taken;
}

static void wait_for_room(struct inbox *inbox, const struct message *message)
{
    while (!inbox->closed && !has_room(inbox, message->size)) {
        inbox->givers_waiting = true;
        if (must_wake(inbox, false)) /* company enough for what was left */
            pthread_cond_signal(&inbox->something);
        pthread_cond_wait(&inbox->room, &inbox->lock);
    }
}

/* `share` NULL: into the common line. */
static int give(struct inbox *inbox, struct inbox_share *share, struct message *message, bool wait,
                bool leaves)
{
    bool wakes = false;
    int fault = 0;

    measure(message);
    pthread_mutex_lock(&inbox->lock);
    if (wait)
        wait_for_room(inbox, message);
    if (inbox->closed)
        fault = FAULT_CLOSED;
    else if (share ? !share_has_room(share, message->size) : !has_room(inbox, message->size))
        fault = FAULT_BUSY;
    if (!fault) {
        if (share)
            share_put(share, message);
        else
            line_put(&inbox->common, message);
        inbox->messages++;
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
    return give(inbox, NULL, message, true, false);
}

int inbox_try_give(struct inbox *inbox, struct message *message)
{
    return give(inbox, NULL, message, false, false);
}

static struct timespec timespec_of(uint64_t steady_ms)
{
    return (struct timespec){.tv_sec = (time_t)(steady_ms / 1000),
                             .tv_nsec = (long)(steady_ms % 1000) * 1000000};
}

int inbox_leave(struct inbox *inbox, struct message *message)
{
    return give(inbox, NULL, message, true, true);
}

int inbox_share_give(struct inbox_share *share, struct message *message)
{
    return give(share->inbox, share, message, false, false);
}

int inbox_share_leave(struct inbox_share *share, struct message *message)
{
    return give(share->inbox, share, message, false, true);
}

void inbox_wake(struct inbox *inbox)
{
    bool wakes;

    pthread_mutex_lock(&inbox->lock);
    wakes = inbox->messages > 0 && must_wake(inbox, false);
    pthread_mutex_unlock(&inbox->lock);
    if (wakes)
        pthread_cond_signal(&inbox->something);
}

static void wait_for_any(struct inbox *inbox, uint64_t wake_at_ms)
{
    struct timespec until = timespec_of(wake_at_ms);
    int passed = 0;

    while (!inbox->closed && !inbox->poked && inbox->messages == 0 && passed != ETIMEDOUT) {
        inbox->taker_waits = true;
        if (wake_at_ms == MOMENT_NEVER)
            passed = pthread_cond_wait(&inbox->something, &inbox->lock);
        else
            passed = pthread_cond_timedwait(&inbox->something, &inbox->lock, &until);
    }
    inbox->taker_waits = inbox->poked = false;
}

/* A turn's worth: half of it the network's, unless the shares hold less than the other half. */
static struct message *take_turn(struct inbox *inbox, size_t *taken)
{
    size_t shares = inbox->messages - inbox->common.messages, half = TURN_MESSAGES_MAX / 2;
    size_t common = TURN_MESSAGES_MAX - (shares < half ? shares : half);
    struct line turn;

    line_init(&turn);
    while (inbox->common.first && turn.messages < common)
        line_put(&turn, line_take(&inbox->common));
    while (inbox->turn && turn.messages < TURN_MESSAGES_MAX) {
        struct inbox_share *share = inbox->turn;

        inbox->turn = share->next; /* itself, if it is alone */
        line_put(&turn, share_take(share));
    }
    *taken = turn.messages;
    return turn.first;
}

struct message *inbox_take(struct inbox *inbox, uint64_t wake_at_ms, bool *closed)
{
    struct message *chain;
    size_t taken = 0;

    pthread_mutex_lock(&inbox->lock);
    wait_for_any(inbox, wake_at_ms);
    chain = take_turn(inbox, &taken);
    inbox->messages -= taken;
    inbox->left_at_us = 0;
    *closed = inbox->closed && inbox->messages == 0 && taken == 0;
    if (inbox->givers_waiting)
        pthread_cond_broadcast(&inbox->room);
    inbox->givers_waiting = false; /* who finds no room says so again */
    pthread_mutex_unlock(&inbox->lock);
    return chain;
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
    *bytes = inbox->common.bytes + inbox->shared_bytes + inbox->orphans.line.bytes;
    pthread_mutex_unlock(&inbox->lock);
}
