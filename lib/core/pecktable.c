#include "pecktable.h"

#define SLOTS_MIN 16u

void pecktable_init(struct pecktable *table, size_t max)
{
    *table = (struct pecktable){.max = max, .slots = SLOTS_MIN};
    table->buckets = memory_take(table->slots * sizeof(struct pecktable_node *));
}

void pecktable_free(struct pecktable *table)
{
    for (size_t i = 0; i < table->slots; i++)
        for (struct pecktable_node *node = table->buckets[i], *next; node; node = next) {
            next = node->next;
            memory_give_back(node);
        }
    memory_give_back(table->buckets);
    for (int clock = 0; clock < PECKTABLE_CLOCKS; clock++)
        memory_give_back(table->heaps[clock]);
}

/* ---- by id ---- */

static struct pecktable_node **bucket(const struct pecktable *table, const struct id *peck)
{
    uint64_t key;

    memcpy(&key, peck->bytes, sizeof key); /* ids are hashes: any 8 bytes spread well */
    return &table->buckets[key & (table->slots - 1)];
}

struct pecktable_node *pecktable_find(const struct pecktable *table, const struct id *peck)
{
    struct pecktable_node *node = *bucket(table, peck);

    while (node && !id_equal(&node->peck, peck))
        node = node->next;
    return node;
}

static void widen(struct pecktable *table)
{
    struct pecktable_node **old = table->buckets;
    size_t slots = table->slots;

    table->slots *= 2;
    table->buckets = memory_take(table->slots * sizeof(struct pecktable_node *));
    for (size_t i = 0; i < slots; i++)
        for (struct pecktable_node *node = old[i], *next; node; node = next) {
            struct pecktable_node **head = bucket(table, &node->peck);

            next = node->next;
            node->next = *head;
            *head = node;
        }
    memory_give_back(old);
}

bool pecktable_add(struct pecktable *table, struct pecktable_node *node)
{
    struct pecktable_node **head;

    if (table->count >= table->max || pecktable_find(table, &node->peck))
        return false;
    if (table->count >= table->slots)
        widen(table);
    head = bucket(table, &node->peck);
    node->next = *head;
    *head = node;
    for (int clock = 0; clock < PECKTABLE_CLOCKS; clock++) {
        node->due_ms[clock] = MOMENT_NEVER;
        node->place[clock] = 0;
    }
    table->count++;
    return true;
}

void pecktable_remove(struct pecktable *table, struct pecktable_node *node)
{
    struct pecktable_node **link = bucket(table, &node->peck);

    for (int clock = 0; clock < PECKTABLE_CLOCKS; clock++)
        pecktable_set_due(table, node, (enum pecktable_clock)clock, MOMENT_NEVER);
    while (*link != node)
        link = &(*link)->next;
    *link = node->next;
    table->count--;
    memory_give_back(node);
}

/* ---- by deadline: binary heaps, places from 1 ---- */

static void put(struct pecktable *table, enum pecktable_clock clock, size_t place,
                struct pecktable_node *node)
{
    table->heaps[clock][place] = node;
    node->place[clock] = place;
}

static bool is_earlier(const struct pecktable_node *left, const struct pecktable_node *right,
                       enum pecktable_clock clock)
{
    if (left->due_ms[clock] != right->due_ms[clock])
        return left->due_ms[clock] < right->due_ms[clock];
    return id_compare(&left->peck, &right->peck) < 0; /* so that every run goes alike */
}

static void rise(struct pecktable *table, enum pecktable_clock clock, struct pecktable_node *node)
{
    size_t place = node->place[clock];

    while (place > 1 && is_earlier(node, table->heaps[clock][place / 2], clock)) {
        put(table, clock, place, table->heaps[clock][place / 2]);
        place /= 2;
    }
    put(table, clock, place, node);
}

static void sink(struct pecktable *table, enum pecktable_clock clock, struct pecktable_node *node)
{
    struct pecktable_node **heap = table->heaps[clock];
    size_t place = node->place[clock], count = table->heap_count[clock];

    while (place * 2 <= count) {
        size_t child = place * 2;

        if (child < count && is_earlier(heap[child + 1], heap[child], clock))
            child++;
        if (!is_earlier(heap[child], node, clock))
            break;
        put(table, clock, place, heap[child]);
        place = child;
    }
    put(table, clock, place, node);
}

static void insert(struct pecktable *table, enum pecktable_clock clock, struct pecktable_node *node)
{
    size_t place = ++table->heap_count[clock];

    if (place >= table->heap_capacity[clock]) {
        table->heap_capacity[clock] = place * 2 + SLOTS_MIN;
        table->heaps[clock] = memory_resize(
            table->heaps[clock], table->heap_capacity[clock] * sizeof(struct pecktable_node *));
    }
    put(table, clock, place, node);
    rise(table, clock, node);
}

static void take_out(struct pecktable *table, enum pecktable_clock clock,
                     struct pecktable_node *node)
{
    size_t place = node->place[clock];
    struct pecktable_node *last = table->heaps[clock][table->heap_count[clock]--];

    node->place[clock] = 0;
    if (last == node)
        return;
    put(table, clock, place, last);
    rise(table, clock, last);
    sink(table, clock, last);
}

void pecktable_set_due(struct pecktable *table, struct pecktable_node *node,
                       enum pecktable_clock clock, uint64_t due_ms)
{
    if (node->place[clock])
        take_out(table, clock, node);
    node->due_ms[clock] = due_ms;
    if (due_ms != MOMENT_NEVER)
        insert(table, clock, node);
}

struct pecktable_node *pecktable_first(const struct pecktable *table, enum pecktable_clock clock)
{
    return table->heap_count[clock] ? table->heaps[clock][1] : NULL;
}

uint64_t pecktable_wake_at_ms(const struct pecktable *table, const struct moment *at)
{
    const struct pecktable_node *steady = pecktable_first(table, PECKTABLE_STEADY);
    const struct pecktable_node *wall = pecktable_first(table, PECKTABLE_WALL);
    uint64_t wake_ms = steady ? steady->due_ms[PECKTABLE_STEADY] : MOMENT_NEVER;

    if (wall) {
        uint64_t due_ms = wall->due_ms[PECKTABLE_WALL];
        uint64_t then_ms = at->now_ms + (due_ms > at->wall_ms ? due_ms - at->wall_ms : 0);

        if (then_ms < wake_ms)
            wake_ms = then_ms;
    }
    return wake_ms;
}
