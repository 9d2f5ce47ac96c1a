/* Who is bound to whom, and that nobody stands in between unseen. */
#include "core/lobster.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define TEST_LEASE_MS (15 * MINUTE_MS)

static struct bytes network;

static void set_up(void)
{
    ck_assert_int_ge(sodium_init(), 0);
    network = bytes_of_text("pond");
}

static struct id id_from(uint8_t seed)
{
    struct id id;

    memset(id.bytes, seed, ID_SIZE);
    return id;
}

/* Each duckling has the certificate of its own number and 100. */
static struct lobster end_of(uint8_t here, uint8_t there)
{
    struct lobster lobster = {.here = id_from(here),
                              .there = id_from(there),
                              .certificate_here = id_from((uint8_t)(here + 100)),
                              .lease_ms = TEST_LEASE_MS};

    randombytes_buf(lobster.nonce, sizeof lobster.nonce);
    randombytes_buf(lobster.session, sizeof lobster.session);
    return lobster;
}

static struct lobster_word word_of(const struct lobster *lobster, enum lobster_step step)
{
    struct lobster_word word = {.step = step,
                                .from = lobster->here,
                                .to = lobster->there,
                                .commitment = lobster->commitment,
                                .certificate = lobster->certificate_here,
                                .lease_ms = lobster->lease_ms};

    memcpy(word.session, lobster->session, sizeof word.session);
    memcpy(word.nonce, lobster->nonce, sizeof word.nonce);
    return word;
}

static void offer(struct lobster *from, struct lobster *to)
{
    struct lobster_word word;

    lobster_offer(from, network);
    word = word_of(from, LOBSTER_OFFER);
    lobster_answer(to, &word);
    ck_assert_int_eq(from->state, LOBSTER_OFFERED);
    ck_assert_int_eq(to->state, LOBSTER_ANSWERED);
}

static void show(struct lobster *from, struct lobster *to)
{
    struct lobster_word word = word_of(to, LOBSTER_ANSWER);

    ck_assert_int_eq(lobster_take_answer(from, network, &word), LOBSTER_TAKEN);
    word = word_of(from, LOBSTER_REVEAL);
    ck_assert_int_eq(lobster_take_reveal(to, network, &word), LOBSTER_TAKEN);
}

static bool shows_same(const struct lobster *one, const struct lobster *other)
{
    char left[LOBSTER_STRING_SIZE], right[LOBSTER_STRING_SIZE];

    return strcmp(lobster_string(one, network, left), lobster_string(other, network, right)) == 0;
}

START_TEST(both_ends_come_to_one_string_and_one_bind)
{
    struct lobster alice = end_of(1, 2), bob = end_of(2, 1);
    char string[LOBSTER_STRING_SIZE];

    offer(&alice, &bob);
    show(&alice, &bob);
    ck_assert_int_eq(alice.state, LOBSTER_SHOWN);
    ck_assert_int_eq(bob.state, LOBSTER_SHOWN);
    ck_assert(shows_same(&alice, &bob));
    ck_assert(id_equal(&alice.id, &bob.id));
    ck_assert(!id_is_zero(&alice.id));
    lobster_string(&alice, network, string);
    ck_assert_uint_eq(strlen(string), 9);
    ck_assert_int_eq(string[4], '-');
    ck_assert_uint_eq(strspn(string, "0123456789"), 4);
    ck_assert_uint_eq(strspn(string + 5, "0123456789"), 4);
}
END_TEST

/* The one in between has a duckling of its own towards each: 9. */
START_TEST(whoever_relays_makes_the_ends_show_different_strings)
{
    for (int i = 0; i < 2000; i++) {
        struct lobster alice = end_of(1, 9), to_alice = end_of(9, 1);
        struct lobster bob = end_of(2, 9), to_bob = end_of(9, 2);

        offer(&alice, &to_alice);
        memcpy(to_bob.nonce, to_alice.nonce, sizeof to_bob.nonce);
        offer(&to_bob, &bob); /* it can pass on no commitment of alice's: it names other ends */
        memcpy(to_alice.nonce, bob.nonce, sizeof to_alice.nonce);
        show(&alice, &to_alice);
        show(&to_bob, &bob);
        ck_assert(!shows_same(&alice, &bob));
        ck_assert(!id_equal(&alice.id, &bob.id));
    }
}
END_TEST

