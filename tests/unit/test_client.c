/* The client library against a node that is made up here: one thread that speaks local.proto over
 * plain Unix sockets, so that it can also speak it badly. */
#include "folder.h"

#include "client/duck_client.h"
#include "client/local_frames.h"
#include "wire/local.pb-c.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ALICE "dkl_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BOB "dkl_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* ---- a made-up node ---- */

struct fake {
    struct folder folder;
    char path[128];
    int listener;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int connection; /* -1: none */
    bool ending, reads_nothing;
    unsigned connections, requests, cancels;
    /* Returns false to hang up. */
    bool (*answer)(struct fake *fake, const Duck__Request *request); /* under the lock */
    Duck__Request *held[16];
    size_t held_count;
};

static void send_all(int connection, const void *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(connection, data, size, MSG_NOSIGNAL);

        if (sent <= 0)
            return; /* the client has gone */
        data = (const char *)data + sent;
        size -= (size_t)sent;
    }
}

static void say(struct fake *fake, const Duck__Reply *reply)
{
    struct local_buffer buffer = {0};

    local_buffer_append(&buffer, reply);
    send_all(fake->connection, buffer.data, buffer.end);
    local_buffer_free(&buffer);
}

static void say_done(struct fake *fake, uint64_t id)
{
    Duck__Done done = DUCK__DONE__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    reply.id = id;
    reply.answer_case = DUCK__REPLY__ANSWER_DONE;
    reply.done = &done;
    say(fake, &reply);
}

static void say_problem(struct fake *fake, uint64_t id, const char *code, const char *field)
{
    Duck__Problem problem = DUCK__PROBLEM__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    problem.code = (char *)code;
    problem.message = "because";
    problem.field = (char *)field;
    reply.id = id;
    reply.answer_case = DUCK__REPLY__ANSWER_PROBLEM;
    reply.problem = &problem;
    say(fake, &reply);
}

static void say_event(struct fake *fake, uint64_t id, const char *peck, uint64_t dropped)
{
    Duck__EventView event = DUCK__EVENT_VIEW__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    event.kind = "peck";
    event.duckling = ALICE;
    event.with = BOB;
    event.peck_id = (char *)peck;
    event.box = 1;
    event.state = "taken";
    event.dropped = dropped;
    reply.id = id;
    reply.answer_case = DUCK__REPLY__ANSWER_EVENT;
    reply.event = &event;
    say(fake, &reply);
}

/* Says the pulse's duckling back, as a status: so each answer can be told from the others. */
static bool echo(struct fake *fake, const Duck__Request *request)
{
    Duck__StatusAnswer status = DUCK__STATUS_ANSWER__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    if (request->order_case == DUCK__REQUEST__ORDER_CANCEL_FOLLOW)
        return true;
    ck_assert_int_eq(request->order_case, DUCK__REQUEST__ORDER_PULSE);
    status.node_id = request->pulse->duckling;
    reply.id = request->id;
    reply.answer_case = DUCK__REPLY__ANSWER_STATUS;
    reply.status = &status;
    say(fake, &reply);
    return true;
}

static bool serve_frames(struct fake *fake, struct local_buffer *buffer)
{
    struct bytes frame;

    while (local_buffer_next(buffer, LOCAL_REQUEST_MAX, &frame) == LOCAL_FRAME_TAKEN) {
        Duck__Request *request = duck__request__unpack(NULL, frame.size, frame.data);
        bool (*answer)(struct fake * fake, const Duck__Request *request);
        bool goes_on;

        ck_assert_ptr_nonnull(request);
        pthread_mutex_lock(&fake->lock);
        fake->requests++;
        answer = fake->answer;
        pthread_cond_broadcast(&fake->changed);
        pthread_mutex_unlock(&fake->lock);
        goes_on = answer(fake, request);
        duck__request__free_unpacked(request, NULL);
        if (!goes_on)
            return false;
    }
    return true;
}

static void serve_one(struct fake *fake)
{
    struct local_buffer buffer = {0};
    ssize_t size;

    do {
        pthread_mutex_lock(&fake->lock);
        while (fake->reads_nothing && !fake->ending)
            pthread_cond_wait(&fake->changed, &fake->lock);
        pthread_mutex_unlock(&fake->lock);
        size = recv(fake->connection, local_buffer_room(&buffer, 65536), 65536, 0);
        if (size > 0)
            buffer.end += (size_t)size;
    } while (size > 0 && serve_frames(fake, &buffer));
    local_buffer_free(&buffer);
}

