/* Orders over the local API, and pecks that are sent and waited for. */
#include "local_rig.h"

/* ---- orders ---- */

static void hatch(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    effect.reply.duckling = told->bed.bob.id;
    effect.reply.certificate = told->bed.bob.id;
    effect.reply.chain = told->bed.bob.chain;
    tell(&effect);
}

START_TEST(a_hatch_is_answered_with_the_new_id)
{
    struct duck_profile profile = {.display_name = "Bob"};
    struct duck_answer *answer;

    start(hatch);
    answer = duck_hatch(rig.duck, &profile);
    ck_assert_str_eq(duck_hatched_id(answer), bob);
    duck_answer_free(answer);
    profile.display_name = "";
    expect_code(duck_hatch(rig.duck, &profile), "malformed", "display_name");
    ck_assert_uint_eq(rig.order_count, 1); /* the loop never heard of the second */
}
END_TEST

static void refuse(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    (void)told;
    effect.reply.code = REFUSAL_CONFLICT;
    effect.reply.message = "not now";
    effect.reply.field = "peck_id";
    tell(&effect);
}

START_TEST(what_the_agent_refuses_is_refused_in_its_words)
{
    struct id peck = {.bytes = {1}};

    start(refuse);
    expect_code(duck_cancel(rig.duck, bob, peck_text(&peck)), "conflict", "peck_id");
    expect_code(duck_deny(rig.duck, bob, peck_text(&peck), "no"), "conflict", "peck_id");
    expect_code(duck_answer_peck(rig.duck, bob, peck_text(&peck), "{}"), "conflict", "peck_id");
}
END_TEST

START_TEST(simple_orders_are_answered_with_done)
{
    struct id peck = {.bytes = {1}};
    const char *pecks[1];

    start(agree);
    pecks[0] = peck_text(&peck);
    expect_code(duck_pulse(rig.duck, bob), "", "");
    expect_code(duck_acknowledge(rig.duck, bob, pecks, 1), "", "");
    expect_code(duck_cancel(rig.duck, bob, pecks[0]), "", "");
    ck_assert_int_eq(rig.orders[1].kind, ORDER_ACK);
}
END_TEST

static void end_bond(struct rig *told, const struct order *order)
{
    struct effect ended = {.kind = EFFECT_BOND_CHANGED}, effect = reply_to(order->ticket);

    ended.bond_changed.bond = order->bond;
    ended.bond_changed.duckling = order->duckling;
    ended.bond_changed.with = told->bed.alice.id;
    tell(&ended);
    effect.reply.bond = order->bond;
    tell(&effect);
}

START_TEST(an_unpeck_tells_whom_the_bond_was_with)
{
    Duck__UnpeckOrder order = DUCK__UNPECK_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;

    start(end_bond);
    order.duckling = bob;
    order.bond_id = "bnd_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    request.order_case = DUCK__REQUEST__ORDER_UNPECK;
    request.unpeck = &order;
    reply = duck_call_wait(rig.duck, &request, 0);
    ck_assert_int_eq(reply->answer_case, DUCK__REPLY__ANSWER_BOND);
    ck_assert_str_eq(reply->bond->bond_id, order.bond_id);
    ck_assert_str_eq(reply->bond->with, alice);
    duck_reply_free(reply);
}
END_TEST

/* ---- sending ---- */

START_TEST(a_send_that_does_not_wait_is_answered_when_it_is_durable)
{
    struct duck_peck peck = a_peck();
    struct duck_answer *answer;
    struct duck_item item;

    rig.peck = (struct id){.bytes = {9}};
    start(send_off);
    answer = duck_send(rig.duck, &peck, DUCK_WAIT_QUEUED, 0);
    ck_assert(duck_ok(answer));
    ck_assert(duck_item(answer, 0, &item));
    ck_assert_str_eq(item.peck_id, peck_text(&rig.peck));
    ck_assert_str_eq(item.state, "sent");
    ck_assert_str_eq(item.from, bob);
    ck_assert_str_eq(item.to, alice);
    ck_assert_str_eq(item.action, "query");
    ck_assert_str_eq(item.thread, "t");
    ck_assert_uint_eq(item.created_ms, THINGS_WALL_MS);
    ck_assert_uint_eq(item.expires_ms, THINGS_WALL_MS + PECK_LIFE_MS);
    duck_answer_free(answer);
}
END_TEST

