/* Stories of two whole agents: pecks, receipts, bonds. */
#include "two_agents.h"

/* ---- stories ---- */

START_TEST(an_action_without_a_bond_waits_for_the_owner)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order send = action(&duck, &friend);
    struct order take = {.kind = ORDER_TAKE, .duckling = friend, .limit = 5};
    const struct reply *reply = order(pond, &pond->alice, &send);
    struct id peck = reply->peck;

    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &peck)->state, PECK_PENDING);
    ck_assert_int_eq(find(&pond->bob, BOX_IN, &peck)->state, PECK_PENDING);
    ck_assert_uint_eq(order(pond, &pond->bob, &take)->taken_count, 0);
    pond_free(pond);
}
END_TEST

START_TEST(an_approved_action_runs_once_and_its_answer_comes_back)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order send = action(&duck, &friend);
    struct id peck = order(pond, &pond->alice, &send)->peck;
    struct order approve = {.kind = ORDER_APPROVE, .duckling = friend, .peck = peck};
    struct order take = {.kind = ORDER_TAKE, .duckling = friend, .limit = 5};
    struct order answer = {.kind = ORDER_ANSWER,
                           .duckling = friend,
                           .peck = peck,
                           .result = bytes_of_text("{\"ok\":true}")};
    const struct reply *reply;

    ck_assert_int_eq(order(pond, &pond->bob, &approve)->code, REFUSAL_NONE);
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &peck)->state, PECK_APPROVED);
    ck_assert_int_eq(order(pond, &pond->bob, &approve)->code, REFUSAL_CONFLICT);
    reply = order(pond, &pond->bob, &take);
    ck_assert_uint_eq(reply->taken_count, 1);
    ck_assert(id_equal(&reply->taken[0], &peck));
    ck_assert_uint_eq(order(pond, &pond->bob, &take)->taken_count, 0);
    ck_assert_int_eq(order(pond, &pond->bob, &answer)->code, REFUSAL_NONE);
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &peck)->state, PECK_ANSWERED);
    ck_assert_uint_gt(find(&pond->alice, BOX_OUT, &peck)->receipts[1].size, 0);
    answer.held.found = true;
    ck_assert_int_eq(order(pond, &pond->bob, &answer)->code, REFUSAL_CONFLICT);
    pond_free(pond);
}
END_TEST

START_TEST(a_denied_peck_ends_with_a_signed_receipt)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order send = action(&duck, &friend);
    struct id peck = order(pond, &pond->alice, &send)->peck;
    struct order deny = {.kind = ORDER_DENY,
                         .duckling = friend,
                         .peck = peck,
                         .problem = bytes_of_text("not today")};

    ck_assert_int_eq(order(pond, &pond->bob, &deny)->code, REFUSAL_NONE);
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &peck)->state, PECK_DENIED);
    ck_assert_uint_gt(find(&pond->alice, BOX_OUT, &peck)->receipts[1].size, 0);
    pond_free(pond);
}
END_TEST

START_TEST(a_bond_lets_its_requester_act_within_its_scopes_and_nobody_else)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct id stranger = hatch(pond, &pond->alice, 30);
    struct order send, back;
    struct id peck;

    bond(pond, &duck, &friend);
    ck_assert_uint_eq(pond->alice.bonds_made, 1);
    ck_assert_uint_eq(pond->bob.bonds_made, 1);
    send = action(&duck, &friend);
    peck = order(pond, &pond->alice, &send)->peck;
    ck_assert_int_eq(find(&pond->bob, BOX_IN, &peck)->state, PECK_TAKEN);
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &peck)->state, PECK_TAKEN);
    send.send.action = bytes_of_text("delete");
    peck = order(pond, &pond->alice, &send)->peck;
    ck_assert_int_eq(find(&pond->bob, BOX_IN, &peck)->state, PECK_PENDING);
    send = action(&stranger, &friend);
    peck = order(pond, &pond->alice, &send)->peck;
    ck_assert_int_eq(find(&pond->bob, BOX_IN, &peck)->state, PECK_PENDING);
    back = action(&friend, &duck); /* the approver gained nothing over the requester */
    peck = order(pond, &pond->bob, &back)->peck;
    ck_assert_int_eq(find(&pond->alice, BOX_IN, &peck)->state, PECK_PENDING);
    pond_free(pond);
}
END_TEST

