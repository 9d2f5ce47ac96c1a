/* happening: what may happen to a duckling, and how an event says it.
 *
 * An event is {"id", "type", "timestamp", "data"}, the same text over SSE and in a webhook. Its id
 * is made of the random name of its store and of its number there, so it is the same whenever and
 * however often the event is told. */
#ifndef DUCK_GATE_HAPPENING_H
#define DUCK_GATE_HAPPENING_H

#include "core/bytes.h"

#define EVENT_ID_SIZE 31      /* "evt_", 26 characters of base32, NUL */
#define EVENT_NAME_SIZE 8     /* bytes of a store's name */
#define HAPPENING_NAMES_MAX 128 /* bytes of all names with separators */

/* The numbers are kept: never change one. */
enum happening {
    HAPPENED_HATCH = 1,     /* a duckling hatched */
    HAPPENED_CERTIFICATE,   /* it was given a certificate */
    HAPPENED_PECK,          /* a peck came for it */
    HAPPENED_PECK_ANSWERED, /* one that it sent has its end: answered, denied, expired, … */
    HAPPENED_BOND,          /* a bond was made, or its terms changed */
    HAPPENED_UNPECK,        /* a bond ended */
    HAPPENED_TIER_CHANGE,
    HAPPENED_KEY_ROTATED,
    HAPPENED_REVOKED,
    HAPPENED_LOBSTER,       /* a lobster bind: confirmed here, live, or over */
};
#define HAPPENINGS 11 /* one more than the last */
#define HAPPENINGS_ALL 0x7feu /* bits, by number */

const char *happening_name(enum happening happening); /* "hatch", "cert_issued", …; "" for none */
bool happening_find(struct bytes name, enum happening *happening);
bool happening_has_other_end(enum happening happening); /* "with" in its data */
bool happening_has_action(enum happening happening);

const char *event_id_text(const uint8_t name[EVENT_NAME_SIZE], uint64_t number,
                          char text[EVENT_ID_SIZE]);
/* False: it is no id, or one of another store. */
bool event_id_parse(const uint8_t name[EVENT_NAME_SIZE], struct bytes text, uint64_t *number);

/* The whole event, for free() (strict_json_forget). `data` is JSON as it is kept. NULL: no memory. */
char *event_body(const char *id, enum happening happening, uint64_t at_ms, const char *data);

/* `data` of an event that did not happen, for trying a webhook; for free(). */
char *happening_sample(enum happening happening, const char *duckling_id);

#endif
