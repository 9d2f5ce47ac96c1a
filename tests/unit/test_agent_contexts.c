/* Stories of two whole agents: pecks under contexts, by who means well and by who signs whatever. */
#include "core/frame.h"
#include "core/grant.h"
#define PECKS_MAX 512
#include "two_agents.h"

#define LIVE 10 /* the seed of the duck's first key; its next is LIVE + 100, as hatch() makes it */
#define NEXT 110
#define THIRD 120
#define OWN 60 /* of the first context's key; each further one has one more */

static struct pond *pond;
static struct id duck, friend;
static uint8_t issued;

static void set_up(void)
{
    pond = pond_new();
    duck = hatch(pond, &pond->alice, LIVE);
    friend = hatch(pond, &pond->bob, 20);
    bond(pond, &duck, &friend); /* for "query" */
    issued = 0;
}

static void tear_down(void)
{
    pond_free(pond);
}

static struct identity_key *key_of(uint8_t seed)
{
    uint8_t bytes[SEED_SIZE];

    memset(bytes, seed, SEED_SIZE);
    return identity_key_new(bytes);
}

static const struct reply *issue(const char *name, const char *scope, uint64_t life_ms)
{
    static struct bytes scopes[1];
    struct order asked = {.kind = ORDER_ISSUE,
                          .duckling = duck,
                          .context = bytes_of_text(name),
                          .scopes = scopes,
                          .scope_count = 1,
                          .not_after_ms = life_ms > 0 ? pond->at.wall_ms + life_ms : 0};

    scopes[0] = bytes_of_text(scope);
    memset(asked.seeds[0], OWN + issued++, SEED_SIZE);
    return order(pond, &pond->alice, &asked);
}

/* The context that was kept last. */
static struct context context_now(void)
{
    struct context context;

    ck_assert_int_eq(context_read(pond->alice.last_context.wire, &pond->alice.memory, &context),
                     CONTEXT_OK);
    return context;
}

static struct context issued_for(const char *scope)
{
    ck_assert_int_eq(issue("deploys", scope, HOUR_MS)->code, REFUSAL_NONE);
    return context_now();
}

static const struct reply *ask(const char *name, const char *context)
{
    struct order peck = action(&duck, &friend);

    peck.send.action = bytes_of_text(name);
    peck.context = bytes_of_text(context);
    return order(pond, &pond->alice, &peck);
}

static const struct kept_peck *sent(const char *name, const char *context)
{
    const struct reply *reply = ask(name, context);

    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    return find(&pond->alice, BOX_OUT, &reply->peck);
}

static struct bytes chain_now(void)
{
    struct bytes chain = {0};

    for (size_t i = 0; i < pond->alice.record_count; i++)
        if (id_equal(&pond->alice.records[i].record.owner, &duck) &&
            pond->alice.records[i].chain.size > chain.size)
            chain = pond->alice.records[i].chain;
    return chain;
}

/* What a node that asks nobody sends. */
struct forced {
    const char *action;
    uint8_t seed; /* of the key that signs */
    enum peck_kind kind;
    uint64_t created_ms;
    struct bytes context, chain, grant;
};

static struct kept_peck *force(struct forced forced)
{
    static uint8_t nonce;
    struct peck peck = {.network = bytes_of_text(NETWORK),
                        .from = duck,
                        .to = friend,
                        .kind = forced.kind ? forced.kind : PECK_ACTION,
                        .created_ms = forced.created_ms ? forced.created_ms : pond->at.wall_ms,
                        .nonce = {++nonce},
                        .grant = forced.grant};
    struct identity_key *key = key_of(forced.seed);
    struct arena *arena = &pond->alice.memory;
    struct bytes body, wire, chain = forced.chain.size > 0 ? forced.chain : chain_now();

