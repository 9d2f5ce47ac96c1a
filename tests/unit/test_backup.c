/* The sealed file: what goes in comes out, and what was cut, turned or made by somebody else does not. */
#include "backup.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_MAX (1024 * 1024)
#define CHECKSUM_SIZE 32
#define OPS_AT 8
#define MEMORY_AT 16
#define CHUNKS_AT 64

static const struct {
    const char *name;
    size_t size;
} files[] = {{"empty", 0}, {"one", 1}, {"chunk", 64 * 1024}, {"large", 200 * 1000}};
#define FILES (sizeof files / sizeof *files)

static uint8_t *contents, *whole;
static size_t whole_size;
static const struct bytes passphrase = {(const uint8_t *)"words", 5};

/* What a taker was told. */
static struct told {
    size_t begun, ended, at;
    bool is_same;
    int refuse_at; /* the file at which it says no; -1: at none */
} told;

static int begin_file(void *context, const char *name, uint64_t size)
{
    (void)context;
    if ((int)told.begun == told.refuse_at)
        return FAULT_DISK_FULL;
    ck_assert_uint_lt(told.begun, FILES);
    told.is_same &= strcmp(name, files[told.begun].name) == 0 && size == files[told.begun].size;
    told.begun++;
    told.at = 0;
    return 0;
}

static int put_bytes(void *context, struct bytes bytes)
{
    (void)context;
    told.is_same &= memcmp(contents + told.at, bytes.data, bytes.size) == 0;
    told.at += bytes.size;
    return 0;
}

static int end_file(void *context)
{
    (void)context;
    told.is_same &= told.at == files[told.ended++].size;
    return 0;
}

static int file_of(const uint8_t *bytes, size_t size)
{
    int file = memfd_create("backup", MFD_CLOEXEC);

    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(write(file, bytes, size), (ssize_t)size);
    ck_assert_int_eq(lseek(file, 0, SEEK_SET), 0);
    return file;
}

static enum backup_verdict read_with(const uint8_t *bytes, size_t size, struct bytes words,
                                     int *fault)
{
    const struct backup_taker taker = {begin_file, put_bytes, end_file, NULL};
    int file = file_of(bytes, size);
    enum backup_verdict verdict;
    int refuse_at = told.refuse_at;

    told = (struct told){.is_same = true, .refuse_at = refuse_at};
    verdict = backup_read(file, words, &taker, fault);
    close(file);
    return verdict;
}

static enum backup_verdict judge(const uint8_t *bytes, size_t size)
{
    enum backup_verdict verdict;
    int fault;

    verdict = read_with(bytes, size, passphrase, &fault);
    ck_assert_int_eq(fault, 0);
    return verdict;
}

/* Whoever turns bytes can make the checksum anew. */
static void sum_anew(uint8_t *bytes)
{
    crypto_generichash(bytes + whole_size - CHECKSUM_SIZE, CHECKSUM_SIZE, bytes,
                       whole_size - CHECKSUM_SIZE, NULL, 0);
}

static void set_up(void)
{
    struct backup_writer *writer;
    int file = memfd_create("backup", MFD_CLOEXEC), large;

    ck_assert_int_ge(sodium_init(), 0);
    contents = malloc(FILE_MAX);
    whole = malloc(FILE_MAX);
    for (size_t i = 0; i < FILE_MAX; i++)
        contents[i] = (uint8_t)(i * 7 + i / 251);
    ck_assert_int_eq(backup_writer_open(&writer, file, passphrase), 0);
    for (size_t i = 0; i + 1 < FILES; i++)
        ck_assert_int_eq(backup_write(writer, files[i].name, bytes_of(contents, files[i].size)), 0);
    large = file_of(contents, files[FILES - 1].size);
    ck_assert_int_eq(backup_write_file(writer, files[FILES - 1].name, large, files[FILES - 1].size),
                     0);
    close(large);
    ck_assert_int_eq(backup_finish(writer), 0);
    backup_writer_close(writer);
    whole_size = (size_t)pread(file, whole, FILE_MAX, 0);
    ck_assert_uint_gt(whole_size, 200 * 1000);
    ck_assert_uint_lt(whole_size, FILE_MAX);
    close(file);
    told.refuse_at = -1;
}

static void tear_down(void)
{
    free(contents);
    free(whole);
}

START_TEST(what_goes_in_comes_out_in_its_order)
{
    ck_assert_int_eq(judge(whole, whole_size), BACKUP_TAKEN);
    ck_assert_uint_eq(told.begun, FILES);
    ck_assert_uint_eq(told.ended, FILES);
    ck_assert(told.is_same);
}
END_TEST

