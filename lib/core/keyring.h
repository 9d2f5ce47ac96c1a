/* keyring: the chains that were verified before, so that it is done once.
 *
 * Holds for each identity the longest chain seen. Not thread-safe. Bounded: beyond its size another
 * chain is forgotten, and would be verified again; of a single certificate, as long as half of what
 * is held are such. Whoever forgot that a key was rotated would take its thief at its word: what is
 * on the disk is kept here first, after a start (keyring_keep). */
#ifndef DUCK_CORE_KEYRING_H
#define DUCK_CORE_KEYRING_H

#include "certificate.h"

struct keyring;

/* One chain can be packed in several ways, and shorter ones of its identity come by for a while
 * after a rotation. So many of them are remembered for an identity; others are verified again. */
#define KEYRING_WAYS_MAX 4u

enum keyring_verdict {
    KEYRING_TAKEN,
    KEYRING_CONTRADICTED, /* two certificates with one sequence: theft or a broken node */
    KEYRING_UNKNOWN,      /* never seen: open the chain, then keyring_keep */
    KEYRING_OUTGROWN,     /* a longer one is held: it speaks by a retired key */
};

struct keyring *keyring_new(size_t chains_max);
void keyring_free(struct keyring *ring); /* NULL is fine */

/* Is exactly the chain of this hash, or a longer one of the same identity, held? Then `*identity`, `*kind`, and
 * the key that spoke at `wall_ms`; `*dates` is CERTIFICATE_TAKEN, _NOT_YET or _EXPIRED. */
enum keyring_verdict keyring_find(struct keyring *ring, const struct hash *hash, uint64_t wall_ms,
                                  struct id *identity, enum identity_kind *kind,
                                  struct public_key *key, enum certificate_verdict *dates);

/* Keeps a verified chain, unless a longer one is held. */
enum keyring_verdict keyring_keep(struct keyring *ring, const struct chain *chain);

/* And judges it as that of somebody who is here now: KEYRING_TAKEN, _OUTGROWN or _CONTRADICTED. */
enum keyring_verdict keyring_meet(struct keyring *ring, const struct chain *chain);

/* The keys before the last of the held chain, the newest first; each spoke from `from_ms` until before
 * `until_ms`. Only so many are kept ready: `*older_until_ms` is when the newest of those before them
 * ended; 0: there are none. */
#define KEYRING_RETIRED_MAX 2u
struct retired_key {
    struct public_key key;
    uint64_t from_ms, until_ms;
};
size_t keyring_retired(const struct keyring *ring, const struct id *identity,
                       struct retired_key keys[KEYRING_RETIRED_MAX], uint64_t *older_until_ms);

/* The held chain of an identity, packed; .data NULL when none. Borrowed until the next call. */
struct bytes keyring_chain(const struct keyring *ring, const struct id *identity);

#endif
