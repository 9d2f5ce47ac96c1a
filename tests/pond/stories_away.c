/* Stories of nodes that are away, and of perches that hold pecks for them. */
#include "pond.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define SEED 11
#define NODES 10u
#define SENDERS 100u
#define PECKS_EACH 10u
#define PECKS (SENDERS * PECKS_EACH)

struct away {
    struct pond *pond;
    size_t perches[NODE_PERCHES_MAX]; /* alice's: honest, gone, lying */
    size_t senders[NODES], sender_count;
    size_t hatched[NODES];
};

static void run(struct away *away, uint64_t ms)
{
    ck_assert_msg(pond_run(away->pond, ms), "%s", pond_broken(away->pond));
}

/* Who is neither alice nor one of her perches has ducklings that peck; a hundred of them. */
static void form(struct away *away, size_t nodes, size_t senders)
{
    struct pond_wish wish = {.seed = SEED, .nodes = nodes, .perches = true, .latency_us = 5000};
    size_t count;

    memset(away, 0, sizeof *away);
    away->pond = pond_new(&wish);
    run(away, 20 * SECOND_MS);
    count = pond_perches(away->pond, ALICE, away->perches);
    ck_assert_uint_eq(count, PERCHES_CHOSEN);
    for (size_t node = 1; node < nodes; node++)
        if (node != away->perches[0] && node != away->perches[1] && node != away->perches[2])
            away->senders[away->sender_count++] = node;
    pond_hatch(away->pond, ALICE, "Dot");
    for (size_t i = 0; i < senders; i++) {
        size_t which = i % away->sender_count;

        pond_hatch(away->pond, away->senders[which], "Sender");
        away->hatched[which]++;
    }
    run(away, 10 * SECOND_MS);
}

static void peck_once(struct away *away, uint64_t expires_in_ms)
{
    for (size_t which = 0; which < away->sender_count; which++)
        for (size_t duckling = 0; duckling < away->hatched[which]; duckling++)
            pond_peck(away->pond, away->senders[which], duckling, ALICE,
                      duckling % 2 ? "one" : "other", expires_in_ms);
}

static struct pond_pecks count(const struct away *away)
{
    struct pond_pecks counts = {0};

    for (size_t which = 0; which < away->sender_count; which++)
        pond_count_pecks(away->pond, away->senders[which], ALICE, &counts);
    return counts;
}

/* One perch goes and does not come back, one lies, and half of the senders are gone when she is back. */
START_TEST(after_a_day_away_each_of_a_thousand_pecks_came_once_and_in_order_or_its_sender_knows)
{
    struct pond_pecks counts;
    struct away away;

    form(&away, NODES, SENDERS);
    pond_stop(away.pond, ALICE, false);
    run(&away, MINUTE_MS);
    for (uint32_t i = 0; i < PECKS_EACH; i++) {
        peck_once(&away, i == 3 ? HOUR_MS : 2 * DAY_MS);
        run(&away, DAY_MS / PECKS_EACH - 2 * MINUTE_MS);
        if (i == 4)
            pond_stop(away.pond, away.perches[1], false);
    }
    pond_let_perch_lie(away.pond, away.perches[2]);
    counts = count(&away);
    ck_assert_uint_eq(counts.sent, PECKS);
    ck_assert_uint_eq(counts.held, PECKS);
    ck_assert_uint_eq(counts.came, 0);
    ck_assert_uint_eq(counts.expired, SENDERS);
    ck_assert_uint_ge(pond_perched(away.pond, away.perches[0]), PECKS - SENDERS);
    for (size_t which = 0; which < away.sender_count; which += 2)
        pond_stop(away.pond, away.senders[which], false);
    run(&away, 10 * SECOND_MS);

    pond_start(away.pond, ALICE);
    run(&away, 10 * MINUTE_MS);
    counts = count(&away);
    ck_assert_uint_eq(counts.came, PECKS - SENDERS);
    ck_assert_uint_eq(counts.lost, 0);
    ck_assert_uint_eq(counts.disordered, 0);
    ck_assert_uint_eq(pond_perched(away.pond, away.perches[0]), 0);

    /* Those who were gone hear of it when they are back. */
    for (size_t which = 0; which < away.sender_count; which += 2)
        pond_start(away.pond, away.senders[which]);
    run(&away, 5 * MINUTE_MS);
    counts = count(&away);
    ck_assert_uint_eq(counts.came, PECKS - SENDERS);
    ck_assert_uint_eq(counts.disordered, 0);
    pond_free(away.pond);
}
END_TEST

static void stop_senders(struct away *away)
{
    for (size_t which = 0; which < away->sender_count; which++)
        pond_stop(away->pond, away->senders[which], false);
}

/* All that alice hears at first comes from one that drops, changes, doubles and turns round. */
START_TEST(a_perch_that_lies_can_delay_a_thread_but_not_turn_it_round)
{
    struct pond_pecks counts, later;
    struct away away;

    form(&away, 8, 20);
    pond_stop(away.pond, ALICE, false);
    run(&away, MINUTE_MS);
    for (uint32_t i = 0; i < PECKS_EACH; i++) {
        peck_once(&away, 2 * DAY_MS);
        run(&away, MINUTE_MS);
    }
    run(&away, 2 * MINUTE_MS);
    ck_assert_uint_eq(count(&away).held, 20 * PECKS_EACH);
    stop_senders(&away);
    pond_stop(away.pond, away.perches[0], false);
    pond_stop(away.pond, away.perches[1], false);
    pond_let_perch_lie(away.pond, away.perches[2]);
    pond_start(away.pond, ALICE);
    run(&away, 10 * SECOND_MS);
    counts = count(&away);
    ck_assert_uint_gt(counts.came, 0);
    ck_assert_uint_lt(counts.came, 20 * PECKS_EACH);
    ck_assert_uint_eq(counts.disordered, 0);

    pond_start(away.pond, away.perches[0]);
    run(&away, 3 * MINUTE_MS);
    later = count(&away);
    ck_assert_uint_eq(later.came, 20 * PECKS_EACH);
    ck_assert_uint_eq(later.disordered, 0);
    pond_free(away.pond);
}
END_TEST

