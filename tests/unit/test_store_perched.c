/* Perches on disk: pre-keys, what is held for others, and where our pecks are held. */
#include "store_bed.h"
#include "store_internal.h"

#include <sodium.h>

static struct bed bed;
static const struct moment later = {.now_ms = 5000, .wall_ms = THINGS_WALL_MS + MINUTE_MS};

static void setup(void)
{
    bed_make(&bed);
}

static void teardown(void)
{
    bed_free(&bed);
}

/* ---- what comes back ---- */

struct back {
    size_t pre_keys, perched, deposits, sent;
    uint8_t secret[NOISE_KEY_SIZE];
    uint64_t made_ms;
    struct perch_entry entry; /* the last */
    struct id peck, perch, conversation;
};

static void take(void *context, const struct event *event)
{
    struct back *back = context;

    if (event->kind == EVENT_RESTORED_PRE_KEY) {
        back->pre_keys++;
        memcpy(back->secret, event->pre_key.secret, sizeof back->secret);
        back->made_ms = event->pre_key.made_ms;
    } else if (event->kind == EVENT_RESTORED_PERCHED) {
        back->perched++;
        back->entry = event->perched;
    } else if (event->kind == EVENT_RESTORED_DEPOSIT) {
        ck_assert_uint_eq(back->sent, 1); /* after its peck */
        back->deposits++;
        back->peck = event->kept_deposit.peck;
        back->perch = event->kept_deposit.perch;
    } else if (event->kind == EVENT_RESTORED_SENT) {
        back->sent++;
        back->conversation = event->sent.conversation;
    }
}

static struct back restore(void)
{
    struct metrics_content counters;
    struct version floor;
    struct back back = {0};

    ck_assert_int_eq(store_restore(bed.store, &later, take, &back, &counters, &floor), 0);
    return back;
}

static struct effect pre_key(uint8_t number)
{
    struct effect effect = {.kind = EFFECT_KEEP_PRE_KEY};

    memset(effect.pre_key.secret, number, NOISE_KEY_SIZE);
    crypto_scalarmult_base(effect.pre_key.public, effect.pre_key.secret);
    effect.pre_key.made_ms = THINGS_WALL_MS + number;
    return effect;
}

static bool file_holds(struct bytes needle)
{
    FILE *file = fopen(bed.path, "rb");
    static uint8_t data[8 * MIB];
    size_t size;

    ck_assert_ptr_nonnull(file);
    size = fread(data, 1, sizeof data, file);
    fclose(file);
    for (size_t i = 0; i + needle.size <= size; i++)
        if (memcmp(data + i, needle.data, needle.size) == 0)
            return true;
    return false;
}

START_TEST(a_pre_key_comes_back_and_lies_sealed_on_the_disk)
{
    struct effect keep = pre_key(7);
    struct back back;

    bed_keep(&bed, &keep, 1);
    bed_close(&bed);
    ck_assert(file_holds(bytes_of(keep.pre_key.public, NOISE_KEY_SIZE)));
    ck_assert(!file_holds(bytes_of(keep.pre_key.secret, NOISE_KEY_SIZE)));
    bed_open(&bed);
    back = restore();
    ck_assert_uint_eq(back.pre_keys, 1);
    ck_assert_mem_eq(back.secret, keep.pre_key.secret, NOISE_KEY_SIZE);
    ck_assert_uint_eq(back.made_ms, keep.pre_key.made_ms);
}
END_TEST

START_TEST(a_pre_key_that_is_dropped_leaves_not_even_its_sealed_bytes)
{
    struct effect keep = pre_key(7), other = pre_key(8), drop = keep;
    uint8_t sealed[SEALED_SEED_SIZE];
    sqlite3_stmt *statement;

    bed_keep(&bed, &keep, 1);
    bed_keep(&bed, &other, 1);
    ck_assert_int_eq(sqlite3_prepare_v2(bed.store->connection.database,
                                        "SELECT secret FROM pre_key WHERE public = ?1", -1,
                                        &statement, NULL),
                     SQLITE_OK);
    store_bind_bytes(statement, 1, bytes_of(keep.pre_key.public, NOISE_KEY_SIZE));
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    ck_assert_int_eq(sqlite3_column_bytes(statement, 0), SEALED_SEED_SIZE);
    memcpy(sealed, sqlite3_column_blob(statement, 0), sizeof sealed);
    sqlite3_finalize(statement);
    bed_close(&bed);
    ck_assert(file_holds(bytes_of(sealed, sizeof sealed)));

    bed_open(&bed);
    drop.kind = EFFECT_DROP_PRE_KEY;
    bed_keep(&bed, &drop, 1);
    bed_close(&bed); /* the log is folded into the file */
    ck_assert(!file_holds(bytes_of(sealed, sizeof sealed)));
    bed_open(&bed);
    ck_assert_uint_eq(restore().pre_keys, 1);
}
END_TEST

