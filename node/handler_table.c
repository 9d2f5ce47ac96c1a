#include "handler_table.h"

#include "core/peck.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- keys ---- */

static const struct number_key {
    const char *name;
    size_t at;
    uint32_t min, max;
    const char *wrong;
} numbers[] = {
    {"timeout_ms", offsetof(struct handler, timeout_ms), HANDLER_TIMEOUT_MIN_MS,
     HANDLER_TIMEOUT_MAX_MS, "it is 100 to 3000000"},
    {"output_max_bytes", offsetof(struct handler, output_max_bytes), 1, PECK_PAYLOAD_MAX,
     "it is 1 to 262144"},
    {"at_once", offsetof(struct handler, at_once), 1, HANDLER_AT_ONCE_MAX, "it is 1 to 64"},
    {"memory_max_mib", offsetof(struct handler, memory_max_mib), 0, HANDLER_MEMORY_MAX_MIB,
     "it is 0 to 1048576"},
    {"cpu_max_s", offsetof(struct handler, cpu_max_s), 0, 1000000, "it is 0 to 1000000"},
    {"processes_max", offsetof(struct handler, processes_max), 0, 1000000, "it is 0 to 1000000"},
};
#define NUMBERS (sizeof numbers / sizeof *numbers)

static const char *set_number(struct handler *handler, const struct number_key *key,
                              const char *value)
{
    uint32_t number = 0;

    if (!*value || strlen(value) > 9 || strspn(value, "0123456789") != strlen(value))
        return key->wrong;
    number = (uint32_t)strtoul(value, NULL, 10);
    if (number < key->min || number > key->max)
        return key->wrong;
    memcpy((char *)handler + key->at, &number, sizeof number);
    return NULL;
}

static const char *set_duckling(struct handler *handler, const char *value)
{
    struct id id;

    if (!id_parse(ID_DUCKLING, bytes_of_text(value), &id))
        return "it is the id of a duckling, dkl_...";
    id_text(ID_DUCKLING, &id, handler->duckling);
    return NULL;
}

static const char *set_action(struct handler *handler, const char *value)
{
    if (!peck_scope_is_valid(bytes_of_text(value)))
        return "it is a name like data.read, or data.*, or *";
    strcpy(handler->action, value);
    return NULL;
}

/* Words are parted by blanks; "…" is one word, or a part of one, with its blanks. */
static const char *set_argv(struct handler *handler, const char *value)
{
    size_t size = 0;

    handler->word_count = 0;
    if (strlen(value) >= HANDLER_TEXT_SIZE) /* no word is longer than what it was made of */
        return "it is too long";
    if (!bytes_are_text(bytes_of_text(value), false))
        return "it is not UTF-8 without control characters";
    while (*(value += strspn(value, " "))) {
        bool quoted = false;

        if (handler->word_count == HANDLER_WORDS_MAX)
            return "it has more than 32 words";
        for (; *value && (quoted || *value != ' '); value++) {
            if (*value == '"')
                quoted = !quoted;
            else
                handler->words[size++] = *value;
        }
        if (quoted)
            return "a quote is not closed";
        handler->words[size++] = 0;
        handler->word_count++;
    }
    if (handler->words[0] != '/' || handler->word_count == 0)
        return "it begins with the absolute path of a program";
    return NULL;
}

static const char *set_url(struct handler *handler, const char *value)
{
    bool is_https = strncmp(value, "https://", 8) == 0 && value[8];
    bool is_http = strncmp(value, "http://", 7) == 0 && value[7];

    if ((!is_https && !is_http) || !bytes_are_text(bytes_of_text(value), false) ||
        strpbrk(value, " \"<>\\^`{|}"))
        return "it is an https:// or http:// URL";
    if (strlen(value) >= sizeof handler->url)
        return "it is too long";
    strcpy(handler->url, value);
    return NULL;
}

static struct handler *find(struct handler_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->list[i].name, name) == 0)
            return &table->list[i];
    return NULL;
}

static struct handler *add(struct handler_table *table, const char *name)
{
    struct handler *handler = &table->list[table->count++];

    *handler = (struct handler){.action = "*",
                                .timeout_ms = HANDLER_TIMEOUT_MS,
                                .output_max_bytes = PECK_PAYLOAD_MAX,
                                .at_once = HANDLER_AT_ONCE};
    strcpy(handler->name, name);
    return handler;
}

const char *handler_set(struct handler_table *table, const char *name, const char *key,
                        const char *value)
{
    struct handler *handler = find(table, name);

    if (!*name || strlen(name) > HANDLER_NAME_MAX || !bytes_are_name(bytes_of_text(name)))
        return "a handler's name is 1 to 32 of a-z, 0-9, '_', '.', '-'";
    if (!handler && table->count == HANDLERS_MAX)
        return "there are more than 32 handlers";
    if (!handler)
        handler = add(table, name);
    if (strcmp(key, "duckling") == 0)
        return set_duckling(handler, value);
    if (strcmp(key, "action") == 0)
        return set_action(handler, value);
    if (strcmp(key, "argv") == 0)
        return set_argv(handler, value);
    if (strcmp(key, "url") == 0)
        return set_url(handler, value);
    for (size_t i = 0; i < NUMBERS; i++)
        if (strcmp(key, numbers[i].name) == 0)
            return set_number(handler, &numbers[i], value);
    return "a handler has no such key";
}

