/* Members, links and dials; probes are in test_gossip_probe.c, accusations in
 * test_gossip_suspicion.c, many machines at once in test_membership.c. */
#include "gossip_bed.h"

/* ---- learning and forgetting ---- */

START_TEST(a_learned_node_is_dialled_at_once)
{
    struct gossip_dial dialled;

    ck_assert(learn(1));
    expect_dial(1, &dialled);
    ck_assert_str_eq(dialled.address, "host-1:7777");
    ck_assert(dialled.session_key_known);
    ck_assert_uint_eq(dialled.session_key[0], 1);
    ck_assert_uint_eq(count_said(GOSSIP_CHANGED, 1), 1);
    expect_nobody();
}
END_TEST

START_TEST(this_node_itself_is_neither_learned_nor_dialled)
{
    ck_assert(gossip_learn(bed.gossip, &bed.self, (struct version){1, 0}));
    ck_assert(gossip_leave(bed.gossip, &bed.self, false));
    ck_assert(gossip_add_seed(bed.gossip, bytes_of_text("a:1"), &bed.self));
    gossip_link_up(bed.gossip, &bed.self, true, bed.now_ms);
    ck_assert_uint_eq(gossip_count(bed.gossip), 0);
    ck_assert_uint_eq(gossip_links(bed.gossip), 0);
    expect_nobody();
}
END_TEST

START_TEST(an_empty_pond_has_nothing_planned)
{
    expect_nobody();
    ck_assert_uint_eq(gossip_wake_at_ms(bed.gossip), MOMENT_NEVER);
}
END_TEST

START_TEST(a_node_without_addresses_is_known_and_not_dialled_until_it_has_one)
{
    struct gossip_dial dialled;

    learn(1);
    bed.contacts[1].address_count = 0;
    expect_nobody();
    want(1);
    expect_nobody();
    ck_assert(learn(1)); /* it has one now */
    ck_assert_uint_eq(gossip_count(bed.gossip), 1);
    expect_dial(1, &dialled);
}
END_TEST

START_TEST(addresses_that_are_none_are_left_out)
{
    char longest[ADDRESS_MAX + 2];
    struct gossip_dial dialled;

    memset(longest, 'a', sizeof longest);
    learn(1);
    bed.contacts[1].addresses[0] = bytes_of(longest, ADDRESS_MAX + 1);
    bed.contacts[1].addresses[1] = bytes_of("a\0b", 3);
    bed.contacts[1].addresses[2] = bytes_of(NULL, 0);
    bed.contacts[1].addresses[3] = bytes_of(longest, ADDRESS_MAX);
    bed.contacts[1].address_count = 4;
    expect_dial(1, &dialled);
    ck_assert_uint_eq(strlen(dialled.address), ADDRESS_MAX);
    ck_assert(!gossip_add_seed(bed.gossip, bytes_of(longest, ADDRESS_MAX + 1), NULL));
    ck_assert(!gossip_add_seed(bed.gossip, bytes_of(NULL, 0), NULL));
    ck_assert(gossip_add_seed(bed.gossip, bytes_of(longest, ADDRESS_MAX), NULL));
}
END_TEST

START_TEST(a_forgotten_node_is_gone)
{
    struct id id = id_number(1);
    struct gossip_member first;

    learn_many(3);
    gossip_forget(bed.gossip, &id);
    gossip_forget(bed.gossip, &id);
    ck_assert(!is_known(1));
    ck_assert(is_known(2));
    ck_assert_uint_eq(gossip_count(bed.gossip), 2);
    gossip_at(bed.gossip, 1, &first);
    ck_assert_uint_eq(number_of(&first.node), 2);
}
END_TEST

START_TEST(a_forgotten_node_stays_as_long_as_its_link)
{
    struct id id = id_number(1);

    learn(1);
    up(1);
    bed.recorded[1] = false;
    gossip_forget(bed.gossip, &id);
    ck_assert(gossip_is_linked(bed.gossip, &id));
    ck_assert_uint_eq(gossip_live(bed.gossip), 0);
    down(1);
    ck_assert(!is_known(1));
    expect_nobody();
}
END_TEST

START_TEST(a_seed_is_never_forgotten)
{
    struct id id = id_number(1);
    struct gossip_dial dialled;

    ck_assert(gossip_add_seed(bed.gossip, bytes_of_text("seed:1"), &id));
    learn(1);
    bed.recorded[1] = false;
    gossip_forget(bed.gossip, &id);
    ck_assert(member(1).seed);
    expect_dial(1, &dialled);
    ck_assert_str_eq(dialled.address, "seed:1");
    ck_assert(!dialled.session_key_known);
}
END_TEST

/* The index survives any order of coming and going. */
START_TEST(whoever_is_known_is_found)
{
    bool known[BED_NODES] = {false};
    struct dice dice;

    dice_init_number(&dice, 1);
    for (int i = 0; i < 20000; i++) {
        uint32_t number = (uint32_t)dice_below(&dice, BED_NODES);
        struct id id = id_number(number);

        if (known[number])
            gossip_forget(bed.gossip, &id);
        else
            ck_assert(learn(number));
        known[number] = !known[number];
        number = (uint32_t)dice_below(&dice, BED_NODES);
        ck_assert_int_eq(is_known(number), known[number]);
        settle();
        forget_said();
    }
    for (uint32_t i = 0; i < BED_NODES; i++)
        ck_assert_int_eq(is_known(i), known[i]);
}
END_TEST

