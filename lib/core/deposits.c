#include "deposits.h"

#include "idtable.h"
#include "moment.h"

enum state { ASKED, HOLDS, REFUSED };

struct brought {
    struct idtable_node by_peck;
    struct brought_to *to[PERCHES_PER_PECK];
    size_t count;
};

struct brought_to {
    struct idtable_node by_name;
    struct brought *peck;
    struct id perch;
    enum state state;
    uint64_t again_ms; /* steady */
};

struct deposits {
    struct idtable pecks, names;
    size_t max;
};

struct deposits *deposits_new(size_t pecks_max)
{
    struct deposits *deposits = memory_take(sizeof *deposits);

    deposits->max = pecks_max;
    idtable_init(&deposits->pecks);
    idtable_init(&deposits->names);
    return deposits;
}

void deposits_free(struct deposits *deposits)
{
    if (!deposits)
        return;
    idtable_free(&deposits->pecks);
    idtable_free(&deposits->names);
    memory_give_back(deposits);
}

struct id deposit_name(const struct hash *peck, const struct id *perch)
{
    static const char label[] = "duck/deposit/1";
    uint8_t all[sizeof label + HASH_SIZE + ID_SIZE];
    struct hash hash;

    memcpy(all, label, sizeof label);
    memcpy(all + sizeof label, peck->bytes, HASH_SIZE);
    memcpy(all + sizeof label + HASH_SIZE, perch->bytes, ID_SIZE);
    hash = hash_of(bytes_of(all, sizeof all));
    return id_of(&hash);
}

static struct brought_to *find(const struct deposits *deposits, const struct id *name)
{
    return (struct brought_to *)idtable_find(&deposits->names, name);
}

static struct brought *find_peck(const struct deposits *deposits, const struct id *peck)
{
    return (struct brought *)idtable_find(&deposits->pecks, peck);
}

/* NULL: no room. */
static struct brought_to *add(struct deposits *deposits, const struct hash *hash,
                              const struct id *perch)
{
    struct id peck = id_of(hash);
    struct brought *brought = find_peck(deposits, &peck);
    struct brought_to *to;

    if (brought ? brought->count == PERCHES_PER_PECK : deposits->pecks.count >= deposits->max)
        return NULL;
    if (!brought) {
        brought = memory_take(sizeof *brought);
        brought->by_peck.id = peck;
        idtable_add(&deposits->pecks, &brought->by_peck);
    }
    to = memory_take(sizeof *to);
    to->by_name.id = deposit_name(hash, perch);
    to->peck = brought;
    to->perch = *perch;
    idtable_add(&deposits->names, &to->by_name);
    brought->to[brought->count++] = to;
    return to;
}

bool deposits_bring(struct deposits *deposits, const struct hash *peck, const struct id *perch,
                    uint64_t now_ms)
{
    struct id name = deposit_name(peck, perch);
    struct brought_to *to = find(deposits, &name);

    if (to && (to->state == HOLDS || to->again_ms > now_ms))
        return false;
    if (!to)
        to = add(deposits, peck, perch);
    if (!to)
        return false;
    to->state = ASKED;
    to->again_ms = now_ms + DEPOSIT_ANSWER_MS;
    return true;
}

bool deposits_answer(struct deposits *deposits, const struct id *name, const struct id *perch,
                     bool is_held, uint64_t now_ms, struct id *peck)
{
    struct brought_to *to = find(deposits, name);

    if (!to || !id_equal(&to->perch, perch) || to->state == HOLDS)
        return false;
    to->state = is_held ? HOLDS : REFUSED;
    to->again_ms = now_ms + DEPOSIT_REFUSED_MS;
    *peck = to->peck->by_peck.id;
    return true;
}

void deposits_restore(struct deposits *deposits, const struct hash *peck, const struct id *perch)
{
    struct id name = deposit_name(peck, perch);
    struct brought_to *to = find(deposits, &name);

    if (!to)
        to = add(deposits, peck, perch);
    if (to)
        to->state = HOLDS;
}

void deposits_forget(struct deposits *deposits, const struct id *peck)
{
    struct brought *brought = find_peck(deposits, peck);

    if (!brought)
        return;
    for (size_t i = 0; i < brought->count; i++) {
        idtable_remove(&deposits->names, &brought->to[i]->by_name);
        memory_give_back(brought->to[i]);
    }
    idtable_remove(&deposits->pecks, &brought->by_peck);
    memory_give_back(brought);
}

size_t deposits_held_by(const struct deposits *deposits, const struct id *peck,
                        struct id perches[PERCHES_PER_PECK])
{
    const struct brought *brought = find_peck(deposits, peck);
    size_t count = 0;

    for (size_t i = 0; brought && i < brought->count; i++)
        if (brought->to[i]->state == HOLDS)
            perches[count++] = brought->to[i]->perch;
    return count;
}

size_t deposits_count(const struct deposits *deposits)
{
    return deposits->pecks.count;
}
