/* Wires that share a row come back byte for byte, whatever is kept together. */
#include "store_bed.h"

#include "core/dice.h"
#include "fault.h"
#include "store_internal.h"

#define WIRES_MAX 80

static struct bed bed;
static struct wires wires;
static struct arena arena;
static struct peck pecks[WIRES_MAX];
static struct effect kept[WIRES_MAX], receipts[WIRES_MAX];

static void make(void)
{
    bed_make(&bed);
    wires_clear(&wires);
    arena_init(&arena, 4 * MIB);
}

static void unmake(void)
{
    arena_free(&arena);
    bed_free(&bed);
}

/* ---- a row ---- */

/* Wires that have much, little or nothing of the one before, at either end. */
static struct bytes draw_wire(struct dice *dice, struct bytes before)
{
    size_t size = dice_below(dice, 3) ? before.size + dice_below(dice, 3)
                                      : dice_below(dice, STORE_WIRE_SHARED_MAX + 1);
    uint8_t *data;

    size = size > STORE_WIRE_SHARED_MAX ? STORE_WIRE_SHARED_MAX : size;
    data = arena_take(&arena, size + 1);
    ck_assert_ptr_nonnull(data);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)dice_below(dice, 256);
    for (size_t run = dice_below(dice, 6); run > 0 && before.size > 0 && size > 0; run--) {
        size_t shared = size < before.size ? size : before.size;
        size_t from = dice_below(dice, shared), count = 1 + dice_below(dice, shared - from);

        if (dice_below(dice, 2))
            memcpy(data + from, before.data + from, count);
        else
            memcpy(data + size - shared + from, before.data + before.size - shared + from, count);
    }
    return bytes_of(data, size);
}

static void expect_wires(const struct bytes *drawn, size_t count)
{
    struct bytes wire;

    for (size_t i = 0; i < count; i++) {
        ck_assert(wires_read(bytes_of(wires.row, wires.size), i, &arena, &wire));
        ck_assert(bytes_equal(wire, drawn[i]));
    }
    ck_assert(!wires_read(bytes_of(wires.row, wires.size), count, &arena, &wire));
}

START_TEST(wires_are_put_together_again_byte_for_byte)
{
    struct bytes drawn[STORE_WIRES_IN_ROW_MAX];
    struct dice dice;

    dice_init_number(&dice, 1);
    for (int round = 0; round < 300; round++) {
        struct bytes wire = bytes_of(NULL, 0);

        arena_reset(&arena);
        wires_clear(&wires);
        for (wire = draw_wire(&dice, wire); wires_have_room(&wires, wire);
             wire = draw_wire(&dice, wire)) {
            drawn[wires.count] = wire;
            wires_add(&wires, wire);
        }
        ck_assert_uint_le(wires.size, sizeof wires.row);
        ck_assert_uint_gt(wires.count, 0);
        expect_wires(drawn, wires.count);
    }
}
END_TEST

START_TEST(a_row_takes_32_wires_and_none_of_over_4096_bytes)
{
    static const uint8_t zeros[STORE_WIRE_SHARED_MAX + 1];

    ck_assert(wires_have_room(&wires, bytes_of(zeros, STORE_WIRE_SHARED_MAX)));
    ck_assert(!wires_have_room(&wires, bytes_of(zeros, STORE_WIRE_SHARED_MAX + 1)));
    for (size_t i = 0; i < STORE_WIRES_IN_ROW_MAX; i++) {
        ck_assert(wires_have_room(&wires, bytes_of(zeros, 1)));
        wires_add(&wires, bytes_of(zeros, 1));
    }
    ck_assert(!wires_have_room(&wires, bytes_of(zeros, 1)));
}
END_TEST

