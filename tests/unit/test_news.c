/* What is told to whom, and when. */
#include "core/news.h"

#include <check.h>

#define NODES 8

static const uint8_t seed[DICE_SEED_SIZE] = {7};
static const struct id nobody;
static struct news *news;
static struct id node[NODES];

static void make(void)
{
    news = news_new(64, seed);
    for (int i = 0; i < NODES; i++)
        node[i] = (struct id){{(uint8_t)(i + 1)}};
}

static void unmake(void)
{
    news_free(news);
}

static struct record record_of(uint32_t kind, uint8_t owner, uint8_t version)
{
    return (struct record){.kind = kind,
                           .owner = {{0, owner}},
                           .version = {version, 0},
                           .hash = {{owner, (uint8_t)kind, version}}};
}

/* One round: to how many of `count` neighbours was `hash` told? */
static size_t round_of(uint64_t now_ms, size_t count, const struct hash *hash)
{
    size_t told = 0;

    if (!news_begin(news, now_ms))
        return 0;
    for (size_t i = 0; i < count; i++) {
        struct hash hashes[NEWS_PER_FRAME_MAX];
        size_t polled = news_poll(news, &node[i], hashes, NEWS_PER_FRAME_MAX);

        for (size_t j = 0; j < polled; j++)
            told += !hash || hash_equal(&hashes[j], hash);
    }
    news_end(news, now_ms);
    return told;
}

START_TEST(the_budget_grows_with_the_logarithm)
{
    static const struct {
        size_t nodes, copies;
    } table[] = {{1, 2}, {3, 3}, {10, 4}, {20, 5}, {100, 7}, {1000, 11}, {10000, 14}};

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        ck_assert_uint_eq(news_budget(table[i].nodes), table[i].copies);
    ck_assert_uint_eq(news_budget(SIZE_MAX / 2000000), NEWS_HOLDERS_MAX - 1);
}
END_TEST

START_TEST(who_publishes_tells_all_at_once)
{
    struct record record = record_of(RECORD_DUCKLING, 1, 1);

    news_add(news, &record, &nobody, NODES, 1000);
    ck_assert_uint_eq(news_wake_at_ms(news), 1000);
    ck_assert_uint_eq(round_of(1000, NODES, &record.hash), NODES);
    ck_assert_uint_eq(news_wake_at_ms(news), MOMENT_NEVER);
}
END_TEST

START_TEST(who_passes_on_tells_half_at_once_and_half_later)
{
    struct record record = record_of(RECORD_DUCKLING, 1, 1);
    uint64_t ride_ms;

    news_add(news, &record, &node[7], 5, 1000);
    ck_assert_uint_eq(round_of(1000, NODES, &record.hash), 3);
    ride_ms = news_wake_at_ms(news);
    ck_assert_uint_ge(ride_ms, 1000 + NEWS_RIDE_MS);
    ck_assert_uint_lt(ride_ms, 1000 + 2 * NEWS_RIDE_MS);
    ck_assert_uint_eq(round_of(ride_ms - 1, NODES, &record.hash), 0);
    ck_assert_uint_eq(round_of(ride_ms, NODES, &record.hash), 2);
    ck_assert_uint_eq(news_wake_at_ms(news), MOMENT_NEVER);
}
END_TEST

START_TEST(whoever_holds_it_is_not_told)
{
    struct record record = record_of(RECORD_DUCKLING, 1, 1);

    news_add(news, &record, &node[0], 4, 1000);
    ck_assert_uint_eq(round_of(1000, 1, &record.hash), 0); /* it told us */
    news_heard(news, &record, &node[1]);
    ck_assert_uint_eq(round_of(news_wake_at_ms(news), 2, &record.hash), 0);
}
END_TEST

START_TEST(a_newer_version_takes_the_slot_of_the_one_that_waits)
{
    struct record old = record_of(RECORD_DUCKLING, 1, 1), newer = record_of(RECORD_DUCKLING, 1, 2);
    struct news_figures figures;

    news_add(news, &old, &nobody, NODES, 1000);
    news_add(news, &newer, &nobody, NODES, 1000);
    news_heard(news, &old, &node[0]); /* of the old one: says nothing of the newer */
    ck_assert_uint_eq(round_of(1000, NODES, &newer.hash), NODES);
    news_figures(news, &figures);
    ck_assert_uint_eq(figures.told, NODES);
    ck_assert_uint_eq(figures.replaced, 1);
}
END_TEST

