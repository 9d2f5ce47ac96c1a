/* Which link a node is reached by, when there are several.
 *
 * Two nodes that dial each other at once get two links, and both must keep the same one: the link
 * that the lower node id opened. Otherwise the newer link replaces the older: a session that is
 * renewed, or a peer that came back before its old link was missed.
 *
 * Make before break: the link that is replaced carries no new frames, but is read on. Whoever
 * opened the one that is kept learns by its first pong that the other end uses it, too; then it
 * sends a last ping on the replaced one. The pong to that comes behind everything that was ever
 * sent on it, in both directions, so now it can be closed and no frame is lost. */
#include "transport_parts.h"

#include "clock.h"

#include <assert.h>
#include <sodium.h>

static struct peer **find(struct transport *transport, const struct id *node)
{
    uint8_t sum[crypto_shorthash_BYTES];
    struct peer **at;

    crypto_shorthash(sum, node->bytes, sizeof node->bytes, transport->hash_key);
    at = &transport->peers[((size_t)sum[0] | (size_t)sum[1] << 8) % PEER_BUCKETS];
    while (*at && !id_equal(&(*at)->node, node))
        at = &(*at)->next;
    return at;
}

static struct peer *find_or_make(struct transport *transport, const struct id *node)
{
    struct peer **at = find(transport, node);

    if (!*at) {
        *at = memory_take(sizeof **at);
        (*at)->node = *node;
        transport->peer_count++;
    }
    return *at;
}

static void forget(struct transport *transport, struct peer *peer)
{
    struct peer **at = find(transport, &peer->node);

    assert(*at == peer);
    *at = peer->next;
    transport->peer_count--;
    memory_give_back(peer);
}

void peers_free(struct transport *transport)
{
    for (size_t i = 0; i < PEER_BUCKETS; i++)
        assert(!transport->peers[i]); /* each link's end dismissed it */
}

struct link *peers_hold_current(struct transport *transport, const struct id *node)
{
    struct link *link = NULL;
    struct peer *peer;

    pthread_mutex_lock(&transport->lock);
    peer = *find(transport, node);
    if (peer && peer->current) {
        link = peer->current;
        link_hold(link);
    }
    pthread_mutex_unlock(&transport->lock);
    return link;
}

size_t peers_part_with(struct transport *transport, const struct id *node, const char *reason,
                       struct link *links[2])
{
    struct peer *peer;
    size_t count = 0;

    pthread_mutex_lock(&transport->lock);
    peer = *find(transport, node);
    if (peer && peer->links > 0) {
        peer->hung_up = reason;
        if (peer->current)
            links[count++] = peer->current;
        if (peer->draining)
            links[count++] = peer->draining;
    }
    for (size_t i = 0; i < count; i++)
        link_hold(links[i]);
    pthread_mutex_unlock(&transport->lock);
    return count;
}

/* ---- which of two ---- */

static void set_replaced(struct link *link, bool replaced)
{
    pthread_mutex_lock(&link->lock);
    link->replaced = replaced;
    link->replaced_ms = clock_now_ms();
    link->last_ping_sent = link->drained = false;
    pthread_mutex_unlock(&link->lock);
}

static bool replaces(struct link *fresh, struct link *old)
{
    bool old_is_dead, simultaneous, opened_by_lower;

    pthread_mutex_lock(&old->lock);
    old_is_dead = old->closing;
    simultaneous = fresh->up_ms < old->up_ms + SIMULTANEOUS_MS;
    pthread_mutex_unlock(&old->lock);
    if (old_is_dead || fresh->dialled_here == old->dialled_here || !simultaneous)
        return true;
    opened_by_lower =
        (id_compare(&fresh->transport->self, &fresh->node) < 0) == fresh->dialled_here;
    return opened_by_lower;
}

/* Returns a link that has become too many, held. */
static struct link *settle(struct peer *peer, struct link *fresh)
{
    struct link *loser = fresh, *surplus = NULL;

    if (!peer->current || replaces(fresh, peer->current)) {
        loser = peer->current;
        peer->current = fresh;
    }
    if (!loser)
        return NULL;
    surplus = peer->draining;
    if (surplus)
        link_hold(surplus);
    peer->draining = loser;
    set_replaced(loser, true);
    return surplus;
}

/* The replaced link of `peer`, held, when it is for us to end it. */
static struct link *hold_drainable(const struct peer *peer)
{
    const struct link *current = peer->current;

    if (!current || !current->confirmed || !current->dialled_here || !peer->draining)
        return NULL;
    link_hold(peer->draining);
    return peer->draining;
}

