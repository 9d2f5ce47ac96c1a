/* What strangers do to a listening node, and what a peer with a session can still try. */
#include "test_node.h"

#include "core/bundle.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG_HALF 64u /* of connections that wait to be accepted */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static struct test_node bob;

static struct transport_limits limits_of_test(void)
{
    struct transport_limits limits;

    transport_limits_default(&limits);
    limits.sweep_ms = 10;
    limits.handshakes_per_s = 100000;
    return limits;
}

static struct transport_figures figures_of(struct test_node *node)
{
    struct transport_figures figures;

    transport_figures(node->transport, &figures);
    return figures;
}

static void expect_serving(struct test_node *node)
{
    struct test_node alice;

    test_node_start(&alice, NULL);
    ck_assert_int_eq(test_node_dial(&alice, node, true, true), 0);
    test_node_await(&alice, alice.ups + alice.dials_failed > 0);
    ck_assert_uint_eq(alice.ups, 1);
    ck_assert_int_eq(
        transport_send(alice.transport, &node->id, TEST_ECHO, bytes_of_text("still there?")), 0);
    transport_flush(alice.transport);
    test_node_await(&alice, alice.frames == 1);
    test_node_stop(&alice);
}

/* ---- strangers ---- */

static int connect_raw(const struct test_node *to)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(transport_port(to->transport, 0)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 10};
    int stream = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_ge(stream, 0);
    setsockopt(stream, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(stream, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    ck_assert_int_eq(connect(stream, (struct sockaddr *)&address, sizeof address), 0);
    return stream;
}

/* Whatever still comes is read past; then the end must come, and not by our own patience. */
static void expect_closed(int stream)
{
    uint8_t data[4096];
    ssize_t size;

    while ((size = recv(stream, data, sizeof data, 0)) > 0)
        ;
    ck_assert_msg(size == 0 || errno == ECONNRESET, "the connection is still open");
}

static void close_by_reset(int stream)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    setsockopt(stream, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(stream);
}

static void close_by_end_and_reset(int stream)
{
    shutdown(stream, SHUT_WR);
    close_by_reset(stream);
}

/* The case that silences nng's own listeners for good: FIN, then RST, before the accept. */
START_TEST(connections_reset_before_they_are_accepted_do_not_silence_the_node)
{
    const char *listen = "127.0.0.1:0";
    struct transport_settings settings = {.listen = &listen,
                                          .listen_count = 1,
                                          .network = bytes_of_text(TEST_NETWORK),
                                          .workers = 2,
                                          .handlers = {.context = &bob,
                                                       .up = test_node_on_up,
                                                       .down = test_node_on_down,
                                                       .dial_failed = test_node_on_dial_failed,
                                                       .frame = test_node_on_frame}};

    test_node_be_born(&bob);
    settings.limits = limits_of_test();
    settings.self = bob.id;
    settings.static_pair = bob.pair;
    ck_assert_int_eq(transport_open(&bob.transport, &settings), 0);
    for (int i = 0; i < 64; i++) /* into the backlog: nothing is accepted before the introduction */
        close_by_end_and_reset(connect_raw(&bob));
    snprintf(bob.address, sizeof bob.address, "127.0.0.1:%u", transport_port(bob.transport, 0));
    transport_introduce(bob.transport, bob.introduction);
    expect_serving(&bob);
    test_node_stop(&bob);
}
END_TEST

/* What the backlog has no room for is asked for again a second later: so none come faster than they are accepted. */
static void await_room(unsigned connected)
{
    if (connected % BACKLOG_HALF == 0)
        test_await(figures_of(&bob).accepted + BACKLOG_HALF >= connected);
}

START_TEST(a_storm_of_resets_leaves_the_node_serving)
{
    struct transport_limits limits = limits_of_test();

    test_node_start(&bob, &limits);
    for (unsigned i = 0; i < 3000; i++) {
        await_room(i);
        close_by_end_and_reset(connect_raw(&bob));
    }
    expect_serving(&bob);
    test_await(figures_of(&bob).handshakes_pending == 0);
    test_node_stop(&bob);
}
END_TEST

static size_t resident_bytes(void)
{
    unsigned long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%lu %lu", &pages, &resident), 2);
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void send_garbage(int stream, unsigned number)
{
    uint8_t data[2000];
    size_t size = randombytes_uniform(sizeof data) + 1;

    randombytes_buf(data, sizeof data);
    if (number % 2) { /* a plausible beginning: length, and a type of the handshake */
        memset(data, 0, 4);
        data[2] = (uint8_t)(number % 8);
        data[3] = (uint8_t)(number % 251);
        data[4] = (uint8_t)(number % 7);
    }
    if (send(stream, data, size, MSG_NOSIGNAL) < 0)
        ck_assert_int_ne(errno, EAGAIN);
}

START_TEST(ten_thousand_garbage_connections_leave_the_node_serving)
{
    struct transport_limits limits = limits_of_test();
    size_t before;

    test_node_start(&bob, &limits);
    for (unsigned i = 0; i < 10000; i++) {
        int stream;

        await_room(i);
        stream = connect_raw(&bob);

        if (i == 1000)
            before = resident_bytes();
        send_garbage(stream, i);
        close_by_reset(stream);
    }
    expect_serving(&bob);
    test_await(figures_of(&bob).handshakes_pending == 0);
    if (!SANITIZED)
        ck_assert_uint_lt(resident_bytes(), before + 4 * MIB);
    ck_assert_uint_eq(figures_of(&bob).accepted, 10001);
    test_node_stop(&bob);
}
END_TEST

START_TEST(a_claim_of_4_gib_ends_the_connection_and_takes_no_memory)
{
    const uint8_t claim[] = {0xff, 0xff, 0xff, 0xff, SESSION_FIRST};
    struct transport_limits limits = limits_of_test();
    size_t before;
    int streams[100];

    test_node_start(&bob, &limits);
    before = resident_bytes();
    for (size_t i = 0; i < 100; i++) {
        streams[i] = connect_raw(&bob);
        ck_assert_int_eq(send(streams[i], claim, sizeof claim, MSG_NOSIGNAL), sizeof claim);
    }
    for (size_t i = 0; i < 100; i++) {
        expect_closed(streams[i]);
        close(streams[i]);
    }
    if (!SANITIZED)
        ck_assert_uint_lt(resident_bytes(), before + 4 * MIB);
    expect_serving(&bob);
    test_node_stop(&bob);
}
END_TEST

/* 8192 bytes of body are allowed before a link is up: one more is not. */
START_TEST(a_handshake_frame_over_its_limit_ends_the_connection)
{
    struct transport_limits limits = limits_of_test();
    uint8_t length[5] = {0, 0, 0, 0, SESSION_FIRST};
    int stream;

    test_node_start(&bob, &limits);
    stream = connect_raw(&bob);
    length[2] = (1 + SESSION_HANDSHAKE_MAX) >> 8;
    length[3] = (1 + SESSION_HANDSHAKE_MAX) & 0xff;
    ck_assert_int_eq(send(stream, length, sizeof length, MSG_NOSIGNAL), sizeof length);
    test_await(figures_of(&bob).bytes_in == sizeof length);
    ck_assert_uint_eq(figures_of(&bob).handshakes_pending, 1); /* it may go on */
    close(stream);
    stream = connect_raw(&bob);
    length[3]++;
    ck_assert_int_eq(send(stream, length, sizeof length, MSG_NOSIGNAL), sizeof length);
    expect_closed(stream);
    close(stream);
    test_node_stop(&bob);
}
END_TEST

START_TEST(a_stranger_that_says_nothing_is_closed_in_time)
{
    struct transport_limits limits = limits_of_test();
    uint64_t began_ms;
    int stream;

    limits.handshake_ms = 100;
    test_node_start(&bob, &limits);
    began_ms = clock_now_ms();
    stream = connect_raw(&bob);
    expect_closed(stream);
    ck_assert_uint_ge(clock_now_ms() - began_ms, 100);
    close(stream);
    test_node_stop(&bob);
}
END_TEST

/* A byte now and then does not buy more time. */
START_TEST(a_stranger_that_dawdles_is_closed_in_time)
{
    struct transport_limits limits = limits_of_test();
    const uint8_t zero = 0;
    int stream, sent = 0;

    limits.handshake_ms = 200;
    test_node_start(&bob, &limits);
    stream = connect_raw(&bob);
    ck_assert_int_eq(send(stream, "\0\0\4\1\1", 5, MSG_NOSIGNAL), 5);
    while (send(stream, &zero, 1, MSG_NOSIGNAL) == 1) {
        ck_assert_int_lt(sent++, 1000);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL); /* this is the attack */
    }
    close(stream);
    test_await(figures_of(&bob).handshakes_failed == 1);
    test_node_stop(&bob);
}
END_TEST

START_TEST(a_frame_that_begins_and_stops_is_closed_in_time)
{
    struct transport_limits limits = limits_of_test();
    int stream;

    limits.handshake_ms = 60000;
    limits.frame_ms = 100;
    test_node_start(&bob, &limits);
    stream = connect_raw(&bob);
    ck_assert_int_eq(send(stream, "\0\0", 2, MSG_NOSIGNAL), 2);
    expect_closed(stream);
    close(stream);
    test_node_stop(&bob);
}
END_TEST

static double cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

START_TEST(a_node_without_descriptors_waits_and_goes_on)
{
    struct transport_limits limits = limits_of_test();
    struct rlimit few = {.rlim_cur = 200, .rlim_max = 200};
    int spare[200], stream;
    size_t count = 0;
    double before;

    test_node_start(&bob, &limits);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (count < 200 && (spare[count] = open("/dev/null", O_RDONLY)) >= 0)
        count++;
    ck_assert_uint_gt(count, 10);
    close(spare[--count]);
    stream = connect_raw(&bob); /* takes the last one: the accept finds none */
    before = cpu_seconds();
    nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL); /* the span that is measured */
    ck_assert(cpu_seconds() - before < 0.1);
    ck_assert_uint_eq(figures_of(&bob).accepted, 0);
    while (count > 0)
        close(spare[--count]);
    test_await(figures_of(&bob).accepted == 1);
    close(stream);
    expect_serving(&bob);
    test_node_stop(&bob);
}
END_TEST

