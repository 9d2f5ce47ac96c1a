#include "core/dice.h"
#include "core/recordset.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>

#define MODEL_MAX 6000u          /* three levels: 32 * 64 stamps fill two */
#define BYTES_A_STAMP_MAX 84u    /* 80 MiB a million */
#define PACKED_BYTES_A_STAMP 42u /* what came in order */
#define NODES_FEW 8192u          /* bytes of a set with hardly a stamp */
#define LEAF 64u                 /* where nodes are full, as recordset.c has it */
#define INNER 32u

/* The same set as a plain sorted array. */
static struct stamp model[MODEL_MAX];
static size_t model_count;
static struct recordset *set;
static struct dice dice;

static void begin(void)
{
    ck_assert_int_ge(sodium_init(), 0);
    dice_init_number(&dice, 1);
    set = recordset_new();
    model_count = 0;
}

static void end(void)
{
    recordset_free(set);
}

/* ---- words for the stories ---- */

static struct stamp roll(uint64_t seconds)
{
    struct stamp stamp = {.at_s = (uint32_t)dice_below(&dice, seconds)};

    dice_fill(&dice, &stamp.hash, sizeof stamp.hash);
    return stamp;
}

static struct stamp numbered(uint32_t at_s, uint32_t number)
{
    struct stamp stamp = {.at_s = at_s};

    for (size_t i = 0; i < 4; i++)
        stamp.hash.bytes[i] = (uint8_t)(number >> (24 - 8 * i));
    return stamp;
}

static size_t model_seek(const struct stamp *stamp)
{
    size_t at = 0;

    while (at < model_count && stamp_compare(&model[at], stamp) < 0)
        at++;
    return at;
}

static bool model_has(size_t at, const struct stamp *stamp)
{
    return at < model_count && stamp_compare(&model[at], stamp) == 0;
}

static void insert_both(const struct stamp *stamp)
{
    size_t at = model_seek(stamp);
    bool is_there = model_has(at, stamp);

    ck_assert_int_eq(recordset_insert(set, stamp), !is_there);
    if (is_there)
        return;
    memmove(&model[at + 1], &model[at], (model_count - at) * sizeof *model);
    model[at] = *stamp;
    model_count++;
}

static void erase_both(const struct stamp *stamp)
{
    size_t at = model_seek(stamp);
    bool is_there = model_has(at, stamp);

    ck_assert_int_eq(recordset_erase(set, stamp), is_there);
    if (!is_there)
        return;
    model_count--;
    memmove(&model[at], &model[at + 1], (model_count - at) * sizeof *model);
}

static void erase_some(void)
{
    struct stamp stamp = model[dice_below(&dice, model_count)];

    erase_both(&stamp);
}

/* By the definition, byte by byte. */
static void model_fingerprint(size_t from, size_t to, uint8_t print[RECORDSET_PRINT_SIZE])
{
    uint8_t data[32 + 3] = {0}, hash[crypto_hash_sha256_BYTES];
    size_t count = to - from, size = 32;

    for (size_t i = from; i < to; i++) {
        unsigned carry = 0;
        for (size_t j = 0; j < 32; j++) {
            carry += data[j] + model[i].hash.bytes[j];
            data[j] = (uint8_t)carry;
            carry >>= 8;
        }
    }
    if (count >= 128u * 128u)
        data[size++] = (uint8_t)(count >> 14 | 0x80);
    if (count >= 128)
        data[size++] = (uint8_t)(count >> 7 | 0x80);
    data[size++] = count & 0x7f;
    crypto_hash_sha256(hash, data, size);
    memcpy(print, hash, RECORDSET_PRINT_SIZE);
}

static void check_range(size_t from, size_t to)
{
    uint8_t expected[RECORDSET_PRINT_SIZE], print[RECORDSET_PRINT_SIZE];

    model_fingerprint(from, to, expected);
    recordset_fingerprint(set, from, to, print);
    ck_assert_mem_eq(print, expected, sizeof print);
}

