/* local_rig: the local API between the real client library and a loop that is made up here: it takes
 * orders from a real inbox and tells what became of them as each test wishes. The store is real. */
#ifndef DUCK_TESTS_LOCAL_RIG_H
#define DUCK_TESTS_LOCAL_RIG_H

#include "client/duck_client.h"
#include "client/local_frames.h"
#include "clock.h"
#include "local_api.h"
#include "store_bed.h"

#include "wire/local.pb-c.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define ORDERS_MAX 8192
#define SOON_MS 20000u

/* ---- a made-up loop ---- */

struct seen_order {
    enum order_kind kind;
    uint64_t ticket;
    struct id duckling, peck, bond;
    uint32_t limit;
    uint64_t lease_ms;
    struct id first; /* of `peck_count` */
    size_t peck_count;
    char wants[32], but_not[32]; /* the first of each */
};

struct rig {
    struct bed bed;
    char socket[96];
    struct inbox *inbox;
    struct roster *roster;
    struct local_api *api;
    struct duck *duck;
    pthread_t loop;
    bool loop_runs;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct seen_order orders[ORDERS_MAX];
    size_t order_count;
    bool stopped;
    void (*decide)(struct rig *rig, const struct order *order); /* on the loop's thread */
    struct id peck;
    atomic_bool is_restoring;
    struct agent_set sets[RECORD_SETS];
};

static struct rig rig;
static char bob[ID_TEXT_SIZE], alice[ID_TEXT_SIZE];

static inline void note_order(const struct order *order)
{
    struct seen_order *seen;

    pthread_mutex_lock(&rig.lock);
    ck_assert_uint_lt(rig.order_count, ORDERS_MAX);
    seen = &rig.orders[rig.order_count++];
    seen->kind = order->kind;
    seen->ticket = order->ticket;
    seen->duckling = order->duckling;
    seen->peck = order->peck;
    seen->bond = order->bond;
    seen->limit = order->limit;
    seen->lease_ms = order->lease_ms;
    seen->peck_count = order->peck_count;
    if (order->peck_count > 0)
        seen->first = order->pecks[0];
    if (order->filter.action_count > 0)
        snprintf(seen->wants, sizeof seen->wants, "%.*s", (int)order->filter.actions[0].size,
                 (const char *)order->filter.actions[0].data);
    if (order->filter.but_not_count > 0)
        snprintf(seen->but_not, sizeof seen->but_not, "%.*s", (int)order->filter.but_not[0].size,
                 (const char *)order->filter.but_not[0].data);
    pthread_cond_broadcast(&rig.changed);
    pthread_mutex_unlock(&rig.lock);
}

static inline void *loop(void *context)
{
    bool closed = false;

    (void)context;
    while (!closed) {
        struct message *messages = inbox_take(rig.inbox, MOMENT_NEVER, &closed);

        while (messages) {
            struct message *next = messages->next;

            ck_assert_int_eq(messages->event.kind, EVENT_ORDER);
            if (rig.decide)
                rig.decide(&rig, messages->event.order);
            note_order(messages->event.order);
            message_free(messages);
            messages = next;
        }
        local_api_flush(rig.api);
    }
    return NULL;
}

static inline void tell(const struct effect *effect)
{
    local_api_perform(rig.api, effect, 1);
}

static inline struct effect reply_to(uint64_t ticket)
{
    struct effect effect = {.kind = EFFECT_REPLY};

    effect.reply.ticket = ticket;
    return effect;
}

static inline struct effect change_of(enum box box, const struct id *peck, enum peck_state state)
{
    struct effect effect = {.kind = EFFECT_PECK_CHANGED};

    effect.changed.box = box;
    effect.changed.duckling = rig.bed.bob.id;
    effect.changed.with = rig.bed.alice.id;
    effect.changed.peck = *peck;
    effect.changed.state = state;
    effect.changed.at_ms = THINGS_WALL_MS + state;
    return effect;
}

static inline struct effect done_change_of(enum box box, const struct id *peck)
{
    struct effect effect = change_of(box, peck, PECK_ANSWERED);

    effect.changed.receipt = bytes_of_text("done");
    effect.changed.receipt_chain = bytes_of_text("chain");
    effect.changed.receipt_kind = RECEIPT_DONE;
    effect.changed.receipt_signer = rig.bed.alice.id;
    effect.changed.result = bytes_of_text("{\"a\":1}");
    return effect;
}

static inline struct effect ready(const struct id *peck)
{
    struct effect effect = change_of(BOX_IN, peck, PECK_TAKEN);

    effect.changed.place = TRAY_READY;
    return effect;
}

/* From the test's thread, as if it were the loop's. */
static inline void tell_now(const struct effect *effect)
{
    tell(effect);
    local_api_flush(rig.api);
}

