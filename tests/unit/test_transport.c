/* Two transports in one process, over loopback. */
#include "test_node.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static struct test_node alice, bob;

static struct transport_limits limits_of_test(void)
{
    struct transport_limits limits;

    transport_limits_default(&limits);
    limits.sweep_ms = 10;
    return limits;
}

static void start_both(const struct transport_limits *limits)
{
    test_node_start(&alice, limits);
    test_node_start(&bob, limits);
}

static void stop_both(void)
{
    test_node_stop(&alice);
    test_node_stop(&bob);
}

static uint32_t round_trip_us(struct test_node *node)
{
    struct transport_link_info info;

    return transport_links(node->transport, &info, 1) ? info.round_trip_us : 0;
}

static struct transport_figures figures_of(struct test_node *node)
{
    struct transport_figures figures;

    transport_figures(node->transport, &figures);
    return figures;
}

/* A connection that says nothing. */
static int connect_raw(const struct test_node *to)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(transport_port(to->transport, 0)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int stream = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval patience = {.tv_sec = 10};

    ck_assert_int_ge(stream, 0);
    setsockopt(stream, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ck_assert_int_eq(connect(stream, (struct sockaddr *)&address, sizeof address), 0);
    return stream;
}

/* ---- handshakes ---- */

START_TEST(who_knows_the_key_links_without_a_notice)
{
    start_both(NULL);
    test_node_link(&alice, &bob);
    ck_assert(id_equal(&alice.up_node, &bob.id));
    ck_assert(id_equal(&bob.up_node, &alice.id));
    ck_assert(transport_has_link(alice.transport, &bob.id));
    ck_assert(transport_has_link(bob.transport, &alice.id));
    ck_assert_uint_eq(alice.dials_failed, 0);
    stop_both();
}
END_TEST

START_TEST(who_knows_the_node_only_asks_for_its_key)
{
    start_both(NULL);
    ck_assert_int_eq(test_node_dial(&alice, &bob, true, false), 0);
    test_node_await(&alice, alice.ups == 1);
    test_node_await(&bob, bob.ups == 1);
    ck_assert(id_equal(&alice.up_node, &bob.id));
    stop_both();
}
END_TEST

START_TEST(who_knows_an_address_only_takes_whoever_answers)
{
    start_both(NULL);
    ck_assert_int_eq(test_node_dial(&alice, &bob, false, false), 0);
    test_node_await(&alice, alice.answers == 1);
    ck_assert_uint_eq(alice.ups, 1);
    ck_assert(id_equal(&alice.up_node, &bob.id));
    ck_assert(id_equal(&alice.answered_by, &bob.id));
    ck_assert(id_is_zero(&alice.answer_wanted));
    ck_assert_str_eq(alice.answered_at, bob.address);
    stop_both();
}
END_TEST

START_TEST(a_key_that_was_replaced_leads_to_the_new_one)
{
    struct noise_pair fresh;

    start_both(NULL);
    test_node_introduce(&bob, &fresh);
    transport_set_static(bob.transport, &fresh, bob.introduction);
    ck_assert_int_eq(test_node_dial(&alice, &bob, true, true), 0); /* bob.pair is the old one */
    test_node_await(&alice, alice.ups == 1);
    stop_both();
}
END_TEST

START_TEST(another_node_than_the_one_meant_is_refused)
{
    struct id somebody = {.bytes = {1, 2, 3}};

    start_both(NULL);
    ck_assert_int_eq(transport_dial(alice.transport, bytes_of_text(bob.address), &somebody, NULL),
                     0);
    test_node_await(&alice, alice.dials_failed == 1);
    ck_assert_uint_eq(alice.ups, 0);
    ck_assert_uint_eq(bob.ups, 0);
    ck_assert_ptr_nonnull(strstr(alice.reason, "another node"));
    ck_assert_uint_eq(alice.answers, 1);
    ck_assert(id_equal(&alice.answered_by, &bob.id));
    ck_assert(id_equal(&alice.answer_wanted, &somebody));
    stop_both();
}
END_TEST

START_TEST(the_node_itself_is_refused)
{
    test_node_start(&alice, NULL);
    ck_assert_int_eq(test_node_dial(&alice, &alice, false, false), 0);
    test_node_await(&alice, alice.dials_failed == 1);
    ck_assert_uint_eq(alice.ups, 0);
    test_node_stop(&alice);
}
END_TEST

/* A root without /etc/hosts may know no name at all. */
static bool machine_knows_localhost(void)
{
    struct addrinfo *found = NULL;
    bool known = getaddrinfo("localhost", NULL, NULL, &found) == 0;

    if (known)
        freeaddrinfo(found);
    return known;
}

START_TEST(names_are_looked_up)
{
    char address[64];

    if (!machine_knows_localhost()) {
        puts("skipped: this machine does not resolve localhost");
        return;
    }
    start_both(NULL);
    snprintf(address, sizeof address, "localhost:%u", transport_port(bob.transport, 0));
    ck_assert_int_eq(transport_dial(alice.transport, bytes_of_text(address), &bob.id, NULL), 0);
    test_node_await(&alice, alice.ups == 1);
    stop_both();
}
END_TEST

START_TEST(ipv6_links_as_well)
{
    struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    bool has_ipv6 = probe >= 0 && bind(probe, (struct sockaddr *)&name, sizeof name) == 0;

    close(probe);
    if (!has_ipv6) {
        fputs("skipped: this machine has no IPv6\n", stderr);
        return;
    }
    test_node_listen = "[::1]";
    start_both(NULL);
    test_node_link(&alice, &bob);
    stop_both();
}
END_TEST

START_TEST(what_is_no_address_is_refused_at_once)
{
    static const char *const texts[] = {"",         "host",       "host:",    ":1",
                                        "host:0",   "host:65536", "host:12x", "ho st:1",
                                        "::1:4711", "[::1]",      "a/b:4711", "user@host:1"};

    test_node_start(&alice, NULL);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ck_assert_msg(transport_dial(alice.transport, bytes_of_text(texts[i]), NULL, NULL) ==
                          FAULT_ADDRESS,
                      "'%s' passed", texts[i]);
    test_node_stop(&alice);
}
END_TEST

START_TEST(a_name_that_does_not_exist_fails)
{
    test_node_start(&alice, NULL);
    ck_assert_int_eq(
        transport_dial(alice.transport, bytes_of_text("no-such-host.invalid:4711"), NULL, NULL), 0);
    test_node_await(&alice, alice.dials_failed == 1);
    test_node_stop(&alice);
}
END_TEST

START_TEST(a_port_where_nobody_listens_fails)
{
    char address[32];

    start_both(NULL);
    memcpy(address, bob.address, sizeof address);
    test_node_stop(&bob);
    ck_assert_int_eq(transport_dial(alice.transport, bytes_of_text(address), NULL, NULL), 0);
    test_node_await(&alice, alice.dials_failed == 1);
    test_node_stop(&alice);
}
END_TEST

START_TEST(who_was_not_introduced_neither_dials_nor_answers)
{
    const char *listen = "127.0.0.1:0";
    struct transport_settings settings = {.listen = &listen,
                                          .listen_count = 1,
                                          .network = bytes_of_text(TEST_NETWORK),
                                          .workers = 1,
                                          .handlers = {.context = &bob,
                                                       .up = test_node_on_up,
                                                       .down = test_node_on_down,
                                                       .dial_failed = test_node_on_dial_failed,
                                                       .frame = test_node_on_frame}};

    transport_limits_default(&settings.limits);
    test_node_start(&alice, NULL);
    test_node_be_born(&bob);
    settings.self = bob.id;
    settings.static_pair = bob.pair;
    ck_assert_int_eq(transport_open(&bob.transport, &settings), 0);
    snprintf(bob.address, sizeof bob.address, "127.0.0.1:%u", transport_port(bob.transport, 0));
    ck_assert_int_eq(test_node_dial(&bob, &alice, false, false), FAULT_CLOSED);
    ck_assert_int_eq(test_node_dial(&alice, &bob, true, true), 0);
    ck_assert_uint_eq(figures_of(&bob).accepted, 0);
    transport_introduce(bob.transport, bob.introduction); /* who waited is let in */
    test_node_await(&alice, alice.ups == 1);
    stop_both();
}
END_TEST

START_TEST(a_second_listener_on_one_port_is_a_fault)
{
    const char *listen = alice.address;
    struct transport_settings settings = {
        .listen = &listen, .listen_count = 1, .network = bytes_of_text(TEST_NETWORK), .workers = 1};
    struct transport *transport = NULL;

    transport_limits_default(&settings.limits);
    test_node_start(&alice, NULL);
    ck_assert_int_eq(transport_open(&transport, &settings), FAULT_SOCKET);
    ck_assert_ptr_null(transport);
    listen = "not an address";
    ck_assert_int_eq(transport_open(&transport, &settings), FAULT_ADDRESS);
    test_node_stop(&alice);
}
END_TEST

/* ---- frames ---- */

static void send_size(struct test_node *from, struct test_node *to, size_t size)
{
    uint8_t *body = malloc(size + 1);
    uint64_t before = to->frames;

    randombytes_buf(body, size);
    ck_assert_int_eq(transport_send(from->transport, &to->id, TEST_FRAME, bytes_of(body, size)), 0);
    transport_flush(from->transport);
    test_node_await(to, to->frames == before + 1);
    ck_assert_uint_eq(to->last_kind, TEST_FRAME);
    ck_assert_uint_eq(to->last_size, size);
    ck_assert_mem_eq(to->last, body, size);
    free(body);
}

START_TEST(frames_of_every_size_arrive_unchanged_both_ways)
{
    static const size_t sizes[] = {0,
                                   1,
                                   255,
                                   4096,
                                   SESSION_PART_MAX - 1, /* with its kind: one part */
                                   SESSION_PART_MAX,     /* two */
                                   2 * SESSION_PART_MAX,
                                   SESSION_INNER_MAX - 1};

    start_both(NULL);
    test_node_link(&alice, &bob);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        send_size(&alice, &bob, sizes[i]);
        send_size(&bob, &alice, sizes[i]);
    }
    stop_both();
}
END_TEST

