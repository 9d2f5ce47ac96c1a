#include "file_io.h"

#include "fault.h"

#include <errno.h>
#include <unistd.h>

int file_read_all(int file, uint8_t *bytes, size_t capacity, size_t *size)
{
    *size = 0;
    while (*size < capacity) {
        ssize_t got = read(file, bytes + *size, capacity - *size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return FAULT_FILE;
        if (got == 0)
            break;
        *size += (size_t)got;
    }
    return 0;
}

int file_write_all(int file, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t put = write(file, bytes, size);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? FAULT_DISK_FULL
                                                                        : FAULT_FILE;
        bytes += put;
        size -= (size_t)put;
    }
    return 0;
}
