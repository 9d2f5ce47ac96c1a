/* What the loop tells, and to whom. What is answered of one reply alone: local_answers.c.
 *
 * A send is answered at the end of the turn that brought it as far as asked, so that one answer
 * tells all that the turn did. Everything in this file is done under the lock. */
#include "clock.h"
#include "core/binary_data.h"
#include "local_parts.h"
#include "wire/local.pb-c.h"

#include <assert.h>

/* ---- what an order's answer will need ---- */

static const struct bytes *keep_scopes(struct arena *memory, const struct bytes *scopes,
                                       size_t count)
{
    struct bytes *kept = arena_take(memory, count * sizeof *kept);

    for (size_t i = 0; i < count; i++)
        kept[i] = arena_copy(memory, scopes[i]);
    return kept;
}

static void note_send(struct told *told, const struct order *order, struct arena *memory)
{
    told->box = BOX_OUT;
    told->from = order->send.from;
    told->to = order->send.to;
    told->kind = order->send.kind;
    told->reply_to = order->send.reply_to;
    told->expires_in_ms = order->expires_in_ms ? order->expires_in_ms : PECK_LIFE_MS;
    if (order->made) /* dated elsewhere */
        told->created_ms = order->send.created_ms;
    told->action = arena_copy(memory, order->send.action);
    told->thread = arena_copy(memory, order->send.thread);
    told->message = arena_copy(memory, order->send.message);
    told->trace = arena_copy(memory, order->send.trace);
    told->scopes = keep_scopes(memory, order->send.scopes, order->send.scope_count);
    told->scope_count = order->send.scope_count;
}

static void keep_filter(struct request *request, const struct tray_filter *filter)
{
    request->filter = *filter;
    if (filter->action_count > 0)
        request->filter.actions =
            keep_scopes(&request->memory, filter->actions, filter->action_count);
    if (filter->but_not_count > 0)
        request->filter.but_not =
            keep_scopes(&request->memory, filter->but_not, filter->but_not_count);
}

/* Before the message goes to the inbox: afterwards it is the loop's. */
void local_wait_for_order(struct request *request, const struct message *message,
                          const struct wish *wish)
{
    const struct order *order = message->order;

    request->duckling = order->duckling;
    request->wait_for = wish->wait_for;
    request->deadline_ms = wish->wait_ms ? clock_now_ms() + wish->wait_ms : 0;
    request->limit = order->limit;
    request->lease_ms = order->lease_ms;
    request->after_entry = order->after;
    keep_filter(request, &order->filter);
    if (request->kind != REQUEST_SEND && request->kind != REQUEST_ANSWER)
        return;
    request->told = arena_take(&request->memory, sizeof *request->told);
    *request->told = (struct told){.refusal = ""};
    if (request->kind == REQUEST_SEND) {
        request->peck_kind = order->send.kind;
        note_send(request->told, order, &request->memory);
        return;
    }
    request->told->box = BOX_IN;
    request->told->kind = PECK_ACTION; /* only actions are answered */
    request->told->peck = order->peck;
    local_shelve(request, request->client->api->peck_waits, &order->peck);
}

/* ---- answers from what was told ---- */

static size_t compose_scopes(const struct told *told, ProtobufCBinaryData scopes[PECK_SCOPES_MAX])
{
    for (size_t i = 0; i < told->scope_count; i++)
        scopes[i] = lent(told->scopes[i]);
    return told->scope_count;
}

static void compose_receipt(const struct told_receipt *told, const struct id *target,
                            Duck__ReceiptView *view, char signer[ID_TEXT_SIZE])
{
    bool by_target = id_equal(&told->signer, target); /* else by the target's node */

    duck__receipt_view__init(view);
    view->kind = (char *)receipt_kind_name(told->kind);
    view->state = (char *)peck_state_name(told->state);
    view->at_ms = told->at_ms;
    view->signer = (char *)id_text(by_target ? ID_DUCKLING : ID_NODE, &told->signer, signer);
    view->envelope = lent(told->wire);
    view->chain = lent(told->chain);
}

