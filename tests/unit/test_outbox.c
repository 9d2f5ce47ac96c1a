#include "core/outbox.h"

#include <check.h>
#include <stdlib.h>

#define NOW_MS 50000ull
#define WALL_MS 1790000000000ull

static struct outbox *outbox;
static const uint8_t seed[DICE_SEED_SIZE] = {1};

static void set_up(void)
{
    outbox = outbox_new(OUTBOX_MAX, seed);
}

static void tear_down(void)
{
    outbox_free(outbox);
}

static struct outbox_entry entry_of(uint64_t number, uint64_t to)
{
    struct outbox_entry entry = {
        .hash = hash_of(bytes_of(&number, sizeof number)),
        .from = {{1}},
        .to = {{2, (uint8_t)to}},
        .kind = PECK_ACTION,
        .state = PECK_QUEUED,
        .expires_ms = WALL_MS + HOUR_MS,
        .next_send_ms = NOW_MS,
    };

    entry.peck = id_of(&entry.hash);
    return entry;
}

static struct id add(uint64_t number, uint64_t to)
{
    struct outbox_entry entry = entry_of(number, to);

    ck_assert(outbox_add(outbox, &entry));
    return entry.peck;
}

static bool is_due(const struct id *peck, uint64_t now_ms)
{
    const struct outbox_entry *due = outbox_poll_due(outbox, now_ms);

    return due && id_equal(&due->peck, peck);
}

static bool is_second_byte(void *context, const struct id *to)
{
    return to->bytes[1] == *(uint8_t *)context;
}

static void hurry(uint8_t to, uint64_t now_ms)
{
    outbox_hurry(outbox, is_second_byte, &to, now_ms);
}

START_TEST(what_is_added_is_found_until_it_is_removed)
{
    struct outbox_entry entry = entry_of(1, 1);
    struct id peck = add(1, 1);
    const struct outbox_entry *found = outbox_find(outbox, &peck);

    ck_assert_ptr_nonnull(found);
    ck_assert(hash_equal(&found->hash, &entry.hash));
    ck_assert(id_equal(&found->from, &entry.from) && id_equal(&found->to, &entry.to));
    ck_assert_int_eq(found->state, PECK_QUEUED);
    ck_assert_uint_eq(found->expires_ms, entry.expires_ms);
    ck_assert_uint_eq(outbox_count(outbox), 1);
    ck_assert(!outbox_add(outbox, &entry)); /* it is there */
    outbox_remove(outbox, &peck);
    outbox_remove(outbox, &peck);
    ck_assert_ptr_null(outbox_find(outbox, &peck));
    ck_assert_uint_eq(outbox_count(outbox), 0);
    ck_assert_ptr_null(outbox_poll_due(outbox, UINT64_MAX - 1));
    ck_assert_ptr_null(outbox_poll_expired(outbox, UINT64_MAX - 1));
}
END_TEST

START_TEST(a_peck_is_sent_again_later_and_later_until_a_minute)
{
    struct id peck = add(1, 1);
    uint64_t now_ms = NOW_MS, pause_ms = RESEND_FIRST_MS;

    ck_assert(is_due(&peck, now_ms));
    ck_assert_ptr_null(outbox_poll_due(outbox, now_ms - 1));
    outbox_sent(outbox, &peck, now_ms);
    ck_assert_uint_eq(outbox_find(outbox, &peck)->next_send_ms, now_ms + RESEND_FIRST_MS);
    for (uint32_t attempt = 2; attempt < 40; attempt++) {
        uint64_t next_ms = outbox_find(outbox, &peck)->next_send_ms;

        ck_assert_ptr_null(outbox_poll_due(outbox, next_ms - 1));
        ck_assert(is_due(&peck, next_ms));
        now_ms = next_ms;
        outbox_sent(outbox, &peck, now_ms);
        pause_ms = pause_ms * 2 < RESEND_MAX_MS ? pause_ms * 2 : RESEND_MAX_MS;
        ck_assert_uint_eq(outbox_find(outbox, &peck)->attempts, attempt);
        ck_assert_uint_ge(outbox_find(outbox, &peck)->next_send_ms, now_ms + pause_ms / 2);
        ck_assert_uint_le(outbox_find(outbox, &peck)->next_send_ms, now_ms + pause_ms);
    }
    ck_assert_uint_eq(pause_ms, RESEND_MAX_MS);
}
END_TEST

