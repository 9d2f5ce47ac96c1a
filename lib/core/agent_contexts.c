/* Contexts of the ducklings that live here, and pecks that come under those of others: see context.h.
 *
 * The node makes a context's key, and keeps it as it keeps the duckling's. What ends one is said by
 * its own key, as a revocation like another: so nothing of this has to be told apart by who passes it on. */
#include "agent_parts.h"

#include <assert.h>
#include <sodium.h>

static bool refuse(struct order_refusal *refusal, enum refusal_code code, const char *message,
                   const char *field)
{
    *refusal = (struct order_refusal){.code = code, .message = message, .field = field};
    return false;
}

/* ---- held ---- */

static bool is_over(const struct held_context *held, uint64_t wall_ms)
{
    return held->revoked_ms > 0 || held->context.not_after_ms < wall_ms;
}

static void free_held(struct held_context *held)
{
    identity_key_free(held->key);
    arena_free(&held->memory);
    memory_give_back(held);
}

void agent_free_contexts(struct duckling *duckling)
{
    for (size_t i = 0; i < duckling->context_count; i++)
        free_held(duckling->contexts[i]);
    duckling->context_count = 0;
}

/* Its bytes were read before, so they are again. */
static void fill(struct held_context *held, struct bytes wire)
{
    enum context_verdict verdict;

    arena_free(&held->memory);
    arena_init(&held->memory, PARSE_BUDGET(CONTEXT_SIZE_MAX));
    verdict = context_read(arena_copy(&held->memory, wire), &held->memory, &held->context);
    assert(verdict == CONTEXT_OK);
}

static void hold(struct agent *agent, struct duckling *duckling, const struct kept_context *kept)
{
    struct held_context *held = memory_take(sizeof *held);

    fill(held, kept->wire);
    held->revoked_ms = kept->revoked_ms;
    if (kept->revoked_ms == 0)
        held->key = identity_key_new(kept->seed);
    duckling->contexts[duckling->context_count++] = held;
    agent->context_count++;
}

void agent_restore_context(struct agent *agent, const struct kept_context *kept)
{
    struct duckling *duckling = agent_hosted(agent, &kept->duckling);
    struct context context;
    struct arena arena;
    bool is_read;

    arena_init(&arena, PARSE_BUDGET(CONTEXT_SIZE_MAX));
    is_read = context_read(kept->wire, &arena, &context) == CONTEXT_OK;
    arena_free(&arena);
    if (is_read && duckling && duckling->context_count < CONTEXTS_PER_DUCKLING_MAX)
        hold(agent, duckling, kept);
}

const struct context *agent_copy_context(const struct context *context, struct arena *arena)
{
    struct context *copy = arena_take(arena, sizeof *copy);
    enum context_verdict verdict;

    assert(copy);
    verdict = context_read(arena_copy(arena, context->wire), arena, copy);
    assert(verdict == CONTEXT_OK);
    return copy;
}

static struct kept_context *keep(const struct duckling *duckling, const struct held_context *held,
                                 const char *why, struct effects *effects)
{
    struct kept_context *kept = arena_take(&effects->arena, sizeof *kept);

    assert(kept);
    *kept = (struct kept_context){.duckling = duckling->id,
                                  .carrier = held->context.carrier,
                                  .id = held->context.id,
                                  .wire = arena_copy(&effects->arena, held->context.wire),
                                  .revoked_ms = held->revoked_ms,
                                  .why = why};
    if (held->key)
        identity_key_seed(held->key, kept->seed);
    return kept;
}

/* ---- issued ---- */

static bool has_room(const struct agent *agent, const struct duckling *duckling)
{
    size_t most = CONTEXTS_MAX;

    if (duckling->context_count > 0)
        most -= CONTEXTS_RESERVE(CONTEXTS_MAX);
    return duckling->context_count < CONTEXTS_PER_DUCKLING_MAX && agent->context_count < most;
}

/* The oldest that is over makes room. What this turn pecked under it is signed first. */
static bool make_room(struct agent *agent, struct duckling *duckling, const struct moment *at,
                      struct effects *effects)
{
    size_t i = 0;