static void *serve(void *context)
{
    struct fake *fake = context;

    for (;;) {
        int connection = accept(fake->listener, NULL, NULL);

        if (connection < 0)
            return NULL;
        pthread_mutex_lock(&fake->lock);
        fake->connection = connection;
        fake->connections++;
        pthread_cond_broadcast(&fake->changed);
        pthread_mutex_unlock(&fake->lock);
        serve_one(fake);
        pthread_mutex_lock(&fake->lock);
        fake->connection = -1;
        pthread_mutex_unlock(&fake->lock);
        close(connection);
    }
}

static void fake_listen(struct fake *fake)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(address.sun_path, fake->path);
    fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fake->listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fake->listener, 16), 0);
    ck_assert_int_eq(pthread_create(&fake->thread, NULL, serve, fake), 0);
}

static void fake_stop(struct fake *fake)
{
    pthread_mutex_lock(&fake->lock);
    fake->ending = true;
    shutdown(fake->listener, SHUT_RDWR);
    if (fake->connection >= 0)
        shutdown(fake->connection, SHUT_RDWR);
    pthread_cond_broadcast(&fake->changed);
    pthread_mutex_unlock(&fake->lock);
    pthread_join(fake->thread, NULL);
    close(fake->listener);
    unlink(fake->path);
    fake->ending = false;
}

static struct fake fake;
static struct duck *duck;

static void start(bool (*answer)(struct fake *fake, const Duck__Request *request))
{
    fake.answer = answer;
    fake_listen(&fake);
}

static void set_up(void)
{
    fake = (struct fake){.connection = -1,
                         .lock = PTHREAD_MUTEX_INITIALIZER,
                         .changed = PTHREAD_COND_INITIALIZER,
                         .listener = -1};
    fake.folder = folder_make();
    snprintf(fake.path, sizeof fake.path, "%s/node.sock", fake.folder.path);
}

static void tear_down(void)
{
    duck_close(duck);
    duck = NULL;
    if (fake.listener >= 0)
        fake_stop(&fake);
    folder_remove(&fake.folder);
}

static void connect_duck(void)
{
    const char *problem = NULL;

    ck_assert_msg(duck_connect(&duck, fake.path, &problem) == 0, "%s", problem);
}

static void expect_code(struct duck_answer *answer, const char *code)
{
    ck_assert_str_eq(duck_code(answer), code);
    ck_assert(duck_ok(answer) == !*code);
    duck_answer_free(answer);
}

static void expect_echo(const char *duckling)
{
    Duck__PulseOrder pulse = DUCK__PULSE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;

    pulse.duckling = (char *)duckling;
    request.order_case = DUCK__REQUEST__ORDER_PULSE;
    request.pulse = &pulse;
    reply = duck_call_wait(duck, &request, 0);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_STATUS);
    ck_assert_str_eq(reply->status->node_id, duckling);
    duck_reply_free(reply);
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- connecting ---- */

START_TEST(without_a_node_connecting_fails_and_says_so)
{
    const char *problem = NULL;

    ck_assert_int_eq(duck_connect(&duck, fake.path, &problem), -1);
    ck_assert_ptr_nonnull(strstr(problem, "is ducknode running?"));
    ck_assert_int_eq(duck_connect(&duck, fake.path, NULL), -1);
    ck_assert_ptr_null(duck);
}
END_TEST

START_TEST(a_path_that_no_socket_can_have_is_refused)
{
    const char *problem = NULL;
    char path[200];

    memset(path, 'a', sizeof path);
    path[108] = 0;
    ck_assert_int_eq(duck_connect(&duck, path, &problem), -1);
    ck_assert_ptr_nonnull(strstr(problem, "107 bytes"));
    path[107] = 0;
    ck_assert_int_eq(duck_connect(&duck, path, &problem), -1);
    ck_assert_ptr_nonnull(strstr(problem, "is ducknode running?"));
}
END_TEST

START_TEST(the_environment_names_the_socket_when_nobody_else_does)
{
    start(echo);
    setenv("DUCKNODE_SOCKET", fake.path, 1);
    ck_assert_int_eq(duck_connect(&duck, NULL, NULL), 0);
    expect_echo(ALICE);
}
END_TEST

/* ---- calls ---- */

#define CALLERS 8
#define CALLS_EACH 200

static void *call_often(void *context)
{
    char name[32];

    for (unsigned i = 0; i < CALLS_EACH; i++) {
        snprintf(name, sizeof name, "%u/%u", *(unsigned *)context, i);
        expect_echo(name);
    }
    return NULL;
}

