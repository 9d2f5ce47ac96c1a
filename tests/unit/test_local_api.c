/* The local API between the real client library and a loop that is made up here: it takes orders
 * from a real inbox and tells what became of them as each test wishes. The store is real. */
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

static void note_order(const struct order *order)
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

static void *loop(void *context)
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

static void tell(const struct effect *effect)
{
    local_api_perform(rig.api, effect, 1);
}

static struct effect reply_to(uint64_t ticket)
{
    struct effect effect = {.kind = EFFECT_REPLY};

    effect.reply.ticket = ticket;
    return effect;
}

static struct effect change_of(enum box box, const struct id *peck, enum peck_state state)
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

static struct effect done_change_of(enum box box, const struct id *peck)
{
    struct effect effect = change_of(box, peck, PECK_ANSWERED);

    effect.changed.receipt = bytes_of_text("done");
    effect.changed.receipt_chain = bytes_of_text("chain");
    effect.changed.receipt_kind = RECEIPT_DONE;
    effect.changed.receipt_signer = rig.bed.alice.id;
    effect.changed.result = bytes_of_text("{\"a\":1}");
    return effect;
}

static struct effect ready(const struct id *peck)
{
    struct effect effect = change_of(BOX_IN, peck, PECK_TAKEN);

    effect.changed.place = TRAY_READY;
    return effect;
}

/* From the test's thread, as if it were the loop's. */
static void tell_now(const struct effect *effect)
{
    tell(effect);
    local_api_flush(rig.api);
}

static void await(bool (*holds)(void))
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

static bool orders_came(void)
{
    return rig.order_count >= awaited_orders;
}

static struct seen_order await_order(size_t count)
{
    struct seen_order seen;

    awaited_orders = count;
    await(orders_came);
    pthread_mutex_lock(&rig.lock);
    seen = rig.orders[count - 1];
    pthread_mutex_unlock(&rig.lock);
    return seen;
}

static void figures(void *context, struct agent_figures *agent, struct local_figures *node)
{
    (void)context;
    agent->links = 3;
    memcpy(agent->sets, rig.sets, sizeof agent->sets);
    agent->restoring = rig.is_restoring;
    agent->records = 77;
    agent->counters.pecks = 5;
    agent->total.pecks = 50;
    agent->metrics_nodes = 9;
    node->inbox_messages = 2;
    node->refused[INTAKE_EXPIRED] = 4;
    node->refused[INTAKE_MALFORMED] = 1; /* the two have one code */
    node->refused[INTAKE_BAD_BODY] = 2;
}

static bool is_stopped(void)
{
    return rig.stopped;
}

static void stop(void *context)
{
    (void)context;
    pthread_mutex_lock(&rig.lock);
    rig.stopped = true;
    pthread_cond_broadcast(&rig.changed);
    pthread_mutex_unlock(&rig.lock);
}

static struct local_api_settings settings(void)
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

static int open_api(struct local_api **api, const char *path)
{
    struct local_api_settings wanted = settings();

    wanted.socket_path = path;
    return local_api_open(api, &wanted);
}

static void set_up(void)
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

static void start(void (*decide)(struct rig *rig, const struct order *order))
{
    const char *problem = "";

    ck_assert_int_eq(open_api(&rig.api, rig.socket), 0);
    rig.decide = decide;
    ck_assert_int_eq(pthread_create(&rig.loop, NULL, loop, NULL), 0);
    rig.loop_runs = true;
    ck_assert_msg(duck_connect(&rig.duck, rig.socket, &problem) == 0, "%s", problem);
}

static void tear_down(void)
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

static void keep_reply(void *context, Duck__Reply *reply)
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

static Duck__Reply *await_reply(struct asked *asked, unsigned count)
{
    pthread_mutex_lock(&asked->lock);
    while (asked->count < count)
        pthread_cond_wait(&asked->changed, &asked->lock);
    pthread_mutex_unlock(&asked->lock);
    return asked->reply;
}

static void call_take(struct asked *asked, uint32_t limit, uint64_t wait_ms)
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

static void call_peck(struct asked *asked, const struct id *peck, uint32_t wait_for,
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

static void call_partials(struct asked *asked, const struct id *peck, uint32_t after,
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

static struct duck_peck a_peck(void)
{
    return (struct duck_peck){.from = bob, .to = alice, .action = "query", .thread = "t"};
}

static void call_send(struct asked *asked, uint32_t wait_for, uint64_t wait_ms)
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

static void expect_code(struct duck_answer *answer, const char *code, const char *field)
{
    ck_assert_str_eq(duck_code(answer), code);
    ck_assert_str_eq(duck_field(answer), field);
    duck_answer_free(answer);
}

static const char *peck_text(const struct id *peck)
{
    static char text[ID_TEXT_SIZE];

    return id_text(ID_PECK, peck, text);
}

/* ---- plain sockets, for what the client library would not do ---- */

static int connect_plainly(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, rig.socket);
    ck_assert_int_eq(connect(socket_, (struct sockaddr *)&address, sizeof address), 0);
    return socket_;
}

static void say(int socket_, const void *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(socket_, data, size, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        data = (const char *)data + sent;
        size -= (size_t)sent;
    }
}

static void say_request(int socket_, const Duck__Request *request)
{
    struct local_buffer buffer = {0};

    local_buffer_append(&buffer, request);
    say(socket_, buffer.data, buffer.end);
    local_buffer_free(&buffer);
}

static void say_status(int socket_, uint64_t id)
{
    Duck__StatusQuery status = DUCK__STATUS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    request.id = id;
    request.order_case = DUCK__REQUEST__ORDER_STATUS;
    request.status = &status;
    say_request(socket_, &request);
}

/* The next reply; NULL: the other end hung up. */
static Duck__Reply *hear(int socket_, struct local_buffer *buffer)
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

static void expect_hung_up(int socket_)
{
    struct local_buffer buffer = {0};

    ck_assert_ptr_null(hear(socket_, &buffer));
    local_buffer_free(&buffer);
    close(socket_);
}

static void expect_served(int socket_)
{
    struct local_buffer buffer = {0};
    Duck__Reply *reply;

    say_status(socket_, 7);
    reply = hear(socket_, &buffer);
    ck_assert_ptr_nonnull(reply);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_STATUS);
    ck_assert_uint_eq(reply->id, 7);
    duck_reply_free(reply);
    local_buffer_free(&buffer);
}

/* ---- the socket ---- */

START_TEST(the_socket_is_its_owners_alone)
{
    struct stat status;

    start(NULL);
    ck_assert_int_eq(stat(rig.socket, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
}
END_TEST

START_TEST(a_folder_that_others_may_write_to_is_refused)
{
    struct local_api *api = NULL;

    ck_assert_int_eq(chmod(rig.bed.directory, 0770), 0);
    ck_assert_int_eq(open_api(&api, rig.socket), FAULT_PERMISSIONS);
    ck_assert_int_eq(chmod(rig.bed.directory, 0702), 0);
    ck_assert_int_eq(open_api(&api, rig.socket), FAULT_PERMISSIONS);
    ck_assert_int_eq(chmod(rig.bed.directory, 0755), 0);
    ck_assert_int_eq(open_api(&api, rig.socket), 0);
    local_api_close(api);
    ck_assert_int_eq(open_api(&api, "/nonexistent/api.sock"), FAULT_FILE);
}
END_TEST

START_TEST(a_path_over_107_bytes_is_refused)
{
    struct local_api *api = NULL;
    char path[109];

    snprintf(path, sizeof path, "%s/", rig.bed.directory);
    memset(path + strlen(path), 'a', sizeof path - strlen(path));
    path[108] = 0;
    ck_assert_int_eq(open_api(&api, path), FAULT_ADDRESS);
    path[107] = 0;
    ck_assert_int_eq(open_api(&api, path), 0);
    local_api_close(api);
}
END_TEST

START_TEST(a_socket_in_use_is_busy_and_one_left_behind_is_replaced)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct local_api *second = NULL;
    int left = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(address.sun_path, rig.socket);
    ck_assert_int_eq(bind(left, (struct sockaddr *)&address, sizeof address), 0);
    close(left);
    start(NULL);
    ck_assert_int_eq(open_api(&second, rig.socket), FAULT_BUSY);
    expect_served(connect_plainly());
}
END_TEST

/* ---- questions ---- */

START_TEST(the_status_tells_what_the_loop_knows)
{
    Duck__StatusQuery query = DUCK__STATUS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    char node[ID_TEXT_SIZE];
    Duck__Reply *reply;

    start(NULL);
    request.order_case = DUCK__REQUEST__ORDER_STATUS;
    request.status = &query;
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_STATUS);
    ck_assert_str_eq(reply->status->node_id, id_text(ID_NODE, &rig.bed.node.id, node));
    ck_assert_str_eq(reply->status->network, THINGS_NETWORK);
    ck_assert_str_eq(reply->status->display_name, "rig");
    ck_assert_uint_eq(reply->status->links, 3);
    ck_assert_uint_eq(reply->status->records, 77);
    ck_assert_str_eq(reply->status->listening[0], "tcp://127.0.0.1:1");
    duck_reply_free(reply);
}
END_TEST

START_TEST(the_status_says_that_the_store_is_still_being_read)
{
    Duck__StatusQuery query = DUCK__STATUS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;

    start(NULL);
    request.order_case = DUCK__REQUEST__ORDER_STATUS;
    request.status = &query;
    for (int restoring = 1; restoring >= 0; restoring--) {
        rig.is_restoring = restoring;
        reply = duck_call_wait(rig.duck, &request, 0);
        ck_assert_str_eq(reply->status->parts[0]->name, "store");
        ck_assert_str_eq(reply->status->parts[0]->status, restoring ? "degraded" : "operational");
        duck_reply_free(reply);
    }
}
END_TEST

