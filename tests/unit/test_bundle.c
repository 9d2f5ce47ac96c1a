#include "core/bundle.h"
#include "core/dice.h"
#include "core/frame.h"
#include "store_things.h"

#include <check.h>
#include <stdlib.h>

#define ROOM 32767u
#define PECKS 200u

static struct author alice, node;
static struct arena memory;
static struct bundle bundle;
static struct bundle_reader reader;
static struct dice dice;
static uint8_t room[ROOM];

static void set_up(void)
{
    ck_assert(identity_self_test());
    arena_init(&memory, 16 * MIB);
    alice = author_new(IDENTITY_DUCKLING, 1, &memory);
    node = author_new(IDENTITY_NODE, 2, &memory);
    dice_init_number(&dice, 1);
    bundle_begin(&bundle, room, ROOM);
}

static void tear_down(void)
{
    bundle_free(&bundle);
    author_free(&alice);
    author_free(&node);
    arena_free(&memory);
}

struct frames {
    uint8_t kinds[2 * PECKS];
    struct bytes bodies[2 * PECKS];
    size_t count;
};

static void add_frame(struct frames *frames, uint8_t kind, struct bytes body)
{
    frames->kinds[frames->count] = kind;
    frames->bodies[frames->count++] = body;
}

/* Pecks that were signed together, as they leave for a node: at most BATCH_ITEMS_MAX. */
static void add_pecks(struct frames *frames, size_t count, size_t payload_size)
{
    static struct peck pecks[BATCH_ITEMS_MAX];
    struct peck_wish wish = {.payload_size = payload_size};
    struct bytes wires[BATCH_ITEMS_MAX];

    make_pecks(&alice, &node.id, &wish, count, &memory, pecks, wires);
    for (size_t i = 0; i < count; i++)
        add_frame(frames, FRAME_PECK, frame_pack_peck(alice.chain, wires[i], &memory));
}

static size_t bytes_in(const struct frames *frames)
{
    size_t sum = 0;

    for (size_t i = 0; i < frames->count; i++)
        sum += 1 + frames->bodies[i].size;
    return sum;
}

static void expect_frame(uint8_t kind, struct bytes body)
{
    struct bytes inner;

    ck_assert_int_eq(bundle_next(&reader, &inner), BUNDLE_FRAME);
    ck_assert_uint_eq(inner.size, 1 + body.size);
    ck_assert_uint_eq(inner.data[0], kind);
    ck_assert(bytes_equal(bytes_of(inner.data + 1, inner.size - 1), body));
}

static void expect_end(enum bundle_verdict end)
{
    struct bytes inner;

    ck_assert_int_eq(bundle_next(&reader, &inner), end);
}

/* All of `frames`, in as many bundles as they need; returns what those come to. */
static size_t carry(const struct frames *frames)
{
    size_t sent = 0, sum = 0;

    while (sent < frames->count) {
        size_t first = sent;

        bundle_begin(&bundle, room, ROOM);
        while (sent < frames->count &&
               bundle_add(&bundle, frames->kinds[sent], frames->bodies[sent]))
            sent++;
        ck_assert_uint_gt(sent, first);
        sum += bundle.size;
        bundle_open(&reader, bytes_of(bundle.data, bundle.size));
        for (; first < sent; first++)
            expect_frame(frames->kinds[first], frames->bodies[first]);
        expect_end(BUNDLE_END);
    }
    return sum;
}

START_TEST(pecks_signed_together_come_out_as_they_went_in)
{
    struct frames frames = {.count = 0};

    for (size_t count = 1; count < 70; count += 7)
        add_pecks(&frames, count > 40 ? 1 : count, count);
    carry(&frames);
}
END_TEST

START_TEST(pecks_signed_together_take_half_of_their_room)
{
    struct frames frames = {.count = 0};
    size_t alone;

    add_pecks(&frames, PECKS, 60);
    alone = bytes_in(&frames);
    ck_assert_uint_lt(carry(&frames), alone / 2);
}
END_TEST

START_TEST(frames_of_any_kind_and_content_come_out_as_they_went_in)
{
    static const size_t sizes[] = {0, 1, 2, 300, BUNDLE_BODY_MAX - 1, BUNDLE_BODY_MAX};
    struct frames frames = {.count = 0};

    for (size_t i = 0; i < PECKS; i++) {
        size_t size = sizes[dice_below(&dice, sizeof sizes / sizeof *sizes)];
        uint8_t *body = arena_take(&memory, size + 1);

        if (dice_below(&dice, 3) == 0)
            dice_fill(&dice, body, size);
        else
            memset(body, 0, size);
        add_frame(&frames, (uint8_t)dice_below(&dice, 5), bytes_of(body, size));
    }
    carry(&frames);
}
END_TEST

