#include "core/intake.h"
#include "core/session.h"

#include "core/limits.h"
#include "wire/session.pb-c.h"

#include <check.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#define WALL_MS 1790000000000ull
#define NETWORK "pond"
#define ROOM (64u * KIB) /* of an inner frame's part, or of a handshake frame */

/* ---- nodes ---- */

struct node {
    struct identity_key *key;
    struct id id;
    struct noise_pair pair;
    struct bytes chain, introduction;
};

static struct arena memory;
static struct node alice, bob, eve;

struct said { /* in a node's record; zero: as it should be */
    const char *network;
    const uint8_t *session_key;
    uint64_t not_after_ms, session_not_after_ms;
};

static struct bytes introduce(const struct node *node, struct said said)
{
    struct node_content content = {.addresses = {bytes_of_text("127.0.0.1:1")},
                                   .address_count = 1,
                                   .software = bytes_of_text("test"),
                                   .display_name = bytes_of_text("node")};
    struct record record = {.network = bytes_of_text(said.network ? said.network : NETWORK),
                            .owner = node->id,
                            .kind = RECORD_NODE,
                            .version = {.ms = WALL_MS - HOUR_MS}};
    struct bytes body, envelope;

    record.not_after_ms = said.not_after_ms ? said.not_after_ms : WALL_MS + DAY_MS;
    content.session_not_after_ms =
        said.session_not_after_ms ? said.session_not_after_ms : WALL_MS + DAY_MS;
    memcpy(content.session_key, said.session_key ? said.session_key : node->pair.public,
           sizeof content.session_key);
    record.content = node_content_pack(&content, &memory);
    ck_assert_int_eq(record_pack(&record, &memory, &body), RECORD_OK);
    envelope = envelope_seal(ENVELOPE_RECORD, &node->id, node->key, body, &memory, NULL);
    return introduction_pack(node->chain, envelope, &memory);
}

static void hatch(struct node *node, uint8_t number)
{
    uint8_t seed[SEED_SIZE];
    struct identity_key *next;
    struct public_key next_public;
    struct certificate_wish wish = {.kind = IDENTITY_NODE,
                                    .display_name = bytes_of_text("node"),
                                    .issued_ms = WALL_MS - DAY_MS,
                                    .not_after_ms = WALL_MS + CERTIFICATE_LIFE_MS};
    struct bytes certificate;

    memset(seed, number, sizeof seed);
    node->key = identity_key_new(seed);
    noise_pair_from_secret(&node->pair, seed);
    memset(seed, number + 100, sizeof seed);
    next = identity_key_new(seed);
    next_public = identity_key_public(next);
    wish.next_key_hash = identity_key_hash(&next_public);
    identity_key_free(next);
    certificate = certificate_make(&wish, node->key, &memory, &node->id);
    node->chain = chain_pack(&certificate, 1, &memory);
    node->introduction = introduce(node, (struct said){0});
}

static void hatch_all(void)
{
    ck_assert(identity_self_test());
    arena_init(&memory, 4 * MIB);
    hatch(&alice, 1);
    hatch(&bob, 2);
    hatch(&eve, 3);
}

static void end_all(void)
{
    identity_key_free(alice.key);
    identity_key_free(bob.key);
    identity_key_free(eve.key);
    arena_free(&memory);
}

static struct session_settings settings_of(const struct node *node)
{
    return (struct session_settings){.network = bytes_of_text(NETWORK),
                                     .self = node->id,
                                     .static_pair = node->pair,
                                     .introduction = node->introduction};
}

static struct session *call(const struct session_settings *settings, const struct id *callee,
                            const uint8_t *key, struct session_output *first)
{
    uint8_t ephemeral[64];

    memset(ephemeral, settings->self.bytes[0], 32);
    memset(ephemeral + 32, settings->self.bytes[1], 32);
    return session_new_caller(settings, callee, key, ephemeral, first);
}

static struct session *answer(const struct session_settings *settings)
{
    uint8_t ephemeral[32];

    memset(ephemeral, settings->self.bytes[2], sizeof ephemeral);
    return session_new_callee(settings, ephemeral);
}

/* ---- two sessions ---- */

/* Alice calls Bob. `output` is the frame that was said last. */
struct talk {
    struct session *caller, *callee;
    struct session_output output;
};

static struct talk talk_new(const struct id *callee, const uint8_t *key)
{
    struct session_settings of_alice = settings_of(&alice), of_bob = settings_of(&bob);
    struct talk talk;

    talk.caller = call(&of_alice, callee, key, &talk.output);
    talk.callee = answer(&of_bob);
    return talk;
}

static void talk_end(struct talk *talk)
{
    session_free(talk->caller);
    session_free(talk->callee);
}

static enum session_verdict hear(struct session *to, struct session_output *output)
{
    struct session_output said = *output;

    return session_receive(to, said.type, said.body, WALL_MS, output);
}

/* The handshake up to and without the hearing of the third message, or of an earlier one. */
static struct talk talk_until(enum session_frame type)
{
    struct talk talk = talk_new(&bob.id, bob.pair.public);

    while (talk.output.type != type)
        ck_assert_int_le(
            hear(talk.output.type == SESSION_FIRST ? talk.callee : talk.caller, &talk.output),
            SESSION_UP);
    return talk;
}

static struct talk talk_up(void)
{
    struct talk talk = talk_until(SESSION_THIRD);

    ck_assert_int_eq(hear(talk.callee, &talk.output), SESSION_UP);
    return talk;
}

static void expect_up(const struct talk *talk)
{
    struct id id;

    ck_assert(session_is_up(talk->caller) && session_is_up(talk->callee));
    ck_assert_mem_eq(session_hash(talk->caller), session_hash(talk->callee), NOISE_HASH_SIZE);
    id = session_peer_id(talk->caller);
    ck_assert(id_equal(&id, &bob.id));
    id = session_peer_id(talk->callee);
    ck_assert(id_equal(&id, &alice.id));
    ck_assert(bytes_equal(session_peer(talk->callee)->wire, alice.introduction));
}

static size_t seal(struct session *session, struct bytes part, bool more_follow, uint8_t *out)
{
    size_t size = 0;

    ck_assert_int_eq(session_seal(session, part, more_follow, out, &size), SESSION_TAKEN);
    ck_assert_uint_eq(size, 1 + part.size + NOISE_TAG_SIZE);
    return size;
}

