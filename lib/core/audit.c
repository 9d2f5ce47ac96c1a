#include "audit.h"

#include <assert.h>
#include <sodium.h>

#define SLOTS_MIN 16u
#define SLOTS_PER_PLACE 2u
#define ROOM_MIN 64u
#define SHELVES_MAX 48u /* each half as large again as all before it */
#define READ_AT_ONCE 64u
#define AUDIT_LABEL "ducknode audit 1"

/* The way back for so many stamps. When one is full another is added, so that no turn pays for all that was done
 * before. The keyed hash of an original is worked out anew where it is looked for: that costs less than keeping it. */
struct shelf {
    struct hash *originals; /* in the order in which they were read */
    size_t count, room;
    size_t *slots;     /* 1 + index, open addressing by the keyed hash; 0: free */
    size_t slot_count; /* a power of two */
};

struct audit {
    struct recordset *set;
    struct shelf shelves[SHELVES_MAX];
    size_t shelf_count;
    struct stamp after; /* the last that was read … */
    bool has_begun;     /* … if one was */
    uint8_t key[AUDIT_KEY_SIZE];
};

void audit_key(const struct id *initiator, const uint8_t of_initiator[AUDIT_NONCE_SIZE],
               const struct id *responder, const uint8_t of_responder[AUDIT_NONCE_SIZE],
               uint8_t key[AUDIT_KEY_SIZE])
{
    struct {
        struct id initiator;
        uint8_t of_initiator[AUDIT_NONCE_SIZE];
        struct id responder;
        uint8_t of_responder[AUDIT_NONCE_SIZE];
    } data = {.initiator = *initiator, .responder = *responder};

    memcpy(data.of_initiator, of_initiator, AUDIT_NONCE_SIZE);
    memcpy(data.of_responder, of_responder, AUDIT_NONCE_SIZE);
    crypto_generichash(key, AUDIT_KEY_SIZE, (const uint8_t *)&data, sizeof data,
                       (const uint8_t *)AUDIT_LABEL, sizeof AUDIT_LABEL - 1);
}

static struct hash keyed_of(const struct audit *audit, const struct hash *original)
{
    struct hash keyed;

    crypto_generichash(keyed.bytes, HASH_SIZE, original->bytes, HASH_SIZE, audit->key,
                       sizeof audit->key);
    return keyed;
}

/* The hash is keyed, so where its slot begins nobody can have chosen. */
static size_t slot_of(const struct shelf *shelf, const struct hash *keyed)
{
    size_t number;

    memcpy(&number, keyed->bytes, sizeof number);
    return number & (shelf->slot_count - 1);
}

static struct shelf *add_shelf(struct audit *audit, size_t room)
{
    struct shelf *shelf = &audit->shelves[audit->shelf_count++];

    assert(audit->shelf_count <= SHELVES_MAX);
    shelf->room = room;
    shelf->originals = memory_take(room * sizeof *shelf->originals);
    shelf->slot_count = SLOTS_MIN;
    while (shelf->slot_count < SLOTS_PER_PLACE * room)
        shelf->slot_count *= 2;
    shelf->slots = memory_take(shelf->slot_count * sizeof *shelf->slots);
    return shelf;
}

static void put(struct audit *audit, const struct hash *keyed, const struct hash *original)
{
    struct shelf *shelf = &audit->shelves[audit->shelf_count - 1];
    size_t slot;

    if (shelf->count == shelf->room)
        shelf = add_shelf(audit, recordset_count(audit->set) / 2 + ROOM_MIN);
    slot = slot_of(shelf, keyed);
    while (shelf->slots[slot])
        slot = (slot + 1) & (shelf->slot_count - 1);
    shelf->originals[shelf->count] = *original;
    shelf->slots[slot] = ++shelf->count;
}

static void keep(struct audit *audit, const struct stamp *stamp)
{
    struct stamp keyed = {.at_s = stamp->at_s, .hash = keyed_of(audit, &stamp->hash)};

    put(audit, &keyed.hash, &stamp->hash);
    recordset_insert(audit->set, &keyed);
}

struct audit *audit_begin(const struct recordset *set, const uint8_t key[AUDIT_KEY_SIZE])
{
    struct audit *audit = memory_take(sizeof *audit);

    audit->set = recordset_new();
    memcpy(audit->key, key, sizeof audit->key);
    add_shelf(audit, recordset_count(set) + ROOM_MIN);
    return audit;
}

static size_t next_index(const struct audit *audit, const struct recordset *set)
{
    if (!audit->has_begun)
        return 0;
    return recordset_seek(set, &audit->after) + recordset_contains(set, &audit->after);
}

bool audit_go_on(struct audit *audit, const struct recordset *set, size_t stamps_max)
{
    struct stamp stamps[READ_AT_ONCE];
    size_t next = next_index(audit, set), count = 1;

    for (size_t taken = 0; taken < stamps_max && count > 0; taken += count) {
        size_t most = stamps_max - taken < READ_AT_ONCE ? stamps_max - taken : READ_AT_ONCE;

        count = recordset_read(set, next, stamps, most);
        for (size_t i = 0; i < count; i++)
            keep(audit, &stamps[i]);
        if (count > 0) {
            audit->after = stamps[count - 1];
            audit->has_begun = true;
        }
        next += count;
    }
    return next >= recordset_count(set);
}

struct audit *audit_new(const struct recordset *set, const uint8_t key[AUDIT_KEY_SIZE])
{
    struct audit *audit = audit_begin(set, key);

    audit_go_on(audit, set, SIZE_MAX);
    return audit;
}

void audit_free(struct audit *audit)
{
    if (!audit)
        return;
    recordset_free(audit->set);
    for (size_t i = 0; i < audit->shelf_count; i++) {
        memory_give_back(audit->shelves[i].originals);
        memory_give_back(audit->shelves[i].slots);
    }
    sodium_memzero(audit->key, sizeof audit->key);
    memory_give_back(audit);
}

const struct recordset *audit_set(const struct audit *audit)
{
    return audit->set;
}

static bool find_on(const struct audit *audit, const struct shelf *shelf, const struct hash *keyed,
                    struct hash *original)
{
    for (size_t slot = slot_of(shelf, keyed); shelf->slots[slot];
         slot = (slot + 1) & (shelf->slot_count - 1)) {
        const struct hash *found = &shelf->originals[shelf->slots[slot] - 1];
        struct hash its_keyed = keyed_of(audit, found);

        if (hash_equal(&its_keyed, keyed)) {
            *original = *found;
            return true;
        }
    }
    return false;
}

bool audit_original(const struct audit *audit, const struct hash *keyed, struct hash *original)
{
    for (size_t i = 0; i < audit->shelf_count; i++)
        if (find_on(audit, &audit->shelves[i], keyed, original))
            return true;
    return false;
}
