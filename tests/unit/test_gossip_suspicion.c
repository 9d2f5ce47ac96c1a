/* Accusations, and what state they bring a member to. */
#include "gossip_bed.h"

/* N nodes with this one: their minimum and maximum of suspicion. */
static void learn_nodes(uint32_t nodes)
{
    learn_many(nodes - 1);
    settle();
}

/* An accusation of this node: it refutes, and its own health is one worse. */
static void accuse_us(void)
{
    struct gossip_accusation word = word_against(1, 0);

    word.accused = bed.self;
    word.version = (struct version){7, 1};
    ck_assert_int_eq(gossip_take_accusation(bed.gossip, &word, word.version, bed.now_ms),
                     GOSSIP_ACCUSES_US);
    settle();
    ck_assert_uint_eq(figures().health, 1);
}

/* A probe that is answered. */
static void get_well(uint32_t number)
{
    up(number);
    while (figures().health > 0)
        pass(1);
}

/* ---- how long ---- */

START_TEST(suspicion_is_long_with_one_accuser_and_short_with_three)
{
    ck_assert_uint_eq(gossip_suspicion_ms(10, 3), GOSSIP_SUSPICION_MIN_MS);
    ck_assert_uint_eq(gossip_suspicion_ms(10, 1), 4 * GOSSIP_SUSPICION_MIN_MS);
    /* 1 - log 2 / log 3 = 0.369 of the way back */
    ck_assert_uint_ge(gossip_suspicion_ms(10, 2), 1500 + 1660);
    ck_assert_uint_le(gossip_suspicion_ms(10, 2), 1500 + 1662);
}
END_TEST

START_TEST(suspicion_grows_with_the_logarithm_of_the_network)
{
    ck_assert_uint_eq(gossip_suspicion_ms(2, 3), 1500);
    ck_assert_uint_eq(gossip_suspicion_ms(10, 3), 1500);
    ck_assert_uint_ge(gossip_suspicion_ms(16, 3), 1804); /* 1500 x 1.204 */
    ck_assert_uint_le(gossip_suspicion_ms(16, 3), 1807);
    ck_assert_uint_ge(gossip_suspicion_ms(100, 3), 2998);
    ck_assert_uint_le(gossip_suspicion_ms(100, 3), 3000);
    ck_assert_uint_ge(gossip_suspicion_ms(10000, 3), 5997);
    ck_assert_uint_le(gossip_suspicion_ms(10000, 3), 6000);
    ck_assert_uint_lt(gossip_suspicion_ms(10000, 1), ACCUSATION_LIFE_MS);
}
END_TEST

START_TEST(where_there_are_fewer_than_three_others_fewer_are_enough)
{
    ck_assert_uint_eq(gossip_suspicion_ms(2, 1), 1500);
    ck_assert_uint_eq(gossip_suspicion_ms(3, 1), 6000);
    ck_assert_uint_eq(gossip_suspicion_ms(3, 2), 1500);
    ck_assert_uint_eq(gossip_suspicion_ms(4, 3), 1500);
    ck_assert_uint_eq(gossip_suspicion_ms(1, 1), 1500); /* nobody else is left */
}
END_TEST

/* ---- the way to the end ---- */

START_TEST(one_accuser_gives_the_accused_all_the_time)
{
    learn_nodes(10);
    ck_assert_int_eq(accuse(1, 0), GOSSIP_COUNTED);
    settle();
    ck_assert_int_eq(member(0).state, GOSSIP_SUSPECT);
    ck_assert_uint_eq(member(0).accusers, 1);
    ck_assert_uint_eq(member(0).suspicion_ends_ms, bed.now_ms + 6000);
    pass(5999);
    ck_assert_int_eq(member(0).state, GOSSIP_SUSPECT);
    ck_assert_uint_eq(gossip_live(bed.gossip), 9);
    pass(1);
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
    ck_assert_uint_eq(gossip_live(bed.gossip), 8);
    ck_assert_uint_eq(count_said(GOSSIP_CHANGED, 0), 3); /* new, suspect, dead */
}
END_TEST

START_TEST(a_verdict_of_one_is_said_again_until_it_is_refuted)
{
    learn_nodes(10);
    accuse(1, 0);
    pass(6000);
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE_AGAIN, 0), 0);
    pass(GOSSIP_DOUBT_FIRST_MS - 1);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE_AGAIN, 0), 0);
    pass(1);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE_AGAIN, 0), 1);
    pass(2 * GOSSIP_DOUBT_FIRST_MS);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE_AGAIN, 0), 2);
    learn(0);
    settle();
    ck_assert_int_eq(member(0).state, GOSSIP_ALIVE);
    pass(HOUR_MS);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE_AGAIN, 0), 2);
}
END_TEST