static void expect_text(struct session *from, struct session *to, const char *text)
{
    uint8_t sealed[256];
    struct bytes inner;
    size_t size = seal(from, bytes_of_text(text), false, sealed);

    ck_assert_int_eq(session_open(to, sealed, size, &inner), SESSION_TAKEN);
    ck_assert(bytes_equal(inner, bytes_of_text(text)));
}

/* ---- the handshake ---- */

START_TEST(a_known_node_is_reached_in_three_messages)
{
    struct talk talk = talk_new(&bob.id, bob.pair.public);

    ck_assert_int_eq(talk.output.type, SESSION_FIRST);
    ck_assert_uint_eq(talk.output.body.size, SESSION_FIRST_SIZE);
    ck_assert_int_eq(hear(talk.callee, &talk.output), SESSION_TAKEN);
    ck_assert_int_eq(talk.output.type, SESSION_SECOND);
    ck_assert_int_eq(hear(talk.caller, &talk.output), SESSION_UP);
    ck_assert_int_eq(talk.output.type, SESSION_THIRD);
    ck_assert(!session_is_up(talk.callee));
    ck_assert_int_eq(hear(talk.callee, &talk.output), SESSION_UP);
    ck_assert_uint_eq(talk.output.body.size, 0);
    expect_up(&talk);
    ck_assert(session_is_caller(talk.caller) && !session_is_caller(talk.callee));
    ck_assert_ptr_null(session_peer(talk.caller)); /* nothing had to be learned */
    expect_text(talk.caller, talk.callee, "quack");
    expect_text(talk.callee, talk.caller, "quack, quack");
    talk_end(&talk);
}
END_TEST

START_TEST(each_side_sees_how_far_the_others_clock_is_off)
{
    struct talk talk = talk_new(&bob.id, bob.pair.public);
    struct session_output said = talk.output;

    session_receive(talk.callee, said.type, said.body, WALL_MS + 1000, &talk.output);
    ck_assert_int_eq(hear(talk.caller, &talk.output), SESSION_UP);
    said = talk.output;
    session_receive(talk.callee, said.type, said.body, WALL_MS + 1500, &talk.output);
    ck_assert_int_eq(session_peer_skew_ms(talk.caller), 1000);
    ck_assert_int_eq(session_peer_skew_ms(talk.callee), -1500);
    talk_end(&talk);
}
END_TEST

static void expect_notice_leads_up(struct talk *talk)
{
    ck_assert_uint_eq(talk->output.body.size, SESSION_FIRST_SIZE);
    ck_assert_int_eq(hear(talk->callee, &talk->output), SESSION_TAKEN);
    ck_assert_int_eq(talk->output.type, SESSION_NOTICE);
    ck_assert(bytes_equal(talk->output.body, bob.introduction));
    ck_assert_int_eq(hear(talk->caller, &talk->output), SESSION_START_AGAIN);
    ck_assert_int_eq(talk->output.type, SESSION_FIRST);
    ck_assert(bytes_equal(session_peer(talk->caller)->wire, bob.introduction));
    ck_assert_int_eq(hear(talk->callee, &talk->output), SESSION_TAKEN);
    ck_assert_int_eq(hear(talk->caller, &talk->output), SESSION_UP);
    ck_assert_int_eq(hear(talk->callee, &talk->output), SESSION_UP);
    expect_up(talk);
    expect_text(talk->caller, talk->callee, "quack");
    talk_end(talk);
}

START_TEST(an_old_key_is_renewed_by_a_notice)
{
    struct talk talk = talk_new(&bob.id, eve.pair.public);

    expect_notice_leads_up(&talk);
}
END_TEST

START_TEST(who_has_no_key_asks_for_the_notice)
{
    struct talk talk = talk_new(&bob.id, NULL);

    expect_notice_leads_up(&talk);
}
END_TEST

START_TEST(who_knows_an_address_only_takes_whoever_answers)
{
    struct talk talk = talk_new(NULL, NULL);

    expect_notice_leads_up(&talk);
}
END_TEST

START_TEST(a_weak_key_in_a_record_is_no_key)
{
    static const uint8_t zeros[NOISE_KEY_SIZE];
    struct talk talk = talk_new(&bob.id, zeros);

    expect_notice_leads_up(&talk);
}
END_TEST

START_TEST(a_question_looks_like_chance_and_differs_each_time)
{
    struct talk talk = talk_new(NULL, NULL);
    struct session_settings of_eve = settings_of(&eve);
    struct session_output other;
    struct session *session = call(&of_eve, NULL, NULL, &other);
    size_t zeros = 0;

    for (size_t i = 0; i < SESSION_FIRST_SIZE; i++)
        zeros += talk.output.body.data[i] == 0;
    ck_assert_uint_lt(zeros, 32); /* 4 are expected */
    ck_assert(!bytes_equal(talk.output.body, other.body));
    session_free(session);
    talk_end(&talk);
}
END_TEST

/* ---- notices that are refused ---- */

static void expect_notice_refused(const struct id *callee, struct bytes notice,
                                  enum session_verdict verdict)
{
    struct talk talk = talk_new(callee, NULL);
    struct session_output output;

    ck_assert_int_eq(session_receive(talk.caller, SESSION_NOTICE, notice, WALL_MS, &output),
                     verdict);
    ck_assert_uint_eq(output.body.size, 0);
    ck_assert_uint_gt(strlen(session_reason(talk.caller)), 0);
    ck_assert_int_eq(
        session_receive(talk.caller, SESSION_NOTICE, bob.introduction, WALL_MS, &output),
        SESSION_OUT_OF_TURN);
    talk_end(&talk);
}

START_TEST(a_notice_of_another_node_is_refused)
{
    expect_notice_refused(&bob.id, eve.introduction, SESSION_WRONG_PEER);
}
END_TEST

START_TEST(ones_own_notice_is_refused)
{
    expect_notice_refused(NULL, alice.introduction, SESSION_WRONG_PEER);
}
END_TEST

