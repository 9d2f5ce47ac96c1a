/* Pecks as readers see them: one with its receipts, those that were taken, and lists by box, state and who is at the other end. */
#include "core/binary_data.h"
#include "local_parts.h"
#include "store.h"
#include "wire/local.pb-c.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static ProtobufCBinaryData *list_for(struct local_view *view, const struct bytes *list,
                                     size_t count)
{
    ProtobufCBinaryData *copy = local_new(view, (count + 1) * sizeof *copy);

    for (size_t i = 0; i < count; i++)
        copy[i] = lent(list[i]);
    return copy;
}

/* ---- one peck ---- */

static void compose_receipt(struct local_view *view, const struct stored_peck *stored,
                            const struct stored_receipt *receipt, enum peck_detail detail,
                            Duck__ReceiptView *composed)
{
    bool by_target = id_equal(&receipt->signer, &stored->peck.to); /* else by the target's node */

    duck__receipt_view__init(composed);
    composed->kind = (char *)receipt_kind_name(receipt->kind);
    composed->state = (char *)peck_state_name(receipt->state);
    composed->at_ms = receipt->at_ms;
    composed->signer = local_id(view, by_target ? ID_DUCKLING : ID_NODE, &receipt->signer);
    if (detail != PECK_WHOLE)
        return;
    composed->envelope = lent(receipt->wire);
    composed->chain = lent(receipt->chain);
}

/* What became of it stands in the receipt. */
static void compose_outcome(struct local_view *view, const struct stored_receipt *receipt,
                            Duck__PeckView *composed)
{
    struct envelope envelope;
    struct receipt parsed;

    if (receipt->kind != RECEIPT_DONE ||
        envelope_parse(receipt->wire, ENVELOPE_RECEIPT, &view->scratch, &envelope) !=
            ENVELOPE_TAKEN ||
        receipt_parse(envelope.body, &view->scratch, &parsed) != RECEIPT_OK)
        return;
    composed->result = lent(parsed.result);
    composed->problem = lent(parsed.problem);
    composed->charged = parsed.charged;
}

static void compose_receipts(struct local_view *view, const struct stored_peck *stored,
                             enum peck_detail detail, Duck__PeckView *composed)
{
    composed->receipts = local_new(view, 2 * sizeof *composed->receipts);
    for (size_t i = 0; i < stored->receipt_count; i++) {
        composed->receipts[i] = local_new(view, sizeof **composed->receipts);
        compose_receipt(view, stored, &stored->receipts[i], detail, composed->receipts[i]);
        compose_outcome(view, &stored->receipts[i], composed);
    }
    composed->n_receipts = stored->receipt_count;
}

static Duck__PeckView *compose_peck(struct local_view *view, const struct stored_peck *stored,
                                    enum peck_detail detail)
{
    Duck__PeckView *composed = local_new(view, sizeof *composed);
    const struct peck *peck = &stored->peck;

    duck__peck_view__init(composed);
    composed->peck_id = local_id(view, ID_PECK, &peck->id);
    composed->box = stored->box;
    composed->from = local_id(view, ID_DUCKLING, &peck->from);
    composed->to = local_id(view, ID_DUCKLING, &peck->to);
    composed->kind = peck->kind;
    composed->action = lent(peck->action);
    composed->payload = lent(peck->payload);
    composed->scopes = list_for(view, peck->scopes, peck->scope_count);
    composed->n_scopes = peck->scope_count;
    composed->message = lent(peck->message);
    composed->thread = lent(peck->thread);
    composed->reply_to = local_id(view, ID_PECK, &peck->reply_to);
    composed->state = (char *)peck_state_name(stored->state);
    composed->created_ms = peck->created_ms;
    composed->expires_ms = peck->expires_ms;
    composed->changed_ms = stored->changed_ms;
    composed->attempt = stored->attempt;
    if (stored->place == TRAY_LEASED)
        composed->lease_until_ms = stored->lease_until_ms;
    composed->problem = lent(stored->problem);
    composed->refusal = local_text(view, stored->refusal);
    composed->retry_after_ms = stored->retry_after_ms;
    composed->held_by = local_new(view, PERCHES_PER_PECK * sizeof *composed->held_by);
    for (size_t i = 0; i < stored->held_count; i++)
        composed->held_by[i] = local_id(view, ID_NODE, &stored->held_by[i]);
    composed->n_held_by = stored->held_count;
    composed->trace = lent(peck->trace);
    if (stored->context) {
        composed->context = lent(stored->context->name);
        composed->context_id = local_id(view, ID_CERTIFICATE, &stored->context->id);
    }
    if (peck->kind == PECK_BOND_REQUEST && stored->state == PECK_APPROVED)
        composed->bond_id = local_id(view, ID_BOND, &peck->id);
    if (detail != PECK_FOR_AGENT)
        compose_receipts(view, stored, detail, composed);
    if (detail == PECK_WHOLE) {
        composed->envelope = lent(stored->wire);
        composed->chain = lent(chain_with_context(
            stored->chain, stored->context ? stored->context->wire : bytes_of(NULL, 0),
            &view->scratch));
        composed->grant = lent(peck->grant);
    }
    return composed;
}