    peck.expires_ms = peck.created_ms + HOUR_MS;
    if (peck.kind == PECK_ACTION) {
        peck.action = bytes_of_text(forced.action);
        peck.payload = bytes_of_text("{}");
    } else {
        peck.scopes[peck.scope_count++] = bytes_of_text("query");
    }
    ck_assert_int_eq(peck_pack(&peck, arena, &body), PECK_OK);
    wire = envelope_seal(ENVELOPE_PECK, &duck, key, body, arena, NULL);
    identity_key_free(key);
    pond->bob.last_refusal = INTAKE_TAKEN;
    carry(pond, &pond->alice, FRAME_PECK,
          frame_pack_peck(chain_with_context(chain, forced.context, arena), wire, arena));
    return find(&pond->bob, BOX_IN, &peck.id);
}

/* ---- issuing ---- */

START_TEST(a_duckling_is_issued_a_context_with_a_key_of_its_own)
{
    const struct reply *reply = issue("deploys", "query", 0);
    struct identity_key *key = key_of(OWN);
    struct public_key public = identity_key_public(key);
    struct context context;
    struct chain chain;

    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    ck_assert_uint_eq(pond->alice.contexts_kept, 1);
    ck_assert_int_eq(chain_open(chain_now(), &pond->alice.memory, &chain), CERTIFICATE_TAKEN);
    ck_assert_int_eq(
        context_open(pond->alice.last_context.wire, &chain, &pond->alice.memory, &context, NULL),
        CONTEXT_OK);
    ck_assert(id_equal(&context.id, &reply->certificate));
    ck_assert(id_equal(&pond->alice.last_context.carrier, &context.carrier));
    ck_assert_mem_eq(context.public_key.bytes, public.bytes, PUBLIC_KEY_SIZE);
    ck_assert_uint_eq(context.not_after_ms, pond->at.wall_ms + CONTEXT_LIFE_MS);
    ck_assert_uint_eq(pond->alice.last_context.seed[0], OWN);
    identity_key_free(key);
}
END_TEST

START_TEST(what_makes_no_context_is_refused_by_its_field)
{
    struct order none = {.kind = ORDER_ISSUE, .duckling = duck, .context = bytes_of_text("a")};
    char long_name[NAME_MAX_BYTES + 2];

    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    ck_assert_int_eq(issue("", "query", 0)->code, REFUSAL_MALFORMED);
    ck_assert_int_eq(issue("No Name", "query", 0)->code, REFUSAL_MALFORMED);
    ck_assert_int_eq(issue("crt_a", "query", 0)->code, REFUSAL_MALFORMED);
    ck_assert_int_eq(issue(long_name, "query", 0)->code, REFUSAL_MALFORMED);
    ck_assert_int_eq(issue(long_name + 1, "query", 0)->code, REFUSAL_NONE);
    ck_assert_int_eq(issue("a", "que*", 0)->code, REFUSAL_MALFORMED);
    ck_assert_int_eq(issue("a", "query", CONTEXT_LIFE_MAX_MS + 1)->code, REFUSAL_MALFORMED);
    ck_assert_int_eq(issue("a", "query", CONTEXT_LIFE_MAX_MS)->code, REFUSAL_NONE);
    ck_assert_int_eq(issue("a", "query", 0)->code, REFUSAL_CONFLICT);
    none.context = bytes_of_text("b");
    ck_assert_int_eq(order(pond, &pond->alice, &none)->code, REFUSAL_MALFORMED);
    none.not_after_ms = pond->at.wall_ms;
    ck_assert_int_eq(order(pond, &pond->alice, &none)->code, REFUSAL_MALFORMED);
    none.duckling = friend;
    ck_assert_int_eq(order(pond, &pond->alice, &none)->code, REFUSAL_NOT_HOSTED);
}
END_TEST

