/* Answers that are made of what the loop replied, and of nothing else. All under the lock. */
#include "core/binary_data.h"
#include "local_parts.h"
#include "wire/local.pb-c.h"

#include <assert.h>

void local_answer_hatched(struct request *request, const struct effect *effect)
{
    Duck__HatchAnswer answer = DUCK__HATCH_ANSWER__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;
    char duckling[ID_TEXT_SIZE], certificate[ID_TEXT_SIZE];

    answer.duckling_id = (char *)id_text(ID_DUCKLING, &effect->reply.duckling, duckling);
    answer.certificate_id =
        (char *)id_text(ID_CERTIFICATE, &effect->reply.certificate, certificate);
    answer.chain = lent(effect->reply.chain);
    reply.answer_case = DUCK__REPLY__ANSWER_HATCH;
    reply.hatch = &answer;
    local_answer(request, &reply);
}

void local_answer_rotated(struct request *request, const struct effect *effect)
{
    Duck__RotateAnswer answer = DUCK__ROTATE_ANSWER__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;
    bool is_node = id_equal(&effect->reply.duckling, &request->client->api->settings.node);
    char identity[ID_TEXT_SIZE], certificate[ID_TEXT_SIZE];

    answer.identity =
        (char *)id_text(is_node ? ID_NODE : ID_DUCKLING, &effect->reply.duckling, identity);
    answer.certificate_id =
        (char *)id_text(ID_CERTIFICATE, &effect->reply.certificate, certificate);
    answer.chain = lent(effect->reply.chain);
    reply.answer_case = DUCK__REPLY__ANSWER_ROTATE;
    reply.rotate = &answer;
    local_answer(request, &reply);
}

static Duck__LobsterView *compose_lobster(struct request *request, const struct lobster *lobster,
                                          struct bytes network)
{
    struct arena *memory = &request->memory;
    Duck__LobsterView *view = arena_take(memory, sizeof *view);
    char *texts = arena_take(memory, 3 * ID_TEXT_SIZE + LOBSTER_STRING_SIZE);

    duck__lobster_view__init(view);
    view->duckling = (char *)id_text(ID_DUCKLING, &lobster->here, texts);
    view->with = (char *)id_text(ID_DUCKLING, &lobster->there, texts + ID_TEXT_SIZE);
    view->state = (char *)lobster_state_name(lobster->state);
    view->lease_ms = lobster->lease_ms;
    view->until_ms = lobster_end_ms(lobster);
    view->began_here = lobster->began_here;
    view->confirmed_there = lobster->there_until_ms > 0;
    if (lobster->state < LOBSTER_SHOWN)
        return view;
    view->string = (char *)lobster_string(lobster, network, texts + 2 * ID_TEXT_SIZE);
    view->bond_id =
        (char *)id_text(ID_BOND, &lobster->id, texts + 2 * ID_TEXT_SIZE + LOBSTER_STRING_SIZE);
    return view;
}

void local_answer_lobsters(struct request *request, const struct effect *effect)
{
    Duck__LobsterList list = DUCK__LOBSTER_LIST__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    list.n_lobsters = effect->reply.lobster_count;
    list.lobsters =
        arena_take(&request->memory, (list.n_lobsters + 1) * sizeof(Duck__LobsterView *));
    for (size_t i = 0; i < list.n_lobsters; i++)
        list.lobsters[i] =
            compose_lobster(request, &effect->reply.lobsters[i], effect->reply.network);
    reply.answer_case = DUCK__REPLY__ANSWER_LOBSTERS;
    reply.lobsters = &list;
    local_answer(request, &reply);
}

void local_answer_granted(struct request *request, const struct effect *effect)
{
    Duck__GrantAnswer answer = DUCK__GRANT_ANSWER__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;

    answer.grant = lent(effect->reply.grant);
    reply.answer_case = DUCK__REPLY__ANSWER_MADE_GRANT;
    reply.made_grant = &answer;
    local_answer(request, &reply);
}

void local_answer_issued(struct request *request, const struct effect *effect)
{
    Duck__ContextView answer = DUCK__CONTEXT_VIEW__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;
    ProtobufCBinaryData scopes[CERTIFICATE_SCOPES_MAX];
    char certificate[ID_TEXT_SIZE], duckling[ID_TEXT_SIZE];
    struct context context;

    if (context_read(effect->reply.context, &request->memory, &context) != CONTEXT_OK)
        assert(!"what was issued can be read");
    answer.certificate_id = (char *)id_text(ID_CERTIFICATE, &context.id, certificate);
    answer.duckling = (char *)id_text(ID_DUCKLING, &context.identity, duckling);
    answer.context = lent(context.name);
    for (size_t i = 0; i < context.scope_count; i++)
        scopes[i] = lent(context.scopes[i]);
    answer.scopes = scopes;
    answer.n_scopes = context.scope_count;
    answer.issued_ms = context.issued_ms;
    answer.not_after_ms = context.not_after_ms;
    answer.public_key = lent(bytes_of(context.public_key.bytes, PUBLIC_KEY_SIZE));
    answer.envelope = lent(context.wire);
    reply.answer_case = DUCK__REPLY__ANSWER_ISSUED;
    reply.issued = &answer;
    local_answer(request, &reply);
}

void local_answer_exported(struct request *request, const struct effect *effect)
{
    Duck__ExportAnswer answer = DUCK__EXPORT_ANSWER__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;
    bool is_node = id_equal(&effect->reply.duckling, &request->client->api->settings.node);
    char identity[ID_TEXT_SIZE], certificate[ID_TEXT_SIZE];

    answer.identity =
        (char *)id_text(is_node ? ID_NODE : ID_DUCKLING, &effect->reply.duckling, identity);
    answer.certificate_id =
        (char *)id_text(ID_CERTIFICATE, &effect->reply.certificate, certificate);
    answer.jws = (char *)(uintptr_t)effect->reply.jws.data;
    reply.answer_case = DUCK__REPLY__ANSWER_EXPORT;
    reply.export = &answer;
    local_answer(request, &reply);
}

void local_answer_unpecked(struct request *request, const struct effect *effect)
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

void local_answer_partial(struct request *request, const struct effect *effect)
{
    Duck__PartialView view = DUCK__PARTIAL_VIEW__INIT;
    Duck__Reply reply = DUCK__REPLY__INIT;
    char waits_for[ID_TEXT_SIZE];

    if (!id_is_zero(&effect->reply.waits_for))
        view.waits_for = (char *)id_text(ID_WANTED, &effect->reply.waits_for, waits_for);
    view.number = effect->reply.number;
    reply.answer_case = DUCK__REPLY__ANSWER_PARTIAL;
    reply.partial = &view;
    local_answer(request, &reply);
}
