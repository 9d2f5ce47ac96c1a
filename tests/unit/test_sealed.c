/* What perches hold: pre-keys, and pecks that are sealed to them. */
#include "core/dice.h"
#include "core/sealed.h"

#include <check.h>

#define MAKING_ROOM (4u * MIB)

struct bed {
    struct dice dice;
    struct prekeys *prekeys;
    struct noise_pair sealer;
    struct sealed_ends ends;
    struct arena arena;
};

static void fill_secret(struct bed *bed, uint8_t secret[NOISE_KEY_SIZE])
{
    dice_fill(&bed->dice, secret, NOISE_KEY_SIZE);
}

static void bed_open(struct bed *bed)
{
    uint8_t secret[NOISE_KEY_SIZE];

    memset(bed, 0, sizeof *bed);
    dice_init_number(&bed->dice, 7);
    bed->prekeys = prekeys_new();
    fill_secret(bed, secret);
    noise_pair_from_secret(&bed->sealer, secret);
    fill_secret(bed, secret);
    ck_assert(prekeys_add(bed->prekeys, secret, DAY_MS));
    bed->ends.network = bytes_of_text("duck");
    bed->ends.owner.bytes[0] = 1;
    arena_init(&bed->arena, MAKING_ROOM);
}

static void bed_close(struct bed *bed)
{
    prekeys_free(bed->prekeys);
    arena_free(&bed->arena);
}

static struct bytes seal(struct bed *bed, const struct sealed_peck *peck)
{
    uint8_t ephemeral[NOISE_KEY_SIZE];

    fill_secret(bed, ephemeral);
    return sealed_seal(&bed->ends, peck, prekeys_newest(bed->prekeys)->pair.public, &bed->sealer,
                       ephemeral, &bed->arena);
}

static enum sealed_verdict open_it(struct bed *bed, struct bytes sealed, struct sealed_peck *peck)
{
    uint8_t sealer[NOISE_KEY_SIZE];
    enum sealed_verdict verdict =
        sealed_open(&bed->ends, sealed, bed->prekeys, &bed->arena, peck, sealer);

    if (verdict == SEALED_OPENED)
        ck_assert_mem_eq(sealer, bed->sealer.public, sizeof sealer);
    return verdict;
}

static bool holds(struct bytes haystack, const char *needle)
{
    size_t size = strlen(needle);

    for (size_t i = 0; i + size <= haystack.size; i++)
        if (memcmp(haystack.data + i, needle, size) == 0)
            return true;
    return false;
}

START_TEST(its_owner_opens_what_was_sealed_and_nobody_can_read_it)
{
    struct sealed_peck peck = {
        .frame = bytes_of_text("a frame with a marker"), .after = {{9}}, .after_until_ms = 77};
    struct sealed_peck opened;
    struct bytes sealed;
    struct bed bed;

    bed_open(&bed);
    sealed = seal(&bed, &peck);
    ck_assert_uint_gt(sealed.size, 0);
    ck_assert(!holds(sealed, "marker"));
    ck_assert_int_eq(open_it(&bed, sealed, &opened), SEALED_OPENED);
    ck_assert(bytes_equal(opened.frame, peck.frame));
    ck_assert(id_equal(&opened.after, &peck.after));
    ck_assert_uint_eq(opened.after_until_ms, 77);
    bed_close(&bed);
}
END_TEST

START_TEST(two_seals_of_one_peck_have_nothing_in_common_but_the_size)
{
    struct sealed_peck peck = {.frame = bytes_of_text("twice")};
    struct bytes one, other;
    struct bed bed;

    bed_open(&bed);
    one = seal(&bed, &peck);
    other = seal(&bed, &peck);
    ck_assert_uint_eq(one.size, other.size);
    ck_assert(memcmp(one.data + 9, other.data + 9, 32) != 0);
    ck_assert(memcmp(one.data + 105, other.data + 105, 64) != 0);
    bed_close(&bed);
}
END_TEST

START_TEST(sizes_are_seen_to_a_kibibyte)
{
    static const uint8_t bytes[3000];
    struct sealed_peck small = {.frame = bytes_of(bytes, 1)},
                       larger = {.frame = bytes_of(bytes, 1000)},
                       two = {.frame = bytes_of(bytes, 1100)};
    struct bed bed;

    bed_open(&bed);
    ck_assert_uint_eq(seal(&bed, &small).size, seal(&bed, &larger).size);
    ck_assert_uint_eq(seal(&bed, &two).size, seal(&bed, &small).size + KIB);
    bed_close(&bed);
}
END_TEST

