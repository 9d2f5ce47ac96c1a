/* What an agent makes of records from other nodes: kept, dropped, counted by how the offer ended. */
#include "births.h"
#include "core/agent.h"
#include "core/intake.h"
#include "core/withdrawal.h"
#include "directory_bed.h"

#include <stdio.h>
#include <stdlib.h>

static struct agent *agent;
static struct identity_key *key;
static struct effects effects;
static struct moment at = {.now_ms = 1000, .wall_ms = BORN_MS};

static struct agent *agent_with_session_key(uint32_t number, size_t records_max,
                                            struct record_pool *shared, uint8_t session_key)
{
    struct agent_settings settings = {.network = bytes_of_text("pond"),
                                      .records_max = records_max,
                                      .record_pool = shared,
                                      .session_key = {session_key},
                                      .session_not_after_ms = BORN_MS + DAY_MS};
    struct id identity;

    settings.node_key = key;
    settings.node_chain = birth_chain(IDENTITY_NODE, number, 1, &arena, &identity);
    return agent_new(&settings);
}

static struct agent *agent_of(uint32_t number, size_t records_max, struct record_pool *shared)
{
    return agent_with_session_key(number, records_max, shared, 0);
}

static void set_up_agent(void)
{
    ck_assert(identity_self_test());
    set_up();
    effects_init(&effects);
    key = birth_key(1);
    agent = agent_of(1, 0, NULL);
}

static void tear_down_agent(void)
{
    agent_free(agent);
    identity_key_free(key);
    effects_free(&effects);
    tear_down();
}

static void tell(struct agent *to, struct record record)
{
    struct offered_record offered = {
        .record = record, .wire = bytes_of_text("wire"), .chain = bytes_of_text("chain")};
    struct event event = {.kind = EVENT_RECORDS, .at = at, .node = {{9}}};

    event.records.items = &offered;
    event.records.count = 1;
    effects_clear(&effects);
    agent_step(to, &event, &effects);
}

static size_t count_of(enum effect_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < effects.count; i++)
        count += effects.list[i].kind == kind;
    return count;
}

static uint64_t count_by(const struct agent *of, enum directory_verdict verdict)
{
    struct agent_figures figures;

    agent_figures(of, &figures);
    return figures.records_by_verdict[verdict];
}

static void expire(struct agent *of, uint64_t ms)
{
    struct event event = {.kind = EVENT_START, .at = at};

    at.wall_ms += ms;
    at.now_ms += ms;
    event.at = at;
    agent_step(of, &event, &effects);
    effects_clear(&effects);
    agent_settle(of, &at, &effects);
}

START_TEST(what_is_taken_is_kept_and_what_is_not_is_not)
{
    struct record record = skill(1, "a", 1, 1000);

    tell(agent, record);
    ck_assert_uint_eq(count_of(EFFECT_KEEP_RECORD), 1);
    tell(agent, record);
    ck_assert_uint_eq(count_of(EFFECT_KEEP_RECORD), 0);
    tell(agent, skill(1, "a", 0, 1000));
    ck_assert_uint_eq(count_of(EFFECT_KEEP_RECORD), 0);
    ck_assert_uint_eq(count_by(agent, DIRECTORY_TAKEN), 1);
    ck_assert_uint_eq(count_by(agent, DIRECTORY_SAME), 1);
    ck_assert_uint_eq(count_by(agent, DIRECTORY_OLDER), 1);
}
END_TEST

/* ---- vouchers that are taken back here ---- */

#define OPERATOR 70

/* Orders it of `to`; `network` is that of the operator. */
static enum refusal_code withdraw(struct agent *to, const char *network, uint64_t until_ms,
                                  uint8_t number, const char **message)
{
    const uint8_t seeds[2][SEED_SIZE] = {{number, 1}, {number, 2}};
    struct identity_key *operator_key = birth_key(OPERATOR);
    struct withdrawal_wish wish = {.network = bytes_of_text(network),
                                   .operator_key = operator_key,
                                   .subject = {{7}},
                                   .until_ms = until_ms,
                                   .seeds = seeds};
    struct order order = {.kind = ORDER_WITHDRAW, .ticket = 1};
    struct event event = {.kind = EVENT_ORDER, .at = at, .order = &order};
    enum refusal_code code = REFUSAL_NONE;

    wish.operator_chain = birth_chain(IDENTITY_OPERATOR, OPERATOR, 1, &arena, &wish.operator_id);
    ck_assert_int_eq(withdrawal_make(&wish, &arena, &order.voucher, &order.chain), WITHDRAWAL_OK);
    if (number == 0)
        order.voucher.size--;
    effects_clear(&effects);
    agent_step(to, &event, &effects);
    for (size_t i = 0; i < effects.count; i++)
        if (effects.list[i].kind == EFFECT_REPLY) {
            code = effects.list[i].reply.code;
            *message = effects.list[i].reply.message;
        }
    return code;
}

