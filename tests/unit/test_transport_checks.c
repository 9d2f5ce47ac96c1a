/* Frames that stand for themselves: checked by several workers, handed on in their order. */
#include "../support/test_node.h"

#include <errno.h>
#include <time.h>

enum { TEST_APART = 20 }; /* a kind that goes to `check` */
#define TOGETHER 20u      /* so many small frames come with one read, even of an idle link */
#define BATCH_MAX 4u
#define SMALL 16u

/* What is asked of the handlers, and what they saw. */
static struct story {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t waits_for;     /* the frame of this number waits in `check`… */
    uint64_t until_checked; /* …until so many were checked, a second at most; 0: none waits */
    uint64_t refused_from, refused_to; /* frames of these numbers are refused */
    uint64_t checked, taken, most_at_once_taken;
    uint64_t others,
        others_at; /* frames of another kind, and how many were taken before the last */
    size_t at_once, at_once_max;
    bool out_of_order, held, ended_last;
    uint64_t next[2]; /* number that must come next, by link */
    struct id from[2];
} story;

static struct test_node alice, bob, carol;

static uint64_t number_of(struct bytes body)
{
    uint64_t number;

    ck_assert_uint_ge(body.size, sizeof number);
    memcpy(&number, body.data, sizeof number);
    return number;
}

/* Under the lock. False: nobody else came, for as long as it takes to believe that. */
static bool wait_for_others(void)
{
    struct timespec until;
    int passed = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1;
    while (story.checked < story.until_checked && passed != ETIMEDOUT)
        passed = pthread_cond_timedwait(&story.changed, &story.lock, &until);
    return story.checked >= story.until_checked;
}

static void on_check(void *context, size_t worker, const struct id *from,
                     struct transport_frame *frame)
{
    uint64_t number = number_of(frame->body);

    (void)context;
    (void)worker;
    (void)from;
    pthread_mutex_lock(&story.lock);
    story.at_once++;
    if (story.at_once > story.at_once_max)
        story.at_once_max = story.at_once;
    pthread_cond_broadcast(&story.changed);
    while (story.held)
        pthread_cond_wait(&story.changed, &story.lock);
    if (number == story.waits_for && story.until_checked > 0)
        story.ended_last = wait_for_others();
    frame->refused = number >= story.refused_from && number < story.refused_to;
    frame->checked = frame->refused ? NULL : frame;
    story.checked++;
    story.at_once--;
    pthread_cond_broadcast(&story.changed);
    pthread_mutex_unlock(&story.lock);
}

/* Under the lock. */
static size_t link_of(const struct id *from)
{
    size_t link = 0;

    while (!id_is_zero(&story.from[link]) && !id_equal(&story.from[link], from))
        ck_assert_uint_lt(++link, 2);
    story.from[link] = *from;
    return link;
}

static void on_take(void *context, const struct id *from, struct transport_frame *frames,
                    size_t count)
{
    (void)context;
    pthread_mutex_lock(&story.lock);
    if (count > story.most_at_once_taken)
        story.most_at_once_taken = count;
    for (size_t i = 0; i < count; i++) {
        uint64_t *next = &story.next[link_of(from)], number = number_of(frames[i].body);

        ck_assert_ptr_eq(frames[i].checked, frames[i].refused ? NULL : &frames[i]);
        story.out_of_order = story.out_of_order || number != *next;
        *next = number + 1;
        story.taken += !frames[i].refused;
    }
    pthread_cond_broadcast(&story.changed);
    pthread_mutex_unlock(&story.lock);
}

static bool on_other(void *context, size_t worker, const struct id *from, uint8_t kind,
                     struct bytes body)
{
    (void)context;
    (void)worker;
    (void)from;
    (void)kind;
    (void)body;
    pthread_mutex_lock(&story.lock);
    story.others++;
    story.others_at = story.taken;
    pthread_cond_broadcast(&story.changed);
    pthread_mutex_unlock(&story.lock);
    return true;
}

static const struct transport_handlers handlers = {
    .kinds_apart = 1u << TEST_APART, .check = on_check, .take = on_take, .frame = on_other};

#define story_await(condition) test_node_await(&story, condition)

