#include "session.h"

#include "core/binary_data.h"
#include "limits.h"
#include "wire/session.pb-c.h"

#include <assert.h>
#include <sodium.h>

#define PROLOGUE_MAX (16 + 1 + NETWORK_ID_MAX + ID_SIZE)
#define HELLO_MAX (SESSION_HANDSHAKE_MAX - 256)

/* Who seals and who opens may be two threads: what each writes stands at its own end, with what
 * nobody writes any more between them. */
struct session {
    struct noise_cipher send;
    uint8_t *frame; /* the handshake frame to send; given back by the first seal */

    bool is_caller, is_up;
    bool noticed; /* a notice was sent, or came: there is no second one */
    bool callee_known;
    struct session_settings settings;
    uint8_t network[NETWORK_ID_MAX];
    struct id callee; /* whom the caller means; of the callee: itself */
    struct id peer;
    uint8_t callee_key[NOISE_KEY_SIZE];
    uint8_t ephemeral[2][NOISE_KEY_SIZE];
    struct noise_handshake handshake;
    uint8_t hash[NOISE_HASH_SIZE];
    struct arena memory; /* of the peer's introduction */
    struct introduction introduction;
    bool introduced;
    uint32_t peer_protocol;
    int64_t skew_ms;
    uint64_t frames_max;

    struct noise_cipher receive;
    bool refused; /* for good: a stream does not mend */
    const char *reason;
    uint8_t *inner; /* an inner frame of more than one part */
    size_t inner_size, inner_capacity;
    bool inner_is_whole; /* handed out: goes at the next call */
};

const char *session_verdict_text(enum session_verdict verdict)
{
    switch (verdict) {
    case SESSION_TAKEN:
        return "taken";
    case SESSION_UP:
        return "up";
    case SESSION_START_AGAIN:
        return "starting again with the key that was learned";
    case SESSION_OUT_OF_TURN:
        return "a frame that is not due";
    case SESSION_MALFORMED:
        return "not a well-formed frame";
    case SESSION_BAD_TAG:
        return "sealed with other keys, or changed on the way";
    case SESSION_WRONG_PEER:
        return "another node answered than the one that was meant";
    case SESSION_PEER_REFUSED:
        return "the other node's introduction does not hold";
    case SESSION_TOO_LONG:
        return "a frame longer than allowed";
    case SESSION_WORN_OUT:
        return "the session has carried as many frames as it may";
    }
    return "";
}

/* ---- birth ---- */

static size_t write_prologue(const struct session *session, uint8_t prologue[PROLOGUE_MAX])
{
    static const char name[] = "duck/session/1"; /* with its NUL */
    size_t size = sizeof name;

    memcpy(prologue, name, size);
    prologue[size++] = (uint8_t)session->settings.network.size;
    memcpy(prologue + size, session->network, session->settings.network.size);
    size += session->settings.network.size;
    memcpy(prologue + size, session->callee.bytes, ID_SIZE);
    return size + ID_SIZE;
}

static struct session *session_new(const struct session_settings *settings, bool is_caller)
{
    struct session *session = memory_take(sizeof *session);

    assert(settings->network.size > 0 && settings->network.size <= NETWORK_ID_MAX);
    session->settings = *settings;
    if (settings->protocol == 0)
        session->settings.protocol = SESSION_PROTOCOL;
    session->is_caller = is_caller;
    memcpy(session->network, settings->network.data, settings->network.size);
    session->settings.network.data = session->network;
    session->frame = memory_take(SESSION_HANDSHAKE_MAX);
    session->reason = "";
    session->frames_max = settings->frames_max ? settings->frames_max : SESSION_FRAMES_MAX;
    arena_init(&session->memory, PARSE_BUDGET(SESSION_HANDSHAKE_MAX) + CHAIN_SIZE_MAX);
    return session;
}

static void begin(struct session *session, const uint8_t ephemeral[NOISE_KEY_SIZE])
{
    uint8_t prologue[PROLOGUE_MAX];
    struct noise_pair e;

    noise_pair_from_secret(&e, ephemeral);
    noise_begin(&session->handshake, &noise_xk, session->is_caller,
                bytes_of(prologue, write_prologue(session, prologue)),
                &session->settings.static_pair, &e, session->is_caller ? session->callee_key : NULL,
                NULL);
    sodium_memzero(&e, sizeof e);
}

static void put(struct session *session, struct session_output *output, enum session_frame type,
                size_t size)
{
    output->type = type;
    output->body = bytes_of(session->frame, size);
}

/* The first message is as long as what may answer it, so that nobody is made to send more than
 * he was sent. */
