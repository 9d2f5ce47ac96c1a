#include "core/audit.h"
#include "core/dice.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>

static struct recordset *set;
static struct dice dice;
static const uint8_t key[AUDIT_KEY_SIZE] = {7};

static void begin(void)
{
    ck_assert_int_ge(sodium_init(), 0);
    dice_init_number(&dice, 1);
    set = recordset_new();
}

static void end(void)
{
    recordset_free(set);
}

static void fill(size_t count, uint64_t seconds)
{
    for (size_t i = 0; i < count; i++) {
        struct stamp stamp = {.at_s = (uint32_t)dice_below(&dice, seconds)};
        dice_fill(&dice, &stamp.hash, sizeof stamp.hash);
        ck_assert(recordset_insert(set, &stamp));
    }
}

static struct hash keyed(const struct hash *hash)
{
    struct hash result;

    crypto_generichash(result.bytes, HASH_SIZE, hash->bytes, HASH_SIZE, key, sizeof key);
    return result;
}

/* Of every stamp: the same second, its keyed hash, and the way back. */
static void check_audit(const struct audit *audit)
{
    struct stamp stamp;

    ck_assert_uint_eq(recordset_count(audit_set(audit)), recordset_count(set));
    for (size_t i = 0; recordset_read(set, i, &stamp, 1) == 1; i++) {
        struct stamp there = {.at_s = stamp.at_s, .hash = keyed(&stamp.hash)};
        struct hash original;
        ck_assert(recordset_contains(audit_set(audit), &there));
        ck_assert(audit_original(audit, &there.hash, &original));
        ck_assert(hash_equal(&original, &stamp.hash));
        ck_assert(!audit_original(audit, &stamp.hash, &original));
    }
}

START_TEST(every_hash_is_keyed_and_leads_back)
{
    static const size_t counts[] = {0, 1, 7, 8, 9, 3000};
    static const uint64_t seconds[] = {1, 40, STAMP_TIME_END};

    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < 3; j++) {
            struct audit *audit;
            recordset_free(set);
            set = recordset_new();
            fill(counts[i], seconds[j]);
            audit = audit_new(set, key);
            check_audit(audit);
            audit_free(audit);
        }
    audit_free(NULL);
}
END_TEST

START_TEST(one_hash_under_two_times_leads_back_to_itself)
{
    struct stamp stamp = {.at_s = 1, .hash.bytes = {9}};
    struct audit *audit;

    ck_assert(recordset_insert(set, &stamp));
    stamp.at_s = 2;
    ck_assert(recordset_insert(set, &stamp));
    audit = audit_new(set, key);
    check_audit(audit);
    audit_free(audit);
}
END_TEST

START_TEST(an_audit_is_of_the_set_as_it_was)
{
    struct stamp gone;
    struct hash original, hash;
    struct audit *audit;

    fill(100, 50);
    recordset_read(set, 40, &gone, 1);
    audit = audit_new(set, key);
    ck_assert(recordset_erase(set, &gone));
    fill(1, 1);
    hash = keyed(&gone.hash);
    ck_assert(audit_original(audit, &hash, &original));
    ck_assert(hash_equal(&original, &gone.hash));
    ck_assert_uint_eq(recordset_count(audit_set(audit)), 100);
    audit_free(audit);
}
END_TEST

START_TEST(an_audit_that_is_made_in_slices_is_the_same)
{
    uint8_t print[RECORDSET_PRINT_SIZE], other[RECORDSET_PRINT_SIZE];
    struct audit *whole, *sliced;
    size_t calls = 1;

    fill(1000, 50);
    whole = audit_new(set, key);
    sliced = audit_begin(set, key);
    ck_assert_uint_eq(recordset_count(audit_set(sliced)), 0);
    for (; !audit_go_on(sliced, set, 70); calls++)
        ck_assert_uint_le(recordset_count(audit_set(sliced)), 1000);
    ck_assert_uint_ge(calls, 5);
    ck_assert_uint_le(calls, 1000 / 70 + 1);
    recordset_fingerprint(audit_set(whole), 0, SIZE_MAX, print);
    recordset_fingerprint(audit_set(sliced), 0, SIZE_MAX, other);
    ck_assert_mem_eq(print, other, sizeof print);
    check_audit(sliced);
    audit_free(whole);
    audit_free(sliced);
}
END_TEST

/* Whoever publishes much in one second makes no turn longer. */
START_TEST(a_slice_takes_no_more_than_it_may_of_one_second)
{
    struct audit *audit;
    size_t calls = 1;

    fill(1000, 1);
    audit = audit_begin(set, key);
    for (; !audit_go_on(audit, set, 70); calls++)
        ck_assert_uint_eq(recordset_count(audit_set(audit)), calls * 70);
    ck_assert_uint_eq(calls, 1000 / 70 + 1);
    check_audit(audit);
    audit_free(audit);
}
END_TEST