START_TEST(callers_on_many_threads_get_each_their_own_answers)
{
    pthread_t threads[CALLERS];
    unsigned numbers[CALLERS];

    start(echo);
    connect_duck();
    for (unsigned i = 0; i < CALLERS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, call_often, &numbers[i]);
    }
    for (unsigned i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(fake.connections, 1);
}
END_TEST

/* Keeps requests until there are three, then answers the last one first. */
static bool answer_backwards(struct fake *node, const Duck__Request *request)
{
    uint8_t packed[256];
    size_t size = duck__request__pack(request, packed);

    node->held[node->held_count++] = duck__request__unpack(NULL, size, packed);
    if (node->held_count < 3)
        return true;
    while (node->held_count > 0) {
        Duck__Request *held = node->held[--node->held_count];

        echo(node, held);
        duck__request__free_unpacked(held, NULL);
    }
    return true;
}

struct gathering {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned done, busy, unreachable;
};
#define GATHERING_INIT                                                                             \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                     \
    }

static void gather(void *context, Duck__Reply *reply)
{
    struct gathering *gathering = context;

    pthread_mutex_lock(&gathering->lock);
    gathering->done++;
    if (reply->answer_case == DUCK__REPLY__ANSWER_PROBLEM) {
        gathering->busy += strcmp(reply->problem->code, "busy") == 0;
        gathering->unreachable += strcmp(reply->problem->code, "unreachable") == 0;
    }
    pthread_cond_broadcast(&gathering->changed);
    pthread_mutex_unlock(&gathering->lock);
    duck_reply_free(reply);
}

static void gathered(struct gathering *gathering, unsigned count)
{
    pthread_mutex_lock(&gathering->lock);
    while (gathering->done < count)
        pthread_cond_wait(&gathering->changed, &gathering->lock);
    pthread_mutex_unlock(&gathering->lock);
}

struct expected {
    struct gathering *gathering;
    const char *duckling;
};

static void expect_own(void *context, Duck__Reply *reply)
{
    struct expected *expected = context;

    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_STATUS);
    ck_assert_str_eq(reply->status->node_id, expected->duckling);
    gather(expected->gathering, reply);
}

START_TEST(answers_find_their_calls_in_whatever_order_they_come)
{
    struct gathering gathering = GATHERING_INIT;
    struct expected expected[3] = {{&gathering, "one"}, {&gathering, "two"}, {&gathering, "three"}};

    start(answer_backwards);
    connect_duck();
    for (size_t i = 0; i < 3; i++) {
        Duck__PulseOrder pulse = DUCK__PULSE_ORDER__INIT;
        Duck__Request request = DUCK__REQUEST__INIT;

        pulse.duckling = (char *)expected[i].duckling;
        request.order_case = DUCK__REQUEST__ORDER_PULSE;
        request.pulse = &pulse;
        duck_call(duck, &request, 0, expect_own, &expected[i]);
    }
    gathered(&gathering, 3);
}
END_TEST

static bool hang_up_once(struct fake *node, const Duck__Request *request)
{
    return node->connections > 1 && echo(node, request);
}

START_TEST(a_node_that_goes_away_is_said_so_and_the_next_call_finds_it_again)
{
    start(hang_up_once);
    connect_duck();
    expect_code(duck_pulse(duck, ALICE), "unreachable");
    expect_echo(BOB);
    ck_assert_uint_eq(fake.connections, 2);
}
END_TEST

START_TEST(a_node_that_was_started_anew_is_found_again)
{
    start(echo);
    connect_duck();
    expect_echo(ALICE);
    fake_stop(&fake);
    expect_code(duck_pulse(duck, ALICE), "unreachable");
    fake_listen(&fake);
    expect_echo(BOB);
}
END_TEST

static bool say_nothing(struct fake *node, const Duck__Request *request)
{
    (void)node;
    (void)request;
    return true;
}

START_TEST(a_call_that_is_not_answered_times_out_and_its_late_answer_is_ignored)
{
    Duck__StatusQuery status = DUCK__STATUS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    uint64_t began_ms = now_ms();
    Duck__Reply *reply;

    start(say_nothing);
    connect_duck();
    request.order_case = DUCK__REQUEST__ORDER_STATUS;
    request.status = &status;
    reply = duck_call_wait(duck, &request, 150);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_PROBLEM);
    ck_assert_str_eq(reply->problem->code, "timeout");
    ck_assert_uint_ge(now_ms() - began_ms, 149);
    duck_reply_free(reply);
    say_done(&fake, request.id);
    pthread_mutex_lock(&fake.lock);
    fake.answer = echo;
    pthread_mutex_unlock(&fake.lock);
    expect_echo(BOB);
}
END_TEST

