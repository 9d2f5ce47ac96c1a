/* mail: letters to operators.
 *
 * With a mail server each letter is first kept in gateway.db, sealed, and goes out on a thread of its own: a
 * server that is away, slow, or wants to be asked again (greylisting) costs time, not the letter. It is
 * tried 2 s after the first failure, then after twice as long each time up to MAIL_PAUSE_MAX_S, until it is
 * of no use any more. What the server refuses for good is dropped, and the log says so.
 *
 * Without one a letter is at once a file in `<state>/mail/`, which is how an embedded gateway is used:
 * `ducknode mail` shows them. */
#ifndef DUCK_GATE_MAIL_H
#define DUCK_GATE_MAIL_H

#include "gate_key.h"
#include "letters.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAIL_MESSAGE_MAX (2 * LETTER_TEXT_MAX + 2048) /* bytes: header, and every \n as \r\n */
#define MAIL_QUEUE_MAX 10000 /* letters that wait; one more is refused */
#define MAIL_PAUSE_FIRST_S 2
#define MAIL_PAUSE_MAX_S (15 * 60)
#define MAIL_LIFE_MS (24 * 60 * 60 * 1000ull) /* of a letter that does not say */
#define MAIL_FILES_MAX 1000 /* in the folder; the oldest goes first */

struct mail;

struct mail_settings {
    const char *folder;           /* `<state>/mail`; created 0700. Used when smtp_url is empty */
    const char *smtp_url;         /* "smtp://host:port" or "smtps://…"; NULL or "": files */
    const char *from;             /* NULL: "ducknode@localhost" */
    const char *credentials_path; /* a file 0600 of two lines, user and password; NULL: none */
    const char *ca_file;          /* certificates to trust instead of the system's; NULL: those */
    bool smtp_in_clear;           /* smtp:// without STARTTLS is allowed (a relay on this host) */
    const char *store_path;       /* gateway.db, which gate_store_open has seen to; with a server */
    const struct gate_key *key;   /* borrowed until mail_close; with a server */
};

struct mail_letter {
    const char *to;      /* validated address */
    const char *subject; /* one line of ASCII */
    const char *text;    /* lines end with \n */
    uint64_t life_ms;    /* how long it is of use; 0: MAIL_LIFE_MS */
};

/* GATE_FAULT_CONFIG: the settings make no sense. `trouble` is called with a line for the log when
 * a letter could not be sent; it names neither address nor text. */
int mail_open(struct mail **opened, const struct mail_settings *settings,
              void (*trouble)(void *context, const char *text), void *context);
void mail_close(struct mail *mail); /* NULL is fine; what waits is kept for the next start */

/* True: it is on disk. False: the queue is full, the disk does not take it, or it is no letter
 * (control characters). */
bool mail_give(struct mail *mail, const struct mail_letter *letter);

/* Nothing to this address waits any more, and no file is left. False: something could not be removed. */
bool mail_forget(struct mail *mail, const char *to);
/* How many wait for the server; `to` NULL: to anybody. */
uint64_t mail_waiting(struct mail *mail, const char *to);

/* Waits until the queue is empty: for tests. */
void mail_flush(struct mail *mail);

#endif