START_TEST(no_class_starves_another)
{
    struct hash hashes[8];
    size_t members = 0, users = 0, count;

    for (uint8_t i = 0; i < 20; i++) {
        struct record member = record_of(RECORD_NODE, i, 1);

        news_add(news, &member, &nobody, NODES, 1000);
    }
    for (uint8_t i = 0; i < 2; i++) {
        struct record user = record_of(RECORD_DUCKLING, i, 1);

        news_add(news, &user, &nobody, NODES, 1000);
    }
    ck_assert(news_begin(news, 1000));
    count = news_poll(news, &node[0], hashes, 8);
    ck_assert_uint_eq(count, 8);
    for (size_t i = 0; i < count; i++) {
        members += hashes[i].bytes[1] == RECORD_NODE;
        users += hashes[i].bytes[1] == RECORD_DUCKLING;
    }
    ck_assert_uint_eq(users, 2);
    ck_assert_uint_eq(members, 6);             /* what the others do not use is used */
    ck_assert_uint_eq(hashes[0].bytes[0], 19); /* newest first */
}
END_TEST

START_TEST(what_does_not_fit_waits_for_the_next_ride)
{
    size_t told = 0;

    for (uint8_t i = 0; i < 60; i++) {
        struct record record = record_of(RECORD_DUCKLING, i, 1);

        news_add(news, &record, &nobody, 1, 1000);
    }
    for (int ride = 0; ride < 4 && news_wake_at_ms(news) != MOMENT_NEVER; ride++)
        told += round_of(news_wake_at_ms(news), 1, NULL);
    ck_assert_uint_eq(told, 60);
    ck_assert_uint_eq(news_wake_at_ms(news), MOMENT_NEVER);
}
END_TEST

START_TEST(at_the_limit_the_oldest_of_the_largest_class_makes_room)
{
    struct record first = record_of(RECORD_DUCKLING, 0, 1),
                  metrics = record_of(RECORD_METRICS, 9, 1);
    struct news_figures figures;

    news_add(news, &metrics, &nobody, 1, 1000);
    for (uint8_t i = 0; i < 64; i++) {
        struct record record = record_of(RECORD_DUCKLING, i, 1);

        news_add(news, &record, &nobody, 1, 1000);
    }
    news_figures(news, &figures);
    ck_assert_uint_eq(figures.crowded_out, 1);
    ck_assert_uint_eq(figures.waiting[NEWS_USERS], 63);
    ck_assert_uint_eq(figures.waiting[NEWS_METRICS], 1);
    ck_assert_uint_eq(round_of(1000, 1, &first.hash), 0);
    ck_assert_uint_eq(round_of(1000, 1, &metrics.hash), 0); /* was told in that round */
}
END_TEST

START_TEST(nobody_to_tell_leaves_nothing_behind)
{
    struct record record = record_of(RECORD_DUCKLING, 1, 1);
    struct news_figures figures;

    news_add(news, &record, &nobody, 0, 1000);
    for (int ride = 0; ride < 10 && news_wake_at_ms(news) != MOMENT_NEVER; ride++)
        round_of(news_wake_at_ms(news), 0, NULL);
    news_figures(news, &figures);
    ck_assert_uint_eq(figures.waiting[NEWS_USERS], 0);
}
END_TEST

/* So many records of others, of a kind, each of an owner of its own. */
static size_t add_crowd(uint32_t kind, size_t count, uint64_t now_ms)
{
    size_t passed = 0;

    for (size_t i = 0; i < count; i++) {
        struct record record = record_of(kind, (uint8_t)i, (uint8_t)(i >> 8));

        record.owner.bytes[2] = (uint8_t)(i >> 8);
        passed += news_add(news, &record, &node[7], 4, now_ms);
    }
    return passed;
}