static enum noise_verdict write_first(struct session *session, struct session_output *output)
{
    static const uint8_t zeros[SESSION_FIRST_SIZE - NOISE_KEY_SIZE - NOISE_TAG_SIZE];
    enum noise_verdict verdict;
    size_t size = 0;

    verdict = noise_write(&session->handshake, bytes_of(zeros, sizeof zeros), session->frame,
                          SESSION_HANDSHAKE_MAX, &size);
    put(session, output, SESSION_FIRST, size);
    return verdict;
}

/* A first message that no key opens: what a caller who does not know the key sends. */
static void write_question(struct session *session, struct session_output *output)
{
    uint8_t nonce[crypto_stream_chacha20_NONCEBYTES] = {0};

    memset(session->frame, 0, SESSION_FIRST_SIZE);
    crypto_stream_chacha20_xor(session->frame, session->frame, SESSION_FIRST_SIZE, nonce,
                               session->ephemeral[0]);
    put(session, output, SESSION_FIRST, SESSION_FIRST_SIZE);
}

struct session *session_new_caller(const struct session_settings *settings, const struct id *callee,
                                   const uint8_t *callee_key, const uint8_t ephemeral[64],
                                   struct session_output *output)
{
    struct session *session = session_new(settings, true);

    memcpy(session->ephemeral, ephemeral, sizeof session->ephemeral);
    if (callee && !id_is_zero(callee)) {
        session->callee = session->peer = *callee;
        session->callee_known = true;
    }
    if (callee_key && session->callee_known) {
        memcpy(session->callee_key, callee_key, NOISE_KEY_SIZE);
        begin(session, session->ephemeral[0]);
        if (write_first(session, output) == NOISE_TAKEN)
            return session;
        sodium_memzero(&session->handshake, sizeof session->handshake);
        /* A weak key in its record: ask for the notice, which may hold a better one. */
    }
    write_question(session, output);
    return session;
}

struct session *session_new_callee(const struct session_settings *settings,
                                   const uint8_t ephemeral[32])
{
    struct session *session = session_new(settings, false);

    session->callee = settings->self;
    memcpy(session->ephemeral[0], ephemeral, NOISE_KEY_SIZE);
    return session; /* a connection that says nothing has cost no curve arithmetic */
}

static void forget_inner(struct session *session)
{
    if (session->inner)
        sodium_memzero(session->inner, session->inner_size);
    memory_give_back(session->inner);
    session->inner = NULL;
    session->inner_size = session->inner_capacity = 0;
    session->inner_is_whole = false;
}

void session_free(struct session *session)
{
    if (!session)
        return;
    arena_free(&session->memory);
    memory_give_back(session->frame); /* sealed, or public */
    forget_inner(session);
    sodium_memzero(session, sizeof *session);
    memory_give_back(session);
}

/* ---- handshake ---- */

static enum session_verdict refuse(struct session *session, enum session_verdict verdict,
                                   const char *reason)
{
    session->reason = reason;
    session->refused = true;
    return verdict;
}

static void come_up(struct session *session)
{
    noise_split(&session->handshake, &session->send, &session->receive);
    memcpy(session->hash, session->handshake.h, NOISE_HASH_SIZE);
    sodium_memzero(session->ephemeral, sizeof session->ephemeral);
    sodium_memzero(session->settings.static_pair.secret, NOISE_KEY_SIZE);
    session->is_up = true;
}

static size_t write_callee_hello(uint32_t protocol, uint64_t wall_ms, uint8_t *out)
{
    Duck__CalleeHello hello = DUCK__CALLEE_HELLO__INIT;

    hello.protocol = protocol;
    hello.wall_ms = wall_ms;
    return duck__callee_hello__pack(&hello, out);
}

/* The first message was for another key of ours, or for none: say which one we have. Once. */
static enum session_verdict write_notice(struct session *session, struct session_output *output)
{
    struct bytes introduction = session->settings.introduction;

    if (session->noticed)
        return refuse(session, SESSION_BAD_TAG, "a second first message does not open either");
    if (introduction.size > SESSION_HANDSHAKE_MAX)
        return refuse(session, SESSION_TOO_LONG, "our introduction does not fit into a frame");
    session->noticed = true;
    memcpy(session->frame, introduction.data, introduction.size);
    put(session, output, SESSION_NOTICE, introduction.size);
    return SESSION_TAKEN;
}

