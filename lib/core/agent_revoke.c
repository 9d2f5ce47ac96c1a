/* Revocation: an identity ends, for good. Its node says so in a record that outranks all others of its
 * owner (directory.h) and lives for a year. Whoever holds it takes nothing from its owner any more: no
 * records, no pecks, no link; and lets go of what is open with it. What was signed before stays provable.
 *
 * It fails closed: who has the live key can revoke, a thief too, and nobody can take it back. */
#include "agent_parts.h"

static bool refuse(struct order_refusal *refusal, enum refusal_code code, const char *message,
                   const char *field)
{
    *refusal = (struct order_refusal){.code = code, .message = message, .field = field};
    return false;
}

bool agent_is_revoked(const struct agent *agent, const struct id *identity)
{
    return directory_revoked(agent->directory, identity);
}

/* ---- said here ---- */

static bool judge(const struct agent *agent, const struct order *order,
                  struct order_refusal *refusal)
{
    if (!id_equal(&order->duckling, &agent->node) && !agent_hosted(agent, &order->duckling))
        return refuse(refusal, REFUSAL_NOT_HOSTED, "this duckling does not live on this node",
                      "duckling");
    if (order->reason.size > REVOCATION_REASON_MAX || !bytes_are_text(order->reason, false))
        return refuse(refusal, REFUSAL_MALFORMED, "a reason is text of at most 256 bytes",
                      "reason");
    return true;
}

bool agent_revoke(struct agent *agent, const struct order *order, const struct moment *at,
                  struct effects *effects, struct order_refusal *refusal)
{
    struct revocation_content content = {
        .subject = order->duckling, .reason = order->reason, .revoked_at_ms = at->wall_ms};
    struct statement statement = {
        .by = agent_hosted(agent, &order->duckling),
        .kind = RECORD_REVOCATION,
        .life_ms = REVOCATION_LIFE_MAX_MS,
    };

    if (!judge(agent, order, refusal))
        return false;
    if (agent_is_revoked(agent, &order->duckling))
        return true; /* the same order again, after its answer was lost */
    statement.content = revocation_content_pack(&content, &effects->arena);
    agent_publish(agent, &statement, at, effects, NULL);
    if (!agent_is_revoked(agent, &order->duckling))
        return refuse(refusal, REFUSAL_BUSY, "the directory holds as many revocations as it may",
                      "duckling");
    return true;
}

/* ---- kept ---- */

void agent_restore_revocation(struct agent *agent, const struct offered_record *offered)
{
    struct offered_record *lost;

    if (agent_is_revoked(agent, &offered->record.owner))
        return;
    agent->lost_revocations =
        agent_grow(agent->lost_revocations, agent->lost_revocation_count,
                   &agent->lost_revocation_capacity, sizeof *agent->lost_revocations);
    lost = &agent->lost_revocations[agent->lost_revocation_count++];
    *lost = *offered;
    lost->wire = arena_copy(&agent->memory, offered->wire);
    lost->chain = arena_copy(&agent->memory, offered->chain);
    lost->record.network = arena_copy(&agent->memory, offered->record.network);
    lost->record.key = bytes_of(NULL, 0);
    lost->record.content = arena_copy(&agent->memory, offered->record.content);
}

void agent_say_lost_revocations(struct agent *agent, const struct moment *at,
                                struct effects *effects)
{
    char text[ID_TEXT_SIZE];

    for (size_t i = 0; i < agent->lost_revocation_count; i++) {
        agent_log(effects, LOG_WARNING, "the directory had lost that %s is revoked",
                  id_text(id_equal(&agent->lost_revocations[i].record.owner, &agent->node)
                              ? ID_NODE
                              : ID_DUCKLING,
                          &agent->lost_revocations[i].record.owner, text));
        agent_take_own(agent, &agent->lost_revocations[i], at, effects);
    }
    agent->lost_revocation_count = 0;
}

/* ---- heard ---- */

static void end_pecks_out(struct agent *agent, const struct id *revoked, const struct moment *at,
                          struct effects *effects)
{
    const struct outbox_entry *entry;

    agent_sign_pecks(agent, at,
                     effects); /* those that this very turn makes are kept, and then end */
    while ((entry = outbox_of(agent->outbox, revoked))) {
        struct ending ending = {
            .state = PECK_FAILED,
            .problem = bytes_of_text(id_equal(&entry->to, revoked) ? "its target is revoked"
                                                                   : "its sender is revoked"),
            .refusal = bytes_of_text("revoked"),
        };

        agent_end_sent(agent, entry, &ending, at, effects);
    }
}

static void end_pecks_in(struct agent *agent, const struct id *revoked, const struct moment *at,
                         struct effects *effects)
{
    const struct tray_entry *entry;

    while ((entry = tray_of(agent->tray, revoked))) {
        struct tray_entry copy = *entry;

        agent_say_done(agent, &copy, PECK_FAILED, bytes_of(NULL, 0),
                       bytes_of_text(id_equal(&copy.to, revoked) ? "its target is revoked"
                                                                 : "its sender is revoked"),
                       at, 0, effects);
        tray_remove(agent->tray, &copy.peck);
    }
}

void agent_hang_up_revoked(const struct id *node, struct effects *effects)
{
    struct effect *effect = effects_add(effects, EFFECT_HANG_UP);

    effect->hang_up.node = *node;
    effect->hang_up.reason = "it is revoked";
}

void agent_heed_revocation(struct agent *agent, const struct id *revoked, const struct moment *at,
                           struct effects *effects)
{
    end_pecks_out(agent, revoked, at, effects);
    end_pecks_in(agent, revoked, at, effects);
    agent_end_bonds_of(agent, revoked, effects);
    if (gossip_is_linked(agent->gossip, revoked))
        agent_hang_up_revoked(revoked, effects);
}
