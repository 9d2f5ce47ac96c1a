/* Was this key valid on that day? A chain answers it alone: without a node, a key or the network. */
#include "clock.h"
#include "commands.h"
#include "core/certificate.h"

#include <sodium.h>
#include <stdio.h>

#define FILE_MAX (2u * MIB)

static const struct command_flag certificate_flags[] = {
    {"at", "TIME", "the day, as 2026-01-31T12:00:00Z or +SECONDS from now (default: now)"},
    {"key", "HEX", "was it this public key? (64 hexadecimal digits)"},
    {NULL, NULL, NULL},
};

static const enum id_kind id_kinds[] = {[IDENTITY_NODE] = ID_NODE,
                                        [IDENTITY_DUCKLING] = ID_DUCKLING,
                                        [IDENTITY_OPERATOR] = ID_OPERATOR};

/* node.chain as it is, or JSON with a member `chain` in base64, as the gateway and --json give it. */
static struct bytes read_chain(const char *path, struct arena *arena)
{
    uint8_t *data = arena_take(arena, FILE_MAX);
    FILE *file = fopen(path, "re");
    size_t size, decoded = 0;
    json_t *document;
    const char *text;
    uint8_t *chain;

    if (!file || !data)
        return bytes_of(NULL, 0);
    size = fread(data, 1, FILE_MAX, file);
    fclose(file);
    document = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    if (!document)
        return bytes_of(data, size);
    text = json_string_value(json_object_get(document, "chain"));
    chain = text ? arena_take(arena, strlen(text) + 1) : NULL;
    if (chain && sodium_base642bin(chain, strlen(text) + 1, text, strlen(text), NULL, &decoded,
                                   NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        decoded = 0;
    json_decref(document);
    return bytes_of(chain, decoded);
}

static const struct certificate *certificate_of(const struct chain *chain,
                                                const struct public_key *key)
{
    for (size_t i = chain->count; i-- > 0;)
        if (memcmp(chain->certificates[i].public_key.bytes, key->bytes, PUBLIC_KEY_SIZE) == 0)
            return &chain->certificates[i];
    return NULL;
}

static int say(const struct call *call, const struct chain *chain, const struct public_key *key,
               uint64_t at_ms)
{
    const struct certificate *certificate = certificate_of(chain, key);
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
                    certificate_of(chain, &wanted) ? "another key of this chain spoke at that time"
                                                   : "the chain does not know this key");
    return say(call, chain, &key, at_ms);
}

static int verify(struct call *call)
{
    uint64_t at_ms = clock_wall_ms();
    enum certificate_verdict verdict;
    struct chain chain;
    struct arena arena;
    struct bytes wire;
    int status;

    if (strcmp(call->arguments[0], "verify") != 0)
        return fail(call, "usage", "it can verify, not %s", call->arguments[0]);
    if (!identity_self_test())
        return fail(call, "crypto", "this libsodium judges signatures otherwise than the network");
    if (!call_time(call, "at", &at_ms))
        return 2;
    arena_init(&arena, 3 * FILE_MAX + PARSE_BUDGET(CHAIN_SIZE_MAX));
    wire = read_chain(call->arguments[1], &arena);
    if (wire.size == 0) {
        status = fail(call, "malformed", "%s: no chain, nor JSON with a member chain in base64",
                      call->arguments[1]);
    } else {
        verdict = chain_open(wire, &arena, &chain);
        status = verdict == CERTIFICATE_TAKEN
                     ? judge(call, &chain, at_ms)
                     : fail(call, "invalid", "not valid: %s", certificate_verdict_text(verdict));
    }
    arena_free(&arena);
    return status;
}

const struct command certificate_commands[] = {
    {"certificate", "verify FILE", 2, 2,
     "Say from a chain alone which key spoke for its identity, and when; offline.",
     certificate_flags, "ducknode certificate verify node.chain --at 2026-01-31T12:00:00Z", verify},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
