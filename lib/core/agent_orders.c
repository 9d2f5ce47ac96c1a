/* Orders: what programs of this host ask the node to do. Each is answered by exactly one
 * EFFECT_REPLY, some only once the turn's signatures are made. */
#include "agent_parts.h"
#include "tier.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>

static struct effect *reply(struct effects *effects, const struct order *order)
{
    struct effect *effect = effects_add(effects, EFFECT_REPLY);

    effect->reply.ticket = order->ticket;
    effect->reply.duckling = order->duckling;
    return effect;
}

/* `message` and `field` are string constants, or live in the effects' arena. */
static void refuse(struct effects *effects, const struct order *order, enum refusal_code code,
                   const char *message, const char *field)
{
    struct effect *effect = reply(effects, order);

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

static void hatch(struct agent *agent, const struct order *order, const struct moment *at,
                  struct effects *effects)
{
    struct hosted *hosted = arena_take(&effects->arena, sizeof *hosted);
    struct identity_key *key;
    struct bytes certificate;
    struct duckling *duckling;
    struct id certificate_id;
    struct effect *effect;
    const char *field, *wrong = judge_profile(&order->profile, &field);

    assert(hosted);
    if (!wrong && !order->profile.set_display_name) {
        wrong = "a display name is needed";
        field = "display_name";
    }
    if (wrong) {
        refuse(effects, order, REFUSAL_MALFORMED, wrong, field);
        return;
    }
    if (agent->hosted_count >= HOSTED_MAX) {
        refuse(effects, order, REFUSAL_BUSY, "this node hosts as many ducklings as it can", "");
        return;
    }
    memset(hosted, 0, sizeof *hosted);
    memcpy(hosted->seed, order->seeds[0], SEED_SIZE);
    memcpy(hosted->next_seed, order->seeds[1], SEED_SIZE);
    key = identity_key_new(hosted->seed);
    certificate = make_certificate(order, key, at, &effects->arena, &hosted->id, &certificate_id);
    identity_key_free(key);
    hosted->chain = chain_pack(&certificate, 1, &effects->arena);
    hosted->profile = order->profile;
    hosted->pulse_ms = at->wall_ms;
    duckling = agent_host(agent, hosted);
    assert(duckling);
    effects_add(effects, EFFECT_KEEP_DUCKLING)->duckling = hosted;
    agent->counters.birth_certificates++;
    agent->counters_changed = agent->metrics_changed = true;
    agent_publish_duckling(agent, duckling, at, effects);
    effect = reply(effects, order);
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
        refuse(effects, order, REFUSAL_MALFORMED, wrong, field);
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
    reply(effects, order);
}

/* A pulse is signed into the directory, but not oftener than once a minute. */
static void pulse(struct agent *agent, const struct order *order, struct duckling *duckling,
                  const struct moment *at, struct effects *effects)
{
    const struct directory_entry *entry =
        directory_find(agent->directory, &duckling->id, RECORD_DUCKLING);

    if (duckling->pulse_ms + ALIVE_WITHIN_MS <= at->wall_ms)
        agent->metrics_changed = true;
    duckling->pulse_ms = at->wall_ms;
    if (!entry || entry->version.ms + MINUTE_MS <= at->wall_ms) {
        agent_store_profile(duckling, effects);
        agent_publish_duckling(agent, duckling, at, effects);
    }
    reply(effects, order);
}

/* ---- pecks out ---- */

static void send_peck(struct agent *agent, const struct order *order, const struct moment *at,
                      struct effects *effects)
{
    struct order_refusal refusal = {.message = "", .field = ""};

    if (order->held.found) {
        struct effect *effect;

        if (!order->held.same_content) {
            refuse(effects, order, REFUSAL_KEY_REUSED,
                   "this idempotency key named another peck before", "idempotency_key");
            return;
        }
        effect = reply(effects, order);
        effect->reply.peck = order->held.peck;
        effect->reply.box = BOX_OUT;
        effect->reply.state = order->held.state;
        effect->reply.replayed = true;
        return;
    }
    agent_send_peck(agent, order, at, effects, &refusal);
    if (refusal.code == REFUSAL_NONE)
        return;
    refuse(effects, order, refusal.code, refusal.message, refusal.field);
    effects->list[effects->count - 1].reply.retry_after_ms = refusal.retry_after_ms;
}

static void cancel(struct agent *agent, const struct order *order, const struct moment *at,
                   struct effects *effects)
{
    const struct outbox_entry *entry = outbox_find(agent->outbox, &order->peck);
    struct outbox_entry copy;
    struct effect *effect;

    if (!entry) {
        refuse(effects, order, order->held.found ? REFUSAL_CONFLICT : REFUSAL_NOT_FOUND,
               order->held.found ? "this peck is done" : "no peck of this id was sent from here",
               "peck_id");
        return;
    }
    copy = *entry;
    if (!id_is_zero(&order->duckling) && !id_equal(&order->duckling, &copy.from)) {
        refuse(effects, order, REFUSAL_NOT_ALLOWED, "another duckling sent this peck", "peck_id");
        return;
    }
    if (copy.state != PECK_QUEUED) { /* once it left, its target may have it */
        agent_ask_to_cancel(agent, entry, at, effects);
        effect = reply(effects, order);
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
    effect = reply(effects, order);
    effect->reply.duckling = copy.from;
    effect->reply.peck = copy.peck;
    effect->reply.box = BOX_OUT;
    effect->reply.state = PECK_CANCELLED;
}

/* ---- pecks in ---- */

static void keep_place(const struct tray_entry *entry, const struct moment *at,
                       struct effects *effects)
{
    struct effect *effect = effects_add(effects, EFFECT_KEEP_STATE);

    effect->state.box = BOX_IN;
    effect->state.peck = entry->peck;
    effect->state.duckling = entry->to;
    effect->state.with = entry->from;
    effect->state.state = entry->state;
    effect->state.place = entry->place;
    effect->state.attempt = entry->attempt;
    effect->state.at_ms = at->wall_ms;
    if (entry->place == TRAY_LEASED)
        effect->state.lease_until_ms = at->wall_ms + (entry->lease_until_ms - at->now_ms);
}

static void hand_out(struct agent *agent, const struct order *order, struct duckling *duckling,
                     const struct moment *at, struct effects *effects)
{
    uint64_t lease_ms = order->lease_ms ? order->lease_ms : LEASE_MS;
    struct effect *effect;
    struct id *taken;
    size_t count = 0;

    if (lease_ms < LEASE_MIN_MS || lease_ms > LEASE_MAX_MS) {
        refuse(effects, order, REFUSAL_MALFORMED, "a lease is 1 s to 1 h", "lease_ms");
        return;
    }
    duckling->pulse_ms = at->wall_ms; /* who asks for work is alive */
    taken = arena_take(&effects->arena, (order->limit + 1) * sizeof *taken);
    assert(taken);
    while (count < order->limit) {
        const struct tray_entry *entry =
            tray_take(agent->tray, &duckling->id, &order->filter, at->now_ms + lease_ms);

        if (!entry)
            break;
        keep_place(entry, at, effects);
        taken[count++] = entry->peck;
    }
    effect = reply(effects, order);
    effect->reply.box = BOX_IN;
    effect->reply.taken = taken;
    effect->reply.taken_count = count;
}

/* The open peck that an order is about; NULL after a refusal was added. */
static const struct tray_entry *find_open(struct agent *agent, const struct order *order,
                                          const struct id *peck, struct effects *effects)
{
    const struct tray_entry *entry = tray_find(agent->tray, peck);

    if (!entry) {
        if (order->held.found)
            refuse(effects, order, REFUSAL_CONFLICT, "this peck is done", "peck_id");
        else
            refuse(effects, order, REFUSAL_NOT_FOUND, "no peck of this id was received here",
                   "peck_id");
        return NULL;
    }
    if (!id_is_zero(&order->duckling) && !id_equal(&order->duckling, &entry->to)) {
        refuse(effects, order, REFUSAL_NOT_ALLOWED, "this peck is for another duckling", "peck_id");
        return NULL;
    }
    return entry;
}

static void acknowledge(struct agent *agent, const struct order *order, const struct moment *at,
                        struct effects *effects)
{
    for (size_t i = 0; i < order->peck_count; i++) {
        const struct tray_entry *entry = find_open(agent, order, &order->pecks[i], effects);

        if (!entry)
            return;
        if (entry->place == TRAY_WAITING || entry->place == TRAY_READY) {
            refuse(effects, order, REFUSAL_CONFLICT,
                   "this peck is not handed out: its lease is over, or it waits for its owner",
                   "peck_ids");
            return;
        }
    }
    for (size_t i = 0; i < order->peck_count; i++) {
        if (!tray_acknowledge(agent->tray, &order->pecks[i]))
            continue; /* acknowledged before */
        keep_place(tray_find(agent->tray, &order->pecks[i]), at, effects);
    }
    reply(effects, order);
}

/* What is not leased any more is let be: its lease is over, or an answer was quicker. */
static void give_back(struct agent *agent, const struct order *order, const struct moment *at,
                      struct effects *effects)
{
    for (size_t i = 0; i < order->peck_count; i++) {
        const struct tray_entry *entry = tray_find(agent->tray, &order->pecks[i]);

        if (!entry || !id_equal(&entry->to, &order->duckling) ||
            !tray_give_back(agent->tray, &order->pecks[i]))
            continue;
        keep_place(entry, at, effects);
        agent_tell_ready(entry, at, effects);
    }
    reply(effects, order);
}

/* Whoever is told that it holds a peck no longer should stop working on it. */
static void renew(struct agent *agent, const struct order *order, const struct moment *at,
                  struct effects *effects)
{
    if (order->lease_ms < LEASE_MIN_MS || order->lease_ms > LEASE_MAX_MS) {
        refuse(effects, order, REFUSAL_MALFORMED, "a lease is 1 s to 1 h", "lease_ms");
        return;
    }
    for (size_t i = 0; i < order->peck_count; i++) {
        const struct tray_entry *entry = find_open(agent, order, &order->pecks[i], effects);

        if (!entry)
            return;
        if (entry->place != TRAY_LEASED) {
            refuse(effects, order, REFUSAL_CONFLICT, "this peck is under no lease", "peck_ids");
            return;
        }
    }
    for (size_t i = 0; i < order->peck_count; i++) {
        tray_renew(agent->tray, &order->pecks[i], at->now_ms + order->lease_ms);
        keep_place(tray_find(agent->tray, &order->pecks[i]), at, effects);
    }
    reply(effects, order);
}

/* What the answer costs the asker is said by whoever answers, and by nobody else. */
static bool judge_charge(const struct order *order, struct effects *effects)
{
    if (order->charge == 0 || (!order->failed && order->charge <= ANSWER_CHARGE_MAX))
        return true;
    refuse(effects, order, REFUSAL_MALFORMED,
           order->failed ? "what failed costs nothing" : "an answer costs at most 1000000000 units",
           "charge");
    return false;
}

static bool judge_words(const struct order *order, struct effects *effects)
{
    if (order->result.size > PECK_PAYLOAD_MAX) {
        refuse(effects, order, REFUSAL_TOO_LARGE, "a result is at most 262144 bytes", "result");
        return false;
    }
    if (order->result.size > 0 && !bytes_may_be_json(order->result)) {
        refuse(effects, order, REFUSAL_MALFORMED, "a result is JSON, in UTF-8", "result");
        return false;
    }
    if (order->problem.size > RECEIPT_PROBLEM_MAX || !bytes_are_text(order->problem, true)) {
        refuse(effects, order, REFUSAL_MALFORMED, "a reason is at most 1024 bytes of UTF-8",
               order->kind == ORDER_DENY ? "reason" : "problem");
        return false;
    }
    return true;
}

static void answer(struct agent *agent, const struct order *order, const struct moment *at,
                   struct effects *effects)
{
    const struct tray_entry *entry = find_open(agent, order, &order->peck, effects);
    struct unsigned_receipt *receipt;
    struct tray_entry copy;

    if (!entry || !judge_words(order, effects) || !judge_charge(order, effects))
        return;
    if (entry->state == PECK_PENDING) {
        refuse(effects, order, REFUSAL_CONFLICT,
               entry->kind == PECK_BOND_REQUEST ? "a bond request is approved or denied"
                                                : "this peck waits for its owner's approval",
               "peck_id");
        return;
    }
    copy = *entry;
    receipt = agent_say_done(agent, &copy, order->failed ? PECK_FAILED : PECK_ANSWERED,
                             order->failed ? bytes_of(NULL, 0) : order->result,
                             order->failed ? order->problem : bytes_of(NULL, 0), at, order->ticket,
                             effects);
    receipt->receipt.charged = order->charge;
    tray_remove(agent->tray, &copy.peck);
    if (order->charge > 0) {
        struct bond_action action = {
            .from = &copy.from, .to = &copy.to, .action = order->held.action};

        bonds_charge(agent->bonds, &action, order->charge, at->wall_ms);
    }
}

/* An agent that began anew, or whose reply was lost, asks how many there are and goes on from there. */
static bool judge_number(const struct order *order, const struct partials *partials,
                         struct effects *effects)
{
    char message[64];

    if (order->number == 0 || order->number == partials->count + 1)
        return true;
    snprintf(message, sizeof message, "the next partial answer is number %u", partials->count + 1);
    refuse(effects, order, REFUSAL_CONFLICT,
           (const char *)arena_copy(&effects->arena, bytes_of(message, strlen(message) + 1)).data,
           "number");
    return false;
}

static void answer_partly(struct agent *agent, const struct order *order, const struct moment *at,
                          struct effects *effects)
{
    const struct tray_entry *entry = find_open(agent, order, &order->peck, effects);
    enum partials_verdict room;

    if (!entry)
        return;
    if (entry->state == PECK_PENDING) {
        refuse(effects, order, REFUSAL_CONFLICT, "this peck waits for its owner's decision",
               "peck_id");
        return;
    }
    if (!judge_number(order, &entry->partials, effects))
        return;
    room = partials_judge(&entry->partials, order->result.size);
    if (room != PARTIALS_ROOM) {
        refuse(effects, order, room == PARTIALS_EMPTY ? REFUSAL_MALFORMED : REFUSAL_TOO_LARGE,
               partials_verdict_text(room), "result");
        return;
    }
    if (!bytes_may_be_json(order->result)) {
        refuse(effects, order, REFUSAL_MALFORMED, "a partial answer is JSON, in UTF-8", "result");
        return;
    }
    agent_say_partial(agent, entry, order, at);
}

/* ---- bonds ---- */

static struct bond_terms terms_of(const struct order *order)
{
    struct bond_terms terms = bond_terms_default();

    return bond_terms_change(&terms, &order->terms, order->terms_set);
}

static void make_bond(struct agent *agent, const struct order *order,
                      const struct tray_entry *entry, const struct moment *at,
                      struct effects *effects)
{
    struct unsigned_receipt *receipt;
    struct bond *bond = arena_take(&effects->arena, sizeof *bond);
    struct duckling *approver = agent_hosted(agent, &entry->to);
    struct tray_entry copy = *entry;
    struct effect *effect;

    assert(bond && approver);
    memset(bond, 0, sizeof *bond);
    bond->id = copy.peck;
    bond->requester = copy.from;
    bond->approver = copy.to;
    bond->made_ms = at->wall_ms;
    bond->not_after_ms = order->not_after_ms ? order->not_after_ms : at->wall_ms + BOND_LIFE_MS;
    bond->terms_ms = at->wall_ms;
    bond->terms = terms_of(order);
    for (size_t i = 0; i < order->scope_count && i < PECK_SCOPES_MAX; i++)
        bond->scopes[bond->scope_count++] = order->scopes[i];
    if (!bonds_add(agent->bonds, bond)) {
        refuse(effects, order, REFUSAL_BUSY, "this node holds as many bonds as it can", "");
        return;
    }
    receipt = agent_say_done(agent, &copy, PECK_APPROVED, bytes_of(NULL, 0), bytes_of(NULL, 0), at,
                             order->ticket, effects);
    agent_say_terms(receipt, bond);
    tray_remove(agent->tray, &copy.peck);
    effects_add(effects, EFFECT_KEEP_BOND)->bond = bond;
    agent->counters.connections++;
    agent->counters_changed = agent->metrics_changed = true;
    agent_publish_bonded(agent, approver, bond, at, effects);
    effect = effects_add(effects, EFFECT_BOND_CHANGED);
    effect->bond_changed.change = BOND_MADE;
    effect->bond_changed.bond = bond->id;
    effect->bond_changed.duckling = bond->approver;
    effect->bond_changed.with = bond->requester;
}

static bool judge_bond(const struct order *order, const struct moment *at, struct effects *effects)
{
    const char *field, *wrong = bond_terms_judge(&order->terms, &field);

    if (wrong) {
        refuse(effects, order, REFUSAL_MALFORMED, wrong, field);
        return false;
    }
    if (order->scope_count > PECK_SCOPES_MAX ||
        (order->scope_count == 0 && order->kind == ORDER_APPROVE)) {
        refuse(effects, order, REFUSAL_MALFORMED, "a bond has 1 to 16 scopes", "scopes");
        return false;
    }
    for (size_t i = 0; i < order->scope_count; i++)
        if (!peck_scope_is_valid(order->scopes[i])) {
            refuse(effects, order, REFUSAL_MALFORMED,
                   "a scope is a name like data.read, or data.*, or *", "scopes");
            return false;
        }
    if (order->not_after_ms > MUTE_LATEST_MS ||
        (order->not_after_ms && order->not_after_ms <= at->wall_ms)) {
        refuse(effects, order, REFUSAL_MALFORMED, "the bond would have ended already", "not_after");
        return false;
    }
    return true;
}

static void approve(struct agent *agent, const struct order *order, const struct moment *at,
                    struct effects *effects)
{
    const struct tray_entry *entry = find_open(agent, order, &order->peck, effects);
    struct tray_entry copy;
    struct id node;

    if (!entry)
        return;
    if (entry->place != TRAY_WAITING) {
        refuse(effects, order, REFUSAL_CONFLICT, "this peck does not wait for approval", "peck_id");
        return;
    }
    if (entry->kind == PECK_BOND_REQUEST) {
        if (judge_bond(order, at, effects))
            make_bond(agent, order, entry, at, effects);
        return;
    }
    if (order->scope_count > 0 || order->not_after_ms || order->terms_set) {
        refuse(effects, order, REFUSAL_MALFORMED,
               "an action is approved as it is: scopes, limits and an end belong to a bond",
               order->scope_count > 0 ? "scopes"
               : order->not_after_ms  ? "not_after"
                                      : "terms");
        return;
    }
    copy = *entry;
    copy.action = arena_copy(&effects->arena, entry->action); /* it goes with the entry */
    copy.state = PECK_APPROVED;
    copy.place = TRAY_READY;
    if (order->held.expires_ms > copy.expires_ms) /* now it waits as long as its sender allows */
        copy.expires_ms = order->held.expires_ms;
    tray_remove(agent->tray, &copy.peck);
    if (tray_add(agent->tray, &copy) != TRAY_TAKEN)
        assert(!"there is room: it was in there");
    if (!agent_find_host(agent, &copy.from, &node))
        node = agent->node;
    keep_place(&copy, at, effects);
    agent_say_taken(agent, &copy, &node, PECK_APPROVED, at, order->ticket, effects);
}

static void deny(struct agent *agent, const struct order *order, const struct moment *at,
                 struct effects *effects)
{
    const struct tray_entry *entry = find_open(agent, order, &order->peck, effects);
    struct tray_entry copy;

    if (!entry || !judge_words(order, effects))
        return;
    if (entry->place != TRAY_WAITING) {
        refuse(effects, order, REFUSAL_CONFLICT, "this peck does not wait for approval", "peck_id");
        return;
    }
    copy = *entry;
    if (agent_say_done(agent, &copy, PECK_DENIED, bytes_of(NULL, 0), order->problem, at,
                       order->ticket, effects))
        tray_remove(agent->tray, &copy.peck);
}

static void unpeck(struct agent *agent, const struct order *order, const struct moment *at,
                   struct effects *effects)
{
    struct id ended;

    if (agent_unpeck(agent, order, at, effects, &ended))
        reply(effects, order)->reply.bond = ended;
    else
        refuse(effects, order, REFUSAL_NOT_FOUND, "this duckling has no such bond", "bond_id");
}

/* NULL after a refusal was added. */
static const struct bond *find_own_bond(struct agent *agent, const struct order *order,
                                        struct effects *effects)
{
    const struct bond *bond = bonds_find(agent->bonds, &order->bond);
    bool is_named = !id_is_zero(&order->duckling);

    if (!bond || (is_named && !id_equal(&order->duckling, &bond->requester) &&
                  !id_equal(&order->duckling, &bond->approver))) {
        refuse(effects, order, REFUSAL_NOT_FOUND, "this duckling has no such bond", "bond_id");
        return NULL;
    }
    if (!agent_hosted(agent, &bond->approver) ||
        (is_named && !id_equal(&order->duckling, &bond->approver))) {
        refuse(effects, order, REFUSAL_NOT_ALLOWED,
               "the terms of a bond belong to whoever approved it", "bond_id");
        return NULL;
    }
    return bond;
}

static void change_bond(struct agent *agent, const struct order *order, const struct moment *at,
                        struct effects *effects)
{
    const struct bond *bond = find_own_bond(agent, order, effects);
    struct bond changed;
    struct effect *effect;

    if (!bond || !judge_bond(order, at, effects))
        return;
    changed = *bond;
    changed.terms = bond_terms_change(&bond->terms, &order->terms, order->terms_set);
    changed.terms_ms = at->wall_ms > bond->terms_ms ? at->wall_ms : bond->terms_ms + 1;
    if (order->not_after_ms)
        changed.not_after_ms = order->not_after_ms;
    if (order->scope_count > 0) {
        changed.scope_count = order->scope_count;
        memcpy(changed.scopes, order->scopes, order->scope_count * sizeof *order->scopes);
    }
    if (changed.not_after_ms <= changed.terms_ms) {
        refuse(effects, order, REFUSAL_MALFORMED, "the bond would have ended already", "not_after");
        return;
    }
    if (agent_change_bond(agent, order, &changed, at, effects))
        return; /* who ordered it hears when it is signed */
    effect = reply(effects, order);
    effect->reply.duckling = changed.approver;
    effect->reply.bond = changed.id;
}

/* ---- the rest ---- */

static void join(struct agent *agent, const struct order *order, struct effects *effects)
{
    if (order->address.size == 0 || order->address.size > ADDRESS_MAX) {
        refuse(effects, order, REFUSAL_MALFORMED, "an address is host:port", "address");
        return;
    }
    if (!agent_join(agent, order, effects)) {
        refuse(effects, order, REFUSAL_BUSY, "this node remembers as many nodes as it can", "");
        return;
    }
    reply(effects, order);
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
    reply(effects, order);
}

static void leave(struct agent *agent, const struct order *order, const struct moment *at,
                  struct effects *effects)
{
    agent_leave(agent, at, effects);
    reply(effects, order);
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
    effect = reply(effects, order);
    effect->reply.members = members;
    effect->reply.member_count = count;
}

static void vouch(struct agent *agent, const struct order *order, struct duckling *duckling,
                  const struct moment *at, struct effects *effects)
{
    const char *message = "", *field = "";
    enum refusal_code code = agent_vouch(agent, order, duckling, at, effects, &message, &field);

    if (code == REFUSAL_NONE)
        reply(effects, order);
    else
        refuse(effects, order, code, message, field);
}

static void trust(const struct agent *agent, const struct order *order, const struct moment *at,
                  struct effects *effects)
{
    const char *message = "", *field = "";
    enum refusal_code code = agent_trust(agent, order, at, effects, &message, &field);

    if (code == REFUSAL_NONE)
        reply(effects, order);
    else
        refuse(effects, order, code, message, field);
}

static void withdraw(struct agent *agent, const struct order *order, const struct moment *at,
                     struct effects *effects)
{
    const char *message = "", *field = "";
    enum refusal_code code = agent_withdraw(agent, order, at, effects, &message, &field);

    if (code == REFUSAL_NONE)
        reply(effects, order);
    else
        refuse(effects, order, code, message, field);
}

static void rotate(struct agent *agent, const struct order *order, const struct moment *at,
                   struct effects *effects)
{
    struct order_refusal refusal = {.message = "", .field = ""};
    struct bytes chain;
    struct effect *effect;

    if (!agent_rotate(agent, order, at, effects, &refusal, &chain)) {
        refuse(effects, order, refusal.code, refusal.message, refusal.field);
        return;
    }
    effect = reply(effects, order);
    effect->reply.chain = chain;
    effect->reply.certificate = chain_last(chain);
}

static void revoke(struct agent *agent, const struct order *order, const struct moment *at,
                   struct effects *effects)
{
    struct order_refusal refusal = {.message = "", .field = ""};

    if (agent_revoke(agent, order, at, effects, &refusal))
        reply(effects, order);
    else
        refuse(effects, order, refusal.code, refusal.message, refusal.field);
}

static void revoke_grant(struct agent *agent, const struct order *order, const struct moment *at,
                         struct effects *effects)
{
    const char *message;
    enum refusal_code code = agent_revoke_own(agent, order, at, effects, &message);

    if (code == REFUSAL_NONE)
        reply(effects, order);
    else
        refuse(effects, order, code, message, "grant");
}

static void bind(struct agent *agent, const struct order *order, const struct duckling *duckling,
                 const struct moment *at, struct effects *effects)
{
    struct order_refusal refusal = {.message = "", .field = ""};
    struct effect *effect;

    if (!agent_lobster(agent, order, duckling, at, effects, &refusal)) {
        refuse(effects, order, refusal.code, refusal.message, refusal.field);
        return;
    }
    effect = reply(effects, order);
    effect->reply.network = agent->settings.network;
    effect->reply.lobsters =
        agent_list_lobsters(agent, order, &effects->arena, &effect->reply.lobster_count);
}

/* Neither keeps nor sends: it only says. */
static void export(struct agent *agent, const struct order *order, struct effects *effects)
{
    struct order_refusal refusal = {.message = "", .field = ""};
    struct id certificate;
    struct effect *effect;
    struct bytes jws;

    if (!agent_export(agent, order, effects, &refusal, &jws, &certificate)) {
        refuse(effects, order, refusal.code, refusal.message, refusal.field);
        return;
    }
    effect = reply(effects, order);
    effect->reply.duckling = order->duckling;
    effect->reply.certificate = certificate;
    effect->reply.jws = jws;
}

static bool needs_duckling(enum order_kind kind)
{
    return kind == ORDER_VOUCH || kind == ORDER_PROFILE || kind == ORDER_TAKE ||
           kind == ORDER_PULSE || kind == ORDER_UNPECK || kind == ORDER_GIVE_BACK ||
           kind == ORDER_RENEW || kind == ORDER_REVOKE_GRANT;
}

void agent_take_order(struct agent *agent, const struct order *order, const struct moment *at,
                      struct effects *effects)
{
    struct duckling *duckling = agent_hosted(agent, &order->duckling);
    struct order_refusal refusal;

    if (!agent_may_speak(agent, order, &refusal)) {
        refuse(effects, order, refusal.code, refusal.message, refusal.field);
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
        refuse(effects, order, REFUSAL_NOT_HOSTED, "this duckling does not live on this node",
               "duckling");
        return;
    }
    if (duckling && agent_is_revoked(agent, &duckling->id)) {
        refuse(effects, order, REFUSAL_CONFLICT,
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
        hand_out(agent, order, duckling, at, effects);
        break;
    case ORDER_ACK:
        acknowledge(agent, order, at, effects);
        break;
    case ORDER_GIVE_BACK:
        give_back(agent, order, at, effects);
        break;
    case ORDER_RENEW:
        renew(agent, order, at, effects);
        break;
    case ORDER_ANSWER:
        answer(agent, order, at, effects);
        break;
    case ORDER_PARTIAL:
        answer_partly(agent, order, at, effects);
        break;
    case ORDER_APPROVE:
        approve(agent, order, at, effects);
        break;
    case ORDER_DENY:
        deny(agent, order, at, effects);
        break;
    case ORDER_CANCEL:
        cancel(agent, order, at, effects);
        break;
    case ORDER_UNPECK:
        unpeck(agent, order, at, effects);
        break;
    case ORDER_BOND:
        change_bond(agent, order, at, effects);
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
    case ORDER_ROTATE:
    case ORDER_REVOKE:
    case ORDER_EXPORT:
        break;
    }
}
