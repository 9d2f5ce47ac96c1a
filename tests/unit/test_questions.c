/* Questions that are asked together, with a node that is this test. */
#include "questions.h"

#include "client/duck_client.h"
#include "core/bytes.h"
#include "gateway.h"
#include "wire/local.pb-c.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define CALLS_MAX 64

static struct questions *questions;
static struct call {
    void (*done)(void *context, Duck__Reply *reply);
    void *context;
} calls[CALLS_MAX];
static size_t call_count, answered_count, made_count;
static uint64_t now_ms, orders;

/* In the place of the way to the node. */
void node_link_call(struct node_link *link, Duck__Request *request, uint64_t timeout_ms,
                    void (*done)(void *context, Duck__Reply *reply), void *context)
{
    ck_assert_ptr_null(link);
    ck_assert_int_eq(request->order_case, DUCK__REQUEST__ORDER_DIRECTORY);
    ck_assert_uint_eq(timeout_ms, QUESTION_WAIT_MS);
    ck_assert_uint_lt(call_count, CALLS_MAX);
    calls[call_count++] = (struct call){done, context};
}

uint64_t node_link_orders(struct node_link *link)
{
    ck_assert_ptr_null(link);
    return orders;
}

uint64_t gateway_now_ms(void)
{
    return now_ms;
}

/* The node answers the call that came first; `cursor` is what it says. */
static void answer(const char *cursor)
{
    Duck__DirectoryList list = DUCK__DIRECTORY_LIST__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;
    const struct call *call = &calls[answered_count++];
    uint8_t packed[256];

    ck_assert_uint_le(answered_count, call_count);
    list.next_cursor = (char *)(uintptr_t)cursor;
    reply.id = answered_count;
    reply.answer_case = DUCK__REPLY__ANSWER_DIRECTORY;
    reply.directory = &list;
    call->done(call->context, duck__reply__unpack(NULL, duck__reply__pack(&reply, packed), packed));
}

static char *make(const Duck__Reply *reply)
{
    const char *text = reply->directory->next_cursor;
    char *copy = malloc(strlen(text) + 1);

    made_count++;
    return strcpy(copy, text);
}

static void hear(void *context, struct told *told)
{
    struct told **heard = context;

    ck_assert_ptr_null(*heard);
    *heard = told;
}

static Duck__Request *request_for(const char *capability)
{
    static Duck__DirectoryQuery query;
    static Duck__Request request;

    duck__directory_query__init(&query);
    duck__request__init(&request);
    query.capability = (char *)(uintptr_t)capability;
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    return &request;
}

static void ask(const char *capability, struct told **heard)
{
    *heard = NULL;
    questions_ask(questions, NULL, request_for(capability), hear, heard);
}

static struct told *lately(const char *capability, uint64_t most_ms)
{
    return questions_lately(questions, NULL, request_for(capability), most_ms);
}

static void take(struct told *told, const char *expected)
{
    struct bytes text;

    ck_assert_ptr_nonnull(told);
    text = told_text(told, make);
    told_take(told);
    ck_assert(bytes_equal(text, bytes_of_text(expected)));
    told_give_back(told);
}

static void setup(void)
{
    questions = questions_new();
    call_count = answered_count = made_count = 0;
    now_ms = orders = 1000;
}

static void teardown(void)
{
    questions_free(questions);
}

START_TEST(who_comes_while_a_question_is_asked_gets_the_answer_to_the_next)
{
    struct told *first, *second, *third;

    ask("a", &first);
    ask("a", &second);
    ask("a", &third);
    ck_assert_uint_eq(call_count, 1);
    answer("then");
    ck_assert_ptr_null(second);
    ck_assert_uint_eq(call_count, 1); /* the first has not taken it yet */
    take(first, "then");
    ck_assert_uint_eq(call_count, 2);
    answer("now");
    take(second, "now");
    take(third, "now");
    ck_assert_uint_eq(call_count, 2);
    ck_assert_uint_eq(made_count, 2);
}
END_TEST

START_TEST(who_comes_while_an_answer_is_handed_out_does_not_get_it)
{
    struct told *first, *second;

    ask("a", &first);
    answer("then");
    ask("a", &second);
    ck_assert_uint_eq(call_count, 1);
    take(first, "then");
    ck_assert_uint_eq(call_count, 2);
    answer("now");
    take(second, "now");
}
END_TEST

START_TEST(another_question_is_asked_at_once)
{
    struct told *first, *second;

    ask("a", &first);
    ask("b", &second);
    ck_assert_uint_eq(call_count, 2);
    answer("of a");
    answer("of b");
    take(first, "of a");
    take(second, "of b");
}
END_TEST

START_TEST(the_same_answer_again_is_the_same_text)
{
    struct told *told;

    for (int i = 0; i < 3; i++) {
        ask("a", &told);
        answer("same");
        take(told, "same");
    }
    ck_assert_uint_eq(made_count, 1);
    ask("a", &told);
    answer("other");
    take(told, "other");
    ck_assert_uint_eq(made_count, 2);
}
END_TEST

