/* A power cut at each sync of a node's life. What others were told is there afterwards, the agent gets nothing
 * again, and what is there is what one turn left: nothing of a turn that was cut off.
 *
 * DUCK_CUT_SEEDS=N: N cuts at each sync instead of a few, and N lives. */
#include "disk.h"
#include "folder.h"
#include "keyfile.h"
#include "store_internal.h"
#include "store_play.h"

#include <check.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Forking is dear where memory is shadowed. */
#ifdef __SANITIZE_ADDRESS__
#define LIVES 1
#define CUTS 1      /* at one sync in… */
#define SYNC_STEP 3 /* …so many */
#define KEY_CUTS 4
#else
#define LIVES 2
#define CUTS 2
#define SYNC_STEP 1
#define KEY_CUTS 16
#endif
#define TURNS 40
#define FILED_AFTER 18
#define FILED_TURNS 22

static char folder[64];
static struct play *play;
static uint64_t life;
static size_t cuts, losses, beside; /* pecks that are not of the script */

static uint64_t seeds_wanted(uint64_t otherwise)
{
    const char *wanted = getenv("DUCK_CUT_SEEDS");

    return wanted ? strtoull(wanted, NULL, 10) : otherwise;
}

static void make(void)
{
    ck_assert(identity_self_test());
    strcpy(folder, "/tmp/duck-power.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    cuts = losses = beside = 0;
}

static void unmake(void)
{
    remove_directory(folder);
}

/* No more and no fewer than the script has up to this turn, and those beside it. */
static const char *count_pecks(size_t turn)
{
    int64_t wanted = (int64_t)beside, found = 0;

    for (size_t number = 1; number <= turn; number++)
        for (size_t i = 0; i < play->turns[number].count; i++)
            wanted += play->turns[number].effects[i].effect.kind == EFFECT_KEEP_PECK;
    if (store_read_number(&play->store->connection, "SELECT count(*) FROM peck", &found) != 0)
        return "pecks cannot be counted";
    return found == wanted ? NULL : "pecks are lost, or are there twice";
}

/* In a process of its own: what the cut leaves is opened, read, and the life goes on in it. */
static void judge(const char *left, uint64_t seed)
{
    size_t turn = 0, last = 0, told = play->told->turn, sync = disk_syncs();
    const char *wrong = NULL;
    int fault;

    play->store = NULL; /* the other process has it */
    mkdir(left, 0700);
    disk_cut(left, seed);
    disk_leave();
    disk_watch(left); /* no sync of it takes time */
    fault = play_open(play, left);
    if (fault)
        wrong = fault_text(fault);
    if (!wrong)
        wrong = play_check(play, &turn);
    if (!wrong)
        wrong = count_pecks(turn);
    play->was_cut = true;
    if (!wrong && play_turns(play, left, turn + 1, play->turn_count, &last) != 0)
        wrong = "what comes after the cut cannot be kept";
    if (!wrong)
        wrong = play_check(play, &last);
    if (!wrong && last != play->turn_count)
        wrong = "what came after the cut is lost";
    play_close(play);
    if (wrong && !play->lies)
        fprintf(stderr, "life %llu, sync %zu, cut %llu (turn %zu, told %zu): %s\n",
                (unsigned long long)life, sync, (unsigned long long)(seed & 0xffff), turn, told,
                wrong);
    remove_directory(left);
    _exit(wrong != NULL);
}

static void cut_many(void (*judged)(const char *left, uint64_t seed), uint64_t count)
{
    uint64_t wanted = seeds_wanted(count);

    for (uint64_t seed = 0; seed < wanted; seed++, cuts++) {
        char left[128];
        pid_t child;
        int status;

        snprintf(left, sizeof left, "%s/left", folder);
        child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0)
            judged(left, life << 32 | disk_syncs() << 16 | seed);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status));
        losses += WEXITSTATUS(status) != 0;
    }
}

static void cut_here(void *context)
{
    (void)context;
    if (disk_syncs() % SYNC_STEP == 0)
        cut_many(judge, CUTS);
}

