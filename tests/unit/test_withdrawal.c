/* What an operator signs to take vouchers back, and the revocation that carries it. */
#include "births.h"
#include "core/withdrawal.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define NOW_MS (BORN_MS + HOUR_MS)

static const uint8_t seeds[2][SEED_SIZE] = {{1, 2, 3}, {4, 5, 6}};

static struct arena arena;
static struct identity_key *key;
static struct id operator_id;
static struct bytes operator_chain, wire, chain;
static struct record record;
static struct withdrawal said;

static struct withdrawal_wish wish_of(void)
{
    return (struct withdrawal_wish){.network = bytes_of_text("pond"),
                                    .operator_id = operator_id,
                                    .operator_key = key,
                                    .operator_chain = operator_chain,
                                    .subject = {{7}},
                                    .until_ms = NOW_MS,
                                    .seeds = seeds};
}

static enum withdrawal_verdict make(const struct withdrawal_wish *wish)
{
    return withdrawal_make(wish, &arena, &wire, &chain);
}

static void set_up(void)
{
    struct withdrawal_wish wish;

    ck_assert(identity_self_test());
    arena_init(&arena, 64 * MIB);
    operator_chain = birth_chain(IDENTITY_OPERATOR, 50, 1, &arena, &operator_id);
    key = birth_key(50);
    wish = wish_of();
    ck_assert_int_eq(make(&wish), WITHDRAWAL_OK);
}

static void tear_down(void)
{
    identity_key_free(key);
    arena_free(&arena);
}

/* A revocation of the carrier with this content, signed by the carrier itself. */
static enum withdrawal_verdict carry(struct revocation_content content, struct id owner,
                                     bool by_carrier)
{
    struct identity_key *carrier = identity_key_new(seeds[0]);
    struct record forged = {.network = bytes_of_text("pond"),
                            .owner = owner,
                            .kind = RECORD_REVOCATION,
                            .version = {NOW_MS, 0},
                            .not_after_ms = NOW_MS + WITHDRAWAL_LIFE_MS};
    struct withdrawal read;
    struct bytes body;

    content.subject = owner;
    forged.content = revocation_content_pack(&content, &arena);
    ck_assert_int_eq(record_pack(&forged, &arena, &body), RECORD_OK);
    wire = envelope_seal(ENVELOPE_RECORD, &owner, by_carrier ? carrier : key, body, &arena, NULL);
    identity_key_free(carrier);
    return withdrawal_open(wire, by_carrier ? chain : operator_chain, &arena, &record, &read);
}

static struct revocation_content content_of(void)
{
    struct revocation_content content;

    ck_assert_int_eq(withdrawal_open(wire, chain, &arena, &record, &said), WITHDRAWAL_OK);
    ck_assert_int_eq(revocation_content_parse(record.content, &arena, &content), RECORD_OK);
    return content;
}

START_TEST(a_withdrawal_comes_back_as_it_was_made)
{
    ck_assert_uint_le(wire.size, RECORD_SIZE_MAX);
    ck_assert_int_eq(withdrawal_open(wire, chain, &arena, &record, &said), WITHDRAWAL_OK);
    ck_assert(id_equal(&said.operator_id, &operator_id));
    ck_assert_uint_eq(said.subject.bytes[0], 7);
    ck_assert(id_equal(&said.carrier, &record.owner));
    ck_assert(!id_equal(&said.carrier, &operator_id));
    ck_assert_uint_eq(said.until_ms, NOW_MS);
    ck_assert(bytes_equal(said.network, bytes_of_text("pond")));
}
END_TEST