/* It knows the other's nonce before it shows its own, so it would try until the strings were alike. */
START_TEST(who_reveals_another_nonce_than_it_committed_to_is_found_out)
{
    struct lobster alice = end_of(1, 2), bob = end_of(2, 1);
    struct lobster_word word;

    offer(&alice, &bob);
    word = word_of(&bob, LOBSTER_ANSWER);
    ck_assert_int_eq(lobster_take_answer(&alice, network, &word), LOBSTER_TAKEN);
    word = word_of(&alice, LOBSTER_REVEAL);
    for (size_t i = 0; i < sizeof word.nonce; i++) {
        word.nonce[i] ^= 1;
        ck_assert_int_eq(lobster_take_reveal(&bob, network, &word), LOBSTER_FORGED);
        word.nonce[i] ^= 1;
    }
    ck_assert_int_eq(bob.state, LOBSTER_ANSWERED);
    ck_assert_int_eq(lobster_take_reveal(&bob, network, &word), LOBSTER_TAKEN);
    ck_assert_int_eq(lobster_take_reveal(&bob, network, &word), LOBSTER_AGAIN);
}
END_TEST

START_TEST(a_second_answer_changes_nothing)
{
    struct lobster alice = end_of(1, 2), bob = end_of(2, 1), before;
    struct lobster_word word;

    offer(&alice, &bob);
    word = word_of(&bob, LOBSTER_ANSWER);
    ck_assert_int_eq(lobster_take_answer(&alice, network, &word), LOBSTER_TAKEN);
    before = alice;
    ck_assert_int_eq(lobster_take_answer(&alice, network, &word), LOBSTER_AGAIN);
    word.nonce[0] ^= 1;
    ck_assert_int_eq(lobster_take_answer(&alice, network, &word), LOBSTER_UNFIT);
    ck_assert_mem_eq(&alice, &before, sizeof alice);
}
END_TEST

START_TEST(what_is_of_another_try_or_another_duckling_is_unfit)
{
    struct lobster alice = end_of(1, 2), bob = end_of(2, 1);
    struct lobster_word answer, reveal;

    offer(&alice, &bob);
    answer = word_of(&bob, LOBSTER_ANSWER);
    reveal = word_of(&alice, LOBSTER_REVEAL);
    answer.session[0] ^= 1;
    ck_assert_int_eq(lobster_take_answer(&alice, network, &answer), LOBSTER_UNFIT);
    answer.session[0] ^= 1;
    answer.from = id_from(3);
    ck_assert_int_eq(lobster_take_answer(&alice, network, &answer), LOBSTER_UNFIT);
    reveal.session[0] ^= 1;
    ck_assert_int_eq(lobster_take_reveal(&bob, network, &reveal), LOBSTER_UNFIT);
    answer = word_of(&bob, LOBSTER_ANSWER);
    answer.to = bob.here; /* to who answered: it has offered nothing */
    answer.from = bob.there;
    ck_assert_int_eq(lobster_take_answer(&bob, network, &answer), LOBSTER_UNFIT);
    reveal = word_of(&bob, LOBSTER_REVEAL);
    ck_assert_int_eq(lobster_take_reveal(&alice, network, &reveal), LOBSTER_UNFIT);
}
END_TEST