START_TEST(a_notice_that_does_not_hold_is_refused)
{
    static const uint8_t zeros[NOISE_KEY_SIZE];

    expect_notice_refused(&bob.id, bytes_of_text("quack"), SESSION_PEER_REFUSED);
    expect_notice_refused(&bob.id, bytes_of(NULL, 0), SESSION_PEER_REFUSED);
    expect_notice_refused(&bob.id, introduce(&bob, (struct said){.network = "lake"}),
                          SESSION_PEER_REFUSED);
    expect_notice_refused(&bob.id, introduce(&bob, (struct said){.not_after_ms = WALL_MS}),
                          SESSION_PEER_REFUSED);
    expect_notice_refused(&bob.id, introduce(&bob, (struct said){.session_not_after_ms = WALL_MS}),
                          SESSION_PEER_REFUSED);
    expect_notice_refused(&bob.id, introduce(&bob, (struct said){.session_key = zeros}),
                          SESSION_PEER_REFUSED);
}
END_TEST

START_TEST(a_turned_bit_in_a_notice_is_refused)
{
    uint8_t notice[SESSION_HANDSHAKE_MAX];

    for (size_t i = 0; i < bob.introduction.size; i++) {
        struct talk talk = talk_new(&bob.id, NULL);
        struct session_output output;

        memcpy(notice, bob.introduction.data, bob.introduction.size);
        notice[i] ^= (uint8_t)(1u << (i % 8));
        ck_assert_int_ge(session_receive(talk.caller, SESSION_NOTICE,
                                         bytes_of(notice, bob.introduction.size), WALL_MS, &output),
                         SESSION_WRONG_PEER);
        talk_end(&talk);
    }
}
END_TEST

START_TEST(a_second_notice_is_refused)
{
    struct talk talk = talk_new(&bob.id, eve.pair.public);
    struct session_output notice;

    ck_assert_int_eq(hear(talk.callee, &talk.output), SESSION_TAKEN);
    notice = talk.output;
    ck_assert_int_eq(hear(talk.caller, &talk.output), SESSION_START_AGAIN);
    ck_assert_int_eq(hear(talk.caller, &notice), SESSION_OUT_OF_TURN);
    talk_end(&talk);
}
END_TEST

START_TEST(a_second_first_message_that_does_not_open_is_refused)
{
    struct talk talk = talk_new(&bob.id, eve.pair.public);
    struct session_output first = talk.output;

    ck_assert_int_eq(hear(talk.callee, &talk.output), SESSION_TAKEN);
    ck_assert_int_eq(hear(talk.callee, &first), SESSION_BAD_TAG);
    talk_end(&talk);
}
END_TEST

/* ---- messages that are refused ---- */

START_TEST(a_turned_bit_in_the_first_message_gets_the_notice)
{
    struct talk talk = talk_new(&bob.id, bob.pair.public);
    struct session_settings of_bob = settings_of(&bob);
    uint8_t first[SESSION_FIRST_SIZE];

    for (size_t i = 0; i < sizeof first; i++) {
        struct session *callee = answer(&of_bob);
        struct session_output output;

        memcpy(first, talk.output.body.data, sizeof first);
        first[i] ^= (uint8_t)(1u << (i % 8));
        ck_assert_int_eq(
            session_receive(callee, SESSION_FIRST, bytes_of(first, sizeof first), WALL_MS, &output),
            SESSION_TAKEN);
        ck_assert_int_eq(output.type, SESSION_NOTICE);
        session_free(callee);
    }
    talk_end(&talk);
}
END_TEST

/* Turns a bit of each byte of the message of this type in turn, each in a handshake of its own. */
static void expect_turned_bits_refused(enum session_frame type)
{
    uint8_t message[SESSION_HANDSHAKE_MAX];
    size_t size;

    for (size_t i = 0;; i++) {
        struct talk talk = talk_until(type);
        struct session *to = type == SESSION_SECOND ? talk.caller : talk.callee;

        size = talk.output.body.size;
        if (i < size) {
            memcpy(message, talk.output.body.data, size);
            message[i] ^= (uint8_t)(1u << (i % 8));
            ck_assert_int_eq(
                session_receive(to, type, bytes_of(message, size), WALL_MS, &talk.output),
                SESSION_BAD_TAG);
            ck_assert(!session_is_up(to));
        }
        talk_end(&talk);
        if (i >= size)
            return;
    }
}

START_TEST(a_turned_bit_in_the_second_message_is_refused)
{
    expect_turned_bits_refused(SESSION_SECOND);
}
END_TEST

START_TEST(a_turned_bit_in_the_third_message_is_refused)
{
    expect_turned_bits_refused(SESSION_THIRD);
}
END_TEST

/* _i: the type of a frame that is not due at the start. */
START_TEST(a_frame_that_is_not_due_is_refused)
{
    static const uint8_t zeros[SESSION_FIRST_SIZE];
    enum session_frame type = (enum session_frame)_i;
    struct talk talk = talk_new(&bob.id, bob.pair.public);
    struct session_output output;

    if (type != SESSION_FIRST)
        ck_assert_int_eq(
            session_receive(talk.callee, type, bytes_of(zeros, sizeof zeros), WALL_MS, &output),
            SESSION_OUT_OF_TURN);
    if (type != SESSION_SECOND && type != SESSION_NOTICE)
        ck_assert_int_eq(
            session_receive(talk.caller, type, bytes_of(zeros, sizeof zeros), WALL_MS, &output),
            SESSION_OUT_OF_TURN);
    talk_end(&talk);
}
END_TEST

START_TEST(a_second_message_without_a_first_is_refused)
{
    static const uint8_t zeros[64];
    struct talk talk = talk_new(NULL, NULL); /* a question is no first message */
    struct session_output output;

    ck_assert_int_eq(session_receive(talk.caller, SESSION_SECOND, bytes_of(zeros, sizeof zeros),
                                     WALL_MS, &output),
                     SESSION_OUT_OF_TURN);
    talk_end(&talk);
}
END_TEST

START_TEST(a_repeated_first_message_is_refused)
{
    struct talk talk = talk_new(&bob.id, bob.pair.public);
    struct session_output first = talk.output;

    ck_assert_int_eq(hear(talk.callee, &talk.output), SESSION_TAKEN);
    ck_assert_int_eq(hear(talk.callee, &first), SESSION_OUT_OF_TURN);
    talk_end(&talk);
}
END_TEST

