/* Orders of an agent about its inbox: what waits for it is handed out under a lease, and answered. */
#include "agent_orders.h"

#include <assert.h>
#include <stdio.h>

void order_keep_place(const struct tray_entry *entry, const struct moment *at,
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

void order_hand_out(struct agent *agent, const struct order *order, struct duckling *duckling,
                    const struct moment *at, struct effects *effects)
{
    uint64_t lease_ms = order->lease_ms ? order->lease_ms : LEASE_MS;
    struct effect *effect;
    struct id *taken;
    size_t count = 0;

    if (lease_ms < LEASE_MIN_MS || lease_ms > LEASE_MAX_MS) {
        order_refuse(effects, order, REFUSAL_MALFORMED, "a lease is 1 s to 1 h", "lease_ms");
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
        order_keep_place(entry, at, effects);
        taken[count++] = entry->peck;
    }
    effect = order_reply(effects, order);
    effect->reply.box = BOX_IN;
    effect->reply.taken = taken;
    effect->reply.taken_count = count;
}

const struct tray_entry *order_find_open(struct agent *agent, const struct order *order,
                                         const struct id *peck, struct effects *effects)
{
    const struct tray_entry *entry = tray_find(agent->tray, peck);

    if (!entry) {
        if (order->held.found)
            order_refuse(effects, order, REFUSAL_CONFLICT, "this peck is done", "peck_id");
        else
            order_refuse(effects, order, REFUSAL_NOT_FOUND, "no peck of this id was received here",
                         "peck_id");
        return NULL;
    }
    if (!id_is_zero(&order->duckling) && !id_equal(&order->duckling, &entry->to)) {
        order_refuse(effects, order, REFUSAL_NOT_ALLOWED, "this peck is for another duckling",
                     "peck_id");
        return NULL;
    }
    return entry;
}

void order_acknowledge(struct agent *agent, const struct order *order, const struct moment *at,
                       struct effects *effects)
{
    for (size_t i = 0; i < order->peck_count; i++) {
        const struct tray_entry *entry = order_find_open(agent, order, &order->pecks[i], effects);

        if (!entry)
            return;
        if (entry->place == TRAY_WAITING || entry->place == TRAY_READY) {
            order_refuse(
                effects, order, REFUSAL_CONFLICT,
                "this peck is not handed out: its lease is over, or it waits for its owner",
                "peck_ids");
            return;
        }
    }
    for (size_t i = 0; i < order->peck_count; i++) {
        if (!tray_acknowledge(agent->tray, &order->pecks[i]))
            continue; /* acknowledged before */
        order_keep_place(tray_find(agent->tray, &order->pecks[i]), at, effects);
    }
    order_reply(effects, order);
}

/* What is not leased any more is let be: its lease is over, or an answer was quicker. */
void order_give_back(struct agent *agent, const struct order *order, const struct moment *at,
                     struct effects *effects)
{
    for (size_t i = 0; i < order->peck_count; i++) {
        const struct tray_entry *entry = tray_find(agent->tray, &order->pecks[i]);

        if (!entry || !id_equal(&entry->to, &order->duckling) ||
            !tray_give_back(agent->tray, &order->pecks[i]))
            continue;
        order_keep_place(entry, at, effects);
        agent_tell_ready(entry, at, effects);
    }
    order_reply(effects, order);
}

/* Whoever is told that it holds a peck no longer should stop working on it. */
void order_renew(struct agent *agent, const struct order *order, const struct moment *at,
                 struct effects *effects)
{
    if (order->lease_ms < LEASE_MIN_MS || order->lease_ms > LEASE_MAX_MS) {
        order_refuse(effects, order, REFUSAL_MALFORMED, "a lease is 1 s to 1 h", "lease_ms");
        return;
    }
    for (size_t i = 0; i < order->peck_count; i++) {
        const struct tray_entry *entry = order_find_open(agent, order, &order->pecks[i], effects);

        if (!entry)
            return;
        if (entry->place != TRAY_LEASED) {
            order_refuse(effects, order, REFUSAL_CONFLICT, "this peck is under no lease",
                         "peck_ids");
            return;
        }
    }
    for (size_t i = 0; i < order->peck_count; i++) {
        tray_renew(agent->tray, &order->pecks[i], at->now_ms + order->lease_ms);
        order_keep_place(tray_find(agent->tray, &order->pecks[i]), at, effects);
    }
    order_reply(effects, order);
}

/* What the answer costs the asker is said by whoever answers, and by nobody else. */
static bool judge_charge(const struct order *order, struct effects *effects)
{
    if (order->charge == 0 || (!order->failed && order->charge <= ANSWER_CHARGE_MAX))
        return true;
    order_refuse(effects, order, REFUSAL_MALFORMED,
                 order->failed ? "what failed costs nothing"
                               : "an answer costs at most 1000000000 units",
                 "charge");
    return false;
}

bool order_judge_words(const struct order *order, struct effects *effects)
{
    if (order->result.size > PECK_PAYLOAD_MAX) {
        order_refuse(effects, order, REFUSAL_TOO_LARGE, "a result is at most 262144 bytes",
                     "result");
        return false;
    }
    if (order->result.size > 0 && !bytes_may_be_json(order->result)) {
        order_refuse(effects, order, REFUSAL_MALFORMED, "a result is JSON, in UTF-8", "result");
        return false;
    }
    if (order->problem.size > RECEIPT_PROBLEM_MAX || !bytes_are_text(order->problem, true)) {
        order_refuse(effects, order, REFUSAL_MALFORMED, "a reason is at most 1024 bytes of UTF-8",
                     order->kind == ORDER_DENY ? "reason" : "problem");
        return false;
    }
    return true;
}

void order_answer(struct agent *agent, const struct order *order, const struct moment *at,
                  struct effects *effects)
{
    const struct tray_entry *entry = order_find_open(agent, order, &order->peck, effects);
    struct unsigned_receipt *receipt;
    struct tray_entry copy;

    if (!entry || !order_judge_words(order, effects) || !judge_charge(order, effects))
        return;
    if (entry->state == PECK_PENDING) {
        order_refuse(effects, order, REFUSAL_CONFLICT,
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
    if (agent_await_signature(agent, order, copy.expires_ms, at, effects))
        return;
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
    order_refuse(
        effects, order, REFUSAL_CONFLICT,
        (const char *)arena_copy(&effects->arena, bytes_of(message, strlen(message) + 1)).data,
        "number");
    return false;
}

void order_answer_partly(struct agent *agent, const struct order *order, const struct moment *at,
                         struct effects *effects)
{
    const struct tray_entry *entry = order_find_open(agent, order, &order->peck, effects);
    enum partials_verdict room;

    if (!entry)
        return;
    if (entry->state == PECK_PENDING) {
        order_refuse(effects, order, REFUSAL_CONFLICT, "this peck waits for its owner's decision",
                     "peck_id");
        return;
    }
    if (!judge_number(order, &entry->partials, effects))
        return;
    room = partials_judge(&entry->partials, order->result.size);
    if (room != PARTIALS_ROOM) {
        order_refuse(effects, order, room == PARTIALS_EMPTY ? REFUSAL_MALFORMED : REFUSAL_TOO_LARGE,
                     partials_verdict_text(room), "result");
        return;
    }
    if (!bytes_may_be_json(order->result)) {
        order_refuse(effects, order, REFUSAL_MALFORMED, "a partial answer is JSON, in UTF-8",
                     "result");
        return;
    }
    agent_say_partial(agent, entry, order, at, effects);
}