START_TEST(a_withdrawal_that_is_ordered_is_kept_and_the_second_time_it_is_there)
{
    const char *message = "";

    ck_assert_int_eq(withdraw(agent, "pond", at.wall_ms, 1, &message), REFUSAL_NONE);
    ck_assert_uint_eq(count_of(EFFECT_KEEP_RECORD), 1);
    for (size_t i = 0; i < effects.count; i++)
        if (effects.list[i].kind == EFFECT_KEEP_RECORD) {
            ck_assert(!effects.list[i].record.own);
            ck_assert_uint_eq(effects.list[i].record.item.withdrawn.until_ms, at.wall_ms);
        }
    ck_assert_int_eq(withdraw(agent, "pond", at.wall_ms, 1, &message), REFUSAL_NONE);
    ck_assert_uint_eq(count_of(EFFECT_KEEP_RECORD), 0);
}
END_TEST

START_TEST(a_withdrawal_that_cannot_be_taken_is_refused)
{
    const char *message = "";

    ck_assert_int_eq(withdraw(agent, "pond", at.wall_ms, 0, &message), REFUSAL_MALFORMED);
    ck_assert_int_eq(withdraw(agent, "lake", at.wall_ms, 2, &message), REFUSAL_MALFORMED);
    ck_assert_str_eq(message, "the withdrawal is for another network");
    ck_assert_int_eq(withdraw(agent, "pond", at.wall_ms + CLOCK_SKEW_MAX_MS + 1, 3, &message),
                     REFUSAL_MALFORMED);
    at.wall_ms += WITHDRAWAL_LIFE_MS;
    ck_assert_int_eq(withdraw(agent, "pond", at.wall_ms - WITHDRAWAL_LIFE_MS, 4, &message),
                     REFUSAL_EXPIRED);
    ck_assert_uint_eq(count_of(EFFECT_KEEP_RECORD), 0);
    at.wall_ms -= WITHDRAWAL_LIFE_MS;
}
END_TEST

/* An operator is a stranger: of those a tenth of the directory may be revocations. */
START_TEST(withdrawals_have_the_quota_of_strangers)
{
    struct agent *small = agent_of(1, 30, NULL);
    const char *message = "";

    for (uint8_t i = 1; i <= REVOCATIONS_HELD_MAX(30); i++)
        ck_assert_int_eq(withdraw(small, "pond", at.wall_ms, i, &message), REFUSAL_NONE);
    ck_assert_int_eq(withdraw(small, "pond", at.wall_ms, 9, &message), REFUSAL_BUSY);
    agent_free(small);
}
END_TEST

START_TEST(what_ended_is_dropped_with_its_mark_and_refused)
{
    tell(agent, skill(1, "a", 1, 1000));
    expire(agent, 2000);
    ck_assert_uint_eq(count_of(EFFECT_DROP_RECORD), 1);
    for (size_t i = 0; i < effects.count; i++)
        if (effects.list[i].kind == EFFECT_DROP_RECORD)
            ck_assert_uint_eq(effects.list[i].record.mark_until_ms,
                              BORN_MS + 1 + RECORD_LIFE_MAX_MS);
    tell(agent, skill(1, "a", 0, 9000));
    ck_assert_uint_eq(count_of(EFFECT_KEEP_RECORD), 0);
    ck_assert_uint_eq(count_by(agent, DIRECTORY_BEHIND), 1);
}
END_TEST

