#include "core/gossip.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define NOW_MS 1000000ull /* steady: far from zero */
#define NODES 200         /* most in a table of these tests */

static struct gossip *gossip;
static struct id self;

static struct id id_number(uint32_t number)
{
    struct id id = {.bytes = {1}};

    memcpy(id.bytes + 4, &number, sizeof number);
    return id;
}

static void begin(void)
{
    static const uint8_t seed[32] = {7};

    ck_assert_int_ge(sodium_init(), 0);
    self = id_number(UINT32_MAX);
    gossip = gossip_new(&self, NODES, seed);
}

static void end(void)
{
    gossip_free(gossip);
}

/* ---- words for the stories ---- */

static struct bytes address_number(uint32_t number)
{
    static char text[8][32];
    static size_t turn;

    turn = (turn + 1) % 8;
    snprintf(text[turn], sizeof text[turn], "host-%u:7777", number);
    return bytes_of_text(text[turn]);
}

static bool learn_at(uint32_t number, struct bytes address)
{
    struct id id = id_number(number);
    struct node_content content = {.addresses = {address}, .address_count = 1};

    memset(content.session_key, (int)number, sizeof content.session_key);
    return gossip_learn(gossip, &id, &content);
}

static bool learn(uint32_t number)
{
    return learn_at(number, address_number(number));
}

static const struct gossip_member *member(uint32_t number)
{
    struct id id = id_number(number);

    return gossip_find(gossip, &id);
}

static void up(uint32_t number, uint64_t now_ms)
{
    struct id id = id_number(number);

    gossip_link_up(gossip, &id, now_ms);
}

static void down(uint32_t number, uint64_t now_ms)
{
    struct id id = id_number(number);

    gossip_link_down(gossip, &id, now_ms);
}

static void want(uint32_t number, uint64_t now_ms)
{
    struct id id = id_number(number);

    gossip_want(gossip, &id, now_ms);
}

struct dialled {
    struct gossip_member member;
    struct bytes address;
    uint32_t number;
};

static bool dial(uint64_t now_ms, struct dialled *dialled)
{
    size_t address;

    if (!gossip_poll_dial(gossip, now_ms, &dialled->member, &address))
        return false;
    ck_assert(dialled->member.dialling);
    dialled->address = bytes_of_text(dialled->member.addresses[address]);
    memcpy(&dialled->number, dialled->member.node.bytes + 4, sizeof dialled->number);
    return true;
}

static void expect_dial(uint64_t now_ms, uint32_t number, struct dialled *dialled)
{
    ck_assert(dial(now_ms, dialled));
    ck_assert_uint_eq(dialled->number, number);
}

static void expect_nobody(uint64_t now_ms)
{
    struct dialled dialled;

    ck_assert(!dial(now_ms, &dialled));
    ck_assert_uint_gt(gossip_wake_at_ms(gossip), now_ms);
}

/* Lets the dial of one member fail again and again; returns the wait after the last. */
static uint64_t wait_after_failures(uint64_t *now_ms, int failures)
{
    struct dialled dialled;
    uint64_t wait_ms = 0;

    for (int i = 0; i < failures; i++) {
        ck_assert(dial(*now_ms, &dialled));
        gossip_dial_failed(gossip, dialled.address, *now_ms);
        expect_nobody(*now_ms);
        wait_ms = gossip_wake_at_ms(gossip) - *now_ms;
        *now_ms = gossip_wake_at_ms(gossip);
    }
    return wait_ms;
}

/* ---- learning and forgetting ---- */

START_TEST(a_learned_node_is_dialled_at_once)
{
    struct dialled dialled;

    ck_assert(learn(1));
    ck_assert_uint_le(gossip_wake_at_ms(gossip), NOW_MS);
    expect_dial(NOW_MS, 1, &dialled);
    ck_assert(bytes_equal(dialled.address, address_number(1)));
    ck_assert(dialled.member.session_key_known);
    ck_assert_uint_eq(dialled.member.session_key[0], 1);
    expect_nobody(NOW_MS);
}
END_TEST

