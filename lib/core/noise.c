/* Section numbers are those of the Noise Protocol Framework, revision 34. */
#include "noise.h"

#include <assert.h>
#include <sodium.h>

#define DH_SIZE NOISE_KEY_SIZE

_Static_assert(NOISE_HASH_SIZE == crypto_hash_sha256_BYTES, "HASHLEN");
_Static_assert(NOISE_HASH_SIZE == crypto_auth_hmacsha256_BYTES, "HASHLEN");
_Static_assert(NOISE_KEY_SIZE == crypto_scalarmult_BYTES, "DHLEN");
_Static_assert(NOISE_KEY_SIZE == crypto_aead_chacha20poly1305_ietf_KEYBYTES, "a cipher's key");
_Static_assert(NOISE_TAG_SIZE == crypto_aead_chacha20poly1305_ietf_ABYTES, "a cipher's tag");

const struct noise_pattern noise_xk = {
    .protocol_name = "Noise_XK_25519_ChaChaPoly_SHA256",
    .callee_static_known = true,
    .message_count = 3,
    .messages = {{NOISE_E, NOISE_ES, NOISE_END},
                 {NOISE_E, NOISE_EE, NOISE_END},
                 {NOISE_S, NOISE_SE, NOISE_END}},
};

const struct noise_pattern noise_x = {
    .protocol_name = "Noise_X_25519_ChaChaPoly_SHA256",
    .callee_static_known = true,
    .message_count = 1,
    .messages = {{NOISE_E, NOISE_ES, NOISE_S, NOISE_SS, NOISE_END}},
};

void noise_wipe(void *secret, size_t size)
{
    sodium_memzero(secret, size);
}

void noise_pair_from_secret(struct noise_pair *pair, const uint8_t secret[NOISE_KEY_SIZE])
{
    memmove(pair->secret, secret, NOISE_KEY_SIZE);
    crypto_scalarmult_base(pair->public, pair->secret);
}

/* ---- section 5.1: the cipher ---- */

/* Section 12.3: 32 zero bits, then the counter in little-endian. */
static void nonce_of(uint64_t counter, uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES])
{
    memset(nonce, 0, 4);
    for (size_t i = 0; i < 8; i++)
        nonce[4 + i] = (uint8_t)(counter >> (8 * i));
}

static enum noise_verdict seal(struct noise_cipher *cipher, struct bytes ad, struct bytes plain,
                               uint8_t *out)
{
    uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

    if (cipher->nonce == UINT64_MAX) /* reserved for rekey() */
        return NOISE_WORN_OUT;
    nonce_of(cipher->nonce++, nonce);
    crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain.data, plain.size, ad.data, ad.size,
                                              NULL, nonce, cipher->key);
    return NOISE_TAKEN;
}

/* A refused message does not use up its nonce. */
static enum noise_verdict open_sealed(struct noise_cipher *cipher, struct bytes ad,
                                      struct bytes sealed, uint8_t *out)
{
    uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

    if (sealed.size < NOISE_TAG_SIZE)
        return NOISE_TOO_SHORT;
    if (cipher->nonce == UINT64_MAX)
        return NOISE_WORN_OUT;
    nonce_of(cipher->nonce, nonce);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed.data, sealed.size,
                                                  ad.data, ad.size, nonce, cipher->key) != 0)
        return NOISE_BAD_TAG;
    cipher->nonce++;
    return NOISE_TAKEN;
}

enum noise_verdict noise_seal(struct noise_cipher *cipher, struct bytes plain, uint8_t *out)
{
    assert(cipher->keyed);
    if (plain.size > NOISE_MESSAGE_MAX - NOISE_TAG_SIZE)
        return NOISE_TOO_LONG;
    return seal(cipher, bytes_of(NULL, 0), plain, out);
}

enum noise_verdict noise_open(struct noise_cipher *cipher, struct bytes sealed, uint8_t *out)
{
    assert(cipher->keyed);
    if (sealed.size > NOISE_MESSAGE_MAX)
        return NOISE_TOO_LONG;
    return open_sealed(cipher, bytes_of(NULL, 0), sealed, out);
}

/* ---- section 5.2: the symmetric state ---- */

static void mix_hash(struct noise_handshake *handshake, struct bytes data)
{
    crypto_hash_sha256_state state;

    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, handshake->h, NOISE_HASH_SIZE);
    crypto_hash_sha256_update(&state, data.data, data.size);
    crypto_hash_sha256_final(&state, handshake->h);
}

