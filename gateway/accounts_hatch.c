/* From an egg to a duckling with a beak key. */
#include "accounts_parts.h"

#include "core/bytes.h"

#include <sodium.h>

/* ---- hatch ---- */

/* Nobody can tell from two letters which code belongs to which hatch. So as soon as an address is
 * hatched twice at a time, no password that came with a hatch counts: else a stranger who hatches
 * it too would know the password of whoever proves it. One that comes with the code does. */
static int see_to_rivals(struct accounts *accounts, struct order *order)
{
    uint64_t now_ms = accounts_wall_ms(accounts), rivals = 0;
    int fault = gate_eggs_live(accounts->store, order->lookup, now_ms, &rivals);

    if (fault || rivals == 0)
        return fault;
    sodium_memzero(order->password_hash, sizeof order->password_hash);
    return gate_eggs_clear_passwords(accounts->store, order->lookup, now_ms);
}

static int lay_egg(struct accounts *accounts, struct order *order)
{
    uint64_t now_ms = accounts_wall_ms(accounts);
    struct gate_egg egg = {.expires_ms = now_ms + CODE_LIFE_MS};
    struct gate_code code;
    bool allowed;
    int fault = code_share(accounts, order, GATE_CODE_HATCH, &allowed);

    order->result.expires_ms = egg.expires_ms;
    if (fault || !allowed || order->result.verdict != ACCOUNTS_TAKEN)
        return fault;
    fault = see_to_rivals(accounts, order);
    if (fault)
        return fault;
    memcpy(egg.lookup, order->lookup, sizeof egg.lookup);
    memcpy(egg.email, order->email.text, sizeof egg.email);
    memcpy(egg.display_name, order->display_name.text, sizeof egg.display_name);
    memcpy(egg.public_key, order->public_key.text, sizeof egg.public_key);
    memcpy(egg.password_hash, order->password_hash, sizeof egg.password_hash);
    fault = gate_egg_lay(accounts->store, &egg);
    if (!fault)
        fault = code_make(accounts, order, GATE_CODE_HATCH, &code);
    code.egg = order->egg = egg.egg;
    if (!fault)
        fault = gate_code_set(accounts->store, &code);
    return fault;
}

/* Its code went nowhere. It would only be the rival of the next try. */
static int drop_unmailed_egg(struct accounts *accounts, struct order *order)
{
    int fault = gate_egg_drop(accounts->store, order->egg);

    return fault ? fault
                 : gate_code_drop(accounts->store, order->lookup, GATE_CODE_HATCH, order->egg);
}

bool order_hatch(struct accounts *accounts, struct order *order)
{
    if (!order->second_half) {
        if (!given_email(order) || !given_name(order) || !given_public_key(order) ||
            !given_password(order))
            return true;
        if (order->password)
            return !order_hash_password(accounts, order) && order_busy(order, BUSY_RETRY_S);
    } else if (!order->password_hash[0]) {
        order_verdict(order, ACCOUNTS_FAULT);
        return true;
    }
    if (order_in_transaction(accounts, order, lay_egg) && order->code[0] &&
        !order_mail(accounts, order, LETTER_HATCH)) {
        order_in_transaction(accounts, order, drop_unmailed_egg);
        return order_unmailed(order);
    }
    return true;
}

/* ---- verify ---- */

static int judge_room(struct accounts *accounts, struct order *order, uint64_t operator_id)
{
    uint64_t now_ms = accounts_wall_ms(accounts), ducklings = 0, claimed = 0;
    struct accounts_counts counts;
    int fault;

    if (operator_id == 0) {
        fault = gate_store_count(accounts->store, now_ms, &counts);
        if (!fault && counts.operators >= OPERATORS_MAX)
            order_verdict(order, ACCOUNTS_FULL);
        return fault;
    }
    fault = gate_ducklings_count(accounts->store, operator_id, &ducklings);
    if (!fault)
        fault = gate_eggs_claimed(accounts->store, operator_id, now_ms, &claimed);
    if (!fault && ducklings + claimed >= DUCKLINGS_PER_OPERATOR_MAX)
        order_verdict(order, ACCOUNTS_FULL);
    return fault;
}

static void hand_out(struct order *order, const struct gate_egg *egg, uint64_t operator_id)
{
    memcpy(order->result_email, egg->email, sizeof order->result_email);
    memcpy(order->result_name, egg->display_name, sizeof order->result_name);
    memcpy(order->result_key, egg->public_key, sizeof order->result_key);
    order->result.egg = egg->egg;
    order->result.operator_id = operator_id;
    order->result.email = order->result_email;
    order->result.display_name = order->result_name;
    order->result.public_key = order->result_key;
}

