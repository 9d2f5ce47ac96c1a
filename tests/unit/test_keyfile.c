/* The secrets at rest: who may read them, and what is refused. */
#include "keyfile.h"

#include "store_things.h"

#include <check.h>
#include <fcntl.h>
#include <sys/stat.h>

static char directory[64], key_path[96], next_path[96];
static struct keyfile *keyfile, *opened;
static uint8_t next_seed[SEED_SIZE];
static const struct bytes none, chain = {(const uint8_t *)"a chain", 7};

static void make(void)
{
    ck_assert(identity_self_test());
    strcpy(directory, "/tmp/duck-keyfile.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(key_path, sizeof key_path, "%s/node.key", directory);
    snprintf(next_path, sizeof next_path, "%s/node.next.key", directory);
    keyfile = keyfile_new();
    opened = keyfile_new();
    randombytes_buf(keyfile, sizeof *keyfile);
    randombytes_buf(next_seed, sizeof next_seed);
}

static void unmake(void)
{
    keyfile_free(keyfile);
    keyfile_free(opened);
    remove_directory(directory);
}

static void create(const char *passphrase)
{
    ck_assert_int_eq(keyfile_create(KEYFILE_NODE, directory, keyfile, next_seed,
                                    bytes_of_text(passphrase), chain),
                     0);
}

static void expect(int fault)
{
    uint8_t before[sizeof *opened];

    memcpy(before, opened, sizeof before);
    ck_assert_int_eq(keyfile_open(KEYFILE_NODE, directory, none, opened), fault);
    if (fault)
        ck_assert_mem_eq(before, opened, sizeof before);
}

/* Reads the file, gives it to `change`, writes it back in place. */
static void rewrite(const char *path, size_t (*change)(uint8_t *bytes, size_t size))
{
    uint8_t bytes[512];
    FILE *file = fopen(path, "rb");
    size_t size = fread(bytes, 1, sizeof bytes / 2, file);

    fclose(file);
    size = change(bytes, size);
    file = fopen(path, "wb");
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

START_TEST(without_a_passphrase_the_file_is_the_secret)
{
    uint8_t next[SEED_SIZE];

    create("");
    ck_assert(!keyfile_is_sealed(KEYFILE_NODE, directory));
    expect(0);
    ck_assert_mem_eq(keyfile, opened, sizeof *keyfile);
    ck_assert_int_eq(keyfile_open_next(KEYFILE_NODE, directory, none, next), 0);
    ck_assert_mem_eq(next, next_seed, SEED_SIZE);
}
END_TEST

START_TEST(a_passphrase_seals_both_files)
{
    uint8_t bytes[512], next[SEED_SIZE];
    FILE *file;
    size_t size;

    create("correct horse");
    ck_assert(keyfile_is_sealed(KEYFILE_NODE, directory));
    ck_assert_int_eq(keyfile_open(KEYFILE_NODE, directory, bytes_of_text("correct horse"), opened),
                     0);
    ck_assert_mem_eq(keyfile, opened, sizeof *keyfile);
    ck_assert_int_eq(
        keyfile_open_next(KEYFILE_NODE, directory, bytes_of_text("correct horse"), next), 0);
    ck_assert_mem_eq(next, next_seed, SEED_SIZE);
    file = fopen(key_path, "rb");
    size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    ck_assert_ptr_null(memmem(bytes, size, keyfile->seed, SEED_SIZE));
    ck_assert_ptr_null(memmem(bytes, size, keyfile->storage_key, STORAGE_KEY_SIZE));
}
END_TEST

START_TEST(a_wrong_or_missing_passphrase_opens_nothing)
{
    create("correct horse");
    expect(FAULT_PASSPHRASE);
    ck_assert_int_eq(keyfile_open(KEYFILE_NODE, directory, bytes_of_text("correct mule"), opened),
                     FAULT_PASSPHRASE);
    ck_assert_int_eq(opened->seed[0] | opened->seed[1] | opened->seed[2], 0);
}
END_TEST

START_TEST(the_next_key_is_looked_at_but_may_be_elsewhere)
{
    create("");
    ck_assert_int_eq(keyfile_check_next(KEYFILE_NODE, directory), 0);
    ck_assert_int_eq(chmod(next_path, 0644), 0);
    ck_assert_int_eq(keyfile_check_next(KEYFILE_NODE, directory), FAULT_PERMISSIONS);
    ck_assert_int_eq(unlink(next_path), 0);
    ck_assert_int_eq(keyfile_check_next(KEYFILE_NODE, directory), 0);
    ck_assert_int_eq(symlink(key_path, next_path), 0);
    ck_assert_int_eq(keyfile_check_next(KEYFILE_NODE, directory), FAULT_PERMISSIONS);
    ck_assert_int_eq(keyfile_check_next(KEYFILE_NODE, "/nonexistent"), FAULT_FILE);
}
END_TEST

START_TEST(both_files_are_for_nobody_else)
{
    const char *const paths[] = {key_path, next_path};

    umask(0);
    create("");
    for (int i = 0; i < 2; i++) {
        struct stat status;

        ck_assert_int_eq(lstat(paths[i], &status), 0);
        ck_assert(S_ISREG(status.st_mode));
        ck_assert_uint_eq(status.st_mode & 07777, 0600);
        ck_assert_uint_eq(status.st_uid, geteuid());
    }
}
END_TEST

START_TEST(a_key_that_is_there_is_never_overwritten)
{
    struct keyfile *other = keyfile_new();

    create("");
    randombytes_buf(other, sizeof *other);
    ck_assert_int_eq(keyfile_create(KEYFILE_NODE, directory, other, next_seed, none, chain),
                     FAULT_BUSY);
    ck_assert_int_eq(unlink(next_path), 0);
    ck_assert_int_eq(keyfile_create(KEYFILE_NODE, directory, other, next_seed, none, chain),
                     FAULT_BUSY);
    expect(0);
    ck_assert_mem_eq(keyfile, opened, sizeof *keyfile);
    keyfile_free(other);
}
END_TEST

START_TEST(the_next_key_alone_is_not_overwritten_either)
{
    create("");
    ck_assert_int_eq(unlink(key_path), 0);
    ck_assert_int_eq(keyfile_create(KEYFILE_NODE, directory, keyfile, next_seed, none, chain),
                     FAULT_BUSY);
    ck_assert_int_ne(access(key_path, F_OK), 0);
}
END_TEST

START_TEST(what_a_cut_off_creation_left_is_in_nobodys_way)
{
    char path[128];
    int file;

    snprintf(path, sizeof path, "%s.new", key_path);
    file = open(path, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_ge(file, 0);
    close(file);
    create("");
    ck_assert_int_ne(access(path, F_OK), 0);
    expect(0);
}
END_TEST

START_TEST(a_file_that_others_may_read_is_refused)
{
    static const mode_t modes[] = {0640, 0604, 0660, 0644, 0601};

    create("");
    ck_assert_int_eq(chmod(key_path, modes[_i]), 0);
    expect(FAULT_PERMISSIONS);
    ck_assert(!keyfile_is_sealed(KEYFILE_NODE, directory));
}
END_TEST

START_TEST(a_file_of_somebody_else_is_refused)
{
    create("");
    if (geteuid() != 0)
        return; /* only root can give a file away */
    ck_assert_int_eq(chown(key_path, 12345, (gid_t)-1), 0);
    expect(FAULT_PERMISSIONS);
}
END_TEST

START_TEST(next_keys_of_ducklings_are_sealed_for_a_key_that_lies_apart)
{
    uint8_t public_key[SEAL_KEY_SIZE], again[SEAL_KEY_SIZE], secret[SEAL_KEY_SIZE];
    uint8_t sealed[SEED_SIZE + crypto_box_SEALBYTES], unsealed[SEED_SIZE];
    const struct bytes words = bytes_of_text("other words");

    ck_assert_int_eq(keyfile_read_seal(directory, public_key), FAULT_FILE);
    ck_assert_int_eq(keyfile_create_seal(directory, words), 0);
    ck_assert_int_eq(keyfile_create_seal(directory, words), FAULT_BUSY);
    ck_assert_int_eq(keyfile_read_seal(directory, public_key), 0);
    ck_assert_int_eq(crypto_box_seal(sealed, next_seed, SEED_SIZE, public_key), 0);
    ck_assert_int_eq(keyfile_open_seal(directory, none, again, secret), FAULT_PASSPHRASE);
    ck_assert_int_eq(keyfile_open_seal(directory, words, again, secret), 0);
    ck_assert_mem_eq(again, public_key, sizeof again);
    ck_assert_int_eq(crypto_box_seal_open(unsealed, sealed, sizeof sealed, again, secret), 0);
    ck_assert_mem_eq(unsealed, next_seed, SEED_SIZE);
}
END_TEST

START_TEST(a_rotation_that_was_not_prepared_is_refused_and_changes_nothing)
{
    create("");
    ck_assert_int_eq(keyfile_commit(KEYFILE_NODE, directory, bytes_of_text("longer")), FAULT_FILE);
    ck_assert_int_eq(keyfile_take_new(KEYFILE_NODE, directory, true), FAULT_FILE);
    expect(0);
}
END_TEST

START_TEST(a_link_is_refused)
{
    char elsewhere[128];

    create("");
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", directory);
    ck_assert_int_eq(rename(key_path, elsewhere), 0);
    ck_assert_int_eq(symlink(elsewhere, key_path), 0);
    expect(FAULT_PERMISSIONS);
}
END_TEST

START_TEST(a_pipe_is_refused_and_not_waited_for)
{
    create("");
    ck_assert_int_eq(unlink(key_path), 0);
    ck_assert_int_eq(mkfifo(key_path, 0600), 0);
    expect(FAULT_PERMISSIONS);
}
END_TEST

START_TEST(a_directory_that_others_may_write_to_is_refused)
{
    static const mode_t modes[] = {0770, 0707, 0777};

    create("");
    ck_assert_int_eq(chmod(directory, modes[_i]), 0);
    expect(FAULT_PERMISSIONS);
    unlink(key_path);
    unlink(next_path);
    ck_assert_int_eq(keyfile_create(KEYFILE_NODE, directory, keyfile, next_seed, none, chain),
                     FAULT_PERMISSIONS);
    ck_assert_int_ne(access(key_path, F_OK), 0);
}
END_TEST

START_TEST(no_file_is_not_a_wrong_one)
{
    expect(FAULT_FILE);
    ck_assert(!keyfile_is_sealed(KEYFILE_NODE, directory));
    ck_assert_int_eq(keyfile_open(KEYFILE_NODE, "/nonexistent", none, opened), FAULT_FILE);
    ck_assert_int_eq(keyfile_create(KEYFILE_NODE, "/nonexistent", keyfile, next_seed, none, chain),
                     FAULT_FILE);
}
END_TEST

static size_t cut_at;

static size_t cut(uint8_t *bytes, size_t size)
{
    (void)bytes;
    return cut_at < size ? cut_at : size - 1;
}

START_TEST(a_torn_file_is_corrupt_wherever_it_is_torn)
{
    create("");
    cut_at = (size_t)_i * 8;
    rewrite(key_path, cut);
    expect(FAULT_CORRUPT);
}
END_TEST

static size_t turned_bit;

static size_t turn_a_bit(uint8_t *bytes, size_t size)
{
    bytes[turned_bit / 8 % size] ^= (uint8_t)(1u << (turned_bit % 8));
    return size;
}

START_TEST(a_turned_bit_is_corrupt_not_another_key)
{
    create("");
    for (turned_bit = (size_t)_i; turned_bit < 161 * 8; turned_bit += 37) {
        rewrite(key_path, turn_a_bit);
        expect(FAULT_CORRUPT);
        rewrite(key_path, turn_a_bit);
    }
    expect(0);
}
END_TEST

static size_t add_a_byte(uint8_t *bytes, size_t size)
{
    bytes[size] = 0;
    return size + 1;
}

START_TEST(a_longer_file_is_corrupt)
{
    create("");
    rewrite(key_path, add_a_byte);
    expect(FAULT_CORRUPT);
}
END_TEST

START_TEST(the_next_key_does_not_pass_for_the_live_one)
{
    create("");
    ck_assert_int_eq(rename(next_path, key_path), 0);
    expect(FAULT_CORRUPT);
}
END_TEST

static uint64_t asked_ops, asked_memory;

/* As a thief of the disk could: with a checksum that fits. */
static size_t ask_for_more(uint8_t *bytes, size_t size)
{
    for (int i = 0; i < 8; i++) {
        bytes[9 + i] = (uint8_t)(asked_ops >> (8 * i));
        bytes[17 + i] = (uint8_t)(asked_memory >> (8 * i));
    }
    crypto_generichash(bytes + size - 32, 32, bytes, size - 32, NULL, 0);
    return size;
}

START_TEST(a_file_cannot_ask_for_all_memory_or_for_ever)
{
    static const uint64_t asked[][2] = {
        {3, 1ull << 40}, {3, (1024ull << 20) + 1}, {1000, 8192}, {0, 8192}, {3, 0}};

    create("correct horse");
    asked_ops = asked[_i][0];
    asked_memory = asked[_i][1];
    rewrite(key_path, ask_for_more);
    ck_assert_int_eq(keyfile_open(KEYFILE_NODE, directory, bytes_of_text("correct horse"), opened),
                     FAULT_CORRUPT);
}
END_TEST

START_TEST(freeing_nothing_is_fine)
{
    keyfile_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keyfile");
    TCase *cases = tcase_create("keyfile");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(cases, make, unmake);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, without_a_passphrase_the_file_is_the_secret);
    tcase_add_test(cases, a_passphrase_seals_both_files);
    tcase_add_test(cases, a_wrong_or_missing_passphrase_opens_nothing);
    tcase_add_test(cases, the_next_key_is_looked_at_but_may_be_elsewhere);
    tcase_add_test(cases, both_files_are_for_nobody_else);
    tcase_add_test(cases, a_key_that_is_there_is_never_overwritten);
    tcase_add_test(cases, the_next_key_alone_is_not_overwritten_either);
    tcase_add_test(cases, what_a_cut_off_creation_left_is_in_nobodys_way);
    tcase_add_loop_test(cases, a_file_that_others_may_read_is_refused, 0, 5);
    tcase_add_test(cases, a_file_of_somebody_else_is_refused);
    tcase_add_test(cases, a_link_is_refused);
    tcase_add_test(cases, a_pipe_is_refused_and_not_waited_for);
    tcase_add_loop_test(cases, a_directory_that_others_may_write_to_is_refused, 0, 3);
    tcase_add_test(cases, no_file_is_not_a_wrong_one);
    tcase_add_loop_test(cases, a_torn_file_is_corrupt_wherever_it_is_torn, 0, 21);
    tcase_add_loop_test(cases, a_turned_bit_is_corrupt_not_another_key, 0, 4);
    tcase_add_test(cases, a_longer_file_is_corrupt);
    tcase_add_test(cases, the_next_key_does_not_pass_for_the_live_one);
    tcase_add_loop_test(cases, a_file_cannot_ask_for_all_memory_or_for_ever, 0, 5);
    tcase_add_test(cases, next_keys_of_ducklings_are_sealed_for_a_key_that_lies_apart);
    tcase_add_test(cases, a_rotation_that_was_not_prepared_is_refused_and_changes_nothing);
    tcase_add_test(cases, freeing_nothing_is_fine);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
