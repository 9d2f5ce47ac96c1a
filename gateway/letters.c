#include "letters.h"

#include "core/bytes.h"
#include "gate_fault.h"

#include "letter_hatch.txt.h"
#include "letter_locked.txt.h"
#include "letter_newsletter.txt.h"
#include "letter_passkey.txt.h"
#include "letter_reset.txt.h"
#include "letter_reset_stranger.txt.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TEMPLATE_MAX 8192 /* bytes of a file */
#define PATH_MAX_BYTES 4096
#define SUBJECT_START "Subject: "

static const struct {
    const char *name, *text;
    bool has_code;
} built_in[LETTER_KINDS] = {
    [LETTER_HATCH] = {"hatch.txt", letter_hatch, true},
    [LETTER_RESET] = {"reset.txt", letter_reset, true},
    [LETTER_RESET_STRANGER] = {"reset_stranger.txt", letter_reset_stranger, false},
    [LETTER_LOCKED] = {"locked.txt", letter_locked, false},
    [LETTER_PASSKEY] = {"passkey.txt", letter_passkey, false},
    [LETTER_NEWSLETTER] = {"newsletter.txt", letter_newsletter, true},
};

struct letters {
    char *own[LETTER_KINDS]; /* NULL: the one that is built in */
    char *url;
};

/* ---- filling in ---- */

struct filling {
    char *text;
    size_t size, max;
    bool is_whole;
};

static void put(struct filling *filling, const char *text, size_t size)
{
    if (size > filling->max - filling->size) {
        filling->is_whole = false;
        return;
    }
    memcpy(filling->text + filling->size, text, size);
    filling->size += size;
    filling->text[filling->size] = '\0';
}

/* What "{name}" stands for; NULL: nothing that this letter has. */
static const char *value_of(struct bytes name, const struct letters *letters,
                            const struct letter_values *values, char number[16])
{
    if (bytes_equal(name, bytes_of_text("url")))
        return letters->url ? letters->url : "";
    if (!values->code)
        return NULL;
    if (bytes_equal(name, bytes_of_text("code")))
        return values->code;
    if (!bytes_equal(name, bytes_of_text("minutes")))
        return NULL;
    snprintf(number, 16, "%u", values->minutes);
    return number;
}

/* A brace that opens nothing we know is refused, not sent. */
static bool fill(struct filling *filling, const char *template, size_t size,
                 const struct letters *letters, const struct letter_values *values)
{
    const char *end = template + size;
    char number[16];

    while (template <end) {
        const char *brace = memchr(template, '{', (size_t)(end - template)), *close, *value;

        put(filling, template, (size_t)((brace ? brace : end) - template));
        if (!brace)
            break;
        close = memchr(brace, '}', (size_t)(end - brace));
        value = close ? value_of(bytes_of(brace + 1, (size_t)(close - brace) - 1), letters, values,
                                 number)
                      : NULL;
        if (!value)
            return false;
        put(filling, value, strlen(value));
        template = close + 1;
    }
    return filling->is_whole;
}

static bool write_letter(const struct letters *letters, const char *template,
                         const struct letter_values *values, struct letter_text *written)
{
    struct filling subject = {
        .text = written->subject, .max = LETTER_SUBJECT_MAX, .is_whole = true};
    struct filling text = {.text = written->text, .max = LETTER_TEXT_MAX, .is_whole = true};
    const size_t start = sizeof SUBJECT_START - 1;
    const char *line_end = strchr(template, '\n');

    *written = (struct letter_text){.subject = ""};
    return strncmp(template, SUBJECT_START, start) == 0 && line_end && line_end[1] == '\n' &&
           fill(&subject, template + start, (size_t)(line_end - template) - start, letters,
                values) &&
           fill(&text, line_end + 2, strlen(line_end + 2), letters, values);
}

void letters_write(const struct letters *letters, enum letter_kind kind,
                   const struct letter_values *values, struct letter_text *written)
{
    const char *template = letters->own[kind] ? letters->own[kind] : built_in[kind].text;
    const struct letter_values had = {.code = built_in[kind].has_code ? values->code : NULL,
                                      .minutes = values->minutes};
    bool is_whole = write_letter(letters, template, &had, written);

    assert(is_whole); /* each was tried when it was read */
    (void)is_whole;
}

