/* Threads: callers (any), nng's callbacks (copy and queue, nothing else), and the client's thread,
 * which alone dials, frees streams and calls back. One lock; never held over a call into nng or
 * out to the user. */
#include "connection_parts.h"

#include "wire/local.pb-c.h"

#include <assert.h>
#include <stdio.h>
#include <sys/un.h>
#include <time.h>

uint64_t connection_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool connection_is_own_thread(const struct connection *connection)
{
    return pthread_equal(pthread_self(), connection->thread);
}

/* ---- the client's thread ---- */

static void deliver(struct connection *connection, struct bytes frame)
{
    Duck__Reply *reply = duck__reply__unpack(NULL, frame.size, frame.data);
    struct follow *follow;
    struct call *call;

    if (!reply) {
        pthread_mutex_lock(&connection->lock);
        connection_note_broken(connection); /* not our protocol: nothing after it can be trusted */
        pthread_mutex_unlock(&connection->lock);
        return;
    }
    pthread_mutex_lock(&connection->lock);
    call = connection_take_call(connection, reply->id);
    follow = call ? NULL : connection_find_follow(connection, reply->id);
    if (follow)
        connection_tell_follow(connection, follow, reply);
    pthread_mutex_unlock(&connection->lock);
    if (call)
        connection_finish_call(call, reply);
    else
        duck__reply__free_unpacked(reply, NULL); /* also: an answer that came too late */
}

/* Under the lock, let go meanwhile. Reads all whole frames that have come. */
static void read_all(struct connection *connection, struct local_buffer *reading)
{
    size_t came = local_buffer_size(&connection->unread);
    enum local_frame_verdict verdict;
    struct bytes frame;
    bool again, sends;

    memcpy(local_buffer_room(reading, came), connection->unread.data + connection->unread.begin,
           came);
    reading->end += came;
    local_buffer_clear(&connection->unread);
    again = connection->unread_paused && !connection->broken;
    if (again) {
        connection->unread_paused = false;
        connection->receive_busy = true;
    }
    connection->delivering = true;
    pthread_mutex_unlock(&connection->lock);
    if (again)
        connection_start_receive(connection);
    while ((verdict = local_buffer_next(reading, LOCAL_REPLY_MAX, &frame)) == LOCAL_FRAME_TAKEN)
        deliver(connection, frame);
    if (local_buffer_size(reading) == 0)
        local_buffer_clear(reading);
    pthread_mutex_lock(&connection->lock);
    connection->delivering = false;
    if (verdict != LOCAL_FRAME_PARTIAL)
        connection_note_broken(connection);
    sends = connection_prepare_send(connection);
    pthread_mutex_unlock(&connection->lock);
    if (sends)
        connection_start_send(connection);
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
    connection_drop_stream(connection);
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
    calls = connection_take_calls(connection, connection_call_begins_before, NEVER_MS);
    pthread_mutex_unlock(&connection->lock);
    connection_finish_calls(calls, "unreachable", "the connection to the node was closed");
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
                connection_stay_down(connection);
            else
                connection_go_up(connection);
        } else if (local_buffer_size(&connection->unread) > 0) {
            read_all(connection, &reading);
        } else if (connection->broken) {
            let_go(connection, &reading);
        } else if (connection_now_ms() >= connection->next_deadline_ms) {
            connection_expire_calls(connection, connection_now_ms());
        } else if (wants_dial(connection, connection_now_ms())) {
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

/* ---- opening and closing ---- */

static void free_connection(struct connection *connection)
{
    if (connection->dial_aio)
        nng_aio_free(connection->dial_aio);
    if (connection->receive_aio)
        nng_aio_free(connection->receive_aio);
    if (connection->send_aio)
        nng_aio_free(connection->send_aio);
    if (connection->try_aio)
        nng_aio_free(connection->try_aio);
    if (connection->dialer)
        nng_stream_dialer_free(connection->dialer);
    connection_follows_free(connection);
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
           nng_aio_alloc(&connection->dial_aio, connection_dial_ended, connection) == 0 &&
           nng_aio_alloc(&connection->receive_aio, connection_receive_ended, connection) == 0 &&
           nng_aio_alloc(&connection->send_aio, connection_send_ended, connection) == 0 &&
           nng_aio_alloc(&connection->try_aio, NULL, NULL) == 0;
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
