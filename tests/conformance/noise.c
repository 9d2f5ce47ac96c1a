/* noise: the vectors of cacophony, both roles, to the byte: XK, XKpsk3, X, XX, IK. */
#include "core/noise.h"

#include <check.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define VECTORS VECTORS_DIR "/noise.json"
#define TEXT_MAX 256

/* Section 7 of the specification; the product itself has XK and X only. */
static const struct noise_pattern patterns[] = {
    {.protocol_name = "Noise_XX_25519_ChaChaPoly_SHA256",
     .message_count = 3,
     .messages = {{NOISE_E, NOISE_END},
                  {NOISE_E, NOISE_EE, NOISE_S, NOISE_ES, NOISE_END},
                  {NOISE_S, NOISE_SE, NOISE_END}}},
    {.protocol_name = "Noise_IK_25519_ChaChaPoly_SHA256",
     .callee_static_known = true,
     .message_count = 2,
     .messages = {{NOISE_E, NOISE_ES, NOISE_S, NOISE_SS, NOISE_END},
                  {NOISE_E, NOISE_EE, NOISE_SE, NOISE_END}}},
    {.protocol_name = "Noise_XKpsk3_25519_ChaChaPoly_SHA256",
     .callee_static_known = true,
     .message_count = 3,
     .messages = {{NOISE_E, NOISE_ES, NOISE_END},
                  {NOISE_E, NOISE_EE, NOISE_END},
                  {NOISE_S, NOISE_SE, NOISE_PSK, NOISE_END}}},
};

static const struct noise_pattern *find_pattern(const char *name)
{
    if (strcmp(name, noise_xk.protocol_name) == 0)
        return &noise_xk;
    if (strcmp(name, noise_x.protocol_name) == 0)
        return &noise_x;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (strcmp(name, patterns[i].protocol_name) == 0)
            return &patterns[i];
    ck_abort_msg("no pattern for %s", name);
    return NULL;
}

struct text {
    uint8_t data[TEXT_MAX];
    size_t size;
};

static struct text read_hex(const char *hex)
{
    struct text text;

    ck_assert_int_eq(
        sodium_hex2bin(text.data, sizeof text.data, hex, strlen(hex), NULL, &text.size, NULL), 0);
    return text;
}

static struct text field(const json_t *vector, const char *name)
{
    const char *hex = json_string_value(json_object_get(vector, name));

    ck_assert_msg(hex != NULL, "no %s", name);
    return read_hex(hex);
}

static void begin(struct noise_handshake *handshake, const json_t *vector, bool is_caller)
{
    const struct noise_pattern *pattern =
        find_pattern(json_string_value(json_object_get(vector, "protocol_name")));
    const char *side = is_caller ? "init" : "resp";
    struct text prologue, psk, rs;
    struct noise_pair s, e;
    bool has_e, has_psk, has_rs;
    char name[32];

    snprintf(name, sizeof name, "%s_prologue", side);
    prologue = field(vector, name);
    snprintf(name, sizeof name, "%s_static", side);
    noise_pair_from_secret(&s, field(vector, name).data);
    snprintf(name, sizeof name, "%s_ephemeral", side);
    has_e = json_object_get(vector, name) != NULL;
    if (has_e)
        noise_pair_from_secret(&e, field(vector, name).data);
    snprintf(name, sizeof name, "%s_psks", side);
    has_psk = json_object_get(vector, name) != NULL;
    if (has_psk)
        psk = read_hex(json_string_value(json_array_get(json_object_get(vector, name), 0)));
    has_rs = is_caller && json_object_get(vector, "init_remote_static") != NULL;
    if (has_rs)
        rs = field(vector, "init_remote_static");
    noise_begin(handshake, pattern, is_caller, bytes_of(prologue.data, prologue.size), &s,
                has_e ? &e : NULL, has_rs ? rs.data : NULL, has_psk ? psk.data : NULL);
}

static void expect_same(const uint8_t *got, size_t size, const struct text *expected)
{
    ck_assert_uint_eq(size, expected->size);
    ck_assert_mem_eq(got, expected->data, size);
}

/* A message of the handshake: what is written is the vector's, and what is read is the payload. */
static void shake(struct noise_handshake *from, struct noise_handshake *to, const json_t *message)
{
    struct text payload = field(message, "payload"), expected = field(message, "ciphertext");
    uint8_t sealed[TEXT_MAX], opened[TEXT_MAX];
    size_t size;

    ck_assert_int_eq(
        noise_write(from, bytes_of(payload.data, payload.size), sealed, sizeof sealed, &size),
        NOISE_TAKEN);
    expect_same(sealed, size, &expected);
    ck_assert_int_eq(noise_read(to, bytes_of(sealed, size), opened, sizeof opened, &size),
                     NOISE_TAKEN);
    expect_same(opened, size, &payload);
}

static void transport(struct noise_cipher *from, struct noise_cipher *to, const json_t *message)
{
    struct text payload = field(message, "payload"), expected = field(message, "ciphertext");
    uint8_t sealed[TEXT_MAX];

    ck_assert_int_eq(noise_seal(from, bytes_of(payload.data, payload.size), sealed), NOISE_TAKEN);
    expect_same(sealed, payload.size + NOISE_TAG_SIZE, &expected);
    ck_assert_int_eq(noise_open(to, bytes_of(sealed, expected.size), sealed), NOISE_TAKEN);
    expect_same(sealed, payload.size, &payload);
}

static void run(const json_t *vector)
{
    const json_t *messages = json_object_get(vector, "messages");
    struct text expected_hash = field(vector, "handshake_hash");
    struct noise_handshake caller, callee;
    struct noise_cipher caller_send, caller_receive, callee_send, callee_receive;
    size_t handshake_count;
    bool one_way;

    begin(&caller, vector, true);
    begin(&callee, vector, false);
    handshake_count = caller.pattern->message_count;
    one_way = handshake_count == 1;
    ck_assert_uint_gt(json_array_size(messages), handshake_count);
    for (size_t i = 0; i < handshake_count; i++)
        shake(i % 2 ? &callee : &caller, i % 2 ? &caller : &callee, json_array_get(messages, i));
    ck_assert(noise_is_done(&caller) && noise_is_done(&callee));
    noise_split(&caller, &caller_send, &caller_receive);
    noise_split(&callee, &callee_send, &callee_receive);
    expect_same(caller.h, sizeof caller.h, &expected_hash);
    expect_same(callee.h, sizeof callee.h, &expected_hash);
    for (size_t i = handshake_count; i < json_array_size(messages); i++) {
        bool by_caller = one_way || i % 2 == 0;

        transport(by_caller ? &caller_send : &callee_send,
                  by_caller ? &callee_receive : &caller_receive, json_array_get(messages, i));
    }
}

START_TEST(every_vector_of_cacophony_passes)
{
    json_t *file = json_load_file(VECTORS, 0, NULL);
    json_t *vectors = json_object_get(file, "vectors");

    ck_assert_uint_eq(json_array_size(vectors), 5);
    for (size_t i = 0; i < json_array_size(vectors); i++)
        run(json_array_get(vectors, i));
    json_decref(file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("noise vectors");
    TCase *tcase = tcase_create("noise");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, every_vector_of_cacophony_passes);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
