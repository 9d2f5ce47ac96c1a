/* Passkeys: a challenge, one that is added, the list, the end of one. */
#include "route_passkeys.h"

#include "account_erasure.h"
#include "errand.h"
#include "form.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define PASSKEY_TEXT_SIZE 21 /* "psk_", 16 digits of hex, NUL */
#define CHALLENGE_TEXT_SIZE 80
#define BASE64 sodium_base64_VARIANT_URLSAFE_NO_PADDING

/* ---- what a browser says ---- */

/* A member of `object` that is base64url; false: refused. */
static bool read_bytes(struct exchange *exchange, const json_t *object, const char *name,
                       enum form_need need, size_t max, struct bytes *value)
{
    const char *text = json_string_value(json_object_get(object, name));
    uint8_t *data;
    size_t size;

    if (!text && need == FORM_OPTIONAL) {
        *value = bytes_of("", 0);
        return true;
    }
    data = text && strlen(text) <= max * 4 / 3 + 4 ? arena_take(&exchange->arena, max + 1) : NULL;
    if (!data || sodium_base642bin(data, max, text, strlen(text), NULL, &size, NULL, BASE64) != 0) {
        form_refuse(exchange, "bad_member", "passkey",
                    "%s of the passkey is not base64url of at most %zu bytes", name, max);
        return false;
    }
    *value = bytes_of(data, size);
    return true;
}

bool passkey_of_body(struct exchange *exchange, enum passkey_use use, struct passkey_said *said)
{
    const json_t *passkey = json_object_get(exchange->body, "passkey");
    const json_t *response = json_object_get(passkey, "response");

    if (!json_is_object(response)) {
        form_refuse(exchange, "bad_member", "passkey",
                    "passkey is what PublicKeyCredential.toJSON() writes: an object with id and "
                    "response");
        return false;
    }
    *said = (struct passkey_said){.signature = bytes_of("", 0)};
    if (!read_bytes(exchange, passkey, "id", FORM_REQUIRED, PASSKEY_CREDENTIAL_MAX,
                    &said->credential) ||
        !read_bytes(exchange, response, "clientDataJSON", FORM_REQUIRED, PASSKEY_CLIENT_MAX,
                    &said->client_data))
        return false;
    if (use == PASSKEY_CREATE)
        return read_bytes(exchange, response, "attestationObject", FORM_REQUIRED, PASSKEY_SAID_MAX,
                          &said->attestation);
    return read_bytes(exchange, response, "authenticatorData", FORM_REQUIRED, PASSKEY_SAID_MAX,
                      &said->authenticator_data) &&
           read_bytes(exchange, response, "signature", FORM_REQUIRED, 1024, &said->signature) &&
           read_bytes(exchange, response, "userHandle", FORM_OPTIONAL, 64, &said->handle);
}

/* ---- the challenge ---- */

static void put_bytes(json_t *object, const char *name, const uint8_t *data, size_t size)
{
    char text[PASSKEY_CREDENTIAL_MAX * 4 / 3 + 4];

    sodium_bin2base64(text, sizeof text, data, size, BASE64);
    reply_word(object, name, text);
}

