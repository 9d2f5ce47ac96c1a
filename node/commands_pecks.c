/* Pecks, from the command line. */
#include "client/duck_client.h"
#include "client/duck_grant.h"
#include "client/duck_key.h"
#include "commands.h"
#include "core/binary_data.h"
#include "wire/local.pb-c.h"

#include <inttypes.h>
#include <stdlib.h>

#define SCOPES_MAX FLAGS_MAX /* the node says how many it takes */
#define DEFAULT_WAIT_MS 10000u

/* ---- printing ---- */

static void print_line(const char *label, const ProtobufCBinaryData *data)
{
    if (data->len == 0)
        return;
    printf("  %-9s ", label);
    show_line(stdout, borrowed(*data));
    putchar('\n');
}

static void print_lines(const char *label, const ProtobufCBinaryData *data)
{
    if (data->len == 0)
        return;
    printf("  %-9s ", label);
    show_lines(stdout, borrowed(*data));
    putchar('\n');
}

static void print_context(const Duck__PeckView *peck)
{
    printf("  %-9s ", "context");
    show_line(stdout, borrowed(peck->context));
    printf(", %s\n", peck->context_id);
}

static void print_peck(const Duck__PeckView *peck)
{
    char created[32];

    printf("%s  %-9s %s %s -> %s\n", peck->peck_id, peck->state, peck->box == 1 ? "in " : "out",
           peck->from, peck->to);
    if (peck->created_ms) /* who answers one is not told again when it was made */
        printf("  %-9s %s\n", "created", time_text(peck->created_ms, created));
    print_line("action", &peck->action);
    print_line("payload", &peck->payload);
    for (size_t i = 0; i < peck->n_scopes; i++)
        print_line("scope", &peck->scopes[i]);
    print_lines("message", &peck->message);
    if (peck->context.len > 0)
        print_context(peck);
    print_line("result", &peck->result);
    print_lines("problem", &peck->problem);
    if (peck->refusal[0])
        printf("  %-9s %s\n", "refusal", peck->refusal);
    if (peck->retry_after_ms)
        printf("  %-9s %s\n", "try again",
               time_text(peck->changed_ms + peck->retry_after_ms, created));
    for (size_t i = 0; i < peck->n_held_by; i++)
        printf("  %-9s %s\n", "held by", peck->held_by[i]);
    if (peck->charged)
        printf("  %-9s %" PRIu64 " units\n", "charged", peck->charged);
    for (size_t i = 0; i < peck->n_receipts; i++)
        printf("  %-9s %s by %s at %s\n", peck->receipts[i]->kind, peck->receipts[i]->state,
               peck->receipts[i]->signer, time_text(peck->receipts[i]->at_ms, created));
    if (peck->bond_id[0])
        printf("  %-9s %s\n", "bond", peck->bond_id);
    if (peck->waits_for[0])
        printf("  nothing is done before its target signs %s: ducknode sign\n", peck->waits_for);
}

static const char *done_text(const Duck__Done *done)
{
    if (!done->state[0])
        return "done";
    return strcmp(done->state, "cancelled") == 0 ? "cancelled"
                                                 : "its target's node is asked to end it";
}

static int show(struct call *call, Duck__Request *request)
{
    Duck__Reply *reply;
    int result;

    reply = ask(call, request, &result);
    if (!reply)
        return result;
    if (reply->answer_case == DUCK__REPLY__ANSWER_PECKS) {
        if (call->json)
            print_json(json_of_message(reply->pecks));
        for (size_t i = 0; !call->json && i < reply->pecks->n_pecks; i++)
            print_peck(reply->pecks->pecks[i]);
        if (!call->json && reply->pecks->n_pecks == 0)
            printf("no pecks\n");
        if (!call->json && reply->pecks->next_cursor[0])
            printf("more: --cursor %s\n", reply->pecks->next_cursor);
    } else if (reply->answer_case == DUCK__REPLY__ANSWER_PECK) {
        if (call->json)
            print_json(json_of_message(reply->peck));
        else
            print_peck(reply->peck);
    } else if (call->json) {
        print_json(json_of_message(reply->done));
    } else {
        printf("%s\n", done_text(reply->done));
    }
    duck_reply_free(reply);
    return 0;
}

/* ---- answers that come in parts ---- */

static void print_partial(const Duck__PartialView *partial)
{
    printf("%u\t", partial->number);
    show_line(stdout, borrowed(partial->result));
    putchar('\n');
}

