/* Stories of two whole agents: pecks that are taken back. */
#include "core/frame.h"
#include "two_agents.h"

struct play {
    struct pond *pond;
    struct id duck, friend, peck;
};

static struct play play_new(bool is_bonded)
{
    struct play play = {.pond = pond_new()};
    struct order send;

    play.duck = hatch(play.pond, &play.pond->alice, 10);
    play.friend = hatch(play.pond, &play.pond->bob, 20);
    if (is_bonded)
        bond(play.pond, &play.duck, &play.friend);
    send = action(&play.duck, &play.friend);
    play.peck = order(play.pond, &play.pond->alice, &send)->peck;
    return play;
}

static const struct reply *cancel(struct play *play)
{
    struct order cancel = {.kind = ORDER_CANCEL, .duckling = play->duck, .peck = play->peck};

    return order(play->pond, &play->pond->alice, &cancel);
}

static enum refusal_code answer(struct play *play)
{
    struct order answer = {.kind = ORDER_ANSWER,
                           .duckling = play->friend,
                           .peck = play->peck,
                           .result = bytes_of_text("1")};

    answer.held.found = true;
    return order(play->pond, &play->pond->bob, &answer)->code;
}

static struct kept_peck *sent(struct play *play)
{
    return find(&play->pond->alice, BOX_OUT, &play->peck);
}

static struct kept_peck *received(struct play *play)
{
    return find(&play->pond->bob, BOX_IN, &play->peck);
}

START_TEST(what_was_taken_is_ended_at_its_target_and_that_signs_it)
{
    struct play play = play_new(true);

    ck_assert_int_eq(cancel(&play)->code, REFUSAL_NONE);
    ck_assert_int_eq(received(&play)->state, PECK_CANCELLED);
    ck_assert_int_eq(sent(&play)->state, PECK_CANCELLED);
    ck_assert_uint_gt(sent(&play)->receipts[1].size, 0);
    ck_assert_int_eq(answer(&play), REFUSAL_CONFLICT);
    pond_free(play.pond);
}
END_TEST

START_TEST(an_agent_that_has_it_hears_that_it_is_done_and_is_not_handed_it_again)
{
    struct play play = play_new(true);
    struct order take = {
        .kind = ORDER_TAKE, .duckling = play.friend, .limit = 5, .lease_ms = LEASE_MIN_MS};

    ck_assert_uint_eq(order(play.pond, &play.pond->bob, &take)->taken_count, 1);
    cancel(&play);
    ck_assert_int_eq(answer(&play), REFUSAL_CONFLICT);
    tick(play.pond, LEASE_MIN_MS + 1);
    ck_assert_uint_eq(order(play.pond, &play.pond->bob, &take)->taken_count, 0);
    pond_free(play.pond);
}
END_TEST

START_TEST(what_waits_for_its_owner_is_taken_back_too)
{
    struct play play = play_new(false);
    struct order approve = {.kind = ORDER_APPROVE, .duckling = play.friend, .peck = play.peck};

    ck_assert_int_eq(sent(&play)->state, PECK_PENDING);
    ck_assert_int_eq(cancel(&play)->code, REFUSAL_NONE);
    ck_assert_int_eq(sent(&play)->state, PECK_CANCELLED);
    approve.held.found = true;
    ck_assert_int_eq(order(play.pond, &play.pond->bob, &approve)->code, REFUSAL_CONFLICT);
    pond_free(play.pond);
}
END_TEST

START_TEST(what_its_target_has_not_taken_is_taken_back_at_once)
{
    struct play play = {.pond = pond_new()};
    struct order send;

    play.duck = hatch(play.pond, &play.pond->alice, 10);
    play.friend = hatch(play.pond, &play.pond->bob, 20);
    link_both(play.pond, false);
    send = action(&play.duck, &play.friend);
    play.peck = order(play.pond, &play.pond->alice, &send)->peck;
    ck_assert_int_eq(cancel(&play)->state, PECK_CANCELLED);
    ck_assert_int_eq(sent(&play)->state, PECK_CANCELLED);
    link_both(play.pond, true);
    tick(play.pond, MINUTE_MS);
    ck_assert_ptr_null(received(&play));
    pond_free(play.pond);
}
END_TEST

