#include "commands_context.h"

#include "client/duck_client.h"
#include "clock.h"
#include "core/binary_data.h"
#include "core/context.h"
#include "wire/local.pb-c.h"

#include <stdio.h>

static const char *state_of(const Duck__ContextView *view)
{
    if (view->revoked_ms)
        return "revoked";
    return view->not_after_ms < clock_wall_ms() ? "over" : "valid";
}

static json_t *json_of(const Duck__ContextView *view)
{
    json_t *scopes = json_array(), *object;
    char issued[32], until[32], revoked[32];

    for (size_t i = 0; i < view->n_scopes; i++)
        json_array_append_new(
            scopes, json_stringn((const char *)view->scopes[i].data, view->scopes[i].len));
    object = json_pack("{s:s, s:s, s:s%, s:o, s:s, s:s, s:s}", "certificate_id",
                       view->certificate_id, "duckling", view->duckling, "context",
                       (const char *)view->context.data, view->context.len, "scopes", scopes,
                       "issued_at", time_text(view->issued_ms, issued), "not_after",
                       time_text(view->not_after_ms, until), "state", state_of(view));
    if (view->revoked_ms)
        json_object_set_new(object, "revoked_at",
                            json_string(time_text(view->revoked_ms, revoked)));
    return object;
}

static void print_one(const Duck__ContextView *view)
{
    char from[32], until[32];

    printf("  context ");
    show_line(stdout, borrowed(view->context));
    printf("  %s  %s to %s  %s:", view->certificate_id, time_text(view->issued_ms, from),
           time_text(view->not_after_ms, until), state_of(view));
    for (size_t i = 0; i < view->n_scopes; i++)
        printf(" %.*s", (int)view->scopes[i].len, (const char *)view->scopes[i].data);
    printf("\n");
}

int context_issue(struct call *call)
{
    Duck__IssueOrder issue = DUCK__ISSUE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    ProtobufCBinaryData scopes[CERTIFICATE_SCOPES_MAX];
    const char *names[CERTIFICATE_SCOPES_MAX];
    Duck__Reply *reply;
    int status;

    if (!call_has(call, "context"))
        return misused(call, "--context says what it is called");
    if (!call_time(call, "until", &issue.not_after_ms))
        return 2;
    issue.duckling = (char *)(uintptr_t)call->arguments[1];
    issue.context = lent_bytes(call_flag(call, "context"));
    issue.n_scopes = call_flags(call, "scope", names, CERTIFICATE_SCOPES_MAX);
    for (size_t i = 0; i < issue.n_scopes; i++)
        scopes[i] = lent_bytes(names[i]);
    issue.scopes = scopes;
    if (issue.n_scopes == 0)
        return misused(call, "--scope says what may be pecked under it");
    request.order_case = DUCK__REQUEST__ORDER_ISSUE;
    request.issue = &issue;
    reply = ask(call, &request, &status);
    if (!reply)
        return status;
    if (call->json)
        print_json(json_of(reply->issued));
    else
        print_one(reply->issued);
    duck_reply_free(reply);
    return 0;
}

void context_print(const Duck__CertificateAnswer *answer, json_t *object)
{
    json_t *contexts = json_array();

    for (size_t i = 0; i < answer->n_contexts; i++) {
        if (object)
            json_array_append_new(contexts, json_of(answer->contexts[i]));
        else
            print_one(answer->contexts[i]);
    }
    if (object && answer->n_contexts > 0)
        json_object_set(object, "contexts", contexts);
    json_decref(contexts);
}
