/* A folder of its own for a test, gone after it. */
#ifndef DUCK_TEST_FOLDER_H
#define DUCK_TEST_FOLDER_H

#include <check.h>
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct folder {
    char path[64];
};

static inline struct folder folder_make(void)
{
    struct folder folder = {.path = "/tmp/duck-test-XXXXXX"};

    ck_assert_ptr_nonnull(mkdtemp(folder.path));
    return folder;
}

static inline int folder_drop_entry(const char *path, const struct stat *status, int kind,
                                    struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static inline void folder_remove(const struct folder *folder)
{
    nftw(folder->path, folder_drop_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* "<folder>/<name>"; four answers live at once. */
static inline const char *folder_file(const struct folder *folder, const char *name)
{
    static _Thread_local char paths[4][512];
    static _Thread_local unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", folder->path, name);
    return path;
}

/* The whole of a file as text; the caller frees. NULL: not there. */
static inline char *file_read(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    long length;

    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    length = ftell(file);
    rewind(file);
    text = calloc(1, (size_t)length + 1);
    ck_assert_uint_eq(fread(text, 1, (size_t)length, file), (size_t)length);
    fclose(file);
    if (size)
        *size = (size_t)length;
    return text;
}

static inline int folder_is_letter(const struct dirent *entry)
{
    return strstr(entry->d_name, ".eml") != NULL;
}

/* The newest letter in a mail folder; the caller frees. NULL: none. */
static inline char *newest_letter(const char *mail_folder, size_t *count)
{
    struct dirent **entries;
    int found = scandir(mail_folder, &entries, folder_is_letter, alphasort);
    char path[1024] = "";

    for (int i = 0; i < found; i++) {
        snprintf(path, sizeof path, "%s/%s", mail_folder, entries[i]->d_name);
        free(entries[i]);
    }
    if (found >= 0)
        free(entries);
    if (count)
        *count = found > 0 ? (size_t)found : 0;
    return found > 0 ? file_read(path, NULL) : NULL;
}

#endif
