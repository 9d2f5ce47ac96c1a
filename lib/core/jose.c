#include "jose.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>

#define BASE58_DIGITS_MAX 47u /* of 34 bytes that begin with 0xed */
#define CLAIMS_SIZE 640u      /* of a payload, without name and chain */
#define HEADER_SIZE 128u
#define SIGNATURE_TEXT_SIZE 86u /* 64 bytes in base64url */
#define URL_SAFE sodium_base64_VARIANT_URLSAFE_NO_PADDING
#define STANDARD sodium_base64_VARIANT_ORIGINAL

/* ---- keys ---- */

/* The first byte is not 0, so there is no leading '1' to care for. */
const char *jose_did(const struct public_key *key, char text[JOSE_DID_SIZE])
{
    static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    uint8_t number[PUBLIC_KEY_SIZE + 2] = {0xed, 0x01};
    char digits[BASE58_DIGITS_MAX + 1];
    size_t count = 0, begin = 0;

    memcpy(number + 2, key->bytes, PUBLIC_KEY_SIZE);
    while (begin < sizeof number) {
        unsigned rest = 0;

        for (size_t i = begin; i < sizeof number; i++) {
            unsigned value = rest * 256 + number[i];

            number[i] = (uint8_t)(value / 58);
            rest = value % 58;
        }
        assert(count < sizeof digits);
        digits[count++] = alphabet[rest];
        while (begin < sizeof number && number[begin] == 0)
            begin++;
    }
    assert(count <= BASE58_DIGITS_MAX);
    memcpy(text, "did:key:z", 9);
    for (size_t i = 0; i < count; i++)
        text[9 + i] = digits[count - 1 - i];
    text[9 + count] = 0;
    return text;
}

const char *jose_jwk(const struct public_key *key, const struct id *certificate,
                     char text[JOSE_JWK_SIZE])
{
    char x[sodium_base64_ENCODED_LEN(PUBLIC_KEY_SIZE, URL_SAFE)], kid[ID_TEXT_SIZE];

    sodium_bin2base64(x, sizeof x, key->bytes, sizeof key->bytes, URL_SAFE);
    if (certificate)
        snprintf(text, JOSE_JWK_SIZE,
                 "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\",\"kid\":\"%s\","
                 "\"use\":\"sig\",\"alg\":\"EdDSA\"}",
                 x, id_text(ID_CERTIFICATE, certificate, kid));
    else
        snprintf(text, JOSE_JWK_SIZE, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"}", x);
    return text;
}

/* ---- what is signed ---- */

static const struct {
    enum id_kind id;
    const char *name;
} kinds[] = {
    [IDENTITY_NODE] = {ID_NODE, "node"},
    [IDENTITY_DUCKLING] = {ID_DUCKLING, "duckling"},
    [IDENTITY_OPERATOR] = {ID_OPERATOR, "operator"},
};

static const struct certificate *last_of(const struct chain *chain)
{
    return &chain->certificates[chain->count - 1];
}

static size_t base64_size(size_t size, int variant)
{
    return sodium_base64_encoded_len(size, variant) - 1;
}

/* A name has no control characters (certificate.h): what JSON needs escaped else is these two. */
static char *put_escaped(char *at, struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\')
            *at++ = '\\';
        *at++ = (char)text.data[i];
    }
    *at = 0;
    return at;
}

static struct bytes payload_of(const struct chain *chain, struct arena *arena)
{
    const struct certificate *last = last_of(chain);
    struct id certificate = id_of(&last->hash);
    size_t encoded = sodium_base64_encoded_len(chain->wire.size, STANDARD);
    char did[JOSE_DID_SIZE], subject[ID_TEXT_SIZE], named[ID_TEXT_SIZE], jwk[JOSE_JWK_SIZE];
    char *text = arena_take(arena, CLAIMS_SIZE + 2 * (size_t)NAME_MAX_BYTES + encoded), *at = text;

    if (!text)
        return bytes_of(NULL, 0);
    jose_did(&last->public_key, did);
    id_text(kinds[chain->kind].id, &chain->identity, subject);
    id_text(ID_CERTIFICATE, &certificate, named);
    at += sprintf(at,
                  "{\"iss\":\"%s\",\"sub\":\"%s\",\"jti\":\"%s\",\"iat\":%llu,\"nbf\":%llu,"
                  "\"exp\":%llu,\"name\":\"",
                  did, subject, named, (unsigned long long)(last->issued_ms / 1000),
                  (unsigned long long)(last->issued_ms / 1000),
                  (unsigned long long)(last->not_after_ms / 1000));
    at = put_escaped(at, last->display_name);
    at += sprintf(at, "\",\"kind\":\"%s\",\"sequence\":%u,\"cnf\":{\"jwk\":%s},\"chain\":\"",
                  kinds[chain->kind].name, (unsigned)last->sequence,
                  jose_jwk(&last->public_key, NULL, jwk));
    sodium_bin2base64(at, encoded, chain->wire.data, chain->wire.size, STANDARD);
    at += strlen(at);
    at += sprintf(at, "\"}");
    return bytes_of(text, (size_t)(at - text));
}