START_TEST(a_frame_longer_than_a_session_carries_is_not_taken)
{
    uint8_t *body = calloc(1, SESSION_INNER_MAX);

    start_both(NULL);
    test_node_link(&alice, &bob);
    ck_assert_int_eq(
        transport_send(alice.transport, &bob.id, TEST_FRAME, bytes_of(body, SESSION_INNER_MAX)),
        FAULT_TOO_LARGE);
    send_size(&alice, &bob, 1);
    free(body);
    stop_both();
}
END_TEST

static void send_numbered(struct test_node *from, struct test_node *to, uint8_t kind,
                          uint64_t number, size_t size)
{
    static _Thread_local uint8_t body[64 * 1024];
    int fault;

    memcpy(body, &number, sizeof number);
    while ((fault = transport_send(from->transport, &to->id, kind, bytes_of(body, size))) ==
           FAULT_BUSY) {
        transport_flush(from->transport);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); /* busy: its queue must drain */
    }
    ck_assert_int_eq(fault, 0);
}

START_TEST(many_frames_come_in_order)
{
    enum { COUNT = 20000 };

    start_both(NULL);
    test_node_link(&alice, &bob);
    for (uint64_t i = 0; i < COUNT; i++) {
        send_numbered(&alice, &bob, TEST_NUMBERED, i, 8 + i % 700);
        send_numbered(&bob, &alice, TEST_NUMBERED, i, 8 + i % 7 * 5000);
        if (i % 64 == 0) {
            transport_flush(alice.transport);
            transport_flush(bob.transport);
        }
    }
    transport_flush(alice.transport);
    transport_flush(bob.transport);
    test_node_await(&bob, bob.frames == COUNT);
    test_node_await(&alice, alice.frames == COUNT);
    ck_assert(!alice.out_of_order && !bob.out_of_order);
    ck_assert_uint_eq(bob.overlapping_max, 1); /* one at a time for one link */
    test_await(figures_of(&bob).frames_in >= COUNT);
    stop_both();
}
END_TEST

