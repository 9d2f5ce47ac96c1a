/* What this machine does to a store: a disk that fills, a process that dies, a file that is not
 * what it should be. */
#include "store_bed.h"

#include "store_internal.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct bed bed;

static void make(void)
{
    bed_make(&bed);
}

static void unmake(void)
{
    bed_free(&bed);
}

static const struct moment later = {.now_ms = 5000, .wall_ms = THINGS_WALL_MS + MINUTE_MS};

static bool is_known(const struct effect *kept)
{
    enum peck_state state;

    return store_knows_peck(bed.store, &kept->peck.id, &state);
}

/* ---- a full disk ---- */

static void limit_pages(int pages)
{
    char sql[64];

    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %d", pages);
    ck_assert_int_eq(store_execute(&bed.store->connection, sql), 0);
}

/* Turns of one large peck until one is refused; that one is `refused`. */
static int fill_up(struct effect *last, struct effect *refused)
{
    struct peck_wish wish = {.payload_size = 32 * KIB};
    int fault = 0;

    for (int i = 0; i < 1000 && !fault; i++) {
        *refused = make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &wish, &bed.arena);
        ck_assert_int_eq(store_begin(bed.store), 0);
        fault = store_keep(bed.store, refused);
        if (!fault)
            fault = store_commit(bed.store);
        else
            store_roll_back(bed.store);
        if (!fault)
            *last = *refused;
    }
    return fault;
}

START_TEST(a_full_database_takes_nothing_and_works_again)
{
    struct effect last = {0}, refused = {0};
    struct restored restored;

    limit_pages(200);
    ck_assert_int_eq(fill_up(&last, &refused), FAULT_DISK_FULL);
    ck_assert(!store_is_io_broken(bed.store));
    ck_assert(is_known(&last));
    ck_assert(!is_known(&refused));
    limit_pages(100000);
    bed_keep(&bed, &refused, 1);
    ck_assert(is_known(&refused));
    bed_close(&bed);
    bed_open(&bed);
    bed_restore(&bed, &later, &restored);
    ck_assert(is_known(&last) && is_known(&refused));
}
END_TEST

/* Of a turn nothing or all: what was kept before the disk was full goes too. */
START_TEST(a_turn_that_meets_a_full_disk_leaves_nothing)
{
    struct peck_wish small = {.key = "k"}, large = {.payload_size = PECK_PAYLOAD_MAX - 2};
    struct effect first =
        make_peck(&bed.bob, &bed.alice.id, BOX_OUT, PECK_SENT, &small, &bed.arena);
    struct effect second =
        make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &large, &bed.arena);
    struct restored restored;
    struct hash hash;
    enum peck_state state;
    struct id peck;

    limit_pages(80);
    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_eq(store_keep(bed.store, &first), 0);
    ck_assert_int_eq(store_keep(bed.store, &second), FAULT_DISK_FULL);
    ck_assert_int_eq(store_keep(bed.store, &first), FAULT_DISK_FULL); /* the turn is lost */
    ck_assert_int_eq(store_commit(bed.store), FAULT_DISK_FULL);
    ck_assert(
        !store_find_idempotent(bed.store, &bed.bob.id, bytes_of_text("k"), &peck, &hash, &state));
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.count, 0);
    bed_keep(&bed, &first, 1);
    bed_restore(&bed, &later, &restored);
    ck_assert_uint_eq(restored.sent, 1);
}
END_TEST

static void limit_file(rlim_t size)
{
    struct rlimit limit = {.rlim_cur = size, .rlim_max = RLIM_INFINITY};

    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The write itself fails, as on a full file system or over a quota. */
START_TEST(a_disk_that_refuses_to_write_is_full_not_broken)
{
    struct effect before = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct effect last = {0}, refused = {0};

    signal(SIGXFSZ, SIG_IGN);
    limit_file(640 * KIB); /* a new database with all its tables, and some turns */
    ck_assert_int_eq(fill_up(&last, &refused), FAULT_DISK_FULL);
    ck_assert(!store_is_io_broken(bed.store));
    ck_assert(is_known(&before) && is_known(&last) && !is_known(&refused));
    ck_assert_int_eq(fill_up(&last, &refused), FAULT_DISK_FULL); /* still */
    limit_file(RLIM_INFINITY);
    bed_keep(&bed, &refused, 1);
    bed_close(&bed);
    bed_open(&bed);
    ck_assert(is_known(&before) && is_known(&refused));
}
END_TEST

START_TEST(a_full_disk_stops_the_checkpoint_and_not_the_node)
{
    struct effect kept;

    signal(SIGXFSZ, SIG_IGN);
    bed_fill(&bed, 1024);
    ck_assert_int_gt(bed.store->log_pages, 0);
    bed.store->log_pages = STORE_CHECKPOINT_PAGES; /* the next turn begins with one */
    limit_file(64 * KIB);
    ck_assert_int_eq(store_begin(bed.store), 0);
    kept =
        make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &(struct peck_wish){0}, &bed.arena);
    ck_assert_int_eq(store_keep(bed.store, &kept), 0);
    ck_assert_int_eq(store_commit(bed.store), FAULT_DISK_FULL);
    ck_assert(!store_is_io_broken(bed.store));
    limit_file(RLIM_INFINITY);
    bed_keep(&bed, &kept, 1);
    ck_assert(is_known(&kept));
}
END_TEST

