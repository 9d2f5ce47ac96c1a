#include "backup_files.h"

#include "clock.h"
#include "core/certificate.h"
#include "keyfile.h"
#include "log.h"
#include "store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE (OPTIONS_PATH_SIZE + 64)
#define SMALL_FILE_MAX (CHAIN_SIZE_MAX > 1024 * 1024 ? CHAIN_SIZE_MAX : 1024 * 1024)
#define TRIES 5           /* a rotation may come in between, and is over in a moment */
#define STAGE "restoring" /* a folder in the state folder: what is not in its place yet */
#define ABOUT "about"

struct kept_file {
    const char *name; /* in the backup and in the state folder */
    bool is_needed;
};

/* In the order in which they are put in their places: the key last. */
static const struct kept_file kept_files[] = {
    {"node.chain", true},        {"network", true}, {"ducklings.next.pub", false},
    {BACKUP_CONFIG_NAME, false}, {"node.db", true}, {"node.key.new", false},
    {"node.key", true},
};
#define KEPT_FILES (sizeof kept_files / sizeof *kept_files)

/* Where one of these is, there is a node, or what is left of one. */
static const char *const node_files[] = {"node.key",    "node.key.new", "node.chain",
                                         "node.db",     "node.db-wal",  "directory.db",
                                         RESTORED_FILE, "network",      NEWER_CHAIN_FILE};

static int say(char problem[BACKUP_PROBLEM_SIZE], int fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int say(char problem[BACKUP_PROBLEM_SIZE], int fault, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(problem, BACKUP_PROBLEM_SIZE, format, arguments);
    va_end(arguments);
    return fault;
}

static int fault_of(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return FAULT_DISK_FULL;
    case EACCES:
    case EPERM:
    case ELOOP:
        return FAULT_PERMISSIONS;
    case EEXIST:
        return FAULT_BUSY;
    default:
        return FAULT_FILE;
    }
}

/* ---- about ---- */

static void write_about(const struct backup_about *about, char text[512])
{
    char node[ID_TEXT_SIZE];

    snprintf(text, 512, "node %s\nnetwork %s\nmade_ms %" PRIu64 "\n",
             id_text(ID_NODE, &about->node, node), about->network, about->made_ms);
}

static bool read_about(const char *text, struct backup_about *about)
{
    char node[ID_TEXT_SIZE], network[NETWORK_ID_MAX + 1];
    uint64_t made_ms;
    int end = 0;

    static_assert(ID_TEXT_SIZE > 36 && NETWORK_ID_MAX == 32, "the widths below");
    if (sscanf(text, "node %36s\nnetwork %32s\nmade_ms %" SCNu64 "\n%n", node, network, &made_ms,
               &end) != 3 ||
        text[end] != 0 || made_ms == 0 || !id_parse(ID_NODE, bytes_of_text(node), &about->node))
        return false;
    memcpy(about->network, network, sizeof network);
    about->made_ms = made_ms;
    return true;
}

/* ---- reading what there is ---- */

/* `bytes->data` is owned, NULL when there is no such file; a link is refused. */
static int read_file(const char *path, struct bytes *bytes)
{
    int file = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), fault = 0;
    struct stat status;
    uint8_t *data = NULL;
    size_t size = 0;

    *bytes = bytes_of(NULL, 0);
    if (file < 0)
        return errno == ENOENT ? 0 : fault_of(errno);
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode))
        fault = FAULT_FILE;
    else if (status.st_size > (off_t)SMALL_FILE_MAX)
        fault = FAULT_TOO_LARGE;
    if (!fault)
        data = memory_take(SMALL_FILE_MAX + 1);
    while (!fault && size <= SMALL_FILE_MAX) {
        ssize_t got = read(file, data + size, SMALL_FILE_MAX + 1 - size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            fault = FAULT_FILE;
        if (got <= 0)
            break;
        size += (size_t)got;
    }
    close(file);
    if (fault) {
        memory_give_back(data);
        return fault;
    }
    *bytes = bytes_of(data, size);
    return 0;
}

static void forget(struct bytes *bytes)
{
    if (bytes->data)
        sodium_memzero((void *)(uintptr_t)bytes->data, bytes->size);
    memory_give_back((void *)(uintptr_t)bytes->data);
    *bytes = bytes_of(NULL, 0);
}

