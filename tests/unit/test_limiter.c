#include "limiter.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOON_US (1000u * (uint64_t)1000000u)
#define NOON_MS 1000000u

static char path[64];

static struct limiter *limiter_with(const char *set)
{
    struct rate_table table;

    rate_table_default(&table);
    if (set) {
        FILE *file = fopen(path, "w");

        ck_assert_ptr_nonnull(file);
        fputs(set, file);
        fclose(file);
    }
    return limiter_new(&table, path);
}

/* As `ducknode limits set` does: whole, then renamed. */
static void set_anew(const char *set)
{
    char fresh[80];
    FILE *file;

    snprintf(fresh, sizeof fresh, "%s.new", path);
    file = fopen(fresh, "w");
    ck_assert_ptr_nonnull(file);
    fputs(set, file);
    fclose(file);
    ck_assert_int_eq(rename(fresh, path), 0);
}

static struct limiter_answer take(struct limiter *limiter, enum rate_class class, bool is_stranger,
                                  const char *name, uint32_t tier)
{
    struct limiter_caller caller = {is_stranger, bytes_of_text(name), tier};

    return limiter_take(limiter, class, &caller, NOON_US);
}

static uint32_t limit_of(struct limiter *limiter, enum rate_class class)
{
    struct rate_table table;

    limiter_table(limiter, &table);
    return table.per_minute[class][RATE_T1];
}

START_TEST(each_tier_has_its_column)
{
    struct limiter *limiter = limiter_with(NULL);

    ck_assert_uint_eq(take(limiter, RATE_PECK, false, "a", 0).limit, 10);
    ck_assert_uint_eq(take(limiter, RATE_PECK, false, "a", 1).limit, 10);
    ck_assert_uint_eq(take(limiter, RATE_PECK, false, "a", 2).limit, 60);
    ck_assert_uint_eq(take(limiter, RATE_PECK, false, "a", 3).limit, 300);
    ck_assert_uint_eq(take(limiter, RATE_PECK, false, "a", 1).tier_more, 2);
    limiter_free(limiter);
}
END_TEST

START_TEST(classes_strangers_and_bearers_are_counted_apart)
{
    struct limiter *limiter = limiter_with(NULL);

    for (int i = 0; i < 3; i++)
        ck_assert(take(limiter, RATE_CERT, true, "a", 0).rate.is_taken);
    ck_assert(!take(limiter, RATE_CERT, true, "a", 0).rate.is_taken);
    ck_assert(take(limiter, RATE_CERT, false, "a", 0).rate.is_taken);
    ck_assert(take(limiter, RATE_CERT, true, "b", 0).rate.is_taken);
    ck_assert(take(limiter, RATE_AUTH, true, "a", 0).rate.is_taken);
    ck_assert_uint_eq(limiter_refused(limiter, RATE_CERT), 1);
    ck_assert_uint_eq(limiter_refused(limiter, RATE_AUTH), 0);
    limiter_free(limiter);
}
END_TEST

START_TEST(a_class_without_limit_is_not_counted)
{
    struct limiter *limiter = limiter_with("peck=off\n");

    for (int i = 0; i < 1000; i++) {
        struct limiter_answer answer = take(limiter, RATE_PECK, false, "a", 1);

        ck_assert_uint_eq(answer.limit, 0);
        ck_assert(answer.rate.is_taken);
    }
    limiter_free(limiter);
}
END_TEST

START_TEST(what_was_set_is_read_at_the_start_and_when_it_changes)
{
    struct limiter *limiter = limiter_with("# by hand\npeck.T1=7   cert=1/2/3 # more\n\n");

    ck_assert_uint_eq(limit_of(limiter, RATE_PECK), 7);
    ck_assert_uint_eq(limit_of(limiter, RATE_CERT), 1);
    set_anew("peck=9\n");
    limiter_reload(limiter);
    ck_assert_uint_eq(limit_of(limiter, RATE_PECK), 9);
    ck_assert_uint_eq(limit_of(limiter, RATE_CERT), 3); /* what is not said is as configured */
    ck_assert_int_eq(unlink(path), 0);
    limiter_reload(limiter);
    ck_assert_uint_eq(limit_of(limiter, RATE_PECK), 10);
    limiter_free(limiter);
}
END_TEST

START_TEST(what_is_not_understood_leaves_the_limits_as_they_are)
{
    struct limiter *limiter = limiter_with("peck=7\n");

    set_anew("cert=5\npeck=seven\n");
    limiter_reload(limiter);
    ck_assert_uint_eq(limit_of(limiter, RATE_PECK), 7);
    ck_assert_uint_eq(limit_of(limiter, RATE_CERT), 3);
    limiter_free(limiter);
}
END_TEST

