/* An operator's end. */
#include "account_erasure.h"
#include "accounts_parts.h"

#include "core/bytes.h"

static int erase(struct accounts *accounts, struct order *order)
{
    struct gate_operator row;
    uint64_t ducklings = 0;
    bool found;
    int fault = gate_operator_get(accounts->store, order->operator_id, &row, &found);

    if (fault)
        return fault;
    if (!found) {
        order_verdict(order, ACCOUNTS_NOT_FOUND);
        return 0;
    }
    fault = gate_ducklings_count(accounts->store, order->operator_id, &ducklings);
    if (fault)
        return fault;
    if (ducklings != order->number) {
        order_verdict(order, ACCOUNTS_FAULT);
        order->result.reason = "a duckling came meanwhile, or could not be read: ask again";
        return 0;
    }
    memcpy(order->email.text, row.email, sizeof row.email);
    return gate_operator_erase(accounts->store, &row);
}

/* A deleted row is overwritten where it stood, but the log of the database (-wal) still has what it was:
 * only when that is empty again the operator is gone. */
bool order_erase(struct accounts *accounts, struct order *order)
{
    int fault;

    if (!order_in_transaction(accounts, order, erase))
        return true;
    pthread_mutex_lock(&accounts->reader_lock); /* no reader is in the way */
    fault = gate_store_settle(accounts->store);
    pthread_mutex_unlock(&accounts->reader_lock);
    if (fault)
        accounts_complain(accounts,
                          "an operator is erased, but not yet from the log of the database", fault);
    if (!mail_forget(accounts->mail, order->email.text))
        accounts_complain(accounts, "letters to an operator that was erased are left",
                          GATE_FAULT_FILE);
    return true;
}

bool accounts_erase(struct accounts *accounts, uint64_t operator_id, uint64_t ducklings,
                    accounts_done *done, void *context)
{
    struct order *order = order_new(ORDER_ERASE, done, context);

    order->operator_id = operator_id;
    order->number = ducklings;
    return accounts_give(accounts, order);
}
