/* One connection, from its first byte to its last.
 *
 * Bytes come in: nng's callback notes how many and gives the link to a worker, which reads the whole
 * frames and posts the next receive; under load it posts first, so that one chunk comes in while
 * one is worked on, and never more. A worker that is held up by its handler stops the reading.
 *
 * Frames go out: sealed by whoever sends, under the link's lock, one after the other into blocks.
 * One write is in flight; what is sealed meanwhile leaves with the next. */
#include "transport_parts.h"

#include "clock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <sodium.h>
#include <stdio.h>

#define PING_SIZE 8u
#define SEALED_OVERHEAD (FRAMING_LENGTH_SIZE + 1u + 1u + NOISE_TAG_SIZE) /* of one part */

/* ---- life ---- */

void link_hold(struct link *link)
{
    atomic_fetch_add_explicit(&link->references, 1, memory_order_relaxed);
}

static void free_blocks(struct block *block)
{
    while (block) {
        struct block *next = block->next;

        memory_give_back(block);
        block = next;
    }
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
    free_blocks(link->out);
    free_blocks(link->spare);
    pthread_mutex_destroy(&link->lock);
    memory_give_back(link);
    give_places_back(transport, accepted, &place);
}

void link_drop(struct link *link)
{
    if (atomic_fetch_sub_explicit(&link->references, 1, memory_order_acq_rel) == 1)
        link_free(link);
}

static void schedule(struct link *link)
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
    schedule(link);
}

static const char *result_text(int result)
{
    if (result == NNG_ECLOSED || result == NNG_ECONNSHUT || result == NNG_ECONNRESET)
        return "closed by the other end";
    return nng_strerror(result);
}

/* ---- writing ---- */

struct write {
    nng_iov slices[BLOCKS_PER_WRITE];
    unsigned count;
};

/* Under the lock. True: the caller lets it go, without the lock. */
static bool begin_write(struct link *link, struct write *write)
{
    if (link->writing || link->closing || link->out_bytes == 0)
        return false;
    write->count = 0;
    for (struct block *block = link->out; block && write->count < BLOCKS_PER_WRITE;
         block = block->next) {
        write->slices[write->count].iov_buf = block->data + block->sent;
        write->slices[write->count++].iov_len = block->size - block->sent;
    }
    link->writing = true;
    link->wrote_ms = clock_now_ms();
    link_hold(link);
    return true;
}

/* An operation that is begun on a closed stream of nng 1.5.2 never ends. The lock is not held while
 * one begins, so the stream may have been closed just before: look again, and take it back. */
static void take_back_when_closed(struct link *link, nng_aio *operation)
{
    bool closing;

    pthread_mutex_lock(&link->lock);
    closing = link->closing;
    pthread_mutex_unlock(&link->lock);
    if (closing)
        nng_aio_cancel(operation);
}

static void keep_spare(struct link *link, struct block *block)
{
    block->sent = block->size = 0;
    block->next = NULL;
    if (link->spare && link->spare->capacity >= block->capacity) {
        memory_give_back(block);
        return;
    }
    memory_give_back(link->spare);
    link->spare = block;
}

static void consume(struct link *link, size_t size)
{
    assert(size <= link->out_bytes);
    link->out_bytes -= size;
    link->info.bytes_out += size;
    while (size > 0) {
        struct block *block = link->out;
        size_t part;

        assert(block); /* out_bytes counts what is in the blocks */
        part = block->size - block->sent < size ? block->size - block->sent : size;
        block->sent += part;
        size -= part;
        if (block->sent < block->size)
            break;
        link->out = block->next;
        if (!link->out)
            link->out_last = NULL;
        keep_spare(link, block);
    }
}

/* Nearly every write is taken by the kernel at once. Such a one should not cost the waking of one of
 * nng's threads to say so: it is tried with an operation that has no callback, and that is taken
 * back when it would have to wait. `*result` NNG_ECANCELED: nothing was written. */
static size_t try_write(struct link *link, const struct write *write, int *result)
{
    nng_aio_set_iov(link->try_send, write->count, write->slices);
    nng_stream_send(link->stream, link->try_send);
    nng_aio_cancel(link->try_send);
    nng_aio_wait(link->try_send);
    *result = nng_aio_result(link->try_send);
    return *result ? 0 : nng_aio_count(link->try_send);
}

/* True: the next write has begun. */
static bool end_write(struct link *link, size_t size, int result, struct write *next)
{
    bool begun, over;

    if (result)
        link_close(link, result_text(result));
    pthread_mutex_lock(&link->lock);
    link->writing = false;
    consume(link, size);
    begun = begin_write(link, next);
    over = link->closing;
    pthread_mutex_unlock(&link->lock);
    if (over)
        schedule(link); /* the worker may have waited for this only */
    return begun;
}

