/* A member of a closed fleet whose operator takes its word back: who hears of it lets go of the member. */
#include "births.h"
#include "core/agent_parts.h"
#include "core/voucher.h"

#include <check.h>
#include <stdlib.h>

#define NETWORK "pond"
#define OPERATOR 100
#define SELF 300
#define MEMBER 400
#define NOW_MS (BORN_MS + HOUR_MS)
#define VOUCHED_MS (BORN_MS + MINUTE_MS)

static struct agent *agent;
static struct fleet fleet;
static struct identity_key *key;
static struct arena arena;
static struct effects effects;
static struct id operator_id, self, member;
static struct bytes operator_chain, member_chain;
static struct moment at;

static struct node_content shown(const struct id *subject, uint64_t issued_ms)
{
    struct identity_key *operator_key = birth_key(OPERATOR);
    struct node_content content = {.session_not_after_ms = NOW_MS + DAY_MS,
                                   .voucher_chain = operator_chain};
    struct voucher voucher = {.network = bytes_of_text(NETWORK),
                              .operator_id = operator_id,
                              .subject = *subject,
                              .issued_ms = issued_ms,
                              .not_after_ms = issued_ms + 10 * DAY_MS};
    struct bytes body;

    ck_assert_int_eq(voucher_pack(&voucher, &arena, &body), VOUCHER_OK);
    content.voucher =
        envelope_seal(ENVELOPE_VOUCHER, &operator_id, operator_key, body, &arena, NULL);
    identity_key_free(operator_key);
    return content;
}

static void step(struct event *event)
{
    event->at = at;
    effects_clear(&effects);
    agent_step(agent, event, &effects);
    agent_settle(agent, &at, &effects);
}

static size_t count(enum effect_kind kind)
{
    size_t found = 0;

    for (size_t i = 0; i < effects.count; i++)
        found += effects.list[i].kind == kind;
    return found;
}

static void offer(struct offered_record *offered)
{
    struct event event = {.kind = EVENT_RECORDS};

    event.records.items = offered;
    event.records.count = 1;
    step(&event);
}

/* Its node record with a voucher of that date: as the intake lets it through. */
static void say_member(uint64_t issued_ms, uint64_t version_ms)
{
    struct node_content content = shown(&member, issued_ms);
    struct offered_record offered = {.chain = member_chain};

    offered.wire = bytes_of_text("its bytes are for the store alone");
    offered.record = (struct record){.network = bytes_of_text(NETWORK),
                                     .owner = member,
                                     .kind = RECORD_NODE,
                                     .version = {version_ms, 0},
                                     .not_after_ms = version_ms + DAY_MS,
                                     .content = node_content_pack(&content, &arena)};
    memcpy(offered.record.hash.bytes, &version_ms, sizeof version_ms);
    offer(&offered);
}

static void take_back(const struct id *subject, uint64_t until_ms)
{
    struct revocation_content content = {.revoked_at_ms = until_ms};
    struct offered_record offered = {.withdrawn = {operator_id, *subject, until_ms}};
    struct id carrier;

    offered.chain =
        birth_chain(IDENTITY_OPERATOR, 500 + (uint32_t)subject->bytes[0], 1, &arena, &carrier);
    offered.wire = bytes_of_text("its bytes are for the store alone");
    content.subject = carrier;
    offered.record = (struct record){.network = bytes_of_text(NETWORK),
                                     .owner = carrier,
                                     .kind = RECORD_REVOCATION,
                                     .version = {until_ms, 0},
                                     .not_after_ms = until_ms + WITHDRAWAL_LIFE_MS,
                                     .content = revocation_content_pack(&content, &arena)};
    offered.record.hash.bytes[0] = 77;
    offer(&offered);
}

static void link_up(void)
{
    step(&(struct event){.kind = EVENT_LINK_UP, .node = member});
}

