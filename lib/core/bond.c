#include "bond.h"

#include <assert.h>

#define SLOTS_MIN 16u

/* A bond, and its places in the two chains of its hash buckets: by id and by pair. */
struct held {
    struct bond bond;
    struct held *next_by_id, *next_by_pair;
    uint64_t renew_ms; /* steady */
    uint8_t scopes[];  /* what bond.scopes point to */
};

struct bonds {
    size_t max, count, slots; /* slots: a power of two */
    uint64_t next_end_ms;     /* wall; no bond ends sooner */
    uint64_t next_renewal_ms; /* steady */
    struct held **by_id, **by_pair;
};

struct bonds *bonds_new(size_t bonds_max)
{
    struct bonds *bonds = memory_take(sizeof *bonds);

    bonds->max = bonds_max;
    bonds->slots = SLOTS_MIN;
    bonds->next_end_ms = bonds->next_renewal_ms = MOMENT_NEVER;
    bonds->by_id = memory_take(bonds->slots * sizeof *bonds->by_id);
    bonds->by_pair = memory_take(bonds->slots * sizeof *bonds->by_pair);
    return bonds;
}

static struct held *held_new(const struct bond *bond)
{
    struct held *held;
    size_t size = 0;

    assert(bond->scope_count <= PECK_SCOPES_MAX);
    for (size_t i = 0; i < bond->scope_count; i++)
        size += bond->scopes[i].size;
    held = memory_take(sizeof *held + size);
    held->bond = *bond;
    size = 0;
    for (size_t i = 0; i < bond->scope_count; i++) {
        held->bond.scopes[i].data = held->scopes + size;
        memcpy(held->scopes + size, bond->scopes[i].data, bond->scopes[i].size);
        size += bond->scopes[i].size;
    }
    return held;
}

void bonds_free(struct bonds *bonds)
{
    if (!bonds)
        return;
    for (size_t i = 0; i < bonds->slots; i++)
        for (struct held *held = bonds->by_id[i], *next; held; held = next) {
            next = held->next_by_id;
            memory_give_back(held);
        }
    memory_give_back(bonds->by_id);
    memory_give_back(bonds->by_pair);
    memory_give_back(bonds);
}

static uint64_t key_of(const struct id *id)
{
    uint64_t key;

    memcpy(&key, id->bytes, sizeof key);
    return key;
}

static struct held **bucket_by_id(const struct bonds *bonds, const struct id *id)
{
    return &bonds->by_id[key_of(id) & (bonds->slots - 1)];
}

/* The same for (one, other) and (other, one). */
static struct held **bucket_by_pair(const struct bonds *bonds, const struct id *one,
                                    const struct id *other)
{
    return &bonds->by_pair[(key_of(one) ^ key_of(other)) & (bonds->slots - 1)];
}

static void link_in(struct bonds *bonds, struct held *held)
{
    struct held **by_id = bucket_by_id(bonds, &held->bond.id);
    struct held **by_pair = bucket_by_pair(bonds, &held->bond.requester, &held->bond.approver);

    held->next_by_id = *by_id;
    *by_id = held;
    held->next_by_pair = *by_pair;
    *by_pair = held;
}

static void widen(struct bonds *bonds)
{
    struct held **old = bonds->by_id;
    size_t slots = bonds->slots;

    bonds->slots *= 2;
    memory_give_back(bonds->by_pair);
    bonds->by_id = memory_take(bonds->slots * sizeof *bonds->by_id);
    bonds->by_pair = memory_take(bonds->slots * sizeof *bonds->by_pair);
    for (size_t i = 0; i < slots; i++)
        for (struct held *held = old[i], *next; held; held = next) {
            next = held->next_by_id;
            link_in(bonds, held);
        }
    memory_give_back(old);
}

bool bonds_add(struct bonds *bonds, const struct bond *bond)
{
    struct held *held;

    if (bonds->count >= bonds->max && !bonds_find(bonds, &bond->id))
        return false;
    held = held_new(bond);
    bonds_remove(bonds, &held->bond.id);
    if (bonds->count >= bonds->slots)
        widen(bonds);
    link_in(bonds, held);
    bonds->count++;
    if (held->bond.not_after_ms < bonds->next_end_ms)
        bonds->next_end_ms = held->bond.not_after_ms;
    bonds->next_renewal_ms = held->renew_ms = 0;
    return true;
}

