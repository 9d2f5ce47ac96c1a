/* Ducklings that keep their own keys: who speaks for one, how what it says is dated, and pecks that it has signed. What
 * waits for its signatures: agent_wanted.c. */
#include "agent_parts.h"

void agent_note_date(struct duckling *duckling, struct version version)
{
    if (version_compare(version, duckling->dated) > 0)
        duckling->dated = version;
}

bool agent_speaks_by(struct duckling *duckling, struct bytes chain)
{
    const struct certificate *last;
    struct arena arena;
    struct chain opened;
    bool holds;

    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    holds = chain_open(chain, &arena, &opened) == CERTIFICATE_TAKEN;
    if (holds) {
        last = &opened.certificates[opened.count - 1];
        duckling->speaks.key = last->public_key;
        duckling->speaks.from_ms = last->issued_ms;
        duckling->speaks.until_ms = last->not_after_ms;
        if (opened.count > 1)
            agent_note_date(duckling, (struct version){last->issued_ms, 0});
    }
    arena_free(&arena);
    return holds;
}

static bool refuse(struct order_refusal *refusal, enum refusal_code code, const char *message,
                   const char *field)
{
    *refusal = (struct order_refusal){.code = code, .message = message, .field = field};
    return false;
}

bool agent_judge_made(const struct agent *agent, const struct order *order,
                      const struct duckling *from, const struct moment *at,
                      struct order_refusal *refusal)
{
    const struct peck *peck = &order->send;

    if (from->key)
        return !order->made ||
               refuse(refusal, REFUSAL_NOT_ALLOWED,
                      "this duckling's key is the node's, which signs for it", "signed");
    if (!order->made)
        return refuse(refusal, REFUSAL_OWN_KEY, "this duckling keeps its own key: send `signed`",
                      "signed");
    if (!bytes_equal(peck->network, agent->settings.network))
        return refuse(refusal, REFUSAL_MALFORMED, "this peck is for another network", "signed");
    if (peck->expires_ms <= at->wall_ms)
        return refuse(refusal, REFUSAL_MALFORMED, "the time of this peck is over", "signed");
    if (peck->created_ms > at->wall_ms + CLOCK_SKEW_MAX_MS)
        return refuse(refusal, REFUSAL_MALFORMED,
                      "this peck was made in the future: the clock that dated it is wrong",
                      "signed");
    if (peck->created_ms < from->speaks.from_ms || peck->created_ms > from->speaks.until_ms)
        return refuse(refusal, REFUSAL_MALFORMED,
                      "this peck is not of the time of the duckling's last certificate", "signed");
    if (envelope_verify(order->made, &from->speaks.key, NULL) != ENVELOPE_TAKEN)
        return refuse(refusal, REFUSAL_MALFORMED,
                      "its signature is not by the key that the duckling's last certificate "
                      "names",
                      "signed");
    return true;
}
