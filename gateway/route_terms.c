/* The terms of bonds: `limits` of an approval, and what their approver changes later. */
#include "route_terms.h"

#include "client/duck_client.h"
#include "core/limits.h"
#include "exchange.h"
#include "form.h"
#include "view.h"
#include "wire/local.pb-c.h"

#include <inttypes.h>

/* ---- limits ---- */

static const struct limit {
    const char *name;
    uint64_t max;
    unsigned term;
} limits[] = {
    {"per_minute", BOND_PER_MINUTE_MAX, DUCK_TERM_PER_MINUTE},
    {"per_day", BOND_PER_DAY_MAX, DUCK_TERM_PER_DAY},
    {"budget", BOND_BUDGET_MAX, DUCK_TERM_BUDGET},
    {"rounds", BOND_ROUNDS_MAX, DUCK_TERM_ROUNDS},
    {"cool_down", BOND_COOL_DOWN_MAX_MS / 1000, DUCK_TERM_COOL_DOWN},
};

static void set_limit(Duck__BondTerms *terms, unsigned term, uint64_t number)
{
    if (term == DUCK_TERM_PER_MINUTE)
        terms->per_minute = (uint32_t)number;
    else if (term == DUCK_TERM_PER_DAY)
        terms->per_day = (uint32_t)number;
    else if (term == DUCK_TERM_BUDGET)
        terms->budget = number;
    else if (term == DUCK_TERM_ROUNDS)
        terms->rounds = (uint32_t)number;
    else
        terms->cool_down_ms = number * 1000;
}

static bool read_number(struct exchange *exchange, const struct limit *limit, const json_t *value,
                        Duck__BondTerms *terms, uint32_t *named)
{
    json_int_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < 0 || (uint64_t)number > limit->max) {
        form_refuse(exchange, "bad_member", "limits",
                    "%s must be a whole number from 0 (no limit) to %" PRIu64, limit->name,
                    limit->max);
        return false;
    }
    set_limit(terms, limit->term, (uint64_t)number);
    *named |= limit->term;
    return true;
}

static bool read_stop_words(struct exchange *exchange, const json_t *list, Duck__BondTerms *terms,
                            uint32_t *named)
{
    size_t count = json_array_size(list);

    if (!json_is_array(list) || count > BOND_STOP_WORDS_MAX) {
        form_refuse(exchange, "bad_member", "limits",
                    "stop_words must be a list of at most %u texts", BOND_STOP_WORDS_MAX);
        return false;
    }
    terms->stop_words = arena_take(&exchange->arena, (count + 1) * sizeof *terms->stop_words);
    for (size_t i = 0; i < count; i++) {
        const char *word = json_string_value(json_array_get(list, i));

        if (!word || !*word || strlen(word) > BOND_STOP_WORD_MAX) {
            form_refuse(exchange, "bad_member", "limits", "a stop word is a text of 1 to %u bytes",
                        BOND_STOP_WORD_MAX);
            return false;
        }
        terms->stop_words[i] = (ProtobufCBinaryData){strlen(word), (uint8_t *)(uintptr_t)word};
    }
    terms->n_stop_words = count;
    *named |= DUCK_TERM_STOP_WORDS;
    return true;
}

static bool read_limit(struct exchange *exchange, const char *name, const json_t *value,
                       Duck__BondTerms *terms, uint32_t *named)
{
    if (!strcmp(name, "stop_words"))
        return read_stop_words(exchange, value, terms, named);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        if (!strcmp(name, limits[i].name))
            return read_number(exchange, &limits[i], value, terms, named);
    form_refuse(exchange, "unknown_member", "limits",
                "limits are per_minute, per_day, budget, rounds, cool_down and stop_words");
    return false;
}

