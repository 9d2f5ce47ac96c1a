/* accounts: operators, their eggs and ducklings, and the bearers that let them in.
 *
 * Further orders and reads: account_sessions.h, account_passkeys.h, account_newsletter.h, account_erasure.h.
 *
 * An operator is an email address that was proven by a code. A hatch is two steps with the node
 * in between: accounts_verify (or accounts_hatch_for_operator) hands out an egg, the caller lets
 * the node hatch, accounts_hatched turns the egg into a duckling with a beak key. While an egg is
 * handed out nobody else gets it, so that one code makes one duckling.
 *
 * Orders that write or hash are carried out on the accounts' own threads: the call copies what it
 * needs and returns at once, `done` is called exactly once, on the accounts' thread, with a result
 * that is borrowed for the call and wiped after it. False: the queue is full, `done` is not
 * called, answer 503. Reads (access_find, accounts_ducklings, …) are one indexed read and may be
 * called from any thread.
 *
 * What is known about an email address never shows: an order about a stranger gives the same
 * answer, after the same work, as one about an operator. */
#ifndef DUCK_GATE_ACCOUNTS_H
#define DUCK_GATE_ACCOUNTS_H

#include "core/id.h"
#include "gate_fault.h"
#include "mail.h"
#include "passkey.h"
#include "passwords.h"

#define EMAIL_MAX 254       /* bytes; RFC 5321, section 4.5.3.1.3 */
#define DISPLAY_NAME_MAX 64 /* bytes */
#define HATCH_KEY_MAX 1024  /* bytes, as text, of what proves a key that a duckling keeps itself */
#define CODE_DIGITS 6
#define CODE_LIFE_MS (15 * 60 * 1000ull)
#define CODE_TRIES_MAX 5     /* a wrong one counts at all codes of the address; the last ends it */
#define CODES_PER_HOUR_MAX 5 /* mailed to one address for one purpose */
#define CODES_PER_DAY_MAX 10
#define CODES_PER_SOURCE_MAX 3 /* of those of an hour: asked for from one network */
#define EGG_CLAIM_MS (60 * 1000ull) /* an egg that was handed out returns after this */
#define FAILURES_MAX 100 /* in a row; then the password and codes are of no use until reset */
#define SESSION_IDLE_MS (60 * 60 * 1000ull)
#define SESSION_LIFE_MAX_MS (30 * 24 * 60 * 60 * 1000ull)
#define SESSIONS_PER_OPERATOR_MAX 32 /* one more ends the one that was used least recently */
#define DUCKLINGS_PER_OPERATOR_MAX 1000
#define OPERATORS_MAX 100000
#define CODES_MAX 100000      /* live codes and the counts of them */
#define ORDERS_MAX 256        /* orders in flight */
#define BEARER_TEXT_SIZE 50   /* "sd_bk_" or "sd_st_", 43 characters, NUL */
#define BEARER_MASKED_SIZE 14 /* "sd_bk_ab…yz" and NUL */

struct accounts;

struct accounts_settings {
    const char *store_path; /* gateway.db; created 0600 */
    const char *key_path;   /* gateway.key: 32 bytes; created 0600 */
    struct mail_settings mail;
    enum password_cost password_cost; /* PASSWORD_INTERACTIVE; tests may take PASSWORD_LEAST */
    const char *letters_folder;       /* of the operator's own templates; NULL: none */
    const char *public_url;           /* for letters; NULL: not said */
    struct passkey_place place;       /* borrowed texts; without rp_id: "localhost" */
    uint64_t (*wall_ms)(void *context); /* NULL: the system's clock */
    void (*trouble)(
        void *context,
        const char *text); /* a line for the log; NULL: none. Never a secret. Any thread */
    void (*happened)(void *context,
                     uint64_t operator_id); /* there are new events; NULL: none. Any thread */
    void *context;
};

int accounts_open(struct accounts **opened, const struct accounts_settings *settings);
void accounts_close(struct accounts *accounts); /* NULL is fine; carries out what was ordered */

/* ---- orders ---- */

