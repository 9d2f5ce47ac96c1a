#include "core/dice.h"
#include "core/reconcile_message.h"
#include "reconcile_play.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>

#define SESSIONS 4000 /* with limited frames, of each kind */

static struct dice dice;
static struct recordset *ours, *theirs;
static struct reconcile_settings settings;

static void begin(void)
{
    ck_assert_int_ge(sodium_init(), 0);
    dice_init_number(&dice, 1);
    settings = reconcile_defaults;
    ours = recordset_new();
    theirs = recordset_new();
}

static void end(void)
{
    recordset_free(ours);
    recordset_free(theirs);
}

/* ---- words for the stories ---- */

static struct stamp numbered(uint32_t number, uint32_t at_s)
{
    const uint8_t big_endian[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
                                   (uint8_t)(number >> 8), (uint8_t)number};
    struct stamp stamp = {.at_s = at_s};

    crypto_hash_sha256(stamp.hash.bytes, big_endian, sizeof big_endian);
    return stamp;
}

static void insert(struct recordset *set, uint32_t number, uint32_t at_s)
{
    struct stamp stamp = numbered(number, at_s);

    ck_assert(recordset_insert(set, &stamp));
}

/* Numbers from..to, two a second. */
static void insert_run(struct recordset *set, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        insert(set, i, 1000 + i / 2);
}

static struct reconcile_settings reference(void)
{
    struct reconcile_settings upstream = reconcile_defaults;

    upstream.list_below = 32;
    upstream.frame_max = 0;
    upstream.cuts_like_reference = true;
    return upstream;
}

static size_t from_hex(const char *hex, uint8_t *data, size_t room)
{
    size_t size;

    ck_assert_int_eq(sodium_hex2bin(data, room, hex, strlen(hex), " ", &size, NULL), 0);
    return size;
}

static void check_hex(struct bytes message, const char *hex)
{
    uint8_t expected[1024];
    size_t size = from_hex(hex, expected, sizeof expected);

    ck_assert_uint_eq(message.size, size);
    ck_assert_mem_eq(message.data, expected, size);
}

/* Of a responder that holds `theirs`; memory of exactly the message's size, for the sanitizers. */
static enum reconcile_verdict answer_to(struct bytes message)
{
    struct reconcile *side = reconcile_new(&settings);
    uint8_t *copy = memory_copy(message.data, message.size);
    struct bytes answer;
    enum reconcile_verdict verdict =
        reconcile_answer(side, theirs, bytes_of(copy, message.size), &answer);

    ck_assert_uint_le(answer.size, settings.frame_max);
    ck_assert_int_eq(verdict == RECONCILE_TAKEN, answer.size > 0);
    memory_give_back(copy);
    reconcile_free(side);
    return verdict;
}

static enum reconcile_verdict answer_to_hex(const char *hex)
{
    uint8_t message[1024];
    size_t size = from_hex(hex, message, sizeof message);

    return answer_to(bytes_of(message, size));
}

/* What an initiator that holds `ours` makes of the first answer. */
static enum reconcile_verdict take_hex(const char *hex)
{
    struct reconcile *side = reconcile_new(&settings);
    uint8_t data[1024];
    size_t size = from_hex(hex, data, sizeof data), needs, haves;
    struct bytes message;
    enum reconcile_verdict verdict;

    reconcile_begin(side, ours, &message);
    verdict = reconcile_take(side, ours, bytes_of(data, size), &message);
    if (verdict >= RECONCILE_MALFORMED) {
        reconcile_needs(side, &needs);
        reconcile_haves(side, &haves);
        ck_assert_uint_eq(needs + haves, 0);
    }
    reconcile_free(side);
    return verdict;
}

static struct play play(void)
{
    struct play play = {.of_initiator = &settings,
                        .of_responder = &settings,
                        .initiator = ours,
                        .responder = theirs};

    return play;
}

static int compare_hashes(const void *left, const void *right)
{
    return memcmp(left, right, HASH_SIZE);
}

