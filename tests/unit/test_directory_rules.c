/* What ended, who equivocated, who is revoked. */
#include "directory_bed.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- keys that are tried no more ---- */

START_TEST(what_an_owner_dated_before_is_let_go_of_and_leaves_no_mark)
{
    struct directory_drop drops[RECORDS_PER_OWNER_MAX];
    struct id owner = owner_of(1), other = owner_of(2);

    ck_assert_int_eq(offer(skill(1, "a", 4, 5000)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(skill(1, "b", 5, 5000)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(skill(1, "c", 3, 5000)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(skill(2, "a", 3, 5000)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_void(directory, &owner, BORN_MS + 5, drops), 2);
    ck_assert_uint_eq(directory_count_of(directory, &owner), 1);
    ck_assert_uint_eq(directory_count_of(directory, &other), 1);
    ck_assert_uint_eq(directory_mark_count(directory), 0);
    ck_assert_uint_eq(directory_void(directory, &owner, BORN_MS + 5, drops), 0);
}
END_TEST

START_TEST(a_revocation_is_never_let_go_of)
{
    struct directory_drop drops[RECORDS_PER_OWNER_MAX];
    struct id owner = owner_of(1);

    ck_assert_int_eq(offer(revocation(1, 0, REVOCATION_LIFE_MAX_MS)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_void(directory, &owner, MOMENT_NEVER, drops), 0);
    ck_assert(directory_revoked(directory, &owner));
}
END_TEST

/* ---- high-water marks ---- */

START_TEST(what_ended_does_not_come_back)
{
    struct record old = skill(1, "a", 0, 5000), new = skill(1, "a", 1, 1000);
    struct directory_drop ended;

    ck_assert_int_eq(offer(new), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + 1000, &ended, 1), 1);
    ck_assert(hash_equal(&ended.hash, &new.hash));
    ck_assert_uint_eq(ended.version.ms, BORN_MS + 1);
    ck_assert_uint_eq(ended.kind, RECORD_SKILL);
    ck_assert_uint_eq(ended.mark_until_ms, BORN_MS + 1 + RECORD_LIFE_MAX_MS);
    ck_assert_uint_eq(directory_mark_count(directory), 1);
    ck_assert_int_eq(offer(old), DIRECTORY_BEHIND); /* it would live on */
    ck_assert(!outcome.taken);
    ck_assert_int_eq(offer(skill(1, "a", 1, 5000)), DIRECTORY_BEHIND); /* the same version */
    ck_assert_int_eq(offer(skill(1, "b", 0, 5000)), DIRECTORY_TAKEN);  /* other names: */
    ck_assert_int_eq(offer(skill(1, "", 0, 5000)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(skill(2, "a", 0, 5000)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(skill(1, "a", 2, 5000)), DIRECTORY_TAKEN);
}
END_TEST

START_TEST(a_mark_rises_and_never_falls)
{
    struct id owner = owner_of(1);
    struct directory_drop ended;

    ck_assert_int_eq(offer(skill(1, "a", 5, 1000)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + 1000, &ended, 1), 1);
    ck_assert_int_eq(offer(skill(1, "a", 6, 2000)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + 2000, &ended, 1), 1);
    ck_assert_uint_eq(directory_mark_count(directory), 1);
    ck_assert_int_eq(offer(skill(1, "a", 6, 9000)), DIRECTORY_BEHIND);
    directory_restore_mark(directory, &owner, RECORD_SKILL, bytes_of_text("a"),
                           (struct version){.ms = BORN_MS + 3});
    ck_assert_int_eq(offer(skill(1, "a", 6, 9000)), DIRECTORY_BEHIND);
    ck_assert_int_eq(offer(skill(1, "a", 7, 9000)), DIRECTORY_TAKEN);
}
END_TEST

START_TEST(a_mark_ends_when_no_older_record_can_be_alive)
{
    uint64_t end_ms = BORN_MS + 1 + RECORD_LIFE_MAX_MS;
    struct record old = skill(1, "a", 0, RECORD_LIFE_MAX_MS);
    struct directory_drop ended;

    ck_assert_int_eq(offer(skill(1, "a", 1, 1000)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + 1000, &ended, 1), 1);
    ck_assert_uint_eq(directory_expire(directory, end_ms - 1, &ended, 1), 0);
    ck_assert_int_eq(offer(old), DIRECTORY_BEHIND);
    directory_expire(directory, end_ms, &ended, 1);
    ck_assert_uint_eq(directory_mark_count(directory), 0);
    ck_assert_int_eq(record_judge_dates(&old, end_ms), RECORD_EXPIRED);
}
END_TEST

START_TEST(what_ended_long_ago_leaves_no_mark)
{
    struct directory_drop ended;

    ck_assert_int_eq(offer(skill(1, "a", 0, 1000)), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_expire(directory, BORN_MS + RECORD_LIFE_MAX_MS, &ended, 1), 1);
    ck_assert_uint_eq(ended.mark_until_ms, 0);
    ck_assert_uint_eq(directory_mark_count(directory), 0);
}
END_TEST

START_TEST(a_mark_outlives_a_restart)
{
    struct record old = skill(1, "a", 0, 5000);

    directory_restore_mark(directory, &old.owner, RECORD_SKILL, old.key,
                           (struct version){BORN_MS, 1});
    ck_assert_int_eq(offer(old), DIRECTORY_BEHIND);
    old.version.count = 2;
    ck_assert_int_eq(offer(packed(old)), DIRECTORY_TAKEN);
}
END_TEST

START_TEST(too_many_marks_lose_those_that_end_first)
{
    struct directory_settings settings = {.marks_max = 10, .pool = pool};
    struct directory *small = directory_new(&settings);
    struct id owner = owner_of(1);

    for (uint8_t i = 0; i < 100; i++) {
        uint8_t key = (uint8_t)((i * 37) % 100);

        directory_restore_mark(small, &owner, RECORD_SKILL, bytes_of(&key, 1),
                               (struct version){BORN_MS + key, 0});
        ck_assert_uint_le(directory_mark_count(small), 10);
    }
    for (uint8_t key = 0; key < 100; key++) {
        struct record record = {.owner = owner,
                                .kind = RECORD_SKILL,
                                .key = bytes_of(&key, 1),
                                .version = {BORN_MS, 0},
                                .not_after_ms = BORN_MS + 1};

        record.hash = hash_of(record.key);
        ck_assert_int_eq(offer_to(small, &record) == DIRECTORY_BEHIND, key >= 90);
    }
    directory_free(small);
}
END_TEST

/* ---- equivocation ---- */

START_TEST(two_records_of_one_version_are_a_proof)
{
    struct record one = skill(1, "a", 0, 1000), other = twin(one, "other");
    const struct record *lesser = is_greater(&one, &other) ? &other : &one;
    const struct record *greater = lesser == &one ? &other : &one;
    const struct directory_proof *proof;

    ck_assert_int_eq(offer(*lesser), DIRECTORY_TAKEN);
    ck_assert(!directory_quarantined(directory, &one.owner, BORN_MS));
    ck_assert_int_eq(offer(*greater), DIRECTORY_EQUIVOCATION);
    ck_assert(outcome.taken && outcome.proven && holds(greater));
    ck_assert(hash_equal(&outcome.other, &lesser->hash));
    ck_assert(hash_equal(&outcome.replaced.hash, &lesser->hash));
    ck_assert_int_eq(offer(*lesser), DIRECTORY_EQUIVOCATION);
    ck_assert(!outcome.taken && !outcome.proven && has_replaced_nothing());
    ck_assert(hash_equal(&outcome.other, &greater->hash));
    ck_assert_uint_eq(directory_proof_count(directory), 1);
    proof = directory_proof_at(directory, 0);
    ck_assert(id_equal(&proof->owner, &one.owner) && proof->kind == RECORD_SKILL);
    ck_assert(hash_equal(&proof->lesser, &lesser->hash));
    ck_assert(hash_equal(&proof->greater, &greater->hash));
    ck_assert_uint_eq(proof->version.ms, BORN_MS);
}
END_TEST

START_TEST(a_quarantine_lasts_a_day_and_repeating_does_not_prolong_it)
{
    struct record one = skill(1, "a", 0, 1000), other = twin(one, "other"), third;
    struct id stranger = owner_of(2);

    offer(one);
    offer(other);
    ck_assert(directory_quarantined(directory, &one.owner, BORN_MS + QUARANTINE_MS - 1));
    ck_assert(!directory_quarantined(directory, &one.owner, BORN_MS + QUARANTINE_MS));
    ck_assert(!directory_quarantined(directory, &stranger, BORN_MS));
    for (size_t i = 0; i < 2; i++)
        directory_offer(directory, i ? &one : &other, BORN_MS + HOUR_MS, &outcome);
    ck_assert(!directory_quarantined(directory, &one.owner, BORN_MS + QUARANTINE_MS));
    third = twin(one, "third");
    ck_assert_int_eq(directory_offer(directory, &third, BORN_MS + HOUR_MS, &outcome),
                     DIRECTORY_EQUIVOCATION);
    ck_assert(outcome.proven);
    ck_assert(directory_quarantined(directory, &one.owner, BORN_MS + QUARANTINE_MS));
    ck_assert_uint_eq(directory_proof_count(directory), 1); /* one an owner */
}
END_TEST

START_TEST(who_is_quarantined_may_say_newer_things)
{
    struct record one = skill(1, "a", 0, 1000);

    offer(one);
    ck_assert_int_eq(offer(twin(one, "other")), DIRECTORY_EQUIVOCATION);
    ck_assert_int_eq(offer(skill(1, "a", 1, 1000)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(skill(1, "b", 1, 1000)), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(one), DIRECTORY_OLDER);
}
END_TEST

START_TEST(too_many_proofs_lose_the_oldest)
{
    struct directory_settings settings = {.proofs_max = 5, .pool = pool};
    struct directory *small = directory_new(&settings);

    for (uint32_t owner = 0; owner < 12; owner++) {
        struct record one = skill(owner, "a", 0, 1000), other = twin(one, "other");

        offer_to(small, &one);
        ck_assert_int_eq(offer_to(small, &other), DIRECTORY_EQUIVOCATION);
    }
    ck_assert_uint_eq(directory_proof_count(small), 5);
    for (uint32_t owner = 0; owner < 12; owner++) {
        struct id id = owner_of(owner);

        ck_assert(directory_quarantined(small, &id, BORN_MS) == (owner >= 7));
    }
    directory_free(small);
}
END_TEST

START_TEST(a_proof_outlives_a_restart)
{
    struct directory_proof proof = {
        .owner = owner_of(1), .lesser = {{1}}, .greater = {{2}}, .until_ms = BORN_MS + 5};

    directory_restore_proof(directory, &proof);
    ck_assert(directory_quarantined(directory, &proof.owner, BORN_MS + 4));
    ck_assert(!directory_quarantined(directory, &proof.owner, BORN_MS + 5));
}
END_TEST

/* ---- revocation ---- */

START_TEST(a_revocation_drops_all_and_refuses_all)
{
    struct record first = revocation(1, 0, REVOCATION_LIFE_MAX_MS);
    char key[16];

    for (unsigned i = 0; i < RECORDS_PER_OWNER_MAX; i++) {
        snprintf(key, sizeof key, "%u", i);
        ck_assert_int_eq(offer(skill(1, key, 10, 1000)), DIRECTORY_TAKEN);
    }
    ck_assert_int_eq(offer(skill(2, "", 0, 1000)), DIRECTORY_TAKEN);
    ck_assert(!directory_revoked(directory, &first.owner));
    ck_assert_int_eq(offer(first), DIRECTORY_TAKEN); /* older than what it drops */
    ck_assert_uint_eq(outcome.dropped_count, RECORDS_PER_OWNER_MAX);
    ck_assert_uint_eq(outcome.dropped[0].version.ms, BORN_MS + 10);
    ck_assert(directory_revoked(directory, &first.owner));
    ck_assert_uint_eq(directory_count(directory), 2);
    ck_assert_int_eq(offer(skill(1, "0", 11, 1000)), DIRECTORY_REVOKED);
    ck_assert_int_eq(offer(node(1, 100)), DIRECTORY_REVOKED);
    ck_assert(!outcome.taken);
    ck_assert_int_eq(offer(skill(2, "", 1, 1000)), DIRECTORY_TAKEN);
}
END_TEST

/* A thief, who has the key, would end it by a newer and shorter one. */
START_TEST(the_revocation_that_ends_later_is_held)
{
    struct record year = revocation(1, 0, REVOCATION_LIFE_MAX_MS);
    struct record week = revocation(1, 1, REVOCATION_LIFE_MIN_MS);
    struct record longer = revocation(1, 1, REVOCATION_LIFE_MAX_MS);

    ck_assert_int_eq(offer(week), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(year), DIRECTORY_TAKEN);
    ck_assert(hash_equal(&outcome.replaced.hash, &week.hash));
    ck_assert_int_eq(offer(year), DIRECTORY_SAME);
    ck_assert_int_eq(offer(week), DIRECTORY_OLDER);
    ck_assert_int_eq(offer(longer), DIRECTORY_TAKEN);
    ck_assert(hash_equal(&outcome.replaced.hash, &year.hash));
    ck_assert_uint_eq(directory_proof_count(directory), 0);
    ck_assert_uint_eq(directory_count(directory), 1);
}
END_TEST

START_TEST(what_was_said_before_a_revocation_does_not_outlive_it)
{
    struct record said = skill(1, "a", 0, RECORD_LIFE_MAX_MS);
    struct record revoked = revocation(1, 0, REVOCATION_LIFE_MIN_MS);
    struct directory_drop ended;

    ck_assert_int_eq(offer(revoked), DIRECTORY_TAKEN);
    ck_assert_int_eq(offer(said), DIRECTORY_REVOKED);
    ck_assert_uint_eq(directory_expire(directory, revoked.not_after_ms, &ended, 1), 1);
    ck_assert_uint_eq(ended.mark_until_ms, 0);
    ck_assert(!directory_revoked(directory, &said.owner));
    ck_assert_int_eq(record_judge_dates(&said, revoked.not_after_ms), RECORD_EXPIRED);
}
END_TEST

START_TEST(strangers_cannot_fill_a_directory_with_revocations)
{
    struct directory *small = directory_of(30);
    struct record known = skill(50, "", 0, 1000), revoked, again;

    ck_assert_int_eq(offer_to(small, &known), DIRECTORY_TAKEN);
    for (uint32_t owner = 1; owner <= 4; owner++) {
        revoked = revocation(owner, 0, REVOCATION_LIFE_MAX_MS);
        ck_assert_int_eq(offer_to(small, &revoked), owner < 4 ? DIRECTORY_TAKEN : DIRECTORY_FULL);
    }
    revoked = revocation(50, 0, REVOCATION_LIFE_MAX_MS); /* of whom something is held */
    ck_assert_int_eq(offer_to(small, &revoked), DIRECTORY_TAKEN);
    again = revocation(3, 1, REVOCATION_LIFE_MAX_MS);
    ck_assert_int_eq(offer_to(small, &again), DIRECTORY_TAKEN);
    again = revocation(4, 0, REVOCATION_LIFE_MAX_MS);
    ck_assert_int_eq(directory_restore(small, &again, BORN_MS, &outcome), DIRECTORY_TAKEN);
    directory_free(small);
}
END_TEST

START_TEST(a_full_directory_takes_the_revocation_of_whom_it_holds)
{
    struct directory *small = directory_of(2);
    struct record one = skill(1, "a", 0, 1000), two = skill(1, "b", 0, 1000);
    struct record revoked = revocation(1, 0, REVOCATION_LIFE_MAX_MS);
    struct record stranger = revocation(2, 0, REVOCATION_LIFE_MAX_MS);

    offer_to(small, &one);
    offer_to(small, &two);
    ck_assert_int_eq(offer_to(small, &stranger), DIRECTORY_FULL);
    ck_assert_int_eq(offer_to(small, &revoked), DIRECTORY_TAKEN);
    ck_assert_uint_eq(directory_count(small), 1);
    directory_free(small);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("directory rules");
    TCase *tcase = tcase_create("directory");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, what_an_owner_dated_before_is_let_go_of_and_leaves_no_mark);
    tcase_add_test(tcase, a_revocation_is_never_let_go_of);
    tcase_add_test(tcase, what_ended_does_not_come_back);
    tcase_add_test(tcase, a_mark_rises_and_never_falls);
    tcase_add_test(tcase, a_mark_ends_when_no_older_record_can_be_alive);
    tcase_add_test(tcase, what_ended_long_ago_leaves_no_mark);
    tcase_add_test(tcase, a_mark_outlives_a_restart);
    tcase_add_test(tcase, too_many_marks_lose_those_that_end_first);
    tcase_add_test(tcase, two_records_of_one_version_are_a_proof);
    tcase_add_test(tcase, a_quarantine_lasts_a_day_and_repeating_does_not_prolong_it);
    tcase_add_test(tcase, who_is_quarantined_may_say_newer_things);
    tcase_add_test(tcase, too_many_proofs_lose_the_oldest);
    tcase_add_test(tcase, a_proof_outlives_a_restart);
    tcase_add_test(tcase, a_revocation_drops_all_and_refuses_all);
    tcase_add_test(tcase, the_revocation_that_ends_later_is_held);
    tcase_add_test(tcase, what_was_said_before_a_revocation_does_not_outlive_it);
    tcase_add_test(tcase, strangers_cannot_fill_a_directory_with_revocations);
    tcase_add_test(tcase, a_full_directory_takes_the_revocation_of_whom_it_holds);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
