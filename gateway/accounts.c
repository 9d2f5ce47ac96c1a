#include "accounts_parts.h"

#include "core/bytes.h"

#include <sodium.h>
#include <stdio.h>
#include <time.h>

/* ---- verdicts as text ---- */

const char *accounts_verdict_text(enum accounts_verdict verdict)
{
    switch (verdict) {
    case ACCOUNTS_TAKEN:
        return "taken";
    case ACCOUNTS_BAD_EMAIL:
        return "email is not an address that mail can be sent to";
    case ACCOUNTS_EMAIL_NOT_ASCII:
        return "email has letters that not every mail server takes: write it in ASCII, a domain in "
               "its xn-- form";
    case ACCOUNTS_BAD_NAME:
        return "display_name must be 1 to 64 bytes of text, something visible among them, and "
               "nothing "
               "that hides or turns round";
    case ACCOUNTS_BAD_KEY:
        return "public_key is not a key as text";
    case ACCOUNTS_PASSWORD_TOO_SHORT:
        return "password must have at least 12 characters";
    case ACCOUNTS_PASSWORD_TOO_LONG:
        return "password must have at most 1024 bytes";
    case ACCOUNTS_PASSWORD_MISSING:
        return "password is missing";
    case ACCOUNTS_BAD_CODE:
        return "the code is wrong, used, or past its 15 minutes";
    case ACCOUNTS_BAD_CREDENTIALS:
        return "email and password do not match; after 100 failures in a row only a reset helps";
    case ACCOUNTS_BAD_PASSKEY:
        return "the passkey does not let in";
    case ACCOUNTS_BAD_TOKEN:
        return "this token does not end a newsletter to this address";
    case ACCOUNTS_PASSKEY_KNOWN:
        return "this passkey was added before";
    case ACCOUNTS_PASSKEYS_FULL:
        return "an operator has at most 20 passkeys";
    case ACCOUNTS_CLAIMED:
        return "this code is being used right now; try again in a minute";
    case ACCOUNTS_NOT_FOUND:
        return "there is no such thing of yours";
    case ACCOUNTS_FULL:
        return "no more ducklings can be taken in";
    case ACCOUNTS_BUSY:
        return "too many at once; try again soon";
    case ACCOUNTS_FAULT:
        return "the gateway's store does not answer";
    }
    return "unknown verdict";
}

const char *accounts_verdict_code(enum accounts_verdict verdict)
{
    switch (verdict) {
    case ACCOUNTS_TAKEN:
        return "taken";
    case ACCOUNTS_BAD_EMAIL:
        return "bad_email";
    case ACCOUNTS_EMAIL_NOT_ASCII:
        return "email_not_ascii";
    case ACCOUNTS_BAD_NAME:
        return "bad_display_name";
    case ACCOUNTS_BAD_KEY:
        return "bad_public_key";
    case ACCOUNTS_PASSWORD_TOO_SHORT:
        return "password_too_short";
    case ACCOUNTS_PASSWORD_TOO_LONG:
        return "password_too_long";
    case ACCOUNTS_PASSWORD_MISSING:
        return "password_missing";
    case ACCOUNTS_BAD_CODE:
        return "bad_code";
    case ACCOUNTS_BAD_CREDENTIALS:
        return "bad_credentials";
    case ACCOUNTS_BAD_PASSKEY:
        return "bad_passkey";
    case ACCOUNTS_BAD_TOKEN:
        return "bad_token";
    case ACCOUNTS_PASSKEY_KNOWN:
        return "passkey_known";
    case ACCOUNTS_PASSKEYS_FULL:
        return "too_many_passkeys";
    case ACCOUNTS_CLAIMED:
        return "conflict";
    case ACCOUNTS_NOT_FOUND:
        return "not_found";
    case ACCOUNTS_FULL:
        return "too_many_ducklings";
    case ACCOUNTS_BUSY:
        return "busy";
    case ACCOUNTS_FAULT:
        return "store_failed";
    }
    return "unknown";
}