/* Whether `hashes` are those of the stamps that only `set` has, from `from_s` on. */
static bool are_all_missing(const struct recordset *set, const struct recordset *other,
                            uint32_t from_s, const struct hash *hashes, size_t count)
{
    size_t missing = 0;
    struct stamp stamp;

    for (size_t i = 0; recordset_read(set, i, &stamp, 1) == 1; i++) {
        if (stamp.at_s < from_s || recordset_contains(other, &stamp))
            continue;
        missing++;
        if (count == 0 || !bsearch(&stamp.hash, hashes, count, sizeof stamp.hash, compare_hashes))
            return false;
    }
    return missing == count;
}

static bool found_all(const struct play *done, uint32_t from_s)
{
    return done->verdict == RECONCILE_DONE &&
           are_all_missing(theirs, ours, from_s, done->needs, done->need_count) &&
           are_all_missing(ours, theirs, from_s, done->haves, done->have_count);
}

/* ---- byte by byte ---- */

START_TEST(the_first_message_is_upstreams)
{
    struct reconcile_settings upstream = reference();
    struct reconcile *side = reconcile_new(&upstream);
    struct bytes message;

    insert_run(ours, 0, 40);
    reconcile_begin(side, ours, &message);
    check_hex(message,
              "61876a018801bdbe9732f06a3f9282f21d99e5487f5a030001aaaabaf7e09a000149bca959cd577067"
              "02013b0122124cbd3d7570487e80a461003c04e603000119e4bc237b0d25aef6249cb005d2c5220201"
              "9201b5af1fcc18d4c4c8629612c85314d34d0300015d33e7e900c2c0df38835ed9f922212e0201a701"
              "ef109c0a5d0d3daf9d14eb99bbd24f55030001d51010c944990eb2a9833aad5a07ab0802000186801f"
              "315532650c672cf5a03733a703020001520e8d7b001e773d8db9136fdea7b3de02000161fe085ce55d"
              "ff81f6de627e8dab317f0200016a359fad9b66265b6f40ab1f1d2490a70200019a2b20907f41e5df6c"
              "bafaeb958ace250200011cf32e7e03b7cb207af8a66b671acd7402000190e7ef7df3a437c307d18c1d"
              "da6bea4700000121e3553197c11092ad96e040ee4c4c06");
    reconcile_free(side);
}
END_TEST

START_TEST(the_answer_of_one_who_lacks_a_record_is_upstreams)
{
    struct reconcile_settings upstream = reference();
    struct reconcile *one = reconcile_new(&upstream), *other = reconcile_new(&upstream);
    struct stamp lacked = numbered(17, 1008);
    struct bytes message, answer;

    insert_run(ours, 0, 40);
    insert_run(theirs, 0, 40);
    ck_assert(recordset_erase(theirs, &lacked));
    reconcile_begin(one, ours, &message);
    ck_assert_int_eq(reconcile_answer(other, theirs, message, &answer), RECONCILE_TAKEN);
    check_hex(answer, "618770019200030002029246be1e9ba9f5de5baf766a256eb725e9a7551fb93d7faa793c938e"
                      "0f41de355085cb99dbe1e374ccd321e5b58182d2c42cf4840c68cfab17b0618a8285e7d6");
    reconcile_free(one);
    reconcile_free(other);
}
END_TEST

START_TEST(an_empty_set_begins_with_an_empty_list)
{
    struct reconcile *side = reconcile_new(&settings);
    struct bytes message;

    reconcile_begin(side, ours, &message);
    check_hex(message, "61 00 00 02 00");
    reconcile_free(side);
}
END_TEST

START_TEST(a_probe_has_twenty_bytes_and_an_equal_set_answers_one)
{
    struct play done = play();

    insert_run(ours, 0, 500);
    insert_run(theirs, 0, 500);
    done.probes = true;
    play_session(&done);
    ck_assert_int_eq(done.verdict, RECONCILE_DONE);
    ck_assert_uint_eq(done.rounds, 1);
    ck_assert_uint_eq(done.bytes, 21);
    ck_assert_uint_eq(done.largest, 20);
    play_end(&done);
}
END_TEST

START_TEST(a_probe_that_fails_can_be_gone_on_with)
{
    struct play done = play();

    insert_run(ours, 0, 500);
    insert_run(theirs, 3, 501);
    done.probes = true;
    play_session(&done);
    ck_assert(found_all(&done, 0));
    ck_assert_uint_eq(done.need_count, 1);
    ck_assert_uint_eq(done.have_count, 3);
    play_end(&done);
}
END_TEST

