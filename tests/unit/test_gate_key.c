/* The gateway's key: a power cut while it is made, and each file call that fails once. */
#include "disk.h"
#include "folder.h"
#include "gate_key.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define CUTS 16 /* at each sync */

static struct folder folder;
static char state[80], left[80], path[96];
static struct gate_key made;
static bool is_told; /* hashes were made with it */
static size_t cuts, losses;

static void make(void)
{
    folder = folder_make();
    snprintf(state, sizeof state, "%s/state", folder.path);
    snprintf(left, sizeof left, "%s/left", folder.path);
    snprintf(path, sizeof path, "%s/gate.key", state);
    ck_assert_int_eq(mkdir(state, 0700), 0);
    is_told = false;
    cuts = losses = 0;
}

static void unmake(void)
{
    folder_remove(&folder);
}

/* In a process of its own. */
static void judge(uint64_t seed)
{
    struct gate_key found;
    bool is_fine;

    mkdir(left, 0700);
    disk_cut(left, seed);
    disk_leave();
    disk_watch(left); /* no sync of it takes time */
    snprintf(path, sizeof path, "%s/gate.key", left);
    is_fine =
        gate_key_open(path, &found) == 0 && (!is_told || memcmp(&found, &made, sizeof made) == 0);
    nftw(left, folder_drop_entry, 8, FTW_DEPTH | FTW_PHYS);
    _exit(!is_fine);
}

static void cut_here(void *context)
{
    (void)context;
    for (uint64_t seed = 0; seed < CUTS; seed++, cuts++) {
        pid_t child = fork();
        int status;

        ck_assert_int_ge(child, 0);
        if (child == 0)
            judge(seed);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status));
        losses += WEXITSTATUS(status) != 0;
    }
}

START_TEST(a_power_cut_leaves_the_key_whole_or_none)
{
    disk_watch(state);
    disk_at_sync(cut_here, NULL);
    ck_assert_int_eq(gate_key_open(path, &made), 0);
    is_told = true;
    cut_here(NULL);
    disk_leave();
    ck_assert_uint_eq(losses, 0);
    ck_assert_uint_ge(cuts, 3 * CUTS);
}
END_TEST

START_TEST(each_file_call_fails_once_and_then_there_is_a_key)
{
    static const int causes[] = {EIO, ENOSPC};
    struct gate_key again;
    size_t call = 1;

    for (bool has_failed = true; has_failed; call++) {
        disk_watch(state);
        disk_fail(call, causes[_i]);
        if (gate_key_open(path, &made) != 0)
            ck_assert_int_eq(gate_key_open(path, &made), 0);
        has_failed = disk_failed_call() != NULL;
        disk_fail(0, 0);
        ck_assert_int_eq(gate_key_open(path, &again), 0);
        ck_assert_mem_eq(&made, &again, sizeof made);
        disk_leave();
        ck_assert_int_eq(unlink(path), 0);
    }
    ck_assert_uint_gt(call, 7);
}
END_TEST

START_TEST(what_is_sealed_opens_for_its_purpose_and_whole_only)
{
    uint8_t sealed[5 + GATE_SEAL_MORE], plain[5 + GATE_SEAL_MORE];
    struct gate_key key = {{1}}, other = {{2}};

    gate_key_seal(&key, "letter", bytes_of("hello", 5), sealed);
    ck_assert(gate_key_unseal(&key, "letter", bytes_of(sealed, sizeof sealed), plain));
    ck_assert_mem_eq(plain, "hello", 5);
    ck_assert(!gate_key_unseal(&key, "secret", bytes_of(sealed, sizeof sealed), plain));
    ck_assert(!gate_key_unseal(&other, "letter", bytes_of(sealed, sizeof sealed), plain));
    ck_assert(!gate_key_unseal(&key, "letter", bytes_of(sealed, sizeof sealed - 1), plain));
    ck_assert(!gate_key_unseal(&key, "letter", bytes_of(sealed, 3), plain));
    for (size_t i = 0; i < sizeof sealed; i++) {
        sealed[i] ^= 1;
        ck_assert(!gate_key_unseal(&key, "letter", bytes_of(sealed, sizeof sealed), plain));
        sealed[i] ^= 1;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gate_key");
    TCase *tests = tcase_create("key");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, make, unmake);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_power_cut_leaves_the_key_whole_or_none);
    tcase_add_test(tests, what_is_sealed_opens_for_its_purpose_and_whole_only);
    tcase_add_loop_test(tests, each_file_call_fails_once_and_then_there_is_a_key, 0, 2);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
