/* doctor: looks at everything that can be wrong with a node, running or not, and says what to do.
 *
 * Each check is a line: its name, how it is (ok, warn, fail), what was found, and for what is not ok
 * what helps. It changes nothing. */
#include "client/duck_client.h"
#include "clock.h"
#include "commands.h"
#include "core/audit_log.h"
#include "core/certificate.h"
#include "handler_check.h"
#include "keyfile.h"
#include "store.h"
#include "wire/local.pb-c.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#define CONNECT_MS 2000
#define ROOM_LEAST (64ull * MIB) /* below it the node may stop taking pecks at any moment */
#define ROOM_WORTH_TELLING (1024ull * MIB)
#define FILES_LEAST 256u /* descriptors: links, clients, two databases */
#define QUEUE_WORTH_TELLING(max) ((max) / 10)
#define RESTORED_TOLD_MS (30 * DAY_MS) /* after a restore */
#define WAITING_WORTH_TELLING 20u      /* pecks that nobody decides */

enum finding { FINDING_OK, FINDING_WARN, FINDING_FAIL };
static const char *const finding_names[] = {"ok", "warn", "fail"};

struct doctor {
    struct call *call;
    json_t *checks; /* with --json */
    size_t counts[3];
    Duck__Reply *status; /* NULL: the node does not answer */
};

/* ---- saying ---- */

static void say(struct doctor *doctor, const char *name, enum finding finding, const char *help,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

/* `help`: what to do about it; not said of what is ok. */
static void say(struct doctor *doctor, const char *name, enum finding finding, const char *help,
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
        say(doctor, "state", FINDING_FAIL,
            "ducknode init makes a node; or name its folder with --state-dir", "%s: %s", folder,
            strerror(errno));
        return false;
    }
    if (found.st_uid != geteuid() || (found.st_mode & 077) != 0) {
        say(doctor, "state", FINDING_FAIL,
            "the folder must belong to who runs the node, and be for nobody else (chmod 700)",
            "%s has mode %o and belongs to user %u", folder, found.st_mode & 0777u, found.st_uid);
        return true;
    }
    say(doctor, "state", FINDING_OK, "", "%s", folder);
    return true;
}

static void check_room(struct doctor *doctor)
{
    const char *folder = doctor->call->options.state_dir;
    char text[32];
    struct statvfs found;
    uint64_t room;

    if (statvfs(folder, &found) != 0) {
        say(doctor, "disk", FINDING_WARN, "look at the file system", "%s: %s", folder,
            strerror(errno));
        return;
    }
    room = (uint64_t)found.f_bavail * found.f_frsize;
    amount_text(room, text);
    if (found.f_flag & ST_RDONLY)
        say(doctor, "disk", FINDING_FAIL, "mount it for writing", "%s cannot be written to",
            folder);
    else if (found.f_files > 0 && found.f_favail == 0)
        say(doctor, "disk", FINDING_FAIL, "delete files: no more can be made", "no inode is free");
    else if (room < ROOM_LEAST)
        say(doctor, "disk", FINDING_FAIL,
            "make room: a node with a full disk takes no pecks, and goes on by itself when there "
            "is room",
            "%s free", text);
    else if (room < ROOM_WORTH_TELLING)
        say(doctor, "disk", FINDING_WARN,
            "make room, or keep less of the audit log ([audit] keep_days)", "%s free", text);
    else
        say(doctor, "disk", FINDING_OK, "", "%s free", text);
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
    int fault = options_read_passphrase(options, passphrase);

    if (!fault)
        fault = keyfile_open(KEYFILE_NODE, options->state_dir,
                             bytes_of(passphrase->data, passphrase->size), keyfile);
    if (fault == FAULT_PASSPHRASE)
        say(doctor, "key", FINDING_WARN,
            "give --passphrase-file to look further; the node needs it, too",
            "node.key is sealed, and no passphrase that opens it was given");
    else if (fault == FAULT_PERMISSIONS)
        say(doctor, "key", FINDING_FAIL, "chmod 600, and give it to who runs the node",
            "node.key or the passphrase file can be read by others");
    else if (!fault && !chain_names(options->state_dir, keyfile))
        say(doctor, "key", FINDING_FAIL, "bring both back from one backup: they belong together",
            "node.key is not the key that node.chain names");
    else if (fault)
        say(doctor, "key", FINDING_FAIL,
            "bring it back from a backup: without it this node is gone", "node.key: %s",
            fault_text(fault));
    else if (passphrase->size == 0)
        say(doctor, "key", FINDING_WARN,
            "whoever reads the file is this node: seal it (init with --passphrase-file) where "
            "others "
            "have access to the disk or its backups",
            "node.key opens, and is not sealed");
    else
        say(doctor, "key", FINDING_OK, "", "node.key opens, and is sealed");
    if (keyfile_check_next(KEYFILE_NODE, options->state_dir) == FAULT_PERMISSIONS)
        say(doctor, "next key", FINDING_FAIL, "chmod 600, and better keep it elsewhere",
            "node.next.key can be read by others");
    keyfile_free(keyfile);
    sodium_free(passphrase);
}

