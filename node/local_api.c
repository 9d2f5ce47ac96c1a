/* Clients of the local API: their streams, frames and queues; and the sweeper, which frees what
 * has ended. See local_parts.h for who runs what. */
#include "local_api.h"

#include "clock.h"
#include "local_parts.h"
#include "log.h"
#include "wire/local.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define RECEIVE_STEP (64u * KIB)
#define ACCEPT_PAUSE_MS 100ull   /* after running out of descriptors, or accepting would spin */
#define CLOSE_FLUSH_MS 200u      /* for answers that are on their way when the node stops */
#define ORDER_BUDGET (16u * KIB) /* beside what a request unpacks to */

/* ---- sending ---- */

size_t local_queued(const struct local_client *client)
{
    return local_buffer_size(&client->out) + local_buffer_size(&client->sending);
}

void local_queue(struct local_client *client, void *reply)
{
    if (!client->closing)
        local_buffer_append(&client->out, reply);
}

static bool prepare_send(struct local_client *client)
{
    struct local_buffer swap = client->sending;

    if (client->closing || client->sending_now || local_buffer_size(&client->out) == 0)
        return false;
    client->sending = client->out;
    client->out = swap;
    client->sending_now = true;
    client->uses++;
    return true;
}

size_t local_prepare_sends(struct local_api *api, struct local_client *clients[LOCAL_CLIENTS_MAX])
{
    size_t count = 0;

    for (struct ring *ring = api->clients.next; ring != &api->clients; ring = ring->next) {
        struct local_client *client = RING_OWNER(ring, struct local_client, ring);

        if (count < LOCAL_CLIENTS_MAX && prepare_send(client))
            clients[count++] = client;
    }
    return count;
}

static void end_client(struct local_client *client);

/* Whoever holds the use that the send is. */
static void start_send(struct local_client *client)
{
    if (!local_stream_send(&client->stream, client->send_aio,
                           client->sending.data + client->sending.begin,
                           local_buffer_size(&client->sending)))
        end_client(client);
}

void local_start_sends(struct local_client *const *clients, size_t count)
{
    for (size_t i = 0; i < count; i++)
        start_send(clients[i]);
}

void local_api_flush(struct local_api *api)
{
    struct local_client *clients[LOCAL_CLIENTS_MAX];
    size_t count;

    pthread_mutex_lock(&api->lock);
    local_answer_touched(api);
    count = local_prepare_sends(api, clients);
    pthread_mutex_unlock(&api->lock);
    local_start_sends(clients, count);
}

void local_api_perform(struct local_api *api, const struct effect *effect)
{
    pthread_mutex_lock(&api->lock);
    local_tell(api, effect);
    pthread_mutex_unlock(&api->lock);
}

/* ---- the end of a client ---- */

static void forget_requests(struct local_client *client)
{
    for (size_t i = 0; i < CLIENT_SLOTS; i++)
        while (!ring_is_alone(&client->requests[i]))
            local_forget(RING_OWNER(client->requests[i].next, struct request, by_id));
}

/* Under the lock. The last one out hands the client to the sweeper. */
static void release(struct local_client *client)
{
    struct local_api *api = client->api;

    if (--client->uses > 0 || !client->closing)
        return;
    ring_put_last(&api->dead, &client->ring);
    pthread_cond_signal(&api->for_sweeper);
}

/* Called by who holds a use of the client, and gives it up. */
static void end_client(struct local_client *client)
{
    struct local_api *api = client->api;

    pthread_mutex_lock(&api->lock);
    if (!client->closing) {
        client->closing = true;
        forget_requests(client);
    }
    pthread_mutex_unlock(&api->lock);
    local_stream_close(&client->stream); /* what is under way ends with it */
    pthread_mutex_lock(&api->lock);
    release(client);
    pthread_mutex_unlock(&api->lock);
}

