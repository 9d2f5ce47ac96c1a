/* recordset: which records there are, in the order of their times.
 *
 * A stamp names a record by its issue time and its hash; the set is ordered by both and keeps the
 * sum of the hashes below every node (hashsum.h), so that any run has a fingerprint at once. It is a
 * B+tree: a change, a look and a fingerprint cost O(log n) whatever comes in and in whatever order;
 * no leaf but the last is less than half full, which bounds a million stamps to 80 MiB.
 *
 * Order and fingerprint are those of negentropy protocol v1 (hoytech/negentropy,
 * docs/negentropy-protocol-v1.md): the hash counts as unsigned bytes for the order, as a
 * little-endian number for the sum. */
#ifndef DUCK_CORE_RECORDSET_H
#define DUCK_CORE_RECORDSET_H

#include "id.h"

#define STAMP_TIME_END (1ull << 31) /* seconds since 1970: JavaScript peers count up to here */
#define RECORDSET_PRINT_SIZE 16

struct stamp {
    uint32_t at_s; /* below STAMP_TIME_END */
    struct hash hash;
};

struct recordset;

struct recordset *recordset_new(void);
void recordset_free(struct recordset *set); /* NULL is fine */

/* False, and nothing changed: it is there already, or its time is none. */
bool recordset_insert(struct recordset *set, const struct stamp *stamp);
bool recordset_erase(struct recordset *set, const struct stamp *stamp); /* false: not there */

/* Inserts all; puts `stamps` in order first if they are not. Packs a set that was empty. Returns
 * how many were new. */
size_t recordset_load(struct recordset *set, struct stamp *stamps, size_t count);

bool recordset_contains(const struct recordset *set, const struct stamp *stamp);
size_t recordset_count(const struct recordset *set);
size_t recordset_memory(const struct recordset *set); /* bytes taken */

/* How many stand before `stamp`, which need not be there: the index of the first that does not. */
size_t recordset_seek(const struct recordset *set, const struct stamp *stamp);

/* Copies the stamps from index `begin` on, at most `max`; returns how many there were. */
size_t recordset_read(const struct recordset *set, size_t begin, struct stamp *stamps, size_t max);

/* Of the stamps with begin <= index < end; what lies beyond the set is not counted. The first
 * bytes of SHA-256 over the sum modulo 2^256 (32 bytes, little-endian) and the count (varint). */
void recordset_fingerprint(const struct recordset *set, size_t begin, size_t end,
                           uint8_t print[RECORDSET_PRINT_SIZE]);

int stamp_compare(const struct stamp *left, const struct stamp *right);

#endif
