/* Lobster binds between ducklings of two whole agents. */
#include "core/frame.h"
#include "two_agents.h"

#define TEST_LEASE_MS (9 * SECOND_MS)

static struct pond *pond;
static struct id duck, friend; /* of alice, of bob */

static void set_up(void)
{
    pond = pond_new();
    duck = hatch(pond, &pond->alice, 10);
    friend = hatch(pond, &pond->bob, 20);
    bond(pond, &duck, &friend);
}

static void tear_down(void)
{
    pond_free(pond);
}

static const struct id *own_of(const struct node *node)
{
    return node == &pond->alice ? &duck : &friend;
}

static struct order wish(struct node *node, enum lobster_wish what)
{
    struct order order = {.kind = ORDER_LOBSTER, .lobster = what};

    order.duckling = *own_of(node);
    order.with = *own_of(other(pond, node));
    order.own_rank = order.rank = (struct sender_rank){.tier = 2, .missing = "lobster-bind"};
    return order;
}

static enum refusal_code tell(struct node *node, enum lobster_wish what)
{
    struct order asked = wish(node, what);

    asked.lease_ms = TEST_LEASE_MS;
    return order(pond, node, &asked)->code;
}

/* State 0: there is none. */
static struct lobster held(struct node *node)
{
    struct order list = wish(node, LOBSTERS_LIST);
    const struct reply *reply = order(pond, node, &list);

    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    ck_assert_uint_le(reply->lobster_count, 1);
    return reply->lobster_count ? reply->lobster : (struct lobster){0};
}

static void expect(enum lobster_state alice, enum lobster_state bob)
{
    ck_assert_int_eq(held(&pond->alice).state, alice);
    ck_assert_int_eq(held(&pond->bob).state, bob);
}

static enum refusal_code confirm_with(struct node *node, const char *string)
{
    struct order asked = wish(node, LOBSTER_CONFIRM);

    asked.string = bytes_of_text(string);
    return order(pond, node, &asked)->code;
}

/* With what the other operator reads out. */
static enum refusal_code confirm(struct node *node)
{
    struct lobster there = held(other(pond, node));
    char string[LOBSTER_STRING_SIZE];

    return confirm_with(node, lobster_string(&there, bytes_of_text(NETWORK), string));
}

static void pass(uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 250)
        tick(pond, 250);
}

static void become_live(void)
{
    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BEGIN), REFUSAL_NONE);
    ck_assert_int_eq(confirm(&pond->alice), REFUSAL_NONE);
    ck_assert_int_eq(confirm(&pond->bob), REFUSAL_NONE);
    pass(1000);
    expect(LOBSTER_LIVE, LOBSTER_LIVE);
}

/* Does `node` hold what `owner` published of it? */
static bool holds(struct node *node, const struct id *owner, bool deleted)
{
    bool is_held = false;

    for (size_t i = 0; i < node->record_count; i++)
        if (id_equal(&node->records[i].record.owner, owner) && node->lobster_records[i])
            is_held = node->records[i].record.deleted == deleted;
    return is_held;
}

START_TEST(it_is_live_when_both_operators_have_confirmed_what_they_heard)
{
    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BEGIN), REFUSAL_NONE);
    expect(LOBSTER_SHOWN, LOBSTER_SHOWN);
    ck_assert_int_eq(confirm(&pond->alice), REFUSAL_NONE);
    pass(1000);
    expect(LOBSTER_CONFIRMED, LOBSTER_SHOWN); /* one end alone binds nobody */
    ck_assert_int_eq(confirm(&pond->bob), REFUSAL_NONE);
    pass(1000);
    expect(LOBSTER_LIVE, LOBSTER_LIVE);
    ck_assert(holds(&pond->alice, &friend, false));
    ck_assert(holds(&pond->bob, &duck, false));
    ck_assert_int_eq(confirm_with(&pond->bob, "1"), REFUSAL_CONFLICT); /* too late to spoil it */
    expect(LOBSTER_LIVE, LOBSTER_LIVE);
}
END_TEST