/* A line each, as it comes; in JSON too, so that a program can read them one by one. */
static void print_partials(const struct call *call, const Duck__PartialList *list, uint32_t *after)
{
    for (size_t i = 0; i < list->n_partials; i++) {
        const Duck__PartialView *partial = list->partials[i];

        if (call->json)
            print_json(json_of_message(partial));
        else
            print_partial(partial);
        *after = partial->number;
    }
    fflush(stdout);
}

/* Until the peck is done, which is then shown. */
static int stream(struct call *call, const char *peck_id, uint32_t after)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__PartialsQuery query = DUCK__PARTIALS_QUERY__INIT;
    Duck__PeckQuery one = DUCK__PECK_QUERY__INIT;
    bool is_over = false;

    query.peck_id = one.peck_id = lent_text(peck_id);
    query.wait_ms = WAIT_MAX_MS;
    request.order_case = DUCK__REQUEST__ORDER_PARTIALS;
    request.partials = &query;
    while (!is_over) {
        Duck__Reply *reply;
        int result;

        query.after = after;
        reply = ask(call, &request, &result);
        if (!reply)
            return result;
        print_partials(call, reply->partials, &after);
        is_over = reply->partials->is_done && reply->partials->held <= after;
        duck_reply_free(reply);
    }
    request = (Duck__Request)DUCK__REQUEST__INIT;
    request.order_case = DUCK__REQUEST__ORDER_PECK;
    request.peck = &one;
    return show(call, &request);
}

static int send_and_stream(struct call *call, Duck__Request *request)
{
    Duck__Reply *reply;
    char peck_id[ID_TEXT_SIZE];
    int result;

    request->send->wait_for = DUCK__WAIT_FOR__WAIT_QUEUED;
    request->send->wait_ms = 0;
    reply = ask(call, request, &result);
    if (!reply)
        return result;
    snprintf(peck_id, sizeof peck_id, "%s", reply->peck->peck_id);
    duck_reply_free(reply);
    if (!call->json)
        printf("%s\n", peck_id); /* should the rest be cut off: `ducknode pecks --stream` */
    fflush(stdout);
    return stream(call, peck_id, 0);
}

static int answer_partly(struct call *call, const char *json)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__PartialOrder order = DUCK__PARTIAL_ORDER__INIT;
    uint64_t number = 0;
    Duck__Reply *reply;
    int result;

    if (!call_number(call, "number", &number))
        return 2;
    order.duckling = lent_text("");
    order.peck_id = lent_text(call->arguments[0]);
    order.result = lent_bytes(json);
    order.number = (uint32_t)(number > UINT32_MAX ? UINT32_MAX : number);
    request.order_case = DUCK__REQUEST__ORDER_PARTIAL;
    request.partial = &order;
    reply = ask(call, &request, &result);
    if (!reply)
        return result;
    if (call->json)
        print_json(json_of_message(reply->partial));
    else
        printf("number %u\n", reply->partial->number);
    duck_reply_free(reply);
    return 0;
}

/* ---- commands ---- */

static const struct command_flag peck_flags[] = {
    {"from", "DUCKLING", "who sends; needed"},
    {"action", "NAME", "what is asked for (default: query)"},
    {"bond", "SCOPE", "ask for a bond with this scope instead (repeatable)"},
    {"message", "TEXT", "of a bond request"},
    {"thread", "TEXT", "the conversation it belongs to"},
    {"reply-to", "PECK", "the peck that it answers"},
    {"key", "TEXT", "idempotency key: the same key sends once"},
    {"expires-in", "SECONDS",
     "how long it may take (default: a day; an owner has ten minutes of it)"},
    {"key-file", "FILE", "of a duckling that keeps its own key: the peck is signed with it, here"},
    {"grant", "FILE", "a grant of the target that lets the sender do this (see `ducknode grant`)"},
    {"context", "NAME|CRT",
     "a context of the sender, whose key signs (see `ducknode certificate issue`)"},
    {"wait", "SECONDS", "for the answer, at most 30 (default: 10; 0: do not wait)"},
    {"stream", NULL, "print the parts of the answer as they come, then the whole of it"},
    {NULL, NULL, NULL},
};

