/* What leaves the node, between a real store and real links. */
#include "perform.h"

#include "store_bed.h"
#include "test_node.h"

#include <check.h>

#define PARTS 30u
#define PART_BYTES (32u * KIB - 2)

static struct bed bed;
static struct test_node here, there;
static struct performer performer;
static struct id peck;

/* A peck that was answered in almost a MiB of parts. */
static void answer_in_parts(void)
{
    struct effect kept = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0}), said[PARTS];
    static char result[PART_BYTES + 3];
    struct partials partials = {0};

    memset(result, 'a', sizeof result - 1);
    result[0] = result[PART_BYTES + 1] = '"';
    for (size_t i = 0; i < PARTS; i++)
        said[i] = make_partial(&bed.bob, &kept, &partials, result, &bed.arena);
    bed_keep(&bed, said, PARTS);
    peck = kept.peck.id;
}

static void set_up(void)
{
    bed_make(&bed);
    answer_in_parts();
    test_node_start(&here, NULL);
    test_node_start(&there, NULL);
    test_node_link(&there, &here);
    memset(&performer, 0, sizeof performer);
    performer_init(&performer);
    performer.store = bed.store;
    performer.transport = here.transport;
    performer.node = here.id;
}

static void tear_down(void)
{
    performer_free(&performer);
    test_node_stop(&there);
    test_node_stop(&here);
    bed_free(&bed);
}

/* The other end repeats the peck, and says that it has no part of the answer. */
static void ask_again(const struct moment *at)
{
    struct effects effects;
    struct effect *effect;

    effects_init(&effects);
    effect = effects_add(&effects, EFFECT_SEND_RECEIPTS);
    effect->send_stored.node = there.id;
    effect->send_stored.peck = peck;
    perform(&performer, &effects, at);
    transport_flush(here.transport);
    effects_free(&effects);
}

static uint64_t bytes_there(void)
{
    uint64_t bytes;

    pthread_mutex_lock(&there.lock);
    bytes = there.bytes;
    pthread_mutex_unlock(&there.lock);
    return bytes;
}

static uint64_t frames_there(void)
{
    uint64_t frames;

    pthread_mutex_lock(&there.lock);
    frames = there.frames;
    pthread_mutex_unlock(&there.lock);
    return frames;
}

static bool send_one(void)
{
    uint64_t until_ms = clock_now_ms() + TEST_WAIT_MS;
    int fault;

    do
        fault = transport_send(here.transport, &there.id, TEST_FRAME, bytes_of_text("x"));
    while (fault == FAULT_BUSY && clock_now_ms() < until_ms);
    return fault == 0;
}

/* One frame follows what was sent before it. */
static void await_all_sent(void)
{
    pthread_mutex_lock(&there.lock);
    there.last_kind = 0;
    pthread_mutex_unlock(&there.lock);
    ck_assert(send_one());
    transport_flush(here.transport);
    test_node_await(&there, there.last_kind == TEST_FRAME);
}

START_TEST(a_peck_that_is_repeated_without_end_is_answered_within_a_quota)
{
    struct moment at = {.now_ms = 1000, .wall_ms = THINGS_WALL_MS};
    uint64_t burst, more;

    /* The links are faster than the made-up time, in which all this is one moment. */
    for (unsigned i = 0; i < 100; i++) {
        ask_again(&at);
        performer.late_at_ms = at.now_ms;
        perform_late(&performer, &at);
        await_all_sent();
    }
    burst = bytes_there();
    ck_assert_uint_gt(burst, AGAIN_BYTES_BURST - 2 * MIB);
    ck_assert_uint_le(burst, AGAIN_BYTES_BURST + 4 * KIB);
    /* A hundred times is remembered twice: what is left of the first, and the whole. */
    ck_assert_uint_eq(late_receipts_count(performer.late), 2);

    /* Another second, another second's worth; and in the end the answer is whole. */
    at.now_ms += 1000;
    for (unsigned i = 0; i < 20; i++) {
        ask_again(&at);
        perform_late(&performer, &at);
        performer.late_at_ms = at.now_ms;
        await_all_sent();
    }
    more = bytes_there() - burst;
    ck_assert_uint_gt(more, AGAIN_BYTES_PER_S - 2 * MIB);
    ck_assert_uint_le(more, AGAIN_BYTES_PER_S + 4 * KIB);
    while (late_receipts_count(performer.late) > 0) {
        at.now_ms += 1000;
        perform_late(&performer, &at);
        await_all_sent();
        ck_assert_uint_lt(at.now_ms, 10000);
    }
    ck_assert_uint_eq(performer.late_at_ms, MOMENT_NEVER);
}
END_TEST

