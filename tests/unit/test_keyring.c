#include "births.h"
#include "core/keyring.h"

#include <stdlib.h>

#define NOW_MS (BORN_MS + 10 * DAY_MS)

static struct arena arena;
static struct keyring *ring;

static void set_up(void)
{
    ck_assert(identity_self_test());
    arena_init(&arena, 256 * MIB);
    ring = keyring_new(KEYRING_MAX);
}

static void tear_down(void)
{
    keyring_free(ring);
    arena_free(&arena);
}

static enum keyring_verdict keep(struct bytes wire)
{
    enum keyring_verdict verdict;
    struct arena memory;
    struct chain chain;

    arena_init(&memory, PARSE_BUDGET(wire.size));
    ck_assert_int_eq(chain_open(wire, &memory, &chain), CERTIFICATE_TAKEN);
    verdict = keyring_keep(ring, &chain);
    arena_free(&memory);
    return verdict;
}

struct found {
    enum keyring_verdict verdict;
    struct id identity;
    enum identity_kind kind;
    struct public_key key;
    enum certificate_verdict dates;
};

static struct found find(struct bytes wire, uint64_t wall_ms)
{
    struct found found = {0};
    struct hash hash = hash_of(wire);

    found.verdict =
        keyring_find(ring, &hash, wall_ms, &found.identity, &found.kind, &found.key, &found.dates);
    return found;
}

static bool is_key(struct public_key key, uint32_t number)
{
    struct public_key expected = birth_public_key(number);

    return memcmp(key.bytes, expected.bytes, PUBLIC_KEY_SIZE) == 0;
}

START_TEST(a_chain_is_unknown_until_it_is_kept)
{
    struct id identity;
    struct bytes wire = birth_chain(IDENTITY_DUCKLING, 1, 1, &arena, &identity);
    struct found found;

    ck_assert_int_eq(find(wire, NOW_MS).verdict, KEYRING_UNKNOWN);
    ck_assert_ptr_null(keyring_chain(ring, &identity).data);
    ck_assert_int_eq(keep(wire), KEYRING_TAKEN);
    found = find(wire, NOW_MS);
    ck_assert_int_eq(found.verdict, KEYRING_TAKEN);
    ck_assert(id_equal(&found.identity, &identity));
    ck_assert_int_eq(found.kind, IDENTITY_DUCKLING);
    ck_assert_int_eq(found.dates, CERTIFICATE_TAKEN);
    ck_assert(is_key(found.key, 1));
    ck_assert(bytes_equal(keyring_chain(ring, &identity), wire));
}
END_TEST

START_TEST(dates_are_told_with_the_key)
{
    struct id identity;
    struct bytes wire = birth_chain(IDENTITY_NODE, 1, 3, &arena, &identity);
    uint64_t end_ms = BORN_MS + 2 * ROTATED_EVERY_MS + CERTIFICATE_LIFE_MS;
    struct found found;

    keep(wire);
    ck_assert_int_eq(find(wire, BORN_MS - 1).dates, CERTIFICATE_NOT_YET);
    for (uint32_t n = 0; n < 3; n++) {
        found = find(wire, BORN_MS + n * ROTATED_EVERY_MS);
        ck_assert_int_eq(found.dates, CERTIFICATE_TAKEN);
        ck_assert(is_key(found.key, 1 + n));
    }
    ck_assert_int_eq(find(wire, end_ms).dates, CERTIFICATE_TAKEN);
    ck_assert_int_eq(find(wire, end_ms + 1).dates, CERTIFICATE_EXPIRED);
    ck_assert_int_eq(find(wire, end_ms + 1).verdict, KEYRING_TAKEN);
}
END_TEST

START_TEST(dates_of_a_single_certificate_are_told_too)
{
    struct id identity;
    struct bytes wire = birth_chain(IDENTITY_NODE, 1, 1, &arena, &identity);

    keep(wire);
    ck_assert_int_eq(find(wire, BORN_MS - 1).dates, CERTIFICATE_NOT_YET);
    ck_assert_int_eq(find(wire, BORN_MS).dates, CERTIFICATE_TAKEN);
    ck_assert_int_eq(find(wire, BORN_MS + CERTIFICATE_LIFE_MS + 1).dates, CERTIFICATE_EXPIRED);
}
END_TEST

