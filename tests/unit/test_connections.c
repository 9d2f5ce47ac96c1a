#include "connections.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEVER UINT64_MAX

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage storage = {.ss_family = AF_INET6};

    if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&storage)->sin6_addr) != 1) {
        storage.ss_family = AF_INET;
        ck_assert_int_eq(inet_pton(AF_INET, text, &((struct sockaddr_in *)&storage)->sin_addr), 1);
    }
    return storage;
}

static bool admits(struct connections *connections, const char *text)
{
    struct sockaddr_storage from = address(text);

    return connections_admit(connections, (struct sockaddr *)&from);
}

/* The number stands for a descriptor: nothing is done with it before its deadline. */
static struct connection_slot *begin(struct connections *connections, int socket, const char *text)
{
    struct sockaddr_storage from = address(text);

    return connections_begin(connections, socket, (struct sockaddr *)&from, NEVER);
}

START_TEST(an_address_gets_its_share_and_not_one_more)
{
    struct connections *connections = connections_new(CONNECTIONS_PER_ADDRESS_MAX, 2);
    struct connection_slot *last = NULL;

    for (int i = 0; i < CONNECTIONS_PER_ADDRESS_MAX; i++) {
        ck_assert(admits(connections, "192.0.2.1"));
        last = begin(connections, 1000 + i, "192.0.2.1");
    }
    ck_assert(!admits(connections, "192.0.2.1"));
    ck_assert(!admits(connections, "::ffff:192.0.2.1"));
    ck_assert(admits(connections, "192.0.2.2"));
    connections_end(connections, last);
    ck_assert(admits(connections, "192.0.2.1"));
    connections_free(connections);
}
END_TEST

START_TEST(addresses_of_one_ipv6_prefix_share)
{
    struct connections *connections = connections_new(1, 2);

    begin(connections, 1000, "2001:db8:1:2::1");
    ck_assert(!admits(connections, "2001:db8:1:2:ffff::7"));
    ck_assert(admits(connections, "2001:db8:1:3::1"));
    connections_free(connections);
}
END_TEST

START_TEST(loopback_has_a_share_of_its_own)
{
    struct connections *connections = connections_new(1, 2);

    begin(connections, 1000, "127.0.0.1");
    ck_assert(admits(connections, "127.0.0.1"));
    begin(connections, 1001, "::1");
    ck_assert(!admits(connections, "127.9.9.9"));
    ck_assert(!admits(connections, "::ffff:127.0.0.1"));
    ck_assert(admits(connections, "192.0.2.1"));
    connections_free(connections);
}
END_TEST

START_TEST(there_are_so_many_slots_and_no_more)
{
    struct connections *connections = connections_new(CONNECTIONS_MAX + 1, CONNECTIONS_MAX + 1);
    struct connection_slot *slot = NULL;

    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        slot = begin(connections, 1000 + i, "192.0.2.1");
        ck_assert_ptr_nonnull(slot);
    }
    ck_assert_ptr_null(begin(connections, 9000, "192.0.2.1"));
    ck_assert_uint_eq(connections_count(connections), CONNECTIONS_MAX);
    connections_end(connections, slot);
    ck_assert_ptr_nonnull(begin(connections, 9000, "192.0.2.1"));
    connections_free(connections);
}
END_TEST

START_TEST(who_is_late_is_shut_down_once_and_not_a_moment_early)
{
    struct connections *connections = connections_new(10, 10);
    struct sockaddr_storage from = address("127.0.0.1");
    struct connection_slot *slot;
    int pair[2];
    char byte;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    slot = connections_begin(connections, pair[0], (struct sockaddr *)&from, 1000);
    ck_assert_uint_eq(connections_sweep(connections, 999), 0);
    ck_assert_int_eq(recv(pair[1], &byte, 1, MSG_DONTWAIT), -1);
    ck_assert_int_eq(errno, EAGAIN);
    connection_deadline(slot, 2000);
    ck_assert_uint_eq(connections_sweep(connections, 1999), 0);
    ck_assert_uint_eq(connections_sweep(connections, 2000), 1);
    ck_assert_int_eq(recv(pair[1], &byte, 1, MSG_DONTWAIT), 0); /* its end */
    ck_assert_uint_eq(connections_sweep(connections, 3000), 0);
    connections_end(connections, slot);
    close(pair[0]);
    close(pair[1]);
    connections_free(connections);
}
END_TEST

/* The number of a closed descriptor is given to the next socket: which must not be hit. */
START_TEST(a_connection_that_has_ended_is_not_shut_down)
{
    struct connections *connections = connections_new(10, 10);
    struct sockaddr_storage from = address("127.0.0.1");
    struct connection_slot *slot;
    int pair[2];
    char byte;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    slot = connections_begin(connections, pair[0], (struct sockaddr *)&from, 1000);
    connections_end(connections, slot);
    ck_assert_uint_eq(connections_sweep(connections, 5000), 0);
    ck_assert_int_eq(recv(pair[1], &byte, 1, MSG_DONTWAIT), -1);
    ck_assert_int_eq(errno, EAGAIN);
    close(pair[0]);
    close(pair[1]);
    connections_free(connections);
}
END_TEST

START_TEST(an_address_is_told_as_text)
{
    struct connections *connections = connections_new(10, 10);

    ck_assert_str_eq(connection_address(begin(connections, 1, "192.0.2.1")), "192.0.2.1");
    ck_assert_str_eq(connection_address(begin(connections, 2, "2001:db8::1")), "2001:db8::1");
    ck_assert_str_eq(connection_address(begin(connections, 3, "::ffff:192.0.2.7")), "192.0.2.7");
    connections_free(connections);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connections");
    TCase *all = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(all, an_address_gets_its_share_and_not_one_more);
    tcase_add_test(all, addresses_of_one_ipv6_prefix_share);
    tcase_add_test(all, loopback_has_a_share_of_its_own);
    tcase_add_test(all, there_are_so_many_slots_and_no_more);
    tcase_add_test(all, who_is_late_is_shut_down_once_and_not_a_moment_early);
    tcase_add_test(all, a_connection_that_has_ended_is_not_shut_down);
    tcase_add_test(all, an_address_is_told_as_text);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
