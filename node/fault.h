/* fault: what this machine could not do. Zero is fine; the caller cleans up and passes it on. */
#ifndef DUCK_NODE_FAULT_H
#define DUCK_NODE_FAULT_H

enum fault {
    FAULT_NONE = 0,
    FAULT_FILE,        /* cannot open, read, write or sync */
    FAULT_PERMISSIONS, /* owner or mode is not what it must be */
    FAULT_DISK_FULL,
    FAULT_STORE,       /* SQLite says no; the log says what */
    FAULT_STORE_NEWER, /* written by a later release */
    FAULT_CORRUPT,
    FAULT_PASSPHRASE,  /* wrong, or needed and not given */
    FAULT_SOCKET,      /* cannot listen or connect */
    FAULT_ADDRESS,     /* not an address */
    FAULT_CONFIG,
    FAULT_BUSY,        /* already running, or a bounded queue is full */
    FAULT_CRYPTO,      /* the self-test of libsodium failed */
    FAULT_CLOSED,
    FAULT_TOO_LARGE,   /* longer than what would carry it */
};

const char *fault_text(int fault);

#endif