static enum session_verdict receive_first(struct session *session, struct bytes body,
                                          uint64_t wall_ms, struct session_output *output)
{
    uint8_t payload[SESSION_FIRST_SIZE], hello[64];
    size_t size;

    if (body.size != SESSION_FIRST_SIZE)
        return refuse(session, SESSION_MALFORMED, "a first message has 1024 bytes");
    if (session->handshake.next_message != 0)
        return refuse(session, SESSION_OUT_OF_TURN, "the handshake is further along");
    if (!session->handshake.pattern)
        begin(session, session->ephemeral[0]);
    if (noise_read(&session->handshake, body, payload, sizeof payload, &size) != NOISE_TAKEN)
        return write_notice(session, output);
    if (noise_write(&session->handshake,
                    bytes_of(hello, write_callee_hello(session->settings.protocol, wall_ms, hello)),
                    session->frame, SESSION_HANDSHAKE_MAX, &size) != NOISE_TAKEN)
        return refuse(session, SESSION_BAD_TAG, "a weak ephemeral key");
    put(session, output, SESSION_SECOND, size);
    return SESSION_TAKEN;
}

/* Of an introduction that holds. */
static const char *no_member(const struct session *session, const struct introduction *introduction,
                             uint64_t wall_ms)
{
    enum fleet_verdict verdict = fleet_judge(session->settings.fleet, &introduction->record,
                                             &introduction->content, wall_ms);

    return verdict == FLEET_MEMBER ? NULL : fleet_verdict_text(verdict);
}

static enum session_verdict receive_notice(struct session *session, struct bytes body,
                                           uint64_t wall_ms, struct session_output *output)
{
    enum introduction_verdict verdict;

    if (session->noticed)
        return refuse(session, SESSION_OUT_OF_TURN, "a notice comes once, and first");
    verdict = introduction_open(body, session->settings.network, wall_ms, &session->memory,
                                &session->introduction);
    if (verdict != INTRODUCTION_TAKEN)
        return refuse(session, SESSION_PEER_REFUSED, introduction_verdict_text(verdict));
    session->peer = session->introduction.node;
    if (id_equal(&session->peer, &session->settings.self))
        return refuse(session, SESSION_WRONG_PEER, "it is this node itself");
    if (session->callee_known && !id_equal(&session->introduction.node, &session->callee))
        return refuse(session, SESSION_WRONG_PEER, "another node answers at this address");
    if (no_member(session, &session->introduction, wall_ms))
        return refuse(session, SESSION_PEER_REFUSED,
                      no_member(session, &session->introduction, wall_ms));
    session->introduced = session->noticed = true;
    session->callee = session->peer;
    memcpy(session->callee_key, session->introduction.content.session_key, NOISE_KEY_SIZE);
    begin(session, session->ephemeral[1]);
    if (write_first(session, output) != NOISE_TAKEN)
        return refuse(session, SESSION_PEER_REFUSED, "its session key is weak");
    return SESSION_START_AGAIN;
}

static size_t write_caller_hello(const struct session *session, uint64_t wall_ms,
                                 uint8_t out[HELLO_MAX])
{
    Duck__CallerHello hello = DUCK__CALLER_HELLO__INIT;
    Duck__Introduction *introduction;
    size_t size;

    introduction = duck__introduction__unpack(NULL, session->settings.introduction.size,
                                              session->settings.introduction.data);
    assert(introduction); /* ours */
    hello.protocol = session->settings.protocol;
    hello.wall_ms = wall_ms;
    hello.caller.data = (uint8_t *)(uintptr_t)session->settings.self.bytes;
    hello.caller.len = ID_SIZE;
    hello.callee.data = (uint8_t *)(uintptr_t)session->callee.bytes;
    hello.callee.len = ID_SIZE;
    hello.introduction = introduction;
    size = duck__caller_hello__get_packed_size(&hello);
    size = size > HELLO_MAX ? 0 : duck__caller_hello__pack(&hello, out);
    duck__introduction__free_unpacked(introduction, NULL);
    return size;
}

static bool read_callee_hello(struct session *session, struct bytes payload, uint64_t wall_ms)
{
    Duck__CalleeHello *hello;
    struct arena arena;
    bool is_well_formed;

    arena_init(&arena, PARSE_BUDGET(payload.size));
    hello =
        duck__callee_hello__unpack(arena_protobuf_allocator(&arena), payload.size, payload.data);
    is_well_formed = hello && hello->protocol > 0;
    if (is_well_formed)
        session->peer_protocol = hello->protocol;
    if (is_well_formed)
        session->skew_ms = (int64_t)(hello->wall_ms - wall_ms);
    arena_free(&arena);
    return is_well_formed;
}

