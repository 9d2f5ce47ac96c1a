/* Certificates and keys in the forms that others' tools read: see lib/core/jose.h. */
#include "exports.h"

#include "core/binary_data.h"
#include "core/jose.h"
#include "form.h"
#include "strict_json.h"
#include "view.h"
#include "wire/local.pb-c.h"

struct export_format {
    const char *name;
    exchange_then *tell; /* NULL: a JWS; what the node signs, it alone can say */
};

/* The key of the certificate that was asked for; of an identity, of its newest. */
static bool read_key(struct exchange *exchange, struct public_key *key, struct id *certificate)
{
    const Duck__CertificateAnswer *answer = exchange->reply->certificate;
    bool is_named = form_is_id(ID_CERTIFICATE, exchange->match.id);

    for (size_t i = answer->n_certificates; i-- > 0;) {
        const Duck__CertificateView *view = answer->certificates[i];

        if (is_named && !bytes_equal(bytes_of_text(view->certificate_id), exchange->match.id))
            continue;
        if (view->public_key.len != sizeof key->bytes ||
            !id_parse(ID_CERTIFICATE, bytes_of_text(view->certificate_id), certificate))
            break;
        memcpy(key->bytes, view->public_key.data, sizeof key->bytes);
        return true;
    }
    exchange_say_no(exchange, 502, "protocol", NULL, "the node's answer names no key");
    return false;
}

/* What contexts a duckling has is for its owner: others see those that it pecks them under. */
static void tell_json(struct exchange *exchange)
{
    bool is_own = exchange->match.id.size == 0;
    const Duck__CertificateAnswer *answer = exchange->reply->certificate;

    exchange_answer_entity(exchange,
                           is_own ? view_own_certificate(answer) : view_certificate(answer));
}

static void tell_chain(struct exchange *exchange)
{
    exchange_answer(exchange, 200, view_own_certificate(exchange->reply->certificate));
}

static void tell_raw(struct exchange *exchange)
{
    ProtobufCBinaryData chain = exchange->reply->certificate->chain;

    exchange_answer_tagged(exchange, "application/octet-stream", borrowed(chain));
}

static void tell_jwk(struct exchange *exchange)
{
    char text[JOSE_JWK_SIZE];
    struct public_key key;
    struct id certificate;

    if (read_key(exchange, &key, &certificate))
        exchange_answer_tagged(exchange, "application/jwk+json",
                               bytes_of_text(jose_jwk(&key, &certificate, text)));
}

static void tell_did(struct exchange *exchange)
{
    char text[JOSE_DID_SIZE];
    struct public_key key;
    struct id certificate;

    if (read_key(exchange, &key, &certificate))
        exchange_answer_tagged(exchange, "text/plain; charset=utf-8",
                               bytes_of_text(jose_did(&key, text)));
}

static const struct export_format formats[] = {
    {"json", tell_json}, {"raw", tell_raw}, {"jwk", tell_jwk}, {"did", tell_did}, {"jws", NULL},
};

bool query_format(struct exchange *exchange, const struct export_format **format)
{
    const char *name = "json";

    if (!query_text(exchange, "format", 8, &name))
        return false;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (!strcmp(formats[i].name, name)) {
            *format = &formats[i];
            return true;
        }
    form_refuse(exchange, "bad_member", "format", "a format is json, raw, jwk, did or jws");
    return false;
}

static void ask_for_certificate(struct exchange *exchange, const char *identity,
                                const char *certificate_id, exchange_then *tell)
{
    Duck__CertificateQuery query = DUCK__CERTIFICATE_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.identity = (char *)(uintptr_t)identity;
    query.certificate_id = (char *)(uintptr_t)certificate_id;
    request.order_case = DUCK__REQUEST__ORDER_CERTIFICATE;
    request.certificate = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_CERTIFICATE, 0, tell);
}

static void tell_jws(struct exchange *exchange)
{
    exchange_answer_tagged(exchange, "application/jose",
                           bytes_of_text(exchange->reply->export->jws));
}

static void ask_for_jws(struct exchange *exchange, const char *identity)
{
    Duck__ExportOrder order = DUCK__EXPORT_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.identity = (char *)(uintptr_t)identity;
    request.order_case = DUCK__REQUEST__ORDER_EXPORT;
    request.export = &order;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_EXPORT, 0, tell_jws);
}

void export_of(struct exchange *exchange, const char *identity, const struct export_format *format)
{
    if (format->tell)
        ask_for_certificate(exchange, identity, "", format->tell);
    else
        ask_for_jws(exchange, identity);
}

void export_certificate(struct exchange *exchange, const char *certificate_id,
                        const struct export_format *format)
{
    if (format->tell)
        ask_for_certificate(exchange, "", certificate_id, format->tell);
    else
        form_refuse(
            exchange, "bad_member", "format",
            "a JWS is made of the newest certificate: ask for that of its duckling or node");
}

void export_chain(struct exchange *exchange, const char *identity)
{
    ask_for_certificate(exchange, identity, "", tell_chain);
}

/* ---- the node's own keys ---- */

static void tell_key_set(struct exchange *exchange)
{
    json_t *object = json_object(), *keys = json_array();
    char text[JOSE_JWK_SIZE];
    struct public_key key;
    struct id certificate;
    char *set;

    if (!read_key(exchange, &key, &certificate)) {
        json_decref(object);
        json_decref(keys);
        return;
    }
    json_array_append_new(keys, json_loads(jose_jwk(&key, &certificate, text), 0, NULL));
    json_object_set_new(object, "keys", keys);
    set = exchange_dump(object);
    if (set)
        exchange_answer_tagged(exchange, "application/jwk-set+json", bytes_of_text(set));
    strict_json_forget(set);
}

/* RFC 7517, section 5: what a JWS of this node is checked with. */
void route_key_set(struct exchange *exchange)
{
    struct problem problem = problem_of_node("unreachable", "the node does not answer", NULL);
    struct node_status status;

    node_link_status(exchange->gateway->node, &status);
    if (status.is_up)
        ask_for_certificate(exchange, exchange_copy(exchange, bytes_of_text(status.node_id)), "",
                            tell_key_set);
    else
        exchange_refuse(exchange, &problem);
}