/* The network of the node that sends it: nowhere else would it be taken. NULL: *status, said why. */
static char *network_of_node(struct call *call, int *status)
{
    Duck__StatusQuery query = DUCK__STATUS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;
    char *network;

    request.order_case = DUCK__REQUEST__ORDER_STATUS;
    request.status = &query;
    reply = ask(call, &request, status);
    if (!reply)
        return NULL;
    network = memory_copy(reply->status->network, strlen(reply->status->network) + 1);
    duck_reply_free(reply);
    return network;
}

/* The same peck, made and signed here. */
static int send_own(struct call *call, const Duck__SendOrder *send, const char *const *scopes,
                    const char *payload)
{
    struct duck_peck peck = {.from = call_flag(call, "from"),
                             .to = send->to,
                             .scopes = scopes,
                             .scope_count = send->n_scopes,
                             .message = call_flag(call, "message"),
                             .thread = call_flag(call, "thread"),
                             .reply_to = call_flag(call, "reply-to"),
                             .idempotency_key = call_flag(call, "key"),
                             .context = call_flag(call, "context"),
                             .expires_in_ms = send->expires_in_ms};
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__SendOrder order = DUCK__SEND_ORDER__INIT;
    struct duck_grant *grant = NULL;
    struct duck_made_peck *made;
    struct duck_holder *holder;
    const char *problem = "";
    char *network = NULL;
    int status = 0;

    if (send->n_scopes == 0) {
        peck.action = call_has(call, "action") ? call_flag(call, "action") : "query";
        peck.payload = payload;
    }
    if (call_has(call, "grant")) {
        grant = call_grant(call, call_flag(call, "grant"), &status);
        if (!grant)
            return status;
        peck.grant = duck_grant_text(grant);
    }
    holder = call_holder(call, &status);
    network = holder ? network_of_node(call, &status) : NULL;
    made = network ? duck_peck_make(holder, network, &peck, &problem) : NULL;
    if (made) {
        order.from = lent_text(duck_holder_id(holder));
        order.made.data = (uint8_t *)(uintptr_t)duck_made_bytes(made, &order.made.len);
        order.wait_for = send->wait_for;
        order.wait_ms = send->wait_ms;
        request.order_case = DUCK__REQUEST__ORDER_SEND;
        request.send = &order;
        status = call_has(call, "stream") ? send_and_stream(call, &request) : show(call, &request);
    } else if (network) {
        status = fail(call, "malformed", "%s", problem);
    }
    memory_give_back(network);
    duck_made_free(made);
    duck_holder_free(holder);
    duck_grant_free(grant);
    return status;
}

static int send_peck(struct call *call, Duck__Request *request)
{
    struct duck_grant *grant;
    int status;

    if (!call_has(call, "grant"))
        return call_has(call, "stream") ? send_and_stream(call, request) : show(call, request);
    grant = call_grant(call, call_flag(call, "grant"), &status);
    if (!grant)
        return status;
    request->send->grant.data =
        (uint8_t *)(uintptr_t)duck_grant_bytes(grant, &request->send->grant.len);
    status = call_has(call, "stream") ? send_and_stream(call, request) : show(call, request);
    duck_grant_free(grant);
    return status;
}

static int peck(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__SendOrder send = DUCK__SEND_ORDER__INIT;
    ProtobufCBinaryData scopes[SCOPES_MAX];
    const char *names[SCOPES_MAX];
    uint64_t wait_ms = DEFAULT_WAIT_MS, expires_ms = 0;
    const char *payload;

    if (!call_seconds(call, "wait", &wait_ms) || !call_seconds(call, "expires-in", &expires_ms) ||
        !call_json(call, 1, &payload))
        return 2;
    if (!call_has(call, "from") && !call_has(call, "key-file"))
        return misused(call, "--from says who sends");
    if (call_has(call, "expires-in") && expires_ms == 0)
        return misused(call, "--expires-in is at least 1");
    send.n_scopes = call_flags(call, "bond", names, SCOPES_MAX);
    for (size_t i = 0; i < send.n_scopes; i++)
        scopes[i] = lent_bytes(names[i]);
    send.scopes = scopes;
    send.from = lent_text(call_flag(call, "from"));
    send.to = lent_text(call->arguments[0]);
    send.kind = send.n_scopes ? 2 : 1;
    if (send.n_scopes == 0) {
        send.action = lent_bytes(call_has(call, "action") ? call_flag(call, "action") : "query");
        send.payload = lent_bytes(payload);
    }
    send.message = lent_bytes(call_flag(call, "message"));
    send.thread = lent_bytes(call_flag(call, "thread"));
    send.reply_to = lent_text(call_flag(call, "reply-to"));
    send.idempotency_key = lent_bytes(call_flag(call, "key"));
    send.context = lent_bytes(call_flag(call, "context"));
    send.expires_in_ms = expires_ms;
    send.wait_for = wait_ms ? DUCK__WAIT_FOR__WAIT_DONE : DUCK__WAIT_FOR__WAIT_QUEUED;
    send.wait_ms = wait_ms;
    if (call_has(call, "key-file"))
        return send_own(call, &send, names, payload);
    request.order_case = DUCK__REQUEST__ORDER_SEND;
    request.send = &send;
    return send_peck(call, &request);
}