/* After a theft and a rotation, the old chain must not bring the old key back. */
START_TEST(a_longer_chain_speaks_for_the_shorter_ones)
{
    struct id identity;
    struct bytes one = birth_chain(IDENTITY_NODE, 1, 1, &arena, &identity);
    struct bytes two = birth_chain(IDENTITY_NODE, 1, 2, &arena, &identity);
    struct bytes three = birth_chain(IDENTITY_NODE, 1, 3, &arena, &identity);

    ck_assert_int_eq(keep(two), KEYRING_TAKEN);
    ck_assert_int_eq(keep(three), KEYRING_TAKEN);
    ck_assert(is_key(find(two, NOW_MS).key, 3));
    ck_assert_int_eq(find(one, NOW_MS).verdict, KEYRING_UNKNOWN); /* never verified as it is */
    ck_assert_int_eq(keep(one), KEYRING_TAKEN);
    ck_assert(is_key(find(one, NOW_MS).key, 3));
    ck_assert(bytes_equal(keyring_chain(ring, &identity), three));
}
END_TEST

START_TEST(a_second_certificate_of_one_sequence_is_a_contradiction)
{
    struct id identity;
    struct bytes three = birth_chain(IDENTITY_NODE, 1, 3, &arena, &identity), fork, wires[4];
    struct certificate last = {0};

    wires[0] = birth_certificate(IDENTITY_NODE, 1, 2, 0, &last, &arena);
    wires[1] = birth_certificate(IDENTITY_NODE, 1, 77, 1, &last, &arena); /* the thief's promise */
    fork = chain_pack(wires, 2, &arena);
    ck_assert_int_eq(keep(three), KEYRING_TAKEN);
    ck_assert_int_eq(keep(fork), KEYRING_CONTRADICTED);
    ck_assert_int_eq(find(fork, NOW_MS).verdict, KEYRING_UNKNOWN);
    ck_assert(bytes_equal(keyring_chain(ring, &identity), three)); /* the first one stands */
    ck_assert(is_key(find(three, NOW_MS).key, 3));
}
END_TEST

#define CROWD 600u

START_TEST(a_crowd_is_held_and_found)
{
    struct bytes wires[CROWD];
    struct id ids[CROWD];

    for (uint32_t i = 0; i < CROWD; i++) {
        wires[i] = birth_chain(IDENTITY_NODE, 1000 + 10 * i, 1, &arena, &ids[i]);
        ck_assert_int_eq(keep(wires[i]), KEYRING_TAKEN);
    }
    for (uint32_t i = 0; i < CROWD; i++) {
        struct found found = find(wires[i], NOW_MS);

        ck_assert_int_eq(found.verdict, KEYRING_TAKEN);
        ck_assert(id_equal(&found.identity, &ids[i]) && is_key(found.key, 1000 + 10 * i));
        ck_assert(bytes_equal(keyring_chain(ring, &ids[i]), wires[i]));
    }
}
END_TEST

/* A chain whose certificates' lengths are written in `widths` bytes each: two are enough, protobuf
 * reads up to five. */
static struct bytes pack_widely(const struct bytes wires[2], const size_t widths[2])
{
    uint8_t *data = arena_take(&arena, wires[0].size + wires[1].size + 12);
    size_t size = 0;

    for (size_t i = 0; i < 2; i++) {
        size_t length = wires[i].size;

        data[size++] = 0x0A;
        for (size_t byte = 0; byte < widths[i]; byte++, length >>= 7)
            data[size++] = (uint8_t)((length & 0x7F) | (byte + 1 < widths[i] ? 0x80 : 0));
        memcpy(data + size, wires[i].data, wires[i].size);
        size += wires[i].size;
    }
    return bytes_of(data, size);
}

/* The same certificates in other bytes are the same chain. Whoever packs it in ever new ways costs
 * a little memory, and no more. */
START_TEST(a_chain_is_found_in_the_last_few_ways_that_it_was_packed)
{
    static const size_t widths[KEYRING_WAYS_MAX + 1][2] = {{2, 2}, {2, 3}, {3, 2}, {3, 3}, {4, 2}};
    struct bytes wires[2], packed[KEYRING_WAYS_MAX + 1];
    struct certificate last = {0};

    wires[0] = birth_certificate(IDENTITY_NODE, 1, 2, 0, &last, &arena);
    wires[1] = birth_certificate(IDENTITY_NODE, 1, 3, 1, &last, &arena);
    for (size_t i = 0; i <= KEYRING_WAYS_MAX; i++) {
        packed[i] = pack_widely(wires, widths[i]);
        ck_assert_int_eq(keep(packed[i]), KEYRING_TAKEN);
        ck_assert_int_eq(keep(packed[i]), KEYRING_TAKEN); /* once more changes nothing */
        ck_assert_int_eq(find(packed[0], NOW_MS).verdict,
                         i < KEYRING_WAYS_MAX ? KEYRING_TAKEN : KEYRING_UNKNOWN);
    }
    for (size_t i = 1; i <= KEYRING_WAYS_MAX; i++)
        ck_assert_int_eq(find(packed[i], NOW_MS).verdict, KEYRING_TAKEN);
    ck_assert(bytes_equal(keyring_chain(ring, &last.identity), packed[0]));
}
END_TEST

