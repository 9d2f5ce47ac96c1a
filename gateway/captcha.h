/* captcha: whoever wants a letter sent to an address shows first that he is no machine, or has paid for it.
 *
 * "none": nothing is asked. "pow": a proof of work that we judge alone: a token is "<challenge>.<number>" of
 * which the SHA-256 begins with so many zero bits; the challenge is ours, good once, and for five minutes
 * (challenge.h). "turnstile": the token is shown to a verifier over HTTPS, in Cloudflare's siteverify form.
 *
 * No address of a client is told to the verifier. */
#ifndef DUCK_GATE_CAPTCHA_H
#define DUCK_GATE_CAPTCHA_H

#include "allow_list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAPTCHA_TOKEN_MAX 2048 /* bytes; siteverify's own limit */
#define CAPTCHA_WITHIN_S 4L    /* the verifier's answer */
#define CAPTCHA_AT_ONCE 4      /* questions to the verifier */
#define CAPTCHA_QUEUE_MAX 64   /* and that wait for one of them to end */
#define CAPTCHA_BITS_MIN 8u
#define CAPTCHA_BITS_MAX 30u
#define CAPTCHA_BITS 18u       /* a quarter of a million hashes: a second in a browser */
#define CAPTCHA_CHALLENGE_SIZE 76 /* as text, with NUL */
#define CAPTCHA_VERIFY_URL "https://challenges.cloudflare.com/turnstile/v0/siteverify"

enum captcha_kind { CAPTCHA_NONE, CAPTCHA_POW, CAPTCHA_TURNSTILE };

struct captcha_settings {
    enum captcha_kind kind;
    unsigned bits;              /* pow */
    const char *secret_path;    /* turnstile: a file 0600, its first line the secret */
    const char *site_key;       /* told to clients */
    const char *verify_url;
    const char *hostname;       /* that a token must be of; NULL or "": any */
    const char *ca_file;        /* certificates to trust instead of the system's; NULL or "": those */
    struct allow_list allowed;  /* addresses of the verifier beside public ones; also without TLS */
    uint64_t (*wall_ms)(void *context); /* NULL: the system's clock */
    void (*trouble)(void *context, const char *text);
    void *context;
};

struct captcha;

int captcha_open(struct captcha **opened, const struct captcha_settings *settings);
void captcha_close(struct captcha *captcha); /* NULL is fine; answers what was asked */

enum captcha_verdict {
    CAPTCHA_TAKEN,
    CAPTCHA_MISSING,     /* 422, "captcha_token" */
    CAPTCHA_REFUSED,     /* 422, "captcha_token": wrong, over, or used before */
    CAPTCHA_UNAVAILABLE, /* 503: the verifier does not answer, or does not know us */
    CAPTCHA_BUSY,        /* 503: too many ask at once */
};
const char *captcha_verdict_text(enum captcha_verdict verdict); /* a sentence for people */
const char *captcha_verdict_code(enum captcha_verdict verdict); /* "captcha_needed", … */

/* `done` is called once, perhaps before this returns, perhaps on another thread. `token` NULL: none. */
typedef void captcha_done(void *context, enum captcha_verdict verdict);
void captcha_judge(struct captcha *captcha, const char *token, captcha_done *done, void *context);

/* What is asked of clients now. */
struct captcha_question {
    enum captcha_kind kind;
    const char *site_key;                   /* turnstile */
    char challenge[CAPTCHA_CHALLENGE_SIZE]; /* pow */
    unsigned bits;
    uint64_t ends_ms;
};
void captcha_ask(struct captcha *captcha, struct captcha_question *question);

bool captcha_kind_of(const char *word, enum captcha_kind *kind); /* "none", "pow", "turnstile" */
const char *captcha_kind_word(enum captcha_kind kind);

#endif