START_TEST(a_duckling_has_as_many_as_there_may_be_and_what_is_over_makes_room)
{
    char name[8];

    for (size_t i = 0; i < CONTEXTS_PER_DUCKLING_MAX; i++) {
        snprintf(name, sizeof name, "c%zu", i);
        ck_assert_int_eq(issue(name, "query", i == 3 ? HOUR_MS : DAY_MS)->code, REFUSAL_NONE);
    }
    ck_assert_int_eq(issue("more", "query", 0)->code, REFUSAL_BUSY);
    tick(pond, HOUR_MS + 1);
    ck_assert_int_eq(issue("more", "query", 0)->code, REFUSAL_NONE);
    ck_assert_uint_eq(pond->alice.contexts_dropped, 1);
    ck_assert_int_eq(ask("query", "c3")->code, REFUSAL_NOT_FOUND);
    ck_assert_int_eq(ask("query", "c4")->code, REFUSAL_NONE);
    ck_assert_int_eq(issue("one_more", "query", 0)->code, REFUSAL_BUSY);
}
END_TEST

/* ---- pecks under one ---- */

START_TEST(a_peck_within_its_scopes_arrives_as_any_other)
{
    struct context context = issued_for("query");
    const struct kept_peck *peck = sent("query", "deploys"), *received;
    char id[ID_TEXT_SIZE];
    struct bytes chain, under;

    ck_assert_int_eq(peck->state, PECK_TAKEN);
    received = find(&pond->bob, BOX_IN, &peck->id);
    chain_split(received->chain, &chain, &under);
    ck_assert(bytes_equal(under, context.wire)); /* it is kept with the peck, and proves it */
    ck_assert_uint_eq(chain_count(chain), 1);
    id_text(ID_CERTIFICATE, &context.id, id);
    ck_assert_int_eq(sent("query", id)->state, PECK_TAKEN);
    ck_assert_int_eq(sent("query", "")->state, PECK_TAKEN); /* by the main key, in between */
    ck_assert_int_eq(sent("query", "deploys")->state, PECK_TAKEN);
}
END_TEST

START_TEST(a_context_gives_nothing_that_was_not_there)
{
    issued_for("*");
    ck_assert_int_eq(sent("other", "deploys")->state, PECK_PENDING); /* no bond covers it */
}
END_TEST

START_TEST(its_own_node_keeps_back_what_it_does_not_allow)
{
    const struct reply *reply;
    struct order request = {.kind = ORDER_SEND, .duckling = duck};

    issued_for("data.*");
    reply = ask("query", "deploys");
    ck_assert_int_eq(reply->code, REFUSAL_CONTEXT);
    ck_assert_ptr_nonnull(strstr(reply->message, "deploys"));
    ck_assert_ptr_nonnull(strstr(reply->message, "query"));
    ck_assert_int_eq(ask("query", "backups")->code, REFUSAL_NOT_FOUND);
    request.send.from = duck;
    request.send.to = friend;
    request.send.kind = PECK_BOND_REQUEST;
    request.send.scopes[request.send.scope_count++] = bytes_of_text("data.read");
    request.context = bytes_of_text("deploys");
    ck_assert_int_eq(order(pond, &pond->alice, &request)->code, REFUSAL_CONTEXT);
    tick(pond, HOUR_MS + 1);
    ck_assert_int_eq(ask("data.read", "deploys")->code, REFUSAL_CONTEXT);
}
END_TEST

START_TEST(pecks_of_one_turn_are_signed_each_by_its_own_key)
{
    struct context context = issued_for("query");
    struct order orders[4];
    struct event event = {.kind = EVENT_ORDER, .at = pond->at};
    struct effects effects;
    size_t under = 0, sent_frames = 0;

    effects_init(&effects);
    for (size_t i = 0; i < 4; i++) {
        orders[i] = action(&duck, &friend);
        orders[i].context = bytes_of_text(i % 2 == 0 ? "deploys" : "");
        event.order = &orders[i];
        agent_step(pond->alice.agent, &event, &effects);
    }
    agent_settle(pond->alice.agent, &pond->at, &effects);
    for (size_t i = 0; i < effects.count; i++)
        keep(&pond->alice, &effects.list[i]);
    for (size_t i = 0; i < effects.count; i++) {
        const struct effect *effect = &effects.list[i];

        under += effect->kind == EFFECT_KEEP_PECK && effect->peck.context &&
                 id_equal(&effect->peck.context->id, &context.id);
        if (effect->kind != EFFECT_SEND || effect->send.kind != FRAME_PECK)
            continue;
        sent_frames++;
        carry(pond, &pond->alice, FRAME_PECK, effect->send.body);
    }
    ck_assert_uint_eq(under, 2);
    ck_assert_uint_eq(sent_frames, 4);
    ck_assert_uint_eq(pond->bob.refused_frames, 0);
    effects_free(&effects);
}
END_TEST