enum accounts_verdict {
    ACCOUNTS_TAKEN,
    ACCOUNTS_BAD_EMAIL,          /* 422, field "email" */
    ACCOUNTS_EMAIL_NOT_ASCII,    /* 422, "email": of letters that most mail servers do not take */
    ACCOUNTS_BAD_NAME,           /* 422, "display_name": over 64 bytes, or see bytes_are_display_name */
    ACCOUNTS_BAD_KEY,            /* 422, "public_key": over HATCH_KEY_MAX or not a plain word */
    ACCOUNTS_PASSWORD_TOO_SHORT, /* 422, "password" */
    ACCOUNTS_PASSWORD_TOO_LONG,  /* 422, "password" */
    ACCOUNTS_PASSWORD_MISSING,   /* 422, "password": reset without one */
    ACCOUNTS_BAD_CODE,           /* 401, "code": wrong, over, used, or locked; also for strangers */
    ACCOUNTS_BAD_CREDENTIALS,    /* 401: also for strangers, eggs, locked, without a password */
    ACCOUNTS_BAD_PASSKEY,        /* 401, "passkey": see result.reason */
    ACCOUNTS_BAD_TOKEN,          /* 401, "token": unsubscribes nobody */
    ACCOUNTS_PASSKEY_KNOWN,      /* 409, "passkey": it was added before */
    ACCOUNTS_PASSKEYS_FULL,      /* 409: PASSKEYS_PER_OPERATOR_MAX reached */
    ACCOUNTS_CLAIMED,            /* 409: this egg is being hatched right now */
    ACCOUNTS_NOT_FOUND,          /* 404: no such egg, session, or duckling of this operator */
    ACCOUNTS_FULL,               /* 409: DUCKLINGS_PER_OPERATOR_MAX or OPERATORS_MAX reached */
    ACCOUNTS_BUSY,               /* 429, retry_after_s: the queue of passwords is full */
    ACCOUNTS_FAULT,              /* 503: the store, or the desk of letters, did not take it */
};
const char *accounts_verdict_text(enum accounts_verdict verdict);  /* a sentence for people */
const char *accounts_verdict_code(enum accounts_verdict verdict);  /* "bad_email", … */
const char *accounts_verdict_field(enum accounts_verdict verdict); /* "email", … or "" */

struct accounts_result {
    enum accounts_verdict verdict;
    uint32_t retry_after_s;          /* ACCOUNTS_BUSY */
    uint64_t operator_id;            /* verify of a new operator: 0 until hatched */
    uint64_t egg;                    /* verify, hatch_for_operator: to be hatched now */
    const char *email;               /* verify: as it was given at the hatch */
    const char *display_name;        /* verify, hatch_for_operator, hatched */
    const char *public_key;          /* verify, hatch_for_operator: as it was given; "" for the node's custody */
    bool operator_is_new;            /* hatched */
    bool has_password;               /* hatched: the operator can auth, no reset is needed first */
    struct id duckling, certificate; /* hatched, rotate (duckling) */
    const char *beak_key;            /* hatched, rotate: shown this once */
    const char *token;               /* auth: shown this once; confirm: to unsubscribe */
    const char *reason;              /* BAD_PASSKEY, FAULT: a sentence, if there is more to say */
    uint64_t passkey;                /* add_passkey: its number */
    uint64_t expires_ms;        /* hatch, forgot: of the code; auth: of the session, when used */
    const struct id *ducklings; /* auth: the operator's, oldest first */
    size_t duckling_count;
};
typedef void accounts_done(void *context, const struct accounts_result *result);

struct accounts_hatch {
    const char *email, *display_name;
    const char *password;   /* NULL: none */
    const char *public_key; /* its chain of one certificate, in base64: the duckling keeps its key. NULL: the node does */
    const char *source;     /* the address it is asked from, as text; NULL: not known */
};

/* Lays an egg and mails its code. TAKEN also when no mail goes out because the address had its
 * share of codes, or the network that asks its part of the share: so who hatches an address again and again
 * leaves some to others, and its owner can use any code that came to hatch or, with an account, to reset. Each hatch is an egg with a code of its own. While an address has more than one
 * of them, none keeps the password that came with it: it may be a stranger's. */
bool accounts_hatch(struct accounts *accounts, const struct accounts_hatch *hatch,
                    accounts_done *done, void *context);

/* The code tells which egg. TAKEN: hatch `egg` with `display_name` now, then accounts_hatched or accounts_egg_back. A
 * password given here counts before the hatch's; neither replaces the one that an operator has. */