/* Everything about the set is what it is about the model. */
static void check_all(void)
{
    static struct stamp read[MODEL_MAX];

    ck_assert_uint_eq(recordset_count(set), model_count);
    ck_assert_uint_eq(recordset_read(set, 0, read, MODEL_MAX), model_count);
    ck_assert_mem_eq(read, model, model_count * sizeof *model);
    for (size_t i = 0; i < model_count; i++) {
        ck_assert_uint_eq(recordset_seek(set, &model[i]), i);
        ck_assert(recordset_contains(set, &model[i]));
    }
    check_range(0, model_count);
    for (int i = 0; i < 20; i++) {
        size_t from = dice_below(&dice, model_count + 1);
        check_range(from, from + dice_below(&dice, model_count - from + 1));
    }
}

static void check_memory(size_t stamps, size_t bytes_each)
{
    ck_assert_uint_le(recordset_memory(set), stamps * bytes_each + NODES_FEW);
}

/* ---- tests ---- */

START_TEST(an_empty_set_has_nothing)
{
    struct stamp stamp = numbered(1, 1);

    ck_assert_uint_eq(recordset_count(set), 0);
    ck_assert_uint_eq(recordset_seek(set, &stamp), 0);
    ck_assert_uint_eq(recordset_read(set, 0, &stamp, 1), 0);
    ck_assert(!recordset_contains(set, &stamp));
    ck_assert(!recordset_erase(set, &stamp));
    recordset_free(NULL);
}
END_TEST

START_TEST(the_order_is_time_and_then_hash)
{
    const struct stamp in_order[] = {numbered(0, 7), numbered(1, 1), numbered(1, 2),
                                     numbered(1, 0x80000000u), numbered(2, 0)};
    struct stamp read[5];

    for (size_t i = 5; i-- > 0;)
        ck_assert(recordset_insert(set, &in_order[i]));
    ck_assert_uint_eq(recordset_read(set, 0, read, 5), 5);
    ck_assert_mem_eq(read, in_order, sizeof read);
}
END_TEST

START_TEST(what_is_there_does_not_come_in_twice)
{
    struct stamp stamp = numbered(5, 5);
    uint8_t before[RECORDSET_PRINT_SIZE], after[RECORDSET_PRINT_SIZE];

    ck_assert(recordset_insert(set, &stamp));
    recordset_fingerprint(set, 0, 1, before);
    ck_assert(!recordset_insert(set, &stamp));
    recordset_fingerprint(set, 0, 1, after);
    ck_assert_uint_eq(recordset_count(set), 1);
    ck_assert_mem_eq(before, after, sizeof before);
}
END_TEST

START_TEST(a_time_that_is_none_is_refused)
{
    struct stamp last = numbered((uint32_t)(STAMP_TIME_END - 1), 1);
    struct stamp beyond = numbered((uint32_t)STAMP_TIME_END, 1);

    ck_assert(recordset_insert(set, &last));
    ck_assert(!recordset_insert(set, &beyond));
    ck_assert_uint_eq(recordset_count(set), 1);
}
END_TEST

/* reconciliation's vectors: an empty set, one hash, a sum that wraps to zero, 300 hashes. */
START_TEST(fingerprints_are_those_of_the_protocol)
{
    static const char *const expected[] = {
        "7f9c9e31ac8256ca2f258583df262dbc", "2e255099d6d6bee307c8e7075acc78f9",
        "58cc2f44d3a27866874701fbad573da9", "207f3442944521187c421658562478af"};
    static const size_t counts[] = {0, 1, 2, 300};

    for (size_t i = 0; i < 4; i++) {
        struct recordset *other = recordset_new();
        uint8_t print[RECORDSET_PRINT_SIZE], wanted[RECORDSET_PRINT_SIZE];

        for (uint32_t number = 0; number < counts[i]; number++) {
            struct stamp stamp = {.at_s = number, .hash.bytes = {1}};
            const uint8_t big_endian[4] = {0, 0, (uint8_t)(number >> 8), (uint8_t)number};
            if (i == 2 && number == 1)
                memset(stamp.hash.bytes, 0xff, HASH_SIZE);
            if (i == 3)
                crypto_hash_sha256(stamp.hash.bytes, big_endian, sizeof big_endian);
            ck_assert(recordset_insert(other, &stamp));
        }
        recordset_fingerprint(other, 0, counts[i], print);
        sodium_hex2bin(wanted, sizeof wanted, expected[i], 32, NULL, NULL, NULL);
        ck_assert_mem_eq(print, wanted, sizeof print);
        recordset_free(other);
    }
}
END_TEST