START_TEST(what_was_taken_is_not_sent_again_by_time)
{
    static const enum peck_state states[] = {PECK_TAKEN, PECK_PENDING, PECK_APPROVED};

    for (uint64_t i = 0; i < 3; i++) {
        struct id peck = add(i, 1);

        outbox_sent(outbox, &peck, NOW_MS);
        outbox_set_state(outbox, &peck, PECK_SENT);
        ck_assert_uint_eq(outbox_find(outbox, &peck)->next_send_ms, NOW_MS + RESEND_FIRST_MS);
        outbox_set_state(outbox, &peck, states[i]);
        ck_assert_int_eq(outbox_find(outbox, &peck)->state, states[i]);
        ck_assert_uint_eq(outbox_find(outbox, &peck)->next_send_ms, MOMENT_NEVER);
        outbox_sent(outbox, &peck, NOW_MS); /* a repeat that asks for a lost answer */
        ck_assert_uint_eq(outbox_find(outbox, &peck)->next_send_ms, MOMENT_NEVER);
    }
    ck_assert_ptr_null(outbox_poll_due(outbox, UINT64_MAX - 1));
}
END_TEST

START_TEST(parts_that_are_missing_make_a_taken_peck_due_until_they_come)
{
    struct id peck = add(1, 1);
    uint64_t asked_ms = NOW_MS + PARTIALS_ASK_MS;

    outbox_sent(outbox, &peck, NOW_MS);
    outbox_set_state(outbox, &peck, PECK_TAKEN);
    outbox_add_partial(outbox, &peck, bytes_of_text("1"));
    ck_assert_uint_eq(outbox_find(outbox, &peck)->partials.count, 1);
    ck_assert_uint_eq(outbox_find(outbox, &peck)->next_send_ms, MOMENT_NEVER);
    outbox_miss_partials(outbox, &peck, NOW_MS);
    outbox_miss_partials(outbox, &peck, NOW_MS + 100); /* no later for being seen twice */
    ck_assert_ptr_null(outbox_poll_due(outbox, asked_ms - 1));
    ck_assert(is_due(&peck, asked_ms));
    outbox_sent(outbox, &peck, asked_ms);
    ck_assert_ptr_null(outbox_poll_due(outbox, asked_ms));
    ck_assert(is_due(&peck, asked_ms + 2 * RESEND_FIRST_MS)); /* it was asked for in vain */
    outbox_add_partial(outbox, &peck, bytes_of_text("2"));
    ck_assert_uint_eq(outbox_find(outbox, &peck)->next_send_ms, MOMENT_NEVER);
}
END_TEST

START_TEST(what_is_taken_back_is_due_at_once_and_again)
{
    struct id peck = add(1, 1), unknown = {{7}};

    outbox_sent(outbox, &peck, NOW_MS);
    outbox_set_state(outbox, &peck, PECK_TAKEN);
    outbox_cancel(outbox, &peck, NOW_MS);
    outbox_cancel(outbox, &unknown, NOW_MS);
    outbox_miss_partials(outbox, &unknown, NOW_MS);
    ck_assert(is_due(&peck, NOW_MS));
    outbox_sent(outbox, &peck, NOW_MS);
    ck_assert(is_due(&peck, NOW_MS + 2 * RESEND_FIRST_MS));
    outbox_set_state(outbox, &peck, PECK_APPROVED);
    outbox_add_partial(outbox, &peck, bytes_of_text("1"));
    ck_assert(is_due(&peck, NOW_MS + 2 * RESEND_FIRST_MS));
}
END_TEST

START_TEST(a_link_hurries_what_waits_for_its_node_in_order)
{
    struct id first = add(1, 1), other = add(2, 2), second = add(3, 1), third = add(4, 1);
    uint64_t now_ms = NOW_MS + 10;

    outbox_sent(outbox, &third, NOW_MS);
    outbox_sent(outbox, &second, NOW_MS);
    outbox_sent(outbox, &first, NOW_MS);
    outbox_sent(outbox, &other, NOW_MS);
    ck_assert_ptr_null(outbox_poll_due(outbox, now_ms));
    hurry(1, now_ms);
    ck_assert(is_due(&first, now_ms)); /* the elder one first */
    outbox_sent(outbox, &first, now_ms);
    ck_assert(is_due(&second, now_ms));
    outbox_sent(outbox, &second, now_ms);
    ck_assert(is_due(&third, now_ms));
    outbox_sent(outbox, &third, now_ms);
    ck_assert_ptr_null(outbox_poll_due(outbox, now_ms));
    ck_assert_uint_eq(outbox_find(outbox, &other)->next_send_ms, NOW_MS + RESEND_FIRST_MS);
}
END_TEST

