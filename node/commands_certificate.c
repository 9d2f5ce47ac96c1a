/* Was this key valid on that day? A chain answers it alone, and the revocation beside it: without a node,
 * a key or the network. `show` asks the node for both. */
#include "client/duck_client.h"
#include "clock.h"
#include "commands_context.h"
#include "core/binary_data.h"
#include "core/jose.h"
#include "core/revocation.h"
#include "wire/local.pb-c.h"

#include <sodium.h>
#include <stdio.h>

#define FILE_MAX (2u * MIB)

static const struct command_flag certificate_flags[] = {
    {"at", "TIME", "the day, as 2026-01-31T12:00:00Z or +SECONDS from now (default: now)"},
    {"key", "HEX", "was it this public key? (64 hexadecimal digits)"},
    {"context", "NAME", "issue: what the further certificate is called; needed"},
    {"scope", "SCOPE", "issue: what may be pecked under it (repeatable); needed"},
    {"until", "TIME", "issue: when it ends, as --at, at most 364 days from now (default: 30 days)"},
    {"format", "FORMAT", "export: jwk, did, jws or raw, the chain in base64 (default: jws)"},
    {NULL, NULL, NULL},
};

static const enum id_kind id_kinds[] = {[IDENTITY_NODE] = ID_NODE,
                                        [IDENTITY_DUCKLING] = ID_DUCKLING,
                                        [IDENTITY_OPERATOR] = ID_OPERATOR};

struct exhibit {
    struct bytes chain, revocation; /* packed; .size 0: there is none */
    bool has_revocation;            /* a member of this name stands there, whatever is in it */
};

static struct bytes member_of(json_t *document, const char *name, struct arena *arena)
{
    const char *text = json_string_value(json_object_get(document, name));
    uint8_t *data = text ? arena_take(arena, strlen(text) + 1) : NULL;
    size_t size = 0;

    if (data && sodium_base642bin(data, strlen(text) + 1, text, strlen(text), NULL, &size, NULL,
                                  sodium_base64_VARIANT_ORIGINAL) != 0)
        size = 0;
    return bytes_of(data, size);
}

/* Of a JWS what it carries, when all of it holds; else as it is. */
static struct bytes chain_of(struct bytes data, struct arena *arena)
{
    enum certificate_verdict certified;
    struct bytes text = data;
    struct chain chain;

    while (text.size > 0 && text.data[text.size - 1] == '\n')
        text.size--;
    return jose_open(text, arena, &chain, &certified) == JOSE_TAKEN ? chain.wire : data;
}

/* node.chain as it is, a JWS, or JSON with the members `chain` and perhaps `revocation` in base64, as the gateway
 * and --json give it. */
static struct exhibit read_exhibit(const char *path, struct arena *arena)
{
    struct exhibit exhibit = {0};
    uint8_t *data = arena_take(arena, FILE_MAX);
    FILE *file = fopen(path, "re");
    json_t *document;
    size_t size;

    if (!file || !data)
        return exhibit;
    size = fread(data, 1, FILE_MAX, file);
    fclose(file);
    document = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    if (!document) {
        exhibit.chain = chain_of(bytes_of(data, size), arena);
        return exhibit;
    }
    exhibit.chain = member_of(document, "chain", arena);
    exhibit.revocation = member_of(document, "revocation", arena);
    exhibit.has_revocation = json_object_get(document, "revocation") != NULL;
    json_decref(document);
    return exhibit;
}

static int say(const struct call *call, const struct chain *chain, const struct public_key *key,
               uint64_t at_ms)
{
    const struct certificate *certificate = chain_certificate_of(chain, key);
    struct id id = id_of(&certificate->hash);
    char hex[2 * PUBLIC_KEY_SIZE + 1], identity[ID_TEXT_SIZE], named[ID_TEXT_SIZE], at[32];

    sodium_bin2hex(hex, sizeof hex, key->bytes, sizeof key->bytes);
    id_text(id_kinds[chain->kind], &chain->identity, identity);
    id_text(ID_CERTIFICATE, &id, named);
    time_text(at_ms, at);
    if (call->json)
        print_json(json_pack("{s:b, s:s, s:s, s:s, s:s, s:i}", "valid", 1, "identity", identity,
                             "at", at, "public_key", hex, "certificate_id", named, "sequence",
                             (int)certificate->sequence));
    else
        printf("valid: %s spoke at %s\n  by      %s\n  with    %s, number %u of %zu\n", identity,
               at, hex, named, (unsigned)certificate->sequence + 1, chain->count);
    return 0;
}

/* Was it revoked by then? True, with *status set: what stands beside the chain says so, or does not hold
 * itself. */