START_TEST(unpeck_ends_the_bond_at_once)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order end = {.kind = ORDER_UNPECK, .duckling = friend};
    struct order send;
    struct id peck;

    end.bond = bond(pond, &duck, &friend);
    ck_assert_int_eq(order(pond, &pond->bob, &end)->code, REFUSAL_NONE);
    send = action(&duck, &friend);
    peck = order(pond, &pond->alice, &send)->peck;
    ck_assert_int_eq(find(&pond->bob, BOX_IN, &peck)->state, PECK_PENDING);
    ck_assert_int_eq(order(pond, &pond->bob, &end)->code, REFUSAL_NOT_FOUND);
    pond_free(pond);
}
END_TEST

START_TEST(unpeck_of_a_duckling_ends_every_bond_with_it)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order end = {.kind = ORDER_UNPECK, .duckling = friend, .with = duck};
    struct order send = action(&duck, &friend);
    struct id peck;

    bond(pond, &duck, &friend);
    bond(pond, &duck, &friend);
    ck_assert_int_eq(order(pond, &pond->bob, &end)->code, REFUSAL_NONE);
    peck = order(pond, &pond->alice, &send)->peck;
    ck_assert_int_eq(find(&pond->bob, BOX_IN, &peck)->state, PECK_PENDING);
    ck_assert_int_eq(order(pond, &pond->bob, &end)->code, REFUSAL_NOT_FOUND);
    pond_free(pond);
}
END_TEST

static size_t bonds_of(const struct node *node)
{
    struct agent_figures figures;

    agent_figures(node->agent, &figures);
    return figures.bonds;
}

START_TEST(whoever_ends_a_bond_the_other_end_hears_of_it)
{
    for (int by_approver = 0; by_approver < 2; by_approver++) {
        struct pond *pond = pond_new();
        struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
        struct node *ender = by_approver ? &pond->bob : &pond->alice;
        struct order end = {.kind = ORDER_UNPECK};

        end.duckling = by_approver ? friend : duck;
        end.bond = bond(pond, &duck, &friend);
        ck_assert_uint_eq(bonds_of(&pond->alice), 1);
        ck_assert_int_eq(order(pond, ender, &end)->code, REFUSAL_NONE);
        for (int i = 0; i < 2; i++) {
            struct node *node = i ? &pond->bob : &pond->alice;

            ck_assert_uint_eq(bonds_of(node), 0);
            ck_assert_uint_eq(node->bonds_ended, 1);
            ck_assert_uint_eq(node->ends_told, 1);
        }
        pond_free(pond);
    }
}
END_TEST

START_TEST(who_was_away_hears_of_the_end_when_it_is_back)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order end = {.kind = ORDER_UNPECK, .duckling = friend, .with = duck};

    bond(pond, &duck, &friend);
    bond(pond, &duck, &friend);
    link_both(pond, false);
    ck_assert_int_eq(order(pond, &pond->bob, &end)->code, REFUSAL_NONE);
    tick(pond, DAY_MS);
    ck_assert_uint_eq(bonds_of(&pond->alice), 2);
    link_both(pond, true);
    ck_assert_uint_eq(bonds_of(&pond->alice), 0);
    pond_free(pond);
}
END_TEST

/* The clocks of two nodes need not agree: the deletion names the bond. */
START_TEST(the_end_of_a_bond_is_heard_from_a_clock_that_is_behind)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order ask = {.kind = ORDER_SEND, .duckling = duck};
    struct order approve = {.kind = ORDER_APPROVE, .duckling = friend};
    struct order end = {.kind = ORDER_UNPECK, .duckling = duck};
    struct bytes scope = bytes_of_text("query");

    ask.send.from = duck;
    ask.send.to = friend;
    ask.send.kind = PECK_BOND_REQUEST;
    ask.send.scopes[0] = scope;
    ask.send.scope_count = 1;
    approve.peck = order(pond, &pond->alice, &ask)->peck;
    approve.scopes = &scope;
    approve.scope_count = 1;
    link_both(pond, false);
    pond->at.wall_ms += 4 * MINUTE_MS; /* bob's clock is ahead when he approves */
    end.bond = order(pond, &pond->bob, &approve)->bond;
    pond->at.wall_ms -= 4 * MINUTE_MS;
    link_both(pond, true);
    tick(pond, RESEND_MAX_MS);
    ck_assert_uint_eq(bonds_of(&pond->alice), 1);
    ck_assert_int_eq(order(pond, &pond->alice, &end)->code, REFUSAL_NONE);
    ck_assert_uint_eq(bonds_of(&pond->bob), 0);
    pond_free(pond);
}
END_TEST