/* HKDF of section 4.3 with `count` (2 or 3) outputs: HMAC(temp_key, output before, its number). */
static void hkdf(const uint8_t ck[NOISE_HASH_SIZE], struct bytes ikm, size_t count,
                 uint8_t outputs[3][NOISE_HASH_SIZE])
{
    uint8_t temp_key[NOISE_HASH_SIZE];
    crypto_auth_hmacsha256_state state;

    crypto_auth_hmacsha256_init(&state, ck, NOISE_HASH_SIZE);
    crypto_auth_hmacsha256_update(&state, ikm.data, ikm.size);
    crypto_auth_hmacsha256_final(&state, temp_key);
    for (size_t i = 0; i < count; i++) {
        uint8_t number = (uint8_t)(i + 1);

        crypto_auth_hmacsha256_init(&state, temp_key, sizeof temp_key);
        if (i > 0)
            crypto_auth_hmacsha256_update(&state, outputs[i - 1], NOISE_HASH_SIZE);
        crypto_auth_hmacsha256_update(&state, &number, 1);
        crypto_auth_hmacsha256_final(&state, outputs[i]);
    }
    noise_wipe(temp_key, sizeof temp_key);
    noise_wipe(&state, sizeof state);
}

static void cipher_begin(struct noise_cipher *cipher, const uint8_t key[NOISE_KEY_SIZE])
{
    memcpy(cipher->key, key, NOISE_KEY_SIZE);
    cipher->nonce = 0;
    cipher->keyed = true;
}

static void mix_key(struct noise_handshake *handshake, const uint8_t ikm[DH_SIZE])
{
    uint8_t outputs[3][NOISE_HASH_SIZE];

    hkdf(handshake->ck, bytes_of(ikm, DH_SIZE), 2, outputs);
    memcpy(handshake->ck, outputs[0], NOISE_HASH_SIZE);
    cipher_begin(&handshake->cipher, outputs[1]);
    noise_wipe(outputs, sizeof outputs);
}

static void mix_key_and_hash(struct noise_handshake *handshake, const uint8_t ikm[NOISE_KEY_SIZE])
{
    uint8_t outputs[3][NOISE_HASH_SIZE];

    hkdf(handshake->ck, bytes_of(ikm, NOISE_KEY_SIZE), 3, outputs);
    memcpy(handshake->ck, outputs[0], NOISE_HASH_SIZE);
    mix_hash(handshake, bytes_of(outputs[1], NOISE_HASH_SIZE));
    cipher_begin(&handshake->cipher, outputs[2]);
    noise_wipe(outputs, sizeof outputs);
}

/* The message that is being written. */
struct writer {
    uint8_t *out;
    size_t capacity, size;
};

static enum noise_verdict encrypt_and_hash(struct noise_handshake *handshake, struct bytes plain,
                                           struct writer *writer)
{
    size_t tag_size = handshake->cipher.keyed ? NOISE_TAG_SIZE : 0;
    uint8_t *out = writer->out + writer->size;
    enum noise_verdict verdict = NOISE_TAKEN;

    if (plain.size > writer->capacity - writer->size ||
        tag_size > writer->capacity - writer->size - plain.size)
        return NOISE_TOO_LONG;
    if (handshake->cipher.keyed)
        verdict = seal(&handshake->cipher, bytes_of(handshake->h, NOISE_HASH_SIZE), plain, out);
    else if (plain.size > 0)
        memcpy(out, plain.data, plain.size);
    mix_hash(handshake, bytes_of(out, plain.size + tag_size));
    writer->size += plain.size + tag_size;
    return verdict;
}

static enum noise_verdict decrypt_and_hash(struct noise_handshake *handshake, struct bytes sealed,
                                           uint8_t *out)
{
    enum noise_verdict verdict = NOISE_TAKEN;

    if (handshake->cipher.keyed)
        verdict =
            open_sealed(&handshake->cipher, bytes_of(handshake->h, NOISE_HASH_SIZE), sealed, out);
    else if (sealed.size > 0)
        memcpy(out, sealed.data, sealed.size);
    mix_hash(handshake, sealed);
    return verdict;
}

/* ---- section 5.3: the handshake ---- */