static bool is_revoked(const struct call *call, const struct exhibit *exhibit,
                       const struct chain *chain, uint64_t at_ms, struct arena *arena, int *status)
{
    struct revocation_content content;
    enum revocation_verdict verdict;
    char at[32];

    if (!exhibit->has_revocation)
        return false;
    verdict = revocation_open(exhibit->revocation, chain, arena, &content);
    if (verdict != REVOCATION_HOLDS) {
        *status = fail(call, "malformed", "the revocation beside the chain does not hold: %s",
                       revocation_verdict_text(verdict));
        return true;
    }
    if (at_ms < content.revoked_at_ms)
        return false;
    *status = fail(call, "invalid", "not valid: it is revoked since %s%s%.*s",
                   time_text(content.revoked_at_ms, at), content.reason.size ? ": " : "",
                   (int)content.reason.size, (const char *)content.reason.data);
    return true;
}

/* Which key spoke, and is it the one that was asked for? */
static int judge(const struct call *call, const struct chain *chain, uint64_t at_ms)
{
    const char *asked = call_flag(call, "key");
    enum certificate_verdict verdict;
    struct public_key key, wanted;
    size_t size = 0;

    if (asked && (sodium_hex2bin(wanted.bytes, sizeof wanted.bytes, asked, strlen(asked), NULL,
                                 &size, NULL) != 0 ||
                  size != sizeof wanted.bytes))
        return fail(call, "malformed", "--key is 64 hexadecimal digits");
    verdict = chain_key_at(chain, at_ms, &key);
    if (verdict != CERTIFICATE_TAKEN)
        return fail(call, "invalid", "not valid: %s", certificate_verdict_text(verdict));
    if (asked && memcmp(key.bytes, wanted.bytes, sizeof key.bytes) != 0)
        return fail(call, "invalid", "not valid: %s",
                    chain_certificate_of(chain, &wanted)
                        ? "another key of this chain spoke at that time"
                        : "the chain does not know this key");
    return say(call, chain, &key, at_ms);
}

static int verify(struct call *call)
{
    uint64_t at_ms = clock_wall_ms();
    enum certificate_verdict verdict;
    struct exhibit exhibit;
    struct chain chain;
    struct arena arena;
    int status = 0;

    if (!identity_self_test())
        return fail(call, "crypto", "this libsodium judges signatures otherwise than the network");
    if (!call_time(call, "at", &at_ms))
        return 2;
    arena_init(&arena, 3 * FILE_MAX + 2 * PARSE_BUDGET(CHAIN_SIZE_MAX) +
                           2 * PARSE_BUDGET(RECORD_SIZE_MAX) + 4 * (size_t)JOSE_JWS_MAX);
    exhibit = read_exhibit(call->arguments[1], &arena);
    verdict =
        exhibit.chain.size > 0 ? chain_open(exhibit.chain, &arena, &chain) : CERTIFICATE_MALFORMED;
    if (exhibit.chain.size == 0)
        status = fail(call, "malformed", "%s: no chain, nor JSON with a member chain in base64",
                      call->arguments[1]);
    else if (verdict != CERTIFICATE_TAKEN)
        status = fail(call, "invalid", "not valid: %s", certificate_verdict_text(verdict));
    else if (!is_revoked(call, &exhibit, &chain, at_ms, &arena, &status))
        status = judge(call, &chain, at_ms);
    arena_free(&arena);
    return status;
}

/* ---- of the node ---- */

static void print_revoked(const Duck__CertificateAnswer *answer)
{
    char at[32];

    printf("  revoked at %s%s", time_text(answer->revoked_at_ms, at),
           answer->revocation_reason.len ? ": " : "");
    show_line(stdout, borrowed(answer->revocation_reason));
    putchar('\n');
}

static void print_certificates(const Duck__CertificateAnswer *answer)
{
    char from[32], until[32];

    printf("%s\n", answer->identity);
    for (size_t i = 0; i < answer->n_certificates; i++) {
        const Duck__CertificateView *view = answer->certificates[i];

        printf("  %u  %s  %s to %s\n", view->sequence, view->certificate_id,
               time_text(view->issued_ms, from), time_text(view->not_after_ms, until));
    }
    if (answer->revoked_at_ms)
        print_revoked(answer);
    else
        printf("  %s%s\n",
               answer->valid ? "valid" : "not valid: ", answer->valid ? "" : answer->reason);
}

static void put_base64(json_t *object, const char *name, ProtobufCBinaryData data)
{
    size_t size = sodium_base64_encoded_len(data.len, sodium_base64_VARIANT_ORIGINAL);
    char *text = data.len ? malloc(size) : NULL;

    if (!text)
        return;
    sodium_bin2base64(text, size, data.data, data.len, sodium_base64_VARIANT_ORIGINAL);
    json_object_set_new(object, name, json_string(text));
    free(text);
}

