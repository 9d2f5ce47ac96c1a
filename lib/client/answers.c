/* The wire's byte strings have no NUL behind them, C's strings do: so all text of an answer is
 * copied once, when the answer is made, and reading it takes no lock and cannot fail. */
#include "answers.h"

#include "core/bytes.h"
#include "duck_client.h"
#include "duck_key.h"
#include "wire/local.pb-c.h"

struct duck_answer {
    Duck__Reply *reply;
    struct arena memory;
    struct duck_item *items;
    size_t item_count;
    struct duck_entry *entries;
    size_t entry_count;
    struct duck_bond *bonds;
    size_t bond_count;
    struct duck_partial *partials;
    size_t partial_count;
    struct duck_context *contexts;
    size_t context_count;
};

static const char *text_of(struct arena *memory, ProtobufCBinaryData bytes)
{
    char *text = arena_take(memory, bytes.len + 1);

    if (bytes.len > 0)
        memcpy(text, bytes.data, bytes.len);
    text[bytes.len] = 0;
    return text;
}

static const char *const *texts_of(struct arena *memory, const ProtobufCBinaryData *bytes,
                                   size_t count)
{
    const char **texts = arena_take(memory, (count + 1) * sizeof *texts);

    for (size_t i = 0; i < count; i++)
        texts[i] = text_of(memory, bytes[i]);
    texts[count] = NULL;
    return texts;
}

static void read_item(struct arena *memory, const Duck__PeckView *view, struct duck_item *item)
{
    *item = (struct duck_item){
        .peck_id = view->peck_id,
        .from = view->from,
        .to = view->to,
        .action = text_of(memory, view->action),
        .payload = text_of(memory, view->payload),
        .message = text_of(memory, view->message),
        .thread = text_of(memory, view->thread),
        .reply_to = view->reply_to,
        .state = view->state,
        .result = text_of(memory, view->result),
        .problem = text_of(memory, view->problem),
        .incoming = view->box == 1,
        .bond_request = view->kind == 2,
        .attempt = view->attempt,
        .created_ms = view->created_ms,
        .expires_ms = view->expires_ms,
        .scopes = texts_of(memory, view->scopes, view->n_scopes),
        .scope_count = view->n_scopes,
        .context = text_of(memory, view->context),
        .context_id = view->context_id,
    };
}

static void read_entry(struct arena *memory, const Duck__DirectoryEntry *view,
                       struct duck_entry *entry)
{
    *entry = (struct duck_entry){
        .duckling = view->duckling,
        .display_name = text_of(memory, view->display_name),
        .bio = text_of(memory, view->bio),
        .host = view->host,
        .capabilities = texts_of(memory, view->capabilities, view->n_capabilities),
        .capability_count = view->n_capabilities,
        .accepts_pecks = view->accepts_pecks,
        .host_linked = view->host_linked,
        .tier = view->tier,
        .seen_ms = view->seen_ms,
    };
}

static void read_terms(struct arena *memory, const Duck__BondTerms *view, struct duck_terms *terms)
{
    if (!view)
        return; /* of a bond that has ended */
    *terms = (struct duck_terms){
        .per_minute = view->per_minute,
        .per_day = view->per_day,
        .budget = view->budget,
        .rounds = view->rounds,
        .cool_down_ms = view->cool_down_ms,
        .muted_until_ms = view->muted_until_ms,
        .stop_words = texts_of(memory, view->stop_words, view->n_stop_words),
        .stop_word_count = view->n_stop_words,
    };
}

static void read_bonds(struct duck_answer *answer, Duck__BondView *const *views, size_t count)
{
    answer->bonds = arena_take(&answer->memory, count * sizeof *answer->bonds);
    answer->bond_count = count;
    for (size_t i = 0; i < count; i++) {
        answer->bonds[i] = (struct duck_bond){
            .bond_id = views[i]->bond_id,
            .duckling = views[i]->duckling,
            .with = views[i]->with,
            .health = views[i]->health,
            .scopes = texts_of(&answer->memory, views[i]->scopes, views[i]->n_scopes),
            .scope_count = views[i]->n_scopes,
            .requested_here = views[i]->requested_here,
            .made_ms = views[i]->made_ms,
            .not_after_ms = views[i]->not_after_ms,
            .terms_ms = views[i]->terms_ms,
            .used_today = views[i]->used_today,
            .spent = views[i]->spent,
        };
        read_terms(&answer->memory, views[i]->terms, &answer->bonds[i].terms);
    }
}

static void read_items(struct duck_answer *answer, Duck__PeckView *const *views, size_t count)
{
    answer->items = arena_take(&answer->memory, count * sizeof *answer->items);
    answer->item_count = count;
    for (size_t i = 0; i < count; i++)
        read_item(&answer->memory, views[i], &answer->items[i]);
}

