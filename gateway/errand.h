/* errand: an order to the accounts, and what the answer is made of.
 *
 * The accounts call back on their own thread with a result that is wiped after the call: what the answer
 * needs of it is kept in the exchange's arena, and the exchange wakes only when all is done. Park first,
 * then order; `errand_started` wakes what could not be ordered. */
#ifndef DUCK_GATE_ERRAND_H
#define DUCK_GATE_ERRAND_H

#include "captcha.h"
#include "exchange.h"

struct errand {
    struct exchange *exchange;
    enum accounts_verdict verdict;
    enum captcha_verdict captcha; /* when it is not taken, nothing was ordered */
    uint32_t retry_after_s;
    uint64_t expires_ms, egg, passkey;
    const char *reason; /* of a passkey, or a fault */
    char bearer[BEARER_TEXT_SIZE];
    char display_name[DISPLAY_NAME_MAX + 1];
    struct id duckling, certificate;
    bool is_queue_full, is_not_hatched; /* by the node: the exchange's reply says why */
    bool has_password;
    unsigned good_status;
    void (*order)(struct errand *errand); /* once the captcha was taken */
    const void *given;                    /* for `order` */
};

/* The exchange's own. */
struct errand *errand_new(struct exchange *exchange, unsigned good_status);

/* True when it went well; else the exchange has its no. */
bool errand_is_fine(struct exchange *exchange);

void errand_done(void *context, const struct accounts_result *result); /* keeps, and wakes */
void errand_started(bool was_taken, struct errand *errand); /* false: the queue is full */

/* For the exchange that is parked: judges the token, then `order`. */
void errand_after_captcha(struct errand *errand, const char *token,
                          void (*order)(struct errand *errand), const void *given);

/* Refuses whoever has no session: a beak key acts as its duckling, not as its operator. */
bool errand_needs_session(struct exchange *exchange);
/* And whose session began longer ago than this: a token that was left lying about must not do it. */
#define FRESH_SESSION_MS (10 * 60 * 1000ull)
bool errand_needs_fresh_session(struct exchange *exchange);

/* ---- answers that several give ---- */
#define EMAIL_TEXT_MAX 1024u /* bytes; the accounts say what is wrong with it */
#define PASSWORD_TEXT_MAX 4096u
#define CODE_TEXT_MAX 32u
#define CAPTCHA_TEXT_MAX 4096u

void errand_tell_mailed(struct exchange *exchange);  /* 202: a code is on its way */
void errand_tell_nothing(struct exchange *exchange); /* 204 */

/* From the arena: the operator's ducklings, oldest first. */
size_t errand_ducklings(struct exchange *exchange, uint64_t operator_id,
                        struct accounts_duckling **ducklings);
json_t *errand_view_duckling(const struct accounts_duckling *duckling);

#endif
