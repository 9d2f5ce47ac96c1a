/* Stories of two whole agents: identities that are revoked. */
#include "core/frame.h"
#include "two_agents.h"

#define LIVE 10 /* the seed of the duck's key */

static struct pond *pond;
static struct id duck, friend;

static void set_up(void)
{
    pond = pond_new();
    duck = hatch(pond, &pond->alice, LIVE);
    friend = hatch(pond, &pond->bob, 20);
}

static void tear_down(void)
{
    pond_free(pond);
}

static enum refusal_code revoke_for(struct node *node, const struct id *identity,
                                    const char *reason)
{
    struct order revoke = {
        .kind = ORDER_REVOKE, .duckling = *identity, .reason = bytes_of_text(reason)};
    enum refusal_code code = order(pond, node, &revoke)->code;

    tick(pond, 1000);
    return code;
}

static enum refusal_code revoke(struct node *node, const struct id *identity)
{
    return revoke_for(node, identity, "stolen");
}

static const struct reply *ask(void)
{
    struct order send = action(&duck, &friend);

    tick(pond, 1000);
    return order(pond, &pond->alice, &send);
}

static size_t records_of(const struct node *node, const struct id *owner, uint32_t kind)
{
    size_t count = 0;

    for (size_t i = 0; i < node->record_count; i++)
        count +=
            node->records[i].record.kind == kind && id_equal(&node->records[i].record.owner, owner);
    return count;
}

START_TEST(who_is_revoked_says_nothing_any_more)
{
    bond(pond, &duck, &friend);
    ck_assert_int_eq(ask()->code, REFUSAL_NONE);
    ck_assert_int_eq(revoke(&pond->alice, &duck), REFUSAL_NONE);
    ck_assert_int_eq(ask()->code, REFUSAL_CONFLICT);
    ck_assert_uint_eq(records_of(&pond->bob, &duck, RECORD_REVOCATION), 1);
}
END_TEST

/* A thief has the key still. */
START_TEST(what_its_key_signs_elsewhere_is_refused_though_a_bond_covered_it)
{
    struct identity_key *key;
    struct order said = action(&duck, &friend);
    uint8_t seed[SEED_SIZE];
    struct bytes body, chain;
    struct peck peck = said.send;
    struct id before;

    bond(pond, &duck, &friend);
    before = ask()->peck;
    ck_assert_int_eq(find(&pond->bob, BOX_IN, &before)->state, PECK_TAKEN);
    chain = find(&pond->alice, BOX_OUT, &before)->chain;
    ck_assert_int_eq(revoke(&pond->alice, &duck), REFUSAL_NONE);
    peck.network = bytes_of_text(NETWORK);
    peck.created_ms = pond->at.wall_ms;
    peck.expires_ms = pond->at.wall_ms + HOUR_MS;
    ck_assert_int_eq(peck_pack(&peck, &pond->alice.memory, &body), PECK_OK);
    memset(seed, LIVE, sizeof seed);
    key = identity_key_new(seed);
    carry(pond, &pond->alice, FRAME_PECK,
          frame_pack_peck(chain,
                          envelope_seal(ENVELOPE_PECK, &duck, key, body, &pond->alice.memory, NULL),
                          &pond->alice.memory));
    identity_key_free(key);
    ck_assert_ptr_null(find(&pond->bob, BOX_IN, &peck.id));
    ck_assert_uint_eq(pond->carried[FRAME_REFUSAL], 1);
    ck_assert_int_eq(find(&pond->bob, BOX_IN, &before)->state, PECK_FAILED);
}
END_TEST

START_TEST(its_bonds_end_at_both_ends)
{
    bond(pond, &duck, &friend);
    ck_assert_int_eq(revoke(&pond->alice, &duck), REFUSAL_NONE);
    ck_assert_uint_eq(pond->alice.bonds_ended, 1);
    ck_assert_uint_eq(pond->bob.bonds_ended, 1);
}
END_TEST

