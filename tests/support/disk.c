/* A file's bytes are what was synced and the changes since, in their order; a folder's names likewise. The kernel
 * has the result of them all, which is what the program reads. */
#include "disk.h"

#include "core/bytes.h"
#include "core/dice.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAMES_MAX 32
#define NAME_SIZE 64
#define FILES_MAX 1024
#define DESCRIPTORS_MAX 1024
#define SECTOR 512
#define PAGE 4096

struct change {
    bool truncates;
    uint64_t at; /* or the size */
    uint8_t *bytes;
    size_t size;
};

struct file {
    uint8_t *synced;
    size_t synced_size;
    struct change *changes;
    size_t count, capacity;
};

struct name {
    char text[NAME_SIZE];
    struct file *file;
};

struct names {
    struct name list[NAMES_MAX];
    size_t count;
};

enum naming { NAMING_MAKE, NAMING_MOVE, NAMING_DROP };

struct renaming {
    enum naming kind;
    char text[NAME_SIZE], to[NAME_SIZE];
    struct file *file;
};

static struct disk {
    bool is_on;
    char folder[128];
    struct names now, synced;
    struct renaming renamings[NAMES_MAX]; /* since the folder was synced */
    size_t renaming_count;
    struct file *files[FILES_MAX];
    size_t file_count;
    struct file *open[DESCRIPTORS_MAX]; /* by descriptor */
    bool is_folder[DESCRIPTORS_MAX];
    void (*at_sync)(void *context);
    void *context;
    size_t syncs, calls, fail_at, unlocks, fail_unlock_at;
    int cause;
    const char *failed;
} disk;

/* ---- names ---- */

static struct name *find_name(struct names *names, const char *text)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->list[i].text, text) == 0)
            return &names->list[i];
    return NULL;
}

static void put_name(struct names *names, const char *text, struct file *file)
{
    struct name *name = find_name(names, text);

    if (!name) {
        assert(names->count < NAMES_MAX);
        name = &names->list[names->count++];
        snprintf(name->text, sizeof name->text, "%s", text);
    }
    name->file = file;
}

static void drop_name(struct names *names, const char *text)
{
    struct name *name = find_name(names, text);

    if (name)
        *name = names->list[--names->count];
}

static void apply_renaming(struct names *names, const struct renaming *renaming)
{
    if (renaming->kind != NAMING_MAKE)
        drop_name(names, renaming->text);
    if (renaming->kind != NAMING_DROP)
        put_name(names, renaming->kind == NAMING_MOVE ? renaming->to : renaming->text,
                 renaming->file);
}

static void rename_now(enum naming kind, const char *text, const char *to, struct file *file)
{
    struct renaming *renaming = &disk.renamings[disk.renaming_count++];

    assert(disk.renaming_count <= NAMES_MAX);
    *renaming = (struct renaming){.kind = kind, .file = file};
    snprintf(renaming->text, sizeof renaming->text, "%s", text);
    snprintf(renaming->to, sizeof renaming->to, "%s", to ? to : "");
    apply_renaming(&disk.now, renaming);
}

static bool is_watched_folder(const char *path)
{
    size_t size = strlen(disk.folder);

    return disk.is_on && strncmp(path, disk.folder, size) == 0 &&
           (!path[size] || strcmp(path + size, "/") == 0);
}

/* The name of a path right in the watched folder; NULL: it is elsewhere. */
static const char *watched_name(int at, const char *path)
{
    size_t size = strlen(disk.folder);

    if (!disk.is_on || !path)
        return NULL;
    if (path[0] != '/' && at >= 0 && at < DESCRIPTORS_MAX && disk.is_folder[at])
        return strchr(path, '/') ? NULL : path;
    if (strncmp(path, disk.folder, size) != 0 || path[size] != '/' || !path[size + 1])
        return NULL;
    return strchr(path + size + 1, '/') ? NULL : path + size + 1;
}

/* ---- bytes ---- */

static struct file *add_file(void)
{
    struct file *file = memory_take(sizeof *file);

    assert(disk.file_count < FILES_MAX);
    disk.files[disk.file_count++] = file;
    return file;
}

static struct file *file_of(int descriptor)
{
    return disk.is_on && descriptor >= 0 && descriptor < DESCRIPTORS_MAX ? disk.open[descriptor]
                                                                         : NULL;
}

