/* Whom a closed fleet takes for a member, and why not. */
#include "births.h"
#include "core/fleet.h"
#include "core/intake.h"
#include "core/voucher.h"

#include <sodium.h>
#include <stdlib.h>

#define NETWORK "pond"
#define NOW_MS (BORN_MS + HOUR_MS)
#define ENDS_MS (NOW_MS + 10 * DAY_MS)
#define OPERATOR 100
#define OTHER 200
#define NODE 300

static struct arena arena;
static struct fleet fleet;
static struct id operators[2], node;
static struct bytes operator_chains[2], node_chain;

static void set_up(void)
{
    ck_assert(identity_self_test());
    arena_init(&arena, 4 * MIB);
    operator_chains[0] = birth_chain(IDENTITY_OPERATOR, OPERATOR, 1, &arena, &operators[0]);
    operator_chains[1] = birth_chain(IDENTITY_OPERATOR, OTHER, 1, &arena, &operators[1]);
    node_chain = birth_chain(IDENTITY_NODE, NODE, 1, &arena, &node);
    fleet = (struct fleet){.operators = {operators[0]},
                           .count = 1,
                           .withdrawals = withdrawals_new(&(struct withdrawals_settings){0})};
}

static void tear_down(void)
{
    withdrawals_free(fleet.withdrawals);
    arena_free(&arena);
}

static struct voucher usual(void)
{
    return (struct voucher){.network = bytes_of_text(NETWORK),
                            .operator_id = operators[0],
                            .subject = node,
                            .issued_ms = NOW_MS - HOUR_MS,
                            .not_after_ms = ENDS_MS};
}

static struct node_content shown(struct voucher voucher, size_t by)
{
    struct identity_key *key = birth_key(by ? OTHER : OPERATOR);
    struct node_content content = {.session_not_after_ms = ENDS_MS,
                                   .voucher_chain = operator_chains[by]};
    struct bytes body;

    voucher.operator_id = operators[by];
    ck_assert_int_eq(voucher_pack(&voucher, &arena, &body), VOUCHER_OK);
    content.voucher = envelope_seal(ENVELOPE_VOUCHER, &operators[by], key, body, &arena, NULL);
    identity_key_free(key);
    return content;
}

static enum fleet_verdict judged(const struct node_content *content, uint64_t ends_ms,
                                 uint64_t wall_ms)
{
    struct record record = {
        .network = bytes_of_text(NETWORK), .owner = node, .not_after_ms = ends_ms};

    return fleet_judge(&fleet, &record, content, wall_ms);
}

static enum fleet_verdict judge_voucher(struct voucher voucher)
{
    struct node_content content = shown(voucher, 0);

    return judged(&content, NOW_MS + DAY_MS, NOW_MS);
}

START_TEST(whom_an_operator_of_the_fleet_vouches_for_is_a_member)
{
    struct node_content content = shown(usual(), 0), theirs = shown(usual(), 1);

    ck_assert_int_eq(judged(&content, NOW_MS + DAY_MS, NOW_MS), FLEET_MEMBER);
    ck_assert_int_eq(judged(&theirs, NOW_MS + DAY_MS, NOW_MS), FLEET_OTHER_OPERATOR);
    fleet.operators[fleet.count++] = operators[1];
    ck_assert_int_eq(judged(&theirs, NOW_MS + DAY_MS, NOW_MS), FLEET_MEMBER);
}
END_TEST

START_TEST(an_open_network_asks_for_nothing)
{
    struct record record = {.network = bytes_of_text(NETWORK), .owner = node};
    struct node_content none = {0};

    ck_assert_int_eq(judged(&none, NOW_MS, NOW_MS), FLEET_NO_VOUCHER);
    fleet.count = 0;
    ck_assert_int_eq(judged(&none, NOW_MS, NOW_MS), FLEET_MEMBER);
    ck_assert_int_eq(fleet_judge(NULL, &record, &none, NOW_MS), FLEET_MEMBER);
}
END_TEST

START_TEST(a_voucher_is_for_one_node_of_one_network)
{
    struct voucher other_node = usual(), other_network = usual();

    other_node.subject.bytes[0] ^= 1;
    other_network.network = bytes_of_text("lake");
    ck_assert_int_eq(judge_voucher(other_node), FLEET_OTHER_NODE);
    ck_assert_int_eq(judge_voucher(other_network), FLEET_OTHER_NODE);
}
END_TEST

