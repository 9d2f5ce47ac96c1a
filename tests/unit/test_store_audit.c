/* What a turn kept is in the log, and nothing else; what is in the log can be checked. */
#include "store_bed.h"

#include "store_internal.h"

static struct bed bed;
static struct store_reader *reader;

static int open_signing(void)
{
    struct store_settings settings = {.path = bed.path,
                                      .storage_key = bed.storage_key,
                                      .node = bed.node.id,
                                      .node_key = bed.node.key,
                                      .node_chain = bed.node.chain,
                                      .network = bytes_of_text(THINGS_NETWORK)};

    return store_open(&bed.store, &settings);
}

static void make(void)
{
    bed_make(&bed);
    bed_close(&bed);
    ck_assert_int_eq(open_signing(), 0);
    ck_assert_int_eq(store_reader_open(&reader, bed.path), 0);
}

static void unmake(void)
{
    store_reader_close(reader);
    bed_free(&bed);
}

static void keep_at(uint64_t wall_ms, const struct effect *effects, size_t count)
{
    store_audit_at(bed.store, wall_ms);
    bed_keep(&bed, effects, count);
}

static struct effect receive_at(uint64_t wall_ms)
{
    struct peck_wish wish = {.created_ms = wall_ms};
    struct effect kept = make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &wish, &bed.arena);

    keep_at(wall_ms, &kept, 1);
    return kept;
}

#define LOG_MAX 1024

struct log {
    struct stored_audit_entry entries[LOG_MAX]; /* oldest first */
    size_t count;
};

static struct log read_log(const struct audit_filter *wanted)
{
    static struct log log;
    struct audit_filter filter = *wanted;
    uint64_t next = 0;

    log.count = 0;
    filter.limit = LOG_MAX;
    do {
        filter.limit = LOG_MAX - log.count;
        log.count += store_view_audit(reader, &filter, &bed.arena, log.entries + log.count, &next);
        filter.before = next;
    } while (next);
    for (size_t i = 0; i < log.count / 2; i++) {
        struct stored_audit_entry entry = log.entries[i];

        log.entries[i] = log.entries[log.count - 1 - i];
        log.entries[log.count - 1 - i] = entry;
    }
    return log;
}

/* The whole log, checked as a stranger would; `*checked` may be NULL. */
static enum audit_verdict check_log(struct audit_reader *checked)
{
    static struct audit_checkpoint checkpoints[LOG_MAX];
    static struct bytes wires[LOG_MAX];
    struct audit_reader audit;
    struct audit_page page;
    struct chain chain;
    uint64_t last = 0;
    size_t count = store_view_audit_checkpoints(reader, 0, LOG_MAX, &bed.arena, wires, &last);

    ck_assert_int_eq(chain_open(store_view_audit_signer(reader, &bed.arena), &bed.arena, &chain),
                     CERTIFICATE_TAKEN);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(audit_checkpoint_open(wires[i], &chain, &bed.arena, &checkpoints[i]),
                         AUDIT_OK);
    audit_reader_init(&audit, &chain, checkpoints, count);
    last = 0;
    count = store_view_audit_pages(reader, 0, LOG_MAX, &bed.arena, wires, &last);
    for (size_t i = 0; i < count; i++) {
        enum audit_verdict verdict = audit_reader_take(&audit, wires[i], &bed.arena, &page);

        if (verdict != AUDIT_OK)
            return verdict;
    }
    if (checked)
        *checked = audit;
    return audit_reader_end(&audit);
}