/* ---- a peer with a session ---- */

struct peer {
    struct test_node node; /* its identity only */
    struct session *session;
    int stream;
};

static void send_frame(struct peer *peer, enum session_frame type, const void *body, size_t size)
{
    uint8_t head[5] = {(uint8_t)((1 + size) >> 24), (uint8_t)((1 + size) >> 16),
                       (uint8_t)((1 + size) >> 8), (uint8_t)(1 + size), (uint8_t)type};

    ck_assert_int_eq(send(peer->stream, head, sizeof head, MSG_NOSIGNAL), sizeof head);
    if (size)
        ck_assert_int_eq(send(peer->stream, body, size, MSG_NOSIGNAL), (ssize_t)size);
}

static size_t receive_frame(struct peer *peer, enum session_frame *type, uint8_t *body, size_t max)
{
    uint8_t head[5];
    size_t size;

    ck_assert_int_eq(recv(peer->stream, head, sizeof head, MSG_WAITALL), sizeof head);
    size = ((size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3]) - 1;
    *type = head[4];
    ck_assert_uint_le(size, max);
    ck_assert_int_eq(recv(peer->stream, body, size, MSG_WAITALL), (ssize_t)size);
    return size;
}

static void peer_shake(struct peer *peer, struct test_node *to, uint32_t protocol)
{
    uint8_t ephemeral[64], body[SESSION_HANDSHAKE_MAX];
    struct session_settings settings;
    struct session_output output;
    enum session_frame type;
    size_t size;

    settings = (struct session_settings){.network = bytes_of_text(TEST_NETWORK),
                                         .self = peer->node.id,
                                         .static_pair = peer->node.pair,
                                         .introduction = peer->node.introduction,
                                         .protocol = protocol};
    randombytes_buf(ephemeral, sizeof ephemeral);
    peer->stream = connect_raw(to);
    peer->session = session_new_caller(&settings, &to->id, to->pair.public, ephemeral, &output);
    send_frame(peer, output.type, output.body.data, output.body.size);
    size = receive_frame(peer, &type, body, sizeof body);
    ck_assert_int_eq(
        session_receive(peer->session, type, bytes_of(body, size), clock_wall_ms(), &output),
        SESSION_UP);
    send_frame(peer, output.type, output.body.data, output.body.size);
}

