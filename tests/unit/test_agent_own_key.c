/* Stories of two whole agents: a duckling that keeps its own key lives with alice, and its node never sees that. */
#define PECKS_MAX 512
#include "own_play.h"

/* ---- hatching ---- */

START_TEST(it_hatches_with_its_own_certificate_and_is_in_the_directory_when_it_has_signed)
{
    struct play play = play_unhatched();
    struct order hatch = hatching(&play, "Own");
    const struct reply *reply = order(play.pond, &play.pond->alice, &hatch);
    struct order to_it;
    struct wanted entry;

    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    play.own = reply->duckling;
    reply = wanted(&play);
    ck_assert_uint_eq(reply->wanted_count, 1);
    entry = reply->wanted[0];
    ck_assert_int_eq(entry.type, ENVELOPE_RECORD);
    to_it = action(&play.friend, &play.own);
    ck_assert_int_eq(order(play.pond, &play.pond->bob, &to_it)->code, REFUSAL_UNKNOWN_TARGET);
    ck_assert_int_eq(sign(&play, &entry)->code, REFUSAL_NONE);
    tick(play.pond, 1000);
    ck_assert_uint_eq(wanted(&play)->wanted_count, 0);
    ck_assert_int_eq(order(play.pond, &play.pond->bob, &to_it)->code, REFUSAL_NONE);
    ck_assert_int_eq(sign(&play, &entry)->code, REFUSAL_NOT_FOUND); /* once */
    play_end(&play);
}
END_TEST

START_TEST(what_is_no_signature_of_these_bytes_is_refused_and_they_wait_on)
{
    struct play play = play_unhatched();
    struct order hatch = hatching(&play, "Own");
    struct order sign = {.kind = ORDER_SIGN};
    struct wanted entry;

    sign.duckling = play.own = order(play.pond, &play.pond->alice, &hatch)->duckling;
    entry = wanted(&play)->wanted[0];
    sign.wanted = entry.id;
    sign.signature = signature_of(&play, &entry);
    sign.signature.bytes[3] ^= 1;
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &sign)->code, REFUSAL_MALFORMED);
    sign.signature =
        identity_sign(play.key, envelope_to_sign(ENVELOPE_RECEIPT, entry.body, &play.memory));
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &sign)->code, REFUSAL_MALFORMED);
    sign.duckling = play.friend;
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &sign)->code, REFUSAL_NOT_HOSTED);
    ck_assert_uint_eq(wanted(&play)->wanted_count, 1);
    play_end(&play);
}
END_TEST

START_TEST(a_certificate_that_does_not_fit_hatches_nobody)
{
    struct play play = play_new();
    struct order hatch = hatching(&play, "Own");
    uint8_t *turned = memory_copy(play.chain.data, play.chain.size);

    ck_assert_int_eq(order(play.pond, &play.pond->alice, &hatch)->code,
                     REFUSAL_CONFLICT); /* twice */
    hatch = hatching(&play, "Other");
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &hatch)->code, REFUSAL_MALFORMED);
    turned[play.chain.size - 10] ^= 1;
    hatch = hatching(&play, "Own");
    hatch.chain.data = turned;
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &hatch)->code, REFUSAL_MALFORMED);
    hatch.chain = play.pond->bob.chain;
    hatch.profile.display_name = bytes_of_text("node");
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &hatch)->code, REFUSAL_MALFORMED);
    memory_give_back(turned);
    play_end(&play);
}
END_TEST

START_TEST(a_certificate_of_the_future_or_one_that_has_ended_hatches_nobody)
{
    struct play play = play_unhatched();
    struct order hatch = hatching(&play, "Own");

    play.pond->at.wall_ms -= CLOCK_SKEW_MAX_MS + 1;
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &hatch)->code, REFUSAL_MALFORMED);
    play.pond->at.wall_ms += CLOCK_SKEW_MAX_MS + 1 + CERTIFICATE_LIFE_MS;
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &hatch)->code, REFUSAL_MALFORMED);
    play.pond->at.wall_ms -= CERTIFICATE_LIFE_MS + CLOCK_SKEW_MAX_MS;
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &hatch)->code, REFUSAL_NONE);
    play_end(&play);
}
END_TEST