START_TEST(a_verdict_of_one_is_said_again_six_times_and_no_more)
{
    learn_nodes(10);
    accuse(1, 0);
    pass(6000 + 10 * MINUTE_MS);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE_AGAIN, 0), GOSSIP_DOUBTS_MAX);
}
END_TEST

START_TEST(a_verdict_of_three_is_not_said_again)
{
    learn_nodes(10);
    for (uint32_t accuser = 1; accuser <= 3; accuser++)
        accuse(accuser, 0);
    pass(10 * MINUTE_MS);
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE_AGAIN, 0), 0);
}
END_TEST

/* Three have said so, but they may have been cut off with this node. */
START_TEST(a_node_that_is_not_well_says_a_verdict_of_three_again_until_it_is_well)
{
    learn_nodes(10);
    accuse_us();
    for (uint32_t accuser = 1; accuser <= 3; accuser++)
        accuse(accuser, 0);
    pass(GOSSIP_SUSPICION_MIN_MS);
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE_AGAIN, 0), 0);
    pass(GOSSIP_DOUBT_FIRST_MS);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE_AGAIN, 0), 1);
    get_well(8);
    pass(2 * GOSSIP_DOUBT_FIRST_MS); /* planned while it was unwell */
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE_AGAIN, 0), 2);
    pass(10 * MINUTE_MS);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE_AGAIN, 0), 2);
}
END_TEST

/* Half of a large network is dead to whoever was cut off: nobody accuses all of them once more. */
START_TEST(no_more_than_four_verdicts_of_three_are_said_again_at_once)
{
    uint32_t said = 0;

    learn_nodes(20);
    accuse_us();
    for (uint32_t accused = 0; accused <= GOSSIP_UNSURE_MAX; accused++)
        for (uint32_t accuser = 10; accuser < 13; accuser++)
            ck_assert_int_eq(accuse(accuser, accused), GOSSIP_COUNTED);
    pass(10 * MINUTE_MS);
    for (uint32_t accused = 0; accused <= GOSSIP_UNSURE_MAX; accused++) {
        ck_assert_int_eq(member(accused).state, GOSSIP_DEAD);
        said += count_said(GOSSIP_ACCUSE_AGAIN, accused) > 0;
    }
    ck_assert_uint_eq(said, GOSSIP_UNSURE_MAX);
    /* One that is alive after all leaves its place to another. */
    forget_said();
    learn(0);
    settle();
    for (uint32_t accuser = 10; accuser < 13; accuser++)
        ck_assert_int_eq(accuse(accuser, 15), GOSSIP_COUNTED);
    pass(10 * MINUTE_MS);
    ck_assert_uint_gt(count_said(GOSSIP_ACCUSE_AGAIN, 15), 0);
}
END_TEST

/* Whoever lies may guess the next version, and keep the accused from hearing of it. */
START_TEST(a_verdict_that_a_newer_record_does_not_end_is_told_to_the_accused_at_once)
{
    struct gossip_accusation word;

    learn_nodes(10);
    word = word_against(1, 0);
    word.version.ms++; /* what it publishes next */
    ck_assert_int_eq(say_word(&word), GOSSIP_COUNTED);
    for (uint32_t accuser = 2; accuser <= 3; accuser++)
        accuse(accuser, 0);
    pass(10 * MINUTE_MS);
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
    forget_said();
    learn(0);
    settle();
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE_AGAIN, 0), 1);
    learn(0);
    settle();
    ck_assert_int_eq(member(0).state, GOSSIP_ALIVE);
}
END_TEST

START_TEST(three_accusers_shorten_it_from_the_first_on)
{
    learn_nodes(10);
    accuse(1, 0);
    pass(1000);
    accuse(2, 0);
    accuse(3, 0);
    ck_assert_uint_eq(member(0).suspicion_ends_ms, BED_START_MS + 1500);
    pass(499);
    ck_assert_int_eq(member(0).state, GOSSIP_SUSPECT);
    pass(1);
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
}
END_TEST

START_TEST(a_third_accuser_that_comes_late_ends_it_at_once)
{
    learn_nodes(10);
    accuse(1, 0);
    pass(2000);
    accuse(2, 0);
    ck_assert_int_eq(member(0).state, GOSSIP_SUSPECT);
    accuse(3, 0);
    settle();
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
}
END_TEST

START_TEST(an_accuser_counts_once_and_a_fourth_changes_nothing)
{
    struct gossip_accusation word;

    learn_nodes(10);
    word = word_against(1, 0);
    ck_assert_int_eq(say_word(&word), GOSSIP_COUNTED);
    ck_assert_int_eq(say_word(&word), GOSSIP_KNOWN);
    ck_assert_int_eq(accuse(1, 0), GOSSIP_KNOWN);
    ck_assert_uint_eq(member(0).accusers, 1);
    accuse(2, 0);
    ck_assert_int_eq(accuse(3, 0), GOSSIP_COUNTED);
    ck_assert_int_eq(accuse(4, 0), GOSSIP_ENOUGH);
    pass(1500);
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
    ck_assert_int_eq(accuse(5, 0), GOSSIP_ENOUGH);
    ck_assert_uint_eq(figures().accusations_heard, 3);
}
END_TEST