/* ---- the newest part ---- */

START_TEST(the_newest_part_begins_with_a_skip)
{
    struct reconcile *side;
    struct bytes message;

    settings.from_s = 1100;
    side = reconcile_new(&settings);
    insert_run(ours, 0, 200); /* until second 1099 */
    reconcile_begin(side, ours, &message);
    check_hex(message, "61 884d 00 00 00 00 02 00");
    reconcile_free(side);
}
END_TEST

START_TEST(what_is_older_is_not_looked_at)
{
    struct play done = play();

    for (int turn = 0; turn < 2; turn++) { /* by the initiator, by the responder */
        struct reconcile_settings other = settings;

        settings.from_s = turn == 0 ? 1500 : 0;
        other.from_s = turn == 0 ? 0 : 1500;
        if (turn == 0) {
            insert_run(ours, 0, 2000);
            insert_run(theirs, 500, 1500);
            insert_run(theirs, 1501, 2100);
        }
        done.of_responder = &other;
        play_session(&done);
        ck_assert(found_all(&done, 1500));
        ck_assert_uint_eq(done.need_count, 100);
        ck_assert_uint_eq(done.have_count, 1);
        play_end(&done);
    }
}
END_TEST

START_TEST(a_fingerprint_from_before_the_newest_part_is_answered_within_it)
{
    struct reconcile *side;
    struct bytes answer;
    uint8_t message[20] = {0x61, 0, 0, 1};

    settings.from_s = 1100;
    side = reconcile_new(&settings);
    insert_run(theirs, 0, 204);
    ck_assert_int_eq(reconcile_answer(side, theirs, bytes_of(message, sizeof message), &answer),
                     RECONCILE_TAKEN);
    ck_assert_uint_eq(answer.size, 1 + 4 + 4 + 4 * HASH_SIZE); /* a Skip, and a list of four */
    ck_assert_mem_eq(answer.data, "\x61\x88\x4d\x00\x00\x00\x00\x02\x04", 9);
    reconcile_free(side);
}
END_TEST

/* ---- what does not hold ---- */

START_TEST(every_beginning_of_a_message_is_refused_unless_ranges_are_whole)
{
    struct reconcile_settings upstream = reference();
    struct reconcile *side = reconcile_new(&upstream);
    struct bytes message;
    size_t taken = 0;

    insert_run(ours, 0, 40);
    insert_run(theirs, 20, 70);
    reconcile_begin(side, ours, &message);
    for (size_t size = 0; size <= message.size; size++) {
        enum reconcile_verdict verdict = answer_to(bytes_of(message.data, size));
        ck_assert(verdict == RECONCILE_TAKEN || verdict == RECONCILE_MALFORMED);
        taken += verdict == RECONCILE_TAKEN;
    }
    ck_assert_uint_eq(taken, 17); /* the version, and 16 ranges */
    reconcile_free(side);
}
END_TEST

START_TEST(bounds_that_run_backwards_are_refused)
{
    ck_assert_int_eq(answer_to_hex("61 02 01 80 00 01 01 7f 00"), RECONCILE_MALFORMED);
    ck_assert_int_eq(answer_to_hex("61 02 02 8001 00 01 01 80 00"), RECONCILE_MALFORMED);
    ck_assert_int_eq(answer_to_hex("61 02 01 80 00 01 00 00"), RECONCILE_MALFORMED);
    ck_assert_int_eq(take_hex("61 02 01 80 00 01 01 7f 00"), RECONCILE_MALFORMED);
    ck_assert_int_eq(answer_to_hex("61 02 01 80 00 01 01 81 00"), RECONCILE_TAKEN);
    ck_assert_int_eq(answer_to_hex("61 02 01 80 00 01 01 80 00"), RECONCILE_TAKEN); /* empty */
    ck_assert_int_eq(answer_to_hex("61 00 00 00 00 00 00"), RECONCILE_TAKEN); /* as upstream cuts */
}
END_TEST