/* In one turn, of which the store knows nothing yet: what is kept is told apart by the loop. */
START_TEST(an_idempotency_key_is_of_one_context)
{
    static const char *const names[] = {"deploys", "deploys", "", "backups"};
    struct order orders[4];
    struct event event = {.kind = EVENT_ORDER, .at = pond->at};
    struct effects effects;
    size_t answered = 0;

    ck_assert_int_eq(issue("backups", "query", HOUR_MS)->code, REFUSAL_NONE);
    issued_for("query");
    effects_init(&effects);
    for (size_t i = 0; i < 4; i++) {
        orders[i] = action(&duck, &friend);
        orders[i].ticket = 100 + i;
        orders[i].send.idempotency_key = bytes_of_text("once");
        orders[i].context = bytes_of_text(names[i]);
        event.order = &orders[i];
        agent_step(pond->alice.agent, &event, &effects);
    }
    agent_settle(pond->alice.agent, &pond->at, &effects);
    for (size_t i = 0; i < effects.count; i++) {
        const struct effect *effect = &effects.list[i];

        if (effect->kind != EFFECT_REPLY)
            continue;
        answered++;
        ck_assert_int_eq(effect->reply.code,
                         effect->reply.ticket < 102 ? REFUSAL_NONE : REFUSAL_KEY_REUSED);
        ck_assert(effect->reply.ticket != 101 || effect->reply.replayed);
    }
    ck_assert_uint_eq(answered, 4);
    effects_free(&effects);
}
END_TEST

START_TEST(between_two_ducklings_of_one_node_it_is_judged_too)
{
    struct id sister = hatch(pond, &pond->alice, 40);
    struct order peck = action(&duck, &sister);
    const struct reply *reply;

    issued_for("query");
    peck.context = bytes_of_text("deploys");
    reply = order(pond, &pond->alice, &peck);
    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    ck_assert_int_eq(find(&pond->alice, BOX_IN, &reply->peck)->state, PECK_PENDING);
}
END_TEST

/* ---- the target's node judges for itself ---- */

START_TEST(outside_its_scopes_nothing_is_taken)
{
    struct context context = issued_for("query");
    struct forced forced = {.action = "query", .seed = OWN, .context = context.wire};

    ck_assert_ptr_nonnull(force(forced));
    forced.action = "other";
    ck_assert_ptr_null(force(forced)); /* without a context it would wait for the owner */
    ck_assert_int_eq(pond->bob.last_refusal, INTAKE_TAKEN); /* it was judged, not misread */
    forced.action = "quer";
    ck_assert_ptr_null(force(forced));
}
END_TEST

START_TEST(nor_is_anything_but_an_action)
{
    struct context context = issued_for("*");
    struct forced forced = {.seed = OWN, .kind = PECK_BOND_REQUEST, .context = context.wire};

    ck_assert_ptr_null(force(forced));
    forced.seed = LIVE;
    forced.context = bytes_of(NULL, 0);
    ck_assert_ptr_nonnull(force(forced));
    forced = (struct forced){.action = GRANT_REVOKE_ACTION,
                             .seed = OWN,
                             .context = context.wire,
                             .grant = bytes_of_text("a grant")};
    ck_assert_ptr_null(force(forced));
}
END_TEST

START_TEST(only_the_contexts_own_key_signs_under_it)
{
    struct context context = issued_for("query");
    struct forced forced = {.action = "query", .seed = LIVE, .context = context.wire};

    ck_assert_ptr_null(force(forced)); /* not even the main key */
    ck_assert_int_eq(pond->bob.last_refusal, INTAKE_BAD_SIGNATURE);
    forced.seed = OWN;
    forced.context = bytes_of(NULL, 0);
    ck_assert_ptr_null(force(forced)); /* and it signs nothing else */
    ck_assert_int_eq(pond->bob.last_refusal, INTAKE_BAD_SIGNATURE);
}
END_TEST

