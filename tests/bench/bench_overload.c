/* What is left of a node's work when more is asked of it than it can do.
 *
 *     bench_overload SOCKET_A PID_A SOCKET_B PID_B SECONDS
 *
 * An agent at B answers all that comes. First FLOODERS programs at A keep OUTSTANDING pecks each
 * under way, each sent when another is answered: the peak. Then they send twice that rate by the
 * clock, whether answers come or not, for SECONDS. Another program at A meanwhile sends one peck
 * after the other, and waits for each answer. A peck counts when its asker holds the answer. */
#include "ducks.h"
#include "limits.h"
#include "wire/local.pb-c.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLOODERS 4
#define OUTSTANDING 128
#define PEAK_S 10
#define TICK_S 0.002
#define SAMPLES_MAX 200000
#define RSS_MAX_MIB 256

static const char *oracle;
static atomic_bool agent_ends;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fewer = PTHREAD_COND_INITIALIZER; /* are under way */

struct flooder {
    struct duck *duck;
    const char *id;
    atomic_size_t answered, refused, failed, in_air;
    atomic_bool closed_loop;
};

struct other {
    struct duck *duck;
    const char *id;
    atomic_bool ends;
    size_t count, failed;
    double samples[SAMPLES_MAX];
};

static struct duck *dial(const char *socket)
{
    const char *problem = "";
    struct duck *duck = NULL;

    if (duck_connect(&duck, socket, &problem) != 0) {
        fprintf(stderr, "bench_overload: %s\n", problem);
        exit(1);
    }
    return duck;
}

static void land_one(atomic_size_t *in_air)
{
    pthread_mutex_lock(&lock);
    atomic_fetch_sub(in_air, 1);
    pthread_cond_broadcast(&fewer);
    pthread_mutex_unlock(&lock);
}

static void await_at_most(atomic_size_t *in_air, size_t most)
{
    pthread_mutex_lock(&lock);
    while (atomic_load(in_air) > most)
        pthread_cond_wait(&fewer, &lock);
    pthread_mutex_unlock(&lock);
}

/* ---- the agent at B ---- */

static void answered_there(void *context, struct Duck__Reply *reply)
{
    atomic_size_t *waiting = context;

    duck_reply_free(reply); /* a peck that has expired meanwhile is not answered any more */
    land_one(waiting);
}

static void answer_all(struct duck *duck, const struct duck_answer *taken, atomic_size_t *waiting)
{
    for (size_t i = 0; i < duck_count(taken); i++) {
        static uint8_t result[] = "{\"sky\":\"clear\"}";
        Duck__Request request = DUCK__REQUEST__INIT;
        Duck__AnswerOrder order = DUCK__ANSWER_ORDER__INIT;
        struct duck_item item;

        if (!duck_item(taken, i, &item))
            bench_die("an item of a take", taken);
        order.duckling = (char *)(uintptr_t)oracle;
        order.peck_id = (char *)(uintptr_t)item.peck_id;
        order.result.data = result;
        order.result.len = sizeof result - 1;
        request.order_case = DUCK__REQUEST__ORDER_ANSWER;
        request.answer = &order;
        atomic_fetch_add(waiting, 1);
        duck_call(duck, &request, 0, answered_there, waiting);
    }
}

static void *serve(void *context)
{
    struct duck *duck = context;
    atomic_size_t waiting = 0;

    while (!atomic_load(&agent_ends)) {
        struct duck_answer *taken = duck_take(duck, oracle, 200, 200, 30000);

        if (duck_ok(taken))
            answer_all(duck, taken, &waiting);
        duck_answer_free(taken);
        await_at_most(&waiting, 400);
    }
    await_at_most(&waiting, 0);
    return NULL;
}

/* ---- the askers at A ---- */

static void launch(struct flooder *flooder);

