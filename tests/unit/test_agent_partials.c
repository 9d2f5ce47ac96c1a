/* Stories of two whole agents: answers that come in parts. */
#include "core/frame.h"
#include "two_agents.h"

struct play {
    struct pond *pond;
    struct id duck, friend, peck;
};

/* A peck of alice's that bob's agent may answer. */
static struct play play_new(void)
{
    struct play play = {.pond = pond_new()};
    struct order send;

    play.duck = hatch(play.pond, &play.pond->alice, 10);
    play.friend = hatch(play.pond, &play.pond->bob, 20);
    bond(play.pond, &play.duck, &play.friend);
    send = action(&play.duck, &play.friend);
    play.peck = order(play.pond, &play.pond->alice, &send)->peck;
    ck_assert_int_eq(find(&play.pond->bob, BOX_IN, &play.peck)->state, PECK_TAKEN);
    return play;
}

static const struct reply *say_numbered(struct play *play, const char *text, uint32_t number)
{
    struct order partial = {.kind = ORDER_PARTIAL,
                            .duckling = play->friend,
                            .peck = play->peck,
                            .number = number,
                            .result = bytes_of_text(text)};

    return order(play->pond, &play->pond->bob, &partial);
}

static uint32_t say(struct play *play, const char *text)
{
    const struct reply *reply = say_numbered(play, text, 0);

    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    return reply->number;
}

static enum refusal_code end(struct play *play)
{
    struct order answer = {.kind = ORDER_ANSWER,
                           .duckling = play->friend,
                           .peck = play->peck,
                           .result = bytes_of_text("1")};

    return order(play->pond, &play->pond->bob, &answer)->code;
}

static struct kept_peck *sent(struct play *play)
{
    return find(&play->pond->alice, BOX_OUT, &play->peck);
}

static struct receipt receipt_in(struct bytes wire)
{
    static struct arena arena;
    struct envelope envelope;
    struct receipt receipt;

    arena_free(&arena);
    arena_init(&arena, MIB);
    ck_assert_int_eq(envelope_parse(wire, ENVELOPE_RECEIPT, &arena, &envelope), ENVELOPE_TAKEN);
    ck_assert_int_eq(receipt_parse(envelope.body, &arena, &receipt), RECEIPT_OK);
    return receipt;
}

static void check_in_order(struct play *play, size_t count)
{
    struct kept_peck *kept = sent(play);

    ck_assert_uint_eq(kept->partial_count, count);
    for (size_t i = 0; i < count; i++) {
        struct receipt receipt = receipt_in(kept->partials[i]);

        ck_assert_int_eq(receipt.kind, RECEIPT_PARTIAL);
        ck_assert_uint_eq(receipt.number, i + 1);
        ck_assert_uint_eq(receipt.result.data[0], '1' + i);
    }
}

/* ---- as it goes well ---- */

START_TEST(parts_arrive_as_they_are_said_and_the_answer_says_how_many_there_were)
{
    struct play play = play_new();
    struct receipt done;

    ck_assert_uint_eq(say(&play, "1"), 1);
    check_in_order(&play, 1);
    ck_assert_uint_eq(say(&play, "2"), 2);
    check_in_order(&play, 2);
    ck_assert_int_eq(end(&play), REFUSAL_NONE);
    ck_assert_int_eq(sent(&play)->state, PECK_ANSWERED);
    done = receipt_in(sent(&play)->receipts[1]);
    ck_assert_uint_eq(done.partials, 2);
    ck_assert_uint_eq(done.number, 0);
    pond_free(play.pond);
}
END_TEST

