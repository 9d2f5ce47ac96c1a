/* Passkeys of operators: challenge, add, sign in, drop. */
#include "accounts_parts.h"

#include "core/bytes.h"

#include <sodium.h>
#include <stdio.h>

#define PURPOSE_SIZE 48
#define SAID_MAX (PASSKEY_CREDENTIAL_MAX + PASSKEY_CLIENT_MAX + 2 * PASSKEY_SAID_MAX)
#define CHALLENGES_RETRY_S 60

static const char *purpose_of(uint64_t operator_id, char purpose[PURPOSE_SIZE])
{
    if (operator_id)
        snprintf(purpose, PURPOSE_SIZE, "passkey of %llu", (unsigned long long)operator_id);
    else
        snprintf(purpose, PURPOSE_SIZE, "sign in");
    return purpose;
}

void accounts_passkey_challenge(struct accounts *accounts, uint64_t operator_id,
                                uint8_t challenge[CHALLENGE_SIZE])
{
    char purpose[PURPOSE_SIZE];

    challenges_make(accounts->challenges, purpose_of(operator_id, purpose),
                    accounts_wall_ms(accounts), challenge);
}

/* Section 14.6.1: a handle has nothing personal in it. Ids of operators are never given again. */
void accounts_passkey_user(struct accounts *accounts, uint64_t operator_id,
                           uint8_t handle[PASSKEY_USER_SIZE])
{
    uint8_t hash[GATE_HASH_SIZE];
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)operator_id);
    gate_key_hash(&accounts->key, "passkey user", "", text, hash);
    memcpy(handle, hash, PASSKEY_USER_SIZE);
}

const struct passkey_place *accounts_passkey_place(const struct accounts *accounts)
{
    return &accounts->place;
}

static uint64_t lookup_of(const struct accounts *accounts, struct bytes credential)
{
    char text[2 * PASSKEY_CREDENTIAL_MAX + 1];
    uint8_t hash[GATE_HASH_SIZE];
    uint64_t lookup = 0;

    sodium_bin2hex(text, sizeof text, credential.data, credential.size);
    gate_key_hash(&accounts->key, "passkey", "", text, hash);
    for (size_t i = 0; i < sizeof lookup; i++)
        lookup = lookup << 8 | hash[i];
    return lookup;
}

/* ---- what was said ---- */

static struct bytes keep(uint8_t **at, struct bytes given)
{
    struct bytes kept = bytes_of(*at, given.size);

    if (given.size)
        memcpy(*at, given.data, given.size);
    *at += given.size;
    return kept;
}

/* NULL: more than any authenticator says. */
static struct passkey_said *copy_said(const struct passkey_said *said)
{
    size_t size = said->credential.size + said->client_data.size + said->attestation.size +
                  said->authenticator_data.size + said->signature.size + said->handle.size;
    struct passkey_said *copy;
    uint8_t *at;

    if (size > SAID_MAX || said->credential.size > PASSKEY_CREDENTIAL_MAX)
        return NULL;
    copy = memory_take(sizeof *copy + size);
    at = (uint8_t *)(copy + 1);
    copy->credential = keep(&at, said->credential);
    copy->client_data = keep(&at, said->client_data);
    copy->attestation = keep(&at, said->attestation);
    copy->authenticator_data = keep(&at, said->authenticator_data);
    copy->signature = keep(&at, said->signature);
    copy->handle = keep(&at, said->handle);
    return copy;
}

static bool refuse(struct order *order, enum passkey_verdict verdict)
{
    order_verdict(order, ACCOUNTS_BAD_PASSKEY);
    order->result.reason = passkey_verdict_text(verdict);
    return false;
}

/* What the client says it was asked, and whether that was us. */
static bool judge_client(struct accounts *accounts, struct order *order, enum passkey_use use,
                         uint8_t challenge[PASSKEY_CHALLENGE_MAX], size_t *size)
{
    char purpose[PURPOSE_SIZE];
    enum passkey_verdict verdict;

    if (!order->said)
        return refuse(order, PASSKEY_MALFORMED);
    verdict = passkey_read_client(&accounts->place, use, order->said->client_data, challenge, size);
    if (verdict == PASSKEY_TAKEN &&
        challenges_judge(accounts->challenges, purpose_of(order->operator_id, purpose),
                         bytes_of(challenge, *size), accounts_wall_ms(accounts)) != CHALLENGE_TAKEN)
        verdict = PASSKEY_BAD_CHALLENGE;
    return verdict == PASSKEY_TAKEN || refuse(order, verdict);
}

/* When all else holds: what does not hold now will not hold later either, so only what does is kept. */
static bool spend(struct accounts *accounts, struct order *order, struct bytes challenge)
{
    char purpose[PURPOSE_SIZE];

    switch (challenges_spend(accounts->challenges, purpose_of(order->operator_id, purpose),
                             challenge, accounts_wall_ms(accounts))) {
    case CHALLENGE_TAKEN:
        return true;
    case CHALLENGE_FULL:
        order_busy(order, CHALLENGES_RETRY_S);
        return false;
    case CHALLENGE_FOREIGN:
    case CHALLENGE_OVER:
    case CHALLENGE_SPENT:
        break;
    }
    return refuse(order, PASSKEY_BAD_CHALLENGE);
}

/* ---- add ---- */

static int judge_new(struct accounts *accounts, struct order *order, struct gate_passkey *row)
{
    struct accounts_passkey listed[PASSKEYS_PER_OPERATOR_MAX];
    struct gate_passkey other;
    size_t count = 0;
    bool found;
    int fault = gate_passkey_find(accounts->store, row->lookup, &other, &found);

    if (!fault && found)
        order_verdict(order, ACCOUNTS_PASSKEY_KNOWN);
    if (!fault && !found)
        fault = gate_passkeys_list(accounts->store, order->operator_id, listed,
                                   PASSKEYS_PER_OPERATOR_MAX, &count);
    if (count >= PASSKEYS_PER_OPERATOR_MAX)
        order_verdict(order, ACCOUNTS_PASSKEYS_FULL);
    return fault;
}

