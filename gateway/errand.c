#include "errand.h"

#include "wire/local.pb-c.h"

#include <stdio.h>

struct errand *errand_new(struct exchange *exchange, unsigned good_status)
{
    struct errand *errand = arena_take(&exchange->arena, sizeof *errand);

    *errand = (struct errand){.exchange = exchange, .good_status = good_status};
    exchange->work = errand;
    return errand;
}

static unsigned status_of(enum accounts_verdict verdict)
{
    switch (verdict) {
    case ACCOUNTS_TAKEN:
        return 200;
    case ACCOUNTS_BAD_EMAIL:
    case ACCOUNTS_EMAIL_NOT_ASCII:
    case ACCOUNTS_BAD_NAME:
    case ACCOUNTS_BAD_KEY:
    case ACCOUNTS_PASSWORD_TOO_SHORT:
    case ACCOUNTS_PASSWORD_TOO_LONG:
    case ACCOUNTS_PASSWORD_MISSING:
        return 422;
    case ACCOUNTS_BAD_CODE:
    case ACCOUNTS_BAD_CREDENTIALS:
    case ACCOUNTS_BAD_PASSKEY:
    case ACCOUNTS_BAD_TOKEN:
        return 401;
    case ACCOUNTS_PASSKEY_KNOWN:
    case ACCOUNTS_PASSKEYS_FULL:
    case ACCOUNTS_CLAIMED:
    case ACCOUNTS_FULL:
        return 409;
    case ACCOUNTS_NOT_FOUND:
        return 404;
    case ACCOUNTS_BUSY:
        return 429;
    case ACCOUNTS_FAULT:
        return 503;
    }
    return 500;
}

static void refuse_busy(struct exchange *exchange)
{
    struct problem problem = problem_make(503, "busy", "the gateway has too much to do; try again");

    problem.retry_after_s = 1;
    exchange_refuse(exchange, &problem);
}

static void refuse_captcha(struct exchange *exchange, enum captcha_verdict verdict)
{
    bool is_ours = verdict == CAPTCHA_UNAVAILABLE || verdict == CAPTCHA_BUSY;
    struct problem problem = problem_make(is_ours ? 503 : 422, captcha_verdict_code(verdict), "%s",
                                          captcha_verdict_text(verdict));

    problem.field = is_ours ? NULL : "captcha_token";
    problem.retry_after_s = is_ours ? 5 : 0;
    exchange_refuse(exchange, &problem);
}

bool errand_is_fine(struct exchange *exchange)
{
    const struct errand *errand = exchange->work;
    struct problem problem;

    if (errand->is_queue_full) {
        refuse_busy(exchange);
        return false;
    }
    if (errand->captcha != CAPTCHA_TAKEN) {
        refuse_captcha(exchange, errand->captcha);
        return false;
    }
    if (errand->is_not_hatched) {
        const Duck__Problem *said = exchange->reply->answer_case == DUCK__REPLY__ANSWER_PROBLEM
                                        ? exchange->reply->problem
                                        : NULL;

        problem = problem_of_node(said ? said->code : "protocol",
                                  said ? said->message : "the node answers what was not asked",
                                  said ? said->field : "");
        exchange_refuse(exchange, &problem);
        return false;
    }
    if (errand->verdict == ACCOUNTS_TAKEN)
        return true;
    problem =
        problem_make(status_of(errand->verdict), accounts_verdict_code(errand->verdict), "%s",
                     errand->reason ? errand->reason : accounts_verdict_text(errand->verdict));
    problem.field = accounts_verdict_field(errand->verdict);
    if (!problem.field[0])
        problem.field = NULL;
    problem.retry_after_s = errand->verdict == ACCOUNTS_FAULT ? 5 : errand->retry_after_s;
    exchange_refuse(exchange, &problem);
    return false;
}

