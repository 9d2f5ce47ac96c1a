/* Requests from frame to answer, and their waits. A request waits on a shelf, by the peck or the
 * duckling that it is about: the loop's effects look there. Its deadline is in a wheel of 1024
 * ticks. Everything in this file is done under the lock. */
#include "clock.h"
#include "local_parts.h"
#include "wire/local.pb-c.h"

#include <assert.h>

/* ---- requests ---- */

#define REQUEST_ROOM 1536u /* bytes: what is told of a peck, with its receipt; behind the request */

void local_waits_init(struct local_api *api)
{
    struct ring *const tables[] = {api->by_ticket, api->peck_waits, api->take_waits, api->follows};

    for (size_t i = 0; i < REQUEST_SLOTS; i++)
        for (size_t table = 0; table < sizeof tables / sizeof *tables; table++)
            ring_init(&tables[table][i]);
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        ring_init(&api->wheel[i]);
    ring_init(&api->directory_follows);
    ring_init(&api->audit_waits);
    ring_init(&api->wanted_waits);
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
    struct request *request = memory_resize(NULL, sizeof *request + REQUEST_ROOM);
    struct ring *const rings[] = {&request->by_id, &request->by_ticket, &request->shelf,
                                  &request->wheel, &request->touched,   &request->directory};

    memset(request, 0, sizeof *request);
    for (size_t i = 0; i < sizeof rings / sizeof *rings; i++)
        ring_init(rings[i]);
    /* Copies of what was bounded before. */
    arena_init_in(&request->memory, SIZE_MAX, request + 1, REQUEST_ROOM);
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

void local_disarm(struct request *request)
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
    local_disarm(request);
    ring_take_off(&request->by_id);
    ring_take_off(&request->by_ticket);
    ring_take_off(&request->shelf);
    ring_take_off(&request->touched);
    ring_take_off(&request->directory);
    arena_free(&request->memory);
    memory_give_back(request);
}

size_t local_shelf(const struct id *id)
{
    return ((size_t)id->bytes[0] << 8 | id->bytes[1]) % REQUEST_SLOTS; /* ids are hashes */
}

void local_shelve(struct request *request, struct ring *shelves, const struct id *awaited)
{
    request->awaited = *awaited;
    ring_put_last(&shelves[local_shelf(awaited)], &request->shelf);
}

void local_arm(struct request *request, uint64_t deadline_ms)
{
    struct local_api *api = request->client->api;
    uint64_t tick = deadline_ms / WHEEL_TICK_MS + 1;

    local_disarm(request);
    request->deadline_ms = deadline_ms;
    if (api->armed == 0)
        api->swept_tick = clock_now_ms() / WHEEL_TICK_MS;
    if (tick <= api->swept_tick) /* it is over already: the next tick ends it */
        tick = api->swept_tick + 1;
    ring_put_last(&api->wheel[tick % WHEEL_SLOTS], &request->wheel);
    api->armed++;
    if (tick < api->sweeper_tick)
        pthread_cond_signal(&api->for_sweeper);
}

uint64_t local_next_tick(const struct local_api *api)
{
    uint64_t tick = api->swept_tick + 1;

    if (api->armed == 0)
        return UINT64_MAX;
    while (tick < api->swept_tick + WHEEL_SLOTS && ring_is_alone(&api->wheel[tick % WHEEL_SLOTS]))
        tick++;
    return tick;
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
    local_refuse_until(request, code, message, field, 0);
}

void local_refuse_until(struct request *request, enum refusal_code code, const char *message,
                        const char *field, uint64_t retry_after_ms)
{
    Duck__Problem problem = DUCK__PROBLEM__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    problem.code = (char *)refusal_code_name(code);
    problem.message = (char *)(message ? message : "");
    problem.field = (char *)(field ? field : "");
    problem.retry_after_ms = retry_after_ms;
    reply.answer_case = DUCK__REPLY__ANSWER_PROBLEM;
    reply.problem = &problem;
    local_answer(request, &reply);
}

/* ---- how far ---- */

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

bool local_is_over(const struct request *request)
{
    return request->deadline_ms == 0 || clock_now_ms() >= request->deadline_ms;
}

/* ---- readers are asked ---- */

void local_ask_again(struct request *request)
{
    struct question *question = memory_take(sizeof *question);

    question->kind = request->kind == REQUEST_PARTIALS     ? QUESTION_PARTIALS
                     : request->kind == REQUEST_AUDIT_NEWS ? QUESTION_AUDIT_NEWS
                                                           : QUESTION_PECK;
    question->after = request->after;
    question->after_entry = request->after_entry;
    question->limit = request->limit;
    question->with_envelopes = request->with_envelopes;
    question->ticket = request->ticket;
    question->peck = request->awaited;
    question->duckling = request->duckling;
    question->box = request->box;
    question->replayed = request->replayed;
    request->asking = true;
    request->again = false;
    local_ask(request->client, question);
}

/* ---- deadlines ---- */

static void end_wait(struct request *request)
{
    local_disarm(request);
    switch (request->kind) {
    case REQUEST_SEND:
        local_answer_told(request);
        break;
    case REQUEST_TAKE:
        local_answer_nothing_taken(request);
        break;
    case REQUEST_WANTED:
        local_answer_nothing_wanted(request);
        break;
    case REQUEST_PECK:
    case REQUEST_PARTIALS:
    case REQUEST_AUDIT_NEWS:
        request->late = true;
        if (!request->asking)
            local_ask_again(request);
        break;
    case REQUEST_QUESTION:
    case REQUEST_ANSWER:
    case REQUEST_PARTIAL:
    case REQUEST_DECIDE:
    case REQUEST_HATCH:
    case REQUEST_ROTATE:
    case REQUEST_LOBSTER:
    case REQUEST_EXPORT:
    case REQUEST_GRANT:
    case REQUEST_ISSUE:
    case REQUEST_UNPECK:
    case REQUEST_BOND:
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
