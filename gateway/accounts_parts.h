/* accounts_parts: what the accounts files share.
 *
 * accounts.c has the queue and its thread, accounts_orders.c what all orders share, a file for each
 * noun (hatch, sessions, reset, …) what its orders do, access.c the reads. */
#ifndef DUCK_GATE_ACCOUNTS_PARTS_H
#define DUCK_GATE_ACCOUNTS_PARTS_H

#include "account_passkeys.h"
#include "accounts.h"
#include "gate_key.h"
#include "gate_store.h"

#include <pthread.h>

#define BUSY_RETRY_S 2
#define WRONG_CODE_BEAT_NS 4000000 /* so 250 a second at most, of all addresses together */
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
    ORDER_IDENTITY_ROTATED,
    ORDER_TOUCH,
    ORDER_END_SESSION,
    ORDER_END_OTHERS,
    ORDER_ADD_PASSKEY,
    ORDER_AUTH_BY_PASSKEY,
    ORDER_DROP_PASSKEY,
    ORDER_SUBSCRIBE,
    ORDER_CONFIRM,
    ORDER_UNSUBSCRIBE,
    ORDER_ERASE,
    ORDER_TRY,
};

/* A text of a caller; what is longer than any valid one is kept as "not valid". */
struct given {
    char text[EMAIL_MAX + 2];
};

struct given_key {
    char text[HATCH_KEY_MAX + 2];
};

struct order {
    struct order *next;
    enum order_kind kind;
    accounts_done *done; /* may be NULL */
    void *context;

