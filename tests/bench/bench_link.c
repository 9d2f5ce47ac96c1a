/* Sealed 256-byte frames between two nodes' transports, each a process of its own; nothing is
 * stored. The limit: nng's bare streams carrying the same sealed bytes, 64 KiB at a time for the
 * rate and one frame at a time for the round trip, sealed and opened with nothing around. */
#include "core/session.h"
#include "limits.h"
#include "transport.h"

#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UNIT 256
#define ROUND_TRIPS 5000
#define CHUNK (64 * 1024)
#define SEALED (4 + 1 + 1 + UNIT + NOISE_TAG_SIZE) /* length, type, part, frame, tag */
#define ONE_WAY 200
#define ECHO 201
#define NETWORK "bench"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* Shared by both processes. */
struct meeting {
    atomic_int port, ready;
    atomic_ulong received;
    atomic_bool over;
    struct id far;
};
static struct meeting *meeting;
static double seconds = 2;

static void pause_ms(long ms)
{
    struct timespec span = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&span, NULL);
}

/* ---- two nodes ---- */

struct side {
    struct identity_key *key;
    struct arena memory;
    struct id id;
    struct bytes introduction;
    struct noise_pair pair;
    struct transport *transport;
    atomic_bool up;
    pthread_mutex_t lock;
    pthread_cond_t echoed;
    unsigned long echoes;
};

static uint64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000;
}

static void be_born(struct side *side)
{
    uint8_t seed[SEED_SIZE];
    struct certificate_wish wish = {.kind = IDENTITY_NODE,
                                    .display_name = bytes_of_text("bench"),
                                    .issued_ms = wall_ms() - 1000,
                                    .not_after_ms = wall_ms() + DAY_MS};
    struct node_content content = {.session_not_after_ms = wall_ms() + HOUR_MS};
    struct record record = {.network = bytes_of_text(NETWORK),
                            .kind = RECORD_NODE,
                            .version = {wall_ms(), 0},
                            .not_after_ms = wall_ms() + HOUR_MS};
    struct bytes certificate, chain, body;

    MUST(identity_self_test());
    arena_init(&side->memory, MIB);
    randombytes_buf(seed, sizeof seed);
    side->key = identity_key_new(seed);
    certificate = certificate_make(&wish, side->key, &side->memory, &side->id);
    chain = chain_pack(&certificate, 1, &side->memory);
    randombytes_buf(seed, sizeof seed);
    noise_pair_from_secret(&side->pair, seed);
    memcpy(content.session_key, side->pair.public, sizeof content.session_key);
    record.owner = side->id;
    record.content = node_content_pack(&content, &side->memory);
    MUST(record_pack(&record, &side->memory, &body) == RECORD_OK);
    side->introduction = introduction_pack(
        chain, envelope_seal(ENVELOPE_RECORD, &side->id, side->key, body, &side->memory, NULL),
        &side->memory);
    pthread_mutex_init(&side->lock, NULL);
    pthread_cond_init(&side->echoed, NULL);
}

static void on_up(void *context, const struct id *node, struct bytes introduction, bool dialled)
{
    struct side *side = context;

    (void)node;
    (void)introduction;
    (void)dialled;
    atomic_store(&side->up, true);
}

static void on_down(void *context, const struct id *node, const char *reason, bool goodbye)
{
    (void)goodbye;
    struct side *side = context;

    (void)node;
    (void)reason;
    atomic_store(&side->up, false);
}

static void on_dial_failed(void *context, const struct id *node, struct bytes address,
                           const char *reason)
{
    (void)context;
    (void)node;
    (void)address;
    fprintf(stderr, "bench_link: %s\n", reason);
    exit(1);
}

/* The far side counts what goes one way and sends back the rest; the near side counts echoes. */
static bool on_frame(void *context, size_t worker, const struct id *node, uint8_t kind,
                     struct bytes body)
{
    struct side *side = context;

    (void)worker;
    if (body.size != UNIT)
        return false;
    if (kind == ONE_WAY) {
        atomic_fetch_add_explicit(&meeting->received, 1, memory_order_relaxed);
    } else if (!id_equal(&side->id, &meeting->far)) {
        pthread_mutex_lock(&side->lock);
        side->echoes++;
        pthread_cond_signal(&side->echoed);
        pthread_mutex_unlock(&side->lock);
    } else {
        transport_send(side->transport, node, kind, body);
        transport_flush(side->transport);
    }
    return true;
}

static void on_log(void *context, enum log_level level, const char *text)
{
    (void)context;
    if (level <= LOG_WARNING)
        fprintf(stderr, "bench_link: %s\n", text);
}

