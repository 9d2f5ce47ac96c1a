#include "local_frames.h"

#include <protobuf-c/protobuf-c.h>

#define KEPT_CAPACITY (256u * KIB) /* an empty buffer above it gives its memory back */
#define FIRST_CAPACITY (4u * KIB)

void local_buffer_free(struct local_buffer *buffer)
{
    memory_give_back(buffer->data);
    *buffer = (struct local_buffer){0};
}

void local_buffer_clear(struct local_buffer *buffer)
{
    if (buffer->capacity > KEPT_CAPACITY)
        local_buffer_free(buffer);
    buffer->begin = buffer->end = 0;
}

uint8_t *local_buffer_room(struct local_buffer *buffer, size_t size)
{
    size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;

    if (buffer->begin == buffer->end)
        buffer->begin = buffer->end = 0;
    if (buffer->begin > 0 && buffer->capacity - buffer->end < size) {
        memmove(buffer->data, buffer->data + buffer->begin, local_buffer_size(buffer));
        buffer->end -= buffer->begin;
        buffer->begin = 0;
    }
    while (capacity - buffer->end < size)
        capacity *= 2;
    if (capacity != buffer->capacity) {
        buffer->data = memory_resize(buffer->data, capacity);
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->end;
}

enum local_frame_verdict local_buffer_next(struct local_buffer *buffer, size_t frame_max,
                                           struct bytes *frame)
{
    const uint8_t *at = buffer->data + buffer->begin;
    size_t have = local_buffer_size(buffer), size;

    if (have < LOCAL_PREFIX_SIZE)
        return LOCAL_FRAME_PARTIAL;
    size = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
    if (size == 0)
        return LOCAL_FRAME_EMPTY;
    if (size > frame_max)
        return LOCAL_FRAME_TOO_LARGE;
    if (have - LOCAL_PREFIX_SIZE < size)
        return LOCAL_FRAME_PARTIAL;
    *frame = bytes_of(at + LOCAL_PREFIX_SIZE, size);
    buffer->begin += LOCAL_PREFIX_SIZE + size;
    return LOCAL_FRAME_TAKEN;
}

void local_buffer_append(struct local_buffer *buffer, const void *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *at = local_buffer_room(buffer, LOCAL_PREFIX_SIZE + size);

    at[0] = (uint8_t)(size >> 24);
    at[1] = (uint8_t)(size >> 16);
    at[2] = (uint8_t)(size >> 8);
    at[3] = (uint8_t)size;
    protobuf_c_message_pack(message, at + LOCAL_PREFIX_SIZE);
    buffer->end += LOCAL_PREFIX_SIZE + size;
}
