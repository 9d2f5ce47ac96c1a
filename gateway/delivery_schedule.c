#include "delivery_schedule.h"

#include <assert.h>

#define SECOND_MS 1000ull
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)

uint64_t delivery_wait_ms(unsigned attempt)
{
    static const uint64_t waits[DELIVERY_ATTEMPTS_MAX] = {
        0,           5 * SECOND_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS,
        5 * HOUR_MS, 10 * HOUR_MS,  14 * HOUR_MS,  20 * HOUR_MS,   24 * HOUR_MS,
    };

    assert(attempt >= 1 && attempt <= DELIVERY_ATTEMPTS_MAX);
    return waits[attempt - 1];
}

enum delivery_verdict delivery_judge(unsigned attempt, const struct delivery_outcome *outcome,
                                     uint64_t now_ms, struct dice *dice, uint64_t *due_ms)
{
    uint64_t wait_ms, asked_ms = outcome->retry_after_ms;

    if (outcome->status >= 200 && outcome->status < 300)
        return DELIVERY_DONE;
    if (outcome->status == 410)
        return DELIVERY_GONE;
    if (attempt >= DELIVERY_ATTEMPTS_MAX)
        return DELIVERY_DEAD;
    wait_ms = delivery_wait_ms(attempt + 1);
    if (asked_ms > DELIVERY_RETRY_AFTER_MAX_MS)
        asked_ms = DELIVERY_RETRY_AFTER_MAX_MS;
    if (asked_ms > wait_ms)
        wait_ms = asked_ms;
    *due_ms = now_ms + wait_ms + dice_below(dice, wait_ms / DELIVERY_JITTER_PART + 1);
    return DELIVERY_AGAIN;
}
