#include "folder.h"
#include "gate_statements.h"

#include "core/bytes.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

static struct folder folder;

static void setup(void)
{
    folder = folder_make();
}

static void teardown(void)
{
    folder_remove(&folder);
}

static struct gate_store *open_store(void)
{
    struct gate_store *store = NULL;

    ck_assert_int_eq(gate_store_open(&store, folder_file(&folder, "gateway.db")), 0);
    return store;
}

static struct gate_operator an_operator(const char *email)
{
    struct gate_operator row = {.created_ms = 1000};

    strcpy(row.lookup, email);
    strcpy(row.email, email);
    strcpy(row.password_hash, "$argon2id$…");
    return row;
}

START_TEST(what_was_committed_is_there_after_a_restart)
{
    struct gate_store *store = open_store();
    struct gate_operator row = an_operator("a@example.com"), read;
    bool found;

    ck_assert_int_eq(gate_store_begin(store), 0);
    ck_assert_int_eq(gate_operator_add(store, &row), 0);
    ck_assert_int_eq(gate_store_commit(store), 0);
    gate_store_close(store);

    store = open_store();
    ck_assert_int_eq(gate_operator_find(store, "a@example.com", &read, &found), 0);
    ck_assert(found);
    ck_assert_uint_eq(read.operator_id, row.operator_id);
    ck_assert_str_eq(read.password_hash, row.password_hash);
    gate_store_close(store);
}
END_TEST

/* Until nothing more fits; then one may still. */
static int fill_up(struct gate_store *store)
{
    int fault = 0;

    for (unsigned i = 0; i < 10000 && !fault; i++) {
        char email[32];
        struct gate_operator row;

        snprintf(email, sizeof email, "f%u@example.com", i);
        row = an_operator(email);
        ck_assert_int_eq(gate_store_begin(store), 0);
        fault = gate_operator_add(store, &row);
        if (fault)
            gate_store_roll_back(store);
        else
            ck_assert_int_eq(gate_store_commit(store), 0);
    }
    return fault;
}

START_TEST(a_full_disk_is_trouble_until_something_is_kept_again)
{
    struct gate_store *store = open_store(), *reader;

    ck_assert_int_eq(gate_store_open_reader(&reader, folder_file(&folder, "gateway.db")), 0);
    ck_assert_int_eq(gate_store_trouble(), 0);
    ck_assert_int_eq(sqlite3_exec(store->database, "PRAGMA max_page_count=1", NULL, NULL, NULL),
                     SQLITE_OK); /* no more than there are */
    ck_assert_int_eq(fill_up(store), GATE_FAULT_DISK_FULL);
    ck_assert_int_eq(gate_store_trouble(), GATE_FAULT_DISK_FULL);
    gate_store_try(reader); /* which cannot keep anything either */
    ck_assert_int_eq(gate_store_trouble(), GATE_FAULT_DISK_FULL);
    gate_store_try(store);
    ck_assert_int_eq(gate_store_trouble(), 0);
    gate_store_close(reader);
    gate_store_close(store);
}
END_TEST

START_TEST(what_was_rolled_back_is_not_there)
{
    struct gate_store *store = open_store();
    struct gate_operator row = an_operator("a@example.com");
    bool found;

    ck_assert_int_eq(gate_store_begin(store), 0);
    ck_assert_int_eq(gate_operator_add(store, &row), 0);
    gate_store_roll_back(store);
    ck_assert_int_eq(gate_operator_find(store, "a@example.com", &row, &found), 0);
    ck_assert(!found);
    gate_store_close(store);
}
END_TEST

START_TEST(one_address_is_one_operator)
{
    struct gate_store *store = open_store();
    struct gate_operator row = an_operator("a@example.com");

    ck_assert_int_eq(gate_operator_add(store, &row), 0);
    ck_assert_int_ne(gate_operator_add(store, &row), 0);
    ck_assert_ptr_nonnull(strstr(gate_store_complaint(store), "UNIQUE"));
    gate_store_close(store);
}
END_TEST

