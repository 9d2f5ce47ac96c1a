#include "mail_queue.h"

#include "gate_fault.h"
#include "gate_store.h"
#include "mail.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define LOOK_AGAIN_MS (60 * 1000ull) /* the clock may be set while we wait */
#define STORE_PAUSE_MS (5 * 1000ull)

/* As it is sealed: the address, NUL, the message. */
struct letter {
    char to[EMAIL_MAX + 1];
    uint8_t message[MAIL_MESSAGE_MAX];
    size_t size;
};

struct mail_queue {
    struct smtp smtp;
    const struct gate_key *key;
    void (*trouble)(void *context, const char *text);
    void *context;

    pthread_t thread;
    pthread_mutex_t lock; /* of what follows; never held while a server is talked to */
    pthread_cond_t changed;
    struct gate_store *store;
    bool is_running;
    _Atomic bool closing;
    uint64_t silent_until_ms, silences; /* no connection: nothing is tried before */
};

static void complain(struct mail_queue *queue, const char *what)
{
    if (queue->trouble)
        queue->trouble(queue->context, what);
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- at rest ---- */

static const char purpose[] = "letter";

static void write_lookup(const char *to, char lookup[EMAIL_MAX + 1])
{
    size_t i;

    for (i = 0; i < EMAIL_MAX && to[i]; i++)
        lookup[i] = to[i] >= 'A' && to[i] <= 'Z' ? (char)(to[i] - 'A' + 'a') : to[i];
    lookup[i] = '\0';
}

static void seal(const struct mail_queue *queue, const char *to, struct bytes message,
                 struct gate_letter *row)
{
    uint8_t plain[EMAIL_MAX + 1 + MAIL_MESSAGE_MAX];
    size_t to_size = strlen(to) + 1;

    _Static_assert(sizeof plain + GATE_SEAL_MORE <= GATE_LETTER_SIZE_MAX, "a row takes it");
    memcpy(plain, to, to_size);
    memcpy(plain + to_size, message.data, message.size);
    gate_key_seal(queue->key, purpose, bytes_of(plain, to_size + message.size), row->sealed);
    row->size = to_size + message.size + GATE_SEAL_MORE;
    sodium_memzero(plain, sizeof plain);
}

/* False: it was sealed under another key, or is damaged. */
static bool unseal(const struct mail_queue *queue, const struct gate_letter *row,
                   struct letter *letter)
{
    uint8_t plain[GATE_LETTER_SIZE_MAX];
    size_t size = row->size - GATE_SEAL_MORE, to_size;
    bool is_good = gate_key_unseal(queue->key, purpose, bytes_of(row->sealed, row->size), plain);

    to_size = is_good ? strnlen((char *)plain, size) + 1 : 0;
    is_good = is_good && to_size <= sizeof letter->to && to_size <= size &&
              size - to_size <= sizeof letter->message;
    if (is_good) {
        memcpy(letter->to, plain, to_size);
        letter->size = size - to_size;
        memcpy(letter->message, plain + to_size, letter->size);
    }
    sodium_memzero(plain, sizeof plain);
    return is_good;
}

/* ---- the queue. All with the lock held ---- */

/* A single statement is a transaction of its own. */
static bool is_done(struct mail_queue *queue, int fault)
{
    if (fault)
        complain(queue, gate_store_complaint(queue->store));
    return !fault;
}

static bool add(struct mail_queue *queue, const char *to, struct bytes message, uint64_t life_ms)
{
    struct gate_letter row = {.next_ms = now_ms()};
    char lookup[EMAIL_MAX + 1];
    uint64_t count = 0;

    if (queue->closing || !is_done(queue, gate_letters_count(queue->store, NULL, &count)) ||
        count >= MAIL_QUEUE_MAX)
        return false;
    row.ends_ms = row.next_ms + life_ms;
    write_lookup(to, lookup);
    seal(queue, to, message, &row);
    return is_done(queue, gate_letter_add(queue->store, lookup, &row));
}

static void drop(struct mail_queue *queue, const struct gate_letter *row)
{
    (void)is_done(queue, gate_letter_drop(queue->store, row->number));
    pthread_cond_broadcast(&queue->changed); /* for who flushes */
}

static uint64_t pause_of(uint64_t tries)
{
    uint64_t pause_s = MAIL_PAUSE_FIRST_S;

    while (tries-- > 0 && pause_s < MAIL_PAUSE_MAX_S)
        pause_s *= 2;
    return (pause_s < MAIL_PAUSE_MAX_S ? pause_s : MAIL_PAUSE_MAX_S) * 1000;
}

static void put_off(struct mail_queue *queue, const struct gate_letter *row)
{
    uint64_t next_ms = now_ms() + pause_of(row->tries);

    if (next_ms < row->ends_ms) {
        (void)is_done(queue,
                      gate_letter_put_off(queue->store, row->number, row->tries + 1, next_ms));
        return;
    }
    complain(queue, "mail: a letter was given up: it would come too late to be of use");
    drop(queue, row);
}

/* No connection, no TLS, or not our password: the next letter would fare no better, so none is tried
 * for a while. Such a try is none of the letter's. */
static void be_silent(struct mail_queue *queue, const struct gate_letter *row)
{
    queue->silent_until_ms = now_ms() + pause_of(queue->silences++);
    if (queue->silent_until_ms < row->ends_ms)
        return;
    complain(queue, "mail: a letter was given up: its server was not to be had in time");
    drop(queue, row);
}

static void settle(struct mail_queue *queue, const struct gate_letter *row,
                   enum smtp_verdict verdict, const char *reason)
{
    char text[SMTP_REASON_SIZE + 64];

    if (verdict != SMTP_UNREACHABLE)
        queue->silences = 0;
    if (verdict != SMTP_TAKEN && !queue->closing) {
        snprintf(text, sizeof text, "mail: %s: %s",
                 verdict == SMTP_NEVER         ? "a letter was given up"
                 : verdict == SMTP_UNREACHABLE ? "the server cannot be used"
                                               : "a letter goes later",
                 reason);
        complain(queue, text);
    }
    switch (verdict) {
    case SMTP_TAKEN:
    case SMTP_NEVER:
        drop(queue, row);
        break;
    case SMTP_LATER:
        if (!queue->closing)
            put_off(queue, row);
        break;
    case SMTP_UNREACHABLE:
        if (!queue->closing)
            be_silent(queue, row);
        break;
    }
}

/* ---- the thread ---- */

static bool is_ending(void *context)
{
    struct mail_queue *queue = context;

    return queue->closing;
}

static void wait_until(struct mail_queue *queue, uint64_t at_ms)
{
    struct timespec until = {.tv_sec = (time_t)(at_ms / 1000),
                             .tv_nsec = (long)(at_ms % 1000) * 1000000};

    pthread_cond_timedwait(&queue->changed, &queue->lock, &until);
}

/* The lock is given up while the server is talked to. */
static void send_letter(struct mail_queue *queue, const struct gate_letter *row)
{
    struct letter *letter = memory_take(sizeof *letter);
    char reason[SMTP_REASON_SIZE] = "it was sealed under another key";
    enum smtp_verdict verdict = SMTP_NEVER;

    if (now_ms() >= row->ends_ms) {
        snprintf(reason, sizeof reason, "it is of no use any more");
    } else if (unseal(queue, row, letter)) {
        pthread_mutex_unlock(&queue->lock);
        verdict =
            smtp_send(&queue->smtp, letter->to, bytes_of(letter->message, letter->size), reason);
        pthread_mutex_lock(&queue->lock);
    }
    sodium_memzero(letter, sizeof *letter); /* a code stands in it */
    memory_give_back(letter);
    settle(queue, row, verdict, reason);
}

static void *run(void *argument)
{
    struct mail_queue *queue = argument;
    struct gate_letter *row = memory_take(sizeof *row);

    pthread_mutex_lock(&queue->lock);
    while (!queue->closing) {
        uint64_t now = now_ms(), due_ms = now + LOOK_AGAIN_MS;
        bool found = false;

        if (!is_done(queue, gate_letter_next(queue->store, row, &found)))
            due_ms = now + STORE_PAUSE_MS;
        if (found)
            due_ms = row->next_ms > queue->silent_until_ms ? row->next_ms : queue->silent_until_ms;
        if (found && due_ms <= now)
            send_letter(queue, row);
        else
            wait_until(queue, due_ms < now + LOOK_AGAIN_MS ? due_ms : now + LOOK_AGAIN_MS);
    }
    pthread_mutex_unlock(&queue->lock);
    memory_give_back(row);
    return NULL;
}

/* ---- opening, and what is asked of it ---- */

int mail_queue_open(struct mail_queue **opened, const struct mail_queue_settings *settings)
{
    struct mail_queue *queue = memory_take(sizeof *queue);
    int fault;

    queue->smtp = settings->smtp;
    queue->smtp.is_ending = is_ending;
    queue->smtp.context = queue;
    queue->key = settings->key;
    queue->trouble = settings->trouble;
    queue->context = settings->context;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->changed, NULL);
    fault = gate_store_open_writer(&queue->store, settings->store_path);
    if (!fault && pthread_create(&queue->thread, NULL, run, queue) != 0)
        fault = GATE_FAULT_THREAD;
    queue->is_running = !fault;
    if (fault) {
        mail_queue_close(queue);
        return fault;
    }
    *opened = queue;
    return 0;
}

