/* Frames that stand for themselves are checked by two workers, though they are opened and handed on in
 * their order.
 *
 * The worker that reads the link does not depend on the other: it offers a batch, works on it from the
 * first frame on, and whoever else comes takes the next frame. When no other worker is free it does
 * all alone, and whoever comes late finds nothing to do. It waits for frames that the other has begun,
 * and for nothing else. */
#include "transport_parts.h"

#include <assert.h>

#define SHARED_FRAMES_MIN 2u /* one frame is not worth waking anybody */

/* Under the lock. Beyond the frames that close the link none is looked at. */
static struct transport_frame *begin_next(struct batch *batch)
{
    if (!batch || batch->begun == batch->count || batch->refused >= batch->refused_max)
        return NULL;
    return &batch->frames[batch->begun++];
}

static void check_all(struct link *link, size_t worker)
{
    const struct transport_handlers *handlers = &link->transport->handlers;
    struct transport_frame *frame;

    pthread_mutex_lock(&link->check_lock);
    while ((frame = begin_next(link->batch))) {
        struct batch *batch = link->batch;

        pthread_mutex_unlock(&link->check_lock);
        handlers->check(handlers->context, worker, &link->node, frame);
        pthread_mutex_lock(&link->check_lock);
        batch->refused += frame->refused;
        batch->ended++;
    }
    if (link->batch && link->batch->ended == link->batch->begun)
        pthread_cond_signal(&link->checked);
    pthread_mutex_unlock(&link->check_lock);
}

static void help(struct work *work, size_t worker)
{
    check_all((struct link *)(void *)((uint8_t *)work - offsetof(struct link, help)), worker);
}

static void help_rests(struct work *work)
{
    link_drop((struct link *)(void *)((uint8_t *)work - offsetof(struct link, help)));
}

void link_init_checks(struct link *link)
{
    work_init(&link->help, help, help_rests);
    pthread_mutex_init(&link->check_lock, NULL);
    pthread_cond_init(&link->checked, NULL);
}

void link_free_checks(struct link *link)
{
    pthread_cond_destroy(&link->checked);
    pthread_mutex_destroy(&link->check_lock);
}

static void offer(struct link *link, struct batch *batch)
{
    pthread_mutex_lock(&link->check_lock);
    link->batch = batch;
    pthread_mutex_unlock(&link->check_lock);
    if (batch->count < SHARED_FRAMES_MIN)
        return;
    link_hold(link);
    if (!workers_give(link->transport->workers, &link->help))
        link_drop(link);
}

/* Nobody begins another frame once check_all has returned here. */
static void await_others(struct link *link, const struct batch *batch)
{
    pthread_mutex_lock(&link->check_lock);
    while (batch->ended < batch->begun)
        pthread_cond_wait(&link->checked, &link->check_lock);
    link->batch = NULL;
    pthread_mutex_unlock(&link->check_lock);
}

bool link_takes_apart(const struct link *link, uint8_t kind)
{
    const struct transport_handlers *handlers = &link->transport->handlers;

    return handlers->check && kind < TRANSPORT_KINDS && (handlers->kinds_apart >> kind & 1);
}

bool link_add(struct batch *batch, uint8_t kind, struct bytes body)
{
    assert(batch->count < BATCH_FRAMES_MAX);
    batch->frames[batch->count++] = (struct transport_frame){.kind = kind, .body = body};
    return batch->count < BATCH_FRAMES_MAX;
}

size_t link_check(struct link *link, size_t worker, struct batch *batch, size_t refused_max)
{
    const struct transport_handlers *handlers = &link->transport->handlers;

    batch->begun = batch->ended = batch->refused = 0;
    batch->refused_max = refused_max;
    if (batch->count > 0) {
        offer(link, batch);
        check_all(link, worker);
        await_others(link, batch);
        handlers->take(handlers->context, &link->node, batch->frames, batch->begun);
    }
    batch->count = 0;
    return batch->refused;
}
