/* A node's identity and transport, with a notebook of what the transport told. For tests that have
 * both ends in one process. */
#ifndef DUCK_TEST_NODE_H
#define DUCK_TEST_NODE_H

#include "clock.h"
#include "core/envelope.h"
#include "core/introduction.h"
#include "transport.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define TEST_NETWORK "test"
#define TEST_WAIT_MS 20000u

struct test_node {
    struct arena memory;
    struct identity_key *key;
    struct id id;
    struct noise_pair pair;
    struct bytes chain, introduction;
    struct transport *transport;
    char address[32];

    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* What was told. */
    atomic_uint ups, downs, dials_failed, goodbyes, answers;
    struct id up_node, down_node, answered_by, answer_wanted;
    char answered_at[32];
    char reason[160];
    uint64_t frames, bytes, refused;
    uint8_t *last; /* body of the last frame, owned */
    size_t last_size;
    uint8_t last_kind;
    uint64_t next_number; /* frames of kind TEST_NUMBERED must come in order */
    bool out_of_order;
    uint64_t *numbers_seen; /* of kind TEST_MARKED: how often each came */
    size_t numbers_max;
    size_t overlapping, overlapping_max;
    bool holds;   /* frame handlers wait */
    bool refuses; /* frames are refused */
};

/* Where nodes that are opened from now on listen. */
static const char *test_node_listen = "127.0.0.1";

enum { TEST_FRAME = 100, TEST_NUMBERED = 101, TEST_MARKED = 102, TEST_ECHO = 103 };

static inline void test_node_wait_until(struct timespec *until, unsigned ms)
{
    clock_gettime(CLOCK_MONOTONIC, until);
    until->tv_sec += ms / 1000;
    until->tv_nsec += (long)(ms % 1000) * 1000000;
    if (until->tv_nsec >= 1000000000) {
        until->tv_sec++;
        until->tv_nsec -= 1000000000;
    }
}