static enum session_verdict receive_second(struct session *session, struct bytes body,
                                           uint64_t wall_ms, struct session_output *output)
{
    uint8_t payload[SESSION_HANDSHAKE_MAX], hello[HELLO_MAX];
    size_t size;

    if (session->handshake.next_message != 1)
        return refuse(session, SESSION_OUT_OF_TURN, "no first message was sent with a key");
    if (noise_read(&session->handshake, body, payload, sizeof payload, &size) != NOISE_TAKEN)
        return refuse(session, SESSION_BAD_TAG, "the second message does not open");
    if (!read_callee_hello(session, bytes_of(payload, size), wall_ms))
        return refuse(session, SESSION_MALFORMED, "the second message is not well-formed");
    size = write_caller_hello(session, wall_ms, hello);
    if (size == 0 || noise_write(&session->handshake, bytes_of(hello, size), session->frame,
                                 SESSION_HANDSHAKE_MAX, &size) != NOISE_TAKEN)
        return refuse(session, SESSION_TOO_LONG, "our introduction does not fit into a frame");
    put(session, output, SESSION_THIRD, size);
    come_up(session);
    return SESSION_UP;
}

/* The caller is who its introduction proves, and the key it used is the one certified there. */
static enum session_verdict judge_caller(struct session *session, const Duck__CallerHello *hello,
                                         uint64_t wall_ms)
{
    struct introduction *introduction = &session->introduction;
    enum introduction_verdict verdict;
    struct id caller, callee;
    struct bytes wire;

    if (!hello || hello->protocol == 0 || !hello->introduction ||
        hello->introduction->base.n_unknown_fields > 0 ||
        !id_from_bytes(borrowed(hello->caller), &caller) ||
        !id_from_bytes(borrowed(hello->callee), &callee))
        return refuse(session, SESSION_MALFORMED, "the third message is not well-formed");
    if (!id_equal(&callee, &session->settings.self))
        return refuse(session, SESSION_WRONG_PEER, "it means another node");
    if (id_equal(&caller, &session->settings.self))
        return refuse(session, SESSION_WRONG_PEER, "it is this node itself");
    wire = introduction_pack(borrowed(hello->introduction->chain),
                             borrowed(hello->introduction->record), &session->memory);
    verdict =
        introduction_open(wire, session->settings.network, wall_ms, &session->memory, introduction);
    if (verdict != INTRODUCTION_TAKEN)
        return refuse(session, SESSION_PEER_REFUSED, introduction_verdict_text(verdict));
    if (!id_equal(&caller, &introduction->node))
        return refuse(session, SESSION_WRONG_PEER, "it names another caller than it proves");
    if (memcmp(introduction->content.session_key, session->handshake.rs, NOISE_KEY_SIZE) != 0)
        return refuse(session, SESSION_PEER_REFUSED, "its record certifies another session key");
    if (no_member(session, introduction, wall_ms))
        return refuse(session, SESSION_PEER_REFUSED, no_member(session, introduction, wall_ms));
    session->introduced = true;
    session->peer = caller;
    session->peer_protocol = hello->protocol;
    session->skew_ms = (int64_t)(hello->wall_ms - wall_ms);
    return SESSION_UP;
}

static enum session_verdict receive_third(struct session *session, struct bytes body,
                                          uint64_t wall_ms)
{
    uint8_t payload[SESSION_HANDSHAKE_MAX];
    Duck__CallerHello *hello;
    enum session_verdict verdict;
    struct arena arena;
    size_t size;

    if (session->handshake.next_message != 2)
        return refuse(session, SESSION_OUT_OF_TURN, "no second message was sent");
    if (noise_read(&session->handshake, body, payload, sizeof payload, &size) != NOISE_TAKEN)
        return refuse(session, SESSION_BAD_TAG, "the third message does not open");
    arena_init(&arena, PARSE_BUDGET(size));
    hello = duck__caller_hello__unpack(arena_protobuf_allocator(&arena), size, payload);
    verdict = judge_caller(session, hello, wall_ms);
    arena_free(&arena);
    if (verdict == SESSION_UP)
        come_up(session);
    return verdict;
}

enum session_verdict session_receive(struct session *session, enum session_frame type,
                                     struct bytes body, uint64_t wall_ms,
                                     struct session_output *output)
{
    output->body = bytes_of(NULL, 0);
    if (session->is_up || session->refused)
        return refuse(session, SESSION_OUT_OF_TURN, "the handshake is over");
    if (body.size > SESSION_HANDSHAKE_MAX)
        return refuse(session, SESSION_TOO_LONG, "a handshake frame has at most 8192 bytes");
    if (type == SESSION_FIRST && !session->is_caller)
        return receive_first(session, body, wall_ms, output);
    if (type == SESSION_THIRD && !session->is_caller)
        return receive_third(session, body, wall_ms);
    if (type == SESSION_SECOND && session->is_caller)
        return receive_second(session, body, wall_ms, output);
    if (type == SESSION_NOTICE && session->is_caller)
        return receive_notice(session, body, wall_ms, output);
    return refuse(session, SESSION_OUT_OF_TURN, "a frame that this side never gets");
}