START_TEST(this_node_itself_is_neither_learned_nor_dialled)
{
    struct node_content content = {.addresses = {bytes_of_text("a:1")}, .address_count = 1};

    ck_assert(gossip_learn(gossip, &self, &content));
    ck_assert(gossip_add_seed(gossip, bytes_of_text("a:1"), &self));
    gossip_link_up(gossip, &self, NOW_MS);
    ck_assert_uint_eq(gossip_count(gossip), 0);
    ck_assert_uint_eq(gossip_links(gossip), 0);
    expect_nobody(NOW_MS);
}
END_TEST

START_TEST(an_empty_pond_has_nothing_planned)
{
    expect_nobody(NOW_MS);
    ck_assert_uint_eq(gossip_wake_at_ms(gossip), MOMENT_NEVER);
}
END_TEST

START_TEST(a_node_without_addresses_is_known_and_not_dialled)
{
    struct id id = id_number(1);
    struct node_content content = {0};

    ck_assert(gossip_learn(gossip, &id, &content));
    want(1, NOW_MS);
    expect_nobody(NOW_MS);
    ck_assert(learn(1)); /* it has one now */
    ck_assert_uint_eq(gossip_count(gossip), 1);
    ck_assert_uint_eq(member(1)->address_count, 1);
    ck_assert_uint_le(gossip_wake_at_ms(gossip), NOW_MS);
}
END_TEST

START_TEST(addresses_that_are_none_are_left_out)
{
    char longest[ADDRESS_MAX + 2];
    struct id id = id_number(1);
    struct node_content content = {.address_count = 5};

    memset(longest, 'a', sizeof longest);
    content.addresses[0] = bytes_of(longest, ADDRESS_MAX + 1);
    content.addresses[1] = bytes_of(longest, ADDRESS_MAX);
    content.addresses[2] = bytes_of(longest, ADDRESS_MAX);
    content.addresses[3] = bytes_of("a\0b", 3);
    content.addresses[4] = bytes_of(NULL, 0);
    ck_assert(gossip_learn(gossip, &id, &content));
    ck_assert_uint_eq(member(1)->address_count, 1);
    ck_assert_uint_eq(strlen(member(1)->addresses[0]), ADDRESS_MAX);
    ck_assert(!gossip_add_seed(gossip, bytes_of(longest, ADDRESS_MAX + 1), NULL));
    ck_assert(!gossip_add_seed(gossip, bytes_of(NULL, 0), NULL));
    ck_assert(gossip_add_seed(gossip, bytes_of(longest, ADDRESS_MAX - 1), NULL));
}
END_TEST

START_TEST(a_forgotten_node_is_gone)
{
    struct id id = id_number(1);

    learn(1);
    learn(2);
    gossip_forget(gossip, &id);
    gossip_forget(gossip, &id);
    ck_assert_ptr_null(member(1));
    ck_assert_ptr_nonnull(member(2));
    ck_assert_uint_eq(gossip_count(gossip), 1);
    ck_assert(id_equal(&gossip_at(gossip, 0)->node, &member(2)->node));
}
END_TEST

START_TEST(a_forgotten_node_stays_as_long_as_its_link)
{
    struct id id = id_number(1);

    learn(1);
    up(1, NOW_MS);
    gossip_forget(gossip, &id);
    ck_assert(gossip_is_linked(gossip, &id));
    down(1, NOW_MS + 1);
    ck_assert_ptr_null(member(1));
    expect_nobody(NOW_MS + DIAL_MAX_MS);
}
END_TEST

START_TEST(a_seed_is_never_forgotten)
{
    struct id id = id_number(1);
    struct dialled dialled;

    ck_assert(gossip_add_seed(gossip, bytes_of_text("seed:1"), &id));
    learn(1);
    ck_assert_uint_eq(member(1)->address_count, 2);
    gossip_forget(gossip, &id);
    ck_assert_ptr_nonnull(member(1));
    ck_assert_uint_eq(member(1)->address_count, 1);
    ck_assert(!member(1)->session_key_known);
    expect_dial(NOW_MS, 1, &dialled);
    ck_assert(bytes_equal(dialled.address, bytes_of_text("seed:1")));
}
END_TEST

