#include "gate_fault.h"

const char *gate_fault_text(int fault)
{
    switch ((enum gate_fault)fault) {
    case GATE_FAULT_NONE:
        return "fine";
    case GATE_FAULT_FILE:
        return "a file cannot be opened, read or written";
    case GATE_FAULT_PERMISSIONS:
        return "a file belongs to another user, or others may read it";
    case GATE_FAULT_DISK_FULL:
        return "the disk is full";
    case GATE_FAULT_STORE:
        return "the database refuses";
    case GATE_FAULT_STORE_NEWER:
        return "the database was written by a later release";
    case GATE_FAULT_CORRUPT:
        return "a file is damaged, or is not what its name says";
    case GATE_FAULT_MAIL:
        return "the mail server cannot be used";
    case GATE_FAULT_CONFIG:
        return "a setting makes no sense";
    case GATE_FAULT_THREAD:
        return "no thread to be had";
    case GATE_FAULT_NODE:
        return "the node does not answer";
    }
    return "unknown fault";
}
