/* passkey: what an authenticator said, judged (W3C Web Authentication, Level 2, sections 7.1 and 7.2), by
 * libfido2. Values in, verdicts out; whether a challenge is ours and fresh is the caller's to say. */
#ifndef DUCK_GATE_PASSKEY_H
#define DUCK_GATE_PASSKEY_H

#include "core/bytes.h"

#define PASSKEY_CREDENTIAL_MAX 1023  /* bytes of a credential's id; section 4, "Credential ID" */
#define PASSKEY_KEY_MAX 512          /* bytes of a public key as libfido2 has it */
#define PASSKEY_CLIENT_MAX 4096      /* bytes of clientDataJSON */
#define PASSKEY_SAID_MAX 16384       /* bytes of an attestation object, or of authenticator data */
#define PASSKEY_CHALLENGE_MAX 64
#define PASSKEY_ORIGINS_MAX 8

enum passkey_verdict {
    PASSKEY_TAKEN,
    PASSKEY_MALFORMED,       /* does not parse, or is too long */
    PASSKEY_OTHER_USE,       /* registered instead of signed in, or the other way round */
    PASSKEY_OTHER_ORIGIN,    /* made for another page */
    PASSKEY_OTHER_PARTY,     /* made for another relying party */
    PASSKEY_BAD_CHALLENGE,   /* the caller's: not ours, over, or spent */
    PASSKEY_UNVERIFIED,      /* nobody was present, or the user was not verified */
    PASSKEY_OTHER_KIND,      /* a key or an attestation of a kind that is not taken */
    PASSKEY_BAD_ATTESTATION, /* its signature does not hold */
    PASSKEY_BAD_SIGNATURE,   /* neither does this; or the key is not known */
    PASSKEY_COUNTED_BACK,    /* its counter did not go up: there may be two of it */
};
const char *passkey_verdict_text(enum passkey_verdict verdict); /* a sentence for people */

/* Where we are. Without origins, of "localhost" any port is: a page there is on this machine. */
struct passkey_place {
    const char *rp_id; /* a host name */
    const char *origins[PASSKEY_ORIGINS_MAX]; /* "https://duck.example", "http://localhost:7118" */
    size_t origin_count;
};

enum passkey_use { PASSKEY_CREATE, PASSKEY_GET };

/* clientDataJSON: for this use, from this place. Writes the challenge it answers. */
enum passkey_verdict passkey_read_client(const struct passkey_place *place, enum passkey_use use,
                                         struct bytes client_data,
                                         uint8_t challenge[PASSKEY_CHALLENGE_MAX],
                                         size_t *challenge_size);

struct passkey_key {
    uint8_t credential[PASSKEY_CREDENTIAL_MAX];
    size_t credential_size;
    int algorithm; /* of COSE: -7 ES256, -8 EdDSA, -257 RS256 */
    uint8_t key[PASSKEY_KEY_MAX];
    size_t key_size;
    uint32_t counter;
};

/* After passkey_read_client. An attestation that proves something must hold ("packed"); "none" is fine, for
 * we ask for none: no maker of authenticators is preferred. */
enum passkey_verdict passkey_open(const struct passkey_place *place, struct bytes client_data,
                                  struct bytes attestation, struct passkey_key *key);

/* After passkey_read_client. `*counter` is the new one. */
enum passkey_verdict passkey_prove(const struct passkey_place *place, const struct passkey_key *key,
                                   struct bytes client_data, struct bytes authenticator_data,
                                   struct bytes signature, uint32_t *counter);

#endif
