/* The node itself: birth, running, how it is. */
#include "clock.h"
#include "commands.h"
#include "core/certificate.h"
#include "fault.h"
#include "keyfile.h"
#include "membership.h"
#include "network_file.h"
#include "node.h"
#include "passphrase.h"
#include "programs.h"
#include "wire/local.pb-c.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/duck_client.h"

#define LETTERS_MAX 1024

static const struct command_flag setup_flags[] = {
    {"name", "NAME", "the node's name, for people"},
    {"network", "ID", "the network it belongs to"},
    {"passphrase-file", "FILE", "seals the key file with what is in there"},
    {"next-passphrase-file", "FILE", "seals the next keys (default: the same)"},
    {NULL, NULL, NULL},
};

static const struct command_flag run_flags[] = {
    {"name", "NAME", "the node's name, for people"},
    {"network", "ID", "the network it belongs to"},
    {"listen", "HOST:PORT", "take links from other nodes here (repeatable)"},
    {"advertise", "HOST:PORT", "where others reach this node (repeatable)"},
    {"join", "ADDRESS", "host:port or nod_…@host:port of a node to link with (repeatable)"},
    {"gateway-listen", "HOST:PORT", "where the HTTP gateway listens"},
    {"gateway-program", "FILE", "the gateway's program"},
    {"no-gateway", NULL, "run without the HTTP gateway"},
    {"passphrase-file", "FILE", "opens the key file with what is in there"},
    {"log-format", "FORMAT", "text or json"},
    {"log-level", "LEVEL", "error, warning, info or debug"},
    {"check-config", NULL, "print what is in force, and end"},
    {NULL, NULL, NULL},
};

/* ---- init ---- */