/* ---- the whole ---- */

static const char *judge_one(const struct handler *handler)
{
    if (!handler->duckling[0])
        return "it has no duckling";
    if (!handler->word_count && !handler->url[0])
        return "it has neither argv nor url";
    if (handler->word_count && handler->url[0])
        return "it has both argv and url";
    return NULL;
}

bool handler_table_judge(const struct handler_table *table, char problem[HANDLER_PROBLEM_SIZE])
{
    for (size_t i = 0; i < table->count; i++) {
        const struct handler *handler = &table->list[i];
        const char *wrong = judge_one(handler);

        for (size_t j = 0; j < i && !wrong; j++)
            if (strcmp(table->list[j].duckling, handler->duckling) == 0 &&
                strcmp(table->list[j].action, handler->action) == 0)
                wrong = "another handler answers the same action of this duckling";
        if (!wrong)
            continue;
        snprintf(problem, HANDLER_PROBLEM_SIZE, "[handler %s]: %s", handler->name, wrong);
        return false;
    }
    return true;
}

static const char *judge_folder(const char *program)
{
    char folder[HANDLER_TEXT_SIZE];
    struct stat status;
    char *slash;

    snprintf(folder, sizeof folder, "%s", program);
    slash = strrchr(folder, '/');
    slash[slash == folder] = 0;
    if (stat(folder, &status) != 0)
        return strerror(errno);
    if ((status.st_mode & S_IWOTH) && !(status.st_mode & S_ISVTX))
        return "everybody may put another program into its folder";
    return NULL;
}

static const char *judge_program(const char *program)
{
    struct stat status;

    if (stat(program, &status) != 0)
        return strerror(errno);
    if (!S_ISREG(status.st_mode))
        return "it is no file";
    if (access(program, X_OK) != 0)
        return "it is not executable";
    if (status.st_mode & S_IWOTH)
        return "everybody may change it";
    return judge_folder(program);
}

bool handler_judge_program(const struct handler *handler, char problem[HANDLER_PROBLEM_SIZE])
{
    const char *wrong = handler->word_count ? judge_program(handler->words) : NULL;

    if (wrong)
        snprintf(problem, HANDLER_PROBLEM_SIZE, "[handler %s] argv: %.200s: %s", handler->name,
                 handler->words, wrong);
    return !wrong;
}

bool handler_table_judge_programs(const struct handler_table *table,
                                  char problem[HANDLER_PROBLEM_SIZE])
{
    for (size_t i = 0; i < table->count; i++)
        if (!handler_judge_program(&table->list[i], problem))
            return false;
    return true;
}

/* ---- for whoever runs them ---- */

size_t handler_but_not(const struct handler_table *table, size_t index,
                       const char *actions[HANDLERS_MAX])
{
    const struct handler *handler = &table->list[index];
    size_t count = 0;

    for (size_t i = 0; i < table->count; i++) {
        const struct handler *other = &table->list[i];

        if (i != index && strcmp(other->duckling, handler->duckling) == 0 &&
            peck_scope_covers(bytes_of_text(handler->action), bytes_of_text(other->action)))
            actions[count++] = other->action;
    }
    return count;
}

void handler_argv(const struct handler *handler, char *argv[HANDLER_WORDS_MAX + 1])
{
    const char *word = handler->words;
    size_t count = 0;

    for (; count < handler->word_count; count++) {
        argv[count] = (char *)(uintptr_t)word;
        word += strlen(word) + 1;
    }
    for (; !handler->word_count && handler->call && handler->call[count]; count++)
        argv[count] = (char *)(uintptr_t)handler->call[count];
    if (!handler->word_count && handler->call)
        argv[count++] = (char *)(uintptr_t)handler->url;
    argv[count] = NULL;
}

static void print_words(const struct handler *handler, FILE *file)
{
    char *argv[HANDLER_WORDS_MAX + 1];

    handler_argv(handler, argv);
    fputs("argv =", file);
    for (size_t i = 0; argv[i]; i++)
        fprintf(file, !*argv[i] || strpbrk(argv[i], " ;#") ? " \"%s\"" : " %s", argv[i]);
    fputc('\n', file);
}

void handler_table_print(const struct handler_table *table, FILE *file)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct handler *handler = &table->list[i];

        fprintf(file, "\n[handler %s]\nduckling = %s\naction = %s\n", handler->name,
                handler->duckling, handler->action);
        if (handler->word_count)
            print_words(handler, file);
        if (handler->url[0])
            fprintf(file, "url = %s\n", handler->url);
        for (size_t j = 0; j < NUMBERS; j++) {
            uint32_t number;

            memcpy(&number, (const char *)handler + numbers[j].at, sizeof number);
            fprintf(file, "%s = %u\n", numbers[j].name, number);
        }
    }
}