START_TEST(it_counts_from_its_issue_to_its_end_and_no_record_outlives_it)
{
    struct node_content content = shown(usual(), 0);
    struct voucher early = usual();

    ck_assert_int_eq(judged(&content, ENDS_MS, ENDS_MS - 1), FLEET_MEMBER);
    ck_assert_int_eq(judged(&content, ENDS_MS, ENDS_MS), FLEET_OVER);
    ck_assert_int_eq(judged(&content, ENDS_MS + 1, NOW_MS), FLEET_OVER);
    early.issued_ms = NOW_MS + CLOCK_SKEW_MAX_MS;
    ck_assert_int_eq(judge_voucher(early), FLEET_MEMBER);
    early.issued_ms++;
    ck_assert_int_eq(judge_voucher(early), FLEET_OVER);
}
END_TEST

START_TEST(a_turned_bit_is_refused)
{
    struct node_content content = shown(usual(), 0);

    for (size_t bit = 0; bit < 8 * content.voucher.size; bit += 5) {
        uint8_t *data = (uint8_t *)(uintptr_t)content.voucher.data;

        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_ne(judged(&content, NOW_MS + DAY_MS, NOW_MS), FLEET_MEMBER);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    content.voucher_chain = operator_chains[1];
    ck_assert_int_eq(judged(&content, NOW_MS + DAY_MS, NOW_MS), FLEET_BAD_VOUCHER);
    content.voucher_chain = bytes_of(NULL, 0);
    ck_assert_int_eq(judged(&content, NOW_MS + DAY_MS, NOW_MS), FLEET_BAD_VOUCHER);
}
END_TEST

/* ---- what was taken back ---- */

static void take_back(size_t by, const struct id *subject, uint64_t until_ms)
{
    struct withdrawn withdrawn = {operators[by], *subject, until_ms};

    fleet_take_back(&fleet, &withdrawn, NOW_MS);
}

static struct id somebody(uint32_t number)
{
    struct id id = {{0}};

    memcpy(id.bytes, &number, sizeof number);
    id.bytes[19] = 1;
    return id;
}

START_TEST(a_voucher_that_was_taken_back_makes_no_member_and_a_newer_one_does)
{
    struct voucher newer = usual();

    take_back(0, &node, usual().issued_ms - 1);
    ck_assert(fleet_doubts(&fleet, &node));
    ck_assert_int_eq(judge_voucher(usual()), FLEET_MEMBER);
    take_back(0, &node, usual().issued_ms);
    ck_assert_int_eq(judge_voucher(usual()), FLEET_TAKEN_BACK);
    newer.issued_ms++;
    ck_assert_int_eq(judge_voucher(newer), FLEET_MEMBER);
    take_back(0, &node, usual().issued_ms - 1); /* an older one comes late */
    ck_assert_int_eq(judge_voucher(usual()), FLEET_TAKEN_BACK);
}
END_TEST

START_TEST(an_operator_takes_back_its_own_word_about_that_node_and_nothing_else)
{
    struct id another = somebody(1);

    take_back(1, &node, NOW_MS); /* no operator of the fleet */
    take_back(0, &another, NOW_MS);
    ck_assert(!fleet_doubts(&fleet, &node));
    ck_assert(fleet_doubts(&fleet, &another));
    ck_assert_int_eq(judge_voucher(usual()), FLEET_MEMBER);
    fleet.operators[fleet.count++] = operators[1];
    take_back(1, &node, NOW_MS);
    ck_assert(fleet_doubts(&fleet, &node));
    ck_assert_int_eq(judge_voucher(usual()), FLEET_MEMBER); /* the first one's word stands */
    ck_assert(!fleet_doubts(NULL, &node));
}
END_TEST

START_TEST(of_an_operator_that_took_back_too_much_nothing_counts)
{
    struct id last = somebody(WITHDRAWALS_PER_OPERATOR_MAX);
    struct node_content content = shown(usual(), 0);

    for (uint32_t i = 0; i < WITHDRAWALS_PER_OPERATOR_MAX; i++) {
        struct id subject = somebody(i);

        take_back(0, &subject, NOW_MS - DAY_MS);
    }
    ck_assert_int_eq(judge_voucher(usual()), FLEET_MEMBER);
    take_back(0, &last, NOW_MS - HOUR_MS);
    ck_assert_int_eq(judge_voucher(usual()), FLEET_TAKEN_BACK);
    ck_assert(fleet_doubts(&fleet, &node));
    /* When the last one has ended there is none that is not known. */
    ck_assert_uint_eq(withdrawals_until_ms(fleet.withdrawals, &operators[0], &node,
                                           NOW_MS - HOUR_MS + WITHDRAWAL_LIFE_MS - 1),
                      MOMENT_NEVER);
    ck_assert_uint_eq(withdrawals_until_ms(fleet.withdrawals, &operators[0], &node,
                                           NOW_MS - HOUR_MS + WITHDRAWAL_LIFE_MS),
                      0);
    ck_assert_int_eq(judged(&content, NOW_MS + DAY_MS, NOW_MS), FLEET_TAKEN_BACK);
}
END_TEST

START_TEST(what_has_ended_leaves_room_for_what_is_new)
{
    struct id last = somebody(WITHDRAWALS_PER_OPERATOR_MAX);

    for (uint32_t i = 0; i < WITHDRAWALS_PER_OPERATOR_MAX; i++) {
        struct id subject = somebody(i);

        take_back(0, &subject, NOW_MS - WITHDRAWAL_LIFE_MS);
    }
    take_back(0, &last, NOW_MS);
    ck_assert_int_eq(judge_voucher(usual()), FLEET_MEMBER);
    ck_assert_uint_eq(withdrawals_until_ms(fleet.withdrawals, &operators[0], &last, NOW_MS),
                      NOW_MS);
}
END_TEST

/* ---- what the intake makes of node records ---- */

static enum intake_verdict received(const struct node_content *content, bool deleted,
                                    char reason[160])
{
    struct keyring *ring = keyring_new(8);
    struct intake_settings settings = {
        .network = bytes_of_text(NETWORK), .keyring = ring, .fleet = &fleet};
    struct intake *intake = intake_new(&settings);
    struct record record = {.network = bytes_of_text(NETWORK),
                            .owner = node,
                            .kind = RECORD_NODE,
                            .version = {NOW_MS, 0},
                            .not_after_ms = NOW_MS + DAY_MS,
                            .deleted = deleted};
    struct identity_key *key = birth_key(NODE);
    enum intake_verdict verdict;
    struct bytes body, wire;
    struct event event;
    size_t refused;
    struct id peck;

    if (!deleted)
        record.content = node_content_pack(content, &arena);
    ck_assert_int_eq(record_pack(&record, &arena, &body), RECORD_OK);
    wire = envelope_seal(ENVELOPE_RECORD, &node, key, body, &arena, NULL);
    verdict = intake_open(intake, FRAME_RECORDS, frame_pack_records(&node_chain, &wire, 1, &arena),
                          NOW_MS, &arena, &event, &peck, &refused, reason);
    identity_key_free(key);
    intake_free(intake);
    keyring_free(ring);
    return verdict;
}

START_TEST(the_node_record_of_no_member_is_refused_which_is_no_offence_of_who_relays_it)
{
    struct node_content content = shown(usual(), 0), none = {.session_not_after_ms = ENDS_MS};
    char reason[160];

    ck_assert_int_eq(received(&content, false, reason), INTAKE_TAKEN);
    ck_assert_int_eq(received(&none, false, reason), INTAKE_NO_MEMBER);
    ck_assert_str_eq(reason, fleet_verdict_text(FLEET_NO_VOUCHER));
    ck_assert(!intake_verdict_offends(INTAKE_NO_MEMBER));
    ck_assert_int_eq(received(&none, true, reason), INTAKE_TAKEN); /* that it left */
    take_back(0, &node, NOW_MS);
    ck_assert_int_eq(received(&content, false, reason), INTAKE_NO_MEMBER);
    ck_assert_str_eq(reason, fleet_verdict_text(FLEET_TAKEN_BACK));
    fleet.count = 0;
    ck_assert_int_eq(received(&none, false, reason), INTAKE_TAKEN);
}
END_TEST

START_TEST(every_verdict_has_its_words)
{
    for (int verdict = FLEET_MEMBER; verdict <= FLEET_TAKEN_BACK; verdict++)
        for (int other = FLEET_MEMBER; other < verdict; other++)
            ck_assert_str_ne(fleet_verdict_text((enum fleet_verdict)verdict),
                             fleet_verdict_text((enum fleet_verdict)other));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fleet");
    TCase *tests = tcase_create("fleet");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, whom_an_operator_of_the_fleet_vouches_for_is_a_member);
    tcase_add_test(tests, an_open_network_asks_for_nothing);
    tcase_add_test(tests, a_voucher_is_for_one_node_of_one_network);
    tcase_add_test(tests, it_counts_from_its_issue_to_its_end_and_no_record_outlives_it);
    tcase_add_test(tests, a_turned_bit_is_refused);
    tcase_add_test(tests, a_voucher_that_was_taken_back_makes_no_member_and_a_newer_one_does);
    tcase_add_test(tests, an_operator_takes_back_its_own_word_about_that_node_and_nothing_else);
    tcase_add_test(tests, of_an_operator_that_took_back_too_much_nothing_counts);
    tcase_add_test(tests, what_has_ended_leaves_room_for_what_is_new);
    tcase_add_test(tests,
                   the_node_record_of_no_member_is_refused_which_is_no_offence_of_who_relays_it);
    tcase_add_test(tests, every_verdict_has_its_words);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