bool terms_of_body(struct exchange *exchange, Duck__BondTerms *terms, uint32_t *named)
{
    json_t *object = json_object_get(exchange->body, "limits"), *value;
    const char *name;

    if (!object || json_is_null(object))
        return true;
    if (!json_is_object(object)) {
        form_refuse(exchange, "bad_member", "limits", "limits must be an object");
        return false;
    }
    json_object_foreach(object, name, value)
    {
        if (!json_is_null(value) && !read_limit(exchange, name, value, terms, named))
            return false;
    }
    return true;
}

/* ---- PATCH /beak/bonds/{id} ---- */

/* `muted`: true until `muted_until`, or for good; false: not any more. */
static bool read_mute(struct exchange *exchange, Duck__BondTerms *terms, uint32_t *named)
{
    bool is_muted = true, is_said = form_has(exchange, "muted");

    if (!form_bool(exchange, "muted", &is_muted) ||
        !form_date(exchange, "muted_until", &terms->muted_until_ms))
        return false;
    if (!is_said && !form_has(exchange, "muted_until"))
        return true;
    if (!is_muted && terms->muted_until_ms) {
        form_refuse(exchange, "bad_member", "muted_until",
                    "a bond that is not muted has no muted_until");
        return false;
    }
    if (is_muted && !terms->muted_until_ms)
        terms->muted_until_ms = MUTE_LATEST_MS;
    *named |= DUCK_TERM_MUTED_UNTIL;
    return true;
}

static void tell_bond(struct exchange *exchange)
{
    const Duck__BondView *bond = exchange->reply->bond;

    exchange_answer(exchange, bond->waits_for[0] ? 202 : 200, view_bond(bond));
}

static void change_bond(struct exchange *exchange)
{
    Duck__BondOrder order = DUCK__BOND_ORDER__INIT;
    Duck__BondTerms terms = DUCK__BOND_TERMS__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    if (!terms_of_body(exchange, &terms, &order.terms_named) ||
        !read_mute(exchange, &terms, &order.terms_named) ||
        !scopes_of_body(exchange, &order.scopes, &order.n_scopes) ||
        !form_date(exchange, "not_after", &order.not_after_ms))
        return;
    if (!order.terms_named && order.n_scopes == 0 && !order.not_after_ms) {
        form_refuse(exchange, "missing_member", "limits", "name what is to change");
        return;
    }
    order.duckling = exchange->acting_text;
    order.bond_id = (char *)exchange_copy(exchange, exchange->match.id);
    order.terms = &terms;
    request.order_case = DUCK__REQUEST__ORDER_BOND;
    request.bond = &order;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_BOND, 0, tell_bond);
}

/* A session that names no duckling changes the bond as whichever of them approved it. */
static void find_approver(struct exchange *exchange)
{
    const Duck__BondList *bonds = exchange->reply->bonds;

    for (size_t i = 0; i < bonds->n_bonds; i++) {
        const Duck__BondView *bond = bonds->bonds[i];
        struct id duckling;

        if (bond->requested_here ||
            !bytes_equal(bytes_of_text(bond->bond_id), exchange->match.id) ||
            !id_parse(ID_DUCKLING, bytes_of_text(bond->duckling), &duckling) ||
            !exchange_owns(exchange, &duckling))
            continue;
        id_text(ID_DUCKLING, &duckling, exchange->acting_text);
        change_bond(exchange);
        return;
    }
    exchange_say_no(exchange, 404, "not_found", NULL,
                    "none of this operator's ducklings approved this bond");
}

static void look_for_approver(struct exchange *exchange)
{
    Duck__BondsQuery query = DUCK__BONDS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    request.order_case = DUCK__REQUEST__ORDER_BONDS;
    request.bonds = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_BONDS, 0, find_approver);
}

void route_bond_patch(struct exchange *exchange)
{
    if (!form_is_id(ID_BOND, exchange->match.id))
        exchange_say_no(exchange, 404, "not_found", NULL, "this is not the id of a bond");
    else if (exchange->access.kind == ACCESS_SESSION && !exchange_names_duckling(exchange, true))
        look_for_approver(exchange);
    else if (exchange_acting(exchange, true))
        change_bond(exchange);
}