/* ---- who may accuse whom ---- */

START_TEST(only_live_members_accuse)
{
    struct id seed = id_number(50), left = id_number(2);

    learn_nodes(10);
    ck_assert_int_eq(accuse(77, 0), GOSSIP_STRANGER);
    up(60); /* linked, but no record of it */
    ck_assert_int_eq(accuse(60, 0), GOSSIP_STRANGER);
    gossip_add_seed(bed.gossip, bytes_of_text("seed:1"), &seed);
    ck_assert_int_eq(accuse(50, 0), GOSSIP_STRANGER);
    gossip_leave(bed.gossip, &left, false);
    ck_assert_int_eq(accuse(2, 0), GOSSIP_STRANGER);
    accuse(3, 1);
    ck_assert_int_eq(accuse(1, 0), GOSSIP_COUNTED); /* suspected itself, but not dead */
    pass(6000);
    ck_assert_int_eq(member(1).state, GOSSIP_DEAD);
    ck_assert_int_eq(accuse(1, 4), GOSSIP_STRANGER);
    ck_assert_uint_eq(figures().accusations_refused, 5);
}
END_TEST

START_TEST(only_members_with_a_record_are_accused)
{
    struct id left = id_number(2);

    learn_nodes(10);
    ck_assert_int_eq(accuse(1, 77), GOSSIP_UNKNOWN);
    up(60);
    ck_assert_int_eq(accuse(1, 60), GOSSIP_UNKNOWN);
    gossip_leave(bed.gossip, &left, false);
    ck_assert_int_eq(accuse(1, 2), GOSSIP_ENOUGH);
}
END_TEST

START_TEST(one_accuser_has_at_most_64_under_suspicion)
{
    learn_nodes(BED_NODES);
    for (uint32_t i = 1; i <= GOSSIP_ACCUSED_PER_MEMBER_MAX; i++)
        ck_assert_int_eq(accuse(0, i), GOSSIP_COUNTED);
    ck_assert_int_eq(accuse(0, 100), GOSSIP_TOO_MANY);
    ck_assert_int_eq(accuse(1, 100), GOSSIP_COUNTED);
    learn(5); /* one of them refutes */
    ck_assert_int_eq(accuse(0, 101), GOSSIP_COUNTED);
}
END_TEST

/* ---- refutation ---- */

START_TEST(a_newer_record_refutes_and_the_same_does_not)
{
    struct gossip_accusation word;
    struct id id = id_number(0);

    learn_nodes(10);
    word = word_against(1, 0);
    ck_assert_int_eq(say_word(&word), GOSSIP_COUNTED);
    gossip_learn(bed.gossip, &id, word.version);
    ck_assert_int_eq(member(0).state, GOSSIP_SUSPECT);
    learn(0);
    ck_assert_int_eq(member(0).state, GOSSIP_ALIVE);
    ck_assert_uint_eq(member(0).accusers, 0);
    word.hash.bytes[20]++; /* said anew, of the old version */
    ck_assert_int_eq(say_word(&word), GOSSIP_STALE);
    pass(7000);
    ck_assert_int_eq(member(0).state, GOSSIP_ALIVE);
    ck_assert_uint_eq(figures().false_alarms, 0); /* it was not ours */
}
END_TEST

START_TEST(accusations_of_a_newer_version_outlive_a_record_between)
{
    struct gossip_accusation word;

    learn_nodes(10);
    accuse(1, 0);
    word = word_against(2, 0);
    word.version.ms += 2;
    ck_assert_int_eq(say_word(&word), GOSSIP_COUNTED);
    learn(0); /* refutes the first only */
    ck_assert_int_eq(member(0).state, GOSSIP_SUSPECT);
    ck_assert_uint_eq(member(0).accusers, 1);
    learn(0);
    ck_assert_int_eq(member(0).state, GOSSIP_SUSPECT);
    learn(0);
    ck_assert_int_eq(member(0).state, GOSSIP_ALIVE);
}
END_TEST

START_TEST(fewer_accusers_give_more_time)
{
    struct gossip_accusation word;

    learn_nodes(10);
    accuse(1, 0);
    accuse(3, 0);
    word = word_against(2, 0);
    word.version.ms++;
    say_word(&word);
    ck_assert_uint_lt(member(0).suspicion_ends_ms, bed.now_ms + 4000);
    learn(0); /* refutes the first two only */
    ck_assert_uint_eq(member(0).accusers, 1);
    ck_assert_uint_eq(member(0).suspicion_ends_ms, bed.now_ms + 6000);
    pass(5999);
    ck_assert_int_eq(member(0).state, GOSSIP_SUSPECT);
    pass(1);
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
}
END_TEST

