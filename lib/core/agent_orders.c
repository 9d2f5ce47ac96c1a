/* Orders: what programs of this host ask the node to do. Each is answered by exactly one
 * EFFECT_REPLY, some only once the turn's signatures are made. */
#include "agent_orders.h"
#include "tier.h"

#include <assert.h>
#include <sodium.h>

struct effect *order_reply(struct effects *effects, const struct order *order)
{
    struct effect *effect = effects_add(effects, EFFECT_REPLY);

    effect->reply.ticket = order->ticket;
    effect->reply.duckling = order->duckling;
    return effect;
}

void order_refuse(struct effects *effects, const struct order *order, enum refusal_code code,
                  const char *message, const char *field)
{
    struct effect *effect = order_reply(effects, order);

    effect->reply.code = code;
    effect->reply.message = message;
    effect->reply.field = field;
}

/* ---- identities ---- */

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

/* Its certificate is brought along. It is its own proof: the key that it names has signed it. */
static bool take_hosted(const struct agent *agent, const struct order *order,
                        const struct moment *at, struct hosted *hosted, struct id *certificate_id,
                        struct arena *arena, struct order_refusal *refusal)
{
    enum certificate_verdict verdict;
    struct chain chain;

    *refusal = (struct order_refusal){.code = REFUSAL_MALFORMED, .field = "chain"};
    verdict = chain_open(order->chain, arena, &chain);
    if (verdict != CERTIFICATE_TAKEN)
        refusal->message = certificate_verdict_text(verdict);
    else if (chain.kind != IDENTITY_DUCKLING)
        refusal->message = "this certificate is not a duckling's";
    else if (chain.count != 1)
        refusal->message = "who hatches has one certificate";
    else if (chain.certificates[0].context.size > 0)
        refusal->message = "a duckling's first certificate is for no context";
    else if (!bytes_equal(chain.certificates[0].display_name, order->profile.display_name))
        refusal->message = "its certificate has another display name";
    else if (chain.certificates[0].issued_ms > at->wall_ms + CLOCK_SKEW_MAX_MS)
        refusal->message = "this certificate is of the future: the clock that dated it is wrong";
    else if (chain.certificates[0].not_after_ms <= at->wall_ms)
        refusal->message = "this certificate has ended";
    else if (agent_is_revoked(agent, &chain.identity)) {
        refusal->code = REFUSAL_CONFLICT;
        refusal->message = "it is revoked, for good";
    } else if (agent_hosted(agent, &chain.identity)) {
        refusal->code = REFUSAL_CONFLICT;
        refusal->message = "this duckling lives here already";
    } else {
        *certificate_id = hosted->id = chain.identity;
        hosted->chain = order->chain;
        hosted->own_key = true;
        return true;
    }
    return false;
}

static void hatch(struct agent *agent, const struct order *order, const struct moment *at,
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

static void change_profile(struct agent *agent, const struct order *order,
                           struct duckling *duckling, const struct moment *at,
                           struct effects *effects)
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
    agent_publish_duckling(agent, duckling, at, effects);
    order_reply(effects, order);
}