/* Certificates are public: whoever brings another one's gets nothing of it, and takes nothing from it. */
START_TEST(it_lives_where_it_has_signed_that_it_does_and_nowhere_else)
{
    struct play play = play_unhatched();
    struct order hatching_there = hatching(&play, "Own"), to_it;
    struct order change = {.kind = ORDER_PROFILE}, there = {.kind = ORDER_SIGN};
    struct id local = hatch(play.pond, &play.pond->alice, 10);
    const struct reply *reply;
    struct wanted entry;

    /* It lives with bob, and alice has its certificate from somebody else. */
    play.own = order(play.pond, &play.pond->bob, &hatching_there)->duckling;
    change.duckling = there.duckling = play.own;
    reply = order(play.pond, &play.pond->bob,
                  &(struct order){.kind = ORDER_WANTED, .duckling = play.own});
    entry = reply->wanted[0];
    there.wanted = entry.id;
    there.signature = signature_of(&play, &entry);
    ck_assert_int_eq(order(play.pond, &play.pond->bob, &there)->code, REFUSAL_NONE);
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &hatching_there)->code, REFUSAL_NONE);
    tick(play.pond, 1000);

    to_it = action(&local, &play.own);
    reply = order(play.pond, &play.pond->alice, &to_it);
    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    ck_assert_ptr_nonnull(find(&play.pond->bob, BOX_IN, &reply->peck));
    ck_assert_ptr_null(find(&play.pond->alice, BOX_IN, &reply->peck));
    change.profile.set_bio = true;
    change.profile.bio = bytes_of_text("news");
    order(play.pond, &play.pond->bob, &change);
    reply = order(play.pond, &play.pond->bob,
                  &(struct order){.kind = ORDER_WANTED, .duckling = play.own});
    entry = reply->wanted[0];
    there.wanted = entry.id;
    there.signature = signature_of(&play, &entry);
    ck_assert_int_eq(order(play.pond, &play.pond->bob, &there)->code, REFUSAL_NONE);
    tick(play.pond, 1000);

    /* It moves, when it says so; what alice asked for first is older than what was said since. */
    entry = wanted(&play)->wanted[0];
    ck_assert_int_eq(sign(&play, &entry)->code, REFUSAL_CONFLICT);
    sign_all(&play);
    tick(play.pond, 1000);
    reply = order(play.pond, &play.pond->alice, &to_it);
    ck_assert_ptr_nonnull(find(&play.pond->alice, BOX_IN, &reply->peck));
    play_end(&play);
}
END_TEST

START_TEST(a_longer_chain_that_others_bring_is_its_own)
{
    struct play play = play_new();
    struct bytes longer = lengthened(&play, play.next, play.pond->at.wall_ms + 10);
    struct order hatching_there = hatching(&play, "Own");
    struct order rotate = {.kind = ORDER_ROTATE, .duckling = play.own, .chain = longer};
    struct wanted entry;
    struct order there = {.kind = ORDER_SIGN, .duckling = play.own};

    order(play.pond, &play.pond->bob, &hatching_there);
    tick(play.pond, 20);
    ck_assert_int_eq(order(play.pond, &play.pond->bob, &rotate)->code, REFUSAL_NONE);
    identity_key_free(play.key);
    play.key = identity_key_new(play.next);
    entry = order(play.pond, &play.pond->bob,
                  &(struct order){.kind = ORDER_WANTED, .duckling = play.own})
                ->wanted[0];
    there.wanted = entry.id;
    there.signature = signature_of(&play, &entry);
    ck_assert_int_eq(order(play.pond, &play.pond->bob, &there)->code, REFUSAL_NONE);
    tick(play.pond, 1000);
    order(play.pond, &play.pond->alice,
          &(struct order){.kind = ORDER_PROFILE, .duckling = play.own});
    ck_assert_uint_eq(wanted(&play)->wanted_count, 1);
    sign_all(&play); /* alice takes the new key's signature */
    play_end(&play);
}
END_TEST

/* ---- pecks ---- */

