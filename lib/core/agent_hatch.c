/* Ducklings hatch here, with a key that is made here or with their own, and say who they are. */
#include "agent_orders.h"
#include "tier.h"

#include <assert.h>

/* NULL when the profile holds; else what is wrong, and in which member. */
static const char *judge_profile(const struct order_profile *profile, const char **field)
{
    *field = "display_name";
    if (profile->set_display_name &&
        (profile->display_name.size == 0 || profile->display_name.size > NAME_MAX_BYTES ||
         !bytes_are_display_name(profile->display_name)))
        return "a display name is 1 to 64 bytes of UTF-8, something visible among them, and "
               "nothing "
               "that hides or turns round";
    *field = "bio";
    if (profile->set_bio && (profile->bio.size > BIO_MAX || !bytes_are_text(profile->bio, true)))
        return "a bio is at most 1024 bytes of UTF-8";
    *field = "least_tier";
    if (profile->set_least_tier && profile->least_tier > TIER_MAX)
        return "tiers are 0 to 3";
    *field = "open_actions";
    if (profile->open_action_count > DUCKLING_OPEN_ACTIONS_MAX)
        return "at most 16 actions are open";
    for (size_t i = 0; profile->set_open_actions && i < profile->open_action_count; i++)
        if (!peck_scope_is_valid(profile->open_actions[i]))
            return "an open action is a name like data.read, or data.*, or *";
    *field = "capabilities";
    if (!profile->set_capabilities)
        return NULL;
    if (profile->capability_count > DUCKLING_CAPABILITIES_MAX)
        return "a duckling has at most 32 capabilities";
    for (size_t i = 0; i < profile->capability_count; i++)
        if (profile->capabilities[i].size == 0 || profile->capabilities[i].size > NAME_MAX_BYTES ||
            !bytes_are_name(profile->capabilities[i]))
            return "a capability is 1 to 64 of a-z, 0-9, '_', '.', '-'";
    return NULL;
}

static struct bytes make_certificate(const struct order *order, const struct identity_key *key,
                                     const struct moment *at, struct arena *arena,
                                     struct id *identity, struct id *certificate_id)
{
    struct identity_key *next = identity_key_new(order->seeds[1]);
    struct public_key next_public = identity_key_public(next);
    struct certificate_wish wish = {
        .kind = IDENTITY_DUCKLING,
        .display_name = order->profile.display_name,
        .issued_ms = at->wall_ms,
        .not_after_ms = at->wall_ms + CERTIFICATE_LIFE_MS,
        .next_key_hash = identity_key_hash(&next_public),
    };
    struct bytes certificate = certificate_make(&wish, key, arena, identity);

    identity_key_free(next);
    *certificate_id = *identity; /* certificate 0 makes the id, so both are of one hash */
    return certificate;
}

/* Its key and its next key are made here, and its certificate. */
static void make_hosted(const struct order *order, const struct moment *at, struct hosted *hosted,
                        struct id *certificate_id, struct arena *arena)
{
    struct identity_key *key = identity_key_new(order->seeds[0]);
    struct bytes certificate;

    memcpy(hosted->seed, order->seeds[0], SEED_SIZE);
    memcpy(hosted->next_seed, order->seeds[1], SEED_SIZE);
    certificate = make_certificate(order, key, at, arena, &hosted->id, certificate_id);
    identity_key_free(key);
    hosted->chain = chain_pack(&certificate, 1, arena);
}

static const char *judge_first(const struct chain *chain, const struct order *order,
                               const struct moment *at)
{
    const struct certificate *first = &chain->certificates[0];

    if (chain->kind != IDENTITY_DUCKLING)
        return "this certificate is not a duckling's";
    if (chain->count != 1)
        return "who hatches has one certificate";
    if (first->context.size > 0)
        return "a duckling's first certificate is for no context";
    if (!bytes_equal(first->display_name, order->profile.display_name))
        return "its certificate has another display name";
    if (first->issued_ms > at->wall_ms + CLOCK_SKEW_MAX_MS)
        return "this certificate is of the future: the clock that dated it is wrong";
    return NULL;
}

/* Anybody can bring a first certificate, also who stole a key that was retired since. What is known here of later ones
 * says who speaks. */
static struct bytes longest_known(const struct order *order, const struct chain *first,
                                  struct arena *arena, struct chain *longest)
{
    if (order->held.chain.size > 0 &&
        chain_open(order->held.chain, arena, longest) == CERTIFICATE_TAKEN &&
        id_equal(&longest->identity, &first->identity))
        return order->held.chain;
    *longest = *first;
    return order->chain;
}

/* Its certificate is brought along. It is its own proof: the key that it names has signed it. */
static bool take_hosted(const struct agent *agent, const struct order *order,
                        const struct moment *at, struct hosted *hosted, struct id *certificate_id,
                        struct arena *arena, struct order_refusal *refusal)
{
    struct chain first, longest;
    enum certificate_verdict verdict = chain_open(order->chain, arena, &first);