START_TEST(a_link_asks_again_for_answers_that_may_be_lost)
{
    struct id peck = add(1, 1);

    outbox_sent(outbox, &peck, NOW_MS);
    outbox_set_state(outbox, &peck, PECK_TAKEN);
    hurry(1, NOW_MS + 5);
    ck_assert(is_due(&peck, NOW_MS + 5));
    outbox_sent(outbox, &peck, NOW_MS + 5);
    ck_assert_ptr_null(outbox_poll_due(outbox, UINT64_MAX - 1)); /* once */
}
END_TEST

START_TEST(a_link_does_not_hurry_what_this_turn_made)
{
    struct outbox_entry entry = entry_of(1, 1);

    entry.next_send_ms = MOMENT_NEVER;
    outbox_add(outbox, &entry);
    hurry(1, NOW_MS);
    ck_assert_ptr_null(outbox_poll_due(outbox, UINT64_MAX - 1));
}
END_TEST

START_TEST(a_peck_expires_by_the_date_after_a_grace)
{
    struct outbox_entry late = entry_of(1, 1), soon = entry_of(2, 1);
    uint64_t end_ms = WALL_MS + MINUTE_MS + OUTBOX_GRACE_MS;

    soon.expires_ms = WALL_MS + MINUTE_MS;
    soon.state = PECK_PENDING; /* taken or not */
    soon.next_send_ms = MOMENT_NEVER;
    outbox_add(outbox, &late);
    outbox_add(outbox, &soon);
    ck_assert_ptr_null(outbox_poll_expired(outbox, end_ms - 1));
    ck_assert(id_equal(&outbox_poll_expired(outbox, end_ms)->peck, &soon.peck));
    outbox_remove(outbox, &soon.peck);
    ck_assert_ptr_null(outbox_poll_expired(outbox, end_ms));
    ck_assert(id_equal(&outbox_poll_expired(outbox, late.expires_ms + OUTBOX_GRACE_MS)->peck,
                       &late.peck));
}
END_TEST

START_TEST(it_wakes_for_whichever_clock_comes_first)
{
    struct moment at = {NOW_MS, WALL_MS};
    struct outbox_entry entry = entry_of(1, 1);
    struct id peck = entry.peck;

    ck_assert_uint_eq(outbox_wake_at_ms(outbox, &at), MOMENT_NEVER);
    entry.expires_ms = WALL_MS + 1000;
    outbox_add(outbox, &entry);
    ck_assert_uint_eq(outbox_wake_at_ms(outbox, &at), NOW_MS);
    outbox_sent(outbox, &peck, NOW_MS);
    ck_assert_uint_eq(outbox_wake_at_ms(outbox, &at), NOW_MS + RESEND_FIRST_MS);
    outbox_set_state(outbox, &peck, PECK_TAKEN);
    ck_assert_uint_eq(outbox_wake_at_ms(outbox, &at), NOW_MS + 1000 + OUTBOX_GRACE_MS);
    at.wall_ms += DAY_MS; /* long over: now */
    ck_assert_uint_eq(outbox_wake_at_ms(outbox, &at), NOW_MS);
    at.wall_ms = 5; /* a clock that was never set */
    ck_assert_uint_gt(outbox_wake_at_ms(outbox, &at), NOW_MS);
}
END_TEST

