/* An answer that goes on for as long as somebody listens. */
#include "exchange_inside.h"

#include <stdatomic.h>
#include <sys/socket.h>

#define STREAM_BLOCK 1024u /* bytes that the library asks for at once; each listener has one */
#define STREAM_SOCKET_ROOM 32768 /* bytes in the kernel for a reader that is slow */

static ssize_t read_stream(void *context, uint64_t position, char *room, size_t size)
{
    struct exchange *exchange = context;
    struct exchange_inside *inside = exchange->inside;
    long written;

    (void)position;
    exchange_unpark(exchange);
    if (exchange_is_stopping())
        return MHD_CONTENT_READER_END_OF_STREAM;
    written = inside->next(exchange, room, size);
    if (written > 0)
        connection_deadline(inside->slot, gateway_now_ms() + STREAM_READ_MS);
    return written == STREAM_ENDS ? MHD_CONTENT_READER_END_OF_STREAM : written;
}

void exchange_stream_rest(struct exchange *exchange)
{
    connection_deadline(exchange->inside->slot, UINT64_MAX);
    exchange_park_only(exchange);
}

static void bound_socket(const struct exchange *exchange)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->inside->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int room = STREAM_SOCKET_ROOM;

    setsockopt(info->connect_fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}

void exchange_answer_stream(struct exchange *exchange, const char *type, exchange_stream_next *next,
                            exchange_then *ended)
{
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, exchange, NULL);

    exchange->inside->next = next;
    exchange->inside->ended = ended;
    if (!response)
        return;
    bound_socket(exchange);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, "X-Accel-Buffering", "no"); /* proxies would gather it */
    exchange_give(exchange, MHD_HTTP_OK, response);
}