START_TEST(it_is_refused_below_t2_without_a_bond_and_for_an_unfit_lease)
{
    struct order asked = wish(&pond->alice, LOBSTER_BEGIN);

    asked.rank.tier = 1;
    ck_assert_int_eq(order(pond, &pond->alice, &asked)->code, REFUSAL_NOT_ALLOWED);
    asked = wish(&pond->alice, LOBSTER_BEGIN);
    asked.own_rank.tier = 1;
    ck_assert_int_eq(order(pond, &pond->alice, &asked)->code, REFUSAL_NOT_ALLOWED);
    asked = wish(&pond->alice, LOBSTER_BEGIN);
    asked.rank.missing = NULL; /* nobody looked it up */
    ck_assert_int_eq(order(pond, &pond->alice, &asked)->code, REFUSAL_NOT_ALLOWED);
    asked = wish(&pond->alice, LOBSTER_BEGIN);
    asked.lease_ms = LOBSTER_LEASE_MIN_MS - 1;
    ck_assert_int_eq(order(pond, &pond->alice, &asked)->code, REFUSAL_MALFORMED);
    asked.lease_ms = LOBSTER_LEASE_MAX_MS + 1;
    ck_assert_int_eq(order(pond, &pond->alice, &asked)->code, REFUSAL_MALFORMED);
    asked = wish(&pond->alice, LOBSTER_BEGIN);
    asked.with = duck;
    ck_assert_int_eq(order(pond, &pond->alice, &asked)->code, REFUSAL_MALFORMED);
    memset(asked.with.bytes, 9, ID_SIZE);
    ck_assert_int_eq(order(pond, &pond->alice, &asked)->code, REFUSAL_UNKNOWN_TARGET);
    asked.with = hatch(pond, &pond->bob, 30); /* no bond with that one */
    ck_assert_int_eq(order(pond, &pond->alice, &asked)->code, REFUSAL_NOT_ALLOWED);
    ck_assert_int_eq(tell(&pond->alice, LOBSTER_CONFIRM), REFUSAL_NOT_FOUND);
    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BREAK), REFUSAL_NOT_FOUND);
    asked = wish(&pond->bob, LOBSTER_BEGIN); /* of bob's, asked of alice */
    ck_assert_int_eq(order(pond, &pond->alice, &asked)->code, REFUSAL_NOT_HOSTED);
}
END_TEST

START_TEST(the_tier_is_looked_at_again_when_it_is_confirmed)
{
    struct order asked;
    struct lobster shown;
    char string[LOBSTER_STRING_SIZE];

    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BEGIN), REFUSAL_NONE);
    shown = held(&pond->alice);
    asked = wish(&pond->bob, LOBSTER_CONFIRM);
    asked.string = bytes_of_text(lobster_string(&shown, bytes_of_text(NETWORK), string));
    asked.rank.tier = 1;
    ck_assert_int_eq(order(pond, &pond->bob, &asked)->code, REFUSAL_NOT_ALLOWED);
    expect(LOBSTER_SHOWN, LOBSTER_SHOWN);
}
END_TEST

START_TEST(another_string_ends_it_on_both_sides)
{
    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BEGIN), REFUSAL_NONE);
    ck_assert_int_eq(confirm(&pond->alice), REFUSAL_NONE);
    ck_assert_int_eq(confirm_with(&pond->bob, "0000-000"), REFUSAL_CONFLICT);
    pass(1000);
    expect(0, 0);
    ck_assert(holds(&pond->bob, &duck, true)); /* also what was published is taken back */
}
END_TEST

START_TEST(either_operator_breaks_it_at_once)
{
    become_live();
    ck_assert_int_eq(tell(&pond->bob, LOBSTER_BREAK), REFUSAL_NONE);
    pass(500);
    expect(0, 0);
    ck_assert(holds(&pond->alice, &friend, true));
    ck_assert(holds(&pond->bob, &duck, true));
    become_live(); /* and they may begin anew */
}
END_TEST

/* Two ducklings of alice's node; what one end says reaches the other within the call. */
static const struct reply *tell_at_home(const struct id *here, const struct id *there,
                                        enum lobster_wish what, const char *string)
{
    struct order asked = wish(&pond->alice, what);

    asked.duckling = *here;
    asked.with = *there;
    asked.string = bytes_of_text(string);
    return order(pond, &pond->alice, &asked);
}

