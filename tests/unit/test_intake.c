/* Frames of membership on their way in: form first, the signature last. */
#include "births.h"
#include "core/intake.h"
#include "core/withdrawal.h"

#include <stdlib.h>

#define NETWORK "pond"
#define NOW_MS (BORN_MS + HOUR_MS)
#define ACCUSER 10u /* keys of births.h */
#define ACCUSED 20u
#define DUCKLING 30u

static struct arena arena, opened;
static struct keyring *keyring;
static struct seen *held_good;
static struct intake *intake;
static struct id accuser, accused, duckling;
static struct bytes chain, duckling_chain;
static struct event event;
static char reason[160];

static void set_up(void)
{
    struct intake_settings settings = {.network = bytes_of_text(NETWORK)};

    ck_assert(identity_self_test());
    arena_init(&arena, 16 * MIB);
    arena_init(&opened, MIB);
    settings.keyring = keyring = keyring_new(64);
    settings.held_good = held_good = seen_new(64);
    intake = intake_new(&settings);
    chain = birth_chain(IDENTITY_NODE, ACCUSER, 1, &arena, &accuser);
    birth_chain(IDENTITY_NODE, ACCUSED, 1, &arena, &accused);
    duckling_chain = birth_chain(IDENTITY_DUCKLING, DUCKLING, 1, &arena, &duckling);
}

static void tear_down(void)
{
    intake_free(intake);
    keyring_free(keyring);
    seen_free(held_good);
    arena_free(&arena);
    arena_free(&opened);
}

static enum intake_verdict open_frame(enum frame_kind kind, struct bytes body)
{
    struct id peck;
    size_t refused;
    enum intake_verdict verdict;

    arena_reset(&opened);
    verdict = intake_open(intake, kind, body, NOW_MS, &opened, &event, &peck, &refused, reason);
    ck_assert(verdict == INTAKE_TAKEN || reason[0]);
    return verdict;
}

static struct accusation said(void)
{
    return (struct accusation){.network = bytes_of_text(NETWORK),
                               .accuser = accuser,
                               .accused = accused,
                               .version = {NOW_MS, 1},
                               .made_ms = NOW_MS,
                               .not_after_ms = NOW_MS + ACCUSATION_LIFE_MS};
}

static struct bytes seal_as(const struct accusation *accusation, const struct id *signer,
                            uint32_t keys)
{
    struct identity_key *key = birth_key(keys);
    struct bytes body, wire;

    ck_assert_int_eq(accusation_pack(accusation, &arena, &body), ACCUSATION_OK);
    wire = envelope_seal(ENVELOPE_ACCUSATION, signer, key, body, &arena, NULL);
    identity_key_free(key);
    return wire;
}

static struct bytes frame_of(const struct accusation *accusation, bool with_chain)
{
    return frame_pack_accusation(with_chain ? chain : bytes_of(NULL, 0),
                                 seal_as(accusation, &accuser, ACCUSER), &arena);
}

/* ---- probes ---- */

START_TEST(a_probe_says_its_nonce_and_sums_in_23_bytes)
{
    const uint64_t sums[2] = {UINT64_MAX, 7};
    struct bytes body = frame_pack_probe(0xdeadbeef, sums, &arena);

    ck_assert_uint_le(body.size, 23);
    ck_assert_int_eq(open_frame(FRAME_PROBE, body), INTAKE_TAKEN);
    ck_assert_int_eq(event.kind, EVENT_PROBE);
    ck_assert_uint_eq(event.probe.nonce, 0xdeadbeef);
    ck_assert_uint_eq(event.probe.sums[0], UINT64_MAX);
    ck_assert_uint_eq(event.probe.sums[1], 7);
    ck_assert_int_eq(open_frame(FRAME_PROBE_ACK, body), INTAKE_TAKEN);
    ck_assert_int_eq(event.kind, EVENT_PROBE_ACK);
}
END_TEST

START_TEST(a_request_names_a_node_and_a_nack_its_nonce)
{
    struct bytes body = frame_pack_probe_request(7, &accused, &arena);

    ck_assert_int_eq(open_frame(FRAME_PROBE_REQUEST, body), INTAKE_TAKEN);
    ck_assert_int_eq(event.kind, EVENT_PROBE_REQUEST);
    ck_assert_uint_eq(event.probe.nonce, 7);
    ck_assert(id_equal(&event.probe.target, &accused));
    ck_assert_int_eq(open_frame(FRAME_PROBE_NACK, frame_pack_probe_nack(9, &arena)), INTAKE_TAKEN);
    ck_assert_int_eq(event.kind, EVENT_PROBE_NACK);
    ck_assert_uint_eq(event.probe.nonce, 9);
}
END_TEST

