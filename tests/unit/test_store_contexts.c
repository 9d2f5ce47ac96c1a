/* Contexts on the disk: with their keys, sealed; and beside the pecks that were signed under them. */
#include "store_bed.h"

#include "fault.h"
#include "store_internal.h"

static struct bed bed;
static struct store_reader *reader;
static const struct moment later = {.now_ms = 5000, .wall_ms = THINGS_WALL_MS + MINUTE_MS};

static void make(void)
{
    bed_make(&bed);
    ck_assert_int_eq(store_reader_open(&reader, bed.path), 0);
}

static void unmake(void)
{
    store_reader_close(reader);
    bed_free(&bed);
}

static void keep_bob(void)
{
    struct hosted hosted = {.id = bed.bob.id, .chain = bed.bob.chain};
    struct effect effect = {.kind = EFFECT_KEEP_DUCKLING, .duckling = &hosted};

    hosted.profile.display_name = bytes_of_text("Bob");
    memcpy(hosted.seed, bed.bob.seed, SEED_SIZE);
    memcpy(hosted.next_seed, bed.bob.next_seed, SEED_SIZE);
    bed_keep(&bed, &effect, 1);
}

static void keep_one(enum effect_kind kind, struct kept_context *kept)
{
    struct effect effect = {.kind = kind, .context = kept};

    bed_keep(&bed, &effect, 1);
}

static void restart(struct restored *restored)
{
    bed_close(&bed);
    bed_open(&bed);
    bed_restore(&bed, &later, restored);
}

START_TEST(a_context_comes_back_with_its_key)
{
    struct kept_context kept = author_context(&bed.bob, 40, THINGS_WALL_MS, &bed.arena);
    struct restored restored;

    keep_bob();
    keep_one(EFFECT_KEEP_CONTEXT, &kept);
    restart(&restored);
    ck_assert_uint_eq(restored.contexts, 1);
    ck_assert(bytes_equal(restored.context.wire, kept.wire));
    ck_assert(id_equal(&restored.context.duckling, &bed.bob.id));
    ck_assert(id_equal(&restored.context.carrier, &kept.carrier));
    ck_assert_mem_eq(restored.context.seed, kept.seed, SEED_SIZE);
    ck_assert_uint_eq(restored.context.revoked_ms, 0);
}
END_TEST

START_TEST(issued_anew_it_keeps_its_place)
{
    struct kept_context first = author_context(&bed.bob, 40, THINGS_WALL_MS, &bed.arena);
    struct kept_context second = author_context(&bed.bob, 41, THINGS_WALL_MS, &bed.arena);
    struct kept_context anew = author_context(&bed.bob, 40, THINGS_WALL_MS + 1, &bed.arena);
    struct stored_context views[CONTEXTS_PER_DUCKLING_MAX];

    keep_bob();
    keep_one(EFFECT_KEEP_CONTEXT, &first);
    keep_one(EFFECT_KEEP_CONTEXT, &second);
    keep_one(EFFECT_KEEP_CONTEXT, &anew);
    ck_assert_uint_eq(
        store_view_contexts(reader, &bed.bob.id, &bed.arena, views, CONTEXTS_PER_DUCKLING_MAX), 2);
    ck_assert(id_equal(&views[0].context.id, &anew.id));
    ck_assert(id_equal(&views[1].context.id, &second.id));
    ck_assert_uint_eq(store_view_contexts(reader, &bed.alice.id, &bed.arena, views, 1), 0);
    ck_assert_uint_eq(store_view_contexts(reader, &bed.bob.id, &bed.arena, views, 1), 1);
}
END_TEST

START_TEST(a_revoked_one_has_no_key_and_one_that_is_dropped_is_gone)
{
    struct kept_context kept = author_context(&bed.bob, 40, THINGS_WALL_MS, &bed.arena);
    struct kept_context revoked = kept;
    struct restored restored;
    int64_t seeds = -1;

    memset(revoked.seed, 0, SEED_SIZE);
    revoked.revoked_ms = THINGS_WALL_MS + 7;
    keep_bob();
    keep_one(EFFECT_KEEP_CONTEXT, &kept);
    keep_one(EFFECT_KEEP_CONTEXT, &revoked);
    ck_assert_int_eq(store_read_number(&bed.store->connection,
                                       "SELECT count(*) FROM context WHERE seed IS NOT NULL",
                                       &seeds),
                     0);
    ck_assert_int_eq(seeds, 0);
    restart(&restored);
    ck_assert_uint_eq(restored.contexts, 1);
    ck_assert_uint_eq(restored.context.revoked_ms, THINGS_WALL_MS + 7);
    ck_assert_uint_eq(restored.context.seed[0], 0);
    keep_one(EFFECT_DROP_CONTEXT, &kept);
    restart(&restored);
    ck_assert_uint_eq(restored.contexts, 0);
}
END_TEST

START_TEST(a_seed_that_does_not_open_stops_the_start)
{
    struct kept_context kept = author_context(&bed.bob, 40, THINGS_WALL_MS, &bed.arena);
    struct restored restored = {.bed = &bed};

    keep_bob();
    keep_one(EFFECT_KEEP_CONTEXT, &kept);
    ck_assert_int_eq(
        store_execute(&bed.store->connection, "UPDATE context SET seed = zeroblob(length(seed))"),
        0);
    ck_assert_int_eq(store_restore(bed.store, &later, restored_take, &restored, &restored.counters,
                                   &restored.floor),
                     FAULT_CORRUPT);
    ck_assert_uint_eq(restored.contexts, 0);
}
END_TEST

/* ---- pecks ---- */

