/* connection: one stream to the node, shared by all calls of a `struct duck`. Internal.
 *
 * Requests are matched to replies by id. While one send is in flight, further requests gather and
 * leave together in the next. What was handed to a stream that then broke is answered
 * "unreachable"; what was not goes over the next one. Replies, events, deadlines and dialling are
 * the business of one thread of its own, "the client's thread". */
#ifndef DUCK_CLIENT_CONNECTION_H
#define DUCK_CLIENT_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#define CALL_TIMEOUT_MS 35000ull
#define CALL_MARGIN_MS 5000ull                      /* beyond what a call itself waits for */
#define CONNECTION_OUT_MAX (16u * 1024u * 1024u)    /* bytes that await sending; then "busy" */
#define CONNECTION_UNREAD_MAX (8u * 1024u * 1024u)  /* bytes that await the client's thread; then reading pauses */
#define REDIAL_FIRST_MS 100ull                      /* while somebody follows; doubling */
#define REDIAL_MAX_MS 2000ull

struct connection;
struct Duck__Request;
struct Duck__Reply;

typedef void (*connection_done)(void *context, struct Duck__Reply *reply);
typedef bool (*connection_seen)(void *context, const struct Duck__Reply *event);

/* 0 once connected, or -1 with `*problem` (may be NULL) a static sentence. */
int connection_open(struct connection **opened, const char *path, const char **problem);
void connection_close(struct connection *connection); /* NULL is fine */

void connection_call(struct connection *connection, struct Duck__Request *request,
                     uint64_t timeout_ms, connection_done done, void *context);

/* `copy` is given back (memory_give_back) when following ends, however that comes; NULL is fine.
 * `awaited`: connection_follow_began is called next. */
uint64_t connection_follow(struct connection *connection, const char *duckling, bool directory,
                           connection_seen seen, void *context, void *copy, bool awaited);
bool connection_follow_began(struct connection *connection, uint64_t follow, uint64_t within_ms);
void connection_unfollow(struct connection *connection, uint64_t follow);

/* On the client's own thread? Nothing that blocks may be called there. */
bool connection_is_own_thread(const struct connection *connection);

#endif
