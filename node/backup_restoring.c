/* A backup is put back: into a folder beside, then each file to its place, the key last. */
#include "backup_parts.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAGE "restoring" /* a folder in the state folder: what is not in its place yet */

/* Where one of these is, there is a node, or what is left of one. */
static const char *const node_files[] = {"node.key",    "node.key.new", "node.chain",
                                         "node.db",     "node.db-wal",  "directory.db",
                                         RESTORED_FILE, "network",      NEWER_CHAIN_FILE};

struct restoring_files {
    const char *folder; /* the state folder */
    char *problem;
    char about_text[512];
    size_t about_size;
    bool has_about, is_about;
    bool has[KEPT_FILES];
    int file; /* the one that is being written */
    uint64_t left;
};

static int begin_file(void *context, const char *name, uint64_t size)
{
    struct restoring_files *restoring = context;
    int which = backup_find_file(name);
    char path[PATH_SIZE];

    restoring->is_about = strcmp(name, ABOUT) == 0;
    restoring->left = size;
    if (restoring->is_about) {
        if (restoring->has_about || size >= sizeof restoring->about_text)
            return backup_say(restoring->problem, FAULT_CORRUPT,
                              "it says twice, or at length, whose it is");
        restoring->has_about = true;
        return 0;
    }
    if (which < 0 || restoring->has[which])
        return backup_say(restoring->problem, FAULT_CORRUPT,
                          "it has a file that no backup has, or one twice: %s",
                          which < 0 ? "unknown" : backup_kept_files[which].name);
    snprintf(path, sizeof path, "%s/" STAGE "/%s", restoring->folder, name);
    restoring->file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (restoring->file < 0)
        return backup_say(restoring->problem, backup_fault_of(errno), "cannot write %s: %s", path,
                          strerror(errno));
    restoring->has[which] = true;
    return 0;
}

static int put_bytes(void *context, struct bytes bytes)
{
    struct restoring_files *restoring = context;

    if (restoring->is_about) {
        memcpy(restoring->about_text + restoring->about_size, bytes.data, bytes.size);
        restoring->about_size += bytes.size;
        return 0;
    }
    while (bytes.size > 0) {
        ssize_t put = write(restoring->file, bytes.data, bytes.size);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return backup_say(restoring->problem, backup_fault_of(errno), "cannot write in %s: %s",
                              restoring->folder, strerror(errno));
        bytes = bytes_of(bytes.data + put, bytes.size - (size_t)put);
    }
    return 0;
}

static int end_file(void *context)
{
    struct restoring_files *restoring = context;
    int fault = 0;

    if (restoring->is_about)
        return 0;
    if (fsync(restoring->file) != 0)
        fault = backup_say(restoring->problem, backup_fault_of(errno), "cannot write in %s: %s",
                           restoring->folder, strerror(errno));
    close(restoring->file);
    restoring->file = -1;
    return fault;
}

