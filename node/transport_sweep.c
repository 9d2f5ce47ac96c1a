/* One thread for all deadlines. It looks often while something is under way, seldom while links are
 * merely up, and not at all when there is nothing. */
#include "transport_parts.h"

#include "clock.h"

#include <time.h>

#define SLOW_SWEEP_MAX_MS 1000u /* nothing is under way but links that are up */

/* Under the lock. Holds everything, so that the round itself needs no lock. */
void round_begin(struct transport *transport, struct round *round, uint64_t now_ms)
{
    round->link_count = round->dial_count = 0;
    round->busy = transport->dials != NULL;
    for (struct link *link = transport->links; link; link = link->after) {
        if (round->link_count == round->link_capacity) {
            round->link_capacity = 2 * round->link_capacity + 16;
            round->links =
                memory_resize(round->links, round->link_capacity * sizeof(struct link *));
        }
        link_hold(link);
        round->links[round->link_count++] = link;
    }
    for (struct dial *dial = transport->dials; dial; dial = dial->after) {
        if (round->dial_count == round->dial_capacity) {
            round->dial_capacity = 2 * round->dial_capacity + 16;
            round->dials =
                memory_resize(round->dials, round->dial_capacity * sizeof(struct dial *));
        }
        dial_hold(dial);
        round->dials[round->dial_count++] = dial;
    }
    for (size_t i = 0; i < transport->listener_count; i++) {
        uint64_t paused_ms = transport->listeners[i].paused_ms;

        round->resumes[i] = paused_ms && now_ms >= paused_ms + ACCEPT_PAUSE_MS;
        round->busy = round->busy || (paused_ms && !round->resumes[i]);
    }
}

void round_free(struct round *round)
{
    memory_give_back(round->links);
    memory_give_back(round->dials);
}

static void do_round(struct transport *transport, struct round *round, uint64_t now_ms)
{
    for (size_t i = 0; i < round->link_count; i++) {
        round->busy |= link_sweep(round->links[i], now_ms);
        link_drop(round->links[i]);
    }
    for (size_t i = 0; i < round->dial_count; i++) {
        dial_sweep(round->dials[i], now_ms);
        dial_drop(round->dials[i]);
    }
    for (size_t i = 0; i < transport->listener_count; i++)
        if (round->resumes[i])
            listener_accept(&transport->listeners[i]);
}

static uint64_t at_most(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

/* A quarter of the shortest wait is as late as anything may be noticed. */
static uint64_t slow_sweep_ms(const struct transport_limits *limits)
{
    uint64_t ms = at_most(at_most(limits->ping_ms, limits->frame_ms),
                          at_most(limits->write_stall_ms, limits->session_ms));

    ms = at_most(ms / 4, SLOW_SWEEP_MAX_MS);
    return ms > limits->sweep_ms ? ms : limits->sweep_ms;
}

/* Under the lock. */
static bool has_nothing(const struct transport *transport)
{
    for (size_t i = 0; i < transport->listener_count; i++)
        if (transport->listeners[i].paused_ms)
            return false;
    return !transport->links && !transport->dials;
}

/* Under the lock, which is free meanwhile. */
static void wait_for_round(struct transport *transport, const struct round *round)
{
    const struct transport_limits *limits = &transport->limits;
    uint64_t until_ms = clock_now_ms() + (round->busy ? limits->sweep_ms : slow_sweep_ms(limits));
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};

    if (transport->sweep_ends)
        return;
    if (has_nothing(transport)) {
        transport->sweep_idles = true;
        while (!transport->sweep_ends && has_nothing(transport))
            pthread_cond_wait(&transport->stir, &transport->lock);
        transport->sweep_idles = false;
    } else {
        pthread_cond_timedwait(&transport->stir, &transport->lock, &until);
    }
}

static void *sweep(void *context)
{
    struct transport *transport = context;
    struct round round = {.links = NULL};

    pthread_mutex_lock(&transport->lock);
    while (!transport->sweep_ends) {
        uint64_t now_ms = clock_now_ms();

        round_begin(transport, &round, now_ms);
        pthread_mutex_unlock(&transport->lock);
        do_round(transport, &round, now_ms);
        pthread_mutex_lock(&transport->lock);
        wait_for_round(transport, &round);
    }
    pthread_mutex_unlock(&transport->lock);
    round_free(&round);
    return NULL;
}

bool sweep_begin(struct transport *transport)
{
    return pthread_create(&transport->sweeper, NULL, sweep, transport) == 0;
}

void sweep_end(struct transport *transport)
{
    pthread_mutex_lock(&transport->lock);
    transport->sweep_ends = true;
    pthread_cond_signal(&transport->stir);
    pthread_mutex_unlock(&transport->lock);
    if (transport->has_sweeper)
        pthread_join(transport->sweeper, NULL);
}
