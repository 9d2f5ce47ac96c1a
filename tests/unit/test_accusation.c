#include "core/accusation.h"
#include "wire/gossip.pb-c.h"

#include <check.h>
#include <stdlib.h>

#define NOW_MS 1790000000000ull

static struct arena arena;

static void set_up(void)
{
    arena_init(&arena, MIB);
}

static void tear_down(void)
{
    arena_free(&arena);
}

static struct accusation said(void)
{
    return (struct accusation){.network = bytes_of_text("pond"),
                               .accuser = {{1}},
                               .accused = {{2}},
                               .version = {NOW_MS - DAY_MS, 3},
                               .made_ms = NOW_MS,
                               .not_after_ms = NOW_MS + ACCUSATION_LIFE_MS};
}

static enum accusation_verdict pack(const struct accusation *accusation)
{
    struct bytes body;
    enum accusation_verdict verdict = accusation_pack(accusation, &arena, &body);

    ck_assert_int_eq(body.size > 0, verdict == ACCUSATION_OK);
    return verdict;
}

/* Packed without a judge, and read by one. */
static enum accusation_verdict read_back(const Duck__AccusationBody *message)
{
    struct accusation accusation = {.made_ms = 77};
    uint8_t data[ACCUSATION_SIZE_MAX];
    enum accusation_verdict verdict;

    ck_assert_uint_le(duck__accusation_body__get_packed_size(message), sizeof data);
    verdict = accusation_parse(bytes_of(data, duck__accusation_body__pack(message, data)), &arena,
                               &accusation);
    if (verdict != ACCUSATION_OK)
        ck_assert_uint_eq(accusation.made_ms, 77); /* refused: nothing is changed */
    return verdict;
}

static uint8_t ids[2][ID_SIZE + 1] = {{1}, {2}};

static Duck__AccusationBody message(void)
{
    Duck__AccusationBody message = DUCK__ACCUSATION_BODY__INIT;

    message.network = (ProtobufCBinaryData){4, (uint8_t *)(uintptr_t) "pond"};
    message.accuser = (ProtobufCBinaryData){ID_SIZE, ids[0]};
    message.accused = (ProtobufCBinaryData){ID_SIZE, ids[1]};
    message.version_ms = NOW_MS;
    message.made_ms = NOW_MS;
    message.not_after_ms = NOW_MS + 1;
    return message;
}

START_TEST(an_accusation_says_what_was_said)
{
    struct accusation accusation = said(), heard;
    struct bytes body;

    ck_assert_int_eq(accusation_pack(&accusation, &arena, &body), ACCUSATION_OK);
    ck_assert_int_eq(accusation_parse(body, &arena, &heard), ACCUSATION_OK);
    ck_assert(bytes_equal(heard.network, accusation.network));
    ck_assert(id_equal(&heard.accuser, &accusation.accuser));
    ck_assert(id_equal(&heard.accused, &accusation.accused));
    ck_assert_int_eq(version_compare(heard.version, accusation.version), 0);
    ck_assert_uint_eq(heard.made_ms, accusation.made_ms);
    ck_assert_uint_eq(heard.not_after_ms, accusation.not_after_ms);
}
END_TEST

START_TEST(the_longest_fits_into_its_envelope)
{
    uint8_t seed[SEED_SIZE] = {1};
    struct identity_key *key;
    struct accusation accusation = said();
    struct bytes body, wire;

    ck_assert(identity_self_test());
    key = identity_key_new(seed);
    accusation.network = bytes_of("0123456789abcdef0123456789abcdef", NETWORK_ID_MAX);
    accusation.version.count = UINT32_MAX;
    ck_assert_int_eq(accusation_pack(&accusation, &arena, &body), ACCUSATION_OK);
    wire = envelope_seal(ENVELOPE_ACCUSATION, &accusation.accuser, key, body, &arena, NULL);
    ck_assert_uint_le(wire.size, ACCUSATION_SIZE_MAX / 2);
    ck_assert_uint_eq(envelope_size_max(ENVELOPE_ACCUSATION), ACCUSATION_SIZE_MAX);
    identity_key_free(key);
}
END_TEST