START_TEST(a_member_that_is_merely_alive_costs_48_bytes)
{
    size_t empty, counts[] = {1000, 10000};

    for (size_t run = 0; run < 2; run++) {
        gossip_free(bed.gossip);
        bed_begin_with(1, NODES_MAX);
        settle();
        empty = gossip_memory_bytes(bed.gossip);
        for (uint32_t i = 0; i < counts[run]; i++) {
            struct id id = id_number(i);

            ck_assert(gossip_learn(bed.gossip, &id, (struct version){1, 0}));
            settle();
            forget_said();
        }
        ck_assert_uint_le(gossip_memory_bytes(bed.gossip) - empty,
                          counts[run] * GOSSIP_MEMBER_BYTES_MAX);
    }
}
END_TEST

/* ---- bounds ---- */

START_TEST(a_full_table_refuses_strangers)
{
    learn_many(BED_NODES);
    ck_assert(!learn(BED_NODES));
    ck_assert(learn(BED_NODES - 1)); /* known: no news */
    ck_assert_uint_eq(gossip_count(bed.gossip), BED_NODES);
}
END_TEST

START_TEST(a_seed_and_a_link_take_the_place_of_a_stranger)
{
    struct id id = id_number(BED_NODES);

    learn_many(BED_NODES);
    ck_assert(gossip_add_seed(bed.gossip, bytes_of_text("seed:1"), &id));
    up(BED_NODES + 1);
    ck_assert_uint_eq(gossip_count(bed.gossip), BED_NODES);
    ck_assert(member(BED_NODES).seed);
    ck_assert(member(BED_NODES + 1).linked);
}
END_TEST

START_TEST(a_table_full_of_links_takes_no_other)
{
    gossip_free(bed.gossip);
    bed_begin_with(1, 2);
    up(1);
    up(2);
    up(3); /* no place: not counted, not followed */
    ck_assert_uint_eq(gossip_links(bed.gossip), 2);
    ck_assert(!is_known(3));
    ck_assert_uint_eq(gossip_count(bed.gossip), 2);
}
END_TEST

START_TEST(there_are_at_most_64_seeds)
{
    for (uint32_t i = 0; i < GOSSIP_SEEDS_MAX; i++)
        ck_assert(gossip_add_seed(bed.gossip, address_number(i), NULL));
    ck_assert(gossip_add_seed(bed.gossip, address_number(0), NULL)); /* named before */
    ck_assert(!gossip_add_seed(bed.gossip, address_number(GOSSIP_SEEDS_MAX), NULL));
}
END_TEST

START_TEST(the_operators_addresses_come_first_and_eight_are_tried)
{
    struct id id = id_number(1);
    struct gossip_dial dialled;

    for (uint32_t i = 0; i < 5; i++)
        ck_assert(gossip_add_seed(bed.gossip, address_number(100 + i), &id));
    learn(1);
    for (uint32_t i = 0; i < NODE_ADDRESSES_MAX; i++)
        bed.contacts[1].addresses[i] = address_number(i);
    bed.contacts[1].address_count = NODE_ADDRESSES_MAX;
    for (uint32_t i = 0; i < 16; i++) {
        char expected[32];

        snprintf(expected, sizeof expected, "host-%u:7777", i % 8 < 5 ? 100 + i % 8 : i % 8 - 5);
        settle();
        ck_assert(dial(&dialled));
        ck_assert_str_eq(dialled.address, expected);
        fail_dial(&dialled);
        pass(DIAL_FIRST_MS * 2);
    }
}
END_TEST

/* Then few are all linked. */
static void nobody_comes(void)
{
    expect_nobody();
    bed.now_ms += GOSSIP_MESH_AFTER_MS;
}

START_TEST(at_most_sixteen_are_dialled_at_once)
{
    struct gossip_dial dialled;

    learn_many(FULL_MESH_NODES_MAX);
    for (uint32_t i = 0; i < GOSSIP_DIALS_MAX; i++) {
        if (i == LINKS_CHOSEN)
            nobody_comes();
        ck_assert(dial(&dialled));
    }
    expect_nobody();
    up_dialled(number_of(&dialled.node));
    ck_assert(dial(&dialled));
    expect_nobody();
    fail_dial(&dialled);
    ck_assert(dial(&dialled));
    expect_nobody();
}
END_TEST

/* ---- whom to dial ---- */

static size_t dial_all(void)
{
    struct gossip_dial dialled;
    size_t dials = 0;

    settle();
    for (; dial(&dialled); dials++)
        up_dialled(number_of(&dialled.node));
    nobody_comes();
    for (; dial(&dialled); dials++)
        up_dialled(number_of(&dialled.node));
    return dials;
}

/* _i: how many other nodes there are. */
START_TEST(up_to_twenty_nodes_are_all_linked_and_of_more_four_are_chosen)
{
    size_t expected = _i <= (int)FULL_MESH_NODES_MAX ? (size_t)_i : LINKS_CHOSEN;

    learn_many((uint32_t)_i);
    ck_assert_uint_eq(dial_all(), expected);
    ck_assert_uint_eq(gossip_links(bed.gossip), expected);
}
END_TEST

START_TEST(while_a_group_forms_only_the_chosen_are_dialled)
{
    struct gossip_dial dialled;

    for (uint32_t i = 0; i < FULL_MESH_NODES_MAX; i++) {
        learn(i);
        while (dial(&dialled))
            up_dialled(number_of(&dialled.node));
        bed.now_ms += GOSSIP_MESH_AFTER_MS - 1;
    }
    ck_assert_uint_eq(gossip_links(bed.gossip), LINKS_CHOSEN);
    expect_nobody();
    ck_assert_uint_eq(gossip_wake_at_ms(bed.gossip), bed.now_ms + 1);
    bed.now_ms++;
    while (dial(&dialled))
        up_dialled(number_of(&dialled.node));
    ck_assert_uint_eq(gossip_links(bed.gossip), FULL_MESH_NODES_MAX);
}
END_TEST

