/* doctor: looks at everything that can be wrong with a node, running or not, and says what to do.
 *
 * Each check is a line: its name, how it is (ok, warn, fail), what was found, and for what is not ok
 * what helps. It changes nothing. */
#include "clock.h"
#include "commands.h"
#include "core/audit_log.h"
#include "core/certificate.h"
#include "doctor_parts.h"
#include "handler_check.h"
#include "keyfile.h"
#include "passphrase.h"
#include "store.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#define ROOM_LEAST (64ull * MIB) /* below it the node may stop taking pecks at any moment */
#define ROOM_WORTH_TELLING (1024ull * MIB)
#define FILES_LEAST 256u               /* descriptors: links, clients, two databases */
#define RESTORED_TOLD_MS (30 * DAY_MS) /* after a restore */

static const char *const finding_names[] = {"ok", "warn", "fail"};

/* ---- saying ---- */

void doctor_say(struct doctor *doctor, const char *name, enum finding finding, const char *help,
                const char *format, ...)
{
    char found[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(found, sizeof found, format, arguments);
    va_end(arguments);
    doctor->counts[finding]++;
    if (doctor->checks) {
        json_t *check = json_pack("{s:s, s:s, s:s}", "check", name, "result",
                                  finding_names[finding], "found", found);

        if (finding != FINDING_OK)
            json_object_set_new(check, "help", json_string(help));
        json_array_append_new(doctor->checks, check);
        return;
    }
    printf("%-4s  %-12s %s\n", finding_names[finding], name, found);
    if (finding != FINDING_OK)
        printf("      %-12s -> %s\n", "", help);
}

static const char *amount_text(uint64_t bytes, char text[32])
{
    static const struct {
        uint64_t size;
        const char *name;
    } units[] = {{1024ull * MIB, "GiB"}, {MIB, "MiB"}, {KIB, "KiB"}};
    size_t unit = 0;

    while (unit < 2 && bytes < 10 * units[unit].size)
        unit++;
    snprintf(text, 32, "%" PRIu64 " %s", (uint64_t)(bytes / units[unit].size), units[unit].name);
    return text;
}

/* ---- the folder and what is in it ---- */

static bool check_folder(struct doctor *doctor)
{
    const char *folder = doctor->call->options.state_dir;
    struct stat found;

    if (stat(folder, &found) != 0) {
        doctor_say(doctor, "state", FINDING_FAIL,
                   "ducknode init makes a node; or name its folder with --state-dir", "%s: %s",
                   folder, strerror(errno));
        return false;
    }
    if (found.st_uid != geteuid() || (found.st_mode & 077) != 0) {
        doctor_say(
            doctor, "state", FINDING_FAIL,
            "the folder must belong to who runs the node, and be for nobody else (chmod 700)",
            "%s has mode %o and belongs to user %u", folder, found.st_mode & 0777u, found.st_uid);
        return true;
    }
    doctor_say(doctor, "state", FINDING_OK, "", "%s", folder);
    return true;
}

static void check_room(struct doctor *doctor)
{
    const char *folder = doctor->call->options.state_dir;
    char text[32];
    struct statvfs found;
    uint64_t room;

    if (statvfs(folder, &found) != 0) {
        doctor_say(doctor, "disk", FINDING_WARN, "look at the file system", "%s: %s", folder,
                   strerror(errno));
        return;
    }
    room = (uint64_t)found.f_bavail * found.f_frsize;
    amount_text(room, text);
    if (found.f_flag & ST_RDONLY)
        doctor_say(doctor, "disk", FINDING_FAIL, "mount it for writing", "%s cannot be written to",
                   folder);
    else if (found.f_files > 0 && found.f_favail == 0)
        doctor_say(doctor, "disk", FINDING_FAIL, "delete files: no more can be made",
                   "no inode is free");
    else if (room < ROOM_LEAST)
        doctor_say(
            doctor, "disk", FINDING_FAIL,
            "make room: a node with a full disk takes no pecks, and goes on by itself when there "
            "is room",
            "%s free", text);
    else if (room < ROOM_WORTH_TELLING)
        doctor_say(doctor, "disk", FINDING_WARN,
                   "make room, or keep less of the audit log ([audit] keep_days)", "%s free", text);
    else
        doctor_say(doctor, "disk", FINDING_OK, "", "%s free", text);
}

/* Would the node take them together? A rotation that was cut off, `run` finishes. */
static bool chain_names(const char *folder, const struct keyfile *keyfile)
{
    struct identity_key *key = identity_key_new(keyfile->seed);
    struct public_key ours = identity_key_public(key), speaks;
    uint8_t *data = memory_take(CHAIN_SIZE_MAX);
    char path[OPTIONS_PATH_SIZE + 16];
    struct chain chain;
    struct arena arena;
    bool is_well = false;
    size_t size;
    FILE *file;

    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    snprintf(path, sizeof path, "%s/node.chain", folder);
    file = fopen(path, "re");
    size = file ? fread(data, 1, CHAIN_SIZE_MAX, file) : 0;
    if (file)
        fclose(file);
    if (chain_open(bytes_of(data, size), &arena, &chain) == CERTIFICATE_TAKEN &&
        chain_key_at(&chain, clock_wall_ms(), &speaks) == CERTIFICATE_TAKEN)
        is_well = memcmp(ours.bytes, speaks.bytes, PUBLIC_KEY_SIZE) == 0;
    snprintf(path, sizeof path, "%s/node.key.new", folder);
    arena_free(&arena);
    memory_give_back(data);
    identity_key_free(key);
    return is_well || access(path, F_OK) == 0;
}

static void check_key(struct doctor *doctor)
{
    const struct options *options = &doctor->call->options;
    struct passphrase *passphrase = passphrase_new();
    struct keyfile *keyfile = keyfile_new();
    int fault = passphrase_read(options, passphrase);

    if (!fault)
        fault = keyfile_open(KEYFILE_NODE, options->state_dir,
                             bytes_of(passphrase->data, passphrase->size), keyfile);
    if (fault == FAULT_PASSPHRASE)
        doctor_say(doctor, "key", FINDING_WARN,
                   "give --passphrase-file to look further; the node needs it, too",
                   "node.key is sealed, and no passphrase that opens it was given");
    else if (fault == FAULT_PERMISSIONS)
        doctor_say(doctor, "key", FINDING_FAIL, "chmod 600, and give it to who runs the node",
                   "node.key or the passphrase file can be read by others");
    else if (!fault && !chain_names(options->state_dir, keyfile))
        doctor_say(doctor, "key", FINDING_FAIL,
                   "bring both back from one backup: they belong together",
                   "node.key is not the key that node.chain names");
    else if (fault)
        doctor_say(doctor, "key", FINDING_FAIL,
                   "bring it back from a backup: without it this node is gone", "node.key: %s",
                   fault_text(fault));
    else if (passphrase->size == 0)
        doctor_say(
            doctor, "key", FINDING_WARN,
            "whoever reads the file is this node: seal it (init with --passphrase-file) where "
            "others "
            "have access to the disk or its backups",
            "node.key opens, and is not sealed");
    else
        doctor_say(doctor, "key", FINDING_OK, "", "node.key opens, and is sealed");
    keyfile_free(keyfile);
    sodium_free(passphrase);
}

static bool is_beside(const char *folder, const char *name)
{
    char path[OPTIONS_PATH_SIZE + 32];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void check_next_keys(struct doctor *doctor)
{
    const char *folder = doctor->call->options.state_dir;
    bool nodes = is_beside(folder, "node.next.key");
    bool ducklings = is_beside(folder, "ducklings.next.key");

    if (keyfile_check_next(KEYFILE_NODE, folder) == FAULT_PERMISSIONS)
        doctor_say(doctor, "next key", FINDING_FAIL, "chmod 600, and better keep it elsewhere",
                   "node.next.key can be read by others");
    else if (nodes || ducklings)
        doctor_say(doctor, "next key", FINDING_WARN,
                   "move them where neither this host nor its backups are; rotate takes "
                   "--next-key-dir",
                   "%s%s%s beside node.key: who takes this host takes over for good",
                   nodes ? "node.next.key" : "", nodes && ducklings ? " and " : "",
                   ducklings ? "ducklings.next.key" : "");
}

/* What a backup does not know, for as long as its owner may not have mended it. */
static void check_restored(struct doctor *doctor, struct store_reader *reader)
{
    uint64_t restored_ms = store_view_restored_ms(reader);
    char at[32];

    if (restored_ms == 0 || restored_ms + RESTORED_TOLD_MS < clock_wall_ms())
        return;
    doctor_say(
        doctor, "restored", FINDING_WARN,
        "make grants anew: those made before are refused. Look at the terms of bonds (ducknode "
        "bonds): they are those of the backup; tighten again what was tightened since",
        "this node was restored from a backup at %s", time_text(restored_ms, at));
}

/* The last page and checkpoint, and that SQLite can read. The whole log: ducknode audit verify. */
static void check_store(struct doctor *doctor)
{
    char path[OPTIONS_PATH_SIZE + 16];
    struct store_reader *reader = NULL;
    struct stored_audit_entry entry;
    struct audit_filter filter = {.limit = 1};
    struct arena arena;
    uint64_t next;
    struct stat found;
    int fault;

    snprintf(path, sizeof path, "%s/node.db", doctor->call->options.state_dir);
    if (stat(path, &found) != 0) {
        doctor_say(doctor, "store", errno == ENOENT ? FINDING_OK : FINDING_FAIL,
                   "look at its permissions", "node.db: %s",
                   errno == ENOENT ? "the node has not run yet" : strerror(errno));
        return;
    }
    arena_init(&arena, PARSE_BUDGET(AUDIT_PAGE_SIZE_MAX));
    fault = store_reader_open(&reader, path);
    if (fault) {
        doctor_say(
            doctor, "store", FINDING_FAIL,
            "bring node.db back from a backup; keep the damaged one: what it holds may be needed",
            "node.db: %s", fault_text(fault));
    } else {
        char text[32];
        size_t entries = store_view_audit(reader, &filter, &arena, &entry, &next);

        doctor_say(doctor, "store", FINDING_OK, "",
                   "node.db: %s, %" PRIu64 " steps in the audit log",
                   amount_text((uint64_t)found.st_size, text), entries ? entry.number : 0);
        check_restored(doctor, reader);
        store_reader_close(reader);
    }
    arena_free(&arena);
}

static void check_limits(struct doctor *doctor)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < FILES_LEAST)
        doctor_say(doctor, "files", FINDING_WARN, "raise it (ulimit -n, LimitNOFILE=)",
                   "a process may open %llu files here", (unsigned long long)files.rlim_cur);
    else
        doctor_say(doctor, "files", FINDING_OK, "", "a process may open %llu files here",
                   (unsigned long long)files.rlim_cur);
}

