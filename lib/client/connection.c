/* Threads: callers (any), nng's callbacks (copy and queue, nothing else), and the client's thread,
 * which alone dials, frees streams and calls back. One lock; never held over a call into nng or
 * out to the user. */
#include "connection.h"

#include "core/bytes.h"
#include "local_frames.h"
#include "local_stream.h"
#include "wire/local.pb-c.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/un.h>
#include <time.h>

#define CALL_SLOTS 1024u /* a power of two: ids are handed out in order */
#define RECEIVE_SIZE (64u * KIB)
#define NEVER_MS UINT64_MAX

struct call {
    struct call *next; /* of its slot */
    uint64_t id, deadline_ms;
    uint64_t begins_at; /* of all bytes ever appended: which send carries it */
    connection_done done;
    void *context;
};

struct follow {
    struct follow *next;
    uint64_t id, begins_at;
    char *duckling;
    bool directory;
    connection_seen seen;
    void *context, *copy;
    uint64_t gaps; /* broken streams so far: told as dropped events */
    bool began, refused, resend;
    bool awaited; /* somebody waits to hear whether it began */
    bool over;    /* taken off as soon as it is neither called nor awaited */
};

enum connection_state { CONNECTION_DOWN, CONNECTION_DIALLING, CONNECTION_UP };

struct connection {
    pthread_mutex_t lock;
    pthread_cond_t work, changed; /* for the client's thread; for those who wait for it */
    pthread_t thread;
    bool ending, unread_paused;

    enum connection_state state;
    nng_stream_dialer *dialer;
    struct local_stream stream; /* while the state is UP */
    nng_aio *dial_aio, *receive_aio, *send_aio;
    bool dial_busy, receive_busy, send_busy, broken, wanted;
    uint64_t dials_ended; /* counts; so that opening can wait for its own */
    int dial_error;
    uint64_t redial_at_ms, redial_ms;

    struct local_buffer out, sending, unread;
    uint64_t appended, handed; /* bytes: all that was put into `out`, all that went to `sending` */
    uint8_t chunk[RECEIVE_SIZE];