START_TEST(a_peck_that_it_signed_goes_out_and_is_answered)
{
    struct play play = play_new();
    struct order approve = {.kind = ORDER_APPROVE}, answer = {.kind = ORDER_ANSWER};
    struct bytes scope = bytes_of_text("query");
    struct made request, asked;
    struct peck peck;

    own_bond(&play, &request);
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &request.order)->code, REFUSAL_NONE);
    approve.duckling = play.friend;
    approve.peck = request.order.send.id;
    approve.scopes = &scope;
    approve.scope_count = 1;
    ck_assert_int_eq(order(play.pond, &play.pond->bob, &approve)->code, REFUSAL_NONE);
    ck_assert_uint_eq(wanted(&play)->wanted_count, 1); /* it says that it is bonded */
    sign_all(&play);
    peck = own_peck(&play);
    make(&play, &asked, &peck);
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &asked.order)->code, REFUSAL_NONE);
    ck_assert_int_eq(find(&play.pond->bob, BOX_IN, &peck.id)->state, PECK_TAKEN);
    answer.duckling = play.friend;
    answer.peck = peck.id;
    answer.result = bytes_of_text("1");
    ck_assert_int_eq(order(play.pond, &play.pond->bob, &answer)->code, REFUSAL_NONE);
    ck_assert_int_eq(find(&play.pond->alice, BOX_OUT, &peck.id)->state, PECK_ANSWERED);
    play_end(&play);
}
END_TEST

START_TEST(its_node_says_no_peck_for_it)
{
    struct play play = play_new();
    struct order send = action(&play.own, &play.friend);

    ck_assert_int_eq(order(play.pond, &play.pond->alice, &send)->code, REFUSAL_OWN_KEY);
    play_end(&play);
}
END_TEST

START_TEST(a_peck_that_its_target_would_refuse_is_refused_at_once)
{
    struct play play = play_new();
    struct identity_key *key = play.key, *other;
    uint8_t seed[SEED_SIZE] = {9};
    struct made made;
    struct peck peck = own_peck(&play);

    peck.network = bytes_of_text("elsewhere");
    make(&play, &made, &peck);
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &made.order)->code, REFUSAL_MALFORMED);
    peck = own_peck(&play);
    peck.expires_ms = peck.created_ms + 1;
    peck.created_ms -= 1;
    make(&play, &made, &peck);
    tick(play.pond, 1);
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &made.order)->code, REFUSAL_MALFORMED);
    peck = own_peck(&play);
    peck.created_ms += CLOCK_SKEW_MAX_MS + 1;
    make(&play, &made, &peck);
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &made.order)->code, REFUSAL_MALFORMED);
    peck = own_peck(&play);
    peck.created_ms = POND_BEGINS_MS - 1; /* before it was born */
    make(&play, &made, &peck);
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &made.order)->code, REFUSAL_MALFORMED);
    play.key = other = identity_key_new(seed);
    peck = own_peck(&play);
    make(&play, &made, &peck);
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &made.order)->code, REFUSAL_MALFORMED);
    identity_key_free(other);
    play.key = key;
    peck = own_peck(&play);
    make(&play, &made, &peck);
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &made.order)->code, REFUSAL_NONE);
    play_end(&play);
}
END_TEST

START_TEST(whoever_leaves_its_key_to_its_node_sends_nothing_that_is_signed_elsewhere)
{
    struct play play = play_new();
    struct id duck = hatch(play.pond, &play.pond->alice, 10);
    struct made made;
    struct peck peck = own_peck(&play);

    peck.from = duck;
    make(&play, &made, &peck);
    made.order.duckling = duck;
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &made.order)->code, REFUSAL_NOT_ALLOWED);
    play_end(&play);
}
END_TEST

/* ---- answers ---- */

START_TEST(an_answer_is_given_when_it_is_signed_and_not_before)
{
    struct play play = play_new();
    struct id peck = asked(&play);
    const struct reply *reply = answer(&play, &peck, "{\"answer\":42}");
    struct wanted receipt;

    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    ck_assert(!id_is_zero(&reply->waits_for));
    ck_assert_int_eq(find(&play.pond->alice, BOX_IN, &peck)->state, PECK_APPROVED);
    receipt = wanted(&play)->wanted[0];
    ck_assert_mem_eq(&receipt.id,
                     &play.pond->alice.replies[play.pond->alice.reply_count - 2].waits_for,
                     sizeof receipt.id);
    ck_assert_mem_eq(&receipt.peck, &peck, sizeof peck);
    tick(play.pond, 5000);
    ck_assert_int_eq(find(&play.pond->bob, BOX_OUT, &peck)->state, PECK_APPROVED);
    reply = sign(&play, &receipt);
    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    ck_assert_int_eq(reply->state, PECK_ANSWERED);
    ck_assert_int_eq(find(&play.pond->alice, BOX_IN, &peck)->state, PECK_ANSWERED);
    ck_assert_int_eq(find(&play.pond->bob, BOX_OUT, &peck)->state, PECK_ANSWERED);
    ck_assert_uint_eq(play.pond->bob.refused_frames, 0);
    play_end(&play);
}
END_TEST

