#include "core/receipt.h"
#include "wire/receipt.pb-c.h"

#include <check.h>
#include <stdlib.h>

#define NOW_MS 1790000000000ull

static struct arena arena;

static void set_up(void)
{
    arena_init(&arena, 16 * MIB);
}

static void tear_down(void)
{
    arena_free(&arena);
}

static struct bytes filled(size_t size, char filler)
{
    char *data = arena_take(&arena, size + 1);

    memset(data, filler, size + 1);
    return bytes_of(data, size);
}

static struct receipt said(enum receipt_kind kind, enum peck_state state)
{
    struct receipt receipt = {
        .network = bytes_of_text("pond"),
        .peck = {{7, 8, 9}},
        .from = {{1}},
        .to = {{2}},
        .kind = kind,
        .state = state,
        .at_ms = NOW_MS,
    };

    if (kind == RECEIPT_DONE && state == PECK_APPROVED) {
        receipt.scopes[0] = bytes_of_text("data.*");
        receipt.scope_count = 1;
        receipt.bond_not_after_ms = NOW_MS + BOND_LIFE_MS;
    }
    return receipt;
}

static enum receipt_verdict parse(struct bytes body, struct receipt *receipt)
{
    static struct arena parsed;

    arena_free(&parsed);
    arena_init(&parsed, PARSE_BUDGET(body.size));
    return receipt_parse(body, &parsed, receipt);
}

static ProtobufCBinaryData lent(struct bytes bytes)
{
    return (ProtobufCBinaryData){bytes.size, (uint8_t *)(uintptr_t)bytes.data};
}

/* As it would be on the wire, whether it holds or not. */
static struct bytes wire_of(struct receipt *receipt)
{
    Duck__ReceiptBody message = DUCK__RECEIPT_BODY__INIT;
    ProtobufCBinaryData scopes[PECK_SCOPES_MAX + 1], stop_words[BOND_STOP_WORDS_MAX];
    uint8_t *data;

    message.network = lent(receipt->network);
    message.peck = (ProtobufCBinaryData){HASH_SIZE, receipt->peck.bytes};
    message.from = (ProtobufCBinaryData){ID_SIZE, receipt->from.bytes};
    message.to = (ProtobufCBinaryData){ID_SIZE, receipt->to.bytes};
    message.kind = (uint32_t)receipt->kind;
    message.state = (uint32_t)receipt->state;
    message.result = lent(receipt->result);
    message.problem = lent(receipt->problem);
    message.at_ms = receipt->at_ms;
    for (size_t i = 0; i < receipt->scope_count; i++)
        scopes[i] = lent(receipt->scopes[i < PECK_SCOPES_MAX ? i : 0]);
    message.n_scopes = receipt->scope_count;
    message.scopes = scopes;
    message.bond_not_after_ms = receipt->bond_not_after_ms;
    message.bond_rounds = receipt->terms.rounds;
    for (size_t i = 0; i < receipt->terms.stop_word_count; i++)
        stop_words[i] = lent(receipt->terms.stop_words[i]);
    message.n_bond_stop_words = receipt->terms.stop_word_count;
    message.bond_stop_words = stop_words;
    message.charged = receipt->charged;
    data = arena_take(&arena, duck__receipt_body__get_packed_size(&message) + 1);
    return bytes_of(data, duck__receipt_body__pack(&message, data));
}

/* What one side refuses to say, the other refuses to hear. */
static enum receipt_verdict verdict_of(struct receipt receipt)
{
    struct receipt parsed = {.scope_count = 4711};
    struct bytes body;
    enum receipt_verdict made = receipt_pack(&receipt, &arena, &body);
    enum receipt_verdict heard = parse(wire_of(&receipt), &parsed);

    ck_assert(made == RECEIPT_OK || body.data == NULL);
    ck_assert_int_eq(made == RECEIPT_OK, heard == RECEIPT_OK);
    if (heard != RECEIPT_OK)
        ck_assert_uint_eq(parsed.scope_count, 4711); /* a refusal writes nothing */
    return heard;
}

START_TEST(a_receipt_comes_back_as_it_went)
{
    struct receipt receipt = said(RECEIPT_DONE, PECK_ANSWERED), parsed;
    struct bytes body;

    receipt.result = bytes_of_text("{\"rows\": []}");
    ck_assert_int_eq(receipt_pack(&receipt, &arena, &body), RECEIPT_OK);
    ck_assert_int_eq(parse(body, &parsed), RECEIPT_OK);
    ck_assert(bytes_equal(parsed.network, receipt.network));
    ck_assert(hash_equal(&parsed.peck, &receipt.peck));
    ck_assert(id_equal(&parsed.from, &receipt.from) && id_equal(&parsed.to, &receipt.to));
    ck_assert_int_eq(parsed.kind, RECEIPT_DONE);
    ck_assert_int_eq(parsed.state, PECK_ANSWERED);
    ck_assert(bytes_equal(parsed.result, receipt.result));
    ck_assert_uint_eq(parsed.problem.size, 0);
    ck_assert_uint_eq(parsed.at_ms, NOW_MS);
    ck_assert_uint_eq(parsed.scope_count, 0);
}
END_TEST

