/* framing: frames over a stream: length (4 bytes, big-endian, of what follows), then so many bytes.
 *
 * Bytes are received straight into the buffer, and frames are read where they lie. The length that
 * a peer claims is never allocated: the buffer grows with what has arrived, so it holds at most
 * twice that and one receive's room. Knows no socket and no clock. Not thread-safe. */
#ifndef DUCK_NODE_FRAMING_H
#define DUCK_NODE_FRAMING_H

#include "core/bytes.h"

#define FRAMING_LENGTH_SIZE 4u

enum framing_verdict {
    FRAMING_TAKEN,    /* a frame */
    FRAMING_MORE,     /* the next one is not whole yet */
    FRAMING_TOO_LONG, /* it claims more than frame_max: the stream is of no more use */
    FRAMING_EMPTY,    /* it claims to have no bytes: likewise; every frame has some */
};

struct framing {
    uint8_t *data;
    size_t start, end, capacity; /* data[start, end) has come and was not read */
    size_t frame_max;            /* bytes of one frame without its length; may change between frames */
    uint64_t began_ms;           /* since when the first frame in here is incomplete; 0: it is not */
    uint64_t filled_ms;          /* when bytes came last */
};

void framing_init(struct framing *framing, size_t frame_max);
void framing_free(struct framing *framing); /* its buffer; may be used again */

/* Where the next bytes of the stream go: at least `wanted` of them, more while a long frame comes
 * in. Ends the life of frames that were read. When nothing is held and the buffer is much larger
 * than `wanted`, it is given back for a smaller one. */
uint8_t *framing_room(struct framing *framing, size_t wanted, size_t *room);

/* So many bytes came into that room. */
void framing_fill(struct framing *framing, size_t size, uint64_t now_ms);

/* The next frame, without its length; borrowed, and may be overwritten, until framing_room. */
enum framing_verdict framing_next(struct framing *framing, uint8_t **frame, size_t *size);

/* Whether framing_next would say FRAMING_TAKEN. */
bool framing_has_frame(const struct framing *framing);

/* Moves what follows the last whole frame to `rest`, which must hold nothing; so the stream can be
 * received on into `rest` while the whole frames are read here. A refusal stays here, after the
 * frames before it. */
void framing_split(struct framing *framing, struct framing *rest);

/* Gives the buffer back when nothing is held. */
void framing_rest(struct framing *framing);

void framing_put_length(uint8_t out[FRAMING_LENGTH_SIZE], size_t size);

#endif
