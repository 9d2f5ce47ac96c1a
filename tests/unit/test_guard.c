#include "guard.h"

#include <check.h>
#include <stdlib.h>

static struct bytes word(const char *text)
{
    return bytes_of_text(text);
}

/* Headers as "name", "value", …, NULL; the verdict on all of them. */
static enum guard_verdict judge(const char *target, const char *const *lines)
{
    struct guard_headers headers = {.verdict = GUARD_TAKEN};

    for (; *lines; lines += 2)
        if (!guard_see(&headers, word(lines[0]), word(lines[1])))
            break;
    return guard_judge(&headers, target);
}

#define JUDGE(...) judge("/beak/", (const char *const[]){__VA_ARGS__, NULL})

START_TEST(an_ordinary_request_is_taken)
{
    ck_assert_int_eq(JUDGE("Host", "localhost", "Content-Length", "12", "Accept", "*/*", "X-A",
                           "tab\there", "content-type", "application/json"),
                     GUARD_TAKEN);
    ck_assert_int_eq(JUDGE("Host", "localhost", "Transfer-Encoding", "CHUNKED"), GUARD_TAKEN);
    ck_assert_int_eq(JUDGE("Accept", "a", "Accept", "b"), GUARD_TAKEN);
}
END_TEST

START_TEST(a_name_that_is_no_token_is_refused)
{
    ck_assert_int_eq(JUDGE("", "x"), GUARD_BAD_NAME);
    ck_assert_int_eq(JUDGE("Content-Length ", "5"), GUARD_BAD_NAME);
    ck_assert_int_eq(JUDGE("a(b", "x"), GUARD_BAD_NAME);
    ck_assert_int_eq(JUDGE("a\tb", "x"), GUARD_BAD_NAME);
    ck_assert_int_eq(JUDGE("\xc3\xa9", "x"), GUARD_BAD_NAME);
}
END_TEST

START_TEST(a_control_character_in_a_value_is_refused)
{
    struct guard_headers headers = {.verdict = GUARD_TAKEN};

    ck_assert_int_eq(JUDGE("X", "a\rb"), GUARD_BAD_VALUE);
    ck_assert_int_eq(JUDGE("X", "a\nb"), GUARD_BAD_VALUE);
    ck_assert_int_eq(JUDGE("X", "a\x7f"), GUARD_BAD_VALUE);
    ck_assert(!guard_see(&headers, word("X"), bytes_of("a\0b", 3)));
    ck_assert_int_eq(headers.verdict, GUARD_BAD_VALUE);
}
END_TEST

