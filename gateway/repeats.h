/* answers: those to requests with an Idempotency-Key, so that a repeated request does nothing twice.
 *
 * A request is known by its place (who asks, where, under which key) and its content (what). Only
 * hashes of both are kept, and the answer's text, in memory: an answer may hold a beak key. Bounded
 * in number, size and time; a restart forgets. (draft-ietf-httpapi-idempotency-key-header, section 2.)
 *
 * May be used by any thread. */
#ifndef DUCK_GATE_ANSWERS_H
#define DUCK_GATE_ANSWERS_H

#include "core/bytes.h"

#define ANSWERS_MAX 1024                     /* the oldest goes for one more */
#define ANSWER_SIZE_MAX (128u * 1024u)       /* bytes; a longer one is not kept */
#define ANSWER_LIFE_MS (15 * 60 * 1000ull)   /* as long as a code by mail */

struct answers;

enum answers_verdict {
    ANSWERS_NEW,       /* go on; then answers_keep or answers_forget */
    ANSWERS_KNOWN,     /* here it is again */
    ANSWERS_OTHER,     /* the key stands for a request with other content */
    ANSWERS_UNDER_WAY, /* the first is not answered yet */
    ANSWERS_FULL,      /* as many are under way as there is room for */
};

struct answers_name {
    uint8_t place[32], content[32];
};

struct answers *answers_new(void);
void answers_free(struct answers *answers); /* NULL is fine */

/* `place` and `content` are any bytes; two that differ have names that differ. */
void answers_name(const struct answers *answers, struct bytes place, struct bytes content,
                  struct answers_name *name);

/* KNOWN: `*text` is the caller's, to be given back wiped (strict_json_forget), and has a NUL. */
enum answers_verdict answers_ask(struct answers *answers, const struct answers_name *name,
                                 uint64_t now_ms, unsigned *status, char **text);

/* After NEW, one of them. */
void answers_keep(struct answers *answers, const struct answers_name *name, unsigned status,
                  const char *text);
void answers_forget(struct answers *answers, const struct answers_name *name);

#endif