START_TEST(numbers_that_nobody_writes_are_refused)
{
    /* 2^64 - 1; 2^64; eleven bytes; zeros in front; no end */
    ck_assert_int_eq(answer_to_hex("61 81ffffffffffffffff7f 00 00"), RECONCILE_TAKEN);
    ck_assert_int_eq(answer_to_hex("61 82808080808080808000 00 00"), RECONCILE_MALFORMED);
    ck_assert_int_eq(answer_to_hex("61 8180808080808080808000 00 00"), RECONCILE_MALFORMED);
    ck_assert_int_eq(answer_to_hex("61 8080808080808080808000 00 00"), RECONCILE_MALFORMED);
    ck_assert_int_eq(answer_to_hex("61 8001 00 00"), RECONCILE_MALFORMED);
    ck_assert_int_eq(answer_to_hex("61 ffffffff"), RECONCILE_MALFORMED);
    ck_assert_int_eq(take_hex("61 8180808080808080808000 00 00"), RECONCILE_MALFORMED);
}
END_TEST

START_TEST(a_time_beyond_all_times_is_infinity)
{
    /* 2^64 - 2 seconds after the first second, and then whatever */
    ck_assert_int_eq(answer_to_hex("61 02 00 00 81ffffffffffffffff7f 00 00 05 00 00"),
                     RECONCILE_TAKEN);
}
END_TEST

START_TEST(modes_and_prefixes_that_are_none_are_refused)
{
    ck_assert_int_eq(answer_to_hex("61 00 00 03"), RECONCILE_MALFORMED);
    ck_assert_int_eq(answer_to_hex("61 00 00 8280808000"), RECONCILE_MALFORMED);
    ck_assert_int_eq(answer_to_hex("61 02 21 0000000000000000000000000000000000000000000000000000"
                                   "00000000000000 00"),
                     RECONCILE_MALFORMED);
    ck_assert_int_eq(answer_to_hex("61 02 20 0000000000000000000000000000000000000000000000000000"
                                   "000000000000 00"),
                     RECONCILE_TAKEN);
    ck_assert_int_eq(take_hex("61 00 00 03"), RECONCILE_MALFORMED);
}
END_TEST

START_TEST(lists_longer_than_the_message_are_refused)
{
    ck_assert_int_eq(answer_to_hex("61 00 00 02 01"), RECONCILE_MALFORMED);
    ck_assert_int_eq(answer_to_hex("61 00 00 02 81ffffffffffffffff7f"), RECONCILE_MALFORMED);
    ck_assert_int_eq(answer_to_hex("61 00 00 02 9080808080808000"), RECONCILE_MALFORMED);
    ck_assert_int_eq(take_hex("61 00 00 02 02 "
                              "0101010101010101010101010101010101010101010101010101010101010101"),
                     RECONCILE_MALFORMED);
}
END_TEST

START_TEST(what_stands_before_the_fault_is_not_learned)
{
    /* A whole list of one, then half a range: take_hex looks that nothing was found. */
    ck_assert_int_eq(take_hex("61 02 00 02 01 "
                              "0101010101010101010101010101010101010101010101010101010101010101"
                              "00 00"),
                     RECONCILE_MALFORMED);
}
END_TEST

START_TEST(another_version_is_told_which_is_spoken)
{
    struct reconcile *side = reconcile_new(&settings);
    struct bytes answer;

    ck_assert_int_eq(
        reconcile_answer(side, theirs, bytes_of("\x62\xaa\xbb\xcc\xdd\xee\xff", 7), &answer),
        RECONCILE_TAKEN);
    check_hex(answer, "61");
    insert(theirs, 1, 12345);
    ck_assert_int_eq(reconcile_answer(side, theirs, bytes_of("\x61\0\0\2\0", 5), &answer),
                     RECONCILE_TAKEN);
    ck_assert_uint_eq(answer.size, 5 + HASH_SIZE);
    reconcile_free(side);
    ck_assert_int_eq(answer_to_hex("6f"), RECONCILE_TAKEN);
    ck_assert_int_eq(answer_to_hex("60"), RECONCILE_TAKEN);
    ck_assert_int_eq(answer_to_hex("5f"), RECONCILE_MALFORMED);
    ck_assert_int_eq(answer_to_hex("70"), RECONCILE_MALFORMED);
    ck_assert_int_eq(answer_to(bytes_of("", 0)), RECONCILE_MALFORMED);
    ck_assert_int_eq(take_hex("62"), RECONCILE_OTHER_VERSION);
    ck_assert_int_eq(take_hex("70"), RECONCILE_MALFORMED);
    ck_assert_int_eq(take_hex("61"), RECONCILE_DONE);
}
END_TEST

