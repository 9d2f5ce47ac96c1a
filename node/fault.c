#include "fault.h"

#include <stddef.h>

const char *fault_text(int fault)
{
    static const char *const texts[] = {
        [FAULT_NONE] = "no fault",
        [FAULT_FILE] = "a file cannot be opened, read, written or synced",
        [FAULT_PERMISSIONS] = "a file's owner or mode is not what it must be",
        [FAULT_DISK_FULL] = "the disk is full",
        [FAULT_STORE] = "the store failed",
        [FAULT_STORE_NEWER] = "the store was written by a later release",
        [FAULT_CORRUPT] = "a file is damaged",
        [FAULT_PASSPHRASE] = "the passphrase is wrong, or needed and not given",
        [FAULT_SOCKET] = "a socket cannot listen or connect",
        [FAULT_ADDRESS] = "not an address of the form host:port",
        [FAULT_CONFIG] = "the configuration does not hold",
        [FAULT_BUSY] = "already running, or a bounded queue is full",
        [FAULT_CRYPTO] = "the self-test of the cryptography failed",
        [FAULT_CLOSED] = "closed",
        [FAULT_TOO_LARGE] = "longer than what would carry it",
    };

    if (fault < 0 || (size_t)fault >= sizeof texts / sizeof texts[0])
        return "an unknown fault";
    return texts[fault];
}
