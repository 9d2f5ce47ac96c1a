/* Pecks, from the command line. */
#include "client/duck_client.h"
#include "commands.h"
#include "core/binary_data.h"
#include "wire/local.pb-c.h"

#include <inttypes.h>
#include <stdlib.h>

#define SCOPES_MAX 16u
#define DEFAULT_WAIT_MS 10000u

static char *lent_text(const char *text)
{
    return (char *)(uintptr_t)(text ? text : "");
}

static ProtobufCBinaryData lent_bytes(const char *text)
{
    return lent(bytes_of_text(text ? text : ""));
}

/* ---- printing ---- */

static void print_bytes(const char *label, const ProtobufCBinaryData *data)
{
    if (data->len > 0)
        printf("  %-9s %.*s\n", label, (int)data->len, (const char *)data->data);
}

static void print_peck(const Duck__PeckView *peck)
{
    char created[32];

    printf("%s  %-9s %s %s -> %s\n", peck->peck_id, peck->state, peck->box == 1 ? "in " : "out",
           peck->from, peck->to);
    printf("  %-9s %s\n", "created", time_text(peck->created_ms, created));
    print_bytes("action", &peck->action);
    print_bytes("payload", &peck->payload);
    for (size_t i = 0; i < peck->n_scopes; i++)
        print_bytes("scope", &peck->scopes[i]);
    print_bytes("message", &peck->message);
    print_bytes("result", &peck->result);
    print_bytes("problem", &peck->problem);
    if (peck->refusal[0])
        printf("  %-9s %s\n", "refusal", peck->refusal);
    if (peck->retry_after_ms)
        printf("  %-9s %s\n", "try again",
               time_text(peck->changed_ms + peck->retry_after_ms, created));
    if (peck->charged)
        printf("  %-9s %" PRIu64 " units\n", "charged", peck->charged);
    for (size_t i = 0; i < peck->n_receipts; i++)
        printf("  %-9s %s by %s at %s\n", peck->receipts[i]->kind, peck->receipts[i]->state,
               peck->receipts[i]->signer, time_text(peck->receipts[i]->at_ms, created));
    if (peck->bond_id[0])
        printf("  %-9s %s\n", "bond", peck->bond_id);
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
        print_json(json_object());
    } else {
        printf("done\n");
    }
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
    {"expires-in", "SECONDS", "how long it may take (default: a day)"},
    {"wait", "SECONDS", "for the answer, at most 30 (default: 10; 0: do not wait)"},
    {NULL, NULL, NULL},
};

static int peck(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__SendOrder send = DUCK__SEND_ORDER__INIT;
    ProtobufCBinaryData scopes[SCOPES_MAX];
    const char *names[SCOPES_MAX];
    uint64_t wait_s = DEFAULT_WAIT_MS / 1000, expires_s = 0;

    if (!call_number(call, "wait", &wait_s) || !call_number(call, "expires-in", &expires_s))
        return 2;
    send.n_scopes = call_flags(call, "bond", names, SCOPES_MAX);
    for (size_t i = 0; i < send.n_scopes; i++)
        scopes[i] = lent_bytes(names[i]);
    send.scopes = scopes;
    send.from = lent_text(call_flag(call, "from"));
    send.to = lent_text(call->arguments[0]);
    send.kind = send.n_scopes ? 2 : 1;
    if (send.n_scopes == 0) {
        send.action = lent_bytes(call_has(call, "action") ? call_flag(call, "action") : "query");
        send.payload = lent_bytes(call->argument_count > 1 ? call->arguments[1] : "{}");
    }
    send.message = lent_bytes(call_flag(call, "message"));
    send.thread = lent_bytes(call_flag(call, "thread"));
    send.reply_to = lent_text(call_flag(call, "reply-to"));
    send.idempotency_key = lent_bytes(call_flag(call, "key"));
    send.expires_in_ms = expires_s * 1000;
    send.wait_for = wait_s ? DUCK__WAIT_FOR__WAIT_DONE : DUCK__WAIT_FOR__WAIT_QUEUED;
    send.wait_ms = wait_s * 1000;
    request.order_case = DUCK__REQUEST__ORDER_SEND;
    request.send = &send;
    return show(call, &request);
}

static const struct command_flag pecks_flags[] = {
    {"duckling", "DUCKLING", "only this one's"},
    {"box", "in|out", "only those received, or sent"},
    {"state", "STATE", "only in this state (repeatable)"},
    {"with", "DUCKLING", "only with this one at the other end"},
    {"limit", "N", "at most so many (default: 50)"},
    {"cursor", "TEXT", "go on where a page ended"},
    {NULL, NULL, NULL},
};

static int pecks(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__PecksQuery query = DUCK__PECKS_QUERY__INIT;
    Duck__PeckQuery one = DUCK__PECK_QUERY__INIT;
    const char *box = call_flag(call, "box"), *states[SCOPES_MAX];
    uint64_t limit = 0;

    if (!call_number(call, "limit", &limit))
        return 2;
    if (call->argument_count > 0) {
        one.peck_id = lent_text(call->arguments[0]);
        request.order_case = DUCK__REQUEST__ORDER_PECK;
        request.peck = &one;
        return show(call, &request);
    }
    query.duckling = lent_text(call_flag(call, "duckling"));
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
    uint64_t limit = 0, wait_s = 0, lease_s = 0;

    if (!call_number(call, "limit", &limit) || !call_number(call, "wait", &wait_s) ||
        !call_number(call, "lease", &lease_s))
        return 2;
    if (call_has(call, "take")) {
        take.duckling = lent_text(call->arguments[0]);
        take.limit = (uint32_t)limit;
        take.wait_ms = wait_s * 1000;
        take.lease_ms = lease_s * 1000;
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
    {"problem", "TEXT", "say that it failed, and why, instead of a result"},
    {"charge", "N", "units that it costs the asker's bond, if that has a budget"},
    {NULL, NULL, NULL},
};

static int answer(struct call *call)
{
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__AnswerOrder order = DUCK__ANSWER_ORDER__INIT;

    if (!call_number(call, "charge", &order.charge))
        return 2;
    order.duckling = lent_text("");
    order.peck_id = lent_text(call->arguments[0]);
    order.failed = call_has(call, "problem");
    if (order.failed)
        order.problem = lent_bytes(call_flag(call, "problem"));
    else
        order.result = lent_bytes(call->argument_count > 1 ? call->arguments[1] : "{}");
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
    {"cancel", "PECK", 1, 1, "Take back a peck that its target's node has not taken.", NULL,
     "ducknode cancel pck_…", cancel},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