START_TEST(metrics_are_this_nodes_and_all_nodes)
{
    Duck__MetricsQuery query = DUCK__METRICS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;
    bool found = false;

    start(NULL);
    request.order_case = DUCK__REQUEST__ORDER_METRICS;
    request.metrics = &query;
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_uint_eq(reply->metrics->this_node->pecks, 5);
    ck_assert_uint_eq(reply->metrics->total->pecks, 50);
    ck_assert_uint_eq(reply->metrics->nodes, 9);
    for (size_t i = 0; i < reply->metrics->n_counters; i++)
        found = found || (strcmp(reply->metrics->counters[i]->name, "ducknode_records") == 0 &&
                          reply->metrics->counters[i]->value == 77);
    ck_assert(found);
    duck_reply_free(reply);
}
END_TEST

static struct agent_member dead_member(const struct id *node)
{
    return (struct agent_member){
        .node = *node, .state = GOSSIP_DEAD, .version = {.ms = 99, .count = 3}, .accusers = 2};
}

static Duck__Reply *ask_peers(const char *node)
{
    Duck__PeersQuery query = DUCK__PEERS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.node = (char *)(uintptr_t)node;
    request.order_case = DUCK__REQUEST__ORDER_PEERS;
    request.peers = &query;
    return duck_call_wait(rig.duck, &request, 0);
}

START_TEST(peers_are_all_nodes_that_are_known_linked_or_not)
{
    struct id far = {{7}}, farther = {{8}};
    struct agent_member members[] = {dead_member(&farther), dead_member(&far)};
    Duck__Reply *reply;
    char text[ID_TEXT_SIZE];

    start(NULL);
    reply = ask_peers("");
    ck_assert_uint_eq(reply->peers->n_peers, 0);
    duck_reply_free(reply);
    roster_update(rig.roster, members, 2, 1);
    reply = ask_peers("");
    ck_assert_uint_eq(reply->peers->n_peers, 2);
    ck_assert_str_eq(reply->peers->peers[0]->node_id, id_text(ID_NODE, &far, text));
    ck_assert_str_eq(reply->peers->peers[0]->state, "dead");
    ck_assert_str_eq(reply->peers->peers[0]->link, "none");
    ck_assert_uint_eq(reply->peers->peers[0]->incarnation_ms, 99);
    ck_assert_uint_eq(reply->peers->peers[0]->incarnation_count, 3);
    ck_assert_uint_eq(reply->peers->peers[0]->accusers, 2);
    duck_reply_free(reply);
    reply = ask_peers(id_text(ID_NODE, &farther, text));
    ck_assert_uint_eq(reply->peers->n_peers, 1);
    ck_assert_str_eq(reply->peers->peers[0]->node_id, text);
    duck_reply_free(reply);
    reply = ask_peers(id_text(ID_NODE, &rig.bed.alice.id, text)); /* no such node */
    ck_assert_uint_eq(reply->peers->n_peers, 0);
    duck_reply_free(reply);
    reply = ask_peers("nod_x");
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_PROBLEM);
    ck_assert_str_eq(reply->problem->field, "node");
    duck_reply_free(reply);
}
END_TEST

static double counter_of(const Duck__GossipAnswer *gossip, const char *name, const char *label)
{
    for (size_t i = 0; i < gossip->n_counters; i++)
        if (strcmp(gossip->counters[i]->name, name) == 0 &&
            strcmp(gossip->counters[i]->label, label) == 0)
            return gossip->counters[i]->value;
    return -1;
}

static Duck__Reply *ask_gossip(void)
{
    Duck__GossipQuery query = DUCK__GOSSIP_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    request.order_case = DUCK__REQUEST__ORDER_GOSSIP;
    request.gossip = &query;
    return duck_call_wait(rig.duck, &request, 0);
}

START_TEST(the_gossip_is_told_by_counters_of_one_table)
{
    struct id far = {{7}};
    struct agent_member member = dead_member(&far);
    Duck__Reply *reply;

    roster_update(rig.roster, &member, 1, 1);
    start(NULL);
    reply = ask_gossip();
    for (size_t i = 0; i < reply->gossip->n_counters; i++)
        ck_assert_int_eq(strncmp(reply->gossip->counters[i]->name, "ducknode_gossip_", 16), 0);
    ck_assert(counter_of(reply->gossip, "ducknode_gossip_members", "state=\"dead\"") == 1);
    ck_assert(counter_of(reply->gossip, "ducknode_gossip_members", "state=\"alive\"") == 0);
    ck_assert(counter_of(reply->gossip, "ducknode_gossip_refused_total", "reason=\"expired\"") ==
              4);
    ck_assert(counter_of(reply->gossip, "ducknode_gossip_refused_total", "reason=\"malformed\"") ==
              3);
    ck_assert(counter_of(reply->gossip, "ducknode_gossip_frames_in_total", "kind=\"records\"") ==
              0);
    duck_reply_free(reply);
}
END_TEST

START_TEST(each_set_of_records_is_told_with_its_fingerprint)
{
    struct agent_set *sets = rig.sets;
    Duck__Reply *reply;

    sets[RECORD_SET_DIRECTORY - 1] = (struct agent_set){70, {1, 2, 3}};
    sets[RECORD_SET_METRICS - 1] = (struct agent_set){7, {4, 5, 6}};
    start(NULL);
    reply = ask_gossip();
    ck_assert_uint_eq(reply->gossip->directory->records, 70);
    ck_assert_uint_eq(reply->gossip->directory->fingerprint.len, RECORDSET_PRINT_SIZE);
    ck_assert_mem_eq(reply->gossip->directory->fingerprint.data, sets[0].fingerprint,
                     RECORDSET_PRINT_SIZE);
    ck_assert_uint_eq(reply->gossip->metrics->records, 7);
    ck_assert_mem_eq(reply->gossip->metrics->fingerprint.data, sets[1].fingerprint,
                     RECORDSET_PRINT_SIZE);
    duck_reply_free(reply);
}
END_TEST

START_TEST(a_peck_is_shown_with_everything_that_was_signed)
{
    struct peck_wish wish = {.action = "data.read", .thread = "t1"};
    struct effect kept = bed_receive(&rig.bed, PECK_ANSWERED, &wish);
    struct effect done =
        make_receipt(&rig.bed.bob, &kept, RECEIPT_DONE, PECK_ANSWERED, &rig.bed.arena);
    struct asked asked = ASKED_INIT;
    const Duck__PeckView *view;

    bed_keep(&rig.bed, &done, 1);
    start(NULL);
    call_peck(&asked, &kept.peck.id, DUCK__WAIT_FOR__WAIT_DONE, 20000);
    view = await_reply(&asked, 1)->peck;
    ck_assert_int_eq(asked.reply->answer_case, DUCK__REPLY__ANSWER_PECK);
    ck_assert_str_eq(view->peck_id, peck_text(&kept.peck.id));
    ck_assert_str_eq(view->from, alice);
    ck_assert_str_eq(view->to, bob);
    ck_assert_str_eq(view->state, "answered");
    ck_assert_uint_eq(view->box, 1);
    ck_assert_uint_eq(view->envelope.len, kept.peck.wire.size);
    ck_assert_uint_eq(view->chain.len, rig.bed.alice.chain.size);
    ck_assert_uint_eq(view->n_receipts, 1);
    ck_assert_str_eq(view->receipts[0]->kind, "done");
    ck_assert_str_eq(view->receipts[0]->signer, bob);
    ck_assert_uint_gt(view->receipts[0]->envelope.len, 64);
    ck_assert_mem_eq(view->result.data, "{\"ok\":true}", view->result.len);
    duck_reply_free(asked.reply);
}
END_TEST

START_TEST(a_peck_that_is_not_held_is_not_found)
{
    struct id peck = {.bytes = {1, 2, 3}};

    start(NULL);
    expect_code(duck_peck_get(rig.duck, peck_text(&peck), DUCK_WAIT_DONE, 20000), "not_found",
                "peck_id");
}
END_TEST

START_TEST(lists_come_in_pages)
{
    Duck__PecksQuery query = DUCK__PECKS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct peck_wish wish = {0};
    char cursor[32] = "";
    size_t seen = 0;
    Duck__Reply *reply;

    for (int i = 0; i < 5; i++)
        bed_receive(&rig.bed, PECK_TAKEN, &wish);
    bed_send(&rig.bed, PECK_QUEUED, &wish);
    start(NULL);
    query.duckling = bob;
    query.box = BOX_IN;
    query.limit = 2;
    request.order_case = DUCK__REQUEST__ORDER_PECKS;
    request.pecks = &query;
    do {
        query.cursor = cursor;
        reply = duck_call_wait(rig.duck, &request, 0);
        ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_PECKS);
        ck_assert_uint_le(reply->pecks->n_pecks, 2);
        seen += reply->pecks->n_pecks;
        strcpy(cursor, reply->pecks->next_cursor);
        duck_reply_free(reply);
    } while (cursor[0]);
    ck_assert_uint_eq(seen, 5);
}
END_TEST

static void expect_list_refused(Duck__PecksQuery *query, const char *field)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;

    request.order_case = DUCK__REQUEST__ORDER_PECKS;
    request.pecks = query;
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_PROBLEM);
    ck_assert_str_eq(reply->problem->field, field);
    duck_reply_free(reply);
    duck__pecks_query__init(query);
}

START_TEST(a_list_that_is_asked_for_wrongly_is_refused_by_member)
{
    Duck__PecksQuery query = DUCK__PECKS_QUERY__INIT;
    char *state = "flying";

    start(NULL);
    query.limit = LOCAL_PAGE_MAX + 1;
    expect_list_refused(&query, "limit");
    query.box = 3;
    expect_list_refused(&query, "box");
    query.cursor = "x";
    expect_list_refused(&query, "cursor");
    query.cursor = "-1";
    expect_list_refused(&query, "cursor");
    query.duckling = "x";
    expect_list_refused(&query, "duckling");
    query.with = "x";
    expect_list_refused(&query, "with");
    query.states = &state;
    query.n_states = 1;
    expect_list_refused(&query, "states");
}
END_TEST

static void keep_duckling(const struct author *owner, const char *name, const char *capability)
{
    const char *capabilities[] = {capability, NULL};
    struct effect kept = make_duckling_record(owner, &rig.bed.node.id, name, "a bio", capabilities,
                                              clock_wall_ms() - MINUTE_MS, &rig.bed.arena);

    bed_keep(&rig.bed, &kept, 1);
}

