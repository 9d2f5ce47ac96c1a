/* Turns that are put on the disk by another thread. */
#include "store_bed.h"
#include "store_internal.h"
#include "syncer.h"

static struct bed bed;

static void make(void)
{
    bed_make(&bed);
}

static void unmake(void)
{
    bed_free(&bed);
}

START_TEST(who_waits_for_messages_hears_that_the_sync_is_done)
{
    struct inbox *inbox = inbox_new();
    struct syncer *syncer = syncer_new(store_sync, bed.store, inbox);
    bool closed;

    ck_assert(syncer_is_done(syncer));
    for (int i = 0; i < 20; i++) {
        bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
        syncer_begin(syncer);
        ck_assert_ptr_null(inbox_take(inbox, MOMENT_NEVER, &closed)); /* until the poke */
        ck_assert(syncer_is_done(syncer));
        ck_assert_int_eq(syncer_wait(syncer), 0);
    }
    syncer_free(syncer);
    inbox_free(inbox);
}
END_TEST

START_TEST(turns_are_kept_while_earlier_ones_are_synced)
{
    struct inbox *inbox = inbox_new();
    struct syncer *syncer = syncer_new(store_sync, bed.store, inbox);

    for (int i = 0; i < 50; i++) {
        syncer_begin(syncer);
        bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
        ck_assert_int_eq(syncer_wait(syncer), 0);
    }
    syncer_begin(syncer);
    syncer_free(syncer); /* waits for what is under way */
    inbox_free(inbox);
}
END_TEST

/* What turns add while it is carried over is little, so the turn that ends it has no long log to read. */
START_TEST(the_log_is_carried_over_while_turns_are_kept)
{
    struct inbox *inbox = inbox_new();
    struct syncer *carrier = syncer_new(store_carry, bed.store, inbox);
    int begun = 0, longest = 0;
    enum peck_state state;
    struct effect last = {0};

    for (int i = 0; i < 2000 && begun < 3; i++) {
        last = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){.payload_size = 64 * KIB});
        if (bed.store->log_pages > longest)
            longest = bed.store->log_pages;
        if (syncer_is_done(carrier) && store_begin_carrying(bed.store)) {
            syncer_begin(carrier);
            begun++;
        }
    }
    ck_assert_int_eq(begun, 3);
    ck_assert_int_eq(syncer_wait(carrier), 0);
    ck_assert_int_lt(longest, STORE_LOG_PAGES_MAX + STORE_CHECKPOINT_PAGES);
    syncer_free(carrier);
    inbox_free(inbox);
    ck_assert(!store_is_io_broken(bed.store));
    bed_close(&bed);
    bed_open(&bed);
    ck_assert(store_knows_peck(bed.store, &last.peck.id, &state));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("syncer");
    TCase *cases = tcase_create("syncer");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(cases, make, unmake);
    tcase_add_test(cases, who_waits_for_messages_hears_that_the_sync_is_done);
    tcase_add_test(cases, turns_are_kept_while_earlier_ones_are_synced);
    tcase_add_test(cases, the_log_is_carried_over_while_turns_are_kept);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