/* Another link of the same node, beside those that it has. */
static void peer_link_again(struct peer *peer, struct test_node *to)
{
    peer_shake(peer, to, SESSION_PROTOCOL);
}

static void peer_link_as(struct peer *peer, struct test_node *to, uint32_t protocol)
{
    test_node_be_born(&peer->node);
    peer_shake(peer, to, protocol);
    test_node_await(to, to->ups == 1);
}

static void peer_link(struct peer *peer, struct test_node *to)
{
    peer_link_as(peer, to, SESSION_PROTOCOL);
}

static void peer_leave(struct peer *peer)
{
    close(peer->stream);
    session_free(peer->session);
    identity_key_free(peer->node.key);
    arena_free(&peer->node.memory);
}

static size_t seal(struct peer *peer, const void *inner, size_t inner_size, bool more_follow,
                   uint8_t *out)
{
    size_t size;

    ck_assert_int_eq(
        session_seal(peer->session, bytes_of(inner, inner_size), more_follow, out, &size),
        SESSION_TAKEN);
    return size;
}

static void send_inner(struct peer *peer, const void *inner, size_t inner_size)
{
    uint8_t body[SESSION_SEALED_MAX];

    send_frame(peer, SESSION_SEALED, body, seal(peer, inner, inner_size, false, body));
}

