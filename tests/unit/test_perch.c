/* What a perch holds, whom it holds it for, and who makes room. */
#include "core/collecting.h"
#include "core/deposits.h"
#include "core/perch.h"

#include <check.h>

#define NOW_MS (1000 * DAY_MS)
#define LARGE (64u * KIB)

static struct id id_for(uint32_t kind, uint32_t number)
{
    struct id id = {{0}};

    memcpy(id.bytes, &kind, sizeof kind);
    memcpy(id.bytes + 4, &number, sizeof number);
    return id;
}

static struct id owner(uint32_t number)
{
    return id_for(1, number);
}

static struct id node(uint32_t number)
{
    return id_for(2, number);
}

static struct perch_entry entry_of(uint32_t to, uint32_t from, uint32_t name, size_t size)
{
    return (struct perch_entry){.name = id_for(3, name),
                                .owner = owner(to),
                                .from = node(from),
                                .not_after_ms = NOW_MS + DAY_MS,
                                .size = size};
}

static uint64_t evicted[PERCH_EVICTED_MAX];
static size_t evicted_count;

static enum perch_verdict offer(struct perch *perch, uint32_t to, uint32_t from, uint32_t name,
                                size_t size)
{
    struct perch_entry entry = entry_of(to, from, name, size);

    return perch_offer(perch, &entry, NOW_MS, evicted, &evicted_count);
}

static struct perch *perch_of(size_t bytes_max, size_t owner_bytes_max)
{
    struct perch_settings settings = {.bytes_max = bytes_max, .owner_bytes_max = owner_bytes_max};

    return perch_new(&settings);
}

static size_t count_from(const struct perch *perch, uint32_t to, uint32_t from)
{
    struct id of = owner(to), by = node(from);
    struct perch_entry entry;
    uint64_t after = 0;
    size_t count = 0;

    for (; perch_next(perch, &of, after, &entry); after = entry.number)
        count += id_equal(&entry.from, &by);
    return count;
}

START_TEST(what_is_brought_comes_back_in_order_until_its_owner_has_it)
{
    struct perch *perch = perch_of(0, 0);
    struct id alice = owner(1), bob = owner(2);
    struct perch_entry entry;
    uint64_t number;

    for (uint32_t i = 0; i < 5; i++)
        ck_assert_int_eq(offer(perch, 1 + i % 2, 7, i, KIB), PERCH_HELD);
    ck_assert_uint_eq(perch_count(perch), 5);
    ck_assert_uint_eq(perch_owners(perch), 2);
    ck_assert_uint_eq(perch_bytes(perch), 5 * KIB);
    ck_assert(perch_next(perch, &alice, 0, &entry));
    ck_assert_uint_eq(entry.number, 1);
    ck_assert(perch_next(perch, &alice, 1, &entry));
    ck_assert_uint_eq(entry.number, 3);
    ck_assert(perch_settle(perch, &alice, &entry.name, &number));
    ck_assert_uint_eq(number, 3);
    ck_assert(perch_next(perch, &alice, 1, &entry));
    ck_assert_uint_eq(entry.number, 5);
    ck_assert(!perch_next(perch, &alice, 5, &entry));
    ck_assert(perch_next(perch, &bob, 0, &entry));
    ck_assert_uint_eq(entry.number, 2);
    perch_free(perch);
}
END_TEST

START_TEST(only_its_owner_settles_it)
{
    struct perch *perch = perch_of(0, 0);
    struct id bob = owner(2), alice = owner(1), name = id_for(3, 0);
    uint64_t number;

    ck_assert_int_eq(offer(perch, 1, 7, 0, KIB), PERCH_HELD);
    ck_assert(!perch_settle(perch, &bob, &name, &number));
    ck_assert(perch_settle(perch, &alice, &name, &number));
    ck_assert(!perch_settle(perch, &alice, &name, &number));
    ck_assert_uint_eq(perch_count(perch), 0);
    ck_assert_uint_eq(perch_owners(perch), 0);
    perch_free(perch);
}
END_TEST

START_TEST(what_is_brought_twice_is_held_once)
{
    struct perch *perch = perch_of(0, 0);

    ck_assert_int_eq(offer(perch, 1, 7, 0, KIB), PERCH_HELD);
    ck_assert_int_eq(offer(perch, 1, 7, 0, KIB), PERCH_KNOWN);
    ck_assert_int_eq(offer(perch, 2, 7, 0, KIB), PERCH_HELD); /* for another it is another */
    ck_assert_uint_eq(perch_count(perch), 2);
    perch_free(perch);
}
END_TEST

