/* Stories: what nodes log, and what they learn, as one text. Compared word for word. */
#include "pond.h"

#include <check.h>
#include <stdlib.h>

#define SEED 7

static struct pond *pond_of(size_t nodes)
{
    struct pond_wish wish = {.seed = SEED, .nodes = nodes, .story = true, .latency_us = 10000};

    return pond_new(&wish);
}

/* A pond that has formed; its story begins now. */
static struct pond *formed_pond_of(size_t nodes)
{
    struct pond *pond = pond_of(nodes);

    ck_assert(pond_run(pond, 10 * SECOND_MS));
    pond_story(pond);
    return pond;
}

static void expect(struct pond *pond, uint64_t ms, const char *story)
{
    ck_assert_msg(pond_run(pond, ms), "%s", pond_broken(pond));
    ck_assert_str_eq(pond_story(pond), story);
}

START_TEST(two_nodes_meet_and_know_each_other)
{
    struct pond *pond = pond_of(2);

    expect(pond, SECOND_MS,
           "[      0] alice starts\n"
           "[      0] bob   starts\n"
           "[      0] alice 0 ducklings, 1 records, 0 pecks out, 0 pecks in\n"
           "[      0] bob   0 ducklings, 1 records, 0 pecks out, 0 pecks in\n"
           "[     26] alice link up with bob, dialled here\n"
           "[     26] alice learns bob's node record\n"
           "[     26] alice pond-1:1 is pinned to bob, which answers there\n"
           "[     26] alice bob is alive\n"
           "[     33] bob   link up with alice, dialled there\n"
           "[     33] bob   learns alice's node record\n"
           "[     33] bob   pond-0:1 is pinned to alice, which answers there\n"
           "[     33] bob   alice is alive\n");
    pond_free(pond);
}
END_TEST

START_TEST(a_new_duckling_is_known_to_the_other_node_one_way_later)
{
    struct pond *pond = formed_pond_of(2);

    pond_hatch(pond, ALICE, "Dot");
    expect(pond, SECOND_MS,
           "[  10006] bob   learns alice's duckling record\n"
           "[  10006] bob   learns alice's metrics record\n");
    pond_rename(pond, ALICE, "Dotty");
    expect(pond, SECOND_MS, "[  11007] bob   learns alice's duckling record\n");
    pond_free(pond);
}
END_TEST

START_TEST(news_reaches_all_of_ten_nodes)
{
    struct pond *pond = formed_pond_of(10);

    pond_hatch(pond, ALICE, "Dot");
    expect(pond, SECOND_MS,
           "[  10006] erin  learns alice's duckling record\n"
           "[  10006] erin  learns alice's metrics record\n"
           "[  10006] bob   learns alice's duckling record\n"
           "[  10006] bob   learns alice's metrics record\n"
           "[  10008] dave  learns alice's duckling record\n"
           "[  10008] dave  learns alice's metrics record\n"
           "[  10008] heidi learns alice's duckling record\n"
           "[  10008] heidi learns alice's metrics record\n"
           "[  10009] judy  learns alice's duckling record\n"
           "[  10009] judy  learns alice's metrics record\n"
           "[  10009] carol learns alice's duckling record\n"
           "[  10009] carol learns alice's metrics record\n"
           "[  10009] frank learns alice's duckling record\n"
           "[  10009] frank learns alice's metrics record\n"
           "[  10009] grace learns alice's duckling record\n"
           "[  10009] grace learns alice's metrics record\n"
           "[  10014] ivan  learns alice's duckling record\n"
           "[  10014] ivan  learns alice's metrics record\n");
    pond_free(pond);
}
END_TEST

static void expect_vouched(struct pond *pond, size_t alice, size_t bob, size_t carol)
{
    ck_assert_uint_eq(pond_vouched(pond, ALICE), alice);
    ck_assert_uint_eq(pond_vouched(pond, BOB), bob);
    ck_assert_uint_eq(pond_vouched(pond, CAROL), carol);
}

