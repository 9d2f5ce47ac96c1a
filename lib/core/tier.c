#include "tier.h"

/* The first tier that needs each piece. */
static const struct {
    const char *name;
    int tier;
} pieces[TIER_PIECES] = {
    {"certificate", 0},       {"hosted-by", 0},    {"bonded", 1},
    {"operator-verified", 2}, {"lobster-bind", 3},
};

const char *tier_piece_name(size_t piece)
{
    return piece < TIER_PIECES ? pieces[piece].name : "";
}

bool tier_has_piece(const struct tier_evidence *evidence, size_t piece)
{
    const bool has[TIER_PIECES] = {evidence->certificate_holds, evidence->is_hosted,
                                   evidence->is_bonded, evidence->is_vouched, evidence->is_bound};

    return piece < TIER_PIECES && has[piece];
}

unsigned tier_pieces(const struct tier_evidence *evidence)
{
    unsigned held = 0;

    for (size_t i = 0; i < TIER_PIECES; i++)
        held |= tier_has_piece(evidence, i) ? 1u << i : 0;
    return held;
}

int tier_of(const struct tier_evidence *evidence)
{
    for (size_t i = 0; i < TIER_PIECES; i++)
        if (!tier_has_piece(evidence, i))
            return pieces[i].tier - 1;
    return (int)TIER_MAX;
}

const char *tier_name(int tier)
{
    static const char *const names[] = {"T0", "T1", "T2", "T3"};

    return tier >= 0 && tier <= (int)TIER_MAX ? names[tier] : "none";
}