START_TEST(the_string_is_of_all_that_was_agreed)
{
    struct lobster alice = end_of(1, 2), bob = end_of(2, 1), other;
    char string[LOBSTER_STRING_SIZE], another[LOBSTER_STRING_SIZE];

    offer(&alice, &bob);
    show(&alice, &bob);
    lobster_string(&alice, network, string);
    other = alice;
    other.lease_ms++;
    ck_assert_str_ne(lobster_string(&other, network, another), string);
    other = alice;
    other.certificate_there.bytes[0] ^= 1;
    ck_assert_str_ne(lobster_string(&other, network, another), string);
    other = alice;
    other.certificate_here.bytes[0] ^= 1;
    ck_assert_str_ne(lobster_string(&other, network, another), string);
    other = alice;
    other.other_nonce[31] ^= 1;
    ck_assert_str_ne(lobster_string(&other, network, another), string);
    ck_assert_str_ne(lobster_string(&alice, bytes_of_text("lake"), another), string);
}
END_TEST

START_TEST(a_string_is_taken_with_hyphen_and_blanks_or_without_and_no_other)
{
    struct lobster alice = end_of(1, 2), bob = end_of(2, 1);
    char string[LOBSTER_STRING_SIZE], said[32];

    offer(&alice, &bob);
    show(&alice, &bob);
    lobster_string(&alice, network, string);
    ck_assert(lobster_matches(&bob, network, bytes_of_text(string)));
    snprintf(said, sizeof said, "%.4s%s", string, string + 5);
    ck_assert(lobster_matches(&bob, network, bytes_of_text(said)));
    snprintf(said, sizeof said, " %.2s %.2s  %s ", string, string + 2, string + 5);
    ck_assert(lobster_matches(&bob, network, bytes_of_text(said)));
    ck_assert(!lobster_matches(&bob, network, bytes_of_text("")));
    snprintf(said, sizeof said, "%s0", string);
    ck_assert(!lobster_matches(&bob, network, bytes_of_text(said)));
    for (size_t i = 0; i < 9; i++) {
        snprintf(said, sizeof said, "%s", string);
        said[i] = (char)(said[i] == '9' ? '0' : said[i] + 1);
        ck_assert(!lobster_matches(&bob, network, bytes_of_text(said)));
    }
}
END_TEST

START_TEST(it_is_renewed_after_a_third_of_the_lease_and_opens_at_its_end)
{
    struct lobster alice = {.state = LOBSTER_CONFIRMED, .lease_ms = 900, .until_ms = 5000};

    ck_assert_uint_eq(lobster_renew_ms(&alice), 0); /* nothing was said yet */
    ck_assert_uint_eq(lobster_end_ms(&alice), 5000);
    alice.here_until_ms = 10900;
    ck_assert_uint_eq(lobster_renew_ms(&alice), 10300);
    alice.state = LOBSTER_LIVE;
    alice.there_until_ms = 7000;
    ck_assert_uint_eq(lobster_end_ms(&alice), 7000);
}
END_TEST

START_TEST(states_have_names)
{
    ck_assert_str_eq(lobster_state_name(LOBSTER_OFFERED), "offered");
    ck_assert_str_eq(lobster_state_name(LOBSTER_LIVE), "live");
    ck_assert_str_eq(lobster_state_name((enum lobster_state)0), "");
    ck_assert_str_eq(lobster_state_name((enum lobster_state)6), "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lobster");
    TCase *tests = tcase_create("lobster");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, both_ends_come_to_one_string_and_one_bind);
    tcase_add_test(tests, whoever_relays_makes_the_ends_show_different_strings);
    tcase_add_test(tests, who_reveals_another_nonce_than_it_committed_to_is_found_out);
    tcase_add_test(tests, a_second_answer_changes_nothing);
    tcase_add_test(tests, what_is_of_another_try_or_another_duckling_is_unfit);
    tcase_add_test(tests, the_string_is_of_all_that_was_agreed);
    tcase_add_test(tests, a_string_is_taken_with_hyphen_and_blanks_or_without_and_no_other);
    tcase_add_test(tests, it_is_renewed_after_a_third_of_the_lease_and_opens_at_its_end);
    tcase_add_test(tests, states_have_names);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
