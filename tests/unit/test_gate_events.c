#include "folder.h"
#include "gate_events.h"

#include "core/bytes.h"

#include <sqlite3.h>

#define NOW_MS 1700000000000ull
#define WEEK_MS (7 * 24 * 60 * 60 * 1000ull)

static struct folder folder;
static struct gate_store *store;
static struct gate_feed feed;
static uint64_t owner, stranger;

static uint64_t add_operator(const char *email)
{
    struct gate_operator row = {.created_ms = NOW_MS};

    strcpy(row.lookup, email);
    strcpy(row.email, email);
    ck_assert_int_eq(gate_operator_add(store, &row), 0);
    return row.operator_id;
}

static void setup(void)
{
    folder = folder_make();
    ck_assert_int_eq(gate_store_open(&store, folder_file(&folder, "gateway.db")), 0);
    ck_assert_int_eq(gate_feed_get(store, &feed), 0);
    owner = add_operator("owner@example.com");
    stranger = add_operator("stranger@example.com");
}

static void teardown(void)
{
    gate_store_close(store);
    folder_remove(&folder);
}

static struct gate_webhook add_webhook(uint64_t operator_id, uint32_t kinds)
{
    struct gate_webhook row = {.operator_id = operator_id, .created_ms = NOW_MS};

    webhook_name_make(row.name);
    strcpy(row.url, "https://example.com/");
    row.filter.kinds = kinds;
    ck_assert_int_eq(gate_webhook_add(store, &row), 0);
    return row;
}

static uint64_t keep_of(uint64_t operator_id, enum happening happening, uint64_t at_ms)
{
    struct gate_event event = {.operator_id = operator_id,
                               .duckling = {{1}},
                               .happening = happening,
                               .at_ms = at_ms,
                               .data = "{\"n\":1}",
                               .action = "query"};

    ck_assert_int_eq(gate_event_keep(store, feed.name, &event), 0);
    return event.number;
}

static size_t count_of(uint64_t webhook, int state)
{
    struct gate_delivery row = {.delivery = 0};
    bool found = true;
    size_t count = 0;

    while (found) {
        ck_assert_int_eq(
            gate_delivery_next(store, webhook, state, row.delivery, true, &row, &found), 0);
        count += found;
    }
    return count;
}

static struct gate_webhook get(uint64_t webhook)
{
    struct gate_webhook row;
    bool found;

    ck_assert_int_eq(gate_webhook_get(store, webhook, &row, &found), 0);
    ck_assert(found);
    return row;
}

