/* Followers: they outlive the stream, and learn of the gap. */
#include "connection_parts.h"

#include "wire/local.pb-c.h"

#include <errno.h>

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
    connection_append(connection, &request);
}

/* The stream came up: what was told before the break is told again. */
void connection_follows_resume(struct connection *connection)
{
    for (struct follow *follow = connection->follows; follow; follow = follow->next)
        if (follow->resend && !follow->over)
            append_follow(connection, follow);
}

/* It could not come up: what had been appended is lost. */
void connection_follows_fail(struct connection *connection)
{
    for (struct follow *follow = connection->follows; follow; follow = follow->next)
        follow->resend = true;
}

/* It broke: events may have been missed. */
void connection_follows_break(struct connection *connection)
{
    for (struct follow *follow = connection->follows; follow; follow = follow->next)
        if (follow->begins_at < connection->handed) {
            follow->resend = true;
            follow->gaps++;
        }
}

struct follow *connection_find_follow(struct connection *connection, uint64_t id)
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
    connection_append(connection, &request);
}

/* Under the lock, let go while `seen` runs. */
void connection_tell_follow(struct connection *connection, struct follow *follow,
                            Duck__Reply *reply)
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
        sends = connection_prepare_send(connection);
    }
    pthread_cond_broadcast(&connection->changed);
    sweep_follows(connection);
    if (sends) {
        pthread_mutex_unlock(&connection->lock);
        connection_start_send(connection);
        pthread_mutex_lock(&connection->lock);
    }
}

void connection_follows_free(struct connection *connection)
{
    while (connection->follows) {
        struct follow *follow = connection->follows;

        connection->follows = follow->next;
        free_follow(follow);
    }
}

/* ---- for callers ---- */

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
    connection_send_or_dial(connection);
    return id;
}

bool connection_follow_began(struct connection *connection, uint64_t id, uint64_t within_ms)
{
    uint64_t until_ms = connection_now_ms() + within_ms;
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
    follow = connection_find_follow(connection, id);
    if (follow) {
        follow->over = true;
        append_cancel(connection, id);
        sends = connection_prepare_send(connection);
    }
    if (sends) {
        pthread_mutex_unlock(&connection->lock);
        connection_start_send(connection);
        pthread_mutex_lock(&connection->lock);
    }
    if (!connection_is_own_thread(connection))
        while (connection->calling == id) /* after this, `seen` is not called any more */
            pthread_cond_wait(&connection->changed, &connection->lock);
    sweep_follows(connection);
    pthread_mutex_unlock(&connection->lock);
}
