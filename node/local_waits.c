/* Requests from frame to answer, and what they wait for.
 *
 * A request waits on a shelf, by the peck or the duckling that it is about; the loop's effects look
 * there. Its deadline is in a wheel of 1024 ticks. A send is answered at the end of the turn that
 * brought it as far as asked, so that one answer tells all that the turn did. Everything in this
 * file is done under the lock. */
#include "clock.h"
#include "local_parts.h"
#include "wire/local.pb-c.h"

#include <assert.h>

/* ---- requests ---- */

void local_waits_init(struct local_api *api)
{
    struct ring *const tables[] = {api->by_ticket, api->peck_waits, api->take_waits, api->follows};

    for (size_t i = 0; i < REQUEST_SLOTS; i++)
        for (size_t table = 0; table < sizeof tables / sizeof *tables; table++)
            ring_init(&tables[table][i]);
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        ring_init(&api->wheel[i]);
    ring_init(&api->directory_follows);
    ring_init(&api->touched);
    api->swept_tick = clock_now_ms() / WHEEL_TICK_MS;
}

struct request *local_find(struct local_api *api, uint64_t ticket)
{
    struct ring *slot = &api->by_ticket[ticket % REQUEST_SLOTS];

    for (struct ring *ring = slot->next; ring != slot; ring = ring->next) {
        struct request *request = RING_OWNER(ring, struct request, by_ticket);

        if (request->ticket == ticket)
            return request;
    }
    return NULL;
}

struct request *local_find_of_client(struct local_client *client, uint64_t id)
{
    struct ring *slot = &client->requests[id % CLIENT_SLOTS];

    for (struct ring *ring = slot->next; ring != slot; ring = ring->next) {
        struct request *request = RING_OWNER(ring, struct request, by_id);

        if (request->id == id)
            return request;
    }
    return NULL;
}

struct request *local_remember(struct local_client *client, uint64_t id, enum request_kind kind)
{
    struct local_api *api = client->api;
    struct request *request = memory_take(sizeof *request);
    struct ring *const rings[] = {&request->by_id, &request->by_ticket, &request->shelf,
                                  &request->wheel, &request->touched,   &request->directory};

    for (size_t i = 0; i < sizeof rings / sizeof *rings; i++)
        ring_init(rings[i]);
    arena_init(&request->memory, SIZE_MAX); /* copies of what was bounded before */
    request->client = client;
    request->id = id;
    request->ticket = ++api->last_ticket;
    request->kind = kind;
    ring_put_last(&client->requests[id % CLIENT_SLOTS], &request->by_id);
    ring_put_last(&api->by_ticket[request->ticket % REQUEST_SLOTS], &request->by_ticket);
    if (kind == REQUEST_FOLLOW)
        client->follow_count++;
    else
        client->request_count++;
    return request;
}

static void disarm(struct request *request)
{
    if (ring_is_alone(&request->wheel))
        return;
    ring_take_off(&request->wheel);
    request->client->api->armed--;
}

void local_forget(struct request *request)
{
    if (request->kind == REQUEST_FOLLOW)
        request->client->follow_count--;
    else
        request->client->request_count--;
    disarm(request);
    ring_take_off(&request->by_id);
    ring_take_off(&request->by_ticket);
    ring_take_off(&request->shelf);
    ring_take_off(&request->touched);
    ring_take_off(&request->directory);
    arena_free(&request->memory);
    memory_give_back(request);
}

static size_t shelf_of(const struct id *id)
{
    return ((size_t)id->bytes[0] << 8 | id->bytes[1]) % REQUEST_SLOTS; /* ids are hashes */
}

void local_shelve(struct request *request, struct ring *shelves, const struct id *awaited)
{
    request->awaited = *awaited;
    ring_put_last(&shelves[shelf_of(awaited)], &request->shelf);
}

void local_arm(struct request *request, uint64_t deadline_ms)
{
    struct local_api *api = request->client->api;
    uint64_t tick = deadline_ms / WHEEL_TICK_MS + 1;

    disarm(request);
    request->deadline_ms = deadline_ms;
    if (api->armed == 0)
        api->swept_tick = clock_now_ms() / WHEEL_TICK_MS;
    if (tick <= api->swept_tick) /* it is over already: the next tick ends it */
        tick = api->swept_tick + 1;
    ring_put_last(&api->wheel[tick % WHEEL_SLOTS], &request->wheel);
    if (api->armed++ == 0)
        pthread_cond_signal(&api->for_sweeper);
}