START_TEST(whoever_dials_us_does_not_count_as_chosen)
{
    learn_many(100);
    for (uint32_t i = 0; i < 30; i++)
        up(i);
    ck_assert_uint_eq(dial_all(), LINKS_CHOSEN);
    for (uint32_t i = 0; i < 30; i++)
        ck_assert(!member(i).chosen);
}
END_TEST

START_TEST(a_chosen_link_that_went_down_is_replaced_at_once)
{
    struct gossip_dial dialled;
    uint32_t lost = 0;

    learn_many(100);
    dial_all();
    while (!member(lost).linked)
        lost++;
    pass(GOSSIP_SETTLED_MS);
    goodbye(lost);
    settle();
    ck_assert(dial(&dialled));
    expect_nobody();
}
END_TEST

START_TEST(who_is_wanted_is_dialled_beyond_the_chosen)
{
    struct gossip_dial dialled;

    learn_many(100);
    dial_all();
    for (uint32_t i = 0; i < 100; i++)
        if (!member(i).linked) {
            want(i);
            ck_assert(member(i).wanted);
            expect_dial(i, &dialled);
            up_dialled(i);
            ck_assert(!member(i).wanted);
            ck_assert(!member(i).chosen);
            expect_nobody();
            return;
        }
}
END_TEST

START_TEST(who_is_wanted_is_dialled_though_no_link_is_free)
{
    struct gossip_dial dialled;

    learn_many(BED_NODES);
    for (uint32_t i = 0; i < ACTIVE_LINKS_MAX; i++)
        up(i);
    expect_nobody();
    want(100);
    expect_dial(100, &dialled);
}
END_TEST

START_TEST(who_is_wanted_goes_first)
{
    struct gossip_dial dialled;

    learn_many(FULL_MESH_NODES_MAX);
    want(15);
    expect_dial(15, &dialled);
}
END_TEST

START_TEST(the_order_is_chance_and_the_same_dice_choose_alike)
{
    static const uint8_t seeds[3] = {1, 1, 2};
    uint32_t orders[3][4];

    for (size_t run = 0; run < 3; run++) {
        struct gossip_dial dialled;

        gossip_free(bed.gossip);
        bed_begin_with(seeds[run], BED_NODES);
        learn_many(BED_NODES);
        for (size_t i = 0; i < 4; i++) {
            ck_assert(dial(&dialled));
            orders[run][i] = number_of(&dialled.node);
            up_dialled(orders[run][i]);
        }
    }
    ck_assert_mem_eq(orders[0], orders[1], sizeof orders[0]);
    ck_assert_mem_ne(orders[0], orders[2], sizeof orders[0]);
}
END_TEST

/* ---- when ---- */

/* Lets the next dial fail; returns the wait until the one after. */
static uint64_t wait_after_failure(void)
{
    struct gossip_dial dialled;
    uint64_t began_ms;

    settle();
    while (!dial(&dialled))
        pass(gossip_wake_at_ms(bed.gossip) - bed.now_ms);
    began_ms = bed.now_ms;
    fail_dial(&dialled);
    pass(0);
    while (!dial(&dialled))
        pass(gossip_wake_at_ms(bed.gossip) - bed.now_ms);
    return bed.now_ms - began_ms;
}

/* One seed: nothing but its own back-off plans anything. */
START_TEST(each_failure_doubles_the_wait_up_to_five_minutes_and_for_ever)
{
    struct id id = id_number(1);
    uint64_t most_ms = DIAL_FIRST_MS;
    struct gossip_dial dialled;

    gossip_add_seed(bed.gossip, bytes_of_text("seed:1"), &id);
    settle();
    ck_assert(dial(&dialled));
    for (int i = 0; i < 1000; i++) {
        uint64_t failed_ms = bed.now_ms;

        fail_dial(&dialled);
        ck_assert(!dial(&dialled));
        bed.now_ms = gossip_wake_at_ms(bed.gossip);
        ck_assert_uint_ge(bed.now_ms - failed_ms, most_ms / 2);
        ck_assert_uint_le(bed.now_ms - failed_ms, most_ms);
        most_ms = most_ms * 2 < DIAL_MAX_MS ? most_ms * 2 : DIAL_MAX_MS;
        bed.now_ms--;
        ck_assert(!dial(&dialled));
        bed.now_ms++;
        ck_assert(dial(&dialled));
    }
    ck_assert_uint_eq(most_ms, DIAL_MAX_MS);
}
END_TEST

START_TEST(a_dead_member_is_dialled_for_ever)
{
    learn(1);
    pass_unreached(MINUTE_MS);
    ck_assert_int_eq(member(1).state, GOSSIP_DEAD);
    pass_unreached(HOUR_MS);
    for (int i = 0; i < 100; i++)
        ck_assert_uint_le(wait_after_failure(), DIAL_MAX_MS);
}
END_TEST

START_TEST(dead_members_are_dialled_one_a_second_all_together)
{
    struct gossip_dial dialled;
    size_t dials = 0;

    learn_many(100);
    pass_unreached(2 * HOUR_MS);
    for (uint32_t i = 0; i < 100; i++)
        ck_assert_int_eq(member(i).state, GOSSIP_DEAD);
    for (int second = 0; second < 60; second++) {
        bed.now_ms += SECOND_MS;
        for (settle(); dial(&dialled); dials++)
            fail_dial(&dialled);
    }
    ck_assert_uint_le(dials, 60);
    ck_assert_uint_gt(dials, 10);
}
END_TEST