START_TEST(a_sealed_frame_that_stops_half_way_is_closed_in_time)
{
    struct transport_limits limits = limits_of_test();
    struct peer peer;

    limits.frame_ms = 100;
    test_node_start(&bob, &limits);
    peer_link(&peer, &bob);
    send_inner(&peer, "dhello", 6);
    test_node_await(&bob, bob.frames == 1);
    ck_assert_int_eq(send(peer.stream, "\0\0\1\0\5abc", 8, MSG_NOSIGNAL), 8);
    expect_closed(peer.stream);
    test_node_await(&bob, bob.downs == 1);
    ck_assert_str_eq(bob.reason, "a frame that had begun did not come to its end");
    peer_leave(&peer);
    test_node_stop(&bob);
}
END_TEST

START_TEST(a_turned_bit_ends_the_link)
{
    struct transport_limits limits = limits_of_test();
    uint8_t body[100];
    struct peer peer;
    size_t size;

    test_node_start(&bob, &limits);
    peer_link(&peer, &bob);
    size = seal(&peer, "dhello", 6, false, body);
    body[size / 2] ^= 1;
    send_frame(&peer, SESSION_SEALED, body, size);
    expect_closed(peer.stream);
    test_node_await(&bob, bob.downs == 1);
    ck_assert_uint_eq(bob.frames, 0);
    peer_leave(&peer);
    test_node_stop(&bob);
}
END_TEST

START_TEST(a_frame_that_comes_twice_ends_the_link)
{
    struct transport_limits limits = limits_of_test();
    uint8_t body[100];
    struct peer peer;
    size_t size;

    test_node_start(&bob, &limits);
    peer_link(&peer, &bob);
    size = seal(&peer, "dhello", 6, false, body);
    send_frame(&peer, SESSION_SEALED, body, size);
    send_frame(&peer, SESSION_SEALED, body, size);
    expect_closed(peer.stream);
    test_node_await(&bob, bob.downs == 1);
    ck_assert_uint_eq(bob.frames, 1);
    peer_leave(&peer);
    test_node_stop(&bob);
}
END_TEST