/* By anybody, for this duck. */
static struct bytes forged(uint8_t main_seed, struct hash certificate)
{
    static const struct bytes scope = {(const uint8_t *)"*", 1};
    struct identity_key *main_key = key_of(main_seed), *own = key_of(OWN);
    struct context_wish wish = {.identity = duck,
                                .name = bytes_of_text("mine"),
                                .public_key = identity_key_public(own),
                                .scopes = &scope,
                                .scope_count = 1,
                                .issued_ms = pond->at.wall_ms,
                                .not_after_ms = pond->at.wall_ms + DAY_MS,
                                .certificate = certificate};
    struct bytes wire;

    ck_assert_int_eq(context_make(&wish, main_key, &pond->alice.memory, &wire), CONTEXT_OK);
    identity_key_free(main_key);
    identity_key_free(own);
    return wire;
}

static struct hash last_certificate(void)
{
    struct chain chain;

    ck_assert_int_eq(chain_open(chain_now(), &pond->alice.memory, &chain), CERTIFICATE_TAKEN);
    return chain.certificates[chain.count - 1].hash;
}

START_TEST(nobody_but_the_main_key_issues_one)
{
    struct forced forced = {.action = "query", .seed = OWN};

    forced.context = forged(OWN, last_certificate());
    ck_assert_ptr_null(force(forced));
    ck_assert_int_eq(pond->bob.last_refusal, INTAKE_BAD_CHAIN);
    ck_assert_ptr_null(force(forced)); /* nor the second time */
    forced.context = forged(LIVE, (struct hash){{1}});
    ck_assert_ptr_null(force(forced));
    ck_assert_int_eq(pond->bob.last_refusal, INTAKE_BAD_CHAIN);
    forced.context = bytes_of_text("none");
    ck_assert_ptr_null(force(forced));
    forced.context = forged(LIVE, last_certificate());
    ck_assert_ptr_nonnull(force(forced));
}
END_TEST

START_TEST(a_receipt_or_a_record_under_one_is_refused)
{
    struct context context = issued_for("query");
    struct arena *arena = &pond->alice.memory;
    struct bytes chain = chain_with_context(chain_now(), context.wire, arena);
    const struct kept_peck *peck = sent("query", "");
    struct bytes record;

    carry(pond, &pond->alice, FRAME_RECEIPT,
          frame_pack_receipt(chain, find(&pond->bob, BOX_IN, &peck->id)->receipts[0], arena));
    ck_assert_int_eq(pond->bob.last_refusal, INTAKE_BAD_CHAIN);
    ck_assert_ptr_nonnull(strstr(pond->bob.last_reason, "under a context"));
    for (size_t i = 0; i < pond->alice.record_count; i++)
        if (id_equal(&pond->alice.records[i].record.owner, &duck))
            record = pond->alice.records[i].wire;
    carry(pond, &pond->alice, FRAME_RECORDS, frame_pack_records(&chain, &record, 1, arena));
    ck_assert_uint_eq(pond->bob.refused_frames, 2);
    ck_assert_ptr_nonnull(strstr(pond->bob.last_reason, "under a context"));
}
END_TEST

START_TEST(after_its_end_nothing_is_taken_however_old_it_says_that_it_is)
{
    struct context context = issued_for("query");
    struct forced forced = {
        .action = "query", .seed = OWN, .context = context.wire, .created_ms = pond->at.wall_ms};

    tick(pond, HOUR_MS);
    forced.created_ms += MINUTE_MS;
    ck_assert_ptr_nonnull(force(forced));
    tick(pond, 1);
    ck_assert_ptr_null(force(forced));
}
END_TEST

