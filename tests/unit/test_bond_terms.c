#include "core/bond_terms.h"

#include <check.h>
#include <stdlib.h>
#include <time.h>

static const char *field;

static bool holds(const struct bond_terms *terms)
{
    return bond_terms_judge(terms, &field) == NULL;
}

START_TEST(by_default_a_thread_has_64_rounds_and_nothing_else_is_limited)
{
    struct bond_terms terms = bond_terms_default();

    ck_assert_uint_eq(terms.rounds, 64);
    ck_assert(!bond_terms_are_none(&terms));
    terms.rounds = 0;
    ck_assert(bond_terms_are_none(&terms));
    ck_assert(holds(&terms));
}
END_TEST

#define AT_LIMIT(member, max, name)                                                                \
    do {                                                                                           \
        struct bond_terms terms = {.member = max};                                                 \
                                                                                                   \
        ck_assert(holds(&terms));                                                                  \
        ck_assert(!bond_terms_are_none(&terms));                                                   \
        terms.member++;                                                                            \
        ck_assert(!holds(&terms));                                                                 \
        ck_assert_str_eq(field, name);                                                             \
    } while (0)

START_TEST(each_number_has_its_limit)
{
    AT_LIMIT(per_minute, BOND_PER_MINUTE_MAX, "per_minute");
    AT_LIMIT(per_day, BOND_PER_DAY_MAX, "per_day");
    AT_LIMIT(budget, BOND_BUDGET_MAX, "budget");
    AT_LIMIT(rounds, BOND_ROUNDS_MAX, "rounds");
    AT_LIMIT(cool_down_ms, BOND_COOL_DOWN_MAX_MS, "cool_down_ms");
    AT_LIMIT(muted_until_ms, MUTE_LATEST_MS, "muted_until_ms");
}
END_TEST

START_TEST(eight_stop_words_of_64_bytes_fit)
{
    struct bond_terms terms = {.stop_word_count = BOND_STOP_WORDS_MAX};
    char word[BOND_STOP_WORD_MAX + 1];

    memset(word, 'w', sizeof word);
    for (size_t i = 0; i < BOND_STOP_WORDS_MAX; i++)
        terms.stop_words[i] = bytes_of(word, BOND_STOP_WORD_MAX);
    ck_assert(holds(&terms));
    terms.stop_words[7].size++;
    ck_assert(!holds(&terms));
    ck_assert_str_eq(field, "stop_words");
    terms.stop_words[7].size = 0;
    ck_assert(!holds(&terms));
    terms.stop_words[7] = bytes_of_text("two\nlines");
    ck_assert(!holds(&terms));
    terms.stop_words[7] = bytes_of("\xff", 1);
    ck_assert(!holds(&terms));
    terms.stop_words[7] = bytes_of_text("gr\xc3\xbc\xc3\x9f");
    ck_assert(holds(&terms));
    terms.stop_word_count++;
    ck_assert(!holds(&terms));
}
END_TEST

START_TEST(only_what_is_named_changes)
{
    struct bond_terms terms = {1, 2, 3, 4, 5, 6, {bytes_of_text("a")}, 1};
    struct bond_terms wish = {11, 12, 13, 14, 15, 16, {bytes_of_text("b"), bytes_of_text("c")}, 2};
    struct bond_terms changed = bond_terms_change(&terms, &wish, 0);

    ck_assert_mem_eq(&changed, &terms, sizeof terms);
    changed = bond_terms_change(&terms, &wish, BOND_TERM_BUDGET | BOND_TERM_ROUNDS);
    ck_assert_uint_eq(changed.budget, 13);
    ck_assert_uint_eq(changed.rounds, 14);
    ck_assert_uint_eq(changed.per_minute, 1);
    ck_assert_uint_eq(changed.per_day, 2);
    ck_assert_uint_eq(changed.cool_down_ms, 5);
    ck_assert_uint_eq(changed.muted_until_ms, 6);
    ck_assert_uint_eq(changed.stop_word_count, 1);
    changed = bond_terms_change(&terms, &wish, (BOND_TERM_STOP_WORDS << 1) - 1);
    ck_assert_mem_eq(&changed, &wish, sizeof wish);
}
END_TEST

static bool occurs(const char *word, const char *payload)
{
    return bond_stop_word_occurs(bytes_of_text(word), bytes_of_text(payload));
}