START_TEST(probes_that_are_none_are_refused)
{
    struct bytes broken = bytes_of("\xff\xff", 2);

    ck_assert_int_eq(open_frame(FRAME_PROBE, broken), INTAKE_MALFORMED);
    ck_assert_int_eq(open_frame(FRAME_PROBE_ACK, broken), INTAKE_MALFORMED);
    ck_assert_int_eq(open_frame(FRAME_PROBE_REQUEST, broken), INTAKE_MALFORMED);
    ck_assert_int_eq(open_frame(FRAME_PROBE_NACK, broken), INTAKE_MALFORMED);
    ck_assert_int_eq(open_frame(FRAME_PROBE_REQUEST, frame_pack_probe_nack(7, &arena)),
                     INTAKE_MALFORMED); /* it names nobody */
    ck_assert_int_eq(open_frame(FRAME_GOODBYE, bytes_of(NULL, 0)), INTAKE_UNKNOWN_KIND);
}
END_TEST

/* ---- accusations ---- */

START_TEST(an_accusation_that_holds_comes_in_with_its_bytes)
{
    struct accusation accusation = said();
    struct bytes wire = seal_as(&accusation, &accuser, ACCUSER);

    ck_assert_int_eq(open_frame(FRAME_ACCUSATION, frame_pack_accusation(chain, wire, &arena)),
                     INTAKE_TAKEN);
    ck_assert_int_eq(event.kind, EVENT_ACCUSATION);
    ck_assert(id_equal(&event.accusation.accusation.accused, &accused));
    ck_assert(bytes_equal(event.accusation.wire, wire));
    ck_assert(bytes_equal(event.accusation.chain, chain));
    ck_assert(!event.accusation.expired);
}
END_TEST

START_TEST(without_a_chain_it_needs_one_that_is_held)
{
    struct accusation accusation = said();

    ck_assert_int_eq(open_frame(FRAME_ACCUSATION, frame_of(&accusation, false)),
                     INTAKE_UNKNOWN_SIGNER);
    ck_assert_int_eq(open_frame(FRAME_ACCUSATION, frame_of(&accusation, true)), INTAKE_TAKEN);
    ck_assert_int_eq(open_frame(FRAME_ACCUSATION, frame_of(&accusation, false)), INTAKE_TAKEN);
    ck_assert(bytes_equal(event.accusation.chain, chain)); /* whoever gets it next may lack it */
}
END_TEST

START_TEST(one_that_comes_over_several_links_is_checked_once)
{
    struct accusation accusation = said();
    struct bytes frame = frame_of(&accusation, true);

    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(open_frame(FRAME_ACCUSATION, frame), INTAKE_TAKEN);
    ck_assert_uint_eq(intake_signature_checks(intake), 1);
    accusation.made_ms++;
    ck_assert_int_eq(open_frame(FRAME_ACCUSATION, frame_of(&accusation, true)), INTAKE_TAKEN);
    ck_assert_uint_eq(intake_signature_checks(intake), 2);
}
END_TEST

START_TEST(every_turned_bit_is_refused_before_and_after_it_was_known)
{
    struct accusation accusation = said();
    struct bytes wire = seal_as(&accusation, &accuser, ACCUSER);

    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < wire.size; i++) {
            struct bytes turned = arena_copy(&arena, wire);

            ((uint8_t *)(uintptr_t)turned.data)[i] ^= 1;
            ck_assert_int_ne(
                open_frame(FRAME_ACCUSATION, frame_pack_accusation(chain, turned, &arena)),
                INTAKE_TAKEN);
        }
        ck_assert_int_eq(open_frame(FRAME_ACCUSATION, frame_of(&accusation, true)), INTAKE_TAKEN);
    }
}
END_TEST

START_TEST(only_the_accuser_itself_a_node_signs_it)
{
    struct accusation accusation = said();
    struct bytes wire = seal_as(&accusation, &accuser, ACCUSED); /* another key */

    ck_assert_int_eq(open_frame(FRAME_ACCUSATION, frame_pack_accusation(chain, wire, &arena)),
                     INTAKE_BAD_SIGNATURE);
    accusation.accuser = duckling;
    wire = seal_as(&accusation, &duckling, DUCKLING);
    ck_assert_int_eq(
        open_frame(FRAME_ACCUSATION, frame_pack_accusation(duckling_chain, wire, &arena)),
        INTAKE_WRONG_SIGNER);
    accusation = said();
    wire = seal_as(&accusation, &duckling, DUCKLING); /* in another's name */
    ck_assert_int_eq(
        open_frame(FRAME_ACCUSATION, frame_pack_accusation(duckling_chain, wire, &arena)),
        INTAKE_WRONG_SIGNER);
    ck_assert_int_eq(open_frame(FRAME_ACCUSATION, frame_pack_accusation(chain, wire, &arena)),
                     INTAKE_WRONG_SIGNER);
}
END_TEST

