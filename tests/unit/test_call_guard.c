/* What libcurl really connects to, on loopback: 127.0.0.2 is allowed, all else there is not. Names
 * resolve to what each test says (CURLOPT_RESOLVE stands in for a DNS server that changes its mind). */
#include "call_guard.h"

#include <arpa/inet.h>
#include <check.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int listener;
static unsigned port;
static struct allow_list allowed;

static void setup(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    socklen_t size = sizeof address;
    int off = 0;

    listener = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0); /* of both families */
    ck_assert_int_eq(setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off), 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 8), 0);
    getsockname(listener, (struct sockaddr *)&address, &size);
    port = ntohs(address.sin6_port);
    allowed = (struct allow_list){.count = 0};
    ck_assert(allow_list_add(&allowed, "127.0.0.2/32"));
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void teardown(void)
{
    close(listener);
    curl_global_cleanup();
}

/* NULL: it was let through (to a listener that says nothing). */
static const char *call(struct call_guard *guard, const char *host, const char *resolved)
{
    char url[128], name[128];
    struct curl_slist *names = NULL;
    CURL *curl = curl_easy_init();
    CURLcode code;
    int accepted;

    snprintf(url, sizeof url, "http://%s:%u/", host, port);
    if (resolved) {
        snprintf(name, sizeof name, "%s:%u:%s", host, port, resolved);
        names = curl_slist_append(NULL, name);
        curl_easy_setopt(curl, CURLOPT_RESOLVE, names);
    }
    call_guard_set(guard, curl, url);
    curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    code = curl_easy_perform(curl);
    curl_easy_cleanup(curl);
    curl_slist_free_all(names);
    accepted = accept(listener, NULL, NULL);
    if (accepted >= 0)
        close(accepted);
    ck_assert_int_eq(code == CURLE_OK, accepted >= 0);
    return code == CURLE_OK ? NULL : call_guard_problem(guard);
}

static struct call_guard a_guard(void)
{
    return (struct call_guard){.allowed = &allowed};
}

START_TEST(a_name_is_judged_each_time_by_what_it_resolves_to)
{
    struct call_guard first = a_guard(), second = a_guard(), third = a_guard();

    ck_assert_ptr_null(call(&first, "changing.example", "127.0.0.2"));
    ck_assert_ptr_nonnull(call(&second, "changing.example", "127.0.0.1"));
    ck_assert_ptr_nonnull(call(&third, "changing.example", "[::1]"));
}
END_TEST

START_TEST(one_address_that_is_refused_ends_it_for_all_after_it)
{
    struct call_guard guard = a_guard();

    ck_assert_ptr_nonnull(call(&guard, "two.example", "127.0.0.1,127.0.0.2"));
}
END_TEST

START_TEST(however_an_address_is_written_it_is_the_same)
{
    static const char *const hosts[] = {
        "127.0.0.1",          "127.1",           "2130706433", "0x7f.1",   "0177.0.0.1", "[::1]",
        "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0",          "localhost"};

    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct call_guard guard = a_guard();

        ck_assert_msg(call(&guard, hosts[i], NULL), "%s", hosts[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        struct call_guard guard = a_guard();

        ck_assert_ptr_null(call(&guard, i ? "0x7f.2" : "127.0.0.2", NULL));
    }
}
END_TEST

START_TEST(a_name_that_is_allowed_may_be_anywhere)
{
    struct call_guard guard = a_guard(), other = a_guard();

    ck_assert(allow_list_add(&allowed, "hooks.internal"));
    ck_assert_ptr_null(call(&guard, "hooks.internal", "127.0.0.1"));
    ck_assert_ptr_nonnull(call(&other, "other.internal", "127.0.0.1"));
}
END_TEST

START_TEST(a_port_that_is_not_listed_is_refused_but_where_the_address_is_allowed)
{
    struct call_ports ports = {.list = {443}, .count = 1};
    struct call_guard guard = a_guard(), open = a_guard();

    guard.ports = open.ports = &ports;
    guard.allow_private = true;
    ck_assert_ptr_nonnull(call(&guard, "127.0.0.3", NULL));
    ck_assert(guard.is_at_other_port && guard.is_in_clear && !guard.is_private);
    ck_assert_ptr_null(call(&open, "127.0.0.2", NULL));
}
END_TEST

START_TEST(other_protocols_are_not_spoken)
{
    static const char *const urls[] = {"file:///etc/passwd", "gopher://127.0.0.2/",
                                       "ftp://127.0.0.2/", "dict://127.0.0.2/"};

    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct call_guard guard = a_guard();
        CURL *curl = curl_easy_init();

        call_guard_set(&guard, curl, urls[i]);
        ck_assert_int_eq(curl_easy_perform(curl), CURLE_UNSUPPORTED_PROTOCOL);
        curl_easy_cleanup(curl);
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("call_guard");
    Suite *suite = suite_create("call_guard");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_name_is_judged_each_time_by_what_it_resolves_to);
    tcase_add_test(tests, one_address_that_is_refused_ends_it_for_all_after_it);
    tcase_add_test(tests, however_an_address_is_written_it_is_the_same);
    tcase_add_test(tests, a_name_that_is_allowed_may_be_anywhere);
    tcase_add_test(tests, a_port_that_is_not_listed_is_refused_but_where_the_address_is_allowed);
    tcase_add_test(tests, other_protocols_are_not_spoken);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