START_TEST(sizes_and_dates_are_bounded_to_the_byte_and_millisecond)
{
    struct perch *perch = perch_of(0, 0);
    struct perch_entry entry = entry_of(1, 7, 1, KIB);

    ck_assert_int_eq(offer(perch, 1, 7, 0, 0), PERCH_TOO_LARGE);
    ck_assert_int_eq(offer(perch, 1, 7, 0, PERCH_SEALED_MAX + 1), PERCH_TOO_LARGE);
    ck_assert_int_eq(offer(perch, 1, 7, 0, PERCH_SEALED_MAX), PERCH_HELD);
    entry.not_after_ms = NOW_MS;
    ck_assert_int_eq(perch_offer(perch, &entry, NOW_MS, evicted, &evicted_count), PERCH_EXPIRED);
    entry.not_after_ms = NOW_MS + PECK_LIFE_MAX_MS + CLOCK_SKEW_MAX_MS + 1;
    ck_assert_int_eq(perch_offer(perch, &entry, NOW_MS, evicted, &evicted_count), PERCH_EXPIRED);
    entry.not_after_ms--;
    ck_assert_int_eq(perch_offer(perch, &entry, NOW_MS, evicted, &evicted_count), PERCH_HELD);
    ck_assert_str_eq(perch_verdict_code(PERCH_EXPIRED), "expired");
    ck_assert_str_eq(perch_verdict_code(PERCH_TOO_LARGE), "too_large");
    ck_assert_str_eq(perch_verdict_code(PERCH_FULL), "full");
    ck_assert_str_eq(perch_verdict_code(PERCH_HELD), "");
    perch_free(perch);
}
END_TEST

START_TEST(what_is_over_goes_and_the_perch_wakes_for_it)
{
    struct perch *perch = perch_of(0, 0);
    struct moment at = {.now_ms = 5, .wall_ms = NOW_MS};
    uint64_t number;

    ck_assert_uint_eq(perch_wake_at_ms(perch, &at), MOMENT_NEVER);
    ck_assert_int_eq(offer(perch, 1, 7, 0, KIB), PERCH_HELD);
    ck_assert_uint_eq(perch_wake_at_ms(perch, &at), 5 + DAY_MS);
    ck_assert(!perch_poll_expired(perch, NOW_MS + DAY_MS - 1, &number));
    ck_assert(perch_poll_expired(perch, NOW_MS + DAY_MS, &number));
    ck_assert_uint_eq(number, 1);
    ck_assert_uint_eq(perch_count(perch), 0);
    perch_free(perch);
}
END_TEST

START_TEST(small_ones_count_for_four_kibibytes_so_their_number_is_bounded)
{
    struct perch *perch = perch_of(0, 0);

    for (uint32_t i = 0; i < PERCH_OWNER_BYTES_MAX / PERCH_ENTRY_BYTES_MIN; i++)
        ck_assert_int_eq(offer(perch, 1, 7, i, 1), PERCH_HELD);
    ck_assert_int_eq(offer(perch, 1, 7, UINT32_MAX, 1), PERCH_FULL);
    for (uint32_t to = 2; to <= PERCH_BYTES_MAX / PERCH_OWNER_BYTES_MAX; to++)
        for (uint32_t i = 0; i < PERCH_OWNER_BYTES_MAX / PERCH_ENTRY_BYTES_MIN; i++)
            ck_assert_int_eq(offer(perch, to, 7, i, 1), PERCH_HELD);
    ck_assert_uint_eq(perch_count(perch), PERCH_BYTES_MAX / PERCH_ENTRY_BYTES_MIN);
    ck_assert_int_eq(offer(perch, 99, 7, 0, 1), PERCH_FULL);
    ck_assert_uint_eq(perch_count(perch), PERCH_BYTES_MAX / PERCH_ENTRY_BYTES_MIN);
    perch_free(perch);
}
END_TEST