/* The index survives any order of coming and going. */
START_TEST(whoever_is_known_is_found)
{
    bool known[NODES] = {false};
    struct dice dice;

    dice_init_number(&dice, 1);
    for (int i = 0; i < 20000; i++) {
        uint32_t number = (uint32_t)dice_below(&dice, NODES);
        struct id id = id_number(number);

        if (known[number])
            gossip_forget(gossip, &id);
        else
            ck_assert(learn(number));
        known[number] = !known[number];
        number = (uint32_t)dice_below(&dice, NODES);
        ck_assert((member(number) != NULL) == known[number]);
    }
    for (uint32_t i = 0; i < NODES; i++)
        ck_assert((member(i) != NULL) == known[i]);
}
END_TEST

/* ---- bounds ---- */

START_TEST(a_full_table_refuses_strangers)
{
    for (uint32_t i = 0; i < NODES; i++)
        ck_assert(learn(i));
    ck_assert(!learn(NODES));
    ck_assert(learn(NODES - 1)); /* known: no news */
    ck_assert_uint_eq(gossip_count(gossip), NODES);
}
END_TEST

START_TEST(a_seed_and_a_link_take_the_place_of_a_stranger)
{
    struct id id = id_number(NODES);

    for (uint32_t i = 0; i < NODES; i++)
        learn(i);
    ck_assert(gossip_add_seed(gossip, bytes_of_text("seed:1"), &id));
    up(NODES + 1, NOW_MS);
    ck_assert_uint_eq(gossip_count(gossip), NODES);
    ck_assert(member(NODES)->seed);
    ck_assert(member(NODES + 1)->linked);
}
END_TEST

START_TEST(a_table_full_of_seeds_refuses_another)
{
    for (uint32_t i = 0; i < NODES; i++)
        ck_assert(gossip_add_seed(gossip, address_number(i), NULL));
    ck_assert(gossip_add_seed(gossip, address_number(0), NULL)); /* named before */
    ck_assert(!gossip_add_seed(gossip, address_number(NODES), NULL));
    up(1, NOW_MS); /* no place: not counted, not followed */
    ck_assert_uint_eq(gossip_links(gossip), 0);
    ck_assert_uint_eq(gossip_count(gossip), NODES);
}
END_TEST

START_TEST(a_node_has_at_most_eight_addresses_and_the_operators_stay)
{
    struct id id = id_number(1);
    struct node_content content = {.address_count = NODE_ADDRESSES_MAX};

    for (uint32_t i = 0; i < NODE_ADDRESSES_MAX; i++)
        content.addresses[i] = address_number(i);
    gossip_learn(gossip, &id, &content);
    ck_assert_uint_eq(member(1)->address_count, NODE_ADDRESSES_MAX);
    for (uint32_t i = 0; i < NODE_ADDRESSES_MAX; i++) {
        ck_assert(gossip_add_seed(gossip, address_number(100 + i), &id));
        ck_assert_uint_eq(member(1)->address_count, NODE_ADDRESSES_MAX);
    }
    ck_assert(!gossip_add_seed(gossip, address_number(200), &id));
    gossip_learn(gossip, &id, &content);
    ck_assert_str_eq(member(1)->addresses[0], "host-100:7777");
    ck_assert_str_eq(member(1)->addresses[7], "host-107:7777");
}
END_TEST

START_TEST(at_most_sixteen_are_dialled_at_once)
{
    struct dialled dialled;

    for (uint32_t i = 0; i < 2 * GOSSIP_DIALS_MAX; i++)
        learn(i);
    for (uint32_t i = 0; i < GOSSIP_DIALS_MAX; i++)
        ck_assert(dial(NOW_MS, &dialled));
    expect_nobody(NOW_MS);
    up(dialled.number, NOW_MS);
    ck_assert(dial(NOW_MS, &dialled));
    expect_nobody(NOW_MS);
    gossip_dial_failed(gossip, dialled.address, NOW_MS);
    ck_assert(dial(NOW_MS, &dialled));
    expect_nobody(NOW_MS);
}
END_TEST

/* ---- whom to dial ---- */