/* ---- whole sessions ---- */

/* Runs of stamps that share a fate, and a tail that only one side has. */
static void fill_both(uint32_t count, uint32_t tail)
{
    uint64_t fate = 0, of_tail = 1 + dice_below(&dice, 2);
    uint32_t number = (uint32_t)dice_below(&dice, 1u << 30), at_s = 1000;

    for (uint32_t i = 0; i < count + tail; i++) {
        if (i >= count)
            fate = of_tail;
        else if (dice_below(&dice, 40) == 0 || i == 0)
            fate = 1 + dice_below(&dice, 8); /* 1 ours, 2 theirs, else both */
        at_s += dice_below(&dice, 3) == 0;
        if (fate != 2)
            insert(ours, number + i, at_s);
        if (fate != 1)
            insert(theirs, number + i, at_s);
    }
}

static void empty_both(void)
{
    recordset_free(ours);
    recordset_free(theirs);
    ours = recordset_new();
    theirs = recordset_new();
}

static void run_sessions(int count, struct reconcile_settings *one,
                         struct reconcile_settings *other, size_t frame_spread)
{
    for (int i = 0; i < count; i++) {
        struct play done;

        if (i % 8 == 0) {
            empty_both();
            fill_both((uint32_t)dice_below(&dice, 1500), (uint32_t)dice_below(&dice, 400));
        }
        if (frame_spread > 0) {
            one->frame_max = RECONCILE_FRAME_MIN + dice_below(&dice, frame_spread);
            other->frame_max = RECONCILE_FRAME_MIN + dice_below(&dice, frame_spread);
        }
        done = play();
        done.of_initiator = one;
        done.of_responder = other;
        done.initiator = ours;
        done.responder = theirs;
        play_session(&done);
        ck_assert_msg(found_all(&done, 0), "session %d", i);
        play_end(&done);
    }
}

START_TEST(no_hash_is_lost_when_frames_are_short)
{
    struct reconcile_settings other = settings;

    settings.haves_max = SIZE_MAX / 4;
    run_sessions(SESSIONS, &settings, &other, 1500);
}
END_TEST

START_TEST(split_rules_need_not_agree)
{
    static const size_t rules[][2] = {{2, 2}, {16, 32}, {4, 4}, {32, 64}, {32, 2}, {2, 64}};
    struct reconcile_settings other = settings;

    settings.haves_max = SIZE_MAX / 4;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        for (size_t j = 0; j < sizeof rules / sizeof *rules; j++) {
            settings.pieces = rules[i][0];
            settings.list_below = rules[i][1];
            other.pieces = rules[j][0];
            other.list_below = rules[j][1];
            run_sessions(16, &settings, &other, 1500);
        }
}
END_TEST

/* What an initiator whose frame was full may say: of 16 runs of ours a fingerprint that agrees with
 * nothing, and for all beyond them that of nothing. */
static void put_full_message(struct range_writer *writer)
{
    const uint8_t wrong[RECORDSET_PRINT_SIZE] = {0};
    uint8_t nothing[RECORDSET_PRINT_SIZE];
    const struct bound infinity = bound_infinity();
    size_t count = recordset_count(ours);

    recordset_fingerprint(ours, 0, 0, nothing);
    range_writer_begin(writer);
    for (size_t i = 1; i <= 16; i++) {
        struct stamp stamp;
        struct bound bound;
        recordset_read(theirs, i * count / 16, &stamp, 1);
        bound = bound_before(&stamp);
        range_put_fingerprint(writer, &bound, wrong);
    }
    range_put_fingerprint(writer, &infinity, nothing);
}

/* A session that begins so; whether the tail of theirs was found. */
static bool finds_the_tail(const struct reconcile_settings *of_responder)
{
    struct reconcile *one = reconcile_new(&settings), *other = reconcile_new(of_responder);
    struct range_writer writer = {0};
    struct bytes message, answer;
    enum reconcile_verdict verdict;
    size_t count;

    reconcile_begin(one, ours, &message);
    put_full_message(&writer);
    message = bytes_of(writer.data, writer.size);
    do {
        ck_assert_int_eq(reconcile_answer(other, theirs, message, &answer), RECONCILE_TAKEN);
        verdict = reconcile_take(one, ours, answer, &message);
    } while (verdict == RECONCILE_TAKEN);
    ck_assert_int_eq(verdict, RECONCILE_DONE);
    reconcile_needs(one, &count);
    range_writer_free(&writer);
    reconcile_free(one);
    reconcile_free(other);
    return count == recordset_count(theirs) - recordset_count(ours);
}