START_TEST(a_frame_that_is_not_sealed_ends_the_link)
{
    struct transport_limits limits = limits_of_test();
    struct peer peer;

    test_node_start(&bob, &limits);
    peer_link(&peer, &bob);
    send_frame(&peer, SESSION_NOTICE, "in clear", 8);
    expect_closed(peer.stream);
    peer_leave(&peer);
    test_node_stop(&bob);
}
END_TEST

START_TEST(a_sealed_frame_over_its_limit_ends_the_link)
{
    struct transport_limits limits = limits_of_test();
    uint8_t head[] = {0, 0, 0, 0, SESSION_SEALED};
    size_t size = 1 + SESSION_SEALED_MAX + 1;
    struct peer peer;

    test_node_start(&bob, &limits);
    peer_link(&peer, &bob);
    head[1] = (uint8_t)(size >> 16);
    head[2] = (uint8_t)(size >> 8);
    head[3] = (uint8_t)size;
    ck_assert_int_eq(send(peer.stream, head, sizeof head, MSG_NOSIGNAL), sizeof head);
    expect_closed(peer.stream);
    peer_leave(&peer);
    test_node_stop(&bob);
}
END_TEST

START_TEST(an_inner_frame_without_an_end_ends_the_link)
{
    struct transport_limits limits = limits_of_test();
    uint8_t *part = calloc(1, SESSION_PART_MAX), *body = malloc(SESSION_SEALED_MAX);
    struct peer peer;

    test_node_start(&bob, &limits);
    peer_link(&peer, &bob);
    for (size_t sent = 0; sent <= SESSION_INNER_MAX; sent += SESSION_PART_MAX)
        send_frame(&peer, SESSION_SEALED, body, seal(&peer, part, SESSION_PART_MAX, true, body));
    expect_closed(peer.stream);
    ck_assert_uint_eq(bob.frames, 0);
    free(part);
    free(body);
    peer_leave(&peer);
    test_node_stop(&bob);
}
END_TEST

/* An empty inner frame, pings of a wrong size: each is counted, the third ends the link. */
START_TEST(malformed_frames_are_counted_against_the_link)
{
    struct transport_limits limits = limits_of_test();
    const uint8_t short_ping[] = {FRAME_PING, 1, 2, 3};
    struct peer peer;

    test_node_start(&bob, &limits);
    peer_link(&peer, &bob);
    send_inner(&peer, "", 0);
    send_inner(&peer, short_ping, sizeof short_ping);
    test_await(figures_of(&bob).frames_refused == 2);
    ck_assert_uint_eq(bob.downs, 0);
    send_inner(&peer, short_ping, sizeof short_ping);
    expect_closed(peer.stream);
    test_node_await(&bob, bob.downs == 1);
    ck_assert_uint_eq(figures_of(&bob).frames_refused, 3);
    peer_leave(&peer);
    test_node_stop(&bob);
}
END_TEST

/* ---- bundles ---- */

/* One sealed frame; its inner frame is borrowed from `body`. */
static struct bytes receive_inner(struct peer *peer, uint8_t body[SESSION_SEALED_MAX])
{
    enum session_frame type;
    struct bytes inner;
    size_t size = receive_frame(peer, &type, body, SESSION_SEALED_MAX);

    ck_assert_int_eq(type, SESSION_SEALED);
    ck_assert_int_eq(session_open(peer->session, body, size, &inner), SESSION_TAKEN);
    return inner;
}

static void send_two(const struct peer *peer, bool flush)
{
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(transport_send(bob.transport, &peer->node.id, TEST_FRAME,
                                        bytes_of_text(i == 0 ? "one" : "two")),
                         0);
    if (flush)
        transport_flush(bob.transport);
}