START_TEST(between_ducklings_of_one_node_both_ends_keep_them)
{
    struct pond *pond = pond_new();
    struct play play = {.pond = pond};
    struct order send, approve = {.kind = ORDER_APPROVE};

    play.duck = hatch(pond, &pond->bob, 10);
    play.friend = hatch(pond, &pond->bob, 20);
    send = action(&play.duck, &play.friend);
    play.peck = approve.peck = order(pond, &pond->bob, &send)->peck;
    ck_assert_int_eq(order(pond, &pond->bob, &approve)->code, REFUSAL_NONE);
    say(&play, "1");
    say(&play, "2");
    ck_assert_int_eq(end(&play), REFUSAL_NONE);
    ck_assert_uint_eq(find(&pond->bob, BOX_IN, &play.peck)->partial_count, 2);
    ck_assert_uint_eq(find(&pond->bob, BOX_OUT, &play.peck)->partial_count, 2);
    ck_assert_int_eq(find(&pond->bob, BOX_OUT, &play.peck)->state, PECK_ANSWERED);
    pond_free(pond);
}
END_TEST

START_TEST(whoever_says_a_part_keeps_its_lease)
{
    struct play play = play_new();
    struct order take = {
        .kind = ORDER_TAKE, .duckling = play.friend, .limit = 1, .lease_ms = 2 * SECOND_MS};

    ck_assert_uint_eq(order(play.pond, &play.pond->bob, &take)->taken_count, 1);
    say(&play, "1");
    tick(play.pond, LEASE_MS - 1);
    ck_assert_uint_eq(order(play.pond, &play.pond->bob, &take)->taken_count, 0);
    tick(play.pond, 1);
    ck_assert_uint_eq(order(play.pond, &play.pond->bob, &take)->taken_count, 1);
    pond_free(play.pond);
}
END_TEST

/* ---- what is lost comes again ---- */

START_TEST(a_part_that_was_lost_is_asked_for_and_what_came_after_it_is_not_kept_before_it)
{
    struct play play = play_new();

    play.pond->lose = FRAME_PARTIAL;
    say(&play, "1");
    say(&play, "2");
    check_in_order(&play, 0);
    tick(play.pond, PARTIALS_ASK_MS - 1);
    check_in_order(&play, 0);
    tick(play.pond, 1);
    check_in_order(&play, 2);
    ck_assert_uint_eq(say(&play, "3"), 3);
    check_in_order(&play, 3);
    pond_free(play.pond);
}
END_TEST

START_TEST(an_answer_is_not_taken_before_all_of_its_parts_are)
{
    struct play play = play_new();

    say(&play, "1");
    play.pond->lose = FRAME_PARTIAL;
    say(&play, "2");
    ck_assert_int_eq(end(&play), REFUSAL_NONE);
    ck_assert_int_eq(sent(&play)->state, PECK_TAKEN);
    ck_assert_uint_eq(sent(&play)->receipts[1].size, 0);
    tick(play.pond, PARTIALS_ASK_MS);
    check_in_order(&play, 2);
    ck_assert_int_eq(sent(&play)->state, PECK_ANSWERED);
    pond_free(play.pond);
}
END_TEST

START_TEST(parts_said_while_the_link_was_down_come_when_it_is_up_and_only_those)
{
    struct play play = play_new();
    size_t before;

    say(&play, "1");
    link_both(play.pond, false);
    say(&play, "2");
    say(&play, "3");
    ck_assert_int_eq(end(&play), REFUSAL_NONE);
    check_in_order(&play, 1);
    before = play.pond->carried[FRAME_PARTIAL];
    link_both(play.pond, true);
    tick(play.pond, 10);
    check_in_order(&play, 3);
    ck_assert_uint_eq(play.pond->carried[FRAME_PARTIAL] - before, 2);
    ck_assert_int_eq(sent(&play)->state, PECK_ANSWERED);
    pond_free(play.pond);
}
END_TEST