START_TEST(ducklings_bond_anew_after_an_end)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order end = {.kind = ORDER_UNPECK, .duckling = friend, .with = duck};
    struct order send = action(&duck, &friend);
    struct id peck;

    bond(pond, &duck, &friend);
    ck_assert_int_eq(order(pond, &pond->bob, &end)->code, REFUSAL_NONE);
    tick(pond, 1);
    bond(pond, &duck, &friend);
    link_both(pond, false);
    link_both(pond, true); /* all records are compared again */
    ck_assert_uint_eq(bonds_of(&pond->alice), 1);
    ck_assert_uint_eq(bonds_of(&pond->bob), 1);
    peck = order(pond, &pond->alice, &send)->peck;
    ck_assert_int_eq(find(&pond->bob, BOX_IN, &peck)->state, PECK_TAKEN);
    pond_free(pond);
}
END_TEST

START_TEST(a_third_duckling_has_no_word_in_a_bond)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct id third = hatch(pond, &pond->bob, 21);
    struct order end = {.kind = ORDER_UNPECK, .duckling = third, .with = duck};

    bond(pond, &duck, &third);
    bond(pond, &duck, &friend);
    ck_assert_int_eq(order(pond, &pond->bob, &end)->code, REFUSAL_NONE);
    ck_assert_uint_eq(bonds_of(&pond->alice), 1);
    ck_assert_uint_eq(bonds_of(&pond->bob), 1);
    pond_free(pond);
}
END_TEST

START_TEST(a_bond_whose_end_has_come_is_gone_at_both_ends)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    uint64_t wake_ms;

    bond(pond, &duck, &friend);
    pond->at.now_ms += BOND_LIFE_MS - 1;
    pond->at.wall_ms += BOND_LIFE_MS - 1;
    tick(pond, 0);
    ck_assert_uint_eq(bonds_of(&pond->alice), 1);
    wake_ms = agent_wake_at_ms(pond->alice.agent, &pond->at);
    ck_assert_uint_le(wake_ms, pond->at.now_ms + 1);
    tick(pond, 1);
    for (int i = 0; i < 2; i++) {
        struct node *node = i ? &pond->bob : &pond->alice;

        ck_assert_uint_eq(bonds_of(node), 0);
        ck_assert_uint_eq(node->bonds_ended, 1);
        ck_assert_uint_eq(node->ends_told, 1);
    }
    pond_free(pond);
}
END_TEST

/* Attestations that `node` signed, deletions left out; and in all those that it holds of others. */
static size_t attestations_of(const struct node *node, const struct id *owner)
{
    size_t count = 0;

    for (size_t i = 0; i < node->record_count; i++)
        count += node->records[i].record.kind == RECORD_ATTESTATION &&
                 !node->records[i].record.deleted &&
                 id_equal(&node->records[i].record.owner, owner);
    return count;
}

START_TEST(the_attestations_of_a_bond_are_renewed_while_it_stands_and_no_longer)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order end = {.kind = ORDER_UNPECK, .duckling = duck};
    uint64_t due_ms = pond->at.now_ms + RECORD_REFRESH_MS;

    end.bond = bond(pond, &duck, &friend);
    tick(pond, RECORD_REFRESH_MS - HOUR_MS - 1);
    ck_assert_uint_eq(attestations_of(&pond->bob, &duck), 1);
    ck_assert_uint_le(agent_wake_at_ms(pond->alice.agent, &pond->at), due_ms + BONDS_LOOK_MS);
    tick(pond, HOUR_MS + BONDS_LOOK_MS);
    tick(pond, 1);
    ck_assert_uint_eq(attestations_of(&pond->bob, &duck), 2);
    ck_assert_uint_eq(attestations_of(&pond->alice, &friend), 2);
    ck_assert_int_eq(order(pond, &pond->alice, &end)->code, REFUSAL_NONE);
    tick(pond, RECORD_REFRESH_MS + BONDS_LOOK_MS);
    tick(pond, 1);
    ck_assert_uint_eq(attestations_of(&pond->bob, &duck), 2);
    ck_assert_uint_eq(attestations_of(&pond->alice, &friend), 2);
    pond_free(pond);
}
END_TEST

/* The deletion lives seven days: who is away for longer does not find it. */
START_TEST(who_was_away_for_too_long_hears_of_the_end_by_its_next_peck)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order end = {.kind = ORDER_UNPECK, .duckling = friend, .with = duck};
    struct order send = action(&duck, &friend);
    struct id peck;

    bond(pond, &duck, &friend);
    link_both(pond, false);
    ck_assert_int_eq(order(pond, &pond->bob, &end)->code, REFUSAL_NONE);
    tick(pond, RECORD_LIFE_MAX_MS + MINUTE_MS);
    link_both(pond, true);
    ck_assert_uint_eq(bonds_of(&pond->alice), 1);
    peck = order(pond, &pond->alice, &send)->peck;
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &peck)->state, PECK_PENDING);
    ck_assert_uint_eq(bonds_of(&pond->alice), 0);
    ck_assert_uint_eq(pond->alice.bonds_ended, 1);
    ck_assert_uint_eq(pond->alice.ends_told, 1);
    pond_free(pond);
}
END_TEST