void local_answer_told(struct request *request)
{
    const struct told *told = request->told;
    char peck[ID_TEXT_SIZE], from[ID_TEXT_SIZE], to[ID_TEXT_SIZE], reply_to[ID_TEXT_SIZE];
    char signers[2][ID_TEXT_SIZE], bond[ID_TEXT_SIZE], waits_for[ID_TEXT_SIZE];
    Duck__ReceiptView receipts[2], *receipt_list[2] = {&receipts[0], &receipts[1]};
    ProtobufCBinaryData scopes[PECK_SCOPES_MAX];
    Duck__PeckView view = DUCK__PECK_VIEW__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    for (size_t i = 0; i < told->receipt_count; i++)
        compose_receipt(&told->receipts[i], &told->to, &receipts[i], signers[i]);
    view.peck_id = (char *)id_text(ID_PECK, &told->peck, peck);
    view.box = told->box;
    if (!id_is_zero(&told->from))
        view.from = (char *)id_text(ID_DUCKLING, &told->from, from);
    if (!id_is_zero(&told->to))
        view.to = (char *)id_text(ID_DUCKLING, &told->to, to);
    if (!id_is_zero(&told->reply_to))
        view.reply_to = (char *)id_text(ID_PECK, &told->reply_to, reply_to);
    view.kind = told->kind;
    view.action = lent(told->action);
    view.message = lent(told->message);
    view.thread = lent(told->thread);
    view.scopes = scopes;
    view.n_scopes = compose_scopes(told, scopes);
    view.trace = lent(told->trace);
    view.state = (char *)peck_state_name(told->state);
    view.created_ms = told->created_ms;
    view.expires_ms = told->created_ms ? told->created_ms + told->expires_in_ms : 0;
    view.changed_ms = told->changed_ms;
    view.result = lent(told->result);
    view.problem = lent(told->problem);
    view.refusal = told->refusal;
    view.retry_after_ms = told->retry_after_ms;
    view.charged = told->charged;
    view.receipts = receipt_list;
    view.n_receipts = told->receipt_count;
    if (told->kind == PECK_BOND_REQUEST && told->state == PECK_APPROVED)
        view.bond_id = (char *)id_text(ID_BOND, &told->peck, bond);
    if (!id_is_zero(&told->waits_for))
        view.waits_for = (char *)id_text(ID_WANTED, &told->waits_for, waits_for);
    reply.answer_case = DUCK__REPLY__ANSWER_PECK;
    reply.peck = &view;
    local_answer(request, &reply);
}

void local_answer_nothing_taken(struct request *request)
{
    Duck__PeckList list = DUCK__PECK_LIST__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    reply.answer_case = DUCK__REPLY__ANSWER_PECKS;
    reply.pecks = &list;
    local_answer(request, &reply);
}

static void answer_done(struct request *request, const struct effect *effect)
{
    Duck__Done done = DUCK__DONE__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;
    char waits_for[ID_TEXT_SIZE];

    if (effect->reply.state)
        done.state = (char *)peck_state_name(effect->reply.state);
    if (!id_is_zero(&effect->reply.waits_for))
        done.waits_for = (char *)id_text(ID_WANTED, &effect->reply.waits_for, waits_for);
    reply.answer_case = DUCK__REPLY__ANSWER_DONE;
    reply.done = &done;
    local_answer(request, &reply);
}

/* ---- what became of orders ---- */

static void ask_decided(struct request *request, const struct effect *effect)
{
    struct question *question = memory_take(sizeof *question);

    question->kind = QUESTION_PECK;
    question->ticket = request->ticket;
    question->peck = effect->reply.peck;
    question->box = effect->reply.box;
    question->bond = effect->reply.bond;
    question->waits_for = effect->reply.waits_for;
    local_ask(request->client, question);
}