    struct given email, display_name, secret; /* secret: code or token */
    struct given_key public_key;
    struct given source;                                  /* the address it was asked from; "" */
    char *password;                                       /* ours; NULL: none */
    uint64_t operator_id, egg;
    uint64_t number; /* of a session or a passkey; erase: of ducklings */
    struct passkey_said *said; /* with a copy of its bytes behind it; NULL: too much was said */
    const struct passkey_key *passkey; /* while it is added */
    struct bytes challenge;            /* while it is judged */
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
    struct letters *letters;
    struct challenges *challenges;
    struct passkey_place place;
    struct mail *mail;
    uint64_t (*wall_ms)(void *context);
    void (*trouble)(void *context, const char *text);
    void (*happened)(void *context, uint64_t operator_id);
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

/* ---- accounts_events.c: within the transaction of the deed ---- */
struct gate_duckling;
int accounts_note_hatch(struct accounts *accounts, const struct gate_duckling *duckling);
/* `certificate`: of the identity's new key; NULL: it was the beak key. */
int accounts_note_rotation(struct accounts *accounts, const struct gate_duckling *duckling,
                           const struct id *certificate);
/* After it: if it was done, whoever takes events on is told. */
void accounts_say_happened(const struct accounts *accounts, const struct order *order,
                           uint64_t operator_id);

/* ---- accounts.c: orders, and who carries them out ---- */
/* Gives the order to the thread; on false it is freed. */
bool accounts_give(struct accounts *accounts, struct order *order);
struct order *order_new(enum order_kind kind, accounts_done *done, void *context);
void order_take(struct given *given, const char *text); /* NULL: "" */

/* Carries out what can be done now. True: done, the result stands. False: the passwords' thread
 * has it, and will give it back as a second half. */
bool order_carry_out(struct accounts *accounts, struct order *order);

/* ---- what all orders share: accounts_orders.c ---- */

/* A part of an order inside a transaction. Sets the verdict; a fault undoes what it wrote. */
typedef int order_part(struct accounts *accounts, struct order *order);

void order_verdict(struct order *order, enum accounts_verdict verdict);
bool order_in_transaction(struct accounts *accounts, struct order *order, order_part *work);
bool order_busy(struct order *order, uint32_t retry_after_s); /* true, for `return` */
bool order_unmailed(struct order *order);                     /* the same */

/* To the passwords' thread. True: on its way, and the order will come again as a second half. */
bool order_hash_password(struct accounts *accounts, struct order *order);
bool order_judge_password(struct accounts *accounts, struct order *order); /* by judged_against */

/* ---- what was given: accounts_given.c. False: the verdict says what is wrong ---- */
bool given_email(struct order *order); /* makes `lookup` of it */
bool given_name(struct order *order);
bool given_public_key(struct order *order);
bool given_password(struct order *order); /* none is fine */

/* ---- codes by mail: accounts_codes.c ---- */

/* A fresh one, unlike every other of this address and purpose: a code tells which egg it hatches. */
int code_make(struct accounts *accounts, struct order *order, enum gate_code_purpose purpose,
              struct gate_code *code);
/* May one more code go to this address? The share bounds guessing as well as unwanted mail; each purpose has
 * one of its own, and who asks from one network gets a part of it, so that it is left to others. Allowed:
 * it is counted. */
int code_share(struct accounts *accounts, struct order *order, enum gate_code_purpose purpose,
               bool *allowed);
/* The same work whether there is such a code or not. A wrong one costs a try, and a failure. */
int code_judge(struct accounts *accounts, struct order *order, enum gate_code_purpose purpose,
               struct gate_code *code, struct gate_operator *operator_row, bool *is_operator,
               bool *good);
int code_failed(struct accounts *accounts, const struct gate_operator *operator_row,
                bool is_operator); /* a failure of an operator, or of nobody */
bool code_is_text(const char *text); /* six digits */
/* To the address of the order, with its code if it has one. Neither the display name nor any other word of
 * whoever asks goes along: else a hatch would be a way to mail a stranger a text of one's choice. */
bool order_mail(struct accounts *accounts, const struct order *order, enum letter_kind kind);

/* ---- what each order does; as order_carry_out ---- */
bool order_hatch(struct accounts *accounts, struct order *order); /* accounts_hatch.c */
bool order_verify(struct accounts *accounts, struct order *order);
bool order_hatch_for_operator(struct accounts *accounts, struct order *order);
bool order_hatched(struct accounts *accounts, struct order *order);
bool order_egg_back(struct accounts *accounts, struct order *order);
bool order_rotate(struct accounts *accounts, struct order *order);
bool order_identity_rotated(struct accounts *accounts, struct order *order);
bool order_auth(struct accounts *accounts, struct order *order); /* accounts_sessions.c */
bool order_logout(struct accounts *accounts, struct order *order);
bool order_touch(struct accounts *accounts, struct order *order);
bool order_end_session(struct accounts *accounts, struct order *order);
bool order_end_others(struct accounts *accounts, struct order *order);
int session_begin(struct accounts *accounts, struct order *order, uint64_t operator_id,
                  enum access_way way); /* in a transaction; the result has its token */
bool order_add_passkey(struct accounts *accounts, struct order *order); /* accounts_passkeys.c */
bool order_auth_by_passkey(struct accounts *accounts, struct order *order);
bool order_drop_passkey(struct accounts *accounts, struct order *order);
bool order_subscribe(struct accounts *accounts, struct order *order); /* accounts_newsletter.c */
bool order_confirm(struct accounts *accounts, struct order *order);
bool order_unsubscribe(struct accounts *accounts, struct order *order);
bool order_erase(struct accounts *accounts, struct order *order); /* accounts_erasure.c */
bool order_forgot(struct accounts *accounts, struct order *order); /* accounts_reset.c */
bool order_reset(struct accounts *accounts, struct order *order);

/* "sd_bk_…" or "sd_st_…", fresh; its hash and its masked form. */
void bearer_make(const struct accounts *accounts, enum access_kind kind,
                 char text[BEARER_TEXT_SIZE], struct gate_bearer *row);
bool bearer_hash(const struct accounts *accounts, const char *text, enum access_kind *kind,
                 uint8_t hash[GATE_HASH_SIZE]); /* false: not of our form */

#endif
