/* What limits of bonds do between two whole agents, one of which may lie. */
#include "two_agents.h"

#include <stdio.h>

static struct pond *pond;
static struct id duck, friend; /* of alice, of bob */

static void set_up(void)
{
    pond = pond_new();
    duck = hatch(pond, &pond->alice, 10);
    friend = hatch(pond, &pond->bob, 20);
}

static void tear_down(void)
{
    pond_free(pond);
}

/* ---- bonds with terms ---- */

static struct id ask_for_bond(struct node *node, const struct id *asker, const struct id *owner)
{
    struct order ask = {.kind = ORDER_SEND, .duckling = *asker};
    const struct reply *reply;

    ask.send.from = *asker;
    ask.send.to = *owner;
    ask.send.kind = PECK_BOND_REQUEST;
    ask.send.scopes[0] = bytes_of_text("query");
    ask.send.scope_count = 1;
    ask.send.message = bytes_of_text("hello");
    reply = order(pond, node, &ask);
    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    return reply->peck;
}

static const struct bytes query_scope = {(const uint8_t *)"query", 5};

static struct id approve(struct node *node, const struct id *owner, const struct id *request,
                         const struct bond_terms *terms, unsigned set)
{
    struct order decide = {.kind = ORDER_APPROVE, .duckling = *owner, .peck = *request};
    const struct reply *reply;

    decide.scopes = &query_scope;
    decide.scope_count = 1;
    decide.terms = *terms;
    decide.terms_set = set;
    reply = order(pond, node, &decide);
    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    return reply->bond;
}

/* The duck may ask the friend. */
static struct id bond_with(const struct bond_terms *terms, unsigned set)
{
    struct id request = ask_for_bond(&pond->alice, &duck, &friend);

    return approve(&pond->bob, &friend, &request, terms, set);
}

/* And back. */
static struct id bond_back_with(const struct bond_terms *terms, unsigned set)
{
    struct id request = ask_for_bond(&pond->bob, &friend, &duck);

    return approve(&pond->alice, &duck, &request, terms, set);
}

static enum refusal_code change(struct node *node, const struct id *by, const struct id *bond,
                                const struct bond_terms *terms, unsigned set)
{
    struct order wish = {.kind = ORDER_BOND, .bond = *bond, .terms = *terms, .terms_set = set};

    if (by)
        wish.duckling = *by;
    return order(pond, node, &wish)->code;
}

/* ---- pecks ---- */

static struct kept_peck *send(struct order *peck)
{
    const struct reply *reply = order(pond, &pond->alice, peck);

    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    return find(&pond->alice, BOX_OUT, &reply->peck);
}

static struct kept_peck *ask(void)
{
    struct order peck = action(&duck, &friend);

    return send(&peck);
}

static void expect_refused(const struct kept_peck *peck, const char *code, uint64_t retry_after_ms)
{
    ck_assert_int_eq(peck->state, PECK_FAILED);
    ck_assert(bytes_equal(peck->refusal, bytes_of_text(code)));
    ck_assert_uint_eq(peck->retry_after_ms, retry_after_ms);
    ck_assert_ptr_null(find(&pond->bob, BOX_IN, &peck->id));
}

START_TEST(more_than_the_rate_fails_and_says_when_to_try_again)
{
    struct bond_terms terms = {.per_minute = 2};
    char problem[200];
    struct kept_peck *peck;

    bond_with(&terms, BOND_TERM_PER_MINUTE);
    ck_assert_int_eq(ask()->state, PECK_TAKEN);
    ck_assert_int_eq(ask()->state, PECK_TAKEN);
    peck = ask();
    expect_refused(peck, "bond_rate", 30 * SECOND_MS);
    snprintf(problem, sizeof problem, "%.*s", (int)peck->problem.size, peck->problem.data);
    ck_assert_ptr_nonnull(strstr(problem, "try again in 30000 ms"));
    tick(pond, 30 * SECOND_MS);
    ck_assert_int_eq(ask()->state, PECK_TAKEN);
    expect_refused(ask(), "bond_rate", 30 * SECOND_MS);
    ck_assert_uint_eq(pond->bob.counts_kept, 0); /* a rate is not kept */
}
END_TEST

