#include "webhook.h"

#include "core/peck.h"

#include <ctype.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#define NAME_BYTES 10 /* 16 characters of base32 */

/* ---- which events ---- */

bool webhook_wants(const struct webhook_filter *filter, const struct webhook_subject *subject)
{
    bool has_tier =
        happening_has_other_end(subject->happening) || subject->happening == HAPPENED_TIER_CHANGE;

    if (!(filter->kinds >> subject->happening & 1))
        return false;
    if (!id_is_zero(&filter->duckling) && !id_equal(&filter->duckling, &subject->duckling))
        return false;
    if (filter->action[0] && happening_has_action(subject->happening) &&
        !peck_scope_covers(bytes_of_text(filter->action), bytes_of_text(subject->action)))
        return false;
    return !has_tier || subject->tier >= filter->least_tier;
}

bool webhook_is_for(const struct webhook_filter *filter, const struct id *only)
{
    return id_is_zero(only) || id_equal(only, &filter->duckling);
}

/* ---- where ---- */

const char *webhook_url_text(enum webhook_url_verdict verdict)
{
    switch (verdict) {
    case WEBHOOK_URL_GOOD:
        return "good";
    case WEBHOOK_URL_TOO_LONG:
        return "url may have at most 2048 bytes";
    case WEBHOOK_URL_MALFORMED:
        return "url is not an absolute URL";
    case WEBHOOK_URL_SCHEME:
        return "url must begin with https://";
    case WEBHOOK_URL_SECRETS:
        return "url must not hold a user or a password; put a token into the path or the query";
    case WEBHOOK_URL_FRAGMENT:
        return "url must not have a fragment";
    }
    return "unknown verdict";
}

static bool has_part(CURLU *parts, CURLUPart part)
{
    char *text = NULL;
    bool is_there = curl_url_get(parts, part, &text, 0) == CURLUE_OK;

    curl_free(text);
    return is_there;
}

