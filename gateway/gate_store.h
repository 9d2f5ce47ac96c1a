/* gate_store: gateway.db, the one database of the gateway.
 *
 * SQLite in WAL mode with synchronous=FULL: what was answered is on disk. The accounts, the feed of
 * events and the courier have a writer each, who wait for one another, and whoever asks has a
 * read-only connection. A `struct gate_store` is one connection, used by one thread at a time. Tables: gateway/schema/.
 *
 * Functions return a fault; what was not there is `*found` false. Rows own their texts. */
#ifndef DUCK_GATE_STORE_H
#define DUCK_GATE_STORE_H

#include "account_passkeys.h"
#include "accounts.h"
#include "gate_key.h"

struct gate_store;

/* Creates or migrates the file, checks it, and opens it for writing. 0600, ours. */
int gate_store_open(struct gate_store **opened, const char *path);
/* Of a file that gate_store_open has seen to: another connection that writes, which waits for
 * another's commit, or one that reads. */
int gate_store_open_writer(struct gate_store **opened, const char *path);
int gate_store_open_reader(struct gate_store **opened, const char *path);
void gate_store_close(struct gate_store *store);                  /* NULL is fine */
const char *gate_store_complaint(const struct gate_store *store); /* SQLite's words, for the log */

/* After a failed commit everything since begin is undone. */
int gate_store_begin(struct gate_store *store);
int gate_store_commit(struct gate_store *store);
void gate_store_roll_back(struct gate_store *store);
/* What was written stands in the one file, and what was deleted stands nowhere. For erasure: it waits for
 * readers. */
int gate_store_settle(struct gate_store *store);

/* What keeps this process from keeping anything, whichever connection met it: the fault of a disk, or of none left. It
 * lasts until gate_store_try, which changes nothing, has kept a page, and there is room for more. 0: none. From any thread. */
#define GATE_STORE_ROOM_MIN (256u * 1024u) /* bytes */
int gate_store_trouble(void);
void gate_store_try(struct gate_store *store);

/* ---- operators ---- */
struct gate_operator {
    uint64_t operator_id;
    char lookup[EMAIL_MAX + 1]; /* its address in small letters: by this it is found, here and below */
    char email[EMAIL_MAX + 1];  /* as it was given; letters go there */
    char password_hash[PASSWORD_HASH_SIZE];
    uint64_t failures;
    uint64_t created_ms;
};
int gate_operator_find(struct gate_store *store, const char *lookup, struct gate_operator *row,
                       bool *found);
int gate_operator_get(struct gate_store *store, uint64_t operator_id, struct gate_operator *row,
                      bool *found);
int gate_operator_add(struct gate_store *store, struct gate_operator *row); /* sets its id */
int gate_operator_set_password(struct gate_store *store, uint64_t operator_id, const char *hash);
int gate_operator_set_failures(struct gate_store *store, uint64_t operator_id, uint64_t failures);
int gate_stranger_failed(struct gate_store *store);

/* ---- eggs ---- */
struct gate_egg {
    uint64_t egg;
    uint64_t operator_id; /* 0: its code decides */
    char lookup[EMAIL_MAX + 1], email[EMAIL_MAX + 1];
    char display_name[DISPLAY_NAME_MAX + 1];
    char password_hash[PASSWORD_HASH_SIZE];
    char public_key[HATCH_KEY_MAX + 1];
    uint64_t claimed_until_ms, expires_ms;
};
int gate_egg_lay(struct gate_store *store, struct gate_egg *row); /* sets its number */
int gate_egg_find(struct gate_store *store, uint64_t egg, struct gate_egg *row, bool *found);
int gate_egg_claim(struct gate_store *store, uint64_t egg, uint64_t until_ms); /* 0: not claimed */
int gate_egg_set_password(struct gate_store *store, uint64_t egg, const char *hash);
int gate_egg_drop(struct gate_store *store, uint64_t egg);
/* Eggs of this address that a code may still hatch. */
int gate_eggs_live(struct gate_store *store, const char *lookup, uint64_t now_ms, uint64_t *count);
/* Takes the passwords of those that are not being hatched at `now_ms`. */
int gate_eggs_clear_passwords(struct gate_store *store, const char *lookup, uint64_t now_ms);
/* Drops those that no code hatches any more and that are not being hatched at `now_ms`. */
int gate_eggs_drop_lost(struct gate_store *store, const char *lookup, uint64_t now_ms);
int gate_eggs_claimed(struct gate_store *store, uint64_t operator_id, uint64_t now_ms,
                      uint64_t *count);

