/* Was this key valid on that day? Told of a chain that is shown, of a JWS, or of whom this node knows; and of a
 * duckling that this node knows, which tier it has today. */
#include "core/jose.h"
#include "core/revocation.h"
#include "exchange.h"
#include "form.h"
#include "view.h"
#include "wire/local.pb-c.h"

#include <sodium.h>

#define BASE64_OF(size) ((size) / 3 * 4 + 4)

/* What is shown: a chain, or a JWS, or an id. */
struct exhibit {
    struct bytes chain, revocation; /* packed; of a revocation .size 0: there is none */
    const char *jws, *id;           /* NULL: not that */
    struct id certificate;          /* that is asked about; zero: whichever spoke then */
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

static bool is_one_of_them(struct exchange *exchange)
{
    static const char *const names[] = {"chain", "jws", "id"};
    const char *first = NULL;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!form_has(exchange, names[i]))
            continue;
        if (first) {
            form_refuse(exchange, "bad_member", names[i], "one of chain, jws and id, not two");
            return false;
        }
        first = names[i];
    }
    if (!first)
        form_refuse(exchange, "missing_member", "chain", "one of chain, jws and id is needed");
    return first != NULL;
}

/* A certificate's own, or that of a duckling or node, whose newest chain is meant. */
static bool read_id(struct exchange *exchange, struct exhibit *exhibit)
{
    struct bytes text;

    if (!form_text(exchange, "id", FORM_OPTIONAL, ID_TEXT_SIZE, &exhibit->id))
        return false;
    text = exhibit->id ? bytes_of_text(exhibit->id) : bytes_of(NULL, 0);
    if (!exhibit->id || form_is_id(ID_DUCKLING, text) || form_is_id(ID_NODE, text) ||
        id_parse(ID_CERTIFICATE, text, &exhibit->certificate))
        return true;
    form_refuse(exchange, "bad_member", "id",
                "this is not the id of a duckling, a node or a certificate");
    return false;
}

static bool read_exhibit(struct exchange *exchange, struct exhibit *exhibit)
{
    *exhibit = (struct exhibit){.at_ms = gateway_wall_ms()};
    if (!is_one_of_them(exchange) ||
        !read_base64(exchange, "chain", FORM_OPTIONAL, CHAIN_SIZE_MAX, &exhibit->chain) ||
        !form_text(exchange, "jws", FORM_OPTIONAL, JOSE_JWS_MAX, &exhibit->jws) ||
        !read_id(exchange, exhibit) ||
        !read_base64(exchange, "revocation", FORM_OPTIONAL, RECORD_SIZE_MAX,
                     &exhibit->revocation) ||
        !form_date(exchange, "at", &exhibit->at_ms) ||
        !form_text(exchange, "did", FORM_OPTIONAL, JOSE_DID_SIZE, &exhibit->did))
        return false;
    if (!exhibit->id || !form_has(exchange, "revocation"))
        return true;
    form_refuse(exchange, "bad_member", "revocation",
                "of whom an id names, this node knows itself who revoked it");
    return false;
}

static bool has_did(const struct certificate *certificate, const char *did)
{
    char text[JOSE_DID_SIZE];

    return !strcmp(jose_did(&certificate->public_key, text), did);
}

