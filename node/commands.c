#include "commands.h"

#include "client/duck_client.h"
#include "wire/local.pb-c.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CALL_TIMEOUT_MS 45000u

static const struct command *const groups[] = {
    node_commands,    network_commands, peck_commands,   directory_commands, bond_commands,
    receipt_commands, audit_commands,   doctor_commands, top_commands,       operator_commands,
    handler_commands, limits_commands,  event_commands,  rotate_commands,    certificate_commands,
    revoke_commands,  grant_commands,   key_commands,    lobster_commands,   backup_commands,
};

/* Every command takes these. */
static const struct command_flag common[] = {
    {"config", "FILE", "read this file instead of"},
    {"state-dir", "DIR", "the node's state: keys, store, socket; by default"},
    {"socket", "PATH", "the node's local API; by default ducknode.sock in the state folder"},
    {"json", NULL, "print one JSON document"},
    {"help", NULL, "print this"},
    {NULL, NULL, NULL},
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        for (const struct command *command = groups[i]; command->name; command++)
            if (strcmp(command->name, name) == 0)
                return command;
    return NULL;
}

/* ---- help ---- */

/* In the order in which a newcomer meets them. */
static const struct {
    const char *heading, *names[10];
} chapters[] = {
    {"The node", {"init", "run", "status", "doctor", "top", "metrics", "id", "version"}},
    {"Other nodes", {"peers", "gossip", "join", "leave", "events"}},
    {"Ducklings", {"hatch", "profile", "directory", "key", "sign"}},
    {"Pecks",
     {"peck", "pecks", "inbox", "answer", "cancel", "approve", "deny", "receipt", "audit"}},
    {"Who may ask what", {"bonds", "bond", "unpeck", "grant", "operator", "lobster"}},
    {"Keys and backups", {"certificate", "rotate", "revoke", "backup", "restore"}},
    {"Handlers and the gateway", {"handlers", "run-handlers", "limits", "mail"}},
};

static void print_flag(const struct command_flag *flag, const char *more)
{
    char left[64];

    snprintf(left, sizeof left, "--%s%s%s", flag->name, flag->value ? " " : "",
             flag->value ? flag->value : "");
    printf("  %-27s  %s%s%s\n", left, flag->what, more[0] ? " " : "", more);
}

/* With what this user has where nothing is said. */
static void print_common(void)
{
    char file[OPTIONS_PATH_SIZE], folder[OPTIONS_PATH_SIZE], *slash;

    options_default_file(file);
    duck_default_socket(folder, sizeof folder);
    slash = strrchr(folder, '/');
    if (slash)
        *slash = 0;
    for (const struct command_flag *flag = common; flag->name; flag++)
        print_flag(flag, strcmp(flag->name, "config") == 0      ? file
                         : strcmp(flag->name, "state-dir") == 0 ? folder
                                                                : "");
}

static int help_command(const struct command *command)
{
    printf("usage: ducknode %s%s%s [flags]\n\n%s\n\n", command->name,
           command->arguments[0] ? " " : "", command->arguments, command->what);
    for (const struct command_flag *flag = command->flags; flag && flag->name; flag++)
        print_flag(flag, "");
    print_common();
    printf("\nexample:\n  %s\n", command->example);
    return 0;
}

static int help_all(FILE *file)
{
    fprintf(file, "usage: ducknode COMMAND [arguments] [flags]\n");
    for (size_t i = 0; i < sizeof chapters / sizeof *chapters; i++) {
        fprintf(file, "\n%s\n", chapters[i].heading);
        for (const char *const *name = chapters[i].names; *name; name++)
            fprintf(file, "  %-12s  %s\n", *name, find_command(*name)->what);
    }
    fprintf(file,
            "\n`ducknode COMMAND --help` tells more. All take --config FILE, and --json for "
            "programs. Exit "
            "status:\n0 done, 1 not done (the message says why), 2 the words made no sense.\n");
    return file == stderr ? 2 : 0;
}

/* ---- reading a command line ---- */

static const struct command_flag *find_flag(const struct command_flag *flags, const char *name,
                                            size_t size)
{
    for (; flags && flags->name; flags++)
        if (strlen(flags->name) == size && strncmp(flags->name, name, size) == 0)
            return flags;
    return NULL;
}

