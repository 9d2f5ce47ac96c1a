/* letters: what is written to operators, a template for each.
 *
 * The templates are gateway/letters/, built in; a folder of the operator's own may hold others under the
 * same names. A template is "Subject: " and a line of ASCII, an empty line, and the text, in UTF-8. {code},
 * {minutes} and {url} stand for what they say; each may stand in a template whose letter has it. No word
 * of whoever asked for a letter is ever put into it. */
#ifndef DUCK_GATE_LETTERS_H
#define DUCK_GATE_LETTERS_H

#include <stdbool.h>
#include <stddef.h>

#define LETTER_SUBJECT_MAX 200 /* characters */
#define LETTER_TEXT_MAX 4096   /* bytes */
#define LETTERS_PROBLEM_SIZE 400

enum letter_kind {
    LETTER_HATCH,          /* a code for an egg */
    LETTER_RESET,          /* a code for a new password */
    LETTER_RESET_STRANGER, /* there is no account whose password could be set */
    LETTER_LOCKED,         /* FAILURES_MAX was reached */
    LETTER_PASSKEY,        /* one was added */
    LETTER_NEWSLETTER,     /* a code that confirms it */
    LETTER_KINDS
};

struct letter_values {
    const char *code; /* of the kinds that have one */
    unsigned minutes; /* that it lives */
};

struct letter_text {
    char subject[LETTER_SUBJECT_MAX + 1];
    char text[LETTER_TEXT_MAX + 1]; /* wiped by whoever has it: there may be a code in it */
};

struct letters;

/* `folder` NULL: none. `url` is where the gateway is reached; NULL: not said. GATE_FAULT_CONFIG: a template
 * is no good, and `problem` says which and why. */
int letters_open(struct letters **opened, const char *folder, const char *url,
                 char problem[LETTERS_PROBLEM_SIZE]);
void letters_close(struct letters *letters); /* NULL is fine */

void letters_write(const struct letters *letters, enum letter_kind kind,
                   const struct letter_values *values, struct letter_text *written);

#endif