static struct context context_of(const struct kept_context *kept)
{
    struct context context;

    ck_assert_int_eq(context_read(kept->wire, &bed.arena, &context), CONTEXT_OK);
    return context;
}

static struct effect receive_under(const struct context *context, const char *thread,
                                   enum peck_state state)
{
    struct peck_wish wish = {.thread = thread};
    struct effect kept = make_peck(&bed.alice, &bed.bob.id, BOX_IN, state, &wish, &bed.arena);

    kept.peck.context = context;
    bed_keep(&bed, &kept, 1);
    return kept;
}

START_TEST(a_peck_keeps_what_it_was_signed_under_and_its_senders_chain_stays_what_it_was)
{
    struct kept_context issued = author_context(&bed.alice, 40, THINGS_WALL_MS, &bed.arena);
    struct context context = context_of(&issued);
    struct effect under = receive_under(&context, "one", PECK_TAKEN);
    struct effect plain = receive_under(NULL, "two", PECK_TAKEN);
    struct bytes wire, chain, apart, shown;
    struct stored_peck view;

    ck_assert_int_eq(store_read_peck(bed.store, BOX_IN, &under.peck.id, &bed.arena, &wire, &chain),
                     0);
    chain_split(chain, &apart, &shown);
    ck_assert(bytes_equal(wire, under.peck.wire));
    ck_assert(bytes_equal(apart, bed.alice.chain) && bytes_equal(shown, issued.wire));
    ck_assert_int_eq(store_read_peck(bed.store, BOX_IN, &plain.peck.id, &bed.arena, &wire, &chain),
                     0);
    ck_assert(bytes_equal(chain, bed.alice.chain));
    ck_assert(bytes_equal(store_view_chain(reader, &bed.alice.id, &bed.arena), bed.alice.chain));
    ck_assert(store_view_peck(reader, &under.peck.id, 0, &bed.bob.id, &bed.arena, &view));
    ck_assert(view.context && id_equal(&view.context->id, &issued.id));
    ck_assert(bytes_equal(view.context->name, bytes_of_text("deploys")));
    ck_assert(store_view_peck(reader, &plain.peck.id, 0, &bed.bob.id, &bed.arena, &view));
    ck_assert_ptr_null(view.context);
}
END_TEST

START_TEST(many_pecks_under_one_keep_it_once)
{
    struct kept_context issued = author_context(&bed.alice, 40, THINGS_WALL_MS, &bed.arena);
    struct context context = context_of(&issued);
    static const char *const threads[] = {"one", "two", "three"};
    int64_t rows = 0;

    for (size_t i = 0; i < 3; i++)
        receive_under(&context, threads[i], PECK_TAKEN);
    ck_assert_int_eq(
        store_read_number(&bed.store->connection, "SELECT count(*) FROM shown_context", &rows), 0);
    ck_assert_int_eq(rows, 1);
    ck_assert_int_eq(
        store_read_number(&bed.store->connection, "SELECT count(*) FROM peck_context", &rows), 0);
    ck_assert_int_eq(rows, 3);
}
END_TEST

START_TEST(an_open_peck_comes_back_under_its_context_and_waits_no_longer_than_that_lasts)
{
    struct kept_context issued = author_context(&bed.alice, 40, THINGS_WALL_MS, &bed.arena);
    struct context context = context_of(&issued);
    struct restored restored;

    context.not_after_ms = later.wall_ms + 5;
    receive_under(&context, "one", PECK_PENDING);
    receive_under(NULL, "two", PECK_TAKEN);
    restart(&restored);
    ck_assert_uint_eq(restored.received, 2);
    ck_assert(id_equal(&restored.received_entries[0].context, &context.carrier));
    ck_assert(id_is_zero(&restored.received_entries[1].context));
    ck_assert_int_eq(restored.received_entries[0].place, TRAY_WAITING);
    ck_assert_uint_eq(restored.received_entries[0].expires_ms, context.not_after_ms);
}
END_TEST

START_TEST(a_sent_peck_comes_back_under_its_context_and_keeps_its_time)
{
    struct kept_context issued = author_context(&bed.bob, 40, THINGS_WALL_MS, &bed.arena);
    struct context context = context_of(&issued);
    struct peck_wish wish = {.thread = "one"};
    struct effect under =
        make_peck(&bed.bob, &bed.alice.id, BOX_OUT, PECK_QUEUED, &wish, &bed.arena);
    struct restored restored;

    under.peck.context = &context;
    bed_keep(&bed, &under, 1);
    restart(&restored);
    ck_assert_uint_eq(restored.sent, 1);
    ck_assert(id_equal(&restored.sent_entries[0].context, &context.carrier));
    ck_assert_uint_eq(restored.sent_entries[0].expires_ms, under.peck.expires_ms);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_contexts");
    TCase *cases = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(cases, make, unmake);
    tcase_add_test(cases, a_context_comes_back_with_its_key);
    tcase_add_test(cases, issued_anew_it_keeps_its_place);
    tcase_add_test(cases, a_revoked_one_has_no_key_and_one_that_is_dropped_is_gone);
    tcase_add_test(cases, a_seed_that_does_not_open_stops_the_start);
    tcase_add_test(cases,
                   a_peck_keeps_what_it_was_signed_under_and_its_senders_chain_stays_what_it_was);
    tcase_add_test(cases, many_pecks_under_one_keep_it_once);
    tcase_add_test(cases, a_sent_peck_comes_back_under_its_context_and_keeps_its_time);
    tcase_add_test(cases,
                   an_open_peck_comes_back_under_its_context_and_waits_no_longer_than_that_lasts);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