static int claim_by_code(struct accounts *accounts, struct order *order)
{
    uint64_t now_ms = accounts_wall_ms(accounts);
    struct gate_operator operator_row = {0};
    struct gate_code code;
    struct gate_egg egg;
    bool is_operator, good, found;
    int fault =
        code_judge(accounts, order, GATE_CODE_HATCH, &code, &operator_row, &is_operator, &good);

    if (fault || !good)
        return fault;
    fault = gate_egg_find(accounts->store, code.egg, &egg, &found);
    if (fault)
        return fault;
    if (!found || egg.claimed_until_ms > now_ms) {
        order_verdict(order, found ? ACCOUNTS_CLAIMED : ACCOUNTS_BAD_CODE);
        return 0;
    }
    fault = judge_room(accounts, order, operator_row.operator_id);
    if (fault || order->result.verdict != ACCOUNTS_TAKEN)
        return fault;
    hand_out(order, &egg, operator_row.operator_id);
    fault = gate_egg_claim(accounts->store, egg.egg, now_ms + EGG_CLAIM_MS);
    if (!fault && is_operator)
        fault = gate_operator_set_failures(accounts->store, operator_row.operator_id, 0);
    return fault;
}

static int release_egg(struct accounts *accounts, struct order *order)
{
    return gate_egg_claim(accounts->store, order->result.egg, 0);
}

static int keep_egg_password(struct accounts *accounts, struct order *order)
{
    return gate_egg_set_password(accounts->store, order->result.egg, order->password_hash);
}

bool order_verify(struct accounts *accounts, struct order *order)
{
    if (order->second_half) {
        if (order->password_hash[0])
            order_in_transaction(accounts, order, keep_egg_password);
        else
            order_verdict(order, ACCOUNTS_FAULT);
        return true;
    }
    if (!given_email(order) || !given_password(order))
        return true;
    if (!code_is_text(order->secret.text))
        order->secret.text[0] = '\0'; /* matches nothing, and costs a try like any other */
    if (!order_in_transaction(accounts, order, claim_by_code) || !order->password)
        return true;
    if (order_hash_password(accounts, order))
        return false;
    order_in_transaction(accounts, order, release_egg);
    return order_busy(order, BUSY_RETRY_S);
}

/* ---- hatch for an operator, hatched, egg back ---- */

static int lay_for_operator(struct accounts *accounts, struct order *order)
{
    uint64_t until_ms = accounts_wall_ms(accounts) + EGG_CLAIM_MS;
    struct gate_egg egg = {
        .operator_id = order->operator_id, .claimed_until_ms = until_ms, .expires_ms = until_ms};
    struct gate_operator operator_row;
    bool found;
    int fault = gate_operator_get(accounts->store, order->operator_id, &operator_row, &found);

    if (fault)
        return fault;
    if (!found) {
        order_verdict(order, ACCOUNTS_NOT_FOUND);
        return 0;
    }
    fault = judge_room(accounts, order, order->operator_id);
    if (fault || order->result.verdict != ACCOUNTS_TAKEN)
        return fault;
    memcpy(egg.lookup, operator_row.lookup, sizeof egg.lookup);
    memcpy(egg.email, operator_row.email, sizeof egg.email);
    memcpy(egg.display_name, order->display_name.text, sizeof egg.display_name);
    memcpy(egg.public_key, order->public_key.text, sizeof egg.public_key);
    fault = gate_egg_lay(accounts->store, &egg);
    hand_out(order, &egg, order->operator_id);
    return fault;
}

bool order_hatch_for_operator(struct accounts *accounts, struct order *order)
{
    if (given_name(order) && given_public_key(order))
        order_in_transaction(accounts, order, lay_for_operator);
    return true;
}

/* The operator that an egg belongs to; a proven address that is nobody's becomes one. */
static int see_to_operator(struct accounts *accounts, struct order *order,
                           const struct gate_egg *egg, struct gate_operator *operator_row)
{
    bool found;
    int fault = egg->operator_id
                    ? gate_operator_get(accounts->store, egg->operator_id, operator_row, &found)
                    : gate_operator_find(accounts->store, egg->lookup, operator_row, &found);

    if (fault)
        return fault;
    order->result.has_password = egg->password_hash[0] || (found && operator_row->password_hash[0]);
    if (found && !operator_row->password_hash[0] && egg->password_hash[0])
        return gate_operator_set_password(accounts->store, operator_row->operator_id,
                                          egg->password_hash);
    if (found)
        return 0;
    *operator_row = (struct gate_operator){.created_ms = accounts_wall_ms(accounts)};
    memcpy(operator_row->lookup, egg->lookup, sizeof operator_row->lookup);
    memcpy(operator_row->email, egg->email, sizeof operator_row->email);
    memcpy(operator_row->password_hash, egg->password_hash, sizeof operator_row->password_hash);
    order->result.operator_is_new = true;
    return gate_operator_add(accounts->store, operator_row);
}

