/* Grants over REST: made and narrowed for ducklings whose keys the node keeps, checked by anybody, taken back. */
#include "client/duck_client.h"
#include "client/duck_grant.h"
#include "core/binary_data.h"
#include "core/grant.h"
#include "core/peck.h"
#include "exchange.h"
#include "form.h"
#include "view.h"
#include "wire/local.pb-c.h"

#include <sodium.h>

#define USES_MAX 1000000000u /* pecks */
#define LIST_MAX 200u
#define CURSOR_MAX 512u

/* ---- how one reads ---- */

static void put_part(json_t *object, const struct duck_grant_part *part, const char *id,
                     const char *issuer)
{
    json_t *scopes = json_array();

    for (size_t i = 0; i < part->scope_count; i++)
        json_array_append_new(scopes, json_string(part->scopes[i]));
    reply_word(object, id, part->id);
    reply_word(object, issuer, part->issuer);
    reply_word(object, "holder", part->holder);
    json_object_set_new(object, "scopes", scopes);
    if (part->uses > 0)
        reply_number(object, "uses", part->uses);
    reply_number(object, "further", part->further);
    reply_date(object, "not_after", part->not_after_ms);
}

static void put_grant(json_t *object, const struct duck_grant *grant)
{
    json_t *blocks = json_array();
    struct duck_grant_part part;

    duck_grant_whole(grant, &part);
    put_part(object, &part, "block_id", "target");
    for (size_t i = 0; duck_grant_block(grant, i, &part); i++) {
        json_t *block = json_object();

        put_part(block, &part, "block_id", "issuer");
        json_array_append_new(blocks, block);
    }
    json_object_set_new(object, "blocks", blocks);
}

static json_t *view_row(const Duck__GrantView *row)
{
    json_t *object = json_object();

    reply_word(object, "block_id", row->block_id);
    reply_word(object, "first_id", row->first_id);
    reply_word(object, "target", row->target);
    reply_word(object, "issuer", row->issuer);
    reply_word(object, "holder", row->holder);
    if (row->uses > 0)
        reply_number(object, "uses", row->uses);
    reply_number(object, "used", row->used);
    reply_date(object, "revoked_at", row->revoked_ms);
    reply_date(object, "not_after", row->not_after_ms);
    return object;
}

static void tell_rows(struct exchange *exchange)
{
    const Duck__GrantList *found = exchange->reply->grants;
    json_t *object = json_object(), *list = json_array();

    for (size_t i = 0; i < found->n_blocks; i++)
        json_array_append_new(list, view_row(found->blocks[i]));
    json_object_set_new(object, "blocks", list);
    reply_word(object, "next_cursor", found->next_cursor);
    exchange_answer(exchange, 200, object);
}

void route_grants(struct exchange *exchange)
{
    Duck__GrantsQuery query = DUCK__GRANTS_QUERY__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    const char *cursor = "";
    uint64_t limit = 0;

    if (!exchange_acting(exchange, false) || !query_text(exchange, "cursor", CURSOR_MAX, &cursor) ||
        !query_integer(exchange, "limit", 1, LIST_MAX, &limit))
        return;
    query.duckling = exchange->acting_text;
    query.cursor = (char *)(uintptr_t)cursor;
    query.limit = (uint32_t)limit;
    request.order_case = DUCK__REQUEST__ORDER_GRANTS;
    request.grants = &query;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_GRANTS, 0, tell_rows);
}

/* ---- made ---- */