START_TEST(a_pre_key_of_another_place_is_not_opened)
{
    struct effect keep = pre_key(7);

    bed_keep(&bed, &keep, 1);
    ck_assert_int_eq(
        store_execute(&bed.store->connection, "UPDATE pre_key SET public = randomblob(32)"), 0);
    ck_assert_uint_eq(restore().pre_keys, 0);
}
END_TEST

static struct effect perched(uint64_t number, const char *sealed)
{
    struct effect effect = {.kind = EFFECT_KEEP_PERCHED};

    effect.perched.entry = (struct perch_entry){.name = {{(uint8_t)number}},
                                                .owner = bed.alice.id,
                                                .from = bed.bob.id,
                                                .number = number,
                                                .not_after_ms = THINGS_WALL_MS + DAY_MS,
                                                .size = strlen(sealed)};
    effect.perched.sealed = bytes_of_text(sealed);
    return effect;
}

START_TEST(what_is_held_for_others_comes_back_and_goes)
{
    struct effect effects[2] = {perched(4, "first"), perched(9, "second")};
    struct effect drop = {.kind = EFFECT_DROP_PERCHED};
    struct bytes sealed;
    struct back back;

    bed_keep(&bed, effects, 2);
    bed_close(&bed);
    bed_open(&bed);
    back = restore();
    ck_assert_uint_eq(back.perched, 2);
    ck_assert_mem_eq(&back.entry, &effects[1].perched.entry, sizeof back.entry);
    ck_assert_int_eq(store_read_perched(bed.store, 4, &bed.arena, &sealed), 0);
    ck_assert(bytes_equal(sealed, bytes_of_text("first")));
    drop.perched.entry.number = 4;
    bed_keep(&bed, &drop, 1);
    ck_assert_int_eq(store_read_perched(bed.store, 4, &bed.arena, &sealed), 0);
    ck_assert_uint_eq(sealed.size, 0);
    ck_assert_uint_eq(restore().perched, 1);
}
END_TEST

START_TEST(where_a_peck_is_held_is_shown_until_it_is_taken)
{
    struct peck_wish wish = {0};
    struct effect sent = bed_send(&bed, PECK_SENT, &wish);
    struct effect deposit = {.kind = EFFECT_KEEP_DEPOSIT}, taken;
    static const struct id nobody;
    struct store_reader *reader;
    struct stored_peck view;
    struct back back;

    deposit.kept_deposit.peck = sent.peck.id;
    deposit.kept_deposit.perch = bed.node.id;
    deposit.kept_deposit.at_ms = THINGS_WALL_MS;
    bed_keep(&bed, &deposit, 1);
    bed_keep(&bed, &deposit, 1);
    back = restore();
    ck_assert_uint_eq(back.deposits, 1);
    ck_assert(id_equal(&back.peck, &sent.peck.id));
    ck_assert(id_equal(&back.perch, &bed.node.id));
    ck_assert_int_eq(store_reader_open(&reader, bed.path), 0);
    ck_assert(store_view_peck(reader, &sent.peck.id, BOX_OUT, &nobody, &bed.arena, &view));
    ck_assert_uint_eq(view.held_count, 1);
    ck_assert(id_equal(&view.held_by[0], &bed.node.id));

    taken = make_state(BOX_OUT, &sent.peck.id, PECK_TAKEN, TRAY_READY);
    bed_keep(&bed, &taken, 1);
    ck_assert(store_view_peck(reader, &sent.peck.id, BOX_OUT, &nobody, &bed.arena, &view));
    ck_assert_uint_eq(view.held_count, 0);
    store_reader_close(reader);
}
END_TEST

START_TEST(a_deposit_of_a_peck_that_is_not_held_is_nothing)
{
    struct effect deposit = {.kind = EFFECT_KEEP_DEPOSIT};

    deposit.kept_deposit.peck = bed.bob.id;
    bed_keep(&bed, &deposit, 1);
    ck_assert_uint_eq(restore().deposits, 0);
}
END_TEST

START_TEST(a_sent_peck_comes_back_with_its_conversation)
{
    struct effect sent = bed_send(&bed, PECK_SENT, &(struct peck_wish){.thread = "talk"});
    struct id conversation =
        outbox_conversation(&sent.peck.from, &sent.peck.to, bytes_of_text("talk"));

    struct back back;

    ck_assert(!id_is_zero(&conversation));
    back = restore();
    ck_assert(id_equal(&back.conversation, &conversation));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_perched");
    TCase *tests = tcase_create("store_perched");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_pre_key_comes_back_and_lies_sealed_on_the_disk);
    tcase_add_test(tests, a_pre_key_that_is_dropped_leaves_not_even_its_sealed_bytes);
    tcase_add_test(tests, a_pre_key_of_another_place_is_not_opened);
    tcase_add_test(tests, what_is_held_for_others_comes_back_and_goes);
    tcase_add_test(tests, where_a_peck_is_held_is_shown_until_it_is_taken);
    tcase_add_test(tests, a_deposit_of_a_peck_that_is_not_held_is_nothing);
    tcase_add_test(tests, a_sent_peck_comes_back_with_its_conversation);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