START_TEST(the_last_answer_that_was_given_is_the_one_that_waits)
{
    struct play play = play_new();
    struct id peck = asked(&play);
    struct id first = answer(&play, &peck, "1")->waits_for;
    struct wanted receipt;

    ck_assert(!id_is_zero(&first));
    answer(&play, &peck, "2");
    ck_assert_uint_eq(wanted(&play)->wanted_count, 1);
    receipt = wanted(&play)->wanted[0];
    ck_assert(!id_equal(&receipt.id, &first));
    ck_assert_int_eq(sign(&play, &receipt)->code, REFUSAL_NONE);
    ck_assert_int_eq(answer(&play, &peck, "3")->code, REFUSAL_NOT_FOUND);
    play_end(&play);
}
END_TEST

START_TEST(an_answer_that_nobody_signs_ends_with_its_peck_which_is_said_to_expire)
{
    struct play play = play_new();
    struct id peck = asked(&play);
    const struct reply *reply;

    answer(&play, &peck, "1");
    tick(play.pond, PECK_LIFE_MS + 1);
    reply = wanted(&play);
    ck_assert_uint_ge(reply->wanted_count, 1);
    sign_all(&play);
    ck_assert_int_eq(find(&play.pond->alice, BOX_IN, &peck)->state, PECK_EXPIRED);
    ck_assert_int_eq(find(&play.pond->bob, BOX_OUT, &peck)->state, PECK_EXPIRED);
    play_end(&play);
}
END_TEST

START_TEST(parts_of_an_answer_are_signed_one_after_the_other)
{
    struct play play = play_new();
    struct id peck = asked(&play);
    struct order part = {.kind = ORDER_PARTIAL,
                         .duckling = play.own,
                         .peck = peck,
                         .result = bytes_of_text("\"one\"")};
    struct wanted receipt;

    ck_assert(!id_is_zero(&order(play.pond, &play.pond->alice, &part)->waits_for));
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &part)->code, REFUSAL_CONFLICT);
    ck_assert_int_eq(answer(&play, &peck, "1")->code, REFUSAL_CONFLICT);
    receipt = wanted(&play)->wanted[0];
    ck_assert_int_eq(sign(&play, &receipt)->code, REFUSAL_NONE);
    ck_assert_uint_eq(find(&play.pond->bob, BOX_OUT, &peck)->partial_count, 1);
    ck_assert_int_eq(answer(&play, &peck, "1")->code, REFUSAL_NONE);
    sign_all(&play);
    ck_assert_int_eq(find(&play.pond->bob, BOX_OUT, &peck)->state, PECK_ANSWERED);
    play_end(&play);
}
END_TEST

START_TEST(a_bond_is_there_when_its_approval_is_signed)
{
    struct play play = play_new();
    struct order ask = {.kind = ORDER_SEND, .duckling = play.friend};
    struct order approve = {.kind = ORDER_APPROVE, .duckling = play.own};
    struct order change = {.kind = ORDER_BOND, .duckling = play.own};
    struct bytes scope = bytes_of_text("query");
    const struct reply *reply;
    struct wanted receipt;

    ask.send.from = play.friend;
    ask.send.to = play.own;
    ask.send.kind = PECK_BOND_REQUEST;
    ask.send.scopes[0] = scope;
    ask.send.scope_count = 1;
    approve.peck = order(play.pond, &play.pond->bob, &ask)->peck;
    approve.scopes = &scope;
    approve.scope_count = 1;
    reply = order(play.pond, &play.pond->alice, &approve);
    ck_assert(!id_is_zero(&reply->waits_for));
    ck_assert_uint_eq(play.pond->alice.bonds_made, 0);
    receipt = wanted(&play)->wanted[0];
    ck_assert_int_eq(sign(&play, &receipt)->code, REFUSAL_NONE);
    ck_assert_uint_eq(play.pond->alice.bonds_made, 1);
    ck_assert_uint_eq(play.pond->bob.bonds_made, 1);
    sign_all(&play); /* what it says of its friend */
    change.bond = approve.peck;
    change.terms.per_day = 7;
    change.terms_set = BOND_TERM_PER_DAY;
    ck_assert(!id_is_zero(&order(play.pond, &play.pond->alice, &change)->waits_for));
    ck_assert_uint_eq(play.pond->bob.terms_told, 0);
    sign_all(&play);
    ck_assert_uint_ge(play.pond->bob.terms_told, 1);
    ck_assert_uint_eq(play.pond->bob.last_bond.terms.per_day, 7);
    play_end(&play);
}
END_TEST