static void open_side(struct side *side)
{
    const char *listen = "127.0.0.1:0";
    struct transport_settings settings = {.listen = &listen,
                                          .listen_count = 1,
                                          .network = bytes_of_text(NETWORK),
                                          .self = side->id,
                                          .static_pair = side->pair,
                                          .workers = 1,
                                          .handlers = {.context = side,
                                                       .up = on_up,
                                                       .down = on_down,
                                                       .dial_failed = on_dial_failed,
                                                       .frame = on_frame,
                                                       .log = on_log}};

    transport_limits_default(&settings.limits);
    MUST(transport_open(&side->transport, &settings) == 0);
    transport_introduce(side->transport, side->introduction);
}

static void run_far(void)
{
    static struct side side;

    be_born(&side);
    meeting->far = side.id;
    open_side(&side);
    atomic_store(&meeting->port, transport_port(side.transport, 0));
    while (!atomic_load(&meeting->over))
        pause_ms(10);
    transport_close(side.transport);
    exit(0);
}

static double node_rate(struct side *side)
{
    uint8_t body[UNIT] = {0};
    unsigned long sent = 0, first = atomic_load(&meeting->received);
    double start = bench_now_s(), end = start + seconds;

    while (bench_now_s() < end) {
        for (int i = 0; i < 64; i++) {
            while (transport_send(side->transport, &meeting->far, ONE_WAY,
                                  bytes_of(body, sizeof body)) == FAULT_BUSY)
                pause_ms(1);
            sent++;
        }
        transport_flush(side->transport);
    }
    while (atomic_load(&meeting->received) - first < sent)
        pause_ms(1);
    return (double)sent / (bench_now_s() - start);
}

static double node_round_trip_s(struct side *side, double *p99)
{
    static double samples[ROUND_TRIPS];
    uint8_t body[UNIT] = {0};

    for (int i = 0; i < ROUND_TRIPS; i++) {
        double start = bench_now_s();
        unsigned long wanted = side->echoes + 1;

        MUST(transport_send(side->transport, &meeting->far, ECHO, bytes_of(body, sizeof body)) ==
             0);
        transport_flush(side->transport);
        pthread_mutex_lock(&side->lock);
        while (side->echoes < wanted)
            pthread_cond_wait(&side->echoed, &side->lock);
        pthread_mutex_unlock(&side->lock);
        samples[i] = bench_now_s() - start;
    }
    *p99 = bench_quantile(samples, ROUND_TRIPS, 0.99);
    return bench_quantile(samples, ROUND_TRIPS, 0.5);
}

/* ---- bare streams ---- */

static void all(nng_stream *stream, nng_aio *aio, uint8_t *data, size_t size, bool receive)
{
    size_t done = 0;

    while (done < size) {
        nng_iov iov = {.iov_buf = data + done, .iov_len = size - done};

        nng_aio_set_iov(aio, 1, &iov);
        if (receive)
            nng_stream_recv(stream, aio);
        else
            nng_stream_send(stream, aio);
        nng_aio_wait(aio);
        if (nng_aio_result(aio) != 0)
            exit(receive ? 0 : 1);
        done += nng_aio_count(aio);
    }
}

static struct noise_cipher cipher = {.keyed = true};

static void seal_unit(uint8_t *out)
{
    memset(out + 5, 0, 1 + UNIT);
    noise_seal(&cipher, bytes_of(out + 5, 1 + UNIT), out + 5);
}

static void open_unit(uint8_t *data)
{
    MUST(noise_open(&cipher, bytes_of(data + 5, SEALED - 5), data + 5) == NOISE_TAKEN);
}

static void run_bare_far(bool echo)
{
    static uint8_t chunk[CHUNK / SEALED * SEALED];
    size_t size = echo ? SEALED : sizeof chunk;
    nng_stream_listener *listener;
    struct noise_cipher back = cipher;
    nng_stream *stream;
    nng_aio *aio;
    int port;

    MUST(nng_aio_alloc(&aio, NULL, NULL) == 0 &&
         nng_stream_listener_alloc(&listener, "tcp://127.0.0.1:0") == 0 &&
         nng_stream_listener_listen(listener) == 0 &&
         nng_stream_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port) == 0);
    atomic_store(&meeting->port, port);
    nng_stream_listener_accept(listener, aio);
    nng_aio_wait(aio);
    MUST(nng_aio_result(aio) == 0);
    stream = nng_aio_get_output(aio, 0);
    for (;;) {
        all(stream, aio, chunk, size, true);
        for (size_t i = 0; i < size; i += SEALED)
            open_unit(chunk + i);
        atomic_fetch_add(&meeting->received, size / SEALED);
        if (!echo)
            continue;
        noise_seal(&back, bytes_of(chunk + 5, 1 + UNIT), chunk + 5);
        all(stream, aio, chunk, size, false);
    }
}