    if (has_room(agent, duckling))
        return true;
    while (i < duckling->context_count && !is_over(duckling->contexts[i], at->wall_ms))
        i++;
    if (i == duckling->context_count)
        return false;
    agent_sign_pecks(agent, at, effects);
    effects_add(effects, EFFECT_DROP_CONTEXT)->context =
        keep(duckling, duckling->contexts[i], NULL, effects);
    free_held(duckling->contexts[i]);
    duckling->context_count--;
    agent->context_count--;
    memmove(duckling->contexts + i, duckling->contexts + i + 1,
            (duckling->context_count - i) * sizeof *duckling->contexts);
    return true;
}

static struct held_context *find_named(const struct duckling *duckling, struct bytes name,
                                       uint64_t wall_ms)
{
    for (size_t i = duckling->context_count; i-- > 0;)
        if (bytes_equal(duckling->contexts[i]->context.name, name) &&
            !is_over(duckling->contexts[i], wall_ms))
            return duckling->contexts[i];
    return NULL;
}

static bool looks_like_an_id(struct bytes name)
{
    return name.size >= 4 && memcmp(name.data, "crt_", 4) == 0;
}

static bool judge(const struct order *order, const struct duckling *duckling,
                  const struct moment *at, struct order_refusal *refusal)
{
    if (order->context.size == 0 || order->context.size > NAME_MAX_BYTES ||
        !bytes_are_name(order->context) || looks_like_an_id(order->context))
        return refuse(
            refusal, REFUSAL_MALFORMED,
            "a context is named by 1 to 64 of a-z, 0-9, '_', '.', '-', and not like an id",
            "context");
    if (order->scope_count == 0 || order->scope_count > CERTIFICATE_SCOPES_MAX)
        return refuse(refusal, REFUSAL_MALFORMED, "a context has 1 to 16 scopes", "scopes");
    for (size_t i = 0; i < order->scope_count; i++)
        if (!peck_scope_is_valid(order->scopes[i]))
            return refuse(refusal, REFUSAL_MALFORMED,
                          "a scope is a name like data.read, or data.*, or *", "scopes");
    if (order->not_after_ms > 0 && (order->not_after_ms <= at->wall_ms ||
                                    order->not_after_ms - at->wall_ms > CONTEXT_LIFE_MAX_MS))
        return refuse(refusal, REFUSAL_MALFORMED, "a context ends within 364 days, and not yet",
                      "not_after");
    if (!duckling->key)
        return refuse(refusal, REFUSAL_OWN_KEY,
                      "only the duckling itself can sign this, and its key is not here",
                      "duckling");
    if (find_named(duckling, order->context, at->wall_ms))
        return refuse(refusal, REFUSAL_CONFLICT,
                      "this duckling has a context of this name: revoke it first", "context");
    return true;
}

/* Of the newest certificate of its chain: its hash, and when it was issued. */
static uint64_t last_certificate(const struct duckling *duckling, struct hash *hash)
{
    struct arena arena;
    struct chain chain;
    uint64_t issued_ms;
    bool holds;

    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX));
    holds = chain_read(duckling->chain, &duckling->id, &arena, &chain) == CERTIFICATE_TAKEN;
    assert(holds);
    *hash = chain.certificates[chain.count - 1].hash;
    issued_ms = chain.certificates[chain.count - 1].issued_ms;
    arena_free(&arena);
    return issued_ms;
}

static enum context_verdict sign(const struct duckling *duckling, struct context_wish *wish,
                                 const struct moment *at, struct arena *arena, struct bytes *wire)
{
    uint64_t from_ms = last_certificate(duckling, &wish->certificate);

    wish->identity = duckling->id;
    wish->issued_ms = at->wall_ms > from_ms ? at->wall_ms : from_ms;
    if (wish->not_after_ms == 0)
        wish->not_after_ms = wish->issued_ms + CONTEXT_LIFE_MS;
    return context_make(wish, duckling->key, arena, wire);
}

bool agent_issue_context(struct agent *agent, const struct order *order, struct duckling *duckling,
                         const struct moment *at, struct effects *effects,
                         struct order_refusal *refusal, struct bytes *wire, struct id *id)
{
    struct context_wish wish = {.name = order->context,
                                .scopes = order->scopes,
                                .scope_count = order->scope_count,
                                .not_after_ms = order->not_after_ms};
    struct kept_context kept = {.duckling = duckling->id};
    struct identity_key *key;
    enum context_verdict verdict;