START_TEST(nothing_is_heard_after_a_refusal)
{
    struct talk talk = talk_until(SESSION_THIRD);
    struct session_output third = talk.output, output;

    ck_assert_int_eq(session_receive(talk.callee, SESSION_THIRD, bytes_of(third.body.data, 10),
                                     WALL_MS, &output),
                     SESSION_BAD_TAG);
    ck_assert_int_eq(hear(talk.callee, &third), SESSION_OUT_OF_TURN);
    talk_end(&talk);
}
END_TEST

START_TEST(a_handshake_frame_after_the_handshake_is_refused)
{
    struct talk talk = talk_up();
    struct session_output output;

    ck_assert_int_eq(
        session_receive(talk.callee, SESSION_FIRST, bytes_of(NULL, 0), WALL_MS, &output),
        SESSION_OUT_OF_TURN);
    talk_end(&talk);
}
END_TEST

START_TEST(a_first_message_has_one_size_only)
{
    static const uint8_t zeros[SESSION_FIRST_SIZE + 1];
    struct session_settings of_bob = settings_of(&bob);

    for (size_t size = SESSION_FIRST_SIZE - 1; size <= SESSION_FIRST_SIZE + 1; size++) {
        struct session *callee = answer(&of_bob);
        struct session_output output;

        ck_assert_int_eq(
            session_receive(callee, SESSION_FIRST, bytes_of(zeros, size), WALL_MS, &output),
            size == SESSION_FIRST_SIZE ? SESSION_TAKEN : SESSION_MALFORMED);
        session_free(callee);
    }
}
END_TEST

START_TEST(a_handshake_frame_has_at_most_8192_bytes)
{
    static uint8_t zeros[SESSION_HANDSHAKE_MAX + 1];

    expect_notice_refused(&bob.id, bytes_of(zeros, SESSION_HANDSHAKE_MAX + 1), SESSION_TOO_LONG);
    expect_notice_refused(&bob.id, bytes_of(zeros, SESSION_HANDSHAKE_MAX), SESSION_PEER_REFUSED);
}
END_TEST

START_TEST(an_introduction_of_ours_that_fits_no_frame_ends_the_handshake)
{
    static uint8_t zeros[SESSION_HANDSHAKE_MAX];
    struct session_settings of_alice = settings_of(&alice), of_bob = settings_of(&bob);
    struct session_output output;
    struct session *caller, *callee;

    of_alice.introduction = of_bob.introduction =
        introduction_pack(bytes_of(zeros, sizeof zeros), bytes_of(NULL, 0), &memory);
    caller = call(&of_alice, &bob.id, bob.pair.public, &output);
    callee = answer(&of_bob);
    ck_assert_int_eq(hear(callee, &output), SESSION_TAKEN); /* it opened: no notice is needed */
    ck_assert_int_eq(hear(caller, &output), SESSION_TOO_LONG);
    session_free(caller);
    session_free(callee);

    caller = call(&of_alice, &bob.id, NULL, &output);
    callee = answer(&of_bob);
    ck_assert_int_eq(hear(callee, &output), SESSION_TOO_LONG);
    session_free(caller);
    session_free(callee);
}
END_TEST

START_TEST(another_network_is_refused)
{
    struct session_settings of_bob = settings_of(&bob);
    struct talk talk = talk_new(&bob.id, bob.pair.public);

    session_free(talk.callee);
    of_bob.network = bytes_of_text("lake");
    of_bob.introduction = introduce(&bob, (struct said){.network = "lake"});
    talk.callee = answer(&of_bob);
    ck_assert_int_eq(hear(talk.callee, &talk.output), SESSION_TAKEN);
    ck_assert_int_eq(talk.output.type, SESSION_NOTICE);
    ck_assert_int_eq(hear(talk.caller, &talk.output), SESSION_PEER_REFUSED);
    talk_end(&talk);
}
END_TEST

START_TEST(a_node_that_calls_itself_is_refused)
{
    struct session_settings of_bob = settings_of(&bob);
    struct session_output output;
    struct session *caller = call(&of_bob, &bob.id, bob.pair.public, &output);
    struct session *callee = answer(&of_bob);

    ck_assert_int_eq(hear(callee, &output), SESSION_TAKEN);
    ck_assert_int_eq(hear(caller, &output), SESSION_UP);
    ck_assert_int_eq(hear(callee, &output), SESSION_WRONG_PEER);
    session_free(caller);
    session_free(callee);
}
END_TEST

/* ---- a peer that knows Noise and lies ---- */

static struct bytes bytes_of_prologue(void)
{
    static uint8_t prologue[64];
    size_t size = sizeof "duck/session/1";

    memcpy(prologue, "duck/session/1", size);
    prologue[size++] = (uint8_t)strlen(NETWORK);
    memcpy(prologue + size, NETWORK, strlen(NETWORK));
    memcpy(prologue + size + strlen(NETWORK), bob.id.bytes, ID_SIZE);
    return bytes_of(prologue, size + strlen(NETWORK) + ID_SIZE);
}

static void liar_begin(struct noise_handshake *liar, bool is_caller)
{
    struct noise_pair e;

    noise_pair_from_secret(&e, eve.pair.secret);
    noise_begin(liar, &noise_xk, is_caller, bytes_of_prologue(),
                is_caller ? &alice.pair : &bob.pair, &e, is_caller ? bob.pair.public : NULL, NULL);
}

/* A caller with Alice's keys says `hello`; Bob hears it. */
static struct session *hear_third(struct noise_handshake *liar, struct bytes hello,
                                  enum session_verdict expected)
{
    static const uint8_t zeros[SESSION_FIRST_SIZE - NOISE_KEY_SIZE - NOISE_TAG_SIZE];
    struct session_settings of_bob = settings_of(&bob);
    struct session *callee = answer(&of_bob);
    struct session_output output;
    uint8_t message[SESSION_HANDSHAKE_MAX], payload[SESSION_HANDSHAKE_MAX];
    size_t size;

