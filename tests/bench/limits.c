#include "limits.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNS 7
#define RUN_S 0.05
#define ROUND_TRIPS 2000
#define COMMITS 300
#define UNIT 256

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static double clock_s(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double bench_now_s(void)
{
    return clock_s(CLOCK_MONOTONIC);
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

double bench_quantile(double *values, size_t count, double q)
{
    MUST(count > 0);
    qsort(values, count, sizeof *values, ascending);
    return values[(size_t)(q * (double)(count - 1) + 0.5)];
}

double bench_median(double *values, size_t count)
{
    return bench_quantile(values, count, 0.5);
}

/* ---- cryptography ---- */

struct signing {
    uint8_t public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
    uint8_t signature[crypto_sign_BYTES];
    uint8_t *message;
    size_t size;
};

static void sign_once(struct signing *signing)
{
    crypto_sign_detached(signing->signature, NULL, signing->message, signing->size,
                         signing->secret);
}

static void verify_once(struct signing *signing)
{
    MUST(crypto_sign_verify_detached(signing->signature, signing->message, signing->size,
                                     signing->public) == 0);
}

static double cpu_s_each(size_t message_size, void (*work)(struct signing *))
{
    struct signing signing = {.message = calloc(1, message_size), .size = message_size};
    double samples[RUNS];

    MUST(sodium_init() >= 0 && signing.message);
    crypto_sign_keypair(signing.public, signing.secret);
    sign_once(&signing);
    for (int run = 0; run < RUNS; run++) {
        double start = clock_s(CLOCK_THREAD_CPUTIME_ID), spent;
        long count = 0;

        do {
            for (int i = 0; i < 50; i++)
                work(&signing);
            count += 50;
            spent = clock_s(CLOCK_THREAD_CPUTIME_ID) - start;
        } while (spent < RUN_S);
        samples[run] = spent / (double)count;
    }
    free(signing.message);
    return bench_median(samples, RUNS);
}

double limit_sign_s(size_t message_size)
{
    return cpu_s_each(message_size, sign_once);
}

double limit_verify_s(size_t message_size)
{
    return cpu_s_each(message_size, verify_once);
}

#define CORES_MAX 64
#define ALL_CORES_S 0.25

struct core {
    pthread_t thread;
    size_t message_size;
    double pecks_per_s;
};

static void *sign_and_check(void *context)
{
    static const uint8_t message[512];
    uint8_t public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
    uint8_t signature[crypto_sign_BYTES];
    struct core *core = context;
    double start, spent;
    size_t pecks = 0;

    crypto_sign_keypair(public, secret);
    start = bench_now_s();
    do {
        for (int i = 0; i < 2; i++) { /* the peck, and its receipt */
            crypto_sign_detached(signature, NULL, message, core->message_size, secret);
            if (crypto_sign_verify_detached(signature, message, core->message_size, public) != 0)
                abort();
        }
        pecks++;
        spent = bench_now_s() - start;
    } while (spent < ALL_CORES_S);
    core->pecks_per_s = (double)pecks / spent;
    return NULL;
}

static void *seal_and_open(void *context)
{
    static const uint8_t key[crypto_aead_chacha20poly1305_ietf_KEYBYTES];
    uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES] = {0};
    struct core *core = context;
    size_t size = core->message_size, pecks = 0;
    uint8_t *message = calloc(1, size),
            *sealed = malloc(size + crypto_aead_chacha20poly1305_ietf_ABYTES);
    double start = bench_now_s(), spent;

    if (!message || !sealed)
        abort();
    do {
        unsigned long long sealed_size;

        sodium_increment(nonce, sizeof nonce);
        crypto_aead_chacha20poly1305_ietf_encrypt(sealed, &sealed_size, message, size, NULL, 0,
                                                  NULL, nonce, key);
        if (crypto_aead_chacha20poly1305_ietf_decrypt(message, NULL, NULL, sealed, sealed_size,
                                                      NULL, 0, nonce, key) != 0)
            abort();
        pecks++;
        spent = bench_now_s() - start;
    } while (spent < ALL_CORES_S);
    free(message);
    free(sealed);
    core->pecks_per_s = (double)pecks / spent;
    return NULL;
}

static double on_all_cores(void *(*work)(void *), size_t message_size)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    size_t count = online > CORES_MAX ? CORES_MAX : (size_t)online;
    static struct core cores[CORES_MAX];
    double sum = 0;

    for (size_t i = 0; i < count; i++) {
        cores[i].message_size = message_size;
        if (pthread_create(&cores[i].thread, NULL, work, &cores[i]) != 0)
            abort();
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(cores[i].thread, NULL);
        sum += cores[i].pecks_per_s;
    }
    return sum;
}

