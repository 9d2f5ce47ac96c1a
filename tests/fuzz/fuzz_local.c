/* Requests on the local API, framed, unpacked and judged as the node does it. */
#include "people.h"

#include "local_parts.h"
#include "wire/local.pb-c.h"

static void take(struct bytes frame)
{
    struct message *message = message_new_order(PARSE_BUDGET(frame.size) + 16 * KIB, frame.size);
    const Duck__Request *asked =
        duck__request__unpack(arena_protobuf_allocator(&message->arena), frame.size, frame.data);
    struct local_refusal refusal = {0};
    struct wish wish = {0};

    if (asked && !local_read_request(asked, message, &wish, &refusal)) {
        MUST(refusal.code != REFUSAL_NONE);
        MUST(refusal.message && refusal.message[0]);
    }
    message_free(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct local_buffer buffer = {0};
    struct bytes frame;

    if (size > 0)
        memcpy(local_buffer_room(&buffer, size), data, size);
    buffer.end += size;
    while (local_buffer_next(&buffer, LOCAL_FRAME_MAX, &frame) == LOCAL_FRAME_TAKEN)
        take(frame);
    local_buffer_free(&buffer);
    return 0;
}
