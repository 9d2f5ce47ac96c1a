/* How far and how fast what changes comes among a thousand nodes, and what it costs each of them. More of it, up to
 * 10,000: `./duck pond --nodes N --changes R`, and `--hostile 2 --habits revoke`. */
#include "pond.h"

#include "core/limits.h"

#include <check.h>
#include <sodium.h>

#define NODES 1000u
#define SEED 21
#define FORMED_WITHIN_MS (60 * SECOND_MS)
#define ROUNDS 12u
#define ROUND_MS (2 * NEWS_RIDE_MS) /* the longest between two rides */
#define COPIES_MAX 8.0

static struct pond *formed(const struct pond_wish *wish)
{
    struct pond *pond = pond_new(wish);
    char why[256];

    while (!pond_agrees(pond, why) || pond_now_ms(pond) < 3 * SECOND_MS) {
        ck_assert_msg(pond_run(pond, SECOND_MS), "%s", pond_broken(pond));
        ck_assert_msg(pond_now_ms(pond) < FORMED_WITHIN_MS, "not formed: %s", why);
    }
    return pond;
}

static void judge(struct pond *pond, size_t changes_min)
{
    struct pond_figures figures;

    pond_figures(pond, &figures);
    printf("%zu changes: 99.9 %% of %u nodes hold one after %.0f ms, %llu at worst; %.2f copies of "
           "one at a node\n",
           figures.changes, NODES, figures.most_ms_mean, (unsigned long long)figures.most_ms,
           figures.copies_mean);
    ck_assert_uint_ge(figures.changes, changes_min);
    ck_assert_uint_ge(figures.changes_whole + 1, figures.changes); /* the last may be under way */
    ck_assert_uint_le(figures.most_ms, ROUNDS * ROUND_MS);
    ck_assert(figures.copies_mean <= COPIES_MAX);
}

START_TEST(a_change_is_at_all_but_a_thousandth_within_twelve_rounds)
{
    struct pond_wish wish = {.seed = SEED, .nodes = NODES, .changes_per_minute = 60};
    struct pond *pond = formed(&wish);

    pond_begin_changes(pond);
    ck_assert_msg(pond_run(pond, 30 * SECOND_MS), "%s", pond_broken(pond));
    judge(pond, 20);
    pond_free(pond);
}
END_TEST

START_TEST(so_is_a_revocation)
{
    struct pond_wish wish = {
        .seed = SEED, .nodes = NODES, .hostile = 2, .habits = HABIT_REVOKE, .steady = true};
    struct pond *pond = formed(&wish);
    struct pond_figures figures = {0};

    while (figures.changes < 12) {
        ck_assert_msg(pond_run(pond, SECOND_MS), "%s", pond_broken(pond));
        pond_figures(pond, &figures);
        ck_assert_uint_lt(pond_now_ms(pond), 300 * SECOND_MS);
    }
    ck_assert_msg(pond_run_until_agreed(pond, 60 * SECOND_MS), "%s", pond_broken(pond));
    judge(pond, 12);
    pond_free(pond);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spread");
    TCase *stories = tcase_create("spread");
    SRunner *runner = srunner_create(suite);
    int failed;

    if (!identity_self_test())
        return 1;
    tcase_set_timeout(stories, 600);
    tcase_add_test(stories, a_change_is_at_all_but_a_thousandth_within_twelve_rounds);
    tcase_add_test(stories, so_is_a_revocation);
    suite_add_tcase(suite, stories);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
