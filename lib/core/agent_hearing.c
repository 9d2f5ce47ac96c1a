/* Who was away may not know yet who was revoked meanwhile, or whose key was rotated: and whoever stole such a key
 * will hurry to be the first who links. So a node that begins another life, has had no link, or slept, hears the others
 * out before it takes a peck or an answer: until a comparison of the directory has ended well. What one neighbour brings
 * waits for another one's word, because it could say that nothing has happened; where no other one is known, or none
 * answers within HEARD_SECOND_MS, that has to do.
 *
 * Nodes cost nothing, so only those count that it knew before: they go first, and the word of others has to do when none
 * of them has spoken within HEARD_STRANGERS_MS.
 *
 * Whoever steps the agent keeps back what agent_hears_first names, so that nothing is lost and nothing is late by more
 * than that comparison, a round trip mostly. */
#include "agent_parts.h"

static bool knows_others(const struct agent *agent)
{
    size_t own = directory_find(agent->directory, &agent->node, RECORD_NODE) ? 1 : 0;

    return directory_count_kind(agent->directory, RECORD_NODE) > own;
}

/* The directory's nodes; whoever comes into it now may have been made for this moment. */
static void note_known(struct agent *agent)
{
    struct hearing *hearing = &agent->hearing;
    size_t count = directory_node_count(agent->directory);

    hearing->known = memory_take(count * sizeof *hearing->known);
    hearing->known_count = count;
    for (size_t i = 0; i < count; i++)
        hearing->known[i] = directory_node_at(agent->directory, i)->owner;
}

static bool is_known(const struct hearing *hearing, const struct id *node)
{
    for (size_t i = 0; i < hearing->known_count; i++)
        if (id_equal(&hearing->known[i], node))
            return true;
    return false;
}

/* A first life has missed nothing. Whose links come and go has not met anybody meanwhile. */
void agent_begin_hearing(struct agent *agent)
{
    struct hearing *hearing = &agent->hearing;

    if (!knows_others(agent))
        return;
    if (!hearing->is_due)
        note_known(agent);
    hearing->is_due = true;
    hearing->by_stranger = hearing->by_one = hearing->is_late = false;
    hearing->until_ms = 0;
}

/* Nobody who makes up nodes stands in the way of who was known before. */
void agent_hear_soon(struct agent *agent, const struct id *node, const struct moment *at)
{
    if (agent->hearing.is_due && is_known(&agent->hearing, node))
        repair_hurry(agent->repairs[RECORD_SET_DIRECTORY - 1], node, at->now_ms);
}

void agent_hear_all(struct agent *agent, const struct moment *at)
{
    struct id linked[ACTIVE_LINKS_MAX];
    size_t count = gossip_linked(agent->gossip, linked, ACTIVE_LINKS_MAX);

    agent_begin_hearing(agent);
    for (size_t i = 0; i < count; i++) {
        agent_check_sets(agent, &linked[i], at);
        agent_hear_soon(agent, &linked[i], at);
    }
}

bool agent_hears_first(const struct agent *agent, const struct event *event)
{
    const struct hearing *hearing = &agent->hearing;

    if (!hearing->is_due || id_equal(&event->node, &agent->node))
        return false;
    if (event->kind != EVENT_PECK && event->kind != EVENT_HELD && event->kind != EVENT_RECEIPT &&
        event->kind != EVENT_PARTIAL)
        return false;
    return !hearing->by_one || id_equal(&event->node, &hearing->by);
}

void agent_note_lost(struct agent *agent)
{
    agent->hearing.some_lost = true;
}

static bool is_any(void *context, const struct id *to)
{
    (void)context;
    (void)to;
    return true;
}

/* What was lost of answers comes again when it is asked for. */
static void end_hearing(struct agent *agent, const struct moment *at)
{
    bool some_lost = agent->hearing.some_lost;

    memory_give_back(agent->hearing.known);
    agent->hearing = (struct hearing){0};
    if (some_lost)
        outbox_hurry(agent->outbox, is_any, NULL, at->now_ms);
}

static void wait_for_another(struct hearing *hearing, uint64_t until_ms)
{
    hearing->is_late = false;
    hearing->until_ms = until_ms;
}

void agent_hear(struct agent *agent, enum record_set set, const struct id *from,
                const struct moment *at)
{
    struct hearing *hearing = &agent->hearing;

    if (!hearing->is_due || set != RECORD_SET_DIRECTORY)
        return;
    if (!is_known(hearing, from)) {
        if (!hearing->by_one && !hearing->by_stranger)
            wait_for_another(hearing, at->now_ms + HEARD_STRANGERS_MS);
        hearing->by_stranger = true;
    } else if (!hearing->by_one) {
        wait_for_another(hearing, at->now_ms + HEARD_SECOND_MS);
        hearing->by_one = true;
        hearing->by = *from;
    } else if (!id_equal(&hearing->by, from)) {
        end_hearing(agent, at);
    }
}

/* Pecks wait for it: so whoever runs the node should know. */
static void wait_for_the_first(struct agent *agent, const struct moment *at,
                               struct effects *effects)
{
    struct hearing *hearing = &agent->hearing;

    if (gossip_links(agent->gossip) == 0)
        hearing->until_ms = 0;
    else if (hearing->until_ms == 0)
        hearing->until_ms = at->now_ms + HEARD_LATE_MS;
    else if (at->now_ms >= hearing->until_ms && !hearing->is_late) {
        hearing->is_late = true;
        agent_log(effects, LOG_WARNING,
                  "this node was away, and no other one has told it yet who was revoked meanwhile: "
                  "what others send waits");
    }
}

void agent_settle_hearing(struct agent *agent, const struct moment *at, struct effects *effects)
{
    const struct hearing *hearing = &agent->hearing;

    if (!hearing->is_due)
        return;
    if (!hearing->by_one && !hearing->by_stranger)
        wait_for_the_first(agent, at, effects);
    else if (at->now_ms >= hearing->until_ms || gossip_live(agent->gossip) <= 1)
        end_hearing(agent, at);
}

uint64_t agent_hearing_wake_at_ms(const struct agent *agent)
{
    const struct hearing *hearing = &agent->hearing;

    return hearing->is_due && hearing->until_ms > 0 && !hearing->is_late ? hearing->until_ms
                                                                         : MOMENT_NEVER;
}