/* By way of bob, while carol hears nothing; alice goes on to publish what is void. */
START_TEST(a_voucher_that_is_taken_back_counts_nowhere_until_there_is_a_newer_one)
{
    static const size_t cut_off[] = {CAROL};
    struct pond *pond = formed_pond_of(3);

    pond_hatch(pond, ALICE, "Dot");
    ck_assert(pond_run(pond, SECOND_MS));
    pond_vouch(pond, ALICE);
    ck_assert(pond_run(pond, SECOND_MS));
    expect_vouched(pond, 1, 1, 1);
    pond_split(pond, cut_off, 1, false);
    pond_withdraw(pond, BOB, ALICE);
    ck_assert(pond_run(pond, 5 * SECOND_MS));
    expect_vouched(pond, 0, 0, 1);
    pond_heal(pond);
    ck_assert(pond_run(pond, 5 * SECOND_MS));
    expect_vouched(pond, 0, 0, 0);
    pond_stop(pond, ALICE, false);
    pond_start(pond, ALICE);
    ck_assert(pond_run(pond, 5 * SECOND_MS));
    expect_vouched(pond, 0, 0, 0);
    pond_vouch(pond, ALICE);
    ck_assert(pond_run(pond, SECOND_MS));
    expect_vouched(pond, 1, 1, 1);
    pond_free(pond);
}
END_TEST

START_TEST(a_short_partition_is_no_more_than_a_delay)
{
    static const size_t cut_off[] = {BOB};
    struct pond *pond = formed_pond_of(3);

    pond_split(pond, cut_off, 1, false);
    pond_hatch(pond, ALICE, "Dot");
    expect(pond, 5 * SECOND_MS,
           "[  10000]       1 of 3 are cut off\n"
           "[  10015] carol learns alice's duckling record\n"
           "[  10015] carol learns alice's metrics record\n"
           "[  11033] bob   carol does not answer: accused\n"
           "[  11033] bob   carol is suspect\n"
           "[  12026] alice bob does not answer: accused\n"
           "[  12026] alice bob is suspect\n"
           "[  12033] carol bob does not answer: accused\n"
           "[  12033] carol bob is suspect\n"
           "[  13033] bob   alice does not answer: accused\n"
           "[  13033] bob   alice is suspect\n"
           "[  13526] alice bob is dead\n"
           "[  13533] carol bob is dead\n");
    pond_heal(pond);
    expect(pond, 5 * SECOND_MS,
           "[  15000]       all paths are whole\n"
           "[  15000] bob   learns alice's duckling record\n"
           "[  15000] bob   learns alice's metrics record\n"
           "[  15000] carol bob is alive\n"
           "[  15000] alice bob is alive\n"
           "[  15000] alice carol is suspect\n"
           "[  15000] carol this node was accused of not answering: refuted\n"
           "[  15000] bob   this node was accused of not answering: refuted\n"
           "[  15000] carol alice is suspect\n"
           "[  15000] alice this node was accused of not answering: refuted\n"
           "[  15007] bob   learns alice's node record\n"
           "[  15007] bob   alice is alive\n"
           "[  15007] alice learns bob's node record\n"
           "[  15008] bob   learns carol's node record\n"
           "[  15008] bob   carol is alive\n"
           "[  15009] carol learns bob's node record\n"
           "[  15015] alice learns carol's node record\n"
           "[  15015] alice carol is alive\n"
           "[  15018] carol learns alice's node record\n"
           "[  15018] carol alice is alive\n");
    pond_free(pond);
}
END_TEST