/* For other implementations: from these seeds, keys and dates come these bytes and no others. */
START_TEST(a_withdrawal_is_these_bytes)
{
    struct hash hash = hash_of(wire);
    char carrier[ID_TEXT_SIZE], text[2 * HASH_SIZE + 1];

    for (size_t i = 0; i < HASH_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", hash.bytes[i]);
    ck_assert_int_eq(withdrawal_open(wire, chain, &arena, &record, &said), WITHDRAWAL_OK);
    ck_assert_str_eq(id_text(ID_OPERATOR, &record.owner, carrier),
                     "opr_2rsuak3n5itfnplg62r2q5jkvci4hcw6");
    ck_assert_str_eq(text, "da206bbaa700967b648f489e50bf0e8fdb170ba6235f1a4f001cbc20246f5a2d");
}
END_TEST

/* Whoever knows nothing of withdrawals sees the revocation of somebody, as it always was. */
START_TEST(it_is_a_revocation_that_outlives_every_voucher_it_is_about)
{
    ck_assert_int_eq(withdrawal_open(wire, chain, &arena, &record, &said), WITHDRAWAL_OK);
    ck_assert_uint_eq(record.kind, RECORD_REVOCATION);
    ck_assert(!record.deleted);
    ck_assert_uint_eq(record.key.size, 0);
    ck_assert_uint_gt(record.not_after_ms, said.until_ms + VOUCHER_LIFE_MAX_MS);
    ck_assert_uint_ge(record.not_after_ms - record.version.ms, REVOCATION_LIFE_MIN_MS);
    ck_assert_uint_le(record.not_after_ms - record.version.ms, REVOCATION_LIFE_MAX_MS);
    ck_assert_int_eq(record_judge_dates(&record, NOW_MS), RECORD_OK);
}
END_TEST

START_TEST(two_of_one_operator_stand_side_by_side)
{
    static const uint8_t others[2][SEED_SIZE] = {{9}, {8}};
    struct withdrawal_wish wish = wish_of();
    struct record first;

    ck_assert_int_eq(withdrawal_open(wire, chain, &arena, &first, &said), WITHDRAWAL_OK);
    wish.seeds = others;
    ck_assert_int_eq(make(&wish), WITHDRAWAL_OK);
    ck_assert_int_eq(withdrawal_open(wire, chain, &arena, &record, &said), WITHDRAWAL_OK);
    ck_assert(!id_equal(&first.owner, &record.owner));
}
END_TEST

/* An operator's word stands where it was put, or one withdrawal would be made into many. */
START_TEST(nobody_else_can_say_it_again)
{
    struct revocation_content content = content_of();
    struct withdrawal_wish wish = wish_of();

    ck_assert_int_eq(carry(content, operator_id, false), WITHDRAWAL_MISPLACED);
    ck_assert_int_eq(make(&wish), WITHDRAWAL_OK);
    content = content_of();
    content.revoked_at_ms--;
    ck_assert_int_eq(carry(content, record.owner, true), WITHDRAWAL_MISPLACED);
    content.revoked_at_ms++;
    ck_assert_int_eq(carry(content, record.owner, true), WITHDRAWAL_OK);
}
END_TEST

START_TEST(only_an_operators_key_of_that_time_can_sign)
{
    struct withdrawal_wish wish = wish_of();
    struct identity_key *other = birth_key(51);
    struct id duckling;

    wish.operator_key = other;
    ck_assert_int_eq(make(&wish), WITHDRAWAL_OK);
    ck_assert_int_eq(withdrawal_open(wire, chain, &arena, &record, &said),
                     WITHDRAWAL_BAD_SIGNATURE);
    wish = wish_of();
    wish.until_ms = BORN_MS - 1;
    ck_assert_int_eq(make(&wish), WITHDRAWAL_OK);
    ck_assert_int_eq(withdrawal_open(wire, chain, &arena, &record, &said),
                     WITHDRAWAL_BAD_SIGNATURE);
    wish = wish_of();
    wish.operator_chain = birth_chain(IDENTITY_DUCKLING, 50, 1, &arena, &duckling);
    wish.operator_id = duckling;
    ck_assert_int_eq(make(&wish), WITHDRAWAL_OK);
    ck_assert_int_eq(withdrawal_open(wire, chain, &arena, &record, &said), WITHDRAWAL_NO_OPERATOR);
    wish = wish_of();
    wish.operator_chain = bytes_of_text("no chain");
    ck_assert_int_eq(make(&wish), WITHDRAWAL_OK);
    ck_assert_int_eq(withdrawal_open(wire, chain, &arena, &record, &said), WITHDRAWAL_NO_OPERATOR);
    identity_key_free(other);
}
END_TEST

START_TEST(every_turned_bit_is_refused)
{
    uint8_t *turned = arena_take(&arena, wire.size);
    struct withdrawal read = {.until_ms = 5};

    for (size_t bit = 0; bit < 8 * wire.size; bit += 7) {
        struct arena parsed;

        memcpy(turned, wire.data, wire.size);
        turned[bit / 8] ^= (uint8_t)(1u << bit % 8);
        arena_init(&parsed, MIB);
        ck_assert_int_ne(
            withdrawal_open(bytes_of(turned, wire.size), chain, &parsed, &record, &read),
            WITHDRAWAL_OK);
        arena_free(&parsed);
    }
    ck_assert_uint_eq(read.until_ms, 5); /* refused: nothing is changed */
}
END_TEST

START_TEST(one_that_is_malformed_or_none_says_so)
{
    static const uint8_t large[WITHDRAWAL_SIZE_MAX + 1];
    struct revocation_content content = content_of();
    struct id carrier = record.owner;

    content.withdrawal = bytes_of(large, sizeof large);
    ck_assert_int_eq(carry(content, carrier, true), WITHDRAWAL_TOO_LARGE);
    content.withdrawal.size--;
    ck_assert_int_eq(carry(content, carrier, true), WITHDRAWAL_MALFORMED);
    content.withdrawal.size = 0;
    ck_assert_int_eq(carry(content, carrier, true), WITHDRAWAL_NONE);
    ck_assert_int_eq(withdrawal_open(bytes_of_text("no record"), chain, &arena, &record, &said),
                     WITHDRAWAL_MALFORMED);
}
END_TEST

START_TEST(certificates_that_do_not_fit_a_record_are_refused)
{
    struct withdrawal_wish wish = wish_of();

    wish.operator_chain = birth_chain(IDENTITY_OPERATOR, 50, 20, &arena, &operator_id);
    ck_assert_uint_gt(wish.operator_chain.size, RECORD_SIZE_MAX);
    ck_assert_int_eq(make(&wish), WITHDRAWAL_TOO_LARGE);
    ck_assert_ptr_null(wire.data);
}
END_TEST

START_TEST(each_refusal_has_its_words)
{
    for (int verdict = WITHDRAWAL_OK; verdict <= WITHDRAWAL_MISPLACED; verdict++)
        ck_assert_uint_gt(strlen(withdrawal_verdict_text((enum withdrawal_verdict)verdict)), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("withdrawal");
    TCase *tests = tcase_create("withdrawal");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_withdrawal_comes_back_as_it_was_made);
    tcase_add_test(tests, a_withdrawal_is_these_bytes);
    tcase_add_test(tests, it_is_a_revocation_that_outlives_every_voucher_it_is_about);
    tcase_add_test(tests, two_of_one_operator_stand_side_by_side);
    tcase_add_test(tests, nobody_else_can_say_it_again);
    tcase_add_test(tests, only_an_operators_key_of_that_time_can_sign);
    tcase_add_test(tests, every_turned_bit_is_refused);
    tcase_add_test(tests, one_that_is_malformed_or_none_says_so);
    tcase_add_test(tests, certificates_that_do_not_fit_a_record_are_refused);
    tcase_add_test(tests, each_refusal_has_its_words);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