START_TEST(what_is_open_with_its_sender_ends_at_both_ends_and_says_why)
{
    struct id peck = ask()->peck;

    ck_assert_int_eq(find(&pond->bob, BOX_IN, &peck)->state, PECK_PENDING);
    ck_assert_int_eq(revoke(&pond->alice, &duck), REFUSAL_NONE);
    ck_assert_int_eq(find(&pond->bob, BOX_IN, &peck)->state, PECK_FAILED);
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &peck)->state, PECK_FAILED);
    ck_assert(bytes_equal(find(&pond->alice, BOX_OUT, &peck)->refusal, bytes_of_text("revoked")));
    ck_assert(bytes_equal(find(&pond->alice, BOX_OUT, &peck)->problem,
                          bytes_of_text("its sender is revoked: stolen")));
}
END_TEST

START_TEST(so_does_what_is_on_its_way_to_it)
{
    struct id peck;

    peck = ask()->peck;
    pond->lose = FRAME_RECEIPT; /* the revocation alone says so */
    ck_assert_int_eq(revoke(&pond->bob, &friend), REFUSAL_NONE);
    ck_assert_int_eq(find(&pond->bob, BOX_IN, &peck)->state, PECK_FAILED);
    ck_assert_int_eq(find(&pond->alice, BOX_OUT, &peck)->state, PECK_FAILED);
    ck_assert(bytes_equal(find(&pond->alice, BOX_OUT, &peck)->problem,
                          bytes_of_text("its target is revoked: stolen")));
    ck_assert_int_eq(ask()->code, REFUSAL_UNKNOWN_TARGET);
}
END_TEST

START_TEST(a_peck_of_the_same_turn_ends_with_it)
{
    struct order send = action(&duck, &friend);
    struct order revoke = {.kind = ORDER_REVOKE, .duckling = duck};
    struct event first = {.kind = EVENT_ORDER, .at = pond->at, .order = &send};
    struct event second = {.kind = EVENT_ORDER, .at = pond->at, .order = &revoke};
    enum peck_state state = PECK_QUEUED;
    struct effects effects;

    effects_init(&effects);
    agent_step(pond->alice.agent, &first, &effects);
    agent_step(pond->alice.agent, &second, &effects);
    agent_settle(pond->alice.agent, &pond->at, &effects);
    for (size_t i = 0; i < effects.count; i++) {
        if (effects.list[i].kind == EFFECT_KEEP_PECK)
            state = effects.list[i].peck.state;
        if (effects.list[i].kind == EFFECT_KEEP_STATE)
            state = effects.list[i].state.state;
    }
    effects_free(&effects);
    ck_assert_int_eq(state, PECK_FAILED);
}
END_TEST

START_TEST(the_same_order_again_changes_nothing)
{
    size_t count;

    ck_assert_int_eq(revoke(&pond->alice, &duck), REFUSAL_NONE);
    count = pond->alice.record_count;
    ck_assert_int_eq(revoke(&pond->alice, &duck), REFUSAL_NONE);
    ck_assert_uint_eq(records_of(&pond->alice, &duck, RECORD_REVOCATION), 1);
    ck_assert_uint_eq(pond->alice.record_count, count);
}
END_TEST

START_TEST(nothing_of_it_is_published_again)
{
    size_t count;

    ck_assert_int_eq(revoke(&pond->alice, &duck), REFUSAL_NONE);
    count = records_of(&pond->alice, &duck, RECORD_DUCKLING);
    tick(pond, RECORD_REFRESH_MS + MINUTE_MS);
    tick(pond, RECORD_REFRESH_MS + MINUTE_MS);
    ck_assert_uint_eq(records_of(&pond->alice, &duck, RECORD_DUCKLING), count);
}
END_TEST

START_TEST(what_its_node_keeps_of_it_is_changed_where_that_is_not_published)
{
    struct order change = {.kind = ORDER_PROFILE, .duckling = duck};
    size_t said;

    change.profile.set_display_name = true;
    change.profile.display_name = bytes_of_text("erased");
    ck_assert_int_eq(revoke(&pond->alice, &duck), REFUSAL_NONE);
    said = pond->alice.record_count;
    ck_assert_int_eq(order(pond, &pond->alice, &change)->code, REFUSAL_CONFLICT);
    ck_assert_uint_eq(pond->alice.profiles_kept, 0);
    change.unsaid = true;
    ck_assert_int_eq(order(pond, &pond->alice, &change)->code, REFUSAL_NONE);
    ck_assert_uint_eq(pond->alice.profiles_kept, 1);
    ck_assert_uint_eq(pond->alice.record_count, said);
}
END_TEST

