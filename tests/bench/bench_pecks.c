/* Pecks between two running nodes, through their local APIs: what a client of this host sees.
 *
 *     bench_pecks SOCKET_A PID_A SOCKET_B PID_B FOLDER SECONDS OUTSTANDING SUFFIX [PAYLOAD_BYTES]
 *
 * A peck counts when its `taken` receipt is back: stored on both sides, signed, verified. The
 * limit of a rate: all cores at once doing nothing but two signatures and two checks for each peck,
 * taken before, after and in between. The limit of a round trip: one socket round trip, two
 * signatures, two checks, two commits. Of large payloads: all cores sealing and opening them; beside
 * it stands how many the disk can take, on which each comes to lie twice, once for each node. */
#include "ducks.h"
#include "limits.h"
#include "wire/local.pb-c.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUND_TRIPS_MAX 4000
#define PAYLOAD                                                                                    \
    "{\"city\":\"Lisbon\",\"when\":\"tomorrow\",\"units\":\"metric\",\"detail\":[1,2,3,4,5,6]}"

/* Nobody answers here, and a node holds 10,000 open pecks of one sender at most: so one asker
 * follows another. */
#define ASKERS 10
#define PECKS_OF_ONE 9000
#define SLICES 8

static const char *askers[ASKERS], *oracle;
static char *payload = PAYLOAD;
static size_t large; /* bytes of a payload; 0: the usual */

/* The directory has to bring the oracle to A, and bonds let the pecks through. */
static void prepare(struct duck *a, struct duck *b)
{
    oracle = bench_hatch(b, "Oracle");
    bench_await_duckling(a, oracle);
    for (size_t i = 0; i < ASKERS; i++) {
        askers[i] = bench_hatch(a, "Asker");
        bench_bond(a, b, askers[i], oracle);
    }
}

/* CPU seconds of a process so far. */
static double cpu_s(const char *pid)
{
    unsigned long user = 0, system = 0;
    char path[64], line[1024] = "";
    const char *after;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    file = fopen(path, "r");
    if (!file)
        return 0;
    if (!fgets(line, sizeof line, file))
        line[0] = 0;
    fclose(file);
    after = strrchr(line, ')');
    if (!after || sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                         &system) != 2)
        return 0;
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* ---- one after the other ---- */

static void round_trips(struct duck *a, double seconds, const char *folder)
{
    struct duck_peck peck = {
        .from = askers[ASKERS - 1], .to = oracle, .action = "query", .payload = PAYLOAD};
    double limit = limit_socket_round_trip_s() + 2 * limit_sign_s(256) + 2 * limit_verify_s(256) +
                   2 * limit_commit_s(folder);
    static double samples[ROUND_TRIPS_MAX];
    double end = bench_now_s() + seconds, p50, p99;
    size_t count = 0;
    char more[96];

    while (count < ROUND_TRIPS_MAX && bench_now_s() < end) {
        double start = bench_now_s();
        struct duck_answer *answer =
            bench_must("peck", duck_send(a, &peck, DUCK_WAIT_TAKEN, 10000));

        samples[count++] = bench_now_s() - start;
        if (strcmp(duck_peck_state(answer), "taken") != 0)
            bench_die("a peck was not taken", answer);
        duck_answer_free(answer);
    }
    p50 = bench_quantile(samples, count, 0.5);
    p99 = bench_quantile(samples, count, 0.99);
    snprintf(more, sizeof more, ",\"p99\":%.1f,\"count\":%zu", p99 * 1e6, count);
    bench_print("peck_round_trip", p50 * 1e6, "us", limit * 1e6, 0, more);
}

/* ---- many at a time ---- */

struct flight {
    struct duck *duck;
    pthread_mutex_t lock;
    pthread_cond_t landed;
    size_t in_air, launched, most, taken, failed;
    bool ending;
};

static void launch(struct flight *flight);

static void land(void *context, struct Duck__Reply *reply)
{
    struct flight *flight = context;
    bool again;

    pthread_mutex_lock(&flight->lock);
    if (reply->answer_case == DUCK__REPLY__ANSWER_PECK &&
        strcmp(reply->peck->state, "taken") == 0 && reply->peck->n_receipts > 0)
        flight->taken++;
    else if (flight->failed++ == 0)
        fprintf(stderr, "bench_pecks: %s\n",
                reply->answer_case == DUCK__REPLY__ANSWER_PROBLEM ? reply->problem->message
                : reply->answer_case == DUCK__REPLY__ANSWER_PECK  ? reply->peck->state
                                                                  : "an answer of another kind");
    again = !flight->ending && flight->failed == 0 && flight->launched < flight->most;
    if (again) {
        flight->launched++;
    } else {
        flight->in_air--;
        pthread_cond_signal(&flight->landed);
    }
    pthread_mutex_unlock(&flight->lock);
    duck_reply_free(reply);
    if (again)
        launch(flight);
}