static void live(uint64_t number, bool lies)
{
    char state[80];
    size_t turn;

    life = number;
    snprintf(state, sizeof state, "%s/state", folder);
    ck_assert_int_eq(mkdir(state, 0700), 0);
    play = play_new(life, TURNS);
    play->lies = lies;
    disk_watch(state);
    disk_at_sync(cut_here, NULL);
    ck_assert_int_eq(play_open(play, state), 0);
    ck_assert_int_eq(play_turns(play, state, 1, TURNS, &turn), 0);
    play_close(play);
    disk_leave();
    play_free(play);
    remove_directory(state);
}

START_TEST(a_power_cut_at_any_sync_loses_nothing_that_was_told)
{
    for (uint64_t number = 0; number < seeds_wanted(LIVES); number++)
        live(number, false);
    printf("%zu power cuts\n", cuts);
    ck_assert_uint_gt(cuts, 20);
    ck_assert_uint_eq(losses, 0); /* which they were was said */
}
END_TEST

/* A disk that kept everything would find nothing. */
START_TEST(a_node_that_told_before_its_sync_would_be_found_out)
{
    live(0, true);
    ck_assert_uint_gt(losses, 0);
}
END_TEST

/* ---- pecks by the thousand ---- */

static void keep_many(struct arena *arena)
{
    static struct peck pecks[BATCH_ITEMS_MAX];
    static struct bytes wires[BATCH_ITEMS_MAX];
    struct peck_wish wish = {.payload_size = 10};

    arena_reset(arena);
    make_pecks(&play->alice, &play->bob.id, &wish, BATCH_ITEMS_MAX, arena, pecks, wires);
    ck_assert_int_eq(store_begin(play->store), 0);
    for (size_t i = 0; i < BATCH_ITEMS_MAX; i++) {
        struct effect effect =
            keep_peck_effect(BOX_IN, PECK_ANSWERED, &pecks[i], wires[i], play->alice.chain);

        ck_assert_int_eq(store_keep(play->store, &effect), 0);
    }
    ck_assert_int_eq(store_commit(play->store), 0);
    ck_assert_int_eq(store_sync(play->store), 0);
}

/* The turn that files them moves all their indexes; then the log is carried over. */
START_TEST(a_power_cut_while_pecks_are_filed_loses_none)
{
    char state[80];
    struct arena arena;
    size_t turn;

    snprintf(state, sizeof state, "%s/state", folder);
    ck_assert_int_eq(mkdir(state, 0700), 0);
    arena_init(&arena, 16 * MIB);
    play = play_new(life = 9, FILED_TURNS);
    for (size_t i = 1; i <= FILED_TURNS; i++)
        play->turns[i].restarts = play->turns[i].checkpoints = i == FILED_AFTER + 3;
    disk_watch(state);
    ck_assert_int_eq(play_open(play, state), 0);
    ck_assert_int_eq(play_turns(play, state, 1, FILED_AFTER, &turn), 0);
    for (size_t kept = 0; kept < STORE_FILE_AT; kept += BATCH_ITEMS_MAX)
        keep_many(&arena);
    beside = STORE_FILE_AT;
    ck_assert_int_eq(play->store->generation, 0);
    disk_at_sync(cut_here, NULL);
    ck_assert_int_eq(play_turns(play, state, FILED_AFTER + 1, FILED_TURNS, &turn), 0);
    ck_assert_int_eq(play->store->generation, 1);
    play_close(play);
    disk_leave();
    play_free(play);
    arena_free(&arena);
    ck_assert_uint_gt(cuts, 1);
    ck_assert_uint_eq(losses, 0);
}
END_TEST

/* ---- the keys of a node ---- */

static struct keyfile *keys;
static uint8_t next_seed[SEED_SIZE];
static const struct bytes chain = {(const uint8_t *)"a chain, of two", 15};
static bool is_made; /* init has said so */