static nng_stream *dial_bare(nng_aio *aio)
{
    nng_stream_dialer *dialer;
    char url[64];

    snprintf(url, sizeof url, "tcp://127.0.0.1:%d", atomic_load(&meeting->port));
    MUST(nng_stream_dialer_alloc(&dialer, url) == 0);
    nng_stream_dialer_dial(dialer, aio);
    nng_aio_wait(aio);
    MUST(nng_aio_result(aio) == 0);
    return nng_aio_get_output(aio, 0);
}

static void near_bare(bool echo, double *result)
{
    static uint8_t chunk[CHUNK / SEALED * SEALED];
    static double samples[ROUND_TRIPS];
    struct noise_cipher back = cipher;
    nng_stream *stream;
    nng_aio *aio;

    MUST(nng_aio_alloc(&aio, NULL, NULL) == 0);
    stream = dial_bare(aio);
    if (echo) {
        for (int i = 0; i < ROUND_TRIPS; i++) {
            double start = bench_now_s();

            seal_unit(chunk);
            all(stream, aio, chunk, SEALED, false);
            all(stream, aio, chunk, SEALED, true);
            MUST(noise_open(&back, bytes_of(chunk + 5, SEALED - 5), chunk + 5) == NOISE_TAKEN);
            samples[i] = bench_now_s() - start;
        }
        *result = bench_median(samples, ROUND_TRIPS);
    } else {
        double start = bench_now_s(), end = start + seconds;
        unsigned long sent = 0, first = atomic_load(&meeting->received);

        while (bench_now_s() < end) {
            for (size_t i = 0; i < sizeof chunk; i += SEALED)
                seal_unit(chunk + i);
            all(stream, aio, chunk, sizeof chunk, false);
            sent += sizeof chunk / SEALED;
        }
        while (atomic_load(&meeting->received) - first < sent)
            pause_ms(1);
        *result = (double)sent / (bench_now_s() - start);
    }
    nng_stream_close(stream);
}

/* nng must not be used on both sides of a fork: each measurement is two fresh processes. */
static double measure(void (*near)(double *), void (*far)(void), double *second)
{
    double *results =
        mmap(NULL, sizeof(double) * 2, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t far_pid, near_pid;
    int status;

    MUST(results != MAP_FAILED);
    atomic_store(&meeting->port, 0);
    atomic_store(&meeting->over, false);
    far_pid = fork();
    if (far_pid == 0)
        far();
    while (atomic_load(&meeting->port) == 0)
        pause_ms(1);
    near_pid = fork();
    if (near_pid == 0) {
        near(results);
        exit(0);
    }
    waitpid(near_pid, &status, 0);
    MUST(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    atomic_store(&meeting->over, true);
    waitpid(far_pid, &status, 0);
    if (second)
        *second = results[1];
    return results[0];
}

static void near_nodes(double *results, bool echo)
{
    static struct side side;
    char address[32];

    be_born(&side);
    open_side(&side);
    snprintf(address, sizeof address, "127.0.0.1:%d", atomic_load(&meeting->port));
    MUST(transport_dial(side.transport, bytes_of_text(address), &meeting->far, NULL) == 0);
    while (!atomic_load(&side.up))
        pause_ms(1);
    if (echo)
        results[0] = node_round_trip_s(&side, &results[1]);
    else
        results[0] = node_rate(&side);
    transport_close(side.transport);
}

static void near_nodes_rate(double *results)
{
    near_nodes(results, false);
}

static void near_nodes_echo(double *results)
{
    near_nodes(results, true);
}

static void near_bare_rate(double *results)
{
    near_bare(false, results);
}

static void near_bare_echo(double *results)
{
    near_bare(true, results);
}

static void far_bare_rate(void)
{
    run_bare_far(false);
}

static void far_bare_echo(void)
{
    run_bare_far(true);
}

int main(int argc, char **argv)
{
    double value, limit, p99;
    char more[64];

    if (argc > 1)
        seconds = atof(argv[1]);
    meeting =
        mmap(NULL, sizeof *meeting, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(meeting != MAP_FAILED);
    limit = measure(near_bare_rate, far_bare_rate, NULL);
    value = measure(near_nodes_rate, run_far, NULL);
    bench_print("link_throughput", value, "frames/s", limit, 1, "");
    limit = measure(near_bare_echo, far_bare_echo, NULL);
    value = measure(near_nodes_echo, run_far, &p99);
    snprintf(more, sizeof more, ",\"p99\":%.1f", p99 * 1e6);
    bench_print("link_round_trip", value * 1e6, "us", limit * 1e6, 0, more);
    return 0;
}