/* _i: how many nodes there are. */
START_TEST(few_nodes_are_all_dialled_and_of_many_only_so_many)
{
    struct dialled dialled;
    size_t dials = 0, expected = _i < (int)ACTIVE_LINKS_MAX ? (size_t)_i : ACTIVE_LINKS_MAX;

    for (uint32_t i = 0; i < (uint32_t)_i; i++)
        learn(i);
    for (; dial(NOW_MS, &dialled); dials++)
        up(dialled.number, NOW_MS);
    ck_assert_uint_eq(dials, expected);
    ck_assert_uint_eq(gossip_links(gossip), expected);
    ck_assert_uint_eq(gossip_wake_at_ms(gossip), MOMENT_NEVER);
}
END_TEST

START_TEST(a_link_that_goes_down_makes_room_for_another_node)
{
    struct dialled dialled;

    for (uint32_t i = 0; i <= ACTIVE_LINKS_MAX; i++)
        learn(i);
    for (uint32_t i = 0; i < ACTIVE_LINKS_MAX; i++)
        up(i, NOW_MS);
    expect_nobody(NOW_MS);
    down(3, NOW_MS + 1);
    expect_dial(NOW_MS + 1, ACTIVE_LINKS_MAX, &dialled);
}
END_TEST

START_TEST(beyond_the_active_links_who_is_wanted_is_dialled_still)
{
    struct dialled dialled;

    for (uint32_t i = 0; i < 2 * ACTIVE_LINKS_MAX; i++)
        learn(i);
    for (uint32_t i = 0; i < ACTIVE_LINKS_MAX; i++)
        up(i, NOW_MS);
    expect_nobody(NOW_MS);
    want(100, NOW_MS);
    expect_dial(NOW_MS, 100, &dialled);
    expect_nobody(NOW_MS);
}
END_TEST

START_TEST(who_is_wanted_goes_first)
{
    struct dialled dialled;

    for (uint32_t i = 0; i < 32; i++)
        learn(i);
    want(20, NOW_MS);
    ck_assert(member(20)->wanted);
    expect_dial(NOW_MS, 20, &dialled);
    up(20, NOW_MS);
    ck_assert(!member(20)->wanted);
}
END_TEST

START_TEST(the_order_is_chance_and_the_same_dice_choose_alike)
{
    static const uint8_t seeds[3][32] = {{1}, {1}, {2}};
    uint32_t orders[3][16];

    for (size_t run = 0; run < 3; run++) {
        struct dialled dialled;

        gossip_free(gossip);
        gossip = gossip_new(&self, NODES, seeds[run]);
        for (uint32_t i = 0; i < NODES; i++)
            learn(i);
        for (size_t i = 0; i < 16; i++) {
            ck_assert(dial(NOW_MS, &dialled));
            orders[run][i] = dialled.number;
            up(dialled.number, NOW_MS);
        }
    }
    ck_assert_mem_eq(orders[0], orders[1], sizeof orders[0]);
    ck_assert_mem_ne(orders[0], orders[2], sizeof orders[0]);
}
END_TEST

/* ---- when ---- */

START_TEST(each_failure_doubles_the_wait_up_to_five_minutes)
{
    uint64_t now_ms = NOW_MS, most_ms = DIAL_FIRST_MS;

    learn(1);
    for (int i = 0; i < 16; i++) {
        uint64_t wait_ms = wait_after_failures(&now_ms, 1);

        ck_assert_uint_ge(wait_ms, most_ms / 2);
        ck_assert_uint_le(wait_ms, most_ms);
        most_ms = most_ms * 2 < DIAL_MAX_MS ? most_ms * 2 : DIAL_MAX_MS;
    }
    ck_assert_uint_eq(most_ms, DIAL_MAX_MS);
    ck_assert_uint_eq(member(1)->attempts, 16);
}
END_TEST

START_TEST(nobody_is_dialled_before_its_time)
{
    struct dialled dialled;
    uint64_t wake_ms;

    learn(1);
    ck_assert(dial(NOW_MS, &dialled));
    gossip_dial_failed(gossip, dialled.address, NOW_MS);
    expect_nobody(NOW_MS);
    wake_ms = gossip_wake_at_ms(gossip);
    expect_nobody(wake_ms - 1);
    expect_dial(wake_ms, 1, &dialled);
}
END_TEST