static void free_client(struct local_client *client)
{
    nng_aio_free(client->receive_aio); /* waits for its callback */
    nng_aio_free(client->send_aio);
    local_stream_free(&client->stream);
    local_buffer_free(&client->in);
    local_buffer_free(&client->out);
    local_buffer_free(&client->sending);
    memory_give_back(client);
}

/* ---- requests ---- */

static void answer_done(struct local_client *client, uint64_t id)
{
    Duck__Done done = DUCK__DONE__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    reply.id = id;
    reply.answer_case = DUCK__REPLY__ANSWER_DONE;
    reply.done = &done;
    local_queue(client, &reply);
}

static void answer_problem(struct local_client *client, uint64_t id,
                           const struct local_refusal *refusal)
{
    Duck__Problem problem = DUCK__PROBLEM__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    problem.code = (char *)refusal_code_name(refusal->code);
    problem.message = (char *)refusal->message;
    problem.field = (char *)refusal->field;
    reply.id = id;
    reply.answer_case = DUCK__REPLY__ANSWER_PROBLEM;
    reply.problem = &problem;
    local_queue(client, &reply);
}

static void follow(struct local_client *client, const Duck__Request *asked, const struct wish *wish)
{
    static const struct local_refusal too_many = {REFUSAL_BUSY,
                                                  "a program follows at most 1024 ducklings", ""};
    struct local_api *api = client->api;
    struct request *request;

    if (client->follow_count >= LOCAL_FOLLOWS_MAX) {
        answer_problem(client, asked->id, &too_many);
        return;
    }
    request = local_remember(client, asked->id, REQUEST_FOLLOW);
    local_shelve(request, api->follows, &wish->duckling);
    if (asked->follow->directory)
        ring_put_last(&api->directory_follows, &request->directory);
    answer_done(client, asked->id);
}

static void cancel_follow(struct local_client *client, const Duck__Request *asked)
{
    static const struct local_refusal none = {REFUSAL_NOT_FOUND, "nothing is followed by this id",
                                              "follow_id"};
    struct request *request = local_find_of_client(client, asked->cancel_follow->follow_id);

    if (!request || request->kind != REQUEST_FOLLOW) {
        answer_problem(client, asked->id, &none);
        return;
    }
    local_forget(request);
    answer_done(client, asked->id);
}

static void ask(struct local_client *client, const Duck__Request *asked, struct message *message)
{
    struct request *request = local_remember(client, asked->id, REQUEST_QUESTION);
    struct question *question = memory_take(sizeof *question);

    question->kind = QUESTION_ASKED;
    question->ticket = request->ticket;
    question->message = message;
    question->asked = asked;
    local_ask(client->api, question);
}

static void ask_for_peck(struct local_client *client, uint64_t id, const struct wish *wish)
{
    struct request *request = local_remember(client, id, REQUEST_PECK);

    request->duckling = wish->duckling;
    request->wait_for = wish->wait_for;
    local_shelve(request, client->api->peck_waits, &wish->peck);
    if (wish->wait_ms > 0)
        local_arm(request, clock_now_ms() + wish->wait_ms);
    local_ask_peck(request);
}

static void give_order(struct local_client *client, uint64_t id, const struct wish *wish,
                       struct message *message, size_t frame_size)
{
    struct request *request = local_remember(client, id, wish->kind);
    int fault;

    message->order.ticket = request->ticket;
    message->size = sizeof *message + frame_size;
    local_wait_for_order(request, message, wish);
    fault = inbox_try_give(client->api->settings.inbox, message);
    if (fault)
        local_refuse(request, REFUSAL_BUSY,
                     fault == FAULT_CLOSED ? "the node is stopping"
                                           : "the node has too much to do; try again",
                     "");
}

/* Under the lock. Keeps `message`. */
static void take_request(struct local_client *client, const Duck__Request *asked,
                         struct message *message, size_t frame_size)
{
    static const struct local_refusal too_many = {
        REFUSAL_BUSY, "a program has at most 4096 requests in flight", ""};
    struct local_refusal refusal;
    struct wish wish;