START_TEST(what_the_quota_puts_out_is_dropped)
{
    char name[16];

    for (unsigned i = 0; i < RECORDS_PER_OWNER_MAX; i++) {
        snprintf(name, sizeof name, "%u", i);
        tell(agent, skill(1, name, i + 1, 1000));
    }
    tell(agent, skill(1, "newest", 100, 1000));
    ck_assert_uint_eq(count_of(EFFECT_DROP_RECORD), 1);
    ck_assert_uint_eq(count_of(EFFECT_KEEP_RECORD), 1);
    tell(agent, skill(1, "oldest", 0, 1000));
    ck_assert_uint_eq(effects.list[0].kind == EFFECT_LOG, 1);
    ck_assert_uint_eq(count_of(EFFECT_KEEP_RECORD), 0);
    ck_assert_uint_eq(count_by(agent, DIRECTORY_QUOTA), 1);
}
END_TEST

START_TEST(a_full_directory_says_so)
{
    struct agent *small = agent_of(1, 10, NULL);

    for (uint32_t owner = 0; owner < 12; owner++)
        tell(small, skill(owner, "", 0, 1000));
    ck_assert_uint_eq(count_by(small, DIRECTORY_TAKEN), 9);
    ck_assert_uint_eq(count_by(small, DIRECTORY_FULL), 3);
    agent_free(small);
}
END_TEST

START_TEST(a_revocation_drops_what_its_owner_said)
{
    tell(agent, node(1, 0));
    tell(agent, skill(1, "a", 0, 1000));
    tell(agent, revocation(1, 0, REVOCATION_LIFE_MAX_MS));
    ck_assert_uint_eq(count_of(EFFECT_DROP_RECORD), 2);
    ck_assert_uint_eq(count_of(EFFECT_KEEP_RECORD), 1);
    tell(agent, skill(1, "a", 1, 1000));
    ck_assert_uint_eq(count_of(EFFECT_KEEP_RECORD), 0);
    ck_assert_uint_eq(count_by(agent, DIRECTORY_REVOKED), 1);
}
END_TEST

/* Our key was stolen, and our owner said so elsewhere. */
START_TEST(a_revocation_of_ourselves_is_not_outbid)
{
    struct id self;
    struct record revoked = revocation(1, 0, REVOCATION_LIFE_MAX_MS);
    struct agent_figures figures;

    birth_chain(IDENTITY_NODE, 1, 1, &arena, &self);
    revoked.owner = self;
    tell(agent, revoked);
    ck_assert_uint_eq(count_of(EFFECT_KEEP_RECORD), 1);
    expire(agent, 1); /* EVENT_START would publish our node record */
    agent_figures(agent, &figures);
    ck_assert_uint_eq(figures.records, 1);
    ck_assert_uint_eq(figures.nodes, 0);
}
END_TEST

START_TEST(both_halves_of_an_equivocation_are_counted_and_the_greater_is_kept)
{
    struct record one = skill(1, "a", 0, 1000), other = twin(one, "other");
    bool other_is_greater = is_greater(&other, &one);
    struct agent_figures figures;

    tell(agent, one);
    tell(agent, other);
    ck_assert_uint_eq(count_of(EFFECT_KEEP_RECORD), other_is_greater);
    ck_assert_uint_eq(count_of(EFFECT_LOG) > 0, 1);
    agent_figures(agent, &figures);
    ck_assert_uint_eq(figures.proofs, 1);
    ck_assert_uint_eq(figures.records_by_verdict[DIRECTORY_EQUIVOCATION], 1);
    ck_assert_uint_eq(figures.records, 1);
}
END_TEST

START_TEST(what_is_held_is_told_of_each_set_by_a_fingerprint)
{
    struct record one = skill(1, "a", 0, 1000), other = skill(1, "b", 0, 1000);
    struct agent_figures none, held, more;

    agent_figures(agent, &none);
    tell(agent, one);
    agent_figures(agent, &held);
    tell(agent, one); /* again */
    tell(agent, other);
    agent_figures(agent, &more);
    ck_assert_uint_eq(none.sets[RECORD_SET_DIRECTORY - 1].records, 0);
    ck_assert_uint_eq(held.sets[RECORD_SET_DIRECTORY - 1].records, 1);
    ck_assert_uint_eq(more.sets[RECORD_SET_DIRECTORY - 1].records, 2);
    ck_assert_mem_ne(none.sets[RECORD_SET_DIRECTORY - 1].fingerprint,
                     held.sets[RECORD_SET_DIRECTORY - 1].fingerprint, RECORDSET_PRINT_SIZE);
    ck_assert_mem_ne(held.sets[RECORD_SET_DIRECTORY - 1].fingerprint,
                     more.sets[RECORD_SET_DIRECTORY - 1].fingerprint, RECORDSET_PRINT_SIZE);
    ck_assert_mem_eq(&none.sets[RECORD_SET_METRICS - 1], &more.sets[RECORD_SET_METRICS - 1],
                     sizeof none.sets[0]);
}
END_TEST