START_TEST(the_largest_peck_fits_and_comes_back_whole)
{
    size_t size = CHAIN_SIZE_MAX + PECK_BODY_MAX + ENVELOPE_OVERHEAD_MAX + FRAME_TAGS_MAX;
    uint8_t *bytes = memory_take(size);
    struct sealed_peck peck = {.frame = bytes_of(bytes, size)}, opened;
    struct bytes sealed;
    struct bed bed;

    bed_open(&bed);
    dice_fill(&bed.dice, bytes, size);
    sealed = seal(&bed, &peck);
    ck_assert_uint_gt(sealed.size, size);
    ck_assert_uint_le(sealed.size, PERCH_SEALED_MAX);
    ck_assert_uint_le(sealed_size(size), PERCH_SEALED_MAX);
    ck_assert_int_eq(open_it(&bed, sealed, &opened), SEALED_OPENED);
    ck_assert(bytes_equal(opened.frame, peck.frame));
    memory_give_back(bytes);
    bed_close(&bed);
}
END_TEST

START_TEST(each_turned_bit_is_refused)
{
    struct sealed_peck peck = {.frame = bytes_of_text("hold still")}, opened;
    struct bytes sealed;
    struct bed bed;
    uint8_t *bytes;

    bed_open(&bed);
    sealed = seal(&bed, &peck);
    bytes = memory_copy(sealed.data, sealed.size);
    for (size_t i = 0; i < sealed.size; i++) {
        arena_reset(&bed.arena);
        bytes[i] ^= (uint8_t)(1u << (i % 8));
        ck_assert_int_ne(open_it(&bed, bytes_of(bytes, sealed.size), &opened), SEALED_OPENED);
        bytes[i] ^= (uint8_t)(1u << (i % 8));
    }
    ck_assert_int_eq(open_it(&bed, bytes_of(bytes, sealed.size), &opened), SEALED_OPENED);
    memory_give_back(bytes);
    bed_close(&bed);
}
END_TEST

START_TEST(what_is_cut_off_is_refused_wherever_it_is_cut)
{
    static const uint8_t bytes[70000]; /* three parts */
    struct sealed_peck peck = {.frame = bytes_of(bytes, sizeof bytes)}, opened;
    struct bytes sealed;
    struct bed bed;

    bed_open(&bed);
    sealed = seal(&bed, &peck);
    for (size_t size = 0; size < sealed.size; size += size < 200 ? 1 : 997)
        ck_assert_int_ne(open_it(&bed, bytes_of(sealed.data, size), &opened), SEALED_OPENED);
    /* At the end of a part, each tag holds; what is missing is seen all the same. */
    ck_assert_int_eq(open_it(&bed, bytes_of(sealed.data, 9 + 96 + 32768 + 16), &opened),
                     SEALED_MALFORMED);
    bed_close(&bed);
}
END_TEST

START_TEST(another_owner_or_network_or_version_cannot_open_it)
{
    struct sealed_peck peck = {.frame = bytes_of_text("mine")}, opened;
    struct bytes sealed;
    uint8_t *changed;
    struct bed bed;

    bed_open(&bed);
    sealed = seal(&bed, &peck);
    bed.ends.owner.bytes[0] = 2;
    ck_assert_int_eq(open_it(&bed, sealed, &opened), SEALED_BAD_TAG);
    bed.ends.owner.bytes[0] = 1;
    bed.ends.network = bytes_of_text("goose");
    ck_assert_int_eq(open_it(&bed, sealed, &opened), SEALED_BAD_TAG);
    bed.ends.network = bytes_of_text("duck");
    changed = memory_copy(sealed.data, sealed.size);
    changed[0] = 2;
    ck_assert_int_eq(open_it(&bed, bytes_of(changed, sealed.size), &opened), SEALED_MALFORMED);
    changed[0] = 1;
    changed[1] ^= 1;
    ck_assert_int_eq(open_it(&bed, bytes_of(changed, sealed.size), &opened), SEALED_UNKNOWN_KEY);
    memory_give_back(changed);
    bed_close(&bed);
}
END_TEST

START_TEST(a_key_of_low_order_is_sealed_to_by_nobody)
{
    static const uint8_t zeros[NOISE_KEY_SIZE];
    struct sealed_peck peck = {.frame = bytes_of_text("no")};
    struct bed bed;

    bed_open(&bed);
    ck_assert_uint_eq(
        sealed_seal(&bed.ends, &peck, zeros, &bed.sealer, bed.sealer.secret, &bed.arena).size, 0);
    bed_close(&bed);
}
END_TEST

START_TEST(a_seal_with_nothing_in_it_is_refused)
{
    struct sealed_peck peck = {0}, opened;
    struct bed bed;

    bed_open(&bed);
    ck_assert_int_eq(open_it(&bed, seal(&bed, &peck), &opened), SEALED_MALFORMED);
    bed_close(&bed);
}
END_TEST

