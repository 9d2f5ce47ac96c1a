#include "backup_parts.h"

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

#define SMALL_FILE_MAX (CHAIN_SIZE_MAX > 1024 * 1024 ? CHAIN_SIZE_MAX : 1024 * 1024)
#define TRIES 5 /* a rotation may come in between, and is over in a moment */

/* In the order in which they are put in their places: the key last. */
const struct kept_file backup_kept_files[KEPT_FILES] = {
    {"node.chain", true},        {"network", true}, {"ducklings.next.pub", false},
    {BACKUP_CONFIG_NAME, false}, {"node.db", true}, {"node.key.new", false},
    {"node.key", true},
};

int backup_say(char problem[BACKUP_PROBLEM_SIZE], int fault, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(problem, BACKUP_PROBLEM_SIZE, format, arguments);
    va_end(arguments);
    return fault;
}

int backup_fault_of(int number)
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

bool backup_read_about(const char *text, struct backup_about *about)
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

int backup_read_file(const char *path, struct bytes *bytes)
{
    int file = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), fault = 0;
    struct stat status;
    uint8_t *data = NULL;
    size_t size = 0;

    *bytes = bytes_of(NULL, 0);
    if (file < 0)
        return errno == ENOENT ? 0 : backup_fault_of(errno);
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

void backup_forget(struct bytes *bytes)
{
    if (bytes->data)
        sodium_memzero((void *)(uintptr_t)bytes->data, bytes->size);
    memory_give_back((void *)(uintptr_t)bytes->data);
    *bytes = bytes_of(NULL, 0);
}

enum certificate_verdict backup_read_identity(struct bytes wire, struct id *node)
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
    fault = backup_read_file(path, bytes);
    return fault ? backup_say(making->problem, fault, "cannot read %s: %s", path, fault_text(fault))
                 : 0;
}

static int read_config(struct making *making, struct bytes *bytes)
{
    const char *path = making->options->config_path;
    int fault = path[0] ? backup_read_file(path, bytes) : 0;

    return fault ? backup_say(making->problem, fault, "cannot read %s: %s", path, fault_text(fault))
                 : 0;
}

static void forget_files(struct making *making)
{
    for (size_t i = 0; i < KEPT_FILES; i++)
        backup_forget(&making->files[i]);
}

int backup_find_file(const char *name)
{
    for (size_t i = 0; i < KEPT_FILES; i++)
        if (strcmp(backup_kept_files[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* Of a rotation the chain takes its place first, then the key (keyfile.h): read in this order, and the chain once
 * more, what is read belongs together, whenever it comes. */
static int read_keys(struct making *making, bool *is_whole)
{
    struct bytes *chain = &making->files[backup_find_file("node.chain")], again;
    int fault = read_state(making, "node.chain", chain);

    if (!fault)
        fault =
            read_state(making, "node.key.new", &making->files[backup_find_file("node.key.new")]);
    if (!fault)
        fault = read_state(making, "node.key", &making->files[backup_find_file("node.key")]);
    if (!fault)
        fault = read_state(making, "node.chain", &again);
    if (fault)
        return fault;
    *is_whole = bytes_equal(*chain, again);
    backup_forget(&again);
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
        fault =
            backup_say(making->problem, FAULT_BUSY, "the node's key is being rotated: try again");
    if (!fault)
        fault = read_state(making, "network", &making->files[backup_find_file("network")]);
    if (!fault)
        fault = read_state(making, "ducklings.next.pub",
                           &making->files[backup_find_file("ducklings.next.pub")]);
    if (!fault)
        fault = read_config(making, &making->files[backup_find_file(BACKUP_CONFIG_NAME)]);
    for (size_t i = 0; i < KEPT_FILES && !fault; i++)
        if (backup_kept_files[i].is_needed && !making->files[i].data &&
            strcmp(backup_kept_files[i].name, "node.db") != 0)
            fault = backup_say(making->problem, FAULT_FILE, "%s holds no %s: there is no node",
                               making->options->state_dir, backup_kept_files[i].name);
    return fault;
}

bool backup_is_there(const char *folder, const char *name)
{
    char path[PATH_SIZE];
    struct stat status;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return lstat(path, &status) == 0;
}

static int describe(struct making *making)
{
    struct bytes network = making->files[backup_find_file("network")];
    struct backup_about *about = making->about;
    enum certificate_verdict verdict =
        backup_read_identity(making->files[backup_find_file("node.chain")], &about->node);

    if (verdict != CERTIFICATE_TAKEN)
        return backup_say(making->problem, FAULT_CORRUPT, "node.chain: %s",
                          certificate_verdict_text(verdict));
    if (network.size < 2 || network.size > NETWORK_ID_MAX + 1 ||
        !bytes_are_name(bytes_of(network.data, network.size - 1)))
        return backup_say(making->problem, FAULT_CORRUPT, "%s/network names no network",
                          making->options->state_dir);
    memcpy(about->network, network.data, network.size - 1);
    about->network[network.size - 1] = 0;
    about->next_keys_are_here = backup_is_there(making->options->state_dir, "node.next.key") ||
                                backup_is_there(making->options->state_dir, "ducklings.next.key");
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
        fault = lock < 0 ? backup_fault_of(errno) : FAULT_BUSY;
        if (lock >= 0)
            close(lock);
        return backup_say(making->problem, fault, "%s: %s", lock_path,
                          fault == FAULT_BUSY ? "another backup is being made" : fault_text(fault));
    }
    making->about->made_ms = clock_wall_ms();
    fault = store_snapshot(path, scratch, &making->database, &making->database_size);
    close(lock);
    return fault ? backup_say(making->problem, fault, "cannot copy %s: %s", path, fault_text(fault))
                 : 0;
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
            fault = backup_write(writer, backup_kept_files[i].name, making->files[i]);
        else if (strcmp(backup_kept_files[i].name, "node.db") == 0)
            fault = backup_write_file(writer, backup_kept_files[i].name, making->database,
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

int backup_sync_folder(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fault = folder >= 0 && fsync(folder) == 0 ? 0 : backup_fault_of(errno);

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
        return renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_NOREPLACE) == 0
                   ? 0
                   : backup_fault_of(errno);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 ? 0
                                                                          : backup_fault_of(errno);
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
        return backup_say(making->problem, backup_fault_of(errno), "cannot write in %s: %s", folder,
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
        fault = backup_sync_folder(folder);
    return fault ? backup_say(making->problem, fault, "%s: %s", path,
                              fault == FAULT_BUSY ? "there is a file of this name"
                                                  : fault_text(fault))
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
        return backup_say(problem, FAULT_TOO_LARGE, "the name of the file is too long");
    if (lstat(path, &status) == 0)
        return backup_say(problem, FAULT_BUSY, "%s: there is a file of this name", path);
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