START_TEST(it_holds_what_it_is_told_and_forgets_one_beyond)
{
    struct bytes wires[9];
    struct id ids[9];
    size_t held = 0;

    keyring_free(ring);
    ring = keyring_new(8);
    for (uint32_t i = 0; i < 8; i++) {
        wires[i] = birth_chain(IDENTITY_NODE, 1000 + 10 * i, 1, &arena, &ids[i]);
        keep(wires[i]);
    }
    for (size_t i = 0; i < 8; i++)
        held += keyring_chain(ring, &ids[i]).data != NULL;
    ck_assert_uint_eq(held, 8);
    wires[8] = birth_chain(IDENTITY_NODE, 5000, 1, &arena, &ids[8]);
    ck_assert_int_eq(keep(wires[8]), KEYRING_TAKEN);
    ck_assert_int_eq(find(wires[8], NOW_MS).verdict, KEYRING_TAKEN); /* never the newcomer */
    held = 0;
    for (size_t i = 0; i < 9; i++) {
        bool is_held = keyring_chain(ring, &ids[i]).data != NULL;

        held += is_held;
        ck_assert_int_eq(find(wires[i], NOW_MS).verdict, is_held ? KEYRING_TAKEN : KEYRING_UNKNOWN);
    }
    ck_assert_uint_eq(held, 8);
}
END_TEST

/* A thief of a key that was rotated waits for this node to forget. */
START_TEST(a_rotation_is_forgotten_after_all_that_was_never_rotated)
{
    struct id owner, other;
    struct bytes longer = birth_chain(IDENTITY_NODE, 1, 2, &arena, &owner);

    keyring_free(ring);
    ring = keyring_new(8);
    keep(birth_chain(IDENTITY_NODE, 1, 1, &arena, &owner));
    keep(longer);
    for (uint32_t i = 0; i < 100; i++)
        keep(birth_chain(IDENTITY_NODE, 1000 + 10 * i, 1, &arena, &other));
    ck_assert(bytes_equal(keyring_chain(ring, &owner), longer));
    for (uint32_t i = 0; i < 5; i++) /* half of what is held may be such */
        keep(birth_chain(IDENTITY_NODE, 5000 + 10 * i, 2, &arena, &other));
    ck_assert_ptr_null(keyring_chain(ring, &owner).data);
}
END_TEST

static enum keyring_verdict meet(struct bytes wire)
{
    enum keyring_verdict verdict;
    struct arena memory;
    struct chain chain;

    arena_init(&memory, PARSE_BUDGET(wire.size));
    ck_assert_int_eq(chain_open(wire, &memory, &chain), CERTIFICATE_TAKEN);
    verdict = keyring_meet(ring, &chain);
    arena_free(&memory);
    return verdict;
}

START_TEST(who_comes_with_fewer_certificates_than_are_known_is_not_who_it_says)
{
    struct id identity;
    struct bytes one = birth_chain(IDENTITY_NODE, 1, 1, &arena, &identity);
    struct bytes two = birth_chain(IDENTITY_NODE, 1, 2, &arena, &identity);

    ck_assert_int_eq(meet(one), KEYRING_TAKEN);
    ck_assert_int_eq(meet(two), KEYRING_TAKEN);
    ck_assert_int_eq(meet(one), KEYRING_OUTGROWN);
    ck_assert_int_eq(meet(two), KEYRING_TAKEN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keyring");
    TCase *tests = tcase_create("keyring");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_chain_is_unknown_until_it_is_kept);
    tcase_add_test(tests, dates_are_told_with_the_key);
    tcase_add_test(tests, dates_of_a_single_certificate_are_told_too);
    tcase_add_test(tests, a_longer_chain_speaks_for_the_shorter_ones);
    tcase_add_test(tests, a_second_certificate_of_one_sequence_is_a_contradiction);
    tcase_add_test(tests, a_crowd_is_held_and_found);
    tcase_add_test(tests, a_chain_is_found_in_the_last_few_ways_that_it_was_packed);
    tcase_add_test(tests, it_holds_what_it_is_told_and_forgets_one_beyond);
    tcase_add_test(tests, a_rotation_is_forgotten_after_all_that_was_never_rotated);
    tcase_add_test(tests, who_comes_with_fewer_certificates_than_are_known_is_not_who_it_says);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
