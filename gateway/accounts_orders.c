/* What each order does: one transaction, or two with a password in between. */
#include "accounts_parts.h"

#include "core/bytes.h"
#include "core/limits.h"

#include <sodium.h>
#include <stdio.h>

#define LOCAL_PART_MAX 64 /* bytes; RFC 5321, section 4.5.3.1.1 */
#define BUSY_RETRY_S 2
#define MAIL_RETRY_S 30

/* A part of an order inside a transaction. Sets the verdict; a fault undoes what it wrote. */
typedef int part(struct accounts *accounts, struct order *order);

static void verdict_is(struct order *order, enum accounts_verdict verdict)
{
    order->result.verdict = verdict;
}

static bool in_transaction(struct accounts *accounts, struct order *order, part *work)
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
    verdict_is(order, ACCOUNTS_FAULT);
    return false;
}

static bool is_busy(struct order *order, uint32_t retry_after_s)
{
    verdict_is(order, ACCOUNTS_BUSY);
    order->result.retry_after_s = retry_after_s;
    return true;
}

/* ---- what was given ---- */

static bool is_atext(char c) /* RFC 5322, section 3.2.3, ASCII only */
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_host_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

/* Words of `allowed` characters with single dots between them. */
static bool is_dotted(const char *text, size_t size, bool (*allowed)(char c))
{
    bool after_dot = true;

    for (size_t i = 0; i < size; i++) {
        if (text[i] == '.' ? after_dot : !allowed(text[i]))
            return false;
        after_dot = text[i] == '.';
    }
    return !after_dot;
}

bool accounts_email_is_valid(const char *email)
{
    size_t size = strnlen(email, EMAIL_MAX + 1);
    const char *at = strchr(email, '@');
    size_t local_size;

    if (size > EMAIL_MAX || !at)
        return false;
    local_size = (size_t)(at - email);
    return local_size <= LOCAL_PART_MAX && is_dotted(email, local_size, is_atext) &&
           is_dotted(at + 1, size - local_size - 1, is_host_character);
}

