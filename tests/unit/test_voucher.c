/* What an operator signs about a duckling or a domain; and which tier follows from what. */
#include "births.h"
#include "core/tier.h"
#include "core/voucher.h"

#include <check.h>
#include <stdlib.h>

#define NOW_MS (BORN_MS + HOUR_MS)

static struct arena arena;
static struct identity_key *key;
static struct id operator_id;
static struct bytes chain;

static void set_up(void)
{
    ck_assert(identity_self_test());
    arena_init(&arena, 16 * MIB);
    chain = birth_chain(IDENTITY_OPERATOR, 50, 1, &arena, &operator_id);
    key = birth_key(50);
}

static void tear_down(void)
{
    identity_key_free(key);
    arena_free(&arena);
}

static struct voucher said(void)
{
    return (struct voucher){.network = bytes_of_text("pond"),
                            .operator_id = operator_id,
                            .subject = {{7}},
                            .issued_ms = NOW_MS,
                            .not_after_ms = NOW_MS + VOUCHER_LIFE_MS};
}

static struct bytes seal(const struct voucher *voucher, const struct identity_key *signer)
{
    struct bytes body;

    ck_assert_int_eq(voucher_pack(voucher, &arena, &body), VOUCHER_OK);
    return envelope_seal(ENVELOPE_VOUCHER, &voucher->operator_id, signer, body, &arena, NULL);
}

static enum voucher_verdict pack(const struct voucher *voucher)
{
    struct bytes body;
    enum voucher_verdict verdict = voucher_pack(voucher, &arena, &body);

    ck_assert_int_eq(body.size > 0, verdict == VOUCHER_OK);
    return verdict;
}

START_TEST(a_voucher_comes_back_as_it_was_sealed)
{
    struct voucher voucher = said(), read;
    struct bytes wire = seal(&voucher, key);

    ck_assert_uint_le(wire.size, VOUCHER_SIZE_MAX);
    ck_assert_int_eq(voucher_open(wire, chain, &arena, &read), VOUCHER_OK);
    ck_assert(id_equal(&read.operator_id, &operator_id));
    ck_assert(id_equal(&read.subject, &voucher.subject));
    ck_assert(bytes_equal(read.network, voucher.network));
    ck_assert_uint_eq(read.domain.size, 0);
    ck_assert_uint_eq(read.issued_ms, voucher.issued_ms);
    ck_assert_uint_eq(read.not_after_ms, voucher.not_after_ms);
}
END_TEST

START_TEST(a_voucher_is_about_a_duckling_or_a_domain_and_not_both)
{
    struct voucher voucher = said(), read;

    voucher.domain = bytes_of_text("ducks.example.org");
    ck_assert_int_eq(pack(&voucher), VOUCHER_MALFORMED);
    voucher.subject = (struct id){{0}};
    ck_assert_int_eq(voucher_open(seal(&voucher, key), chain, &arena, &read), VOUCHER_OK);
    ck_assert(bytes_equal(read.domain, voucher.domain));
    voucher.domain.size = 0;
    ck_assert_int_eq(pack(&voucher), VOUCHER_MALFORMED);
}
END_TEST

START_TEST(a_voucher_lives_ninety_days_and_not_longer)
{
    struct voucher voucher = said();

    voucher.not_after_ms = voucher.issued_ms + VOUCHER_LIFE_MAX_MS;
    ck_assert_int_eq(pack(&voucher), VOUCHER_OK);
    voucher.not_after_ms++;
    ck_assert_int_eq(pack(&voucher), VOUCHER_BAD_TIMES);
    voucher.not_after_ms = voucher.issued_ms;
    ck_assert_int_eq(pack(&voucher), VOUCHER_BAD_TIMES);
}
END_TEST

