/* What waits until the agent has heard another node: in order, bounded, and let go of when it was heard. */
#include "births.h"
#include "core/agent_parts.h"
#include "loop_parts.h"

#include <check.h>
#include <stdlib.h>

static struct loop *loop;
static struct identity_key *key;
static struct effects effects;
static struct arena arena;
static const struct id other = {{9}}, another = {{8}}; /* known before this life */
static const struct id third = {{7}};

static const struct moment at = {.now_ms = 1000, .wall_ms = BORN_MS + 1000};

static void step(struct event *event)
{
    event->at = at;
    agent_step(loop->agent, event, &effects);
    effects_clear(&effects);
}

static void restore_node(const struct id *node)
{
    struct node_content content = {.session_not_after_ms = BORN_MS + DAY_MS};
    struct event restored = {.kind = EVENT_RESTORED_RECORD};
    struct id identity;

    restored.restored.record = (struct record){.network = bytes_of_text("pond"),
                                               .owner = *node,
                                               .kind = RECORD_NODE,
                                               .version = {BORN_MS, 0},
                                               .not_after_ms = BORN_MS + DAY_MS,
                                               .content = node_content_pack(&content, &arena)};
    restored.restored.record.hash.bytes[0] = node->bytes[0];
    restored.restored.chain = birth_chain(IDENTITY_NODE, 2, 1, &arena, &identity);
    step(&restored);
}

/* A life that knows of other nodes, and has not heard them. */
static void set_up(void)
{
    struct agent_settings settings = {.network = bytes_of_text("pond"),
                                      .session_not_after_ms = BORN_MS + DAY_MS};
    struct id identity;

    ck_assert(identity_self_test());
    arena_init(&arena, MIB);
    effects_init(&effects);
    loop = memory_take(sizeof *loop);
    key = birth_key(1);
    settings.node_key = key;
    settings.node_chain = birth_chain(IDENTITY_NODE, 1, 1, &arena, &identity);
    loop->agent = agent_new(&settings);
    restore_node(&other);
    restore_node(&another);
    step(&(struct event){.kind = EVENT_START});
}

static void tear_down(void)
{
    while (loop->held_back.first) {
        struct message *next = loop->held_back.first->next;

        message_free(loop->held_back.first);
        loop->held_back.first = next;
    }
    agent_free(loop->agent);
    memory_give_back(loop);
    identity_key_free(key);
    effects_free(&effects);
    arena_free(&arena);
}

static struct message *said_by(const struct id *node, enum event_kind kind, size_t size,
                               uint64_t number)
{
    struct message *message = message_new(KIB);

    message->event.kind = kind;
    message->event.node = *node;
    message->event.held.number = number;
    message->size = size;
    return message;
}

static struct message *said(enum event_kind kind, size_t size, uint64_t number)
{
    return said_by(&other, kind, size, number);
}

static struct message *chain_of(size_t count, size_t size)
{
    struct message *first = NULL, **end = &first;

    for (size_t i = 0; i < count; i++) {
        *end = said(EVENT_HELD, size, i);
        end = &(*end)->next;
    }
    return first;
}

static size_t expect_in_order(struct message *messages)
{
    size_t count = 0;

    while (messages) {
        struct message *next = messages->next;

        ck_assert_uint_eq(messages->event.held.number, count++);
        message_free(messages);
        messages = next;
    }
    return count;
}

static void hear(void)
{
    agent_hear(loop->agent, RECORD_SET_DIRECTORY, &other, &at);
    agent_hear(loop->agent, RECORD_SET_DIRECTORY, &another, &at);
}

START_TEST(what_waits_goes_on_in_its_order_and_the_rest_does_not_wait)
{
    struct message *messages = chain_of(3, 100), *rest;

    messages->next->next->next = said(EVENT_RECORDS, 100, 0);
    rest = loop_hold_back(loop, messages);
    ck_assert_int_eq(rest->event.kind, EVENT_RECORDS);
    ck_assert_ptr_null(rest->next);
    message_free(rest);
    ck_assert_uint_eq(loop->held_back.count, 3);
    ck_assert_uint_eq(loop->held_back.bytes, 300);
    ck_assert_ptr_null(loop_let_go(loop));
    ck_assert_uint_eq(loop->held_back.count, 3);
    hear();
    ck_assert_uint_eq(expect_in_order(loop_let_go(loop)), 3);
    ck_assert_uint_eq(loop->held_back.count, 0);
    ck_assert_uint_eq(loop->held_back.bytes, 0);
    ck_assert_ptr_null(loop_let_go(loop));
}
END_TEST

