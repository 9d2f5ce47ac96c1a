#include "framing.h"

#include <assert.h>

#define SHRINK_FACTOR                                                                              \
    4u /* an empty buffer so many times larger than what is wanted is given back */

void framing_init(struct framing *framing, size_t frame_max)
{
    *framing = (struct framing){.frame_max = frame_max};
}

void framing_free(struct framing *framing)
{
    memory_give_back(framing->data);
    framing->data = NULL;
    framing->start = framing->end = framing->capacity = 0;
    framing->began_ms = 0;
}

void framing_rest(struct framing *framing)
{
    if (framing->start == framing->end)
        framing_free(framing);
}

static size_t read_length(const uint8_t *data)
{
    return (size_t)data[0] << 24 | (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3];
}

/* Looks at the frame that begins at `at`; `*size` is its length when that is known. */
static enum framing_verdict look(const struct framing *framing, size_t at, size_t *size)
{
    size_t held = framing->end - at;

    *size = 0;
    if (held < FRAMING_LENGTH_SIZE)
        return FRAMING_MORE;
    *size = read_length(framing->data + at);
    if (*size > framing->frame_max)
        return FRAMING_TOO_LONG;
    if (*size == 0)
        return FRAMING_EMPTY;
    return held - FRAMING_LENGTH_SIZE < *size ? FRAMING_MORE : FRAMING_TAKEN;
}

/* Bytes that the first frame still lacks; 0: not known, or none. */
static size_t lacking(const struct framing *framing)
{
    size_t size;

    if (look(framing, framing->start, &size) != FRAMING_MORE || size == 0)
        return 0;
    return FRAMING_LENGTH_SIZE + size - (framing->end - framing->start);
}

static void compact(struct framing *framing)
{
    size_t held = framing->end - framing->start;

    if (framing->start > 0 && held > 0)
        memmove(framing->data, framing->data + framing->start, held);
    framing->start = 0;
    framing->end = held;
}

static void reserve(struct framing *framing, size_t capacity)
{
    if (framing->capacity >= capacity)
        return;
    framing->data = memory_resize(framing->data, capacity);
    framing->capacity = capacity;
}

uint8_t *framing_room(struct framing *framing, size_t wanted, size_t *room)
{
    size_t held, more;

    assert(wanted > 0);
    compact(framing);
    held = framing->end;
    more = lacking(framing);
    if (more > held)
        more = held; /* doubling, by what has come and not by what is claimed */
    if (more < wanted)
        more = wanted;
    if (held == 0 && framing->capacity > SHRINK_FACTOR * wanted)
        framing_free(framing);
    reserve(framing, held + more);
    *room = framing->capacity - held;
    return framing->data + held;
}

static void note_beginning(struct framing *framing)
{
    if (framing->start == framing->end || framing_has_frame(framing))
        framing->began_ms = 0;
    else if (framing->began_ms == 0)
        framing->began_ms = framing->filled_ms;
}

void framing_fill(struct framing *framing, size_t size, uint64_t now_ms)
{
    assert(size <= framing->capacity - framing->end);
    framing->end += size;
    framing->filled_ms = now_ms;
    note_beginning(framing);
}

bool framing_has_frame(const struct framing *framing)
{
    size_t size;

    return look(framing, framing->start, &size) == FRAMING_TAKEN;
}

enum framing_verdict framing_next(struct framing *framing, uint8_t **frame, size_t *size)
{
    enum framing_verdict verdict = look(framing, framing->start, size);

    if (verdict != FRAMING_TAKEN) {
        note_beginning(framing);
        return verdict;
    }
    *frame = framing->data + framing->start + FRAMING_LENGTH_SIZE;
    framing->start += FRAMING_LENGTH_SIZE + *size;
    return FRAMING_TAKEN;
}

void framing_split(struct framing *framing, struct framing *rest)
{
    size_t at = framing->start, size;
    enum framing_verdict verdict;

    assert(rest->start == rest->end);
    while ((verdict = look(framing, at, &size)) == FRAMING_TAKEN)
        at += FRAMING_LENGTH_SIZE + size;
    rest->frame_max = framing->frame_max;
    rest->start = rest->end = 0;
    rest->began_ms = 0;
    if (verdict != FRAMING_MORE || at == framing->end)
        return;
    size = framing->end - at;
    reserve(rest, size);
    memcpy(rest->data, framing->data + at, size);
    rest->end = size;
    rest->filled_ms = framing->filled_ms;
    rest->began_ms = at == framing->start ? framing->began_ms : framing->filled_ms;
    framing->end = at;
    framing->began_ms = 0;
}

void framing_put_length(uint8_t out[FRAMING_LENGTH_SIZE], size_t size)
{
    assert(size <= UINT32_MAX);
    out[0] = (uint8_t)(size >> 24);
    out[1] = (uint8_t)(size >> 16);
    out[2] = (uint8_t)(size >> 8);
    out[3] = (uint8_t)size;
}
