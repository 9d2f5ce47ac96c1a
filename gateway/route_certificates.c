/* Chains of certificates: one's own, anyone's; and their end. */
#include "core/peck.h"
#include "core/revocation.h"
#include "exchange.h"
#include "exports.h"
#include "form.h"
#include "route_signatures.h"
#include "view.h"
#include "wire/local.pb-c.h"

void route_certificate(struct exchange *exchange)
{
    const struct export_format *format;

    if (query_format(exchange, &format) && exchange_acting(exchange, false))
        export_of(exchange, exchange->acting_text, format);
}

void route_certificate_get(struct exchange *exchange)
{
    const char *text = exchange_copy(exchange, exchange->match.id);
    const struct export_format *format;

    if (!query_format(exchange, &format))
        return;
    if (form_is_id(ID_DUCKLING, exchange->match.id) || form_is_id(ID_NODE, exchange->match.id))
        export_of(exchange, text, format);
    else if (form_is_id(ID_CERTIFICATE, exchange->match.id))
        export_certificate(exchange, text, format);
    else
        exchange_say_no(exchange, 404, "not_found", NULL,
                        "this is not the id of a duckling, a node or a certificate");
}

/* ---- contexts ---- */

static void tell_issued(struct exchange *exchange)
{
    exchange_answer(exchange, 201, view_context(exchange->reply->issued));
}

static bool read_issue(struct exchange *exchange, Duck__IssueOrder *order)
{
    const char *name = NULL, **scopes;
    bool are_given;
    size_t count;

    if (!form_text(exchange, "context", FORM_REQUIRED, NAME_MAX_BYTES, &name) ||
        !form_texts(exchange, "scopes", CERTIFICATE_SCOPES_MAX, PECK_ACTION_MAX, &scopes, &count,
                    &are_given) ||
        !form_date(exchange, "not_after", &order->not_after_ms))
        return false;
    if (!bytes_are_name(bytes_of_text(name)) || !*name || !strncmp(name, "crt_", 4)) {
        form_refuse(exchange, "bad_member", "context",
                    "a context is named by 1 to %u of a-z, 0-9, '_', '.', '-', and not like an id",
                    NAME_MAX_BYTES);
        return false;
    }
    if (count == 0) {
        form_refuse(exchange, are_given ? "bad_member" : "missing_member", "scopes",
                    "a context has 1 to %u scopes", CERTIFICATE_SCOPES_MAX);
        return false;
    }
    order->context = (ProtobufCBinaryData){strlen(name), (uint8_t *)(uintptr_t)name};
    order->scopes = arena_take(&exchange->arena, count * sizeof *order->scopes);
    order->n_scopes = count;
    for (size_t i = 0; i < count; i++) {
        if (!peck_scope_is_valid(bytes_of_text(scopes[i]))) {
            form_refuse(exchange, "bad_member", "scopes",
                        "a scope is a name like data.read, or data.*, or *");
            return false;
        }
        order->scopes[i] =
            (ProtobufCBinaryData){strlen(scopes[i]), (uint8_t *)(uintptr_t)scopes[i]};
    }
    return true;
}

void route_certificate_issue(struct exchange *exchange)
{
    Duck__IssueOrder order = DUCK__ISSUE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    if (!exchange_acting(exchange, true) || !read_issue(exchange, &order))
        return;
    order.duckling = exchange->acting_text;
    request.order_case = DUCK__REQUEST__ORDER_ISSUE;
    request.issue = &order;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_ISSUED, 0, tell_issued);
}

/* ---- revoked ---- */

static void tell_revoked(struct exchange *exchange)
{
    if (!told_to_sign(exchange))
        export_chain(exchange, exchange->acting_text);
}

void route_certificate_revoke(struct exchange *exchange)
{
    Duck__RevokeOrder order = DUCK__REVOKE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    const char *reason = "", *certificate = NULL;

    if (!form_text(exchange, "reason", FORM_OPTIONAL, REVOCATION_REASON_MAX, &reason) ||
        !form_id(exchange, "certificate_id", FORM_OPTIONAL, ID_CERTIFICATE, &certificate) ||
        !exchange_acting(exchange, true))
        return;
    order.identity = certificate ? (char *)(uintptr_t)certificate : exchange->acting_text;
    if (certificate)
        order.context_of = exchange->acting_text;
    order.reason = (char *)(uintptr_t)reason;
    request.order_case = DUCK__REQUEST__ORDER_REVOKE;
    request.revoke = &order;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_DONE, 0, tell_revoked);
}