START_TEST(more_than_a_days_share_waits_for_midnight)
{
    struct bond_terms terms = {.per_day = 1};
    uint64_t left_ms = DAY_MS - pond->at.wall_ms % DAY_MS;

    bond_with(&terms, BOND_TERM_PER_DAY);
    ck_assert_int_eq(ask()->state, PECK_TAKEN);
    ck_assert_uint_eq(pond->bob.last_use.use.used_today, 1);
    expect_refused(ask(), "bond_daily", left_ms);
    tick(pond, left_ms);
    ck_assert_int_eq(ask()->state, PECK_TAKEN);
    ck_assert_uint_eq(pond->alice.counts_kept, 0); /* only the approver's node counts */
}
END_TEST

static enum refusal_code answer(const struct id *peck, uint64_t charge, bool failed)
{
    struct order done = {.kind = ORDER_ANSWER,
                         .duckling = friend,
                         .peck = *peck,
                         .charge = charge,
                         .failed = failed};

    done.held.action = bytes_of_text("query");
    if (failed)
        done.problem = bytes_of_text("no");
    else
        done.result = bytes_of_text("{}");
    return order(pond, &pond->bob, &done)->code;
}

START_TEST(a_budget_is_spent_by_what_the_answers_charge)
{
    struct bond_terms terms = {.budget = 10};
    struct kept_peck *peck;

    bond_with(&terms, BOND_TERM_BUDGET);
    peck = ask();
    ck_assert_int_eq(answer(&peck->id, ANSWER_CHARGE_MAX + 1ull, false), REFUSAL_MALFORMED);
    ck_assert_int_eq(answer(&peck->id, 1, true), REFUSAL_MALFORMED);
    ck_assert_int_eq(answer(&peck->id, 8, false), REFUSAL_NONE);
    ck_assert_int_eq(peck->state, PECK_ANSWERED);
    ck_assert_uint_eq(pond->bob.last_use.use.spent, 9);
    peck = ask();
    ck_assert_int_eq(peck->state, PECK_TAKEN);
    expect_refused(ask(), "bond_budget", 0);
    ck_assert_int_eq(answer(&peck->id, ANSWER_CHARGE_MAX, false), REFUSAL_NONE);
    ck_assert_uint_eq(pond->bob.last_use.use.spent, 10 + ANSWER_CHARGE_MAX);
}
END_TEST

START_TEST(a_muted_bond_refuses_until_its_approver_lets_it)
{
    struct bond_terms muted = {.muted_until_ms = pond->at.wall_ms + HOUR_MS}, open = {0};
    struct id bond = bond_with(&open, 0);

    ck_assert_int_eq(ask()->state, PECK_TAKEN);
    ck_assert_int_eq(change(&pond->bob, &friend, &bond, &muted, BOND_TERM_MUTED_UNTIL),
                     REFUSAL_NONE);
    expect_refused(ask(), "bond_muted", HOUR_MS);
    ck_assert_int_eq(change(&pond->bob, NULL, &bond, &open, BOND_TERM_MUTED_UNTIL), REFUSAL_NONE);
    ck_assert_int_eq(ask()->state, PECK_TAKEN);
}
END_TEST

START_TEST(a_payload_with_a_stop_word_is_refused)
{
    struct bond_terms terms = {.stop_words = {bytes_of_text("password")}, .stop_word_count = 1};
    struct order peck = action(&duck, &friend);

    bond_with(&terms, BOND_TERM_STOP_WORDS);
    peck.send.payload = bytes_of_text("{\"give\":\"the PASSWORD\"}");
    expect_refused(send(&peck), "bond_stop_word", 0);
    ck_assert_int_eq(ask()->state, PECK_TAKEN);
}
END_TEST

START_TEST(what_no_bond_covers_waits_for_the_owner_whatever_is_used_up)
{
    struct bond_terms terms = {.per_day = 1};
    struct order other = action(&duck, &friend);

    bond_with(&terms, BOND_TERM_PER_DAY);
    ask();
    other.send.action = bytes_of_text("delete");
    ck_assert_int_eq(send(&other)->state, PECK_PENDING);
}
END_TEST