START_TEST(a_full_disk_is_met_beside_the_turns_and_stops_none)
{
    struct effect kept;

    signal(SIGXFSZ, SIG_IGN);
    bed_fill(&bed, 1024);
    bed.store->log_pages = STORE_CHECKPOINT_PAGES;
    ck_assert(store_begin_carrying(bed.store));
    limit_file(64 * KIB);
    ck_assert_int_eq(store_carry(bed.store), FAULT_DISK_FULL);
    limit_file(RLIM_INFINITY);
    ck_assert(!store_is_io_broken(bed.store));
    kept = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    ck_assert(is_known(&kept));
}
END_TEST

/* ---- a broken disk ---- */

/* Puts `other` in the place of the descriptors under which SQLite writes its log. */
static void replace_log(int other)
{
    char link[64], target[128], log[96];
    int broken = 0;

    snprintf(log, sizeof log, "%s-wal", bed.path);
    for (int file = 3; file < 64; file++) {
        ssize_t size;

        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        size = readlink(link, target, sizeof target - 1);
        if (size < 0)
            continue;
        target[size] = 0;
        if (file == other || strcmp(target, log) != 0)
            continue;
        ck_assert_int_eq(dup2(other, file), file);
        broken++;
    }
    close(other);
    ck_assert_int_gt(broken, 0);
}

/* A descriptor that was opened for reading stands in for a disk that refuses to write. */
START_TEST(a_disk_that_fails_stops_all_acknowledging)
{
    struct effect kept =
        make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &(struct peck_wish){0}, &bed.arena);
    char log[96];

    snprintf(log, sizeof log, "%s-wal", bed.path);
    bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    replace_log(open(log, O_RDONLY));
    ck_assert_int_eq(store_begin(bed.store), 0);
    if (store_keep(bed.store, &kept) == 0)
        ck_assert_int_eq(store_commit(bed.store), FAULT_STORE);
    store_roll_back(bed.store);
    ck_assert(store_is_io_broken(bed.store));
    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_ne(store_keep(bed.store, &kept), 0); /* and it stays so */
    store_roll_back(bed.store);
}
END_TEST

/* A pipe cannot be synced: it stands in for a disk that took the bytes and then lost them. */
START_TEST(a_sync_that_fails_stops_all_acknowledging)
{
    struct effect kept =
        make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &(struct peck_wish){0}, &bed.arena);
    int pipes[2];

    bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    ck_assert_int_eq(store_sync(bed.store), 0);
    ck_assert_int_eq(pipe(pipes), 0);
    close(pipes[0]);
    replace_log(pipes[1]);
    ck_assert_int_eq(store_sync(bed.store), FAULT_STORE);
    ck_assert(store_is_io_broken(bed.store));
    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_ne(store_keep(bed.store, &kept), 0);
    store_roll_back(bed.store);
}
END_TEST

START_TEST(a_sync_that_fails_beside_the_turns_stops_all_acknowledging)
{
    struct effect kept =
        make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &(struct peck_wish){0}, &bed.arena);
    int pipes[2];

    bed_fill(&bed, 256);
    bed.store->log_pages = STORE_CHECKPOINT_PAGES;
    ck_assert(store_begin_carrying(bed.store));
    ck_assert_int_eq(pipe(pipes), 0);
    close(pipes[0]);
    replace_log(pipes[1]);
    ck_assert_int_eq(store_carry(bed.store), FAULT_STORE);
    ck_assert(store_is_io_broken(bed.store));
    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_ne(store_keep(bed.store, &kept), 0);
    store_roll_back(bed.store);
}
END_TEST

static int interrupt(void *context)
{
    (void)context;
    return 1;
}