START_TEST(what_is_in_it_does_not_show)
{
    for (size_t i = 0; i + 16 <= whole_size; i++)
        ck_assert_int_ne(memcmp(whole + i, contents + 1000, 16), 0);
}
END_TEST

START_TEST(what_was_cut_off_or_is_longer_is_damaged_and_nobody_is_told)
{
    for (size_t size = 8; size < whole_size; size += size < 200 ? 1 : 4099) {
        ck_assert_int_eq(judge(whole, size), BACKUP_DAMAGED);
        ck_assert_uint_eq(told.begun, 0);
    }
    ck_assert_int_eq(judge(whole, whole_size - 1), BACKUP_DAMAGED);
    ck_assert_int_eq(judge(whole, whole_size + 1), BACKUP_DAMAGED);
    for (size_t size = 0; size < 8; size++)
        ck_assert_int_eq(judge(whole, size), BACKUP_NONE);
}
END_TEST

START_TEST(a_turned_bit_is_seen_before_anything_is_told)
{
    for (size_t at = OPS_AT; at < whole_size; at += at < 100 ? 1 : 4099) {
        whole[at] ^= 1;
        ck_assert_int_ne(judge(whole, whole_size), BACKUP_TAKEN);
        ck_assert_uint_eq(told.begun, 0);
        whole[at] ^= 1;
    }
    ck_assert_int_eq(judge(whole, whole_size), BACKUP_TAKEN);
}
END_TEST

START_TEST(a_turned_bit_with_its_checksum_made_anew_is_no_backup_of_this_passphrase)
{
    size_t places[] = {24, CHUNKS_AT, CHUNKS_AT + 64 * 1024 + 17};

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        enum backup_verdict verdict;

        whole[places[i]] ^= 1;
        sum_anew(whole);
        verdict = judge(whole, whole_size);
        ck_assert(verdict == BACKUP_PASSPHRASE || verdict == BACKUP_DAMAGED);
        ck_assert_uint_lt(told.ended, FILES);
        whole[places[i]] ^= 1;
    }
}
END_TEST

START_TEST(another_passphrase_opens_nothing)
{
    int fault;

    ck_assert_int_eq(read_with(whole, whole_size, bytes_of_text("Words"), &fault),
                     BACKUP_PASSPHRASE);
    ck_assert_int_eq(fault, 0);
    ck_assert_uint_eq(told.begun, 0);
}
END_TEST

START_TEST(one_that_asks_for_more_work_or_memory_than_any_is_refused_unread)
{
    whole[OPS_AT] = 17;
    sum_anew(whole);
    ck_assert_int_eq(judge(whole, whole_size), BACKUP_GREEDY);
    whole[OPS_AT] = 0;
    sum_anew(whole);
    ck_assert_int_eq(judge(whole, whole_size), BACKUP_GREEDY);
    whole[OPS_AT] = 1;
    whole[MEMORY_AT + 4] = 1; /* 4 GiB */
    sum_anew(whole);
    ck_assert_int_eq(judge(whole, whole_size), BACKUP_GREEDY);
}
END_TEST

START_TEST(another_form_and_another_file_are_told_apart)
{
    whole[7] = '2';
    ck_assert_int_eq(judge(whole, whole_size), BACKUP_NEWER);
    whole[0] = 'd';
    ck_assert_int_eq(judge(whole, whole_size), BACKUP_NONE);
}
END_TEST

START_TEST(a_taker_that_says_no_ends_it_with_its_own_fault)
{
    int fault;

    told.refuse_at = 2;
    read_with(whole, whole_size, passphrase, &fault);
    ck_assert_int_eq(fault, FAULT_DISK_FULL);
    ck_assert_uint_eq(told.ended, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backup");
    TCase *tests = tcase_create("backup");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 120);
    tcase_add_unchecked_fixture(tests, set_up, tear_down); /* to stretch a passphrase is dear */
    tcase_add_test(tests, what_goes_in_comes_out_in_its_order);
    tcase_add_test(tests, what_is_in_it_does_not_show);
    tcase_add_test(tests, what_was_cut_off_or_is_longer_is_damaged_and_nobody_is_told);
    tcase_add_test(tests, a_turned_bit_is_seen_before_anything_is_told);
    tcase_add_test(tests, a_turned_bit_with_its_checksum_made_anew_is_no_backup_of_this_passphrase);
    tcase_add_test(tests, another_passphrase_opens_nothing);
    tcase_add_test(tests, one_that_asks_for_more_work_or_memory_than_any_is_refused_unread);
    tcase_add_test(tests, another_form_and_another_file_are_told_apart);
    tcase_add_test(tests, a_taker_that_says_no_ends_it_with_its_own_fault);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
