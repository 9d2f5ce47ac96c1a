/* A password that was forgotten is set anew, by a code. */
#include "accounts_parts.h"

/* A stranger gets a code in the store and a letter without it: the same work, the same time. */
static int lay_reset_code(struct accounts *accounts, struct order *order)
{
    struct gate_operator operator_row;
    struct gate_code code;
    bool allowed, found = false;
    int fault = code_share(accounts, order, GATE_CODE_RESET, &allowed);

    order->result.expires_ms = accounts_wall_ms(accounts) + CODE_LIFE_MS;
    if (fault || !allowed || order->result.verdict != ACCOUNTS_TAKEN)
        return fault;
    fault = code_make(accounts, order, GATE_CODE_RESET, &code);
    if (!fault)
        fault = gate_code_set(accounts->store, &code);
    if (!fault)
        fault = gate_operator_find(accounts->store, order->lookup, &operator_row, &found);
    order->operator_id = !fault && found ? operator_row.operator_id : 0;
    return fault;
}

bool order_forgot(struct accounts *accounts, struct order *order)
{
    bool mailed;

    if (!given_email(order) || !order_in_transaction(accounts, order, lay_reset_code) ||
        !order->code[0])
        return true;
    mailed = order_mail(accounts, order, order->operator_id ? LETTER_RESET : LETTER_RESET_STRANGER);
    return mailed || order_unmailed(order);
}

static int judge_reset(struct accounts *accounts, struct order *order)
{
    struct gate_operator operator_row = {0};
    struct gate_code code;
    bool is_operator, good;
    int fault =
        code_judge(accounts, order, GATE_CODE_RESET, &code, &operator_row, &is_operator, &good);

    if (fault || !good)
        return fault;
    if (!is_operator)
        order_verdict(order, ACCOUNTS_BAD_CODE);
    return 0;
}

static int set_password(struct accounts *accounts, struct order *order)
{
    struct gate_operator operator_row = {0};
    struct gate_code code;
    bool is_operator, good;
    int fault =
        code_judge(accounts, order, GATE_CODE_RESET, &code, &operator_row, &is_operator, &good);

    if (fault || !good)
        return fault;
    if (!is_operator) {
        order_verdict(order, ACCOUNTS_BAD_CODE);
        return 0;
    }
    order->result.operator_id = operator_row.operator_id;
    fault =
        gate_operator_set_password(accounts->store, operator_row.operator_id, order->password_hash);
    if (!fault)
        fault = gate_operator_set_failures(accounts->store, operator_row.operator_id, 0);
    if (!fault)
        fault = gate_sessions_drop(accounts->store, operator_row.operator_id);
    if (!fault)
        fault = gate_code_drop(accounts->store, order->lookup, GATE_CODE_RESET, 0);
    return fault;
}

bool order_reset(struct accounts *accounts, struct order *order)
{
    if (order->second_half) {
        if (order->password_hash[0])
            order_in_transaction(accounts, order, set_password);
        else
            order_verdict(order, ACCOUNTS_FAULT);
        return true;
    }
    if (!given_email(order) || !given_password(order))
        return true;
    if (!order->password) {
        order_verdict(order, ACCOUNTS_PASSWORD_MISSING);
        return true;
    }
    if (!code_is_text(order->secret.text))
        order->secret.text[0] = '\0';
    if (!order_in_transaction(accounts, order, judge_reset))
        return true;
    return !order_hash_password(accounts, order) && order_busy(order, BUSY_RETRY_S);
}
