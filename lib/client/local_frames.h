/* local_frames: the framing of the local API, for both of its ends.
 *
 * A frame is its length (4 bytes, big-endian) and a packed message. Memory grows as bytes arrive,
 * never by what a length claims. */
#ifndef DUCK_CLIENT_LOCAL_FRAMES_H
#define DUCK_CLIENT_LOCAL_FRAMES_H

#include "core/bytes.h"
#include "core/limits.h"

#define LOCAL_PREFIX_SIZE 4u
#define LOCAL_REQUEST_MAX (1u * MIB) /* to the node */
#define LOCAL_REPLY_MAX (64u * MIB)  /* from it: a take of 200 pecks of the largest kind fits */

/* Bytes that came and are not read yet, or wait to be sent. All zero is empty. */
struct local_buffer {
    uint8_t *data;
    size_t begin, end, capacity; /* the bytes are data[begin] to data[end - 1] */
};

enum local_frame_verdict {
    LOCAL_FRAME_TAKEN,
    LOCAL_FRAME_PARTIAL,   /* more bytes must come */
    LOCAL_FRAME_EMPTY,     /* length 0 */
    LOCAL_FRAME_TOO_LARGE, /* length over `frame_max` */
};

void local_buffer_free(struct local_buffer *buffer);
static inline size_t local_buffer_size(const struct local_buffer *buffer)
{
    return buffer->end - buffer->begin;
}

/* Room for at least `size` bytes behind the end; the caller adds to `end` what it wrote. */
uint8_t *local_buffer_room(struct local_buffer *buffer, size_t size);

/* The next whole frame, borrowed until the next call with this buffer. */
enum local_frame_verdict local_buffer_next(struct local_buffer *buffer, size_t frame_max,
                                           struct bytes *frame);

/* Empties it; a large one gives its memory back. */
void local_buffer_clear(struct local_buffer *buffer);

/* Packs a wire message (ProtobufCMessage) as one frame behind the end. */
void local_buffer_append(struct local_buffer *buffer, const void *message);

#endif