START_TEST(echoes_from_a_handler_come_back)
{
    start_both(NULL);
    test_node_link(&alice, &bob);
    for (uint64_t i = 0; i < 200; i++) {
        ck_assert_int_eq(
            transport_send(alice.transport, &bob.id, TEST_ECHO, bytes_of(&i, sizeof i)), 0);
        transport_flush(alice.transport);
        test_node_await(&alice, alice.frames == i + 1);
    }
    stop_both();
}
END_TEST

START_TEST(a_node_without_a_link_is_not_reached)
{
    struct id somebody = {.bytes = {1}};

    test_node_start(&alice, NULL);
    ck_assert_int_eq(
        transport_send(alice.transport, &somebody, TEST_FRAME, bytes_of_text("anybody there?")),
        FAULT_CLOSED);
    ck_assert(!transport_has_link(alice.transport, &somebody));
    test_node_stop(&alice);
}
END_TEST

START_TEST(a_full_queue_says_busy_and_nothing_that_was_taken_is_lost)
{
    struct transport_limits limits = limits_of_test();
    uint8_t body[16 * 1024] = {0};
    uint64_t sent = 0;
    int fault = 0;

    limits.send_queue_max = 64 * 1024;
    limits.receive_queue_max = 4 * 1024;
    start_both(&limits);
    test_node_link(&alice, &bob);
    test_node_hold(&bob, true);
    while (!fault) {
        memcpy(body, &sent, sizeof sent);
        fault =
            transport_send(alice.transport, &bob.id, TEST_NUMBERED, bytes_of(body, sizeof body));
        sent += !fault;
        transport_flush(alice.transport);
        ck_assert_uint_lt(sent, 100000); /* the kernel's buffers end, too */
    }
    ck_assert_int_eq(fault, FAULT_BUSY);
    ck_assert_uint_ge(figures_of(&alice).sends_refused, 1);
    test_node_hold(&bob, false);
    test_node_await(&bob, bob.frames == sent);
    ck_assert(!bob.out_of_order);
    stop_both();
}
END_TEST