/* Taken for not held they would be kept, and handed out, twice. */
START_TEST(a_look_up_that_fails_stops_all_keeping)
{
    struct peck_wish wish = {.key = "once"};
    struct effect received = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct effect sent = bed_send(&bed, PECK_SENT, &wish);
    enum peck_state state;
    struct hash hash;
    struct id id;

    bed_fill(&bed, 2 * STORE_FILE_AT + BATCH_ITEMS_MAX); /* they are not in memory any more */
    ck_assert(is_known(&received));
    ck_assert(!store_is_io_broken(bed.store));
    sqlite3_progress_handler(bed.store->connection.database, 1, interrupt, NULL);
    ck_assert(_i ? !store_find_idempotent(bed.store, &bed.bob.id, bytes_of_text("once"), &id, &hash,
                                          &state)
                 : !is_known(&received));
    ck_assert(store_is_io_broken(bed.store));
    sqlite3_progress_handler(bed.store->connection.database, 0, NULL, NULL);
    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_ne(store_keep(bed.store, _i ? &sent : &received), 0);
    store_roll_back(bed.store);
}
END_TEST

/* ---- a process that dies ---- */

#define ROUND 8

/* Commits turns of ROUND pecks and reports each committed turn to `out`. */
static void write_until_killed(int out)
{
    struct peck_wish wish = {.payload_size = 3000};

    bed_open(&bed);
    for (uint32_t turn = 0;; turn++) {
        struct effect kept[ROUND], said[ROUND];
        uint8_t report[ROUND][ID_SIZE];

        for (int i = 0; i < ROUND; i++) {
            kept[i] = make_peck(&bed.alice, &bed.bob.id, BOX_IN, PECK_TAKEN, &wish, &bed.arena);
            said[i] = make_receipt(&bed.node, &kept[i], RECEIPT_TAKEN, PECK_TAKEN, &bed.arena);
            memcpy(report[i], kept[i].peck.id.bytes, ID_SIZE);
        }
        if (store_begin(bed.store))
            _exit(1);
        for (int i = 0; i < ROUND; i++)
            if (store_keep(bed.store, &kept[i]) || store_keep(bed.store, &said[i]))
                _exit(1);
        if (store_commit(bed.store) || write(out, report, sizeof report) != sizeof report)
            _exit(1);
    }
}

