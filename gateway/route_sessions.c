/* In and out: sessions of operators, and passwords that were forgotten. */
#include "account_sessions.h"
#include "errand.h"
#include "form.h"
#include "route_passkeys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SESSION_TEXT_SIZE 21 /* "ses_", 16 digits of hex, NUL */

static void tell_session(struct exchange *exchange)
{
    const struct errand *errand = exchange->work;
    struct accounts_duckling *ducklings;
    json_t *object, *list;
    struct access access;
    size_t count = 0;

    if (!errand_is_fine(exchange))
        return;
    object = json_object();
    list = json_array();
    if (access_find(exchange->gateway->accounts, errand->bearer, &access) == ACCESS_TAKEN)
        count = errand_ducklings(exchange, access.operator_id, &ducklings);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, errand_view_duckling(&ducklings[i]));
    reply_word(object, "token", errand->bearer);
    reply_word(object, "access_token", errand->bearer); /* RFC 6749, section 5.1 */
    reply_word(object, "token_type", "Bearer");
    reply_date(object, "expires_at", errand->expires_ms);
    json_object_set_new(object, "ducklings", list);
    exchange_answer(exchange, 200, object);
}

static void auth_by_password(struct exchange *exchange)
{
    const char *email = NULL, *password = NULL;
    struct errand *errand;

    if (!form_text(exchange, "email", FORM_REQUIRED, EMAIL_TEXT_MAX, &email) ||
        !form_text(exchange, "password", FORM_REQUIRED, PASSWORD_TEXT_MAX, &password))
        return;
    errand = errand_new(exchange, 200);
    exchange_park(exchange, 0, tell_session);
    errand_started(accounts_auth(exchange->gateway->accounts, email, password, errand_done, errand),
                   errand);
}

static void auth_by_passkey(struct exchange *exchange)
{
    struct passkey_said said = {.signature = {0}};
    struct errand *errand;

    if (!passkey_of_body(exchange, PASSKEY_GET, &said))
        return;
    if (form_has(exchange, "email") || form_has(exchange, "password")) {
        form_refuse(exchange, "bad_member", form_has(exchange, "email") ? "email" : "password",
                    "a passkey says by itself whose it is");
        return;
    }
    errand = errand_new(exchange, 200);
    exchange_park(exchange, 0, tell_session);
    errand_started(
        accounts_auth_by_passkey(exchange->gateway->accounts, &said, errand_done, errand), errand);
}

/* A captcha is not asked for here, for no letter goes out; the member is taken, as it is published. */
void route_auth(struct exchange *exchange)
{
    const char *captcha;

    if (!form_text(exchange, "captcha_token", FORM_OPTIONAL, CAPTCHA_TEXT_MAX, &captcha))
        return;
    if (form_has(exchange, "passkey"))
        auth_by_passkey(exchange);
    else
        auth_by_password(exchange);
}

void route_logout(struct exchange *exchange)
{
    struct errand *errand;
    const char *token;

    if (exchange->access.kind != ACCESS_SESSION) {
        exchange_say_no(exchange, 403, "session_needed", NULL,
                        "a beak key is no session: it ends when it is rotated");
        return;
    }
    errand = errand_new(exchange, 204);
    token = exchange_copy(exchange, bytes_of(exchange->headers.authorization.data + 7,
                                             exchange->headers.authorization.size - 7));
    exchange_park(exchange, 0, errand_tell_nothing);
    errand_started(accounts_logout(exchange->gateway->accounts, token, errand_done, errand),
                   errand);
}

static void order_forgot(struct errand *errand)
{
    struct exchange *exchange = errand->exchange;

    errand_started(accounts_forgot(exchange->gateway->accounts, errand->given, exchange->address,
                                   errand_done, errand),
                   errand);
}

