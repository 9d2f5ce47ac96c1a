#include "core/id.h"

#include <check.h>
#include <stdlib.h>

/* ---- hashes ---- */

/* Of the empty message and of "abc", as the BLAKE2 reference's b2sum --length=256 prints them. */
START_TEST(a_hash_is_blake2b_256)
{
    static const uint8_t of_nothing[HASH_SIZE] = {
        0x0e, 0x57, 0x51, 0xc0, 0x26, 0xe5, 0x43, 0xb2, 0xe8, 0xab, 0x2e,
        0xb0, 0x60, 0x99, 0xda, 0xa1, 0xd1, 0xe5, 0xdf, 0x47, 0x77, 0x8f,
        0x77, 0x87, 0xfa, 0xab, 0x45, 0xcd, 0xf1, 0x2f, 0xe3, 0xa8,
    };
    static const uint8_t of_abc[HASH_SIZE] = {
        0xbd, 0xdd, 0x81, 0x3c, 0x63, 0x42, 0x39, 0x72, 0x31, 0x71, 0xef,
        0x3f, 0xee, 0x98, 0x57, 0x9b, 0x94, 0x96, 0x4e, 0x3b, 0xb1, 0xcb,
        0x3e, 0x42, 0x72, 0x62, 0xc8, 0xc0, 0x68, 0xd5, 0x23, 0x19,
    };
    struct hash hash = hash_of(bytes_of(NULL, 0));

    ck_assert_mem_eq(hash.bytes, of_nothing, HASH_SIZE);
    hash = hash_of(bytes_of_text("abc"));
    ck_assert_mem_eq(hash.bytes, of_abc, HASH_SIZE);
}
END_TEST

START_TEST(hashes_are_equal_in_every_byte)
{
    struct hash one = hash_of(bytes_of_text("duck")), other = one;

    ck_assert(hash_equal(&one, &other));
    for (size_t i = 0; i < HASH_SIZE; i++) {
        other.bytes[i] ^= 1;
        ck_assert(!hash_equal(&one, &other));
        other.bytes[i] ^= 1;
    }
}
END_TEST

/* ---- ids ---- */

START_TEST(an_id_is_the_hash_cut_short)
{
    struct hash hash = hash_of(bytes_of_text("duck"));
    struct id id = id_of(&hash), read;

    ck_assert_mem_eq(id.bytes, hash.bytes, ID_SIZE);
    ck_assert(id_from_bytes(id_bytes(&id), &read));
    ck_assert(id_equal(&id, &read));
    ck_assert(!id_is_zero(&id));
    memset(&id, 0, sizeof id);
    ck_assert(id_is_zero(&id));
    id.bytes[ID_SIZE - 1] = 1;
    ck_assert(!id_is_zero(&id));
}
END_TEST

START_TEST(ids_have_an_order)
{
    struct id less = {{1, 2, 3}}, more = {{1, 2, 4}};

    ck_assert_int_lt(id_compare(&less, &more), 0);
    ck_assert_int_gt(id_compare(&more, &less), 0);
    ck_assert_int_eq(id_compare(&less, &less), 0);
    ck_assert(!id_equal(&less, &more));
}
END_TEST

START_TEST(bytes_of_another_size_are_no_id_and_change_nothing)
{
    uint8_t bytes[ID_SIZE + 1] = {0};
    struct id id = {{7}};

    ck_assert(!id_from_bytes(bytes_of(bytes, ID_SIZE - 1), &id));
    ck_assert(!id_from_bytes(bytes_of(bytes, ID_SIZE + 1), &id));
    ck_assert(!id_from_bytes(bytes_of(NULL, 0), &id));
    ck_assert_uint_eq(id.bytes[0], 7);
}
END_TEST

static const enum id_kind kinds[] = {ID_DUCKLING, ID_NODE, ID_PECK, ID_CERTIFICATE, ID_BOND};
static const char *const prefixes[] = {"dkl_", "nod_", "pck_", "crt_", "bnd_"};

START_TEST(the_text_of_an_id_is_read_back_as_its_kind_only)
{
    struct hash hash = hash_of(bytes_of_text("duck"));
    struct id id = id_of(&hash);

    for (size_t i = 0; i < 5; i++) {
        char text[ID_TEXT_SIZE];

        ck_assert_ptr_eq(id_text(kinds[i], &id, text), text);
        ck_assert_uint_eq(strlen(text), ID_TEXT_SIZE - 1);
        ck_assert_int_eq(strncmp(text, prefixes[i], 4), 0);
        for (size_t j = 0; j < 5; j++) {
            struct id read = {{0}};

            ck_assert_int_eq(id_parse(kinds[j], bytes_of_text(text), &read), i == j);
            ck_assert_int_eq(id_equal(&read, &id), i == j);
        }
    }
}
END_TEST

