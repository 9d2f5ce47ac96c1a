/* show: what others wrote, on a terminal. Names, texts and payloads come from anywhere: what would steer the terminal,
 * turn the direction of a line or begin one of its own is shown as what it is. */
#ifndef DUCK_NODE_SHOW_H
#define DUCK_NODE_SHOW_H

#include "core/bytes.h"
#include "core/limits.h"

#include <stdio.h>

#define SHOW_WORD_SIZE (6 * NAME_MAX_BYTES + 1) /* a name, each byte of which is shown as \u001b, say; more is cut off */

void show_line(FILE *file, struct bytes text);  /* line ends are spaces */
void show_lines(FILE *file, struct bytes text); /* lines after the first are indented */
const char *show_word(struct bytes text, char word[SHOW_WORD_SIZE]); /* a line of a name's length, for a column */
void show_json(FILE *file, struct bytes text);  /* JSON in lines stays the same JSON */

#endif