static void tell_made(struct exchange *exchange)
{
    ProtobufCBinaryData made = exchange->reply->made_grant->grant;
    char text[DUCK_GRANT_TEXT_MAX + 1];
    struct duck_grant *grant = NULL;
    const char *problem = "it is too large";
    json_t *object;

    if (made.len <= GRANT_SIZE_MAX) {
        sodium_bin2base64(text, sizeof text, made.data, made.len,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        grant = duck_grant_open(text, &problem);
    }
    if (!grant) {
        exchange_say_no(exchange, 502, "protocol", NULL, "the node made no grant: %s", problem);
        return;
    }
    object = json_object();
    reply_word(object, "grant", duck_grant_text(grant));
    put_grant(object, grant);
    duck_grant_free(grant);
    exchange_answer(exchange, 201, object);
}

/* NULL: refused. */
static struct duck_grant *grant_of_body(struct exchange *exchange)
{
    const char *text = NULL, *problem;
    struct duck_grant *grant;

    if (!form_text(exchange, "grant", FORM_REQUIRED, DUCK_GRANT_TEXT_MAX, &text))
        return NULL;
    grant = duck_grant_open(text, &problem);
    if (!grant)
        form_refuse(exchange, "bad_member", "grant", "%s", problem);
    return grant;
}

static bool read_wish(struct exchange *exchange, Duck__GrantOrder *order)
{
    const char *holder = NULL, **scopes;
    uint64_t uses = 0, further = 0;
    bool are_given;
    size_t count;

    if (!form_id(exchange, "holder", FORM_REQUIRED, ID_DUCKLING, &holder) ||
        !form_texts(exchange, "scopes", GRANT_SCOPES_MAX, PECK_ACTION_MAX, &scopes, &count,
                    &are_given) ||
        !form_integer(exchange, "uses", 1, USES_MAX, &uses) ||
        !form_integer(exchange, "further", 0, GRANT_BLOCKS_MAX - 1, &further) ||
        !form_date(exchange, "not_after", &order->not_after_ms))
        return false;
    if (count == 0 && (are_given || order->grant.len == 0)) {
        form_refuse(exchange, are_given ? "bad_member" : "missing_member", "scopes",
                    "a block of a grant has 1 to %u scopes", GRANT_SCOPES_MAX);
        return false;
    }
    order->scopes = arena_take(&exchange->arena, (count + 1) * sizeof *order->scopes);
    for (size_t i = 0; i < count; i++) {
        struct bytes scope = bytes_of_text(scopes[i]);

        if (!peck_scope_is_valid(scope)) {
            form_refuse(exchange, "bad_member", "scopes",
                        "a scope is a name like data.read, or data.*, or *");
            return false;
        }
        order->scopes[i] = lent(scope);
    }
    order->n_scopes = count;
    order->holder = (char *)(uintptr_t)holder;
    order->uses = uses;
    order->further = (uint32_t)further;
    return true;
}

static void make(struct exchange *exchange, Duck__GrantOrder *order)
{
    Duck__Request request = DUCK__REQUEST__INIT;

    if (!read_wish(exchange, order))
        return;
    order->duckling = exchange->acting_text;
    request.order_case = DUCK__REQUEST__ORDER_MAKE_GRANT;
    request.make_grant = order;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_MADE_GRANT, 0, tell_made);
}

void route_grant_make(struct exchange *exchange)
{
    Duck__GrantOrder order = DUCK__GRANT_ORDER__INIT;

    if (exchange_acting(exchange, true))
        make(exchange, &order);
}

void route_grant_narrow(struct exchange *exchange)
{
    Duck__GrantOrder order = DUCK__GRANT_ORDER__INIT;
    struct duck_grant *grant;
    const void *data;
    size_t size;

    if (!exchange_acting(exchange, true))
        return;
    grant = grant_of_body(exchange);
    if (!grant)
        return;
    data = duck_grant_bytes(grant, &size);
    order.grant = lent(arena_copy(&exchange->arena, bytes_of(data, size)));
    duck_grant_free(grant);
    make(exchange, &order);
}

/* ---- verified ---- */

struct question {
    const char *grant, *from, *to, *action;
    uint64_t at_ms;
};

