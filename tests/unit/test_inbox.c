#include "inbox.h"

#include "clock.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>

static struct message *numbered(uint64_t number)
{
    struct message *message = message_new(KIB);

    message->event.kind = EVENT_TICK;
    message->event.at.now_ms = number;
    message->size = 1;
    return message;
}

static size_t free_chain(struct message *chain)
{
    size_t count = 0;

    while (chain) {
        struct message *next = chain->next;

        message_free(chain);
        chain = next;
        count++;
    }
    return count;
}

START_TEST(a_message_has_room_for_its_frame_and_no_more_than_its_budget)
{
    static const struct order none;
    struct message *frame = message_new_frame(MIB), *order = message_new_order(64 * KIB, 100);

    ck_assert_ptr_null(frame->order);
    ck_assert_uint_eq(frame->arena.budget, PARSE_BUDGET(MIB));
    ck_assert_ptr_nonnull(arena_take(&frame->arena, 8 * MIB));
    message_free(frame);
    ck_assert_int_eq(memcmp(order->order, &none, sizeof none), 0);
    ck_assert_ptr_nonnull(arena_take(&order->arena, 64 * KIB));
    ck_assert_ptr_null(arena_take(&order->arena, 1));
    memset(order->order, 1, sizeof *order->order);
    order->forget_seeds = true;
    message_free(order);
}
END_TEST

START_TEST(messages_come_out_in_order_and_at_most_a_turn_of_them)
{
    struct inbox *inbox = inbox_new();
    uint64_t next = 0;
    bool closed;

    for (uint64_t i = 0; i < TURN_MESSAGES_MAX + 1; i++)
        ck_assert_int_eq(inbox_give(inbox, numbered(i)), 0);
    for (size_t turn = 0; turn < 2; turn++) {
        struct message *chain = inbox_take(inbox, MOMENT_NEVER, &closed);

        ck_assert(!closed);
        for (struct message *message = chain; message; message = message->next)
            ck_assert_uint_eq(message->event.at.now_ms, next++);
        ck_assert_uint_eq(free_chain(chain), turn == 0 ? TURN_MESSAGES_MAX : 1);
    }
    inbox_free(inbox);
}
END_TEST

START_TEST(taking_waits_until_the_hour_that_was_named)
{
    struct inbox *inbox = inbox_new();
    uint64_t began_ms = clock_now_ms();
    bool closed;

    ck_assert_ptr_null(inbox_take(inbox, began_ms + 30, &closed));
    ck_assert(!closed);
    ck_assert_uint_ge(clock_now_ms(), began_ms + 30);
    inbox_free(inbox);
}
END_TEST

START_TEST(a_full_inbox_says_busy_and_frees_the_message)
{
    struct inbox *inbox = inbox_new();
    size_t messages, bytes;
    bool closed;

    for (uint64_t i = 0; i < INBOX_MESSAGES_MAX; i++)
        ck_assert_int_eq(inbox_try_give(inbox, numbered(i)), 0);
    ck_assert_int_eq(inbox_try_give(inbox, numbered(0)), FAULT_BUSY);
    inbox_figures(inbox, &messages, &bytes);
    ck_assert_uint_eq(messages, INBOX_MESSAGES_MAX);
    ck_assert_uint_eq(bytes, INBOX_MESSAGES_MAX);
    free_chain(inbox_take(inbox, MOMENT_NEVER, &closed));
    ck_assert_int_eq(inbox_try_give(inbox, numbered(0)), 0);
    inbox_free(inbox);
}
END_TEST

START_TEST(bytes_are_bounded_too)
{
    struct inbox *inbox = inbox_new();
    struct message *half = numbered(1), *more = numbered(2), *last = numbered(3);

    half->size = INBOX_BYTES_MAX / 2;
    more->size = INBOX_BYTES_MAX / 2;
    ck_assert_int_eq(inbox_try_give(inbox, half), 0);
    ck_assert_int_eq(inbox_try_give(inbox, more), 0);
    ck_assert_int_eq(inbox_try_give(inbox, last), FAULT_BUSY);
    inbox_free(inbox);
}
END_TEST