START_TEST(an_id_has_one_text)
{
    static const char *const refused[] = {
        "",
        "dkl_",
        "dkl_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",   /* one short */
        "dkl_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", /* one long */
        "dkl-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "DKL_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "dkl_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA",
        "dkl_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=",
        "dkl_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1",
        "dkl_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa8",
        "dkl_aaaaaaaaaaaaaaa aaaaaaaaaaaaaaaa",
        " dkl_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    struct id id = {{7}};

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        ck_assert_msg(!id_parse(ID_DUCKLING, bytes_of_text(refused[i]), &id), "%s", refused[i]);
    ck_assert_uint_eq(id.bytes[0], 7);
    ck_assert(id_parse(ID_DUCKLING, bytes_of_text("dkl_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), &id));
    ck_assert(id_is_zero(&id));
}
END_TEST

/* ---- base32 ---- */

static const struct {
    const char *bytes, *text;
} vectors[] = {
    /* RFC 4648, section 10, in lower case and without padding. */
    {"", ""},
    {"f", "my"},
    {"fo", "mzxq"},
    {"foo", "mzxw6"},
    {"foob", "mzxw6yq"},
    {"fooba", "mzxw6ytb"},
    {"foobar", "mzxw6ytboi"},
};

START_TEST(base32_is_that_of_rfc_4648)
{
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct bytes bytes = bytes_of_text(vectors[i].bytes);
        uint8_t data[8];
        char text[16];
        size_t size;

        base32_encode(bytes, text);
        ck_assert_str_eq(text, vectors[i].text);
        ck_assert_uint_eq(base32_text_size(bytes.size), strlen(text) + 1);
        ck_assert(base32_decode(bytes_of_text(text), data, sizeof data, &size));
        ck_assert(bytes_equal(bytes_of(data, size), bytes));
    }
}
END_TEST

START_TEST(every_byte_survives_base32)
{
    uint8_t bytes[256], data[256];
    char text[512];
    size_t size;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 151);
    for (size_t length = 0; length <= sizeof bytes; length++) {
        base32_encode(bytes_of(bytes, length), text);
        ck_assert(base32_decode(bytes_of_text(text), data, length, &size));
        ck_assert(bytes_equal(bytes_of(data, size), bytes_of(bytes, length)));
    }
}
END_TEST

START_TEST(lengths_that_no_encoder_makes_are_refused)
{
    uint8_t data[8];
    size_t size;

    ck_assert(!base32_decode(bytes_of_text("a"), data, sizeof data, &size));
    ck_assert(!base32_decode(bytes_of_text("aaa"), data, sizeof data, &size));
    ck_assert(!base32_decode(bytes_of_text("aaaaaa"), data, sizeof data, &size));
    ck_assert(!base32_decode(bytes_of_text("aaaaaaaaa"), data, sizeof data, &size));
}
END_TEST

START_TEST(spare_bits_that_are_not_zero_are_refused)
{
    static const char *const refused[] = {"mz", "mzxr", "mzxw7", "mzxw6yr", "mzxw6ytboj"};
    uint8_t data[8];
    size_t size;

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        ck_assert_msg(!base32_decode(bytes_of_text(refused[i]), data, sizeof data, &size), "%s",
                      refused[i]);
}
END_TEST

START_TEST(base32_is_never_written_past_the_capacity)
{
    uint8_t data[6] = {0, 0, 0, 0, 0, 0xAA};
    size_t size;

    ck_assert(!base32_decode(bytes_of_text("mzxw6ytboi"), data, 5, &size));
    ck_assert_uint_eq(data[5], 0xAA);
    ck_assert(base32_decode(bytes_of_text("mzxw6ytb"), data, 5, &size));
    ck_assert_uint_eq(size, 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("id");
    TCase *tcase = tcase_create("id");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, a_hash_is_blake2b_256);
    tcase_add_test(tcase, hashes_are_equal_in_every_byte);
    tcase_add_test(tcase, an_id_is_the_hash_cut_short);
    tcase_add_test(tcase, ids_have_an_order);
    tcase_add_test(tcase, bytes_of_another_size_are_no_id_and_change_nothing);
    tcase_add_test(tcase, the_text_of_an_id_is_read_back_as_its_kind_only);
    tcase_add_test(tcase, an_id_has_one_text);
    tcase_add_test(tcase, base32_is_that_of_rfc_4648);
    tcase_add_test(tcase, every_byte_survives_base32);
    tcase_add_test(tcase, lengths_that_no_encoder_makes_are_refused);
    tcase_add_test(tcase, spare_bits_that_are_not_zero_are_refused);
    tcase_add_test(tcase, base32_is_never_written_past_the_capacity);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
