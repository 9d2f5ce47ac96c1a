/* Stories of two whole agents: keys that are rotated, by their owner and by a thief. */
#include "core/frame.h"
#include "two_agents.h"

#define LIVE 10 /* the seed of the duck's first key; its next is LIVE + 100, as hatch() makes it */
#define NEXT 110
#define THIRD 120
#define FOURTH 121

static struct pond *pond;
static struct id duck, friend;

static void set_up(void)
{
    pond = pond_new();
    duck = hatch(pond, &pond->alice, LIVE);
    friend = hatch(pond, &pond->bob, 20);
}

static void tear_down(void)
{
    pond_free(pond);
}

static struct identity_key *key_of(uint8_t seed)
{
    uint8_t bytes[SEED_SIZE];

    memset(bytes, seed, SEED_SIZE);
    return identity_key_new(bytes);
}

static struct hash promise_of(uint8_t seed)
{
    struct identity_key *key = key_of(seed);
    struct public_key public = identity_key_public(key);

    identity_key_free(key);
    return identity_key_hash(&public);
}

static struct order rotation(uint8_t takes_over, uint8_t next)
{
    struct order rotate = {
        .kind = ORDER_ROTATE, .duckling = duck, .next_key_hash = promise_of(next)};

    memset(rotate.seeds[0], takes_over, SEED_SIZE);
    return rotate;
}

static enum refusal_code rotate(uint8_t takes_over, uint8_t next)
{
    struct order asked = rotation(takes_over, next);

    tick(pond, 1000);
    return order(pond, &pond->alice, &asked)->code;
}

static struct id ask(void)
{
    struct order send = action(&duck, &friend);

    tick(pond, 1000);
    return order(pond, &pond->alice, &send)->peck;
}

static bool is_taken(const struct id *peck)
{
    const struct kept_peck *kept = find(&pond->bob, BOX_IN, peck);

    return kept && kept->state == PECK_TAKEN;
}

static struct bytes chain_now(void)
{
    struct id peck = ask();

    return find(&pond->alice, BOX_OUT, &peck)->chain;
}

/* What a thief signs with a key of the duck's. */
static struct bytes stolen_peck(uint8_t seed, uint64_t created_ms, struct peck *peck)
{
    struct identity_key *key = key_of(seed);
    struct order said = action(&duck, &friend);
    struct bytes body, wire;

    *peck = said.send;
    peck->network = bytes_of_text(NETWORK);
    peck->created_ms = created_ms;
    peck->expires_ms = created_ms + HOUR_MS;
    ck_assert_int_eq(peck_pack(peck, &pond->alice.memory, &body), PECK_OK);
    wire = envelope_seal(ENVELOPE_PECK, &duck, key, body, &pond->alice.memory, NULL);
    identity_key_free(key);
    return wire;
}

START_TEST(the_promised_key_takes_over_and_the_bond_goes_on)
{
    struct id before, after;
    struct bytes chain;

    bond(pond, &duck, &friend);
    before = ask();
    ck_assert_int_eq(rotate(NEXT, THIRD), REFUSAL_NONE);
    after = ask();
    ck_assert(is_taken(&before));
    ck_assert(is_taken(&after));
    chain = find(&pond->bob, BOX_IN, &after)->chain;
    ck_assert_uint_eq(chain_count(chain), 2);
}
END_TEST

START_TEST(so_do_the_next_ones)
{
    struct id peck;

    bond(pond, &duck, &friend);
    ck_assert_int_eq(rotate(NEXT, THIRD), REFUSAL_NONE);
    ck_assert_int_eq(rotate(THIRD, FOURTH), REFUSAL_NONE);
    ck_assert_int_eq(rotate(FOURTH, FOURTH + 1), REFUSAL_NONE);
    peck = ask();
    ck_assert(is_taken(&peck));
    ck_assert_uint_eq(chain_count(chain_now()), 4);
}
END_TEST

START_TEST(the_same_order_again_is_no_second_rotation)
{
    ck_assert_int_eq(rotate(NEXT, THIRD), REFUSAL_NONE);
    ck_assert_int_eq(rotate(NEXT, THIRD), REFUSAL_NONE);
    ck_assert_uint_eq(chain_count(chain_now()), 2);
}
END_TEST

