/* Two ways lead to an entry: the identity, and the hash of a packed chain. The second makes the
 * common case, a chain that was seen before, cost one hash of a few hundred bytes. */
#include "keyring.h"

#include <assert.h>

#define SLOTS_MIN 64u
#define RECENT_PER_SLOT 2u
#define RECENT_WAYS 4u /* chain hashes that share a place: neighbours do not drive each other out */
#define PROBES_MAX 8u  /* slots that an identity may stand in: its neighbourhood */

struct entry {
    struct id identity;
    enum identity_kind kind;
    uint32_t length;
    uint64_t issued_ms, not_after_ms; /* of the last certificate */
    struct public_key key;            /* of the last certificate */
    struct bytes chain;               /* owned; .data NULL: a free slot */
};

struct recent {
    struct hash chain_hash;
    struct id identity;
    bool used;
};

struct keyring {
    size_t chains_max, count, slots; /* slots: a power of two */
    struct entry *entries;           /* by identity */
    struct recent *recent;           /* by the hash of a packed chain */
    uint64_t victim;                 /* walks, to forget another one each time */
};

struct keyring *keyring_new(size_t chains_max)
{
    struct keyring *ring = memory_take(sizeof *ring);

    assert(chains_max > 0);
    ring->chains_max = chains_max;
    ring->slots = SLOTS_MIN;
    ring->entries = memory_take(ring->slots * sizeof *ring->entries);
    ring->recent = memory_take(ring->slots * RECENT_PER_SLOT * sizeof *ring->recent);
    return ring;
}

static void drop(struct entry *entry)
{
    memory_give_back((void *)(uintptr_t)entry->chain.data);
    entry->chain = bytes_of(NULL, 0);
}

void keyring_free(struct keyring *ring)
{
    if (!ring)
        return;
    for (size_t i = 0; i < ring->slots; i++)
        drop(&ring->entries[i]);
    memory_give_back(ring->entries);
    memory_give_back(ring->recent);
    memory_give_back(ring);
}

static struct entry *slot(const struct keyring *ring, const struct id *identity, size_t probe)
{
    uint64_t key;

    memcpy(&key, identity->bytes, sizeof key);
    return &ring->entries[(key + probe) & (ring->slots - 1)];
}

static struct entry *find(const struct keyring *ring, const struct id *identity)
{
    for (size_t probe = 0; probe < PROBES_MAX; probe++) {
        struct entry *entry = slot(ring, identity, probe);

        if (entry->chain.data && id_equal(&entry->identity, identity))
            return entry;
    }
    return NULL;
}

/* A place in the neighbourhood; whoever stands there when it is full is forgotten. */
static struct entry *make_room(struct keyring *ring, const struct id *identity)
{
    struct entry *entry;

    for (size_t probe = 0; probe < PROBES_MAX; probe++) {
        entry = slot(ring, identity, probe);
        if (!entry->chain.data) {
            ring->count++;
            return entry;
        }
    }
    entry = slot(ring, identity, ring->victim++ % PROBES_MAX);
    drop(entry);
    return entry;
}

static void forget_one(struct keyring *ring)
{
    struct entry *entry;

    do
        entry = &ring->entries[ring->victim++ & (ring->slots - 1)];
    while (!entry->chain.data);
    drop(entry);
    ring->count--;
}

/* ---- finding by the chain itself ---- */

/* Chain hashes of late, each leading to an identity. A miss costs verifying the chain again, never
 * a wrong answer. */
static struct recent *recent_ways(const struct keyring *ring, const struct hash *hash)
{
    uint64_t key;

    memcpy(&key, hash->bytes, sizeof key);
    return &ring->recent[key & (ring->slots * RECENT_PER_SLOT - 1) & ~(uint64_t)(RECENT_WAYS - 1)];
}

static const struct id *recall(const struct keyring *ring, const struct hash *hash)
{
    const struct recent *ways = recent_ways(ring, hash);

    for (size_t i = 0; i < RECENT_WAYS; i++)
        if (ways[i].used && hash_equal(&ways[i].chain_hash, hash))
            return &ways[i].identity;
    return NULL;
}

static void remember(struct keyring *ring, const struct hash *hash, const struct id *identity)
{
    struct recent *ways = recent_ways(ring, hash), *place = NULL;

    if (recall(ring, hash))
        return;
    for (size_t i = 0; i < RECENT_WAYS && !place; i++)
        if (!ways[i].used)
            place = &ways[i];
    if (!place)
        place = &ways[ring->victim++ % RECENT_WAYS];
    *place = (struct recent){.chain_hash = *hash, .identity = *identity, .used = true};
}

