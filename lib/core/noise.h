/* noise: the Noise Protocol Framework (revision 34), for 25519, ChaChaPoly and SHA256.
 *
 * Patterns are data, so that the interpreter is the specification's own section 5.3 and its public
 * vectors for several patterns check it; the product uses XK (session.h) and X (sealed.h). No allocation, no chance:
 * ephemeral keys come in. Words are the specification's. */
#ifndef DUCK_CORE_NOISE_H
#define DUCK_CORE_NOISE_H

#include "bytes.h"

#define NOISE_KEY_SIZE 32
#define NOISE_HASH_SIZE 32
#define NOISE_TAG_SIZE 16
#define NOISE_MESSAGE_MAX 65535

enum noise_token { NOISE_END, NOISE_E, NOISE_S, NOISE_EE, NOISE_ES, NOISE_SE, NOISE_SS, NOISE_PSK };

struct noise_pattern {
    const char *protocol_name;    /* "Noise_XK_25519_ChaChaPoly_SHA256" */
    bool caller_static_known;     /* pre-message: -> s */
    bool callee_static_known;     /* pre-message: <- s */
    size_t message_count;
    enum noise_token messages[4][6]; /* each ends with NOISE_END; caller's first */
};

extern const struct noise_pattern noise_xk;
extern const struct noise_pattern noise_x; /* one way: see sealed.h */

struct noise_cipher {
    uint8_t key[NOISE_KEY_SIZE];
    uint64_t nonce;
    bool keyed;
};

struct noise_pair {
    uint8_t secret[NOISE_KEY_SIZE], public[NOISE_KEY_SIZE];
};

struct noise_handshake {
    const struct noise_pattern *pattern;
    bool is_caller;
    size_t next_message;
    struct noise_pair s, e;
    uint8_t rs[NOISE_KEY_SIZE], re[NOISE_KEY_SIZE];
    bool rs_known;
    uint8_t psk[NOISE_KEY_SIZE];
    uint8_t ck[NOISE_HASH_SIZE], h[NOISE_HASH_SIZE];
    struct noise_cipher cipher;
};

enum noise_verdict {
    NOISE_TAKEN,
    NOISE_TOO_SHORT,
    NOISE_TOO_LONG,
    NOISE_BAD_TAG,       /* not sealed for us, or changed on the way */
    NOISE_WEAK_KEY,      /* a DH with a low-order point: all zeros */
    NOISE_OUT_OF_TURN,
    NOISE_WORN_OUT,      /* the nonce is used up */
};

void noise_pair_from_secret(struct noise_pair *pair, const uint8_t secret[NOISE_KEY_SIZE]);

/* `s` and `rs` may be NULL where the pattern does not need them at the start; `psk` is NULL where
 * it has none. `e` is this side's ephemeral pair, fresh for this handshake. */
void noise_begin(struct noise_handshake *handshake, const struct noise_pattern *pattern,
                 bool is_caller, struct bytes prologue, const struct noise_pair *s,
                 const struct noise_pair *e, const uint8_t *rs, const uint8_t *psk);

/* `out` needs payload.size + 96 + 32 bytes. */
enum noise_verdict noise_write(struct noise_handshake *handshake, struct bytes payload,
                               uint8_t *out, size_t capacity, size_t *size);
/* `payload` needs message.size bytes. On refusal the handshake is unchanged: another message may be tried. */
enum noise_verdict noise_read(struct noise_handshake *handshake, struct bytes message,
                              uint8_t *payload, size_t capacity, size_t *size);
bool noise_is_done(const struct noise_handshake *handshake);

/* After the last message. Wipes the handshake but for `h`, which names the session. One-way
 * patterns use only `send` (caller) and `receive` (callee). */
void noise_split(struct noise_handshake *handshake, struct noise_cipher *send,
                 struct noise_cipher *receive);

/* Transport messages, section 5.1: empty associated data. `out` needs size + NOISE_TAG_SIZE;
 * `in` and `out` may be the same memory. */
enum noise_verdict noise_seal(struct noise_cipher *cipher, struct bytes plain, uint8_t *out);
enum noise_verdict noise_open(struct noise_cipher *cipher, struct bytes sealed, uint8_t *out);

void noise_wipe(void *secret, size_t size);

#endif