static void ask_changed_bond(struct request *request, const struct effect *effect)
{
    struct question *question = memory_take(sizeof *question);

    question->kind = QUESTION_BOND;
    question->ticket = request->ticket;
    question->bond = effect->reply.bond;
    question->duckling = effect->reply.duckling;
    question->waits_for = effect->reply.waits_for;
    local_ask(request->client, question);
}

static void ask_taken(struct request *request, const struct effect *effect)
{
    struct question *question = memory_take(sizeof *question);

    question->kind = QUESTION_PECKS;
    question->ticket = request->ticket;
    question->pecks =
        memory_copy(effect->reply.taken, effect->reply.taken_count * sizeof *question->pecks);
    question->peck_count = effect->reply.taken_count;
    local_ask(request->client, question);
}

static void touch(struct request *request)
{
    ring_put_last(&request->client->api->touched, &request->touched);
}

/* An idempotency key named an earlier peck: the store knows more of it than this turn tells. */
static void look_at_earlier(struct request *request, const struct effect *effect)
{
    request->kind = REQUEST_PECK;
    request->replayed = true;
    request->box = BOX_OUT;
    local_shelve(request, request->client->api->peck_waits, &effect->reply.peck);
    if (request->deadline_ms)
        local_arm(request, request->deadline_ms);
    local_ask_again(request);
}

static void told_sent(struct request *request, const struct effect *effect)
{
    if (effect->reply.replayed) {
        look_at_earlier(request, effect);
        return;
    }
    request->told->peck = effect->reply.peck;
    request->told->state = effect->reply.state;
    if (request->told->thread.size == 0)
        request->told->thread = arena_copy(&request->memory, effect->reply.thread);
    local_shelve(request, request->client->api->peck_waits, &effect->reply.peck);
    if (request->deadline_ms)
        local_arm(request, request->deadline_ms);
    touch(request);
}

/* Nothing is ready for the agent: it waits, while it may. */
static void take_up(struct request *request)
{
    if (local_is_over(request)) {
        local_answer_nothing_taken(request);
        return;
    }
    local_shelve(request, request->client->api->take_waits, &request->duckling);
    local_arm(request, request->deadline_ms);
}

/* Its client went away. What was handed out to it waits for the next who asks, not for the end of
 * the lease; should the inbox be full, for that after all. */
static void tell_nobody(struct local_api *api, const struct effect *effect)
{
    if (effect->reply.taken_count > 0)
        (void)inbox_try_give(api->settings.inbox,
                             local_give_back(&effect->reply.duckling, effect->reply.taken,
                                             effect->reply.taken_count));
}

static void tell_reply(struct local_api *api, const struct effect *effect)
{
    struct request *request = local_find(api, effect->reply.ticket);

    if (!request) {
        tell_nobody(api, effect);
        return;
    }
    if (effect->reply.code != REFUSAL_NONE) {
        local_refuse_until(request, effect->reply.code, effect->reply.message, effect->reply.field,
                           effect->reply.retry_after_ms);
        return;
    }
    switch (request->kind) {
    case REQUEST_SEND:
        told_sent(request, effect);
        break;
    case REQUEST_ANSWER:
        request->told->state = effect->reply.state;
        request->told->waits_for = effect->reply.waits_for;
        local_answer_told(request);
        break;
    case REQUEST_PARTIAL:
        local_answer_partial(request, effect);
        break;
    case REQUEST_DECIDE:
        ask_decided(request, effect);
        break;
    case REQUEST_BOND:
        ask_changed_bond(request, effect);
        break;
    case REQUEST_TAKE:
        if (effect->reply.taken_count > 0)
            ask_taken(request, effect);
        else
            take_up(request);
        break;
    case REQUEST_HATCH:
        local_answer_hatched(request, effect);
        break;
    case REQUEST_ROTATE:
        local_answer_rotated(request, effect);
        break;
    case REQUEST_GRANT:
        local_answer_granted(request, effect);
        break;
    case REQUEST_ISSUE:
        local_answer_issued(request, effect);
        break;
    case REQUEST_EXPORT:
        local_answer_exported(request, effect);
        break;
    case REQUEST_WANTED:
        local_answer_wanted(request, effect);
        break;
    case REQUEST_LOBSTER:
        local_answer_lobsters(request, effect);
        break;
    case REQUEST_UNPECK:
        local_answer_unpecked(request, effect);
        break;
    case REQUEST_DONE:
        answer_done(request, effect);
        break;
    case REQUEST_QUESTION:
    case REQUEST_PECK:
    case REQUEST_PARTIALS:
    case REQUEST_AUDIT_NEWS:
    case REQUEST_FOLLOW:
        assert(!"the loop was not asked");
    }
}