static void begin(void)
{
    pthread_condattr_t steady;

    memset(&story, 0, sizeof story);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&story.lock, NULL);
    pthread_cond_init(&story.changed, &steady);
    pthread_condattr_destroy(&steady);
    test_node_be_born(&bob);
    bob.instead = &handlers;
    test_node_open(&bob, NULL);
    test_node_start(&alice, NULL);
    test_node_link(&alice, &bob);
}

static void hold(bool held)
{
    pthread_mutex_lock(&story.lock);
    story.held = held;
    pthread_cond_broadcast(&story.changed);
    pthread_mutex_unlock(&story.lock);
}

static void end(void)
{
    hold(false);
    test_node_stop(&alice);
    test_node_stop(&bob);
    pthread_cond_destroy(&story.changed);
    pthread_mutex_destroy(&story.lock);
}

static void send_numbered(struct test_node *from, uint8_t kind, uint64_t number, size_t size)
{
    static uint8_t body[3 * SESSION_PART_MAX];

    ck_assert_uint_ge(sizeof body, size);
    memcpy(body, &number, sizeof number);
    ck_assert_int_eq(transport_send(from->transport, &bob.id, kind, bytes_of(body, size)), 0);
}

/* With one write: what is small enough comes with one read. */
static void send_many(struct test_node *from, uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        send_numbered(from, TEST_APART, first + i, SMALL);
    transport_flush(from->transport);
}

static struct transport_figures figures_of_bob(void)
{
    struct transport_figures figures;

    transport_figures(bob.transport, &figures);
    return figures;
}

START_TEST(order_is_kept_though_the_first_check_ends_last)
{
    uint64_t sent = 0;
    bool ended_last = false;

    begin();
    while (!ended_last) { /* now and then a write comes with two reads, and the first is alone */
        pthread_mutex_lock(&story.lock);
        story.waits_for = sent;
        story.until_checked =
            sent + BATCH_MAX - 1; /* all others of its batch, by the other worker */
        pthread_mutex_unlock(&story.lock);
        send_many(&alice, sent, TOGETHER);
        sent += TOGETHER;
        story_await(story.taken == sent);
        pthread_mutex_lock(&story.lock);
        ended_last = story.ended_last;
        pthread_mutex_unlock(&story.lock);
    }
    ck_assert(!story.out_of_order);
    ck_assert_uint_eq(story.at_once_max, 2);
    end();
}
END_TEST

START_TEST(order_is_kept_over_many_reads)
{
    enum { COUNT = 20000 };

    begin();
    for (uint64_t i = 0; i < COUNT; i += 50)
        send_many(&alice, i, 50);
    story_await(story.taken == COUNT);
    ck_assert(!story.out_of_order);
    ck_assert_uint_eq(story.checked, COUNT);
    end();
}
END_TEST

START_TEST(no_more_than_a_batch_is_open_at_once)
{
    enum { COUNT = 3000 };

    begin();
    hold(true);
    send_many(&alice, 0, COUNT); /* waits in buffers, so that reads become large */
    story_await(story.at_once > 0);
    hold(false);
    story_await(story.taken == COUNT);
    ck_assert(!story.out_of_order);
    ck_assert_uint_eq(story.most_at_once_taken, BATCH_MAX);
    end();
}
END_TEST

START_TEST(a_frame_of_several_parts_keeps_its_place)
{
    begin();
    for (uint64_t i = 0; i < 3 * TOGETHER; i++)
        send_numbered(&alice, TEST_APART, i, i % 7 == 3 ? 2 * SESSION_PART_MAX + 100 : SMALL);
    transport_flush(alice.transport);
    story_await(story.taken == 3 * TOGETHER);
    ck_assert(!story.out_of_order);
    end();
}
END_TEST

START_TEST(a_frame_of_another_kind_keeps_its_place)
{
    begin();
    for (uint64_t i = 0; i < TOGETHER / 2; i++)
        send_numbered(&alice, TEST_APART, i, SMALL);
    send_numbered(&alice, TEST_FRAME, 0, SMALL);
    send_many(&alice, TOGETHER / 2, TOGETHER / 2);
    story_await(story.taken == TOGETHER);
    ck_assert_uint_eq(story.others, 1);
    ck_assert_uint_eq(story.others_at, TOGETHER / 2);
    ck_assert(!story.out_of_order);
    end();
}
END_TEST