bool accounts_verify(struct accounts *accounts, const char *email, const char *code,
                     const char *password, accounts_done *done, void *context);

/* The same for an operator with a session: TAKEN hands out an egg without a code. */
bool accounts_hatch_for_operator(struct accounts *accounts, uint64_t operator_id,
                                 const char *display_name, const char *public_key,
                                 accounts_done *done, void *context);

/* The node has hatched it: makes the operator (if new), the duckling, and its beak key. */
bool accounts_hatched(struct accounts *accounts, uint64_t egg, const struct id *duckling,
                      const struct id *certificate, accounts_done *done, void *context);

/* The node has not: the code may be tried again. `done` may be NULL. */
bool accounts_egg_back(struct accounts *accounts, uint64_t egg, accounts_done *done, void *context);

bool accounts_auth(struct accounts *accounts, const char *email, const char *password,
                   accounts_done *done, void *context);

/* Ends a session. A beak key is NOT_FOUND here: it ends by rotation. */
bool accounts_logout(struct accounts *accounts, const char *token, accounts_done *done,
                     void *context);

/* Mails a code with which a password can be set. `source` as of a hatch. */
bool accounts_forgot(struct accounts *accounts, const char *email, const char *source,
                     accounts_done *done, void *context);

/* Sets the password, unlocks, and ends every session of the operator. */
bool accounts_reset(struct accounts *accounts, const char *email, const char *code,
                    const char *password, accounts_done *done, void *context);

/* A new beak key; the one before ends in the same transaction. */
bool accounts_rotate(struct accounts *accounts, uint64_t operator_id, const struct id *duckling,
                     accounts_done *done, void *context);

/* The node has replaced the duckling's own key: an event, `key_rotated`. False: the queue is full, it is not told. */
bool accounts_identity_rotated(struct accounts *accounts, uint64_t operator_id, const struct id *duckling,
                               const struct id *certificate);

/* ---- reads ---- */

enum access_kind { ACCESS_SESSION, ACCESS_BEAK_KEY };
enum access_way { ACCESS_BY_PASSWORD, ACCESS_BY_PASSKEY }; /* how a session began */

enum access_verdict {
    ACCESS_TAKEN,
    ACCESS_MALFORMED, /* not a bearer of ours: 401 */
    ACCESS_UNKNOWN,   /* or ended: 401 */
    ACCESS_EXPIRED,   /* a session past its time: 401 */
    ACCESS_FAULT,     /* the store cannot be read: 503 */
};
const char *access_verdict_text(enum access_verdict verdict);

struct access {
    enum access_kind kind;
    uint64_t operator_id;
    struct id duckling;  /* beak key: its own; session: the operator's first, zero: none yet */
    uint64_t session, began_ms; /* session: its number, and when it began */
    uint64_t expires_ms; /* session: when it would end unused; beak key: UINT64_MAX */
};

/* Whose bearer is this? Using a session keeps it alive; using either is "last seen". */
enum access_verdict access_find(struct accounts *accounts, const char *bearer,
                                struct access *access);

struct accounts_duckling {
    struct id duckling, certificate;
    char display_name[DISPLAY_NAME_MAX + 1];
    char beak_key_masked[BEARER_MASKED_SIZE];
    uint64_t created_ms;
    uint64_t seen_ms; /* its beak key was last used, to the minute; 0: never */
};

/* Oldest first, at most `max`. Returns how many. */
size_t accounts_ducklings(struct accounts *accounts, uint64_t operator_id,
                          struct accounts_duckling *ducklings, size_t max);
bool accounts_owns(struct accounts *accounts, uint64_t operator_id, const struct id *duckling);

struct accounts_counts {
    uint64_t eggs; /* live, not verified yet */
    uint64_t operators, ducklings, sessions;
};
struct accounts_counts accounts_count(struct accounts *accounts);

/* Why the gateway can keep nothing: a sentence; NULL: it can. Asked every second, for only then is it found out
 * that it can again. */
const char *accounts_trouble(struct accounts *accounts);

/* Is `email` one that mail may be sent to? One @, no control characters, no <>, no spaces. */
bool accounts_email_is_valid(const char *email);

#endif
