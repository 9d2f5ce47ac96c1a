#include "delivery_queue.h"

#include "core/bytes.h"

#include <assert.h>

#define NONE UINT32_MAX

struct item {
    struct queued_delivery delivery;
    uint32_t next;    /* in its line, or among the free ones */
    bool is_doubtful; /* under way to a host that failed */
};

/* A webhook: what is due and waits for its turn. */
struct line {
    uint64_t webhook;
    uint32_t first, last; /* of items; NONE: empty */
};

/* A host or an operator, while it has deliveries under way; a host also while it fails. */
struct bound {
    uint64_t who;
    size_t under_way;
    bool fails;
};

struct bounds {
    struct bound *all;
    size_t count, room;
};

struct delivery_queue {
    struct delivery_queue_settings settings;
    struct item *items;
    uint32_t item_room, free;
    uint32_t *heap; /* items that are not due yet; the earliest first */
    size_t heap_size;
    uint32_t *under_way;
    size_t under_way_count, doubtful_count, count;
    struct line *lines; /* by webhook */
    size_t line_count, line_room, turn;
    struct bounds hosts, operators;
};

struct delivery_queue *delivery_queue_new(const struct delivery_queue_settings *settings)
{
    struct delivery_queue *queue = memory_take(sizeof *queue);

    queue->settings = *settings;
    queue->free = NONE;
    queue->under_way = memory_take(settings->at_once * sizeof *queue->under_way);
    return queue;
}

void delivery_queue_free(struct delivery_queue *queue)
{
    if (!queue)
        return;
    memory_give_back(queue->items);
    memory_give_back(queue->heap);
    memory_give_back(queue->under_way);
    memory_give_back(queue->lines);
    memory_give_back(queue->hosts.all);
    memory_give_back(queue->operators.all);
    memory_give_back(queue);
}

/* ---- items ---- */

static uint32_t take_item(struct delivery_queue *queue)
{
    uint32_t taken = queue->free;

    if (taken == NONE) {
        uint32_t room = queue->item_room ? 2 * queue->item_room : 64;

        queue->items = memory_resize(queue->items, room * sizeof *queue->items);
        queue->heap = memory_resize(queue->heap, room * sizeof *queue->heap);
        for (uint32_t i = room; i-- > queue->item_room;) {
            queue->items[i].next = queue->free;
            queue->free = i;
        }
        queue->item_room = room;
        taken = queue->free;
    }
    queue->free = queue->items[taken].next;
    queue->items[taken].next = NONE;
    queue->count++;
    return taken;
}

static void free_item(struct delivery_queue *queue, uint32_t item)
{
    queue->items[item].next = queue->free;
    queue->free = item;
    queue->count--;
}

/* ---- the heap ---- */

static bool is_earlier(const struct delivery_queue *queue, uint32_t left, uint32_t right)
{
    const struct queued_delivery *a = &queue->items[left].delivery,
                                 *b = &queue->items[right].delivery;

    return a->due_ms < b->due_ms || (a->due_ms == b->due_ms && a->delivery < b->delivery);
}