START_TEST(a_long_partition_ends_links_and_heals_by_itself)
{
    static const size_t cut_off[] = {BOB};
    struct pond *pond = formed_pond_of(3);

    pond_split(pond, cut_off, 1, false);
    pond_hatch(pond, ALICE, "Dot");
    expect(pond, 90 * SECOND_MS,
           "[  10000]       1 of 3 are cut off\n"
           "[  10015] carol learns alice's duckling record\n"
           "[  10015] carol learns alice's metrics record\n"
           "[  11033] bob   carol does not answer: accused\n"
           "[  11033] bob   carol is suspect\n"
           "[  12026] alice bob does not answer: accused\n"
           "[  12026] alice bob is suspect\n"
           "[  12033] carol bob does not answer: accused\n"
           "[  12033] carol bob is suspect\n"
           "[  13033] bob   alice does not answer: accused\n"
           "[  13033] bob   alice is suspect\n"
           "[  13526] alice bob is dead\n"
           "[  13533] carol bob is dead\n"
           "[  17033] bob   carol is dead\n"
           "[  18526] alice link down with bob\n"
           "[  18533] carol link down with bob\n"
           "[  19033] bob   alice is dead\n"
           "[  22033] bob   link down with carol\n"
           "[  24033] bob   link down with alice\n");
    pond_heal(pond);
    expect(pond, 60 * SECOND_MS,
           "[ 100000]       all paths are whole\n"
           "[ 102033] bob   link up with carol, dialled here\n"
           "[ 102033] bob   carol is alive\n"
           "[ 102041] carol link up with bob, dialled there\n"
           "[ 102041] carol bob is alive\n"
           "[ 102041] carol this node was accused of not answering: refuted\n"
           "[ 102051] bob   this node was accused of not answering: refuted\n"
           "[ 102051] bob   learns carol's node record\n"
           "[ 102059] alice learns carol's node record\n"
           "[ 102059] carol learns bob's node record\n"
           "[ 102069] bob   learns alice's duckling record\n"
           "[ 102069] bob   learns alice's metrics record\n"
           "[ 102078] alice learns bob's node record\n"
           "[ 102078] alice bob is alive\n"
           "[ 103779] bob   link up with alice, dialled here\n"
           "[ 103779] bob   alice is alive\n"
           "[ 103786] alice link up with bob, dialled there\n"
           "[ 103786] alice this node was accused of not answering: refuted\n"
           "[ 103793] bob   learns alice's node record\n"
           "[ 103803] carol learns alice's node record\n");
    pond_free(pond);
}
END_TEST

START_TEST(a_node_that_restarts_publishes_a_higher_version)
{
    struct pond *pond = formed_pond_of(2);
    struct version before = pond_version(pond, ALICE, BOB), after;

    pond_stop(pond, BOB, false);
    expect(pond, SECOND_MS,
           "[  10000] bob   ends\n"
           "[  10006] alice link down with bob\n");
    pond_start(pond, BOB);
    expect(pond, 5 * SECOND_MS,
           "[  11000] bob   starts\n"
           "[  11000] bob   0 ducklings, 2 records, 0 pecks out, 0 pecks in\n"
           "[  11000] bob   alice is alive\n"
           "[  11006] alice bob does not answer: accused\n"
           "[  11006] alice bob is suspect\n"
           "[  11030] bob   link up with alice, dialled here\n"
           "[  11036] alice link up with bob, dialled there\n"
           "[  11036] alice learns bob's node record\n"
           "[  11036] alice bob is alive\n");
    after = pond_version(pond, ALICE, BOB);
    ck_assert_int_gt(version_compare(after, before), 0);
    pond_free(pond);
}
END_TEST