START_TEST(so_many_answers_are_kept_and_not_one_more)
{
    struct told *told;
    char name[16];

    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i <= ANSWERS_KEPT_MAX; i++) {
            snprintf(name, sizeof name, "name%u", i);
            ask(name, &told);
            answer(name);
            take(told, name);
        }
    ck_assert_uint_eq(made_count, 2 * (ANSWERS_KEPT_MAX + 1)); /* each drove out the next */
    ask(name, &told);
    answer(name);
    take(told, name);
    ck_assert_uint_eq(made_count, 2 * (ANSWERS_KEPT_MAX + 1));
}
END_TEST

START_TEST(an_answer_lives_as_long_as_somebody_holds_it)
{
    struct told *told, *held;
    struct bytes text;

    ask("a", &told);
    answer("long");
    held = told_hold(told);
    text = told_text(told, make);
    take(told, "long");
    ask("a", &told);
    answer("new");
    take(told, "new");
    ck_assert(bytes_equal(text, bytes_of_text("long")));
    told_give_back(held);
}
END_TEST

START_TEST(what_was_asked_lately_is_told_again_until_it_is_too_old)
{
    struct told *told;

    ck_assert_ptr_null(lately("a", 50));
    ask("a", &told);
    ck_assert_ptr_null(lately("a", 50)); /* not answered yet */
    now_ms += 20;
    answer("then");
    take(told, "then");
    ck_assert_ptr_null(lately("b", 50));
    now_ms += 30;
    take(lately("a", 50), "then");
    now_ms++; /* it counts from when it was asked: it may have been so ever since */
    ck_assert_ptr_null(lately("a", 50));
    ck_assert_uint_eq(call_count, 1);
    ck_assert_uint_eq(made_count, 1);
    ask("a", &told);
    answer("then"); /* the same again is new all the same */
    take(told, "then");
    take(lately("a", 50), "then");
    ck_assert_uint_eq(made_count, 1);
}
END_TEST

START_TEST(what_was_said_lately_of_a_longer_question_is_not_looked_for)
{
    char capability[QUESTION_LATELY_SIZE_MAX + 1];
    struct told *told;
    size_t length = 0;

    do {
        memset(capability, 'x', ++length);
        capability[length] = 0;
    } while (duck__request__get_packed_size(request_for(capability)) < QUESTION_LATELY_SIZE_MAX);
    ask(capability, &told);
    answer("then");
    take(told, "then");
    take(lately(capability, 50), "then");
    memset(capability, 'x', ++length);
    capability[length] = 0;
    ask(capability, &told);
    answer("then");
    take(told, "then");
    ck_assert_ptr_null(lately(capability, 50));
}
END_TEST

START_TEST(many_who_ask_lately_share_what_was_said_beyond_its_end)
{
    struct told *told, *held;

    ask("a", &told);
    answer("then");
    take(told, "then");
    held = lately("a", 50);
    ck_assert_ptr_eq(lately("a", 50), held);
    told_give_back(held);
    ask("a", &told);
    answer("now");
    take(told, "now");
    take(lately("a", 50), "now");
    take(held, "then");
}
END_TEST

START_TEST(what_was_asked_before_an_order_is_not_told_after_it)
{
    struct told *told;

    ask("a", &told);
    orders++; /* begun or answered, while the node is asked */
    answer("before or after");
    take(told, "before or after");
    ck_assert_ptr_null(lately("a", 50));
    ask("a", &told);
    answer("after");
    take(told, "after");
    take(lately("a", 50), "after");
    orders++;
    ck_assert_ptr_null(lately("a", 50));
}
END_TEST

START_TEST(that_the_node_could_not_answer_is_not_told_again)
{
    Duck__Problem problem = DUCK__PROBLEM__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;
    struct told *told;
    uint8_t packed[64];

    ask("a", &told);
    reply.answer_case = DUCK__REPLY__ANSWER_PROBLEM;
    reply.problem = &problem;
    answered_count++;
    calls[0].done(calls[0].context,
                  duck__reply__unpack(NULL, duck__reply__pack(&reply, packed), packed));
    told_take(told);
    told_give_back(told);
    ck_assert_ptr_null(lately("a", 50));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("questions");
    Suite *suite = suite_create("questions");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, who_comes_while_a_question_is_asked_gets_the_answer_to_the_next);
    tcase_add_test(tests, who_comes_while_an_answer_is_handed_out_does_not_get_it);
    tcase_add_test(tests, another_question_is_asked_at_once);
    tcase_add_test(tests, the_same_answer_again_is_the_same_text);
    tcase_add_test(tests, so_many_answers_are_kept_and_not_one_more);
    tcase_add_test(tests, an_answer_lives_as_long_as_somebody_holds_it);
    tcase_add_test(tests, what_was_asked_lately_is_told_again_until_it_is_too_old);
    tcase_add_test(tests, what_was_said_lately_of_a_longer_question_is_not_looked_for);
    tcase_add_test(tests, many_who_ask_lately_share_what_was_said_beyond_its_end);
    tcase_add_test(tests, what_was_asked_before_an_order_is_not_told_after_it);
    tcase_add_test(tests, that_the_node_could_not_answer_is_not_told_again);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
