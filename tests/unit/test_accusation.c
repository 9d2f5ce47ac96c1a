#include "core/accusation.h"
#include "wire/gossip.pb-c.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>

#define NOW_MS 1790000000000ull
#define LONGEST_NETWORK "abcdefghijklmnopqrstuvwxyz012345"

static struct arena arena;

static void set_up(void)
{
    ck_assert_int_ge(sodium_init(), 0);
    arena_init(&arena, MIB);
}

static void tear_down(void)
{
    arena_free(&arena);
}

static struct accusation made(void)
{
    return (struct accusation){
        .network = bytes_of_text("pond"),
        .accuser = {{1}},
        .accused = {{2}},
        .version = {NOW_MS - 5, 3},
        .made_ms = NOW_MS,
        .not_after_ms = NOW_MS + ACCUSATION_LIFE_MS,
    };
}

static ProtobufCBinaryData lent(struct bytes bytes)
{
    return (ProtobufCBinaryData){bytes.size, (uint8_t *)(uintptr_t)bytes.data};
}

/* As it would be on the wire, whether it holds or not; its ids have `id_size` bytes. */
static struct bytes wire_of(const struct accusation *accusation, size_t accuser_size,
                            size_t accused_size)
{
    Duck__AccusationBody message = DUCK__ACCUSATION_BODY__INIT;
    uint8_t *data;

    message.network = lent(accusation->network);
    message.accuser = lent(bytes_of(accusation->accuser.bytes, accuser_size));
    message.accused = lent(bytes_of(accusation->accused.bytes, accused_size));
    message.version_ms = accusation->version.ms;
    message.version_count = accusation->version.count;
    message.made_ms = accusation->made_ms;
    message.not_after_ms = accusation->not_after_ms;
    data = arena_take(&arena, duck__accusation_body__get_packed_size(&message));
    ck_assert_ptr_nonnull(data);
    return bytes_of(data, duck__accusation_body__pack(&message, data));
}

static enum accusation_verdict parse(struct bytes body)
{
    struct accusation accusation = {.made_ms = 7};
    enum accusation_verdict verdict = accusation_parse(body, &arena, &accusation);

    if (verdict != ACCUSATION_OK)
        ck_assert_uint_eq(accusation.made_ms, 7); /* untouched */
    return verdict;
}

/* Who writes refuses what who reads refuses. */
static void expect(const struct accusation *accusation, enum accusation_verdict verdict)
{
    struct bytes body;

    ck_assert_int_eq(accusation_pack(accusation, &arena, &body), verdict);
    ck_assert_int_eq(body.size > 0, verdict == ACCUSATION_OK);
    ck_assert_int_eq(parse(wire_of(accusation, ID_SIZE, ID_SIZE)), verdict);
}

START_TEST(what_is_packed_is_what_is_parsed)
{
    struct accusation accusation = made(), parsed;
    struct bytes body;

    ck_assert_int_eq(accusation_pack(&accusation, &arena, &body), ACCUSATION_OK);
    ck_assert_int_eq(accusation_parse(body, &arena, &parsed), ACCUSATION_OK);
    ck_assert(bytes_equal(parsed.network, accusation.network));
    ck_assert(id_equal(&parsed.accuser, &accusation.accuser));
    ck_assert(id_equal(&parsed.accused, &accusation.accused));
    ck_assert_int_eq(version_compare(parsed.version, accusation.version), 0);
    ck_assert_uint_eq(parsed.made_ms, accusation.made_ms);
    ck_assert_uint_eq(parsed.not_after_ms, accusation.not_after_ms);
}
END_TEST

START_TEST(each_field_that_is_missing_is_refused)
{
    struct accusation accusation = made();

    accusation.network.size = 0;
    expect(&accusation, ACCUSATION_MALFORMED);
    accusation = made();
    accusation.accuser = (struct id){{0}};
    expect(&accusation, ACCUSATION_MALFORMED);
    accusation = made();
    accusation.accused = (struct id){{0}};
    expect(&accusation, ACCUSATION_MALFORMED);
    accusation = made();
    accusation.version.ms = 0;
    expect(&accusation, ACCUSATION_MALFORMED);
    accusation = made();
    accusation.made_ms = 0;
    expect(&accusation, ACCUSATION_MALFORMED);
    accusation = made();
    accusation.version.count = 0; /* is fine: the first of its millisecond */
    expect(&accusation, ACCUSATION_OK);
}
END_TEST