static void sift_up(struct delivery_queue *queue, size_t at)
{
    uint32_t item = queue->heap[at];

    while (at > 0 && is_earlier(queue, item, queue->heap[(at - 1) / 2])) {
        queue->heap[at] = queue->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue->heap[at] = item;
}

static void sift_down(struct delivery_queue *queue, size_t at)
{
    uint32_t item = queue->heap[at];

    for (size_t child = 2 * at + 1; child < queue->heap_size; child = 2 * at + 1) {
        if (child + 1 < queue->heap_size &&
            is_earlier(queue, queue->heap[child + 1], queue->heap[child]))
            child++;
        if (!is_earlier(queue, queue->heap[child], item))
            break;
        queue->heap[at] = queue->heap[child];
        at = child;
    }
    queue->heap[at] = item;
}

static void wait_until_due(struct delivery_queue *queue, uint32_t item)
{
    queue->heap[queue->heap_size++] = item;
    sift_up(queue, queue->heap_size - 1);
}

static uint32_t take_earliest(struct delivery_queue *queue)
{
    uint32_t item = queue->heap[0];

    queue->heap[0] = queue->heap[--queue->heap_size];
    if (queue->heap_size > 0)
        sift_down(queue, 0);
    return item;
}

/* ---- lines ---- */

static size_t place_of(const struct delivery_queue *queue, uint64_t webhook)
{
    size_t low = 0, high = queue->line_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (queue->lines[middle].webhook < webhook)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct line *line_of(struct delivery_queue *queue, uint64_t webhook)
{
    size_t place = place_of(queue, webhook);

    if (place < queue->line_count && queue->lines[place].webhook == webhook)
        return &queue->lines[place];
    if (queue->line_count == queue->line_room) {
        queue->line_room = queue->line_room ? 2 * queue->line_room : 16;
        queue->lines = memory_resize(queue->lines, queue->line_room * sizeof *queue->lines);
    }
    memmove(&queue->lines[place + 1], &queue->lines[place],
            (queue->line_count - place) * sizeof *queue->lines);
    queue->line_count++;
    queue->lines[place] = (struct line){.webhook = webhook, .first = NONE, .last = NONE};
    return &queue->lines[place];
}

static void line_up(struct delivery_queue *queue, uint32_t item)
{
    struct line *line = line_of(queue, queue->items[item].delivery.webhook);

    queue->items[item].next = NONE;
    if (line->first == NONE)
        line->first = item;
    else
        queue->items[line->last].next = item;
    line->last = item;
}

static void end_line(struct delivery_queue *queue, size_t place)
{
    memmove(&queue->lines[place], &queue->lines[place + 1],
            (queue->line_count - place - 1) * sizeof *queue->lines);
    queue->line_count--;
}

/* ---- bounds ---- */

static struct bound *find_bound(const struct bounds *bounds, uint64_t who)
{
    for (size_t i = 0; i < bounds->count; i++)
        if (bounds->all[i].who == who)
            return &bounds->all[i];
    return NULL;
}

static struct bound *take_bound(struct bounds *bounds, uint64_t who)
{
    struct bound *bound = find_bound(bounds, who);

    if (bound)
        return bound;
    if (bounds->count == bounds->room) {
        bounds->room = bounds->room ? 2 * bounds->room : 16;
        bounds->all = memory_resize(bounds->all, bounds->room * sizeof *bounds->all);
    }
    bounds->all[bounds->count] = (struct bound){.who = who};
    return &bounds->all[bounds->count++];
}

static void leave_bound(struct bounds *bounds, uint64_t who)
{
    struct bound *bound = find_bound(bounds, who);

    assert(bound && bound->under_way > 0);
    bound->under_way--;
    if (bound->under_way == 0 && !bound->fails)
        *bound = bounds->all[--bounds->count];
}

/* One that rests is forgotten when more fail: its next failure says so again. */
#define FAILING_HOSTS_MAX 256u

static void forget_one_that_fails(struct bounds *hosts)
{
    for (size_t i = 0; i < hosts->count; i++)
        if (hosts->all[i].under_way == 0) {
            hosts->all[i] = hosts->all[--hosts->count];
            return;
        }
}

static void note_end(struct delivery_queue *queue, uint64_t host, enum delivery_end end)
{
    struct bound *bound = find_bound(&queue->hosts, host);

    assert(bound);
    if (end != DELIVERY_SAID_NOTHING)
        bound->fails = end == DELIVERY_WENT_BADLY;
}

static bool may_go(const struct delivery_queue *queue, const struct queued_delivery *delivery)
{
    const struct bound *host = find_bound(&queue->hosts, delivery->host),
                       *operator_bound = find_bound(&queue->operators, delivery->operator_id);
    bool is_doubtful = host && host->fails;
    size_t at_once_host = is_doubtful ? 1 : queue->settings.at_once_host;

    if (is_doubtful && queue->doubtful_count >= queue->settings.at_once / 2)
        return false;
    return (!host || host->under_way < at_once_host) &&
           (!operator_bound || operator_bound->under_way < queue->settings.at_once_operator);
}

/* ---- the queue ---- */

bool delivery_queue_add(struct delivery_queue *queue, const struct queued_delivery *added)
{
    uint32_t item;

    if (queue->count >= queue->settings.max)
        return false;
    item = take_item(queue);
    queue->items[item].delivery = *added;
    wait_until_due(queue, item);
    return true;
}

static void start(struct delivery_queue *queue, size_t place, struct queued_delivery *next)
{
    struct line *line = &queue->lines[place];
    uint32_t item = line->first;
    struct bound *host;

    *next = queue->items[item].delivery;
    line->first = queue->items[item].next;
    queue->items[item].next = NONE;
    queue->under_way[queue->under_way_count++] = item;
    host = take_bound(&queue->hosts, next->host);
    host->under_way++;
    queue->items[item].is_doubtful = host->fails;
    queue->doubtful_count += host->fails;
    take_bound(&queue->operators, next->operator_id)->under_way++;
    queue->turn = place + 1;
    if (line->first == NONE) {
        end_line(queue, place);
        queue->turn = place;
    }
}

bool delivery_queue_next(struct delivery_queue *queue, uint64_t now_ms,
                         struct queued_delivery *next)
{
    while (queue->heap_size > 0 && queue->items[queue->heap[0]].delivery.due_ms <= now_ms)
        line_up(queue, take_earliest(queue));
    if (queue->under_way_count >= queue->settings.at_once)
        return false;
    for (size_t i = 0; i < queue->line_count; i++) {
        size_t place = (queue->turn + i) % queue->line_count;

        if (may_go(queue, &queue->items[queue->lines[place].first].delivery)) {
            start(queue, place, next);
            return true;
        }
    }
    return false;
}

void delivery_queue_back(struct delivery_queue *queue, uint64_t delivery, enum delivery_end end,
                         uint64_t due_ms)
{
    size_t at = 0;
    uint32_t item;

    while (at < queue->under_way_count &&
           queue->items[queue->under_way[at]].delivery.delivery != delivery)
        at++;
    assert(at < queue->under_way_count);
    item = queue->under_way[at];
    queue->under_way[at] = queue->under_way[--queue->under_way_count];
    queue->doubtful_count -= queue->items[item].is_doubtful;
    note_end(queue, queue->items[item].delivery.host, end);
    leave_bound(&queue->hosts, queue->items[item].delivery.host);
    leave_bound(&queue->operators, queue->items[item].delivery.operator_id);
    if (queue->hosts.count > queue->settings.at_once + FAILING_HOSTS_MAX)
        forget_one_that_fails(&queue->hosts);
    if (due_ms == UINT64_MAX) {
        free_item(queue, item);
        return;
    }
    queue->items[item].delivery.due_ms = due_ms;
    wait_until_due(queue, item);
}

void delivery_queue_drop(struct delivery_queue *queue, uint64_t webhook)
{
    size_t place = place_of(queue, webhook), kept = 0;

    if (place < queue->line_count && queue->lines[place].webhook == webhook) {
        for (uint32_t item = queue->lines[place].first, next; item != NONE; item = next) {
            next = queue->items[item].next;
            free_item(queue, item);
        }
        end_line(queue, place);
    }
    for (size_t i = 0; i < queue->heap_size; i++) {
        if (queue->items[queue->heap[i]].delivery.webhook == webhook)
            free_item(queue, queue->heap[i]);
        else
            queue->heap[kept++] = queue->heap[i];
    }
    queue->heap_size = kept;
    for (size_t i = kept / 2; i-- > 0;)
        sift_down(queue, i);
}

void delivery_queue_drop_all(struct delivery_queue *queue)
{
    while (queue->line_count > 0)
        delivery_queue_drop(queue, queue->lines[0].webhook);
    while (queue->heap_size > 0)
        free_item(queue, queue->heap[--queue->heap_size]);
}

uint64_t delivery_queue_wake_at_ms(const struct delivery_queue *queue)
{
    return queue->heap_size > 0 ? queue->items[queue->heap[0]].delivery.due_ms : UINT64_MAX;
}

size_t delivery_queue_count(const struct delivery_queue *queue)
{
    return queue->count;
}

size_t delivery_queue_under_way(const struct delivery_queue *queue)
{
    return queue->under_way_count;
}
