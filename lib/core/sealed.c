#include "sealed.h"

#include "binary_data.h"
#include "wire/perch.pb-c.h"

#include <assert.h>
#include <protobuf-c/protobuf-c.h>

#define VERSION 1
#define HEAD_SIZE (1 + PRE_KEY_HINT_SIZE)
#define HANDSHAKE_SIZE (2 * NOISE_KEY_SIZE + 2 * NOISE_TAG_SIZE) /* e, sealed s, empty payload */
#define PART_MAX 32768u
#define PAD_TO KIB
#define SIZE_BYTES 4u
#define TAGS_MAX 64u /* of a SealedPeck, beside its frame */

/* Whatever can be sent directly can also be held. */
#define FRAME_MAX (CHAIN_SIZE_MAX + PECK_BODY_MAX + ENVELOPE_OVERHEAD_MAX + FRAME_TAGS_MAX)
#define PLAIN_MAX ((FRAME_MAX + SIZE_BYTES + TAGS_MAX + PAD_TO) / PAD_TO * PAD_TO)
_Static_assert(HEAD_SIZE + HANDSHAKE_SIZE + PLAIN_MAX +
                       (PLAIN_MAX / PART_MAX + 1) * NOISE_TAG_SIZE <=
                   PERCH_SEALED_MAX,
               "the largest peck, sealed, is what a perch takes");

const char *sealed_verdict_text(enum sealed_verdict verdict)
{
    switch (verdict) {
    case SEALED_OPENED:
        return "opened";
    case SEALED_MALFORMED:
        return "not a well-formed sealed peck";
    case SEALED_UNKNOWN_KEY:
        return "sealed to a key that this node does not have, or has no more";
    case SEALED_BAD_TAG:
        return "changed or cut off on the way, or not sealed to this node";
    }
    return "";
}

static size_t padded(size_t content_size)
{
    return (content_size + SIZE_BYTES + PAD_TO - 1) / PAD_TO * PAD_TO;
}

static size_t parts_of(size_t plain_size)
{
    return (plain_size + PART_MAX - 1) / PART_MAX;
}

size_t sealed_size(size_t frame_size)
{
    size_t plain = padded(frame_size + TAGS_MAX);

    return HEAD_SIZE + HANDSHAKE_SIZE + plain + parts_of(plain) * NOISE_TAG_SIZE;
}

static struct bytes prologue_of(const struct sealed_ends *ends,
                                uint8_t out[16 + NETWORK_ID_MAX + ID_SIZE])
{
    static const char name[] = "duck/perch/1"; /* with its zero byte */
    size_t size = 0;

    assert(ends->network.size <= NETWORK_ID_MAX);
    memcpy(out, name, sizeof name);
    size += sizeof name;
    out[size++] = (uint8_t)ends->network.size;
    memcpy(out + size, ends->network.data, ends->network.size);
    size += ends->network.size;
    memcpy(out + size, ends->owner.bytes, ID_SIZE);
    return bytes_of(out, size + ID_SIZE);
}

/* Size, content, zeros. */
static struct bytes plain_of(const struct sealed_peck *peck, struct arena *arena)
{
    Duck__SealedPeck message = DUCK__SEALED_PECK__INIT;
    size_t size, whole;
    uint8_t *plain;

    message.frame = lent(peck->frame);
    if (!id_is_zero(&peck->after)) {
        message.after = lent(id_bytes(&peck->after));
        message.after_until_ms = peck->after_until_ms;
    }
    size = duck__sealed_peck__get_packed_size(&message);
    whole = padded(size);
    plain = arena_take(arena, whole);
    if (!plain)
        return bytes_of(NULL, 0);
    memset(plain, 0, whole);
    for (size_t i = 0; i < SIZE_BYTES; i++)
        plain[i] = (uint8_t)(size >> (8 * (SIZE_BYTES - 1 - i)));
    duck__sealed_peck__pack(&message, plain + SIZE_BYTES);
    return bytes_of(plain, whole);
}