static enum certificate_verdict read_identity(struct bytes wire, struct id *node)
{
    enum certificate_verdict verdict;
    struct chain chain;
    struct arena arena;

    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    verdict =
        wire.size <= CHAIN_SIZE_MAX ? chain_open(wire, &arena, &chain) : CERTIFICATE_MALFORMED;
    if (verdict == CERTIFICATE_TAKEN && chain.kind != IDENTITY_NODE)
        verdict = CERTIFICATE_MALFORMED;
    if (verdict == CERTIFICATE_TAKEN)
        *node = chain.identity;
    arena_free(&arena);
    return verdict;
}

/* ---- making one ---- */

struct making {
    const struct options *options;
    struct backup_about *about;
    char *problem;
    struct bytes files[KEPT_FILES]; /* owned; of node.db nothing */
    int database;
    uint64_t database_size;
};

static int read_state(struct making *making, const char *name, struct bytes *bytes)
{
    char path[PATH_SIZE];
    int fault;

    snprintf(path, sizeof path, "%s/%s", making->options->state_dir, name);
    fault = read_file(path, bytes);
    return fault ? say(making->problem, fault, "cannot read %s: %s", path, fault_text(fault)) : 0;
}

static int read_config(struct making *making, struct bytes *bytes)
{
    const char *path = making->options->config_path;
    int fault = path[0] ? read_file(path, bytes) : 0;

    return fault ? say(making->problem, fault, "cannot read %s: %s", path, fault_text(fault)) : 0;
}

static void forget_files(struct making *making)
{
    for (size_t i = 0; i < KEPT_FILES; i++)
        forget(&making->files[i]);
}