static void launch(struct flight *flight)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__SendOrder send = DUCK__SEND_ORDER__INIT;
    static char action[] = "query";

    send.from = (char *)(uintptr_t)askers[flight->launched / PECKS_OF_ONE % ASKERS];
    send.to = (char *)(uintptr_t)oracle;
    send.kind = 1;
    send.action.data = (uint8_t *)action;
    send.action.len = sizeof action - 1;
    send.payload.data = (uint8_t *)payload;
    send.payload.len = strlen(payload);
    send.wait_for = DUCK__WAIT_FOR__WAIT_TAKEN;
    send.wait_ms = 20000;
    request.order_case = DUCK__REQUEST__ORDER_SEND;
    request.send = &send;
    duck_call(flight->duck, &request, 0, land, flight);
}

/* `flight` in the air for `seconds`, and all landed; returns the seconds that it took. */
static double fly(struct flight *flight, size_t outstanding, double seconds)
{
    double start = bench_now_s();
    struct timespec until;

    flight->in_air = outstanding;
    flight->launched += outstanding;
    flight->ending = false;
    for (size_t i = 0; i < outstanding; i++)
        launch(flight);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)seconds;
    until.tv_nsec += (long)((seconds - floor(seconds)) * 1e9);
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&flight->lock);
    while (flight->in_air > 0 && !flight->ending)
        flight->ending =
            pthread_cond_timedwait(&flight->landed, &flight->lock, &until) == ETIMEDOUT;
    while (flight->in_air > 0)
        pthread_cond_wait(&flight->landed, &flight->lock);
    pthread_mutex_unlock(&flight->lock);
    return bench_now_s() - start;
}

static double limit_of_a_rate(void)
{
    return large ? limit_sealed_per_s(large) : limit_signed_pecks_per_s(256);
}

/* Members that tell how near large payloads come to what the disk takes. */
static void tell_disk(double disk, double rate, char *text, size_t size)
{
    double limit = disk / (2.0 * (double)large);

    snprintf(text, size, ",\"disk_limit\":%.6g,\"disk_ratio\":%.3f", limit, rate / limit);
}

/* The machine's pace drifts by a third within seconds: so the limit is taken again after each slice. */
static void throughput(struct duck *a, const char *pids[2], double seconds, size_t outstanding,
                       const char *folder, const char *name)
{
    struct flight flight = {.duck = a, .most = (ASKERS - 1) * PECKS_OF_ONE};
    double sign = limit_sign_s(256), verify = limit_verify_s(256);
    double limit = limit_of_a_rate(), disk = large ? limit_disk_bytes_per_s(folder) : 0;
    double spent = 0, cpu[2];
    char more[320], beside[96] = "";

    pthread_mutex_init(&flight.lock, NULL);
    pthread_cond_init(&flight.landed, NULL);
    for (int i = 0; i < 2; i++)
        cpu[i] = cpu_s(pids[i]);
    for (int slice = 0; slice < SLICES; slice++) {
        spent += fly(&flight, outstanding, seconds / SLICES);
        limit += limit_of_a_rate();
    }
    limit /= SLICES + 1;
    if (flight.failed > 0)
        bench_die("a peck was not taken", NULL);
    for (int i = 0; i < 2; i++)
        cpu[i] = (cpu_s(pids[i]) - cpu[i]) / (double)flight.taken * 1e6;
    if (large)
        tell_disk(disk, (double)flight.taken / spent, beside, sizeof beside);
    snprintf(more, sizeof more,
             ",\"count\":%zu,\"sender_cpu_us\":%.1f,\"receiver_cpu_us\":%.1f,\"sign_us\":%.1f,"
             "\"verify_us\":%.1f%s",
             flight.taken, cpu[0], cpu[1], sign * 1e6, verify * 1e6, beside);
    bench_print(name, (double)flight.taken / spent, "pecks/s", limit, 1, more);
    pthread_cond_destroy(&flight.landed);
    pthread_mutex_destroy(&flight.lock);
}

/* A JSON text of `size` bytes. */
static void make_large(size_t size)
{
    large = size;
    payload = malloc(size + 1);
    if (!payload || size < 2)
        abort();
    memset(payload, 'x', size);
    payload[0] = payload[size - 1] = '"';
    payload[size] = 0;
}

int main(int argc, char **argv)
{
    const char *problem = "";
    struct duck *a = NULL, *b = NULL;
    double seconds;

    if (argc != 9 && argc != 10) {
        fprintf(stderr,
                "usage: %s SOCKET_A PID_A SOCKET_B PID_B FOLDER SECONDS OUTSTANDING SUFFIX "
                "[PAYLOAD_BYTES]\n",
                argv[0]);
        return 2;
    }
    seconds = atof(argv[6]);
    if (argc == 10)
        make_large((size_t)atol(argv[9]));
    if (duck_connect(&a, argv[1], &problem) != 0 || duck_connect(&b, argv[3], &problem) != 0) {
        fprintf(stderr, "bench_pecks: %s\n", problem);
        return 1;
    }
    prepare(a, b);
    {
        const char *pids[2] = {argv[2], argv[4]};
        char name[64];

        if (argv[8][0] == 0)
            round_trips(a, seconds, argv[5]);
        snprintf(name, sizeof name, "peck_throughput%s", argv[8]);
        throughput(a, pids, seconds, (size_t)atol(argv[7]), argv[5], name);
    }
    duck_close(a);
    duck_close(b);
    return 0;
}