START_TEST(parts_that_do_not_come_are_asked_for_again_and_again_but_ever_more_seldom)
{
    struct play play = play_new();
    size_t before;

    play.pond->lose = FRAME_PARTIAL;
    say(&play, "1");
    say(&play, "2"); /* shows the gap */
    before = play.pond->carried[FRAME_PECK];
    for (int i = 0; i < 100; i++) {
        play.pond->lose = FRAME_PECK; /* nobody hears that it is asked for */
        tick(play.pond, SECOND_MS);
    }
    ck_assert_uint_eq(play.pond->carried[FRAME_PECK], before);
    play.pond->lose = 0;
    for (int i = 0; i < 60; i++)
        tick(play.pond, SECOND_MS);
    ck_assert_uint_eq(play.pond->carried[FRAME_PECK], before + 1);
    check_in_order(&play, 2);
    pond_free(play.pond);
}
END_TEST

/* ---- what is refused ---- */

static void carry_again(struct play *play, size_t which)
{
    struct kept_peck *kept = find(&play->pond->bob, BOX_IN, &play->peck);
    struct arena arena;

    arena_init(&arena, MIB);
    carry(play->pond, &play->pond->bob, FRAME_PARTIAL,
          frame_pack_partial(kept->partial_chain, kept->partials[which], &arena));
    arena_free(&arena);
}

START_TEST(a_part_that_comes_twice_is_kept_once)
{
    struct play play = play_new();

    say(&play, "1");
    say(&play, "2");
    carry_again(&play, 1);
    carry_again(&play, 0);
    check_in_order(&play, 2);
    pond_free(play.pond);
}
END_TEST

START_TEST(after_the_end_nobody_says_a_part_and_none_is_kept)
{
    struct play play = play_new();

    say(&play, "1");
    ck_assert_int_eq(end(&play), REFUSAL_NONE);
    ck_assert_int_eq(say_numbered(&play, "2", 0)->code, REFUSAL_NOT_FOUND);
    carry_again(&play, 0);
    check_in_order(&play, 1);
    pond_free(play.pond);
}
END_TEST

START_TEST(only_the_target_says_parts)
{
    struct play play = play_new();
    struct order partial = {.kind = ORDER_PARTIAL, .peck = play.peck, .result = bytes_of_text("1")};

    partial.duckling = hatch(play.pond, &play.pond->bob, 30);
    ck_assert_int_eq(order(play.pond, &play.pond->bob, &partial)->code, REFUSAL_NOT_ALLOWED);
    partial.duckling = (struct id){0};
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &partial)->code, REFUSAL_NOT_FOUND);
    pond_free(play.pond);
}
END_TEST

START_TEST(what_waits_for_its_owner_has_no_parts)
{
    struct pond *pond = pond_new();
    struct play play = {.pond = pond};
    struct order send;

    play.duck = hatch(pond, &pond->alice, 10);
    play.friend = hatch(pond, &pond->bob, 20);
    send = action(&play.duck, &play.friend);
    play.peck = order(pond, &pond->alice, &send)->peck;
    ck_assert_int_eq(say_numbered(&play, "1", 0)->code, REFUSAL_CONFLICT);
    pond_free(pond);
}
END_TEST

START_TEST(another_number_than_the_next_is_a_conflict)
{
    struct play play = play_new();

    ck_assert_int_eq(say_numbered(&play, "1", 2)->code, REFUSAL_CONFLICT);
    ck_assert_int_eq(say_numbered(&play, "1", 1)->code, REFUSAL_NONE);
    ck_assert_int_eq(say_numbered(&play, "1", 1)->code, REFUSAL_CONFLICT);
    ck_assert_int_eq(say_numbered(&play, "2", 2)->code, REFUSAL_NONE);
    check_in_order(&play, 2);
    pond_free(play.pond);
}
END_TEST