START_TEST(a_send_that_waits_is_answered_with_the_result_and_both_receipts)
{
    struct asked asked = ASKED_INIT;
    const Duck__PeckView *view;
    struct effect effect;

    rig.peck = (struct id){.bytes = {9}};
    start(send_off);
    call_send(&asked, DUCK__WAIT_FOR__WAIT_DONE, 20000);
    await_order(1);
    effect = change_of(BOX_OUT, &rig.peck, PECK_TAKEN);
    effect.changed.receipt = bytes_of_text("taken");
    effect.changed.receipt_chain = bytes_of_text("chain");
    effect.changed.receipt_kind = RECEIPT_TAKEN;
    effect.changed.receipt_signer = rig.bed.node.id;
    tell_now(&effect);
    effect = done_change_of(BOX_IN, &rig.peck); /* the other end's view: not ours */
    tell_now(&effect);
    effect = done_change_of(BOX_OUT, &rig.peck);
    tell_now(&effect);
    view = await_reply(&asked, 1)->peck;
    ck_assert_str_eq(view->state, "answered");
    ck_assert_uint_eq(view->n_receipts, 2);
    ck_assert_str_eq(view->receipts[0]->kind, "taken");
    ck_assert_int_eq(strncmp(view->receipts[0]->signer, "nod_", 4), 0);
    ck_assert_str_eq(view->receipts[1]->kind, "done");
    ck_assert_str_eq(view->receipts[1]->signer, alice);
    ck_assert_mem_eq(view->receipts[1]->envelope.data, "done", 4);
    ck_assert_mem_eq(view->result.data, "{\"a\":1}", 7);
    duck_reply_free(asked.reply);
}
END_TEST

START_TEST(waiting_for_taken_ends_when_it_is_taken)
{
    struct asked asked = ASKED_INIT;
    struct effect effect;

    rig.peck = (struct id){.bytes = {9}};
    start(send_off);
    call_send(&asked, DUCK__WAIT_FOR__WAIT_TAKEN, 20000);
    await_order(1);
    effect = change_of(BOX_OUT, &rig.peck, PECK_PENDING);
    tell_now(&effect);
    ck_assert_str_eq(await_reply(&asked, 1)->peck->state, "pending");
    duck_reply_free(asked.reply);
}
END_TEST

START_TEST(a_wait_that_runs_out_is_answered_with_the_state_so_far)
{
    struct duck_peck peck = a_peck();
    struct duck_answer *answer;
    uint64_t began_ms;

    rig.peck = (struct id){.bytes = {9}};
    start(send_off);
    began_ms = clock_now_ms();
    answer = duck_send(rig.duck, &peck, DUCK_WAIT_DONE, 80);
    ck_assert(duck_ok(answer));
    ck_assert_str_eq(duck_peck_state(answer), "sent");
    ck_assert_uint_ge(clock_now_ms() - began_ms, 79);
    ck_assert_uint_lt(clock_now_ms() - began_ms, 5000);
    duck_answer_free(answer);
}
END_TEST

static struct effect stored;

static void replay(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    (void)told;
    effect.reply.peck = stored.peck.id;
    effect.reply.box = BOX_OUT;
    effect.reply.state = stored.peck.state;
    effect.reply.replayed = true;
    tell(&effect);
}

