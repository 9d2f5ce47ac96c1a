/* Revocation: an identity ends, for good. Its node says so in a record that outranks all others of its
 * owner (directory.h) and lives for a year. Whoever holds it takes nothing from its owner any more: no
 * records, no pecks, no link; and lets go of what is open with it. What was signed before stays provable.
 *
 * It fails closed: who has the live key can revoke, a thief too, and nobody can take it back. The owner whom
 * the live key was taken from has the next one. */
#include "agent_parts.h"

#include <stdio.h>

#define TEXT_SIZE (REVOCATION_REASON_MAX + 64)

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

const char *agent_revoked_text(const struct agent *agent, const char *who, const struct id *id,
                               struct arena *arena)
{
    const struct directory_entry *entry =
        agent_is_revoked(agent, id) ? directory_find(agent->directory, id, RECORD_REVOCATION)
                                    : NULL;
    struct revocation_content content = {0};
    char *text = agent_is_revoked(agent, id) ? arena_take(arena, TEXT_SIZE) : NULL;
    struct arena scratch;

    if (!text)
        return NULL;
    if (!entry) {
        snprintf(text, TEXT_SIZE, "%s is in quarantine: it has two certificates of one number",
                 who);
        return text;
    }
    arena_init(&scratch, PARSE_BUDGET(RECORD_SIZE_MAX));
    if (revocation_content_parse(directory_entry_content(entry), &scratch, &content) != RECORD_OK)
        content.reason = bytes_of(NULL, 0);
    snprintf(text, TEXT_SIZE, "%s is revoked%s%.*s", who, content.reason.size > 0 ? ": " : "",
             (int)content.reason.size, (const char *)content.reason.data);
    arena_free(&scratch);
    return text;
}

/* ---- said here ---- */

/* Whose certificate it is, of those that live here; zero: nobody's. */
static struct id owner_of(const struct agent *agent, const struct id *certificate, bool *speaks)
{
    struct id owner = {0};

    for (size_t i = 0; i <= agent->hosted_slots && id_is_zero(&owner); i++) {
        const struct duckling *duckling = i < agent->hosted_slots ? agent->hosted[i] : NULL;
        const struct id *identity = duckling ? &duckling->id : &agent->node;
        struct bytes packed = duckling ? duckling->chain : agent->settings.node_chain;
        struct arena arena;
        struct chain chain;

        if (!duckling && i < agent->hosted_slots)
            continue;
        arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
        if (chain_read(packed, identity, &arena, &chain) == CERTIFICATE_TAKEN)
            for (size_t j = 0; j < chain.count; j++) {
                struct id id = id_of(&chain.certificates[j].hash);

                if (!id_equal(&id, certificate))
                    continue;
                owner = *identity;
                *speaks = j + 1 == chain.count;
            }
        arena_free(&arena);
    }
    return owner;
}

static bool find_identity(const struct agent *agent, const struct order *order,
                          struct order_refusal *refusal, struct id *identity)
{
    bool speaks = true;

    *identity = order->duckling;
    if (!id_is_zero(&order->certificate)) {
        *identity = owner_of(agent, &order->certificate, &speaks);
        if (id_is_zero(identity))
            return refuse(refusal, REFUSAL_NOT_FOUND, "nobody who lives here has this certificate",
                          "identity");
    }
    return speaks || refuse(refusal, REFUSAL_CONFLICT,
                            "this certificate was replaced: its key speaks no more", "identity");
}

static bool judge(const struct agent *agent, const struct order *order, const struct id *identity,
                  struct order_refusal *refusal)
{
    if (id_is_zero(&order->bond) && !id_equal(identity, &agent->node) &&
        !agent_hosted(agent, identity))
        return refuse(refusal, REFUSAL_NOT_HOSTED, "this duckling does not live on this node",
                      "duckling");
    if (order->reason.size > REVOCATION_REASON_MAX || !bytes_are_text(order->reason, false))
        return refuse(refusal, REFUSAL_MALFORMED, "a reason is text of at most 256 bytes",
                      "reason");
    return true;
}

/* By the next key: a thief of the live one cannot, and the owner can. It promises none after it. */
static bool take_over(struct agent *agent, const struct order *order, const struct id *identity,
                      const struct moment *at, struct effects *effects,
                      struct order_refusal *refusal)
{
    struct duckling *duckling = agent_hosted(agent, identity);

