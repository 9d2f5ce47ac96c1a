/* reconcile_message: the messages of negentropy protocol v1, byte by byte.
 *
 *     message = version, ranges in ascending order, each beginning where the one before ended
 *     range   = bound (exclusive end), varint mode, payload
 *     bound   = varint t, varint n, n bytes of a hash; t = 0: infinity, else 1 + seconds since the
 *               bound before; hash bytes that are not there are zero
 *     varint  = base 128, most significant group first, high bit on all bytes but the last
 *
 * Read strictly: what no implementation writes (varints with leading zeros, of more than 64 bits,
 * bounds that run backwards, lists longer than the message) is malformed. */
#ifndef DUCK_CORE_RECONCILE_MESSAGE_H
#define DUCK_CORE_RECONCILE_MESSAGE_H

#include "recordset.h"

#define RECONCILE_VERSION 0x61
#define RECONCILE_VERSION_FIRST 0x60 /* what a version byte can be */
#define RECONCILE_VERSION_LAST 0x6f
#define BOUND_INFINITY UINT64_MAX

struct bound {
    uint64_t at_s;      /* BOUND_INFINITY: beyond everything, whatever the hash */
    struct hash hash;   /* zeros from hash_size on */
    size_t hash_size;
};

enum range_mode { RANGE_SKIP, RANGE_FINGERPRINT, RANGE_LIST };

struct range {
    struct bound end;
    enum range_mode mode;
    struct bytes payload; /* a fingerprint, or hashes; borrowed from the message */
};

/* ---- reading ---- */

struct range_reader {
    struct bytes rest; /* after the version byte */
    struct bound before;
    bool malformed;
};

struct range_reader range_reader_of(struct bytes message);
bool range_next(struct range_reader *reader, struct range *range); /* false: end, or malformed */

/* ---- writing ---- */

struct range_writer {
    uint8_t *data;
    size_t size, room;
    uint64_t before_s;
};

void range_writer_begin(struct range_writer *writer); /* keeps its memory */
void range_writer_free(struct range_writer *writer);

void range_put_skip(struct range_writer *writer, const struct bound *end);
void range_put_fingerprint(struct range_writer *writer, const struct bound *end,
                           const uint8_t print[RECORDSET_PRINT_SIZE]);
/* The hashes of set[begin..end). */
void range_put_list(struct range_writer *writer, const struct bound *bound,
                    const struct recordset *set, size_t begin, size_t end);

/* ---- bounds ---- */

int bound_compare(const struct bound *left, const struct bound *right);
struct bound bound_infinity(void);
struct bound bound_at(uint64_t at_s);                   /* before everything of that second */
struct bound bound_before(const struct stamp *stamp);   /* just before it, all of its hash */

/* The shortest one that parts `left` from its successor `right`. */
struct bound bound_between(const struct stamp *left, const struct stamp *right);

/* The index of the first stamp that is not before it. */
size_t bound_seek(const struct bound *bound, const struct recordset *set);

#endif