START_TEST(a_limit_that_refuses_is_told_once_a_minute)
{
    struct bond_terms terms = {.per_day = 1};

    bond_with(&terms, BOND_TERM_PER_DAY);
    ask();
    for (int i = 0; i < 5; i++)
        expect_refused(ask(), "bond_daily", DAY_MS - pond->at.wall_ms % DAY_MS);
    ck_assert_uint_eq(pond->bob.limits_told, 1);
    ck_assert_int_eq(pond->bob.last_limit, BOND_DAILY);
    tick(pond, MINUTE_MS);
    ask();
    ck_assert_uint_eq(pond->bob.limits_told, 2);
}
END_TEST

/* ---- rounds ---- */

static struct order in_thread(const struct id *from, const struct id *to, const char *thread)
{
    struct order peck = action(from, to);

    peck.send.thread = bytes_of_text(thread);
    return peck;
}

START_TEST(two_that_answer_each_other_for_ever_stop_at_the_rounds)
{
    struct bond_terms terms = {.rounds = 6};
    struct id last = {0};
    int rounds = 0;

    bond_with(&terms, BOND_TERM_ROUNDS);
    bond_back_with(&terms, BOND_TERM_ROUNDS);
    for (; rounds < 100; rounds++) {
        bool is_ducks = rounds % 2 == 0;
        struct order peck =
            is_ducks ? in_thread(&duck, &friend, "chat") : in_thread(&friend, &duck, "chat");
        const struct reply *reply;

        peck.send.reply_to = last;
        reply = order(pond, is_ducks ? &pond->alice : &pond->bob, &peck);
        if (reply->code == REFUSAL_BOND_ROUNDS)
            break;
        ck_assert_int_eq(reply->code, REFUSAL_NONE);
        last = reply->peck;
        ck_assert_int_eq(find(is_ducks ? &pond->bob : &pond->alice, BOX_IN, &last)->state,
                         PECK_TAKEN);
    }
    ck_assert_int_eq(rounds, 6);
    ck_assert_uint_ge(pond->alice.limits_told, 1); /* both owners hear of it */
    ck_assert_uint_ge(pond->bob.limits_told, 1);
    ck_assert_int_eq(pond->bob.last_limit, BOND_ROUNDS);
    ck_assert_uint_eq(pond->bob.last_thread.thread.rounds, 6);
}
END_TEST

START_TEST(by_default_it_is_64_rounds)
{
    static const struct bond_terms none;
    struct order peck = in_thread(&duck, &friend, "chat");

    bond_with(&none, 0);
    for (unsigned i = 0; i < BOND_ROUNDS_DEFAULT / 2; i++) {
        struct order back = in_thread(&friend, &duck, "chat");

        pond->alice.peck_count = pond->bob.peck_count = 0; /* the table is small */
        pond->alice.reply_count = pond->bob.reply_count = 0;
        ck_assert_int_eq(order(pond, &pond->alice, &peck)->code, REFUSAL_NONE);
        ck_assert_int_eq(order(pond, &pond->bob, &back)->code, REFUSAL_NONE);
    }
    ck_assert_int_eq(order(pond, &pond->alice, &peck)->code, REFUSAL_BOND_ROUNDS);
    peck = in_thread(&duck, &friend, "another");
    ck_assert_int_eq(order(pond, &pond->alice, &peck)->code, REFUSAL_NONE);
    peck = action(&duck, &friend);
    ck_assert_int_eq(order(pond, &pond->alice, &peck)->code, REFUSAL_NONE);
}
END_TEST