static int find_file(const char *name)
{
    for (size_t i = 0; i < KEPT_FILES; i++)
        if (strcmp(kept_files[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* Of a rotation the chain takes its place first, then the key (keyfile.h): read in this order, and the chain once
 * more, what is read belongs together, whenever it comes. */
static int read_keys(struct making *making, bool *is_whole)
{
    struct bytes *chain = &making->files[find_file("node.chain")], again;
    int fault = read_state(making, "node.chain", chain);

    if (!fault)
        fault = read_state(making, "node.key.new", &making->files[find_file("node.key.new")]);
    if (!fault)
        fault = read_state(making, "node.key", &making->files[find_file("node.key")]);
    if (!fault)
        fault = read_state(making, "node.chain", &again);
    if (fault)
        return fault;
    *is_whole = bytes_equal(*chain, again);
    forget(&again);
    return 0;
}

static int read_files(struct making *making)
{
    bool is_whole = false;
    int fault = 0;

    for (int i = 0; i < TRIES && !fault && !is_whole; i++) {
        forget_files(making);
        fault = read_keys(making, &is_whole);
    }
    if (!fault && !is_whole)
        fault = say(making->problem, FAULT_BUSY, "the node's key is being rotated: try again");
    if (!fault)
        fault = read_state(making, "network", &making->files[find_file("network")]);
    if (!fault)
        fault = read_state(making, "ducklings.next.pub",
                           &making->files[find_file("ducklings.next.pub")]);
    if (!fault)
        fault = read_config(making, &making->files[find_file(BACKUP_CONFIG_NAME)]);
    for (size_t i = 0; i < KEPT_FILES && !fault; i++)
        if (kept_files[i].is_needed && !making->files[i].data &&
            strcmp(kept_files[i].name, "node.db") != 0)
            fault = say(making->problem, FAULT_FILE, "%s holds no %s: there is no node",
                        making->options->state_dir, kept_files[i].name);
    return fault;
}

static bool is_there(const char *folder, const char *name)
{
    char path[PATH_SIZE];
    struct stat status;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return lstat(path, &status) == 0;
}

static int describe(struct making *making)
{
    struct bytes network = making->files[find_file("network")];
    struct backup_about *about = making->about;
    enum certificate_verdict verdict =
        read_identity(making->files[find_file("node.chain")], &about->node);

    if (verdict != CERTIFICATE_TAKEN)
        return say(making->problem, FAULT_CORRUPT, "node.chain: %s",
                   certificate_verdict_text(verdict));
    if (network.size < 2 || network.size > NETWORK_ID_MAX + 1 ||
        !bytes_are_name(bytes_of(network.data, network.size - 1)))
        return say(making->problem, FAULT_CORRUPT, "%s/network names no network",
                   making->options->state_dir);
    memcpy(about->network, network.data, network.size - 1);
    about->network[network.size - 1] = 0;
    about->next_keys_are_here = is_there(making->options->state_dir, "node.next.key") ||
                                is_there(making->options->state_dir, "ducklings.next.key");
    return 0;
}

/* One at a time: the copy has a name for a moment. */
static int copy_database(struct making *making)
{
    char path[PATH_SIZE], scratch[PATH_SIZE], lock_path[PATH_SIZE];
    int lock, fault;

    snprintf(path, sizeof path, "%s/node.db", making->options->state_dir);
    snprintf(scratch, sizeof scratch, "%s/node.db.backup", making->options->state_dir);
    snprintf(lock_path, sizeof lock_path, "%s/backup.lock", making->options->state_dir);
    lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0) {
        fault = lock < 0 ? fault_of(errno) : FAULT_BUSY;
        if (lock >= 0)
            close(lock);
        return say(making->problem, fault, "%s: %s", lock_path,
                   fault == FAULT_BUSY ? "another backup is being made" : fault_text(fault));
    }
    making->about->made_ms = clock_wall_ms();
    fault = store_snapshot(path, scratch, &making->database, &making->database_size);
    close(lock);
    return fault ? say(making->problem, fault, "cannot copy %s: %s", path, fault_text(fault)) : 0;
}

static int write_files(struct making *making, int file, struct bytes passphrase)
{
    struct backup_writer *writer = NULL;
    char about[512];
    int fault = backup_writer_open(&writer, file, passphrase);

    write_about(making->about, about);
    if (!fault)
        fault = backup_write(writer, ABOUT, bytes_of_text(about));
    for (size_t i = 0; i < KEPT_FILES && !fault; i++) {
        if (making->files[i].data)
            fault = backup_write(writer, kept_files[i].name, making->files[i]);
        else if (strcmp(kept_files[i].name, "node.db") == 0)
            fault = backup_write_file(writer, kept_files[i].name, making->database,
                                      making->database_size);
    }
    if (!fault)
        fault = backup_finish(writer);
    backup_writer_close(writer);
    return fault;
}

static void folder_of(const char *path, char folder[PATH_SIZE])
{
    const char *slash = strrchr(path, '/');

    if (slash)
        snprintf(folder, PATH_SIZE, "%.*s", (int)(slash - path) + 1, path);
    else
        snprintf(folder, PATH_SIZE, ".");
}

static int sync_folder(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fault = folder >= 0 && fsync(folder) == 0 ? 0 : fault_of(errno);

    if (folder >= 0)
        close(folder);
    return fault;
}

static int open_named(const char *path)
{
    unlink(path);
    return open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* It gets its name when it is whole. A file system that has no files without names takes one of another name, and
 * whoever is killed leaves that. */
static int open_nameless(const char *folder, const char *fresh, bool *has_name)
{
    int file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    *has_name = false;
    if (file >= 0)
        return file;
    *has_name = errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL;
    return *has_name ? open_named(fresh) : -1;
}

static int give_name(int file, const char *fresh, bool has_name, const char *path)
{
    char self[64];

    snprintf(self, sizeof self, "/proc/self/fd/%d", file);
    if (has_name)
        return renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_NOREPLACE) == 0 ? 0
                                                                                 : fault_of(errno);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 ? 0 : fault_of(errno);
}

static int write_backup(struct making *making, const char *path, struct bytes passphrase)
{
    char folder[PATH_SIZE], fresh[PATH_SIZE];
    bool has_name;
    struct stat status;
    int file, fault;

    folder_of(path, folder);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    file = open_nameless(folder, fresh, &has_name);
    if (file < 0)
        return say(making->problem, fault_of(errno), "cannot write in %s: %s", folder,
                   strerror(errno));
    fault = write_files(making, file, passphrase);
    if (!fault && fstat(file, &status) == 0)
        making->about->size = (uint64_t)status.st_size;
    if (!fault)
        fault = give_name(file, fresh, has_name, path);
    if (fault && has_name)
        unlink(fresh);
    close(file);
    if (!fault)
        fault = sync_folder(folder);
    return fault ? say(making->problem, fault, "%s: %s", path,
                       fault == FAULT_BUSY ? "there is a file of this name" : fault_text(fault))
                 : 0;
}

int backup_make(const struct options *options, const char *path, struct bytes passphrase,
                struct backup_about *about, char problem[BACKUP_PROBLEM_SIZE])
{
    struct making making = {.options = options, .about = about, .problem = problem, .database = -1};
    struct stat status;
    int fault = 0;

    *about = (struct backup_about){0};
    if (strlen(path) >= OPTIONS_PATH_SIZE)
        return say(problem, FAULT_TOO_LARGE, "the name of the file is too long");
    if (lstat(path, &status) == 0)
        return say(problem, FAULT_BUSY, "%s: there is a file of this name", path);
    fault = read_files(&making);
    if (!fault)
        fault = describe(&making);
    if (!fault)
        fault = copy_database(&making);
    if (!fault)
        fault = write_backup(&making, path, passphrase);
    forget_files(&making);
    if (making.database >= 0)
        close(making.database);
    return fault;
}

/* ---- putting one back ---- */

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
    int which = find_file(name);
    char path[PATH_SIZE];

    restoring->is_about = strcmp(name, ABOUT) == 0;
    restoring->left = size;
    if (restoring->is_about) {
        if (restoring->has_about || size >= sizeof restoring->about_text)
            return say(restoring->problem, FAULT_CORRUPT,
                       "it says twice, or at length, whose it is");
        restoring->has_about = true;
        return 0;
    }
    if (which < 0 || restoring->has[which])
        return say(restoring->problem, FAULT_CORRUPT,
                   "it has a file that no backup has, or one twice: %s",
                   which < 0 ? "unknown" : kept_files[which].name);
    snprintf(path, sizeof path, "%s/" STAGE "/%s", restoring->folder, name);
    restoring->file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (restoring->file < 0)
        return say(restoring->problem, fault_of(errno), "cannot write %s: %s", path,
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
            return say(restoring->problem, fault_of(errno), "cannot write in %s: %s",
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
        fault = say(restoring->problem, fault_of(errno), "cannot write in %s: %s",
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
        snprintf(path, sizeof path, "%s/" STAGE "/%s", folder, kept_files[i].name);
        unlink(path);
        snprintf(path, sizeof path, "%s/%s", folder, kept_files[i].name);
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
    if (is_there(folder, STAGE) && !is_there(folder, "node.key"))
        clear_stage(folder, true);
    for (size_t i = 0; i < sizeof node_files / sizeof *node_files; i++)
        if (is_there(folder, node_files[i]))
            return say(
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
        return fault_of(errno);
    if (dprintf(file, "%" PRIu64 "%s\n", restored_ms, alone ? " alone" : "") < 0 ||
        fsync(file) != 0)
        fault = fault_of(errno);
    close(file);
    return fault;
}

static int put_in_place(const char *folder, const char *name)
{
    char from[PATH_SIZE], to[PATH_SIZE];

    snprintf(from, sizeof from, "%s/" STAGE "/%s", folder, name);
    snprintf(to, sizeof to, "%s/%s", folder, name);
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 ? 0 : fault_of(errno);
}

/* The name of each before the key's: where it stands, the others do too, whatever order the disk has. */
static int place_all(const struct restoring_files *restoring)
{
    const char *folder = restoring->folder;
    char stage[PATH_SIZE];
    int fault;

    snprintf(stage, sizeof stage, "%s/" STAGE, folder);
    fault = sync_folder(stage);
    if (!fault)
        fault = put_in_place(folder, RESTORED_FILE);
    for (size_t i = 0; i < KEPT_FILES && !fault; i++) {
        if (i == KEPT_FILES - 1)
            fault = sync_folder(folder);
        if (!fault && restoring->has[i])
            fault = put_in_place(folder, kept_files[i].name);
    }
    if (!fault)
        fault = sync_folder(folder);
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
        if (kept_files[i].is_needed && !restoring->has[i])
            return say(restoring->problem, FAULT_CORRUPT, "it has no %s", kept_files[i].name);
    restoring->about_text[restoring->about_size] = 0;
    if (!restoring->has_about || !read_about(restoring->about_text, about))
        return say(restoring->problem, FAULT_CORRUPT, "it does not say whose it is");
    snprintf(path, sizeof path, "%s/" STAGE "/node.chain", restoring->folder);
    fault = read_file(path, &chain);
    if (fault)
        return say(restoring->problem, fault, "cannot read %s: %s", path, fault_text(fault));
    verdict = read_identity(chain, &node);
    forget(&chain);
    if (verdict != CERTIFICATE_TAKEN || !id_equal(&node, &about->node))
        return say(restoring->problem, FAULT_CORRUPT, "its certificates are not those of its node");
    if (clock_wall_ms() < about->made_ms)
        return say(
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
        return say(restoring->problem, fault, "%s", fault_text(fault));
    if (!fault && verdict != BACKUP_TAKEN)
        fault =
            say(restoring->problem, verdict == BACKUP_PASSPHRASE ? FAULT_PASSPHRASE : FAULT_CORRUPT,
                "%s", backup_verdict_text(verdict));
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
        return say(restoring->problem, fault_of(errno), "cannot make %s: %s", stage,
                   strerror(errno));
    fault = unpack(restoring, file, passphrase);
    if (!fault)
        fault = judge_contents(restoring, about);
    if (!fault) {
        fault = write_restored(restoring->folder, clock_wall_ms(), alone);
        if (!fault)
            fault = place_all(restoring);
        if (fault)
            say(restoring->problem, fault, "cannot put the node in %s: %s", restoring->folder,
                fault_text(fault));
    }
    if (fault)
        clear_stage(restoring->folder, !is_there(restoring->folder, "node.key"));
    return fault;
}

static int lock_folder(const char *folder, int *lock, char *problem)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "%s/lock", folder);
    *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*lock < 0)
        return say(problem, fault_of(errno), "cannot use %s: %s", folder, strerror(errno));
    if (flock(*lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    close(*lock);
    return say(problem, FAULT_BUSY, "a ducknode runs in %s", folder);
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
        return say(problem, fault_of(errno), "cannot read %s: %s", path, strerror(errno));
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(file);
        return say(problem, FAULT_FILE, "%s is no file", path);
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

/* ---- the first start ---- */

int restored_file_read(const char *folder, uint64_t *restored_ms, bool *alone)
{
    char path[PATH_SIZE], word[8] = "";
    struct bytes text;
    char line[64];
    int fault, end = 0, found;

    *restored_ms = 0;
    *alone = false;
    snprintf(path, sizeof path, "%s/" RESTORED_FILE, folder);
    fault = read_file(path, &text);
    if (fault || !text.data)
        return fault;
    snprintf(line, sizeof line, "%.*s", (int)(text.size < 63 ? text.size : 63),
             (const char *)text.data);
    forget(&text);
    found = sscanf(line, "%" SCNu64 "%n %7s", restored_ms, &end, word);
    *alone = found == 2 && strcmp(word, "alone") == 0;
    return found >= 1 && *restored_ms > 0 ? 0 : FAULT_CORRUPT;
}

int restored_file_drop(const char *folder)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "%s/" RESTORED_FILE, folder);
    if (unlink(path) != 0 && errno != ENOENT)
        return fault_of(errno);
    return sync_folder(folder);
}

/* ---- a key that was rotated elsewhere ---- */

int newer_chain_keep(const char *folder, struct bytes chain)
{
    char path[PATH_SIZE], fresh[PATH_SIZE];
    int file, fault = 0;

    snprintf(path, sizeof path, "%s/" NEWER_CHAIN_FILE, folder);
    snprintf(fresh, sizeof fresh, "%s/" NEWER_CHAIN_FILE ".new", folder);
    unlink(fresh);
    file = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return fault_of(errno);
    if (write(file, chain.data, chain.size) != (ssize_t)chain.size || fsync(file) != 0)
        fault = fault_of(errno);
    close(file);
    if (!fault && rename(fresh, path) != 0)
        fault = fault_of(errno);
    return fault ? fault : sync_folder(folder);
}

int newer_chain_read(const char *folder, struct bytes *chain)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "%s/" NEWER_CHAIN_FILE, folder);
    return read_file(path, chain);
}

int newer_chain_drop(const char *folder)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "%s/" NEWER_CHAIN_FILE, folder);
    if (unlink(path) != 0 && errno != ENOENT)
        return fault_of(errno);
    return sync_folder(folder);
}
