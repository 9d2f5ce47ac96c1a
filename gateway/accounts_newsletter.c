/* The newsletter: asked for, confirmed by a code, ended by a token. */
#include "account_newsletter.h"
#include "accounts_parts.h"

#include "core/bytes.h"

#include <sodium.h>

/* For ever the same for an address: whoever writes the newsletter can put it into each issue. */
static void make_token(const struct gate_key *key, const char *lookup,
                       char token[UNSUBSCRIBE_TEXT_SIZE])
{
    uint8_t hash[GATE_HASH_SIZE];

    gate_key_hash(key, "unsubscribe", lookup, "", hash);
    sodium_bin2base64(token, UNSUBSCRIBE_TEXT_SIZE, hash, sizeof hash,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* ---- subscribe ---- */

/* One who has it already is asked again: the same work, the same writes, the same letter. */
static int ask(struct accounts *accounts, struct order *order)
{
    struct gate_subscriber row = {.asked_ms = accounts_wall_ms(accounts)};
    struct gate_code code;
    uint64_t count = 0;
    bool allowed;
    int fault = code_share(accounts, order, GATE_CODE_NEWSLETTER, &allowed);

    order->result.expires_ms = row.asked_ms + CODE_LIFE_MS;
    if (!fault && allowed)
        fault = gate_subscribers_count(accounts->store, &count);
    if (!fault && count >= SUBSCRIBERS_MAX)
        order_busy(order, (uint32_t)(CODE_LIFE_MS / 1000));
    if (fault || !allowed || order->result.verdict != ACCOUNTS_TAKEN)
        return fault;
    memcpy(row.lookup, order->lookup, sizeof row.lookup);
    memcpy(row.email, order->email.text, sizeof row.email);
    fault = gate_subscriber_ask(accounts->store, &row);
    if (!fault)
        fault = code_make(accounts, order, GATE_CODE_NEWSLETTER, &code);
    return fault ? fault : gate_code_set(accounts->store, &code);
}

bool order_subscribe(struct accounts *accounts, struct order *order)
{
    if (!given_email(order) || !order_in_transaction(accounts, order, ask) || !order->code[0])
        return true;
    return order_mail(accounts, order, LETTER_NEWSLETTER) || order_unmailed(order);
}

/* ---- confirm ---- */

static int confirm(struct accounts *accounts, struct order *order)
{
    struct gate_operator operator_row = {0};
    struct gate_subscriber known;
    struct gate_code code;
    bool is_operator, good, found;
    int fault = code_judge(accounts, order, GATE_CODE_NEWSLETTER, &code, &operator_row,
                           &is_operator, &good);

    if (fault || !good)
        return fault;
    fault = gate_subscriber_find(accounts->store, order->lookup, &known, &found);
    if (!fault && !found)
        order_verdict(order, ACCOUNTS_BAD_CODE);
    if (fault || !found)
        return fault;
    make_token(&accounts->key, order->lookup, order->bearer_text);
    order->result.token = order->bearer_text;
    fault = gate_subscriber_confirm(accounts->store, order->lookup, accounts_wall_ms(accounts));
    return fault ? fault : gate_code_drop(accounts->store, order->lookup, GATE_CODE_NEWSLETTER, 0);
}

bool order_confirm(struct accounts *accounts, struct order *order)
{
    _Static_assert(UNSUBSCRIBE_TEXT_SIZE <= BEARER_TEXT_SIZE, "shown from the same place");
    if (!given_email(order))
        return true;
    if (!code_is_text(order->secret.text))
        order->secret.text[0] = '\0'; /* matches nothing, and costs a try like any other */
    order_in_transaction(accounts, order, confirm);
    return true;
}

/* ---- unsubscribe ---- */

static int drop_subscriber(struct accounts *accounts, struct order *order)
{
    return gate_subscriber_drop(accounts->store, order->lookup);
}

bool order_unsubscribe(struct accounts *accounts, struct order *order)
{
    char token[UNSUBSCRIBE_TEXT_SIZE];
    size_t size = strlen(order->secret.text);

    if (!given_email(order))
        return true;
    make_token(&accounts->key, order->lookup, token);
    if (size == sizeof token - 1 && sodium_memcmp(token, order->secret.text, size) == 0)
        order_in_transaction(accounts, order, drop_subscriber);
    else
        order_verdict(order, ACCOUNTS_BAD_TOKEN);
    return true;
}

/* ---- the orders, as they are given ---- */

static struct order *of_address(enum order_kind kind, const char *email, const char *secret,
                                accounts_done *done, void *context)
{
    struct order *order = order_new(kind, done, context);

    order_take(&order->email, email);
    order_take(&order->secret, secret);
    return order;
}

bool accounts_subscribe(struct accounts *accounts, const char *email, const char *source,
                        accounts_done *done, void *context)
{
    struct order *order = of_address(ORDER_SUBSCRIBE, email, NULL, done, context);

    order_take(&order->source, source);
    return accounts_give(accounts, order);
}

bool accounts_confirm(struct accounts *accounts, const char *email, const char *code,
                      accounts_done *done, void *context)
{
    return accounts_give(accounts, of_address(ORDER_CONFIRM, email, code, done, context));
}

bool accounts_unsubscribe(struct accounts *accounts, const char *email, const char *token,
                          accounts_done *done, void *context)
{
    return accounts_give(accounts, of_address(ORDER_UNSUBSCRIBE, email, token, done, context));
}

/* ---- the list ---- */

struct listing {
    struct gate_key key;
    void (*tell)(void *context, const char *email, uint64_t confirmed_ms,
                 const char token[UNSUBSCRIBE_TEXT_SIZE]);
    void *context;
};

static void tell_one(void *context, const struct gate_subscriber *row)
{
    struct listing *listing = context;
    char token[UNSUBSCRIBE_TEXT_SIZE];

    make_token(&listing->key, row->lookup, token);
    listing->tell(listing->context, row->email, row->confirmed_ms, token);
}

int newsletter_list(const char *store_path, const char *key_path,
                    void (*tell)(void *context, const char *email, uint64_t confirmed_ms,
                                 const char token[UNSUBSCRIBE_TEXT_SIZE]),
                    void *context)
{
    struct listing listing = {.tell = tell, .context = context};
    struct gate_store *store = NULL;
    int fault = gate_key_open(key_path, &listing.key);

    if (!fault)
        fault = gate_store_open(&store, store_path);
    if (!fault)
        fault = gate_subscribers_each(store, tell_one, &listing);
    gate_store_close(store);
    gate_key_wipe(&listing.key);
    return fault;
}
