/* Probes and the own health, at their limits. Member n answers unless bed.silent[n]. */
#include "gossip_bed.h"

#define TIMEOUT GOSSIP_PROBE_TIMEOUT_MS
#define PERIOD GOSSIP_PROBE_EVERY_MS

static uint64_t began_ms; /* when the silent one was probed */

/* `count` linked members, and number 0, silent, which is just being probed. */
static void probe_silent(uint32_t count)
{
    learn_many(count);
    for (uint32_t i = 0; i < count; i++)
        up(i);
    pass(2 * GOSSIP_SETTLED_MS);
    bed.silent[0] = true;
    forget_said();
    while (count_said(GOSSIP_SEND_PROBE, 0) == 0)
        pass(1);
    began_ms = said_at(GOSSIP_SEND_PROBE, 0);
    ck_assert_uint_eq(bed.now_ms, began_ms);
    ck_assert_uint_eq(figures().health, 0);
}

/* What is probed from now on does not answer, so that the health stays as it is. */
static void silence_all(void)
{
    memset(bed.silent, 1, sizeof bed.silent);
}

static uint32_t nonce_of_last(enum gossip_output_kind kind)
{
    for (size_t i = bed.said_count; i-- > 0;)
        if (bed.said[i].kind == kind)
            return bed.said[i].nonce;
    ck_abort_msg("nothing of kind %d was said", (int)kind);
    return 0;
}

/* ---- the round ---- */

START_TEST(each_second_one_link_is_probed_and_each_once_a_round)
{
    learn_many(10);
    for (uint32_t i = 0; i < 10; i++)
        up(i);
    pass(0);
    for (int round = 0; round < 5; round++) {
        forget_said();
        pass(10 * PERIOD);
        ck_assert_uint_eq(count_kind(GOSSIP_SEND_PROBE), 10);
    }
    for (uint32_t i = 0; i < 10; i++)
        ck_assert_uint_eq(count_said(GOSSIP_ACCUSE, i), 0);
    ck_assert_uint_eq(figures().probes_acked, figures().probes_sent);
}
END_TEST

START_TEST(no_member_waits_longer_than_two_rounds)
{
    uint64_t last_ms[10] = {0};

    learn_many(10);
    for (uint32_t i = 0; i < 10; i++)
        up(i);
    pass(200 * PERIOD);
    for (size_t i = 0; i < bed.said_count; i++) {
        uint32_t number = number_of(&bed.said[i].node);

        if (bed.said[i].kind != GOSSIP_SEND_PROBE)
            continue;
        ck_assert(last_ms[number] == 0 || bed.said_ms[i] - last_ms[number] < 20 * PERIOD);
        last_ms[number] = bed.said_ms[i];
    }
    for (uint32_t i = 0; i < 10; i++)
        ck_assert_uint_gt(last_ms[i] + 20 * PERIOD, bed.now_ms);
}
END_TEST

START_TEST(without_links_nothing_is_probed_or_planned)
{
    learn(1);
    up(1);
    pass(3 * PERIOD);
    goodbye(1);
    pass_unreached(HOUR_MS);
    forget_said();
    pass(MINUTE_MS);
    ck_assert_uint_eq(count_kind(GOSSIP_SEND_PROBE), 0);
}
END_TEST

/* ---- a silent member ---- */

START_TEST(a_silent_member_is_probed_through_three_others_then_accused)
{
    probe_silent(10);
    pass(TIMEOUT - 1);
    ck_assert_uint_eq(count_kind(GOSSIP_SEND_REQUEST), 0);
    forget_said();
    pass(1);
    ck_assert_uint_eq(count_kind(GOSSIP_SEND_REQUEST), GOSSIP_HELPERS);
    ck_assert_uint_eq(count_said(GOSSIP_SEND_REQUEST, 0), 0);
    ck_assert_uint_eq(count_said(GOSSIP_SEND_PROBE, 0), 1); /* once more, directly */
    for (size_t i = 0; i < bed.said_count; i++)
        if (bed.said[i].kind == GOSSIP_SEND_REQUEST)
            ck_assert_uint_eq(number_of(&bed.said[i].target), 0);
    pass(PERIOD - TIMEOUT - 1);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE, 0), 0);
    pass(1);
    ck_assert_uint_eq(said_at(GOSSIP_ACCUSE, 0), began_ms + PERIOD);
    ck_assert_int_eq(member(0).state, GOSSIP_SUSPECT);
    ck_assert_uint_eq(figures().probes_failed, 1);
    ck_assert_uint_eq(figures().accusations_made, 1);
}
END_TEST