/* Frames with envelopes whose every byte may be anything, cut anywhere. */
START_TEST(damaged_envelopes_come_out_as_they_went_in)
{
    struct frames frames = {.count = 0};

    add_pecks(&frames, PECKS, 20);
    for (size_t i = 0; i < PECKS; i++) {
        struct bytes body = arena_copy(&memory, frames.bodies[i]);

        ((uint8_t *)(uintptr_t)body.data)[dice_below(&dice, body.size)] ^=
            (uint8_t)(1 + dice_below(&dice, 255));
        body.size -= dice_below(&dice, 4) ? 0 : dice_below(&dice, body.size);
        frames.bodies[i] = body;
    }
    carry(&frames);
}
END_TEST

static size_t size_of_pair(struct bytes one, struct bytes other)
{
    bundle_begin(&bundle, room, ROOM);
    ck_assert(bundle_add(&bundle, FRAME_PECK, one));
    ck_assert(bundle_add(&bundle, FRAME_PECK, other));
    return bundle.size;
}

static struct bytes frame_saying(const char *text)
{
    struct bytes wire =
        envelope_seal(ENVELOPE_PECK, &alice.id, alice.key, bytes_of_text(text), &memory, NULL);

    return frame_pack_peck(alice.chain, wire, &memory);
}

/* Or who sees the sizes could guess one peck by having others sent. */
START_TEST(the_size_does_not_tell_whether_two_pecks_say_the_same)
{
    struct bytes secret = frame_saying("the key is 4711");
    size_t same = size_of_pair(secret, frame_saying("the key is 4711"));

    ck_assert_uint_eq(size_of_pair(secret, frame_saying("the key is 4712")), same);
    ck_assert_uint_eq(size_of_pair(secret, frame_saying("quack quack! :)")), same);
    ck_assert_uint_lt(same, 2 * secret.size - 100); /* though they share their signer */
}
END_TEST

START_TEST(frames_of_other_kinds_are_not_compared)
{
    struct bytes frame = frame_saying("quack");

    ck_assert(bundle_add(&bundle, FRAME_PECK, frame));
    ck_assert(bundle_add(&bundle, FRAME_RECEIPT, frame));
    ck_assert_uint_eq(bundle.size, 2 * (BUNDLE_ENTRY_OVERHEAD + frame.size));
    ck_assert(bundle_add(&bundle, FRAME_RECORDS, frame));
    ck_assert(bundle_add(&bundle, FRAME_RECORDS, frame));
    ck_assert_uint_eq(bundle.size, 4 * (BUNDLE_ENTRY_OVERHEAD + frame.size));
}
END_TEST

START_TEST(a_bundle_takes_what_fits_into_its_room_and_no_byte_more)
{
    struct bytes frame = frame_saying("quack");

    bundle_begin(&bundle, room, BUNDLE_ENTRY_OVERHEAD + frame.size - 1);
    ck_assert(!bundle_add(&bundle, FRAME_RECORDS, frame));
    ck_assert_uint_eq(bundle.size, 0);
    bundle_begin(&bundle, room, BUNDLE_ENTRY_OVERHEAD + frame.size);
    ck_assert(bundle_add(&bundle, FRAME_RECORDS, frame));
    ck_assert(!bundle_add(&bundle, FRAME_RECORDS, bytes_of(NULL, 0)));
}
END_TEST

/* A frame of BUNDLE_BODY_MAX that costs nearly nothing when it comes again: a long chain, and little said. */
static struct bytes long_frame(size_t body_size)
{
    struct bytes wire =
        envelope_seal(ENVELOPE_PECK, &alice.id, alice.key, bytes_of_text("x"), &memory, NULL);
    uint8_t *chain = arena_take(&memory, BUNDLE_BODY_MAX);
    struct bytes frame;
    size_t size = body_size - wire.size;

    memset(chain, 'c', BUNDLE_BODY_MAX);
    do {
        frame = frame_pack_peck(bytes_of(chain, size--), wire, &memory);
    } while (frame.size > body_size);
    ck_assert_uint_eq(frame.size, body_size);
    return frame;
}

