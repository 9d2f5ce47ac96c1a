/* From the first byte of a connection to a link that is up. */
#include "transport_parts.h"

#include "clock.h"

#include <sodium.h>
#include <stdio.h>

bool link_refuse(struct link *link, const char *what, const char *why)
{
    char reason[REASON_SIZE];

    snprintf(reason, sizeof reason, "%s%s%s", what, why && *why ? ": " : "", why ? why : "");
    link_close(link, reason);
    return false;
}

static void fill_session_settings(const struct link *link, struct session_settings *settings)
{
    const struct transport *transport = link->transport;

    *settings = (struct session_settings){
        .network = bytes_of(transport->network, transport->network_size),
        .self = transport->self,
        .fleet = transport->fleet,
        .static_pair = link->credentials->pair,
        .introduction = bytes_of(link->credentials->introduction, link->credentials->size),
    };
}

void link_begin_as_caller(struct link *link, const struct dial *dial)
{
    struct session_settings settings;
    struct session_output output;
    uint8_t ephemeral[64];

    fill_session_settings(link, &settings);
    randombytes_buf(ephemeral, sizeof ephemeral);
    link->session = session_new_caller(&settings, id_is_zero(&dial->node) ? NULL : &dial->node,
                                       dial->key_known ? dial->key : NULL, ephemeral, &output);
    sodium_memzero(ephemeral, sizeof ephemeral);
    sodium_memzero(&settings.static_pair, sizeof settings.static_pair);
    link_send_handshake(link, &output);
}

/* The curve arithmetic of strangers is bounded for the node as a whole. */
static bool may_shake(struct transport *transport)
{
    bool may;

    pthread_mutex_lock(&transport->lock);
    may = token_bucket_take(&transport->handshakes, transport->limits.handshakes_per_s,
                            transport->limits.handshakes_per_s, clock_now_ms());
    pthread_mutex_unlock(&transport->lock);
    return may;
}

static void begin_as_callee(struct link *link)
{
    struct session_settings settings;
    uint8_t ephemeral[32];

    fill_session_settings(link, &settings);
    randombytes_buf(ephemeral, sizeof ephemeral);
    link->session = session_new_callee(&settings, ephemeral);
    sodium_memzero(ephemeral, sizeof ephemeral);
    sodium_memzero(&settings.static_pair, sizeof settings.static_pair);
}

void link_leave_pending(struct link *link)
{
    struct transport *transport = link->transport;

    pthread_mutex_lock(&transport->lock);
    transport_leave_pending(transport, link);
    pthread_mutex_unlock(&transport->lock);
}

static void tell_answered(const struct link *link, const struct dial *dial)
{
    const struct transport_handlers *handlers = &link->transport->handlers;
    struct id node = session_peer_id(link->session);

    if (handlers->answered && !dial->is_renewal)
        handlers->answered(handlers->context, &dial->node, &node, bytes_of_text(dial->address));
}

static void come_up(struct link *link)
{
    const struct introduction *peer = session_peer(link->session);
    struct dial *dial = link->dial;
    const char *hung_up;
    bool told;

    if (peer && link->dialled_here) {
        memcpy(link->callee_key, peer->content.session_key, sizeof link->callee_key);
        link->callee_key_known = true;
    }
    link_leave_pending(link);
    link->framings[0].frame_max = link->framings[1].frame_max =
        1 + link->transport->limits.frame_max;

    pthread_mutex_lock(&link->lock);
    link->state = LINK_UP;
    link->bundles = session_peer_protocol(link->session) >= SESSION_PROTOCOL_BUNDLES;
    link->node = session_peer_id(link->session);
    link->up_ms = link->heard_ms = clock_now_ms();
    link->info.node = link->node;
    link->info.dialled_here = link->dialled_here;
    link->info.up_wall_ms = clock_wall_ms();
    link->info.skew_ms = session_peer_skew_ms(link->session);
    pthread_mutex_unlock(&link->lock);

    told = peers_register(link, peer ? peer->wire : bytes_of(NULL, 0), &hung_up);
    credentials_drop(link->credentials);
    link->credentials = NULL;
    link->dial = NULL;
    if (dial && id_is_zero(&dial->node))
        tell_answered(link, dial);
    if (dial)
        dial_end(dial, told || dial->is_renewal ? NULL : "the node is linked already");
    if (hung_up)
        link_close(link, hung_up);
    else
        link_send_ping(link, false);
}

/* False: the link is being closed. */
bool link_shake(struct link *link, const uint8_t *frame, size_t size)
{
    enum session_frame type = frame[0];
    struct session_output output = {.type = SESSION_FIRST};
    enum session_verdict verdict;

    if (type < SESSION_FIRST || type > SESSION_NOTICE)
        return link_refuse(link, "a frame before the handshake is over", NULL);
    if (type == SESSION_FIRST && !may_shake(link->transport))
        return link_refuse(link, "too many handshakes at this node", NULL);
    if (!link->session)
        begin_as_callee(link);
    verdict = session_receive(link->session, type, bytes_of(frame + 1, size - 1), clock_wall_ms(),
                              &output);
    switch (verdict) {
    case SESSION_TAKEN:
    case SESSION_START_AGAIN:
        link_send_handshake(link, &output);
        return true;
    case SESSION_UP:
        link_send_handshake(link, &output);
        come_up(link);
        return true;
    case SESSION_OUT_OF_TURN:
    case SESSION_MALFORMED:
    case SESSION_BAD_TAG:
        break;
    case SESSION_WRONG_PEER:
        if (link->dial)
            tell_answered(link, link->dial);
        break;
    case SESSION_PEER_REFUSED:
    case SESSION_TOO_LONG:
    case SESSION_WORN_OUT:
        break;
    }
    return link_refuse(link, session_verdict_text(verdict), session_reason(link->session));
}