static inline void await(bool (*holds)(void))
{
    uint64_t until_ms = clock_now_ms() + SOON_MS;
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000)};
    int passed = 0;

    pthread_mutex_lock(&rig.lock);
    while (!holds() && passed != ETIMEDOUT)
        passed = pthread_cond_timedwait(&rig.changed, &rig.lock, &until);
    ck_assert_msg(holds(), "in time");
    pthread_mutex_unlock(&rig.lock);
}

static size_t awaited_orders;

static inline bool orders_came(void)
{
    return rig.order_count >= awaited_orders;
}

static inline struct seen_order await_order(size_t count)
{
    struct seen_order seen;

    awaited_orders = count;
    await(orders_came);
    pthread_mutex_lock(&rig.lock);
    seen = rig.orders[count - 1];
    pthread_mutex_unlock(&rig.lock);
    return seen;
}

static inline void figures(void *context, struct agent_figures *agent, struct local_figures *node)
{
    (void)context;
    agent->links = 3;
    memcpy(agent->sets, rig.sets, sizeof agent->sets);
    agent->restoring = rig.is_restoring;
    agent->records = 77;
    agent->counters.pecks = 5;
    agent->total.pecks = 50;
    agent->nodes = 9;
    node->inbox_messages = 2;
    node->refused[INTAKE_EXPIRED] = 4;
    node->refused[INTAKE_MALFORMED] = 1; /* the two have one code */
    node->refused[INTAKE_BAD_BODY] = 2;
}

static inline bool is_stopped(void)
{
    return rig.stopped;
}

static inline void stop(void *context)
{
    (void)context;
    pthread_mutex_lock(&rig.lock);
    rig.stopped = true;
    pthread_cond_broadcast(&rig.changed);
    pthread_mutex_unlock(&rig.lock);
}

static inline struct local_api_settings settings(void)
{
    static const char *const listening[] = {"tcp://127.0.0.1:1"};

    return (struct local_api_settings){
        .socket_path = rig.socket,
        .store_path = rig.bed.path,
        .inbox = rig.inbox,
        .roster = rig.roster,
        .node = rig.bed.node.id,
        .network = bytes_of_text(THINGS_NETWORK),
        .node_chain = rig.bed.node.chain,
        .display_name = bytes_of_text("rig"),
        .version = "0.1.0",
        .gateway_url = "",
        .listening = listening,
        .listening_count = 1,
        .readers = 2,
        .figures = figures,
        .stop = stop,
    };
}

static inline int open_api(struct local_api **api, const char *path)
{
    struct local_api_settings wanted = settings();

    wanted.socket_path = path;
    return local_api_open(api, &wanted);
}

static inline void set_up(void)
{
    pthread_condattr_t steady;

    memset(&rig, 0, sizeof rig);
    bed_make(&rig.bed);
    snprintf(rig.socket, sizeof rig.socket, "%s/api.sock", rig.bed.directory);
    id_text(ID_DUCKLING, &rig.bed.bob.id, bob);
    id_text(ID_DUCKLING, &rig.bed.alice.id, alice);
    pthread_mutex_init(&rig.lock, NULL);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&rig.changed, &steady);
    rig.inbox = inbox_new();
    rig.roster = roster_new();
}

static inline void start(void (*decide)(struct rig *rig, const struct order *order))
{
    const char *problem = "";

    ck_assert_int_eq(open_api(&rig.api, rig.socket), 0);
    rig.decide = decide;
    ck_assert_int_eq(pthread_create(&rig.loop, NULL, loop, NULL), 0);
    rig.loop_runs = true;
    ck_assert_msg(duck_connect(&rig.duck, rig.socket, &problem) == 0, "%s", problem);
}

static inline void tear_down(void)
{
    duck_close(rig.duck);
    inbox_close(rig.inbox);
    if (rig.loop_runs)
        pthread_join(rig.loop, NULL);
    local_api_close(rig.api);
    inbox_free(rig.inbox);
    roster_free(rig.roster);
    bed_free(&rig.bed);
}

/* ---- asking ---- */

struct asked {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    Duck__Reply *reply;
    unsigned count, problems;
};
#define ASKED_INIT                                                                                 \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                     \
    }

static inline void keep_reply(void *context, Duck__Reply *reply)
{
    struct asked *asked = context;

    pthread_mutex_lock(&asked->lock);
    duck_reply_free(asked->reply);
    asked->reply = reply;
    asked->problems += reply->answer_case == DUCK__REPLY__ANSWER_PROBLEM;
    asked->count++;
    pthread_cond_broadcast(&asked->changed);
    pthread_mutex_unlock(&asked->lock);
}

static inline Duck__Reply *await_reply(struct asked *asked, unsigned count)
{
    pthread_mutex_lock(&asked->lock);
    while (asked->count < count)
        pthread_cond_wait(&asked->changed, &asked->lock);
    pthread_mutex_unlock(&asked->lock);
    return asked->reply;
}