void local_answer(struct request *request, void *reply)
{
    ((Duck__Reply *)reply)->id = request->id;
    local_queue(request->client, reply);
    if (request->kind != REQUEST_FOLLOW)
        local_forget(request);
}

void local_refuse(struct request *request, enum refusal_code code, const char *message,
                  const char *field)
{
    Duck__Problem problem = DUCK__PROBLEM__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    problem.code = (char *)refusal_code_name(code);
    problem.message = (char *)(message ? message : "");
    problem.field = (char *)(field ? field : "");
    reply.answer_case = DUCK__REPLY__ANSWER_PROBLEM;
    reply.problem = &problem;
    local_answer(request, &reply);
}

static void answer_done(struct request *request)
{
    Duck__Done done = DUCK__DONE__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    reply.answer_case = DUCK__REPLY__ANSWER_DONE;
    reply.done = &done;
    local_answer(request, &reply);
}

/* ---- what an order's answer will need ---- */

static void note_send(struct told *told, const struct order *order, struct arena *memory)
{
    told->box = BOX_OUT;
    told->from = order->send.from;
    told->to = order->send.to;
    told->kind = order->send.kind;
    told->reply_to = order->send.reply_to;
    told->expires_in_ms = order->expires_in_ms ? order->expires_in_ms : PECK_LIFE_MS;
    told->action = arena_copy(memory, order->send.action);
    told->thread = arena_copy(memory, order->send.thread);
    told->message = arena_copy(memory, order->send.message);
    told->trace = arena_copy(memory, order->send.trace);
}

/* Before the message goes to the inbox: afterwards it is the loop's. */
void local_wait_for_order(struct request *request, const struct message *message,
                          const struct wish *wish)
{
    const struct order *order = &message->order;

    request->duckling = order->duckling;
    request->wait_for = wish->wait_for;
    request->deadline_ms = wish->wait_ms ? clock_now_ms() + wish->wait_ms : 0;
    request->limit = order->limit;
    request->lease_ms = order->lease_ms;
    if (request->kind != REQUEST_SEND && request->kind != REQUEST_ANSWER)
        return;
    request->told = arena_take(&request->memory, sizeof *request->told);
    *request->told = (struct told){0};
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

bool local_is_as_far(const struct request *request, enum peck_state state)
{
    switch (request->wait_for) {
    case DUCK__WAIT_FOR__WAIT_QUEUED:
        return true;
    case DUCK__WAIT_FOR__WAIT_TAKEN:
        return state != PECK_QUEUED && state != PECK_SENT;
    default:
        return peck_state_is_done(state, request->peck_kind);
    }
}

static bool is_over(const struct request *request)
{
    return request->deadline_ms == 0 || clock_now_ms() >= request->deadline_ms;
}

/* ---- answers from what was told ---- */

static void compose_receipt(const struct told_receipt *told, const struct id *target,
                            Duck__ReceiptView *view, char signer[ID_TEXT_SIZE])
{
    bool by_target = id_equal(&told->signer, target); /* else by the target's node */

    duck__receipt_view__init(view);
    view->kind = (char *)receipt_kind_name(told->kind);
    view->state = (char *)peck_state_name(told->state);
    view->at_ms = told->at_ms;
    view->signer = (char *)id_text(by_target ? ID_DUCKLING : ID_NODE, &told->signer, signer);
    view->envelope = (ProtobufCBinaryData){told->wire.size, (uint8_t *)told->wire.data};
    view->chain = (ProtobufCBinaryData){told->chain.size, (uint8_t *)told->chain.data};
}

static ProtobufCBinaryData bytes_for(struct bytes bytes)
{
    return (ProtobufCBinaryData){bytes.size, (uint8_t *)bytes.data};
}

static void answer_told(struct request *request)
{
    const struct told *told = request->told;
    char peck[ID_TEXT_SIZE], from[ID_TEXT_SIZE], to[ID_TEXT_SIZE], reply_to[ID_TEXT_SIZE];
    char signers[2][ID_TEXT_SIZE], bond[ID_TEXT_SIZE];
    Duck__ReceiptView receipts[2], *receipt_list[2] = {&receipts[0], &receipts[1]};
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
    view.action = bytes_for(told->action);
    view.message = bytes_for(told->message);
    view.thread = bytes_for(told->thread);
    view.trace = bytes_for(told->trace);
    view.state = (char *)peck_state_name(told->state);
    view.created_ms = told->created_ms;
    view.expires_ms = told->created_ms ? told->created_ms + told->expires_in_ms : 0;
    view.changed_ms = told->changed_ms;
    view.result = bytes_for(told->result);
    view.problem = bytes_for(told->problem);
    view.receipts = receipt_list;
    view.n_receipts = told->receipt_count;
    if (told->kind == PECK_BOND_REQUEST && told->state == PECK_APPROVED)
        view.bond_id = (char *)id_text(ID_BOND, &told->peck, bond);
    reply.answer_case = DUCK__REPLY__ANSWER_PECK;
    reply.peck = &view;
    local_answer(request, &reply);
}

static void answer_nothing_taken(struct request *request)
{
    Duck__PeckList list = DUCK__PECK_LIST__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    reply.answer_case = DUCK__REPLY__ANSWER_PECKS;
    reply.pecks = &list;
    local_answer(request, &reply);
}

/* ---- readers are asked ---- */

void local_ask_peck(struct request *request)
{
    struct question *question = memory_take(sizeof *question);

    question->kind = QUESTION_PECK;
    question->ticket = request->ticket;
    question->peck = request->awaited;
    question->duckling = request->duckling;
    question->box = request->box;
    question->replayed = request->replayed;
    request->asking = true;
    request->again = false;
    local_ask(request->client->api, question);
}

static void ask_decided(struct request *request, const struct effect *effect)
{
    struct question *question = memory_take(sizeof *question);

    question->kind = QUESTION_PECK;
    question->ticket = request->ticket;
    question->peck = effect->reply.peck;
    question->box = effect->reply.box;
    question->bond = effect->reply.bond;
    local_ask(request->client->api, question);
}

static void ask_taken(struct request *request, const struct effect *effect)
{
    struct question *question = memory_take(sizeof *question);

    question->kind = QUESTION_PECKS;
    question->ticket = request->ticket;
    question->pecks =
        memory_copy(effect->reply.taken, effect->reply.taken_count * sizeof *question->pecks);
    question->peck_count = effect->reply.taken_count;
    local_ask(request->client->api, question);
}

/* ---- what became of orders ---- */

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
    local_ask_peck(request);
}