static uint64_t hash_host(const char *host, const char *port)
{
    char place[300];
    uint64_t hash = 0;
    struct hash whole;

    snprintf(place, sizeof place, "%.255s:%.16s", host, port);
    for (char *at = place; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    whole = hash_of(bytes_of_text(place));
    memcpy(&hash, whole.bytes, sizeof hash);
    return hash;
}

static enum webhook_url_verdict judge_parts(CURLU *parts, uint64_t *place)
{
    char *scheme = NULL, *host = NULL, *port = NULL;
    enum webhook_url_verdict verdict = WEBHOOK_URL_GOOD;

    if (curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(parts, CURLUPART_HOST, &host, 0) != CURLUE_OK || !*host)
        verdict = WEBHOOK_URL_MALFORMED;
    else if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
        verdict = WEBHOOK_URL_SCHEME;
    else if (has_part(parts, CURLUPART_USER) || has_part(parts, CURLUPART_PASSWORD))
        verdict = WEBHOOK_URL_SECRETS;
    else if (has_part(parts, CURLUPART_FRAGMENT))
        verdict = WEBHOOK_URL_FRAGMENT;
    else if (curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        verdict = WEBHOOK_URL_MALFORMED;
    else
        *place = hash_host(host, port);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    return verdict;
}

enum webhook_url_verdict webhook_url_judge(const char *url, uint64_t *host)
{
    enum webhook_url_verdict verdict = WEBHOOK_URL_MALFORMED;
    CURLU *parts;

    if (strlen(url) > WEBHOOK_URL_MAX)
        return WEBHOOK_URL_TOO_LONG;
    for (const char *at = url; *at; at++)
        if (*at <= ' ' || *at > '~')
            return WEBHOOK_URL_MALFORMED;
    parts = curl_url();
    if (parts && curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK)
        verdict = judge_parts(parts, host);
    curl_url_cleanup(parts);
    return verdict;
}

void webhook_name_make(char name[WEBHOOK_NAME_SIZE])
{
    uint8_t bytes[NAME_BYTES];

    randombytes_buf(bytes, sizeof bytes);
    memcpy(name, "whk_", 4);
    base32_encode(bytes_of(bytes, sizeof bytes), name + 4);
}

/* ---- secrets ---- */

#define NONCE_SIZE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_SIZE crypto_aead_xchacha20poly1305_ietf_ABYTES
#define SEAL_KEY_SIZE crypto_aead_xchacha20poly1305_ietf_KEYBYTES

_Static_assert(NONCE_SIZE + WEBHOOK_SECRET_SIZE + TAG_SIZE == WEBHOOK_SEALED_SIZE, "it fits");
_Static_assert(SEAL_KEY_SIZE == GATE_HASH_SIZE, "a hash is a key");
_Static_assert(crypto_sign_SEEDBYTES == GATE_HASH_SIZE, "a hash is a seed");

void webhook_secret_make(uint8_t secret[WEBHOOK_SECRET_SIZE])
{
    randombytes_buf(secret, WEBHOOK_SECRET_SIZE);
}

void webhook_seal(const struct gate_key *key, const char *name,
                  const uint8_t secret[WEBHOOK_SECRET_SIZE], uint8_t sealed[WEBHOOK_SEALED_SIZE])
{
    uint8_t seal_key[SEAL_KEY_SIZE];

    gate_key_hash(key, "webhook secret", name, "", seal_key);
    randombytes_buf(sealed, NONCE_SIZE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        sealed + NONCE_SIZE, NULL, secret, WEBHOOK_SECRET_SIZE, NULL, 0, NULL, sealed, seal_key);
    sodium_memzero(seal_key, sizeof seal_key);
}

bool webhook_unseal(const struct gate_key *key, const char *name,
                    const uint8_t sealed[WEBHOOK_SEALED_SIZE], uint8_t secret[WEBHOOK_SECRET_SIZE])
{
    uint8_t seal_key[SEAL_KEY_SIZE];
    bool is_open;

    gate_key_hash(key, "webhook secret", name, "", seal_key);
    is_open = crypto_aead_xchacha20poly1305_ietf_decrypt(secret, NULL, NULL, sealed + NONCE_SIZE,
                                                         WEBHOOK_SEALED_SIZE - NONCE_SIZE, NULL, 0,
                                                         sealed, seal_key) == 0;
    sodium_memzero(seal_key, sizeof seal_key);
    return is_open;
}

static char *put_base64(char *text, const uint8_t *bytes, size_t size)
{
    size_t room = sodium_base64_encoded_len(size, sodium_base64_VARIANT_ORIGINAL);

    sodium_bin2base64(text, room, bytes, size, sodium_base64_VARIANT_ORIGINAL);
    return text + room - 1;
}

const char *webhook_secret_text(const uint8_t secret[WEBHOOK_SECRET_SIZE],
                                char text[WEBHOOK_SECRET_TEXT_SIZE])
{
    memcpy(text, "whsec_", 6);
    put_base64(text + 6, secret, WEBHOOK_SECRET_SIZE);
    return text;
}

static void make_pair(const struct gate_key *key, const char *name,
                      uint8_t public_key[crypto_sign_PUBLICKEYBYTES],
                      uint8_t secret_key[crypto_sign_SECRETKEYBYTES])
{
    uint8_t seed[GATE_HASH_SIZE];

    gate_key_hash(key, "webhook signing", name, "", seed);
    crypto_sign_seed_keypair(public_key, secret_key, seed);
    sodium_memzero(seed, sizeof seed);
}

const char *webhook_public_text(const struct gate_key *key, const char *name,
                                char text[WEBHOOK_PUBLIC_TEXT_SIZE])
{
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES], secret_key[crypto_sign_SECRETKEYBYTES];

    make_pair(key, name, public_key, secret_key);
    sodium_memzero(secret_key, sizeof secret_key);
    memcpy(text, "whpk_", 5);
    put_base64(text + 5, public_key, sizeof public_key);
    return text;
}

/* ---- signatures ---- */

static void hash_in(crypto_auth_hmacsha256_state *state, const char *text)
{
    crypto_auth_hmacsha256_update(state, (const uint8_t *)text, strlen(text));
}

static char *put_v1(char *at, const uint8_t *secret, const char *prefix, const char *body)
{
    crypto_auth_hmacsha256_state state;
    uint8_t hash[crypto_auth_hmacsha256_BYTES];

    crypto_auth_hmacsha256_init(&state, secret, WEBHOOK_SECRET_SIZE);
    hash_in(&state, prefix);
    hash_in(&state, body);
    crypto_auth_hmacsha256_final(&state, hash);
    sodium_memzero(&state, sizeof state);
    memcpy(at, "v1,", 3);
    at = put_base64(at + 3, hash, sizeof hash);
    *at++ = ' ';
    return at;
}

static void put_v1a(char *at, const struct webhook_signing *signing, const char *prefix)
{
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES], secret_key[crypto_sign_SECRETKEYBYTES];
    uint8_t signature[crypto_sign_BYTES];
    size_t prefix_size = strlen(prefix), size = prefix_size + strlen(signing->body);
    uint8_t *text = memory_take(size + 1);

    memcpy(text, prefix, prefix_size);
    memcpy(text + prefix_size, signing->body, size - prefix_size);
    make_pair(signing->key, signing->name, public_key, secret_key);
    crypto_sign_detached(signature, NULL, text, size, secret_key);
    sodium_memzero(secret_key, sizeof secret_key);
    memory_give_back(text);
    memcpy(at, "v1a,", 4);
    put_base64(at + 4, signature, sizeof signature);
}

static void put_hex(char *hex, const uint8_t *secret, const char *body)
{
    crypto_auth_hmacsha256_state state;
    uint8_t hash[crypto_auth_hmacsha256_BYTES];
    char text[WEBHOOK_SECRET_TEXT_SIZE];

    webhook_secret_text(secret, text);
    crypto_auth_hmacsha256_init(&state, (const uint8_t *)text, strlen(text));
    hash_in(&state, body);
    crypto_auth_hmacsha256_final(&state, hash);
    sodium_memzero(&state, sizeof state);
    sodium_memzero(text, sizeof text);
    memcpy(hex, "sha256=", 7);
    sodium_bin2hex(hex + 7, WEBHOOK_HEX_SIZE - 7, hash, sizeof hash);
}

void webhook_sign(const struct webhook_signing *signing, char signatures[WEBHOOK_SIGNATURES_SIZE],
                  char hex[WEBHOOK_HEX_SIZE])
{
    char prefix[128], *at = signatures;

    snprintf(prefix, sizeof prefix, "%s.%" PRIu64 ".", signing->id, signing->at_s);
    at = put_v1(at, signing->secret, prefix, signing->body);
    if (signing->old_secret)
        at = put_v1(at, signing->old_secret, prefix, signing->body);
    put_v1a(at, signing, prefix);
    put_hex(hex, signing->secret, signing->body);
}