START_TEST(the_reader_sees_each_commit_and_cannot_write)
{
    struct gate_store *store = open_store(), *reader = NULL;
    struct gate_operator row = an_operator("a@example.com"), read;
    bool found;

    ck_assert_int_eq(gate_store_open_reader(&reader, folder_file(&folder, "gateway.db")), 0);
    ck_assert_int_eq(gate_operator_find(reader, "a@example.com", &read, &found), 0);
    ck_assert(!found);
    ck_assert_int_eq(gate_operator_add(store, &row), 0);
    ck_assert_int_eq(gate_operator_find(reader, "a@example.com", &read, &found), 0);
    ck_assert(found);
    strcpy(row.lookup, "b@example.com");
    ck_assert_int_ne(gate_operator_add(reader, &row), 0);
    gate_store_close(reader);
    gate_store_close(store);
}
END_TEST

START_TEST(the_files_are_private)
{
    struct gate_store *store = open_store();
    const char *names[] = {"gateway.db", "gateway.db-wal", "gateway.db-shm"};
    struct stat status;

    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(stat(folder_file(&folder, names[i]), &status), 0);
        ck_assert_uint_eq(status.st_mode & 0777, 0600);
    }
    gate_store_close(store);
}
END_TEST

START_TEST(a_file_that_others_may_read_is_refused)
{
    const char *path = folder_file(&folder, "gateway.db");
    struct gate_store *store = NULL;
    int file = open(path, O_WRONLY | O_CREAT, 0600);

    ck_assert_int_eq(fchmod(file, 0640), 0);
    close(file);
    ck_assert_int_eq(gate_store_open(&store, path), GATE_FAULT_PERMISSIONS);
    ck_assert_ptr_null(store);
}
END_TEST

START_TEST(a_link_is_refused)
{
    struct gate_store *store = NULL;

    ck_assert_int_eq(symlink("elsewhere", folder_file(&folder, "gateway.db")), 0);
    ck_assert_int_eq(gate_store_open(&store, folder_file(&folder, "gateway.db")),
                     GATE_FAULT_PERMISSIONS);
}
END_TEST