START_TEST(a_range_beyond_the_end_counts_what_is_there)
{
    uint8_t whole[RECORDSET_PRINT_SIZE], beyond[RECORDSET_PRINT_SIZE];

    for (uint32_t i = 0; i < 10; i++) {
        struct stamp stamp = numbered(i, i);
        insert_both(&stamp);
    }
    recordset_fingerprint(set, 3, 10, whole);
    recordset_fingerprint(set, 3, SIZE_MAX, beyond);
    ck_assert_mem_eq(whole, beyond, sizeof whole);
    model_fingerprint(0, 0, whole);
    recordset_fingerprint(set, 8, 4, beyond);
    ck_assert_mem_eq(whole, beyond, sizeof whole);
}
END_TEST

/* Grown and shrunk around every size at which a node fills, splits or merges. */
START_TEST(it_is_a_sorted_array_at_the_borders_of_nodes)
{
    static const size_t sizes[] = {1,        LEAF / 2,     LEAF - 1,     LEAF,
                                   LEAF + 1, 2 * LEAF,     INNER * LEAF, INNER * LEAF + 1,
                                   0,        INNER * LEAF, LEAF,         2};
    static const uint64_t seconds[] = {1, 30, STAMP_TIME_END};

    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (int i = 0; model_count < sizes[s]; i++) {
            struct stamp stamp = roll(seconds[i % 3]);
            insert_both(&stamp);
        }
        while (model_count > sizes[s])
            erase_some();
        check_all();
    }
}
END_TEST

START_TEST(it_is_a_sorted_array_under_random_changes)
{
    for (int phase = 0; phase < 24; phase++) {
        uint64_t inserts = phase % 3 == 2 ? 30 : 70; /* of a hundred */
        for (int i = 0; i < 1500 && model_count < MODEL_MAX; i++) {
            struct stamp stamp = roll(phase % 2 ? 50 : STAMP_TIME_END);
            if (dice_below(&dice, 100) < inserts)
                insert_both(&stamp);
            else if (model_count > 0 && i % 10) /* else one that is not there */
                erase_some();
            else
                erase_both(&stamp);
        }
        check_all();
        if (model_count > LEAF)
            check_memory(model_count, BYTES_A_STAMP_MAX);
    }
}
END_TEST

START_TEST(seeking_finds_the_place_of_what_is_not_there)
{
    for (int i = 0; i < 3000; i++) {
        struct stamp stamp = roll(100);
        insert_both(&stamp);
    }
    for (int i = 0; i < 1000; i++) {
        struct stamp stamp = roll(110);
        ck_assert_uint_eq(recordset_seek(set, &stamp), model_seek(&stamp));
        ck_assert(!recordset_contains(set, &stamp));
    }
}
END_TEST

START_TEST(what_comes_in_order_is_packed)
{
    for (uint32_t i = 0; i < 100000; i++) {
        struct stamp stamp = numbered(i / 3, i);
        ck_assert(recordset_insert(set, &stamp));
    }
    check_memory(100000, PACKED_BYTES_A_STAMP);
}
END_TEST

START_TEST(loading_sorts_and_drops_doubles)
{
    static struct stamp stamps[5000];

    for (size_t i = 0; i < 5000; i++)
        stamps[i] = i % 5 == 4 ? stamps[i - 3] : roll(200);
    ck_assert_uint_eq(recordset_load(set, stamps, 5000), 4000);
    for (size_t i = 0; i < 5000; i++)
        if (!model_has(model_seek(&stamps[i]), &stamps[i]))
            model[model_count++] = stamps[i]; /* they are in order now */
    check_all();
    check_memory(4000, PACKED_BYTES_A_STAMP);
    ck_assert_uint_eq(recordset_load(set, stamps, 5000), 0);
}
END_TEST