START_TEST(so_many_frames_wait_and_what_exceeds_that_is_asked_for_again)
{
    for (size_t i = 0; i < HELD_BACK_MAX; i++)
        ck_assert_ptr_null(
            loop_hold_back(loop, said_by(i % 2 ? &other : &another, EVENT_HELD, 1, i)));
    ck_assert(!loop->agent->hearing.some_lost);
    ck_assert_ptr_null(loop_hold_back(loop, said_by(&third, EVENT_HELD, 1, 0)));
    ck_assert(loop->agent->hearing.some_lost);
    ck_assert_uint_eq(loop->held_back.count, HELD_BACK_MAX);
    hear();
    ck_assert_uint_eq(expect_in_order(loop_let_go(loop)), HELD_BACK_MAX);
}
END_TEST

START_TEST(so_many_bytes_wait)
{
    const size_t half = HELD_BACK_OF_ONE(HELD_BACK_BYTES);

    ck_assert_ptr_null(loop_hold_back(loop, said(EVENT_HELD, half, 0)));
    ck_assert_ptr_null(loop_hold_back(loop, said_by(&another, EVENT_HELD, half - 10, 1)));
    ck_assert_ptr_null(loop_hold_back(loop, said_by(&third, EVENT_HELD, 10, 2)));
    ck_assert(!loop->agent->hearing.some_lost);
    ck_assert_ptr_null(loop_hold_back(loop, said_by(&third, EVENT_HELD, 1, 3)));
    ck_assert(loop->agent->hearing.some_lost);
    hear();
    ck_assert_uint_eq(expect_in_order(loop_let_go(loop)), 3);
}
END_TEST

START_TEST(one_neighbour_that_floods_leaves_half_of_the_frames_to_others)
{
    const size_t half = HELD_BACK_OF_ONE(HELD_BACK_MAX);

    ck_assert_ptr_null(loop_hold_back(loop, chain_of(half, 1)));
    ck_assert(!loop->agent->hearing.some_lost);
    ck_assert_ptr_null(loop_hold_back(loop, said(EVENT_HELD, 1, half)));
    ck_assert(loop->agent->hearing.some_lost);
    ck_assert_ptr_null(loop_hold_back(loop, said_by(&another, EVENT_HELD, 1, half)));
    ck_assert_ptr_null(loop_let_go(loop)); /* what is held stays */
    ck_assert_uint_eq(loop->held_back.count, half + 1);
    hear();
    ck_assert_uint_eq(expect_in_order(loop_let_go(loop)), half + 1);
}
END_TEST

START_TEST(one_neighbour_that_floods_leaves_half_of_the_bytes_to_others)
{
    const size_t half = HELD_BACK_OF_ONE(HELD_BACK_BYTES);

    ck_assert_ptr_null(loop_hold_back(loop, said(EVENT_HELD, half, 0)));
    ck_assert_ptr_null(loop_hold_back(loop, said(EVENT_HELD, 1, 1)));
    ck_assert(loop->agent->hearing.some_lost);
    ck_assert_ptr_null(loop_hold_back(loop, said_by(&another, EVENT_HELD, half, 1)));
    ck_assert_uint_eq(loop->held_back.count, 2);
}
END_TEST

START_TEST(what_another_than_the_one_that_was_heard_brings_goes_on_first)
{
    struct message *messages = chain_of(2, 1);

    messages->event.node = another; /* waits for another one's word */
    ck_assert_ptr_null(loop_hold_back(loop, messages));
    agent_hear(loop->agent, RECORD_SET_DIRECTORY, &another, &at);
    messages = loop_let_go(loop);
    ck_assert_uint_eq(messages->event.held.number, 1);
    ck_assert_ptr_null(messages->next);
    message_free(messages);
    ck_assert_uint_eq(loop->held_back.count, 1);
    hear();
    ck_assert_uint_eq(expect_in_order(loop_let_go(loop)), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("held back");
    TCase *tests = tcase_create("held back");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_waits_goes_on_in_its_order_and_the_rest_does_not_wait);
    tcase_add_test(tests, so_many_frames_wait_and_what_exceeds_that_is_asked_for_again);
    tcase_add_test(tests, so_many_bytes_wait);
    tcase_add_test(tests, one_neighbour_that_floods_leaves_half_of_the_frames_to_others);
    tcase_add_test(tests, one_neighbour_that_floods_leaves_half_of_the_bytes_to_others);
    tcase_add_test(tests, what_another_than_the_one_that_was_heard_brings_goes_on_first);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