static void told_sent(struct request *request, const struct effect *effect)
{
    if (effect->reply.replayed) {
        look_at_earlier(request, effect);
        return;
    }
    request->told->peck = effect->reply.peck;
    request->told->state = effect->reply.state;
    local_shelve(request, request->client->api->peck_waits, &effect->reply.peck);
    if (request->deadline_ms)
        local_arm(request, request->deadline_ms);
    touch(request);
}

static void answer_hatched(struct request *request, const struct effect *effect)
{
    Duck__HatchAnswer answer = DUCK__HATCH_ANSWER__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;
    char duckling[ID_TEXT_SIZE], certificate[ID_TEXT_SIZE];

    answer.duckling_id = (char *)id_text(ID_DUCKLING, &effect->reply.duckling, duckling);
    answer.certificate_id =
        (char *)id_text(ID_CERTIFICATE, &effect->reply.certificate, certificate);
    answer.chain = bytes_for(effect->reply.chain);
    reply.answer_case = DUCK__REPLY__ANSWER_HATCH;
    reply.hatch = &answer;
    local_answer(request, &reply);
}

static void answer_unpecked(struct request *request, const struct effect *effect)
{
    const struct local_api *api = request->client->api;
    Duck__BondView view = DUCK__BOND_VIEW__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;
    char bond[ID_TEXT_SIZE], duckling[ID_TEXT_SIZE], with[ID_TEXT_SIZE];

    view.bond_id = (char *)id_text(ID_BOND, &effect->reply.bond, bond);
    view.duckling = (char *)id_text(ID_DUCKLING, &request->duckling, duckling);
    if (id_equal(&api->bond_ended.bond, &effect->reply.bond))
        view.with = (char *)id_text(ID_DUCKLING, &api->bond_ended.with, with);
    reply.answer_case = DUCK__REPLY__ANSWER_BOND;
    reply.bond = &view;
    local_answer(request, &reply);
}

/* Nothing is ready for the agent: it waits, while it may. */
static void take_up(struct request *request)
{
    if (is_over(request)) {
        answer_nothing_taken(request);
        return;
    }
    local_shelve(request, request->client->api->take_waits, &request->duckling);
    local_arm(request, request->deadline_ms);
}