    liar_begin(liar, true);
    ck_assert_int_eq(
        noise_write(liar, bytes_of(zeros, sizeof zeros), message, sizeof message, &size),
        NOISE_TAKEN);
    ck_assert_int_eq(
        session_receive(callee, SESSION_FIRST, bytes_of(message, size), WALL_MS, &output),
        SESSION_TAKEN);
    ck_assert_int_eq(noise_read(liar, output.body, payload, sizeof payload, &size), NOISE_TAKEN);
    ck_assert_int_eq(noise_write(liar, hello, message, sizeof message, &size), NOISE_TAKEN);
    ck_assert_int_eq(
        session_receive(callee, SESSION_THIRD, bytes_of(message, size), WALL_MS, &output),
        expected);
    return callee;
}

struct lie { /* zero: the truth */
    const struct id *caller, *callee;
    size_t id_size;
    struct bytes introduction;
    bool no_protocol, no_introduction;
};

static ProtobufCBinaryData id_field(const struct id *id, size_t size)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)id->bytes, .len = size};
}

static struct bytes pack_lie(const struct lie *lie)
{
    Duck__CallerHello hello = DUCK__CALLER_HELLO__INIT;
    struct bytes introduction = lie->introduction.data ? lie->introduction : alice.introduction;
    size_t id_size = lie->id_size ? lie->id_size : ID_SIZE;
    uint8_t *packed;

    hello.protocol = lie->no_protocol ? 0 : 1;
    hello.wall_ms = WALL_MS;
    hello.caller = id_field(lie->caller ? lie->caller : &alice.id, id_size);
    hello.callee = id_field(lie->callee ? lie->callee : &bob.id, ID_SIZE);
    if (!lie->no_introduction)
        hello.introduction = duck__introduction__unpack(arena_protobuf_allocator(&memory),
                                                        introduction.size, introduction.data);
    packed = arena_take(&memory, SESSION_HANDSHAKE_MAX);
    return bytes_of(packed, duck__caller_hello__pack(&hello, packed));
}

static void expect_lie_refused(struct lie lie, enum session_verdict verdict)
{
    struct noise_handshake liar;
    struct session *callee = hear_third(&liar, pack_lie(&lie), verdict);

    ck_assert(!session_is_up(callee));
    ck_assert_ptr_null(session_peer(callee));
    session_free(callee);
}

START_TEST(the_truth_is_taken)
{
    struct noise_handshake liar;
    struct lie none = {0};

    session_free(hear_third(&liar, pack_lie(&none), SESSION_UP));
}
END_TEST

START_TEST(a_caller_that_means_another_node_is_refused)
{
    expect_lie_refused((struct lie){.callee = &eve.id}, SESSION_WRONG_PEER);
}
END_TEST

START_TEST(a_caller_that_is_not_who_it_proves_is_refused)
{
    expect_lie_refused((struct lie){.caller = &eve.id}, SESSION_WRONG_PEER);
}
END_TEST

START_TEST(another_nodes_introduction_does_not_certify_this_key)
{
    expect_lie_refused((struct lie){.caller = &eve.id, .introduction = eve.introduction},
                       SESSION_PEER_REFUSED);
}
END_TEST

START_TEST(a_caller_whose_introduction_does_not_hold_is_refused)
{
    expect_lie_refused(
        (struct lie){.introduction = introduce(&alice, (struct said){.not_after_ms = WALL_MS})},
        SESSION_PEER_REFUSED);
    expect_lie_refused((struct lie){.introduction = introduce(
                                        &alice, (struct said){.session_not_after_ms = WALL_MS})},
                       SESSION_PEER_REFUSED);
    expect_lie_refused(
        (struct lie){.introduction = introduce(&alice, (struct said){.network = "lake"})},
        SESSION_PEER_REFUSED);
}
END_TEST

START_TEST(a_malformed_third_message_is_refused)
{
    struct noise_handshake liar;

    expect_lie_refused((struct lie){.no_protocol = true}, SESSION_MALFORMED);
    expect_lie_refused((struct lie){.no_introduction = true}, SESSION_MALFORMED);
    expect_lie_refused((struct lie){.id_size = ID_SIZE - 1}, SESSION_MALFORMED);
    session_free(hear_third(&liar, bytes_of_text("quack"), SESSION_MALFORMED));
    session_free(hear_third(&liar, bytes_of(NULL, 0), SESSION_MALFORMED));
}
END_TEST

static void expect_second_refused(struct bytes hello)
{
    struct talk talk = talk_new(&bob.id, bob.pair.public);
    struct noise_handshake liar;
    uint8_t message[SESSION_HANDSHAKE_MAX];
    struct session_output output;
    size_t size;

    liar_begin(&liar, false);
    ck_assert_int_eq(noise_read(&liar, talk.output.body, message, sizeof message, &size),
                     NOISE_TAKEN);
    ck_assert_int_eq(noise_write(&liar, hello, message, sizeof message, &size), NOISE_TAKEN);
    ck_assert_int_eq(
        session_receive(talk.caller, SESSION_SECOND, bytes_of(message, size), WALL_MS, &output),
        SESSION_MALFORMED);
    ck_assert_uint_eq(output.body.size, 0);
    talk_end(&talk);
}

START_TEST(a_malformed_second_message_is_refused)
{
    expect_second_refused(bytes_of_text("quack"));
    expect_second_refused(bytes_of(NULL, 0)); /* protocol 0 */
}
END_TEST

/* ---- frames ---- */

static uint8_t sealed_a[ROOM], sealed_b[ROOM], sealed_c[ROOM];

START_TEST(nothing_is_sealed_or_opened_before_the_session_is_up)
{
    struct talk talk = talk_new(&bob.id, bob.pair.public);
    struct bytes inner;
    size_t size;

    ck_assert_int_eq(session_seal(talk.caller, bytes_of_text("quack"), false, sealed_a, &size),
                     SESSION_OUT_OF_TURN);
    ck_assert_int_eq(session_open(talk.caller, sealed_a, 64, &inner), SESSION_OUT_OF_TURN);
    talk_end(&talk);
}
END_TEST

START_TEST(a_part_that_lies_in_its_place_is_sealed_there)
{
    struct talk talk = talk_up();
    struct bytes inner;
    size_t size;

    memcpy(sealed_a + 1, "quack", 5);
    size = seal(talk.caller, bytes_of(sealed_a + 1, 5), false, sealed_a);
    ck_assert_int_eq(session_open(talk.callee, sealed_a, size, &inner), SESSION_TAKEN);
    ck_assert(bytes_equal(inner, bytes_of_text("quack")));
    ck_assert_ptr_eq(inner.data, sealed_a + 1); /* and opened there */
    talk_end(&talk);
}
END_TEST

