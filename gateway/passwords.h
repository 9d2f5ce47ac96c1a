/* passwords: argon2id on one thread, so that logins cannot take the machine's memory.
 *
 * Each run takes 64 MiB and some 70 ms (libsodium's INTERACTIVE). A queue of eight, then busy. */
#ifndef DUCK_GATE_PASSWORDS_H
#define DUCK_GATE_PASSWORDS_H

#include <stdbool.h>
#include <stddef.h>

#define PASSWORD_MIN 12        /* characters; no rules of composition (NIST SP 800-63B, 5.1.1.2) */
#define PASSWORD_MAX 1024      /* bytes */
#define PASSWORD_HASH_SIZE 128 /* crypto_pwhash_STRBYTES, with NUL */
#define PASSWORD_QUEUE_MAX 8

enum password_cost { PASSWORD_INTERACTIVE, PASSWORD_LEAST /* for tests */ };

enum password_verdict {
    PASSWORD_TAKEN,
    PASSWORD_TOO_SHORT,
    PASSWORD_TOO_LONG,
};
enum password_verdict password_check(const char *password);

struct passwords;

int passwords_open(struct passwords **opened, enum password_cost cost);
void passwords_close(struct passwords *passwords); /* NULL is fine; finishes what is queued */

/* `hash` is borrowed for the call. NULL: no memory for it. Both are called on the passwords' thread. */
typedef void passwords_hashed(void *context, const char *hash);
typedef void passwords_judged(void *context, bool matches);

/* Copies the password, and wipes its copy afterwards. False: busy, nothing will be called. */
bool passwords_hash(struct passwords *passwords, const char *password, passwords_hashed *done,
                    void *context);

/* `hash` NULL or "": the same work against a hash that nothing matches. */
bool passwords_verify(struct passwords *passwords, const char *password, const char *hash,
                      passwords_judged *done, void *context);

#endif