START_TEST(a_forged_record_is_refused_and_the_third_ends_the_link)
{
    struct pond *pond = formed_pond_of(3);
    struct version before = pond_version(pond, BOB, CAROL);

    pond_forge(pond, ALICE, CAROL, BOB);
    expect(pond, SECOND_MS,
           "[  10006] bob   refuses a frame of kind 5 from alice: the signature does not hold\n");
    ck_assert_int_eq(version_compare(pond_version(pond, BOB, CAROL), before), 0);
    ck_assert_uint_eq(pond_refused(pond, BOB), 1);
    pond_forge(pond, ALICE, CAROL, BOB);
    pond_forge(pond, ALICE, CAROL, BOB);
    expect(pond, 3 * SECOND_MS,
           "[  11006] bob   refuses a frame of kind 5 from alice: the signature does not hold\n"
           "[  11006] bob   refuses a frame of kind 5 from alice: the signature does not hold\n"
           "[  11006] bob   link down with alice\n"
           "[  11013] alice link down with bob\n"
           "[  11055] bob   link up with alice, dialled here\n"
           "[  11062] alice link up with bob, dialled there\n");
    pond_free(pond);
}
END_TEST

START_TEST(a_node_that_stood_still_gets_everything_at_once)
{
    struct pond *pond = formed_pond_of(2);

    pond_pause(pond, BOB, 20 * SECOND_MS);
    pond_hatch(pond, ALICE, "Dot");
    pond_hatch(pond, ALICE, "Dash");
    expect(pond, 19 * SECOND_MS,
           "[  10000] bob   stands still for 20000 ms\n"
           "[  11026] alice bob does not answer: accused\n"
           "[  11026] alice bob is suspect\n"
           "[  12526] alice bob is dead\n"
           "[  17526] alice link down with bob\n");
    expect(pond, 3 * SECOND_MS,
           "[  30000] bob   learns alice's duckling record\n"
           "[  30000] bob   learns alice's duckling record\n"
           "[  30000] bob   learns alice's metrics record\n"
           "[  30000] bob   link down with alice\n"
           "[  30000] bob   this node was accused of not answering: refuted\n"
           "[  30403] bob   link up with alice, dialled here\n"
           "[  30411] alice link up with bob, dialled there\n"
           "[  30411] alice learns bob's node record\n"
           "[  30411] alice bob is alive\n");
    pond_free(pond);
}
END_TEST

/* ---- who stands still harms nobody else ---- */

#define STILL_MS (15 * SECOND_MS)
#define BETWEEN_MS (5 * SECOND_MS)

static const size_t ponds[] = {8, 16, 32, 64};

START_TEST(while_an_eighth_stands_still_now_and_then_nobody_else_is_called_dead)
{
    struct pond_wish wish = {.seed = SEED, .nodes = ponds[_i]};
    struct pond *pond = pond_new(&wish);
    struct pond_figures figures;

    ck_assert(pond_run(pond, 30 * SECOND_MS));
    for (int times = 0; times < 6; times++) {
        for (size_t i = 0; i < wish.nodes; i += 8)
            pond_pause(pond, i, STILL_MS);
        ck_assert_msg(pond_run(pond, STILL_MS + BETWEEN_MS), "%s", pond_broken(pond));
    }
    pond_figures(pond, &figures);
    ck_assert_uint_eq(figures.false_deaths, 0);
    ck_assert_msg(pond_run_until_agreed(pond, 60 * SECOND_MS), "%s", pond_broken(pond));
    pond_free(pond);
}
END_TEST

/* ---- the laws can be broken ---- */

START_TEST(ponds_that_do_not_agree_break_the_law)
{
    static const size_t cut_off[] = {BOB};
    struct pond *pond = formed_pond_of(3);

    pond_split(pond, cut_off, 1, false);
    pond_hatch(pond, ALICE, "Dot");
    ck_assert(!pond_run_until_agreed(pond, 5 * SECOND_MS));
    ck_assert_ptr_nonnull(strstr(pond_broken(pond), "hold the same records"));
    ck_assert_ptr_nonnull(strstr(pond_broken(pond), "record of alice"));
    ck_assert_ptr_nonnull(strstr(pond_broken(pond), "seed 7"));
    pond_free(pond);
}
END_TEST

/* Within two seconds of its owner's rotation a stolen key is good for nothing at any of 32 nodes; again
 * and again. What its owner signed before is true for ever. */