/* What a restore that was cut off has left. */
static void clear_stage(const char *folder, bool with_placed)
{
    char path[PATH_SIZE];

    for (size_t i = 0; i < KEPT_FILES; i++) {
        snprintf(path, sizeof path, "%s/" STAGE "/%s", folder, backup_kept_files[i].name);
        unlink(path);
        snprintf(path, sizeof path, "%s/%s", folder, backup_kept_files[i].name);
        if (with_placed)
            unlink(path);
    }
    snprintf(path, sizeof path, "%s/" STAGE "/" RESTORED_FILE, folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/" RESTORED_FILE, folder);
    if (with_placed)
        unlink(path);
    snprintf(path, sizeof path, "%s/" STAGE, folder);
    rmdir(path);
}

/* With the stage there and no key, all that is there of a node was being restored. */
static int judge_folder(const char *folder, char *problem)
{
    if (backup_is_there(folder, STAGE) && !backup_is_there(folder, "node.key"))
        clear_stage(folder, true);
    for (size_t i = 0; i < sizeof node_files / sizeof *node_files; i++)
        if (backup_is_there(folder, node_files[i]))
            return backup_say(
                problem, FAULT_BUSY,
                "%s holds a node, or what is left of one (%s): nothing is overwritten; move it "
                "away, or name another --state-dir",
                folder, node_files[i]);
    return 0;
}

static int write_restored(const char *folder, uint64_t restored_ms, bool alone)
{
    char path[PATH_SIZE];
    int file, fault = 0;

    snprintf(path, sizeof path, "%s/" STAGE "/" RESTORED_FILE, folder);
    file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return backup_fault_of(errno);
    if (dprintf(file, "%" PRIu64 "%s\n", restored_ms, alone ? " alone" : "") < 0 ||
        fsync(file) != 0)
        fault = backup_fault_of(errno);
    close(file);
    return fault;
}

static int put_in_place(const char *folder, const char *name)
{
    char from[PATH_SIZE], to[PATH_SIZE];

    snprintf(from, sizeof from, "%s/" STAGE "/%s", folder, name);
    snprintf(to, sizeof to, "%s/%s", folder, name);
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 ? 0
                                                                          : backup_fault_of(errno);
}

/* The name of each before the key's: where it stands, the others do too, whatever order the disk has. */
static int place_all(const struct restoring_files *restoring)
{
    const char *folder = restoring->folder;
    char stage[PATH_SIZE];
    int fault;

    snprintf(stage, sizeof stage, "%s/" STAGE, folder);
    fault = backup_sync_folder(stage);
    if (!fault)
        fault = put_in_place(folder, RESTORED_FILE);
    for (size_t i = 0; i < KEPT_FILES && !fault; i++) {
        if (i == KEPT_FILES - 1)
            fault = backup_sync_folder(folder);
        if (!fault && restoring->has[i])
            fault = put_in_place(folder, backup_kept_files[i].name);
    }
    if (!fault)
        fault = backup_sync_folder(folder);
    rmdir(stage);
    return fault;
}

static int judge_contents(struct restoring_files *restoring, struct backup_about *about)
{
    enum certificate_verdict verdict;
    char path[PATH_SIZE];
    struct bytes chain;
    struct id node;
    int fault;

    for (size_t i = 0; i < KEPT_FILES; i++)
        if (backup_kept_files[i].is_needed && !restoring->has[i])
            return backup_say(restoring->problem, FAULT_CORRUPT, "it has no %s",
                              backup_kept_files[i].name);
    restoring->about_text[restoring->about_size] = 0;
    if (!restoring->has_about || !backup_read_about(restoring->about_text, about))
        return backup_say(restoring->problem, FAULT_CORRUPT, "it does not say whose it is");
    snprintf(path, sizeof path, "%s/" STAGE "/node.chain", restoring->folder);
    fault = backup_read_file(path, &chain);
    if (fault)
        return backup_say(restoring->problem, fault, "cannot read %s: %s", path, fault_text(fault));
    verdict = backup_read_identity(chain, &node);
    backup_forget(&chain);
    if (verdict != CERTIFICATE_TAKEN || !id_equal(&node, &about->node))
        return backup_say(restoring->problem, FAULT_CORRUPT,
                          "its certificates are not those of its node");
    if (clock_wall_ms() < about->made_ms)
        return backup_say(
            restoring->problem, FAULT_CONFIG,
            "the clock of this host is before the time at which the backup was made: set it; "
            "what the node says next must be newer than what it said");
    return 0;
}

static int unpack(struct restoring_files *restoring, int file, struct bytes passphrase)
{
    struct backup_taker taker = {begin_file, put_bytes, end_file, restoring};
    enum backup_verdict verdict;
    int fault;

    verdict = backup_read(file, passphrase, &taker, &fault);
    if (restoring->file >= 0)
        close(restoring->file);
    restoring->file = -1;
    if (fault && !restoring->problem[0])
        return backup_say(restoring->problem, fault, "%s", fault_text(fault));
    if (!fault && verdict != BACKUP_TAKEN)
        fault = backup_say(restoring->problem,
                           verdict == BACKUP_PASSPHRASE ? FAULT_PASSPHRASE : FAULT_CORRUPT, "%s",
                           backup_verdict_text(verdict));
    return fault;
}

static int restore_from(struct restoring_files *restoring, int file, struct bytes passphrase,
                        bool alone, struct backup_about *about)
{
    char stage[PATH_SIZE];
    int fault;

    snprintf(stage, sizeof stage, "%s/" STAGE, restoring->folder);
    clear_stage(restoring->folder, false);
    if (mkdir(stage, 0700) != 0)
        return backup_say(restoring->problem, backup_fault_of(errno), "cannot make %s: %s", stage,
                          strerror(errno));
    fault = unpack(restoring, file, passphrase);
    if (!fault)
        fault = judge_contents(restoring, about);
    if (!fault) {
        fault = write_restored(restoring->folder, clock_wall_ms(), alone);
        if (!fault)
            fault = place_all(restoring);
        if (fault)
            backup_say(restoring->problem, fault, "cannot put the node in %s: %s",
                       restoring->folder, fault_text(fault));
    }
    if (fault)
        clear_stage(restoring->folder, !backup_is_there(restoring->folder, "node.key"));
    return fault;
}

static int lock_folder(const char *folder, int *lock, char *problem)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "%s/lock", folder);
    *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*lock < 0)
        return backup_say(problem, backup_fault_of(errno), "cannot use %s: %s", folder,
                          strerror(errno));
    if (flock(*lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    close(*lock);
    return backup_say(problem, FAULT_BUSY, "a ducknode runs in %s", folder);
}

int backup_restore(const struct options *options, const char *path, struct bytes passphrase,
                   bool alone, struct backup_about *about, char problem[BACKUP_PROBLEM_SIZE])
{
    struct restoring_files restoring = {
        .folder = options->state_dir, .problem = problem, .file = -1};
    struct stat status;
    int lock, file, fault;

    *about = (struct backup_about){0};
    problem[0] = 0;
    file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return backup_say(problem, backup_fault_of(errno), "cannot read %s: %s", path,
                          strerror(errno));
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(file);
        return backup_say(problem, FAULT_FILE, "%s is no file", path);
    }
    about->size = (uint64_t)status.st_size;
    fault = lock_folder(options->state_dir, &lock, problem);
    if (!fault) {
        fault = judge_folder(options->state_dir, problem);
        if (!fault)
            fault = restore_from(&restoring, file, passphrase, alone, about);
        close(lock);
    }
    close(file);
    return fault;
}
