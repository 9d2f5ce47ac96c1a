/* lobster: the lobster bind, a pact of two ducklings of production fleets, whose operators have made sure that
 * nobody stands between them. While it is live both are T3 (tier.h).
 *
 * One end offers: it commits to a nonce. The other answers with a nonce of its own. Then the first reveals what it
 * committed to. Now both know a short string made of both certificates and both nonces. Whoever stands in between and
 * relays has other certificates, and is bound to its nonces before it learns the ends' own: so it has one guess in
 * 100,000,000, and cannot try until one fits. Each operator reads its string to the other by another way (voice, a
 * room) and confirms with the one that it heard.
 *
 *     begins                    the other end
 *     OFFERED  -- commitment -->
 *              <--  nonce ---    ANSWERED
 *     SHOWN    --  nonce   -->   SHOWN        both show the string
 *     CONFIRMED                  CONFIRMED    each publishes that it is bound, for a lease
 *     LIVE                       LIVE         while both say so
 *
 * Each end renews what it published while the other does; so when either is gone, what both said ends within a lease.
 * No clock, no chance, no memory of its own. */
#ifndef DUCK_CORE_LOBSTER_H
#define DUCK_CORE_LOBSTER_H

#include "bytes.h"
#include "id.h"
#include "limits.h"

#define LOBSTER_NONCE_SIZE 32
#define LOBSTER_SESSION_SIZE 16 /* bytes: names one try */
#define LOBSTER_STRING_SIZE 10  /* "1234-5678" and NUL */

enum lobster_state {
    LOBSTER_OFFERED = 1, /* here; the other end has not answered */
    LOBSTER_ANSWERED,    /* the other end's offer; it has not revealed its nonce */
    LOBSTER_SHOWN,       /* the string is known, nobody here confirmed it */
    LOBSTER_CONFIRMED,   /* here; not heard from the other end */
    LOBSTER_LIVE,
};
const char *lobster_state_name(enum lobster_state state); /* "offered", …; "" */

enum lobster_step { LOBSTER_OFFER = 1, LOBSTER_ANSWER, LOBSTER_REVEAL, LOBSTER_NO }; /* of LobsterFrame */

/* One end of it. Zero where it is not known yet. */
struct lobster {
    struct id here, there;             /* the ducklings */
    bool began_here;
    enum lobster_state state;
    uint8_t session[LOBSTER_SESSION_SIZE];
    uint8_t nonce[LOBSTER_NONCE_SIZE]; /* of this end */
    uint8_t other_nonce[LOBSTER_NONCE_SIZE];
    struct hash commitment;            /* of who began */
    struct id certificate_here, certificate_there; /* the last of each: the bind is pinned to their keys */
    uint64_t lease_ms;
    struct id id;                      /* of the bind; from SHOWN on */
    uint64_t until_ms;                 /* wall: given up then, unless both have confirmed */
    uint64_t here_until_ms, there_until_ms; /* wall: what each end said last ends then */
};

/* What arrives; the intake has checked the sizes, the agent that it came from the node of `from`. */
struct lobster_word {
    enum lobster_step step;
    struct id from, to;
    uint8_t session[LOBSTER_SESSION_SIZE];
    struct hash commitment;            /* offer */
    uint8_t nonce[LOBSTER_NONCE_SIZE]; /* answer, reveal */
    struct id certificate;             /* offer, answer: the last of `from`, which held */
    uint64_t lease_ms;                 /* offer */
    struct bytes code;                 /* no */
};

enum lobster_verdict {
    LOBSTER_TAKEN,
    LOBSTER_AGAIN,     /* said before: what was answered then is to be said again */
    LOBSTER_UNFIT,     /* not of this try, or not now */
    LOBSTER_FORGED,    /* the nonce is not the one that was committed to */
};

/* All take the network id. `lobster` has here, there, session, nonce, certificate_here, lease_ms: becomes OFFERED. */
void lobster_offer(struct lobster *lobster, struct bytes network);
/* `lobster` has here, nonce, certificate_here: becomes ANSWERED. */
void lobster_answer(struct lobster *lobster, const struct lobster_word *offer);
/* OFFERED, and the answer to it. */
enum lobster_verdict lobster_take_answer(struct lobster *lobster, struct bytes network,
                                         const struct lobster_word *answer);
/* ANSWERED, and what was committed to. */
enum lobster_verdict lobster_take_reveal(struct lobster *lobster, struct bytes network,
                                         const struct lobster_word *reveal);

/* From SHOWN on. Returns `text`. */
const char *lobster_string(const struct lobster *lobster, struct bytes network,
                           char text[LOBSTER_STRING_SIZE]);
/* Is it the string, with or without its hyphen or blanks? */
bool lobster_matches(const struct lobster *lobster, struct bytes network, struct bytes text);

/* When this end is to say anew that it is bound: a third of a lease after it did; 0: it has not said it. */
uint64_t lobster_renew_ms(const struct lobster *lobster); /* wall */

/* When it opens by itself, if nothing more is heard: wall. */
uint64_t lobster_end_ms(const struct lobster *lobster);

#endif