static void *close_duck(void *context)
{
    (void)context;
    pthread_mutex_lock(&fake.lock);
    while (fake.requests < 1)
        pthread_cond_wait(&fake.changed, &fake.lock);
    pthread_mutex_unlock(&fake.lock);
    duck_close(duck);
    return NULL;
}

START_TEST(closing_ends_calls_that_wait)
{
    struct gathering gathering = GATHERING_INIT;
    Duck__StatusQuery status = DUCK__STATUS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    pthread_t thread;

    start(say_nothing);
    connect_duck();
    request.order_case = DUCK__REQUEST__ORDER_STATUS;
    request.status = &status;
    pthread_create(&thread, NULL, close_duck, NULL);
    duck_call(duck, &request, 0, gather, &gathering);
    gathered(&gathering, 1);
    pthread_join(thread, NULL);
    duck = NULL;
    ck_assert_uint_eq(gathering.unreachable, 1);
}
END_TEST

/* ---- limits ---- */

static bool answer_all(struct fake *node, const Duck__Request *request)
{
    say_done(node, request->id);
    return true;
}

/* A peck query whose frame, id and all, has exactly `size` bytes is not to be had (lengths are
 * varints), but the limit is on what the client can know before it gives an id. */
static Duck__Reply *call_of_size(size_t size)
{
    Duck__PulseOrder pulse = DUCK__PULSE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    char *filling = calloc(1, size + 1);
    Duck__Reply *reply;

    memset(filling, 'a', size);
    pulse.duckling = filling;
    request.order_case = DUCK__REQUEST__ORDER_PULSE;
    request.pulse = &pulse;
    filling[size - (duck__request__get_packed_size(&request) - size)] = 0;
    ck_assert_uint_eq(duck__request__get_packed_size(&request), size);
    reply = duck_call_wait(duck, &request, 0);
    free(filling);
    return reply;
}

START_TEST(a_request_over_one_mebibyte_is_not_even_sent)
{
    Duck__Reply *reply;

    start(answer_all);
    connect_duck();
    reply = call_of_size(LOCAL_REQUEST_MAX - 16);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_DONE);
    duck_reply_free(reply);
    reply = call_of_size(LOCAL_REQUEST_MAX - 15);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_PROBLEM);
    ck_assert_str_eq(reply->problem->code, "too_large");
    duck_reply_free(reply);
    ck_assert_uint_eq(fake.requests, 1);
}
END_TEST

START_TEST(requests_that_pile_up_are_busy_at_sixteen_mebibytes)
{
    struct gathering gathering = GATHERING_INIT;
    Duck__PulseOrder pulse = DUCK__PULSE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    char *filling = calloc(1, 512 * KIB);
    unsigned called = 0;

    fake.reads_nothing = true;
    start(answer_all);
    connect_duck();
    memset(filling, 'a', 512 * KIB - 1);
    pulse.duckling = filling;
    request.order_case = DUCK__REQUEST__ORDER_PULSE;
    request.pulse = &pulse;
    while (gathering.busy == 0) { /* on this thread: the refusal comes from within the call */
        duck_call(duck, &request, 60000, gather, &gathering);
        called++;
        ck_assert_uint_lt(called, 256); /* 16 MiB here, 16 in flight, and the kernel's buffers */
    }
    ck_assert_uint_ge(called, 32);
    pthread_mutex_lock(&fake.lock);
    fake.reads_nothing = false;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.lock);
    gathered(&gathering, called);
    ck_assert_uint_eq(gathering.busy, 1);
    ck_assert_uint_eq(gathering.unreachable, 0);
    free(filling);
}
END_TEST

/* ---- bad and odd nodes ---- */

static bool speak_garbage_once(struct fake *node, const Duck__Request *request)
{
    static const uint8_t garbage[] = {0, 0, 0, 3, 0xff, 0xff, 0xff};

    if (node->connections > 1)
        return echo(node, request);
    send_all(node->connection, garbage, sizeof garbage);
    return true;
}

START_TEST(a_node_that_speaks_garbage_is_left_and_tried_anew)
{
    start(speak_garbage_once);
    connect_duck();
    expect_code(duck_pulse(duck, ALICE), "unreachable");
    expect_echo(BOB);
}
END_TEST

static bool claim_too_much_once(struct fake *node, const Duck__Request *request)
{
    static const uint8_t claim[] = {0x04, 0, 0, 1}; /* 64 MiB and a byte */

    if (node->connections > 1)
        return echo(node, request);
    send_all(node->connection, claim, sizeof claim);
    return true;
}