START_TEST(a_repeated_send_is_answered_from_the_store)
{
    struct peck_wish wish = {.key = "k"};
    struct duck_peck peck = a_peck();
    struct effect done;
    struct asked asked = ASKED_INIT;

    (void)peck;
    stored = bed_send(&rig.bed, PECK_ANSWERED, &wish);
    done = make_receipt(&rig.bed.alice, &stored, RECEIPT_DONE, PECK_ANSWERED, &rig.bed.arena);
    bed_keep(&rig.bed, &done, 1);
    start(replay);
    call_send(&asked, DUCK__WAIT_FOR__WAIT_DONE, 20000);
    ck_assert_int_eq(await_reply(&asked, 1)->answer_case, DUCK__REPLY__ANSWER_PECK);
    ck_assert(asked.reply->peck->replayed);
    ck_assert_str_eq(asked.reply->peck->state, "answered");
    ck_assert_uint_eq(asked.reply->peck->box, 2);
    ck_assert_mem_eq(asked.reply->peck->result.data, "{\"ok\":true}", 11);
    duck_reply_free(asked.reply);
}
END_TEST

START_TEST(a_repeated_send_waits_like_the_first)
{
    struct peck_wish wish = {.key = "k"};
    struct asked asked = ASKED_INIT;
    struct effect effect;

    stored = bed_send(&rig.bed, PECK_SENT, &wish);
    start(replay);
    call_send(&asked, DUCK__WAIT_FOR__WAIT_DONE, 20000);
    await_order(1);
    bed_move(&rig.bed, &stored, PECK_EXPIRED, TRAY_WAITING);
    effect = change_of(BOX_OUT, &stored.peck.id, PECK_EXPIRED);
    tell_now(&effect);
    ck_assert_str_eq(await_reply(&asked, 1)->peck->state, "expired");
    ck_assert(asked.reply->peck->replayed);
    duck_reply_free(asked.reply);
}
END_TEST

START_TEST(a_question_waits_until_the_peck_is_as_far_as_asked)
{
    struct peck_wish wish = {0};
    struct asked asked = ASKED_INIT, late = ASKED_INIT;
    struct effect effect;

    start(NULL);
    stored = bed_send(&rig.bed, PECK_SENT, &wish);
    call_peck(&late, &stored.peck.id, DUCK__WAIT_FOR__WAIT_DONE, 60);
    ck_assert_str_eq(await_reply(&late, 1)->peck->state, "sent");
    call_peck(&asked, &stored.peck.id, DUCK__WAIT_FOR__WAIT_DONE, 20000);
    bed_move(&rig.bed, &stored, PECK_TAKEN, TRAY_WAITING);
    effect = change_of(BOX_OUT, &stored.peck.id, PECK_TAKEN);
    tell_now(&effect); /* not far enough */
    bed_move(&rig.bed, &stored, PECK_CANCELLED, TRAY_WAITING);
    effect = change_of(BOX_OUT, &stored.peck.id, PECK_CANCELLED);
    tell_now(&effect);
    ck_assert_str_eq(await_reply(&asked, 1)->peck->state, "cancelled");
    duck_reply_free(asked.reply);
    duck_reply_free(late.reply);
}
END_TEST

static struct effect came(const struct effect *kept)
{
    struct effect effect = *kept;

    effect.kind = EFFECT_PARTIAL_CAME;
    return effect;
}