START_TEST(what_waits_for_an_owner_ends_with_it)
{
    const struct kept_peck *peck;

    ck_assert_int_eq(issue("deploys", "other", MINUTE_MS)->code, REFUSAL_NONE);
    peck = sent("other", "deploys");
    ck_assert_int_eq(peck->state, PECK_PENDING);
    tick(pond, MINUTE_MS);
    ck_assert_int_eq(peck->state, PECK_EXPIRED);
}
END_TEST

START_TEST(many_contexts_leave_the_chains_of_others_in_the_keyring)
{
    struct forced forced = {.action = "query", .seed = OWN};
    uint64_t checks;

    for (size_t i = 0; i < 8; i++) {
        pond->at.wall_ms++;
        forced.context = forged(LIVE, last_certificate());
        ck_assert_ptr_nonnull(force(forced));
        checks = intake_signature_checks(pond->bob.intake);
        ck_assert_ptr_nonnull(force(forced)); /* the peck's own, and no other again */
        ck_assert_uint_eq(intake_signature_checks(pond->bob.intake), checks + 1);
    }
}
END_TEST

/* ---- revocation ---- */

static enum refusal_code revoke(const struct id *certificate)
{
    struct order revoke = {
        .kind = ORDER_REVOKE, .certificate = *certificate, .reason = bytes_of_text("lost it")};

    return order(pond, &pond->alice, &revoke)->code;
}

START_TEST(a_revoked_context_is_of_no_use_anywhere)
{
    struct context context = issued_for("query");
    struct forced forced = {.action = "query", .seed = OWN, .context = context.wire};

    ck_assert_ptr_nonnull(force(forced));
    ck_assert_int_eq(revoke(&context.id), REFUSAL_NONE);
    ck_assert_uint_eq(pond->alice.contexts_kept, 2);
    ck_assert_uint_gt(pond->alice.last_context.revoked_ms, 0);
    ck_assert_uint_eq(pond->alice.last_context.seed[0], 0); /* its key is gone */
    tick(pond, 1000);                                       /* news ride */
    ck_assert_ptr_null(force(forced));
    ck_assert_int_eq(ask("query", "deploys")->code, REFUSAL_CONTEXT);
    ck_assert_int_eq(sent("query", "")->state, PECK_TAKEN); /* the duckling itself goes on */
    ck_assert_int_eq(revoke(&context.id), REFUSAL_NONE);    /* once is enough */
    ck_assert_uint_eq(pond->alice.contexts_kept, 2);
    ck_assert_int_eq(issue("deploys", "query", 0)->code, REFUSAL_NONE); /* the name is free */
    ck_assert_int_eq(sent("query", "deploys")->state, PECK_TAKEN);
    ck_assert_ptr_null(force(forced));
}
END_TEST

START_TEST(what_waits_under_it_ends_when_the_revocation_comes)
{
    struct context context = issued_for("*");
    const struct kept_peck *waiting = sent("other", "deploys"), *ready = sent("query", "deploys"),
                           *main_one = sent("other", "");

    ck_assert_int_eq(waiting->state, PECK_PENDING);
    ck_assert_int_eq(ready->state, PECK_TAKEN);
    ck_assert_int_eq(revoke(&context.id), REFUSAL_NONE);
    tick(pond, 1000);
    ck_assert_int_eq(waiting->state, PECK_FAILED);
    ck_assert_int_eq(ready->state, PECK_FAILED);
    ck_assert_int_eq(main_one->state, PECK_PENDING);
}
END_TEST

START_TEST(what_was_not_even_sent_under_it_ends_at_once)
{
    struct context context = issued_for("*");
    const struct kept_peck *under, *main_one;

    link_both(pond, false);
    under = sent("query", "deploys");
    main_one = sent("query", "");
    ck_assert_int_eq(under->state, PECK_QUEUED);
    ck_assert_int_eq(revoke(&context.id), REFUSAL_NONE);
    ck_assert_int_eq(under->state, PECK_FAILED);
    ck_assert(bytes_equal(under->refusal, bytes_of_text("revoked")));
    ck_assert_ptr_nonnull(memmem(under->problem.data, under->problem.size, "its context", 11));
    ck_assert_int_eq(main_one->state, PECK_QUEUED);
    link_both(pond, true);
    tick(pond, MINUTE_MS);
    ck_assert_ptr_null(find(&pond->bob, BOX_IN, &under->id));
    ck_assert_int_eq(main_one->state, PECK_TAKEN);
}
END_TEST

