#include "commands.h"

#include "client/duck_client.h"
#include "wire/local.pb-c.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
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
    {"config", "FILE", "read this file instead of the default one"},
    {"state-dir", "DIR", "the node's state: keys, store, socket"},
    {"socket", "PATH", "the node's local API"},
    {"json", NULL, "print one JSON document"},
    {"help", NULL, "print this"},
    {NULL, NULL, NULL},
};

/* ---- help ---- */

static void print_flags(const struct command_flag *flags)
{
    for (; flags && flags->name; flags++) {
        char left[64];

        snprintf(left, sizeof left, "--%s%s%s", flags->name, flags->value ? " " : "",
                 flags->value ? flags->value : "");
        printf("  %-26s %s\n", left, flags->what);
    }
}

static int help_command(const struct command *command)
{
    printf("usage: ducknode %s%s%s [flags]\n\n%s\n\n", command->name,
           command->arguments[0] ? " " : "", command->arguments, command->what);
    print_flags(command->flags);
    print_flags(common);
    printf("\nexample:\n  %s\n", command->example);
    return 0;
}

static int help_all(FILE *file)
{
    fprintf(file, "usage: ducknode COMMAND [arguments] [flags]; `ducknode COMMAND --help` tells "
                  "more\n\n");
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        for (const struct command *command = groups[i]; command->name; command++)
            fprintf(file, "  %-12s %s\n", command->name, command->what);
    return file == stderr ? 2 : 0;
}

/* ---- reading a command line ---- */

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        for (const struct command *command = groups[i]; command->name; command++)
            if (strcmp(command->name, name) == 0)
                return command;
    return NULL;
}

static const struct command_flag *find_flag(const struct command_flag *flags, const char *name,
                                            size_t size)
{
    for (; flags && flags->name; flags++)
        if (strlen(flags->name) == size && strncmp(flags->name, name, size) == 0)
            return flags;
    return NULL;
}

int misused(const struct command *command, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "ducknode %s: ", command->name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, " (see ducknode %s --help)\n", command->name);
    return 2;
}

/* "--name", "--name value" or "--name=value". Returns how many words it took; 0: refused. */
static int read_flag(struct call *call, char **words)
{
    const char *name = words[0] + 2;
    size_t size = strcspn(name, "=");
    const struct command_flag *flag = find_flag(call->command->flags, name, size);
    const char *value = NULL;
    int taken = 1;

    if (!flag)
        flag = find_flag(common, name, size);
    if (!flag) {
        misused(call->command, "there is no flag --%.*s", (int)size, name);
        return 0;
    }
    if (flag->value && name[size] == '=') {
        value = name + size + 1;
    } else if (flag->value) {
        value = words[1];
        taken = 2;
    }
    if ((flag->value && !value) || (!flag->value && name[size] == '=')) {
        misused(call->command, flag->value ? "--%s takes a %s" : "--%s takes no value%s",
                flag->name, flag->value ? flag->value : "");
        return 0;
    }
    if (call->flag_count == FLAGS_MAX) {
        misused(call->command, "more than %u flags", FLAGS_MAX);
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
        } else if (!flags_over && strncmp(*words, "--", 2) == 0) {
            taken = read_flag(call, words);
            if (taken == 0)
                return 2;
        } else if (call->argument_count == call->command->arguments_max) {
            return misused(call->command, "'%s' is one argument too many", *words);
        } else {
            call->arguments[call->argument_count++] = *words;
        }
        words += taken;
    }
    if (!call_has(call, "help") && call->argument_count < call->command->arguments_min)
        return misused(call->command, "it takes %s", call->command->arguments);
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
    misused(call->command, "--%s takes a number, not '%s'", name, text);
    return false;
}

bool call_seconds(const struct call *call, const char *name, uint64_t *ms)
{
    uint64_t seconds = *ms / 1000;

    if (!call_number(call, name, &seconds))
        return false;
    if (seconds > UINT64_MAX / 1000) {
        misused(call->command, "--%s is too many seconds", name);
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
        misused(call->command, "this is no JSON: %s: %s", *json, error.text);
    return read != NULL;
}

int fail(const struct call *call, const char *code, const char *format, ...)
{
    char message[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (call->json)
        print_json(json_pack("{s:s, s:s}", "error", code, "message", message));
    fprintf(stderr, "ducknode %s: %s\n", call->command->name, message);
    return strcmp(code, "usage") == 0 ? 2 : 1;
}

void print_json(json_t *document)
{
    json_dumpf(document, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
    putchar('\n');
    json_decref(document);
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

/* ---- messages as JSON ---- */

static bool is_json_field(const char *name)
{
    return strcmp(name, "payload") == 0 || strcmp(name, "result") == 0;
}

static json_t *json_of_bytes(const char *name, struct bytes bytes)
{
    char *text;
    size_t size;
    json_t *json;

    if (is_json_field(name) && bytes.size > 0) {
        json = json_loadb((const char *)bytes.data, bytes.size, JSON_DECODE_ANY, NULL);
        if (json)
            return json;
    }
    if (bytes_are_text(bytes, true))
        return json_stringn((const char *)bytes.data, bytes.size);
    size = sodium_base64_encoded_len(bytes.size, sodium_base64_VARIANT_ORIGINAL);
    text = memory_take(size);
    sodium_bin2base64(text, size, bytes.data, bytes.size, sodium_base64_VARIANT_ORIGINAL);
    json = json_string(text);
    memory_give_back(text);
    return json;
}

static json_t *json_of_member(const ProtobufCFieldDescriptor *field, const void *member)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE: {
        const void *message = *(void *const *)member;

        return message ? json_of_message(message) : json_null();
    }
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(char *const *)member;

        return json_string(text ? text : "");
    }
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *data = member;

        return json_of_bytes(field->name, bytes_of(data->data, data->len));
    }
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)member);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return json_integer((json_int_t) * (const uint64_t *)member);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return json_integer((json_int_t) * (const int64_t *)member);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return json_integer(*(const uint32_t *)member);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_ENUM:
        return json_integer(*(const int32_t *)member);
    case PROTOBUF_C_TYPE_DOUBLE:
        return json_real(*(const double *)member);
    case PROTOBUF_C_TYPE_FLOAT:
        return json_real((double)*(const float *)member);
    }
    return json_null();
}

static size_t member_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
    case PROTOBUF_C_TYPE_STRING:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_FLOAT:
        return 4;
    }
    return 0;
}

json_t *json_of_message(const void *message)
{
    const ProtobufCMessage *base = message;
    const uint8_t *bytes = message;
    json_t *object = json_object();

    for (unsigned i = 0; i < base->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &base->descriptor->fields[i];
        const uint8_t *member = bytes + field->offset;

        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t count = *(const size_t *)(const void *)(bytes + field->quantifier_offset);
            const uint8_t *items = *(uint8_t *const *)(const void *)member;
            json_t *array = json_array();

            for (size_t j = 0; j < count; j++)
                json_array_append_new(array, json_of_member(field, items + j * member_size(field)));
            json_object_set_new(object, field->name, array);
        } else {
            json_object_set_new(object, field->name, json_of_member(field, member));
        }
    }
    return object;
}