START_TEST(a_message_larger_than_the_inbox_passes_alone)
{
    struct inbox *inbox = inbox_new();
    struct message *giant = numbered(1);

    giant->size = 2 * INBOX_BYTES_MAX;
    ck_assert_int_eq(inbox_give(inbox, giant), 0);
    ck_assert_int_eq(inbox_try_give(inbox, numbered(2)), FAULT_BUSY);
    inbox_free(inbox);
}
END_TEST

struct giver {
    struct inbox *inbox;
    pthread_t thread;
    atomic_int fault, done;
};

static void *give_one(void *context)
{
    struct giver *giver = context;

    atomic_store(&giver->fault, inbox_give(giver->inbox, numbered(7)));
    atomic_store(&giver->done, 1);
    return NULL;
}

START_TEST(giving_waits_for_room)
{
    struct giver giver = {.inbox = inbox_new()};
    size_t taken = 0;
    bool closed;

    for (uint64_t i = 0; i < INBOX_MESSAGES_MAX; i++)
        inbox_give(giver.inbox, numbered(i));
    ck_assert_int_eq(pthread_create(&giver.thread, NULL, give_one, &giver), 0);
    ck_assert_int_eq(atomic_load(&giver.done), 0); /* full: it cannot have been taken */
    while (taken < INBOX_MESSAGES_MAX + 1)
        taken += free_chain(inbox_take(giver.inbox, MOMENT_NEVER, &closed));
    pthread_join(giver.thread, NULL);
    ck_assert_int_eq(atomic_load(&giver.fault), 0);
    inbox_free(giver.inbox);
}
END_TEST

START_TEST(a_closed_inbox_takes_nothing_and_lets_waiters_go)
{
    struct giver giver = {.inbox = inbox_new()};
    size_t taken = 0;
    bool closed = false;

    for (uint64_t i = 0; i < INBOX_MESSAGES_MAX; i++)
        inbox_give(giver.inbox, numbered(i));
    ck_assert_int_eq(pthread_create(&giver.thread, NULL, give_one, &giver), 0);
    inbox_close(giver.inbox);
    pthread_join(giver.thread, NULL);
    ck_assert_int_eq(atomic_load(&giver.fault), FAULT_CLOSED);
    ck_assert_int_eq(inbox_try_give(giver.inbox, numbered(1)), FAULT_CLOSED);
    while (!closed) /* what was taken in before is still handed out */
        taken += free_chain(inbox_take(giver.inbox, MOMENT_NEVER, &closed));
    ck_assert_uint_eq(taken, INBOX_MESSAGES_MAX);
    inbox_free(giver.inbox);
}
END_TEST

START_TEST(a_poke_ends_one_wait_even_if_it_comes_first)
{
    struct inbox *inbox = inbox_new();
    bool closed = true;

    inbox_poke(inbox);
    ck_assert_ptr_null(inbox_take(inbox, MOMENT_NEVER, &closed));
    ck_assert(!closed);
    inbox_poke(inbox);
    inbox_give(inbox, numbered(1)); /* what is there is handed out all the same */
    ck_assert_uint_eq(free_chain(inbox_take(inbox, MOMENT_NEVER, &closed)), 1);
    ck_assert_ptr_null(inbox_take(inbox, 0, &closed));
    inbox_free(inbox);
}
END_TEST

START_TEST(a_rest_lasts_its_time_whatever_comes)
{
    struct inbox *inbox = inbox_new();
    uint64_t until_ms = clock_read().now_ms + 60;
    bool closed;

    inbox_give(inbox, numbered(1));
    inbox_poke(inbox);
    inbox_rest(inbox, until_ms);
    ck_assert_uint_ge(clock_read().now_ms, until_ms);
    inbox_rest(inbox, until_ms); /* which is over */
    ck_assert_uint_eq(free_chain(inbox_take(inbox, MOMENT_NEVER, &closed)), 1);
    ck_assert(!closed);
    inbox_free(inbox);
}
END_TEST

