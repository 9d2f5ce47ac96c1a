/* A certificate as a JWS, as any stranger may hand it in. Hardly a change to the text keeps its base64: so the first byte
 * says what the rest is: 0 the text, 1 what its payload says, 2 the chain in that, signed by somebody. */
#include "people.h"

#include "core/jose.h"

#include <sodium.h>

enum depth { DEPTH_TEXT, DEPTH_PAYLOAD, DEPTH_CHAIN, DEPTHS };

static struct bytes text_around(struct bytes payload, struct arena *arena)
{
    size_t size = sodium_base64_encoded_len(payload.size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *text = arena_take(arena, 4 + size + 4);

    if (!text)
        return bytes_of(NULL, 0);
    memcpy(text, "e30.", 4);
    sodium_bin2base64(text + 4, size, payload.data, payload.size,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    memcpy(text + 4 + size - 1, ".AAA", 4);
    return bytes_of(text, 4 + size - 1 + 4);
}

/* Whoever signs it: it is the chain's own, or no good. */
static struct bytes text_of(struct bytes wire, struct arena *arena)
{
    static struct identity_key *key;
    struct bytes text = {0};
    struct chain chain;

    if (!key) {
        MUST(identity_self_test());
        key = person_key(3);
    }
    if (chain_open(wire, arena, &chain) == CERTIFICATE_TAKEN)
        text = jose_jws(&chain, key, arena);
    return text;
}

static struct bytes text_at(enum depth depth, struct bytes data, struct arena *arena)
{
    return depth == DEPTH_TEXT      ? data
           : depth == DEPTH_PAYLOAD ? text_around(data, arena)
                                    : text_of(data, arena);
}

/* There is one text for it, to the byte; whoever reads it again finds the same. */
static void judge(struct bytes text, const struct chain *chain, struct arena *arena)
{
    struct bytes other = arena_copy(arena, text);
    enum certificate_verdict certified;
    struct chain again;

    MUST(chain->count > 0);
    if (jose_open(text, arena, &again, &certified) == JOSE_TAKEN)
        MUST(bytes_equal(again.wire, chain->wire));
    else
        MUST(&memory_is_short && memory_is_short);
    if (!other.data)
        return;
    ((uint8_t *)(uintptr_t)other.data)[text.size / 2] ^= 1;
    MUST(jose_open(other, arena, &again, &certified) != JOSE_TAKEN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum certificate_verdict certified = CERTIFICATE_TAKEN;
    enum jose_verdict verdict;
    struct arena arena;
    struct chain chain;
    struct bytes text;

    if (size == 0)
        return 0;
    arena_init(&arena, 8 * PARSE_BUDGET(size));
    text = text_at(data[0] % DEPTHS, bytes_of(data + 1, size - 1), &arena);
    verdict = jose_open(text, &arena, &chain, &certified);
    MUST(*jose_verdict_text(verdict));
    MUST(verdict != JOSE_BAD_CHAIN || certified != CERTIFICATE_TAKEN);
    MUST(verdict != JOSE_MALFORMED || certified == CERTIFICATE_TAKEN);
    if (verdict == JOSE_TAKEN)
        judge(text, &chain, &arena);
    arena_free(&arena);
    return 0;
}
