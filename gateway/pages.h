/* pages: the files that are served as they are: the reference, /docs, and what browsers need for captcha and
 * passkeys. Compiled in, with their compressed forms; pages.py makes them. */
#ifndef DUCK_GATE_PAGES_H
#define DUCK_GATE_PAGES_H

#include "core/bytes.h"

struct page {
    const char *path, *type;
    const char *tag;  /* of its bytes; an ETag without its quotes */
    bool is_styled;   /* it has styles inside, which its policy allows */
    struct bytes plain, zipped; /* gzip, RFC 1952 */
};

const struct page *pages_find(const char *path); /* NULL: there is none */

#endif