static void *rest_long(void *inbox)
{
    inbox_rest(inbox, clock_read().now_ms + HOUR_MS);
    return NULL;
}

START_TEST(closing_ends_a_rest)
{
    struct inbox *inbox = inbox_new();
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, rest_long, inbox), 0);
    inbox_close(inbox);
    pthread_join(thread, NULL);
    inbox_free(inbox);
}
END_TEST

#define GIVERS 4u
#define EACH 20000u

static void *give_many(void *context)
{
    struct inbox *inbox = context;

    for (uint64_t i = 0; i < EACH; i++)
        if (inbox_give(inbox, numbered(i)))
            break;
    return NULL;
}

START_TEST(nothing_is_lost_between_many_givers_and_one_taker)
{
    struct inbox *inbox = inbox_new();
    pthread_t threads[GIVERS];
    size_t taken = 0;
    bool closed;

    for (size_t i = 0; i < GIVERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, give_many, inbox), 0);
    while (taken < GIVERS * EACH)
        taken += free_chain(inbox_take(inbox, MOMENT_NEVER, &closed));
    for (size_t i = 0; i < GIVERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(taken, GIVERS * EACH);
    inbox_free(inbox);
}
END_TEST

START_TEST(what_was_left_is_there_for_whoever_looks)
{
    struct inbox *inbox = inbox_new();
    struct inbox_share *share = inbox_share_new(inbox);
    bool closed;

    ck_assert_int_eq(inbox_leave(inbox, numbered(1)), 0);
    ck_assert_int_eq(inbox_share_leave(share, numbered(2)), 0);
    ck_assert_uint_eq(free_chain(inbox_take(inbox, MOMENT_NEVER, &closed)), 2);
    inbox_wake(inbox); /* nothing is there: nobody is woken, now or later */
    ck_assert_ptr_null(inbox_take(inbox, 0, &closed));
    inbox_close(inbox);
    ck_assert_int_eq(inbox_leave(inbox, numbered(3)), FAULT_CLOSED);
    ck_assert_int_eq(inbox_share_leave(share, numbered(4)), FAULT_CLOSED);
    ck_assert_int_eq(inbox_share_give(share, numbered(5)), FAULT_CLOSED);
    inbox_share_free(share);
    inbox_free(inbox);
}
END_TEST

#define TOGETHER 7u

static void *leave_many(void *context)
{
    struct inbox *inbox = context;

    for (uint64_t i = 1; i <= EACH; i++) {
        if (inbox_leave(inbox, numbered(i)))
            break;
        if (i % TOGETHER == 0 || i == EACH)
            inbox_wake(inbox);
    }
    return NULL;
}

START_TEST(one_who_sleeps_is_woken_for_all_that_was_left)
{
    struct inbox *inbox = inbox_new();
    pthread_t threads[GIVERS];
    size_t taken = 0;
    bool closed;

    for (size_t i = 0; i < GIVERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, i % 2 ? give_many : leave_many, inbox),
                         0);
    while (taken < GIVERS * EACH)
        taken += free_chain(inbox_take(inbox, MOMENT_NEVER, &closed));
    for (size_t i = 0; i < GIVERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(taken, GIVERS * EACH);
    inbox_free(inbox);
}
END_TEST

static void *leave_halves(void *context)
{
    struct inbox *inbox = context;

    for (size_t i = 0; i < EACH; i++) {
        struct message *half = numbered(i);

        half->size = INBOX_BYTES_MAX / 2;
        if (inbox_leave(inbox, half))
            break;
    }
    inbox_wake(inbox);
    return NULL;
}