/* Not a byte more than the limit is taken off the socket while the handler is held up. */
START_TEST(a_handler_that_waits_stops_the_reading)
{
    struct transport_limits limits = limits_of_test();
    uint64_t before, held;

    limits.receive_queue_max = 8 * 1024;
    limits.send_queue_max = 8 * MIB;
    start_both(&limits);
    test_node_link(&alice, &bob);
    test_await(round_trip_us(&bob) > 0); /* no ping is under way */
    test_node_hold(&bob, true);
    before = figures_of(&bob).bytes_in;
    for (uint64_t i = 0; i < 2000; i++)
        send_numbered(&alice, &bob, TEST_NUMBERED, i, 1000);
    transport_flush(alice.transport);
    test_node_await(&bob, bob.overlapping == 1);
    test_await(figures_of(&alice).bytes_out > 100 * 1024); /* it has left, to bob's kernel */
    held = figures_of(&bob).bytes_in - before;
    ck_assert_uint_le(held, 2 * limits.receive_queue_max); /* one is worked on, one waits */
    test_node_hold(&bob, false);
    test_node_await(&bob, bob.frames == 2000);
    ck_assert(!bob.out_of_order);
    stop_both();
}
END_TEST

START_TEST(refused_frames_close_the_link_at_the_limit)
{
    struct transport_limits limits = limits_of_test();

    limits.bad_frames_max = 3;
    start_both(&limits);
    test_node_link(&alice, &bob);
    bob.refuses = true;
    for (uint64_t i = 0; i < 2; i++)
        send_numbered(&alice, &bob, TEST_FRAME, i, 8);
    transport_flush(alice.transport);
    test_node_await(&bob, bob.refused == 2);
    test_await(figures_of(&bob).frames_refused == 2);
    ck_assert(transport_has_link(bob.transport, &alice.id));
    send_numbered(&alice, &bob, TEST_FRAME, 3, 8);
    transport_flush(alice.transport);
    test_node_await(&bob, bob.downs == 1);
    test_node_await(&alice, alice.downs == 1);
    ck_assert_uint_eq(figures_of(&bob).frames_refused, 3);
    stop_both();
}
END_TEST

/* ---- links ---- */

START_TEST(a_link_that_ends_is_reported_once_on_each_side)
{
    start_both(NULL);
    test_node_link(&alice, &bob);
    test_node_stop(&bob);
    test_node_await(&alice, alice.downs == 1);
    ck_assert(id_equal(&alice.down_node, &bob.id));
    ck_assert(!transport_has_link(alice.transport, &bob.id));
    ck_assert_uint_eq(bob.downs, 1);
    test_node_stop(&alice);
    ck_assert_uint_eq(alice.downs, 1);
    ck_assert_uint_eq(alice.ups, 1);
}
END_TEST

START_TEST(a_link_that_is_hung_up_on_is_a_goodbye_to_both_ends)
{
    start_both(NULL);
    test_node_link(&alice, &bob);
    send_numbered(&alice, &bob, TEST_FRAME, 1, 8);
    transport_hang_up(alice.transport, &bob.id, "not needed");
    ck_assert_int_eq(transport_send(alice.transport, &bob.id, TEST_FRAME, bytes_of_text("late")),
                     FAULT_CLOSED);
    transport_hang_up(alice.transport, &bob.id, "not needed");
    test_node_await(&bob, bob.downs == 1);
    test_node_await(&alice, alice.downs == 1);
    ck_assert_uint_eq(alice.goodbyes, 1);
    ck_assert_uint_eq(bob.goodbyes, 1);
    ck_assert_str_eq(alice.reason, "not needed");
    ck_assert_uint_eq(bob.frames,
                      1); /* what was sent before arrives; nobody hears of the goodbye */
    ck_assert_uint_eq(figures_of(&bob).frames_refused, 0);
    transport_hang_up(alice.transport, &bob.id, "not needed"); /* no link: nothing is done */
    stop_both();
}
END_TEST

START_TEST(a_node_that_stops_says_goodbye)
{
    start_both(NULL);
    test_node_link(&alice, &bob);
    test_node_stop(&bob);
    test_node_await(&alice, alice.downs == 1);
    ck_assert_uint_eq(alice.goodbyes, 1);
    test_node_stop(&alice);
}
END_TEST

START_TEST(a_link_that_breaks_is_no_goodbye)
{
    start_both(NULL);
    test_node_link(&alice, &bob);
    bob.refuses = true; /* three offences close the link */
    for (uint64_t i = 0; i < 3; i++)
        send_numbered(&alice, &bob, TEST_FRAME, i, 8);
    transport_flush(alice.transport);
    test_node_await(&alice, alice.downs == 1);
    ck_assert_uint_eq(alice.goodbyes, 0);
    stop_both();
}
END_TEST