START_TEST(only_an_operators_key_of_that_time_can_sign)
{
    struct voucher voucher = said(), read = {.issued_ms = 5};
    struct identity_key *other = birth_key(51);
    struct bytes wire = seal(&voucher, key), ducklings;
    struct id duckling;
    uint8_t *turned = arena_take(&arena, wire.size);

    ck_assert_int_eq(voucher_open(seal(&voucher, other), chain, &arena, &read),
                     VOUCHER_BAD_SIGNATURE);
    voucher.issued_ms = BORN_MS - 1;
    ck_assert_int_eq(voucher_open(seal(&voucher, key), chain, &arena, &read),
                     VOUCHER_BAD_SIGNATURE);
    ducklings = birth_chain(IDENTITY_DUCKLING, 50, 1, &arena, &duckling);
    voucher = said();
    voucher.operator_id = duckling;
    ck_assert_int_eq(voucher_open(seal(&voucher, key), ducklings, &arena, &read),
                     VOUCHER_NO_OPERATOR);
    ck_assert_int_eq(voucher_open(wire, ducklings, &arena, &read), VOUCHER_NO_OPERATOR);
    ck_assert_int_eq(voucher_open(wire, bytes_of_text("no chain"), &arena, &read),
                     VOUCHER_NO_OPERATOR);
    for (size_t bit = 0; bit < 8 * wire.size; bit += 3) {
        memcpy(turned, wire.data, wire.size);
        turned[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_ne(voucher_open(bytes_of(turned, wire.size), chain, &arena, &read),
                         VOUCHER_OK);
    }
    ck_assert_uint_eq(read.issued_ms, 5); /* refused: nothing is changed */
    identity_key_free(other);
}
END_TEST

START_TEST(a_voucher_that_is_too_large_is_not_parsed)
{
    static const uint8_t large[VOUCHER_SIZE_MAX + 1];
    struct voucher read;

    ck_assert_int_eq(voucher_open(bytes_of(large, sizeof large), chain, &arena, &read),
                     VOUCHER_TOO_LARGE);
    ck_assert_int_eq(voucher_open(bytes_of(large, sizeof large - 1), chain, &arena, &read),
                     VOUCHER_MALFORMED);
}
END_TEST

static const struct {
    const char *domain;
    bool is_valid;
} domains[] = {
    {"example.org", true},
    {"a.b.c.example.org", true},
    {"xn--nxasmq6b.example", true},
    {"1.2.3.4.example", true},
    {"a-b.example", true},
    {"localhost", false},
    {"", false},
    {".", false},
    {"example.", false},
    {".example", false},
    {"a..b", false},
    {"-a.example", false},
    {"a-.example", false},
    {"Example.org", false},
    {"ex ample.org", false},
    {"example.org:443", false},
    {"example.org/x", false},
    {"user@example.org", false},
    {"\xc3\xa4.example", false},
};

START_TEST(a_domain_is_a_lower_case_host_name_with_a_dot)
{
    ck_assert_msg(domain_is_valid(bytes_of_text(domains[_i].domain)) == domains[_i].is_valid,
                  "\"%s\"", domains[_i].domain);
}
END_TEST

START_TEST(labels_and_domains_end_at_their_limits)
{
    char domain[VOUCHER_DOMAIN_MAX + 2];

    memset(domain, 'a', sizeof domain);
    for (size_t i = 63; i < sizeof domain; i += 64)
        domain[i] = '.';
    ck_assert(domain_is_valid(bytes_of(domain, VOUCHER_DOMAIN_MAX)));
    ck_assert(!domain_is_valid(bytes_of(domain, VOUCHER_DOMAIN_MAX + 1)));
    domain[63] = 'a';
    ck_assert(!domain_is_valid(bytes_of(domain, 100)));
}
END_TEST

/* ---- tiers ---- */

START_TEST(each_tier_rests_on_those_below_it)
{
    for (unsigned bits = 0; bits < 1u << TIER_PIECES; bits++) {
        struct tier_evidence evidence = {
            .certificate_holds = bits & 1,
            .is_hosted = bits & 2,
            .is_bonded = bits & 4,
            .is_vouched = bits & 8,
            .is_bound = bits & 16,
        };
        int wanted = (bits & 3) != 3    ? TIER_NONE
                     : (bits & 4) == 0  ? 0
                     : (bits & 8) == 0  ? 1
                     : (bits & 16) == 0 ? 2
                                        : 3;

        ck_assert_int_eq(tier_of(&evidence), wanted);
        for (size_t i = 0; i < TIER_PIECES; i++)
            ck_assert_int_eq(tier_has_piece(&evidence, i), (bits >> i) & 1);
    }
}
END_TEST

START_TEST(tiers_and_their_evidence_have_names)
{
    ck_assert_str_eq(tier_name(0), "T0");
    ck_assert_str_eq(tier_name((int)TIER_MAX), "T3");
    ck_assert_str_eq(tier_name(TIER_NONE), "none");
    ck_assert_str_eq(tier_piece_name(3), "operator-verified");
    ck_assert_str_eq(tier_piece_name(TIER_PIECES), "");
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("voucher");
    TCase *vouchers = tcase_create("vouchers"), *tiers = tcase_create("tiers");

    tcase_add_checked_fixture(vouchers, set_up, tear_down);
    tcase_add_test(vouchers, a_voucher_comes_back_as_it_was_sealed);
    tcase_add_test(vouchers, a_voucher_is_about_a_duckling_or_a_domain_and_not_both);
    tcase_add_test(vouchers, a_voucher_lives_ninety_days_and_not_longer);
    tcase_add_test(vouchers, only_an_operators_key_of_that_time_can_sign);
    tcase_add_test(vouchers, a_voucher_that_is_too_large_is_not_parsed);
    tcase_add_loop_test(vouchers, a_domain_is_a_lower_case_host_name_with_a_dot, 0,
                        sizeof domains / sizeof *domains);
    tcase_add_test(vouchers, labels_and_domains_end_at_their_limits);
    suite_add_tcase(suite, vouchers);
    tcase_add_test(tiers, each_tier_rests_on_those_below_it);
    tcase_add_test(tiers, tiers_and_their_evidence_have_names);
    suite_add_tcase(suite, tiers);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(make_suite());
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