bool local_view_peck(struct local_view *view, const struct question *question, void *reply,
                     enum peck_state *state, enum peck_kind *kind)
{
    struct stored_peck *stored = local_new(view, sizeof *stored);
    Duck__Reply *answer = reply;

    if (!store_view_peck(view->reader, &question->peck, question->box, &question->duckling,
                         &view->scratch, stored)) {
        local_problem(view, reply, REFUSAL_NOT_FOUND,
                      "no peck of this id was sent or received here", "peck_id");
        return false;
    }
    *state = stored->state;
    *kind = stored->peck.kind;
    answer->answer_case = DUCK__REPLY__ANSWER_PECK;
    answer->peck = compose_peck(view, stored, PECK_WHOLE);
    answer->peck->replayed = question->replayed;
    if (!id_is_zero(&question->bond))
        answer->peck->bond_id = local_id(view, ID_BOND, &question->bond);
    if (!id_is_zero(&question->waits_for))
        answer->peck->waits_for = local_id(view, ID_WANTED, &question->waits_for);
    return true;
}

/* ---- those that were handed out ---- */

static void keep(struct local_view *view, ProtobufCBinaryData *bytes)
{
    if (bytes->len > 0)
        *bytes = lent(arena_copy(&view->arena, borrowed(*bytes)));
}

/* One after the other, so that what the store gave for one is forgotten before the next: only
 * what the answer says is held for all of them. */
void local_view_taken(struct local_view *view, const struct id *pecks, size_t count, void *reply)
{
    struct stored_peck *stored = local_new(view, sizeof *stored);
    Duck__PeckList *list = local_new(view, sizeof *list);
    static const struct id anyone;
    Duck__Reply *answer = reply;

    duck__peck_list__init(list);
    list->pecks = local_new(view, (count + 1) * sizeof *list->pecks);
    for (size_t i = 0; i < count; i++) {
        Duck__PeckView *composed;

        arena_reset(&view->scratch);
        if (!store_view_peck(view->reader, &pecks[i], BOX_IN, &anyone, &view->scratch, stored))
            continue; /* a question of luck: it was done and forgotten meanwhile */
        composed = compose_peck(view, stored, PECK_FOR_AGENT);
        keep(view, &composed->action);
        keep(view, &composed->payload);
        keep(view, &composed->thread);
        keep(view, &composed->trace);
        keep(view, &composed->context);
        keep(view, &composed->message);
        composed->n_scopes = 0; /* actions have none, and nothing else is handed out */
        list->pecks[list->n_pecks++] = composed;
    }
    answer->answer_case = DUCK__REPLY__ANSWER_PECKS;
    answer->pecks = list;
}

/* ---- lists ---- */

static bool read_states(struct local_view *view, const Duck__PecksQuery *query,
                        struct pecks_filter *filter, void *reply)
{
    for (size_t i = 0; i < query->n_states; i++) {
        enum peck_state state;

        if (!peck_state_parse(bytes_of_text(query->states[i]), &state)) {
            local_problem(view, reply, REFUSAL_MALFORMED,
                          "a state is queued, sent, taken, pending, approved, denied, answered, "
                          "failed, expired or cancelled",
                          "states");
            return false;
        }
        filter->states |= 1u << state;
    }
    return true;
}