static void land(void *context, struct Duck__Reply *reply)
{
    struct flooder *flooder = context;
    bool answered = reply->answer_case == DUCK__REPLY__ANSWER_PECK &&
                    strcmp(reply->peck->state, "answered") == 0;

    if (answered)
        atomic_fetch_add(&flooder->answered, 1);
    else if (reply->answer_case == DUCK__REPLY__ANSWER_PROBLEM &&
             strcmp(reply->problem->code, "busy") == 0)
        atomic_fetch_add(&flooder->refused, 1);
    else if (atomic_fetch_add(&flooder->failed, 1) == 0)
        fprintf(stderr, "bench_overload: %s\n",
                reply->answer_case == DUCK__REPLY__ANSWER_PROBLEM ? reply->problem->message
                : reply->answer_case == DUCK__REPLY__ANSWER_PECK  ? reply->peck->state
                                                                  : "an answer of another kind");
    duck_reply_free(reply);
    if (answered && atomic_load(&flooder->closed_loop))
        launch(flooder);
    else
        land_one(&flooder->in_air);
}

static void launch(struct flooder *flooder)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__SendOrder send = DUCK__SEND_ORDER__INIT;
    static uint8_t payload[] = "{\"city\":\"Lisbon\",\"when\":\"tomorrow\"}", action[] = "query";

    send.from = (char *)(uintptr_t)flooder->id;
    send.to = (char *)(uintptr_t)oracle;
    send.kind = 1;
    send.action.data = action;
    send.action.len = sizeof action - 1;
    send.payload.data = payload;
    send.payload.len = sizeof payload - 1;
    send.wait_for = DUCK__WAIT_FOR__WAIT_DONE;
    send.wait_ms = 30000;
    request.order_case = DUCK__REQUEST__ORDER_SEND;
    request.send = &send;
    duck_call(flooder->duck, &request, 0, land, flooder);
}

static void *ask_one_by_one(void *context)
{
    struct other *other = context;
    struct duck_peck peck = {
        .from = other->id, .to = oracle, .action = "query", .payload = "{\"city\":\"Porto\"}"};

    other->count = other->failed = 0;
    while (!atomic_load(&other->ends) && other->count < SAMPLES_MAX) {
        double start = bench_now_s();
        struct duck_answer *answer = duck_send(other->duck, &peck, DUCK_WAIT_DONE, 30000);

        if (duck_ok(answer) && strcmp(duck_peck_state(answer), "answered") == 0)
            other->samples[other->count++] = bench_now_s() - start;
        else
            other->failed++;
        duck_answer_free(answer);
    }
    return NULL;
}

/* ---- the run ---- */

static double rss_mib(const char *pid)
{
    char path[64], line[256];
    double kib = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%s/status", pid);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmRSS: %lf", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib / 1024;
}

static size_t sum(struct flooder *flooders, size_t which)
{
    size_t total = 0;

    for (size_t i = 0; i < FLOODERS; i++)
        total += which == 0   ? atomic_load(&flooders[i].answered)
                 : which == 1 ? atomic_load(&flooders[i].refused)
                              : atomic_load(&flooders[i].failed);
    return total;
}

/* By the clock when `rate` is not 0. Returns how many were answered within `seconds`, each second. */
static double flood(struct flooder *flooders, double rate, double seconds, const char *const *pids,
                    double *rss)
{
    double start = bench_now_s(), now = start;
    size_t before = sum(flooders, 0), sent = 0;
    double answered;

    for (size_t i = 0; i < FLOODERS; i++) {
        atomic_store(&flooders[i].closed_loop, rate <= 0);
        for (size_t k = 0; rate <= 0 && k < OUTSTANDING; k++) {
            atomic_fetch_add(&flooders[i].in_air, 1);
            launch(&flooders[i]);
        }
    }
    while ((now = bench_now_s()) < start + seconds) {
        size_t due = (size_t)((now - start) * rate);

        for (; sent < due; sent++) {
            atomic_fetch_add(&flooders[sent % FLOODERS].in_air, 1);
            launch(&flooders[sent % FLOODERS]);
        }
        for (size_t i = 0; i < 2; i++)
            if (rss_mib(pids[i]) > rss[i])
                rss[i] = rss_mib(pids[i]);
        usleep((useconds_t)(TICK_S * 1e6));
    }
    answered = (double)(sum(flooders, 0) - before) / (now - start);
    for (size_t i = 0; i < FLOODERS; i++) {
        atomic_store(&flooders[i].closed_loop, false);
        await_at_most(&flooders[i].in_air, 0);
    }
    return answered;
}

