/* Pecks into this node: agent_receive_peck judges one (default deny), the store keeps it, and the `taken` receipt that
 * agent_sign_receipts makes (agent_receipts.c) leaves only after that commit. What goes out: agent_pecks.c. */
#include "agent_parts.h"
#include "tier.h"

#include <stdio.h>

#define REASON_SIZE 256 /* bytes of a sentence, with NUL */

static void refuse(struct agent *agent, const struct event *received,
                   const struct peck_refusal *refusal, struct effects *effects)
{
    const struct id *peck = &received->peck.peck.id;
    char text[ID_TEXT_SIZE];
    struct event event = {.kind = EVENT_REFUSAL, .at = received->at, .node = agent->node};

    agent->pecks_refused++;
    agent_log(effects, LOG_INFO, "%s is refused: %s", id_text(ID_PECK, peck, text),
              refusal->reason);
    if (!id_equal(&received->node, &agent->node)) {
        agent_send(&received->node, FRAME_REFUSAL,
                   frame_pack_refusal(peck, refusal->code, refusal->reason, refusal->final,
                                      refusal->retry_after_ms, &effects->arena),
                   effects);
        return;
    }
    event.refusal.peck = *peck;
    event.refusal.code = bytes_of_text(refusal->code);
    event.refusal.reason = bytes_of_text(refusal->reason);
    event.refusal.final = refusal->final;
    event.refusal.retry_after_ms = refusal->retry_after_ms;
    agent_receive_refusal(agent, &event, effects);
}

/* Says so to its sender. True: for good, so it is over; false: it may come again. */
static bool say_refused(struct agent *agent, const struct event *event,
                        const struct peck_refusal *refusal, struct effects *effects)
{
    refuse(agent, event, refusal, effects);
    return refusal->final;
}

static struct peck_refusal for_good(const char *code, const char *reason)
{
    return (struct peck_refusal){.code = code, .reason = reason, .final = true};
}

bool agent_judges_by_tier(const struct agent *agent, const struct id *id)
{
    const struct duckling *duckling = agent_hosted(agent, id);

    return duckling &&
           (duckling->profile.least_tier > 0 || duckling->profile.open_action_count > 0);
}

static bool is_open(const struct duckling *target, struct bytes action)
{
    for (size_t i = 0; i < target->profile.open_action_count; i++)
        if (peck_scope_covers(target->profile.open_actions[i], action))
            return true;
    return false;
}

/* Default deny: only a bond that covers the action lets it run unasked, a grant that allows it, or the target's owner, who
 * opened it to all of a tier. */
static enum peck_state first_state(const struct agent *agent, const struct duckling *target,
                                   const struct peck *peck, const struct bond_decision *decision,
                                   bool is_granted, const struct sender_rank *rank)
{
    if (peck->kind != PECK_ACTION)
        return PECK_PENDING;
    if (decision->verdict == BOND_ADMITS || is_granted)
        return PECK_TAKEN;
    if (agent->settings.bond_own && agent_lives_here(agent, &peck->from))
        return PECK_TAKEN;
    if (rank->missing && rank->tier >= (int)target->profile.least_tier &&
        is_open(target, peck->action))
        return PECK_TAKEN;
    return PECK_PENDING;
}

static const char *tier_text(const struct duckling *target, const struct sender_rank *rank,
                             struct arena *arena)
{
    char *text = arena_take(arena, REASON_SIZE);

    snprintf(text, REASON_SIZE, "its target takes pecks from %s on; its sender is %s, and lacks %s",
             tier_name((int)target->profile.least_tier), tier_name(rank->tier),
             rank->missing ? rank->missing : "what would prove it");
    return text;
}

static struct tray_entry entry_of(const struct peck *peck, const struct context *context,
                                  enum peck_state state, const struct moment *at)
{
    struct tray_entry entry = {.peck = peck->id,
                               .hash = peck->hash,
                               .from = peck->from,
                               .to = peck->to,
                               .kind = peck->kind,
                               .action = peck->action,
                               .state = state,
                               .expires_ms = peck->expires_ms};

    entry.place = state == PECK_PENDING ? TRAY_WAITING : TRAY_READY;
    if (entry.place == TRAY_WAITING && entry.expires_ms > at->wall_ms + PECK_APPROVAL_MS)
        entry.expires_ms = at->wall_ms + PECK_APPROVAL_MS;
    if (context)
        entry.context = context->carrier;
    if (context && entry.place == TRAY_WAITING && entry.expires_ms > context->not_after_ms)
        entry.expires_ms = context->not_after_ms; /* nobody approves it later */
    return entry;
}

static void keep_received(const struct event *event, enum peck_state state, struct bytes thread,
                          struct effects *effects)
{
    struct effect *kept =
        agent_keep_peck(effects, BOX_IN, &event->peck.peck, state, event->at.wall_ms);

    kept->peck.thread = thread;
    kept->peck.wire = event->peck.wire;
    kept->peck.chain = event->peck.chain;
    kept->peck.context = event->peck.context;
}

/* Whoever names a grant that does not allow the action hears so at once: no owner is asked. */
static struct peck_refusal by_grant(enum grant_verdict verdict)
{
    if (verdict == GRANT_OK)
        return (struct peck_refusal){0};
    return (struct peck_refusal){.code = "grant_refused",
                                 .reason = grant_verdict_text(verdict),
                                 .final = verdict != GRANT_NO_ROOM};
}

/* Before anything is counted, or an owner asked: what its sender did not mean this key for is refused for good. */
static struct peck_refusal judge_context(const struct agent *agent, const struct event *event,
                                         struct arena *arena)
{
    const struct context *context = event->peck.context;
    const struct peck *peck = &event->peck.peck;
    enum context_verdict verdict = agent_judge_context(agent, context, peck, &event->at);