/* It waits, but not because a bond is missing: the peck was made before there was one. */
START_TEST(a_peck_that_waits_from_before_the_bond_ends_no_bond)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order send = action(&duck, &friend);
    struct id peck;

    link_both(pond, false);
    peck = order(pond, &pond->alice, &send)->peck;
    link_both(pond, true);
    tick(pond, RESEND_FIRST_MS);
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &peck)->state, PECK_PENDING);
    bond(pond, &duck, &friend);
    send.send.action = bytes_of_text("delete"); /* out of the bond's scopes */
    peck = order(pond, &pond->alice, &send)->peck;
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &peck)->state, PECK_PENDING);
    tick(pond, RESEND_MAX_MS);
    ck_assert_uint_eq(bonds_of(&pond->alice), 1);
    pond_free(pond);
}
END_TEST

START_TEST(an_action_is_not_approved_as_a_bond)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order send = action(&duck, &friend);
    struct bytes scope = bytes_of_text("*");
    struct order approve = {
        .kind = ORDER_APPROVE, .duckling = friend, .scopes = &scope, .scope_count = 1};

    approve.peck = order(pond, &pond->alice, &send)->peck;
    ck_assert_int_eq(order(pond, &pond->bob, &approve)->code, REFUSAL_MALFORMED);
    ck_assert_int_eq(find(&pond->bob, BOX_IN, &approve.peck)->state, PECK_PENDING);
    pond_free(pond);
}
END_TEST

START_TEST(a_peck_to_an_away_node_goes_out_when_it_is_back)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order send = action(&duck, &friend);
    struct id peck;

    bond(pond, &duck, &friend);
    link_both(pond, false);
    peck = order(pond, &pond->alice, &send)->peck;
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &peck)->state, PECK_QUEUED);
    tick(pond, 10000);
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &peck)->state, PECK_QUEUED);
    link_both(pond, true);
    tick(pond, 10);
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &peck)->state, PECK_TAKEN);
    pond_free(pond);
}
END_TEST

START_TEST(a_receipt_that_was_lost_is_asked_for_again_and_the_peck_is_stored_once)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order send = action(&duck, &friend);
    struct id peck;

    bond(pond, &duck, &friend);
    pond->turn_a_bit = FRAME_RECEIPT;
    peck = order(pond, &pond->alice, &send)->peck;
    ck_assert_uint_eq(pond->alice.refused_frames, 1);
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &peck)->state, PECK_SENT);
    ck_assert_int_eq(find(&pond->bob, BOX_IN, &peck)->state, PECK_TAKEN);
    tick(pond, RESEND_FIRST_MS + 1);
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &peck)->state, PECK_TAKEN);
    pond_free(pond);
}
END_TEST

/* `done` outranks `taken`: what is answered was taken, and nothing more is asked. */
START_TEST(a_done_whose_taken_was_lost_ends_the_peck)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order send = action(&duck, &friend);
    struct order answer = {.kind = ORDER_ANSWER, .duckling = friend, .result = bytes_of_text("1")};
    struct kept_peck *sent;
    size_t receipts;

    bond(pond, &duck, &friend);
    pond->lose = FRAME_RECEIPT;
    answer.peck = order(pond, &pond->alice, &send)->peck;
    sent = find(&pond->alice, BOX_OUT, &answer.peck);
    ck_assert_int_eq(sent->state, PECK_SENT);
    ck_assert_int_eq(order(pond, &pond->bob, &answer)->code, REFUSAL_NONE);
    ck_assert_int_eq(sent->state, PECK_ANSWERED);
    receipts = pond->carried[FRAME_RECEIPT];
    tick(pond, RESEND_FIRST_MS + 1);
    link_both(pond, false);
    link_both(pond, true);
    tick(pond, RESEND_MAX_MS);
    ck_assert_int_eq(sent->state, PECK_ANSWERED);
    ck_assert_uint_eq(pond->carried[FRAME_RECEIPT], receipts);
    pond_free(pond);
}
END_TEST