START_TEST(the_addresses_take_turns_and_a_whole_round_doubles_the_wait)
{
    struct id id = id_number(1);
    struct node_content content = {
        .addresses = {bytes_of_text("a:1"), bytes_of_text("b:1"), bytes_of_text("c:1")},
        .address_count = 3};
    struct dialled dialled;
    uint64_t now_ms = NOW_MS;

    gossip_learn(gossip, &id, &content);
    for (size_t i = 0; i < 9; i++) {
        uint64_t most_ms = DIAL_FIRST_MS << (i / 3);

        ck_assert(dial(now_ms, &dialled));
        ck_assert(bytes_equal(dialled.address, content.addresses[i % 3]));
        gossip_dial_failed(gossip, dialled.address, now_ms);
        expect_nobody(now_ms);
        ck_assert_uint_le(gossip_wake_at_ms(gossip) - now_ms, most_ms);
        ck_assert_uint_ge(gossip_wake_at_ms(gossip) - now_ms, most_ms / 2);
        now_ms = gossip_wake_at_ms(gossip);
    }
}
END_TEST

START_TEST(an_address_of_no_try_fails_nobody)
{
    struct dialled dialled;

    learn(1);
    expect_dial(NOW_MS, 1, &dialled);
    gossip_dial_failed(gossip, bytes_of_text("elsewhere:1"), NOW_MS);
    ck_assert(member(1)->dialling);
    gossip_dial_failed(gossip, dialled.address, NOW_MS);
    gossip_dial_failed(gossip, dialled.address, NOW_MS); /* told twice: counted once */
    ck_assert_uint_eq(member(1)->attempts, 1);
}
END_TEST

START_TEST(a_dial_that_nobody_spoke_of_again_is_over_after_20_s)
{
    struct dialled dialled;

    learn(1);
    expect_dial(NOW_MS, 1, &dialled);
    expect_nobody(NOW_MS);
    ck_assert_uint_eq(gossip_wake_at_ms(gossip), NOW_MS + GOSSIP_ANSWER_WITHIN_MS);
    expect_nobody(NOW_MS + GOSSIP_ANSWER_WITHIN_MS - 1);
    ck_assert(member(1)->dialling);
    expect_nobody(NOW_MS + GOSSIP_ANSWER_WITHIN_MS);
    ck_assert(!member(1)->dialling);
    ck_assert_uint_eq(member(1)->attempts, 1);
    expect_dial(NOW_MS + GOSSIP_ANSWER_WITHIN_MS + DIAL_FIRST_MS, 1, &dialled);
}
END_TEST

START_TEST(who_is_wanted_is_dialled_at_once_and_every_five_seconds)
{
    struct dialled dialled;
    uint64_t now_ms = NOW_MS;

    learn(1);
    ck_assert_uint_gt(wait_after_failures(&now_ms, 12), MINUTE_MS);
    now_ms -= MINUTE_MS / 2;
    want(1, now_ms);
    expect_dial(now_ms, 1, &dialled);
    gossip_dial_failed(gossip, dialled.address, now_ms);
    for (int i = 0; i < 4; i++) {
        want(1, now_ms); /* asked for again: no reason to hurry more */
        expect_nobody(now_ms);
        ck_assert_uint_le(gossip_wake_at_ms(gossip), now_ms + DIAL_EAGER_MAX_MS);
        now_ms = gossip_wake_at_ms(gossip);
        expect_dial(now_ms, 1, &dialled);
        gossip_dial_failed(gossip, dialled.address, now_ms);
    }
}
END_TEST

START_TEST(who_is_not_asked_for_any_more_is_not_wanted)
{
    uint64_t now_ms = NOW_MS;

    learn(1);
    want(1, NOW_MS);
    while (now_ms < NOW_MS + GOSSIP_WANTED_MS) {
        ck_assert(member(1)->wanted);
        wait_after_failures(&now_ms, 1);
    }
    wait_after_failures(&now_ms, 1);
    ck_assert(!member(1)->wanted);
    ck_assert_uint_gt(wait_after_failures(&now_ms, 1), DIAL_EAGER_MAX_MS);
}
END_TEST

START_TEST(a_stranger_is_not_wanted)
{
    want(1, NOW_MS);
    ck_assert_uint_eq(gossip_count(gossip), 0);
    expect_nobody(NOW_MS);
}
END_TEST