START_TEST(who_lives_elsewhere_is_not_revoked_here)
{
    ck_assert_int_eq(revoke(&pond->bob, &duck), REFUSAL_NOT_HOSTED);
    ck_assert_int_eq(revoke(&pond->alice, &pond->bob.id), REFUSAL_NOT_HOSTED);
    ck_assert_int_eq(ask()->code, REFUSAL_NONE);
}
END_TEST

START_TEST(a_reason_is_text_of_so_many_bytes_and_not_one_more)
{
    char reason[REVOCATION_REASON_MAX + 2] = "";

    ck_assert_int_eq(revoke_for(&pond->alice, &duck, "a\x01"), REFUSAL_MALFORMED);
    memset(reason, 'r', REVOCATION_REASON_MAX + 1);
    ck_assert_int_eq(revoke_for(&pond->alice, &duck, reason), REFUSAL_MALFORMED);
    reason[REVOCATION_REASON_MAX] = 0;
    ck_assert_int_eq(revoke_for(&pond->alice, &duck, reason), REFUSAL_NONE);
}
END_TEST

/* As after a start with another directory than before. */
START_TEST(what_the_directory_lost_is_taken_again_and_passed_on)
{
    struct event restored = {.kind = EVENT_RESTORED_REVOCATION};
    struct envelope envelope;

    link_both(pond, false);
    ck_assert_int_eq(revoke(&pond->alice, &duck), REFUSAL_NONE);
    for (size_t i = 0; i < pond->alice.record_count; i++)
        if (pond->alice.records[i].record.kind == RECORD_REVOCATION)
            restored.restored = pond->alice.records[i];
    ck_assert_int_eq(
        envelope_parse(restored.restored.wire, ENVELOPE_RECORD, &pond->alice.memory, &envelope),
        ENVELOPE_TAKEN);
    ck_assert_int_eq(record_parse(envelope.body, &pond->alice.memory, &restored.restored.record),
                     RECORD_OK);
    ck_assert_uint_eq(records_of(&pond->bob, &duck, RECORD_REVOCATION), 0);
    turn(pond, &pond->bob, &restored);
    ck_assert_uint_eq(records_of(&pond->bob, &duck, RECORD_REVOCATION), 1);
    turn(pond, &pond->bob, &restored);
    ck_assert_uint_eq(records_of(&pond->bob, &duck, RECORD_REVOCATION), 1);
}
END_TEST

static size_t hang_ups(struct event *event)
{
    struct effects effects;
    size_t count = 0;

    event->at = pond->at;
    effects_init(&effects);
    agent_step(pond->bob.agent, event, &effects);
    for (size_t i = 0; i < effects.count; i++)
        count += effects.list[i].kind == EFFECT_HANG_UP;
    effects_free(&effects);
    return count;
}

START_TEST(a_node_that_is_revoked_has_no_links)
{
    struct event down = {.kind = EVENT_LINK_DOWN, .node = pond->alice.id};
    struct event up = {.kind = EVENT_LINK_UP, .node = pond->alice.id};
    struct agent_figures figures;

    hang_ups(&down);
    ck_assert_uint_eq(hang_ups(&up), 0);
    ck_assert_int_eq(revoke(&pond->alice, &pond->alice.id), REFUSAL_NONE);
    ck_assert_uint_eq(records_of(&pond->bob, &pond->alice.id, RECORD_REVOCATION), 1);
    hang_ups(&down);
    ck_assert_uint_eq(hang_ups(&up), 1);
    agent_figures(pond->bob.agent, &figures);
    ck_assert_uint_eq(figures.links, 0);
}
END_TEST

