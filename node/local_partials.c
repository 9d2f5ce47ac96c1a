/* Answers that come in parts, as the local API tells them. */
#include "core/binary_data.h"
#include "local_parts.h"
#include "store.h"
#include "wire/local.pb-c.h"

/* What it says stands in the receipt. */
static Duck__PartialView *compose(struct local_view *view, const struct stored_partial *stored,
                                  bool with_envelope)
{
    Duck__PartialView *composed = local_new(view, sizeof *composed);
    struct envelope envelope;
    struct receipt receipt;

    duck__partial_view__init(composed);
    composed->number = stored->number;
    composed->at_ms = stored->at_ms;
    if (envelope_parse(stored->wire, ENVELOPE_RECEIPT, &view->scratch, &envelope) ==
            ENVELOPE_TAKEN &&
        receipt_parse(envelope.body, &view->scratch, &receipt) == RECEIPT_OK)
        composed->result = lent(receipt.result);
    if (with_envelope)
        composed->envelope = lent(stored->wire);
    return composed;
}

bool local_view_partials(struct local_view *view, const struct question *question, void *reply,
                         bool *is_news)
{
    struct partials_filter filter = {.peck = question->peck,
                                     .duckling = question->duckling,
                                     .box = question->box,
                                     .after = question->after,
                                     .limit = question->limit};
    struct stored_partials *stored = local_new(view, sizeof *stored);
    Duck__PartialList *list = local_new(view, sizeof *list);
    Duck__Reply *answer = reply;

    if (!store_view_partials(view->reader, &filter, &view->scratch, stored)) {
        local_problem(view, reply, REFUSAL_NOT_FOUND,
                      "no peck of this id was sent or received here", "peck_id");
        return false;
    }
    duck__partial_list__init(list);
    list->partials = local_new(view, (stored->count + 1) * sizeof *list->partials);
    for (size_t i = 0; i < stored->count; i++)
        list->partials[list->n_partials++] =
            compose(view, &stored->items[i], question->with_envelopes);
    list->state = (char *)peck_state_name(stored->state);
    list->is_done = peck_state_is_done(stored->state, stored->kind);
    list->held = stored->held;
    if (question->with_envelopes)
        list->chain = lent(stored->chain);
    answer->answer_case = DUCK__REPLY__ANSWER_PARTIALS;
    answer->partials = list;
    *is_news = list->n_partials > 0 || list->is_done;
    return true;
}