START_TEST(of_the_dead_who_was_tried_least_is_dialled_first)
{
    struct gossip_dial dialled;

    learn_many(100);
    pass_unreached(10 * MINUTE_MS);
    for (uint32_t i = 110; i < 113; i++) {
        learn(i);
        up(i);
    }
    learn(113);
    for (uint32_t i = 110; i < 113; i++)
        accuse(i, 113);
    pass(10 * SECOND_MS);
    ck_assert_int_eq(member(113).state, GOSSIP_DEAD);
    bed.now_ms += DIAL_MAX_MS; /* all are due */
    expect_dial(113, &dialled);
}
END_TEST

START_TEST(an_address_of_no_try_fails_nobody)
{
    struct gossip_dial dialled, other;

    learn(1);
    expect_dial(1, &dialled);
    other = dialled;
    other.node = id_number(2);
    fail_dial(&other);
    gossip_dial_failed(bed.gossip, &dialled.node, bytes_of_text("elsewhere:1"), bed.now_ms);
    ck_assert(member(1).dialling);
    fail_dial(&dialled);
    fail_dial(&dialled); /* told twice: counted once */
    ck_assert_uint_eq(member(1).attempts, 1);
}
END_TEST

START_TEST(a_dial_that_nobody_spoke_of_again_is_over_after_20_s)
{
    struct gossip_dial dialled;

    learn(1);
    expect_dial(1, &dialled);
    expect_nobody();
    ck_assert_uint_eq(gossip_wake_at_ms(bed.gossip), bed.now_ms + GOSSIP_ANSWER_WITHIN_MS);
    bed.now_ms += GOSSIP_ANSWER_WITHIN_MS - 1;
    expect_nobody();
    ck_assert(member(1).dialling);
    bed.now_ms++;
    expect_nobody();
    ck_assert(!member(1).dialling);
    ck_assert_uint_eq(member(1).attempts, 1);
}
END_TEST

START_TEST(who_is_wanted_is_dialled_at_once_and_every_five_seconds)
{
    struct gossip_dial dialled;

    learn(1);
    pass_unreached(HOUR_MS);
    want(1);
    expect_dial(1, &dialled);
    fail_dial(&dialled);
    for (int i = 0; i < 4; i++) {
        want(1); /* asked for again: no reason to hurry more */
        expect_nobody();
        ck_assert_uint_le(wait_after_failure(), DIAL_EAGER_MAX_MS);
        want(1);
    }
}
END_TEST

START_TEST(who_is_not_asked_for_any_more_is_not_wanted)
{
    learn(1);
    want(1);
    pass_unreached(GOSSIP_WANTED_MS - 1);
    ck_assert(member(1).wanted);
    pass_unreached(DIAL_EAGER_MAX_MS + 1);
    ck_assert(!member(1).wanted);
}
END_TEST

START_TEST(a_stranger_is_not_wanted)
{
    want(1);
    ck_assert_uint_eq(gossip_count(bed.gossip), 0);
    expect_nobody();
}
END_TEST

START_TEST(a_new_record_brings_a_dial_forward_but_not_oftener_than_every_minute)
{
    struct gossip_dial dialled;
    uint64_t tried_ms;

    learn(1);
    pass_unreached(HOUR_MS);
    settle();
    while (!dial(&dialled))
        pass(gossip_wake_at_ms(bed.gossip) - bed.now_ms);
    tried_ms = bed.now_ms;
    fail_dial(&dialled);
    learn_at(1, bytes_of_text("moved:1"));
    settle();
    bed.now_ms = tried_ms + GOSSIP_REDIAL_MS - 1;
    expect_nobody();
    bed.now_ms++;
    expect_dial(1, &dialled);
    ck_assert_str_eq(dialled.address, "moved:1");
}
END_TEST

/* ---- links ---- */

START_TEST(links_are_counted_from_both_sides_and_told_once)
{
    struct id nodes[4];
    struct gossip_dial dialled;

    learn(1);
    learn(2);
    up(3); /* it dialled us; its record is not known yet */
    up(3);
    ck_assert(dial(&dialled));
    ck_assert(dial(&dialled));
    up(1); /* whoever dialled whom */
    ck_assert_uint_eq(gossip_links(bed.gossip), 2);
    ck_assert_uint_eq(gossip_linked(bed.gossip, nodes, 4), 2);
    ck_assert_uint_eq(gossip_linked(bed.gossip, nodes, 1), 1);
    ck_assert(member(1).linked && member(3).linked && !member(2).linked);
    ck_assert(!member(3).recorded);
    ck_assert_uint_eq(gossip_live(bed.gossip), 2);
    down(2);
    ck_assert_uint_eq(gossip_links(bed.gossip), 2);
    down(1);
    down(1);
    ck_assert_uint_eq(gossip_links(bed.gossip), 1);
    ck_assert_uint_eq(gossip_linked(bed.gossip, nodes, 4), 1);
    ck_assert_uint_eq(number_of(&nodes[0]), 3);
}
END_TEST

START_TEST(a_link_is_drawn_by_chance_and_never_the_excepted_one)
{
    size_t drawn[4] = {0};
    struct id node, except = id_number(0);

    ck_assert(!gossip_draw_link(bed.gossip, &except, &node));
    learn_many(4);
    up(0);
    ck_assert(!gossip_draw_link(bed.gossip, &except, &node));
    for (uint32_t i = 1; i < 4; i++)
        up(i);
    for (int i = 0; i < 300; i++) {
        ck_assert(gossip_draw_link(bed.gossip, &except, &node));
        drawn[number_of(&node)]++;
    }
    ck_assert_uint_eq(drawn[0], 0);
    for (int i = 1; i < 4; i++)
        ck_assert_uint_gt(drawn[i], 60);
}
END_TEST