/* ---- handlers ---- */

static const char *const handler_help =
    "its pecks fail until it is mended: ducknode handlers check looks again";

static void check_handlers(struct doctor *doctor)
{
    const struct handler_table *table = &doctor->call->options.handlers;

    for (size_t i = 0; i < table->count; i++) {
        const struct handler *handler = &table->list[i];
        char problem[HANDLER_PROBLEM_SIZE];

        if (!handler_would_run(&doctor->call->options, handler, problem))
            doctor_say(doctor, "handler", FINDING_FAIL, handler_help, "%s", problem);
        else
            doctor_say(doctor, "handler", FINDING_OK, "", "%s answers %s: %.200s", handler->name,
                       handler->action, handler->url[0] ? handler->url : handler->words);
    }
}

/* ---- the clock ---- */

static void check_clock(struct doctor *doctor)
{
    struct timex kernel = {0};
    int state = adjtimex(&kernel);

    if (clock_wall_ms() < 1700000000000ull)
        doctor_say(doctor, "clock", FINDING_FAIL,
                   "set it: nothing that others sign is valid for this node", "it is before 2023");
    else if (state == TIME_ERROR && (kernel.status & STA_UNSYNC))
        doctor_say(
            doctor, "clock", FINDING_WARN,
            "run a time service (chrony, systemd-timesyncd): more than five minutes off, and "
            "others "
            "refuse what this node says",
            "nobody keeps it in time, as far as the kernel knows");
    else
        doctor_say(doctor, "clock", FINDING_OK, "", "it is kept in time");
}

