#include "partials.h"

#include <assert.h>
#include <sodium.h>

const char *partials_verdict_text(enum partials_verdict verdict)
{
    switch (verdict) {
    case PARTIALS_ROOM:
        return "fine";
    case PARTIALS_EMPTY:
        return "a partial answer is not empty";
    case PARTIALS_TOO_LARGE:
        return "a partial answer is at most 32768 bytes";
    case PARTIALS_TOO_MANY:
        return "a peck has at most 4096 partial answers";
    case PARTIALS_TOO_MUCH:
        return "the partial answers of a peck are at most 1048576 bytes in all";
    }
    return "";
}

enum partials_verdict partials_judge(const struct partials *partials, size_t size)
{
    if (size == 0)
        return PARTIALS_EMPTY;
    if (size > PARTIAL_SIZE_MAX)
        return PARTIALS_TOO_LARGE;
    if (partials->count >= PARTIALS_MAX)
        return PARTIALS_TOO_MANY;
    if (size > PARTIALS_BYTES_MAX - partials->bytes)
        return PARTIALS_TOO_MUCH;
    return PARTIALS_ROOM;
}

void partials_add(struct partials *partials, struct bytes payload)
{
    uint32_t number = partials->count + 1;
    uint8_t written[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                          (uint8_t)number};
    crypto_generichash_state state;

    assert(partials_judge(partials, payload.size) == PARTIALS_ROOM);
    crypto_generichash_init(&state, NULL, 0, HASH_SIZE);
    crypto_generichash_update(&state, partials->hash.bytes, HASH_SIZE);
    crypto_generichash_update(&state, written, sizeof written);
    crypto_generichash_update(&state, payload.data, payload.size);
    crypto_generichash_final(&state, partials->hash.bytes, HASH_SIZE);
    partials->count = number;
    partials->bytes += (uint32_t)payload.size;
}