/* ---- versions that are not held ---- */

static enum gossip_verdict accuse_ahead(uint32_t accuser, uint32_t accused)
{
    struct gossip_accusation word = word_against(accuser, accused);

    word.version.ms++;
    return say_word(&word);
}

START_TEST(a_version_that_is_not_held_convicts_nobody)
{
    learn_nodes(10);
    for (uint32_t i = 1; i <= 3; i++)
        ck_assert_int_eq(accuse_ahead(i, 0), GOSSIP_COUNTED); /* the record may be on its way */
    ck_assert_int_eq(accuse_ahead(4, 0), GOSSIP_ENOUGH);
    ck_assert_int_eq(member(0).state, GOSSIP_SUSPECT);
    ck_assert_uint_eq(member(0).suspicion_ends_ms, bed.now_ms + 6000);
    pass(6000);
    ck_assert_int_eq(member(0).state, GOSSIP_ALIVE);
    ck_assert_uint_eq(member(0).accusers, 0);
}
END_TEST

START_TEST(an_accusation_that_came_before_its_record_counts_when_that_is_held)
{
    learn_nodes(10);
    for (uint32_t i = 1; i <= 3; i++)
        accuse_ahead(i, 0);
    pass(1000);
    learn(0);
    ck_assert_int_eq(member(0).state, GOSSIP_SUSPECT);
    ck_assert_uint_eq(member(0).accusers, 3);
    pass(499);
    ck_assert_int_eq(member(0).state, GOSSIP_SUSPECT);
    pass(1);
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
}
END_TEST

START_TEST(who_is_dead_and_says_so_anew_lives_whatever_else_was_said)
{
    learn_nodes(10);
    for (uint32_t i = 1; i <= 2; i++)
        accuse(i, 0);
    for (uint32_t i = 0; i < 2; i++)
        bed.versions[0]++; /* published, and not heard of yet */
    accuse_ahead(3, 0);
    for (uint32_t i = 0; i < 2; i++)
        bed.versions[0]--;
    pass(4000);
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
    learn(0);
    ck_assert_int_eq(member(0).state, GOSSIP_ALIVE);
    ck_assert_uint_eq(member(0).accusers, 0);
}
END_TEST

START_TEST(who_convicts_takes_the_place_of_who_does_not)
{
    learn_nodes(10);
    for (uint32_t i = 1; i <= 3; i++)
        accuse_ahead(i, 0);
    for (uint32_t i = 4; i <= 6; i++)
        ck_assert_int_eq(accuse(i, 0), GOSSIP_COUNTED);
    ck_assert_int_eq(accuse(7, 0), GOSSIP_ENOUGH);
    ck_assert_uint_eq(member(0).accusers, 3);
    pass(1500);
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
}
END_TEST

START_TEST(whoever_answered_and_then_fell_silent_is_dead_all_the_same)
{
    learn_nodes(10);
    up(0);
    accuse(1, 0); /* it is probed at once, and answers */
    settle();
    bed.silent[0] = true;
    pass(3000);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE, 0), 1);
    accuse(2, 0);
    pass(GOSSIP_SUSPICION_MIN_MS);
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
}
END_TEST

START_TEST(the_link_of_a_member_that_stays_dead_is_hung_up)
{
    learn_nodes(10);
    up(0);
    bed.signs = false; /* so that one accuser is left */
    bed.silent[0] = true;
    accuse(1, 0);
    pass(6000);
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
    pass(GOSSIP_DEAD_LINK_MS - 1);
    ck_assert_uint_eq(count_said(GOSSIP_HANG_UP, 0), 0);
    pass(1);
    ck_assert_uint_eq(count_said(GOSSIP_HANG_UP, 0), 1);
}
END_TEST

START_TEST(who_died_lately_is_dialled_soon_and_who_is_long_dead_seldom)
{
    uint32_t attempts;

    learn_nodes(10);
    accuse(1, 0);
    pass_unreached(6000);
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
    pass_unreached(MINUTE_MS);
    ck_assert_uint_le(member(0).next_dial_ms, bed.now_ms + MINUTE_MS / GOSSIP_AWAY_DIALS_PER_AGE);
    pass_unreached(HOUR_MS);
    attempts = member(0).attempts;
    pass_unreached(10 * MINUTE_MS);
    ck_assert_uint_ge(member(0).attempts, attempts + 4); /* each 112 to 131 s at most */
    ck_assert_uint_le(member(0).attempts, attempts + 12);
    pass_unreached(DAY_MS);
    attempts = member(0).attempts;
    pass_unreached(HOUR_MS);
    ck_assert_uint_ge(member(0).attempts, attempts + 11); /* DIAL_MAX_MS */
    ck_assert_uint_le(member(0).attempts, attempts + 25);
}
END_TEST

