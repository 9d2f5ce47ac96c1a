#include "call_guard.h"
#include "folder.h"
#include "webhook.h"

#include <sodium.h>

#define V1_OF_TEXT "48roMzMozBa0y9GY6W+3OUs/G/ve9mXwQEyceR2g0tA="
#define HEX_OF_BODY "sha256=9685f45fa50a7f26f4bd72c1c033c551cb25cd0f0223387343c78b0869445f8f"

static struct gate_key key;

static void setup(void)
{
    ck_assert_int_ge(sodium_init(), 0);
    memset(key.bytes, 7, sizeof key.bytes);
}

static struct webhook_subject a_peck(const char *action, unsigned tier)
{
    return (struct webhook_subject){
        .happening = HAPPENED_PECK, .duckling = {{1}}, .action = action, .tier = tier};
}

START_TEST(a_filter_lets_through_what_it_names)
{
    struct webhook_filter filter = {.kinds = 1u << HAPPENED_PECK | 1u << HAPPENED_HATCH};
    struct webhook_subject peck = a_peck("data.read", 1), bond = peck, hatch = peck, change = peck;

    bond.happening = HAPPENED_BOND;
    hatch.happening = HAPPENED_HATCH;
    hatch.action = "";
    ck_assert(webhook_wants(&filter, &peck));
    ck_assert(!webhook_wants(&filter, &bond));
    strcpy(filter.action, "data.*");
    ck_assert(webhook_wants(&filter, &peck));
    ck_assert(webhook_wants(&filter, &hatch)); /* it has no action that could be wrong */
    peck.action = "query";
    ck_assert(!webhook_wants(&filter, &peck));
    filter.action[0] = 0;
    filter.least_tier = 2;
    ck_assert(!webhook_wants(&filter, &peck));
    ck_assert(webhook_wants(&filter, &hatch)); /* nor another end */
    peck.tier = 2;
    ck_assert(webhook_wants(&filter, &peck));
    filter.duckling.bytes[0] = 9;
    ck_assert(!webhook_wants(&filter, &peck));
    filter = (struct webhook_filter){.kinds = 1u << HAPPENED_TIER_CHANGE, .least_tier = 2};
    change.happening = HAPPENED_TIER_CHANGE;
    ck_assert(!webhook_wants(&filter, &change));
    change.tier = 3;
    ck_assert(webhook_wants(&filter, &change));
}
END_TEST

START_TEST(a_url_is_refused_for_what_is_wrong_with_it)
{
    static const struct {
        const char *url;
        enum webhook_url_verdict verdict;
    } urls[] = {
        {"https://example.com/hook?token=1", WEBHOOK_URL_GOOD},
        {"http://example.com", WEBHOOK_URL_GOOD},
        {"https://[2001:db8::1]:8443/", WEBHOOK_URL_GOOD},
        {"", WEBHOOK_URL_MALFORMED},
        {"/hook", WEBHOOK_URL_MALFORMED},
        {"https://", WEBHOOK_URL_MALFORMED},
        {"https://exa mple.com/", WEBHOOK_URL_MALFORMED},
        {"https://example.com/\x7f", WEBHOOK_URL_MALFORMED},
        {"https://example.com/\r\nX: y", WEBHOOK_URL_MALFORMED},
        {"https://example.com:99999/", WEBHOOK_URL_MALFORMED},
        {"ftp://example.com/", WEBHOOK_URL_SCHEME},
        {"gopher://example.com/", WEBHOOK_URL_SCHEME},
        {"https://me@example.com/", WEBHOOK_URL_SECRETS},
        {"https://me:secret@example.com/", WEBHOOK_URL_SECRETS},
        {"https://example.com/#part", WEBHOOK_URL_FRAGMENT},
    };
    uint64_t host;

    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        ck_assert_msg(webhook_url_judge(urls[i].url, &host) == urls[i].verdict, "%s", urls[i].url);
}
END_TEST