START_TEST(the_neighbour_that_was_compared_with_longest_ago_is_named)
{
    struct id node, first = id_number(0), second = id_number(1);

    ck_assert(!gossip_uncompared(bed.gossip, bed.now_ms, &node));
    learn_many(3);
    up(0);
    up(1);
    gossip_note_compared(bed.gossip, &first, bed.now_ms);
    gossip_note_compared(bed.gossip, &second, bed.now_ms + 1);
    ck_assert(!gossip_uncompared(bed.gossip, bed.now_ms + SUMS_LINK_MS - 1, &node));
    ck_assert(gossip_uncompared(bed.gossip, bed.now_ms + SUMS_LINK_MS + 1, &node));
    ck_assert_uint_eq(number_of(&node), 0);
    gossip_note_compared(bed.gossip, &first, bed.now_ms + SUMS_LINK_MS);
    ck_assert(gossip_uncompared(bed.gossip, bed.now_ms + SUMS_LINK_MS + 1, &node));
    ck_assert_uint_eq(number_of(&node), 1);
    down(1);
    ck_assert(!gossip_uncompared(bed.gossip, bed.now_ms + SUMS_LINK_MS + 1, &node));
}
END_TEST

START_TEST(who_is_linked_is_not_dialled)
{
    learn(1);
    up(1);
    want(1);
    learn_at(1, bytes_of_text("moved:1"));
    ck_assert(!member(1).wanted);
    expect_nobody();
}
END_TEST

START_TEST(a_link_that_broke_is_dialled_within_a_tenth_of_a_second)
{
    uint64_t at_ms;
    struct gossip_dial dialled;

    learn(1);
    up(1);
    pass(GOSSIP_SETTLED_MS);
    at_ms = bed.now_ms;
    down(1);
    settle();
    while (!dial(&dialled))
        pass(gossip_wake_at_ms(bed.gossip) - bed.now_ms);
    ck_assert_uint_le(bed.now_ms - at_ms, GOSSIP_LOST_JITTER_MS);
}
END_TEST

START_TEST(a_link_that_does_not_hold_is_dialled_ever_more_seldom)
{
    struct gossip_dial dialled;

    learn(1);
    learn(2);
    up(2);
    settle();
    ck_assert(dial(&dialled));
    for (int i = 0; i < 12; i++) {
        up_dialled(1);
        pass(GOSSIP_SETTLED_MS - 1);
        goodbye(1);
        settle();
        while (!dial(&dialled))
            pass(gossip_wake_at_ms(bed.gossip) - bed.now_ms);
    }
    ck_assert_uint_eq(member(1).attempts, 12);
}
END_TEST

START_TEST(a_link_hung_up_on_is_no_suspicion_and_is_not_dialled_among_many)
{
    struct gossip_dial dialled;

    learn_many(100);
    dial_all();
    for (uint32_t i = 50; i < 100; i++)
        if (!member(i).linked) {
            up(i);
            pass(GOSSIP_SETTLED_MS);
            goodbye(i);
            pass(5 * SECOND_MS);
            ck_assert(!dial(&dialled));
            ck_assert_int_eq(member(i).state, GOSSIP_ALIVE);
            ck_assert_uint_eq(count_said(GOSSIP_ACCUSE, i), 0);
            return;
        }
}
END_TEST

/* Else who surrounds us, and says that it lives, keeps us apart for minutes. */
START_TEST(a_living_member_whose_link_broke_is_dialled_though_enough_are_chosen)
{
    uint32_t lost = 0, attempts = 0;

    learn_many(100);
    dial_all();
    while (member(lost).linked)
        lost++;
    up(lost);
    pass(GOSSIP_SETTLED_MS);
    down(lost);
    for (int second = 0; second < 2 * 60; second++) {
        if (second == 60)
            attempts = member(lost).attempts;
        pass_unreached(SECOND_MS);
        ck_assert_int_ne(member(lost).state, GOSSIP_DEAD);
        if (member(lost).state == GOSSIP_SUSPECT) {
            bed.versions[lost]++;
            learn(lost);
        }
    }
    ck_assert_uint_ge(member(lost).attempts,
                      attempts + 60 * SECOND_MS / (120 * SECOND_MS / GOSSIP_AWAY_DIALS_PER_AGE));
}
END_TEST

/* ---- hanging up ---- */

static uint32_t link_spare(void)
{
    struct gossip_dial dialled;

    learn_many(100);
    dial_all();
    for (uint32_t i = 0;; i++)
        if (!member(i).linked) {
            want(i);
            expect_dial(i, &dialled);
            up_dialled(i);
            return i;
        }
}

START_TEST(a_spare_link_closes_a_minute_after_it_was_of_use)
{
    uint32_t spare = link_spare();

    pass(GOSSIP_WANTED_MS - SECOND_MS);
    ck_assert_uint_eq(count_kind(GOSSIP_HANG_UP), 0); /* pecks may still want it */
    want(spare);
    pass(GOSSIP_WANTED_MS - SECOND_MS);
    ck_assert_uint_eq(count_kind(GOSSIP_HANG_UP), 0);
    pass(3 * SECOND_MS);
    ck_assert_uint_eq(count_kind(GOSSIP_HANG_UP), 1);
    ck_assert_uint_eq(count_said(GOSSIP_HANG_UP, spare), 1);
    goodbye(spare);
    pass(SECOND_MS);
    ck_assert_uint_eq(count_said(GOSSIP_ACCUSE, spare), 0);
}
END_TEST