START_TEST(a_stop_word_is_found_wherever_it_stands_in_capitals_or_not)
{
    ck_assert(occurs("secret", "secret"));
    ck_assert(occurs("secret", "{\"a\":\"the SeCrEt thing\"}"));
    ck_assert(occurs("SECRET", "a secret"));
    ck_assert(occurs("aab", "aaaaaab"));
    ck_assert(occurs("x", "x"));
    ck_assert(!occurs("secret", "secre"));
    ck_assert(!occurs("secret", ""));
    ck_assert(!occurs("secret", "sec ret"));
    ck_assert(!occurs("", "anything"));
}
END_TEST

START_TEST(only_letters_of_ascii_have_capitals)
{
    ck_assert(!occurs("[", "{"));
    ck_assert(!occurs("@", "`"));
    ck_assert(!occurs("1", "\x11"));
    ck_assert(occurs("gr\xc3\xbc", "GR\xc3\xbc"));
    ck_assert(!occurs("gr\xc3\xbc", "GR\xc3\x9c"));
}
END_TEST

START_TEST(what_is_escaped_is_another_text)
{
    ck_assert(!occurs("secret", "{\"a\":\"\\u0073ecret\"}"));
}
END_TEST

START_TEST(a_stop_word_of_64_bytes_is_found_and_a_longer_one_is_none)
{
    char word[BOND_STOP_WORD_MAX + 2], payload[300];

    memset(word, 'w', sizeof word);
    word[BOND_STOP_WORD_MAX + 1] = 0;
    memset(payload, 'W', sizeof payload);
    payload[100] = '.';
    ck_assert(bond_stop_word_occurs(bytes_of(word, BOND_STOP_WORD_MAX), bytes_of(payload, 300)));
    ck_assert(!bond_stop_word_occurs(bytes_of(word, BOND_STOP_WORD_MAX),
                                     bytes_of(payload, BOND_STOP_WORD_MAX - 1)));
    ck_assert(
        !bond_stop_word_occurs(bytes_of(word, BOND_STOP_WORD_MAX + 1), bytes_of(payload, 300)));
}
END_TEST

/* Against the plain way, on words and payloads that nearly match. */
START_TEST(it_agrees_with_looking_at_every_place)
{
    for (unsigned seed = 0; seed < 20000; seed++) {
        char word[5] = {0}, payload[13] = {0};
        unsigned bits = seed * 2654435761u;

        for (size_t i = 0; i < 1 + seed % 4; i++)
            word[i] = "abAB"[(bits >> (2 * i)) % 4];
        for (size_t i = 0; i < 12; i++)
            payload[i] = "abA"[(bits >> i) % 3];
        ck_assert_int_eq(occurs(word, payload), strcasestr(payload, word) != NULL);
    }
}
END_TEST

/* The slowest payload takes as long as any other: a step a byte. */
START_TEST(the_slowest_payload_takes_one_step_a_byte)
{
    char *payload = malloc(PECK_PAYLOAD_MAX), word[BOND_STOP_WORD_MAX];
    clock_t begin = clock();

    memset(payload, 'a', PECK_PAYLOAD_MAX);
    memset(word, 'a', sizeof word);
    word[BOND_STOP_WORD_MAX - 1] = 'b';
    for (int i = 0; i < 8; i++)
        ck_assert(!bond_stop_word_occurs(bytes_of(word, sizeof word),
                                         bytes_of(payload, PECK_PAYLOAD_MAX)));
    ck_assert_int_lt((clock() - begin) / 8, CLOCKS_PER_SEC / 10);
    free(payload);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bond_terms");
    TCase *tests = tcase_create("terms");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, by_default_a_thread_has_64_rounds_and_nothing_else_is_limited);
    tcase_add_test(tests, each_number_has_its_limit);
    tcase_add_test(tests, eight_stop_words_of_64_bytes_fit);
    tcase_add_test(tests, only_what_is_named_changes);
    tcase_add_test(tests, a_stop_word_is_found_wherever_it_stands_in_capitals_or_not);
    tcase_add_test(tests, only_letters_of_ascii_have_capitals);
    tcase_add_test(tests, what_is_escaped_is_another_text);
    tcase_add_test(tests, a_stop_word_of_64_bytes_is_found_and_a_longer_one_is_none);
    tcase_add_test(tests, it_agrees_with_looking_at_every_place);
    tcase_add_test(tests, the_slowest_payload_takes_one_step_a_byte);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
