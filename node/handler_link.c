#include "handler_link.h"

#include "client/local_frames.h"
#include "fault.h"
#include "wire/local.pb-c.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define RECEIVE_STEP (64u * KIB)

struct handler_link {
    int socket;
    struct local_buffer in, out;
};

int handler_link_open(struct handler_link **opened, const char *socket_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct handler_link *link;
    int made;

    if (strlen(socket_path) >= sizeof address.sun_path)
        return FAULT_ADDRESS;
    strcpy(address.sun_path, socket_path);
    made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (made < 0)
        return FAULT_SOCKET;
    if (connect(made, (struct sockaddr *)&address, sizeof address) != 0) {
        close(made);
        return FAULT_SOCKET;
    }
    link = memory_take(sizeof *link);
    link->socket = made;
    *opened = link;
    return 0;
}

void handler_link_close(struct handler_link *link)
{
    if (!link)
        return;
    close(link->socket);
    local_buffer_free(&link->in);
    local_buffer_free(&link->out);
    memory_give_back(link);
}

void handler_link_send(struct handler_link *link, const Duck__Request *request)
{
    local_buffer_append(&link->out, request);
}

size_t handler_link_unsent(const struct handler_link *link)
{
    return local_buffer_size(&link->out);
}

struct pollfd handler_link_fd(const struct handler_link *link)
{
    short events = POLLIN;

    if (handler_link_unsent(link) > 0)
        events |= POLLOUT;
    return (struct pollfd){.fd = link->socket, .events = events};
}

static bool would_wait(ssize_t size)
{
    return size < 0 && (errno == EAGAIN || errno == EINTR);
}

static bool send_on(struct handler_link *link)
{
    while (handler_link_unsent(link) > 0) {
        ssize_t sent = send(link->socket, link->out.data + link->out.begin,
                            local_buffer_size(&link->out), MSG_DONTWAIT | MSG_NOSIGNAL);

        if (would_wait(sent))
            return true;
        if (sent <= 0)
            return false;
        link->out.begin += (size_t)sent;
    }
    local_buffer_clear(&link->out);
    return true;
}

/* One step at a time: what came is looked at before more is read. */
static bool receive_on(struct handler_link *link)
{
    uint8_t *room = local_buffer_room(&link->in, RECEIVE_STEP);
    ssize_t size = recv(link->socket, room, RECEIVE_STEP, MSG_DONTWAIT);

    if (would_wait(size))
        return true;
    if (size <= 0)
        return false;
    link->in.end += (size_t)size;
    return true;
}

bool handler_link_move(struct handler_link *link)
{
    return send_on(link) && receive_on(link);
}

Duck__Reply *handler_link_next(struct handler_link *link, bool *lost)
{
    enum local_frame_verdict verdict;
    struct bytes frame;
    Duck__Reply *reply;

    verdict = local_buffer_next(&link->in, LOCAL_REPLY_MAX, &frame);
    *lost = verdict != LOCAL_FRAME_TAKEN && verdict != LOCAL_FRAME_PARTIAL;
    if (verdict != LOCAL_FRAME_TAKEN)
        return NULL;
    reply = duck__reply__unpack(NULL, frame.size, frame.data);
    *lost = reply == NULL;
    return reply;
}