    if (!local_read_request(asked, message, &wish, &refusal))
        answer_problem(client, asked->id, &refusal);
    else if (asked->order_case == DUCK__REQUEST__ORDER_CANCEL_FOLLOW)
        cancel_follow(client, asked);
    else if (asked->order_case == DUCK__REQUEST__ORDER_STOP)
        answer_done(client, asked->id);
    else if (wish.kind == REQUEST_FOLLOW)
        follow(client, asked, &wish);
    else if (client->request_count >= LOCAL_REQUESTS_MAX)
        answer_problem(client, asked->id, &too_many);
    else if (wish.kind == REQUEST_PECK)
        ask_for_peck(client, asked->id, &wish);
    else if (wish.kind == REQUEST_QUESTION) {
        ask(client, asked, message);
        return;
    } else {
        give_order(client, asked->id, &wish, message, frame_size);
        return;
    }
    message_free(message);
}

/* False: this is not our protocol, and the client goes. */
static bool take_frame(struct local_client *client, struct bytes frame, bool *stops)
{
    struct message *message = message_new(PARSE_BUDGET(frame.size) + ORDER_BUDGET);
    struct local_api *api = client->api;
    const Duck__Request *asked =
        duck__request__unpack(arena_protobuf_allocator(&message->arena), frame.size, frame.data);
    bool is_ours;

    if (!asked) {
        message_free(message);
        return false;
    }
    pthread_mutex_lock(&api->lock);
    is_ours = asked->id != 0 && !local_find_of_client(client, asked->id);
    if (is_ours && !client->closing) {
        *stops = *stops || asked->order_case == DUCK__REQUEST__ORDER_STOP;
        take_request(client, asked, message, frame.size);
    } else {
        message_free(message);
    }
    pthread_mutex_unlock(&api->lock);
    return is_ours;
}

static bool take_frames(struct local_client *client, bool *stops)
{
    enum local_frame_verdict verdict;
    struct bytes frame;

    while ((verdict = local_buffer_next(&client->in, LOCAL_FRAME_MAX, &frame)) == LOCAL_FRAME_TAKEN)
        if (!take_frame(client, frame, stops))
            return false;
    if (local_buffer_size(&client->in) == 0)
        local_buffer_clear(&client->in);
    return verdict == LOCAL_FRAME_PARTIAL;
}

/* ---- callbacks of streams ---- */

static void start_receive(struct local_client *client)
{
    if (!local_stream_receive(&client->stream, client->receive_aio,
                              local_buffer_room(&client->in, RECEIVE_STEP), RECEIVE_STEP))
        end_client(client);
}

/* Who does not read its answers is not read on either. */
static bool may_receive(struct local_client *client)
{
    struct local_api *api = client->api;
    bool may;

    pthread_mutex_lock(&api->lock);
    may = local_queued(client) <= LOCAL_SEND_QUEUE_MAX;
    client->paused = !may;
    if (!may)
        release(client);
    pthread_mutex_unlock(&api->lock);
    return may;
}

static void receive_ended(void *context)
{
    struct local_client *client = context;
    struct local_api *api = client->api;
    bool stops = false, is_ours;

    if (nng_aio_result(client->receive_aio)) {
        end_client(client);
        return;
    }
    client->in.end += nng_aio_count(client->receive_aio);
    is_ours = take_frames(client, &stops);
    local_api_flush(api);
    if (stops && api->settings.stop)
        api->settings.stop(api->settings.context);
    if (!is_ours) {
        log_write(LOG_WARNING, "local", "a program on the socket does not speak our protocol");
        end_client(client);
    } else if (may_receive(client)) {
        start_receive(client);
    }
}