/* The peck is on its way, or was; the next frame of this kind is lost. */
static struct play play_lost(int kind)
{
    struct play play = play_new(true);
    struct order send = action(&play.duck, &play.friend);

    play.pond->lose = kind;
    play.peck = order(play.pond, &play.pond->alice, &send)->peck;
    ck_assert_int_eq(sent(&play)->state, PECK_SENT);
    return play;
}

START_TEST(what_was_taken_though_its_receipt_was_lost_is_ended_there)
{
    struct play play = play_lost(FRAME_RECEIPT);

    ck_assert_int_eq(received(&play)->state, PECK_TAKEN);
    ck_assert_int_eq(cancel(&play)->code, REFUSAL_NONE);
    tick(play.pond, 1);
    ck_assert_int_eq(received(&play)->state, PECK_CANCELLED);
    ck_assert_int_eq(sent(&play)->state, PECK_CANCELLED);
    ck_assert_int_eq(answer(&play), REFUSAL_CONFLICT);
    pond_free(play.pond);
}
END_TEST

START_TEST(what_was_answered_while_nobody_heard_stands)
{
    struct play play = play_lost(FRAME_RECEIPT);

    play.pond->lose = FRAME_RECEIPT;
    ck_assert_int_eq(answer(&play), REFUSAL_NONE);
    ck_assert_int_eq(cancel(&play)->code, REFUSAL_NONE);
    tick(play.pond, 1);
    ck_assert_int_eq(received(&play)->state, PECK_ANSWERED);
    ck_assert_int_eq(sent(&play)->state, PECK_ANSWERED);
    pond_free(play.pond);
}
END_TEST

START_TEST(what_was_lost_on_its_way_is_taken_back_when_its_target_says_so)
{
    struct play play = play_lost(FRAME_PECK);

    link_both(play.pond, false);
    ck_assert_int_eq(cancel(&play)->state, PECK_SENT);
    tick(play.pond, MINUTE_MS);
    ck_assert_int_eq(sent(&play)->state, PECK_SENT); /* who knows? */
    link_both(play.pond, true);
    tick(play.pond, 10);
    ck_assert_ptr_null(received(&play));
    ck_assert_int_eq(sent(&play)->state, PECK_CANCELLED);
    pond_free(play.pond);
}
END_TEST

/* A node that refuses as cancelled what nobody took back refuses, and no more. */
START_TEST(a_refusal_that_says_cancelled_is_believed_of_what_was_taken_back_only)
{
    struct play play = play_lost(FRAME_PECK);
    struct event event = {.kind = EVENT_REFUSAL, .node = play.pond->bob.id};

    event.refusal.peck = play.peck;
    event.refusal.code = bytes_of_text("cancelled");
    event.refusal.reason = bytes_of_text("so it says");
    event.refusal.final = true;
    turn(play.pond, &play.pond->alice, &event);
    ck_assert_int_eq(sent(&play)->state, PECK_FAILED);
    pond_free(play.pond);
}
END_TEST

START_TEST(while_the_target_is_away_it_goes_on_to_be_asked)
{
    struct play play = play_new(true);

    link_both(play.pond, false);
    ck_assert_int_eq(cancel(&play)->state, PECK_TAKEN);
    ck_assert_int_eq(sent(&play)->state, PECK_TAKEN);
    tick(play.pond, MINUTE_MS);
    link_both(play.pond, true);
    tick(play.pond, 10);
    ck_assert_int_eq(received(&play)->state, PECK_CANCELLED);
    ck_assert_int_eq(sent(&play)->state, PECK_CANCELLED);
    pond_free(play.pond);
}
END_TEST

START_TEST(a_question_that_was_lost_is_asked_again)
{
    struct play play = play_new(true);

    play.pond->lose = FRAME_PECK;
    cancel(&play);
    ck_assert_int_eq(received(&play)->state, PECK_TAKEN);
    tick(play.pond, 2 * RESEND_FIRST_MS + 1);
    ck_assert_int_eq(sent(&play)->state, PECK_CANCELLED);
    pond_free(play.pond);
}
END_TEST

START_TEST(what_was_answered_first_stands)
{
    struct play play = play_new(true);

    link_both(play.pond, false);
    ck_assert_int_eq(answer(&play), REFUSAL_NONE);
    ck_assert_int_eq(cancel(&play)->code, REFUSAL_NONE);
    link_both(play.pond, true);
    tick(play.pond, 10);
    ck_assert_int_eq(received(&play)->state, PECK_ANSWERED);
    ck_assert_int_eq(sent(&play)->state, PECK_ANSWERED);
    pond_free(play.pond);
}
END_TEST