START_TEST(a_reply_that_claims_more_than_64_mebibytes_is_refused)
{
    start(claim_too_much_once);
    connect_duck();
    expect_code(duck_pulse(duck, ALICE), "unreachable");
    expect_echo(BOB);
}
END_TEST

static bool answer_in_pieces(struct fake *node, const Duck__Request *request)
{
    Duck__Done done = DUCK__DONE__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;
    struct local_buffer buffer = {0};

    reply.id = request->id;
    reply.answer_case = DUCK__REPLY__ANSWER_DONE;
    reply.done = &done;
    local_buffer_append(&buffer, &reply);
    for (size_t i = 0; i < buffer.end; i++)
        send_all(node->connection, buffer.data + i, 1);
    local_buffer_free(&buffer);
    return true;
}

START_TEST(a_reply_may_come_byte_by_byte)
{
    start(answer_in_pieces);
    connect_duck();
    for (int i = 0; i < 20; i++)
        expect_code(duck_pulse(duck, ALICE), "");
}
END_TEST

#define LARGE_PECKS 40
#define LARGE_PAYLOAD (256 * KIB)

static bool answer_largely(struct fake *node, const Duck__Request *request)
{
    Duck__PeckView views[LARGE_PECKS], *list[LARGE_PECKS];
    Duck__PeckList pecks = DUCK__PECK_LIST__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;
    uint8_t *payload = calloc(1, LARGE_PAYLOAD);

    memset(payload, 'p', LARGE_PAYLOAD);
    for (size_t i = 0; i < LARGE_PECKS; i++) {
        duck__peck_view__init(&views[i]);
        views[i].payload = (ProtobufCBinaryData){LARGE_PAYLOAD, payload};
        list[i] = &views[i];
    }
    pecks.n_pecks = LARGE_PECKS;
    pecks.pecks = list;
    reply.id = request->id;
    reply.answer_case = DUCK__REPLY__ANSWER_PECKS;
    reply.pecks = &pecks;
    say(node, &reply);
    free(payload);
    return true;
}

START_TEST(a_large_answer_arrives_whole)
{
    struct duck_answer *answer;
    struct duck_item item;

    start(answer_largely);
    connect_duck();
    answer = duck_take(duck, ALICE, LARGE_PECKS, 0, 0);
    ck_assert_uint_eq(duck_count(answer), LARGE_PECKS);
    ck_assert(duck_item(answer, LARGE_PECKS - 1, &item));
    ck_assert_uint_eq(strlen(item.payload), LARGE_PAYLOAD);
    ck_assert(!duck_item(answer, LARGE_PECKS, &item));
    duck_answer_free(answer);
}
END_TEST

/* ---- the words of the wire ---- */

