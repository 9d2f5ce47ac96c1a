/* The stream: what goes over it, how it comes and goes. */
#include "connection_parts.h"

#include "wire/local.pb-c.h"

/* ---- sending ---- */

/* Under the lock. True: the caller starts the send once it has let go of the lock. */
bool connection_prepare_send(struct connection *connection)
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
void connection_note_broken(struct connection *connection)
{
    connection->broken = true;
    pthread_cond_signal(&connection->work);
}

static void fail_send(struct connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    connection->send_busy = false;
    connection_note_broken(connection);
    pthread_mutex_unlock(&connection->lock);
}

/* True: more is ready to be sent. */
static bool end_send(struct connection *connection, size_t count)
{
    bool more;

    pthread_mutex_lock(&connection->lock);
    connection->sending.begin += count; /* writes may be partial */
    more = local_buffer_size(&connection->sending) > 0 && !connection->broken;
    if (!more) {
        local_buffer_clear(&connection->sending);
        connection->send_busy = false;
        more = connection_prepare_send(connection);
    }
    if (!connection->send_busy && connection->broken)
        pthread_cond_signal(&connection->work);
    pthread_mutex_unlock(&connection->lock);
    return more;
}

/* What is sent at once is ended here, the rest in connection_send_ended. */
void connection_start_send(struct connection *connection)
{
    bool more = true;

    while (more) {
        const uint8_t *data = connection->sending.data + connection->sending.begin;
        size_t size = local_buffer_size(&connection->sending), count;

        if (!local_stream_try_send(&connection->stream, connection->try_aio, data, size, &count)) {
            fail_send(connection);
            return;
        }
        if (count == 0) {
            if (!local_stream_send(&connection->stream, connection->send_aio, data, size))
                fail_send(connection);
            return;
        }
        more = end_send(connection, count);
    }
}

void connection_send_ended(void *context)
{
    struct connection *connection = context;

    if (nng_aio_result(connection->send_aio))
        fail_send(connection);
    else if (end_send(connection, nng_aio_count(connection->send_aio)))
        connection_start_send(connection);
}

/* ---- receiving ---- */

void connection_start_receive(struct connection *connection)
{
    if (local_stream_receive(&connection->stream, connection->receive_aio, connection->chunk,
                             sizeof connection->chunk))
        return;
    pthread_mutex_lock(&connection->lock);
    connection->receive_busy = false;
    connection_note_broken(connection);
    pthread_mutex_unlock(&connection->lock);
}

void connection_receive_ended(void *context)
{
    struct connection *connection = context;
    size_t count = nng_aio_count(connection->receive_aio);
    bool again;

    pthread_mutex_lock(&connection->lock);
    if (nng_aio_result(connection->receive_aio) || connection->broken) {
        connection->receive_busy = false;
        connection_note_broken(connection);
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
        connection_start_receive(connection);
}

/* ---- coming and going ---- */

void connection_dial_ended(void *context)
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

void connection_append(struct connection *connection, const Duck__Request *request)
{
    size_t before = local_buffer_size(&connection->out);

    local_buffer_append(&connection->out, request);
    connection->appended += local_buffer_size(&connection->out) - before;
}

/* Under the lock, which is let go for the calls into nng. */
void connection_go_up(struct connection *connection)
{
    bool sends;

    connection->state = CONNECTION_UP;
    connection->redial_ms = REDIAL_FIRST_MS;
    connection->receive_busy = true;
    connection_follows_resume(connection);
    sends = connection_prepare_send(connection);
    connection->dials_ended++;
    pthread_cond_broadcast(&connection->changed);
    pthread_mutex_unlock(&connection->lock);
    connection_start_receive(connection);
    if (sends)
        connection_start_send(connection);
    pthread_mutex_lock(&connection->lock);
}

/* Under the lock, let go while calls are answered: nothing that waits can be sent. */
void connection_stay_down(struct connection *connection)
{
    struct call *calls;

    connection->state = CONNECTION_DOWN;
    connection->wanted = false;
    connection->redial_at_ms = connection_now_ms() + connection->redial_ms;
    connection->redial_ms =
        connection->redial_ms * 2 < REDIAL_MAX_MS ? connection->redial_ms * 2 : REDIAL_MAX_MS;
    local_buffer_clear(&connection->out);
    connection->handed = connection->appended;
    connection_follows_fail(connection);
    calls = connection_take_calls(connection, connection_call_begins_before, connection->handed);
    connection->dials_ended++;
    pthread_cond_broadcast(&connection->changed);
    pthread_mutex_unlock(&connection->lock);
    connection_finish_calls(calls, "unreachable",
                            "no node answers on its socket: is ducknode running?");
    pthread_mutex_lock(&connection->lock);
}

/* The same, once nothing of nng's is under way on the broken stream. */
void connection_drop_stream(struct connection *connection)
{
    struct call *calls;

    local_stream_free(&connection->stream);
    connection->state = CONNECTION_DOWN;
    connection->broken = connection->unread_paused = false;
    connection->redial_at_ms = 0;
    local_buffer_clear(&connection->sending);
    local_buffer_clear(&connection->unread);
    connection->wanted = local_buffer_size(&connection->out) > 0;
    connection_follows_break(connection);
    calls = connection_take_calls(connection, connection_call_begins_before, connection->handed);
    pthread_mutex_unlock(&connection->lock);
    connection_finish_calls(calls, "unreachable", "the node went away before it answered");
    pthread_mutex_lock(&connection->lock);
}