START_TEST(both_ends_may_live_on_one_node_and_whatever_ends_one_ends_the_other)
{
    struct id near = hatch(pond, &pond->alice, 30);
    char string[LOBSTER_STRING_SIZE];

    bond_at(pond, &pond->alice, &duck, &near);
    for (unsigned round = 0; round < 3; round++) {
        ck_assert_int_eq(tell_at_home(&duck, &near, LOBSTER_BEGIN, "")->code, REFUSAL_NONE);
        pass(250);
        const struct reply *shown = tell_at_home(&near, &duck, LOBSTERS_LIST, "");

        ck_assert_uint_eq(shown->lobster_count, 1);
        ck_assert_int_eq(shown->lobster.state, LOBSTER_SHOWN);
        lobster_string(&shown->lobster, bytes_of_text(NETWORK), string);
        if (round == 0) {
            string[0] = string[0] == '9' ? '0' : (char)(string[0] + 1);
            ck_assert_int_eq(tell_at_home(&duck, &near, LOBSTER_CONFIRM, string)->code,
                             REFUSAL_CONFLICT);
        } else {
            if (round == 2) {
                tell_at_home(&duck, &near, LOBSTER_CONFIRM, string);
                tell_at_home(&near, &duck, LOBSTER_CONFIRM, string);
                ck_assert_int_eq(tell_at_home(&near, &duck, LOBSTERS_LIST, "")->lobster.state,
                                 LOBSTER_LIVE);
            }
            ck_assert_int_eq(tell_at_home(&near, &duck, LOBSTER_BREAK, "")->code, REFUSAL_NONE);
        }
        ck_assert_uint_eq(tell_at_home(&duck, &near, LOBSTERS_LIST, "")->lobster_count, 0);
        ck_assert_uint_eq(tell_at_home(&near, &duck, LOBSTERS_LIST, "")->lobster_count, 0);
        pass(2000);
    }
}
END_TEST

START_TEST(it_is_renewed_while_both_are_there)
{
    struct id bind, there;

    become_live();
    bind = held(&pond->alice).id;
    pass(4 * TEST_LEASE_MS);
    expect(LOBSTER_LIVE, LOBSTER_LIVE);
    there = held(&pond->bob).id;
    ck_assert(id_equal(&there, &bind));
}
END_TEST

/* What the other end said was over by a clock that was wrong, and it says nothing new for a while. */
START_TEST(it_is_live_as_soon_as_a_clock_that_was_ahead_is_right_again)
{
    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BEGIN), REFUSAL_NONE);
    ck_assert_int_eq(confirm(&pond->bob), REFUSAL_NONE);
    pass(500);
    pond->linked = false;
    pond->at.wall_ms += TEST_LEASE_MS + 1000;
    ck_assert_int_eq(confirm(&pond->alice), REFUSAL_NONE);
    ck_assert_int_eq(held(&pond->alice).state, LOBSTER_CONFIRMED);
    pond->at.wall_ms -= TEST_LEASE_MS + 1000;
    pass(250);
    ck_assert_int_eq(held(&pond->alice).state, LOBSTER_LIVE);
}
END_TEST

START_TEST(it_opens_by_itself_within_a_lease_when_the_other_end_is_not_heard)
{
    become_live();
    pond->linked = false; /* nobody is told that the link is down */
    pass(TEST_LEASE_MS / 2);
    expect(LOBSTER_LIVE, LOBSTER_LIVE);
    pass(TEST_LEASE_MS / 2 + 500);
    expect(0, 0);
}
END_TEST

START_TEST(what_is_not_confirmed_in_time_is_given_up_by_both)
{
    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BEGIN), REFUSAL_NONE);
    tick(pond, LOBSTER_CONFIRM_MS - 1);
    expect(LOBSTER_SHOWN, LOBSTER_SHOWN);
    tick(pond, 1);
    expect(0, 0);
}
END_TEST

START_TEST(it_ends_with_the_last_bond_between_the_two)
{
    struct order end = {.kind = ORDER_UNPECK, .duckling = duck, .with = friend};

    become_live();
    ck_assert_int_eq(order(pond, &pond->alice, &end)->code, REFUSAL_NONE);
    pass(500);
    expect(0, 0);
}
END_TEST