START_TEST(a_probe_without_an_ack_is_said_again_before_others_are_asked)
{
    probe_silent(10);
    forget_said();
    pass(GOSSIP_PROBE_AGAIN_MS - 1);
    ck_assert_uint_eq(count_said(GOSSIP_SEND_PROBE, 0), 0);
    bed.silent[0] = false; /* one frame was lost, no more */
    pass(1);
    ck_assert_uint_eq(count_said(GOSSIP_SEND_PROBE, 0), 1);
    pass(PERIOD);
    ck_assert_uint_eq(count_kind(GOSSIP_SEND_REQUEST), 0);
    ck_assert_uint_eq(count_kind(GOSSIP_ACCUSE), 0);
}
END_TEST

START_TEST(helpers_are_others_and_distinct)
{
    probe_silent(4);
    pass(TIMEOUT);
    for (uint32_t i = 1; i < 4; i++)
        ck_assert_uint_eq(count_said(GOSSIP_SEND_REQUEST, i), 1);
}
END_TEST

START_TEST(an_ack_at_the_last_moment_is_no_accusation)
{
    struct id id = id_number(0);

    probe_silent(5);
    pass(PERIOD - 1);
    gossip_take_ack(bed.gossip, &id, nonce_of_last(GOSSIP_SEND_REQUEST), bed.now_ms);
    pass(PERIOD);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE, 0), 0);
}
END_TEST

START_TEST(an_ack_through_a_helper_counts_and_one_of_a_stranger_does_not)
{
    struct id helper, stranger = id_number(99);

    probe_silent(5);
    pass(TIMEOUT);
    for (size_t i = 0; i < bed.said_count; i++)
        if (bed.said[i].kind == GOSSIP_SEND_REQUEST)
            helper = bed.said[i].node;
    gossip_take_ack(bed.gossip, &stranger, nonce_of_last(GOSSIP_SEND_REQUEST), bed.now_ms);
    gossip_take_ack(bed.gossip, &helper, nonce_of_last(GOSSIP_SEND_REQUEST) + 1, bed.now_ms);
    ck_assert_uint_eq(figures().probes_failed, 0);
    pass(100);
    gossip_take_ack(bed.gossip, &helper, nonce_of_last(GOSSIP_SEND_REQUEST), bed.now_ms);
    pass(PERIOD - TIMEOUT);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE, 0), 0);
}
END_TEST

START_TEST(a_wrong_ack_does_not_save_the_silent)
{
    struct id stranger = id_number(99), id = id_number(0);

    probe_silent(5);
    pass(TIMEOUT);
    gossip_take_ack(bed.gossip, &stranger, nonce_of_last(GOSSIP_SEND_REQUEST), bed.now_ms);
    gossip_take_ack(bed.gossip, &id, nonce_of_last(GOSSIP_SEND_REQUEST) + 1, bed.now_ms);
    pass(PERIOD - TIMEOUT);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE, 0), 1);
}
END_TEST

START_TEST(a_newer_record_ends_the_probe_that_was_under_way)
{
    probe_silent(5);
    pass(PERIOD - 1);
    learn(0);
    bed.silent[0] = false;
    pass(PERIOD);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE, 0), 0);
}
END_TEST

START_TEST(one_that_is_accused_by_us_is_not_accused_again)
{
    probe_silent(5);
    pass(5 * PERIOD);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE, 0), 1);
    ck_assert_uint_gt(count_said(GOSSIP_SEND_PROBE, 0), 1); /* but looked after still */
}
END_TEST

