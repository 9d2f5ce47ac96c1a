#include "core/identity.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>

#define TORSION_POINTS 8

static struct identity_key *key;
static struct public_key public;

static void set_up(void)
{
    static const uint8_t seed[SEED_SIZE] = {1};

    ck_assert(identity_self_test());
    key = identity_key_new(seed);
    public = identity_key_public(key);
}

static void tear_down(void)
{
    identity_key_free(key);
}

static void read_hex(const char *hex, uint8_t *bytes, size_t size)
{
    size_t read;

    ck_assert_int_eq(sodium_hex2bin(bytes, size, hex, strlen(hex), NULL, &read, NULL), 0);
    ck_assert_uint_eq(read, size);
}

/* All points whose order divides 8, by adding one of order 8 to itself; the first is neutral. */
static void find_torsion(uint8_t points[TORSION_POINTS][PUBLIC_KEY_SIZE])
{
    memset(points, 0, TORSION_POINTS * PUBLIC_KEY_SIZE);
    points[0][0] = 1;
    read_hex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", points[1],
             PUBLIC_KEY_SIZE);
    for (size_t i = 2; i < TORSION_POINTS; i++)
        ck_assert_int_eq(crypto_core_ed25519_add(points[i], points[i - 1], points[1]), 0);
}

/* The scalar behind a seed, RFC 8032, section 5.1.5. */
static void scalar_of(const uint8_t seed[SEED_SIZE], uint8_t scalar[32])
{
    uint8_t digest[64], wide[64] = {0};

    crypto_hash_sha512(digest, seed, SEED_SIZE);
    digest[0] &= 248;
    digest[31] &= 127;
    digest[31] |= 64;
    memcpy(wide, digest, 32);
    crypto_core_ed25519_scalar_reduce(scalar, wide);
}

/* Signs as RFC 8032 does, but with `torsion` added to R and to the key that is hashed. The hash
 * covers both, so S fits: what remains is a difference of small order. */
static struct signature sign_with_torsion(const uint8_t scalar[32], const uint8_t r_torsion[32],
                                          const uint8_t public_bytes[32], struct bytes message,
                                          uint8_t nonce)
{
    uint8_t r[32] = {nonce, 1}, plain[32], digest[64], h[32], ha[32];
    crypto_hash_sha512_state state;
    struct signature signature;

    ck_assert_int_eq(crypto_scalarmult_ed25519_base_noclamp(plain, r), 0);
    ck_assert_int_eq(crypto_core_ed25519_add(signature.bytes, plain, r_torsion), 0);
    crypto_hash_sha512_init(&state);
    crypto_hash_sha512_update(&state, signature.bytes, 32);
    crypto_hash_sha512_update(&state, public_bytes, 32);
    crypto_hash_sha512_update(&state, message.data, message.size);
    crypto_hash_sha512_final(&state, digest);
    crypto_core_ed25519_scalar_reduce(h, digest);
    crypto_core_ed25519_scalar_mul(ha, h, scalar);
    crypto_core_ed25519_scalar_add(signature.bytes + 32, r, ha);
    return signature;
}

START_TEST(keys_and_signatures_are_those_of_rfc_8032)
{
    static const struct {
        const char *seed, *public, *message, *signature;
    } vectors[] = {
        /* Section 7.1, tests 1 to 3. */
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
         "1cf9b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613"
         "d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760"
         "984dc6594a7c15e9716ed28dc027beceea1ec40a"},
    };

    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint8_t seed[SEED_SIZE], message[2], expected_key[PUBLIC_KEY_SIZE];
        uint8_t expected[SIGNATURE_SIZE];
        size_t size = strlen(vectors[i].message) / 2;
        struct identity_key *signer;
        struct public_key signers;
        struct signature signature;

        read_hex(vectors[i].seed, seed, sizeof seed);
        read_hex(vectors[i].public, expected_key, sizeof expected_key);
        read_hex(vectors[i].message, message, size);
        read_hex(vectors[i].signature, expected, sizeof expected);
        signer = identity_key_new(seed);
        signers = identity_key_public(signer);
        signature = identity_sign(signer, bytes_of(message, size));
        ck_assert_mem_eq(signers.bytes, expected_key, PUBLIC_KEY_SIZE);
        ck_assert_mem_eq(signature.bytes, expected, SIGNATURE_SIZE);
        ck_assert(identity_admit(&signers));
        ck_assert(identity_verify(&signers, &signature, bytes_of(message, size)));
        identity_key_free(signer);
    }
}
END_TEST

START_TEST(a_key_gives_its_seed_back)
{
    uint8_t seed[SEED_SIZE], again[SEED_SIZE];
    struct bytes message = bytes_of_text("a message");
    struct identity_key *twin;
    struct signature signature;

    identity_key_seed(key, seed);
    ck_assert_uint_eq(seed[0], 1);
    twin = identity_key_new(seed);
    identity_key_seed(twin, again);
    ck_assert_mem_eq(seed, again, SEED_SIZE);
    signature = identity_sign(twin, message);
    ck_assert(identity_verify(&public, &signature, message));
    identity_key_free(twin);
    identity_key_free(NULL);
}
END_TEST

START_TEST(the_hash_of_a_key_is_over_its_bytes)
{
    struct hash hash = identity_key_hash(&public);
    struct hash expected = hash_of(bytes_of(public.bytes, PUBLIC_KEY_SIZE));

    ck_assert(hash_equal(&hash, &expected));
}
END_TEST