static void widen(struct keyring *ring)
{
    struct entry *old = ring->entries;
    struct recent *old_recent = ring->recent;
    size_t slots = ring->slots;

    ring->slots *= 2;
    ring->count = 0;
    ring->entries = memory_take(ring->slots * sizeof *ring->entries);
    for (size_t i = 0; i < slots; i++)
        if (old[i].chain.data)
            *make_room(ring, &old[i].identity) = old[i];
    memory_give_back(old);
    ring->recent = memory_take(ring->slots * RECENT_PER_SLOT * sizeof *ring->recent);
    for (size_t i = 0; i < slots * RECENT_PER_SLOT; i++)
        if (old_recent[i].used)
            remember(ring, &old_recent[i].chain_hash, &old_recent[i].identity);
    memory_give_back(old_recent);
}

/* ---- the key of a time ---- */

static enum certificate_verdict key_at(const struct entry *entry, uint64_t wall_ms,
                                       struct public_key *key)
{
    enum certificate_verdict verdict;
    struct chain opened;
    struct arena arena;

    if (wall_ms >= entry->issued_ms) {
        *key = entry->key;
        return wall_ms <= entry->not_after_ms ? CERTIFICATE_TAKEN : CERTIFICATE_EXPIRED;
    }
    if (entry->length == 1)
        return CERTIFICATE_NOT_YET;
    /* An earlier key: rare, so nothing is kept ready for it. */
    arena_init(&arena, PARSE_BUDGET(entry->chain.size));
    verdict = chain_open(entry->chain, &arena, &opened);
    if (verdict == CERTIFICATE_TAKEN)
        verdict = chain_key_at(&opened, wall_ms, key);
    arena_free(&arena);
    return verdict;
}

enum keyring_verdict keyring_find(struct keyring *ring, struct bytes chain, uint64_t wall_ms,
                                  struct id *identity, enum identity_kind *kind,
                                  struct public_key *key, enum certificate_verdict *dates)
{
    struct hash hash = hash_of(chain);
    const struct id *seen = recall(ring, &hash);
    const struct entry *entry = seen ? find(ring, seen) : NULL;

    if (!entry)
        return KEYRING_UNKNOWN;
    *identity = entry->identity;
    *kind = entry->kind;
    *dates = key_at(entry, wall_ms, key);
    return KEYRING_TAKEN;
}

static void fill(struct entry *entry, const struct chain *chain)
{
    const struct certificate *last = &chain->certificates[chain->count - 1];

    entry->identity = chain->identity;
    entry->kind = chain->kind;
    entry->length = (uint32_t)chain->count;
    entry->issued_ms = last->issued_ms;
    entry->not_after_ms = last->not_after_ms;
    entry->key = last->public_key;
    entry->chain = bytes_of(memory_copy(chain->wire.data, chain->wire.size), chain->wire.size);
}

/* Is one chain the beginning of the other? */
static bool agrees(const struct entry *entry, const struct chain *chain)
{
    struct chain held;
    struct arena arena;
    bool same;

    arena_init(&arena, PARSE_BUDGET(entry->chain.size));
    same = chain_open(entry->chain, &arena, &held) == CERTIFICATE_TAKEN &&
           !chain_contradicts(&held, chain);
    arena_free(&arena);
    return same;
}

enum keyring_verdict keyring_keep(struct keyring *ring, const struct chain *chain)
{
    struct entry *entry = find(ring, &chain->identity);
    struct hash hash = hash_of(chain->wire);

    if (entry && !agrees(entry, chain))
        return KEYRING_CONTRADICTED;
    if (!entry) {
        if (ring->count >= ring->chains_max)
            forget_one(ring);
        else if (2 * (ring->count + 1) > ring->slots)
            widen(ring);
        entry = make_room(ring, &chain->identity);
        fill(entry, chain);
    } else if (entry->length < chain->count) {
        drop(entry);
        fill(entry, chain);
    }
    remember(ring, &hash, &chain->identity);
    return KEYRING_TAKEN;
}

struct bytes keyring_chain(const struct keyring *ring, const struct id *identity)
{
    const struct entry *entry = find(ring, identity);

    return entry ? entry->chain : bytes_of(NULL, 0);
}