START_TEST(the_directory_tells_tiers_with_their_evidence)
{
    Duck__DirectoryQuery query = DUCK__DIRECTORY_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    const Duck__DirectoryEntry *entry;
    Duck__Reply *reply;

    keep_duckling(&rig.bed.alice, "Alice", "weather.forecast");
    keep_duckling(&rig.bed.bob, "Bob", "data.read");
    start(NULL);
    query.capability = "weather.*";
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_DIRECTORY);
    ck_assert_uint_eq(reply->directory->n_entries, 1);
    entry = reply->directory->entries[0];
    ck_assert_str_eq(entry->duckling, alice);
    ck_assert(entry->host_linked); /* it is this node */
    ck_assert_uint_eq(entry->tier, 0);
    ck_assert_uint_eq(entry->n_tier_evidence, 1);
    ck_assert_str_eq(entry->tier_evidence[0], "hosted-by");
    ck_assert_uint_eq(entry->n_tier_missing, 3);
    ck_assert_str_eq(entry->tier_missing[0], "bonded");
    ck_assert_uint_gt(entry->record.len, 64);
    duck_reply_free(reply);
    query.tier_min = 1;
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_uint_eq(reply->directory->n_entries, 0);
    duck_reply_free(reply);
}
END_TEST

static void keep_bonded(const struct author *owner, const struct author *subject)
{
    struct attestation_content content = {.subject = subject->id,
                                          .claim = bytes_of_text("bonded"),
                                          .proof = bytes_of(subject->id.bytes, ID_SIZE)};
    char key[128] = "bonded:", text[ID_TEXT_SIZE];
    struct effect kept;

    strcat(key, id_text(ID_DUCKLING, &subject->id, text));
    kept = make_record(owner, RECORD_ATTESTATION, key, clock_wall_ms() - MINUTE_MS,
                       attestation_content_pack(&content, &rig.bed.arena), false, &rig.bed.arena);
    bed_keep(&rig.bed, &kept, 1);
}

START_TEST(a_bond_that_both_ends_attest_makes_tier_1)
{
    struct duck_search search = {0};
    struct duck_answer *answer;
    struct duck_entry entry;

    keep_duckling(&rig.bed.alice, "Alice", "weather.forecast");
    keep_bonded(&rig.bed.alice, &rig.bed.bob);
    start(NULL);
    search.duckling = alice;
    answer = duck_search(rig.duck, &search);
    ck_assert(duck_entry(answer, 0, &entry));
    ck_assert_uint_eq(entry.tier, 0);
    duck_answer_free(answer);
    keep_bonded(&rig.bed.bob, &rig.bed.alice);
    answer = duck_search(rig.duck, &search);
    ck_assert(duck_entry(answer, 0, &entry));
    ck_assert_uint_eq(entry.tier, 1);
    duck_answer_free(answer);
}
END_TEST

static void put_chain(struct bytes chain)
{
    char path[128];
    sqlite3_stmt *statement;
    sqlite3 *database;

    snprintf(path, sizeof path, "%s/directory.db", rig.bed.directory);
    ck_assert_int_eq(sqlite3_open(path, &database), SQLITE_OK);
    ck_assert_int_eq(
        sqlite3_prepare_v2(database, "UPDATE identity SET chain = ?1", -1, &statement, NULL),
        SQLITE_OK);
    sqlite3_bind_blob(statement, 1, chain.data, (int)chain.size, SQLITE_STATIC);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    sqlite3_close(database);
}

static void expect_hosted(bool hosted)
{
    Duck__DirectoryQuery query = DUCK__DIRECTORY_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;

    query.duckling = alice;
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_DIRECTORY);
    ck_assert_uint_eq(reply->directory->n_entries, 1);
    ck_assert_uint_eq(reply->directory->entries[0]->n_tier_evidence, hosted);
    duck_reply_free(reply);
}

/* Signatures are not checked for each page; what the disk did to a chain is found all the same. */
START_TEST(a_chain_that_is_not_what_was_kept_is_no_evidence)
{
    const char *none[] = {NULL};
    struct id certificate;
    struct bytes rotated = author_rotated_chain(&rig.bed.alice, &rig.bed.arena, &certificate);
    struct effect kept = make_duckling_record(&rig.bed.alice, &rig.bed.node.id, "Alice", "a bio",
                                              none, clock_wall_ms() - MINUTE_MS, &rig.bed.arena);
    uint8_t *turned = memory_copy(rotated.data, rotated.size);

    kept.record.item.chain = rotated;
    bed_keep(&rig.bed, &kept, 1);
    start(NULL);
    expect_hosted(true);
    put_chain(bytes_of(rotated.data, rotated.size - 1));
    expect_hosted(false);
    put_chain(rig.bed.bob.chain);
    expect_hosted(false);
    put_chain(rig.bed.alice.chain); /* shorter, and still hers */
    expect_hosted(true);
    turned[rotated.size - 64 - 80] ^= 1; /* in what the last certificate says */
    put_chain(bytes_of(turned, rotated.size));
    expect_hosted(false);
    turned[rotated.size - 64 - 80] ^= 1;
    put_chain(bytes_of(turned, rotated.size));
    expect_hosted(true);
    memory_give_back(turned);
}
END_TEST

START_TEST(ducklings_of_dead_nodes_are_left_out_where_it_is_asked_for)
{
    struct agent_member members[3] = {{.node = {{0xff}}, .state = GOSSIP_LEFT},
                                      {.node = {{1}}, .state = GOSSIP_DEAD}},
                        sorted[3];
    struct duck_search search = {.live_host = true};
    struct duck_answer *answer;
    struct duck_entry entry;

    keep_duckling(&rig.bed.alice, "Alice", "a");
    start(NULL);
    for (int state = 0; state < (int)GOSSIP_STATES; state++) {
        bool is_gone = state == GOSSIP_DEAD || state == GOSSIP_LEFT;

        memcpy(sorted, members, sizeof members);
        sorted[2] = (struct agent_member){.node = rig.bed.node.id, .state = state};
        roster_update(rig.roster, sorted, 3, 1);
        answer = duck_search(rig.duck, &search);
        ck_assert_int_eq(duck_entry(answer, 0, &entry), !is_gone);
        duck_answer_free(answer);
    }
    search.live_host = false;
    answer = duck_search(rig.duck, &search);
    ck_assert(duck_entry(answer, 0, &entry));
    duck_answer_free(answer);
}
END_TEST

START_TEST(the_directory_comes_in_pages)
{
    struct duck_search search = {.limit = 1};
    struct duck_answer *answer;
    char cursor[64];
    size_t seen = 0;

    keep_duckling(&rig.bed.alice, "Alice", "a");
    keep_duckling(&rig.bed.bob, "Bob", "b");
    start(NULL);
    do {
        answer = duck_search(rig.duck, &search);
        ck_assert(duck_ok(answer));
        seen += duck_count(answer);
        strcpy(cursor, duck_next_cursor(answer));
        search.cursor = cursor;
        duck_answer_free(answer);
    } while (cursor[0]);
    ck_assert_uint_eq(seen, 2);
}
END_TEST

static void expect_search_refused(struct duck_search search, const char *field)
{
    expect_code(duck_search(rig.duck, &search), "malformed", field);
}

START_TEST(a_search_that_makes_no_sense_is_refused_by_member)
{
    static char text[2000];

    start(NULL);
    expect_search_refused((struct duck_search){.capability = "Data"}, "capability");
    expect_search_refused((struct duck_search){.duckling = "x"}, "duckling");
    expect_search_refused((struct duck_search){.host = "x"}, "host");
    expect_search_refused((struct duck_search){.cursor = "x"}, "cursor");
    expect_search_refused((struct duck_search){.limit = LOCAL_PAGE_MAX + 1}, "limit");
    memset(text, 'a', 1025);
    expect_search_refused((struct duck_search){.text = text}, "text");
}
END_TEST

START_TEST(certificates_are_shown_with_their_chain)
{
    Duck__CertificateQuery query = DUCK__CERTIFICATE_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    char node[ID_TEXT_SIZE];
    Duck__Reply *reply;

    keep_duckling(&rig.bed.alice, "Alice", "a");
    start(NULL);
    request.order_case = DUCK__REQUEST__ORDER_CERTIFICATE;
    request.certificate = &query;
    query.identity = alice;
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_CERTIFICATE);
    ck_assert(reply->certificate->valid);
    ck_assert_uint_eq(reply->certificate->n_certificates, 1);
    ck_assert_uint_eq(reply->certificate->certificates[0]->public_key.len, 32);
    duck_reply_free(reply);
    query.identity = (char *)id_text(ID_NODE, &rig.bed.node.id, node); /* not in the store */
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_str_eq(reply->certificate->certificates[0]->kind, "node");
    duck_reply_free(reply);
    query.identity = "";
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_str_eq(reply->problem->code, "malformed");
    duck_reply_free(reply);
    query.certificate_id = "crt_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_str_eq(reply->problem->code, "not_found");
    duck_reply_free(reply);
}
END_TEST

/* ---- orders ---- */

static void hatch(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    effect.reply.duckling = told->bed.bob.id;
    effect.reply.certificate = told->bed.bob.id;
    effect.reply.chain = told->bed.bob.chain;
    tell(&effect);
}

START_TEST(a_hatch_is_answered_with_the_new_id)
{
    struct duck_profile profile = {.display_name = "Bob"};
    struct duck_answer *answer;

    start(hatch);
    answer = duck_hatch(rig.duck, &profile);
    ck_assert_str_eq(duck_hatched_id(answer), bob);
    duck_answer_free(answer);
    profile.display_name = "";
    expect_code(duck_hatch(rig.duck, &profile), "malformed", "display_name");
    ck_assert_uint_eq(rig.order_count, 1); /* the loop never heard of the second */
}
END_TEST

static void refuse(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    (void)told;
    effect.reply.code = REFUSAL_CONFLICT;
    effect.reply.message = "not now";
    effect.reply.field = "peck_id";
    tell(&effect);
}