static const struct wrong {
    uint8_t takes_over, next;
    bool promises_nothing;
    enum refusal_code code;
} wrongs[] = {
    {LIVE, THIRD, false, REFUSAL_NOT_ALLOWED},   /* who has the live key */
    {THIRD, FOURTH, false, REFUSAL_NOT_ALLOWED}, /* the next key is lost: any other */
    {NEXT, THIRD, true, REFUSAL_MALFORMED},      /* empty commitment */
    {NEXT, LIVE, false, REFUSAL_MALFORMED},      /* back to a key that may be stolen */
    {NEXT, NEXT, false, REFUSAL_MALFORMED},      /* a live key that could rotate */
};

START_TEST(what_is_no_rotation_is_refused_and_changes_nothing)
{
    struct order asked = rotation(wrongs[_i].takes_over, wrongs[_i].next);

    bond(pond, &duck, &friend);
    if (wrongs[_i].promises_nothing)
        memset(&asked.next_key_hash, 0, sizeof asked.next_key_hash);
    ck_assert_int_eq(order(pond, &pond->alice, &asked)->code, wrongs[_i].code);
    ck_assert_uint_eq(chain_count(chain_now()), 1);
    ck_assert_int_eq(rotate(NEXT, THIRD), REFUSAL_NONE); /* the owner still can */
}
END_TEST

START_TEST(a_duckling_that_lives_elsewhere_is_not_rotated_here)
{
    struct order asked = rotation(NEXT, THIRD);

    ck_assert_int_eq(order(pond, &pond->bob, &asked)->code, REFUSAL_NOT_HOSTED);
}
END_TEST

START_TEST(a_node_whose_key_is_not_kept_is_not_rotated)
{
    struct order asked = rotation(NEXT, THIRD);

    asked.duckling = pond->alice.id;
    ck_assert_int_eq(order(pond, &pond->alice, &asked)->code, REFUSAL_NOT_ALLOWED);
}
END_TEST

START_TEST(a_chain_has_an_end)
{
    uint8_t takes_over = NEXT;
    enum refusal_code code = REFUSAL_NONE;
    struct hash promise;
    size_t count = 0;

    /* Seeds of one repeated byte are 256; so these count in the second half, too. */
    for (uint32_t i = 0; code == REFUSAL_NONE && i < 1000; i++) {
        struct order asked = {.kind = ORDER_ROTATE, .duckling = duck};
        struct identity_key *next;
        struct public_key public;
        uint8_t seed[SEED_SIZE] = {1, (uint8_t)i, (uint8_t)(i >> 8)};

        if (i == 0) {
            memset(asked.seeds[0], takes_over, SEED_SIZE);
        } else {
            asked.seeds[0][0] = 1;
            asked.seeds[0][1] = (uint8_t)(i - 1);
            asked.seeds[0][2] = (uint8_t)((i - 1) >> 8);
        }
        next = identity_key_new(seed);
        public = identity_key_public(next);
        promise = identity_key_hash(&public);
        identity_key_free(next);
        asked.next_key_hash = promise;
        pond->alice.reply_count = pond->alice.record_count = pond->bob.record_count = 0;
        pond->at.wall_ms++;
        link_both(pond, false);
        code = order(pond, &pond->alice, &asked)->code;
        count += code == REFUSAL_NONE;
    }
    ck_assert_int_eq(code, REFUSAL_CONFLICT);
    ck_assert_uint_gt(count, 150);
    ck_assert_uint_lt(count, 400);
}
END_TEST

START_TEST(the_thief_of_the_old_key_is_refused_where_the_rotation_is_known)
{
    struct bytes before, wire;
    struct peck peck;

    bond(pond, &duck, &friend);
    before = chain_now();
    ck_assert_int_eq(rotate(NEXT, THIRD), REFUSAL_NONE);
    wire = stolen_peck(LIVE, pond->at.wall_ms, &peck);
    carry(pond, &pond->alice, FRAME_PECK, frame_pack_peck(before, wire, &pond->alice.memory));
    ck_assert_ptr_null(find(&pond->bob, BOX_IN, &peck.id));
    ck_assert_int_eq(pond->bob.last_refusal, INTAKE_RETIRED_KEY);
    ck_assert(!intake_verdict_offends(INTAKE_RETIRED_KEY)); /* who relays it may not know yet */
}
END_TEST