/* ---- the operator's own ---- */

static const char *judge(const struct letters *letters, const char *template, bool has_code)
{
    const struct letter_values values = {.code = has_code ? "000000" : NULL, .minutes = 15};
    struct letter_text written;

    if (!write_letter(letters, template, &values, &written))
        return "it must be \"Subject: …\", an empty line and the text, within the limits, with no "
               "{word} but those of this letter";
    if (!written.subject[0])
        return "its subject is empty";
    for (const char *at = written.subject; *at; at++)
        if (*at < 0x20 || *at > 0x7e)
            return "its subject must be ASCII";
    if (!bytes_are_text(bytes_of_text(written.text), true))
        return "it must be UTF-8 without control characters";
    return has_code && !strstr(written.text, "000000") ? "{code} is missing" : NULL;
}

static char *read_template(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    char *text = memory_take(TEMPLATE_MAX + 1);
    ssize_t size = file < 0 ? -1 : read(file, text, TEMPLATE_MAX);

    if (file >= 0)
        close(file);
    if (size >= 0 && size < TEMPLATE_MAX && strlen(text) == (size_t)size)
        return text;
    memory_give_back(text);
    return NULL;
}

static int take_own(struct letters *letters, enum letter_kind kind, const char *folder,
                    char problem[LETTERS_PROBLEM_SIZE])
{
    const char *why = "it cannot be read, or has more than 8191 bytes";
    char path[PATH_MAX_BYTES];

    snprintf(path, sizeof path, "%s/%s", folder, built_in[kind].name);
    letters->own[kind] = read_template(path);
    if (letters->own[kind])
        why = judge(letters, letters->own[kind], built_in[kind].has_code);
    if (!why)
        return 0;
    snprintf(problem, LETTERS_PROBLEM_SIZE, "the letter %s: %s", built_in[kind].name, why);
    return GATE_FAULT_CONFIG;
}

static int ends_in_txt(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);

    return size > 4 && strcmp(entry->d_name + size - 4, ".txt") == 0;
}

static int take_entry(struct letters *letters, const char *name, const char *folder,
                      char problem[LETTERS_PROBLEM_SIZE])
{
    for (int kind = 0; kind < LETTER_KINDS; kind++)
        if (strcmp(name, built_in[kind].name) == 0)
            return take_own(letters, (enum letter_kind)kind, folder, problem);
    /* A slip of the pen would otherwise be a letter that never comes to use. */
    snprintf(problem, LETTERS_PROBLEM_SIZE, "there is no letter %.64s", name);
    return GATE_FAULT_CONFIG;
}

static int take_folder(struct letters *letters, const char *folder,
                       char problem[LETTERS_PROBLEM_SIZE])
{
    struct dirent **entries;
    int count = scandir(folder, &entries, ends_in_txt, alphasort);
    int fault = 0;

    if (count < 0) {
        snprintf(problem, LETTERS_PROBLEM_SIZE, "the folder of letters cannot be read: %s",
                 strerror(errno));
        return GATE_FAULT_CONFIG;
    }
    for (int i = 0; i < count; i++) {
        if (!fault)
            fault = take_entry(letters, entries[i]->d_name, folder, problem);
        free(entries[i]);
    }
    free(entries);
    return fault;
}

int letters_open(struct letters **opened, const char *folder, const char *url,
                 char problem[LETTERS_PROBLEM_SIZE])
{
    struct letters *letters = memory_take(sizeof *letters);
    int fault = 0;

    if (url && url[0])
        letters->url = memory_copy(url, strlen(url) + 1);
    if (folder && folder[0])
        fault = take_folder(letters, folder, problem);
    if (fault) {
        letters_close(letters);
        return fault;
    }
    *opened = letters;
    return 0;
}

void letters_close(struct letters *letters)
{
    if (!letters)
        return;
    for (int kind = 0; kind < LETTER_KINDS; kind++)
        memory_give_back(letters->own[kind]);
    memory_give_back(letters->url);
    memory_give_back(letters);
}