/* The longest that the wire lets through, in characters of two and three bytes. */
START_TEST(a_long_reason_of_another_node_is_cut_between_characters)
{
    static const char *const characters[] = {"\xC3\xA9", "\xE2\x82\xAC"};
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order send = action(&duck, &friend);

    for (size_t i = 0; i < 2; i++) {
        char reason[RECEIPT_PROBLEM_MAX + 1] = "";
        struct event event = {.kind = EVENT_REFUSAL, .at = pond->at, .node = pond->bob.id};
        struct kept_peck *sent;

        while (strlen(reason) + strlen(characters[i]) <= RECEIPT_PROBLEM_MAX)
            strcat(reason, characters[i]);
        pond->lose = FRAME_PECK;
        event.refusal.peck = order(pond, &pond->alice, &send)->peck;
        event.refusal.code = bytes_of_text("busy");
        event.refusal.reason = bytes_of_text(reason);
        event.refusal.final = true;
        turn(pond, &pond->alice, &event);
        sent = find(&pond->alice, BOX_OUT, &event.refusal.peck);
        ck_assert_int_eq(sent->state, PECK_FAILED);
        ck_assert(bytes_are_text(sent->problem, false));
        ck_assert_uint_le(sent->problem.size, RECEIPT_PROBLEM_MAX);
        ck_assert_uint_ge(sent->problem.size, RECEIPT_PROBLEM_MAX - 2);
    }
    pond_free(pond);
}
END_TEST

START_TEST(an_answer_given_while_the_link_was_down_arrives_when_it_is_up)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order send = action(&duck, &friend);
    struct order answer = {.kind = ORDER_ANSWER, .duckling = friend, .result = bytes_of_text("1")};

    bond(pond, &duck, &friend);
    answer.peck = order(pond, &pond->alice, &send)->peck;
    link_both(pond, false);
    ck_assert_int_eq(order(pond, &pond->bob, &answer)->code, REFUSAL_NONE);
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &answer.peck)->state, PECK_TAKEN);
    link_both(pond, true);
    tick(pond, 10);
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &answer.peck)->state, PECK_ANSWERED);
    pond_free(pond);
}
END_TEST

START_TEST(a_peck_with_a_turned_bit_is_refused_with_its_reason)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order send = action(&duck, &friend);
    struct id peck;

    pond->turn_a_bit = FRAME_PECK;
    peck = order(pond, &pond->alice, &send)->peck;
    ck_assert_ptr_null(find(&pond->bob, BOX_IN, &peck));
    ck_assert_uint_eq(pond->bob.refused_frames, 1);
    ck_assert_int_eq(pond->bob.last_refusal, INTAKE_BAD_SIGNATURE);
    ck_assert_uint_gt(strlen(pond->bob.last_reason), 0);
    pond_free(pond);
}
END_TEST

START_TEST(a_peck_expires_on_both_sides_when_nobody_decides)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order send = action(&duck, &friend);
    struct id peck = order(pond, &pond->alice, &send)->peck;

    tick(pond, PECK_APPROVAL_MS - 1);
    ck_assert_int_eq(find(&pond->bob, BOX_IN, &peck)->state, PECK_PENDING);
    tick(pond, 2);
    ck_assert_int_eq(find(&pond->bob, BOX_IN, &peck)->state, PECK_EXPIRED);
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &peck)->state, PECK_EXPIRED);
    ck_assert_uint_gt(find(&pond->alice, BOX_OUT, &peck)->receipts[1].size, 0);
    pond_free(pond);
}
END_TEST

START_TEST(an_agent_that_died_lets_its_peck_be_handed_out_again)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order send = action(&duck, &friend);
    struct order take = {.kind = ORDER_TAKE, .duckling = friend, .limit = 5, .lease_ms = 2000};
    struct order ack = {.kind = ORDER_ACK, .duckling = friend};
    struct id peck;

    bond(pond, &duck, &friend);
    peck = order(pond, &pond->alice, &send)->peck;
    ck_assert_uint_eq(order(pond, &pond->bob, &take)->taken_count, 1);
    tick(pond, 1999);
    ck_assert_uint_eq(order(pond, &pond->bob, &take)->taken_count, 0);
    tick(pond, 2);
    ck_assert_uint_eq(order(pond, &pond->bob, &take)->taken_count, 1);
    ack.pecks = &peck;
    ack.peck_count = 1;
    ck_assert_int_eq(order(pond, &pond->bob, &ack)->code, REFUSAL_NONE);
    tick(pond, 3000);
    ck_assert_uint_eq(order(pond, &pond->bob, &take)->taken_count, 0);
    pond_free(pond);
}
END_TEST