static uint64_t number_of(const char *text)
{
    sqlite3 *database;
    sqlite3_stmt *statement;
    uint64_t number;

    ck_assert_int_eq(sqlite3_open(folder_file(&folder, "gateway.db"), &database), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(database, text, -1, &statement, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    number = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return number;
}

static void run(const char *text)
{
    sqlite3 *database;

    ck_assert_int_eq(sqlite3_open(folder_file(&folder, "gateway.db"), &database), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(database, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

START_TEST(an_event_is_delivered_to_those_webhooks_of_its_operator_that_want_it)
{
    struct gate_webhook wants = add_webhook(owner, 1u << HAPPENED_PECK),
                        other = add_webhook(owner, 1u << HAPPENED_BOND),
                        foreign = add_webhook(stranger, HAPPENINGS_ALL);
    struct gate_delivery row;
    char id[EVENT_ID_SIZE], *body;
    bool found;
    uint64_t number = keep_of(owner, HAPPENED_PECK, NOW_MS);

    ck_assert_uint_eq(count_of(other.webhook, -1) + count_of(foreign.webhook, -1), 0);
    ck_assert_int_eq(gate_delivery_next(store, wants.webhook, 0, 0, false, &row, &found), 0);
    ck_assert(found);
    ck_assert_str_eq(row.event, event_id_text(feed.name, number, id));
    ck_assert_uint_eq(row.due_ms, NOW_MS);
    ck_assert_int_eq(gate_delivery_body(store, row.delivery, &body), 0);
    ck_assert_ptr_nonnull(strstr(body, "\"type\":\"peck\""));
    ck_assert_ptr_nonnull(strstr(body, "\"data\":{\"n\":1}"));
    ck_assert_ptr_nonnull(strstr(body, row.event));
    memory_give_back(body);
    ck_assert_uint_eq(get(wants.webhook).waiting, 1);
}
END_TEST

START_TEST(a_webhook_that_is_off_is_told_nothing)
{
    struct gate_webhook row = add_webhook(owner, HAPPENINGS_ALL);

    row.state = WEBHOOK_OFF;
    ck_assert_int_eq(gate_webhook_set(store, &row), 0);
    keep_of(owner, HAPPENED_PECK, NOW_MS);
    ck_assert_uint_eq(count_of(row.webhook, -1), 0);
}
END_TEST

START_TEST(so_many_wait_for_a_webhook_and_one_more_is_counted_as_dropped)
{
    struct gate_webhook row = add_webhook(owner, HAPPENINGS_ALL),
                        beside = add_webhook(owner, HAPPENINGS_ALL);
    char text[128];

    snprintf(text, sizeof text, "UPDATE webhooks SET waiting = %u WHERE webhook = %u",
             WEBHOOK_WAITING_MAX - 1, (unsigned)row.webhook);
    run(text);
    keep_of(owner, HAPPENED_PECK, NOW_MS);
    ck_assert_uint_eq(get(row.webhook).dropped, 0);
    keep_of(owner, HAPPENED_PECK, NOW_MS);
    ck_assert_uint_eq(get(row.webhook).waiting, WEBHOOK_WAITING_MAX);
    ck_assert_uint_eq(get(row.webhook).dropped, 1);
    ck_assert_uint_eq(count_of(beside.webhook, 0), 2);
    /* The operator's own bound, over all of its webhooks. */
    snprintf(text, sizeof text, "UPDATE webhooks SET waiting = %u WHERE webhook = %u",
             OPERATOR_WAITING_MAX, (unsigned)row.webhook);
    run(text);
    keep_of(owner, HAPPENED_PECK, NOW_MS);
    ck_assert_uint_eq(get(beside.webhook).dropped, 1);
}
END_TEST

START_TEST(events_are_read_in_order_by_whom_they_are_for)
{
    struct gate_event_filter filter = {.operator_id = owner, .kinds = HAPPENINGS_ALL};
    uint64_t first = keep_of(owner, HAPPENED_PECK, NOW_MS), last, cut;
    struct gate_event event;
    bool found;

    keep_of(stranger, HAPPENED_PECK, NOW_MS);
    keep_of(owner, HAPPENED_BOND, NOW_MS + 1);
    ck_assert_int_eq(gate_event_next(store, &filter, 0, &event, &found), 0);
    ck_assert(found && event.number == first && event.happening == HAPPENED_PECK);
    ck_assert_str_eq(event.data, "{\"n\":1}");
    ck_assert_int_eq(gate_event_next(store, &filter, first, &event, &found), 0);
    ck_assert(found && event.happening == HAPPENED_BOND);
    ck_assert_int_eq(gate_event_next(store, &filter, event.number, &event, &found), 0);
    ck_assert(!found);
    filter.kinds = 1u << HAPPENED_BOND;
    ck_assert_int_eq(gate_event_next(store, &filter, 0, &event, &found), 0);
    ck_assert(found && event.happening == HAPPENED_BOND);
    filter.duckling.bytes[0] = 9;
    ck_assert_int_eq(gate_event_next(store, &filter, 0, &event, &found), 0);
    ck_assert(!found);
    ck_assert_int_eq(gate_events_ends(store, owner, &last, &cut), 0);
    ck_assert_uint_eq(last, first + 2);
    ck_assert_uint_eq(cut, 0);
}
END_TEST

static void tidy(uint64_t now_ms)
{
    bool is_done = false;

    while (!is_done)
        ck_assert_int_eq(gate_events_tidy(store, now_ms, &is_done), 0);
}

START_TEST(what_is_too_old_goes_and_where_it_ends_is_known)
{
    uint64_t last, cut, old = keep_of(owner, HAPPENED_PECK, NOW_MS);
    struct gate_event_filter filter = {.operator_id = owner, .kinds = HAPPENINGS_ALL};
    struct gate_event event;
    bool found;

    keep_of(owner, HAPPENED_PECK, NOW_MS + 1);
    tidy(NOW_MS + EVENT_LIFE_MS);
    ck_assert_int_eq(gate_events_ends(store, owner, &last, &cut), 0);
    ck_assert_uint_eq(cut, 0);
    tidy(NOW_MS + EVENT_LIFE_MS + 1);
    ck_assert_int_eq(gate_events_ends(store, owner, &last, &cut), 0);
    ck_assert_uint_eq(cut, old);
    ck_assert_int_eq(gate_event_next(store, &filter, 0, &event, &found), 0);
    ck_assert(found && event.number == old + 1);
    ck_assert_int_eq(gate_events_ends(store, stranger, &last, &cut), 0);
    ck_assert_uint_eq(cut, 0);
    ck_assert_uint_eq(last, old + 1);
    tidy(NOW_MS + 2 * EVENT_LIFE_MS);
    ck_assert_uint_gt(keep_of(owner, HAPPENED_PECK, NOW_MS), last); /* no number comes twice */
}
END_TEST

START_TEST(an_operator_keeps_so_many_events_and_not_one_more)
{
    uint64_t last, cut, first = 0;

    ck_assert_int_eq(gate_store_begin(store), 0);
    for (unsigned i = 0; i < EVENTS_PER_OPERATOR_MAX; i++) {
        uint64_t number = keep_of(owner, HAPPENED_PECK, NOW_MS);

        first = first ? first : number;
    }
    ck_assert_int_eq(gate_store_commit(store), 0);
    tidy(NOW_MS);
    ck_assert_int_eq(gate_events_ends(store, owner, &last, &cut), 0);
    ck_assert_uint_eq(cut, 0);
    keep_of(owner, HAPPENED_PECK, NOW_MS);
    tidy(NOW_MS);
    ck_assert_int_eq(gate_events_ends(store, owner, &last, &cut), 0);
    ck_assert_uint_eq(cut, first);
    ck_assert_uint_eq(number_of("SELECT count(*) FROM events"), EVENTS_PER_OPERATOR_MAX);
}
END_TEST

START_TEST(ended_deliveries_are_kept_up_to_a_bound_and_waiting_ones_all)
{
    struct gate_webhook row = add_webhook(owner, HAPPENINGS_ALL);
    char text[160];

    ck_assert_int_eq(gate_store_begin(store), 0);
    for (unsigned i = 0; i < DELIVERIES_KEPT_MAX + 5; i++)
        keep_of(owner, HAPPENED_PECK, NOW_MS);
    ck_assert_int_eq(gate_store_commit(store), 0);
    tidy(NOW_MS + 10 * DELIVERY_LIFE_MS);
    ck_assert_uint_eq(count_of(row.webhook, DELIVERY_WAITING), DELIVERIES_KEPT_MAX + 5);
    snprintf(text, sizeof text, "UPDATE deliveries SET state = 1, ended_ms = %llu", NOW_MS);
    run(text);
    tidy(NOW_MS);
    ck_assert_uint_eq(count_of(row.webhook, DELIVERY_DELIVERED), DELIVERIES_KEPT_MAX);
    tidy(NOW_MS + DELIVERY_LIFE_MS + 1);
    ck_assert_uint_eq(count_of(row.webhook, -1), 0);
}
END_TEST

START_TEST(an_attempt_is_logged_and_its_end_makes_room)
{
    struct gate_webhook hook = add_webhook(owner, HAPPENINGS_ALL);
    struct gate_attempt attempt = {.attempt = 1, .at_ms = NOW_MS, .took_ms = 3, .status = 503},
                        log[4];
    struct gate_delivery row;
    size_t count;
    bool found;

    keep_of(owner, HAPPENED_PECK, NOW_MS);
    ck_assert_int_eq(gate_delivery_next(store, hook.webhook, 0, 0, false, &row, &found), 0);
    row.attempt = 1;
    row.due_ms = NOW_MS + 5000;
    ck_assert_int_eq(gate_delivery_attempted(store, &row, DELIVERY_WAITING, &attempt), 0);
    ck_assert_uint_eq(get(hook.webhook).waiting, 1);
    attempt = (struct gate_attempt){.attempt = 2, .at_ms = NOW_MS + 5000, .problem = "no answer"};
    row.attempt = 2;
    row.state = DELIVERY_GIVEN_UP;
    row.ended_ms = NOW_MS + 5000;
    ck_assert_int_eq(gate_delivery_attempted(store, &row, DELIVERY_WAITING, &attempt), 0);
    ck_assert_uint_eq(get(hook.webhook).waiting, 0);
    ck_assert_int_eq(gate_attempts(store, row.delivery, log, 4, &count), 0);
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(log[0].problem, "no answer");
    ck_assert_uint_eq(log[1].status, 503);
    ck_assert_int_eq(gate_delivery_again(store, &row, NOW_MS + 9000), 0);
    ck_assert_int_eq(gate_delivery_get(store, row.delivery, &row, &found), 0);
    ck_assert_int_eq(row.state, DELIVERY_WAITING);
    ck_assert_uint_eq(row.round, 2);
    ck_assert_uint_eq(get(hook.webhook).waiting, 1);
    ck_assert_int_eq(gate_deliveries_give_up(store, hook.webhook, NOW_MS), 0);
    ck_assert_uint_eq(get(hook.webhook).waiting, 0);
    ck_assert_uint_eq(count_of(hook.webhook, DELIVERY_GIVEN_UP), 1);
}
END_TEST

START_TEST(what_had_ended_before_makes_no_room_twice)
{
    struct gate_webhook hook = add_webhook(owner, HAPPENINGS_ALL);
    struct gate_attempt attempt = {.attempt = 1, .at_ms = NOW_MS, .status = 200};
    struct gate_delivery row;
    bool found;

    keep_of(owner, HAPPENED_PECK, NOW_MS);
    ck_assert_int_eq(gate_delivery_next(store, hook.webhook, 0, 0, false, &row, &found), 0);
    ck_assert_int_eq(gate_deliveries_give_up(store, hook.webhook, NOW_MS), 0);
    keep_of(owner, HAPPENED_PECK, NOW_MS);
    row.state = DELIVERY_DELIVERED;
    ck_assert_int_eq(gate_delivery_attempted(store, &row, DELIVERY_GIVEN_UP, &attempt), 0);
    ck_assert_uint_eq(get(hook.webhook).waiting, 1);
}
END_TEST

START_TEST(of_attempts_the_newest_twenty_are_kept)
{
    struct gate_webhook hook = add_webhook(owner, HAPPENINGS_ALL);
    struct gate_attempt attempt = {.at_ms = NOW_MS, .status = 500}, log[2 * ATTEMPTS_KEPT_MAX];
    struct gate_delivery row;
    size_t count;
    bool found;

    keep_of(owner, HAPPENED_PECK, NOW_MS);
    ck_assert_int_eq(gate_delivery_next(store, hook.webhook, 0, 0, false, &row, &found), 0);
    for (attempt.attempt = 1; attempt.attempt <= ATTEMPTS_KEPT_MAX + 1; attempt.attempt++)
        ck_assert_int_eq(gate_delivery_attempted(store, &row, DELIVERY_WAITING, &attempt), 0);
    ck_assert_int_eq(gate_attempts(store, row.delivery, log, 2 * ATTEMPTS_KEPT_MAX, &count), 0);
    ck_assert_uint_eq(count, ATTEMPTS_KEPT_MAX);
    ck_assert_uint_eq(log[0].attempt, ATTEMPTS_KEPT_MAX + 1);
    ck_assert_uint_eq(log[count - 1].attempt, 2);
}
END_TEST

START_TEST(who_has_little_waiting_has_room_where_others_have_filled_it)
{
    struct gate_webhook hook = add_webhook(owner, HAPPENINGS_ALL);
    uint64_t number = hook.webhook;
    bool is_room;
    char text[160];

    for (unsigned i = 0; i < 30; i++) { /* of operators of their own */
        snprintf(text, sizeof text, "crowd%u@example.com", i);
        add_webhook(add_operator(text), HAPPENINGS_ALL);
    }
    snprintf(text, sizeof text,
             "UPDATE webhooks SET waiting = 10000 WHERE webhook > %llu"
             " AND webhook <= %llu",
             (unsigned long long)number, (unsigned long long)number + 20);
    run(text);
    hook = get(number);
    hook.waiting = WEBHOOK_WAITING_SURE - 1;
    ck_assert_int_eq(gate_webhook_has_room(store, &hook, &is_room), 0);
    ck_assert(is_room);
    hook.waiting++;
    ck_assert_int_eq(gate_webhook_has_room(store, &hook, &is_room), 0);
    ck_assert(!is_room);
    run("UPDATE webhooks SET waiting = 10000 WHERE waiting = 0");
    hook.waiting = 0;
    ck_assert_int_eq(gate_webhook_has_room(store, &hook, &is_room), 0);
    ck_assert(!is_room);
}
END_TEST

START_TEST(with_an_operator_all_of_it_goes)
{
    add_webhook(owner, HAPPENINGS_ALL);
    keep_of(owner, HAPPENED_PECK, NOW_MS);
    tidy(NOW_MS + EVENT_LIFE_MS + 1);
    keep_of(owner, HAPPENED_PECK, NOW_MS);
    run("PRAGMA foreign_keys = ON; DELETE FROM operators WHERE email = 'owner@example.com'");
    ck_assert_uint_eq(
        number_of("SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM webhooks)"
                  " + (SELECT count(*) FROM deliveries)"
                  " + (SELECT count(*) FROM event_cuts)"),
        0);
}
END_TEST

START_TEST(two_stores_never_give_one_id_to_two_events)
{
    struct gate_store *other;
    struct gate_feed another;

    ck_assert_int_eq(gate_store_open(&other, folder_file(&folder, "other.db")), 0);
    ck_assert_int_eq(gate_feed_get(other, &another), 0);
    ck_assert_mem_ne(another.name, feed.name, sizeof feed.name);
    gate_store_close(other);
    ck_assert_int_eq(gate_feed_set(store, "nod_x", 77), 0);
    ck_assert_int_eq(gate_feed_get(store, &another), 0);
    ck_assert_str_eq(another.node, "nod_x");
    ck_assert_uint_eq(another.entry, 77);
    ck_assert_mem_eq(another.name, feed.name, sizeof feed.name);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("gate_events");
    Suite *suite = suite_create("gate_events");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, an_event_is_delivered_to_those_webhooks_of_its_operator_that_want_it);
    tcase_add_test(tests, a_webhook_that_is_off_is_told_nothing);
    tcase_add_test(tests, so_many_wait_for_a_webhook_and_one_more_is_counted_as_dropped);
    tcase_add_test(tests, events_are_read_in_order_by_whom_they_are_for);
    tcase_add_test(tests, what_is_too_old_goes_and_where_it_ends_is_known);
    tcase_add_test(tests, an_operator_keeps_so_many_events_and_not_one_more);
    tcase_add_test(tests, ended_deliveries_are_kept_up_to_a_bound_and_waiting_ones_all);
    tcase_add_test(tests, an_attempt_is_logged_and_its_end_makes_room);
    tcase_add_test(tests, what_had_ended_before_makes_no_room_twice);
    tcase_add_test(tests, of_attempts_the_newest_twenty_are_kept);
    tcase_add_test(tests, who_has_little_waiting_has_room_where_others_have_filled_it);
    tcase_add_test(tests, with_an_operator_all_of_it_goes);
    tcase_add_test(tests, two_stores_never_give_one_id_to_two_events);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
