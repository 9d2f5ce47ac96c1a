/* Grants between two whole agents, one of which may lie: what is allowed runs, and nothing else. */
#include "core/frame.h"
#include "two_agents.h"

static struct pond *pond;
static struct id ann, bea, cid; /* Ann lives with bob, and may be pecked; the others with alice */

static void set_up(void)
{
    pond = pond_new();
    ann = hatch(pond, &pond->bob, 10);
    bea = hatch(pond, &pond->alice, 20);
    cid = hatch(pond, &pond->alice, 30);
}

static void tear_down(void)
{
    pond_free(pond);
}

/* The longest that one of the nodes has heard of. */
static struct bytes chain_of(const struct id *id)
{
    struct node *nodes[] = {&pond->alice, &pond->bob};
    struct bytes chain = {0};

    for (size_t n = 0; n < 2; n++)
        for (size_t i = 0; i < nodes[n]->record_count; i++)
            if (id_equal(&nodes[n]->records[i].record.owner, id) &&
                nodes[n]->records[i].chain.size > chain.size)
                chain = nodes[n]->records[i].chain;
    ck_assert_ptr_nonnull(chain.data);
    return chain;
}

static struct identity_key *key_of(uint8_t seed)
{
    uint8_t bytes[SEED_SIZE];

    memset(bytes, seed, sizeof bytes);
    return identity_key_new(bytes);
}

struct block {
    const struct id *issuer;
    uint8_t seed;
    const struct id *holder;
    const char *scope;
    uint64_t uses;
    uint32_t further;
};

/* `before` empty: the first. What a hostile holder signs, too: nothing is looked at but by who checks. */
static struct bytes add_block(struct bytes before, struct block block)
{
    struct grant_wish wish = {.network = bytes_of_text(NETWORK),
                              .issuer = *block.issuer,
                              .key = key_of(block.seed),
                              .chain = chain_of(block.issuer),
                              .holder = *block.holder,
                              .scopes = {bytes_of_text(block.scope)},
                              .scope_count = 1,
                              .uses = block.uses,
                              .further = block.further,
                              .issued_ms = pond->at.wall_ms,
                              .not_after_ms = pond->at.wall_ms + HOUR_MS};
    struct arena *arena = &pond->alice.memory;
    struct bytes wire;

    if (before.size > 0)
        wish.not_after_ms = pond->at.wall_ms + HOUR_MS / 2;
    ck_assert_int_eq(before.size > 0 ? grant_narrow(before, &wish, arena, &wire)
                                     : grant_make(&wish, arena, &wire),
                     GRANT_OK);
    identity_key_free((struct identity_key *)(uintptr_t)wish.key);
    return wire;
}

static struct bytes for_bea(uint64_t uses)
{
    return add_block(bytes_of(NULL, 0), (struct block){&ann, 10, &bea, "data.*", uses, 1});
}

static struct bytes for_cid(struct bytes before, uint64_t uses)
{
    return add_block(before, (struct block){&bea, 20, &cid, "data.read", uses, 0});
}

static const struct reply *ask(const struct id *from, const char *name, struct bytes grant)
{
    struct order peck = action(from, &ann);

    peck.send.action = bytes_of_text(name);
    peck.send.grant = grant;
    return order(pond, &pond->alice, &peck);
}

static struct kept_peck *sent(const struct id *from, const char *name, struct bytes grant)
{
    const struct reply *reply = ask(from, name, grant);

    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    return find(&pond->alice, BOX_OUT, &reply->peck);
}

/* By a node that asks nobody. Returns whether it was taken unasked. */
static bool force(const struct id *from, uint8_t seed, const char *name, struct bytes grant)
{
    static uint8_t nonce;
    struct peck peck = {.network = bytes_of_text(NETWORK),
                        .from = *from,
                        .to = ann,
                        .kind = PECK_ACTION,
                        .action = bytes_of_text(name),
                        .payload = bytes_of_text("{}"),
                        .created_ms = pond->at.wall_ms,
                        .expires_ms = pond->at.wall_ms + HOUR_MS,
                        .nonce = {++nonce},
                        .grant = grant};
    struct identity_key *key = key_of(seed);
    struct arena *arena = &pond->alice.memory;
    const struct kept_peck *kept;
    struct bytes body, wire;

    ck_assert_int_eq(peck_pack(&peck, arena, &body), PECK_OK);
    wire = envelope_seal(ENVELOPE_PECK, from, key, body, arena, NULL);
    identity_key_free(key);
    carry(pond, &pond->alice, FRAME_PECK, frame_pack_peck(chain_of(from), wire, arena));
    kept = find(&pond->bob, BOX_IN, &peck.id);
    ck_assert(!kept || kept->state != PECK_PENDING || grant.size == 0);
    return kept && kept->state == PECK_TAKEN;
}