/* Waits, under the node's lock, until `condition` holds; fails the test when it never does. */
#define test_node_await(node, condition)                                                           \
    do {                                                                                           \
        struct timespec until_;                                                                    \
        int passed_ = 0;                                                                           \
        test_node_wait_until(&until_, TEST_WAIT_MS);                                               \
        pthread_mutex_lock(&(node)->lock);                                                         \
        while (!(condition) && passed_ != ETIMEDOUT)                                               \
            passed_ = pthread_cond_timedwait(&(node)->changed, &(node)->lock, &until_);            \
        bool holds_ = (condition);                                                                 \
        pthread_mutex_unlock(&(node)->lock);                                                       \
        ck_assert_msg(holds_, "in time: %s", #condition);                                          \
    } while (0)

/* For what nobody tells: looks again every 2 ms. */
#define test_await(condition)                                                                      \
    do {                                                                                           \
        uint64_t until_ = clock_now_ms() + TEST_WAIT_MS;                                           \
        struct timespec look_ = {.tv_nsec = 2000000};                                              \
        while (!(condition) && clock_now_ms() < until_)                                            \
            nanosleep(&look_, NULL);                                                               \
        ck_assert_msg((condition), "in time: %s", #condition);                                     \
    } while (0)

static inline void test_node_on_up(void *context, const struct id *id, struct bytes introduction,
                                   bool dialled_here)
{
    struct test_node *node = context;

    (void)introduction;
    (void)dialled_here;
    pthread_mutex_lock(&node->lock);
    node->ups++;
    node->up_node = *id;
    pthread_cond_broadcast(&node->changed);
    pthread_mutex_unlock(&node->lock);
}

static inline void test_node_on_down(void *context, const struct id *id, const char *reason,
                                     bool goodbye)
{
    struct test_node *node = context;

    pthread_mutex_lock(&node->lock);
    node->downs++;
    node->goodbyes += goodbye;
    node->down_node = *id;
    snprintf(node->reason, sizeof node->reason, "%s", reason);
    pthread_cond_broadcast(&node->changed);
    pthread_mutex_unlock(&node->lock);
}

static inline void test_node_on_answered(void *context, const struct id *wanted,
                                         const struct id *id, struct bytes address)
{
    struct test_node *node = context;

    pthread_mutex_lock(&node->lock);
    node->answers++;
    node->answer_wanted = *wanted;
    node->answered_by = *id;
    snprintf(node->answered_at, sizeof node->answered_at, "%.*s", (int)address.size,
             (const char *)address.data);
    pthread_cond_broadcast(&node->changed);
    pthread_mutex_unlock(&node->lock);
}

static inline void test_node_on_dial_failed(void *context, const struct id *id,
                                            struct bytes address, const char *reason)
{
    struct test_node *node = context;

    (void)id;
    (void)address;
    pthread_mutex_lock(&node->lock);
    node->dials_failed++;
    snprintf(node->reason, sizeof node->reason, "%s", reason);
    pthread_cond_broadcast(&node->changed);
    pthread_mutex_unlock(&node->lock);
}

static inline void test_node_note(struct test_node *node, uint8_t kind, struct bytes body)
{
    uint64_t number = 0;

    node->frames++;
    node->bytes += body.size;
    node->last_kind = kind;
    if (body.size >= sizeof number)
        memcpy(&number, body.data, sizeof number);
    if (kind == TEST_NUMBERED) {
        node->out_of_order = node->out_of_order || number != node->next_number;
        node->next_number = number + 1;
    } else if (kind == TEST_MARKED) {
        if (number < node->numbers_max)
            node->numbers_seen[number]++;
    } else {
        free(node->last);
        node->last = malloc(body.size + 1);
        memcpy(node->last, body.data, body.size);
        node->last_size = body.size;
    }
}

static inline bool test_node_on_frame(void *context, size_t worker, const struct id *from,
                                      uint8_t kind, struct bytes body)
{
    struct test_node *node = context;
    bool refuses;

    (void)worker;
    pthread_mutex_lock(&node->lock);
    node->overlapping++;
    if (node->overlapping > node->overlapping_max)
        node->overlapping_max = node->overlapping;
    pthread_cond_broadcast(&node->changed);
    while (node->holds)
        pthread_cond_wait(&node->changed, &node->lock);
    test_node_note(node, kind, body);
    node->overlapping--;
    refuses = node->refuses;
    node->refused += refuses;
    pthread_cond_broadcast(&node->changed);
    pthread_mutex_unlock(&node->lock);
    if (kind == TEST_ECHO) {
        transport_send(node->transport, from, TEST_FRAME, body);
        transport_flush(node->transport);
    }
    return !refuses;
}

/* A new session key and a record that certifies it. */
static inline void test_node_introduce(struct test_node *node, struct noise_pair *pair)
{
    struct node_content content = {.session_not_after_ms = clock_wall_ms() + HOUR_MS};
    struct record record = {.network = bytes_of_text(TEST_NETWORK),
                            .kind = RECORD_NODE,
                            .version = {clock_wall_ms(), 0},
                            .not_after_ms = clock_wall_ms() + HOUR_MS,
                            .owner = node->id};
    uint8_t seed[NOISE_KEY_SIZE];
    struct bytes body;

    randombytes_buf(seed, sizeof seed);
    noise_pair_from_secret(pair, seed);
    memcpy(content.session_key, pair->public, sizeof content.session_key);
    record.content = node_content_pack(&content, &node->memory);
    ck_assert_int_eq(record_pack(&record, &node->memory, &body), RECORD_OK);
    node->introduction = introduction_pack(
        node->chain,
        envelope_seal(ENVELOPE_RECORD, &node->id, node->key, body, &node->memory, NULL),
        &node->memory);
}

static inline void test_node_be_born(struct test_node *node)
{
    struct certificate_wish wish = {.kind = IDENTITY_NODE,
                                    .display_name = bytes_of_text("test"),
                                    .issued_ms = clock_wall_ms() - 1000,
                                    .not_after_ms = clock_wall_ms() + DAY_MS};
    pthread_condattr_t steady;
    struct bytes certificate;
    uint8_t seed[SEED_SIZE];

    *node = (struct test_node){.transport = NULL};
    ck_assert(identity_self_test());
    arena_init(&node->memory, MIB);
    randombytes_buf(seed, sizeof seed);
    node->key = identity_key_new(seed);
    certificate = certificate_make(&wish, node->key, &node->memory, &node->id);
    node->chain = chain_pack(&certificate, 1, &node->memory);
    test_node_introduce(node, &node->pair);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&node->lock, NULL);
    pthread_cond_init(&node->changed, &steady);
    pthread_condattr_destroy(&steady);
}

static inline void test_node_open(struct test_node *node, const struct transport_limits *limits)
{
    char text[64];
    const char *listen = text;
    struct transport_settings settings = {
        .listen = &listen,
        .listen_count = 1,
        .network = bytes_of_text(TEST_NETWORK),
        .self = node->id,
        .static_pair = node->pair,
        .workers = 2,
        .handlers = {.context = node,
                     .up = test_node_on_up,
                     .down = test_node_on_down,
                     .dial_failed = test_node_on_dial_failed,
                     .answered = test_node_on_answered,
                     .frame = test_node_on_frame},
    };

    snprintf(text, sizeof text, "%s:0", test_node_listen);
    if (limits)
        settings.limits = *limits;
    else
        transport_limits_default(&settings.limits);
    ck_assert_int_eq(transport_open(&node->transport, &settings), 0);
    snprintf(node->address, sizeof node->address, "%s:%u", test_node_listen,
             transport_port(node->transport, 0));
    transport_introduce(node->transport, node->introduction);
}

static inline void test_node_start(struct test_node *node, const struct transport_limits *limits)
{
    test_node_be_born(node);
    test_node_open(node, limits);
}

static inline void test_node_hold(struct test_node *node, bool holds)
{
    pthread_mutex_lock(&node->lock);
    node->holds = holds;
    pthread_cond_broadcast(&node->changed);
    pthread_mutex_unlock(&node->lock);
}

static inline void test_node_stop(struct test_node *node)
{
    test_node_hold(node, false);
    transport_close(node->transport);
    identity_key_free(node->key);
    arena_free(&node->memory);
    free(node->last);
    free(node->numbers_seen);
    pthread_cond_destroy(&node->changed);
    pthread_mutex_destroy(&node->lock);
}

static inline int test_node_dial(struct test_node *from, const struct test_node *to, bool knows_id,
                                 bool knows_key)
{
    return transport_dial(from->transport, bytes_of_text(to->address), knows_id ? &to->id : NULL,
                          knows_key ? to->pair.public : NULL);
}

/* Both know of the link when this returns. */
static inline void test_node_link(struct test_node *from, struct test_node *to)
{
    ck_assert_int_eq(test_node_dial(from, to, true, true), 0);
    test_node_await(from, from->ups == 1);
    test_node_await(to, to->ups == 1);
}

#endif