static double flood_beside(struct flooder *flooders, struct other *other, double rate,
                           double seconds, const char *const *pids, double *rss)
{
    pthread_t thread;
    double answered;

    atomic_store(&other->ends, false);
    if (pthread_create(&thread, NULL, ask_one_by_one, other) != 0)
        abort();
    answered = flood(flooders, rate, seconds, pids, rss);
    atomic_store(&other->ends, true);
    pthread_join(thread, NULL);
    return answered;
}

int main(int argc, char **argv)
{
    static struct flooder flooders[FLOODERS];
    static struct other other;
    const char *pids[2];
    struct duck *b, *agent;
    double seconds, peak, goodput, p50, p99, worse_p99, rss[2] = {0}, peak_rss[2] = {0};
    pthread_t thread;
    char more[160];

    if (argc != 6) {
        fprintf(stderr, "usage: %s SOCKET_A PID_A SOCKET_B PID_B SECONDS\n", argv[0]);
        return 2;
    }
    pids[0] = argv[2];
    pids[1] = argv[4];
    seconds = atof(argv[5]);
    b = dial(argv[3]);
    agent = dial(argv[3]);
    oracle = bench_hatch(b, "Oracle");
    other.duck = dial(argv[1]);
    bench_await_duckling(other.duck, oracle);
    other.id = bench_hatch(other.duck, "Asker");
    bench_bond(other.duck, b, other.id, oracle);
    for (size_t i = 0; i < FLOODERS; i++) {
        flooders[i].duck = dial(argv[1]);
        flooders[i].id = bench_hatch(flooders[i].duck, "Asker");
        bench_bond(flooders[i].duck, b, flooders[i].id, oracle);
    }
    if (pthread_create(&thread, NULL, serve, agent) != 0)
        abort();

    peak = flood_beside(flooders, &other, 0, PEAK_S, pids, peak_rss);
    p50 = bench_quantile(other.samples, other.count, 0.5);
    p99 = bench_quantile(other.samples, other.count, 0.99);
    snprintf(more, sizeof more, ",\"other_p50_ms\":%.2f,\"other_p99_ms\":%.2f", p50 * 1e3,
             p99 * 1e3);
    /* three signatures and three checks: the peck, and its two receipts */
    bench_print("overload_peak", peak, "answered pecks/s", limit_signed_pecks_per_s(256) * 2 / 3, 1,
                more);
    bench_print("peak_p99", p99 * 1e3, "ms", 5 * p50 * 1e3, 0, "");

    goodput = flood_beside(flooders, &other, 2 * peak, seconds, pids, rss);
    worse_p99 = bench_quantile(other.samples, other.count, 0.99);
    snprintf(more, sizeof more, ",\"refused\":%zu,\"failed\":%zu", sum(flooders, 1),
             sum(flooders, 2));
    bench_print("overload_goodput", goodput, "answered pecks/s", peak, 1, more);
    snprintf(more, sizeof more, ",\"p50\":%.2f,\"count\":%zu,\"failed\":%zu",
             bench_quantile(other.samples, other.count, 0.5) * 1e3, other.count, other.failed);
    bench_print("overload_other_p99", worse_p99 * 1e3, "ms", p99 * 1e3, 0, more);
    snprintf(more, sizeof more, ",\"receiver\":%.1f,\"before\":[%.1f,%.1f]", rss[1], peak_rss[0],
             peak_rss[1]);
    bench_print("overload_rss", rss[0], "MiB", RSS_MAX_MIB, 0, more);

    atomic_store(&agent_ends, true);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < FLOODERS; i++)
        duck_close(flooders[i].duck);
    duck_close(other.duck);
    duck_close(agent);
    duck_close(b);
    return 0;
}