    if (!judge(order, duckling, at, refusal))
        return false;
    if (!make_room(agent, duckling, at, effects))
        return refuse(refusal, REFUSAL_BUSY,
                      duckling->context_count < CONTEXTS_PER_DUCKLING_MAX
                          ? "the ducklings of this node have as many contexts as it can keep"
                          : "this duckling has 16 contexts that are not over",
                      "context");
    key = identity_key_new(order->seeds[0]);
    wish.public_key = identity_key_public(key);
    identity_key_free(key);
    verdict = sign(duckling, &wish, at, &effects->arena, wire);
    if (verdict != CONTEXT_OK) /* its main key was dated behind the end that is asked for */
        return refuse(refusal, REFUSAL_MALFORMED, context_verdict_text(verdict), "not_after");
    memcpy(kept.seed, order->seeds[0], SEED_SIZE);
    kept.wire = *wire;
    hold(agent, duckling, &kept);
    sodium_memzero(kept.seed, sizeof kept.seed);
    *id = duckling->contexts[duckling->context_count - 1]->context.id;
    effects_add(effects, EFFECT_KEEP_CONTEXT)->context =
        keep(duckling, duckling->contexts[duckling->context_count - 1], "issued", effects);
    return true;
}

void agent_renew_contexts(struct agent *agent, struct duckling *duckling, const struct moment *at,
                          struct effects *effects)
{
    char text[ID_TEXT_SIZE];

    for (size_t i = 0; i < duckling->context_count; i++) {
        struct held_context *held = duckling->contexts[i];
        struct context_wish wish = {.name = held->context.name,
                                    .public_key = held->context.public_key,
                                    .scopes = held->context.scopes,
                                    .scope_count = held->context.scope_count,
                                    .not_after_ms = held->context.not_after_ms};
        struct bytes wire;

        if (is_over(held, at->wall_ms) || !duckling->key)
            continue;
        agent->key_is_new = true; /* what is pecked under it waits until it is kept */
        if (sign(duckling, &wish, at, &effects->arena, &wire) != CONTEXT_OK)
            continue; /* it ends before the new key begins */
        fill(held, wire);
        effects_add(effects, EFFECT_KEEP_CONTEXT)->context =
            keep(duckling, held, "issued anew", effects);
        agent_log(effects, LOG_INFO, "the context %.*s is issued anew: %s",
                  (int)held->context.name.size, (const char *)held->context.name.data,
                  id_text(ID_CERTIFICATE, &held->context.id, text));
    }
}

/* ---- ended ---- */

static struct held_context *find_any(const struct agent *agent,
                                     bool (*is_it)(const struct context *context,
                                                   const struct id *id),
                                     const struct id *id, struct duckling **owner)
{
    for (size_t i = 0; agent->context_count > 0 && i < agent->hosted_slots; i++)
        for (size_t j = 0; agent->hosted[i] && j < agent->hosted[i]->context_count; j++)
            if (is_it(&agent->hosted[i]->contexts[j]->context, id)) {
                *owner = agent->hosted[i];
                return agent->hosted[i]->contexts[j];
            }
    return NULL;
}

static bool is_named(const struct context *context, const struct id *id)
{
    return id_equal(&context->id, id);
}

static bool is_carried_by(const struct context *context, const struct id *id)
{
    return id_equal(&context->carrier, id);
}

bool agent_holds_context(const struct agent *agent, const struct id *id)
{
    struct duckling *owner;

    return !id_is_zero(id) && find_any(agent, is_named, id, &owner);
}

bool agent_holds_carrier(const struct agent *agent, const struct id *carrier)
{
    struct duckling *owner;

    return find_any(agent, is_carried_by, carrier, &owner) != NULL;
}