/* What `verify` reads, and people. */
static json_t *exhibit_of(const Duck__CertificateAnswer *answer)
{
    json_t *object = json_object();
    char at[32];

    json_object_set_new(object, "identity", json_string(answer->identity));
    json_object_set_new(object, "valid", json_boolean(answer->valid));
    json_object_set_new(object, "reason", json_string(answer->reason));
    put_base64(object, "chain", answer->chain);
    put_base64(object, "revocation", answer->revocation);
    if (answer->revoked_at_ms) {
        json_object_set_new(object, "revoked_at",
                            json_string(time_text(answer->revoked_at_ms, at)));
        json_object_set_new(object, "revocation_reason",
                            json_stringn((const char *)answer->revocation_reason.data,
                                         answer->revocation_reason.len));
    }
    return object;
}

static Duck__Reply *ask_for(struct call *call, int *status)
{
    Duck__CertificateQuery query = DUCK__CERTIFICATE_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    char *named = (char *)(uintptr_t)call->arguments[1];

    if (strncmp(named, "crt_", 4) == 0)
        query.certificate_id = named;
    else
        query.identity = named;
    request.order_case = DUCK__REQUEST__ORDER_CERTIFICATE;
    request.certificate = &query;
    return ask(call, &request, status);
}

static int show(struct call *call)
{
    int status;
    Duck__Reply *reply = ask_for(call, &status);
    json_t *object;

    if (!reply)
        return status;
    object = call->json ? exhibit_of(reply->certificate) : NULL;
    if (!object)
        print_certificates(reply->certificate);
    context_print(reply->certificate, object);
    if (object)
        print_json(object);
    duck_reply_free(reply);
    return 0;
}

/* ---- for others' tools ---- */

static int print_form(const struct call *call, const char *format, const char *text)
{
    if (call->json)
        print_json(json_pack("{s:s, s:s}", "format", format, "text", text));
    else
        printf("%s\n", text);
    return 0;
}

/* What the newest key signs: only the node that has it can say that. */
static int export_jws(struct call *call)
{
    Duck__ExportOrder order = DUCK__EXPORT_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    Duck__Reply *reply;
    int status;

    order.identity = (char *)(uintptr_t)call->arguments[1];
    request.order_case = DUCK__REQUEST__ORDER_EXPORT;
    request.export = &order;
    reply = ask(call, &request, &status);
    if (!reply)
        return status;
    status = print_form(call, "jws", reply->export->jws);
    duck_reply_free(reply);
    return status;
}

static int print_raw(const struct call *call, ProtobufCBinaryData chain)
{
    size_t size = sodium_base64_encoded_len(chain.len, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(size);
    int status;

    if (!text)
        return fail(call, "memory", "out of memory");
    sodium_bin2base64(text, size, chain.data, chain.len, sodium_base64_VARIANT_ORIGINAL);
    status = print_form(call, "raw", text);
    free(text);
    return status;
}

/* The newest certificate's key, whoever's it is. */
static int print_key(const struct call *call, const char *format, const Duck__CertificateView *view)
{
    char text[JOSE_JWK_SIZE], did[JOSE_DID_SIZE];
    struct public_key key;
    struct id id;

    if (view->public_key.len != sizeof key.bytes ||
        !id_parse(ID_CERTIFICATE, bytes_of_text(view->certificate_id), &id))
        return fail(call, "malformed", "the node's answer names no key");
    memcpy(key.bytes, view->public_key.data, sizeof key.bytes);
    return print_form(call, format,
                      strcmp(format, "jwk") == 0 ? jose_jwk(&key, &id, text) : jose_did(&key, did));
}

static int export(struct call *call)
{
    const char *format = call_has(call, "format") ? call_flag(call, "format") : "jws";
    const Duck__CertificateAnswer *answer;
    Duck__Reply *reply;
    int status;

    if (strcmp(format, "jws") == 0)
        return export_jws(call);
    if (strcmp(format, "jwk") != 0 && strcmp(format, "did") != 0 && strcmp(format, "raw") != 0)
        return misused(call, "a format is jwk, did, jws or raw, not %s", format);
    reply = ask_for(call, &status);
    if (!reply)
        return status;
    answer = reply->certificate;
    if (answer->n_certificates == 0)
        status = fail(call, "malformed", "the node's answer has no certificate");
    else if (strcmp(format, "raw") == 0)
        status = print_raw(call, answer->chain);
    else
        status = print_key(call, format, answer->certificates[answer->n_certificates - 1]);
    duck_reply_free(reply);
    return status;
}

static int certificate(struct call *call)
{
    if (strcmp(call->arguments[0], "verify") == 0)
        return verify(call);
    if (strcmp(call->arguments[0], "issue") == 0)
        return context_issue(call);
    if (strcmp(call->arguments[0], "show") == 0)
        return show(call);
    if (strcmp(call->arguments[0], "export") == 0)
        return export(call);
    return misused_word(call);
}

const struct command certificate_commands[] = {
    {"certificate", "show ID | issue DUCKLING | export ID | verify FILE", 2, 2,
     "Show the certificates of an identity; issue a duckling one more, for a context; or say from "
     "a file alone "
     "which key spoke, and when.",
     certificate_flags, "ducknode certificate verify node.chain --at 2026-01-31T12:00:00Z",
     certificate},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
