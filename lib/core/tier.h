/* tier: how far an identity is vouched for, computed by whoever asks, from signed evidence.
 *
 * T0: a birth certificate that holds, and a node that hosts it. T1: and a bond that both ends
 * attest. T2: and a voucher of an operator that this reader trusts. T3: and a live lobster bind.
 * Each rests on those below it. */
#ifndef DUCK_CORE_TIER_H
#define DUCK_CORE_TIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIER_MAX 3u
#define TIER_NONE (-1) /* not even T0 */

struct tier_evidence {
    bool certificate_holds; /* at this time */
    bool is_hosted;         /* its record names a host */
    bool is_bonded;
    bool is_vouched;        /* by a trusted operator, at this time */
    bool is_bound;          /* by a live lobster bind */
};

int tier_of(const struct tier_evidence *evidence); /* 0 to TIER_MAX, or TIER_NONE */

/* What each piece of evidence is called, in the order in which it is asked for. */
#define TIER_PIECES 5u
#define TIER_PIECE_BONDED 2u
#define TIER_PIECE_VOUCHED 3u
#define TIER_PIECE_BOUND 4u
const char *tier_piece_name(size_t piece);
bool tier_has_piece(const struct tier_evidence *evidence, size_t piece);
unsigned tier_pieces(const struct tier_evidence *evidence); /* bit (1 << piece) for each that is there */

/* "T0" to "T3"; "none". */
const char *tier_name(int tier);

#endif
