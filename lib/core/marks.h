/* marks: how far the versions of a record had come when it ended.
 *
 * A record that ended, and an older one of its name that somebody still has, which ends later: without
 * a mark it would come back. A mark stands until no older version can be unexpired any more:
 * RECORD_LIFE_MAX_MS after its own version. When there are too many, those go that end first.
 * Belongs to directory.c. */
#ifndef DUCK_CORE_MARKS_H
#define DUCK_CORE_MARKS_H

#include "buckets.h"
#include "record.h"

struct marks;

struct marks *marks_new(size_t marks_max, const uint8_t key[BUCKETS_KEY_SIZE]);
void marks_free(struct marks *marks); /* NULL is fine */

uint64_t mark_until_ms(struct version version); /* wall */

/* Makes a mark, or raises the one that is there; never lowers it. */
void marks_raise(struct marks *marks, const struct id *owner, uint32_t kind, struct bytes key,
                 struct version version);

/* Is there a mark at `version` or above it? */
bool marks_stop(const struct marks *marks, const struct id *owner, uint32_t kind, struct bytes key,
                struct version version);

void marks_expire(struct marks *marks, uint64_t wall_ms);
size_t marks_count(const struct marks *marks);
size_t marks_memory(const struct marks *marks); /* bytes */

#endif