START_TEST(a_file_of_a_later_release_is_refused)
{
    sqlite3 *database;
    struct gate_store *store = NULL;

    gate_store_close(open_store());
    ck_assert_int_eq(sqlite3_open(folder_file(&folder, "gateway.db"), &database), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(database, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
    ck_assert_int_eq(gate_store_open(&store, folder_file(&folder, "gateway.db")),
                     GATE_FAULT_STORE_NEWER);
}
END_TEST

/* A file as a release of that version left it. */
static sqlite3 *make_old(int version)
{
    const char *path = folder_file(&folder, "gateway.db");
    sqlite3 *database;
    char name[512];

    ck_assert_int_eq(sqlite3_open(path, &database), SQLITE_OK);
    ck_assert_int_eq(chmod(path, 0600), 0);
    for (int step = 1; step <= version; step++) {
        char *schema;
        snprintf(name, sizeof name, "%s/gateway/schema/gateway_%d.sql", getenv("DUCK_SOURCE"),
                 step);
        schema = file_read(name, NULL);
        ck_assert_int_eq(sqlite3_exec(database, schema, NULL, NULL, NULL), SQLITE_OK);
        free(schema);
    }
    snprintf(name, sizeof name, "PRAGMA user_version=%d", version);
    ck_assert_int_eq(sqlite3_exec(database, name, NULL, NULL, NULL), SQLITE_OK);
    return database;
}

static void fill(sqlite3 *database, const char *text)
{
    ck_assert_int_eq(sqlite3_exec(database, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

START_TEST(a_file_of_version_1_keeps_its_codes)
{
    struct gate_store *store;
    struct gate_code code = {.purpose = GATE_CODE_HATCH}, second;
    bool found;

    fill(make_old(1), "INSERT INTO codes VALUES ('a@b', 1, 7, zeroblob(32), 4, 1000)");
    store = open_store();
    ck_assert_int_eq(gate_code_find(store, "a@b", GATE_CODE_HATCH, code.hash, &code, &found), 0);
    ck_assert(found);
    ck_assert_uint_eq(code.egg, 7);
    ck_assert_uint_eq(code.tries_left, 4);
    second = code;
    second.egg = 8;
    second.hash[0] = 1;
    ck_assert_int_eq(gate_code_set(store, &second), 0);
    ck_assert_int_eq(gate_code_find(store, "a@b", GATE_CODE_HATCH, code.hash, &code, &found), 0);
    ck_assert(found);
    ck_assert_uint_eq(code.egg, 7);
    gate_store_close(store);
}
END_TEST

START_TEST(a_file_of_version_2_keeps_its_sessions_and_shares)
{
    const struct gate_mailed mailed = {.lookup = "a@b", .purpose = GATE_CODE_HATCH};
    struct gate_bearer read;
    uint8_t hash[GATE_HASH_SIZE] = {0};
    struct gate_store *store;
    uint64_t count;
    bool found;

    fill(make_old(2), "INSERT INTO operators VALUES (3, 'a@b', 'A@b', '', 0, 1);"
                      "INSERT INTO bearers VALUES (0, zeroblob(32), 0, 3, x'', 'm', 1, 2, 3);"
                      "INSERT INTO mailed VALUES ('a@b', 5)");
    store = open_store();
    ck_assert_int_eq(gate_bearer_find(store, hash, &read, &found), 0);
    ck_assert(found);
    ck_assert_uint_eq(read.operator_id, 3);
    ck_assert_int_eq(gate_mailed_count(store, &mailed, 0, &count), 0);
    ck_assert_uint_eq(count, 1);
    gate_store_close(store);
}
END_TEST

START_TEST(a_damaged_file_is_refused)
{
    const char *path = folder_file(&folder, "gateway.db");
    struct gate_store *store = NULL;
    FILE *file;

    gate_store_close(open_store());
    file = fopen(path, "r+b");
    fseek(file, 0, SEEK_SET);
    for (int i = 0; i < 4096; i++)
        fputc('x', file);
    fclose(file);
    ck_assert_int_eq(gate_store_open(&store, path), GATE_FAULT_CORRUPT);
}
END_TEST

START_TEST(two_bearers_with_one_lookup_are_told_apart)
{
    struct gate_store *store = open_store();
    struct gate_operator row = an_operator("a@example.com");
    struct gate_bearer first = {.kind = ACCESS_SESSION, .ends_ms = 9}, second, read;
    bool found;

    ck_assert_int_eq(gate_operator_add(store, &row), 0);
    memset(first.hash, 7, sizeof first.hash);
    first.operator_id = row.operator_id;
    second = first;
    second.hash[GATE_HASH_SIZE - 1] = 8; /* the first eight bytes, the index, are the same */
    second.ends_ms = 10;
    ck_assert_int_eq(gate_bearer_add(store, &first), 0);
    ck_assert_int_eq(gate_bearer_add(store, &second), 0);
    ck_assert_int_eq(gate_bearer_find(store, second.hash, &read, &found), 0);
    ck_assert(found);
    ck_assert_uint_eq(read.ends_ms, 10);
    second.hash[GATE_HASH_SIZE - 1] = 9;
    ck_assert_int_eq(gate_bearer_find(store, second.hash, &read, &found), 0);
    ck_assert(!found);
    gate_store_close(store);
}
END_TEST

START_TEST(tidying_drops_what_is_over_and_nothing_else)
{
    struct gate_store *store = open_store();
    struct gate_egg old = {.lookup = "a@b", .expires_ms = 1000}, young = old, claimed = old;
    struct gate_code code = {.lookup = "a@b", .purpose = GATE_CODE_HATCH, .expires_ms = 1000};
    bool found;

    young.expires_ms = 1002;
    claimed.claimed_until_ms = 1002;
    ck_assert_int_eq(gate_egg_lay(store, &old), 0);
    ck_assert_int_eq(gate_egg_lay(store, &young), 0);
    ck_assert_int_eq(gate_egg_lay(store, &claimed), 0);
    ck_assert_int_eq(gate_code_set(store, &code), 0);
    ck_assert_int_eq(gate_store_tidy(store, 1000), 0);
    ck_assert_int_eq(gate_egg_find(store, old.egg, &old, &found), 0);
    ck_assert(!found);
    ck_assert_int_eq(gate_egg_find(store, young.egg, &young, &found), 0);
    ck_assert(found);
    ck_assert_int_eq(gate_egg_find(store, claimed.egg, &claimed, &found), 0);
    ck_assert(found);
    ck_assert_int_eq(gate_code_find(store, "a@b", GATE_CODE_HATCH, code.hash, &code, &found), 0);
    ck_assert(!found);
    gate_store_close(store);
}
END_TEST

START_TEST(the_key_stays_the_same_and_keys_the_hashes)
{
    const char *path = folder_file(&folder, "gateway.key");
    struct gate_key key, again, other;
    uint8_t hash[GATE_HASH_SIZE], same[GATE_HASH_SIZE];
    struct stat status;

    ck_assert_int_eq(gate_key_open(path, &key), 0);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    ck_assert_int_eq(gate_key_open(path, &again), 0);
    gate_key_hash(&key, "code", "ab", "c", hash);
    gate_key_hash(&again, "code", "ab", "c", same);
    ck_assert_mem_eq(hash, same, sizeof hash);
    gate_key_hash(&key, "code", "a", "bc", same); /* texts do not run into one another */
    ck_assert_mem_ne(hash, same, sizeof hash);
    ck_assert_int_eq(gate_key_open(folder_file(&folder, "other.key"), &other), 0);
    gate_key_hash(&other, "code", "ab", "c", same);
    ck_assert_mem_ne(hash, same, sizeof hash);
}
END_TEST

START_TEST(a_key_file_that_is_open_cut_or_a_link_is_refused)
{
    const char *path = folder_file(&folder, "gateway.key");
    struct gate_key key;

    ck_assert_int_eq(gate_key_open(path, &key), 0);
    ck_assert_int_eq(chmod(path, 0644), 0);
    ck_assert_int_eq(gate_key_open(path, &key), GATE_FAULT_PERMISSIONS);
    ck_assert_int_eq(chmod(path, 0600), 0);
    ck_assert_int_eq(truncate(path, GATE_KEY_SIZE - 1), 0);
    ck_assert_int_eq(gate_key_open(path, &key), GATE_FAULT_CORRUPT);
    ck_assert_int_eq(symlink(path, folder_file(&folder, "link.key")), 0);
    ck_assert_int_eq(gate_key_open(folder_file(&folder, "link.key"), &key), GATE_FAULT_PERMISSIONS);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("gate_store");
    Suite *suite = suite_create("gate_store");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_full_disk_is_trouble_until_something_is_kept_again);
    tcase_add_test(tests, what_was_committed_is_there_after_a_restart);
    tcase_add_test(tests, what_was_rolled_back_is_not_there);
    tcase_add_test(tests, one_address_is_one_operator);
    tcase_add_test(tests, the_reader_sees_each_commit_and_cannot_write);
    tcase_add_test(tests, the_files_are_private);
    tcase_add_test(tests, a_file_that_others_may_read_is_refused);
    tcase_add_test(tests, a_link_is_refused);
    tcase_add_test(tests, a_file_of_a_later_release_is_refused);
    tcase_add_test(tests, a_file_of_version_1_keeps_its_codes);
    tcase_add_test(tests, a_file_of_version_2_keeps_its_sessions_and_shares);
    tcase_add_test(tests, a_damaged_file_is_refused);
    tcase_add_test(tests, two_bearers_with_one_lookup_are_told_apart);
    tcase_add_test(tests, tidying_drops_what_is_over_and_nothing_else);
    tcase_add_test(tests, the_key_stays_the_same_and_keys_the_hashes);
    tcase_add_test(tests, a_key_file_that_is_open_cut_or_a_link_is_refused);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
