/* Who was away hears another node before it takes anything. */
#include "core/agent_parts.h"
#include "two_agents.h"

static struct pond *pond;
static struct node carol, dora; /* known to both, and never linked */

static void set_up(void)
{
    pond = pond_new();
}

static void tear_down(void)
{
    pond_free(pond);
}

static bool waits(const struct id *from, enum event_kind kind)
{
    struct event event = {.kind = kind, .node = *from};

    return agent_hears_first(pond->bob.agent, &event);
}

static void link_again(void)
{
    tick(pond, SECOND_MS); /* what was compared lately is not compared again at once */
    link_both(pond, true);
}

/* Its node record comes to both. */
static void meet(struct node *node, uint8_t number)
{
    struct event event = {.kind = EVENT_RECORDS, .node = pond->alice.id};
    struct envelope envelope;

    memset(node, 0, sizeof *node);
    node_init(pond, node, number);
    ck_assert_uint_eq(node->record_count, 1);
    ck_assert_int_eq(
        envelope_parse(node->records[0].wire, ENVELOPE_RECORD, &node->memory, &envelope),
        ENVELOPE_TAKEN);
    ck_assert_int_eq(record_parse(envelope.body, &node->memory, &node->records[0].record),
                     RECORD_OK); /* what was kept of it borrowed from a turn that is over */
    event.records.items = node->records;
    event.records.count = 1;
    turn(pond, &pond->alice, &event);
    turn(pond, &pond->bob, &event);
}

static void meet_carol(void)
{
    link_both(pond, false);
    meet(&carol, 3);
    link_again();
}

static void hear(const struct id *node)
{
    agent_hear(pond->bob.agent, RECORD_SET_DIRECTORY, node, &pond->at);
}

START_TEST(a_first_life_has_missed_nothing)
{
    ck_assert(!waits(&pond->alice.id, EVENT_PECK));
}
END_TEST

START_TEST(without_a_link_pecks_and_answers_wait_and_nothing_else)
{
    link_both(pond, false);
    ck_assert(waits(&pond->alice.id, EVENT_PECK));
    ck_assert(waits(&pond->alice.id, EVENT_HELD));
    ck_assert(waits(&pond->alice.id, EVENT_RECEIPT));
    ck_assert(waits(&pond->alice.id, EVENT_PARTIAL));
    ck_assert(!waits(&pond->bob.id, EVENT_PECK)); /* between ducklings of one node */
    for (int kind = EVENT_LINK_UP; kind <= EVENT_TICK; kind++)
        if (kind != EVENT_PECK && kind != EVENT_HELD && kind != EVENT_RECEIPT &&
            kind != EVENT_PARTIAL)
            ck_assert_msg(!waits(&pond->alice.id, (enum event_kind)kind), "kind %d", kind);
}
END_TEST

START_TEST(the_word_of_the_only_other_node_has_to_do)
{
    link_both(pond, false);
    link_again();
    ck_assert(!waits(&pond->alice.id, EVENT_PECK));
}
END_TEST

START_TEST(a_comparison_that_is_not_answered_is_nobodys_word)
{
    link_both(pond, false);
    pond->lose = FRAME_RECONCILE;
    link_again();
    ck_assert(agent_hears_first(pond->alice.agent,
                                &(struct event){.kind = EVENT_PECK, .node = pond->bob.id}));
}
END_TEST

START_TEST(what_one_brings_waits_for_another_ones_word_for_so_long)
{
    meet_carol();
    ck_assert(!waits(&carol.id, EVENT_PECK)); /* alice has been heard */
    ck_assert(waits(&pond->alice.id, EVENT_PECK));
    ck_assert_uint_le(agent_wake_at_ms(pond->bob.agent, &pond->at),
                      pond->at.now_ms + HEARD_SECOND_MS);
    tick(pond, HEARD_SECOND_MS - 1);
    ck_assert(waits(&pond->alice.id, EVENT_PECK));
    tick(pond, 1);
    ck_assert(!waits(&pond->alice.id, EVENT_PECK));
    node_end(&carol);
}
END_TEST