/* The owner whose live key was taken: a thief has not the next one, and none comes after it. */
START_TEST(the_next_key_revokes_and_is_the_last)
{
    struct order asked = {
        .kind = ORDER_REVOKE, .duckling = duck, .by_next_key = true, .reason = bytes_of_text("x")};
    static const struct hash none;
    const struct offered_record *record = NULL;
    struct chain chain;
    struct arena arena;

    memset(asked.seeds[0], LIVE, SEED_SIZE); /* the thief's */
    ck_assert_int_eq(order(pond, &pond->alice, &asked)->code, REFUSAL_NOT_ALLOWED);
    ck_assert_uint_eq(records_of(&pond->alice, &duck, RECORD_REVOCATION), 0);
    memset(asked.seeds[0], LIVE + 100, SEED_SIZE);
    ck_assert_int_eq(order(pond, &pond->alice, &asked)->code, REFUSAL_NONE);
    tick(pond, 1000);
    for (size_t i = 0; i < pond->bob.record_count; i++)
        if (pond->bob.records[i].record.kind == RECORD_REVOCATION)
            record = &pond->bob.records[i];
    ck_assert_ptr_nonnull(record);
    arena_init(&arena, MIB);
    ck_assert_int_eq(chain_open(record->chain, &arena, &chain), CERTIFICATE_TAKEN);
    ck_assert_uint_eq(chain.count, 2);
    ck_assert(hash_equal(&chain.certificates[1].next_key_hash, &none));
    arena_free(&arena);
}
END_TEST

START_TEST(a_nodes_next_key_takes_over_before_it_revokes)
{
    struct order asked = {.kind = ORDER_REVOKE, .duckling = pond->alice.id, .by_next_key = true};

    ck_assert_int_eq(order(pond, &pond->alice, &asked)->code, REFUSAL_NOT_ALLOWED);
}
END_TEST

START_TEST(a_certificate_is_revoked_with_whom_it_speaks_for)
{
    struct order asked = {.kind = ORDER_REVOKE, .certificate = friend};

    ck_assert_int_eq(order(pond, &pond->alice, &asked)->code, REFUSAL_NOT_FOUND);
    asked.certificate = duck; /* certificate 0 makes the id */
    ck_assert_int_eq(order(pond, &pond->alice, &asked)->code, REFUSAL_NONE);
    ck_assert_uint_eq(records_of(&pond->alice, &duck, RECORD_REVOCATION), 1);
}
END_TEST

START_TEST(one_that_was_replaced_has_nothing_to_revoke)
{
    struct order rotate = {.kind = ORDER_ROTATE, .duckling = duck};
    struct order asked = {.kind = ORDER_REVOKE, .certificate = duck};
    struct identity_key *next;
    struct public_key public;
    uint8_t seed[SEED_SIZE];

    memset(seed, 120, sizeof seed);
    next = identity_key_new(seed);
    public = identity_key_public(next);
    identity_key_free(next);
    rotate.next_key_hash = identity_key_hash(&public);
    memset(rotate.seeds[0], LIVE + 100, SEED_SIZE);
    tick(pond, 1000);
    ck_assert_int_eq(order(pond, &pond->alice, &rotate)->code, REFUSAL_NONE);
    ck_assert_int_eq(order(pond, &pond->alice, &asked)->code, REFUSAL_CONFLICT);
}
END_TEST

START_TEST(a_bond_is_revoked_at_either_end_by_its_id)
{
    struct order asked = {.kind = ORDER_REVOKE, .reason = bytes_of_text("no more")};

    asked.bond = bond(pond, &duck, &friend);
    ck_assert_int_eq(order(pond, _i ? &pond->alice : &pond->bob, &asked)->code, REFUSAL_NONE);
    tick(pond, 1000);
    ck_assert_uint_eq(pond->alice.bonds_ended, 1);
    ck_assert_uint_eq(pond->bob.bonds_ended, 1);
    ck_assert_int_eq(order(pond, &pond->bob, &asked)->code, REFUSAL_NOT_FOUND);
}
END_TEST