START_TEST(what_a_grant_allows_runs_unasked)
{
    struct bytes grant = for_bea(3), narrower = for_cid(grant, 0);

    ck_assert_int_eq(sent(&bea, "data.write", bytes_of(NULL, 0))->state, PECK_PENDING);
    ck_assert_int_eq(sent(&bea, "data.write", grant)->state, PECK_TAKEN);
    ck_assert_int_eq(sent(&cid, "data.read", narrower)->state, PECK_TAKEN);
    ck_assert_uint_eq(pond->bob.grants_kept, 2);
    ck_assert(id_equal(&pond->bob.last_grant.with, &cid));
    ck_assert(id_equal(&pond->bob.last_grant.root, &ann));
    ck_assert_uint_eq(pond->bob.last_grant.row_count, 1); /* the first block limits it */
    ck_assert_uint_eq(pond->bob.last_grant.rows[0].used, 2);
    ck_assert_uint_eq(pond->alice.grants_kept, 0);
}
END_TEST

START_TEST(whose_target_takes_no_pecks_takes_those_that_it_granted)
{
    struct order profile = {.kind = ORDER_PROFILE, .duckling = ann};

    profile.profile.set_accepts_pecks = true;
    ck_assert_int_eq(order(pond, &pond->bob, &profile)->code, REFUSAL_NONE);
    ck_assert_int_eq(ask(&bea, "data.read", bytes_of(NULL, 0))->code, REFUSAL_PECKS_REFUSED);
    ck_assert_int_eq(sent(&bea, "data.read", for_bea(0))->state, PECK_TAKEN);
}
END_TEST

START_TEST(its_own_node_keeps_back_what_a_grant_does_not_allow)
{
    struct bytes grant = for_bea(0);

    ck_assert_int_eq(ask(&bea, "other", grant)->code, REFUSAL_GRANT);
    ck_assert_int_eq(ask(&cid, "data.read", grant)->code, REFUSAL_GRANT);
    ck_assert_int_eq(ask(&bea, "data.read", bytes_of_text("none"))->code, REFUSAL_GRANT);
    tick(pond, HOUR_MS);
    ck_assert_int_eq(ask(&bea, "data.read", grant)->code, REFUSAL_GRANT);
    ck_assert_uint_eq(pond->bob.grants_kept, 0);
}
END_TEST

START_TEST(the_targets_node_judges_for_itself)
{
    struct bytes grant = for_bea(0), narrower = for_cid(grant, 0);
    struct bytes of_bea = add_block(bytes_of(NULL, 0), (struct block){&bea, 20, &cid, "*", 0, 0});

    ck_assert(force(&bea, 20, "data.write", grant));
    ck_assert(force(&cid, 30, "data.read", narrower));
    ck_assert(!force(&cid, 30, "data.write", narrower)); /* what was taken away */
    ck_assert(!force(&bea, 20, "other", grant));
    ck_assert(!force(&cid, 30, "data.read", grant)); /* another's */
    ck_assert(!force(&bea, 20, "data.read", narrower));
    ck_assert(!force(&cid, 30, "data.read", of_bea)); /* nobody grants what is Ann's */
    ck_assert(!force(&bea, 20, "data.read", bytes_of_text("none")));
    ck_assert(!force(&bea, 20, "data.read", bytes_of(NULL, 0))); /* waits for its owner */
    tick(pond, HOUR_MS / 2);
    ck_assert(
        !force(&cid, 30, "data.read", narrower)); /* its time is over, the first block's is not */
    ck_assert(force(&bea, 20, "data.read", grant));
    ck_assert_uint_eq(pond->bob.grants_kept, 3);
}
END_TEST

