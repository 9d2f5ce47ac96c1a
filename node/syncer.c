#include "syncer.h"

#include <pthread.h>

struct syncer {
    int (*work)(struct store *store);
    struct store *store;
    struct inbox *inbox;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t begun, done;
    bool is_busy, is_closing;
    int fault; /* of the last work */
};

static void *run(void *context)
{
    struct syncer *syncer = context;

    pthread_mutex_lock(&syncer->lock);
    for (;;) {
        int fault;

        while (!syncer->is_busy && !syncer->is_closing)
            pthread_cond_wait(&syncer->begun, &syncer->lock);
        if (!syncer->is_busy)
            break;
        pthread_mutex_unlock(&syncer->lock);
        fault = syncer->work(syncer->store);
        pthread_mutex_lock(&syncer->lock);
        syncer->fault = fault;
        syncer->is_busy = false;
        pthread_mutex_unlock(&syncer->lock);
        pthread_cond_signal(&syncer->done);
        inbox_poke(syncer->inbox);
        pthread_mutex_lock(&syncer->lock);
    }
    pthread_mutex_unlock(&syncer->lock);
    return NULL;
}

struct syncer *syncer_new(int (*work)(struct store *store), struct store *store,
                          struct inbox *inbox)
{
    struct syncer *syncer = memory_take(sizeof *syncer);

    syncer->work = work;
    syncer->store = store;
    syncer->inbox = inbox;
    pthread_mutex_init(&syncer->lock, NULL);
    pthread_cond_init(&syncer->begun, NULL);
    pthread_cond_init(&syncer->done, NULL);
    if (pthread_create(&syncer->thread, NULL, run, syncer) != 0)
        memory_ran_out();
    return syncer;
}

void syncer_free(struct syncer *syncer)
{
    if (!syncer)
        return;
    pthread_mutex_lock(&syncer->lock);
    syncer->is_closing = true;
    pthread_cond_signal(&syncer->begun);
    pthread_mutex_unlock(&syncer->lock);
    pthread_join(syncer->thread, NULL);
    pthread_cond_destroy(&syncer->begun);
    pthread_cond_destroy(&syncer->done);
    pthread_mutex_destroy(&syncer->lock);
    memory_give_back(syncer);
}

void syncer_begin(struct syncer *syncer)
{
    pthread_mutex_lock(&syncer->lock);
    syncer->is_busy = true;
    pthread_mutex_unlock(&syncer->lock);
    pthread_cond_signal(&syncer->begun);
}

bool syncer_is_done(struct syncer *syncer)
{
    bool is_done;

    pthread_mutex_lock(&syncer->lock);
    is_done = !syncer->is_busy;
    pthread_mutex_unlock(&syncer->lock);
    return is_done;
}

int syncer_wait(struct syncer *syncer)
{
    int fault;

    pthread_mutex_lock(&syncer->lock);
    while (syncer->is_busy)
        pthread_cond_wait(&syncer->done, &syncer->lock);
    fault = syncer->fault;
    pthread_mutex_unlock(&syncer->lock);
    return fault;
}
