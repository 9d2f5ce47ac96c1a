/* Orders of an owner: what waits for it is approved or denied, and bonds are changed and ended. */
#include "agent_orders.h"

#include <assert.h>

static struct bond_terms terms_of(const struct order *order)
{
    struct bond_terms terms = bond_terms_default();

    return bond_terms_change(&terms, &order->terms, order->terms_set);
}

static void make_bond(struct agent *agent, const struct order *order,
                      const struct tray_entry *entry, const struct moment *at,
                      struct effects *effects)
{
    struct unsigned_receipt *receipt;
    struct bond *bond = arena_take(&effects->arena, sizeof *bond);
    struct duckling *approver = agent_hosted(agent, &entry->to);
    struct tray_entry copy = *entry;
    struct effect *effect;

    assert(bond && approver);
    memset(bond, 0, sizeof *bond);
    bond->id = copy.peck;
    bond->requester = copy.from;
    bond->approver = copy.to;
    bond->made_ms = at->wall_ms;
    bond->not_after_ms = order->not_after_ms ? order->not_after_ms : at->wall_ms + BOND_LIFE_MS;
    bond->terms_ms = at->wall_ms;
    bond->terms = terms_of(order);
    for (size_t i = 0; i < order->scope_count && i < PECK_SCOPES_MAX; i++)
        bond->scopes[bond->scope_count++] = order->scopes[i];
    receipt = agent_say_done(agent, &copy, PECK_APPROVED, bytes_of(NULL, 0), bytes_of(NULL, 0), at,
                             order->ticket, effects);
    agent_say_terms(receipt, bond);
    if (agent_await_signature(agent, order, copy.expires_ms, at, effects))
        return;
    if (!bonds_add(agent->bonds, bond)) {
        agent->receipt_count--; /* it is not said */
        order_refuse(effects, order, REFUSAL_BUSY, "this node holds as many bonds as it can", "");
        return;
    }
    tray_remove(agent->tray, &copy.peck);
    effects_add(effects, EFFECT_KEEP_BOND)->bond = bond;
    agent->counters.connections++;
    agent->counters_changed = agent->metrics_changed = true;
    agent_publish_bonded(agent, approver, bond, at, effects);
    effect = effects_add(effects, EFFECT_BOND_CHANGED);
    effect->bond_changed.change = BOND_MADE;
    effect->bond_changed.bond = bond->id;
    effect->bond_changed.duckling = bond->approver;
    effect->bond_changed.with = bond->requester;
}

static bool judge_bond(const struct order *order, const struct moment *at, struct effects *effects)
{
    const char *field, *wrong = bond_terms_judge(&order->terms, &field);

    if (wrong) {
        order_refuse(effects, order, REFUSAL_MALFORMED, wrong, field);
        return false;
    }
    if (order->scope_count > PECK_SCOPES_MAX ||
        (order->scope_count == 0 && order->kind == ORDER_APPROVE)) {
        order_refuse(effects, order, REFUSAL_MALFORMED, "a bond has 1 to 16 scopes", "scopes");
        return false;
    }
    for (size_t i = 0; i < order->scope_count; i++)
        if (!peck_scope_is_valid(order->scopes[i])) {
            order_refuse(effects, order, REFUSAL_MALFORMED,
                         "a scope is a name like data.read, or data.*, or *", "scopes");
            return false;
        }
    if (order->not_after_ms > MUTE_LATEST_MS ||
        (order->not_after_ms && order->not_after_ms <= at->wall_ms)) {
        order_refuse(effects, order, REFUSAL_MALFORMED, "the bond would have ended already",
                     "not_after");
        return false;
    }
    return true;
}

void order_approve(struct agent *agent, const struct order *order, const struct moment *at,
                   struct effects *effects)
{
    const struct tray_entry *entry = order_find_open(agent, order, &order->peck, effects);
    struct tray_entry copy;
    struct id node;

