/* What happens when: a heap of four children a parent, so that ten million fit few cache lines. */
#include "pond_parts.h"

static bool is_before(const struct happening *left, const struct happening *right)
{
    return left->at_us != right->at_us ? left->at_us < right->at_us : left->order < right->order;
}

void queue_add(struct queue *queue, struct happening happening)
{
    size_t i = queue->count++;

    if (queue->count > queue->capacity) {
        queue->capacity = queue->capacity ? queue->capacity * 2 : 1024;
        queue->heap = memory_resize(queue->heap, queue->capacity * sizeof *queue->heap);
    }
    happening.order = queue->order++;
    while (i > 0 && is_before(&happening, &queue->heap[(i - 1) / 4])) {
        queue->heap[i] = queue->heap[(i - 1) / 4];
        i = (i - 1) / 4;
    }
    queue->heap[i] = happening;
}

static size_t first_child(const struct queue *queue, size_t parent)
{
    size_t first = 4 * parent + 1, best = first;

    for (size_t i = first + 1; i < first + 4 && i < queue->count; i++)
        if (is_before(&queue->heap[i], &queue->heap[best]))
            best = i;
    return best;
}

bool queue_take(struct queue *queue, uint64_t until_us, struct happening *happening)
{
    struct happening last;
    size_t i = 0;

    if (queue->count == 0 || queue->heap[0].at_us > until_us)
        return false;
    *happening = queue->heap[0];
    last = queue->heap[--queue->count];
    while (4 * i + 1 < queue->count) {
        size_t child = first_child(queue, i);

        if (!is_before(&queue->heap[child], &last))
            break;
        queue->heap[i] = queue->heap[child];
        i = child;
    }
    queue->heap[i] = last;
    return true;
}
