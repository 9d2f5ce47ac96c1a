/* From "host:port" to a connection, and on to a link.
 *
 * nng is given numbers only: its four resolver threads would wait for the slowest name server. Names
 * are looked up by threads of ours, few, that end when there is nothing to look up. One that hangs
 * in a name server is let go, and its answer is thrown away when it comes. */
#include "transport_parts.h"

#include "clock.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#define RESOLVERS_MAX 4u
#define URL_SIZE (ADDRESS_TEXT_SIZE + 8u)

/* ---- addresses ---- */

static bool read_port(struct bytes text, uint16_t *port)
{
    uint32_t number = 0;

    if (text.size == 0 || text.size > 5)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (uint32_t)(text.data[i] - '0');
    }
    if (number > UINT16_MAX)
        return false;
    *port = (uint16_t)number;
    return true;
}

static bool is_host_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '-' || byte == '_' || byte == ':';
}

/* An IPv6 address stands in brackets, as in a URL. */
int address_split(struct bytes address, char host[ADDRESS_MAX + 1], uint16_t *port)
{
    size_t colon = address.size;
    struct bytes name;

    while (colon > 0 && address.data[colon - 1] != ':')
        colon--;
    if (address.size > ADDRESS_MAX || colon < 2 ||
        !read_port(bytes_of(address.data + colon, address.size - colon), port))
        return FAULT_ADDRESS;
    name = bytes_of(address.data, colon - 1);
    if (name.data[0] == '[' && name.size > 2 && name.data[name.size - 1] == ']')
        name = bytes_of(name.data + 1, name.size - 2);
    else if (memchr(name.data, ':', name.size))
        return FAULT_ADDRESS;
    for (size_t i = 0; i < name.size; i++)
        if (!is_host_byte(name.data[i]))
            return FAULT_ADDRESS;
    memcpy(host, name.data, name.size);
    host[name.size] = 0;
    return 0;
}

static bool write_numeric(const char *host, uint16_t port, char text[ADDRESS_TEXT_SIZE])
{
    uint8_t scratch[16];

    if (inet_pton(AF_INET, host, scratch) == 1)
        snprintf(text, ADDRESS_TEXT_SIZE, "%.45s:%u", host, port);
    else if (inet_pton(AF_INET6, host, scratch) == 1)
        snprintf(text, ADDRESS_TEXT_SIZE, "[%.45s]:%u", host, port);
    else
        return false;
    return true;
}

size_t address_resolve(const char *host, uint16_t port, bool to_listen,
                       char numeric[DIAL_ADDRESSES_MAX][ADDRESS_TEXT_SIZE])
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = to_listen ? AI_PASSIVE : AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    char text[INET6_ADDRSTRLEN];
    size_t count = 0;

    if (write_numeric(host, port, numeric[0]))
        return 1;
    if (getaddrinfo(host, NULL, &hints, &found))
        return 0;
    for (struct addrinfo *at = found; at && count < DIAL_ADDRESSES_MAX; at = at->ai_next)
        if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) ==
                0 &&
            write_numeric(text, port, numeric[count]))
            count++;
    freeaddrinfo(found);
    return count;
}

/* ---- looking names up ---- */

struct lookup {
    struct lookup *next;
    struct dial *dial; /* NULL: nobody waits for it any more */
    char host[ADDRESS_MAX + 1];
    uint16_t port;
};

struct resolver {
    pthread_mutex_t lock;
    struct lookup *first, **end;
    size_t threads;
    bool left; /* the last thread frees it */
};

struct resolver *resolver_new(void)
{
    struct resolver *resolver = memory_take(sizeof *resolver);

    pthread_mutex_init(&resolver->lock, NULL);
    resolver->end = &resolver->first;
    return resolver;
}

static void resolver_free(struct resolver *resolver)
{
    pthread_mutex_destroy(&resolver->lock);
    memory_give_back(resolver);
}

void resolver_leave(struct resolver *resolver)
{
    bool last;

    if (!resolver)
        return;
    pthread_mutex_lock(&resolver->lock);
    resolver->left = true;
    last = resolver->threads == 0;
    pthread_mutex_unlock(&resolver->lock);
    if (last)
        resolver_free(resolver);
}

