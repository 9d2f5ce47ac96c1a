/* The local API as a whole: opening, accepting, sweeping, closing. See local_parts.h for who runs
 * what. */
#include "local_api.h"

#include "clock.h"
#include "local_parts.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ACCEPT_PAUSE_MS 100ull /* after running out of descriptors, or accepting would spin */
#define CLOSE_FLUSH_MS 200u    /* for answers that are on their way when the node stops */

/* ---- for the loop ---- */

void local_api_flush(struct local_api *api)
{
    struct local_client *clients[LOCAL_CLIENTS_MAX];
    size_t count;

    pthread_mutex_lock(&api->lock);
    local_answer_touched(api);
    local_wake_audit(api);
    count = local_prepare_sends(api, clients);
    pthread_mutex_unlock(&api->lock);
    local_start_sends(clients, count);
}

void local_api_perform(struct local_api *api, const struct effect *effects, size_t count)
{
    pthread_mutex_lock(&api->lock);
    for (size_t i = 0; i < count; i++)
        local_tell(api, &effects[i]);
    pthread_mutex_unlock(&api->lock);
}

/* ---- accepting ---- */

static void accept_ended(void *context)
{
    struct local_api *api = context;
    int error = nng_aio_result(api->accept_aio);
    bool again;

    if (error == 0)
        local_take_client(api, nng_aio_get_output(api->accept_aio, 0));
    pthread_mutex_lock(&api->lock);
    again = !api->closing && error != NNG_ECLOSED;
    if (again && error) {
        again = false;
        api->accept_at_ms = clock_now_ms() + ACCEPT_PAUSE_MS;
        pthread_cond_signal(&api->for_sweeper);
    }
    api->accepting = again;
    pthread_cond_broadcast(&api->for_closer);
    pthread_mutex_unlock(&api->lock);
    if (again)
        nng_stream_listener_accept(api->listener, api->accept_aio);
}

/* ---- the sweeper ---- */

static void wait_for_sweep(struct local_api *api)
{
    uint64_t tick = local_next_tick(api), until_ms;
    struct timespec until;

    if (api->accept_at_ms && api->accept_at_ms / WHEEL_TICK_MS + 1 < tick)
        tick = api->accept_at_ms / WHEEL_TICK_MS + 1;
    api->sweeper_tick = tick;
    if (tick == UINT64_MAX) {
        pthread_cond_wait(&api->for_sweeper, &api->lock);
    } else {
        until_ms = tick * WHEEL_TICK_MS;
        until = (struct timespec){.tv_sec = (time_t)(until_ms / 1000),
                                  .tv_nsec = (long)(until_ms % 1000) * 1000000};
        pthread_cond_timedwait(&api->for_sweeper, &api->lock, &until);
    }
    api->sweeper_tick = 0;
}

/* Under the lock, let go meanwhile. */
static void bury(struct local_api *api)
{
    struct local_client *client = RING_OWNER(api->dead.next, struct local_client, ring);

    ring_take_off(&client->ring);
    pthread_mutex_unlock(&api->lock);
    local_free_client(client);
    pthread_mutex_lock(&api->lock);
    api->client_count--;
}

/* The same. */
static void accept_again(struct local_api *api)
{
    api->accept_at_ms = 0;
    api->accepting = true;
    pthread_mutex_unlock(&api->lock);
    nng_stream_listener_accept(api->listener, api->accept_aio);
    pthread_mutex_lock(&api->lock);
}

static void *sweep(void *context)
{
    struct local_api *api = context;

    pthread_mutex_lock(&api->lock);
    while (!api->closing || api->client_count > 0) {
        struct local_client *clients[LOCAL_CLIENTS_MAX];
        uint64_t now_ms = clock_now_ms();
        size_t count;

        if (!ring_is_alone(&api->dead)) {
            bury(api);
            continue;
        }
        if (api->accept_at_ms && now_ms >= api->accept_at_ms && !api->closing) {
            accept_again(api);
            continue;
        }
        local_sweep(api, now_ms);
        count = local_prepare_sends(api, clients);
        if (count > 0) {
            pthread_mutex_unlock(&api->lock);
            local_start_sends(clients, count);
            pthread_mutex_lock(&api->lock);
            continue;
        }
        wait_for_sweep(api);
    }
    pthread_mutex_unlock(&api->lock);
    return NULL;
}

/* ---- opening ---- */

/* The folder of the socket: ours, and nobody else may put things there. */
static int judge_folder(const char *socket_path)
{
    char folder[sizeof((struct sockaddr_un *)0)->sun_path + 2];
    struct stat status;
    char *slash;

    snprintf(folder, sizeof folder, "%s", socket_path);
    slash = strrchr(folder, '/');
    if (!slash)
        snprintf(folder, sizeof folder, ".");
    else
        slash[slash == folder] = 0;
    if (stat(folder, &status) != 0)
        return FAULT_FILE;
    if (!S_ISDIR(status.st_mode) || (status.st_mode & 022) ||
        (status.st_uid != geteuid() && status.st_uid != 0))
        return FAULT_PERMISSIONS;
    return 0;
}

