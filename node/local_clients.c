/* Clients of the local API: their streams, frames and queues. */
#include "clock.h"
#include "local_parts.h"
#include "log.h"
#include "wire/local.pb-c.h"

#include <unistd.h>

#define RECEIVE_STEP (64u * KIB)
#define ORDER_BUDGET                                                                               \
    (16u * KIB + CHAIN_SIZE_MAX) /* beside what a request unpacks to: what is looked up for it */

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

/* ---- the end of a client ---- */

static void forget_requests(struct local_client *client)
{
    local_forget_questions(client);
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
void local_end_client(struct local_client *client)
{
    struct local_api *api = client->api;

    pthread_mutex_lock(&api->lock);
    if (!client->closing) {
        client->closing = true;
        local_reporter_left(client);
        forget_requests(client);
    }
    pthread_mutex_unlock(&api->lock);
    local_stream_close(&client->stream); /* what is under way ends with it */
    pthread_mutex_lock(&api->lock);
    release(client);
    pthread_mutex_unlock(&api->lock);
}

void local_free_client(struct local_client *client)
{
    nng_aio_free(client->receive_aio); /* waits for its callback */
    nng_aio_free(client->send_aio);
    nng_aio_free(client->try_aio);
    local_stream_free(&client->stream);
    local_buffer_free(&client->in);
    local_buffer_free(&client->out);
    local_buffer_free(&client->sending);
    inbox_share_free(client->share);
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
    api->follows_begun++;
    inbox_poke(api->settings.inbox); /* something may have waited for somebody to hear it */
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

static void take_report(struct local_client *client, const Duck__Request *asked)
{
    static const struct local_refusal too_many = {REFUSAL_TOO_LARGE,
                                                  "a node has at most 64 handlers", "handlers"};

    if (local_take_report(client, asked->handlers_report))
        answer_done(client, asked->id);
    else
        answer_problem(client, asked->id, &too_many);
}

static void ask(struct local_client *client, const Duck__Request *asked, struct message *message)
{
    struct request *request = local_remember(client, asked->id, REQUEST_QUESTION);
    struct question *question = memory_take(sizeof *question);

    question->kind = QUESTION_ASKED;
    question->ticket = request->ticket;
    question->message = message;
    question->asked = asked;
    local_ask(client, question);
}

static void ask_for_peck(struct local_client *client, uint64_t id, const struct wish *wish)
{
    struct request *request = local_remember(client, id, wish->kind);

    request->duckling = wish->duckling;
    request->wait_for = wish->wait_for;
    request->box = wish->box;
    request->after = wish->after;
    request->limit = wish->limit;
    request->with_envelopes = wish->with_envelopes;
    local_shelve(request, client->api->peck_waits, &wish->peck);
    if (wish->wait_ms > 0)
        local_arm(request, clock_now_ms() + wish->wait_ms);
    local_ask_again(request);
}

static void ask_for_audit(struct local_client *client, uint64_t id, const struct wish *wish)
{
    struct request *request = local_remember(client, id, wish->kind);

    request->after_entry = wish->after_entry;
    request->limit = wish->limit;
    ring_put_last(&client->api->audit_waits, &request->shelf);
    if (wish->wait_ms > 0)
        local_arm(request, clock_now_ms() + wish->wait_ms);
    local_ask_again(request);
}

static void give_order(struct local_client *client, uint64_t id, const struct wish *wish,
                       struct message *message, size_t frame_size)
{
    struct request *request = local_remember(client, id, wish->kind);
    int fault;

    message->order->ticket = request->ticket;
    message->size = sizeof *message + sizeof *message->order + frame_size;
    local_wait_for_order(request, message, wish);
    fault = inbox_share_leave(client->share, message);
    if (fault)
        local_refuse(request, REFUSAL_BUSY,
                     fault == FAULT_CLOSED ? "the node is stopping"
                                           : "too many orders of this program wait; try again",
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
    else if (asked->order_case == DUCK__REQUEST__ORDER_HANDLERS_REPORT)
        take_report(client, asked);
    else if (wish.kind == REQUEST_FOLLOW)
        follow(client, asked, &wish);
    else if (client->request_count >= LOCAL_REQUESTS_MAX)
        answer_problem(client, asked->id, &too_many);
    else if (wish.kind == REQUEST_AUDIT_NEWS)
        ask_for_audit(client, asked->id, &wish);
    else if (wish.kind == REQUEST_PECK || wish.kind == REQUEST_PARTIALS)
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
    struct message *message =
        message_new_order(PARSE_BUDGET(frame.size) + ORDER_BUDGET, frame.size);
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
        local_end_client(client);
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
        local_end_client(client);
        return;
    }
    client->in.end += nng_aio_count(client->receive_aio);
    is_ours = take_frames(client, &stops);
    inbox_wake(api->settings.inbox);
    local_api_flush(api);
    if (stops && api->settings.stop)
        api->settings.stop(api->settings.context);
    if (!is_ours) {
        log_write(LOG_WARNING, "local", "a program on the socket does not speak our protocol");
        local_end_client(client);
    } else if (may_receive(client)) {
        start_receive(client);
    }
}

/* True: more is ready to be sent, under the same use. */
static bool end_send(struct local_client *client, size_t count)
{
    struct local_api *api = client->api;
    bool more, resume;

    pthread_mutex_lock(&api->lock);
    client->sending.begin += count; /* writes may be partial */
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
    if (resume)
        start_receive(client);
    return more;
}

/* Whoever holds the use that the send is. What is sent at once is ended here, the rest in
 * send_ended. */
static void start_send(struct local_client *client)
{
    bool more = true;

    while (more) {
        const uint8_t *data = client->sending.data + client->sending.begin;
        size_t size = local_buffer_size(&client->sending), count;

        if (!local_stream_try_send(&client->stream, client->try_aio, data, size, &count)) {
            local_end_client(client);
            return;
        }
        if (count == 0) {
            if (!local_stream_send(&client->stream, client->send_aio, data, size))
                local_end_client(client);
            return;
        }
        more = end_send(client, count);
    }
}

static void send_ended(void *context)
{
    struct local_client *client = context;

    if (nng_aio_result(client->send_aio))
        local_end_client(client);
    else if (end_send(client, nng_aio_count(client->send_aio)))
        start_send(client);
}

void local_start_sends(struct local_client *const *clients, size_t count)
{
    for (size_t i = 0; i < count; i++)
        start_send(clients[i]);
}

/* ---- newcomers ---- */

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
    ring_init(&client->asker);
    ring_init(&client->questions);
    for (size_t i = 0; i < CLIENT_SLOTS; i++)
        ring_init(&client->requests[i]);
    if (nng_aio_alloc(&client->receive_aio, receive_ended, client) == 0 &&
        nng_aio_alloc(&client->send_aio, send_ended, client) == 0 &&
        nng_aio_alloc(&client->try_aio, NULL, NULL) == 0) {
        local_stream_init(&client->stream, stream);
        client->share = inbox_share_new(api->settings.inbox);
        return client;
    }
    if (client->receive_aio)
        nng_aio_free(client->receive_aio);
    if (client->send_aio)
        nng_aio_free(client->send_aio);
    memory_give_back(client);
    return NULL;
}

/* Keeps `stream`. */
void local_take_client(struct local_api *api, nng_stream *stream)
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
        local_free_client(client);
    } else {
        nng_stream_free(stream);
    }
}
