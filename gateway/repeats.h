/* repeats: answers to requests with an Idempotency-Key, so that a repeated request does nothing twice.
 *
 * A request is known by its place (who asks, where, under which key) and its content (what). Only
 * hashes of both are kept, and the answer's text, in memory: an answer may hold a beak key. Bounded
 * in number, size and time; a restart forgets. (draft-ietf-httpapi-idempotency-key-header, section 2.)
 *
 * May be used by any thread. */
#ifndef DUCK_GATE_REPEATS_H
#define DUCK_GATE_REPEATS_H

#include "core/bytes.h"

#define REPEATS_MAX 1024                     /* the oldest goes for one more */
#define ANSWER_SIZE_MAX (128u * 1024u)       /* bytes; a longer one is not kept */
#define ANSWER_LIFE_MS (15 * 60 * 1000ull)   /* as long as a code by mail */

struct repeats;

enum repeats_verdict {
    REPEATS_NEW,       /* go on; then repeats_keep or repeats_forget */
    REPEATS_KNOWN,     /* here it is again */
    REPEATS_OTHER,     /* the key stands for a request with other content */
    REPEATS_UNDER_WAY, /* the first is not answered yet */
    REPEATS_FULL,      /* as many are under way as there is room for */
};

struct repeats_name {
    uint8_t place[32], content[32];
};

struct repeats *repeats_new(void);
void repeats_free(struct repeats *repeats); /* NULL is fine */

/* `place` and `content` are any bytes; two that differ have names that differ. */
void repeats_name(const struct repeats *repeats, struct bytes place, struct bytes content,
                  struct repeats_name *name);

/* KNOWN: `*text` is the caller's, to be given back wiped (strict_json_forget), and has a NUL. */
enum repeats_verdict repeats_ask(struct repeats *repeats, const struct repeats_name *name,
                                 uint64_t now_ms, unsigned *status, char **text);

/* After NEW, one of them. */
void repeats_keep(struct repeats *repeats, const struct repeats_name *name, unsigned status,
                  const char *text);
void repeats_forget(struct repeats *repeats, const struct repeats_name *name);

#endif
