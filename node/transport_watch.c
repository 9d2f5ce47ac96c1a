/* What a link is looked after for: pings, deadlines, a session that grew old. */
#include "transport_parts.h"

#include "clock.h"

#include <sodium.h>

/* ---- pings ---- */

void link_send_ping(struct link *link, bool last)
{
    uint8_t token[PING_SIZE];

    randombytes_buf(token, sizeof token);
    pthread_mutex_lock(&link->lock);
    if (link->last_ping_sent) {
        pthread_mutex_unlock(&link->lock);
        return; /* nothing comes after it */
    }
    memcpy(&link->ping_token, token, sizeof token);
    link->ping_sent_us = clock_now_us();
    link->pinged_ms = link->ping_sent_us / 1000;
    link->ping_wait_ms = link->transport->limits.ping_ms -
                         randombytes_uniform(link->transport->limits.ping_ms / 4 + 1);
    link->last_ping_sent = last;
    pthread_mutex_unlock(&link->lock);
    link_send_own(link, FRAME_PING, bytes_of(token, sizeof token));
    link_flush(link);
}

void link_send_last_ping(struct link *link)
{
    link_send_ping(link, true);
}

void link_take_pong(struct link *link, struct bytes body)
{
    const char *drained = NULL; /* why the link is to end now */
    uint64_t token, passed_us;

    memcpy(&token, body.data, sizeof token);
    pthread_mutex_lock(&link->lock);
    if (link->ping_sent_us && token == link->ping_token) {
        passed_us = clock_now_us() - link->ping_sent_us;
        link->info.round_trip_us = passed_us < UINT32_MAX ? (uint32_t)passed_us + !passed_us : 0;
        link->ping_sent_us = 0;
        link->drained = link->last_ping_sent;
        if (link->replaced && link->drained)
            drained = link->hung_up ? link->hung_up : "replaced by another link";
    }
    pthread_mutex_unlock(&link->lock);
    if (!link->is_confirmed) {
        link->is_confirmed = true;
        peers_confirm(link);
    }
    if (drained)
        link_close(link, drained);
}

/* ---- goodbyes ---- */

/* Drains as a link that was replaced does: all that was sent before arrives. */
void link_hang_up(struct link *link, const char *reason)
{
    bool first;

    pthread_mutex_lock(&link->lock);
    first = !link->hung_up && link->state == LINK_UP;
    if (first) {
        if (!link->replaced)
            link->last_ping_sent = link->drained = false;
        link->replaced = true;
        link->replaced_ms = clock_now_ms();
        link->hung_up = reason;
    }
    pthread_mutex_unlock(&link->lock);
    if (!first)
        return;
    link_send_own(link, FRAME_GOODBYE, bytes_of(NULL, 0));
    link_send_last_ping(link);
}

void link_take_goodbye(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    link->goodbye = true;
    pthread_mutex_unlock(&link->lock);
}

/* ---- deadlines ---- */

/* Under the lock. NULL: none has passed. */
static const char *what_is_late(const struct link *link, uint64_t now_ms)
{
    const struct transport_limits *limits = &link->transport->limits;
    uint64_t moved_ms = link->heard_ms > link->replaced_ms ? link->heard_ms : link->replaced_ms;

    if (link->state == LINK_SHAKING && now_ms > link->began_ms + limits->handshake_ms)
        return "the handshake took too long";
    if (link->receiving && link->frame_began_ms && now_ms > link->frame_began_ms + limits->frame_ms)
        return "a frame that had begun did not come to its end";
    if (link->writing && now_ms > link->wrote_ms + limits->write_stall_ms)
        return "the other end does not read";
    if (link->hung_up && now_ms > link->replaced_ms + limits->drain_ms)
        return link->hung_up; /* whatever still comes */
    if (link->replaced && now_ms > moved_ms + limits->drain_ms)
        return "replaced by another link";
    if (link->receiving && link->pings_missed > PINGS_MISSED_MAX)
        return "no answer to pings";
    return NULL;
}

/* Under the lock. Counts the ping that is due as missed until something is heard. */
static bool ping_is_due(struct link *link, uint64_t now_ms)
{
    if (link->state != LINK_UP || link->replaced || !link->receiving ||
        now_ms < link->heard_ms + link->ping_wait_ms ||
        now_ms < link->pinged_ms + link->ping_wait_ms)
        return false;
    link->pings_missed++;
    return link->pings_missed <= PINGS_MISSED_MAX;
}

/* Under the lock: what only a busy link needs goes back. */
static bool rest_when_quiet(struct link *link, uint64_t now_ms)
{
    if (now_ms < link->heard_ms + RECEIVE_QUIET_MS)
        return false;
    if (!link->writing && link->spare && now_ms > link->wrote_ms + RECEIVE_QUIET_MS) {
        memory_give_back(link->spare);
        link->spare = NULL;
    }
    if (link->rested_ms >= link->heard_ms)
        return false;
    link->rested_ms = now_ms;
    link->tidies = true;
    return true;
}

static void renew(struct link *link)
{
    const uint8_t *key = link->callee_key_known ? link->callee_key : NULL;

    if (dial_begin(link->transport, bytes_of_text(link->address), &link->node, key, true))
        peers_renewal_ended(link->transport, &link->node);
}

bool link_sweep(struct link *link, uint64_t now_ms)
{
    bool ping = false, tidies = false, old = false, busy = true;
    const char *late = NULL;

    pthread_mutex_lock(&link->lock);
    if (!link->closing) {
        ping = ping_is_due(link, now_ms);
        late = what_is_late(link, now_ms);
        tidies = rest_when_quiet(link, now_ms);
        old = link->state == LINK_UP && link->dialled_here && !link->replaced &&
              now_ms >= link->up_ms + link->transport->limits.session_ms;
        busy = link->state == LINK_SHAKING || link->frame_began_ms || link->writing ||
               link->replaced || link->pings_missed > 0;
    }
    pthread_mutex_unlock(&link->lock);
    if (late)
        link_close(link, late);
    else if (ping)
        link_send_ping(link, false);
    if (tidies)
        link_schedule(link);
    if (old && peers_renewal_is_due(link, now_ms))
        renew(link);
    return busy;
}
