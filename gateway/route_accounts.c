/* An operator's ducklings: their keys, and the list of them. */
#include "core/binary_data.h"
#include "core/limits.h"
#include "errand.h"
#include "form.h"
#include "gate_log.h"
#include "wire/local.pb-c.h"

#include <stdio.h>

#define PAGE_DEFAULT 50
#define PAGE_MAX 200

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

static void tell_identity(struct exchange *exchange)
{
    const Duck__RotateAnswer *rotated = exchange->reply->rotate;
    json_t *object = json_object();
    struct id certificate;

    if (id_parse(ID_CERTIFICATE, bytes_of_text(rotated->certificate_id), &certificate) &&
        !accounts_identity_rotated(exchange->gateway->accounts, exchange->access.operator_id,
                                   &exchange->acting, &certificate))
        gate_log(GATE_LOG_WARNING, "events",
                 "nobody is told that the key of %s was rotated: too "
                 "much is going on",
                 exchange->acting_text);
    reply_word(object, "duckling_id", rotated->identity);
    reply_word(object, "certificate_id", rotated->certificate_id);
    reply_base64(object, "chain", borrowed(rotated->chain));
    exchange_answer(exchange, 200, object);
}

static void rotate_identity(struct exchange *exchange)
{
    Duck__RotateOrder order = DUCK__ROTATE_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    struct bytes chain = {0};

    if (!form_base64(exchange, "chain", FORM_OPTIONAL, CHAIN_SIZE_MAX, &chain))
        return;
    order.identity = exchange->acting_text;
    order.by_node = chain.size == 0;
    order.chain = lent(chain);
    request.order_case = DUCK__REQUEST__ORDER_ROTATE;
    request.rotate = &order;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_ROTATE, 0, tell_identity);
}

void route_rotate(struct exchange *exchange)
{
    const char *what = "beak_key";
    struct errand *errand;

    if (!form_text(exchange, "what", FORM_OPTIONAL, 32, &what) || !exchange_acting(exchange, true))
        return;
    if (!strcmp(what, "identity")) {
        rotate_identity(exchange);
        return;
    }
    if (form_has(exchange, "chain")) {
        form_refuse(exchange, "bad_member", "chain", "a beak key has no certificates");
        return;
    }
    if (strcmp(what, "beak_key")) {
        form_refuse(exchange, "bad_member", "what",
                    "what can be rotated is \"beak_key\" or \"identity\"");
        return;
    }
    errand = errand_new(exchange, 200);
    exchange_park(exchange, 0, tell_beak_key);
    errand_started(accounts_rotate(exchange->gateway->accounts, exchange->access.operator_id,
                                   &exchange->acting, errand_done, errand),
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
    count = errand_ducklings(exchange, exchange->access.operator_id, &roll->ducklings);
    if (!read_page(exchange, count, roll))
        return;
    exchange->draft = json_object();
    roll->list = json_array();
    for (size_t i = roll->begin; i < roll->end; i++)
        json_array_append_new(roll->list, errand_view_duckling(&roll->ducklings[i]));
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
