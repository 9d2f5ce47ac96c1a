/* What is never connected to. What is: tests/integration/handlers.py and operators.py. */
#include "fetch.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct allow_list allowed;
static char problem[FETCH_PROBLEM_SIZE];

static void expect_refusal(const char *url, const struct fetch_settings *settings, const char *why)
{
    size_t size;

    ck_assert_ptr_null(fetch(url, settings, &size, problem));
    ck_assert_msg(strstr(problem, why) != NULL, "%s: %s", url, problem);
}

START_TEST(an_address_that_is_neither_public_nor_allowed_is_not_called)
{
    struct fetch_settings settings = {.allowed = &allowed, .json = "{}", .json_size = 2};

    allowed.count = 0;
    ck_assert(allow_list_add(&allowed, "127.0.0.1"));
    ck_assert(allow_list_add(&allowed, "hooks.internal"));
    expect_refusal("https://127.0.0.2:1/", &settings, "not a public one");
    expect_refusal("http://127.0.0.2:1/", &settings, "not a public one");
    expect_refusal("https://[::1]:1/", &settings, "not a public one");
    expect_refusal("https://hooks.internal@127.0.0.2:1/", &settings, "not a public one");
    settings.allowed = NULL;
    expect_refusal("https://127.0.0.1:1/", &settings, "not a public one");
}
END_TEST

START_TEST(without_tls_only_what_is_allowed_is_called)
{
    struct fetch_settings settings = {.allowed = &allowed, .allow_private = true};

    allowed.count = 0;
    expect_refusal("http://127.0.0.1:1/", &settings, "without TLS");
    settings.allowed = NULL;
    expect_refusal("http://127.0.0.1:1/", &settings, "protocol");
    expect_refusal("file:///etc/passwd", &settings, "protocol");
    settings.allowed = &allowed;
    expect_refusal("file:///etc/passwd", &settings, "protocol");
}
END_TEST

START_TEST(what_is_allowed_is_connected_to)
{
    struct fetch_settings settings = {.allowed = &allowed};

    allowed.count = 0;
    ck_assert(allow_list_add(&allowed, "127.0.0.0/8"));
    expect_refusal("http://127.0.0.1:1/", &settings, "connect"); /* nobody listens at port 1 */
    allowed.count = 0;
    ck_assert(allow_list_add(&allowed, "localhost"));
    expect_refusal("http://localhost:1/", &settings, "connect");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fetch");
    TCase *cases = tcase_create("fetch");
    SRunner *runner;
    int failed;

    tcase_add_test(cases, an_address_that_is_neither_public_nor_allowed_is_not_called);
    tcase_add_test(cases, without_tls_only_what_is_allowed_is_called);
    tcase_add_test(cases, what_is_allowed_is_connected_to);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