static bool is_certificate(const struct certificate *certificate, const struct id *id)
{
    struct id named = id_of(&certificate->hash);

    return id_equal(&named, id);
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
    if (!id_is_zero(&exhibit->certificate) && !is_certificate(*speaks, &exhibit->certificate))
        return "another certificate of this chain spoke at that time";
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

/* NULL: it is one, in `*chain`. */
static const char *open_exhibit(const struct exhibit *exhibit, struct arena *arena,
                                struct chain *chain)
{
    enum certificate_verdict certified = CERTIFICATE_TAKEN;
    enum jose_verdict verdict;

    if (exhibit->jws) {
        verdict = jose_open(bytes_of_text(exhibit->jws), arena, chain, &certified);
        if (verdict != JOSE_TAKEN && verdict != JOSE_BAD_CHAIN)
            return jose_verdict_text(verdict);
    } else {
        certified = chain_open(exhibit->chain, arena, chain);
    }
    return certified == CERTIFICATE_TAKEN ? NULL : certificate_verdict_text(certified);
}

/* ---- the tier ---- */

static void tell_draft(struct exchange *exchange)
{
    json_t *object = exchange->draft;

    exchange->draft = NULL;
    exchange_answer(exchange, 200, object);
}

static void tell_with_tier(struct exchange *exchange)
{
    const Duck__DirectoryList *found = exchange->reply->directory;

    if (found->n_entries > 0)
        view_tier(exchange->draft, found->entries[0]);
    tell_draft(exchange);
}

/* What a chain proves, it proves to everybody; its tier is this node's opinion, and left out where it has none, or does
 * not answer. */
static void add_tier(struct exchange *exchange, const struct id *duckling)
{
    Duck__DirectoryQuery query = DUCK__DIRECTORY_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    char text[ID_TEXT_SIZE];

    query.duckling = (char *)(uintptr_t)exchange_copy(
        exchange, bytes_of_text(id_text(ID_DUCKLING, duckling, text)));
    query.limit = 1;
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    exchange->refused = tell_draft;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_DIRECTORY, 0, tell_with_tier);
}

/* ---- the answer ---- */

/* The chain proves itself, or does not. Opening the longest takes some 50 ms, so this stands in the class of
 * certificates. */
static void judge(struct exchange *exchange, const struct exhibit *exhibit)
{
    const struct certificate *speaks = NULL;
    json_t *object = json_object();
    struct chain chain;
    struct arena arena;
    const char *unfit, *why;
    struct id duckling = {0};

    arena_init(&arena, PARSE_BUDGET(JOSE_JWS_MAX) + 2 * PARSE_BUDGET(RECORD_SIZE_MAX));
    why = unfit = open_exhibit(exhibit, &arena, &chain);
    if (!why)
        why = judge_revocation(&chain, exhibit, &arena);
    if (!why)
        why = judge_key(&chain, exhibit, &speaks);
    json_object_set_new(object, "valid", json_boolean(!why));
    if (why)
        reply_word(object, "reason", why);
    reply_date(object, "at", exhibit->at_ms);
    if (!unfit)
        put_identity(object, &chain);
    if (speaks)
        put_speaker(object, speaks);
    if (!why && chain.kind == IDENTITY_DUCKLING)
        duckling = chain.identity;
    arena_free(&arena);
    exchange->draft = object;
    if (id_is_zero(&duckling))
        tell_draft(exchange);
    else
        add_tier(exchange, &duckling);
}

static void judge_known(struct exchange *exchange)
{
    const Duck__CertificateAnswer *answer = exchange->reply->certificate;
    struct exhibit *exhibit = exchange->work;

    exhibit->chain = arena_copy(&exchange->arena, bytes_of(answer->chain.data, answer->chain.len));
    exhibit->revocation =
        arena_copy(&exchange->arena, bytes_of(answer->revocation.data, answer->revocation.len));
    judge(exchange, exhibit);
}

static void ask_for_chain(struct exchange *exchange, const struct exhibit *exhibit)
{
    Duck__CertificateQuery query = DUCK__CERTIFICATE_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    char *id = (char *)(uintptr_t)exhibit->id;

    query.identity = id_is_zero(&exhibit->certificate) ? id : (char *)"";
    query.certificate_id = id_is_zero(&exhibit->certificate) ? (char *)"" : id;
    request.order_case = DUCK__REQUEST__ORDER_CERTIFICATE;
    request.certificate = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_CERTIFICATE, 0, judge_known);
}

void route_certificate_verify(struct exchange *exchange)
{
    struct exhibit *exhibit = arena_take(&exchange->arena, sizeof *exhibit);

    if (!read_exhibit(exchange, exhibit))
        return;
    exchange->work = exhibit;
    if (exhibit->id)
        ask_for_chain(exchange, exhibit);
    else
        judge(exchange, exhibit);
}