START_TEST(an_empty_inner_frame_is_taken)
{
    struct talk talk = talk_up();
    struct bytes inner;
    size_t size = seal(talk.caller, bytes_of(NULL, 0), false, sealed_a);

    ck_assert_int_eq(session_open(talk.callee, sealed_a, size, &inner), SESSION_TAKEN);
    ck_assert_ptr_nonnull(inner.data);
    ck_assert_uint_eq(inner.size, 0);
    talk_end(&talk);
}
END_TEST

START_TEST(a_part_has_at_most_32768_bytes)
{
    static uint8_t part[SESSION_PART_MAX + 1];
    struct talk talk = talk_up();
    struct bytes inner;
    size_t size;

    ck_assert_int_eq(
        session_seal(talk.caller, bytes_of(part, SESSION_PART_MAX + 1), false, sealed_a, &size),
        SESSION_TOO_LONG);
    size = seal(talk.caller, bytes_of(part, SESSION_PART_MAX), false, sealed_a);
    ck_assert_uint_eq(size, SESSION_SEALED_MAX);
    ck_assert_int_eq(session_open(talk.callee, sealed_a, size, &inner), SESSION_TAKEN);
    ck_assert_uint_eq(inner.size, SESSION_PART_MAX);
    ck_assert_int_eq(session_open(talk.callee, sealed_a, SESSION_SEALED_MAX + 1, &inner),
                     SESSION_MALFORMED);
    talk_end(&talk);
}
END_TEST

START_TEST(a_sealed_frame_has_at_least_17_bytes)
{
    struct talk talk = talk_up();
    struct bytes inner;

    ck_assert_int_eq(session_open(talk.callee, sealed_a, NOISE_TAG_SIZE, &inner),
                     SESSION_MALFORMED);
    talk_end(&talk);
}
END_TEST

/* Sends `size` bytes in parts of SESSION_PART_MAX. Returns the verdict on the last. */
static enum session_verdict send_parts(struct talk *talk, const uint8_t *data, size_t size,
                                       struct bytes *inner)
{
    enum session_verdict verdict;
    size_t done = 0;

    do {
        size_t part = size - done < SESSION_PART_MAX ? size - done : SESSION_PART_MAX;
        bool more_follow = done + part < size;
        size_t sealed = seal(talk->caller, bytes_of(data + done, part), more_follow, sealed_a);

        verdict = session_open(talk->callee, sealed_a, sealed, inner);
        done += part;
        if (more_follow && verdict == SESSION_TAKEN)
            ck_assert_ptr_null(inner->data);
    } while (verdict == SESSION_TAKEN && done < size);
    return verdict;
}

START_TEST(the_largest_peck_and_receipt_with_the_longest_chain_fit_into_a_frame)
{
    static uint8_t bytes[PECK_BODY_MAX + ENVELOPE_OVERHEAD_MAX];
    const struct bytes chain = bytes_of(bytes, CHAIN_SIZE_MAX);
    const struct bytes peck = bytes_of(bytes, envelope_size_max(ENVELOPE_PECK));
    const struct bytes receipt = bytes_of(bytes, envelope_size_max(ENVELOPE_RECEIPT));
    struct arena arena;

    ck_assert_uint_le(peck.size, sizeof bytes);
    ck_assert_uint_le(receipt.size, sizeof bytes);
    arena_init(&arena, MIB);
    /* The transport puts the kind before it. */
    ck_assert_uint_le(1 + frame_pack_peck(chain, peck, &arena).size, SESSION_INNER_MAX);
    ck_assert_uint_le(1 + frame_pack_receipt(chain, receipt, &arena).size, SESSION_INNER_MAX);
    ck_assert_uint_gt(frame_pack_peck(chain, peck, &arena).size, chain.size + peck.size);
    arena_free(&arena);
}
END_TEST

START_TEST(an_inner_frame_of_many_parts_is_put_together)
{
    static uint8_t data[SESSION_INNER_MAX];
    struct talk talk = talk_up();
    struct bytes inner;

    randombytes_buf(data, sizeof data);
    for (size_t size = SESSION_PART_MAX - 1; size <= sizeof data;
         size += SESSION_PART_MAX / 2 + 1) {
        ck_assert_int_eq(send_parts(&talk, data, size, &inner), SESSION_TAKEN);
        ck_assert(bytes_equal(inner, bytes_of(data, size)));
    }
    expect_text(talk.caller, talk.callee, "quack");
    talk_end(&talk);
}
END_TEST

START_TEST(an_inner_frame_of_320_kib_is_taken_and_one_byte_more_is_refused)
{
    static uint8_t data[SESSION_INNER_MAX + 1];
    struct talk talk = talk_up();
    struct bytes inner;

    ck_assert_int_eq(send_parts(&talk, data, SESSION_INNER_MAX, &inner), SESSION_TAKEN);
    ck_assert_uint_eq(inner.size, SESSION_INNER_MAX);
    ck_assert_int_eq(send_parts(&talk, data, SESSION_INNER_MAX + 1, &inner), SESSION_TOO_LONG);
    ck_assert_ptr_null(inner.data);
    talk_end(&talk);
}
END_TEST

START_TEST(the_last_part_may_be_empty_and_an_earlier_one_not)
{
    struct talk talk = talk_up();
    struct bytes inner;
    size_t size;

    size = seal(talk.caller, bytes_of_text("quack"), true, sealed_a);
    ck_assert_int_eq(session_open(talk.callee, sealed_a, size, &inner), SESSION_TAKEN);
    size = seal(talk.caller, bytes_of(NULL, 0), false, sealed_a);
    ck_assert_int_eq(session_open(talk.callee, sealed_a, size, &inner), SESSION_TAKEN);
    ck_assert(bytes_equal(inner, bytes_of_text("quack")));
    size = seal(talk.caller, bytes_of(NULL, 0), true, sealed_a);
    ck_assert_int_eq(session_open(talk.callee, sealed_a, size, &inner), SESSION_MALFORMED);
    talk_end(&talk);
}
END_TEST

