/* All that is kept of an operator: told as one JSON, and erased. */
#include "account_erasure.h"
#include "errand.h"
#include "route_passkeys.h"
#include "route_webhooks.h"
#include "view.h"
#include "wire/local.pb-c.h"

#define EXPORT_PAGE 50                        /* pecks asked for at once */
#define EXPORT_BYTES_MAX (8u * 1024u * 1024u) /* of pecks; the rest is read by GET /beak/pecks */
#define ERASED_NAME "erased"

/* One duckling after the other, and one question after the other about each. */
struct walk {
    struct accounts_duckling *ducklings;
    size_t count, at;
    char text[ID_TEXT_SIZE]; /* the id of the one that it is at */
    json_t *list;            /* in the exchange's draft */
    size_t bytes;            /* of pecks, so far */
    size_t bond, bond_count; /* erasure: of this duckling */
    char (*bonds)[ID_TEXT_SIZE];
};

static struct walk *walk_new(struct exchange *exchange)
{
    struct walk *walk = arena_take(&exchange->arena, sizeof *walk);

    *walk = (struct walk){.at = 0};
    walk->count = errand_ducklings(exchange, exchange->access.operator_id, &walk->ducklings);
    exchange->work = walk;
    return walk;
}

static bool walk_is_over(struct walk *walk)
{
    if (walk->at == walk->count)
        return true;
    id_text(ID_DUCKLING, &walk->ducklings[walk->at].duckling, walk->text);
    return false;
}

static void ask_bonds(struct exchange *exchange, exchange_then *then)
{
    struct walk *walk = exchange->work;
    Duck__BondsQuery query = DUCK__BONDS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.duckling = walk->text;
    request.order_case = DUCK__REQUEST__ORDER_BONDS;
    request.bonds = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_BONDS, 0, then);
}

/* ---- export ---- */

static void export_next(struct exchange *exchange);

static void ask_pecks(struct exchange *exchange, const char *cursor);

/* What was signed goes along: it is the operator's as much as what was said. */
static void put_pecks(struct exchange *exchange)
{
    struct walk *walk = exchange->work;
    const Duck__PeckList *pecks = exchange->reply->pecks;
    json_t *duckling = json_array_get(walk->list, walk->at);
    json_t *list = json_object_get(duckling, "pecks");
    bool has_more = pecks->next_cursor && pecks->next_cursor[0];
    char cursor[512];

    for (size_t i = 0; i < pecks->n_pecks; i++) {
        const Duck__PeckView *peck = pecks->pecks[i];
        walk->bytes += 512 + peck->payload.len + peck->result.len + peck->envelope.len;
        json_array_append_new(list, view_peck(peck, VIEW_BRIEF));
    }
    if (has_more && walk->bytes < EXPORT_BYTES_MAX && strlen(pecks->next_cursor) < sizeof cursor) {
        strcpy(cursor, pecks->next_cursor);
        ask_pecks(exchange, cursor);
        return;
    }
    json_object_set_new(duckling, "pecks_are_all", json_boolean(!has_more));
    walk->at++;
    export_next(exchange);
}

static void ask_pecks(struct exchange *exchange, const char *cursor)
{
    struct walk *walk = exchange->work;
    Duck__PecksQuery query = DUCK__PECKS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    query.duckling = walk->text;
    query.cursor = (char *)(uintptr_t)cursor;
    query.limit = EXPORT_PAGE;
    request.order_case = DUCK__REQUEST__ORDER_PECKS;
    request.pecks = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_PECKS, 0, put_pecks);
}

static void put_bonds(struct exchange *exchange)
{
    struct walk *walk = exchange->work;
    const Duck__BondList *bonds = exchange->reply->bonds;
    json_t *duckling = json_array_get(walk->list, walk->at), *list = json_array();

    for (size_t i = 0; i < bonds->n_bonds; i++)
        json_array_append_new(list, view_bond(bonds->bonds[i]));
    json_object_set_new(duckling, "bonds", list);
    json_object_set_new(duckling, "pecks", json_array());
    ask_pecks(exchange, "");
}

static void put_entry(struct exchange *exchange)
{
    struct walk *walk = exchange->work;
    const Duck__DirectoryList *found = exchange->reply->directory;

    if (found->n_entries)
        json_object_set_new(json_array_get(walk->list, walk->at), "directory",
                            view_entry(found->entries[0]));
    ask_bonds(exchange, put_bonds);
}

static void export_next(struct exchange *exchange)
{
    struct walk *walk = exchange->work;
    Duck__DirectoryQuery query = DUCK__DIRECTORY_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    if (walk_is_over(walk)) {
        exchange_answer(exchange, 200, json_incref(exchange->draft));
        return;
    }
    query.duckling = walk->text;
    query.limit = 1;
    request.order_case = DUCK__REQUEST__ORDER_DIRECTORY;
    request.directory = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_DIRECTORY, 0, put_entry);
}

static json_t *view_operator(const struct accounts_operator *about)
{
    json_t *object = json_object();

    reply_word(object, "email", about->email);
    reply_date(object, "created_at", about->created_ms);
    json_object_set_new(object, "password_set", json_boolean(about->has_password));
    reply_number(object, "failures_in_a_row", about->failures);
    reply_date(object, "newsletter_since", about->newsletter_ms);
    reply_number(object, "eggs", about->eggs);
    reply_number(object, "codes", about->codes);
    reply_number(object, "letters_waiting", about->letters_waiting);
    return object;
}