static const char *check_keys(const char *left)
{
    struct keyfile *found = keyfile_new();
    uint8_t next[SEED_SIZE];
    char path[256];
    size_t size = 0;
    char *bytes;
    bool is_same;

    if (keyfile_open(KEYFILE_NODE, left, bytes_of(NULL, 0), found) != 0)
        return "the key is not there";
    is_same = memcmp(found, keys, sizeof *keys) == 0;
    keyfile_free(found);
    if (!is_same)
        return "the key is another";
    if (keyfile_open_next(KEYFILE_NODE, left, bytes_of(NULL, 0), next) != 0 ||
        memcmp(next, next_seed, SEED_SIZE) != 0)
        return "the key is there, and not the next one";
    snprintf(path, sizeof path, "%s/node.chain", left);
    bytes = file_read(path, &size);
    is_same = bytes && bytes_equal(bytes_of((uint8_t *)bytes, size), chain);
    free(bytes);
    return is_same ? NULL : "the key is there, and its chain is not";
}

static bool stands(const char *left, const char *name)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", left, name);
    return access(path, F_OK) == 0;
}

/* Whole, or nothing that would keep the operator from making it again. */
static void judge_keys(const char *left, uint64_t seed)
{
    const char *wrong = NULL;

    mkdir(left, 0700);
    disk_cut(left, seed);
    disk_leave();
    disk_watch(left);
    if (!is_made && !stands(left, "node.key") &&
        keyfile_create(KEYFILE_NODE, left, keys, next_seed, bytes_of(NULL, 0), chain) != 0)
        wrong = "it cannot be made again";
    if (!wrong)
        wrong = check_keys(left);
    if (wrong)
        fprintf(stderr, "keys, cut %llu: %s\n", (unsigned long long)seed, wrong);
    remove_directory(left);
    _exit(wrong != NULL);
}

static void cut_keys(void *context)
{
    (void)context;
    cut_many(judge_keys, KEY_CUTS);
}

START_TEST(keys_are_whole_after_a_power_cut_or_can_be_made_again)
{
    char state[80];

    keys = keyfile_new();
    memset(keys, 3, sizeof *keys);
    memset(next_seed, 4, sizeof next_seed);
    snprintf(state, sizeof state, "%s/state", folder);
    ck_assert_int_eq(mkdir(state, 0700), 0);
    is_made = false;
    disk_watch(state);
    disk_at_sync(cut_keys, NULL);
    ck_assert_int_eq(keyfile_create(KEYFILE_NODE, state, keys, next_seed, bytes_of(NULL, 0), chain),
                     0);
    is_made = true;
    cut_keys(NULL);
    disk_leave();
    keyfile_free(keys);
    ck_assert_uint_ge(cuts, 7 * seeds_wanted(KEY_CUTS));
    ck_assert_uint_eq(losses, 0);
}
END_TEST

/* ---- rotation ---- */

static const struct bytes longer = {(const uint8_t *)"a chain, of three", 17};
static struct keyfile *new_keys;
static uint8_t new_next_seed[SEED_SIZE];

static bool is_chain(const char *left, struct bytes wanted)
{
    char path[256];
    size_t size = 0;
    char *bytes;
    bool is_same;

    snprintf(path, sizeof path, "%s/node.chain", left);
    bytes = file_read(path, &size);
    is_same = bytes && bytes_equal(bytes_of((uint8_t *)bytes, size), wanted);
    free(bytes);
    return is_same;
}

static bool has_key(const char *left, const struct keyfile *wanted, bool is_new)
{
    struct keyfile *found = keyfile_new();
    int fault = is_new ? keyfile_open_new(KEYFILE_NODE, left, bytes_of(NULL, 0), found)
                       : keyfile_open(KEYFILE_NODE, left, bytes_of(NULL, 0), found);
    bool is_same = !fault && memcmp(found, wanted, sizeof *found) == 0;

    keyfile_free(found);
    return is_same;
}

