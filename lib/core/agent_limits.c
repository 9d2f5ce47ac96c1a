/* What the limits of bonds do to pecks, and how an approver changes them.
 *
 * The approver's node enforces them all in what comes in, whatever the sender claims. The requester's
 * holds its own ducklings to the rounds, so that an agent that has run away stops at home. A round is a
 * peck in either direction: both nodes count what leaves and what comes. */
#include "agent_parts.h"

#include <assert.h>
#include <stdio.h>

#define LAST_ROUNDS_MAX 8   /* bonds between two of which one peck ends the thread, that are told */
#define TERMS_TOLD_MAX 1024 /* bonds, when a link comes up */
#define REASON_SIZE 160

/* ---- told ---- */

static void tell_end(const struct bond *bond, const struct id *end, struct effect_bond changed,
                     struct effects *effects)
{
    changed.bond = bond->id;
    changed.duckling = *end;
    changed.with = id_equal(&bond->requester, end) ? bond->approver : bond->requester;
    effects_add(effects, EFFECT_BOND_CHANGED)->bond_changed = changed;
}

/* Each end that lives here. */
static void tell_ends(const struct agent *agent, const struct bond *bond,
                      const struct effect_bond *changed, struct effects *effects)
{
    if (agent_hosted(agent, &bond->requester))
        tell_end(bond, &bond->requester, *changed, effects);
    if (agent_hosted(agent, &bond->approver))
        tell_end(bond, &bond->approver, *changed, effects);
}

static void tell_limit(struct agent *agent, const struct bond *bond, enum bond_verdict limit,
                       const struct id *peck, struct bytes thread, const struct moment *at,
                       struct effects *effects)
{
    struct effect_bond changed = {.change = BOND_LIMITED, .limit = limit, .peck = *peck};
    char text[ID_TEXT_SIZE];

    if (!bonds_may_tell(agent->bonds, &bond->id, limit, at->now_ms))
        return;
    if (limit == BOND_ROUNDS || limit == BOND_COOLING_DOWN)
        changed.thread = arena_copy(&effects->arena, thread);
    agent_log(effects, LOG_WARNING, "%s: %s", id_text(ID_BOND, &bond->id, text),
              bond_verdict_text(limit));
    tell_ends(agent, bond, &changed, effects);
}

/* ---- pecks ---- */

struct bytes agent_thread_of(const struct peck *peck, struct bytes replied)
{
    return replied.size > 0 ? replied : peck->thread;
}

static struct bond_action action_of(const struct peck *peck, struct bytes thread)
{
    return (struct bond_action){.from = &peck->from,
                                .to = &peck->to,
                                .action = peck->action,
                                .payload = peck->payload,
                                .thread = thread};
}

/* In the arena. */
static const char *reason_of(const struct bond_decision *decision, struct arena *arena)
{
    char reason[REASON_SIZE];

    if (decision->retry_after_ms)
        snprintf(reason, sizeof reason, "%s: try again in %llu ms",
                 bond_verdict_text(decision->verdict),
                 (unsigned long long)decision->retry_after_ms);
    else
        snprintf(reason, sizeof reason, "%s", bond_verdict_text(decision->verdict));
    return (const char *)arena_copy(arena, bytes_of(reason, strlen(reason) + 1)).data;
}

struct bond_decision agent_admit_action(struct agent *agent, const struct peck *peck,
                                        struct bytes thread, const struct moment *at,
                                        struct effects *effects, struct peck_refusal *refusal)
{
    struct bond_action action = action_of(peck, thread);
    struct bond_decision decision = {.verdict = BOND_COVERS_NOT};

    if (peck->kind == PECK_ACTION)
        decision = bonds_admit(agent->bonds, &action, at);
    if (decision.verdict == BOND_ADMITS || decision.verdict == BOND_COVERS_NOT)
        return decision;
    *refusal = (struct peck_refusal){.code = bond_verdict_code(decision.verdict),
                                     .reason = reason_of(&decision, &effects->arena),
                                     .final = true,
                                     .retry_after_ms = decision.retry_after_ms};
    tell_limit(agent, decision.bond, decision.verdict, &peck->id, thread, at, effects);
    return decision;
}

void agent_count_peck(struct agent *agent, const struct peck *peck, struct bytes thread,
                      const struct moment *at, struct effects *effects)
{
    struct id last[LAST_ROUNDS_MAX];
    size_t count;

    if (thread.size == 0 || peck->kind != PECK_ACTION)
        return;
    count = bonds_count_round(agent->bonds, &peck->from, &peck->to, thread, at->wall_ms, last,
                              LAST_ROUNDS_MAX);
    for (size_t i = 0; i < count; i++)
        tell_limit(agent, bonds_find(agent->bonds, &last[i]), BOND_ROUNDS, &peck->id, thread, at,
                   effects);
}

bool agent_judge_round(struct agent *agent, const struct peck *peck, struct bytes thread,
                       const struct moment *at, struct effects *effects,
                       struct order_refusal *refusal)
{
    struct bond_action action = action_of(peck, thread);
    struct bond_decision decision;
    static const struct id not_made;

    if (thread.size == 0 || peck->kind != PECK_ACTION)
        return true;
    decision = bonds_admit_round(agent->bonds, &action, at);
    if (decision.verdict == BOND_ADMITS || decision.verdict == BOND_COVERS_NOT)
        return true;
    refusal->code =
        decision.verdict == BOND_ROUNDS ? REFUSAL_BOND_ROUNDS : REFUSAL_BOND_COOLING_DOWN;
    refusal->message = reason_of(&decision, &effects->arena);
    refusal->field = "thread";
    refusal->retry_after_ms = decision.retry_after_ms;
    tell_limit(agent, decision.bond, decision.verdict, &not_made, thread, at, effects);
    return false;
}

