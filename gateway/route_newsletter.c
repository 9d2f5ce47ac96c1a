/* The newsletter, and what is asked of whoever lets letters go to an address. */
#include "account_newsletter.h"
#include "errand.h"
#include "form.h"

#define TOKEN_TEXT_MAX 128u

static void order_subscribe(struct errand *errand)
{
    struct exchange *exchange = errand->exchange;

    errand_started(accounts_subscribe(exchange->gateway->accounts, errand->given, exchange->address,
                                      errand_done, errand),
                   errand);
}

void route_subscribe(struct exchange *exchange)
{
    const char *email = NULL, *captcha = NULL;
    struct errand *errand;

    if (!form_text(exchange, "email", FORM_REQUIRED, EMAIL_TEXT_MAX, &email) ||
        !form_text(exchange, "captcha_token", FORM_OPTIONAL, CAPTCHA_TEXT_MAX, &captcha))
        return;
    errand = errand_new(exchange, 202);
    exchange_park(exchange, 0, errand_tell_mailed);
    errand_after_captcha(errand, captcha, order_subscribe, email);
}

static void tell_confirmed(struct exchange *exchange)
{
    const struct errand *errand = exchange->work;
    json_t *object;

    if (!errand_is_fine(exchange))
        return;
    object = json_object();
    reply_word(object, "status", "subscribed");
    reply_word(object, "unsubscribe_token", errand->bearer);
    exchange_answer(exchange, 200, object);
}

void route_confirm(struct exchange *exchange)
{
    const char *email = NULL, *code = NULL;
    struct errand *errand;

    if (!form_text(exchange, "email", FORM_REQUIRED, EMAIL_TEXT_MAX, &email) ||
        !form_text(exchange, "code", FORM_REQUIRED, CODE_TEXT_MAX, &code))
        return;
    errand = errand_new(exchange, 200);
    exchange_park(exchange, 0, tell_confirmed);
    errand_started(accounts_confirm(exchange->gateway->accounts, email, code, errand_done, errand),
                   errand);
}

void route_unsubscribe(struct exchange *exchange)
{
    const char *email = NULL, *token = NULL;
    struct errand *errand;

    if (!form_text(exchange, "email", FORM_REQUIRED, EMAIL_TEXT_MAX, &email) ||
        !form_text(exchange, "token", FORM_REQUIRED, TOKEN_TEXT_MAX, &token))
        return;
    errand = errand_new(exchange, 204);
    exchange_park(exchange, 0, errand_tell_nothing);
    errand_started(
        accounts_unsubscribe(exchange->gateway->accounts, email, token, errand_done, errand),
        errand);
}

void route_captcha(struct exchange *exchange)
{
    struct captcha_question question;
    json_t *object = json_object();

    captcha_ask(exchange->gateway->captcha, &question);
    reply_word(object, "provider", captcha_kind_word(question.kind));
    if (question.kind == CAPTCHA_TURNSTILE && question.site_key)
        reply_word(object, "site_key", question.site_key);
    if (question.kind == CAPTCHA_POW) {
        reply_word(object, "challenge", question.challenge);
        reply_word(object, "algorithm", "sha-256");
        reply_number(object, "bits", question.bits);
        reply_date(object, "expires_at", question.ends_ms);
    }
    exchange_answer(exchange, 200, object);
}
