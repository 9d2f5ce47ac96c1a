#include "transport_parts.h"

#include "clock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#define SLOW_SWEEP_MAX_MS 1000u /* nothing is under way but links that are up */
#define OUTBOUND_SHARE 8u       /* of links_max, one in so many is kept for those we dial */
#define CLOSE_LOOK_MS 5ull

void transport_limits_default(struct transport_limits *limits)
{
    *limits = (struct transport_limits){
        .links_max = 5000,
        .handshakes_pending_max = 128,
        .per_address_max = 32,
        .per_prefix_max = 128,
        .accepts_per_s = 20,
        .accepts_burst = 40,
        .handshakes_per_s = 500,
        .dials_max = 16,
        .frame_handshake_max = SESSION_HANDSHAKE_MAX,
        .frame_max = SESSION_SEALED_MAX,
        .send_queue_max = MIB,
        .receive_queue_max = 512 * KIB,
        .handshake_ms = 5000,
        .frame_ms = 15000,
        .ping_ms = 20000,
        .write_stall_ms = 30000,
        .dial_ms = 5000,
        .sweep_ms = 200,
        .bad_frames_max = 3,
        .session_ms = SESSION_LIFE_MS,
    };
}

void transport_log(const struct transport *transport, enum log_level level, const char *format, ...)
{
    const struct transport_handlers *handlers = &transport->handlers;
    char text[256];
    va_list arguments;

    if (!handlers->log)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    handlers->log(handlers->context, level, text);
}

/* ---- credentials ---- */

static struct credentials *credentials_new(const struct noise_pair *pair, struct bytes introduction)
{
    struct credentials *credentials = memory_take(sizeof *credentials + introduction.size);

    atomic_init(&credentials->references, 1);
    credentials->pair = *pair;
    credentials->size = introduction.size;
    if (introduction.size > 0)
        memcpy(credentials->introduction, introduction.data, introduction.size);
    return credentials;
}

struct credentials *credentials_hold(struct transport *transport)
{
    struct credentials *credentials = NULL;

    pthread_mutex_lock(&transport->lock);
    if (transport->credentials->size > 0) {
        credentials = transport->credentials;
        atomic_fetch_add(&credentials->references, 1);
    }
    pthread_mutex_unlock(&transport->lock);
    return credentials;
}

void credentials_drop(struct credentials *credentials)
{
    if (!credentials || atomic_fetch_sub(&credentials->references, 1) != 1)
        return;
    sodium_memzero(&credentials->pair, sizeof credentials->pair);
    memory_give_back(credentials);
}

static void replace_credentials(struct transport *transport, const struct noise_pair *pair,
                                struct bytes introduction)
{
    struct credentials *old;

    pthread_mutex_lock(&transport->lock);
    old = transport->credentials;
    transport->credentials = credentials_new(pair ? pair : &old->pair, introduction);
    pthread_mutex_unlock(&transport->lock);
    credentials_drop(old);
}

/* ---- all links ---- */

void transport_stir(struct transport *transport)
{
    if (transport->sweep_idles)
        pthread_cond_signal(&transport->stir);
}

static void list_pending(struct transport *transport, struct link *link)
{
    link->pending_before = transport->pending_last;
    if (link->pending_before)
        link->pending_before->pending_after = link;
    else
        transport->pending_first = link;
    transport->pending_last = link;
    transport->pending_count++;
    link->is_pending = true;
}

void transport_leave_pending(struct transport *transport, struct link *link)
{
    if (!link->is_pending)
        return;
    if (link->pending_before)
        link->pending_before->pending_after = link->pending_after;
    else
        transport->pending_first = link->pending_after;
    if (link->pending_after)
        link->pending_after->pending_before = link->pending_before;
    else
        transport->pending_last = link->pending_before;
    transport->pending_count--;
    link->is_pending = false;
}

bool transport_list(struct transport *transport, struct link *link)
{
    bool open;

    pthread_mutex_lock(&transport->lock);
    open = !transport->closing;
    if (open) {
        link_hold(link);
        link->after = transport->links;
        if (link->after)
            link->after->before = link;
        transport->links = link;
        link->is_listed = true;
        if (!link->dialled_here)
            list_pending(transport, link);
        transport_stir(transport);
    }
    pthread_mutex_unlock(&transport->lock);
    return open;
}

