/* Each file call, each allocation of SQLite and each of our own fails once while a node opens its store, keeps
 * turns, checkpoints, restarts. A turn that met a fault is undone, and the next ones are kept; or the store says that
 * the disk cannot be trusted, and the process ends and begins anew; our own allocations end it at once. Nothing that was told is
 * lost either way, and what is there is what one turn left.
 *
 * DUCK_FAIL_ALL=1: each one, instead of one in so many. */
#include "clock.h"
#include "disk.h"
#include "keyfile.h"
#include "store_internal.h"
#include "store_play.h"

#include <check.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define BEFORE 8 /* turns that are there when the failing begins */
#define TURNS 22
#define SEED 5
#define NAMES_MAX 32
#ifdef __SANITIZE_ADDRESS__ /* forking is dear where memory is shadowed */
#define CALLS_STEP 29
#define ALLOCATIONS_STEP 301
#define OURS_STEP 17
#else
#define CALLS_STEP 7
#define ALLOCATIONS_STEP 61
#define OURS_STEP 3
#endif

/* ---- what fails ---- */

static size_t fail_at, count;
static bool has_failed;

static bool is_the_one(void)
{
    if (++count != fail_at)
        return false;
    has_failed = true;
    return true;
}

/* SQLite's own allocator, with one failure. */
static sqlite3_mem_methods memory;

static void *take(int size)
{
    return is_the_one() ? NULL : memory.xMalloc(size);
}

static void *resize(void *taken, int size)
{
    return is_the_one() ? NULL : memory.xRealloc(taken, size);
}

static void make_memory_fail(void)
{
    static sqlite3_mem_methods failing;

    ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory), SQLITE_OK);
    failing = memory;
    failing.xMalloc = take;
    failing.xRealloc = resize;
    ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &failing), SQLITE_OK);
}

/* Ours do not fail: the process ends (lib/core/bytes.h). The linker puts these in their place. */
static size_t die_at, taken_count;

void *__real_memory_take(size_t size);
void *__wrap_memory_take(size_t size);
void *__real_memory_resize(void *memory, size_t size);
void *__wrap_memory_resize(void *memory, size_t size);

static void die_if_it_is_time(void)
{
    if (++taken_count == die_at)
        _exit(EXIT_FAILURE + 8);
}

void *__wrap_memory_take(size_t size)
{
    die_if_it_is_time();
    return __real_memory_take(size);
}

void *__wrap_memory_resize(void *taken, size_t size)
{
    die_if_it_is_time();
    return __real_memory_resize(taken, size);
}

/* ---- a life in which something fails ---- */

enum outcome {
    OUTCOME_HELD,
    OUTCOME_WRONG,
    OUTCOME_NOTHING_FAILED,
    OUTCOME_DIED = EXIT_FAILURE + 8
};

static char folder[64], state[80], left[80];
static struct play *play;
static struct shared {
    struct play_told told;
    char names[NAMES_MAX][16]; /* of the calls that failed */
    size_t undone, ended;      /* turns; lives of the process */
} * shared;