START_TEST(a_link_that_did_not_go_down_counts_again)
{
    uint32_t spare = link_spare();
    struct id id = id_number(spare);

    pass(GOSSIP_WANTED_MS + 2 * SECOND_MS);
    ck_assert_uint_eq(count_said(GOSSIP_HANG_UP, spare), 1);
    ck_assert(!gossip_is_linked(bed.gossip, &id));
    pass(GOSSIP_HANG_UP_WITHIN_MS - 3 * SECOND_MS);
    ck_assert(!gossip_is_linked(bed.gossip, &id));
    pass(4 * SECOND_MS);
    ck_assert(gossip_is_linked(bed.gossip, &id));
}
END_TEST

START_TEST(few_nodes_keep_all_their_links)
{
    learn_many(FULL_MESH_NODES_MAX);
    dial_all();
    pass(10 * MINUTE_MS);
    ck_assert_uint_eq(count_kind(GOSSIP_HANG_UP), 0);
    ck_assert_uint_eq(gossip_links(bed.gossip), FULL_MESH_NODES_MAX);
}
END_TEST

START_TEST(when_few_become_many_what_is_spare_closes_and_four_stay)
{
    size_t kept = 0;

    learn_many(FULL_MESH_NODES_MAX);
    dial_all();
    learn_many(100);
    pass(90 * SECOND_MS); /* a minute idle, then one a second */
    for (uint32_t i = 0; i < FULL_MESH_NODES_MAX; i++)
        if (count_said(GOSSIP_HANG_UP, i) == 0)
            kept += member(i).chosen;
    ck_assert_uint_eq(count_kind(GOSSIP_HANG_UP), FULL_MESH_NODES_MAX - LINKS_CHOSEN);
    ck_assert_uint_eq(kept, LINKS_CHOSEN);
}
END_TEST

START_TEST(the_link_of_the_last_seed_stays)
{
    struct id id;
    uint32_t spare = link_spare();

    id = id_number(spare);
    gossip_add_seed(bed.gossip, bytes_of_text("seed:1"), &id);
    pass(3 * MINUTE_MS + 30 * SECOND_MS);
    ck_assert_uint_eq(count_said(GOSSIP_HANG_UP, spare), 0);
    ck_assert(member(spare).linked);
}
END_TEST

START_TEST(above_64_links_the_least_useful_closes_but_none_that_is_young)
{
    learn_many(BED_NODES);
    dial_all();
    for (uint32_t i = 0; gossip_links(bed.gossip) < ACTIVE_LINKS_MAX; i++)
        if (!member(i).linked) {
            pass(1);
            up(i);
        }
    pass(GOSSIP_YOUNG_MS);
    ck_assert_uint_eq(count_kind(GOSSIP_HANG_UP), 0);
    for (uint32_t i = BED_NODES; i < BED_NODES + 3; i++)
        up(i);
    pass(2 * SECOND_MS);
    ck_assert_uint_eq(count_kind(GOSSIP_HANG_UP), 3);
    for (uint32_t i = BED_NODES; i < BED_NODES + 3; i++)
        ck_assert_uint_eq(count_said(GOSSIP_HANG_UP, i), 0);
    for (uint32_t i = 0; i < BED_NODES; i++)
        if (is_known(i) && member(i).chosen)
            ck_assert_uint_eq(count_said(GOSSIP_HANG_UP, i), 0);
}
END_TEST

START_TEST(now_and_then_a_chosen_link_is_traded_make_before_break)
{
    struct gossip_dial dialled;

    learn_many(100);
    dial_all();
    pass(GOSSIP_TRADE_MS / 2 - SECOND_MS);
    settle();
    ck_assert(!dial(&dialled));
    pass(GOSSIP_TRADE_MS / 2 + 2 * SECOND_MS);
    ck_assert_uint_eq(count_kind(GOSSIP_HANG_UP), 0); /* not before the other is up */
    ck_assert(dial(&dialled));
    up_dialled(number_of(&dialled.node));
    ck_assert(member(number_of(&dialled.node)).chosen);
    pass(2 * SECOND_MS);
    ck_assert_uint_eq(count_kind(GOSSIP_HANG_UP), 1);
    ck_assert_uint_eq(count_said(GOSSIP_HANG_UP, number_of(&dialled.node)), 0);
}
END_TEST

/* ---- seeds ---- */

START_TEST(a_seed_without_an_id_is_dialled_for_whoever_answers)
{
    struct gossip_dial dialled;

    ck_assert(gossip_add_seed(bed.gossip, bytes_of_text("seed:1"), NULL));
    ck_assert(dial(&dialled));
    ck_assert(id_is_zero(&dialled.node));
    ck_assert(!dialled.session_key_known);
    ck_assert_str_eq(dialled.address, "seed:1");
    fail_dial(&dialled);
    expect_nobody();
    ck_assert_uint_le(gossip_wake_at_ms(bed.gossip), bed.now_ms + DIAL_FIRST_MS);
}
END_TEST

START_TEST(seeds_are_named_once)
{
    struct id id = id_number(1);
    struct gossip_dial dialled;
    size_t dials = 0;

    ck_assert(gossip_add_seed(bed.gossip, bytes_of_text("seed:1"), NULL));
    ck_assert(gossip_add_seed(bed.gossip, bytes_of_text("seed:1"), NULL));
    ck_assert(gossip_add_seed(bed.gossip, bytes_of_text("seed:1"), &id)); /* by name now */
    ck_assert(gossip_add_seed(bed.gossip, bytes_of_text("seed:1"), &id));
    ck_assert_uint_eq(gossip_count(bed.gossip), 1);
    for (; dial(&dialled); dials++)
        ck_assert_uint_eq(number_of(&dialled.node), 1);
    ck_assert_uint_eq(dials, 1);
}
END_TEST

