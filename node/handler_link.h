/* handler_link: the local API as a program with one thread and poll(2) speaks it.
 *
 * libduckclient has threads; whoever forks has none. When the link is lost, so is the node: there is
 * no second try. */
#ifndef DUCK_NODE_HANDLER_LINK_H
#define DUCK_NODE_HANDLER_LINK_H

#include "core/bytes.h"

#include <poll.h>

struct handler_link;
struct Duck__Request;
struct Duck__Reply;

int handler_link_open(struct handler_link **opened, const char *socket_path); /* FAULT_SOCKET, FAULT_ADDRESS */
void handler_link_close(struct handler_link *link); /* NULL is fine */

void handler_link_send(struct handler_link *link, const struct Duck__Request *request); /* queues a copy */
size_t handler_link_unsent(const struct handler_link *link); /* bytes */

struct pollfd handler_link_fd(const struct handler_link *link);
bool handler_link_move(struct handler_link *link); /* reads and writes what is possible; false: it is lost */

/* The next reply, NULL when there is none yet; the caller frees it with duck_reply_free. `*lost`:
 * what comes is not our protocol. */
struct Duck__Reply *handler_link_next(struct handler_link *link, bool *lost);

#endif