START_TEST(a_stolen_key_is_good_for_nothing_two_seconds_after_its_owners_rotation)
{
    struct pond_wish wish = {.seed = SEED + (uint64_t)_i, .nodes = 32, .latency_us = 10000};
    struct pond *pond = pond_new(&wish);

    ck_assert(pond_run(pond, 20 * SECOND_MS));
    pond_hatch(pond, ALICE, "Dot");
    ck_assert(pond_run(pond, 5 * SECOND_MS));
    for (size_t rotations = 1; rotations <= 3; rotations++) {
        struct theft *theft = pond_steal(pond, ALICE);

        ck_assert_uint_eq(pond_fooled(pond, theft), 32);
        pond_rotate_as(pond, ALICE, theft); /* even who is at its node */
        ck_assert(pond_run(pond, SECOND_MS));
        ck_assert_uint_eq(pond_certificates(pond, ALICE), rotations);
        pond_rotate(pond, ALICE);
        ck_assert(pond_run(pond, 2 * SECOND_MS));
        ck_assert_uint_eq(pond_certificates(pond, ALICE), rotations + 1);
        ck_assert_uint_eq(pond_fooled(pond, theft), 0);
        ck_assert(theft_is_early_provable(pond, ALICE, theft));
        theft_free(theft);
    }
    pond_free(pond);
}
END_TEST

/* Its next key was stolen as well. Nobody can tell which of the two is the owner, so all of 32 nodes let go of
 * it, also those that the liar never spoke to, and one that was away. */
START_TEST(an_identity_with_two_certificates_of_one_number_is_believed_nowhere)
{
    struct pond_wish wish = {.seed = SEED + (uint64_t)_i, .nodes = 32, .latency_us = 10000};
    static const size_t away[] = {5, 6};
    struct pond *pond = pond_new(&wish);
    struct theft *theft;

    ck_assert(pond_run(pond, 20 * SECOND_MS));
    pond_hatch(pond, ALICE, "Dot");
    ck_assert(pond_run(pond, 5 * SECOND_MS));
    theft = pond_steal(pond, ALICE);
    pond_rotate(pond, ALICE);
    ck_assert(pond_run(pond, 2 * SECOND_MS));
    ck_assert_uint_eq(pond_believers(pond, theft), 32);
    pond_split(pond, away, 2, false);
    pond_fork(pond, 3, theft);
    ck_assert(pond_run(pond, 2 * SECOND_MS));
    ck_assert_uint_eq(pond_believers(pond, theft), 2);
    pond_heal(pond);
    ck_assert_msg(pond_run_until_agreed(pond, 60 * SECOND_MS), "%s", pond_broken(pond));
    ck_assert_uint_eq(pond_believers(pond, theft), 0);
    theft_free(theft);
    pond_free(pond);
}
END_TEST

/* By foxes, each half of whose neighbours hears of another one first. */
START_TEST(whoever_rotates_one_key_twice_is_in_quarantine_at_all_of_32_nodes)
{
    struct pond_wish wish = {.seed = SEED + (uint64_t)_i,
                             .nodes = 32,
                             .hostile = 2,
                             .habits = HABIT_CONTRADICT,
                             .steady = true,
                             .latency_us = 10000};
    struct pond *pond = pond_new(&wish);
    struct pond_figures figures;

    ck_assert_msg(pond_run(pond, 60 * SECOND_MS), "%s", pond_broken(pond));
    ck_assert_msg(pond_run_until_agreed(pond, 10 * SECOND_MS), "%s", pond_broken(pond));
    pond_figures(pond, &figures);
    ck_assert_uint_ge(figures.contradicted, 4);
    pond_stop(pond, BOB, true);
    pond_start(pond, BOB);
    ck_assert_msg(pond_run_until_agreed(pond, 10 * SECOND_MS), "%s", pond_broken(pond));
    pond_free(pond);
}
END_TEST