/* Each write that was begun holds the link. */
static void let_go(struct link *link, struct write *write)
{
    bool more = true;

    while (more) {
        int result;
        size_t size = try_write(link, write, &result);

        if (result == NNG_ECANCELED) {
            nng_aio_set_iov(link->send, write->count, write->slices);
            nng_stream_send(link->stream, link->send);
            take_back_when_closed(link, link->send);
            return; /* on_sent goes on */
        }
        more = end_write(link, size, result, write);
        link_drop(link);
    }
}

void link_flush(struct link *link)
{
    struct write write;
    bool begun;

    pthread_mutex_lock(&link->lock);
    begun = begin_write(link, &write);
    pthread_mutex_unlock(&link->lock);
    if (begun)
        let_go(link, &write);
}

static void on_sent(void *context)
{
    struct link *link = context;
    int result = nng_aio_result(link->send);
    struct write write;

    if (end_write(link, result ? 0 : nng_aio_count(link->send), result, &write))
        let_go(link, &write);
    link_drop(link);
}

/* Under the lock: `size` contiguous bytes at the end of what goes out; they count once out_add was
 * called. */
static uint8_t *out_room(struct link *link, size_t size)
{
    struct block *block = link->out_last;
    size_t whole = size <= BLOCK_SMALL - sizeof *block && !block ? BLOCK_SMALL : BLOCK_LARGE;

    assert(size <= BLOCK_LARGE - sizeof *block);
    if (block && block->capacity - block->size >= size)
        return block->data + block->size;
    if (link->spare && link->spare->capacity >= size) {
        block = link->spare;
        link->spare = NULL;
    } else {
        block = memory_resize(NULL, whole);
        block->capacity = whole - sizeof *block;
    }
    block->next = NULL;
    block->sent = block->size = 0;
    if (link->out_last)
        link->out_last->next = block;
    else
        link->out = block;
    link->out_last = block;
    return block->data;
}

/* Under the lock: puts length and type before the `size` bytes of body that stand in the room. */
static void out_add(struct link *link, uint8_t *at, enum session_frame type, size_t size)
{
    framing_put_length(at, 1 + size);
    at[FRAMING_LENGTH_SIZE] = (uint8_t)type;
    link->out_last->size += FRAMING_LENGTH_SIZE + 1 + size;
    link->out_bytes += FRAMING_LENGTH_SIZE + 1 + size;
}

static void queue_handshake(struct link *link, const struct session_output *output)
{
    uint8_t *at;

    if (output->body.size == 0)
        return;
    pthread_mutex_lock(&link->lock);
    at = out_room(link, FRAMING_LENGTH_SIZE + 1 + output->body.size);
    memcpy(at + FRAMING_LENGTH_SIZE + 1, output->body.data, output->body.size);
    out_add(link, at, output->type, output->body.size);
    pthread_mutex_unlock(&link->lock);
}

static size_t sealed_size(struct bytes body)
{
    size_t parts = (1 + body.size + SESSION_PART_MAX - 1) / SESSION_PART_MAX;

    return 1 + body.size + parts * SEALED_OVERHEAD;
}

/* Under the lock. Each part is put where its sealed form will lie, so nothing is copied twice. */
static enum session_verdict seal(struct link *link, uint8_t kind, struct bytes body)
{
    size_t done = 0, lead = 1, taken, size;
    enum session_verdict verdict;

    do {
        bool more_follow;
        uint8_t *at, *part;

        taken = body.size - done;
        if (taken > SESSION_PART_MAX - lead)
            taken = SESSION_PART_MAX - lead;
        more_follow = done + taken < body.size;
        at = out_room(link, SEALED_OVERHEAD + lead + taken);
        part = at + FRAMING_LENGTH_SIZE + 2;
        if (lead)
            part[0] = kind;
        if (taken)
            memcpy(part + lead, body.data + done, taken);
        verdict = session_seal(link->session, bytes_of(part, lead + taken), more_follow,
                               at + FRAMING_LENGTH_SIZE + 1, &size);
        if (verdict != SESSION_TAKEN)
            return verdict;
        out_add(link, at, SESSION_SEALED, size);
        done += taken;
        lead = 0;
    } while (done < body.size);
    link->info.frames_out++;
    return SESSION_TAKEN;
}

/* Under the lock: into the list that transport_flush walks, and once only. */
static void mark_dirty(struct link *link)
{
    struct transport *transport = link->transport;

    if (link->dirty || link->writing)
        return; /* a write under way takes along what was added */
    link->dirty = true;
    link_hold(link);
    pthread_mutex_lock(&transport->dirty_lock);
    link->next_dirty = transport->dirty;
    transport->dirty = link;
    pthread_mutex_unlock(&transport->dirty_lock);
}