START_TEST(an_approval_carries_the_bond)
{
    struct receipt receipt = said(RECEIPT_DONE, PECK_APPROVED), parsed;
    struct bytes body;

    ck_assert_int_eq(receipt_pack(&receipt, &arena, &body), RECEIPT_OK);
    ck_assert_int_eq(parse(body, &parsed), RECEIPT_OK);
    ck_assert_uint_eq(parsed.scope_count, 1);
    ck_assert(bytes_equal(parsed.scopes[0], bytes_of_text("data.*")));
    ck_assert_uint_eq(parsed.bond_not_after_ms, receipt.bond_not_after_ms);
}
END_TEST

START_TEST(an_approval_carries_the_terms_of_the_bond)
{
    struct receipt receipt = said(RECEIPT_DONE, PECK_APPROVED), parsed;
    struct bytes body;

    receipt.terms = (struct bond_terms){.per_minute = BOND_PER_MINUTE_MAX,
                                        .per_day = BOND_PER_DAY_MAX,
                                        .budget = BOND_BUDGET_MAX,
                                        .rounds = BOND_ROUNDS_MAX,
                                        .cool_down_ms = BOND_COOL_DOWN_MAX_MS,
                                        .muted_until_ms = MUTE_LATEST_MS,
                                        .stop_word_count = BOND_STOP_WORDS_MAX};
    for (size_t i = 0; i < BOND_STOP_WORDS_MAX; i++)
        receipt.terms.stop_words[i] = filled(BOND_STOP_WORD_MAX, (char)('a' + i));
    ck_assert_int_eq(receipt_pack(&receipt, &arena, &body), RECEIPT_OK);
    ck_assert_int_eq(parse(body, &parsed), RECEIPT_OK);
    ck_assert_uint_eq(parsed.terms.per_minute, BOND_PER_MINUTE_MAX);
    ck_assert_uint_eq(parsed.terms.per_day, BOND_PER_DAY_MAX);
    ck_assert_uint_eq(parsed.terms.budget, BOND_BUDGET_MAX);
    ck_assert_uint_eq(parsed.terms.rounds, BOND_ROUNDS_MAX);
    ck_assert_uint_eq(parsed.terms.cool_down_ms, BOND_COOL_DOWN_MAX_MS);
    ck_assert_uint_eq(parsed.terms.muted_until_ms, MUTE_LATEST_MS);
    ck_assert_uint_eq(parsed.terms.stop_word_count, BOND_STOP_WORDS_MAX);
    for (size_t i = 0; i < BOND_STOP_WORDS_MAX; i++)
        ck_assert(bytes_equal(parsed.terms.stop_words[i], receipt.terms.stop_words[i]));
}
END_TEST

START_TEST(terms_that_no_bond_can_have_are_refused)
{
    struct receipt receipt = said(RECEIPT_DONE, PECK_APPROVED);

    receipt.terms.rounds = BOND_ROUNDS_MAX + 1;
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_BAD_TERMS);
    receipt = said(RECEIPT_DONE, PECK_APPROVED);
    receipt.terms.stop_words[0] = bytes_of_text("two\nlines");
    receipt.terms.stop_word_count = 1;
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_BAD_TERMS);
    receipt = said(RECEIPT_DONE, PECK_ANSWERED);
    receipt.terms.rounds = 1; /* an answer makes no bond */
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_MALFORMED);
}
END_TEST

START_TEST(only_an_answer_costs_something_and_not_too_much)
{
    struct receipt receipt = said(RECEIPT_DONE, PECK_ANSWERED), parsed;
    struct bytes body;

    receipt.charged = ANSWER_CHARGE_MAX;
    ck_assert_int_eq(receipt_pack(&receipt, &arena, &body), RECEIPT_OK);
    ck_assert_int_eq(parse(body, &parsed), RECEIPT_OK);
    ck_assert_uint_eq(parsed.charged, ANSWER_CHARGE_MAX);
    receipt.charged++;
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_BAD_TERMS);
    receipt = said(RECEIPT_DONE, PECK_FAILED);
    receipt.charged = 1;
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_MALFORMED);
}
END_TEST