static void schedule(struct dial *dial)
{
    dial_hold(dial);
    if (!workers_give(dial->transport->workers, &dial->work))
        dial_drop(dial);
}

static void take_addresses(struct dial *dial, char numeric[DIAL_ADDRESSES_MAX][ADDRESS_TEXT_SIZE],
                           size_t count)
{
    pthread_mutex_lock(&dial->lock);
    memcpy(dial->numeric, numeric, sizeof dial->numeric);
    dial->numeric_count = count;
    dial->came = true;
    pthread_mutex_unlock(&dial->lock);
    schedule(dial);
}

/* Under the resolver's lock. */
static void deliver(struct lookup *lookup, char numeric[DIAL_ADDRESSES_MAX][ADDRESS_TEXT_SIZE],
                    size_t count)
{
    struct dial *dial = lookup->dial;

    if (!dial)
        return;
    dial->lookup = NULL;
    dial_hold(dial); /* the transport, too, lives until we are done */
    take_addresses(dial, numeric, count);
    dial_drop(dial);
}

static void *look_up(void *context)
{
    char numeric[DIAL_ADDRESSES_MAX][ADDRESS_TEXT_SIZE] = {{0}};
    struct resolver *resolver = context;
    struct lookup *lookup;
    bool last;

    pthread_mutex_lock(&resolver->lock);
    while ((lookup = resolver->first)) {
        size_t count = 0;

        resolver->first = lookup->next;
        if (!resolver->first)
            resolver->end = &resolver->first;
        if (lookup->dial) {
            pthread_mutex_unlock(&resolver->lock);
            count = address_resolve(lookup->host, lookup->port, false, numeric);
            pthread_mutex_lock(&resolver->lock);
        }
        deliver(lookup, numeric, count);
        memory_give_back(lookup);
    }
    resolver->threads--;
    last = resolver->left && resolver->threads == 0;
    pthread_mutex_unlock(&resolver->lock);
    if (last)
        resolver_free(resolver);
    return NULL;
}

static bool start_thread(struct resolver *resolver)
{
    pthread_attr_t detached;
    pthread_t thread;
    int failed;

    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    failed = pthread_create(&thread, &detached, look_up, resolver);
    pthread_attr_destroy(&detached);
    return !failed;
}

static void begin_lookup(struct dial *dial, const char *host)
{
    struct resolver *resolver = dial->transport->resolver;
    struct lookup *lookup = memory_take(sizeof *lookup);
    bool served = true;

    snprintf(lookup->host, sizeof lookup->host, "%s", host);
    lookup->port = dial->port;
    lookup->dial = dial;
    pthread_mutex_lock(&resolver->lock);
    dial->lookup = lookup;
    *resolver->end = lookup;
    resolver->end = &lookup->next;
    if (resolver->threads < RESOLVERS_MAX) {
        resolver->threads++;
        if (!start_thread(resolver)) {
            resolver->threads--;
            served = resolver->threads > 0;
        }
    }
    pthread_mutex_unlock(&resolver->lock);
    if (!served)
        dial_close(dial, "no thread to look the name up");
}

/* A lookup that was not begun stays in the queue, empty, until a thread comes by. */
static void abandon_lookup(struct dial *dial)
{
    struct resolver *resolver = dial->transport->resolver;

    pthread_mutex_lock(&resolver->lock);
    if (dial->lookup)
        dial->lookup->dial = NULL;
    dial->lookup = NULL;
    pthread_mutex_unlock(&resolver->lock);
}

/* ---- life of a dial ---- */

void dial_hold(struct dial *dial)
{
    atomic_fetch_add_explicit(&dial->references, 1, memory_order_relaxed);
}

static void free_dialer(struct dial *dial)
{
    nng_stream_dialer *dialer;

    pthread_mutex_lock(&dial->lock);
    dialer = dial->dialer;
    dial->dialer = NULL;
    pthread_mutex_unlock(&dial->lock);
    if (dialer)
        nng_stream_dialer_free(dialer);
}

