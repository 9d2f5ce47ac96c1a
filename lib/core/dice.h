/* dice: all chance, from one seed.
 *
 * ChaCha20 (RFC 8439) as a stream keyed by the seed: the same seed rolls the same dice. The node seeds it from the
 * operating system at birth; the pond seeds it from a number. */
#ifndef DUCK_CORE_DICE_H
#define DUCK_CORE_DICE_H

#include "bytes.h"

#define DICE_SEED_SIZE 32

struct dice {
    uint8_t seed[DICE_SEED_SIZE];
    uint64_t block;        /* next block of the stream */
    uint8_t pool[256];
    size_t used;           /* of the pool */
};

void dice_init(struct dice *dice, const uint8_t seed[DICE_SEED_SIZE]);
void dice_init_number(struct dice *dice, uint64_t number); /* for the pond and tests */
void dice_fill(struct dice *dice, void *data, size_t size);
uint64_t dice_below(struct dice *dice, uint64_t bound); /* 0 ≤ result < bound, unbiased; bound > 0 */

/* Full jitter: a wait from the upper half of [0, ms], so that crowds spread. */
uint64_t dice_jitter_ms(struct dice *dice, uint64_t ms);

#endif
