#include "moment.h"

int version_compare(struct version left, struct version right)
{
    if (left.ms != right.ms)
        return left.ms < right.ms ? -1 : 1;
    return (left.count > right.count) - (left.count < right.count);
}

struct version version_next(struct version last, uint64_t wall_ms)
{
    if (wall_ms > last.ms)
        return (struct version){.ms = wall_ms};
    if (last.count == UINT32_MAX)
        return (struct version){.ms = last.ms + 1};
    return (struct version){.ms = last.ms, .count = last.count + 1};
}