/* The last life was cut off between the record and what ends with it. */
START_TEST(a_new_life_ends_what_the_last_one_left_open)
{
    struct event restored = {.kind = EVENT_RESTORED_SENT}, resume = {.kind = EVENT_RESUME};
    struct id peck = ask()->peck;
    struct kept_peck *kept = find(&pond->alice, BOX_OUT, &peck);

    revoke(&pond->bob, &friend);
    ck_assert_int_eq(kept->state, PECK_FAILED);
    restored.sent = (struct outbox_entry){.peck = peck,
                                          .hash = kept->hash,
                                          .from = duck,
                                          .to = friend,
                                          .kind = PECK_ACTION,
                                          .state = PECK_SENT,
                                          .expires_ms = pond->at.wall_ms + HOUR_MS};
    kept->state = PECK_SENT;
    turn(pond, &pond->alice, &restored);
    ck_assert_int_eq(kept->state, PECK_SENT);
    turn(pond, &pond->alice, &resume);
    ck_assert_int_eq(kept->state, PECK_FAILED);
}
END_TEST

/* The owner rotated; a thief has the next key, too, and signs another certificate of that number. */
static struct bytes second_chain(struct bytes first)
{
    uint8_t seed[SEED_SIZE];
    struct hash promise = {.bytes = {1}};
    struct identity_key *next;
    struct chain chain;
    struct bytes longer;

    memset(seed, LIVE + 100, sizeof seed);
    next = identity_key_new(seed);
    ck_assert_int_eq(chain_open(first, &pond->alice.memory, &chain), CERTIFICATE_TAKEN);
    longer = chain_lengthen(&chain, next, &promise, pond->at.wall_ms, &pond->alice.memory);
    identity_key_free(next);
    return longer;
}

static void send_under(struct bytes chain, uint8_t key_seed)
{
    struct peck peck = action(&duck, &friend).send;
    struct identity_key *key;
    uint8_t seed[SEED_SIZE];
    struct bytes body;

    memset(seed, key_seed, sizeof seed);
    key = identity_key_new(seed);
    peck.network = bytes_of_text(NETWORK);
    peck.created_ms = pond->at.wall_ms;
    peck.expires_ms = pond->at.wall_ms + HOUR_MS;
    ck_assert_int_eq(peck_pack(&peck, &pond->alice.memory, &body), PECK_OK);
    carry(pond, &pond->alice, FRAME_PECK,
          frame_pack_peck(chain,
                          envelope_seal(ENVELOPE_PECK, &duck, key, body, &pond->alice.memory, NULL),
                          &pond->alice.memory));
    identity_key_free(key);
}

START_TEST(two_certificates_of_one_number_put_their_owner_into_quarantine_at_both_ends)
{
    struct order rotate = {.kind = ORDER_ROTATE, .duckling = duck, .next_key_hash = {{2}}};
    struct order send = action(&friend, &duck);
    struct agent_figures figures;
    struct bytes first;
    struct id before;

    bond(pond, &duck, &friend);
    before = ask()->peck;
    first = find(&pond->alice, BOX_OUT, &before)->chain;
    memset(rotate.seeds[0], LIVE + 100, SEED_SIZE);
    ck_assert_int_eq(order(pond, &pond->alice, &rotate)->code, REFUSAL_NONE);
    tick(pond, 1000);
    ck_assert_int_eq(order(pond, &pond->bob, &send)->code, REFUSAL_NONE);
    send_under(second_chain(first), LIVE + 100);
    for (int i = 0; i < 5; i++)
        tick(pond, 200);
    for (int i = 0; i < 2; i++) {
        agent_figures(i ? pond->bob.agent : pond->alice.agent, &figures);
        ck_assert_uint_eq(figures.contradicted, 1);
        ck_assert_uint_eq(figures.bonds, 0);
    }
    ck_assert_int_eq(order(pond, &pond->bob, &send)->code, REFUSAL_UNKNOWN_TARGET);
    ck_assert_int_eq(ask()->code, REFUSAL_CONFLICT);
    ck_assert_int_eq(find(&pond->bob, BOX_IN, &before)->state, PECK_FAILED);
    send_under(second_chain(first), LIVE + 100); /* again: nothing is told twice */
    agent_figures(pond->bob.agent, &figures);
    ck_assert_uint_eq(figures.contradicted, 1);
}
END_TEST