START_TEST(it_holds_what_it_is_told_and_refuses_one_beyond)
{
    struct outbox_entry beyond = entry_of(OUTBOX_MAX, 1);
    struct id peck = {{0}};
    size_t sent = 0;

    for (uint64_t i = 0; i < OUTBOX_MAX; i++)
        peck = add(i, i % 200);
    ck_assert_uint_eq(outbox_count(outbox), OUTBOX_MAX);
    ck_assert(!outbox_add(outbox, &beyond));
    ck_assert_ptr_null(outbox_find(outbox, &beyond.peck));
    outbox_remove(outbox, &peck);
    ck_assert(outbox_add(outbox, &beyond));
    for (const struct outbox_entry *due; (due = outbox_poll_due(outbox, NOW_MS)); sent++)
        outbox_sent(outbox, &due->peck, NOW_MS);
    ck_assert_uint_eq(sent, OUTBOX_MAX);
    hurry(7, NOW_MS + 1);
    for (sent = 0; outbox_poll_due(outbox, NOW_MS + 1); sent++)
        outbox_sent(outbox, &outbox_poll_due(outbox, NOW_MS + 1)->peck, NOW_MS + 1);
    ck_assert_uint_eq(sent, OUTBOX_MAX / 200);
}
END_TEST

START_TEST(the_same_seed_waits_the_same)
{
    struct outbox *twin = outbox_new(OUTBOX_MAX, seed);

    for (uint64_t i = 0; i < 100; i++) {
        struct outbox_entry entry = entry_of(i, i);

        outbox_add(outbox, &entry);
        outbox_add(twin, &entry);
        for (uint64_t attempt = 0; attempt < 3; attempt++) {
            outbox_sent(outbox, &entry.peck, NOW_MS);
            outbox_sent(twin, &entry.peck, NOW_MS);
        }
        ck_assert_uint_eq(outbox_find(outbox, &entry.peck)->next_send_ms,
                          outbox_find(twin, &entry.peck)->next_send_ms);
    }
    outbox_free(twin);
}
END_TEST

/* ---- against a list that is looked through from end to end ---- */

#define PECKS 300

struct listed {
    bool held;
    uint64_t age; /* when it came */
    struct outbox_entry entry;
};

static struct listed *first_due(struct listed *list, uint64_t now_ms)
{
    struct listed *first = NULL;

    for (size_t i = 0; i < PECKS; i++) {
        struct listed *one = &list[i];

        if (!one->held || one->entry.next_send_ms > now_ms)
            continue;
        if (!first || one->entry.next_send_ms < first->entry.next_send_ms ||
            (one->entry.next_send_ms == first->entry.next_send_ms && one->age < first->age))
            first = one;
    }
    return first;
}

static struct listed *first_expired(struct listed *list, uint64_t wall_ms)
{
    struct listed *first = NULL;

    for (size_t i = 0; i < PECKS; i++) {
        struct listed *one = &list[i];

        if (!one->held || one->entry.expires_ms + OUTBOX_GRACE_MS > wall_ms)
            continue;
        if (!first || one->entry.expires_ms < first->entry.expires_ms ||
            (one->entry.expires_ms == first->entry.expires_ms && one->age < first->age))
            first = one;
    }
    return first;
}

static uint64_t wake_of(struct listed *list, const struct moment *at)
{
    uint64_t wake_ms = MOMENT_NEVER;

    for (size_t i = 0; i < PECKS; i++) {
        uint64_t end_ms = list[i].entry.expires_ms + OUTBOX_GRACE_MS;
        uint64_t then_ms = at->now_ms + (end_ms > at->wall_ms ? end_ms - at->wall_ms : 0);

        if (list[i].held && list[i].entry.next_send_ms < wake_ms)
            wake_ms = list[i].entry.next_send_ms;
        if (list[i].held && then_ms < wake_ms)
            wake_ms = then_ms;
    }
    return wake_ms;
}

static void change(struct listed *one, struct dice *dice, struct moment at, uint64_t age)
{
    static const enum peck_state states[] = {PECK_QUEUED, PECK_SENT, PECK_TAKEN, PECK_PENDING};
    enum peck_state state = states[dice_below(dice, 4)];

    if (!one->held) {
        one->held = true;
        one->age = age;
        one->entry.state = PECK_SENT;
        one->entry.to.bytes[1] = (uint8_t)dice_below(dice, 5);
        one->entry.attempts = 0;
        one->entry.expires_ms = at.wall_ms + dice_below(dice, 100) * 100;
        one->entry.next_send_ms =
            dice_below(dice, 4) ? at.now_ms + dice_below(dice, 50) * 100 : MOMENT_NEVER;
        ck_assert(outbox_add(outbox, &one->entry));
    } else if (dice_below(dice, 3) == 0) {
        one->held = false;
        outbox_remove(outbox, &one->entry.peck);
    } else if (dice_below(dice, 2) == 0) {
        outbox_set_state(outbox, &one->entry.peck, state);
        one->entry.state = state;
        if (state == PECK_TAKEN || state == PECK_PENDING)
            one->entry.next_send_ms = MOMENT_NEVER;
    } else {
        outbox_sent(outbox, &one->entry.peck, at.now_ms);
        one->entry.attempts++;
        if (one->entry.state == PECK_QUEUED || one->entry.state == PECK_SENT) {
            uint64_t next_ms = outbox_find(outbox, &one->entry.peck)->next_send_ms;

            ck_assert(next_ms > at.now_ms && next_ms <= at.now_ms + RESEND_MAX_MS);
            one->entry.next_send_ms = next_ms;
        } else
            one->entry.next_send_ms = MOMENT_NEVER;
    }
}

