/* Pecks under grants, and revocations of them.
 *
 * Only the root's node admits under a grant, because only it knows which were revoked and what was
 * used. A revocation is a peck to the root, of an action that no agent is asked for: so it is kept, is
 * tried until a receipt comes, waits on perches and is signed, like any other. It carries the grant up
 * to the block that goes, and its sender is who signed that block. */
#include "agent_parts.h"

#include <assert.h>
#include <stdio.h>

#define OVER_AT_ONCE_MAX 256 /* rows whose time is over, in one turn */

bool agent_is_revocation(const struct peck *peck)
{
    return peck->kind == PECK_ACTION && peck->grant.size > 0 &&
           bytes_equal(peck->action, bytes_of_text(GRANT_REVOKE_ACTION));
}

/* What the directory, and this node of its own ducklings, know better than the grant. */
static enum grant_verdict judge_people(const struct agent *agent, const struct grant *grant)
{
    for (size_t i = 0; i < grant->count; i++) {
        const struct grant_block *block = &grant->blocks[i];
        const struct duckling *issuer = agent_hosted(agent, &block->issuer);
        struct id known = issuer ? chain_last(issuer->chain) : (struct id){0};
        struct id named = chain_last(grant->chains[i]);

        if (issuer && !id_equal(&known, &named))
            return GRANT_RETIRED_KEY;
        if (directory_revoked(agent->directory, &block->issuer) ||
            directory_revoked(agent->directory, &block->holder))
            return GRANT_REVOKED;
    }
    return GRANT_OK;
}

/* Does a revocation name a block that its sender signed? */
static enum grant_verdict judge_revocation(const struct grant *grant, const struct peck *peck)
{
    if (!id_equal(&grant->blocks[0].issuer, &peck->to))
        return GRANT_OTHER_TARGET;
    if (!id_equal(&grant->blocks[grant->count - 1].issuer, &peck->from))
        return GRANT_WRONG_SIGNER;
    return GRANT_OK;
}

/* What only the root's node knows. Who restored it does not: what was revoked or used after the backup was made is
 * forgotten, so what was granted before it was put back is worth nothing. What follows a first block is no older. */
static enum grant_verdict judge_here(const struct agent *agent, const struct grant *grant)
{
    enum grant_verdict verdict = grants_judge(agent->grants, grant);

    if (verdict == GRANT_OK && grant->blocks[0].issued_ms < agent->settings.restored_ms)
        return GRANT_BEFORE_RESTORE;
    return verdict;
}

enum grant_verdict agent_judge_grant(const struct agent *agent, const struct peck *peck,
                                     const struct opened_grant *opened, const struct moment *at)
{
    struct grant_use use = {.network = agent->settings.network,
                            .from = peck->from,
                            .to = peck->to,
                            .action = peck->action,
                            .wall_ms = at->wall_ms};
    enum grant_verdict verdict = opened->verdict;

    if (!opened->grant)
        return verdict == GRANT_OK ? GRANT_MALFORMED : verdict;
    if (agent_is_revocation(peck))
        return judge_revocation(opened->grant, peck);
    verdict = grant_allows(opened->grant, &use);
    if (verdict == GRANT_OK)
        verdict = judge_people(agent, opened->grant);
    if (verdict == GRANT_OK && agent_hosted(agent, &peck->to))
        verdict = judge_here(agent, opened->grant);
    return verdict;
}

static struct grant_change *new_change(const struct peck *peck, const struct grant *grant,
                                       const struct moment *at, struct effects *effects)
{
    struct grant_change *change = arena_take(&effects->arena, sizeof *change);

    assert(change);
    *change = (struct grant_change){.root = grant->blocks[0].issuer,
                                    .with = peck->from,
                                    .block = grant->blocks[grant->count - 1].id,
                                    .peck = peck->id,
                                    .at_ms = at->wall_ms};
    return change;
}

void agent_use_grant(struct agent *agent, const struct peck *peck, const struct grant *grant,
                     const struct moment *at, struct effects *effects)
{
    struct grant_change *change = new_change(peck, grant, at, effects);

    grants_use(agent->grants, grant, change);
    effects_add(effects, EFFECT_KEEP_GRANT)->grant = change;
}

enum grant_verdict agent_revoke_grant(struct agent *agent, const struct peck *peck,
                                      const struct grant *grant, const struct moment *at,
                                      struct effects *effects)
{
    struct grant_change *change = new_change(peck, grant, at, effects);
    enum grant_verdict verdict =
        grants_revoke(agent->grants, grant, grant->count - 1, id_equal(&peck->from, &peck->to),
                      at->wall_ms, change);
    char block[ID_TEXT_SIZE];