START_TEST(a_newer_record_brings_the_dead_back)
{
    learn_nodes(10);
    accuse(1, 0);
    pass(6000);
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
    learn(0);
    ck_assert_int_eq(member(0).state, GOSSIP_ALIVE);
    ck_assert_uint_eq(gossip_live(bed.gossip), 9);
}
END_TEST

START_TEST(our_own_false_alarm_is_counted)
{
    learn_nodes(10);
    ck_assert_int_eq(accuse(UINT32_MAX, 0), GOSSIP_COUNTED);
    learn(0);
    ck_assert_uint_eq(figures().false_alarms, 1);
    ck_assert_uint_eq(figures().accusations_made, 1);
}
END_TEST

/* _i: suspected or dead. */
START_TEST(a_handshake_is_proof_of_life_and_tells_the_accused)
{
    learn_nodes(10);
    accuse(1, 0);
    pass(_i ? 6000 : 0);
    ck_assert_int_eq(member(0).state, _i ? GOSSIP_DEAD : GOSSIP_SUSPECT);
    up(0);
    settle();
    ck_assert_int_eq(member(0).state, GOSSIP_ALIVE);
    ck_assert_uint_eq(count_said(GOSSIP_SEND_ACCUSED, 0), 1);
    ck_assert_int_eq(accuse(2, 0), GOSSIP_COUNTED); /* nothing of it is forgiven in advance */
}
END_TEST

START_TEST(what_the_accused_is_told_are_the_bytes_that_came)
{
    struct gossip_output output;
    bool told = false;

    learn_nodes(10);
    accuse(1, 0);
    settle();
    up(0);
    while (gossip_poll(bed.gossip, bed.now_ms, &output)) {
        if (output.kind != GOSSIP_SEND_ACCUSED)
            continue;
        told = true;
        ck_assert(bytes_equal(output.wire, bytes_of_text("wire")));
        ck_assert(bytes_equal(output.chain, bytes_of_text("chain")));
    }
    ck_assert(told);
}
END_TEST

START_TEST(a_dead_member_that_speaks_over_its_link_lives)
{
    struct id id = id_number(0);

    learn_nodes(10);
    up(0);
    bed.silent[0] = true;
    accuse(1, 0);
    pass(7000);
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
    forget_said();
    gossip_take_probe(bed.gossip, &id, 5, bed.now_ms);
    settle();
    ck_assert_int_eq(member(0).state, GOSSIP_ALIVE);
    ck_assert_uint_eq(count_said(GOSSIP_SEND_ACCUSED, 0), 1);
}
END_TEST

START_TEST(a_neighbour_that_answers_us_does_not_die_by_others_word)
{
    learn_nodes(10);
    up(0);
    accuse(1, 0);
    accuse(2, 0);
    accuse(3, 0);
    pass(10 * SECOND_MS);
    ck_assert_int_eq(member(0).state, GOSSIP_ALIVE);
    ck_assert_uint_eq(count_said(GOSSIP_SEND_ACCUSED, 0), 1); /* it should refute for others */
}
END_TEST

/* ---- confirming ---- */

START_TEST(an_accused_neighbour_is_probed_at_once_and_accused_if_it_is_silent)
{
    learn_nodes(10);
    for (uint32_t i = 0; i < 5; i++)
        up(i);
    pass(300);
    bed.silent[0] = true;
    forget_said();
    accuse(1, 0);
    settle();
    ck_assert_uint_eq(said_at(GOSSIP_SEND_PROBE, 0), bed.now_ms);
    pass(GOSSIP_PROBE_EVERY_MS);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE, 0), 1);
    ck_assert_uint_eq(member(0).accusers, 2);
}
END_TEST

START_TEST(who_is_no_neighbour_of_the_accused_confirms_nothing)
{
    learn_nodes(10);
    for (uint32_t i = 1; i < 5; i++)
        up(i);
    pass(300);
    forget_said();
    accuse(1, 0);
    pass(GOSSIP_PROBE_EVERY_MS);
    ck_assert_uint_eq(count_kind(GOSSIP_ACCUSE), 0);
    ck_assert_uint_eq(count_said(GOSSIP_SEND_PROBE, 0), 0);
}
END_TEST

/* ---- passing on ---- */

#define BUDGET 7

static size_t pass_on(uint32_t accuser, uint32_t accused, uint32_t from, struct id *nodes,
                      size_t max)
{
    struct gossip_accusation word = word_against(accuser, accused);
    struct id id = id_number(from);

    return gossip_pass_on(bed.gossip, &word, &id, BUDGET, nodes, max);
}

