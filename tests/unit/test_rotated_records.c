/* Records of an identity whose key was rotated: the newer key speaks, the older one never again. */
#include "births.h"
#include "core/intake.h"

#define NOW_MS (BORN_MS + ROTATED_EVERY_MS + HOUR_MS) /* two certificates have been issued */

static struct arena arena;
static struct keyring *ring;
static struct intake *intake;
static char reason[160];

static void set_up(void)
{
    struct intake_settings settings = {.network = bytes_of_text("pond")};

    ck_assert(identity_self_test());
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

/* A skill of the identity of birth_key(1), signed by key 1 + `key`, beside a chain of `length`. */
static enum intake_verdict receive(uint32_t key, size_t length, uint64_t version_ms)
{
    struct record record = {
        .network = bytes_of_text("pond"),
        .kind = RECORD_SKILL,
        .key = bytes_of_text("echo"),
        .version = {.ms = version_ms},
        .not_after_ms = version_ms + RECORD_LIFE_MS,
    };
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
                          NOW_MS, &arena, &event, &peck, &refused, reason);
    identity_key_free(signer);
    return verdict;
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
    ck_assert_int_eq(receive(0, 1, NOW_MS), INTAKE_BAD_SIGNATURE); /* the thief of the old key */
    ck_assert_int_eq(receive(0, 2, NOW_MS), INTAKE_BAD_SIGNATURE);
    ck_assert_int_eq(receive(1, 1, NOW_MS), INTAKE_TAKEN); /* the longer chain is held */
    ck_assert_int_eq(receive(1, 2, NOW_MS), INTAKE_TAKEN);
}
END_TEST

START_TEST(a_chain_does_not_lend_a_key_before_its_time)
{
    ck_assert_int_eq(receive(2, 3, NOW_MS), INTAKE_BAD_SIGNATURE);
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
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
