/* Turns that are put on the disk by another thread. */
#include "store_bed.h"
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
    struct syncer *syncer = syncer_new(bed.store, inbox);
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
    struct syncer *syncer = syncer_new(bed.store, inbox);

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

int main(void)
{
    Suite *suite = suite_create("syncer");
    TCase *cases = tcase_create("syncer");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(cases, make, unmake);
    tcase_add_test(cases, who_waits_for_messages_hears_that_the_sync_is_done);
    tcase_add_test(cases, turns_are_kept_while_earlier_ones_are_synced);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
