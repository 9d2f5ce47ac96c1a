/* Stories of two whole agents: certificates are public, so somebody hatches with those of a duckling that keeps its own
 * key and lives elsewhere. Who does gets nothing of it, and takes nothing from it. */
#include "own_play.h"

static const struct reply *wanted_at_bob(struct play *play)
{
    return order(play->pond, &play->pond->bob,
                 &(struct order){.kind = ORDER_WANTED, .duckling = play->own});
}

static void sign_at_bob(struct play *play)
{
    const struct reply *reply;

    while ((reply = wanted_at_bob(play))->wanted_count > 0) {
        struct wanted first = reply->wanted[0];
        struct order sign = {.kind = ORDER_SIGN,
                             .duckling = play->own,
                             .wanted = first.id,
                             .signature = signature_of(play, &first)};

        ck_assert_int_eq(order(play->pond, &play->pond->bob, &sign)->code, REFUSAL_NONE);
    }
}

/* It lives with bob, where it has signed that it does. */
static struct play play_with_bob(void)
{
    struct play play = play_unhatched();
    struct order hatch = hatching(&play, "Own");

    play.own = order(play.pond, &play.pond->bob, &hatch)->duckling;
    sign_at_bob(&play);
    tick(play.pond, 1000);
    return play;
}

static struct identity_key *rotate_at_bob(struct play *play)
{
    struct bytes longer = lengthened(play, play->next, play->pond->at.wall_ms + 10);
    struct order rotate = {.kind = ORDER_ROTATE, .duckling = play->own, .chain = longer};
    struct identity_key *old = play->key;

    tick(play->pond, 20);
    ck_assert_int_eq(order(play->pond, &play->pond->bob, &rotate)->code, REFUSAL_NONE);
    play->key = identity_key_new(play->next);
    sign_at_bob(play);
    tick(play->pond, 1000);
    return old;
}

START_TEST(who_has_a_retired_key_says_nothing_by_it_where_the_first_certificate_is_brought)
{
    struct play play = play_with_bob();
    struct identity_key *old = rotate_at_bob(&play), *live = play.key;
    struct order hatch = hatching(&play, "Own");
    struct made made;
    struct peck peck;
    struct wanted entry;

    ck_assert_int_eq(order(play.pond, &play.pond->alice, &hatch)->code, REFUSAL_NONE);
    entry = wanted(&play)->wanted[0];
    play.key = old;
    ck_assert_int_eq(sign(&play, &entry)->code, REFUSAL_MALFORMED);
    peck = own_peck(&play);
    make(&play, &made, &peck);
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &made.order)->code, REFUSAL_MALFORMED);
    play.key = live; /* its owner moves */
    ck_assert_int_eq(sign(&play, &entry)->code, REFUSAL_NONE);
    peck = own_peck(&play);
    make(&play, &made, &peck);
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &made.order)->code, REFUSAL_NONE);
    ck_assert_uint_eq(play.pond->bob.refused_frames, 0);
    identity_key_free(old);
    play_end(&play);
}
END_TEST

/* Of local, who lives with alice, and its own: made at alice's node without a word of whoever hatched there. */
static struct id bond_with(struct play *play, const struct id *local)
{
    struct order ask = {.kind = ORDER_SEND, .duckling = *local};
    struct order approve = {.kind = ORDER_APPROVE, .duckling = play->own};
    struct bytes scope = bytes_of_text("query");

    ask.send.from = *local;
    ask.send.to = play->own;
    ask.send.kind = PECK_BOND_REQUEST;
    ask.send.scopes[0] = scope;
    ask.send.scope_count = 1;
    approve.peck = order(play->pond, &play->pond->alice, &ask)->peck;
    approve.scopes = &scope;
    approve.scope_count = 1;
    ck_assert_int_eq(order(play->pond, &play->pond->bob, &approve)->code, REFUSAL_NONE);
    sign_at_bob(play);
    ck_assert_uint_eq(play->pond->alice.bonds_made, 1);
    return approve.peck;
}

START_TEST(whoever_brings_its_certificate_ends_none_of_its_bonds_and_binds_nothing)
{
    struct play play = play_with_bob();
    struct id local = hatch(play.pond, &play.pond->alice, 10);
    struct order hatch = hatching(&play, "Own"), unpeck = {.kind = ORDER_UNPECK};
    struct order bind = {.kind = ORDER_LOBSTER, .lobster = LOBSTER_BEGIN};
    struct id bond;

    tick(play.pond, 1000);
    bond = bond_with(&play, &local);
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &hatch)->code, REFUSAL_NONE);
    unpeck.duckling = bind.duckling = play.own;
    unpeck.bond = bond;
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &unpeck)->code, REFUSAL_NOT_ALLOWED);
    unpeck.bond = (struct id){0};
    unpeck.with = bind.with = local;
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &unpeck)->code, REFUSAL_NOT_ALLOWED);
    bind.own_rank = bind.rank = (struct sender_rank){.tier = 2, .missing = ""};
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &bind)->code, REFUSAL_NOT_ALLOWED);
    ck_assert_uint_eq(play.pond->alice.bonds_ended, 0);
    sign_all(&play); /* its owner it was, and moves */
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &unpeck)->code, REFUSAL_NONE);
    ck_assert_uint_eq(play.pond->alice.bonds_ended, 1);
    play_end(&play);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_own_place");
    TCase *tests = tcase_create("stories");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 120);
    tcase_add_test(tests,
                   who_has_a_retired_key_says_nothing_by_it_where_the_first_certificate_is_brought);
    tcase_add_test(tests, whoever_brings_its_certificate_ends_none_of_its_bonds_and_binds_nothing);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