/* The responder has a tail alone, and its split of that does not fit any more. Upstream counts what
 * it cut from behind the tail: the fingerprint of nothing, which agrees. */
START_TEST(upstreams_cut_loses_a_tail_and_ours_does_not)
{
    struct reconcile_settings upstream = reference(), corrected = settings;
    size_t lost = 0;

    insert_run(ours, 0, 1600);
    insert_run(theirs, 0, 1800);
    for (size_t frame = RECONCILE_FRAME_MIN; frame < 2 * RECONCILE_FRAME_MIN; frame += 20) {
        upstream.frame_max = corrected.frame_max = frame;
        lost += !finds_the_tail(&upstream);
        ck_assert(finds_the_tail(&corrected));
    }
    ck_assert_uint_gt(lost, 0);
}
END_TEST

START_TEST(one_of_many_is_found_in_three_rounds)
{
    struct play done = play();

    insert_run(ours, 0, 100000);
    insert_run(theirs, 0, 100000);
    insert(theirs, 100001, 7000);
    play_session(&done);
    ck_assert(found_all(&done, 0));
    ck_assert_uint_le(done.rounds, 3);
    ck_assert_uint_le(done.bytes, 2000);
    play_end(&done);
}
END_TEST

static void change_both(struct play *play)
{
    for (int i = 0; i < 20; i++) {
        struct recordset *set = dice_below(&dice, 2) ? play->initiator : play->responder;
        struct stamp stamp = numbered((uint32_t)dice_below(&dice, 1u << 31),
                                      (uint32_t)(900 + dice_below(&dice, 900)));
        size_t count = recordset_count(set);

        if (dice_below(&dice, 2))
            recordset_insert(set, &stamp);
        else if (recordset_read(set, count ? dice_below(&dice, count) : 0, &stamp, 1) == 1)
            recordset_erase(set, &stamp);
    }
    if (dice_below(&dice, 20) == 0) { /* or all of it is gone */
        struct stamp stamp;
        while (recordset_read(play->responder, 0, &stamp, 1) == 1)
            recordset_erase(play->responder, &stamp);
    }
}

START_TEST(sets_may_change_between_messages)
{
    settings.haves_max = SIZE_MAX / 4;
    for (int i = 0; i < 300; i++) {
        struct play done;

        empty_both();
        fill_both((uint32_t)dice_below(&dice, 1500), 50);
        settings.frame_max = RECONCILE_FRAME_MIN + dice_below(&dice, 1500);
        done = play();
        done.initiator = ours;
        done.responder = theirs;
        done.between = change_both;
        play_session(&done);
        ck_assert(done.verdict == RECONCILE_DONE || done.verdict == RECONCILE_TOO_LONG);
        play_end(&done);
        done.between = NULL; /* what was missed is found in the next */
        play_session(&done);
        ck_assert(found_all(&done, 0));
        play_end(&done);
    }
}
END_TEST

/* ---- limits ---- */

START_TEST(no_answer_is_above_the_limit)
{
    insert_run(theirs, 0, 40000);
    for (size_t frame = RECONCILE_FRAME_MIN; frame < RECONCILE_FRAME_MIN + 300; frame++) {
        settings.frame_max = frame;
        ck_assert_int_eq(answer_to_hex("61 00 00 02 00"), RECONCILE_TAKEN);
        ck_assert_int_eq(answer_to_hex("61 884d 00 00 8150 04 01020304 00 00 00 02 00"),
                         RECONCILE_TAKEN);
        ck_assert_int_eq(answer_to_hex("61 00 00 01 00000000000000000000000000000000"),
                         RECONCILE_TAKEN);
    }
    settings.frame_max = RECONCILE_FRAME_MAX;
    ck_assert_int_eq(answer_to_hex("61 00 00 02 00"), RECONCILE_TAKEN);
}
END_TEST