START_TEST(who_does_not_know_bundles_is_sent_none)
{
    struct transport_limits limits = limits_of_test();
    static uint8_t body[SESSION_SEALED_MAX];
    struct peer peer;

    test_node_start(&bob, &limits);
    peer_link_as(&peer, &bob, SESSION_PROTOCOL_BUNDLES - 1);
    send_two(&peer, true);
    for (int i = 0; i < 2; i++) {
        struct bytes inner = receive_inner(&peer, body);

        while (inner.data[0] == FRAME_PING)
            inner = receive_inner(&peer, body);
        ck_assert_uint_eq(inner.data[0], TEST_FRAME);
        ck_assert(bytes_equal(bytes_of(inner.data + 1, inner.size - 1),
                              bytes_of_text(i == 0 ? "one" : "two")));
    }
    peer_leave(&peer);
    test_node_stop(&bob);
}
END_TEST

/* A ping that goes out meanwhile takes along what is there. */
START_TEST(what_leaves_together_leaves_in_bundles)
{
    enum { COUNT = 100 };
    struct transport_limits limits = limits_of_test();
    static uint8_t body[SESSION_SEALED_MAX];
    struct bundle_reader reader;
    struct bytes packed, inner;
    size_t came = 0, bundles = 0;
    struct peer peer;

    test_node_start(&bob, &limits);
    peer_link(&peer, &bob);
    for (int i = 0; i < COUNT / 2; i++)
        send_two(&peer, i == COUNT / 2 - 1);
    for (; came < COUNT; bundles++) {
        packed = receive_inner(&peer, body);
        ck_assert_uint_eq(packed.data[0], FRAME_BUNDLE);
        bundle_open(&reader, bytes_of(packed.data + 1, packed.size - 1));
        while (bundle_next(&reader, &inner) == BUNDLE_FRAME)
            came += inner.data[0] == TEST_FRAME;
    }
    ck_assert_uint_eq(came, COUNT);
    ck_assert_uint_lt(bundles, COUNT / 2);
    peer_leave(&peer);
    test_node_stop(&bob);
}
END_TEST

static void expect_bundle_ends_link(const void *inner, size_t size, uint64_t frames)
{
    struct transport_limits limits = limits_of_test();
    struct peer peer;

    test_node_start(&bob, &limits);
    peer_link(&peer, &bob);
    send_inner(&peer, inner, size);
    expect_closed(peer.stream);
    test_node_await(&bob, bob.downs == 1);
    ck_assert_uint_eq(bob.frames, frames);
    peer_leave(&peer);
    test_node_stop(&bob);
}

START_TEST(a_bundle_that_does_not_hold_ends_the_link)
{
    const uint8_t empty[] = {FRAME_BUNDLE};
    const uint8_t nested[] = {FRAME_BUNDLE, FRAME_BUNDLE, 0, 0, 0, 0, 0, 0};
    const uint8_t too_short[] = {FRAME_BUNDLE, TEST_FRAME, 0, 0, 0, 0, 0, 9};
    const uint8_t second_too_long[] = {FRAME_BUNDLE, TEST_FRAME, 0, 0, 0, 0, 0, 1,
                                       'a',          TEST_FRAME, 0, 1, 0, 1, 0, 0};

    expect_bundle_ends_link(empty, sizeof empty, 0);
    expect_bundle_ends_link(nested, sizeof nested, 0);
    expect_bundle_ends_link(too_short, sizeof too_short, 0);
    expect_bundle_ends_link(second_too_long, sizeof second_too_long, 1);
}
END_TEST

/* The third ends the link, and what follows it in the bundle is not looked at. */
START_TEST(each_malformed_frame_of_a_bundle_is_counted)
{
    uint8_t inner[1 + 4 * (BUNDLE_ENTRY_OVERHEAD + 3)] = {FRAME_BUNDLE}, *at = inner + 1;

    for (int i = 0; i < 4; i++, at += BUNDLE_ENTRY_OVERHEAD + 3) {
        at[0] = i < 3 ? FRAME_PING : TEST_FRAME;
        at[6] = 3;
    }
    expect_bundle_ends_link(inner, sizeof inner, 0);
}
END_TEST