START_TEST(a_slice_that_ends_with_the_set_is_the_last)
{
    struct stamp more = {.at_s = 3, .hash.bytes = {9}};
    struct audit *audit;

    fill(140, 2);
    audit = audit_begin(set, key);
    ck_assert(!audit_go_on(audit, set, 139));
    ck_assert(audit_go_on(audit, set, 1));
    ck_assert(audit_go_on(audit, set, 70)); /* and nothing more is there */
    ck_assert(recordset_insert(set, &more));
    ck_assert(audit_go_on(audit, set, 1));
    check_audit(audit);
    audit_free(audit);
}
END_TEST

/* The last that was read is gone: it goes on with what came after it. */
START_TEST(a_slice_goes_on_behind_a_stamp_that_is_gone)
{
    struct stamp last;
    struct audit *audit;

    fill(100, 1);
    recordset_read(set, 49, &last, 1);
    audit = audit_begin(set, key);
    ck_assert(!audit_go_on(audit, set, 50));
    ck_assert(recordset_erase(set, &last));
    ck_assert(audit_go_on(audit, set, 50));
    ck_assert_uint_eq(recordset_count(audit_set(audit)), 100);
    audit_free(audit);
}
END_TEST

START_TEST(a_set_may_change_while_its_audit_is_made)
{
    struct stamp behind = {.hash.bytes = {0}}, ahead = {.at_s = 5000, .hash.bytes = {8}};
    struct stamp first, last;
    struct audit *audit;
    struct hash hash, original;

    fill(100, 50);
    recordset_read(set, 0, &first, 1);
    recordset_read(set, 99, &last, 1);
    behind.at_s = first.at_s;
    audit = audit_begin(set, key);
    ck_assert(!audit_go_on(audit, set, 1));
    ck_assert(recordset_erase(set, &first));
    ck_assert(recordset_erase(set, &last));
    ck_assert(recordset_insert(set, &behind));
    ck_assert(recordset_insert(set, &ahead));
    for (uint32_t i = 0; i < 200; i++) { /* more than there was room for */
        struct stamp more = {.at_s = 6000 + i / 3, .hash.bytes = {9, (uint8_t)i}};

        ck_assert(recordset_insert(set, &more));
    }
    while (!audit_go_on(audit, set, 10))
        ;
    ck_assert_uint_eq(recordset_count(audit_set(audit)), 100 - 1 + 1 + 200);
    hash = keyed(&ahead.hash);
    ck_assert(audit_original(audit, &hash, &original) && hash_equal(&original, &ahead.hash));
    hash = keyed(&first.hash);
    ck_assert(audit_original(audit, &hash, &original)); /* it was there when it was read */
    hash = keyed(&last.hash);
    ck_assert(!audit_original(audit, &hash, &original));
    hash = keyed(&behind.hash);
    ck_assert(!audit_original(audit, &hash, &original));
    audit_free(audit);
}
END_TEST

START_TEST(a_key_is_of_both_nodes_and_both_nonces)
{
    uint8_t keys[6][AUDIT_KEY_SIZE], nonce[AUDIT_NONCE_SIZE] = {1}, other[AUDIT_NONCE_SIZE] = {2};
    struct id alice = {.bytes = {3}}, bob = {.bytes = {4}}, carol = {.bytes = {5}};

    audit_key(&alice, nonce, &bob, other, keys[0]);
    audit_key(&alice, other, &bob, other, keys[1]);
    audit_key(&alice, nonce, &bob, nonce, keys[2]);
    audit_key(&carol, nonce, &bob, other, keys[3]);
    audit_key(&alice, nonce, &carol, other, keys[4]);
    audit_key(&bob, other, &alice, nonce, keys[5]);
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < i; j++)
            ck_assert_mem_ne(keys[i], keys[j], AUDIT_KEY_SIZE);
    audit_key(&alice, nonce, &bob, other, keys[1]);
    ck_assert_mem_eq(keys[0], keys[1], AUDIT_KEY_SIZE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("audit");
    TCase *tcase = tcase_create("audit");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, every_hash_is_keyed_and_leads_back);
    tcase_add_test(tcase, one_hash_under_two_times_leads_back_to_itself);
    tcase_add_test(tcase, an_audit_is_of_the_set_as_it_was);
    tcase_add_test(tcase, an_audit_that_is_made_in_slices_is_the_same);
    tcase_add_test(tcase, a_slice_takes_no_more_than_it_may_of_one_second);
    tcase_add_test(tcase, a_slice_that_ends_with_the_set_is_the_last);
    tcase_add_test(tcase, a_slice_goes_on_behind_a_stamp_that_is_gone);
    tcase_add_test(tcase, a_set_may_change_while_its_audit_is_made);
    tcase_add_test(tcase, a_key_is_of_both_nodes_and_both_nonces);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