START_TEST(of_a_crowd_the_first_are_passed_on_and_the_rest_is_left_to_repair)
{
    struct record own = record_of(RECORD_NODE, 200, 1);
    struct news_figures figures;

    ck_assert_uint_eq(add_crowd(RECORD_NODE, NEWS_PASSED_BURST, 1000), NEWS_PASSED_BURST);
    ck_assert(!news_is_crowded(news, 1000));
    ck_assert_uint_eq(add_crowd(RECORD_NODE, 1, 1000), 0);
    ck_assert(news_is_crowded(news, 1000 + NEWS_CROWD_MS - 1));
    ck_assert(!news_is_crowded(news, 1000 + NEWS_CROWD_MS));
    ck_assert(news_add(news, &own, &nobody, 4, 1000)); /* our own are always told */
    news_figures(news, &figures);
    ck_assert_uint_ge(figures.crowded_out, 1);
}
END_TEST

START_TEST(a_crowd_of_one_class_is_none_of_another)
{
    add_crowd(RECORD_NODE, 2 * NEWS_PASSED_BURST, 1000);
    add_crowd(RECORD_METRICS, 2 * NEWS_PASSED_BURST, 1000);
    ck_assert_uint_eq(add_crowd(RECORD_REVOCATION, 1, 1000), 1);
    ck_assert_uint_eq(add_crowd(RECORD_DUCKLING, 1, 1000), 1);
}
END_TEST

START_TEST(nothing_of_a_crowd_is_passed_on_until_it_is_over)
{
    uint64_t now_ms = 1000;

    add_crowd(RECORD_NODE, 4 * NEWS_PASSED_BURST, now_ms);
    for (int i = 0; i < 10; i++) {
        now_ms += SECOND_MS;
        ck_assert_uint_eq(add_crowd(RECORD_NODE, 2 * NEWS_PASSED_PER_S, now_ms), 0);
    }
    now_ms += 3 * SECOND_MS;
    ck_assert_uint_eq(add_crowd(RECORD_NODE, 1, now_ms), 1);
}
END_TEST

START_TEST(a_clock_that_was_set_back_ends_no_crowd)
{
    add_crowd(RECORD_NODE, 2 * NEWS_PASSED_BURST, 10000);
    ck_assert_uint_eq(add_crowd(RECORD_NODE, 1, 5000), 0);
}
END_TEST

START_TEST(when_the_budgets_are_used_up_the_round_has_no_more)
{
    struct record record = record_of(RECORD_DUCKLING, 1, 1);
    struct hash hashes[NEWS_PER_FRAME_MAX];

    news_add(news, &record, &node[7], 4, 1000); /* two at once */
    ck_assert(news_begin(news, 1000));
    for (int i = 0; i < 2; i++) {
        ck_assert(news_has_more(news));
        ck_assert_uint_eq(news_poll(news, &node[i], hashes, NEWS_PER_FRAME_MAX), 1);
    }
    ck_assert(!news_has_more(news));
    news_end(news, 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("news");
    TCase *tests = tcase_create("news");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, make, unmake);
    tcase_add_test(tests, the_budget_grows_with_the_logarithm);
    tcase_add_test(tests, who_publishes_tells_all_at_once);
    tcase_add_test(tests, who_passes_on_tells_half_at_once_and_half_later);
    tcase_add_test(tests, whoever_holds_it_is_not_told);
    tcase_add_test(tests, a_newer_version_takes_the_slot_of_the_one_that_waits);
    tcase_add_test(tests, no_class_starves_another);
    tcase_add_test(tests, what_does_not_fit_waits_for_the_next_ride);
    tcase_add_test(tests, at_the_limit_the_oldest_of_the_largest_class_makes_room);
    tcase_add_test(tests, nobody_to_tell_leaves_nothing_behind);
    tcase_add_test(tests, of_a_crowd_the_first_are_passed_on_and_the_rest_is_left_to_repair);
    tcase_add_test(tests, a_crowd_of_one_class_is_none_of_another);
    tcase_add_test(tests, nothing_of_a_crowd_is_passed_on_until_it_is_over);
    tcase_add_test(tests, a_clock_that_was_set_back_ends_no_crowd);
    tcase_add_test(tests, when_the_budgets_are_used_up_the_round_has_no_more);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
