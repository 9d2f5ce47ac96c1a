#include "framing.h"

#include "core/limits.h"

#include <check.h>
#include <stdlib.h>

#define FRAME_MAX 5000u

static void feed(struct framing *framing, const void *data, size_t size, uint64_t now_ms)
{
    size_t room;
    uint8_t *at = framing_room(framing, size, &room);

    ck_assert_uint_ge(room, size);
    memcpy(at, data, size);
    framing_fill(framing, size, now_ms);
}

static void feed_frame(struct framing *framing, const void *data, size_t size)
{
    uint8_t length[FRAMING_LENGTH_SIZE];

    framing_put_length(length, size);
    feed(framing, length, sizeof length, 1);
    if (size)
        feed(framing, data, size, 1);
}

static void expect_frame(struct framing *framing, const void *data, size_t size)
{
    uint8_t *frame;
    size_t got;

    ck_assert_int_eq(framing_next(framing, &frame, &got), FRAMING_TAKEN);
    ck_assert_uint_eq(got, size);
    ck_assert_mem_eq(frame, data, size);
}

static void expect_none(struct framing *framing, enum framing_verdict verdict)
{
    uint8_t *frame;
    size_t size;

    ck_assert_int_eq(framing_next(framing, &frame, &size), verdict);
}

START_TEST(frames_come_out_as_they_went_in)
{
    uint8_t stream[3 * 4 + 1 + 2 + 3];
    struct framing framing;
    size_t size = 0;

    framing_init(&framing, FRAME_MAX);
    for (size_t i = 1; i <= 3; i++) {
        framing_put_length(stream + size, i);
        memset(stream + size + 4, (int)i, i);
        size += 4 + i;
    }
    feed(&framing, stream, size, 1);
    expect_frame(&framing, "\1", 1);
    expect_frame(&framing, "\2\2", 2);
    expect_frame(&framing, "\3\3\3", 3);
    expect_none(&framing, FRAMING_MORE);
    framing_free(&framing);
}
END_TEST

START_TEST(a_stream_in_single_bytes_gives_the_same_frames)
{
    const uint8_t stream[] = {0, 0, 0, 2, 'a', 'b', 0, 0, 0, 1, 'c'};
    struct framing framing;

    framing_init(&framing, FRAME_MAX);
    for (size_t i = 0; i < sizeof stream; i++) {
        feed(&framing, stream + i, 1, 1);
        if (i == 5)
            expect_frame(&framing, "ab", 2);
        else if (i == 10)
            expect_frame(&framing, "c", 1);
        else
            expect_none(&framing, FRAMING_MORE);
    }
    framing_free(&framing);
}
END_TEST

START_TEST(a_frame_of_the_greatest_length_passes_and_one_byte_more_does_not)
{
    uint8_t *data = calloc(1, FRAME_MAX), length[4];
    struct framing framing;

    framing_init(&framing, FRAME_MAX);
    feed_frame(&framing, data, FRAME_MAX);
    expect_frame(&framing, data, FRAME_MAX);
    framing_put_length(length, FRAME_MAX + 1);
    feed(&framing, length, sizeof length, 1);
    expect_none(&framing, FRAMING_TOO_LONG);
    framing_free(&framing);
    free(data);
}
END_TEST

START_TEST(a_frame_without_bytes_is_refused)
{
    struct framing framing;

    framing_init(&framing, FRAME_MAX);
    feed_frame(&framing, NULL, 0);
    expect_none(&framing, FRAMING_EMPTY);
    framing_free(&framing);
}
END_TEST

/* Four bytes claim 4 GiB less one; the buffer follows what comes, and at most doubles it. */
START_TEST(the_claimed_length_is_never_allocated)
{
    const uint8_t claim[] = {0xff, 0xff, 0xff, 0xff};
    struct framing framing;
    uint8_t some[1000] = {0};

    framing_init(&framing, SIZE_MAX);
    feed(&framing, claim, sizeof claim, 1);
    for (size_t held = 4; held < 100000; held += sizeof some) {
        feed(&framing, some, sizeof some, 1);
        ck_assert_uint_le(framing.capacity, 2 * (held + sizeof some) + sizeof some);
    }
    framing_free(&framing);
}
END_TEST

