/* Owners' decisions, and the bonds that come of them. */
#include "client/duck_client.h"
#include "core/binary_data.h"
#include "core/peck.h"
#include "exchange.h"
#include "form.h"
#include "peck_owner.h"
#include "route_terms.h"
#include "view.h"
#include "wire/local.pb-c.h"

static const char *peck_of_body(struct exchange *exchange)
{
    const char *peck_id = NULL;

    return form_id(exchange, "peck_id", FORM_REQUIRED, ID_PECK, &peck_id) ? peck_id : NULL;
}

static void tell_peck(struct exchange *exchange)
{
    const Duck__PeckView *peck = exchange->reply->peck;

    exchange_answer(exchange, peck->waits_for[0] ? 202 : 200, view_peck(peck, VIEW_WHOLE));
}

/* ---- approve, deny ---- */

bool scopes_of_body(struct exchange *exchange, ProtobufCBinaryData **scopes, size_t *count)
{
    const char **texts;
    bool are_given;

    if (!form_texts(exchange, "scopes", PECK_SCOPES_MAX, PECK_ACTION_MAX, &texts, count,
                    &are_given))
        return false;
    if (are_given && *count == 0) {
        form_refuse(exchange, "bad_member", "scopes", "a bond has at least one scope");
        return false;
    }
    *scopes = arena_take(&exchange->arena, (*count + 1) * sizeof **scopes);
    for (size_t i = 0; i < *count; i++)
        (*scopes)[i] = lent_bytes(texts[i]);
    return true;
}

static void approve_peck(struct exchange *exchange)
{
    Duck__ApproveOrder order = DUCK__APPROVE_ORDER__INIT;
    Duck__BondTerms terms = DUCK__BOND_TERMS__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    if (!scopes_of_body(exchange, &order.scopes, &order.n_scopes) ||
        !terms_of_body(exchange, &terms, &order.terms_named) ||
        !form_date(exchange, "not_after", &order.not_after_ms))
        return;
    order.terms = &terms;
    order.duckling = exchange->acting_text;
    order.peck_id = (char *)peck_of_body(exchange);
    request.order_case = DUCK__REQUEST__ORDER_APPROVE;
    request.approve = &order;
    peck_owner_call(exchange, &request, DUCK__REPLY__ANSWER_PECK, order.peck_id, tell_peck);
}

void route_approve(struct exchange *exchange)
{
    const char *peck_id = peck_of_body(exchange);

    if (peck_id)
        peck_owner_find(exchange, peck_id, PECK_END_TARGET, true, approve_peck);
}

static void deny_peck(struct exchange *exchange)
{
    Duck__DenyOrder order = DUCK__DENY_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;
    const char *reason = "";

    if (!form_text(exchange, "reason", FORM_OPTIONAL, RECEIPT_PROBLEM_MAX, &reason))
        return;
    order.duckling = exchange->acting_text;
    order.peck_id = (char *)peck_of_body(exchange);
    order.reason = lent_bytes(reason);
    request.order_case = DUCK__REQUEST__ORDER_DENY;
    request.deny = &order;
    peck_owner_call(exchange, &request, DUCK__REPLY__ANSWER_PECK, order.peck_id, tell_peck);
}

void route_deny(struct exchange *exchange)
{
    const char *peck_id = peck_of_body(exchange);

    if (peck_id)
        peck_owner_find(exchange, peck_id, PECK_END_TARGET, true, deny_peck);
}

/* ---- unpeck ---- */

static void tell_ended(struct exchange *exchange)
{
    json_t *object = view_bond(exchange->reply->bond);

    reply_word(object, "status", "ended");
    exchange_answer(exchange, 200, object);
}

static void end_bond(struct exchange *exchange, const char *bond_id, const char *with)
{
    Duck__UnpeckOrder order = DUCK__UNPECK_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.duckling = exchange->acting_text;
    order.bond_id = (char *)bond_id;
    order.with = (char *)with;
    request.order_case = DUCK__REQUEST__ORDER_UNPECK;
    request.unpeck = &order;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_BOND, 0, tell_ended);
}

