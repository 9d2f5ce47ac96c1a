/* binary_data: protobuf-c's bytes as ours, and back; nothing is copied. For .c files that pack and
 * unpack wire types. */
#ifndef DUCK_CORE_BINARY_DATA_H
#define DUCK_CORE_BINARY_DATA_H

#include "bytes.h"

#include <protobuf-c/protobuf-c.h>

static inline struct bytes borrowed(ProtobufCBinaryData data)
{
    return bytes_of(data.data, data.len);
}

/* protobuf-c's packing only reads, though its type does not say so. */
static inline ProtobufCBinaryData lent(struct bytes bytes)
{
    return (ProtobufCBinaryData){.len = bytes.size, .data = (uint8_t *)(uintptr_t)bytes.data};
}

/* Text for a member that is bytes, and for one that is a string; NULL is empty. */
static inline ProtobufCBinaryData lent_bytes(const char *text)
{
    return lent(bytes_of_text(text ? text : ""));
}

static inline char *lent_text(const char *text)
{
    return (char *)(uintptr_t)(text ? text : "");
}

#endif