START_TEST(one_of_another_network_or_from_the_future_is_refused)
{
    struct accusation accusation = said();

    accusation.network = bytes_of_text("puddle");
    ck_assert_int_eq(open_frame(FRAME_ACCUSATION, frame_of(&accusation, true)),
                     INTAKE_OTHER_NETWORK);
    accusation = said();
    accusation.version.ms = NOW_MS + CLOCK_SKEW_MAX_MS + 1;
    ck_assert_int_eq(open_frame(FRAME_ACCUSATION, frame_of(&accusation, true)), INTAKE_EXPIRED);
}
END_TEST

START_TEST(an_expired_one_comes_in_but_says_so)
{
    struct accusation accusation = said();

    accusation.made_ms = NOW_MS - CLOCK_SKEW_MAX_MS - ACCUSATION_LIFE_MS - 1;
    accusation.not_after_ms = accusation.made_ms + ACCUSATION_LIFE_MS;
    ck_assert_int_eq(open_frame(FRAME_ACCUSATION, frame_of(&accusation, true)), INTAKE_TAKEN);
    ck_assert(event.accusation.expired);
}
END_TEST

START_TEST(one_that_is_too_large_is_not_even_unpacked)
{
    size_t size = CHAIN_SIZE_MAX + ACCUSATION_SIZE_MAX + 17;
    uint8_t *data = calloc(1, size);

    ck_assert_int_eq(open_frame(FRAME_ACCUSATION, bytes_of(data, size)), INTAKE_MALFORMED);
    free(data);
    ck_assert_int_eq(open_frame(FRAME_ACCUSATION, bytes_of("\xff", 1)), INTAKE_MALFORMED);
    ck_assert_int_eq(
        open_frame(FRAME_ACCUSATION, frame_pack_accusation(chain, bytes_of_text("none"), &arena)),
        INTAKE_BAD_ENVELOPE);
}
END_TEST

/* ---- what was fetched ---- */

/* A record of the accuser that ends at `not_after_ms`, in a frame that says that it is the last. */
static struct bytes last_frame(uint64_t not_after_ms, bool forged)
{
    struct identity_key *key = birth_key(forged ? ACCUSED : ACCUSER);
    struct fetch_answer answer = {.session = 7, .set = RECORD_SET_DIRECTORY, .is_last = true};
    struct record record = {.network = bytes_of_text(NETWORK),
                            .owner = accuser,
                            .kind = RECORD_SKILL,
                            .version = {NOW_MS - HOUR_MS, 0},
                            .not_after_ms = not_after_ms,
                            .content = bytes_of_text("x")};
    struct bytes body, wire;

    ck_assert_int_eq(record_pack(&record, &arena, &body), RECORD_OK);
    wire = envelope_seal(ENVELOPE_RECORD, &accuser, key, body, &arena, NULL);
    identity_key_free(key);
    return frame_pack_fetched(&answer, &chain, &wire, 1, &arena);
}

START_TEST(an_answer_of_which_nothing_holds_is_an_answer)
{
    ck_assert_int_eq(open_frame(FRAME_FETCHED, last_frame(NOW_MS + HOUR_MS, false)), INTAKE_TAKEN);
    ck_assert_uint_eq(event.fetched.count, 1);
    ck_assert(event.fetched.is_last && !event.fetched.offends);

    ck_assert_int_eq(open_frame(FRAME_FETCHED, last_frame(NOW_MS - 1, false)), INTAKE_TAKEN);
    ck_assert_uint_eq(event.fetched.count, 0);
    ck_assert(event.fetched.is_last && !event.fetched.offends); /* a matter of clocks */

    ck_assert_int_eq(open_frame(FRAME_FETCHED, last_frame(NOW_MS + HOUR_MS, true)), INTAKE_TAKEN);
    ck_assert_uint_eq(event.fetched.count, 0);
    ck_assert(event.fetched.is_last && event.fetched.offends);
}
END_TEST

START_TEST(the_same_bytes_are_verified_once_and_others_are_not_taken_for_them)
{
    struct bytes good = last_frame(NOW_MS + HOUR_MS, false);

    for (int round = 0; round < 3; round++) {
        ck_assert_int_eq(open_frame(FRAME_FETCHED, good), INTAKE_TAKEN);
        ck_assert_uint_eq(event.fetched.count, 1);
        ck_assert(!event.fetched.items[0].only_seen);
    }
    ck_assert_uint_eq(intake_signature_checks(intake), 1);

    ck_assert_int_eq(open_frame(FRAME_FETCHED, last_frame(NOW_MS + HOUR_MS, true)), INTAKE_TAKEN);
    ck_assert_uint_eq(event.fetched.count, 0);
    ck_assert_uint_eq(intake_signature_checks(intake), 2);
}
END_TEST