START_TEST(it_ends_when_a_key_that_it_is_pinned_to_is_rotated)
{
    struct identity_key *next;
    struct order rotate = {.kind = ORDER_ROTATE, .duckling = duck};
    struct public_key public;
    uint8_t seed[SEED_SIZE];

    become_live();
    memset(seed, 120, sizeof seed);
    next = identity_key_new(seed);
    public = identity_key_public(next);
    identity_key_free(next);
    rotate.next_key_hash = identity_key_hash(&public);
    memset(rotate.seeds[0], 110, SEED_SIZE); /* as hatch() promised */
    ck_assert_int_eq(order(pond, &pond->alice, &rotate)->code, REFUSAL_NONE);
    pass(1000);
    expect(0, 0);
}
END_TEST

static void lose(enum frame_kind kind)
{
    pond->lose = (int)kind;
}

START_TEST(an_offer_or_an_answer_that_is_lost_is_said_again)
{
    lose(FRAME_LOBSTER);
    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BEGIN), REFUSAL_NONE);
    expect(LOBSTER_OFFERED, 0);
    pass(LOBSTER_SAY_AGAIN_MS);
    expect(LOBSTER_SHOWN, LOBSTER_SHOWN);
    ck_assert_int_eq(confirm(&pond->alice), REFUSAL_NONE);
    ck_assert_int_eq(confirm(&pond->bob), REFUSAL_NONE);
}
END_TEST

/* The wire is cut when one end has said its part. */
START_TEST(a_reveal_that_is_lost_is_said_again_when_it_is_asked_for)
{
    struct lobster_word answer = {.step = LOBSTER_ANSWER};
    struct lobster shown;
    struct arena arena;

    pond->linked = false;
    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BEGIN), REFUSAL_NONE);
    pond->linked = true;
    pass(LOBSTER_SAY_AGAIN_MS);
    shown = held(&pond->bob);
    ck_assert_int_eq(shown.state, LOBSTER_SHOWN);
    /* bob's answer once more: alice says her reveal once more, and nothing changes */
    arena_init(&arena, MIB);
    answer.from = friend;
    answer.to = duck;
    memcpy(answer.session, shown.session, sizeof answer.session);
    memcpy(answer.nonce, shown.nonce, sizeof answer.nonce);
    pond->carried[FRAME_LOBSTER] = 0;
    carry(pond, &pond->bob, FRAME_LOBSTER,
          frame_pack_lobster(&answer, pond->bob.records[pond->bob.record_count - 1].chain, &arena));
    arena_free(&arena);
    expect(LOBSTER_SHOWN, LOBSTER_SHOWN);
}
END_TEST

START_TEST(of_two_offers_that_cross_one_stands)
{
    struct lobster here, there;

    pond->linked = false;
    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BEGIN), REFUSAL_NONE);
    ck_assert_int_eq(tell(&pond->bob, LOBSTER_BEGIN), REFUSAL_NONE);
    expect(LOBSTER_OFFERED, LOBSTER_OFFERED);
    pond->linked = true;
    pass(2 * LOBSTER_SAY_AGAIN_MS);
    expect(LOBSTER_SHOWN, LOBSTER_SHOWN);
    here = held(&pond->alice);
    there = held(&pond->bob);
    ck_assert(id_equal(&here.id, &there.id));
}
END_TEST

START_TEST(who_lost_what_it_began_may_begin_anew_before_it_is_confirmed)
{
    struct lobster first, second;

    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BEGIN), REFUSAL_NONE);
    first = held(&pond->bob);
    pond->linked = false;
    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BREAK), REFUSAL_NONE); /* bob does not hear of it */
    pond->linked = true;
    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BEGIN), REFUSAL_NONE);
    expect(LOBSTER_SHOWN, LOBSTER_SHOWN);
    second = held(&pond->bob);
    ck_assert(!id_equal(&second.id, &first.id));
    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BEGIN), REFUSAL_CONFLICT);
}
END_TEST

/* From bob's node, as it says; `chain`: whose. */
static void say(struct lobster_word *word, struct bytes chain)
{
    struct arena arena;

    arena_init(&arena, MIB);
    carry(pond, &pond->bob, FRAME_LOBSTER, frame_pack_lobster(word, chain, &arena));
    arena_free(&arena);
}

