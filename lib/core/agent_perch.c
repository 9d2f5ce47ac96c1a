/* As a perch: what others bring for nodes that name this one is kept until its owner has it or its
 * time is over. What it is about is under a seal that this node cannot open. */
#include "agent_parts.h"

static bool is_named_by(const struct agent *agent, const struct id *owner)
{
    struct node_content content;

    if (!agent_find_node(agent, owner, &content))
        return false;
    for (size_t i = 0; i < content.perch_count; i++)
        if (id_equal(&content.perches[i], &agent->node))
            return true;
    return false;
}

static void drop(uint64_t number, struct effects *effects)
{
    effects_add(effects, EFFECT_DROP_PERCHED)->perched.entry.number = number;
}

static void keep(const struct agent *agent, const struct perch_entry *entry, struct bytes sealed,
                 struct effects *effects)
{
    struct effect *effect = effects_add(effects, EFFECT_KEEP_PERCHED);

    effect->perched.entry = *entry;
    effect->perched.sealed = sealed;
    if (gossip_is_linked(agent->gossip, &entry->owner)) /* nobody can dial it, it seems */
        agent_send(&entry->owner, FRAME_HELD,
                   frame_pack_held(entry, sealed, false, false, &effects->arena), effects);
}

static const char *offer(struct agent *agent, const struct event *event, struct effects *effects)
{
    struct perch_entry entry = {.name = event->deposit.name,
                                .owner = event->deposit.owner,
                                .from = event->node,
                                .not_after_ms = event->deposit.not_after_ms,
                                .size = event->deposit.sealed.size};
    uint64_t evicted[PERCH_EVICTED_MAX];
    enum perch_verdict verdict;
    size_t count;

    if (!agent->settings.is_perch)
        return "not_a_perch";
    if (!is_named_by(agent, &entry.owner))
        return "unnamed";
    verdict = perch_offer(agent->perch, &entry, event->at.wall_ms, evicted, &count);
    for (size_t i = 0; i < count; i++)
        drop(evicted[i], effects);
    if (verdict == PERCH_HELD)
        keep(agent, &entry, event->deposit.sealed, effects);
    return perch_verdict_code(verdict);
}

void agent_take_deposit(struct agent *agent, const struct event *event, struct effects *effects)
{
    const char *code = offer(agent, event, effects);
    char text[ID_TEXT_SIZE];

    if (*code)
        agent_log(effects, LOG_INFO, "what %s brings for another node is not held: %s",
                  id_text(ID_NODE, &event->node, text), code);
    agent_send(&event->node, FRAME_DEPOSITED,
               frame_pack_deposited(&event->deposit.name, code, &effects->arena), effects);
}

void agent_take_collect(struct agent *agent, const struct event *event, struct effects *effects)
{
    struct perched_portion *portion = arena_take(&effects->arena, sizeof *portion);
    struct perch_entry *entries = arena_take(&effects->arena, COLLECT_AT_ONCE * sizeof *entries);
    uint64_t after = event->collect.after;
    size_t bytes = 0;

    *portion = (struct perched_portion){.owner = event->node, .entries = entries};
    while (portion->count < COLLECT_AT_ONCE && bytes < COLLECT_BYTES &&
           perch_next(agent->perch, &event->node, after, &entries[portion->count])) {
        bytes += entries[portion->count].size;
        after = entries[portion->count++].number;
    }
    if (portion->count > 0) {
        struct perch_entry next;

        portion->has_more = perch_next(agent->perch, &event->node, after, &next);
    }
    effects_add(effects, EFFECT_SEND_PERCHED)->portion = portion;
}

void agent_take_settled(struct agent *agent, const struct event *event, struct effects *effects)
{
    uint64_t number;

    for (size_t i = 0; i < event->settled.count; i++)
        if (perch_settle(agent->perch, &event->node, &event->settled.names[i], &number))
            drop(number, effects);
}

void agent_expire_perched(struct agent *agent, const struct moment *at, struct effects *effects)
{
    uint64_t number;

    while (perch_poll_expired(agent->perch, at->wall_ms, &number))
        drop(number, effects);
}
