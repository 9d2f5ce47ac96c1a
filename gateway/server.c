#include "server.h"

#include "exchange.h"
#include "gate_fault.h"
#include "gate_log.h"
#include "tls.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SWEEP_MS 250
#define BACKLOG 512
#define HEADER_FIRST_MS 3000u /* from the connection to the end of its first header */
#define WOKEN_WITHIN_MS 10000u
#define SENT_WITHIN_MS 1000u /* at the end: what was answered last */

struct server {
    struct server_settings settings;
    struct connections *connections;
    struct MHD_Daemon *daemon;
    int socket;
    bool is_quiet; /* the socket is ours again */
    char url[SERVER_URL_SIZE];

    pthread_t sweeper;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool has_sweeper, is_ending;
};

/* ---- listening ---- */

struct place {
    char host[256], port[16];
};

static bool split_place(const char *listen, struct place *place)
{
    const char *colon = strrchr(listen, ':');
    size_t size = colon ? (size_t)(colon - listen) : 0;

    if (!colon || size >= sizeof place->host || strlen(colon + 1) >= sizeof place->port ||
        !colon[1])
        return false;
    if (size >= 2 && listen[0] == '[' && listen[size - 1] == ']') {
        listen++;
        size -= 2;
    }
    memcpy(place->host, listen, size);
    place->host[size] = 0;
    snprintf(place->port, sizeof place->port, "%s", colon + 1);
    return true;
}

static int bind_one(const struct addrinfo *address)
{
    int socket_fd =
        socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    if (socket_fd < 0)
        return -1;
    if (setsockopt(socket_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(socket_fd, address->ai_addr, address->ai_addrlen) == 0 &&
        listen(socket_fd, BACKLOG) == 0)
        return socket_fd;
    close(socket_fd);
    return -1;
}

static int listen_on(const char *listen)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    struct place place;
    int error, socket_fd = -1;

    if (!split_place(listen, &place)) {
        gate_log(GATE_LOG_ERROR, "http", "cannot listen on \"%s\": write host:port", listen);
        return -1;
    }
    error = getaddrinfo(place.host[0] ? place.host : NULL, place.port, &hints, &found);
    if (error) {
        gate_log(GATE_LOG_ERROR, "http", "cannot listen on %s: %s", listen, gai_strerror(error));
        return -1;
    }
    for (struct addrinfo *at = found; at && socket_fd < 0; at = at->ai_next)
        socket_fd = bind_one(at);
    if (socket_fd < 0)
        gate_log(GATE_LOG_ERROR, "http", "cannot listen on %s: %s", listen, strerror(errno));
    freeaddrinfo(found);
    return socket_fd;
}

/* The name as it was given, with the port that it became. */
static void make_url(struct server *server)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } bound = {.v6 = {.sin6_family = AF_UNSPEC}};
    socklen_t size = sizeof bound;
    struct place place = {0};
    const char *host;
    unsigned port;

    split_place(server->settings.listen, &place);
    getsockname(server->socket, &bound.any, &size);
    port = ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
    host = place.host;
    if (!host[0] || !strcmp(host, "0.0.0.0") || !strcmp(host, "::"))
        host = "127.0.0.1"; /* everywhere: here too */
    snprintf(server->url, sizeof server->url, strchr(host, ':') ? "%s://[%s]:%u" : "%s://%s:%u",
             server->settings.has_tls ? "https" : "http", host, port);
}

/* ---- what the library calls ---- */

static void say(void *context, const char *format, va_list arguments)
{
    (void)context;
    gate_log_v(GATE_LOG_DEBUG, "http", format, arguments);
}