static void dial_free(struct dial *dial)
{
    struct transport *transport = dial->transport;

    free_dialer(dial);
    if (dial->aio)
        nng_aio_reap(dial->aio);
    pthread_mutex_destroy(&dial->lock);
    memory_give_back(dial);
    pthread_mutex_lock(&transport->lock);
    transport->dials_alive--;
    pthread_cond_broadcast(&transport->changed);
    pthread_mutex_unlock(&transport->lock);
}

void dial_drop(struct dial *dial)
{
    if (atomic_fetch_sub_explicit(&dial->references, 1, memory_order_acq_rel) == 1)
        dial_free(dial);
}

static void work_rests(struct work *work)
{
    dial_drop((struct dial *)work);
}

static void on_connected(void *context)
{
    struct dial *dial = context;

    pthread_mutex_lock(&dial->lock);
    dial->came = true;
    dial->result = nng_aio_result(dial->aio);
    pthread_mutex_unlock(&dial->lock);
    schedule(dial);
    dial_drop(dial);
}

void dial_end(struct dial *dial, const char *reason)
{
    struct transport *transport = dial->transport;
    const struct transport_handlers *handlers = &transport->handlers;

    pthread_mutex_lock(&dial->lock);
    dial->state = DIAL_OVER;
    pthread_mutex_unlock(&dial->lock);

    pthread_mutex_lock(&transport->lock);
    if (dial->before)
        dial->before->after = dial->after;
    else
        transport->dials = dial->after;
    if (dial->after)
        dial->after->before = dial->before;
    if (!dial->is_renewal)
        transport->dial_count--;
    transport->past.dials_failed += reason != NULL;
    pthread_mutex_unlock(&transport->lock);

    if (dial->is_renewal && reason)
        peers_renewal_ended(transport, &dial->node);
    if (!dial->is_renewal && reason)
        handlers->dial_failed(handlers->context, &dial->node, bytes_of_text(dial->address), reason);
    dial_drop(dial);
}

void dial_close(struct dial *dial, const char *reason)
{
    bool open;

    pthread_mutex_lock(&dial->lock);
    open = !dial->closing && (dial->state == DIAL_RESOLVING || dial->state == DIAL_CONNECTING);
    if (open) {
        dial->closing = true;
        dial->reason = reason;
        if (dial->dialer)
            nng_stream_dialer_close(dial->dialer); /* its callback comes on another thread */
    }
    pthread_mutex_unlock(&dial->lock);
    if (open)
        schedule(dial);
}

void dial_sweep(struct dial *dial, uint64_t now_ms)
{
    if (now_ms > dial->deadline_ms)
        dial_close(dial, "no connection in time");
}

/* ---- connecting ---- */

/* False: this address cannot be tried. */
static bool connect_to(struct dial *dial, size_t index)
{
    nng_stream_dialer *dialer = NULL;
    char url[URL_SIZE];

    snprintf(url, sizeof url, "tcp://%s", dial->numeric[index]);
    if (!dial->aio && nng_aio_alloc(&dial->aio, on_connected, dial))
        return false;
    free_dialer(dial); /* of the address before */
    if (nng_stream_dialer_alloc(&dialer, url))
        return false;
    pthread_mutex_lock(&dial->lock);
    dial->dialer = dialer;
    dial->numeric_next = index;
    dial->came = false;
    dial->state = DIAL_CONNECTING;
    if (dial->closing)
        nng_stream_dialer_close(dialer); /* whoever closed the dial saw no dialer yet */
    pthread_mutex_unlock(&dial->lock);
    dial_hold(dial);
    nng_stream_dialer_dial(dialer, dial->aio);
    return true;
}

static void connect_from(struct dial *dial, size_t index, const char *reason)
{
    while (index < dial->numeric_count)
        if (connect_to(dial, index))
            return;
        else
            index++;
    dial_end(dial, reason);
}

static void hand_to_link(struct dial *dial)
{
    struct transport *transport = dial->transport;
    struct admission_place place = {.counted = false};
    nng_stream *stream = nng_aio_get_output(dial->aio, 0);

    pthread_mutex_lock(&dial->lock);
    dial->state = DIAL_SHAKING;
    pthread_mutex_unlock(&dial->lock);
    free_dialer(dial);
    pthread_mutex_lock(&transport->lock);
    transport->links_alive++;
    pthread_mutex_unlock(&transport->lock);
    if (!link_begin(transport, stream, dial, &place))
        dial_end(dial, "closing, or out of memory");
}

