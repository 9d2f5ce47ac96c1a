/* json_write: a JSON value as text, to the byte as jansson writes it with JSON_COMPACT, in a fifth of the time:
 * strings are most of an answer, and hold nearly nothing that needs escaping. */
#ifndef DUCK_GATE_JSON_WRITE_H
#define DUCK_GATE_JSON_WRITE_H

#include <jansson.h>

/* An object or an array, as deep as the caller made it. The caller gives the text to strict_json_forget. */
char *json_write(const json_t *value);

#endif