    if (!order->by_next_key)
        return true;
    if (!duckling)
        return refuse(refusal, REFUSAL_NOT_ALLOWED,
                      "the node's next key takes over first: rotate, then revoke", "seed");
    if (!duckling->key)
        return refuse(refusal, REFUSAL_OWN_KEY,
                      "this duckling keeps its own key: hand in its longer chain, then revoke",
                      "seed");
    return agent_take_over(agent, order, duckling, at, effects, refusal);
}

bool agent_revoke(struct agent *agent, const struct order *order, const struct moment *at,
                  struct effects *effects, struct order_refusal *refusal, struct id *waits_for)
{
    struct revocation_content content = {.reason = order->reason, .revoked_at_ms = at->wall_ms};
    struct statement statement = {.kind = RECORD_REVOCATION, .life_ms = REVOCATION_LIFE_MAX_MS};
    struct id identity;

    *waits_for = (struct id){0};
    if (agent_holds_context(agent, &order->certificate))
        return agent_revoke_context(agent, order, at, effects, refusal);
    if (!id_is_zero(&order->certificate) && !id_is_zero(&order->duckling))
        return refuse(refusal, REFUSAL_NOT_FOUND, "this duckling has no context of this id",
                      "identity");
    if (!find_identity(agent, order, refusal, &identity) ||
        !judge(agent, order, &identity, refusal))
        return false;
    if (!id_is_zero(&order->bond))
        return agent_revoke_bond(agent, &order->bond, order->reason, at, effects) ||
               refuse(refusal, REFUSAL_NOT_FOUND, "nobody who lives here has this bond",
                      "identity");
    if (agent_is_revoked(agent, &identity))
        return true; /* the same order again, after its answer was lost */
    if (!take_over(agent, order, &identity, at, effects, refusal))
        return false;
    content.subject = identity;
    statement.by = agent_hosted(agent, &identity);
    statement.content = revocation_content_pack(&content, &effects->arena);
    agent_publish(agent, &statement, at, effects, NULL);
    if (statement.by && !statement.by->key) { /* when it is signed */
        *waits_for = agent_wanted_record(statement.by, RECORD_REVOCATION);
        return !id_is_zero(waits_for) ||
               refuse(refusal, REFUSAL_BUSY, "too much waits for this duckling's signature already",
                      "duckling");
    }
    if (!agent_is_revoked(agent, &identity))
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

/* Names of pecks or bonds: to end them changes the tables that are looked through. */
struct ends {
    const struct agent *agent;
    const struct id *owner; /* NULL: anybody who is revoked */
    struct id *names;
    size_t count, capacity;
};

static bool is_over(const struct ends *ends, const struct id *one, const struct id *other)
{
    if (ends->owner)
        return id_equal(one, ends->owner) || id_equal(other, ends->owner);
    return agent_is_revoked(ends->agent, one) || agent_is_revoked(ends->agent, other);
}

/* Or the context that it was signed under is. */
static bool is_peck_over(const struct ends *ends, const struct id *from, const struct id *to,
                         const struct id *context)
{
    return is_over(ends, from, to) || (!id_is_zero(context) && is_over(ends, context, context));
}

static void name(struct ends *ends, const struct id *name)
{
    ends->names = agent_grow(ends->names, ends->count, &ends->capacity, sizeof *ends->names);
    ends->names[ends->count++] = *name;
}

static void name_sent(void *context, const struct outbox_entry *entry)
{
    if (is_peck_over(context, &entry->from, &entry->to, &entry->context))
        name(context, &entry->peck);
}

static void name_received(void *context, const struct tray_entry *entry)
{
    if (is_peck_over(context, &entry->from, &entry->to, &entry->context))
        name(context, &entry->peck);
}

static void name_bond(void *context, const struct bond *bond)
{
    if (is_over(context, &bond->requester, &bond->approver))
        name(context, &bond->id);
}

static struct bytes why(const struct agent *agent, const struct id *from, const struct id *to,
                        const struct id *context, struct effects *effects)
{
    const char *text = agent_revoked_text(agent, "its target", to, &effects->arena);

    if (!text)
        text = agent_revoked_text(agent, "its sender", from, &effects->arena);
    if (!text)
        text = agent_revoked_text(agent, "its context", context, &effects->arena);
    return bytes_of_text(text ? text : "");
}

static void end_pecks_out(struct agent *agent, struct ends *ends, const struct moment *at,
                          struct effects *effects)
{
    agent_sign_pecks(agent, at,
                     effects); /* those that this very turn makes are kept, and then end */
    ends->count = 0;
    if (!ends->owner || agent_hosted(agent, ends->owner) || agent_holds_carrier(agent, ends->owner))
        outbox_each(agent->outbox, name_sent, ends);
    else
        outbox_each_to(agent->outbox, ends->owner, name_sent, ends);
    for (size_t i = 0; i < ends->count; i++) {
        const struct outbox_entry *entry = outbox_find(agent->outbox, &ends->names[i]);
        struct ending ending = {.state = PECK_FAILED, .refusal = bytes_of_text("revoked")};

        ending.problem = why(agent, &entry->from, &entry->to, &entry->context, effects);
        agent_end_sent(agent, entry, &ending, at, effects);
    }
}

/* The receipts of one that lives here are its last words. */
static void end_pecks_in(struct agent *agent, struct ends *ends, const struct moment *at,
                         struct effects *effects)
{
    ends->count = 0;
    tray_each_of(agent->tray, ends->owner, name_received, ends);
    for (size_t i = 0; i < ends->count; i++) {
        struct tray_entry copy = *tray_find(agent->tray, &ends->names[i]);

        agent_say_done(agent, &copy, PECK_FAILED, bytes_of(NULL, 0),
                       why(agent, &copy.from, &copy.to, &copy.context, effects), at, 0, effects);
        tray_remove(agent->tray, &copy.peck);
    }
}

static void end_bonds(struct agent *agent, struct ends *ends, const struct moment *at,
                      struct effects *effects)
{
    ends->count = 0;
    if (bonds_count(agent->bonds) > 0)
        bonds_each_of(agent->bonds, ends->owner, name_bond, ends);
    for (size_t i = 0; i < ends->count; i++) {
        const struct bond *bond = bonds_find(agent->bonds, &ends->names[i]);
        const char *text =
            agent_revoked_text(agent, "its approver", &bond->approver, &effects->arena);

        if (!text)
            text = agent_revoked_text(agent, "its requester", &bond->requester, &effects->arena);
        agent_revoke_bond(agent, &ends->names[i], bytes_of_text(text ? text : ""), at, effects);
    }
}

static void end_all(struct agent *agent, struct ends *ends, const struct moment *at,
                    struct effects *effects)
{
    end_pecks_out(agent, ends, at, effects);
    end_pecks_in(agent, ends, at, effects);
    end_bonds(agent, ends, at, effects);
    memory_give_back(ends->names);
}

void agent_heed_revocation(struct agent *agent, const struct id *revoked, const struct moment *at,
                           struct effects *effects)
{
    struct ends ends = {.agent = agent, .owner = revoked};