static int listen_on(struct local_api *api)
{
    char url[sizeof((struct sockaddr_un *)0)->sun_path + 8];
    int fault, error;

    if (strlen(api->socket_path) >= sizeof((struct sockaddr_un *)0)->sun_path) {
        log_write(LOG_ERROR, "local", "the path of the socket is longer than 107 bytes: %s",
                  api->socket_path);
        return FAULT_ADDRESS;
    }
    fault = judge_folder(api->socket_path);
    if (fault) {
        log_write(LOG_ERROR, "local", "the folder of %s: %s", api->socket_path, fault_text(fault));
        return fault;
    }
    snprintf(url, sizeof url, "ipc://%s", api->socket_path);
    if (nng_stream_listener_alloc(&api->listener, url) != 0 ||
        nng_aio_alloc(&api->accept_aio, accept_ended, api) != 0)
        return FAULT_SOCKET;
    error = nng_stream_listener_set_int(api->listener, NNG_OPT_IPC_PERMISSIONS, 0600);
    if (!error)
        error = nng_stream_listener_listen(api->listener);
    if (error) {
        log_write(LOG_ERROR, "local", "cannot listen on %s: %s", api->socket_path,
                  nng_strerror(error));
        return error == NNG_EADDRINUSE ? FAULT_BUSY : FAULT_SOCKET;
    }
    return 0;
}

static char *text_copy(const char *text)
{
    return memory_copy(text ? text : "", strlen(text ? text : "") + 1);
}

static struct bytes bytes_copy(struct bytes bytes)
{
    return bytes_of(memory_copy(bytes.data ? bytes.data : (const uint8_t *)"", bytes.size),
                    bytes.size);
}

static void keep_settings(struct local_api *api, const struct local_api_settings *settings)
{
    api->settings = *settings;
    api->socket_path = text_copy(settings->socket_path);
    api->store_path = text_copy(settings->store_path);
    api->version = text_copy(settings->version);
    api->gateway_url = text_copy(settings->gateway_url);
    api->settings.gateway_url = api->gateway_url;
    if (settings->gateway_url_file)
        api->gateway_url_file = text_copy(settings->gateway_url_file);
    api->network = bytes_copy(settings->network);
    api->node_chain = bytes_copy(settings->node_chain);
    api->display_name = bytes_copy(settings->display_name);
    api->listening = memory_take((settings->listening_count + 1) * sizeof *api->listening);
    for (; api->listening_count < settings->listening_count; api->listening_count++)
        api->listening[api->listening_count] = text_copy(settings->listening[api->listening_count]);
}

static void api_free(struct local_api *api)
{
    if (api->accept_aio)
        nng_aio_free(api->accept_aio);
    if (api->listener)
        nng_stream_listener_free(api->listener);
    for (size_t i = 0; i < api->listening_count; i++)
        memory_give_back(api->listening[i]);
    memory_give_back(api->listening);
    memory_give_back(api->socket_path);
    memory_give_back(api->store_path);
    memory_give_back(api->version);
    memory_give_back(api->gateway_url);
    memory_give_back(api->gateway_url_file);
    memory_give_back((void *)api->network.data);
    memory_give_back((void *)api->node_chain.data);
    memory_give_back((void *)api->display_name.data);
    memory_give_back((void *)api->handlers.packed.data);
    pthread_cond_destroy(&api->for_sweeper);
    pthread_cond_destroy(&api->for_readers);
    pthread_cond_destroy(&api->for_closer);
    pthread_mutex_destroy(&api->lock);
    memory_give_back(api);
}

static void init_threads(struct local_api *api)
{
    pthread_condattr_t steady;

    pthread_mutex_init(&api->lock, NULL);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&api->for_sweeper, &steady);
    pthread_cond_init(&api->for_readers, &steady);
    pthread_cond_init(&api->for_closer, &steady);
    pthread_condattr_destroy(&steady);
}

int local_api_open(struct local_api **opened, const struct local_api_settings *settings)
{
    struct local_api *api = memory_take(sizeof *api);
    int fault;

    init_threads(api);
    keep_settings(api, settings);
    local_waits_init(api);
    ring_init(&api->clients);
    ring_init(&api->dead);
    ring_init(&api->askers);
    api->started_wall_ms = clock_wall_ms();
    fault = local_readers_start(api);
    if (!fault)
        fault = listen_on(api);
    if (!fault && pthread_create(&api->sweeper, NULL, sweep, api) != 0)
        fault = FAULT_BUSY;
    if (fault) {
        local_readers_stop(api);
        api_free(api);
        return fault;
    }
    api->accepting = true;
    nng_stream_listener_accept(api->listener, api->accept_aio);
    *opened = api;
    return 0;
}

/* ---- closing ---- */

/* Gives answers that are on their way a moment: among them is the one to "stop". */
static void wait_for_sends(struct local_api *api)
{
    uint64_t until_ms = clock_now_ms() + CLOSE_FLUSH_MS;
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    bool sending = true;
    int passed = 0;

    while (sending && passed != ETIMEDOUT) {
        sending = false;
        for (struct ring *ring = api->clients.next; ring != &api->clients; ring = ring->next)
            sending = sending || RING_OWNER(ring, struct local_client, ring)->sending_now;
        if (sending)
            passed = pthread_cond_timedwait(&api->for_closer, &api->lock, &until);
    }
}

void local_api_close(struct local_api *api)
{
    struct local_client *clients[LOCAL_CLIENTS_MAX];
    size_t count = 0;

    if (!api)
        return;
    local_api_flush(api);
    nng_stream_listener_close(api->listener);
    pthread_mutex_lock(&api->lock);
    api->closing = true;
    api->accept_at_ms = 0;
    while (api->accepting)
        pthread_cond_wait(&api->for_closer, &api->lock);
    wait_for_sends(api);
    for (struct ring *ring = api->clients.next; ring != &api->clients; ring = ring->next) {
        clients[count] = RING_OWNER(ring, struct local_client, ring);
        clients[count++]->uses++;
    }
    pthread_mutex_unlock(&api->lock);
    for (size_t i = 0; i < count; i++)
        local_end_client(clients[i]);
    local_readers_stop(api);
    pthread_mutex_lock(&api->lock);
    pthread_cond_signal(&api->for_sweeper);
    pthread_mutex_unlock(&api->lock);
    pthread_join(api->sweeper, NULL);
    api_free(api);
}
