#include "listeners.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct listener {
    struct listener *next, *previous;
    struct listeners *all;
    struct exchange *exchange;
    struct gate_event_filter filter;
    uint64_t told; /* events up to this number are told, or are not for it */
    uint64_t beat_at_ms;
    bool rests, has_news, beats; /* under the lock */
    char *text;                  /* what goes out now; `at` bytes have */
    size_t size, at;
};

struct listeners {
    pthread_mutex_t lock; /* of the list, and of what each of them says is */
    struct listener *first;
    size_t count;
    bool is_ending;

    pthread_mutex_t reader_lock; /* of what follows */
    struct gate_store *reader;
    uint8_t name[EVENT_NAME_SIZE]; /* does not change */
};

int listeners_open(struct listeners **opened, const char *store_path)
{
    struct listeners *listeners = memory_take(sizeof *listeners);
    struct gate_feed feed;
    int fault;

    pthread_mutex_init(&listeners->lock, NULL);
    pthread_mutex_init(&listeners->reader_lock, NULL);
    fault = gate_store_open_reader(&listeners->reader, store_path);
    if (!fault)
        fault = gate_feed_get(listeners->reader, &feed);
    if (fault) {
        listeners_close(listeners);
        return fault;
    }
    memcpy(listeners->name, feed.name, sizeof listeners->name);
    *opened = listeners;
    return 0;
}

void listeners_close(struct listeners *listeners)
{
    if (!listeners)
        return;
    gate_store_close(listeners->reader);
    pthread_mutex_destroy(&listeners->reader_lock);
    pthread_mutex_destroy(&listeners->lock);
    memory_give_back(listeners);
}

/* ---- waking ---- */

/* Under the lock, which the listener takes before it rests: so it is woken once for each rest. */
static void wake(struct listener *listener)
{
    if (!listener->rests)
        return;
    listener->rests = false;
    exchange_wake(listener->exchange);
}

void listeners_tell(struct listeners *listeners, uint64_t operator_id)
{
    pthread_mutex_lock(&listeners->lock);
    for (struct listener *at = listeners->first; at; at = at->next)
        if (at->filter.operator_id == operator_id) {
            at->has_news = true;
            wake(at);
        }
    pthread_mutex_unlock(&listeners->lock);
}

void listeners_beat(struct listeners *listeners, uint64_t now_ms)
{
    pthread_mutex_lock(&listeners->lock);
    for (struct listener *at = listeners->first; at; at = at->next)
        if (at->rests && at->beat_at_ms <= now_ms) {
            at->beats = true;
            wake(at);
        }
    pthread_mutex_unlock(&listeners->lock);
}

void listeners_end_all(struct listeners *listeners)
{
    pthread_mutex_lock(&listeners->lock);
    listeners->is_ending = true;
    for (struct listener *at = listeners->first; at; at = at->next)
        wake(at);
    pthread_mutex_unlock(&listeners->lock);
}

size_t listeners_count(struct listeners *listeners)
{
    size_t count;

    pthread_mutex_lock(&listeners->lock);
    count = listeners->count;
    pthread_mutex_unlock(&listeners->lock);
    return count;
}

/* ---- what goes out ---- */

static void set_text(struct listener *listener, const char *text)
{
    size_t size = strlen(text);

    listener->text = memory_resize(listener->text, listener->size - listener->at + size + 1);
    memcpy(listener->text + listener->size, text, size + 1);
    listener->size += size;
}

static void set_event(struct listener *listener, const struct gate_event *event)
{
    char id[EVENT_ID_SIZE], head[EVENT_ID_SIZE + 64];
    char *body = event_body(event_id_text(listener->all->name, event->number, id), event->happening,
                            event->at_ms, event->data);

    if (!body)
        return;
    snprintf(head, sizeof head, "id: %s\nevent: %s\ndata: ", id, happening_name(event->happening));
    set_text(listener, head);
    set_text(listener, body); /* compact JSON: one line */
    set_text(listener, "\n\n");
    free(body);
}

/* False: the store cannot be read. Numbers grow with each commit: what comes after `last` was read is
 * above it, and what the filter kept away up to there is not looked at again. */
static bool find_next(struct listener *listener)
{
    struct listeners *all = listener->all;
    struct gate_event event;
    uint64_t last, cut;
    bool found;
    int fault;

    pthread_mutex_lock(&all->reader_lock);
    fault = gate_events_ends(all->reader, listener->filter.operator_id, &last, &cut);
    if (!fault)
        fault = gate_event_next(all->reader, &listener->filter, listener->told, &event, &found);
    pthread_mutex_unlock(&all->reader_lock);
    if (fault)
        return false;
    if (found) {
        listener->told = event.number;
        set_event(listener, &event);
    } else if (last > listener->told) {
        listener->told = last;
    }
    return true;
}

static long hand_out(struct listener *listener, char *room, size_t size)
{
    size_t left = listener->size - listener->at;

    if (left < size)
        size = left;
    memcpy(room, listener->text + listener->at, size);
    listener->at += size;
    if (listener->at == listener->size) {
        memory_give_back(listener->text);
        listener->text = NULL;
        listener->size = listener->at = 0;
    }
    return (long)size;
}