    agent_heed_context_end(agent, revoked, at, effects);
    end_all(agent, &ends, at, effects);
    if (agent_hosted(agent, revoked))
        agent_forget_wanted(agent, agent_hosted(agent, revoked));
    if (gossip_is_linked(agent->gossip, revoked))
        agent_cut_off(revoked, "it is revoked", effects);
}

void agent_heed_contradiction(struct agent *agent, const struct id *contradicted,
                              const struct moment *at, struct effects *effects)
{
    bool is_here = id_equal(contradicted, &agent->node) || agent_hosted(agent, contradicted);
    char text[ID_TEXT_SIZE];

    agent_log(
        effects, is_here ? LOG_ERROR : LOG_WARNING,
        "%s has two certificates of one number: it is in quarantine%s",
        id_text(id_equal(contradicted, &agent->node) ? ID_NODE : ID_DUCKLING, contradicted, text),
        is_here ? ", though it lives here: somebody has its next key" : "");
    agent_heed_revocation(agent, contradicted, at, effects);
}

/* The directory is kept apart from pecks and bonds, and may be a turn ahead of them. */
void agent_heed_revocations(struct agent *agent, const struct moment *at, struct effects *effects)
{
    struct ends ends = {.agent = agent};

    if (agent->looks_for_revoked && directory_count_kind(agent->directory, RECORD_REVOCATION) > 0)
        end_all(agent, &ends, at, effects);
    agent->looks_for_revoked = false;
}
