/* From an egg to a duckling with a beak key. */
#include "client/duck_client.h"
#include "core/binary_data.h"
#include "core/certificate.h"
#include "core/limits.h"
#include "errand.h"
#include "form.h"
#include "gate_log.h"
#include "wire/local.pb-c.h"

#include <sodium.h>
#include <stdio.h>

#define PROOF_MAX (HATCH_KEY_MAX / 4 * 3) /* bytes */

/* ---- hatching: accounts, node, accounts ----
 *
 * The steps call one another on the threads where they happen, and the exchange sleeps through all
 * of them: a client that goes away in the middle must not leave half a duckling. */

static void note_hatched(struct errand *errand)
{
    struct accounts *accounts = errand->exchange->gateway->accounts;

    if (accounts_hatched(accounts, errand->egg, &errand->duckling, &errand->certificate,
                         errand_done, errand))
        return;
    gate_log(GATE_LOG_ERROR, "accounts", "a duckling was hatched, and its account is not written");
    errand_started(false, errand);
}

static void node_hatched(void *context, Duck__Reply *reply)
{
    struct errand *errand = context;
    bool is_hatched =
        reply->answer_case == DUCK__REPLY__ANSWER_HATCH &&
        id_parse(ID_DUCKLING, bytes_of_text(reply->hatch->duckling_id), &errand->duckling) &&
        id_parse(ID_CERTIFICATE, bytes_of_text(reply->hatch->certificate_id), &errand->certificate);

    errand->exchange->reply = reply; /* its chain, or its no, goes into the answer */
    if (is_hatched) {
        note_hatched(errand);
        return;
    }
    accounts_egg_back(errand->exchange->gateway->accounts, errand->egg, NULL, NULL);
    errand->is_not_hatched = true;
    exchange_wake(errand->exchange);
}

/* `proof`: of one that keeps its own key; else empty. It was judged before it was kept. */
static void hatch_on_node(struct errand *errand, const char *display_name, const char *proof)
{
    Duck__HatchOrder order = DUCK__HATCH_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    uint8_t chain[PROOF_MAX];

    if (*proof && sodium_base642bin(chain, sizeof chain, proof, strlen(proof), NULL,
                                    &order.chain.len, NULL, sodium_base64_VARIANT_ORIGINAL) == 0)
        order.chain.data = chain;

    order.display_name.data = (uint8_t *)display_name;
    order.display_name.len = strlen(display_name);
    request.order_case = DUCK__REQUEST__ORDER_HATCH;
    request.hatch = &order;
    node_link_call(errand->exchange->gateway->node, &request, 10000, node_hatched, errand);
}

static void egg_is_ours(void *context, const struct accounts_result *result)
{
    struct errand *errand = context;

    if (result->verdict != ACCOUNTS_TAKEN) {
        errand_done(errand, result);
        return;
    }
    errand->egg = result->egg;
    hatch_on_node(errand, result->display_name, result->public_key);
}

static void tell_hatched(struct exchange *exchange)
{
    const struct errand *errand = exchange->work;
    json_t *object, *certificate;
    char text[ID_TEXT_SIZE];

    if (!errand_is_fine(exchange))
        return;
    object = json_object();
    certificate = json_object();
    reply_word(object, "beak_key", errand->bearer);
    reply_word(object, "duckling_id", id_text(ID_DUCKLING, &errand->duckling, text));
    reply_word(object, "certificate_id", id_text(ID_CERTIFICATE, &errand->certificate, text));
    reply_word(certificate, "certificate_id", text);
    reply_base64(certificate, "chain", borrowed(exchange->reply->hatch->chain));
    json_object_set_new(object, "certificate", certificate);
    reply_word(object, "display_name", errand->display_name);
    reply_word(object, "tier", "T0");
    json_object_set_new(object, "password_set", json_boolean(errand->has_password));
    exchange_answer(exchange, errand->good_status, object);
}

static void order_hatch(struct errand *errand)
{
    errand_started(
        accounts_hatch(errand->exchange->gateway->accounts, errand->given, errand_done, errand),
        errand);
}

static void hatch_by_mail(struct exchange *exchange, const struct accounts_hatch *given,
                          const char *captcha)
{
    struct errand *errand = errand_new(exchange, 202);
    struct accounts_hatch *hatch = arena_take(&exchange->arena, sizeof *hatch);

    *hatch = *given;
    exchange_park(exchange, 0, errand_tell_mailed);
    errand_after_captcha(errand, captcha, order_hatch, hatch);
}