START_TEST(the_accused_is_told_first)
{
    struct id nodes[64];

    learn_nodes(30);
    for (uint32_t i = 0; i < 20; i++)
        up(i);
    for (int i = 0; i < 20; i++) {
        ck_assert_uint_gt(pass_on(UINT32_MAX, 7, UINT32_MAX, nodes, 64), 1);
        ck_assert_uint_eq(number_of(&nodes[0]), 7);
    }
}
END_TEST

START_TEST(ones_own_goes_to_all_and_anothers_to_a_budget_but_not_back)
{
    struct id nodes[64];
    bool told[40] = {false};
    size_t count;

    learn_nodes(100);
    for (uint32_t i = 0; i < 40; i++)
        up(i);
    ck_assert_uint_eq(pass_on(UINT32_MAX, 50, UINT32_MAX, nodes, 64), 40);
    ck_assert_uint_eq(pass_on(UINT32_MAX, 50, UINT32_MAX, nodes, 10), 10);
    for (int round = 0; round < 50; round++) {
        count = pass_on(1, 50, 2, nodes, 64);
        ck_assert_uint_eq(count, BUDGET);
        for (size_t i = 0; i < count; i++) {
            ck_assert_uint_ne(number_of(&nodes[i]), 1);
            ck_assert_uint_ne(number_of(&nodes[i]), 2);
            told[number_of(&nodes[i])] = true;
            for (size_t j = 0; j < i; j++)
                ck_assert(!id_equal(&nodes[i], &nodes[j]));
        }
    }
    for (uint32_t i = 3; i < 40; i++)
        ck_assert(told[i]); /* by chance, each in its turn */
}
END_TEST

/* ---- this node ---- */

START_TEST(an_accusation_of_this_node_is_refuted_at_once_and_costs_health)
{
    struct gossip_accusation word;

    learn_nodes(10);
    word = word_against(1, 0);
    word.accused = bed.self;
    word.version = (struct version){7, 1};
    ck_assert_int_eq(gossip_take_accusation(bed.gossip, &word, (struct version){7, 1}, bed.now_ms),
                     GOSSIP_ACCUSES_US);
    settle();
    ck_assert_uint_eq(count_kind(GOSSIP_REFUTE), 1);
    ck_assert_int_eq(version_compare(bed.said[bed.said_count - 1].version, (struct version){7, 1}),
                     0);
    ck_assert_uint_eq(figures().health, 1);
    ck_assert_uint_eq(figures().refutations, 1);
    ck_assert_int_eq(gossip_take_accusation(bed.gossip, &word, (struct version){7, 2}, bed.now_ms),
                     GOSSIP_STALE);
}
END_TEST

#define KILLED_MS 6000ull

/* Three accusers each. */
static void kill_first(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t accuser = 20; accuser < 23; accuser++)
            accuse(accuser, i);
    pass(KILLED_MS);
    for (uint32_t i = 0; i < count; i++)
        ck_assert_int_eq(member(i).state, GOSSIP_DEAD);
    forget_said();
}

static void revive(uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        ck_assert(learn(i));
    settle();
}

/* Of 32, 28 live after these; an eighth of whom come back with the third. */
START_TEST(who_finds_an_eighth_of_the_network_alive_again_says_its_record_anew)
{
    learn_nodes(32);
    kill_first(6);
    revive(0, 2);
    ck_assert_uint_eq(count_kind(GOSSIP_HEALED), 0);
    revive(2, 4);
    ck_assert_uint_eq(count_kind(GOSSIP_HEALED), 1);
    ck_assert_uint_eq(count_kind(GOSSIP_REFUTE), 0);
    ck_assert_uint_eq(figures().health, 0); /* it was not slow */
}
END_TEST

START_TEST(who_finds_them_one_after_the_other_does_not)
{
    learn_nodes(32);
    kill_first(6);
    for (uint32_t i = 0; i < 6; i++) {
        revive(i, i + 1);
        pass(GOSSIP_HEAL_WITHIN_MS);
    }
    ck_assert_uint_eq(count_kind(GOSSIP_HEALED), 0);
}
END_TEST

START_TEST(one_that_restarts_heals_nothing_however_few_there_are)
{
    learn_nodes(3);
    accuse(1, 0);
    accuse(2, 0);
    pass(KILLED_MS);
    ck_assert_int_eq(member(0).state, GOSSIP_DEAD);
    forget_said();
    revive(0, 1);
    ck_assert_uint_eq(count_kind(GOSSIP_HEALED), 0);
}
END_TEST

START_TEST(it_is_said_at_most_every_half_a_minute)
{
    learn_nodes(32);
    kill_first(6);
    revive(0, 6);
    ck_assert_uint_eq(count_kind(GOSSIP_HEALED), 1);
    pass(GOSSIP_HEAL_EVERY_MS - KILLED_MS - 1);
    kill_first(6);
    revive(0, 6);
    ck_assert_uint_eq(count_kind(GOSSIP_HEALED), 0);
    kill_first(6);
    revive(0, 6);
    ck_assert_uint_eq(count_kind(GOSSIP_HEALED), 1);
}
END_TEST