static void drain(struct link *link)
{
    if (!link)
        return;
    link_send_last_ping(link);
    link_drop(link);
}

void peers_confirm(struct link *link)
{
    struct transport *transport = link->transport;
    struct link *draining = NULL;
    struct peer *peer;

    pthread_mutex_lock(&transport->lock);
    link->confirmed = true;
    peer = *find(transport, &link->node);
    if (peer && peer->current == link)
        draining = hold_drainable(peer);
    pthread_mutex_unlock(&transport->lock);
    drain(draining);
}

/* ---- up and down ---- */

/* Under the lock. One report of a node at a time, in order: up and down may be due on two workers.
 * The handler itself is called without the lock. */
static void begin_to_tell(struct transport *transport, struct peer *peer)
{
    assert(!peer->telling);
    peer->telling = true;
    pthread_mutex_unlock(&transport->lock);
}

static void end_telling(struct transport *transport, struct peer *peer, bool up)
{
    pthread_mutex_lock(&transport->lock);
    peer->telling = false;
    peer->told_up = up;
    pthread_cond_broadcast(&transport->changed);
}

static void wait_for_turn(struct transport *transport, const struct peer *peer)
{
    while (peer->telling)
        pthread_cond_wait(&transport->changed, &transport->lock);
}

bool peers_register(struct link *link, struct bytes introduction, const char **hung_up)
{
    struct transport *transport = link->transport;
    const struct transport_handlers *handlers = &transport->handlers;
    struct link *surplus, *draining;
    struct peer *peer;
    bool tell;

    pthread_mutex_lock(&transport->lock);
    peer = find_or_make(transport, &link->node);
    peer->links++;
    link->is_registered = true;
    *hung_up = peer->hung_up;
    surplus = settle(peer, link);
    draining = hold_drainable(peer);
    peer->renewing = false;
    peer->renew_at_ms = 0;
    wait_for_turn(transport, peer);
    tell = !peer->told_up;
    if (tell) {
        begin_to_tell(transport, peer);
        handlers->up(handlers->context, &link->node, introduction, link->dialled_here);
        end_telling(transport, peer, true);
    }
    pthread_mutex_unlock(&transport->lock);

    drain(draining);
    if (surplus) {
        link_close(surplus, "replaced by another link");
        link_drop(surplus);
    }
    return tell;
}

static bool ended_on_purpose(struct link *link)
{
    bool on_purpose;

    pthread_mutex_lock(&link->lock);
    on_purpose = link->hung_up || link->goodbye;
    pthread_mutex_unlock(&link->lock);
    return on_purpose;
}

void peers_dismiss(struct link *link)
{
    struct transport *transport = link->transport;
    const struct transport_handlers *handlers = &transport->handlers;
    struct peer *peer;

    pthread_mutex_lock(&transport->lock);
    peer = *find(transport, &link->node);
    assert(peer && peer->links > 0);
    if (peer->current == link) {
        peer->current = peer->draining;
        peer->draining = NULL;
        if (peer->current)
            set_replaced(peer->current, false);
    } else if (peer->draining == link) {
        peer->draining = NULL;
    }
    wait_for_turn(transport, peer);
    peer->links--;
    if (peer->links == 0)
        peer->hung_up = NULL;
    if (peer->links == 0 && peer->told_up) {
        begin_to_tell(transport, peer);
        handlers->down(handlers->context, &link->node, link->reason, ended_on_purpose(link));
        end_telling(transport, peer, false);
    }
    /* The node may have come back while that was told; then its link dismisses it. */
    if (peer->links == 0 && !peer->telling)
        forget(transport, peer);
    pthread_mutex_unlock(&transport->lock);
}

/* ---- renewal ---- */

bool peers_renewal_is_due(struct link *link, uint64_t now_ms)
{
    struct transport *transport = link->transport;
    struct peer *peer;
    bool due;

    pthread_mutex_lock(&transport->lock);
    peer = *find(transport, &link->node);
    due = peer && peer->current == link && !peer->draining && !peer->renewing &&
          now_ms >= peer->renew_at_ms && !transport->closing;
    if (due)
        peer->renewing = true;
    pthread_mutex_unlock(&transport->lock);
    return due;
}

void peers_renewal_ended(struct transport *transport, const struct id *node)
{
    struct peer *peer;

    pthread_mutex_lock(&transport->lock);
    peer = *find(transport, node);
    if (peer && peer->renewing) {
        peer->renewing = false;
        peer->renew_at_ms = clock_now_ms() + RENEW_AGAIN_MS;
    }
    pthread_mutex_unlock(&transport->lock);
}
