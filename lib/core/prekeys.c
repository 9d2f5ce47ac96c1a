#include "prekeys.h"

struct prekeys {
    struct pre_key list[PRE_KEYS_MAX]; /* in order of their dates */
    size_t count;
};

struct prekeys *prekeys_new(void)
{
    return memory_take(sizeof(struct prekeys));
}

void prekeys_free(struct prekeys *prekeys)
{
    if (!prekeys)
        return;
    noise_wipe(prekeys, sizeof *prekeys);
    memory_give_back(prekeys);
}

static void drop_first(struct prekeys *prekeys)
{
    memmove(&prekeys->list[0], &prekeys->list[1], (prekeys->count - 1) * sizeof *prekeys->list);
    noise_wipe(&prekeys->list[--prekeys->count], sizeof *prekeys->list);
}

bool prekeys_add(struct prekeys *prekeys, const uint8_t secret[NOISE_KEY_SIZE], uint64_t made_ms)
{
    struct pre_key added = {.made_ms = made_ms};
    size_t place;

    noise_pair_from_secret(&added.pair, secret);
    if (prekeys_find(prekeys, added.pair.public)) {
        noise_wipe(&added, sizeof added);
        return false;
    }
    if (prekeys->count == PRE_KEYS_MAX)
        drop_first(prekeys);
    place = prekeys->count++;
    for (; place > 0 && prekeys->list[place - 1].made_ms > made_ms; place--)
        prekeys->list[place] = prekeys->list[place - 1];
    prekeys->list[place] = added;
    noise_wipe(&added, sizeof added);
    return true;
}

size_t prekeys_count(const struct prekeys *prekeys)
{
    return prekeys->count;
}

const struct pre_key *prekeys_newest(const struct prekeys *prekeys)
{
    return prekeys->count > 0 ? &prekeys->list[prekeys->count - 1] : NULL;
}

const struct pre_key *prekeys_find(const struct prekeys *prekeys,
                                   const uint8_t hint[PRE_KEY_HINT_SIZE])
{
    for (size_t i = 0; i < prekeys->count; i++)
        if (memcmp(prekeys->list[i].pair.public, hint, PRE_KEY_HINT_SIZE) == 0)
            return &prekeys->list[i];
    return NULL;
}

bool prekeys_are_due(const struct prekeys *prekeys, uint64_t wall_ms)
{
    const struct pre_key *newest = prekeys_newest(prekeys);

    return !newest || wall_ms >= newest->made_ms + PRE_KEY_LIFE_MS ||
           newest->made_ms > wall_ms + CLOCK_SKEW_MAX_MS;
}

bool prekeys_forget_next(struct prekeys *prekeys, uint64_t wall_ms, uint8_t public[NOISE_KEY_SIZE])
{
    if (prekeys->count == 0 || prekeys->list[0].made_ms + PRE_KEY_KEPT_MS > wall_ms)
        return false;
    memcpy(public, prekeys->list[0].pair.public, NOISE_KEY_SIZE);
    drop_first(prekeys);
    return true;
}

uint64_t prekeys_next_ms(const struct prekeys *prekeys)
{
    uint64_t newer_ms, over_ms;

    if (prekeys->count == 0)
        return MOMENT_NEVER;
    newer_ms = prekeys_newest(prekeys)->made_ms + PRE_KEY_LIFE_MS;
    over_ms = prekeys->list[0].made_ms + PRE_KEY_KEPT_MS;
    return newer_ms < over_ms ? newer_ms : over_ms;
}
