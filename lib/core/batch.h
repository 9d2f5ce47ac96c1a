/* batch: one signature for many things, each provable alone for ever.
 *
 * A Merkle tree as in RFC 6962, section 2.1 (a tree of n leaves splits at the largest power of two
 * below n), with BLAKE2b-256: leaf = H(0x00, hash), node = H(0x01, left, right). */
#ifndef DUCK_CORE_BATCH_H
#define DUCK_CORE_BATCH_H

#include "identity.h"

#define BATCH_ITEMS_MAX 256 /* gains end near 64; the path grows */
#define BATCH_PATH_MAX 8    /* log2(BATCH_ITEMS_MAX) */
#define BATCH_BODY_SIZE 36  /* size (4, big-endian), root (32) */
#define BATCH_ROOT_SIZE (PUBLIC_KEY_SIZE + BATCH_BODY_SIZE + SIGNATURE_SIZE)

struct batch_path {
    uint32_t size;  /* leaves; 0: not in a batch; else 2 to BATCH_ITEMS_MAX */
    uint32_t index; /* below size */
    size_t length;
    struct hash path[BATCH_PATH_MAX]; /* from the leaf's sibling up */
};

/* `leaves` are the things' hashes; `count` is 1 to BATCH_ITEMS_MAX. */
struct hash batch_root(const struct hash *leaves, size_t count);

/* All paths at once: paths[i] is of leaves[i]. Returns the root. */
struct hash batch_build(const struct hash *leaves, size_t count, struct batch_path *paths);

/* The way from a leaf to its root, in steps: at step i the node joins its sibling path.path[i]. */
struct batch_climb {
    struct batch_path path;                /* size 0: none yet */
    uint32_t indexes[BATCH_PATH_MAX];      /* of the nodes, each on its level */
    struct hash nodes[BATCH_PATH_MAX + 1]; /* the last is the root */
    uint8_t steps[BATCH_PATH_MAX];         /* of each level that has one, plus 1; 0: none */
};

/* False when the length does not fit size and index. Otherwise `*root` is what they lead to.
 *
 * `last` (or NULL) is how an earlier thing went up, and becomes how this one did. Things of one batch
 * that come one after the other meet a node or two above their leaves: from there on nothing is hashed
 * that was. The answer is the same without it. */
bool batch_climb(const struct hash *leaf, const struct batch_path *path, struct batch_climb *last,
                 struct hash *root);

/* The body that is signed as "duck/batch/1". */
void batch_body(uint32_t size, const struct hash *root, uint8_t body[BATCH_BODY_SIZE]);

/* Roots whose signature was verified: a bounded memory, oldest forgotten first. The entry is the
 * hash over key, size, root and signature, so nothing is believed that was not checked. Not
 * thread-safe: one for each worker. */
struct batch_roots;

struct batch_roots *batch_roots_new(size_t roots_max);
void batch_roots_free(struct batch_roots *roots); /* NULL is fine */
bool batch_roots_has(const struct batch_roots *roots, const struct hash *entry);
void batch_roots_add(struct batch_roots *roots, const struct hash *entry);
/* The next thing is mostly of the same batch: the last root is known by its bytes, without a hash. Only what was
 * verified is set. */
bool batch_roots_is_last(const struct batch_roots *roots, const uint8_t root[BATCH_ROOT_SIZE]);
void batch_roots_set_last(struct batch_roots *roots, const uint8_t root[BATCH_ROOT_SIZE]);
struct batch_climb *batch_roots_climb(struct batch_roots *roots); /* of the thing before: see batch_climb */
uint64_t batch_roots_added(const struct batch_roots *roots); /* ever: signatures that were checked */

#endif
