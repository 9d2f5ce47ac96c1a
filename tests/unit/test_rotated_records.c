/* Records of an identity whose key was rotated: the newer key speaks; what the older one said in its
 * time stays true, and it says nothing new. */
#include "births.h"
#include "core/intake.h"

#define NOW_MS (BORN_MS + ROTATED_EVERY_MS + HOUR_MS) /* two certificates have been issued */

static struct arena arena;
static struct keyring *ring;
static struct intake *intake;
static uint64_t now_ms;
static char reason[160];

static void set_up(void)
{
    struct intake_settings settings = {.network = bytes_of_text("pond")};

    ck_assert(identity_self_test());
    now_ms = NOW_MS;
    arena_init(&arena, 16 * MIB);
    ring = keyring_new(16);
    settings.keyring = ring;
    intake = intake_new(&settings);
}

static void tear_down(void)
{
    intake_free(intake);
    keyring_free(ring);
    arena_free(&arena);
}

/* Of the identity of birth_key(1), signed by key 1 + `key`, beside a chain of `length`. */
static enum intake_verdict receive_record(struct record record, uint32_t key, size_t length)
{
    struct bytes chain = birth_chain(IDENTITY_DUCKLING, 1, length, &arena, &record.owner);
    struct identity_key *signer = birth_key(1 + key);
    struct bytes body, wire;
    enum intake_verdict verdict;
    struct event event;
    size_t refused;
    struct id peck;

    ck_assert_int_eq(record_pack(&record, &arena, &body), RECORD_OK);
    wire = envelope_seal(ENVELOPE_RECORD, &record.owner, signer, body, &arena, NULL);
    verdict = intake_open(intake, FRAME_RECORDS, frame_pack_records(&chain, &wire, 1, &arena),
                          now_ms, &arena, &event, &peck, &refused, reason);
    identity_key_free(signer);
    return verdict;
}

/* A skill. */
static enum intake_verdict receive(uint32_t key, size_t length, uint64_t version_ms)
{
    struct record record = {
        .network = bytes_of_text("pond"),
        .kind = RECORD_SKILL,
        .key = bytes_of_text("echo"),
        .version = {.ms = version_ms},
        .not_after_ms = version_ms + RECORD_LIFE_MS,
    };

    return receive_record(record, key, length);
}

START_TEST(a_record_under_a_longer_chain_is_taken)
{
    ck_assert_int_eq(receive(0, 1, NOW_MS - 2), INTAKE_TAKEN); /* nobody told us of the rotation */
    ck_assert_int_eq(receive(1, 2, NOW_MS - 1), INTAKE_TAKEN);
}
END_TEST

START_TEST(an_older_chain_does_not_roll_back)
{
    ck_assert_int_eq(receive(1, 2, NOW_MS - 1), INTAKE_TAKEN);
    ck_assert_int_eq(receive(0, 1, NOW_MS), INTAKE_RETIRED_KEY); /* the thief of the old key */
    ck_assert_int_eq(receive(0, 2, NOW_MS), INTAKE_RETIRED_KEY);
    ck_assert_int_eq(receive(1, 1, NOW_MS), INTAKE_TAKEN); /* the longer chain is held */
    ck_assert_int_eq(receive(1, 2, NOW_MS), INTAKE_TAKEN);
}
END_TEST

START_TEST(a_chain_does_not_lend_a_key_before_its_time)
{
    ck_assert_int_eq(receive(2, 3, NOW_MS), INTAKE_BAD_SIGNATURE);
}
END_TEST

START_TEST(what_was_said_before_the_rotation_is_taken_beside_either_chain)
{
    uint64_t rotated_ms = BORN_MS + ROTATED_EVERY_MS;

    ck_assert_int_eq(receive(1, 2, NOW_MS - 1), INTAKE_TAKEN);
    ck_assert_int_eq(receive(0, 1, rotated_ms - 1), INTAKE_TAKEN);
    ck_assert_int_eq(receive(0, 2, rotated_ms - 2), INTAKE_TAKEN);
    ck_assert_int_eq(receive(0, 2, rotated_ms), INTAKE_RETIRED_KEY);
    ck_assert_int_eq(receive(0, 2, BORN_MS - 1), INTAKE_RETIRED_KEY);
}
END_TEST