const char *accounts_verdict_field(enum accounts_verdict verdict)
{
    switch (verdict) {
    case ACCOUNTS_BAD_EMAIL:
    case ACCOUNTS_EMAIL_NOT_ASCII:
        return "email";
    case ACCOUNTS_BAD_NAME:
        return "display_name";
    case ACCOUNTS_BAD_KEY:
        return "public_key";
    case ACCOUNTS_PASSWORD_TOO_SHORT:
    case ACCOUNTS_PASSWORD_TOO_LONG:
    case ACCOUNTS_PASSWORD_MISSING:
        return "password";
    case ACCOUNTS_BAD_CODE:
        return "code";
    case ACCOUNTS_BAD_PASSKEY:
    case ACCOUNTS_PASSKEY_KNOWN:
        return "passkey";
    case ACCOUNTS_BAD_TOKEN:
        return "token";
    case ACCOUNTS_TAKEN:
    case ACCOUNTS_PASSKEYS_FULL:
    case ACCOUNTS_BAD_CREDENTIALS:
    case ACCOUNTS_CLAIMED:
    case ACCOUNTS_NOT_FOUND:
    case ACCOUNTS_FULL:
    case ACCOUNTS_BUSY:
    case ACCOUNTS_FAULT:
        break;
    }
    return "";
}

uint64_t accounts_wall_ms(const struct accounts *accounts)
{
    struct timespec now;

    if (accounts->wall_ms)
        return accounts->wall_ms(accounts->context);
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void accounts_complain(const struct accounts *accounts, const char *what, int fault)
{
    char text[160];

    if (!accounts->trouble)
        return;
    snprintf(text, sizeof text, "accounts: %s: %s", what, gate_fault_text(fault));
    accounts->trouble(accounts->context, text);
}

/* ---- orders ---- */

struct order *order_new(enum order_kind kind, accounts_done *done, void *context)
{
    struct order *order = memory_take(sizeof *order);

    order->kind = kind;
    order->done = done;
    order->context = context;
    return order;
}

static void order_free(struct order *order)
{
    if (order->password)
        sodium_memzero(order->password, strlen(order->password));
    memory_give_back(order->password);
    memory_give_back(order->ducklings);
    memory_give_back(order->said);
    sodium_memzero(order, sizeof *order);
    memory_give_back(order);
}

void order_take(struct given *given, const char *text)
{
    strncpy(given->text, text ? text : "", sizeof given->text - 1);
}

static void take_key(struct given_key *given, const char *text)
{
    strncpy(given->text, text ? text : "", sizeof given->text - 1);
}

static char *take_password(const char *password)
{
    /* One byte over the limit is enough to be refused for it. */
    size_t size = password ? strnlen(password, PASSWORD_MAX + 1) : 0;
    char *copy;

    if (!password)
        return NULL;
    copy = memory_take(size + 1);
    memcpy(copy, password, size);
    return copy;
}

/* ---- the thread ---- */

static void queue_in(struct accounts *accounts, struct order *order)
{
    order->next = NULL;
    *accounts->last = order;
    accounts->last = &order->next;
    pthread_cond_broadcast(&accounts->changed);
}

bool accounts_give(struct accounts *accounts, struct order *order)
{
    bool taken;

    pthread_mutex_lock(&accounts->lock);
    taken = accounts->in_flight < ORDERS_MAX && !accounts->closing;
    if (taken) {
        order->accounts = accounts;
        accounts->in_flight++;
        queue_in(accounts, order);
    }
    pthread_mutex_unlock(&accounts->lock);
    if (!taken)
        order_free(order);
    return taken;
}

static void finish(struct order *order)
{
    if (order->done)
        order->done(order->context, &order->result);
    order_free(order);
}

static void tidy(struct accounts *accounts)
{
    uint64_t now_ms = accounts_wall_ms(accounts);
    int fault;

    if (now_ms < accounts->tidy_at_ms)
        return;
    accounts->tidy_at_ms = now_ms + TOUCH_EVERY_MS;
    fault = gate_store_begin(accounts->store);
    if (!fault)
        fault = gate_store_tidy(accounts->store, now_ms);
    if (!fault)
        fault = gate_store_commit(accounts->store);
    if (fault) {
        gate_store_roll_back(accounts->store);
        accounts_complain(accounts, "what is over cannot be dropped", fault);
    }
}

static struct order *next_order(struct accounts *accounts)
{
    struct order *order;

    while (!accounts->first && !(accounts->closing && accounts->in_flight == 0))
        pthread_cond_wait(&accounts->changed, &accounts->lock);
    order = accounts->first;
    if (order)
        accounts->first = order->next;
    if (!accounts->first)
        accounts->last = &accounts->first;
    return order;
}

/* A code that is there to be wrong about is a row to be written: 20 us more, which ten thousand guesses show. So a
 * wrong code is answered on the beat, whatever it cost. */
static void wait_for_the_beat(struct timespec beat)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    do {
        beat.tv_nsec += WRONG_CODE_BEAT_NS;
        if (beat.tv_nsec >= 1000000000) {
            beat.tv_nsec -= 1000000000;
            beat.tv_sec++;
        }
    } while (beat.tv_sec < now.tv_sec || (beat.tv_sec == now.tv_sec && beat.tv_nsec < now.tv_nsec));
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &beat, NULL);
}