START_TEST(each_step_of_a_peck_is_an_entry_in_its_order)
{
    struct effect kept = receive_at(THINGS_WALL_MS);
    struct effect steps[4];
    struct log log;

    steps[0] = make_receipt(&bed.node, &kept, RECEIPT_TAKEN, PECK_TAKEN, &bed.arena);
    steps[1] = make_state(BOX_IN, &kept.peck.id, PECK_TAKEN, TRAY_LEASED);
    steps[1].state.attempt = 1;
    steps[2] = make_state(BOX_IN, &kept.peck.id, PECK_TAKEN, TRAY_WITH_AGENT);
    steps[2].state.attempt = 1;
    steps[3] = make_receipt(&bed.bob, &kept, RECEIPT_DONE, PECK_ANSWERED, &bed.arena);
    keep_at(THINGS_WALL_MS + 5, steps, 4);
    log = read_log(&(struct audit_filter){0});
    ck_assert_uint_eq(log.count, 5);
    ck_assert_int_eq(log.entries[0].entry.kind, AUDIT_PECK_RECEIVED);
    ck_assert(id_equal(&log.entries[0].entry.duckling, &bed.bob.id));
    ck_assert(id_equal(&log.entries[0].entry.with, &bed.alice.id));
    ck_assert(bytes_equal(log.entries[0].entry.detail, bytes_of_text("data.read")));
    ck_assert_int_eq(log.entries[1].entry.kind, AUDIT_RECEIPT_MADE);
    ck_assert_int_eq(log.entries[2].entry.kind, AUDIT_HANDED_OUT);
    ck_assert_uint_eq(log.entries[2].entry.attempt, 1);
    ck_assert_int_eq(log.entries[3].entry.kind, AUDIT_ACKNOWLEDGED);
    ck_assert_int_eq(log.entries[4].entry.kind, AUDIT_RECEIPT_MADE);
    ck_assert_int_eq(log.entries[4].entry.state, PECK_ANSWERED);
    for (size_t i = 0; i < log.count; i++) {
        ck_assert_uint_eq(log.entries[i].number, i + 1);
        ck_assert(id_equal(&log.entries[i].entry.subject, &kept.peck.id));
    }
    ck_assert_int_eq(check_log(NULL), AUDIT_OK);
}
END_TEST

START_TEST(an_entry_names_what_was_signed)
{
    struct effect kept = receive_at(THINGS_WALL_MS);
    struct effect receipt = make_receipt(&bed.node, &kept, RECEIPT_TAKEN, PECK_TAKEN, &bed.arena);
    struct envelope envelopes[2];
    struct log log;

    keep_at(THINGS_WALL_MS + 5, &receipt, 1);
    log = read_log(&(struct audit_filter){0});
    ck_assert_int_eq(envelope_parse(kept.peck.wire, ENVELOPE_PECK, &bed.arena, &envelopes[0]),
                     ENVELOPE_TAKEN);
    ck_assert_int_eq(
        envelope_parse(receipt.receipt.wire, ENVELOPE_RECEIPT, &bed.arena, &envelopes[1]),
        ENVELOPE_TAKEN);
    for (size_t i = 0; i < 2; i++)
        ck_assert(hash_equal(&log.entries[i].entry.signed_hash, &envelopes[i].hash));
}
END_TEST

START_TEST(a_turn_that_is_rolled_back_leaves_no_entry)
{
    struct peck_wish wish = {0};
    struct effect kept = make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &wish, &bed.arena);

    receive_at(THINGS_WALL_MS);
    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_eq(store_keep(bed.store, &kept), 0);
    store_roll_back(bed.store);
    ck_assert_uint_eq(read_log(&(struct audit_filter){0}).count, 1);
    receive_at(THINGS_WALL_MS + 1);
    ck_assert_uint_eq(read_log(&(struct audit_filter){0}).count, 2);
    ck_assert_int_eq(check_log(NULL), AUDIT_OK);
}
END_TEST

START_TEST(a_turn_of_more_than_a_page_makes_several)
{
    static struct effect effects[AUDIT_PAGE_ENTRIES_MAX + 1];
    struct audit_reader checked;

    for (size_t i = 0; i <= AUDIT_PAGE_ENTRIES_MAX; i++)
        effects[i] = make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &(struct peck_wish){0},
                               &bed.arena);
    keep_at(THINGS_WALL_MS, effects, AUDIT_PAGE_ENTRIES_MAX + 1);
    ck_assert_int_eq(check_log(&checked), AUDIT_OK);
    ck_assert_uint_eq(checked.entries, AUDIT_PAGE_ENTRIES_MAX + 1);
    ck_assert_uint_eq(checked.pages, 2);
}
END_TEST

