#include "mail_files.h"

#include "gate_fault.h"
#include "mail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct mail_files {
    char *folder;
    unsigned long made;
    size_t count;
};

static int is_letter_file(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);

    return size > 4 && strcmp(entry->d_name + size - 4, ".eml") == 0;
}

/* Names begin with the time, so the order of names is the order of letters. */
static void drop_oldest(struct mail_files *files)
{
    struct dirent **entries;
    int count = scandir(files->folder, &entries, is_letter_file, alphasort);
    int over = count - MAIL_FILES_MAX;

    if (count < 0)
        return;
    for (int i = 0; i < count; i++) {
        char path[4096];
        if (i < over) {
            snprintf(path, sizeof path, "%s/%s", files->folder, entries[i]->d_name);
            unlink(path);
        }
        free(entries[i]);
    }
    free(entries);
    files->count = (size_t)(over > 0 ? MAIL_FILES_MAX : count);
}

static void write_name(struct mail_files *files, char *path, size_t size, const char *ending)
{
    struct timespec now;
    struct tm tm;
    char stamp[32];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%S", &tm);
    snprintf(path, size, "%s/%s.%03ldZ-%06lu-%d%s", files->folder, stamp, now.tv_nsec / 1000000,
             files->made % 1000000, (int)getpid(), ending);
}

/* Under its last name only when whole: who lists the folder reads no halves. */
bool mail_files_write(struct mail_files *files, struct bytes message)
{
    char path[4096], part[4096];
    int file;
    bool written;

    files->made++;
    write_name(files, path, sizeof path, ".eml");
    snprintf(part, sizeof part, "%.4088s.part", path);
    file = open(part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return false;
    written = write(file, message.data, message.size) == (ssize_t)message.size;
    close(file);
    written = written && rename(part, path) == 0;
    if (!written)
        unlink(part);
    else if (++files->count > MAIL_FILES_MAX)
        drop_oldest(files);
    return written;
}

static int see_to_folder(struct mail_files *files)
{
    struct stat status;

    if (mkdir(files->folder, 0700) != 0 && errno != EEXIST)
        return GATE_FAULT_FILE;
    if (lstat(files->folder, &status) != 0)
        return GATE_FAULT_FILE;
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
        return GATE_FAULT_PERMISSIONS;
    drop_oldest(files);
    return 0;
}

int mail_files_open(struct mail_files **opened, const char *folder)
{
    struct mail_files *files = memory_take(sizeof *files);
    int fault;

    files->folder = memory_copy(folder, strlen(folder) + 1);
    fault = see_to_folder(files);
    if (fault) {
        mail_files_close(files);
        return fault;
    }
    *opened = files;
    return 0;
}

void mail_files_close(struct mail_files *files)
{
    if (!files)
        return;
    memory_give_back(files->folder);
    memory_give_back(files);
}

/* ---- forgetting ---- */

/* A letter's own "To:" stands before its first empty line. */
static bool is_to(const char *path, const char *to)
{
    FILE *file = fopen(path, "re");
    char line[512];
    bool is_found = false;

    while (file && !is_found && fgets(line, sizeof line, file) && line[0] != '\n') {
        line[strcspn(line, "\r\n")] = '\0';
        is_found = strncmp(line, "To: ", 4) == 0 && strcasecmp(line + 4, to) == 0;
    }
    if (file)
        fclose(file);
    return is_found;
}

bool mail_files_forget(struct mail_files *files, const char *to)
{
    struct dirent **entries;
    int count = scandir(files->folder, &entries, is_letter_file, alphasort);
    bool are_gone = count >= 0;

    for (int i = 0; i < count; i++) {
        char path[4096];

        snprintf(path, sizeof path, "%s/%s", files->folder, entries[i]->d_name);
        if (is_to(path, to))
            are_gone = unlink(path) == 0 && are_gone;
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return are_gone;
}
