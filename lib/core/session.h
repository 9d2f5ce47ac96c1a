/* session: the sealed conversation of two nodes, as a machine without I/O.
 *
 * Noise_XK_25519_ChaChaPoly_SHA256, three messages. The third carries the caller's introduction
 * and binds both ids. A callee that cannot open the first message answers with its own
 * introduction (key notice); the caller checks it against the node it meant to reach and starts
 * again, once. The wire: proto/session.proto.
 *
 * Frames here are without the 4-byte length, which belongs to the transport. */
#ifndef DUCK_CORE_SESSION_H
#define DUCK_CORE_SESSION_H

#include "fleet.h"
#include "introduction.h"
#include "noise.h"

enum session_frame {
    SESSION_FIRST = 1,
    SESSION_SECOND = 2,
    SESSION_THIRD = 3,
    SESSION_NOTICE = 4,
    SESSION_SEALED = 5,
};

#define SESSION_PROTOCOL 2         /* the highest that is understood here */
#define SESSION_PROTOCOL_BUNDLES 2 /* from this on FRAME_BUNDLE is */
#define SESSION_FIRST_SIZE 1024     /* body of a first message: nothing that answers it is longer by much */
#define SESSION_HANDSHAKE_MAX 8192  /* body of any frame before the session is up */
#define SESSION_PART_MAX 32768      /* inner bytes in one sealed frame; Noise allows 65,519 */
#define SESSION_SEALED_MAX (1 + SESSION_PART_MAX + NOISE_TAG_SIZE) /* body of a sealed frame */
#define SESSION_INNER_MAX FRAME_SIZE_MAX /* of an inner frame, all parts together */

enum session_verdict {
    SESSION_TAKEN,        /* go on; `output` may hold a frame to send */
    SESSION_UP,           /* the handshake is over; `output` may hold the last message */
    SESSION_START_AGAIN,  /* caller: a valid notice came. session_peer() has the key; the next first message is in `output` */
    SESSION_OUT_OF_TURN,
    SESSION_MALFORMED,
    SESSION_BAD_TAG,      /* sealed with other keys, or changed on the way */
    SESSION_WRONG_PEER,   /* a notice or introduction of another node than the one meant */
    SESSION_PEER_REFUSED, /* its introduction does not hold: session_reason() says why */
    SESSION_TOO_LONG,     /* an inner frame over SESSION_INNER_MAX */
    SESSION_WORN_OUT,     /* SESSION_FRAMES_MAX frames went one way */
};

struct session_settings {
    struct bytes network;
    struct id self;
    struct noise_pair static_pair;   /* certified by our node record */
    struct bytes introduction;       /* ours, packed; borrowed for the life of the session's handshake */
    uint64_t frames_max;             /* each way; 0: SESSION_FRAMES_MAX */
    const struct fleet *fleet;       /* borrowed: only its members are taken; NULL: all are */
    uint32_t protocol;               /* that we say we understand; 0: SESSION_PROTOCOL */
};

/* A frame to send; `body` is borrowed until the next call on the session. Empty: nothing. */
struct session_output {
    enum session_frame type;
    struct bytes body;
};

struct session;

const char *session_verdict_text(enum session_verdict verdict);

/* A caller who knows the callee's id and session key, or NULL for what it does not know: without
 * a key it asks for the notice; without an id it takes whoever answers, which session_peer()
 * then tells. `ephemeral` is 64 bytes from the dice, for two tries. `*output` is the first message. */
struct session *session_new_caller(const struct session_settings *settings, const struct id *callee,
                                   const uint8_t *callee_key, const uint8_t ephemeral[64],
                                   struct session_output *output);
struct session *session_new_callee(const struct session_settings *settings,
                                   const uint8_t ephemeral[32]);
void session_free(struct session *session); /* NULL is fine; wipes */

/* A handshake frame came (types 1 to 4). After any refusal the session is of no more use. */
enum session_verdict session_receive(struct session *session, enum session_frame type,
                                     struct bytes body, uint64_t wall_ms,
                                     struct session_output *output);

bool session_is_up(const struct session *session);
bool session_is_caller(const struct session *session);
const struct introduction *session_peer(const struct session *session); /* callee: of the caller, once up; caller: what was learned, or NULL */
struct id session_peer_id(const struct session *session); /* after SESSION_WRONG_PEER: who answered the caller, or zero */
uint32_t session_peer_protocol(const struct session *session); /* the highest that it understands; once up */
int64_t session_peer_skew_ms(const struct session *session); /* peer's date less ours */
const uint8_t *session_hash(const struct session *session);  /* NOISE_HASH_SIZE; names the session on both sides */
const char *session_reason(const struct session *session);   /* of the last refusal */

/* Seals one part of an inner frame. `out` needs 1 + part.size + NOISE_TAG_SIZE bytes; it gets the
 * body of a frame of type SESSION_SEALED. A part that lies at out + 1 already is not copied.
 * Sending and receiving share no state: two threads may do one each. The first seal gives the
 * memory of the last handshake frame back. */
enum session_verdict session_seal(struct session *session, struct bytes part, bool more_follow,
                                  uint8_t *out, size_t *size);

/* Opens the body of a sealed frame. When it was the last part, `*inner` is the whole inner frame,
 * borrowed until the next call; otherwise inner->data is NULL. `sealed` is overwritten. After any
 * refusal no other frame is opened. */
enum session_verdict session_open(struct session *session, uint8_t *sealed, size_t size,
                                  struct bytes *inner);

#endif
