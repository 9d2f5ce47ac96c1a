/* local_stream: an nng stream that may be closed while others are about to use it.
 *
 * A send or receive that begins on a closed stream of nng 1.5.2 never ends: it is neither carried
 * out nor called back. So beginning and closing exclude each other here, and what would begin too
 * late says so. nng calls back from its own threads only, never from within these calls. */
#ifndef DUCK_CLIENT_LOCAL_STREAM_H
#define DUCK_CLIENT_LOCAL_STREAM_H

#include <nng/nng.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct local_stream {
    pthread_mutex_t lock;
    nng_stream *stream;
    bool closed;
};

void local_stream_init(struct local_stream *stream, nng_stream *opened);
void local_stream_free(struct local_stream *stream); /* nothing may be under way */

/* False: the stream is closed, and `aio` will not be called back. */
bool local_stream_send(struct local_stream *stream, nng_aio *aio, const uint8_t *data, size_t size);
bool local_stream_receive(struct local_stream *stream, nng_aio *aio, uint8_t *room, size_t size);

/* Nearly every send is taken by the kernel at once, and such a one should not cost the waking of one of nng's threads to
 * say so. `aio` has no callback; what would have to wait is taken back. `*count`: bytes that were sent, 0 when it would
 * have to wait. False: the stream is closed or failed. */
bool local_stream_try_send(struct local_stream *stream, nng_aio *aio, const uint8_t *data, size_t size,
                           size_t *count);
void local_stream_close(struct local_stream *stream); /* what is under way ends with an error */

#endif