void route_forgot(struct exchange *exchange)
{
    const char *email = NULL, *captcha = NULL;
    struct errand *errand;

    if (!form_text(exchange, "email", FORM_REQUIRED, EMAIL_TEXT_MAX, &email) ||
        !form_text(exchange, "captcha_token", FORM_OPTIONAL, CAPTCHA_TEXT_MAX, &captcha))
        return;
    errand = errand_new(exchange, 202);
    exchange_park(exchange, 0, errand_tell_mailed);
    errand_after_captcha(errand, captcha, order_forgot, email);
}

void route_reset(struct exchange *exchange)
{
    const char *email = NULL, *code = NULL, *password = NULL;
    struct errand *errand;

    if (!form_text(exchange, "email", FORM_REQUIRED, EMAIL_TEXT_MAX, &email) ||
        !form_text(exchange, "code", FORM_REQUIRED, CODE_TEXT_MAX, &code) ||
        !form_text(exchange, "password", FORM_REQUIRED, PASSWORD_TEXT_MAX, &password))
        return;
    errand = errand_new(exchange, 204);
    exchange_park(exchange, 0, errand_tell_nothing);
    errand_started(
        accounts_reset(exchange->gateway->accounts, email, code, password, errand_done, errand),
        errand);
}

/* ---- what is open ---- */

static void session_text(uint64_t session, char text[SESSION_TEXT_SIZE])
{
    snprintf(text, SESSION_TEXT_SIZE, "ses_%016" PRIx64, session);
}

json_t *sessions_view(struct exchange *exchange)
{
    struct accounts_session sessions[SESSIONS_PER_OPERATOR_MAX];
    size_t count = accounts_sessions(exchange->gateway->accounts, exchange->access.operator_id,
                                     sessions, SESSIONS_PER_OPERATOR_MAX);
    json_t *list = json_array();
    char text[SESSION_TEXT_SIZE];

    for (size_t i = 0; i < count; i++) {
        json_t *object = json_object();

        session_text(sessions[i].session, text);
        reply_word(object, "session_id", text);
        reply_word(object, "began_by",
                   sessions[i].way == ACCESS_BY_PASSKEY ? "passkey" : "password");
        reply_date(object, "created_at", sessions[i].began_ms);
        reply_date(object, "last_used_at", sessions[i].used_ms);
        reply_date(object, "expires_at", sessions[i].ends_ms);
        json_object_set_new(object, "current",
                            json_boolean(sessions[i].session == exchange->access.session));
        json_array_append_new(list, object);
    }
    return list;
}

void route_sessions(struct exchange *exchange)
{
    json_t *object;

    if (!errand_needs_session(exchange))
        return;
    object = json_object();
    json_object_set_new(object, "sessions", sessions_view(exchange));
    exchange_answer(exchange, 200, object);
}

/* "ses_" and 16 digits of hex. */
static bool read_session(struct exchange *exchange, uint64_t *session)
{
    char digits[17];
    struct bytes id = exchange->match.id;

    if (id.size == SESSION_TEXT_SIZE - 1 && memcmp(id.data, "ses_", 4) == 0) {
        memcpy(digits, id.data + 4, 16);
        digits[16] = '\0';
        if (strspn(digits, "0123456789abcdef") == 16) {
            *session = strtoull(digits, NULL, 16);
            return true;
        }
    }
    exchange_say_no(exchange, 404, "not_found", NULL, "there is no such session of yours");
    return false;
}

void route_session_end(struct exchange *exchange)
{
    struct errand *errand;
    uint64_t session = 0;

    if (!errand_needs_session(exchange) || !read_session(exchange, &session))
        return;
    errand = errand_new(exchange, 204);
    exchange_park(exchange, 0, errand_tell_nothing);
    errand_started(accounts_end_session(exchange->gateway->accounts, exchange->access.operator_id,
                                        session, errand_done, errand),
                   errand);
}

void route_sessions_end(struct exchange *exchange)
{
    struct errand *errand;

    if (!errand_needs_session(exchange))
        return;
    errand = errand_new(exchange, 204);
    exchange_park(exchange, 0, errand_tell_nothing);
    errand_started(accounts_end_others(exchange->gateway->accounts, exchange->access.operator_id,
                                       exchange->access.session, errand_done, errand),
                   errand);
}
