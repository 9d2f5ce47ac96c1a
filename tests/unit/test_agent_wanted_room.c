/* Stories of two whole agents: how much waits for the signatures of ducklings that keep their own keys, and who keeps whom
 * out. */
#define PECKS_MAX 1024
#define REPLIES_MAX 1024
#include "own_play.h"

#define ORDERS_MAX WANTED_BUT_RECORDS_MAX(WANTED_PER_DUCKLING_MAX)
#define ANSWER_BYTES (2 * (size_t)PECK_PAYLOAD_MAX) /* an order counts with what it says */

/* Of several senders: of one so many do not wait. */
START_TEST(so_much_waits_for_one_and_no_more)
{
    struct play play = play_new();
    struct order send = {0}, deny = {.kind = ORDER_DENY, .duckling = play.own};
    const struct reply *reply;

    for (unsigned i = 0; i <= ORDERS_MAX; i++) {
        struct id friend;

        if (i % PENDING_PER_SENDER_MAX == 0) {
            friend = hatch(play.pond, &play.pond->bob, (uint8_t)(30 + i / PENDING_PER_SENDER_MAX));
            tick(play.pond, 1000);
        }
        if (i % PENDING_PER_SENDER_MAX == 0)
            send = action(&friend, &play.own);
        deny.peck = order(play.pond, &play.pond->bob, &send)->peck;
        reply = order(play.pond, &play.pond->alice, &deny);
        ck_assert_int_eq(reply->code, i < ORDERS_MAX ? REFUSAL_NONE : REFUSAL_BUSY);
        play.pond->alice.reply_count = play.pond->bob.reply_count = 0;
    }
    ck_assert_uint_eq(wanted(&play)->wanted_count, WANTED_LIST_MAX);
    sign(&play, &wanted(&play)->wanted[0]);
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &deny)->code, REFUSAL_NONE);
    play_end(&play);
}
END_TEST

/* Each answer counts with what it says and with its body. */
START_TEST(so_many_bytes_wait_on_a_node_and_no_more)
{
    struct play play = play_new();
    char *result = memory_take(PECK_PAYLOAD_MAX + 1);
    size_t each = 2 * PECK_PAYLOAD_MAX, fit = WANTED_BYTES_MAX / each;
    struct id peck;

    memset(result, '1', PECK_PAYLOAD_MAX);
    for (size_t i = 0; i < fit; i++) {
        peck = asked(&play);
        ck_assert_int_eq(answer(&play, &peck, result)->code,
                         i + 1 < fit ? REFUSAL_NONE : REFUSAL_BUSY);
        play.pond->alice.reply_count = play.pond->bob.reply_count = 0;
    }
    ck_assert_uint_eq(wanted(&play)->wanted_count, WANTED_LIST_BYTES / PECK_PAYLOAD_MAX);
    sign(&play, &wanted(&play)->wanted[0]);
    ck_assert_int_eq(answer(&play, &peck, result)->code, REFUSAL_NONE);
    memory_give_back(result);
    play_end(&play);
}
END_TEST

/* Another one, with another key, on the same node. */
static struct play hatch_beside(const struct play *play, uint8_t byte)
{
    struct play beside = {.pond = play->pond, .friend = play->friend};
    uint8_t seed[SEED_SIZE];
    struct order hatch;

    arena_init(&beside.memory, 64 * MIB);
    memset(seed, byte, sizeof seed);
    memset(beside.next, byte + 1, sizeof beside.next);
    beside.key = identity_key_new(seed);
    beside.chain = own_chain(play->pond, beside.key, beside.next, "Own", &beside.memory);
    hatch = hatching(&beside, "Own");
    beside.own = order(play->pond, &play->pond->alice, &hatch)->duckling;
    sign_all(&beside);
    tick(play->pond, 1000);
    return beside;
}

static void beside_end(struct play *beside)
{
    identity_key_free(beside->key);
    arena_free(&beside->memory);
}

START_TEST(one_that_lets_all_wait_that_may_keeps_no_other_out)
{
    struct play play = play_new(), beside = hatch_beside(&play, 90);
    char *result = memory_take(PECK_PAYLOAD_MAX + 1);
    struct id peck;

    memset(result, '1', PECK_PAYLOAD_MAX);
    for (size_t i = 0; i < WANTED_BYTES_MAX / ANSWER_BYTES; i++) {
        peck = asked(&play);
        answer(&play, &peck, result);
        play.pond->alice.reply_count = play.pond->bob.reply_count = 0;
    }
    ck_assert_int_eq(answer(&play, &peck, result)->code, REFUSAL_BUSY);
    for (int i = 0; i < 2; i++) {
        peck = asked(&beside);
        ck_assert_int_eq(answer(&beside, &peck, result)->code, REFUSAL_NONE);
    }
    ck_assert_uint_eq(wanted(&beside)->wanted_count, 2);
    memory_give_back(result);
    beside_end(&beside);
    play_end(&play);
}
END_TEST

