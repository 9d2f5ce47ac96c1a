#include "forwarded.h"

#include <check.h>
#include <stdlib.h>

static struct forwarded_trust trust_of(enum forwarded_header header)
{
    struct forwarded_trust trust = {.header = header};

    ck_assert(allow_list_add(&trust.proxies, "10.0.0.0/8"));
    ck_assert(allow_list_add(&trust.proxies, "2001:db8:aaaa::/48"));
    return trust;
}

static const char *caller(enum forwarded_header header, const char *peer, const char *first,
                          const char *second)
{
    static char address[FORWARDED_ADDRESS_SIZE];
    struct forwarded_trust trust = trust_of(header);
    struct forwarded_lines lines = {.count = 0};

    if (first)
        forwarded_add(&lines, bytes_of_text(first));
    if (second)
        forwarded_add(&lines, bytes_of_text(second));
    return forwarded_caller(&trust, peer, &lines, address);
}

static const char *x(const char *peer, const char *line)
{
    return caller(FORWARDED_X_FORWARDED_FOR, peer, line, NULL);
}

static const char *forwarded(const char *line)
{
    return caller(FORWARDED_FORWARDED, "10.0.0.1", line, NULL);
}

START_TEST(a_stranger_is_not_believed)
{
    ck_assert_str_eq(x("192.0.2.1", "198.51.100.7"), "192.0.2.1");
    ck_assert_str_eq(x("11.0.0.1", "198.51.100.7"), "11.0.0.1");
    ck_assert_str_eq(x("2001:db8:aaab::1", "198.51.100.7"), "2001:db8:aaab::1");
    ck_assert_str_eq(x("unknown", "198.51.100.7"), "unknown");
}
END_TEST

START_TEST(a_trusted_proxy_is_believed_in_what_it_appended)
{
    ck_assert_str_eq(x("10.0.0.1", "198.51.100.7"), "198.51.100.7");
    ck_assert_str_eq(x("2001:db8:aaaa::1", " 2001:DB8::0007 "), "2001:db8::7");
    ck_assert_str_eq(x("10.0.0.1", NULL), "10.0.0.1");
}
END_TEST

START_TEST(what_the_caller_made_up_before_is_not_read)
{
    ck_assert_str_eq(x("10.0.0.1", "127.0.0.1, 198.51.100.7"), "198.51.100.7");
    ck_assert_str_eq(x("10.0.0.1", "10.1.1.1, 198.51.100.7"), "198.51.100.7");
    ck_assert_str_eq(x("10.0.0.1", "nonsense,, \", 198.51.100.7"), "198.51.100.7");
    ck_assert_str_eq(caller(FORWARDED_X_FORWARDED_FOR, "10.0.0.1", "127.0.0.1", "198.51.100.7"),
                     "198.51.100.7");
}
END_TEST

START_TEST(several_proxies_are_followed_back)
{
    ck_assert_str_eq(x("10.0.0.1", "127.0.0.1, 198.51.100.7, 10.0.0.3, 10.0.0.2"), "198.51.100.7");
    ck_assert_str_eq(
        caller(FORWARDED_X_FORWARDED_FOR, "10.0.0.1", "127.0.0.1, 198.51.100.7", "10.0.0.2"),
        "198.51.100.7");
    ck_assert_str_eq(x("10.0.0.1", "10.0.0.3, 10.0.0.2"), "10.0.0.3");
}
END_TEST

START_TEST(what_is_no_address_ends_the_way_back)
{
    ck_assert_str_eq(x("10.0.0.1", "198.51.100.7, unknown"), "10.0.0.1");
    ck_assert_str_eq(x("10.0.0.1", "198.51.100.7, , 10.0.0.2"), "10.0.0.2");
    ck_assert_str_eq(x("10.0.0.1", "198.51.100.7,"), "10.0.0.1");
    ck_assert_str_eq(x("10.0.0.1", ""), "10.0.0.1");
    ck_assert_str_eq(x("10.0.0.1", "198.51.100.256"), "10.0.0.1");
    ck_assert_str_eq(x("10.0.0.1", "[2001:db8::1"), "10.0.0.1");
    ck_assert_str_eq(x("10.0.0.1", "[2001:db8::1]8"), "10.0.0.1");
    ck_assert_str_eq(x("10.0.0.1", "2001:db8:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:01"),
                     "10.0.0.1");
}
END_TEST

START_TEST(ports_and_brackets_are_taken_off)
{
    ck_assert_str_eq(x("10.0.0.1", "198.51.100.7:4711"), "198.51.100.7");
    ck_assert_str_eq(x("10.0.0.1", "[2001:db8::7]:4711"), "2001:db8::7");
    ck_assert_str_eq(x("10.0.0.1", "[2001:db8::7]"), "2001:db8::7");
    ck_assert_str_eq(x("10.0.0.1", "::ffff:198.51.100.7"), "198.51.100.7");
    ck_assert_str_eq(x("::ffff:10.0.0.1", "198.51.100.7"), "198.51.100.7");
}
END_TEST

