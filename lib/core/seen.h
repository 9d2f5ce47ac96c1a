/* seen: hashes of what was verified lately, so that a copy of it costs no signature check.
 *
 * A table with one place for each hash: a later one takes it. Who grinds hashes to drive others out
 * makes us verify a copy twice, no more. Not thread-safe. */
#ifndef DUCK_CORE_SEEN_H
#define DUCK_CORE_SEEN_H

#include "id.h"

struct seen;

struct seen *seen_new(size_t places); /* a power of two */
void seen_free(struct seen *seen);    /* NULL is fine */

void seen_note(struct seen *seen, const struct hash *hash);
bool seen_has(const struct seen *seen, const struct hash *hash);

#endif