START_TEST(to_relay_what_a_retired_key_signed_is_no_offence_and_to_forge_is_one)
{
    ck_assert(!intake_verdict_offends(INTAKE_RETIRED_KEY));
    ck_assert(intake_verdict_offends(INTAKE_BAD_SIGNATURE));
    ck_assert_int_eq(receive(1, 2, NOW_MS - 1), INTAKE_TAKEN);
    ck_assert_int_eq(receive(7, 2, NOW_MS - 1), INTAKE_BAD_SIGNATURE);
}
END_TEST

START_TEST(a_revocation_is_signed_with_the_key_that_speaks_now)
{
    struct record record = {
        .network = bytes_of_text("pond"),
        .kind = RECORD_REVOCATION,
        .version = {.ms = BORN_MS + ROTATED_EVERY_MS - 1},
        .not_after_ms = BORN_MS + REVOCATION_LIFE_MAX_MS,
    };
    struct revocation_content content = {.reason = bytes_of_text("stolen"),
                                         .revoked_at_ms = BORN_MS};

    birth_chain(IDENTITY_DUCKLING, 1, 1, &arena, &content.subject);
    record.content = revocation_content_pack(&content, &arena);
    ck_assert_int_eq(receive_record(record, 0, 2), INTAKE_RETIRED_KEY);
    ck_assert_int_eq(receive_record(record, 1, 2), INTAKE_TAKEN);
}
END_TEST

/* No record of its time lives any more. */
START_TEST(a_key_retired_for_longer_than_a_record_lives_is_not_tried)
{
    uint64_t rotated_ms = BORN_MS + ROTATED_EVERY_MS;

    now_ms = rotated_ms + RECORD_LIFE_MAX_MS - 1;
    ck_assert_int_eq(receive(0, 2, rotated_ms - 1), INTAKE_EXPIRED);
    now_ms++;
    ck_assert_int_eq(receive(0, 2, rotated_ms - 1), INTAKE_BAD_SIGNATURE);
}
END_TEST

START_TEST(of_many_rotations_the_last_two_keys_are_tried)
{
    now_ms = BORN_MS + 3 * ROTATED_EVERY_MS + HOUR_MS;
    ck_assert_int_eq(receive(2, 4, BORN_MS + 3 * ROTATED_EVERY_MS - 1), INTAKE_TAKEN);
    ck_assert_int_eq(receive(1, 4, BORN_MS + 2 * ROTATED_EVERY_MS - 1), INTAKE_TAKEN);
    ck_assert_int_eq(receive(0, 4, BORN_MS + ROTATED_EVERY_MS - 1), INTAKE_RETIRED_KEY);
    now_ms = BORN_MS + ROTATED_EVERY_MS + RECORD_LIFE_MAX_MS;
    ck_assert_int_eq(receive(0, 4, BORN_MS + ROTATED_EVERY_MS - 1), INTAKE_BAD_SIGNATURE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rotated records");
    TCase *tcase = tcase_create("rotated records");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_record_under_a_longer_chain_is_taken);
    tcase_add_test(tcase, an_older_chain_does_not_roll_back);
    tcase_add_test(tcase, a_chain_does_not_lend_a_key_before_its_time);
    tcase_add_test(tcase, what_was_said_before_the_rotation_is_taken_beside_either_chain);
    tcase_add_test(tcase, to_relay_what_a_retired_key_signed_is_no_offence_and_to_forge_is_one);
    tcase_add_test(tcase, a_revocation_is_signed_with_the_key_that_speaks_now);
    tcase_add_test(tcase, a_key_retired_for_longer_than_a_record_lives_is_not_tried);
    tcase_add_test(tcase, of_many_rotations_the_last_two_keys_are_tried);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
