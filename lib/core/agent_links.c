/* Links: who is reached, who should be. A link that comes up compares sets and lets the pecks
 * go that waited for it. */
#include "agent_parts.h"

void agent_send(const struct id *node, enum frame_kind kind, struct bytes body,
                struct effects *effects)
{
    struct effect *effect = effects_add(effects, EFFECT_SEND);

    effect->send.node = *node;
    effect->send.kind = kind;
    effect->send.body = body;
}

void agent_hang_up(const struct id *node, const char *reason, struct effects *effects)
{
    struct effect *effect = effects_add(effects, EFFECT_HANG_UP);

    effect->hang_up.node = *node;
    effect->hang_up.reason = reason;
}

void agent_cut_off(const struct id *node, const char *reason, struct effects *effects)
{
    agent_hang_up(node, reason, effects);
    effects->list[effects->count - 1].hang_up.at_once = true;
}

/* Anybody can bring the certificate of one that keeps its own key: it lives where it has signed that it does. */
bool agent_find_host(const struct agent *agent, const struct id *duckling, struct id *node)
{
    const struct duckling *hosted = agent_hosted(agent, duckling);
    const struct directory_entry *entry;

    if (hosted && hosted->key) {
        *node = agent->node;
        return true;
    }
    entry = directory_find(agent->directory, duckling, RECORD_DUCKLING);
    if (!entry || entry->deleted)
        return false;
    *node = entry->host;
    return true;
}

bool agent_lives_here(const struct agent *agent, const struct id *duckling)
{
    struct id node;

    return agent_hosted(agent, duckling) && agent_find_host(agent, duckling, &node) &&
           id_equal(&node, &agent->node);
}

struct newly_linked {
    const struct agent *agent;
    struct id node;
};

static bool is_hosted_there(void *context, const struct id *to)
{
    const struct newly_linked *linked = context;
    struct id host;

    return agent_find_host(linked->agent, to, &host) && id_equal(&host, &linked->node);
}

void agent_link_up(struct agent *agent, const struct event *event, struct effects *effects)
{
    struct newly_linked linked = {.agent = agent, .node = event->node};
    char text[ID_TEXT_SIZE];
    struct offered_record offered = {0};
    struct introduction introduction;
    size_t certificates = SIZE_MAX; /* not introduced */
    bool is_offered = false;
    struct arena arena;

    agent_log(effects, LOG_INFO, "link up with %s, %s", id_text(ID_NODE, &event->node, text),
              event->link.dialled_here ? "dialled here" : "dialled there");
    if (event->link.introduction.size > 0) {
        arena_init(&arena, PARSE_BUDGET(event->link.introduction.size));
        if (introduction_open(event->link.introduction, agent->settings.network, event->at.wall_ms,
                              &arena, &introduction) == INTRODUCTION_TAKEN) {
            offered.record = introduction.record;
            offered.wire = arena_copy(&effects->arena, introduction.record_wire);
            offered.chain = arena_copy(&effects->arena, introduction.chain.wire);
            offered.record.content = arena_copy(&effects->arena, introduction.record.content);
            offered.record.key = bytes_of(NULL, 0);
            certificates = introduction.chain.count;
            is_offered = true;
        }
        arena_free(&arena);
    }
    if (agent_is_revoked(agent, &event->node)) {
        agent_cut_off(&event->node, "it is revoked", effects);
        return;
    }
    if (!agent_note_link(agent, event, certificates, effects))
        return;
    if (is_offered)
        agent_offer_record(agent, &offered, &event->node, &event->at, effects);
    if (!agent_is_member(agent, &event->node)) { /* it was, when the handshake began */
        agent_cut_off(&event->node, fleet_verdict_text(FLEET_TAKEN_BACK), effects);
        return;
    }
    gossip_link_up(agent->gossip, &event->node, event->link.dialled_here, event->at.now_ms);
    agent_check_sets(agent, &event->node, &event->at);
    agent_hear_soon(agent, &event->node, &event->at);
    outbox_hurry(agent->outbox, is_hosted_there, &linked, event->at.now_ms);
    agent_tell_terms(agent, &event->node, effects);
    agent_perches_link_up(agent, &event->node, &event->at);
}

void agent_link_down(struct agent *agent, const struct event *event, struct effects *effects)
{
    char text[ID_TEXT_SIZE];

    agent_forget_link(agent, &event->node);
    collecting_link_down(agent->collecting, &event->node);
    gossip_link_down(agent->gossip, &event->node, event->link.goodbye, event->at.now_ms);
    for (int i = 0; i < RECORD_SETS; i++)
        repair_link_down(agent->repairs[i], &event->node, event->at.now_ms);
    if (gossip_links(agent->gossip) == 0)
        agent_begin_hearing(agent);
    agent_log(effects, LOG_INFO, "link down with %s", id_text(ID_NODE, &event->node, text));
}

void agent_dial(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct gossip_dial dial;

    while (gossip_poll_dial(agent->gossip, at->now_ms, &dial)) {
        struct effect *effect = effects_add(effects, EFFECT_DIAL);

        effect->dial.node = dial.node;
        effect->dial.address = arena_copy(&effects->arena, bytes_of_text(dial.address));
        effect->dial.session_key_known = dial.session_key_known;
        memcpy(effect->dial.session_key, dial.session_key, sizeof dial.session_key);
    }
}