START_TEST(each_kind_says_its_own_states_only)
{
    for (int kind = 1; kind <= 2; kind++)
        for (int state = 0; state <= 12; state++) {
            bool is_taken = state == PECK_TAKEN || state == PECK_PENDING || state == PECK_APPROVED;
            bool is_done = state == PECK_APPROVED || state == PECK_DENIED ||
                           state == PECK_ANSWERED || state == PECK_FAILED || state == PECK_EXPIRED;
            bool can_be = kind == RECEIPT_TAKEN ? is_taken : is_done;
            enum receipt_verdict verdict =
                verdict_of(said((enum receipt_kind)kind, (enum peck_state)state));

            ck_assert_msg((verdict == RECEIPT_OK) == can_be, "%d says %d: %s", kind, state,
                          receipt_verdict_text(verdict));
            if (!can_be && state >= PECK_QUEUED && state <= PECK_CANCELLED)
                ck_assert_int_eq(verdict, RECEIPT_BAD_STATE);
        }
    ck_assert_int_eq(verdict_of(said((enum receipt_kind)0, PECK_TAKEN)), RECEIPT_MALFORMED);
    ck_assert_int_eq(verdict_of(said((enum receipt_kind)3, PECK_TAKEN)), RECEIPT_MALFORMED);
}
END_TEST

START_TEST(a_result_goes_with_an_answer_only)
{
    static const enum peck_state others[] = {PECK_DENIED, PECK_FAILED, PECK_EXPIRED, PECK_APPROVED};
    struct receipt receipt = said(RECEIPT_DONE, PECK_ANSWERED);

    ck_assert_int_eq(verdict_of(receipt), RECEIPT_OK); /* an answer may be empty */
    receipt.result = bytes_of_text("{}");
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_OK);
    for (size_t i = 0; i < 4; i++) {
        receipt = said(RECEIPT_DONE, others[i]);
        receipt.result = bytes_of_text("{}");
        ck_assert_int_eq(verdict_of(receipt), RECEIPT_MALFORMED);
    }
    receipt = said(RECEIPT_TAKEN, PECK_TAKEN);
    receipt.result = bytes_of_text("{}");
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_MALFORMED);
}
END_TEST

START_TEST(a_problem_goes_with_what_failed_only)
{
    static const enum peck_state failed[] = {PECK_DENIED, PECK_FAILED, PECK_EXPIRED};
    struct receipt receipt;

    for (size_t i = 0; i < 3; i++) {
        receipt = said(RECEIPT_DONE, failed[i]);
        receipt.problem = bytes_of_text("no\n\tbecause of caf\xC3\xA9");
        ck_assert_int_eq(verdict_of(receipt), RECEIPT_OK);
        receipt.problem = bytes_of_text("\xFF");
        ck_assert_int_eq(verdict_of(receipt), RECEIPT_BAD_TEXT);
        receipt.problem = bytes_of_text("\x1B[2J"); /* would clear a terminal */
        ck_assert_int_eq(verdict_of(receipt), RECEIPT_BAD_TEXT);
    }
    receipt = said(RECEIPT_DONE, PECK_ANSWERED);
    receipt.problem = bytes_of_text("none");
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_MALFORMED);
    receipt = said(RECEIPT_TAKEN, PECK_PENDING);
    receipt.problem = bytes_of_text("none");
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_MALFORMED);
}
END_TEST

START_TEST(a_bond_goes_with_the_approval_of_a_request_only)
{
    struct receipt receipt = said(RECEIPT_DONE, PECK_APPROVED);

    receipt.scope_count = 0;
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_MALFORMED);
    receipt = said(RECEIPT_DONE, PECK_APPROVED);
    receipt.bond_not_after_ms = 0;
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_MALFORMED);
    receipt.bond_not_after_ms = NOW_MS; /* over before it began */
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_MALFORMED);
    receipt.bond_not_after_ms = NOW_MS + 1;
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_OK);
    receipt.scopes[0] = bytes_of_text("Data");
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_BAD_TEXT);
    receipt = said(RECEIPT_TAKEN, PECK_APPROVED); /* of an action */
    receipt.bond_not_after_ms = NOW_MS + 1;
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_MALFORMED);
    receipt = said(RECEIPT_TAKEN, PECK_APPROVED);
    receipt.scopes[0] = bytes_of_text("data");
    receipt.scope_count = 1;
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_MALFORMED);
}
END_TEST