static void hurry_list(struct listed *list, uint8_t to, uint64_t now_ms)
{
    for (size_t i = 0; i < PECKS; i++)
        if (list[i].held && list[i].entry.to.bytes[1] == to &&
            (list[i].entry.state != PECK_QUEUED || list[i].entry.next_send_ms != MOMENT_NEVER))
            list[i].entry.next_send_ms = now_ms;
}

START_TEST(it_agrees_with_a_list)
{
    static struct listed list[PECKS];
    struct moment at = {NOW_MS, WALL_MS};
    struct dice dice;

    dice_init_number(&dice, (uint64_t)_i);
    for (uint64_t i = 0; i < PECKS; i++)
        list[i].entry = entry_of(i, 0);
    for (uint64_t turn = 0; turn < 8000; turn++) {
        const struct outbox_entry *due, *expired;
        struct listed *listed_due, *listed_expired;
        size_t count = 0;

        change(&list[dice_below(&dice, PECKS)], &dice, at, turn);
        if (dice_below(&dice, 50) == 0) {
            uint8_t to = (uint8_t)dice_below(&dice, 5);

            hurry(to, at.now_ms);
            hurry_list(list, to, at.now_ms);
        }
        due = outbox_poll_due(outbox, at.now_ms);
        listed_due = first_due(list, at.now_ms);
        ck_assert_int_eq(due != NULL, listed_due != NULL);
        if (due)
            ck_assert(id_equal(&due->peck, &listed_due->entry.peck) &&
                      due->state == listed_due->entry.state &&
                      due->attempts == listed_due->entry.attempts &&
                      due->next_send_ms == listed_due->entry.next_send_ms);
        expired = outbox_poll_expired(outbox, at.wall_ms);
        listed_expired = first_expired(list, at.wall_ms);
        ck_assert_int_eq(expired != NULL, listed_expired != NULL);
        if (expired)
            ck_assert(id_equal(&expired->peck, &listed_expired->entry.peck));
        ck_assert_uint_eq(outbox_wake_at_ms(outbox, &at), wake_of(list, &at));
        for (size_t i = 0; i < PECKS; i++)
            count += list[i].held;
        ck_assert_uint_eq(outbox_count(outbox), count);
        at.now_ms += dice_below(&dice, 3) * 10;
        at.wall_ms += dice_below(&dice, 3) * 10;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("outbox");
    TCase *tests = tcase_create("outbox");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_is_added_is_found_until_it_is_removed);
    tcase_add_test(tests, a_peck_is_sent_again_later_and_later_until_a_minute);
    tcase_add_test(tests, what_was_taken_is_not_sent_again_by_time);
    tcase_add_test(tests, parts_that_are_missing_make_a_taken_peck_due_until_they_come);
    tcase_add_test(tests, what_is_taken_back_is_due_at_once_and_again);
    tcase_add_test(tests, a_link_hurries_what_waits_for_its_node_in_order);
    tcase_add_test(tests, a_link_asks_again_for_answers_that_may_be_lost);
    tcase_add_test(tests, a_link_does_not_hurry_what_this_turn_made);
    tcase_add_test(tests, a_peck_expires_by_the_date_after_a_grace);
    tcase_add_test(tests, it_wakes_for_whichever_clock_comes_first);
    tcase_add_test(tests, it_holds_what_it_is_told_and_refuses_one_beyond);
    tcase_add_test(tests, the_same_seed_waits_the_same);
    tcase_add_loop_test(tests, it_agrees_with_a_list, 0, 5);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