START_TEST(a_seed_with_an_id_is_dialled_until_it_answered_then_it_is_a_member_like_others)
{
    struct id id = id_number(1);
    struct gossip_dial dialled;

    learn_many(100);
    dial_all();
    settle();
    for (uint32_t i = 1; member(i).linked; i++)
        id = id_number(i + 1);
    gossip_add_seed(bed.gossip, bytes_of_text("seed:1"), &id);
    expect_dial(number_of(&id), &dialled);
    up_dialled(number_of(&id));
    pass(GOSSIP_SETTLED_MS);
    goodbye(number_of(&id));
    pass(10 * SECOND_MS);
    ck_assert(!dial(&dialled));
}
END_TEST

static bool answer(const char *address, uint32_t number)
{
    struct id id = id_number(number);

    return gossip_answered(bed.gossip, bytes_of_text(address), &id);
}

START_TEST(a_seed_that_answered_has_an_id_from_then_on)
{
    struct gossip_dial dialled;

    gossip_add_seed(bed.gossip, bytes_of_text("seed:1"), NULL);
    ck_assert(!answer("seed:2", 1));
    ck_assert(dial(&dialled));
    learn(1);
    up_dialled(1);
    ck_assert(answer("seed:1", 1));
    ck_assert(!answer("seed:1", 2)); /* it is one node's now */
    ck_assert(member(1).seed);
    for (int i = 0; i < 4; i++) {
        pass(DIAL_MAX_MS);
        forget_said();
        expect_nobody(); /* while it is linked */
    }
    goodbye(1);
    pass(MINUTE_MS);
    expect_dial(1, &dialled);
    ck_assert_str_eq(dialled.address, "seed:1");
}
END_TEST

/* Its record ended in a long partition: nothing else leads back to it. */
START_TEST(a_seed_whose_node_was_forgotten_is_dialled_though_other_links_are_left)
{
    struct id forgotten = id_number(1);
    struct gossip_dial dialled;

    gossip_add_seed(bed.gossip, bytes_of_text("seed:1"), NULL);
    ck_assert(dial(&dialled));
    learn(1);
    up_dialled(1);
    answer("seed:1", 1);
    learn(2);
    up(2);
    goodbye(1);
    bed.recorded[1] = false;
    gossip_forget(bed.gossip, &forgotten);
    for (int tries = 0; tries < 3; tries++) {
        pass(2 * DIAL_MAX_MS);
        forget_said();
        expect_dial(1, &dialled);
        ck_assert_str_eq(dialled.address, "seed:1");
        fail_dial(&dialled);
    }
}
END_TEST

/* Among many nodes few are linked, and none of them is its. */
START_TEST(a_seed_that_never_answered_is_dialled_for_ever)
{
    struct gossip_dial dialled;

    learn(2);
    up(2);
    gossip_add_seed(bed.gossip, bytes_of_text("seed:1"), NULL);
    for (int tries = 0; tries < 20; tries++) {
        ck_assert(dial(&dialled));
        ck_assert(id_is_zero(&dialled.node));
        fail_dial(&dialled);
        expect_nobody();
        pass(DIAL_MAX_MS);
        forget_said();
    }
}
END_TEST

START_TEST(a_seed_that_lost_its_id_is_asked_again_who_it_is)
{
    struct id old = id_number(1);
    struct gossip_dial dialled;

    gossip_add_seed(bed.gossip, bytes_of_text("seed:1"), &old);
    expect_dial(1, &dialled);
    fail_dial(&dialled);
    gossip_unname_seed(bed.gossip, bytes_of_text("seed:1"), &old);
    ck_assert(dial(&dialled));
    ck_assert(id_is_zero(&dialled.node));
    ck_assert_str_eq(dialled.address, "seed:1");
    learn(2);
    up_dialled(2);
    ck_assert(answer("seed:1", 2));
    ck_assert(!member(1).seed);
}
END_TEST

START_TEST(a_seed_whose_link_went_down_at_once_has_not_answered)
{
    struct gossip_dial dialled;

    gossip_add_seed(bed.gossip, bytes_of_text("seed:1"), NULL);
    up(2);
    ck_assert(dial(&dialled));
    up(1);
    pass(1);
    down(1);
    pass(GOSSIP_ANSWER_WITHIN_MS);
    expect_nobody();
    pass(DIAL_FIRST_MS);
    ck_assert(dial(&dialled));
    ck_assert(id_is_zero(&dialled.node));
}
END_TEST

START_TEST(who_only_claims_a_seeds_address_does_not_take_its_place)
{
    struct gossip_dial dialled;

    gossip_add_seed(bed.gossip, bytes_of_text("seed:1"), NULL);
    learn_at(1, bytes_of_text("seed:1")); /* known, not linked */
    ck_assert(dial(&dialled));
    ck_assert(id_is_zero(&dialled.node));
    ck_assert(dial(&dialled));
    ck_assert_uint_eq(number_of(&dialled.node), 1);
}
END_TEST