static void set_up(void)
{
    struct agent_settings settings = {.network = bytes_of_text(NETWORK),
                                      .session_not_after_ms = NOW_MS + DAY_MS,
                                      .fleet = &fleet};
    struct node_content own;

    ck_assert(identity_self_test());
    arena_init(&arena, 4 * MIB);
    effects_init(&effects);
    at = (struct moment){.now_ms = HOUR_MS, .wall_ms = NOW_MS};
    operator_chain = birth_chain(IDENTITY_OPERATOR, OPERATOR, 1, &arena, &operator_id);
    member_chain = birth_chain(IDENTITY_NODE, MEMBER, 1, &arena, &member);
    settings.node_chain = birth_chain(IDENTITY_NODE, SELF, 1, &arena, &self);
    settings.node_key = key = birth_key(SELF);
    own = shown(&self, VOUCHED_MS);
    settings.voucher = own.voucher;
    settings.voucher_chain = own.voucher_chain;
    settings.voucher_not_after_ms = VOUCHED_MS + 10 * DAY_MS;
    fleet = (struct fleet){.operators = {operator_id},
                           .count = 1,
                           .withdrawals = withdrawals_new(&(struct withdrawals_settings){0})};
    agent = agent_new(&settings);
    step(&(struct event){.kind = EVENT_START});
    say_member(VOUCHED_MS, NOW_MS - SECOND_MS);
    link_up();
    ck_assert(gossip_is_linked(agent->gossip, &member));
    ck_assert_uint_eq(count(EFFECT_HANG_UP), 0);
}

static void tear_down(void)
{
    agent_free(agent);
    withdrawals_free(fleet.withdrawals);
    identity_key_free(key);
    effects_free(&effects);
    arena_free(&arena);
}

static bool is_held(void)
{
    return directory_find(agent->directory, &member, RECORD_NODE) != NULL;
}

START_TEST(its_link_ends_and_its_record_goes)
{
    struct gossip_contact contact;

    ck_assert(agent_find_contact(agent, &member, &contact));
    take_back(&member, VOUCHED_MS);
    ck_assert_uint_eq(count(EFFECT_HANG_UP), 1);
    ck_assert_uint_eq(count(EFFECT_DROP_RECORD), 1);
    ck_assert(!is_held());
    ck_assert(!agent_find_contact(agent, &member, &contact));
}
END_TEST

START_TEST(a_link_whose_handshake_had_begun_before_is_hung_up_on)
{
    take_back(&member, VOUCHED_MS);
    step(&(struct event){.kind = EVENT_LINK_DOWN, .node = member, .link = {.goodbye = true}});
    link_up();
    ck_assert_uint_eq(count(EFFECT_HANG_UP), 1);
    ck_assert(!gossip_is_linked(agent->gossip, &member));
}
END_TEST

START_TEST(a_record_that_was_judged_before_is_not_held)
{
    take_back(&member, VOUCHED_MS);
    say_member(VOUCHED_MS, NOW_MS);
    ck_assert(!is_held());
}
END_TEST

START_TEST(a_newer_voucher_makes_it_a_member_again)
{
    take_back(&member, VOUCHED_MS);
    step(&(struct event){.kind = EVENT_LINK_DOWN, .node = member, .link = {.goodbye = true}});
    say_member(VOUCHED_MS + 1, NOW_MS);
    ck_assert(is_held());
    link_up();
    ck_assert_uint_eq(count(EFFECT_HANG_UP), 0);
    ck_assert(gossip_is_linked(agent->gossip, &member));
}
END_TEST

START_TEST(what_was_taken_back_of_another_one_or_before_the_voucher_ends_nothing)
{
    static const struct id another = {{1}};

    take_back(&another, NOW_MS);
    take_back(&member, VOUCHED_MS - 1);
    ck_assert_uint_eq(count(EFFECT_HANG_UP), 0);
    ck_assert(is_held());
}
END_TEST

START_TEST(of_itself_a_node_says_so_and_goes_on)
{
    size_t errors = 0;

    take_back(&self, VOUCHED_MS);
    for (size_t i = 0; i < effects.count; i++)
        errors += effects.list[i].kind == EFFECT_LOG && effects.list[i].log.level == LOG_ERROR;
    ck_assert_uint_eq(errors, 1);
    ck_assert_ptr_nonnull(directory_find(agent->directory, &self, RECORD_NODE));
    ck_assert(is_held());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent fleet");
    TCase *tests = tcase_create("fleet");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, its_link_ends_and_its_record_goes);
    tcase_add_test(tests, a_link_whose_handshake_had_begun_before_is_hung_up_on);
    tcase_add_test(tests, a_record_that_was_judged_before_is_not_held);
    tcase_add_test(tests, a_newer_voucher_makes_it_a_member_again);
    tcase_add_test(tests, what_was_taken_back_of_another_one_or_before_the_voucher_ends_nothing);
    tcase_add_test(tests, of_itself_a_node_says_so_and_goes_on);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