double limit_signed_pecks_per_s(size_t message_size)
{
    return on_all_cores(sign_and_check, message_size);
}

double limit_sealed_per_s(size_t message_size)
{
    return on_all_cores(seal_and_open, message_size);
}

/* ---- a socket ---- */

static void move(int socket, int epoll, char *unit, int receive)
{
    size_t done = 0;

    while (done < UNIT) {
        struct epoll_event event;
        ssize_t size = receive ? recv(socket, unit + done, UNIT - done, MSG_DONTWAIT)
                               : send(socket, unit + done, UNIT - done, MSG_NOSIGNAL);

        if (size > 0)
            done += (size_t)size;
        else if (receive && size < 0)
            epoll_wait(epoll, &event, 1, 1000);
        else
            exit(size == 0 ? 0 : 1);
    }
}

static int watch(int socket)
{
    struct epoll_event event = {.events = EPOLLIN};
    int one = 1, epoll = epoll_create1(0);

    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    MUST(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event) == 0);
    return epoll;
}

double limit_socket_round_trip_s(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), near, epoll, status;
    static double samples[ROUND_TRIPS];
    char unit[UNIT] = {0};
    pid_t far;

    MUST(listener >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0 &&
         listen(listener, 1) == 0 &&
         getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    far = fork();
    MUST(far >= 0);
    if (far == 0) {
        int accepted = accept(listener, NULL, NULL), poll = watch(accepted);

        for (;;) {
            move(accepted, poll, unit, 1);
            move(accepted, poll, unit, 0);
        }
    }
    near = socket(AF_INET, SOCK_STREAM, 0);
    MUST(near >= 0 && connect(near, (struct sockaddr *)&address, sizeof address) == 0);
    epoll = watch(near);
    for (int i = 0; i < ROUND_TRIPS; i++) {
        double start = bench_now_s();

        move(near, epoll, unit, 0);
        move(near, epoll, unit, 1);
        samples[i] = bench_now_s() - start;
    }
    close(near);
    close(epoll);
    close(listener);
    waitpid(far, &status, 0);
    return bench_median(samples, ROUND_TRIPS);
}

/* ---- a commit ---- */

double limit_commit_s(const char *folder)
{
    static const char setup[] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                                "CREATE TABLE rows(seq INTEGER PRIMARY KEY, body BLOB) STRICT;";
    static double samples[COMMITS];
    sqlite3_stmt *insert = NULL;
    char path[512], body[512] = {0};
    sqlite3 *db = NULL;

    snprintf(path, sizeof path, "%s/limit.db", folder);
    unlink(path);
    MUST(sqlite3_open(path, &db) == SQLITE_OK);
    MUST(sqlite3_exec(db, setup, NULL, NULL, NULL) == SQLITE_OK);
    MUST(sqlite3_prepare_v2(db, "INSERT INTO rows(body) VALUES(?)", -1, &insert, NULL) ==
         SQLITE_OK);
    for (int i = 0; i < COMMITS; i++) {
        double start = bench_now_s();

        sqlite3_bind_blob(insert, 1, body, sizeof body, SQLITE_STATIC);
        MUST(sqlite3_step(insert) == SQLITE_DONE);
        sqlite3_reset(insert);
        samples[i] = bench_now_s() - start;
    }
    sqlite3_finalize(insert);
    sqlite3_close(db);
    unlink(path);
    return bench_median(samples, COMMITS);
}

/* ---- the disk ---- */

#define DISK_BYTES (1u << 30) /* what a cache takes at once is no rate */

double limit_disk_bytes_per_s(const char *folder)
{
    size_t size = 1u << 20;
    uint8_t *bytes = malloc(size);
    double start, spent;
    char path[512];
    int file;

    MUST(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    snprintf(path, sizeof path, "%s/limit.bytes", folder);
    file = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    MUST(file >= 0);
    start = bench_now_s();
    for (size_t done = 0; done < DISK_BYTES; done += size)
        MUST(write(file, bytes, size) == (ssize_t)size);
    MUST(fdatasync(file) == 0);
    spent = bench_now_s() - start;
    close(file);
    unlink(path);
    free(bytes);
    return DISK_BYTES / spent;
}

void bench_print(const char *name, double value, const char *unit, double limit, int is_rate,
                 const char *more)
{
    double ratio = is_rate ? value / limit : limit / value;

    printf("{\"bench\":\"%s\",\"value\":%.6g,\"unit\":\"%s\",\"limit\":%.6g,\"ratio\":%.3f%s}\n",
           name, value, unit, limit, ratio, more);
    fflush(stdout);
}