/* ---- vouchers that are taken back ---- */

#define OPERATOR 70

static struct bytes withdrawal_frame(uint64_t at_ms, bool signed_by_another)
{
    static const uint8_t seeds[2][SEED_SIZE] = {{1}, {2}};
    struct fetch_answer answer = {.session = 7, .set = RECORD_SET_DIRECTORY, .is_last = true};
    struct identity_key *key = birth_key(signed_by_another ? ACCUSED : OPERATOR);
    struct withdrawal_wish wish = {.network = bytes_of_text(NETWORK),
                                   .operator_key = key,
                                   .subject = duckling,
                                   .until_ms = at_ms,
                                   .seeds = seeds};
    struct bytes wire, carriers_chain;

    wish.operator_chain = birth_chain(IDENTITY_OPERATOR, OPERATOR, 1, &arena, &wish.operator_id);
    ck_assert_int_eq(withdrawal_make(&wish, &arena, &wire, &carriers_chain), WITHDRAWAL_OK);
    identity_key_free(key);
    return frame_pack_fetched(&answer, &carriers_chain, &wire, 1, &arena);
}

START_TEST(a_withdrawal_comes_in_verified)
{
    const struct withdrawn *withdrawn;

    ck_assert_int_eq(open_frame(FRAME_FETCHED, withdrawal_frame(NOW_MS - 5, false)), INTAKE_TAKEN);
    ck_assert_uint_eq(event.fetched.count, 1);
    withdrawn = &event.fetched.items[0].withdrawn;
    ck_assert_uint_eq(withdrawn->until_ms, NOW_MS - 5);
    ck_assert(id_equal(&withdrawn->subject, &duckling));
    ck_assert_int_eq(open_frame(FRAME_FETCHED, last_frame(NOW_MS + HOUR_MS, false)), INTAKE_TAKEN);
    ck_assert_uint_eq(event.fetched.items[0].withdrawn.until_ms, 0);
}
END_TEST

/* Older nodes hold it as what it is for them, so whoever brings it offends nobody. */
START_TEST(a_withdrawal_that_does_not_hold_is_a_revocation_that_says_nothing)
{
    ck_assert_int_eq(open_frame(FRAME_FETCHED, withdrawal_frame(NOW_MS - 5, true)), INTAKE_TAKEN);
    ck_assert_uint_eq(event.fetched.count, 1);
    ck_assert(!event.fetched.offends);
    ck_assert_uint_eq(event.fetched.items[0].record.kind, RECORD_REVOCATION);
    ck_assert_uint_eq(event.fetched.items[0].withdrawn.until_ms, 0);
}
END_TEST

START_TEST(a_withdrawal_from_the_future_is_refused_like_any_record)
{
    ck_assert_int_eq(
        open_frame(FRAME_FETCHED, withdrawal_frame(NOW_MS + CLOCK_SKEW_MAX_MS + 1, false)),
        INTAKE_TAKEN);
    ck_assert_uint_eq(event.fetched.count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("intake");
    TCase *tcase = tcase_create("membership");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_probe_says_its_nonce_and_sums_in_23_bytes);
    tcase_add_test(tcase, a_request_names_a_node_and_a_nack_its_nonce);
    tcase_add_test(tcase, probes_that_are_none_are_refused);
    tcase_add_test(tcase, an_accusation_that_holds_comes_in_with_its_bytes);
    tcase_add_test(tcase, without_a_chain_it_needs_one_that_is_held);
    tcase_add_test(tcase, one_that_comes_over_several_links_is_checked_once);
    tcase_add_test(tcase, every_turned_bit_is_refused_before_and_after_it_was_known);
    tcase_add_test(tcase, only_the_accuser_itself_a_node_signs_it);
    tcase_add_test(tcase, one_of_another_network_or_from_the_future_is_refused);
    tcase_add_test(tcase, an_expired_one_comes_in_but_says_so);
    tcase_add_test(tcase, one_that_is_too_large_is_not_even_unpacked);
    tcase_add_test(tcase, an_answer_of_which_nothing_holds_is_an_answer);
    tcase_add_test(tcase, the_same_bytes_are_verified_once_and_others_are_not_taken_for_them);
    tcase_add_test(tcase, a_withdrawal_comes_in_verified);
    tcase_add_test(tcase, a_withdrawal_that_does_not_hold_is_a_revocation_that_says_nothing);
    tcase_add_test(tcase, a_withdrawal_from_the_future_is_refused_like_any_record);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
