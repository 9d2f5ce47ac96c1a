/* store_things: signed pecks, receipts and records, and the effects that keep them. */
#ifndef DUCK_TESTS_STORE_THINGS_H
#define DUCK_TESTS_STORE_THINGS_H

#include "core/effect.h"
#include "core/record.h"
#include "store.h"

#include <assert.h>
#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THINGS_NETWORK "pond"
#define THINGS_WALL_MS 1767225600000ull /* 2026-01-01 */

struct author {
    struct identity_key *key;
    uint8_t seed[SEED_SIZE], next_seed[SEED_SIZE];
    struct id id;
    struct bytes chain, certificate;
};

static inline struct author author_new(enum identity_kind kind, uint8_t number, struct arena *arena)
{
    struct author author = {0};
    struct certificate_wish wish = {
        .kind = kind,
        .display_name = bytes_of_text("duck"),
        .issued_ms = THINGS_WALL_MS - DAY_MS,
        .not_after_ms = THINGS_WALL_MS + CERTIFICATE_LIFE_MS,
    };
    struct identity_key *next;
    struct public_key public_key;

    memset(author.seed, number, sizeof author.seed);
    memset(author.next_seed, 0xff - number, sizeof author.next_seed);
    author.key = identity_key_new(author.seed);
    next = identity_key_new(author.next_seed);
    public_key = identity_key_public(next);
    wish.next_key_hash = identity_key_hash(&public_key);
    author.certificate = certificate_make(&wish, author.key, arena, &author.id);
    author.chain = chain_pack(&author.certificate, 1, arena);
    identity_key_free(next);
    return author;
}

/* The same identity after a rotation: a longer chain. */
static inline struct bytes author_rotated_chain(const struct author *author, struct arena *arena,
                                                struct id *certificate)
{
    struct identity_key *next = identity_key_new(author->next_seed);
    struct certificate_wish wish = {
        .kind = IDENTITY_DUCKLING,
        .display_name = bytes_of_text("duck"),
        .issued_ms = THINGS_WALL_MS,
        .not_after_ms = THINGS_WALL_MS + CERTIFICATE_LIFE_MS,
    };
    struct bytes certificates[2] = {author->certificate}, wire;
    struct chain chain;
    struct id id;

    assert(chain_open(author->chain, arena, &chain) == CERTIFICATE_TAKEN);
    wish.previous = &chain.certificates[0];
    certificates[1] = certificate_make(&wish, next, arena, &id);
    identity_key_free(next);
    wire = chain_pack(certificates, 2, arena);
    assert(chain_open(wire, arena, &chain) == CERTIFICATE_TAKEN && chain.count == 2);
    *certificate = id_of(&chain.certificates[1].hash);
    return wire;
}

/* A context of the author, whose key is of the byte `number`; it keeps its carrier, whenever it is issued. */
static inline struct kept_context author_context(const struct author *author, uint8_t number,
                                                 uint64_t issued_ms, struct arena *arena)
{
    static const struct bytes scope = {(const uint8_t *)"data.*", 6};
    struct kept_context kept = {.duckling = author->id, .why = "issued"};
    struct context_wish wish = {.identity = author->id,
                                .name = bytes_of_text("deploys"),
                                .scopes = &scope,
                                .scope_count = 1,
                                .issued_ms = issued_ms,
                                .not_after_ms = THINGS_WALL_MS + DAY_MS};
    struct identity_key *key;
    struct context context;
    struct chain chain;

    memset(kept.seed, number, SEED_SIZE);
    key = identity_key_new(kept.seed);
    wish.public_key = identity_key_public(key);
    identity_key_free(key);
    assert(chain_open(author->chain, arena, &chain) == CERTIFICATE_TAKEN);
    wish.certificate = chain.certificates[0].hash;
    assert(context_make(&wish, author->key, arena, &kept.wire) == CONTEXT_OK);
    assert(context_read(kept.wire, arena, &context) == CONTEXT_OK);
    kept.carrier = context.carrier;
    kept.id = context.id;
    return kept;
}

static inline void author_free(struct author *author)
{
    identity_key_free(author->key);
}

/* What a peck says, as far as a test cares. */
struct peck_wish {
    const char *action, *thread, *key;
    uint64_t created_ms;
    size_t payload_size;
    enum peck_kind kind;
};

static inline struct effect keep_peck_effect(enum box box, enum peck_state state,
                                             const struct peck *peck, struct bytes wire,
                                             struct bytes chain)
{
    struct effect effect = {.kind = EFFECT_KEEP_PECK};

