/* Frames cut anywhere: however the bytes arrive, the same frames come out, and none is longer than
 * may be. The first byte says how much arrives at a time. */
#include "framing.h"
#include "people.h"

#define FRAME_MAX 4096u

/* The reference: the same stream read at once. False: it is of no use from `*at` on. */
static bool next_whole(struct bytes stream, size_t *at, struct bytes *frame)
{
    size_t length;

    if (stream.size - *at < FRAMING_LENGTH_SIZE)
        return false;
    length = (size_t)stream.data[*at] << 24 | (size_t)stream.data[*at + 1] << 16 |
             (size_t)stream.data[*at + 2] << 8 | stream.data[*at + 3];
    if (length == 0 || length > FRAME_MAX || stream.size - *at - FRAMING_LENGTH_SIZE < length)
        return false;
    *frame = bytes_of(stream.data + *at + FRAMING_LENGTH_SIZE, length);
    *at += FRAMING_LENGTH_SIZE + length;
    return true;
}

static enum framing_verdict read_all(struct framing *framing, struct bytes stream, size_t *at)
{
    enum framing_verdict verdict;
    struct bytes expected;
    uint8_t *frame;
    size_t size;

    while ((verdict = framing_next(framing, &frame, &size)) == FRAMING_TAKEN) {
        MUST(next_whole(stream, at, &expected));
        MUST(bytes_equal(bytes_of(frame, size), expected));
    }
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t step = size > 0 ? data[0] + 1u : 1, came = 0, at = 0;
    struct bytes stream = bytes_of(size > 0 ? data + 1 : data, size > 0 ? size - 1 : 0), left;
    enum framing_verdict verdict = FRAMING_MORE;
    struct framing framing;

    framing_init(&framing, FRAME_MAX);
    while (came < stream.size && verdict == FRAMING_MORE) {
        size_t some = stream.size - came < step ? stream.size - came : step, room;
        uint8_t *place = framing_room(&framing, some, &room);
        MUST(room >= some);
        memcpy(place, stream.data + came, some);
        framing_fill(&framing, some, came + 1);
        came += some;
        verdict = read_all(&framing, stream, &at);
        MUST(framing.capacity <= 4 * came + 2 * step + 64 * KIB); /* not by what a length claims */
    }
    if (verdict == FRAMING_MORE)
        MUST(!next_whole(stream, &at, &left));
    framing_free(&framing);
    return 0;
}
