/* chacha20_poly1305: Wycheproof's vectors with the nonces of RFC 8439, 96 bits; the others are for
 * constructions that this project does not use. In place, as sessions do it. */
#include <check.h>
#include <jansson.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define VECTORS VECTORS_DIR "/wycheproof_chacha20_poly1305_test.json"
#define VECTOR_COUNT 316
#define TEXT_MAX 1024
#define TAG_SIZE crypto_aead_chacha20poly1305_ietf_ABYTES

struct text {
    uint8_t data[TEXT_MAX];
    size_t size;
};

static void read_field(const json_t *vector, const char *name, struct text *text)
{
    const char *hex = json_string_value(json_object_get(vector, name));

    ck_assert_int_eq(
        sodium_hex2bin(text->data, sizeof text->data, hex, strlen(hex), NULL, &text->size, NULL),
        0);
}

static void run(const json_t *vector)
{
    int id = (int)json_integer_value(json_object_get(vector, "tcId"));
    bool is_valid = strcmp(json_string_value(json_object_get(vector, "result")), "valid") == 0;
    struct text key, nonce, ad, plain, sealed, tag;
    uint8_t text[TEXT_MAX + TAG_SIZE];

    read_field(vector, "key", &key);
    read_field(vector, "iv", &nonce);
    read_field(vector, "aad", &ad);
    read_field(vector, "msg", &plain);
    read_field(vector, "ct", &sealed);
    read_field(vector, "tag", &tag);
    ck_assert_uint_eq(tag.size, TAG_SIZE);

    memcpy(text, plain.data, plain.size);
    crypto_aead_chacha20poly1305_ietf_encrypt(text, NULL, text, plain.size, ad.data, ad.size, NULL,
                                              nonce.data, key.data);
    ck_assert_msg((memcmp(text, sealed.data, sealed.size) == 0 &&
                   memcmp(text + sealed.size, tag.data, TAG_SIZE) == 0) == is_valid,
                  "vector %d, sealing", id);

    memcpy(text, sealed.data, sealed.size);
    memcpy(text + sealed.size, tag.data, TAG_SIZE);
    ck_assert_msg((crypto_aead_chacha20poly1305_ietf_decrypt(
                       text, NULL, NULL, text, sealed.size + TAG_SIZE, ad.data, ad.size, nonce.data,
                       key.data) == 0) == is_valid,
                  "vector %d, opening", id);
    if (is_valid)
        ck_assert_msg(memcmp(text, plain.data, plain.size) == 0, "vector %d, plain text", id);
}

START_TEST(every_text_is_sealed_and_opened_as_it_should)
{
    json_t *file = json_load_file(VECTORS, 0, NULL);
    json_t *groups = json_object_get(file, "testGroups"), *group, *vector;
    size_t count = 0, i, j;

    json_array_foreach(groups, i, group)
    {
        if (json_integer_value(json_object_get(group, "ivSize")) != 96)
            continue;
        json_array_foreach(json_object_get(group, "tests"), j, vector)
        {
            run(vector);
            count++;
        }
    }
    ck_assert_uint_eq(count, VECTOR_COUNT);
    json_decref(file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chacha20-poly1305 vectors");
    TCase *tcase = tcase_create("chacha20-poly1305");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, every_text_is_sealed_and_opened_as_it_should);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