START_TEST(a_broken_link_that_cannot_be_dialled_is_probed_through_others_at_once)
{
    struct gossip_dial dialled;
    uint64_t lost_ms;

    learn_many(10);
    for (uint32_t i = 0; i < 10; i++)
        up(i);
    pass(2 * GOSSIP_SETTLED_MS + 1);
    forget_said();
    lost_ms = bed.now_ms;
    down(0);
    settle();
    while (!dial(&dialled))
        pass(gossip_wake_at_ms(bed.gossip) - bed.now_ms);
    ck_assert_uint_eq(number_of(&dialled.node), 0);
    ck_assert_uint_eq(count_kind(GOSSIP_SEND_REQUEST), 0);
    fail_dial(&dialled);
    settle();
    ck_assert_uint_eq(count_kind(GOSSIP_SEND_REQUEST), GOSSIP_HELPERS);
    ck_assert_uint_le(bed.now_ms, lost_ms + GOSSIP_LOST_JITTER_MS);
    pass_unreached(PERIOD);
    ck_assert_uint_eq(said_at(GOSSIP_ACCUSE, 0), lost_ms + PERIOD);
}
END_TEST

START_TEST(a_broken_link_that_comes_up_again_is_no_accusation)
{
    learn_many(10);
    for (uint32_t i = 0; i < 10; i++)
        up(i);
    pass(GOSSIP_SETTLED_MS);
    down(0);
    pass(TIMEOUT + 10);
    up(0);
    pass(2 * PERIOD);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE, 0), 0);
}
END_TEST

START_TEST(a_member_that_cannot_be_reached_is_probed_through_others)
{
    struct gossip_dial dialled;

    learn_many(5);
    for (uint32_t i = 1; i < 5; i++)
        up(i);
    settle();
    forget_said();
    expect_dial(0, &dialled);
    fail_dial(&dialled);
    settle();
    ck_assert_uint_eq(count_kind(GOSSIP_SEND_REQUEST), GOSSIP_HELPERS);
    gossip_take_ack(bed.gossip, &bed.said[bed.said_count - 1].node,
                    nonce_of_last(GOSSIP_SEND_REQUEST), bed.now_ms);
    pass(2 * PERIOD);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE, 0), 0);
}
END_TEST

START_TEST(at_most_eight_probes_are_under_way)
{
    learn_many(20);
    for (uint32_t i = 0; i < 20; i++)
        up(i);
    pass(2 * GOSSIP_SETTLED_MS + 1);
    forget_said();
    for (uint32_t i = 0; i < 15; i++)
        down(i);
    pass(TIMEOUT);
    ck_assert_uint_le(count_kind(GOSSIP_SEND_REQUEST), GOSSIP_PROBES_MAX * GOSSIP_HELPERS);
    ck_assert_uint_gt(count_kind(GOSSIP_SEND_REQUEST), (GOSSIP_PROBES_MAX - 2) * GOSSIP_HELPERS);
}
END_TEST

/* ---- own health ---- */

START_TEST(missing_nacks_are_our_own_trouble_and_nacks_that_come_are_not)
{
    probe_silent(4);
    bed.nacks[1] = bed.nacks[2] = bed.nacks[3] = true;
    pass(PERIOD - 1);
    silence_all();
    pass(1);
    ck_assert_uint_eq(figures().probes_failed, 1);
    ck_assert_uint_eq(figures().health, 0);
    bed_end();
    bed_begin();
    probe_silent(4);
    bed.nacks[1] = bed.nacks[2] = true;
    pass(PERIOD - 1);
    silence_all();
    pass(1);
    ck_assert_uint_eq(figures().health, 1);
}
END_TEST

START_TEST(bad_health_stretches_all_waits_and_acks_bring_it_back)
{
    uint64_t first_ms;

    probe_silent(5);
    bed.signs = false; /* so that it fails again and again */
    for (uint32_t i = 1; i < 5; i++)
        bed.silent[i] = true;
    pass(60 * PERIOD);
    ck_assert_uint_eq(figures().health, GOSSIP_HEALTH_MAX);
    forget_said();
    while (count_kind(GOSSIP_SEND_REQUEST) > 0 || count_kind(GOSSIP_SEND_PROBE) == 0) {
        forget_said();
        pass(1);
    }
    first_ms = bed.now_ms;
    forget_said();
    pass((1 + GOSSIP_HEALTH_MAX) * TIMEOUT - 1);
    ck_assert_uint_eq(count_kind(GOSSIP_SEND_REQUEST), 0);
    pass(1);
    ck_assert_uint_eq(count_kind(GOSSIP_SEND_REQUEST), GOSSIP_HELPERS);
    pass((1 + GOSSIP_HEALTH_MAX) * (PERIOD - TIMEOUT));
    ck_assert_uint_eq(count_kind(GOSSIP_ACCUSE), 1);
    ck_assert_uint_eq(bed.now_ms, first_ms + (1 + GOSSIP_HEALTH_MAX) * PERIOD);
    memset(bed.silent, 0, sizeof bed.silent);
    pass(2 * MINUTE_MS);
    ck_assert_uint_eq(figures().health, 0);
}
END_TEST