START_TEST(an_incomplete_frame_is_known_since_its_first_byte)
{
    struct framing framing;
    uint8_t *frame;
    size_t size;

    framing_init(&framing, FRAME_MAX);
    feed(&framing, "\0\0", 2, 100);
    ck_assert_uint_eq(framing.began_ms, 100);
    feed(&framing, "\0\1", 2, 200);
    ck_assert_uint_eq(framing.began_ms, 100);
    feed(&framing, "a\0", 2, 300); /* whole, and the next one begins */
    ck_assert_int_eq(framing_next(&framing, &frame, &size), FRAMING_TAKEN);
    expect_none(&framing, FRAMING_MORE);
    ck_assert_uint_eq(framing.began_ms, 300);
    feed(&framing, "\0\0\1b", 4, 400);
    ck_assert_int_eq(framing_next(&framing, &frame, &size), FRAMING_TAKEN);
    expect_none(&framing, FRAMING_MORE);
    ck_assert_uint_eq(framing.began_ms, 0);
    framing_free(&framing);
}
END_TEST

START_TEST(a_split_leaves_whole_frames_and_moves_the_rest)
{
    const uint8_t stream[] = {0, 0, 0, 1, 'a', 0, 0, 0, 1, 'b', 0, 0, 0, 2, 'c'};
    struct framing framing, rest;

    framing_init(&framing, FRAME_MAX);
    framing_init(&rest, FRAME_MAX);
    feed(&framing, stream, sizeof stream, 7);
    framing_split(&framing, &rest);
    expect_frame(&framing, "a", 1);
    expect_frame(&framing, "b", 1);
    expect_none(&framing, FRAMING_MORE);
    ck_assert_uint_eq(framing.end, framing.start);
    ck_assert_uint_eq(rest.began_ms, 7);
    feed(&rest, "d", 1, 8);
    expect_frame(&rest, "cd", 2);
    framing_free(&framing);
    framing_free(&rest);
}
END_TEST

START_TEST(a_split_leaves_a_refusal_behind_the_frames_before_it)
{
    const uint8_t stream[] = {0, 0, 0, 1, 'a', 0xff, 0, 0, 0, 'x'};
    struct framing framing, rest;

    framing_init(&framing, FRAME_MAX);
    framing_init(&rest, FRAME_MAX);
    feed(&framing, stream, sizeof stream, 7);
    framing_split(&framing, &rest);
    expect_frame(&framing, "a", 1);
    expect_none(&framing, FRAMING_TOO_LONG);
    ck_assert_uint_eq(rest.end, 0);
    framing_free(&framing);
    framing_free(&rest);
}
END_TEST

START_TEST(a_large_buffer_is_given_back_when_little_is_wanted)
{
    uint8_t *data = calloc(1, 64 * KIB);
    struct framing framing;
    size_t room;

    framing_init(&framing, 64 * KIB);
    feed_frame(&framing, data, 64 * KIB);
    expect_frame(&framing, data, 64 * KIB);
    framing_room(&framing, KIB, &room);
    ck_assert_uint_le(framing.capacity, 4 * KIB);
    framing_rest(&framing);
    ck_assert_uint_eq(framing.capacity, 0);
    free(data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("framing");
    TCase *tests = tcase_create("framing");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tests, frames_come_out_as_they_went_in);
    tcase_add_test(tests, a_stream_in_single_bytes_gives_the_same_frames);
    tcase_add_test(tests, a_frame_of_the_greatest_length_passes_and_one_byte_more_does_not);
    tcase_add_test(tests, a_frame_without_bytes_is_refused);
    tcase_add_test(tests, the_claimed_length_is_never_allocated);
    tcase_add_test(tests, an_incomplete_frame_is_known_since_its_first_byte);
    tcase_add_test(tests, a_split_leaves_whole_frames_and_moves_the_rest);
    tcase_add_test(tests, a_split_leaves_a_refusal_behind_the_frames_before_it);
    tcase_add_test(tests, a_large_buffer_is_given_back_when_little_is_wanted);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