static void read_partials(struct duck_answer *answer, const Duck__PartialList *list)
{
    answer->partials = arena_take(&answer->memory, list->n_partials * sizeof *answer->partials);
    answer->partial_count = list->n_partials;
    for (size_t i = 0; i < list->n_partials; i++)
        answer->partials[i] =
            (struct duck_partial){.result = text_of(&answer->memory, list->partials[i]->result),
                                  .number = list->partials[i]->number,
                                  .at_ms = list->partials[i]->at_ms};
}

static void read_contexts(struct duck_answer *answer, Duck__ContextView *const *views, size_t count)
{
    answer->contexts = arena_take(&answer->memory, count * sizeof *answer->contexts);
    answer->context_count = count;
    for (size_t i = 0; i < count; i++)
        answer->contexts[i] = (struct duck_context){
            .certificate_id = views[i]->certificate_id,
            .duckling = views[i]->duckling,
            .name = text_of(&answer->memory, views[i]->context),
            .scopes = texts_of(&answer->memory, views[i]->scopes, views[i]->n_scopes),
            .scope_count = views[i]->n_scopes,
            .issued_ms = views[i]->issued_ms,
            .not_after_ms = views[i]->not_after_ms,
            .revoked_ms = views[i]->revoked_ms,
        };
}

static void read_entries(struct duck_answer *answer, const Duck__DirectoryList *list)
{
    answer->entries = arena_take(&answer->memory, list->n_entries * sizeof *answer->entries);
    answer->entry_count = list->n_entries;
    for (size_t i = 0; i < list->n_entries; i++)
        read_entry(&answer->memory, list->entries[i], &answer->entries[i]);
}

struct duck_answer *answer_new(Duck__Reply *reply)
{
    struct duck_answer *answer = memory_take(sizeof *answer);

    answer->reply = reply;
    arena_init(&answer->memory, SIZE_MAX);
    if (reply->answer_case == DUCK__REPLY__ANSWER_PECK)
        read_items(answer, &reply->peck, 1);
    else if (reply->answer_case == DUCK__REPLY__ANSWER_PECKS)
        read_items(answer, reply->pecks->pecks, reply->pecks->n_pecks);
    else if (reply->answer_case == DUCK__REPLY__ANSWER_DIRECTORY)
        read_entries(answer, reply->directory);
    else if (reply->answer_case == DUCK__REPLY__ANSWER_BOND)
        read_bonds(answer, &reply->bond, 1);
    else if (reply->answer_case == DUCK__REPLY__ANSWER_BONDS)
        read_bonds(answer, reply->bonds->bonds, reply->bonds->n_bonds);
    else if (reply->answer_case == DUCK__REPLY__ANSWER_PARTIALS)
        read_partials(answer, reply->partials);
    else if (reply->answer_case == DUCK__REPLY__ANSWER_ISSUED)
        read_contexts(answer, &reply->issued, 1);
    else if (reply->answer_case == DUCK__REPLY__ANSWER_CONTEXTS)
        read_contexts(answer, reply->contexts->contexts, reply->contexts->n_contexts);
    return answer;
}

void duck_answer_free(struct duck_answer *answer)
{
    if (!answer)
        return;
    duck__reply__free_unpacked(answer->reply, NULL);
    arena_free(&answer->memory);
    memory_give_back(answer);
}

static const Duck__Problem *problem_of(const struct duck_answer *answer)
{
    return answer->reply->answer_case == DUCK__REPLY__ANSWER_PROBLEM ? answer->reply->problem
                                                                     : NULL;
}

bool duck_ok(const struct duck_answer *answer)
{
    return !problem_of(answer);
}

const char *duck_code(const struct duck_answer *answer)
{
    const Duck__Problem *problem = problem_of(answer);

    return problem ? problem->code : "";
}

const char *duck_message(const struct duck_answer *answer)
{
    const Duck__Problem *problem = problem_of(answer);

    return problem ? problem->message : "";
}

const char *duck_field(const struct duck_answer *answer)
{
    const Duck__Problem *problem = problem_of(answer);

    return problem ? problem->field : "";
}

const char *duck_hatched_id(const struct duck_answer *answer)
{
    return answer->reply->answer_case == DUCK__REPLY__ANSWER_HATCH
               ? answer->reply->hatch->duckling_id
               : "";
}

size_t duck_count(const struct duck_answer *answer)
{
    return answer->item_count + answer->entry_count; /* an answer holds one kind or the other */
}