static size_t header_of(const struct chain *chain, char text[HEADER_SIZE])
{
    struct id certificate = id_of(&last_of(chain)->hash);
    char named[ID_TEXT_SIZE];

    return (size_t)snprintf(text, HEADER_SIZE,
                            "{\"alg\":\"EdDSA\",\"kid\":\"%s\",\"typ\":\"duck-certificate+jwt\"}",
                            id_text(ID_CERTIFICATE, &certificate, named));
}

/* RFC 7515, section 5.1: BASE64URL(header) "." BASE64URL(payload). There is room for the signature behind
 * it. */
static struct bytes signing_input(const struct chain *chain, struct arena *arena)
{
    struct bytes payload = payload_of(chain, arena);
    char header[HEADER_SIZE];
    size_t header_size = header_of(chain, header);
    size_t begin = base64_size(header_size, URL_SAFE) + 1;
    size_t size = begin + base64_size(payload.size, URL_SAFE);
    char *text = payload.data ? arena_take(arena, size + 1 + SIGNATURE_TEXT_SIZE + 1) : NULL;

    if (!text)
        return bytes_of(NULL, 0);
    sodium_bin2base64(text, begin, (const uint8_t *)header, header_size, URL_SAFE);
    text[begin - 1] = '.';
    sodium_bin2base64(text + begin, size - begin + 1, payload.data, payload.size, URL_SAFE);
    return bytes_of(text, size);
}

struct bytes jose_jws(const struct chain *chain, const struct identity_key *key,
                      struct arena *arena)
{
    struct bytes input = signing_input(chain, arena);
    struct signature signature;
    char *end;

    if (!input.data)
        return input;
    signature = identity_sign(key, input);
    end = (char *)(uintptr_t)input.data + input.size;
    *end++ = '.';
    sodium_bin2base64(end, SIGNATURE_TEXT_SIZE + 1, signature.bytes, sizeof signature.bytes,
                      URL_SAFE);
    return bytes_of(input.data, input.size + 1 + SIGNATURE_TEXT_SIZE);
}

/* ---- reading ---- */

const char *jose_verdict_text(enum jose_verdict verdict)
{
    switch (verdict) {
    case JOSE_TAKEN:
        return "taken";
    case JOSE_TOO_LARGE:
        return "it is larger than a certificate's JWS can be";
    case JOSE_MALFORMED:
        return "it is no compact JWS that carries a chain";
    case JOSE_BAD_CHAIN:
        return "the chain in it does not hold";
    case JOSE_NOT_THE_CHAIN:
        return "it says something else than the chain that it carries";
    case JOSE_BAD_SIGNATURE:
        return "its signature does not hold";
    }
    return "";
}

static struct bytes decoded(struct bytes text, int variant, struct arena *arena)
{
    uint8_t *data = arena_take(arena, text.size + 1);
    size_t size;

    if (!data || sodium_base642bin(data, text.size + 1, (const char *)text.data, text.size, NULL,
                                   &size, NULL, variant) != 0)
        return bytes_of(NULL, 0);
    return bytes_of(data, size);
}

/* Its last member. That all the rest is as it should be is seen when it is made anew. */
static struct bytes chain_in(struct bytes payload)
{
    size_t end = payload.size - 2, begin = end;

    if (payload.size < 2 || memcmp(payload.data + end, "\"}", 2) != 0)
        return bytes_of(NULL, 0);
    while (begin > 0 && payload.data[begin - 1] != '"')
        begin--;
    return bytes_of(payload.data + begin, end - begin);
}

static const uint8_t *dot_in(const uint8_t *from, const uint8_t *end)
{
    return from < end ? memchr(from, '.', (size_t)(end - from)) : NULL;
}

static bool is_signed(struct bytes input, struct bytes text, const struct chain *chain)
{
    struct signature signature;
    size_t size;

    return sodium_base642bin(signature.bytes, sizeof signature.bytes, (const char *)text.data,
                             text.size, NULL, &size, NULL, URL_SAFE) == 0 &&
           size == sizeof signature.bytes &&
           identity_verify(&last_of(chain)->public_key, &signature, input);
}

enum jose_verdict jose_open(struct bytes text, struct arena *arena, struct chain *chain,
                            enum certificate_verdict *certified)
{
    const uint8_t *end = text.data + text.size, *first, *second;
    struct bytes payload, wire, input;
    struct chain opened;

    if (text.size > JOSE_JWS_MAX)
        return JOSE_TOO_LARGE;
    first = text.size > 0 ? dot_in(text.data, end) : NULL;
    second = first ? dot_in(first + 1, end) : NULL;
    if (!second || dot_in(second + 1, end))
        return JOSE_MALFORMED;
    payload = decoded(bytes_of(first + 1, (size_t)(second - first - 1)), URL_SAFE, arena);
    wire = payload.data ? chain_in(payload) : payload;
    wire = wire.data ? decoded(wire, STANDARD, arena) : wire;
    if (!wire.data)
        return JOSE_MALFORMED;
    *certified = chain_open(wire, arena, &opened);
    if (*certified != CERTIFICATE_TAKEN)
        return JOSE_BAD_CHAIN;
    input = signing_input(&opened, arena);
    if (!bytes_equal(input, bytes_of(text.data, (size_t)(second - text.data))))
        return JOSE_NOT_THE_CHAIN;
    if (!is_signed(input, bytes_of(second + 1, (size_t)(end - second - 1)), &opened))
        return JOSE_BAD_SIGNATURE;
    *chain = opened;
    return JOSE_TAKEN;
}
