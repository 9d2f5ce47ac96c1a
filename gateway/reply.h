/* reply: what answers look like. Values in, JSON out; nothing here knows of connections. */
#ifndef DUCK_GATE_REPLY_H
#define DUCK_GATE_REPLY_H

#include "core/bytes.h"

#include <jansson.h>

#define REPLY_TIME_SIZE 25 /* "2026-03-21T10:00:00.000Z" and NUL */
#define REPLY_DETAIL_SIZE 512

/* Why not, to be told as application/problem+json (RFC 9457). Texts are borrowed, but `detail`. */
struct problem {
    unsigned status;
    const char *code;                /* stable, for programs: member `error` */
    char detail[REPLY_DETAIL_SIZE];  /* a sentence for people */
    const char *field;               /* the member at fault; NULL: none */
    uint32_t retry_after_s;          /* 0: trying again is no use, or any time */
    const char *allow;               /* 405: what the path takes */
    json_t *extras;                  /* further members, taken; NULL: none */
};

struct problem problem_make(unsigned status, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Of a problem that the node or the way to it had: see "Problem codes" in duck_client.h. */
struct problem problem_of_node(const char *code, const char *message, const char *field);

/* Whole seconds, rounded up: who waits so long has waited enough. */
uint32_t reply_seconds(uint64_t ms);

/* The whole object. `instance` names this occurrence. Takes problem->extras. */
json_t *reply_problem(const struct problem *problem, const char *instance);

/* RFC 3339, UTC, milliseconds. Returns `text`. */
const char *reply_time(uint64_t wall_ms, char text[REPLY_TIME_SIZE]);

/* Reads what reply_time writes, with or without milliseconds. False: another form, or no such date. */
bool reply_parse_time(const char *text, uint64_t *wall_ms);

/* Members of an answer. Empty texts, and times that are 0, are left out; what is no UTF-8 is left out
 * as well, for a peer may have chosen it. */
void reply_text(json_t *object, const char *name, struct bytes text);
void reply_word(json_t *object, const char *name, const char *text); /* NUL-terminated */
void reply_date(json_t *object, const char *name, uint64_t wall_ms);
void reply_number(json_t *object, const char *name, uint64_t number);
void reply_base64(json_t *object, const char *name, struct bytes bytes);
void reply_base64url(json_t *object, const char *name, struct bytes bytes); /* RFC 4648, section 5, without padding */
/* JSON of a peer: as a value, or, when it is not JSON by our rules, as `name`_base64. */
void reply_json(json_t *object, const char *name, struct bytes text);

json_t *reply_tier(uint32_t tier); /* "T0" … */

#endif