void transport_unlist(struct transport *transport, struct link *link)
{
    assert(link->is_listed);
    if (link->before)
        link->before->after = link->after;
    else
        transport->links = link->after;
    if (link->after)
        link->after->before = link->before;
    link->is_listed = false;
}

/* ---- listening ---- */

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

static void accept_next(struct listener *listener)
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
        accept_next(listener);
}

static int listen_on(struct transport *transport, const char *text)
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

uint16_t transport_port(const struct transport *transport, size_t listener)
{
    return listener < transport->listener_count ? transport->listeners[listener].port : 0;
}

void transport_introduce(struct transport *transport, struct bytes introduction)
{
    assert(introduction.size > 0);
    replace_credentials(transport, NULL, introduction);
    pthread_mutex_lock(&transport->lock);
    transport->accepts = true;
    pthread_mutex_unlock(&transport->lock);
    for (size_t i = 0; i < transport->listener_count; i++)
        accept_next(&transport->listeners[i]);
}

void transport_set_static(struct transport *transport, const struct noise_pair *pair,
                          struct bytes introduction)
{
    assert(introduction.size > 0);
    replace_credentials(transport, pair, introduction);
}

/* ---- the sweep: all deadlines ---- */

struct round {
    struct link **links;
    struct dial **dials;
    size_t link_count, dial_count, link_capacity, dial_capacity;
    bool resumes[NODE_ADDRESSES_MAX];
    bool busy;
};

/* Under the lock. Holds everything, so that the round itself needs no lock. */
static void begin_round(struct transport *transport, struct round *round, uint64_t now_ms)
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
            accept_next(&transport->listeners[i]);
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

        begin_round(transport, &round, now_ms);
        pthread_mutex_unlock(&transport->lock);
        do_round(transport, &round, now_ms);
        pthread_mutex_lock(&transport->lock);
        wait_for_round(transport, &round);
    }
    pthread_mutex_unlock(&transport->lock);
    memory_give_back(round.links);
    memory_give_back(round.dials);
    return NULL;
}

/* ---- birth ---- */

/* Each link needs a descriptor; the store, the local API and the log need some as well. */
static void fit_to_descriptors(struct transport_limits *limits)
{
    struct rlimit descriptors;

    if (getrlimit(RLIMIT_NOFILE, &descriptors) || descriptors.rlim_cur == RLIM_INFINITY)
        return;
    if (descriptors.rlim_cur < limits->links_max + DESCRIPTORS_RESERVED)
        limits->links_max = descriptors.rlim_cur > 2 * DESCRIPTORS_RESERVED
                                ? (uint32_t)descriptors.rlim_cur - DESCRIPTORS_RESERVED
                                : DESCRIPTORS_RESERVED;
}

static struct transport *transport_new(const struct transport_settings *settings)
{
    struct transport *transport = memory_take(sizeof *transport);
    pthread_condattr_t steady;

    assert(settings->network.size <= NETWORK_ID_MAX);
    assert(settings->limits.handshakes_pending_max > 0 && settings->limits.receive_queue_max > 0);
    assert(settings->listen_count <= NODE_ADDRESSES_MAX);
    transport->limits = settings->limits;
    fit_to_descriptors(&transport->limits);
    transport->handlers = settings->handlers;
    transport->self = settings->self;
    transport->network_size = settings->network.size;
    memcpy(transport->network, settings->network.data, settings->network.size);
    transport->credentials = credentials_new(&settings->static_pair, bytes_of(NULL, 0));
    transport->admission = admission_new(&(struct admission_limits){
        .per_address_max = settings->limits.per_address_max,
        .per_prefix_max = settings->limits.per_prefix_max,
        .accepts_per_s = settings->limits.accepts_per_s,
        .burst = settings->limits.accepts_burst,
        .count_loopback = settings->limits.count_loopback,
    });
    transport->resolver = resolver_new();
    randombytes_buf(transport->hash_key, sizeof transport->hash_key);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&transport->lock, NULL);
    pthread_mutex_init(&transport->dirty_lock, NULL);
    pthread_cond_init(&transport->changed, &steady);
    pthread_cond_init(&transport->stir, &steady);
    pthread_condattr_destroy(&steady);
    return transport;
}

