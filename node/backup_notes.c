/* What is noted in the state folder: that the next start is the first after a restore, and that the key was rotated
 * elsewhere. */
#include "backup_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
    fault = backup_read_file(path, &text);
    if (fault || !text.data)
        return fault;
    snprintf(line, sizeof line, "%.*s", (int)(text.size < 63 ? text.size : 63),
             (const char *)text.data);
    backup_forget(&text);
    found = sscanf(line, "%" SCNu64 "%n %7s", restored_ms, &end, word);
    *alone = found == 2 && strcmp(word, "alone") == 0;
    return found >= 1 && *restored_ms > 0 ? 0 : FAULT_CORRUPT;
}

int restored_file_drop(const char *folder)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "%s/" RESTORED_FILE, folder);
    if (unlink(path) != 0 && errno != ENOENT)
        return backup_fault_of(errno);
    return backup_sync_folder(folder);
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
        return backup_fault_of(errno);
    if (write(file, chain.data, chain.size) != (ssize_t)chain.size || fsync(file) != 0)
        fault = backup_fault_of(errno);
    close(file);
    if (!fault && rename(fresh, path) != 0)
        fault = backup_fault_of(errno);
    return fault ? fault : backup_sync_folder(folder);
}

int newer_chain_read(const char *folder, struct bytes *chain)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "%s/" NEWER_CHAIN_FILE, folder);
    return backup_read_file(path, chain);
}

int newer_chain_drop(const char *folder)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "%s/" NEWER_CHAIN_FILE, folder);
    if (unlink(path) != 0 && errno != ENOENT)
        return backup_fault_of(errno);
    return backup_sync_folder(folder);
}