START_TEST(a_url_of_2048_bytes_is_taken_and_one_byte_more_is_not)
{
    char url[WEBHOOK_URL_MAX + 2];
    uint64_t host;

    memset(url, 'a', sizeof url);
    memcpy(url, "https://example.com/", 20);
    url[WEBHOOK_URL_MAX + 1] = 0;
    ck_assert_int_eq(webhook_url_judge(url, &host), WEBHOOK_URL_TOO_LONG);
    url[WEBHOOK_URL_MAX] = 0;
    ck_assert_int_eq(webhook_url_judge(url, &host), WEBHOOK_URL_GOOD);
}
END_TEST

START_TEST(a_host_is_the_same_however_it_is_written)
{
    uint64_t first, second, other;

    webhook_url_judge("https://Example.com/one", &first);
    webhook_url_judge("https://example.com:443/two", &second);
    webhook_url_judge("https://example.com:444/", &other);
    ck_assert_uint_eq(first, second);
    ck_assert_uint_ne(first, other);
}
END_TEST

START_TEST(a_secret_opens_under_its_key_and_name_alone)
{
    uint8_t secret[WEBHOOK_SECRET_SIZE], opened[WEBHOOK_SECRET_SIZE], sealed[WEBHOOK_SEALED_SIZE];
    struct gate_key other = {{1}};

    webhook_secret_make(secret);
    webhook_seal(&key, "whk_a", secret, sealed);
    ck_assert(webhook_unseal(&key, "whk_a", sealed, opened));
    ck_assert_mem_eq(opened, secret, sizeof secret);
    ck_assert(!webhook_unseal(&key, "whk_b", sealed, opened));
    ck_assert(!webhook_unseal(&other, "whk_a", sealed, opened));
    sealed[30] ^= 1;
    ck_assert(!webhook_unseal(&key, "whk_a", sealed, opened));
}
END_TEST

/* The numbers are of another implementation: openssl dgst -sha256 -hmac. */
START_TEST(signatures_are_those_of_the_standard)
{
    static const uint8_t secret[WEBHOOK_SECRET_SIZE], old_secret[WEBHOOK_SECRET_SIZE] = {1};
    struct webhook_signing signing = {.key = &key,
                                      .name = "whk_a",
                                      .secret = secret,
                                      .id = "evt_1",
                                      .at_s = 1700000000,
                                      .body = "{}"};
    char signatures[WEBHOOK_SIGNATURES_SIZE], both[WEBHOOK_SIGNATURES_SIZE], hex[WEBHOOK_HEX_SIZE],
        public_key[WEBHOOK_PUBLIC_TEXT_SIZE];
    uint8_t signature[crypto_sign_BYTES], signer[crypto_sign_PUBLICKEYBYTES];
    const char *text = "evt_1.1700000000.{}", *v1a;

    webhook_sign(&signing, signatures, hex);
    ck_assert_int_eq(strncmp(signatures, "v1,", 3), 0);
    ck_assert_str_eq(hex, HEX_OF_BODY);
    ck_assert_int_eq(strncmp(signatures + 3, V1_OF_TEXT, 44), 0);
    v1a = strstr(signatures, " v1a,");
    ck_assert_ptr_nonnull(v1a);
    webhook_public_text(&key, "whk_a", public_key);
    ck_assert_int_eq(sodium_base642bin(signature, sizeof signature, v1a + 5, strlen(v1a + 5), NULL,
                                       NULL, NULL, sodium_base64_VARIANT_ORIGINAL),
                     0);
    ck_assert_int_eq(sodium_base642bin(signer, sizeof signer, public_key + 5, 44, NULL, NULL, NULL,
                                       sodium_base64_VARIANT_ORIGINAL),
                     0);
    ck_assert_int_eq(
        crypto_sign_verify_detached(signature, (const uint8_t *)text, strlen(text), signer), 0);
    signing.old_secret = old_secret;
    webhook_sign(&signing, both, hex);
    ck_assert_int_eq(strncmp(both, signatures, 47), 0);
    ck_assert_int_eq(strncmp(both + 47, " v1,", 4), 0);
    ck_assert_str_eq(strstr(both, " v1a,"), v1a);
    signing.name = "whk_b";
    webhook_sign(&signing, both, hex);
    ck_assert_str_ne(strstr(both, " v1a,"), v1a); /* another webhook's key is another */
}
END_TEST