/* "--name", "--name value", "--name=value", or "-h". Returns how many words it took; 0: refused. */
static int read_flag(struct call *call, char **words)
{
    const char *name = strcmp(words[0], "-h") == 0 ? "help" : words[0] + 2;
    size_t size = strcspn(name, "=");
    const struct command_flag *flag = find_flag(call->command->flags, name, size);
    const char *value = NULL;
    int taken = 1;

    if (!flag)
        flag = find_flag(common, name, size);
    if (!flag) {
        misused(call, "there is no flag --%.*s", (int)size, name);
        return 0;
    }
    if (flag->value && name[size] == '=') {
        value = name + size + 1;
    } else if (flag->value) {
        value = words[1];
        taken = 2;
    }
    if ((flag->value && !value) || (!flag->value && name[size] == '=')) {
        misused(call, flag->value ? "--%s takes a %s" : "--%s takes no value%s", flag->name,
                flag->value ? flag->value : "");
        return 0;
    }
    if (call->flag_count == FLAGS_MAX) {
        misused(call, "more than %u flags", FLAGS_MAX);
        return 0;
    }
    call->flag_names[call->flag_count] = flag->name;
    call->flag_values[call->flag_count++] = value ? value : "";
    return taken;
}

static int read_words(struct call *call, char **words)
{
    bool flags_over = false;

    while (*words) {
        int taken = 1;

        if (!flags_over && strcmp(*words, "--") == 0) {
            flags_over = true;
        } else if (!flags_over && (strncmp(*words, "--", 2) == 0 || strcmp(*words, "-h") == 0)) {
            taken = read_flag(call, words);
            if (taken == 0)
                return 2;
        } else if (call->argument_count == call->command->arguments_max) {
            return misused(call, "'%s' is one argument too many", *words);
        } else {
            call->arguments[call->argument_count++] = *words;
        }
        words += taken;
    }
    if (!call_has(call, "help") && call->argument_count < call->command->arguments_min)
        return misused(call, "it takes %s", call->command->arguments);
    return 0;
}

/* A list's first flag replaces what the file says, further ones add to it. */
static bool apply_flags(struct call *call, struct options_problem *problem)
{
    static const struct {
        const char *flag, *section, *key;
        bool list;
    } settings[] = {
        {"state-dir", "node", "state_dir", false},
        {"socket", "node", "socket", false},
        {"name", "node", "name", false},
        {"network", "node", "network", false},
        {"listen", "node", "listen", true},
        {"advertise", "node", "advertise", true},
        {"join", "node", "join", true},
        {"log-format", "log", "format", false},
        {"log-level", "log", "level", false},
        {"gateway-listen", "gateway", "listen", false},
        {"gateway-program", "gateway", "program", false},
        {"passphrase-file", "key", "passphrase_file", false},
    };

    bool sets_up = strcmp(call->command->name, "init") == 0 ||
                   strcmp(call->command->name, "run") == 0 ||
                   strcmp(call->command->name, "run-handlers") == 0 ||
                   strcmp(call->command->name, "doctor") == 0;
    bool opens_keys =
        strcmp(call->command->name, "operator") == 0 ||
        strcmp(call->command->name, "rotate") == 0 || strcmp(call->command->name, "revoke") == 0 ||
        strcmp(call->command->name, "grant") == 0 || strcmp(call->command->name, "backup") == 0 ||
        strcmp(call->command->name, "restore") == 0;

    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const char *values[FLAGS_MAX];
        size_t count = call_flags(call, settings[i].flag, values, FLAGS_MAX);

        /* `--name` of hatch is the duckling's, not the node's. */
        if (!sets_up && !find_flag(common, settings[i].flag, strlen(settings[i].flag)) &&
            !(opens_keys && strcmp(settings[i].flag, "passphrase-file") == 0))
            continue;
        if (count > 0 && settings[i].list)
            options_clear_list(&call->options, settings[i].key);
        for (size_t j = 0; j < count; j++)
            if (!options_set(&call->options, settings[i].section, settings[i].key, values[j],
                             problem))
                return false;
    }
    return true;
}

static int read_options(struct call *call)
{
    struct options_problem problem;
    char path[OPTIONS_PATH_SIZE];
    const char *file = call_flag(call, "config");

    options_default(&call->options);
    if (!file && options_default_file(path))
        file = path;
    if ((file && !options_read_file(&call->options, file, &problem)) ||
        !apply_flags(call, &problem) || !options_settle(&call->options, &problem)) {
        fprintf(stderr, "ducknode: %s\n", problem.text);
        return 1;
    }
    return 0;
}

int commands_main(int argc, char **argv)
{
    static struct call call;
    const char *named;
    int status;

    if (argc < 2)
        return help_all(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        (strcmp(argv[1], "help") == 0 && argc == 2))
        return help_all(stdout);
    if (strcmp(argv[1], "help") == 0 && find_command(argv[2]))
        return help_command(find_command(argv[2]));
    named = strcmp(argv[1], "help") == 0 ? argv[2] : argv[1];
    call.command = find_command(strcmp(named, "--version") == 0 ? "version" : named);
    if (!call.command) {
        fprintf(stderr, "ducknode: there is no command '%s' (see ducknode --help)\n", named);
        return 2;
    }
    status = read_words(&call, argv + 2);
    if (status != 0)
        return status;
    if (call_has(&call, "help"))
        return help_command(call.command);
    call.json = call_has(&call, "json");
    status = read_options(&call);
    return status ? status : call.command->run(&call);
}