START_TEST(who_fills_an_owners_box_makes_room_for_others_with_its_newest)
{
    struct perch *perch = perch_of(64 * LARGE, 16 * LARGE);
    struct id alice = owner(1);
    struct perch_entry first;

    for (uint32_t i = 0; i < 16; i++)
        ck_assert_int_eq(offer(perch, 1, 66, i, LARGE), PERCH_HELD);
    ck_assert_int_eq(offer(perch, 1, 66, 16, LARGE), PERCH_FULL);
    ck_assert_uint_eq(evicted_count, 0);
    ck_assert_int_eq(offer(perch, 1, 7, 100, LARGE), PERCH_HELD);
    ck_assert_uint_eq(evicted_count, 1);
    ck_assert_uint_eq(evicted[0], 16); /* the newest of the largest */
    ck_assert(perch_next(perch, &alice, 0, &first));
    ck_assert_uint_eq(first.number, 1);
    ck_assert_uint_eq(count_from(perch, 1, 66), 15);
    perch_free(perch);
}
END_TEST

START_TEST(a_flood_of_one_leaves_each_other_its_even_share)
{
    struct perch *perch = perch_of(64 * LARGE, 16 * LARGE);

    for (uint32_t i = 0; i < 1000; i++) {
        offer(perch, 1, 66, i, LARGE);
        if (i % 100 == 0)
            for (uint32_t from = 1; from <= 3; from++)
                offer(perch, 1, from, 2000 + 10 * i + from, LARGE);
    }
    /* Four of them, sixteen places: whoever asked for more has four, and nobody less. */
    for (uint32_t from = 1; from <= 3; from++)
        ck_assert_uint_eq(count_from(perch, 1, from), 4);
    ck_assert_uint_eq(count_from(perch, 1, 66), 4);
    perch_free(perch);
}
END_TEST

START_TEST(a_flood_for_many_owners_is_bounded_in_the_whole_as_well)
{
    struct perch *perch = perch_of(64 * LARGE, 16 * LARGE);

    for (uint32_t i = 0; i < 640; i++)
        offer(perch, 2 + i % 40, 66, i, LARGE);
    ck_assert_uint_eq(perch_count(perch), 64);
    for (uint32_t i = 0; i < 16; i++)
        ck_assert_int_eq(offer(perch, 1, 7, 1000 + i, LARGE), PERCH_HELD);
    ck_assert_uint_eq(count_from(perch, 1, 7), 16);
    ck_assert_uint_eq(perch_count(perch), 64);
    ck_assert_uint_eq(perch_bytes(perch), 64 * LARGE);
    perch_free(perch);
}
END_TEST

START_TEST(one_large_one_takes_the_place_of_several_or_of_none)
{
    struct perch *perch = perch_of(64 * LARGE, 64 * LARGE);

    for (uint32_t i = 0; i < 64 * LARGE / PERCH_ENTRY_BYTES_MIN; i++)
        ck_assert_int_eq(offer(perch, 1, i % 2 ? 8 : 9, i, PERCH_ENTRY_BYTES_MIN), PERCH_HELD);
    ck_assert_int_eq(offer(perch, 2, 7, 0, 4 * LARGE), PERCH_HELD);
    ck_assert_uint_eq(evicted_count, 4 * LARGE / PERCH_ENTRY_BYTES_MIN);
    ck_assert_uint_eq(count_from(perch, 1, 8), count_from(perch, 1, 9)); /* in turns */
    perch_free(perch);

    /* Where the others have less than it would, all stays as it is. */
    perch = perch_of(4 * LARGE, 4 * LARGE);
    for (uint32_t from = 1; from <= 4; from++)
        ck_assert_int_eq(offer(perch, 1, from, from, LARGE), PERCH_HELD);
    ck_assert_int_eq(offer(perch, 1, 5, 5, 2 * LARGE), PERCH_FULL);
    ck_assert_uint_eq(evicted_count, 0);
    ck_assert_uint_eq(perch_count(perch), 4);
    ck_assert_uint_eq(perch_bytes(perch), 4 * LARGE);
    ck_assert_int_eq(offer(perch, 1, 4, 6, LARGE), PERCH_FULL);
    perch_free(perch);
}
END_TEST

START_TEST(what_would_need_too_many_to_go_is_refused)
{
    size_t max = (PERCH_EVICTED_MAX + 1) * PERCH_ENTRY_BYTES_MIN;
    struct perch *perch = perch_of(max, max);

    ck_assert_uint_lt(PERCH_SEALED_MAX, PERCH_EVICTED_MAX * PERCH_ENTRY_BYTES_MIN);
    for (uint32_t i = 0; i <= PERCH_EVICTED_MAX; i++)
        ck_assert_int_eq(offer(perch, 1, 66, i, 1), PERCH_HELD);
    ck_assert_int_eq(offer(perch, 1, 7, 1000, 60 * PERCH_ENTRY_BYTES_MIN), PERCH_HELD);
    ck_assert_uint_eq(evicted_count, 60);
    ck_assert_uint_eq(perch_count(perch), PERCH_EVICTED_MAX + 1 - 60 + 1);
    perch_free(perch);
}
END_TEST

