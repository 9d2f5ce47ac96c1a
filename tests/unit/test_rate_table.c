#include "core/rate_table.h"

#include <check.h>
#include <stdlib.h>

static struct rate_table changed(const char *word)
{
    struct rate_table table;

    rate_table_default(&table);
    ck_assert_msg(rate_table_set(&table, bytes_of_text(word)), "refused: %s", word);
    return table;
}

static const char *word_of(const struct rate_table *table, enum rate_class class)
{
    static char word[RATE_WORD_SIZE];

    return rate_table_word(table, class, word);
}

START_TEST(the_table_is_the_published_one)
{
    struct rate_table table;

    rate_table_default(&table);
    ck_assert_str_eq(word_of(&table, RATE_AUTH), "auth=5/20/60");
    ck_assert_str_eq(word_of(&table, RATE_PECK), "peck=10/60/300");
    ck_assert_str_eq(word_of(&table, RATE_CERT), "cert=3/10/30");
    ck_assert_str_eq(word_of(&table, RATE_AUDIT), "audit=30/100/500");
    ck_assert_str_eq(word_of(&table, RATE_DIRECTORY), "directory=10/30/120");
}
END_TEST

START_TEST(a_word_changes_what_it_names)
{
    struct rate_table table = changed("peck=1/22/1000000");

    ck_assert_str_eq(word_of(&table, RATE_PECK), "peck=1/22/1000000");
    ck_assert_str_eq(word_of(&table, RATE_CERT), "cert=3/10/30");
    table = changed("peck=7");
    ck_assert_str_eq(word_of(&table, RATE_PECK), "peck=7/7/7");
    table = changed("directory.T2=off");
    ck_assert_str_eq(word_of(&table, RATE_DIRECTORY), "directory=10/off/120");
    table = changed("all=off");
    for (size_t i = 0; i < RATE_CLASSES; i++)
        for (size_t j = 0; j < RATE_COLUMNS; j++)
            ck_assert_uint_eq(table.per_minute[i][j], 0);
    table = changed("all.T1=2");
    ck_assert_str_eq(word_of(&table, RATE_AUTH), "auth=2/20/60");
    ck_assert_str_eq(word_of(&table, RATE_DIRECTORY), "directory=2/30/120");
}
END_TEST

START_TEST(what_is_printed_reads_back_to_the_same)
{
    struct rate_table table = changed("directory=1000000/off/1000000"), again;

    rate_table_default(&again);
    ck_assert(rate_table_set(&again, bytes_of_text(word_of(&table, RATE_DIRECTORY))));
    ck_assert_mem_eq(&again, &table, sizeof table);
}
END_TEST

START_TEST(any_other_word_is_refused_and_changes_nothing)
{
    static const char *const words[] = {
        "",
        "peck",
        "=",
        "peck=",
        "=5",
        "peck=0",
        "peck=-1",
        "peck=+1",
        "peck=1.5",
        "peck=1000001",
        "peck=5/6",
        "peck=5/6/7/8",
        "peck=5/6/",
        "peck=/6/7",
        "peck=5//7",
        "peck=5/6/7/",
        "peck=5 ",
        " peck=5",
        "pecks=5",
        "Peck=5",
        "peck.T0=5",
        "peck.T4=5",
        "peck.t1=5",
        "peck.=5",
        "peck.T1",
        "peck.T1=1/2",
        "peck.T11=5",
        "peck.T1=5/6/7",
        "peck=OFF",
        "peck=5=6",
        "all",
        "all=",
        "peck..T1=5",
        "peck.T1.T2=5",
        "peck=99999999999999999999",
    };
    struct rate_table table, before;

    rate_table_default(&before);
    table = before;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        ck_assert_msg(!rate_table_set(&table, bytes_of_text(words[i])), "taken: %s", words[i]);
        ck_assert_mem_eq(&table, &before, sizeof table);
    }
}
END_TEST

START_TEST(a_text_has_lines_of_any_number_of_words_and_remarks)
{
    struct rate_table table, words;

    rate_table_default(&table);
    words = table;
    ck_assert(
        rate_table_set_text(&table, bytes_of_text("  peck=1/2/3\tcert=off # peck=nothing\r\n")));
    ck_assert(rate_table_set(&words, bytes_of_text("peck=1/2/3")));
    ck_assert(rate_table_set(&words, bytes_of_text("cert=off")));
    ck_assert_mem_eq(&table, &words, sizeof table);
    ck_assert(rate_table_set_text(&table, bytes_of_text("")));
    ck_assert(rate_table_set_text(&table, bytes_of_text("# nothing\n#peck=9")));
    ck_assert(rate_table_set_text(&table, bytes_of_text("peck=1/2/3#9\n\ncert=off")));
    ck_assert_mem_eq(&table, &words, sizeof table);
}
END_TEST

START_TEST(a_text_with_a_word_that_is_none_changes_nothing)
{
    struct rate_table table, before;

    rate_table_default(&table);
    before = table;
    ck_assert(!rate_table_set_text(&table, bytes_of_text("peck=5 cert=none")));
    ck_assert(!rate_table_set_text(&table, bytes_of_text("peck=5\n# fine\nnone")));
    ck_assert(!rate_table_set_text(&table, bytes_of("peck=5\0", 7)));
    ck_assert_mem_eq(&table, &before, sizeof table);
}
END_TEST

START_TEST(t0_and_t1_share_a_column)
{
    ck_assert_int_eq(rate_column_of(0), RATE_T1);
    ck_assert_int_eq(rate_column_of(1), RATE_T1);
    ck_assert_int_eq(rate_column_of(2), RATE_T2);
    ck_assert_int_eq(rate_column_of(3), RATE_T3);
    ck_assert_int_eq(rate_column_of(99), RATE_T3);
}
END_TEST

START_TEST(the_tier_with_more_is_the_lowest_that_has)
{
    struct rate_table table;

    rate_table_default(&table);
    ck_assert_uint_eq(rate_tier_with_more(&table, RATE_PECK, 0), 2);
    ck_assert_uint_eq(rate_tier_with_more(&table, RATE_PECK, 1), 2);
    ck_assert_uint_eq(rate_tier_with_more(&table, RATE_PECK, 2), 3);
    ck_assert_uint_eq(rate_tier_with_more(&table, RATE_PECK, 3), 0);
    table = changed("peck=10/10/20");
    ck_assert_uint_eq(rate_tier_with_more(&table, RATE_PECK, 0), 3);
    table = changed("peck=10/5/off");
    ck_assert_uint_eq(rate_tier_with_more(&table, RATE_PECK, 1), 3);
    table = changed("peck=10");
    ck_assert_uint_eq(rate_tier_with_more(&table, RATE_PECK, 1), 0);
    table = changed("peck=off");
    ck_assert_uint_eq(rate_tier_with_more(&table, RATE_PECK, 1), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rate_table");
    TCase *words = tcase_create("words"), *tiers = tcase_create("tiers");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(words, the_table_is_the_published_one);
    tcase_add_test(words, a_word_changes_what_it_names);
    tcase_add_test(words, what_is_printed_reads_back_to_the_same);
    tcase_add_test(words, any_other_word_is_refused_and_changes_nothing);
    tcase_add_test(words, a_text_has_lines_of_any_number_of_words_and_remarks);
    tcase_add_test(words, a_text_with_a_word_that_is_none_changes_nothing);
    suite_add_tcase(suite, words);
    tcase_add_test(tiers, t0_and_t1_share_a_column);
    tcase_add_test(tiers, the_tier_with_more_is_the_lowest_that_has);
    suite_add_tcase(suite, tiers);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