START_TEST(parts_that_were_said_before_come_before_the_end)
{
    struct play play = play_new(true);
    struct order partial = {.kind = ORDER_PARTIAL, .peck = play.peck, .result = bytes_of_text("1")};

    play.pond->lose = FRAME_PARTIAL;
    ck_assert_int_eq(order(play.pond, &play.pond->bob, &partial)->code, REFUSAL_NONE);
    cancel(&play);
    ck_assert_int_eq(received(&play)->state, PECK_CANCELLED);
    tick(play.pond, 2 * RESEND_FIRST_MS + 1);
    ck_assert_uint_eq(sent(&play)->partial_count, 1);
    ck_assert_int_eq(sent(&play)->state, PECK_CANCELLED);
    pond_free(play.pond);
}
END_TEST

START_TEST(nobody_else_takes_a_peck_back)
{
    struct play play = play_new(true);
    struct order cancel = {.kind = ORDER_CANCEL, .peck = play.peck};
    struct event event = {.kind = EVENT_PECK};
    struct envelope envelope;
    struct arena arena;

    cancel.duckling = hatch(play.pond, &play.pond->alice, 30);
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &cancel)->code, REFUSAL_NOT_ALLOWED);
    /* Whoever holds the signed peck sends it with the mark, from a node where the sender does not live. */
    arena_init(&arena, MIB);
    ck_assert_int_eq(envelope_parse(sent(&play)->wire, ENVELOPE_PECK, &arena, &envelope),
                     ENVELOPE_TAKEN);
    ck_assert_int_eq(peck_parse(envelope.body, &arena, &event.peck.peck), PECK_OK);
    event.node = play.pond->bob.id;
    event.peck.known = event.peck.cancelled = true;
    turn(play.pond, &play.pond->bob, &event);
    ck_assert_int_eq(received(&play)->state, PECK_TAKEN);
    event.node = play.pond->alice.id;
    turn(play.pond, &play.pond->bob, &event);
    ck_assert_int_eq(received(&play)->state, PECK_CANCELLED);
    ck_assert_int_eq(sent(&play)->state, PECK_TAKEN); /* and nobody asked for it there */
    arena_free(&arena);
    pond_free(play.pond);
}
END_TEST

START_TEST(a_peck_that_is_not_known_and_taken_back_is_not_taken)
{
    struct play play = play_new(true);

    received(&play)->id = (struct id){{1}}; /* bob's node has forgotten it */
    ck_assert_int_eq(cancel(&play)->code, REFUSAL_NONE);
    ck_assert_ptr_null(received(&play));
    ck_assert_int_eq(sent(&play)->state, PECK_TAKEN);
    pond_free(play.pond);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_cancel");
    TCase *stories = tcase_create("stories");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(stories, what_was_taken_is_ended_at_its_target_and_that_signs_it);
    tcase_add_test(stories, an_agent_that_has_it_hears_that_it_is_done_and_is_not_handed_it_again);
    tcase_add_test(stories, what_waits_for_its_owner_is_taken_back_too);
    tcase_add_test(stories, what_its_target_has_not_taken_is_taken_back_at_once);
    tcase_add_test(stories, what_was_taken_though_its_receipt_was_lost_is_ended_there);
    tcase_add_test(stories, what_was_answered_while_nobody_heard_stands);
    tcase_add_test(stories, what_was_lost_on_its_way_is_taken_back_when_its_target_says_so);
    tcase_add_test(stories, a_refusal_that_says_cancelled_is_believed_of_what_was_taken_back_only);
    tcase_add_test(stories, while_the_target_is_away_it_goes_on_to_be_asked);
    tcase_add_test(stories, a_question_that_was_lost_is_asked_again);
    tcase_add_test(stories, what_was_answered_first_stands);
    tcase_add_test(stories, parts_that_were_said_before_come_before_the_end);
    tcase_add_test(stories, nobody_else_takes_a_peck_back);
    tcase_add_test(stories, a_peck_that_is_not_known_and_taken_back_is_not_taken);
    suite_add_tcase(suite, stories);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