bool local_read_cursor(struct local_view *view, const char *cursor, uint64_t *place, void *reply)
{
    char *end;

    if (!*cursor)
        return true;
    errno = 0;
    *place = strtoull(cursor, &end, 10);
    if (*place > 0 && !errno && !*end && cursor[0] >= '0' && cursor[0] <= '9')
        return true;
    local_problem(view, reply, REFUSAL_MALFORMED, "a cursor is the next_cursor of the page before",
                  "cursor");
    return false;
}

char *local_cursor(struct local_view *view, uint64_t place)
{
    char *cursor = local_new(view, 24);

    snprintf(cursor, 24, "%llu", (unsigned long long)place);
    return cursor;
}

static bool read_filter(struct local_view *view, const Duck__PecksQuery *query,
                        struct pecks_filter *filter, void *reply)
{
    if (query->box > BOX_OUT) {
        local_problem(view, reply, REFUSAL_MALFORMED, "a box is 0 (both), 1 (in) or 2 (out)",
                      "box");
        return false;
    }
    if (query->limit > LOCAL_PAGE_MAX) {
        local_problem(view, reply, REFUSAL_MALFORMED, "a list is of at most 200", "limit");
        return false;
    }
    filter->box = (int)query->box;
    filter->limit = query->limit ? query->limit : LOCAL_PAGE;
    filter->thread = bytes_of_text(query->thread);
    return local_read_id(view, ID_DUCKLING, query->duckling, "duckling", &filter->duckling,
                         reply) &&
           local_read_id(view, ID_DUCKLING, query->with, "with", &filter->with, reply) &&
           read_states(view, query, filter, reply) &&
           local_read_cursor(view, query->cursor, &filter->before, reply);
}

/* The row of the peck that is named, in the box that is asked for; else in whichever came last. */
static bool read_after(struct local_view *view, const char *after, struct pecks_filter *filter,
                       void *reply)
{
    struct stored_peck stored;
    struct id peck;

    if (!*after)
        return true;
    if (!local_read_id(view, ID_PECK, after, "after", &peck, reply))
        return false;
    for (int box = BOX_IN; box <= BOX_OUT; box++)
        if ((filter->box == 0 || filter->box == box) &&
            store_view_peck(view->reader, &peck, box, &filter->duckling, &view->scratch, &stored) &&
            stored.sequence > filter->after)
            filter->after = stored.sequence;
    if (filter->after == 0)
        local_problem(view, reply, REFUSAL_NOT_FOUND, "no such peck is in this box", "after");
    return filter->after > 0;
}

void local_view_pecks(struct local_view *view, const void *asked, void *reply)
{
    const Duck__PecksQuery *query = asked;
    struct pecks_filter filter = {0};
    Duck__PeckList *list = local_new(view, sizeof *list);
    Duck__Reply *answer = reply;
    struct stored_peck *stored;
    size_t count, bytes = 0;
    bool is_cut;

    if (!read_filter(view, asked, &filter, reply) ||
        !read_after(view, query->after, &filter, reply))
        return;
    arena_reset(&view->scratch); /* a whole peck, which nobody needs any more */
    stored = local_new(view, filter.limit * sizeof *stored);
    count = store_view_pecks(view->reader, &filter, &view->scratch, stored);
    /* The store may have stopped for want of room: then there may be more. */
    is_cut = count == filter.limit || view->scratch.taken > VIEW_SCRATCH_MAX / 2;
    duck__peck_list__init(list);
    list->pecks = local_new(view, (count + 1) * sizeof *list->pecks);
    for (size_t i = 0; i < count && bytes < LOCAL_PAGE_BYTES; i++) {
        list->pecks[i] = compose_peck(view, &stored[i], PECK_IN_LIST);
        bytes += duck__peck_view__get_packed_size(list->pecks[i]);
        list->n_pecks++;
    }
    is_cut = is_cut || list->n_pecks < count;
    if (is_cut && list->n_pecks > 0)
        list->next_cursor = local_cursor(view, stored[list->n_pecks - 1].sequence);
    answer->answer_case = DUCK__REPLY__ANSWER_PECKS;
    answer->pecks = list;
}