static inline void call_take(struct asked *asked, uint32_t limit, uint64_t wait_ms)
{
    Duck__TakeOrder take = DUCK__TAKE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    take.duckling = bob;
    take.limit = limit;
    take.wait_ms = wait_ms;
    take.lease_ms = 5000;
    request.order_case = DUCK__REQUEST__ORDER_TAKE;
    request.take = &take;
    duck_call(rig.duck, &request, 60000, keep_reply, asked);
}

static inline void call_peck(struct asked *asked, const struct id *peck, uint32_t wait_for,
                      uint64_t wait_ms)
{
    Duck__PeckQuery query = DUCK__PECK_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    char text[ID_TEXT_SIZE];

    query.peck_id = (char *)id_text(ID_PECK, peck, text);
    query.wait_for = wait_for;
    query.wait_ms = wait_ms;
    request.order_case = DUCK__REQUEST__ORDER_PECK;
    request.peck = &query;
    duck_call(rig.duck, &request, 60000, keep_reply, asked);
}

static inline void call_partials(struct asked *asked, const struct id *peck, uint32_t after,
                          uint32_t limit, uint64_t wait_ms)
{
    Duck__PartialsQuery query = DUCK__PARTIALS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    char text[ID_TEXT_SIZE];

    query.peck_id = (char *)id_text(ID_PECK, peck, text);
    query.after = after;
    query.limit = limit;
    query.wait_ms = wait_ms;
    query.envelopes = limit == 1;
    request.order_case = DUCK__REQUEST__ORDER_PARTIALS;
    request.partials = &query;
    duck_call(rig.duck, &request, 60000, keep_reply, asked);
}

static inline struct duck_peck a_peck(void)
{
    return (struct duck_peck){.from = bob, .to = alice, .action = "query", .thread = "t"};
}

static inline void call_send(struct asked *asked, uint32_t wait_for, uint64_t wait_ms)
{
    Duck__SendOrder send = DUCK__SEND_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    send.from = bob;
    send.to = alice;
    send.kind = 1;
    send.action = (ProtobufCBinaryData){5, (uint8_t *)"query"};
    send.wait_for = wait_for;
    send.wait_ms = wait_ms;
    request.order_case = DUCK__REQUEST__ORDER_SEND;
    request.send = &send;
    duck_call(rig.duck, &request, 60000, keep_reply, asked);
}

static inline void expect_code(struct duck_answer *answer, const char *code, const char *field)
{
    ck_assert_str_eq(duck_code(answer), code);
    ck_assert_str_eq(duck_field(answer), field);
    duck_answer_free(answer);
}

static inline const char *peck_text(const struct id *peck)
{
    static char text[ID_TEXT_SIZE];

    return id_text(ID_PECK, peck, text);
}

/* ---- what the loop decides ---- */

static inline void agree(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    (void)told;
    tell(&effect);
}

/* What the agent tells at the end of a turn: the reply, then the change. */
static inline void send_off(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    effect.reply.peck = told->peck;
    effect.reply.box = BOX_OUT;
    effect.reply.state = PECK_SENT;
    tell(&effect);
    effect = change_of(BOX_OUT, &told->peck, PECK_SENT);
    effect.changed.at_ms = THINGS_WALL_MS;
    tell(&effect);
}

/* ---- plain sockets, for what the client library would not do ---- */

static inline int connect_plainly(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, rig.socket);
    ck_assert_int_eq(connect(socket_, (struct sockaddr *)&address, sizeof address), 0);
    return socket_;
}

static inline void say(int socket_, const void *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(socket_, data, size, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        data = (const char *)data + sent;
        size -= (size_t)sent;
    }
}

static inline void say_request(int socket_, const Duck__Request *request)
{
    struct local_buffer buffer = {0};

    local_buffer_append(&buffer, request);
    say(socket_, buffer.data, buffer.end);
    local_buffer_free(&buffer);
}

/* The next reply; NULL: the other end hung up. */
static inline Duck__Reply *hear(int socket_, struct local_buffer *buffer)
{
    struct bytes frame;

    while (local_buffer_next(buffer, LOCAL_REPLY_MAX, &frame) != LOCAL_FRAME_TAKEN) {
        struct pollfd poll_ = {.fd = socket_, .events = POLLIN};
        ssize_t size;

        ck_assert_int_eq(poll(&poll_, 1, SOON_MS), 1);
        size = recv(socket_, local_buffer_room(buffer, 65536), 65536, 0);
        if (size <= 0)
            return NULL;
        buffer->end += (size_t)size;
    }
    return duck__reply__unpack(NULL, frame.size, frame.data);
}

/* Runs `add_tests`, each between set_up and tear_down. Returns what main does. */
static inline int run_with_rig(const char *name, void (*add_tests)(TCase *tests))
{
    Suite *suite = suite_create(name);
    TCase *tests = tcase_create(name);
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    add_tests(tests);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

#endif