START_TEST(what_is_too_large_is_not_parsed)
{
    uint8_t data[ACCUSATION_SIZE_MAX + 1] = {0};
    struct accusation accusation;

    ck_assert_int_eq(accusation_parse(bytes_of(data, sizeof data), &arena, &accusation),
                     ACCUSATION_TOO_LARGE);
}
END_TEST

START_TEST(what_lacks_a_field_is_malformed)
{
    Duck__AccusationBody broken;
    struct accusation accusation;

    ck_assert_int_eq(accusation_parse(bytes_of("\xff", 1), &arena, &accusation),
                     ACCUSATION_MALFORMED);
    broken = message();
    ck_assert_int_eq(read_back(&broken), ACCUSATION_OK);
    broken.network.len = 0;
    ck_assert_int_eq(read_back(&broken), ACCUSATION_MALFORMED);
    broken.network = (ProtobufCBinaryData){
        NETWORK_ID_MAX + 1, (uint8_t *)(uintptr_t) "0123456789abcdef0123456789abcdef0"};
    ck_assert_int_eq(read_back(&broken), ACCUSATION_MALFORMED);
    for (size_t size = ID_SIZE - 1; size <= ID_SIZE + 1; size += 2) {
        broken = message();
        broken.accuser.len = size;
        ck_assert_int_eq(read_back(&broken), ACCUSATION_MALFORMED);
        broken = message();
        broken.accused.len = size;
        ck_assert_int_eq(read_back(&broken), ACCUSATION_MALFORMED);
    }
    broken = message();
    broken.version_ms = 0;
    ck_assert_int_eq(read_back(&broken), ACCUSATION_MALFORMED);
    broken = message();
    broken.made_ms = 0;
    ck_assert_int_eq(read_back(&broken), ACCUSATION_MALFORMED);
}
END_TEST

START_TEST(nobody_is_a_zero_and_nobody_accuses_itself)
{
    struct accusation accusation = said();

    accusation.accused = accusation.accuser;
    ck_assert_int_eq(pack(&accusation), ACCUSATION_OF_ITSELF);
    accusation.accused = (struct id){{0}};
    ck_assert_int_eq(pack(&accusation), ACCUSATION_MALFORMED);
    accusation = said();
    accusation.accuser = (struct id){{0}};
    ck_assert_int_eq(pack(&accusation), ACCUSATION_MALFORMED);
}
END_TEST

START_TEST(it_lives_for_a_minute_at_most)
{
    struct accusation accusation = said();

    ck_assert_int_eq(pack(&accusation), ACCUSATION_OK);
    accusation.not_after_ms++;
    ck_assert_int_eq(pack(&accusation), ACCUSATION_BAD_TIMES);
    accusation.not_after_ms = accusation.made_ms;
    ck_assert_int_eq(pack(&accusation), ACCUSATION_BAD_TIMES);
    accusation.not_after_ms = accusation.made_ms + 1;
    ck_assert_int_eq(pack(&accusation), ACCUSATION_OK);
}
END_TEST

START_TEST(clocks_may_be_five_minutes_apart)
{
    struct accusation accusation = said();
    uint64_t end_ms = accusation.not_after_ms + CLOCK_SKEW_MAX_MS;

    ck_assert_int_eq(accusation_judge_dates(&accusation, end_ms), ACCUSATION_OK);
    ck_assert_int_eq(accusation_judge_dates(&accusation, end_ms + 1), ACCUSATION_EXPIRED);
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

START_TEST(every_verdict_has_its_words)
{
    for (int i = ACCUSATION_OK; i <= ACCUSATION_FROM_FUTURE; i++)
        for (int j = ACCUSATION_OK; j < i; j++)
            ck_assert_str_ne(accusation_verdict_text((enum accusation_verdict)i),
                             accusation_verdict_text((enum accusation_verdict)j));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("accusation");
    TCase *tcase = tcase_create("accusation");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, an_accusation_says_what_was_said);
    tcase_add_test(tcase, the_longest_fits_into_its_envelope);
    tcase_add_test(tcase, what_is_too_large_is_not_parsed);
    tcase_add_test(tcase, what_lacks_a_field_is_malformed);
    tcase_add_test(tcase, nobody_is_a_zero_and_nobody_accuses_itself);
    tcase_add_test(tcase, it_lives_for_a_minute_at_most);
    tcase_add_test(tcase, clocks_may_be_five_minutes_apart);
    tcase_add_test(tcase, every_verdict_has_its_words);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