    if (!entry)
        return;
    if (entry->place != TRAY_WAITING) {
        order_refuse(effects, order, REFUSAL_CONFLICT, "this peck does not wait for approval",
                     "peck_id");
        return;
    }
    if (entry->kind == PECK_BOND_REQUEST) {
        if (judge_bond(order, at, effects))
            make_bond(agent, order, entry, at, effects);
        return;
    }
    if (order->scope_count > 0 || order->not_after_ms || order->terms_set) {
        order_refuse(effects, order, REFUSAL_MALFORMED,
                     "an action is approved as it is: scopes, limits and an end belong to a bond",
                     order->scope_count > 0 ? "scopes"
                     : order->not_after_ms  ? "not_after"
                                            : "terms");
        return;
    }
    copy = *entry;
    copy.action = arena_copy(&effects->arena, entry->action); /* it goes with the entry */
    copy.state = PECK_APPROVED;
    copy.place = TRAY_READY;
    if (order->held.expires_ms > copy.expires_ms) /* now it waits as long as its sender allows */
        copy.expires_ms = order->held.expires_ms;
    tray_remove(agent->tray, &copy.peck);
    if (tray_add(agent->tray, &copy) != TRAY_TAKEN)
        assert(!"there is room: it was in there");
    if (!agent_find_host(agent, &copy.from, &node))
        node = agent->node;
    order_keep_place(&copy, at, effects);
    agent_say_taken(agent, &copy, &node, PECK_APPROVED, at, order->ticket, effects);
}

void order_deny(struct agent *agent, const struct order *order, const struct moment *at,
                struct effects *effects)
{
    const struct tray_entry *entry = order_find_open(agent, order, &order->peck, effects);
    struct tray_entry copy;

    if (!entry || !order_judge_words(order, effects))
        return;
    if (entry->place != TRAY_WAITING) {
        order_refuse(effects, order, REFUSAL_CONFLICT, "this peck does not wait for approval",
                     "peck_id");
        return;
    }
    copy = *entry;
    agent_say_done(agent, &copy, PECK_DENIED, bytes_of(NULL, 0), order->problem, at, order->ticket,
                   effects);
    if (!agent_await_signature(agent, order, copy.expires_ms, at, effects))
        tray_remove(agent->tray, &copy.peck);
}

void order_unpeck(struct agent *agent, const struct order *order, const struct moment *at,
                  struct effects *effects)
{
    struct id ended;

    if (agent_unpeck(agent, order, at, effects, &ended))
        order_reply(effects, order)->reply.bond = ended;
    else
        order_refuse(effects, order, REFUSAL_NOT_FOUND, "this duckling has no such bond",
                     "bond_id");
}

/* NULL after a refusal was added. */
static const struct bond *find_own_bond(struct agent *agent, const struct order *order,
                                        struct effects *effects)
{
    const struct bond *bond = bonds_find(agent->bonds, &order->bond);
    bool is_named = !id_is_zero(&order->duckling);

    if (!bond || (is_named && !id_equal(&order->duckling, &bond->requester) &&
                  !id_equal(&order->duckling, &bond->approver))) {
        order_refuse(effects, order, REFUSAL_NOT_FOUND, "this duckling has no such bond",
                     "bond_id");
        return NULL;
    }
    if (!agent_hosted(agent, &bond->approver) ||
        (is_named && !id_equal(&order->duckling, &bond->approver))) {
        order_refuse(effects, order, REFUSAL_NOT_ALLOWED,
                     "the terms of a bond belong to whoever approved it", "bond_id");
        return NULL;
    }
    return bond;
}

void order_change_bond(struct agent *agent, const struct order *order, const struct moment *at,
                       struct effects *effects)
{
    const struct bond *bond = find_own_bond(agent, order, effects);
    struct bond changed;
    struct effect *effect;

    if (!bond || !judge_bond(order, at, effects))
        return;
    changed = *bond;
    changed.terms = bond_terms_change(&bond->terms, &order->terms, order->terms_set);
    changed.terms_ms = at->wall_ms > bond->terms_ms ? at->wall_ms : bond->terms_ms + 1;
    if (order->not_after_ms)
        changed.not_after_ms = order->not_after_ms;
    if (order->scope_count > 0) {
        changed.scope_count = order->scope_count;
        memcpy(changed.scopes, order->scopes, order->scope_count * sizeof *order->scopes);
    }
    if (changed.not_after_ms <= changed.terms_ms) {
        order_refuse(effects, order, REFUSAL_MALFORMED, "the bond would have ended already",
                     "not_after");
        return;
    }
    if (agent_change_bond(agent, order, &changed, at, effects))
        return; /* who ordered it hears when it is signed */
    effect = order_reply(effects, order);
    effect->reply.duckling = changed.approver;
    effect->reply.bond = changed.id;
}
