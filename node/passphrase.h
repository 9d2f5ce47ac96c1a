/* passphrase: what opens key files and backups, read from where the configuration says. */
#ifndef DUCK_NODE_PASSPHRASE_H
#define DUCK_NODE_PASSPHRASE_H

#include "options.h"

#define PASSPHRASE_MAX 1024u /* bytes */

struct passphrase {
    uint8_t data[PASSPHRASE_MAX];
    size_t size; /* 0: none was given */
};

struct passphrase *passphrase_new(void); /* empty, in guarded memory; never NULL; sodium_free wipes it */

/* From passphrase_file, or else from $CREDENTIALS_DIRECTORY/ducknode-passphrase (systemd); without
 * its line end. 0 with size 0: neither is there. FAULT_PERMISSIONS: others may read the file. */
int passphrase_read(const struct options *options, struct passphrase *passphrase);
const char *passphrase_fault_text(int fault); /* why it was not read, for people */
void passphrase_forget(struct passphrase *passphrase); /* wipes */

#endif
