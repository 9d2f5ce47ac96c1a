/* x25519: Wycheproof's vectors against libsodium, and against what noise makes of its answers:
 * a shared secret of all zeros is refused, whatever the vector calls it. */
#include "core/noise.h"

#include <check.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>

#define VECTORS VECTORS_DIR "/wycheproof_x25519_test.json"
#define VECTOR_COUNT 518
#define ZERO_COUNT 31 /* points of low order, and nothing else */

static void read_key(const json_t *vector, const char *name, uint8_t key[NOISE_KEY_SIZE])
{
    const char *hex = json_string_value(json_object_get(vector, name));
    size_t size;

    ck_assert_int_eq(sodium_hex2bin(key, NOISE_KEY_SIZE, hex, strlen(hex), NULL, &size, NULL), 0);
    ck_assert_uint_eq(size, NOISE_KEY_SIZE);
}

/* A caller whose ephemeral secret and whose callee's key are the vector's: "e, es". */
static enum noise_verdict shake(const uint8_t secret[NOISE_KEY_SIZE],
                                const uint8_t public[NOISE_KEY_SIZE])
{
    struct noise_handshake handshake;
    struct noise_pair pair;
    uint8_t message[NOISE_KEY_SIZE + NOISE_TAG_SIZE];
    size_t size;

    noise_pair_from_secret(&pair, secret);
    noise_begin(&handshake, &noise_xk, true, bytes_of(NULL, 0), &pair, &pair, public, NULL);
    return noise_write(&handshake, bytes_of(NULL, 0), message, sizeof message, &size);
}

/* Returns whether the shared secret was all zeros. */
static bool run(const json_t *vector)
{
    int id = (int)json_integer_value(json_object_get(vector, "tcId"));
    uint8_t secret[NOISE_KEY_SIZE], public[NOISE_KEY_SIZE], expected[NOISE_KEY_SIZE];
    uint8_t shared[NOISE_KEY_SIZE];
    bool is_zero;

    read_key(vector, "private", secret);
    read_key(vector, "public", public);
    read_key(vector, "shared", expected);
    is_zero = sodium_is_zero(expected, sizeof expected);
    if (is_zero) {
        ck_assert_msg(crypto_scalarmult(shared, secret, public) != 0, "vector %d", id);
        ck_assert_msg(shake(secret, public) == NOISE_WEAK_KEY, "vector %d", id);
    } else {
        ck_assert_msg(crypto_scalarmult(shared, secret, public) == 0, "vector %d", id);
        ck_assert_msg(memcmp(shared, expected, sizeof shared) == 0, "vector %d", id);
        ck_assert_msg(shake(secret, public) == NOISE_TAKEN, "vector %d", id);
    }
    return is_zero;
}

START_TEST(every_shared_secret_agrees_and_zeros_are_refused)
{
    json_t *file = json_load_file(VECTORS, 0, NULL);
    json_t *groups = json_object_get(file, "testGroups"), *group, *vector;
    size_t count = 0, zeros = 0, i, j;

    json_array_foreach(groups, i, group)
        json_array_foreach(json_object_get(group, "tests"), j, vector)
    {
        zeros += run(vector);
        count++;
    }
    ck_assert_uint_eq(count, VECTOR_COUNT);
    ck_assert_uint_eq(zeros, ZERO_COUNT);
    json_decref(file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("x25519 vectors");
    TCase *tcase = tcase_create("x25519");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, every_shared_secret_agrees_and_zeros_are_refused);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
