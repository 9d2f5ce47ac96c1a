/* holder: what the files of the client share of a duckling's key. Internal. */
#ifndef DUCK_CLIENT_HOLDER_H
#define DUCK_CLIENT_HOLDER_H

#include "core/certificate.h"
#include "duck_grant.h"

#include <sys/types.h>

#define HOLDER_BASE64 sodium_base64_VARIANT_URLSAFE_NO_PADDING

struct duck_holder {
    struct identity_key *key;
    struct arena memory;
    struct bytes chain;
    struct bytes first; /* the first certificate alone, packed like it */
    struct id id;
    char text[ID_TEXT_SIZE];
    char *jws; /* NULL: not made yet */
};

void *holder_say(const char **problem, const char *sentence); /* NULL, always */

/* A file that is the caller's and nobody else's to read, into guarded memory. How much of it; -1: not. */
ssize_t holder_read_private(const char *path, char *text, size_t max, const char **problem);
/* One line of base64; `*text` goes on behind it. */
bool holder_read_line(const char **text, uint8_t *data, size_t max, size_t *size);
/* Such a file, new; one that is there is left alone. 0, or -1. */
int holder_write_private(const char *path, const char *text, const char **problem);

#endif