bool duck_item(const struct duck_answer *answer, size_t index, struct duck_item *item)
{
    if (index >= answer->item_count)
        return false;
    *item = answer->items[index];
    return true;
}

bool duck_entry(const struct duck_answer *answer, size_t index, struct duck_entry *entry)
{
    if (index >= answer->entry_count)
        return false;
    *entry = answer->entries[index];
    return true;
}

const char *duck_peck_id(const struct duck_answer *answer)
{
    return answer->item_count > 0 ? answer->items[0].peck_id : "";
}

const char *duck_peck_state(const struct duck_answer *answer)
{
    return answer->item_count > 0 ? answer->items[0].state : "";
}

const char *duck_peck_result(const struct duck_answer *answer)
{
    return answer->item_count > 0 ? answer->items[0].result : "";
}

const char *duck_next_cursor(const struct duck_answer *answer)
{
    if (answer->reply->answer_case == DUCK__REPLY__ANSWER_DIRECTORY)
        return answer->reply->directory->next_cursor;
    if (answer->reply->answer_case == DUCK__REPLY__ANSWER_PECKS)
        return answer->reply->pecks->next_cursor;
    return "";
}

/* ---- answers that come in parts ---- */

size_t duck_partial_count(const struct duck_answer *answer)
{
    return answer->partial_count;
}

bool duck_partial(const struct duck_answer *answer, size_t index, struct duck_partial *partial)
{
    if (index >= answer->partial_count)
        return false;
    *partial = answer->partials[index];
    return true;
}

bool duck_partials_end(const struct duck_answer *answer, uint32_t had)
{
    return answer->reply->answer_case == DUCK__REPLY__ANSWER_PARTIALS &&
           answer->reply->partials->is_done && answer->reply->partials->held <= had;
}

uint32_t duck_partial_number(const struct duck_answer *answer)
{
    return answer->reply->answer_case == DUCK__REPLY__ANSWER_PARTIAL
               ? answer->reply->partial->number
               : 0;
}

/* ---- contexts ---- */

size_t duck_context_count(const struct duck_answer *answer)
{
    return answer->context_count;
}

bool duck_context(const struct duck_answer *answer, size_t index, struct duck_context *context)
{
    if (index >= answer->context_count)
        return false;
    *context = answer->contexts[index];
    return true;
}

/* ---- bonds, and what they refuse ---- */

size_t duck_bond_count(const struct duck_answer *answer)
{
    return answer->bond_count;
}

bool duck_bond(const struct duck_answer *answer, size_t index, struct duck_bond *bond)
{
    if (index >= answer->bond_count)
        return false;
    *bond = answer->bonds[index];
    return true;
}

const char *duck_peck_refusal(const struct duck_answer *answer)
{
    return answer->reply->answer_case == DUCK__REPLY__ANSWER_PECK ? answer->reply->peck->refusal
                                                                  : "";
}

uint64_t duck_retry_after_ms(const struct duck_answer *answer)
{
    if (answer->reply->answer_case == DUCK__REPLY__ANSWER_PROBLEM)
        return answer->reply->problem->retry_after_ms;
    return answer->reply->answer_case == DUCK__REPLY__ANSWER_PECK
               ? answer->reply->peck->retry_after_ms
               : 0;
}

/* ---- what waits for signatures ---- */

size_t duck_wanted_count(const struct duck_answer *answer)
{
    return answer->reply->answer_case == DUCK__REPLY__ANSWER_WANTED
               ? answer->reply->wanted->n_wanted
               : 0;
}

bool duck_wanted_item(const struct duck_answer *answer, size_t index, struct duck_wanted *wanted)
{
    const Duck__WantedView *view;

    if (index >= duck_wanted_count(answer))
        return false;
    view = answer->reply->wanted->wanted[index];
    *wanted = (struct duck_wanted){.id = view->id,
                                   .type = view->type,
                                   .why = view->why,
                                   .peck_id = view->peck_id,
                                   .body = view->body.data,
                                   .body_size = view->body.len,
                                   .number = view->number,
                                   .asked_ms = view->asked_ms,
                                   .until_ms = view->until_ms};
    return true;
}

const char *duck_waits_for(const struct duck_answer *answer)
{
    switch ((int)answer->reply->answer_case) {
    case DUCK__REPLY__ANSWER_PECK:
        return answer->reply->peck->waits_for;
    case DUCK__REPLY__ANSWER_PARTIAL:
        return answer->reply->partial->waits_for;
    case DUCK__REPLY__ANSWER_BOND:
        return answer->reply->bond->waits_for;
    case DUCK__REPLY__ANSWER_DONE:
        return answer->reply->done->waits_for;
    default:
        return "";
    }
}