static bool has_psk(const struct noise_pattern *pattern)
{
    for (size_t i = 0; i < pattern->message_count; i++)
        for (const enum noise_token *token = pattern->messages[i]; *token != NOISE_END; token++)
            if (*token == NOISE_PSK)
                return true;
    return false;
}

static void mix_static(struct noise_handshake *handshake, bool of_caller)
{
    if (handshake->is_caller == of_caller) {
        mix_hash(handshake, bytes_of(handshake->s.public, DH_SIZE));
    } else {
        assert(handshake->rs_known);
        mix_hash(handshake, bytes_of(handshake->rs, DH_SIZE));
    }
}

void noise_begin(struct noise_handshake *handshake, const struct noise_pattern *pattern,
                 bool is_caller, struct bytes prologue, const struct noise_pair *s,
                 const struct noise_pair *e, const uint8_t *rs, const uint8_t *psk)
{
    size_t name_size = strlen(pattern->protocol_name);

    memset(handshake, 0, sizeof *handshake);
    handshake->pattern = pattern;
    handshake->is_caller = is_caller;
    if (s)
        handshake->s = *s;
    if (e)
        handshake->e = *e;
    if (rs) {
        memcpy(handshake->rs, rs, DH_SIZE);
        handshake->rs_known = true;
    }
    assert(has_psk(pattern) == (psk != NULL));
    if (psk)
        memcpy(handshake->psk, psk, NOISE_KEY_SIZE);

    if (name_size <= NOISE_HASH_SIZE)
        memcpy(handshake->h, pattern->protocol_name, name_size);
    else
        crypto_hash_sha256(handshake->h, (const uint8_t *)pattern->protocol_name, name_size);
    memcpy(handshake->ck, handshake->h, NOISE_HASH_SIZE);
    mix_hash(handshake, prologue);
    if (pattern->caller_static_known)
        mix_static(handshake, true);
    if (pattern->callee_static_known)
        mix_static(handshake, false);
}

/* Section 9.2: with a pre-shared key the ephemeral keys randomise the cipher's key as well. */
static void mix_ephemeral(struct noise_handshake *handshake, const uint8_t public[DH_SIZE])
{
    mix_hash(handshake, bytes_of(public, DH_SIZE));
    if (has_psk(handshake->pattern))
        mix_key(handshake, public);
}

/* libsodium refuses points of low order, and with them a result of all zeros (section 12.1). */
static enum noise_verdict mix_dh(struct noise_handshake *handshake, const struct noise_pair *own,
                                 const uint8_t theirs[DH_SIZE])
{
    uint8_t shared[DH_SIZE];
    enum noise_verdict verdict = NOISE_TAKEN;

    if (crypto_scalarmult(shared, own->secret, theirs) != 0)
        verdict = NOISE_WEAK_KEY;
    else
        mix_key(handshake, shared);
    noise_wipe(shared, sizeof shared);
    return verdict;
}

/* The tokens that are the same for who writes and who reads. The first letter is the caller's. */
static enum noise_verdict mix_token(struct noise_handshake *handshake, enum noise_token token)
{
    bool own_is_static = token == NOISE_SS || token == (handshake->is_caller ? NOISE_SE : NOISE_ES);
    bool theirs_is_static =
        token == NOISE_SS || token == (handshake->is_caller ? NOISE_ES : NOISE_SE);

    if (token == NOISE_PSK) {
        mix_key_and_hash(handshake, handshake->psk);
        return NOISE_TAKEN;
    }
    assert(!theirs_is_static || handshake->rs_known);
    return mix_dh(handshake, own_is_static ? &handshake->s : &handshake->e,
                  theirs_is_static ? handshake->rs : handshake->re);
}

static enum noise_verdict write_token(struct noise_handshake *handshake, enum noise_token token,
                                      struct writer *writer)
{
    if (token == NOISE_S)
        return encrypt_and_hash(handshake, bytes_of(handshake->s.public, DH_SIZE), writer);
    if (token != NOISE_E)
        return mix_token(handshake, token);
    if (writer->capacity - writer->size < DH_SIZE)
        return NOISE_TOO_LONG;
    memcpy(writer->out + writer->size, handshake->e.public, DH_SIZE);
    writer->size += DH_SIZE;
    mix_ephemeral(handshake, handshake->e.public);
    return NOISE_TAKEN;
}