/* ---- pauses ---- */

/* _i: by how much the planned wake is missed. */
START_TEST(a_node_that_was_paused_accuses_nobody)
{
    bool paused = (uint64_t)_i > GOSSIP_PAUSED_MS;

    probe_silent(5);
    pass(PERIOD - 1);
    silence_all();
    bed.now_ms += 1 + (uint64_t)_i; /* the end of the period was planned */
    settle();
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE, 0), paused ? 0 : 1);
    ck_assert_uint_eq(figures().pauses, paused);
    ck_assert_uint_eq(figures().health, paused ? 2 : 1);
}
END_TEST

START_TEST(a_pause_gives_the_accused_time_again)
{
    learn_many(2);
    up(0);
    pass(0);
    accuse(0, 1);
    settle();
    bed.now_ms += 8 * SECOND_MS; /* its suspicion is over long since */
    settle();
    ck_assert_int_eq(member(1).state, GOSSIP_SUSPECT);
    pass(GOSSIP_SUSPICION_MIN_MS - 1);
    ck_assert_int_eq(member(1).state, GOSSIP_SUSPECT);
    pass(1);
    ck_assert_int_eq(member(1).state, GOSSIP_DEAD);
}
END_TEST

START_TEST(what_came_during_a_pause_is_judged_after_it)
{
    probe_silent(5);
    pass(TIMEOUT);
    bed.now_ms += 10 * SECOND_MS;
    down(1); /* the link broke meanwhile */
    settle();
    ck_assert_uint_eq(figures().pauses, 1);
    ck_assert_uint_eq(count_kind(GOSSIP_ACCUSE), 0);
    pass(TIMEOUT * 3);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE, 0), 0);
    for (size_t i = 0; i < bed.said_count; i++) /* number 1 is looked after */
        if (bed.said[i].kind == GOSSIP_SEND_REQUEST && number_of(&bed.said[i].target) == 1)
            return;
    ck_abort_msg("a link that broke in a pause was not looked after");
}
END_TEST

/* ---- for others ---- */

static void ask(uint32_t asker, uint32_t nonce, uint32_t target)
{
    struct id from = id_number(asker), id = id_number(target);

    gossip_take_request(bed.gossip, &from, nonce, &id, bed.now_ms);
    settle();
}

START_TEST(a_probe_is_acked_with_its_nonce)
{
    struct id from = id_number(1);

    learn(1);
    up(1);
    gossip_take_probe(bed.gossip, &from, 77, bed.now_ms);
    settle();
    ck_assert_uint_eq(count_said(GOSSIP_SEND_ACK, 1), 1);
    ck_assert_uint_eq(nonce_of_last(GOSSIP_SEND_ACK), 77);
}
END_TEST

START_TEST(who_asks_for_another_gets_its_ack)
{
    learn_many(3);
    up(1);
    up(2);
    pass(0);
    forget_said();
    ask(1, 77, 2);
    ck_assert_uint_eq(count_said(GOSSIP_SEND_PROBE, 2), 1);
    ck_assert_uint_eq(count_said(GOSSIP_SEND_ACK, 1), 1);
    ck_assert_uint_eq(nonce_of_last(GOSSIP_SEND_ACK), 77);
    ask(1, 78, UINT32_MAX); /* this very node */
    ck_assert_uint_eq(nonce_of_last(GOSSIP_SEND_ACK), 78);
}
END_TEST