static struct held *find(const struct bonds *bonds, const struct id *id)
{
    struct held *held = *bucket_by_id(bonds, id);

    while (held && !id_equal(&held->bond.id, id))
        held = held->next_by_id;
    return held;
}

bool bonds_remove(struct bonds *bonds, const struct id *bond)
{
    struct held *held = find(bonds, bond), **link;

    if (!held)
        return false;
    for (link = bucket_by_id(bonds, bond); *link != held;)
        link = &(*link)->next_by_id;
    *link = held->next_by_id;
    for (link = bucket_by_pair(bonds, &held->bond.requester, &held->bond.approver); *link != held;)
        link = &(*link)->next_by_pair;
    *link = held->next_by_pair;
    memory_give_back(held);
    bonds->count--;
    return true;
}

const struct bond *bonds_find(const struct bonds *bonds, const struct id *bond)
{
    const struct held *held = find(bonds, bond);

    return held ? &held->bond : NULL;
}

const struct bond *bonds_between(const struct bonds *bonds, const struct id *one,
                                 const struct id *other)
{
    for (const struct held *held = *bucket_by_pair(bonds, one, other); held;
         held = held->next_by_pair) {
        const struct bond *bond = &held->bond;

        if ((id_equal(&bond->requester, one) && id_equal(&bond->approver, other)) ||
            (id_equal(&bond->requester, other) && id_equal(&bond->approver, one)))
            return bond;
    }
    return NULL;
}

size_t bonds_count(const struct bonds *bonds)
{
    return bonds->count;
}

size_t bonds_over(struct bonds *bonds, uint64_t wall_ms, struct id *ids, size_t max)
{
    uint64_t next_end_ms = MOMENT_NEVER;
    size_t count = 0;

    if (wall_ms < bonds->next_end_ms)
        return 0;
    for (size_t i = 0; i < bonds->slots; i++)
        for (const struct held *held = bonds->by_id[i]; held; held = held->next_by_id) {
            if (held->bond.not_after_ms <= wall_ms && count < max)
                ids[count++] = held->bond.id;
            else if (held->bond.not_after_ms < next_end_ms)
                next_end_ms = held->bond.not_after_ms;
        }
    bonds->next_end_ms = next_end_ms;
    return count;
}

uint64_t bonds_next_end_ms(const struct bonds *bonds)
{
    return bonds->next_end_ms;
}

void bonds_renew(struct bonds *bonds, uint64_t now_ms,
                 uint64_t (*renew)(void *context, const struct bond *bond), void *context)
{
    uint64_t next_ms = MOMENT_NEVER;

    if (now_ms < bonds->next_renewal_ms)
        return;
    for (size_t i = 0; i < bonds->slots; i++)
        for (struct held *held = bonds->by_id[i]; held; held = held->next_by_id) {
            if (held->renew_ms <= now_ms)
                held->renew_ms = renew(context, &held->bond);
            if (held->renew_ms < next_ms)
                next_ms = held->renew_ms;
        }
    if (next_ms != MOMENT_NEVER && next_ms > now_ms + BONDS_LOOK_MS)
        next_ms += BONDS_LOOK_MS - 1 - (next_ms - 1) % BONDS_LOOK_MS;
    bonds->next_renewal_ms = next_ms;
}

uint64_t bonds_next_renewal_ms(const struct bonds *bonds)
{
    return bonds->next_renewal_ms;
}

const struct bond *bonds_cover(const struct bonds *bonds, const struct id *from,
                               const struct id *to, struct bytes action, uint64_t wall_ms)
{
    for (const struct held *held = *bucket_by_pair(bonds, from, to); held;
         held = held->next_by_pair) {
        const struct bond *bond = &held->bond;

        if (!id_equal(&bond->requester, from) || !id_equal(&bond->approver, to) ||
            bond->not_after_ms <= wall_ms)
            continue;
        for (size_t i = 0; i < bond->scope_count; i++)
            if (peck_scope_covers(bond->scopes[i], action))
                return bond;
    }
    return NULL;
}
