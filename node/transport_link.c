/* One connection, from its first byte to its last.
 *
 * Bytes come in: nng's callback notes how many and gives the link to a worker, which reads the whole
 * frames and posts the next receive; under load it posts first, so that one chunk comes in while
 * one is worked on, and never more. A worker that is held up by its handler stops the reading. */
#include "transport_parts.h"

#include "clock.h"

#include <arpa/inet.h>
#include <stdio.h>

/* ---- life ---- */

void link_hold(struct link *link)
{
    atomic_fetch_add_explicit(&link->references, 1, memory_order_relaxed);
}

static void set_receive_size(struct link *link, size_t size)
{
    atomic_fetch_sub(&link->transport->large_buffers,
                     link->receive_size > RECEIVE_SMALL ? 2 * link->receive_size : 0);
    atomic_fetch_add(&link->transport->large_buffers, size > RECEIVE_SMALL ? 2 * size : 0);
    link->receive_size = size;
}

static void give_places_back(struct transport *transport, bool accepted,
                             const struct admission_place *place)
{
    pthread_mutex_lock(&transport->lock);
    admission_leave(transport->admission, place);
    if (accepted)
        transport->accepted_alive--;
    transport->links_alive--;
    pthread_cond_broadcast(&transport->changed);
    pthread_mutex_unlock(&transport->lock);
}

/* May run in a callback of either operation: hence nng_aio_reap. */
static void link_free(struct link *link)
{
    struct transport *transport = link->transport;
    struct admission_place place = link->place;
    bool accepted = !link->dialled_here;

    if (link->receive)
        nng_aio_reap(link->receive);
    if (link->send)
        nng_aio_reap(link->send);
    if (link->try_send)
        nng_aio_reap(link->try_send);
    nng_stream_free(link->stream);
    session_free(link->session);
    credentials_drop(link->credentials);
    set_receive_size(link, 0);
    framing_free(&link->framings[0]);
    framing_free(&link->framings[1]);
    link_free_output(link);
    pthread_mutex_destroy(&link->lock);
    memory_give_back(link);
    give_places_back(transport, accepted, &place);
}

void link_drop(struct link *link)
{
    if (atomic_fetch_sub_explicit(&link->references, 1, memory_order_acq_rel) == 1)
        link_free(link);
}

void link_schedule(struct link *link)
{
    link_hold(link);
    if (!workers_give(link->transport->workers, &link->work))
        link_drop(link);
}

static void work_rests(struct work *work)
{
    link_drop((struct link *)work);
}

void link_close(struct link *link, const char *reason)
{
    bool first;

    pthread_mutex_lock(&link->lock);
    first = !link->closing;
    if (first) {
        link->closing = true;
        snprintf(link->reason, sizeof link->reason, "%s", reason);
    }
    pthread_mutex_unlock(&link->lock);
    if (!first)
        return;
    nng_stream_close(link->stream);
    link_schedule(link);
}

const char *link_result_text(int result)
{
    if (result == NNG_ECLOSED || result == NNG_ECONNSHUT || result == NNG_ECONNRESET)
        return "closed by the other end";
    return nng_strerror(result);
}

/* An operation that is begun on a closed stream of nng 1.5.2 never ends. The lock is not held while
 * one begins, so the stream may have been closed just before: look again, and take it back. */
void link_take_back_when_closed(struct link *link, nng_aio *operation)
{
    bool closing;

    pthread_mutex_lock(&link->lock);
    closing = link->closing;
    pthread_mutex_unlock(&link->lock);
    if (closing)
        nng_aio_cancel(operation);
}

/* ---- reading ---- */

static void post_receive(struct link *link)
{
    struct framing *framing = &link->framings[link->filling];
    nng_iov slice;

    slice.iov_buf = framing_room(framing, link->receive_size, &slice.iov_len);
    if (slice.iov_len > link->transport->limits.receive_queue_max)
        slice.iov_len = link->transport->limits.receive_queue_max;
    link->room = slice.iov_len;
    pthread_mutex_lock(&link->lock);
    if (link->closing) {
        pthread_mutex_unlock(&link->lock);
        return;
    }
    link->receiving = true;
    link->frame_began_ms = framing->began_ms;
    link_hold(link);
    pthread_mutex_unlock(&link->lock);
    nng_aio_set_iov(link->receive, 1, &slice);
    nng_stream_recv(link->stream, link->receive);
    link_take_back_when_closed(link, link->receive);
}

static void on_received(void *context)
{
    struct link *link = context;
    int result = nng_aio_result(link->receive);
    size_t count = result ? 0 : nng_aio_count(link->receive);

    pthread_mutex_lock(&link->lock);
    link->receiving = false;
    link->arrived = count;
    link->info.bytes_in += count;
    if (count > 0) {
        link->heard_ms = clock_now_ms();
        link->pings_missed = 0;
    }
    pthread_mutex_unlock(&link->lock);
    if (count == 0)
        link_close(link, link_result_text(result ? result : NNG_ECONNSHUT));
    link_schedule(link);
    link_drop(link);
}