/* Two fill the inbox: who leaves a third waits for room, and who could make it must not sleep. */
START_TEST(one_who_waits_for_room_wakes_the_one_who_makes_it)
{
    struct inbox *inbox = inbox_new();
    pthread_t thread;
    size_t taken = 0;
    bool closed;

    ck_assert_int_eq(pthread_create(&thread, NULL, leave_halves, inbox), 0);
    while (taken < EACH)
        taken += free_chain(inbox_take(inbox, MOMENT_NEVER, &closed));
    pthread_join(thread, NULL);
    inbox_free(inbox);
}
END_TEST

START_TEST(a_poke_ends_one_wait_without_a_message)
{
    struct inbox *inbox = inbox_new();
    bool closed;

    inbox_poke(inbox);
    ck_assert_ptr_null(inbox_take(inbox, MOMENT_NEVER, &closed));
    ck_assert(!closed);
    inbox_give(inbox, numbered(1));
    ck_assert_uint_eq(free_chain(inbox_take(inbox, MOMENT_NEVER, &closed)), 1);
    inbox_free(inbox);
}
END_TEST

/* ---- shares ---- */

/* How many of `size` bytes each fit in. */
static size_t fill(struct inbox_share *share, size_t size)
{
    for (size_t count = 0;; count++) {
        struct message *message = numbered(count);

        message->size = size;
        if (inbox_share_give(share, message) == FAULT_BUSY)
            return count;
    }
}

START_TEST(one_program_alone_holds_half_and_the_next_half_of_what_is_left)
{
    struct inbox *inbox = inbox_new();
    struct inbox_share *one = inbox_share_new(inbox), *other = inbox_share_new(inbox);
    size_t messages, bytes;

    ck_assert_uint_eq(fill(one, 1), INBOX_SHARES_MESSAGES / 2);
    ck_assert_uint_eq(fill(other, 1), INBOX_SHARES_MESSAGES / 4);
    ck_assert_uint_eq(fill(one, 1), 0);
    inbox_figures(inbox, &messages, &bytes);
    ck_assert_uint_eq(messages, INBOX_SHARES_MESSAGES / 4 * 3);
    ck_assert_uint_eq(bytes, messages);
    inbox_share_free(one);
    inbox_share_free(other);
    inbox_free(inbox);
}
END_TEST

START_TEST(bytes_of_shares_are_bounded_the_same_way)
{
    struct inbox *inbox = inbox_new();
    struct inbox_share *one = inbox_share_new(inbox), *other = inbox_share_new(inbox);

    ck_assert_uint_eq(fill(one, MIB), INBOX_SHARES_BYTES / 2 / MIB);
    ck_assert_uint_eq(fill(other, MIB), INBOX_SHARES_BYTES / 4 / MIB);
    inbox_share_free(one);
    inbox_share_free(other);
    inbox_free(inbox);
}
END_TEST

#define PROGRAMS 64u

START_TEST(an_empty_share_has_room_however_many_flood)
{
    struct inbox *inbox = inbox_new();
    struct inbox_share *shares[PROGRAMS];
    size_t held = 0, messages, bytes;

    for (size_t i = 0; i < PROGRAMS; i++) {
        size_t count;

        shares[i] = inbox_share_new(inbox);
        count = fill(shares[i], 1);
        ck_assert_uint_ge(count, 1);
        held += count;
    }
    ck_assert_uint_lt(held, INBOX_SHARES_MESSAGES + PROGRAMS);
    inbox_figures(inbox, &messages, &bytes);
    ck_assert_uint_eq(messages, held);
    ck_assert_int_eq(inbox_try_give(inbox, numbered(1)), 0); /* nor do they fill the network's */
    for (size_t i = 0; i < PROGRAMS; i++)
        inbox_share_free(shares[i]);
    inbox_free(inbox);
}
END_TEST