void agent_keep_counts(struct agent *agent, struct effects *effects)
{
    struct bond_count count;

    while (bonds_poll_count(agent->bonds, &count))
        effects_add(effects, EFFECT_KEEP_COUNT)->count = count;
}

/* ---- terms ---- */

struct bond *agent_copy_bond(const struct bond *bond, struct arena *arena)
{
    struct bond *copy = arena_take(arena, sizeof *copy);

    assert(copy);
    *copy = *bond;
    for (size_t i = 0; i < copy->scope_count; i++)
        copy->scopes[i] = arena_copy(arena, copy->scopes[i]);
    for (size_t i = 0; i < copy->terms.stop_word_count; i++)
        copy->terms.stop_words[i] = arena_copy(arena, copy->terms.stop_words[i]);
    return copy;
}

void agent_say_terms(struct unsigned_receipt *said, const struct bond *bond)
{
    said->bond = bond->id;
    said->receipt.at_ms = bond->terms_ms;
    said->receipt.bond_not_after_ms = bond->not_after_ms;
    said->receipt.scope_count = bond->scope_count;
    memcpy(said->receipt.scopes, bond->scopes, sizeof bond->scopes);
    said->receipt.terms = bond->terms;
}

/* The terms are said anew in a `done` receipt, which takes the place of the one before. Without the
 * request there is nothing to say them about: then they hold, and the requester learns them by what
 * is refused. */
static bool say_changed(struct agent *agent, const struct order *order, const struct bond *bond,
                        const struct moment *at, struct effects *effects)
{
    struct tray_entry request = {.peck = bond->id,
                                 .hash = order->held.hash,
                                 .from = bond->requester,
                                 .to = bond->approver,
                                 .kind = PECK_BOND_REQUEST,
                                 .state = PECK_APPROVED};
    struct unsigned_receipt *said;

    if (!order->held.found)
        return false;
    said = agent_say_done(agent, &request, PECK_APPROVED, bytes_of(NULL, 0), bytes_of(NULL, 0), at,
                          order->ticket, effects);
    agent_say_terms(said, bond);
    said->is_about_terms = true;
    return true;
}

bool agent_change_bond(struct agent *agent, const struct order *order, const struct bond *changed,
                       const struct moment *at, struct effects *effects)
{
    static const struct effect_bond terms = {.change = BOND_TERMS_CHANGED};
    struct bond *bond = agent_copy_bond(changed, &effects->arena);
    bool is_said = say_changed(agent, order, bond, at, effects), is_added;

    if (is_said && agent_await_signature(agent, order, at->wall_ms + DAY_MS, at, effects))
        return true;
    is_added = bonds_add(agent->bonds, bond);
    assert(is_added); /* in the place of the same */
    (void)is_added;
    effects_add(effects, EFFECT_KEEP_BOND)->bond = bond;
    tell_ends(agent, bond, &terms, effects);
    return is_said;
}

void agent_hear_terms(struct agent *agent, const struct event *event, struct effects *effects)
{
    static const struct effect_bond terms = {.change = BOND_TERMS_CHANGED};
    const struct receipt *receipt = &event->receipt.receipt;
    struct id id = id_of(&receipt->peck);
    const struct bond *held = bonds_find(agent->bonds, &id);
    struct bond *bond;

    if (!held || receipt->kind != RECEIPT_DONE || receipt->state != PECK_APPROVED ||
        !id_equal(&receipt->from, &held->requester) || !id_equal(&receipt->to, &held->approver) ||
        !id_equal(&event->receipt.signer, &held->approver) || receipt->at_ms <= held->terms_ms)
        return;
    bond = agent_copy_bond(held, &effects->arena);
    bond->scope_count = receipt->scope_count;
    memcpy(bond->scopes, receipt->scopes, sizeof bond->scopes);
    bond->not_after_ms = receipt->bond_not_after_ms;
    bond->terms = receipt->terms;
    bond->terms_ms = receipt->at_ms;
    bonds_add(agent->bonds, bond);
    effects_add(effects, EFFECT_KEEP_BOND)->bond = bond;
    tell_ends(agent, bond, &terms, effects);
}

/* ---- links ---- */

struct telling {
    struct agent *agent;
    const struct id *node;
    struct effects *effects;
    size_t told;
};

static void tell_terms(void *context, const struct bond *bond)
{
    struct telling *telling = context;
    struct effect *effect;
    struct id host;

    if (telling->told == TERMS_TOLD_MAX || !agent_hosted(telling->agent, &bond->approver) ||
        !agent_find_host(telling->agent, &bond->requester, &host) ||
        !id_equal(&host, telling->node))
        return;
    effect = effects_add(telling->effects, EFFECT_SEND_RECEIPTS);
    effect->send_stored.node = host;
    effect->send_stored.peck = bond->id;
    telling->told++;
}

/* Whoever was away when terms changed hears of it now, if not of too many. */
void agent_tell_terms(struct agent *agent, const struct id *node, struct effects *effects)
{
    struct telling telling = {.agent = agent, .node = node, .effects = effects};

    bonds_each_changed(agent->bonds, tell_terms, &telling);
}