static bool has_next(const char *left, const uint8_t wanted[SEED_SIZE], bool is_new)
{
    uint8_t found[SEED_SIZE];
    int fault = is_new ? keyfile_open_next_new(KEYFILE_NODE, left, bytes_of(NULL, 0), found)
                       : keyfile_open_next(KEYFILE_NODE, left, bytes_of(NULL, 0), found);

    return !fault && memcmp(found, wanted, SEED_SIZE) == 0;
}

/* As a node does when it starts, and whoever rotates again. */
static const char *check_rotated(const char *left)
{
    if (is_chain(left, chain) && !is_made)
        return has_key(left, keys, false) && has_next(left, next_seed, false)
                   ? NULL
                   : "the chain is the old one, and its keys are not there";
    if (!is_chain(left, longer))
        return is_made ? "the rotation that was told is lost" : "there is no chain";
    if (!has_key(left, new_keys, false) &&
        !(has_key(left, new_keys, true) && keyfile_take_new(KEYFILE_NODE, left, false) == 0 &&
          has_key(left, new_keys, false)))
        return "the chain is the new one, and its key is not there";
    if (!has_next(left, new_next_seed, false) &&
        !(has_next(left, new_next_seed, true) && keyfile_take_new(KEYFILE_NODE, left, true) == 0 &&
          has_next(left, new_next_seed, false)))
        return "the chain is the new one, and the next key is not there";
    return NULL;
}

static void judge_rotation(const char *left, uint64_t seed)
{
    const char *wrong;

    mkdir(left, 0700);
    disk_cut(left, seed);
    disk_leave();
    wrong = check_rotated(left);
    if (wrong)
        fprintf(stderr, "rotation, cut %llu: %s\n", (unsigned long long)seed, wrong);
    remove_directory(left);
    _exit(wrong != NULL);
}

static void cut_rotation(void *context)
{
    (void)context;
    cut_many(judge_rotation, KEY_CUTS);
}

START_TEST(a_rotation_that_is_cut_off_leaves_the_old_keys_or_the_new)
{
    const struct bytes none = {0};
    char state[80];

    keys = keyfile_new();
    new_keys = keyfile_new();
    memset(keys, 3, sizeof *keys);
    memset(next_seed, 4, sizeof next_seed);
    *new_keys = *keys;
    memcpy(new_keys->seed, next_seed, sizeof next_seed);
    memset(new_next_seed, 5, sizeof new_next_seed);
    snprintf(state, sizeof state, "%s/state", folder);
    ck_assert_int_eq(mkdir(state, 0700), 0);
    disk_watch(state);
    ck_assert_int_eq(keyfile_create(KEYFILE_NODE, state, keys, next_seed, none, chain), 0);
    is_made = false;
    disk_at_sync(cut_rotation, NULL);
    ck_assert_int_eq(keyfile_prepare_next(KEYFILE_NODE, state, new_next_seed, none), 0);
    ck_assert_int_eq(keyfile_prepare(KEYFILE_NODE, state, new_keys, none), 0);
    ck_assert_int_eq(keyfile_commit(KEYFILE_NODE, state, longer), 0);
    is_made = true;
    ck_assert_int_eq(keyfile_take_new(KEYFILE_NODE, state, true), 0);
    cut_rotation(NULL);
    disk_leave();
    keyfile_free(keys);
    keyfile_free(new_keys);
    ck_assert_uint_ge(cuts, 8 * seeds_wanted(KEY_CUTS));
    ck_assert_uint_eq(losses, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("power_cuts");
    TCase *tests = tcase_create("store");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, make, unmake);
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, a_power_cut_at_any_sync_loses_nothing_that_was_told);
    tcase_add_test(tests, a_node_that_told_before_its_sync_would_be_found_out);
    tcase_add_test(tests, a_power_cut_while_pecks_are_filed_loses_none);
    tcase_add_test(tests, keys_are_whole_after_a_power_cut_or_can_be_made_again);
    tcase_add_test(tests, a_rotation_that_is_cut_off_leaves_the_old_keys_or_the_new);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