START_TEST(a_node_that_was_hung_up_on_can_be_linked_again)
{
    start_both(NULL);
    test_node_link(&alice, &bob);
    transport_hang_up(bob.transport, &alice.id, "not needed");
    test_node_await(&alice, alice.downs == 1);
    test_node_await(&bob, bob.downs == 1);
    ck_assert_int_eq(test_node_dial(&alice, &bob, true, true), 0);
    test_node_await(&alice, alice.ups == 2);
    test_node_await(&bob, bob.ups == 2);
    stop_both();
}
END_TEST

START_TEST(what_was_sent_before_closing_arrives)
{
    start_both(NULL);
    test_node_link(&alice, &bob);
    for (uint64_t i = 0; i < 1000; i++)
        send_numbered(&alice, &bob, TEST_NUMBERED, i, 500);
    test_node_stop(&alice); /* never flushed */
    test_node_await(&bob, bob.frames == 1000);
    test_node_stop(&bob);
}
END_TEST

START_TEST(pings_measure_the_round_trip)
{
    struct transport_link_info info;

    start_both(NULL);
    test_node_link(&alice, &bob);
    test_await(round_trip_us(&alice) > 0);
    test_await(round_trip_us(&bob) > 0);
    ck_assert_uint_eq(transport_links(alice.transport, &info, 1), 1);
    ck_assert(id_equal(&info.node, &bob.id));
    ck_assert(info.dialled_here);
    ck_assert_str_eq(info.address, bob.address);
    ck_assert_uint_lt(info.round_trip_us, 5000000);
    stop_both();
}
END_TEST

START_TEST(a_quiet_link_stays_up_by_pings)
{
    struct transport_limits limits = limits_of_test();
    uint64_t before;

    limits.ping_ms = 20;
    start_both(&limits);
    test_node_link(&alice, &bob);
    before = figures_of(&alice).frames_out;
    test_await(figures_of(&alice).frames_out > before + 10);
    ck_assert_uint_eq(alice.downs, 0);
    ck_assert_uint_eq(bob.downs, 0);
    stop_both();
}
END_TEST

/* Bob's two workers are held up, so nobody answers pings; alice gives the link up. */
START_TEST(a_node_that_does_not_answer_is_away_after_three_pings)
{
    struct transport_limits limits = limits_of_test();
    struct test_node carol;

    limits.ping_ms = 50;
    start_both(&limits);
    test_node_start(&carol, &limits);
    test_node_link(&alice, &bob);
    ck_assert_int_eq(test_node_dial(&carol, &bob, true, true), 0);
    test_node_await(&bob, bob.ups == 2);
    test_await(round_trip_us(&alice) > 0 && round_trip_us(&carol) > 0);
    test_node_hold(&bob, true);
    send_numbered(&alice, &bob, TEST_FRAME, 0, 8);
    send_numbered(&carol, &bob, TEST_FRAME, 0, 8);
    transport_flush(alice.transport);
    transport_flush(carol.transport);
    test_node_await(&alice, alice.downs == 1);
    ck_assert_str_eq(alice.reason, "no answer to pings");
    test_node_stop(&carol);
    stop_both();
}
END_TEST

START_TEST(a_peer_that_does_not_read_is_given_up)
{
    struct transport_limits limits = limits_of_test();
    uint64_t sent = 0;
    uint8_t body[32 * 1024] = {0};

    limits.write_stall_ms = 200;
    limits.receive_queue_max = 4 * 1024;
    start_both(&limits);
    test_node_link(&alice, &bob);
    test_node_hold(&bob, true);
    for (int fault = 0; fault != FAULT_CLOSED;) {
        fault = transport_send(alice.transport, &bob.id, TEST_FRAME, bytes_of(body, sizeof body));
        transport_flush(alice.transport);
        if (fault == FAULT_BUSY) /* the kernel still takes some */
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        ck_assert_uint_lt(sent++, 100000);
    }
    test_node_await(&alice, alice.downs == 1);
    ck_assert_str_eq(alice.reason, "the other end does not read");
    test_node_hold(&bob, false);
    stop_both();
}
END_TEST

START_TEST(two_that_dial_each_other_at_once_keep_one_link)
{
    struct transport_link_info info[4];

    for (int round = 0; round < 20; round++) {
        start_both(NULL);
        ck_assert_int_eq(test_node_dial(&alice, &bob, true, true), 0);
        ck_assert_int_eq(test_node_dial(&bob, &alice, true, true), 0);
        test_node_await(&alice, alice.ups == 1);
        test_node_await(&bob, bob.ups == 1);
        test_await(figures_of(&alice).links_up == 1 && figures_of(&bob).links_up == 1);
        /* Every dial has ended, and of two links one was closed. */
        test_await(figures_of(&alice).links_closed + alice.dials_failed + bob.dials_failed +
                       figures_of(&bob).links_closed >=
                   1);
        for (uint64_t i = 0; i < 50; i++) {
            send_numbered(&alice, &bob, TEST_MARKED, i, 8);
            send_numbered(&bob, &alice, TEST_MARKED, i, 8);
            transport_flush(alice.transport);
            transport_flush(bob.transport);
        }
        test_node_await(&alice, alice.frames == 50);
        test_node_await(&bob, bob.frames == 50);
        ck_assert_uint_eq(transport_links(alice.transport, info, 4), 1);
        ck_assert_uint_eq(alice.ups, 1);
        ck_assert_uint_eq(bob.ups, 1);
        ck_assert_uint_eq(alice.downs, 0);
        ck_assert_uint_eq(bob.downs, 0);
        stop_both();
    }
}
END_TEST