/* ---- for the commands ---- */

const char *call_flag(const struct call *call, const char *name)
{
    for (size_t i = call->flag_count; i-- > 0;)
        if (strcmp(call->flag_names[i], name) == 0)
            return call->flag_values[i];
    return NULL;
}

size_t call_flags(const struct call *call, const char *name, const char **values, size_t max)
{
    size_t count = 0;

    for (size_t i = 0; i < call->flag_count && count < max; i++)
        if (strcmp(call->flag_names[i], name) == 0)
            values[count++] = call->flag_values[i];
    return count;
}

bool call_has(const struct call *call, const char *name)
{
    return call_flag(call, name) != NULL;
}

bool call_number(const struct call *call, const char *name, uint64_t *number)
{
    const char *text = call_flag(call, name);
    char *end;

    if (!text)
        return true;
    errno = 0;
    *number = strtoull(text, &end, 10);
    if (errno == 0 && end != text && *end == 0 && text[0] != '-')
        return true;
    misused(call, "--%s takes a number, not '%s'", name, text);
    return false;
}

bool call_seconds(const struct call *call, const char *name, uint64_t *ms)
{
    uint64_t seconds = *ms / 1000;

    if (!call_number(call, name, &seconds))
        return false;
    if (seconds > UINT64_MAX / 1000) {
        misused(call, "--%s is too many seconds", name);
        return false;
    }
    *ms = seconds * 1000;
    return true;
}

bool call_json(const struct call *call, size_t argument, const char **json)
{
    json_error_t error;
    json_t *read;

    *json = call->argument_count > argument ? call->arguments[argument] : "{}";
    read = json_loads(*json, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    json_decref(read);
    if (!read)
        misused(call, "this is no JSON: %s: %s", *json, error.text);
    return read != NULL;
}

static void say_why(const struct call *call, const char *code, const char *format,
                    va_list arguments)
{
    char message[1024];

    vsnprintf(message, sizeof message, format, arguments);
    if (call_has(call, "json"))
        print_json(json_pack("{s:s, s:s}", "error", code, "message", message));
    fprintf(stderr, "ducknode %s: ", call->command->name);
    show_lines(stderr, bytes_of_text(message));
}

int fail(const struct call *call, const char *code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say_why(call, code, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return 1;
}

int misused(const struct call *call, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say_why(call, "usage", format, arguments);
    va_end(arguments);
    fprintf(stderr, " (see ducknode %s --help)\n", call->command->name);
    return 2;
}

int misused_word(const struct call *call)
{
    return misused(call, "it takes %s, not '%s'", call->command->arguments, call->arguments[0]);
}

static void print_document(json_t *document, size_t flags)
{
    char *text = json_dumps(document, flags);

    if (!text)
        memory_ran_out();
    show_json(stdout, bytes_of_text(text));
    putchar('\n');
    free(text);
    json_decref(document);
}

void print_json(json_t *document)
{
    print_document(document, JSON_INDENT(2) | JSON_ENCODE_ANY);
}

void print_json_line(json_t *document)
{
    print_document(document, JSON_COMPACT);
}

const char *time_text(uint64_t wall_ms, char text[32])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    size_t size;

    if (wall_ms == 0 || !gmtime_r(&seconds, &parts))
        return "-";
    size = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + size, 32 - size, ".%03uZ", (unsigned)(wall_ms % 1000));
    return text;
}

struct Duck__Reply *ask(struct call *call, struct Duck__Request *request, int *status)
{
    const char *problem = "";
    struct duck *duck = NULL;
    Duck__Reply *reply;

    if (duck_connect(&duck, call->options.socket, &problem) != 0) {
        *status = fail(call, "unreachable", "%s (%s)", problem, call->options.socket);
        return NULL;
    }
    reply = duck_call_wait(duck, request, CALL_TIMEOUT_MS);
    duck_close(duck);
    if (reply->answer_case == DUCK__REPLY__ANSWER_PROBLEM) {
        const Duck__Problem *refused = reply->problem;

        *status = fail(call, refused->code, "%s%s%s%s", refused->message,
                       refused->field[0] ? " (" : "", refused->field, refused->field[0] ? ")" : "");
        duck_reply_free(reply);
        return NULL;
    }
    *status = 0;
    return reply;
}

const char *counter_name(const Duck__NamedCounter *counter, char text[COUNTER_NAME_SIZE])
{
    bool labelled = counter->label[0] != 0;

    snprintf(text, COUNTER_NAME_SIZE, "%s%s%s%s", counter->name, labelled ? "{" : "",
             counter->label, labelled ? "}" : "");
    return text;
}