static bool read_email(struct order *order)
{
    if (!accounts_email_is_valid(order->email.text)) {
        verdict_is(order, ACCOUNTS_BAD_EMAIL);
        return false;
    }
    for (size_t i = 0; order->email.text[i]; i++) {
        char c = order->email.text[i];
        order->lookup[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return true;
}

static bool read_name(struct order *order)
{
    struct bytes name = bytes_of_text(order->display_name.text);

    if (name.size > 0 && name.size <= DISPLAY_NAME_MAX && bytes_are_display_name(name))
        return true;
    verdict_is(order, ACCOUNTS_BAD_NAME);
    return false;
}

static bool read_public_key(struct order *order)
{
    const char *key = order->public_key.text;
    size_t size = strlen(key);

    for (size_t i = 0; i < size; i++)
        if (key[i] <= 0x20 || key[i] > 0x7e)
            size = HATCH_KEY_MAX + 1;
    if (size <= HATCH_KEY_MAX)
        return true;
    verdict_is(order, ACCOUNTS_BAD_KEY);
    return false;
}

static bool read_password(struct order *order)
{
    if (!order->password)
        return true;
    switch (password_check(order->password)) {
    case PASSWORD_TAKEN:
        return true;
    case PASSWORD_TOO_SHORT:
        verdict_is(order, ACCOUNTS_PASSWORD_TOO_SHORT);
        return false;
    case PASSWORD_TOO_LONG:
        verdict_is(order, ACCOUNTS_PASSWORD_TOO_LONG);
        return false;
    }
    return false;
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

/* The first half of orders that set a password: true when it is on its way. */
static bool hash_first(struct accounts *accounts, struct order *order)
{
    return passwords_hash(accounts->passwords, order->password, was_hashed, order);
}

/* ---- codes ---- */

/* The key of the hash, and what it is about. */
static void hash_code(const struct accounts *accounts, const struct order *order,
                      enum gate_code_purpose purpose, const char *text,
                      uint8_t hash[GATE_HASH_SIZE])
{
    gate_key_hash(&accounts->key, purpose == GATE_CODE_HATCH ? "hatch" : "reset", order->lookup,
                  text, hash);
}

/* Unlike every other of this address and purpose: a code tells which egg it hatches. */
static int make_code(struct accounts *accounts, struct order *order, enum gate_code_purpose purpose,
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

/* May one more code go to this address? Its share bounds guessing as well as unwanted mail. */
static int judge_share(struct accounts *accounts, struct order *order, bool *allowed)
{
    uint64_t now_ms = accounts_wall_ms(accounts), hour = 0, day = 0, all = 0;
    int fault = gate_mailed_count(accounts->store, order->lookup, now_ms - HOUR_MS, &hour);

    if (!fault)
        fault = gate_mailed_count(accounts->store, order->lookup, now_ms - DAY_MS, &day);
    if (!fault)
        fault = gate_mailed_count(accounts->store, NULL, now_ms - DAY_MS, &all);
    *allowed = hour < CODES_PER_HOUR_MAX && day < CODES_PER_DAY_MAX;
    if (!fault && all >= CODES_MAX)
        is_busy(order, (uint32_t)(HOUR_MS / SECOND_MS));
    return fault;
}

/* A wrong code costs a try of the code and a failure of the operator, if there is either. */
static int note_failure(struct accounts *accounts, const struct gate_operator *operator_row,
                        bool is_operator)
{
    if (!is_operator || operator_row->failures >= FAILURES_MAX)
        return gate_stranger_failed(accounts->store);
    return gate_operator_set_failures(accounts->store, operator_row->operator_id,
                                      operator_row->failures + 1);
}

/* The same work whether there is such a code or not. */
static int judge_code(struct accounts *accounts, struct order *order,
                      enum gate_code_purpose purpose, struct gate_code *code,
                      struct gate_operator *operator_row, bool *is_operator, bool *good)
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
    verdict_is(order, ACCOUNTS_BAD_CODE);
    fault = gate_codes_take_try(accounts->store, order->lookup, purpose);
    if (!fault)
        fault = gate_eggs_drop_lost(accounts->store, order->lookup, now_ms);
    return fault ? fault : note_failure(accounts, operator_row, *is_operator);
}

static bool is_code_text(const char *text)
{
    return strlen(text) == CODE_DIGITS && strspn(text, "0123456789") == CODE_DIGITS;
}

/* ---- hatch ---- */

/* Neither the display name nor any other word of whoever asks: else a hatch would be a way to
 * mail a stranger a text of one's choice. */
static bool mail_code(struct accounts *accounts, const struct order *order, const char *what)
{
    char text[512];
    const struct mail_letter letter = {
        .to = order->email.text, .subject = "Your Space Duck code", .text = text};

    snprintf(text, sizeof text,
             "%s\n\nYour code: %s\n\nIt can be used once, within 15 minutes. Give it to nobody.\n"
             "If it was not you who asked, do nothing: without the code nothing happens.\n",
             what, order->code);
    return mail_give(accounts->mail, &letter);
}

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
    int fault = judge_share(accounts, order, &allowed);

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
        fault = make_code(accounts, order, GATE_CODE_HATCH, &code);
    code.egg = order->egg = egg.egg;
    if (!fault)
        fault = gate_code_set(accounts->store, &code);
    if (!fault)
        fault = gate_mailed_add(accounts->store, order->lookup, now_ms);
    return fault;
}

/* Its code went nowhere. It would only be the rival of the next try. */
static int drop_unmailed_egg(struct accounts *accounts, struct order *order)
{
    int fault = gate_egg_drop(accounts->store, order->egg);

    return fault ? fault
                 : gate_code_drop(accounts->store, order->lookup, GATE_CODE_HATCH, order->egg);
}

static bool hatch(struct accounts *accounts, struct order *order)
{
    if (!order->second_half) {
        if (!read_email(order) || !read_name(order) || !read_public_key(order) ||
            !read_password(order))
            return true;
        if (order->password)
            return !hash_first(accounts, order) && is_busy(order, BUSY_RETRY_S);
    } else if (!order->password_hash[0]) {
        verdict_is(order, ACCOUNTS_FAULT);
        return true;
    }
    if (in_transaction(accounts, order, lay_egg) && order->code[0] &&
        !mail_code(accounts, order,
                   "Somebody, hopefully you, hatches a duckling with this address.")) {
        in_transaction(accounts, order, drop_unmailed_egg);
        return is_busy(order, MAIL_RETRY_S);
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
            verdict_is(order, ACCOUNTS_FULL);
        return fault;
    }
    fault = gate_ducklings_count(accounts->store, operator_id, &ducklings);
    if (!fault)
        fault = gate_eggs_claimed(accounts->store, operator_id, now_ms, &claimed);
    if (!fault && ducklings + claimed >= DUCKLINGS_PER_OPERATOR_MAX)
        verdict_is(order, ACCOUNTS_FULL);
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
        judge_code(accounts, order, GATE_CODE_HATCH, &code, &operator_row, &is_operator, &good);

    if (fault || !good)
        return fault;
    fault = gate_egg_find(accounts->store, code.egg, &egg, &found);
    if (fault)
        return fault;
    if (!found || egg.claimed_until_ms > now_ms) {
        verdict_is(order, found ? ACCOUNTS_CLAIMED : ACCOUNTS_BAD_CODE);
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

static bool verify(struct accounts *accounts, struct order *order)
{
    if (order->second_half) {
        if (order->password_hash[0])
            in_transaction(accounts, order, keep_egg_password);
        else
            verdict_is(order, ACCOUNTS_FAULT);
        return true;
    }
    if (!read_email(order) || !read_password(order))
        return true;
    if (!is_code_text(order->secret.text))
        order->secret.text[0] = '\0'; /* matches nothing, and costs a try like any other */
    if (!in_transaction(accounts, order, claim_by_code) || !order->password)
        return true;
    if (hash_first(accounts, order))
        return false;
    in_transaction(accounts, order, release_egg);
    return is_busy(order, BUSY_RETRY_S);
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
        verdict_is(order, ACCOUNTS_NOT_FOUND);
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

static bool hatch_for_operator(struct accounts *accounts, struct order *order)
{
    if (read_name(order) && read_public_key(order))
        in_transaction(accounts, order, lay_for_operator);
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
        verdict_is(order, ACCOUNTS_NOT_FOUND);
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
    hand_out(order, &egg, operator_row.operator_id);
    order->result.certificate = order->certificate;
    return fault;
}

static bool hatched(struct accounts *accounts, struct order *order)
{
    in_transaction(accounts, order, hatch_egg);
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
        verdict_is(order, ACCOUNTS_NOT_FOUND);
    else if (egg.operator_id) /* without a code there is nothing to try again with */
        fault = gate_egg_drop(accounts->store, order->egg);
    else
        fault = gate_egg_claim(accounts->store, order->egg, 0);
    return fault;
}

static bool egg_back(struct accounts *accounts, struct order *order)
{
    in_transaction(accounts, order, return_egg);
    return true;
}

/* ---- auth ---- */

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

static int begin_session(struct accounts *accounts, struct order *order, uint64_t operator_id)
{
    uint64_t now_ms = accounts_wall_ms(accounts);
    struct gate_bearer bearer;
    int fault = gate_operator_set_failures(accounts->store, operator_id, 0);

    bearer_make(accounts, ACCESS_SESSION, order->bearer_text, &bearer);
    bearer.operator_id = operator_id;
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
        return begin_session(accounts, order, operator_row.operator_id);
    verdict_is(order, ACCOUNTS_BAD_CREDENTIALS);
    order->locks = found && operator_row.failures + 1 == FAILURES_MAX;
    return note_failure(accounts, &operator_row, found);
}

static void mail_lock(struct accounts *accounts, const struct order *order)
{
    const struct mail_letter letter = {
        .to = order->lookup,
        .subject = "Your Space Duck password was locked",
        .text = "Somebody tried 100 wrong passwords or codes in a row for this address.\n"
                "The password is locked until you set a new one: POST /beak/forgot mails you\n"
                "a code, POST /beak/reset takes it. Beak keys and open sessions go on working.\n"};

    if (!mail_give(accounts->mail, &letter))
        accounts_complain(accounts, "an operator could not be told of a lock", GATE_FAULT_MAIL);
}

static bool auth(struct accounts *accounts, struct order *order)
{
    struct gate_operator operator_row;
    bool found;
    int fault;

    if (order->second_half) {
        in_transaction(accounts, order, judge_credentials);
        if (order->result.verdict == ACCOUNTS_BAD_CREDENTIALS && order->locks)
            mail_lock(accounts, order);
        return true;
    }
    if (!read_email(order))
        return true;
    if (!order->password || strlen(order->password) > PASSWORD_MAX) {
        verdict_is(order, order->password ? ACCOUNTS_PASSWORD_TOO_LONG : ACCOUNTS_PASSWORD_MISSING);
        return true;
    }
    fault = gate_operator_find(accounts->store, order->lookup, &operator_row, &found);
    if (fault) {
        accounts_complain(accounts, gate_store_complaint(accounts->store), fault);
        verdict_is(order, ACCOUNTS_FAULT);
        return true;
    }
    if (found)
        memcpy(order->judged_against, operator_row.password_hash, sizeof order->judged_against);
    if (passwords_verify(accounts->passwords, order->password, order->judged_against, was_judged,
                         order))
        return false;
    return is_busy(order, BUSY_RETRY_S);
}

static int end_session(struct accounts *accounts, struct order *order)
{
    struct gate_bearer row;
    bool found;
    int fault = gate_bearer_find(accounts->store, order->bearer, &row, &found);

    if (fault)
        return fault;
    if (!found || row.kind != ACCESS_SESSION) {
        verdict_is(order, ACCOUNTS_NOT_FOUND);
        return 0;
    }
    return gate_bearer_drop(accounts->store, order->bearer);
}

static bool logout(struct accounts *accounts, struct order *order)
{
    enum access_kind kind;

    if (bearer_hash(accounts, order->secret.text, &kind, order->bearer))
        in_transaction(accounts, order, end_session);
    else
        verdict_is(order, ACCOUNTS_NOT_FOUND);
    return true;
}

/* ---- forgot and reset ---- */

/* A stranger gets a code in the store and a letter without it: the same work, the same time. */
static int lay_reset_code(struct accounts *accounts, struct order *order)
{
    struct gate_operator operator_row;
    struct gate_code code;
    bool allowed, found = false;
    int fault = judge_share(accounts, order, &allowed);

    order->result.expires_ms = accounts_wall_ms(accounts) + CODE_LIFE_MS;
    if (fault || !allowed || order->result.verdict != ACCOUNTS_TAKEN)
        return fault;
    fault = make_code(accounts, order, GATE_CODE_RESET, &code);
    if (!fault)
        fault = gate_code_set(accounts->store, &code);
    if (!fault)
        fault = gate_mailed_add(accounts->store, order->lookup, accounts_wall_ms(accounts));
    if (!fault)
        fault = gate_operator_find(accounts->store, order->lookup, &operator_row, &found);
    order->operator_id = !fault && found ? operator_row.operator_id : 0;
    return fault;
}

static bool mail_stranger(struct accounts *accounts, const struct order *order)
{
    const struct mail_letter letter = {
        .to = order->email.text,
        .subject = "Your Space Duck password",
        .text =
            "Somebody asked to set a new password for this address, but it has no account\n"
            "here. If it was you, hatch a duckling with it first. If it was not, do nothing.\n"};

    return mail_give(accounts->mail, &letter);
}

static bool forgot(struct accounts *accounts, struct order *order)
{
    bool mailed;

    if (!read_email(order) || !in_transaction(accounts, order, lay_reset_code) || !order->code[0])
        return true;
    mailed = order->operator_id
                 ? mail_code(accounts, order, "Somebody, hopefully you, sets a new password.")
                 : mail_stranger(accounts, order);
    return mailed || is_busy(order, MAIL_RETRY_S);
}

static int judge_reset(struct accounts *accounts, struct order *order)
{
    struct gate_operator operator_row = {0};
    struct gate_code code;
    bool is_operator, good;
    int fault =
        judge_code(accounts, order, GATE_CODE_RESET, &code, &operator_row, &is_operator, &good);

    if (fault || !good)
        return fault;
    if (!is_operator)
        verdict_is(order, ACCOUNTS_BAD_CODE);
    return 0;
}

static int set_password(struct accounts *accounts, struct order *order)
{
    struct gate_operator operator_row = {0};
    struct gate_code code;
    bool is_operator, good;
    int fault =
        judge_code(accounts, order, GATE_CODE_RESET, &code, &operator_row, &is_operator, &good);

    if (fault || !good)
        return fault;
    if (!is_operator) {
        verdict_is(order, ACCOUNTS_BAD_CODE);
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

static bool reset(struct accounts *accounts, struct order *order)
{
    if (order->second_half) {
        if (order->password_hash[0])
            in_transaction(accounts, order, set_password);
        else
            verdict_is(order, ACCOUNTS_FAULT);
        return true;
    }
    if (!read_email(order) || !read_password(order))
        return true;
    if (!order->password) {
        verdict_is(order, ACCOUNTS_PASSWORD_MISSING);
        return true;
    }
    if (!is_code_text(order->secret.text))
        order->secret.text[0] = '\0';
    if (!in_transaction(accounts, order, judge_reset))
        return true;
    return !hash_first(accounts, order) && is_busy(order, BUSY_RETRY_S);
}

/* ---- rotate and touch ---- */

static int rotate_key(struct accounts *accounts, struct order *order)
{
    struct gate_duckling row;
    bool found;
    int fault = gate_duckling_find(accounts->store, &order->duckling, &row, &found);

    if (fault)
        return fault;
    if (!found || row.operator_id != order->operator_id) {
        verdict_is(order, ACCOUNTS_NOT_FOUND);
        return 0;
    }
    order->result.certificate = row.certificate;
    return give_beak_key(accounts, order, order->operator_id);
}

static bool rotate(struct accounts *accounts, struct order *order)
{
    in_transaction(accounts, order, rotate_key);
    return true;
}

static int note_use(struct accounts *accounts, struct order *order)
{
    return gate_bearer_touch(accounts->store, order->bearer, accounts_wall_ms(accounts));
}

static bool touch(struct accounts *accounts, struct order *order)
{
    in_transaction(accounts, order, note_use);
    return true;
}

static bool carry_out(struct accounts *accounts, struct order *order)
{
    switch (order->kind) {
    case ORDER_HATCH:
        return hatch(accounts, order);
    case ORDER_VERIFY:
        return verify(accounts, order);
    case ORDER_HATCH_FOR_OPERATOR:
        return hatch_for_operator(accounts, order);
    case ORDER_HATCHED:
        return hatched(accounts, order);
    case ORDER_EGG_BACK:
        return egg_back(accounts, order);
    case ORDER_AUTH:
        return auth(accounts, order);
    case ORDER_LOGOUT:
        return logout(accounts, order);
    case ORDER_FORGOT:
        return forgot(accounts, order);
    case ORDER_RESET:
        return reset(accounts, order);
    case ORDER_ROTATE:
        return rotate(accounts, order);
    case ORDER_TOUCH:
        return touch(accounts, order);
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
