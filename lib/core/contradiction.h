/* contradiction: the proof that an identity has two certificates of one number. Its next key was stolen and
 * used, or its node runs twice: which of the two is the owner's nobody can tell, so neither is believed.
 * The wire: proto/record.proto, kind 4.
 *
 * It travels as the revocation of an identity that was made for it alone, and whose key nobody has
 * afterwards, as withdrawals do (withdrawal.h): so it reaches all nodes as records do, also those that come
 * later, and whoever holds it holds nothing of the identity, whichever of the two it knew first. Nodes of
 * earlier releases hold and pass it on as a revocation like another. */
#ifndef DUCK_CORE_CONTRADICTION_H
#define DUCK_CORE_CONTRADICTION_H

#include "certificate.h"
#include "record.h"

enum contradiction_verdict {
    CONTRADICTION_PROVEN,
    CONTRADICTION_NONE,      /* a revocation, or another record, that proves none */
    CONTRADICTION_MALFORMED, /* its certificates do not hold, or are another identity's */
    CONTRADICTION_AGREES,    /* one is the beginning of the other */
    CONTRADICTION_TOO_LARGE, /* the certificates up to there do not fit into a record */
};

const char *contradiction_verdict_text(enum contradiction_verdict verdict);

/* May the owner of this chain, which was verified, carry a proof? Only who has one certificate, and promised no
 * key after it: nobody can contradict it. Else two carriers could prove each other contradicted, and what
 * is held would depend on which of them came first; or one proof would be taken by some, and not by
 * those that know another chain of its carrier. */
bool contradiction_carries(struct bytes chain);

/* Of whom a record proves it, that was itself verified, as was its carrier: verifies both chains. Written only
 * when PROVEN. */
enum contradiction_verdict contradiction_read(const struct record *record, struct arena *arena,
                                              struct id *contradicted);

struct contradiction_wish {
    struct bytes network;
    const struct chain *one, *other;   /* verified, of one identity */
    uint64_t now_ms;                   /* wall */
    const uint8_t *seed;               /* SEED_SIZE bytes of chance, wiped by the caller */
};

/* Makes the record and its owner's chain, in `arena`. */
enum contradiction_verdict contradiction_make(const struct contradiction_wish *wish,
                                              struct arena *arena, struct bytes *wire,
                                              struct bytes *chain);

#endif