/* Paths and queries are taken as they were sent: what they mean is decided in one place. */
static size_t leave_escapes(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

static enum MHD_Result admit(void *context, const struct sockaddr *address, socklen_t size)
{
    struct server *server = context;

    (void)size;
    return connections_admit(server->connections, address) ? MHD_YES : MHD_NO;
}

static void begin_connection(struct server *server, struct MHD_Connection *connection,
                             void **context)
{
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int socket_fd = fd->connect_fd;
    const union MHD_ConnectionInfo *address =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct connection_slot *slot = connections_begin(
        server->connections, socket_fd, address->client_addr, gateway_now_ms() + HEADER_FIRST_MS);

    if (slot)
        connection_keep(slot, exchange_new(server->settings.gateway, slot));
    *context = slot;
}

static void note_connection(void *context, struct MHD_Connection *connection, void **kept,
                            enum MHD_ConnectionNotificationCode code)
{
    struct server *server = context;
    struct connection_slot *slot = *kept;

    switch (code) {
    case MHD_CONNECTION_NOTIFY_STARTED:
        begin_connection(server, connection, kept);
        return;
    case MHD_CONNECTION_NOTIFY_CLOSED:
        if (!slot)
            return;
        exchange_free(connection_kept(slot));
        connections_end(server->connections, slot);
        *kept = NULL;
        return;
    }
}

static void note_completed(void *context, struct MHD_Connection *connection, void **kept,
                           enum MHD_RequestTerminationCode code)
{
    (void)context;
    (void)connection;
    if (*kept)
        exchange_finish(*kept, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    *kept = NULL;
}

static enum MHD_Result result_of(enum exchange_step step)
{
    return step == EXCHANGE_GOES_ON ? MHD_YES : MHD_NO;
}

static enum MHD_Result serve(void *context, struct MHD_Connection *connection, const char *url,
                             const char *method, const char *version, const char *upload,
                             size_t *upload_size, void **kept)
{
    struct exchange *exchange = *kept;

    (void)context;
    (void)version;
    if (!exchange) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        struct connection_slot *slot = info->socket_context;

        if (!slot)
            return MHD_NO;
        exchange = *kept = connection_kept(slot);
        return result_of(exchange_begin(exchange, connection, method, url));
    }
    if (*upload_size > 0) {
        size_t size = *upload_size;

        *upload_size = 0;
        return result_of(exchange_take_body(exchange, bytes_of(upload, size)));
    }
    return result_of(exchange_go_on(exchange));
}

/* ---- the sweeper ---- */

static void *sweep(void *context)
{
    struct server *server = context;

    pthread_mutex_lock(&server->lock);
    while (!server->is_ending) {
        struct timespec until;
        size_t late;

        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += SWEEP_MS * 1000000l;
        until.tv_sec += until.tv_nsec / 1000000000l;
        until.tv_nsec %= 1000000000l;
        pthread_cond_timedwait(&server->ended, &server->lock, &until);
        pthread_mutex_unlock(&server->lock);
        late = connections_sweep(server->connections, gateway_now_ms());
        if (server->settings.beat)
            server->settings.beat(server->settings.context, gateway_now_ms());
        if (late)
            gate_log(GATE_LOG_DEBUG, "http", "%zu connections were late", late);
        pthread_mutex_lock(&server->lock);
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

static int start_sweeper(struct server *server)
{
    server->has_sweeper = pthread_create(&server->sweeper, NULL, sweep, server) == 0;
    return server->has_sweeper ? 0 : GATE_FAULT_THREAD;
}

static void stop_sweeper(struct server *server)
{
    if (!server->has_sweeper)
        return;
    pthread_mutex_lock(&server->lock);
    server->is_ending = true;
    pthread_cond_signal(&server->ended);
    pthread_mutex_unlock(&server->lock);
    pthread_join(server->sweeper, NULL);
}

/* ---- opening and closing ---- */

static int start_daemon(struct server *server)
{
    unsigned flags = MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME |
                     MHD_USE_ERROR_LOG;
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_LISTEN_SOCKET, server->socket, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, SERVER_IDLE_S, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, SERVER_CONNECTION_MEMORY, NULL},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)leave_escapes, NULL},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)note_connection, server},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)note_completed, server},
        {MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL},
        {MHD_OPTION_END, 0, NULL}, /* for those that are not always there */
        {MHD_OPTION_END, 0, NULL},
        {MHD_OPTION_END, 0, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem *more = options + sizeof options / sizeof options[0] - 4;

    if (server->settings.threads > 1) /* a pool of one is refused */
        *more++ = (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE,
                                          (intptr_t)server->settings.threads, NULL};
    if (server->settings.has_tls) {
        flags |= MHD_USE_TLS;
        *more++ =
            (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK, 0, tls_retrieve_function()};
        *more++ = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, TLS_PRIORITIES};
    }
    server->daemon =
        MHD_start_daemon(flags, 0, admit, server, serve, server, MHD_OPTION_EXTERNAL_LOGGER, say,
                         NULL, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (server->daemon)
        return 0;
    gate_log(GATE_LOG_ERROR, "http", "the HTTP server does not start");
    return GATE_FAULT_THREAD;
}

int server_open(struct server **opened, const struct server_settings *settings)
{
    struct server *server = memory_take(sizeof *server);
    pthread_condattr_t steady;
    int fault = 0;

    exchange_prepare();
    server->settings = *settings;
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&server->ended, &steady);
    pthread_condattr_destroy(&steady);
    server->connections = connections_new(settings->per_address_max, settings->per_loopback_max);
    server->socket = listen_on(settings->listen);
    if (server->socket < 0)
        fault = GATE_FAULT_CONFIG;
    if (!fault) {
        make_url(server);
        fault = start_daemon(server);
    }
    if (!fault)
        fault = start_sweeper(server);
    if (fault) {
        server_close(server);
        return fault;
    }
    *opened = server;
    return 0;
}

const char *server_url(const struct server *server)
{
    return server->url;
}

/* Few milliseconds at a time: how long an answer takes is not known to any lock of ours. */
static void wait_until_few(bool parked_only, unsigned within_ms)
{
    uint64_t until_ms = gateway_now_ms() + within_ms;
    struct timespec pause = {.tv_nsec = 5 * 1000000};

    while (exchange_count(parked_only) > 0 && gateway_now_ms() < until_ms)
        nanosleep(&pause, NULL);
}

void server_quiesce(struct server *server, unsigned within_ms)
{
    exchange_stop_all();
    server->is_quiet = MHD_quiesce_daemon(server->daemon) != MHD_INVALID_SOCKET;
    wait_until_few(false, within_ms);
}

void server_close(struct server *server)
{
    if (!server)
        return;
    if (server->daemon) {
        /* The library must not be stopped while a connection is suspended. */
        wait_until_few(true, WOKEN_WITHIN_MS);
        wait_until_few(false, SENT_WITHIN_MS); /* it ends connections where they are */
        stop_sweeper(server);
        MHD_stop_daemon(server->daemon);
    }
    if (server->socket >= 0 && (server->is_quiet || !server->daemon))
        close(server->socket);
    connections_free(server->connections);
    pthread_cond_destroy(&server->ended);
    pthread_mutex_destroy(&server->lock);
    memory_give_back(server);
}