/* When both links did come up, it is the one that the lower id opened. */
START_TEST(of_two_links_the_one_that_the_lower_id_opened_stays)
{
    struct transport_link_info info;
    bool alice_is_lower, both_came_up = false;
    uint64_t began_ms = 0;

    for (int round = 0; round < 50 && !both_came_up; round++) {
        start_both(NULL);
        alice_is_lower = id_compare(&alice.id, &bob.id) < 0;
        began_ms = clock_now_ms();
        ck_assert_int_eq(test_node_dial(&alice, &bob, true, true), 0);
        ck_assert_int_eq(test_node_dial(&bob, &alice, true, true), 0);
        test_node_await(&alice, alice.ups == 1);
        test_node_await(&bob, bob.ups == 1);
        test_await(figures_of(&alice).links_closed == 1 || alice.dials_failed + bob.dials_failed);
        test_await(figures_of(&alice).links_closed == figures_of(&bob).links_closed);
        both_came_up = figures_of(&alice).links_closed == 1;
        if (both_came_up) {
            ck_assert_uint_lt(clock_now_ms() - began_ms, 5000); /* by its last ping, not by time */
            ck_assert_uint_eq(transport_links(alice.transport, &info, 1), 1);
            ck_assert_int_eq(info.dialled_here, alice_is_lower);
            ck_assert_uint_eq(transport_links(bob.transport, &info, 1), 1);
            ck_assert_int_eq(info.dialled_here, !alice_is_lower);
        }
        stop_both();
    }
    ck_assert(both_came_up);
}
END_TEST

START_TEST(a_dial_to_a_node_that_is_linked_says_so)
{
    start_both(NULL);
    test_node_link(&alice, &bob);
    ck_assert_int_eq(test_node_dial(&alice, &bob, true, true), 0);
    test_node_await(&alice, alice.dials_failed == 1);
    ck_assert_str_eq(alice.reason, "the node is linked already");
    ck_assert_int_eq(test_node_dial(&alice, &bob, false, false), 0); /* finds out by itself */
    test_node_await(&alice, alice.dials_failed == 2);
    ck_assert_uint_eq(alice.answers, 1);
    ck_assert(id_equal(&alice.answered_by, &bob.id));
    send_size(&alice, &bob, 100);
    send_size(&bob, &alice, 100);
    ck_assert_uint_eq(alice.ups, 1);
    ck_assert_uint_eq(alice.downs, 0);
    ck_assert_uint_eq(bob.downs, 0);
    stop_both();
}
END_TEST

/* Ten sessions and more follow each other while both send; every frame comes, and once. */
START_TEST(a_link_that_is_replaced_loses_no_frame)
{
    struct transport_limits limits = limits_of_test();
    uint64_t sent = 0;

    limits.session_ms = 50;
    start_both(&limits);
    alice.numbers_max = bob.numbers_max = 1000000;
    alice.numbers_seen = calloc(alice.numbers_max, sizeof *alice.numbers_seen);
    bob.numbers_seen = calloc(bob.numbers_max, sizeof *bob.numbers_seen);
    test_node_link(&alice, &bob);
    while (figures_of(&alice).links_closed < 10 && sent < alice.numbers_max) {
        for (int i = 0; i < 32; i++, sent++) {
            send_numbered(&alice, &bob, TEST_MARKED, sent, 200);
            send_numbered(&bob, &alice, TEST_MARKED, sent, 200);
        }
        transport_flush(alice.transport);
        transport_flush(bob.transport);
        test_node_await(&bob, bob.frames + 1000 > sent);
        test_node_await(&alice, alice.frames + 1000 > sent);
    }
    ck_assert_uint_ge(figures_of(&alice).links_closed, 10);
    test_node_await(&bob, bob.frames == sent);
    test_node_await(&alice, alice.frames == sent);
    for (uint64_t i = 0; i < sent; i++)
        ck_assert(alice.numbers_seen[i] == 1 && bob.numbers_seen[i] == 1);
    ck_assert_uint_eq(alice.ups, 1);
    ck_assert_uint_eq(bob.ups, 1);
    ck_assert_uint_eq(alice.downs, 0);
    ck_assert_uint_eq(bob.downs, 0);
    ck_assert_uint_eq(alice.dials_failed, 0);
    stop_both();
}
END_TEST