START_TEST(so_is_one_who_dates_back_and_is_not_the_ducks_node)
{
    uint64_t before_ms = pond->at.wall_ms;
    struct event event = {.kind = EVENT_PECK, .node = {{7}}};
    struct peck peck;

    bond(pond, &duck, &friend);
    ck_assert_int_eq(rotate(NEXT, THIRD), REFUSAL_NONE);
    event.peck.wire = stolen_peck(LIVE, before_ms, &peck);
    event.peck.chain = chain_now();
    event.peck.peck = peck;
    event.peck.retired = true;
    turn(pond, &pond->bob, &event);
    ck_assert_ptr_null(find(&pond->bob, BOX_IN, &peck.id));
}
END_TEST

START_TEST(a_peck_that_waited_while_the_key_was_rotated_arrives)
{
    struct id peck;

    bond(pond, &duck, &friend);
    link_both(pond, false);
    peck = ask();
    ck_assert_int_eq(rotate(NEXT, THIRD), REFUSAL_NONE);
    ck_assert_ptr_null(find(&pond->bob, BOX_IN, &peck));
    link_both(pond, true);
    for (int i = 0; i < 120 && !is_taken(&peck); i++)
        tick(pond, 1000);
    ck_assert(is_taken(&peck));
}
END_TEST

START_TEST(a_rotation_that_is_seen_before_its_predecessor_counts)
{
    struct id peck;

    bond(pond, &duck, &friend);
    link_both(pond, false);
    ck_assert_int_eq(rotate(NEXT, THIRD), REFUSAL_NONE);
    ck_assert_int_eq(rotate(THIRD, FOURTH), REFUSAL_NONE);
    link_both(pond, true);
    tick(pond, 1000);
    peck = ask();
    ck_assert(is_taken(&peck));
    ck_assert_uint_eq(chain_count(find(&pond->bob, BOX_IN, &peck)->chain), 3);
}
END_TEST

/* How many pecks leave, and how many of them wait for the commit. */
static size_t step_and_settle(struct order *orders[2], size_t *waits)
{
    struct effects effects;
    size_t count = 0;

    effects_init(&effects);
    for (int i = 0; i < 2; i++) {
        struct event event = {.kind = EVENT_ORDER, .at = pond->at, .order = orders[i]};

        if (orders[i])
            agent_step(pond->alice.agent, &event, &effects);
    }
    agent_settle(pond->alice.agent, &pond->at, &effects);
    for (size_t i = 0; i < effects.count; i++)
        if (effects.list[i].kind == EFFECT_SEND && effects.list[i].send.kind == FRAME_PECK) {
            *waits += effects.list[i].send.waits;
            count++;
        }
    effects_free(&effects);
    return count;
}

/* Were the turn undone after that, two chains would be about for one rotation. */
START_TEST(a_peck_under_a_key_of_this_turn_waits_until_it_is_kept)
{
    struct order rotate = rotation(NEXT, THIRD), one, next;
    size_t waits = 0;

    bond(pond, &duck, &friend);
    one = action(&duck, &friend);
    ck_assert_uint_eq(step_and_settle((struct order *[]){&rotate, &one}, &waits), 1);
    ck_assert_uint_eq(waits, 1);
    tick(pond, 1000);
    next = action(&duck, &friend);
    ck_assert_uint_eq(step_and_settle((struct order *[]){&next, NULL}, &waits), 1);
    ck_assert_uint_eq(waits, 1);
}
END_TEST

START_TEST(a_rotation_is_dated_behind_what_was_said_though_the_clock_was_put_back)
{
    struct chain chain;
    uint64_t said_ms;

    tick(pond, MINUTE_MS);
    said_ms = pond->at.wall_ms; /* or later: that it is bonded */
    bond(pond, &duck, &friend);
    pond->at.wall_ms -= HOUR_MS;
    ck_assert_int_eq(rotate(NEXT, THIRD), REFUSAL_NONE);
    ck_assert_int_eq(chain_open(chain_now(), &pond->alice.memory, &chain), CERTIFICATE_TAKEN);
    ck_assert_uint_eq(chain.count, 2);
    ck_assert_uint_gt(chain.certificates[1].issued_ms, said_ms);
}
END_TEST

/* A second rotation ends the second key: what that dated must be of its time. */
START_TEST(so_is_what_is_said_after_it)
{
    struct chain chain;
    uint64_t issued_ms;
    size_t before, count = 0;

    bond(pond, &duck, &friend);
    pond->at.wall_ms -= HOUR_MS;
    before = pond->alice.record_count;
    ck_assert_int_eq(rotate(NEXT, THIRD), REFUSAL_NONE);
    ck_assert_int_eq(chain_open(chain_now(), &pond->alice.memory, &chain), CERTIFICATE_TAKEN);
    issued_ms = chain.certificates[1].issued_ms;
    ck_assert_uint_gt(issued_ms, pond->at.wall_ms);
    for (size_t i = before; i < pond->alice.record_count; i++) {
        ck_assert_uint_ge(pond->alice.records[i].record.version.ms, issued_ms);
        count += id_equal(&pond->alice.records[i].record.owner, &duck);
    }
    ck_assert_uint_eq(count, 2); /* itself, and its bond */
}
END_TEST