/* ---- codes ---- */
enum gate_code_purpose { GATE_CODE_HATCH = 1, GATE_CODE_RESET = 2, GATE_CODE_NEWSLETTER = 3 };
struct gate_code {
    char lookup[EMAIL_MAX + 1];
    enum gate_code_purpose purpose;
    uint64_t egg; /* 0: of a reset */
    uint8_t hash[GATE_HASH_SIZE];
    uint64_t tries_left, expires_ms;
};
int gate_code_set(struct gate_store *store,
                  const struct gate_code *row); /* in place of the one of the same egg */
/* The one of this address that hashes so; over or not. Compared in constant time. */
int gate_code_find(struct gate_store *store, const char *lookup, enum gate_code_purpose purpose,
                   const uint8_t hash[GATE_HASH_SIZE], struct gate_code *row, bool *found);
/* A wrong try was one at every code of the address; the last ends it. */
int gate_codes_take_try(struct gate_store *store, const char *lookup,
                        enum gate_code_purpose purpose);
int gate_code_drop(struct gate_store *store, const char *lookup, enum gate_code_purpose purpose,
                   uint64_t egg);
/* That a code went to an address, on the word of whom: for a day. */
struct gate_mailed {
    char lookup[EMAIL_MAX + 1];
    enum gate_code_purpose purpose;
    uint8_t source[GATE_HASH_SIZE];
    uint64_t at_ms;
};
int gate_mailed_add(struct gate_store *store, const struct gate_mailed *row);
/* Of the same address and purpose since then; NULL: all there are. */
int gate_mailed_count(struct gate_store *store, const struct gate_mailed *like, uint64_t since_ms,
                      uint64_t *count);
int gate_mailed_count_source(struct gate_store *store, const struct gate_mailed *like,
                             uint64_t since_ms, uint64_t *count); /* and of the same source */

/* ---- ducklings ---- */
struct gate_duckling {
    struct id duckling, certificate;
    uint64_t operator_id;
    char display_name[DISPLAY_NAME_MAX + 1];
    uint64_t created_ms;
};
int gate_duckling_add(struct gate_store *store, const struct gate_duckling *row);
int gate_duckling_find(struct gate_store *store, const struct id *duckling,
                       struct gate_duckling *row, bool *found);
int gate_ducklings_count(struct gate_store *store, uint64_t operator_id, uint64_t *count);
int gate_ducklings_list(struct gate_store *store, uint64_t operator_id,
                        struct accounts_duckling *ducklings, size_t max, size_t *count);

/* ---- bearers ---- */
struct gate_bearer {
    uint8_t hash[GATE_HASH_SIZE];
    enum access_kind kind;
    uint64_t operator_id;
    struct id duckling; /* of a beak key; read of a session: the operator's first, or zero */
    char masked[BEARER_MASKED_SIZE];
    uint64_t created_ms, used_ms, ends_ms;
    enum access_way way; /* of a session */
    uint64_t lookup;     /* read: the first 8 bytes of `hash`, which is a session's number */
};
int gate_bearer_add(struct gate_store *store, const struct gate_bearer *row);
int gate_bearer_find(struct gate_store *store, const uint8_t hash[GATE_HASH_SIZE],
                     struct gate_bearer *row, bool *found);
int gate_bearer_touch(struct gate_store *store, const uint8_t hash[GATE_HASH_SIZE],
                      uint64_t used_ms);