/* `own`: pings and pongs, which pass on a link that was replaced, too. */
static int queue_frame(struct link *link, uint8_t kind, struct bytes body, bool own)
{
    enum session_verdict verdict = SESSION_TAKEN;
    size_t size = sealed_size(body);
    struct write write;
    bool begun = false;
    int fault = 0;

    pthread_mutex_lock(&link->lock);
    if (link->closing || link->state != LINK_UP || (link->replaced && !own)) {
        fault = FAULT_CLOSED;
    } else if (link->out_bytes > 0 && kind != FRAME_PING &&
               link->out_bytes + size > link->transport->limits.send_queue_max) {
        /* Alone any frame passes: else a small queue would never carry a large one. */
        fault = FAULT_BUSY;
        link->sends_refused++;
    } else {
        verdict = seal(link, kind, body);
        if (link->out_bytes >= BLOCK_LARGE)
            begun = begin_write(link, &write);
        else if (!own)
            mark_dirty(link); /* our own are flushed by whoever asked for them */
    }
    pthread_mutex_unlock(&link->lock);
    if (begun)
        let_go(link, &write);
    if (verdict != SESSION_TAKEN) {
        link_close(link, session_verdict_text(verdict));
        fault = FAULT_CLOSED;
    }
    return fault;
}

int link_send(struct link *link, uint8_t kind, struct bytes body)
{
    return queue_frame(link, kind, body, false);
}

/* ---- pings ---- */

static void send_ping(struct link *link, bool last)
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
    queue_frame(link, FRAME_PING, bytes_of(token, sizeof token), true);
    link_flush(link);
}

void link_send_last_ping(struct link *link)
{
    send_ping(link, true);
}

static void take_pong(struct link *link, struct bytes body)
{
    uint64_t token, passed_us;
    bool drained = false;

    memcpy(&token, body.data, sizeof token);
    pthread_mutex_lock(&link->lock);
    if (link->ping_sent_us && token == link->ping_token) {
        passed_us = clock_now_us() - link->ping_sent_us;
        link->info.round_trip_us = passed_us < UINT32_MAX ? (uint32_t)passed_us + !passed_us : 0;
        link->ping_sent_us = 0;
        link->drained = link->last_ping_sent;
        drained = link->replaced && link->drained;
    }
    pthread_mutex_unlock(&link->lock);
    if (!link->is_confirmed) {
        link->is_confirmed = true;
        peers_confirm(link);
    }
    if (drained)
        link_close(link, "replaced by another link");
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
    take_back_when_closed(link, link->receive);
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
        link_close(link, result_text(result ? result : NNG_ECONNSHUT));
    schedule(link);
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

/* ---- handshake ---- */

static bool refuse(struct link *link, const char *what, const char *why)
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
        .static_pair = link->credentials->pair,
        .introduction = bytes_of(link->credentials->introduction, link->credentials->size),
    };
}

static void begin_as_caller(struct link *link, const struct dial *dial)
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
    queue_handshake(link, &output);
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

static void leave_pending(struct link *link)
{
    struct transport *transport = link->transport;

    pthread_mutex_lock(&transport->lock);
    transport_leave_pending(transport, link);
    pthread_mutex_unlock(&transport->lock);
}

static void come_up(struct link *link)
{
    const struct introduction *peer = session_peer(link->session);
    struct dial *dial = link->dial;
    bool told;

    if (peer && link->dialled_here) {
        memcpy(link->callee_key, peer->content.session_key, sizeof link->callee_key);
        link->callee_key_known = true;
    }
    leave_pending(link);
    link->framings[0].frame_max = link->framings[1].frame_max =
        1 + link->transport->limits.frame_max;

    pthread_mutex_lock(&link->lock);
    link->state = LINK_UP;
    link->node = session_peer_id(link->session);
    link->up_ms = link->heard_ms = clock_now_ms();
    link->info.node = link->node;
    link->info.dialled_here = link->dialled_here;
    link->info.up_wall_ms = clock_wall_ms();
    link->info.skew_ms = session_peer_skew_ms(link->session);
    pthread_mutex_unlock(&link->lock);

    told = peers_register(link, peer ? peer->wire : bytes_of(NULL, 0));
    credentials_drop(link->credentials);
    link->credentials = NULL;
    link->dial = NULL;
    if (dial)
        dial_end(dial, told || dial->is_renewal ? NULL : "the node is linked already");
    send_ping(link, false);
}

