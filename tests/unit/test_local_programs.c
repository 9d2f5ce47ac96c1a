/* Programs at the local API: the socket, followers, bounds, and those that leave. */
#include "local_rig.h"

#include <sched.h>

/* ---- plain sockets ---- */

static void say_status(int socket_, uint64_t id)
{
    Duck__StatusQuery status = DUCK__STATUS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    request.id = id;
    request.order_case = DUCK__REQUEST__ORDER_STATUS;
    request.status = &status;
    say_request(socket_, &request);
}

static void say_cancel(int socket_, uint64_t id)
{
    Duck__CancelFollow cancel = DUCK__CANCEL_FOLLOW__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    request.id = id;
    request.order_case = DUCK__REQUEST__ORDER_CANCEL_FOLLOW;
    request.cancel_follow = &cancel;
    say_request(socket_, &request);
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

/* ---- floods ---- */

static void say_pulses(int socket_, unsigned count)
{
    Duck__PulseOrder pulse = DUCK__PULSE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct local_buffer buffer = {0};

    pulse.duckling = alice;
    request.order_case = DUCK__REQUEST__ORDER_PULSE;
    request.pulse = &pulse;
    for (request.id = 1; request.id <= count; request.id++)
        local_buffer_append(&buffer, &request);
    say(socket_, buffer.data, buffer.end);
    local_buffer_free(&buffer);
}

/* Until `count` answers came; returns how many were "busy". */
static unsigned hear_busy(int socket_, struct local_buffer *buffer, unsigned count)
{
    unsigned busy = 0;

    while (count-- > 0) {
        Duck__Reply *reply = hear(socket_, buffer);

        ck_assert_ptr_nonnull(reply);
        if (reply->answer_case == DUCK__REPLY__ANSWER_PROBLEM) {
            ck_assert_str_eq(reply->problem->code, "busy");
            busy++;
        }
        duck_reply_free(reply);
    }
    return busy;
}

static size_t awaited_messages;

static bool messages_wait(void)
{
    size_t messages, bytes;

    inbox_figures(rig.inbox, &messages, &bytes);
    return messages >= awaited_messages;
}

static void await_messages(size_t count)
{
    uint64_t until_ms = clock_now_ms() + SOON_MS;

    awaited_messages = count;
    while (!messages_wait() && clock_now_ms() < until_ms)
        sched_yield();
    ck_assert(messages_wait());
}

static bool pulsed_early;

/* bob's pulse came last and is among the first turn's. */
static void note_bob(struct rig *told, const struct order *order)
{
    if (id_equal(&order->duckling, &told->bed.bob.id))
        pulsed_early = told->order_count < TURN_MESSAGES_MAX;
    agree(told, order);
}

START_TEST(programs_that_flood_hear_busy_and_nobody_else_does)
{
    struct local_buffer one_heard = {0}, other_heard = {0};
    Duck__PulseOrder pulse = DUCK__PULSE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct asked asked = ASKED_INIT;
    int one, other;

    /* No loop yet: nobody takes. One may have all its requests wait, the other half of them. */
    ck_assert_int_eq(open_api(&rig.api, rig.socket), 0);
    ck_assert_int_eq(duck_connect(&rig.duck, rig.socket, NULL), 0);
    one = connect_plainly();
    other = connect_plainly();
    say_pulses(one, LOCAL_REQUESTS_MAX);
    await_messages(INBOX_SHARES_MESSAGES / 2);
    say_pulses(other, LOCAL_REQUESTS_MAX);
    ck_assert_uint_eq(hear_busy(other, &other_heard, LOCAL_REQUESTS_MAX / 2),
                      LOCAL_REQUESTS_MAX / 2);
    await_messages(INBOX_SHARES_MESSAGES / 4 * 3);

    pulse.duckling = bob;
    request.order_case = DUCK__REQUEST__ORDER_PULSE;
    request.pulse = &pulse;
    duck_call(rig.duck, &request, 60000, keep_reply, &asked);
    await_messages(INBOX_SHARES_MESSAGES / 4 * 3 + 1);
    rig.decide = note_bob;
    ck_assert_int_eq(pthread_create(&rig.loop, NULL, loop, NULL), 0);
    rig.loop_runs = true;
    ck_assert_int_eq(await_reply(&asked, 1)->answer_case, DUCK__REPLY__ANSWER_DONE);
    ck_assert(pulsed_early);
    ck_assert_uint_eq(hear_busy(one, &one_heard, LOCAL_REQUESTS_MAX), 0);
    ck_assert_uint_eq(hear_busy(other, &other_heard, LOCAL_REQUESTS_MAX / 2), 0);
    duck_reply_free(asked.reply);
    local_buffer_free(&one_heard);
    local_buffer_free(&other_heard);
    close(one);
    close(other);
}
END_TEST

#define CALM_ORDERS 200u

static void *flood_on(void *context)
{
    const int *socket_ = context;
    struct local_buffer buffer = {0};

    for (unsigned round = 0; round < 2; round++) {
        say_pulses(*socket_, 2048);
        hear_busy(*socket_, &buffer, 2048);
    }
    local_buffer_free(&buffer);
    return NULL;
}

START_TEST(one_who_orders_calmly_is_served_while_another_floods)
{
    pthread_t flood;
    int socket_;

    start(agree);
    socket_ = connect_plainly();
    ck_assert_int_eq(pthread_create(&flood, NULL, flood_on, &socket_), 0);
    for (unsigned i = 0; i < CALM_ORDERS; i++)
        expect_code(duck_pulse(rig.duck, bob), "", "");
    pthread_join(flood, NULL);
    close(socket_);
}
END_TEST

/* What a reader does for a status waits for this. */
static size_t statuses_allowed;

static bool status_is_allowed(void)
{
    return statuses_allowed > 0;
}

static void figures_when_allowed(void *context, struct agent_figures *agent,
                                 struct local_figures *node)
{
    await(status_is_allowed);
    pthread_mutex_lock(&rig.lock);
    statuses_allowed--;
    pthread_mutex_unlock(&rig.lock);
    figures(context, agent, node);
}

static void allow_statuses(size_t count)
{
    pthread_mutex_lock(&rig.lock);
    statuses_allowed = count;
    pthread_cond_broadcast(&rig.changed);
    pthread_mutex_unlock(&rig.lock);
}

#define QUESTIONS_OF_A_FLOOD 1000u

START_TEST(who_asks_much_is_answered_in_turn_with_others)
{
    struct local_api_settings wanted = settings();
    struct local_buffer heard = {0}, buffer = {0};
    Duck__Reply *reply;
    int many, one;

    wanted.readers = 1;
    wanted.figures = figures_when_allowed;
    ck_assert_int_eq(local_api_open(&rig.api, &wanted), 0);
    many = connect_plainly();
    for (unsigned i = 1; i <= QUESTIONS_OF_A_FLOOD; i++)
        say_status(many, i);
    say_cancel(many, QUESTIONS_OF_A_FLOOD + 1);
    duck_reply_free(hear(many, &heard));
    local_buffer_free(&heard);
    one = connect_plainly();
    say_status(one, 1);
    say_cancel(one, 2); /* answered at once: so the question before it has come */
    reply = hear(one, &buffer);
    ck_assert_uint_eq(reply->id, 2);
    duck_reply_free(reply);
    allow_statuses(3); /* the one under way, one of each; of a thousand that came before */
    reply = hear(one, &buffer);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_STATUS);
    duck_reply_free(reply);
    local_buffer_free(&buffer);
    allow_statuses(QUESTIONS_OF_A_FLOOD);
    close(one);
    close(many);
}
END_TEST

