#include "ducks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AWAIT_S 20

void bench_die(const char *what, const struct duck_answer *answer)
{
    fprintf(stderr, "%s: %s %s\n", what, answer ? duck_code(answer) : "",
            answer ? duck_message(answer) : "");
    exit(1);
}

struct duck_answer *bench_must(const char *what, struct duck_answer *answer)
{
    if (!duck_ok(answer))
        bench_die(what, answer);
    return answer;
}

const char *bench_hatch(struct duck *duck, const char *name)
{
    struct duck_profile profile = {.display_name = name, .bio = "", .capabilities = NULL};
    struct duck_answer *answer = bench_must("hatch", duck_hatch(duck, &profile));
    const char *id = strdup(duck_hatched_id(answer));

    duck_answer_free(answer);
    return id;
}

/* Of one search at a time; static, because a follower that has seen enough hears one event more. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned events;
    bool is_over;
} directory = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static bool see_record(void *context, const struct duck_event *event)
{
    bool goes_on;

    (void)context;
    pthread_mutex_lock(&directory.lock);
    directory.events += !strcmp(event->kind, "record");
    goes_on = !directory.is_over;
    pthread_cond_signal(&directory.changed);
    pthread_mutex_unlock(&directory.lock);
    return goes_on;
}

static bool is_listed(struct duck *duck, const char *id)
{
    struct duck_search search = {.duckling = id};
    struct duck_answer *answer = bench_must("search", duck_search(duck, &search));
    bool is_there = duck_count(answer) > 0;

    duck_answer_free(answer);
    return is_there;
}

/* False: nothing came within AWAIT_S. */
static bool await_record(unsigned *seen)
{
    struct timespec end;
    int failed = 0;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += AWAIT_S;
    pthread_mutex_lock(&directory.lock);
    while (directory.events == *seen && !failed)
        failed = pthread_cond_timedwait(&directory.changed, &directory.lock, &end);
    *seen = directory.events;
    pthread_mutex_unlock(&directory.lock);
    return !failed;
}

void bench_await_duckling(struct duck *duck, const char *id)
{
    unsigned seen = 0;

    directory.events = 0;
    directory.is_over = false;
    if (duck_follow(duck, NULL, true, see_record, NULL) != 0)
        bench_die("cannot follow the directory", NULL);
    while (!is_listed(duck, id))
        if (!await_record(&seen))
            bench_die("a duckling never came to the other node", NULL);
    pthread_mutex_lock(&directory.lock);
    directory.is_over = true;
    pthread_mutex_unlock(&directory.lock);
}

void bench_bond(struct duck *a, struct duck *b, const char *asker, const char *target)
{
    const char *scope = "query";
    struct duck_peck request = {
        .from = asker, .to = target, .scopes = &scope, .scope_count = 1, .message = "bench"};
    struct duck_answer *answer =
        bench_must("bond request", duck_send(a, &request, DUCK_WAIT_TAKEN, 10000));
    char *peck = strdup(duck_peck_id(answer));

    duck_answer_free(answer);
    duck_answer_free(bench_must("approve", duck_approve(b, target, peck, &scope, 1, 0)));
    duck_answer_free(bench_must("wait", duck_peck_get(a, peck, DUCK_WAIT_DONE, 10000)));
    free(peck);
}
