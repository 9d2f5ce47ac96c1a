/* Operators: from an egg to a duckling with a beak key, and in and out.
 *
 * The accounts call back on their own thread with a result that is wiped after the call: what the
 * answer needs of it is kept in the exchange, which wakes only when all is done. */
#include "client/duck_client.h"
#include "core/limits.h"
#include "exchange.h"
#include "form.h"
#include "gate_log.h"
#include "wire/local.pb-c.h"

#include <stdio.h>

#define EMAIL_TEXT_MAX 1024u /* bytes; the accounts say what is wrong with it */
#define PASSWORD_TEXT_MAX 4096u
#define CODE_TEXT_MAX 32u
#define CAPTCHA_TEXT_MAX 4096u
#define PAGE_DEFAULT 50
#define PAGE_MAX 200

/* What an answer is made of; in the exchange's arena, wiped with it. */
struct errand {
    struct exchange *exchange;
    enum accounts_verdict verdict;
    uint32_t retry_after_s;
    uint64_t expires_ms, egg;
    char bearer[BEARER_TEXT_SIZE];
    char display_name[DISPLAY_NAME_MAX + 1];
    struct id duckling, certificate;
    bool is_queue_full, is_not_hatched; /* by the node: the exchange's reply says why */
    bool has_password;
    unsigned good_status;
};

static struct errand *errand_new(struct exchange *exchange, unsigned good_status)
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
    case ACCOUNTS_BAD_NAME:
    case ACCOUNTS_BAD_KEY:
    case ACCOUNTS_PASSWORD_TOO_SHORT:
    case ACCOUNTS_PASSWORD_TOO_LONG:
    case ACCOUNTS_PASSWORD_MISSING:
        return 422;
    case ACCOUNTS_BAD_CODE:
    case ACCOUNTS_BAD_CREDENTIALS:
        return 401;
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