START_TEST(a_part_of_an_unknown_sort_is_refused)
{
    struct noise_handshake liar;
    struct noise_cipher send, receive;
    struct lie none = {0};
    struct session *callee = hear_third(&liar, pack_lie(&none), SESSION_UP);
    uint8_t sealed[8 + NOISE_TAG_SIZE] = {2};
    struct bytes inner;

    noise_split(&liar, &send, &receive);
    ck_assert_int_eq(noise_seal(&send, bytes_of(sealed, 8), sealed), NOISE_TAKEN);
    ck_assert_int_eq(session_open(callee, sealed, sizeof sealed, &inner), SESSION_MALFORMED);
    session_free(callee);
}
END_TEST

START_TEST(a_turned_bit_in_a_sealed_frame_is_refused)
{
    size_t size = 1 + 5 + NOISE_TAG_SIZE;

    for (size_t i = 0; i < size; i++) {
        struct talk talk = talk_up();
        struct bytes inner;

        ck_assert_uint_eq(seal(talk.caller, bytes_of_text("quack"), false, sealed_a), size);
        memcpy(sealed_b, sealed_a, size);
        sealed_a[i] ^= (uint8_t)(1u << (i % 8));
        ck_assert_int_eq(session_open(talk.callee, sealed_a, size, &inner), SESSION_BAD_TAG);
        ck_assert_ptr_null(inner.data);
        ck_assert_uint_gt(strlen(session_reason(talk.callee)), 0);
        ck_assert_int_eq(session_open(talk.callee, sealed_b, size, &inner), SESSION_OUT_OF_TURN);
        talk_end(&talk);
    }
}
END_TEST

START_TEST(a_replayed_frame_is_refused)
{
    struct talk talk = talk_up();
    struct bytes inner;
    size_t size = seal(talk.caller, bytes_of_text("quack"), false, sealed_a);

    memcpy(sealed_b, sealed_a, size);
    ck_assert_int_eq(session_open(talk.callee, sealed_a, size, &inner), SESSION_TAKEN);
    ck_assert_int_eq(session_open(talk.callee, sealed_b, size, &inner), SESSION_BAD_TAG);
    talk_end(&talk);
}
END_TEST

START_TEST(a_lost_frame_is_noticed)
{
    struct talk talk = talk_up();
    struct bytes inner;
    size_t size;

    seal(talk.caller, bytes_of_text("lost"), false, sealed_a);
    size = seal(talk.caller, bytes_of_text("quack"), false, sealed_b);
    ck_assert_int_eq(session_open(talk.callee, sealed_b, size, &inner), SESSION_BAD_TAG);
    talk_end(&talk);
}
END_TEST

START_TEST(frames_out_of_order_are_refused)
{
    struct talk talk = talk_up();
    struct bytes inner;
    size_t size = seal(talk.caller, bytes_of_text("1st"), false, sealed_a);

    ck_assert_int_eq(session_open(talk.callee, sealed_a, size, &inner), SESSION_TAKEN);
    seal(talk.caller, bytes_of_text("2nd"), false, sealed_b);
    seal(talk.caller, bytes_of_text("3rd"), false, sealed_c);
    ck_assert_int_eq(session_open(talk.callee, sealed_c, size, &inner), SESSION_BAD_TAG);
    ck_assert_int_eq(session_open(talk.callee, sealed_b, size, &inner), SESSION_OUT_OF_TURN);
    talk_end(&talk);
}
END_TEST

START_TEST(ones_own_frame_sent_back_is_refused)
{
    struct talk talk = talk_up();
    struct bytes inner;
    size_t size = seal(talk.caller, bytes_of_text("quack"), false, sealed_a);

    ck_assert_int_eq(session_open(talk.caller, sealed_a, size, &inner), SESSION_BAD_TAG);
    talk_end(&talk);
}
END_TEST

START_TEST(a_session_wears_out_each_way_alone)
{
    struct session_settings of_alice = settings_of(&alice), of_bob = settings_of(&bob);
    struct session_output output;
    struct talk talk;
    struct bytes inner;
    size_t size;

    of_alice.frames_max = 4;
    of_bob.frames_max = 3;
    talk.caller = call(&of_alice, &bob.id, bob.pair.public, &output);
    talk.callee = answer(&of_bob);
    ck_assert_int_eq(hear(talk.callee, &output), SESSION_TAKEN);
    ck_assert_int_eq(hear(talk.caller, &output), SESSION_UP);
    ck_assert_int_eq(hear(talk.callee, &output), SESSION_UP);
    for (int i = 0; i < 3; i++)
        expect_text(talk.callee, talk.caller, "quack");
    ck_assert_int_eq(session_seal(talk.callee, bytes_of_text("quack"), false, sealed_a, &size),
                     SESSION_WORN_OUT);
    for (int i = 0; i < 3; i++)
        expect_text(talk.caller, talk.callee, "quack");
    size = seal(talk.caller, bytes_of_text("quack"), false, sealed_a);
    ck_assert_int_eq(session_open(talk.callee, sealed_a, size, &inner), SESSION_WORN_OUT);
    talk_end(&talk);
}
END_TEST

/* ---- two threads ---- */

#define FRAMES 2000

struct stream { /* of frames, each sealed with the number of its turn */
    struct session *session;
    uint8_t (*frames)[1 + 8 + NOISE_TAG_SIZE];
};

static void *seal_many(void *argument)
{
    struct stream *stream = argument;
    size_t size;

    for (uint64_t i = 0; i < FRAMES; i++)
        if (session_seal(stream->session, bytes_of(&i, sizeof i), false, stream->frames[i],
                         &size) != SESSION_TAKEN)
            return NULL;
    return stream;
}

static void *open_many(void *argument)
{
    struct stream *stream = argument;
    struct bytes inner;

    for (uint64_t i = 0; i < FRAMES; i++)
        if (session_open(stream->session, stream->frames[i], sizeof *stream->frames, &inner) !=
                SESSION_TAKEN ||
            !bytes_equal(inner, bytes_of(&i, sizeof i)))
            return NULL;
    return stream;
}

