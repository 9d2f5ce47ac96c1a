/* Who connects here: counted, capped, and let in, with one outstanding accept a listener. */
#include "transport_parts.h"

#include "clock.h"

#include <stdio.h>

#define OUTBOUND_SHARE 8u /* of links_max, one in so many is kept for those we dial */

static bool read_address(nng_stream *stream, struct admission_address *address)
{
    nng_sockaddr name;

    if (nng_stream_get_addr(stream, NNG_OPT_REMADDR, &name))
        return false; /* gone already */
    if (name.s_family == NNG_AF_INET) {
        uint8_t bytes[4];

        memcpy(bytes, &name.s_in.sa_addr, sizeof bytes);
        *address = admission_address_ipv4(bytes);
        return true;
    }
    if (name.s_family != NNG_AF_INET6)
        return false;
    memcpy(address->bytes, name.s_in6.sa_addr, sizeof address->bytes);
    return true;
}

/* Under the lock. One in eight places is kept for those we dial: strangers cannot take it. */
static bool has_place(const struct transport *transport)
{
    uint32_t max = transport->limits.links_max;

    return !transport->closing && transport->accepted_alive < max - max / OUTBOUND_SHARE &&
           transport->links_alive < max;
}

static void admit(struct transport *transport, nng_stream *stream)
{
    struct admission_place place = {.counted = false};
    struct admission_address address;
    struct link *oldest = NULL;
    bool taken = read_address(stream, &address);

    pthread_mutex_lock(&transport->lock);
    transport->past.accepted++;
    taken = taken && admission_enter(transport->admission, &address, clock_now_ms(), &place) ==
                         ADMISSION_TAKEN;
    if (taken && !has_place(transport)) {
        admission_leave(transport->admission, &place);
        taken = false;
    }
    if (taken) {
        transport->links_alive++;
        transport->accepted_alive++;
        if (transport->pending_count >= transport->limits.handshakes_pending_max) {
            oldest = transport->pending_first; /* it had the longest time to prove itself */
            transport_leave_pending(transport, oldest);
            link_hold(oldest);
        }
    } else {
        transport->past.accepts_refused++;
    }
    pthread_mutex_unlock(&transport->lock);

    if (oldest) {
        link_close(oldest, "too many handshakes wait");
        link_drop(oldest);
    }
    if (taken)
        link_begin(transport, stream, NULL, &place);
    else
        nng_stream_free(stream);
}

void listener_accept(struct listener *listener)
{
    struct transport *transport = listener->transport;
    bool accepts;

    pthread_mutex_lock(&transport->lock);
    accepts = !transport->closing && transport->accepts && !listener->accepting;
    if (accepts) {
        listener->accepting = true;
        listener->paused_ms = 0;
    }
    pthread_mutex_unlock(&transport->lock);
    if (accepts)
        nng_stream_listener_accept(listener->listener, listener->aio);
}

static void on_accepted(void *context)
{
    struct listener *listener = context;
    struct transport *transport = listener->transport;
    int result = nng_aio_result(listener->aio);
    bool pauses = result != 0 && result != NNG_ECONNABORTED && result != NNG_ECONNRESET;

    if (result == 0)
        admit(transport, nng_aio_get_output(listener->aio, 0));
    pthread_mutex_lock(&transport->lock);
    listener->accepting = false;
    if (pauses && !transport->closing) {
        listener->paused_ms = clock_now_ms();
        transport_stir(transport);
    }
    pthread_cond_broadcast(&transport->changed);
    pthread_mutex_unlock(&transport->lock);
    if (!pauses)
        listener_accept(listener);
}

int listener_open(struct transport *transport, const char *text)
{
    struct listener *listener = &transport->listeners[transport->listener_count];
    char numeric[DIAL_ADDRESSES_MAX][ADDRESS_TEXT_SIZE];
    char host[ADDRESS_MAX + 1], url[ADDRESS_TEXT_SIZE + 8];
    int result, bound = 0;
    uint16_t port;

    if (address_split(bytes_of_text(text), host, &port) ||
        address_resolve(host, port, true, numeric) == 0)
        return FAULT_ADDRESS;
    snprintf(url, sizeof url, "tcp://%s", numeric[0]);
    listener->transport = transport;
    transport->listener_count++;
    result = nng_aio_alloc(&listener->aio, on_accepted, listener);
    if (!result)
        result = nng_stream_listener_alloc(&listener->listener, url);
    if (!result)
        result = nng_stream_listener_listen(listener->listener);
    if (!result)
        result = nng_stream_listener_get_int(listener->listener, NNG_OPT_TCP_BOUND_PORT, &bound);
    if (result) {
        transport_log(transport, LOG_ERROR, "cannot listen on %s: %s", text, nng_strerror(result));
        return FAULT_SOCKET;
    }
    listener->port = (uint16_t)bound;
    return 0;
}