START_TEST(what_the_agent_refuses_is_refused_in_its_words)
{
    struct id peck = {.bytes = {1}};

    start(refuse);
    expect_code(duck_cancel(rig.duck, bob, peck_text(&peck)), "conflict", "peck_id");
    expect_code(duck_deny(rig.duck, bob, peck_text(&peck), "no"), "conflict", "peck_id");
    expect_code(duck_answer_peck(rig.duck, bob, peck_text(&peck), "{}"), "conflict", "peck_id");
}
END_TEST

static void agree(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    (void)told;
    tell(&effect);
}

START_TEST(simple_orders_are_answered_with_done)
{
    struct id peck = {.bytes = {1}};
    const char *pecks[1];

    start(agree);
    pecks[0] = peck_text(&peck);
    expect_code(duck_pulse(rig.duck, bob), "", "");
    expect_code(duck_acknowledge(rig.duck, bob, pecks, 1), "", "");
    expect_code(duck_cancel(rig.duck, bob, pecks[0]), "", "");
    ck_assert_int_eq(rig.orders[1].kind, ORDER_ACK);
}
END_TEST

static void end_bond(struct rig *told, const struct order *order)
{
    struct effect ended = {.kind = EFFECT_BOND_CHANGED}, effect = reply_to(order->ticket);

    ended.bond_changed.bond = order->bond;
    ended.bond_changed.duckling = order->duckling;
    ended.bond_changed.with = told->bed.alice.id;
    tell(&ended);
    effect.reply.bond = order->bond;
    tell(&effect);
}

START_TEST(an_unpeck_tells_whom_the_bond_was_with)
{
    Duck__UnpeckOrder order = DUCK__UNPECK_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;

    start(end_bond);
    order.duckling = bob;
    order.bond_id = "bnd_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    request.order_case = DUCK__REQUEST__ORDER_UNPECK;
    request.unpeck = &order;
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_BOND);
    ck_assert_str_eq(reply->bond->bond_id, order.bond_id);
    ck_assert_str_eq(reply->bond->with, alice);
    duck_reply_free(reply);
}
END_TEST

/* ---- sending ---- */

/* What the agent tells at the end of a turn: the reply, then the change. */
static void send_off(struct rig *told, const struct order *order)
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

START_TEST(a_send_that_does_not_wait_is_answered_when_it_is_durable)
{
    struct duck_peck peck = a_peck();
    struct duck_answer *answer;
    struct duck_item item;

    rig.peck = (struct id){.bytes = {9}};
    start(send_off);
    answer = duck_send(rig.duck, &peck, DUCK_WAIT_QUEUED, 0);
    ck_assert(duck_ok(answer));
    ck_assert(duck_item(answer, 0, &item));
    ck_assert_str_eq(item.peck_id, peck_text(&rig.peck));
    ck_assert_str_eq(item.state, "sent");
    ck_assert_str_eq(item.from, bob);
    ck_assert_str_eq(item.to, alice);
    ck_assert_str_eq(item.action, "query");
    ck_assert_str_eq(item.thread, "t");
    ck_assert_uint_eq(item.created_ms, THINGS_WALL_MS);
    ck_assert_uint_eq(item.expires_ms, THINGS_WALL_MS + PECK_LIFE_MS);
    duck_answer_free(answer);
}
END_TEST

START_TEST(a_send_that_waits_is_answered_with_the_result_and_both_receipts)
{
    struct asked asked = ASKED_INIT;
    const Duck__PeckView *view;
    struct effect effect;

    rig.peck = (struct id){.bytes = {9}};
    start(send_off);
    call_send(&asked, DUCK__WAIT_FOR__WAIT_DONE, 20000);
    await_order(1);
    effect = change_of(BOX_OUT, &rig.peck, PECK_TAKEN);
    effect.changed.receipt = bytes_of_text("taken");
    effect.changed.receipt_chain = bytes_of_text("chain");
    effect.changed.receipt_kind = RECEIPT_TAKEN;
    effect.changed.receipt_signer = rig.bed.node.id;
    tell_now(&effect);
    effect = done_change_of(BOX_IN, &rig.peck); /* the other end's view: not ours */
    tell_now(&effect);
    effect = done_change_of(BOX_OUT, &rig.peck);
    tell_now(&effect);
    view = await_reply(&asked, 1)->peck;
    ck_assert_str_eq(view->state, "answered");
    ck_assert_uint_eq(view->n_receipts, 2);
    ck_assert_str_eq(view->receipts[0]->kind, "taken");
    ck_assert_int_eq(strncmp(view->receipts[0]->signer, "nod_", 4), 0);
    ck_assert_str_eq(view->receipts[1]->kind, "done");
    ck_assert_str_eq(view->receipts[1]->signer, alice);
    ck_assert_mem_eq(view->receipts[1]->envelope.data, "done", 4);
    ck_assert_mem_eq(view->result.data, "{\"a\":1}", 7);
    duck_reply_free(asked.reply);
}
END_TEST

START_TEST(waiting_for_taken_ends_when_it_is_taken)
{
    struct asked asked = ASKED_INIT;
    struct effect effect;

    rig.peck = (struct id){.bytes = {9}};
    start(send_off);
    call_send(&asked, DUCK__WAIT_FOR__WAIT_TAKEN, 20000);
    await_order(1);
    effect = change_of(BOX_OUT, &rig.peck, PECK_PENDING);
    tell_now(&effect);
    ck_assert_str_eq(await_reply(&asked, 1)->peck->state, "pending");
    duck_reply_free(asked.reply);
}
END_TEST

START_TEST(a_wait_that_runs_out_is_answered_with_the_state_so_far)
{
    struct duck_peck peck = a_peck();
    struct duck_answer *answer;
    uint64_t began_ms;

    rig.peck = (struct id){.bytes = {9}};
    start(send_off);
    began_ms = clock_now_ms();
    answer = duck_send(rig.duck, &peck, DUCK_WAIT_DONE, 80);
    ck_assert(duck_ok(answer));
    ck_assert_str_eq(duck_peck_state(answer), "sent");
    ck_assert_uint_ge(clock_now_ms() - began_ms, 79);
    ck_assert_uint_lt(clock_now_ms() - began_ms, 5000);
    duck_answer_free(answer);
}
END_TEST

static struct effect stored;

static void replay(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    (void)told;
    effect.reply.peck = stored.peck.id;
    effect.reply.box = BOX_OUT;
    effect.reply.state = stored.peck.state;
    effect.reply.replayed = true;
    tell(&effect);
}

START_TEST(a_repeated_send_is_answered_from_the_store)
{
    struct peck_wish wish = {.key = "k"};
    struct duck_peck peck = a_peck();
    struct effect done;
    struct asked asked = ASKED_INIT;

    (void)peck;
    stored = bed_send(&rig.bed, PECK_ANSWERED, &wish);
    done = make_receipt(&rig.bed.alice, &stored, RECEIPT_DONE, PECK_ANSWERED, &rig.bed.arena);
    bed_keep(&rig.bed, &done, 1);
    start(replay);
    call_send(&asked, DUCK__WAIT_FOR__WAIT_DONE, 20000);
    ck_assert_int_eq(await_reply(&asked, 1)->answer_case, DUCK__REPLY__ANSWER_PECK);
    ck_assert(asked.reply->peck->replayed);
    ck_assert_str_eq(asked.reply->peck->state, "answered");
    ck_assert_uint_eq(asked.reply->peck->box, 2);
    ck_assert_mem_eq(asked.reply->peck->result.data, "{\"ok\":true}", 11);
    duck_reply_free(asked.reply);
}
END_TEST

START_TEST(a_repeated_send_waits_like_the_first)
{
    struct peck_wish wish = {.key = "k"};
    struct asked asked = ASKED_INIT;
    struct effect effect;

    stored = bed_send(&rig.bed, PECK_SENT, &wish);
    start(replay);
    call_send(&asked, DUCK__WAIT_FOR__WAIT_DONE, 20000);
    await_order(1);
    bed_move(&rig.bed, &stored, PECK_EXPIRED, TRAY_WAITING);
    effect = change_of(BOX_OUT, &stored.peck.id, PECK_EXPIRED);
    tell_now(&effect);
    ck_assert_str_eq(await_reply(&asked, 1)->peck->state, "expired");
    ck_assert(asked.reply->peck->replayed);
    duck_reply_free(asked.reply);
}
END_TEST

START_TEST(a_question_waits_until_the_peck_is_as_far_as_asked)
{
    struct peck_wish wish = {0};
    struct asked asked = ASKED_INIT, late = ASKED_INIT;
    struct effect effect;

    start(NULL);
    stored = bed_send(&rig.bed, PECK_SENT, &wish);
    call_peck(&late, &stored.peck.id, DUCK__WAIT_FOR__WAIT_DONE, 60);
    ck_assert_str_eq(await_reply(&late, 1)->peck->state, "sent");
    call_peck(&asked, &stored.peck.id, DUCK__WAIT_FOR__WAIT_DONE, 20000);
    bed_move(&rig.bed, &stored, PECK_TAKEN, TRAY_WAITING);
    effect = change_of(BOX_OUT, &stored.peck.id, PECK_TAKEN);
    tell_now(&effect); /* not far enough */
    bed_move(&rig.bed, &stored, PECK_CANCELLED, TRAY_WAITING);
    effect = change_of(BOX_OUT, &stored.peck.id, PECK_CANCELLED);
    tell_now(&effect);
    ck_assert_str_eq(await_reply(&asked, 1)->peck->state, "cancelled");
    duck_reply_free(asked.reply);
    duck_reply_free(late.reply);
}
END_TEST

static struct effect came(const struct effect *kept)
{
    struct effect effect = *kept;

    effect.kind = EFFECT_PARTIAL_CAME;
    return effect;
}