START_TEST(members_of_one_batch_take_less_than_half_of_their_bytes)
{
    static struct bytes made[BATCH_ITEMS_MAX];
    static struct peck batch[BATCH_ITEMS_MAX];
    struct peck_wish wish = {.payload_size = 10};
    size_t bytes = 0;

    make_pecks(&bed.alice, &bed.bob.id, &wish, BATCH_ITEMS_MAX, &bed.arena, batch, made);
    for (size_t i = 0; i < STORE_WIRES_IN_ROW_MAX; i++) {
        bytes += made[i].size;
        wires_add(&wires, made[i]);
    }
    expect_wires(made, STORE_WIRES_IN_ROW_MAX);
    ck_assert_uint_lt(wires.size, bytes / 2);
}
END_TEST

/* Each cut, and each byte turned: either refused or other bytes, and nothing beyond them is read. */
START_TEST(a_row_that_is_not_whole_is_no_wire_or_another_one)
{
    uint8_t row[sizeof wires.row];
    struct dice dice;
    struct bytes wire = bytes_of(NULL, 0), read;
    size_t refused = 0;

    dice_init_number(&dice, 2);
    for (int i = 0; i < 3; i++) {
        do
            wire = draw_wire(&dice, wire);
        while (wire.size > 300);
        wires_add(&wires, wire);
    }
    for (size_t size = 0; size < wires.size; size++) {
        uint8_t *cut = memory_take(size + 1);

        memcpy(cut, wires.row, size);
        ck_assert(!wires_read(bytes_of(cut, size), 2, &arena, &read));
        memory_give_back(cut);
    }
    for (size_t at = 0; at < wires.size; at++)
        for (int bit = 0; bit < 8; bit++) {
            arena_reset(&arena);
            memcpy(row, wires.row, wires.size);
            row[at] ^= (uint8_t)(1 << bit);
            refused += !wires_read(bytes_of(row, wires.size), 2, &arena, &read);
        }
    ck_assert_uint_gt(refused, 0);
}
END_TEST

/* ---- in the store ---- */

static void make_turn(enum box box, size_t count, size_t payload_size)
{
    struct peck_wish wish = {.payload_size = payload_size};
    struct bytes made[BATCH_ITEMS_MAX];
    const struct author *from = box == BOX_IN ? &bed.alice : &bed.bob;
    const struct author *to = box == BOX_IN ? &bed.bob : &bed.alice;

    make_pecks(from, &to->id, &wish, count, &bed.arena, pecks, made);
    for (size_t i = 0; i < count; i++)
        kept[i] = keep_peck_effect(box, PECK_TAKEN, &pecks[i], made[i], from->chain);
    make_receipts(&bed.node, pecks, count, box, RECEIPT_TAKEN, PECK_TAKEN, &bed.arena, receipts);
}

static void expect_peck(const struct effect *peck, const struct effect *receipt)
{
    struct bytes wire, chain, said[2], chains[2];
    size_t count;

    arena_reset(&arena);
    ck_assert_int_eq(
        store_read_peck(bed.store, peck->peck.box, &peck->peck.id, &arena, &wire, &chain), 0);
    ck_assert(bytes_equal(wire, peck->peck.wire));
    ck_assert(bytes_equal(chain, peck->peck.chain));
    ck_assert_int_eq(store_read_receipts(bed.store, peck->peck.box, &peck->peck.id, &arena, said,
                                         chains, &count),
                     0);
    ck_assert_uint_eq(count, receipt != NULL);
    ck_assert(!receipt || bytes_equal(said[0], receipt->receipt.wire));
}

static void expect_views(size_t count)
{
    static const struct id anyone;
    struct store_reader *reader;
    struct stored_peck view;

    ck_assert_int_eq(store_reader_open(&reader, bed.path), 0);
    for (size_t i = 0; i < count; i++) {
        arena_reset(&arena);
        ck_assert(store_view_peck(reader, &kept[i].peck.id, 0, &anyone, &arena, &view));
        ck_assert(bytes_equal(view.wire, kept[i].peck.wire));
        ck_assert_uint_eq(view.receipt_count, 1);
        ck_assert(bytes_equal(view.receipts[0].wire, receipts[i].receipt.wire));
    }
    store_reader_close(reader);
}