static json_t *credentials_of(struct exchange *exchange)
{
    struct accounts_passkey passkeys[PASSKEYS_PER_OPERATOR_MAX];
    size_t count = accounts_passkeys(exchange->gateway->accounts, exchange->access.operator_id,
                                     passkeys, PASSKEYS_PER_OPERATOR_MAX);
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++) {
        json_t *object = json_object();

        reply_word(object, "type", "public-key");
        put_bytes(object, "id", passkeys[i].credential, passkeys[i].credential_size);
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *user_of(struct exchange *exchange)
{
    struct accounts *accounts = exchange->gateway->accounts;
    struct accounts_operator about = {.email = ""};
    uint8_t handle[PASSKEY_USER_SIZE];
    json_t *object = json_object();

    accounts_about(accounts, exchange->access.operator_id, &about);
    accounts_passkey_user(accounts, exchange->access.operator_id, handle);
    put_bytes(object, "id", handle, sizeof handle);
    reply_word(object, "name", about.email);
    reply_word(object, "displayName", about.email);
    return object;
}

/* PublicKeyCredentialCreationOptionsJSON; section 5.4. The user is verified, and the key can be found without
 * a name: so a sign-in says nothing about who has an account. */
static json_t *creation_options(struct exchange *exchange)
{
    const struct passkey_place *place = accounts_passkey_place(exchange->gateway->accounts);
    json_t *object = json_object();

    json_object_set_new(object, "rp",
                        json_pack("{ssss}", "id", place->rp_id, "name", "Space Duck"));
    json_object_set_new(object, "user", user_of(exchange));
    json_object_set_new(object, "pubKeyCredParams",
                        json_pack("[{sssi}{sssi}{sssi}]", "type", "public-key", "alg", -7, "type",
                                  "public-key", "alg", -8, "type", "public-key", "alg", -257));
    json_object_set_new(object, "excludeCredentials", credentials_of(exchange));
    json_object_set_new(object, "authenticatorSelection",
                        json_pack("{sssbss}", "residentKey", "required", "requireResidentKey", 1,
                                  "userVerification", "required"));
    reply_word(object, "attestation", "none");
    return object;
}

static json_t *request_options(struct exchange *exchange)
{
    json_t *object = json_object();

    reply_word(object, "rpId", accounts_passkey_place(exchange->gateway->accounts)->rp_id);
    json_object_set_new(object, "allowCredentials", json_array());
    reply_word(object, "userVerification", "required");
    return object;
}

void route_passkey_challenge(struct exchange *exchange)
{
    uint64_t operator_id = exchange->has_access ? exchange->access.operator_id : 0;
    uint8_t challenge[CHALLENGE_SIZE];
    json_t *options;

    if (exchange->has_access && !errand_needs_session(exchange))
        return;
    options = exchange->has_access ? creation_options(exchange) : request_options(exchange);
    accounts_passkey_challenge(exchange->gateway->accounts, operator_id, challenge);
    put_bytes(options, "challenge", challenge, sizeof challenge);
    reply_number(options, "timeout", CHALLENGE_LIFE_MS);
    exchange_answer(exchange, 200, options);
}

/* ---- add ---- */

static void passkey_text(uint64_t passkey, char text[PASSKEY_TEXT_SIZE])
{
    snprintf(text, PASSKEY_TEXT_SIZE, "psk_%016" PRIx64, passkey);
}

static void tell_added(struct exchange *exchange)
{
    const struct errand *errand = exchange->work;
    char text[PASSKEY_TEXT_SIZE];
    json_t *object;

    if (!errand_is_fine(exchange))
        return;
    object = json_object();
    passkey_text(errand->passkey, text);
    reply_word(object, "passkey_id", text);
    reply_word(object, "name", errand->display_name);
    exchange_answer(exchange, 201, object);
}

static bool name_is_shown(struct exchange *exchange, const char *name)
{
    if (name[0] && bytes_are_display_name(bytes_of_text(name)))
        return true;
    form_refuse(exchange, "bad_member", "name",
                "the name of a passkey is text, with nothing that hides or turns round");
    return false;
}

void route_passkey_add(struct exchange *exchange)
{
    const char *name = "passkey";
    struct passkey_said said;
    struct errand *errand;

    if (!form_text(exchange, "name", FORM_OPTIONAL, PASSKEY_NAME_MAX, &name) ||
        !name_is_shown(exchange, name) || !errand_needs_fresh_session(exchange) ||
        !passkey_of_body(exchange, PASSKEY_CREATE, &said))
        return;
    errand = errand_new(exchange, 201);
    snprintf(errand->display_name, sizeof errand->display_name, "%s", name);
    exchange_park(exchange, 0, tell_added);
    errand_started(accounts_add_passkey(exchange->gateway->accounts, exchange->access.operator_id,
                                        name, &said, errand_done, errand),
                   errand);
}

/* ---- the list, and the end of one ---- */

json_t *passkeys_view(struct exchange *exchange)
{
    struct accounts_passkey passkeys[PASSKEYS_PER_OPERATOR_MAX];
    size_t count = accounts_passkeys(exchange->gateway->accounts, exchange->access.operator_id,
                                     passkeys, PASSKEYS_PER_OPERATOR_MAX);
    json_t *list = json_array();
    char text[PASSKEY_TEXT_SIZE];

    for (size_t i = 0; i < count; i++) {
        json_t *object = json_object();

        passkey_text(passkeys[i].passkey, text);
        reply_word(object, "passkey_id", text);
        reply_word(object, "name", passkeys[i].name);
        reply_date(object, "created_at", passkeys[i].created_ms);
        reply_date(object, "last_used_at", passkeys[i].used_ms);
        json_array_append_new(list, object);
    }
    return list;
}

void route_passkeys(struct exchange *exchange)
{
    json_t *object;

    if (!errand_needs_session(exchange))
        return;
    object = json_object();
    json_object_set_new(object, "passkeys", passkeys_view(exchange));
    exchange_answer(exchange, 200, object);
}

static bool read_passkey(struct exchange *exchange, uint64_t *passkey)
{
    char digits[17];
    struct bytes id = exchange->match.id;

    if (id.size == PASSKEY_TEXT_SIZE - 1 && memcmp(id.data, "psk_", 4) == 0) {
        memcpy(digits, id.data + 4, 16);
        digits[16] = '\0';
        if (strspn(digits, "0123456789abcdef") == 16) {
            *passkey = strtoull(digits, NULL, 16);
            return true;
        }
    }
    exchange_say_no(exchange, 404, "not_found", NULL, "there is no such passkey of yours");
    return false;
}

void route_passkey_drop(struct exchange *exchange)
{
    struct errand *errand;
    uint64_t passkey = 0;

    if (!errand_needs_session(exchange) || !read_passkey(exchange, &passkey))
        return;
    errand = errand_new(exchange, 204);
    exchange_park(exchange, 0, errand_tell_nothing);
    errand_started(accounts_drop_passkey(exchange->gateway->accounts, exchange->access.operator_id,
                                         passkey, errand_done, errand),
                   errand);
}
