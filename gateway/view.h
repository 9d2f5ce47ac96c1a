/* view: what the node says, as members of JSON answers. One word per thing: see the table in the
 * design's section 2; ids are text, times RFC 3339, signed bytes standard base64. */
#ifndef DUCK_GATE_VIEW_H
#define DUCK_GATE_VIEW_H

#include "wire/local.pb-c.h"

#include <jansson.h>
#include <stdbool.h>

enum view_depth {
    VIEW_BRIEF, /* in a list: without signed bytes */
    VIEW_WHOLE, /* alone: all that a stranger needs to check it */
};

json_t *view_peck(const Duck__PeckView *peck, enum view_depth depth);
json_t *view_pecks(const Duck__PeckList *pecks); /* {"pecks": […], "next_cursor"} */
bool view_peck_is_done(const Duck__PeckView *peck);
json_t *view_bond(const Duck__BondView *bond);
json_t *view_entry(const Duck__DirectoryEntry *entry);
json_t *view_certificate(const Duck__CertificateAnswer *answer);

#endif