static struct bytes chain_of(const struct node *node, const struct id *owner)
{
    for (size_t i = 0; i < node->record_count; i++)
        if (id_equal(&node->records[i].record.owner, owner))
            return node->records[i].chain;
    return bytes_of(NULL, 0);
}

START_TEST(a_word_from_another_node_than_the_ducklings_has_no_weight)
{
    struct lobster_word offer = {
        .step = LOBSTER_OFFER, .from = duck, .to = friend, .lease_ms = TEST_LEASE_MS};

    offer.to = duck;
    offer.from = hatch(pond, &pond->alice, 40); /* lives at alice's, said by bob's */
    say(&offer, chain_of(&pond->alice, &offer.from));
    ck_assert_uint_eq(pond->alice.refused_frames, 0);
    ck_assert_int_eq(held(&pond->alice).state, 0);
}
END_TEST

START_TEST(an_offer_with_anothers_certificates_or_none_is_refused)
{
    struct lobster_word offer = {
        .step = LOBSTER_OFFER, .from = friend, .to = duck, .lease_ms = TEST_LEASE_MS};

    say(&offer, chain_of(&pond->bob, &pond->bob.id));
    ck_assert_int_eq(pond->alice.last_refusal, INTAKE_WRONG_SIGNER);
    say(&offer, bytes_of(NULL, 0));
    ck_assert_int_eq(pond->alice.last_refusal, INTAKE_MALFORMED);
    offer.lease_ms = LOBSTER_LEASE_MAX_MS + 1;
    say(&offer, chain_of(&pond->bob, &friend));
    ck_assert_uint_eq(pond->alice.refused_frames, 3);
    offer.step = (enum lobster_step)5;
    say(&offer, bytes_of(NULL, 0));
    offer.step = (enum lobster_step)0;
    say(&offer, bytes_of(NULL, 0));
    ck_assert_uint_eq(pond->alice.refused_frames, 5);
    ck_assert_int_eq(held(&pond->alice).state, 0);
}
END_TEST

START_TEST(what_nobody_began_is_answered_with_no_and_changes_nothing)
{
    struct lobster_word word = {.step = LOBSTER_REVEAL, .from = friend, .to = duck};

    pond->carried[FRAME_LOBSTER] = 0;
    say(&word, bytes_of(NULL, 0));
    ck_assert_uint_eq(pond->carried[FRAME_LOBSTER], 2); /* and its answer: "unknown" */
    word.step = LOBSTER_NO;
    word.code = bytes_of_text("broken");
    say(&word, bytes_of(NULL, 0));
    ck_assert_uint_eq(pond->carried[FRAME_LOBSTER], 3);
    expect(0, 0);
}
END_TEST

/* Kept after each step, as the store gets it: what it would bring back. */
START_TEST(every_step_is_kept_before_it_is_said)
{
    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BEGIN), REFUSAL_NONE);
    ck_assert_int_eq(pond->alice.last_lobster.state, LOBSTER_SHOWN);
    ck_assert_int_eq(pond->bob.last_lobster.state, LOBSTER_SHOWN);
    ck_assert_int_eq(confirm(&pond->alice), REFUSAL_NONE);
    ck_assert_int_eq(pond->alice.last_lobster.state, LOBSTER_CONFIRMED);
    ck_assert_uint_gt(pond->alice.last_lobster.here_until_ms, pond->at.wall_ms);
    ck_assert_int_eq(confirm(&pond->bob), REFUSAL_NONE);
    pass(1000);
    ck_assert_int_eq(pond->alice.last_lobster.state, LOBSTER_LIVE);
    ck_assert_int_eq(pond->bob.last_lobster.state, LOBSTER_LIVE);
    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BREAK), REFUSAL_NONE);
    pass(500);
    ck_assert_uint_eq(pond->alice.lobsters_dropped, 1);
    ck_assert_uint_eq(pond->bob.lobsters_dropped, 1);
}
END_TEST

