/* How often HTTP clients may call. The gateway looks each second at the file that is written here:
 * node and gateway meet at the local API and in the state folder, and nowhere else. */
#include "commands.h"
#include "core/rate_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct limits {
    char folder[OPTIONS_PATH_SIZE + 16], path[OPTIONS_PATH_SIZE + 32];
    struct rate_table published, configured, in_force;
};

/* False: said why. */
static bool read_file(struct call *call, struct limits *limits)
{
    FILE *file = fopen(limits->path, "re");
    char text[RATE_TEXT_MAX + 1];
    size_t size = 0;
    bool is_read;

    if (!file && errno == ENOENT)
        return true;
    if (file)
        size = fread(text, 1, sizeof text, file);
    is_read = file && !ferror(file);
    if (!is_read)
        fail(call, "not_found", "cannot read %s: %s", limits->path, strerror(errno));
    if (file)
        fclose(file);
    if (!is_read ||
        (size <= RATE_TEXT_MAX && rate_table_set_text(&limits->in_force, bytes_of(text, size))))
        return is_read;
    fail(call, "malformed", "%s is not understood; `ducknode limits reset` writes it anew",
         limits->path);
    return false;
}

static bool read_limits(struct call *call, struct limits *limits)
{
    const struct options *options = &call->options;

    snprintf(limits->folder, sizeof limits->folder, "%s/gateway", options->state_dir);
    snprintf(limits->path, sizeof limits->path, "%s/limits", limits->folder);
    rate_table_default(&limits->published);
    limits->configured = limits->published;
    for (size_t i = 0; i < options->gateway_limit_count; i++)
        rate_table_set(&limits->configured, bytes_of_text(options->gateway_limits[i]));
    limits->in_force = limits->configured;
    return read_file(call, limits);
}

static bool is_same(const struct rate_table *left, const struct rate_table *right, size_t class)
{
    return !memcmp(left->per_minute[class], right->per_minute[class],
                   sizeof left->per_minute[class]);
}

/* What another user wrote the gateway could not read; a folder of another user's it could not use. */
static int check_user(struct call *call)
{
    const char *folder = call->options.state_dir;
    struct stat about;

    if (stat(folder, &about) != 0)
        return fail(call, "not_found", "%s: %s", folder, strerror(errno));
    if (about.st_uid != geteuid())
        return fail(call, "not_allowed", "%s is another user's: do this as the user with the id %u",
                    folder, (unsigned)about.st_uid);
    return 0;
}

/* Only what differs from the configuration; whole, then renamed. */
static int write_limits(struct call *call, const struct limits *limits)
{
    char fresh[OPTIONS_PATH_SIZE + 40], text[RATE_CLASSES * RATE_WORD_SIZE + 64] = "";
    char word[RATE_WORD_SIZE];
    size_t size = 0;
    int file;
    bool is_written;

    if (check_user(call))
        return 1;
    for (size_t i = 0; i < RATE_CLASSES; i++)
        if (!is_same(&limits->in_force, &limits->configured, i))
            size += (size_t)snprintf(text + size, sizeof text - size, "%s\n",
                                     rate_table_word(&limits->in_force, (enum rate_class)i, word));
    snprintf(fresh, sizeof fresh, "%s.new", limits->path);
    if (mkdir(limits->folder, 0700) != 0 && errno != EEXIST)
        return fail(call, "store_failed", "cannot make %s: %s", limits->folder, strerror(errno));
    file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    is_written = file >= 0 && write(file, text, size) == (ssize_t)size && fsync(file) == 0;
    if (file >= 0)
        close(file);
    if (!is_written || rename(fresh, limits->path) != 0)
        return fail(call, "store_failed", "cannot write %s: %s", limits->path, strerror(errno));
    return 0;
}

/* ---- showing ---- */

static const char *source_of(const struct limits *limits, size_t class)
{
    if (!is_same(&limits->in_force, &limits->configured, class))
        return "set";
    return is_same(&limits->configured, &limits->published, class) ? "published" : "configured";
}

static const char *number_text(uint32_t number, char text[12])
{
    snprintf(text, 12, number ? "%u" : "off", (unsigned)number);
    return text;
}

static int show(struct call *call, const struct limits *limits)
{
    json_t *document = json_object();
    char text[RATE_COLUMNS][12];

    if (!call->json)
        printf("calls a minute  T0, T1       T2       T3\n");
    for (size_t i = 0; i < RATE_CLASSES; i++) {
        const uint32_t *numbers = limits->in_force.per_minute[i];
        const char *name = rate_class_name((enum rate_class)i), *source = source_of(limits, i);
        json_t *class = json_pack("{s:s}", "source", source);

        for (size_t j = 0; j < RATE_COLUMNS; j++)
            json_object_set_new(class,
                                j == RATE_T1   ? "T1"
                                : j == RATE_T2 ? "T2"
                                               : "T3",
                                numbers[j] ? json_integer(numbers[j]) : json_null());
        json_object_set_new(document, name, class);
        if (!call->json)
            printf("%-14s %7s  %7s  %7s  %s\n", name, number_text(numbers[0], text[0]),
                   number_text(numbers[1], text[1]), number_text(numbers[2], text[2]), source);
    }
    if (call->json)
        print_json(document);
    else
        json_decref(document);
    return 0;
}

/* ---- changing ---- */

static int set(struct call *call, struct limits *limits)
{
    if (call->argument_count < 2)
        return misused(call, "set takes words like peck=10/60/300, auth.T1=5 or cert=off");
    for (size_t i = 1; i < call->argument_count; i++)
        if (!rate_table_set(&limits->in_force, bytes_of_text(call->arguments[i])))
            return fail(call, "malformed", "%s is not understood; write peck=10/60/300",
                        call->arguments[i]);
    return write_limits(call, limits);
}

static int reset(struct call *call, struct limits *limits)
{
    enum rate_class class;

    if (call->argument_count == 1)
        limits->in_force = limits->configured;
    for (size_t i = 1; i < call->argument_count; i++) {
        if (!rate_class_parse(bytes_of_text(call->arguments[i]), &class))
            return fail(call, "malformed", "there is no class %s", call->arguments[i]);
        memcpy(limits->in_force.per_minute[class], limits->configured.per_minute[class],
               sizeof limits->in_force.per_minute[class]);
    }
    return write_limits(call, limits);
}

static int run(struct call *call)
{
    const char *what = call->argument_count > 0 ? call->arguments[0] : "show";
    bool resets = !strcmp(what, "reset") && call->argument_count <= 1;
    struct limits limits;
    int status = 0;

    if (strcmp(what, "show") && strcmp(what, "set") && strcmp(what, "reset"))
        return misused_word(call);
    if (!strcmp(what, "show") && call->argument_count > 1)
        return misused(call, "show takes no word: it shows all classes");
    if (!read_limits(call, &limits) && !resets)
        return 1;
    if (!strcmp(what, "set"))
        status = set(call, &limits);
    if (!strcmp(what, "reset"))
        status = reset(call, &limits);
    return status ? status : show(call, &limits);
}

const struct command limits_commands[] = {
    {"limits", "[show | set WORD… | reset [CLASS…]]", 0, ARGUMENTS_MAX,
     "How often HTTP clients may call, by class and tier; a running gateway follows within a "
     "second.",
     NULL, "ducknode limits set peck=10/60/300 directory.T1=30 cert=off", run},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