static const struct effect *reply_to(struct order *order)
{
    struct event event = {.kind = EVENT_ORDER, .at = at};

    event.order = order;
    effects_clear(&effects);
    agent_step(agent, &event, &effects);
    agent_settle(agent, &at, &effects);
    for (size_t i = 0; i < effects.count; i++)
        if (effects.list[i].kind == EFFECT_REPLY)
            return &effects.list[i];
    ck_abort_msg("an order was not answered");
    return NULL;
}

START_TEST(no_peck_goes_to_who_is_quarantined)
{
    struct record one = duckling(50, 0, 60), other = duckling(50, 0, 61);
    struct order hatch = {.kind = ORDER_HATCH, .seeds = {{1}, {2}}}, send = {.kind = ORDER_SEND};

    hatch.profile.set_display_name = true;
    hatch.profile.display_name = bytes_of_text("sender");
    expire(agent, 0); /* starts it */
    send.send.from = reply_to(&hatch)->reply.duckling;
    send.send.to = one.owner;
    send.send.kind = PECK_ACTION;
    send.send.action = bytes_of_text("weather.forecast");
    send.send.payload = bytes_of_text("{}");
    send.duckling = send.send.from;
    tell(agent, one);
    ck_assert_int_eq(reply_to(&send)->reply.code, REFUSAL_NONE);
    tell(agent, other);
    ck_assert_int_eq(reply_to(&send)->reply.code, REFUSAL_UNKNOWN_TARGET);
    at.wall_ms += QUARANTINE_MS - 1;
    ck_assert_int_eq(reply_to(&send)->reply.code, REFUSAL_UNKNOWN_TARGET);
}
END_TEST

/* How many frames answer a neighbour that asks for an audit. */
static size_t ask_for_audit(struct id neighbour, uint32_t session)
{
    struct event event = {.kind = EVENT_RECONCILE, .at = at, .node = neighbour};

    event.reconcile.set = RECORD_SET_DIRECTORY;
    event.reconcile.session = session;
    event.reconcile.has_nonce = true;
    effects_clear(&effects);
    agent_step(agent, &event, &effects);
    agent_settle(agent, &at, &effects);
    return count_of(EFFECT_SEND);
}

/* Questions of repair that the next `ms` bring, without an answer to any. */
static size_t questions_within(uint64_t ms)
{
    size_t count = 0;

    for (uint64_t end_ms = at.now_ms + ms; at.now_ms < end_ms; at.now_ms += SECOND_MS) {
        effects_clear(&effects);
        agent_settle(agent, &at, &effects);
        for (size_t i = 0; i < effects.count; i++)
            count += effects.list[i].kind == EFFECT_SEND &&
                     (effects.list[i].send.kind == FRAME_RECONCILE ||
                      effects.list[i].send.kind == FRAME_FETCH);
    }
    return count;
}

START_TEST(a_neighbour_whose_probes_do_not_come_is_asked_what_it_holds)
{
    struct event start = {.kind = EVENT_START, .at = at};
    struct event up = {.kind = EVENT_LINK_UP, .at = at, .node = {{7}}};

    agent_step(agent, &start, &effects);
    ck_assert_uint_eq(questions_within(SUMS_LINK_MS), 0); /* nobody is there */
    up.at = at;
    agent_step(agent, &up, &effects);
    ck_assert_uint_eq(questions_within(SUMS_LINK_MS - SUMS_ASK_MS),
                      2 * RECORD_SETS); /* and again */
    ck_assert_uint_eq(questions_within(2 * SUMS_ASK_MS), 2 * RECORD_SETS);
    at.now_ms = 1000;
}
END_TEST