START_TEST(a_message_above_the_limit_is_refused)
{
    uint8_t *message = memory_take(RECONCILE_TAKE_MAX + 1);
    size_t size = 5;

    memcpy(message, "\x61\x01\x01\x00\x00", size);    /* Skips of no length: one of four bytes, */
    for (; size + 3 <= RECONCILE_TAKE_MAX; size += 3) /* and of three, to the end */
        memcpy(message + size, "\x01\x00\x00", 3);
    ck_assert_uint_eq(size, RECONCILE_TAKE_MAX);
    ck_assert_int_eq(answer_to(bytes_of(message, size)), RECONCILE_TAKEN);
    ck_assert_int_eq(answer_to(bytes_of(message, size + 1)), RECONCILE_OVERSIZED);
    memory_give_back(message);
    settings.take_max = 3;
    ck_assert_int_eq(take_hex("61 00 00 00"), RECONCILE_OVERSIZED);
}
END_TEST

START_TEST(a_session_needs_so_many_hashes_and_no_more)
{
    struct play done = play();

    settings.needs_max = 300;
    insert_run(theirs, 0, 300);
    play_session(&done);
    ck_assert(found_all(&done, 0));
    play_end(&done);
    insert_run(theirs, 300, 301);
    play_session(&done);
    ck_assert_int_eq(done.verdict, RECONCILE_ENOUGH);
    ck_assert_uint_eq(done.need_count, 300);
    play_end(&done);
    settings.needs_max = RECONCILE_NEEDS_MAX;
    insert_run(theirs, 301, 3 * RECONCILE_NEEDS_MAX);
    play_session(&done);
    ck_assert_int_eq(done.verdict, RECONCILE_ENOUGH);
    ck_assert_uint_eq(done.need_count, RECONCILE_NEEDS_MAX);
    play_end(&done);
}
END_TEST

START_TEST(what_a_peer_claims_to_lack_is_advice_and_limited)
{
    struct play done = play();

    insert_run(ours, 0, RECONCILE_HAVES_MAX);
    play_session(&done);
    ck_assert(found_all(&done, 0));
    play_end(&done);
    insert_run(ours, RECONCILE_HAVES_MAX, 5 * RECONCILE_HAVES_MAX);
    play_session(&done);
    ck_assert_int_eq(done.verdict, RECONCILE_DONE);
    ck_assert_uint_eq(done.have_count, RECONCILE_HAVES_MAX);
    play_end(&done);
}
END_TEST

START_TEST(a_hash_listed_twice_is_needed_once)
{
    static const char *const answer =
        "61 00 00 02 03 0101010101010101010101010101010101010101010101010101010101010101"
        "0202020202020202020202020202020202020202020202020202020202020202"
        "0101010101010101010101010101010101010101010101010101010101010101";
    struct reconcile *side;
    uint8_t data[200];
    size_t size = from_hex(answer, data, sizeof data), count;
    struct bytes message;

    settings.needs_max = 2;
    side = reconcile_new(&settings);
    reconcile_begin(side, ours, &message);
    ck_assert_int_eq(reconcile_take(side, ours, bytes_of(data, size), &message), RECONCILE_DONE);
    ck_assert_uint_eq(reconcile_needs(side, &count)[1].bytes[0], 2);
    ck_assert_uint_eq(count, 2);
    reconcile_free(side);
}
END_TEST

/* Takes the same answer until the session ends; returns after how many. */
static size_t take_again_and_again(struct bytes answer, enum reconcile_verdict *verdict)
{
    struct reconcile *side = reconcile_new(&settings);
    struct bytes message;
    size_t rounds = 0;

    reconcile_begin(side, ours, &message);
    do {
        *verdict = reconcile_take(side, ours, answer, &message);
        rounds++;
    } while (*verdict == RECONCILE_TAKEN);
    reconcile_free(side);
    return rounds;
}

START_TEST(a_peer_with_whom_nothing_ever_agrees_is_left)
{
    uint8_t answer[20] = {0x61, 0, 0, 1};
    enum reconcile_verdict verdict;

    insert_run(ours, 0, 100);
    ck_assert_uint_eq(take_again_and_again(bytes_of(answer, sizeof answer), &verdict),
                      RECONCILE_ROUNDS_MAX);
    ck_assert_int_eq(verdict, RECONCILE_TOO_LONG);
    settings.bytes_max = 10000;
    ck_assert_uint_lt(take_again_and_again(bytes_of(answer, sizeof answer), &verdict), 50);
    ck_assert_int_eq(verdict, RECONCILE_TOO_MUCH);
}
END_TEST