START_TEST(a_part_is_text_of_a_bounded_size)
{
    struct play play = play_new();
    struct order partial = {.kind = ORDER_PARTIAL, .peck = play.peck};
    static uint8_t text[PARTIAL_SIZE_MAX + 1];

    memset(text, '1', sizeof text);
    ck_assert_int_eq(order(play.pond, &play.pond->bob, &partial)->code, REFUSAL_MALFORMED);
    partial.result = bytes_of_text("\xff");
    ck_assert_int_eq(order(play.pond, &play.pond->bob, &partial)->code, REFUSAL_MALFORMED);
    partial.result = bytes_of(text, sizeof text);
    ck_assert_int_eq(order(play.pond, &play.pond->bob, &partial)->code, REFUSAL_TOO_LARGE);
    partial.result.size = PARTIAL_SIZE_MAX;
    ck_assert_int_eq(order(play.pond, &play.pond->bob, &partial)->code, REFUSAL_NONE);
    check_in_order(&play, 1);
    pond_free(play.pond);
}
END_TEST

START_TEST(the_parts_of_a_peck_are_bounded_in_number)
{
    struct play play = play_new();

    for (uint32_t i = 1; i <= PARTIALS_MAX; i++) {
        play.pond->bob.reply_count = 0;
        ck_assert_uint_eq(say(&play, "1"), i);
    }
    play.pond->bob.reply_count = 0;
    ck_assert_int_eq(say_numbered(&play, "1", 0)->code, REFUSAL_TOO_LARGE);
    ck_assert_uint_eq(sent(&play)->partial_count, PARTIALS_MAX);
    ck_assert_int_eq(end(&play), REFUSAL_NONE);
    ck_assert_int_eq(sent(&play)->state, PECK_ANSWERED);
    pond_free(play.pond);
}
END_TEST

/* ---- a target that lies ---- */

struct liar {
    struct identity_key *key;
    struct bytes chain;
    struct arena arena;
};

/* bob's duckling, that signs what it likes: its seed is known from hatch(). */
static struct liar liar_new(struct play *play)
{
    struct liar liar;
    uint8_t seed[SEED_SIZE];

    memset(seed, 20, sizeof seed);
    liar.key = identity_key_new(seed);
    arena_init(&liar.arena, 4 * MIB);
    say(play, "1"); /* so that its chain is known */
    liar.chain = sent(play)->partial_chain;
    return liar;
}

static void liar_free(struct liar *liar)
{
    identity_key_free(liar->key);
    arena_free(&liar->arena);
}

static struct receipt lie(struct play *play, enum receipt_kind kind)
{
    return (struct receipt){.network = bytes_of_text(NETWORK),
                            .peck = sent(play)->hash,
                            .from = play->duck,
                            .to = play->friend,
                            .kind = kind,
                            .state = kind == RECEIPT_DONE ? PECK_ANSWERED : PECK_TAKEN,
                            .result = bytes_of_text("2"),
                            .at_ms = play->pond->at.wall_ms};
}

static void tell(struct play *play, struct liar *liar, const struct receipt *receipt,
                 enum frame_kind kind)
{
    struct bytes body, wire;

    ck_assert_int_eq(receipt_pack(receipt, &liar->arena, &body), RECEIPT_OK);
    wire = envelope_seal(ENVELOPE_RECEIPT, &play->friend, liar->key, body, &liar->arena, NULL);
    carry(play->pond, &play->pond->bob, kind,
          kind == FRAME_PARTIAL ? frame_pack_partial(liar->chain, wire, &liar->arena)
                                : frame_pack_receipt(liar->chain, wire, &liar->arena));
}

START_TEST(an_answer_that_takes_parts_back_is_refused)
{
    struct play play = play_new();
    struct liar liar = liar_new(&play);
    struct receipt done = lie(&play, RECEIPT_DONE);

    tell(&play, &liar, &done, FRAME_RECEIPT); /* as if there had been none */
    ck_assert_int_eq(sent(&play)->state, PECK_TAKEN);
    done.partials = 1;
    done.partials_hash.bytes[0] = 1; /* as if it had been another */
    tell(&play, &liar, &done, FRAME_RECEIPT);
    ck_assert_int_eq(sent(&play)->state, PECK_TAKEN);
    ck_assert_int_eq(end(&play), REFUSAL_NONE);
    ck_assert_int_eq(sent(&play)->state, PECK_ANSWERED);
    liar_free(&liar);
    pond_free(play.pond);
}
END_TEST