START_TEST(a_bundle_comes_to_no_more_than_its_limit_when_it_is_opened)
{
    struct bytes frame = long_frame(BUNDLE_BODY_MAX - 1);
    size_t most = BUNDLE_OPENED_MAX / BUNDLE_BODY_MAX;

    for (size_t i = 0; i < most; i++)
        ck_assert(bundle_add(&bundle, FRAME_PECK, frame));
    ck_assert_uint_lt(bundle.size, ROOM - 1000);
    ck_assert_uint_eq(bundle.opened, BUNDLE_OPENED_MAX);
    ck_assert(!bundle_add(&bundle, FRAME_PONG, bytes_of(NULL, 0)));
    bundle_open(&reader, bytes_of(bundle.data, bundle.size));
    for (size_t i = 0; i < most; i++)
        expect_frame(FRAME_PECK, frame);
    expect_end(BUNDLE_END);

    memcpy(room + bundle.size, (uint8_t[]){FRAME_PONG, 0, 0, 0, 0, 0, 0}, BUNDLE_ENTRY_OVERHEAD);
    bundle_open(&reader, bytes_of(bundle.data, bundle.size + BUNDLE_ENTRY_OVERHEAD));
    for (size_t i = 0; i < most; i++)
        expect_frame(FRAME_PECK, frame);
    expect_end(BUNDLE_MALFORMED);
    expect_end(BUNDLE_END);
}
END_TEST

static void expect_refused(const uint8_t *packed, size_t size, size_t good)
{
    struct bytes inner;

    bundle_open(&reader, bytes_of(packed, size));
    for (size_t i = 0; i < good; i++)
        ck_assert_int_eq(bundle_next(&reader, &inner), BUNDLE_FRAME);
    expect_end(BUNDLE_MALFORMED);
}

START_TEST(entries_that_do_not_hold_are_refused)
{
    const uint8_t first_with_head[] = {1, 0, 1, 0, 0, 0, 1, 'a'};
    const uint8_t first_with_tail[] = {1, 0, 0, 0, 1, 0, 1, 'a'};
    const uint8_t more_than_before[] = {1, 0, 0, 0, 0, 0, 2, 'a', 'b', 1, 0, 2, 0, 1, 0, 0};
    const uint8_t of_another_kind[] = {1, 0, 0, 0, 0, 0, 2, 'a', 'b', 2, 0, 1, 0, 0, 0, 0};
    const uint8_t too_short[] = {1, 0, 0, 0, 0, 0, 2, 'a'};
    static uint8_t too_long[BUNDLE_ENTRY_OVERHEAD + BUNDLE_BODY_MAX + 1] = {1};

    expect_refused(first_with_head, sizeof first_with_head, 0);
    expect_refused(first_with_tail, sizeof first_with_tail, 0);
    expect_refused(more_than_before, sizeof more_than_before, 1);
    expect_refused(of_another_kind, sizeof of_another_kind, 1);
    expect_refused(too_short, sizeof too_short, 0);
    expect_refused(too_short, 3, 0);
    too_long[5] = (BUNDLE_BODY_MAX + 1) >> 8;
    too_long[6] = (BUNDLE_BODY_MAX + 1) & 0xFF;
    expect_refused(too_long, sizeof too_long, 0);
}
END_TEST

START_TEST(a_bundle_that_is_cut_off_gives_no_wrong_frame)
{
    struct frames frames = {.count = 0};
    enum bundle_verdict verdict;
    struct bytes inner;

    add_pecks(&frames, 5, 10);
    for (size_t i = 0; i < frames.count; i++)
        ck_assert(bundle_add(&bundle, frames.kinds[i], frames.bodies[i]));
    for (size_t size = 0; size < bundle.size; size++) {
        size_t came = 0;

        bundle_open(&reader, bytes_of(room, size));
        while ((verdict = bundle_next(&reader, &inner)) == BUNDLE_FRAME)
            ck_assert(bytes_equal(bytes_of(inner.data + 1, inner.size - 1), frames.bodies[came++]));
        ck_assert_uint_lt(came, frames.count);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bundle");
    TCase *tcase = tcase_create("bundle");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, pecks_signed_together_come_out_as_they_went_in);
    tcase_add_test(tcase, pecks_signed_together_take_half_of_their_room);
    tcase_add_test(tcase, frames_of_any_kind_and_content_come_out_as_they_went_in);
    tcase_add_test(tcase, damaged_envelopes_come_out_as_they_went_in);
    tcase_add_test(tcase, the_size_does_not_tell_whether_two_pecks_say_the_same);
    tcase_add_test(tcase, frames_of_other_kinds_are_not_compared);
    tcase_add_test(tcase, a_bundle_takes_what_fits_into_its_room_and_no_byte_more);
    tcase_add_test(tcase, a_bundle_comes_to_no_more_than_its_limit_when_it_is_opened);
    tcase_add_test(tcase, entries_that_do_not_hold_are_refused);
    tcase_add_test(tcase, a_bundle_that_is_cut_off_gives_no_wrong_frame);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