/* True when the errand went well; else the exchange has its no. */
static bool errand_is_fine(struct exchange *exchange)
{
    const struct errand *errand = exchange->work;
    struct problem problem;

    if (errand->is_queue_full) {
        refuse_busy(exchange);
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
    problem = problem_make(status_of(errand->verdict), accounts_verdict_code(errand->verdict), "%s",
                           accounts_verdict_text(errand->verdict));
    problem.field = accounts_verdict_field(errand->verdict);
    if (!problem.field[0])
        problem.field = NULL;
    problem.retry_after_s = errand->verdict == ACCOUNTS_FAULT ? 5 : errand->retry_after_s;
    exchange_refuse(exchange, &problem);
    return false;
}

static void keep_result(struct errand *errand, const struct accounts_result *result)
{
    const char *bearer = result->beak_key ? result->beak_key : result->token;

    errand->verdict = result->verdict;
    errand->retry_after_s = result->retry_after_s;
    errand->expires_ms = result->expires_ms;
    errand->duckling = result->duckling;
    errand->certificate = result->certificate;
    errand->has_password = result->has_password;
    if (bearer)
        snprintf(errand->bearer, sizeof errand->bearer, "%s", bearer);
    if (result->display_name)
        snprintf(errand->display_name, sizeof errand->display_name, "%s", result->display_name);
}

/* The last step of every errand; on the accounts' thread. */
static void keep_and_wake(void *context, const struct accounts_result *result)
{
    struct errand *errand = context;

    keep_result(errand, result);
    exchange_wake(errand->exchange);
}

/* After the exchange was parked: `was_taken` is what the accounts said to the order. */
static void wake_unless(bool was_taken, struct errand *errand)
{
    if (was_taken)
        return;
    errand->is_queue_full = true;
    exchange_wake(errand->exchange);
}

/* ---- hatching: accounts, node, accounts ----
 *
 * The steps call one another on the threads where they happen, and the exchange sleeps through all
 * of them: a client that goes away in the middle must not leave half a duckling. */

static void note_hatched(struct errand *errand)
{
    struct accounts *accounts = errand->exchange->gateway->accounts;

    if (accounts_hatched(accounts, errand->egg, &errand->duckling, &errand->certificate,
                         keep_and_wake, errand))
        return;
    gate_log(GATE_LOG_ERROR, "accounts", "a duckling was hatched, and its account is not written");
    wake_unless(false, errand);
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

static void hatch_on_node(struct errand *errand, const char *display_name)
{
    Duck__HatchOrder order = DUCK__HATCH_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

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
        keep_and_wake(errand, result);
        return;
    }
    errand->egg = result->egg;
    hatch_on_node(errand, result->display_name);
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
    reply_base64(certificate, "chain",
                 bytes_of(exchange->reply->hatch->chain.data, exchange->reply->hatch->chain.len));
    json_object_set_new(object, "certificate", certificate);
    reply_word(object, "display_name", errand->display_name);
    reply_word(object, "tier", "T0");
    json_object_set_new(object, "password_set", json_boolean(errand->has_password));
    exchange_answer(exchange, errand->good_status, object);
}

static void tell_code_is_mailed(struct exchange *exchange)
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

static void hatch_by_mail(struct exchange *exchange, const struct accounts_hatch *hatch)
{
    struct errand *errand = errand_new(exchange, 202);

    exchange_park(exchange, 0, tell_code_is_mailed);
    wake_unless(accounts_hatch(exchange->gateway->accounts, hatch, keep_and_wake, errand), errand);
}

static void hatch_at_once(struct exchange *exchange, const char *display_name)
{
    struct errand *errand;

    if (exchange->access.kind != ACCESS_SESSION) {
        exchange_say_no(exchange, 403, "session_needed", NULL,
                        "an operator hatches, with the token of a session");
        return;
    }
    errand = errand_new(exchange, 201);
    exchange_park(exchange, 0, tell_hatched);
    wake_unless(accounts_hatch_for_operator(exchange->gateway->accounts,
                                            exchange->access.operator_id, display_name, NULL,
                                            egg_is_ours, errand),
                errand);
}

void route_hatch(struct exchange *exchange)
{
    struct accounts_hatch hatch = {.email = NULL};
    enum form_need email_need = exchange->has_access ? FORM_OPTIONAL : FORM_REQUIRED;
    const char *captcha;

    if (!form_text(exchange, "email", email_need, EMAIL_TEXT_MAX, &hatch.email) ||
        !form_text(exchange, "display_name", FORM_REQUIRED, NAME_MAX_BYTES, &hatch.display_name) ||
        !form_text(exchange, "password", FORM_OPTIONAL, PASSWORD_TEXT_MAX, &hatch.password) ||
        !form_text(exchange, "captcha_token", FORM_OPTIONAL, CAPTCHA_TEXT_MAX, &captcha))
        return;
    if (exchange->has_access)
        hatch_at_once(exchange, hatch.display_name);
    else
        hatch_by_mail(exchange, &hatch);
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
    wake_unless(
        accounts_verify(exchange->gateway->accounts, email, code, password, egg_is_ours, errand),
        errand);
}

/* ---- in and out ---- */

static json_t *view_duckling(const struct accounts_duckling *duckling)
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

/* From the arena: the operator's ducklings, oldest first. */
static size_t ducklings_of(struct exchange *exchange, uint64_t operator_id,
                           struct accounts_duckling **ducklings)
{
    *ducklings =
        arena_take(&exchange->arena, DUCKLINGS_PER_OPERATOR_MAX * sizeof(struct accounts_duckling));
    return *ducklings ? accounts_ducklings(exchange->gateway->accounts, operator_id, *ducklings,
                                           DUCKLINGS_PER_OPERATOR_MAX)
                      : 0;
}

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
        count = ducklings_of(exchange, access.operator_id, &ducklings);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, view_duckling(&ducklings[i]));
    reply_word(object, "token", errand->bearer);
    reply_word(object, "access_token", errand->bearer); /* RFC 6749, section 5.1 */
    reply_word(object, "token_type", "Bearer");
    reply_date(object, "expires_at", errand->expires_ms);
    json_object_set_new(object, "ducklings", list);
    exchange_answer(exchange, 200, object);
}

void route_auth(struct exchange *exchange)
{
    const char *email = NULL, *password = NULL, *captcha;
    struct errand *errand;

    if (!form_text(exchange, "email", FORM_REQUIRED, EMAIL_TEXT_MAX, &email) ||
        !form_text(exchange, "password", FORM_REQUIRED, PASSWORD_TEXT_MAX, &password) ||
        !form_text(exchange, "captcha_token", FORM_OPTIONAL, CAPTCHA_TEXT_MAX, &captcha))
        return;
    errand = errand_new(exchange, 200);
    exchange_park(exchange, 0, tell_session);
    wake_unless(accounts_auth(exchange->gateway->accounts, email, password, keep_and_wake, errand),
                errand);
}

static void tell_nothing(struct exchange *exchange)
{
    if (errand_is_fine(exchange))
        exchange_answer_empty(exchange, 204);
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
    exchange_park(exchange, 0, tell_nothing);
    wake_unless(accounts_logout(exchange->gateway->accounts, token, keep_and_wake, errand), errand);
}

void route_forgot(struct exchange *exchange)
{
    const char *email = NULL;
    struct errand *errand;

    if (!form_text(exchange, "email", FORM_REQUIRED, EMAIL_TEXT_MAX, &email))
        return;
    errand = errand_new(exchange, 202);
    exchange_park(exchange, 0, tell_code_is_mailed);
    wake_unless(accounts_forgot(exchange->gateway->accounts, email, keep_and_wake, errand), errand);
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
    exchange_park(exchange, 0, tell_nothing);
    wake_unless(
        accounts_reset(exchange->gateway->accounts, email, code, password, keep_and_wake, errand),
        errand);
}

