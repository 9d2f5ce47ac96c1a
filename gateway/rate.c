#include "rate.h"

#include <assert.h>
#include <sodium.h>

#define MINUTE_US 60000000u

_Static_assert(RATES_KEY_SIZE == crypto_shorthash_KEYBYTES, "a key for the hash");

struct rate {
    uint64_t caller;      /* its hash */
    uint64_t whole_at_us; /* GCRA's theoretical arrival time, plus one interval; 0: nobody's */
};

struct rates {
    uint8_t key[RATES_KEY_SIZE];
    size_t set_count;
    struct rate list[];
};

struct rates *rates_new(size_t entries_max, const uint8_t key[RATES_KEY_SIZE])
{
    struct rates *rates = memory_take(sizeof *rates + entries_max * sizeof rates->list[0]);

    assert(entries_max > 0 && entries_max % RATES_PLACES == 0);
    memcpy(rates->key, key, RATES_KEY_SIZE);
    rates->set_count = entries_max / RATES_PLACES;
    return rates;
}

void rates_free(struct rates *rates)
{
    memory_give_back(rates);
}

/* The caller's place, or the one that it takes over. */
static struct rate *find(struct rates *rates, struct bytes caller)
{
    struct rate *set, *least;
    uint64_t hash;

    crypto_shorthash((uint8_t *)&hash, caller.data, caller.size, rates->key);
    set = least = &rates->list[hash % rates->set_count * RATES_PLACES];
    for (size_t i = 0; i < RATES_PLACES; i++) {
        if (set[i].caller == hash)
            return &set[i];
        if (set[i].whole_at_us < least->whole_at_us)
            least = &set[i];
    }
    least->caller = hash;
    return least;
}

struct rate_answer rates_take(struct rates *rates, struct bytes caller, uint32_t per_minute,
                              uint64_t now_us)
{
    struct rate *rate = find(rates, caller);
    uint64_t interval_us = MINUTE_US / per_minute, window_us = interval_us * per_minute;
    uint64_t whole_at_us = rate->whole_at_us > now_us ? rate->whole_at_us : now_us;
    struct rate_answer answer = {.is_taken = whole_at_us + interval_us <= now_us + window_us};

    if (answer.is_taken)
        rate->whole_at_us = whole_at_us += interval_us;
    else
        answer.retry_after_us = whole_at_us + interval_us - now_us - window_us;
    answer.whole_at_us = whole_at_us;
    if (whole_at_us < now_us + window_us)
        answer.remaining = (uint32_t)((now_us + window_us - whole_at_us) / interval_us);
    return answer;
}