void mail_queue_close(struct mail_queue *queue)
{
    if (!queue)
        return;
    pthread_mutex_lock(&queue->lock);
    queue->closing = true;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
    if (queue->is_running)
        pthread_join(queue->thread, NULL);
    gate_store_close(queue->store);
    pthread_cond_destroy(&queue->changed);
    pthread_mutex_destroy(&queue->lock);
    memory_give_back(queue);
}

bool mail_queue_give(struct mail_queue *queue, const char *to, struct bytes message,
                     uint64_t life_ms)
{
    bool taken;

    pthread_mutex_lock(&queue->lock);
    taken = add(queue, to, message, life_ms);
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
    return taken;
}

bool mail_queue_forget(struct mail_queue *queue, const char *to)
{
    char lookup[EMAIL_MAX + 1];
    bool are_gone;

    write_lookup(to, lookup);
    pthread_mutex_lock(&queue->lock);
    are_gone = is_done(queue, gate_letters_drop(queue->store, lookup));
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
    return are_gone;
}

uint64_t mail_queue_waiting(struct mail_queue *queue, const char *to)
{
    char lookup[EMAIL_MAX + 1];
    uint64_t count = 0;

    if (to)
        write_lookup(to, lookup);
    pthread_mutex_lock(&queue->lock);
    (void)is_done(queue, gate_letters_count(queue->store, to ? lookup : NULL, &count));
    pthread_mutex_unlock(&queue->lock);
    return count;
}

void mail_queue_flush(struct mail_queue *queue)
{
    uint64_t count = 0;

    pthread_mutex_lock(&queue->lock);
    while (is_done(queue, gate_letters_count(queue->store, NULL, &count)) && count > 0)
        pthread_cond_wait(&queue->changed, &queue->lock);
    pthread_mutex_unlock(&queue->lock);
}