/* Of an identity that is made for it: two certificates behind its first. */
static void contradict(uint32_t number)
{
    struct arena *arena = &pond->bob.memory;
    struct event event = {.kind = EVENT_CONTRADICTION, .node = pond->alice.id};
    uint8_t seed[SEED_SIZE] = {1}, next_seed[SEED_SIZE] = {2};
    struct identity_key *key, *next;
    struct chain chain;

    memcpy(seed + 1, &number, sizeof number);
    memcpy(next_seed + 1, &number, sizeof number);
    key = identity_key_new(seed);
    next = identity_key_new(next_seed);
    ck_assert_int_eq(chain_open(own_chain(pond, key, next_seed, "Two", arena), arena, &chain),
                     CERTIFICATE_TAKEN);
    event.contradiction.one =
        chain_lengthen(&chain, next, &(struct hash){{1}}, pond->at.wall_ms + 1, arena);
    event.contradiction.other =
        chain_lengthen(&chain, next, &(struct hash){{2}}, pond->at.wall_ms + 1, arena);
    identity_key_free(key);
    identity_key_free(next);
    turn(pond, &pond->bob, &event);
}

static uint64_t contradicted(void)
{
    struct agent_figures figures;

    agent_figures(pond->bob.agent, &figures);
    return figures.contradicted;
}

/* Whoever makes identities for it alone has us prove no more than that. */
START_TEST(so_many_contradictions_are_proven_in_a_minute_and_not_one_more)
{
    for (uint32_t i = 0; i < CONTRADICTIONS_PER_MINUTE; i++) {
        contradict(i);
        ck_assert_uint_eq(contradicted(), i + 1);
    }
    contradict(100);
    ck_assert_uint_eq(contradicted(), CONTRADICTIONS_PER_MINUTE);
    tick(pond, MINUTE_MS);
    contradict(100);
    ck_assert_uint_eq(contradicted(), CONTRADICTIONS_PER_MINUTE + 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_revoke");
    TCase *tests = tcase_create("revocation");
    SRunner *runner = srunner_create(suite);
    int failed;

    if (sodium_init() < 0)
        return 2;
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, who_is_revoked_says_nothing_any_more);
    tcase_add_test(tests, what_its_key_signs_elsewhere_is_refused_though_a_bond_covered_it);
    tcase_add_test(tests, its_bonds_end_at_both_ends);
    tcase_add_test(tests, what_is_open_with_its_sender_ends_at_both_ends_and_says_why);
    tcase_add_test(tests, so_does_what_is_on_its_way_to_it);
    tcase_add_test(tests, a_peck_of_the_same_turn_ends_with_it);
    tcase_add_test(tests, the_same_order_again_changes_nothing);
    tcase_add_test(tests, nothing_of_it_is_published_again);
    tcase_add_test(tests, what_its_node_keeps_of_it_is_changed_where_that_is_not_published);
    tcase_add_test(tests, who_lives_elsewhere_is_not_revoked_here);
    tcase_add_test(tests, a_reason_is_text_of_so_many_bytes_and_not_one_more);
    tcase_add_test(tests, what_the_directory_lost_is_taken_again_and_passed_on);
    tcase_add_test(tests, a_node_that_is_revoked_has_no_links);
    tcase_add_test(tests, the_next_key_revokes_and_is_the_last);
    tcase_add_test(tests, a_nodes_next_key_takes_over_before_it_revokes);
    tcase_add_test(tests, a_certificate_is_revoked_with_whom_it_speaks_for);
    tcase_add_test(tests, one_that_was_replaced_has_nothing_to_revoke);
    tcase_add_loop_test(tests, a_bond_is_revoked_at_either_end_by_its_id, 0, 2);
    tcase_add_test(tests, a_new_life_ends_what_the_last_one_left_open);
    tcase_add_test(tests,
                   two_certificates_of_one_number_put_their_owner_into_quarantine_at_both_ends);
    tcase_add_test(tests, so_many_contradictions_are_proven_in_a_minute_and_not_one_more);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