static void tell_reply(struct local_api *api, const struct effect *effect)
{
    struct request *request = local_find(api, effect->reply.ticket);

    if (!request)
        return; /* its client went away */
    if (effect->reply.code != REFUSAL_NONE) {
        local_refuse(request, effect->reply.code, effect->reply.message, effect->reply.field);
        return;
    }
    switch (request->kind) {
    case REQUEST_SEND:
        told_sent(request, effect);
        break;
    case REQUEST_ANSWER:
        request->told->state = effect->reply.state;
        answer_told(request);
        break;
    case REQUEST_DECIDE:
        ask_decided(request, effect);
        break;
    case REQUEST_TAKE:
        if (effect->reply.taken_count > 0)
            ask_taken(request, effect);
        else
            take_up(request);
        break;
    case REQUEST_HATCH:
        answer_hatched(request, effect);
        break;
    case REQUEST_UNPECK:
        answer_unpecked(request, effect);
        break;
    case REQUEST_DONE:
        answer_done(request);
        break;
    case REQUEST_QUESTION:
    case REQUEST_PECK:
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
}

static void tell_waiting(struct local_api *api, const struct effect *effect)
{
    struct ring *slot = &api->peck_waits[shelf_of(&effect->changed.peck)], *next;

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
        } else if (request->kind == REQUEST_PECK &&
                   (request->box == 0 || request->box == (int)effect->changed.box)) {
            if (request->asking)
                request->again = true;
            else
                local_ask_peck(request);
        }
    }
}

/* A peck is ready for an agent: one that waits for it, the longest waiting, asks again. What its
 * order leaves over was announced by a change of its own. */
static void wake_taker(struct local_api *api, const struct id *duckling)
{
    struct ring *slot = &api->take_waits[shelf_of(duckling)], *next;

    for (struct ring *ring = slot->next; ring != slot; ring = next) {
        struct request *request = RING_OWNER(ring, struct request, shelf);

        next = ring->next;
        if (!id_equal(&request->awaited, duckling))
            continue;
        ring_take_off(&request->shelf);
        disarm(request);
        if (inbox_try_give(api->settings.inbox, local_take_again(request)) == 0)
            return;
        local_refuse(request, REFUSAL_BUSY, "the node has too much to do; try again", "");
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
        if (local_is_as_far(request, request->told->state) || is_over(request))
            answer_told(request);
    }
}

/* ---- followers ---- */

static void tell_follower(struct request *follower, Duck__EventView *view)
{
    Duck__Reply reply = DUCK__REPLY__INIT;

    if (local_queued(follower->client) > LOCAL_SEND_QUEUE_MAX) {
        follower->dropped++;
        return;
    }
    view->dropped = follower->dropped;
    reply.answer_case = DUCK__REPLY__ANSWER_EVENT;
    reply.event = view;
    local_answer(follower, &reply);
}

static void tell_followers_of(struct local_api *api, const struct id *duckling,
                              Duck__EventView *view)
{
    struct ring *slot = &api->follows[shelf_of(duckling)];

    for (struct ring *ring = slot->next; ring != slot; ring = ring->next) {
        struct request *follower = RING_OWNER(ring, struct request, shelf);

        if (id_equal(&follower->awaited, duckling))
            tell_follower(follower, view);
    }
}

static void tell_followers(struct local_api *api, const struct id *duckling, Duck__EventView *view)
{
    static const struct id everything;

    tell_followers_of(api, &everything, view);
    if (!id_is_zero(duckling))
        tell_followers_of(api, duckling, view);
}

static void tell_peck(struct local_api *api, const struct effect *effect)
{
    Duck__EventView view = DUCK__EVENT_VIEW__INIT;
    char duckling[ID_TEXT_SIZE], with[ID_TEXT_SIZE], peck[ID_TEXT_SIZE];

    view.kind = "peck";
    view.duckling = (char *)id_text(ID_DUCKLING, &effect->changed.duckling, duckling);
    view.with = (char *)id_text(ID_DUCKLING, &effect->changed.with, with);
    view.peck_id = (char *)id_text(ID_PECK, &effect->changed.peck, peck);
    view.box = effect->changed.box;
    view.state = (char *)peck_state_name(effect->changed.state);
    view.at_ms = effect->changed.at_ms;
    tell_followers(api, &effect->changed.duckling, &view);
}