START_TEST(a_refused_frame_amid_good_ones_is_counted_and_the_others_taken)
{
    begin();
    story.refused_from = 7;
    story.refused_to = 8;
    send_many(&alice, 0, TOGETHER);
    story_await(story.taken == TOGETHER - 1);
    test_await(figures_of_bob().frames_refused == 1);
    ck_assert(!story.out_of_order);
    ck_assert(transport_has_link(bob.transport, &alice.id));
    ck_assert_uint_eq(bob.downs, 0);
    end();
}
END_TEST

START_TEST(what_follows_the_frames_that_close_the_link_is_not_looked_at)
{
    struct transport_limits limits;

    transport_limits_default(&limits);
    begin();
    story.refused_from = 4;
    story.refused_to = TOGETHER;
    send_many(&alice, 0, TOGETHER);
    test_node_await(&bob, bob.downs == 1);
    ck_assert_str_eq(bob.reason, "too many frames were refused");
    ck_assert_uint_eq(story.taken, 4);
    ck_assert_uint_ge(story.checked, 4 + limits.bad_frames_max);
    ck_assert_uint_le(story.checked, 4 + limits.bad_frames_max + 1); /* the other was at one */
    ck_assert_uint_eq(figures_of_bob().frames_refused, story.checked - 4);
    end();
}
END_TEST

START_TEST(refusals_are_counted_over_batches)
{
    begin();
    story.refused_to = 3;
    for (uint64_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(bob.downs, 0);
        send_many(&alice, i, 1);
        story_await(story.checked == i + 1);
    }
    test_node_await(&bob, bob.downs == 1);
    ck_assert_uint_eq(figures_of_bob().frames_refused, 3);
    end();
}
END_TEST

/* The other end is gone; what came from it is handed on all the same, and `down` follows. */
START_TEST(a_link_that_ends_while_its_frames_are_checked_ends_after_them)
{
    begin();
    hold(true);
    send_many(&alice, 0, TOGETHER);
    story_await(story.at_once == 2);
    transport_hang_up(bob.transport, &alice.id, "the test says so");
    test_node_hold(&alice, false);
    transport_close(alice.transport);
    alice.transport = NULL;
    ck_assert_uint_eq(bob.downs, 0);
    hold(false);
    test_node_await(&bob, bob.downs == 1);
    ck_assert_uint_eq(story.taken, TOGETHER);
    ck_assert(!story.out_of_order);
    end();
}
END_TEST

/* Both workers read a link each, so nobody helps: each does its own. */
START_TEST(two_links_at_once_keep_their_order_each)
{
    enum { COUNT = 5000 };

    begin();
    test_node_start(&carol, NULL);
    ck_assert_int_eq(test_node_dial(&carol, &bob, true, true), 0);
    test_node_await(&carol, carol.ups == 1);
    hold(true);
    send_many(&alice, 0, 1);
    send_many(&carol, 0, 1);
    story_await(story.at_once == 2);
    for (uint64_t i = 1; i < COUNT; i += 7) {
        uint64_t count = COUNT - i < 7 ? COUNT - i : 7;

        send_many(&alice, i, count);
        send_many(&carol, i, count);
    }
    hold(false);
    story_await(story.taken == 2 * COUNT);
    ck_assert(!story.out_of_order);
    ck_assert_uint_eq(story.next[0], COUNT);
    ck_assert_uint_eq(story.next[1], COUNT);
    ck_assert_uint_eq(story.at_once_max, 2);
    test_node_stop(&carol);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transport_checks");
    TCase *checks = tcase_create("checks");
    SRunner *runner;
    int failed;

    tcase_add_test(checks, order_is_kept_though_the_first_check_ends_last);
    tcase_add_test(checks, order_is_kept_over_many_reads);
    tcase_add_test(checks, no_more_than_a_batch_is_open_at_once);
    tcase_add_test(checks, a_frame_of_several_parts_keeps_its_place);
    tcase_add_test(checks, a_frame_of_another_kind_keeps_its_place);
    tcase_add_test(checks, a_refused_frame_amid_good_ones_is_counted_and_the_others_taken);
    tcase_add_test(checks, what_follows_the_frames_that_close_the_link_is_not_looked_at);
    tcase_add_test(checks, refusals_are_counted_over_batches);
    tcase_add_test(checks, a_link_that_ends_while_its_frames_are_checked_ends_after_them);
    tcase_add_test(checks, two_links_at_once_keep_their_order_each);
    tcase_set_timeout(checks, 60);
    suite_add_tcase(suite, checks);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
