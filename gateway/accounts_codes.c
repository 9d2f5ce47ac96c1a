/* Codes by mail: six digits that prove an address. */
#include "accounts_parts.h"

#include "core/bytes.h"
#include "core/limits.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/socket.h>

static const char *const purposes[] = {[GATE_CODE_HATCH] = "hatch",
                                       [GATE_CODE_RESET] = "reset",
                                       [GATE_CODE_NEWSLETTER] = "newsletter"};

/* The key of the hash, and what it is about. */
static void hash_code(const struct accounts *accounts, const struct order *order,
                      enum gate_code_purpose purpose, const char *text,
                      uint8_t hash[GATE_HASH_SIZE])
{
    gate_key_hash(&accounts->key, purposes[purpose], order->lookup, text, hash);
}

int code_make(struct accounts *accounts, struct order *order, enum gate_code_purpose purpose,
              struct gate_code *code)
{
    struct gate_code other;
    bool is_taken = true;
    int fault = 0;

    *code = (struct gate_code){.purpose = purpose,
                               .tries_left = CODE_TRIES_MAX,
                               .expires_ms = accounts_wall_ms(accounts) + CODE_LIFE_MS};
    memcpy(code->lookup, order->lookup, sizeof code->lookup);
    while (!fault && is_taken) {
        snprintf(order->code, sizeof order->code, "%0*u", CODE_DIGITS,
                 randombytes_uniform(1000000));
        hash_code(accounts, order, purpose, order->code, code->hash);
        fault =
            gate_code_find(accounts->store, order->lookup, purpose, code->hash, &other, &is_taken);
    }
    return fault;
}

/* An IPv6 /64, or an IPv4 address, as a hash: who asks is counted, not known. */
static void hash_source(const struct accounts *accounts, const char *source,
                        uint8_t hash[GATE_HASH_SIZE])
{
    uint8_t address[16] = {0};
    char prefix[2 * sizeof address + 1];
    int family = strchr(source, ':') ? AF_INET6 : AF_INET;

    if (inet_pton(family, source, address) == 1 && family == AF_INET6)
        memset(address + 8, 0, 8);
    sodium_bin2hex(prefix, sizeof prefix, address, sizeof address);
    gate_key_hash(&accounts->key, "source", "", prefix, hash);
}

int code_share(struct accounts *accounts, struct order *order, enum gate_code_purpose purpose,
               bool *allowed)
{
    uint64_t now_ms = accounts_wall_ms(accounts), hour = 0, day = 0, all = 0, own = 0;
    struct gate_mailed mailed = {.purpose = purpose, .at_ms = now_ms};
    int fault;

    memcpy(mailed.lookup, order->lookup, sizeof mailed.lookup);
    if (order->source.text[0])
        hash_source(accounts, order->source.text, mailed.source);
    fault = gate_mailed_count(accounts->store, &mailed, now_ms - HOUR_MS, &hour);
    if (!fault)
        fault = gate_mailed_count(accounts->store, &mailed, now_ms - DAY_MS, &day);
    if (!fault)
        fault = gate_mailed_count_source(accounts->store, &mailed, now_ms - HOUR_MS, &own);
    if (!fault)
        fault = gate_mailed_count(accounts->store, NULL, now_ms - DAY_MS, &all);
    if (!order->source.text[0])
        own = 0;
    *allowed = hour < CODES_PER_HOUR_MAX && day < CODES_PER_DAY_MAX && own < CODES_PER_SOURCE_MAX;
    if (!fault && all >= CODES_MAX) {
        order_busy(order, (uint32_t)(HOUR_MS / SECOND_MS));
        *allowed = false;
    }
    return fault || !*allowed ? fault : gate_mailed_add(accounts->store, &mailed);
}

int code_failed(struct accounts *accounts, const struct gate_operator *operator_row,
                bool is_operator)
{
    if (!is_operator || operator_row->failures >= FAILURES_MAX)
        return gate_stranger_failed(accounts->store);
    return gate_operator_set_failures(accounts->store, operator_row->operator_id,
                                      operator_row->failures + 1);
}

int code_judge(struct accounts *accounts, struct order *order, enum gate_code_purpose purpose,
               struct gate_code *code, struct gate_operator *operator_row, bool *is_operator,
               bool *good)
{
    uint64_t now_ms = accounts_wall_ms(accounts);
    uint8_t hash[GATE_HASH_SIZE];
    bool there;
    int fault;

    *good = false;
    hash_code(accounts, order, purpose, order->secret.text, hash);
    fault = gate_code_find(accounts->store, order->lookup, purpose, hash, code, &there);
    if (!fault)
        fault = gate_operator_find(accounts->store, order->lookup, operator_row, is_operator);
    if (fault)
        return fault;
    *good = there && now_ms < code->expires_ms &&
            !(purpose == GATE_CODE_HATCH && *is_operator && operator_row->failures >= FAILURES_MAX);
    if (*good)
        return 0;
    order_verdict(order, ACCOUNTS_BAD_CODE);
    fault = gate_codes_take_try(accounts->store, order->lookup, purpose);
    if (!fault)
        fault = gate_eggs_drop_lost(accounts->store, order->lookup, now_ms);
    return fault ? fault : code_failed(accounts, operator_row, *is_operator);
}

bool code_is_text(const char *text)
{
    return strlen(text) == CODE_DIGITS && strspn(text, "0123456789") == CODE_DIGITS;
}

bool order_mail(struct accounts *accounts, const struct order *order, enum letter_kind kind)
{
    const struct letter_values values = {.code = order->code, .minutes = CODE_LIFE_MS / MINUTE_MS};
    struct letter_text written;
    struct mail_letter letter = {.to = order->email.text,
                                 .subject = written.subject,
                                 .text = written.text,
                                 .life_ms = order->code[0] ? CODE_LIFE_MS : 0};
    bool taken;

    letters_write(accounts->letters, kind, &values, &written);
    taken = mail_give(accounts->mail, &letter);
    sodium_memzero(&written, sizeof written);
    return taken;
}
