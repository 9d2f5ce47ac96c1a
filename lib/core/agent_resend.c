/* What time does to pecks: those that are due go out again, those whose time is over end, and a lease that ended
 * makes one ready for its agent again. */
#include "agent_parts.h"

static void note_sent(struct agent *agent, const struct outbox_entry *entry,
                      const struct moment *at, struct effects *effects)
{
    struct effect *effect;

    if (entry->state != PECK_QUEUED)
        return;
    effect = effects_add(effects, EFFECT_KEEP_STATE);
    effect->state.box = BOX_OUT;
    effect->state.peck = entry->peck;
    effect->state.duckling = entry->from;
    effect->state.with = entry->to;
    effect->state.state = PECK_SENT;
    effect->state.attempt = entry->attempts + 1;
    effect->state.at_ms = at->wall_ms;
    outbox_set_state(agent->outbox, &entry->peck, PECK_SENT);
    agent_tell_changed(effects, BOX_OUT, &entry->from, &entry->to, &entry->peck, PECK_SENT,
                       at->wall_ms);
}

static void resend(struct agent *agent, const struct outbox_entry *entry, const struct moment *at,
                   struct effects *effects)
{
    struct outbox_entry copy = *entry;
    struct id host;

    outbox_sent(agent->outbox, &copy.peck, at->now_ms);
    if (!agent_find_host(agent, &copy.to, &host))
        return;
    if (!id_equal(&host, &agent->node)) {
        gossip_want(agent->gossip, &host, at->now_ms);
        if (!gossip_is_linked(agent->gossip, &host)) {
            if (agent_deposit(agent, &copy, &host, at, effects))
                note_sent(agent, &copy, at, effects);
            return;
        }
    }
    note_sent(agent, &copy, at, effects);
    struct effect *effect = effects_add(effects, EFFECT_SEND_PECK);

    effect->send_stored.node = host;
    effect->send_stored.peck = copy.peck;
    effect->send_stored.partials = copy.partials.count;
    effect->send_stored.cancelled = copy.cancelling;
}

static void expire_received(struct agent *agent, const struct tray_entry *entry,
                            const struct moment *at, struct effects *effects)
{
    struct tray_entry copy = *entry;
    const char *why = copy.place == TRAY_WAITING ? "its owner did not decide in time"
                                                 : "its agent did not answer in time";

    agent_say_done(agent, &copy, PECK_EXPIRED, bytes_of(NULL, 0), bytes_of_text(why), at, 0,
                   effects);
    tray_remove(agent->tray, &copy.peck);
}

void agent_resend_and_expire(struct agent *agent, const struct moment *at, struct effects *effects)
{
    const struct ending expired = {
        .state = PECK_EXPIRED,
        .problem = bytes_of_text("no final receipt came before its time was over")};
    const struct outbox_entry *sent;
    const struct tray_entry *received;

    while ((sent = outbox_poll_expired(agent->outbox, at->wall_ms)))
        agent_end_sent(agent, sent, &expired, at, effects);
    agent->brought = 0;
    for (int i = 0; i < RESENDS_PER_TURN_MAX && agent->brought < DEPOSITS_PER_TURN_MAX &&
                    (sent = outbox_poll_due(agent->outbox, at->now_ms));
         i++)
        resend(agent, sent, at, effects);
    while ((received = tray_poll_expired(agent->tray, at->wall_ms)))
        expire_received(agent, received, at, effects);
    while ((received = tray_poll_lease_over(agent->tray, at->now_ms)))
        agent_tell_ready(received, at, effects);
}