START_TEST(an_audit_is_made_for_one_neighbour_at_a_time_and_seldom_for_one)
{
    struct event start = {.kind = EVENT_START, .at = at};
    struct id eager = {{7}}, other = {{8}};

    agent_step(agent, &start, &effects);
    ck_assert_uint_eq(ask_for_audit(eager, 1), 1);
    ck_assert_uint_eq(ask_for_audit(eager, 2),
                      0); /* nor anew: each costs a look at the whole set */
    ck_assert_uint_eq(ask_for_audit(other, 1), 0); /* while one is served */
    at.now_ms += AUDIT_SERVED_MS;
    agent_settle(agent, &at, &effects);
    ck_assert_uint_eq(ask_for_audit(eager, 3), 0);
    ck_assert_uint_eq(ask_for_audit(other, 2), 1);
    at.now_ms += 1000ull * AUDIT_EACH_S;
    agent_settle(agent, &at, &effects);
    ck_assert_uint_eq(ask_for_audit(eager, 4), 1);
    at.now_ms = 1000;
}
END_TEST

/* Of the node records that are published: the session key's first byte. -1: none was. */
static int session_key_published(void)
{
    int first = -1;

    for (size_t i = 0; i < effects.count; i++) {
        const struct record *record = &effects.list[i].record.item.record;
        struct node_content content;

        if (effects.list[i].kind != EFFECT_KEEP_RECORD || record->kind != RECORD_NODE)
            continue;
        ck_assert_int_eq(node_content_parse(record->content, &arena, &content), RECORD_OK);
        first = content.session_key[0];
    }
    return first;
}

/* What an agent with `session_key` publishes `ms` after it goes on with what another one stored. */
static int published_on_resume(const struct offered_record *stored, uint8_t session_key,
                               uint64_t ms)
{
    struct moment then = {at.now_ms + ms, at.wall_ms + ms};
    struct agent *again = agent_with_session_key(1, 0, NULL, session_key);
    struct event restored = {.kind = EVENT_RESTORED_RECORD, .at = at, .restored = *stored};
    struct event resume = {.kind = EVENT_RESUME, .at = at};

    effects_clear(&effects);
    agent_step(again, &restored, &effects);
    agent_step(again, &resume, &effects);
    if (ms > 0)
        agent_settle(again, &at, &effects);
    agent_settle(again, &then, &effects);
    agent_free(again);
    return session_key_published();
}

START_TEST(after_an_undone_turn_the_node_is_said_anew_and_at_once_if_its_session_key_is_new)
{
    struct agent *before = agent_with_session_key(1, 0, NULL, 7);
    struct effects stored;

    expire(before, 0); /* starts it */
    ck_assert_int_eq(session_key_published(), -1);
    effects_clear(&effects);
    agent_set_session_key(before, (const uint8_t[32]){7}, BORN_MS + DAY_MS, &at, &effects);
    ck_assert_int_eq(session_key_published(), 7);
    stored = effects;
    effects_init(&effects);
    for (size_t i = 0; i < stored.count; i++) {
        if (stored.list[i].kind != EFFECT_KEEP_RECORD)
            continue;
        at.now_ms += SECOND_MS;
        ck_assert_int_eq(published_on_resume(&stored.list[i].record.item, 7, 0), -1);
        ck_assert_int_eq(published_on_resume(&stored.list[i].record.item, 9, 0), 9);
        /* A refutation of that turn would be missed for ever. */
        ck_assert_int_eq(published_on_resume(&stored.list[i].record.item, 7, NODE_SAID_ANEW_MS - 1),
                         -1);
        ck_assert_int_eq(published_on_resume(&stored.list[i].record.item, 7, NODE_SAID_ANEW_MS), 7);
    }
    effects_free(&stored);
    agent_free(before);
}
END_TEST

/* ---- pins ---- */

static const struct id somebody = {{1}}, other_node = {{2}};

static const struct effect *pin_kept(void)
{
    for (size_t i = 0; i < effects.count; i++)
        if (effects.list[i].kind == EFFECT_KEEP_PIN)
            return &effects.list[i];
    return NULL;
}