void route_export(struct exchange *exchange)
{
    struct accounts_operator about;
    struct walk *walk;
    json_t *webhooks;

    if (!errand_needs_session(exchange))
        return;
    webhooks = webhooks_view(exchange);
    if (!webhooks ||
        !accounts_about(exchange->gateway->accounts, exchange->access.operator_id, &about)) {
        json_decref(webhooks);
        exchange_say_no(exchange, 503, "store_failed", NULL, "the gateway's store does not answer");
        return;
    }
    walk = walk_new(exchange);
    exchange->draft = json_object();
    walk->list = json_array();
    reply_date(exchange->draft, "exported_at", gateway_wall_ms());
    json_object_set_new(exchange->draft, "operator", view_operator(&about));
    json_object_set_new(exchange->draft, "sessions", sessions_view(exchange));
    json_object_set_new(exchange->draft, "passkeys", passkeys_view(exchange));
    json_object_set_new(exchange->draft, "webhooks", webhooks);
    json_object_set_new(exchange->draft, "ducklings", walk->list);
    for (size_t i = 0; i < walk->count; i++)
        json_array_append_new(walk->list, errand_view_duckling(&walk->ducklings[i]));
    export_next(exchange);
}

/* ---- erasure ----
 *
 * The node first: while it does not answer, nothing is erased, and it can be asked for again. Bonds are ended,
 * and what the directory says of a duckling is emptied; its record itself stays in the network, for others
 * hold what it signed. */

static void erase_next(struct exchange *exchange);

static void erase_account(struct exchange *exchange)
{
    uint64_t ducklings = ((const struct walk *)exchange->work)->count;
    struct errand *errand = errand_new(exchange, 204);

    exchange_park(exchange, 0, errand_tell_nothing);
    errand_started(accounts_erase(exchange->gateway->accounts, exchange->access.operator_id,
                                  ducklings, errand_done, errand),
                   errand);
}

static void next_duckling(struct exchange *exchange)
{
    struct walk *walk = exchange->work;

    walk->at++;
    erase_next(exchange);
}

static void order_empty_profile(struct exchange *exchange, bool unsaid)
{
    struct walk *walk = exchange->work;
    Duck__ProfileOrder order = DUCK__PROFILE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    order.duckling = walk->text;
    order.set_display_name = order.set_bio = order.set_capabilities = true;
    order.set_accepts_pecks = order.set_open_actions = true;
    order.display_name.data = (uint8_t *)ERASED_NAME;
    order.display_name.len = sizeof ERASED_NAME - 1;
    order.unsaid = unsaid;
    request.order_case = DUCK__REQUEST__ORDER_PROFILE;
    request.profile = &order;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_DONE, 0, next_duckling);
}

/* One that is revoked, or whose key was rotated elsewhere, says nothing any more, and nothing is said of it: what its node
 * keeps of it is emptied all the same. */
static void profile_was_refused(struct exchange *exchange)
{
    if (!strcmp(exchange->reply->problem->code, "conflict"))
        order_empty_profile(exchange, true);
    else
        exchange_refuse_as_node(exchange);
}

static void empty_profile(struct exchange *exchange)
{
    order_empty_profile(exchange, false);
    exchange->refused = profile_was_refused;
}

static void end_next_bond(struct exchange *exchange);

/* Somebody was quicker, the other end perhaps: that is as good. Or it keeps its own key, and lives elsewhere: the bonds
 * are not ended here. */
static void bond_was_refused(struct exchange *exchange)
{
    const char *code = exchange->reply->problem->code;

    if (!strcmp(code, "not_found") || !strcmp(code, "conflict") || !strcmp(code, "not_allowed"))
        end_next_bond(exchange);
    else
        exchange_refuse_as_node(exchange);
}

static void end_next_bond(struct exchange *exchange)
{
    struct walk *walk = exchange->work;
    Duck__UnpeckOrder order = DUCK__UNPECK_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    if (walk->bond == walk->bond_count) {
        empty_profile(exchange);
        return;
    }
    order.duckling = walk->text;
    order.bond_id = walk->bonds[walk->bond++];
    request.order_case = DUCK__REQUEST__ORDER_UNPECK;
    request.unpeck = &order;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_BOND, 0, end_next_bond);
    exchange->refused = bond_was_refused;
}

static void take_bonds(struct exchange *exchange)
{
    struct walk *walk = exchange->work;
    const Duck__BondList *bonds = exchange->reply->bonds;

    walk->bond = walk->bond_count = 0;
    walk->bonds = arena_take(&exchange->arena, (bonds->n_bonds + 1) * sizeof *walk->bonds);
    for (size_t i = 0; walk->bonds && i < bonds->n_bonds; i++)
        if (strlen(bonds->bonds[i]->bond_id) < ID_TEXT_SIZE)
            strcpy(walk->bonds[walk->bond_count++], bonds->bonds[i]->bond_id);
    end_next_bond(exchange);
}

static void erase_next(struct exchange *exchange)
{
    if (walk_is_over(exchange->work))
        erase_account(exchange);
    else
        ask_bonds(exchange, take_bonds);
}

void route_erase(struct exchange *exchange)
{
    if (!errand_needs_fresh_session(exchange))
        return;
    walk_new(exchange);
    erase_next(exchange);
}