START_TEST(uses_are_counted_where_they_are_used)
{
    struct bytes grant = for_bea(3), narrower = for_cid(grant, 2);

    ck_assert_int_eq(sent(&cid, "data.read", narrower)->state, PECK_TAKEN);
    ck_assert_int_eq(sent(&cid, "data.read", narrower)->state, PECK_TAKEN);
    ck_assert_int_eq(sent(&cid, "data.read", narrower)->state, PECK_FAILED);
    ck_assert_int_eq(sent(&bea, "data.read", grant)->state, PECK_TAKEN);
    ck_assert_int_eq(sent(&bea, "data.read", grant)->state, PECK_FAILED);
    ck_assert_uint_eq(pond->bob.grants_kept, 3);
}
END_TEST

START_TEST(a_peck_that_comes_again_is_not_counted_again)
{
    struct bytes grant = for_bea(2);

    pond->lose = FRAME_RECEIPT;
    ck_assert_int_eq(sent(&bea, "data.read", grant)->state, PECK_SENT);
    tick(pond, RESEND_MAX_MS);
    ck_assert_uint_eq(pond->carried[FRAME_PECK], 2);
    ck_assert_int_eq(sent(&bea, "data.read", grant)->state, PECK_TAKEN);
    ck_assert_int_eq(sent(&bea, "data.read", grant)->state, PECK_FAILED);
    ck_assert_uint_eq(pond->bob.grants_kept, 2);
}
END_TEST

START_TEST(a_bond_that_covers_it_is_asked_first_and_the_grant_is_saved)
{
    struct bytes grant = add_block(bytes_of(NULL, 0), (struct block){&ann, 10, &bea, "*", 1, 0});

    bond(pond, &bea, &ann);
    ck_assert_int_eq(sent(&bea, "query", grant)->state, PECK_TAKEN);
    ck_assert_uint_eq(pond->bob.grants_kept, 0);
    ck_assert_int_eq(sent(&bea, "other", grant)->state, PECK_TAKEN);
    ck_assert_uint_eq(pond->bob.grants_kept, 1);
}
END_TEST

static enum refusal_code revoke_here(const struct id *by, struct bytes grant)
{
    struct order revoke = {.kind = ORDER_REVOKE_GRANT, .duckling = *by};

    revoke.send.grant = grant;
    return order(pond, &pond->bob, &revoke)->code;
}

START_TEST(who_granted_ends_it_all_or_one_block)
{
    struct bytes grant = for_bea(0), narrower = for_cid(grant, 0);

    ck_assert_int_eq(revoke_here(&ann, narrower), REFUSAL_NONE);
    ck_assert(pond->bob.last_grant.is_revocation);
    ck_assert_int_eq(sent(&cid, "data.read", narrower)->state, PECK_FAILED);
    ck_assert_int_eq(sent(&bea, "data.read", grant)->state, PECK_TAKEN);
    ck_assert_int_eq(revoke_here(&ann, grant), REFUSAL_NONE);
    ck_assert_int_eq(sent(&bea, "data.read", grant)->state, PECK_FAILED);
    ck_assert_int_eq(revoke_here(&ann, bytes_of_text("none")), REFUSAL_GRANT);
}
END_TEST

START_TEST(who_signed_a_block_takes_it_back_by_a_peck_and_no_other_can)
{
    struct bytes grant = for_bea(0), narrower = for_cid(grant, 0);
    struct kept_peck *peck;

    ck_assert_int_eq(ask(&cid, GRANT_REVOKE_ACTION, narrower)->code, REFUSAL_GRANT);
    force(&cid, 30, GRANT_REVOKE_ACTION, narrower);
    force(&bea, 20, GRANT_REVOKE_ACTION, grant); /* that is Ann's block */
    ck_assert_uint_eq(pond->bob.grants_kept, 0);
    ck_assert(force(&cid, 30, "data.read", narrower));

    peck = sent(&bea, GRANT_REVOKE_ACTION, narrower);
    ck_assert_int_eq(peck->state, PECK_ANSWERED);
    ck_assert(pond->bob.last_grant.is_revocation);
    ck_assert(!force(&cid, 30, "data.read", narrower));
    ck_assert(force(&bea, 20, "data.read", grant));
    peck = sent(&bea, GRANT_REVOKE_ACTION, narrower); /* once more: it is */
    ck_assert_int_eq(peck->state, PECK_ANSWERED);
}
END_TEST

