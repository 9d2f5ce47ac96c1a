/* What an operator allows is that and nothing beside it. */
#include "allow_list.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static struct allow_list allowed;

static void set_up(void)
{
    allowed.count = 0;
}

static bool has(const char *text)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
        return allow_list_has_address(&allowed, (const struct sockaddr *)&four);
    ck_assert_int_eq(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
    return allow_list_has_address(&allowed, (const struct sockaddr *)&six);
}

START_TEST(a_prefix_allows_what_begins_with_it)
{
    ck_assert(allow_list_add(&allowed, "10.1.2.0/23"));
    ck_assert(allow_list_add(&allowed, "fd00::/8"));
    ck_assert(has("10.1.2.0"));
    ck_assert(has("10.1.3.255"));
    ck_assert(!has("10.1.1.255"));
    ck_assert(!has("10.1.4.0"));
    ck_assert(has("fdff::1"));
    ck_assert(!has("fe00::1"));
    ck_assert(!has("::1"));
}
END_TEST

START_TEST(an_address_allows_itself_in_its_own_family)
{
    ck_assert(allow_list_add(&allowed, "127.0.0.1"));
    ck_assert(has("127.0.0.1"));
    ck_assert(!has("127.0.0.2"));
    ck_assert(!has("::ffff:127.0.0.1"));
    ck_assert(!has("7f00:1::"));
    ck_assert(allow_list_add(&allowed, "0.0.0.0/0"));
    ck_assert(has("8.8.8.8"));
    ck_assert(!has("::1"));
}
END_TEST

START_TEST(a_name_allows_itself_and_no_address)
{
    ck_assert(allow_list_add(&allowed, "Hooks.internal"));
    ck_assert(allow_list_has_name(&allowed, "hooks.INTERNAL"));
    ck_assert(!allow_list_has_name(&allowed, "more.hooks.internal"));
    ck_assert(!allow_list_has_name(&allowed, "hooks.internal.example.org"));
    ck_assert(!allow_list_has_name(&allowed, ""));
    ck_assert(!has("0.0.0.0"));
    ck_assert(!has("::"));
}
END_TEST

START_TEST(what_is_neither_is_refused)
{
    static const char *const words[] = {"",        "1.2.3.4/33",   "1.2.3.4/",  "1.2.3.4/-1",
                                        "::1/129", "1.2.3",        "1.2.3.4.5", ".internal",
                                        "-a",      "http://hooks", "hooks/8",   "a b",
                                        "::g",     "1.2.3.4/1a",   "[::1]",     "1.2.3.4/0x8"};
    char long_name[ALLOW_NAME_SIZE + 1];

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        ck_assert_msg(!allow_list_add(&allowed, words[i]), "%s", words[i]);
    memset(long_name, 'a', ALLOW_NAME_SIZE);
    long_name[ALLOW_NAME_SIZE] = 0;
    ck_assert(!allow_list_add(&allowed, long_name));
    long_name[ALLOW_NAME_SIZE - 1] = 0;
    ck_assert(allow_list_add(&allowed, long_name));
}
END_TEST

START_TEST(it_holds_eight)
{
    for (size_t i = 0; i < ALLOW_LIST_MAX; i++)
        ck_assert(allow_list_add(&allowed, "::1"));
    ck_assert(!allow_list_add(&allowed, "::1"));
}
END_TEST

START_TEST(another_family_is_never_allowed)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};

    ck_assert(allow_list_add(&allowed, "0.0.0.0/0"));
    ck_assert(allow_list_add(&allowed, "::/0"));
    ck_assert(!allow_list_has_address(&allowed, (const struct sockaddr *)&local));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("allow_list");
    TCase *cases = tcase_create("allow_list");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(cases, set_up, NULL);
    tcase_add_test(cases, a_prefix_allows_what_begins_with_it);
    tcase_add_test(cases, an_address_allows_itself_in_its_own_family);
    tcase_add_test(cases, a_name_allows_itself_and_no_address);
    tcase_add_test(cases, what_is_neither_is_refused);
    tcase_add_test(cases, it_holds_eight);
    tcase_add_test(cases, another_family_is_never_allowed);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