static void keep(struct errand *errand, const struct accounts_result *result)
{
    const char *bearer = result->beak_key ? result->beak_key : result->token;

    errand->verdict = result->verdict;
    errand->retry_after_s = result->retry_after_s;
    errand->expires_ms = result->expires_ms;
    errand->duckling = result->duckling;
    errand->certificate = result->certificate;
    errand->has_password = result->has_password;
    errand->reason = result->reason;
    errand->passkey = result->passkey;
    if (bearer)
        snprintf(errand->bearer, sizeof errand->bearer, "%s", bearer);
    if (result->display_name)
        snprintf(errand->display_name, sizeof errand->display_name, "%s", result->display_name);
}

void errand_done(void *context, const struct accounts_result *result)
{
    struct errand *errand = context;

    keep(errand, result);
    exchange_wake(errand->exchange);
}

void errand_started(bool was_taken, struct errand *errand)
{
    if (was_taken)
        return;
    errand->is_queue_full = true;
    exchange_wake(errand->exchange);
}

/* ---- captcha ---- */

static void captcha_judged(void *context, enum captcha_verdict verdict)
{
    struct errand *errand = context;

    errand->captcha = verdict;
    if (verdict == CAPTCHA_TAKEN)
        errand->order(errand);
    else
        exchange_wake(errand->exchange);
}

void errand_after_captcha(struct errand *errand, const char *token,
                          void (*order)(struct errand *errand), const void *given)
{
    errand->order = order;
    errand->given = given;
    captcha_judge(errand->exchange->gateway->captcha, token, captcha_judged, errand);
}

/* ---- sessions ---- */

bool errand_needs_session(struct exchange *exchange)
{
    if (exchange->access.kind == ACCESS_SESSION)
        return true;
    exchange_say_no(exchange, 403, "session_needed", NULL,
                    "this is for an operator, with the token of a session");
    return false;
}

bool errand_needs_fresh_session(struct exchange *exchange)
{
    if (!errand_needs_session(exchange))
        return false;
    if (gateway_wall_ms() < exchange->access.began_ms + FRESH_SESSION_MS)
        return true;
    exchange_say_no(exchange, 403, "fresh_session_needed", NULL,
                    "this needs a session that began within the last 10 minutes: POST /beak/auth "
                    "begins one");
    return false;
}

/* ---- answers that several give ---- */

void errand_tell_mailed(struct exchange *exchange)
{
    const struct errand *errand = exchange->work;
    json_t *object;

    if (!errand_is_fine(exchange))
        return;
    object = json_object();
    reply_word(object, "status", "verify");
    reply_word(object, "message", "a code is on its way by mail");
    reply_date(object, "expires_at", errand->expires_ms);
    exchange_answer(exchange, 202, object);
}

void errand_tell_nothing(struct exchange *exchange)
{
    if (errand_is_fine(exchange))
        exchange_answer_empty(exchange, 204);
}

json_t *errand_view_duckling(const struct accounts_duckling *duckling)
{
    json_t *object = json_object();
    char text[ID_TEXT_SIZE];

    reply_word(object, "duckling_id", id_text(ID_DUCKLING, &duckling->duckling, text));
    reply_word(object, "certificate_id", id_text(ID_CERTIFICATE, &duckling->certificate, text));
    reply_word(object, "display_name", duckling->display_name);
    reply_word(object, "beak_key", duckling->beak_key_masked);
    reply_date(object, "created_at", duckling->created_ms);
    reply_date(object, "last_seen_at", duckling->seen_ms);
    return object;
}

size_t errand_ducklings(struct exchange *exchange, uint64_t operator_id,
                        struct accounts_duckling **ducklings)
{
    *ducklings =
        arena_take(&exchange->arena, DUCKLINGS_PER_OPERATOR_MAX * sizeof(struct accounts_duckling));
    return *ducklings ? accounts_ducklings(exchange->gateway->accounts, operator_id, *ducklings,
                                           DUCKLINGS_PER_OPERATOR_MAX)
                      : 0;
}