START_TEST(whoever_waits_for_the_next_part_gets_it_and_the_end_ends_the_wait)
{
    struct asked first = ASKED_INIT, second = ASKED_INIT, end = ASKED_INIT;
    struct partials partials = {0};
    struct effect said, effect;

    start(NULL);
    stored = bed_send(&rig.bed, PECK_TAKEN, &(struct peck_wish){0});
    call_partials(&first, &stored.peck.id, 0, 0, 20000);
    said = make_partial(&rig.bed.alice, &stored, &partials, "\"one\"", &rig.bed.arena);
    bed_keep(&rig.bed, &said, 1);
    effect = came(&said);
    tell_now(&effect);
    ck_assert_int_eq(await_reply(&first, 1)->answer_case, DUCK__REPLY__ANSWER_PARTIALS);
    ck_assert_uint_eq(first.reply->partials->n_partials, 1);
    ck_assert_uint_eq(first.reply->partials->partials[0]->number, 1);
    ck_assert_mem_eq(first.reply->partials->partials[0]->result.data, "\"one\"", 5);
    ck_assert_uint_eq(first.reply->partials->partials[0]->envelope.len, 0);
    ck_assert(!first.reply->partials->is_done);
    call_partials(&second, &stored.peck.id, 0, 1, 0);
    ck_assert_uint_eq(await_reply(&second, 1)->partials->partials[0]->envelope.len,
                      said.partial.wire.size);
    ck_assert_uint_eq(second.reply->partials->chain.len, rig.bed.alice.chain.size);
    call_partials(&end, &stored.peck.id, 1, 0, 20000);
    bed_move(&rig.bed, &stored, PECK_ANSWERED, TRAY_WAITING);
    effect = change_of(BOX_OUT, &stored.peck.id, PECK_ANSWERED);
    tell_now(&effect);
    ck_assert_uint_eq(await_reply(&end, 1)->partials->n_partials, 0);
    ck_assert(end.reply->partials->is_done);
    ck_assert_uint_eq(end.reply->partials->held, 1);
    duck_reply_free(first.reply);
    duck_reply_free(second.reply);
    duck_reply_free(end.reply);
}
END_TEST

START_TEST(a_wait_for_a_part_that_does_not_come_ends_with_none)
{
    struct asked asked = ASKED_INIT, unknown = ASKED_INIT;

    start(NULL);
    stored = bed_send(&rig.bed, PECK_TAKEN, &(struct peck_wish){0});
    call_partials(&asked, &stored.peck.id, 0, 0, 60);
    ck_assert_uint_eq(await_reply(&asked, 1)->partials->n_partials, 0);
    ck_assert(!asked.reply->partials->is_done);
    ck_assert_str_eq(asked.reply->partials->state, "taken");
    call_partials(&unknown, &rig.bed.alice.id, 0, 0, 20000);
    ck_assert_str_eq(await_reply(&unknown, 1)->problem->code, "not_found");
    duck_reply_free(asked.reply);
    duck_reply_free(unknown.reply);
}
END_TEST

static uint32_t number_of_order;

static void take_partial(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    (void)told;
    number_of_order = order->number;
    effect.reply.number = 7;
    tell(&effect);
}

START_TEST(a_part_that_an_agent_says_is_answered_with_its_number)
{
    struct duck_answer *answer;
    char text[ID_TEXT_SIZE];
    struct id peck = {{1}};

    start(take_partial);
    answer = duck_answer_partial(rig.duck, bob, id_text(ID_PECK, &peck, text), "1", 7);
    ck_assert(duck_ok(answer));
    ck_assert_uint_eq(duck_partial_number(answer), 7);
    ck_assert_uint_eq(number_of_order, 7);
    duck_answer_free(answer);
    answer = duck_answer_partial(rig.duck, bob, text, "1", PARTIALS_MAX + 1);
    ck_assert_str_eq(duck_code(answer), "malformed");
    ck_assert_str_eq(duck_field(answer), "number");
    duck_answer_free(answer);
}
END_TEST

static bool count_partials(void *context, const struct duck_partial *partial)
{
    uint32_t *last = context;

    ck_assert_uint_eq(partial->number, *last + 1);
    *last = partial->number;
    return true;
}

START_TEST(a_client_walks_over_more_parts_than_a_page_holds_in_order)
{
    struct effect said[LOCAL_PAGE + 7];
    struct partials partials = {0};
    struct duck_answer *answer;
    uint32_t last = 0;

    start(NULL);
    stored = bed_send(&rig.bed, PECK_ANSWERED, &(struct peck_wish){0});
    for (size_t i = 0; i < LOCAL_PAGE + 7; i++)
        said[i] = make_partial(&rig.bed.alice, &stored, &partials, "1", &rig.bed.arena);
    bed_keep(&rig.bed, said, LOCAL_PAGE + 7);
    answer = duck_partials_each(rig.duck, peck_text(&stored.peck.id), 0, count_partials, &last);
    ck_assert(duck_ok(answer));
    ck_assert_str_eq(duck_peck_state(answer), "answered");
    ck_assert_uint_eq(last, LOCAL_PAGE + 7);
    duck_answer_free(answer);
}
END_TEST

static void answer_peck(struct rig *told, const struct order *order)
{
    struct effect effect = done_change_of(BOX_IN, &order->peck);

    (void)told;
    tell(&effect);
    effect = reply_to(order->ticket);
    effect.reply.peck = order->peck;
    effect.reply.box = BOX_IN;
    effect.reply.state = PECK_ANSWERED;
    tell(&effect);
}

START_TEST(an_answer_is_answered_with_what_was_signed)
{
    struct id peck = {.bytes = {4}};
    struct duck_answer *answer;
    struct duck_item item;

    start(answer_peck);
    answer = duck_answer_peck(rig.duck, bob, peck_text(&peck), "{\"a\":1}");
    ck_assert(duck_item(answer, 0, &item));
    ck_assert_str_eq(item.state, "answered");
    ck_assert_str_eq(item.from, alice);
    ck_assert_str_eq(item.to, bob);
    ck_assert(item.incoming);
    ck_assert_str_eq(item.result, "{\"a\":1}");
    duck_answer_free(answer);
}
END_TEST

static void decide_peck(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    (void)told;
    effect.reply.peck = order->peck;
    effect.reply.box = BOX_IN;
    effect.reply.bond = order->peck;
    tell(&effect);
}

START_TEST(an_approval_is_answered_with_the_peck_and_its_bond)
{
    struct peck_wish wish = {.kind = PECK_BOND_REQUEST};
    struct duck_answer *answer;
    struct duck_item item;

    stored = bed_receive(&rig.bed, PECK_APPROVED, &wish);
    start(decide_peck);
    answer = duck_approve(rig.duck, bob, peck_text(&stored.peck.id), NULL, 0, 0);
    ck_assert(duck_item(answer, 0, &item));
    ck_assert(item.bond_request);
    ck_assert_str_eq(item.state, "approved");
    ck_assert_str_eq(item.message, "may I?");
    ck_assert_str_eq(item.scopes[0], "data.*");
    duck_answer_free(answer);
}
END_TEST

/* ---- taking ---- */

static struct id in_tray[LOCAL_TAKE_MAX];
static size_t in_tray_count;

/* Hands out all that is in `in_tray`, as far as the order goes. */
static void hand_out(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    (void)told;
    pthread_mutex_lock(&rig.lock);
    effect.reply.box = BOX_IN;
    effect.reply.taken_count = in_tray_count < order->limit ? in_tray_count : order->limit;
    effect.reply.taken = in_tray + in_tray_count - effect.reply.taken_count;
    tell(&effect);
    in_tray_count -= effect.reply.taken_count;
    pthread_mutex_unlock(&rig.lock);
}

static void put_into_tray(const struct id *peck)
{
    pthread_mutex_lock(&rig.lock);
    in_tray[in_tray_count++] = *peck;
    pthread_mutex_unlock(&rig.lock);
}

START_TEST(what_was_taken_comes_with_its_payload)
{
    struct peck_wish wish = {.payload_size = 100};
    struct duck_answer *answer;
    struct duck_item item;

    for (int i = 0; i < 3; i++) {
        struct effect kept = bed_receive(&rig.bed, PECK_TAKEN, &wish);

        put_into_tray(&kept.peck.id);
    }
    start(hand_out);
    answer = duck_take(rig.duck, bob, 2, 0, 0);
    ck_assert_uint_eq(duck_count(answer), 2);
    ck_assert(duck_item(answer, 1, &item));
    ck_assert_str_eq(item.action, "data.read");
    ck_assert_uint_eq(strlen(item.payload), 102);
    duck_answer_free(answer);
    answer = duck_take(rig.duck, bob, 0, 0, 0);
    ck_assert_uint_eq(duck_count(answer), 1);
    duck_answer_free(answer);
}
END_TEST

/* One peck stands for all two hundred: the bytes are what counts, 50 MiB of them. */
START_TEST(two_hundred_pecks_of_the_largest_kind_are_taken_at_once)
{
    struct peck_wish wish = {.payload_size = PECK_PAYLOAD_MAX - 2};
    struct effect kept = bed_receive(&rig.bed, PECK_TAKEN, &wish);
    struct duck_answer *answer;
    struct duck_item item;

    for (unsigned i = 0; i < LOCAL_TAKE_MAX; i++)
        put_into_tray(&kept.peck.id);
    start(hand_out);
    answer = duck_take(rig.duck, bob, LOCAL_TAKE_MAX, 20000, 0);
    ck_assert_str_eq(duck_code(answer), "");
    ck_assert_uint_eq(duck_count(answer), LOCAL_TAKE_MAX);
    ck_assert(duck_item(answer, LOCAL_TAKE_MAX - 1, &item));
    ck_assert_uint_eq(strlen(item.payload), PECK_PAYLOAD_MAX);
    duck_answer_free(answer);
}
END_TEST