static uint64_t records_of(struct node *node)
{
    struct agent_figures figures;

    agent_figures(node->agent, &figures);
    return figures.records;
}

/* What says that the bond is over is signed by a key that nobody tries after the third rotation. */
START_TEST(what_a_key_said_that_is_tried_no_more_is_let_go_of_at_both_ends)
{
    struct order end = {.kind = ORDER_UNPECK, .duckling = duck, .with = friend};
    uint64_t alice, bob;

    bond(pond, &duck, &friend);
    tick(pond, 1000);
    ck_assert_int_eq(order(pond, &pond->alice, &end)->code, REFUSAL_NONE);
    ck_assert_int_eq(rotate(NEXT, THIRD), REFUSAL_NONE);
    ck_assert_int_eq(rotate(THIRD, FOURTH), REFUSAL_NONE);
    tick(pond, 1000);
    alice = records_of(&pond->alice);
    bob = records_of(&pond->bob);
    ck_assert_int_eq(rotate(FOURTH, FOURTH + 1), REFUSAL_NONE);
    tick(pond, 1000);
    ck_assert_uint_eq(records_of(&pond->alice), alice - 1);
    ck_assert_uint_eq(records_of(&pond->bob), bob - 1);
}
END_TEST

static size_t hung_up(struct event *event)
{
    struct effects effects;
    size_t count = 0;

    effects_init(&effects);
    event->at = pond->at;
    agent_step(pond->bob.agent, event, &effects);
    for (size_t i = 0; i < effects.count; i++)
        count += effects.list[i].kind == EFFECT_HANG_UP &&
                 id_equal(&effects.list[i].hang_up.node, &event->node);
    effects_free(&effects);
    return count;
}

START_TEST(who_comes_up_under_an_outgrown_chain_is_hung_up_and_is_nobody)
{
    struct event up = {.kind = EVENT_LINK_UP, .node = {{7}}};
    struct agent_figures before, after;

    agent_figures(pond->bob.agent, &before);
    up.link.is_outgrown = true;
    ck_assert_uint_eq(hung_up(&up), 1);
    agent_figures(pond->bob.agent, &after);
    ck_assert_uint_eq(after.links, before.links);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_rotation");
    TCase *tests = tcase_create("rotation");
    SRunner *runner = srunner_create(suite);
    int failed;

    if (sodium_init() < 0)
        return 2;
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, the_promised_key_takes_over_and_the_bond_goes_on);
    tcase_add_test(tests, so_do_the_next_ones);
    tcase_add_test(tests, the_same_order_again_is_no_second_rotation);
    tcase_add_loop_test(tests, what_is_no_rotation_is_refused_and_changes_nothing, 0,
                        (int)(sizeof wrongs / sizeof *wrongs));
    tcase_add_test(tests, a_duckling_that_lives_elsewhere_is_not_rotated_here);
    tcase_add_test(tests, a_node_whose_key_is_not_kept_is_not_rotated);
    tcase_add_test(tests, a_chain_has_an_end);
    tcase_add_test(tests, the_thief_of_the_old_key_is_refused_where_the_rotation_is_known);
    tcase_add_test(tests, so_is_one_who_dates_back_and_is_not_the_ducks_node);
    tcase_add_test(tests, a_peck_that_waited_while_the_key_was_rotated_arrives);
    tcase_add_test(tests, a_rotation_that_is_seen_before_its_predecessor_counts);
    tcase_add_test(tests, a_peck_under_a_key_of_this_turn_waits_until_it_is_kept);
    tcase_add_test(tests, a_rotation_is_dated_behind_what_was_said_though_the_clock_was_put_back);
    tcase_add_test(tests, so_is_what_is_said_after_it);
    tcase_add_test(tests, what_a_key_said_that_is_tried_no_more_is_let_go_of_at_both_ends);
    tcase_add_test(tests, who_comes_up_under_an_outgrown_chain_is_hung_up_and_is_nobody);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