START_TEST(an_event_id_is_its_stores_and_in_order)
{
    static const uint8_t name[EVENT_NAME_SIZE] = {1, 2, 3}, other[EVENT_NAME_SIZE] = {1, 2, 4};
    char first[EVENT_ID_SIZE], second[EVENT_ID_SIZE];
    uint64_t number = 0;

    event_id_text(name, 255, first);
    event_id_text(name, 256, second);
    ck_assert_int_lt(strcmp(first, second), 0);
    ck_assert(event_id_parse(name, bytes_of_text(second), &number));
    ck_assert_uint_eq(number, 256);
    ck_assert(!event_id_parse(other, bytes_of_text(second), &number));
    ck_assert(!event_id_parse(name, bytes_of_text("evt_"), &number));
    second[10] = '!';
    ck_assert(!event_id_parse(name, bytes_of_text(second), &number));
    for (unsigned i = 1; i < HAPPENINGS; i++) {
        enum happening found;

        ck_assert(happening_find(bytes_of_text(happening_name((enum happening)i)), &found));
        ck_assert_uint_eq(found, i);
        ck_assert_uint_eq(HAPPENINGS_ALL >> i & 1, 1);
    }
    ck_assert_str_eq(happening_name((enum happening)HAPPENINGS), "");
}
END_TEST

START_TEST(what_a_url_says_of_its_address_is_known_before_it_is_called)
{
    struct allow_list allowed = {.count = 0};
    struct call_ports ports = {.list = {443}, .count = 1};
    struct call_guard guard = {.allowed = &allowed, .ports = &ports};
    static const char *const refused[] = {
        "https://10.1.2.3/",          "https://127.0.0.1/",        "https://0x7f.1/",
        "https://2130706433/",        "https://0177.0.0.1/",       "https://[::1]/",
        "https://[::ffff:10.0.0.1]/", "https://[fe80::1]/",        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",   "https://100.64.0.1/",       "https://169.254.169.254/",
        "http://93.184.216.34/",      "https://93.184.216.34:22/", "https://example.com:25/",
        "http://example.com/",
    };

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        ck_assert_msg(call_guard_forbids(&guard, refused[i]), "%s", refused[i]);
    ck_assert_ptr_null(call_guard_forbids(&guard, "https://93.184.216.34/"));
    ck_assert_ptr_null(call_guard_forbids(&guard, "https://[2606:2800:220:1::1]/"));
    ck_assert_ptr_null(call_guard_forbids(&guard, "https://example.com/"));
    ck_assert(allow_list_add(&allowed, "hooks.internal"));
    ck_assert_ptr_null(call_guard_forbids(&guard, "http://hooks.internal:8080/"));
    ck_assert_ptr_nonnull(call_guard_forbids(&guard, "http://example.com/"));
    ck_assert(allow_list_add(&allowed, "10.0.0.0/8"));
    ck_assert_ptr_null(call_guard_forbids(&guard, "http://10.1.2.3:8080/"));
    ck_assert_ptr_nonnull(call_guard_forbids(&guard, "http://127.0.0.1:8080/"));
    ck_assert_ptr_null(
        call_guard_forbids(&guard, "http://example.com/")); /* it may be one of 10/8 */
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("webhook");
    Suite *suite = suite_create("webhook");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, a_filter_lets_through_what_it_names);
    tcase_add_test(tests, a_url_is_refused_for_what_is_wrong_with_it);
    tcase_add_test(tests, a_url_of_2048_bytes_is_taken_and_one_byte_more_is_not);
    tcase_add_test(tests, a_host_is_the_same_however_it_is_written);
    tcase_add_test(tests, a_secret_opens_under_its_key_and_name_alone);
    tcase_add_test(tests, signatures_are_those_of_the_standard);
    tcase_add_test(tests, an_event_id_is_its_stores_and_in_order);
    tcase_add_test(tests, what_a_url_says_of_its_address_is_known_before_it_is_called);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