START_TEST(a_full_line_of_the_network_leaves_shares_their_room)
{
    struct inbox *inbox = inbox_new();
    struct inbox_share *share = inbox_share_new(inbox);

    for (uint64_t i = 0; i < INBOX_MESSAGES_MAX; i++)
        ck_assert_int_eq(inbox_try_give(inbox, numbered(i)), 0);
    ck_assert_int_eq(inbox_try_give(inbox, numbered(0)), FAULT_BUSY);
    ck_assert_uint_eq(fill(share, 1), INBOX_SHARES_MESSAGES / 2);
    inbox_share_free(share);
    inbox_free(inbox);
}
END_TEST

/* How many of a turn have a number from `first` on. */
static size_t count_from(const struct message *chain, uint64_t first)
{
    size_t count = 0;

    for (; chain; chain = chain->next)
        count += chain->event.at.now_ms >= first;
    return count;
}

START_TEST(a_turn_is_half_the_networks_and_shares_take_turns_in_the_rest)
{
    struct inbox *inbox = inbox_new();
    struct inbox_share *flood = inbox_share_new(inbox), *calm = inbox_share_new(inbox);
    struct message *chain;
    bool closed;

    for (uint64_t i = 0; i < INBOX_MESSAGES_MAX; i++)
        inbox_give(inbox, numbered(20000));
    fill(flood, 1); /* numbered from 0 */
    for (uint64_t i = 0; i < 3; i++)
        ck_assert_int_eq(inbox_share_give(calm, numbered(10000 + i)), 0);
    chain = inbox_take(inbox, MOMENT_NEVER, &closed);
    ck_assert_uint_eq(count_from(chain, 20000), TURN_MESSAGES_MAX / 2);
    ck_assert_uint_eq(count_from(chain, 10000), TURN_MESSAGES_MAX / 2 + 3);
    ck_assert_uint_eq(free_chain(chain), TURN_MESSAGES_MAX);

    /* It came last and is not behind what came before. */
    ck_assert_int_eq(inbox_share_give(calm, numbered(10003)), 0);
    chain = inbox_take(inbox, MOMENT_NEVER, &closed);
    ck_assert_uint_eq(count_from(chain, 10000), TURN_MESSAGES_MAX / 2 + 1);
    free_chain(chain);
    inbox_share_free(flood);
    inbox_share_free(calm);
    inbox_free(inbox);
}
END_TEST

START_TEST(what_one_kind_does_not_use_of_a_turn_the_other_does)
{
    struct inbox *inbox = inbox_new();
    struct inbox_share *share = inbox_share_new(inbox);
    struct message *chain;
    bool closed;

    for (uint64_t i = 0; i < TURN_MESSAGES_MAX; i++)
        inbox_give(inbox, numbered(20000));
    inbox_share_give(share, numbered(1));
    chain = inbox_take(inbox, MOMENT_NEVER, &closed);
    ck_assert_uint_eq(count_from(chain, 20000), TURN_MESSAGES_MAX - 1);
    ck_assert_uint_eq(free_chain(chain), TURN_MESSAGES_MAX);
    fill(share, 1);
    chain = inbox_take(inbox, MOMENT_NEVER, &closed);
    ck_assert_uint_eq(count_from(chain, 20000), 1);
    ck_assert_uint_eq(free_chain(chain), TURN_MESSAGES_MAX);
    inbox_share_free(share);
    inbox_free(inbox);
}
END_TEST

/* However often one comes and leaves, it holds no more than one that stays. */
START_TEST(what_a_program_that_left_ordered_is_taken_up_to_one_share)
{
    struct inbox *inbox = inbox_new();
    struct inbox_share *last;
    size_t messages, bytes, taken = 0;
    bool closed;

    for (size_t i = 0; i < 3; i++) {
        struct inbox_share *share = inbox_share_new(inbox);

        ck_assert_uint_eq(fill(share, i == 2 ? MIB : 1),
                          i == 2 ? INBOX_SHARES_BYTES / 2 / MIB : INBOX_SHARES_MESSAGES / 2);
        inbox_share_free(share);
        inbox_figures(inbox, &messages, &bytes);
        ck_assert_uint_eq(messages, INBOX_SHARES_MESSAGES / 2);
        ck_assert_uint_eq(bytes, messages);
    }
    last = inbox_share_new(inbox);
    ck_assert_int_eq(inbox_share_give(last, numbered(77)), 0);
    while (taken < INBOX_SHARES_MESSAGES / 2 + 1)
        taken += free_chain(inbox_take(inbox, MOMENT_NEVER, &closed));
    inbox_figures(inbox, &messages, &bytes);
    ck_assert_uint_eq(messages + bytes, 0);
    inbox_share_free(last);
    inbox_share_free(NULL);
    inbox_free(inbox);
}
END_TEST