START_TEST(whoever_waits_for_the_next_part_gets_it_and_the_end_ends_the_wait)
{
    struct asked first = ASKED_INIT, second = ASKED_INIT, end = ASKED_INIT;
    struct partials partials = {0};
    struct effect said, effect;

    start(NULL);
    stored = bed_send(&rig.bed, PECK_TAKEN, &(struct peck_wish){0});
    call_partials(&first, &stored.peck.id, 0, 0, 20000);
    said = make_partial(&rig.bed.alice, &stored, &partials, "\"one\"", &rig.bed.arena);
    bed_keep(&rig.bed, &said, 1);
    effect = came(&said);
    tell_now(&effect);
    ck_assert_int_eq(await_reply(&first, 1)->answer_case, DUCK__REPLY__ANSWER_PARTIALS);
    ck_assert_uint_eq(first.reply->partials->n_partials, 1);
    ck_assert_uint_eq(first.reply->partials->partials[0]->number, 1);
    ck_assert_mem_eq(first.reply->partials->partials[0]->result.data, "\"one\"", 5);
    ck_assert_uint_eq(first.reply->partials->partials[0]->envelope.len, 0);
    ck_assert(!first.reply->partials->is_done);
    call_partials(&second, &stored.peck.id, 0, 1, 0);
    ck_assert_uint_eq(await_reply(&second, 1)->partials->partials[0]->envelope.len,
                      said.partial.wire.size);
    ck_assert_uint_eq(second.reply->partials->chain.len, rig.bed.alice.chain.size);
    call_partials(&end, &stored.peck.id, 1, 0, 20000);
    bed_move(&rig.bed, &stored, PECK_ANSWERED, TRAY_WAITING);
    effect = change_of(BOX_OUT, &stored.peck.id, PECK_ANSWERED);
    tell_now(&effect);
    ck_assert_uint_eq(await_reply(&end, 1)->partials->n_partials, 0);
    ck_assert(end.reply->partials->is_done);
    ck_assert_uint_eq(end.reply->partials->held, 1);
    duck_reply_free(first.reply);
    duck_reply_free(second.reply);
    duck_reply_free(end.reply);
}
END_TEST

START_TEST(a_wait_for_a_part_that_does_not_come_ends_with_none)
{
    struct asked asked = ASKED_INIT, unknown = ASKED_INIT;

    start(NULL);
    stored = bed_send(&rig.bed, PECK_TAKEN, &(struct peck_wish){0});
    call_partials(&asked, &stored.peck.id, 0, 0, 60);
    ck_assert_uint_eq(await_reply(&asked, 1)->partials->n_partials, 0);
    ck_assert(!asked.reply->partials->is_done);
    ck_assert_str_eq(asked.reply->partials->state, "taken");
    call_partials(&unknown, &rig.bed.alice.id, 0, 0, 20000);
    ck_assert_str_eq(await_reply(&unknown, 1)->problem->code, "not_found");
    duck_reply_free(asked.reply);
    duck_reply_free(unknown.reply);
}
END_TEST

static uint32_t number_of_order;

static void take_partial(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    (void)told;
    number_of_order = order->number;
    effect.reply.number = 7;
    tell(&effect);
}

START_TEST(a_part_that_an_agent_says_is_answered_with_its_number)
{
    struct duck_answer *answer;
    char text[ID_TEXT_SIZE];
    struct id peck = {{1}};

    start(take_partial);
    answer = duck_answer_partial(rig.duck, bob, id_text(ID_PECK, &peck, text), "1", 7);
    ck_assert(duck_ok(answer));
    ck_assert_uint_eq(duck_partial_number(answer), 7);
    ck_assert_uint_eq(number_of_order, 7);
    duck_answer_free(answer);
    answer = duck_answer_partial(rig.duck, bob, text, "1", PARTIALS_MAX + 1);
    ck_assert_str_eq(duck_code(answer), "malformed");
    ck_assert_str_eq(duck_field(answer), "number");
    duck_answer_free(answer);
}
END_TEST

static bool count_partials(void *context, const struct duck_partial *partial)
{
    uint32_t *last = context;

    ck_assert_uint_eq(partial->number, *last + 1);
    *last = partial->number;
    return true;
}

START_TEST(a_client_walks_over_more_parts_than_a_page_holds_in_order)
{
    struct effect said[LOCAL_PAGE + 7];
    struct partials partials = {0};
    struct duck_answer *answer;
    uint32_t last = 0;

    start(NULL);
    stored = bed_send(&rig.bed, PECK_ANSWERED, &(struct peck_wish){0});
    for (size_t i = 0; i < LOCAL_PAGE + 7; i++)
        said[i] = make_partial(&rig.bed.alice, &stored, &partials, "1", &rig.bed.arena);
    bed_keep(&rig.bed, said, LOCAL_PAGE + 7);
    answer = duck_partials_each(rig.duck, peck_text(&stored.peck.id), 0, count_partials, &last);
    ck_assert(duck_ok(answer));
    ck_assert_str_eq(duck_peck_state(answer), "answered");
    ck_assert_uint_eq(last, LOCAL_PAGE + 7);
    duck_answer_free(answer);
}
END_TEST