START_TEST(another_duckling_cannot_revoke_it)
{
    struct context context = issued_for("query");
    struct id sister = hatch(pond, &pond->alice, 40);
    struct order revoke = {.kind = ORDER_REVOKE, .certificate = context.id, .duckling = sister};

    ck_assert_int_eq(order(pond, &pond->alice, &revoke)->code, REFUSAL_NOT_FOUND);
    revoke.duckling = duck;
    ck_assert_int_eq(order(pond, &pond->alice, &revoke)->code, REFUSAL_NONE);
    revoke.certificate = duck; /* its birth certificate, which speaks for it: not ended this way */
    ck_assert_int_eq(order(pond, &pond->alice, &revoke)->code, REFUSAL_NOT_FOUND);
    ck_assert_int_eq(sent("query", "")->state, PECK_TAKEN);
}
END_TEST

/* ---- rotation ---- */

static struct hash promise_of(uint8_t seed)
{
    struct identity_key *key = key_of(seed);
    struct public_key public = identity_key_public(key);

    identity_key_free(key);
    return identity_key_hash(&public);
}

static void rotate(uint8_t takes_over, uint8_t next)
{
    struct order rotate = {
        .kind = ORDER_ROTATE, .duckling = duck, .next_key_hash = promise_of(next)};

    tick(pond, 1000);
    memset(rotate.seeds[0], takes_over, SEED_SIZE);
    ck_assert_int_eq(order(pond, &pond->alice, &rotate)->code, REFUSAL_NONE);
    tick(pond, 1000);
}

START_TEST(a_rotation_issues_anew_what_is_not_over)
{
    struct context context = issued_for("query"), anew;

    ck_assert_int_eq(issue("short", "query", 1500)->code, REFUSAL_NONE);
    ck_assert_int_eq(issue("revoked", "query", 0)->code, REFUSAL_NONE);
    anew = context_now();
    ck_assert_int_eq(revoke(&anew.id), REFUSAL_NONE);
    ck_assert_uint_eq(pond->alice.contexts_kept, 4);
    tick(pond, 1000);
    rotate(NEXT, THIRD);
    ck_assert_uint_eq(pond->alice.contexts_kept, 5);
    anew = context_now();
    ck_assert(!id_equal(&anew.id, &context.id) && id_equal(&anew.carrier, &context.carrier));
    ck_assert_uint_eq(anew.not_after_ms, context.not_after_ms);
    ck_assert(bytes_equal(anew.scopes[0], context.scopes[0]));
    ck_assert_int_eq(sent("query", "deploys")->state, PECK_TAKEN);
    ck_assert_int_eq(revoke(&context.id), REFUSAL_NOT_FOUND); /* the id that it had */
    ck_assert_int_eq(revoke(&anew.id), REFUSAL_NONE);
    tick(pond, 1000);
    ck_assert_int_eq(ask("query", "deploys")->code, REFUSAL_CONTEXT);
}
END_TEST

START_TEST(a_thief_of_the_old_key_issues_none)
{
    struct forced forced = {.action = "query", .seed = OWN};
    struct hash before = last_certificate();
    struct bytes chain = chain_now();

    rotate(NEXT, THIRD);
    forced.context = forged(LIVE, before);
    ck_assert_ptr_null(force(forced)); /* after the old key's time */
    ck_assert_int_eq(pond->bob.last_refusal, INTAKE_RETIRED_KEY);
    forced.chain = chain; /* the shorter chain helps nobody who knows the longer */
    ck_assert_ptr_null(force(forced));
    ck_assert_int_eq(pond->bob.last_refusal, INTAKE_RETIRED_KEY);
    forced.context = forged(LIVE, last_certificate());
    ck_assert_ptr_null(force(forced)); /* nor in the new one's name */
    ck_assert_int_eq(pond->bob.last_refusal, INTAKE_BAD_CHAIN);
}
END_TEST