START_TEST(who_asks_for_a_silent_one_gets_a_nack_and_a_late_ack_still)
{
    struct id target = id_number(2);
    uint32_t nonce;

    learn_many(3);
    up(1);
    up(2);
    pass(0);
    bed.silent[2] = true;
    forget_said();
    ask(1, 77, 2);
    nonce = nonce_of_last(GOSSIP_SEND_PROBE);
    pass(GOSSIP_NACK_MS - 1);
    ck_assert_uint_eq(count_said(GOSSIP_SEND_NACK, 1), 0);
    pass(1);
    ck_assert_uint_eq(count_said(GOSSIP_SEND_NACK, 1), 1);
    gossip_take_ack(bed.gossip, &target, nonce, bed.now_ms);
    settle();
    ck_assert_uint_eq(count_said(GOSSIP_SEND_ACK, 1), 1);
    gossip_take_ack(bed.gossip, &target, nonce, bed.now_ms);
    settle();
    ck_assert_uint_eq(count_said(GOSSIP_SEND_ACK, 1), 1); /* once */
}
END_TEST

START_TEST(who_asks_for_one_that_is_not_linked_makes_us_dial_it)
{
    struct gossip_dial dialled;

    learn_many(100);
    up(1);
    settle();
    while (dial(&dialled))
        up_dialled(number_of(&dialled.node));
    forget_said();
    for (uint32_t i = 2;; i++)
        if (!member(i).linked) {
            ask(1, 77, i);
            expect_dial(i, &dialled);
            up_dialled(i);
            settle();
            ck_assert_uint_eq(nonce_of_last(GOSSIP_SEND_ACK), 77);
            return;
        }
}
END_TEST

START_TEST(a_link_made_to_probe_for_another_closes_after_ten_seconds_unless_it_is_wanted)
{
    struct gossip_dial dialled;
    uint32_t asked[2], found = 0;

    learn_many(100);
    up(1);
    settle();
    while (dial(&dialled))
        up_dialled(number_of(&dialled.node));
    for (uint32_t i = 2; found < 2; i++)
        if (!member(i).linked) {
            ask(1, 77 + i, i);
            expect_dial(i, &dialled);
            up_dialled(i);
            asked[found++] = i;
        }
    want(asked[1]);
    forget_said();
    pass(GOSSIP_YOUNG_MS - SECOND_MS);
    ck_assert_uint_eq(count_kind(GOSSIP_HANG_UP), 0);
    pass(3 * SECOND_MS);
    ck_assert_uint_eq(count_said(GOSSIP_HANG_UP, asked[0]), 1);
    ck_assert_uint_eq(count_kind(GOSSIP_HANG_UP), 1);
    pass(GOSSIP_SPARE_MS - GOSSIP_YOUNG_MS - 3 * SECOND_MS);
    ck_assert_uint_eq(count_said(GOSSIP_HANG_UP, asked[1]), 0);
}
END_TEST

START_TEST(one_that_cannot_be_dialled_is_nacked_at_once)
{
    struct gossip_dial dialled;

    learn_many(2);
    up(1);
    pass(0);
    forget_said();
    ask(1, 77, 0);
    expect_dial(0, &dialled);
    fail_dial(&dialled);
    settle();
    ck_assert_uint_eq(count_said(GOSSIP_SEND_NACK, 1), 1);
    ask(1, 78, 99); /* nobody knows it */
    ck_assert_uint_eq(nonce_of_last(GOSSIP_SEND_NACK), 78);
}
END_TEST

START_TEST(one_member_can_ask_four_times_at_once_and_all_together_sixteen)
{
    learn_many(20);
    for (uint32_t i = 0; i < 20; i++)
        up(i);
    pass(0);
    bed.silent[0] = true;
    forget_said();
    for (uint32_t i = 0; i <= GOSSIP_RELAYS_PER_MEMBER_MAX; i++)
        ask(1, i, 0);
    ck_assert_uint_eq(count_said(GOSSIP_SEND_PROBE, 0), GOSSIP_RELAYS_PER_MEMBER_MAX);
    ck_assert_uint_eq(count_said(GOSSIP_SEND_NACK, 1), 1);
    for (uint32_t i = 0; i < GOSSIP_RELAYS_MAX; i++)
        ask(2 + i / 2, i, 0);
    ck_assert_uint_eq(count_said(GOSSIP_SEND_PROBE, 0), GOSSIP_RELAYS_MAX);
    ck_assert_uint_eq(count_kind(GOSSIP_SEND_NACK), 1 + GOSSIP_RELAYS_PER_MEMBER_MAX);
    forget_said();
    pass(2 * PERIOD);
    forget_said();
    ask(1, 5, 0); /* all that was is over */
    ck_assert_uint_eq(count_said(GOSSIP_SEND_PROBE, 0), 1);
}
END_TEST

