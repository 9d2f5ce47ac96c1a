#include "batch.h"

#include <assert.h>
#include <sodium.h>

_Static_assert(1u << BATCH_PATH_MAX >= BATCH_ITEMS_MAX, "a path reaches the root");

static struct hash node_of(const struct hash *left, const struct hash *right)
{
    uint8_t bytes[1 + 2 * HASH_SIZE] = {0x01};

    memcpy(bytes + 1, left->bytes, HASH_SIZE);
    memcpy(bytes + 1 + HASH_SIZE, right->bytes, HASH_SIZE);
    return hash_of(bytes_of(bytes, sizeof bytes));
}

static struct hash leaf_of(const struct hash *thing)
{
    uint8_t bytes[1 + HASH_SIZE] = {0x00};

    memcpy(bytes + 1, thing->bytes, HASH_SIZE);
    return hash_of(bytes_of(bytes, sizeof bytes));
}

/* The largest power of two below `count`, which is at least 2. */
static size_t split(size_t count)
{
    size_t left = 1;

    while (left * 2 < count)
        left *= 2;
    return left;
}

/* The root of leaves[0 … count), each of whose paths grows by one sibling on the way up. The depth
 * is that of the tree, at most BATCH_PATH_MAX. */
static struct hash build(const struct hash *leaves, size_t count, struct batch_path *paths)
{
    struct hash left, right;
    size_t middle;

    if (count == 1)
        return leaf_of(&leaves[0]);
    middle = split(count);
    left = build(leaves, middle, paths);
    right = build(leaves + middle, count - middle, paths ? paths + middle : NULL);
    for (size_t i = 0; paths && i < count; i++)
        paths[i].path[paths[i].length++] = i < middle ? right : left;
    return node_of(&left, &right);
}

struct hash batch_root(const struct hash *leaves, size_t count)
{
    assert(count > 0 && count <= BATCH_ITEMS_MAX);
    return build(leaves, count, NULL);
}

struct hash batch_build(const struct hash *leaves, size_t count, struct batch_path *paths)
{
    assert(count > 0 && count <= BATCH_ITEMS_MAX);
    for (size_t i = 0; i < count; i++) {
        paths[i].size = (uint32_t)count;
        paths[i].index = (uint32_t)i;
        paths[i].length = 0;
    }
    return build(leaves, count, paths);
}

static bool same_end(const struct batch_path *one, size_t from, const struct batch_path *other,
                     size_t other_from)
{
    return one->length - from == other->length - other_from &&
           memcmp(&one->path[from], &other->path[other_from],
                  (one->length - from) * sizeof *one->path) == 0;
}

/* At `step` the node stands where `last` stood once, or beside it, and from there on the ways are one. */
static bool meets(const struct batch_climb *climb, size_t step, uint32_t level,
                  const struct batch_climb *last)
{
    const struct hash *here = &climb->nodes[step], *sibling = &climb->path.path[step];
    size_t other = last->steps[level];

    if (last->path.size != climb->path.size || other-- == 0)
        return false;
    if (climb->indexes[step] == last->indexes[other])
        return hash_equal(here, &last->nodes[other]) &&
               same_end(&climb->path, step, &last->path, other);
    return (climb->indexes[step] ^ 1) == last->indexes[other] &&
           hash_equal(here, &last->path.path[other]) && hash_equal(sibling, &last->nodes[other]) &&
           same_end(&climb->path, step + 1, &last->path, other + 1);
}

/* Up to `step` the way is this one's, above it is both's. */
static void join_ways(const struct batch_climb *climb, size_t step, uint32_t level,
                      struct batch_climb *last)
{
    size_t count = step + 1;

    if (last->steps[level] != count || memcmp(climb->steps, last->steps, level) != 0)
        return; /* a lone last node went up without a sibling: the way before serves as well */
    last->path.index = climb->path.index;
    memcpy(last->path.path, climb->path.path, count * sizeof *climb->path.path);
    memcpy(last->indexes, climb->indexes, count * sizeof *climb->indexes);
    memcpy(last->nodes, climb->nodes, count * sizeof *climb->nodes);
}

/* RFC 9162, section 2.1.3.2: index and size tell on which side each sibling stands. */
bool batch_climb(const struct hash *thing, const struct batch_path *path, struct batch_climb *last,
                 struct hash *root)
{
    uint32_t index = path->index, end = path->size - 1, level = 0;
    struct batch_climb climb;