START_TEST(turns_of_any_size_are_read_as_they_came)
{
    static const size_t sizes[] = {1, 2, 31, 32, 33, WIRES_MAX};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t count = sizes[i];

        make_turn(i % 2 ? BOX_OUT : BOX_IN, count, 10);
        bed_keep(&bed, kept, count);
        bed_keep(&bed, receipts, count);
        for (size_t j = 0; j < count; j++)
            expect_peck(&kept[j], &receipts[j]);
        bed_close(&bed);
        bed_open(&bed);
        expect_peck(&kept[count - 1], &receipts[count - 1]);
        expect_views(count);
    }
}
END_TEST

START_TEST(large_wires_among_small_ones_have_rows_of_their_own)
{
    for (size_t i = 0; i < WIRES_MAX; i += 8) {
        make_turn(BOX_IN, 8, i % 3 ? 10 : 6000);
        bed_keep(&bed, kept, 8);
        bed_keep(&bed, receipts, 8);
        for (size_t j = 0; j < 8; j++)
            expect_peck(&kept[j], &receipts[j]);
    }
}
END_TEST

START_TEST(what_the_open_turn_has_kept_is_read_at_once)
{
    make_turn(BOX_IN, 10, 10);
    ck_assert_int_eq(store_begin(bed.store), 0);
    for (size_t i = 0; i < 10; i++) {
        ck_assert_int_eq(store_keep(bed.store, &kept[i]), 0);
        if (i % 3 == 2)
            expect_peck(&kept[i - 1], NULL);
    }
    for (size_t i = 0; i < 10; i++) {
        ck_assert_int_eq(store_keep(bed.store, &receipts[i]), 0);
        if (i % 3 == 2)
            expect_peck(&kept[i - 1], &receipts[i - 1]);
    }
    ck_assert_int_eq(store_commit(bed.store), 0);
    for (size_t i = 0; i < 10; i++)
        expect_peck(&kept[i], &receipts[i]);
}
END_TEST

START_TEST(a_turn_that_is_taken_back_leaves_nothing_to_the_next)
{
    struct effect gone[3];

    make_turn(BOX_IN, 3, 10);
    memcpy(gone, kept, sizeof gone);
    ck_assert_int_eq(store_begin(bed.store), 0);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(store_keep(bed.store, &kept[i]), 0);
        ck_assert_int_eq(store_keep(bed.store, &receipts[i]), 0);
    }
    store_roll_back(bed.store);
    make_turn(BOX_IN, 2, 10);
    bed_keep(&bed, kept, 2);
    bed_keep(&bed, receipts, 2);
    for (size_t i = 0; i < 2; i++)
        expect_peck(&kept[i], &receipts[i]);
    for (size_t i = 0; i < 3; i++) {
        enum peck_state state;

        ck_assert(!store_knows_peck(bed.store, &gone[i].peck.id, &state));
    }
}
END_TEST

START_TEST(a_receipt_that_replaces_another_leaves_its_neighbours_alone)
{
    struct effect again;

    make_turn(BOX_OUT, 4, 10);
    bed_keep(&bed, kept, 4);
    bed_keep(&bed, receipts, 4);
    again = make_receipt(&bed.node, &kept[1], RECEIPT_TAKEN, PECK_APPROVED, &bed.arena);
    bed_keep(&bed, &again, 1);
    receipts[1] = again;
    for (size_t i = 0; i < 4; i++)
        expect_peck(&kept[i], &receipts[i]);
}
END_TEST

START_TEST(a_turned_byte_of_a_row_is_not_shown)
{
    struct bytes wire, chain;

    make_turn(BOX_IN, 3, 10);
    bed_keep(&bed, kept, 3);
    ck_assert_int_eq(store_execute(&bed.store->connection, "UPDATE peck_wire SET wire = x'ffffff'"),
                     0);
    ck_assert_int_eq(store_read_peck(bed.store, BOX_IN, &kept[1].peck.id, &arena, &wire, &chain),
                     0);
    ck_assert_uint_eq(wire.size, 0);
}
END_TEST