START_TEST(a_take_that_waits_orders_again_when_a_peck_is_ready)
{
    struct peck_wish wish = {0};
    struct asked asked = ASKED_INIT;
    struct effect kept, effect;
    struct seen_order again;

    start(hand_out);
    call_take(&asked, 3, 20000);
    await_order(1);
    effect = change_of(BOX_IN, &(struct id){{7}}, PECK_PENDING); /* not for the agent yet */
    tell_now(&effect);
    kept = bed_receive(&rig.bed, PECK_TAKEN, &wish);
    put_into_tray(&kept.peck.id);
    effect = ready(&kept.peck.id);
    tell_now(&effect);
    ck_assert_uint_eq(await_reply(&asked, 1)->pecks->n_pecks, 1);
    again = await_order(2);
    ck_assert_int_eq(again.kind, ORDER_TAKE);
    ck_assert_uint_eq(again.limit, 3);
    ck_assert_uint_eq(again.lease_ms, 5000);
    ck_assert(id_equal(&again.duckling, &rig.bed.bob.id));
    ck_assert_uint_eq(rig.order_count, 2);
    duck_reply_free(asked.reply);
}
END_TEST

START_TEST(of_two_that_wait_one_is_woken_for_each_peck)
{
    struct peck_wish wish = {0};
    struct asked asked = ASKED_INIT;

    start(hand_out);
    call_take(&asked, 1, 20000);
    call_take(&asked, 1, 20000);
    await_order(2);
    for (unsigned i = 1; i <= 2; i++) {
        struct effect kept = bed_receive(&rig.bed, PECK_TAKEN, &wish), effect;

        put_into_tray(&kept.peck.id);
        effect = ready(&kept.peck.id);
        tell_now(&effect);
        ck_assert_uint_eq(await_reply(&asked, i)->pecks->n_pecks, 1);
        ck_assert_uint_eq(await_order(2 + i).kind, ORDER_TAKE);
        ck_assert_uint_eq(rig.order_count, 2 + i);
    }
    duck_reply_free(asked.reply);
}
END_TEST

static void call_take_of(struct asked *asked, const char *action, const char *but_not)
{
    ProtobufCBinaryData wanted = {strlen(action), (uint8_t *)(uintptr_t)action};
    ProtobufCBinaryData unwanted = {strlen(but_not), (uint8_t *)(uintptr_t)but_not};
    Duck__TakeOrder take = DUCK__TAKE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    take.duckling = bob;
    take.limit = 1;
    take.wait_ms = 20000;
    take.actions = &wanted;
    take.n_actions = 1;
    take.but_not = &unwanted;
    take.n_but_not = *but_not != 0;
    request.order_case = DUCK__REQUEST__ORDER_TAKE;
    request.take = &take;
    duck_call(rig.duck, &request, 60000, keep_reply, asked);
}

START_TEST(who_waits_for_other_actions_is_not_woken)
{
    struct peck_wish wish = {0};
    struct asked waits = ASKED_INIT, takes = ASKED_INIT;
    struct effect kept, effect;
    struct seen_order again;

    start(hand_out);
    call_take_of(&waits, "data.*", "data.read");
    await_order(1);
    call_take_of(&takes, "data.read", "");
    await_order(2);
    kept = bed_receive(&rig.bed, PECK_TAKEN, &wish);
    put_into_tray(&kept.peck.id);
    effect = ready(&kept.peck.id);
    effect.changed.action = bytes_of_text("data.read");
    tell_now(&effect);
    ck_assert_uint_eq(await_reply(&takes, 1)->pecks->n_pecks, 1);
    again = await_order(3);
    ck_assert_str_eq(again.wants, "data.read"); /* what it waits for is asked for again */
    put_into_tray(&kept.peck.id);
    effect.changed.action = bytes_of_text("data.list");
    tell_now(&effect);
    ck_assert_uint_eq(await_reply(&waits, 1)->pecks->n_pecks, 1);
    again = await_order(4);
    ck_assert_str_eq(again.wants, "data.*");
    ck_assert_str_eq(again.but_not, "data.read");
    duck_reply_free(waits.reply);
    duck_reply_free(takes.reply);
}
END_TEST

/* ---- handlers ---- */

static Duck__Reply *ask_handlers(struct duck *duck)
{
    Duck__HandlersQuery query = DUCK__HANDLERS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    request.order_case = DUCK__REQUEST__ORDER_HANDLERS;
    request.handlers = &query;
    return duck_call_wait(duck, &request, 0);
}

static Duck__Reply *report_handlers(struct duck *duck, size_t count, uint32_t running)
{
    Duck__HandlerView view = DUCK__HANDLER_VIEW__INIT, *views[LOCAL_HANDLERS_MAX + 1];
    Duck__HandlersReport report = DUCK__HANDLERS_REPORT__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    view.name = (char *)"weather";
    view.running = running;
    view.answered = 7;
    for (size_t i = 0; i < count; i++)
        views[i] = &view;
    report.handlers = views;
    report.n_handlers = count;
    request.order_case = DUCK__REQUEST__ORDER_HANDLERS_REPORT;
    request.handlers_report = &report;
    return duck_call_wait(duck, &request, 0);
}

static double counter_value(const char *name)
{
    Duck__MetricsQuery query = DUCK__METRICS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;
    double value = -1;

    request.order_case = DUCK__REQUEST__ORDER_METRICS;
    request.metrics = &query;
    reply = duck_call_wait(rig.duck, &request, 0);
    for (size_t i = 0; i < reply->metrics->n_counters; i++)
        if (strcmp(reply->metrics->counters[i]->name, name) == 0 && value < 0)
            value = reply->metrics->counters[i]->value;
    duck_reply_free(reply);
    return value;
}

START_TEST(what_the_runner_of_handlers_said_last_is_told)
{
    struct duck *runner = NULL;
    Duck__Reply *reply;
    bool running = true;

    start(NULL);
    reply = ask_handlers(rig.duck);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_HANDLERS);
    ck_assert_uint_eq(reply->handlers->n_handlers, 0);
    ck_assert(!reply->handlers->running);
    duck_reply_free(reply);

    ck_assert_int_eq(duck_connect(&runner, rig.socket, NULL), 0);
    reply = report_handlers(runner, 1, 2);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_DONE);
    duck_reply_free(reply);
    reply = report_handlers(runner, LOCAL_HANDLERS_MAX, 3);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_DONE);
    duck_reply_free(reply);
    reply = report_handlers(runner, LOCAL_HANDLERS_MAX + 1, 3);
    ck_assert_str_eq(reply->problem->code, "too_large");
    duck_reply_free(reply);
    reply = ask_handlers(rig.duck);
    ck_assert_uint_eq(reply->handlers->n_handlers, LOCAL_HANDLERS_MAX);
    ck_assert(reply->handlers->running);
    ck_assert_str_eq(reply->handlers->handlers[63]->name, "weather");
    ck_assert_uint_eq(reply->handlers->handlers[63]->running, 3);
    duck_reply_free(reply);
    ck_assert(counter_value("ducknode_handlers") == LOCAL_HANDLERS_MAX);
    ck_assert(counter_value("ducknode_handlers_running") == 3 * LOCAL_HANDLERS_MAX);
    ck_assert(counter_value("ducknode_handler_pecks_total") == 7 * LOCAL_HANDLERS_MAX);

    duck_close(runner);
    while (running) { /* the node hears of it a moment later */
        reply = ask_handlers(rig.duck);
        running = reply->handlers->running;
        ck_assert_uint_eq(reply->handlers->handlers[0]->running, running ? 3 : 0);
        ck_assert_uint_eq(reply->handlers->handlers[0]->answered, 7);
        duck_reply_free(reply);
    }
}
END_TEST

START_TEST(a_take_that_finds_another_was_quicker_goes_on_waiting)
{
    struct asked asked = ASKED_INIT;
    struct effect effect;

    start(hand_out);
    call_take(&asked, 1, 300);
    await_order(1);
    effect = ready(&(struct id){{7}});
    tell_now(&effect); /* but the tray is empty again */
    await_order(2);
    ck_assert_int_eq(await_reply(&asked, 1)->answer_case, DUCK__REPLY__ANSWER_PECKS);
    ck_assert_uint_eq(asked.reply->pecks->n_pecks, 0);
    duck_reply_free(asked.reply);
}
END_TEST

START_TEST(a_take_that_waits_in_vain_is_answered_with_nothing)
{
    uint64_t began_ms;
    struct duck_answer *answer;

    start(hand_out);
    began_ms = clock_now_ms();
    answer = duck_take(rig.duck, bob, 1, 80, 0);
    ck_assert(duck_ok(answer));
    ck_assert_uint_eq(duck_count(answer), 0);
    ck_assert_uint_ge(clock_now_ms() - began_ms, 79);
    duck_answer_free(answer);
}
END_TEST

/* ---- followers ---- */

struct watch {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned seen;
    struct duck_event last;
    char kind[16], state[16], duckling[64], with[64];
};
#define WATCH_INIT                                                                                 \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                     \
    }

