/* partials: how far an answer that comes in parts has come. Both ends of a peck count the same way,
 * so that the `done` receipt can name what there was: it carries the count, and a hash over all. */
#ifndef DUCK_CORE_PARTIALS_H
#define DUCK_CORE_PARTIALS_H

#include "id.h"
#include "limits.h"

struct partials {
    uint32_t count;   /* numbered from 1; at most PARTIALS_MAX */
    uint32_t bytes;   /* of them all; at most PARTIALS_BYTES_MAX */
    struct hash hash; /* zero: none yet. H(hash before, number (4, big-endian), payload), BLAKE2b-256 */
};

enum partials_verdict {
    PARTIALS_ROOM,
    PARTIALS_EMPTY,     /* a partial answer says something */
    PARTIALS_TOO_LARGE, /* over PARTIAL_SIZE_MAX */
    PARTIALS_TOO_MANY,  /* there were PARTIALS_MAX */
    PARTIALS_TOO_MUCH,  /* with it they would be over PARTIALS_BYTES_MAX */
};

const char *partials_verdict_text(enum partials_verdict verdict);

/* May one more of `size` bytes follow? */
enum partials_verdict partials_judge(const struct partials *partials, size_t size);

/* The next one; judged before. */
void partials_add(struct partials *partials, struct bytes payload);

#endif