/* By its duckling's node, whatever the sender's has heard of it. */
static void rotate(struct node *node, const struct id *who, uint8_t next)
{
    struct order rotate = {.kind = ORDER_ROTATE, .duckling = *who};
    struct identity_key *key = key_of(77);
    struct public_key public = identity_key_public(key);

    memset(rotate.seeds[0], next, SEED_SIZE);
    rotate.next_key_hash = identity_key_hash(&public);
    rotate.sealed_next = bytes_of_text("sealed");
    identity_key_free(key);
    tick(pond, 1000);
    ck_assert_int_eq(order(pond, node, &rotate)->code, REFUSAL_NONE);
}

/* The thief of a key grants nothing, whatever date it writes. */
START_TEST(what_was_granted_before_its_node_was_restored_is_worth_nothing)
{
    struct bytes grant, narrower;

    tear_down();
    pond = pond_new_restored(POND_BEGINS_MS + 60 * SECOND_MS);
    ann = hatch(pond, &pond->bob, 10);
    bea = hatch(pond, &pond->alice, 20);
    cid = hatch(pond, &pond->alice, 30);
    ck_assert_uint_lt(pond->at.wall_ms, POND_BEGINS_MS + 60 * SECOND_MS);
    grant = for_bea(0);
    while (pond->at.wall_ms < POND_BEGINS_MS + 60 * SECOND_MS)
        tick(pond, 1000);
    narrower = for_cid(grant, 0); /* later than that, of what is older */
    ck_assert_int_eq(sent(&bea, "data.read", grant)->state, PECK_FAILED);
    ck_assert(!force(&bea, 20, "data.read", grant));
    ck_assert(!force(&cid, 30, "data.read", narrower));
    grant = for_bea(0);
    ck_assert(force(&bea, 20, "data.read", grant));
    ck_assert_int_eq(revoke_here(&ann, grant),
                     REFUSAL_NONE); /* what was revoked here is still said so */
    ck_assert(!force(&bea, 20, "data.read", grant));
}
END_TEST

START_TEST(what_a_replaced_key_signed_is_worth_nothing)
{
    struct bytes grant = for_bea(0), narrower = for_cid(grant, 0);

    rotate(&pond->alice, &bea, 120);
    ck_assert(!force(&cid, 30, "data.read", narrower)); /* of a holder in between */
    ck_assert_int_eq(ask(&cid, "data.read", narrower)->code, REFUSAL_GRANT);
    ck_assert_uint_eq(pond->bob.grants_kept, 0);
    rotate(&pond->bob, &ann, 110);
    ck_assert_int_eq(ask(&bea, "data.read", grant)->code, REFUSAL_GRANT);
    ck_assert(!force(&bea, 120, "data.read", grant)); /* of the root itself */
    ck_assert_uint_eq(pond->bob.grants_kept, 0);
    grant = add_block(bytes_of(NULL, 0), (struct block){&ann, 110, &bea, "data.*", 0, 1});
    ck_assert(force(&bea, 120, "data.read", grant)); /* made anew */
}
END_TEST

START_TEST(a_bond_request_carries_no_grant)
{
    struct order request = {.kind = ORDER_SEND, .duckling = bea};

    request.send.from = bea;
    request.send.to = ann;
    request.send.kind = PECK_BOND_REQUEST;
    request.send.scopes[0] = bytes_of_text("query");
    request.send.scope_count = 1;
    request.send.grant = for_bea(0);
    ck_assert_int_ne(order(pond, &pond->alice, &request)->code, REFUSAL_NONE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_grants");
    TCase *tests = tcase_create("agent_grants");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_a_grant_allows_runs_unasked);
    tcase_add_test(tests, whose_target_takes_no_pecks_takes_those_that_it_granted);
    tcase_add_test(tests, its_own_node_keeps_back_what_a_grant_does_not_allow);
    tcase_add_test(tests, the_targets_node_judges_for_itself);
    tcase_add_test(tests, uses_are_counted_where_they_are_used);
    tcase_add_test(tests, a_bond_that_covers_it_is_asked_first_and_the_grant_is_saved);
    tcase_add_test(tests, who_granted_ends_it_all_or_one_block);
    tcase_add_test(tests, who_signed_a_block_takes_it_back_by_a_peck_and_no_other_can);
    tcase_add_test(tests, a_peck_that_comes_again_is_not_counted_again);
    tcase_add_test(tests, what_was_granted_before_its_node_was_restored_is_worth_nothing);
    tcase_add_test(tests, what_a_replaced_key_signed_is_worth_nothing);
    tcase_add_test(tests, a_bond_request_carries_no_grant);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