START_TEST(more_bytes_than_a_peck_may_have_are_refused_by_the_receiver)
{
    struct play play = play_new();
    struct liar liar = liar_new(&play);
    struct receipt partial = lie(&play, RECEIPT_PARTIAL);
    uint8_t *text = arena_take(&liar.arena, PARTIAL_SIZE_MAX);
    size_t fit = (PARTIALS_BYTES_MAX - 1) / PARTIAL_SIZE_MAX; /* beside the one that was said */

    memset(text, '2', PARTIAL_SIZE_MAX);
    partial.result = bytes_of(text, PARTIAL_SIZE_MAX);
    for (partial.number = 2; partial.number < 2 + fit + 3; partial.number++)
        tell(&play, &liar, &partial, FRAME_PARTIAL);
    ck_assert_uint_eq(sent(&play)->partial_count, 1 + fit);
    liar_free(&liar);
    pond_free(play.pond);
}
END_TEST

START_TEST(a_part_about_another_peck_is_refused)
{
    struct play play = play_new();
    struct liar liar = liar_new(&play);
    struct receipt partial = lie(&play, RECEIPT_PARTIAL);

    partial.number = 2;
    partial.peck.bytes[HASH_SIZE - 1] ^= 1; /* the same id */
    tell(&play, &liar, &partial, FRAME_PARTIAL);
    ck_assert_uint_eq(sent(&play)->partial_count, 1);
    partial = lie(&play, RECEIPT_PARTIAL);
    partial.number = 2;
    partial.from.bytes[0] ^= 1;
    tell(&play, &liar, &partial, FRAME_PARTIAL);
    ck_assert_uint_eq(sent(&play)->partial_count, 1);
    partial.from = play.duck;
    tell(&play, &liar, &partial, FRAME_PARTIAL);
    ck_assert_uint_eq(sent(&play)->partial_count, 2);
    liar_free(&liar);
    pond_free(play.pond);
}
END_TEST

START_TEST(a_part_by_somebody_else_is_refused_at_the_door)
{
    struct play play = play_new();
    struct liar liar = liar_new(&play);
    struct receipt partial = lie(&play, RECEIPT_PARTIAL);

    partial.number = 2;
    partial.to = play.duck; /* signed by bob's duckling all the same */
    tell(&play, &liar, &partial, FRAME_PARTIAL);
    ck_assert_int_eq(play.pond->alice.last_refusal, INTAKE_WRONG_SIGNER);
    ck_assert_uint_eq(sent(&play)->partial_count, 1);
    liar_free(&liar);
    pond_free(play.pond);
}
END_TEST

START_TEST(a_part_in_a_frame_of_receipts_is_refused_and_a_receipt_in_a_frame_of_parts)
{
    struct play play = play_new();
    struct liar liar = liar_new(&play);
    struct receipt partial = lie(&play, RECEIPT_PARTIAL), done = lie(&play, RECEIPT_DONE);

    partial.number = 2;
    tell(&play, &liar, &partial, FRAME_RECEIPT);
    ck_assert_int_eq(play.pond->alice.last_refusal, INTAKE_BAD_BODY);
    play.pond->alice.last_refusal = INTAKE_TAKEN;
    tell(&play, &liar, &done, FRAME_PARTIAL);
    ck_assert_int_eq(play.pond->alice.last_refusal, INTAKE_BAD_BODY);
    ck_assert_uint_eq(sent(&play)->partial_count, 1);
    ck_assert_int_eq(sent(&play)->state, PECK_TAKEN);
    liar_free(&liar);
    pond_free(play.pond);
}
END_TEST