/* As a release before version 15 left it. */
START_TEST(what_an_earlier_release_kept_is_read_and_added_to)
{
    static const char back[] =
        "ALTER TABLE peck_wire DROP COLUMN count; DROP TABLE receipt_wires;"
        "ALTER TABLE taken_receipt DROP COLUMN wires; ALTER TABLE taken_receipt DROP COLUMN place;"
        "ALTER TABLE done_receipt DROP COLUMN wires; ALTER TABLE done_receipt DROP COLUMN place;"
        "PRAGMA user_version = 14";
    struct effect first, said;
    sqlite3 *database;

    make_turn(BOX_IN, 1, 10);
    bed_keep(&bed, kept, 1);
    bed_keep(&bed, receipts, 1);
    first = kept[0];
    said = receipts[0];
    bed_close(&bed);
    ck_assert_int_eq(sqlite3_open(bed.path, &database), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(database, back, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(database), SQLITE_OK);

    bed_open(&bed);
    expect_peck(&first, &said);
    make_turn(BOX_IN, 5, 10);
    bed_keep(&bed, kept, 5);
    bed_keep(&bed, receipts, 5);
    expect_peck(&first, &said);
    expect_views(5);
}
END_TEST

static int64_t count_rows(const char *sql)
{
    int64_t count = -1;

    ck_assert_int_eq(store_read_number(&bed.store->connection, sql, &count), 0);
    return count;
}

/* What was received and is open goes; its neighbours stay. */
START_TEST(a_restore_drops_rows_of_which_nothing_is_left)
{
    struct store_settings settings = {.path = bed.path,
                                      .storage_key = bed.storage_key,
                                      .node = bed.node.id,
                                      .restored_ms = THINGS_WALL_MS + HOUR_MS};
    struct effect answered, said;

    make_turn(BOX_IN, 3, 10); /* one of these is answered */
    bed_keep(&bed, kept, 3);
    bed_keep(&bed, receipts, 3);
    bed_move(&bed, &kept[1], PECK_ANSWERED, TRAY_WITH_AGENT);
    answered = kept[1];
    said = receipts[1];
    make_turn(BOX_IN, 3, 10); /* and none of these */
    bed_keep(&bed, kept, 3);
    bed_keep(&bed, receipts, 3);
    ck_assert_int_eq(count_rows("SELECT count(*) FROM peck_wire"), 2);
    bed_close(&bed);

    ck_assert_int_eq(store_open(&bed.store, &settings), 0);
    expect_peck(&answered, &said);
    ck_assert_int_eq(count_rows("SELECT count(*) FROM peck"), 1);
    ck_assert_int_eq(count_rows("SELECT count(*) FROM peck_wire"), 1);
    ck_assert_int_eq(count_rows("SELECT count(*) FROM receipt_wires"), 1);
    make_turn(BOX_IN, 2, 10);
    bed_keep(&bed, kept, 2);
    bed_keep(&bed, receipts, 2);
    for (size_t i = 0; i < 2; i++)
        expect_peck(&kept[i], &receipts[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_wires");
    TCase *cases = tcase_create("wires");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(cases, make, unmake);
    tcase_add_test(cases, wires_are_put_together_again_byte_for_byte);
    tcase_add_test(cases, a_row_takes_32_wires_and_none_of_over_4096_bytes);
    tcase_add_test(cases, members_of_one_batch_take_less_than_half_of_their_bytes);
    tcase_add_test(cases, a_row_that_is_not_whole_is_no_wire_or_another_one);
    tcase_add_test(cases, turns_of_any_size_are_read_as_they_came);
    tcase_add_test(cases, large_wires_among_small_ones_have_rows_of_their_own);
    tcase_add_test(cases, what_the_open_turn_has_kept_is_read_at_once);
    tcase_add_test(cases, a_turn_that_is_taken_back_leaves_nothing_to_the_next);
    tcase_add_test(cases, a_receipt_that_replaces_another_leaves_its_neighbours_alone);
    tcase_add_test(cases, a_turned_byte_of_a_row_is_not_shown);
    tcase_add_test(cases, what_an_earlier_release_kept_is_read_and_added_to);
    tcase_add_test(cases, a_restore_drops_rows_of_which_nothing_is_left);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
