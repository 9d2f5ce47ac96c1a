#include "passkey.h"

#include "strict_json.h"

#include <cbor.h>
#include <fido.h>
#include <fido/eddsa.h>
#include <fido/es256.h>
#include <fido/rs256.h>
#include <pthread.h>
#include <sodium.h>

#define FLAG_PRESENT 0x01u /* section 6.1 */
#define FLAG_VERIFIED 0x04u
#define FLAG_ATTESTED 0x40u
#define DATA_SIZE 37     /* bytes: hash of the party, flags, counter */
#define ATTESTED_SIZE 55 /* and the kind of authenticator, and the size of the credential's id */
#define LISTS_MAX 8      /* arrays and maps of an attestation */

const char *passkey_verdict_text(enum passkey_verdict verdict)
{
    switch (verdict) {
    case PASSKEY_TAKEN:
        return "taken";
    case PASSKEY_MALFORMED:
        return "passkey is not what an authenticator says";
    case PASSKEY_OTHER_USE:
        return "passkey was made for another use than this";
    case PASSKEY_OTHER_ORIGIN:
        return "passkey was made on a page of another origin";
    case PASSKEY_OTHER_PARTY:
        return "passkey was made for another relying party";
    case PASSKEY_BAD_CHALLENGE:
        return "passkey answers no challenge of ours, or one that is over or was answered before";
    case PASSKEY_UNVERIFIED:
        return "passkey does not say that its user was verified";
    case PASSKEY_OTHER_KIND:
        return "passkey has a key or an attestation of a kind that is not taken here";
    case PASSKEY_BAD_ATTESTATION:
        return "passkey has an attestation that does not hold";
    case PASSKEY_BAD_SIGNATURE:
        return "passkey is not known here, or its signature does not hold";
    case PASSKEY_COUNTED_BACK:
        return "passkey counted back: there may be a copy of it";
    }
    return "unknown verdict";
}

static void prepare_once(void)
{
    fido_init(0);
}

static void prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, prepare_once);
}

/* ---- clientDataJSON ---- */

static bool is_ours(const struct passkey_place *place, const char *origin)
{
    static const char local[] = "http://localhost";
    const char *port = origin + sizeof local - 1;

    for (size_t i = 0; i < place->origin_count; i++)
        if (strcmp(origin, place->origins[i]) == 0)
            return true;
    if (place->origin_count > 0 || strcmp(place->rp_id, "localhost") != 0 ||
        strncmp(origin, local, sizeof local - 1) != 0)
        return false;
    return !*port ||
           (*port == ':' && port[1] && strspn(port + 1, "0123456789") == strlen(port + 1));
}