START_TEST(a_new_record_brings_a_dial_forward_but_not_oftener_than_every_minute)
{
    struct dialled dialled;
    uint64_t now_ms = NOW_MS, tried_ms;

    learn(1);
    wait_after_failures(&now_ms, 14);
    tried_ms = now_ms;
    wait_after_failures(&now_ms, 1);
    learn(1); /* nothing new */
    expect_nobody(tried_ms + GOSSIP_REDIAL_MS);
    learn_at(1, bytes_of_text("moved:1"));
    expect_nobody(tried_ms + GOSSIP_REDIAL_MS - 1);
    expect_dial(tried_ms + GOSSIP_REDIAL_MS, 1, &dialled);
    ck_assert(bytes_equal(dialled.address, bytes_of_text("moved:1")));
}
END_TEST

/* ---- links ---- */

START_TEST(links_are_counted_from_both_sides_and_told_once)
{
    struct id nodes[4];
    struct dialled dialled;

    learn(1);
    learn(2);
    up(3, NOW_MS); /* it dialled us; its record is not known yet */
    up(3, NOW_MS);
    ck_assert(dial(NOW_MS, &dialled));
    ck_assert(dial(NOW_MS, &dialled));
    up(1, NOW_MS); /* whoever dialled whom */
    ck_assert_uint_eq(gossip_links(gossip), 2);
    ck_assert_uint_eq(gossip_linked(gossip, nodes, 4), 2);
    ck_assert_uint_eq(gossip_linked(gossip, nodes, 1), 1);
    ck_assert(member(1)->linked && member(3)->linked && !member(2)->linked);
    down(2, NOW_MS);
    ck_assert_uint_eq(gossip_links(gossip), 2);
    down(1, NOW_MS);
    down(1, NOW_MS);
    ck_assert_uint_eq(gossip_links(gossip), 1);
    ck_assert_uint_eq(gossip_linked(gossip, nodes, 4), 1);
    ck_assert(id_equal(&nodes[0], &member(3)->node));
}
END_TEST

START_TEST(who_is_linked_is_not_dialled)
{
    learn(1);
    up(1, NOW_MS);
    want(1, NOW_MS);
    learn_at(1, bytes_of_text("moved:1"));
    ck_assert(!member(1)->wanted);
    expect_nobody(NOW_MS);
    ck_assert_uint_eq(gossip_wake_at_ms(gossip), MOMENT_NEVER);
}
END_TEST

START_TEST(a_link_that_held_is_dialled_again_soon)
{
    uint64_t now_ms = NOW_MS, wait_ms;
    struct dialled dialled;

    learn(1);
    wait_after_failures(&now_ms, 10);
    expect_dial(now_ms, 1, &dialled);
    up(1, now_ms);
    now_ms += GOSSIP_SETTLED_MS;
    down(1, now_ms);
    expect_nobody(now_ms);
    wait_ms = gossip_wake_at_ms(gossip) - now_ms;
    ck_assert_uint_ge(wait_ms, DIAL_FIRST_MS / 2);
    ck_assert_uint_le(wait_ms, DIAL_FIRST_MS);
}
END_TEST

START_TEST(a_link_that_does_not_hold_is_dialled_ever_more_seldom)
{
    uint64_t now_ms = NOW_MS;
    struct dialled dialled;

    learn(1);
    for (int i = 0; i < 12; i++) {
        expect_dial(now_ms, 1, &dialled);
        up(1, now_ms);
        now_ms += GOSSIP_SETTLED_MS - 1;
        down(1, now_ms);
        expect_nobody(now_ms);
        now_ms = gossip_wake_at_ms(gossip);
    }
    ck_assert_uint_eq(member(1)->attempts, 12);
    ck_assert_uint_ge(member(1)->next_dial_ms, NOW_MS + DIAL_MAX_MS / 2);
}
END_TEST

/* ---- seeds ---- */

START_TEST(a_seed_without_an_id_is_dialled_for_whoever_answers)
{
    struct dialled dialled;

    ck_assert(gossip_add_seed(gossip, bytes_of_text("seed:1"), NULL));
    ck_assert(dial(NOW_MS, &dialled));
    ck_assert(id_is_zero(&dialled.member.node));
    ck_assert(!dialled.member.session_key_known);
    ck_assert(bytes_equal(dialled.address, bytes_of_text("seed:1")));
    gossip_dial_failed(gossip, dialled.address, NOW_MS);
    expect_nobody(NOW_MS);
    ck_assert_uint_le(gossip_wake_at_ms(gossip), NOW_MS + DIAL_FIRST_MS);
}
END_TEST