/* What a backup does not know, for as long as its owner may not have mended it. */
static void check_restored(struct doctor *doctor, struct store_reader *reader)
{
    uint64_t restored_ms = store_view_restored_ms(reader);
    char at[32];

    if (restored_ms == 0 || restored_ms + RESTORED_TOLD_MS < clock_wall_ms())
        return;
    say(doctor, "restored", FINDING_WARN,
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
        say(doctor, "store", errno == ENOENT ? FINDING_OK : FINDING_FAIL, "look at its permissions",
            "node.db: %s", errno == ENOENT ? "the node has not run yet" : strerror(errno));
        return;
    }
    arena_init(&arena, PARSE_BUDGET(AUDIT_PAGE_SIZE_MAX));
    fault = store_reader_open(&reader, path);
    if (fault) {
        say(doctor, "store", FINDING_FAIL,
            "bring node.db back from a backup; keep the damaged one: what it holds may be needed",
            "node.db: %s", fault_text(fault));
    } else {
        char text[32];
        size_t entries = store_view_audit(reader, &filter, &arena, &entry, &next);

        say(doctor, "store", FINDING_OK, "", "node.db: %s, %" PRIu64 " steps in the audit log",
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
        say(doctor, "files", FINDING_WARN, "raise it (ulimit -n, LimitNOFILE=)",
            "a process may open %llu files here", (unsigned long long)files.rlim_cur);
    else
        say(doctor, "files", FINDING_OK, "", "a process may open %llu files here",
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
            say(doctor, "handler", FINDING_FAIL, handler_help, "%s", problem);
        else
            say(doctor, "handler", FINDING_OK, "", "%s answers %s: %.200s", handler->name,
                handler->action, handler->url[0] ? handler->url : handler->words);
    }
}

/* ---- the clock ---- */

static void check_clock(struct doctor *doctor)
{
    struct timex kernel = {0};
    int state = adjtimex(&kernel);

    if (clock_wall_ms() < 1700000000000ull)
        say(doctor, "clock", FINDING_FAIL,
            "set it: nothing that others sign is valid for this node", "it is before 2023");
    else if (state == TIME_ERROR && (kernel.status & STA_UNSYNC))
        say(doctor, "clock", FINDING_WARN,
            "run a time service (chrony, systemd-timesyncd): more than five minutes off, and "
            "others "
            "refuse what this node says",
            "nobody keeps it in time, as far as the kernel knows");
    else
        say(doctor, "clock", FINDING_OK, "", "it is kept in time");
}

/* ---- ports ---- */

/* 0, or what connect(2) or the name service said. */
static int try_connect(const char *address, char *why, size_t size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL, *at;
    char host[ADDRESS_MAX + 1];
    const char *colon = strrchr(address, ':');
    int result, error = EHOSTUNREACH;

    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    if (host[0] == '[') { /* [::1]:7117 */
        memmove(host, host + 1, strlen(host));
        host[strcspn(host, "]")] = 0;
    }
    result = getaddrinfo(host, colon + 1, &hints, &found);
    if (result != 0) {
        snprintf(why, size, "%s", gai_strerror(result));
        return -1;
    }
    for (at = found; at; at = at->ai_next) {
        int stream = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct pollfd polled = {.fd = stream, .events = POLLOUT};
        socklen_t length = sizeof error;

        if (stream < 0)
            continue;
        error = connect(stream, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
        if (error == EINPROGRESS &&
            (poll(&polled, 1, CONNECT_MS) != 1 ||
             getsockopt(stream, SOL_SOCKET, SO_ERROR, &error, &length) != 0))
            error = ETIMEDOUT;
        close(stream);
        if (error == 0)
            break;
    }
    freeaddrinfo(found);
    snprintf(why, size, "%s", strerror(error));
    return error ? -1 : 0;
}

/* Any address of this host is as good as another: what listens on all is asked on loopback. */
static const char *reachable(const char *address, char text[OPTIONS_ADDRESS_SIZE])
{
    const char *colon = strrchr(address, ':');
    bool is_any = strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0;

    snprintf(text, OPTIONS_ADDRESS_SIZE, "%s%s", is_any ? "127.0.0.1" : "",
             is_any ? colon : address);
    return text;
}

static void check_listening(struct doctor *doctor)
{
    const Duck__StatusAnswer *status = doctor->status->status;

    for (size_t i = 0; i < status->n_listening; i++) {
        const char *listening = status->listening[i];
        char address[OPTIONS_ADDRESS_SIZE], why[128];

        if (strncmp(listening, "tcp://", 6) == 0)
            listening += 6;
        if (!strrchr(listening, ':'))
            continue;
        if (try_connect(reachable(listening, address), why, sizeof why) == 0)
            say(doctor, "port", FINDING_OK, "", "%s takes links", listening);
        else
            say(doctor, "port", FINDING_FAIL, "look at the node's log, and at local firewall rules",
                "%s: %s", listening, why);
    }
}

/* The node does not run: is somebody else at its ports? */
static void check_free_ports(struct doctor *doctor)
{
    const struct options *options = &doctor->call->options;

    for (size_t i = 0; i < options->listen_count; i++) {
        char address[OPTIONS_ADDRESS_SIZE], why[128];

        if (try_connect(reachable(options->listen[i], address), why, sizeof why) == 0)
            say(doctor, "port", FINDING_FAIL, "stop what listens there, or set [node] listen",
                "%s is taken by another program", options->listen[i]);
        else
            say(doctor, "port", FINDING_OK, "", "%s is free", options->listen[i]);
    }
}

static void check_addresses(struct doctor *doctor, const char *name, const char *help,
                            const char (*addresses)[OPTIONS_ADDRESS_SIZE], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *at = strchr(addresses[i], '@'), *address = at ? at + 1 : addresses[i];
        char why[128];

        if (try_connect(address, why, sizeof why) == 0)
            say(doctor, name, FINDING_OK, "", "%s answers", address);
        else
            say(doctor, name, FINDING_WARN, help, "%s: %s", address, why);
    }
}

/* ---- the running node ---- */

static bool find_node(struct doctor *doctor)
{
    const char *socket = doctor->call->options.socket, *problem = "";
    Duck__StatusQuery query = DUCK__STATUS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct duck *duck = NULL;

    if (duck_connect(&duck, socket, &problem) != 0) {
        say(doctor, "node", FINDING_FAIL, "start it: ducknode run", "nobody answers at %s (%s)",
            socket, problem);
        return false;
    }
    request.order_case = DUCK__REQUEST__ORDER_STATUS;
    request.status = &query;
    doctor->status = duck_call_wait(duck, &request, 10000);
    duck_close(duck);
    if (doctor->status->answer_case == DUCK__REPLY__ANSWER_STATUS)
        return true;
    say(doctor, "node", FINDING_FAIL, "look at its log; stop it with SIGTERM and start it again",
        "it takes connections, but does not say how it is");
    duck_reply_free(doctor->status);
    doctor->status = NULL;
    return false;
}

static const char *part_help(const char *part)
{
    if (strcmp(part, "clock") == 0)
        return "keep it in time: five minutes off, and others refuse what this node says";
    if (strcmp(part, "links") == 0)
        return "ducknode peers shows who is known; ducknode join HOST:PORT links with a node";
    if (strcmp(part, "gateway") == 0)
        return "the node's log says why it ended; it is started again by itself";
    return "it passes by itself, once the store is read or the disk has room; the log says why";
}

static void check_parts(struct doctor *doctor)
{
    const Duck__StatusAnswer *status = doctor->status->status;

    if (strcmp(status->version, DUCK_VERSION) != 0)
        say(doctor, "node", FINDING_WARN, "restart it: an older one still runs",
            "%s runs version %s, this program is %s", status->node_id, status->version,
            DUCK_VERSION);
    else
        say(doctor, "node", FINDING_OK, "", "%s answers, version %s, network %s", status->node_id,
            status->version, status->network);
    for (size_t i = 0; i < status->n_parts; i++) {
        const Duck__StatusPart *part = status->parts[i];
        bool is_well = strcmp(part->status, "operational") == 0;
        bool is_out = strcmp(part->status, "outage") == 0;

        if (strcmp(part->name, "clock") == 0 && is_well)
            continue; /* said before */
        say(doctor, part->name,
            is_well  ? FINDING_OK
            : is_out ? FINDING_FAIL
                     : FINDING_WARN,
            part_help(part->name), "%s%s%s", part->status, *part->reason ? ": " : "", part->reason);
    }
}

static void check_gateway(struct doctor *doctor)
{
    const char *url = doctor->status->status->gateway_url, *host = strstr(url, "://");
    char address[OPTIONS_ADDRESS_SIZE], why[128];

    if (!*url || !host || doctor->call->options.gateway_public_url[0])
        return; /* none, or behind a proxy of whose ways nothing is known here */
    snprintf(address, sizeof address, "%.*s", (int)strcspn(host + 3, "/"), host + 3);
    if (!strrchr(address, ':'))
        return;
    if (try_connect(address, why, sizeof why) == 0)
        say(doctor, "http", FINDING_OK, "", "%s answers", url);
    else
        say(doctor, "http", FINDING_FAIL, "the node's log says how its gateway fares", "%s: %s",
            url, why);
}

static void check_queues(struct doctor *doctor)
{
    const Duck__StatusAnswer *status = doctor->status->status;

    if (status->outbox >= QUEUE_WORTH_TELLING(OUTBOX_MAX))
        say(doctor, "outbox", status->outbox >= OUTBOX_MAX ? FINDING_FAIL : FINDING_WARN,
            "ducknode pecks --box out --state queued shows for whom; ducknode peers, whose node is "
            "away",
            "%" PRIu64 " pecks await their receipts, of at most %u", status->outbox, OUTBOX_MAX);
    else
        say(doctor, "outbox", FINDING_OK, "", "%" PRIu64 " pecks await their receipts",
            status->outbox);
    if (status->inbox >= QUEUE_WORTH_TELLING(TRAY_MAX))
        say(doctor, "inbox", status->inbox >= TRAY_MAX ? FINDING_FAIL : FINDING_WARN,
            "agents do not take their pecks, or take too few: see ducknode inbox DUCKLING",
            "%" PRIu64 " pecks await an agent or an owner, of at most %u", status->inbox, TRAY_MAX);
    else
        say(doctor, "inbox", FINDING_OK, "", "%" PRIu64 " pecks await an agent or an owner",
            status->inbox);
}

static void count_peers(const Duck__PeerList *list, size_t counts[3])
{
    static const char *const states[] = {"alive", "suspect", "dead"};

    for (size_t i = 0; i < list->n_peers; i++)
        for (size_t j = 0; j < 3; j++)
            counts[j] += strcmp(list->peers[i]->state, states[j]) == 0;
}

static void check_peers(struct doctor *doctor)
{
    Duck__PeersQuery query = DUCK__PEERS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    size_t counts[3] = {0};
    Duck__Reply *reply;
    int status;

    request.order_case = DUCK__REQUEST__ORDER_PEERS;
    request.peers = &query;
    reply = ask(doctor->call, &request, &status);
    if (!reply)
        return; /* it was said */
    count_peers(reply->peers, counts);
    if (reply->peers->n_peers == 0)
        say(doctor, "peers", FINDING_WARN, "ducknode join HOST:PORT links with a node",
            "no other node is known");
    else if (counts[0] == 0)
        say(doctor, "peers", FINDING_FAIL,
            "is this host cut off? ducknode peers shows where they were", "none of %zu is alive",
            reply->peers->n_peers);
    else if (counts[1] + counts[2] > counts[0])
        say(doctor, "peers", FINDING_WARN,
            "most cannot be reached: is it they, or this host's network?",
            "%zu alive, %zu suspect, %zu dead", counts[0], counts[1], counts[2]);
    else
        say(doctor, "peers", FINDING_OK, "", "%zu alive, %zu suspect, %zu dead", counts[0],
            counts[1], counts[2]);
    duck_reply_free(reply);
}

static void check_directory(struct doctor *doctor)
{
    Duck__DirectoryQuery query = DUCK__DIRECTORY_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    const Duck__DirectoryList *found;
    Duck__Reply *reply;
    int status;

    query.limit = 1;
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    reply = ask(doctor->call, &request, &status);
    if (!reply)
        return; /* it was said */
    found = reply->directory;
    if (found->n_contradicted > 0)
        say(doctor, "quarantine", FINDING_WARN,
            "their next keys are known to somebody else: hatch them anew; ducknode directory names "
            "them",
            "%zu identities have two certificates of one number, the first: %s",
            found->n_contradicted, found->contradicted[0]);
    duck_reply_free(reply);
}

static void check_running(struct doctor *doctor)
{
    check_parts(doctor);
    check_listening(doctor);
    check_gateway(doctor);
    check_peers(doctor);
    check_directory(doctor);
    check_queues(doctor);
}

/* ---- all of it ---- */

static int examine(struct call *call)
{
    struct doctor doctor = {.call = call, .checks = call->json ? json_array() : NULL};
    const struct options *options = &call->options;

    if (!identity_self_test())
        say(&doctor, "crypto", FINDING_FAIL, "another libsodium: this one must not run a node",
            "this libsodium judges signatures otherwise than the network");
    say(&doctor, "config", FINDING_OK, "", "%s",
        options->config_path[0] ? options->config_path : "no file: the defaults, and flags");
    if (check_folder(&doctor)) {
        check_room(&doctor);
        check_key(&doctor);
        check_store(&doctor);
    }
    check_limits(&doctor);
    check_clock(&doctor);
    check_handlers(&doctor);
    if (find_node(&doctor))
        check_running(&doctor);
    else
        check_free_ports(&doctor);
    check_addresses(
        &doctor, "advertise",
        "others are told to dial this: does it lead to this host, through every firewall?",
        options->advertise, options->advertise_count);
    check_addresses(&doctor, "join", "is that node up? it is tried again and again", options->join,
                    options->join_count);
    if (doctor.status)
        duck_reply_free(doctor.status);
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