START_TEST(what_is_given_back_is_handed_out_again_at_once)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct id twin = hatch(pond, &pond->bob, 21);
    struct order send = action(&duck, &friend);
    struct order take = {.kind = ORDER_TAKE, .duckling = friend, .limit = 5};
    struct order back = {.kind = ORDER_GIVE_BACK, .duckling = twin, .peck_count = 1};
    struct id peck;

    bond(pond, &duck, &friend);
    peck = order(pond, &pond->alice, &send)->peck;
    back.pecks = &peck;
    ck_assert_uint_eq(order(pond, &pond->bob, &take)->taken_count, 1);
    ck_assert_int_eq(order(pond, &pond->bob, &back)->code, REFUSAL_NONE); /* not the twin's */
    ck_assert_uint_eq(order(pond, &pond->bob, &take)->taken_count, 0);
    back.duckling = friend;
    ck_assert_int_eq(order(pond, &pond->bob, &back)->code, REFUSAL_NONE);
    ck_assert_uint_eq(order(pond, &pond->bob, &take)->taken_count, 1);
    back.duckling = duck;
    ck_assert_int_eq(order(pond, &pond->bob, &back)->code, REFUSAL_NOT_HOSTED);
    pond_free(pond);
}
END_TEST

START_TEST(who_takes_by_action_leaves_the_rest)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct bytes other = bytes_of_text("other"), every = bytes_of_text("*");
    struct order send = action(&duck, &friend);
    struct order take = {.kind = ORDER_TAKE, .duckling = friend, .limit = 5};

    bond(pond, &duck, &friend);
    order(pond, &pond->alice, &send);
    take.filter = (struct tray_filter){.actions = &other, .action_count = 1};
    ck_assert_uint_eq(order(pond, &pond->bob, &take)->taken_count, 0);
    take.filter = (struct tray_filter){
        .actions = &every, .action_count = 1, .but_not = &send.send.action, .but_not_count = 1};
    ck_assert_uint_eq(order(pond, &pond->bob, &take)->taken_count, 0);
    take.filter.but_not_count = 0;
    ck_assert_uint_eq(order(pond, &pond->bob, &take)->taken_count, 1);
    pond_free(pond);
}
END_TEST

START_TEST(who_renews_its_lease_keeps_its_peck)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct id twin = hatch(pond, &pond->bob, 21);
    struct order send = action(&duck, &friend);
    struct order take = {.kind = ORDER_TAKE, .duckling = friend, .limit = 5, .lease_ms = 2000};
    struct order renew = {
        .kind = ORDER_RENEW, .duckling = friend, .lease_ms = 2000, .peck_count = 1};
    struct id peck;

    bond(pond, &duck, &friend);
    peck = order(pond, &pond->alice, &send)->peck;
    renew.pecks = &peck;
    ck_assert_int_eq(order(pond, &pond->bob, &renew)->code, REFUSAL_CONFLICT);
    ck_assert_uint_eq(order(pond, &pond->bob, &take)->taken_count, 1);
    tick(pond, 1500);
    ck_assert_int_eq(order(pond, &pond->bob, &renew)->code, REFUSAL_NONE);
    tick(pond, 1999);
    ck_assert_uint_eq(order(pond, &pond->bob, &take)->taken_count, 0);
    renew.duckling = twin;
    ck_assert_int_eq(order(pond, &pond->bob, &renew)->code, REFUSAL_NOT_ALLOWED);
    renew.duckling = friend;
    renew.lease_ms = LEASE_MAX_MS + 1;
    ck_assert_int_eq(order(pond, &pond->bob, &renew)->code, REFUSAL_MALFORMED);
    renew.lease_ms = LEASE_MIN_MS - 1;
    ck_assert_int_eq(order(pond, &pond->bob, &renew)->code, REFUSAL_MALFORMED);
    renew.lease_ms = LEASE_MIN_MS;
    tick(pond, 2);
    ck_assert_int_eq(order(pond, &pond->bob, &renew)->code, REFUSAL_CONFLICT);
    ck_assert_uint_eq(order(pond, &pond->bob, &take)->taken_count, 1);
    peck = duck;
    ck_assert_int_eq(order(pond, &pond->bob, &renew)->code, REFUSAL_NOT_FOUND);
    pond_free(pond);
}
END_TEST

