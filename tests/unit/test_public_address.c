/* No address through which a stranger's name leads back into this network. */
#include "public_address.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static const struct {
    const char *text;
    bool is_public;
} addresses[] = {
    {"1.1.1.1", true},
    {"9.255.255.255", true},
    {"11.0.0.0", true},
    {"100.63.255.255", true},
    {"100.128.0.0", true},
    {"126.255.255.255", true},
    {"128.0.0.1", true},
    {"172.15.255.255", true},
    {"172.32.0.0", true},
    {"192.0.1.1", true},
    {"192.167.255.255", true},
    {"192.169.0.0", true},
    {"198.17.255.255", true},
    {"198.20.0.0", true},
    {"223.255.255.255", true},
    {"0.0.0.0", false},
    {"0.1.2.3", false},
    {"10.0.0.0", false},
    {"10.255.255.255", false},
    {"100.64.0.0", false},
    {"100.127.255.255", false},
    {"127.0.0.1", false},
    {"127.255.255.254", false},
    {"169.254.169.254", false},
    {"172.16.0.0", false},
    {"172.31.255.255", false},
    {"192.0.0.1", false},
    {"192.0.2.1", false},
    {"192.88.99.1", false},
    {"192.168.0.1", false},
    {"198.18.0.0", false},
    {"198.19.255.255", false},
    {"198.51.100.1", false},
    {"203.0.113.1", false},
    {"224.0.0.1", false},
    {"239.255.255.255", false},
    {"240.0.0.1", false},
    {"255.255.255.255", false},
    {"2606:4700::1111", true},
    {"2001:200::1", true},
    {"2003::1", true},
    {"::ffff:1.1.1.1", true},
    {"64:ff9b::1.1.1.1", true},
    {"::", false},
    {"::1", false},
    {"::127.0.0.1", false},
    {"::ffff:127.0.0.1", false},
    {"::ffff:10.0.0.1", false},
    {"64:ff9b::10.0.0.1", false},
    {"64:ff9b:1::1", false},
    {"100::1", false},
    {"2001::1", false},
    {"2001:1ff::1", false},
    {"2001:db8::1", false},
    {"2002:7f00:1::1", false},
    {"3fff::1", false},
    {"4000::1", false},
    {"5f00::1", false},
    {"fc00::1", false},
    {"fdff::1", false},
    {"fe80::1", false},
    {"fec0::1", false},
    {"ff02::1", false},
};

START_TEST(an_address_is_public_or_it_is_not)
{
    const char *text = addresses[_i].text;
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    const struct sockaddr *address = (const struct sockaddr *)&four;

    if (inet_pton(AF_INET, text, &four.sin_addr) != 1) {
        ck_assert_int_eq(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
        address = (const struct sockaddr *)&six;
    }
    ck_assert_msg(address_is_public(address) == addresses[_i].is_public, "%s", text);
}
END_TEST

START_TEST(another_family_is_not_public)
{
    struct sockaddr_un socket = {.sun_family = AF_UNIX, .sun_path = "/run/secrets"};

    ck_assert(!address_is_public((const struct sockaddr *)&socket));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("public_address");
    TCase *tests = tcase_create("addresses");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tests, an_address_is_public_or_it_is_not, 0,
                        sizeof addresses / sizeof *addresses);
    tcase_add_test(tests, another_family_is_not_public);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
