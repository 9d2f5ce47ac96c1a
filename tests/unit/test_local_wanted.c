/* Ducklings that keep their own keys, over the local API: what waits for signatures, and what is signed elsewhere. */
#include "client/duck_key.h"
#include "core/certificate.h"
#include "local_rig.h"

static struct arena arena;
static struct duck_holder *holder;
static int questions;

static struct wanted thing(void)
{
    return (struct wanted){.id = {{1}},
                           .duckling = rig.bed.bob.id,
                           .number = 7,
                           .type = ENVELOPE_RECEIPT,
                           .body = bytes_of_text("body"),
                           .why = "a peck is answered",
                           .peck = {{2}},
                           .asked_ms = 10,
                           .until_ms = 20};
}

static void show_one(struct rig *told, const struct order *order)
{
    struct wanted wanted = thing();
    struct effect effect = reply_to(order->ticket);

    (void)told;
    ck_assert_int_eq(order->kind, ORDER_WANTED);
    effect.reply.wanted = &wanted;
    effect.reply.wanted_count = order->after < wanted.number;
    tell(&effect);
}

START_TEST(what_waits_is_told_whole)
{
    struct duck_wanted wanted;
    struct duck_answer *answer;

    start(show_one);
    answer = duck_wanted(rig.duck, bob, 0, 0);
    ck_assert_uint_eq(duck_wanted_count(answer), 1);
    ck_assert(duck_wanted_item(answer, 0, &wanted));
    ck_assert(!duck_wanted_item(answer, 1, &wanted));
    ck_assert_int_eq(strncmp(wanted.id, "sig_", 4), 0);
    ck_assert_str_eq(wanted.type, "duck/receipt/1");
    ck_assert_str_eq(wanted.why, "a peck is answered");
    ck_assert_int_eq(strncmp(wanted.peck_id, "pck_", 4), 0);
    ck_assert_mem_eq(wanted.body, "body", 4);
    ck_assert_uint_eq(wanted.number, 7);
    ck_assert_uint_eq(wanted.until_ms, 20);
    duck_answer_free(answer);
    answer = duck_wanted(rig.duck, bob, 7, 0);
    ck_assert(duck_ok(answer));
    ck_assert_uint_eq(duck_wanted_count(answer), 0);
    duck_answer_free(answer);
    expect_code(duck_wanted(rig.duck, "bob", 0, 0), "malformed", "duckling");
    expect_code(duck_wanted(rig.duck, bob, 0, WAIT_MAX_MS + 1), "malformed", "wait_ms");
}
END_TEST

/* Nothing, then something: which wakes who waits for it, and nobody else. */
static void show_later(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);
    struct wanted wanted = thing();

    effect.reply.wanted = &wanted;
    effect.reply.wanted_count = ++questions > 1;
    tell(&effect);
    effect = (struct effect){.kind = EFFECT_WANTED};
    effect.wanted = wanted;
    effect.wanted.body = bytes_of(NULL, 0);
    if (questions > 1)
        return;
    effect.wanted.duckling = told->bed.alice.id;
    tell(&effect);
    effect.wanted.duckling = told->bed.bob.id;
    tell(&effect);
}

START_TEST(whoever_waits_hears_of_the_first_that_comes)
{
    struct duck_answer *answer;

    questions = 0;
    start(show_later);
    answer = duck_wanted(rig.duck, bob, 0, 30000);
    ck_assert_uint_eq(duck_wanted_count(answer), 1);
    ck_assert_int_eq(questions, 2);
    duck_answer_free(answer);
}
END_TEST

/* So many bytes for each who asks. */
#define ASKED_AT_ONCE 200u

/* All are told in one turn, after the last of them has asked: of who is told sooner no more would be read. */
static void show_much(struct rig *told, const struct order *order)
{
    static uint8_t body[WANTED_LIST_BYTES];
    static uint64_t tickets[ASKED_AT_ONCE];
    static size_t count;
    struct wanted wanted = thing();

    (void)told;
    wanted.body = bytes_of(body, sizeof body);
    tickets[count++] = order->ticket;
    if (count < ASKED_AT_ONCE)
        return;
    for (size_t i = 0; i < count; i++) {
        struct effect effect = reply_to(tickets[i]);

        effect.reply.wanted = &wanted;
        effect.reply.wanted_count = 1;
        tell(&effect);
    }
    count = 0;
}

