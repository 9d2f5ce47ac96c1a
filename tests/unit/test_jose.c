#include "births.h"
#include "core/jose.h"

#include <sodium.h>

#define KEYS 40

static struct arena arena;
static struct chain chain;
static enum certificate_verdict certified;

static void begin(void)
{
    ck_assert(identity_self_test());
    arena_init(&arena, 64u * MIB);
}

static void end(void)
{
    arena_free(&arena);
}

static struct bytes jws_of(enum identity_kind kind, size_t count)
{
    struct id identity;
    struct bytes wire = birth_chain(kind, KEYS, count, &arena, &identity), jws;
    struct identity_key *key = birth_key((uint32_t)(KEYS + count - 1));

    ck_assert_int_eq(chain_open(wire, &arena, &chain), CERTIFICATE_TAKEN);
    jws = jose_jws(&chain, key, &arena);
    identity_key_free(key);
    ck_assert_ptr_nonnull(jws.data);
    return jws;
}

/* RFC 8032, section 7.1, test 1; its did:key and RFC 8037's x of the same key, appendix A.2. */
START_TEST(a_published_key_has_its_published_forms)
{
    struct public_key key;
    struct id certificate = {{0}};
    char did[JOSE_DID_SIZE], jwk[JOSE_JWK_SIZE];
    size_t size;

    ck_assert_int_eq(
        sodium_hex2bin(key.bytes, sizeof key.bytes,
                       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", 64, NULL,
                       &size, NULL),
        0);
    ck_assert_str_eq(jose_jwk(&key, NULL, jwk),
                     "{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
                     "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}");
    ck_assert_str_eq(jose_jwk(&key, &certificate, jwk),
                     "{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
                     "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\","
                     "\"kid\":\"crt_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
                     "\"use\":\"sig\",\"alg\":\"EdDSA\"}");
    ck_assert_str_eq(jose_did(&key, did),
                     "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw");
}
END_TEST

/* The smallest and the largest of 34 bytes that begin so fill what there is room for. */
START_TEST(every_did_key_has_as_many_digits)
{
    struct public_key key;
    char did[JOSE_DID_SIZE];

    memset(key.bytes, 0, sizeof key.bytes);
    ck_assert_uint_eq(strlen(jose_did(&key, did)), JOSE_DID_SIZE - 1);
    memset(key.bytes, 0xff, sizeof key.bytes);
    ck_assert_uint_eq(strlen(jose_did(&key, did)), JOSE_DID_SIZE - 1);
}
END_TEST

START_TEST(a_certificate_comes_back_from_its_jws)
{
    static const enum identity_kind kinds[] = {IDENTITY_NODE, IDENTITY_DUCKLING, IDENTITY_OPERATOR};

    for (size_t i = 0; i < 3; i++)
        for (size_t count = 1; count < 4; count++) {
            struct bytes jws = jws_of(kinds[i], count);
            struct chain opened;

            ck_assert_int_eq(jose_open(jws, &arena, &opened, &certified), JOSE_TAKEN);
            ck_assert(bytes_equal(opened.wire, chain.wire));
            ck_assert_uint_eq(opened.count, count);
        }
}
END_TEST

START_TEST(one_certificate_has_one_jws)
{
    struct bytes one = jws_of(IDENTITY_DUCKLING, 2);

    ck_assert(bytes_equal(one, jws_of(IDENTITY_DUCKLING, 2)));
    ck_assert(!bytes_equal(one, jws_of(IDENTITY_DUCKLING, 3)));
}
END_TEST

/* Each character, of header, payload and signature. */
START_TEST(a_changed_jws_is_refused)
{
    struct bytes jws = jws_of(IDENTITY_DUCKLING, 1);

    for (size_t i = 0; i < jws.size; i++) {
        struct arena scratch;
        struct chain opened;
        struct bytes turned;

        arena_init(&scratch, MIB);
        turned = arena_copy(&scratch, jws);
        ((uint8_t *)(uintptr_t)turned.data)[i] = turned.data[i] == 'A' ? 'B' : 'A';
        ck_assert_int_ne(jose_open(turned, &scratch, &opened, &certified), JOSE_TAKEN);
        ck_assert_int_ne(jose_open(bytes_of(jws.data, i), &scratch, &opened, &certified),
                         JOSE_TAKEN);
        arena_free(&scratch);
    }
}
END_TEST

static enum jose_verdict opened_text(const char *text)
{
    struct chain opened;

    return jose_open(bytes_of_text(text), &arena, &opened, &certified);
}

START_TEST(what_is_no_such_jws_is_refused)
{
    ck_assert_int_eq(opened_text(""), JOSE_MALFORMED);
    ck_assert_int_eq(opened_text(".."), JOSE_MALFORMED);
    ck_assert_int_eq(opened_text("a.b"), JOSE_MALFORMED);
    ck_assert_int_eq(opened_text("a.b.c.d"), JOSE_MALFORMED);
    ck_assert_int_eq(opened_text("e30.e30.AA"), JOSE_MALFORMED);
    ck_assert_int_eq(opened_text("e30.In0.AA"), JOSE_BAD_CHAIN); /* "} */
    ck_assert_int_eq(certified, CERTIFICATE_EMPTY);
}
END_TEST