/* Pecks that nobody decides about: of each its end waits to be signed. */
static void let_expire(struct play *play, unsigned count)
{
    struct order send = {0};

    for (unsigned i = 0; i < count; i++) {
        struct id stranger;

        if (i % PENDING_PER_SENDER_MAX == 0) {
            tick(play->pond, 2000);
            stranger =
                hatch(play->pond, &play->pond->bob, (uint8_t)(30 + i / PENDING_PER_SENDER_MAX));
            tick(play->pond, 1000);
            send = action(&stranger, &play->own);
            send.expires_in_ms = SECOND_MS;
        }
        ck_assert_int_eq(order(play->pond, &play->pond->bob, &send)->code, REFUSAL_NONE);
        play->pond->alice.reply_count = play->pond->bob.reply_count = 0;
    }
    tick(play->pond, 2000);
}

START_TEST(what_strangers_let_expire_leaves_room_for_what_its_owner_says)
{
    struct play play = play_new();
    struct order revoke = {.kind = ORDER_REVOKE, .duckling = play.own};
    struct order pulse = {.kind = ORDER_PULSE,
                          .duckling = play.own}; /* of who is revoked it is refused */
    struct id peck;

    let_expire(&play, WANTED_PER_DUCKLING_MAX + PENDING_PER_SENDER_MAX);
    peck = asked(&play);
    ck_assert_int_eq(answer(&play, &peck, "1")->code, REFUSAL_NONE);
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &revoke)->code, REFUSAL_NONE);
    sign_all(&play); /* in the order in which it was asked for */
    ck_assert_int_eq(find(&play.pond->bob, BOX_OUT, &peck)->state, PECK_ANSWERED);
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &pulse)->code, REFUSAL_CONFLICT);
    play_end(&play);
}
END_TEST

START_TEST(an_answer_for_which_there_is_no_room_leaves_the_one_before_it)
{
    struct play play = play_new();
    char *result = memory_take(PECK_PAYLOAD_MAX + 1);
    struct id peck = asked(&play), first = answer(&play, &peck, "1")->waits_for, other;
    struct order sign = {.kind = ORDER_SIGN, .duckling = play.own, .wanted = first};
    struct wanted waiting = wanted(&play)->wanted[0];

    memset(result, '1', PECK_PAYLOAD_MAX);
    for (size_t i = 0; i + 1 < WANTED_BYTES_MAX / ANSWER_BYTES; i++) {
        other = asked(&play);
        ck_assert_int_eq(answer(&play, &other, result)->code, REFUSAL_NONE);
        play.pond->alice.reply_count = play.pond->bob.reply_count = 0;
    }
    ck_assert_int_eq(answer(&play, &peck, result)->code, REFUSAL_BUSY);
    sign.signature = signature_of(&play, &waiting);
    ck_assert_int_eq(order(play.pond, &play.pond->alice, &sign)->code, REFUSAL_NONE);
    ck_assert_int_eq(find(&play.pond->bob, BOX_OUT, &peck)->state, PECK_ANSWERED);
    memory_give_back(result);
    play_end(&play);
}
END_TEST

static const struct effect *list_in_turn(struct play *play, struct effects *effects)
{
    struct order ask = {.kind = ORDER_WANTED, .duckling = play->own};
    struct event event = {.kind = EVENT_ORDER, .at = play->pond->at, .order = &ask};
    const struct effect *effect;

    agent_step(play->pond->alice.agent, &event, effects);
    effect = &effects->list[effects->count - 1];
    ck_assert_int_eq(effect->kind, EFFECT_REPLY);
    ck_assert_uint_eq(effect->reply.wanted_count, 1);
    return effect;
}

START_TEST(however_many_ask_in_one_turn_it_is_copied_once)
{
    struct play play = play_new();
    struct id peck = asked(&play);
    struct effects effects;
    struct bytes body, one, other;

    answer(&play, &peck, "1");
    body = wanted(&play)->wanted[0].body;
    for (int turns = 0; turns < 2; turns++) {
        effects_init(&effects);
        one = list_in_turn(&play, &effects)->reply.wanted[0].body;
        other = list_in_turn(&play, &effects)->reply.wanted[0].body;
        ck_assert_ptr_eq(one.data, other.data);
        ck_assert(bytes_equal(one, body));
        agent_settle(play.pond->alice.agent, &play.pond->at, &effects);
        effects_free(&effects);
    }
    play_end(&play);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_wanted_room");
    TCase *tests = tcase_create("stories");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, so_much_waits_for_one_and_no_more);
    tcase_add_test(tests, so_many_bytes_wait_on_a_node_and_no_more);
    tcase_add_test(tests, one_that_lets_all_wait_that_may_keeps_no_other_out);
    tcase_add_test(tests, what_strangers_let_expire_leaves_room_for_what_its_owner_says);
    tcase_add_test(tests, an_answer_for_which_there_is_no_room_leaves_the_one_before_it);
    tcase_add_test(tests, however_many_ask_in_one_turn_it_is_copied_once);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
