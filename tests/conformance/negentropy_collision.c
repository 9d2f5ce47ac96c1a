/* negentropy_collision: records that somebody chose so that two different sets have one
 * fingerprint. A plain session does not see that a third party's record is missing; an audit does. */
#include "core/audit.h"
#include "core/dice.h"
#include "reconcile_play.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define VECTORS VECTORS_DIR "/negentropy_collision.txt"
#define CHOSEN 2048u       /* X and Y, each */
#define HONEST 50000u      /* records that both have */
#define CHOSEN_AT_S 13500u /* all in one second, and within one of 16 pieces */

static struct recordset *lacking, *holding; /* X and E; Y and H, the victim */
static struct stamp victim;

static void read_line(const char *line)
{
    struct stamp stamp = {.at_s = CHOSEN_AT_S};
    size_t size;
    bool is_ours = line[0] == 'X' || line[0] == 'E';

    ck_assert(strchr("XYEH", line[0]) && line[1] == ' ');
    ck_assert_int_eq(
        sodium_hex2bin(stamp.hash.bytes, HASH_SIZE, line + 2, 2 * HASH_SIZE, NULL, &size, NULL), 0);
    ck_assert_uint_eq(size, HASH_SIZE);
    ck_assert(recordset_insert(is_ours ? lacking : holding, &stamp));
    if (line[0] == 'H')
        victim = stamp;
}

static void begin(void)
{
    FILE *file = fopen(VECTORS, "r");
    struct dice dice;
    char line[128];

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(sodium_init(), 0);
    lacking = recordset_new();
    holding = recordset_new();
    while (fgets(line, sizeof line, file))
        read_line(line);
    fclose(file);
    ck_assert_uint_eq(recordset_count(lacking), CHOSEN + 1);
    ck_assert_uint_eq(recordset_count(holding), CHOSEN + 1);
    dice_init_number(&dice, 1);
    for (uint32_t i = 0; i < HONEST; i++) {
        struct stamp stamp = {.at_s = i};
        dice_fill(&dice, &stamp.hash, sizeof stamp.hash);
        ck_assert(recordset_insert(lacking, &stamp));
        ck_assert(recordset_insert(holding, &stamp));
    }
}

static void end(void)
{
    recordset_free(lacking);
    recordset_free(holding);
}

START_TEST(different_sets_have_one_fingerprint)
{
    uint8_t one[RECORDSET_PRINT_SIZE], other[RECORDSET_PRINT_SIZE];

    ck_assert(recordset_contains(holding, &victim));
    ck_assert(!recordset_contains(lacking, &victim));
    recordset_fingerprint(lacking, 0, SIZE_MAX, one);
    recordset_fingerprint(holding, 0, SIZE_MAX, other);
    ck_assert_mem_eq(one, other, sizeof one);
}
END_TEST

START_TEST(a_plain_session_does_not_see_it)
{
    struct play done = {.of_initiator = &reconcile_defaults,
                        .of_responder = &reconcile_defaults,
                        .initiator = lacking,
                        .responder = holding};

    play_session(&done);
    ck_assert_int_eq(done.verdict, RECONCILE_DONE);
    ck_assert_uint_eq(done.need_count + done.have_count, 0);
    play_end(&done);
}
END_TEST

START_TEST(an_audit_finds_the_hidden_record)
{
    const struct id one = {.bytes = {1}}, other = {.bytes = {2}};
    uint8_t nonces[2][AUDIT_NONCE_SIZE] = {{3}, {4}}, key[AUDIT_KEY_SIZE];
    struct audit *ours, *theirs;
    struct play done = {.of_initiator = &reconcile_defaults, .of_responder = &reconcile_defaults};
    bool found = false;

    audit_key(&one, nonces[0], &other, nonces[1], key);
    ours = audit_new(lacking, key);
    theirs = audit_new(holding, key);
    done.initiator = (struct recordset *)audit_set(ours);
    done.responder = (struct recordset *)audit_set(theirs);
    play_session(&done);
    ck_assert_int_eq(done.verdict, RECONCILE_DONE);
    ck_assert_uint_eq(done.need_count, CHOSEN + 1);
    for (size_t i = 0; i < done.need_count; i++) {
        struct hash original;
        ck_assert(audit_original(theirs, &done.needs[i], &original));
        found |= hash_equal(&original, &victim.hash);
    }
    ck_assert(found);
    play_end(&done);
    audit_free(ours);
    audit_free(theirs);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("negentropy collision");
    TCase *tcase = tcase_create("collision");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, different_sets_have_one_fingerprint);
    tcase_add_test(tcase, a_plain_session_does_not_see_it);
    tcase_add_test(tcase, an_audit_finds_the_hidden_record);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