static bool see(void *context, const struct duck_event *event)
{
    struct watch *watch = context;

    pthread_mutex_lock(&watch->lock);
    watch->seen++;
    watch->last = *event;
    snprintf(watch->kind, sizeof watch->kind, "%s", event->kind);
    snprintf(watch->state, sizeof watch->state, "%s", event->state);
    snprintf(watch->duckling, sizeof watch->duckling, "%s", event->duckling);
    snprintf(watch->with, sizeof watch->with, "%s", event->with);
    pthread_cond_broadcast(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
    return true;
}

static void await_seen(struct watch *watch, unsigned count)
{
    pthread_mutex_lock(&watch->lock);
    while (watch->seen < count)
        pthread_cond_wait(&watch->changed, &watch->lock);
    ck_assert_uint_eq(watch->seen, count);
    pthread_mutex_unlock(&watch->lock);
}

START_TEST(followers_see_what_they_follow_and_nothing_else)
{
    struct watch bobs = WATCH_INIT, alices = WATCH_INIT, everything = WATCH_INIT;
    struct effect effect;

    start(agree);
    ck_assert_int_eq(duck_follow(rig.duck, bob, false, see, &bobs), 0);
    ck_assert_int_eq(duck_follow(rig.duck, alice, false, see, &alices), 0);
    ck_assert_int_eq(duck_follow(rig.duck, NULL, true, see, &everything), 0);

    effect = change_of(BOX_IN, &(struct id){{7}}, PECK_PENDING);
    tell_now(&effect);
    await_seen(&bobs, 1);
    await_seen(&everything, 1);
    ck_assert_str_eq(bobs.kind, "peck");
    ck_assert_str_eq(bobs.state, "pending");
    ck_assert_str_eq(bobs.duckling, bob);
    ck_assert_str_eq(bobs.with, alice);
    ck_assert(bobs.last.incoming);

    effect = (struct effect){.kind = EFFECT_BOND_CHANGED};
    effect.bond_changed.change = BOND_MADE;
    effect.bond_changed.duckling = rig.bed.bob.id;
    effect.bond_changed.with = rig.bed.alice.id;
    tell_now(&effect);
    await_seen(&bobs, 2);
    await_seen(&everything, 2);
    ck_assert_str_eq(bobs.kind, "bond");
    ck_assert_str_eq(bobs.state, "made");

    effect = (struct effect){.kind = EFFECT_RECORD_CHANGED};
    effect.record_changed.owner = rig.bed.alice.id;
    effect.record_changed.kind = RECORD_DUCKLING;
    tell_now(&effect);
    await_seen(&everything, 3);
    ck_assert_str_eq(everything.kind, "record");
    ck_assert_str_eq(everything.duckling, alice);

    local_api_link_changed(rig.api, &rig.bed.node.id, true);
    await_seen(&everything, 4);
    ck_assert_str_eq(everything.kind, "link");
    ck_assert_str_eq(everything.state, "up");

    effect = (struct effect){.kind = EFFECT_MEMBER_CHANGED};
    effect.member_changed.node = rig.bed.node.id;
    effect.member_changed.state = GOSSIP_SUSPECT;
    tell_now(&effect);
    await_seen(&everything, 5);
    ck_assert_str_eq(everything.kind, "member");
    ck_assert_str_eq(everything.state, "suspect");

    expect_code(duck_pulse(rig.duck, bob), "", ""); /* whatever was on its way is here */
    await_seen(&bobs, 2);
    await_seen(&alices, 0);
}
END_TEST

START_TEST(what_a_follower_is_too_slow_for_is_dropped_and_counted)
{
    enum { EVENTS = 120000 };
    Duck__FollowOrder follow = DUCK__FOLLOW_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct local_buffer buffer = {0};
    uint64_t seen = 0, dropped = 0;
    int slow;
    struct effect effect;
    Duck__Reply *reply;

    start(NULL);
    slow = connect_plainly();
    request.id = 5;
    request.order_case = DUCK__REQUEST__ORDER_FOLLOW;
    request.follow = &follow;
    say_request(slow, &request);
    reply = hear(slow, &buffer);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_DONE);
    duck_reply_free(reply);
    effect = change_of(BOX_OUT, &(struct id){{7}}, PECK_SENT);
    for (int i = 0; i < EVENTS; i++) {
        tell(&effect);
        if (i % 64 == 0)
            local_api_flush(rig.api);
    }
    local_api_flush(rig.api);
    say_status(slow, 6); /* its answer stands behind all that was queued */
    for (reply = hear(slow, &buffer); reply->id == 5; reply = hear(slow, &buffer)) {
        seen++;
        dropped += reply->event->dropped; /* the kernel may have made room in between */
        duck_reply_free(reply);
    }
    ck_assert_uint_eq(reply->id, 6);
    duck_reply_free(reply);
    tell_now(&effect); /* the next one that gets through tells how many did not */
    reply = hear(slow, &buffer);
    dropped += reply->event->dropped;
    ck_assert_uint_gt(dropped, 1000);
    ck_assert_uint_eq(dropped + seen, EVENTS);
    ck_assert_uint_gt(seen, LOCAL_SEND_QUEUE_MAX / 300);
    duck_reply_free(reply);
    local_buffer_free(&buffer);
    close(slow);
}
END_TEST

/* ---- bounds ---- */

static void wait_on(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    (void)told;
    memcpy(effect.reply.peck.bytes, &order->ticket, sizeof order->ticket);
    effect.reply.box = BOX_OUT;
    effect.reply.state = PECK_QUEUED;
    tell(&effect);
}

START_TEST(a_program_has_4096_requests_in_flight_and_not_one_more)
{
    struct asked asked = ASKED_INIT;
    struct effect effect;
    Duck__Reply *reply;

    start(wait_on);
    for (unsigned i = 0; i < LOCAL_REQUESTS_MAX; i++)
        call_send(&asked, DUCK__WAIT_FOR__WAIT_DONE, 30000);
    await_order(LOCAL_REQUESTS_MAX);
    ck_assert_uint_eq(asked.count, 0);
    call_send(&asked, DUCK__WAIT_FOR__WAIT_DONE, 30000);
    reply = await_reply(&asked, 1);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_PROBLEM);
    ck_assert_str_eq(reply->problem->code, "busy");
    effect = change_of(BOX_OUT, &(struct id){{0}}, PECK_EXPIRED);
    for (unsigned i = 0; i < LOCAL_REQUESTS_MAX; i++) {
        memcpy(effect.changed.peck.bytes, &rig.orders[i].ticket, sizeof rig.orders[i].ticket);
        tell(&effect);
    }
    local_api_flush(rig.api);
    await_reply(&asked, LOCAL_REQUESTS_MAX + 1);
    ck_assert_uint_eq(asked.problems, 1);
    duck_reply_free(asked.reply);
}
END_TEST

START_TEST(a_program_follows_1024_ducklings_and_not_one_more)
{
    Duck__FollowOrder follow = DUCK__FOLLOW_ORDER__INIT;
    Duck__CancelFollow cancel = DUCK__CANCEL_FOLLOW__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct local_buffer buffer = {0};
    int plain;

    start(NULL);
    plain = connect_plainly();
    request.order_case = DUCK__REQUEST__ORDER_FOLLOW;
    request.follow = &follow;
    for (request.id = 1; request.id <= LOCAL_FOLLOWS_MAX + 1; request.id++) {
        Duck__Reply *reply;

        say_request(plain, &request);
        reply = hear(plain, &buffer);
        ck_assert_uint_eq(reply->id, request.id);
        if (request.id <= LOCAL_FOLLOWS_MAX)
            ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_DONE);
        else
            ck_assert_str_eq(reply->problem->code, "busy");
        duck_reply_free(reply);
    }
    cancel.follow_id = 3;
    request.order_case = DUCK__REQUEST__ORDER_CANCEL_FOLLOW;
    request.cancel_follow = &cancel;
    for (int i = 0; i < 2; i++) {
        Duck__Reply *reply;

        request.id++;
        say_request(plain, &request);
        reply = hear(plain, &buffer);
        ck_assert_int_eq(reply->answer_case,
                         i == 0 ? DUCK__REPLY__ANSWER_DONE : DUCK__REPLY__ANSWER_PROBLEM);
        duck_reply_free(reply);
    }
    local_buffer_free(&buffer);
    close(plain);
}
END_TEST

START_TEST(sixty_four_programs_are_served_and_the_next_when_one_has_left)
{
    int programs[LOCAL_CLIENTS_MAX], late;
    bool served = false;

    start(NULL); /* its own client is the first */
    for (size_t i = 1; i < LOCAL_CLIENTS_MAX; i++) {
        programs[i] = connect_plainly();
        expect_served(programs[i]);
    }
    late = connect_plainly();
    say_status(late, 1);
    expect_hung_up(late);
    close(programs[1]);
    for (uint64_t until_ms = clock_now_ms() + SOON_MS; !served && clock_now_ms() < until_ms;) {
        struct local_buffer buffer = {0};
        Duck__Reply *reply;

        late = connect_plainly();
        say_status(late, 1);
        reply = hear(late, &buffer);
        served = reply != NULL;
        duck_reply_free(reply);
        local_buffer_free(&buffer);
        close(late);
    }
    ck_assert(served);
    for (size_t i = 2; i < LOCAL_CLIENTS_MAX; i++)
        close(programs[i]);
}
END_TEST

/* A pulse whose frame is exactly `size` bytes. */
static uint8_t *make_frame(size_t size)
{
    Duck__PulseOrder pulse = DUCK__PULSE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct local_buffer buffer = {0};
    char *filling = calloc(1, size + 1);
    size_t packed;

    memset(filling, 'a', size);
    pulse.duckling = filling;
    request.id = 1;
    request.order_case = DUCK__REQUEST__ORDER_PULSE;
    request.pulse = &pulse;
    packed = duck__request__get_packed_size(&request);
    filling[size - (packed - size)] = 0;
    ck_assert_uint_eq(duck__request__get_packed_size(&request), size);
    local_buffer_append(&buffer, &request);
    free(filling);
    return buffer.data;
}

START_TEST(a_frame_of_one_mebibyte_is_read_and_one_byte_more_is_not)
{
    struct local_buffer buffer = {0};
    uint8_t *frame;
    Duck__Reply *reply;
    int plain;

    start(NULL);
    plain = connect_plainly();
    frame = make_frame(LOCAL_FRAME_MAX);
    say(plain, frame, LOCAL_PREFIX_SIZE + LOCAL_FRAME_MAX);
    reply = hear(plain, &buffer);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_PROBLEM); /* of its duckling */
    ck_assert_str_eq(reply->problem->field, "duckling");
    duck_reply_free(reply);
    free(frame);
    frame = make_frame(LOCAL_FRAME_MAX + 1);
    say(plain, frame, LOCAL_PREFIX_SIZE + LOCAL_FRAME_MAX + 1);
    free(frame);
    local_buffer_free(&buffer);
    expect_hung_up(plain);
    expect_served(connect_plainly());
}
END_TEST