START_TEST(refutations_come_at_most_once_a_second)
{
    struct gossip_accusation word;

    learn_nodes(10);
    word = word_against(1, 0);
    word.accused = bed.self;
    for (uint64_t i = 1; i <= 10; i++) {
        word.version = (struct version){i, 0};
        gossip_take_accusation(bed.gossip, &word, (struct version){i, 0}, bed.now_ms);
        settle();
    }
    ck_assert_uint_eq(count_kind(GOSSIP_REFUTE), 1);
    pass(GOSSIP_REFUTE_EVERY_MS - 1);
    ck_assert_uint_eq(count_kind(GOSSIP_REFUTE), 1);
    pass(1);
    ck_assert_uint_eq(count_kind(GOSSIP_REFUTE), 2);
    ck_assert_uint_eq(bed.said[bed.said_count - 1].version.ms, 10);
}
END_TEST

/* Or a liar makes this node publish versions that others refuse as from the future. */
START_TEST(a_version_that_was_never_published_is_refuted_but_not_outbid)
{
    struct gossip_accusation word;

    learn_nodes(10);
    word = word_against(1, 0);
    word.accused = bed.self;
    word.version = (struct version){1000000, 0};
    ck_assert_int_eq(gossip_take_accusation(bed.gossip, &word, (struct version){7, 1}, bed.now_ms),
                     GOSSIP_ACCUSES_US);
    settle();
    ck_assert_uint_eq(count_kind(GOSSIP_REFUTE), 1);
    ck_assert_int_eq(version_compare(bed.said[bed.said_count - 1].version, (struct version){7, 1}),
                     0);
}
END_TEST

/* ---- leaving ---- */

START_TEST(who_left_is_not_accused_dialled_or_counted_and_may_come_back)
{
    struct id id = id_number(0);

    learn_nodes(10);
    for (uint32_t i = 0; i < 9; i++)
        up(i);
    pass(100);
    accuse(1, 0);
    settle();
    forget_said();
    gossip_leave(bed.gossip, &id, false);
    down(0);
    pass_unreached(10 * MINUTE_MS);
    ck_assert_int_eq(member(0).state, GOSSIP_LEFT);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE, 0), 0);
    ck_assert_uint_eq(count_said(GOSSIP_CHANGED, 0), 1);
    ck_assert_uint_eq(gossip_live(bed.gossip), 8);
    ck_assert_uint_eq(member(0).attempts, 0);
    learn(0);
    ck_assert_int_eq(member(0).state, GOSSIP_ALIVE);
    ck_assert_uint_eq(gossip_live(bed.gossip), 9);
}
END_TEST

START_TEST(one_that_is_first_heard_of_as_gone_is_gone)
{
    struct id id = id_number(3);
    struct gossip_dial dialled;

    ck_assert(gossip_leave(bed.gossip, &id, false));
    settle();
    ck_assert_int_eq(member(3).state, GOSSIP_LEFT);
    ck_assert(!dial(&dialled));
}
END_TEST

/* All of a fleet may stop at once: when they start each must find others again. */
START_TEST(one_that_stopped_for_a_while_is_dialled_seldom_and_for_ever)
{
    struct id id = id_number(3);
    struct gossip_dial dialled;

    learn(3);
    ck_assert(gossip_leave(bed.gossip, &id, true));
    for (int tries = 0; tries < 20; tries++) {
        expect_dial(3, &dialled);
        fail_dial(&dialled);
        expect_nobody();
        pass(DIAL_MAX_MS);
        forget_said();
    }
    ck_assert_int_eq(member(3).state, GOSSIP_LEFT);
    ck_assert_uint_eq(figures().accusations_made, 0);
    learn(3);
    ck_assert_int_eq(member(3).state, GOSSIP_ALIVE);
}
END_TEST

START_TEST(every_verdict_says_what_it_is)
{
    for (int i = GOSSIP_COUNTED; i <= GOSSIP_TOO_MANY; i++)
        ck_assert_uint_gt(strlen(gossip_verdict_text((enum gossip_verdict)i)), 0);
    ck_assert_str_eq(gossip_state_name(GOSSIP_ALIVE), "alive");
    ck_assert_str_eq(gossip_state_name(GOSSIP_SUSPECT), "suspect");
    ck_assert_str_eq(gossip_state_name(GOSSIP_DEAD), "dead");
    ck_assert_str_eq(gossip_state_name(GOSSIP_LEFT), "left");
}
END_TEST