    effect.peck.box = box;
    effect.peck.id = peck->id;
    effect.peck.hash = peck->hash;
    effect.peck.from = peck->from;
    effect.peck.to = peck->to;
    effect.peck.kind = peck->kind;
    effect.peck.state = state;
    effect.peck.created_ms = peck->created_ms;
    effect.peck.expires_ms = peck->expires_ms;
    effect.peck.at_ms = peck->created_ms;
    effect.peck.action = peck->action;
    effect.peck.thread = peck->thread;
    effect.peck.idempotency_key = peck->idempotency_key;
    effect.peck.wire = wire;
    effect.peck.chain = chain;
    return effect;
}

/* Packs `count` (up to BATCH_ITEMS_MAX) pecks and seals them as one batch. */
static inline void make_pecks(const struct author *from, const struct id *to,
                              const struct peck_wish *wish, size_t count, struct arena *arena,
                              struct peck *pecks, struct bytes *wires)
{
    static uint64_t nonce;
    struct bytes bodies[BATCH_ITEMS_MAX];
    struct hash hashes[BATCH_ITEMS_MAX];
    uint8_t *payload = arena_take(arena, wish->payload_size + 2);

    assert(payload);
    memset(payload, ' ', wish->payload_size + 2);
    memcpy(payload, "{}", 2);
    for (size_t i = 0; i < count; i++) {
        struct peck *peck = &pecks[i];

        memset(peck, 0, sizeof *peck);
        peck->network = bytes_of_text(THINGS_NETWORK);
        peck->from = from->id;
        peck->to = *to;
        peck->kind = wish->kind ? wish->kind : PECK_ACTION;
        if (peck->kind == PECK_ACTION) {
            peck->action = bytes_of_text(wish->action ? wish->action : "data.read");
            peck->payload = bytes_of(payload, wish->payload_size + 2);
        } else {
            peck->scopes[peck->scope_count++] = bytes_of_text("data.*");
            peck->message = bytes_of_text("may I?");
        }
        if (wish->thread)
            peck->thread = bytes_of_text(wish->thread);
        if (wish->key)
            peck->idempotency_key = bytes_of_text(wish->key);
        peck->created_ms = wish->created_ms ? wish->created_ms : THINGS_WALL_MS;
        peck->expires_ms = peck->created_ms + PECK_LIFE_MS;
        nonce++;
        memcpy(peck->nonce, &nonce, sizeof peck->nonce);
        if (peck_pack(peck, arena, &bodies[i]) != PECK_OK)
            assert(!"the wish holds");
    }
    for (size_t i = 0; i < count; i++)
        hashes[i] = pecks[i].hash;
    envelope_seal_batch(ENVELOPE_PECK, &from->id, from->key, bodies, hashes, count, arena, wires);
}

static inline struct effect make_peck(const struct author *from, const struct id *to, enum box box,
                                      enum peck_state state, const struct peck_wish *wish,
                                      struct arena *arena)
{
    struct peck peck;
    struct bytes wire;

    make_pecks(from, to, wish, 1, arena, &peck, &wire);
    return keep_peck_effect(box, state, &peck, wire, from->chain);
}

static inline void make_receipts(const struct author *signer, const struct peck *pecks,
                                 size_t count, enum box box, enum receipt_kind kind,
                                 enum peck_state state, struct arena *arena, struct effect *effects)
{
    struct bytes bodies[BATCH_ITEMS_MAX] = {{0}}, wires[BATCH_ITEMS_MAX];
    struct hash hashes[BATCH_ITEMS_MAX] = {{{0}}};

    for (size_t i = 0; i < count; i++) {
        struct receipt receipt = {
            .network = bytes_of_text(THINGS_NETWORK),
            .peck = pecks[i].hash,
            .from = pecks[i].from,
            .to = pecks[i].to,
            .kind = kind,
            .state = state,
            .at_ms = THINGS_WALL_MS,
        };

        if (state == PECK_ANSWERED)
            receipt.result = bytes_of_text("{\"ok\":true}");
        if (receipt_pack(&receipt, arena, &bodies[i]) != RECEIPT_OK)
            assert(!"the receipt holds");
        hashes[i] = envelope_hash(ENVELOPE_RECEIPT, bodies[i]);
    }
    envelope_seal_batch(ENVELOPE_RECEIPT, &signer->id, signer->key, bodies, hashes, count, arena,
                        wires);
    for (size_t i = 0; i < count; i++) {
        memset(&effects[i], 0, sizeof effects[i]);
        effects[i].kind = EFFECT_KEEP_RECEIPT;
        effects[i].receipt.box = box;
        effects[i].receipt.peck = pecks[i].id;
        effects[i].receipt.kind = kind;
        effects[i].receipt.state = state;
        effects[i].receipt.at_ms = THINGS_WALL_MS;
        effects[i].receipt.signer = signer->id;
        effects[i].receipt.hash = hashes[i];
        effects[i].receipt.wire = wires[i];
        effects[i].receipt.chain = signer->chain;
    }
}

