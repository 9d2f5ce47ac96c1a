/* view: what the node says, as members of JSON answers. One word per thing: see the table in the
 * design's section 2; ids are text, times RFC 3339, signed bytes standard base64. */
#ifndef DUCK_GATE_VIEW_H
#define DUCK_GATE_VIEW_H

#include <jansson.h>
#include <stdbool.h>

struct Duck__PeckView; /* wire/local.pb-c.h */
struct Duck__PeckList;
struct Duck__BondView;
struct Duck__DirectoryEntry;
struct Duck__CertificateAnswer;
struct Duck__ContextView;

enum view_depth {
    VIEW_BRIEF, /* in a list: without signed bytes */
    VIEW_WHOLE, /* alone: all that a stranger needs to check it */
};

json_t *view_peck(const struct Duck__PeckView *peck, enum view_depth depth);
json_t *view_pecks(const struct Duck__PeckList *pecks); /* {"pecks": […], "next_cursor"} */
bool view_peck_is_done(const struct Duck__PeckView *peck);
json_t *view_bond(const struct Duck__BondView *bond);
json_t *view_entry(const struct Duck__DirectoryEntry *entry);
void view_tier(json_t *object, const struct Duck__DirectoryEntry *entry); /* and what it rests on */
struct public_key;
json_t *view_jwk(const struct public_key *key);
json_t *view_certificate(const struct Duck__CertificateAnswer *answer);
json_t *view_own_certificate(const struct Duck__CertificateAnswer *answer); /* and its contexts */
json_t *view_context(const struct Duck__ContextView *context);

#endif