START_TEST(who_does_not_read_what_it_asked_for_is_not_told_all_of_it)
{
    Duck__WantedQuery query = DUCK__WANTED_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct local_buffer buffer = {0};
    unsigned told = 0, busy = 0;
    int slow;

    start(show_much);
    slow = connect_plainly();
    query.duckling = bob;
    request.order_case = DUCK__REQUEST__ORDER_WANTED;
    request.wanted = &query;
    for (request.id = 1; request.id <= ASKED_AT_ONCE; request.id++)
        say_request(slow, &request);
    await_order(ASKED_AT_ONCE); /* all came before any was read */
    for (unsigned i = 0; i < ASKED_AT_ONCE; i++) {
        Duck__Reply *reply = hear(slow, &buffer);
        bool is_told = reply->answer_case == DUCK__REPLY__ANSWER_WANTED;

        if (!is_told)
            ck_assert_str_eq(reply->problem->code, "busy");
        told += is_told;
        busy += !is_told;
        duck_reply_free(reply);
    }
    ck_assert_uint_ge(told, LOCAL_SEND_QUEUE_MAX / WANTED_LIST_BYTES);
    ck_assert_uint_ge(busy, ASKED_AT_ONCE / 2);
    local_buffer_free(&buffer);
    close(slow);
}
END_TEST

START_TEST(a_wait_for_what_does_not_come_ends_with_nothing)
{
    struct duck_answer *answer;

    start(agree);
    answer = duck_wanted(rig.duck, bob, 0, 50);
    ck_assert(duck_ok(answer));
    ck_assert_uint_eq(duck_wanted_count(answer), 0);
    duck_answer_free(answer);
}
END_TEST

static Duck__Reply *sign(const char *id, size_t size)
{
    uint8_t signature[SIGNATURE_SIZE + 1] = {0};
    Duck__SignOrder order = DUCK__SIGN_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.duckling = bob;
    order.id = (char *)(uintptr_t)id;
    order.signature = (ProtobufCBinaryData){size, signature};
    request.order_case = DUCK__REQUEST__ORDER_SIGN;
    request.sign = &order;
    return duck_call_wait(rig.duck, &request, 0);
}

static void expect_field(Duck__Reply *reply, const char *field)
{
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_PROBLEM);
    ck_assert_str_eq(reply->problem->code, "malformed");
    ck_assert_str_eq(reply->problem->field, field);
    duck_reply_free(reply);
}

START_TEST(a_signature_is_64_bytes_for_something_that_has_an_id)
{
    static const char id[] = "sig_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    Duck__Reply *reply;

    start(agree);
    expect_field(sign(id, SIGNATURE_SIZE - 1), "signature");
    expect_field(sign(id, SIGNATURE_SIZE + 1), "signature");
    expect_field(sign("pck_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", SIGNATURE_SIZE), "id");
    reply = sign(id, SIGNATURE_SIZE);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_DONE);
    duck_reply_free(reply);
    ck_assert_uint_eq(rig.order_count, 1);
}
END_TEST

static struct duck_holder *new_holder(void)
{
    const char *problem = "", *key, *next;
    char key_path[512], next_path[512];

    snprintf(key_path, sizeof key_path, "%s/own.key", rig.bed.directory);
    snprintf(next_path, sizeof next_path, "%s/own.next", rig.bed.directory);
    key = key_path;
    next = next_path;
    ck_assert_msg(duck_key_make("Own", key, next, &problem) == 0, "%s", problem);
    return duck_holder_open(key, &problem);
}

static void see_hatch(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    ck_assert(bytes_equal(order->profile.display_name, bytes_of_text("Own")));
    ck_assert_uint_gt(order->chain.size, 0);
    effect.reply.duckling = told->bed.bob.id;
    tell(&effect);
}

START_TEST(who_hatches_with_a_certificate_is_called_what_that_says)
{
    static const uint8_t junk[] = "junk";
    Duck__HatchOrder hatch = DUCK__HATCH_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct duck_answer *answer;

    start(see_hatch);
    holder = new_holder();
    answer = duck_hatch_own(rig.duck, holder, NULL);
    ck_assert_str_eq(duck_hatched_id(answer), bob);
    duck_answer_free(answer);
    duck_holder_free(holder);
    hatch.chain = (ProtobufCBinaryData){sizeof junk, (uint8_t *)(uintptr_t)junk};
    request.order_case = DUCK__REQUEST__ORDER_HATCH;
    request.hatch = &hatch;
    expect_field(duck_call_wait(rig.duck, &request, 0), "chain");
}
END_TEST