static const struct command_flag pecks_flags[] = {
    {"duckling", "DUCKLING", "only this one's"},
    {"box", "in|out", "only those received, or sent"},
    {"state", "STATE", "only in this state (repeatable)"},
    {"with", "DUCKLING", "only with this one at the other end"},
    {"limit", "N", "at most so many (default: 50)"},
    {"cursor", "TEXT", "go on where a page ended"},
    {"stream", NULL, "of one: print the parts of its answer as they come"},
    {"after", "N", "with --stream: only those with higher numbers"},
    {NULL, NULL, NULL},
};

static int pecks(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__PecksQuery query = DUCK__PECKS_QUERY__INIT;
    Duck__PeckQuery one = DUCK__PECK_QUERY__INIT;
    const char *box = call_flag(call, "box"), *states[SCOPES_MAX];
    uint64_t limit = 0, after = 0;

    if (!call_number(call, "limit", &limit) || !call_number(call, "after", &after))
        return 2;
    if (call->argument_count > 0 && call_has(call, "stream"))
        return stream(call, call->arguments[0],
                      (uint32_t)(after > UINT32_MAX ? UINT32_MAX : after));
    if (call->argument_count > 0) {
        one.peck_id = lent_text(call->arguments[0]);
        request.order_case = DUCK__REQUEST__ORDER_PECK;
        request.peck = &one;
        return show(call, &request);
    }
    query.duckling = lent_text(call_flag(call, "duckling"));
    if (box && strcmp(box, "in") != 0 && strcmp(box, "out") != 0)
        return misused(call, "--box is in or out, not '%s'", box);
    query.box = !box ? 0 : strcmp(box, "in") == 0 ? 1 : 2;
    query.n_states = call_flags(call, "state", states, SCOPES_MAX);
    query.states = (char **)(uintptr_t)states;
    query.with = lent_text(call_flag(call, "with"));
    query.cursor = lent_text(call_flag(call, "cursor"));
    query.limit = (uint32_t)(limit > UINT32_MAX ? UINT32_MAX : limit);
    request.order_case = DUCK__REQUEST__ORDER_PECKS;
    request.pecks = &query;
    return show(call, &request);
}

static const struct command_flag inbox_flags[] = {
    {"take", NULL, "take them under a lease, as an agent does, instead of only looking"},
    {"limit", "N", "at most so many (default: 10)"},
    {"wait", "SECONDS", "with --take: for the first, at most 30"},
    {"lease", "SECONDS", "with --take: how long they are ours (default: 60)"},
    {NULL, NULL, NULL},
};

static int inbox(struct call *call)
{
    char pending[] = "pending", taken[] = "taken", approved[] = "approved";
    char *waiting[] = {pending, taken, approved};
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__TakeOrder take = DUCK__TAKE_ORDER__INIT;
    Duck__PecksQuery query = DUCK__PECKS_QUERY__INIT;
    uint64_t limit = 0, wait_ms = 0, lease_ms = 0;

    if (!call_number(call, "limit", &limit) || !call_seconds(call, "wait", &wait_ms) ||
        !call_seconds(call, "lease", &lease_ms))
        return 2;
    limit = limit > UINT32_MAX ? UINT32_MAX : limit;
    if (call_has(call, "take")) {
        take.duckling = lent_text(call->arguments[0]);
        take.limit = (uint32_t)limit;
        take.wait_ms = wait_ms;
        take.lease_ms = lease_ms;
        request.order_case = DUCK__REQUEST__ORDER_TAKE;
        request.take = &take;
    } else {
        query.duckling = lent_text(call->arguments[0]);
        query.box = 1;
        query.n_states = sizeof waiting / sizeof *waiting;
        query.states = waiting;
        query.limit = (uint32_t)limit;
        request.order_case = DUCK__REQUEST__ORDER_PECKS;
        request.pecks = &query;
    }
    return show(call, &request);
}