static void *share_many(void *context)
{
    struct inbox *inbox = context;
    struct inbox_share *share = inbox_share_new(inbox);

    for (uint64_t i = 1; i <= EACH;) {
        int fault =
            i % 2 ? inbox_share_give(share, numbered(i)) : inbox_share_leave(share, numbered(i));

        if (!fault)
            i++;
        if (fault || i % TOGETHER == 0 || i > EACH)
            inbox_wake(inbox);
    }
    inbox_share_free(share);
    return NULL;
}

START_TEST(nothing_is_lost_between_shares_and_the_network)
{
    struct inbox *inbox = inbox_new();
    pthread_t threads[2];
    size_t taken = 0;
    bool closed;

    ck_assert_int_eq(pthread_create(&threads[0], NULL, share_many, inbox), 0);
    ck_assert_int_eq(pthread_create(&threads[1], NULL, leave_many, inbox), 0);
    while (taken < 2 * EACH)
        taken += free_chain(inbox_take(inbox, MOMENT_NEVER, &closed));
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(taken, 2 * EACH);
    inbox_free(inbox);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("inbox");
    TCase *tests = tcase_create("inbox");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_message_has_room_for_its_frame_and_no_more_than_its_budget);
    tcase_add_test(tests, messages_come_out_in_order_and_at_most_a_turn_of_them);
    tcase_add_test(tests, taking_waits_until_the_hour_that_was_named);
    tcase_add_test(tests, a_full_inbox_says_busy_and_frees_the_message);
    tcase_add_test(tests, bytes_are_bounded_too);
    tcase_add_test(tests, a_message_larger_than_the_inbox_passes_alone);
    tcase_add_test(tests, giving_waits_for_room);
    tcase_add_test(tests, a_closed_inbox_takes_nothing_and_lets_waiters_go);
    tcase_add_test(tests, a_rest_lasts_its_time_whatever_comes);
    tcase_add_test(tests, closing_ends_a_rest);
    tcase_add_test(tests, a_poke_ends_one_wait_even_if_it_comes_first);
    tcase_add_test(tests, nothing_is_lost_between_many_givers_and_one_taker);
    tcase_add_test(tests, what_was_left_is_there_for_whoever_looks);
    tcase_add_test(tests, one_who_sleeps_is_woken_for_all_that_was_left);
    tcase_add_test(tests, one_who_waits_for_room_wakes_the_one_who_makes_it);
    tcase_add_test(tests, a_poke_ends_one_wait_without_a_message);
    tcase_add_test(tests, one_program_alone_holds_half_and_the_next_half_of_what_is_left);
    tcase_add_test(tests, bytes_of_shares_are_bounded_the_same_way);
    tcase_add_test(tests, an_empty_share_has_room_however_many_flood);
    tcase_add_test(tests, a_full_line_of_the_network_leaves_shares_their_room);
    tcase_add_test(tests, a_turn_is_half_the_networks_and_shares_take_turns_in_the_rest);
    tcase_add_test(tests, what_one_kind_does_not_use_of_a_turn_the_other_does);
    tcase_add_test(tests, what_a_program_that_left_ordered_is_taken_up_to_one_share);
    tcase_add_test(tests, nothing_is_lost_between_shares_and_the_network);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