static int add_passkey(struct accounts *accounts, struct order *order)
{
    struct gate_passkey row = {.operator_id = order->operator_id,
                               .key = *order->passkey,
                               .created_ms = accounts_wall_ms(accounts)};
    struct gate_operator operator_row;
    bool found;
    int fault = gate_operator_get(accounts->store, order->operator_id, &operator_row, &found);

    if (fault)
        return fault;
    if (!found) {
        order_verdict(order, ACCOUNTS_NOT_FOUND);
        return 0;
    }
    row.lookup = order->result.passkey =
        lookup_of(accounts, bytes_of(row.key.credential, row.key.credential_size));
    memcpy(row.name, order->display_name.text, sizeof row.name);
    memcpy(order->email.text, operator_row.email, sizeof operator_row.email);
    fault = judge_new(accounts, order, &row);
    return fault || order->result.verdict != ACCOUNTS_TAKEN
               ? fault
               : gate_passkey_add(accounts->store, &row);
}

bool order_add_passkey(struct accounts *accounts, struct order *order)
{
    uint8_t challenge[PASSKEY_CHALLENGE_MAX];
    struct passkey_key key = {.counter = 0};
    enum passkey_verdict verdict;
    size_t size;

    if (!given_name(order) || !judge_client(accounts, order, PASSKEY_CREATE, challenge, &size))
        return true;
    verdict =
        passkey_open(&accounts->place, order->said->client_data, order->said->attestation, &key);
    if (verdict != PASSKEY_TAKEN) {
        refuse(order, verdict);
        return true;
    }
    order->passkey = &key;
    if (spend(accounts, order, bytes_of(challenge, size)) &&
        order_in_transaction(accounts, order, add_passkey) &&
        !order_mail(accounts, order, LETTER_PASSKEY))
        accounts_complain(accounts, "an operator could not be told of a passkey", GATE_FAULT_MAIL);
    order->passkey = NULL;
    return true;
}

/* ---- sign in ---- */

static bool is_its_handle(struct accounts *accounts, uint64_t operator_id, struct bytes handle)
{
    uint8_t ours[PASSKEY_USER_SIZE];

    accounts_passkey_user(accounts, operator_id, ours);
    return handle.size == 0 || bytes_equal(handle, bytes_of(ours, sizeof ours));
}

static int judge_assertion(struct accounts *accounts, struct order *order)
{
    struct bytes credential = order->said->credential;
    enum passkey_verdict verdict = PASSKEY_BAD_SIGNATURE;
    uint32_t counter = 0;
    struct gate_passkey row;
    bool found;
    int fault = gate_passkey_find(accounts->store, lookup_of(accounts, credential), &row, &found);

    if (fault)
        return fault;
    if (found && bytes_equal(credential, bytes_of(row.key.credential, row.key.credential_size)) &&
        is_its_handle(accounts, row.operator_id, order->said->handle))
        verdict = passkey_prove(&accounts->place, &row.key, order->said->client_data,
                                order->said->authenticator_data, order->said->signature, &counter);
    if (verdict != PASSKEY_TAKEN) {
        refuse(order, verdict);
        return 0;
    }
    if (!spend(accounts, order, order->challenge))
        return 0;
    fault = gate_passkey_used(accounts->store, row.lookup, counter, accounts_wall_ms(accounts));
    return fault ? fault : session_begin(accounts, order, row.operator_id, ACCESS_BY_PASSKEY);
}

bool order_auth_by_passkey(struct accounts *accounts, struct order *order)
{
    uint8_t challenge[PASSKEY_CHALLENGE_MAX];
    size_t size;

    if (!judge_client(accounts, order, PASSKEY_GET, challenge, &size))
        return true;
    order->challenge = bytes_of(challenge, size);
    order_in_transaction(accounts, order, judge_assertion);
    order->challenge = bytes_of(NULL, 0);
    return true;
}

/* ---- drop ---- */

static int drop_passkey(struct accounts *accounts, struct order *order)
{
    uint64_t dropped = 0;
    int fault = gate_passkey_drop(accounts->store, order->operator_id, order->number, &dropped);

    if (!fault && dropped == 0)
        order_verdict(order, ACCOUNTS_NOT_FOUND);
    return fault;
}

bool order_drop_passkey(struct accounts *accounts, struct order *order)
{
    order_in_transaction(accounts, order, drop_passkey);
    return true;
}

/* ---- the orders, as they are given ---- */

bool accounts_add_passkey(struct accounts *accounts, uint64_t operator_id, const char *name,
                          const struct passkey_said *said, accounts_done *done, void *context)
{
    struct order *order = order_new(ORDER_ADD_PASSKEY, done, context);

    order->operator_id = operator_id;
    order_take(&order->display_name, name);
    order->said = copy_said(said);
    return accounts_give(accounts, order);
}

bool accounts_auth_by_passkey(struct accounts *accounts, const struct passkey_said *said,
                              accounts_done *done, void *context)
{
    struct order *order = order_new(ORDER_AUTH_BY_PASSKEY, done, context);

    order->said = copy_said(said);
    return accounts_give(accounts, order);
}

bool accounts_drop_passkey(struct accounts *accounts, uint64_t operator_id, uint64_t passkey,
                           accounts_done *done, void *context)
{
    struct order *order = order_new(ORDER_DROP_PASSKEY, done, context);

    order->operator_id = operator_id;
    order->number = passkey;
    return accounts_give(accounts, order);
}