START_TEST(who_promises_parts_that_never_come_is_waited_for_to_the_end_of_the_peck)
{
    struct play play = play_new();
    struct liar liar = liar_new(&play);
    struct receipt done = lie(&play, RECEIPT_DONE);

    done.partials = PARTIALS_MAX;
    done.partials_hash.bytes[0] = 1;
    tell(&play, &liar, &done, FRAME_RECEIPT);
    ck_assert_int_eq(sent(&play)->state, PECK_TAKEN);
    play.pond->lose = FRAME_RECEIPT; /* bob's honest node says that it has expired */
    tick(play.pond, PECK_LIFE_MS + OUTBOX_GRACE_MS + 1);
    ck_assert_int_eq(sent(&play)->state, PECK_EXPIRED);
    liar_free(&liar);
    pond_free(play.pond);
}
END_TEST

/* Who knows of a peck, and is not whom it was sent to, signs parts of an answer in its own name. */
START_TEST(a_strangers_part_makes_nobody_ask_for_more)
{
    struct play play = play_new();
    struct event event = {.kind = EVENT_PARTIAL, .node = play.pond->bob.id};
    size_t carried = play.pond->carried[FRAME_PECK];

    event.receipt.receipt = (struct receipt){.peck = sent(&play)->hash,
                                             .from = play.duck,
                                             .to = hatch(play.pond, &play.pond->bob, 40),
                                             .kind = RECEIPT_PARTIAL,
                                             .state = PECK_TAKEN,
                                             .number = 7,
                                             .result = bytes_of_text("1")};
    turn(play.pond, &play.pond->alice, &event);
    tick(play.pond, PARTIALS_ASK_MS + 1);
    ck_assert_uint_eq(play.pond->carried[FRAME_PECK], carried);
    event.receipt.receipt.to = play.friend;
    turn(play.pond, &play.pond->alice, &event);
    tick(play.pond, PARTIALS_ASK_MS + 1);
    ck_assert_uint_eq(play.pond->carried[FRAME_PECK], carried + 1);
    pond_free(play.pond);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_partials");
    TCase *stories = tcase_create("stories");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(stories, 60);
    tcase_add_test(stories, parts_arrive_as_they_are_said_and_the_answer_says_how_many_there_were);
    tcase_add_test(stories, between_ducklings_of_one_node_both_ends_keep_them);
    tcase_add_test(stories, whoever_says_a_part_keeps_its_lease);
    tcase_add_test(stories,
                   a_part_that_was_lost_is_asked_for_and_what_came_after_it_is_not_kept_before_it);
    tcase_add_test(stories, an_answer_is_not_taken_before_all_of_its_parts_are);
    tcase_add_test(stories, parts_said_while_the_link_was_down_come_when_it_is_up_and_only_those);
    tcase_add_test(stories,
                   parts_that_do_not_come_are_asked_for_again_and_again_but_ever_more_seldom);
    tcase_add_test(stories, a_part_that_comes_twice_is_kept_once);
    tcase_add_test(stories, after_the_end_nobody_says_a_part_and_none_is_kept);
    tcase_add_test(stories, only_the_target_says_parts);
    tcase_add_test(stories, what_waits_for_its_owner_has_no_parts);
    tcase_add_test(stories, another_number_than_the_next_is_a_conflict);
    tcase_add_test(stories, a_part_is_text_of_a_bounded_size);
    tcase_add_test(stories, the_parts_of_a_peck_are_bounded_in_number);
    tcase_add_test(stories, an_answer_that_takes_parts_back_is_refused);
    tcase_add_test(stories, more_bytes_than_a_peck_may_have_are_refused_by_the_receiver);
    tcase_add_test(stories, a_part_about_another_peck_is_refused);
    tcase_add_test(stories, a_part_by_somebody_else_is_refused_at_the_door);
    tcase_add_test(stories, a_strangers_part_makes_nobody_ask_for_more);
    tcase_add_test(stories,
                   a_part_in_a_frame_of_receipts_is_refused_and_a_receipt_in_a_frame_of_parts);
    tcase_add_test(stories,
                   who_promises_parts_that_never_come_is_waited_for_to_the_end_of_the_peck);
    suite_add_tcase(suite, stories);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