START_TEST(the_log_goes_on_after_a_restart)
{
    receive_at(THINGS_WALL_MS);
    bed_close(&bed);
    ck_assert_int_eq(open_signing(), 0);
    receive_at(THINGS_WALL_MS + 1);
    ck_assert_uint_eq(read_log(&(struct audit_filter){0}).count, 2);
    ck_assert_int_eq(check_log(NULL), AUDIT_OK);
}
END_TEST

START_TEST(what_was_kept_is_signed_within_a_second)
{
    struct audit_reader checked;

    ck_assert_uint_eq(store_audit_due_ms(bed.store), MOMENT_NEVER);
    receive_at(THINGS_WALL_MS); /* the first: signed at once */
    ck_assert_uint_eq(store_audit_due_ms(bed.store), MOMENT_NEVER);
    receive_at(THINGS_WALL_MS + 1);
    ck_assert_uint_eq(store_audit_due_ms(bed.store), THINGS_WALL_MS + 1 + AUDIT_CHECKPOINT_MS);
    ck_assert_int_eq(check_log(&checked), AUDIT_OK);
    ck_assert_uint_eq(checked.vouched_entries, 1);
    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_eq(store_keep_checkpoint(bed.store, THINGS_WALL_MS + 1001), 0);
    ck_assert_int_eq(store_commit(bed.store), 0);
    ck_assert_uint_eq(store_audit_due_ms(bed.store), MOMENT_NEVER);
    ck_assert_int_eq(check_log(&checked), AUDIT_OK);
    ck_assert_uint_eq(checked.vouched_entries, 2);
}
END_TEST

START_TEST(a_turn_after_a_second_signs_by_itself)
{
    struct audit_reader checked;

    receive_at(THINGS_WALL_MS);
    receive_at(THINGS_WALL_MS + AUDIT_CHECKPOINT_MS - 1);
    receive_at(THINGS_WALL_MS + AUDIT_CHECKPOINT_MS);
    ck_assert_int_eq(check_log(&checked), AUDIT_OK);
    ck_assert_uint_eq(checked.vouched_entries, 3);
}
END_TEST

static bool prune(uint64_t before_ms)
{
    bool is_done;

    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_eq(store_prune_audit(bed.store, before_ms, &is_done), 0);
    ck_assert_int_eq(store_commit(bed.store), 0);
    return is_done;
}

START_TEST(what_is_pruned_is_stood_for_by_a_checkpoint)
{
    struct audit_reader checked;

    for (uint64_t i = 0; i < 5; i++)
        receive_at(THINGS_WALL_MS + i * MINUTE_MS);
    ck_assert(prune(THINGS_WALL_MS + 2 * MINUTE_MS + 1));
    ck_assert_int_eq(check_log(&checked), AUDIT_OK);
    ck_assert_uint_eq(checked.first_entry, 4);
    ck_assert_uint_eq(checked.entries, 5);
    ck_assert(prune(THINGS_WALL_MS + 2 * MINUTE_MS + 1)); /* again: nothing more */
    ck_assert_int_eq(check_log(&checked), AUDIT_OK);
    ck_assert_uint_eq(checked.first_entry, 4);
    receive_at(THINGS_WALL_MS + 6 * MINUTE_MS);
    ck_assert_int_eq(check_log(&checked), AUDIT_OK);
    ck_assert_uint_eq(checked.entries, 6);
}
END_TEST