START_TEST(who_asks_behind_a_full_link_is_answered_when_there_is_room)
{
    struct moment at = {.now_ms = 1000, .wall_ms = THINGS_WALL_MS};

    test_node_hold(&there, true); /* reads nothing */
    while (late_receipts_count(performer.late) == 0)
        ask_again(&at);
    test_node_hold(&there, false);
    for (unsigned i = 0; i < 1000 && late_receipts_count(performer.late) > 0; i++) {
        await_all_sent();
        at.now_ms += LATE_RETRY_MS;
        perform_late(&performer, &at);
        transport_flush(here.transport);
    }
    await_all_sent();
    ck_assert_uint_eq(late_receipts_count(performer.late), 0);
    ck_assert_uint_ge(frames_there(), PARTS);
}
END_TEST

/* As a turn does that made a receipt. */
static void say_receipt(const struct effect *kept, const char *body, const struct moment *at)
{
    struct effects effects;
    struct effect *effect;

    effects_init(&effects);
    *effects_add(&effects, EFFECT_KEEP_RECEIPT) = *kept;
    effect = effects_add(&effects, EFFECT_SEND);
    effect->send.node = there.id;
    effect->send.kind = FRAME_RECEIPT;
    effect->send.body = bytes_of_text(body);
    perform(&performer, &effects, at);
    transport_flush(here.transport);
    effects_free(&effects);
}

static bool is_full(void)
{
    static uint8_t frame[64 * KIB];

    return transport_send(here.transport, &there.id, TEST_FRAME - 1,
                          bytes_of(frame, sizeof frame)) == FAULT_BUSY;
}

/* A link that was full for `taken` and is not for `done`: else whoever sent the peck would have `done` alone. */
START_TEST(a_receipt_does_not_overtake_one_that_was_late)
{
    struct moment at = {.now_ms = 1000, .wall_ms = THINGS_WALL_MS};
    struct effect kept = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    uint64_t frames;
    struct effect taken = make_receipt(&bed.node, &kept, RECEIPT_TAKEN, PECK_TAKEN, &bed.arena);
    struct effect done = make_receipt(&bed.bob, &kept, RECEIPT_DONE, PECK_ANSWERED, &bed.arena);

    bed_keep(&bed, &taken, 1);
    test_node_hold(&there, true);
    while (late_receipts_count(performer.late) == 0) {
        while (!is_full())
            transport_flush(here.transport);
        say_receipt(&taken, "taken", &at); /* it is small, and may still have room */
    }
    test_node_hold(&there, false);
    await_all_sent(); /* there is room */
    frames = frames_there();
    bed_keep(&bed, &done, 1);
    say_receipt(&done, "done", &at);
    ck_assert_uint_eq(late_receipts_count(performer.late), 2);
    await_all_sent();
    ck_assert_uint_eq(frames_there(), frames + 1); /* the awaited one alone */
    at.now_ms += LATE_RETRY_MS;
    perform_late(&performer, &at);
    transport_flush(here.transport);
    await_all_sent();
    ck_assert_uint_eq(late_receipts_count(performer.late), 0);
    ck_assert_uint_ge(frames_there(), frames + 1 + 2 + 1);
    say_receipt(&done, "done", &at); /* nothing waits any more: at once */
    ck_assert_uint_eq(late_receipts_count(performer.late), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("perform");
    TCase *tests = tcase_create("perform");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_peck_that_is_repeated_without_end_is_answered_within_a_quota);
    tcase_add_test(tests, who_asks_behind_a_full_link_is_answered_when_there_is_room);
    tcase_add_test(tests, a_receipt_does_not_overtake_one_that_was_late);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