static void note_change(struct file *file, bool truncates, uint64_t at, const void *bytes,
                        size_t size)
{
    if (file->count == file->capacity) {
        file->capacity = file->capacity ? 2 * file->capacity : 16;
        file->changes = memory_resize(file->changes, file->capacity * sizeof *file->changes);
    }
    file->changes[file->count++] = (struct change){.truncates = truncates,
                                                   .at = at,
                                                   .bytes = size ? memory_copy(bytes, size) : NULL,
                                                   .size = size};
}

static void resize(uint8_t **bytes, size_t *size, size_t wanted)
{
    if (wanted > *size) {
        *bytes = memory_resize(*bytes, wanted);
        memset(*bytes + *size, 0, wanted - *size);
    }
    *size = wanted;
}

static void put(uint8_t **bytes, size_t *size, const struct change *change, size_t from, size_t to)
{
    if (change->at + to > *size)
        resize(bytes, size, change->at + to);
    memcpy(*bytes + change->at + from, change->bytes + from, to - from);
}

static void apply(uint8_t **bytes, size_t *size, const struct change *change)
{
    if (change->truncates)
        resize(bytes, size, change->at);
    else if (change->size > 0)
        put(bytes, size, change, 0, change->size);
}

static void forget_changes(struct file *file)
{
    for (size_t i = 0; i < file->count; i++)
        memory_give_back(file->changes[i].bytes);
    file->count = 0;
}

static void sync_file(struct file *file)
{
    for (size_t i = 0; i < file->count; i++)
        apply(&file->synced, &file->synced_size, &file->changes[i]);
    forget_changes(file);
}

static void sync_folder(void)
{
    disk.synced = disk.now;
    disk.renaming_count = 0;
}

/* ---- the cut ---- */

/* Each sector, as a disk counts them, is there or not. */
static void tear(uint8_t **bytes, size_t *size, const struct change *change, struct dice *dice)
{
    size_t unit = dice_below(dice, 2) ? SECTOR : PAGE;

    for (size_t from = 0, to; from < change->size; from = to) {
        to = from + (unit - (change->at + from) % unit);
        if (to > change->size)
            to = change->size;
        if (dice_below(dice, 2))
            put(bytes, size, change, from, to);
    }
}

enum fate { FATE_NOTHING, FATE_ALL, FATE_BEGINNING, FATE_ANY, FATES };

static void write_what_is_left(const struct file *file, const char *path, struct dice *dice)
{
    enum fate fate = (enum fate)dice_below(dice, FATES);
    size_t size = file->synced_size, kept = dice_below(dice, file->count + 1);
    uint8_t *bytes = memory_copy(file->synced, size);
    FILE *left;

    for (size_t i = 0; i < file->count && fate != FATE_NOTHING; i++) {
        const struct change *change = &file->changes[i];
        uint64_t throw = dice_below(dice, 3);

        if (fate == FATE_ALL || (fate == FATE_BEGINNING && i < kept) ||
            (fate == FATE_ANY && throw == 0))
            apply(&bytes, &size, change);
        else if (!change->truncates &&
                 ((fate == FATE_BEGINNING && i == kept) || (fate == FATE_ANY && throw == 1)))
            tear(&bytes, &size, change, dice);
    }
    left = fopen(path, "wb");
    assert(left && fwrite(bytes, 1, size, left) == size);
    fclose(left);
    assert(chmod(path, 0600) == 0);
    memory_give_back(bytes);
}

void disk_cut(const char *folder, uint64_t seed)
{
    struct names left = disk.synced;
    size_t kept;
    bool in_order;
    struct dice dice;

    dice_init_number(&dice, seed);
    in_order = dice_below(&dice, 2);
    kept = dice_below(&dice, disk.renaming_count + 1);
    for (size_t i = 0; i < disk.renaming_count; i++)
        if (in_order ? i < kept : dice_below(&dice, 2))
            apply_renaming(&left, &disk.renamings[i]);
    for (size_t i = 0; i < left.count; i++) {
        char path[256];

        snprintf(path, sizeof path, "%s/%s", folder, left.list[i].text);
        write_what_is_left(left.list[i].file, path, &dice);
    }
}

/* ---- beginning and end ---- */

void disk_watch(const char *folder)
{
    assert(!disk.is_on);
    disk = (struct disk){.is_on = true};
    snprintf(disk.folder, sizeof disk.folder, "%s", folder);
}

