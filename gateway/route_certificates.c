/* Chains of certificates: one's own, anyone's, and what a chain says by itself. */
#include "core/jose.h"
#include "core/peck.h"
#include "core/revocation.h"
#include "exchange.h"
#include "exports.h"
#include "form.h"
#include "view.h"
#include "wire/local.pb-c.h"

#include <sodium.h>

#define BASE64_OF(size) ((size) / 3 * 4 + 4)

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

/* ---- was it valid then? ---- */

struct exhibit {
    struct bytes chain, revocation; /* packed; of a revocation .size 0: there is none */
    uint64_t at_ms;
    const char *did; /* of a key; NULL: any */
};

static bool read_base64(struct exchange *exchange, const char *name, enum form_need need,
                        size_t size_max, struct bytes *data)
{
    const char *text = NULL;
    size_t size = 0;
    uint8_t *bytes;

    *data = bytes_of(NULL, 0);
    if (!form_text(exchange, name, need, BASE64_OF(size_max), &text))
        return false;
    if (!text)
        return true;
    bytes = arena_take(&exchange->arena, strlen(text) + 1);
    if (!bytes || sodium_base642bin(bytes, strlen(text) + 1, text, strlen(text), NULL, &size, NULL,
                                    sodium_base64_VARIANT_ORIGINAL) != 0) {
        form_refuse(exchange, "bad_member", name, "this is not base64 (RFC 4648, section 4)");
        return false;
    }
    *data = bytes_of(bytes, size);
    return true;
}

static bool read_exhibit(struct exchange *exchange, struct exhibit *exhibit)
{
    *exhibit = (struct exhibit){.at_ms = gateway_wall_ms()};
    if (!read_base64(exchange, "chain", FORM_REQUIRED, CHAIN_SIZE_MAX, &exhibit->chain) ||
        !read_base64(exchange, "revocation", FORM_OPTIONAL, RECORD_SIZE_MAX,
                     &exhibit->revocation) ||
        !form_date(exchange, "at", &exhibit->at_ms))
        return false;
    return form_text(exchange, "did", FORM_OPTIONAL, JOSE_DID_SIZE, &exhibit->did);
}

static bool has_did(const struct certificate *certificate, const char *did)
{
    char text[JOSE_DID_SIZE];

    return !strcmp(jose_did(&certificate->public_key, text), did);
}

/* NULL: valid, by `*speaks`; else why not. */
static const char *judge_key(const struct chain *chain, const struct exhibit *exhibit,
                             const struct certificate **speaks)
{
    struct public_key key;
    enum certificate_verdict verdict = chain_key_at(chain, exhibit->at_ms, &key);

    if (verdict != CERTIFICATE_TAKEN)
        return certificate_verdict_text(verdict);
    *speaks = chain_certificate_of(chain, &key);
    if (!exhibit->did || has_did(*speaks, exhibit->did))
        return NULL;
    for (size_t i = 0; i < chain->count; i++)
        if (has_did(&chain->certificates[i], exhibit->did))
            return "another key of this chain spoke at that time";
    return "the chain does not know this key";
}

/* A revocation that does not hold proves nothing, also not that the chain is good. */
static const char *judge_revocation(const struct chain *chain, const struct exhibit *exhibit,
                                    struct arena *arena)
{
    struct revocation_content content;
    enum revocation_verdict verdict;

    if (exhibit->revocation.size == 0)
        return NULL;
    verdict = revocation_open(exhibit->revocation, chain, arena, &content);
    if (verdict != REVOCATION_HOLDS)
        return revocation_verdict_text(verdict);
    return exhibit->at_ms >= content.revoked_at_ms ? "it is revoked" : NULL;
}

static void put_identity(json_t *object, const struct chain *chain)
{
    static const char *const names[] = {[IDENTITY_NODE] = "node_id",
                                        [IDENTITY_DUCKLING] = "duckling_id",
                                        [IDENTITY_OPERATOR] = "operator_id"};
    static const enum id_kind kinds[] = {[IDENTITY_NODE] = ID_NODE,
                                         [IDENTITY_DUCKLING] = ID_DUCKLING,
                                         [IDENTITY_OPERATOR] = ID_OPERATOR};
    char text[ID_TEXT_SIZE];

    reply_word(object, names[chain->kind], id_text(kinds[chain->kind], &chain->identity, text));
}

static void put_speaker(json_t *object, const struct certificate *speaks)
{
    struct id id = id_of(&speaks->hash);
    char text[ID_TEXT_SIZE], did[JOSE_DID_SIZE];

    reply_word(object, "certificate_id", id_text(ID_CERTIFICATE, &id, text));
    reply_number(object, "sequence", speaks->sequence);
    reply_word(object, "did", jose_did(&speaks->public_key, did));
    json_object_set_new(object, "jwk", view_jwk(&speaks->public_key));
    reply_date(object, "issued_at", speaks->issued_ms);
    reply_date(object, "not_after", speaks->not_after_ms);
}

/* Nobody is asked: the chain proves itself, or does not. Opening the longest takes some 50 ms, so this
 * stands in the class of certificates. */
void route_certificate_verify(struct exchange *exchange)
{
    const struct certificate *speaks = NULL;
    enum certificate_verdict verdict;
    struct exhibit exhibit;
    struct chain chain;
    struct arena arena;
    const char *why;
    json_t *object;

    if (!read_exhibit(exchange, &exhibit))
        return;
    arena_init(&arena, PARSE_BUDGET(CHAIN_SIZE_MAX) + 2 * PARSE_BUDGET(RECORD_SIZE_MAX));
    object = json_object();
    verdict = chain_open(exhibit.chain, &arena, &chain);
    why = verdict == CERTIFICATE_TAKEN ? judge_revocation(&chain, &exhibit, &arena)
                                       : certificate_verdict_text(verdict);
    if (!why)
        why = judge_key(&chain, &exhibit, &speaks);
    json_object_set_new(object, "valid", json_boolean(!why));
    if (why)
        reply_word(object, "reason", why);
    reply_date(object, "at", exhibit.at_ms);
    if (verdict == CERTIFICATE_TAKEN)
        put_identity(object, &chain);
    if (speaks)
        put_speaker(object, speaks);
    exchange_answer(exchange, 200, object);
    arena_free(&arena);
}