/* ---- what became of pecks ---- */

/* The last of each kind: an approval says `taken` anew. */
static void note_receipt(struct request *request, const struct effect *effect)
{
    struct told *told = request->told;
    struct told_receipt *receipt = told->receipts;

    while (receipt < told->receipts + told->receipt_count &&
           receipt->kind != effect->changed.receipt_kind)
        receipt++;
    if (receipt == told->receipts + told->receipt_count)
        told->receipt_count++;
    *receipt = (struct told_receipt){
        .kind = effect->changed.receipt_kind,
        .state = effect->changed.state,
        .at_ms = effect->changed.at_ms,
        .signer = effect->changed.receipt_signer,
        .wire = arena_copy(&request->memory, effect->changed.receipt),
        .chain = arena_copy(&request->memory, effect->changed.receipt_chain),
    };
}

static void note_refusal(struct request *request, const struct effect *effect)
{
    struct bytes code = effect->changed.refusal;

    request->told->refusal = arena_take(&request->memory, code.size + 1);
    memcpy(request->told->refusal, code.data, code.size);
    request->told->refusal[code.size] = 0;
    request->told->retry_after_ms = effect->changed.retry_after_ms;
}

static void note_change(struct request *request, const struct effect *effect)
{
    struct told *told = request->told;

    told->state = effect->changed.state;
    told->changed_ms = effect->changed.at_ms;
    if (told->box == BOX_OUT && !told->created_ms)
        told->created_ms = effect->changed.at_ms; /* a turn is one moment: that of its making */
    if (told->box == BOX_IN) {
        told->from = effect->changed.with;
        told->to = effect->changed.duckling;
    }
    if (effect->changed.receipt.size > 0)
        note_receipt(request, effect);
    if (effect->changed.result.size > 0)
        told->result = arena_copy(&request->memory, effect->changed.result);
    if (effect->changed.problem.size > 0)
        told->problem = arena_copy(&request->memory, effect->changed.problem);
    if (effect->changed.charged > 0)
        told->charged = effect->changed.charged;
    if (effect->changed.refusal.size > 0)
        note_refusal(request, effect);
}

/* What a reader finds out now may be what is waited for. */
static void ask_anew(struct request *request, enum box box)
{
    if (request->box != 0 && request->box != (int)box)
        return;
    if (request->asking)
        request->again = true;
    else
        local_ask_again(request);
}

static void tell_waiting(struct local_api *api, const struct effect *effect)
{
    struct ring *slot = &api->peck_waits[local_shelf(&effect->changed.peck)], *next;

    for (struct ring *ring = slot->next; ring != slot; ring = next) {
        struct request *request = RING_OWNER(ring, struct request, shelf);

        next = ring->next;
        if (!id_equal(&request->awaited, &effect->changed.peck))
            continue;
        if (request->told && request->kind != REQUEST_PECK) {
            if (request->told->box != effect->changed.box)
                continue;
            note_change(request, effect);
            if (request->kind == REQUEST_SEND)
                touch(request);
        } else if (request->kind == REQUEST_PECK || request->kind == REQUEST_PARTIALS) {
            ask_anew(request, effect->changed.box);
        }
    }
}

