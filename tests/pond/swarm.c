#include "swarm.h"

static struct dice seed_dice(uint64_t seed)
{
    struct dice dice;

    dice_init_number(&dice, ~seed); /* others than the pond's own */
    return dice;
}

struct pond_wish swarm_wish(uint64_t seed, unsigned faults, unsigned habits)
{
    struct dice dice = seed_dice(seed);
    struct pond_wish wish = {.seed = seed, .faults = faults, .habits = habits, .pecks = true};

    wish.nodes = SWARM_NODES_MIN + dice_below(&dice, SWARM_NODES_MAX - SWARM_NODES_MIN + 1);
    wish.hostile = habits && dice_below(&dice, 2) ? 1 + dice_below(&dice, 4) : 0;
    wish.ducklings = dice_below(&dice, 9);
    wish.latency_us = (uint32_t)(1000 + dice_below(&dice, 50000));
    wish.perches = seed % 2;
    return wish;
}

bool swarm_run(struct pond *pond, uint64_t seed, bool agrees)
{
    struct dice dice = seed_dice(seed);
    uint64_t quiet_ms, faults_ms;

    dice_below(&dice, 2);
    quiet_ms = dice_below(&dice, 10 * SECOND_MS); /* some have formed when faults begin */
    faults_ms =
        SWARM_FAULTS_MIN_MS + dice_below(&dice, SWARM_FAULTS_MAX_MS - SWARM_FAULTS_MIN_MS + 1);
    if (!pond_run(pond, quiet_ms))
        return false;
    pond_begin_faults(pond);
    if (!pond_run(pond, faults_ms))
        return false;
    pond_end_faults(pond);
    return agrees ? pond_run_until_agreed(pond, SWARM_AGREE_MS) : pond_run(pond, SWARM_AGREE_MS);
}