/* ---- pecks ---- */

static Duck__Reply *send_made(const char *from, struct bytes made, const char *action)
{
    Duck__SendOrder order = DUCK__SEND_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.from = (char *)(uintptr_t)from;
    order.made = (ProtobufCBinaryData){made.size, (uint8_t *)(uintptr_t)made.data};
    order.action = (ProtobufCBinaryData){strlen(action), (uint8_t *)(uintptr_t)action};
    request.order_case = DUCK__REQUEST__ORDER_SEND;
    request.send = &order;
    return duck_call_wait(rig.duck, &request, 0);
}

static void see_made(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    ck_assert_ptr_nonnull(order->made);
    ck_assert(bytes_equal(order->send.action, bytes_of_text("query")));
    ck_assert(id_equal(&order->duckling, &order->send.from));
    told->peck = order->send.id;
    effect.reply.peck = order->send.id;
    effect.reply.state = PECK_QUEUED;
    tell(&effect);
}

START_TEST(a_peck_that_was_made_elsewhere_says_all_itself)
{
    struct duck_peck wish = {.to = bob, .action = "query"};
    struct duck_made_peck *made;
    struct bytes wire, turned;
    Duck__Reply *reply;
    uint8_t *copy;
    size_t size;

    start(see_made);
    arena_init(&arena, MIB);
    holder = new_holder();
    made = duck_peck_make(holder, NULL, &wish, NULL);
    wire.data = duck_made_bytes(made, &size);
    wire.size = size;
    copy = memory_copy(wire.data, wire.size);
    turned = bytes_of(copy, wire.size - 1);
    expect_field(send_made(duck_holder_id(holder), turned, ""), "signed");
    expect_field(send_made(duck_holder_id(holder), wire, "query"), "signed");
    expect_field(send_made(bob, wire, ""), "from");
    expect_field(send_made("", wire, ""), "from");
    reply = send_made(duck_holder_id(holder), wire, "");
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_PECK);
    ck_assert_str_eq(reply->peck->peck_id, duck_made_id(made));
    ck_assert_uint_eq(rig.order_count, 1);
    duck_reply_free(reply);
    memory_give_back(copy);
    duck_made_free(made);
    duck_holder_free(holder);
    arena_free(&arena);
}
END_TEST

START_TEST(a_peck_out_of_a_batch_is_not_taken_from_outside)
{
    struct bytes bodies[2], wires[2];
    struct hash hashes[2];
    struct identity_key *key;
    uint8_t seed[SEED_SIZE] = {3};
    struct id signer = {{9}};
    struct peck peck = {.network = bytes_of_text("duck"),
                        .from = signer,
                        .to = {{8}},
                        .kind = PECK_ACTION,
                        .action = bytes_of_text("query"),
                        .payload = bytes_of_text("{}"),
                        .created_ms = 1,
                        .expires_ms = 2};

    start(see_made);
    arena_init(&arena, MIB);
    key = identity_key_new(seed);
    ck_assert_int_eq(peck_pack(&peck, &arena, &bodies[0]), PECK_OK);
    hashes[0] = peck.hash;
    peck.nonce[0] = 1;
    ck_assert_int_eq(peck_pack(&peck, &arena, &bodies[1]), PECK_OK);
    hashes[1] = peck.hash;
    envelope_seal_batch(ENVELOPE_PECK, &signer, key, bodies, hashes, 2, &arena, wires);
    expect_field(send_made(bob, wires[0], ""), "signed");
    identity_key_free(key);
    arena_free(&arena);
}
END_TEST

/* ---- orders that wait ---- */

static void wait_for_signature(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    (void)told;
    effect.reply.peck = order->peck;
    effect.reply.box = BOX_IN;
    effect.reply.state = PECK_TAKEN;
    effect.reply.waits_for.bytes[0] = 5;
    tell(&effect);
}

