#include "local_stream.h"

void local_stream_init(struct local_stream *stream, nng_stream *opened)
{
    pthread_mutex_init(&stream->lock, NULL);
    stream->stream = opened;
    stream->closed = false;
}

void local_stream_free(struct local_stream *stream)
{
    pthread_mutex_lock(&stream->lock); /* whoever began last may not have left yet */
    pthread_mutex_unlock(&stream->lock);
    nng_stream_free(stream->stream);
    pthread_mutex_destroy(&stream->lock);
    stream->stream = NULL;
}

bool local_stream_send(struct local_stream *stream, nng_aio *aio, const uint8_t *data, size_t size)
{
    nng_iov part = {.iov_buf = (void *)data, .iov_len = size};
    bool begins;

    pthread_mutex_lock(&stream->lock);
    begins = !stream->closed;
    if (begins) {
        nng_aio_set_iov(aio, 1, &part);
        nng_stream_send(stream->stream, aio);
    }
    pthread_mutex_unlock(&stream->lock);
    return begins;
}

bool local_stream_try_send(struct local_stream *stream, nng_aio *aio, const uint8_t *data,
                           size_t size, size_t *count)
{
    int result = NNG_ECLOSED;

    *count = 0;
    if (local_stream_send(stream, aio, data, size)) {
        nng_aio_cancel(aio);
        nng_aio_wait(aio);
        result = nng_aio_result(aio);
    }
    if (result == 0)
        *count = nng_aio_count(aio);
    return result == 0 || result == NNG_ECANCELED;
}

bool local_stream_receive(struct local_stream *stream, nng_aio *aio, uint8_t *room, size_t size)
{
    nng_iov part = {.iov_buf = room, .iov_len = size};
    bool begins;

    pthread_mutex_lock(&stream->lock);
    begins = !stream->closed;
    if (begins) {
        nng_aio_set_iov(aio, 1, &part);
        nng_stream_recv(stream->stream, aio);
    }
    pthread_mutex_unlock(&stream->lock);
    return begins;
}

void local_stream_close(struct local_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    if (!stream->closed) {
        stream->closed = true;
        nng_stream_close(stream->stream);
    }
    pthread_mutex_unlock(&stream->lock);
}