/* Her disk has all, her pre-keys too; what the perches hold twice comes once. */
START_TEST(who_crashes_while_it_collects_goes_on_where_it_was)
{
    struct away away;

    form(&away, 8, 20);
    pond_stop(away.pond, ALICE, false);
    run(&away, MINUTE_MS);
    for (uint32_t i = 0; i < PECKS_EACH; i++) {
        peck_once(&away, 2 * DAY_MS);
        run(&away, MINUTE_MS);
    }
    stop_senders(&away);
    pond_start(away.pond, ALICE);
    for (uint32_t i = 0; i < 20; i++) {
        run(&away, 40);
        pond_stop(away.pond, ALICE, true);
        pond_start(away.pond, ALICE);
    }
    run(&away, MINUTE_MS);
    ck_assert_uint_eq(count(&away).came, 20 * PECKS_EACH);
    ck_assert_uint_eq(count(&away).disordered, 0);
    for (size_t i = 0; i < PERCHES_CHOSEN; i++)
        ck_assert_uint_eq(pond_perched(away.pond, away.perches[i]), 0);
    pond_free(away.pond);
}
END_TEST

/* She is there and linked to her perches, but the senders' nodes cannot reach her. */
START_TEST(what_is_brought_while_its_owner_is_linked_goes_on_at_once)
{
    size_t side[8], count_there = 0;
    struct away away;

    form(&away, 8, 20);
    for (size_t i = 0; i < away.sender_count; i++)
        side[count_there++] = away.senders[i];
    pond_cut_off(away.pond, ALICE, side, count_there);
    run(&away, MINUTE_MS);
    peck_once(&away, HOUR_MS);
    run(&away, MINUTE_MS);
    ck_assert_uint_eq(count(&away).came, 20);
    for (size_t i = 0; i < PERCHES_CHOSEN; i++)
        ck_assert_uint_eq(pond_perched(away.pond, away.perches[i]), 0);
    pond_free(away.pond);
}
END_TEST

/* Alice learns of the rotation before she hears what her perches have. */
static void come_back_after_a_rotation(struct away *away, uint64_t later_ms)
{
    form(away, 8, 20);
    pond_stop(away->pond, ALICE, false);
    run(away, MINUTE_MS);
    peck_once(away, 3 * DAY_MS);
    run(away, 2 * MINUTE_MS);
    ck_assert_uint_eq(count(away).held, 20);
    pond_rotate(away->pond, away->senders[0]);
    run(away, later_ms);
    pond_stop(away->pond, away->senders[0], false);
    for (size_t i = 0; i < PERCHES_CHOSEN; i++)
        pond_stop(away->pond, away->perches[i], false);
    pond_start(away->pond, ALICE);
    run(away, 20 * SECOND_MS);
    for (size_t i = 0; i < PERCHES_CHOSEN; i++)
        pond_start(away->pond, away->perches[i]);
    run(away, MINUTE_MS);
}

START_TEST(a_peck_counts_though_its_senders_key_was_rotated_since_because_its_node_sealed_it)
{
    struct away away;

    come_back_after_a_rotation(&away, MINUTE_MS);
    ck_assert_uint_eq(count(&away).came, 20);
    pond_free(away.pond);
}
END_TEST

/* The node has another pre-key by then: its link must say so. */
START_TEST(a_peck_under_a_retired_key_and_an_old_seal_is_taken_from_its_senders_node_alone)
{
    struct away away;

    come_back_after_a_rotation(&away, DAY_MS + HOUR_MS);
    ck_assert_uint_eq(count(&away).came, 19);
    for (size_t i = 0; i < PERCHES_CHOSEN; i++)
        ck_assert_uint_eq(pond_perched(away.pond, away.perches[i]), 0);
    pond_start(away.pond, away.senders[0]);
    run(&away, MINUTE_MS);
    ck_assert_uint_eq(count(&away).came, 20);
    ck_assert_uint_eq(count(&away).disordered, 0);
    pond_free(away.pond);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("away");
    TCase *tests = tcase_create("away");
    SRunner *runner = srunner_create(suite);
    int failed;

    if (sodium_init() < 0)
        return 1;
    tcase_set_timeout(tests, 600);
    tcase_add_test(
        tests,
        after_a_day_away_each_of_a_thousand_pecks_came_once_and_in_order_or_its_sender_knows);
    tcase_add_test(tests, a_perch_that_lies_can_delay_a_thread_but_not_turn_it_round);
    tcase_add_test(tests, who_crashes_while_it_collects_goes_on_where_it_was);
    tcase_add_test(tests, what_is_brought_while_its_owner_is_linked_goes_on_at_once);
    tcase_add_test(
        tests, a_peck_counts_though_its_senders_key_was_rotated_since_because_its_node_sealed_it);
    tcase_add_test(tests,
                   a_peck_under_a_retired_key_and_an_old_seal_is_taken_from_its_senders_node_alone);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
