#include "passwords.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct answer {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int calls;
    bool matches;
    char hash[PASSWORD_HASH_SIZE];
    bool hold; /* keep the passwords' thread inside `done` */
};

#define ANSWER                                                                                     \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                     \
    }

static void was_hashed(void *context, const char *hash)
{
    struct answer *answer = context;

    pthread_mutex_lock(&answer->lock);
    strcpy(answer->hash, hash ? hash : "");
    answer->calls++;
    pthread_cond_broadcast(&answer->changed);
    while (answer->hold)
        pthread_cond_wait(&answer->changed, &answer->lock);
    pthread_mutex_unlock(&answer->lock);
}

static void was_judged(void *context, bool matches)
{
    struct answer *answer = context;

    pthread_mutex_lock(&answer->lock);
    answer->matches = matches;
    answer->calls++;
    pthread_cond_broadcast(&answer->changed);
    pthread_mutex_unlock(&answer->lock);
}

static void await(struct answer *answer, int calls)
{
    pthread_mutex_lock(&answer->lock);
    while (answer->calls < calls)
        pthread_cond_wait(&answer->changed, &answer->lock);
    pthread_mutex_unlock(&answer->lock);
}

static struct passwords *open_least(void)
{
    struct passwords *passwords = NULL;

    ck_assert_int_eq(passwords_open(&passwords, PASSWORD_LEAST), 0);
    return passwords;
}

START_TEST(twelve_characters_are_enough_and_eleven_are_not)
{
    ck_assert_int_eq(password_check("securepassword123"), PASSWORD_TAKEN);
    ck_assert_int_eq(password_check("aaaaaaaaaaaa"), PASSWORD_TAKEN); /* no composition rules */
    ck_assert_int_eq(password_check("aaaaaaaaaaa"), PASSWORD_TOO_SHORT);
    ck_assert_int_eq(password_check(""), PASSWORD_TOO_SHORT);
}
END_TEST

START_TEST(characters_are_counted_not_bytes)
{
    ck_assert_int_eq(password_check("ääääääääääää"), PASSWORD_TAKEN);
    ck_assert_int_eq(password_check("äääääääääää"), PASSWORD_TOO_SHORT); /* 11, in 22 bytes */
}
END_TEST

START_TEST(a_password_has_at_most_1024_bytes)
{
    char password[PASSWORD_MAX + 2];

    memset(password, 'p', sizeof password);
    password[PASSWORD_MAX] = '\0';
    ck_assert_int_eq(password_check(password), PASSWORD_TAKEN);
    password[PASSWORD_MAX] = 'p';
    password[PASSWORD_MAX + 1] = '\0';
    ck_assert_int_eq(password_check(password), PASSWORD_TOO_LONG);
}
END_TEST

START_TEST(a_hash_matches_its_password_and_no_other)
{
    struct passwords *passwords = open_least();
    struct answer answer = ANSWER;

    ck_assert(passwords_hash(passwords, "securepassword123", was_hashed, &answer));
    await(&answer, 1);
    ck_assert_int_eq(strncmp(answer.hash, "$argon2id$", 10), 0);
    ck_assert_ptr_null(strstr(answer.hash, "securepassword123"));
    ck_assert(passwords_verify(passwords, "securepassword123", answer.hash, was_judged, &answer));
    await(&answer, 2);
    ck_assert(answer.matches);
    ck_assert(passwords_verify(passwords, "securepassword124", answer.hash, was_judged, &answer));
    await(&answer, 3);
    ck_assert(!answer.matches);
    passwords_close(passwords);
}
END_TEST

START_TEST(without_a_hash_nothing_matches)
{
    struct passwords *passwords = open_least();
    struct answer answer = ANSWER;

    answer.matches = true;
    ck_assert(passwords_verify(passwords, "securepassword123", NULL, was_judged, &answer));
    await(&answer, 1);
    ck_assert(!answer.matches);
    answer.matches = true;
    ck_assert(passwords_verify(passwords, "", "", was_judged, &answer));
    await(&answer, 2);
    ck_assert(!answer.matches);
    passwords_close(passwords);
}
END_TEST

START_TEST(the_ninth_is_told_busy_and_the_eight_are_served)
{
    struct passwords *passwords = open_least();
    struct answer slow = ANSWER, rest = ANSWER;

    slow.hold = true;
    ck_assert(passwords_hash(passwords, "securepassword123", was_hashed, &slow));
    await(&slow, 1); /* the thread is inside `done`: nothing leaves the queue */
    for (int i = 1; i < PASSWORD_QUEUE_MAX; i++)
        ck_assert(passwords_hash(passwords, "securepassword123", was_hashed, &rest));
    ck_assert(!passwords_hash(passwords, "securepassword123", was_hashed, &rest));
    ck_assert(!passwords_verify(passwords, "securepassword123", NULL, was_judged, &rest));

    pthread_mutex_lock(&slow.lock);
    slow.hold = false;
    pthread_cond_broadcast(&slow.changed);
    pthread_mutex_unlock(&slow.lock);
    await(&rest, PASSWORD_QUEUE_MAX - 1);
    passwords_close(passwords);
    ck_assert_int_eq(rest.calls, PASSWORD_QUEUE_MAX - 1);
}
END_TEST

START_TEST(closing_serves_what_is_queued)
{
    struct passwords *passwords = open_least();
    struct answer answer = ANSWER;

    for (int i = 0; i < PASSWORD_QUEUE_MAX; i++)
        ck_assert(passwords_hash(passwords, "securepassword123", was_hashed, &answer));
    passwords_close(passwords);
    ck_assert_int_eq(answer.calls, PASSWORD_QUEUE_MAX);
}
END_TEST

START_TEST(what_serves_the_public_costs_64_mib)
{
    struct passwords *passwords = NULL;
    struct answer answer = ANSWER;

    ck_assert_int_eq(passwords_open(&passwords, PASSWORD_INTERACTIVE), 0);
    ck_assert(passwords_hash(passwords, "securepassword123", was_hashed, &answer));
    await(&answer, 1);
    ck_assert_ptr_nonnull(strstr(answer.hash, "m=65536,"));
    passwords_close(passwords);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("passwords");
    Suite *suite = suite_create("passwords");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, twelve_characters_are_enough_and_eleven_are_not);
    tcase_add_test(tests, characters_are_counted_not_bytes);
    tcase_add_test(tests, a_password_has_at_most_1024_bytes);
    tcase_add_test(tests, a_hash_matches_its_password_and_no_other);
    tcase_add_test(tests, without_a_hash_nothing_matches);
    tcase_add_test(tests, the_ninth_is_told_busy_and_the_eight_are_served);
    tcase_add_test(tests, closing_serves_what_is_queued);
    tcase_add_test(tests, what_serves_the_public_costs_64_mib);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