START_TEST(a_pre_key_is_renewed_each_day_and_kept_for_eight)
{
    uint64_t wall_ms = 100 * DAY_MS;
    uint8_t secret[NOISE_KEY_SIZE], public[NOISE_KEY_SIZE], first[NOISE_KEY_SIZE];
    struct bed bed;

    bed_open(&bed);
    ck_assert(prekeys_forget_next(bed.prekeys, wall_ms, public));
    ck_assert(prekeys_are_due(bed.prekeys, wall_ms));
    ck_assert_uint_eq(prekeys_next_ms(bed.prekeys), MOMENT_NEVER);
    for (uint64_t day = 0; day < 8; day++) {
        fill_secret(&bed, secret);
        ck_assert(prekeys_are_due(bed.prekeys, wall_ms));
        ck_assert(prekeys_add(bed.prekeys, secret, wall_ms));
        ck_assert(!prekeys_are_due(bed.prekeys, wall_ms));
        ck_assert(!prekeys_are_due(bed.prekeys, wall_ms + PRE_KEY_LIFE_MS - 1));
        ck_assert(!prekeys_forget_next(bed.prekeys, wall_ms, public));
        if (day == 0)
            memcpy(first, prekeys_newest(bed.prekeys)->pair.public, sizeof first);
        wall_ms += PRE_KEY_LIFE_MS;
    }
    ck_assert(prekeys_find(bed.prekeys, first));
    ck_assert(!prekeys_forget_next(bed.prekeys, wall_ms - 1, public));
    ck_assert(prekeys_forget_next(bed.prekeys, wall_ms, public));
    ck_assert_mem_eq(public, first, sizeof first);
    ck_assert_ptr_null(prekeys_find(bed.prekeys, first));
    ck_assert_uint_eq(prekeys_count(bed.prekeys), 7);
    bed_close(&bed);
}
END_TEST

START_TEST(what_was_sealed_to_a_pre_key_that_is_forgotten_opens_for_nobody)
{
    struct sealed_peck peck = {.frame = bytes_of_text("late")}, opened;
    uint8_t public[NOISE_KEY_SIZE];
    struct bytes sealed;
    struct bed bed;

    bed_open(&bed);
    sealed = seal(&bed, &peck);
    ck_assert_int_eq(open_it(&bed, sealed, &opened), SEALED_OPENED);
    ck_assert(prekeys_forget_next(bed.prekeys, DAY_MS + PRE_KEY_KEPT_MS, public));
    ck_assert_int_eq(open_it(&bed, sealed, &opened), SEALED_UNKNOWN_KEY);
    bed_close(&bed);
}
END_TEST

START_TEST(a_clock_that_was_set_back_gets_a_key_of_its_own_time)
{
    struct bed bed;

    bed_open(&bed); /* its key is of the first day */
    ck_assert(!prekeys_are_due(bed.prekeys, DAY_MS - CLOCK_SKEW_MAX_MS));
    ck_assert(prekeys_are_due(bed.prekeys, DAY_MS - CLOCK_SKEW_MAX_MS - 1));
    bed_close(&bed);
}
END_TEST

START_TEST(at_the_limit_the_oldest_pre_key_gives_way_and_none_is_there_twice)
{
    uint8_t secret[NOISE_KEY_SIZE], first[NOISE_KEY_SIZE];
    struct bed bed;

    bed_open(&bed);
    memcpy(first, prekeys_newest(bed.prekeys)->pair.public, sizeof first);
    for (uint64_t i = 1; i < PRE_KEYS_MAX; i++) {
        fill_secret(&bed, secret);
        ck_assert(prekeys_add(bed.prekeys, secret, DAY_MS + i));
        ck_assert(!prekeys_add(bed.prekeys, secret, DAY_MS + i));
    }
    ck_assert_uint_eq(prekeys_count(bed.prekeys), PRE_KEYS_MAX);
    ck_assert(prekeys_find(bed.prekeys, first));
    fill_secret(&bed, secret);
    ck_assert(prekeys_add(bed.prekeys, secret, DAY_MS + PRE_KEYS_MAX));
    ck_assert_uint_eq(prekeys_count(bed.prekeys), PRE_KEYS_MAX);
    ck_assert_ptr_null(prekeys_find(bed.prekeys, first));
    bed_close(&bed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sealed");
    TCase *tests = tcase_create("sealed"), *keys = tcase_create("prekeys");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tests, its_owner_opens_what_was_sealed_and_nobody_can_read_it);
    tcase_add_test(tests, two_seals_of_one_peck_have_nothing_in_common_but_the_size);
    tcase_add_test(tests, sizes_are_seen_to_a_kibibyte);
    tcase_add_test(tests, the_largest_peck_fits_and_comes_back_whole);
    tcase_add_test(tests, each_turned_bit_is_refused);
    tcase_add_test(tests, what_is_cut_off_is_refused_wherever_it_is_cut);
    tcase_add_test(tests, another_owner_or_network_or_version_cannot_open_it);
    tcase_add_test(tests, a_key_of_low_order_is_sealed_to_by_nobody);
    tcase_add_test(tests, a_seal_with_nothing_in_it_is_refused);
    tcase_add_test(keys, a_pre_key_is_renewed_each_day_and_kept_for_eight);
    tcase_add_test(keys, what_was_sealed_to_a_pre_key_that_is_forgotten_opens_for_nobody);
    tcase_add_test(keys, a_clock_that_was_set_back_gets_a_key_of_its_own_time);
    tcase_add_test(keys, at_the_limit_the_oldest_pre_key_gives_way_and_none_is_there_twice);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, keys);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
