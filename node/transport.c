#include "transport_parts.h"

#include "clock.h"

#include <assert.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

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
        .drain_ms = 10000,
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

/* ---- who we are, and where ---- */

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
        listener_accept(&transport->listeners[i]);
}

void transport_set_static(struct transport *transport, const struct noise_pair *pair,
                          struct bytes introduction)
{
    assert(introduction.size > 0);
    replace_credentials(transport, pair, introduction);
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
    transport->fleet = settings->fleet;
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
        fault = listener_open(transport, settings->listen[i]);
    if (!fault) {
        transport->has_sweeper = sweep_begin(transport);
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
    round_begin(transport, &round, 0);
    pthread_mutex_unlock(&transport->lock);
    for (size_t i = 0; i < round.link_count; i++) {
        link_send_own(round.links[i], FRAME_GOODBYE,
                      bytes_of(NULL, 0)); /* on purpose, not a crash */
        link_send_last_ping(round.links[i]);
        link_drop(round.links[i]);
    }
    for (size_t i = 0; i < round.dial_count; i++)
        dial_drop(round.dials[i]);
    round_free(&round);
    pthread_mutex_lock(&transport->lock);
    while (clock_now_ms() < until_ms && has_undrained(transport))
        wait_a_little(transport);
    pthread_mutex_unlock(&transport->lock);
}

static void close_everything(struct transport *transport)
{
    struct round round = {.links = NULL};

    pthread_mutex_lock(&transport->lock);
    round_begin(transport, &round, 0);
    pthread_mutex_unlock(&transport->lock);
    for (size_t i = 0; i < round.link_count; i++) {
        link_close(round.links[i], "this node closes");
        link_drop(round.links[i]);
    }
    for (size_t i = 0; i < round.dial_count; i++) {
        dial_close(round.dials[i], "this node closes");
        dial_drop(round.dials[i]);
    }
    round_free(&round);
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
    sweep_end(transport);
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

static void part_with(struct transport *transport, const struct id *node, const char *reason,
                      bool at_once)
{
    struct link *links[2];
    size_t count = peers_part_with(transport, node, reason, links);

    for (size_t i = 0; i < count; i++) {
        link_hang_up(links[i], reason);
        if (at_once)
            link_close(links[i], reason);
        link_drop(links[i]);
    }
}

void transport_hang_up(struct transport *transport, const struct id *node, const char *reason)
{
    part_with(transport, node, reason, false);
}

void transport_cut_off(struct transport *transport, const struct id *node, const char *reason)
{
    part_with(transport, node, reason, true);
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

void transport_count(struct transport *transport, bool out, uint8_t kind, size_t size)
{
    size_t at = kind < TRANSPORT_KINDS ? kind : 0;

    atomic_fetch_add_explicit(out ? &transport->out[at].frames : &transport->in[at].frames, 1,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(out ? &transport->out[at].bytes : &transport->in[at].bytes, size,
                              memory_order_relaxed);
}

static void read_kinds(struct transport *transport, struct transport_figures *figures)
{
    for (size_t i = 0; i < TRANSPORT_KINDS; i++) {
        figures->kind_frames_in[i] = atomic_load(&transport->in[i].frames);
        figures->kind_frames_out[i] = atomic_load(&transport->out[i].frames);
        figures->kind_bytes_in[i] = atomic_load(&transport->in[i].bytes);
        figures->kind_bytes_out[i] = atomic_load(&transport->out[i].bytes);
    }
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
    read_kinds(transport, figures);
}