/* False: the link is being closed. */
static bool shake(struct link *link, const uint8_t *frame, size_t size)
{
    enum session_frame type = frame[0];
    struct session_output output = {.type = SESSION_FIRST};
    enum session_verdict verdict;

    if (type < SESSION_FIRST || type > SESSION_NOTICE)
        return refuse(link, "a frame before the handshake is over", NULL);
    if (type == SESSION_FIRST && !may_shake(link->transport))
        return refuse(link, "too many handshakes at this node", NULL);
    if (!link->session)
        begin_as_callee(link);
    verdict = session_receive(link->session, type, bytes_of(frame + 1, size - 1), clock_wall_ms(),
                              &output);
    switch (verdict) {
    case SESSION_TAKEN:
    case SESSION_START_AGAIN:
        queue_handshake(link, &output);
        return true;
    case SESSION_UP:
        queue_handshake(link, &output);
        come_up(link);
        return true;
    case SESSION_OUT_OF_TURN:
    case SESSION_MALFORMED:
    case SESSION_BAD_TAG:
    case SESSION_WRONG_PEER:
    case SESSION_PEER_REFUSED:
    case SESSION_TOO_LONG:
    case SESSION_WORN_OUT:
        break;
    }
    return refuse(link, session_verdict_text(verdict), session_reason(link->session));
}

/* ---- sealed frames ---- */

static bool hand_over(struct link *link, size_t worker, struct bytes inner)
{
    const struct transport_handlers *handlers = &link->transport->handlers;
    uint8_t kind = inner.data[0];
    struct bytes body = bytes_of(inner.data + 1, inner.size - 1);

    if (kind != FRAME_PING && kind != FRAME_PONG)
        return handlers->frame(handlers->context, worker, &link->node, kind, body);
    if (body.size != PING_SIZE)
        return false;
    if (kind == FRAME_PONG)
        take_pong(link, body);
    else
        queue_frame(link, FRAME_PONG, body, true);
    return true;
}

/* False: the link is being closed. */
static bool take_sealed(struct link *link, size_t worker, uint8_t *frame, size_t size,
                        uint64_t *taken)
{
    enum session_verdict verdict;
    struct bytes inner;

    if (frame[0] != SESSION_SEALED)
        return refuse(link, "a frame that is not sealed", NULL);
    verdict = session_open(link->session, frame + 1, size - 1, &inner);
    if (verdict != SESSION_TAKEN)
        return refuse(link, session_verdict_text(verdict), session_reason(link->session));
    if (!inner.data)
        return true; /* a part */
    ++*taken;
    if (inner.size > 0 && hand_over(link, worker, inner))
        return true;
    pthread_mutex_lock(&link->lock);
    link->frames_refused++;
    pthread_mutex_unlock(&link->lock);
    if (++link->bad_frames < link->transport->limits.bad_frames_max)
        return true;
    return refuse(link, "too many frames were refused", NULL);
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
    struct framing *whole = begin_overlap(link, more_waits);
    enum framing_verdict verdict;
    uint64_t taken = 0;
    uint8_t *frame;
    size_t size;

    while ((verdict = framing_next(whole, &frame, &size)) == FRAMING_TAKEN)
        if (!take_sealed(link, worker, frame, size, &taken))
            break;
    pthread_mutex_lock(&link->lock);
    link->info.frames_in += taken;
    pthread_mutex_unlock(&link->lock);
    link_flush(link);
    if (verdict == FRAMING_TOO_LONG || verdict == FRAMING_EMPTY)
        refuse(link, "a frame of a length that is not allowed", NULL);
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
        if (!shake(link, frame, size))
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
        refuse(link, "a frame of a length that is not allowed", NULL);
}

/* ---- the worker ---- */

static void link_end(struct link *link)
{
    struct transport *transport = link->transport;
    const struct transport_link_info *info = &link->info;

    leave_pending(link);
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

bool nng_address_text(const nng_sockaddr *address, char text[ADDRESS_TEXT_SIZE])
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
        nng_address_text(&address, link->address))
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
            nng_aio_alloc(&link->send, on_sent, link) == 0 &&
            nng_aio_alloc(&link->try_send, NULL, NULL) == 0;
    if (begun && dial)
        begin_as_caller(link, dial);
    link->dial = dial;
    begun = begun && transport_list(transport, link);
    if (begun) {
        link_flush(link);
        post_receive(link);
    }
    link_drop(link);
    return begun;
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
    if (link->replaced && now_ms > moved_ms + DRAIN_MS)
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
        send_ping(link, false);
    if (tidies)
        schedule(link);
    if (old && peers_renewal_is_due(link, now_ms))
        renew(link);
    return busy;
}