static size_t read_count(const char *what, const char *table)
{
    sqlite3_stmt *statement;
    char sql[96];
    size_t count;

    snprintf(sql, sizeof sql, "SELECT %s FROM %s", what, table);
    ck_assert_int_eq(sqlite3_prepare_v2(bed.store->connection.database, sql, -1, &statement, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    count = (size_t)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return count;
}

static size_t count_rows(const char *table)
{
    return read_count("count(*)", table);
}

/* kill -9 after so many reports, wherever the writer is then. Nothing that it reported is lost, and
 * no turn is half there. */
START_TEST(a_killed_node_loses_nothing_and_keeps_no_half_turn)
{
    uint8_t reports[1024][ROUND][ID_SIZE];
    size_t turns = 0, pecks;
    int pipes[2], status;
    pid_t child;

    bed_close(&bed);
    ck_assert_int_eq(pipe(pipes), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        close(pipes[0]);
        write_until_killed(pipes[1]);
    }
    close(pipes[1]);
    while (turns < 1024 && read(pipes[0], reports[turns], sizeof *reports) == sizeof *reports) {
        turns++;
        if (turns == (size_t)(3 + 7 * _i))
            ck_assert_int_eq(kill(child, SIGKILL), 0);
    }
    close(pipes[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    bed_open(&bed);
    for (size_t i = 0; i < turns; i++)
        for (int j = 0; j < ROUND; j++) {
            struct bytes wires[2], chains[2], wire, chain;
            struct id id;
            size_t count;

            memcpy(id.bytes, reports[i][j], ID_SIZE);
            ck_assert_int_eq(store_read_peck(bed.store, BOX_IN, &id, &bed.arena, &wire, &chain), 0);
            ck_assert_uint_gt(wire.size, 3000);
            ck_assert_int_eq(
                store_read_receipts(bed.store, BOX_IN, &id, &bed.arena, wires, chains, &count), 0);
            ck_assert_uint_eq(count, 1);
        }
    pecks = count_rows("peck");
    ck_assert_uint_ge(pecks, turns * ROUND);
    ck_assert_uint_eq(pecks % ROUND, 0);
    ck_assert_uint_eq(read_count("sum(max(count, 1))", "peck_wire"), pecks);
    ck_assert_uint_eq(count_rows("taken_receipt"), pecks);
}
END_TEST

/* ---- a file that is not what it should be ---- */

static void change_file(const char *sql)
{
    sqlite3 *database;

    bed_close(&bed);
    ck_assert_int_eq(sqlite3_open(bed.path, &database), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(database), SQLITE_OK);
}

START_TEST(the_database_of_a_later_release_is_left_alone)
{
    change_file("PRAGMA user_version = 99");
    ck_assert_int_eq(bed_try_open(&bed), FAULT_STORE_NEWER);
    bed.store = NULL;
    change_file("PRAGMA user_version = 15");
    bed_open(&bed);
}
END_TEST

START_TEST(the_database_of_another_node_is_refused)
{
    struct id own = bed.node.id;

    bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    bed_close(&bed);
    bed.node.id.bytes[0] ^= 1;
    ck_assert_int_eq(bed_try_open(&bed), FAULT_CORRUPT);
    bed.node.id = own;
    bed_open(&bed);
}
END_TEST

START_TEST(a_database_of_something_else_is_refused)
{
    bed_close(&bed);
    ck_assert_int_eq(unlink(bed.path), 0);
    change_file("PRAGMA user_version = 1; CREATE TABLE node (x)");
    ck_assert_int_eq(chmod(bed.path, 0600), 0);
    ck_assert_int_eq(bed_try_open(&bed), FAULT_CORRUPT);
}
END_TEST

START_TEST(what_is_no_database_is_refused)
{
    uint8_t noise[8192];
    FILE *file;

    bed_close(&bed);
    randombytes_buf(noise, sizeof noise);
    file = fopen(bed.path, "wb");
    ck_assert_uint_eq(fwrite(noise, 1, sizeof noise, file), sizeof noise);
    fclose(file);
    ck_assert_int_eq(bed_try_open(&bed), FAULT_CORRUPT);
}
END_TEST

/* Writes noise over the second half of the pages, but for the first hundred KiB's worth. */
static void damage(const char *path)
{
    uint8_t noise[4096];
    struct stat status;
    int file = open(path, O_WRONLY);

    ck_assert_int_eq(fstat(file, &status), 0);
    for (off_t at = status.st_size / 2; at < status.st_size; at += 4096) {
        randombytes_buf(noise, sizeof noise);
        ck_assert_int_eq(pwrite(file, noise, sizeof noise, at), sizeof noise);
    }
    close(file);
}

START_TEST(a_damaged_file_is_found_out_after_an_unclean_stop)
{
    bed_fill(&bed, 2048);
    change_file("UPDATE node SET closed = 0");
    damage(bed.path);
    ck_assert_int_eq(bed_try_open(&bed), FAULT_CORRUPT);
}
END_TEST

START_TEST(a_clean_stop_is_marked_and_an_unclean_one_is_not)
{
    int is_closed[2], status;
    pid_t child;

    bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    for (int i = 0; i < 2; i++) {
        sqlite3 *database;
        sqlite3_stmt *statement;

        bed_close(&bed);
        if (i == 1) {
            child = fork();
            if (child == 0) {
                bed_open(&bed);
                kill(getpid(), SIGKILL);
            }
            ck_assert_int_eq(waitpid(child, &status, 0), child);
        }
        ck_assert_int_eq(sqlite3_open(bed.path, &database), SQLITE_OK);
        ck_assert_int_eq(
            sqlite3_prepare_v2(database, "SELECT closed FROM node", -1, &statement, NULL),
            SQLITE_OK);
        ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
        is_closed[i] = sqlite3_column_int(statement, 0);
        sqlite3_finalize(statement);
        sqlite3_close(database);
        bed_open(&bed); /* checks, and goes on */
    }
    ck_assert_int_eq(is_closed[0], 1);
    ck_assert_int_eq(is_closed[1], 0);
    ck_assert_uint_eq(count_rows("peck"), 1);
}
END_TEST

static int64_t root_page(const char *table)
{
    sqlite3_stmt *statement;
    int64_t page;

    ck_assert_int_eq(sqlite3_prepare_v2(bed.store->connection.database,
                                        "SELECT rootpage FROM sqlite_schema WHERE name = ?1", -1,
                                        &statement, NULL),
                     SQLITE_OK);
    sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    page = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return page;
}

START_TEST(a_damaged_page_stops_the_store_while_it_runs)
{
    struct effect kept = bed_receive(&bed, PECK_TAKEN, &(struct peck_wish){0});
    struct effect said = make_receipt(&bed.bob, &kept, RECEIPT_DONE, PECK_ANSWERED, &bed.arena);
    int64_t page = root_page("done_receipt");
    uint8_t noise[4096];
    int file;

    bed_close(&bed);
    memset(noise, 0xa5, sizeof noise);
    file = open(bed.path, O_WRONLY);
    ck_assert_int_eq(pwrite(file, noise, sizeof noise, (page - 1) * 4096), sizeof noise);
    close(file);
    bed_open(&bed); /* the last stop was in order: nothing is checked */
    ck_assert_int_eq(store_begin(bed.store), 0);
    ck_assert_int_eq(store_keep(bed.store, &said), 0);
    ck_assert_int_eq(store_commit(bed.store), FAULT_CORRUPT);
    ck_assert(store_is_io_broken(bed.store));
}
END_TEST

START_TEST(a_file_that_others_may_read_or_a_link_is_refused)
{
    char elsewhere[96];

    bed_close(&bed);
    ck_assert_int_eq(chmod(bed.path, 0640), 0);
    ck_assert_int_eq(bed_try_open(&bed), FAULT_PERMISSIONS);
    ck_assert_int_eq(chmod(bed.path, 0600), 0);
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", bed.directory);
    ck_assert_int_eq(rename(bed.path, elsewhere), 0);
    ck_assert_int_eq(symlink(elsewhere, bed.path), 0);
    ck_assert_int_eq(bed_try_open(&bed), FAULT_PERMISSIONS);
    ck_assert_int_eq(unlink(bed.path), 0);
    ck_assert_int_eq(rename(elsewhere, bed.path), 0);
    bed_open(&bed);
}
END_TEST

START_TEST(no_directory_is_no_store)
{
    char path[80];

    memcpy(path, bed.path, sizeof path);
    bed_close(&bed);
    strcpy(bed.path, "/nonexistent/node.db");
    ck_assert_int_eq(bed_try_open(&bed), FAULT_FILE);
    memcpy(bed.path, path, sizeof path);
}
END_TEST

/* Whatever cannot pass by itself ends the process; what can is tried again. */
START_TEST(a_lock_that_cannot_be_had_ends_the_process)
{
    static const struct {
        int result, fault;
        bool ends;
    } results[] = {
        {SQLITE_BUSY, FAULT_BUSY, false},         {SQLITE_BUSY_SNAPSHOT, FAULT_BUSY, false},
        {SQLITE_LOCKED, FAULT_STORE, false},      {SQLITE_PROTOCOL, FAULT_STORE, true},
        {SQLITE_NOLFS, FAULT_STORE, true},        {SQLITE_IOERR_LOCK, FAULT_STORE, true},
        {SQLITE_IOERR_UNLOCK, FAULT_STORE, true}, {SQLITE_IOERR_SHMLOCK, FAULT_STORE, true},
        {SQLITE_FULL, FAULT_DISK_FULL, false},    {SQLITE_CORRUPT, FAULT_CORRUPT, true},
    };

    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        ck_assert_int_eq(store_note_fault(&bed.store->connection, results[i].result, "a test"),
                         results[i].fault);
        ck_assert_int_eq(store_is_io_broken(bed.store), results[i].ends);
        bed.store->connection.is_io_broken = false;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store faults");
    TCase *cases = tcase_create("faults");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(cases, make, unmake);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_full_database_takes_nothing_and_works_again);
    tcase_add_test(cases, a_turn_that_meets_a_full_disk_leaves_nothing);
    tcase_add_test(cases, a_disk_that_refuses_to_write_is_full_not_broken);
    tcase_add_test(cases, a_full_disk_stops_the_checkpoint_and_not_the_node);
    tcase_add_test(cases, a_full_disk_is_met_beside_the_turns_and_stops_none);
    tcase_add_test(cases, a_disk_that_fails_stops_all_acknowledging);
    tcase_add_test(cases, a_sync_that_fails_stops_all_acknowledging);
    tcase_add_test(cases, a_sync_that_fails_beside_the_turns_stops_all_acknowledging);
    tcase_add_loop_test(cases, a_look_up_that_fails_stops_all_keeping, 0, 2);
    tcase_add_loop_test(cases, a_killed_node_loses_nothing_and_keeps_no_half_turn, 0, 6);
    tcase_add_test(cases, the_database_of_a_later_release_is_left_alone);
    tcase_add_test(cases, the_database_of_another_node_is_refused);
    tcase_add_test(cases, a_database_of_something_else_is_refused);
    tcase_add_test(cases, what_is_no_database_is_refused);
    tcase_add_test(cases, a_damaged_file_is_found_out_after_an_unclean_stop);
    tcase_add_test(cases, a_clean_stop_is_marked_and_an_unclean_one_is_not);
    tcase_add_test(cases, a_damaged_page_stops_the_store_while_it_runs);
    tcase_add_test(cases, a_file_that_others_may_read_or_a_link_is_refused);
    tcase_add_test(cases, no_directory_is_no_store);
    tcase_add_test(cases, a_lock_that_cannot_be_had_ends_the_process);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
