/* backup_files: which of a node's files are in a backup, how they come there, and how they come back.
 *
 * In it: node.key as it stands (and node.key.new, of a rotation that is under way), node.chain, network,
 * ducklings.next.pub, a copy of node.db, the configuration's text, and `about`, which says whose it is and when it was made.
 * Not in it: node.next.key and ducklings.next.key, which lie apart from the live key here as well, or who has the backup
 * could take the identities; directory.db, which the network has; the gateway's folder, which is its own. */
#ifndef DUCK_NODE_BACKUP_FILES_H
#define DUCK_NODE_BACKUP_FILES_H

#include "backup.h"
#include "core/id.h"
#include "options.h"

#define BACKUP_PROBLEM_SIZE 512u
#define BACKUP_CONFIG_NAME "ducknode.conf.restored" /* where a restore puts the configuration: it is read by nobody */
#define RESTORED_FILE "restored"                    /* says to the next `run` that it is the first after a restore */
#define NEWER_CHAIN_FILE "node.chain.newer"         /* the network's word that node.key was rotated, see keyfile.h */

struct backup_about {
    struct id node;
    char network[NETWORK_ID_MAX + 1];
    uint64_t made_ms;         /* Unix time */
    uint64_t size;            /* bytes of the backup */
    bool next_keys_are_here;  /* made: in the state folder; so they are in no other place, maybe */
};

/* Writes `path`, which is not there yet: whole and on the disk, or not at all, whenever it is cut off. The node may run.
 * 0, or a fault and why. */
int backup_make(const struct options *options, const char *path, struct bytes passphrase,
                struct backup_about *about, char problem[BACKUP_PROBLEM_SIZE]);

/* Into the state folder, which holds no node, and is made if need be. node.key takes its place last: before that there is
 * no node, and another restore begins anew. `alone`: no other node is waited for. */
int backup_restore(const struct options *options, const char *path, struct bytes passphrase, bool alone,
                   struct backup_about *about, char problem[BACKUP_PROBLEM_SIZE]);

/* What the file `restored` says; `*restored_ms` 0: there is none. FAULT_CORRUPT: nobody can tell. */
int restored_file_read(const char *folder, uint64_t *restored_ms, bool *alone);
int restored_file_drop(const char *folder);

/* The chain that showed that node.key was rotated elsewhere; it waits for `ducknode rotate`. Kept whole, or not at all.
 * `chain->data` is owned; NULL: there is none. */
int newer_chain_keep(const char *folder, struct bytes chain);
int newer_chain_read(const char *folder, struct bytes *chain);
int newer_chain_drop(const char *folder);

#endif