/* ---- bounds ---- */

START_TEST(connections_of_one_address_are_capped)
{
    struct transport_limits limits = limits_of_test();
    int streams[3];
    char byte;

    limits.per_address_max = 2;
    limits.count_loopback = true;
    test_node_start(&bob, &limits);
    for (size_t i = 0; i < 3; i++) {
        streams[i] = connect_raw(&bob);
        test_await(figures_of(&bob).accepted == i + 1);
    }
    ck_assert_int_le(recv(streams[2], &byte, 1, 0), 0); /* closed at once */
    ck_assert_uint_eq(figures_of(&bob).accepts_refused, 1);
    ck_assert_uint_eq(figures_of(&bob).handshakes_pending, 2);
    close(streams[0]); /* its place is free again */
    test_await(figures_of(&bob).handshakes_pending == 1);
    test_node_start(&alice, NULL);
    test_node_link(&alice, &bob);
    close(streams[1]);
    close(streams[2]);
    stop_both();
}
END_TEST

START_TEST(connections_come_only_so_often_from_one_address)
{
    struct transport_limits limits = limits_of_test();

    limits.accepts_per_s = 1;
    limits.accepts_burst = 3;
    limits.count_loopback = true;
    test_node_start(&bob, &limits);
    for (size_t i = 0; i < 5; i++) {
        close(connect_raw(&bob));
        test_await(figures_of(&bob).accepted == i + 1);
    }
    ck_assert_uint_ge(figures_of(&bob).accepts_refused, 1);
    ck_assert_uint_le(figures_of(&bob).accepts_refused, 2);
    test_node_stop(&bob);
}
END_TEST

START_TEST(handshakes_that_wait_are_capped_and_the_oldest_goes)
{
    struct transport_limits limits = limits_of_test();
    int streams[4];
    char byte;

    limits.handshakes_pending_max = 3;
    start_both(&limits);
    for (size_t i = 0; i < 4; i++) {
        streams[i] = connect_raw(&bob);
        test_await(figures_of(&bob).accepted == i + 1);
    }
    ck_assert_int_le(recv(streams[0], &byte, 1, 0), 0);
    test_await(figures_of(&bob).handshakes_pending == 3);
    test_node_link(&alice, &bob); /* the crowd does not keep a real one out */
    for (size_t i = 0; i < 4; i++)
        close(streams[i]);
    stop_both();
}
END_TEST

START_TEST(handshakes_of_the_node_are_capped_by_the_second)
{
    struct transport_limits limits = limits_of_test();

    limits.handshakes_per_s = 1;
    start_both(&limits);
    test_node_link(&alice, &bob);
    test_node_stop(&alice);
    test_node_start(&alice, NULL);
    ck_assert_int_eq(test_node_dial(&alice, &bob, true, false), 0);
    test_node_await(&alice, alice.dials_failed == 1); /* it needs two first messages at once */
    stop_both();
}
END_TEST

START_TEST(links_are_capped)
{
    struct transport_limits limits = limits_of_test();
    int streams[3];

    limits.links_max = 2;
    test_node_start(&bob, &limits);
    for (size_t i = 0; i < 3; i++) {
        streams[i] = connect_raw(&bob);
        test_await(figures_of(&bob).accepted == i + 1);
    }
    ck_assert_uint_eq(figures_of(&bob).accepts_refused, 1);
    test_node_start(&alice, NULL);
    ck_assert_int_eq(test_node_dial(&bob, &alice, true, true), FAULT_BUSY);
    for (size_t i = 0; i < 3; i++)
        close(streams[i]);
    stop_both();
}
END_TEST

/* A listener whose backlog nobody serves: connections are made, and nothing is said. */
static int listen_dumb(char address[32])
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(listener, (struct sockaddr *)&name, size), 0);
    ck_assert_int_eq(listen(listener, 64), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&name, &size), 0);
    snprintf(address, 32, "127.0.0.1:%u", ntohs(name.sin_port));
    return listener;
}

START_TEST(dials_are_capped_and_a_dumb_callee_is_given_up)
{
    struct transport_limits limits = limits_of_test();
    char address[32];
    int listener = listen_dumb(address);

    limits.dials_max = 2;
    limits.handshake_ms = 200;
    test_node_start(&alice, &limits);
    ck_assert_int_eq(transport_dial(alice.transport, bytes_of_text(address), NULL, NULL), 0);
    ck_assert_int_eq(transport_dial(alice.transport, bytes_of_text(address), NULL, NULL), 0);
    ck_assert_int_eq(transport_dial(alice.transport, bytes_of_text(address), NULL, NULL),
                     FAULT_BUSY);
    test_node_await(&alice, alice.dials_failed == 2);
    ck_assert_str_eq(alice.reason, "the handshake took too long");
    ck_assert_int_eq(transport_dial(alice.transport, bytes_of_text(address), NULL, NULL), 0);
    test_node_stop(&alice);
    ck_assert_uint_eq(alice.dials_failed, 3); /* told even when the node closes */
    close(listener);
}
END_TEST