START_TEST(a_turned_bit_is_refused)
{
    uint8_t message[] = "a message";
    struct signature signature = identity_sign(key, bytes_of(message, sizeof message));

    ck_assert(identity_verify(&public, &signature, bytes_of(message, sizeof message)));
    for (size_t bit = 0; bit < SIGNATURE_SIZE * 8; bit++) {
        struct signature turned = signature;

        turned.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(!identity_verify(&public, &turned, bytes_of(message, sizeof message)),
                      "bit %zu of the signature", bit);
    }
    for (size_t bit = 0; bit < sizeof message * 8; bit++) {
        message[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(!identity_verify(&public, &signature, bytes_of(message, sizeof message)),
                      "bit %zu of the message", bit);
        message[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(another_key_is_refused)
{
    static const uint8_t seed[SEED_SIZE] = {2};
    struct signature signature = identity_sign(key, bytes_of_text("a message"));
    struct identity_key *other = identity_key_new(seed);
    struct public_key others = identity_key_public(other);

    ck_assert(!identity_verify(&others, &signature, bytes_of_text("a message")));
    identity_key_free(other);
}
END_TEST

/* S + L verifies too where S is not checked: one thing would have two signatures. */
START_TEST(a_malleated_signature_is_refused)
{
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,       0xd6,
                                      0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
    struct signature signature = identity_sign(key, bytes_of_text("a message"));

    sodium_add(signature.bytes + 32, order, sizeof order);
    ck_assert(!identity_verify(&public, &signature, bytes_of_text("a message")));
}
END_TEST

START_TEST(keys_of_small_order_are_not_admitted)
{
    uint8_t torsion[TORSION_POINTS][PUBLIC_KEY_SIZE];

    find_torsion(torsion);
    for (size_t i = 0; i < TORSION_POINTS; i++) {
        struct public_key small;

        memcpy(small.bytes, torsion[i], PUBLIC_KEY_SIZE);
        ck_assert_msg(!identity_admit(&small), "point %zu", i);
    }
}
END_TEST

START_TEST(keys_of_mixed_order_are_not_admitted)
{
    uint8_t torsion[TORSION_POINTS][PUBLIC_KEY_SIZE];

    find_torsion(torsion);
    ck_assert(identity_admit(&public));
    for (size_t i = 1; i < TORSION_POINTS; i++) {
        struct public_key mixed;

        ck_assert_int_eq(crypto_core_ed25519_add(mixed.bytes, public.bytes, torsion[i]), 0);
        ck_assert_msg(!identity_admit(&mixed), "point %zu", i);
    }
}
END_TEST

START_TEST(keys_that_are_no_canonical_points_are_not_admitted)
{
    static const char *const refused[] = {
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* y = p, that is 0 */
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* y = p + 1 */
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* y = p + 3 */
        "0100000000000000000000000000000000000000000000000000000000000080", /* -0 */
        "0200000000000000000000000000000000000000000000000000000000000000", /* not on the curve */
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "0000000000000000000000000000000000000000000000000000000000000000",
    };

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct public_key candidate;

        read_hex(refused[i], candidate.bytes, PUBLIC_KEY_SIZE);
        ck_assert_msg(!identity_admit(&candidate), "%s", refused[i]);
    }
}
END_TEST

/* libsodium alone takes some of these: the point rule is what refuses them all. */
START_TEST(a_mixed_key_has_signatures_that_libsodium_takes)
{
    uint8_t torsion[TORSION_POINTS][PUBLIC_KEY_SIZE], seed[SEED_SIZE] = {1}, scalar[32];
    struct bytes message = bytes_of_text("a message");
    struct public_key mixed;
    unsigned taken = 0;

    find_torsion(torsion);
    scalar_of(seed, scalar);
    ck_assert_int_eq(crypto_core_ed25519_add(mixed.bytes, public.bytes, torsion[4]), 0);
    for (uint8_t nonce = 1; nonce < 64; nonce++) {
        struct signature signature =
            sign_with_torsion(scalar, torsion[0], mixed.bytes, message, nonce);

        taken += crypto_sign_verify_detached(signature.bytes, message.data, message.size,
                                             mixed.bytes) == 0;
    }
    ck_assert_uint_gt(taken, 0);
    ck_assert(!identity_admit(&mixed));
}
END_TEST

/* The equation holds but for the small-order part: cofactored verifiers take it, others do not. */
START_TEST(an_r_of_mixed_order_is_refused)
{
    uint8_t torsion[TORSION_POINTS][PUBLIC_KEY_SIZE], seed[SEED_SIZE] = {1}, scalar[32];
    struct bytes message = bytes_of_text("a message");

    find_torsion(torsion);
    scalar_of(seed, scalar);
    for (size_t i = 0; i < TORSION_POINTS; i++) {
        struct signature signature =
            sign_with_torsion(scalar, torsion[i], public.bytes, message, 1);

        /* Without the part, what was made here by hand is a good signature. */
        ck_assert_msg(identity_verify(&public, &signature, message) == (i == 0), "point %zu", i);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("identity");
    TCase *tcase = tcase_create("identity");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, keys_and_signatures_are_those_of_rfc_8032);
    tcase_add_test(tcase, a_key_gives_its_seed_back);
    tcase_add_test(tcase, the_hash_of_a_key_is_over_its_bytes);
    tcase_add_test(tcase, a_turned_bit_is_refused);
    tcase_add_test(tcase, another_key_is_refused);
    tcase_add_test(tcase, a_malleated_signature_is_refused);
    tcase_add_test(tcase, keys_of_small_order_are_not_admitted);
    tcase_add_test(tcase, keys_of_mixed_order_are_not_admitted);
    tcase_add_test(tcase, keys_that_are_no_canonical_points_are_not_admitted);
    tcase_add_test(tcase, a_mixed_key_has_signatures_that_libsodium_takes);
    tcase_add_test(tcase, an_r_of_mixed_order_is_refused);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