START_TEST(a_thread_rests_and_begins_anew)
{
    struct bond_terms terms = {.rounds = 1, .cool_down_ms = 1000};
    struct order peck = in_thread(&duck, &friend, "chat");
    const struct reply *reply;

    bond_with(&terms, BOND_TERM_ROUNDS | BOND_TERM_COOL_DOWN);
    ck_assert_int_eq(order(pond, &pond->alice, &peck)->code, REFUSAL_NONE);
    reply = order(pond, &pond->alice, &peck);
    ck_assert_int_eq(reply->code, REFUSAL_BOND_COOLING_DOWN);
    ck_assert_uint_eq(reply->retry_after_ms, 1000);
    tick(pond, 1000);
    ck_assert_int_eq(order(pond, &pond->alice, &peck)->code, REFUSAL_NONE);
}
END_TEST

START_TEST(a_reply_without_a_thread_joins_the_one_it_replies_to)
{
    static const struct bond_terms none;
    struct order first = action(&duck, &friend), reply = action(&friend, &duck);
    struct kept_peck *sent, *replied;
    char text[ID_TEXT_SIZE];

    bond_with(&none, 0);
    sent = send(&first);
    reply.send.reply_to = sent->id;
    replied = find(&pond->bob, BOX_OUT, &order(pond, &pond->bob, &reply)->peck);
    ck_assert(bytes_equal(replied->thread, bytes_of_text(id_text(ID_PECK, &sent->id, text))));
    ck_assert(bytes_equal(find(&pond->alice, BOX_IN, &replied->id)->thread, replied->thread));
    first = action(&duck, &friend);
    first.send.reply_to = replied->id;
    ck_assert(bytes_equal(send(&first)->thread, replied->thread));
    ck_assert_uint_eq(pond->bob.last_thread.thread.rounds, 2);
}
END_TEST

START_TEST(between_ducklings_of_one_node_a_peck_is_one_round)
{
    struct id brother = hatch(pond, &pond->bob, 30);
    struct bond_terms terms = {.rounds = 2};
    struct id request = ask_for_bond(&pond->bob, &brother, &friend);
    struct order peck = in_thread(&brother, &friend, "chat");

    approve(&pond->bob, &friend, &request, &terms, BOND_TERM_ROUNDS);
    for (int i = 0; i < 2; i++) {
        const struct reply *reply = order(pond, &pond->bob, &peck);

        ck_assert_int_eq(reply->code, REFUSAL_NONE);
        ck_assert_int_eq(find(&pond->bob, BOX_IN, &reply->peck)->state, PECK_TAKEN);
        ck_assert_uint_eq(pond->bob.last_thread.thread.rounds, (unsigned)i + 1);
    }
    ck_assert_int_eq(order(pond, &pond->bob, &peck)->code, REFUSAL_BOND_ROUNDS);
}
END_TEST

/* ---- a node that keeps no rule ---- */

/* Signed by the duck, made by nobody's agent, and given to bob's node. */
static struct id lie(const char *thread, const struct id *reply_to, const char *key)
{
    static uint64_t nonce;
    struct order said = action(&duck, &friend);
    struct peck *peck = &said.send;
    struct identity_key *live;
    uint8_t seed[SEED_SIZE];
    struct bytes body, chain = {0};

    memset(seed, 10, sizeof seed);
    live = identity_key_new(seed);
    for (size_t i = 0; i < pond->alice.peck_count; i++)
        if (pond->alice.pecks[i].box == BOX_OUT && id_equal(&pond->alice.pecks[i].from, &duck))
            chain = pond->alice.pecks[i].chain;
    peck->network = bytes_of_text(NETWORK);
    peck->thread = bytes_of_text(thread);
    if (reply_to)
        peck->reply_to = *reply_to;
    peck->idempotency_key = bytes_of_text(key);
    peck->created_ms = pond->at.wall_ms;
    peck->expires_ms = pond->at.wall_ms + HOUR_MS;
    nonce++;
    memcpy(peck->nonce, &nonce, sizeof peck->nonce);
    ck_assert_int_eq(peck_pack(peck, &pond->alice.memory, &body), PECK_OK);
    body = envelope_seal(ENVELOPE_PECK, &duck, live, body, &pond->alice.memory, NULL);
    carry(pond, &pond->alice, FRAME_PECK, frame_pack_peck(chain, body, &pond->alice.memory));
    identity_key_free(live);
    return peck->id;
}