/* 240.0.0.0/4 is reserved: packets to it go nowhere, or the kernel says so at once. */
START_TEST(a_dial_that_is_not_answered_ends_in_time)
{
    struct transport_limits limits = limits_of_test();

    limits.dial_ms = 200;
    test_node_start(&alice, &limits);
    ck_assert_int_eq(transport_dial(alice.transport, bytes_of_text("240.0.0.1:4711"), NULL, NULL),
                     0);
    test_node_await(&alice, alice.dials_failed == 1);
    test_node_stop(&alice);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transport");
    TCase *handshakes = tcase_create("handshakes"), *frames = tcase_create("frames");
    TCase *links = tcase_create("links"), *bounds = tcase_create("bounds");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(handshakes, who_knows_the_key_links_without_a_notice);
    tcase_add_test(handshakes, who_knows_the_node_only_asks_for_its_key);
    tcase_add_test(handshakes, who_knows_an_address_only_takes_whoever_answers);
    tcase_add_test(handshakes, a_key_that_was_replaced_leads_to_the_new_one);
    tcase_add_test(handshakes, another_node_than_the_one_meant_is_refused);
    tcase_add_test(handshakes, the_node_itself_is_refused);
    tcase_add_test(handshakes, names_are_looked_up);
    tcase_add_test(handshakes, ipv6_links_as_well);
    tcase_add_test(handshakes, what_is_no_address_is_refused_at_once);
    tcase_add_test(handshakes, a_name_that_does_not_exist_fails);
    tcase_add_test(handshakes, a_port_where_nobody_listens_fails);
    tcase_add_test(handshakes, who_was_not_introduced_neither_dials_nor_answers);
    tcase_add_test(handshakes, a_second_listener_on_one_port_is_a_fault);
    tcase_add_test(frames, frames_of_every_size_arrive_unchanged_both_ways);
    tcase_add_test(frames, a_frame_longer_than_a_session_carries_is_not_taken);
    tcase_add_test(frames, many_frames_come_in_order);
    tcase_add_test(frames, echoes_from_a_handler_come_back);
    tcase_add_test(frames, a_node_without_a_link_is_not_reached);
    tcase_add_test(frames, a_full_queue_says_busy_and_nothing_that_was_taken_is_lost);
    tcase_add_test(frames, a_handler_that_waits_stops_the_reading);
    tcase_add_test(frames, refused_frames_close_the_link_at_the_limit);
    tcase_add_test(links, a_link_that_ends_is_reported_once_on_each_side);
    tcase_add_test(links, a_link_that_is_hung_up_on_is_a_goodbye_to_both_ends);
    tcase_add_test(links, a_node_that_stops_says_goodbye);
    tcase_add_test(links, a_link_that_breaks_is_no_goodbye);
    tcase_add_test(links, a_node_that_was_hung_up_on_can_be_linked_again);
    tcase_add_test(links, what_was_sent_before_closing_arrives);
    tcase_add_test(links, pings_measure_the_round_trip);
    tcase_add_test(links, a_quiet_link_stays_up_by_pings);
    tcase_add_test(links, a_node_that_does_not_answer_is_away_after_three_pings);
    tcase_add_test(links, a_peer_that_does_not_read_is_given_up);
    tcase_add_test(links, two_that_dial_each_other_at_once_keep_one_link);
    tcase_add_test(links, of_two_links_the_one_that_the_lower_id_opened_stays);
    tcase_add_test(links, a_dial_to_a_node_that_is_linked_says_so);
    tcase_add_test(links, a_link_that_is_replaced_loses_no_frame);
    tcase_add_test(bounds, connections_of_one_address_are_capped);
    tcase_add_test(bounds, connections_come_only_so_often_from_one_address);
    tcase_add_test(bounds, handshakes_that_wait_are_capped_and_the_oldest_goes);
    tcase_add_test(bounds, handshakes_of_the_node_are_capped_by_the_second);
    tcase_add_test(bounds, links_are_capped);
    tcase_add_test(bounds, dials_are_capped_and_a_dumb_callee_is_given_up);
    tcase_add_test(bounds, a_dial_that_is_not_answered_ends_in_time);
    tcase_set_timeout(handshakes, 60);
    tcase_set_timeout(frames, 60);
    tcase_set_timeout(links, 60);
    tcase_set_timeout(bounds, 60);
    suite_add_tcase(suite, handshakes);
    suite_add_tcase(suite, frames);
    suite_add_tcase(suite, links);
    suite_add_tcase(suite, bounds);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
