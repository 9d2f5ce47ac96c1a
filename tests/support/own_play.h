/* A duckling that keeps its own key lives with alice; this is its owner, who signs. A friend of it lives with bob. */
#ifndef DUCK_TESTS_OWN_PLAY_H
#define DUCK_TESTS_OWN_PLAY_H

#include "core/frame.h"
#include "two_agents.h"

struct play {
    struct pond *pond;
    struct arena memory;
    struct identity_key *key;
    uint8_t next[SEED_SIZE];
    struct bytes chain;
    struct id own, friend; /* the friend lives with bob, whose node has its key */
};

static inline const struct reply *wanted(struct play *play)
{
    struct order ask = {.kind = ORDER_WANTED, .duckling = play->own};

    return order(play->pond, &play->pond->alice, &ask);
}

static inline struct signature signature_of(struct play *play, const struct wanted *thing)
{
    return identity_sign(play->key, envelope_to_sign(thing->type, thing->body, &play->memory));
}

static inline const struct reply *sign(struct play *play, const struct wanted *thing)
{
    struct order sign = {.kind = ORDER_SIGN,
                         .duckling = play->own,
                         .wanted = thing->id,
                         .signature = signature_of(play, thing)};

    return order(play->pond, &play->pond->alice, &sign);
}

static inline void sign_all(struct play *play)
{
    const struct reply *reply;

    while ((reply = wanted(play))->wanted_count > 0) {
        struct wanted first = reply->wanted[0];

        ck_assert_int_eq(sign(play, &first)->code, REFUSAL_NONE);
    }
}

static inline struct order hatching(struct play *play, const char *name)
{
    struct order hatch = {.kind = ORDER_HATCH, .chain = play->chain};

    hatch.profile.set_display_name = true;
    hatch.profile.display_name = bytes_of_text(name);
    hatch.profile.accepts_pecks = true;
    return hatch;
}

static inline struct play play_unhatched(void)
{
    struct play play = {.pond = pond_new()};
    uint8_t seed[SEED_SIZE];

    arena_init(&play.memory, 64 * MIB);
    memset(seed, 77, sizeof seed);
    memset(play.next, 78, sizeof play.next);
    play.key = identity_key_new(seed);
    play.chain = own_chain(play.pond, play.key, play.next, "Own", &play.memory);
    play.friend = hatch(play.pond, &play.pond->bob, 20);
    return play;
}

/* Its entry in the directory is signed, too. */
static inline struct play play_new(void)
{
    struct play play = play_unhatched();
    struct order hatch = hatching(&play, "Own");
    const struct reply *reply = order(play.pond, &play.pond->alice, &hatch);

    ck_assert_int_eq(reply->code, REFUSAL_NONE);
    play.own = reply->duckling;
    sign_all(&play);
    tick(play.pond, 1000);
    return play;
}

static inline void play_end(struct play *play)
{
    identity_key_free(play->key);
    arena_free(&play->memory);
    pond_free(play->pond);
}

/* With the key that was promised; `*promised` becomes its own. */
static inline struct bytes lengthened(struct play *play, const uint8_t seed[SEED_SIZE], uint64_t issued_ms)
{
    struct identity_key *key = identity_key_new(seed);
    struct hash promise = {{5}};
    struct bytes longer;
    struct chain chain;

    ck_assert_int_eq(chain_open(play->chain, &play->memory, &chain), CERTIFICATE_TAKEN);
    longer = chain_lengthen(&chain, key, &promise, issued_ms, &play->memory);
    identity_key_free(key);
    return longer;
}

/* ---- pecks out ---- */

struct made {
    struct envelope envelope;
    struct order order;
};

static inline void make(struct play *play, struct made *made, struct peck *peck)
{
    struct bytes body, wire;
    enum peck_verdict form = peck_pack(peck, &play->memory, &body);

    ck_assert_msg(form == PECK_OK, "%s", peck_verdict_text(form));
    wire = envelope_seal(ENVELOPE_PECK, &peck->from, play->key, body, &play->memory, NULL);
    ck_assert_int_eq(envelope_parse(wire, ENVELOPE_PECK, &play->memory, &made->envelope),
                     ENVELOPE_TAKEN);
    made->order = (struct order){.kind = ORDER_SEND,
                                 .duckling = play->own,
                                 .send = *peck,
                                 .expires_in_ms = peck->expires_ms - peck->created_ms,
                                 .made = &made->envelope};
}

static inline struct peck own_peck(const struct play *play)
{
    return (struct peck){.network = bytes_of_text(NETWORK),
                         .from = play->own,
                         .to = play->friend,
                         .kind = PECK_ACTION,
                         .action = bytes_of_text("query"),
                         .payload = bytes_of_text("{}"),
                         .created_ms = play->pond->at.wall_ms,
                         .expires_ms = play->pond->at.wall_ms + HOUR_MS};
}

static inline struct order own_bond(struct play *play, struct made *made)
{
    struct peck peck = own_peck(play);

    peck.kind = PECK_BOND_REQUEST;
    peck.action = peck.payload = bytes_of(NULL, 0);
    peck.scopes[0] = bytes_of_text("query");
    peck.scope_count = 1;
    make(play, made, &peck);
    return made->order;
}

/* ---- answers, and a longer chain ---- */

/* A peck of the friend's, that waits for the answer. */
static inline struct id asked(struct play *play)
{
    struct order send = action(&play->friend, &play->own);
    struct order approve = {.kind = ORDER_APPROVE, .duckling = play->own};
    struct id peck = order(play->pond, &play->pond->bob, &send)->peck;

    approve.peck = peck;
    ck_assert_int_eq(order(play->pond, &play->pond->alice, &approve)->code, REFUSAL_NONE);
    return peck;
}

static inline const struct reply *answer(struct play *play, const struct id *peck, const char *result)
{
    struct order answer = {.kind = ORDER_ANSWER,
                           .duckling = play->own,
                           .peck = *peck,
                           .result = bytes_of_text(result)};

    return order(play->pond, &play->pond->alice, &answer);
}

static inline const struct reply *hand_in(struct play *play, struct bytes chain)
{
    struct order rotate = {.kind = ORDER_ROTATE, .duckling = play->own, .chain = chain};

    return order(play->pond, &play->pond->alice, &rotate);
}

#endif