static size_t count_warnings(void)
{
    size_t count = 0;

    for (size_t i = 0; i < effects.count; i++)
        count += effects.list[i].kind == EFFECT_LOG && effects.list[i].log.level == LOG_WARNING;
    return count;
}

/* Whom the order makes this node dial; NULL: nobody. */
static const struct id *dialled_after_join(const char *address, const struct id *node, bool anew)
{
    struct order join = {.kind = ORDER_JOIN, .address = bytes_of_text(address), .anew = anew};

    if (node)
        join.node = *node;
    ck_assert_int_eq(reply_to(&join)->reply.code, REFUSAL_NONE);
    for (size_t i = 0; i < effects.count; i++)
        if (effects.list[i].kind == EFFECT_DIAL)
            return &effects.list[i].dial.node;
    return NULL;
}

static void answer(const char *address, const struct id *wanted, const struct id *by)
{
    struct event event = {.kind = EVENT_ANSWERED, .at = at, .node = *by};

    event.answered.address = bytes_of_text(address);
    if (wanted)
        event.answered.wanted = *wanted;
    effects_clear(&effects);
    agent_step(agent, &event, &effects);
}

static void restore_pin(const char *address, const struct id *node)
{
    struct event event = {.kind = EVENT_RESTORED_PIN, .at = at};

    event.pin.address = bytes_of_text(address);
    event.pin.node = *node;
    agent_step(agent, &event, &effects);
}

START_TEST(whoever_answers_first_at_a_joined_address_is_pinned)
{
    expire(agent, 0); /* starts it */
    ck_assert(id_is_zero(dialled_after_join("seed:1", NULL, true)));
    answer("elsewhere:1", NULL, &somebody);
    ck_assert_ptr_null(pin_kept());
    answer("seed:1", NULL, &somebody);
    ck_assert_ptr_nonnull(pin_kept());
    ck_assert(id_equal(&pin_kept()->pin.node, &somebody));
    ck_assert(bytes_equal(pin_kept()->pin.address, bytes_of_text("seed:1")));
    answer("seed:1", NULL, &other_node); /* too late */
    ck_assert_ptr_null(pin_kept());
}
END_TEST

START_TEST(a_pin_outlives_the_process_and_the_configuration_does_not_lift_it)
{
    restore_pin("seed:1", &somebody);
    expire(agent, 0); /* starts it */
    ck_assert(id_equal(dialled_after_join("seed:1", NULL, false), &somebody));
}
END_TEST

START_TEST(who_answers_instead_of_the_pinned_node_is_told_of_once)
{
    restore_pin("seed:1", &somebody);
    expire(agent, 0);
    dialled_after_join("seed:1", NULL, false);
    answer("seed:1", &somebody, &other_node);
    ck_assert_uint_eq(count_warnings(), 2);
    ck_assert_ptr_null(pin_kept());
    answer("seed:1", &somebody, &other_node);
    ck_assert_uint_eq(count_warnings(), 0);
    answer("seed:1", &somebody, &(struct id){{3}});
    ck_assert_uint_eq(count_warnings(), 2);
}
END_TEST

START_TEST(an_address_that_is_joined_again_is_asked_again)
{
    restore_pin("seed:1", &somebody);
    expire(agent, 0);
    dialled_after_join("seed:1", NULL, false);
    ck_assert(id_is_zero(dialled_after_join("seed:1", NULL, true)));
    ck_assert(id_is_zero(&pin_kept()->pin.node));
    answer("seed:1", NULL, &other_node);
    ck_assert(id_equal(&pin_kept()->pin.node, &other_node));
}
END_TEST

START_TEST(an_address_that_is_joined_again_behind_an_id_is_that_nodes)
{
    restore_pin("seed:1", &somebody);
    expire(agent, 0);
    dialled_after_join("seed:1", NULL, false);
    ck_assert(id_equal(dialled_after_join("seed:1", &other_node, true), &other_node));
    ck_assert(id_equal(&pin_kept()->pin.node, &other_node));
    dialled_after_join("seed:1", &other_node, true);
    ck_assert_ptr_null(pin_kept()); /* it is its already */
}
END_TEST