    if (verdict == CONTEXT_OK)
        return (struct peck_refusal){0};
    return for_good("context_refused", context_refusal_text(verdict, context, peck, arena));
}

/* The node answers it in its target's name; no agent is asked. */
static bool take_revocation(struct agent *agent, const struct event *event, struct effects *effects)
{
    const struct peck *peck = &event->peck.peck;
    struct tray_entry entry = entry_of(peck, NULL, PECK_TAKEN, &event->at);
    enum grant_verdict verdict = agent_judge_grant(agent, peck, &event->peck.grant, &event->at);
    struct peck_refusal refusal;

    if (verdict == GRANT_OK)
        verdict = agent_revoke_grant(agent, peck, event->peck.grant.grant, &event->at, effects);
    refusal = by_grant(verdict);
    if (refusal.code)
        return say_refused(agent, event, &refusal, effects);
    keep_received(event, PECK_TAKEN, agent_thread_of(peck, event->peck.thread), effects);
    agent_say_done(agent, &entry, PECK_ANSWERED, bytes_of_text("{\"revoked\":true}"),
                   bytes_of(NULL, 0), &event->at, 0, effects)
        ->node = event->node;
    return true;
}

/* What no bond, grant or owner lets in. `code` NULL: nothing of that kind. */
static struct peck_refusal judge_arrival(const struct agent *agent, const struct event *event,
                                         const struct duckling *target, struct arena *arena)
{
    const struct peck *peck = &event->peck.peck;
    const char *revoked;

    if (!target || !agent_lives_here(agent, &peck->to))
        return for_good("not_hosted_here", "its target does not live on this node");
    revoked = agent_revoked_text(agent, "its target", &peck->to, arena);
    if (!revoked)
        revoked = agent_revoked_text(agent, "its sender", &peck->from, arena);
    if (revoked)
        return for_good("revoked", revoked);
    if (event->peck.cancelled)
        return for_good("cancelled", "its sender took it back");
    if (target->outgrown)
        return for_good("retired_key", "its target's node has no key for it any more");
    if (event->peck.partials > 0)
        return for_good("answer_lost",
                        "its target's node was restored from a backup, and lost the answer that "
                        "it had begun to say");
    if (peck->expires_ms <= event->at.wall_ms)
        return for_good("expired", "its time is over");
    if (event->peck.retired &&
        !agent_still_says(agent, &peck->from, IDENTITY_DUCKLING, &event->node))
        return for_good("retired_key", "its sender's key was retired since");
    return (struct peck_refusal){0};
}

/* Who may not even ask the target's owner. */
static struct peck_refusal judge_asking(const struct event *event, const struct duckling *target,
                                        struct arena *arena)
{
    const struct sender_rank *rank = &event->peck.rank;

    if (target->profile.least_tier > 0 && rank->tier < (int)target->profile.least_tier)
        return for_good("tier_too_low", tier_text(target, rank, arena));
    if (!target->profile.accepts_pecks)
        return for_good("pecks_refused", "its target accepts no pecks");
    return (struct peck_refusal){0};
}

static struct peck_refusal find_room(struct agent *agent, const struct tray_entry *entry)
{
    enum tray_verdict room = tray_add(agent->tray, entry);

    if (room == TRAY_TAKEN)
        return (struct peck_refusal){0};
    return (struct peck_refusal){.code = "busy", .reason = tray_verdict_text(room)};
}

bool agent_receive_peck(struct agent *agent, const struct event *event, struct effects *effects)
{
    const struct peck *peck = &event->peck.peck;
    const struct moment *at = &event->at;
    struct duckling *target = agent_hosted(agent, &peck->to);
    struct bytes thread = agent_thread_of(peck, event->peck.thread);
    struct peck_refusal refusal = judge_arrival(agent, event, target, &effects->arena);
    struct bond_decision decision;
    struct tray_entry entry;
    bool is_granted;

    if (!refusal.code)
        refusal = judge_context(agent, event, &effects->arena);
    if (refusal.code)
        return say_refused(agent, event, &refusal, effects);
    if (agent_is_revocation(peck))
        return take_revocation(agent, event, effects);
    decision = agent_admit_action(agent, peck, thread, at, effects, &refusal);
    is_granted = decision.verdict == BOND_COVERS_NOT && peck->grant.size > 0;
    if (!refusal.code && is_granted)
        refusal = by_grant(agent_judge_grant(agent, peck, &event->peck.grant, at));
    if (refusal.code)
        return say_refused(agent, event, &refusal, effects);
    entry =
        entry_of(peck, event->peck.context,
                 first_state(agent, target, peck, &decision, is_granted, &event->peck.rank), at);
    if (entry.state == PECK_PENDING)
        refusal = judge_asking(event, target, &effects->arena);
    if (!refusal.code)
        refusal = find_room(agent, &entry);
    if (refusal.code)
        return say_refused(agent, event, &refusal, effects);
    if (decision.verdict == BOND_ADMITS)
        bonds_count_action(agent->bonds, &decision.bond->id, at->wall_ms);
    if (is_granted)
        agent_use_grant(agent, peck, event->peck.grant.grant, at, effects);
    agent_count_peck(agent, peck, thread, at, effects);
    keep_received(event, entry.state, thread, effects);
    agent->counters.pecks++;
    agent->counters_changed = agent->metrics_changed = true;
    agent_say_taken(agent, &entry, &event->node, entry.state, at, 0, effects);
    return true;
}
