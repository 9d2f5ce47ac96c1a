/* challenge: bytes that only this process could have made, that end, and that are good once.
 *
 * Nothing is kept of a challenge until it is spent, so asking for many costs us nothing. A challenge is made
 * for one purpose (a text: what for, and whom) and is foreign to every other. A restart ends all of them.
 * May be used by any thread. */
#ifndef DUCK_GATE_CHALLENGE_H
#define DUCK_GATE_CHALLENGE_H

#include "core/bytes.h"

#define CHALLENGE_SIZE 56                      /* bytes: chance, its end, and our mark on both */
#define CHALLENGE_LIFE_MS (5 * 60 * 1000ull)
#define CHALLENGES_SPENT_MAX 24576             /* in a CHALLENGE_LIFE_MS */

struct challenges;

struct challenges *challenges_new(void);
void challenges_free(struct challenges *challenges); /* NULL is fine */

void challenges_make(const struct challenges *challenges, const char *purpose, uint64_t now_ms,
                     uint8_t challenge[CHALLENGE_SIZE]);

enum challenge_verdict {
    CHALLENGE_TAKEN,
    CHALLENGE_FOREIGN, /* not ours, or for another purpose */
    CHALLENGE_OVER,    /* past its time */
    CHALLENGE_SPENT,
    CHALLENGE_FULL,    /* more were spent than there is room for: try again later */
};
enum challenge_verdict challenges_judge(struct challenges *challenges, const char *purpose,
                                        struct bytes challenge, uint64_t now_ms);

/* Judges, and when TAKEN no other call will take it again. */
enum challenge_verdict challenges_spend(struct challenges *challenges, const char *purpose,
                                        struct bytes challenge, uint64_t now_ms);

#endif
