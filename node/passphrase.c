#include "passphrase.h"

#include "fault.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* `refused_mode`: bits that the file must not have. */
static int read_secret(const char *path, mode_t refused_mode, struct passphrase *passphrase)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), fault = 0;
    struct stat status;
    ssize_t size;

    if (file < 0)
        return FAULT_FILE;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode))
        fault = FAULT_FILE;
    else if ((status.st_mode & refused_mode) || (status.st_uid != geteuid() && status.st_uid != 0))
        fault = FAULT_PERMISSIONS;
    else if (status.st_size > (off_t)sizeof passphrase->data)
        fault = FAULT_CONFIG;
    if (!fault) {
        size = read(file, passphrase->data, sizeof passphrase->data);
        fault = size < 0 ? FAULT_FILE : 0;
        passphrase->size = size < 0 ? 0 : (size_t)size;
    }
    close(file);
    if (passphrase->size > 0 && passphrase->data[passphrase->size - 1] == '\n')
        passphrase->size--;
    if (passphrase->size > 0 && passphrase->data[passphrase->size - 1] == '\r')
        passphrase->size--;
    return fault;
}

struct passphrase *passphrase_new(void)
{
    struct passphrase *passphrase = sodium_malloc(sizeof *passphrase);

    if (!passphrase)
        memory_ran_out();
    memset(passphrase, 0, sizeof *passphrase);
    return passphrase;
}

int passphrase_read(const struct options *options, struct passphrase *passphrase)
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    char path[OPTIONS_PATH_SIZE];
    int fault;

    passphrase->size = 0;
    if (options->passphrase_file[0]) {
        fault = read_secret(options->passphrase_file, 077, passphrase);
        /* An empty file would seal nothing while the operator believes that it does. */
        return fault ? fault : passphrase->size > 0 ? 0 : FAULT_CONFIG;
    }
    if (!credentials)
        return 0;
    snprintf(path, sizeof path, "%s/ducknode-passphrase", credentials);
    if (access(path, F_OK) != 0)
        return 0;
    fault = read_secret(path, 007, passphrase); /* systemd may let a service in by its group */
    return fault ? fault : passphrase->size > 0 ? 0 : FAULT_CONFIG;
}

const char *passphrase_fault_text(int fault)
{
    if (fault == FAULT_PERMISSIONS)
        return "others may read it, or it is not ours: chmod 600";
    return fault == FAULT_CONFIG ? "it is empty, or larger than 1024 bytes"
                                 : "it cannot be read, or is no plain file";
}

void passphrase_forget(struct passphrase *passphrase)
{
    sodium_memzero(passphrase, sizeof *passphrase);
}