    uint64_t last_id;
    struct call *calls[CALL_SLOTS];
    size_t call_count;
    uint64_t next_deadline_ms; /* not later than any call's */
    struct follow *follows;
    uint64_t calling; /* the follow whose `seen` runs now; 0: none */
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct Duck__Reply *connection_problem(const char *code, const char *message)
{
    Duck__Problem problem = DUCK__PROBLEM__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;
    uint8_t packed[1024];

    problem.code = (char *)code;
    problem.message = (char *)message;
    reply.answer_case = DUCK__REPLY__ANSWER_PROBLEM;
    reply.problem = &problem;
    assert(duck__reply__get_packed_size(&reply) <= sizeof packed);
    return duck__reply__unpack(NULL, duck__reply__pack(&reply, packed), packed);
}

bool connection_is_own_thread(const struct connection *connection)
{
    return pthread_equal(pthread_self(), connection->thread);
}

/* ---- calls ---- */

static void add_call(struct connection *connection, struct call *call)
{
    struct call **slot = &connection->calls[call->id % CALL_SLOTS];

    call->next = *slot;
    *slot = call;
    connection->call_count++;
    if (call->deadline_ms < connection->next_deadline_ms) {
        connection->next_deadline_ms = call->deadline_ms;
        pthread_cond_signal(&connection->work);
    }
}

static struct call *take_call(struct connection *connection, uint64_t id)
{
    for (struct call **at = &connection->calls[id % CALL_SLOTS]; *at; at = &(*at)->next) {
        struct call *call = *at;

        if (call->id != id)
            continue;
        *at = call->next;
        connection->call_count--;
        return call;
    }
    return NULL;
}

static void finish(struct call *call, Duck__Reply *reply)
{
    call->done(call->context, reply);
    memory_give_back(call);
}

/* Under the lock. Takes off every call for which `is_meant`, as a chain. */
static struct call *take_calls(struct connection *connection,
                               bool (*is_meant)(const struct call *call, uint64_t limit),
                               uint64_t limit)
{
    struct call *taken = NULL;

    for (size_t i = 0; i < CALL_SLOTS; i++)
        for (struct call **at = &connection->calls[i]; *at;) {
            struct call *call = *at;

            if (!is_meant(call, limit)) {
                at = &call->next;
                continue;
            }
            *at = call->next;
            call->next = taken;
            taken = call;
            connection->call_count--;
        }
    return taken;
}

static void finish_all(struct call *calls, const char *code, const char *message)
{
    while (calls) {
        struct call *call = calls;

        calls = call->next;
        finish(call, connection_problem(code, message));
    }
}

static bool begins_before(const struct call *call, uint64_t handed)
{
    return call->begins_at < handed;
}

static bool is_late(const struct call *call, uint64_t at_ms)
{
    return call->deadline_ms <= at_ms;
}

/* ---- the stream: sending ---- */

/* Under the lock. True: the caller starts the send once it has let go of the lock. */
static bool prepare_send(struct connection *connection)
{
    struct local_buffer swap = connection->sending;

    if (connection->state != CONNECTION_UP || connection->broken || connection->send_busy ||
        local_buffer_size(&connection->out) == 0)
        return false;
    connection->sending = connection->out;
    connection->out = swap;
    connection->handed = connection->appended;
    connection->send_busy = true;
    return true;
}

/* Under the lock. */
static void note_broken(struct connection *connection)
{
    connection->broken = true;
    pthread_cond_signal(&connection->work);
}

static void start_send(struct connection *connection)
{
    if (local_stream_send(&connection->stream, connection->send_aio,
                          connection->sending.data + connection->sending.begin,
                          local_buffer_size(&connection->sending)))
        return;
    pthread_mutex_lock(&connection->lock);
    connection->send_busy = false;
    note_broken(connection);
    pthread_mutex_unlock(&connection->lock);
}

static void send_ended(void *context)
{
    struct connection *connection = context;
    bool more;

    pthread_mutex_lock(&connection->lock);
    if (nng_aio_result(connection->send_aio)) {
        connection->send_busy = false;
        note_broken(connection);
        pthread_mutex_unlock(&connection->lock);
        return;
    }
    connection->sending.begin += nng_aio_count(connection->send_aio); /* writes may be partial */
    more = local_buffer_size(&connection->sending) > 0 && !connection->broken;
    if (!more) {
        local_buffer_clear(&connection->sending);
        connection->send_busy = false;
        more = prepare_send(connection);
    }
    if (!connection->send_busy && connection->broken)
        pthread_cond_signal(&connection->work);
    pthread_mutex_unlock(&connection->lock);
    if (more)
        start_send(connection);
}

/* ---- the stream: receiving ---- */

static void start_receive(struct connection *connection)
{
    if (local_stream_receive(&connection->stream, connection->receive_aio, connection->chunk,
                             sizeof connection->chunk))
        return;
    pthread_mutex_lock(&connection->lock);
    connection->receive_busy = false;
    note_broken(connection);
    pthread_mutex_unlock(&connection->lock);
}

static void receive_ended(void *context)
{
    struct connection *connection = context;
    size_t count = nng_aio_count(connection->receive_aio);
    bool again;

    pthread_mutex_lock(&connection->lock);
    if (nng_aio_result(connection->receive_aio) || connection->broken) {
        connection->receive_busy = false;
        note_broken(connection);
        pthread_mutex_unlock(&connection->lock);
        return;
    }
    memcpy(local_buffer_room(&connection->unread, count), connection->chunk, count);
    connection->unread.end += count;
    again = local_buffer_size(&connection->unread) < CONNECTION_UNREAD_MAX;
    connection->receive_busy = again;
    connection->unread_paused = !again;
    pthread_cond_signal(&connection->work);
    pthread_mutex_unlock(&connection->lock);
    if (again)
        start_receive(connection);
}

/* ---- the stream: coming and going ---- */

static void dial_ended(void *context)
{
    struct connection *connection = context;

    pthread_mutex_lock(&connection->lock);
    connection->dial_busy = false;
    connection->dial_error = nng_aio_result(connection->dial_aio);
    if (connection->dial_error == 0)
        local_stream_init(&connection->stream, nng_aio_get_output(connection->dial_aio, 0));
    pthread_cond_signal(&connection->work);
    pthread_mutex_unlock(&connection->lock);
}

static void append(struct connection *connection, const Duck__Request *request)
{
    size_t before = local_buffer_size(&connection->out);

    local_buffer_append(&connection->out, request);
    connection->appended += local_buffer_size(&connection->out) - before;
}

static void append_follow(struct connection *connection, struct follow *follow)
{
    Duck__FollowOrder order = DUCK__FOLLOW_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.duckling = follow->duckling;
    order.directory = follow->directory;
    request.id = follow->id;
    request.order_case = DUCK__REQUEST__ORDER_FOLLOW;
    request.follow = &order;
    follow->begins_at = connection->appended;
    follow->resend = false;
    append(connection, &request);
}

/* Under the lock, which is let go for the calls into nng. */
static void go_up(struct connection *connection)
{
    bool sends;

    connection->state = CONNECTION_UP;
    connection->redial_ms = REDIAL_FIRST_MS;
    connection->receive_busy = true;
    for (struct follow *follow = connection->follows; follow; follow = follow->next)
        if (follow->resend && !follow->over)
            append_follow(connection, follow);
    sends = prepare_send(connection);
    connection->dials_ended++;
    pthread_cond_broadcast(&connection->changed);
    pthread_mutex_unlock(&connection->lock);
    start_receive(connection);
    if (sends)
        start_send(connection);
    pthread_mutex_lock(&connection->lock);
}

/* Under the lock, let go while calls are answered: nothing that waits can be sent. */
static void stay_down(struct connection *connection)
{
    struct call *calls;

    connection->state = CONNECTION_DOWN;
    connection->wanted = false;
    connection->redial_at_ms = now_ms() + connection->redial_ms;
    connection->redial_ms =
        connection->redial_ms * 2 < REDIAL_MAX_MS ? connection->redial_ms * 2 : REDIAL_MAX_MS;
    local_buffer_clear(&connection->out);
    connection->handed = connection->appended;
    for (struct follow *follow = connection->follows; follow; follow = follow->next)
        follow->resend = true;
    calls = take_calls(connection, begins_before, connection->handed);
    connection->dials_ended++;
    pthread_cond_broadcast(&connection->changed);
    pthread_mutex_unlock(&connection->lock);
    finish_all(calls, "unreachable", "no node answers on its socket: is ducknode running?");
    pthread_mutex_lock(&connection->lock);
}

/* The same, once nothing of nng's is under way on the broken stream. */
static void drop_stream(struct connection *connection)
{
    struct call *calls;

    local_stream_free(&connection->stream);
    connection->state = CONNECTION_DOWN;
    connection->broken = connection->unread_paused = false;
    connection->redial_at_ms = 0;
    local_buffer_clear(&connection->sending);
    local_buffer_clear(&connection->unread);
    connection->wanted = local_buffer_size(&connection->out) > 0;
    for (struct follow *follow = connection->follows; follow; follow = follow->next)
        if (follow->begins_at < connection->handed) {
            follow->resend = true;
            follow->gaps++;
        }
    calls = take_calls(connection, begins_before, connection->handed);
    pthread_mutex_unlock(&connection->lock);
    finish_all(calls, "unreachable", "the node went away before it answered");
    pthread_mutex_lock(&connection->lock);
}

/* ---- the client's thread ---- */

static struct follow *find_follow(struct connection *connection, uint64_t id)
{
    for (struct follow *follow = connection->follows; follow; follow = follow->next)
        if (follow->id == id && !follow->over)
            return follow;
    return NULL;
}

static void free_follow(struct follow *follow)
{
    memory_give_back(follow->duckling);
    memory_give_back(follow->copy);
    memory_give_back(follow);
}

/* Under the lock. */
static void sweep_follows(struct connection *connection)
{
    for (struct follow **at = &connection->follows; *at;) {
        struct follow *follow = *at;

        if (!follow->over || follow->awaited || follow->id == connection->calling) {
            at = &follow->next;
            continue;
        }
        *at = follow->next;
        free_follow(follow);
    }
}

/* Under the lock. */
static void append_cancel(struct connection *connection, uint64_t follow)
{
    Duck__CancelFollow cancel = DUCK__CANCEL_FOLLOW__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    if (connection->state != CONNECTION_UP)
        return; /* the node forgot it with the stream */
    cancel.follow_id = follow;
    request.id = ++connection->last_id; /* nobody waits for its answer */
    request.order_case = DUCK__REQUEST__ORDER_CANCEL_FOLLOW;
    request.cancel_follow = &cancel;
    append(connection, &request);
}

/* Under the lock, let go while `seen` runs. */
static void tell_follow(struct connection *connection, struct follow *follow, Duck__Reply *reply)
{
    bool goes_on = true, sends = false;

    if (reply->answer_case == DUCK__REPLY__ANSWER_PROBLEM)
        follow->refused = follow->over = true;
    else
        follow->began = true;
    if (reply->answer_case == DUCK__REPLY__ANSWER_EVENT) {
        reply->event->dropped += follow->gaps;
        connection->calling = follow->id;
        pthread_mutex_unlock(&connection->lock);
        goes_on = follow->seen(follow->context, reply);
        pthread_mutex_lock(&connection->lock);
        connection->calling = 0;
    }
    if (!goes_on && !follow->over) {
        follow->over = true;
        append_cancel(connection, follow->id);
        sends = prepare_send(connection);
    }
    pthread_cond_broadcast(&connection->changed);
    sweep_follows(connection);
    if (sends) {
        pthread_mutex_unlock(&connection->lock);
        start_send(connection);
        pthread_mutex_lock(&connection->lock);
    }
}

static void deliver(struct connection *connection, struct bytes frame)
{
    Duck__Reply *reply = duck__reply__unpack(NULL, frame.size, frame.data);
    struct follow *follow;
    struct call *call;

    if (!reply) {
        pthread_mutex_lock(&connection->lock);
        note_broken(connection); /* not our protocol: nothing after it can be trusted */
        pthread_mutex_unlock(&connection->lock);
        return;
    }
    pthread_mutex_lock(&connection->lock);
    call = take_call(connection, reply->id);
    follow = call ? NULL : find_follow(connection, reply->id);
    if (follow)
        tell_follow(connection, follow, reply);
    pthread_mutex_unlock(&connection->lock);
    if (call)
        finish(call, reply);
    else
        duck__reply__free_unpacked(reply, NULL); /* also: an answer that came too late */
}

/* Under the lock, let go meanwhile. Reads all whole frames that have come. */
static void read_all(struct connection *connection, struct local_buffer *reading)
{
    size_t came = local_buffer_size(&connection->unread);
    enum local_frame_verdict verdict;
    struct bytes frame;
    bool again;

    memcpy(local_buffer_room(reading, came), connection->unread.data + connection->unread.begin,
           came);
    reading->end += came;
    local_buffer_clear(&connection->unread);
    again = connection->unread_paused && !connection->broken;
    if (again) {
        connection->unread_paused = false;
        connection->receive_busy = true;
    }
    pthread_mutex_unlock(&connection->lock);
    if (again)
        start_receive(connection);
    while ((verdict = local_buffer_next(reading, LOCAL_REPLY_MAX, &frame)) == LOCAL_FRAME_TAKEN)
        deliver(connection, frame);
    if (local_buffer_size(reading) == 0)
        local_buffer_clear(reading);
    pthread_mutex_lock(&connection->lock);
    if (verdict != LOCAL_FRAME_PARTIAL)
        note_broken(connection);
}

/* Under the lock, let go meanwhile. */
static void expire_calls(struct connection *connection, uint64_t at_ms)
{
    struct call *late = take_calls(connection, is_late, at_ms);

    connection->next_deadline_ms = NEVER_MS;
    for (size_t i = 0; i < CALL_SLOTS; i++)
        for (struct call *call = connection->calls[i]; call; call = call->next)
            if (call->deadline_ms < connection->next_deadline_ms)
                connection->next_deadline_ms = call->deadline_ms;
    pthread_mutex_unlock(&connection->lock);
    finish_all(late, "timeout", "the node did not answer in time");
    pthread_mutex_lock(&connection->lock);
}

/* Under the lock, let go meanwhile. */
static void start_dial(struct connection *connection)
{
    connection->state = CONNECTION_DIALLING;
    connection->dial_busy = true;
    connection->wanted = false;
    pthread_mutex_unlock(&connection->lock);
    nng_stream_dialer_dial(connection->dialer, connection->dial_aio);
    pthread_mutex_lock(&connection->lock);
}

static bool wants_dial(const struct connection *connection, uint64_t at_ms)
{
    return connection->state == CONNECTION_DOWN &&
           (connection->wanted || (connection->follows && at_ms >= connection->redial_at_ms));
}

static void wait_for_work(struct connection *connection)
{
    uint64_t until_ms = connection->next_deadline_ms;
    struct timespec until;

    if (connection->state == CONNECTION_DOWN && connection->follows &&
        connection->redial_at_ms < until_ms)
        until_ms = connection->redial_at_ms;
    if (until_ms == NEVER_MS) {
        pthread_cond_wait(&connection->work, &connection->lock);
        return;
    }
    until.tv_sec = (time_t)(until_ms / 1000);
    until.tv_nsec = (long)(until_ms % 1000) * 1000000;
    pthread_cond_timedwait(&connection->work, &connection->lock, &until);
}

/* Ends what is under way on a broken stream, then drops it. */
static void let_go(struct connection *connection, struct local_buffer *reading)
{
    if (connection->receive_busy || connection->send_busy) {
        pthread_mutex_unlock(&connection->lock);
        local_stream_close(&connection->stream);
        pthread_mutex_lock(&connection->lock);
        while (connection->receive_busy || connection->send_busy)
            pthread_cond_wait(&connection->work, &connection->lock);
    }
    local_buffer_clear(reading);
    drop_stream(connection);
}

static void end(struct connection *connection, struct local_buffer *reading)
{
    struct call *calls;

    while (connection->dial_busy)
        pthread_cond_wait(&connection->work, &connection->lock);
    if (connection->state == CONNECTION_DIALLING && connection->dial_error == 0)
        connection->state = CONNECTION_UP; /* it came up too late to be of use */
    if (connection->state == CONNECTION_UP) {
        connection->broken = true;
        let_go(connection, reading);
    }
    connection->handed = connection->appended = NEVER_MS;
    calls = take_calls(connection, begins_before, NEVER_MS);
    pthread_mutex_unlock(&connection->lock);
    finish_all(calls, "unreachable", "the connection to the node was closed");
    pthread_mutex_lock(&connection->lock);
}

static void *run(void *context)
{
    struct connection *connection = context;
    struct local_buffer reading = {0};

    pthread_mutex_lock(&connection->lock);
    while (!connection->ending) {
        if (connection->state == CONNECTION_DIALLING && !connection->dial_busy) {
            if (connection->dial_error)
                stay_down(connection);
            else
                go_up(connection);
        } else if (local_buffer_size(&connection->unread) > 0) {
            read_all(connection, &reading);
        } else if (connection->broken) {
            let_go(connection, &reading);
        } else if (now_ms() >= connection->next_deadline_ms) {
            expire_calls(connection, now_ms());
        } else if (wants_dial(connection, now_ms())) {
            start_dial(connection);
        } else {
            wait_for_work(connection);
        }
    }
    end(connection, &reading);
    pthread_mutex_unlock(&connection->lock);
    local_buffer_free(&reading);
    return NULL;
}

/* ---- for callers ---- */

/* Under the lock, which it lets go of. */
static void send_or_dial(struct connection *connection)
{
    bool sends = prepare_send(connection);

    if (connection->state != CONNECTION_UP && !connection->wanted) {
        connection->wanted = true;
        pthread_cond_signal(&connection->work);
    }
    pthread_mutex_unlock(&connection->lock);
    if (sends)
        start_send(connection);
}

void connection_call(struct connection *connection, Duck__Request *request, uint64_t timeout_ms,
                     connection_done done, void *context)
{
    size_t size = duck__request__get_packed_size(request);
    struct call *call;

    if (size + 16 > LOCAL_REQUEST_MAX) { /* its id comes on top */
        done(context, connection_problem("too_large", "a request to the node is at most 1 MiB"));
        return;
    }
    call = memory_take(sizeof *call);
    call->done = done;
    call->context = context;
    call->deadline_ms = now_ms() + (timeout_ms ? timeout_ms : CALL_TIMEOUT_MS);
    pthread_mutex_lock(&connection->lock);
    if (connection->ending || local_buffer_size(&connection->out) + size > CONNECTION_OUT_MAX) {
        bool ending = connection->ending;

        pthread_mutex_unlock(&connection->lock);
        finish(call, ending ? connection_problem("unreachable", "the connection is closed")
                            : connection_problem("busy", "too many requests await the node"));
        return;
    }
    call->id = request->id = ++connection->last_id;
    call->begins_at = connection->appended;
    append(connection, request);
    add_call(connection, call);
    send_or_dial(connection);
}

uint64_t connection_follow(struct connection *connection, const char *duckling, bool directory,
                           connection_seen seen, void *context, void *copy, bool awaited)
{
    struct follow *follow = memory_take(sizeof *follow);
    uint64_t id;

    follow->duckling = memory_copy(duckling ? duckling : "", duckling ? strlen(duckling) + 1 : 1);
    follow->directory = directory;
    follow->seen = seen;
    follow->context = context;
    follow->copy = copy;
    follow->awaited = awaited;
    pthread_mutex_lock(&connection->lock);
    id = follow->id = ++connection->last_id;
    follow->next = connection->follows;
    connection->follows = follow;
    append_follow(connection, follow);
    send_or_dial(connection);
    return id;
}

bool connection_follow_began(struct connection *connection, uint64_t id, uint64_t within_ms)
{
    uint64_t until_ms = now_ms() + within_ms;
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    struct follow *follow;
    int passed = 0;
    bool began;

    pthread_mutex_lock(&connection->lock);
    for (follow = connection->follows; follow->id != id;)
        follow = follow->next; /* it is there for as long as it is awaited */
    while (!follow->began && !follow->refused && passed != ETIMEDOUT)
        passed = pthread_cond_timedwait(&connection->changed, &connection->lock, &until);
    began = follow->began && !follow->refused;
    follow->awaited = false;
    sweep_follows(connection);
    pthread_mutex_unlock(&connection->lock);
    return began;
}

void connection_unfollow(struct connection *connection, uint64_t id)
{
    struct follow *follow;
    bool sends = false;

    pthread_mutex_lock(&connection->lock);
    follow = find_follow(connection, id);
    if (follow) {
        follow->over = true;
        append_cancel(connection, id);
        sends = prepare_send(connection);
    }
    if (sends) {
        pthread_mutex_unlock(&connection->lock);
        start_send(connection);
        pthread_mutex_lock(&connection->lock);
    }
    if (!connection_is_own_thread(connection))
        while (connection->calling == id) /* after this, `seen` is not called any more */
            pthread_cond_wait(&connection->changed, &connection->lock);
    sweep_follows(connection);
    pthread_mutex_unlock(&connection->lock);
}

/* ---- opening and closing ---- */

static void free_connection(struct connection *connection)
{
    if (connection->dial_aio)
        nng_aio_free(connection->dial_aio);
    if (connection->receive_aio)
        nng_aio_free(connection->receive_aio);
    if (connection->send_aio)
        nng_aio_free(connection->send_aio);
    if (connection->dialer)
        nng_stream_dialer_free(connection->dialer);
    while (connection->follows) {
        struct follow *follow = connection->follows;

        connection->follows = follow->next;
        free_follow(follow);
    }
    local_buffer_free(&connection->out);
    local_buffer_free(&connection->sending);
    local_buffer_free(&connection->unread);
    pthread_cond_destroy(&connection->work);
    pthread_cond_destroy(&connection->changed);
    pthread_mutex_destroy(&connection->lock);
    memory_give_back(connection);
}

static bool allocate_nng(struct connection *connection, const char *path)
{
    char url[sizeof((struct sockaddr_un *)0)->sun_path + 8];

    snprintf(url, sizeof url, "ipc://%s", path);
    return nng_stream_dialer_alloc(&connection->dialer, url) == 0 &&
           nng_aio_alloc(&connection->dial_aio, dial_ended, connection) == 0 &&
           nng_aio_alloc(&connection->receive_aio, receive_ended, connection) == 0 &&
           nng_aio_alloc(&connection->send_aio, send_ended, connection) == 0;
}

static const char *dial_problem(int error)
{
    if (error == NNG_EPERM)
        return "this socket belongs to another user";
    if (error == NNG_ENOFILES || error == NNG_ENOMEM)
        return "this process is out of files or memory";
    return "no node answers on its socket: is ducknode running?";
}

static void wait_for_first_dial(struct connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    connection->wanted = true;
    pthread_cond_signal(&connection->work);
    while (connection->dials_ended == 0)
        pthread_cond_wait(&connection->changed, &connection->lock);
    pthread_mutex_unlock(&connection->lock);
}

int connection_open(struct connection **opened, const char *path, const char **problem)
{
    struct connection *connection;
    pthread_condattr_t steady;

    if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path) {
        *problem = "the path of the node's socket is longer than 107 bytes";
        return -1;
    }
    connection = memory_take(sizeof *connection);
    pthread_mutex_init(&connection->lock, NULL);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&connection->work, &steady);
    pthread_cond_init(&connection->changed, &steady);
    pthread_condattr_destroy(&steady);
    connection->next_deadline_ms = NEVER_MS;
    connection->redial_ms = REDIAL_FIRST_MS;
    if (!allocate_nng(connection, path) ||
        pthread_create(&connection->thread, NULL, run, connection) != 0) {
        *problem = "this process is out of files or memory";
        free_connection(connection);
        return -1;
    }
    wait_for_first_dial(connection);
    if (connection->dial_error) {
        *problem = dial_problem(connection->dial_error);
        connection_close(connection);
        return -1;
    }
    *opened = connection;
    return 0;
}

void connection_close(struct connection *connection)
{
    if (!connection)
        return;
    assert(!connection_is_own_thread(connection));
    pthread_mutex_lock(&connection->lock);
    connection->ending = true;
    pthread_cond_signal(&connection->work);
    pthread_mutex_unlock(&connection->lock);
    pthread_join(connection->thread, NULL);
    free_connection(connection);
}