    if (path->size < 2 || path->size > BATCH_ITEMS_MAX || path->index >= path->size ||
        path->length > BATCH_PATH_MAX)
        return false;
    climb.path = *path;
    memset(climb.steps, 0, sizeof climb.steps);
    climb.nodes[0] = leaf_of(thing);
    for (size_t i = 0; i < path->length; i++) {
        const struct hash *here = &climb.nodes[i], *sibling = &path->path[i];

        if (end == 0)
            return false; /* longer than the tree is high */
        climb.indexes[i] = index;
        climb.steps[level] = (uint8_t)(i + 1);
        if (last && meets(&climb, i, level, last)) {
            *root = last->nodes[last->path.length];
            join_ways(&climb, i, level, last);
            return true;
        }
        if (index % 2 == 1 || index == end) {
            climb.nodes[i + 1] = node_of(sibling, here);
            /* The lone last node of a level moves up without a sibling. */
            for (; index % 2 == 0 && index != 0; level++) {
                index /= 2;
                end /= 2;
            }
        } else {
            climb.nodes[i + 1] = node_of(here, sibling);
        }
        index /= 2;
        end /= 2;
        level++;
    }
    if (end != 0)
        return false;
    *root = climb.nodes[path->length];
    if (last)
        *last = climb;
    return true;
}

void batch_body(uint32_t size, const struct hash *root, uint8_t body[BATCH_BODY_SIZE])
{
    body[0] = (uint8_t)(size >> 24);
    body[1] = (uint8_t)(size >> 16);
    body[2] = (uint8_t)(size >> 8);
    body[3] = (uint8_t)size;
    memcpy(body + 4, root->bytes, HASH_SIZE);
}

/* ---- roots ---- */

#define NONE UINT32_MAX

struct root {
    struct hash entry;
    uint32_t next; /* in its bucket */
};

struct batch_roots {
    size_t max, count, oldest;
    _Atomic uint64_t added; /* read from other threads */
    size_t buckets;         /* a power of two */
    uint32_t *heads;
    struct root *ring; /* in order of arrival */
    struct batch_climb climb;
    uint8_t last[BATCH_ROOT_SIZE];
    bool has_last;
};

struct batch_roots *batch_roots_new(size_t roots_max)
{
    struct batch_roots *roots = memory_take(sizeof *roots);

    assert(roots_max > 0);
    roots->max = roots_max;
    return roots; /* the tables come with the first root: most processes never see a batch */
}

void batch_roots_free(struct batch_roots *roots)
{
    if (!roots)
        return;
    memory_give_back(roots->heads);
    memory_give_back(roots->ring);
    memory_give_back(roots);
}

static uint32_t *bucket(const struct batch_roots *roots, const struct hash *entry)
{
    uint64_t key;

    memcpy(&key, entry->bytes, sizeof key);
    return &roots->heads[key & (roots->buckets - 1)];
}

bool batch_roots_has(const struct batch_roots *roots, const struct hash *entry)
{
    if (!roots->ring)
        return false;
    for (uint32_t i = *bucket(roots, entry); i != NONE; i = roots->ring[i].next)
        if (hash_equal(&roots->ring[i].entry, entry))
            return true;
    return false;
}

static void forget_oldest(struct batch_roots *roots)
{
    uint32_t *link = bucket(roots, &roots->ring[roots->oldest].entry);

    while (*link != roots->oldest)
        link = &roots->ring[*link].next;
    *link = roots->ring[roots->oldest].next;
}

static void take_tables(struct batch_roots *roots)
{
    roots->buckets = 1;
    while (roots->buckets < roots->max)
        roots->buckets *= 2;
    roots->heads = memory_take(roots->buckets * sizeof *roots->heads);
    memset(roots->heads, 0xFF, roots->buckets * sizeof *roots->heads); /* NONE */
    roots->ring = memory_take(roots->max * sizeof *roots->ring);
}

void batch_roots_add(struct batch_roots *roots, const struct hash *entry)
{
    uint32_t *head;
    size_t slot;

    if (!roots->ring)
        take_tables(roots);
    roots->added++;
    if (roots->count == roots->max) {
        forget_oldest(roots);
        slot = roots->oldest;
        roots->oldest = (roots->oldest + 1) % roots->max;
    } else {
        slot = roots->count++;
    }
    head = bucket(roots, entry);
    roots->ring[slot].entry = *entry;
    roots->ring[slot].next = *head;
    *head = (uint32_t)slot;
}

bool batch_roots_is_last(const struct batch_roots *roots, const uint8_t root[BATCH_ROOT_SIZE])
{
    return roots->has_last && memcmp(roots->last, root, BATCH_ROOT_SIZE) == 0;
}

void batch_roots_set_last(struct batch_roots *roots, const uint8_t root[BATCH_ROOT_SIZE])
{
    memcpy(roots->last, root, BATCH_ROOT_SIZE);
    roots->has_last = true;
}

struct batch_climb *batch_roots_climb(struct batch_roots *roots)
{
    return &roots->climb;
}

uint64_t batch_roots_added(const struct batch_roots *roots)
{
    return roots->added;
}