static void hatch_at_once(struct exchange *exchange, const struct accounts_hatch *given)
{
    struct errand *errand;

    if (!errand_needs_session(exchange))
        return;
    errand = errand_new(exchange, 201);
    exchange_park(exchange, 0, tell_hatched);
    errand_started(accounts_hatch_for_operator(exchange->gateway->accounts,
                                               exchange->access.operator_id, given->display_name,
                                               given->public_key, egg_is_ours, errand),
                   errand);
}

/* What is wrong with it, and with which member. NULL: the node will take it, if it is not late. */
static const char *judge_own_chain(struct exchange *exchange, struct bytes wire, struct bytes key,
                                   struct accounts_hatch *hatch, const char **field)
{
    enum certificate_verdict verdict;
    const struct certificate *first;
    struct chain chain;
    struct bytes name;

    *field = "proof";
    verdict = chain_open(wire, &exchange->arena, &chain);
    if (verdict != CERTIFICATE_TAKEN)
        return certificate_verdict_text(verdict);
    if (chain.kind != IDENTITY_DUCKLING || chain.count != 1)
        return "it must be the one certificate of a duckling";
    first = &chain.certificates[0];
    *field = "public_key";
    if (key.size > 0 && !bytes_equal(key, bytes_of(first->public_key.bytes, PUBLIC_KEY_SIZE)))
        return "its certificate names another key";
    *field = "display_name";
    name = first->display_name;
    if (hatch->display_name && !bytes_equal(bytes_of_text(hatch->display_name), name))
        return "its certificate has another display name";
    hatch->display_name = exchange_copy(exchange, name);
    return NULL;
}

/* A duckling that keeps its own key shows by its certificate that it has it: the key that this names has
 * signed it. False: the exchange is refused. */
static bool read_own_key(struct exchange *exchange, struct accounts_hatch *hatch)
{
    struct bytes key = {0}, wire = {0};
    const char *wrong, *field;

    if (!form_base64(exchange, "public_key", FORM_OPTIONAL, PUBLIC_KEY_SIZE, &key) ||
        !form_base64(exchange, "proof", key.data ? FORM_REQUIRED : FORM_OPTIONAL, PROOF_MAX,
                     &wire) ||
        !form_text(exchange, "proof", FORM_OPTIONAL, HATCH_KEY_MAX, &hatch->public_key))
        return false;
    if (!hatch->public_key)
        return true;
    wrong = judge_own_chain(exchange, wire, key, hatch, &field);
    if (wrong)
        form_refuse(exchange, "bad_member", field, "%s", wrong);
    return !wrong;
}

void route_hatch(struct exchange *exchange)
{
    struct accounts_hatch hatch = {.source = exchange->address};
    enum form_need email_need = exchange->has_access ? FORM_OPTIONAL : FORM_REQUIRED;
    enum form_need name_need = form_has(exchange, "proof") ? FORM_OPTIONAL : FORM_REQUIRED;
    const char *captcha = NULL;

    if (!form_text(exchange, "email", email_need, EMAIL_TEXT_MAX, &hatch.email) ||
        !form_text(exchange, "display_name", name_need, NAME_MAX_BYTES, &hatch.display_name) ||
        !form_text(exchange, "password", FORM_OPTIONAL, PASSWORD_TEXT_MAX, &hatch.password) ||
        !form_text(exchange, "captcha_token", FORM_OPTIONAL, CAPTCHA_TEXT_MAX, &captcha) ||
        !read_own_key(exchange, &hatch))
        return;
    if (exchange->has_access)
        hatch_at_once(exchange, &hatch);
    else
        hatch_by_mail(exchange, &hatch, captcha);
}

void route_verify(struct exchange *exchange)
{
    const char *email = NULL, *code = NULL, *password = NULL;
    struct errand *errand;

    if (!form_text(exchange, "email", FORM_REQUIRED, EMAIL_TEXT_MAX, &email) ||
        !form_text(exchange, "code", FORM_REQUIRED, CODE_TEXT_MAX, &code) ||
        !form_text(exchange, "password", FORM_OPTIONAL, PASSWORD_TEXT_MAX, &password))
        return;
    errand = errand_new(exchange, 200);
    exchange_park(exchange, 0, tell_hatched);
    errand_started(
        accounts_verify(exchange->gateway->accounts, email, code, password, egg_is_ours, errand),
        errand);
}