START_TEST(after_a_restart_numbers_go_on)
{
    struct perch *perch = perch_of(0, 0);
    struct perch_entry entry = entry_of(1, 7, 1, KIB), again = entry_of(1, 7, 2, KIB);

    entry.number = 41;
    perch_restore(perch, &entry);
    perch_restore(perch, &entry);
    ck_assert_uint_eq(perch_count(perch), 1);
    ck_assert_int_eq(perch_offer(perch, &again, NOW_MS, evicted, &evicted_count), PERCH_HELD);
    ck_assert_uint_eq(again.number, 42);
    perch_free(perch);
}
END_TEST

/* ---- who brings ---- */

static struct hash peck(uint32_t number)
{
    return hash_of(bytes_of(&number, sizeof number));
}

START_TEST(a_peck_is_brought_to_each_perch_once_and_again_without_an_answer)
{
    struct deposits *deposits = deposits_new(10);
    struct hash one = peck(1);
    struct id id = id_of(&one), a = node(1), b = node(2), held[PERCHES_PER_PECK], found;
    struct id name = deposit_name(&one, &a);

    ck_assert(deposits_bring(deposits, &one, &a, 0));
    ck_assert(!deposits_bring(deposits, &one, &a, DEPOSIT_ANSWER_MS - 1));
    ck_assert(deposits_bring(deposits, &one, &b, 0));
    ck_assert(deposits_bring(deposits, &one, &a, DEPOSIT_ANSWER_MS));
    ck_assert_uint_eq(deposits_held_by(deposits, &id, held), 0);
    ck_assert(deposits_answer(deposits, &name, &a, true, 0, &found));
    ck_assert(id_equal(&found, &id));
    ck_assert(!deposits_answer(deposits, &name, &a, true, 0, &found));
    ck_assert(!deposits_bring(deposits, &one, &a, DAY_MS));
    ck_assert_uint_eq(deposits_held_by(deposits, &id, held), 1);
    ck_assert(id_equal(&held[0], &a));
    deposits_forget(deposits, &id);
    ck_assert_uint_eq(deposits_count(deposits), 0);
    ck_assert(!deposits_answer(deposits, &name, &a, true, 0, &found));
    deposits_free(deposits);
}
END_TEST

START_TEST(only_the_perch_itself_answers_and_a_refusal_is_tried_again_later)
{
    struct deposits *deposits = deposits_new(10);
    struct hash one = peck(1);
    struct id id = id_of(&one), a = node(1), b = node(2), held[PERCHES_PER_PECK], found;
    struct id name = deposit_name(&one, &a);

    ck_assert(deposits_bring(deposits, &one, &a, 0));
    ck_assert(!deposits_answer(deposits, &name, &b, true, 0, &found));
    ck_assert(deposits_answer(deposits, &name, &a, false, 0, &found));
    ck_assert_uint_eq(deposits_held_by(deposits, &id, held), 0);
    ck_assert(!deposits_bring(deposits, &one, &a, DEPOSIT_REFUSED_MS - 1));
    ck_assert(deposits_bring(deposits, &one, &a, DEPOSIT_REFUSED_MS));
    deposits_free(deposits);
}
END_TEST

START_TEST(pecks_and_their_perches_are_bounded)
{
    struct deposits *deposits = deposits_new(2);
    struct hash one = peck(1), two = peck(2), three = peck(3);
    struct id a = node(1);

    for (uint32_t i = 0; i < PERCHES_PER_PECK; i++) {
        struct id perch = node(10 + i);

        ck_assert(deposits_bring(deposits, &one, &perch, 0));
    }
    ck_assert(!deposits_bring(deposits, &one, &a, 0));
    ck_assert(deposits_bring(deposits, &two, &a, 0));
    ck_assert(!deposits_bring(deposits, &three, &a, 0));
    ck_assert_uint_eq(deposits_count(deposits), 2);
    deposits_free(deposits);
}
END_TEST