static void dial_run(struct work *work, size_t worker)
{
    struct dial *dial = (struct dial *)work;
    bool closing, came;
    enum dial_state state;
    const char *reason;
    int result;

    (void)worker;
    pthread_mutex_lock(&dial->lock);
    closing = dial->closing;
    came = dial->came;
    state = dial->state;
    reason = dial->reason;
    result = dial->result;
    pthread_mutex_unlock(&dial->lock);

    if (state == DIAL_RESOLVING && closing) {
        abandon_lookup(dial);
        dial_end(dial, reason);
    } else if (state == DIAL_RESOLVING && came) {
        connect_from(dial, 0, dial->numeric_count ? "no socket to be had" : "no such host");
    } else if (state == DIAL_CONNECTING && came && result == 0) {
        hand_to_link(dial);
    } else if (state == DIAL_CONNECTING && came && closing) {
        dial_end(dial, reason);
    } else if (state == DIAL_CONNECTING && came) {
        connect_from(dial, dial->numeric_next + 1, nng_strerror(result));
    }
}

/* Under the lock. */
static int judge(const struct transport *transport, bool is_renewal)
{
    if (transport->closing || !transport->credentials || transport->credentials->size == 0)
        return FAULT_CLOSED;
    if (!is_renewal && transport->dial_count >= transport->limits.dials_max)
        return FAULT_BUSY;
    if (transport->links_alive + transport->dials_alive >= transport->limits.links_max)
        return FAULT_BUSY;
    return 0;
}

static struct dial *dial_new(struct transport *transport, struct bytes address, uint16_t port,
                             const struct id *node, const uint8_t *key, bool is_renewal)
{
    struct dial *dial = memory_take(sizeof *dial);

    work_init(&dial->work, dial_run, work_rests);
    dial->transport = transport;
    atomic_init(&dial->references, 1);
    memcpy(dial->address, address.data, address.size);
    dial->port = port;
    if (node)
        dial->node = *node;
    if (key)
        memcpy(dial->key, key, sizeof dial->key);
    dial->key_known = key != NULL;
    dial->is_renewal = is_renewal;
    dial->deadline_ms = clock_now_ms() + transport->limits.dial_ms;
    pthread_mutex_init(&dial->lock, NULL);
    return dial;
}

static void list(struct transport *transport, struct dial *dial)
{
    dial->after = transport->dials;
    if (dial->after)
        dial->after->before = dial;
    transport->dials = dial;
    transport->dials_alive++;
    if (!dial->is_renewal) {
        transport->dial_count++;
        transport->past.dials++;
    }
    transport_stir(transport);
}

static bool is_linked(struct transport *transport, const struct id *node)
{
    return node && !id_is_zero(node) && transport_has_link(transport, node);
}

int dial_begin(struct transport *transport, struct bytes address, const struct id *node,
               const uint8_t *key, bool is_renewal)
{
    char numeric[DIAL_ADDRESSES_MAX][ADDRESS_TEXT_SIZE] = {{0}};
    char host[ADDRESS_MAX + 1];
    struct dial *dial;
    uint16_t port;
    int fault = address_split(address, host, &port);

    if (!fault && port == 0)
        fault = FAULT_ADDRESS;
    if (fault)
        return fault;
    pthread_mutex_lock(&transport->lock);
    fault = judge(transport, is_renewal);
    dial = fault ? NULL : dial_new(transport, address, port, node, key, is_renewal);
    if (dial) {
        dial_hold(dial);
        list(transport, dial);
    }
    pthread_mutex_unlock(&transport->lock);
    if (!dial)
        return fault;

    if (!is_renewal && is_linked(transport, node)) {
        dial_close(dial, "the node is linked already");
    } else if (write_numeric(host, port, numeric[0])) {
        take_addresses(dial, numeric, 1);
    } else {
        begin_lookup(dial, host);
    }
    dial_drop(dial);
    return 0;
}