START_TEST(what_is_no_file_keeps_nobody_waiting_and_changes_nothing)
{
    struct limiter *limiter = limiter_with("peck=7\n");

    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    limiter_reload(limiter);
    ck_assert_uint_eq(limit_of(limiter, RATE_PECK), 7);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    limiter_reload(limiter);
    ck_assert_uint_eq(limit_of(limiter, RATE_PECK), 7);
    ck_assert_int_eq(rmdir(path), 0);
    set_anew("peck=9\n");
    limiter_reload(limiter);
    ck_assert_uint_eq(limit_of(limiter, RATE_PECK), 9);
    limiter_free(limiter);
}
END_TEST

START_TEST(a_file_is_read_up_to_16_kib_and_one_byte_more_is_not_understood)
{
    static char text[RATE_TEXT_MAX + 2];
    struct limiter *limiter;

    memset(text, ' ', RATE_TEXT_MAX);
    memcpy(text + RATE_TEXT_MAX - 6, "peck=7", 6);
    limiter = limiter_with(text);
    ck_assert_uint_eq(limit_of(limiter, RATE_PECK), 7);
    text[RATE_TEXT_MAX - 1] = '8';
    text[RATE_TEXT_MAX] = '\n';
    set_anew(text);
    limiter_reload(limiter);
    ck_assert_uint_eq(limit_of(limiter, RATE_PECK), 7);
    limiter_free(limiter);
}
END_TEST

/* Strangers are cheap to come by: what they fill is theirs, in their class. */
START_TEST(a_flood_of_strangers_in_one_class_leaves_the_others_alone)
{
    struct limiter *limiter = limiter_with(NULL);
    char name[16];

    for (int i = 0; i < 4 * LIMITER_STRANGERS_MAX; i++) {
        snprintf(name, sizeof name, "%d", i);
        for (int j = 0; j < 3; j++)
            take(limiter, RATE_CERT, true, name, 0);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "new %d", i);
        ck_assert(take(limiter, RATE_AUTH, true, name, 0).rate.is_taken);
    }
    limiter_free(limiter);
}
END_TEST

START_TEST(a_tier_is_remembered_for_its_time)
{
    struct limiter *limiter = limiter_with(NULL);
    struct id ann = {{1}}, ben = {{2}}, neighbour = {{1, [19] = 9}}; /* in ann's place */
    uint32_t tier = 9;

    ck_assert_int_eq(limiter_tier(limiter, &ann, NOON_MS, &tier), LIMITER_FORGOTTEN);
    ck_assert_uint_eq(tier, 0);
    limiter_note_tier(limiter, &ann, 2, NOON_MS);
    ck_assert_int_eq(limiter_tier(limiter, &ann, NOON_MS + LIMITER_TIER_FRESH_MS - 1, &tier),
                     LIMITER_FRESH);
    ck_assert_uint_eq(tier, 2);
    ck_assert_int_eq(limiter_tier(limiter, &ann, NOON_MS + LIMITER_TIER_FRESH_MS, &tier),
                     LIMITER_STALE);
    ck_assert_uint_eq(tier, 2);
    ck_assert_int_eq(limiter_tier(limiter, &ann, NOON_MS + LIMITER_TIER_STALE_MS, &tier),
                     LIMITER_FORGOTTEN);
    ck_assert_int_eq(limiter_tier(limiter, &ben, NOON_MS, &tier), LIMITER_FORGOTTEN);
    ck_assert_int_eq(limiter_tier(limiter, &neighbour, NOON_MS, &tier), LIMITER_FORGOTTEN);
    limiter_note_tier(limiter, &neighbour, 3, NOON_MS);
    ck_assert_int_eq(limiter_tier(limiter, &ann, NOON_MS, &tier), LIMITER_FORGOTTEN);
    limiter_free(limiter);
}
END_TEST

static void make_path(void)
{
    ck_assert_int_ge(sodium_init(), 0);
    snprintf(path, sizeof path, "/tmp/duck-limits-%d", (int)getpid());
    unlink(path);
}

static void drop_path(void)
{
    unlink(path);
}

int main(void)
{
    Suite *suite = suite_create("limiter");
    TCase *limits = tcase_create("limits"), *tiers = tcase_create("tiers");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(limits, make_path, drop_path);
    tcase_add_checked_fixture(tiers, make_path, drop_path);
    tcase_add_test(limits, each_tier_has_its_column);
    tcase_add_test(limits, classes_strangers_and_bearers_are_counted_apart);
    tcase_add_test(limits, a_class_without_limit_is_not_counted);
    tcase_add_test(limits, what_was_set_is_read_at_the_start_and_when_it_changes);
    tcase_add_test(limits, what_is_not_understood_leaves_the_limits_as_they_are);
    tcase_add_test(limits, what_is_no_file_keeps_nobody_waiting_and_changes_nothing);
    tcase_add_test(limits, a_file_is_read_up_to_16_kib_and_one_byte_more_is_not_understood);
    tcase_add_test(limits, a_flood_of_strangers_in_one_class_leaves_the_others_alone);
    suite_add_tcase(suite, limits);
    tcase_add_test(tiers, a_tier_is_remembered_for_its_time);
    suite_add_tcase(suite, tiers);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
