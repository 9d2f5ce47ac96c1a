/* The reads of accounts: bearers, lists and counts, from any thread. */
#include "account_erasure.h"
#include "account_sessions.h"
#include "accounts_parts.h"

#include "core/bytes.h"

#include <sodium.h>
#include <stdio.h>

#define BEARER_PREFIX_SIZE 6
#define BEARER_SECRET_SIZE 32

static const char *const bearer_prefixes[] = {
    [ACCESS_SESSION] = "sd_st_", [ACCESS_BEAK_KEY] = "sd_bk_"};

const char *access_verdict_text(enum access_verdict verdict)
{
    switch (verdict) {
    case ACCESS_TAKEN:
        return "taken";
    case ACCESS_MALFORMED:
        return "the bearer is neither a beak key (sd_bk_…) nor a session token (sd_st_…)";
    case ACCESS_UNKNOWN:
        return "the bearer is not known, or was ended";
    case ACCESS_EXPIRED:
        return "the session is over: authenticate again";
    case ACCESS_FAULT:
        return "the gateway's store does not answer";
    }
    return "unknown verdict";
}

static bool is_secret_text(const char *text)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    return strspn(text, alphabet) == strlen(text);
}

static void mask(const char text[BEARER_TEXT_SIZE], char masked[BEARER_MASKED_SIZE])
{
    /* Four of 43 characters: enough to tell one's keys apart. */
    snprintf(masked, BEARER_MASKED_SIZE, "%.8s…%s", text, text + BEARER_TEXT_SIZE - 3);
}

