/* network_file: which network a node belongs to, kept as `<state_dir>/network`, a line of text.
 *
 * `init` writes it, and `run` for a node that has none yet. What is signed names its network, so a node does not change
 * it: options_settle takes what the file says, and refuses another one. */
#ifndef DUCK_NODE_NETWORK_FILE_H
#define DUCK_NODE_NETWORK_FILE_H

#include "core/limits.h"

#include <stdbool.h>

/* False: there is none, or what is there names no network. */
bool network_file_read(const char *folder, char network[NETWORK_ID_MAX + 1]);

/* Writes it and syncs it, unless there is one. 0 or a FAULT_…. */
int network_file_keep(const char *folder, const char *network);

#endif