static void answer_peck(struct rig *told, const struct order *order)
{
    struct effect effect = done_change_of(BOX_IN, &order->peck);

    (void)told;
    tell(&effect);
    effect = reply_to(order->ticket);
    effect.reply.peck = order->peck;
    effect.reply.box = BOX_IN;
    effect.reply.state = PECK_ANSWERED;
    tell(&effect);
}

START_TEST(an_answer_is_answered_with_what_was_signed)
{
    struct id peck = {.bytes = {4}};
    struct duck_answer *answer;
    struct duck_item item;

    start(answer_peck);
    answer = duck_answer_peck(rig.duck, bob, peck_text(&peck), "{\"a\":1}");
    ck_assert(duck_item(answer, 0, &item));
    ck_assert_str_eq(item.state, "answered");
    ck_assert_str_eq(item.from, alice);
    ck_assert_str_eq(item.to, bob);
    ck_assert(item.incoming);
    ck_assert_str_eq(item.result, "{\"a\":1}");
    duck_answer_free(answer);
}
END_TEST

static void decide_peck(struct rig *told, const struct order *order)
{
    struct effect effect = reply_to(order->ticket);

    (void)told;
    effect.reply.peck = order->peck;
    effect.reply.box = BOX_IN;
    effect.reply.bond = order->peck;
    tell(&effect);
}

START_TEST(an_approval_is_answered_with_the_peck_and_its_bond)
{
    struct peck_wish wish = {.kind = PECK_BOND_REQUEST};
    struct duck_answer *answer;
    struct duck_item item;

    stored = bed_receive(&rig.bed, PECK_APPROVED, &wish);
    start(decide_peck);
    answer = duck_approve(rig.duck, bob, peck_text(&stored.peck.id), NULL, 0, 0);
    ck_assert(duck_item(answer, 0, &item));
    ck_assert(item.bond_request);
    ck_assert_str_eq(item.state, "approved");
    ck_assert_str_eq(item.message, "may I?");
    ck_assert_str_eq(item.scopes[0], "data.*");
    duck_answer_free(answer);
}
END_TEST

static void add_tests(TCase *tests)
{
    tcase_add_test(tests, a_hatch_is_answered_with_the_new_id);
    tcase_add_test(tests, what_the_agent_refuses_is_refused_in_its_words);
    tcase_add_test(tests, simple_orders_are_answered_with_done);
    tcase_add_test(tests, an_unpeck_tells_whom_the_bond_was_with);
    tcase_add_test(tests, a_send_that_does_not_wait_is_answered_when_it_is_durable);
    tcase_add_test(tests, a_send_that_waits_is_answered_with_the_result_and_both_receipts);
    tcase_add_test(tests, waiting_for_taken_ends_when_it_is_taken);
    tcase_add_test(tests, a_wait_that_runs_out_is_answered_with_the_state_so_far);
    tcase_add_test(tests, a_repeated_send_is_answered_from_the_store);
    tcase_add_test(tests, a_repeated_send_waits_like_the_first);
    tcase_add_test(tests, a_question_waits_until_the_peck_is_as_far_as_asked);
    tcase_add_test(tests, whoever_waits_for_the_next_part_gets_it_and_the_end_ends_the_wait);
    tcase_add_test(tests, a_wait_for_a_part_that_does_not_come_ends_with_none);
    tcase_add_test(tests, a_part_that_an_agent_says_is_answered_with_its_number);
    tcase_add_test(tests, a_client_walks_over_more_parts_than_a_page_holds_in_order);
    tcase_add_test(tests, an_answer_is_answered_with_what_was_signed);
    tcase_add_test(tests, an_approval_is_answered_with_the_peck_and_its_bond);
}

int main(void)
{
    return run_with_rig("local_sends", add_tests);
}