/* Who stole a key makes up as many nodes as it likes. */
START_TEST(nodes_that_came_while_it_was_away_do_not_speak_for_each_other)
{
    link_both(pond, false);
    meet(&carol, 3);
    meet(&dora, 4);
    hear(&carol.id);
    hear(&dora.id);
    link_both(pond, false); /* a link that comes and goes makes nobody known */
    hear(&carol.id);
    hear(&dora.id);
    ck_assert(waits(&carol.id, EVENT_PECK));
    ck_assert(waits(&dora.id, EVENT_PECK));
    hear(&pond->alice.id);
    ck_assert(!waits(&carol.id, EVENT_PECK));
    ck_assert(waits(&pond->alice.id, EVENT_PECK));
    hear(&carol.id);
    ck_assert(waits(&pond->alice.id, EVENT_PECK));
    node_end(&carol);
    node_end(&dora);
}
END_TEST

START_TEST(where_only_strangers_speak_their_word_has_to_do_in_the_end)
{
    link_both(pond, false);
    meet(&carol, 3);
    meet(&dora, 4);
    hear(&carol.id);
    ck_assert_uint_le(agent_wake_at_ms(pond->bob.agent, &pond->at),
                      pond->at.now_ms + HEARD_STRANGERS_MS);
    tick(pond, HEARD_SECOND_MS);
    ck_assert(waits(&dora.id, EVENT_PECK));
    tick(pond, HEARD_STRANGERS_MS - HEARD_SECOND_MS);
    ck_assert(!waits(&dora.id, EVENT_PECK));
    node_end(&carol);
    node_end(&dora);
}
END_TEST

/* Its links may look well when it wakes, and nobody has told it anything meanwhile. */
START_TEST(whose_host_slept_hears_the_others_again)
{
    tick(pond, SECOND_MS);
    ck_assert(!waits(&pond->alice.id, EVENT_PECK));
    pond->at.wall_ms += HOUR_MS;
    agent_notice_time(pond->bob.agent, &pond->at);
    ck_assert(waits(&pond->alice.id, EVENT_PECK));
    tick(pond, SECOND_MS);
    ck_assert(!waits(&pond->alice.id, EVENT_PECK));
}
END_TEST

START_TEST(that_nobody_answers_is_said_once)
{
    link_both(pond, false);
    tick(pond, 2 * HEARD_LATE_MS);
    ck_assert_uint_eq(pond->bob.warnings, 0); /* there is no link */
    pond->linked = false;
    turn(pond, &pond->bob, &(struct event){.kind = EVENT_LINK_UP, .node = pond->alice.id});
    tick(pond, HEARD_LATE_MS - 1);
    ck_assert_uint_eq(pond->bob.warnings, 0);
    ck_assert_uint_le(agent_wake_at_ms(pond->bob.agent, &pond->at), pond->at.now_ms + 1);
    tick(pond, 1);
    ck_assert_uint_eq(pond->bob.warnings, 1);
    tick(pond, 10 * HEARD_LATE_MS);
    ck_assert_uint_eq(pond->bob.warnings, 1);
    ck_assert(waits(&pond->alice.id, EVENT_PECK));
}
END_TEST

/* Some was dropped while it waited: so the peck is said again, and its answer comes again. */
START_TEST(answers_that_were_lost_meanwhile_are_asked_for)
{
    struct id asker = hatch(pond, &pond->alice, 10), target = hatch(pond, &pond->bob, 20);
    struct order send = action(&asker, &target);
    size_t before;

    ck_assert_int_eq(order(pond, &pond->alice, &send)->code, REFUSAL_NONE);
    link_both(pond, false);
    before = pond->carried[FRAME_PECK];
    agent_note_lost(pond->alice.agent);
    link_again();
    tick(pond, 1);
    ck_assert_uint_eq(pond->carried[FRAME_PECK], before + 2); /* for the link, and for that */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent hearing");
    TCase *tests = tcase_create("hearing");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_first_life_has_missed_nothing);
    tcase_add_test(tests, without_a_link_pecks_and_answers_wait_and_nothing_else);
    tcase_add_test(tests, the_word_of_the_only_other_node_has_to_do);
    tcase_add_test(tests, a_comparison_that_is_not_answered_is_nobodys_word);
    tcase_add_test(tests, what_one_brings_waits_for_another_ones_word_for_so_long);
    tcase_add_test(tests, nodes_that_came_while_it_was_away_do_not_speak_for_each_other);
    tcase_add_test(tests, where_only_strangers_speak_their_word_has_to_do_in_the_end);
    tcase_add_test(tests, whose_host_slept_hears_the_others_again);
    tcase_add_test(tests, that_nobody_answers_is_said_once);
    tcase_add_test(tests, answers_that_were_lost_meanwhile_are_asked_for);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