    *refusal = (struct order_refusal){.code = REFUSAL_MALFORMED, .field = "chain"};
    refusal->message = verdict == CERTIFICATE_TAKEN ? judge_first(&first, order, at)
                                                    : certificate_verdict_text(verdict);
    if (refusal->message)
        return false;
    hosted->chain = longest_known(order, &first, arena, &longest);
    if (longest.certificates[longest.count - 1].not_after_ms <= at->wall_ms) {
        refusal->message = "this certificate has ended";
        return false;
    }
    refusal->code = REFUSAL_CONFLICT;
    if (agent_is_revoked(agent, &first.identity))
        refusal->message = "it is revoked, for good";
    else if (agent_hosted(agent, &first.identity))
        refusal->message = "this duckling lives here already";
    if (refusal->message)
        return false;
    *certificate_id = hosted->id = first.identity;
    hosted->own_key = true;
    return true;
}

void order_hatch(struct agent *agent, const struct order *order, const struct moment *at,
                 struct effects *effects)
{
    struct hosted *hosted = arena_take(&effects->arena, sizeof *hosted);
    struct duckling *duckling;
    struct id certificate_id;
    struct effect *effect;
    struct order_refusal refusal;
    const char *field, *wrong = judge_profile(&order->profile, &field);

    assert(hosted);
    if (!wrong && !order->profile.set_display_name) {
        wrong = "a display name is needed";
        field = "display_name";
    }
    if (wrong) {
        order_refuse(effects, order, REFUSAL_MALFORMED, wrong, field);
        return;
    }
    if (agent->hosted_count >= HOSTED_MAX) {
        order_refuse(effects, order, REFUSAL_BUSY, "this node hosts as many ducklings as it can",
                     "");
        return;
    }
    memset(hosted, 0, sizeof *hosted);
    if (order->chain.size == 0)
        make_hosted(order, at, hosted, &certificate_id, &effects->arena);
    else if (!take_hosted(agent, order, at, hosted, &certificate_id, &effects->arena, &refusal)) {
        order_refuse(effects, order, refusal.code, refusal.message, refusal.field);
        return;
    }
    hosted->profile = order->profile;
    hosted->pulse_ms = at->wall_ms;
    duckling = agent_host(agent, hosted);
    assert(duckling);
    effects_add(effects, EFFECT_KEEP_DUCKLING)->duckling = hosted;
    agent->counters.birth_certificates++;
    agent->counters_changed = agent->metrics_changed = true;
    agent_publish_duckling(agent, duckling, at, effects);
    effect = order_reply(effects, order);
    effect->reply.duckling = hosted->id;
    effect->reply.certificate = certificate_id;
    effect->reply.chain = hosted->chain;
}

void agent_store_profile(struct duckling *duckling, struct effects *effects)
{
    struct hosted *hosted = arena_take(&effects->arena, sizeof *hosted);

    assert(hosted);
    memset(hosted, 0, sizeof *hosted);
    hosted->id = duckling->id;
    hosted->profile = duckling->profile;
    hosted->pulse_ms = duckling->pulse_ms;
    effects_add(effects, EFFECT_KEEP_PROFILE)->duckling = hosted;
}

void order_change_profile(struct agent *agent, const struct order *order, struct duckling *duckling,
                          const struct moment *at, struct effects *effects)
{
    struct order_profile merged = duckling->profile;
    const struct order_profile *wish = &order->profile;
    const char *field, *wrong = judge_profile(wish, &field);

    if (wrong) {
        order_refuse(effects, order, REFUSAL_MALFORMED, wrong, field);
        return;
    }
    if (wish->set_display_name)
        merged.display_name = wish->display_name;
    if (wish->set_bio)
        merged.bio = wish->bio;
    if (wish->set_accepts_pecks)
        merged.accepts_pecks = wish->accepts_pecks;
    if (wish->set_capabilities) {
        memcpy(merged.capabilities, wish->capabilities, sizeof merged.capabilities);
        merged.capability_count = wish->capability_count;
    }
    if (wish->set_least_tier)
        merged.least_tier = wish->least_tier;
    if (wish->set_open_actions) {
        memcpy(merged.open_actions, wish->open_actions, sizeof merged.open_actions);
        merged.open_action_count = wish->open_action_count;
    }
    agent_keep_profile(duckling, &merged);
    agent_store_profile(duckling, effects);
    if (!order->unsaid)
        agent_publish_duckling(agent, duckling, at, effects);
    order_reply(effects, order)->reply.waits_for = agent_wanted_record(duckling, RECORD_DUCKLING);
}

/* A pulse is signed into the directory, but not oftener than once a minute. */
void order_pulse(struct agent *agent, const struct order *order, struct duckling *duckling,
                 const struct moment *at, struct effects *effects)
{
    const struct directory_entry *entry =
        directory_find(agent->directory, &duckling->id, RECORD_DUCKLING);
    uint64_t said_ms = entry ? entry->version.ms : 0;

    if (duckling->pulse_ms + ALIVE_WITHIN_MS <= at->wall_ms)
        agent->metrics_changed = true;
    duckling->pulse_ms = at->wall_ms;
    if (said_ms < agent_entry_wanted_ms(duckling))
        said_ms = agent_entry_wanted_ms(duckling);
    if (said_ms + MINUTE_MS <= at->wall_ms) {
        agent_store_profile(duckling, effects);
        agent_publish_duckling(agent, duckling, at, effects);
    }
    order_reply(effects, order);
}