START_TEST(names_of_one_peck_at_two_perches_differ_and_say_nothing_of_it)
{
    struct hash one = peck(1);
    struct id a = node(1), b = node(2), id = id_of(&one);
    struct id at_a = deposit_name(&one, &a), at_b = deposit_name(&one, &b);

    ck_assert(!id_equal(&at_a, &at_b));
    ck_assert(!id_equal(&at_a, &id));
    at_b = deposit_name(&one, &a);
    ck_assert(id_equal(&at_a, &at_b));
}
END_TEST

START_TEST(what_an_earlier_life_knew_to_be_held_is_not_brought_again)
{
    struct deposits *deposits = deposits_new(2);
    struct hash one = peck(1);
    struct id a = node(1);

    deposits_restore(deposits, &one, &a);
    ck_assert(!deposits_bring(deposits, &one, &a, DAY_MS));
    deposits_free(deposits);
}
END_TEST

/* ---- who collects ---- */

START_TEST(a_perch_is_asked_when_it_links_up_and_portion_by_portion)
{
    struct collecting *collecting = collecting_new();
    struct id a = node(1), asked;
    uint64_t after;

    ck_assert(!collecting_poll(collecting, 0, &asked, &after));
    collecting_link_up(collecting, &a, 10);
    ck_assert_uint_eq(collecting_wake_at_ms(collecting), 10);
    ck_assert(collecting_poll(collecting, 10, &asked, &after));
    ck_assert(id_equal(&asked, &a));
    ck_assert_uint_eq(after, 0);
    ck_assert(!collecting_poll(collecting, 11, &asked, &after));
    ck_assert(collecting_hear(collecting, &a, 5, false, true, 12));
    ck_assert(!collecting_poll(collecting, 12, &asked, &after));
    ck_assert(collecting_hear(collecting, &a, 6, true, true, 13));
    ck_assert(collecting_poll(collecting, 13, &asked, &after));
    ck_assert_uint_eq(after, 6);
    ck_assert(collecting_hear(collecting, &a, 9, true, false, 14));
    ck_assert_uint_eq(collecting_wake_at_ms(collecting), 14 + COLLECT_EVERY_MS);
    ck_assert(collecting_poll(collecting, 14 + COLLECT_EVERY_MS, &asked, &after));
    ck_assert_uint_eq(after, 0);
    collecting_link_down(collecting, &a);
    ck_assert_uint_eq(collecting_wake_at_ms(collecting), MOMENT_NEVER);
    ck_assert(!collecting_hear(collecting, &a, 9, true, false, 15));
    collecting_free(collecting);
}
END_TEST

START_TEST(a_perch_that_says_nothing_is_asked_again_where_it_stopped)
{
    struct collecting *collecting = collecting_new();
    struct id a = node(1), asked;
    uint64_t after;

    collecting_link_up(collecting, &a, 0);
    ck_assert(collecting_poll(collecting, 0, &asked, &after));
    ck_assert(collecting_hear(collecting, &a, 4, false, true, 1));
    ck_assert(!collecting_poll(collecting, COLLECT_ANSWER_MS, &asked, &after));
    ck_assert(collecting_poll(collecting, 1 + COLLECT_ANSWER_MS, &asked, &after));
    ck_assert_uint_eq(after, 4);
    collecting_free(collecting);
}
END_TEST

START_TEST(what_was_left_is_asked_for_again_soon_and_then_less_often)
{
    struct collecting *collecting = collecting_new();
    struct id a = node(1), asked;
    uint64_t after, now_ms = 0, pause_ms = COLLECT_AGAIN_MS;

    collecting_link_up(collecting, &a, 0);
    for (int i = 0; i < 8; i++) {
        ck_assert(collecting_poll(collecting, now_ms, &asked, &after));
        collecting_leave(collecting, &a, now_ms);
        ck_assert(collecting_hear(collecting, &a, 1, true, false, now_ms));
        ck_assert_uint_eq(collecting_wake_at_ms(collecting), now_ms + pause_ms);
        now_ms += pause_ms;
        pause_ms = 2 * pause_ms < MINUTE_MS ? 2 * pause_ms : MINUTE_MS;
    }
    ck_assert_uint_eq(pause_ms, MINUTE_MS);
    collecting_free(collecting);
}
END_TEST