/* The thief's node is ready with pecks as soon as it is linked, and says that nothing has happened: it was cut off from
 * the revocation. Who was away hears another one first; what is honest is not late for it. */
START_TEST(who_was_away_hears_who_was_revoked_before_it_takes_anything)
{
    struct pond_wish wish = {.seed = SEED + (uint64_t)_i, .nodes = 6, .latency_us = 50000};
    struct pond *pond = pond_new(&wish);
    static const size_t others[] = {ALICE, 3, 4, 5};
    struct pond_pecks counts = {0};
    struct theft *theft;

    ck_assert(pond_run(pond, 10 * SECOND_MS));
    pond_hatch(pond, ALICE, "Dot");
    pond_hatch(pond, BOB, "Eve");
    pond_hatch(pond, 3, "Fay");
    ck_assert(pond_run(pond, 5 * SECOND_MS));
    theft = pond_steal(pond, ALICE);
    pond_peck_as(pond, CAROL, theft, BOB);
    ck_assert_msg(pond_run(pond, SECOND_MS), "%s", pond_broken(pond));
    ck_assert_uint_eq(pond_taken_of(pond, theft, BOB), 1); /* as anybody's */
    pond_stop(pond, BOB, false);
    pond_cut_off(pond, CAROL, others, 4);
    pond_revoke(pond, ALICE);
    pond_peck(pond, 3, 0, BOB, "", HOUR_MS);
    ck_assert(pond_run(pond, 5 * SECOND_MS));
    pond_start(pond, BOB);
    for (int ms = 0; ms < 5000; ms++) {
        pond_peck_as(pond, CAROL, theft, BOB);
        ck_assert_msg(pond_run(pond, 1), "%s", pond_broken(pond));
        if (ms == 2000) {
            pond_count_pecks(pond, 3, BOB, &counts);
            ck_assert_uint_eq(counts.came, 1);
        }
    }
    ck_assert_uint_eq(pond_taken_of(pond, theft, BOB), 1);
    theft_free(theft);
    pond_free(pond);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stories");
    TCase *stories = tcase_create("stories");
    SRunner *runner = srunner_create(suite);
    int failed;

    if (!identity_self_test())
        return 1;
    tcase_set_timeout(stories, 120);
    tcase_add_test(stories, two_nodes_meet_and_know_each_other);
    tcase_add_test(stories, a_new_duckling_is_known_to_the_other_node_one_way_later);
    tcase_add_test(stories, news_reaches_all_of_ten_nodes);
    tcase_add_test(stories, a_voucher_that_is_taken_back_counts_nowhere_until_there_is_a_newer_one);
    tcase_add_test(stories, a_short_partition_is_no_more_than_a_delay);
    tcase_add_test(stories, a_long_partition_ends_links_and_heals_by_itself);
    tcase_add_test(stories, a_node_that_restarts_publishes_a_higher_version);
    tcase_add_test(stories, a_forged_record_is_refused_and_the_third_ends_the_link);
    tcase_add_test(stories, a_node_that_stood_still_gets_everything_at_once);
    tcase_add_loop_test(stories,
                        while_an_eighth_stands_still_now_and_then_nobody_else_is_called_dead, 0,
                        sizeof ponds / sizeof *ponds);
    tcase_add_test(stories, ponds_that_do_not_agree_break_the_law);
    tcase_add_loop_test(
        stories, a_stolen_key_is_good_for_nothing_two_seconds_after_its_owners_rotation, 0, 4);
    tcase_add_loop_test(stories,
                        an_identity_with_two_certificates_of_one_number_is_believed_nowhere, 0, 4);
    tcase_add_loop_test(stories, whoever_rotates_one_key_twice_is_in_quarantine_at_all_of_32_nodes,
                        0, 4);
    tcase_add_loop_test(stories, who_was_away_hears_who_was_revoked_before_it_takes_anything, 0, 8);
    suite_add_tcase(suite, stories);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