enum pause { PAUSE_RESTS, PAUSE_HAS_NEWS, PAUSE_BEATS, PAUSE_ENDS };

/* What there is to do, when the store had nothing. */
static enum pause take_pause(struct listener *listener)
{
    enum pause pause = PAUSE_RESTS;

    pthread_mutex_lock(&listener->all->lock);
    if (listener->all->is_ending)
        pause = PAUSE_ENDS;
    else if (listener->has_news)
        pause = PAUSE_HAS_NEWS;
    else if (listener->beats)
        pause = PAUSE_BEATS;
    listener->has_news = listener->beats = false;
    if (pause == PAUSE_RESTS) {
        exchange_stream_rest(listener->exchange);
        listener->rests = true;
    }
    pthread_mutex_unlock(&listener->all->lock);
    return pause;
}

static void beat(struct listener *listener)
{
    listener->beat_at_ms = gateway_now_ms() + LISTENER_BEAT_MS;
    set_text(listener, ":\n\n");
}

static long next(struct exchange *exchange, char *room, size_t size)
{
    struct listener *listener = exchange->work;

    while (listener->size == 0) {
        enum pause pause;

        if (!find_next(listener))
            return STREAM_ENDS;
        if (listener->size > 0)
            break;
        pause = take_pause(listener);
        if (pause == PAUSE_RESTS)
            return STREAM_RESTS;
        if (pause == PAUSE_ENDS || (pause == PAUSE_BEATS && !exchange_may_still(exchange)))
            return STREAM_ENDS;
        if (pause == PAUSE_BEATS)
            beat(listener);
    }
    return hand_out(listener, room, size);
}

/* ---- coming and going ---- */

static void end(struct exchange *exchange)
{
    struct listener *listener = exchange->work;
    struct listeners *all = listener->all;

    pthread_mutex_lock(&all->lock);
    if (listener->previous)
        listener->previous->next = listener->next;
    else
        all->first = listener->next;
    if (listener->next)
        listener->next->previous = listener->previous;
    all->count--;
    pthread_mutex_unlock(&all->lock);
    memory_give_back(listener->text);
    memory_give_back(listener);
}

/* What it asks for and cannot have any more is told by an event without an id. */
static void begin_after(struct listener *listener, const char *last_id, uint64_t last, uint64_t cut)
{
    uint64_t asked = 0;
    const char *why = NULL;

    if (!last_id) {
        listener->told = last;
        return;
    }
    if (!event_id_parse(listener->all->name, bytes_of_text(last_id), &asked) || asked > last)
        why = "unknown_id";
    else if (asked < cut)
        why = "too_old";
    listener->told = why ? cut : asked;
    if (!why)
        return;
    set_text(listener, "event: reset\ndata: {\"reason\":\"");
    set_text(listener, why);
    set_text(listener, "\"}\n\n");
}

/* Under the lock. */
static size_t count_of(const struct listeners *listeners, uint64_t operator_id)
{
    size_t count = 0;

    for (const struct listener *at = listeners->first; at; at = at->next)
        count += at->filter.operator_id == operator_id;
    return count;
}

static bool enter(struct listeners *listeners, struct listener *listener)
{
    bool is_taken;

    pthread_mutex_lock(&listeners->lock);
    is_taken = listeners->count < LISTENERS_MAX && !listeners->is_ending &&
               count_of(listeners, listener->filter.operator_id) < LISTENERS_PER_OPERATOR_MAX;
    if (is_taken) {
        listener->next = listeners->first;
        if (listeners->first)
            listeners->first->previous = listener;
        listeners->first = listener;
        listeners->count++;
    }
    pthread_mutex_unlock(&listeners->lock);
    return is_taken;
}

static void refuse(struct exchange *exchange, const char *code, const char *text)
{
    struct problem problem = problem_make(503, code, "%s", text);

    problem.retry_after_s = 5;
    exchange_refuse(exchange, &problem);
}

void listeners_add(struct listeners *listeners, struct exchange *exchange,
                   const struct gate_event_filter *filter, const char *last_id)
{
    struct listener *listener = memory_take(sizeof *listener);
    char retry[64];
    uint64_t last, cut;
    int fault;

    listener->all = listeners;
    listener->exchange = exchange;
    listener->filter = *filter;
    listener->beat_at_ms = gateway_now_ms() + LISTENER_BEAT_MS;
    pthread_mutex_lock(&listeners->reader_lock);
    fault = gate_events_ends(listeners->reader, filter->operator_id, &last, &cut);
    pthread_mutex_unlock(&listeners->reader_lock);
    if (fault || !enter(listeners, listener)) {
        refuse(exchange, fault ? "store_failed" : "busy",
               fault ? "the gateway's store does not answer" : "too many listen already");
        memory_give_back(listener);
        return;
    }
    snprintf(retry, sizeof retry, "retry: %u\n\n", LISTENER_RETRY_MS);
    set_text(listener, retry);
    begin_after(listener, last_id, last, cut);
    exchange->work = listener;
    exchange_answer_stream(exchange, "text/event-stream", next, end);
}