START_TEST(an_id_of_another_length_is_refused)
{
    struct accusation accusation = made();

    ck_assert_int_eq(parse(wire_of(&accusation, ID_SIZE, ID_SIZE)), ACCUSATION_OK);
    ck_assert_int_eq(parse(wire_of(&accusation, ID_SIZE - 1, ID_SIZE)), ACCUSATION_MALFORMED);
    ck_assert_int_eq(parse(wire_of(&accusation, 0, ID_SIZE)), ACCUSATION_MALFORMED);
    ck_assert_int_eq(parse(wire_of(&accusation, ID_SIZE, ID_SIZE - 1)), ACCUSATION_MALFORMED);
    ck_assert_int_eq(parse(wire_of(&accusation, ID_SIZE, 0)), ACCUSATION_MALFORMED);
}
END_TEST

START_TEST(the_longest_network_fits_and_one_beyond_does_not)
{
    struct accusation accusation = made();

    accusation.network = bytes_of_text(LONGEST_NETWORK);
    ck_assert_uint_eq(accusation.network.size, NETWORK_ID_MAX);
    expect(&accusation, ACCUSATION_OK);
    accusation.network = bytes_of_text(LONGEST_NETWORK "6");
    expect(&accusation, ACCUSATION_MALFORMED);
}
END_TEST

START_TEST(nobody_accuses_itself)
{
    struct accusation accusation = made();

    accusation.accused = accusation.accuser;
    expect(&accusation, ACCUSATION_OF_ITSELF);
}
END_TEST

START_TEST(it_lives_at_least_a_millisecond_and_at_most_a_minute)
{
    struct accusation accusation = made();

    accusation.not_after_ms = NOW_MS + 1;
    expect(&accusation, ACCUSATION_OK);
    accusation.not_after_ms = NOW_MS;
    expect(&accusation, ACCUSATION_BAD_TIMES);
    accusation.not_after_ms = NOW_MS - 1;
    expect(&accusation, ACCUSATION_BAD_TIMES);
    accusation.not_after_ms = NOW_MS + ACCUSATION_LIFE_MS + 1;
    expect(&accusation, ACCUSATION_BAD_TIMES);
    accusation.not_after_ms = UINT64_MAX;
    expect(&accusation, ACCUSATION_BAD_TIMES);
    accusation.made_ms = UINT64_MAX;
    expect(&accusation, ACCUSATION_BAD_TIMES);
}
END_TEST

START_TEST(bytes_beyond_the_limit_are_not_even_parsed)
{
    struct accusation accusation = made();
    struct bytes body = wire_of(&accusation, ID_SIZE, ID_SIZE);
    uint8_t padded[ACCUSATION_SIZE_MAX + 1] = {0};
    size_t filler = ACCUSATION_SIZE_MAX - body.size - 3; /* its tag and its length */

    memcpy(padded, body.data, body.size);
    padded[body.size] = 15 << 3 | 2; /* a field that nobody names */
    padded[body.size + 1] = (uint8_t)(0x80 | (filler & 0x7f));
    padded[body.size + 2] = (uint8_t)(filler >> 7);
    ck_assert_int_eq(parse(bytes_of(padded, ACCUSATION_SIZE_MAX)), ACCUSATION_OK);
    ck_assert_int_eq(parse(bytes_of(padded, sizeof padded)), ACCUSATION_TOO_LARGE);
}
END_TEST

START_TEST(each_shorter_piece_is_refused)
{
    struct accusation accusation = made();
    struct bytes body = wire_of(&accusation, ID_SIZE, ID_SIZE);

    for (size_t size = 0; size < body.size; size++)
        ck_assert_int_ne(parse(bytes_of(body.data, size)), ACCUSATION_OK);
}
END_TEST

START_TEST(it_is_from_the_future_when_it_or_its_version_is_more_than_the_skew_ahead)
{
    struct accusation accusation = made();

    accusation.version.ms = 1;
    ck_assert_int_eq(accusation_judge_dates(&accusation, NOW_MS - CLOCK_SKEW_MAX_MS),
                     ACCUSATION_OK);
    ck_assert_int_eq(accusation_judge_dates(&accusation, NOW_MS - CLOCK_SKEW_MAX_MS - 1),
                     ACCUSATION_FROM_FUTURE);
    accusation.version.ms = NOW_MS + CLOCK_SKEW_MAX_MS;
    ck_assert_int_eq(accusation_judge_dates(&accusation, NOW_MS), ACCUSATION_OK);
    accusation.version.ms++;
    ck_assert_int_eq(accusation_judge_dates(&accusation, NOW_MS), ACCUSATION_FROM_FUTURE);
}
END_TEST