START_TEST(the_standard_header_is_read_by_its_grammar)
{
    ck_assert_str_eq(forwarded("for=198.51.100.7"), "198.51.100.7");
    ck_assert_str_eq(forwarded("by=203.0.113.43;For=198.51.100.7;proto=http"), "198.51.100.7");
    ck_assert_str_eq(forwarded("for=\"[2001:db8::7]:4711\""), "2001:db8::7");
    ck_assert_str_eq(forwarded("for=127.0.0.1, for=198.51.100.7;host=\"a,b;for=1.2.3.4\""),
                     "198.51.100.7");
    ck_assert_str_eq(forwarded("for=198.51.100.7, for=10.0.0.2"), "198.51.100.7");
    ck_assert_str_eq(forwarded("for=_hidden"), "10.0.0.1");
    ck_assert_str_eq(forwarded("198.51.100.7"), "10.0.0.1");
    ck_assert_str_eq(forwarded("proto=https"), "10.0.0.1");
}
END_TEST

START_TEST(of_too_many_lines_the_last_are_read)
{
    struct forwarded_trust trust = trust_of(FORWARDED_X_FORWARDED_FOR);
    struct forwarded_lines lines = {.count = 0};
    char address[FORWARDED_ADDRESS_SIZE];

    for (size_t i = 0; i < 9; i++)
        forwarded_add(&lines, bytes_of_text("127.0.0.1"));
    forwarded_add(&lines, bytes_of_text("198.51.100.7"));
    for (size_t i = 1; i < FORWARDED_LINES_MAX; i++)
        forwarded_add(&lines, bytes_of_text("10.0.0.2"));
    ck_assert_uint_eq(lines.count, FORWARDED_LINES_MAX);
    ck_assert_str_eq(forwarded_caller(&trust, "10.0.0.1", &lines, address), "198.51.100.7");
}
END_TEST

static bool are_counted_together(const char *left, const char *right)
{
    uint8_t prefixes[2][FORWARDED_PREFIX_SIZE];
    size_t size = forwarded_prefix(left, prefixes[0]);

    return size == forwarded_prefix(right, prefixes[1]) && !memcmp(prefixes[0], prefixes[1], size);
}

START_TEST(neighbours_are_counted_together)
{
    uint8_t prefix[FORWARDED_PREFIX_SIZE];

    ck_assert(are_counted_together("192.0.2.1", "192.0.2.255"));
    ck_assert(!are_counted_together("192.0.2.1", "192.0.3.1"));
    ck_assert(are_counted_together("2001:db8:0:1100::1", "2001:db8:0:11ff:ffff::1"));
    ck_assert(!are_counted_together("2001:db8:0:1100::1", "2001:db8:0:1200::1"));
    ck_assert(are_counted_together("192.0.2.1", "::ffff:192.0.2.9"));
    ck_assert(!are_counted_together("192.0.2.1", "c000:201::1"));
    ck_assert_uint_eq(forwarded_prefix("unknown", prefix), 0);
}
END_TEST

START_TEST(loopback_is_known)
{
    ck_assert(forwarded_is_loopback("127.0.0.1"));
    ck_assert(forwarded_is_loopback("127.9.9.9"));
    ck_assert(forwarded_is_loopback("::1"));
    ck_assert(forwarded_is_loopback("::ffff:127.0.0.1"));
    ck_assert(!forwarded_is_loopback("128.0.0.1"));
    ck_assert(!forwarded_is_loopback("::2"));
    ck_assert(!forwarded_is_loopback("unknown"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("forwarded");
    TCase *callers = tcase_create("callers"), *prefixes = tcase_create("prefixes");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(callers, a_stranger_is_not_believed);
    tcase_add_test(callers, a_trusted_proxy_is_believed_in_what_it_appended);
    tcase_add_test(callers, what_the_caller_made_up_before_is_not_read);
    tcase_add_test(callers, several_proxies_are_followed_back);
    tcase_add_test(callers, what_is_no_address_ends_the_way_back);
    tcase_add_test(callers, ports_and_brackets_are_taken_off);
    tcase_add_test(callers, the_standard_header_is_read_by_its_grammar);
    tcase_add_test(callers, of_too_many_lines_the_last_are_read);
    suite_add_tcase(suite, callers);
    tcase_add_test(prefixes, neighbours_are_counted_together);
    tcase_add_test(prefixes, loopback_is_known);
    suite_add_tcase(suite, prefixes);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
