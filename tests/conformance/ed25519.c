/* ed25519: public vectors against identity's rule, which is stricter than libsodium's: key and R
 * must be of prime order. */
#include "core/identity.h"

#include <check.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>

#define WYCHEPROOF VECTORS_DIR "/wycheproof_ed25519_test.json"
#define WYCHEPROOF_COUNT 151
#define WYCHEPROOF_VALID_COUNT 88
#define SPECCHECK VECTORS_DIR "/ed25519_speccheck.json"
#define SPECCHECK_COUNT 12
#define SPECCHECK_MIXED_ORDER 3 /* key and R of mixed order: libsodium alone takes it */
#define FIELD_MAX 2048          /* bytes, of the longest field there is */

struct field {
    uint8_t data[FIELD_MAX];
    size_t size;
};

static void read_field(const json_t *vector, const char *name, struct field *field)
{
    const char *hex = json_string_value(json_object_get(vector, name));

    ck_assert_ptr_nonnull(hex);
    ck_assert_int_eq(
        sodium_hex2bin(field->data, FIELD_MAX, hex, strlen(hex), NULL, &field->size, NULL), 0);
}

/* As envelopes do: a signature of another length is refused before anybody looks into it. */
static bool is_taken(const struct field *public, const struct field *message,
                     const struct field *signature)
{
    struct public_key key;
    struct signature read;

    if (signature->size != SIGNATURE_SIZE || public->size != PUBLIC_KEY_SIZE)
        return false;
    memcpy(key.bytes, public->data, PUBLIC_KEY_SIZE);
    memcpy(read.bytes, signature->data, SIGNATURE_SIZE);
    return identity_admit(&key) &&
           identity_verify(&key, &read, bytes_of(message->data, message->size));
}

static bool agree(const struct field *public, const json_t *vector)
{
    const char *result = json_string_value(json_object_get(vector, "result"));
    bool is_valid = strcmp(result, "valid") == 0;
    struct field message, signature;

    read_field(vector, "msg", &message);
    read_field(vector, "sig", &signature);
    ck_assert_msg(is_taken(public, &message, &signature) == is_valid, "vector %d: %s",
                  (int)json_integer_value(json_object_get(vector, "tcId")), result);
    return is_valid;
}

START_TEST(every_verdict_of_wycheproof_is_ours)
{
    json_t *file = json_load_file(WYCHEPROOF, 0, NULL);
    json_t *groups = json_object_get(file, "testGroups"), *group, *vector;
    size_t count = 0, valid = 0, i, j;

    json_array_foreach(groups, i, group)
    {
        struct field public;

        read_field(json_object_get(group, "publicKey"), "pk", &public);
        json_array_foreach(json_object_get(group, "tests"), j, vector)
        {
            valid += agree(&public, vector);
            count++;
        }
    }
    ck_assert_uint_eq(count, WYCHEPROOF_COUNT);
    ck_assert_uint_eq(valid, WYCHEPROOF_VALID_COUNT);
    json_decref(file);
}
END_TEST

START_TEST(every_case_of_the_speccheck_is_refused)
{
    json_t *file = json_load_file(SPECCHECK, 0, NULL), *vector;
    size_t i;

    ck_assert_uint_eq(json_array_size(file), SPECCHECK_COUNT);
    json_array_foreach(file, i, vector)
    {
        struct field public, message, signature;

        read_field(vector, "pub_key", &public);
        read_field(vector, "message", &message);
        read_field(vector, "signature", &signature);
        ck_assert_msg(!is_taken(&public, &message, &signature), "case %zu", i);
        if (i == SPECCHECK_MIXED_ORDER)
            ck_assert_int_eq(crypto_sign_verify_detached(signature.data, message.data, message.size,
                                                         public.data),
                             0);
    }
    json_decref(file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ed25519 vectors");
    TCase *tcase = tcase_create("ed25519");
    SRunner *runner;
    int failed;

    if (!identity_self_test())
        return EXIT_FAILURE;
    tcase_add_test(tcase, every_verdict_of_wycheproof_is_ours);
    tcase_add_test(tcase, every_case_of_the_speccheck_is_refused);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
