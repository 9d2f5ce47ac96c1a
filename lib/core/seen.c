#include "seen.h"

#include <assert.h>

struct seen {
    size_t mask;
    struct hash *places; /* taken with the first */
};

struct seen *seen_new(size_t places)
{
    struct seen *seen = memory_take(sizeof *seen);

    assert(places > 0 && (places & (places - 1)) == 0);
    seen->mask = places - 1;
    return seen;
}

void seen_free(struct seen *seen)
{
    if (!seen)
        return;
    memory_give_back(seen->places);
    memory_give_back(seen);
}

static size_t place_of(const struct seen *seen, const struct hash *hash)
{
    uint64_t number;

    memcpy(&number, hash->bytes, sizeof number);
    return (size_t)number & seen->mask;
}

void seen_note(struct seen *seen, const struct hash *hash)
{
    if (!seen->places)
        seen->places = memory_take((seen->mask + 1) * sizeof *seen->places);
    seen->places[place_of(seen, hash)] = *hash;
}

bool seen_has(const struct seen *seen, const struct hash *hash)
{
    return seen->places && hash_equal(&seen->places[place_of(seen, hash)], hash);
}