/* Signed by the right key, and still not what the chain says: no key says more of itself than that. */
START_TEST(a_jws_says_what_its_chain_says)
{
    struct bytes jws = jws_of(IDENTITY_DUCKLING, 1);
    const uint8_t *payload = (const uint8_t *)memchr(jws.data, '.', jws.size) + 1;
    struct identity_key *key = birth_key(KEYS);
    struct signature signature;
    struct chain opened;
    char *text = arena_take(&arena, jws.size + 200);
    size_t size, rest = (size_t)(jws.data + jws.size - payload) - 86;

    sodium_bin2base64(text, 200, (const uint8_t *)"{\"alg\":\"EdDSA\"}", 15,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    size = strlen(text);
    text[size++] = '.';
    memcpy(text + size, payload, rest);
    size += rest;
    signature = identity_sign(key, bytes_of(text, size - 1));
    sodium_bin2base64(text + size, 87, signature.bytes, sizeof signature.bytes,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    identity_key_free(key);
    ck_assert_int_eq(jose_open(bytes_of(text, size + 86), &arena, &opened, &certified),
                     JOSE_NOT_THE_CHAIN);
}
END_TEST

START_TEST(a_jws_by_another_key_is_refused)
{
    struct bytes ours;
    struct identity_key *other = birth_key(KEYS + 9);
    struct chain opened;

    jws_of(IDENTITY_DUCKLING, 2);
    ours = jose_jws(&chain, other, &arena);
    identity_key_free(other);
    ck_assert_int_eq(jose_open(ours, &arena, &opened, &certified), JOSE_BAD_SIGNATURE);
}
END_TEST

START_TEST(the_longest_chain_has_a_jws_and_a_longer_text_is_refused)
{
    struct id identity;
    struct bytes longest = {NULL, 0}, jws;
    struct identity_key *key;
    struct chain opened;
    uint8_t *large = arena_take(&arena, JOSE_JWS_MAX + 1);
    size_t count = 64;

    for (;; count += 16) {
        struct bytes longer = birth_chain(IDENTITY_DUCKLING, KEYS, count, &arena, &identity);

        if (!longer.data || longer.size > CHAIN_SIZE_MAX)
            break;
        longest = longer;
    }
    ck_assert_uint_gt(longest.size, CHAIN_SIZE_MAX - 16 * 400);
    ck_assert_int_eq(chain_open(longest, &arena, &opened), CERTIFICATE_TAKEN);
    key = birth_key((uint32_t)(KEYS + count - 17));
    jws = jose_jws(&opened, key, &arena);
    identity_key_free(key);
    ck_assert_uint_lt(jws.size, JOSE_JWS_MAX);
    ck_assert_int_eq(jose_open(jws, &arena, &opened, &certified), JOSE_TAKEN);
    memset(large, 'A', JOSE_JWS_MAX + 1);
    ck_assert_int_eq(jose_open(bytes_of(large, JOSE_JWS_MAX), &arena, &opened, &certified),
                     JOSE_MALFORMED);
    ck_assert_int_eq(jose_open(bytes_of(large, JOSE_JWS_MAX + 1), &arena, &opened, &certified),
                     JOSE_TOO_LARGE);
}
END_TEST

START_TEST(a_name_with_quotes_stays_json)
{
    struct identity_key *key = birth_key(KEYS);
    struct certificate_wish wish = {
        .kind = IDENTITY_DUCKLING,
        .display_name = bytes_of_text("a \"b\" \\c"),
        .issued_ms = BORN_MS,
        .not_after_ms = BORN_MS + CERTIFICATE_LIFE_MS,
        .next_key_hash = birth_key_hash(KEYS + 1),
    };
    struct id identity;
    struct bytes wire = certificate_make(&wish, key, &arena, &identity);
    struct bytes packed = chain_pack(&wire, 1, &arena), jws;
    const char *payload;
    char text[4096];
    size_t size;

    ck_assert_int_eq(chain_open(packed, &arena, &chain), CERTIFICATE_TAKEN);
    jws = jose_jws(&chain, key, &arena);
    identity_key_free(key);
    payload = (const char *)memchr(jws.data, '.', jws.size) + 1;
    ck_assert_int_eq(sodium_base642bin((uint8_t *)text, sizeof text, payload, strcspn(payload, "."),
                                       NULL, &size, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                     0);
    text[size] = 0;
    ck_assert_ptr_nonnull(strstr(text, "\"name\":\"a \\\"b\\\" \\\\c\","));
    ck_assert_int_eq(jose_open(jws, &arena, &chain, &certified), JOSE_TAKEN);
}
END_TEST

START_TEST(no_room_is_no_jws)
{
    struct arena small;
    struct identity_key *key = birth_key(KEYS);

    jws_of(IDENTITY_DUCKLING, 1);
    arena_init(&small, 64);
    ck_assert_ptr_null(jose_jws(&chain, key, &small).data);
    arena_free(&small);
    identity_key_free(key);
}
END_TEST

START_TEST(every_verdict_has_a_sentence)
{
    for (int i = JOSE_TAKEN; i <= JOSE_BAD_SIGNATURE; i++)
        ck_assert_uint_gt(strlen(jose_verdict_text((enum jose_verdict)i)), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("jose");
    TCase *cases = tcase_create("jose");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(cases, begin, end);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_published_key_has_its_published_forms);
    tcase_add_test(cases, every_did_key_has_as_many_digits);
    tcase_add_test(cases, a_certificate_comes_back_from_its_jws);
    tcase_add_test(cases, one_certificate_has_one_jws);
    tcase_add_test(cases, a_changed_jws_is_refused);
    tcase_add_test(cases, what_is_no_such_jws_is_refused);
    tcase_add_test(cases, a_jws_says_what_its_chain_says);
    tcase_add_test(cases, a_jws_by_another_key_is_refused);
    tcase_add_test(cases, the_longest_chain_has_a_jws_and_a_longer_text_is_refused);
    tcase_add_test(cases, a_name_with_quotes_stays_json);
    tcase_add_test(cases, no_room_is_no_jws);
    tcase_add_test(cases, every_verdict_has_a_sentence);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