static TCase *members(void)
{
    TCase *tcase = tcase_create("members");

    tcase_add_test(tcase, a_learned_node_is_dialled_at_once);
    tcase_add_test(tcase, this_node_itself_is_neither_learned_nor_dialled);
    tcase_add_test(tcase, an_empty_pond_has_nothing_planned);
    tcase_add_test(tcase, a_node_without_addresses_is_known_and_not_dialled_until_it_has_one);
    tcase_add_test(tcase, addresses_that_are_none_are_left_out);
    tcase_add_test(tcase, a_forgotten_node_is_gone);
    tcase_add_test(tcase, a_forgotten_node_stays_as_long_as_its_link);
    tcase_add_test(tcase, a_seed_is_never_forgotten);
    tcase_add_test(tcase, whoever_is_known_is_found);
    tcase_add_test(tcase, a_member_that_is_merely_alive_costs_48_bytes);
    tcase_add_test(tcase, a_full_table_refuses_strangers);
    tcase_add_test(tcase, a_seed_and_a_link_take_the_place_of_a_stranger);
    tcase_add_test(tcase, a_table_full_of_links_takes_no_other);
    tcase_add_test(tcase, there_are_at_most_64_seeds);
    tcase_add_test(tcase, the_operators_addresses_come_first_and_eight_are_tried);
    tcase_add_test(tcase, a_seed_without_an_id_is_dialled_for_whoever_answers);
    tcase_add_test(tcase, seeds_are_named_once);
    tcase_add_test(tcase,
                   a_seed_with_an_id_is_dialled_until_it_answered_then_it_is_a_member_like_others);
    tcase_add_test(tcase, a_seed_that_answered_has_an_id_from_then_on);
    tcase_add_test(tcase, a_seed_that_never_answered_is_dialled_for_ever);
    tcase_add_test(tcase, a_seed_that_lost_its_id_is_asked_again_who_it_is);
    tcase_add_test(tcase, a_seed_whose_node_was_forgotten_is_dialled_though_other_links_are_left);
    tcase_add_test(tcase, a_seed_whose_link_went_down_at_once_has_not_answered);
    tcase_add_test(tcase, who_only_claims_a_seeds_address_does_not_take_its_place);
    return tcase;
}

static TCase *dials(void)
{
    TCase *tcase = tcase_create("dials");

    tcase_add_test(tcase, at_most_sixteen_are_dialled_at_once);
    tcase_add_loop_test(tcase, up_to_twenty_nodes_are_all_linked_and_of_more_four_are_chosen,
                        FULL_MESH_NODES_MAX - 1, FULL_MESH_NODES_MAX + 3);
    tcase_add_test(tcase, while_a_group_forms_only_the_chosen_are_dialled);
    tcase_add_test(tcase, whoever_dials_us_does_not_count_as_chosen);
    tcase_add_test(tcase, a_chosen_link_that_went_down_is_replaced_at_once);
    tcase_add_test(tcase, who_is_wanted_is_dialled_beyond_the_chosen);
    tcase_add_test(tcase, who_is_wanted_is_dialled_though_no_link_is_free);
    tcase_add_test(tcase, who_is_wanted_goes_first);
    tcase_add_test(tcase, the_order_is_chance_and_the_same_dice_choose_alike);
    tcase_add_test(tcase, each_failure_doubles_the_wait_up_to_five_minutes_and_for_ever);
    tcase_add_test(tcase, a_dead_member_is_dialled_for_ever);
    tcase_add_test(tcase, dead_members_are_dialled_one_a_second_all_together);
    tcase_add_test(tcase, of_the_dead_who_was_tried_least_is_dialled_first);
    tcase_add_test(tcase, an_address_of_no_try_fails_nobody);
    tcase_add_test(tcase, a_dial_that_nobody_spoke_of_again_is_over_after_20_s);
    tcase_add_test(tcase, who_is_wanted_is_dialled_at_once_and_every_five_seconds);
    tcase_add_test(tcase, who_is_not_asked_for_any_more_is_not_wanted);
    tcase_add_test(tcase, a_stranger_is_not_wanted);
    tcase_add_test(tcase, a_new_record_brings_a_dial_forward_but_not_oftener_than_every_minute);
    return tcase;
}

static TCase *links(void)
{
    TCase *tcase = tcase_create("links");

    tcase_add_test(tcase, links_are_counted_from_both_sides_and_told_once);
    tcase_add_test(tcase, a_link_is_drawn_by_chance_and_never_the_excepted_one);
    tcase_add_test(tcase, the_neighbour_that_was_compared_with_longest_ago_is_named);
    tcase_add_test(tcase, who_is_linked_is_not_dialled);
    tcase_add_test(tcase, a_link_that_broke_is_dialled_within_a_tenth_of_a_second);
    tcase_add_test(tcase, a_link_that_does_not_hold_is_dialled_ever_more_seldom);
    tcase_add_test(tcase, a_link_hung_up_on_is_no_suspicion_and_is_not_dialled_among_many);
    tcase_add_test(tcase, a_living_member_whose_link_broke_is_dialled_though_enough_are_chosen);
    tcase_add_test(tcase, a_spare_link_closes_a_minute_after_it_was_of_use);
    tcase_add_test(tcase, a_link_that_did_not_go_down_counts_again);
    tcase_add_test(tcase, few_nodes_keep_all_their_links);
    tcase_add_test(tcase, when_few_become_many_what_is_spare_closes_and_four_stay);
    tcase_add_test(tcase, the_link_of_the_last_seed_stays);
    tcase_add_test(tcase, above_64_links_the_least_useful_closes_but_none_that_is_young);
    tcase_add_test(tcase, now_and_then_a_chosen_link_is_traded_make_before_break);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("gossip");
    TCase *tcases[] = {members(), dials(), links()};

    for (size_t i = 0; i < sizeof tcases / sizeof *tcases; i++) {
        tcase_add_checked_fixture(tcases[i], bed_begin, bed_end);
        suite_add_tcase(suite, tcases[i]);
    }
    return bed_run(suite);
}
