/* What the runner of handlers said last. It is kept as it was packed, and unpacked for whoever
 * asks. Locks are named in local_parts.h. */
#include "core/binary_data.h"
#include "local_parts.h"
#include "wire/local.pb-c.h"

bool local_take_report(struct local_client *client, const void *report)
{
    struct local_api *api = client->api;
    const Duck__HandlersReport *said = report;
    size_t size = duck__handlers_report__get_packed_size(said);
    uint8_t *packed;

    if (said->n_handlers > LOCAL_HANDLERS_MAX)
        return false;
    packed = memory_take(size + 1);
    duck__handlers_report__pack(said, packed);
    memory_give_back((void *)(uintptr_t)api->handlers.packed.data);
    api->handlers.packed = bytes_of(packed, size);
    api->handlers.by = client;
    return true;
}

void local_reporter_left(struct local_client *client)
{
    if (client->api->handlers.by == client)
        client->api->handlers.by = NULL;
}

/* NULL: nothing was ever reported. */
static Duck__HandlersReport *read_report(struct local_api *api, struct arena *arena)
{
    Duck__HandlersReport *report = NULL;

    pthread_mutex_lock(&api->lock);
    if (api->handlers.packed.data)
        report = duck__handlers_report__unpack(
            arena_protobuf_allocator(arena), api->handlers.packed.size, api->handlers.packed.data);
    if (report)
        report->running = api->handlers.by != NULL;
    pthread_mutex_unlock(&api->lock);
    return report;
}

void local_view_handlers(struct local_view *view, void *reply)
{
    Duck__HandlersReport *report = read_report(view->api, &view->arena);
    Duck__Reply *answer = reply;

    if (!report) {
        report = local_new(view, sizeof *report);
        duck__handlers_report__init(report);
    }
    /* What ran under a runner that is gone was ended with it. */
    for (size_t i = 0; i < report->n_handlers && !report->running; i++)
        report->handlers[i]->running = 0;
    answer->answer_case = DUCK__REPLY__ANSWER_HANDLERS;
    answer->handlers = report;
}

void local_sum_handlers(struct local_api *api, struct local_handler_sums *sums)
{
    Duck__HandlersReport *report;
    struct arena arena;

    *sums = (struct local_handler_sums){0};
    arena_init(&arena, PARSE_BUDGET(LOCAL_FRAME_MAX));
    report = read_report(api, &arena);
    for (size_t i = 0; report && i < report->n_handlers; i++) {
        const Duck__HandlerView *handler = report->handlers[i];

        sums->configured++;
        sums->running += report->running ? handler->running : 0;
        sums->answered += handler->answered;
        sums->failed += handler->failed;
        sums->timed_out += handler->timed_out;
        sums->lost += handler->lost;
    }
    arena_free(&arena);
}