static bool is_taken(const struct id *peck)
{
    return find(&pond->bob, BOX_IN, peck) != NULL;
}

static bool lie_is_taken(const char *thread, const struct id *reply_to, const char *key)
{
    struct id peck = lie(thread, reply_to, key);

    return is_taken(&peck);
}

START_TEST(the_receiver_counts_the_rounds_of_a_sender_that_does_not)
{
    struct bond_terms terms = {.rounds = 2};

    bond_with(&terms, BOND_TERM_ROUNDS);
    ck_assert(lie_is_taken("chat", NULL, ""));
    ck_assert(lie_is_taken("chat", NULL, ""));
    ck_assert(!lie_is_taken("chat", NULL, ""));
    ck_assert_int_eq(pond->bob.last_limit, BOND_ROUNDS);
}
END_TEST

START_TEST(a_reply_under_another_threads_name_belongs_where_it_replies)
{
    struct bond_terms terms = {.rounds = 2};
    struct id first, second;

    bond_with(&terms, BOND_TERM_ROUNDS);
    first = lie("chat", NULL, "");
    second = lie("something else", &first, "");
    ck_assert(is_taken(&first) && is_taken(&second));
    ck_assert(bytes_equal(find(&pond->bob, BOX_IN, &second)->thread, bytes_of_text("chat")));
    ck_assert(!lie_is_taken("", &second, ""));
    ck_assert(!lie_is_taken("a third", &second, ""));
}
END_TEST

START_TEST(a_peck_of_others_lends_no_thread)
{
    struct bond_terms terms = {.rounds = 1};
    struct id stranger = hatch(pond, &pond->alice, 40), foreign;
    struct order peck = in_thread(&stranger, &friend, "theirs");

    bond_with(&terms, BOND_TERM_ROUNDS);
    foreign = order(pond, &pond->alice, &peck)->peck;
    ck_assert(lie_is_taken("chat", NULL, ""));
    ck_assert(!lie_is_taken("chat", &foreign, ""));
}
END_TEST

/* New threads are the sender's to open; how many actions it has is not. */
START_TEST(who_names_a_new_thread_each_time_runs_into_the_other_limits)
{
    struct bond_terms terms = {.rounds = 1, .per_day = 5, .budget = 100};
    int taken = 0;

    bond_with(&terms, BOND_TERM_ROUNDS | BOND_TERM_PER_DAY | BOND_TERM_BUDGET);
    for (int i = 0; i < 20; i++) {
        char name[16];

        snprintf(name, sizeof name, "thread %d", i);
        taken += lie_is_taken(name, NULL, "");
    }
    ck_assert_int_eq(taken, 5);
    ck_assert_uint_eq(pond->bob.last_use.use.spent, 5);
}
END_TEST

START_TEST(a_peck_that_comes_again_is_counted_once_and_answered_again)
{
    struct bond_terms terms = {.rounds = 2, .per_day = 2, .budget = 2, .per_minute = 2};
    struct order peck = in_thread(&duck, &friend, "chat");
    struct kept_peck *sent;

    bond_with(&terms,
              BOND_TERM_ROUNDS | BOND_TERM_PER_DAY | BOND_TERM_BUDGET | BOND_TERM_PER_MINUTE);
    sent = send(&peck);
    for (int i = 0; i < 5; i++)
        carry(pond, &pond->alice, FRAME_PECK,
              frame_pack_peck(sent->chain, sent->wire, &pond->alice.memory));
    ck_assert_uint_eq(pond->bob.last_use.use.used_today, 1);
    ck_assert_uint_eq(pond->bob.last_use.use.spent, 1);
    ck_assert_uint_eq(pond->bob.last_thread.thread.rounds, 1);
    ck_assert_int_eq(send(&peck)->state, PECK_TAKEN);
}
END_TEST

START_TEST(idempotency_keys_are_the_senders_and_hide_nothing_from_the_receiver)
{
    struct bond_terms terms = {.per_day = 2};

    bond_with(&terms, BOND_TERM_PER_DAY);
    ck_assert(lie_is_taken("", NULL, "the same"));
    ck_assert(lie_is_taken("", NULL, "the same"));
    ck_assert(!lie_is_taken("", NULL, "the same"));
}
END_TEST

