/* account_newsletter: who asked for the newsletter, and proved by a code that the address is his. See
 * accounts.h for orders and `done`; what is known of an address never shows here either. */
#ifndef DUCK_GATE_ACCOUNT_NEWSLETTER_H
#define DUCK_GATE_ACCOUNT_NEWSLETTER_H

#include "accounts.h"

#define SUBSCRIBERS_MAX 1000000
#define UNSUBSCRIBE_TEXT_SIZE 44 /* base64url of 32 bytes, and NUL */

/* Mails a code. TAKEN also when none goes out because the address had its share. */
bool accounts_subscribe(struct accounts *accounts, const char *email, const char *source,
                        accounts_done *done, void *context);
/* BAD_CODE; TAKEN: result.token unsubscribes, for ever. */
bool accounts_confirm(struct accounts *accounts, const char *email, const char *code,
                      accounts_done *done, void *context);
/* `token` as accounts_confirm and the list have it. BAD_TOKEN; TAKEN also when there is nothing to end. */
bool accounts_unsubscribe(struct accounts *accounts, const char *email, const char *token,
                          accounts_done *done, void *context);

/* The confirmed, of a gateway that runs or not, oldest first: `tell` for each. A fault, or 0. */
int newsletter_list(const char *store_path, const char *key_path,
                    void (*tell)(void *context, const char *email, uint64_t confirmed_ms,
                                 const char token[UNSUBSCRIBE_TEXT_SIZE]),
                    void *context);

#endif