START_TEST(it_expires_when_its_end_is_more_than_the_skew_behind)
{
    struct accusation accusation = made();
    uint64_t last_ms = accusation.not_after_ms + CLOCK_SKEW_MAX_MS;

    ck_assert_int_eq(accusation_judge_dates(&accusation, last_ms), ACCUSATION_OK);
    ck_assert_int_eq(accusation_judge_dates(&accusation, last_ms + 1), ACCUSATION_EXPIRED);
}
END_TEST

START_TEST(sealed_the_longest_is_within_its_size_and_a_turned_bit_is_found)
{
    uint8_t seed[SEED_SIZE] = {9}, turned[ACCUSATION_SIZE_MAX], sealed[ACCUSATION_SIZE_MAX];
    struct identity_key *key = identity_key_new(seed);
    struct public_key public_key = identity_key_public(key);
    struct accusation accusation = made();
    struct envelope envelope;
    struct bytes body, wire;

    accusation.network = bytes_of_text(LONGEST_NETWORK);
    accusation.version.count = UINT32_MAX;
    ck_assert_int_eq(accusation_pack(&accusation, &arena, &body), ACCUSATION_OK);
    wire = envelope_seal(ENVELOPE_ACCUSATION, &accusation.accuser, key, body, &arena, NULL);
    identity_key_free(key);
    ck_assert_uint_le(wire.size, ACCUSATION_SIZE_MAX);
    ck_assert_uint_eq(envelope_size_max(ENVELOPE_ACCUSATION), ACCUSATION_SIZE_MAX);
    ck_assert_int_eq(envelope_parse(wire, ENVELOPE_ACCUSATION, &arena, &envelope), ENVELOPE_TAKEN);
    ck_assert_int_eq(envelope_verify(&envelope, &public_key, NULL), ENVELOPE_TAKEN);
    ck_assert_int_eq(envelope_parse(wire, ENVELOPE_RECORD, &arena, &envelope), ENVELOPE_WRONG_TYPE);
    memcpy(sealed, wire.data, wire.size); /* the arena is emptied below */
    for (size_t bit = 0; bit < 8 * wire.size; bit++) {
        memcpy(turned, sealed, wire.size);
        turned[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (envelope_parse(bytes_of(turned, wire.size), ENVELOPE_ACCUSATION, &arena, &envelope) ==
                ENVELOPE_TAKEN &&
            id_equal(&envelope.signer, &accusation.accuser))
            ck_assert_int_eq(envelope_verify(&envelope, &public_key, NULL), ENVELOPE_BAD_SIGNATURE);
        arena_reset(&arena);
    }
}
END_TEST

START_TEST(each_verdict_has_its_words)
{
    for (int left = ACCUSATION_OK; left <= ACCUSATION_FROM_FUTURE; left++) {
        ck_assert_uint_gt(strlen(accusation_verdict_text((enum accusation_verdict)left)), 0);
        for (int right = ACCUSATION_OK; right < left; right++)
            ck_assert_str_ne(accusation_verdict_text((enum accusation_verdict)left),
                             accusation_verdict_text((enum accusation_verdict)right));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("accusation");
    TCase *tests = tcase_create("accusation");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_is_packed_is_what_is_parsed);
    tcase_add_test(tests, each_field_that_is_missing_is_refused);
    tcase_add_test(tests, an_id_of_another_length_is_refused);
    tcase_add_test(tests, the_longest_network_fits_and_one_beyond_does_not);
    tcase_add_test(tests, nobody_accuses_itself);
    tcase_add_test(tests, it_lives_at_least_a_millisecond_and_at_most_a_minute);
    tcase_add_test(tests, bytes_beyond_the_limit_are_not_even_parsed);
    tcase_add_test(tests, each_shorter_piece_is_refused);
    tcase_add_test(tests, it_is_from_the_future_when_it_or_its_version_is_more_than_the_skew_ahead);
    tcase_add_test(tests, it_expires_when_its_end_is_more_than_the_skew_behind);
    tcase_add_test(tests, sealed_the_longest_is_within_its_size_and_a_turned_bit_is_found);
    tcase_add_test(tests, each_verdict_has_its_words);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