/* ---- terms ---- */

START_TEST(both_sides_know_the_terms)
{
    struct bond_terms terms = {.per_minute = 1, .per_day = 2, .budget = 3, .cool_down_ms = 5};

    bond_with(&terms,
              BOND_TERM_PER_MINUTE | BOND_TERM_PER_DAY | BOND_TERM_BUDGET | BOND_TERM_COOL_DOWN);
    ck_assert_uint_eq(pond->alice.last_bond.terms.per_minute, 1);
    ck_assert_uint_eq(pond->alice.last_bond.terms.per_day, 2);
    ck_assert_uint_eq(pond->alice.last_bond.terms.budget, 3);
    ck_assert_uint_eq(pond->alice.last_bond.terms.rounds, BOND_ROUNDS_DEFAULT);
    ck_assert_uint_eq(pond->alice.last_bond.terms.cool_down_ms, 5);
    ck_assert_uint_eq(pond->alice.last_bond.terms_ms, pond->bob.last_bond.terms_ms);
}
END_TEST

START_TEST(only_who_approved_a_bond_changes_its_terms)
{
    struct bond_terms more = {.rounds = 1000};
    struct id stranger = hatch(pond, &pond->bob, 40), bond = bond_with(&more, 0);
    struct id no_bond = {{1}};

    ck_assert_int_eq(change(&pond->alice, &duck, &bond, &more, BOND_TERM_ROUNDS),
                     REFUSAL_NOT_ALLOWED);
    ck_assert_int_eq(change(&pond->alice, NULL, &bond, &more, BOND_TERM_ROUNDS),
                     REFUSAL_NOT_ALLOWED);
    ck_assert_int_eq(change(&pond->bob, &stranger, &bond, &more, BOND_TERM_ROUNDS),
                     REFUSAL_NOT_FOUND);
    ck_assert_int_eq(change(&pond->bob, &friend, &no_bond, &more, BOND_TERM_ROUNDS),
                     REFUSAL_NOT_FOUND);
    more.rounds = BOND_ROUNDS_MAX + 1;
    ck_assert_int_eq(change(&pond->bob, &friend, &bond, &more, BOND_TERM_ROUNDS),
                     REFUSAL_MALFORMED);
    ck_assert_uint_eq(pond->bob.last_bond.terms.rounds, BOND_ROUNDS_DEFAULT);
    more.rounds = 1000;
    ck_assert_int_eq(change(&pond->bob, &friend, &bond, &more, BOND_TERM_ROUNDS), REFUSAL_NONE);
    ck_assert_uint_eq(pond->bob.last_bond.terms.rounds, 1000);
    ck_assert_uint_eq(pond->alice.last_bond.terms.rounds, 1000); /* was told */
    ck_assert_uint_eq(pond->alice.terms_told, 1);
    ck_assert_uint_eq(pond->bob.terms_told, 1);
}
END_TEST

START_TEST(scopes_and_end_change_too_and_not_into_the_past)
{
    static const struct bond_terms none;
    struct bytes scope = bytes_of_text("data.*");
    struct order wish = {.kind = ORDER_BOND, .bond = bond_with(&none, 0)};
    struct order peck = action(&duck, &friend);

    wish.not_after_ms = pond->at.wall_ms;
    ck_assert_int_eq(order(pond, &pond->bob, &wish)->code, REFUSAL_MALFORMED);
    wish.not_after_ms = pond->at.wall_ms + 1; /* not after what it says now */
    ck_assert_int_eq(order(pond, &pond->bob, &wish)->code, REFUSAL_MALFORMED);
    wish.not_after_ms = pond->at.wall_ms + HOUR_MS;
    wish.scopes = &scope;
    wish.scope_count = 1;
    ck_assert_int_eq(order(pond, &pond->bob, &wish)->code, REFUSAL_NONE);
    ck_assert_int_eq(send(&peck)->state, PECK_PENDING);
    peck.send.action = bytes_of_text("data.read");
    ck_assert_int_eq(send(&peck)->state, PECK_TAKEN);
    ck_assert_uint_eq(pond->alice.last_bond.not_after_ms, wish.not_after_ms);
    tick(pond, HOUR_MS);
    ck_assert_uint_eq(pond->alice.bonds_ended + pond->bob.bonds_ended, 2);
}
END_TEST

