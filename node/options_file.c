/* The file of the options: INI, read by inih, with the line of what is refused. */
#include "options.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <unistd.h>

struct file_reader {
    FILE *file;
    struct options *options;
    struct options_problem *problem;
    const char *path;
    unsigned line;
    bool refused;
};

static void refuse_line(struct file_reader *reader, const char *what)
{
    if (reader->refused)
        return; /* the first is the one to mend */
    reader->refused = true;
    snprintf(reader->problem->text, sizeof reader->problem->text, "%.3000s:%u: %.1000s",
             reader->path, reader->line, what);
}

/* Counts lines, and refuses what inih would cut. */
static char *read_line(char *line, int size, void *context)
{
    struct file_reader *reader = context;

    if (reader->refused || !fgets(line, size, reader->file))
        return NULL;
    reader->line++;
    if (!strchr(line, '\n') && !feof(reader->file)) {
        refuse_line(reader, "this line is too long");
        return NULL;
    }
    return line;
}

/* inih ends a value at a blank and a ';', but takes a '#' for a part of it. Who wrote that meant a comment,
 * but in a name: "Duck #2". */
static bool has_hash_comment(const char *section, const char *name, const char *value)
{
    bool quoted = false, begins_word = true;

    if (strcmp(section, "node") == 0 && strcmp(name, "name") == 0)
        return false;
    for (; *value; value++) {
        if (*value == '#' && begins_word && !quoted)
            return true;
        if (*value == '"')
            quoted = !quoted;
        begins_word = *value == ' ' || *value == '\t';
    }
    return false;
}

static int take_pair(void *context, const char *section, const char *name, const char *value)
{
    struct file_reader *reader = context;
    struct options_problem problem;

    if (has_hash_comment(section, name, value ? value : ""))
        refuse_line(reader, "behind a value a comment begins with ';', not with '#'");
    else if (!options_set(reader->options, section, name, value ? value : "", &problem))
        refuse_line(reader, problem.text);
    return 1;
}

bool options_read_file(struct options *options, const char *path, struct options_problem *problem)
{
    struct file_reader reader = {.options = options, .problem = problem, .path = path};
    int wrong_line;

    reader.file = fopen(path, "re");
    if (!reader.file) {
        snprintf(problem->text, sizeof problem->text, "%s: %s", path, strerror(errno));
        return false;
    }
    ini_allow_multiline = false;
    ini_use_stack = true;
    ini_max_line = (int)OPTIONS_LINE_MAX;
    wrong_line = ini_parse_stream(read_line, &reader, take_pair, &reader);
    fclose(reader.file);
    if (wrong_line > 0 && (!reader.refused || (unsigned)wrong_line < reader.line)) {
        reader.refused = false; /* inih reads on after a line that it does not understand */
        reader.line = (unsigned)wrong_line;
        refuse_line(&reader, "this is neither [section] nor key = value");
    }
    if (reader.refused)
        return false;
    snprintf(options->config_path, sizeof options->config_path, "%s", path);
    return true;
}

bool options_default_file(char path[OPTIONS_PATH_SIZE])
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    if (geteuid() == 0)
        snprintf(path, OPTIONS_PATH_SIZE, "/etc/ducknode/ducknode.conf");
    else if (config && config[0] == '/')
        snprintf(path, OPTIONS_PATH_SIZE, "%s/ducknode/ducknode.conf", config);
    else
        snprintf(path, OPTIONS_PATH_SIZE, "%s/.config/ducknode/ducknode.conf", home ? home : "");
    return access(path, F_OK) == 0;
}
