/* In and out: sessions of operators. */
#include "account_sessions.h"
#include "accounts_parts.h"

#include "core/bytes.h"

static int list_ids(struct accounts *accounts, struct order *order)
{
    struct accounts_duckling *listed = memory_take(DUCKLINGS_PER_OPERATOR_MAX * sizeof *listed);
    size_t count;
    int fault = gate_ducklings_list(accounts->store, order->result.operator_id, listed,
                                    DUCKLINGS_PER_OPERATOR_MAX, &count);

    order->ducklings = memory_take((count + 1) * sizeof *order->ducklings);
    for (size_t i = 0; i < count; i++)
        order->ducklings[i] = listed[i].duckling;
    order->result.ducklings = order->ducklings;
    order->result.duckling_count = count;
    memory_give_back(listed);
    return fault;
}

int session_begin(struct accounts *accounts, struct order *order, uint64_t operator_id,
                  enum access_way way)
{
    uint64_t now_ms = accounts_wall_ms(accounts);
    struct gate_bearer bearer;
    int fault =
        way == ACCESS_BY_PASSWORD ? gate_operator_set_failures(accounts->store, operator_id, 0) : 0;

    bearer_make(accounts, ACCESS_SESSION, order->bearer_text, &bearer);
    bearer.operator_id = operator_id;
    bearer.way = way;
    bearer.created_ms = bearer.used_ms = now_ms;
    bearer.ends_ms = now_ms + SESSION_LIFE_MAX_MS;
    if (!fault)
        fault = gate_sessions_thin(accounts->store, operator_id, SESSIONS_PER_OPERATOR_MAX - 1);
    if (!fault)
        fault = gate_bearer_add(accounts->store, &bearer);
    order->result.operator_id = operator_id;
    order->result.token = order->bearer_text;
    order->result.expires_ms = now_ms + SESSION_IDLE_MS;
    return fault ? fault : list_ids(accounts, order);
}

static int judge_credentials(struct accounts *accounts, struct order *order)
{
    struct gate_operator operator_row = {0};
    bool found;
    int fault = gate_operator_find(accounts->store, order->lookup, &operator_row, &found);

    if (fault)
        return fault;
    /* A password that was changed meanwhile is not the one that was judged. */
    if (found && order->password_matches && operator_row.failures < FAILURES_MAX &&
        strcmp(operator_row.password_hash, order->judged_against) == 0)
        return session_begin(accounts, order, operator_row.operator_id, ACCESS_BY_PASSWORD);
    order_verdict(order, ACCOUNTS_BAD_CREDENTIALS);
    order->locks = found && operator_row.failures + 1 == FAILURES_MAX;
    return code_failed(accounts, &operator_row, found);
}

static void tell_of_lock(struct accounts *accounts, const struct order *order)
{
    if (!order_mail(accounts, order, LETTER_LOCKED))
        accounts_complain(accounts, "an operator could not be told of a lock", GATE_FAULT_MAIL);
}

bool order_auth(struct accounts *accounts, struct order *order)
{
    struct gate_operator operator_row;
    bool found;
    int fault;

    if (order->second_half) {
        order_in_transaction(accounts, order, judge_credentials);
        if (order->result.verdict == ACCOUNTS_BAD_CREDENTIALS && order->locks)
            tell_of_lock(accounts, order);
        return true;
    }
    if (!given_email(order))
        return true;
    if (!order->password || strlen(order->password) > PASSWORD_MAX) {
        order_verdict(order,
                      order->password ? ACCOUNTS_PASSWORD_TOO_LONG : ACCOUNTS_PASSWORD_MISSING);
        return true;
    }
    fault = gate_operator_find(accounts->store, order->lookup, &operator_row, &found);
    if (fault) {
        accounts_complain(accounts, gate_store_complaint(accounts->store), fault);
        order_verdict(order, ACCOUNTS_FAULT);
        return true;
    }
    if (found)
        memcpy(order->judged_against, operator_row.password_hash, sizeof order->judged_against);
    if (order_judge_password(accounts, order))
        return false;
    return order_busy(order, BUSY_RETRY_S);
}

static int end_bearer(struct accounts *accounts, struct order *order)
{
    struct gate_bearer row;
    bool found;
    int fault = gate_bearer_find(accounts->store, order->bearer, &row, &found);

    if (fault)
        return fault;
    if (!found || row.kind != ACCESS_SESSION) {
        order_verdict(order, ACCOUNTS_NOT_FOUND);
        return 0;
    }
    return gate_bearer_drop(accounts->store, order->bearer);
}

bool order_logout(struct accounts *accounts, struct order *order)
{
    enum access_kind kind;

    if (bearer_hash(accounts, order->secret.text, &kind, order->bearer))
        order_in_transaction(accounts, order, end_bearer);
    else
        order_verdict(order, ACCOUNTS_NOT_FOUND);
    return true;
}

static int note_use(struct accounts *accounts, struct order *order)
{
    return gate_bearer_touch(accounts->store, order->bearer, accounts_wall_ms(accounts));
}

bool order_touch(struct accounts *accounts, struct order *order)
{
    order_in_transaction(accounts, order, note_use);
    return true;
}

/* ---- what is open ---- */

static int end_numbered(struct accounts *accounts, struct order *order)
{
    uint64_t ended = 0;
    int fault = gate_session_end(accounts->store, order->operator_id, order->number, &ended);

    if (!fault && ended == 0)
        order_verdict(order, ACCOUNTS_NOT_FOUND);
    return fault;
}

bool order_end_session(struct accounts *accounts, struct order *order)
{
    order_in_transaction(accounts, order, end_numbered);
    return true;
}

static int end_all_but(struct accounts *accounts, struct order *order)
{
    return gate_sessions_end_others(accounts->store, order->operator_id, order->number);
}

bool order_end_others(struct accounts *accounts, struct order *order)
{
    order_in_transaction(accounts, order, end_all_but);
    return true;
}

static struct order *numbered(enum order_kind kind, uint64_t operator_id, uint64_t number,
                              accounts_done *done, void *context)
{
    struct order *order = order_new(kind, done, context);

    order->operator_id = operator_id;
    order->number = number;
    return order;
}

bool accounts_end_session(struct accounts *accounts, uint64_t operator_id, uint64_t session,
                          accounts_done *done, void *context)
{
    return accounts_give(accounts,
                         numbered(ORDER_END_SESSION, operator_id, session, done, context));
}

bool accounts_end_others(struct accounts *accounts, uint64_t operator_id, uint64_t session,
                         accounts_done *done, void *context)
{
    return accounts_give(accounts, numbered(ORDER_END_OTHERS, operator_id, session, done, context));
}