/* Large receives only while much comes in, and only so many in the whole node. */
static void adapt_receive_size(struct link *link, size_t arrived, uint64_t now_ms)
{
    size_t size = link->receive_size;

    if (now_ms - link->received_ms > RECEIVE_QUIET_MS)
        size = RECEIVE_SMALL;
    else if (arrived == link->room && size < RECEIVE_LARGE &&
             atomic_load(&link->transport->large_buffers) < LARGE_BUFFERS_MAX)
        size *= 4;
    link->received_ms = now_ms;
    if (size != link->receive_size)
        set_receive_size(link, size);
}

/* ---- sealed frames ---- */

static bool hand_over(struct link *link, size_t worker, struct bytes inner)
{
    const struct transport_handlers *handlers = &link->transport->handlers;
    uint8_t kind = inner.data[0];
    struct bytes body = bytes_of(inner.data + 1, inner.size - 1);

    transport_count(link->transport, false, kind, inner.size);
    if (kind == FRAME_GOODBYE) {
        link_take_goodbye(link);
        return body.size == 0;
    }
    if (kind != FRAME_PING && kind != FRAME_PONG)
        return handlers->frame(handlers->context, worker, &link->node, kind, body);
    if (body.size != PING_SIZE)
        return false;
    if (kind == FRAME_PONG)
        link_take_pong(link, body);
    else
        link_send_own(link, FRAME_PONG, body);
    return true;
}

/* False: the link is being closed. */
static bool take_inner(struct link *link, size_t worker, struct bytes inner, uint64_t *taken)
{
    ++*taken;
    if (inner.size > 0 && hand_over(link, worker, inner))
        return true;
    pthread_mutex_lock(&link->lock);
    link->frames_refused++;
    pthread_mutex_unlock(&link->lock);
    if (++link->bad_frames < link->transport->limits.bad_frames_max)
        return true;
    return link_refuse(link, "too many frames were refused", NULL);
}

static bool take_bundle(struct link *link, size_t worker, struct bytes packed, uint64_t *taken)
{
    struct bundle_reader reader;
    enum bundle_verdict verdict;
    struct bytes inner;

    if (packed.size == 0)
        return link_refuse(link, "an empty bundle", NULL);
    bundle_open(&reader, packed);
    while ((verdict = bundle_next(&reader, &inner)) == BUNDLE_FRAME) {
        if (inner.data[0] == FRAME_BUNDLE)
            return link_refuse(link, "a bundle in a bundle", NULL);
        if (!take_inner(link, worker, inner, taken))
            return false;
    }
    return verdict == BUNDLE_END || link_refuse(link, "a bundle that is not well-formed", NULL);
}

/* False: the link is being closed. */
static bool take_sealed(struct link *link, size_t worker, uint8_t *frame, size_t size,
                        uint64_t *taken)
{
    enum session_verdict verdict;
    struct bytes inner;

    if (frame[0] != SESSION_SEALED)
        return link_refuse(link, "a frame that is not sealed", NULL);
    verdict = session_open(link->session, frame + 1, size - 1, &inner);
    if (verdict != SESSION_TAKEN)
        return link_refuse(link, session_verdict_text(verdict), session_reason(link->session));
    if (!inner.data)
        return true; /* a part */
    if (inner.size > 0 && inner.data[0] == FRAME_BUNDLE)
        return take_bundle(link, worker, bytes_of(inner.data + 1, inner.size - 1), taken);
    return take_inner(link, worker, inner, taken);
}

/* Sets the incomplete tail aside and lets the next bytes come in while the whole frames are read.
 * That pays only when more is waiting already; else whoever waits for an answer would wait for it. */
static struct framing *begin_overlap(struct link *link, bool more_waits)
{
    struct framing *whole = &link->framings[link->filling];

    if (more_waits && framing_has_frame(whole)) {
        framing_split(whole, &link->framings[!link->filling]);
        link->filling = !link->filling;
        post_receive(link);
    }
    return whole;
}

static void take_all_sealed(struct link *link, size_t worker, bool more_waits)
{
    const struct transport_handlers *handlers = &link->transport->handlers;
    struct framing *whole = begin_overlap(link, more_waits);
    enum framing_verdict verdict;
    uint64_t taken = 0;
    uint8_t *frame;
    size_t size;

    while ((verdict = framing_next(whole, &frame, &size)) == FRAMING_TAKEN)
        if (!take_sealed(link, worker, frame, size, &taken))
            break;
    if (taken > 0 && handlers->frames_end)
        handlers->frames_end(handlers->context);
    pthread_mutex_lock(&link->lock);
    link->info.frames_in += taken;
    pthread_mutex_unlock(&link->lock);
    link_flush(link);
    if (verdict == FRAMING_TOO_LONG || verdict == FRAMING_EMPTY)
        link_refuse(link, "a frame of a length that is not allowed", NULL);
    else if (verdict == FRAMING_MORE && whole == &link->framings[link->filling])
        post_receive(link);
}