START_TEST(a_peck_is_denied_when_that_is_signed)
{
    struct play play = play_new();
    struct order send = action(&play.friend, &play.own);
    struct order deny = {.kind = ORDER_DENY, .duckling = play.own, .problem = bytes_of_text("no")};

    deny.peck = order(play.pond, &play.pond->bob, &send)->peck;
    ck_assert(!id_is_zero(&order(play.pond, &play.pond->alice, &deny)->waits_for));
    ck_assert_int_eq(find(&play.pond->bob, BOX_OUT, &deny.peck)->state, PECK_PENDING);
    sign_all(&play);
    ck_assert_int_eq(find(&play.pond->bob, BOX_OUT, &deny.peck)->state, PECK_DENIED);
    play_end(&play);
}
END_TEST

START_TEST(a_peck_that_is_taken_back_ends_when_its_target_has_signed_that)
{
    struct play play = play_new();
    struct id peck = asked(&play);
    struct order cancel = {.kind = ORDER_CANCEL, .duckling = play.friend, .peck = peck};

    cancel.held.found = true;
    answer(&play, &peck, "1"); /* which gives way to it */
    ck_assert_int_eq(order(play.pond, &play.pond->bob, &cancel)->code, REFUSAL_NONE);
    tick(play.pond, 1000);
    ck_assert_int_eq(find(&play.pond->bob, BOX_OUT, &peck)->state, PECK_APPROVED);
    sign_all(&play);
    ck_assert_int_eq(find(&play.pond->bob, BOX_OUT, &peck)->state, PECK_CANCELLED);
    play_end(&play);
}
END_TEST

/* ---- what its key alone can do ---- */

START_TEST(it_hands_in_its_longer_chain_and_says_all_anew_with_the_new_key)
{
    struct play play = play_new();
    struct id peck = asked(&play);
    struct wanted old;
    struct bytes longer;

    answer(&play, &peck, "1");
    old = wanted(&play)->wanted[0];
    longer = lengthened(&play, play.next, play.pond->at.wall_ms + 10);
    ck_assert_int_eq(hand_in(&play, play.pond->bob.chain)->code, REFUSAL_MALFORMED);
    ck_assert_int_eq(hand_in(&play, bytes_of(NULL, 0))->code, REFUSAL_OWN_KEY);
    tick(play.pond, 20);
    ck_assert_int_eq(hand_in(&play, longer)->code, REFUSAL_NONE);
    ck_assert_int_eq(hand_in(&play, longer)->code, REFUSAL_NONE); /* its answer was lost */
    ck_assert_int_eq(sign(&play, &old)->code, REFUSAL_NOT_FOUND); /* dated by the old key */
    ck_assert_uint_ge(wanted(&play)->wanted_count, 2);
    identity_key_free(play.key);
    play.key = identity_key_new(play.next);
    sign_all(&play);
    ck_assert_int_eq(find(&play.pond->bob, BOX_OUT, &peck)->state, PECK_ANSWERED);
    play_end(&play);
}
END_TEST