/* A pulse is signed into the directory, but not oftener than once a minute. */
static void pulse(struct agent *agent, const struct order *order, struct duckling *duckling,
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

/* ---- pecks out ---- */

static void send_peck(struct agent *agent, const struct order *order, const struct moment *at,
                      struct effects *effects)
{
    struct order_refusal refusal = {.message = "", .field = ""};

    if (order->held.found) {
        struct effect *effect;

        if (!order->held.same_content) {
            order_refuse(effects, order, REFUSAL_KEY_REUSED,
                         "this idempotency key named another peck before", "idempotency_key");
            return;
        }
        effect = order_reply(effects, order);
        effect->reply.peck = order->held.peck;
        effect->reply.box = BOX_OUT;
        effect->reply.state = order->held.state;
        effect->reply.replayed = true;
        return;
    }
    agent_send_peck(agent, order, at, effects, &refusal);
    if (refusal.code == REFUSAL_NONE)
        return;
    order_refuse(effects, order, refusal.code, refusal.message, refusal.field);
    effects->list[effects->count - 1].reply.retry_after_ms = refusal.retry_after_ms;
}

static void cancel(struct agent *agent, const struct order *order, const struct moment *at,
                   struct effects *effects)
{
    const struct outbox_entry *entry = outbox_find(agent->outbox, &order->peck);
    struct outbox_entry copy;
    struct effect *effect;

    if (!entry) {
        order_refuse(effects, order, order->held.found ? REFUSAL_CONFLICT : REFUSAL_NOT_FOUND,
                     order->held.found ? "this peck is done"
                                       : "no peck of this id was sent from here",
                     "peck_id");
        return;
    }
    copy = *entry;
    if (!id_is_zero(&order->duckling) && !id_equal(&order->duckling, &copy.from)) {
        order_refuse(effects, order, REFUSAL_NOT_ALLOWED, "another duckling sent this peck",
                     "peck_id");
        return;
    }
    if (copy.state != PECK_QUEUED) { /* once it left, its target may have it */
        agent_ask_to_cancel(agent, entry, at, effects);
        effect = order_reply(effects, order);
        effect->reply.duckling = copy.from;
        effect->reply.peck = copy.peck;
        effect->reply.box = BOX_OUT;
        effect->reply.state = copy.state;
        return;
    }
    outbox_remove(agent->outbox, &copy.peck);
    effect = effects_add(effects, EFFECT_KEEP_STATE);
    effect->state.box = BOX_OUT;
    effect->state.peck = copy.peck;
    effect->state.duckling = copy.from;
    effect->state.with = copy.to;
    effect->state.state = PECK_CANCELLED;
    effect->state.at_ms = at->wall_ms;
    agent_tell_changed(effects, BOX_OUT, &copy.from, &copy.to, &copy.peck, PECK_CANCELLED,
                       at->wall_ms);
    effect = order_reply(effects, order);
    effect->reply.duckling = copy.from;
    effect->reply.peck = copy.peck;
    effect->reply.box = BOX_OUT;
    effect->reply.state = PECK_CANCELLED;
}

/* ---- the rest ---- */

static void join(struct agent *agent, const struct order *order, struct effects *effects)
{
    if (order->address.size == 0 || order->address.size > ADDRESS_MAX) {
        order_refuse(effects, order, REFUSAL_MALFORMED, "an address is host:port", "address");
        return;
    }
    if (!agent_join(agent, order, effects)) {
        order_refuse(effects, order, REFUSAL_BUSY, "this node remembers as many nodes as it can",
                     "");
        return;
    }
    order_reply(effects, order);
}

static void count(struct agent *agent, const struct order *order, struct effects *effects)
{
    struct metrics_content *counters = &agent->counters;

    if (order->eggs < 0 && (uint64_t)-order->eggs > counters->eggs)
        counters->eggs = 0;
    else
        counters->eggs += (uint64_t)order->eggs;
    counters->pageviews += order->pageviews;
    agent->counters_changed = agent->metrics_changed = true;
    order_reply(effects, order);
}

static void leave(struct agent *agent, const struct order *order, const struct moment *at,
                  struct effects *effects)
{
    agent_leave(agent, at, effects);
    order_reply(effects, order);
    effects_add(effects, EFFECT_STOP);
}

static void list_members(const struct agent *agent, const struct order *order,
                         const struct moment *at, struct effects *effects)
{
    size_t count = gossip_count(agent->gossip);
    size_t max = order->limit && order->limit < count ? order->limit : count;
    struct agent_member *members = arena_take(&effects->arena, (max + 1) * sizeof *members);
    struct effect *effect;

    assert(members);
    count = agent_members(agent, at, members, max);
    effect = order_reply(effects, order);
    effect->reply.members = members;
    effect->reply.member_count = count;
}

static void vouch(struct agent *agent, const struct order *order, struct duckling *duckling,
                  const struct moment *at, struct effects *effects)
{
    const char *message = "", *field = "";
    enum refusal_code code = agent_vouch(agent, order, duckling, at, effects, &message, &field);

    if (code == REFUSAL_NONE)
        order_reply(effects, order);
    else
        order_refuse(effects, order, code, message, field);
}

static void trust(const struct agent *agent, const struct order *order, const struct moment *at,
                  struct effects *effects)
{
    const char *message = "", *field = "";
    enum refusal_code code = agent_trust(agent, order, at, effects, &message, &field);

    if (code == REFUSAL_NONE)
        order_reply(effects, order);
    else
        order_refuse(effects, order, code, message, field);
}

static void withdraw(struct agent *agent, const struct order *order, const struct moment *at,
                     struct effects *effects)
{
    const char *message = "", *field = "";
    enum refusal_code code = agent_withdraw(agent, order, at, effects, &message, &field);

    if (code == REFUSAL_NONE)
        order_reply(effects, order);
    else
        order_refuse(effects, order, code, message, field);
}

static void rotate(struct agent *agent, const struct order *order, const struct moment *at,
                   struct effects *effects)
{
    struct order_refusal refusal = {.message = "", .field = ""};
    struct bytes chain;
    struct effect *effect;

    if (!agent_rotate(agent, order, at, effects, &refusal, &chain)) {
        order_refuse(effects, order, refusal.code, refusal.message, refusal.field);
        return;
    }
    effect = order_reply(effects, order);
    effect->reply.chain = chain;
    effect->reply.certificate = chain_last(chain);
}

static void revoke(struct agent *agent, const struct order *order, const struct moment *at,
                   struct effects *effects)
{
    struct order_refusal refusal = {.message = "", .field = ""};

    if (agent_revoke(agent, order, at, effects, &refusal))
        order_reply(effects, order);
    else
        order_refuse(effects, order, refusal.code, refusal.message, refusal.field);
}

static void revoke_grant(struct agent *agent, const struct order *order, const struct moment *at,
                         struct effects *effects)
{
    const char *message;
    enum refusal_code code = agent_revoke_own(agent, order, at, effects, &message);

    if (code == REFUSAL_NONE)
        order_reply(effects, order);
    else
        order_refuse(effects, order, code, message, "grant");
}

static void bind(struct agent *agent, const struct order *order, const struct duckling *duckling,
                 const struct moment *at, struct effects *effects)
{
    struct order_refusal refusal = {.message = "", .field = ""};
    struct effect *effect;

    if (!agent_lobster(agent, order, duckling, at, effects, &refusal)) {
        order_refuse(effects, order, refusal.code, refusal.message, refusal.field);
        return;
    }
    effect = order_reply(effects, order);
    effect->reply.network = agent->settings.network;
    effect->reply.lobsters =
        agent_list_lobsters(agent, order, &effects->arena, &effect->reply.lobster_count);
}

/* Neither keeps nor sends: it only signs. */
static void grant(struct agent *agent, const struct order *order, const struct duckling *duckling,
                  const struct moment *at, struct effects *effects)
{
    const char *message = "";
    struct effect *effect;
    struct bytes wire;

    if (!duckling->key) {
        order_refuse(effects, order, REFUSAL_OWN_KEY,
                     "this duckling keeps its own key, and makes grants with it where that is",
                     "duckling");
        return;
    }
    if (!agent_make_grant(agent, order, duckling, at, effects, &wire, &message)) {
        order_refuse(effects, order, REFUSAL_GRANT, message, "grant");
        return;
    }
    effect = order_reply(effects, order);
    effect->reply.grant = wire;
}

static void issue(struct agent *agent, const struct order *order, struct duckling *duckling,
                  const struct moment *at, struct effects *effects)
{
    struct order_refusal refusal = {.message = "", .field = ""};
    struct effect *effect;
    struct bytes wire;
    struct id id;

    if (!agent_issue_context(agent, order, duckling, at, effects, &refusal, &wire, &id)) {
        order_refuse(effects, order, refusal.code, refusal.message, refusal.field);
        return;
    }
    effect = order_reply(effects, order);
    effect->reply.certificate = id;
    effect->reply.context = wire;
}

/* Neither keeps nor sends: it only says. */
static void export(struct agent *agent, const struct order *order, struct effects *effects)
{
    struct order_refusal refusal = {.message = "", .field = ""};
    struct id certificate;
    struct effect *effect;
    struct bytes jws;

    if (!agent_export(agent, order, effects, &refusal, &jws, &certificate)) {
        order_refuse(effects, order, refusal.code, refusal.message, refusal.field);
        return;
    }
    effect = order_reply(effects, order);
    effect->reply.duckling = order->duckling;
    effect->reply.certificate = certificate;
    effect->reply.jws = jws;
}

static bool needs_duckling(enum order_kind kind)
{
    return kind == ORDER_VOUCH || kind == ORDER_PROFILE || kind == ORDER_TAKE ||
           kind == ORDER_PULSE || kind == ORDER_UNPECK || kind == ORDER_GIVE_BACK ||
           kind == ORDER_RENEW || kind == ORDER_REVOKE_GRANT || kind == ORDER_MAKE_GRANT ||
           kind == ORDER_WANTED || kind == ORDER_SIGN || kind == ORDER_ISSUE;
}

void agent_take_order(struct agent *agent, const struct order *order, const struct moment *at,
                      struct effects *effects)
{
    struct duckling *duckling = agent_hosted(agent, &order->duckling);
    struct order_refusal refusal;

    if (!agent_may_speak(agent, order, &refusal)) {
        order_refuse(effects, order, refusal.code, refusal.message, refusal.field);
        return;
    }
    if (order->kind == ORDER_ROTATE) { /* a node can be meant, too */
        rotate(agent, order, at, effects);
        return;
    }
    if (order->kind == ORDER_EXPORT) {
        export(agent, order, effects);
        return;
    }
    if (order->kind == ORDER_REVOKE) {
        revoke(agent, order, at, effects);
        return;
    }
    if (!duckling && (needs_duckling(order->kind) || !id_is_zero(&order->duckling))) {
        order_refuse(effects, order, REFUSAL_NOT_HOSTED, "this duckling does not live on this node",
                     "duckling");
        return;
    }
    if (duckling && agent_is_revoked(agent, &duckling->id)) {
        order_refuse(effects, order, REFUSAL_CONFLICT,
                     agent_revoked_text(agent, "this duckling", &duckling->id, &effects->arena),
                     "duckling");
        return;
    }
    switch (order->kind) {
    case ORDER_HATCH:
        hatch(agent, order, at, effects);
        break;
    case ORDER_PROFILE:
        change_profile(agent, order, duckling, at, effects);
        break;
    case ORDER_SEND:
        send_peck(agent, order, at, effects);
        break;
    case ORDER_TAKE:
        order_hand_out(agent, order, duckling, at, effects);
        break;
    case ORDER_ACK:
        order_acknowledge(agent, order, at, effects);
        break;
    case ORDER_GIVE_BACK:
        order_give_back(agent, order, at, effects);
        break;
    case ORDER_RENEW:
        order_renew(agent, order, at, effects);
        break;
    case ORDER_ANSWER:
        order_answer(agent, order, at, effects);
        break;
    case ORDER_PARTIAL:
        order_answer_partly(agent, order, at, effects);
        break;
    case ORDER_APPROVE:
        order_approve(agent, order, at, effects);
        break;
    case ORDER_DENY:
        order_deny(agent, order, at, effects);
        break;
    case ORDER_CANCEL:
        cancel(agent, order, at, effects);
        break;
    case ORDER_UNPECK:
        order_unpeck(agent, order, at, effects);
        break;
    case ORDER_BOND:
        order_change_bond(agent, order, at, effects);
        break;
    case ORDER_REVOKE_GRANT:
        revoke_grant(agent, order, at, effects);
        break;
    case ORDER_JOIN:
        join(agent, order, effects);
        break;
    case ORDER_COUNT:
        count(agent, order, effects);
        break;
    case ORDER_PULSE:
        pulse(agent, order, duckling, at, effects);
        break;
    case ORDER_VOUCH:
        vouch(agent, order, duckling, at, effects);
        break;
    case ORDER_TRUST:
        trust(agent, order, at, effects);
        break;
    case ORDER_WITHDRAW:
        withdraw(agent, order, at, effects);
        break;
    case ORDER_LEAVE:
        leave(agent, order, at, effects);
        break;
    case ORDER_STOP:
        agent_stop(agent, at, effects);
        break;
    case ORDER_MEMBERS:
        list_members(agent, order, at, effects);
        break;
    case ORDER_LOBSTER:
        bind(agent, order, duckling, at, effects);
        break;
    case ORDER_WANTED:
        order_list_wanted(agent, order, duckling, effects);
        break;
    case ORDER_SIGN:
        order_sign(agent, order, duckling, at, effects);
        break;
    case ORDER_MAKE_GRANT:
        grant(agent, order, duckling, at, effects);
        break;
    case ORDER_ISSUE:
        issue(agent, order, duckling, at, effects);
        break;
    case ORDER_ROTATE:
    case ORDER_REVOKE:
    case ORDER_EXPORT:
        break;
    }
}
