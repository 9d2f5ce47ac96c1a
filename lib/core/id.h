/* id: the names of things, made from their bytes and so checked, never looked up.
 *
 * An id is the first 20 bytes of the hash of the thing that made it; its text is a prefix and
 * lower-case base32 (RFC 4648, section 6) without padding. */
#ifndef DUCK_CORE_ID_H
#define DUCK_CORE_ID_H

#include "bytes.h"

#define HASH_SIZE 32
#define ID_SIZE 20
#define ID_TEXT_SIZE 37 /* "dkl_", 32 characters, NUL */

struct hash {
    uint8_t bytes[HASH_SIZE]; /* BLAKE2b-256, RFC 7693 */
};

struct id {
    uint8_t bytes[ID_SIZE];
};

enum id_kind { ID_DUCKLING, ID_NODE, ID_PECK, ID_CERTIFICATE, ID_BOND, ID_OPERATOR, ID_GRANT,
               ID_WANTED };

struct hash hash_of(struct bytes bytes);
static inline bool hash_equal(const struct hash *left, const struct hash *right)
{
    return memcmp(left->bytes, right->bytes, HASH_SIZE) == 0;
}

struct id id_of(const struct hash *hash);
static inline bool id_equal(const struct id *left, const struct id *right)
{
    return memcmp(left->bytes, right->bytes, ID_SIZE) == 0; /* every table asks: no call */
}
bool id_is_zero(const struct id *id);
int id_compare(const struct id *left, const struct id *right);
struct bytes id_bytes(const struct id *id);

/* False, and `*id` unchanged, unless `bytes` has ID_SIZE. */
bool id_from_bytes(struct bytes bytes, struct id *id);

/* Writes "dkl_…", "nod_…", "pck_…", "crt_…", "bnd_…", "opr_…", "grt_…" or "sig_…", and NUL. Returns `text`. */
const char *id_text(enum id_kind kind, const struct id *id, char text[ID_TEXT_SIZE]);

/* Reads what id_text wrote; anything else, upper case and stray bits included, is refused. */
bool id_parse(enum id_kind kind, struct bytes text, struct id *id);
const char *id_form(enum id_kind kind); /* for people whose id was refused: "a peck's id is pck_ and 32 characters" */

/* RFC 4648, section 6, lower case, no padding. `text` needs base32_text_size(size) bytes. Decoding
 * refuses lengths that no encoder makes, upper case and non-zero spare bits. */
size_t base32_text_size(size_t size); /* with NUL */
void base32_encode(struct bytes bytes, char *text);
bool base32_decode(struct bytes text, uint8_t *data, size_t capacity, size_t *size);

#endif