/* ---- all of it ---- */

static int examine(struct call *call)
{
    struct doctor doctor = {.call = call, .checks = call->json ? json_array() : NULL};
    const struct options *options = &call->options;

    if (!identity_self_test())
        doctor_say(&doctor, "crypto", FINDING_FAIL,
                   "another libsodium: this one must not run a node",
                   "this libsodium judges signatures otherwise than the network");
    doctor_say(&doctor, "config", FINDING_OK, "", "%s",
               options->config_path[0] ? options->config_path : "no file: the defaults, and flags");
    if (check_folder(&doctor)) {
        check_room(&doctor);
        check_key(&doctor);
        check_next_keys(&doctor);
        check_store(&doctor);
    }
    check_limits(&doctor);
    check_clock(&doctor);
    check_handlers(&doctor);
    doctor_ask(&doctor);
    if (call->json)
        print_json(json_pack("{s:b, s:o}", "well", doctor.counts[FINDING_FAIL] == 0, "checks",
                             doctor.checks));
    else
        printf("\n%zu ok, %zu to look at, %zu wrong\n", doctor.counts[FINDING_OK],
               doctor.counts[FINDING_WARN], doctor.counts[FINDING_FAIL]);
    return doctor.counts[FINDING_FAIL] ? 1 : 0;
}

static const struct command_flag doctor_flags[] = {
    {"passphrase-file", "FILE", "opens the key file with what is in there"},
    {NULL, NULL, NULL},
};

const struct command doctor_commands[] = {
    {"doctor", "", 0, 0,
     "Look for what is wrong with this node (disk, key, store, clock, handlers, ports, peers, "
     "queues), and "
     "say "
     "what helps.",
     doctor_flags, "ducknode doctor", examine},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