START_TEST(garbage_ends_the_connection_and_only_that)
{
    static const uint8_t garbage[] = {0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t empty[] = {0, 0, 0, 0};
    int plain;

    start(agree);
    plain = connect_plainly();
    say(plain, garbage, sizeof garbage);
    expect_hung_up(plain);
    plain = connect_plainly();
    say(plain, empty, sizeof empty);
    expect_hung_up(plain);
    expect_code(duck_pulse(rig.duck, bob), "", "");
}
END_TEST

START_TEST(a_request_needs_an_id_of_its_own)
{
    int plain;

    start(wait_on);
    plain = connect_plainly();
    say_status(plain, 0);
    expect_hung_up(plain);
    plain = connect_plainly();
    for (int i = 0; i < 2; i++) {
        Duck__SendOrder send_order = DUCK__SEND_ORDER__INIT;
        Duck__Request request = DUCK__REQUEST__INIT;

        send_order.from = bob;
        send_order.to = alice;
        send_order.kind = 1;
        send_order.action = (ProtobufCBinaryData){1, (uint8_t *)"a"};
        send_order.wait_for = DUCK__WAIT_FOR__WAIT_DONE;
        send_order.wait_ms = 30000;
        request.id = 9;
        request.order_case = DUCK__REQUEST__ORDER_SEND;
        request.send = &send_order;
        say_request(plain, &request);
    }
    expect_hung_up(plain);
}
END_TEST

START_TEST(an_order_for_which_the_inbox_has_no_room_is_busy)
{
    struct asked asked = ASKED_INIT;

    /* No loop here: nobody takes. */
    ck_assert_int_eq(open_api(&rig.api, rig.socket), 0);
    ck_assert_int_eq(duck_connect(&rig.duck, rig.socket, NULL), 0);
    for (unsigned i = 0; i < INBOX_MESSAGES_MAX; i++)
        ck_assert_int_eq(inbox_try_give(rig.inbox, message_new(64)), 0);
    expect_code(duck_pulse(rig.duck, bob), "busy", "");
    inbox_close(rig.inbox);
    call_take(&asked, 1, 0);
    ck_assert_str_eq(await_reply(&asked, 1)->problem->code, "busy");
    ck_assert_ptr_nonnull(strstr(asked.reply->problem->message, "stopping"));
    duck_reply_free(asked.reply);
}
END_TEST

/* ---- coming and going ---- */

/* The program is gone before the loop answers its take. */
static void hand_out_to_nobody(struct rig *told, const struct order *order)
{
    static struct id peck = {{8}};
    struct effect effect = reply_to(order->ticket + 1000);

    (void)told;
    if (order->kind != ORDER_TAKE)
        return;
    effect.reply.box = BOX_IN;
    effect.reply.duckling = order->duckling;
    effect.reply.taken = &peck;
    effect.reply.taken_count = 1;
    tell(&effect);
}

START_TEST(what_was_handed_out_to_a_program_that_left_is_given_back)
{
    struct asked asked = ASKED_INIT;
    struct seen_order back;

    start(hand_out_to_nobody);
    call_take(&asked, 1, 20000);
    back = await_order(2);
    ck_assert_int_eq(back.kind, ORDER_GIVE_BACK);
    ck_assert(id_equal(&back.duckling, &rig.bed.bob.id));
    ck_assert_uint_eq(back.peck_count, 1);
    ck_assert_uint_eq(back.first.bytes[0], 8);
    duck_close(rig.duck);
    rig.duck = NULL;
    duck_reply_free(asked.reply);
}
END_TEST

START_TEST(what_is_told_to_a_program_that_left_is_nobodys)
{
    struct asked asked = ASKED_INIT;
    struct seen_order order;
    struct effect effect;

    rig.peck = (struct id){.bytes = {9}};
    start(send_off);
    call_send(&asked, DUCK__WAIT_FOR__WAIT_DONE, 20000);
    order = await_order(1);
    duck_close(rig.duck);
    ck_assert_str_eq(await_reply(&asked, 1)->problem->code, "unreachable");
    duck_reply_free(asked.reply);
    ck_assert_int_eq(duck_connect(&rig.duck, rig.socket, NULL), 0);
    effect = done_change_of(BOX_OUT, &rig.peck);
    tell_now(&effect);
    effect = reply_to(order.ticket);
    tell_now(&effect);
    rig.decide = agree;
    expect_code(duck_pulse(rig.duck, bob), "", "");
}
END_TEST

START_TEST(a_node_that_stops_ends_waits_and_answers_no_more)
{
    struct asked asked = ASKED_INIT;

    rig.peck = (struct id){.bytes = {9}};
    start(send_off);
    call_send(&asked, DUCK__WAIT_FOR__WAIT_DONE, 20000);
    await_order(1);
    inbox_close(rig.inbox);
    pthread_join(rig.loop, NULL);
    rig.loop_runs = false;
    local_api_close(rig.api);
    rig.api = NULL;
    ck_assert_str_eq(await_reply(&asked, 1)->problem->code, "unreachable");
    duck_reply_free(asked.reply);
    ck_assert_int_ne(access(rig.socket, F_OK), 0);
}
END_TEST

START_TEST(an_order_to_stop_is_answered_and_carried_out)
{
    Duck__StopOrder order = DUCK__STOP_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;

    start(NULL);
    request.order_case = DUCK__REQUEST__ORDER_STOP;
    request.stop = &order;
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_DONE);
    duck_reply_free(reply);
    await(is_stopped);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, the_socket_is_its_owners_alone);
    tcase_add_test(tests, a_folder_that_others_may_write_to_is_refused);
    tcase_add_test(tests, a_path_over_107_bytes_is_refused);
    tcase_add_test(tests, a_socket_in_use_is_busy_and_one_left_behind_is_replaced);
    tcase_add_test(tests, the_status_tells_what_the_loop_knows);
    tcase_add_test(tests, the_status_says_that_the_store_is_still_being_read);
    tcase_add_test(tests, a_chain_that_is_not_what_was_kept_is_no_evidence);
    tcase_add_test(tests, ducklings_of_dead_nodes_are_left_out_where_it_is_asked_for);
    tcase_add_test(tests, metrics_are_this_nodes_and_all_nodes);
    tcase_add_test(tests, peers_are_all_nodes_that_are_known_linked_or_not);
    tcase_add_test(tests, the_gossip_is_told_by_counters_of_one_table);
    tcase_add_test(tests, each_set_of_records_is_told_with_its_fingerprint);
    tcase_add_test(tests, a_peck_is_shown_with_everything_that_was_signed);
    tcase_add_test(tests, a_peck_that_is_not_held_is_not_found);
    tcase_add_test(tests, lists_come_in_pages);
    tcase_add_test(tests, a_list_that_is_asked_for_wrongly_is_refused_by_member);
    tcase_add_test(tests, the_directory_tells_tiers_with_their_evidence);
    tcase_add_test(tests, a_bond_that_both_ends_attest_makes_tier_1);
    tcase_add_test(tests, the_directory_comes_in_pages);
    tcase_add_test(tests, a_search_that_makes_no_sense_is_refused_by_member);
    tcase_add_test(tests, certificates_are_shown_with_their_chain);
    tcase_add_test(tests, a_hatch_is_answered_with_the_new_id);
    tcase_add_test(tests, what_the_agent_refuses_is_refused_in_its_words);
    tcase_add_test(tests, simple_orders_are_answered_with_done);
    tcase_add_test(tests, an_unpeck_tells_whom_the_bond_was_with);
    tcase_add_test(tests, a_send_that_does_not_wait_is_answered_when_it_is_durable);
    tcase_add_test(tests, a_send_that_waits_is_answered_with_the_result_and_both_receipts);
    tcase_add_test(tests, waiting_for_taken_ends_when_it_is_taken);
    tcase_add_test(tests, a_wait_that_runs_out_is_answered_with_the_state_so_far);
    tcase_add_test(tests, a_repeated_send_is_answered_from_the_store);
    tcase_add_test(tests, a_repeated_send_waits_like_the_first);
    tcase_add_test(tests, a_question_waits_until_the_peck_is_as_far_as_asked);
    tcase_add_test(tests, whoever_waits_for_the_next_part_gets_it_and_the_end_ends_the_wait);
    tcase_add_test(tests, a_wait_for_a_part_that_does_not_come_ends_with_none);
    tcase_add_test(tests, a_part_that_an_agent_says_is_answered_with_its_number);
    tcase_add_test(tests, a_client_walks_over_more_parts_than_a_page_holds_in_order);
    tcase_add_test(tests, an_answer_is_answered_with_what_was_signed);
    tcase_add_test(tests, an_approval_is_answered_with_the_peck_and_its_bond);
    tcase_add_test(tests, what_was_taken_comes_with_its_payload);
    tcase_add_test(tests, two_hundred_pecks_of_the_largest_kind_are_taken_at_once);
    tcase_add_test(tests, a_take_that_waits_orders_again_when_a_peck_is_ready);
    tcase_add_test(tests, of_two_that_wait_one_is_woken_for_each_peck);
    tcase_add_test(tests, who_waits_for_other_actions_is_not_woken);
    tcase_add_test(tests, what_the_runner_of_handlers_said_last_is_told);
    tcase_add_test(tests, a_take_that_finds_another_was_quicker_goes_on_waiting);
    tcase_add_test(tests, a_take_that_waits_in_vain_is_answered_with_nothing);
    tcase_add_test(tests, followers_see_what_they_follow_and_nothing_else);
    tcase_add_test(tests, what_a_follower_is_too_slow_for_is_dropped_and_counted);
    tcase_add_test(tests, a_program_has_4096_requests_in_flight_and_not_one_more);
    tcase_add_test(tests, a_program_follows_1024_ducklings_and_not_one_more);
    tcase_add_test(tests, sixty_four_programs_are_served_and_the_next_when_one_has_left);
    tcase_add_test(tests, a_frame_of_one_mebibyte_is_read_and_one_byte_more_is_not);
    tcase_add_test(tests, garbage_ends_the_connection_and_only_that);
    tcase_add_test(tests, a_request_needs_an_id_of_its_own);
    tcase_add_test(tests, an_order_for_which_the_inbox_has_no_room_is_busy);
    tcase_add_test(tests, what_is_told_to_a_program_that_left_is_nobodys);
    tcase_add_test(tests, what_was_handed_out_to_a_program_that_left_is_given_back);
    tcase_add_test(tests, a_node_that_stops_ends_waits_and_answers_no_more);
    tcase_add_test(tests, an_order_to_stop_is_answered_and_carried_out);
}

int main(void)
{
    Suite *suite = suite_create("local_api");
    TCase *tests = tcase_create("local_api");
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