static void tell_partial(struct local_api *api, const struct effect *effect)
{
    struct ring *slot = &api->peck_waits[local_shelf(&effect->partial.peck)], *next;

    for (struct ring *ring = slot->next; ring != slot; ring = next) {
        struct request *request = RING_OWNER(ring, struct request, shelf);

        next = ring->next;
        if (request->kind == REQUEST_PARTIALS && id_equal(&request->awaited, &effect->partial.peck))
            ask_anew(request, effect->partial.box);
    }
}

/* A peck is ready for an agent: one that waits for its like, the longest waiting, asks again. What
 * its order leaves over was announced by a change of its own. */
static void wake_taker(struct local_api *api, const struct id *duckling, struct bytes action)
{
    struct ring *slot = &api->take_waits[local_shelf(duckling)], *next;

    for (struct ring *ring = slot->next; ring != slot; ring = next) {
        struct request *request = RING_OWNER(ring, struct request, shelf);

        next = ring->next;
        if (!id_equal(&request->awaited, duckling) || !tray_filter_fits(&request->filter, action))
            continue;
        ring_take_off(&request->shelf);
        local_disarm(request);
        if (inbox_share_give(request->client->share, local_take_again(request)) == 0)
            return;
        local_refuse(request, REFUSAL_BUSY, "too many orders of this program wait; try again", "");
    }
}

static bool is_ready_for_agent(const struct effect *effect)
{
    return effect->changed.box == BOX_IN && effect->changed.place == TRAY_READY &&
           (effect->changed.state == PECK_TAKEN || effect->changed.state == PECK_APPROVED);
}

void local_answer_touched(struct local_api *api)
{
    while (!ring_is_alone(&api->touched)) {
        struct request *request = RING_OWNER(api->touched.next, struct request, touched);

        ring_take_off(&request->touched);
        if (local_is_as_far(request, request->told->state) || local_is_over(request))
            local_answer_told(request);
    }
}

/* Whoever waits for the log asks a reader anew, once for all that a turn kept. */
void local_wake_audit(struct local_api *api)
{
    if (!api->audit_has_grown)
        return;
    api->audit_has_grown = false;
    for (struct ring *ring = api->audit_waits.next; ring != &api->audit_waits; ring = ring->next) {
        struct request *request = RING_OWNER(ring, struct request, shelf);

        if (request->asking)
            request->again = true;
        else
            local_ask_again(request);
    }
}

/* ---- effects ---- */

void local_tell(struct local_api *api, const struct effect *effect)
{
    api->audit_has_grown = api->audit_has_grown || effect->kind == EFFECT_PECK_CHANGED ||
                           effect->kind == EFFECT_BOND_CHANGED;
    if (effect->kind == EFFECT_REPLY) {
        tell_reply(api, effect);
    } else if (effect->kind == EFFECT_PECK_CHANGED) {
        tell_waiting(api, effect);
        if (is_ready_for_agent(effect))
            wake_taker(api, &effect->changed.duckling, effect->changed.action);
        local_follows_tell_peck(api, effect);
    } else if (effect->kind == EFFECT_PARTIAL_CAME) {
        tell_partial(api, effect);
        local_follows_tell_partial(api, effect);
    } else if (effect->kind == EFFECT_BOND_CHANGED) {
        if (effect->bond_changed.change == BOND_ENDED) {
            api->bond_ended.bond = effect->bond_changed.bond;
            api->bond_ended.duckling = effect->bond_changed.duckling;
            api->bond_ended.with = effect->bond_changed.with;
        }
        local_follows_tell_bond(api, effect);
    } else if (effect->kind == EFFECT_RECORD_CHANGED) {
        local_follows_tell_record(api, effect);
    } else if (effect->kind == EFFECT_MEMBER_CHANGED) {
        local_follows_tell_member(api, effect);
    } else if (effect->kind == EFFECT_WANTED) {
        local_tell_wanted(api, effect);
    } else if (effect->kind == EFFECT_TIER_CHANGED) {
        local_follows_tell_tier(api, effect);
    }
}