START_TEST(a_perch_that_goes_round_in_circles_or_brings_junk_is_slowed_down)
{
    struct collecting *collecting = collecting_new();
    struct id a = node(1), asked;
    uint64_t after;

    collecting_link_up(collecting, &a, 0);
    ck_assert(collecting_poll(collecting, 0, &asked, &after));
    collecting_note_junk(collecting, &a);
    ck_assert(collecting_hear(collecting, &a, 3, true, true, 0));
    ck_assert(!collecting_poll(collecting, COLLECT_JUNK_MS - 1, &asked, &after));
    ck_assert(collecting_poll(collecting, COLLECT_JUNK_MS, &asked, &after));
    ck_assert(collecting_hear(collecting, &a, 3, true, true, COLLECT_JUNK_MS)); /* no further */
    ck_assert_uint_eq(collecting_wake_at_ms(collecting), COLLECT_JUNK_MS + COLLECT_EVERY_MS);
    collecting_free(collecting);
}
END_TEST

START_TEST(what_is_brought_between_two_passes_and_left_hastens_the_next)
{
    struct collecting *collecting = collecting_new();
    struct id a = node(1), asked;
    uint64_t after;

    collecting_link_up(collecting, &a, 0);
    ck_assert(collecting_poll(collecting, 0, &asked, &after));
    ck_assert(collecting_hear(collecting, &a, 0, true, false, 0));
    ck_assert(collecting_hear(collecting, &a, 8, false, false, 5));
    ck_assert_uint_eq(collecting_wake_at_ms(collecting), COLLECT_EVERY_MS);
    collecting_leave(collecting, &a, 6);
    ck_assert_uint_eq(collecting_wake_at_ms(collecting), 6 + COLLECT_AGAIN_MS);
    collecting_free(collecting);
}
END_TEST

START_TEST(as_many_are_asked_as_have_lasting_links)
{
    struct collecting *collecting = collecting_new();
    struct id asked;
    uint64_t after;
    uint32_t count = 0;

    for (uint32_t i = 0; i <= COLLECTING_MAX; i++) {
        struct id perch = node(i);

        collecting_link_up(collecting, &perch, 0);
    }
    while (collecting_poll(collecting, 0, &asked, &after))
        count++;
    ck_assert_uint_eq(count, COLLECTING_MAX);
    collecting_free(collecting);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("perch");
    TCase *box = tcase_create("perch"), *bringing = tcase_create("deposits"),
          *fetching = tcase_create("collecting");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(box, what_is_brought_comes_back_in_order_until_its_owner_has_it);
    tcase_add_test(box, only_its_owner_settles_it);
    tcase_add_test(box, what_is_brought_twice_is_held_once);
    tcase_add_test(box, sizes_and_dates_are_bounded_to_the_byte_and_millisecond);
    tcase_add_test(box, what_is_over_goes_and_the_perch_wakes_for_it);
    tcase_add_test(box, small_ones_count_for_four_kibibytes_so_their_number_is_bounded);
    tcase_add_test(box, who_fills_an_owners_box_makes_room_for_others_with_its_newest);
    tcase_add_test(box, a_flood_of_one_leaves_each_other_its_even_share);
    tcase_add_test(box, a_flood_for_many_owners_is_bounded_in_the_whole_as_well);
    tcase_add_test(box, one_large_one_takes_the_place_of_several_or_of_none);
    tcase_add_test(box, what_would_need_too_many_to_go_is_refused);
    tcase_add_test(box, after_a_restart_numbers_go_on);
    tcase_add_test(bringing, a_peck_is_brought_to_each_perch_once_and_again_without_an_answer);
    tcase_add_test(bringing, only_the_perch_itself_answers_and_a_refusal_is_tried_again_later);
    tcase_add_test(bringing, pecks_and_their_perches_are_bounded);
    tcase_add_test(bringing, names_of_one_peck_at_two_perches_differ_and_say_nothing_of_it);
    tcase_add_test(bringing, what_an_earlier_life_knew_to_be_held_is_not_brought_again);
    tcase_add_test(fetching, a_perch_is_asked_when_it_links_up_and_portion_by_portion);
    tcase_add_test(fetching, a_perch_that_says_nothing_is_asked_again_where_it_stopped);
    tcase_add_test(fetching, what_was_left_is_asked_for_again_soon_and_then_less_often);
    tcase_add_test(fetching, a_perch_that_goes_round_in_circles_or_brings_junk_is_slowed_down);
    tcase_add_test(fetching, what_is_brought_between_two_passes_and_left_hastens_the_next);
    tcase_add_test(fetching, as_many_are_asked_as_have_lasting_links);
    suite_add_tcase(suite, box);
    suite_add_tcase(suite, bringing);
    suite_add_tcase(suite, fetching);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