START_TEST(one_thread_seals_while_another_opens)
{
    struct talk talk = talk_up();
    struct stream out = {.session = talk.caller}, in = {.session = talk.callee};
    struct stream back = {.session = talk.caller};
    pthread_t sealer, opener;
    void *sealed, *opened;

    out.frames = memory_take(FRAMES * sizeof *out.frames);
    in.frames = back.frames = memory_take(FRAMES * sizeof *in.frames);
    ck_assert_ptr_nonnull(seal_many(&in));
    ck_assert_int_eq(pthread_create(&sealer, NULL, seal_many, &out), 0);
    ck_assert_int_eq(pthread_create(&opener, NULL, open_many, &back), 0);
    pthread_join(sealer, &sealed);
    pthread_join(opener, &opened);
    ck_assert_ptr_nonnull(sealed);
    ck_assert_ptr_nonnull(opened);
    out.session = talk.callee;
    ck_assert_ptr_nonnull(open_many(&out));
    memory_give_back(out.frames);
    memory_give_back(in.frames);
    talk_end(&talk);
}
END_TEST

START_TEST(each_verdict_has_words_of_its_own)
{
    for (int i = SESSION_TAKEN; i <= SESSION_WORN_OUT; i++) {
        const char *text = session_verdict_text((enum session_verdict)i);

        ck_assert_uint_gt(strlen(text), 0);
        for (int j = SESSION_TAKEN; j < i; j++)
            ck_assert_str_ne(text, session_verdict_text((enum session_verdict)j));
    }
}
END_TEST

static TCase *handshakes(void)
{
    TCase *tcase = tcase_create("handshake");

    tcase_add_test(tcase, a_known_node_is_reached_in_three_messages);
    tcase_add_test(tcase, each_side_sees_how_far_the_others_clock_is_off);
    tcase_add_test(tcase, an_old_key_is_renewed_by_a_notice);
    tcase_add_test(tcase, who_has_no_key_asks_for_the_notice);
    tcase_add_test(tcase, who_knows_an_address_only_takes_whoever_answers);
    tcase_add_test(tcase, a_weak_key_in_a_record_is_no_key);
    tcase_add_test(tcase, a_question_looks_like_chance_and_differs_each_time);
    tcase_add_test(tcase, a_notice_of_another_node_is_refused);
    tcase_add_test(tcase, ones_own_notice_is_refused);
    tcase_add_test(tcase, a_notice_that_does_not_hold_is_refused);
    tcase_add_test(tcase, a_turned_bit_in_a_notice_is_refused);
    tcase_add_test(tcase, a_second_notice_is_refused);
    tcase_add_test(tcase, a_second_first_message_that_does_not_open_is_refused);
    tcase_add_test(tcase, a_turned_bit_in_the_first_message_gets_the_notice);
    tcase_add_test(tcase, a_turned_bit_in_the_second_message_is_refused);
    tcase_add_test(tcase, a_turned_bit_in_the_third_message_is_refused);
    tcase_add_loop_test(tcase, a_frame_that_is_not_due_is_refused, SESSION_FIRST,
                        SESSION_SEALED + 1);
    tcase_add_test(tcase, a_second_message_without_a_first_is_refused);
    tcase_add_test(tcase, a_repeated_first_message_is_refused);
    tcase_add_test(tcase, nothing_is_heard_after_a_refusal);
    tcase_add_test(tcase, a_handshake_frame_after_the_handshake_is_refused);
    tcase_add_test(tcase, a_first_message_has_one_size_only);
    tcase_add_test(tcase, a_handshake_frame_has_at_most_8192_bytes);
    tcase_add_test(tcase, an_introduction_of_ours_that_fits_no_frame_ends_the_handshake);
    tcase_add_test(tcase, another_network_is_refused);
    tcase_add_test(tcase, a_node_that_calls_itself_is_refused);
    tcase_add_test(tcase, the_truth_is_taken);
    tcase_add_test(tcase, a_caller_that_means_another_node_is_refused);
    tcase_add_test(tcase, a_caller_that_is_not_who_it_proves_is_refused);
    tcase_add_test(tcase, another_nodes_introduction_does_not_certify_this_key);
    tcase_add_test(tcase, a_caller_whose_introduction_does_not_hold_is_refused);
    tcase_add_test(tcase, a_malformed_third_message_is_refused);
    tcase_add_test(tcase, a_malformed_second_message_is_refused);
    return tcase;
}

static TCase *frames(void)
{
    TCase *tcase = tcase_create("frames");

    tcase_add_test(tcase, nothing_is_sealed_or_opened_before_the_session_is_up);
    tcase_add_test(tcase, a_part_that_lies_in_its_place_is_sealed_there);
    tcase_add_test(tcase, an_empty_inner_frame_is_taken);
    tcase_add_test(tcase, a_part_has_at_most_32768_bytes);
    tcase_add_test(tcase, a_sealed_frame_has_at_least_17_bytes);
    tcase_add_test(tcase, the_largest_peck_and_receipt_with_the_longest_chain_fit_into_a_frame);
    tcase_add_test(tcase, an_inner_frame_of_many_parts_is_put_together);
    tcase_add_test(tcase, an_inner_frame_of_320_kib_is_taken_and_one_byte_more_is_refused);
    tcase_add_test(tcase, the_last_part_may_be_empty_and_an_earlier_one_not);
    tcase_add_test(tcase, a_part_of_an_unknown_sort_is_refused);
    tcase_add_test(tcase, a_turned_bit_in_a_sealed_frame_is_refused);
    tcase_add_test(tcase, a_replayed_frame_is_refused);
    tcase_add_test(tcase, a_lost_frame_is_noticed);
    tcase_add_test(tcase, frames_out_of_order_are_refused);
    tcase_add_test(tcase, ones_own_frame_sent_back_is_refused);
    tcase_add_test(tcase, a_session_wears_out_each_way_alone);
    tcase_add_test(tcase, one_thread_seals_while_another_opens);
    tcase_add_test(tcase, each_verdict_has_words_of_its_own);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("session");
    TCase *tcases[] = {handshakes(), frames()};
    SRunner *runner;
    int failed;

    for (size_t i = 0; i < sizeof tcases / sizeof *tcases; i++) {
        tcase_add_checked_fixture(tcases[i], hatch_all, end_all);
        tcase_set_timeout(tcases[i], 60);
        suite_add_tcase(suite, tcases[i]);
    }
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