void disk_leave(void)
{
    for (size_t i = 0; i < disk.file_count; i++) {
        forget_changes(disk.files[i]);
        memory_give_back(disk.files[i]->changes);
        memory_give_back(disk.files[i]->synced);
        memory_give_back(disk.files[i]);
    }
    disk = (struct disk){0};
}

void disk_at_sync(void (*at_sync)(void *context), void *context)
{
    disk.at_sync = at_sync;
    disk.context = context;
}

size_t disk_syncs(void)
{
    return disk.syncs;
}

void disk_fail(size_t call, int cause)
{
    disk.calls = 0;
    disk.fail_at = call;
    disk.cause = cause;
    disk.failed = NULL;
}

void disk_fail_unlock(size_t call)
{
    disk.unlocks = 0;
    disk.fail_unlock_at = call;
    disk.failed = NULL;
}

size_t disk_calls(void)
{
    return disk.calls;
}

const char *disk_failed_call(void)
{
    return disk.failed;
}

static bool fails(const char *name)
{
    if (++disk.calls != disk.fail_at)
        return false;
    disk.failed = name;
    errno = disk.cause;
    return true;
}

static bool unlock_fails(void)
{
    if (++disk.unlocks != disk.fail_unlock_at)
        return false;
    disk.failed = "unlock";
    errno = ENOLCK;
    return true;
}

/* ---- the calls ---- */

static int open_any(int at, const char *path, int flags, mode_t mode)
{
    const char *name = watched_name(at, path);
    bool is_folder = is_watched_folder(path);
    struct name *known;
    struct stat status;
    int descriptor;

    if ((name || is_folder) && fails("open"))
        return -1;
    descriptor = (int)syscall(SYS_openat, at, path, flags, mode);
    if (descriptor < 0 || (!name && !is_folder))
        return descriptor;
    assert(descriptor < DESCRIPTORS_MAX);
    disk.is_folder[descriptor] = is_folder;
    if (is_folder || syscall(SYS_fstat, descriptor, &status) != 0 || !S_ISREG(status.st_mode))
        return descriptor;
    known = find_name(&disk.now, name);
    if (!known)
        rename_now(NAMING_MAKE, name, NULL, add_file());
    else if (flags & O_TRUNC)
        note_change(known->file, true, 0, NULL, 0);
    disk.open[descriptor] = find_name(&disk.now, name)->file;
    return descriptor;
}

static mode_t mode_of(int flags, va_list rest)
{
    return flags & (O_CREAT | O_TMPFILE) ? (mode_t)va_arg(rest, int) : 0;
}

#define OPEN(at, path, flags)                                                                      \
    do {                                                                                           \
        va_list rest;                                                                              \
        mode_t mode;                                                                               \
                                                                                                   \
        va_start(rest, flags);                                                                     \
        mode = mode_of(flags, rest);                                                               \
        va_end(rest);                                                                              \
        return open_any(at, path, flags, mode);                                                    \
    } while (0)

int open(const char *path, int flags, ...)
{
    OPEN(AT_FDCWD, path, flags);
}

int open64(const char *path, int flags, ...)
{
    OPEN(AT_FDCWD, path, flags);
}

int openat(int at, const char *path, int flags, ...)
{
    OPEN(at, path, flags);
}

int close(int descriptor)
{
    if (descriptor >= 0 && descriptor < DESCRIPTORS_MAX) {
        disk.open[descriptor] = NULL;
        disk.is_folder[descriptor] = false;
    }
    return (int)syscall(SYS_close, descriptor);
}

ssize_t read(int descriptor, void *bytes, size_t size)
{
    if (file_of(descriptor) && fails("read"))
        return -1;
    return syscall(SYS_read, descriptor, bytes, size);
}

ssize_t pread64(int descriptor, void *bytes, size_t size, off64_t at)
{
    if (file_of(descriptor) && fails("pread"))
        return -1;
    return syscall(SYS_pread64, descriptor, bytes, size, at);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t size, off64_t at)
{
    struct file *file = file_of(descriptor);
    ssize_t put;

    if (file && fails("pwrite"))
        return -1;
    put = syscall(SYS_pwrite64, descriptor, bytes, size, at);
    if (file && put > 0)
        note_change(file, false, (uint64_t)at, bytes, (size_t)put);
    return put;
}