static bool is_bytes(ProtobufCBinaryData bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

static bool judge_send(struct fake *node, const Duck__Request *request)
{
    const Duck__SendOrder *send_order = request->send;
    Duck__PeckView view = DUCK__PECK_VIEW__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    ck_assert_int_eq(request->order_case, DUCK__REQUEST__ORDER_SEND);
    ck_assert_str_eq(send_order->from, ALICE);
    ck_assert_str_eq(send_order->to, BOB);
    ck_assert_uint_eq(send_order->wait_for, DUCK__WAIT_FOR__WAIT_DONE);
    ck_assert_uint_eq(send_order->wait_ms, 900);
    if (send_order->kind == 1) {
        ck_assert(is_bytes(send_order->action, "query"));
        ck_assert(is_bytes(send_order->payload, "{}"));
        ck_assert(is_bytes(send_order->thread, "t1"));
        ck_assert(is_bytes(send_order->idempotency_key, "k1"));
    } else {
        ck_assert_uint_eq(send_order->n_scopes, 2);
        ck_assert(is_bytes(send_order->scopes[1], "data.*"));
        ck_assert_uint_eq(send_order->payload.len, 0);
    }
    view.peck_id = "pck_x";
    view.state = "answered";
    view.box = 2;
    view.kind = send_order->kind;
    view.result = (ProtobufCBinaryData){7, (uint8_t *)"{\"a\":1}"};
    reply.id = request->id;
    reply.answer_case = DUCK__REPLY__ANSWER_PECK;
    reply.peck = &view;
    say(node, &reply);
    return true;
}

START_TEST(a_peck_is_sent_as_it_was_given_and_its_answer_read)
{
    static const char *const scopes[] = {"data.read", "data.*"};
    struct duck_peck action = {
        .from = ALICE, .to = BOB, .action = "query", .thread = "t1", .idempotency_key = "k1"};
    struct duck_peck request = {.from = ALICE, .to = BOB, .scopes = scopes, .scope_count = 2};
    struct duck_answer *answer;
    struct duck_item item;

    start(judge_send);
    connect_duck();
    answer = duck_send(duck, &action, DUCK_WAIT_DONE, 900);
    ck_assert(duck_ok(answer));
    ck_assert_str_eq(duck_peck_id(answer), "pck_x");
    ck_assert_str_eq(duck_peck_state(answer), "answered");
    ck_assert_str_eq(duck_peck_result(answer), "{\"a\":1}");
    ck_assert(duck_item(answer, 0, &item));
    ck_assert(!item.incoming);
    ck_assert(!item.bond_request);
    duck_answer_free(answer);
    answer = duck_send(duck, &request, DUCK_WAIT_DONE, 900);
    ck_assert(duck_item(answer, 0, &item));
    ck_assert(item.bond_request);
    duck_answer_free(answer);
}
END_TEST

static void answer_context(struct fake *node, uint64_t id, bool list)
{
    ProtobufCBinaryData scopes[] = {{4, (uint8_t *)"fs.*"}, {9, (uint8_t *)"data.read"}};
    Duck__ContextView view = DUCK__CONTEXT_VIEW__INIT, other = DUCK__CONTEXT_VIEW__INIT;
    Duck__ContextView *views[] = {&other, &view};
    Duck__ContextList contexts = DUCK__CONTEXT_LIST__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    view.certificate_id = "crt_1";
    view.duckling = ALICE;
    view.context = (ProtobufCBinaryData){7, (uint8_t *)"weather"};
    view.scopes = scopes;
    view.n_scopes = 2;
    view.issued_ms = 1;
    view.not_after_ms = 77;
    other = view;
    other.certificate_id = "crt_0";
    other.n_scopes = 0;
    other.revoked_ms = 5;
    contexts.contexts = views;
    contexts.n_contexts = 2;
    reply.id = id;
    if (list) {
        reply.answer_case = DUCK__REPLY__ANSWER_CONTEXTS;
        reply.contexts = &contexts;
    } else {
        reply.answer_case = DUCK__REPLY__ANSWER_ISSUED;
        reply.issued = &view;
    }
    say(node, &reply);
}

static void answer_under_a_context(struct fake *node, const Duck__Request *request)
{
    Duck__PeckView view = DUCK__PECK_VIEW__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    ck_assert(is_bytes(request->send->context, "weather"));
    view.peck_id = "pck_x";
    view.state = "sent";
    view.box = 2;
    view.kind = 1;
    view.context = request->send->context;
    view.context_id = "crt_1";
    reply.id = request->id;
    reply.answer_case = DUCK__REPLY__ANSWER_PECK;
    reply.peck = &view;
    say(node, &reply);
}

static bool judge_contexts(struct fake *node, const Duck__Request *request)
{
    if (request->order_case == DUCK__REQUEST__ORDER_ISSUE) {
        ck_assert_str_eq(request->issue->duckling, ALICE);
        ck_assert(is_bytes(request->issue->context, "weather"));
        ck_assert_uint_eq(request->issue->n_scopes, 2);
        ck_assert(is_bytes(request->issue->scopes[0], "fs.*"));
        ck_assert(is_bytes(request->issue->scopes[1], "data.read"));
        ck_assert_uint_eq(request->issue->not_after_ms, 77);
        answer_context(node, request->id, false);
    } else if (request->order_case == DUCK__REQUEST__ORDER_CONTEXTS) {
        ck_assert_str_eq(request->contexts->duckling, ALICE);
        answer_context(node, request->id, true);
    } else if (request->order_case == DUCK__REQUEST__ORDER_SEND) {
        answer_under_a_context(node, request);
    } else {
        ck_assert_int_eq(request->order_case, DUCK__REQUEST__ORDER_REVOKE);
        ck_assert_str_eq(request->revoke->identity, "crt_1");
        ck_assert_str_eq(request->revoke->context_of, ALICE); /* or its main certificate may end */
        ck_assert_str_eq(request->revoke->reason, "why");
        say_done(node, request->id);
    }
    return true;
}

START_TEST(a_context_is_issued_pecked_under_listed_and_revoked)
{
    static const char *const scopes[] = {"fs.*", "data.read"};
    struct duck_peck peck = {.from = ALICE, .to = BOB, .action = "fs.read", .context = "weather"};
    struct duck_answer *answer;
    struct duck_context context;
    struct duck_item item;

    start(judge_contexts);
    connect_duck();
    answer = duck_context_issue(duck, ALICE, "weather", scopes, 2, 77);
    ck_assert(duck_ok(answer));
    ck_assert_uint_eq(duck_context_count(answer), 1);
    ck_assert(duck_context(answer, 0, &context));
    ck_assert_str_eq(context.certificate_id, "crt_1");
    ck_assert_str_eq(context.duckling, ALICE);
    ck_assert_str_eq(context.name, "weather");
    ck_assert_uint_eq(context.scope_count, 2);
    ck_assert_str_eq(context.scopes[1], "data.read");
    ck_assert_uint_eq(context.not_after_ms, 77);
    ck_assert_uint_eq(context.revoked_ms, 0);
    ck_assert(!duck_context(answer, 1, &context));
    duck_answer_free(answer);
    answer = duck_send(duck, &peck, DUCK_WAIT_QUEUED, 0);
    ck_assert(duck_item(answer, 0, &item));
    ck_assert_str_eq(item.context, "weather");
    ck_assert_str_eq(item.context_id, "crt_1");
    ck_assert_uint_eq(duck_context_count(answer), 0);
    duck_answer_free(answer);
    answer = duck_contexts(duck, ALICE);
    ck_assert_uint_eq(duck_context_count(answer), 2);
    ck_assert(duck_context(answer, 0, &context));
    ck_assert_uint_eq(context.revoked_ms, 5);
    ck_assert_uint_eq(context.scope_count, 0);
    ck_assert(duck_context(answer, 1, &context));
    ck_assert_str_eq(context.scopes[0], "fs.*");
    duck_answer_free(answer);
    answer = duck_context_revoke(duck, ALICE, "crt_1", "why");
    ck_assert(duck_ok(answer));
    duck_answer_free(answer);
}
END_TEST

static bool refuse(struct fake *node, const Duck__Request *request)
{
    say_problem(node, request->id, "malformed", "display_name");
    return true;
}

START_TEST(a_problem_names_code_reason_and_member)
{
    struct duck_profile profile = {0};
    struct duck_answer *answer;

    start(refuse);
    connect_duck();
    answer = duck_hatch(duck, &profile);
    ck_assert(!duck_ok(answer));
    ck_assert_str_eq(duck_code(answer), "malformed");
    ck_assert_str_eq(duck_message(answer), "because");
    ck_assert_str_eq(duck_field(answer), "display_name");
    ck_assert_str_eq(duck_hatched_id(answer), "");
    ck_assert_str_eq(duck_peck_id(answer), "");
    ck_assert_uint_eq(duck_count(answer), 0);
    duck_answer_free(answer);
}
END_TEST

/* ---- events ---- */

static bool tell_events(struct fake *node, const Duck__Request *request)
{
    if (request->order_case == DUCK__REQUEST__ORDER_CANCEL_FOLLOW) {
        pthread_mutex_lock(&node->lock);
        node->cancels++;
        pthread_cond_broadcast(&node->changed);
        pthread_mutex_unlock(&node->lock);
        say_done(node, request->id);
        return true;
    }
    if (request->order_case != DUCK__REQUEST__ORDER_FOLLOW)
        return echo(node, request);
    say_done(node, request->id);
    say_event(node, request->id, "pck_1", 0);
    say_event(node, request->id, "pck_2", 5);
    return node->connections > 1; /* the first time, it hangs up */
}

struct watch {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned seen, ends_at;
    uint64_t dropped;
    char peck[16];
};

static bool see(void *context, const struct duck_event *event)
{
    struct watch *watch = context;
    bool goes_on;

    pthread_mutex_lock(&watch->lock);
    watch->seen++;
    watch->dropped = event->dropped;
    ck_assert_str_eq(event->kind, "peck");
    ck_assert_str_eq(event->duckling, ALICE);
    ck_assert_str_eq(event->with, BOB);
    ck_assert_str_eq(event->state, "taken");
    ck_assert(event->incoming);
    snprintf(watch->peck, sizeof watch->peck, "%s", event->peck_id);
    goes_on = watch->seen != watch->ends_at;
    pthread_cond_broadcast(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
    return goes_on;
}

START_TEST(following_outlives_a_broken_connection_and_tells_of_the_gap)
{
    struct watch watch = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .ends_at = 4};

    start(tell_events);
    connect_duck();
    ck_assert_int_eq(duck_follow(duck, ALICE, false, see, &watch), 0);
    pthread_mutex_lock(&watch.lock);
    while (watch.seen < 4)
        pthread_cond_wait(&watch.changed, &watch.lock);
    ck_assert_uint_eq(watch.dropped, 6); /* five that the node told of, and one for the gap */
    ck_assert_str_eq(watch.peck, "pck_2");
    pthread_mutex_unlock(&watch.lock);
    pthread_mutex_lock(&fake.lock);
    while (fake.cancels < 1) /* the fourth ended it */
        pthread_cond_wait(&fake.changed, &fake.lock);
    ck_assert_uint_eq(fake.connections, 2);
    pthread_mutex_unlock(&fake.lock);
}
END_TEST

START_TEST(following_that_the_node_refuses_does_not_begin)
{
    struct watch watch = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

    start(refuse);
    connect_duck();
    ck_assert_int_eq(duck_follow(duck, ALICE, false, see, &watch), -1);
    ck_assert_uint_eq(watch.seen, 0);
}
END_TEST

static bool see_reply(void *context, const Duck__Reply *reply)
{
    struct gathering *gathering = context;

    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_EVENT);
    pthread_mutex_lock(&gathering->lock);
    gathering->done++;
    pthread_cond_broadcast(&gathering->changed);
    pthread_mutex_unlock(&gathering->lock);
    return true;
}