/* Whoever chooses times and hashes cannot make it take more than its bound. */
START_TEST(no_choice_of_stamps_wastes_memory)
{
    struct stamp stamp;

    for (uint32_t i = 100000; i > 0; i--) { /* backwards: every leaf is left half full */
        stamp = numbered(7, i);
        ck_assert(recordset_insert(set, &stamp));
    }
    check_memory(100000, BYTES_A_STAMP_MAX);
    for (uint32_t i = 1; i <= 100000; i++) { /* and behind a place in the midst, again and again */
        stamp = numbered(7, 50000);
        stamp.hash.bytes[4] = (uint8_t)(i >> 16);
        stamp.hash.bytes[5] = (uint8_t)(i >> 8);
        stamp.hash.bytes[6] = (uint8_t)i;
        ck_assert(recordset_insert(set, &stamp));
    }
    check_memory(200000, BYTES_A_STAMP_MAX);
    for (uint32_t i = 1; i <= 100000; i++) { /* all but each eighth go */
        stamp = numbered(7, i);
        if (i % 8)
            ck_assert(recordset_erase(set, &stamp));
    }
    check_memory(recordset_count(set), BYTES_A_STAMP_MAX);
}
END_TEST

/* A full leaf at whose end one comes in, and which is full again, and so on. */
START_TEST(only_the_end_of_the_set_is_packed)
{
    struct stamp stamp;

    for (uint32_t i = 0; i < 2 * LEAF; i++) {
        stamp = numbered(1, i << 16);
        insert_both(&stamp);
    }
    for (uint32_t i = 0; i < 4000; i++) {
        stamp = numbered(1, (LEAF << 16) - 1 - i); /* before the second leaf, after all others */
        insert_both(&stamp);
    }
    check_all();
    check_memory(model_count, BYTES_A_STAMP_MAX);
}
END_TEST

START_TEST(memory_comes_back)
{
    size_t empty = recordset_memory(set);

    for (uint32_t i = 0; i < 50000; i++) {
        struct stamp stamp = numbered(i % 977, i);
        ck_assert(recordset_insert(set, &stamp));
    }
    for (uint32_t i = 0; i < 50000; i++) {
        struct stamp stamp = numbered(i % 977, i);
        ck_assert(recordset_erase(set, &stamp));
    }
    ck_assert_uint_eq(recordset_memory(set), empty);
    check_all();
}
END_TEST

/* From the front, as records expire; from the back; and in both the last leaf may be short. */
START_TEST(either_end_can_be_eaten_away)
{
    for (int turn = 0; turn < 2; turn++) {
        for (uint32_t i = 0; i < 3 * INNER * LEAF / 2 + 1; i++) {
            struct stamp stamp = numbered(i, i);
            insert_both(&stamp);
        }
        while (model_count > 0) {
            struct stamp stamp = turn ? model[model_count - 1] : model[0];
            erase_both(&stamp);
            if (model_count % 191 == 0)
                check_all();
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recordset");
    TCase *tcase = tcase_create("recordset");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, an_empty_set_has_nothing);
    tcase_add_test(tcase, the_order_is_time_and_then_hash);
    tcase_add_test(tcase, what_is_there_does_not_come_in_twice);
    tcase_add_test(tcase, a_time_that_is_none_is_refused);
    tcase_add_test(tcase, fingerprints_are_those_of_the_protocol);
    tcase_add_test(tcase, a_range_beyond_the_end_counts_what_is_there);
    tcase_add_test(tcase, it_is_a_sorted_array_at_the_borders_of_nodes);
    tcase_add_test(tcase, it_is_a_sorted_array_under_random_changes);
    tcase_add_test(tcase, seeking_finds_the_place_of_what_is_not_there);
    tcase_add_test(tcase, what_comes_in_order_is_packed);
    tcase_add_test(tcase, loading_sorts_and_drops_doubles);
    tcase_add_test(tcase, no_choice_of_stamps_wastes_memory);
    tcase_add_test(tcase, only_the_end_of_the_set_is_packed);
    tcase_add_test(tcase, memory_comes_back);
    tcase_add_test(tcase, either_end_can_be_eaten_away);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