int gate_bearer_drop(struct gate_store *store, const uint8_t hash[GATE_HASH_SIZE]);
int gate_beak_key_drop(struct gate_store *store, const struct id *duckling);
int gate_sessions_drop(struct gate_store *store, uint64_t operator_id);
int gate_sessions_list(struct gate_store *store, uint64_t operator_id, struct gate_bearer *rows,
                       size_t max, size_t *count); /* newest first */
int gate_session_end(struct gate_store *store, uint64_t operator_id, uint64_t lookup,
                     uint64_t *ended);
int gate_sessions_end_others(struct gate_store *store, uint64_t operator_id, uint64_t lookup);
/* Ends those that were used least recently, so that at most `keep` are left. */
int gate_sessions_thin(struct gate_store *store, uint64_t operator_id, uint64_t keep);

/* ---- passkeys ---- */
struct gate_passkey {
    uint64_t lookup; /* of the keyed hash of its credential's id */
    uint64_t operator_id;
    struct passkey_key key;
    char name[PASSKEY_NAME_MAX + 1];
    uint64_t created_ms;
};
int gate_passkey_add(struct gate_store *store, const struct gate_passkey *row);
/* `row->key.credential` is compared in full. */
int gate_passkey_find(struct gate_store *store, uint64_t lookup, struct gate_passkey *row,
                      bool *found);
int gate_passkey_used(struct gate_store *store, uint64_t lookup, uint64_t counter,
                      uint64_t used_ms);
int gate_passkey_drop(struct gate_store *store, uint64_t operator_id, uint64_t lookup,
                      uint64_t *dropped);
int gate_passkeys_list(struct gate_store *store, uint64_t operator_id,
                       struct accounts_passkey *passkeys, size_t max, size_t *count);

/* ---- the newsletter ---- */
struct gate_subscriber {
    char lookup[EMAIL_MAX + 1], email[EMAIL_MAX + 1];
    uint64_t asked_ms, confirmed_ms; /* 0: not yet */
};
int gate_subscriber_find(struct gate_store *store, const char *lookup,
                         struct gate_subscriber *row, bool *found);
int gate_subscriber_ask(struct gate_store *store, const struct gate_subscriber *row);
int gate_subscriber_confirm(struct gate_store *store, const char *lookup, uint64_t confirmed_ms);
int gate_subscriber_drop(struct gate_store *store, const char *lookup);
int gate_subscribers_count(struct gate_store *store, uint64_t *count);
/* The confirmed ones, oldest first. */
int gate_subscribers_each(struct gate_store *store,
                          void (*tell)(void *context, const struct gate_subscriber *row),
                          void *context);

/* ---- erasure ---- */
struct accounts_operator;
int gate_store_about(struct gate_store *store, uint64_t operator_id, uint64_t now_ms,
                     struct accounts_operator *about, bool *found);
int gate_operator_erase(struct gate_store *store, const struct gate_operator *row);

/* ---- letters that wait for the mail server ---- */
#define GATE_LETTER_SIZE_MAX 16384 /* bytes, sealed */
struct gate_letter {
    uint64_t number;
    uint64_t tries, next_ms, ends_ms;
    size_t size;
    uint8_t sealed[GATE_LETTER_SIZE_MAX];
};
int gate_letter_add(struct gate_store *store, const char *lookup, const struct gate_letter *row);
/* The one whose time comes first. */
int gate_letter_next(struct gate_store *store, struct gate_letter *row, bool *found);
int gate_letter_put_off(struct gate_store *store, uint64_t number, uint64_t tries,
                        uint64_t next_ms);
int gate_letter_drop(struct gate_store *store, uint64_t number);
int gate_letters_drop(struct gate_store *store, const char *lookup); /* all to this address */
int gate_letters_count(struct gate_store *store, const char *lookup, uint64_t *count); /* NULL: all */

/* ---- the whole ---- */
int gate_store_tidy(struct gate_store *store, uint64_t now_ms); /* drops what is over */
int gate_store_count(struct gate_store *store, uint64_t now_ms, struct accounts_counts *counts);

#endif