/* Tells one event with every pulse, to a follow whose number it remembers. */
static bool tell_with_pulses(struct fake *node, const Duck__Request *request)
{
    static uint64_t follow;

    if (request->order_case == DUCK__REQUEST__ORDER_FOLLOW)
        follow = request->id;
    else if (request->order_case == DUCK__REQUEST__ORDER_PULSE)
        say_event(node, follow, "pck_3", 0);
    say_done(node, request->id);
    return true;
}

START_TEST(after_unfollow_nothing_is_seen_any_more)
{
    struct gathering gathering = GATHERING_INIT;
    uint64_t follow;

    start(tell_with_pulses);
    connect_duck();
    follow = duck_call_follow(duck, NULL, true, see_reply, &gathering);
    expect_code(duck_pulse(duck, ALICE), "");
    gathered(&gathering, 1);
    duck_unfollow(duck, follow);
    expect_code(duck_pulse(duck, ALICE), "");
    expect_code(duck_pulse(duck, ALICE), "");
    ck_assert_uint_eq(gathering.done, 1);
}
END_TEST

/* ---- gathering ---- */

START_TEST(requests_gather_while_a_send_is_in_flight)
{
    enum { COUNT = 20000 };
    struct gathering gathering = GATHERING_INIT;
    Duck__PulseOrder pulse = DUCK__PULSE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    start(answer_all);
    connect_duck();
    pulse.duckling = ALICE;
    request.order_case = DUCK__REQUEST__ORDER_PULSE;
    request.pulse = &pulse;
    for (unsigned i = 0; i < COUNT; i++)
        duck_call(duck, &request, 0, gather, &gathering);
    gathered(&gathering, COUNT);
    ck_assert_uint_eq(gathering.unreachable + gathering.busy, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client");
    TCase *tests = tcase_create("client");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, without_a_node_connecting_fails_and_says_so);
    tcase_add_test(tests, a_path_that_no_socket_can_have_is_refused);
    tcase_add_test(tests, the_environment_names_the_socket_when_nobody_else_does);
    tcase_add_test(tests, callers_on_many_threads_get_each_their_own_answers);
    tcase_add_test(tests, answers_find_their_calls_in_whatever_order_they_come);
    tcase_add_test(tests, a_node_that_goes_away_is_said_so_and_the_next_call_finds_it_again);
    tcase_add_test(tests, a_node_that_was_started_anew_is_found_again);
    tcase_add_test(tests, a_call_that_is_not_answered_times_out_and_its_late_answer_is_ignored);
    tcase_add_test(tests, closing_ends_calls_that_wait);
    tcase_add_test(tests, a_request_over_one_mebibyte_is_not_even_sent);
    tcase_add_test(tests, requests_that_pile_up_are_busy_at_sixteen_mebibytes);
    tcase_add_test(tests, a_node_that_speaks_garbage_is_left_and_tried_anew);
    tcase_add_test(tests, a_reply_that_claims_more_than_64_mebibytes_is_refused);
    tcase_add_test(tests, a_reply_may_come_byte_by_byte);
    tcase_add_test(tests, a_large_answer_arrives_whole);
    tcase_add_test(tests, a_peck_is_sent_as_it_was_given_and_its_answer_read);
    tcase_add_test(tests, a_context_is_issued_pecked_under_listed_and_revoked);
    tcase_add_test(tests, a_problem_names_code_reason_and_member);
    tcase_add_test(tests, following_outlives_a_broken_connection_and_tells_of_the_gap);
    tcase_add_test(tests, following_that_the_node_refuses_does_not_begin);
    tcase_add_test(tests, after_unfollow_nothing_is_seen_any_more);
    tcase_add_test(tests, requests_gather_while_a_send_is_in_flight);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