START_TEST(ducklings_of_one_node_peck_each_other_by_the_same_rules)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), twin = hatch(pond, &pond->alice, 11);
    struct order send = action(&duck, &twin);
    struct id peck = order(pond, &pond->alice, &send)->peck;
    struct order approve = {.kind = ORDER_APPROVE, .duckling = twin, .peck = peck};
    struct order answer = {
        .kind = ORDER_ANSWER, .duckling = twin, .peck = peck, .result = bytes_of_text("{}")};

    ck_assert_int_eq(find(&pond->alice, BOX_IN, &peck)->state, PECK_PENDING);
    ck_assert_int_eq(order(pond, &pond->alice, &approve)->code, REFUSAL_NONE);
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &peck)->state, PECK_APPROVED);
    ck_assert_int_eq(order(pond, &pond->alice, &answer)->code, REFUSAL_NONE);
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &peck)->state, PECK_ANSWERED);
    pond_free(pond);
}
END_TEST

START_TEST(orders_that_cannot_be_carried_out_say_why)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct id nobody = {{7}};
    struct order send = action(&duck, &nobody), big = action(&duck, &friend);
    struct order foreign = action(&friend, &duck);
    struct order missing = {.kind = ORDER_ANSWER, .duckling = duck, .peck = nobody};
    uint8_t *payload = calloc(1, PECK_PAYLOAD_MAX + 1);

    memset(payload, ' ', PECK_PAYLOAD_MAX + 1);
    payload[0] = '1';
    ck_assert_int_eq(order(pond, &pond->alice, &send)->code, REFUSAL_UNKNOWN_TARGET);
    ck_assert_int_eq(order(pond, &pond->alice, &foreign)->code, REFUSAL_NOT_HOSTED);
    ck_assert_int_eq(order(pond, &pond->alice, &missing)->code, REFUSAL_NOT_FOUND);
    big.send.payload = bytes_of(payload, PECK_PAYLOAD_MAX + 1);
    ck_assert_int_eq(order(pond, &pond->alice, &big)->code, REFUSAL_TOO_LARGE);
    big.send.payload.size--;
    ck_assert_int_eq(order(pond, &pond->alice, &big)->code, REFUSAL_NONE);
    free(payload);
    pond_free(pond);
}
END_TEST

START_TEST(a_duckling_has_so_many_open_actions_and_not_one_more)
{
    struct pond *pond = pond_new();
    struct order order_of_it = {.kind = ORDER_PROFILE, .duckling = hatch(pond, &pond->alice, 10)};
    char names[DUCKLING_OPEN_ACTIONS_MAX][8];

    order_of_it.profile.set_open_actions = true;
    order_of_it.profile.open_action_count = DUCKLING_OPEN_ACTIONS_MAX;
    for (size_t i = 0; i < DUCKLING_OPEN_ACTIONS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "a%zu", i);
        order_of_it.profile.open_actions[i] = bytes_of_text(names[i]);
    }
    ck_assert_int_eq(order(pond, &pond->alice, &order_of_it)->code, REFUSAL_NONE);
    order_of_it.profile.open_action_count++; /* what would be the next is not looked at */
    ck_assert_int_eq(order(pond, &pond->alice, &order_of_it)->code, REFUSAL_MALFORMED);
    pond_free(pond);
}
END_TEST

START_TEST(a_result_that_is_no_text_is_refused_and_the_peck_stays_open)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order send = action(&duck, &friend);
    struct order answer = {
        .kind = ORDER_ANSWER, .duckling = friend, .result = bytes_of("\"\xFF\"", 3)};

    bond(pond, &duck, &friend);
    answer.peck = order(pond, &pond->alice, &send)->peck;
    ck_assert_int_eq(order(pond, &pond->bob, &answer)->code, REFUSAL_MALFORMED);
    answer.result = bytes_of_text("\"whole\"");
    ck_assert_int_eq(order(pond, &pond->bob, &answer)->code, REFUSAL_NONE);
    pond_free(pond);
}
END_TEST

START_TEST(a_repeated_idempotency_key_names_the_first_peck)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order send = action(&duck, &friend);
    const struct reply *reply;
    struct id first;

    send.send.idempotency_key = bytes_of_text("once");
    first = order(pond, &pond->alice, &send)->peck;
    send.held.found = send.held.same_content = true;
    send.held.peck = first;
    reply = order(pond, &pond->alice, &send);
    ck_assert(reply->replayed);
    ck_assert(id_equal(&reply->peck, &first));
    send.held.same_content = false;
    ck_assert_int_eq(order(pond, &pond->alice, &send)->code, REFUSAL_KEY_REUSED);
    pond_free(pond);
}
END_TEST

