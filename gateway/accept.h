/* accept: in which form a client wants an answer. Each takes a header as it came; NULL: absent. */
#ifndef DUCK_GATE_ACCEPT_H
#define DUCK_GATE_ACCEPT_H

#include <stdbool.h>
#include <stddef.h>

/* Accept-Encoding (RFC 9110, section 12.5.3): does it name `coding`, or "*", with a weight over 0? */
bool accept_coding(const char *header, const char *coding);

/* Accept (section 12.5.1): which of `types` it likes best; of the equally liked ones the first.
 * Absent: the first. `count`: none of them. */
size_t accept_type(const char *header, const char *const *types, size_t count);

/* If-None-Match (section 13.1.2), by weak comparison: does the client have `tag` already? */
bool accept_has_tag(const char *header, const char *tag);

#endif