START_TEST(what_was_pecked_before_a_rotation_still_arrives_from_its_own_node)
{
    const struct kept_peck *peck;

    issued_for("query");
    link_both(pond, false);
    peck = sent("query", "deploys");
    ck_assert_int_eq(peck->state, PECK_QUEUED);
    rotate(NEXT, THIRD);
    link_both(pond, true);
    tick(pond, RESEND_MAX_MS);
    ck_assert_int_eq(peck->state, PECK_TAKEN);
}
END_TEST

/* ---- another life ---- */

START_TEST(a_restored_context_signs_as_before_unless_it_is_revoked)
{
    struct event event = {.kind = EVENT_RESTORED_CONTEXT};

    event.context.duckling = duck;
    event.context.wire = forged(LIVE, last_certificate()); /* "mine", as an earlier life made it */
    memset(event.context.seed, OWN, SEED_SIZE);
    ck_assert_int_eq(ask("query", "mine")->code, REFUSAL_NOT_FOUND);
    turn(pond, &pond->alice, &event);
    ck_assert_int_eq(sent("query", "mine")->state, PECK_TAKEN);
    memset(event.context.seed, 0, SEED_SIZE);
    event.context.revoked_ms = pond->at.wall_ms;
    pond->at.wall_ms++;
    event.context.wire = forged(LIVE, last_certificate());
    event.context.duckling = hatch(pond, &pond->alice, 40);
    turn(pond, &pond->alice, &event);
    duck = event.context.duckling;
    ck_assert_int_eq(ask("query", "mine")->code, REFUSAL_CONTEXT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_contexts");
    TCase *cases = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_duckling_is_issued_a_context_with_a_key_of_its_own);
    tcase_add_test(cases, what_makes_no_context_is_refused_by_its_field);
    tcase_add_test(cases, a_duckling_has_as_many_as_there_may_be_and_what_is_over_makes_room);
    tcase_add_test(cases, a_peck_within_its_scopes_arrives_as_any_other);
    tcase_add_test(cases, a_context_gives_nothing_that_was_not_there);
    tcase_add_test(cases, its_own_node_keeps_back_what_it_does_not_allow);
    tcase_add_test(cases, pecks_of_one_turn_are_signed_each_by_its_own_key);
    tcase_add_test(cases, an_idempotency_key_is_of_one_context);
    tcase_add_test(cases, between_two_ducklings_of_one_node_it_is_judged_too);
    tcase_add_test(cases, outside_its_scopes_nothing_is_taken);
    tcase_add_test(cases, nor_is_anything_but_an_action);
    tcase_add_test(cases, only_the_contexts_own_key_signs_under_it);
    tcase_add_test(cases, nobody_but_the_main_key_issues_one);
    tcase_add_test(cases, a_receipt_or_a_record_under_one_is_refused);
    tcase_add_test(cases, after_its_end_nothing_is_taken_however_old_it_says_that_it_is);
    tcase_add_test(cases, what_waits_for_an_owner_ends_with_it);
    tcase_add_test(cases, many_contexts_leave_the_chains_of_others_in_the_keyring);
    tcase_add_test(cases, a_revoked_context_is_of_no_use_anywhere);
    tcase_add_test(cases, what_waits_under_it_ends_when_the_revocation_comes);
    tcase_add_test(cases, what_was_not_even_sent_under_it_ends_at_once);
    tcase_add_test(cases, another_duckling_cannot_revoke_it);
    tcase_add_test(cases, a_rotation_issues_anew_what_is_not_over);
    tcase_add_test(cases, a_thief_of_the_old_key_issues_none);
    tcase_add_test(cases, what_was_pecked_before_a_rotation_still_arrives_from_its_own_node);
    tcase_add_test(cases, a_restored_context_signs_as_before_unless_it_is_revoked);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
