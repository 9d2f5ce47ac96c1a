#include "audit.h"

#include <sodium.h>
#include <stdlib.h>

#define SLOTS_MIN 16u
#define SLOTS_PER_PLACE 2u
#define AUDIT_LABEL "ducknode audit 1"

/* A stamp of the set and what becomes of it. */
struct pair {
    struct stamp keyed;
    struct hash original;
};

struct audit {
    struct recordset *set;
    struct hash *originals; /* in the order of the set */
    size_t room;            /* of those */
    size_t *slots;          /* 1 + index of the set, open addressing by the keyed hash; 0: free */
    size_t slot_count;      /* a power of two */
    struct stamp after;     /* where it goes on: a hash of zeros at a second that was not read */
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

static int compare_pairs(const void *left, const void *right)
{
    return stamp_compare(&((const struct pair *)left)->keyed, &((const struct pair *)right)->keyed);
}

/* The hash is keyed, so where its slot begins nobody can have chosen. */
static size_t slot_of(const struct audit *audit, const struct hash *keyed)
{
    size_t number;

    memcpy(&number, keyed->bytes, sizeof number);
    return number & (audit->slot_count - 1);
}

static void put_slot(struct audit *audit, const struct hash *keyed, size_t index)
{
    size_t slot = slot_of(audit, keyed);

    while (audit->slots[slot])
        slot = (slot + 1) & (audit->slot_count - 1);
    audit->slots[slot] = index + 1;
}

/* For `count` stamps; those that are there get their new slots. */
static void make_room(struct audit *audit, size_t count)
{
    struct stamp stamp;

    audit->room = count;
    audit->originals = memory_resize(audit->originals, count * sizeof *audit->originals);
    memory_give_back(audit->slots);
    audit->slot_count = SLOTS_MIN;
    while (audit->slot_count < SLOTS_PER_PLACE * count)
        audit->slot_count *= 2;
    audit->slots = memory_take(audit->slot_count * sizeof *audit->slots);
    for (size_t i = 0; recordset_read(audit->set, i, &stamp, 1) == 1; i++)
        put_slot(audit, &stamp.hash, i);
}

static void keep(struct audit *audit, const struct pair *pair)
{
    size_t index = recordset_count(audit->set);

    if (index == audit->room)
        make_room(audit, audit->room + audit->room / 2 + 64);
    recordset_insert(audit->set, &pair->keyed);
    audit->originals[index] = pair->original;
    put_slot(audit, &pair->keyed.hash, index);
}

/* Reads the stamps of one second from `begin` on into `pairs`; the set is in order, so only they
 * change places among themselves. Returns how many. */
static size_t read_second(const struct recordset *set, size_t begin, struct pair **pairs,
                          size_t *room)
{
    size_t count = 0;
    struct stamp stamp;

    while (recordset_read(set, begin + count, &stamp, 1) == 1 &&
           (count == 0 || stamp.at_s == (*pairs)[0].keyed.at_s)) {
        if (count == *room) {
            *room = *room ? 2 * *room : 64;
            *pairs = memory_resize(*pairs, *room * sizeof **pairs);
        }
        (*pairs)[count++] = (struct pair){.keyed = {.at_s = stamp.at_s}, .original = stamp.hash};
    }
    return count;
}

struct audit *audit_begin(const struct recordset *set, const uint8_t key[AUDIT_KEY_SIZE])
{
    struct audit *audit = memory_take(sizeof *audit);

    audit->set = recordset_new();
    memcpy(audit->key, key, sizeof audit->key);
    make_room(audit, recordset_count(set) + 1);
    return audit;
}

bool audit_go_on(struct audit *audit, const struct recordset *set, size_t stamps_max)
{
    size_t begin = recordset_seek(set, &audit->after), room = 0, taken = 0, count = 0;
    struct pair *pairs = NULL;

    while (taken < stamps_max && (count = read_second(set, begin, &pairs, &room)) > 0) {
        for (size_t i = 0; i < count; i++)
            crypto_generichash(pairs[i].keyed.hash.bytes, HASH_SIZE, pairs[i].original.bytes,
                               HASH_SIZE, audit->key, sizeof audit->key);
        audit->after.at_s = pairs[0].keyed.at_s + 1; /* before all of the next second */
        if (count > 1)
            qsort(pairs, count, sizeof *pairs, compare_pairs);
        for (size_t i = 0; i < count; i++)
            keep(audit, &pairs[i]);
        begin += count;
        taken += count;
    }
    memory_give_back(pairs);
    return count == 0 || begin == recordset_count(set);
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
    memory_give_back(audit->originals);
    memory_give_back(audit->slots);
    sodium_memzero(audit->key, sizeof audit->key);
    memory_give_back(audit);
}

const struct recordset *audit_set(const struct audit *audit)
{
    return audit->set;
}

bool audit_original(const struct audit *audit, const struct hash *keyed, struct hash *original)
{
    for (size_t slot = slot_of(audit, keyed); audit->slots[slot];
         slot = (slot + 1) & (audit->slot_count - 1)) {
        size_t index = audit->slots[slot] - 1;
        struct stamp stamp;
        if (recordset_read(audit->set, index, &stamp, 1) == 1 && hash_equal(&stamp.hash, keyed)) {
            *original = audit->originals[index];
            return true;
        }
    }
    return false;
}
