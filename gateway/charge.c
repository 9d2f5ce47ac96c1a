#include "charge.h"

#include "client/duck_client.h"
#include "exchange.h"
#include "wire/local.pb-c.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>

#define WINDOW_S 60

struct payer {
    uint8_t name[LIMITER_NAME_MAX];
    struct limiter_caller caller;
    struct id duckling; /* whose tier counts; zero: T0 */
};

static uint64_t seconds_of(uint64_t us)
{
    return (us + 999999) / 1000000;
}

/* ---- who pays ---- */

static void name_bearer(const struct access *access, struct payer *payer)
{
    bool is_duckling = access->kind == ACCESS_BEAK_KEY;
    size_t size = is_duckling ? ID_SIZE : sizeof access->operator_id;

    payer->name[0] = (uint8_t)access->kind;
    if (is_duckling)
        memcpy(payer->name + 1, access->duckling.bytes, size);
    else
        memcpy(payer->name + 1, &access->operator_id, size);
    payer->duckling = access->duckling;
    payer->caller = (struct limiter_caller){.name = bytes_of(payer->name, 1 + size)};
}

static void find_payer(struct exchange *exchange, struct payer *payer)
{
    const struct route *route = exchange->match.route;
    bool is_login = route->class == ROUTE_AUTH && route->who == ROUTE_ALL;

    *payer = (struct payer){.caller = {.is_stranger = true}};
    /* Who guesses passwords may have keys by the hundred: there the address counts. */
    if (!is_login && exchange->headers.authorization.data &&
        exchange_bearer(exchange) == ACCESS_TAKEN) {
        name_bearer(&exchange->access, payer);
        return;
    }
    payer->caller.name = bytes_of(payer->name, forwarded_prefix(exchange->address, payer->name));
}

static enum rate_class class_of(const struct exchange *exchange)
{
    return (enum rate_class)(exchange->match.route->class - ROUTE_AUTH);
}

/* ---- the charge ---- */

static void refuse(struct exchange *exchange)
{
    const struct limiter_answer *answer = &exchange->charge.answer;
    const char *class = rate_class_name(answer->class);
    struct problem problem = {.status = 429, .code = "rate_limited", .extras = json_object()};

    problem.retry_after_s = (uint32_t)seconds_of(answer->rate.retry_after_us);
    snprintf(problem.detail, sizeof problem.detail,
             "T%u has %u calls a minute of the class %s, and they are used up%s",
             (unsigned)answer->tier, (unsigned)answer->limit, class,
             answer->tier_more ? "; a higher tier has more" : "");
    reply_word(problem.extras, "class", class);
    reply_number(problem.extras, "limit", answer->limit);
    json_object_set_new(problem.extras, "tier", reply_tier(answer->tier));
    if (answer->tier_more)
        json_object_set_new(problem.extras, "tier_needed", reply_tier(answer->tier_more));
    exchange_refuse(exchange, &problem);
}

/* True: there is room for it. */
static bool take(struct exchange *exchange, const struct payer *payer)
{
    struct charge *charge = &exchange->charge;

    charge->now_us = gateway_now_us();
    charge->answer = limiter_take(exchange->gateway->limiter, class_of(exchange), &payer->caller,
                                  charge->now_us);
    charge->is_made = charge->answer.limit > 0;
    if (!charge->answer.rate.is_taken)
        refuse(exchange);
    return charge->answer.rate.is_taken;
}

/* ---- the tier, from the node ---- */

struct asked {
    struct payer payer;
    void (*then)(struct exchange *exchange);
};

static void go_on(struct exchange *exchange)
{
    struct asked *asked = exchange->work;

    exchange->work = NULL;
    if (take(exchange, &asked->payer))
        asked->then(exchange);
}

static void tier_told(struct exchange *exchange)
{
    const Duck__DirectoryList *found = exchange->reply->directory;
    struct asked *asked = exchange->work;
    uint32_t tier = found->n_entries > 0 ? found->entries[0]->tier : 0;

    limiter_note_tier(exchange->gateway->limiter, &asked->payer.duckling, tier, gateway_now_ms());
    asked->payer.caller.tier = tier;
    go_on(exchange);
}

/* The node is away or busy: what is remembered counts. A wait for it now is one for the caller. */
static void ask_for_tier(struct exchange *exchange, const struct payer *payer,
                         void (*then)(struct exchange *exchange))
{
    Duck__DirectoryQuery query = DUCK__DIRECTORY_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    char duckling[ID_TEXT_SIZE];
    struct asked *asked = arena_take(&exchange->arena, sizeof *asked);

    if (!asked) { /* the budget is over what a request can hold */
        then(exchange);
        return;
    }
    *asked = (struct asked){.payer = *payer, .then = then};
    if (!payer->caller.is_stranger)
        asked->payer.caller.name = bytes_of(asked->payer.name, payer->caller.name.size);
    exchange->work = asked;
    query.duckling = (char *)id_text(ID_DUCKLING, &payer->duckling, duckling);
    query.limit = 1;
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    exchange->refused = go_on;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_DIRECTORY, 0, tier_told);
}

static bool tier_is_fresh(struct exchange *exchange, struct payer *payer)
{
    return payer->caller.is_stranger || id_is_zero(&payer->duckling) ||
           limiter_tier(exchange->gateway->limiter, &payer->duckling, gateway_now_ms(),
                        &payer->caller.tier) == LIMITER_FRESH;
}

static bool is_counted(const struct exchange *exchange)
{
    return exchange->match.route->class != ROUTE_UNCOUNTED &&
           limiter_has_limits(exchange->gateway->limiter, class_of(exchange));
}

void charge_request(struct exchange *exchange, void (*then)(struct exchange *exchange))
{
    struct payer payer;

    if (!is_counted(exchange)) {
        then(exchange);
        return;
    }
    find_payer(exchange, &payer);
    if (!tier_is_fresh(exchange, &payer))
        ask_for_tier(exchange, &payer, then);
    else if (take(exchange, &payer))
        then(exchange);
}

bool charge_refusal(struct exchange *exchange)
{
    struct payer payer;

    if (!is_counted(exchange))
        return false;
    find_payer(exchange, &payer);
    tier_is_fresh(exchange, &payer); /* or as it was, or T0 */
    return !take(exchange, &payer);
}

/* ---- headers ---- */

static void __attribute__((format(printf, 3, 4)))
set_header(struct MHD_Response *response, const char *name, const char *format, ...)
{
    va_list arguments;
    char value[96];

    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    MHD_add_response_header(response, name, value);
}

void charge_headers(const struct charge *charge, struct MHD_Response *response)
{
    const struct limiter_answer *answer = &charge->answer;
    const char *class;
    uint64_t whole_in_s;

    if (!charge->is_made)
        return;
    class = rate_class_name(answer->class);
    whole_in_s = seconds_of(answer->rate.whole_at_us - charge->now_us);
    set_header(response, "X-RateLimit-Limit", "%" PRIu32, answer->limit);
    set_header(response, "X-RateLimit-Remaining", "%" PRIu32, answer->rate.remaining);
    set_header(response, "X-RateLimit-Reset", "%" PRIu64, gateway_wall_ms() / 1000 + whole_in_s);
    set_header(response, "RateLimit-Policy", "\"%s\";q=%" PRIu32 ";w=%d", class, answer->limit,
               WINDOW_S);
    set_header(response, "RateLimit", "\"%s\";r=%" PRIu32 ";t=%" PRIu64, class,
               answer->rate.remaining, whole_in_s);
}