START_TEST(every_field_has_its_limit)
{
    struct receipt receipt = said(RECEIPT_DONE, PECK_ANSWERED);

    receipt.result = filled(PECK_PAYLOAD_MAX, '1');
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_OK);
    receipt.result = filled(PECK_PAYLOAD_MAX + 1, '1');
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_TOO_LARGE);
    receipt = said(RECEIPT_DONE, PECK_FAILED);
    receipt.problem = filled(RECEIPT_PROBLEM_MAX, 'p');
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_OK);
    receipt.problem = filled(RECEIPT_PROBLEM_MAX + 1, 'p');
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_TOO_LARGE);
    receipt = said(RECEIPT_TAKEN, PECK_TAKEN);
    receipt.network = filled(NETWORK_ID_MAX, 'n');
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_OK);
    receipt.network = filled(NETWORK_ID_MAX + 1, 'n');
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_MALFORMED);
    receipt.network.size = 0;
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_MALFORMED);
    receipt = said(RECEIPT_TAKEN, PECK_TAKEN);
    receipt.at_ms = 0;
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_MALFORMED);
    receipt = said(RECEIPT_DONE, PECK_APPROVED);
    for (size_t i = 0; i < PECK_SCOPES_MAX; i++)
        receipt.scopes[i] = filled(PECK_ACTION_MAX, 's');
    receipt.scope_count = PECK_SCOPES_MAX;
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_OK);
    receipt.scope_count++;
    ck_assert_int_eq(verdict_of(receipt), RECEIPT_MALFORMED);
}
END_TEST

START_TEST(hash_and_ids_have_exact_lengths)
{
    static uint8_t zeros[HASH_SIZE + 1];
    struct receipt receipt = said(RECEIPT_TAKEN, PECK_TAKEN);
    struct bytes body = wire_of(&receipt);
    Duck__ReceiptBody *message = duck__receipt_body__unpack(NULL, body.size, body.data);
    ProtobufCBinaryData *fields[3];

    ck_assert_ptr_nonnull(message);
    fields[0] = &message->peck;
    fields[1] = &message->from;
    fields[2] = &message->to;
    for (size_t i = 0; i < 3; i++) {
        ProtobufCBinaryData right = *fields[i];

        for (size_t length = 0; length <= HASH_SIZE + 1; length++) {
            uint8_t *data = arena_take(&arena, 512);

            *fields[i] = (ProtobufCBinaryData){length, zeros};
            ck_assert_int_eq(
                parse(bytes_of(data, duck__receipt_body__pack(message, data)), &receipt),
                length == right.len ? RECEIPT_OK : RECEIPT_MALFORMED);
        }
        *fields[i] = right;
    }
    duck__receipt_body__free_unpacked(message, NULL);
}
END_TEST

START_TEST(a_cut_body_is_refused_wherever_it_is_cut)
{
    struct receipt receipt = said(RECEIPT_DONE, PECK_APPROVED);
    struct bytes body;

    receipt_pack(&receipt, &arena, &body); /* the bond's end stands last */
    for (size_t size = 0; size < body.size; size++)
        ck_assert_int_ne(parse(bytes_of(body.data, size), &receipt), RECEIPT_OK);
}
END_TEST

START_TEST(a_body_over_its_size_is_not_even_parsed)
{
    uint8_t *data = arena_take(&arena, RECEIPT_BODY_MAX + 1);
    struct receipt receipt;

    memset(data, 0xFF, RECEIPT_BODY_MAX + 1);
    ck_assert_int_eq(parse(bytes_of(data, RECEIPT_BODY_MAX + 1), &receipt), RECEIPT_TOO_LARGE);
    ck_assert_int_eq(parse(bytes_of(data, RECEIPT_BODY_MAX), &receipt), RECEIPT_MALFORMED);
}
END_TEST

START_TEST(kinds_and_verdicts_have_their_words)
{
    ck_assert_str_eq(receipt_kind_name(RECEIPT_TAKEN), "taken");
    ck_assert_str_eq(receipt_kind_name(RECEIPT_DONE), "done");
    for (int i = RECEIPT_OK; i <= RECEIPT_BAD_TEXT; i++)
        ck_assert_uint_gt(strlen(receipt_verdict_text((enum receipt_verdict)i)), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("receipt");
    TCase *tests = tcase_create("receipt");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_receipt_comes_back_as_it_went);
    tcase_add_test(tests, an_approval_carries_the_bond);
    tcase_add_test(tests, an_approval_carries_the_terms_of_the_bond);
    tcase_add_test(tests, terms_that_no_bond_can_have_are_refused);
    tcase_add_test(tests, only_an_answer_costs_something_and_not_too_much);
    tcase_add_test(tests, each_kind_says_its_own_states_only);
    tcase_add_test(tests, a_result_goes_with_an_answer_only);
    tcase_add_test(tests, a_problem_goes_with_what_failed_only);
    tcase_add_test(tests, a_bond_goes_with_the_approval_of_a_request_only);
    tcase_add_test(tests, every_field_has_its_limit);
    tcase_add_test(tests, hash_and_ids_have_exact_lengths);
    tcase_add_test(tests, a_cut_body_is_refused_wherever_it_is_cut);
    tcase_add_test(tests, a_body_over_its_size_is_not_even_parsed);
    tcase_add_test(tests, kinds_and_verdicts_have_their_words);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
