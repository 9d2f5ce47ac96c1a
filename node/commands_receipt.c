/* Receipts verify alone: without a node, a key or the network. */
#include "commands.h"
#include "core/certificate.h"
#include "core/receipt.h"

#include <sodium.h>
#include <stdio.h>

#define FILE_MAX (2u * MIB)

static struct bytes decode(const json_t *document, const char *member, struct arena *arena)
{
    const char *text = json_string_value(json_object_get(document, member));
    size_t size = text ? strlen(text) : 0, decoded;
    uint8_t *data = arena_take(arena, size + 1);

    if (!text || !data ||
        sodium_base642bin(data, size + 1, text, size, NULL, &decoded, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return bytes_of(NULL, 0);
    return bytes_of(data, decoded);
}

/* NULL when it holds; else why not. */
static const char *judge(struct bytes envelope_wire, struct bytes chain_wire, struct arena *arena,
                         struct receipt *receipt, struct chain *chain)
{
    enum certificate_verdict certified = chain_open(chain_wire, arena, chain);
    enum envelope_verdict sealed;
    enum receipt_verdict form;
    struct envelope envelope;
    struct public_key key;

    if (certified != CERTIFICATE_TAKEN)
        return certificate_verdict_text(certified);
    sealed = envelope_parse(envelope_wire, ENVELOPE_RECEIPT, arena, &envelope);
    if (sealed != ENVELOPE_TAKEN)
        return envelope_verdict_text(sealed);
    if (!id_equal(&envelope.signer, &chain->identity))
        return "the envelope names another signer than its certificates";
    /* Which key it was depends on the date inside: each that the chain ever named is tried, and
     * the date then must be that key's. */
    for (size_t i = chain->count; i-- > 0;) {
        key = chain->certificates[i].public_key;
        sealed = envelope_verify(&envelope, &key, NULL);
        if (sealed == ENVELOPE_TAKEN)
            break;
    }
    if (sealed != ENVELOPE_TAKEN)
        return envelope_verdict_text(sealed);
    form = receipt_parse(envelope.body, arena, receipt);
    if (form != RECEIPT_OK)
        return receipt_verdict_text(form);
    certified = chain_key_at(chain, receipt->at_ms, &key);
    if (certified != CERTIFICATE_TAKEN)
        return certificate_verdict_text(certified);
    if (envelope_verify(&envelope, &key, NULL) != ENVELOPE_TAKEN)
        return "signed with a key that was not valid at the time it says";
    if (receipt->kind != RECEIPT_TAKEN && !id_equal(&chain->identity, &receipt->to))
        return "a done receipt that the target did not sign";
    if (receipt->kind == RECEIPT_TAKEN && chain->kind != IDENTITY_NODE)
        return "a taken receipt that no node signed";
    return NULL;
}

static void print_said(const char *label, struct bytes said)
{
    if (said.size == 0)
        return;
    printf("  %-7s ", label);
    show_line(stdout, said);
    putchar('\n');
}

static int say(struct call *call, const struct receipt *receipt, const struct chain *chain)
{
    struct id peck = id_of(&receipt->peck);
    char signer[ID_TEXT_SIZE], id[ID_TEXT_SIZE], from[ID_TEXT_SIZE], to[ID_TEXT_SIZE], at[32];

    id_text(chain->kind == IDENTITY_NODE ? ID_NODE : ID_DUCKLING, &chain->identity, signer);
    id_text(ID_PECK, &peck, id);
    id_text(ID_DUCKLING, &receipt->from, from);
    id_text(ID_DUCKLING, &receipt->to, to);
    time_text(receipt->at_ms, at);
    if (call->json) {
        print_json(json_pack("{s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "valid", 1, "kind",
                             receipt_kind_name(receipt->kind), "state",
                             peck_state_name(receipt->state), "peck_id", id, "from", from, "to", to,
                             "signer", signer, "at", at));
        return 0;
    }
    printf("valid: %s, %s\n", receipt_kind_name(receipt->kind), peck_state_name(receipt->state));
    printf("  %-7s %s\n  %-7s %s\n  %-7s %s\n  %-7s %s\n  %-7s %s\n", "signer", signer, "at", at,
           "peck", id, "from", from, "to", to);
    print_said("result", receipt->result);
    print_said("problem", receipt->problem);
    return 0;
}

static int verify(struct call *call)
{
    const char *path = call->arguments[1], *why;
    struct bytes envelope, chain_wire;
    struct receipt receipt;
    json_error_t error;
    struct chain chain;
    struct arena arena;
    json_t *document;
    int status;

    if (strcmp(call->arguments[0], "verify") != 0)
        return misused_word(call);
    if (!identity_self_test())
        return fail(call, "crypto", "this libsodium judges signatures otherwise than the network");
    document = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!document)
        return fail(call, "malformed", "%s%s%s", strstr(error.text, path) ? "" : path,
                    strstr(error.text, path) ? "" : ": ", error.text);
    arena_init(&arena, 32 * FILE_MAX);
    envelope = decode(document, "envelope", &arena);
    chain_wire = decode(document, "chain", &arena);
    json_decref(document);
    if (!envelope.data || !chain_wire.data)
        why = "it needs the members envelope and chain, in base64";
    else
        why = judge(envelope, chain_wire, &arena, &receipt, &chain);
    status = why ? fail(call, "invalid", "not valid: %s", why) : say(call, &receipt, &chain);
    arena_free(&arena);
    return status;
}

const struct command receipt_commands[] = {
    {"receipt", "verify FILE", 2, 2,
     "Verify a receipt (JSON with envelope and chain, as the gateway gives it), offline.", NULL,
     "ducknode receipt verify receipt.json", verify},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
