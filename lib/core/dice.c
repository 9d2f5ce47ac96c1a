#include "dice.h"

#include <assert.h>
#include <sodium.h>

#define BLOCK_SIZE 64 /* of ChaCha20 */

_Static_assert(DICE_SEED_SIZE == crypto_stream_chacha20_ietf_KEYBYTES, "a seed is a key");

static void refill(struct dice *dice)
{
    uint8_t nonce[crypto_stream_chacha20_NONCEBYTES] = {0};

    /* The original ChaCha20 with its 64-bit counter: the stream does not end. */
    memset(dice->pool, 0, sizeof dice->pool);
    crypto_stream_chacha20_xor_ic(dice->pool, dice->pool, sizeof dice->pool, nonce, dice->block,
                                  dice->seed);
    dice->block += sizeof dice->pool / BLOCK_SIZE;
    dice->used = 0;
}

void dice_init(struct dice *dice, const uint8_t seed[DICE_SEED_SIZE])
{
    memset(dice, 0, sizeof *dice);
    memcpy(dice->seed, seed, DICE_SEED_SIZE);
    dice->used = sizeof dice->pool;
}

void dice_init_number(struct dice *dice, uint64_t number)
{
    uint8_t seed[DICE_SEED_SIZE] = {0};

    for (size_t i = 0; i < sizeof number; i++)
        seed[i] = (uint8_t)(number >> (8 * i));
    dice_init(dice, seed);
}

void dice_fill(struct dice *dice, void *data, size_t size)
{
    uint8_t *out = data;

    while (size > 0) {
        size_t part;

        if (dice->used == sizeof dice->pool)
            refill(dice);
        part = sizeof dice->pool - dice->used;
        if (part > size)
            part = size;
        memcpy(out, dice->pool + dice->used, part);
        sodium_memzero(dice->pool + dice->used, part); /* what was rolled may become a key */
        dice->used += part;
        out += part;
        size -= part;
    }
}

uint64_t dice_below(struct dice *dice, uint64_t bound)
{
    uint64_t roll, uneven;

    assert(bound > 0);
    uneven = -bound % bound; /* 2^64 mod bound: below it some results would come once too often */
    do
        dice_fill(dice, &roll, sizeof roll);
    while (roll < uneven);
    return roll % bound;
}

uint64_t dice_jitter_ms(struct dice *dice, uint64_t ms)
{
    uint64_t half = ms / 2;

    return ms - dice_below(dice, half + 1);
}