START_TEST(seeds_are_named_once)
{
    struct id id = id_number(1);

    ck_assert(gossip_add_seed(gossip, bytes_of_text("seed:1"), NULL));
    ck_assert(gossip_add_seed(gossip, bytes_of_text("seed:1"), NULL));
    ck_assert_uint_eq(gossip_count(gossip), 1);
    ck_assert(gossip_add_seed(gossip, bytes_of_text("seed:1"), &id)); /* the same, by name now */
    ck_assert_uint_eq(gossip_count(gossip), 1);
    ck_assert(member(1)->seed);
    ck_assert(gossip_add_seed(gossip, bytes_of_text("seed:2"), &id));
    ck_assert(gossip_add_seed(gossip, bytes_of_text("seed:2"), &id));
    ck_assert_uint_eq(gossip_count(gossip), 1);
    ck_assert_uint_eq(member(1)->address_count, 2);
}
END_TEST

START_TEST(a_seed_that_answered_is_left_alone_until_a_link_goes_down)
{
    uint64_t now_ms = NOW_MS;
    struct dialled dialled;

    gossip_add_seed(gossip, bytes_of_text("seed:1"), NULL);
    ck_assert(dial(now_ms, &dialled));
    up(1, now_ms); /* it, behind another address */
    learn(1);
    up(2, now_ms);
    learn(2);
    now_ms += GOSSIP_ANSWER_WITHIN_MS;
    expect_nobody(now_ms);
    ck_assert_uint_eq(gossip_wake_at_ms(gossip), MOMENT_NEVER);

    now_ms += GOSSIP_SETTLED_MS;
    down(1, now_ms);
    expect_dial(now_ms + DIAL_FIRST_MS, 1, &dialled);
    now_ms = NOW_MS + GOSSIP_REDIAL_MS + DIAL_FIRST_MS;
    ck_assert(dial(now_ms, &dialled));
    ck_assert(id_is_zero(&dialled.member.node));
}
END_TEST

START_TEST(the_last_link_that_goes_down_brings_the_seeds_back_at_once)
{
    struct dialled dialled;
    uint64_t now_ms = NOW_MS + GOSSIP_ANSWER_WITHIN_MS;

    gossip_add_seed(gossip, bytes_of_text("seed:1"), NULL);
    ck_assert(dial(NOW_MS, &dialled));
    up(1, NOW_MS);
    expect_nobody(now_ms);
    down(1, now_ms);
    ck_assert(dial(now_ms + DIAL_FIRST_MS, &dialled));
    ck_assert(id_is_zero(&dialled.member.node));
}
END_TEST

START_TEST(a_seed_whose_link_went_down_at_once_has_not_answered)
{
    uint64_t now_ms = NOW_MS;
    struct dialled dialled;

    gossip_add_seed(gossip, bytes_of_text("seed:1"), NULL);
    up(2, now_ms);
    ck_assert(dial(now_ms, &dialled));
    up(1, now_ms);
    down(1, now_ms + 1);
    now_ms += GOSSIP_ANSWER_WITHIN_MS;
    expect_nobody(now_ms);
    ck_assert(dial(now_ms + DIAL_FIRST_MS, &dialled));
    ck_assert(id_is_zero(&dialled.member.node));
}
END_TEST

START_TEST(a_seed_whose_node_is_linked_is_not_dialled)
{
    gossip_add_seed(gossip, bytes_of_text("seed:1"), NULL);
    up(1, NOW_MS);
    learn_at(1, bytes_of_text("seed:1"));
    expect_nobody(NOW_MS);
}
END_TEST

START_TEST(who_only_claims_a_seeds_address_does_not_take_its_place)
{
    struct dialled dialled;

    gossip_add_seed(gossip, bytes_of_text("seed:1"), NULL);
    learn_at(1, bytes_of_text("seed:1")); /* known, not linked */
    ck_assert(dial(NOW_MS, &dialled));
    ck_assert(dial(NOW_MS, &dialled));
    ck_assert_uint_eq(gossip_count(gossip), 2);
}
END_TEST