START_TEST(the_oldest_of_too_many_pins_goes)
{
    char address[16];

    for (unsigned i = 0; i <= GOSSIP_SEEDS_MAX; i++) {
        snprintf(address, sizeof address, "seed:%u", i);
        restore_pin(address, &somebody);
    }
    expire(agent, 0);
    ck_assert(id_is_zero(dialled_after_join("seed:0", NULL, false)));
    ck_assert(id_equal(dialled_after_join("seed:1", NULL, false), &somebody));
}
END_TEST

static size_t metrics_said(void)
{
    size_t count = 0;

    for (size_t i = 0; i < effects.count; i++)
        count += effects.list[i].kind == EFFECT_KEEP_RECORD && effects.list[i].record.own &&
                 effects.list[i].record.item.record.kind == RECORD_METRICS;
    return count;
}

START_TEST(a_node_that_has_counted_nothing_says_nothing)
{
    struct event start = {.kind = EVENT_START, .at = at};

    agent_step(agent, &start, &effects);
    agent_settle(agent, &at, &effects);
    ck_assert_uint_eq(metrics_said(), 0);
    at.now_ms += RECORD_REFRESH_MS; /* its node record is said anew */
    agent_settle(agent, &at, &effects);
    ck_assert_uint_eq(metrics_said(), 0);
}
END_TEST

START_TEST(a_node_that_has_counted_something_says_so_when_it_starts)
{
    struct event start = {.kind = EVENT_START, .at = at};

    start.start.counters.pecks = 1;
    agent_step(agent, &start, &effects);
    agent_settle(agent, &at, &effects);
    ck_assert_uint_eq(metrics_said(), 1);
}
END_TEST

START_TEST(what_an_earlier_life_counted_is_taken_back)
{
    struct event start = {.kind = EVENT_START, .at = at};
    struct record earlier = metrics(1, 0, 6);

    agent_step(agent, &start, &effects);
    agent_settle(agent, &at, &effects);
    birth_chain(IDENTITY_NODE, 1, 1, &arena, &earlier.owner);
    earlier.version.ms = at.wall_ms + 1;
    tell(agent, earlier);
    agent_settle(agent, &at, &effects);
    ck_assert_uint_eq(metrics_said(), 1);
}
END_TEST

/* The last frame of this kind that goes to `node`, opened; its kind is EVENT_START when there is none. */
static struct event frame_to(const struct id *node, enum frame_kind kind)
{
    struct intake *intake = intake_new(&(struct intake_settings){.network = bytes_of_text("pond")});
    struct event event = {.kind = EVENT_START};
    char reason[160];
    size_t refused;
    struct id peck;

    for (size_t i = 0; i < effects.count; i++)
        if (effects.list[i].kind == EFFECT_SEND && effects.list[i].send.kind == kind &&
            id_equal(&effects.list[i].send.node, node))
            ck_assert_int_eq(intake_open(intake, kind, effects.list[i].send.body, at.wall_ms,
                                         &arena, &event, &peck, &refused, reason),
                             INTAKE_TAKEN);
    intake_free(intake);
    return event;
}

static void link_with(struct id node)
{
    struct event up = {.kind = EVENT_LINK_UP, .at = at, .node = node};

    agent_step(agent, &up, &effects);
}

/* A neighbour answers the first fill that was asked for with one record. Is it told to another? */
static bool is_told_after_fill(struct record record)
{
    struct event start = {.kind = EVENT_START, .at = at}, asked, answer;
    struct offered_record offered = {
        .record = record, .wire = bytes_of_text("wire"), .chain = bytes_of_text("chain")};
    struct id full = {{7}}, other = {{8}};

    agent_step(agent, &start, &effects);
    link_with(full);
    agent_settle(agent, &at, &effects);
    asked = frame_to(&full, FRAME_FETCH);
    ck_assert_int_eq(asked.kind, EVENT_FETCH);
    ck_assert(asked.fetch.stream);
    link_with(other);
    agent_settle(agent, &at, &effects);
    answer = (struct event){.kind = EVENT_FETCHED, .at = at, .node = full};
    answer.fetched.set = asked.fetch.set;
    answer.fetched.session = asked.fetch.session;
    answer.fetched.items = &offered;
    answer.fetched.count = 1;
    effects_clear(&effects);
    agent_step(agent, &answer, &effects);
    ck_assert_uint_eq(count_of(EFFECT_KEEP_RECORD), 1);
    at.now_ms += NEWS_GATHER_MS;
    agent_settle(agent, &at, &effects);
    for (size_t i = 0; i < effects.count; i++)
        if (effects.list[i].kind == EFFECT_SEND && effects.list[i].send.kind == FRAME_RECORDS &&
            id_equal(&effects.list[i].send.node, &other))
            return true;
    return false;
}