/* One who asks without ever reading the answers cannot make them pile up. */
START_TEST(pongs_that_nobody_reads_are_bounded)
{
    struct transport_limits limits = limits_of_test();
    const uint8_t ping[9] = {FRAME_PING};
    uint8_t *burst = malloc(256 * 1024), body[64];
    struct peer peer;
    int small = 4096;

    limits.send_queue_max = 16 * 1024;
    limits.write_stall_ms = 500;
    test_node_start(&bob, &limits);
    peer_link(&peer, &bob);
    setsockopt(peer.stream, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (ssize_t sent = 1, times = 0; sent > 0; times++) { /* until the link is closed */
        size_t filled = 0;

        ck_assert_int_lt(times, 20000);
        for (size_t k = 0; k < 4000; k++) {
            size_t size = seal(&peer, ping, sizeof ping, false, body);

            burst[filled++] = 0;
            burst[filled++] = 0;
            burst[filled++] = 0;
            burst[filled++] = (uint8_t)(1 + size);
            burst[filled++] = SESSION_SEALED;
            memcpy(burst + filled, body, size);
            filled += size;
        }
        sent = send(peer.stream, burst, filled, MSG_NOSIGNAL);
    }
    test_node_await(&bob, bob.downs == 1);
    ck_assert_uint_gt(figures_of(&bob).sends_refused, 0);
    ck_assert_str_eq(bob.reason, "the other end does not read");
    free(burst);
    peer_leave(&peer);
    expect_serving(&bob);
    test_node_stop(&bob);
}
END_TEST

/* ---- who is hung up on, and stays ---- */

static struct transport_limits drains_in(uint32_t ms)
{
    struct transport_limits limits = limits_of_test();

    limits.drain_ms = ms;
    return limits;
}

START_TEST(who_is_hung_up_on_and_goes_on_talking_is_closed_in_time)
{
    struct transport_limits limits = drains_in(100);
    uint8_t body[SESSION_SEALED_MAX];
    struct peer peer;

    test_node_start(&bob, &limits);
    peer_link(&peer, &bob);
    transport_hang_up(bob.transport, &peer.node.id, "it is revoked");
    while (figures_of(&bob).links_up > 0) { /* and answers no ping */
        uint8_t head[5] = {0, 0, 0, 0, SESSION_SEALED};
        size_t size = seal(&peer, "dhello", 6, false, body);

        head[3] = (uint8_t)(1 + size);
        send(peer.stream, head, sizeof head, MSG_NOSIGNAL);
        send(peer.stream, body, size, MSG_NOSIGNAL);
    }
    test_node_await(&bob, bob.downs == 1);
    ck_assert_str_eq(bob.reason, "it is revoked");
    peer_leave(&peer);
    test_node_stop(&bob);
}
END_TEST

START_TEST(who_is_cut_off_says_nothing_any_more)
{
    struct transport_limits limits = drains_in(60000);
    struct peer peer;

    test_node_start(&bob, &limits);
    peer_link(&peer, &bob);
    transport_cut_off(bob.transport, &peer.node.id, "it is revoked");
    expect_closed(peer.stream);
    test_node_await(&bob, bob.downs == 1);
    ck_assert_str_eq(bob.reason, "it is revoked");
    ck_assert_uint_eq(bob.goodbyes, 1);
    peer_leave(&peer);
    test_node_stop(&bob);
}
END_TEST

START_TEST(who_is_hung_up_on_is_taken_again_only_when_its_link_has_ended)
{
    struct transport_limits limits = drains_in(60000);
    struct peer peer, again, later;

    test_node_start(&bob, &limits);
    peer_link(&peer, &bob);
    again = later = peer;
    transport_hang_up(bob.transport, &peer.node.id, "it is revoked");
    peer_link_again(&again, &bob);
    expect_closed(again.stream);
    ck_assert_uint_eq(bob.ups, 1);
    ck_assert_uint_eq(bob.downs, 0);
    close(peer.stream);
    test_node_await(&bob, bob.downs == 1);
    peer_link_again(&later, &bob);
    test_node_await(&bob, bob.ups == 2);
    close(again.stream);
    close(later.stream);
    session_free(again.session);
    session_free(later.session);
    session_free(peer.session);
    identity_key_free(peer.node.key);
    arena_free(&peer.node.memory);
    test_node_stop(&bob);
}
END_TEST

/* One that was replaced, and that its other end does not close, would take the place of the one that is gone. */
START_TEST(who_has_two_links_is_hung_up_on_both)
{
    struct transport_limits limits = drains_in(300);
    uint8_t body[SESSION_SEALED_MAX];
    enum session_frame type;
    struct peer peer, again;

    test_node_start(&bob, &limits);
    peer_link(&peer, &bob);
    again = peer;
    peer_link_again(&again, &bob);
    receive_frame(&again, &type, body, sizeof body); /* a ping: it is up */
    transport_hang_up(bob.transport, &peer.node.id, "it is revoked");
    close(again.stream);
    expect_closed(peer.stream);
    test_node_await(&bob, bob.downs == 1);
    ck_assert_uint_eq(bob.ups, 1);
    session_free(again.session);
    peer_leave(&peer);
    test_node_stop(&bob);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transport_hostile");
    TCase *strangers = tcase_create("strangers"), *peers = tcase_create("peers");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(strangers, connections_reset_before_they_are_accepted_do_not_silence_the_node);
    tcase_add_test(strangers, a_storm_of_resets_leaves_the_node_serving);
    tcase_add_test(strangers, ten_thousand_garbage_connections_leave_the_node_serving);
    tcase_add_test(strangers, a_claim_of_4_gib_ends_the_connection_and_takes_no_memory);
    tcase_add_test(strangers, a_handshake_frame_over_its_limit_ends_the_connection);
    tcase_add_test(strangers, a_stranger_that_says_nothing_is_closed_in_time);
    tcase_add_test(strangers, a_stranger_that_dawdles_is_closed_in_time);
    tcase_add_test(strangers, a_frame_that_begins_and_stops_is_closed_in_time);
    tcase_add_test(strangers, a_node_without_descriptors_waits_and_goes_on);
    tcase_add_test(peers, a_sealed_frame_that_stops_half_way_is_closed_in_time);
    tcase_add_test(peers, a_turned_bit_ends_the_link);
    tcase_add_test(peers, a_frame_that_comes_twice_ends_the_link);
    tcase_add_test(peers, a_frame_that_is_not_sealed_ends_the_link);
    tcase_add_test(peers, a_sealed_frame_over_its_limit_ends_the_link);
    tcase_add_test(peers, an_inner_frame_without_an_end_ends_the_link);
    tcase_add_test(peers, malformed_frames_are_counted_against_the_link);
    tcase_add_test(peers, who_is_hung_up_on_and_goes_on_talking_is_closed_in_time);
    tcase_add_test(peers, who_is_cut_off_says_nothing_any_more);
    tcase_add_test(peers, who_is_hung_up_on_is_taken_again_only_when_its_link_has_ended);
    tcase_add_test(peers, who_has_two_links_is_hung_up_on_both);
    tcase_add_test(peers, who_does_not_know_bundles_is_sent_none);
    tcase_add_test(peers, what_leaves_together_leaves_in_bundles);
    tcase_add_test(peers, a_bundle_that_does_not_hold_ends_the_link);
    tcase_add_test(peers, each_malformed_frame_of_a_bundle_is_counted);
    tcase_add_test(peers, pongs_that_nobody_reads_are_bounded);
    tcase_set_timeout(strangers, 90);
    tcase_set_timeout(peers, 60);
    suite_add_tcase(suite, strangers);
    suite_add_tcase(suite, peers);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
