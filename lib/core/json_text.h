/* json_text: is this JSON? A recogniser for RFC 8259, not a parser: it makes no values, takes no
 * memory and calls itself nowhere. The node answers with what programs print and puts payloads into
 * what it gives to programs; both must be one JSON value, or a byte too many would change what
 * stands around it.
 *
 * It is as strict as who reads it later: what passes here is read by the gateway and by I-JSON
 * readers (RFC 7493). So beyond the grammar it refuses: text that is not UTF-8, nesting deeper than
 * JSON_TEXT_DEPTH_MAX, \u0000 and halves of surrogate pairs, integers beyond 64 bits, and numbers
 * whose digits and exponent may make them 1e308 or more. Only that two members of one object have one name it does not see. */
#ifndef DUCK_CORE_JSON_TEXT_H
#define DUCK_CORE_JSON_TEXT_H

#include "bytes.h"

#define JSON_TEXT_DEPTH_MAX 64 /* objects and arrays within one another */

enum json_text_verdict {
    JSON_TEXT_OK,
    JSON_TEXT_EMPTY,     /* nothing, or nothing but blanks */
    JSON_TEXT_NOT_UTF8,
    JSON_TEXT_MALFORMED, /* also: it ends too early, or something follows it */
    JSON_TEXT_TOO_DEEP,
    JSON_TEXT_BAD_ESCAPE,/* of what no UTF-8 text can hold */
    JSON_TEXT_BAD_NUMBER,/* out of range */
};

const char *json_text_verdict_text(enum json_text_verdict verdict);

/* `*value`, when it is JSON: without the blanks around it. */
enum json_text_verdict json_text_check(struct bytes text, struct bytes *value);

#endif