static TCase *states(void)
{
    TCase *tcase = tcase_create("states");

    tcase_add_test(tcase, suspicion_is_long_with_one_accuser_and_short_with_three);
    tcase_add_test(tcase, suspicion_grows_with_the_logarithm_of_the_network);
    tcase_add_test(tcase, where_there_are_fewer_than_three_others_fewer_are_enough);
    tcase_add_test(tcase, one_accuser_gives_the_accused_all_the_time);
    tcase_add_test(tcase, a_verdict_of_one_is_said_again_until_it_is_refuted);
    tcase_add_test(tcase, a_verdict_of_one_is_said_again_six_times_and_no_more);
    tcase_add_test(tcase, a_verdict_of_three_is_not_said_again);
    tcase_add_test(tcase, a_node_that_is_not_well_says_a_verdict_of_three_again_until_it_is_well);
    tcase_add_test(tcase, no_more_than_four_verdicts_of_three_are_said_again_at_once);
    tcase_add_test(tcase,
                   a_verdict_that_a_newer_record_does_not_end_is_told_to_the_accused_at_once);
    tcase_add_test(tcase, three_accusers_shorten_it_from_the_first_on);
    tcase_add_test(tcase, a_third_accuser_that_comes_late_ends_it_at_once);
    tcase_add_test(tcase, an_accuser_counts_once_and_a_fourth_changes_nothing);
    tcase_add_test(tcase, only_live_members_accuse);
    tcase_add_test(tcase, only_members_with_a_record_are_accused);
    tcase_add_test(tcase, one_accuser_has_at_most_64_under_suspicion);
    tcase_add_test(tcase, every_verdict_says_what_it_is);
    return tcase;
}

static TCase *lives(void)
{
    TCase *tcase = tcase_create("lives");

    tcase_add_test(tcase, a_newer_record_refutes_and_the_same_does_not);
    tcase_add_test(tcase, accusations_of_a_newer_version_outlive_a_record_between);
    tcase_add_test(tcase, fewer_accusers_give_more_time);
    tcase_add_test(tcase, a_version_that_is_not_held_convicts_nobody);
    tcase_add_test(tcase, an_accusation_that_came_before_its_record_counts_when_that_is_held);
    tcase_add_test(tcase, who_is_dead_and_says_so_anew_lives_whatever_else_was_said);
    tcase_add_test(tcase, who_convicts_takes_the_place_of_who_does_not);
    tcase_add_test(tcase, whoever_answered_and_then_fell_silent_is_dead_all_the_same);
    tcase_add_test(tcase, the_link_of_a_member_that_stays_dead_is_hung_up);
    tcase_add_test(tcase, who_died_lately_is_dialled_soon_and_who_is_long_dead_seldom);
    tcase_add_test(tcase, a_newer_record_brings_the_dead_back);
    tcase_add_test(tcase, our_own_false_alarm_is_counted);
    tcase_add_loop_test(tcase, a_handshake_is_proof_of_life_and_tells_the_accused, 0, 2);
    tcase_add_test(tcase, what_the_accused_is_told_are_the_bytes_that_came);
    tcase_add_test(tcase, a_dead_member_that_speaks_over_its_link_lives);
    tcase_add_test(tcase, a_neighbour_that_answers_us_does_not_die_by_others_word);
    tcase_add_test(tcase, an_accused_neighbour_is_probed_at_once_and_accused_if_it_is_silent);
    tcase_add_test(tcase, who_is_no_neighbour_of_the_accused_confirms_nothing);
    tcase_add_test(tcase, the_accused_is_told_first);
    tcase_add_test(tcase, ones_own_goes_to_all_and_anothers_to_a_budget_but_not_back);
    tcase_add_test(tcase, an_accusation_of_this_node_is_refuted_at_once_and_costs_health);
    tcase_add_test(tcase, who_finds_an_eighth_of_the_network_alive_again_says_its_record_anew);
    tcase_add_test(tcase, who_finds_them_one_after_the_other_does_not);
    tcase_add_test(tcase, one_that_restarts_heals_nothing_however_few_there_are);
    tcase_add_test(tcase, it_is_said_at_most_every_half_a_minute);
    tcase_add_test(tcase, refutations_come_at_most_once_a_second);
    tcase_add_test(tcase, a_version_that_was_never_published_is_refuted_but_not_outbid);
    tcase_add_test(tcase, who_left_is_not_accused_dialled_or_counted_and_may_come_back);
    tcase_add_test(tcase, one_that_is_first_heard_of_as_gone_is_gone);
    tcase_add_test(tcase, one_that_stopped_for_a_while_is_dialled_seldom_and_for_ever);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("gossip_suspicion");
    TCase *tcases[] = {states(), lives()};

    for (size_t i = 0; i < sizeof tcases / sizeof *tcases; i++) {
        tcase_add_checked_fixture(tcases[i], bed_begin, bed_end);
        suite_add_tcase(suite, tcases[i]);
    }
    return bed_run(suite);
}
