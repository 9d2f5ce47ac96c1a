#include "recordset.h"

#include "hashsum.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#define LEAF_MAX 64u  /* stamps: moving half of them costs less than the way down */
#define INNER_MAX 32u /* children: adding up the sums of half of them too */
#define RUN_MAX 32u   /* stamps */
#define COUNT_VARINT_MAX 10u

struct leaf {
    uint32_t count;
    struct stamp stamps[LEAF_MAX];
};

/* What an inner node knows of one below it. */
struct child {
    struct stamp first; /* nothing below stands before it; of the first child it means nothing */
    size_t count;       /* of all stamps below */
    struct hashsum sum; /* and of their hashes */
    void *node;
};

struct inner {
    uint32_t count;
    struct child children[INNER_MAX];
};

struct recordset {
    struct child root;
    unsigned height; /* of inner nodes above a leaf */
    size_t leaves, inners;
};

/* ---- order ---- */

int stamp_compare(const struct stamp *left, const struct stamp *right)
{
    if (left->at_s != right->at_s)
        return left->at_s < right->at_s ? -1 : 1;
    return memcmp(left->hash.bytes, right->hash.bytes, HASH_SIZE);
}

/* How many stamps of the leaf stand before `stamp`. */
static uint32_t leaf_seek(const struct leaf *leaf, const struct stamp *stamp)
{
    uint32_t low = 0, high = leaf->count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (stamp_compare(&leaf->stamps[middle], stamp) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The child in which `stamp` is, if it is anywhere. */
static uint32_t inner_seek(const struct inner *inner, const struct stamp *stamp)
{
    uint32_t low = 1, high = inner->count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (stamp_compare(&inner->children[middle].first, stamp) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

/* ---- nodes ---- */

static void add_stamps(struct hashsum *sum, const struct stamp *stamps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct hashsum one = hashsum_of(&stamps[i].hash);
        hashsum_add(sum, &one);
    }
}

static struct leaf *leaf_new(struct recordset *set)
{
    set->leaves++;
    return memory_take(sizeof(struct leaf));
}

static struct inner *inner_new(struct recordset *set)
{
    set->inners++;
    return memory_take(sizeof(struct inner));
}

static void node_free(struct recordset *set, void *node, unsigned height)
{
    if (height == 0)
        set->leaves--;
    else
        set->inners--;
    memory_give_back(node);
}

static void free_below(struct recordset *set, void *node, unsigned height)
{
    if (height > 0) {
        struct inner *inner = node;
        for (uint32_t i = 0; i < inner->count; i++)
            free_below(set, inner->children[i].node, height - 1);
    }
    node_free(set, node, height);
}

/* What stands in the parent about `node`, which has something below it. */
static struct child child_of(void *node, unsigned height)
{
    struct child child = {.node = node};

    if (height == 0) {
        const struct leaf *leaf = node;
        child.first = leaf->stamps[0];
        child.count = leaf->count;
        add_stamps(&child.sum, leaf->stamps, leaf->count);
    } else {
        const struct inner *inner = node;
        child.first = inner->children[0].first;
        for (uint32_t i = 0; i < inner->count; i++) {
            child.count += inner->children[i].count;
            hashsum_add(&child.sum, &inner->children[i].sum);
        }
    }
    return child;
}

struct recordset *recordset_new(void)
{
    struct recordset *set = memory_take(sizeof *set);

    set->root.node = leaf_new(set);
    return set;
}

void recordset_free(struct recordset *set)
{
    if (!set)
        return;
    free_below(set, set->root.node, set->height);
    memory_give_back(set);
}

size_t recordset_count(const struct recordset *set)
{
    return set->root.count;
}

size_t recordset_memory(const struct recordset *set)
{
    return sizeof *set + set->leaves * sizeof(struct leaf) + set->inners * sizeof(struct inner);
}

/* ---- insertion ---- */

/* One that came in, and whether it, or what it displaced, needed a new node to the right. */
struct insertion {
    const struct stamp *stamp;
    struct hashsum sum;
    void *beside; /* NULL: none */
};

static void leaf_put(struct leaf *leaf, uint32_t at, const struct stamp *stamp)
{
    memmove(&leaf->stamps[at + 1], &leaf->stamps[at], (leaf->count - at) * sizeof *stamp);
    leaf->stamps[at] = *stamp;
    leaf->count++;
}

/* What comes in the order of time leaves full leaves behind. Only at the very end of the set:
 * elsewhere somebody could make leaves of one stamp each. */
static bool insert_into_leaf(struct recordset *set, struct leaf *leaf, bool is_last,
                             struct insertion *insertion)
{
    uint32_t at = leaf_seek(leaf, insertion->stamp), kept;
    struct leaf *beside;

    if (at < leaf->count && stamp_compare(&leaf->stamps[at], insertion->stamp) == 0)
        return false;
    if (leaf->count < LEAF_MAX) {
        leaf_put(leaf, at, insertion->stamp);
        return true;
    }
    kept = is_last && at == LEAF_MAX ? LEAF_MAX : LEAF_MAX / 2;
    beside = leaf_new(set);
    beside->count = LEAF_MAX - kept;
    memcpy(beside->stamps, leaf->stamps + kept, beside->count * sizeof *beside->stamps);
    leaf->count = kept;
    if (at < kept || (at == kept && kept < LEAF_MAX))
        leaf_put(leaf, at, insertion->stamp);
    else
        leaf_put(beside, at - kept, insertion->stamp);
    insertion->beside = beside;
    return true;
}

static void inner_put(struct inner *inner, uint32_t at, const struct child *child)
{
    memmove(&inner->children[at + 1], &inner->children[at], (inner->count - at) * sizeof *child);
    inner->children[at] = *child;
    inner->count++;
}

static struct inner *add_child(struct recordset *set, struct inner *inner, uint32_t at,
                               const struct child *child)
{
    const uint32_t kept = INNER_MAX / 2;
    struct inner *beside;

    if (inner->count < INNER_MAX) {
        inner_put(inner, at, child);
        return NULL;
    }
    beside = inner_new(set);
    beside->count = INNER_MAX - kept;
    memcpy(beside->children, inner->children + kept, beside->count * sizeof *beside->children);
    inner->count = kept;
    if (at <= kept)
        inner_put(inner, at, child);
    else
        inner_put(beside, at - kept, child);
    return beside;
}

static bool insert_below(struct recordset *set, void *node, unsigned height, bool is_last,
                         struct insertion *insertion)
{
    struct inner *inner = node;
    struct child *child, beside;
    uint32_t at;

    if (height == 0)
        return insert_into_leaf(set, node, is_last, insertion);
    at = inner_seek(inner, insertion->stamp);
    child = &inner->children[at];
    if (!insert_below(set, child->node, height - 1, is_last && at == inner->count - 1, insertion))
        return false;
    child->count++;
    hashsum_add(&child->sum, &insertion->sum);
    if (insertion->beside) {
        beside = child_of(insertion->beside, height - 1);
        child->count -= beside.count;
        hashsum_subtract(&child->sum, &beside.sum);
        insertion->beside = add_child(set, inner, at + 1, &beside);
    }
    return true;
}

bool recordset_insert(struct recordset *set, const struct stamp *stamp)
{
    struct insertion insertion = {.stamp = stamp, .sum = hashsum_of(&stamp->hash)};

    if (stamp->at_s >= STAMP_TIME_END ||
        !insert_below(set, set->root.node, set->height, true, &insertion))
        return false;
    set->root.count++;
    hashsum_add(&set->root.sum, &insertion.sum);
    if (insertion.beside) {
        struct inner *root = inner_new(set);
        root->children[0] = child_of(set->root.node, set->height);
        root->children[1] = child_of(insertion.beside, set->height);
        root->count = 2;
        set->root.node = root;
        set->height++;
    }
    return true;
}

/* ---- erasure ---- */

static uint32_t count_in(const void *node, unsigned height)
{
    return height == 0 ? ((const struct leaf *)node)->count : ((const struct inner *)node)->count;
}

static uint32_t count_max(unsigned height)
{
    return height == 0 ? LEAF_MAX : INNER_MAX;
}

/* Moves entries over the border between two neighbours until the left one has `wanted`. */
static void move_border(void *left, void *right, unsigned height, uint32_t wanted)
{
    size_t size = height == 0 ? sizeof(struct stamp) : sizeof(struct child);
    uint32_t *left_count = left, *right_count = right, moved;
    uint8_t *of_left, *of_right;

    of_left = height == 0 ? (uint8_t *)((struct leaf *)left)->stamps
                          : (uint8_t *)((struct inner *)left)->children;
    of_right = height == 0 ? (uint8_t *)((struct leaf *)right)->stamps
                           : (uint8_t *)((struct inner *)right)->children;
    if (wanted > *left_count) {
        moved = wanted - *left_count;
        memcpy(of_left + *left_count * size, of_right, moved * size);
        memmove(of_right, of_right + moved * size, (*right_count - moved) * size);
        *right_count -= moved;
    } else {
        moved = *left_count - wanted;
        memmove(of_right + moved * size, of_right, *right_count * size);
        memcpy(of_right, of_left + wanted * size, moved * size);
        *right_count += moved;
    }
    *left_count = wanted;
}

/* A child fell below half: it shares with a neighbour, or the two become one. */
static void mend(struct recordset *set, struct inner *inner, uint32_t at, unsigned height)
{
    uint32_t left = at > 0 ? at - 1 : 0, right = left + 1, total;
    struct stamp first = inner->children[left].first; /* a bound, and may be earlier than what is */
    void *left_node, *right_node;

    assert(inner->count > 1);
    left_node = inner->children[left].node;
    right_node = inner->children[right].node;
    total = count_in(left_node, height) + count_in(right_node, height);
    if (total > count_max(height)) {
        move_border(left_node, right_node, height, total / 2);
        inner->children[right] = child_of(right_node, height);
    } else {
        move_border(left_node, right_node, height, total);
        node_free(set, right_node, height);
        inner->count--;
        memmove(&inner->children[right], &inner->children[right + 1],
                (inner->count - right) * sizeof *inner->children);
    }
    inner->children[left] = child_of(left_node, height);
    inner->children[left].first = first;
}

static bool erase_from_leaf(struct leaf *leaf, const struct stamp *stamp)
{
    uint32_t at = leaf_seek(leaf, stamp);

    if (at == leaf->count || stamp_compare(&leaf->stamps[at], stamp) != 0)
        return false;
    leaf->count--;
    memmove(&leaf->stamps[at], &leaf->stamps[at + 1], (leaf->count - at) * sizeof *stamp);
    return true;
}

static bool erase_below(struct recordset *set, void *node, unsigned height,
                        const struct stamp *stamp, const struct hashsum *sum)
{
    struct inner *inner = node;
    struct child *child;
    uint32_t at;

    if (height == 0)
        return erase_from_leaf(node, stamp);
    at = inner_seek(inner, stamp);
    child = &inner->children[at];
    if (!erase_below(set, child->node, height - 1, stamp, sum))
        return false;
    child->count--;
    hashsum_subtract(&child->sum, sum);
    if (count_in(child->node, height - 1) < count_max(height - 1) / 2)
        mend(set, inner, at, height - 1);
    return true;
}

bool recordset_erase(struct recordset *set, const struct stamp *stamp)
{
    struct hashsum sum = hashsum_of(&stamp->hash);

    if (!erase_below(set, set->root.node, set->height, stamp, &sum))
        return false;
    set->root.count--;
    hashsum_subtract(&set->root.sum, &sum);
    if (set->height > 0 && count_in(set->root.node, set->height) == 1) {
        struct inner *root = set->root.node;
        set->root.node = root->children[0].node;
        node_free(set, root, set->height);
        set->height--;
    }
    return true;
}

static int compare(const void *left, const void *right)
{
    return stamp_compare(left, right);
}

size_t recordset_load(struct recordset *set, struct stamp *stamps, size_t count)
{
    size_t before = set->root.count;

    for (size_t i = 1; i < count; i++)
        if (stamp_compare(&stamps[i - 1], &stamps[i]) > 0) {
            qsort(stamps, count, sizeof *stamps, compare);
            break;
        }
    for (size_t i = 0; i < count; i++)
        recordset_insert(set, &stamps[i]);
    return set->root.count - before;
}

/* ---- looks ---- */

size_t recordset_seek(const struct recordset *set, const struct stamp *stamp)
{
    const void *node = set->root.node;
    size_t before = 0;

    for (unsigned height = set->height; height > 0; height--) {
        const struct inner *inner = node;
        uint32_t at = inner_seek(inner, stamp);
        for (uint32_t i = 0; i < at; i++)
            before += inner->children[i].count;
        node = inner->children[at].node;
    }
    return before + leaf_seek(node, stamp);
}

/* The leaf with the stamp at `*index`, which becomes its place in there; the sum of all before the
 * leaf is added to `sum`, if there is one. */
static const struct leaf *leaf_at(const struct recordset *set, size_t *index, struct hashsum *sum)
{
    const void *node = set->root.node;

    for (unsigned height = set->height; height > 0; height--) {
        const struct inner *inner = node;
        const struct child *child = inner->children;
        while (*index >= child->count && child < &inner->children[inner->count - 1]) {
            *index -= child->count;
            if (sum)
                hashsum_add(sum, &child->sum);
            child++;
        }
        node = child->node;
    }
    return node;
}

size_t recordset_read(const struct recordset *set, size_t begin, struct stamp *stamps, size_t max)
{
    size_t count = 0;

    while (count < max && begin + count < set->root.count) {
        size_t at = begin + count;
        const struct leaf *leaf = leaf_at(set, &at, NULL);
        size_t part = leaf->count - at < max - count ? leaf->count - at : max - count;
        memcpy(stamps + count, leaf->stamps + at, part * sizeof *stamps);
        count += part;
    }
    return count;
}

bool recordset_contains(const struct recordset *set, const struct stamp *stamp)
{
    struct stamp found;

    return recordset_read(set, recordset_seek(set, stamp), &found, 1) == 1 &&
           stamp_compare(&found, stamp) == 0;
}

/* Of all stamps before `index`. */
static struct hashsum sum_before(const struct recordset *set, size_t index)
{
    struct hashsum sum = {{0}};
    const struct leaf *leaf;

    if (index >= set->root.count)
        return set->root.sum;
    if (index == 0)
        return sum;
    leaf = leaf_at(set, &index, &sum);
    add_stamps(&sum, leaf->stamps, index);
    return sum;
}

/* A short run is added up where it stands; the ways down to its ends would cost more. */
static struct hashsum sum_of_run(const struct recordset *set, size_t begin, size_t end)
{
    struct hashsum sum = {{0}}, before;
    struct stamp stamps[RUN_MAX];

    if (end - begin <= RUN_MAX) {
        add_stamps(&sum, stamps, recordset_read(set, begin, stamps, end - begin));
        return sum;
    }
    sum = sum_before(set, end);
    before = sum_before(set, begin);
    hashsum_subtract(&sum, &before);
    return sum;
}

static size_t put_count(uint8_t *data, size_t count)
{
    size_t size = 1;

    for (size_t rest = count >> 7; rest > 0; rest >>= 7)
        size++;
    for (size_t i = size; i-- > 0; count >>= 7)
        data[i] = (uint8_t)((count & 0x7f) | (i + 1 < size ? 0x80 : 0));
    return size;
}

void recordset_fingerprint(const struct recordset *set, size_t begin, size_t end,
                           uint8_t print[RECORDSET_PRINT_SIZE])
{
    uint8_t data[HASH_SIZE + COUNT_VARINT_MAX], hash[crypto_hash_sha256_BYTES];
    struct hashsum sum;
    size_t size = HASH_SIZE;

    if (end > set->root.count)
        end = set->root.count;
    if (begin > end)
        begin = end;
    sum = sum_of_run(set, begin, end);
    hashsum_write(&sum, data);
    size += put_count(data + size, end - begin);
    crypto_hash_sha256(hash, data, size);
    memcpy(print, hash, RECORDSET_PRINT_SIZE);
}