START_TEST(who_was_away_hears_of_new_terms_at_the_next_link_and_never_of_older_ones)
{
    struct bond_terms terms = {.rounds = 7}, older = {.rounds = 3};
    struct id bond = bond_with(&older, BOND_TERM_ROUNDS);
    const struct kept_peck *request = find(&pond->bob, BOX_IN, &bond);
    struct bytes wire = request->receipts[1], chain = request->receipt_chains[1];

    link_both(pond, false);
    ck_assert_int_eq(change(&pond->bob, &friend, &bond, &terms, BOND_TERM_ROUNDS), REFUSAL_NONE);
    ck_assert_uint_eq(pond->alice.last_bond.terms.rounds, 3);
    link_both(pond, true);
    ck_assert_uint_eq(pond->alice.last_bond.terms.rounds, 7);
    ck_assert_uint_eq(pond->alice.terms_told, 1);
    carry(pond, &pond->bob, FRAME_RECEIPT, frame_pack_receipt(chain, wire, &pond->bob.memory));
    ck_assert_uint_eq(pond->alice.last_bond.terms.rounds, 7);
    link_both(pond, false);
    link_both(pond, true); /* told again, and known */
    ck_assert_uint_eq(pond->alice.terms_told, 1);
}
END_TEST

START_TEST(an_action_is_not_approved_with_terms)
{
    struct order approve_it = {.kind = ORDER_APPROVE, .terms_set = BOND_TERM_ROUNDS};

    approve_it.peck = ask()->id;
    ck_assert_int_eq(order(pond, &pond->bob, &approve_it)->code, REFUSAL_MALFORMED);
}
END_TEST

/* ---- what bonds outlive, and what they do not imply ---- */

START_TEST(each_of_two_requests_needs_its_own_approval)
{
    static const struct bond_terms none;
    struct id there = ask_for_bond(&pond->alice, &duck, &friend);
    struct id back = ask_for_bond(&pond->bob, &friend, &duck);
    struct order peck = action(&friend, &duck);
    const struct reply *reply;

    ck_assert_int_eq(find(&pond->bob, BOX_IN, &there)->state, PECK_PENDING);
    ck_assert_int_eq(find(&pond->alice, BOX_IN, &back)->state, PECK_PENDING);
    approve(&pond->bob, &friend, &there, &none, 0);
    ck_assert_int_eq(find(&pond->alice, BOX_IN, &back)->state, PECK_PENDING);
    reply = order(pond, &pond->bob, &peck);
    ck_assert_int_eq(find(&pond->alice, BOX_IN, &reply->peck)->state, PECK_PENDING);
    approve(&pond->alice, &duck, &back, &none, 0);
    reply = order(pond, &pond->bob, &peck);
    ck_assert_int_eq(find(&pond->alice, BOX_IN, &reply->peck)->state, PECK_TAKEN);
}
END_TEST

/* The keys that hatch() made; the next one is promised by the first certificate. */
static struct bytes rotated_chain(struct bytes chain, struct identity_key *next)
{
    uint8_t seed[SEED_SIZE];
    struct identity_key *third;
    struct public_key third_public;
    struct bytes certificates[2];
    struct chain opened;
    struct certificate_wish wish = {.kind = IDENTITY_DUCKLING,
                                    .display_name = bytes_of_text("Duck"),
                                    .issued_ms = pond->at.wall_ms,
                                    .not_after_ms = pond->at.wall_ms + CERTIFICATE_LIFE_MS};
    struct id id;