static bool carry_out_on_the_beat(struct accounts *accounts, struct order *order)
{
    struct timespec began;
    bool done;

    clock_gettime(CLOCK_MONOTONIC, &began);
    done = order_carry_out(accounts, order);
    if (done && order->result.verdict == ACCOUNTS_BAD_CODE)
        wait_for_the_beat(began);
    return done;
}

static void *run(void *argument)
{
    struct accounts *accounts = argument;
    struct order *order;

    pthread_mutex_lock(&accounts->lock);
    while ((order = next_order(accounts))) {
        bool done;
        pthread_mutex_unlock(&accounts->lock);
        tidy(accounts);
        done = carry_out_on_the_beat(accounts, order);
        if (done)
            finish(order);
        pthread_mutex_lock(&accounts->lock);
        if (done)
            accounts->in_flight--;
    }
    pthread_mutex_unlock(&accounts->lock);
    return NULL;
}

/* ---- opening ---- */

static int open_letters(struct accounts *accounts, const struct accounts_settings *settings)
{
    char problem[LETTERS_PROBLEM_SIZE] = "";
    int fault =
        letters_open(&accounts->letters, settings->letters_folder, settings->public_url, problem);

    if (fault && settings->trouble)
        settings->trouble(settings->context, problem);
    return fault;
}

static int open_parts(struct accounts *accounts, const struct accounts_settings *settings)
{
    struct mail_settings mail = settings->mail;
    int fault = gate_key_open(settings->key_path, &accounts->key);

    if (!fault)
        fault = gate_store_open(&accounts->store, settings->store_path);
    if (!fault)
        fault = gate_store_open_reader(&accounts->reader, settings->store_path);
    if (!fault)
        fault = passwords_open(&accounts->passwords, settings->password_cost);
    if (!fault)
        fault = open_letters(accounts, settings);
    mail.store_path = settings->store_path;
    mail.key = &accounts->key;
    if (!fault)
        fault = mail_open(&accounts->mail, &mail, settings->trouble, settings->context);
    return fault;
}

int accounts_open(struct accounts **opened, const struct accounts_settings *settings)
{
    struct accounts *accounts;
    int fault;

    accounts = memory_take(sizeof *accounts);
    accounts->wall_ms = settings->wall_ms;
    accounts->trouble = settings->trouble;
    accounts->happened = settings->happened;
    accounts->context = settings->context;
    accounts->place = settings->place;
    if (!accounts->place.rp_id)
        accounts->place.rp_id = "localhost";
    accounts->challenges = challenges_new();
    accounts->last = &accounts->first;
    pthread_mutex_init(&accounts->lock, NULL);
    pthread_mutex_init(&accounts->reader_lock, NULL);
    pthread_cond_init(&accounts->changed, NULL);
    fault = open_parts(accounts, settings);
    if (!fault && pthread_create(&accounts->thread, NULL, run, accounts) != 0)
        fault = GATE_FAULT_THREAD;
    accounts->running = !fault;
    if (fault) {
        accounts_close(accounts);
        return fault;
    }
    *opened = accounts;
    return 0;
}

