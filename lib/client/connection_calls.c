/* Calls in flight, by id, and their deadlines. */
#include "connection_parts.h"

#include "wire/local.pb-c.h"

#include <assert.h>

/* A reply of our own making; freed as any other. */
static struct Duck__Reply *problem_of(const char *code, const char *message)
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

struct call *connection_take_call(struct connection *connection, uint64_t id)
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

void connection_finish_call(struct call *call, Duck__Reply *reply)
{
    call->done(call->context, reply);
    memory_give_back(call);
}

/* Under the lock. Takes off every call for which `is_meant`, as a chain. */
struct call *connection_take_calls(struct connection *connection,
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

void connection_finish_calls(struct call *calls, const char *code, const char *message)
{
    while (calls) {
        struct call *call = calls;

        calls = call->next;
        connection_finish_call(call, problem_of(code, message));
    }
}

bool connection_call_begins_before(const struct call *call, uint64_t handed)
{
    return call->begins_at < handed;
}

static bool is_late(const struct call *call, uint64_t at_ms)
{
    return call->deadline_ms <= at_ms;
}

/* Under the lock, let go meanwhile. */
void connection_expire_calls(struct connection *connection, uint64_t at_ms)
{
    struct call *late = connection_take_calls(connection, is_late, at_ms);

    connection->next_deadline_ms = NEVER_MS;
    for (size_t i = 0; i < CALL_SLOTS; i++)
        for (struct call *call = connection->calls[i]; call; call = call->next)
            if (call->deadline_ms < connection->next_deadline_ms)
                connection->next_deadline_ms = call->deadline_ms;
    pthread_mutex_unlock(&connection->lock);
    connection_finish_calls(late, "timeout", "the node did not answer in time");
    pthread_mutex_lock(&connection->lock);
}

/* Under the lock, which it lets go of. */
void connection_send_or_dial(struct connection *connection)
{
    bool waits = connection->delivering && connection_is_own_thread(connection);
    bool sends = !waits && connection_prepare_send(connection);

    if (connection->state != CONNECTION_UP && !connection->wanted) {
        connection->wanted = true;
        pthread_cond_signal(&connection->work);
    }
    pthread_mutex_unlock(&connection->lock);
    if (sends)
        connection_start_send(connection);
}

void connection_call(struct connection *connection, Duck__Request *request, uint64_t timeout_ms,
                     connection_done done, void *context)
{
    size_t size = duck__request__get_packed_size(request);
    struct call *call;

    if (size + 16 > LOCAL_REQUEST_MAX) { /* its id comes on top */
        done(context, problem_of("too_large", "a request to the node is at most 1 MiB"));
        return;
    }
    call = memory_take(sizeof *call);
    call->done = done;
    call->context = context;
    call->deadline_ms = connection_now_ms() + (timeout_ms ? timeout_ms : CALL_TIMEOUT_MS);
    pthread_mutex_lock(&connection->lock);
    if (connection->ending || local_buffer_size(&connection->out) + size > CONNECTION_OUT_MAX) {
        bool ending = connection->ending;

        pthread_mutex_unlock(&connection->lock);
        connection_finish_call(call, ending
                                         ? problem_of("unreachable", "the connection is closed")
                                         : problem_of("busy", "too many requests await the node"));
        return;
    }
    call->id = request->id = ++connection->last_id;
    call->begins_at = connection->appended;
    connection_append(connection, request);
    add_call(connection, call);
    connection_send_or_dial(connection);
}
