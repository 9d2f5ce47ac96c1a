#include "workers.h"

#include "core/bytes.h"

#include <assert.h>
#include <pthread.h>

enum work_state { WORK_RESTS, WORK_WAITS, WORK_RUNS, WORK_RUNS_ONCE_MORE };

struct worker {
    struct workers *workers;
    size_t index;
    pthread_t thread;
};

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t something;
    struct work *first, **end;
    size_t idle, count;
    bool ending;
    struct worker list[WORKERS_MAX];
};

void work_init(struct work *work, void (*run)(struct work *work, size_t worker),
               void (*rest)(struct work *work))
{
    work->next = NULL;
    work->run = run;
    work->rest = rest;
    atomic_init(&work->state, WORK_RESTS);
}

static void queue(struct workers *workers, struct work *work)
{
    bool wake;

    work->next = NULL;
    pthread_mutex_lock(&workers->lock);
    *workers->end = work;
    workers->end = &work->next;
    wake = workers->idle > 0;
    pthread_mutex_unlock(&workers->lock);
    if (wake)
        pthread_cond_signal(&workers->something);
}

bool workers_give(struct workers *workers, struct work *work)
{
    int state = atomic_load(&work->state);

    for (;;) {
        int next = state == WORK_RESTS  ? WORK_WAITS
                   : state == WORK_RUNS ? WORK_RUNS_ONCE_MORE
                                        : state;

        if (!atomic_compare_exchange_weak(&work->state, &state, next))
            continue;
        if (state == WORK_RESTS)
            queue(workers, work);
        return state == WORK_RESTS;
    }
}

static struct work *take(struct workers *workers)
{
    struct work *work;

    pthread_mutex_lock(&workers->lock);
    while (!workers->first && !workers->ending) {
        workers->idle++;
        pthread_cond_wait(&workers->something, &workers->lock);
        workers->idle--;
    }
    work = workers->first;
    if (work) {
        workers->first = work->next;
        if (!workers->first)
            workers->end = &workers->first;
    }
    pthread_mutex_unlock(&workers->lock);
    return work;
}

static void *serve(void *context)
{
    struct worker *worker = context;
    struct work *work;

    while ((work = take(worker->workers))) {
        int state = WORK_RUNS;

        atomic_store(&work->state, WORK_RUNS);
        work->run(work, worker->index);
        if (atomic_compare_exchange_strong(&work->state, &state, WORK_RESTS)) {
            work->rest(work);
        } else {
            assert(state == WORK_RUNS_ONCE_MORE);
            atomic_store(&work->state, WORK_WAITS);
            queue(worker->workers, work);
        }
    }
    return NULL;
}

struct workers *workers_new(size_t count)
{
    struct workers *workers = memory_take(sizeof *workers);

    assert(count > 0 && count <= WORKERS_MAX);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->something, NULL);
    workers->end = &workers->first;
    for (; workers->count < count; workers->count++) {
        struct worker *worker = &workers->list[workers->count];

        worker->workers = workers;
        worker->index = workers->count;
        if (pthread_create(&worker->thread, NULL, serve, worker)) {
            workers_free(workers);
            return NULL;
        }
    }
    return workers;
}

void workers_free(struct workers *workers)
{
    if (!workers)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->ending = true;
    pthread_cond_broadcast(&workers->something);
    pthread_mutex_unlock(&workers->lock);
    for (size_t i = 0; i < workers->count; i++)
        pthread_join(workers->list[i].thread, NULL);
    pthread_cond_destroy(&workers->something);
    pthread_mutex_destroy(&workers->lock);
    memory_give_back(workers);
}
