/* mail: letters to operators.
 *
 * With a mail server each letter goes out over SMTP (libcurl) on a thread of its own, and is tried
 * again a few times; without one it is at once a file in `<state>/mail/`, which is how an embedded
 * gateway is used: `ducknode mail` shows them. */
#ifndef DUCK_GATE_MAIL_H
#define DUCK_GATE_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAIL_QUEUE_MAX 64 /* letters; one more is dropped and reported */
#define MAIL_TRIES_MAX 3
#define MAIL_TIMEOUT_S 20   /* of one try */
#define MAIL_FILES_MAX 1000 /* in the folder; the oldest goes first */
#define MAIL_TEXT_MAX 4096  /* bytes of a letter's text */

struct mail;

struct mail_settings {
    const char *folder;           /* `<state>/mail`; created 0700. Used when smtp_url is empty */
    const char *smtp_url;         /* "smtp://host:port" or "smtps://…"; NULL or "": files */
    const char *from;             /* NULL: "ducknode@localhost" */
    const char *credentials_path; /* a file 0600 of two lines, user and password; NULL: none */
    bool smtp_in_clear;           /* smtp:// without STARTTLS is allowed (a relay on this host) */
};

struct mail_letter {
    const char *to;      /* validated address */
    const char *subject; /* one line of ASCII */
    const char *text;    /* lines end with \n */
};

/* GATE_FAULT_CONFIG: the settings make no sense. `trouble` is called with a line for the log when
 * a letter could not be sent; it names neither address nor text. */
int mail_open(struct mail **opened, const struct mail_settings *settings,
              void (*trouble)(void *context, const char *text), void *context);
void mail_close(struct mail *mail); /* NULL is fine; tries what is queued once */

/* Copies the letter. False: the queue is full, the file cannot be written, or it is no letter
 * (control characters). */
bool mail_give(struct mail *mail, const struct mail_letter *letter);

/* Waits until the queue is empty: for tests and for closing. */
void mail_flush(struct mail *mail);

#endif