static void take_frames(struct link *link, size_t worker, bool more_waits)
{
    enum framing_verdict verdict = FRAMING_MORE;
    uint8_t *frame;
    size_t size;

    while (link->state == LINK_SHAKING) {
        verdict = framing_next(&link->framings[link->filling], &frame, &size);
        if (verdict != FRAMING_TAKEN)
            break;
        if (!link_shake(link, frame, size))
            return;
    }
    if (link->state == LINK_UP) {
        take_all_sealed(link, worker, more_waits);
        return;
    }
    link_flush(link);
    if (verdict == FRAMING_MORE)
        post_receive(link);
    else
        link_refuse(link, "a frame of a length that is not allowed", NULL);
}

/* ---- the worker ---- */

static void link_end(struct link *link)
{
    struct transport *transport = link->transport;
    const struct transport_link_info *info = &link->info;

    link_leave_pending(link);
    if (link->is_registered)
        peers_dismiss(link);
    else
        transport_log(transport, LOG_DEBUG, "no link with %s: %s", link->address, link->reason);
    if (link->dial)
        dial_end(link->dial, link->reason);
    link->dial = NULL;

    pthread_mutex_lock(&transport->lock);
    transport->past.frames_in += info->frames_in;
    transport->past.frames_out += info->frames_out;
    transport->past.bytes_in += info->bytes_in;
    transport->past.bytes_out += info->bytes_out;
    transport->past.frames_refused += link->frames_refused;
    transport->past.sends_refused += link->sends_refused;
    transport->past.links_closed += link->is_registered;
    transport->past.handshakes_failed += !link->is_registered;
    transport_unlist(transport, link);
    pthread_mutex_unlock(&transport->lock);
    link_drop(link);
}

static void link_run(struct work *work, size_t worker)
{
    struct link *link = (struct link *)work;
    bool over, tidies;
    size_t arrived;

    pthread_mutex_lock(&link->lock);
    arrived = link->arrived;
    link->arrived = 0;
    tidies = link->tidies;
    link->tidies = false;
    pthread_mutex_unlock(&link->lock);

    if (arrived) {
        uint64_t now_ms = clock_now_ms();
        bool more_waits = arrived == link->room;

        adapt_receive_size(link, arrived, now_ms);
        framing_fill(&link->framings[link->filling], arrived, now_ms);
        take_frames(link, worker, more_waits);
    }
    if (tidies)
        framing_rest(&link->framings[!link->filling]);

    pthread_mutex_lock(&link->lock);
    over = link->closing && !link->receiving && !link->writing && !link->arrived && !link->ended;
    link->ended = link->ended || over;
    pthread_mutex_unlock(&link->lock);
    if (over)
        link_end(link);
}

/* ---- birth ---- */

static bool write_address(const nng_sockaddr *address, char text[ADDRESS_TEXT_SIZE])
{
    char host[INET6_ADDRSTRLEN];

    if (address->s_family == NNG_AF_INET &&
        inet_ntop(AF_INET, &address->s_in.sa_addr, host, sizeof host))
        snprintf(text, ADDRESS_TEXT_SIZE, "%s:%u", host, ntohs(address->s_in.sa_port));
    else if (address->s_family == NNG_AF_INET6 &&
             inet_ntop(AF_INET6, address->s_in6.sa_addr, host, sizeof host))
        snprintf(text, ADDRESS_TEXT_SIZE, "[%s]:%u", host, ntohs(address->s_in6.sa_port));
    else
        return false;
    return true;
}

static void set_address(struct link *link, const struct dial *dial)
{
    nng_sockaddr address;

    if (nng_stream_get_addr(link->stream, NNG_OPT_REMADDR, &address) == 0 &&
        write_address(&address, link->address))
        return;
    if (dial)
        snprintf(link->address, sizeof link->address, "%s", dial->numeric[dial->numeric_next]);
}

bool link_begin(struct transport *transport, nng_stream *stream, struct dial *dial,
                const struct admission_place *place)
{
    struct link *link = memory_take(sizeof *link);
    bool begun;

    work_init(&link->work, link_run, work_rests);
    link->transport = transport;
    atomic_init(&link->references, 1);
    link->stream = stream;
    link->place = *place;
    link->dialled_here = dial != NULL;
    link->began_ms = link->heard_ms = link->received_ms = clock_now_ms();
    pthread_mutex_init(&link->lock, NULL);
    framing_init(&link->framings[0], 1 + transport->limits.frame_handshake_max);
    framing_init(&link->framings[1], 1 + transport->limits.frame_handshake_max);
    set_receive_size(link, RECEIVE_SMALL);
    link->credentials = credentials_hold(transport);
    set_address(link, dial);
    begun = link->credentials && nng_aio_alloc(&link->receive, on_received, link) == 0 &&
            nng_aio_alloc(&link->send, link_on_sent, link) == 0 &&
            nng_aio_alloc(&link->try_send, NULL, NULL) == 0;
    if (begun && dial)
        link_begin_as_caller(link, dial);
    link->dial = dial;
    begun = begun && transport_list(transport, link);
    if (begun) {
        link_flush(link);
        post_receive(link);
    }
    link_drop(link);
    return begun;
}