START_TEST(a_chain_that_is_dated_before_what_its_old_key_said_is_refused)
{
    struct play play = play_new();
    struct order change = {.kind = ORDER_PROFILE, .duckling = play.own};

    change.profile.set_bio = true;
    change.profile.bio = bytes_of_text("said late");
    ck_assert(!id_is_zero(&order(play.pond, &play.pond->alice, &change)->waits_for));
    sign_all(&play);
    ck_assert_int_eq(hand_in(&play, lengthened(&play, play.next, play.pond->at.wall_ms - 1))->code,
                     REFUSAL_MALFORMED);
    ck_assert_int_eq(hand_in(&play, lengthened(&play, play.next, play.pond->at.wall_ms + 1))->code,
                     REFUSAL_NONE);
    play_end(&play);
}
END_TEST

START_TEST(it_is_revoked_when_it_has_signed_that)
{
    struct play play = play_new();
    struct order revoke = {.kind = ORDER_REVOKE, .duckling = play.own};
    struct order to_it = action(&play.friend, &play.own);
    const struct reply *reply = order(play.pond, &play.pond->alice, &revoke);
    struct id waits_for = reply->waits_for;

    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    ck_assert_int_eq(order(play.pond, &play.pond->bob, &to_it)->code, REFUSAL_NONE);
    ck_assert(id_equal(&wanted(&play)->wanted[0].id, &waits_for)); /* it is not told as done */
    ck_assert_int_eq(sign(&play, &wanted(&play)->wanted[0])->code, REFUSAL_NONE);
    reply = order(play.pond, &play.pond->alice, &revoke);
    ck_assert(reply->code == REFUSAL_NONE && id_is_zero(&reply->waits_for)); /* it is */
    ck_assert_int_eq(order(play.pond, &play.pond->bob, &to_it)->code, REFUSAL_UNKNOWN_TARGET);
    play_end(&play);
}
END_TEST

START_TEST(its_node_neither_grants_nor_exports_for_it)
{
    struct play play = play_new();
    struct order grant = {.kind = ORDER_MAKE_GRANT, .duckling = play.own, .with = play.friend};
    struct order export = {.kind = ORDER_EXPORT, .duckling = play.own};

    ck_assert_int_eq(order(play.pond, &play.pond->alice, &grant)->code, REFUSAL_OWN_KEY);
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &export)->code, REFUSAL_OWN_KEY);
    play_end(&play);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_own_key");
    TCase *tests = tcase_create("stories");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 120);
    tcase_add_test(tests,
                   it_hatches_with_its_own_certificate_and_is_in_the_directory_when_it_has_signed);
    tcase_add_test(tests, what_is_no_signature_of_these_bytes_is_refused_and_they_wait_on);
    tcase_add_test(tests, a_certificate_that_does_not_fit_hatches_nobody);
    tcase_add_test(tests, a_certificate_of_the_future_or_one_that_has_ended_hatches_nobody);
    tcase_add_test(tests, it_lives_where_it_has_signed_that_it_does_and_nowhere_else);
    tcase_add_test(tests, a_longer_chain_that_others_bring_is_its_own);
    tcase_add_test(tests, a_peck_that_it_signed_goes_out_and_is_answered);
    tcase_add_test(tests, its_node_says_no_peck_for_it);
    tcase_add_test(tests, a_peck_that_its_target_would_refuse_is_refused_at_once);
    tcase_add_test(tests,
                   whoever_leaves_its_key_to_its_node_sends_nothing_that_is_signed_elsewhere);
    tcase_add_test(tests, an_answer_is_given_when_it_is_signed_and_not_before);
    tcase_add_test(tests, the_last_answer_that_was_given_is_the_one_that_waits);
    tcase_add_test(tests, an_answer_that_nobody_signs_ends_with_its_peck_which_is_said_to_expire);
    tcase_add_test(tests, parts_of_an_answer_are_signed_one_after_the_other);
    tcase_add_test(tests, a_bond_is_there_when_its_approval_is_signed);
    tcase_add_test(tests, a_peck_is_denied_when_that_is_signed);
    tcase_add_test(tests, a_peck_that_is_taken_back_ends_when_its_target_has_signed_that);
    tcase_add_test(tests, it_hands_in_its_longer_chain_and_says_all_anew_with_the_new_key);
    tcase_add_test(tests, a_chain_that_is_dated_before_what_its_old_key_said_is_refused);
    tcase_add_test(tests, it_is_revoked_when_it_has_signed_that);
    tcase_add_test(tests, its_node_neither_grants_nor_exports_for_it);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