/* ---- what is known ---- */

bool session_is_up(const struct session *session)
{
    return session->is_up;
}

bool session_is_caller(const struct session *session)
{
    return session->is_caller;
}

const struct introduction *session_peer(const struct session *session)
{
    return session->introduced ? &session->introduction : NULL;
}

struct id session_peer_id(const struct session *session)
{
    return session->peer;
}

uint32_t session_peer_protocol(const struct session *session)
{
    return session->peer_protocol;
}

int64_t session_peer_skew_ms(const struct session *session)
{
    return session->skew_ms;
}

const uint8_t *session_hash(const struct session *session)
{
    return session->hash;
}

const char *session_reason(const struct session *session)
{
    return session->reason;
}

/* ---- frames ---- */

enum session_verdict session_seal(struct session *session, struct bytes part, bool more_follow,
                                  uint8_t *out, size_t *size)
{
    if (!session->is_up)
        return SESSION_OUT_OF_TURN;
    if (part.size > SESSION_PART_MAX)
        return SESSION_TOO_LONG;
    if (session->send.nonce >= session->frames_max)
        return SESSION_WORN_OUT;
    if (session->frame) {
        memory_give_back(session->frame);
        session->frame = NULL;
    }
    /* Sealed where it will lie: the part stands behind its flag and is encrypted in place. */
    if (part.size > 0 && part.data != out + 1)
        memmove(out + 1, part.data, part.size);
    out[0] = more_follow;
    *size = 1 + part.size + NOISE_TAG_SIZE;
    return noise_seal(&session->send, bytes_of(out, 1 + part.size), out) == NOISE_TAKEN
               ? SESSION_TAKEN
               : SESSION_WORN_OUT;
}

static bool gather(struct session *session, struct bytes part)
{
    size_t wanted = session->inner_size + part.size;

    if (wanted > SESSION_INNER_MAX)
        return false;
    if (wanted > session->inner_capacity) {
        session->inner_capacity = wanted * 2 < SESSION_INNER_MAX ? wanted * 2 : SESSION_INNER_MAX;
        session->inner = memory_resize(session->inner, session->inner_capacity);
    }
    if (part.size > 0)
        memcpy(session->inner + session->inner_size, part.data, part.size);
    session->inner_size = wanted;
    return true;
}

static enum session_verdict open_part(struct session *session, uint8_t *sealed, size_t size)
{
    if (size < 1 + NOISE_TAG_SIZE || size > SESSION_SEALED_MAX)
        return refuse(session, SESSION_MALFORMED, "a sealed frame has 17 to 32785 bytes");
    if (session->receive.nonce >= session->frames_max)
        return refuse(session, SESSION_WORN_OUT, "it sent as many frames as a session may carry");
    if (noise_open(&session->receive, bytes_of(sealed, size), sealed) != NOISE_TAKEN)
        return refuse(session, SESSION_BAD_TAG, "a frame that is not the next one it sealed");
    if (sealed[0] > 1)
        return refuse(session, SESSION_MALFORMED, "a part is the last one, or more follow");
    if (sealed[0] == 1 && size == 1 + NOISE_TAG_SIZE) /* or they would follow for ever */
        return refuse(session, SESSION_MALFORMED, "an empty part that others follow");
    return SESSION_TAKEN;
}

enum session_verdict session_open(struct session *session, uint8_t *sealed, size_t size,
                                  struct bytes *inner)
{
    enum session_verdict verdict;
    struct bytes part;

    *inner = bytes_of(NULL, 0);
    if (!session->is_up || session->refused)
        return SESSION_OUT_OF_TURN;
    if (session->inner_is_whole)
        forget_inner(session);
    verdict = open_part(session, sealed, size);
    if (verdict != SESSION_TAKEN)
        return verdict;
    part = bytes_of(sealed + 1, size - 1 - NOISE_TAG_SIZE);
    if (sealed[0] == 0 && !session->inner) {
        *inner = part; /* one part, as most have: nothing is copied */
        return SESSION_TAKEN;
    }
    if (!gather(session, part))
        return refuse(session, SESSION_TOO_LONG, "an inner frame of more than 336 KiB");
    if (sealed[0] == 0) {
        *inner = bytes_of(session->inner, session->inner_size);
        session->inner_is_whole = true;
    }
    return SESSION_TAKEN;
}