static void send_ended(void *context)
{
    struct local_client *client = context;
    struct local_api *api = client->api;
    bool more, resume;

    if (nng_aio_result(client->send_aio)) {
        end_client(client);
        return;
    }
    pthread_mutex_lock(&api->lock);
    client->sending.begin += nng_aio_count(client->send_aio); /* writes may be partial */
    more = local_buffer_size(&client->sending) > 0 && !client->closing;
    if (!more) {
        local_buffer_clear(&client->sending);
        client->sending_now = false;
        more = prepare_send(client); /* takes a use of its own; ours is given up below */
        if (more)
            client->uses--;
    }
    resume = client->paused && !client->closing && local_queued(client) <= LOCAL_SEND_QUEUE_MAX / 2;
    if (resume) {
        client->paused = false;
        client->uses++;
    }
    if (!more)
        release(client);
    if (api->closing)
        pthread_cond_broadcast(&api->for_closer);
    pthread_mutex_unlock(&api->lock);
    if (more)
        start_send(client);
    if (resume)
        start_receive(client);
}

/* ---- accepting ---- */

/* Mode 0600 keeps others out; this keeps them out should the mode not. Fails closed. */
static bool is_one_of_us(nng_stream *stream)
{
    uint64_t user;

    return nng_stream_get_uint64(stream, NNG_OPT_IPC_PEER_UID, &user) == 0 &&
           (user == geteuid() || user == 0);
}

static struct local_client *client_new(struct local_api *api, nng_stream *stream)
{
    struct local_client *client = memory_take(sizeof *client);

    client->api = api;
    client->uses = 1; /* the receive that is about to start */
    ring_init(&client->ring);
    for (size_t i = 0; i < CLIENT_SLOTS; i++)
        ring_init(&client->requests[i]);
    if (nng_aio_alloc(&client->receive_aio, receive_ended, client) == 0 &&
        nng_aio_alloc(&client->send_aio, send_ended, client) == 0) {
        local_stream_init(&client->stream, stream);
        return client;
    }
    if (client->receive_aio)
        nng_aio_free(client->receive_aio);
    memory_give_back(client);
    return NULL;
}

/* Keeps `stream`. */
static void take_client(struct local_api *api, nng_stream *stream)
{
    struct local_client *client = is_one_of_us(stream) ? client_new(api, stream) : NULL;
    bool is_taken = false;

    if (client) {
        pthread_mutex_lock(&api->lock);
        is_taken = !api->closing && api->client_count < LOCAL_CLIENTS_MAX;
        if (is_taken) {
            api->client_count++;
            ring_put_last(&api->clients, &client->ring);
        }
        pthread_mutex_unlock(&api->lock);
    }
    if (is_taken) {
        start_receive(client);
    } else if (client) {
        log_write(LOG_WARNING, "local", "a program is turned away: %u are connected",
                  LOCAL_CLIENTS_MAX);
        free_client(client);
    } else {
        nng_stream_free(stream);
    }
}

static void accept_ended(void *context)
{
    struct local_api *api = context;
    int error = nng_aio_result(api->accept_aio);
    bool again;

    if (error == 0)
        take_client(api, nng_aio_get_output(api->accept_aio, 0));
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
    uint64_t until_ms = clock_now_ms() + WHEEL_TICK_MS;
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};

    if (api->armed > 0 || api->accept_at_ms)
        pthread_cond_timedwait(&api->for_sweeper, &api->lock, &until);
    else
        pthread_cond_wait(&api->for_sweeper, &api->lock);
}

/* Under the lock, let go meanwhile. */
static void bury(struct local_api *api)
{
    struct local_client *client = RING_OWNER(api->dead.next, struct local_client, ring);

    ring_take_off(&client->ring);
    pthread_mutex_unlock(&api->lock);
    free_client(client);
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
    memory_give_back((void *)api->network.data);
    memory_give_back((void *)api->node_chain.data);
    memory_give_back((void *)api->display_name.data);
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
    ring_init(&api->questions);
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
        end_client(clients[i]);
    local_readers_stop(api);
    pthread_mutex_lock(&api->lock);
    pthread_cond_signal(&api->for_sweeper);
    pthread_mutex_unlock(&api->lock);
    pthread_join(api->sweeper, NULL);
    api_free(api);
}