static void offer_end(struct agent *agent, const struct held_context *held, struct bytes wire,
                      struct bytes chain, const struct moment *at, struct effects *effects)
{
    struct offered_record offered = {.wire = wire, .chain = chain};
    struct envelope envelope;
    bool is_read =
        envelope_parse(wire, ENVELOPE_RECORD, &effects->arena, &envelope) == ENVELOPE_TAKEN &&
        record_parse(envelope.body, &effects->arena, &offered.record) == RECORD_OK;

    assert(is_read && id_equal(&offered.record.owner, &held->context.carrier));
    agent_take_own(agent, &offered, at, effects);
}

bool agent_revoke_context(struct agent *agent, const struct order *order, const struct moment *at,
                          struct effects *effects, struct order_refusal *refusal)
{
    struct duckling *owner = NULL;
    struct held_context *held = find_any(agent, is_named, &order->certificate, &owner);
    struct id carrier = held->context.carrier;
    struct bytes wire, chain;

    if (!id_is_zero(&order->duckling) && !id_equal(&order->duckling, &owner->id))
        return refuse(refusal, REFUSAL_NOT_FOUND, "this duckling has no context of this id",
                      "identity");
    if (order->reason.size > REVOCATION_REASON_MAX || !bytes_are_text(order->reason, false))
        return refuse(refusal, REFUSAL_MALFORMED, "a reason is text of at most 256 bytes",
                      "reason");
    if (agent_is_revoked(agent, &carrier) || held->revoked_ms > 0)
        return true; /* the same order again, after its answer was lost */
    context_revoke(&held->context, held->key, agent->settings.network, order->reason, at->wall_ms,
                   &effects->arena, &wire, &chain);
    assert(wire.data);
    offer_end(agent, held, wire, chain, at, effects);
    return agent_is_revoked(agent, &carrier) ||
           refuse(refusal, REFUSAL_BUSY, "the directory holds as many revocations as it may",
                  "identity");
}

/* By whomever it was said: who has the key can. */
void agent_heed_context_end(struct agent *agent, const struct id *carrier, const struct moment *at,
                            struct effects *effects)
{
    struct duckling *owner = NULL;
    struct held_context *held = find_any(agent, is_carried_by, carrier, &owner);

    if (!held || held->revoked_ms > 0)
        return;
    agent_sign_pecks(agent, at, effects); /* what this turn pecked under it */
    held->revoked_ms = at->wall_ms;
    identity_key_free(held->key);
    held->key = NULL;
    effects_add(effects, EFFECT_KEEP_CONTEXT)->context = keep(owner, held, "revoked", effects);
}

/* ---- pecked under ---- */

enum context_verdict agent_judge_context(const struct agent *agent, const struct context *context,
                                         const struct peck *peck, const struct moment *at)
{
    if (!context)
        return CONTEXT_OK;
    if (agent_is_revoked(agent, &context->carrier))
        return CONTEXT_REVOKED;
    return context_judge(context, peck, at->wall_ms);
}

static const struct held_context *find_wanted(const struct duckling *duckling, struct bytes wanted,
                                              uint64_t wall_ms)
{
    struct held_context *named = find_named(duckling, wanted, wall_ms);

    if (named)
        return named;
    for (size_t i = duckling->context_count; i-- > 0;)
        if (context_is_meant(&duckling->contexts[i]->context, wanted))
            return duckling->contexts[i];
    return NULL;
}

bool agent_find_context(const struct agent *agent, const struct order *order,
                        const struct peck *peck, const struct moment *at, struct effects *effects,
                        const struct held_context **under, struct order_refusal *refusal)
{
    const struct duckling *duckling = agent_hosted(agent, &peck->from);
    const struct held_context *held;
    enum context_verdict verdict;

    *under = NULL;
    if (order->context.size == 0)
        return true;
    held = duckling ? find_wanted(duckling, order->context, at->wall_ms) : NULL;
    if (!held)
        return refuse(refusal, REFUSAL_NOT_FOUND, "this duckling has no context of this name or id",
                      "context");
    verdict = held->revoked_ms > 0 ? CONTEXT_REVOKED
                                   : agent_judge_context(agent, &held->context, peck, at);
    if (verdict != CONTEXT_OK)
        return refuse(refusal, REFUSAL_CONTEXT,
                      context_refusal_text(verdict, &held->context, peck, &effects->arena),
                      "context");
    *under = held;
    return true;
}