    memset(seed, 77, sizeof seed);
    third = identity_key_new(seed);
    third_public = identity_key_public(third);
    wish.next_key_hash = identity_key_hash(&third_public);
    identity_key_free(third);
    ck_assert_int_eq(chain_open(chain, &pond->alice.memory, &opened), CERTIFICATE_TAKEN);
    wish.previous = &opened.certificates[0];
    certificates[0] = opened.certificates[0].wire;
    certificates[1] = certificate_make(&wish, next, &pond->alice.memory, &id);
    return chain_pack(certificates, 2, &pond->alice.memory);
}

START_TEST(a_bond_outlives_a_change_of_keys)
{
    static const struct bond_terms none;
    struct order said = action(&duck, &friend);
    struct peck *peck = &said.send;
    struct identity_key *next;
    uint8_t seed[SEED_SIZE];
    struct bytes chain, body;

    bond_with(&none, 0);
    chain = ask()->chain;
    memset(seed, 110, sizeof seed);
    next = identity_key_new(seed);
    tick(pond, 1000);
    chain = rotated_chain(chain, next);
    peck->network = bytes_of_text(NETWORK);
    peck->created_ms = pond->at.wall_ms;
    peck->expires_ms = pond->at.wall_ms + HOUR_MS;
    ck_assert_int_eq(peck_pack(peck, &pond->alice.memory, &body), PECK_OK);
    body = envelope_seal(ENVELOPE_PECK, &duck, next, body, &pond->alice.memory, NULL);
    carry(pond, &pond->alice, FRAME_PECK, frame_pack_peck(chain, body, &pond->alice.memory));
    identity_key_free(next);
    ck_assert(is_taken(&peck->id));
    ck_assert_int_eq(find(&pond->bob, BOX_IN, &peck->id)->state, PECK_TAKEN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_limits");
    TCase *tests = tcase_create("limits");
    SRunner *runner = srunner_create(suite);
    int failed;

    if (sodium_init() < 0)
        return 2;
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, more_than_the_rate_fails_and_says_when_to_try_again);
    tcase_add_test(tests, more_than_a_days_share_waits_for_midnight);
    tcase_add_test(tests, a_budget_is_spent_by_what_the_answers_charge);
    tcase_add_test(tests, a_muted_bond_refuses_until_its_approver_lets_it);
    tcase_add_test(tests, a_payload_with_a_stop_word_is_refused);
    tcase_add_test(tests, what_no_bond_covers_waits_for_the_owner_whatever_is_used_up);
    tcase_add_test(tests, a_limit_that_refuses_is_told_once_a_minute);
    tcase_add_test(tests, two_that_answer_each_other_for_ever_stop_at_the_rounds);
    tcase_add_test(tests, by_default_it_is_64_rounds);
    tcase_add_test(tests, a_thread_rests_and_begins_anew);
    tcase_add_test(tests, a_reply_without_a_thread_joins_the_one_it_replies_to);
    tcase_add_test(tests, between_ducklings_of_one_node_a_peck_is_one_round);
    tcase_add_test(tests, the_receiver_counts_the_rounds_of_a_sender_that_does_not);
    tcase_add_test(tests, a_reply_under_another_threads_name_belongs_where_it_replies);
    tcase_add_test(tests, a_peck_of_others_lends_no_thread);
    tcase_add_test(tests, who_names_a_new_thread_each_time_runs_into_the_other_limits);
    tcase_add_test(tests, a_peck_that_comes_again_is_counted_once_and_answered_again);
    tcase_add_test(tests, idempotency_keys_are_the_senders_and_hide_nothing_from_the_receiver);
    tcase_add_test(tests, both_sides_know_the_terms);
    tcase_add_test(tests, only_who_approved_a_bond_changes_its_terms);
    tcase_add_test(tests, scopes_and_end_change_too_and_not_into_the_past);
    tcase_add_test(tests, who_was_away_hears_of_new_terms_at_the_next_link_and_never_of_older_ones);
    tcase_add_test(tests, an_action_is_not_approved_with_terms);
    tcase_add_test(tests, each_of_two_requests_needs_its_own_approval);
    tcase_add_test(tests, a_bond_outlives_a_change_of_keys);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
