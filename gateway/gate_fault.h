/* gate_fault: what this machine could not do, seen from the gateway. Zero is fine; the caller
 * cleans up and passes it on. */
#ifndef DUCK_GATE_FAULT_H
#define DUCK_GATE_FAULT_H

enum gate_fault {
    GATE_FAULT_NONE = 0,
    GATE_FAULT_FILE,        /* cannot open, read, write or sync */
    GATE_FAULT_PERMISSIONS, /* owner or mode is not what it must be */
    GATE_FAULT_DISK_FULL,
    GATE_FAULT_STORE,       /* SQLite says no */
    GATE_FAULT_STORE_NEWER, /* written by a later release */
    GATE_FAULT_CORRUPT,
    GATE_FAULT_MAIL,   /* the mail server cannot be reached, or refuses */
    GATE_FAULT_CONFIG, /* a setting that does not make sense */
    GATE_FAULT_THREAD, /* no thread to be had */
    GATE_FAULT_NODE,   /* it does not answer */
};

const char *gate_fault_text(int fault);

#endif