static int give_beak_key(struct accounts *accounts, struct order *order, uint64_t operator_id)
{
    struct gate_bearer bearer;
    int fault = gate_beak_key_drop(accounts->store, &order->duckling);

    bearer_make(accounts, ACCESS_BEAK_KEY, order->bearer_text, &bearer);
    bearer.operator_id = operator_id;
    bearer.duckling = order->duckling;
    bearer.created_ms = accounts_wall_ms(accounts);
    bearer.ends_ms = INT64_MAX;
    if (!fault)
        fault = gate_bearer_add(accounts->store, &bearer);
    order->result.beak_key = order->bearer_text;
    order->result.duckling = order->duckling;
    order->result.operator_id = operator_id;
    return fault;
}

static int drop_hatched_egg(struct accounts *accounts, const struct gate_egg *egg)
{
    int fault = gate_egg_drop(accounts->store, egg->egg);

    return fault ? fault : gate_code_drop(accounts->store, egg->lookup, GATE_CODE_HATCH, egg->egg);
}

static int hatch_egg(struct accounts *accounts, struct order *order)
{
    struct gate_operator operator_row;
    struct gate_duckling duckling = {.duckling = order->duckling,
                                     .certificate = order->certificate,
                                     .created_ms = accounts_wall_ms(accounts)};
    struct gate_egg egg;
    bool found;
    int fault = gate_egg_find(accounts->store, order->egg, &egg, &found);

    if (fault)
        return fault;
    if (!found) {
        order_verdict(order, ACCOUNTS_NOT_FOUND);
        return 0;
    }
    fault = see_to_operator(accounts, order, &egg, &operator_row);
    duckling.operator_id = operator_row.operator_id;
    memcpy(duckling.display_name, egg.display_name, sizeof duckling.display_name);
    if (!fault)
        fault = gate_duckling_add(accounts->store, &duckling);
    if (!fault)
        fault = give_beak_key(accounts, order, operator_row.operator_id);
    if (!fault)
        fault = drop_hatched_egg(accounts, &egg);
    if (!fault)
        fault = accounts_note_hatch(accounts, &duckling);
    hand_out(order, &egg, operator_row.operator_id);
    order->result.certificate = order->certificate;
    return fault;
}

bool order_hatched(struct accounts *accounts, struct order *order)
{
    order_in_transaction(accounts, order, hatch_egg);
    accounts_say_happened(accounts, order, order->result.operator_id);
    return true;
}

static int return_egg(struct accounts *accounts, struct order *order)
{
    struct gate_egg egg;
    bool found;
    int fault = gate_egg_find(accounts->store, order->egg, &egg, &found);

    if (fault)
        return fault;
    if (!found)
        order_verdict(order, ACCOUNTS_NOT_FOUND);
    else if (egg.operator_id) /* without a code there is nothing to try again with */
        fault = gate_egg_drop(accounts->store, order->egg);
    else
        fault = gate_egg_claim(accounts->store, order->egg, 0);
    return fault;
}

bool order_egg_back(struct accounts *accounts, struct order *order)
{
    order_in_transaction(accounts, order, return_egg);
    return true;
}

/* ---- rotate ---- */

static int rotate_key(struct accounts *accounts, struct order *order)
{
    struct gate_duckling row;
    bool found;
    int fault = gate_duckling_find(accounts->store, &order->duckling, &row, &found);

    if (fault)
        return fault;
    if (!found || row.operator_id != order->operator_id) {
        order_verdict(order, ACCOUNTS_NOT_FOUND);
        return 0;
    }
    order->result.certificate = row.certificate;
    fault = give_beak_key(accounts, order, order->operator_id);
    return fault ? fault : accounts_note_rotation(accounts, &row, NULL);
}

bool order_rotate(struct accounts *accounts, struct order *order)
{
    order_in_transaction(accounts, order, rotate_key);
    accounts_say_happened(accounts, order, order->operator_id);
    return true;
}

/* The node has done it; here it is an event. */
static int note_identity(struct accounts *accounts, struct order *order)
{
    struct gate_duckling row;
    bool found;
    int fault = gate_duckling_find(accounts->store, &order->duckling, &row, &found);

    if (fault)
        return fault;
    if (found && row.operator_id == order->operator_id)
        return accounts_note_rotation(accounts, &row, &order->result.certificate);
    order_verdict(order, ACCOUNTS_NOT_FOUND);
    return 0;
}

bool order_identity_rotated(struct accounts *accounts, struct order *order)
{
    order_in_transaction(accounts, order, note_identity);
    accounts_say_happened(accounts, order, order->operator_id);
    return true;
}
