/* bundle: several inner frames in one, each as what tells it from the one before it.
 *
 * Pecks and receipts that were signed together share their signer's certificates and nearly all of
 * their Merkle paths: of a frame of 750 bytes some 300 differ. And one seal serves for all.
 *
 * Only what is no secret is compared: never the body of an envelope nor its signature. So the size of
 * a bundle tells nobody on the way whether two pecks say the same (what CRIME made of compression
 * before encryption). The wire: proto/gossip.proto, kind 26. */
#ifndef DUCK_CORE_BUNDLE_H
#define DUCK_CORE_BUNDLE_H

#include "effect.h"
#include "limits.h"

#define BUNDLE_ENTRY_OVERHEAD 7u /* of each frame: kind (1), head, tail, size (2 each) */

/* One in the making. All zero is a good beginning. */
struct bundle {
    uint8_t *data; /* packed, in the caller's room */
    size_t room, size;
    size_t opened;  /* what the frames come to once they are whole again */
    uint8_t *last;  /* the body before; NULL: none was worth keeping yet */
    struct bundle_part {
        uint8_t kind;
        size_t size, head, tail; /* of its body: as much at either end may be compared */
    } before;
};

void bundle_free(struct bundle *bundle);

/* Begins anew, in `room` bytes at `data`, which the caller keeps until it takes out .size bytes. */
void bundle_begin(struct bundle *bundle, uint8_t *data, size_t room);

/* At most BUNDLE_BODY_MAX bytes of body. False: it is full, and nothing was added. */
bool bundle_add(struct bundle *bundle, uint8_t kind, struct bytes body);

enum bundle_verdict {
    BUNDLE_FRAME, /* here is the next one */
    BUNDLE_END,
    BUNDLE_MALFORMED, /* and none follows */
};

struct bundle_reader {
    struct bytes rest;
    size_t size, opened;                  /* of the last body; of all frames so far */
    uint8_t frame[1 + BUNDLE_BODY_MAX];   /* the last one: kind and body */
};

/* `packed` is the body of a frame of kind FRAME_BUNDLE, borrowed. */
void bundle_open(struct bundle_reader *reader, struct bytes packed);

/* `*inner`, kind and body, is borrowed until the next call. */
enum bundle_verdict bundle_next(struct bundle_reader *reader, struct bytes *inner);

#endif
