#include "idtable.h"

#define SLOTS_MIN 16u

void idtable_init(struct idtable *table)
{
    *table = (struct idtable){.slots = SLOTS_MIN};
    table->buckets = memory_take(table->slots * sizeof(struct idtable_node *));
}

void idtable_free(struct idtable *table)
{
    for (size_t i = 0; i < table->slots; i++)
        for (struct idtable_node *node = table->buckets[i], *next; node; node = next) {
            next = node->next;
            memory_give_back(node);
        }
    memory_give_back(table->buckets);
}

static size_t bucket(const struct idtable *table, const struct id *id)
{
    uint64_t key;

    memcpy(&key, id->bytes, sizeof key); /* ids are hashes: any 8 bytes spread well */
    return key & (table->slots - 1);
}

struct idtable_node *idtable_find(const struct idtable *table, const struct id *id)
{
    struct idtable_node *node = table->buckets[bucket(table, id)];

    while (node && !id_equal(&node->id, id))
        node = node->next;
    return node;
}

static void link_in(struct idtable *table, struct idtable_node *node)
{
    struct idtable_node **head = &table->buckets[bucket(table, &node->id)];

    node->next = *head;
    *head = node;
}

static void widen(struct idtable *table)
{
    struct idtable_node **old = table->buckets;
    size_t slots = table->slots;

    table->slots *= 2;
    table->buckets = memory_take(table->slots * sizeof(struct idtable_node *));
    for (size_t i = 0; i < slots; i++)
        for (struct idtable_node *node = old[i], *next; node; node = next) {
            next = node->next;
            link_in(table, node);
        }
    memory_give_back(old);
}

void idtable_add(struct idtable *table, struct idtable_node *node)
{
    if (table->count >= table->slots)
        widen(table);
    link_in(table, node);
    table->count++;
}

void idtable_remove(struct idtable *table, struct idtable_node *node)
{
    struct idtable_node **link = &table->buckets[bucket(table, &node->id)];

    while (*link != node)
        link = &(*link)->next;
    *link = node->next;
    table->count--;
}

struct idtable_node *idtable_next(const struct idtable *table, const struct idtable_node *node)
{
    size_t i = 0;

    if (node) {
        if (node->next)
            return node->next;
        i = bucket(table, &node->id) + 1;
    }
    for (; i < table->slots; i++)
        if (table->buckets[i])
            return table->buckets[i];
    return NULL;
}