void bearer_make(const struct accounts *accounts, enum access_kind kind,
                 char text[BEARER_TEXT_SIZE], struct gate_bearer *row)
{
    uint8_t secret[BEARER_SECRET_SIZE];

    randombytes_buf(secret, sizeof secret);
    memcpy(text, bearer_prefixes[kind], BEARER_PREFIX_SIZE);
    sodium_bin2base64(text + BEARER_PREFIX_SIZE, BEARER_TEXT_SIZE - BEARER_PREFIX_SIZE, secret,
                      sizeof secret, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(secret, sizeof secret);
    *row = (struct gate_bearer){.kind = kind};
    gate_key_hash(&accounts->key, "bearer", "", text, row->hash);
    mask(text, row->masked);
}

bool bearer_hash(const struct accounts *accounts, const char *text, enum access_kind *kind,
                 uint8_t hash[GATE_HASH_SIZE])
{
    if (strnlen(text, BEARER_TEXT_SIZE) != BEARER_TEXT_SIZE - 1)
        return false;
    if (strncmp(text, bearer_prefixes[ACCESS_SESSION], BEARER_PREFIX_SIZE) == 0)
        *kind = ACCESS_SESSION;
    else if (strncmp(text, bearer_prefixes[ACCESS_BEAK_KEY], BEARER_PREFIX_SIZE) == 0)
        *kind = ACCESS_BEAK_KEY;
    else
        return false;
    if (!is_secret_text(text + BEARER_PREFIX_SIZE))
        return false;
    gate_key_hash(&accounts->key, "bearer", "", text, hash);
    return true;
}

static size_t touched_place(const uint8_t hash[GATE_HASH_SIZE])
{
    return (size_t)(hash[8] << 8 | hash[9]) % TOUCHED_SIZE;
}

/* Used a moment ago but not yet written: counts as used. With the reader's lock held. */
static uint64_t last_use(const struct accounts *accounts, const struct gate_bearer *row)
{
    size_t place = touched_place(row->hash);

    if (sodium_memcmp(accounts->touched[place].bearer, row->hash, GATE_HASH_SIZE) == 0 &&
        accounts->touched[place].at_ms > row->used_ms)
        return accounts->touched[place].at_ms;
    return row->used_ms;
}

/* One write a minute for each bearer in use, not one for each request. */
static bool needs_touch(struct accounts *accounts, const struct gate_bearer *row, uint64_t now_ms)
{
    size_t place = touched_place(row->hash);

    if (now_ms < last_use(accounts, row) + TOUCH_EVERY_MS)
        return false;
    memcpy(accounts->touched[place].bearer, row->hash, GATE_HASH_SIZE);
    accounts->touched[place].at_ms = now_ms;
    return true;
}

static void touch(struct accounts *accounts, const uint8_t hash[GATE_HASH_SIZE])
{
    struct order *order = order_new(ORDER_TOUCH, NULL, NULL);

    memcpy(order->bearer, hash, GATE_HASH_SIZE);
    if (!accounts_give(accounts, order))
        accounts_complain(accounts, "a use was not noted: too many orders", 0);
}

static uint64_t earlier(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

static enum access_verdict judge(const struct accounts *accounts, const struct gate_bearer *row,
                                 uint64_t now_ms, struct access *access)
{
    uint64_t expires_ms = UINT64_MAX;

    if (row->kind == ACCESS_SESSION) {
        uint64_t idle_ms = last_use(accounts, row) + SESSION_IDLE_MS;
        if (now_ms >= earlier(idle_ms, row->ends_ms))
            return ACCESS_EXPIRED;
        expires_ms = earlier(now_ms + SESSION_IDLE_MS, row->ends_ms);
    }
    *access = (struct access){.kind = row->kind,
                              .operator_id = row->operator_id,
                              .duckling = row->duckling,
                              .session = row->kind == ACCESS_SESSION ? row->lookup : 0,
                              .began_ms = row->created_ms,
                              .expires_ms = expires_ms};
    return ACCESS_TAKEN;
}

enum access_verdict access_find(struct accounts *accounts, const char *bearer,
                                struct access *access)
{
    uint64_t now_ms = accounts_wall_ms(accounts);
    enum access_verdict verdict = ACCESS_UNKNOWN;
    uint8_t hash[GATE_HASH_SIZE];
    enum access_kind kind;
    struct gate_bearer row;
    bool found, touches = false;
    int fault;

    if (!bearer_hash(accounts, bearer, &kind, hash))
        return ACCESS_MALFORMED;
    pthread_mutex_lock(&accounts->reader_lock);
    fault = gate_bearer_find(accounts->reader, hash, &row, &found);
    if (!fault && found)
        verdict = judge(accounts, &row, now_ms, access);
    if (!fault && verdict == ACCESS_TAKEN)
        touches = needs_touch(accounts, &row, now_ms);
    pthread_mutex_unlock(&accounts->reader_lock);
    if (fault)
        accounts_complain(accounts, "a bearer cannot be looked up", fault);
    if (touches)
        touch(accounts, hash);
    return fault ? ACCESS_FAULT : verdict;
}

size_t accounts_ducklings(struct accounts *accounts, uint64_t operator_id,
                          struct accounts_duckling *ducklings, size_t max)
{
    size_t count;
    int fault;

    pthread_mutex_lock(&accounts->reader_lock);
    fault = gate_ducklings_list(accounts->reader, operator_id, ducklings, max, &count);
    pthread_mutex_unlock(&accounts->reader_lock);
    if (fault)
        accounts_complain(accounts, "ducklings cannot be listed", fault);
    return fault ? 0 : count;
}

bool accounts_owns(struct accounts *accounts, uint64_t operator_id, const struct id *duckling)
{
    struct gate_duckling row;
    bool found;
    int fault;

    pthread_mutex_lock(&accounts->reader_lock);
    fault = gate_duckling_find(accounts->reader, duckling, &row, &found);
    pthread_mutex_unlock(&accounts->reader_lock);
    if (fault)
        accounts_complain(accounts, "a duckling cannot be looked up", fault);
    return !fault && found && row.operator_id == operator_id;
}

const char *accounts_trouble(struct accounts *accounts)
{
    int fault = gate_store_trouble();

    if (!fault)
        return NULL;
    (void)accounts_give(accounts,
                        order_new(ORDER_TRY, NULL, NULL)); /* too many others are a try, too */
    return fault == GATE_FAULT_DISK_FULL
               ? "the disk of the gateway is full: nothing can be kept"
               : "the database of the gateway cannot be read or written: nothing can be kept";
}

struct accounts_counts accounts_count(struct accounts *accounts)
{
    struct accounts_counts counts = {0};
    uint64_t now_ms = accounts_wall_ms(accounts);
    int fault;

    pthread_mutex_lock(&accounts->reader_lock);
    fault = gate_store_count(accounts->reader, now_ms, &counts);
    pthread_mutex_unlock(&accounts->reader_lock);
    if (fault)
        accounts_complain(accounts, "accounts cannot be counted", fault);
    return counts;
}

size_t accounts_sessions(struct accounts *accounts, uint64_t operator_id,
                         struct accounts_session *sessions, size_t max)
{
    uint64_t now_ms = accounts_wall_ms(accounts);
    struct gate_bearer rows[SESSIONS_PER_OPERATOR_MAX];
    size_t found, count = 0;
    int fault;

    pthread_mutex_lock(&accounts->reader_lock);
    fault =
        gate_sessions_list(accounts->reader, operator_id, rows, SESSIONS_PER_OPERATOR_MAX, &found);
    for (size_t i = 0; !fault && i < found && count < max; i++) {
        struct access access;
        if (judge(accounts, &rows[i], now_ms, &access) != ACCESS_TAKEN)
            continue;
        sessions[count++] = (struct accounts_session){
            .session = access.session,
            .way = rows[i].way,
            .began_ms = rows[i].created_ms,
            .used_ms = last_use(accounts, &rows[i]),
            .ends_ms = earlier(last_use(accounts, &rows[i]) + SESSION_IDLE_MS, rows[i].ends_ms)};
    }
    pthread_mutex_unlock(&accounts->reader_lock);
    if (fault)
        accounts_complain(accounts, "sessions cannot be listed", fault);
    return count;
}

size_t accounts_passkeys(struct accounts *accounts, uint64_t operator_id,
                         struct accounts_passkey *passkeys, size_t max)
{
    size_t count = 0;
    int fault;

    pthread_mutex_lock(&accounts->reader_lock);
    fault = gate_passkeys_list(accounts->reader, operator_id, passkeys, max, &count);
    pthread_mutex_unlock(&accounts->reader_lock);
    if (fault)
        accounts_complain(accounts, "passkeys cannot be listed", fault);
    return fault ? 0 : count;
}

bool accounts_about(struct accounts *accounts, uint64_t operator_id,
                    struct accounts_operator *about)
{
    bool found;
    int fault;

    pthread_mutex_lock(&accounts->reader_lock);
    fault =
        gate_store_about(accounts->reader, operator_id, accounts_wall_ms(accounts), about, &found);
    pthread_mutex_unlock(&accounts->reader_lock);
    if (fault)
        accounts_complain(accounts, "an operator cannot be looked up", fault);
    if (fault || !found)
        return false;
    about->letters_waiting = mail_waiting(accounts->mail, about->email);
    return true;
}