static enum noise_verdict read_token(struct noise_handshake *handshake, enum noise_token token,
                                     struct bytes *rest)
{
    size_t size = DH_SIZE;
    enum noise_verdict verdict = NOISE_TAKEN;

    if (token != NOISE_E && token != NOISE_S)
        return mix_token(handshake, token);
    if (token == NOISE_S && handshake->cipher.keyed)
        size += NOISE_TAG_SIZE;
    if (rest->size < size)
        return NOISE_TOO_SHORT;
    if (token == NOISE_E) {
        memcpy(handshake->re, rest->data, DH_SIZE);
        mix_ephemeral(handshake, handshake->re);
    } else {
        verdict = decrypt_and_hash(handshake, bytes_of(rest->data, size), handshake->rs);
        handshake->rs_known = true;
    }
    *rest = bytes_of(rest->data + size, rest->size - size);
    return verdict;
}

static bool is_turn_of(const struct noise_handshake *handshake, bool caller)
{
    return !noise_is_done(handshake) && (handshake->next_message % 2 == 0) == caller;
}

enum noise_verdict noise_write(struct noise_handshake *handshake, struct bytes payload,
                               uint8_t *out, size_t capacity, size_t *size)
{
    struct writer writer = {.out = out, .capacity = capacity};
    struct noise_handshake trial = *handshake;
    enum noise_verdict verdict = NOISE_OUT_OF_TURN;

    if (writer.capacity > NOISE_MESSAGE_MAX)
        writer.capacity = NOISE_MESSAGE_MAX;
    if (is_turn_of(handshake, handshake->is_caller)) {
        const enum noise_token *token = trial.pattern->messages[trial.next_message];

        verdict = NOISE_TAKEN;
        for (; verdict == NOISE_TAKEN && *token != NOISE_END; token++)
            verdict = write_token(&trial, *token, &writer);
    }
    if (verdict == NOISE_TAKEN)
        verdict = encrypt_and_hash(&trial, payload, &writer);
    if (verdict == NOISE_TAKEN) {
        trial.next_message++;
        *handshake = trial;
        *size = writer.size;
    }
    noise_wipe(&trial, sizeof trial);
    return verdict;
}

enum noise_verdict noise_read(struct noise_handshake *handshake, struct bytes message,
                              uint8_t *payload, size_t capacity, size_t *size)
{
    struct noise_handshake trial = *handshake;
    enum noise_verdict verdict = NOISE_OUT_OF_TURN;
    size_t tag_size;

    if (message.size > NOISE_MESSAGE_MAX) {
        verdict = NOISE_TOO_LONG;
    } else if (is_turn_of(handshake, !handshake->is_caller)) {
        const enum noise_token *token = trial.pattern->messages[trial.next_message];

        verdict = NOISE_TAKEN;
        for (; verdict == NOISE_TAKEN && *token != NOISE_END; token++)
            verdict = read_token(&trial, *token, &message);
    }
    tag_size = trial.cipher.keyed ? NOISE_TAG_SIZE : 0;
    if (verdict == NOISE_TAKEN && message.size > capacity + tag_size)
        verdict = NOISE_TOO_LONG;
    if (verdict == NOISE_TAKEN)
        verdict = decrypt_and_hash(&trial, message, payload);
    if (verdict == NOISE_TAKEN) {
        trial.next_message++;
        *handshake = trial;
        *size = message.size - tag_size;
    }
    noise_wipe(&trial, sizeof trial);
    return verdict;
}

bool noise_is_done(const struct noise_handshake *handshake)
{
    return handshake->next_message == handshake->pattern->message_count;
}

void noise_split(struct noise_handshake *handshake, struct noise_cipher *send,
                 struct noise_cipher *receive)
{
    uint8_t outputs[3][NOISE_HASH_SIZE];
    struct noise_handshake kept = {.pattern = handshake->pattern,
                                   .is_caller = handshake->is_caller,
                                   .next_message = handshake->next_message};

    assert(noise_is_done(handshake));
    hkdf(handshake->ck, bytes_of(NULL, 0), 2, outputs);
    cipher_begin(send, outputs[handshake->is_caller ? 0 : 1]);
    cipher_begin(receive, outputs[handshake->is_caller ? 1 : 0]);
    noise_wipe(outputs, sizeof outputs);

    memcpy(kept.h, handshake->h, sizeof kept.h);
    noise_wipe(handshake, sizeof *handshake);
    *handshake = kept;
}
