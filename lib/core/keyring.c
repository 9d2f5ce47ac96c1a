/* Two ways lead to a held chain: the identity, and the hash of a chain as it was packed. The
 * second makes the common case, a chain that was seen before, cost one hash of a few hundred
 * bytes. */
#include "keyring.h"

#include "idtable.h"

#include <assert.h>

struct way {
    struct idtable_node by_hash; /* its id is made from the hash, as ids are */
    struct hash hash;            /* of a packed chain */
    struct held *held;
    struct way *next;
};

/* Of a chain that was rotated. */
struct retired {
    struct retired_key keys[KEYRING_RETIRED_MAX];
    size_t count;
    uint64_t older_until_ms;
};

struct held {
    struct idtable_node by_identity;
    enum identity_kind kind;
    size_t length;
    uint64_t issued_ms, not_after_ms; /* of the last certificate */
    struct public_key key;            /* of the last certificate */
    struct retired *retired;          /* owned; NULL: none */
    struct bytes chain;               /* owned */
    struct way *ways;                 /* the newest first */
    struct held *older, *newer;
};

/* Of one certificate, and of more: rotations are the last to be forgotten. */
enum row { ROW_BORN, ROW_ROTATED, ROWS };

struct keyring {
    size_t chains_max;
    struct idtable by_identity, by_hash;
    struct {
        struct held *oldest, *newest;
        size_t count;
    } rows[ROWS];
};

struct keyring *keyring_new(size_t chains_max)
{
    struct keyring *ring = memory_take(sizeof *ring);

    assert(chains_max > 0);
    ring->chains_max = chains_max;
    idtable_init(&ring->by_identity);
    idtable_init(&ring->by_hash);
    return ring;
}

void keyring_free(struct keyring *ring)
{
    if (!ring)
        return;
    for (int row = 0; row < ROWS; row++)
        for (struct held *held = ring->rows[row].oldest; held; held = held->newer) {
            memory_give_back((void *)(uintptr_t)held->chain.data);
            memory_give_back(held->retired);
        }
    idtable_free(&ring->by_identity);
    idtable_free(&ring->by_hash);
    memory_give_back(ring);
}

/* ---- ways ---- */

static struct way *find_way(const struct keyring *ring, const struct hash *hash)
{
    struct id id = id_of(hash);
    struct way *way = (struct way *)idtable_find(&ring->by_hash, &id);

    return way && hash_equal(&way->hash, hash) ? way : NULL;
}

static void close_way(struct keyring *ring, struct way **link)
{
    struct way *way = *link;

    *link = way->next;
    idtable_remove(&ring->by_hash, &way->by_hash);
    memory_give_back(way);
}

static void open_way(struct keyring *ring, struct held *held, const struct hash *hash)
{
    struct way *way, **link = &held->ways;
    struct id id = id_of(hash);

    if (idtable_find(&ring->by_hash, &id))
        return;
    way = memory_take(sizeof *way);
    way->by_hash.id = id;
    way->hash = *hash;
    way->held = held;
    way->next = held->ways;
    held->ways = way;
    idtable_add(&ring->by_hash, &way->by_hash);
    for (size_t i = 0; i < KEYRING_WAYS_MAX && *link; i++)
        link = &(*link)->next;
    if (*link)
        close_way(ring, link);
}

/* ---- chains ---- */

static struct held *find(const struct keyring *ring, const struct id *identity)
{
    return (struct held *)idtable_find(&ring->by_identity, identity);
}

static enum row row_of(const struct held *held)
{
    return held->length > 1 ? ROW_ROTATED : ROW_BORN;
}

static void leave_row(struct keyring *ring, struct held *held)
{
    enum row row = row_of(held);

    if (held->older)
        held->older->newer = held->newer;
    else
        ring->rows[row].oldest = held->newer;
    if (held->newer)
        held->newer->older = held->older;
    else
        ring->rows[row].newest = held->older;
    ring->rows[row].count--;
}

static void join_row(struct keyring *ring, struct held *held)
{
    enum row row = row_of(held);

    held->newer = NULL;
    held->older = ring->rows[row].newest;
    if (held->older)
        held->older->newer = held;
    else
        ring->rows[row].oldest = held;
    ring->rows[row].newest = held;
    ring->rows[row].count++;
}

static void forget_one(struct keyring *ring)
{
    bool is_crowded = ring->rows[ROW_ROTATED].count > ring->chains_max / 2;
    struct held *held = ring->rows[is_crowded ? ROW_ROTATED : ROW_BORN].oldest;

    leave_row(ring, held);
    while (held->ways)
        close_way(ring, &held->ways);
    idtable_remove(&ring->by_identity, &held->by_identity);
    memory_give_back((void *)(uintptr_t)held->chain.data);
    memory_give_back(held->retired);
    memory_give_back(held);
}

static struct held *make_held(struct keyring *ring, const struct id *identity)
{
    struct held *held = memory_take(sizeof *held);