int transport_open(struct transport **opened, const struct transport_settings *settings)
{
    struct transport *transport = transport_new(settings);
    int fault = 0;

    transport->workers = workers_new(settings->workers);
    if (!transport->workers)
        fault = FAULT_BUSY;
    for (size_t i = 0; !fault && i < settings->listen_count; i++)
        fault = listen_on(transport, settings->listen[i]);
    if (!fault) {
        transport->has_sweeper = pthread_create(&transport->sweeper, NULL, sweep, transport) == 0;
        fault = transport->has_sweeper ? 0 : FAULT_BUSY;
    }
    if (fault) {
        transport_close(transport);
        return fault;
    }
    *opened = transport;
    return 0;
}

/* ---- end ---- */

static void end_sweep(struct transport *transport)
{
    pthread_mutex_lock(&transport->lock);
    transport->sweep_ends = true;
    pthread_cond_signal(&transport->stir);
    pthread_mutex_unlock(&transport->lock);
    if (transport->has_sweeper)
        pthread_join(transport->sweeper, NULL);
}

/* Under the lock, which is free meanwhile. */
static void wait_a_little(struct transport *transport)
{
    uint64_t until_ms = clock_now_ms() + CLOSE_LOOK_MS;
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};

    pthread_cond_timedwait(&transport->changed, &transport->lock, &until);
}

/* Under the lock. */
static bool has_undrained(struct transport *transport)
{
    bool undrained = false;

    for (struct link *link = transport->links; link && !undrained; link = link->after) {
        pthread_mutex_lock(&link->lock);
        undrained = link->state == LINK_UP && !link->closing && !link->drained;
        pthread_mutex_unlock(&link->lock);
    }
    return undrained;
}

/* That the kernel took the last bytes is not enough: a stream that is closed while bytes of the
 * other end wait unread is reset, and nng then throws away what had arrived there. So each link
 * ends with a ping, and closes when the pong says that all was handled. */
static void drain_everything(struct transport *transport)
{
    uint64_t until_ms = clock_now_ms() + CLOSE_FLUSH_MS;
    struct round round = {.links = NULL};

    pthread_mutex_lock(&transport->lock);
    begin_round(transport, &round, 0);
    pthread_mutex_unlock(&transport->lock);
    for (size_t i = 0; i < round.link_count; i++) {
        link_send_last_ping(round.links[i]);
        link_drop(round.links[i]);
    }
    for (size_t i = 0; i < round.dial_count; i++)
        dial_drop(round.dials[i]);
    memory_give_back(round.links);
    memory_give_back(round.dials);
    pthread_mutex_lock(&transport->lock);
    while (clock_now_ms() < until_ms && has_undrained(transport))
        wait_a_little(transport);
    pthread_mutex_unlock(&transport->lock);
}

static void close_everything(struct transport *transport)
{
    struct round round = {.links = NULL};

    pthread_mutex_lock(&transport->lock);
    begin_round(transport, &round, 0);
    pthread_mutex_unlock(&transport->lock);
    for (size_t i = 0; i < round.link_count; i++) {
        link_close(round.links[i], "this node closes");
        link_drop(round.links[i]);
    }
    for (size_t i = 0; i < round.dial_count; i++) {
        dial_close(round.dials[i], "this node closes");
        dial_drop(round.dials[i]);
    }
    memory_give_back(round.links);
    memory_give_back(round.dials);
}

/* Under the lock. */
static bool is_alive(const struct transport *transport)
{
    bool accepting = false;

    for (size_t i = 0; i < transport->listener_count; i++)
        accepting = accepting || transport->listeners[i].accepting;
    return accepting || transport->links_alive > 0 || transport->dials_alive > 0;
}

static void end_everything(struct transport *transport)
{
    pthread_mutex_lock(&transport->lock);
    transport->closing = true;
    pthread_mutex_unlock(&transport->lock);
    for (size_t i = 0; i < transport->listener_count; i++)
        if (transport->listeners[i].listener)
            nng_stream_listener_close(transport->listeners[i].listener);
    end_sweep(transport);
    drain_everything(transport);
    pthread_mutex_lock(&transport->lock);
    while (is_alive(transport)) {
        pthread_mutex_unlock(&transport->lock);
        close_everything(transport); /* again: a dial may just have become a link */
        transport_flush(transport);  /* lets go of links that were listed to be flushed */
        pthread_mutex_lock(&transport->lock);
        if (is_alive(transport))
            wait_a_little(transport);
    }
    pthread_mutex_unlock(&transport->lock);
}