static void tell_bond(struct local_api *api, const struct effect *effect)
{
    Duck__EventView view = DUCK__EVENT_VIEW__INIT;
    char duckling[ID_TEXT_SIZE], with[ID_TEXT_SIZE], bond[ID_TEXT_SIZE];

    view.kind = "bond";
    view.duckling = (char *)id_text(ID_DUCKLING, &effect->bond_changed.duckling, duckling);
    view.with = (char *)id_text(ID_DUCKLING, &effect->bond_changed.with, with);
    view.bond_id = (char *)id_text(ID_BOND, &effect->bond_changed.bond, bond);
    view.state = effect->bond_changed.made ? "made" : "ended";
    view.at_ms = clock_wall_ms();
    tell_followers(api, &effect->bond_changed.duckling, &view);
}

static void tell_record(struct local_api *api, const struct effect *effect)
{
    Duck__EventView view = DUCK__EVENT_VIEW__INIT;
    bool is_node =
        effect->record_changed.kind == RECORD_NODE || effect->record_changed.kind == RECORD_METRICS;
    char owner[ID_TEXT_SIZE];

    if (ring_is_alone(&api->directory_follows))
        return;
    view.kind = "record";
    view.duckling =
        (char *)id_text(is_node ? ID_NODE : ID_DUCKLING, &effect->record_changed.owner, owner);
    view.state = (char *)record_kind_name(effect->record_changed.kind);
    view.at_ms = clock_wall_ms();
    for (struct ring *ring = api->directory_follows.next; ring != &api->directory_follows;
         ring = ring->next)
        tell_follower(RING_OWNER(ring, struct request, directory), &view);
}

void local_api_link_changed(struct local_api *api, const struct id *node, bool up)
{
    Duck__EventView view = DUCK__EVENT_VIEW__INIT;
    static const struct id nobody;
    char with[ID_TEXT_SIZE];

    if (!api)
        return; /* links may come before there is anybody to tell */
    view.kind = "link";
    view.with = (char *)id_text(ID_NODE, node, with);
    view.state = up ? "up" : "down";
    view.at_ms = clock_wall_ms();
    pthread_mutex_lock(&api->lock);
    tell_followers(api, &nobody, &view);
    pthread_mutex_unlock(&api->lock);
    local_api_flush(api);
}

/* ---- effects ---- */

void local_tell(struct local_api *api, const struct effect *effect)
{
    if (effect->kind == EFFECT_REPLY) {
        tell_reply(api, effect);
    } else if (effect->kind == EFFECT_PECK_CHANGED) {
        tell_waiting(api, effect);
        if (is_ready_for_agent(effect))
            wake_taker(api, &effect->changed.duckling);
        tell_peck(api, effect);
    } else if (effect->kind == EFFECT_BOND_CHANGED) {
        api->bond_ended.bond = effect->bond_changed.bond;
        api->bond_ended.duckling = effect->bond_changed.duckling;
        api->bond_ended.with = effect->bond_changed.with;
        tell_bond(api, effect);
    } else if (effect->kind == EFFECT_RECORD_CHANGED) {
        tell_record(api, effect);
    }
}

/* ---- deadlines ---- */

static void end_wait(struct request *request)
{
    disarm(request);
    switch (request->kind) {
    case REQUEST_SEND:
        answer_told(request);
        break;
    case REQUEST_TAKE:
        answer_nothing_taken(request);
        break;
    case REQUEST_PECK:
        request->late = true;
        if (!request->asking)
            local_ask_peck(request);
        break;
    case REQUEST_QUESTION:
    case REQUEST_ANSWER:
    case REQUEST_DECIDE:
    case REQUEST_HATCH:
    case REQUEST_UNPECK:
    case REQUEST_DONE:
    case REQUEST_FOLLOW:
        assert(!"it does not wait");
    }
}

void local_sweep(struct local_api *api, uint64_t now_ms)
{
    uint64_t tick = now_ms / WHEEL_TICK_MS;

    if (tick - api->swept_tick > WHEEL_SLOTS)
        api->swept_tick = tick - WHEEL_SLOTS;
    while (api->swept_tick < tick) {
        struct ring *slot = &api->wheel[++api->swept_tick % WHEEL_SLOTS], *next;

        for (struct ring *ring = slot->next; ring != slot; ring = next) {
            struct request *request = RING_OWNER(ring, struct request, wheel);

            next = ring->next;
            if (request->deadline_ms <= now_ms) /* else of the next time round: we came late */
                end_wait(request);
        }
    }
}