static void make(void)
{
    size_t turn;

    ck_assert(identity_self_test());
    strcpy(folder, "/tmp/duck-failing.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(state, sizeof state, "%s/state", folder);
    snprintf(left, sizeof left, "%s/left", folder);
    ck_assert_int_eq(mkdir(state, 0700), 0);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    make_memory_fail();
    play = play_new(SEED, TURNS);
    for (size_t i = BEFORE + 1; i <= TURNS; i++) {
        play->turns[i].restarts = i == BEFORE + 6;
        play->turns[i].checkpoints = i == BEFORE + 3 || i == BEFORE + 9;
    }
    ck_assert_int_eq(play_open(play, state), 0);
    ck_assert_int_eq(play_turns(play, state, 1, BEFORE, &turn), 0);
    play_close(play);
}

static void unmake(void)
{
    play_free(play);
    remove_directory(folder);
    munmap(shared, sizeof *shared);
}

static void copy_file(const char *name)
{
    char path[128];
    static char bytes[4 * MIB];
    size_t size;
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", state, name);
    file = fopen(path, "rb");
    assert(file);
    size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    snprintf(path, sizeof path, "%s/%s", left, name);
    file = fopen(path, "wb");
    assert(file && fwrite(bytes, 1, size, file) == size);
    fclose(file);
    assert(chmod(path, 0600) == 0);
}

static void begin_anew(void)
{
    remove_directory(left);
    assert(mkdir(left, 0700) == 0);
    copy_file("node.db");
    copy_file("directory.db");
    shared->told = *play->told;
}

/* As the loop and whoever starts the node again: from the fault on to where the script goes on. */
static const char *recover(size_t *turn)
{
    bool is_over = !play->store || store_is_io_broken(play->store);
    size_t met = *turn;
    const char *wrong;

    if (is_over) {
        shared->ended++;
        play_close(play);
        if (play_open(play, left) != 0)
            return "the store does not open again";
    }
    play->was_cut = true; /* of the directory what this turn would have kept may be there, or not */
    wrong = play_check(play, turn);
    if (!wrong && !is_over && *turn != met - 1)
        wrong = "a turn that was refused is there";
    shared->undone += !is_over;
    return wrong;
}

static void note_name(const char *name)
{
    for (size_t i = 0; name && i < NAMES_MAX; i++) {
        if (!*shared->names[i])
            snprintf(shared->names[i], sizeof shared->names[i], "%s", name);
        if (strcmp(shared->names[i], name) == 0)
            return;
    }
}

static const char *live(void)
{
    size_t turn = BEFORE + 1;
    const char *wrong = NULL;
    int fault = play_open(play, left);

    if (!fault)
        fault = play_turns(play, left, turn, TURNS, &turn);
    for (int again = 0; fault && !wrong && again < 3; again++) {
        wrong = recover(&turn);
        if (!wrong)
            fault = play_turns(play, left, turn + 1, TURNS, &turn);
    }
    if (!wrong && fault)
        wrong = "what failed once fails for ever";
    note_name(disk_failed_call());
    has_failed |= disk_failed_call() != NULL;
    play->was_cut |= has_failed; /* the directory may be made anew, and no turn be refused for it */
    fail_at = die_at = 0;        /* the looking is not part of the life */
    disk_fail(0, 0);
    if (!wrong)
        wrong = play_check(play, &turn);
    if (!wrong && turn != TURNS)
        wrong = "turns are lost";
    return wrong;
}

static bool has_name(const char *name)
{
    for (size_t i = 0; i < NAMES_MAX; i++)
        if (strcmp(shared->names[i], name) == 0)
            return true;
    return false;
}

static enum outcome outcome_of(const char *what, size_t n, const char *wrong)
{
    if (wrong)
        fprintf(stderr, "%s %zu: %s\n", what, n, wrong);
    return wrong ? OUTCOME_WRONG : has_failed ? OUTCOME_HELD : OUTCOME_NOTHING_FAILED;
}

static enum outcome in_a_process(void (*life)(size_t n, int cause), size_t n, int cause)
{
    pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        life(n, cause);
        _exit(OUTCOME_WRONG);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status), "%zu: ended by signal %d", n, WTERMSIG(status));
    return (enum outcome)WEXITSTATUS(status);
}

static size_t step(size_t otherwise)
{
    return getenv("DUCK_FAIL_ALL") ? 1 : otherwise;
}

/* ---- file calls ---- */

static void fail_a_call(size_t n, int cause)
{
    begin_anew();
    disk_watch(left);
    disk_fail(n, cause);
    _exit(outcome_of("file call", n, live()));
}

START_TEST(each_file_call_of_the_store_fails_once)
{
    static const int causes[] = {EIO, ENOSPC, ENOMEM};
    static const char *const calls[] = {"open", "pread", "pwrite", "ftruncate", "sync",
                                        "mmap", "fcntl", "unlink", "fstat",     "stat"};
    enum outcome outcome = OUTCOME_HELD;
    size_t n = 1 + (size_t)_i, failed = 0, wrong = 0;

    for (; outcome != OUTCOME_NOTHING_FAILED; n += step(CALLS_STEP), failed++) {
        outcome = in_a_process(fail_a_call, n, causes[_i]);
        wrong += outcome == OUTCOME_WRONG;
    }
    printf("%zu file calls failed with %s: %zu turns undone, %zu processes ended\n", failed - 1,
           strerror(causes[_i]), shared->undone, shared->ended);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_gt(n, 200);
    for (size_t i = 0; i < sizeof calls / sizeof *calls && step(CALLS_STEP) == 1; i++)
        ck_assert_msg(has_name(calls[i]), "%s never failed", calls[i]);
    ck_assert_uint_gt(shared->ended, 0);
}
END_TEST

static void fail_an_unlock(size_t n, int cause)
{
    (void)cause;
    begin_anew();
    disk_watch(left);
    disk_fail_unlock(n);
    _exit(outcome_of("unlock", n, live()));
}

/* What is not unlocked stays locked as long as the connection lives: SQLite waits ten seconds for it, in each turn anew.
 * So after the first the process ends, and the next one finds no lock. */
START_TEST(an_unlock_that_fails_holds_up_one_turn_at_most)
{
    uint64_t began_ms = clock_now_ms();
    size_t n = (size_t)_i;
    enum outcome outcome = in_a_process(fail_an_unlock, n, 0);

    printf("unlock %zu failed: %zu turns undone, %zu processes ended\n", n, shared->undone,
           shared->ended);
    ck_assert_int_eq(outcome, OUTCOME_HELD);
    ck_assert_uint_eq(shared->undone, 0); /* it would meet the lock again */
    ck_assert_uint_lt(clock_now_ms() - began_ms, 25000);
}
END_TEST

/* ---- memory ---- */

static void fail_an_allocation(size_t n, int cause)
{
    (void)cause;
    begin_anew();
    disk_watch(left); /* no sync of it takes time */
    fail_at = count + n;
    _exit(outcome_of("allocation", n, live()));
}