static TCase *members(void)
{
    TCase *tcase = tcase_create("members");

    tcase_add_test(tcase, a_learned_node_is_dialled_at_once);
    tcase_add_test(tcase, this_node_itself_is_neither_learned_nor_dialled);
    tcase_add_test(tcase, an_empty_pond_has_nothing_planned);
    tcase_add_test(tcase, a_node_without_addresses_is_known_and_not_dialled);
    tcase_add_test(tcase, addresses_that_are_none_are_left_out);
    tcase_add_test(tcase, a_forgotten_node_is_gone);
    tcase_add_test(tcase, a_forgotten_node_stays_as_long_as_its_link);
    tcase_add_test(tcase, a_seed_is_never_forgotten);
    tcase_add_test(tcase, whoever_is_known_is_found);
    tcase_add_test(tcase, a_full_table_refuses_strangers);
    tcase_add_test(tcase, a_seed_and_a_link_take_the_place_of_a_stranger);
    tcase_add_test(tcase, a_table_full_of_seeds_refuses_another);
    tcase_add_test(tcase, a_node_has_at_most_eight_addresses_and_the_operators_stay);
    tcase_add_test(tcase, a_seed_without_an_id_is_dialled_for_whoever_answers);
    tcase_add_test(tcase, seeds_are_named_once);
    tcase_add_test(tcase, a_seed_that_answered_is_left_alone_until_a_link_goes_down);
    tcase_add_test(tcase, the_last_link_that_goes_down_brings_the_seeds_back_at_once);
    tcase_add_test(tcase, a_seed_whose_link_went_down_at_once_has_not_answered);
    tcase_add_test(tcase, a_seed_whose_node_is_linked_is_not_dialled);
    tcase_add_test(tcase, who_only_claims_a_seeds_address_does_not_take_its_place);
    return tcase;
}

static TCase *dials(void)
{
    TCase *tcase = tcase_create("dials");

    tcase_add_test(tcase, at_most_sixteen_are_dialled_at_once);
    tcase_add_loop_test(tcase, few_nodes_are_all_dialled_and_of_many_only_so_many,
                        ACTIVE_LINKS_MAX - 1, ACTIVE_LINKS_MAX + 2);
    tcase_add_test(tcase, a_link_that_goes_down_makes_room_for_another_node);
    tcase_add_test(tcase, beyond_the_active_links_who_is_wanted_is_dialled_still);
    tcase_add_test(tcase, who_is_wanted_goes_first);
    tcase_add_test(tcase, the_order_is_chance_and_the_same_dice_choose_alike);
    tcase_add_test(tcase, each_failure_doubles_the_wait_up_to_five_minutes);
    tcase_add_test(tcase, nobody_is_dialled_before_its_time);
    tcase_add_test(tcase, the_addresses_take_turns_and_a_whole_round_doubles_the_wait);
    tcase_add_test(tcase, an_address_of_no_try_fails_nobody);
    tcase_add_test(tcase, a_dial_that_nobody_spoke_of_again_is_over_after_20_s);
    tcase_add_test(tcase, who_is_wanted_is_dialled_at_once_and_every_five_seconds);
    tcase_add_test(tcase, who_is_not_asked_for_any_more_is_not_wanted);
    tcase_add_test(tcase, a_stranger_is_not_wanted);
    tcase_add_test(tcase, a_new_record_brings_a_dial_forward_but_not_oftener_than_every_minute);
    tcase_add_test(tcase, links_are_counted_from_both_sides_and_told_once);
    tcase_add_test(tcase, who_is_linked_is_not_dialled);
    tcase_add_test(tcase, a_link_that_held_is_dialled_again_soon);
    tcase_add_test(tcase, a_link_that_does_not_hold_is_dialled_ever_more_seldom);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("gossip");
    TCase *tcases[] = {members(), dials()};
    SRunner *runner;
    int failed;

    for (size_t i = 0; i < sizeof tcases / sizeof *tcases; i++) {
        tcase_add_checked_fixture(tcases[i], begin, end);
        suite_add_tcase(suite, tcases[i]);
    }
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