START_TEST(what_a_first_fill_brings_is_news_if_it_is_fresh)
{
    at.wall_ms = BORN_MS + 1 + NEWS_OLD_MS;
    ck_assert(is_told_after_fill(metrics(5, 1, 2)));
}
END_TEST

START_TEST(what_a_first_fill_brings_is_no_news_if_it_is_old)
{
    at.wall_ms = BORN_MS + 1 + NEWS_OLD_MS + 1;
    ck_assert(!is_told_after_fill(metrics(5, 1, 2)));
}
END_TEST

START_TEST(agents_may_share_a_pool)
{
    struct agent *one = agent_of(2, 0, pool), *other = agent_of(3, 0, pool);

    for (uint32_t owner = 10; owner < 20; owner++) {
        tell(one, skill(owner, "", 0, 1000));
        tell(other, skill(owner, "", 0, 1000));
    }
    ck_assert_uint_eq(record_pool_count(pool), 10);
    agent_free(one);
    ck_assert_uint_eq(record_pool_count(pool), 10);
    agent_free(other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent records");
    TCase *tcase = tcase_create("agent records");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, set_up_agent, tear_down_agent);
    tcase_add_test(tcase, what_is_held_is_told_of_each_set_by_a_fingerprint);
    tcase_add_test(tcase, what_is_taken_is_kept_and_what_is_not_is_not);
    tcase_add_test(tcase, a_withdrawal_that_is_ordered_is_kept_and_the_second_time_it_is_there);
    tcase_add_test(tcase, a_withdrawal_that_cannot_be_taken_is_refused);
    tcase_add_test(tcase, withdrawals_have_the_quota_of_strangers);
    tcase_add_test(tcase, what_ended_is_dropped_with_its_mark_and_refused);
    tcase_add_test(tcase, what_the_quota_puts_out_is_dropped);
    tcase_add_test(tcase, a_full_directory_says_so);
    tcase_add_test(tcase, a_revocation_drops_what_its_owner_said);
    tcase_add_test(tcase, a_revocation_of_ourselves_is_not_outbid);
    tcase_add_test(tcase, both_halves_of_an_equivocation_are_counted_and_the_greater_is_kept);
    tcase_add_test(tcase, no_peck_goes_to_who_is_quarantined);
    tcase_add_test(tcase, a_neighbour_whose_probes_do_not_come_is_asked_what_it_holds);
    tcase_add_test(tcase, an_audit_is_made_for_one_neighbour_at_a_time_and_seldom_for_one);
    tcase_add_test(
        tcase, after_an_undone_turn_the_node_is_said_anew_and_at_once_if_its_session_key_is_new);
    tcase_add_test(tcase, whoever_answers_first_at_a_joined_address_is_pinned);
    tcase_add_test(tcase, a_pin_outlives_the_process_and_the_configuration_does_not_lift_it);
    tcase_add_test(tcase, who_answers_instead_of_the_pinned_node_is_told_of_once);
    tcase_add_test(tcase, an_address_that_is_joined_again_is_asked_again);
    tcase_add_test(tcase, an_address_that_is_joined_again_behind_an_id_is_that_nodes);
    tcase_add_test(tcase, the_oldest_of_too_many_pins_goes);
    tcase_add_test(tcase, a_node_that_has_counted_nothing_says_nothing);
    tcase_add_test(tcase, a_node_that_has_counted_something_says_so_when_it_starts);
    tcase_add_test(tcase, what_an_earlier_life_counted_is_taken_back);
    tcase_add_test(tcase, what_a_first_fill_brings_is_news_if_it_is_fresh);
    tcase_add_test(tcase, what_a_first_fill_brings_is_no_news_if_it_is_old);
    tcase_add_test(tcase, agents_may_share_a_pool);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
