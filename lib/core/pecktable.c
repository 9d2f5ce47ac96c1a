#include "pecktable.h"

#include <assert.h>

#define HEAP_MIN 8u

/* ---- binary heaps, places from 1 ---- */

static void put(struct pecktable_heap *heap, size_t place, struct pecktable_node *node)
{
    heap->nodes[place] = node;
    node->place[heap->kind] = place;
}

static bool is_earlier(const struct pecktable_node *left, const struct pecktable_node *right,
                       enum pecktable_heap_kind kind)
{
    if (left->key[kind] != right->key[kind])
        return left->key[kind] < right->key[kind];
    return left->arrival < right->arrival;
}

static void rise(struct pecktable_heap *heap, struct pecktable_node *node)
{
    size_t place = node->place[heap->kind];

    while (place > 1 && is_earlier(node, heap->nodes[place / 2], heap->kind)) {
        put(heap, place, heap->nodes[place / 2]);
        place /= 2;
    }
    put(heap, place, node);
}

static void sink(struct pecktable_heap *heap, struct pecktable_node *node)
{
    size_t place = node->place[heap->kind];

    while (place * 2 <= heap->count) {
        size_t child = place * 2;

        if (child < heap->count &&
            is_earlier(heap->nodes[child + 1], heap->nodes[child], heap->kind))
            child++;
        if (!is_earlier(heap->nodes[child], node, heap->kind))
            break;
        put(heap, place, heap->nodes[child]);
        place = child;
    }
    put(heap, place, node);
}

static void heap_insert(struct pecktable_heap *heap, struct pecktable_node *node, uint64_t key)
{
    size_t place = ++heap->count;

    if (place >= heap->capacity) {
        heap->capacity = heap->capacity ? heap->capacity * 2 : HEAP_MIN;
        heap->nodes = memory_resize(heap->nodes, heap->capacity * sizeof(struct pecktable_node *));
    }
    node->key[heap->kind] = key;
    put(heap, place, node);
    rise(heap, node);
}

static void heap_take_out(struct pecktable_heap *heap, struct pecktable_node *node)
{
    size_t place = node->place[heap->kind];
    struct pecktable_node *last;

    if (place == 0)
        return;
    assert(heap->nodes[place] == node);
    last = heap->nodes[heap->count--];
    node->place[heap->kind] = 0;
    if (last == node)
        return;
    put(heap, place, last);
    rise(heap, last);
    sink(heap, last);
}

static struct pecktable_node *heap_first(const struct pecktable_heap *heap)
{
    return heap->count ? heap->nodes[1] : NULL;
}

static struct pecktable_node *heap_first_until(const struct pecktable_heap *heap, uint64_t key)
{
    struct pecktable_node *first = heap_first(heap);

    return first && first->key[heap->kind] <= key ? first : NULL;
}

/* ---- the table ---- */

void pecktable_init(struct pecktable *table, size_t max)
{
    *table = (struct pecktable){.max = max};
    idtable_init(&table->by_id);
    table->steady.kind = PECKTABLE_STEADY;
    table->wall.kind = PECKTABLE_WALL;
}

void pecktable_free(struct pecktable *table)
{
    idtable_free(&table->by_id);
    memory_give_back(table->steady.nodes);
    memory_give_back(table->wall.nodes);
}

size_t pecktable_count(const struct pecktable *table)
{
    return table->by_id.count;
}

struct pecktable_node *pecktable_find(const struct pecktable *table, const struct id *peck)
{
    return (struct pecktable_node *)idtable_find(&table->by_id, peck);
}

bool pecktable_add(struct pecktable *table, const struct id *peck, struct pecktable_node *node)
{
    if (table->by_id.count >= table->max || pecktable_find(table, peck))
        return false;
    *node = (struct pecktable_node){.by_id.id = *peck, .arrival = table->arrivals++};
    idtable_add(&table->by_id, &node->by_id);
    return true;
}

void pecktable_remove(struct pecktable *table, struct pecktable_node *node)
{
    assert(node->place[PECKTABLE_QUEUE] == 0);
    heap_take_out(&table->steady, node);
    heap_take_out(&table->wall, node);
    idtable_remove(&table->by_id, &node->by_id);
    memory_give_back(node);
}

static void set(struct pecktable_heap *heap, struct pecktable_node *node, uint64_t key)
{
    heap_take_out(heap, node);
    if (key != MOMENT_NEVER)
        heap_insert(heap, node, key);
}

void pecktable_set_due(struct pecktable *table, struct pecktable_node *node, uint64_t now_ms)
{
    set(&table->steady, node, now_ms);
}

void pecktable_set_expiry(struct pecktable *table, struct pecktable_node *node, uint64_t wall_ms)
{
    set(&table->wall, node, wall_ms);
}

struct pecktable_node *pecktable_due(const struct pecktable *table, uint64_t now_ms)
{
    return heap_first_until(&table->steady, now_ms);
}

struct pecktable_node *pecktable_expired(const struct pecktable *table, uint64_t wall_ms)
{
    return heap_first_until(&table->wall, wall_ms);
}

uint64_t pecktable_wake_at_ms(const struct pecktable *table, const struct moment *at)
{
    const struct pecktable_node *due = heap_first(&table->steady);
    const struct pecktable_node *ending = heap_first(&table->wall);
    uint64_t wake_ms = due ? due->key[PECKTABLE_STEADY] : MOMENT_NEVER;

    if (ending) {
        uint64_t end_ms = ending->key[PECKTABLE_WALL];
        uint64_t then_ms = at->now_ms + (end_ms > at->wall_ms ? end_ms - at->wall_ms : 0);

        if (then_ms < wake_ms)
            wake_ms = then_ms;
    }
    return wake_ms;
}

/* ---- queues ---- */

void pecktable_queue_init(struct pecktable_heap *queue)
{
    *queue = (struct pecktable_heap){.kind = PECKTABLE_QUEUE};
}

void pecktable_queue_free(struct pecktable_heap *queue)
{
    memory_give_back(queue->nodes);
    pecktable_queue_init(queue);
}

void pecktable_queue_join(struct pecktable_heap *queue, struct pecktable_node *node, uint64_t rank)
{
    assert(node->place[PECKTABLE_QUEUE] == 0);
    heap_insert(queue, node, rank);
}

void pecktable_queue_leave(struct pecktable_heap *queue, struct pecktable_node *node)
{
    heap_take_out(queue, node);
}

struct pecktable_node *pecktable_queue_first(const struct pecktable_heap *queue)
{
    return heap_first(queue);
}
