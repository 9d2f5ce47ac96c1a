/* webhook: where events are told, which of them, and how a delivery is signed.
 *
 * Headers are those of Standard Webhooks 1.0 (github.com/standard-webhooks/standard-webhooks):
 * webhook-id, webhook-timestamp, and webhook-signature with "v1" (HMAC-SHA256 under the secret) and
 * "v1a" (Ed25519) over "id.timestamp.body". Beside them X-Space-Duck-Event names the event, and
 * X-Space-Duck-Signature is "sha256=" and the hex HMAC-SHA256 of the body alone, under the secret's
 * text as it was shown: for receivers that know no more. It does not tell a repeated delivery. */
#ifndef DUCK_GATE_WEBHOOK_H
#define DUCK_GATE_WEBHOOK_H

#include "core/id.h"
#include "gate_key.h"
#include "happening.h"

#define WEBHOOK_NAME_SIZE 21       /* "whk_", 16 characters, NUL */
#define WEBHOOK_URL_MAX 2048u      /* bytes */
#define WEBHOOK_ACTION_MAX 64u     /* bytes of the pattern */
#define WEBHOOK_SECRET_SIZE 32u    /* bytes */
#define WEBHOOK_SEALED_SIZE 72u    /* nonce, secret, tag */
#define WEBHOOK_SECRET_TEXT_SIZE 51 /* "whsec_", 44 of base64, NUL */
#define WEBHOOK_PUBLIC_TEXT_SIZE 50 /* "whpk_", 44 of base64, NUL */
#define WEBHOOK_SIGNATURES_SIZE 256
#define WEBHOOK_HEX_SIZE 72         /* "sha256=", 64 characters, NUL */
#define WEBHOOK_OVERLAP_MAX_S (7 * 24 * 3600u)
#define WEBHOOK_OVERLAP_S (24 * 3600u) /* unless another is asked for */

enum webhook_state { WEBHOOK_ON, WEBHOOK_OFF, WEBHOOK_GONE /* it answered 410 */ };

/* Which events. What an event does not have does not keep it away: a hatch has no action. */
struct webhook_filter {
    uint32_t kinds;      /* bits of enum happening */
    struct id duckling;  /* zero: any */
    char action[WEBHOOK_ACTION_MAX + 1]; /* see peck_scope_covers; "": any */
    unsigned least_tier; /* of the other end; of a tier_change the new one */
};

struct webhook_subject {
    enum happening happening;
    struct id duckling;
    const char *action; /* "": none */
    unsigned tier;      /* of the other end; 0 when it is not known */
};
bool webhook_wants(const struct webhook_filter *filter, const struct webhook_subject *subject);

/* May who acts for `only` (zero: for all) see it? */
bool webhook_is_for(const struct webhook_filter *filter, const struct id *only);

enum webhook_url_verdict {
    WEBHOOK_URL_GOOD,
    WEBHOOK_URL_TOO_LONG,
    WEBHOOK_URL_MALFORMED,
    WEBHOOK_URL_SCHEME,   /* neither https nor http */
    WEBHOOK_URL_SECRETS,  /* a user or password in it: it would be shown in lists */
    WEBHOOK_URL_FRAGMENT, /* is never sent */
};
const char *webhook_url_text(enum webhook_url_verdict verdict);
/* `*host` is a hash of host and port in lower case: webhooks of one receiver share it. */
enum webhook_url_verdict webhook_url_judge(const char *url, uint64_t *host);

void webhook_name_make(char name[WEBHOOK_NAME_SIZE]);

/* ---- secrets ---- */

void webhook_secret_make(uint8_t secret[WEBHOOK_SECRET_SIZE]);
/* At rest: XChaCha20-Poly1305 under a key of the gateway's, bound to the webhook's name. */
void webhook_seal(const struct gate_key *key, const char *name,
                  const uint8_t secret[WEBHOOK_SECRET_SIZE], uint8_t sealed[WEBHOOK_SEALED_SIZE]);
bool webhook_unseal(const struct gate_key *key, const char *name,
                    const uint8_t sealed[WEBHOOK_SEALED_SIZE], uint8_t secret[WEBHOOK_SECRET_SIZE]);
const char *webhook_secret_text(const uint8_t secret[WEBHOOK_SECRET_SIZE],
                                char text[WEBHOOK_SECRET_TEXT_SIZE]);
/* The webhook's own, made from the gateway's key and its name: nothing of another's fits it. */
const char *webhook_public_text(const struct gate_key *key, const char *name,
                                char text[WEBHOOK_PUBLIC_TEXT_SIZE]);

/* ---- signatures ---- */

struct webhook_signing {
    const struct gate_key *key;
    const char *name;           /* of the webhook */
    const uint8_t *secret;      /* WEBHOOK_SECRET_SIZE bytes */
    const uint8_t *old_secret;  /* signs too; NULL: none */
    const char *id;             /* of the message: the same at each attempt */
    uint64_t at_s;              /* of the attempt */
    const char *body;
};
void webhook_sign(const struct webhook_signing *signing, char signatures[WEBHOOK_SIGNATURES_SIZE],
                  char hex[WEBHOOK_HEX_SIZE]);

#endif