START_TEST(what_counts_may_stand_once_only)
{
    static const char *const names[] = {"Host",         "Origin",          "Authorization",
                                        "Content-Type", "Idempotency-Key", "traceparent"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_int_eq(JUDGE(names[i], "a", names[i], "a"), GUARD_TWICE);
    ck_assert_int_eq(JUDGE("Content-Length", "5", "content-length", "5"), GUARD_TWICE);
    ck_assert_int_eq(JUDGE("Transfer-Encoding", "chunked", "Transfer-Encoding", "chunked"),
                     GUARD_TWICE);
    ck_assert_int_eq(JUDGE("Host", "", "Host", "a"), GUARD_TWICE);
}
END_TEST

START_TEST(lengths_that_contradict_are_refused)
{
    ck_assert_int_eq(JUDGE("Content-Length", "5", "Transfer-Encoding", "chunked"),
                     GUARD_TWO_LENGTHS);
    ck_assert_int_eq(JUDGE("Content-Length", "+5"), GUARD_BAD_LENGTH);
    ck_assert_int_eq(JUDGE("Content-Length", ""), GUARD_BAD_LENGTH);
    ck_assert_int_eq(JUDGE("Content-Length", "5, 5"), GUARD_BAD_LENGTH);
    ck_assert_int_eq(JUDGE("Transfer-Encoding", "gzip"), GUARD_BAD_CODING);
    ck_assert_int_eq(JUDGE("Transfer-Encoding", "chunked, chunked"), GUARD_BAD_CODING);
}
END_TEST

START_TEST(a_length_is_read_to_its_limit_and_not_beyond)
{
    struct guard_headers headers = {.verdict = GUARD_TAKEN};

    ck_assert_uint_eq(guard_content_length(&headers), 0);
    headers.content_length = word("0012");
    ck_assert_uint_eq(guard_content_length(&headers), 12);
    headers.content_length = word("18446744073709551615");
    ck_assert_uint_eq(guard_content_length(&headers), UINT64_MAX);
    headers.content_length = word("18446744073709551616");
    ck_assert_uint_eq(guard_content_length(&headers), UINT64_MAX);
    headers.content_length = word("99999999999999999999999999");
    ck_assert_uint_eq(guard_content_length(&headers), UINT64_MAX);
}
END_TEST

START_TEST(a_target_is_a_path_of_printable_ascii)
{
    static const char *const good[] = {"/", "/beak/", "/beak/a%20b", "*"};
    static const char *const bad[] = {
        "",        "beak", "http://localhost/beak/", "/a\x80", "/a%00b", "/a\x7f", "*a", "/a b",
        "//a\x01", "?a"};
    const char *const none[] = {NULL};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_int_eq(judge(good[i], none), GUARD_TAKEN);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_int_eq(judge(bad[i], none), GUARD_BAD_TARGET);
}
END_TEST

static enum guard_verdict place(const char *host, const char *origin)
{
    struct guard_hosts hosts = {.hosts = {"duck.example"},
                                .host_count = 1,
                                .origins = {"https://app.example:8443"},
                                .origin_count = 1};
    struct guard_headers headers = {.verdict = GUARD_TAKEN};

    if (host)
        headers.host = word(host);
    if (origin)
        headers.origin = word(origin);
    return guard_place(&hosts, &headers);
}

START_TEST(a_host_is_an_address_a_local_name_or_on_the_list)
{
    static const char *const ours[] = {"localhost",     "LOCALHOST:80",  "a.localhost",
                                       "127.0.0.1",     "192.168.1.7:1", "[::1]",
                                       "[fe80::1]:443", "duck.example",  "Duck.Example.:443"};
    static const char *const foreign[] = {"evil.example",
                                          "xlocalhost",
                                          "localhost.evil.example",
                                          "127.0.0.1.evil.example",
                                          "127.1",
                                          "0x7f.0.0.1",
                                          "[::1",
                                          "[]",
                                          "",
                                          ":80",
                                          "duck.example:80x",
                                          "[::1]x",
                                          ".",
                                          "a.duck.example"};
    char long_name[400];

    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        ck_assert_msg(place(ours[i], NULL) == GUARD_TAKEN, "%s", ours[i]);
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        ck_assert_msg(place(foreign[i], NULL) == GUARD_FOREIGN_HOST, "%s", foreign[i]);
    memset(long_name, 'a', sizeof long_name);
    long_name[sizeof long_name - 1] = 0;
    ck_assert_int_eq(place(long_name, NULL), GUARD_FOREIGN_HOST);
    ck_assert_int_eq(place(NULL, NULL), GUARD_TAKEN); /* HTTP/1.0 */
}
END_TEST

START_TEST(an_origin_is_our_own_or_on_the_list)
{
    ck_assert_int_eq(place("localhost:80", "http://localhost:80"), GUARD_TAKEN);
    ck_assert_int_eq(place("duck.example", "https://DUCK.example"), GUARD_TAKEN);
    ck_assert_int_eq(place("localhost", "https://app.example:8443"), GUARD_TAKEN);
    ck_assert_int_eq(place("localhost:80", "http://localhost:81"), GUARD_FOREIGN_ORIGIN);
    ck_assert_int_eq(place("localhost", "ftp://localhost"), GUARD_FOREIGN_ORIGIN);
    ck_assert_int_eq(place("localhost", "null"), GUARD_FOREIGN_ORIGIN);
    ck_assert_int_eq(place("localhost", ""), GUARD_FOREIGN_ORIGIN);
    ck_assert_int_eq(place(NULL, "http://"), GUARD_FOREIGN_ORIGIN);
    ck_assert_int_eq(place("localhost", "https://app.example"), GUARD_FOREIGN_ORIGIN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard");
    TCase *all = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(all, an_ordinary_request_is_taken);
    tcase_add_test(all, a_name_that_is_no_token_is_refused);
    tcase_add_test(all, a_control_character_in_a_value_is_refused);
    tcase_add_test(all, what_counts_may_stand_once_only);
    tcase_add_test(all, lengths_that_contradict_are_refused);
    tcase_add_test(all, a_length_is_read_to_its_limit_and_not_beyond);
    tcase_add_test(all, a_target_is_a_path_of_printable_ascii);
    tcase_add_test(all, a_host_is_an_address_a_local_name_or_on_the_list);
    tcase_add_test(all, an_origin_is_our_own_or_on_the_list);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