/* If its node died before it had kept it, the same order would make another one, and both would arrive. */
START_TEST(a_peck_under_an_idempotency_key_leaves_only_when_it_is_kept)
{
    struct pond *pond = pond_new();
    struct id duck = hatch(pond, &pond->alice, 10), friend = hatch(pond, &pond->bob, 20);
    struct order send = action(&duck, &friend);

    order(pond, &pond->alice, &send);
    ck_assert_uint_eq(pond->alice.pecks_sent, 1);
    ck_assert_uint_eq(pond->alice.pecks_waited, 0);
    send.send.idempotency_key = bytes_of_text("once");
    order(pond, &pond->alice, &send);
    ck_assert_uint_eq(pond->alice.pecks_sent, 2);
    ck_assert_uint_eq(pond->alice.pecks_waited, 1);
    pond_free(pond);
}
END_TEST

START_TEST(the_same_seed_and_events_give_the_same_pecks)
{
    struct pond *one = pond_new(), *two = pond_new();
    struct id duck = hatch(one, &one->alice, 10), friend = hatch(one, &one->bob, 20);
    struct order send = action(&duck, &friend);
    struct id first, second;

    ck_assert(id_equal(&duck, &(struct id){0}) == false);
    hatch(two, &two->alice, 10);
    hatch(two, &two->bob, 20);
    first = order(one, &one->alice, &send)->peck;
    second = order(two, &two->alice, &send)->peck;
    ck_assert(id_equal(&first, &second));
    pond_free(one);
    pond_free(two);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent");
    TCase *stories = tcase_create("stories");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(stories, an_action_without_a_bond_waits_for_the_owner);
    tcase_add_test(stories, an_approved_action_runs_once_and_its_answer_comes_back);
    tcase_add_test(stories, a_denied_peck_ends_with_a_signed_receipt);
    tcase_add_test(stories, a_bond_lets_its_requester_act_within_its_scopes_and_nobody_else);
    tcase_add_test(stories, unpeck_ends_the_bond_at_once);
    tcase_add_test(stories, unpeck_of_a_duckling_ends_every_bond_with_it);
    tcase_add_test(stories, whoever_ends_a_bond_the_other_end_hears_of_it);
    tcase_add_test(stories, who_was_away_hears_of_the_end_when_it_is_back);
    tcase_add_test(stories, the_end_of_a_bond_is_heard_from_a_clock_that_is_behind);
    tcase_add_test(stories, ducklings_bond_anew_after_an_end);
    tcase_add_test(stories, a_third_duckling_has_no_word_in_a_bond);
    tcase_add_test(stories, a_bond_whose_end_has_come_is_gone_at_both_ends);
    tcase_add_test(stories, the_attestations_of_a_bond_are_renewed_while_it_stands_and_no_longer);
    tcase_add_test(stories, who_was_away_for_too_long_hears_of_the_end_by_its_next_peck);
    tcase_add_test(stories, a_peck_that_waits_from_before_the_bond_ends_no_bond);
    tcase_add_test(stories, an_action_is_not_approved_as_a_bond);
    tcase_add_test(stories, a_peck_to_an_away_node_goes_out_when_it_is_back);
    tcase_add_test(stories, a_receipt_that_was_lost_is_asked_for_again_and_the_peck_is_stored_once);
    tcase_add_test(stories, a_done_whose_taken_was_lost_ends_the_peck);
    tcase_add_test(stories, a_long_reason_of_another_node_is_cut_between_characters);
    tcase_add_test(stories, an_answer_given_while_the_link_was_down_arrives_when_it_is_up);
    tcase_add_test(stories, a_peck_with_a_turned_bit_is_refused_with_its_reason);
    tcase_add_test(stories, a_peck_expires_on_both_sides_when_nobody_decides);
    tcase_add_test(stories, an_agent_that_died_lets_its_peck_be_handed_out_again);
    tcase_add_test(stories, what_is_given_back_is_handed_out_again_at_once);
    tcase_add_test(stories, who_takes_by_action_leaves_the_rest);
    tcase_add_test(stories, who_renews_its_lease_keeps_its_peck);
    tcase_add_test(stories, ducklings_of_one_node_peck_each_other_by_the_same_rules);
    tcase_add_test(stories, orders_that_cannot_be_carried_out_say_why);
    tcase_add_test(stories, a_duckling_has_so_many_open_actions_and_not_one_more);
    tcase_add_test(stories, a_result_that_is_no_text_is_refused_and_the_peck_stays_open);
    tcase_add_test(stories, a_repeated_idempotency_key_names_the_first_peck);
    tcase_add_test(stories, a_peck_under_an_idempotency_key_leaves_only_when_it_is_kept);
    tcase_add_test(stories, the_same_seed_and_events_give_the_same_pecks);
    suite_add_tcase(suite, stories);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