static bool read_question(struct exchange *exchange, struct question *question)
{
    *question = (struct question){.at_ms = gateway_wall_ms()};
    return form_text(exchange, "grant", FORM_REQUIRED, DUCK_GRANT_TEXT_MAX, &question->grant) &&
           form_id(exchange, "from", FORM_OPTIONAL, ID_DUCKLING, &question->from) &&
           form_id(exchange, "to", FORM_OPTIONAL, ID_DUCKLING, &question->to) &&
           form_text(exchange, "action", FORM_OPTIONAL, PECK_ACTION_MAX, &question->action) &&
           form_date(exchange, "at", &question->at_ms);
}

/* What is not asked is as the grant has it, but for the network: it is that of the node. */
static enum grant_verdict judge(const struct grant *grant, const struct question *question,
                                const struct node_status *node)
{
    struct grant_use use = {.network = bytes_of_text(node->network),
                            .from = grant->blocks[grant->count - 1].holder,
                            .to = grant->blocks[0].issuer,
                            .action = bytes_of_text(question->action ? question->action : ""),
                            .wall_ms = question->at_ms};
    enum grant_verdict verdict;

    if (question->from)
        id_parse(ID_DUCKLING, bytes_of_text(question->from), &use.from);
    if (question->to)
        id_parse(ID_DUCKLING, bytes_of_text(question->to), &use.to);
    verdict = grant_allows(grant, &use); /* looks at the action last */
    return verdict == GRANT_COVERS_NOT && !question->action ? GRANT_OK : verdict;
}

/* As duck_grant_open takes it: with the end of the line that a file has. */
static struct bytes without_spaces(const char *text)
{
    text += strspn(text, " \t\r\n");
    return bytes_of(text, strcspn(text, " \t\r\n"));
}