START_TEST(each_allocation_of_sqlite_fails_once)
{
    enum outcome outcome = OUTCOME_HELD;
    size_t n = 1, failed = 0, wrong = 0;

    for (; outcome != OUTCOME_NOTHING_FAILED; n += step(ALLOCATIONS_STEP), failed++) {
        outcome = in_a_process(fail_an_allocation, n, 0);
        wrong += outcome == OUTCOME_WRONG;
    }
    printf("%zu allocations failed: %zu turns undone, %zu processes ended\n", failed - 1,
           shared->undone, shared->ended);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_gt(n, 500);
}
END_TEST

/* The process is gone; `told` is what the others know. */
static void look_after_it(size_t n, int cause)
{
    const char *wrong = NULL;
    size_t turn;

    (void)cause;
    *play->told = shared->told;
    play->was_cut = true;
    disk_watch(left);
    if (play_open(play, left) != 0)
        wrong = "the store does not open again";
    if (!wrong)
        wrong = play_check(play, &turn);
    _exit(outcome_of("end at allocation", n, wrong));
}

static void die_at_an_allocation(size_t n, int cause)
{
    (void)cause;
    begin_anew();
    play->told = &shared->told;
    disk_watch(left);
    die_at = taken_count + n;
    _exit(outcome_of("allocation of ours", n, live()));
}

START_TEST(each_allocation_of_ours_ends_the_process_once)
{
    enum outcome outcome = OUTCOME_DIED;
    size_t n = 1, wrong = 0, died = 0;

    for (; outcome != OUTCOME_NOTHING_FAILED; n += step(OURS_STEP)) {
        outcome = in_a_process(die_at_an_allocation, n, 0);
        died += outcome == OUTCOME_DIED;
        wrong += outcome == OUTCOME_WRONG;
        if (outcome == OUTCOME_DIED)
            wrong += in_a_process(look_after_it, n, 0) == OUTCOME_WRONG;
    }
    printf("%zu times out of memory\n", died);
    ck_assert_uint_eq(wrong, 0);
    ck_assert_uint_gt(died, 0);
}
END_TEST

/* ---- the keys ---- */

static void fail_a_key_call(size_t n, int cause)
{
    static const struct bytes chain = {(const uint8_t *)"a chain", 7}, none;
    struct keyfile *keys = keyfile_new(), *found = keyfile_new();
    uint8_t next_seed[SEED_SIZE] = {4};
    const char *wrong = NULL;
    int fault;

    remove_directory(left);
    assert(mkdir(left, 0700) == 0);
    memset(keys, 3, sizeof *keys);
    disk_watch(left);
    disk_fail(n, cause);
    fault = keyfile_create(KEYFILE_NODE, left, keys, next_seed, none, chain);
    if (fault && keyfile_create(KEYFILE_NODE, left, keys, next_seed, none, chain) != 0)
        wrong = "what failed once cannot be made again";
    if (!wrong && keyfile_open(KEYFILE_NODE, left, none, found) != 0 &&
        (disk_failed_call() == NULL || keyfile_open(KEYFILE_NODE, left, none, found) != 0))
        wrong = "the key cannot be read";
    if (!wrong && memcmp(keys, found, sizeof *keys) != 0)
        wrong = "the key is another";
    note_name(disk_failed_call());
    has_failed = disk_failed_call() != NULL;
    _exit(outcome_of("call for a key", n, wrong));
}

START_TEST(each_file_call_for_the_keys_fails_once)
{
    static const int causes[] = {EIO, ENOSPC};
    static const char *const calls[] = {"open",   "write",  "read", "sync",
                                        "rename", "unlink", "stat"};
    enum outcome outcome = OUTCOME_HELD;
    size_t wrong = 0, n;

    for (n = 1; outcome != OUTCOME_NOTHING_FAILED; n++) {
        outcome = in_a_process(fail_a_key_call, n, causes[_i]);
        wrong += outcome == OUTCOME_WRONG;
    }
    ck_assert_uint_eq(wrong, 0);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        ck_assert_msg(has_name(calls[i]), "%s never failed", calls[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("failing_once");
    TCase *tests = tcase_create("once"), *unlocks = tcase_create("unlocks");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, make, unmake);
    tcase_set_timeout(tests, 0);
    tcase_add_loop_test(tests, each_file_call_of_the_store_fails_once, 0, 3);
    tcase_add_loop_test(tests, each_file_call_for_the_keys_fails_once, 0, 2);
    tcase_add_test(tests, each_allocation_of_sqlite_fails_once);
    tcase_add_test(tests, each_allocation_of_ours_ends_the_process_once);
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(unlocks, make, unmake);
    tcase_set_timeout(unlocks, 0);
    tcase_add_loop_test(unlocks, an_unlock_that_fails_holds_up_one_turn_at_most,
                        step(2) == 1 ? 1 : 14, step(2) == 1 ? 40 : 18); /* some wait ten seconds */
    suite_add_tcase(suite, unlocks);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