START_TEST(a_log_that_is_pruned_whole_goes_on_where_it_was)
{
    struct audit_reader checked;

    receive_at(THINGS_WALL_MS);
    receive_at(THINGS_WALL_MS + MINUTE_MS);
    ck_assert(prune(THINGS_WALL_MS + HOUR_MS));
    ck_assert_uint_eq(read_log(&(struct audit_filter){0}).count, 0);
    bed_close(&bed);
    ck_assert_int_eq(open_signing(), 0);
    receive_at(THINGS_WALL_MS + 2 * HOUR_MS);
    ck_assert_int_eq(check_log(&checked), AUDIT_OK);
    ck_assert_uint_eq(checked.first_entry, 3);
}
END_TEST

START_TEST(pruning_goes_on_in_parts)
{
    for (uint64_t i = 0; i < STORE_AUDIT_CUTS_AT_ONCE + 5; i++)
        receive_at(THINGS_WALL_MS + i * MINUTE_MS);
    ck_assert(!prune(THINGS_WALL_MS + DAY_MS));
    ck_assert_uint_eq(read_log(&(struct audit_filter){0}).count, 5);
    ck_assert_int_eq(check_log(NULL), AUDIT_OK);
    ck_assert(prune(THINGS_WALL_MS + DAY_MS));
    ck_assert_uint_eq(read_log(&(struct audit_filter){0}).count, 0);
}
END_TEST

START_TEST(a_filter_shows_one_peck_or_one_duckling)
{
    struct effect kept = receive_at(THINGS_WALL_MS);
    struct effect sent = bed_send(&bed, PECK_SENT, &(struct peck_wish){0});
    struct audit_filter of_peck = {.subject = kept.peck.id}, of_nobody = {.duckling = {{9}}};
    struct audit_filter of_alice = {.duckling = bed.alice.id};
    struct log log = read_log(&of_peck);

    ck_assert_uint_eq(log.count, 1);
    ck_assert_int_eq(log.entries[0].entry.kind, AUDIT_PECK_RECEIVED);
    log = read_log(&of_alice); /* the other end of both */
    ck_assert_uint_eq(log.count, 2);
    ck_assert(id_equal(&log.entries[1].entry.subject, &sent.peck.id));
    ck_assert_uint_eq(read_log(&of_nobody).count, 0);
}
END_TEST

START_TEST(a_list_goes_on_where_its_page_ended)
{
    struct audit_filter filter = {.limit = 2};
    struct stored_audit_entry entries[2];
    uint64_t next, wanted = 5;

    for (uint64_t i = 0; i < 5; i++)
        receive_at(THINGS_WALL_MS + i);
    do {
        size_t count = store_view_audit(reader, &filter, &bed.arena, entries, &next);

        for (size_t i = 0; i < count; i++)
            ck_assert_uint_eq(entries[i].number, wanted--);
        filter.before = next;
    } while (next);
    ck_assert_uint_eq(wanted, 0);
}
END_TEST

START_TEST(who_reads_on_from_the_last_entry_misses_none_and_has_none_twice)
{
    struct stored_audit_entry entries[3];
    uint64_t after = 0, last = 0, count = 0, found;

    ck_assert_uint_eq(store_view_audit_news(reader, 0, 3, &bed.arena, entries, &last), 0);
    ck_assert_uint_eq(last, 0);
    for (uint64_t i = 0; i < 4; i++) {
        struct effect kept[2] = {
            make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN,
                      &(struct peck_wish){.created_ms = THINGS_WALL_MS + 2 * i}, &bed.arena),
            make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN,
                      &(struct peck_wish){.created_ms = THINGS_WALL_MS + 2 * i + 1}, &bed.arena)};

        keep_at(THINGS_WALL_MS + i, kept, 2); /* a page of two */
    }
    while ((found = store_view_audit_news(reader, after, 3, &bed.arena, entries, &last)) > 0) {
        ck_assert_uint_eq(last, 8);
        for (uint64_t i = 0; i < found; i++)
            ck_assert_uint_eq(entries[i].number, ++count);
        after = entries[found - 1].number;
    }
    ck_assert_uint_eq(count, 8);
    ck_assert_uint_eq(last, 8);
    /* A place that the log has not come to, as after a restore. */
    ck_assert_uint_eq(store_view_audit_news(reader, 100, 3, &bed.arena, entries, &last), 0);
    ck_assert_uint_eq(last, 8);
}
END_TEST