struct bytes sealed_seal(const struct sealed_ends *ends, const struct sealed_peck *peck,
                         const uint8_t owner_key[NOISE_KEY_SIZE], const struct noise_pair *sealer,
                         const uint8_t ephemeral[NOISE_KEY_SIZE], struct arena *arena)
{
    uint8_t prologue[16 + NETWORK_ID_MAX + ID_SIZE];
    struct bytes plain = plain_of(peck, arena);
    struct noise_cipher send, unused;
    struct noise_handshake hand;
    enum noise_verdict verdict;
    struct noise_pair e;
    size_t size = 0, at = HEAD_SIZE;
    uint8_t *out;

    out = arena_take(arena, HEAD_SIZE + HANDSHAKE_SIZE + plain.size +
                                parts_of(plain.size) * NOISE_TAG_SIZE);
    if (!plain.data || !out)
        return bytes_of(NULL, 0);
    out[0] = VERSION;
    memcpy(out + 1, owner_key, PRE_KEY_HINT_SIZE);
    noise_pair_from_secret(&e, ephemeral);
    noise_begin(&hand, &noise_x, true, prologue_of(ends, prologue), sealer, &e, owner_key, NULL);
    verdict = noise_write(&hand, bytes_of(NULL, 0), out + at, HANDSHAKE_SIZE, &size);
    noise_wipe(&e, sizeof e);
    if (verdict != NOISE_TAKEN) {
        noise_wipe(&hand, sizeof hand);
        return bytes_of(NULL, 0);
    }
    assert(size == HANDSHAKE_SIZE);
    at += size;
    noise_split(&hand, &send, &unused);
    for (size_t from = 0; from < plain.size; from += size) {
        size = plain.size - from < PART_MAX ? plain.size - from : PART_MAX;
        verdict = noise_seal(&send, bytes_of(plain.data + from, size), out + at);
        assert(verdict == NOISE_TAKEN);
        at += size + NOISE_TAG_SIZE;
    }
    noise_wipe(&send, sizeof send);
    noise_wipe(&unused, sizeof unused);
    return bytes_of(out, at);
}

static enum sealed_verdict read_plain(struct bytes plain, struct arena *arena,
                                      struct sealed_peck *peck)
{
    struct sealed_peck parsed = {0};
    Duck__SealedPeck *message;
    size_t size = 0;

    if (plain.size < SIZE_BYTES)
        return SEALED_MALFORMED;
    for (size_t i = 0; i < SIZE_BYTES; i++)
        size = size << 8 | plain.data[i];
    if (plain.size != padded(size))
        return SEALED_MALFORMED;
    message =
        duck__sealed_peck__unpack(arena_protobuf_allocator(arena), size, plain.data + SIZE_BYTES);
    if (!message || message->frame.len == 0 ||
        (message->after.len > 0 && !id_from_bytes(borrowed(message->after), &parsed.after)))
        return SEALED_MALFORMED;
    parsed.frame = borrowed(message->frame);
    parsed.after_until_ms = message->after_until_ms;
    *peck = parsed;
    return SEALED_OPENED;
}

static enum sealed_verdict open_parts(struct noise_cipher *cipher, struct bytes parts,
                                      uint8_t *plain, size_t *size)
{
    *size = 0;
    while (parts.size > 0) {
        size_t part =
            parts.size < PART_MAX + NOISE_TAG_SIZE ? parts.size : PART_MAX + NOISE_TAG_SIZE;

        if (noise_open(cipher, bytes_of(parts.data, part), plain + *size) != NOISE_TAKEN)
            return SEALED_BAD_TAG;
        *size += part - NOISE_TAG_SIZE;
        parts = bytes_of(parts.data + part, parts.size - part);
    }
    return SEALED_OPENED;
}

enum sealed_verdict sealed_open(const struct sealed_ends *ends, struct bytes sealed,
                                const struct prekeys *prekeys, struct arena *arena,
                                struct sealed_peck *peck, uint8_t sealer[NOISE_KEY_SIZE])
{
    uint8_t prologue[16 + NETWORK_ID_MAX + ID_SIZE], nothing[1], *plain;
    struct noise_cipher unused, receive;
    const struct pre_key *key;
    struct noise_handshake hand;
    enum sealed_verdict verdict;
    size_t size;

    if (sealed.size < HEAD_SIZE + HANDSHAKE_SIZE || sealed.size > PERCH_SEALED_MAX ||
        sealed.data[0] != VERSION)
        return SEALED_MALFORMED;
    key = prekeys_find(prekeys, sealed.data + 1);
    if (!key)
        return SEALED_UNKNOWN_KEY;
    plain = arena_take(arena, sealed.size);
    if (!plain)
        return SEALED_MALFORMED;
    noise_begin(&hand, &noise_x, false, prologue_of(ends, prologue), &key->pair, NULL, NULL, NULL);
    if (noise_read(&hand, bytes_of(sealed.data + HEAD_SIZE, HANDSHAKE_SIZE), nothing, 0, &size) !=
        NOISE_TAKEN) {
        noise_wipe(&hand, sizeof hand);
        return SEALED_BAD_TAG;
    }
    memcpy(sealer, hand.rs, NOISE_KEY_SIZE);
    noise_split(&hand, &unused, &receive);
    verdict = open_parts(&receive,
                         bytes_of(sealed.data + HEAD_SIZE + HANDSHAKE_SIZE,
                                  sealed.size - HEAD_SIZE - HANDSHAKE_SIZE),
                         plain, &size);
    noise_wipe(&unused, sizeof unused);
    noise_wipe(&receive, sizeof receive);
    return verdict == SEALED_OPENED ? read_plain(bytes_of(plain, size), arena, peck) : verdict;
}