START_TEST(bytes_of_both_ways_count)
{
    uint8_t answer[20] = {0x61, 0, 0, 1};
    enum reconcile_verdict verdict;

    insert_run(ours, 0, 2); /* every message of ours: 5 + 64 bytes */
    settings.bytes_max = 3 * 69 + 4 * 20;
    ck_assert_uint_eq(take_again_and_again(bytes_of(answer, sizeof answer), &verdict), 4);
    settings.bytes_max = 4 * 69 + 4 * 20;
    ck_assert_uint_eq(take_again_and_again(bytes_of(answer, sizeof answer), &verdict), 5);
    settings.bytes_max--;
    ck_assert_uint_eq(take_again_and_again(bytes_of(answer, sizeof answer), &verdict), 4);
    ck_assert_int_eq(verdict, RECONCILE_TOO_MUCH);
}
END_TEST

START_TEST(a_peer_that_makes_us_look_through_all_again_is_left)
{
    /* An empty list up to second 1010, and a fingerprint of the rest that never agrees. */
    uint8_t answer[25] = {0x61, 0x87, 0x73, 0, 2, 0, 0, 0, 1};
    enum reconcile_verdict verdict;

    insert_run(ours, 0, 100);
    settings.looks_max = 60;
    ck_assert_uint_eq(take_again_and_again(bytes_of(answer, sizeof answer), &verdict), 4);
    ck_assert_int_eq(verdict, RECONCILE_TOO_MUCH);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reconcile");
    TCase *tcase = tcase_create("reconcile");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, the_first_message_is_upstreams);
    tcase_add_test(tcase, the_answer_of_one_who_lacks_a_record_is_upstreams);
    tcase_add_test(tcase, an_empty_set_begins_with_an_empty_list);
    tcase_add_test(tcase, a_probe_has_twenty_bytes_and_an_equal_set_answers_one);
    tcase_add_test(tcase, a_probe_that_fails_can_be_gone_on_with);
    tcase_add_test(tcase, the_newest_part_begins_with_a_skip);
    tcase_add_test(tcase, what_is_older_is_not_looked_at);
    tcase_add_test(tcase, a_fingerprint_from_before_the_newest_part_is_answered_within_it);
    tcase_add_test(tcase, every_beginning_of_a_message_is_refused_unless_ranges_are_whole);
    tcase_add_test(tcase, bounds_that_run_backwards_are_refused);
    tcase_add_test(tcase, numbers_that_nobody_writes_are_refused);
    tcase_add_test(tcase, a_time_beyond_all_times_is_infinity);
    tcase_add_test(tcase, modes_and_prefixes_that_are_none_are_refused);
    tcase_add_test(tcase, lists_longer_than_the_message_are_refused);
    tcase_add_test(tcase, what_stands_before_the_fault_is_not_learned);
    tcase_add_test(tcase, another_version_is_told_which_is_spoken);
    tcase_add_test(tcase, no_hash_is_lost_when_frames_are_short);
    tcase_add_test(tcase, split_rules_need_not_agree);
    tcase_add_test(tcase, upstreams_cut_loses_a_tail_and_ours_does_not);
    tcase_add_test(tcase, one_of_many_is_found_in_three_rounds);
    tcase_add_test(tcase, sets_may_change_between_messages);
    tcase_add_test(tcase, no_answer_is_above_the_limit);
    tcase_add_test(tcase, a_message_above_the_limit_is_refused);
    tcase_add_test(tcase, a_session_needs_so_many_hashes_and_no_more);
    tcase_add_test(tcase, what_a_peer_claims_to_lack_is_advice_and_limited);
    tcase_add_test(tcase, a_hash_listed_twice_is_needed_once);
    tcase_add_test(tcase, a_peer_with_whom_nothing_ever_agrees_is_left);
    tcase_add_test(tcase, bytes_of_both_ways_count);
    tcase_add_test(tcase, a_peer_that_makes_us_look_through_all_again_is_left);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