    change->is_revocation = true;
    if (verdict != GRANT_OK || change->row_count == 0)
        return verdict;
    effects_add(effects, EFFECT_KEEP_GRANT)->grant = change;
    agent_log(effects, LOG_INFO, "%s is revoked", id_text(ID_GRANT, &change->block, block));
    return GRANT_OK;
}

/* Of a duckling that lives here: its own node alone admits, so nobody else need hear of it. What it
 * granted it can end at whichever block, whoever signed that. */
enum refusal_code agent_revoke_own(struct agent *agent, const struct order *order,
                                   const struct moment *at, struct effects *effects,
                                   const char **message)
{
    const struct grant *grant = order->grant.grant;
    struct peck peck = {.from = order->duckling, .to = order->duckling};
    enum grant_verdict verdict = order->grant.verdict;

    if (!grant && verdict == GRANT_OK)
        verdict = GRANT_MALFORMED;
    if (grant && !id_equal(&grant->blocks[0].issuer, &order->duckling))
        verdict = GRANT_OTHER_TARGET;
    if (grant && verdict == GRANT_OK)
        verdict = agent_revoke_grant(agent, &peck, grant, at, effects);
    *message = grant_verdict_text(verdict);
    if (verdict == GRANT_NO_ROOM)
        return REFUSAL_BUSY;
    return verdict == GRANT_OK ? REFUSAL_NONE : REFUSAL_GRANT;
}

/* What is not named is as the grant has it. False: it has more scopes than a block takes. */
static bool inherit(struct grant_wish *wish, const struct grant *grant, struct grant_reach *reach)
{
    grant_reach(grant, reach);
    wish->network = grant->blocks[0].network;
    if (wish->not_after_ms == 0)
        wish->not_after_ms = reach->not_after_ms;
    if (wish->scope_count > 0)
        return true;
    if (reach->scope_count > GRANT_SCOPES_MAX)
        return false;
    wish->scope_count = reach->scope_count;
    memcpy(wish->scopes, reach->scopes, wish->scope_count * sizeof *wish->scopes);
    return true;
}

bool agent_make_grant(struct agent *agent, const struct order *order,
                      const struct duckling *duckling, const struct moment *at,
                      struct effects *effects, struct bytes *wire, const char **message)
{
    struct grant_wish wish = {.network = agent->settings.network,
                              .issuer = duckling->id,
                              .key = duckling->key,
                              .chain = duckling->chain,
                              .holder = order->with,
                              .scope_count = order->scope_count,
                              .uses = order->uses,
                              .further = order->further,
                              .issued_ms = at->wall_ms,
                              .not_after_ms = order->not_after_ms};
    bool is_first = order->send.grant.size == 0;
    enum grant_verdict verdict = is_first ? GRANT_OK : order->grant.verdict;
    struct grant_reach reach;

    if (!is_first && !order->grant.grant && verdict == GRANT_OK)
        verdict = GRANT_MALFORMED;
    if (verdict == GRANT_OK && !is_first &&
        !bytes_equal(order->grant.grant->blocks[0].network, agent->settings.network))
        verdict = GRANT_OTHER_NETWORK;
    if (verdict == GRANT_OK && order->scope_count > GRANT_SCOPES_MAX)
        verdict = GRANT_BAD_SCOPE;
    if (verdict == GRANT_OK) {
        for (size_t i = 0; i < order->scope_count; i++)
            wish.scopes[i] = order->scopes[i];
        dice_fill(&agent->dice, wish.nonce, sizeof wish.nonce);
        if (is_first && wish.not_after_ms == 0)
            wish.not_after_ms = at->wall_ms + DAY_MS;
        if (!is_first && !inherit(&wish, order->grant.grant, &reach))
            verdict = GRANT_BAD_SCOPE;
    }
    if (verdict == GRANT_OK)
        verdict = is_first ? grant_make(&wish, &effects->arena, wire)
                           : grant_narrow(order->send.grant, &wish, &effects->arena, wire);
    *message = grant_verdict_text(verdict);
    return verdict == GRANT_OK;
}

void agent_forget_grants(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct id blocks[OVER_AT_ONCE_MAX];
    size_t count = grants_over(agent->grants, at->wall_ms, blocks, OVER_AT_ONCE_MAX);

    for (size_t i = 0; i < count; i++)
        effects_add(effects, EFFECT_DROP_GRANT)->dropped_grant = blocks[i];
}
