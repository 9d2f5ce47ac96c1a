/* What each order does: one transaction, or two with a password in between. */
#include "accounts_parts.h"

void order_verdict(struct order *order, enum accounts_verdict verdict)
{
    order->result.verdict = verdict;
}

bool order_in_transaction(struct accounts *accounts, struct order *order, order_part *work)
{
    int fault = gate_store_begin(accounts->store);

    if (!fault)
        fault = work(accounts, order);
    if (!fault)
        fault = gate_store_commit(accounts->store);
    if (!fault)
        return order->result.verdict == ACCOUNTS_TAKEN;
    gate_store_roll_back(accounts->store);
    accounts_complain(accounts, gate_store_complaint(accounts->store), fault);
    order_verdict(order, ACCOUNTS_FAULT);
    if (fault == GATE_FAULT_DISK_FULL)
        order->result.reason = "the disk of the gateway is full: nothing can be kept";
    return false;
}

bool order_busy(struct order *order, uint32_t retry_after_s)
{
    order_verdict(order, ACCOUNTS_BUSY);
    order->result.retry_after_s = retry_after_s;
    return true;
}

bool order_unmailed(struct order *order)
{
    order_verdict(order, ACCOUNTS_FAULT);
    order->result.reason = "the letter cannot be kept: the disk is full, or too many wait";
    return true;
}

/* ---- the passwords' thread and back ---- */

static void come_back(struct order *order)
{
    struct accounts *accounts = order->accounts;

    order->second_half = true;
    pthread_mutex_lock(&accounts->lock);
    order->next = NULL;
    *accounts->last = order;
    accounts->last = &order->next;
    pthread_cond_broadcast(&accounts->changed);
    pthread_mutex_unlock(&accounts->lock);
}

static void was_hashed(void *context, const char *hash)
{
    struct order *order = context;

    if (hash)
        memcpy(order->password_hash, hash, sizeof order->password_hash);
    come_back(order);
}

static void was_judged(void *context, bool matches)
{
    struct order *order = context;

    order->password_matches = matches;
    come_back(order);
}

bool order_hash_password(struct accounts *accounts, struct order *order)
{
    return passwords_hash(accounts->passwords, order->password, was_hashed, order);
}

bool order_judge_password(struct accounts *accounts, struct order *order)
{
    return passwords_verify(accounts->passwords, order->password, order->judged_against, was_judged,
                            order);
}

static bool carry_out(struct accounts *accounts, struct order *order)
{
    switch (order->kind) {
    case ORDER_HATCH:
        return order_hatch(accounts, order);
    case ORDER_VERIFY:
        return order_verify(accounts, order);
    case ORDER_HATCH_FOR_OPERATOR:
        return order_hatch_for_operator(accounts, order);
    case ORDER_HATCHED:
        return order_hatched(accounts, order);
    case ORDER_EGG_BACK:
        return order_egg_back(accounts, order);
    case ORDER_AUTH:
        return order_auth(accounts, order);
    case ORDER_LOGOUT:
        return order_logout(accounts, order);
    case ORDER_FORGOT:
        return order_forgot(accounts, order);
    case ORDER_RESET:
        return order_reset(accounts, order);
    case ORDER_ROTATE:
        return order_rotate(accounts, order);
    case ORDER_IDENTITY_ROTATED:
        return order_identity_rotated(accounts, order);
    case ORDER_TOUCH:
        return order_touch(accounts, order);
    case ORDER_END_SESSION:
        return order_end_session(accounts, order);
    case ORDER_END_OTHERS:
        return order_end_others(accounts, order);
    case ORDER_ADD_PASSKEY:
        return order_add_passkey(accounts, order);
    case ORDER_AUTH_BY_PASSKEY:
        return order_auth_by_passkey(accounts, order);
    case ORDER_DROP_PASSKEY:
        return order_drop_passkey(accounts, order);
    case ORDER_SUBSCRIBE:
        return order_subscribe(accounts, order);
    case ORDER_CONFIRM:
        return order_confirm(accounts, order);
    case ORDER_UNSUBSCRIBE:
        return order_unsubscribe(accounts, order);
    case ORDER_ERASE:
        return order_erase(accounts, order);
    case ORDER_TRY:
        gate_store_try(accounts->store);
        return true;
    }
    return true;
}

/* What is shown once must not be shown for a thing that did not happen. */
static void hide_secrets(struct accounts_result *result)
{
    result->beak_key = NULL;
    result->token = NULL;
    result->egg = 0;
    result->ducklings = NULL;
    result->duckling_count = 0;
}

bool order_carry_out(struct accounts *accounts, struct order *order)
{
    if (!carry_out(accounts, order))
        return false;
    if (order->result.verdict != ACCOUNTS_TAKEN)
        hide_secrets(&order->result);
    return true;
}