/* The receipt of a peck that `effect` keeps. */
static inline struct effect make_receipt(const struct author *signer, const struct effect *kept,
                                         enum receipt_kind kind, enum peck_state state,
                                         struct arena *arena)
{
    struct peck peck = {
        .id = kept->peck.id, .hash = kept->peck.hash, .from = kept->peck.from, .to = kept->peck.to};
    struct effect effect;

    make_receipts(signer, &peck, 1, kept->peck.box, kind, state, arena, &effect);
    return effect;
}

/* The next part of the answer to a peck that `effect` keeps; `partials` then counts it. */
static inline struct effect make_partial(const struct author *signer, const struct effect *kept,
                                         struct partials *partials, const char *result,
                                         struct arena *arena)
{
    struct effect effect = {.kind = EFFECT_KEEP_PARTIAL};
    struct receipt receipt = {
        .network = bytes_of_text(THINGS_NETWORK),
        .peck = kept->peck.hash,
        .from = kept->peck.from,
        .to = kept->peck.to,
        .kind = RECEIPT_PARTIAL,
        .state = PECK_TAKEN,
        .at_ms = THINGS_WALL_MS,
        .number = partials->count + 1,
        .result = bytes_of_text(result),
    };
    struct bytes body;

    partials_add(partials, receipt.result);
    if (receipt_pack(&receipt, arena, &body) != RECEIPT_OK)
        assert(!"the receipt holds");
    effect.partial.box = kept->peck.box;
    effect.partial.peck = kept->peck.id;
    effect.partial.duckling = kept->peck.box == BOX_IN ? kept->peck.to : kept->peck.from;
    effect.partial.with = kept->peck.box == BOX_IN ? kept->peck.from : kept->peck.to;
    effect.partial.signer = signer->id;
    effect.partial.at_ms = THINGS_WALL_MS;
    effect.partial.partials = *partials;
    effect.partial.chain = signer->chain;
    effect.partial.wire =
        envelope_seal(ENVELOPE_RECEIPT, &signer->id, signer->key, body, arena, NULL);
    return effect;
}

static inline struct effect make_state(enum box box, const struct id *peck, enum peck_state state,
                                       enum tray_place place)
{
    struct effect effect = {.kind = EFFECT_KEEP_STATE};

    effect.state.box = box;
    effect.state.peck = *peck;
    effect.state.state = state;
    effect.state.place = place;
    effect.state.at_ms = THINGS_WALL_MS + 1;
    return effect;
}

static inline struct effect make_record(const struct author *owner, uint32_t kind, const char *key,
                                        uint64_t version_ms, struct bytes content, bool deleted,
                                        struct arena *arena)
{
    struct effect effect = {.kind = EFFECT_KEEP_RECORD};
    struct record *record = &effect.record.item.record;
    struct bytes body;

    record->network = bytes_of_text(THINGS_NETWORK);
    record->owner = owner->id;
    record->kind = kind;
    record->key = arena_copy(arena, bytes_of_text(key));
    record->version.ms = version_ms;
    record->not_after_ms = version_ms + RECORD_LIFE_MS;
    record->deleted = deleted;
    record->content = content;
    if (record_pack(record, arena, &body) != RECORD_OK)
        assert(!"the record holds");
    effect.record.item.wire =
        envelope_seal(ENVELOPE_RECORD, &owner->id, owner->key, body, arena, NULL);
    effect.record.item.chain = owner->chain;
    return effect;
}

static inline struct effect make_duckling_record(const struct author *owner, const struct id *host,
                                                 const char *name, const char *bio,
                                                 const char *const *capabilities,
                                                 uint64_t version_ms, struct arena *arena)
{
    struct duckling_content content = {
        .host = *host,
        .display_name = bytes_of_text(name),
        .bio = bytes_of_text(bio),
        .accepts_pecks = true,
    };

    for (; capabilities && *capabilities; capabilities++)
        content.capabilities[content.capability_count++] = bytes_of_text(*capabilities);
    return make_record(owner, RECORD_DUCKLING, "", version_ms,
                       duckling_content_pack(&content, arena), false, arena);
}

/* ---- a directory of its own for each test ---- */

static inline int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void remove_directory(const char *path)
{
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