/* Nobody is asked: what only the target's node knows, what was revoked and used, is not in it. */
void route_grant_verify(struct exchange *exchange)
{
    struct question question;
    struct node_status node;
    struct grant *grant;
    enum grant_verdict verdict;
    struct duck_grant *read;
    struct bytes text;
    struct arena arena;
    json_t *object;
    uint8_t *data;
    size_t size;

    if (!read_question(exchange, &question))
        return;
    node_link_status(exchange->gateway->node, &node);
    text = without_spaces(question.grant);
    data = arena_take(&exchange->arena, text.size + 1);
    grant = arena_take(&exchange->arena, sizeof *grant);
    if (!data || !grant ||
        sodium_base642bin(data, text.size + 1, (const char *)text.data, text.size, NULL, &size,
                          NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0) {
        form_refuse(exchange, "bad_member", "grant", "a grant is base64url without padding");
        return;
    }
    arena_init(&arena, SIZE_MAX); /* the text is bounded, and so is what it opens to */
    verdict = grant_open(bytes_of(data, size), &arena, grant, NULL);
    read = verdict == GRANT_OK ? duck_grant_open(question.grant, NULL) : NULL;
    if (verdict == GRANT_OK)
        verdict = judge(grant, &question, &node);
    object = json_object();
    json_object_set_new(object, "valid", json_boolean(verdict == GRANT_OK));
    if (verdict != GRANT_OK) {
        reply_word(object, "reason", grant_verdict_name(verdict));
        reply_word(object, "detail", grant_verdict_text(verdict));
    }
    reply_date(object, "at", question.at_ms);
    if (read)
        put_grant(object, read);
    duck_grant_free(read);
    arena_free(&arena);
    exchange_answer(exchange, 200, object);
}

/* ---- revoked ---- */

static void tell_revoked(struct exchange *exchange)
{
    json_t *object = json_object();

    reply_word(object, "block_id", exchange->work);
    reply_word(object, "status", "revoked");
    exchange_answer(exchange, 200, object);
}

static void tell_revocation_sent(struct exchange *exchange)
{
    const Duck__PeckView *peck = exchange->reply->peck;
    json_t *object = json_object();

    reply_word(object, "block_id", exchange->work);
    reply_word(object, "status", "sent");
    reply_word(object, "peck_id", peck->peck_id);
    exchange_answer(exchange, 202, object);
}

/* Which block of it: the one that is named, or the last that this duckling signed; of its own ducklings' grants the
 * target ends any. False: refused. */
static bool choose_block(struct exchange *exchange, const struct duck_grant *grant,
                         const char *block_id, size_t *number)
{
    struct duck_grant_part whole, part;
    bool is_found = false, is_target;

    duck_grant_whole(grant, &whole);
    is_target = !strcmp(whole.issuer, exchange->acting_text);
    for (size_t i = 0; duck_grant_block(grant, i, &part); i++) {
        bool is_meant =
            block_id ? !strcmp(part.id, block_id) : !strcmp(part.issuer, exchange->acting_text);

        if (!is_meant)
            continue;
        if (!is_target && strcmp(part.issuer, exchange->acting_text) != 0) {
            exchange_say_no(exchange, 403, "not_allowed", "block_id",
                            "this block is another's: who signed it takes it back, or the target");
            return false;
        }
        *number = i;
        is_found = true;
        exchange->work = (void *)(uintptr_t)exchange_copy(exchange, bytes_of_text(part.id));
    }
    if (is_found)
        return true;
    if (block_id)
        exchange_say_no(exchange, 404, "not_found", "block_id", "the grant has no such block");
    else
        exchange_say_no(exchange, 403, "not_allowed", "grant",
                        "this duckling signed no block of the grant");
    return false;
}

static void order_revocation(struct exchange *exchange, const char *target, struct bytes wire)
{
    Duck__GrantRevokeOrder order = DUCK__GRANT_REVOKE_ORDER__INIT;
    Duck__SendOrder send = DUCK__SEND_ORDER__INIT;
    Duck__Request request = DUCK__REQUEST__INIT;

    if (!strcmp(target, exchange->acting_text)) {
        order.duckling = exchange->acting_text;
        order.grant = lent(wire);
        request.order_case = DUCK__REQUEST__ORDER_REVOKE_GRANT;
        request.revoke_grant = &order;
        exchange_call(exchange, &request, DUCK__REPLY__ANSWER_DONE, 0, tell_revoked);
        return;
    }
    send.from = exchange->acting_text;
    send.to = (char *)(uintptr_t)target;
    send.kind = PECK_ACTION;
    send.action = lent(bytes_of_text(GRANT_REVOKE_ACTION));
    send.payload = lent(bytes_of_text("{}"));
    send.grant = lent(wire);
    send.expires_in_ms = PECK_LIFE_MAX_MS;
    request.order_case = DUCK__REQUEST__ORDER_SEND;
    request.send = &send;
    exchange_call(exchange, &request, DUCK__REPLY__ANSWER_PECK, 0, tell_revocation_sent);
}

void route_grant_revoke(struct exchange *exchange)
{
    struct duck_grant *grant;
    struct duck_grant_part whole;
    const char *block_id = NULL;
    struct grant *opened;
    struct arena arena;
    size_t number = 0, size;
    const void *data;

    if (!exchange_acting(exchange, true) ||
        !form_id(exchange, "block_id", FORM_OPTIONAL, ID_GRANT, &block_id))
        return;
    grant = grant_of_body(exchange);
    if (!grant)
        return;
    arena_init(&arena, SIZE_MAX);
    opened = arena_take(&arena, sizeof *opened);
    duck_grant_whole(grant, &whole);
    data = duck_grant_bytes(grant, &size);
    if (!opened || grant_open(bytes_of(data, size), &arena, opened, NULL) != GRANT_OK)
        form_refuse(exchange, "bad_member", "grant", "it does not open");
    else if (choose_block(exchange, grant, block_id, &number))
        order_revocation(exchange, whole.issuer, grant_cut(opened, number + 1, &arena));
    arena_free(&arena);
    duck_grant_free(grant);
}
