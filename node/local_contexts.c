/* Contexts of ducklings that live here. */
#include "core/binary_data.h"
#include "local_parts.h"
#include "store.h"
#include "wire/local.pb-c.h"

static Duck__ContextView *compose(struct local_view *view, const struct stored_context *stored)
{
    Duck__ContextView *composed = local_new(view, sizeof *composed);
    const struct context *context = &stored->context;

    duck__context_view__init(composed);
    composed->certificate_id = local_id(view, ID_CERTIFICATE, &context->id);
    composed->duckling = local_id(view, ID_DUCKLING, &context->identity);
    composed->context = lent(context->name);
    composed->scopes = local_new(view, context->scope_count * sizeof *composed->scopes);
    for (size_t i = 0; i < context->scope_count; i++)
        composed->scopes[i] = lent(context->scopes[i]);
    composed->n_scopes = context->scope_count;
    composed->issued_ms = context->issued_ms;
    composed->not_after_ms = context->not_after_ms;
    composed->revoked_ms = stored->revoked_ms;
    composed->public_key = lent(bytes_of(context->public_key.bytes, PUBLIC_KEY_SIZE));
    composed->envelope = lent(context->wire);
    return composed;
}

Duck__ContextView **local_contexts_of(struct local_view *view, const struct id *duckling,
                                      size_t *count)
{
    struct stored_context *stored = local_new(view, CONTEXTS_PER_DUCKLING_MAX * sizeof *stored);
    Duck__ContextView **contexts;

    *count = store_view_contexts(view->reader, duckling, &view->scratch, stored,
                                 CONTEXTS_PER_DUCKLING_MAX);
    contexts = local_new(view, (*count + 1) * sizeof *contexts);
    for (size_t i = 0; i < *count; i++)
        contexts[i] = compose(view, &stored[i]);
    return contexts;
}

void local_view_contexts(struct local_view *view, const void *asked, void *reply)
{
    const Duck__ContextsQuery *query = asked;
    Duck__ContextList *list = local_new(view, sizeof *list);
    Duck__Reply *answer = reply;
    struct id duckling = {0};

    if (!local_read_id(view, ID_DUCKLING, query->duckling, "duckling", &duckling, reply))
        return;
    duck__context_list__init(list);
    list->contexts = local_contexts_of(view, &duckling, &list->n_contexts);
    answer->answer_case = DUCK__REPLY__ANSWER_CONTEXTS;
    answer->contexts = list;
}
