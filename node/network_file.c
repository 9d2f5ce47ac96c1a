#include "network_file.h"

#include "core/bytes.h"
#include "fault.h"
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME "network"
#define FRESH "network.new"

bool network_file_read(const char *folder, char network[NETWORK_ID_MAX + 1])
{
    char path[OPTIONS_PATH_SIZE + sizeof NAME], line[NETWORK_ID_MAX + 2] = "";
    ssize_t size = -1;
    int file;

    snprintf(path, sizeof path, "%s/" NAME, folder);
    file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file >= 0) {
        size = read(file, line, sizeof line);
        close(file);
    }
    if (size <= 1 || (size_t)size > NETWORK_ID_MAX + 1 || line[size - 1] != '\n' ||
        !bytes_are_name(bytes_of((uint8_t *)line, (size_t)size - 1)))
        return false;
    memcpy(network, line, (size_t)size - 1);
    network[size - 1] = 0;
    return true;
}

static int fault_of(int number)
{
    return number == ENOSPC || number == EDQUOT || number == EFBIG ? FAULT_DISK_FULL : FAULT_FILE;
}

/* As a new file that takes its place: a power cut leaves all of it, or none. */
static int write_fresh(int directory, const char *network)
{
    int file =
        openat(directory, FRESH, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int fault = 0;

    if (file < 0)
        return fault_of(errno);
    if (dprintf(file, "%s\n", network) < 0 || fsync(file) != 0)
        fault = fault_of(errno);
    close(file);
    if (!fault && (renameat(directory, FRESH, directory, NAME) != 0 || fsync(directory) != 0))
        fault = fault_of(errno);
    return fault;
}

int network_file_keep(const char *folder, const char *network)
{
    char kept[NETWORK_ID_MAX + 1];
    int directory, fault;

    if (network_file_read(folder, kept))
        return 0;
    directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return fault_of(errno);
    fault = write_fresh(directory, network);
    close(directory);
    return fault;
}
