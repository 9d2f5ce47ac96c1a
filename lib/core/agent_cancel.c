/* A peck is taken back by whoever sent it. As long as it has not left, that is this node's own affair;
 * afterwards the target's node is asked to, by the peck itself, repeated with a mark until a `done`
 * receipt comes. That says "cancelled", signed by the target, or what was answered meanwhile: the first
 * end that the target signs stands. A node that never took the peck refuses it as cancelled, and that
 * ends it too. The mark is not signed; the link proves the node, and only where the sender lives may a
 * peck be taken back. */
#include "agent_parts.h"

/* ---- where it was sent ---- */

void agent_ask_to_cancel(struct agent *agent, const struct outbox_entry *entry,
                         const struct moment *at, struct effects *effects)
{
    struct outbox_entry copy = *entry;
    struct effect *effect;

    outbox_cancel(agent->outbox, &copy.peck, at->now_ms); /* the end of this turn sends it */
    effect = effects_add(effects, EFFECT_KEEP_STATE);
    effect->state.box = BOX_OUT;
    effect->state.peck = copy.peck;
    effect->state.duckling = copy.from;
    effect->state.with = copy.to;
    effect->state.state = copy.state;
    effect->state.attempt = copy.attempts;
    effect->state.at_ms = at->wall_ms;
    effect->state.cancelling = true;
}

/* ---- where it was taken ---- */

static bool lives_there(const struct agent *agent, const struct id *sender, const struct id *node)
{
    struct id host;

    return agent_find_host(agent, sender, &host) && id_equal(&host, node);
}

void agent_receive_again(struct agent *agent, const struct event *event, struct effects *effects)
{
    const struct peck *peck = &event->peck.peck;
    const struct tray_entry *entry = tray_find(agent->tray, &peck->id);
    struct effect *effect;

    if (event->peck.cancelled && entry && lives_there(agent, &entry->from, &event->node)) {
        struct tray_entry copy = *entry;

        tray_remove(agent->tray, &copy.peck);
        agent_say_done(agent, &copy, PECK_CANCELLED, bytes_of(NULL, 0),
                       bytes_of_text("its sender took it back"), &event->at, 0, effects);
    }
    effect = effects_add(effects, EFFECT_SEND_RECEIPTS);
    effect->send_stored.node = event->node;
    effect->send_stored.peck = peck->id;
    effect->send_stored.partials = event->peck.partials;
}