static void tell_beak_key(struct exchange *exchange)
{
    const struct errand *errand = exchange->work;
    json_t *object;

    if (!errand_is_fine(exchange))
        return;
    object = json_object();
    reply_word(object, "beak_key", errand->bearer);
    reply_word(object, "duckling_id", exchange->acting_text);
    exchange_answer(exchange, 200, object);
}

void route_rotate(struct exchange *exchange)
{
    const char *what = "beak_key";
    struct errand *errand;

    if (!form_text(exchange, "what", FORM_OPTIONAL, 32, &what) || !exchange_acting(exchange, true))
        return;
    if (strcmp(what, "beak_key")) {
        form_refuse(exchange, "bad_member", "what", "what can be rotated here is \"beak_key\"");
        return;
    }
    errand = errand_new(exchange, 200);
    exchange_park(exchange, 0, tell_beak_key);
    wake_unless(accounts_rotate(exchange->gateway->accounts, exchange->access.operator_id,
                                &exchange->acting, keep_and_wake, errand),
                errand);
}

/* ---- an operator's ducklings: from the accounts; bonds and tiers from the node ---- */

struct roll {
    struct accounts_duckling *ducklings;
    size_t begin, end, count, at; /* of the page; all; whose tier is asked for next */
    json_t *list;                 /* in the exchange's draft */
};

static void ask_tier(struct exchange *exchange);

static void put_tier(struct exchange *exchange)
{
    struct roll *roll = exchange->work;
    const Duck__DirectoryList *found = exchange->reply->directory;
    json_t *duckling = json_array_get(roll->list, roll->at - roll->begin);

    json_object_set_new(duckling, "tier",
                        reply_tier(found->n_entries ? found->entries[0]->tier : 0));
    roll->at++;
    ask_tier(exchange);
}

static void ask_tier(struct exchange *exchange)
{
    struct roll *roll = exchange->work;
    Duck__DirectoryQuery query = DUCK__DIRECTORY_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    char text[ID_TEXT_SIZE];

    if (roll->at == roll->end) {
        exchange_answer(exchange, 200, json_incref(exchange->draft));
        return;
    }
    query.duckling = (char *)id_text(ID_DUCKLING, &roll->ducklings[roll->at].duckling, text);
    query.limit = 1;
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_DIRECTORY, 0, put_tier);
}

static void put_bonds(struct exchange *exchange)
{
    struct roll *roll = exchange->work;
    const Duck__BondList *bonds = exchange->reply->bonds;

    for (size_t i = roll->begin; i < roll->end; i++) {
        char text[ID_TEXT_SIZE];
        uint64_t count = 0;

        id_text(ID_DUCKLING, &roll->ducklings[i].duckling, text);
        for (size_t j = 0; j < bonds->n_bonds; j++)
            count += !strcmp(bonds->bonds[j]->duckling, text);
        reply_number(json_array_get(roll->list, i - roll->begin), "bonds", count);
    }
    ask_tier(exchange);
}

/* The cursor is the place in the list: an operator's ducklings only grow in number, at its end. */
static bool read_page(struct exchange *exchange, size_t count, struct roll *roll)
{
    uint64_t limit = PAGE_DEFAULT, begin = 0;

    if (!query_integer(exchange, "limit", 1, PAGE_MAX, &limit) ||
        !query_integer(exchange, "cursor", 0, DUCKLINGS_PER_OPERATOR_MAX, &begin))
        return false;
    roll->count = count;
    roll->begin = roll->at = begin < count ? (size_t)begin : count;
    roll->end = count - roll->begin > limit ? roll->begin + (size_t)limit : count;
    return true;
}

void route_spaceducks(struct exchange *exchange)
{
    Duck__BondsQuery query = DUCK__BONDS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    struct roll *roll = arena_take(&exchange->arena, sizeof *roll);
    char cursor[24];
    size_t count;

    *roll = (struct roll){.begin = 0};
    count = ducklings_of(exchange, exchange->access.operator_id, &roll->ducklings);
    if (!read_page(exchange, count, roll))
        return;
    exchange->draft = json_object();
    roll->list = json_array();
    for (size_t i = roll->begin; i < roll->end; i++)
        json_array_append_new(roll->list, view_duckling(&roll->ducklings[i]));
    json_object_set_new(exchange->draft, "spaceducks", roll->list);
    if (roll->end < count) {
        snprintf(cursor, sizeof cursor, "%zu", roll->end);
        reply_word(exchange->draft, "next_cursor", cursor);
    }
    exchange->work = roll;
    request.order_case = DUCK__REQUEST__ORDER_BONDS;
    request.bonds = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_BONDS, 0, put_bonds);
}