static bool read_challenge(const char *text, uint8_t challenge[PASSKEY_CHALLENGE_MAX], size_t *size)
{
    return text && sodium_base642bin(challenge, PASSKEY_CHALLENGE_MAX, text, strlen(text), NULL,
                                     size, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0;
}

static enum passkey_verdict judge_client(const struct passkey_place *place, enum passkey_use use,
                                         const json_t *client,
                                         uint8_t challenge[PASSKEY_CHALLENGE_MAX], size_t *size)
{
    const char *type = json_string_value(json_object_get(client, "type"));
    const char *origin = json_string_value(json_object_get(client, "origin"));

    if (!type || !origin ||
        !read_challenge(json_string_value(json_object_get(client, "challenge")), challenge, size))
        return PASSKEY_MALFORMED;
    if (strcmp(type, use == PASSKEY_CREATE ? "webauthn.create" : "webauthn.get") != 0)
        return PASSKEY_OTHER_USE;
    /* A page inside a page of another origin may not sign in here. */
    if (!is_ours(place, origin) || json_is_true(json_object_get(client, "crossOrigin")))
        return PASSKEY_OTHER_ORIGIN;
    return PASSKEY_TAKEN;
}

enum passkey_verdict passkey_read_client(const struct passkey_place *place, enum passkey_use use,
                                         struct bytes client_data,
                                         uint8_t challenge[PASSKEY_CHALLENGE_MAX],
                                         size_t *challenge_size)
{
    char problem[STRICT_JSON_PROBLEM_SIZE];
    enum passkey_verdict verdict = PASSKEY_MALFORMED;
    json_t *client;

    if (client_data.size > PASSKEY_CLIENT_MAX)
        return PASSKEY_MALFORMED;
    client = strict_json_read(client_data, problem);
    if (client)
        verdict = judge_client(place, use, client, challenge, challenge_size);
    json_decref(client);
    return verdict;
}

/* ---- registering ---- */

struct attestation {
    cbor_item_t *map;
    const cbor_item_t *format, *statement, *data; /* of the map */
};

static const cbor_item_t *member(const cbor_item_t *map, const char *name)
{
    const struct cbor_pair *pairs = cbor_map_handle(map);

    for (size_t i = 0; i < cbor_map_size(map); i++)
        if (cbor_isa_string(pairs[i].key) && cbor_string_is_definite(pairs[i].key) &&
            bytes_equal(
                bytes_of(cbor_string_handle(pairs[i].key), cbor_string_length(pairs[i].key)),
                bytes_of_text(name)))
            return pairs[i].value;
    return NULL;
}

/* What is about to be decoded: lists say how long they are, and memory is taken for it; and each may be in
 * another. An attestation has three of them, none as long as the whole. */
struct shape {
    size_t size, lists;
    bool is_fine;
};

static void see_list(void *context, size_t length)
{
    struct shape *shape = context;

    shape->is_fine = shape->is_fine && length <= shape->size && ++shape->lists <= LISTS_MAX;
}

static void see_endless(void *context)
{
    struct shape *shape = context;

    shape->is_fine = false; /* CTAP2 canonical CBOR, which authenticators speak, has none */
}

static bool has_fine_shape(struct bytes text)
{
    struct shape shape = {.size = text.size, .is_fine = true};
    struct cbor_callbacks callbacks = cbor_empty_callbacks;
    size_t at = 0;

    callbacks.array_start = callbacks.map_start = see_list;
    callbacks.indef_array_start = callbacks.indef_map_start = see_endless;
    callbacks.string_start = callbacks.byte_string_start = see_endless;
    while (at < text.size && shape.is_fine) {
        struct cbor_decoder_result result =
            cbor_stream_decode(text.data + at, text.size - at, &callbacks, &shape);

        if (result.status != CBOR_DECODER_FINISHED)
            return false;
        at += result.read;
    }
    return shape.is_fine;
}

/* Section 6.1: what follows the counter of authenticator data, and a credential's id where there is one, is CBOR
 * too, and libfido2 takes its word for lengths. */
static bool data_is_fine(struct bytes data)
{
    size_t start = DATA_SIZE;

    if (data.size < DATA_SIZE || data.size > PASSKEY_SAID_MAX)
        return false;
    if (data.data[32] & FLAG_ATTESTED) {
        if (data.size < ATTESTED_SIZE)
            return false;
        start = ATTESTED_SIZE + ((size_t)data.data[53] << 8 | data.data[54]);
    }
    return start <= data.size && has_fine_shape(bytes_of(data.data + start, data.size - start));
}

/* Section 6.5.4. */
static bool read_attestation(struct bytes text, struct attestation *read)
{
    struct cbor_load_result result;

    read->map = text.size <= PASSKEY_SAID_MAX && has_fine_shape(text)
                    ? cbor_load(text.data, text.size, &result)
                    : NULL;
    if (!read->map || result.read != text.size || !cbor_isa_map(read->map))
        return false;
    read->format = member(read->map, "fmt");
    read->statement = member(read->map, "attStmt");
    read->data = member(read->map, "authData");
    return read->format && cbor_isa_string(read->format) && cbor_string_is_definite(read->format) &&
           read->statement && cbor_isa_map(read->statement) && read->data &&
           cbor_isa_bytestring(read->data) && cbor_bytestring_is_definite(read->data);
}

static bool is_of_party(const struct passkey_place *place, const uint8_t *data)
{
    uint8_t hash[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(hash, (const uint8_t *)place->rp_id, strlen(place->rp_id));
    return sodium_memcmp(hash, data, sizeof hash) == 0;
}

static enum passkey_verdict judge_statement(fido_cred_t *credential,
                                            const struct attestation *attestation)
{
    struct bytes format =
        bytes_of(cbor_string_handle(attestation->format), cbor_string_length(attestation->format));
    unsigned char *statement = NULL;
    size_t room = 0, size;
    int result;

    if (bytes_equal(format, bytes_of_text("none")))
        return cbor_map_size(attestation->statement) == 0 ? PASSKEY_TAKEN : PASSKEY_MALFORMED;
    if (!bytes_equal(format, bytes_of_text("packed")))
        return PASSKEY_OTHER_KIND;
    size = cbor_serialize_alloc(attestation->statement, &statement, &room);
    result = fido_cred_set_fmt(credential, "packed");
    if (result == FIDO_OK)
        result = fido_cred_set_attstmt(credential, statement, size);
    free(statement);
    if (result != FIDO_OK)
        return PASSKEY_MALFORMED;
    result = fido_cred_x5c_ptr(credential) ? fido_cred_verify(credential)
                                           : fido_cred_verify_self(credential);
    return result == FIDO_OK ? PASSKEY_TAKEN : PASSKEY_BAD_ATTESTATION;
}

static bool copy_key(const fido_cred_t *credential, struct passkey_key *key)
{
    key->credential_size = fido_cred_id_len(credential);
    key->key_size = fido_cred_pubkey_len(credential);
    if (key->credential_size == 0 || key->credential_size > sizeof key->credential ||
        key->key_size == 0 || key->key_size > sizeof key->key)
        return false;
    memcpy(key->credential, fido_cred_id_ptr(credential), key->credential_size);
    memcpy(key->key, fido_cred_pubkey_ptr(credential), key->key_size);
    key->algorithm = fido_cred_type(credential);
    key->counter = fido_cred_sigcount(credential);
    return true;
}

static enum passkey_verdict judge_attestation(const struct passkey_place *place,
                                              struct bytes client_data, int kind,
                                              fido_cred_t *credential,
                                              const struct attestation *attestation,
                                              struct passkey_key *key)
{
    struct bytes data = bytes_of(cbor_bytestring_handle(attestation->data),
                                 cbor_bytestring_length(attestation->data));
    enum passkey_verdict verdict;
    uint8_t flags;

    if (!data_is_fine(data))
        return PASSKEY_MALFORMED;
    if (!is_of_party(place, data.data))
        return PASSKEY_OTHER_PARTY;
    if (fido_cred_set_rp(credential, place->rp_id, NULL) != FIDO_OK ||
        fido_cred_set_clientdata(credential, client_data.data, client_data.size) != FIDO_OK ||
        fido_cred_set_uv(credential, FIDO_OPT_TRUE) != FIDO_OK ||
        fido_cred_set_type(credential, kind) != FIDO_OK)
        return PASSKEY_MALFORMED;
    if (fido_cred_set_authdata_raw(credential, data.data, data.size) != FIDO_OK)
        return PASSKEY_OTHER_KIND;
    flags = fido_cred_flags(credential);
    if (!(flags & FLAG_PRESENT) || !(flags & FLAG_VERIFIED))
        return PASSKEY_UNVERIFIED;
    verdict = judge_statement(credential, attestation);
    if (verdict != PASSKEY_TAKEN)
        return verdict;
    return copy_key(credential, key) ? PASSKEY_TAKEN : PASSKEY_MALFORMED;
}

/* libfido2 is told the kind of key before it reads it, once for each credential. */
enum passkey_verdict passkey_open(const struct passkey_place *place, struct bytes client_data,
                                  struct bytes attestation, struct passkey_key *key)
{
    static const int kinds[] = {COSE_ES256, COSE_EDDSA, COSE_RS256};
    enum passkey_verdict verdict = PASSKEY_OTHER_KIND;
    struct attestation read = {.map = NULL};

    prepare();
    if (!read_attestation(attestation, &read))
        verdict = PASSKEY_MALFORMED;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && verdict == PASSKEY_OTHER_KIND; i++) {
        fido_cred_t *credential = fido_cred_new();

        if (credential)
            verdict = judge_attestation(place, client_data, kinds[i], credential, &read, key);
        fido_cred_free(&credential);
    }
    if (read.map)
        cbor_decref(&read.map);
    return verdict;
}

/* ---- signing in ---- */

/* By the kind of key. */
static int verify(const fido_assert_t *assertion, const struct passkey_key *key)
{
    es256_pk_t *es256 = es256_pk_new();
    eddsa_pk_t *eddsa = eddsa_pk_new();
    rs256_pk_t *rs256 = rs256_pk_new();
    int result = FIDO_ERR_INVALID_ARGUMENT;

    if (key->algorithm == COSE_ES256 && es256 &&
        es256_pk_from_ptr(es256, key->key, key->key_size) == FIDO_OK)
        result = fido_assert_verify(assertion, 0, COSE_ES256, es256);
    if (key->algorithm == COSE_EDDSA && eddsa &&
        eddsa_pk_from_ptr(eddsa, key->key, key->key_size) == FIDO_OK)
        result = fido_assert_verify(assertion, 0, COSE_EDDSA, eddsa);
    if (key->algorithm == COSE_RS256 && rs256 &&
        rs256_pk_from_ptr(rs256, key->key, key->key_size) == FIDO_OK)
        result = fido_assert_verify(assertion, 0, COSE_RS256, rs256);
    es256_pk_free(&es256);
    eddsa_pk_free(&eddsa);
    rs256_pk_free(&rs256);
    return result;
}

/* Section 7.2, step 21: an authenticator that does not count says 0 for ever. */
static bool counts_on(uint32_t before, uint32_t now)
{
    return (before == 0 && now == 0) || now > before;
}

static enum passkey_verdict judge_assertion(const struct passkey_place *place,
                                            const struct passkey_key *key, struct bytes client_data,
                                            struct bytes data, struct bytes signature,
                                            fido_assert_t *assertion, uint32_t *counter)
{
    uint8_t flags;

    if (!data_is_fine(data))
        return PASSKEY_MALFORMED;
    if (!is_of_party(place, data.data))
        return PASSKEY_OTHER_PARTY;
    if (fido_assert_set_rp(assertion, place->rp_id) != FIDO_OK ||
        fido_assert_set_clientdata(assertion, client_data.data, client_data.size) != FIDO_OK ||
        fido_assert_set_count(assertion, 1) != FIDO_OK ||
        fido_assert_set_up(assertion, FIDO_OPT_TRUE) != FIDO_OK ||
        fido_assert_set_uv(assertion, FIDO_OPT_TRUE) != FIDO_OK ||
        fido_assert_set_authdata_raw(assertion, 0, data.data, data.size) != FIDO_OK ||
        fido_assert_set_sig(assertion, 0, signature.data, signature.size) != FIDO_OK)
        return PASSKEY_MALFORMED;
    flags = fido_assert_flags(assertion, 0);
    if (!(flags & FLAG_PRESENT) || !(flags & FLAG_VERIFIED))
        return PASSKEY_UNVERIFIED;
    if (verify(assertion, key) != FIDO_OK)
        return PASSKEY_BAD_SIGNATURE;
    *counter = fido_assert_sigcount(assertion, 0);
    return counts_on(key->counter, *counter) ? PASSKEY_TAKEN : PASSKEY_COUNTED_BACK;
}

enum passkey_verdict passkey_prove(const struct passkey_place *place, const struct passkey_key *key,
                                   struct bytes client_data, struct bytes authenticator_data,
                                   struct bytes signature, uint32_t *counter)
{
    enum passkey_verdict verdict = PASSKEY_MALFORMED;
    fido_assert_t *assertion;

    prepare();
    assertion = fido_assert_new();
    if (assertion)
        verdict = judge_assertion(place, key, client_data, authenticator_data, signature, assertion,
                                  counter);
    fido_assert_free(&assertion);
    return verdict;
}