START_TEST(what_a_program_ordered_before_it_left_is_carried_out)
{
    int plain;

    ck_assert_int_eq(open_api(&rig.api, rig.socket), 0);
    plain = connect_plainly();
    say_pulses(plain, 5);
    await_messages(5);
    close(plain);
    local_api_close(rig.api); /* and it is freed */
    rig.api = NULL;
    ck_assert_int_eq(open_api(&rig.api, rig.socket), 0);
    ck_assert_int_eq(pthread_create(&rig.loop, NULL, loop, NULL), 0);
    rig.loop_runs = true;
    await_order(5);
}
END_TEST

START_TEST(an_order_to_a_node_that_stops_is_busy)
{
    struct asked asked = ASKED_INIT;

    ck_assert_int_eq(open_api(&rig.api, rig.socket), 0);
    ck_assert_int_eq(duck_connect(&rig.duck, rig.socket, NULL), 0);
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
    tcase_add_test(tests, followers_see_what_they_follow_and_nothing_else);
    tcase_add_test(tests, what_a_follower_is_too_slow_for_is_dropped_and_counted);
    tcase_add_test(tests, a_program_has_4096_requests_in_flight_and_not_one_more);
    tcase_add_test(tests, a_program_follows_1024_ducklings_and_not_one_more);
    tcase_add_test(tests, sixty_four_programs_are_served_and_the_next_when_one_has_left);
    tcase_add_test(tests, a_frame_of_one_mebibyte_is_read_and_one_byte_more_is_not);
    tcase_add_test(tests, garbage_ends_the_connection_and_only_that);
    tcase_add_test(tests, a_request_needs_an_id_of_its_own);
    tcase_add_test(tests, programs_that_flood_hear_busy_and_nobody_else_does);
    tcase_add_test(tests, one_who_orders_calmly_is_served_while_another_floods);
    tcase_add_test(tests, who_asks_much_is_answered_in_turn_with_others);
    tcase_add_test(tests, what_a_program_ordered_before_it_left_is_carried_out);
    tcase_add_test(tests, an_order_to_a_node_that_stops_is_busy);
    tcase_add_test(tests, what_is_told_to_a_program_that_left_is_nobodys);
    tcase_add_test(tests, what_was_handed_out_to_a_program_that_left_is_given_back);
    tcase_add_test(tests, a_node_that_stops_ends_waits_and_answers_no_more);
    tcase_add_test(tests, an_order_to_stop_is_answered_and_carried_out);
}

int main(void)
{
    return run_with_rig("local_programs", add_tests);
}