/* What is kept in a new folder is on the disk only when its name is. */
static int sync_parent(const char *path)
{
    char part[OPTIONS_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    int folder, fault;

    snprintf(part, sizeof part, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    folder = open(part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return 0; /* not ours to read */
    fault = fsync(folder) == 0 ? 0 : FAULT_FILE;
    close(folder);
    return fault;
}

/* Makes a folder and those above it; the last one is for its owner alone. */
int make_state_folder(const char *path)
{
    char part[OPTIONS_PATH_SIZE];
    struct stat found;

    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        if (mkdir(part, 0755) == 0 ? sync_parent(part) != 0 : errno != EEXIST)
            return FAULT_FILE;
    }
    if (mkdir(path, 0700) == 0)
        return sync_parent(path);
    if (errno != EEXIST || stat(path, &found) != 0)
        return FAULT_FILE;
    return S_ISDIR(found.st_mode) && (found.st_mode & 077) == 0 && found.st_uid == geteuid()
               ? 0
               : FAULT_PERMISSIONS;
}

const char *state_folder_text(int fault)
{
    return fault == FAULT_PERMISSIONS ? "it must be a folder of this user that nobody else may "
                                        "look into (chmod 700), or one "
                                        "that is not there yet"
                                      : fault_text(fault);
}

static struct bytes make_chain(const struct options *options, const struct keyfile *keyfile,
                               const uint8_t next_seed[SEED_SIZE], struct arena *arena,
                               struct id *id)
{
    struct identity_key *key = identity_key_new(keyfile->seed), *next = identity_key_new(next_seed);
    struct public_key next_public = identity_key_public(next);
    struct certificate_wish wish = {
        .kind = IDENTITY_NODE,
        .display_name = bytes_of_text(options->name),
        .issued_ms = clock_wall_ms(),
        .not_after_ms = clock_wall_ms() + CERTIFICATE_LIFE_MS,
        .next_key_hash = identity_key_hash(&next_public),
    };
    struct bytes certificate = certificate_make(&wish, key, arena, id);

    identity_key_free(key);
    identity_key_free(next);
    return chain_pack(&certificate, 1, arena);
}

/* Whatever is named must be there before anything is made. */
static int read_passphrases(const struct options *options, const char *next_file,
                            struct passphrase *passphrase, struct passphrase *next_passphrase)
{
    struct options next = *options;
    int fault = passphrase_read(options, passphrase);

    if (fault || !next_file)
        return fault;
    snprintf(next.passphrase_file, sizeof next.passphrase_file, "%s", next_file);
    return passphrase_read(&next, next_passphrase);
}

/* The next keys, if under a passphrase of their own. */
static int seal_next(const char *folder, const uint8_t *next_seed, struct bytes passphrase,
                     struct bytes next_passphrase)
{
    int fault = 0;

    if (next_passphrase.size > 0) {
        fault = keyfile_prepare_next(KEYFILE_NODE, folder, next_seed, next_passphrase);
        if (!fault)
            fault = keyfile_take_new(KEYFILE_NODE, folder, true);
        passphrase = next_passphrase;
    }
    return fault ? fault : keyfile_create_seal(folder, passphrase);
}

/* The key first: without it there is no node. */
static void unmake(const char *folder)
{
    static const char *const files[] = {
        "node.key", "node.next.key",          "node.next.key.new",     "node.chain",
        "network",  "ducklings.next.key.new", "ducklings.next.pub.new"};
    char path[OPTIONS_PATH_SIZE + 32];

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
}

static int create(const struct options *options, const struct passphrase *passphrase,
                  const struct passphrase *next_passphrase, struct id *id)
{
    struct bytes live = bytes_of(passphrase->data, passphrase->size);
    uint8_t *next_seed = sodium_malloc(SEED_SIZE);
    struct keyfile *keyfile = keyfile_new();
    struct arena arena;
    int fault;

    if (!next_seed)
        memory_ran_out();
    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    randombytes_buf(keyfile->seed, sizeof keyfile->seed);
    randombytes_buf(keyfile->storage_key, sizeof keyfile->storage_key);
    randombytes_buf(next_seed, SEED_SIZE);
    fault = keyfile_create(KEYFILE_NODE, options->state_dir, keyfile, next_seed, live,
                           make_chain(options, keyfile, next_seed, &arena, id));
    if (!fault) {
        fault = network_file_keep(options->state_dir, options->network);
        if (!fault)
            fault = seal_next(options->state_dir, next_seed, live,
                              bytes_of(next_passphrase->data, next_passphrase->size));
        if (fault)
            unmake(options->state_dir);
    }
    arena_free(&arena);
    keyfile_free(keyfile);
    sodium_free(next_seed);
    return fault;
}

/* 0, or the exit status after it was said why. */
static int make_node(struct call *call, bool *sealed, struct id *id)
{
    const struct options *options = &call->options;
    struct passphrase *passphrase = passphrase_new(), *next_passphrase = passphrase_new();
    int status = 0, fault = read_passphrases(options, call_flag(call, "next-passphrase-file"),
                                             passphrase, next_passphrase);

    if (fault)
        status = fail(call, "passphrase", "a passphrase file cannot be used: %s",
                      passphrase_fault_text(fault));
    else if ((fault = create(options, passphrase, next_passphrase, id)) == FAULT_BUSY)
        status = fail(call, "exists", "%s holds a node already", options->state_dir);
    else if (fault)
        status = fail(call, "state_dir", "cannot make a node in %s: %s", options->state_dir,
                      fault_text(fault));
    *sealed = passphrase->size > 0;
    sodium_free(passphrase);
    sodium_free(next_passphrase);
    return status;
}

static int init(struct call *call)
{
    static const char *const where[] = {"config", "state-dir", "socket", "passphrase-file"};
    const struct options *options = &call->options;
    char text[ID_TEXT_SIZE];
    bool sealed = false;
    struct id id;
    int fault, status;

    if (!identity_self_test())
        return fail(call, "crypto", "this libsodium judges signatures otherwise than the network");
    fault = make_state_folder(options->state_dir);
    if (fault)
        return fail(call, "state_dir", "cannot use %s: %s", options->state_dir,
                    state_folder_text(fault));
    status = make_node(call, &sealed, &id);
    if (status)
        return status;
    id_text(ID_NODE, &id, text);
    if (call->json) {
        print_json(json_pack("{s:s, s:s, s:s, s:b}", "node_id", text, "state_dir",
                             options->state_dir, "network", options->network, "sealed", sealed));
        return 0;
    }
    printf("%s  \"%s\" of network %s\n", text, options->name, options->network);
    printf("keys    %s/node.key\n", options->state_dir);
    if (sealed)
        printf("        sealed with the passphrase\n");
    else
        printf(
            "        NOT SEALED: whoever reads these files is this node. Keep them from others, "
            "or\n"
            "        begin anew with a passphrase (--passphrase-file, or a systemd credential).\n");
    printf(
        "apart   node.next.key and ducklings.next.key beside it take over from keys that were "
        "stolen.\n"
        "        The node never needs them: move them where this host and its backups are not.\n");
    printf("next    ducknode run");
    for (size_t i = 0; i < sizeof where / sizeof *where; i++)
        if (call_flag(call, where[i]))
            printf(" --%s %s", where[i], call_flag(call, where[i]));
    printf("\n");
    return 0;
}

/* ---- run ---- */

static int check_passphrase(const struct options *options)
{
    struct passphrase *passphrase;
    int fault;

    if (sodium_init() < 0)
        return FAULT_CONFIG;
    passphrase = passphrase_new();
    fault = passphrase_read(options, passphrase);
    sodium_free(passphrase);
    return fault;
}

static bool check_membership(const struct options *options, char problem[256])
{
    struct membership membership;
    bool is_good;

    membership_init(&membership);
    is_good = !options->membership_file[0] ||
              membership_read(&membership, options->membership_file, problem);

    membership_free(&membership);
    return is_good;
}

static int run(struct call *call)
{
    char problem[HANDLER_PROBLEM_SIZE];

    if (call_has(call, "no-gateway"))
        call->options.gateway_enabled = false;
    if (!handler_table_judge_programs(&call->options.handlers, problem))
        return fail(call, "config", "%s", problem);
    if (call_has(call, "check-config")) {
        int fault = check_passphrase(&call->options);

        if (fault)
            return fail(call, "config", "the passphrase file %s: %s", call->options.passphrase_file,
                        fault_text(fault));
        if (!check_membership(&call->options, problem))
            return fail(call, "config", "%s", problem);
        if (!programs_check_gateway(&call->options))
            return fail(call, "config", "the gateway would not start with what [gateway] says");
        options_print(&call->options, stdout);
        return 0;
    }
    return node_run(&call->options);
}

/* ---- id ---- */

static int show_id(struct call *call)
{
    char path[OPTIONS_PATH_SIZE + 16], text[ID_TEXT_SIZE], issued[32], ends[32];
    char name[SHOW_WORD_SIZE];
    enum certificate_verdict verdict;
    const struct certificate *last;
    struct chain chain;
    struct arena arena;
    size_t size = 0;
    uint8_t *data;
    FILE *file;

    snprintf(path, sizeof path, "%s/node.chain", call->options.state_dir);
    file = fopen(path, "re");
    if (!file)
        return fail(call, "not_found", "cannot read %s: %s", path, strerror(errno));
    data = memory_take(CHAIN_SIZE_MAX);
    size = fread(data, 1, CHAIN_SIZE_MAX, file);
    fclose(file);
    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    verdict = chain_open(bytes_of(data, size), &arena, &chain);
    memory_give_back(data);
    if (verdict != CERTIFICATE_TAKEN) {
        arena_free(&arena);
        return fail(call, "malformed", "%s: %s", path, certificate_verdict_text(verdict));
    }
    last = &chain.certificates[chain.count - 1];
    id_text(ID_NODE, &chain.identity, text);
    time_text(last->issued_ms, issued);
    time_text(last->not_after_ms, ends);
    if (call->json)
        print_json(json_pack("{s:s, s:s%, s:i, s:s, s:s}", "node_id", text, "display_name",
                             last->display_name.data, last->display_name.size, "certificates",
                             (int)chain.count, "issued_at", issued, "not_after", ends));
    else
        printf("%s  \"%s\"\n%zu certificate%s, the last of %s, valid until %s\n", text,
               show_word(last->display_name, name), chain.count, chain.count == 1 ? "" : "s",
               issued, ends);
    arena_free(&arena);
    return 0;
}

/* ---- status, metrics ---- */

static int status(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__StatusQuery query = DUCK__STATUS_QUERY__INIT;
    const Duck__StatusAnswer *answer;
    Duck__Reply *reply;
    char started[32];
    int result;

    request.order_case = DUCK__REQUEST__ORDER_STATUS;
    request.status = &query;
    reply = ask(call, &request, &result);
    if (!reply)
        return result;
    answer = reply->status;
    if (call->json) {
        print_json(json_of_message(answer));
        duck_reply_free(reply);
        return 0;
    }
    printf("%s  \"%s\" of network %s, ducknode %s\n", answer->node_id, answer->display_name,
           answer->network, answer->version);
    printf("since      %s\n", time_text(answer->started_ms, started));
    for (size_t i = 0; i < answer->n_listening; i++)
        printf("listening  %s\n", answer->listening[i]);
    if (answer->gateway_url[0])
        printf("gateway    %s\n", answer->gateway_url);
    printf("links      %u to other nodes; %u known, with this one\n", answer->links,
           answer->known_nodes);
    printf("directory  %" PRIu64 " records, %u ducklings live here\n", answer->records,
           answer->hosted);
    printf("pecks      %" PRIu64 " out, %" PRIu64 " in\n", answer->outbox, answer->inbox);
    for (size_t i = 0; i < answer->n_perches; i++)
        printf("perch      %s holds pecks for this node while it is away\n", answer->perches[i]);
    if (answer->is_perch || answer->perched)
        printf("perched    %" PRIu64 " pecks held for %u other nodes, %" PRIu64 " bytes\n",
               answer->perched, answer->perched_owners, answer->perched_bytes);
    for (size_t i = 0; i < answer->n_parts; i++)
        printf("%-10s %s%s%s\n", answer->parts[i]->name, answer->parts[i]->status,
               answer->parts[i]->reason[0] ? ": " : "", answer->parts[i]->reason);
    duck_reply_free(reply);
    return 0;
}

static int metrics(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__MetricsQuery query = DUCK__METRICS_QUERY__INIT;
    Duck__Reply *reply;
    char name[COUNTER_NAME_SIZE];
    int result;

    request.order_case = DUCK__REQUEST__ORDER_METRICS;
    request.metrics = &query;
    reply = ask(call, &request, &result);
    if (!reply)
        return result;
    if (call->json) {
        json_t *document = json_of_message(reply->metrics), *counters = json_object();

        for (size_t i = 0; i < reply->metrics->n_counters; i++)
            json_object_set_new(counters, counter_name(reply->metrics->counters[i], name),
                                json_real(reply->metrics->counters[i]->value));
        json_object_set_new(document, "counters", counters);
        print_json(document);
    } else {
        const Duck__MetricsCounters *total = reply->metrics->total;

        printf("nodes %u, ducklings %" PRIu64 ", connections %" PRIu64 ", pecks %" PRIu64
               ", of the whole network; of this node:\n",
               reply->metrics->nodes, total->ducklings, total->connections, total->pecks);
        for (size_t i = 0; i < reply->metrics->n_counters; i++)
            printf("%-56s %.0f\n", counter_name(reply->metrics->counters[i], name),
                   reply->metrics->counters[i]->value);
    }
    duck_reply_free(reply);
    return 0;
}

/* ---- mail ---- */

static int is_letter(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Without a mail server the gateway's letters are files. */
static int mail(struct call *call)
{
    char folder[OPTIONS_PATH_SIZE + 16], path[OPTIONS_PATH_SIZE + 300], line[1024];
    json_t *letters = json_array();
    struct dirent **entries;
    int count;

    snprintf(folder, sizeof folder, "%s/gateway/mail", call->options.state_dir);
    count = scandir(folder, &entries, is_letter, alphasort);
    if (count < 0 && errno != ENOENT) {
        json_decref(letters);
        return fail(call, "not_found", "cannot read %s: %s", folder, strerror(errno));
    }
    for (int i = 0; i < count; i++) {
        json_t *text = json_string("");
        FILE *file;

        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        file = fopen(path, "re");
        if (!call->json)
            printf("%s---- %s\n", i ? "\n" : "", entries[i]->d_name);
        while (file && fgets(line, sizeof line, file)) {
            if (call->json) {
                json_t *longer = json_sprintf("%s%s", json_string_value(text), line);

                json_decref(text);
                text = longer ? longer : json_string("");
            } else {
                fputs(line, stdout);
            }
        }
        if (file)
            fclose(file);
        json_array_append_new(letters,
                              json_pack("{s:s, s:o}", "file", entries[i]->d_name, "text", text));
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    if (call->json)
        print_json(letters);
    else
        json_decref(letters);
    if (count <= 0 && !call->json)
        printf("no letters\n");
    return 0;
}

static int version(struct call *call)
{
    if (call->json)
        print_json(json_pack("{s:s}", "version", DUCK_VERSION));
    else
        printf("ducknode %s\n", DUCK_VERSION);
    return 0;
}

const struct command node_commands[] = {
    {"init", "", 0, 0, "Make a node: its identity, its key file, its certificate.", setup_flags,
     "ducknode init --name alice --passphrase-file /etc/ducknode/passphrase", init},
    {"run", "", 0, 0, "Run the node, and its HTTP gateway beside it, until it is told to stop.",
     run_flags, "ducknode run --listen 0.0.0.0:7117 --join alice.example:7117", run},
    {"status", "", 0, 0, "How the running node is.", NULL, "ducknode status --json", status},
    {"id", "", 0, 0, "Who this node is; it need not run.", NULL, "ducknode id", show_id},
    {"metrics", "", 0, 0, "Counters of the network, and of this process.", NULL, "ducknode metrics",
     metrics},
    {"mail", "", 0, 0, "The gateway's letters, where no mail server is configured.", NULL,
     "ducknode mail", mail},
    {"version", "", 0, 0, "Which release this is.", NULL, "ducknode version", version},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
