#include "admission.h"

#include <check.h>
#include <sodium.h>

static const struct admission_limits limits = {
    .per_address_max = 4, .per_prefix_max = 6, .accepts_per_s = 10, .burst = 20};

static struct admission_address ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return admission_address_ipv4((uint8_t[4]){a, b, c, d});
}

static enum admission_verdict enter(struct admission *admission, struct admission_address address,
                                    uint64_t now_ms, struct admission_place *place)
{
    struct admission_place unused;

    return admission_enter(admission, &address, now_ms, place ? place : &unused);
}

START_TEST(an_address_has_so_many_places_and_gets_them_back)
{
    struct admission *admission = admission_new(&limits);
    struct admission_place places[4];

    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(enter(admission, ipv4(192, 0, 2, 1), 0, &places[i]), ADMISSION_TAKEN);
    ck_assert_int_eq(enter(admission, ipv4(192, 0, 2, 1), 0, NULL), ADMISSION_ADDRESS_FULL);
    admission_leave(admission, &places[2]);
    ck_assert_int_eq(enter(admission, ipv4(192, 0, 2, 1), 0, NULL), ADMISSION_TAKEN);
    admission_free(admission);
}
END_TEST

START_TEST(neighbours_share_their_prefix)
{
    struct admission *admission = admission_new(&limits);

    for (uint8_t i = 0; i < 6; i++)
        ck_assert_int_eq(enter(admission, ipv4(192, 0, 2, i), 0, NULL), ADMISSION_TAKEN);
    ck_assert_int_eq(enter(admission, ipv4(192, 0, 2, 77), 0, NULL), ADMISSION_PREFIX_FULL);
    ck_assert_int_eq(enter(admission, ipv4(198, 51, 100, 1), 0, NULL), ADMISSION_TAKEN);
    admission_free(admission);
}
END_TEST

/* A household has a /64, so the lower half of an IPv6 address buys nothing. */
START_TEST(ipv6_is_counted_by_its_upper_half)
{
    struct admission *admission = admission_new(&limits);
    struct admission_address address = {.bytes = {0x20, 1, 0xd, 0xb8}};

    for (uint8_t i = 0; i < 6; i++) {
        address.bytes[15] = i;
        ck_assert_int_eq(enter(admission, address, 0, NULL), ADMISSION_TAKEN);
    }
    address.bytes[15] = 200;
    ck_assert_int_eq(enter(admission, address, 0, NULL), ADMISSION_PREFIX_FULL);
    admission_free(admission);
}
END_TEST

START_TEST(who_comes_too_often_waits_for_the_bucket)
{
    struct admission *admission = admission_new(&limits);
    struct admission_place place;

    for (size_t i = 0; i < 20; i++) {
        ck_assert_int_eq(enter(admission, ipv4(192, 0, 2, 1), 1000, &place), ADMISSION_TAKEN);
        admission_leave(admission, &place);
    }
    ck_assert_int_eq(enter(admission, ipv4(192, 0, 2, 1), 1000, NULL), ADMISSION_TOO_OFTEN);
    ck_assert_int_eq(enter(admission, ipv4(192, 0, 2, 1), 1099, NULL), ADMISSION_TOO_OFTEN);
    ck_assert_int_eq(enter(admission, ipv4(192, 0, 2, 1), 1100, NULL), ADMISSION_TAKEN);
    ck_assert_int_eq(enter(admission, ipv4(192, 0, 2, 1), 1100, NULL), ADMISSION_TOO_OFTEN);
    admission_free(admission);
}
END_TEST

START_TEST(loopback_is_counted_only_when_asked)
{
    struct admission *admission = admission_new(&limits);
    struct admission_address six = {.bytes = {[15] = 1}};

    for (size_t i = 0; i < 1000; i++) {
        ck_assert_int_eq(enter(admission, ipv4(127, 0, 0, 1), 0, NULL), ADMISSION_TAKEN);
        ck_assert_int_eq(enter(admission, six, 0, NULL), ADMISSION_TAKEN);
    }
    admission_free(admission);
}
END_TEST

/* Ten thousand addresses with one connection each: few of them are taken for another. */
START_TEST(a_crowd_of_addresses_is_not_mistaken_for_one)
{
    struct admission_limits wide = {
        .per_address_max = 32, .per_prefix_max = 128, .accepts_per_s = 20, .burst = 40};
    struct admission *admission = admission_new(&wide);
    size_t refused = 0;

    for (uint32_t i = 0; i < 10000; i++)
        refused += enter(admission, ipv4(10, (uint8_t)(i >> 8), (uint8_t)i, 1), 0, NULL) !=
                   ADMISSION_TAKEN;
    ck_assert_uint_eq(refused, 0);
    admission_free(admission);
}
END_TEST

START_TEST(a_bucket_never_holds_more_than_its_burst)
{
    struct token_bucket bucket = {.filled_ms = 0};

    for (uint64_t now_ms = 0; now_ms < UINT64_MAX / 2; now_ms = now_ms * 8 + 1) {
        size_t taken = 0;

        while (token_bucket_take(&bucket, 5, 3, now_ms))
            taken++;
        ck_assert_uint_le(taken, 3);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admission");
    TCase *tests = tcase_create("admission");
    SRunner *runner = srunner_create(suite);
    int failed;

    if (sodium_init() < 0)
        return 1;
    tcase_add_test(tests, an_address_has_so_many_places_and_gets_them_back);
    tcase_add_test(tests, neighbours_share_their_prefix);
    tcase_add_test(tests, ipv6_is_counted_by_its_upper_half);
    tcase_add_test(tests, who_comes_too_often_waits_for_the_bucket);
    tcase_add_test(tests, loopback_is_counted_only_when_asked);
    tcase_add_test(tests, a_crowd_of_addresses_is_not_mistaken_for_one);
    tcase_add_test(tests, a_bucket_never_holds_more_than_its_burst);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