/* Kept by an earlier life of alice's node: as many as there may be, of which duckling each says. */
static void fill(struct id (*here_of)(size_t number), enum lobster_state state)
{
    for (size_t i = 0; i < LOBSTERS_MAX; i++) {
        struct event event = {.kind = EVENT_RESTORED_LOBSTER};

        event.lobster = (struct lobster){.here = here_of(i),
                                         .state = state,
                                         .lease_ms = TEST_LEASE_MS,
                                         .until_ms = pond->at.wall_ms + HOUR_MS};
        memcpy(event.lobster.there.bytes, &i, sizeof i);
        event.lobster.here_until_ms = event.lobster.there_until_ms = event.lobster.until_ms;
        turn(pond, &pond->alice, &event);
    }
}

static struct id greedy;

static struct id all_of_one(size_t number)
{
    (void)number;
    return greedy;
}

static struct id one_each(size_t number)
{
    struct id id = {{9}};

    memcpy(id.bytes + 1, &number, sizeof number);
    return id;
}

START_TEST(one_that_begins_as_many_as_there_may_be_keeps_no_other_out)
{
    greedy = hatch(pond, &pond->alice, 30);
    fill(all_of_one, LOBSTER_ANSWERED);
    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BEGIN), REFUSAL_NONE);
    ck_assert_uint_eq(pond->alice.lobsters_dropped, 1);
    expect(LOBSTER_SHOWN, LOBSTER_SHOWN);
    tear_down();
    set_up();
    greedy = hatch(pond, &pond->alice, 30);
    fill(all_of_one, LOBSTER_ANSWERED);
    ck_assert_int_eq(tell(&pond->bob, LOBSTER_BEGIN),
                     REFUSAL_NONE); /* which alice's node is offered */
    expect(LOBSTER_SHOWN, LOBSTER_SHOWN);
}
END_TEST

START_TEST(there_are_so_many_and_no_more)
{
    greedy = hatch(pond, &pond->alice, 30);
    fill(all_of_one, LOBSTER_LIVE);
    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BEGIN), REFUSAL_BUSY);
    ck_assert_uint_eq(pond->alice.lobsters_dropped, 0);
    tear_down();
    set_up();
    fill(one_each, LOBSTER_ANSWERED);
    ck_assert_int_eq(tell(&pond->alice, LOBSTER_BEGIN), REFUSAL_BUSY); /* nobody has more than it */
    ck_assert_uint_eq(pond->alice.lobsters_dropped, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_lobster");
    TCase *tests = tcase_create("agent_lobster");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, it_is_live_when_both_operators_have_confirmed_what_they_heard);
    tcase_add_test(tests, it_is_refused_below_t2_without_a_bond_and_for_an_unfit_lease);
    tcase_add_test(tests, the_tier_is_looked_at_again_when_it_is_confirmed);
    tcase_add_test(tests, another_string_ends_it_on_both_sides);
    tcase_add_test(tests, either_operator_breaks_it_at_once);
    tcase_add_test(tests, both_ends_may_live_on_one_node_and_whatever_ends_one_ends_the_other);
    tcase_add_test(tests, it_is_renewed_while_both_are_there);
    tcase_add_test(tests, it_is_live_as_soon_as_a_clock_that_was_ahead_is_right_again);
    tcase_add_test(tests, it_opens_by_itself_within_a_lease_when_the_other_end_is_not_heard);
    tcase_add_test(tests, what_is_not_confirmed_in_time_is_given_up_by_both);
    tcase_add_test(tests, it_ends_with_the_last_bond_between_the_two);
    tcase_add_test(tests, it_ends_when_a_key_that_it_is_pinned_to_is_rotated);
    tcase_add_test(tests, an_offer_or_an_answer_that_is_lost_is_said_again);
    tcase_add_test(tests, a_reveal_that_is_lost_is_said_again_when_it_is_asked_for);
    tcase_add_test(tests, of_two_offers_that_cross_one_stands);
    tcase_add_test(tests, who_lost_what_it_began_may_begin_anew_before_it_is_confirmed);
    tcase_add_test(tests, a_word_from_another_node_than_the_ducklings_has_no_weight);
    tcase_add_test(tests, an_offer_with_anothers_certificates_or_none_is_refused);
    tcase_add_test(tests, what_nobody_began_is_answered_with_no_and_changes_nothing);
    tcase_add_test(tests, every_step_is_kept_before_it_is_said);
    tcase_add_test(tests, one_that_begins_as_many_as_there_may_be_keeps_no_other_out);
    tcase_add_test(tests, there_are_so_many_and_no_more);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
