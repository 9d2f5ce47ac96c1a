/* strict_json: JSON (RFC 8259) read without forgiveness.
 *
 * No double members, no bad UTF-8, no NUL, nothing after the end, no numbers that would lose
 * digits, and no deep nesting: what two readers could understand differently is refused. */
#ifndef DUCK_GATE_STRICT_JSON_H
#define DUCK_GATE_STRICT_JSON_H

#include "core/bytes.h"

#include <jansson.h>

#define STRICT_JSON_DEPTH_MAX 64
#define STRICT_JSON_PROBLEM_SIZE 160 /* bytes, with NUL */

/* Once, before any other use of jansson: memory that is overwritten before it is given back
 * (there are passwords in it), and that never runs out quietly. */
void strict_json_prepare(void);

/* Gives back what json_dumps made. NULL is fine. */
void strict_json_forget(void *text);

/* Any JSON value; the caller owns it. NULL: refused, and `problem` is a sentence that says where,
 * without repeating what was sent. */
json_t *strict_json_read(struct bytes text, char problem[STRICT_JSON_PROBLEM_SIZE]);

/* The same. Refused: `member` is the name, as it is spelled there, of the member of the outermost object in which
 * the fault stands; `.data` NULL: in none. */
json_t *strict_json_read_members(struct bytes text, char problem[STRICT_JSON_PROBLEM_SIZE],
                                 struct bytes *member);

/* The value of member `name` of the object `text`, byte for byte as it stands there. `text` has
 * been read without refusal. `.data` NULL: no such member under that spelling. */
struct bytes strict_json_member(struct bytes text, const char *name);

#endif
