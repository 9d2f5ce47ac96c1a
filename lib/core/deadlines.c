#include "deadlines.h"

#include "buckets.h"

#include <assert.h>

#define BRANCHES 4u

void deadlines_free(struct deadlines *deadlines)
{
    memory_give_back(deadlines->numbers);
    deadlines->numbers = NULL;
    deadlines->count = deadlines->capacity = 0;
}

static bool is_earlier(const struct deadlines *deadlines, uint32_t left, uint32_t right)
{
    return deadlines->ends_earlier(deadlines->owner, left, right);
}

static void put(struct deadlines *deadlines, size_t place, uint32_t number)
{
    deadlines->numbers[place] = number;
    deadlines->stands(deadlines->owner, number, (uint32_t)place);
}

static size_t soonest_child(const struct deadlines *deadlines, size_t place)
{
    size_t child = place * BRANCHES + 1, last = child + BRANCHES - 1, best = child;

    if (last >= deadlines->count)
        last = deadlines->count - 1;
    while (++child <= last)
        if (is_earlier(deadlines, deadlines->numbers[child], deadlines->numbers[best]))
            best = child;
    return best;
}

void deadlines_settle(struct deadlines *deadlines, uint32_t from)
{
    uint32_t number = deadlines->numbers[from];
    size_t place = from;

    while (place > 0) {
        size_t parent = (place - 1) / BRANCHES;

        if (!is_earlier(deadlines, number, deadlines->numbers[parent]))
            break;
        put(deadlines, place, deadlines->numbers[parent]);
        place = parent;
    }
    while (place * BRANCHES + 1 < deadlines->count) {
        size_t child = soonest_child(deadlines, place);

        if (!is_earlier(deadlines, deadlines->numbers[child], number))
            break;
        put(deadlines, place, deadlines->numbers[child]);
        place = child;
    }
    put(deadlines, place, number);
}

void deadlines_add(struct deadlines *deadlines, uint32_t number)
{
    if (deadlines->count == deadlines->capacity) {
        deadlines->capacity = buckets_more(deadlines->capacity);
        deadlines->numbers =
            memory_resize(deadlines->numbers, deadlines->capacity * sizeof *deadlines->numbers);
    }
    deadlines->numbers[deadlines->count++] = number;
    deadlines_settle(deadlines, (uint32_t)(deadlines->count - 1));
}

void deadlines_remove(struct deadlines *deadlines, uint32_t place)
{
    uint32_t last = deadlines->numbers[--deadlines->count];

    assert(place <= deadlines->count);
    if (place == deadlines->count)
        return;
    deadlines->numbers[place] = last;
    deadlines_settle(deadlines, place);
}

void deadlines_rename(struct deadlines *deadlines, uint32_t place, uint32_t number)
{
    put(deadlines, place, number);
}
