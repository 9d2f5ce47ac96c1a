/* accounts_parts: what the accounts files share.
 *
 * accounts.c has the queue and its thread, accounts_orders.c what each order does, access.c the
 * reads. */
#ifndef DUCK_GATE_ACCOUNTS_PARTS_H
#define DUCK_GATE_ACCOUNTS_PARTS_H

#include "accounts.h"
#include "gate_key.h"
#include "gate_store.h"

#include <pthread.h>

#define CODE_TEXT_SIZE (CODE_DIGITS + 1)
#define TOUCH_EVERY_MS (60 * 1000ull) /* "last seen" is kept to the minute */
#define TOUCHED_SIZE 1024 /* bearers whose last touch is remembered; others are touched again */

enum order_kind {
    ORDER_HATCH,
    ORDER_VERIFY,
    ORDER_HATCH_FOR_OPERATOR,
    ORDER_HATCHED,
    ORDER_EGG_BACK,
    ORDER_AUTH,
    ORDER_LOGOUT,
    ORDER_FORGOT,
    ORDER_RESET,
    ORDER_ROTATE,
    ORDER_TOUCH,
};

/* A text of a caller; what is longer than any valid one is kept as "not valid". */
struct given {
    char text[EMAIL_MAX + 2];
};

struct order {
    struct order *next;
    enum order_kind kind;
    accounts_done *done; /* may be NULL */
    void *context;

    struct given email, display_name, public_key, secret; /* secret: code or token */
    char *password;                                       /* ours; NULL: none */
    uint64_t operator_id, egg;
    struct id duckling, certificate;
    uint8_t bearer[GATE_HASH_SIZE];

    /* Between the two halves of an order, while the passwords' thread works. */
    struct accounts *accounts;
    bool second_half;
    bool password_matches;
    bool locks; /* this failure was one too many */
    char password_hash[PASSWORD_HASH_SIZE];
    char judged_against[PASSWORD_HASH_SIZE];

    struct accounts_result result;
    char lookup[EMAIL_MAX + 1];
    char code[CODE_TEXT_SIZE]; /* to be mailed after the commit */
    char bearer_text[BEARER_TEXT_SIZE];
    char result_email[EMAIL_MAX + 1];
    char result_name[DISPLAY_NAME_MAX + 1];
    char result_key[HATCH_KEY_MAX + 1];
    struct id *ducklings;
};

struct accounts {
    struct gate_key key;
    struct gate_store *store; /* the accounts' thread */
    struct passwords *passwords;
    struct mail *mail;
    uint64_t (*wall_ms)(void *context);
    void (*trouble)(void *context, const char *text);
    void *context;
    uint64_t tidy_at_ms; /* the accounts' thread */

    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct order *first, **last;
    size_t in_flight; /* queued, being carried out, or with the passwords */
    bool running, closing;

    pthread_mutex_t reader_lock; /* of what follows */
    struct gate_store *reader;
    struct {
        uint8_t bearer[GATE_HASH_SIZE];
        uint64_t at_ms;
    } touched[TOUCHED_SIZE];
};

uint64_t accounts_wall_ms(const struct accounts *accounts);
void accounts_complain(const struct accounts *accounts, const char *what, int fault);

/* Gives the order to the thread; on false it is freed. */
bool accounts_give(struct accounts *accounts, struct order *order);
struct order *order_new(enum order_kind kind, accounts_done *done, void *context);

/* Carries out what can be done now. True: done, the result stands. False: the passwords' thread
 * has it, and will give it back as a second half. */
bool order_carry_out(struct accounts *accounts, struct order *order);

/* "sd_bk_…" or "sd_st_…", fresh; its hash and its masked form. */
void bearer_make(const struct accounts *accounts, enum access_kind kind,
                 char text[BEARER_TEXT_SIZE], struct gate_bearer *row);
bool bearer_hash(const struct accounts *accounts, const char *text, enum access_kind *kind,
                 uint8_t hash[GATE_HASH_SIZE]); /* false: not of our form */

#endif