void accounts_close(struct accounts *accounts)
{
    if (!accounts)
        return;
    if (accounts->running) {
        pthread_mutex_lock(&accounts->lock);
        accounts->closing = true;
        pthread_cond_broadcast(&accounts->changed);
        pthread_mutex_unlock(&accounts->lock);
        pthread_join(accounts->thread, NULL);
    }
    passwords_close(accounts->passwords);
    mail_close(accounts->mail);
    letters_close(accounts->letters);
    challenges_free(accounts->challenges);
    gate_store_close(accounts->reader);
    gate_store_close(accounts->store);
    gate_key_wipe(&accounts->key);
    pthread_cond_destroy(&accounts->changed);
    pthread_mutex_destroy(&accounts->reader_lock);
    pthread_mutex_destroy(&accounts->lock);
    memory_give_back(accounts);
}

/* ---- the orders, as they are given ---- */

bool accounts_hatch(struct accounts *accounts, const struct accounts_hatch *hatch,
                    accounts_done *done, void *context)
{
    struct order *order = order_new(ORDER_HATCH, done, context);

    order_take(&order->email, hatch->email);
    order_take(&order->display_name, hatch->display_name);
    take_key(&order->public_key, hatch->public_key);
    order_take(&order->source, hatch->source);
    order->password = take_password(hatch->password);
    return accounts_give(accounts, order);
}

bool accounts_verify(struct accounts *accounts, const char *email, const char *code,
                     const char *password, accounts_done *done, void *context)
{
    struct order *order = order_new(ORDER_VERIFY, done, context);

    order_take(&order->email, email);
    order_take(&order->secret, code);
    order->password = take_password(password);
    return accounts_give(accounts, order);
}

bool accounts_hatch_for_operator(struct accounts *accounts, uint64_t operator_id,
                                 const char *display_name, const char *public_key,
                                 accounts_done *done, void *context)
{
    struct order *order = order_new(ORDER_HATCH_FOR_OPERATOR, done, context);

    order->operator_id = operator_id;
    order_take(&order->display_name, display_name);
    take_key(&order->public_key, public_key);
    return accounts_give(accounts, order);
}

bool accounts_hatched(struct accounts *accounts, uint64_t egg, const struct id *duckling,
                      const struct id *certificate, accounts_done *done, void *context)
{
    struct order *order = order_new(ORDER_HATCHED, done, context);

    order->egg = egg;
    order->duckling = *duckling;
    order->certificate = *certificate;
    return accounts_give(accounts, order);
}

bool accounts_egg_back(struct accounts *accounts, uint64_t egg, accounts_done *done, void *context)
{
    struct order *order = order_new(ORDER_EGG_BACK, done, context);

    order->egg = egg;
    return accounts_give(accounts, order);
}

bool accounts_auth(struct accounts *accounts, const char *email, const char *password,
                   accounts_done *done, void *context)
{
    struct order *order = order_new(ORDER_AUTH, done, context);

    order_take(&order->email, email);
    order->password = take_password(password);
    return accounts_give(accounts, order);
}

bool accounts_logout(struct accounts *accounts, const char *token, accounts_done *done,
                     void *context)
{
    struct order *order = order_new(ORDER_LOGOUT, done, context);

    order_take(&order->secret, token);
    return accounts_give(accounts, order);
}

bool accounts_forgot(struct accounts *accounts, const char *email, const char *source,
                     accounts_done *done, void *context)
{
    struct order *order = order_new(ORDER_FORGOT, done, context);

    order_take(&order->email, email);
    order_take(&order->source, source);
    return accounts_give(accounts, order);
}

bool accounts_reset(struct accounts *accounts, const char *email, const char *code,
                    const char *password, accounts_done *done, void *context)
{
    struct order *order = order_new(ORDER_RESET, done, context);

    order_take(&order->email, email);
    order_take(&order->secret, code);
    order->password = take_password(password);
    return accounts_give(accounts, order);
}

bool accounts_rotate(struct accounts *accounts, uint64_t operator_id, const struct id *duckling,
                     accounts_done *done, void *context)
{
    struct order *order = order_new(ORDER_ROTATE, done, context);

    order->operator_id = operator_id;
    order->duckling = *duckling;
    return accounts_give(accounts, order);
}

bool accounts_identity_rotated(struct accounts *accounts, uint64_t operator_id,
                               const struct id *duckling, const struct id *certificate)
{
    struct order *order = order_new(ORDER_IDENTITY_ROTATED, NULL, NULL);

    order->operator_id = operator_id;
    order->duckling = *duckling;
    order->result.certificate = *certificate;
    return accounts_give(accounts, order);
}
