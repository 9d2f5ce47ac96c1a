/* sealed: a peck for a node that is away, as its perches hold it.
 *
 * Noise_X_25519_ChaChaPoly_SHA256 (revision 34, section 7.4) to a pre-key of the owner; the suite is
 * that of the sessions. X and not N, so that the owner can tell which node sealed it: the static key
 * is a pre-key of that node. Who holds it learns its size, to a KiB. The wire: proto/perch.proto. */
#ifndef DUCK_CORE_SEALED_H
#define DUCK_CORE_SEALED_H

#include "id.h"
#include "prekeys.h"

enum sealed_verdict {
    SEALED_OPENED,
    SEALED_MALFORMED,
    SEALED_UNKNOWN_KEY, /* to none of our pre-keys: its time is over, or it is for somebody else */
    SEALED_BAD_TAG,     /* changed on the way, cut off, or not sealed to us */
};
const char *sealed_verdict_text(enum sealed_verdict verdict);

struct sealed_peck {
    struct bytes frame;      /* packed PeckFrame, without its kind */
    struct id after;         /* zero: none. Taken after that one, or… */
    uint64_t after_until_ms; /* …then; wall */
};

struct sealed_ends {
    struct bytes network;
    struct id owner;
};

/* `ephemeral` is fresh, from the dice. Empty: the owner's key is of low order, or the arena is spent. */
struct bytes sealed_seal(const struct sealed_ends *ends, const struct sealed_peck *peck,
                         const uint8_t owner_key[NOISE_KEY_SIZE], const struct noise_pair *sealer,
                         const uint8_t ephemeral[NOISE_KEY_SIZE], struct arena *arena);

/* `*peck` borrows from `arena`; `sealer` gets the static key of who sealed it. */
enum sealed_verdict sealed_open(const struct sealed_ends *ends, struct bytes sealed,
                                const struct prekeys *prekeys, struct arena *arena,
                                struct sealed_peck *peck, uint8_t sealer[NOISE_KEY_SIZE]);

/* What the largest peck takes, sealed. */
size_t sealed_size(size_t frame_size);

#endif