void transport_close(struct transport *transport)
{
    if (!transport)
        return;
    end_everything(transport);
    workers_free(transport->workers);
    resolver_leave(transport->resolver);
    for (size_t i = 0; i < transport->listener_count; i++) {
        if (transport->listeners[i].aio)
            nng_aio_free(transport->listeners[i].aio);
        if (transport->listeners[i].listener)
            nng_stream_listener_free(transport->listeners[i].listener);
    }
    peers_free(transport);
    credentials_drop(transport->credentials);
    admission_free(transport->admission);
    pthread_cond_destroy(&transport->stir);
    pthread_cond_destroy(&transport->changed);
    pthread_mutex_destroy(&transport->dirty_lock);
    pthread_mutex_destroy(&transport->lock);
    sodium_memzero(transport, sizeof *transport);
    memory_give_back(transport);
}

/* ---- what callers see ---- */

int transport_dial(struct transport *transport, struct bytes address, const struct id *node,
                   const uint8_t *session_key)
{
    return dial_begin(transport, address, node, session_key, false);
}

int transport_send(struct transport *transport, const struct id *node, uint8_t kind,
                   struct bytes body)
{
    struct link *link;
    int fault;

    if (body.size + 1 > SESSION_INNER_MAX)
        return FAULT_TOO_LARGE;
    /* Between finding the link and sealing it may be replaced: then there is another, or soon none. */
    for (int tries = 0; tries < 3; tries++) {
        link = peers_hold_current(transport, node);
        if (!link)
            return FAULT_CLOSED;
        fault = link_send(link, kind, body);
        link_drop(link);
        if (fault != FAULT_CLOSED)
            return fault;
    }
    return FAULT_CLOSED;
}

/* Takes the list of links that have something to send. */
static struct link *take_dirty(struct transport *transport)
{
    struct link *dirty;

    pthread_mutex_lock(&transport->dirty_lock);
    dirty = transport->dirty;
    transport->dirty = NULL;
    pthread_mutex_unlock(&transport->dirty_lock);
    return dirty;
}

void transport_flush(struct transport *transport)
{
    struct link *dirty = take_dirty(transport), *next;

    for (; dirty; dirty = next) {
        next = dirty->next_dirty; /* first: then the link may be listed anew */
        pthread_mutex_lock(&dirty->lock);
        dirty->dirty = false;
        pthread_mutex_unlock(&dirty->lock);
        link_flush(dirty);
        link_drop(dirty);
    }
}

bool transport_has_link(struct transport *transport, const struct id *node)
{
    struct link *link = peers_hold_current(transport, node);

    if (link)
        link_drop(link);
    return link != NULL;
}

static void read_info(struct link *link, struct transport_link_info *info)
{
    pthread_mutex_lock(&link->lock);
    *info = link->info;
    pthread_mutex_unlock(&link->lock);
    snprintf(info->address, sizeof info->address, "%s", link->address);
}

size_t transport_links(struct transport *transport, struct transport_link_info *infos, size_t max)
{
    size_t count = 0;

    pthread_mutex_lock(&transport->lock);
    for (size_t i = 0; i < PEER_BUCKETS; i++)
        for (struct peer *peer = transport->peers[i]; peer && count < max; peer = peer->next)
            if (peer->current)
                read_info(peer->current, &infos[count++]);
    pthread_mutex_unlock(&transport->lock);
    return count;
}

void transport_figures(struct transport *transport, struct transport_figures *figures)
{
    pthread_mutex_lock(&transport->lock);
    *figures = transport->past;
    for (struct link *link = transport->links; link; link = link->after) {
        pthread_mutex_lock(&link->lock);
        figures->frames_in += link->info.frames_in;
        figures->frames_out += link->info.frames_out;
        figures->bytes_in += link->info.bytes_in;
        figures->bytes_out += link->info.bytes_out;
        figures->frames_refused += link->frames_refused;
        figures->sends_refused += link->sends_refused;
        pthread_mutex_unlock(&link->lock);
    }
    for (size_t i = 0; i < PEER_BUCKETS; i++)
        for (struct peer *peer = transport->peers[i]; peer; peer = peer->next)
            figures->links_up += peer->current != NULL;
    figures->handshakes_pending = transport->pending_count;
    pthread_mutex_unlock(&transport->lock);
}
