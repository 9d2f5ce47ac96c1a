#include "fleet.h"

#include "voucher.h"

const char *fleet_verdict_text(enum fleet_verdict verdict)
{
    switch (verdict) {
    case FLEET_MEMBER:
        return "a member";
    case FLEET_NO_VOUCHER:
        return "the network is closed, and no operator vouches for the node";
    case FLEET_BAD_VOUCHER:
        return "the voucher for the node does not hold";
    case FLEET_OTHER_OPERATOR:
        return "who vouches for the node is no operator of this fleet";
    case FLEET_OTHER_NODE:
        return "the voucher is for another node, or another network";
    case FLEET_OVER:
        return "the voucher for the node has ended, ends before its record, or has not begun";
    case FLEET_TAKEN_BACK:
        return "the operator took the voucher for the node back, or so many that none of its "
               "counts";
    }
    return "";
}

static bool has_operator(const struct fleet *fleet, const struct id *id)
{
    for (size_t i = 0; i < fleet->count; i++)
        if (id_equal(&fleet->operators[i], id))
            return true;
    return false;
}

static enum fleet_verdict judge(const struct fleet *fleet, const struct record *record,
                                const struct voucher *voucher, uint64_t wall_ms)
{
    if (!id_equal(&voucher->subject, &record->owner) ||
        !bytes_equal(voucher->network, record->network))
        return FLEET_OTHER_NODE;
    if (!has_operator(fleet, &voucher->operator_id))
        return FLEET_OTHER_OPERATOR;
    if (voucher->issued_ms > wall_ms + CLOCK_SKEW_MAX_MS || voucher->not_after_ms <= wall_ms ||
        voucher->not_after_ms < record->not_after_ms)
        return FLEET_OVER;
    if (fleet->withdrawals &&
        voucher->issued_ms <= withdrawals_until_ms(fleet->withdrawals, &voucher->operator_id,
                                                   &voucher->subject, wall_ms))
        return FLEET_TAKEN_BACK;
    return FLEET_MEMBER;
}

enum fleet_verdict fleet_judge(const struct fleet *fleet, const struct record *record,
                               const struct node_content *content, uint64_t wall_ms)
{
    enum fleet_verdict verdict = FLEET_BAD_VOUCHER;
    struct voucher voucher;
    struct arena arena;

    if (!fleet || fleet->count == 0)
        return FLEET_MEMBER;
    if (content->voucher.size == 0)
        return FLEET_NO_VOUCHER;
    arena_init(&arena, 2 * PARSE_BUDGET(RECORD_SIZE_MAX));
    if (voucher_open(content->voucher, content->voucher_chain, &arena, &voucher) == VOUCHER_OK)
        verdict = judge(fleet, record, &voucher, wall_ms);
    arena_free(&arena);
    return verdict;
}

void fleet_take_back(const struct fleet *fleet, const struct withdrawn *withdrawn, uint64_t wall_ms)
{
    if (fleet && fleet->withdrawals && has_operator(fleet, &withdrawn->operator_id))
        withdrawals_add(fleet->withdrawals, withdrawn, wall_ms);
}

bool fleet_doubts(const struct fleet *fleet, const struct id *node)
{
    return fleet && fleet->withdrawals && withdrawals_name(fleet->withdrawals, node);
}