START_TEST(an_end_without_a_receipt_says_why)
{
    struct effect sent = bed_send(&bed, PECK_SENT, &(struct peck_wish){0});
    struct effect ended = make_state(BOX_OUT, &sent.peck.id, PECK_FAILED, TRAY_WAITING);
    struct log log;

    ended.state.problem = bytes_of_text("refused by the target's node");
    ended.state.duckling = bed.bob.id;
    bed_keep(&bed, &ended, 1);
    log = read_log(&(struct audit_filter){0});
    ck_assert_uint_eq(log.count, 2);
    ck_assert_int_eq(log.entries[1].entry.kind, AUDIT_PECK_ENDED);
    ck_assert(bytes_equal(log.entries[1].entry.detail, ended.state.problem));
    ck_assert(id_equal(&log.entries[1].entry.duckling, &bed.bob.id));
}
END_TEST

START_TEST(an_end_that_a_receipt_brought_is_noted_with_the_receipt)
{
    static const enum peck_state ends[] = {PECK_CANCELLED, PECK_EXPIRED};

    for (uint64_t i = 0; i < 2; i++) {
        struct effect sent =
            bed_send(&bed, PECK_SENT, &(struct peck_wish){.created_ms = THINGS_WALL_MS + 1 + i});
        struct effect ended = make_state(BOX_OUT, &sent.peck.id, ends[i], TRAY_WAITING);

        ended.state.duckling = bed.bob.id;
        ended.state.by_receipt = true;
        bed_keep(&bed, &ended, 1);
        ck_assert_uint_eq(read_log(&(struct audit_filter){0}).count, 2 * i + 1);
        ended.state.by_receipt = false; /* one that this node has taken back itself */
        bed_keep(&bed, &ended, 1);
        ck_assert_uint_eq(read_log(&(struct audit_filter){0}).count, 2 * i + 2);
    }
}
END_TEST

START_TEST(a_damaged_end_stops_the_opening)
{
    receive_at(THINGS_WALL_MS);
    ck_assert_int_eq(store_execute(&bed.store->connection,
                                   "UPDATE audit_page SET body = x'ffff' WHERE first = 1"),
                     0);
    bed_close(&bed);
    ck_assert_int_eq(open_signing(), FAULT_CORRUPT);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("store_audit");
    TCase *tests = tcase_create("audit log");

    tcase_add_checked_fixture(tests, make, unmake);
    tcase_add_test(tests, each_step_of_a_peck_is_an_entry_in_its_order);
    tcase_add_test(tests, an_entry_names_what_was_signed);
    tcase_add_test(tests, a_turn_that_is_rolled_back_leaves_no_entry);
    tcase_add_test(tests, a_turn_of_more_than_a_page_makes_several);
    tcase_add_test(tests, the_log_goes_on_after_a_restart);
    tcase_add_test(tests, what_was_kept_is_signed_within_a_second);
    tcase_add_test(tests, a_turn_after_a_second_signs_by_itself);
    tcase_add_test(tests, what_is_pruned_is_stood_for_by_a_checkpoint);
    tcase_add_test(tests, a_log_that_is_pruned_whole_goes_on_where_it_was);
    tcase_add_test(tests, pruning_goes_on_in_parts);
    tcase_add_test(tests, a_filter_shows_one_peck_or_one_duckling);
    tcase_add_test(tests, a_list_goes_on_where_its_page_ended);
    tcase_add_test(tests, who_reads_on_from_the_last_entry_misses_none_and_has_none_twice);
    tcase_add_test(tests, an_end_without_a_receipt_says_why);
    tcase_add_test(tests, an_end_that_a_receipt_brought_is_noted_with_the_receipt);
    tcase_add_test(tests, a_damaged_end_stops_the_opening);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(make_suite());
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