    held->by_identity.id = *identity;
    idtable_add(&ring->by_identity, &held->by_identity);
    join_row(ring, held);
    return held;
}

static uint64_t end_of(const struct certificate *certificate)
{
    const struct certificate *next = certificate + 1;

    return certificate->not_after_ms < next->issued_ms ? certificate->not_after_ms + 1
                                                       : next->issued_ms;
}

static struct retired *retired_of(const struct chain *chain)
{
    struct retired *retired = NULL;
    size_t i = chain->count - 1; /* the last is not retired */

    if (i > 0)
        retired = memory_take(sizeof *retired);
    for (; i > 0 && retired->count < KEYRING_RETIRED_MAX; i--)
        retired->keys[retired->count++] =
            (struct retired_key){.key = chain->certificates[i - 1].public_key,
                                 .from_ms = chain->certificates[i - 1].issued_ms,
                                 .until_ms = end_of(&chain->certificates[i - 1])};
    if (i > 0)
        retired->older_until_ms = end_of(&chain->certificates[i - 1]);
    return retired;
}

static void fill(struct held *held, const struct chain *chain)
{
    const struct certificate *last = &chain->certificates[chain->count - 1];

    memory_give_back((void *)(uintptr_t)held->chain.data);
    held->kind = chain->kind;
    held->length = chain->count;
    held->issued_ms = last->issued_ms;
    held->not_after_ms = last->not_after_ms;
    held->key = last->public_key;
    memory_give_back(held->retired);
    held->retired = retired_of(chain);
    held->chain = bytes_of(memory_copy(chain->wire.data, chain->wire.size), chain->wire.size);
}

/* Is one chain the beginning of the other? */
static bool agrees(const struct held *held, const struct chain *chain)
{
    struct chain opened;
    struct arena arena;
    bool same;

    arena_init(&arena, PARSE_BUDGET(held->chain.size));
    same = chain_open(held->chain, &arena, &opened) == CERTIFICATE_TAKEN &&
           !chain_contradicts(&opened, chain);
    arena_free(&arena);
    return same;
}

enum keyring_verdict keyring_keep(struct keyring *ring, const struct chain *chain)
{
    struct held *held = find(ring, &chain->identity);
    struct hash hash = hash_of(chain->wire);

    if (held && !agrees(held, chain))
        return KEYRING_CONTRADICTED;
    if (!held) {
        if (ring->by_identity.count >= ring->chains_max)
            forget_one(ring);
        held = make_held(ring, &chain->identity);
    }
    if (held->length < chain->count) {
        leave_row(ring, held);
        fill(held, chain);
        join_row(ring, held);
    }
    open_way(ring, held, &hash);
    return KEYRING_TAKEN;
}

enum keyring_verdict keyring_meet(struct keyring *ring, const struct chain *chain)
{
    enum keyring_verdict verdict = keyring_keep(ring, chain);

    if (verdict == KEYRING_TAKEN && find(ring, &chain->identity)->length > chain->count)
        return KEYRING_OUTGROWN;
    return verdict;
}

static enum certificate_verdict key_at(const struct held *held, uint64_t wall_ms,
                                       struct public_key *key)
{
    enum certificate_verdict verdict;
    struct chain opened;
    struct arena arena;

    if (wall_ms >= held->issued_ms) {
        *key = held->key;
        return wall_ms <= held->not_after_ms ? CERTIFICATE_TAKEN : CERTIFICATE_EXPIRED;
    }
    if (held->length == 1)
        return CERTIFICATE_NOT_YET;
    /* An earlier key: rare, so nothing is kept ready for it. */
    arena_init(&arena, PARSE_BUDGET(held->chain.size));
    verdict = chain_open(held->chain, &arena, &opened);
    if (verdict == CERTIFICATE_TAKEN)
        verdict = chain_key_at(&opened, wall_ms, key);
    arena_free(&arena);
    return verdict;
}

enum keyring_verdict keyring_find(struct keyring *ring, const struct hash *hash, uint64_t wall_ms,
                                  struct id *identity, enum identity_kind *kind,
                                  struct public_key *key, enum certificate_verdict *dates)
{
    const struct way *way = find_way(ring, hash);

    if (!way)
        return KEYRING_UNKNOWN;
    *identity = way->held->by_identity.id;
    *kind = way->held->kind;
    *dates = key_at(way->held, wall_ms, key);
    return KEYRING_TAKEN;
}

size_t keyring_retired(const struct keyring *ring, const struct id *identity,
                       struct retired_key keys[KEYRING_RETIRED_MAX], uint64_t *older_until_ms)
{
    const struct held *held = find(ring, identity);

    *older_until_ms = 0;
    if (!held || !held->retired)
        return 0;
    memcpy(keys, held->retired->keys, held->retired->count * sizeof *keys);
    *older_until_ms = held->retired->older_until_ms;
    return held->retired->count;
}

struct bytes keyring_chain(const struct keyring *ring, const struct id *identity)
{
    const struct held *held = find(ring, identity);

    return held ? held->chain : bytes_of(NULL, 0);
}
