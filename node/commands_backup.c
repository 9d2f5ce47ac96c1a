/* A backup, and a node from one. See backup_files.h. */
#include "backup_files.h"
#include "commands.h"
#include "core/certificate.h"
#include "fault.h"
#include "passphrase.h"

#include <inttypes.h>
#include <sodium.h>

static const struct command_flag backup_flags[] = {
    {"passphrase-file", "FILE", "seals the backup (default: what opens node.key)"},
    {NULL, NULL, NULL},
};

static const struct command_flag restore_flags[] = {
    {"passphrase-file", "FILE", "opens the backup (default: what opens node.key)"},
    {"alone", NULL, "this node is its whole network: do not wait for another one's word"},
    {NULL, NULL, NULL},
};

/* NULL: said why, with *status set. */
static struct passphrase *read_passphrase(struct call *call, int *status)
{
    struct passphrase *passphrase;
    int fault;

    *status = 1;
    if (!identity_self_test()) {
        fail(call, "crypto", "this libsodium judges signatures otherwise than the network");
        return NULL;
    }
    passphrase = passphrase_new();
    fault = passphrase_read(&call->options, passphrase);
    if (!fault && passphrase->size > 0)
        return passphrase;
    if (fault)
        fail(call, "passphrase", "cannot use the passphrase file %s: %s",
             call->options.passphrase_file, passphrase_fault_text(fault));
    else
        fail(call, "passphrase",
             "a backup is sealed with a passphrase: name the file that holds it "
             "(--passphrase-file)");
    sodium_free(passphrase);
    return NULL;
}

static int say_made(const struct call *call, const struct backup_about *about)
{
    char node[ID_TEXT_SIZE], made[32];

    id_text(ID_NODE, &about->node, node);
    time_text(about->made_ms, made);
    if (call->json) {
        print_json(json_pack("{s:s, s:s, s:s, s:s, s:I, s:b}", "file", call->arguments[0],
                             "node_id", node, "network", about->network, "made_at", made, "bytes",
                             (json_int_t)about->size, "next_keys_lie_here",
                             about->next_keys_are_here));
        return 0;
    }
    printf("%s: %s of network %s, as it was at %s, %" PRIu64 " bytes, sealed\n", call->arguments[0],
           node, about->network, made, about->size);
    if (about->next_keys_are_here)
        printf(
            "The next keys are not in it, and lie in %s:\n"
            "move node.next.key and ducklings.next.key where neither this host nor the backup is.\n"
            "Without them a key that was stolen cannot be replaced.\n",
            call->options.state_dir);
    return 0;
}

static int backup(struct call *call)
{
    char problem[BACKUP_PROBLEM_SIZE] = "";
    struct passphrase *passphrase;
    struct backup_about about;
    int status, fault;

    passphrase = read_passphrase(call, &status);
    if (!passphrase)
        return status;
    fault = backup_make(&call->options, call->arguments[0],
                        bytes_of(passphrase->data, passphrase->size), &about, problem);
    sodium_free(passphrase);
    if (fault)
        return fail(call, fault == FAULT_BUSY ? "exists" : "backup", "%s", problem);
    return say_made(call, &about);
}

static int say_restored(const struct call *call, const struct backup_about *about)
{
    char node[ID_TEXT_SIZE], made[32];

    id_text(ID_NODE, &about->node, node);
    time_text(about->made_ms, made);
    if (call->json) {
        print_json(json_pack("{s:s, s:s, s:s, s:s}", "node_id", node, "network", about->network,
                             "state_dir", call->options.state_dir, "made_at", made));
        return 0;
    }
    printf("%s of network %s is in %s, as it was at %s\n", node, about->network,
           call->options.state_dir, made);
    printf("What it was configured with is in %s/" BACKUP_CONFIG_NAME ", if it had a file.\n",
           call->options.state_dir);
    printf("Never run it while the one that was backed up runs elsewhere: there is one of it.\n");
    return 0;
}

static int restore(struct call *call)
{
    char problem[BACKUP_PROBLEM_SIZE] = "";
    struct passphrase *passphrase;
    struct backup_about about;
    int status, fault;

    passphrase = read_passphrase(call, &status);
    if (!passphrase)
        return status;
    fault = make_state_folder(call->options.state_dir);
    if (fault) {
        sodium_free(passphrase);
        return fail(call, "state_dir", "cannot use %s: %s", call->options.state_dir,
                    state_folder_text(fault));
    }
    fault = backup_restore(&call->options, call->arguments[0],
                           bytes_of(passphrase->data, passphrase->size), call_has(call, "alone"),
                           &about, problem);
    sodium_free(passphrase);
    if (fault)
        return fail(call, fault == FAULT_BUSY ? "exists" : "restore", "nothing was restored: %s",
                    problem);
    return say_restored(call, &about);
}

const struct command backup_commands[] = {
    {"backup", "FILE", 1, 1,
     "Write what only this node has to a sealed file, while it runs or not; the next keys stay "
     "apart.",
     backup_flags,
     "ducknode backup /mnt/safe/alice.duckbackup --passphrase-file /etc/ducknode/backup", backup},
    {"restore", "FILE", 1, 1, "Make a node of its backup, where there is none.", restore_flags,
     "ducknode restore /mnt/safe/alice.duckbackup --passphrase-file /etc/ducknode/backup", restore},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
