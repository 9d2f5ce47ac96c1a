/* What waits for the signatures of ducklings that keep their own keys, as programs ask for it. A question for which
 * there is nothing waits until there is, and is then put to the loop again. Everything in this file is done under
 * the lock. */
#include "core/binary_data.h"
#include "local_parts.h"
#include "wire/local.pb-c.h"

#include <assert.h>

static Duck__WantedView *compose(struct request *request, const struct wanted *wanted)
{
    Duck__WantedView *view = arena_take(&request->memory, sizeof *view);
    char *texts = arena_take(&request->memory, 2 * ID_TEXT_SIZE);

    duck__wanted_view__init(view);
    view->id = (char *)id_text(ID_WANTED, &wanted->id, texts);
    view->number = wanted->number;
    view->type = (char *)envelope_type_name(wanted->type);
    view->body = lent(wanted->body);
    view->why = (char *)wanted->why;
    if (!id_is_zero(&wanted->peck))
        view->peck_id = (char *)id_text(ID_PECK, &wanted->peck, texts + ID_TEXT_SIZE);
    view->asked_ms = wanted->asked_ms;
    view->until_ms = wanted->until_ms;
    return view;
}

static void answer(struct request *request, const struct wanted *wanted, size_t count)
{
    Duck__WantedList list = DUCK__WANTED_LIST__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    list.n_wanted = count;
    list.wanted = arena_take(&request->memory, (count + 1) * sizeof *list.wanted);
    for (size_t i = 0; i < count; i++)
        list.wanted[i] = compose(request, &wanted[i]);
    reply.answer_case = DUCK__REPLY__ANSWER_WANTED;
    reply.wanted = &list;
    local_answer(request, &reply);
}

void local_answer_nothing_wanted(struct request *request)
{
    answer(request, NULL, 0);
}

/* All who wait for it are told at once, each everything: no more of it is made than somebody reads. */
void local_answer_wanted(struct request *request, const struct effect *effect)
{
    if (effect->reply.wanted_count > 0 && local_queued(request->client) > LOCAL_SEND_QUEUE_MAX) {
        local_refuse(request, REFUSAL_BUSY, "read the answers that were sent before", "");
        return;
    }
    if (effect->reply.wanted_count > 0 || local_is_over(request)) {
        answer(request, effect->reply.wanted, effect->reply.wanted_count);
        return;
    }
    request->awaited = request->duckling;
    ring_put_last(&request->client->api->wanted_waits, &request->shelf);
    local_arm(request, request->deadline_ms);
}

static void ask_again(struct local_api *api, const struct id *duckling)
{
    struct ring *next;

    for (struct ring *ring = api->wanted_waits.next; ring != &api->wanted_waits; ring = next) {
        struct request *request = RING_OWNER(ring, struct request, shelf);

        next = ring->next;
        if (!id_equal(&request->awaited, duckling))
            continue;
        ring_take_off(&request->shelf);
        local_disarm(request);
        if (inbox_share_give(request->client->share, local_wanted_again(request)) != 0)
            local_refuse(request, REFUSAL_BUSY, "too many orders of this program wait; try again",
                         "");
    }
}

void local_tell_wanted(struct local_api *api, const struct effect *effect)
{
    ask_again(api, &effect->wanted.duckling);
    local_follows_tell_wanted(api, effect);
}
