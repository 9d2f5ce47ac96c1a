/* Orders: what programs of this host ask the node to do. Each is answered by exactly one
 * EFFECT_REPLY, some only once the turn's signatures are made. */
#include "agent_orders.h"

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
    struct id waits_for;

    if (agent_revoke(agent, order, at, effects, &refusal, &waits_for))
        order_reply(effects, order)->reply.waits_for = waits_for;
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

/* Has its effect here at once, and needs no signature. */
static bool counts_unsigned(const struct order *order)
{
    return order->kind == ORDER_UNPECK || order->kind == ORDER_REVOKE_GRANT ||
           (order->kind == ORDER_LOBSTER && order->lobster != LOBSTERS_LIST);
}

/* Anybody can bring the certificate of one that keeps its own key: until that key has signed that it lives here, whoever
 * orders in its name need not be it. */
static bool may_be_another(const struct agent *agent, const struct order *order,
                           const struct duckling *duckling)
{
    return duckling && !duckling->key && counts_unsigned(order) &&
           !agent_lives_here(agent, &duckling->id);
}

/* False: the order is refused. */
static bool judge(const struct agent *agent, const struct order *order,
                  const struct duckling *duckling, struct effects *effects)
{
    if (!duckling && (needs_duckling(order->kind) || !id_is_zero(&order->duckling))) {
        order_refuse(effects, order, REFUSAL_NOT_HOSTED, "this duckling does not live on this node",
                     "duckling");
        return false;
    }
    if (duckling && !order->unsaid && agent_is_revoked(agent, &duckling->id)) {
        order_refuse(effects, order, REFUSAL_CONFLICT,
                     agent_revoked_text(agent, "this duckling", &duckling->id, &effects->arena),
                     "duckling");
        return false;
    }
    if (may_be_another(agent, order, duckling)) {
        order_refuse(effects, order, REFUSAL_NOT_ALLOWED,
                     "it keeps its own key, and has not signed that it lives here: sign its entry "
                     "in the directory first",
                     "duckling");
        return false;
    }
    return true;
}

static void carry_out(struct agent *agent, const struct order *order, struct duckling *duckling,
                      const struct moment *at, struct effects *effects)
{
    switch (order->kind) {
    case ORDER_HATCH:
        order_hatch(agent, order, at, effects);
        break;
    case ORDER_PROFILE:
        order_change_profile(agent, order, duckling, at, effects);
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
        order_pulse(agent, order, duckling, at, effects);
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
    if (judge(agent, order, duckling, effects))
        carry_out(agent, order, duckling, at, effects);
}