START_TEST(an_answer_says_that_it_waits_for_a_signature)
{
    struct id peck = {{1}};
    struct duck_answer *answer;

    start(wait_for_signature);
    answer = duck_answer_peck(rig.duck, bob, peck_text(&peck), "{}");
    ck_assert_int_eq(strncmp(duck_waits_for(answer), "sig_", 4), 0);
    ck_assert_str_eq(duck_peck_state(answer), "taken");
    duck_answer_free(answer);
    answer = duck_answer_partial(rig.duck, bob, peck_text(&peck), "1", 0);
    ck_assert_int_eq(strncmp(duck_waits_for(answer), "sig_", 4), 0);
    duck_answer_free(answer);
}
END_TEST

/* ---- what the client signs ---- */

START_TEST(the_client_signs_only_what_is_said_in_its_own_name)
{
    struct duck_wanted wanted = {.id = "sig_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                 .type = "duck/peck/1",
                                 .body = "x",
                                 .body_size = 1};
    struct record record = {.network = bytes_of_text("duck"),
                            .owner = {{4}},
                            .kind = RECORD_REVOCATION,
                            .version = {.ms = 5}};
    struct revocation_content content = {.subject = {{4}}, .revoked_at_ms = 1};
    struct bytes body;

    start(agree);
    arena_init(&arena, MIB);
    holder = new_holder();
    expect_code(duck_sign(rig.duck, holder, &wanted), "malformed", "body");
    wanted.type = "duck/record/1";
    expect_code(duck_sign(rig.duck, holder, &wanted), "malformed", "body");
    record.not_after_ms = record.version.ms + REVOCATION_LIFE_MAX_MS;
    record.content = revocation_content_pack(&content, &arena);
    ck_assert_int_eq(record_pack(&record, &arena, &body), RECORD_OK);
    wanted.body = body.data;
    wanted.body_size = body.size;
    expect_code(duck_sign(rig.duck, holder, &wanted), "malformed", "body"); /* another one's */
    ck_assert(id_parse(ID_DUCKLING, bytes_of_text(duck_holder_id(holder)), &record.owner));
    content.subject = record.owner;
    record.content = revocation_content_pack(&content, &arena);
    ck_assert_int_eq(record_pack(&record, &arena, &body), RECORD_OK);
    wanted.body = body.data;
    wanted.body_size = body.size;
    expect_code(duck_sign(rig.duck, holder, &wanted), "", "");
    ck_assert_uint_eq(rig.order_count, 1);
    duck_holder_free(holder);
    arena_free(&arena);
}
END_TEST

/* ---- events ---- */

static void announce(struct rig *told, const struct order *order)
{
    struct effect effect = {.kind = EFFECT_WANTED};

    (void)told;
    effect.wanted = thing();
    tell(&effect);
    agree(told, order);
}

static bool keep_event(void *context, const Duck__Reply *event)
{
    char *kind = context;

    snprintf(kind, 64, "%s %.4s", event->event->kind, event->event->wanted_id);
    return true;
}

START_TEST(whoever_follows_it_hears_that_something_waits)
{
    static char kind[64];
    uint64_t follow;

    start(announce);
    follow = duck_call_follow(rig.duck, bob, false, keep_event, kind);
    expect_code(duck_pulse(rig.duck, bob), "", ""); /* the event went before this answer */
    duck_unfollow(rig.duck, follow);
    ck_assert_str_eq(kind, "wanted sig_");
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, who_does_not_read_what_it_asked_for_is_not_told_all_of_it);
    tcase_add_test(tests, what_waits_is_told_whole);
    tcase_add_test(tests, whoever_waits_hears_of_the_first_that_comes);
    tcase_add_test(tests, a_wait_for_what_does_not_come_ends_with_nothing);
    tcase_add_test(tests, a_signature_is_64_bytes_for_something_that_has_an_id);
    tcase_add_test(tests, who_hatches_with_a_certificate_is_called_what_that_says);
    tcase_add_test(tests, a_peck_that_was_made_elsewhere_says_all_itself);
    tcase_add_test(tests, a_peck_out_of_a_batch_is_not_taken_from_outside);
    tcase_add_test(tests, an_answer_says_that_it_waits_for_a_signature);
    tcase_add_test(tests, the_client_signs_only_what_is_said_in_its_own_name);
    tcase_add_test(tests, whoever_follows_it_hears_that_something_waits);
}

int main(void)
{
    return run_with_rig("local_wanted", add_tests);
}
