#include "bundle.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* ---- what may be compared ---- */

/* A field of protobuf that has bytes. `*rest` begins behind it then. */
static bool next_field(struct bytes *rest, uint8_t *number, struct bytes *content)
{
    size_t at = 1, size = 0;

    if (rest->size < 2 || (rest->data[0] & 7) != 2)
        return false;
    *number = rest->data[0] >> 3;
    for (unsigned shift = 0;; shift += 7, at++) {
        if (at >= rest->size || shift > 21)
            return false;
        size |= (size_t)(rest->data[at] & 0x7F) << shift;
        if (!(rest->data[at] & 0x80))
            break;
    }
    at++;
    if (size > rest->size - at)
        return false;
    *content = bytes_of(rest->data + at, size);
    *rest = bytes_of(rest->data + at + size, rest->size - at - size);
    return true;
}

static struct bytes find_envelope(struct bytes body)
{
    struct bytes content;
    uint8_t number;

    while (next_field(&body, &number, &content))
        if (number == 2) /* PeckFrame.peck, ReceiptFrame.receipt, PartialFrame.receipt */
            return content;
    return bytes_of(NULL, 0);
}

/* What an envelope says, and its signature, are left out; of other frames everything is. */
static void measure(struct bytes body, struct bundle_part *part)
{
    struct bytes rest, content;
    const uint8_t *secret = NULL;
    uint8_t number;

    part->size = body.size;
    part->head = part->tail = 0;
    if (part->kind != FRAME_PECK && part->kind != FRAME_RECEIPT && part->kind != FRAME_PARTIAL)
        return;
    rest = find_envelope(body);
    for (const uint8_t *field = rest.data; next_field(&rest, &number, &content);
         field = rest.data) {
        if (number == 3)
            secret = field;
        if (number != 4 || !secret)
            continue;
        part->head = (size_t)(secret - body.data);
        part->tail = (size_t)(body.data + body.size - rest.data);
        return;
    }
}

static size_t smaller(size_t one, size_t other)
{
    return one < other ? one : other;
}

static size_t same_head(const uint8_t *one, const uint8_t *other, size_t most)
{
    size_t count = 0;

    while (count < most && one[count] == other[count])
        count++;
    return count;
}

static size_t same_tail(const uint8_t *one_end, const uint8_t *other_end, size_t most)
{
    size_t count = 0;

    while (count < most && one_end[-1 - (ptrdiff_t)count] == other_end[-1 - (ptrdiff_t)count])
        count++;
    return count;
}

/* ---- out ---- */

void bundle_free(struct bundle *bundle)
{
    memory_give_back(bundle->last);
    *bundle = (struct bundle){.data = NULL};
}

void bundle_begin(struct bundle *bundle, uint8_t *data, size_t room)
{
    bundle->data = data;
    bundle->room = room;
    bundle->size = bundle->opened = 0;
    bundle->before = (struct bundle_part){.kind = 0};
}

static uint8_t *put_number(uint8_t *at, size_t number)
{
    at[0] = (uint8_t)(number >> 8);
    at[1] = (uint8_t)number;
    return at + 2;
}

static void remember(struct bundle *bundle, const struct bundle_part *part, struct bytes body)
{
    bundle->before = *part;
    if (part->head == 0)
        return;
    if (!bundle->last)
        bundle->last = memory_resize(NULL, BUNDLE_BODY_MAX);
    memcpy(bundle->last, body.data, body.size);
}

bool bundle_add(struct bundle *bundle, uint8_t kind, struct bytes body)
{
    const struct bundle_part *before = &bundle->before;
    struct bundle_part part = {.kind = kind};
    size_t head = 0, tail = 0, middle;
    uint8_t *at;

    assert(body.size <= BUNDLE_BODY_MAX);
    measure(body, &part);
    if (part.head > 0 && before->kind == kind) {
        head = same_head(body.data, bundle->last, smaller(part.head, before->head));
        tail = same_tail(body.data + body.size, bundle->last + before->size,
                         smaller(part.tail, before->tail));
    }
    middle = body.size - head - tail;
    if (bundle->room - bundle->size < BUNDLE_ENTRY_OVERHEAD + middle ||
        bundle->opened + 1 + body.size > BUNDLE_OPENED_MAX)
        return false;
    at = bundle->data + bundle->size;
    *at++ = kind;
    at = put_number(at, head);
    at = put_number(at, tail);
    at = put_number(at, middle);
    if (middle > 0)
        memcpy(at, body.data + head, middle);
    bundle->size += BUNDLE_ENTRY_OVERHEAD + middle;
    bundle->opened += 1 + body.size;
    remember(bundle, &part, body);
    return true;
}

/* ---- in ---- */

void bundle_open(struct bundle_reader *reader, struct bytes packed)
{
    reader->rest = packed;
    reader->size = reader->opened = 0;
    reader->frame[0] = 0;
}

static size_t get_number(const uint8_t *at)
{
    return (size_t)at[0] << 8 | at[1];
}

static enum bundle_verdict refuse(struct bundle_reader *reader)
{
    reader->rest = bytes_of(NULL, 0);
    return BUNDLE_MALFORMED;
}

enum bundle_verdict bundle_next(struct bundle_reader *reader, struct bytes *inner)
{
    const uint8_t *entry = reader->rest.data;
    uint8_t *body = reader->frame + 1;
    size_t head, tail, middle, size;

    if (reader->rest.size == 0)
        return BUNDLE_END;
    if (reader->rest.size < BUNDLE_ENTRY_OVERHEAD)
        return refuse(reader);
    head = get_number(entry + 1);
    tail = get_number(entry + 3);
    middle = get_number(entry + 5);
    size = head + middle + tail;
    if (middle > reader->rest.size - BUNDLE_ENTRY_OVERHEAD || head + tail > reader->size ||
        (head + tail > 0 && entry[0] != reader->frame[0]) || size > BUNDLE_BODY_MAX ||
        reader->opened + 1 + size > BUNDLE_OPENED_MAX)
        return refuse(reader);
    memmove(body + head + middle, body + reader->size - tail, tail);
    memcpy(body + head, entry + BUNDLE_ENTRY_OVERHEAD, middle);
    reader->frame[0] = entry[0];
    reader->size = size;
    reader->opened += 1 + size;
    reader->rest = bytes_of(entry + BUNDLE_ENTRY_OVERHEAD + middle,
                            reader->rest.size - BUNDLE_ENTRY_OVERHEAD - middle);
    *inner = bytes_of(reader->frame, 1 + size);
    return BUNDLE_FRAME;
}