ssize_t write(int descriptor, const void *bytes, size_t size)
{
    struct file *file = file_of(descriptor);
    off_t at = file ? lseek(descriptor, 0, SEEK_CUR) : 0;
    ssize_t put;

    if (file && fails("write"))
        return -1;
    put = syscall(SYS_write, descriptor, bytes, size);
    if (file && put > 0)
        note_change(file, false, (uint64_t)at, bytes, (size_t)put);
    return put;
}

int ftruncate64(int descriptor, off64_t size)
{
    struct file *file = file_of(descriptor);
    int result;

    if (file && fails("ftruncate"))
        return -1;
    result = (int)syscall(SYS_ftruncate, descriptor, size);
    if (file && result == 0)
        note_change(file, true, (uint64_t)size, NULL, 0);
    return result;
}

static int sync_any(int descriptor, long number)
{
    struct file *file = file_of(descriptor);
    bool is_folder = descriptor >= 0 && descriptor < DESCRIPTORS_MAX && disk.is_folder[descriptor];

    if (!file && !is_folder)
        return (int)syscall(number, descriptor);
    if (fails("sync"))
        return -1;
    disk.syncs++;
    if (disk.at_sync)
        disk.at_sync(disk.context);
    if (file)
        sync_file(file);
    else
        sync_folder();
    return 0;
}

int fsync(int descriptor)
{
    return sync_any(descriptor, SYS_fsync);
}

int fdatasync(int descriptor)
{
    return sync_any(descriptor, SYS_fdatasync);
}

int unlinkat(int at, const char *path, int flags)
{
    const char *name = watched_name(at, path);
    int result;

    if (name && fails("unlink"))
        return -1;
    result = (int)syscall(SYS_unlinkat, at, path, flags);
    if (name && result == 0 && find_name(&disk.now, name))
        rename_now(NAMING_DROP, name, NULL, NULL);
    return result;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
    const char *name = watched_name(from_at, from), *to_name = watched_name(to_at, to);
    struct name *known;
    int result;

    if (name && fails("rename"))
        return -1;
    result = (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    known = name && to_name && result == 0 ? find_name(&disk.now, name) : NULL;
    if (known)
        rename_now(NAMING_MOVE, name, to_name, known->file);
    return result;
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
    return renameat2(from_at, from, to_at, to, 0);
}

int rename(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* Of a mapping nothing is remembered: SQLite's index of its log is made anew after a cut. */
void *mmap64(void *where, size_t size, int protection, int flags, int descriptor, off64_t at)
{
    if (file_of(descriptor) && fails("mmap"))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, where, size, protection, flags, descriptor, at);
}

int fcntl64(int descriptor, int command, ...)
{
    va_list rest;
    void *argument;

    va_start(rest, command);
    argument = va_arg(rest, void *);
    va_end(rest);
    if (file_of(descriptor) && command == F_SETLK) {
        bool unlocks = ((struct flock *)argument)->l_type == F_UNLCK;

        if (unlocks ? unlock_fails() : fails("fcntl"))
            return -1;
    }
    return (int)syscall(SYS_fcntl, descriptor, command, argument);
}

static int look_at(int at, const char *path, struct stat *status, int flags)
{
    if (watched_name(at, path) && fails("stat"))
        return -1;
    return (int)syscall(SYS_newfstatat, at, path, status, flags);
}

static int look_at_open(int descriptor, struct stat *status)
{
    if (file_of(descriptor) && fails("fstat"))
        return -1;
    return (int)syscall(SYS_fstat, descriptor, status);
}

int stat(const char *path, struct stat *status)
{
    return look_at(AT_FDCWD, path, status, 0);
}

int lstat(const char *path, struct stat *status)
{
    return look_at(AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}

int fstat(int descriptor, struct stat *status)
{
    return look_at_open(descriptor, status);
}

int fstatat(int at, const char *path, struct stat *status, int flags)
{
    return look_at(at, path, status, flags);
}

int stat64(const char *path, struct stat64 *status)
{
    return look_at(AT_FDCWD, path, (struct stat *)(void *)status, 0);
}

int lstat64(const char *path, struct stat64 *status)
{
    return look_at(AT_FDCWD, path, (struct stat *)(void *)status, AT_SYMLINK_NOFOLLOW);
}

int fstat64(int descriptor, struct stat64 *status)
{
    return look_at_open(descriptor, (struct stat *)(void *)status);
}

int access(const char *path, int mode)
{
    if (watched_name(AT_FDCWD, path) && fails("access"))
        return -1;
    return (int)syscall(SYS_faccessat, AT_FDCWD, path, mode);
}