START_TEST(at_most_64_answers_wait)
{
    struct id from = id_number(1);

    learn(1);
    up(1);
    pass(0);
    forget_said();
    for (uint32_t i = 0; i < GOSSIP_ANSWERS_MAX + 3; i++)
        gossip_take_probe(bed.gossip, &from, i, bed.now_ms);
    settle();
    ck_assert_uint_eq(count_said(GOSSIP_SEND_ACK, 1), GOSSIP_ANSWERS_MAX);
    ck_assert_uint_eq(figures().answers_dropped, 3);
}
END_TEST

static TCase *own(void)
{
    TCase *tcase = tcase_create("own");

    tcase_add_test(tcase, each_second_one_link_is_probed_and_each_once_a_round);
    tcase_add_test(tcase, no_member_waits_longer_than_two_rounds);
    tcase_add_test(tcase, without_links_nothing_is_probed_or_planned);
    tcase_add_test(tcase, a_silent_member_is_probed_through_three_others_then_accused);
    tcase_add_test(tcase, a_probe_without_an_ack_is_said_again_before_others_are_asked);
    tcase_add_test(tcase, helpers_are_others_and_distinct);
    tcase_add_test(tcase, an_ack_at_the_last_moment_is_no_accusation);
    tcase_add_test(tcase, an_ack_through_a_helper_counts_and_one_of_a_stranger_does_not);
    tcase_add_test(tcase, a_wrong_ack_does_not_save_the_silent);
    tcase_add_test(tcase, a_newer_record_ends_the_probe_that_was_under_way);
    tcase_add_test(tcase, one_that_is_accused_by_us_is_not_accused_again);
    tcase_add_test(tcase, a_broken_link_that_cannot_be_dialled_is_probed_through_others_at_once);
    tcase_add_test(tcase, a_broken_link_that_comes_up_again_is_no_accusation);
    tcase_add_test(tcase, a_member_that_cannot_be_reached_is_probed_through_others);
    tcase_add_test(tcase, at_most_eight_probes_are_under_way);
    tcase_add_test(tcase, missing_nacks_are_our_own_trouble_and_nacks_that_come_are_not);
    tcase_add_test(tcase, bad_health_stretches_all_waits_and_acks_bring_it_back);
    tcase_add_loop_test(tcase, a_node_that_was_paused_accuses_nobody, GOSSIP_PAUSED_MS,
                        GOSSIP_PAUSED_MS + 2);
    tcase_add_test(tcase, a_pause_gives_the_accused_time_again);
    tcase_add_test(tcase, what_came_during_a_pause_is_judged_after_it);
    return tcase;
}

static TCase *for_others(void)
{
    TCase *tcase = tcase_create("for others");

    tcase_add_test(tcase, a_probe_is_acked_with_its_nonce);
    tcase_add_test(tcase, who_asks_for_another_gets_its_ack);
    tcase_add_test(tcase, who_asks_for_a_silent_one_gets_a_nack_and_a_late_ack_still);
    tcase_add_test(tcase, who_asks_for_one_that_is_not_linked_makes_us_dial_it);
    tcase_add_test(tcase,
                   a_link_made_to_probe_for_another_closes_after_ten_seconds_unless_it_is_wanted);
    tcase_add_test(tcase, one_that_cannot_be_dialled_is_nacked_at_once);
    tcase_add_test(tcase, one_member_can_ask_four_times_at_once_and_all_together_sixteen);
    tcase_add_test(tcase, at_most_64_answers_wait);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("gossip_probe");
    TCase *tcases[] = {own(), for_others()};

    for (size_t i = 0; i < sizeof tcases / sizeof *tcases; i++) {
        tcase_add_checked_fixture(tcases[i], bed_begin, bed_end);
        suite_add_tcase(suite, tcases[i]);
    }
    return bed_run(suite);
}