static const struct command_flag answer_flags[] = {
    {"partial", NULL, "only a part of the answer; more follows"},
    {"number", "N", "with --partial: which it is; refused unless it is the next"},
    {"problem", "TEXT", "say that it failed, and why, instead of a result"},
    {"charge", "N", "units that it costs the asker's bond, if that has a budget"},
    {NULL, NULL, NULL},
};

static int answer(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__AnswerOrder order = DUCK__ANSWER_ORDER__INIT;
    const char *result;

    if (!call_json(call, 1, &result))
        return 2;
    if (call_has(call, "partial"))
        return answer_partly(call, result);
    if (!call_number(call, "charge", &order.charge))
        return 2;
    order.duckling = lent_text("");
    order.peck_id = lent_text(call->arguments[0]);
    order.failed = call_has(call, "problem");
    if (order.failed)
        order.problem = lent_bytes(call_flag(call, "problem"));
    else
        order.result = lent_bytes(result);
    request.order_case = DUCK__REQUEST__ORDER_ANSWER;
    request.answer = &order;
    return show(call, &request);
}

static const struct command_flag approve_flags[] = {
    {"scope", "SCOPE", "of the bond, instead of what was asked for (repeatable)"},
    TERM_FLAGS,
    {"until", "TIME", "when the bond ends (default: in a year)"},
    {NULL, NULL, NULL},
};

static int approve(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__ApproveOrder order = DUCK__APPROVE_ORDER__INIT;
    ProtobufCBinaryData scopes[SCOPES_MAX];
    const char *names[SCOPES_MAX];

    order.terms = call_terms(call, &order.terms_named);
    if (!order.terms || !call_time(call, "until", &order.not_after_ms))
        return 2;
    order.n_scopes = call_flags(call, "scope", names, SCOPES_MAX);
    for (size_t i = 0; i < order.n_scopes; i++)
        scopes[i] = lent_bytes(names[i]);
    order.scopes = scopes;
    order.duckling = lent_text("");
    order.peck_id = lent_text(call->arguments[0]);
    request.order_case = DUCK__REQUEST__ORDER_APPROVE;
    request.approve = &order;
    return show(call, &request);
}

static const struct command_flag deny_flags[] = {
    {"reason", "TEXT", "what the sender is told"},
    {NULL, NULL, NULL},
};

static int deny(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__DenyOrder order = DUCK__DENY_ORDER__INIT;

    order.duckling = lent_text("");
    order.peck_id = lent_text(call->arguments[0]);
    order.reason = lent_bytes(call_flag(call, "reason"));
    request.order_case = DUCK__REQUEST__ORDER_DENY;
    request.deny = &order;
    return show(call, &request);
}

static int cancel(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__CancelOrder order = DUCK__CANCEL_ORDER__INIT;

    order.duckling = lent_text("");
    order.peck_id = lent_text(call->arguments[0]);
    request.order_case = DUCK__REQUEST__ORDER_CANCEL;
    request.cancel = &order;
    return show(call, &request);
}

const struct command peck_commands[] = {
    {"peck", "TARGET [JSON]", 1, 2, "Send a peck from a duckling that lives here.", peck_flags,
     "ducknode peck dkl_… '{\"city\":\"Lisbon\"}' --from dkl_… --action query", peck},
    {"pecks", "[PECK]", 0, 1, "One peck with its receipts, or a list of them, newest first.",
     pecks_flags, "ducknode pecks --box out --state queued", pecks},
    {"inbox", "DUCKLING", 1, 1, "What waits for a duckling's owner or agent.", inbox_flags,
     "ducknode inbox dkl_… --take --wait 10", inbox},
    {"approve", "PECK", 1, 1, "Let a pending action run once, or make the bond that was asked for.",
     approve_flags, "ducknode approve pck_… --rate 60 --daily 1000", approve},
    {"deny", "PECK", 1, 1, "Refuse a pending peck.", deny_flags,
     "ducknode deny pck_… --reason 'not today'", deny},
    {"answer", "PECK [JSON]", 1, 2, "Answer a peck with a result, or with a problem.", answer_flags,
     "ducknode answer pck_… '{\"sky\":\"clear\"}'", answer},
    {"cancel", "PECK", 1, 1, "Take back a peck, also from its target's node and agent.", NULL,
     "ducknode cancel pck_…", cancel},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