static void end_bond_of_peck(struct exchange *exchange)
{
    const char *bond_id = exchange->reply->peck->bond_id;

    if (*bond_id)
        end_bond(exchange, exchange_copy(exchange, bytes_of_text(bond_id)), "");
    else
        exchange_say_no(exchange, 404, "not_found", "peck_id", "no bond was made by this peck");
}

static void find_bond_of_peck(struct exchange *exchange)
{
    Duck__PeckQuery query = DUCK__PECK_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.peck_id = (char *)peck_of_body(exchange);
    query.duckling = exchange->acting_text;
    request.order_case = DUCK__REQUEST__ORDER_PECK;
    request.peck = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_PECK, 0, end_bond_of_peck);
}

/* A session that names no duckling of its own ends the bond at whichever of them it ends. */
static void find_end_of_bond(struct exchange *exchange)
{
    const Duck__BondList *bonds = exchange->reply->bonds;
    const char *bond_id = "", *with = "";

    if (!form_id(exchange, "bond_id", FORM_OPTIONAL, ID_BOND, &bond_id) ||
        !form_id(exchange, "duckling_id", FORM_OPTIONAL, ID_DUCKLING, &with))
        return;
    for (size_t i = 0; i < bonds->n_bonds; i++) {
        const Duck__BondView *bond = bonds->bonds[i];
        struct id duckling;

        if ((strcmp(bond->bond_id, bond_id) && strcmp(bond->with, with)) ||
            !id_parse(ID_DUCKLING, bytes_of_text(bond->duckling), &duckling) ||
            !exchange_owns(exchange, &duckling))
            continue;
        id_text(ID_DUCKLING, &duckling, exchange->acting_text);
        end_bond(exchange, bond_id, with);
        return;
    }
    exchange_say_no(exchange, 404, "not_found", *bond_id ? "bond_id" : "duckling_id",
                    "none of this operator's ducklings has this bond");
}

static void look_for_bond(struct exchange *exchange)
{
    Duck__BondsQuery query = DUCK__BONDS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    request.order_case = DUCK__REQUEST__ORDER_BONDS;
    request.bonds = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_BONDS, 0, find_end_of_bond);
}

void route_unpeck(struct exchange *exchange)
{
    const char *bond_id = NULL, *with = NULL, *peck_id = NULL;

    if (!form_id(exchange, "bond_id", FORM_OPTIONAL, ID_BOND, &bond_id) ||
        !form_id(exchange, "duckling_id", FORM_OPTIONAL, ID_DUCKLING, &with) ||
        !form_id(exchange, "peck_id", FORM_OPTIONAL, ID_PECK, &peck_id))
        return;
    if (!!bond_id + !!with + !!peck_id != 1) {
        form_refuse(exchange, "missing_member", "bond_id",
                    "name the bond by one of bond_id, duckling_id (the other end) and peck_id");
        return;
    }
    if (peck_id)
        peck_owner_find(exchange, peck_id, PECK_END_ANY, false, find_bond_of_peck);
    else if (exchange->access.kind == ACCESS_SESSION && !exchange_names_duckling(exchange, false))
        look_for_bond(exchange);
    else if (exchange_acting(exchange, false))
        end_bond(exchange, bond_id ? bond_id : "", with ? with : "");
}

/* ---- bonds ---- */

static void tell_bonds(struct exchange *exchange)
{
    const Duck__BondList *bonds = exchange->reply->bonds;
    json_t *object = json_object(), *list = json_array();

    for (size_t i = 0; i < bonds->n_bonds; i++)
        json_array_append_new(list, view_bond(bonds->bonds[i]));
    json_object_set_new(object, "bonds", list);
    exchange_answer(exchange, 200, object);
}

void route_bonds(struct exchange *exchange)
{
    Duck__BondsQuery query = DUCK__BONDS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    if (!exchange_acting(exchange, false))
        return;
    query.duckling = exchange->acting_text;
    request.order_case = DUCK__REQUEST__ORDER_BONDS;
    request.bonds = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_BONDS, 0, tell_bonds);
}
